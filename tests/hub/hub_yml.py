"""A hub from a hub.yml that a test writes, with accounts that are not the system's."""

import contextlib
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import yaml

from .person import free_port
from .running import COURSE, PREFIX, ROOT, Hub, accounts, copy_course

HUB = ROOT / "hub"
PASSWORD = "a-password-of-tests"


def module(name: str) -> ModuleType:
    """One of hub/, which lie beside the hub's configuration and in no package."""
    if str(HUB) not in sys.path:
        sys.path.append(str(HUB))  # where they find each other
    return importlib.import_module(name)


def course(folder: Path, **changed: object) -> dict:
    """A course as hub.yml names it, in a folder that is made: taught by ines, for ada and ben."""
    copy_course(folder)
    said = {"folder": str(folder), "grader": "grader", "instructors": ["ines"], "students": ["ada", "ben"]}
    return {key: value for key, value in (said | changed).items() if value is not None}


def rename(folder: Path, name: str, title: str) -> None:
    """Make a course of another name of a copy of this one."""
    text = (folder / "course.yml").read_text(encoding="utf-8")
    text = re.sub(r"^id: \S+", f"id: {name}", text, flags=re.MULTILINE)
    (folder / "course.yml").write_text(re.sub(r"^title: .*", f"title: {title}", text, flags=re.MULTILINE))


@contextlib.contextmanager
def graded(hub: Hub) -> Iterator[dict]:
    """The same for a hub of people without accounts: where it is root's, the grader has one, made and removed here.

    Otherwise formgrader would run as root, which it does not.
    """
    if os.geteuid() != 0:
        yield course(hub.course)
        return
    name, homes = f"{PREFIX}only", hub.folder / "graders"
    homes.mkdir(mode=0o755)
    hub.folder.chmod(0o711)
    with accounts(homes, name):
        said = course(hub.course, grader=name)
        subprocess.run(["chown", "-R", f"{name}:", str(hub.course)], check=True)
        yield said


@contextlib.contextmanager
def place_for_a_hub() -> Iterator[Hub]:
    """A folder and a port for a hub; `written` says what it is, and it starts when the test says so."""
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        place, port = Path(folder), free_port()
        line = [sys.executable, "-m", "jupyterhub", "-f", str(HUB / "jupyterhub_config.py")]
        said = {"HUB_SETTINGS": str(place / "hub.yml"), "HUB_DEMO_PASSWORD": PASSWORD}
        hub = Hub(place, port, line, place / "state", **said)
        hub.port, hub.password, hub.homes = port, PASSWORD, place / "state" / "homes"
        hub.course, hub.settings = place / "course", place / "hub.yml"
        yield hub


def write(hub: Hub, courses: dict | None = None, **values: object) -> None:
    """Write hub.yml."""
    said = {"accounts": "demo", "port": hub.port, "state": str(hub.state), "library": str(ROOT / "lib")}
    said["courses"] = courses or {COURSE: course(hub.course)}
    hub.settings.write_text(yaml.safe_dump(said | values, sort_keys=False), encoding="utf-8")


@contextlib.contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """The hub, as long as it runs."""
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
