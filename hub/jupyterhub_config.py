"""JupyterHub for the course on one machine. What differs between machines stands in hub.yml, not here.

    HUB_SETTINGS=/etc/deep-learning-in-practice/hub.yml jupyterhub -f hub/jupyterhub_config.py

Each course has an account of its own, its grader, that owns the course's folder; formgrader runs under it as a service
of the hub, which the course's instructors may open. Students and instructors have servers of their own. Files travel
between them over HTTP, so that no folder is shared.
"""

import os
import secrets
import sys
from pathlib import Path

import classroom.hub
from classroom.errors import ClassroomError
from classroom.hub.facts import VARIABLE, gather, packed

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from exchange_config import add_exchange  # noqa: E402
from limited import sockets_folder  # noqa: E402
from settings import read_settings  # noqa: E402

c = get_config()  # noqa: F821  (JupyterHub defines it where this file runs)
try:
    settings = read_settings(Path(os.environ.get("HUB_SETTINGS", "/etc/deep-learning-in-practice/hub.yml")))
except ClassroomError as error:
    sys.exit(str(error))
BIN = Path(sys.executable).parent
SYSTEMD = Path("/run/systemd/system").is_dir()

# ---------------------------------------------------------------- addresses and secrets
c.JupyterHub.bind_url = f"http{'s' if settings.tls else ''}://{settings.listen}:{settings.port}"
if settings.tls:
    c.JupyterHub.ssl_key, c.JupyterHub.ssl_cert = settings.tls
inside = 10_000 + settings.port % 10_000 // 10 * 10  # ports that only this machine sees
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = inside
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{inside + 1}"
c.ConfigurableHTTPProxy.command = [str(BIN / "configurable-http-proxy")]
c.ConfigurableHTTPProxy.pid_file = str(settings.state / "proxy.pid")

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
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = settings.accounts == "demo"

# ---------------------------------------------------------------- people
c.Authenticator.username_pattern = r"^[a-z0-9_][a-z0-9_.-]{0,31}$"
c.Authenticator.admin_users = set(settings.administrators)
graders = {course.grader for course in settings.courses}
instructors = {name for course in settings.courses for name in course.instructors}
if all(course.students is not None for course in settings.courses):
    named = {name for course in settings.courses for name in course.students or []}
    c.Authenticator.allowed_users = named | instructors | set(settings.administrators)
else:
    c.Authenticator.allow_all = True
c.Authenticator.blocked_users = graders  # nobody logs in as a grader: it grades, and its formgrader is a service


def groups(authenticator, handler, model: dict) -> dict:
    """The courses that somebody who logs in belongs to."""
    name, found = model["name"], []
    for course in settings.courses:
        if name in course.instructors:
            found.append(f"formgrade-{course.id}")
        elif course.students is None or name in course.students:
            found.append(f"nbgrader-{course.id}")
    return model | {"groups": found}


c.Authenticator.manage_groups = True
c.Authenticator.post_auth_hook = groups
if settings.accounts == "system":
    c.JupyterHub.authenticator_class = "pam"
elif settings.accounts == "native":
    try:
        import native
    except ModuleNotFoundError as error:
        sys.exit(f"accounts: native: {error}; type: {BIN / 'pip'} install jupyterhub-nativeauthenticator")
    native.set_up(c)
elif settings.oauth:
    try:
        import oauthenticator  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f"accounts: oauth: {error}; type: {BIN / 'pip'} install oauthenticator")
    c.JupyterHub.authenticator_class, chosen = settings.oauth
    c.OAuthenticator.oauth_callback_url = f"{settings.address}/hub/oauth_callback"
    c.Authenticator.allow_all = False  # everybody would be all of the provider's: its settings say who is let in
    for name, value in chosen.items():
        c.OAuthenticator[name] = value
else:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = os.environ["HUB_DEMO_PASSWORD"]

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
        teaches = f"{settings.address}/services/{course.id}/formgrader" if name in course.instructors else ""
        if teaches or course.students is None or name in course.students:
            known.append(gather(course.id, course.folder, student=name, formgrader=teaches))
    return packed(known)


c.Spawner.environment = shared | {
    "JUPYTER_CONFIG_PATH": lambda spawner: str(SERVERS / role(spawner)),
    VARIABLE: told,
}
c.Spawner.default_url = "/lab/tree/Welcome.md"  # classroom.hub.welcome writes it
c.Spawner.args = ["--ServerApp.allow_root=True"] if os.geteuid() == 0 and settings.accounts != "system" else []
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60
if settings.accounts != "system":
    from jail import JailSpawner

    c.JupyterHub.spawner_class = JailSpawner
    c.JailSpawner.memory_mb = settings.memory_mb
    c.JailSpawner.homes = str(settings.state / "homes")
    c.JailSpawner.shown = str(SERVERS)
    c.JailSpawner.library = str(settings.library or "")
    (settings.state / "homes").mkdir(exist_ok=True)
elif SYSTEMD:
    c.JupyterHub.spawner_class = "systemd"
    c.SystemdSpawner.unit_extra_properties = {"TasksMax": "512", "ProtectProc": "invisible"}
    c.SystemdSpawner.mem_limit = settings.memory_mb * 1024 * 1024
    c.SystemdSpawner.cpu_limit = settings.cores
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.disable_user_sudo = True
else:
    from limited import LimitedSpawner

    c.JupyterHub.spawner_class = LimitedSpawner
    c.LimitedSpawner.memory_mb = settings.memory_mb
if settings.accounts == "system":
    c.Spawner.environment["JUPYTER_RUNTIME_DIR"] = lambda spawner: sockets_folder(spawner.user.name)
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
for number, course in enumerate(settings.courses):
    service = {
        "name": course.id,
        "url": f"http://127.0.0.1:{inside + 3 + number}",
        "command": [
            str(BIN / "jupyterhub-singleuser"),
            f"--ServerApp.root_dir={course.folder}",
            "--ServerApp.default_url=/formgrader",
            *(["--ServerApp.allow_root=True"] if os.geteuid() == 0 and settings.accounts != "system" else []),
        ],
        "cwd": str(course.folder),
        "environment": shared
        | {
            "JUPYTER_CONFIG_PATH": str(SERVERS / "grader"),
            "JUPYTERHUB_USER": course.grader,
            "NGSHARE_URL": c.Spawner.environment["NGSHARE_URL"],
        },
        "oauth_no_confirm": True,
    }
    if settings.accounts == "system":
        service["user"] = course.grader
    c.JupyterHub.services.append(service)
    may = [f"access:services!service={course.id}", f"read:services!service={course.id}", "list:services"]
    c.JupyterHub.load_roles.append(
        {"name": f"formgrade-{course.id}", "scopes": may, "groups": [f"formgrade-{course.id}"]}
    )
cull = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={round(60 * settings.idle_minutes)}"]
c.JupyterHub.services.append({"name": "idle-culler", "command": cull})
scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
c.JupyterHub.load_roles.append({"name": "idle-culler", "scopes": scopes, "services": ["idle-culler"]})
