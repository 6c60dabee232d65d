"""Solutions and releases run from start to end, and the solution within the time that grading allows it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/project.yml"))
CPU_SECONDS = 2 * 10  # what grading allows the whole solution, and as much again for a busy machine
CLOCK = f"""\
import time

seconds = time.process_time()
assert seconds < {CPU_SECONDS}, f"{{seconds:.1f}} s of CPU"
"""


def execute(*notebooks: Path, cell_seconds: int) -> None:
    """nbval: no cell may raise."""
    nbval = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={cell_seconds}"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings="]
    done = subprocess.run(
        [*words, *nbval, *map(str, notebooks)], cwd=ROOT, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b\d{2,} passed", done.stdout), done.stdout[-400:]


def graded(path: Path, parameters: dict, target: Path, *, clock: bool) -> Path:
    """A copy with the parameters of grading and, at the end, a cell that looks at the clock."""
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = "\n".join([cell.source, *(f"{name} = {value!r}" for name, value in parameters.items())])
    if clock:
        notebook.cells.append(nbformat.v4.new_code_cell(CLOCK, id="clock"))
    nbformat.write(notebook, target)
    return target


@pytest.mark.parametrize("project", PROJECTS)
def test_the_solution_and_the_unanswered_release_run_as_graded(project, tmp_path):
    """No cell raises: checks catch what fails, and what needs an answer says so."""
    described = yaml.safe_load((ROOT / "solutions" / project / "project.yml").read_text())
    made = [
        graded(
            ROOT / folder / project / f"{project}.ipynb",
            described["grading"]["parameters"],
            tmp_path / f"{folder}.ipynb",
            clock=folder == "solutions",
        )
        for folder in ("solutions", "assignments")
    ]
    execute(*made, cell_seconds=120)


@pytest.mark.full
@pytest.mark.parametrize("project", PROJECTS)
def test_nbval_executes_the_solution_and_the_unanswered_release(project):
    """The same as a student runs it, with the parameters as released."""
    execute(
        *(ROOT / folder / project / f"{project}.ipynb" for folder in ("solutions", "assignments")), cell_seconds=600
    )
