"""The late rule of course.yml as nbgrader's late-submission plugin, and the due dates and extensions in its gradebook.

nbgrader counts the seconds late from the due date plus `SubmittedAssignment.extension`, an interval. With both set
here, the penalty, the export and formgrader agree without knowing about course.yml.
"""

import math
from collections.abc import Callable
from datetime import timedelta

from nbgrader.api import Gradebook, MissingEntry, Student, SubmittedAssignment
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


def extension_of(course: Course, project: str, student: str) -> timedelta | None:
    """What course.yml adds to the due date for one student; None for nothing."""
    due, extended = course.due.get(project), (course.extensions or {}).get(project, {}).get(student)
    return None if due is None or extended is None else extended - due


def set_due_dates(gradebook: Gradebook, course: Course) -> None:
    """Write the dates and extensions of course.yml into the gradebook, for the projects and submissions that it knows.

    An extension that the gradebook has and course.yml has not is taken back, unless course.yml has no `extensions` at
    all: then they are granted elsewhere.
    """
    for name, due in course.due.items():
        try:
            assignment = gradebook.find_assignment(name)
        except MissingEntry:
            continue  # not released yet; `release` sets it
        if assignment.duedate != due:
            assignment.duedate = due
        extended = (course.extensions or {}).get(name, {})
        concerned = SubmittedAssignment.extension.isnot(None) | Student.id.in_(extended)
        submissions = gradebook.db.query(SubmittedAssignment).join(Student).filter(concerned)
        for submission in submissions.filter(SubmittedAssignment.assignment_id == assignment.id):
            # Without a due date nbgrader cannot add to it.
            if course.extensions is not None or due is None:
                submission.extension = extension_of(course, name, submission.student_id)
    gradebook.db.commit()


def before_converting(course: Course, db_url: str) -> Callable[..., None]:
    """A hook that keeps dates and extensions right when nbgrader's own commands are used instead of ours."""

    def hook(**_: object) -> None:
        with Gradebook(db_url, course.id) as gradebook:
            set_due_dates(gradebook, course)

    return hook


def after_converting(course: Course, db_url: str) -> Callable[..., None]:
    """The hook for afterwards: a submission graded for the first time has its extension only now."""
    rule = LateRule(**vars(course.late))

    def hook(*, assignment: str, **_: object) -> None:
        with Gradebook(db_url, course.id) as gradebook:
            set_due_dates(gradebook, course)
            if (course.extensions or {}).get(assignment):
                refresh_penalties(gradebook, assignment, rule)

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
