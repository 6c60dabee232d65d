"""A student's process and an examiner, each a real shell in a process of its own, without a sandbox."""

import json
import os
import signal
import socket
import struct
from contextlib import contextmanager

import pytest
import torch  # noqa: F401  (imported before the fork, as in the warm template)

from classroom.inside.examine.examiner import Examiner
from classroom.inside.shell import Shell

_HEAD = struct.Struct(">I")


def send(sock: socket.socket, message: dict) -> None:
    body = json.dumps(message).encode()
    sock.sendall(_HEAD.pack(len(body)) + body)


def receive(sock: socket.socket) -> dict | None:
    head = sock.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    (left,), body = _HEAD.unpack(head), b""
    while len(body) < left:
        body += sock.recv(left - len(body))
    return json.loads(body)


@contextmanager
def forked(work):
    """A child that does `work(sock)` and ends; our end of the pair."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            work(theirs)
        finally:
            os._exit(0)
    theirs.close()
    ours.settimeout(120)
    try:
        yield ours
    finally:
        ours.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Pair:
    """The host's place between the two."""

    def __init__(self, student: socket.socket, examiner: socket.socket) -> None:
        self.student, self.examiner = student, examiner

    def run(self, source: str) -> dict:
        """Run a cell of the student's."""
        send(self.student, {"op": "run", "id": 1, "source": source, "seconds": 60})
        return receive(self.student)

    def examine(self, source: str, names=(), lend: bool = True, **more) -> dict:
        """Run a test cell."""
        if lend:
            body = json.dumps({"op": "lend"}).encode()
            socket.send_fds(self.examiner, [_HEAD.pack(len(body)) + body], [self.student.fileno()])
        request = {"op": "examine", "id": 7, "source": source, "seconds": 60, "call_seconds": 20, "names": list(names)}
        send(self.examiner, {**request, "supplied": [], "hidden": [], "seed": 5, **more})
        return receive(self.examiner)


def _answer(sock: socket.socket) -> None:
    shell = Shell()
    shell.start()
    shell.serve(sock)


def _examine(sock: socket.socket) -> None:
    shell = Shell()
    shell.start()
    Examiner(shell).serve(sock)


@contextmanager
def started(student=_answer):
    """A pair; `student(sock)` may be something else than a shell of ours."""
    with forked(student) as one, forked(_examine) as other:
        yield Pair(one, other)


@pytest.fixture
def pair():
    with started() as pair:
        yield pair


@pytest.fixture
def start():
    return started


@pytest.fixture
def verdict(pair):
    """`verdict(student_source, test_source, *names)`: the test cell passes, or the test fails with its error."""

    def judge(student: str, test: str, *names: str, **more) -> dict:
        reply = pair.run(student)
        assert reply["status"] == "ok", reply["outputs"]
        reply = pair.examine(test, names, **more)
        assert "fault" not in reply, reply["fault"]
        assert reply["status"] == "ok", errors(reply)
        assert all(check["passed"] for check in reply["checks"]), reply["checks"]
        return reply

    return judge


def errors(reply: dict) -> str:
    return "\n".join("\n".join(out["traceback"]) for out in reply["outputs"] if out["output_type"] == "error")
