"""The points of a project as arrays, read from nbgrader's gradebook with few statements and without its object layer.

That is what makes a class of 10,000 quick. The rules are nbgrader's: a score by hand comes before the automatic one,
extra credit is added to either, and the late penalty is the plugin's, per notebook, of the points as they are now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from nbgrader import api

from classroom.folder import Folder
from classroom.partnames import PartNames

_assignment, _notebook = api.Assignment.__table__, api.Notebook.__table__
_submission, _submitted = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
_grade, _base = api.Grade.__table__, api.BaseCell.__table__
_WORTHS = (api.GradeCell.__table__, api.TaskCell.__table__)


@dataclass(frozen=True)
class Part:
    """One part of a project that carries points."""

    cell: str  # as `classroom.partnames` calls it
    name: str  # in words, from project.yml; else the grade_id
    most: float  # points
    by_hand: bool = False


@dataclass
class Marks:
    """A project's points: N submissions, P parts."""

    students: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (N, P); nan: open
    waiting: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))  # (N, P): for a person
    total: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,) points so far, less the penalty
    penalty: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,) points
    seconds_late: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (N,)

    @cached_property
    def students_set(self) -> frozenset[str]:
        """The students, to look one up."""
        return frozenset(self.students)

    @property
    def most(self) -> float:
        """What the whole project is worth."""
        return float(sum(part.most for part in self.parts))


def read_marks(folder: Folder, project: str) -> Marks:
    """The points of everybody whom the gradebook knows a submission of; empty where it knows none.

    Raises:
        ClassroomError: the gradebook cannot be read.
    """
    if not folder.has_gradebook():
        return Marks()
    from classroom.merging import late_plugin

    with folder.gradebook() as gradebook:
        db = gradebook.db
        found = db.execute(sa.select(_assignment.c.id, _assignment.c.duedate).where(_assignment.c.name == project))
        row = found.first()
        if row is None:
            return Marks()
        cells, parts = _parts(db, folder, project, row.id)
        return _filled(db, row, cells, parts, late_plugin(folder))


def progress(folder: Folder, projects: list[str]) -> dict[str, dict[str, float]]:
    """By project and student the share of the points that are given, late penalties taken off.

    What waits for a person is neither earned nor missed; somebody of whom everything waits has no share yet.
    """
    found: dict[str, dict[str, float]] = {}
    if not folder.has_gradebook():
        return found
    from classroom.merging import late_plugin

    rule = late_plugin(folder)
    with folder.gradebook() as gradebook:
        db = gradebook.db
        for project in projects:
            select = sa.select(_assignment.c.id, _assignment.c.duedate).where(_assignment.c.name == project)
            row = db.execute(select).first()
            if row is None:
                continue
            worths = {cell: worth for cell, (_, worth) in _worths(db, row.id).items()}
            totals: dict[str, float] = {}
            for student, _, points, penalty in _notebooks(db, row, rule, given=True):
                totals[student] = totals.get(student, 0.0) + max(0.0, points - penalty)
            most = dict.fromkeys(totals, sum(worths.values()))
            for student, cell in _waiting(db, row.id):
                most[student] -= worths.get(cell, 0.0)
            shares = {student: total / most[student] for student, total in totals.items() if most[student] > 1e-9}
            if shares:
                found[project] = shares
    return found


def _parts(db, folder: Folder, project: str, assignment: str) -> tuple[dict[str, int], list[Part]]:
    """The column of each graded cell by its id in the gradebook, and the parts in the release's order."""
    from classroom.report import _order

    worths = _worths(db, assignment)
    notebooks = sa.select(_notebook.c.id, _notebook.c.name)
    names = {row.id: row.name for row in db.execute(notebooks.where(_notebook.c.assignment_id == assignment))}
    cells = sa.select(_base.c.id, _base.c.name, _base.c.notebook_id).where(_base.c.id.in_(list(worths)))
    order = _order(folder, project)
    rows = list(db.execute(cells))
    rows.sort(key=lambda row: (order.get((names[row.notebook_id], row.name), len(order)), row.name))
    known = {part.cell: part for part in getattr(folder.project(project), "parts", ())}
    called = PartNames([*order, *((names[row.notebook_id], row.name) for row in rows)])
    parts = []
    for row in rows:
        by_hand, worth = worths[row.id]
        cell = called.of(names[row.notebook_id], row.name)
        title, alone = cell, known.get(cell) or known.get(row.name)
        if alone:
            title = alone.name if cell == alone.cell else f"{alone.name} ({names[row.notebook_id]})"
            by_hand = alone.by_hand
        parts.append(Part(cell, title, worth, by_hand))
    return {row.id: column for column, row in enumerate(rows)}, parts


def _worths(db, assignment: str) -> dict[str, tuple[bool, float]]:
    """Of each graded cell whether a person has to grade it whatever stands in it, and its points."""
    notebooks = sa.select(_notebook.c.id).where(_notebook.c.assignment_id == assignment)
    found = {}
    for table in _WORTHS:
        joined = table.join(_base, _base.c.id == table.c.id)
        select = sa.select(table.c.id, table.c.max_score).select_from(joined).where(_base.c.notebook_id.in_(notebooks))
        task = table is _WORTHS[1]
        found |= {row.id: (task, float(row.max_score or 0.0)) for row in db.execute(select)}
    return found


def _score() -> sa.ColumnElement:
    """nbgrader's rule for the points of a cell."""
    extra = sa.func.coalesce(_grade.c.extra_credit, 0.0)
    return sa.func.coalesce(_grade.c.manual_score + extra, _grade.c.auto_score + extra, 0.0)


def _waiting(db, assignment: str) -> Iterator[tuple[str, str]]:
    """Whose points for which cell wait for a person."""
    joined = _grade.join(_submitted, _submitted.c.id == _grade.c.notebook_id)
    joined = joined.join(_submission, _submission.c.id == _submitted.c.assignment_id)
    select = sa.select(_submission.c.student_id, _grade.c.cell_id).select_from(joined)
    select = select.where(_submission.c.assignment_id == assignment, _grade.c.needs_manual_grade)
    yield from (tuple(row) for row in db.execute(select.execution_options(yield_per=5000)))


def _notebooks(db, assignment: sa.Row, rule, *, given: bool = False) -> Iterator[tuple[str, float, float, float]]:
    """For each submitted notebook the student, seconds late, points and late penalty.

    Args:
        given: without points that a person has to look at again.
    """
    joined = _submission.join(_submitted, _submitted.c.assignment_id == _submission.c.id)
    joined = joined.outerjoin(_grade, _grade.c.notebook_id == _submitted.c.id)
    by = (_submission.c.student_id, _submission.c.timestamp, _submission.c.extension, _submitted.c.id)
    points = sa.case((_grade.c.needs_manual_grade, 0.0), else_=_score()) if given else _score()
    select = sa.select(*by, sa.func.sum(points).label("points")).select_from(joined)
    select = select.where(_submission.c.assignment_id == assignment.id).group_by(*by)
    for row in db.execute(select.execution_options(yield_per=2000)):
        due = assignment.duedate
        due = due + row.extension if due is not None and row.extension is not None else due
        late = 0.0 if row.timestamp is None or due is None else max(0.0, (row.timestamp - due).total_seconds())
        points = float(row.points or 0.0)
        penalty = rule.late_submission_penalty(row.student_id, points, late) if late > 0 else None
        yield row.student_id, late, points, 0.0 if penalty is None else min(max(penalty, 0.0), points)


def _filled(db, assignment: sa.Row, cells: dict[str, int], parts: list[Part], rule) -> Marks:
    place: dict[str, int] = {}
    totals: list[list[float]] = []  # seconds late, points, penalty
    for student, late, points, penalty in _notebooks(db, assignment, rule):
        if student not in place:
            place[student] = len(totals)
            totals.append([0.0, 0.0, 0.0])
        row = totals[place[student]]
        row[0], row[1], row[2] = late, row[1] + points, row[2] + penalty
    points = np.full((len(place), len(parts)), np.nan)
    waiting = np.zeros(points.shape, bool)
    joined = _grade.join(_submitted, _submitted.c.id == _grade.c.notebook_id)
    joined = joined.join(_submission, _submission.c.id == _submitted.c.assignment_id)
    columns = (_submission.c.student_id, _grade.c.cell_id, _score().label("points"), _grade.c.needs_manual_grade)
    select = sa.select(*columns).select_from(joined).where(_submission.c.assignment_id == assignment.id)
    for row in db.execute(select.execution_options(yield_per=5000)):
        if row.cell_id in cells and row.student_id in place:
            where = place[row.student_id], cells[row.cell_id]
            waiting[where] = row.needs_manual_grade
            points[where] = np.nan if row.needs_manual_grade else row.points
    sums = np.array(totals, float).reshape(-1, 3)
    total = np.maximum(0.0, sums[:, 1] - sums[:, 2])
    return Marks(list(place), parts, points, waiting, total, sums[:, 2], sums[:, 0])
