"""`.ci/install` on machines that lack something: it says what, and what to type, and changes nothing."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "bash",
    "sh",
    "find",
    "readlink",
    "dirname",
    "cksum",
    "cut",
    "sed",
    "cat",
    "id",
    "grep",
    "printf",
    "mkdir",
    "apt-get",
)


@pytest.fixture
def clone():
    """A folder with what the installer reads, in a place that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="install-") as folder:
        os.chmod(folder, 0o755)
        for name in (".ci/install", ".ci/browser", "pyproject.toml", "requirements.lock"):
            target = Path(folder) / name
            target.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, target)
        yield Path(folder)


def install(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(clone / ".ci/install"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


def test_an_interpreter_that_is_too_old_is_named(clone):
    old = clone / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")  # what `python -c 'sys.exit(version < 3.11)'` does on an old one
    old.chmod(0o755)
    result = install(clone, PYTHON=str(old))
    assert result.returncode != 0
    assert f"PYTHON={old}: expected a Python of version 3.11 or newer" in result.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become a user without sudo")
def test_without_root_a_missing_package_is_named_with_the_line_to_type(clone):
    tools = clone / "bin"
    tools.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", f"PATH={tools}"]
    command += ["bash", str(clone / ".ci/install"), "test"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert "this machine needs bubblewrap chromium" in result.stderr
    assert ". Type this, then run make again:" in result.stderr
    line = "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends bubblewrap chromium"
    assert line in result.stderr
    assert not (clone / ".venv").exists()


def test_the_environment_is_executable_by_other_users():
    python = (ROOT / ".venv/bin/python").resolve()
    for folder in (ROOT / ".venv").resolve(), python.parent:
        assert folder.stat().st_mode & 0o005 == 0o005, f"other users can't enter {folder}"
    if os.getuid() == 0:
        probe = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            str((ROOT / ".venv").resolve() / "bin/python"),
        ]
        assert subprocess.run([*probe, "-c", "import numpy"], cwd="/", timeout=60).returncode == 0
