"""The grades that commands show, read from nbgrader's gradebook."""

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from classroom.folder import Folder
from classroom.partnames import PartNames
from classroom.results import REFUSED, read_result
from classroom.standing import Since

MOST_NAMED_PARTS = 6


@contextmanager
def recorded(folder: Folder, project: str) -> Iterator:
    """The gradebook's record of a project while it is open, with today's late penalties; None where there is none."""
    from nbgrader.api import MissingEntry

    from classroom.late import refresh_penalties
    from classroom.merging import late_plugin

    if not folder.has_gradebook():
        yield None
        return
    with folder.gradebook() as gradebook:
        try:
            assignment = gradebook.find_assignment(project)
        except MissingEntry:
            assignment = None
        else:
            refresh_penalties(gradebook, project, late_plugin(folder))
        yield assignment


def grades(folder: Folder, project: str) -> dict[str, dict]:
    """What the gradebook says about each submission of a project, with today's late penalties.

    Returns:
        By student: `parts` (points by graded cell, as `classroom.partnames` calls it; None waits for a person),
        `points` (sum of the parts), `penalty`, `total` (points minus penalty), `max`, `waiting` (whether a part waits),
        `seconds_late` and `comments`.
    """
    found: dict[str, dict] = {}
    with recorded(folder, project) as assignment:
        if assignment is None:
            return found
        order = _order(folder, project)
        cells = [(notebook.name, cell.name) for notebook in assignment.notebooks for cell in _graded(notebook)]
        names = PartNames([*order, *cells])
        for submission in assignment.submissions:
            cells = [grade for notebook in submission.notebooks for grade in notebook.grades]
            cells.sort(key=lambda grade: order.get((grade.notebook.name, grade.name), len(order)))
            penalty = submission.late_submission_penalty or 0.0
            found[submission.student_id] = {
                "parts": {
                    names.of(grade.notebook.name, grade.name): None if grade.needs_manual_grade else grade.score
                    for grade in cells
                },
                "points": submission.score,
                "penalty": penalty,
                "total": round(max(0.0, submission.score - penalty), 6),
                "max": submission.max_score,
                "waiting": any(grade.needs_manual_grade for grade in cells),
                "seconds_late": submission.total_seconds_late,
                "comments": {c.name: c.comment for notebook in submission.notebooks for c in notebook.comments},
            }
    return found


def _graded(notebook) -> list:
    return [*notebook.grade_cells, *notebook.task_cells]


def _order(folder: Folder, project: str) -> dict[tuple[str, str], int]:
    """The place of each cell in the release, by notebook and grade_id: the gradebook has them in none."""
    named = []
    for path in sorted(folder.path("release", project).glob("*.ipynb")):
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            named += [(path.stem, cell["metadata"].get("nbgrader", {}).get("grade_id")) for cell in cells]
        except (ValueError, KeyError, TypeError, AttributeError):  # somebody's edit; grading says what is wrong with it
            continue
    return {name: place for place, name in enumerate(named)}


def overview(folder: Folder, project: str) -> list[dict]:
    """One record a submission: outcome, points of each part, whether it `changed` since, and a note in words."""
    in_gradebook = grades(folder, project)
    rows = []
    since = Since(folder, project)
    for student in folder.students(project):
        result = read_result(folder.record("result", project, student), head=True)
        graded = in_gradebook.get(student) if result.get("outcome") else None
        notes = [result["note"]] if result.get("note") else []
        if graded:
            if graded["penalty"]:
                notes.insert(0, f"late: {graded['penalty']:g} taken off {graded['points']:g}")
            elif graded["seconds_late"] > 0:
                notes.insert(0, "late, nothing taken off")
            if result["outcome"] == REFUSED:
                notes.append("the grade of the version before stands")
            if graded["waiting"]:
                notes.append("written part waits for you")
        changed = since.changed(student, result)
        notes += [changed] if changed else []
        row = {"student": student, "outcome": result.get("outcome", "not graded yet"), "changed": bool(changed)}
        fields = ("parts", "points", "penalty", "total", "max", "waiting")
        row |= {field: graded[field] if graded else None for field in fields}
        rows.append(row | {"note": "; ".join(notes)})
    return rows


def table(rows: list[dict], extra: str | None = None) -> list[str]:
    """The records as lines of text; `extra` names one more field to show after the student.

    Many parts have numbers for heads, so that a line fits a screen; a line below says what they are.
    """
    parts = list(dict.fromkeys(cell for row in rows for cell in row["parts"] or {}))
    numbered = len(parts) > MOST_NAMED_PARTS
    names = [str(number) for number, _ in enumerate(parts, 1)] if numbered else parts
    heads = ["student", *([extra] if extra else []), "outcome", *names, "total", "of", "note"]
    lines = [heads]
    for row in rows:
        points = [_number((row["parts"] or {}).get(cell), "waits" if row["parts"] else "-") for cell in parts]
        totals = [_number(row["total"], "-"), _number(row["max"], "-")]
        lines.append([row["student"], *([row[extra]] if extra else []), row["outcome"], *points, *totals, row["note"]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    first_number = len(heads) - 3 - len(parts)

    def cell(i: int, text: str) -> str:
        return text.rjust(widths[i]) if first_number <= i < len(heads) - 1 else text.ljust(widths[i])

    shown = ["  ".join(cell(i, text) for i, text in enumerate(line)).rstrip() for line in lines]
    if numbered:
        # A no-break space keeps each number with its name.
        legend = "parts: " + ", ".join(
            f"{name}\N{NO-BREAK SPACE}{part}" for name, part in zip(names, parts, strict=True)
        )
        wrapped = textwrap.wrap(legend, 110, subsequent_indent="       ", break_on_hyphens=False)
        shown += [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]
    return shown


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g}"
