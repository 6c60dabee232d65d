"""The exchange that needs no shared disk, as it is meant: the whole way of a project, and what people are told."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlparse

import pytest
import requests

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.hub.assignments import Assignments
from classroom.hub.exchange.server import Server, ServiceError
from classroom.intake import collect

COURSE = "test-course"


def test_the_whole_way(people, released):
    """Release, list, fetch, submit twice, collect, grade, hand out feedback, fetch it, withdraw."""
    ann, bob, teacher = people["ann"], people["bob"], people["teacher"]
    assert [(one["assignment_id"], one["status"]) for one in ann.listed(released)] == [(released, "released")]
    ann.step("FetchAssignment", released)
    [fetched] = ann.listed(released)
    assert fetched["status"] == "fetched"
    assert [Path(book["path"]).is_file() for book in fetched["notebooks"]] == [True]
    first = ann.write(released, "3 * x")
    ann.step("Submit", released)
    second = ann.write(released, "2 * x")
    assert "Submitted as" in ann.typed("nbgrader", "submit", released, "--debug")
    ann.write(released, "'changed after handing in'")
    [sent] = ann.listed(released, cached=True)
    assert [one["has_exchange_feedback"] for one in sent["submissions"]] == [False, False]
    assert bob.listed(released, cached=True) == []

    said = teacher.classroom("collect", released)
    assert "collected  ann" in said
    assert "set aside  ann" in said  # the first, which is kept all the same
    assert teacher.submitted(released, "ann") == second
    kept = (teacher.home / "course" / "attempts" / released / "ann").glob(f"*/{released}.ipynb")
    assert {path.read_bytes() for path in kept} == {first, second}
    assert "1 unchanged" in teacher.classroom("collect", released)

    teacher.typed("classroom", "autograde", released)
    assert "handed out through nbgrader's exchange to 1" in teacher.classroom("feedback", released, "--release")
    [sent] = ann.listed(released, cached=True)
    assert [one["has_exchange_feedback"] for one in sent["submissions"]] == [False, True]
    ann.step("FetchFeedback", released)
    [page] = (ann.home / released / "feedback").glob("*/*.html")
    assert page.name == f"{released}.html"
    assert "3 of 3" in page.read_text() or "3 / 3" in page.read_text()
    last = ann.listed(released, cached=True)[0]["submissions"][1]
    assert page.parent.name == last["timestamp"]
    assert (last["has_local_feedback"], last["feedback_updated"]) == (True, False)
    assert [one["course_id"] for one in bob.step("List", released, course="")] == [COURSE]
    bob.step("FetchAssignment", released, settings={"path_includes_course": True})
    assert (bob.home / COURSE / released / f"{released}.ipynb").is_file()
    bob.step("FetchFeedback", released)
    assert not list(bob.home.rglob("*.html"))

    teacher.step("List", released, settings={"remove": True})
    assert bob.listed(released) == []
    assert bob.told("FetchAssignment", released) == (
        "not fetched: it was withdrawn by the instructor; ask them if you still need it"
    )
    assert ann.told("Submit", released) == (
        f"{released} was withdrawn by the instructor: ask them whether it comes back; what you wrote is as it was"
    )
    assert len(ann.listed(released, cached=True)[0]["submissions"]) == 2
    teacher.step("ReleaseAssignment", released)
    assert "1 unchanged" in teacher.classroom("collect", released)


def test_a_second_release_loses_nothing(people, released):
    """What was handed in before stands after it, and a student who has the project gets only what is missing."""
    ann, teacher = people["ann"], people["teacher"]
    ann.step("FetchAssignment", released)
    mine = ann.write(released, "2 * x")
    ann.step("Submit", released)
    assert "is released already; --force puts this version in its place" in teacher.told("ReleaseAssignment", released)
    (teacher.home / "assignments" / released / "hints.txt").write_text("more")
    teacher.step("ReleaseAssignment", released, settings={"force": True})
    assert "to start again rename that folder first" in ann.told("FetchAssignment", released)
    ann.step("FetchAssignment", released, settings={"replace_missing_files": True})
    assert (ann.home / released / "hints.txt").read_text() == "more"
    assert (ann.home / released / f"{released}.ipynb").read_bytes() == mine
    assert teacher.take_in(released)["collected"] == ["ann"]
    assert "classroom collect" in teacher.told("Collect", released)


@pytest.mark.full
def test_the_service_is_started_again(people, released, hub):
    """A service that ends is started by the hub, and has everything; meanwhile people are told."""
    ann = people["ann"]
    ann.step("FetchAssignment", released)
    ann.step("Submit", released)
    children = subprocess.run(
        ["ps", "--ppid", str(hub.process.pid), "-o", "pid=,args="], capture_output=True, text=True
    )
    [pid] = [int(line.split()[0]) for line in children.stdout.splitlines() if "ngshare_service" in line]
    os.kill(pid, signal.SIGKILL)
    why = ann.told("Submit", released)
    assert why.startswith("the exchange does not answer (no connection): what you have is as it was; try again")
    with people["teacher"].at_work(), pytest.raises(ClassroomError, match="what was taken in before is kept"):
        collect(Folder(people["teacher"].home), released, None, print)
    hub.wait(lambda: requests.get(f"{hub.exchange}healthz", timeout=5).ok)
    assert len(ann.listed(released, cached=True)[0]["submissions"]) == 1
    ann.step("Submit", released)
    assert people["teacher"].take_in(released)["collected"] == ["ann"]


class Relay:
    """Stands between somebody and the exchange, and ends the connection within a POST: in the request or the answer."""

    def __init__(self, hub, where: str) -> None:
        self.where, self.exchange = where, urlparse(hub.exchange)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}{self.exchange.path}"

    def __enter__(self) -> "Relay":
        self.thread = threading.Thread(target=self._relay)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.thread.join()

    def _relay(self) -> None:
        """One connection, of which each request but the last comes in one piece."""
        here = self.listener.accept()[0]
        there = socket.create_connection((self.exchange.hostname, self.exchange.port))
        with here, there:
            while (asked := here.recv(65536)).startswith(b"GET "):
                there.sendall(asked)
                here.sendall(there.recv(65536))
            if self.where == "answer":
                there.sendall(asked)
                length = int(re.search(rb"Content-Length: (\d+)", asked)[1])
                left = length - len(asked.partition(b"\r\n\r\n")[2])
                while left > 0:
                    more = here.recv(65536)
                    there.sendall(more)
                    left -= len(more)
                assert there.recv(1)  # it is kept now


@pytest.mark.parametrize(("where", "arrived"), [("request", 0), ("answer", 1)])
def test_a_connection_that_ends_while_somebody_hands_in(people, project, hub, where, arrived):
    """They are told that nobody knows, and what to do; the list then knows."""
    ann = people["ann"]
    ann.step("FetchAssignment", project)
    with Relay(hub, where) as relay:
        why = ann.told("Submit", project, NGSHARE_URL=relay.url)
    assert why == (
        "the exchange does not answer (no connection): what you sent may have arrived; look at the list in a few "
        "minutes, and send it again if it is not there"
    )
    assert sum(len(one["submissions"]) for one in ann.listed(project, cached=True)) == arrived


def test_what_people_are_told(people, project):
    """Each reads what happened and what to do."""
    ann, stranger = people["ann"], people["stranger"]
    assert ann.told("Submit", project) == f"there is no folder {ann.home / project}: fetch {project} first"
    assert ann.told("FetchAssignment", "nothing") == f"nothing has not been released in {COURSE}"
    assert ann.told("FetchAssignment", "..") == "a path that leads out of the folder"
    assert stranger.told("List") == (
        f"stranger is no member of {COURSE} who may do this: ask your instructor, then stop and start your server"
    )
    assert stranger.told("List", course="").startswith("stranger is no member of any course who may do this")
    assert "stop your server (File > Hub Control Panel) and start it again" in ann.told(
        "List", JUPYTERHUB_API_TOKEN="expired"
    )
    assert "does not answer (no connection)" in ann.told("List", NGSHARE_URL="http://127.0.0.1:9/")
    assert ann.told("List", project, settings={"remove": True}).startswith("ann is no member of test-course who may")
    with ann.at_work(), pytest.MonkeyPatch.context() as patch:
        patch.delenv("JUPYTERHUB_API_TOKEN")
        with pytest.raises(ServiceError, match="JUPYTERHUB_API_TOKEN is not set, as it is in a server that JupyterHub"):
            Server()


def test_the_students_page_shows_the_reason(people, project):
    """nbgrader's list would speak of a folder that is missing."""
    stranger = people["stranger"]
    with stranger.at_work(HOME=str(stranger.home)):
        pages = Assignments()
        pages.root_dir = str(stranger.home)
        answer = pages.list_assignments()
    assert answer == {
        "success": False,
        "value": "stranger is no member of test-course who may do this: ask your instructor, then stop and start your "
        "server",
    }


def test_links_are_neither_sent_nor_written_through(people, project, tmp_path):
    ann, teacher = people["ann"], people["teacher"]
    secret = tmp_path / "secret.ipynb"
    secret.write_text("secret")
    (teacher.home / "assignments" / project / "key.txt").symlink_to(secret)
    teacher.step("ReleaseAssignment", project, settings={"force": True})
    ann.step("FetchAssignment", project)
    assert [path.name for path in (ann.home / project).iterdir()] == [f"{project}.ipynb"]

    (ann.home / project / "more.ipynb").symlink_to(secret)
    (ann.home / project / "data.bin").write_bytes(b"0" * 40_000_000)  # not asked for, so not in the way
    ann.step("Submit", project)
    [sent] = teacher.raw("GET", f"submission/{COURSE}/{project}/ann").json()["files"]
    assert sent["path"] == f"{project}.ipynb"
    (ann.home / project / f"{project}.ipynb").unlink()
    (ann.home / project / f"{project}.ipynb").symlink_to(secret)
    assert "is without" in ann.told("Submit", project)

    shutil.rmtree(ann.home / project)
    (tmp_path / "elsewhere").mkdir()
    (ann.home / project).symlink_to(tmp_path / "elsewhere")
    assert "you have" in ann.told("FetchAssignment", project)
    assert "is a link: not written" in ann.told("FetchAssignment", project, settings={"replace_missing_files": True})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_too_large(people, project):
    """Before anything is sent, with the numbers."""
    ann = people["ann"]
    ann.step("FetchAssignment", project)
    (ann.home / project / f"{project}.ipynb").write_bytes(b" " * 31_000_000)
    why = ann.told("Submit", project)
    assert why == f"{project}.ipynb: 31.0 MB, expected at most 30; nothing was sent"
    assert ann.listed(project, cached=True) == []


@pytest.mark.full
def test_just_not_too_large(people, project):
    """The largest that is sent gets through the service's own limit."""
    ann = people["ann"]
    ann.step("FetchAssignment", project)
    (ann.home / project / f"{project}.ipynb").write_bytes(os.urandom(29_900_000))
    ann.step("Submit", project)
    assert len(ann.listed(project, cached=True)[0]["submissions"]) == 1
