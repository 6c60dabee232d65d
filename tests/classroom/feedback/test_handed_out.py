"""Pages in nbgrader's exchange, looked at by another user of the machine.

In order: who knows the secret reads the page; nobody lists the folder, guesses a name, or writes there; a page that
nbgrader's own command or anybody else put in the place of ours is not handed out; a link neither.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from nbgrader.utils import notebook_hash

from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.handout import hand_out
from classroom.results import write_result
from classroom.writer import Writer

NOBODY = 65534
SECRET = "s3cret" * 20
LOOK = """
import os, sys
top, names = sys.argv[1], sys.argv[2:]
def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
print(tried(lambda: os.listdir(top)), tried(lambda: open(os.path.join(top, "mine.html"), "w").close()))
for name in names:
    print(tried(lambda: len(open(os.path.join(top, name)).read()) > 1000))
"""


@pytest.fixture
def exchange():
    """A folder that other users reach, unlike pytest's own."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    root = place / "exchange"
    root.mkdir()
    root.chmod(0o777)
    yield root
    shutil.rmtree(place)


@pytest.fixture
def folder(tiny, make_result, exchange) -> Folder:
    """A class in which ada's page was made."""
    with open(tiny.root / "nbgrader_config.py", "a") as config:
        config.write(f"\nc.Exchange.root = {str(exchange)!r}\n")
    made = Folder(tiny.root)
    record = make_result(made, "ada", {"why": "So."})
    place = made.path("submitted", "tiny", "ada")
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text("{}")
    (place / "submission_secret.txt").write_text(SECRET)
    write_result(made.record("result", "tiny", "ada"), record)
    with Writer(made, "tiny") as writer:
        writer.merge(record)
    feedback(made, "tiny", lambda text: None)
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user's number")
def test_another_user_neither_lists_nor_guesses(folder, exchange):
    assert hand_out(folder, "tiny", print)["released"] == ["ada"]
    outbound = exchange / "test-course" / "feedback"
    name = f"{notebook_hash(secret=SECRET, notebook_id='tiny')}.html"
    assert [path.name for path in outbound.iterdir()] == [name]
    guesses = [notebook_hash(secret=secret, notebook_id="tiny") for secret in (" ", "ada", "tiny")]
    names = [f"{guess}.html" for guess in (*guesses, "tiny", "ada")]
    assert name not in names
    done = subprocess.run(
        [str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name), "-c", LOOK, str(outbound), name, *names],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, known, *others = done.stdout.splitlines()
    assert first == "PermissionError PermissionError", done.stderr
    assert known == "True", "who has the secret reads the page"
    assert set(others) == {"FileNotFoundError"}


def test_only_the_page_that_was_made_here_goes_out(folder, exchange, tmp_path):
    outbound = exchange / "test-course" / "feedback"
    place = folder.path("feedback", "tiny", "ada") / "tiny.html"
    page = place.read_bytes()
    place.write_text("<script>of somebody else</script>")
    said: list[str] = []
    assert hand_out(folder, "tiny", said.append)["released"] == []
    assert any("is not the page that was made here: not handed out" in line for line in said)
    assert list(outbound.glob("*.html")) == []
    place.unlink()
    (tmp_path / "copy.html").write_bytes(page)
    place.symlink_to(tmp_path / "copy.html")
    assert hand_out(folder, "tiny", said.append)["released"] == []
    # The command makes such a page anew, and hands that one out.
    assert feedback(folder, "tiny", said.append, release=True)["released"] == ["ada"]
    (found,) = outbound.glob("*.html")
    assert found.read_bytes() == page


def test_pages_of_one_student(folder, tiny):
    """A typo names the near miss; the pages of one are made without those of the others."""
    done = tiny.run("feedback", "tiny", "--student", "adda")
    assert done.returncode == 2
    assert "no submission of 'adda' for tiny; did you mean ada?" in done.stderr, done.stderr
    assert tiny.report("feedback", "tiny", "--student", "ada")["unchanged"] == ["ada"]
