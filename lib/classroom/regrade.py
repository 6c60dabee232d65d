"""`classroom regrade`: one submission graded again, with a reason; who, when, why and what changed is logged."""

import getpass
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime

from classroom.autograde import Wishes, autograde
from classroom.engine import Engine
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.report import grades
from classroom.results import writing

LOG = "log.jsonl"


def regrade(
    folder: Folder,
    student: str,
    project: str,
    reason: str,
    say: Callable[[str], None],
    *,
    engine: Engine,
    wishes: Wishes,
) -> dict:
    """Grade a submission again, whether or not something changed.

    Args:
        reason: why, in words.
        engine: runs it.
        wishes: limits, and how it is started.

    Returns:
        What `autograde` says of it, with `before` and `after`: total and parts.

    Raises:
        ClassroomError: if no reason is given, there is no such submission, or it cannot be run.
    """
    if not reason.strip():
        raise ClassroomError("--reason is empty: expected some words, which are logged with the grade")
    before = _grade(folder, project, student)
    report = autograde(folder, project, say, engine=engine, students=[student], wishes=wishes)
    record = {**report["submissions"][student], "before": before, "after": _grade(folder, project, student)}
    log(folder, "regrade", student=student, project=project, reason=reason, **_what(record))
    old, new = (_total(record[when]) for when in ("before", "after"))
    say(f"{student}: {old} before, {new} now" if old != new else f"{student}: {new}, as before")
    return record


def log(folder: Folder, command: str, **what: object) -> None:
    """Add a line to the class's log: the time, who is at the keyboard, and what was done."""
    entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "who": _who(), "command": command, **what}
    path = folder.home / LOG
    with writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _what(record: dict) -> dict:
    return {name: record[name] for name in ("outcome", "note", "before", "after")}


def _grade(folder: Folder, project: str, student: str) -> dict | None:
    found = grades(folder, project).get(student)
    return None if found is None else {"total": found["total"], "parts": found["parts"]}


def _total(grade: dict | None) -> str:
    return "no grade" if grade is None else f"{grade['total']:g}"


def _who() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = f"user number {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{name} (sudo by {behind})" if behind else name
