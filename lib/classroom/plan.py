"""The plan of an examination: what each test cell needs of the student, and what of the instructor.

Test cells run in the examiner, where the student's names are proxies and everything else is the instructor's. Which is
which is read off the notebook's text (`classroom.ownership`), once a batch, and nothing is run for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from classroom.cellnames import Names, names_of
from classroom.ownership import TEST, Analysis, Cell, kind_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from classroom.folder import Folder

HIDDEN = ("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")  # nbgrader's, where its settings say nothing else
MOST_LOOKED = 150_000  # characters of a submission's own cells; the rest of a longer one is not looked at


def plan(
    master: NotebookNode,
    release: NotebookNode,
    source: NotebookNode | None = None,
    hidden: tuple[str, str] = HIDDEN,
) -> dict:
    """What the examiner needs for each test cell of a notebook, as JSON.

    Args:
        master: with hidden tests and grading's parameters, one of `classroom.rebuild.master`.
        release: as students have it.
        source: with the solutions, where there is one: names that only a solution binds are then known.
        hidden: nbgrader's marks around hidden tests.

    Returns:
        By grade_id: `names` (the student's, to be bound), `supplied` (cells that must have run in the examiner, in
        order), `hidden` (lines of the master's text, from 1, both ends included), `rebinds` (names of the student's
        that the cell deletes or gives another value), `replay` (whether a cell of the student's may need a name that
        its visible text binds). And `_supplied` (texts by cell), `_visible` (by grade_id). Empty for a notebook that is
        not Python's.
    """
    return plan_of(Analysis(master, release, source), hidden)


def plans(folder: Folder, project: str, masters: dict[str, NotebookNode]) -> dict[str, dict]:
    """The plans of a project's notebooks by file name.

    Args:
        masters: what `classroom.rebuild.master` gives.
    """
    hidden = hidden_marks(folder)
    return {name: plan_of(analysis, hidden) for name, analysis in analyses(folder, project, masters).items()}


def analyses(folder: Folder, project: str, masters: dict[str, NotebookNode]) -> dict[str, Analysis]:
    """What the plans of a project's notebooks are made from."""
    import nbformat

    made = {}
    for name, master in masters.items():
        released = nbformat.read(folder.path("release", project) / name, as_version=4)
        path = folder.path("source", project) / name
        solved = nbformat.read(path, as_version=4) if path.is_file() else None
        made[name] = Analysis(master, released, solved)
    return made


def hidden_marks(folder: Folder) -> tuple[str, str]:
    """The marks around hidden tests, as the folder's nbgrader_config.py has them."""
    settings = folder.app.config.ClearHiddenTests
    return (
        str(settings.get("begin_test_delimeter", HIDDEN[0])),  # nbgrader spells it so
        str(settings.get("end_test_delimeter", HIDDEN[1])),
    )


def replayed(plan: dict, notebook: NotebookNode) -> list[str]:
    """Test cells whose visible text has to run in the student's session too, at their own place.

    A cell of the student's, or a supplied one, may read a name that only a test cell binds: it worked in the student's
    kernel, where tests run, so it has to work in grading.

    Args:
        plan: of the notebook.
        notebook: as it is graded.
    """
    visible = {key: names_of(text) for key, text in plan["_visible"].items() if plan[key]["replay"]}
    of_tests = set().union(*(names.binds for names in visible.values()))
    # A cell that mentions none of these names is not looked at more closely.
    mentioned = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(of_tests)))})\b").search if of_tests else None
    order = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tests: dict[str, int] = {}  # test cell -> its place
    binders: dict[str, list[str]] = {}  # name -> test cells whose visible text binds it, in order
    bound: dict[str, int] = {}  # name -> the first place where a cell that is no test binds it
    readers: list[tuple[int, Names]] = []
    looked = 0
    for place, cell in enumerate(order):
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id in plan and kind_of(cell) == TEST:
            tests[grade_id] = place
            for name in visible[grade_id].binds if grade_id in visible else ():
                binders.setdefault(name, []).append(grade_id)
        elif mentioned and mentioned(cell.source) and looked < MOST_LOOKED:
            looked += len(cell.source)
            names = names_of(cell.source)
            readers.append((place, names))
            for name in names.binds:
                bound.setdefault(name, place)
    needed: set[str] = set()

    def need(names: Names, place: int) -> None:
        # What a function reads it may read after any test; what a cell reads has to be there when it runs.
        for name, before in [(name, place) for name in names.outside] + [(name, len(order)) for name in names.deep]:
            if bound.get(name, len(order)) < before or (name in names.binds and before > place):
                continue
            earlier = [grade_id for grade_id in binders.get(name, ()) if tests[grade_id] < before]
            if earlier and earlier[-1] not in needed:
                needed.add(earlier[-1])
                need(visible[earlier[-1]], tests[earlier[-1]])

    for place, names in readers:
        need(names, place)
    return sorted(needed, key=tests.get)


def plan_of(analysis: Analysis, hidden: tuple[str, str] = HIDDEN) -> dict:
    """The plan of an analysed notebook; see `plan`."""
    made: dict = {}
    tests = [cell for cell in analysis.cells if cell.kind == TEST]
    reached = {cell.id: analysis.reach(cell) for cell in tests}
    # A supplied cell runs before the first test after it, also if only a later one needs it: it must not come late
    # and take back what a test in between has bound.
    needed = sorted(set().union(*(analysis.with_needs(found.cells) for found in reached.values())))
    for cell in tests:
        own = visible(analysis, cell, hidden)
        theirs = reached[cell.id].names | analysis.answers.keys()
        made[cell.id] = {
            "names": sorted(reached[cell.id].names),
            "supplied": [analysis.cells[number].id for number in needed if number < cell.number],
            "hidden": hidden_lines(cell.source, hidden),
            "rebinds": sorted(theirs.intersection(cell.names.binds.union(*(u.deletes for u in cell.names.units)))),
            "replay": bool(names_of(own).binds),
        }
    made["_supplied"] = {analysis.cells[number].id: analysis.cells[number].source for number in needed}
    made["_visible"] = {cell.id: visible(analysis, cell, hidden) for cell in tests}
    return made


def visible(analysis: Analysis, cell: Cell, hidden: tuple[str, str] = HIDDEN) -> str:
    """A test cell's text as students have it."""
    if cell.id in analysis.released:
        return analysis.released[cell.id].source
    lines = cell.source.splitlines()
    away = {number for first, last in hidden_lines(cell.source, hidden) for number in range(first, last + 1)}
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in away)


def hidden_lines(source: str, marks: tuple[str, str] = HIDDEN) -> list[list[int]]:
    """The lines of a cell's hidden tests with their marks, from 1, as [first, last]; an open end is the cell's."""
    found, begin = [], 0
    lines = source.split("\n")
    for number, line in enumerate(lines, 1):
        if marks[0] in line and not begin:
            begin = number
        elif marks[1] in line and begin:
            found.append([begin, number])
            begin = 0
    return [*found, [begin, len(lines)]] if begin else found
