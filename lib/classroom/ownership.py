"""Whose the names of a notebook are: the student's, or the examiner's too. Nothing of the notebook is run.

- A name that an answer cell binds is the student's, always.
- A supplied cell (neither answer nor test) runs in the examiner too, if nothing of the student's is in what it does
  there; if something is, its names are the student's as well, because they are computed where the student's code runs.
- A name that a test cell binds is the examiner's; a name that nobody is seen to bind is the student's.

An import that the released text of an answer cell shows is no answer: the examiner imports it itself, so that a test
which says `np.allclose` asks numpy and not the student.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from classroom.cellnames import GIVEN, Names, names_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

ANSWER, SUPPLIED, TEST = "answer", "supplied", "test"


@dataclass
class Cell:
    """A code cell as the plan sees it."""

    id: str
    kind: str
    source: str
    names: Names
    number: int = 0
    trusted: bool = True  # of a supplied cell: whether it runs in the examiner


@dataclass
class Reached:
    """What following a name, and what that was made of, leads to."""

    names: set[str] = field(default_factory=set)  # the student's
    cells: set[int] = field(default_factory=set)  # supplied cells, to run in the examiner
    tests: set[int] = field(default_factory=set)
    word: dict[str, str] = field(default_factory=dict)  # name -> the supplied cell that computes it from the student's
    seen: set[tuple] = field(default_factory=set)


def kind_of(cell: NotebookNode) -> str:
    """What a code cell is, by nbgrader's rules."""
    from nbgrader.utils import is_grade, is_solution

    return ANSWER if is_solution(cell) else TEST if is_grade(cell) else SUPPLIED


class Analysis:
    """The names of one notebook, and whose they are.

    Args:
        master: with hidden tests and grading's parameters, one of `classroom.rebuild.master`.
        release: as students have it.
        source: with the solutions, where there is one: names that only a solution binds are then known.
    """

    def __init__(self, master: NotebookNode, release: NotebookNode, source: NotebookNode | None = None) -> None:
        self.solved = source is not None
        self.released = {cell_name(cell): cell for cell in release.cells if cell.cell_type == "code"}
        self.answers: dict[str, str] = {}  # the student's names, and the answer cell that binds them
        self.cells: list[Cell] = []
        python = _is_python(master)
        for notebook in (release, master, source) if python else ():
            for cell in notebook.cells if notebook is not None else ():
                if cell.cell_type == "code" and kind_of(cell) == ANSWER:
                    for unit in names_of(cell.source).units:
                        if not unit.imports:
                            self.answers |= {name: cell_name(cell) for name in unit.binds if name not in self.answers}
        for number, cell in enumerate(master.cells if python else (), 1):
            if cell.cell_type == "code":
                self._add(cell, cell_name(cell) or f"cell-{number}")
        self._needs: dict[int, Reached] = {}
        for cell in self.cells:
            if cell.kind == SUPPLIED:
                reached = self._needs[cell.number] = self.reach(cell, later=False)
                cell.trusted = cell.trusted and not reached.names and not reached.tests

    def _add(self, cell: NotebookNode, name: str) -> None:
        kind, source = kind_of(cell), cell.source
        if kind == ANSWER:
            source, name = _imports(self.released.get(name, cell).source), f"imports of {name}"
            if not source:
                return
            kind = SUPPLIED
        # A cell that is meant to fail would fail in the examiner.
        trusted = "raises-exception" not in cell.metadata.get("tags", [])
        self.cells.append(Cell(name, kind, source, names_of(source), len(self.cells), trusted))

    def reach(self, cell: Cell, *, later: bool = True) -> Reached:
        """What a cell needs when it runs; with `later`, when its functions are called too."""
        found = Reached()
        for unit in cell.names.units:
            for name in unit.outside:
                self._follow(name, cell.number, found)
            for name in unit.inside:
                self._follow_units(cell, name, cell.number + 1, found)
            for name in unit.deep if later else ():
                self._follow_later(cell, name, cell.number + 1, found)
        found.tests.discard(cell.number)
        found.cells.discard(cell.number)
        return found

    def _follow(self, name: str, before: int, found: Reached, *, read: bool = True) -> None:
        """Add what stands behind a name, as it is for the cell number `before`.

        Args:
            read: whether the name is looked up; not if only an object that was made of it is.
        """
        if ("name", name, before, read) in found.seen:
            return
        found.seen.add(("name", name, before, read))
        earlier = self.cells[:before]
        binders = [cell for cell in earlier if name in cell.names.binds]
        computed = self._computed(name, binders, before)
        if name in self.answers or computed:
            if read:
                found.names.add(name)
                if name not in self.answers:
                    found.word[name] = computed
            return
        if not binders:
            stars = [cell for cell in earlier if cell.names.stars and cell.kind == SUPPLIED and cell.trusted]
            if name in GIVEN:
                return
            if stars and self.solved:  # no solution binds it
                found.cells |= {cell.number for cell in stars}
            elif read:
                found.names.add(name)
            return
        for cell in earlier:
            if cell.trusted and name in cell.names.binds:
                (found.tests if cell.kind == TEST else found.cells).add(cell.number)
                self._follow_units(cell, name, before, found)
            elif cell.trusted and cell.kind == SUPPLIED and name in cell.names.changes:
                found.cells.add(cell.number)
                self._follow_units(cell, name, before, found)

    def _computed(self, name: str, binders: list[Cell], before: int) -> str:
        """The supplied cell that makes a name from the student's, or puts something of theirs into it; "" if none."""
        if binders and not binders[-1].trusted:
            return binders[-1].id
        if not binders or any(unit.imports for unit in binders[-1].names.units if name in unit.binds):
            return ""
        later = self.cells[binders[-1].number + 1 : before]
        return next((cell.id for cell in later if not cell.trusted and name in cell.names.fills), "")

    def _follow_units(self, cell: Cell, name: str, before: int, found: Reached) -> None:
        """Add what a name of a cell was made of there."""
        if ("units", name, before, cell.number) in found.seen:
            return
        found.seen.add(("units", name, before, cell.number))
        for unit in cell.names.units:
            if name in unit.binds or name in unit.changes:
                for other in unit.outside:
                    self._follow(other, cell.number, found, read=False)
                for other in unit.inside:
                    self._follow_units(cell, other, before, found)
                for other in unit.deep:
                    self._follow_later(cell, other, before, found)

    def _follow_later(self, cell: Cell, name: str, before: int, found: Reached) -> None:
        """Add what a function of a cell looks up when the cell number `before`, or one before it, calls it."""
        if name in cell.names.binds and name not in self.answers:
            self._follow_units(cell, name, before, found)
        else:
            self._follow(name, max(before, cell.number), found)

    def with_needs(self, numbers: set[int]) -> set[int]:
        """Supplied cells with all that they need to run."""
        found, todo = set(), list(numbers)
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo += self._needs[number].cells
        return found


def _imports(source: str) -> str:
    """The imports at the top level of a text; one that fails leaves its name unbound."""
    tree = names_of(source).tree
    nodes = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))] if tree else []
    nodes = [node for node in nodes if not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*")]
    return "\n".join(f"try:\n    {ast.unparse(node)}\nexcept ImportError:\n    pass" for node in nodes)


def cell_name(cell: NotebookNode) -> str:
    """A cell's grade_id, or its id where it has none."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")


def _is_python(notebook: NotebookNode) -> bool:
    return str(notebook.metadata.get("kernelspec", {}).get("language", "python")).lower() == "python"
