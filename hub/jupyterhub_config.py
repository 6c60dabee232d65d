"""JupyterHub for the course on one machine. What differs between machines stands in hub.yml, not here.

    HUB_SETTINGS=/etc/deep-learning-in-practice/hub.yml jupyterhub -f hub/jupyterhub_config.py

Each course has an account of its own, its grader, that owns the course's folder; formgrader runs under it as a service
of the hub, which the course's instructors may open. Students and instructors have servers of their own. Files travel
between them over HTTP, so that no folder is shared.
"""

import os
import pwd
import secrets
import sys
from pathlib import Path

import classroom.hub
from classroom.errors import ClassroomError
from classroom.hub.facts import VARIABLE, gather, packed

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from accounts import set_up as set_up_accounts  # noqa: E402
from ending import set_up as set_up_ending  # noqa: E402
from exchange_config import add_exchange  # noqa: E402
from formgrading import AS_ROOT  # noqa: E402
from limited import sockets_folder  # noqa: E402
from proxying import set_up as set_up_proxy  # noqa: E402
from proxying import with_hub  # noqa: E402
from settings import read_settings  # noqa: E402

c = get_config()  # noqa: F821  (JupyterHub defines it where this file runs)
try:
    where = Path(os.environ.get("HUB_SETTINGS", "/etc/deep-learning-in-practice/hub.yml"))
    settings = read_settings(where, made=False, tls=True)
except ClassroomError as error:
    sys.exit(str(error))
for doubt in settings.doubts:
    print(f"warning: {doubt}", file=sys.stderr)
BIN = Path(sys.executable).parent
SYSTEMD = Path("/run/systemd/system").is_dir()

# ---------------------------------------------------------------- addresses and secrets
c.JupyterHub.bind_url = settings.bound
if settings.host_for_each:
    c.JupyterHub.subdomain_host = settings.address
if settings.tls:
    c.JupyterHub.ssl_key, c.JupyterHub.ssl_cert = settings.tls
inside = settings.inside
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = inside
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{inside + 1}"

os.umask(0o077)
settings.state.mkdir(parents=True, exist_ok=True)
c.JupyterHub.db_url = f"sqlite:///{settings.state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(settings.state / "cookie-secret")
c.JupyterHub.pid_file = str(settings.state / "jupyterhub.pid")
token = settings.state / "proxy-token"  # kept, so that a hub that starts again finds the proxy that still runs
if not token.exists():
    token.write_text(secrets.token_hex(32))
c.ConfigurableHTTPProxy.auth_token = token.read_text()
# A hub that is started again finds people's servers as they were: a restart or an upgrade interrupts nobody.
whole = settings.accounts == "demo"  # which ends as a whole
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = whole
proxy = BIN / "configurable-http-proxy"
set_up_proxy(c, program=proxy, pid_file=settings.state / "proxy.pid", ends_with_hub=whole)

# ---------------------------------------------------------------- people
instructors = {name for course in settings.courses for name in course.instructors}
if settings.accounts == "demo":
    c.SharedPasswordAuthenticator.user_password = os.environ["HUB_DEMO_PASSWORD"]
set_up_accounts(c, settings)

# ---------------------------------------------------------------- servers
shared = {
    "JUPYTER_PLATFORM_DIRS": "1",
    "OMP_NUM_THREADS": str(max(1, int(settings.cores))),  # of torch, which otherwise takes every core of the machine
    "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
}
if settings.library:
    shared["PYTHONPATH"] = str(settings.library)
SERVERS = HERE / "servers"
shared["JUPYTER_PATH"] = str(Path(classroom.hub.__file__).parent / "lab")  # what the course adds to JupyterLab


def role(spawner) -> str:
    """Which of hub/servers a person's server is set up by."""
    return "instructor" if spawner.user.name in instructors else "student"


def told(spawner) -> str:
    """What somebody's server may know of their courses: due dates, and where formgrader is."""
    name, known = spawner.user.name, []
    for course in settings.courses:
        teaches = f"{settings.host_of(course.id)}/services/{course.id}/formgrader" if name in course.instructors else ""
        if teaches or course.students is None or name in course.students:
            known.append(gather(course.id, course.folder, student=name, formgrader=teaches))
    return packed(known)


c.Spawner.environment = shared | {
    "JUPYTER_CONFIG_PATH": lambda spawner: str(SERVERS / role(spawner)),
    VARIABLE: told,
}
c.Spawner.default_url = "/lab/tree/Welcome.md"  # classroom.hub.welcome writes it
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60
# A server that has ended has freed its port, which nobody else should answer at for long. With systemd each look is a
# program of its own.
c.Spawner.poll_interval = 30 if settings.accounts == "system" and SYSTEMD else 5
if settings.accounts != "system":
    import jail

    try:
        jail.set_up(c, settings.state, settings.library, SERVERS)
    except ClassroomError as error:
        sys.exit(f"accounts: {settings.accounts}: {error}")
    c.JailSpawner.memory_mb = settings.memory_mb
elif SYSTEMD:
    from units import UnitSpawner

    c.JupyterHub.spawner_class = UnitSpawner
    c.SystemdSpawner.unit_extra_properties = {
        "TasksMax": "512",
        "ProtectProc": "invisible",
        "InaccessiblePaths": "-/run/dbus",  # over which systemd tells anybody what runs in other people's units
        "MemorySwapMax": "0",  # what goes beyond the limit is ended, and doesn't slow everybody down
        "LimitDATA": f"{settings.memory_mb}M",  # one process that asks for more at once gets a MemoryError
    }
    c.SystemdSpawner.mem_limit = settings.memory_mb * 1024 * 1024
    c.SystemdSpawner.cpu_limit = settings.cores
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.disable_user_sudo = True
else:
    from limited import LimitedSpawner

    c.JupyterHub.spawner_class = LimitedSpawner
    c.LimitedSpawner.memory_mb = settings.memory_mb
if settings.accounts == "system":
    # Under systemd a server has a /tmp of its own: there it starts in a home that is full, too.
    runtime = "/tmp/.jupyter" if SYSTEMD else lambda spawner: sockets_folder(spawner.user.name)
    c.Spawner.environment["JUPYTER_RUNTIME_DIR"] = runtime
c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]

# ---------------------------------------------------------------- services: the exchange, formgraders, the idle
c.JupyterHub.services = []
c.JupyterHub.load_roles = []
add_exchange(
    c,
    state=str(settings.state / "exchange"),
    courses=[course.id for course in settings.courses],
    address=f"http://127.0.0.1:{inside + 2}",
    graders={course.id: course.id for course in settings.courses},
)
log = os.environ.get("HUB_LOG", "journalctl -u deep-learning-in-practice-hub")


def runs_as(grader: str) -> str:
    """The account of the system that formgrader runs as; "": the hub's own, and if that is root's, it is refused."""
    if settings.accounts == "demo" or os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(grader).pw_name
    except KeyError:
        print(f"warning: there is no account {grader}; hub/install makes it.", file=sys.stderr)
        print("Without it formgrader would run as root: it does not start.", file=sys.stderr)
        return ""


for number, course in enumerate(settings.courses):
    account = runs_as(course.grader)
    service = {
        "user": account,
        "name": course.id,
        "url": f"http://127.0.0.1:{inside + 3 + number}",
        "command": [
            *(sys.executable, str(HERE / "formgrading.py"), str(course.folder), log),
            str(BIN / "jupyterhub-singleuser"),
            f"--ServerApp.root_dir={course.folder}",
            "--ServerApp.default_url=/formgrader",
            # The demo is for who starts it, on this machine alone.
            *([AS_ROOT] if os.geteuid() == 0 and settings.accounts == "demo" else []),
        ],
        "cwd": "/",  # the grader's own to enter is the course's folder
        "timeout": 150,  # seconds; formgrading.py answers before that
        "environment": shared
        | {
            "JUPYTER_CONFIG_PATH": str(SERVERS / "grader"),
            "JUPYTERHUB_USER": course.grader,
            "NGSHARE_URL": c.Spawner.environment["NGSHARE_URL"],
        },
        "oauth_no_confirm": True,
    }
    c.JupyterHub.services.append(service)
    may = [f"access:services!service={course.id}", f"read:services!service={course.id}", "list:services"]
    c.JupyterHub.load_roles.append(
        {"name": f"formgrade-{course.id}", "scopes": may, "groups": [f"formgrade-{course.id}"]}
    )
cull = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={round(60 * settings.idle_minutes)}"]
c.JupyterHub.services.append({"name": "idle-culler", "command": cull})
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
c.JupyterHub.load_roles.append({"name": "idle-culler", "scopes": scopes, "services": ["idle-culler"]})
set_up_ending()
for service in c.JupyterHub.services:  # one that is left over would hold its port with a token that nobody knows
    service["command"] = with_hub(service["command"])
