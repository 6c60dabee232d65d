"""A hub on a machine with systemd: each server is a unit, whose limits hold for all its processes together.

Only where systemd runs; it makes accounts, and removes them: as root with CI=true.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from .person import Person
from .running import MAY_MAKE_ACCOUNTS, PREFIX, SYSTEMD, WHY_NOT, Hub, system_hub

pytestmark = [
    pytest.mark.skipif(not SYSTEMD, reason="needs a machine that systemd runs"),
    pytest.mark.skipif(not MAY_MAKE_ACCOUNTS, reason=WHY_NOT),
]
TOGETHER = """\
import os, time
for number in range(4):
    if os.fork() == 0:
        held = b"x" * (400 << 20)
        time.sleep(20)
        os._exit(0)
ends = [os.WTERMSIG(os.wait()[1]) for _ in range(4)]
print("ended by a signal:", sum(end == 9 for end in ends))
"""
SPIN = """\
import os, time
until = time.time() + 10
for number in range(3):
    if os.fork() == 0:
        while time.time() < until:
            pass
        os._exit(0)
for number in range(3):
    os.wait()
spent = os.times()
print("cores:", (spent.children_user + spent.children_system) / 10)
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with system_hub(limits={"memory_mb": 1000, "cores": 0.5}) as hub:
        yield hub


@pytest.fixture(scope="module")
def ada(hub: Hub) -> Person:
    person = hub.log_in(f"{PREFIX}ada")
    person.start()
    return person


def test_the_server_is_a_unit_of_its_account(hub, ada):
    assert hub.server_of(ada.name).username() == ada.name
    assert f"/system.slice/jupyter-{ada.name}-singleuser.service" in ada.run("cat /proc/self/cgroup")


def test_the_server_has_the_port_that_the_hub_opened_for_it(hub, ada):
    server = hub.server_of(ada.name)
    assert [word for word in server.cmdline() if word.startswith("course-hub-")], "what it fetched the port by"
    told = int(server.environ()["JUPYTERHUB_SERVICE_URL"].rpartition(":")[2].partition("/")[0])
    assert [one.laddr.port for one in server.net_connections("tcp") if one.status == "LISTEN"] == [told]


def test_processes_that_take_too_much_together_are_ended_and_the_server_is_not(hub, ada):
    kernel, _ = ada.execute("", "answer = 42")
    server = hub.server_of(ada.name).pid
    ada.put("together.py", TOGETHER)
    said = ada.run("python together.py")
    assert "ended by a signal: 2" in said or "ended by a signal: 3" in said
    assert "MemoryError" in ada.run("python -c 'x = bytearray(3 << 30)'")  # of one alone, which asks at once
    assert hub.server_of(ada.name).pid == server
    assert ada.execute(kernel, "print(answer)")[1].strip() == "42"


def test_processors_are_limited_for_all_together(ada):
    ada.put("spin.py", SPIN)
    cores = float(ada.run("python spin.py").partition("cores: ")[2].split()[0])
    assert 0 < cores < 0.6


def test_others_are_out_of_sight(hub, ada):
    ben = hub.log_in(f"{PREFIX}ben")
    ben.start()
    ben.run("touch /tmp/of-ben")
    said = ada.run(f"ls /tmp; ls -d /proc/[0-9]*; systemctl status jupyter-{ben.name}-singleuser; ls /run/dbus")
    assert "of-ben" not in said
    assert f"/proc/{hub.server_of(ben.name).pid}\n" not in said
    assert "jupyterhub-singleuser" not in said.replace(f"jupyter-{ben.name}-singleuser", "")
    assert "Permission denied" in said  # the system's bus, over which systemd would tell
    assert ben.server("GET", "api/contents").ok


def test_a_server_starts_in_a_home_that_is_full(hub):
    ben, home = hub.log_in(f"{PREFIX}ben"), hub.homes / f"{PREFIX}ben"
    ben.start()
    ben.stop()
    about = home.stat()
    options = f"size=300k,mode=700,uid={about.st_uid},gid={about.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)], check=True)
    try:
        with contextlib.suppress(OSError):  # no space left, which is what it is for
            (home / "large").write_bytes(bytes(1_000_000))
        ben.start()
        answer = ben.server("PUT", "api/contents/work.txt", json={"type": "file", "format": "text", "content": "x"})
        assert answer.status_code == 507, answer.text
        assert "work.txt was not saved: the disk is full" in answer.text
        ben.run("rm -f ~/large")  # which root made: rm alone would ask
        assert ben.execute("", "print(6 * 7)")[1].strip() == "42"
        ben.put("work.txt", "x")
    finally:
        ben.stop()
        subprocess.run(["umount", str(home)], check=True)


def test_a_server_that_is_stopped_leaves_nothing(hub, ada):
    process = hub.server_of(ada.name)
    ada.run("(nohup sleep 600 >/dev/null 2>&1 &)")
    ada.stop()
    until = time.monotonic() + 60
    while process.is_running() or _of(ada.name):
        assert time.monotonic() < until, _of(ada.name)
        time.sleep(0.3)


def _of(name: str) -> list[str]:
    """What runs in somebody's name."""
    return [one.info["name"] for one in psutil.process_iter(["name", "username"]) if one.info["username"] == name]
