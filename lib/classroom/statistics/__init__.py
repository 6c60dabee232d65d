"""`classroom report`: what the numbers of one project say of its parts, checks, runs and class, as one page.

The page is made of the gradebook and the result files and changes neither. Students have pseudonyms in it, and nothing
that a student wrote stands in it, unless the instructor asks for names.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from classroom.folder import Folder
from classroom.results import require_target, write_atomically
from classroom.statistics import more_sections, sections
from classroom.statistics.collect import Data, collect
from classroom.statistics.numbers import alpha, comparable, part_numbers
from classroom.statistics.page import page, paragraph


def report(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    to: Path | None = None,
    names: bool = False,
    when: datetime | None = None,
) -> dict:
    """Write the report of a project.

    Args:
        folder: the class; its lock is held by the caller.
        to: where to; by default report-PROJECT.html in the class's folder.
        names: name the students, and show the reasons of refusals as they were given.
        when: the time that the page says; now.

    Returns:
        `file`, `students`, `outcomes`, `waiting` (for a person), `parts` with their numbers, and `alpha`.

    Raises:
        ClassroomError: no such project or folder, or the gradebook cannot be read.
    """
    folder.require(project)
    target = require_target("--to", to or folder.home / f"report-{project}.html")
    data = collect(folder, project, when or datetime.now(UTC), names=names)
    write_atomically(target, make_page(data, _namer(folder, names)), mode=0o600)
    say(f"{_spoken(data)}")
    say(f"{folder.shown(target)}: {'with names' if names else 'without names'}; it opens in any browser")
    return {"file": str(target), **numbers_of(data)}


def make_page(data: Data, name: Callable[[str], str]) -> str:
    """The page, as text.

    Args:
        name: what to call a student.
    """
    title = f"Report: {data.title or data.project}"
    head = sections.beginning(data)
    if not data.students and not data.progress:
        return page(title, head, [])
    foot = paragraph(
        "What each number means, and when not to believe it: “What the numbers say” in the book's teaching pages.",
        "soft",
    )
    return page(
        title,
        head,
        [
            ("marks", "Marks", sections.marks(data)),
            ("parts", "Parts", sections.parts(data)),
            ("checks", "Checks", sections.checks(data)),
            ("running", "Time and memory", more_sections.running(data, name)),
            ("arrivals", "What came, and when", more_sections.arrivals(data)),
            ("students", "Students across the projects", [*more_sections.progress(data, name), foot]),
        ],
    )


def numbers_of(data: Data) -> dict:
    """The report for a program: no student in it."""
    marks = data.marks
    compared, _ = comparable(marks.points)
    found = part_numbers(marks.points, np.array([part.most for part in marks.parts]))
    return {
        "project": data.project,
        "students": data.students,
        "outcomes": dict(data.runs.outcomes),
        "waiting": int(marks.waiting.any(axis=1).sum()) if marks.waiting.size else 0,
        "parts": [
            {
                "cell": part.cell,
                "points": part.most,
                "known": of.n,
                "mean": _json(of.mean),
                "difficulty": _json(of.difficulty),
                "nothing": _json(of.zero),
                "everything": _json(of.full),
                "correlation": _json(of.correlation),
                "interval": [_json(of.low), _json(of.high)],
            }
            for part, of in zip(marks.parts, found, strict=True)
        ],
        "compared": len(compared),
        "alpha": _json(alpha(compared)),
        "checks": [
            {"cell": c.cell, "name": c.name, "made": c.made, "failed": c.failed, "hidden": c.hidden}
            for c in data.runs.checks.values()
        ],
    }


def _namer(folder: Folder, names: bool) -> Callable[[str], str]:
    if names:
        return str
    from classroom.pseudonyms import Pseudonyms

    return Pseudonyms(folder).of


def _spoken(data: Data) -> str:
    if not data.students:
        return f"{data.project}: nobody has handed in"
    counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(data.runs.outcomes.items()))
    return f"{data.project}: {data.students} student{'' if data.students == 1 else 's'}: {counted}"


def _json(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
