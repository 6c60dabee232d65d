"""`status` and `show`: what changed after grading and which command is next; the order of parts; who handed in nothing
but what was refused; due dates in the course's own time; the class that was named on the command line; one and many."""

import json
from datetime import datetime

import nbformat
import pytest

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.report import grades, overview
from classroom.results import write_result
from classroom.standing import Since, submission_digest
from classroom.status import _cells, show, status
from classroom.writer import Writer


@pytest.fixture
def graded(tiny, make_result) -> Folder:
    """ada's submission, graded as the engine does it: result and submission belong together."""
    place = tiny.hand_in("ada", "tiny", "def double(x):\n    return 2 * x").parent
    folder = Folder(tiny.root)
    about = {"submission": submission_digest(place), "grader": Since(folder, "tiny").grader}
    record = make_result(folder, "ada", {"why": "So."}) | about
    write_result(folder.record("result", "tiny", "ada"), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)
    return folder


def told(folder: Folder) -> tuple[str, dict]:
    said: list[str] = []
    report = status(folder, "tiny", said.append)
    return "\n".join(said), report


def refuse(folder: Folder, student: str, **more: object) -> None:
    log = folder.home / "intake" / "tiny.jsonl"
    log.parent.mkdir(exist_ok=True)
    record = {"student": student, "file": "", "reason": "no notebook", "origin": "x", "attempt": None, "time": None}
    with open(log, "a") as file:
        file.write(json.dumps({**record, "when": "2026-02-05 10:00:00 UTC", **more}) + "\n")


def test_what_stands_needs_nothing(graded):
    text, report = told(graded)
    assert "next:" not in text
    assert "changed" not in text
    assert "\n1 submission: 1 graded" in text
    assert (report["students"][0]["changed"], report["source_changed"]) == (False, False)


def test_a_submission_that_changed_is_graded_next(graded):
    path = graded.path("submitted", "tiny", "ada") / "tiny.ipynb"
    path.write_text(path.read_text() + "\n")
    text, report = told(graded)
    assert "changed since it was graded" in text
    assert text.endswith("next: classroom autograde tiny")
    assert report["students"][0]["changed"]


def test_a_release_that_changed_is_what_to_grade_with_next(graded):
    with graded.gradebook() as gradebook:
        gradebook.find_source_cell("double-tests", "tiny", "tiny").source += "\nassert double(0) == 0"
        gradebook.db.commit()
    text, _ = told(graded)
    assert "the release has changed since it was graded" in text
    assert text.endswith("next: classroom autograde tiny")


def test_a_source_that_changed_is_not_in_the_release_yet(graded):
    path = graded.path("source", "tiny") / "tiny.ipynb"
    path.write_text(path.read_text().replace("Because it is.", "Because so it is."))
    text, report = told(graded)
    assert "the source is not what was released; to use it: classroom amend tiny" in text
    assert report["source_changed"]


def test_a_gradebook_that_does_not_fit_the_release_does_not_end_status(graded):
    path = graded.path("release", "tiny") / "tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    del notebook.cells[1]
    path.chmod(0o644)
    nbformat.write(notebook, path)
    assert "ada" in told(graded)[0]
    path.write_text("{")
    assert "ada" in told(graded)[0]


def test_parts_stand_in_the_order_of_the_release(graded):
    assert list(grades(graded, "tiny")["ada"]["parts"]) == ["double-tests", "why"]
    path = graded.path("release", "tiny") / "tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.reverse()
    path.chmod(0o644)
    nbformat.write(notebook, path)
    assert list(overview(graded, "tiny")[0]["parts"]) == ["why", "double-tests"]


def test_written_parts_stand_between_the_cells_that_ran():
    cells = [{"grade_id": name, "status": "ok", "seconds": 0.1} for name in ("setup", "one-tests", "two", "two-tests")]
    points = {name: {"auto": 1, "max": 2} for name in ("first", "one-tests", "between", "two-tests", "last")}
    lines = _cells(cells, points, {"one-tests": 1, "between": None})
    order = ["setup", "first", "one-tests", "between", "two", "two-tests", "last"]
    assert [line.split()[0] for line in lines] in (order, [*order[:3], "two", "between", *order[5:]])
    assert lines[2].endswith("   1 of 2")
    assert any(line.endswith("waits for you (at most 2)") for line in lines)


def test_a_supplied_cell_without_a_name_is_not_the_students_own():
    cells = [{"id": name, "grade_id": None, "status": "ok", "seconds": 0.1} for name in ("3f8e2c1a", "own-1")]
    assert [line.split("  ")[1] for line in _cells(cells, {}, {})] == ["cell 1", "own cell 2"]


def test_checks_that_failed_stand_under_their_cell():
    def check(name: str, passed: bool, **more) -> dict:
        return {"name": name, "points": 1, "passed": passed, "hint": "try\nagain", "error": "", "hidden": False} | more

    found = [check("two", True), check("half", False), check("odd", False, error="got 3", hidden=True)]
    found += [check(f"more-{number}", False) for number in range(8)]
    lines = _cells([{"grade_id": "t", "status": "ok", "seconds": 0.1, "checks": found}], {}, {})
    assert lines[1:3] == [r"      failed: check half: try\nagain", "      failed: hidden check odd: got 3"]
    assert lines[-1] == "      and 2 checks more"
    assert len(lines) == 10


def test_before_anybody_hands_in(tiny):
    said: list[str] = []
    status(Folder(tiny.root), "tiny", said.append)
    assert said[1:] == ["nobody has handed in yet; when they have: classroom collect tiny"]


def test_who_handed_in_only_what_was_refused_is_shown_with_the_reason(graded):
    refuse(graded, "emil", file="tiny.ipynb", reason="no notebook: expected a text that begins with {")
    refuse(graded, "header.ipynb", reason="not a student's folder", stray=True)
    said: list[str] = []
    report = show(graded, "emil", "tiny", said.append)
    assert said[0] == "emil, tiny: not taken"
    assert "not taken  tiny.ipynb: no notebook: expected a text that begins with {" in said
    assert report["outcome"] == "not taken"
    for name in ("nobody", "header.ipynb"):
        with pytest.raises(ClassroomError, match=f"no submission of '{name}' for tiny; there are ada, emil"):
            show(graded, name, "tiny", said.append)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "tiny: due 2026-02-06 23:59 UTC, released"),
        ("Europe/Berlin", "tiny: due 2026-02-06 23:59 CET (2026-02-06 22:59 UTC), released"),
        ("Asia/Tokyo", "tiny: due 2026-02-06 23:59 JST (2026-02-06 14:59 UTC), released"),
    ],
)
def test_the_due_date_in_the_time_of_the_course(graded, zone, shown):
    path = graded.root / "course.yml"
    path.write_text(path.read_text().replace("timezone: UTC", f"timezone: {zone}"))
    folder = Folder(graded.root)
    text, report = told(folder)
    assert text.startswith(shown)
    assert datetime.fromisoformat(report["due"]) == folder.course.due["tiny"]


def test_commands_that_are_named_have_the_class_that_was(tiny):
    done = tiny.run("release", "--course", "sand pit")
    assert done.returncode == 0, done.stderr
    place = tiny.root / "sand pit" / "submitted" / "ada" / "tiny"
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_bytes((tiny.root / "assignments/tiny/tiny.ipynb").read_bytes())
    assert (
        "next: classroom autograde tiny --course 'sand pit'"
        in tiny.run("status", "tiny", "--course", "sand pit").stdout
    )
    assert "next: classroom autograde tiny\n" not in tiny.run("status", "tiny").stdout
    said = tiny.run("simulate", "tiny", "--students", "1", "--course", "sand pit").stdout
    assert said.startswith("1 student in ")
    assert "next: classroom collect tiny --from 'sand pit/inbound-simulated/tiny' --course 'sand pit'\n" in said
    done = tiny.run("status", "tiny", "--course", "third")
    assert "not released yet" in done.stdout
    done = tiny.run("feedback", "tiny", "--course", "third")
    assert "first: classroom release tiny --course third" in done.stderr
