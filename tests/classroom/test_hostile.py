"""Attempts on the grading pipeline itself, each of which once succeeded.

In order: names of files that a terminal would obey, that forge a line or break the log of refusals; bytes that are no
UTF-8; a folder that may be listed and not entered; the year 1; folders under submitted/ that nobody can be called, or
that are a link to somebody else's; names in the table of grades; outputs whose page would take for ever, or end it with
an error; pictures of a billion pixels; outputs that add up, cell by cell; remarks without end. Then in the sandbox:
descriptors on their way that end the template for everybody, leases on shared files, places that are nobody's to read,
signals that wait.
"""

import base64
import contextlib
import json
import os
import re
import resource
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from classroom import terminal
from classroom.autograde import submission_digest
from classroom.errors import RefusedError
from classroom.export.cells import harmless
from classroom.inside.record import Recorder
from classroom.intake.files import FolderTree
from classroom.outputs import SLACK, size_of
from classroom.sandbox import bubblewrap, policy
from classroom.sandbox.policy import Limits
from classroom.sandbox.template import Template
from classroom.sanitise import clean_html, clean_markdown, clean_notebook
from classroom.session import CellResult, StreamSession, Usage

ANSWER = "def double(x):\n    return 2 * x"
SOON = 10  # seconds, where the attack took minutes


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    """A warm template of next to nothing, in a process that may open 1024 files, as on most machines."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
    with Template(preload=[]) as warm:
        yield warm
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def hand_in(tiny, student: str, *cells, files: dict[bytes, bytes] | None = None, under: str = "inbound") -> None:
    """A right answer with cells of the student's own and other files, in a folder to collect from."""
    notebook = nbformat.read(tiny.root / "assignments" / "tiny" / "tiny.ipynb", as_version=4)
    notebook.cells[0].source = ANSWER
    notebook.cells += cells
    place = tiny.root / under / student
    place.mkdir(parents=True)
    nbformat.write(notebook, place / "tiny.ipynb")
    for name, data in (files or {}).items():
        Path(os.fsdecode(os.path.join(os.fsencode(place), name))).write_bytes(data)


# Names.

ODD = [
    b"\x1b]0;owned\x07\x1b[2K.txt",  # the window's title, and the line gone
    b"x\nrefused    bob: everything",  # a line that we did not say
    "\u202eyp.exe".encode(),  # read from right to left
    "a\u2028b\u0085c.txt".encode(),  # lines to Python, not to JSON
    b"\xff\xfe",  # no UTF-8
    b"\rcollected  eve",
]


def test_names_of_files_are_only_shown(tiny) -> None:
    hand_in(tiny, "eve", files=dict.fromkeys(ODD, b""))
    for command in (("collect", "tiny", "--from", "inbound"), ("collect", "tiny", "--from", "inbound")):
        done = tiny.run(*command)  # the second reads what the first has logged
        assert done.returncode == 0, done.stderr
    for command in (("status", "tiny"), ("show", "eve", "tiny")):
        shown = tiny.run(*command)
        assert shown.returncode == 0, shown.stderr
        done.stdout += shown.stdout
    assert not [letter for letter in done.stdout if not letter.isprintable() and letter not in "\n\N{NO-BREAK SPACE}"]
    assert "\nrefused    bob" not in done.stdout
    assert r"x\nrefused    bob: everything: not part of the project" in done.stdout
    forgotten = tiny.run("forget", "eve", "--yes")
    assert forgotten.returncode == 0, forgotten.stderr


def test_text_for_a_terminal() -> None:
    assert terminal.printable("a\x1b[31m\tb\n\x9b\r\udcff\u202e é 漢 🎈\u200d") == (
        "a\\x1b[31m\tb\n\\x9b\\r\\udcff\\u202e é 漢 🎈\u200d"
    )
    assert terminal.one_line("a\nb\tc") == r"a\nb\tc"
    assert terminal.one_line("a\u200bd\u2060a\U000e0041 \u200d") == "a\\u200bd\\u2060a\\U000e0041 \u200d"
    assert terminal.some(map(str, range(9)), 6) == ["0", "1", "2", "… 3 more …", "6", "7", "8"]


def test_bytes_of_any_kind_have_a_hash(tmp_path: Path) -> None:
    for name in ODD:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(b"")
    os.symlink(b"\xff", os.path.join(os.fsencode(tmp_path), b"link"))
    first = submission_digest(tmp_path)
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    assert submission_digest(tmp_path) != first
    assert time.monotonic() - began < SOON


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes two other users")
def test_a_folder_that_may_be_listed_and_not_entered(tmp_path: Path) -> None:
    for place in (tmp_path, *tmp_path.parents[:3]):
        place.chmod(0o755)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "tiny.ipynb").write_text("{}")
    os.chown(theirs, 64712, 64712)
    theirs.chmod(0o444)
    os.seteuid(64713)
    try:
        with FolderTree(theirs) as tree:
            (entry,) = tree.entries()
            assert entry.reason == "can't be looked at: Permission denied"
            with pytest.raises(RefusedError):
                tree.read(entry)
    finally:
        os.seteuid(0)


def test_the_year_1(tiny) -> None:
    course = tiny.root / "course.yml"
    course.write_text(course.read_text().replace("timezone: UTC", "timezone: Asia/Tokyo"))
    hand_in(tiny, "eve+tiny+0001-01-01 00:00:00")
    hand_in(tiny, "good+tiny+2026-02-05 10:00:00")
    done = tiny.run("collect", "tiny", "--from", "inbound", "--pattern", "exchange")
    assert done.returncode == 0, done.stderr
    assert "refused    eve: its name says the time '0001-01-01 00:00:00', which is none" in done.stdout
    assert "collected  good" in done.stdout


# The whole way.


def test_a_batch_goes_on(tiny) -> None:
    """Names that no file, table or terminal takes, another's folder, and pages that would not be made."""
    heavy = [
        new_code_cell(r"print('a\x1b[38mb')"),  # ended nbconvert with an IndexError
        new_code_cell("x = '''\n" + "\t \n" * 20_000 + "'''"),  # minutes in Pygments
        new_markdown_cell("```perl\n" + "s{" * 20_000 + "\n```"),
    ]
    hand_in(tiny, "good")
    hand_in(tiny, "heavy", *heavy)
    assert tiny.run("collect", "tiny", "--from", "inbound").returncode == 0
    submitted = tiny.root / "course" / "submitted"
    for name in (b"=1+1", b"new\nline", b"\xffbytes", b"x" * 240):
        place = Path(os.fsdecode(os.path.join(os.fsencode(submitted), name))) / "tiny"
        place.mkdir(parents=True)
        (place / "tiny.ipynb").write_text("{}")
    (submitted / "thief").symlink_to("good")
    done = tiny.run("autograde", "tiny", "--json", str(tiny.root / "report.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tiny.root / "report.json").read_text())["submissions"]
    assert {name: record["outcome"] for name, record in found.items()} == {
        "good": "graded",
        "heavy": "graded",
        "thief": "refused",
    }
    assert done.stdout.count("is no student's name") == 4
    began = time.monotonic()
    done = tiny.run("feedback", "tiny")
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - began < 2 * SOON
    assert (tiny.root / "course" / "feedback" / "heavy" / "tiny" / "tiny.html").is_file()


def test_names_in_the_table_of_grades() -> None:
    assert harmless('=HYPERLINK("http://x")') == '\'=HYPERLINK("http://x")'
    assert "\n" not in harmless("E,100,0,100\n")
    assert (harmless("@x"), harmless("O'Hara"), harmless("ada@example.org")) == ("'@x", "O'Hara", "ada@example.org")


# Pages.


@pytest.mark.parametrize(
    "html",
    [
        "<ul><li>" * 60_000,
        "<div>" * 100_000,
        "<div></b>" * 50_000,
        '<div title="></div>">' * 30_000,
        "<div><!-- </div> -->" * 30_000,
        "<div><textarea></div></textarea>" * 20_000,
        '<div a=b"c d="e></div>">' * 30_000,
        "<td " + " ".join(f"a{n}=1" for n in range(60_000)) + ">",
        "<!--" * 100_000,
    ],
    ids=lambda html: html[:12],
)
def test_html_of_many_levels(html: str) -> None:
    began = time.monotonic()
    page = clean_html(html)
    assert time.monotonic() - began < SOON
    level = highest = 0
    for closing in re.findall(r"<(/?)(?:ul|li|div|b)>", page):
        level += -1 if closing else 1
        highest = max(highest, level)
    assert highest <= 300


def test_a_large_table_stays_a_table() -> None:
    row = '<tr><td colspan="2">1 &lt; 2</td><td>a <b>b</b></td></tr>'
    table = f'<table border="1"><tbody>{row * 2000}</tbody></table>'
    assert clean_html(f"<style>td {{ color: red }}</style><!-- x -->{table}") == table


def cleaned(*outputs: dict, source: str = "") -> dict:
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "source": source, "outputs": list(outputs)}
    return clean_notebook({"cells": [cell], "metadata": {}})["cells"][0]


def test_codes_of_colour() -> None:
    text = "a\x1b[38mb\x1b[1;31mred\x1b[0m\x1b[2K\x1b]0;t\x07" + "\x1b[1mx" * 100_000
    stream, error = cleaned(
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": [text, "\x1b[48m"]},
    )["outputs"]
    assert stream["text"].startswith("ab\x1b[1;31mred\x1b[0m]0;t")
    assert stream["text"].count("\x1b") < 3000
    assert "".join(error["traceback"]).count("\x1b") < 3000


def test_code_that_takes_long_to_colour() -> None:
    assert cleaned(source=ANSWER)["metadata"] == {}
    for source in ("x = 1 #" + "a." * 50_000, "\t \n" * 1000 + "1", "a = 1\n%%perl\n" + "s{\n" * 5000):
        assert cleaned(source=source)["metadata"] == {"magics_language": "text"}
    assert cleaned(source="%%perl\n" + "s{\n" * 5000)["source"].startswith("#")
    began = time.monotonic()
    assert "perl" not in clean_markdown("```perl\n" + "s{" * 10_000 + "\n```\n<b>")
    assert time.monotonic() - began < SOON
    assert clean_markdown("```perl\nprint 1;\n```") == "```perl\nprint 1;\n```"


def test_a_picture_of_a_billion_pixels() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def picture(side: int) -> dict:
        head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100)))
        encoded = base64.b64encode(data + chunk(b"IEND", b"")).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": encoded}}

    small, large = cleaned(picture(100), picture(40_000))["outputs"]
    assert list(small["data"]) == ["image/png"]
    assert list(large["data"]) == ["text/plain"]


# Outputs that add up.


def test_outputs_of_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 kB of error in each of 2000 cells were 800 MB, through the shell of ours and past it."""
    frames = {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["x" * 9000] * 40}
    ours, theirs = socket.socketpair()
    limits = Limits(cell_output_bytes=100_000, output_bytes=1_000_000)

    def lie() -> None:
        with contextlib.suppress(OSError), theirs:
            number = 0
            while head := theirs.recv(4):
                theirs.recv(struct.unpack(">I", head)[0])
                number += 1
                body = json.dumps({"id": number, "status": "error", "cpu": 0, "outputs": [frames]}).encode()
                theirs.sendall(struct.pack(">I", len(body)) + body)

    liar = threading.Thread(target=lie)
    liar.start()
    session = StreamSession(ours, limits, end=Usage, why=lambda: "exit")
    results = [session.run("", seconds=20) for _ in range(30)]
    session.close()
    liar.join(SOON)
    assert sum(size_of(result.outputs) for result in results) < 1_000_000 + SLACK + 30 * 20_000
    assert (results[-1].status, results[-1].reason) == ("not-run", "output")

    recorder = Recorder(limits.cell_output_bytes, limits.output_bytes)
    left = 0
    for _ in range(100):
        recorder.start()
        recorder.add({**frames, "evalue": "v" * 20_000})
        outputs = recorder.finish()
        assert outputs[0]["ename"] == "E"  # what a grade depends on is kept
        left += size_of(outputs)
    assert left < 1_000_000 + SLACK + 100 * 5000


def test_letters_of_many_bytes_are_cut_by_bytes() -> None:
    recorder = Recorder(10_000, 100_000)
    recorder.stream("stdout", "漢" * 10_000)
    (text, note) = recorder.finish()
    assert len(text["text"].encode()) <= 10_000
    assert "output cut" in note["text"]


def test_remarks_without_end(tiny, make_result: Callable) -> None:
    from classroom.folder import Folder
    from classroom.job import MOST_NOTES, run_job
    from classroom.results import MOST_SAID, compose

    class Fails:
        def run(self, source: str, *, seconds: float) -> CellResult:
            return CellResult([{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}], "error")

        def close(self) -> Usage:
            return Usage()

    cells = [json.loads(json.dumps(new_code_cell("x"))) for _ in range(1000)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    job = {"number": 0, "notebooks": {"a.ipynb": notebook}, "limits": Limits().as_dict()}
    outcome = run_job(job, lambda limits, files: Fails())
    assert len(outcome["note"].split("; ")) == MOST_NOTES + 1
    about = {"student": "eve", "project": "tiny", "submission": "s", "grader": "g"}
    said = compose(outcome, {}, **about, notes=map(str, range(100_000)))["rebuilt"]
    assert len(said) == MOST_SAID + 1
    assert Folder(tiny.root).misnamed("tiny") == []


# In the sandbox.

IN_FLIGHT = """
import os, resource, socket
pairs, sent, null = [], 0, os.open("/dev/null", os.O_RDONLY)
try:
    while sent < 50_000:
        pairs.append(socket.socketpair())
        pairs[-1][0].setblocking(False)
        for _ in range(4):
            socket.send_fds(pairs[-1][0], [b"x"], [null] * 250)
            sent += 250
except OSError as error:
    print(error)
print(sent > 1024)
"""


def text_of(result: CellResult) -> str:
    assert result.status == "ok", result
    return "".join(output.get("text", "") for output in result.outputs)


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8192, reason="nobody may open more files than the template itself"
)
def test_descriptors_on_their_way(template: Template) -> None:
    """The kernel counts them for all of a user: they made the template fail to send its own, and end with everybody."""
    with template.open(Limits(), {}) as hostile, template.open(Limits(), {}) as neighbour:
        assert text_of(hostile.run(IN_FLIGHT, seconds=20)).endswith("True\n")
        with template.open(Limits(), {}) as following:
            assert text_of(following.run("print(1)", seconds=20)) == "1\n"
        assert text_of(neighbour.run("print(2)", seconds=20)) == "2\n"
        assert text_of(hostile.run("print(3)", seconds=20)) == "3\n"


SHARED = """
import ctypes, errno, fcntl, os, resource
libc = ctypes.CDLL(None, use_errno=True)
file = os.open("/opt/library/deeppractice/__init__.py", os.O_RDONLY)
for request in (1024, 1026):  # F_SETLEASE, F_NOTIFY
    try:
        fcntl.fcntl(file, request, fcntl.F_RDLCK)
        print("done")
    except OSError as error:
        print(error.errno == errno.EPERM)
print(libc.inotify_init1(0), ctypes.get_errno() == errno.ENOSYS)
print(resource.getrlimit(resource.RLIMIT_SIGPENDING)[1] <= 1024)
print(os.listdir("/usr/share/doc"))
"""


def test_what_all_sandboxes_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases make everybody else wait who opens a file; the exchange would lie open to code that runs as its owner."""
    monkeypatch.setattr(policy, "PRIVATE", (*policy.PRIVATE, "/usr/share/doc"))
    with Template(preload=[]) as warm, warm.open(Limits(), {}) as session:
        assert text_of(session.run(SHARED, seconds=20)) == "True\nTrue\n-1 True\nTrue\n[]\n"


def test_places_that_are_nobodys_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/usr/local/share/nbgrader" in policy.PRIVATE
    monkeypatch.setattr(policy, "PRIVATE", ("/usr/share", "/nowhere", f"{policy.ENVIRONMENT}/lib"))
    with policy.stage() as staged:
        line = bubblewrap.command(["true"], staged=staged, nested=True)
    covered = {line[n + 2] for n, word in enumerate(line) if word == "--ro-bind" and line[n + 1].endswith("empty")}
    assert "/usr/share" in covered
    assert "/nowhere" not in covered
    if not policy.in_system(Path(policy.sys.prefix)):
        assert f"{policy.ENVIRONMENT}/lib" in covered
