"""Marks on what a process leaves in shared places, so that it can be cleared away once that process is gone."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

_MARK = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def mark(pid: int | None = None) -> str:
    """A name for a process, this one by default, that no later one will have: PID namespace, number, start."""
    pid = os.getpid() if pid is None else pid
    start = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{_namespace()}.{pid}.{start}"


def gone(name: str) -> bool:
    """Whether a name holds the mark of a process that has ended; of other PID namespaces we can't tell."""
    found = _MARK.search(name)
    if found is None or int(found[1]) != _namespace():
        return False
    try:
        return mark(int(found[2])) != found[0]
    except (FileNotFoundError, ProcessLookupError):
        return True


def sweep(top: Path, prefix: str) -> None:
    """Remove our folders and files whose owner was killed before it could; others' stay."""
    for left in top.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # somebody else sweeps too
            if gone(left.name) and left.lstat().st_uid == os.geteuid():
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
