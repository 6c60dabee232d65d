"""hub.yml, which an administrator writes: reading it, and saying what is wrong in which line.

Everything that differs between two machines stands there; jupyterhub_config.py is the same on all. hub/hub.yml is an
example with every field.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from classroom.checked_yaml import load, message, record
from classroom.errors import ClassroomError

_NAME = "^[a-z0-9][a-z0-9-]*$"
_ACCOUNT = {"type": "string", "pattern": "^[a-z0-9_][a-z0-9_.-]{0,31}$", "description": "the name of an account"}
_ACCOUNTS = {"type": "array", "items": _ACCOUNT, "description": "a list of accounts"}
_PATH = {"type": "string", "pattern": "^/", "description": "a path that begins with /"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535, "description": "a port, 1 to 65535"}
_WHOLE = {"type": "integer", "minimum": 1, "description": "a whole number, 1 or more"}
_ABOVE = {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"}
KINDS = ("system", "oauth", "native", "demo")

_COURSE = record(
    {
        "folder": _PATH | {"description": "the course's folder, with nbgrader_config.py; a path that begins with /"},
        "grader": _ACCOUNT | {"description": "the account that owns the course's folder and grades in it"},
        "instructors": _ACCOUNTS,
        "students": {"anyOf": [{"const": "everybody"}, _ACCOUNTS], "description": "everybody, or a list of accounts"},
    },
    ["folder", "grader", "instructors"],
)
SCHEMA = record(
    {
        "address": {
            "type": "string",
            "pattern": "^https?://",
            "description": "an address such as https://hub.example.org",
        },
        "listen": {"type": "string", "description": "where the proxy listens, such as 127.0.0.1 or 0.0.0.0"},
        "port": _PORT,
        "tls": record({"key": _PATH, "certificate": _PATH}, ["key", "certificate"]),
        "accounts": {"enum": list(KINDS), "description": "system (PAM), oauth, native (people sign up) or demo"},
        "oauth": record(
            {
                "provider": {
                    "type": "string",
                    "pattern": "^[a-z0-9-]+$",
                    "description": "one of oauthenticator's names, such as github, google or generic-oauth",
                },
                "settings": {
                    "type": "object",
                    "minProperties": 1,
                    "description": "fields of oauthenticator, client_id and client_secret among them",
                },
            },
            ["provider", "settings"],
        ),
        "administrators": _ACCOUNTS,
        "state": _PATH | {"description": "the hub's own folder, for databases and secrets; a path that begins with /"},
        "library": _PATH,
        "courses": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {
                "pattern": _NAME,
                "description": "the id of course.yml: lower-case letters, digits and hyphens",
            },
            "additionalProperties": _COURSE,
            "description": "courses by their ids",
        },
        "limits": record(
            {
                "memory_mb": _WHOLE,
                "cores": _ABOVE,
            },
            [],
        ),
        "idle_minutes": _ABOVE,
    },
    ["accounts", "state", "courses"],
)


@dataclass(frozen=True)
class Course:
    """One course of the hub."""

    id: str
    folder: Path
    grader: str
    instructors: list[str]
    students: list[str] | None  # None: everybody who has an account


@dataclass(frozen=True)
class Settings:
    """What hub.yml says, with the defaults of what it does not say."""

    accounts: str
    oauth: tuple[str, dict] | None  # the provider, and what oauthenticator is set to
    state: Path
    courses: list[Course]
    address: str
    listen: str
    port: int
    tls: tuple[str, str] | None  # key and certificate
    administrators: list[str]
    library: Path | None  # searched for modules, where the environment has no library of its own
    memory_mb: int
    cores: float
    idle_minutes: float


def read_settings(path: Path, made: bool = True) -> Settings:
    """Read hub.yml.

    Args:
        path: the file.
        made: whether the courses' folders have to be there.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    values, lines = load(path, SCHEMA)
    limits = values.get("limits", {})
    courses = []
    for name, said in values["courses"].items():
        students = said.get("students", "everybody")
        folder = Path(said["folder"])
        if made and not (folder / "nbgrader_config.py").is_file():
            at = ("courses", name, "folder")
            raise ClassroomError(message(path, lines, at, "a folder with nbgrader_config.py", said["folder"]))
        if said["grader"] in said["instructors"] or (students != "everybody" and said["grader"] in students):
            at = ("courses", name, "grader")
            raise ClassroomError(message(path, lines, at, "an account that is nobody's own", said["grader"]))
        members = None if students == "everybody" else list(students)
        courses.append(Course(name, folder, said["grader"], list(said["instructors"]), members))
    graders = [course.grader for course in courses]
    if len(set(graders)) < len(graders):
        raise ClassroomError(f"{path.name}: each course needs a grader of its own, found {', '.join(graders)}")
    oauth = values.get("oauth")
    if (oauth is not None) != (values["accounts"] == "oauth"):
        at, expected = ("accounts",), "a field 'oauth' beside accounts: oauth, and only there"
        raise ClassroomError(message(path, lines, at, expected, values["accounts"]))
    tls, port = values.get("tls"), values.get("port", 8000)
    listen = values.get("listen", "127.0.0.1")
    return Settings(
        accounts=values["accounts"],
        oauth=(oauth["provider"], oauth["settings"]) if oauth else None,
        state=Path(values["state"]),
        courses=courses,
        address=values.get("address", f"http{'s' if tls else ''}://{listen}:{port}"),
        listen=listen,
        port=port,
        tls=(tls["key"], tls["certificate"]) if tls else None,
        administrators=values.get("administrators", []),
        library=Path(values["library"]) if values.get("library") else None,
        memory_mb=limits.get("memory_mb", 2048),
        cores=limits.get("cores", 1),
        idle_minutes=values.get("idle_minutes", 60),
    )


if __name__ == "__main__":  # python hub/settings.py FILE: is it right? What hub/install has to make.
    try:
        said = read_settings(Path(sys.argv[1]), made=False)
    except ClassroomError as error:
        sys.exit(str(error))
    print("hub", said.port, said.accounts, said.address, said.state, sep="\t")
    for one in said.courses:
        print("course", one.id, one.folder, one.grader, sep="\t")
