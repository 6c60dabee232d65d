"""The demo class from release to export: the exact grades of its seven, what stands where, and nothing done twice."""

import csv
import hashlib
import sqlite3
from pathlib import Path

import pytest
from nbgrader.nbgraderformat import read

ROOT = Path(__file__).resolve().parents[2]

PARTS = ("compare-tests", "pieces-tests", "code-length-tests", "best-critic-tests", "report")
# By student: points of the four parts that tests grade, of the written part (None: waits for a person), and in all.
GRADES = {
    "demo-full": (2, 2, 2, 2, None, 8),
    "demo-unanswered": (0, 0, 0, 0, 0, 0),
    "demo-partial": (1.5, 1.5, 1.5, 1.5, 0, 6),
    "demo-typical": (1, 2, 0, 2, None, 5),
    "demo-late": (2, 2, 2, 2, None, 6.4),  # a day and a half: 2 days begun, 20 % of 8 points
    "demo-syntax": (2, 0, 2, 2, None, 6),
    "demo-endless": (2, 0, 2, 2, None, 6),
}


@pytest.fixture(scope="module")
def rows(demo_course) -> dict[str, dict]:
    return {row["student"]: row for row in demo_course.first["projects"]["checkpoint-01"]}


@pytest.mark.parametrize("student", GRADES)
def test_the_grade_of(student, rows):
    row = rows[student]
    parts = tuple(row["parts"][cell] for cell in PARTS)
    assert (*parts, row["total"]) == GRADES[student]
    assert row["outcome"] == "graded"
    assert row["max"] == 10


def test_the_seven_kinds_are_there(rows):
    assert {row["kind"] for row in rows.values()} == {
        "full marks", "unanswered", "partial", "typical mistake", "late", "syntax error", "never ends",
    }  # fmt: skip
    assert rows.keys() == GRADES.keys()


def test_notes_say_what_happened(rows):
    assert "stopped at the time limit" in rows["demo-endless"]["note"]
    assert "SyntaxError in cell pieces" in rows["demo-syntax"]["note"]
    assert "late: 1.6 taken off 8" in rows["demo-late"]["note"]
    assert "written part waits" in rows["demo-full"]["note"]
    assert rows["demo-unanswered"]["note"] == ""


def test_the_export_has_the_same_grades(demo_course):
    with open(demo_course.first["grades"], newline="") as file:
        lines = {line["student_id"]: line for line in csv.DictReader(file)}
    assert {student: float(line["score"]) for student, line in lines.items()} == {s: g[-1] for s, g in GRADES.items()}
    assert float(lines["demo-late"]["late_submission_penalty"]) == 1.6
    assert lines["demo-late"]["duedate"] == "2026-02-06 23:59:00"


def test_everybody_gets_feedback_with_hints_and_without_hidden_tests(demo_course):
    for student in GRADES:
        page = demo_course.root / "_build/demo/feedback" / student / "checkpoint-01/checkpoint-01.html"
        text = page.read_text()
        assert "BEGIN HIDDEN TESTS" not in text, student
        assert "default_rng(11)" not in text, student  # a line of a hidden test
    typical = demo_course.root / "_build/demo/feedback/demo-typical/checkpoint-01/checkpoint-01.html"
    assert "the luck that both learners share must cancel" in typical.read_text()  # the hint of a hidden test


def test_the_demo_leaves_the_real_class_and_the_releases_alone(demo_course):
    assert not (demo_course.root / "course").exists()
    assert not (demo_course.root / "assignments").exists()


def test_the_second_time_nothing_is_done_twice(demo_course):
    def state() -> dict[str, tuple[int, str]]:
        places = ("autograded", "feedback", "results", "submitted", "attempts", "inbound", "release")
        files = [p for place in places for p in (demo_course.root / "_build/demo" / place).rglob("*") if p.is_file()]
        return {str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files}

    before = state()
    again = demo_course.report("demo")
    assert state() == before
    assert len(before) > 7 * 5
    assert again["projects"] == demo_course.first["projects"]


def test_stock_nbgrader_reads_the_class(demo_course):
    """The formats are nbgrader's: its own program lists the gradebook, with the date from course.yml."""
    with sqlite3.connect(demo_course.root / "_build/demo/gradebook.db") as gradebook:
        assert gradebook.execute("select name, duedate from assignment").fetchall() == [
            ("checkpoint-01", "2026-02-06 23:59:00.000000")
        ]
        assert gradebook.execute("select count(*) from submitted_notebook").fetchone() == (7,)
    for notebook in (demo_course.root / "_build/demo/autograded").glob("*/checkpoint-01/checkpoint-01.ipynb"):
        read(str(notebook), as_version=4)  # raises where the metadata is not of nbgrader's schema


def test_grading_sets_its_parameters_in_the_locked_cell(demo_course):
    for student in GRADES:
        path = demo_course.root / "_build/demo/autograded" / student / "checkpoint-01/checkpoint-01.ipynb"
        cells = {cell.id: cell.source for cell in read(str(path), as_version=4).cells}
        assert cells["parameters"].splitlines()[0].startswith("rows = 1200")
        assert cells["parameters"].splitlines()[-2:] == ["rows = 400", "trees = 10"]
