"""Solutions and releases run from start to end, and the solution within the time that grading allows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/project.yml"))


@pytest.mark.parametrize("project", PROJECTS)
def test_nbval_executes_the_solution_and_the_unanswered_release(project):
    """No cell raises: checks catch what fails, and what needs an answer says so."""
    notebooks = [f"{folder}/{project}/{project}.ipynb" for folder in ("solutions", "assignments")]
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings="]
    done = subprocess.run([*words, *nbval, *notebooks], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b\d{2,} passed", done.stdout), done.stdout[-400:]
