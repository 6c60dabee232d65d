"""What a person's server is told about their courses: students can't read course.yml.

The hub gathers it when a server starts and hands it over in a variable of the environment, as JSON; what runs inside
the server reads it there.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dateutil import tz

from classroom.course import Late, due_for, read_course, read_project
from classroom.errors import ClassroomError

VARIABLE = "CLASSROOM_COURSES"
_DAY = 24 * 60 * 60  # seconds


@dataclass(frozen=True)
class Given:
    """An assignment of a course."""

    name: str
    title: str = ""
    due: str | None = None  # of this person, in UTC, as datetime.isoformat writes it


@dataclass(frozen=True)
class Told:
    """A course, as one person may know it."""

    id: str
    title: str
    term: str = ""
    timezone: str = "UTC"
    assignments: tuple[Given, ...] = ()
    late: Late = field(default_factory=Late)
    most_attempts: int | None = None
    book: str = ""
    formgrader: str = ""  # its address, for those who teach the course
    problem: str = ""  # what is wrong with course.yml, for those who teach the course

    def due(self, name: str) -> datetime | None:
        """When an assignment is due, in UTC; None: no date is known."""
        for given in self.assignments:
            if given.name == name and given.due:
                return datetime.fromisoformat(given.due).replace(tzinfo=UTC)
        return None

    def local(self, time: datetime) -> str:
        """A time as the course's people write it."""
        return f"{time.astimezone(tz.gettz(self.timezone) or UTC):%a %-d %b %Y, %H:%M}"

    def lateness(self, name: str, sent: datetime) -> str:
        """How late something was handed in and what that costs, in words; empty if it was in time."""
        due = self.due(name)
        seconds = (sent - due).total_seconds() if due else 0
        if seconds <= 60 * self.late.grace_minutes:
            return ""
        begun = -int(-seconds // _DAY)
        if self.late.days is not None and begun > self.late.days:
            return f"late, by more than {self.late.days} days: earns nothing"
        lost = min(100.0, begun * self.late.percent_per_day)
        return f"late, day {begun} after the due date: {lost:g} % of its points are lost"


def gather(course: str, folder: Path, *, student: str, formgrader: str = "") -> Told:
    """What the hub tells one person about one course. It never fails: a server starts without due dates, too.

    Args:
        course: its id.
        folder: its folder.
        student: whose due dates, with their extensions.
        formgrader: its address, if they teach the course.
    """
    try:
        found = read_course(folder / "course.yml")
        given = []
        for name in found.due:
            file = folder / "solutions" / name / "project.yml"
            title = read_project(file).title if file.is_file() else ""
            due = due_for(found, name, student)
            given.append(Given(name, title, due.isoformat() if due else None))
    except (ClassroomError, OSError) as error:
        logging.getLogger("jupyterhub").error("course %s: its dates are not shown: %s", course, error)
        return Told(course, course, formgrader=formgrader, problem=str(error) if formgrader else "")
    return Told(
        course,
        found.title,
        found.term,
        found.text["timezone"] or "UTC",
        tuple(given),
        found.late,
        found.attempts.max,
        found.text["book_url"],
        formgrader,
    )


def packed(courses: Iterable[Told]) -> str:
    """What goes into the variable."""
    return json.dumps([asdict(course) for course in courses])


def courses() -> list[Told]:
    """The courses of the person whose server this is; none if the hub did not say."""
    try:
        return [_unpacked(**said) for said in json.loads(os.environ.get(VARIABLE, "[]"))]
    except (ValueError, TypeError, KeyError) as error:
        logging.getLogger(__name__).error("%s is not what the hub writes: %s", VARIABLE, error)
        return []


def _unpacked(assignments: list[dict], late: dict, **rest: object) -> Told:
    return Told(assignments=tuple(Given(**given) for given in assignments), late=Late(**late), **rest)
