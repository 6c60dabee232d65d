"""One submission's result as statements on nbgrader's tables: few, in one transaction, without its object layer.

nbgrader's own preprocessors commit once a cell and open the database anew for each step: about a second a submission.
Their semantics are kept (SaveAutoGrades, Autograde.init_assignment, AssignLatePenalties); `writer` says what differs.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from nbformat import from_dict
from nbgrader import api, utils
from nbgrader.preprocessors import AssignLatePenalties

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.gradebook import merged
from classroom.late import extension_of
from classroom.results import STUDENT_ERROR
from classroom.texts import standing_texts, texts_of

_submission = api.SubmittedAssignment.__table__
_notebook = api.SubmittedNotebook.__table__
_grade = api.Grade.__table__
_comment = api.Comment.__table__


@dataclass(frozen=True)
class Cell:
    """A cell of the release that has a grade or a comment."""

    id: str
    name: str
    kind: str  # GradeCell, SolutionCell or TaskCell


@dataclass(frozen=True)
class Master:
    """What the gradebook knows of a project, read once for all submissions."""

    id: str  # of the assignment
    project: str
    due: datetime | None
    notebooks: dict[str, str]  # id by name, without .ipynb
    graded: dict[str, list[Cell]]  # by notebook's name
    commented: dict[str, list[Cell]]
    texts: frozenset[str]  # what the instructor wrote: text and locked cells
    plugin: object  # nbgrader's late-submission plugin, as it is configured


def late_plugin(folder: Folder):
    """The late rule that nbgrader is configured with: that of course.yml, or the course's own."""
    return AssignLatePenalties(parent=folder.app).plugin_class(parent=folder.app)


def read_master(db: sa.Connection, folder: Folder, project: str) -> Master:
    """Read a project's cells.

    Raises:
        ClassroomError: the gradebook does not know the project.
    """
    assignment, notebook, base = (model.__table__ for model in (api.Assignment, api.Notebook, api.BaseCell))
    found = db.execute(sa.select(assignment.c.id, assignment.c.duedate).where(assignment.c.name == project)).first()
    if found is None:
        raise ClassroomError(f"the gradebook does not know {project}; first: {folder.command('release', project)}")
    rows = db.execute(sa.select(notebook.c.id, notebook.c.name).where(notebook.c.assignment_id == found.id))
    names = {row.id: row.name for row in rows}
    cells = db.execute(
        sa.select(base.c.id, base.c.name, base.c.notebook_id, base.c.type)
        .where(base.c.notebook_id.in_(names))
        .order_by(base.c.name)
    )
    graded: dict[str, list[Cell]] = {name: [] for name in names.values()}
    commented: dict[str, list[Cell]] = {name: [] for name in names.values()}
    for row in cells:
        cell = Cell(row.id, row.name, row.type)
        if cell.kind in ("GradeCell", "TaskCell"):
            graded[names[row.notebook_id]].append(cell)
        if cell.kind in ("SolutionCell", "TaskCell"):
            commented[names[row.notebook_id]].append(cell)
    source = api.SourceCell.__table__
    locked = db.scalars(sa.select(source.c.source).where(source.c.notebook_id.in_(names), source.c.locked))
    texts = {text for text in locked if text} | _released_texts(folder, project)
    ids = {name: key for key, name in names.items()}
    return Master(found.id, project, found.duedate, ids, graded, commented, frozenset(texts), late_plugin(folder))


def merge(db: sa.Connection, folder: Folder, master: Master, record: dict) -> dict:
    """Write the points, flags, comments, time and late penalty of one submission.

    Returns:
        `review` and `kept`, as `Writer.merge` reports them.
    """
    student = record["student"]
    row = db.execute(sa.select(merged).where(merged.c.project == master.project, merged.c.student == student)).first()
    before = json.loads(row.answers) if row is not None else standing_texts(folder, master.project, student)
    extension, submission_id = _find_submission(db, folder, master, record)
    standing = _find_notebooks(db, master, submission_id)
    grades = _find_rows(db, _grade, master.graded, master, standing, needs_manual_grade=True)
    comments = _find_rows(db, _comment, master.commented, master, standing)
    review: dict[str, list[str]] = {}
    kept, changes, remarks, penalties = 0, [], [], []
    for name, notebook_id in master.notebooks.items():
        found = standing[notebook_id]
        file = f"{name}.ipynb"
        now, earlier = texts_of(record, file), before.get(file, {})
        score = 0.0
        for cell in master.graded[name]:
            grade = grades[found.id, cell.id]
            auto, needs = _verdict(record, file, cell, grade)
            if auto is not _SAME:
                same = cell.name in earlier and earlier[cell.name] == now.get(cell.name)
                if grade.manual_score is not None:
                    needs = bool(grade.needs_manual_grade) if same else file in record["points"]
                    kept += 1
                    if needs and not same:
                        review.setdefault(name, []).append(cell.name)
                if (auto, needs) != (grade.auto_score, grade.needs_manual_grade):
                    changes.append({"key": grade.id, "auto": auto, "needs": needs})
            auto = grade.auto_score if auto is _SAME else auto
            points = grade.manual_score if grade.manual_score is not None else auto
            score += 0.0 if points is None else points + (grade.extra_credit or 0.0)
        unanswered = _unanswered(record, file)
        for cell in master.commented[name]:
            comment = comments[found.id, cell.id]
            text = "No response." if cell.name in unanswered else None
            if file in record["notebooks"] and text != comment.auto_comment:
                remarks.append({"key": comment.id, "text": text})
        # A flag that somebody took away since stays away.
        looked = row is not None and earlier == now and row.outcome == record["outcome"]
        flag = bool(found.flagged) if looked else record["outcome"] == STUDENT_ERROR or _flagged_by_hand(found, row)
        penalty = _penalty(master, record, student, score, extension)
        if (penalty, flag) != (found.late_submission_penalty, found.flagged):
            penalties.append({"key": found.id, "penalty": penalty, "flag": flag})
    if changes:
        statement = _grade.update().where(_grade.c.id == sa.bindparam("key"))
        db.execute(statement.values(auto_score=sa.bindparam("auto"), needs_manual_grade=sa.bindparam("needs")), changes)
    if remarks:
        statement = _comment.update().where(_comment.c.id == sa.bindparam("key"))
        db.execute(statement.values(auto_comment=sa.bindparam("text")), remarks)
    if penalties:
        statement = _notebook.update().where(_notebook.c.id == sa.bindparam("key"))
        values = {"late_submission_penalty": sa.bindparam("penalty"), "flagged": sa.bindparam("flag")}
        db.execute(statement.values(values), penalties)
    return {"review": review, "kept": kept}


def remember(db: sa.Connection, project: str, record: dict, stamp: str) -> None:
    """Write down, in the same transaction, what was merged."""
    where = (merged.c.project == project, merged.c.student == record["student"])
    values = {"stamp": stamp, "graded_at": record["graded_at"], "outcome": record["outcome"]}
    if record.get("notebooks"):  # of a refused one the answers graded before still stand
        values["answers"] = json.dumps({name: texts_of(record, name) for name in record["notebooks"]})
    if db.execute(merged.update().where(*where).values(values)).rowcount == 0:
        row = {"project": project, "student": record["student"], "answers": "{}", **values}
        db.execute(merged.insert().values(row))


_SAME = object()  # a grade that the result says nothing about


def _verdict(record: dict, file: str, cell: Cell, grade) -> tuple[object, bool]:
    """The automatic points of a cell and whether a person has to look, grades by hand left aside."""
    if file not in record["points"]:  # a notebook that was not handed in
        return 0.0, False
    found = record["points"][file].get(cell.name)
    if found is None:  # the release has this cell only since this was graded
        return _SAME, bool(grade.needs_manual_grade)
    return found["auto"], found["auto"] is None


def _unanswered(record: dict, file: str) -> set[str]:
    """The answer cells that stand as they were released."""
    found = set()
    for cell in record["notebooks"].get(file, {}).get("cells", []):
        meta = cell.get("metadata", {}).get("nbgrader") or {}
        answer = meta.get("solution") and not meta.get("task") and meta.get("checksum")
        if answer and meta["checksum"] == utils.compute_checksum(from_dict(cell)):
            found.add(meta["grade_id"])
    return found


def _flagged_by_hand(found, row) -> bool:
    """Whether the flag in formgrader is somebody's, and not from an earlier version that ended its session."""
    return bool(found.flagged) and (row is None or row.outcome != STUDENT_ERROR)


def _penalty(master: Master, record: dict, student: str, score: float, extension: timedelta | None) -> float | None:
    when = utils.parse_utc(record.get("timestamp"))
    if when is None or master.due is None:
        return None
    seconds = (when - master.due - (extension or timedelta())).total_seconds()
    penalty = master.plugin.late_submission_penalty(student, score, seconds) if seconds > 0 else None
    return None if penalty is None else min(max(penalty, 0), score)


def _find_submission(db: sa.Connection, folder: Folder, master: Master, record: dict) -> tuple[timedelta | None, str]:
    """The submission's extension and id; made where there is none, with its time set in any case."""
    student = record["student"]
    where = (_submission.c.assignment_id == master.id, _submission.c.student_id == student)
    row = db.execute(sa.select(_submission).where(*where)).first()
    course = folder.course
    said = course is not None and (course.extensions is not None or master.due is None)
    extension = extension_of(course, master.project, student) if said else (row.extension if row else None)
    values = {"timestamp": utils.parse_utc(record.get("timestamp")), "extension": extension}
    if row is None:
        row_id = uuid4().hex
        db.execute(_submission.insert().values(id=row_id, assignment_id=master.id, student_id=student, **values))
        return extension, row_id
    if (row.timestamp, row.extension) != (values["timestamp"], extension):
        db.execute(_submission.update().where(_submission.c.id == row.id).values(values))
    return extension, row.id


def _find_notebooks(db: sa.Connection, master: Master, submission_id: str) -> dict[str, sa.Row]:
    """A submission's notebooks by the id of the master's; those missing are made: all, or what an amendment added.

    The master's ids are named though all are meant: nbgrader's only index begins with them, and without it each merge
    would read the whole table.
    """
    ids = list(master.notebooks.values())
    mine = sa.select(_notebook).where(_notebook.c.notebook_id.in_(ids), _notebook.c.assignment_id == submission_id)
    found = {row.notebook_id: row for row in db.execute(mine)}
    fresh = [key for key in ids if key not in found]
    if not fresh:
        return found
    rows = [{"id": uuid4().hex, "assignment_id": submission_id, "notebook_id": key, "flagged": False} for key in fresh]
    db.execute(_notebook.insert(), rows)
    return {row.notebook_id: row for row in db.execute(mine)}


def _find_rows(
    db: sa.Connection, table: sa.Table, cells: dict[str, list[Cell]], master: Master, standing: dict, **fresh: object
) -> dict[tuple[str, str], sa.Row]:
    """The grades or comments of a submission by notebook and cell; those missing are made, with `fresh` values."""
    wanted = [(standing[key].id, cell.id) for name, key in master.notebooks.items() for cell in cells[name]]
    notebooks, ids = {notebook for notebook, _ in wanted}, [cell for _, cell in wanted]
    mine = sa.select(table).where(table.c.cell_id.in_(ids), table.c.notebook_id.in_(notebooks))  # as the index has them
    found = {(row.notebook_id, row.cell_id): row for row in db.execute(mine)}
    missing = [key for key in wanted if key not in found]
    if not missing:
        return found
    rows = [{"id": uuid4().hex, "notebook_id": notebook, "cell_id": cell, **fresh} for notebook, cell in missing]
    db.execute(table.insert(), rows)
    return {(row.notebook_id, row.cell_id): row for row in db.execute(mine)}


def _released_texts(folder: Folder, project: str) -> set[str]:
    found = set()
    for path in folder.path("release", project).glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            found.add("".join(cell["source"]))
    return found
