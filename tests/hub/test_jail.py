"""The view of the machine that a server has on a hub without accounts of the system (hub/jail.py): what it may fill.

What it reaches is in test_permissions.py, by a hub that runs.
"""

import os
import subprocess
from pathlib import Path

import pytest

from .hub_yml import module

MEGABYTES = 64


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """The beginning of a command in such a view."""
    jail, people = module("jail"), module("people")
    home, number = tmp_path / "home", None
    if os.geteuid() == 0:
        number = people.Numbers(tmp_path / "numbers.json").range[0]
        people.give(home, number)
    else:
        home.mkdir()
    return jail.view(home, number, {}, MEGABYTES)


def typed(line: list[str], text: str) -> str:
    """What a shell there answers."""
    done = subprocess.run(
        [*line, "/bin/sh", "-c", text],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
        env={"HOME": "/srv/home", "PATH": "/usr/bin:/bin"},
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_what_lies_in_memory_has_a_size(line, place):
    text = f"head -c {MEGABYTES}M /dev/zero > {place}/large; stat -c %s {place}/large; rm {place}/large"
    said = typed(line, text).splitlines()
    assert said[0] == str(MEGABYTES * 1024 * 1024 // 2)
    assert "No space left on device" in said[1]


def test_nothing_else_in_memory_can_be_written(line):
    for place in ("/", "/dev", "/etc", "/srv"):
        assert "Read-only file system" in typed(line, f"echo x > {place}/x && echo written"), place
    said = typed(line, "echo mine > ~/work.txt; cat ~/work.txt; echo to nobody > /dev/null && echo fine")
    assert said == "mine\nfine\n", "the home and the devices can"


def test_nobody_makes_namespaces_in_it(line):
    said = typed(line, "unshare --user --map-root-user --mount mount -t tmpfs tmpfs /tmp && echo mounted")
    assert "unshare failed: No space left on device" in said
    assert "mounted" not in said
