"""Every project's bank: right answers get full marks, mistakes lose their own part's points, shortcuts gain nothing.

A mistake also says which checks it fails, so that a student gets the hint of those, and no other. Here answers and
tests run in one process, as in a student's own kernel; test_banks_examined.py has them as they are graded.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # not a package

from banked import BANKS, ROOT

TRAINED = {"gan-fix", "beta", "vae", "gan"}  # seconds each, and the examiner's run has them too


def marks(member: dict) -> list:
    """What is trained only with --full."""
    return [pytest.mark.full] if TRAINED & set(member["cells"]) else []


MEMBERS = [
    pytest.param(project, m, id=f"{project}-{m['kind']}-{m['id']}", marks=marks(m))
    for project, bank in BANKS.items()
    for m in bank
]
LEAST = {
    "generative": {"right": 15, "mistake": 40},
    "checkpoint-01": {"right": 6, "mistake": 15},
    "checkpoint-02": {"right": 12, "mistake": 45},
}
NO_ANSWER = 'raise NotImplementedError("replace this line with your answer")'


def worth(grader, project: str) -> dict[str, float]:
    cells = [cell.metadata.get("nbgrader", {}) for cell in grader(project).cells]
    return {meta["grade_id"]: meta["points"] for meta in cells if meta.get("grade")}


def answer_cells(project: str) -> dict[str, str]:
    """The released answer cells, untouched."""
    release = nbformat.read(ROOT / "assignments" / project / f"{project}.ipynb", as_version=4)
    code = [cell for cell in release.cells if cell.cell_type == "code"]
    return {c.id: c.source for c in code if c.metadata.get("nbgrader", {}).get("solution")}


@pytest.mark.parametrize(("project", "member"), MEMBERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, on the answers that divide by zero
def test_member(grader, project, member, record_property):
    record_property("bank", f"{project}, {member['kind']}, in one process")
    found = grader(project).points(member["cells"])
    assert found.keys() == member["points"].keys()
    for cell, points in member["points"].items():
        low, high = points if isinstance(points, list) else (points, points)
        assert low <= found[cell] <= high, f"{cell}: expected {points}, got {found[cell]}"
    full = {cell: worth(grader, project)[cell] for cell in found}
    if member["kind"] == "right":
        assert found == full
    elif member["kind"] == "mistake":
        assert all(found[cell] < full[cell] for cell in found)
        failed = {name: said for cell in found for name, said in grader(project).failed[cell].items()}
        ranged = any(isinstance(points, list) for points in member["points"].values())
        assert set(member["fails"]) <= failed.keys() if ranged else set(member["fails"]) == failed.keys(), failed
        assert all(failed.values()), "a check that failed says nothing"
    elif member["kind"] == "shortcut":
        assert set(found.values()) == {0}


@pytest.mark.parametrize("project", BANKS)
def test_the_solution_gets_full_marks_and_no_answer_gets_none(grader, project):
    answers = answer_cells(project)
    assert answers
    solved = grader(project).points({cell: grader(project).solution(cell) for cell in answers})
    automatic = {
        cell.id for cell in grader(project).cells if cell.id in worth(grader, project) and cell.cell_type == "code"
    }
    assert solved == {cell: worth(grader, project)[cell] for cell in automatic}
    assert grader(project).announced == solved, "the points of a cell's checks add up to the cell's"
    assert all(NO_ANSWER in source for source in answers.values())
    assert set(grader(project).points(answers).values()) == {0}


@pytest.mark.parametrize("project", BANKS)
def test_the_bank_is_large_enough(project):
    kinds = Counter(member["kind"] for member in BANKS[project])
    assert len({member["id"] for member in BANKS[project]}) == len(BANKS[project])
    assert kinds.keys() == {"right", "mistake", "shortcut"}
    touched = {cell for member in BANKS[project] for cell in member["cells"]}
    assert touched == answer_cells(project).keys()
    least = LEAST[project]
    assert all(kinds[kind] >= number for kind, number in least.items()), kinds


@pytest.mark.parametrize("project", BANKS)
def test_each_name_that_is_withheld_has_a_shortcut_that_uses_it(grader, project):
    shortcuts = [m for m in BANKS[project] if m["kind"] == "shortcut"]
    for path in grader(project).withheld:
        called = re.compile(rf"\b{path.partition(':')[2]}\b")
        assert any(called.search(source) for m in shortcuts for source in m["cells"].values()), path
