"""How a hub ends: nothing of it is left, whatever ended it; and what people see of that, and afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from .person import LONGEST, Person, free_port, inside
from .running import ROOT, Hub, demo_hub

sys.path.insert(0, str(ROOT / "hub"))
import proxying

GRACE = 90  # seconds until the last process is gone; two cores may be busy


@pytest.fixture(scope="module")
def hub():
    with demo_hub() as hub:
        yield hub


def family(hub: Hub) -> list[psutil.Process]:
    """All processes of the demo: the hub, its proxy, services, formgrader, people's servers with their kernels."""
    return psutil.Process(hub.process.pid).children(recursive=True)


def left(processes: list[psutil.Process]) -> list[str]:
    """Who of them is still there when all had time to end."""
    _, alive = psutil.wait_procs(processes, GRACE)
    return [" ".join(process.cmdline()) for process in alive]


def at_work(hub: Hub) -> tuple[Person, list[psutil.Process]]:
    """Ada with a server, a kernel and a terminal that sleeps; all processes of the hub."""
    ada = hub.log_in("ada")
    ada.start()
    ada.put("saved.txt", "what ada saved")
    ada.execute("", "print(6 * 7)")
    ada.run("(sleep 3600 &)")
    found = family(hub)
    said = [" ".join(process.cmdline()) for process in found]
    for name in ("configurable-http-proxy", "ngshare_service", "formgrading", "idle_culler", "ipykernel", "sleep 3600"):
        assert [line for line in said if name in line], (name, said)
    return ada, found


def words(answer) -> str:
    return " ".join(answer.text.split())


def test_of_a_killed_hub_nothing_is_left_and_it_starts_again_with_everybodys_files(hub):
    ada, found = at_work(hub)
    os.kill(int((hub.state / "jupyterhub.pid").read_text()), signal.SIGKILL)
    assert left(found) == []
    assert hub.process.wait(GRACE) == 1
    assert f"the hub ended with code -9; the end of {hub.folder}/hub.log says why" in hub.said()
    home = hub.state / "homes" / "ada"
    owner = home.stat().st_uid
    if os.geteuid() == 0:  # as a hub of before left it, or a backup of another machine
        for path in (home, *home.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
    hub.start()
    # The page that was open: who they are is known still, and the hub says what to do.
    answer = ada.web.get(f"{hub.url}/user/ada/lab", timeout=60)
    assert "Your server is not running" in words(answer) or "Launch Server" in words(answer), answer.text
    # What an open JupyterLab asks: by this number it knows that the server is not running, and offers to start it.
    assert ada.web.get(f"{hub.url}/user/ada/api/contents", timeout=60).status_code == 424
    ada.start()
    assert ada.server("GET", "api/contents/saved.txt").json()["content"] == "what ada saved"
    ada.put("saved.txt", "and more")
    assert {path.lstat().st_uid for path in (home, *home.rglob("*"))} == {owner}


def test_a_server_that_was_killed_is_told_in_words(hub):
    ada, _ = at_work(hub)
    server = hub.server_of("ada")
    server.kill()
    server.wait(30)
    answer = ada.web.get(f"{hub.url}/user/ada/lab", timeout=60)
    said = words(answer)  # from the proxy, or from the hub, which looks after servers now and then
    assert "your server has ended" in said or "is not running" in said or "Launch Server" in said, said
    until = time.monotonic() + LONGEST
    while ada.hub("GET", "users/ada").json()["servers"]:
        assert time.monotonic() < until, "the hub does not see that the server ended"
        time.sleep(0.5)
    ada.start()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked"])
def test_of_a_demo_that_ends_nothing_is_left(hub, number):
    if hub.process.poll() is not None:
        hub.start()
    _, found = at_work(hub)
    hub.process.send_signal(number)
    assert left(found) == []
    assert hub.process.wait(GRACE) == {signal.SIGKILL: -9, signal.SIGTERM: 0}[number]


# As a hub of twenty courses, each of whose formgraders needs three seconds to end.
CONFIGURATION = """\
import sys
sys.path.insert(0, {hub!r})
from ending import set_up
from proxying import with_hub
set_up()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {inside}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{inside_too}"
c.Authenticator.allow_all = True
line = [sys.executable, "-I", "-S", {slow!r}]
c.JupyterHub.services = [
    dict(name="slow-%d" % number, command=with_hub([*line, "started-%d" % number])) for number in range(20)
]
"""
SLOW = """\
import signal, sys, time
def end(*_):
    time.sleep(3)
    sys.exit()
signal.signal(signal.SIGINT, end)
open(sys.argv[1], "w").close()
while True:
    time.sleep(3600)
"""


def said_by(folder: Path) -> str:
    return (folder / "log").read_text()


def test_twenty_courses_end_side_by_side(tmp_path):
    port = free_port()
    said = {"hub": str(ROOT / "hub"), "port": port, "slow": str(tmp_path / "slow.py")}
    said |= {"inside": inside(f"http://x:{port}"), "inside_too": inside(f"http://x:{port}") + 1}
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "configuration.py").write_text(CONFIGURATION.format(**said))
    line = [sys.executable, "-m", "jupyterhub", "-f", "configuration.py"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(line, cwd=tmp_path, stdout=log, stderr=log, env=os.environ | {"PATH": path})
    hub = psutil.Process(process.pid)
    try:
        until = time.monotonic() + LONGEST
        while len(list(tmp_path.glob("started-*"))) < 20 or "JupyterHub is now running" not in said_by(tmp_path):
            assert process.poll() is None, said_by(tmp_path)
            assert time.monotonic() < until, said_by(tmp_path)
            time.sleep(0.3)
        family, began = hub.children(recursive=True), time.monotonic()
        process.terminate()
        assert process.wait(GRACE) == 0, said_by(tmp_path)
        took = time.monotonic() - began
    finally:
        for one in [*hub.children(recursive=True), hub] if process.poll() is None else []:
            one.kill()
        process.wait()
    assert left(family) == []
    assert "Exception" not in said_by(tmp_path)
    assert took < 45, "one after the other it would be a minute"


def test_a_number_of_a_proxy_that_is_another_programs_by_now_is_forgotten(tmp_path):
    other = subprocess.Popen(["sleep", "600"])
    try:
        file = tmp_path / "proxy.pid"
        for text in (str(other.pid), "4194305", "no number"):
            file.write_text(text)
            proxying.forget(file)
            assert not file.exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_the_proxy_asks_no_hub_for_its_page_of_errors():
    said = proxying.options(["--port", "80", "--error-target", "http://127.0.0.1:8081/hub/error", "--log-level", "20"])
    assert said == ["--port", "80", "--log-level", "20", "--error-path", str(ROOT / "hub" / "servers" / "away")]
