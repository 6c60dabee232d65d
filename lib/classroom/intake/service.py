"""The exchange of a hub whose users share no disk: submissions come from a service, in memory, and are looked at alike.

Who handed in, and when, is what the service noted: it knows its users by the hub's tokens, and has a clock of its own.
"""

from collections.abc import Iterator
from datetime import UTC

from classroom.errors import ClassroomError, RefusedError, ServiceError
from classroom.folder import Folder
from classroom.intake import attempts
from classroom.intake.files import MAX_FILE, Entry, shown
from classroom.intake.names import STUDENT, STUDENT_RULE
from classroom.intake.patterns import Arrival, parse_time


def is_configured(folder: Folder) -> bool:
    """Whether nbgrader's exchange is that service here."""
    from classroom.hub import exchange

    return exchange.__name__ in str(folder.app.config.ExchangeFactory.get("collect", ""))


class Sent:
    """The files of one submission, as they were sent."""

    def __init__(self, files: dict[str, bytes], refused: dict[str, str]) -> None:
        self.listed = {path: Entry(path, raw=data) for path, data in files.items()}
        self.listed |= {path: Entry(path, reason) for path, reason in refused.items()}

    def read(self, entry: Entry, most: int = MAX_FILE) -> bytes:
        """A file's bytes; RefusedError if it is not to be had, or too large."""
        if entry.reason:
            raise RefusedError(entry.reason)
        if len(entry.raw) > most:
            raise RefusedError(f"{len(entry.raw) / 1e6:.1f} MB, expected at most {most / 1e6:g}")
        return entry.raw


def handed_in(folder: Folder, project: str) -> Iterator[tuple[Arrival, Sent | None, str]]:
    """All that was handed in, oldest first: who and when, the files, and the time in the service's own words.

    There are no files where nothing is taken (the arrival says why), nor where the attempt is kept already.

    Raises:
        ClassroomError: if the service does not answer, or has no such course.
    """
    from classroom.hub.exchange.server import Server, unpack

    course = folder.coursedir.course_id
    try:
        server = Server()
        for one in sorted(server.get("submissions", course, project)["submissions"], key=lambda one: one["timestamp"]):
            student, when = one["student_id"], one["timestamp"]
            time = parse_time(when)
            arrival = Arrival(shown(student), f"exchange:{shown(student)}+{project}+{when}")
            arrival.time = time.replace(microsecond=0)
            if not STUDENT.fullmatch(arrival.student) or arrival.student != student:
                arrival.reason = STUDENT_RULE
                yield arrival, None, when
                continue
            if any(old.origin == arrival.origin for old in attempts.kept(folder, project, student)):
                yield arrival, None, when
                continue
            answer = server.get("submission", course, project, student, timestamp=when)
            yield arrival, Sent(*unpack(answer)), when
    except ServiceError as error:
        raise ClassroomError(f"{error}; what was taken in before is kept, and the same command goes on") from None
    except (RefusedError, KeyError, TypeError) as error:
        raise ClassroomError(f"the exchange said something that it never says: {error!r}") from None


def changed(when: str) -> float:
    """A time in the service's words as seconds, by which attempts of the same content are told apart."""
    return parse_time(when).replace(tzinfo=UTC).timestamp()


def stamp(when: str) -> str:
    """A time as the service gives it, in nbgrader's form, whole: by it feedback finds its submission."""
    return f"{when.removesuffix(' UTC')} UTC"
