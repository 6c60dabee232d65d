"""What jupyterhub_config.py says of the exchange that needs no shared disk; see book/teach/hub-exchange.md.

sys.path.insert(0, "/opt/course/hub")
from exchange_config import add_exchange
add_exchange(c, state="/srv/ngshare", courses=["deep-learning-in-practice"])
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

SCOPE = "access:services!service=ngshare"
# JupyterHub's own, which naming any replaces.
_SERVER_SCOPES = ("users:activity!user", "access:servers!server")


def add_exchange(
    c: object,
    *,
    state: str,
    courses: Iterable[str],
    address: str = "http://127.0.0.1:10101",
    url: str | None = None,
    python: str = sys.executable,
    graders: Mapping[str, str] | None = None,
    listen: str | None = None,
) -> None:
    """Add the service, who may use it, and what people's servers need to find it. Call it last.

    Args:
        c: the configuration that is being made.
        state: the folder of its database and files, which only the hub's user needs to reach.
        courses: members are the groups formgrade-COURSE (instructors) and nbgrader-COURSE (students).
        address: where the service listens.
        url: where people's servers find it, if not there.
        python: of the environment with ngshare.
        graders: services of the hub that grade, by their course.
        listen: the address that it listens on, where that is not the one of `address`: on a cluster 0.0.0.0.
    """
    graders = dict(graders or {})
    groups = [f"{kind}-{course}" for course in courses for kind in ("formgrade", "nbgrader")]
    command = [python, str(Path(__file__).resolve().with_name("ngshare_service.py")), "--state", str(state)]
    command += [f"--grader={course}={service}" for course, service in graders.items()]
    command += [f"--listen={listen}"] if listen else []
    c.JupyterHub.services.append(
        {"name": "ngshare", "url": address, "command": command, "display": False, "oauth_no_confirm": True}
    )
    role = {"name": "exchange", "scopes": [SCOPE], "groups": groups, "services": sorted(set(graders.values()))}
    c.JupyterHub.load_roles.append({key: value for key, value in role.items() if value})
    c.Spawner.environment.update({"NGSHARE_URL": url or f"{address}/services/ngshare/"})
    asked = c.Spawner.get("server_token_scopes") or list(_SERVER_SCOPES)
    c.Spawner.server_token_scopes = (lambda spawner: [*asked(spawner), SCOPE]) if callable(asked) else [*asked, SCOPE]
