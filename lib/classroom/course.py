"""course.yml and project.yml: reading them, and saying what is wrong in which line.

`read_course` gives what a teacher set for the whole class, `read_project` what stands beside one source notebook;
`due_for` is the due date of one student, and `limits_for` what one submission may use.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from dateutil import tz  # carries its own table of time zones: a bare Debian has none

from classroom.checked_yaml import load, message, record
from classroom.errors import ClassroomError, near_miss

_NAME = "^[a-z0-9][a-z0-9-]*$"
_NAMES = {"pattern": _NAME, "description": "names of lower-case letters, digits and hyphens"}
_STUDENTS = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._@+-]*$", "description": "students by the names of their folders"}
_URL = {"type": "string", "pattern": "^(https?://.+)?$", "description": "an address beginning with https://, or empty"}
_TEXT = {"type": "string", "minLength": 1, "description": "a text"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 100, "description": "a number from 0 to 100"}
_DATE = {"type": "string", "description": "a date such as 2026-03-06 23:59"}
_DATE_OR_NULL = {"type": ["string", "null"], "description": "a date such as 2026-03-06 23:59, or null"}
_COUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 1, "description": "a whole number, 1 or more, or null"}
# No password: course.yml is read by everybody who sees the repository, and libpq has ~/.pgpass for it.
_GRADEBOOK = {
    "type": "string",
    "pattern": r"^(?!.*[?&]password=)(postgresql(\+\w+)?://([^:@/]*@)?[^@]+)?$",
    "description": "postgresql://user@host/name without a password (that belongs into ~/.pgpass), or empty",
}
_WHOLE = {"type": "integer", "minimum": 1, "description": "a whole number, 1 or more"}
_SECONDS = {"type": "number", "exclusiveMinimum": 0, "description": "a number of seconds"}
LIMITS = {  # what one submission may use; names and defaults are those of classroom.sandbox.policy.Limits
    "seconds": _SECONDS,
    "cell_seconds": _SECONDS,
    "memory_mb": _WHOLE,
    "processes": _WHOLE,
    "cell_output_bytes": _WHOLE,
    "output_bytes": _WHOLE,
    "file_mb": _WHOLE,
    "call_seconds": _SECONDS,  # of one call of the student's code by a test
}

EXTENSIONS_SCHEMA = {
    "type": "object",
    "propertyNames": _NAMES,
    "description": "projects with students and dates",
    "additionalProperties": {
        "type": "object",
        "propertyNames": _STUDENTS,
        "description": "students with dates",
        "additionalProperties": _DATE,
    },
}

COURSE_SCHEMA = record(
    {
        "id": {"type": "string", "pattern": _NAME, "description": "lower-case letters, digits and hyphens"},
        "title": _TEXT,
        "term": _TEXT,
        "timezone": {"type": "string", "description": "the name of a time zone, such as Europe/Paris"},
        "repository_url": _URL,
        "book_url": _URL,
        "hub_url": _URL,
        "projects": {
            "type": "object",
            "propertyNames": _NAMES,
            "description": "a list of projects by name",
            "additionalProperties": record({"due": _DATE_OR_NULL, "weight": _SHARE}, ["due", "weight"]),
        },
        "late": record(
            {
                "grace_minutes": {"type": "number", "minimum": 0, "description": "a number of minutes, 0 or more"},
                "percent_per_day": _SHARE,
                "days": {"type": ["integer", "null"], "minimum": 0, "description": "a whole number of days, or null"},
            },
            ["grace_minutes", "percent_per_day", "days"],
        ),
        "attempts": {
            **record({"max": _COUNT_OR_NULL, "note": _TEXT}, ["max"]),
            "description": "fields such as {max: null, note: as often as you like}",
        },
        "extensions": {
            **EXTENSIONS_SCHEMA,
            "type": ["object", "string"],
            "description": "projects with students and dates, or the name of a file that holds them",
        },
        "ai_policy": _TEXT,
        "retention": {
            **record({"days": _COUNT_OR_NULL, "note": _TEXT}, ["days"]),
            "description": "fields such as {days: 365, note: why so long}",
        },
        "gradebook": _GRADEBOOK,
        "limits": record(LIMITS, []),
    },
    ["id", "title", "term", "projects", "late"],
)

PROJECT_SCHEMA = record(
    {
        "title": _TEXT,
        # How long a student needs, in one of two units; null: not measured yet.
        "minutes": {"type": ["number", "null"], "exclusiveMinimum": 0, "description": "a number of minutes, or null"},
        "hours": {"type": ["number", "null"], "exclusiveMinimum": 0, "description": "a number of hours, or null"},
        "points": {"type": "number", "exclusiveMinimum": 0, "description": "a number of points"},
        "parts": {
            "type": "array",
            "minItems": 1,
            "description": "a list of parts",
            "items": record(
                {
                    "name": _TEXT,
                    "cell": {**_TEXT, "description": "the grade_id of the cell that carries the points"},
                    "points": {"type": "number", "minimum": 0, "description": "a number of points"},
                    "graded": {"enum": ["by tests", "by hand"], "description": "'by tests' or 'by hand'"},
                },
                ["name", "cell", "points", "graded"],
            ),
        },
        "limits": record(LIMITS, ["cell_seconds"]),
        "grading": record({"parameters": {"type": "object", "description": "names with values"}}, []),
        "withheld": {
            "type": "array",
            "description": "a list of names such as deeppractice.generative:fit_gan",
            "items": {
                "type": "string",
                "pattern": r"^[\w.]+:\w+$",
                "description": "a name such as deeppractice.generative:fit_gan",
            },
        },
        # What `classroom audit` may find: points that a test cell, or one check in it, gives without work.
        "audit": {
            "type": "array",
            "description": "a list of {cell, check, reason}",
            "items": record({"cell": _TEXT, "check": _TEXT, "reason": _TEXT}, ["cell", "reason"]),
        },
    },
    ["title", "points", "parts", "limits"],
)


@dataclass(frozen=True)
class Late:
    """The late rule; without a course.yml nothing is lost by being late."""

    grace_minutes: float = 0
    percent_per_day: float = 0
    days: int | None = None


@dataclass(frozen=True)
class Attempts:
    """How often a student may hand in. The last one before the due date counts; a late one never replaces it."""

    max: int | None = None  # None: as often as one likes
    note: str = ""


@dataclass(frozen=True)
class Retention:
    """How long submissions and grades are kept after the last due date."""

    days: int | None = None  # None: not laid down
    note: str = ""


@dataclass(frozen=True)
class Course:
    """What course.yml says; dates are in UTC and naive, as nbgrader wants them."""

    id: str
    title: str
    term: str
    due: dict[str, datetime | None]
    weight: dict[str, float]
    late: Late
    attempts: Attempts = Attempts()
    # By project and student; None: course.yml does not say, and what nbgrader's gradebook knows stands.
    extensions: dict[str, dict[str, datetime]] | None = None
    retention: Retention = Retention()
    gradebook: str = ""  # the address of a PostgreSQL database; empty: a file of SQLite in the class's folder
    limits: dict[str, float] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)  # addresses and policies, as they stand


@dataclass(frozen=True)
class Part:
    """One graded part of a project."""

    name: str
    cell: str
    points: float
    by_hand: bool


@dataclass(frozen=True)
class Project:
    """What project.yml says."""

    title: str
    minutes: float | None  # of a student's time; None: not measured yet
    points: float
    parts: tuple[Part, ...]
    cell_seconds: float
    parameters: dict
    withheld: tuple[str, ...] = ()  # names of the library, module:name, that submissions may not use
    limits: dict[str, float] = field(default_factory=dict)  # cell_seconds and others
    audit: tuple[dict[str, str], ...] = ()  # points without work that are meant: cell, perhaps check, and reason


def read_course(path: Path) -> Course:
    """Read and check course.yml, and the file of extensions if it names one.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    values, lines = load(path, COURSE_SCHEMA)
    zone = _zone(values.get("timezone", "UTC"), path, lines)
    projects = values["projects"]
    at = "projects"
    due = {name: _time(entry["due"], zone, path, lines, (at, name, "due")) for name, entry in projects.items()}
    texts = ("timezone", "repository_url", "book_url", "hub_url", "ai_policy")
    return Course(
        id=values["id"],
        title=values["title"],
        term=values["term"],
        due=due,
        weight={name: entry["weight"] for name, entry in projects.items()},
        late=Late(**values["late"]),
        attempts=Attempts(**values.get("attempts", {})),
        extensions=_extensions(values, due, zone, path, lines),
        retention=Retention(**values.get("retention", {})),
        gradebook=values.get("gradebook", ""),
        limits=values.get("limits", {}),
        text={name: values.get(name, "").strip() for name in texts},
    )


def read_project(path: Path) -> Project:
    """Read and check project.yml; the points of the parts have to add up.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    values, lines = load(path, PROJECT_SCHEMA)
    parts = tuple(Part(p["name"], p["cell"], p["points"], p["graded"] == "by hand") for p in values["parts"])
    total = sum(part.points for part in parts)
    if total != values["points"]:
        expected = f"the sum of the parts' points, {total:g}"
        raise ClassroomError(message(path, lines, ("points",), expected, values["points"]))
    parameters = values.get("grading", {}).get("parameters", {})
    return Project(
        title=values["title"],
        minutes=60 * values["hours"] if values.get("hours") else values.get("minutes"),
        points=values["points"],
        parts=parts,
        cell_seconds=values["limits"]["cell_seconds"],
        parameters=parameters,
        withheld=tuple(values.get("withheld", ())),
        limits=values["limits"],
        audit=tuple(values.get("audit", ())),
    )


def due_for(course: Course | None, project: str, student: str) -> datetime | None:
    """When a student has to hand in a project: the extension, else the due date, in UTC and naive; None: no date."""
    if course is None:
        return None
    return (course.extensions or {}).get(project, {}).get(student, course.due.get(project))


def limits_for(course: Course | None, project: Project | None) -> dict[str, float]:
    """The limits that the teacher set: project.yml's over course.yml's; what is not there has its default."""
    return {**(course.limits if course else {}), **(project.limits if project else {})}


def kept_until(course: Course) -> datetime | None:
    """When the class's data is to be removed: so many days after the last due date or extension; None: no rule."""
    dates = [date for date in course.due.values() if date is not None]
    dates += [date for students in (course.extensions or {}).values() for date in students.values()]
    return max(dates) + timedelta(days=course.retention.days) if dates and course.retention.days else None


def _extensions(values: dict, due: dict, zone: tzinfo, path: Path, lines: dict) -> dict | None:
    """The extended dates by project and student, from course.yml or from the file that it names."""
    written, at = values.get("extensions"), ("extensions",)
    if written is None:
        return None
    if isinstance(written, str):
        file = path.parent / written
        if not file.is_file():
            raise ClassroomError(message(path, lines, at, "the name of a file beside course.yml", written))
        (written, lines), path, at = load(file, EXTENSIONS_SCHEMA), file, ()
    found: dict[str, dict[str, datetime]] = {}
    for project, students in written.items():
        where = (*at, project)
        if project not in due:
            line, shown = lines[where], ".".join(where)
            raise ClassroomError(f"{path.name}, line {line}: {shown}: no such project{near_miss(project, due)}")
        if due[project] is None and students:
            raise ClassroomError(message(path, lines, where, "a project with a due date", "none"))
        found[project] = {name: _time(text, zone, path, lines, (*where, name)) for name, text in students.items()}
        for student, date in found[project].items():
            if date <= due[project]:
                expected = (
                    f"a date after the due date, {due[project].replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M}"
                )
                raise ClassroomError(message(path, lines, (*where, student), expected, students[student]))
    return found


def _zone(name: str, path: Path, lines: dict) -> tzinfo:
    zone = tz.gettz(name) if name else None
    if zone is None:
        expected = COURSE_SCHEMA["properties"]["timezone"]["description"]
        raise ClassroomError(message(path, lines, ("timezone",), expected, name))
    return zone


def _time(text: str | None, zone: tzinfo, path: Path, lines: dict, at: tuple) -> datetime | None:
    """A local date and time in UTC, naive; a date alone means its last minute."""
    if text is None:
        return None
    try:
        local = datetime.fromisoformat(text)
        if len(text) == len("2026-03-06"):
            local = local.replace(hour=23, minute=59)
        if local.tzinfo is None:
            local = local.replace(tzinfo=zone)
        return local.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        expected = (_DATE if at[0] != "projects" else _DATE_OR_NULL)["description"]
        raise ClassroomError(message(path, lines, at, expected, text)) from None
