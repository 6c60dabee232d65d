"""The late rule: days begun, a share of what was earned, and the same share once a person has graded the rest."""

import math

import pytest
from nbgrader.api import Gradebook

from classroom.late import LateRule, days_late, refresh_penalties

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
