"""Two notebooks of one project with cells of the same ids, as nbgrader allows: nobody's points get mixed up.

A tiny project of two notebooks, `a` and `b`, whose answers, tests and written parts have the same ids; in `a` a test is
worth 3 points, in `b` 5.
"""

import json
from pathlib import Path

import nbformat
import pytest

from classroom import lintbank
from classroom.audit.verdicts import count, given, in_session, lost, names_in, require_cells
from classroom.errors import ClassroomError
from classroom.feedback.marks import NotebookMarks
from classroom.feedback.parts import parts_of
from classroom.folder import Folder
from classroom.partnames import PartNames
from classroom.release import check_points
from classroom.report import grades
from classroom.results import write_result
from classroom.statistics import report
from classroom.status import show, status
from classroom.writer import Writer

CHECKS = [{"name": "value", "points": 2.0, "passed": True, "error": "", "hint": "", "hidden": False}]


@pytest.fixture
def two(tiny) -> Folder:
    """The tiny course with a second notebook."""
    place = tiny.root / "solutions" / "tiny"
    first = nbformat.read(place / "tiny.ipynb", as_version=4)
    (place / "tiny.ipynb").unlink()
    for name, points in (("a", 3), ("b", 5)):
        first.cells[1].metadata.nbgrader.points = points
        nbformat.write(first, place / f"{name}.ipynb")
    (tiny.root / "course" / "gradebook.db").unlink()
    assert tiny.run("release", "tiny").returncode == 0
    return Folder(tiny.root)


@pytest.fixture
def graded(two, make_result) -> tuple[Folder, dict]:
    """Ada: nothing for the test in `a`, all in `b`."""
    record = make_result(two, "ada", {"double": "def double(x):\n    return 2 * x", "why": "So."})
    record["points"]["a.ipynb"]["double-tests"]["auto"] = 0.0
    for cell in record["cells"]["b.ipynb"]:
        if cell["grade_id"] == "double-tests":
            cell |= {"checks": CHECKS, "by": "examiner"}
    for cell in record["cells"]["a.ipynb"]:
        if cell["grade_id"] == "double-tests":
            cell |= {"checks": [CHECKS[0] | {"passed": False, "error": "no"}], "by": "examiner"}
    for name in ("a", "b"):
        path = two.path("submitted", "tiny", "ada") / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record["notebooks"][f"{name}.ipynb"]))
    write_result(two.record("result", "tiny", "ada"), record)
    with Writer(two, "tiny") as writer:
        writer.merge(record)
    return two, record


def test_names():
    names = PartNames([("a.ipynb", "x"), ("a", "x"), ("b.ipynb", "y"), ("a", "z"), ("b", "z"), ("a", None)])
    assert [names.of("a", "x"), names.of("b.ipynb", "y")] == ["x", "y"], "with or without .ipynb is one notebook"
    assert [names.of("a.ipynb", "z"), names.of("b", "z")] == ["a/z", "b/z"]
    assert names.of("a.ipynb", "gone") == "a/gone", "of what is not known, there may be two"


def test_the_tables(graded):
    folder, _ = graded
    parts = grades(folder, "tiny")["ada"]["parts"]
    assert parts == {"a/double-tests": 0.0, "a/why": None, "b/double-tests": 5.0, "b/why": None}
    said: list[str] = []
    status(folder, "tiny", said.append)
    assert "a/double-tests  a/why  b/double-tests  b/why" in said[1]
    said.clear()
    show(folder, "ada", "tiny", said.append)
    shown = [line.split() for line in said if line.split()[:1] == ["double-tests"]]
    assert [line[-3:] for line in shown] == [["0", "of", "3"], ["5", "of", "5"]]


def test_the_report(graded):
    folder, _ = graded
    made = report(folder, "tiny", lambda text: None)
    assert [(part["cell"], part["points"], part["mean"]) for part in made["parts"]] == [
        ("a/double-tests", 3.0, 0.0),
        ("a/why", 1.0, None),
        ("b/double-tests", 5.0, 1.0),  # of what it is worth
        ("b/why", 1.0, None),
    ]
    counted = {(one["cell"], one["name"]): (one["made"], one["failed"]) for one in made["checks"]}
    assert counted == {("a/double-tests", "value"): (1, 1), ("b/double-tests", "value"): (1, 0)}
    page = Path(made["file"]).read_text()
    assert "a/double-tests" in page
    assert "b/double-tests" in page


def test_an_audit(graded):
    folder, record = graded
    masters = {f"{n}.ipynb": nbformat.read(folder.path("release", "tiny") / f"{n}.ipynb", 4) for n in ("a", "b")}
    names = names_in(masters)
    assert given(record, names) == {("b/double-tests", ""): 5.0}
    assert [line.partition(":")[0] for line in lost(record, names)] == ["a/double-tests"]
    record["cells"]["b.ipynb"][1]["by"] = "session"
    assert in_session([record], names) == ["b/double-tests"]
    require_cells([{"cell": "a/double-tests"}], masters)
    with pytest.raises(ClassroomError, match="no test cell 'double-tests'; did you mean b/double-tests or a/double"):
        require_cells([{"cell": "double-tests"}], masters)
    assert count([], {}, []) == []


def test_a_bank(two, tmp_path):
    source = {f"{n}.ipynb": nbformat.read(two.path("source", "tiny") / f"{n}.ipynb", 4) for n in ("a", "b")}
    path = lintbank.bank_path(two, "tiny")
    path.parent.mkdir(parents=True)
    member = "- {id: one, kind: mistake, cells: {b/double: 'double = abs'}, points: {b/double-tests: 0}}\n"
    path.write_text(member)
    tests = {"a/double-tests": 3.0, "b/double-tests": 5.0}
    (found,) = lintbank.members(two, "tiny", source, tests)
    made = lintbank.patched(source, found)
    assert [made[name].cells[0].source == "double = abs" for name in source] == [False, True]
    path.write_text(member.replace("b/double:", "double:"))
    with pytest.raises(ClassroomError, match="no answer cell 'double'"):
        lintbank.members(two, "tiny", source, tests)
    outcome = {"notebooks": source, "note": ""}

    def verdicts(outcome: dict, name: str) -> dict:
        return {"double-tests": (3.0, {}, "") if name == "a.ipynb" else (0.0, {}, "")}

    assert list(lintbank.compared(found, outcome, verdicts, lintbank.names_in(source))) == []
    other = found | {"points": {"a/double-tests": 0}}
    (wrong,) = lintbank.compared(other, outcome, verdicts, lintbank.names_in(source))
    assert (wrong.notebook, wrong.cell) == ("a.ipynb", "a/double-tests")
    assert "gets 3 points, expected 0" in wrong.what


def test_project_yml_has_to_say_which(two):
    parts = "".join(
        f"  - {{name: {n}, cell: {n}/{c}, points: {p}, graded: {how}}}\n"
        for n, worth in (("a", 3), ("b", 5))
        for c, p, how in (("double-tests", worth, "by tests"), ("why", 1, "by hand"))
    )
    path = two.path("source", "tiny") / "project.yml"
    path.write_text(f"title: T\npoints: 10\nparts:\n{parts}limits: {{cell_seconds: 60}}\n")
    check_points(two, "tiny")
    titles = {}
    for name in ("a", "b"):
        notebook = nbformat.read(two.path("release", "tiny") / f"{name}.ipynb", as_version=4)
        found = parts_of(notebook, [], NotebookMarks(), {}, two.project("tiny"), stem=name)
        titles[name] = [part.title for part in found]
    assert titles == {"a": ["a", "a"], "b": ["b", "b"]}
    path.write_text(path.read_text().replace("cell: a/double-tests", "cell: double-tests"))
    with pytest.raises(ClassroomError, match=r"cell a/double-tests: project\.yml says no such cell"):
        check_points(two, "tiny")


KINDS = {
    "all": ("right", 5, None),
    "less than all": ("right", 4, "right one expects 4 points, and a right has to get all 5"),
    "a range": ("right", [4, 5], "right one expects 4 to 5 points, and a right has to get all 5"),
    "nothing for work": ("right", 0, "right one expects 0 points"),
    "a mistake": ("mistake", [0, 4], None),
    "a mistake with all": ("mistake", 5, "mistake one expects 5 points, and a mistake has to lose some of 5"),
    "a mistake with perhaps all": ("mistake", [0, 5], "mistake one expects 0 to 5 points"),
    "a shortcut": ("shortcut", 0, None),
    "a shortcut that pays": ("shortcut", 5, "shortcut one expects 5 points, and a shortcut has to get 0"),
    "the wrong way round": ("mistake", [3, 1], "mistake one expects 3 to 1 points"),
}


@pytest.mark.parametrize(("kind", "points", "said"), KINDS.values(), ids=KINDS)
def test_an_answer_expects_what_its_kind_can_get(kind, points, said):
    member = {"id": "one", "kind": kind, "cells": {"x": ""}, "points": {"x-tests": points}}
    found = [one.what for one in lintbank.unlike_their_kind([member], {"x-tests": 5.0}, "bank.yml")]
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_ids_are_one_answers_and_only_a_mistake_fails_checks():
    members = [
        {"id": "one", "kind": "right", "cells": {}, "points": {"x-tests": 5}, "fails": ["value"]},
        {"id": "one", "kind": "shortcut", "cells": {}, "points": {"x-tests": 0}},
    ]
    found = [one.what for one in lintbank.unlike_their_kind(members, {"x-tests": 5.0}, "bank.yml")]
    assert found == ["2 answers are called one", "right one names checks that it fails, which only a mistake does"]
