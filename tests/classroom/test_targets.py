"""Where commands write and what they say it to: devices and pipes stay what they are, names and grades are private, a
class that is not there is not made, and an output that takes nothing more is no traceback."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from classroom.folder import Folder
from classroom.results import write_result
from classroom.writer import Writer

PLACES = {"report": "--to", "similarity": "--out", "export": "--out"}


@pytest.fixture
def graded(tiny, make_result):
    """Ada has handed in and has her points."""
    folder = Folder(tiny.root)
    tiny.hand_in("ada", "tiny", "def double(x):\n    return 2 * x")
    record = make_result(folder, "ada", {"double": "def double(x):\n    return 2 * x"})
    write_result(folder.record("result", "tiny", "ada"), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)
    return tiny


def words_of(command: str, target: str) -> list[str]:
    return [command, *([] if command == "export" else ["tiny"]), PLACES[command], target]


@pytest.mark.parametrize("command", PLACES)
def test_what_is_no_file_is_not_replaced(graded, command):
    pipe = graded.root / "pipe"
    os.mkfifo(pipe)
    for target, message in (("pipe", "that is no file"), ("/dev/null", "that is no file"), (".", "got a folder")):
        done = graded.run(*words_of(command, target))
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert f"{PLACES[command]} {target}: " in done.stderr
        assert message in done.stderr
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("command", PLACES)
@pytest.mark.parametrize("there", [False, True], ids=["new", "written over"])
def test_names_and_grades_are_for_nobody_else_wherever_they_go(graded, command, there):
    files = [graded.root / "made", graded.root / "made.json"]
    for path in files if there else ():
        path.write_text("of old")
        path.chmod(0o644)
    before = os.umask(0o022)
    try:
        done = graded.run(*words_of(command, "made"), "--json", "made.json")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    assert "of old" not in "".join(path.read_text() for path in files)


def test_json_goes_into_a_pipe_too(tiny):
    done = subprocess.run(
        [*tiny.command("status", "tiny", "--json"), "/dev/stdout"],
        cwd=tiny.root,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"command": "status"' in done.stdout


@pytest.mark.parametrize("words", [["export"], ["report", "tiny"], ["similarity", "tiny"]])
def test_of_a_mistyped_class_nothing_is_made(graded, words):
    before = sorted(graded.root.rglob("*"))
    done = graded.run(*words, "--course", "cuorse")
    assert done.returncode == 2
    assert "there is no class in cuorse; to begin one: classroom release --course cuorse" in done.stderr
    assert sorted(graded.root.rglob("*")) == before


def test_a_class_without_a_gradebook_has_no_table(tiny):
    (tiny.root / "course" / "gradebook.db").unlink()
    done = tiny.run("export")
    assert done.returncode == 2
    assert "nothing has been released to this class yet" in done.stderr
    assert not (tiny.root / "course" / "gradebook.db").exists()
    assert not (tiny.root / "course" / "grades.csv").exists()


def started(tiny, *words: str, out) -> subprocess.Popen:
    return subprocess.Popen(
        tiny.command(*words), cwd=tiny.root, env=tiny.environment(), stdout=out, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("words", [["status", "tiny"], ["--help"]])
def test_a_reader_that_goes_away(tiny, words):
    """As in `classroom status tiny | head -1`; the pipe has no reader from the beginning, so that it is no race."""
    read, write = os.pipe()
    os.close(read)
    process = started(tiny, *words, out=write)
    os.close(write)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 141
    assert (
        said == "classroom: nobody reads what it prints any more; it stopped there, and what was done before is kept\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_under_the_output(tiny):
    with open("/dev/full", "w") as full:
        process = started(tiny, "status", "tiny", out=full)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert said.startswith("classroom: cannot print: no space left on device; it stopped there")
    assert len(said.splitlines()) == 1


def test_without_any_output(tiny):
    """Standard output may be closed, as under some service managers."""
    line = f"exec {sys.executable} -m classroom status tiny >&-"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tiny.root, env=tiny.environment(), stderr=subprocess.PIPE, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_we_may_not_enter_is_no_project():
    """An ordinary user in a course with somebody else's folder in it."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o755)
        (root / "closed").mkdir(mode=0o700)
        (root / "solutions" / "heat").mkdir(parents=True)
        (root / "closed").chmod(0o000)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError):
                os.listdir(root / "closed")
            assert Folder(root).has_beside("heat")
            assert not Folder(root).has_beside("haet")
        finally:
            os.seteuid(before)
            (root / "closed").chmod(0o700)
