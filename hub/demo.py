"""`make hub`: a JupyterHub on this machine to try the course in, for this machine alone.

It makes a class of its own in _build/hub, with one instructor and three students who share a password, and starts the
hub with the configuration that a real one has. Nothing in it is anybody's data; to begin anew, remove _build/hub.
"""

import argparse
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from proxying import forget, with_hub

from classroom.course import read_course
from classroom.errors import ClassroomError

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTOR, STUDENTS = "ines", ["ada", "ben", "carol"]  # and, if asked for, student04 and so on
COURSE_FILES = ["nbgrader_config.py", "course.yml", "solutions", "assignments"]


def prepare(state: Path, port: int, students: list[str]) -> Path:
    """Make the demo's course and settings, where they are not there yet; the settings' file."""
    course = state / "course"
    if not course.exists():
        half = state / "half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for name in COURSE_FILES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, half / name)
        half.rename(course)
    said = read_course(course / "course.yml")
    settings = state / "hub.yml"
    values = {
        "accounts": "demo",
        "port": port,
        "state": str(state / "state"),
        "library": str(ROOT / "lib"),
        "courses": {
            said.id: {"folder": str(course), "grader": "grader", "instructors": [INSTRUCTOR], "students": students}
        },
    }
    settings.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return settings


def main() -> None:
    """Prepare, say where to look, and serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=port_number, default=8000, help="where it listens on 127.0.0.1 (default: 8000)")
    parser.add_argument("--state", type=Path, default=ROOT / "_build" / "hub", help="where it keeps everything")
    parser.add_argument("--students", type=int, default=len(STUDENTS), help=f"how many (default: {len(STUDENTS)})")
    options = parser.parse_args()
    students = [*STUDENTS, *(f"student{number:02}" for number in range(len(STUDENTS) + 1, options.students + 1))]
    students = students[: options.students]
    state = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    held = open(state / "lock", "w")  # noqa: SIM115  (as long as this program runs)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"a hub runs in {state} already, or is ending; stop it first, or choose another folder with --state")
    forget(state / "state" / "proxy.pid")
    if not (state / "state" / "proxy.pid").exists():  # one that a killed hub left behind, JupyterHub ends itself
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", options.port))
            except OSError as error:
                sys.exit(f"port {options.port}: {error.strerror.lower()}; choose another one: make hub PORT=8010")
    try:
        settings = prepare(state, options.port, students)
    except ClassroomError as error:
        sys.exit(str(error))
    kept = state / "password"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    log = state / "hub.log"
    environment = os.environ | {"HUB_SETTINGS": str(settings), "HUB_DEMO_PASSWORD": kept.read_text()}
    environment["HUB_LOG"] = str(log)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"
    line = [sys.executable, "-m", "jupyterhub", "-f", str(Path(__file__).with_name("jupyterhub_config.py"))]
    # A shell that starts this in the background ignores SIGINT; the hub ends services by it and must not inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with open(log, "ab") as file:
        hub = subprocess.Popen(
            with_hub(line), cwd=state, env=environment, stdout=file, stderr=file, start_new_session=True
        )

    def end(*_: object) -> None:
        hub.terminate()  # the hub then ends everybody's servers, and the proxy
        os.write(1, b"\nThe hub ends everybody's servers, which takes some seconds.\n")  # print may not be interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    address = f"http://127.0.0.1:{options.port}"
    print("The hub is starting.", flush=True)
    if wait_for(f"{address}/hub/login", hub):
        print(f"{address}  (stop with Ctrl-C)")
        print(f"accounts  {INSTRUCTOR} (instructor), {', '.join(students)} (students)")
        print(f"password  {kept.read_text()}")
        print(f"log       {log}", flush=True)
    code = hub.wait()
    if code not in (0, -signal.SIGTERM):
        sys.exit(f"the hub ended with code {code}; the end of {log} says why")


def port_number(typed: str) -> int:
    """A port that a server may have."""
    if not typed.isdecimal() or not 1 <= int(typed) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {typed}")
    return int(typed)


def wait_for(address: str, hub: subprocess.Popen) -> bool:
    """Wait until a page of the hub is there; False if the hub ended before."""
    while hub.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
