"""The late rule: days begun, a share of what was earned, and the same share once a person has graded the rest.

Then extensions: granted, moved with the due date, taken back, without a due date, not kept in course.yml at all; and
that penalty, status and export agree on them, whether our command grades or nbgrader's own.
"""

import csv
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from nbgrader.api import Gradebook

from classroom.course import Course, Late
from classroom.late import LateRule, days_late, extension_of, refresh_penalties, set_due_dates

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "days"),
    [(-DAY, 0), (0, 0), (900, 0), (901, 1), (DAY, 1), (DAY + 1, 2), (36 * HOUR, 2), (3 * DAY, 3), (3 * DAY + 1, 4)],
)
def test_days_begun_after_a_quarter_of_an_hour_of_grace(seconds, days):
    assert days_late(seconds, grace_minutes=15) == days


@pytest.mark.parametrize(
    ("days", "seconds", "penalty"),
    [(3, 60, None), (3, HOUR, 0.8), (3, 36 * HOUR, 1.6), (3, 3 * DAY, 2.4), (3, 4 * DAY, 8.0), (None, 30 * DAY, 8.0)],
)
def test_the_penalty_is_a_share_of_the_points(days, seconds, penalty):
    rule = LateRule(grace_minutes=15, percent_per_day=10, days=days)
    found = rule.late_submission_penalty("somebody", 8.0, seconds)
    assert found is None if penalty is None else math.isclose(found, penalty)


def test_a_part_graded_by_hand_changes_the_penalty(tiny):
    tiny.hand_in("late-one", "tiny", "def double(x):\n    return 2 * x", when="2026-02-07 10:00:00 UTC")
    tiny.report("autograde", "tiny")
    url = f"sqlite:///{tiny.root}/course/gradebook.db"
    with Gradebook(url, "test-course") as gradebook:
        grade = gradebook.find_grade("why", "tiny", "tiny", "late-one")
        grade.manual_score, grade.needs_manual_grade = 1.0, False
        gradebook.db.commit()
        assert math.isclose(gradebook.find_submission("tiny", "late-one").late_submission_penalty, 0.3)  # of 3 points
        refresh_penalties(gradebook, "tiny", LateRule(grace_minutes=15, percent_per_day=10, days=3))
        assert math.isclose(gradebook.find_submission("tiny", "late-one").late_submission_penalty, 0.4)  # of 4 points


DUE = datetime(2026, 2, 6, 23, 59)
RULE = LateRule(grace_minutes=15, percent_per_day=10, days=3)


def course(due: datetime | None = DUE, extensions: dict | None = None) -> Course:
    return Course(
        "test-course", "A course", "Spring", {"tiny": due}, {"tiny": 5}, Late(15, 10, 3), extensions=extensions
    )


@pytest.fixture
def gradebook(tiny) -> Iterator[Gradebook]:
    """The tiny course's gradebook with two submissions, two and a half days after the due date, 2 points each."""
    with Gradebook(f"sqlite:///{tiny.root}/course/gradebook.db", "test-course") as gradebook:
        for student in ("s1", "s2"):
            gradebook.update_or_create_student(student)
            with warnings.catch_warnings():  # SQLAlchemy's, of nbgrader's own code
                warnings.simplefilter("ignore")
                gradebook.update_or_create_submission("tiny", student, timestamp="2026-02-09 12:00:00 UTC")
            grade = gradebook.find_grade("double-tests", "tiny", "tiny", student)
            grade.auto_score, grade.needs_manual_grade = 2.0, False
        gradebook.db.commit()
        yield gradebook


def late(gradebook: Gradebook) -> dict[str, tuple[float, float]]:
    """By student: hours late, and the points taken off."""
    refresh_penalties(gradebook, "tiny", RULE)
    found = gradebook.find_assignment("tiny").submissions
    return {s.student_id: (round(s.total_seconds_late / HOUR, 1), round(s.late_submission_penalty, 3)) for s in found}


def test_an_extension_moves_the_day_from_which_lateness_counts(gradebook):
    set_due_dates(gradebook, course(extensions={"tiny": {"s1": datetime(2026, 2, 8, 23, 59)}}))
    assert late(gradebook) == {"s1": (12.0, 0.2), "s2": (60.0, 0.6)}  # a day begun, and three
    # Long enough: nothing is taken off, and what was is given back.
    set_due_dates(gradebook, course(extensions={"tiny": {"s1": datetime(2026, 2, 9, 12, 0), "nobody": DUE}}))
    assert late(gradebook)["s1"] == (0.0, 0.0)
    assert "nobody" not in late(gradebook)


def test_an_extension_is_a_date_also_when_the_due_date_moves(gradebook):
    extended = {"tiny": {"s1": datetime(2026, 2, 8, 23, 59)}}
    set_due_dates(gradebook, course(extensions=extended))
    set_due_dates(gradebook, course(due=DUE + timedelta(days=1), extensions=extended))
    assert late(gradebook) == {"s1": (12.0, 0.2), "s2": (36.0, 0.4)}


def test_an_extension_taken_back_counts_no_more(gradebook):
    set_due_dates(gradebook, course(extensions={"tiny": {"s1": datetime(2026, 2, 8, 23, 59)}}))
    set_due_dates(gradebook, course(extensions={}))
    assert late(gradebook)["s1"] == late(gradebook)["s2"] == (60.0, 0.6)


def test_without_a_due_date_nobody_is_late(gradebook):
    """nbgrader itself fails on an extension without a date to add it to."""
    set_due_dates(gradebook, course(extensions={"tiny": {"s1": datetime(2026, 2, 8, 23, 59)}}))
    set_due_dates(gradebook, course(due=None))
    assert late(gradebook) == {"s1": (0, 0), "s2": (0, 0)}


def test_without_the_field_an_extension_granted_in_the_gradebook_stands(gradebook):
    gradebook.grant_extension("tiny", "s1", days=2)
    set_due_dates(gradebook, course())
    assert late(gradebook)["s1"] == (12.0, 0.2)


def test_the_extension_of():
    extended = course(extensions={"tiny": {"s1": DUE + timedelta(days=2)}})
    assert extension_of(extended, "tiny", "s1") == timedelta(days=2)
    assert extension_of(extended, "tiny", "s2") is extension_of(extended, "other", "s1") is None


@pytest.mark.parametrize("engine", ["classroom", "nbgrader"])
def test_penalty_status_and_export_agree_on_an_extension(tiny, engine):
    """Also at the first grading, when the gradebook does not know the submission yet."""
    file = tiny.root / "course.yml"
    file.write_text(file.read_text() + "extensions: {tiny: {s1: 2026-02-08 23:59}}\n")
    for student in ("s1", "s2"):
        tiny.hand_in(student, "tiny", "def double(x):\n    return 2 * x", when="2026-02-09 12:00:00 UTC")
    if engine == "classroom":
        tiny.report("autograde", "tiny")
    else:
        command = [sys.executable, "-m", "nbgrader", "autograde", "tiny"]
        done = subprocess.run(
            command, cwd=tiny.root, env=tiny.environment(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    with Gradebook(f"sqlite:///{tiny.root}/course/gradebook.db", "test-course") as gradebook:
        found = gradebook.find_assignment("tiny").submissions
        assert {s.student_id: round(s.late_submission_penalty, 3) for s in found} == {"s1": 0.3, "s2": 0.9}
    if engine == "classroom":  # what nbgrader's own command graded, our status has not seen
        rows = {row["student"]: (row["points"], row["penalty"]) for row in tiny.report("status", "tiny")["students"]}
        assert rows == {"s1": (3, 0.3), "s2": (3, 0.9)}
    with open(tiny.root / tiny.report("export")["file"], newline="") as lines:
        assert {row["student_id"]: float(row["score"]) for row in csv.DictReader(lines)} == {"s1": 2.7, "s2": 2.1}
