"""The long form: each executed page runs once more, and every output, figures included, is the same as in the book."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = ROOT / "_build" / "jupyter_execute"


@pytest.mark.full
def test_a_second_run_of_every_page_gives_equal_outputs(tmp_path):
    """nbval compares each output of the book's executed notebooks with that of a fresh kernel."""
    shutil.copytree(ROOT / "chapters", tmp_path / "chapters")
    pages = sorted(EXECUTED.glob("chapters/**/*.ipynb"))
    assert pages, "the book is not built: run `make book`"
    for page in pages:
        shutil.copyfile(page, tmp_path / page.relative_to(EXECUTED))
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)]
    environment = os.environ | {"DEEPPRACTICE_BUILD": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3000)
    assert result.returncode == 0, result.stdout[-5000:]
