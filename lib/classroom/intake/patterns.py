"""Whose file is it, and from when: what the names of downloaded files say, and which nbgrader student that is.

Built in are nbgrader's own layout, its exchange's, and the names that Moodle and Canvas give to "download all
submissions". Any other is a regular expression with a named group `student` and, if there are such, `time` and `file`.
"""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from classroom.errors import ClassroomError, RefusedError
from classroom.folder import Folder
from classroom.intake.archives import path_reason
from classroom.intake.files import Entry
from classroom.intake.names import STUDENT, STUDENT_RULE, TIMESTAMP, is_clutter, is_notebook

BUILT_IN = {
    # STUDENT/NAME.ipynb or STUDENT/PROJECT/NAME.ipynb
    "nbgrader": r"(?P<student>[^/]+)/(?:{project}/)?(?P<file>.+)",
    # student+project+time+random/NAME.ipynb: a copy of an exchange's inbound folder
    "exchange": r"(?:.*/)?(?P<student>[^/]+)\+{project}\+(?P<time>\d{{4}}-[^/+]+(?:\+\d{{4}})?)(?:\+[^/+]+)?"
    r"/(?P<file>.+)",
    # Jane Doe_123456_assignsubmission_file_/NAME.ipynb, or without the folder
    "moodle": r"(?:.*/)?(?P<name>[^/]+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?/?(?P<file>[^/].*)",
    # doejane_LATE_12345_67890_NAME-1.ipynb
    "canvas": r"(?:.*/)?(?P<name>[^/_]+)_(?:(?P<late>LATE)_)?(?P<number>\d+)_\d+_(?P<file>[^/]+)",
}
_KNOWN_BY_SIGHT = ("moodle", "canvas", "exchange")


@dataclass
class Arrival:
    """What one student hands in at one time, not looked into yet."""

    student: str  # nbgrader's id, or what came instead of one
    origin: str  # what tells it from any other
    files: dict[str, Entry] = field(default_factory=dict)  # by name within the submission
    time: datetime | None = None  # in UTC and naive; None: not said by the name
    late: bool = False  # the platform says so, without a time
    reason: str = ""  # why nothing of it is taken
    stray: bool = False  # a file that is nobody's, called by its own name
    owner: str = ""  # of a stray one in the exchange: the account that left it there
    refused: list[tuple[str, str]] = field(default_factory=list)  # single files, with reasons
    notes: list[str] = field(default_factory=list)


def parse_time(text: str) -> datetime:
    """The time in a timestamp.txt, in UTC and naive, as nbgrader reads it.

    Raises:
        RefusedError: if it is no time.
    """
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip())
    except (ValueError, OverflowError, TypeError):
        expected = "a time such as 2026-02-06 21:14:00 UTC"
        raise RefusedError(f"{TIMESTAMP}: expected {expected}, got {text.strip()[:40]!r}") from None


def arrange(folder: Folder, project: str, entries: list[Entry], pattern: str | None) -> tuple[list[Arrival], dict]:
    """Files by who handed them in.

    Args:
        pattern: the name of a built-in one, or a regular expression; by default the one that fits.

    Returns:
        The arrivals in order of their students, and nbgrader's ids by the names that stood in their place.

    Raises:
        ClassroomError: if the pattern is none, or no built-in one fits without doubt.
    """
    entries = [entry for entry in entries if not is_clutter(entry.path)]
    if pattern is None:
        pattern = _recognise(project, entries)
    if pattern == "nbgrader":
        entries = _without_top(project, entries)
    names = _Names(folder, pattern)
    matcher = _compile(pattern, project)
    others = [name for name in folder.projects() if name != project]
    arrivals: dict[tuple, Arrival] = {}
    for entry in entries:
        if entry.reason and entry.reason == path_reason(entry.path):  # nobody's: who knows where it leads
            top = entry.path.split("/")[0] or "/"
            arrivals[entry.path,] = Arrival(top, f"{pattern}:{entry.path}", reason=f"{entry.path}: {entry.reason}")
            continue
        found = matcher.fullmatch(entry.path) or (matcher.fullmatch(entry.path.rsplit("/", 1)[-1]))
        if found is None:
            key = (entry.path.split("/")[0],)
            reason = entry.reason or "its name does not fit the pattern"
            if pattern == "nbgrader":
                reason = "not a student's folder"
            arrivals.setdefault(key, Arrival(key[0], f"{pattern}:{key[0]}", reason=reason, stray=True))
            continue
        said = {key: value for key, value in found.groupdict().items() if value}
        file = said.get("file") or entry.path.rsplit("/", 1)[-1]
        if pattern == "nbgrader" and file.split("/")[0] in others:
            continue  # the same student's other projects
        key = (said.get("student") or said["name"], said.get("number", ""), said.get("time", ""))
        arrival = arrivals.get(key)
        if arrival is None:
            label = "_".join(part for part in key if part)
            arrival = arrivals[key] = Arrival(names.id_of(key[0], key[1]), f"{pattern}:{label}")
            if "time" in said:
                _set_time(arrival, said["time"], folder)
        arrival.late |= "late" in said
        if file not in arrival.files:
            arrival.files[file] = entry
        elif not entry.reason:
            arrival.refused.append((file, "there twice; the first was taken"))
    _refuse_namesakes(arrivals, pattern)
    return sorted(arrivals.values(), key=lambda arrival: (arrival.student, arrival.origin)), names.said


def _compile(pattern: str, project: str) -> re.Pattern:
    if pattern in BUILT_IN:
        return re.compile(BUILT_IN[pattern].format(project=re.escape(project)), re.DOTALL)
    try:
        made = re.compile(pattern)
    except re.error as error:
        raise ClassroomError(
            f"--pattern: not a regular expression: {error}; built in are {', '.join(BUILT_IN)}"
        ) from None
    if "student" not in made.groupindex:
        example = r"'(?P<student>\w+)_(?P<time>[\d-]+)_(?P<file>.+)'"
        built_in = ", ".join(BUILT_IN)
        raise ClassroomError(f"--pattern: expected a group named student, as in {example}; built in are {built_in}")
    return made


def _recognise(project: str, entries: list[Entry]) -> str:
    """The built-in pattern that fits all notebooks."""
    notebooks = [entry.path for entry in entries if is_notebook(entry.path)]
    counts = {}
    for name in _KNOWN_BY_SIGHT:
        matcher = _compile(name, project)
        counts[name] = sum(matcher.fullmatch(path) is not None for path in notebooks)
    best = max(counts, key=counts.get)
    if not counts[best]:
        return "nbgrader"
    if counts[best] < len(notebooks) or list(counts.values()).count(counts[best]) > 1:
        odd = next((path for path in notebooks if not _compile(best, project).fullmatch(path)), notebooks[0])
        raise ClassroomError(
            f"{counts[best]} of {len(notebooks)} notebooks have names as from {best}, but {odd} has not; "
            f"say which with --pattern: {', '.join(BUILT_IN)}, or a regular expression"
        )
    return best


def _without_top(project: str, entries: list[Entry]) -> list[Entry]:
    """Without the folder that holds all students' folders, as archives often have one."""
    parts = [entry.path.split("/") for entry in entries if is_notebook(entry.path)]
    tops = {entry.path.split("/")[0] for entry in entries}
    if len(tops) == 1 and parts and all(len(path) > 2 and path[1] != project for path in parts):
        return [replace(entry, path=entry.path.split("/", 1)[1]) for entry in entries if "/" in entry.path]
    return entries


def _set_time(arrival: Arrival, text: str, folder: Folder) -> None:
    """The time that a name says; without a zone it is the course's."""
    from dateutil import tz

    digits = re.fullmatch(r"(\d{4})\D?(\d\d)\D?(\d\d)(?:\D?(\d\d)\D?(\d\d)(?:\D?(\d\d))?)?", text.strip())
    try:
        if digits:
            zone = tz.gettz(folder.course.text["timezone"] or "UTC") if folder.course else UTC
            local = datetime(*(int(part) for part in digits.groups() if part), tzinfo=zone)
            arrival.time = local.astimezone(UTC).replace(tzinfo=None)
        else:
            arrival.time = parse_time(text)
    except (ValueError, OverflowError, RefusedError):  # the year 1, in a zone east of Greenwich
        arrival.reason = f"its name says the time {text[:40]!r}, which is none"


def _refuse_namesakes(arrivals: dict[tuple, Arrival], pattern: str) -> None:
    """Two people of one name are told apart by a person, never by us."""
    people = defaultdict(set)
    for key, arrival in arrivals.items():
        if not arrival.reason:
            people[arrival.student].add(key[:2])
    for arrival in arrivals.values():
        if arrival.reason:
            continue
        if not STUDENT.fullmatch(arrival.student):
            arrival.reason = STUDENT_RULE
        if len(people[arrival.student]) > 1:
            who = " and ".join("_".join(part for part in key if part) for key in sorted(people[arrival.student]))
            what = "give one another name: unpack the archive, and rename the folder or file"
            if pattern == "canvas":  # whose numbers are people's
                what = f"enter both with their numbers (nbgrader db student add ID --lms-user-id N), or {what}"
            arrival.reason = f"{who} would both be {arrival.student}; {what}"


class _Names:
    """nbgrader's ids of the people that a learning platform calls by other names."""

    def __init__(self, folder: Folder, pattern: str) -> None:
        self.pattern = pattern
        self.said: dict[str, str] = {}
        self.by_name: dict[str, set[str]] = defaultdict(set)
        self.by_number: dict[str, str] = {}
        if pattern in ("moodle", "canvas"):
            with folder.gradebook() as gradebook:
                for person in gradebook.students:
                    first, last = person.first_name or "", person.last_name or ""
                    for name in (f"{first} {last}", f"{last} {first}", last + first):
                        if name.strip():
                            self.by_name[_bare(name)].add(person.id)
                    if person.lms_user_id:
                        self.by_number[str(person.lms_user_id)] = person.id

    def id_of(self, name: str, number: str) -> str:
        """nbgrader's id: the gradebook's where it knows the person, else the name in small ASCII letters."""
        if self.pattern not in ("moodle", "canvas"):
            if STUDENT.fullmatch(name) or self.pattern in BUILT_IN:
                return name
            found = _slug(name) or name
        elif self.pattern == "canvas" and number in self.by_number:
            found = self.by_number[number]
        else:  # Moodle's number is another one in each assignment, and tells us nothing
            known = self.by_name.get(_bare(name), set())
            found = next(iter(known)) if len(known) == 1 else _slug(name) or f"{self.pattern}-{number}"
        self.said[f"{name}_{number}" if number else name] = found
        return found


def _bare(name: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())


def _slug(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")
