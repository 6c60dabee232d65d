"""`classroom lint PROJECT --bank`: the answers of a project's bank, graded, and held against what its author expects.

Each member is a patch to answer cells of the official solution. It runs as a submission does, in the sandbox and the
examiner, and has to get the points that stand beside it; a mistake has to fail the checks that it names, and no other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from classroom.checked_yaml import load
from classroom.errors import ClassroomError, near_miss
from classroom.lintrules import Finding
from classroom.template import bank_path

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from classroom.folder import Folder

KINDS = ("right", "mistake", "shortcut")
_TEXT = {"type": "string", "minLength": 1, "description": "a text"}
_POINTS = {
    "description": "a number of points, or [lowest, highest]",
    "anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}],
}
# More fields may stand there, for whoever reads them.
SCHEMA = {
    "type": "array",
    "description": "a list of answers",
    "items": {
        "type": "object",
        "description": "an answer: id, kind, cells, points",
        "required": ["id", "kind", "cells", "points"],
        "properties": {
            "id": _TEXT,
            "kind": {"enum": list(KINDS), "description": f"one of {', '.join(KINDS)}"},
            "cells": {
                "type": "object",
                "minProperties": 1,
                "description": "answer cells with their texts",
                "additionalProperties": _TEXT,
            },
            "points": {
                "type": "object",
                "minProperties": 1,
                "description": "test cells with their points",
                "additionalProperties": _POINTS,
            },
            "fails": {"type": "array", "items": _TEXT, "description": "a list of checks"},
        },
    },
}


def members(folder: Folder, project: str, source: dict[str, NotebookNode], tests: set[str]) -> list[dict]:
    """The bank's answers.

    Args:
        source: the solved notebooks by file name.
        tests: the names of the test cells.

    Raises:
        ClassroomError: if there is no bank, or an answer in it names cells that the project does not have.
    """
    path = bank_path(folder, project)
    if not path.is_file():
        raise ClassroomError(f"no bank of answers: expected {folder.shown(path)}, as `classroom new` makes it")
    found, lines = load(path, SCHEMA)
    answers = {cell.metadata.nbgrader.grade_id for notebook in source.values() for cell in _answers(notebook)}
    for number, member in enumerate(found):
        for field, known in (("cells", answers), ("points", tests)):
            for name in member[field]:
                if name not in known:
                    line, kind = lines[number, field, name], "answer" if field == "cells" else "test"
                    raise ClassroomError(f"{path.name}, line {line}: no {kind} cell {name!r}{near_miss(name, known)}")
    return found


def patched(source: dict[str, NotebookNode], member: dict) -> dict[str, NotebookNode]:
    """The solved notebooks with a member's answers in place of the official ones."""
    made = {name: copy.deepcopy(notebook) for name, notebook in source.items()}
    for notebook in made.values():
        for cell in _answers(notebook):
            text = member["cells"].get(cell.metadata.nbgrader.grade_id)
            cell.source = cell.source if text is None else text.rstrip("\n")
    return made


def compared(member: dict, outcome: dict, verdicts: Callable[[dict, str], dict]) -> Iterator[Finding]:
    """Where a member did not come out as its author says.

    Args:
        verdicts: as `classroom.lint` reads them: by test cell points, whether each check passed, and an error.
    """
    who = f"{member['kind']} {member['id']}"
    cells = {cell: name for name in outcome.get("notebooks", {}) for cell in verdicts(outcome, name)}
    failed: set[str] = set()
    ranged = False
    for cell, wanted in member["points"].items():
        name = cells.get(cell, "")
        earned, checks, error = verdicts(outcome, name)[cell] if name else (0.0, {}, outcome.get("note") or "")
        low, high = wanted if isinstance(wanted, list) else (wanted, wanted)
        ranged = ranged or low != high
        failed |= {check for check, passed in checks.items() if not passed}
        if not low <= earned <= high:
            expected = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            what = f"{who} gets {earned:g} points, expected {expected}" + (f" ({error})" if error else "")
            yield Finding(name, cell, 0, "bank", what, "the test, or what the bank expects")
    fails = set(member.get("fails", ()))
    differ = fails - failed if ranged else fails ^ failed
    if member["kind"] == "mistake" and "fails" in member and differ:
        cell = next(iter(member["points"]))
        what = f"{who} fails {', '.join(sorted(failed)) or 'no check'}, expected {', '.join(sorted(fails))}"
        yield Finding(cells.get(cell, ""), cell, 0, "bank", what, "a check for each mistake, with a hint that fits it")


def _answers(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
