"""`make hub` with what somebody mistyped: words, and no hub."""

import subprocess
import sys
from pathlib import Path

import pytest

from .person import free_port
from .running import ROOT


def demo(*words: str, state: Path) -> str:
    """What it says when it does not start."""
    line = [sys.executable, str(ROOT / "hub" / "demo.py"), "--state", str(state), *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("typed", ["99999", "0", "-5", "eight"])
def test_a_port_that_there_is_not(typed, tmp_path):
    assert f"expected a port from 1 to 65535, got {typed}" in demo(f"--port={typed}", state=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "said"), [("id: [", "course.yml"), ("title: A course\n", "expected a field 'id'")])
def test_a_mistake_in_the_course(text, said, tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "course.yml").write_text(text)
    assert said in demo(f"--port={free_port()}", state=tmp_path)
