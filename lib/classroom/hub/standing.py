"""How a student stands with the assignments of a course, from the exchange and from the files in their home."""

import html
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from classroom.hub.exchange.server import Server, ServiceError
from classroom.hub.facts import VARIABLE, Given, Told, courses
from classroom.intake.service import stamp

_TOTAL = re.compile(r'<p class="total">(.*?)</p>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_POINTS = re.compile(r"^([\d.]+) of ([\d.]+) points?")
_ASKED = 20  # of so many submissions, the last ones, it is asked whether feedback is there


@dataclass
class Standing:
    """One assignment."""

    course: Told
    given: Given
    home: Path
    released: bool = False
    withdrawn: bool = False
    sent: list[str] = field(default_factory=list)  # times, in the form of folders of feedback
    answered: str = ""  # the last of these times for which feedback is in the exchange

    @property
    def place(self) -> Path:
        """Its folder."""
        return self.home / self.course.id / self.given.name

    @property
    def fetched(self) -> bool:
        """Whether the folder is there."""
        return self.place.is_dir()

    @property
    def page(self) -> Path | None:
        """The newest page of feedback in the home."""
        pages = sorted(self.place.glob("feedback/*/*.html"))
        return pages[-1] if pages else None

    @property
    def to_fetch(self) -> bool:
        """Whether feedback waits in the exchange."""
        return bool(self.answered) and not any((self.place / "feedback" / self.answered).glob("*.html"))

    def notebooks(self) -> list[Path]:
        """What to work on."""
        return sorted(self.place.glob("*.ipynb"))

    def total(self) -> str:
        """What the newest page says of the points, such as `6 of 10 points`."""
        found = _TOTAL.search(self.page.read_text(encoding="utf-8", errors="replace")) if self.page else None
        return " ".join(html.unescape(_TAG.sub("", found[1])).split())[:200] if found else ""

    def points(self) -> tuple[float, float] | None:
        """The same in numbers."""
        found = _POINTS.match(self.total())
        return (float(found[1]), float(found[2])) if found else None

    def link(self, path: Path) -> str:
        """The address of a file, for Markdown in the home."""
        return quote(path.relative_to(self.home).as_posix())


@dataclass(frozen=True)
class Arrived:
    """What has come in for one assignment, for those who teach the course."""

    released: bool
    students: int
    last: datetime | None  # when the last of it was handed in


def told_here(*, ask: bool = True) -> list[Told] | None:
    """The courses that the hub told of; where it tells nothing (on a cluster), those that the exchange knows.

    None: the exchange does not answer, or is not to be asked.
    """
    if VARIABLE in os.environ or not os.environ.get("NGSHARE_URL"):
        return courses()
    try:
        return [Told(name, name) for name in Server().get("courses")["courses"]] if ask else None
    except ServiceError:
        return None


def time_of(when: str) -> datetime:
    """A time as the exchange writes it."""
    return datetime.strptime(when[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def from_home(course: Told, home: Path) -> list[Standing]:
    """What is known without the exchange."""
    return [Standing(course, given, home) for given in course.assignments]


def from_exchange(course: Told, home: Path) -> Iterator[Standing]:
    """All that is known, one assignment of the course after the other.

    Raises:
        ServiceError: in words, if the exchange does not answer.
    """
    server = Server()
    there = server.get("assignments", course.id)["assignments"]
    known = [given for given in course.assignments]
    known += [Given(name) for name in there if name not in {given.name for given in known}]
    for given in known:
        found = Standing(course, given, home)
        if given.name in there:
            found.released = bool(server.get("assignment", course.id, given.name, list_only="true")["files"])
            found.withdrawn = not found.released
            mine = (course.id, given.name, server.user)
            times = sorted(sent["timestamp"] for sent in server.get("submissions", *mine)["submissions"])
            found.sent = [stamp(when) for when in times]
            for when in times[: -_ASKED - 1 : -1]:
                if server.get("feedback", *mine, timestamp=when, list_only="true")["files"]:
                    found.answered = stamp(when)
                    break
        yield found


def from_students(course: Told) -> dict[str, Arrived]:
    """By assignment what lies in the exchange, collected or not.

    Raises:
        ServiceError: in words, if the exchange does not answer.
    """
    server, found = Server(), {}
    for name in server.get("assignments", course.id)["assignments"]:
        released = bool(server.get("assignment", course.id, name, list_only="true")["files"])
        sent = server.get("submissions", course.id, name)["submissions"]
        times = [time_of(stamp(one["timestamp"])) for one in sent]
        found[name] = Arrived(released, len({one["student_id"] for one in sent}), max(times, default=None))
    return found
