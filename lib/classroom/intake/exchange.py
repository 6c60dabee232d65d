"""nbgrader's exchange: the inbound folder that every student of a machine can write into.

What a student says of themselves is held against what the system says: the owner of the folder has to be the student
that its name names, and the arrival time is the inode's change time, which only the system's clock sets.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from classroom.errors import ClassroomError, RefusedError
from classroom.folder import Folder
from classroom.intake.files import MAX_FILE, Entry, FolderTree, shown, user
from classroom.intake.names import STUDENT, STUDENT_RULE
from classroom.intake.patterns import Arrival, parse_time

DEFAULT_ROOT = "/usr/local/share/nbgrader/exchange"  # nbgrader's
DISAGREE_SECONDS = 60


def inbound(folder: Folder) -> Path:
    """Where students hand in, by nbgrader's settings.

    Raises:
        ClassroomError: if there is no such folder.
    """
    course = folder.coursedir.course_id
    place = Path(folder.app.config.Exchange.get("root", DEFAULT_ROOT)) / course / "inbound"
    if not course or not place.is_dir():
        missing = f"{place} is missing" if course else "nbgrader's configuration has no CourseDirectory.course_id"
        raise ClassroomError(f"no exchange: {missing}; take submissions from elsewhere with --from PATH")
    return place


def checks_owner(folder: Folder) -> bool:
    """Whether the owner of a folder has to be the student: nbgrader's own setting, true by default."""
    config = folder.app.config
    return all(config[name].get("check_owner", True) for name in ("ExchangeCollect", "CollectApp") if name in config)


class Checked:
    """A folder of inbound of which only the student's own files are read; `newest` is the latest change seen.

    Args:
        owner: whose files they have to be; None: anybody's.
        newest: the latest change that is known before anything is read.
    """

    def __init__(self, tree: FolderTree, owner: int | None, newest: float) -> None:
        self.tree, self.owner, self.newest = tree, owner, newest

    def read(self, entry: Entry, most: int = MAX_FILE) -> bytes:
        """A file's bytes; RefusedError if it belongs to somebody else, or lies elsewhere too (a hard link)."""
        data, found = self.tree.read_with_status(entry, most)
        if self.owner is not None and found.st_uid != self.owner:
            raise RefusedError(f"belongs to {user(found.st_uid)}")
        if self.owner is not None and found.st_nlink > 1:
            raise RefusedError("a hard link")
        self.newest = max(self.newest, found.st_ctime)
        return data


def handed_in(folder: Folder, project: str) -> list[str]:
    """The names of the folders of a project in inbound, oldest claim first."""
    place = inbound(folder)
    try:
        names = [name for name in os.listdir(place) if _parts(name, project)]
    except OSError as error:
        raise ClassroomError(f"{place} can't be read: {error.strerror}") from None
    return sorted(names, key=lambda name: (_parts(name, project)["student"], _parts(name, project)["time"]))


@contextmanager
def opened(folder: Folder, project: str, name: str) -> Iterator[tuple[Arrival, FolderTree | None]]:
    """One folder of inbound, with what its name says; the tree is None where nothing of it is taken.

    What belongs to somebody else is no submission of the student's that its name names, and is not booked on them: the
    name is whatever that somebody wants to be read on the student's page.
    """
    said = _parts(name, project)
    arrival = Arrival(shown(said["student"]), f"exchange:{shown(name)}")
    if not STUDENT.fullmatch(arrival.student):
        arrival.reason = STUDENT_RULE
        yield arrival, None
        return
    place = inbound(folder) / name
    try:
        tree = FolderTree(place)
    except RefusedError as reason:  # a link, a file, a folder that is closed to us: its owner is known all the same
        arrival.reason = str(reason)
        with suppress(OSError):  # it is gone again
            _is_theirs(folder, name, arrival, os.lstat(place).st_uid)
        yield arrival, None
        return
    with tree:
        yield arrival, (tree if _is_theirs(folder, name, arrival, tree.owner) else None)


def settle_time(arrival: Arrival, project: str, newest: float, stamp: bytes | None) -> None:
    """Set the arrival's time to the server's, and say where a student claims another.

    Args:
        newest: the latest change of the folder and its files, as the system knows it.
        stamp: the timestamp.txt that came along.
    """
    arrival.time = datetime.fromtimestamp(newest, UTC).replace(tzinfo=None, microsecond=0)
    claims = [arrival.origin.removeprefix("exchange:").rsplit(f"+{project}+", 1)[-1].split("+")[0]]
    if stamp is not None:
        claims.append(stamp.decode("utf-8", "replace"))
    for claim in claims:
        try:
            difference = abs((parse_time(claim) - arrival.time).total_seconds())
        except RefusedError:
            arrival.notes.append(f"it says {claim.strip()[:40]!r} for a time; it arrived at {arrival.time} UTC")
            return
        if difference > DISAGREE_SECONDS:
            arrival.notes.append(f"it says {claim.strip()[:40]}, but arrived at {arrival.time} UTC, which counts")
            return


def _is_theirs(folder: Folder, name: str, arrival: Arrival, owner: int) -> bool:
    """Whether a folder belongs to the student that it names; else it is a stray one, under its own name."""
    if not checks_owner(folder) or user(owner) == arrival.student:
        return True
    arrival.reason = f"it belongs to {user(owner)}, not to {arrival.student}"
    arrival.student, arrival.stray, arrival.owner = shown(name), True, user(owner)
    return False


def _parts(name: str, project: str) -> dict[str, str] | None:
    """student+project+time+random, the last not always there; a student's name may have a + too."""
    time = r"(?P<time>\d{4}-[^+]+(?:\+\d{4})?)"
    found = re.fullmatch(rf"(?P<student>.+)\+{re.escape(project)}\+{time}(?:\+[^+]+)?", name, re.DOTALL)
    return found.groupdict() if found else None
