"""`classroom collect`: take submissions from a folder into nbgrader's layout, and say what was not taken and why.

Expected is PATH/STUDENT/NAME.ipynb, with a timestamp.txt beside it. Only regular files on the project's list are read;
nothing is executed. Name and time are what the folder says: whoever collects vouches for them.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder

TIMESTAMP = "timestamp.txt"
MAX_BYTES = 50_000_000  # of one file
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


class RefusedError(Exception):
    """A file or a submission that is not taken; the message is the reason."""


def collect(folder: Folder, project: str, source: Path, say: Callable[[str], None]) -> dict:
    """Copy the submissions under `source` to submitted/; the same ones twice change nothing.

    Returns:
        Lists of student names, `collected` and `unchanged`, and the `refused` with student, file and reason.
    """
    folder.require_released(project)
    if not source.is_dir():
        raise ClassroomError(f"--from {source}: expected a folder with one folder a student")
    report: dict[str, list] = {"collected": [], "unchanged": [], "refused": []}

    def refuse(student: str, file: str, reason: object) -> None:
        report["refused"].append({"student": student, "file": file, "reason": str(reason)})
        say(f"refused    {student}/{file}: {reason}" if file else f"refused    {student}: {reason}")

    expected = expected_files(folder, project)
    for place in sorted(source.iterdir()):
        student = place.name
        if place.is_symlink() or not place.is_dir():
            refuse(student, "", "not a student's folder")
            continue
        if not _STUDENT.fullmatch(student):
            refuse(student, "", "not a student's name: letters, digits and . _ @ - are possible")
            continue
        try:
            files = _read(place, expected, lambda file, reason, student=student: refuse(student, file, reason))
            changed = _store(folder, project, student, files)
        except RefusedError as reason:
            refuse(student, "", reason)
            continue
        report["collected" if changed else "unchanged"].append(student)
        if changed:
            say(f"collected  {student}" + ("" if TIMESTAMP in files else "  (no timestamp.txt: counts as on time)"))
    say(f"{project}: {', '.join(f'{len(names)} {what}' for what, names in report.items())}")
    return report


def expected_files(folder: Folder, project: str) -> list[str]:
    """The names that a submission may consist of: those of the release."""
    target = folder.path("release", project)
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file of reasonable size, opened without following a link.

    Raises:
        RefusedError: if it is something else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise RefusedError("a link, not a file" if path.is_symlink() else error.strerror) from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("not a regular file")
        if found.st_size > MAX_BYTES:
            raise RefusedError(f"{found.st_size / 1e6:.0f} MB, expected at most {MAX_BYTES / 1e6:.0f}")
        return file.read()


def parse_time(text: str) -> datetime:
    """The time in a timestamp.txt, in UTC and naive, as nbgrader reads it.

    Raises:
        RefusedError: if it is no time.
    """
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip())
    except (ValueError, OverflowError, TypeError):
        shown = repr(text.strip()[:40])
        raise RefusedError(f"{TIMESTAMP}: expected a time such as 2026-02-06 21:14:00 UTC, got {shown}") from None


def _read(place: Path, expected: list[str], refuse: Callable[[str, object], None]) -> dict[str, bytes]:
    """The files of one submission that are on the list; the others are refused one by one."""
    files = {}
    for top, folders, names in os.walk(place):  # does not enter linked folders
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for path in sorted(Path(top) / name for name in names + links):
            name = str(path.relative_to(place))
            if name != TIMESTAMP and name not in expected:
                refuse(name, f"not part of the project{near_miss(name, expected)}")
                continue
            try:
                files[name] = read_regular(path)
            except RefusedError as reason:
                refuse(name, reason)
    missing = [name for name in expected if name.endswith(".ipynb") and name not in files]
    if missing:
        raise RefusedError(f"nothing taken: no {', '.join(missing)}")
    if TIMESTAMP in files:
        parse_time(files[TIMESTAMP].decode("utf-8", "replace"))
    return files


def _store(folder: Folder, project: str, student: str, files: dict[str, bytes]) -> bool:
    """Put a submission in place, whole or not at all; whether anything changed."""
    target = folder.path("submitted", project, student)
    if target.is_dir():
        standing = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
        if standing == files:
            return False
        _may_replace(folder, project, standing.get(TIMESTAMP), files.get(TIMESTAMP))
    fresh, old = target.with_name(f".{project}.new"), target.with_name(f".{project}.old")
    for leftover in (fresh, old):  # of an interrupted run
        if leftover.exists():
            shutil.rmtree(leftover)
    for name, content in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if target.is_dir():
        target.rename(old)
    fresh.rename(target)
    if old.exists():
        shutil.rmtree(old)
    return True


def _may_replace(folder: Folder, project: str, standing: bytes | None, arriving: bytes | None) -> None:
    """The last one before the due date counts: neither an older nor a late one replaces it."""
    if standing is None or arriving is None:
        return
    before, now = parse_time(standing.decode("utf-8", "replace")), parse_time(arriving.decode("utf-8", "replace"))
    if now < before:
        raise RefusedError(f"of {now} UTC, older than the submission of {before} UTC that stands")
    due = folder.course.due.get(project) if folder.course else None
    if due is None:
        return
    end = due + timedelta(minutes=folder.course.late.grace_minutes)
    if before <= end < now:
        raise RefusedError(f"of {now} UTC, after the due date; the submission of {before} UTC was on time and stands")
