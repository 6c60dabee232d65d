"""Members of the banks as submissions: several that answer different parts share one notebook.

A member's answer stands in its answer cell, and after the tests of its part a cell gives the names back to the
project's own solution, so that what comes later is tested as if nothing had been wrong. To nbgrader and to grading that
is a student's own cell. So a bank of 190 is some thirty submissions.
"""

import copy
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BANKS: dict[str, list[dict]] = {
    path.parent.name: yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("*/bank.yml"))
}
# The name of a check, and whether it passed, as `deeppractice.checks` prints it.
LINE = re.compile(r"^([✓✗]) (\S+) \([\d.]+ points?\)$", re.M)


@dataclass
class Verdict:
    """What became of one test cell."""

    points: float
    failed: set[str] = field(default_factory=set)  # names of checks
    silent: set[str] = field(default_factory=set)  # of these, the checks that tell the student nothing
    made: int = 0  # how many checks there were
    by: str = ""


@dataclass
class Batch:
    """Members that answer different parts."""

    project: str
    number: int
    members: list[dict] = field(default_factory=list)

    @property
    def cells(self) -> dict[str, str]:
        """All their answers by grade_id."""
        return {name: source for member in self.members for name, source in member["cells"].items()}

    @property
    def tests(self) -> set[str]:
        """The test cells that they are about."""
        return {name for member in self.members for name in member["points"]}

    def __str__(self) -> str:
        return f"{self.project}-{self.number:02d}"


@cache
def batches(project: str) -> list[Batch]:
    """A project's bank, as few notebooks as there can be; a member with `alone` has one to itself."""
    made: list[Batch] = []
    for member in BANKS[project]:
        used = set(member["cells"]) | set(member["points"])

        def fits(batch: Batch, member=member, used=used) -> bool:
            lone = member.get("alone") or any(other.get("alone") for other in batch.members)
            return not lone and not used & (batch.cells.keys() | batch.tests)

        batch = next(filter(fits, made), None)
        if batch is None:
            made.append(batch := Batch(project, len(made) + 1))
        batch.members.append(member)
    return made


@cache
def described(project: str) -> dict:
    """What project.yml says."""
    return yaml.safe_load((ROOT / "solutions" / project / "project.yml").read_text())


@cache
def source(project: str, *, short: bool = True) -> NotebookNode:
    """The source notebook; with `short` as grading runs it: its parameters written in, without what only shows."""
    notebook = nbformat.read(ROOT / "solutions" / project / f"{project}.ipynb", as_version=4)
    if short:
        notebook.cells = [cell for cell in notebook.cells if "figure" not in cell.metadata.get("tags", [])]
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source += "".join(f"\n{n} = {v!r}" for n, v in described(project)["grading"]["parameters"].items())
    return notebook


def meta(cell: NotebookNode) -> dict:
    """What nbgrader knows of a cell."""
    return cell.metadata.get("nbgrader", {})


def filled(notebook: NotebookNode, batch: Batch) -> NotebookNode:
    """The notebook with a batch's answers, and the solution's where the batch has none.

    Args:
        notebook: the source, or what is released of it.
    """
    right = {meta(cell)["grade_id"]: cell.source for cell in source(batch.project).cells if meta(cell).get("solution")}
    answers, last = batch.cells, {}
    order = [meta(cell).get("grade_id") for cell in notebook.cells]
    for member in batch.members:  # the test cell after which the solution comes back
        last.setdefault(max(member["points"], key=order.index), []).extend(member["cells"])
    made = []
    for old in notebook.cells:
        cell = copy.deepcopy(old)
        name = meta(cell).get("grade_id")
        if cell.cell_type == "code" and meta(cell).get("solution"):
            cell.source = answers.get(name, right[name])
        made.append(cell)
        made += [new_code_cell(right[answer], id=f"again-{answer}") for answer in last.get(name, ())]
    return NotebookNode({**notebook, "cells": made})


def only_what_is_needed(notebook: NotebookNode, tests: set[str]) -> NotebookNode:
    """Without the test cells of others, what comes after the last one, and all text."""
    made, left = [], set(tests)
    for cell in notebook.cells:
        test = meta(cell).get("grade") and not meta(cell).get("solution")
        if cell.cell_type == "code" and (not test or meta(cell)["grade_id"] in tests):
            made.append(cell)
        left.discard(meta(cell).get("grade_id"))
        if not left:
            break
    return NotebookNode({**notebook, "cells": made})
