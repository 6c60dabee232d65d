"""What a student reaches with a terminal of the hub: everything in tries/ is tried there, in the student's name.

Once with the demo's accounts, and once with accounts of the system, where those can be made (root, CI=true). What came
out is written to _build/hub-permissions-KIND.md, and is what the table in book/teach/hub-reach.md says.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .person import Person
from .running import COURSE, MAY_MAKE_ACCOUNTS, PREFIX, ROOT, SYSTEMD, WHY_NOT, Hub, demo_hub, system_hub

PAGE = ROOT / "book" / "teach" / "hub-reach.md"
TRIES = Path(__file__).parent / "tries"
NOT_MADE = r"(Name|Key|Type|Attribute|Syntax|Import|ModuleNotFound)\w*Error"  # of an attempt that has a mistake itself
# Kept out with accounts of the system where systemd starts the servers, and reached where it doesn't.
WITH_SYSTEMD = {
    "see the processes of other accounts, and their command lines",
    "leave a file in a temporary folder for others to read",
}
CANARY = "canary-of-somebody-else-5f1c"
ASK = "import sys; from classroom.hub.exchange.server import Server; s = Server(); c = sys.argv[1]; p = 'checkpoint-01'"
RELEASE = f"{ASK}; s.post('assignment', c, p, files={{'checkpoint-01.ipynb': b'released'}}); print('done')"
SUBMIT = f"{ASK}; print('time', s.post('submission', c, p, files={{'checkpoint-01.ipynb': b'{CANARY}'}})['timestamp'])"
FEEDBACK = (
    f"{ASK}; s.post('feedback', c, p, sys.argv[2], files={{'checkpoint-01.html': b'{CANARY}'}}, timestamp=sys.argv[3])"
)
BEGINNING = "the hub's people and what they have"
demo = pytest.param("demo", id="demo-accounts")
system = pytest.param(
    "system",
    id="system-accounts",
    marks=pytest.mark.skipif(not MAY_MAKE_ACCOUNTS, reason=WHY_NOT),
)


def python(person: Person, program: str, *words: str) -> str:
    """A short program in somebody's terminal."""
    person.put("program.py", program)
    return person.run(" ".join(["python", "program.py", *(f"'{word}'" for word in words)]))


def set_out(hub: Hub, me: Person, other: Person, teacher: Person) -> dict:
    """The people at work, each with something that is nobody else's business; what the student is told of it."""
    for person in (teacher, other, me):
        person.start()
    assert "done" in python(teacher, RELEASE, COURSE)
    submitted = python(other, SUBMIT, COURSE)
    when = re.search(r"^time (.*)$", submitted, re.MULTILINE)[1]
    assert "Error" not in python(teacher, FEEDBACK, COURSE, other.name, when)
    other.put("secret.txt", CANARY)
    # A kernel that goes on saying something, and a program that listens.
    other.put("told.py", f"import time\nwhile True:\n    print({CANARY!r}, flush=True)\n    time.sleep(0.1)")
    other.execute("", "%run told.py", until=CANARY)
    inbox = hub.course / "course" / "submitted" / other.name
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "answer.txt").write_text(CANARY)
    (hub.course / "course" / "gradebook.db").write_text(CANARY)
    process = hub.server_of(other.name)
    hub_pid = int((hub.state / "jupyterhub.pid").read_text())
    family = [process, *process.children(recursive=True)]
    ports = {c.laddr.port for one in family for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    temporary = other.run(
        "d=$(mktemp -d -p /var/tmp) && chmod 755 $d && echo x > $d/f && chmod 644 $d/f && echo made=$d/f"
    )
    own_key = me.hub("GET", "user").json()
    assert own_key["groups"] == [f"nbgrader-{COURSE}"]  # one's own groups, and no others'
    return {
        "me": me.name, "token": me.token, "url": hub.url, "other": other.name, "course_id": COURSE,
        "other_home": str(hub.homes / other.name), "other_file": str(hub.homes / other.name / "secret.txt"),
        "course": str(hub.course), "solutions": str(hub.course / "solutions"),
        "solution": str(hub.course / "solutions" / "checkpoint-01" / "checkpoint-01.ipynb"),
        "gradebook": str(hub.course / "course" / "gradebook.db"), "submitted": str(inbox / "answer.txt"),
        "exchange_files": str(hub.state / "exchange" / "files"),
        "exchange_db": str(hub.state / "exchange" / "ngshare.db"),
        "hub_db": str(hub.state / "jupyterhub.sqlite"), "cookie_secret": str(hub.state / "cookie-secret"),
        "proxy_token": str(hub.state / "proxy-token"), "hub_yml": str(hub.settings),
        "environment": sys.prefix, "servers": str(ROOT / "hub" / "servers" / "student"),
        "hub_pid": hub_pid, "other_pid": process.pid, "canary": CANARY, "ports": sorted(ports), "timestamp": when,
        "secrets": [other.token, (hub.state / "proxy-token").read_text()],
        "other_server": process.environ()["JUPYTERHUB_SERVICE_URL"], "proxy_api": hub.inside + 1,
        "grader_server": f"http://127.0.0.1:{hub.inside + 3}/services/{COURSE}/",
        "temporary": re.findall(r"^made=(\S+)$", temporary, re.MULTILINE),
    }  # fmt: skip


@contextlib.contextmanager
def trusting_root() -> Iterator[str]:
    """A program such as a machine may have: it lets in whoever is root; the name that it listens under."""
    name = f"dlip-test-{secrets.token_hex(8)}"

    def answer() -> None:
        while True:
            try:
                asks, _ = listens.accept()
            except OSError:  # closed: the end
                return
            with asks:
                said = asks.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                uid = struct.unpack("3i", said)[1]
                asks.sendall(b"welcome, root" if uid == 0 else f"number {uid} is not let in".encode())

    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind("\0" + name)
        listens.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield name
        finally:
            listens.shutdown(socket.SHUT_RDWR)
            thread.join()


def try_everything(hub: Hub, prefix: str = "") -> list[dict]:
    """Let a student try everything; what came of each attempt."""
    me, other, teacher = (hub.log_in(prefix + name) for name in ("ada", "ben", "ines"))
    facts = set_out(hub, me, other, teacher)
    try:
        with socket.socket() as listens, trusting_root() as facts["trusts_root"]:
            listens.bind(("127.0.0.1", 0))
            listens.listen()
            facts["listens"] = listens.getsockname()[1]
            me.put("facts.json", json.dumps(facts))
            for file in TRIES.glob("*.py"):
                me.put(file.name, file.read_text())
            said = me.run("python everything.py facts.json")
    finally:
        for name in facts["temporary"]:
            other.run(f"rm -r {Path(name).parent}")
    assert "tried everything" in said, said[-3000:]
    assert not (hub.homes / other.name / "from-outside").exists()
    assert other.server("GET", "api/contents/secret.txt").json()["content"] == CANARY  # ben's server still answers
    if os.geteuid() == 0:  # everybody is somebody else to the kernel, and nobody is root
        owners = [hub.server_of(person.name).uids() for person in (me, other, teacher)]
        assert len({0, *(one.real for one in owners)}) == 4
        assert {set(one) == {one.real} for one in owners} == {True}
        assert {(hub.homes / person.name).stat().st_uid for person in (me, other, teacher)} == {
            one.real for one in owners
        }
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def in_words(row: dict) -> str:
    return "kept out" if row["got"] is None else "reached"


def table() -> list[list[str]]:
    """The guide's: what was tried, what came of it with the demo's accounts, with accounts of the system."""
    rows = re.findall(r"^\| (.*?) \| (kept out|reached) \| (kept out|reached) \|$", PAGE.read_text(), re.MULTILINE)
    return [list(row) for row in rows]


@pytest.mark.parametrize("kind", [demo, system])
def test_a_student_reaches_nothing_that_is_not_theirs(kind):
    with demo_hub() if kind == "demo" else system_hub() as hub:
        rows = try_everything(hub, "" if kind == "demo" else PREFIX)
    report = ROOT / "_build" / f"hub-permissions-{kind}.md"
    report.parent.mkdir(exist_ok=True)
    lines = [f"| {row['tried']} | {in_words(row)} | {row['why'] or row['got']} |" for row in rows]
    report.write_text("\n".join(["| what was tried | what came out | how |", "| --- | --- | --- |", *lines, ""]))
    broken = [row for row in rows if re.match(NOT_MADE, row["why"])]
    assert not broken, broken
    reached = [f"{row['tried']}: {row['got']}" for row in rows if row["kind"] == "kept" and row["got"] is not None]
    assert not reached, "\n".join(reached)
    own = [f"{row['tried']}: {row['why']}" for row in rows if row["kind"] == "own" and row["got"] is None]
    assert not own, "\n".join(own)
    column = 1 if kind == "demo" else 2
    expected = {row[0]: row[column] for row in table()}
    if SYSTEMD and kind == "system":
        expected |= dict.fromkeys(WITH_SYSTEMD, "kept out")
    assert expected == {row["tried"]: in_words(row) for row in rows}


def test_the_guide_has_every_attempt_in_its_table():
    line = [sys.executable, "everything.py"]
    said = subprocess.run(line, cwd=TRIES, capture_output=True, text=True, check=True).stdout
    assert [row[0] for row in table()] == [json.loads(one)["tried"] for one in said.splitlines() if one[0] == "{"]
