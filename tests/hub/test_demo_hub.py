"""A demo hub at work: limits, an idle server, the course by a link, a full home, a backup while people work.

One hub for all of these, from a hub.yml with small numbers.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from .person import Person, free_port
from .repository import git, served
from .running import COURSE, ROOT, Hub, copy_course

BACKUP = ROOT / "hub" / "backup.py"


@contextlib.contextmanager
def own_hub(**changed: object) -> Iterator[Hub]:
    """A hub with the demo's accounts, from a hub.yml of its own."""
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        place, port = Path(folder), free_port()
        copy_course(place / "course")
        course = {
            "folder": str(place / "course"),
            "grader": "grader",
            "instructors": ["ines"],
            "students": ["ada", "ben"],
        }
        values = {"accounts": "demo", "port": port, "state": str(place / "state"), "library": str(ROOT / "lib")}
        (place / "hub.yml").write_text(yaml.safe_dump(values | {"courses": {COURSE: course}} | changed))
        line = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "hub" / "jupyterhub_config.py")]
        said = {"HUB_SETTINGS": str(place / "hub.yml"), "HUB_DEMO_PASSWORD": "a-password-of-tests"}
        hub = Hub(place, port, line, place / "state", **said)
        hub.password, hub.homes, hub.course = said["HUB_DEMO_PASSWORD"], place / "state" / "homes", place / "course"
        hub.settings = place / "hub.yml"
        try:
            hub.start()
            yield hub
        finally:
            hub.stop()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with own_hub(limits={"memory_mb": 1500}) as hub:
        yield hub


@pytest.fixture(scope="module")
def ada(hub: Hub) -> Person:
    person = hub.log_in("ada")
    person.start()
    return person


def test_a_wrong_password_is_told(hub):
    answer = Person(hub.url, "ada", "something else").answer
    assert "Invalid username or password" in answer.text


def test_a_server_has_no_end_of_the_hubs_log_and_what_it_says_stands_there_as_its_words(hub, ada):
    _, said = ada.execute("", "import os; print(*(os.readlink(f'/proc/{os.getppid()}/fd/{n}') for n in (0, 1, 2)))")
    stdin, stdout, stderr = said.split()
    assert stdin == "/dev/null"
    assert stdout.startswith("pipe:")
    assert stdout == stderr
    log = (hub.folder / "started.log").read_text()
    assert re.search(r"^\[server of ada\] \[I .* is running at:", log, re.MULTILINE), log[-4000:]


def test_a_process_that_takes_too_much_memory_gets_an_error(ada):
    said = ada.run("python -c 'x = bytearray(3 << 30)'; echo still here")
    assert "MemoryError" in said
    assert "still here" in said
    assert ada.server("GET", "api/contents").ok


@pytest.fixture
def course_by_link(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A repository with the branch `student`, and where git finds it on 127.0.0.1."""
    files = {"page.txt": "one\ntwo\nthree\nfour\nfive\nsix\n", "other.txt": "as it was\n"}
    with served(tmp_path, files) as found:
        yield found


def pull(person: Person, repository: str) -> str:
    """What the link does: its page asks the server to pull, and shows what comes back."""
    where = {"repo": repository, "branch": "student", "targetpath": "course"}
    answer = person.server("GET", "git-pull/api", params=where)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["phase"] == "finished", answer.text
    return answer.text


def test_the_link_brings_the_course_and_later_its_changes_without_losing_work(ada, course_by_link):
    work, repository = course_by_link
    page = ada.server("GET", "git-pull", params={"repo": repository, "branch": "student", "urlpath": "lab/tree/course"})
    assert page.ok
    pull(ada, repository)
    ada.put("course/page.txt", "one, and what ada wrote\ntwo\nthree\nfour\nfive\nsix\n")
    ada.put("course/notes.txt", "ada's own\n")
    ada.run("rm course/other.txt")  # by accident
    (work / "page.txt").write_text("one\ntwo\nthree\nfour\nfive\nsix, corrected\n")
    (work / "notes.txt").write_text("the course's new file of the same name\n")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "A correction, and a new file")
    pull(ada, repository)
    assert content(ada, "page.txt") == "one, and what ada wrote\ntwo\nthree\nfour\nfive\nsix, corrected\n"
    assert content(ada, "other.txt") == "as it was\n"  # what was deleted comes back
    assert content(ada, "notes.txt") == "the course's new file of the same name\n"
    kept = [one["name"] for one in ada.server("GET", "api/contents/course").json()["content"]]
    moved = next(name for name in kept if name.startswith("notes_"))  # ada's, with the time in its name
    assert content(ada, moved) == "ada's own\n"
    (work / "page.txt").write_text("the course changes the line too\ntwo\nthree\nfour\nfive\nsix, corrected\n")
    git(work, "commit", "--quiet", "-am", "The same line")
    pull(ada, repository)
    assert "one, and what ada wrote" in content(ada, "page.txt")  # of one line that both changed, the student's stays


def content(person: Person, name: str) -> str:
    return person.server("GET", f"api/contents/course/{name}").json()["content"]


def largest_file(server: psutil.Process, size: str) -> None:
    """Limit the files of a server's processes, in the name of whoever runs them: root may lack the right to."""
    for process in [server, *server.children(recursive=True)]:
        who = process.uids().real
        become = ["setpriv", f"--reuid={who}", f"--regid={who}", "--clear-groups"] if os.geteuid() == 0 else []
        line = [*become, "prlimit", f"--pid={process.pid}", f"--fsize={size}:unlimited"]
        subprocess.run(line, check=True, capture_output=True, timeout=60)


def test_a_full_home_is_told_and_what_was_saved_before_stays(hub, ada, tmp_path):
    before = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    ada.put("work.ipynb", before)
    # No file may grow any more, from the outside: what a quota does, and a full disk.
    largest_file(hub.server_of("ada"), "1000")
    model = {"type": "file", "format": "text", "content": before + " " * 5000}
    answer = ada.server("PUT", "api/contents/work.ipynb", json=model)
    assert answer.status_code == 507
    assert "work.ipynb was not saved: it is too large. The file is as you last saved it" in answer.json()["message"]
    assert ada.server("GET", "api/contents/work.ipynb", params={"type": "file"}).json()["content"] == before
    largest_file(hub.server_of("ada"), "unlimited")
    ada.put("work.ipynb", before + "\n")
    assert "work.ipynb.new" not in ada.run("ls -a")


def backup(hub: Hub, *words: str) -> subprocess.CompletedProcess:
    line = [sys.executable, str(BACKUP), "--settings", str(hub.settings), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


WRITES = """\
import sqlite3, sys, time
from nbgrader.api import Gradebook
with Gradebook("sqlite:///" + sys.argv[1]) as gradebook:
    gradebook.add_assignment("p")
    for number in range(100_000):
        gradebook.add_student(f"s{number}")
        print(number, flush=True)
"""


def test_a_backup_while_everybody_writes_is_whole_and_comes_back(hub, ada, tmp_path):
    gradebook = hub.course / "course" / "gradebook.db"
    gradebook.parent.mkdir(exist_ok=True)
    ada.put("saved.txt", "ada's work")
    ada.run("ln -s /etc/shadow link; mkfifo fifo; mkdir -p .cache; echo x > .cache/x")
    line = [sys.executable, "-c", WRITES, str(gradebook)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # of alembic, which nbgrader calls by its name
    writer = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ | {"PATH": path})
    try:
        while int(writer.stdout.readline()) < 20:
            pass
        done = backup(hub, "save", str(tmp_path / "one.tar.gz"))
    finally:
        writer.kill()
        reached = int(writer.communicate()[0].split()[-1])
    assert done.returncode == 0, done.stderr
    assert backup(hub, "check", str(tmp_path / "one.tar.gz")).stdout.startswith(f"{tmp_path}/one.tar.gz is whole.")
    assert "is there already" in backup(hub, "save", str(tmp_path / "one.tar.gz")).stderr
    assert "the hub runs" in backup(hub, "restore", str(tmp_path / "one.tar.gz")).stderr
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        names = tar.getnames()
        assert tar.getmember("home/ada/link").issym()
    assert "state/jupyterhub.sqlite" in names
    assert "state/exchange/ngshare.db" in names
    assert not [name for name in names if name.endswith(("fifo", "-wal", "-journal", ".cache/x", ".pid"))]
    # It comes back elsewhere: another hub.yml, for a machine that has none of it.
    values = yaml.safe_load(hub.settings.read_text())
    values |= {"state": str(tmp_path / "new" / "state")}
    values["courses"][COURSE]["folder"] = str(tmp_path / "new" / "course")
    (tmp_path / "hub.yml").write_text(yaml.safe_dump(values))
    hub_there = type("There", (), {"settings": tmp_path / "hub.yml"})
    done = backup(hub_there, "restore", str(tmp_path / "one.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert "what was there" not in done.stdout, "there was nothing"
    new = tmp_path / "new"
    assert (new / "state" / "homes" / "ada" / "saved.txt").read_text() == "ada's work"
    for name in ("state/jupyterhub.sqlite", "state/exchange/ngshare.db", "course/course/gradebook.db"):
        with contextlib.closing(sqlite3.connect(new / name)) as database:
            assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    with contextlib.closing(sqlite3.connect(new / "course" / "course" / "gradebook.db")) as database:
        count = database.execute("select count(*) from student").fetchone()[0]
    assert 20 <= count <= reached + 2
    mode = (new / "state" / "homes" / "ada").stat().st_mode & 0o777
    assert mode == 0o700
    # A second time: not over what is there, unless told; then what was there is moved aside.
    refused = backup(hub_there, "restore", str(tmp_path / "one.tar.gz"))
    assert "there is something already in state" in refused.stderr
    (new / "state" / "homes" / "ada" / "saved.txt").write_text("newer")
    done = backup(hub_there, "restore", str(tmp_path / "one.tar.gz"), "--replace", "--only", "home/ada")
    assert done.returncode == 0, done.stderr
    assert (new / "state" / "homes" / "ada" / "saved.txt").read_text() == "ada's work"
    aside = next((new / "state" / "homes").glob("ada~before-*"))
    assert (aside / "saved.txt").read_text() == "newer"
    # What was moved aside is nobody's home, and not in the next archive; --settings may stand at the end.
    again = [sys.executable, str(ROOT / "hub" / "backup.py"), "save", str(tmp_path / "two.tar.gz")]
    again += ["--settings", str(tmp_path / "hub.yml")]
    assert subprocess.run(again, capture_output=True, timeout=120, check=False).returncode == 0
    with tarfile.open(tmp_path / "two.tar.gz") as tar:
        homes = {name for name in tar.getnames() if name.startswith("home/")}
    assert "home/ada/saved.txt" in homes
    assert not [name for name in homes if "~before-" in name]


def test_a_damaged_archive_says_so_and_nothing_is_touched(hub, tmp_path):
    assert backup(hub, "save", str(tmp_path / "one.tar.gz")).returncode == 0
    data = (tmp_path / "one.tar.gz").read_bytes()
    (tmp_path / "short.tar.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "bent.tar.gz").write_bytes(data[:5000] + bytes([data[5000] ^ 255]) + data[5001:])
    (tmp_path / "other.tar.gz").write_bytes(b"a text\n")
    for name in ("short", "bent", "other"):
        done = backup(hub, "check", str(tmp_path / f"{name}.tar.gz"))
        assert done.returncode == 1
        assert "damaged" in done.stderr
        assert "Traceback" not in done.stderr
    assert "is missing" in backup(hub, "check", str(tmp_path / "none.tar.gz")).stderr
    full = backup(hub, "save", "/dev/full/one.tar.gz")
    assert full.returncode == 1
    assert "Traceback" not in full.stderr


@pytest.mark.full
def test_a_server_that_nobody_uses_is_stopped():
    with own_hub(idle_minutes=0.1) as hub:
        ben = hub.log_in("ben")
        ben.start()
        until = time.monotonic() + 90
        while ben.hub("GET", "users/ben").json()["servers"]:
            assert time.monotonic() < until, "the idle server still runs"
            time.sleep(1)
