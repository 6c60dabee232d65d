"""`classroom amend`: a mended release in mid-term; old submissions are graded against it.

A cell's grade_id is what grades, comments and answers hang on, so none may go once something was handed in. nbgrader
also refuses to add any then; here the gradebook gets them first, with a line for every submission, so that it finds
nothing to add. What people graded by hand stays (see `writer`), on cells that have changed too: they are listed.
"""

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from uuid import uuid4

import nbformat
import sqlalchemy as sa
from nbgrader import api, utils

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder
from classroom.gradebook import Connection
from classroom.regrade import log
from classroom.release import release
from classroom.report import grades
from classroom.results import read_record, write_record
from classroom.terminal import counted

_tables = {name: getattr(api, name).__table__ for name in ("Assignment", "Notebook", "BaseCell", "SourceCell")}
_MARKED = {"GradeCell": api.GradeCell.__table__, "TaskCell": api.TaskCell.__table__}


@dataclass(frozen=True)
class Cell:
    """What the gradebook knows of a cell."""

    kinds: frozenset[str]  # of GradeCell, SolutionCell, TaskCell; none: only locked text
    points: float | None
    cell_type: str
    source: str = ""


Cells = dict[str, dict[str, Cell]]  # by notebook and grade_id


def amend(folder: Folder, project: str, grade: Callable[[], dict], say: Callable[[str], None]) -> dict:
    """Release a project anew and grade what was handed in against it.

    An interruption leaves a state from which the same command goes on, with the table of points from before.

    Args:
        grade: runs autograde on the project; what has not changed is not graded again.

    Returns:
        `cells`: what became of which cell; `by_hand`: students with grades by hand on a changed cell; `points`: for
        each student whose points changed those before and now; and what `grade` returned.

    Raises:
        ClassroomError: a cell that submissions hang on is gone or has another kind; nothing is changed then.
    """
    folder.require_released(project)
    note = folder.record("amend", project)
    begun = read_record(note)
    connection = Connection(folder.coursedir.db_url, say)
    try:
        with connection.transaction() as db:
            old, submissions = known_cells(db, project), count_submissions(db, project)
        new = source_cells(folder.path("source", project))
        if submissions:
            refuse_lost(old, new, project, submissions)
        if not begun:
            standing = {name: {key: astuple(cell)[1:] for key, cell in cells.items()} for name, cells in old.items()}
            points = {who: found["parts"] for who, found in grades(folder, project).items()}
            begun = {"before": points, "cells": standing}
            write_record(note, begun)
        with connection.transaction() as db:
            added = add_cells(db, folder, project, old, new) if submissions else []
        try:
            released = release(folder, [project], say)["released"][project]["changed"]
        except ClassroomError:
            with connection.transaction() as db:
                remove_rows(db, added)  # they are new: nothing hangs on them yet
            note.unlink()
            raise
        with connection.transaction() as db:
            now = known_cells(db, project)
    finally:
        connection.close()
    first = {
        name: {key: Cell(frozenset(), *rest) for key, rest in cells.items()} for name, cells in begun["cells"].items()
    }
    changes = differences(first, now)
    if not released and not any(changes.values()):
        say(f"{project}: the release is as it was; nothing to amend")
    for what, names in changes.items():
        if names:
            say(f"{what:8} {', '.join(names)}")
    by_hand = graded_by_hand(
        folder, project, {name.partition(" (")[0] for name in changes["changed"] + changes["points"]}
    )
    for name, students in by_hand.items():
        say(f"{name}: graded by hand for {len(students)}, which stays: {', '.join(students[:8])}")
    report = grade()
    after = grades(folder, project)
    moved = {}
    for student, found in after.items():
        before = begun["before"].get(student)
        if before is not None and before != found["parts"]:
            moved[student] = {"before": before, "after": found["parts"]}
    _print_points(moved, say)
    have = "has" if len(after) == 1 else "have"
    say(f"{project}: {len(moved)} of {counted(len(after), 'submission')} {have} other points than before")
    log(folder, "amend", project=project, cells=changes, students=sorted(moved))
    note.unlink()
    return {**report, "cells": changes, "by_hand": by_hand, "points": moved}


def source_cells(place: Path) -> Cells:
    """The cells of the source notebooks that nbgrader keeps track of."""
    found: Cells = {}
    for path in sorted(place.glob("*.ipynb")):
        cells = found[path.stem] = {}
        for cell in nbformat.read(path, as_version=4).cells:
            is_any = utils.is_grade(cell), utils.is_solution(cell), utils.is_task(cell)
            if not any(is_any) and not utils.is_locked(cell):
                continue
            meta = cell.metadata.nbgrader
            kinds = [
                kind for kind, holds in zip(("GradeCell", "SolutionCell", "TaskCell"), is_any, strict=True) if holds
            ]
            points = float(meta["points"]) if is_any[0] or is_any[2] else None
            cells[meta["grade_id"]] = Cell(frozenset(kinds), points, cell.cell_type)
    return found


def known_cells(db: sa.Connection, project: str) -> Cells:
    """The same of the gradebook, with their text."""
    assignment, notebook, base, source = _tables.values()
    mine = sa.select(notebook.c.id, notebook.c.name).join(assignment).where(assignment.c.name == project)
    found: Cells = {}
    for notebook_id, name in db.execute(mine).all():
        kinds: dict[str, set[str]] = {}
        for row in db.execute(sa.select(base.c.name, base.c.type).where(base.c.notebook_id == notebook_id)):
            kinds.setdefault(row.name, set()).add(row.type)
        points = {}
        for table in _MARKED.values():
            query = sa.select(base.c.name, table.c.max_score).join(table, table.c.id == base.c.id)
            points |= dict(db.execute(query.where(base.c.notebook_id == notebook_id)).tuples().all())
        rows = db.execute(sa.select(source).where(source.c.notebook_id == notebook_id))
        found[name] = {
            row.name: Cell(frozenset(kinds.get(row.name, ())), points.get(row.name), row.cell_type, row.source or "")
            for row in rows
        }
    return found


def count_submissions(db: sa.Connection, project: str) -> int:
    """How many submissions the gradebook has of a project."""
    assignment, submitted = _tables["Assignment"], api.SubmittedAssignment.__table__
    mine = sa.select(sa.func.count()).select_from(submitted).join(assignment).where(assignment.c.name == project)
    return db.scalar(mine)


def refuse_lost(old: Cells, new: Cells, project: str, submissions: int) -> None:
    """Refuse a source in which something is missing that grades or answers hang on.

    Raises:
        ClassroomError: naming each cell, and what may have become of it.
    """
    lost = []
    for name, cells in old.items():
        if name not in new:
            lost.append(f"the notebook {name}.ipynb is gone{near_miss(name, new.keys() - old.keys())}")
            continue
        for grade_id, cell in cells.items():
            there = new[name].get(grade_id)
            if there is None and cell.kinds:
                lost.append(f"cell {grade_id} of {name} is gone{near_miss(grade_id, new[name].keys() - cells.keys())}")
            elif there is not None and cell.kinds - there.kinds:
                what = {"GradeCell": "a graded", "SolutionCell": "an answer", "TaskCell": "a task"}
                kinds = " or ".join(what[kind] for kind in sorted(cell.kinds - there.kinds))
                lost.append(f"cell {grade_id} of {name} is no longer {kinds} cell")
    if lost:
        said = "; ".join(lost)
        hang = "submission hangs" if submissions == 1 else "submissions hang"
        raise ClassroomError(
            f"{project} cannot be amended: {said}{'' if said.endswith('?') else '.'} {submissions} {hang} on these "
            "cells: give them back their grade_id and their kind (a cell that should not count any more can have 0 "
            "points)"
        )


def add_cells(db: sa.Connection, folder: Folder, project: str, old: Cells, new: Cells) -> list[tuple[sa.Table, str]]:
    """Bring new cells and notebooks into the gradebook, and for each submission a line for each; drop locked text.

    Returns:
        The rows that were made, in the order in which they were, to take them back.
    """
    assignment, notebook, base, source = _tables.values()
    made: list[tuple[sa.Table, str]] = []

    def insert(table: sa.Table, **values: object) -> str:
        values.setdefault("id", uuid4().hex)
        db.execute(table.insert().values(**values))
        made.append((table, values["id"]))
        return values["id"]

    project_id = db.scalar(sa.select(assignment.c.id).where(assignment.c.name == project))
    submitted, submitted_notebook = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    everybody = db.scalars(sa.select(submitted.c.id).where(submitted.c.assignment_id == project_id)).all()
    ids = dict(
        db.execute(sa.select(notebook.c.name, notebook.c.id).where(notebook.c.assignment_id == project_id))
        .tuples()
        .all()
    )
    for name, cells in new.items():
        if name not in ids:
            kernel = nbformat.read(folder.path("source", project) / f"{name}.ipynb", as_version=4).metadata.get(
                "kernelspec", {}
            )
            ids[name] = insert(notebook, name=name, assignment_id=project_id, kernelspec=json.dumps(kernel))
            for submission in everybody:
                insert(submitted_notebook, assignment_id=submission, notebook_id=ids[name], flagged=False)
        rows = sa.select(submitted_notebook.c.id).where(submitted_notebook.c.notebook_id == ids[name])
        theirs = db.scalars(rows).all()
        known = old.get(name, {})
        for grade_id, cell in cells.items():
            for kind in sorted(cell.kinds - known[grade_id].kinds if grade_id in known else cell.kinds):
                key = insert(base, name=grade_id, notebook_id=ids[name], type=kind)
                if kind in _MARKED:
                    insert(_MARKED[kind], id=key, max_score=cell.points, cell_type=cell.cell_type)
                else:
                    insert(api.SolutionCell.__table__, id=key)
                for theirs_id in theirs:
                    if kind in _MARKED:
                        insert(api.Grade.__table__, cell_id=key, notebook_id=theirs_id, needs_manual_grade=True)
                    if kind != "GradeCell":
                        insert(api.Comment.__table__, cell_id=key, notebook_id=theirs_id)
            if grade_id not in known:
                insert(source, name=grade_id, notebook_id=ids[name], cell_type=cell.cell_type, locked=False)
        for grade_id in known.keys() - cells.keys():  # locked text, or it would have been refused
            db.execute(source.delete().where(source.c.notebook_id == ids[name], source.c.name == grade_id))
    return made


def remove_rows(db: sa.Connection, made: list[tuple[sa.Table, str]]) -> None:
    """Take back what `add_cells` made."""
    for table, key in reversed(made):
        db.execute(table.delete().where(table.c.id == key))


def differences(old: Cells, new: Cells) -> dict[str, list[str]]:
    """What became of the cells: `new`, `gone`, `points` and `changed`, each a list of names."""
    found: dict[str, list[str]] = {"new": [], "gone": [], "points": [], "changed": []}
    several = len(old.keys() | new.keys()) > 1
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name, {}), new.get(name, {})
        for grade_id in sorted(before.keys() | now.keys()):
            shown = f"{name}/{grade_id}" if several else grade_id
            if grade_id not in before:
                found["new"].append(shown)
            elif grade_id not in now:
                found["gone"].append(shown)
            else:
                was, is_now = before[grade_id], now[grade_id]
                if was.points != is_now.points:
                    found["points"].append(f"{shown} ({_points(was)} to {_points(is_now)})")
                if (was.source, was.cell_type) != (is_now.source, is_now.cell_type):
                    found["changed"].append(shown)
    return found


def graded_by_hand(folder: Folder, project: str, cells: set[str]) -> dict[str, list[str]]:
    """By changed cell the students whose points for it a person gave."""
    found: dict[str, list[str]] = {}
    with folder.gradebook() as gradebook:
        mine = gradebook.db.query(api.Grade).join(api.SubmittedNotebook).join(api.SubmittedAssignment)
        mine = mine.join(api.Assignment).filter(api.Assignment.name == project, api.Grade.manual_score.isnot(None))
        for grade in mine:
            for shown in {grade.name, f"{grade.notebook.name}/{grade.name}"} & cells:
                found.setdefault(shown, []).append(grade.student.id)
    return {name: sorted(students) for name, students in sorted(found.items())}


def _points(cell: Cell) -> str:
    return "none" if cell.points is None else f"{cell.points:g}"


def _print_points(moved: dict[str, dict], say: Callable[[str], None]) -> None:
    width = max(map(len, moved), default=0)
    for student, points in sorted(moved.items()):
        before, after = points["before"], points["after"]
        cells = [name for name in after if before.get(name, "none") != after[name]]
        said = [f"{name} {_shown(before.get(name, 'none'))} to {_shown(after[name])}" for name in cells]
        totals = [sum(value or 0 for value in side.values()) for side in (before, after)]
        say(f"{student:{width}}  {totals[0]:g} to {totals[1]:g}  ({', '.join(said)})")


def _shown(points: float | str | None) -> str:
    return "waiting" if points is None else points if isinstance(points, str) else f"{points:g}"
