"""All that a student handed in, and which of it counts: the last before the deadline; a late one never silently.

Each attempt is kept as it came under attempts/PROJECT/STUDENT/TIME/; the one that counts stands under submitted/ too.
"""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from classroom.course import due_for
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.intake.files import FolderTree, user
from classroom.results import read_record, write_record

MOST_KEPT = 100  # attempts of one student at one project: a disk is not endless
_RECORD = ".attempt.json"
_TAKEN = "taken.json"


@dataclass(frozen=True)
class Attempt:
    """One submission at one time."""

    name: str  # of its folder
    time: datetime | None = None  # when it arrived, in UTC and naive; None counts as on time
    late: bool = False  # a learning platform says so, without a time
    number: int = 0  # in which order they were collected
    origin: str = ""
    digest: str = ""  # of the project's files in it
    changed: float = 0.0  # in an exchange: the newest change that was seen
    collected: str = ""
    notes: tuple[str, ...] = field(default=())


def choose(
    attempts: Iterable[Attempt],
    due: datetime | None,
    grace: timedelta = timedelta(0),
    *,
    most: int | None = None,
    taken: str | None = None,
) -> tuple[Attempt | None, dict[str, str]]:
    """Which attempt counts, and for the others why they do not.

    The last one on time; if none was, the last one. An attempt without a time replaces what was collected before it.

    Args:
        attempts: of one student at one project, in any order.
        due: the student's own date, extensions included; None: everything is on time.
        grace: how long after it is still on time.
        most: how many attempts are possible; those after it do not count.
        taken: the name of an attempt that a person chose.

    Returns:
        The one that counts (None of none), and reasons by the names of the others.
    """
    attempts = sorted(attempts, key=lambda attempt: attempt.number)
    if all(attempt.time for attempt in attempts):
        attempts.sort(key=lambda attempt: attempt.time)
    possible = attempts if most is None else attempts[:most]
    chosen = None
    for attempt in possible:
        if chosen is None or _replaces(attempt, chosen, due, grace):
            chosen = attempt
    chosen = next((attempt for attempt in attempts if attempt.name == taken), chosen)
    reasons = {}
    for number, attempt in enumerate(attempts, 1):
        if attempt is chosen:
            continue
        if chosen.name == taken:
            reasons[attempt.name] = f"{_of(attempt)}; {_the(chosen)} was taken by hand"
        elif number > len(possible):
            reasons[attempt.name] = f"{_of(attempt)}, number {number}; {most} attempts are possible"
        elif is_late(attempt, due, grace) and not is_late(chosen, due, grace):
            reasons[attempt.name] = f"{_of(attempt)}, after the due date; {_the(chosen)} was on time and stands"
        else:
            reasons[attempt.name] = f"{_of(attempt)}, older than {_the(chosen)} that stands"
    return chosen, reasons


def is_late(attempt: Attempt, due: datetime | None, grace: timedelta = timedelta(0)) -> bool:
    """Whether it came after the due date and the time of grace."""
    if due is None or attempt.time is None:
        return attempt.late
    return attempt.time > due + grace


def _replaces(new: Attempt, standing: Attempt, due: datetime | None, grace: timedelta) -> bool:
    if is_late(new, due, grace) != is_late(standing, due, grace):
        return not is_late(new, due, grace)
    return new.time is None or standing.time is None or new.time >= standing.time


def _of(attempt: Attempt) -> str:
    return f"of {attempt.time} UTC" if attempt.time else "without a time"


def _the(attempt: Attempt) -> str:
    return f"the submission of {attempt.time} UTC" if attempt.time else "the submission without a time"


# On disk.


def chosen(folder: Folder, project: str, student: str) -> tuple[Attempt | None, dict[str, str]]:
    """`choose` for what is kept of a student, by the rules of course.yml."""
    course = folder.course
    return choose(
        kept(folder, project, student),
        due_for(course, project, student),
        timedelta(minutes=course.late.grace_minutes) if course else timedelta(0),
        most=course.attempts.max if course else None,
        taken=read_record(_home(folder, project, student) / _TAKEN).get("attempt"),
    )


def students(folder: Folder, project: str) -> list[str]:
    """Of whom attempts are kept, in alphabetical order."""
    top = folder.home / "attempts" / project
    return sorted(place.name for place in top.iterdir() if place.is_dir()) if top.is_dir() else []


def kept(folder: Folder, project: str, student: str) -> list[Attempt]:
    """The attempts of a student, in the order in which they were collected."""
    found = []
    for path in _home(folder, project, student).glob(f"[!.]*/{_RECORD}"):
        record = read_record(path)
        if not record:
            raise ClassroomError(f"{path} is damaged; what it describes lies beside it")
        time = datetime.fromisoformat(record["time"]) if record["time"] else None
        found.append(Attempt(**{**record, "time": time, "notes": tuple(record["notes"]), "name": path.parent.name}))
    return sorted(found, key=lambda attempt: attempt.number)


def keep(folder: Folder, project: str, student: str, attempt: Attempt, files: dict[str, bytes]) -> Attempt:
    """Put an attempt beside those that are kept, whole or not at all; it gets its name and number.

    Raises:
        ClassroomError: if the disk does not take it.
    """
    home = _home(folder, project, student)
    wanted = f"{attempt.time:%Y-%m-%dT%H-%M-%SZ}" if attempt.time else "undated"
    name, again = wanted, 1
    while (home / name).exists():
        again += 1
        name = f"{wanted}-{again}"
    number = max((other.number for other in kept(folder, project, student)), default=0) + 1
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    made = Attempt(**{**asdict(attempt), "name": name, "number": number, "collected": now})
    record = asdict(made) | {"time": made.time.isoformat() if made.time else None}
    del record["name"]
    text = json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n"
    _write(home / ".new", {**files, _RECORD: text})
    (home / ".new").rename(home / name)
    return made


def files_of(folder: Folder, project: str, student: str, attempt: Attempt) -> dict[str, bytes]:
    """What an attempt consists of."""
    with FolderTree(_home(folder, project, student) / attempt.name) as tree:
        return {entry.path: tree.read(entry) for entry in tree.entries() if entry.path != _RECORD}


def place(folder: Folder, project: str, student: str, attempt: Attempt) -> bool:
    """Let an attempt stand under submitted/, whole or not at all; whether that changed anything."""
    target = folder.path("submitted", project, student)
    files = files_of(folder, project, student, attempt)
    if target.is_symlink() or target.is_file():
        target.unlink()  # whatever it was, nothing was ever read through it
    elif target.is_dir() and _standing(target) == files:
        return False
    fresh, old = target.with_name(f".{project}.new"), target.with_name(f".{project}.old")
    _write(fresh, files)
    if target.is_dir():
        if old.exists():
            shutil.rmtree(old)
        target.rename(old)
    fresh.rename(target)
    if old.exists():
        shutil.rmtree(old)
    return True


def recover(folder: Folder, project: str) -> None:
    """Put back what an interrupted `place` had taken away for a moment, and drop what was half written."""
    for old in folder.path("submitted", ".", ".").glob(f"*/.{project}.old"):
        target = old.with_name(project)
        if not target.exists():
            old.rename(target)
    halves = [*folder.path("submitted", ".", ".").glob(f"*/.{project}.*"), *_home(folder, project, ".").glob("*/.new")]
    for half in halves:
        shutil.rmtree(half)


def take_late(folder: Folder, project: str, student: str) -> Attempt:
    """Let the last late attempt of a student count, from now on.

    Raises:
        ClassroomError: if there is none.
    """
    course = folder.course
    due = due_for(course, project, student)
    grace = timedelta(minutes=course.late.grace_minutes) if course else timedelta(0)
    late, _ = choose((one for one in kept(folder, project, student) if is_late(one, due, grace)), None)
    if late is None:
        raise ClassroomError(f"--take-late {student}: nothing of {project} was late")
    record = _home(folder, project, student) / _TAKEN
    if read_record(record).get("attempt") != late.name:
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        write_record(record, {"attempt": late.name, "when": now, "by": user(os.getuid())})
    return late


def _home(folder: Folder, project: str, student: str) -> Path:
    return folder.home / "attempts" / project / student


def _standing(target: Path) -> dict[str, bytes] | None:
    """What stands there, or None if it is not only plain files."""
    with FolderTree(target) as tree:
        entries = list(tree.entries())
        if any(entry.reason for entry in entries):
            return None
        return {entry.path: tree.read(entry) for entry in entries}


def _write(place: Path, files: dict[str, bytes]) -> None:
    """A folder with these files; what an interrupted run left there goes first."""
    try:
        if place.exists():
            shutil.rmtree(place)
        for name, content in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise ClassroomError(
            f"could not write {os.path.relpath(place)}: {error.strerror}; nothing was changed"
        ) from None
