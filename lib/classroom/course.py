"""course.yml and project.yml: reading them, and saying what is wrong in which line.

`read_course` gives what a teacher set for the whole class, `read_project` what stands beside one source notebook.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import jsonschema
import yaml
from dateutil import tz  # carries its own table of time zones: a bare Debian has none

from classroom.errors import ClassroomError, near_miss

_NAME = "^[a-z0-9][a-z0-9-]*$"
_URL = {"type": "string", "pattern": "^(https?://.+)?$", "description": "an address beginning with https://, or empty"}
_TEXT = {"type": "string", "minLength": 1, "description": "a text"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 100, "description": "a number from 0 to 100"}


def _record(properties: dict, required: list[str]) -> dict:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


COURSE_SCHEMA = _record(
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
            "propertyNames": {"pattern": _NAME},
            "description": "a list of projects by name",
            "additionalProperties": _record(
                {
                    "due": {"type": ["string", "null"], "description": "a date such as 2026-03-06 23:59, or null"},
                    "weight": _SHARE,
                },
                ["due", "weight"],
            ),
        },
        "late": _record(
            {
                "grace_minutes": {"type": "number", "minimum": 0, "description": "a number of minutes, 0 or more"},
                "percent_per_day": _SHARE,
                "days": {"type": ["integer", "null"], "minimum": 0, "description": "a whole number of days, or null"},
            },
            ["grace_minutes", "percent_per_day", "days"],
        ),
        "attempts": _TEXT,
        "ai_policy": _TEXT,
    },
    ["id", "title", "term", "projects", "late"],
)

PROJECT_SCHEMA = _record(
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
            "items": _record(
                {
                    "name": _TEXT,
                    "cell": {**_TEXT, "description": "the grade_id of the cell that carries the points"},
                    "points": {"type": "number", "minimum": 0, "description": "a number of points"},
                    "graded": {"enum": ["by tests", "by hand"], "description": "'by tests' or 'by hand'"},
                },
                ["name", "cell", "points", "graded"],
            ),
        },
        "limits": _record(
            {"cell_seconds": {"type": "integer", "minimum": 1, "description": "a whole number of seconds"}},
            ["cell_seconds"],
        ),
        "grading": _record({"parameters": {"type": "object", "description": "names with values"}}, []),
        "withheld": {
            "type": "array",
            "description": "a list of names such as deeppractice.generative:fit_gan",
            "items": {
                "type": "string",
                "pattern": r"^[\w.]+:\w+$",
                "description": "a name such as deeppractice.generative:fit_gan",
            },
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
class Course:
    """What course.yml says; `due` is in UTC and naive, as nbgrader wants it."""

    id: str
    title: str
    term: str
    due: dict[str, datetime | None]
    weight: dict[str, float]
    late: Late
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
    cell_seconds: int
    parameters: dict
    withheld: tuple[str, ...] = ()  # names of the library, module:name; nothing keeps submissions from them yet


def read_course(path: Path) -> Course:
    """Read and check course.yml.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    values, lines = _load(path, COURSE_SCHEMA)
    zone = _zone(values.get("timezone", "UTC"), path, lines)
    projects = values["projects"]
    due = {name: _due(entry["due"], zone, path, lines, name) for name, entry in projects.items()}
    texts = ("timezone", "repository_url", "book_url", "hub_url", "attempts", "ai_policy")
    return Course(
        id=values["id"],
        title=values["title"],
        term=values["term"],
        due=due,
        weight={name: entry["weight"] for name, entry in projects.items()},
        late=Late(**values["late"]),
        text={name: values.get(name, "").strip() for name in texts},
    )


def read_project(path: Path) -> Project:
    """Read and check project.yml; the points of the parts have to add up.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    values, lines = _load(path, PROJECT_SCHEMA)
    parts = tuple(Part(p["name"], p["cell"], p["points"], p["graded"] == "by hand") for p in values["parts"])
    total = sum(part.points for part in parts)
    if total != values["points"]:
        expected = f"the sum of the parts' points, {total:g}"
        raise ClassroomError(_message(path, lines, ("points",), expected, values["points"]))
    parameters = values.get("grading", {}).get("parameters", {})
    return Project(
        title=values["title"],
        minutes=60 * values["hours"] if values.get("hours") else values.get("minutes"),
        points=values["points"],
        parts=parts,
        cell_seconds=values["limits"]["cell_seconds"],
        parameters=parameters,
        withheld=tuple(values.get("withheld", ())),
    )


def _load(path: Path, schema: dict) -> tuple[dict, dict]:
    """The file's values, and the line of each field by its path."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ClassroomError(f"{path} is missing") from None
    except UnicodeDecodeError as error:
        raise ClassroomError(f"{path.name}: expected UTF-8 text, byte {error.start} is none") from None
    lines: dict[tuple, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ClassroomError(f"{path.name}{where}: {getattr(error, 'problem', None) or error}") from None
    values = {} if node is None else _plain(node, (), lines, path)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(values))
    if errors:
        errors.sort(key=lambda error: lines.get(tuple(error.path), 0))
        raise ClassroomError("\n".join(_explain(error, path, lines, schema) for error in errors))
    return values, lines


def _plain(node: yaml.Node, at: tuple, lines: dict, path: Path):
    """A YAML node as Python values. Dates stay text, so that an error can show what was typed."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            lines[(*at, key)] = key_node.start_mark.line + 1
            if key in found:
                where = ".".join(map(str, (*at, key)))
                raise ClassroomError(f"{path.name}, line {key_node.start_mark.line + 1}: {where} is there twice")
            found[key] = _plain(value_node, (*at, key), lines, path)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*at, i), lines, path) for i, child in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _explain(error: jsonschema.ValidationError, path: Path, lines: dict, schema: dict) -> str:
    at = tuple(error.path)
    if error.validator == "required":
        missing = error.message.split("'")[1]
        return _message(path, lines, at, f"a field {missing!r}", "none")
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        extra = next(name for name in error.instance if name not in known)
        where = ".".join(map(str, (*at, extra)))
        return f"{path.name}, line {lines.get((*at, extra), 1)}: unknown field {where}{near_miss(extra, known)}"
    if "propertyNames" in error.schema_path:
        return _message(path, lines, at, "names of lower-case letters, digits and hyphens", error.instance)
    expected = error.schema.get("description") or ("fields" if error.validator == "type" else error.message)
    return _message(path, lines, at, expected, error.instance)


def _message(path: Path, lines: dict, at: tuple, expected: str, got: object) -> str:
    line = next(lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in lines or n == 0) if lines else 1
    shown = got if got == "none" else repr(got)
    return f"{path.name}, line {line}: {'.'.join(map(str, at)) or 'the file'}: expected {expected}, got {shown}"


def _zone(name: str, path: Path, lines: dict) -> tzinfo:
    zone = tz.gettz(name) if name else None
    if zone is None:
        expected = COURSE_SCHEMA["properties"]["timezone"]["description"]
        raise ClassroomError(_message(path, lines, ("timezone",), expected, name))
    return zone


def _due(text: str | None, zone: tzinfo, path: Path, lines: dict, project: str) -> datetime | None:
    """A local date and time in UTC, naive; a date alone means its last minute."""
    if text is None:
        return None
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        at, expected = ("projects", project, "due"), "a date such as 2026-03-06 23:59, or null"
        raise ClassroomError(_message(path, lines, at, expected, text)) from None
    if len(text) == len("2026-03-06"):
        local = local.replace(hour=23, minute=59)
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone)
    return local.astimezone(UTC).replace(tzinfo=None)
