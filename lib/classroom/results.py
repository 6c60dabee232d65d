"""Result files: what is known about each submission, one small JSON file each, written once and whole.

They say what was graded with what (two hashes), so that the same command twice does nothing twice and an interrupted
one goes on. The points themselves live in nbgrader's gradebook.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

GRADED = "graded"  # the tests ran; wrong answers included
STUDENT_ERROR = "student-error"  # the submission ended its own kernel; no points, somebody should look
REFUSED = "refused"  # not a notebook that can be graded; nothing was run
FAILED = "failed"  # our fault or the machine's: tried again next time


def digest(paths: Iterable[Path], base: Path, *extra: str) -> str:
    """One hash over the names and bytes of files, in a fixed order, and over `extra`."""
    hasher = hashlib.sha256()
    for path in sorted(paths):
        for piece in (str(path.relative_to(base)).encode(), path.read_bytes()):
            hasher.update(f"{len(piece)}:".encode() + piece)
    for text in extra:
        hasher.update(f"{len(text)}:{text}".encode())
    return hasher.hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all: whoever reads it sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_record(path: Path, record: dict) -> None:
    """Write a record as JSON, atomically."""
    write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict:
    """A record, or an empty one where there is none or it is damaged (the work is then done again)."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
