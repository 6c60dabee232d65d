"""What the hub of a cluster is told of the course: members, the exchange, and people's servers.

It lies in the hub's image (Dockerfile beside this file), and values.yaml calls it in hub.extraConfig:

    from cluster import add_courses
    add_courses(c, get_config("custom.courses"))

The configuration of one machine is hub/jupyterhub_config.py. Who is let in, and to which courses, is decided by
hub/accounts.py there and here.
"""

import sys
from pathlib import Path

from jupyterhub.app import JupyterHub

from classroom.hub.facts import VARIABLE, gather, packed

sys.path.insert(0, str(Path(__file__).resolve().parent))
from accounts import belongs_to, by_lists
from exchange_config import add_exchange

FILES = Path("/opt/course/courses")  # COURSE/course.yml, by hub.extraFiles
SERVERS = "/opt/course/servers"  # in the users' image: hub/servers
ENVIRONMENT = "/opt/course/env"  # in the users' image: the course's environment


def members(courses: object) -> dict[str, tuple[set[str], set[str] | None]]:
    """Instructors and students (None: everybody) of each course, as values.yaml names them."""
    found = {}
    if not isinstance(courses, dict) or not courses:
        raise ValueError(f"values.yaml, custom.courses: expected courses by their ids, found {courses!r}")
    for course, said in courses.items():
        at = f"values.yaml, custom.courses.{course}"
        if not isinstance(said, dict) or set(said) != {"instructors", "students"}:
            raise ValueError(f"{at}: expected the fields instructors and students, found {said!r}")
        for field, value in said.items():
            names = isinstance(value, list) and all(isinstance(name, str) for name in value)
            if not (names or (field == "students" and value == "everybody")):
                other = " or everybody" if field == "students" else ""
                raise ValueError(f"{at}.{field}: expected a list of accounts{other}, found {value!r}")
        students = said["students"]
        found[course] = set(said["instructors"]), None if students == "everybody" else set(students)
    return found


def add_courses(
    c: object,
    courses: object,
    *,
    address: str = "http://hub:10101",
    state: str = "/srv/jupyterhub/exchange",
    files: Path = FILES,
) -> None:
    """Add the courses to the configuration that is being made.

    Args:
        c: the configuration.
        courses: by their ids; each with instructors and students, lists of accounts (or students: everybody).
        address: where proxy and users' pods reach the exchange, in the hub's pod.
        state: the folder of its files, on the hub's volume.
        files: where each course's course.yml lies, in a folder called like the course.
    """
    known = members(courses)
    teachers = set().union(*(instructors for instructors, _ in known.values()))

    def settings(spawner) -> str:
        """Which of hub/servers somebody's server is set up by."""
        return f"{SERVERS}/{'instructor' if spawner.user.name in teachers else 'student'}"

    def told(spawner) -> str:
        """Due dates, for the page that people's servers open on."""
        name = spawner.user.name
        theirs = [
            gather(course, files / course, student=name)
            for course, (instructors, students) in known.items()
            if name in instructors or students is None or name in students
        ]
        return packed(theirs)

    # What else values.yaml says of who is let in, such as a provider's own groups.
    more = [field for kind in c if kind.endswith("Authenticator") for field in c[kind] if field.startswith("allow")]
    everybody = any(students is None for _, students in known.values())
    if everybody:
        c.Authenticator.allow_all = True
    else:
        c.Authenticator.allowed_users = teachers.union(*(students for _, students in known.values()))
    c.Authenticator.setdefault("allow_existing_users", False)  # to have been let in once is no reason
    c.Authenticator.manage_groups = True
    kind = JupyterHub.authenticator_class.validate(None, c.JupyterHub.get("authenticator_class", "dummy"))
    if hasattr(kind, "auth_refresh_strict"):  # of JupyterHub 6; before, it always was
        c.Authenticator.auth_refresh_strict = True  # a server's token is worth as much as its owner
    only_lists = not everybody and not more
    c.JupyterHub.authenticator_class = by_lists(kind, belongs_to(known), only_lists)
    # The chart sets its spawner's own environment (singleuser.extraEnv), which hides that of c.Spawner.
    environment = c.KubeSpawner.setdefault("environment", {})
    environment |= {"JUPYTER_CONFIG_PATH": settings, VARIABLE: told}
    c.Spawner.environment = environment
    add_exchange(c, state=state, courses=known, address=address, listen="0.0.0.0")
