"""hub.yml, which an administrator writes: reading it, and saying what is wrong in which line.

Everything that differs between two machines stands there; jupyterhub_config.py is the same on all. hub/hub.yml is an
example with every field.
"""

import pwd
import sys
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlparse

from certificate import check
from jupyterhub.utils import subdomain_hook_idna

from classroom.checked_yaml import load, message, record
from classroom.errors import ClassroomError, near_miss

# \Z, since $ takes a line's end behind the last letter, too.
_NAME = r"^[a-z0-9][a-z0-9-]*\Z"
_ACCOUNT = {"type": "string", "pattern": r"^[a-z0-9_][a-z0-9_.-]{0,31}\Z", "description": "the name of an account"}
_ACCOUNTS = {"type": "array", "items": _ACCOUNT, "description": "a list of accounts"}
_PATH = {"type": "string", "pattern": "^/", "description": "a path that begins with /"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535, "description": "a port, 1 to 65535"}
_WHOLE = {"type": "integer", "minimum": 1, "description": "a whole number, 1 or more"}
_ABOVE = {"type": "number", "exclusiveMinimum": 0, "description": "a number above 0"}
_FIELDS = "https://oauthenticator.readthedocs.io"
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
            "pattern": r"^https?://[^\s/?#@\\]+/?\Z",
            "description": "an address such as https://hub.example.org, with nothing behind the host and its port",
        },
        "listen": {"type": "string", "description": "where the proxy listens, such as 127.0.0.1 or 0.0.0.0"},
        "port": _PORT,
        "host_for_each": {"type": "boolean", "description": "true or false"},
        "tls": record({"key": _PATH, "certificate": _PATH}, ["key", "certificate"]),
        "accounts": {"enum": list(KINDS), "description": "system (PAM), oauth, native (people sign up) or demo"},
        "oauth": record(
            {
                "provider": {
                    "type": "string",
                    "pattern": r"^[a-z0-9-]+\Z",
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
    host_for_each: bool = False  # a host name for each server and each formgrader, below the address
    doubts: list[str] = field(default_factory=list)  # with which the hub starts, and people will see something odd

    @property
    def bound(self) -> str:
        """Where the proxy listens, as an address."""
        return _bound(self.tls, self.listen, self.port)

    @property
    def inside(self) -> int:
        """The first of the ports that only this machine sees: the hub's, the proxy's, the exchange's, the courses'."""
        return _inside(self.port)

    def host_of(self, course: str) -> str:
        """Where a course's formgrader is, as JupyterHub names it."""
        if not self.host_for_each:
            return self.address
        at = urlparse(self.address)
        host = subdomain_hook_idna(course, at.hostname, "service")
        return f"{at.scheme}://{host}{f':{at.port}' if at.port else ''}"


def read_settings(path: Path, made: bool = True, tls: bool = False) -> Settings:
    """Read hub.yml.

    Args:
        path: the file.
        made: whether the courses' folders have to be there.
        tls: whether the certificate has to be there, and one that a proxy can use.

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
        if _is_root(said["grader"]):
            at, expected = ("courses", name, "grader"), "an account that is not root's, since formgrader runs as it"
            raise ClassroomError(message(path, lines, at, expected, said["grader"]))
        members = None if students == "everybody" else list(students)
        courses.append(Course(name, folder, said["grader"], list(said["instructors"]), members))
    graders = [course.grader for course in courses]
    if len(set(graders)) < len(graders):
        raise ClassroomError(f"{path.name}: each course needs a grader of its own, found {', '.join(graders)}")
    oauth = values.get("oauth")
    if (oauth is not None) != (values["accounts"] == "oauth"):
        at, expected = ("accounts",), "a field 'oauth' beside accounts: oauth, and only there"
        raise ClassroomError(message(path, lines, at, expected, values["accounts"]))
    if oauth:
        _check_oauth(path, lines, oauth["provider"], oauth["settings"])
    pair, port = values.get("tls"), values.get("port", 8000)
    listen = values.get("listen", "127.0.0.1")
    if values["accounts"] == "demo" and listen not in ("127.0.0.1", "::1", "localhost"):
        expected = "127.0.0.1 with accounts: demo, whose people share a password"
        raise ClassroomError(message(path, lines, ("listen",), expected, listen))
    inside = range(_inside(port), _inside(port) + 3 + len(courses))
    if port in inside:
        expected = f"a port outside of {inside[0]} to {inside[-1]}, which the hub takes for itself beside this one"
        raise ClassroomError(message(path, lines, ("port",), expected, port))
    address = values.get("address", _bound(pair, listen, port)).removesuffix("/")
    _check_address(path, lines, address)
    if values.get("host_for_each") and not urlparse(address).hostname.strip("0123456789.:"):
        at, expected = ("host_for_each",), "an address with a name in it, since a number has no names below it"
        raise ClassroomError(message(path, lines, at, expected, address))
    addresses = [address, address.replace("://", "://anybody.")] if values.get("host_for_each") else [address]
    return Settings(
        accounts=values["accounts"],
        oauth=(oauth["provider"], oauth["settings"]) if oauth else None,
        state=Path(values["state"]),
        courses=courses,
        address=address,
        listen=listen,
        port=port,
        tls=(pair["key"], pair["certificate"]) if pair else None,
        administrators=values.get("administrators", []),
        library=Path(values["library"]) if values.get("library") else None,
        memory_mb=limits.get("memory_mb", 2048),
        cores=limits.get("cores", 1),
        idle_minutes=values.get("idle_minutes", 60),
        host_for_each=values.get("host_for_each", False),
        doubts=_check_tls(path, lines, pair, addresses) if pair and tls else [],
    )


def _bound(tls: object, listen: str, port: int) -> str:
    return f"http{'s' if tls else ''}://{f'[{listen}]' if ':' in listen else listen}:{port}"


def _inside(port: int) -> int:
    return 10_000 + port % 10_000 // 10 * 10


def _is_root(account: str) -> bool:
    try:
        return pwd.getpwnam(account).pw_uid == 0
    except KeyError:
        return False  # hub/install makes it


def _check_address(path: Path, lines: dict, address: str) -> None:
    try:
        at = urlparse(address)
        right = at.hostname and at.port != 0
    except ValueError:  # of a port, or of brackets that are not closed
        right = False
    if not right:
        expected = SCHEMA["properties"]["address"]["description"]
        raise ClassroomError(message(path, lines, ("address",), expected, address))


def _check_tls(path: Path, lines: dict, pair: dict, addresses: list[str]) -> list[str]:
    where = f"{path.name}, line {lines['tls',]}: "
    try:
        return [where + doubt for doubt in check(pair["key"], pair["certificate"], addresses)]
    except ClassroomError as error:
        raise ClassroomError(where + str(error)) from None


def _check_oauth(path: Path, lines: dict, provider: str, settings: dict) -> None:
    """Names that oauthenticator does not know; whether they are of use, its provider says at the first log-in."""
    known = {
        entry.name: entry
        for entry in entry_points(group="jupyterhub.authenticators")
        if entry.module.startswith("oauthenticator.") and not entry.name.startswith("local-")
    }
    if provider not in known:
        at, expected = ("oauth", "provider"), f"one of {', '.join(sorted(known))}"
        raise ClassroomError(message(path, lines, at, expected, provider))
    fields = known[provider].load().class_traits(config=True)
    for name in settings:
        if name not in fields:
            near, line = near_miss(name, fields), lines["oauth", "settings", name]
            like = near if "did you mean" in near else f"; see {_FIELDS}"  # not all of them, which are many
            raise ClassroomError(f"{path.name}, line {line}: unknown field oauth.settings.{name}{like}")


if __name__ == "__main__":  # python hub/settings.py FILE: is it right? What hub/install has to make.
    try:
        said = read_settings(Path(sys.argv[1]), made=False, tls=True)
    except ClassroomError as error:
        sys.exit(str(error))
    for doubt in said.doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    print("hub", said.port, said.accounts, said.address, said.state, sep="\t")
    for one in said.courses:
        print("course", one.id, one.folder, one.grader, sep="\t")
