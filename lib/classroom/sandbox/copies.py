"""A package, copied for the sandbox."""

import os
import shutil
from pathlib import Path


def copy_package(source: Path, target: Path) -> None:
    """Copy a package with its compiled files, which Python takes only where they belong to the source.

    A start is 0.3 s faster by them.
    """
    shutil.copytree(source, target, ignore=_left_out)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What is hidden, what was compiled so that only another account may read it, as by a hub of root's, and what
    another process is just compiling, which has another name in a moment."""
    compiled = [name for name in names if name == "__pycache__" or name.endswith(".pyc")]
    closed = [name for name in compiled if not os.access(os.path.join(folder, name), os.R_OK)]
    return closed + [name for name in names if name.startswith(".") or ".pyc." in name]
