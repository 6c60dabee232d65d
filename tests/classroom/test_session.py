"""The host's half of a session: it holds whatever the other side sends, and the insecure session's ways to end.

In order: honest exchange; frames that no shell sends; outputs that are none; a slow, a deaf and a silent other side;
descriptors sent along; closing from another thread; a process that exits, crashes, is killed, takes too much memory, or
can't be interrupted.
"""

import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classroom import session as session_module
from classroom.insecure import open_insecure
from classroom.outputs import clean_outputs, size_of
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import CellResult, Session, StreamSession, Usage

LIMITS = Limits(seconds=30, cell_output_bytes=10_000, output_bytes=20_000)


class Peer:
    """The other side of a session, in a thread: answers each request with what `answer` makes of it."""

    def __init__(self, answer, limits: Limits = LIMITS) -> None:
        ours, self.sock = socket.socketpair()
        self.ended = 0
        self.session = StreamSession(ours, limits, end=self._end, why=lambda: "exit")
        self.thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self.thread.start()

    def _end(self) -> Usage:
        self.ended += 1
        return Usage(memory_mb=1.0)

    def _serve(self, answer) -> None:
        with self.sock:
            while head := self.sock.recv(4, socket.MSG_WAITALL):
                request = json.loads(self.sock.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))
                try:
                    answered = answer(request, self.sock)
                    if answered is None:
                        return
                    self.sock.sendall(answered)
                except OSError:  # the session has hung up
                    return


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def reply(request: dict, **values) -> bytes:
    honest = {"id": request["id"], "outputs": [], "status": "ok", "seconds": 0.0, "cpu": 0.5}
    return frame(json.dumps(honest | values).encode())


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    monkeypatch.setattr(session_module, "GRACE_SECONDS", 0.5)


# --- honest -----------------------------------------------------------------------------------------------------------


def test_an_answer_becomes_a_result():
    output = {"output_type": "stream", "name": "stdout", "text": "hi"}
    peer = Peer(lambda request, _: reply(request, outputs=[output]))
    result = peer.session.run("1", seconds=1)
    assert (result.outputs, result.status, result.cpu_seconds) == ([output], "ok", 0.5)
    assert isinstance(peer.session, Session)
    assert peer.session.close().memory_mb == 1.0
    assert peer.session.close().memory_mb == 1.0
    assert peer.ended == 1
    assert peer.session.run("1", seconds=1).status == "not-run"


# --- frames that no shell sends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda request, _: struct.pack(">I", 4_000_000_000), "output"),
        (lambda request, _: frame(b"not json"), "crash"),
        (lambda request, _: frame(b"\xff\xfe"), "crash"),
        (lambda request, _: frame(b""), "crash"),
        (lambda request, _: frame(b"[1, 2]"), "crash"),
        (lambda request, _: frame(b"[" * 100_000 + b"]" * 100_000), "crash"),
        (lambda request, _: frame(b'{"a":' * 5000 + b"1" + b"}" * 5000), "crash"),
        (lambda request, _: frame(b'{"id": ' + b"9" * 100_000 + b"}"), "crash"),
        (lambda request, _: reply(request, id=7), "crash"),
        (lambda request, _: reply(request, id=None), "crash"),
        (lambda request, _: reply(request, status="graded"), "crash"),
        (lambda request, _: reply(request, status=["ok"]), "crash"),
        (lambda request, _: frame(b"{}")[:5], "time"),
        (lambda request, _: None, "exit"),
    ],
)
def test_a_frame_that_no_shell_sends_ends_the_session(answer, reason):
    peer = Peer(answer)
    result = peer.session.run("1", seconds=0.2)
    assert (result.status, result.reason, result.outputs) == ("died", reason, [])
    assert peer.ended == 1
    assert peer.session.run("2", seconds=1) == CellResult(status="not-run", reason=reason)


def test_an_answer_sent_before_its_request_is_not_taken_for_it():
    peer = Peer(lambda request, _: reply(request) + reply({"id": request["id"]}, status="ok"))
    assert peer.session.run("1", seconds=1).status == "ok"
    assert peer.session.run("2", seconds=1).status == "died"


def test_more_output_than_allowed_ends_the_session():
    text = {"output_type": "stream", "name": "stdout", "text": "x" * 500_000}
    peer = Peer(lambda request, _: reply(request, outputs=[text]))
    assert peer.session.run("1", seconds=1).reason == "output"


def test_all_answers_together_have_a_limit():
    text = {"output_type": "stream", "name": "stdout", "text": "x" * 405_000}
    peer = Peer(lambda request, _: reply(request, outputs=[text]))
    results = [peer.session.run("1", seconds=1) for _ in range(8)]
    assert "output" in [result.reason for result in results]


def test_figures_that_are_none_are_no_figures():
    peer = Peer(lambda request, _: reply(request, cpu=float("inf"), seconds="long"))
    assert peer.session.run("1", seconds=1).cpu_seconds == 0


# --- outputs that are none --------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(["stream", "error", "display_data", "execute_result", "input", 3])
KEYS = ["name", "text", "data", "metadata", "execution_count", "ename", "evalue", "traceback"]
DATA = st.dictionaries(st.sampled_from(["text/plain", "image/png", "application/json", "a/b", "no mime"]), JSON)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # how fast a busy machine draws says nothing
@given(
    st.lists(
        st.dictionaries(st.sampled_from(KEYS), JSON | DATA).flatmap(
            lambda output: KINDS.map(lambda kind: output | {"output_type": kind})
        ),
        max_size=4,
    )
)
def test_whatever_comes_becomes_outputs_that_a_notebook_may_have(outputs):
    cleaned = clean_outputs(outputs)
    cell = nbformat.v4.new_code_cell("", outputs=nbformat.from_dict(cleaned))
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
    json.dumps(cleaned, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert clean_outputs(cleaned) == cleaned
    assert size_of(cleaned) >= len(json.dumps(cleaned, ensure_ascii=False)) / 8


@pytest.mark.parametrize("outputs", [None, "text", {"output_type": "stream"}, [None], [[]], [{}], 7])
def test_what_is_no_list_of_outputs_is_none(outputs):
    assert clean_outputs(outputs) == []


def test_surrogates_and_depth_in_outputs():
    deep: list = []
    for _ in range(500):
        deep = [deep]
    data = {"text/plain": "\ud800", "application/json": deep, "application/x+json": {"a": float("nan")}}
    (cleaned,) = clean_outputs([{"output_type": "display_data", "data": data, "metadata": None}])
    assert cleaned["data"]["text/plain"] == "?"
    assert len(json.dumps(cleaned["data"]["application/json"])) < 100
    assert cleaned["data"]["application/x+json"] == {"a": None}
    assert cleaned["metadata"] == {}


# --- slow, deaf, silent -----------------------------------------------------------------------------------------------


def test_a_silent_other_side_has_its_time_and_no_more():
    peer = Peer(lambda request, _: time.sleep(30))
    result = peer.session.run("1", seconds=0.2)
    assert (result.status, result.reason) == ("died", "time")
    assert 0.7 <= result.seconds < 20


def test_one_byte_at_a_time_is_no_way_to_gain_time():
    def drip(request, sock):
        for byte in frame(b" " * 1000):
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    result = Peer(drip).session.run("1", seconds=0.2)
    assert (result.status, result.reason) == ("died", "time")
    assert result.seconds < 20  # of 50


def test_a_deaf_other_side_has_its_time_and_no_more():
    ours, theirs = socket.socketpair()
    session = StreamSession(ours, LIMITS, end=Usage, why=lambda: "exit")
    result = session.run("#" * 10_000_000, seconds=0.2)
    assert (result.status, result.reason) == ("died", "time")
    theirs.close()


def test_the_time_of_the_whole_submission_ends_the_session():
    peer = Peer(lambda request, _: time.sleep(0.3) or reply(request), Limits(seconds=0.2))
    assert peer.session.run("1", seconds=10).status == "ok"  # within the grace
    assert peer.session.run("2", seconds=10).reason == "time"


def test_descriptors_that_are_sent_along_do_not_arrive():
    def gift(request, sock):
        with open(os.devnull) as file:
            socket.send_fds(sock, [reply(request)], [file.fileno()] * 5)
        return b""

    peer = Peer(gift)
    before = len(os.listdir("/proc/self/fd"))
    assert peer.session.run("1", seconds=1).status == "ok"
    end = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end:
        time.sleep(0.01)  # the giver's own file is open a moment longer
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_from_another_thread_ends_a_run():
    peer = Peer(lambda request, _: time.sleep(60))
    timer = threading.Timer(0.3, peer.session.close)
    timer.start()
    began = time.monotonic()
    assert peer.session.run("1", seconds=60).status == "died"
    assert time.monotonic() - began < 30
    timer.join()
    assert peer.ended == 1


# --- a real process, in no sandbox ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nos._exit(3)", "exit"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "crash"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "memory"),
        ("import signal\nwhile True:\n    signal.signal(signal.SIGINT, signal.SIG_IGN)", "time"),
        (
            "import os\nfor n in range(3, 100):\n    try:\n        os.close(n)\n    except OSError:\n        pass",
            "exit",
        ),
    ],
)
def test_how_a_process_ends_is_told(source, reason):
    with open_insecure(Limits(), {}) as session:
        assert session.run("1", seconds=5).status == "ok"
        result = session.run(source, seconds=0.5)
        assert (result.status, result.reason) == ("died", reason)
        assert session.run("1", seconds=5).status == "not-run"


def test_too_much_memory_is_an_error_of_the_cell():
    ours = bytearray(1_200_000_000)  # is not counted as the submission's
    ours[::4096] = b"x" * len(range(0, len(ours), 4096))
    with open_insecure(Limits(memory_mb=1000), {}) as session:
        result = session.run("x = bytearray(2_000_000_000)", seconds=20)
        assert result.outputs[0]["ename"] == "MemoryError"
        assert session.run("1", seconds=5).status == "ok"
        usage = session.close()
    assert 10 < usage.memory_mb < 1000
    assert usage.cpu_seconds > 0


def test_nothing_is_left_of_a_session():
    with open_insecure(Limits(), {"sub/data.txt": b"1 2"}) as session:
        result = session.run("import os\nprint(open('sub/data.txt').read(), os.getcwd())", seconds=10)
        folder = result.outputs[0]["text"].split()[-1]
        assert os.path.isdir(folder)
        child = session.run("os.system('sleep 1000 & echo $!'); None", seconds=10).outputs[0]["text"].strip()
        assert _runs(child)
    assert not os.path.exists(folder)
    until = time.monotonic() + 20  # it was killed, which takes its time on a busy machine
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(number: str) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # whoever inherits it may be slow to take note


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_file_outside_of_the_folder_is_refused(name):
    with pytest.raises(SandboxError, match="leads out"):
        open_insecure(Limits(), {name: b""})
