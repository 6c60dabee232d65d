"""`classroom lint PROJECT --bank`: the answers of a project's bank, graded, and held against what its author expects.

Each member is a patch to answer cells of the official solution. It runs as a submission does, in the sandbox and the
examiner, and has to get the points that stand beside it; a mistake has to fail the checks that it names, and no other.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from classroom.checked_yaml import load
from classroom.errors import ClassroomError, near_miss
from classroom.lintrules import Finding
from classroom.partnames import PartNames
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
    "minItems": 1,
    "description": "a list of answers, one at least",
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


def names_in(source: dict[str, NotebookNode]) -> PartNames:
    """What the cells of the solved notebooks are called in a bank."""
    return PartNames((name, meta["grade_id"]) for name, found in source.items() for meta in _metas(found))


def members(folder: Folder, project: str, source: dict[str, NotebookNode], tests: Collection[str]) -> list[dict]:
    """The bank's answers.

    Args:
        source: the solved notebooks by file name.
        tests: what the test cells are called.

    Raises:
        ClassroomError: if there is no bank, or an answer in it names cells that the project does not have.
    """
    path = bank_path(folder, project)
    if not path.is_file():
        raise ClassroomError(f"no bank of answers: expected {folder.shown(path)}, as `classroom new` makes it")
    found, lines = load(path, SCHEMA)
    names = names_in(source)
    answers = {names.of(name, meta["grade_id"]) for name, n in source.items() for meta in _metas(n) if meta["solution"]}
    for number, member in enumerate(found):
        for field, known in (("cells", answers), ("points", tests)):
            for name in member[field]:
                if name not in known:
                    line, kind = lines[number, field, name], "answer" if field == "cells" else "test"
                    raise ClassroomError(f"{path.name}, line {line}: no {kind} cell {name!r}{near_miss(name, known)}")
    return found


def unlike_their_kind(members: list[dict], worth: dict[str, float], bank: str) -> Iterator[Finding]:
    """Where an answer expects what its kind cannot get: full marks, fewer, or nothing.

    Args:
        worth: by test cell its points.
        bank: the name of the bank's file.
    """
    often = Counter(member["id"] for member in members)
    for name in (name for name, many in often.items() if many > 1):
        cell = next(next(iter(member["points"])) for member in members if member["id"] == name)
        yield Finding(bank, cell, 0, "bank", f"{often[name]} answers are called {name}", "another id for each")
    for member in members:
        who, kind = f"{member['kind']} {member['id']}", member["kind"]
        for cell, wanted in member["points"].items():
            (low, high), most = (wanted if isinstance(wanted, list) else (wanted, wanted)), worth[cell]
            expected = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            right = {"right": low == high == most, "mistake": high < most, "shortcut": low == high == 0}[kind]
            if low > high:
                yield Finding(bank, cell, 0, "bank", f"{who} expects {expected} points", "the lower number first")
            elif not right:
                has_to = {"right": f"get all {most:g}", "mistake": f"lose some of {most:g}", "shortcut": "get 0"}[kind]
                what = f"{who} expects {expected} points, and a {kind} has to {has_to}"
                yield Finding(bank, cell, 0, "bank", what, "another kind, or what it expects")
        if kind != "mistake" and member.get("fails"):
            what = f"{who} names checks that it fails, which only a mistake does"
            yield Finding(bank, next(iter(member["points"])), 0, "bank", what, "kind: mistake, or no fails")


def patched(source: dict[str, NotebookNode], member: dict) -> dict[str, NotebookNode]:
    """The solved notebooks with a member's answers in place of the official ones."""
    made, names = {name: copy.deepcopy(notebook) for name, notebook in source.items()}, names_in(source)
    for name, notebook in made.items():
        for cell in _answers(notebook):
            text = member["cells"].get(names.of(name, cell.metadata.nbgrader.grade_id))
            cell.source = cell.source if text is None else text.rstrip("\n")
    return made


def compared(member: dict, outcome: dict, verdicts: Callable[[dict, str], dict], names: PartNames) -> Iterator[Finding]:
    """Where a member did not come out as its author says.

    Args:
        verdicts: as `classroom.lint` reads them: by test cell points, whether each check passed, and an error.
    """
    who = f"{member['kind']} {member['id']}"
    told = {name: verdicts(outcome, name) for name in outcome.get("notebooks", {})}
    cells = {names.of(name, cell): (name, made) for name, ran in told.items() for cell, made in ran.items()}
    failed: set[str] = set()
    ranged = False
    for cell, wanted in member["points"].items():
        name, (earned, checks, error) = cells.get(cell, ("", (0.0, {}, outcome.get("note") or "")))
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
        yield Finding(
            cells.get(cell, ("",))[0], cell, 0, "bank", what, "a check for each mistake, with a hint that fits it"
        )


def _metas(notebook: NotebookNode) -> list[dict]:
    found = [{"solution": False, **cell.metadata.get("nbgrader", {})} for cell in notebook.cells]
    return [meta for meta in found if meta.get("grade_id")]


def _answers(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
