"""The watch over the host sees what it is there to see: each effect is made once here, by hand."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "suite"))  # not a package

from attack_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "course").mkdir()
    (tmp_path / "course.yml").write_text("id: watched\n")
    (tmp_path / "nbgrader_config.py").write_text("")
    made = World(tmp_path)
    with made.around():
        yield made
    made.close()


def test_nothing_is_seen_where_nothing_happened(world):
    assert world.effects() == []


def test_files(world):
    (world.root / "course" / f"{world.witness}.json").write_text("left")
    (world.root / "course.yml").write_text("id: changed\n")
    (world.open / "canary").unlink()
    found = " ".join(world.effects())
    assert f"{world.witness}.json was left" in found
    assert "course.yml is not what it was" in found
    assert "canary is not what it was" in found


def test_calls_to_listeners(world):
    listeners = world.listeners
    for address, family, kind in (
        (("127.0.0.1", listeners.tcp), socket.AF_INET, socket.SOCK_STREAM),
        (("127.0.0.1", listeners.udp), socket.AF_INET, socket.SOCK_DGRAM),
        (listeners.path, socket.AF_UNIX, socket.SOCK_STREAM),
        ("\0" + listeners.abstract, socket.AF_UNIX, socket.SOCK_STREAM),
    ):
        with socket.socket(family, kind) as sock:
            sock.connect(address)
            sock.send(b"hello")
    until = time.monotonic() + 10
    while len(listeners.calls) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(call.partition(":")[0] for call in listeners.calls) == ["abstract", "tcp", "udp", "unix"]
    assert len(world.effects()) == 4


def test_processes(world):
    line = ["sh", "-c", f"echo begun; read _; : {world.witness}"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        left.stdout.readline()
        assert world.effects() == [f"process {left.pid} was left"]
        left.kill()
    world.victim.kill()
    world.victim.wait()
    assert world.effects() == ["a process of the host was ended"]


def test_secrets_in_what_was_put_out(world):
    (world.root / "course" / "secret").write_bytes(bytes(range(200, 232)))
    secret = bytes(range(200, 232))
    texts = [*world.secrets.values(), "hidden-canary-41c7", secret.hex(), repr(secret)]
    for text in texts:
        cell = {"id": "one", "outputs": [{"output_type": "stream", "text": f"found {text}"}]}
        result = {"notebooks": {"a": {"cells": [cell]}}, "cells": {"a": [{"id": "one"}]}}
        assert len(world.leaks(result)) == 1, text
        # A test's own outputs are the instructor's; what the student's functions printed meanwhile is not.
        result["cells"]["a"][0] |= {"by": "examiner", "said": ""}
        assert world.leaks(result) == []
        result["cells"]["a"][0]["said"] = text
        assert len(world.leaks(result)) == 1
