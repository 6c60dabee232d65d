"""How a submission's cells are run: what every session can do, whichever sandbox it is in.

A session is one process (with its children) that holds one notebook's variables and runs the cells it is given, one
after the other. The warm sandbox, the cold one and the insecure one all look like `Session` from here.

`StreamSession` is the host's half of the protocol that `classroom.inside.shell` speaks in that process: frames of four
bytes of length and JSON over one socket. The process belongs to the student from the first cell on, so whatever comes
from it is only a claim: it is read with limits on size and time, and rebuilt from the parts that a notebook may have.

Test cells run in a second process, the examiner, that the student's code cannot reach: it is lent our end of the
student's socket for the time of one test cell (`classroom.sandbox.examination`). Its replies come over the same kind of
stream.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, runtime_checkable

from classroom.outputs import SLACK, clean_outputs, size_of

GRACE_SECONDS = 10.0  # after a cell's limit: to react to the interrupt on a busy machine, and to send what there was
EXAMINER_GRACE_SECONDS = 30.0  # the same for an examiner, which may itself have waited for the student's process
_LITTLE = 20_000  # bytes that a cell may always say
_EXAMINED = 3  # times as large as a shell's may an examiner's reply be: its outputs, the student's, and the checks
_HEAD = struct.Struct(">I")
_REPLIES = ("ok", "error", "timeout")


@dataclass
class CellResult:
    """What came of one cell."""

    # nbformat 4 output dicts, validated and capped by the host: what arrives is the student's word
    outputs: list[dict] = field(default_factory=list)
    # "ok" | "error" | "timeout" (interrupted at its limit; the session goes on) | "died" (the session ended in it)
    # | "not-run" (it had ended before)
    status: str = "ok"
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    # of "died": "time" (did not react to the interrupt, or the total limit) | "memory" | "output" | "exit" | "crash"
    reason: str = ""
    # of test cells only: where the verdict was reached ("examiner" | "session"), what each check found, what the
    # student's code printed when it was called, and why the session ended meanwhile (empty: it goes on)
    by: str = ""
    checks: list[dict] = field(default_factory=list)
    said: str = ""
    ended: str = ""


@dataclass
class Usage:
    """What a session used in all: seconds of wall and of processor time, peak memory, most processes at one time.

    `cpu_seconds` is of both its processes; memory and processes are of the student's, and the examiner's have fields of
    their own.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0
    processes: int = 0
    examiner_cpu_seconds: float = 0.0
    examiner_memory_mb: float = 0.0

    def as_dict(self) -> dict:
        """Return the figures as a dict that JSON can hold."""
        return asdict(self)

    def with_examiner(self, examiner: Usage) -> Usage:
        """These figures with those of the examiner's process."""
        together = round(self.cpu_seconds + examiner.cpu_seconds, 3)
        apart = {"examiner_cpu_seconds": examiner.cpu_seconds, "examiner_memory_mb": examiner.memory_mb}
        return replace(self, cpu_seconds=together, **apart)


@runtime_checkable
class Session(Protocol):
    """One notebook's process.

    A session that has an examiner also has `examine(request, seconds=…)`, which is
    `classroom.sandbox.examination.Examination.run`; where there is none (a kernel of another language), test cells are
    run like all others.
    """

    def run(self, source: str, *, seconds: float) -> CellResult:
        """Run a cell's source for at most `seconds`; never raises for anything that the student's code does.

        Raises:
            SandboxError: something of ours went wrong, so that the cell was not run through no fault of the student.
        """
        ...

    def close(self) -> Usage:
        """End the session and everything it started, wait for the end, and say what it used; may be called again."""
        ...


class BrokenFrameError(Exception):
    """The other side sent what no shell of ours sends; the argument is the reason of the session's end."""


class StreamSession:
    """The host's half of a session over a socket.

    Args:
        sock: our end of a connected pair of stream sockets; the session owns it.
        limits: `Limits` of the sandbox: `seconds`, `cell_output_bytes` and `output_bytes` are kept here.
        end: ends all processes of the session, waits for their end and says what they used; called once.
        why: called after `end` when the process was gone by itself: "memory", "exit" or "crash".
    """

    def __init__(self, sock: socket.socket, limits, *, end: Callable[[], Usage], why: Callable[[], str]) -> None:
        self._sock, self.limits, self._end, self._why = sock, limits, end, why
        self._began = time.monotonic()
        self._number = 0
        self._output_bytes = 0
        self._usage: Usage | None = None
        self._using = threading.RLock()  # the socket; a thread that gives up on the job may close the session
        self._ending = threading.Lock()
        self._ended = ""  # the reason, once there is one
        # JSON may write a byte as six (\u0000); the rest is for what a cell always may say, however much it wrote
        self._largest = 6 * (limits.cell_output_bytes + SLACK)

    def run(self, source: str, *, seconds: float) -> CellResult:
        """Run a cell in the process; see `Session.run`."""
        with self._using:
            return self._ask({"op": "run", "source": source}, seconds, GRACE_SECONDS)[0]

    def examine(self, request: dict, *, seconds: float, grace: float, lent: socket.socket | None) -> tuple:
        """Of an examiner's stream: run a test cell.

        Args:
            request: as `classroom.inside.examine.examiner` says, without `id` and `seconds`.
            seconds: limit of the cell.
            grace: how much later than that the reply may come.
            lent: the student's socket; None: that session is over.

        Returns:
            The result, and the reply as it came (empty where the examiner died).
        """
        with self._using:
            return self._ask({"op": "examine", **request}, seconds, grace, lent)

    @contextlib.contextmanager
    def lent(self) -> Iterator[socket.socket | None]:
        """Our end of the socket, for an examiner to talk to the process; None when the session is over.

        The process has to be waiting for a request, and nobody else reads or writes here meanwhile.
        """
        with self._using:
            if self._ended:
                yield None
            else:
                self._sock.settimeout(None)  # the examiner's duplicate shares this setting
                yield self._sock

    def lost(self, reason: str) -> str:
        """End the process because it can't be talked to any more; why, as far as the kernel knows better."""
        with self._using:
            if not self._ended:
                self._died("" if reason == "crash" else reason, time.monotonic())
            return self._ended

    def close(self) -> Usage:
        """End the process; see `Session.close`. Another thread's `run` comes back then."""
        with self._ending:
            if self._usage is None:
                self._ended = self._ended or "closed"
                with contextlib.suppress(OSError):  # the other side has hung up already
                    self._sock.shutdown(socket.SHUT_RDWR)
                self._usage = self._end()
                self._usage.seconds = round(time.monotonic() - self._began, 3)
        with self._using:
            self._sock.close()
        return self._usage

    def _ask(self, request: dict, seconds: float, grace: float, lent: socket.socket | None = None) -> tuple:
        if self._ended:
            return CellResult(status="not-run", reason=self._ended), {}
        began = time.monotonic()
        left = self._began + self.limits.seconds - began
        if left <= 0:
            return self._died("time", began), {}
        self._number += 1
        seconds = min(seconds, left)
        deadline = began + seconds + grace
        examining = request["op"] == "examine"
        try:
            if lent is not None:
                self._sock.settimeout(max(0.001, deadline - time.monotonic()))
                socket.send_fds(self._sock, [_frame({"op": "lend"})], [lent.fileno()])
            self._send({**request, "id": self._number, "seconds": seconds}, deadline)
            reply = self._receive(deadline, self._largest * (_EXAMINED if examining else 1))
            if examining and "fault" in reply:
                return CellResult(status="error", seconds=time.monotonic() - began), reply
            return self._result(reply, time.monotonic() - began), reply
        except TimeoutError:
            return self._died("time", began), {}
        except BrokenFrameError as broken:
            return self._died(str(broken), began), {}
        except OSError:  # the socket was closed on the other side: the process is gone or will be
            return self._died("", began), {}

    def _died(self, reason: str, began: float) -> CellResult:
        self._ended = reason or "exit"
        self.close()
        if not reason:
            self._ended = reason = self._why() or "exit"
        return CellResult(status="died", reason=reason, seconds=time.monotonic() - began)

    def _result(self, reply: dict, seconds: float) -> CellResult:
        """The reply as a result; BrokenFrameError if it is not one, or says more than a shell of ours would."""
        status, cpu = reply.get("status"), reply.get("cpu")
        if reply.get("id") != self._number or status not in _REPLIES:
            raise BrokenFrameError("crash")
        if not isinstance(cpu, int | float) or not 0 <= cpu < 1e9:
            cpu = 0.0
        outputs = clean_outputs(reply.get("outputs"))
        size = size_of(outputs)
        self._output_bytes += size
        if size > self.limits.cell_output_bytes + SLACK or self._output_bytes > self._most_output():
            raise BrokenFrameError("output")
        if reply.get("exit") is True:  # `exit` in a cell: this one ran, and none after it can
            self._ended = "exit"
        return CellResult(outputs, status, seconds, float(cpu))

    def _most_output(self) -> int:
        # As `classroom.inside.record` keeps it: once a notebook's share is used up, its cells leave a few lines each.
        return self.limits.output_bytes + SLACK + _LITTLE * self._number

    def _send(self, request: dict, deadline: float) -> None:
        self._sock.settimeout(max(0.001, deadline - time.monotonic()))
        self._sock.sendall(_frame(request))

    def _receive(self, deadline: float, largest: int) -> dict:
        """Receive one frame; only ever with recv, so that descriptors sent along are dropped by the kernel."""
        (length,) = _HEAD.unpack(self._exactly(_HEAD.size, deadline))
        if length > largest:
            raise BrokenFrameError("output")
        body = self._exactly(length, deadline)
        try:
            reply = json.loads(body, parse_int=_integer, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            raise BrokenFrameError("crash") from None
        if not isinstance(reply, dict):
            raise BrokenFrameError("crash")
        return reply

    def _exactly(self, count: int, deadline: float) -> bytearray:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            piece = self._sock.recv(min(count - len(data), 1 << 18))
            if not piece:
                raise ConnectionError("end of file")
            data += piece
        return data


def _frame(request: dict) -> bytes:
    body = json.dumps(request).encode()
    return _HEAD.pack(len(body)) + body


def _integer(digits: str) -> int | float:
    """A JSON integer; as a float where it has more digits than any honest one, which would take long to read."""
    return int(digits) if len(digits) < 20 else float(digits)
