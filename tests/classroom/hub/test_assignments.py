"""The Assignment List while the exchange does not answer: the server goes on, and the person is told.

Cases: an exchange that takes a request and says nothing more; a folder for assignments that is not the server's; a
mistake in a student's own settings.
"""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from classroom.hub.assignments import Assignments
from classroom.hub.facts import VARIABLE, Told, packed

from .server import HEADERS, Server


class Silent:
    """What listens where the exchange is said to be, and never answers."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.taken: list[socket.socket] = []
        self.asked = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                taken, _ = self.listener.accept()
            except OSError:
                return  # closed
            self.taken.append(taken)
            self.asked.set()

    def hang_up(self) -> None:
        """Listen no more, and end what was taken; a second time does nothing."""
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)  # which ends a wait for the next one too
        for one in (self.listener, *self.taken):
            one.close()


@pytest.fixture
def exchange() -> Iterator[Silent]:
    silent = Silent()
    yield silent
    silent.hang_up()


def test_a_server_answers_while_the_exchange_does_not(exchange, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    variables = {"HOME": str(home), "JUPYTERHUB_USER": "ada", "JUPYTERHUB_API_TOKEN": "x", "NGSHARE_URL": exchange.url}
    variables[VARIABLE] = packed([Told("course-a", "A course")])
    server = Server(home, "student", tmp_path / "server.log", variables)
    try:
        server.wait()
        exchange.asked.clear()  # the welcome page has asked, and given up for now
        with ThreadPoolExecutor(2) as hands:
            lists = {"params": {"course_id": "course-a"}, "headers": HEADERS, "timeout": 120}
            listed = hands.submit(requests.get, f"{server.address}/assignments", **lists)
            pressed = {"json": {"course_id": "course-a", "assignment_id": "one"}, "headers": HEADERS, "timeout": 120}
            fetched = hands.submit(requests.post, f"{server.address}/assignments/fetch", **pressed)
            assert exchange.asked.wait(60), server.log.read_text()
            for _ in range(5):
                assert requests.get(f"{server.address}/api/status", headers=HEADERS, timeout=20).ok
                assert requests.get(f"{server.address}/api/contents", headers=HEADERS, timeout=20).ok
            assert not listed.done()
            assert not fetched.done()
            exchange.hang_up()
            told = "the exchange does not answer (no connection): what you have is as it was; "
            told += "try again in a few minutes"
            assert listed.result().json() == {"success": False, "value": told}
            assert fetched.result().json()["value"].startswith(told)
    finally:
        server.stop()


def test_no_thread_goes_elsewhere(monkeypatch, tmp_path):
    """nbgrader's list goes into the folder of assignments, and with it every other thread of the server."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home / "work", elsewhere):
        folder.mkdir(parents=True)
    (home / "nbgrader_config.py").write_text("c = get_config()\nc.Exchange.assignment_dir = 'work'\n")
    (home / "work" / "nbgrader_config.py").write_text("c = get_config()\nc.Exchange.path_includes_course = True\n")
    (elsewhere / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'not this one'\n")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(home))
    page = Assignments()
    page.root_dir = str(home)
    with page.get_assignment_dir_config() as config:
        assert config.Exchange.assignment_dir == str(home / "work")
        assert config.Exchange.path_includes_course
        assert config.CourseDirectory.root == str(home / "work")
        assert "course_id" not in config.CourseDirectory
        assert os.getcwd() == str(elsewhere)
