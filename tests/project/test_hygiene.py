"""What is committed: notebooks without outputs, no address or path of one machine, names that the rest relies on."""

import ast
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    """Files under version control, and new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


NOTEBOOKS = tracked("*.ipynb")
CHAPTERS = [path for path in NOTEBOOKS if path.is_relative_to(ROOT / "chapters")]
SECTIONS = [path for path in CHAPTERS if path.stem != "index"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_notebooks():
    assert len(SECTIONS) >= 1
    assert any(path.is_relative_to(ROOT / "assignments") for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_outputs_counts_or_editor_metadata(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5), "cells have identifiers from format 4.5 on"
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            assert cell.outputs == [], f"cell {number} ({cell.id}) has outputs"
            assert cell.execution_count is None, f"cell {number} ({cell.id}) has an execution count"
    allowed = {"kernelspec", "language_info", "celltoolbar"}
    assert set(notebook.metadata) <= allowed
    assert set(notebook.metadata.get("language_info", {})) <= {"name"}
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("path", SECTIONS, ids=name)
def test_a_section_has_parameters_and_its_imports_first(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, "expected one cell tagged `parameters`"
    for cell in code[1:]:
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert found == [], f"cell {cell.id} imports; imports stand in the first code cell"


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_plain_python_that_runs_anywhere(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*[%!]", cell.source, re.M), f"cell {cell.id} has a magic"
            for word in ("sys.path", "filterwarnings", "simplefilter", "/home/", "/root/", "C:\\\\"):
                assert word not in cell.source, f"cell {cell.id} has {word}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_notebook_imports_what_is_private(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [found for cell in code for found in private_imports(cell.source)] == []


def private_imports(source: str) -> list[str]:
    """Names with a leading underscore among those that the code imports, and modules that have one in their path."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [each for each in names if re.search(r"(^|\.)_(?!_)", each)]
    return found


def test_private_imports_are_seen():
    assert private_imports("from a._b import c\nimport d._e as f\nfrom g import _h") == ["a._b", "d._e", "_h"]
    assert private_imports("from __future__ import annotations\nimport a_b\nfrom c.d_e import f") == []


def test_no_path_of_one_machine_in_any_file():
    # Assembled, so that this file does not name them itself.
    # What stands under /home inside the sandbox is the same on every machine.
    places = ["/" + "work/", "/" + "root/", "/home" + "/(?!student\\b)[a-z]", "/opt/" + "(wheels|pypi)"]
    pattern = re.compile("|".join(places))
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {line.strip()[:100]}" for line in text.splitlines() if pattern.search(line)]
    found = [line for line in found if not line.startswith("tests/project/test_hygiene.py")]
    assert found == []


def test_make_help_lists_each_target_that_other_work_relies_on():
    listing = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = {line.split()[1] for line in listing.splitlines() if line.strip()}
    wanted = "course test test-full check book release serve demo coverage lint bench bench-gpu student-tree clean"
    assert set(wanted.split()) <= targets


def test_ci_runs_make_test():
    assert "make test" in (ROOT / ".ci/run").read_text()
