"""A session in a child of the warm template: what the host holds of it, and how it ends."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from classroom.sandbox.cgroups import Group
from classroom.sandbox.examination import Examination
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import CellResult, StreamSession, Usage

_END_SECONDS = 60  # a bomb of 256 processes takes the kernel three seconds to clear away
_PERIOD = 0.2  # seconds between two looks at whether the kernel had to kill for memory


@dataclass
class Child:
    """What the host holds of a forked child: it is ours, not the student's.

    Attributes:
        pidfd: process 1 of the child's PID namespace; killing it kills everything in there.
        status: the template's end tells on it how the child ended.
        group: the control group that it is in, if there are any on this machine.
    """

    pidfd: int
    status: socket.socket
    group: Group | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: dict | None = None

    def kill(self) -> None:
        """Kill everything in the child, without waiting."""
        with self._lock:
            if self._last is None:
                self._kill()

    def end(self) -> dict:
        """Kill everything in the child, wait until it is gone, and give back all that is held of it.

        Returns:
            The template's last word on it (`exit`, `cpu_seconds`, `memory_mb`, `processes`, `reason`), with the control
            group's figures where there is one; empty if the template itself has gone.
        """
        with self._lock:
            if self._last is None:
                self._last = {}
                try:
                    self._kill()
                    self._last = self._wait()
                finally:
                    self.status.close()
                    os.close(self.pidfd)
                    if self.group is not None:
                        self.group.close()
            return self._last

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def _wait(self) -> dict:
        self.status.settimeout(_END_SECONDS)
        try:
            told = self.status.recv(1 << 16)
        except TimeoutError:
            raise SandboxError(
                f"a sandbox did not end within {_END_SECONDS} s of being killed; look at this machine's load"
            ) from None
        except ConnectionResetError:
            told = b""
        last = json.loads(told) if told else {}
        if last and self.group is not None:
            used = self.group.usage()
            last |= {"memory_mb": used.memory_mb, "processes": used.processes}
            if used.oom_kills:
                last["reason"] = "memory"
        return last


class WarmSession:
    """A submission's session in a child of the warm template; see `classroom.session.Session`.

    Args:
        examiner: opens the session in which this one's test cells run; None: this is such a one.
    """

    def __init__(
        self, sock: socket.socket, child: Child, limits: Limits, examiner: "Callable[[], WarmSession] | None" = None
    ) -> None:
        self._child = child
        self._stream = StreamSession(sock, limits, end=self._end, why=self._why)
        self._examination = Examination(self._stream, examiner) if examiner is not None else None
        self._busy = threading.RLock()
        self._memory = False  # a process was killed for memory while the first one lived on
        self._over = threading.Event()
        self._watch: threading.Thread | None = None
        if child.group is not None:
            self._watch = threading.Thread(target=self._await_starving, name="warm-session", daemon=True)
            self._watch.start()

    def run(self, source: str, *, seconds: float) -> CellResult:
        """Run a cell; see `Session.run`.

        Raises:
            SandboxError: if the template was lost, and this child with it.
        """
        with self._busy:
            if self._memory:
                return CellResult(status="not-run", reason="memory")
            began = time.monotonic()
            result = self._stream.run(source, seconds=seconds)
            if self._lost_a_process(result):
                return CellResult(result.outputs, "died", time.monotonic() - began, result.cpu_seconds, "memory")
            return result

    def examine(self, request: dict, *, seconds: float) -> CellResult:
        """Run a test cell in the examiner; see `classroom.sandbox.examination.Examination.run`.

        Raises:
            SandboxError: if the template was lost, or the examiner failed.
        """
        with self._busy:
            if self._memory:
                return CellResult(status="not-run", reason="memory")
            result = self._examination.run(request, seconds=seconds)
            if not result.ended and self._lost_a_process(result):
                result.ended = "memory"
            return result

    def ask(
        self, request: dict, *, seconds: float, grace: float, lent: socket.socket | None
    ) -> tuple[CellResult, dict]:
        """Of an examiner: run a test cell; see `StreamSession.examine`.

        Raises:
            SandboxError: if the template was lost.
        """
        with self._busy:
            return self._stream.examine(request, seconds=seconds, grace=grace, lent=lent)

    def close(self) -> Usage:
        """End everything; see `Session.close`. Another thread that runs a cell meanwhile gets a result: it died."""
        examined = self._examination.close() if self._examination is not None else None
        used = self._close()
        return used if examined is None else used.with_examiner(examined)

    def _close(self) -> Usage:
        if not self._busy.acquire(blocking=False):
            self._child.kill()
            self._busy.acquire()
        try:
            return self._stream.close()
        finally:
            self._busy.release()

    def __enter__(self) -> "WarmSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lost_a_process(self, result: CellResult) -> bool:
        """Whether the kernel took one of its processes, perhaps not the one that we talk to: the rest is of no use."""
        if result.status not in ("ok", "error", "timeout") or not self._starved():
            return False
        self._memory = True
        self._stream.close()
        return True

    def _starved(self) -> bool:
        group = self._child.group
        return group is not None and group.usage().oom_kills > 0

    def _await_starving(self) -> None:
        while not self._over.wait(_PERIOD):
            if self._starved():
                self._child.kill()
                return

    def _end(self) -> Usage:
        self._over.set()
        if self._watch is not None:
            self._watch.join()
        last = self._child.end()
        return Usage(
            cpu_seconds=round(last.get("cpu_seconds", 0.0), 3),
            memory_mb=round(last.get("memory_mb", 0.0), 1),
            processes=last.get("processes", 0),
        )

    def _why(self) -> str:
        last = self._child.end()
        if not last:
            raise SandboxError("the warm template ended in the middle of a submission; it is started anew, try again")
        by_itself = "exit" if last["exit"] >= 0 else "crash"
        return last["reason"] or ("killed" if last["exit"] == -signal.SIGKILL else by_itself)
