"""The long form: each exercise's folded solution, put where the reader's lines go, passes the checks of its page."""

import ast
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from execute import CELL_TIMEOUT, ThisInterpreter, kernel_environment

ROOT = Path(__file__).resolve().parents[2]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def names(statement: ast.stmt) -> set[str]:
    """What a statement at the top of a cell defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def with_solution(code: str, solution: str) -> str:
    """The exercise's cell with the solution in place of the definitions that it replaces."""
    wanted = set().union(*map(names, ast.parse(solution).body))
    stubs = [part for part in ast.parse(code).body if names(part) & wanted]
    assert stubs, "the solution defines nothing that the exercise asks for"
    lines: list[str | None] = list(code.splitlines())
    for part in stubs:
        first = min([part.lineno, *(line.lineno for line in getattr(part, "decorator_list", []))])
        lines[first - 1 : part.end_lineno] = [None] * (part.end_lineno - first + 1)
    lines.insert(lines.index(None), solution)
    return "\n".join(line for line in lines if line is not None)


def solved(notebook: nbformat.NotebookNode) -> list[str]:
    """Put the solutions in, where they are code; the cells that have one now."""
    cells, found = {cell.get("id"): cell for cell in notebook.cells}, []
    for name, cell in cells.items():
        exercise = cells.get(str(name).removesuffix("-solution") + "-code")
        solution = PYTHON.search(cell.source) if cell.cell_type == "markdown" else None
        if str(name).endswith("-solution") and exercise is not None and solution:
            exercise.source = with_solution(exercise.source, solution[1])
            found.append(exercise.id)
    return found


def pages() -> list[str]:
    found = []
    for path in sorted(ROOT.glob("chapters/*/*.ipynb")):
        if solved(nbformat.read(path, as_version=4)):
            found.append(f"{path.parent.name}/{path.name}")
    return found


def test_a_solution_takes_the_place_of_what_it_defines():
    code = "best = 1  # your number\n\n\n@wrapped\ndef f(x):\n    return 0  # your line\n\n\nassert f(2) == best"
    solution = "best = 4\ndef f(x):\n    return x * x"
    assert with_solution(code, solution).replace("\n\n", "") == f"{solution}\nassert f(2) == best"
    with pytest.raises(AssertionError, match="defines nothing"):
        with_solution(code, "g = 1")


@pytest.mark.full
@pytest.mark.parametrize("page", pages())
def test_the_solutions_of_a_page_pass_its_checks(page, tmp_path):
    folder = tmp_path / Path(page).parent.name
    shutil.copytree(ROOT / "chapters" / folder.name, folder)
    notebook = nbformat.read(folder / Path(page).name, as_version=4)
    exercises = solved(notebook)
    NotebookClient(
        notebook,
        kernel_manager_class=ThisInterpreter,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=kernel_environment())
    for cell in notebook.cells:
        if cell.get("id") in exercises:
            printed = str(cell.outputs)
            assert "✓" in printed, f"{cell.id} checks nothing"
            assert "✗" not in printed, f"{cell.id}: {printed}"
