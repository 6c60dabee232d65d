"""One submission: which of its files are taken, which are not and why; the same for what arrives and what stands."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from classroom.errors import RefusedError, near_miss
from classroom.intake.files import MAX_FILE, Entry, FolderTree
from classroom.intake.names import EXTRAS, SECRET, TIMESTAMP, is_clutter, is_notebook, match
from classroom.intake.patterns import parse_time

MAX_SUBMISSION = 200_000_000  # bytes of all files
MAX_EXTRA = 1_000  # bytes of timestamp.txt and its like
MOST_LISTED = 50  # refused files of one submission


class Tree(Protocol):
    """What holds the files: a folder, a zip, a tar."""

    def read(self, entry: Entry, most: int = MAX_FILE) -> bytes:
        """A file's bytes, or RefusedError."""


class Submission(NamedTuple):
    """What was taken, under the expected names, what is to be said of it, and what was not taken: file and reason."""

    files: dict[str, bytes]
    notes: list[str]
    refusals: list[tuple[str, str]]


def read_submission(place: Path, expected: Sequence[str]) -> Submission:
    """A submission that stands in a folder, however it came there; nothing in it is followed or executed.

    Args:
        place: the folder, such as submitted/STUDENT/PROJECT.
        expected: the names it may consist of, from `expected_files`.

    Raises:
        RefusedError: if there is no notebook that can be graded, or the time of handing in can't be read.
    """
    try:  # a link would be another's folder
        above = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        reason = "a link, not a folder" if place.parent.is_symlink() else str(error.strerror).lower()
        raise RefusedError(f"the student's folder is {reason}") from None
    try:
        with FolderTree(Path(place.name), within=above) as tree:
            found = pick(tree, {entry.path: entry for entry in tree.entries()}, expected)
    finally:
        os.close(above)
    check(found, expected)
    return found


def pick(tree: Tree, entries: dict[str, Entry], expected: Sequence[str]) -> Submission:
    """Read the files that the project asks for; the others are refused one by one."""
    taken, notes = match([name for name in entries if name not in EXTRAS], expected)
    files: dict[str, bytes] = {}
    refusals: list[tuple[str, str]] = []
    room = MAX_SUBMISSION
    for name, entry in sorted(entries.items()):
        if is_clutter(name):
            continue
        if name not in taken and name not in EXTRAS:
            hint = near_miss(name, expected) if len(refusals) < MOST_LISTED else ""  # there may be 200,000
            refusals.append((name, f"not part of the project{hint}"))
            continue
        try:
            data = tree.read(entry, min(room, MAX_EXTRA if name in EXTRAS else MAX_FILE))
            if name == SECRET and not data.strip().isalnum():
                raise RefusedError("expected letters and digits")
        except RefusedError as reason:
            refusals.append((name, str(reason)))
            continue
        room -= len(data)
        files[taken.get(name, name)] = data
    if len(refusals) > MOST_LISTED:
        refusals[MOST_LISTED:] = [("", f"{len(refusals) - MOST_LISTED} more files, not taken either")]
    notes = [note for note in notes if note.split(" was taken as ")[-1] in files]
    missing = [name for name in expected if is_notebook(name) and name not in files]
    if missing and len(missing) < sum(map(is_notebook, expected)):
        notes.append(f"without {', '.join(missing)}")
    return Submission(files, notes, refusals)


def check(found: Submission, expected: Sequence[str]) -> None:
    """Refuse a submission as a whole.

    Raises:
        RefusedError: if there is no notebook, or its time is none.
    """
    asked = [name for name in expected if is_notebook(name)]
    if not any(name in found.files for name in asked):
        refused = dict(found.refusals)
        reasons = [f"{name} is {refused[name]}" for name in asked if name in refused]
        others = [name for name in refused if is_notebook(name) and name not in asked]
        reasons += [f"but {', '.join(others[:5])}"] if others else []
        raise RefusedError(", ".join([f"nothing taken: no {', '.join(asked)}", *reasons]))
    if TIMESTAMP in found.files:
        parse_time(found.files[TIMESTAMP].decode("utf-8", "replace"))
