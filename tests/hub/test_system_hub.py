"""A hub whose people have accounts of the system, on a machine without systemd: limits, and a hub started again.

It makes accounts, and removes them: only as root with CI=true.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from .person import LONGEST, Person
from .running import COURSE, MAY_MAKE_ACCOUNTS, PREFIX, ROOT, WHY_NOT, Hub, system_hub

pytestmark = pytest.mark.skipif(not MAY_MAKE_ACCOUNTS, reason=WHY_NOT)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with system_hub(limits={"memory_mb": 1500}) as hub:
        yield hub


@pytest.fixture(scope="module")
def ada(hub: Hub) -> Person:
    person = hub.log_in(f"{PREFIX}ada")
    person.start()
    return person


def test_the_server_runs_as_its_account(hub, ada):
    assert hub.server_of(ada.name).username() == ada.name
    assert f"uid={hub.server_of(ada.name).uids().real}({ada.name})" in ada.run("id")
    assert "deeppractice" in ada.run("python -c 'import deeppractice; print(deeppractice.__name__)'")


def test_a_wrong_password_and_a_grader_are_not_let_in(hub):
    assert "Invalid username or password" in Person(hub.url, f"{PREFIX}ada", "something else").answer.text
    assert not Person(hub.url, f"{PREFIX}grade", hub.password).token


def test_a_process_that_takes_too_much_gets_an_error(ada):
    said = ada.run("python -c 'x = bytearray(3 << 30)'; echo still here")
    assert "MemoryError" in said
    assert "still here" in said
    forks = "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(5); os._exit(0)\n"
    ada.put("forks.py", forks)
    assert "BlockingIOError" in ada.run("python forks.py 2>&1 | tail -n 1; sleep 6")
    assert ada.server("GET", "api/contents").ok


def restored(hub: Hub, name: str, archive: Path, at_work: str) -> None:
    """Save everything, lose somebody's home, and bring it back with its owner; not that of somebody at work."""
    home = hub.homes / name
    work = home / "work.txt"
    work.write_text("what ben wrote")
    shutil.chown(work, name, name)

    def backup(*words: str, code: int = 0) -> str:
        line = [sys.executable, str(ROOT / "hub" / "backup.py"), "--settings", str(hub.settings), *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    backup("save", str(archive))
    refused = backup("restore", str(archive), "--only", f"home/{at_work}", "--replace", code=1)
    assert f"works in {hub.homes / at_work}: end {at_work}'s server first" in refused
    assert f"home/{name} " in backup("check", str(archive))
    assert archive.stat().st_mode & 0o777 == 0o600
    shutil.rmtree(home)
    assert f"home/{name}: restored in {home}" in backup("restore", str(archive), "--only", f"home/{name}")
    assert work.read_text() == "what ben wrote"
    assert (home.owner(), work.owner(), home.stat().st_mode & 0o777) == (name, name, 0o700)


def test_servers_and_kernels_live_on_while_the_hub_is_started_again(hub, ada, tmp_path):
    kernel, _ = ada.execute("", "answer = 6 * 7")
    server = hub.server_of(ada.name)
    hub.process.terminate()
    assert hub.process.wait(60) == 0, hub.said()
    assert ada.server("GET", f"api/kernels/{kernel}").ok  # while there is no hub: the proxy and the server are there
    restored(hub, f"{PREFIX}ben", tmp_path / "one.tar.gz", ada.name)  # a restore wants a hub that is stopped
    hub.start()
    assert ada.execute(kernel, "print(answer)")[1].strip() == "42"
    until = time.monotonic() + 60
    while not ada.hub("GET", f"users/{ada.name}").json()["servers"]:
        assert time.monotonic() < until, "the hub does not find the server again"
        time.sleep(0.5)
    ada.stop()  # and the hub can end a server that it did not start
    assert not psutil.pid_exists(server.pid)


def test_the_server_of_who_is_taken_out_of_hub_yml_ends(hub):
    ben, stays = hub.log_in(f"{PREFIX}ben"), hub.log_in(f"{PREFIX}ada")
    ben.start()
    stays.start()
    kernel, _ = ben.execute("", "answer = 6 * 7")
    server, other = hub.server_of(ben.name), hub.server_of(stays.name)
    said = yaml.safe_load(hub.settings.read_text())
    said["courses"][COURSE]["students"].remove(ben.name)
    hub.process.terminate()
    assert hub.process.wait(60) == 0, hub.said()
    assert ben.execute(kernel, "print(answer)")[1].strip() == "42", "it lives on while there is no hub"
    hub.settings.write_text(yaml.safe_dump(said))
    hub.start()
    server.wait(LONGEST)
    assert f"{ben.name} is not let in any more: their server is ended" in (hub.folder / "started.log").read_text()
    assert other.is_running()
