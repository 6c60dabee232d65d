"""The late rule of course.yml as nbgrader's late-submission plugin, and the due dates in its gradebook."""

import math
from collections.abc import Callable

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import BasePlugin
from traitlets import Float, Integer

from classroom.course import Course

_DAY = 24 * 60 * 60  # seconds


class LateRule(BasePlugin):
    """Take a share of the points earned for each day begun, and all of them after a number of days."""

    grace_minutes = Float(0, help="this much is still on time").tag(config=True)
    percent_per_day = Float(0, help="of the points earned, for each day begun").tag(config=True)
    days = Integer(None, allow_none=True, help="after so many days nothing is earned; None: no end").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """The points to take off, or None for none; nbgrader calls this for each late submission."""
        begun = days_late(total_seconds_late, self.grace_minutes)
        if begun == 0:
            return None
        if self.days is not None and begun > self.days:
            return score
        return round(score * min(1.0, begun * self.percent_per_day / 100), 6)


def days_late(seconds: float, grace_minutes: float) -> int:
    """Days begun after the due date; 0 within the time of grace, which is not added to the days after it."""
    return 0 if seconds <= 60 * grace_minutes else math.ceil(seconds / _DAY)


def set_due_dates(gradebook: Gradebook, course: Course) -> None:
    """Write the dates of course.yml into the gradebook, for the projects that it knows."""
    for name, due in course.due.items():
        try:
            assignment = gradebook.find_assignment(name)
        except MissingEntry:
            continue  # not released yet; `release` sets it
        if assignment.duedate != due:
            assignment.duedate = due
            gradebook.db.commit()


def due_date_hook(course: Course, db_url: str) -> Callable[..., None]:
    """A hook that keeps the dates right when nbgrader's own commands are used instead of ours."""

    def hook(**_: object) -> None:
        with Gradebook(db_url, course.id) as gradebook:
            set_due_dates(gradebook, course)

    return hook


def refresh_penalties(gradebook: Gradebook, project: str, rule: LateRule) -> None:
    """Compute the penalties anew from the scores as they are now.

    nbgrader computes them while it grades, before anybody has graded the written parts by hand; a share of the points
    would then stay a share of the automatic ones.
    """
    for submission in gradebook.find_assignment(project).submissions:
        for notebook in submission.notebooks:
            late = submission.total_seconds_late
            penalty = rule.late_submission_penalty(submission.student_id, notebook.score, late) if late > 0 else None
            notebook.late_submission_penalty = None if penalty is None else min(max(penalty, 0), notebook.score)
    gradebook.db.commit()
