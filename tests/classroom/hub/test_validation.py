"""Validate, in a real Jupyter server with a student's settings: notebooks on disk, what the button gets to show.

Cases: unanswered, also below a cell of the course's that fails; wrong, with markup in the message; right; a written
part; a changed test cell; a kernel that is not there, that dies, that a cell keeps busy without end; a person who does
not wait; a notebook without tests; what is no notebook, nothing at all, or outside of the home; the same for
nbgrader's own button.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
import requests
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.utils import compute_checksum

from .server import HEADERS, ROOT, Server

STUB = 'raise NotImplementedError("replace this line with your answer")'
TESTS = """\
with check("small", points=1, hint="twice as much"):
    found = double(2)
    assert found == 4, f"got {found}, expected 4"
score(further="one, on negative numbers")"""


def make(path: Path, answer: str = STUB, written: str = "*Replace this line with your answer.*", **changed) -> Path:
    """An assignment as it is released, with an answer; `changed` are other kernels or test cells."""

    def meta(name: str, **more) -> dict:
        known = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
        return {"nbgrader": known | {"grade_id": name} | more}

    body = answer if answer.startswith(("import", "while")) else f"def double(x):\n    {answer}"
    notebook = new_notebook(
        metadata={"kernelspec": {"name": changed.get("kernel", "python3"), "display_name": "", "language": "python"}},
        cells=[
            new_code_cell("from deeppractice.checks import check, score"),
            new_markdown_cell("# Title\n\n## Part 1. Double"),
            new_code_cell(body, metadata=meta("double", solution=True)),
            new_code_cell(TESTS, metadata=meta("double-tests", grade=True, locked=True, points=1)),
            new_markdown_cell("## Part 2. Why"),
            new_markdown_cell(written, metadata=meta("why", grade=True, solution=True, points=1)),
        ],
    )
    cell = notebook.cells[3]
    cell.metadata.nbgrader.checksum = compute_checksum(cell)
    cell.source = changed.get("tests", TESTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


class Home(Server):
    """A student's home with a server that runs in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        environment = {"HOME": str(place), "PYTHONPATH": str(ROOT / "lib")}
        super().__init__(place, "student", place.parent / "server.log", environment)

    def ask(self, path: str, **data) -> requests.Response:
        method = requests.post if data else requests.get
        return method(f"{self.address}/{path}", headers=HEADERS, timeout=120, **data)

    def validate(self, path: str) -> dict:
        answer = self.ask("assignments/validate", json={"path": path})
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    place = tmp_path_factory.mktemp("validation") / "home"
    place.mkdir()
    home = Home(place)
    try:
        home.wait()
        yield home
    finally:
        home.stop()


def test_an_unanswered_notebook(home):
    make(home.place / "course" / "new.ipynb")
    told = home.validate("course/new.ipynb")["told"]
    assert [part["state"] for part in told["parts"]] == ["unanswered", "unwritten"]
    assert "0 of 1 tested parts pass" in told["text"]
    assert "· Part 1. Double: no answer yet." in told["text"]
    assert "· Part 2. Why: nothing written yet." in told["text"]
    assert "negative" not in told["text"], "further checks are of no interest before there is an answer"


def test_a_wrong_answer_is_shown_with_what_it_gave_and_nothing_in_it_is_markup(home):
    path = make(home.place / "wrong.ipynb", "return '<img src=x onerror=alert(1)>'", "Because.")
    before = path.read_bytes()
    answer = home.validate("wrong.ipynb")
    told = answer["told"]
    assert [part["state"] for part in told["parts"]] == ["failed", "written"]
    assert "✗ Part 1. Double: not yet." in told["text"]
    assert "got <img src=x onerror=alert(1)>, expected 4" in told["text"], "as text; the dialog sets it as text"
    (failed,) = answer["value"]["failed"]
    assert "<img" not in failed["error"], "nbgrader's own page sets this as markup"
    assert "&lt;img" in failed["error"]
    assert path.read_bytes() == before, "a copy was run"


def test_a_right_answer_names_what_grading_makes_besides(home):
    make(home.place / "right.ipynb", "return 2 * x", "Because.")
    answer = home.validate("right.ipynb")
    assert answer["success"]
    assert "1 of 1 tested parts pass the checks that you can see." in answer["told"]["text"]
    assert "Grading makes further checks: one, on negative numbers." in answer["told"]["text"]
    assert answer["value"] == {}, "a success, for nbgrader's own button"


def test_an_answer_that_python_cannot_read(home):
    make(home.place / "syntax.ipynb", "return 2 x")
    told = home.validate("syntax.ipynb")["told"]
    assert told["parts"][0]["state"] == "failed"
    assert "the cell with the answer ended with SyntaxError: invalid syntax (line 2)" in told["text"]
    assert "NameError" not in told["text"], "what the checks say of an answer that is not there"


def test_a_cell_of_the_courses_that_fails_makes_no_answer_wrong(home):
    path = make(home.place / "supplied.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    assert home.validate("supplied.ipynb")["told"]["parts"][0]["state"] == "unanswered"
    notebook.cells[3].source = "def double(x):\n    return 3"
    nbformat.write(notebook, path)
    told = home.validate("supplied.ipynb")["told"]
    assert "a cell before it ended with ZeroDivisionError: division by zero" in told["text"]
    assert "got 3, expected 4" in told["text"]


def test_a_changed_test_cell_is_said(home):
    make(home.place / "changed.ipynb", "return 5", tests=TESTS.replace("== 4", "== 5"))
    answer = home.validate("changed.ipynb")
    assert answer["told"]["changed"] == ["Part 1. Double"]
    assert "! Part 1. Double: a test cell was changed. Grading puts the released one back." in answer["told"]["text"]
    assert answer["value"], "no success, for nbgrader's own button"


def test_a_kernel_that_is_not_there(home):
    make(home.place / "julia.ipynb", "return 2 * x", kernel="julia-1.9")
    answer = home.validate("julia.ipynb")
    assert not answer["success"]
    assert "its kernel is 'julia-1.9', which is not here" in answer["value"]
    assert "Change Kernel" in answer["value"]


def test_a_kernel_that_dies(home):
    make(home.place / "dies.ipynb", "import os; os._exit(1)")
    answer = home.validate("dies.ipynb")
    assert not answer["success"]
    assert "the kernel ended" in answer["value"]


def test_a_cell_without_end(home):
    path = make(home.place / "endless.ipynb", "while True: pass")
    line = [sys.executable, "-P", "-m", "classroom.hub.validation", str(path), "3"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["text"]
    assert "the cell with the answer took longer than 3 seconds and was stopped" in said


def test_a_person_who_does_not_wait(home):
    make(home.place / "left.ipynb", "while True: pass")
    with pytest.raises(requests.Timeout):
        requests.post(f"{home.address}/assignments/validate", headers=HEADERS, json={"path": "left.ipynb"}, timeout=8)
    until, running = time.monotonic() + 60, [home.process]
    while running:
        assert time.monotonic() < until, "what nobody waits for still runs"
        time.sleep(0.2)
        below = psutil.Process(home.process.pid).children(recursive=True)
        running = [one for one in below if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_notebook_without_tests(home):
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), home.place / "own.ipynb")
    assert "own.ipynb has no tests" in home.validate("own.ipynb")["told"]["text"]


@pytest.mark.parametrize("content", ["no notebook", "[]", "{}", '{"cells": 3, "nbformat": 4}', "", "\xff\xfe"])
def test_what_is_no_notebook(home, content):
    (home.place / "none.ipynb").write_text(content, encoding="latin-1")
    answer = home.validate("none.ipynb")
    assert not answer["success"]
    assert "none.ipynb could not be run: it is no notebook" in answer["value"]


@pytest.mark.parametrize("path", ["../outside.ipynb", "link.ipynb", "/etc/passwd", "nothing.ipynb", "", "folder.ipynb"])
def test_what_is_not_in_the_home(home, path):
    outside = make(home.place.parent / "outside.ipynb")
    (home.place / "folder.ipynb").mkdir(exist_ok=True)
    link = home.place / "link.ipynb"
    if not link.is_symlink():
        link.symlink_to(outside)
    refused = home.ask("assignments/validate", json={"path": path})
    assert refused.status_code == 404
    assert "no notebook" in refused.json()["message"]


@pytest.mark.parametrize("body", [b"[]", b"3", b'{"path": 3}', b"{", b'{"path": "a\\u0000.ipynb"}'])
def test_what_is_no_request(home, body):
    assert home.ask("assignments/validate", data=body).status_code in (400, 404)
