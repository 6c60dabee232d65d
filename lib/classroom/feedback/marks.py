"""What the gradebook knows of one project: points and comments of each graded cell, lateness, and what it costs."""

from dataclasses import dataclass, field
from datetime import datetime

from classroom.folder import Folder
from classroom.report import recorded


@dataclass(frozen=True)
class Mark:
    """The points of one graded cell."""

    auto: float | None  # what the tests gave; None: a person grades
    manual: float | None  # what a person gave, which counts instead
    extra: float  # given besides
    most: float
    waits: bool  # a person has still to look

    @property
    def points(self) -> float:
        """What counts, as nbgrader adds it up."""
        given = self.auto if self.manual is None else self.manual
        return 0.0 if given is None else given + self.extra


@dataclass(frozen=True)
class Marks:
    """One student's submission of a project."""

    cells: dict[tuple[str, str], Mark]  # by notebook, without .ipynb, and grade_id
    comments: dict[tuple[str, str], str]
    points: float
    most: float
    penalty: float
    handed_in: datetime | None  # in UTC and naive
    due: datetime | None  # with this student's extension
    seconds_late: float

    @property
    def total(self) -> float:
        """What remains after the late penalty."""
        return round(max(0.0, self.points - self.penalty), 6)

    @property
    def waits(self) -> bool:
        """Whether something is still to be graded by a person."""
        return any(mark.waits for mark in self.cells.values())

    def of(self, notebook: str) -> "NotebookMarks":
        """The part of it that belongs to one notebook."""
        cells = {cell: mark for (name, cell), mark in self.cells.items() if name == notebook}
        comments = {cell: text for (name, cell), text in self.comments.items() if name == notebook}
        return NotebookMarks(cells, comments)


@dataclass(frozen=True)
class NotebookMarks:
    """Marks and comments of one notebook by grade_id."""

    cells: dict[str, Mark] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


def read_marks(folder: Folder, project: str) -> dict[str, Marks]:
    """The marks by student, with today's late penalties; empty where the gradebook does not know the project."""
    found: dict[str, Marks] = {}
    with recorded(folder, project) as assignment:
        if assignment is None:
            return found
        for submission in assignment.submissions:
            cells, comments = {}, {}
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    cells[notebook.name, grade.cell.name] = Mark(
                        auto=grade.auto_score,
                        manual=grade.manual_score,
                        extra=grade.extra_credit or 0.0,
                        most=grade.max_score,
                        waits=bool(grade.needs_manual_grade),
                    )
                for comment in notebook.comments:
                    if comment.comment:
                        comments[notebook.name, comment.name] = comment.comment
            found[submission.student_id] = Marks(
                cells=cells,
                comments=comments,
                points=submission.score,
                most=submission.max_score,
                penalty=submission.late_submission_penalty or 0.0,
                handed_in=submission.timestamp,
                due=submission.duedate,
                seconds_late=submission.total_seconds_late,
            )
    return found
