"""A package that is copied: with what was compiled, without what is hidden, or compiled for another account alone."""

import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from classroom.sandbox import copies

COPY = """
import sys
copy_package(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def package():
    """One that a hub of root's has imported in part, with a umask of 077, and everybody else after it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "package")
        for place in (folder / "inner" / "__pycache__", folder / "__pycache__"):
            place.mkdir(parents=True)
        for path in ("a.py", ".hidden", "__pycache__/a.pyc", "__pycache__/b.pyc", "inner/__pycache__/c.pyc"):
            (folder / path).write_text("")
        for place in (Path(name), folder, *folder.rglob("*")):
            place.chmod(0o755)
        (folder / "__pycache__" / "b.pyc").chmod(0o600)
        (folder / "inner" / "__pycache__").chmod(0o700)
        yield folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_compiled_files_are_copied_and_hidden_ones_are_not(package, tmp_path):
    (package / "__pycache__" / "a.pyc.139872").write_text("half")  # as Python writes it first
    copies.copy_package(package, tmp_path / "copy")
    assert files(tmp_path / "copy") == ["__pycache__/a.pyc", "__pycache__/b.pyc", "a.py", "inner/__pycache__/c.pyc"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")
def test_what_was_compiled_for_another_account_alone_is_left_out(package):
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 64712, 64712)
        line = [os.path.realpath(sys.executable), "-I", "-c", inspect.getsource(copies) + COPY, package, f"{name}/copy"]
        done = subprocess.run(line, user=64712, group=64712, extra_groups=[], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert files(Path(name, "copy")) == ["__pycache__/a.pyc", "a.py"]
