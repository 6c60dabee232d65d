"""The long form: each executed page runs once more, and every output, figures included, is the same as in the book."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from book_records import executed_notebook, toc_documents

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [
    page
    for page in toc_documents(ROOT)
    if (path := ROOT / f"{page}.ipynb").exists() and '"cell_type": "code"' in path.read_text(encoding="utf-8")
]


def compared(folder: Path, page: str, notebook: nbformat.NotebookNode) -> subprocess.CompletedProcess:
    """nbval compares each output of an executed notebook with that of a fresh kernel, among its chapter's files."""
    place = folder / page
    shutil.copytree((ROOT / page).parent, place.parent, dirs_exist_ok=True)
    for other in place.parent.glob("*.ipynb"):
        other.unlink()
    nbformat.write(notebook, f"{place}.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        f"{place}.ipynb",
    ]
    environment = os.environ | {"DEEPPRACTICE_BUILD": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=place.parent, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.full
@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_second_run_gives_equal_outputs(page, tmp_path):
    notebook = executed_notebook(ROOT, page)
    assert notebook is not None, "the book is not built: run `make book`"
    assert any(cell.get("outputs") for cell in notebook.cells), "nbval passes whatever has no outputs"
    result = compared(tmp_path, page, notebook)
    assert result.returncode == 0, result.stdout[-5000:]


def test_another_output_is_seen(tmp_path):
    """One that the book doesn't have: the comparison above can fail."""
    page = "chapters/00-before-you-start/01-self-check"
    cell = nbformat.v4.new_code_cell("print(1 + 1)", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="2\n")]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": ""}})
    assert compared(tmp_path, page, notebook).returncode == 0
    cell.outputs[0].text = "3\n"
    result = compared(tmp_path, page, notebook)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "3" in result.stdout
