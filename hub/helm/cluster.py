"""What the hub of a cluster is told of the course: members, the exchange, and people's servers.

It lies in the hub's image (Dockerfile beside this file), and values.yaml calls it in hub.extraConfig:

    from cluster import add_courses
    add_courses(c, get_config("custom.courses"))

The configuration of one machine is hub/jupyterhub_config.py; the groups have the same names there.
"""

import sys
from pathlib import Path

from classroom.hub.facts import VARIABLE, gather, packed

sys.path.insert(0, str(Path(__file__).resolve().parent))
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

    def groups(authenticator, handler, model: dict) -> dict:
        """The courses that somebody who logs in belongs to."""
        found = []
        for course, (instructors, students) in known.items():
            if model["name"] in instructors:
                found.append(f"formgrade-{course}")
            elif students is None or model["name"] in students:
                found.append(f"nbgrader-{course}")
        return model | {"groups": found}

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

    if any(students is None for _, students in known.values()):
        c.Authenticator.allow_all = True
    else:
        c.Authenticator.allowed_users = teachers.union(*(students for _, students in known.values()))
    c.Authenticator.manage_groups = True
    c.Authenticator.post_auth_hook = groups
    # The chart sets its spawner's own environment (singleuser.extraEnv), which hides that of c.Spawner.
    environment = c.KubeSpawner.setdefault("environment", {})
    environment |= {"JUPYTER_CONFIG_PATH": settings, VARIABLE: told}
    c.Spawner.environment = environment
    add_exchange(c, state=state, courses=known, address=address, listen="0.0.0.0")
