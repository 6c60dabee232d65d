"""Hubs that run: the demo's, and one from a hub.yml, such as a machine with accounts of the system has."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import requests
import yaml

from .person import LONGEST, Person, free_port, inside

ROOT = Path(__file__).resolve().parents[2]
COURSE = "deep-learning-in-practice"
PREFIX = f"dlip-test-{os.getpid() % 0xFFFF:04x}-"  # of the accounts that this process makes; short, as are homes
SYSTEMD = Path("/run/systemd/system").is_dir()
# Accounts of the system run this clone's programs, so all folders above it have to let them through.
REACHED = all(place.stat().st_mode & stat.S_IXOTH for place in (ROOT, *ROOT.parents))
MAY_MAKE_ACCOUNTS = os.geteuid() == 0 and os.environ.get("CI") == "true" and REACHED
WHY_NOT = "makes accounts, which run this clone: root with CI=true, in a clone that other accounts can reach"


class Hub:
    """A hub that runs, with its folder, its hub.yml and its people."""

    def __init__(self, folder: Path, port: int, line: list[str], state: Path, **environment: str) -> None:
        self.folder, self.url, self.state = folder, f"http://127.0.0.1:{port}", state
        self.inside = inside(self.url)
        self.line, self.environment, self.password = line, environment, ""
        self.prefix = ""  # of the accounts' names
        self.people: dict[str, Person] = {}

    def account(self, name: str) -> str:
        """The account of somebody: of the system's each has a prefix, which no account of the machine has."""
        return self.prefix + name

    @property
    def of_the_system(self) -> bool:
        """Whether people have accounts of the system; then their servers live on while there is no hub."""
        return bool(self.prefix)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        bin = Path(sys.executable).parent
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "NGSHARE", "PYTHON"))}
        variables = kept | {"PATH": f"{bin}:{kept['PATH']}"} | self.environment
        with open(self.folder / "started.log", "ab") as log:
            self.process = subprocess.Popen(self.line, cwd=self.folder, env=variables, stdout=log, stderr=log)
        until = time.monotonic() + LONGEST
        while not self._answers():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.3)

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            if not requests.get(f"{self.url}/hub/login", timeout=5).ok:
                return False
            return requests.get(f"http://127.0.0.1:{self.inside + 2}/services/ngshare/healthz", timeout=5).ok
        return False

    def said(self) -> str:
        """The end of its log."""
        logs = [self.folder / name for name in ("started.log", "hub.log")]
        return "\n".join(log.read_text(errors="replace")[-4000:] for log in logs if log.exists())

    def leave(self) -> None:
        """End it as somebody does who starts it again: what lives on is left."""
        self.process.terminate()
        assert self.process.wait(LONGEST) == 0, self.said()

    def stop(self) -> None:
        """Stop it, and what it started."""
        left = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            for process in left:  # a hub that finds people's servers again leaves them running
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, 20)
            self._stop_proxy()

    def _stop_proxy(self) -> None:
        """The proxy, which a hub that finds it again leaves running too."""
        file = self.state / "proxy.pid"
        if file.exists():
            with contextlib.suppress(psutil.NoSuchProcess):
                proxy = psutil.Process(int(file.read_text()))
                if "configurable-http-proxy" in " ".join(proxy.cmdline()):
                    proxy.kill()

    def log_in(self, name: str) -> Person:
        """Somebody at the hub, logged in."""
        if name not in self.people:
            self.people[name] = Person(self.url, name, self.password)
            assert self.people[name].token, self.people[name].answer.text
        return self.people[name]

    def server_of(self, name: str) -> psutil.Process:
        """The process of somebody's server, outside of a jail."""
        if SYSTEMD:  # which starts it as a unit, unless the hub is the demo's: it is not the hub's child
            line = ["systemctl", "show", "--value", "--property=MainPID", f"jupyter-{name}-singleuser.service"]
            if number := int(subprocess.run(line, capture_output=True, text=True, check=True).stdout):
                return psutil.Process(number)
        hub = int((self.state / "jupyterhub.pid").read_text())
        for process in psutil.Process(hub).children():
            if process.environ().get("JUPYTERHUB_SERVICE_PREFIX") == f"/user/{name}/":
                return process
        raise LookupError(f"{name} has no server")


@contextlib.contextmanager
def demo_hub(**changed: str) -> Iterator[Hub]:
    """`make hub`, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        port, place = free_port(), Path(folder)
        line = [sys.executable, str(ROOT / "hub" / "demo.py"), "--port", str(port), "--state", folder]
        hub = Hub(place, port, line, place / "state", **changed)
        try:
            hub.start()
            hub.password = (place / "password").read_text()
            hub.homes, hub.course = place / "state" / "homes", place / "course"
            hub.settings = place / "hub.yml"
            yield hub
        finally:
            hub.stop()


def copy_course(folder: Path) -> None:
    """A course's folder, closed to others, as hub/install makes it."""
    folder.mkdir(mode=0o700)
    for name in ("nbgrader_config.py", "course.yml", "solutions", "assignments"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)


@contextlib.contextmanager
def accounts(homes: Path, *names: str) -> Iterator[str]:
    """Accounts of the system, gone afterwards with what still runs in their names; their password."""
    password = secrets.token_urlsafe(12)
    try:
        for name in names:
            remove(name)
            line = [
                "useradd",
                "--create-home",
                "--home-dir",
                str(homes / name),
                "--shell",
                "/bin/bash",
                "--no-log-init",
            ]
            subprocess.run([*line, "--key", "HOME_MODE=0700", name], check=True, capture_output=True)
            subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True)
        yield password
    finally:
        for name in names:
            remove(name)


def remove(name: str) -> None:
    """Remove an account that a test made, with its processes."""
    assert name.startswith(PREFIX), name
    shutil.rmtree(f"/run/course-hub/{name}", ignore_errors=True)  # its sockets
    try:
        number = pwd.getpwnam(name).pw_uid
    except KeyError:
        return
    for process in psutil.process_iter(["uids"]):
        if process.info["uids"] and process.info["uids"].real == number:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
    subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


@contextlib.contextmanager
def system_hub(
    students: tuple[str, ...] = ("ada", "ben"), make: Callable[[Path], None] = copy_course, **settings: object
) -> Iterator[Hub]:
    """A hub whose people have accounts of the system; needs root. `make` makes the course's folder."""
    # Under systemd a server has a /tmp of its own, in which there would be no homes.
    with tempfile.TemporaryDirectory(prefix="hub-", dir="/srv" if SYSTEMD else None) as folder:
        place, port = Path(folder), free_port()
        place.chmod(0o755)
        (place / "h").mkdir(mode=0o755)  # a kernel's socket has to have a short path
        line = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "hub" / "jupyterhub_config.py")]
        hub = Hub(place, port, line, place / "state", HUB_SETTINGS=str(place / "hub.yml"))
        hub.prefix, hub.homes, hub.course, hub.settings = PREFIX, place / "h", place / "course", place / "hub.yml"
        ines, grader, *named = map(hub.account, ("ines", "grade", *students))
        with accounts(hub.homes, ines, grader, *named) as hub.password:
            make(hub.course)
            subprocess.run(["chown", "-R", f"{grader}:", str(hub.course)], check=True)
            values = {
                "accounts": "system",
                "port": port,
                "state": str(place / "state"),
                "library": str(ROOT / "lib"),
                "courses": {
                    COURSE: {
                        "folder": str(hub.course),
                        "grader": grader,
                        "instructors": [ines],
                        "students": named,
                    }
                },
            }
            hub.settings.touch(mode=0o600)
            hub.settings.write_text(yaml.safe_dump(values | settings))
            try:
                hub.start()
                yield hub
            finally:
                hub.stop()
