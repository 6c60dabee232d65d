"""A hub of root's as it is found on machines: in a clone that only root may read; with a home on a disk that is full.

What people reach from their views is in test_permissions.py.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .hub_yml import place_for_a_hub, running, write
from .person import free_port
from .running import MAY_MAKE_ACCOUNTS, PREFIX, ROOT, WHY_NOT, Hub, system_hub

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: who else starts it has one number for all")
MAY_MOUNT = os.geteuid() == 0 and os.environ.get("CI") == "true"


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own at a folder, in memory."""
    place.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, bytes(4096))
    finally:
        os.close(descriptor)
    assert shutil.disk_usage(file).free == 0


@pytest.mark.skipif(not MAY_MOUNT, reason="mounts a small file system: root with CI=true")
def test_a_server_starts_in_a_home_that_is_full_and_loses_nothing():
    with place_for_a_hub() as hub, small_disk(hub.homes / "ada", 40) as home:
        (home / "work.txt").write_text("as it was saved")
        fill(home / "large.bin")
        write(hub)
        with running(hub):
            ada = hub.log_in("ada")
            ada.start()
            assert "JupyterLab" in ada.server("GET", "lab/tree/Welcome.md").text
            model = {"type": "file", "format": "text", "content": "something longer " * 500}
            answer = ada.server("PUT", "api/contents/work.txt", json=model)
            assert (answer.status_code, "work.txt was not saved: the disk is full" in answer.text) == (507, True)
            answer = ada.server("POST", "api/contents", json={"type": "notebook"})
            assert (answer.status_code, "was not saved: the disk is full" in answer.text) == (507, True)
            assert ada.server("GET", "api/contents/work.txt").json()["content"] == "as it was saved"
            welcome = ada.server("GET", "api/contents/Welcome.md").json()["content"]
            assert "**Nothing more can be saved: the disk is full.**" in welcome
            assert not (home / "Welcome.md").exists()
            kernel, said = ada.execute("", "print(6 * 7)")  # a notebook can be worked in, and tidied up from
            assert said.strip() == "42"
            ada.execute(kernel, "import os; os.remove('large.bin')")
            ada.put("work.txt", "as it is now")
            ada.stop()
            ada.start()
            welcome = ada.server("GET", "api/contents/Welcome.md").json()["content"]
            assert "# Welcome" in welcome  # for which there was no space before


@pytest.mark.skipif(not MAY_MAKE_ACCOUNTS, reason=WHY_NOT)
def test_so_does_the_server_of_an_account_of_the_system():
    with system_hub() as hub:
        name = f"{PREFIX}ada"
        with small_disk(hub.homes / name, 20) as home:
            fill(home / "large.bin")
            for path in (home, home / "large.bin"):
                shutil.chown(path, name, name)
            ada = hub.log_in(name)
            ada.start()
            kernel, said = ada.execute("", "print(6 * 7)")
            assert said.strip() == "42"
            ada.execute(kernel, "import os; os.remove('large.bin')")
            ada.put("work.txt", "there is space now")
            ada.stop()


@root_only
def test_a_clone_that_only_root_may_read_has_a_hub_too():
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        clone, state, port = Path(folder) / "clone", Path(folder) / "state", free_port()
        for name in ("hub", "lib", "solutions", "assignments"):
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for name in ("nbgrader_config.py", "course.yml"):
            shutil.copy(ROOT / name, clone)
        for path in (clone, *clone.rglob("*")):  # as git makes it under umask 077
            path.chmod(path.stat().st_mode & 0o700)
        line = [sys.executable, str(clone / "hub" / "demo.py"), "--port", str(port), "--state", str(state)]
        hub = Hub(Path(folder), port, line, state / "state")
        try:
            hub.start()
            hub.password = (state / "password").read_text()
            ada = hub.log_in("ada")
            ada.start()
            said = ada.run("python -c 'import classroom; print(classroom.__file__)'")
            assert f"{clone}/lib/classroom/__init__.py" in said
            assert "Welcome" in ada.server("GET", "api/contents/Welcome.md").json()["content"]
        finally:
            hub.stop()
