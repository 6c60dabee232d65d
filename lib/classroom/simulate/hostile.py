"""Submissions that mean harm, or do it by accident; for trying out that a class with them is graded like any other.

They are right submissions with something before the first answer, or files that are not what their names say. Tests of
the sandbox itself, one a layer, stand in tests/; here is one of each class that an instructor should have seen.
"""

import io
import json
import os
import zipfile
from collections.abc import Callable
from random import Random

from classroom.simulate.honest import Kind
from classroom.simulate.material import Work, grade_id, own_cell

WITNESS = "a-simulated-student-was-here"  # a file of this name outside the sandbox would show a leak

EXIT = "import os\nos._exit(0)"
KILL = "import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getpid(), signal.SIGKILL)"
ENDLESS = "while True:\n    pass"
STUBBORN = """\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""
FORKS = """\
import os, time
for _ in range(100_000):
    try:
        if os.fork() == 0:
            time.sleep(3600)
    except OSError:
        break"""
MEMORY = "hoard = []\nwhile True:\n    hoard.append(bytearray(b'x' * 50_000_000))"
FLOOD = "while True:\n    print('flood ' * 10_000)"
NETWORK = """\
import socket, urllib.request
for way in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=2),
    lambda: socket.create_connection(("127.0.0.1", 22), timeout=2),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: urllib.request.urlopen("http://169.254.169.254/", timeout=2),
):
    try:
        print("reached", way())
    except Exception as error:
        print(type(error).__name__)"""
READ = """\
import os, pathlib
for place in ({root!r}, "/root", "/home", "/proc/1", *pathlib.Path.cwd().parents):
    for top, folders, names in os.walk(place):
        if pathlib.Path(top).parts[1:2] in (("usr",), ("lib",), ("proc",), ("sys",)):
            folders.clear()
        for name in names:
            if name in ("gradebook.db", "project.yml", "demo.yml", "course.yml"):
                print("found", top, name, open(os.path.join(top, name), "rb").read(200))
print({{k: v for k, v in os.environ.items() if "TOKEN" in k or "SECRET" in k or "PASSWORD" in k}})"""
WRITE = """\
import pathlib
for place in ({root!r}, "/", "/etc", "/tmp", "/var/tmp", "/dev/shm", "/root", pathlib.Path.home()):
    try:
        (pathlib.Path(place) / {witness!r}).write_text("written by a submission")
    except OSError as error:
        print(place, type(error).__name__)"""
DISK = """\
try:
    with open("fill", "wb") as file:
        while True:
            file.write(bytes(10_000_000))
except OSError as error:
    print(type(error).__name__)"""
DAEMON = """\
import subprocess
subprocess.Popen(["sleep", "100000"], start_new_session=True, stdout=subprocess.DEVNULL)"""
MARKUP = """\
from IPython.display import HTML, Javascript, display
display(HTML("<script>document.title = 'owned'</script><img src=x onerror='document.title=1'><form action=//x>"))
display(Javascript("document.title = 'owned'"))
print("</pre><script>document.title = 'owned'</script>")"""


def first(code: str) -> Callable[[Work, Random], None]:
    """A kind that runs `code` at the top of the first answer."""

    def make(work: Work, chance: Random) -> None:
        text = code.format(root=str(work.material.root), witness=WITNESS) if "{root!r}" in code else code
        work.code().source = f"{text}\n\n{work.code().source}"

    return make


def in_a_cell_of_its_own(code: str) -> Callable[[Work, Random], None]:
    """A kind that runs `code` in an extra cell before the first answer."""

    def make(work: Work, chance: Random) -> None:
        cells = work.notebook.cells
        cells.insert(cells.index(work.code()), own_cell(code))

    return make


def skip_tags(work: Work, chance: Random) -> None:
    """Nothing is answered, and the tests are tagged so that common tools leave them out."""
    work.begin()
    for cell in work.tests():
        cell.metadata["tags"] = ["skip-execution", "raises-exception", "remove-cell"]
        cell.metadata["deletable"] = True


def forged_tests(work: Work, chance: Random) -> None:
    """Nothing is answered; the tests are replaced, worth more, and no longer locked."""
    work.begin()
    for cell in work.tests():
        cell.source = "pass"
        cell.metadata["nbgrader"] |= {"points": 1000, "locked": False, "solution": True}


def second_tests(work: Work, chance: Random) -> None:
    """Nothing is answered; cells with the tests' names follow, in which nothing is tested."""
    work.begin()
    for number, cell in enumerate(work.tests(), 1):
        copy = own_cell("pass", number)
        copy.metadata = json.loads(json.dumps(cell.metadata))
        work.notebook.cells.append(copy)
        assert grade_id(copy) == grade_id(cell)


def link_to_the_source(work: Work, chance: Random) -> None:
    work.links[work.name] = str(work.material.source / work.name)


def link_to_a_folder(work: Work, chance: Random) -> None:
    work.links["everything"] = "/"


def archive_bomb(work: Work, chance: Random) -> None:
    """An archive of 50 kB that would be 50 MB, beside a right notebook: not on the list, so it is not opened."""
    work.files["appendix.zip"] = _zipped({"zeros.csv": bytes(50_000_000)})


def archive_for_a_notebook(work: Work, chance: Random) -> None:
    work.files[work.name] = _zipped({work.name: work.text().encode()})


def not_json(work: Work, chance: Random) -> None:
    work.files[work.name] = work.text().encode()[:-200]


def no_notebook(work: Work, chance: Random) -> None:
    work.files[work.name] = b'{"cells": "none", "nbformat": 4, "nbformat_minor": 5, "metadata": {}}'


def deep_json(work: Work, chance: Random) -> None:
    """So many lists in each other that a parser runs out of stack."""
    work.files[work.name] = b"[" * 200_000 + b"]" * 200_000


def impossible_time(work: Work, chance: Random) -> None:
    work.when = "the day before the due date"


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # its date is fixed
    return buffer.getvalue()


EITHER = "graded|student-error"
HOSTILE = [
    Kind("hostile", "exits", first(EXIT), "student-error", "less"),
    Kind("hostile", "kills", first(KILL), EITHER, "any"),
    Kind("hostile", "endless loop", first(ENDLESS), EITHER, "less"),
    Kind("hostile", "stubborn loop", first(STUBBORN), EITHER, "less"),
    Kind("hostile", "fork bomb", first(FORKS), EITHER, "any"),
    Kind("hostile", "memory", first(MEMORY), EITHER, "less"),
    Kind("hostile", "output flood", first(FLOOD), EITHER, "less"),
    Kind("hostile", "network", first(NETWORK)),
    Kind("hostile", "reads the course", first(READ)),
    Kind("hostile", "writes everywhere", first(WRITE)),
    Kind("hostile", "fills the disk", first(DISK), EITHER, "any"),
    Kind("hostile", "process left behind", first(DAEMON)),
    Kind("hostile", "markup", in_a_cell_of_its_own(MARKUP)),
    Kind("hostile", "skip tags", skip_tags, points="less"),
    Kind("hostile", "forged tests", forged_tests, points="less"),
    Kind("hostile", "second tests", second_tests, points="less"),
    Kind("hostile", "link to the source", link_to_the_source, "refused", "none"),
    Kind("hostile", "link to a folder", link_to_a_folder),
    Kind("hostile", "archive bomb", archive_bomb),
    Kind("hostile", "archive for a notebook", archive_for_a_notebook, "refused", "none"),
    Kind("hostile", "not JSON", not_json, "refused", "none"),
    Kind("hostile", "no notebook", no_notebook, "refused", "none"),
    Kind("hostile", "deep JSON", deep_json, "refused", "none"),
    Kind("hostile", "impossible time", impossible_time, "refused", "none"),
]


def write_links(links: dict[str, str], place: str | os.PathLike) -> None:
    """Make the links of a submission; they may point at nothing."""
    for name, target in links.items():
        os.symlink(target, os.path.join(place, name))
