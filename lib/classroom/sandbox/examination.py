"""A test cell's way through two processes: it runs in the examiner, which is lent the student's socket meanwhile.

    host ── job socket ──► student's process (all cells but the tests)
      │                          ▲
      └─── job socket ──► examiner  (test cells; a duplicate of the host's end of the student's socket)

The examiner is a process of its own in a sandbox of its own, with the instructor's files and no student's code, so what
it says of a check is the verdict. `classroom.inside.examine.examiner` says which frames it speaks.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Protocol

from classroom.inside.examine.saying import as_line, in_parts, with_lines
from classroom.outputs import clean_outputs
from classroom.sandbox.policy import ExaminerCrashedError, SandboxError
from classroom.session import EXAMINER_GRACE_SECONDS, CellResult, StreamSession, Usage

MOST_SAID = 20_000  # characters kept of what the student's code printed during one test cell
_MOST_CHECKS, _MOST_TEXT = 500, 2_000
_ENDS = ("time", "crash", "broken", "memory")


class ExaminerSession(Protocol):
    """The examiner's process as its session holds it."""

    def ask(self, request: dict, *, seconds: float, grace: float, lent) -> tuple[CellResult, dict]:
        """See `StreamSession.examine`."""
        ...

    def close(self) -> Usage:
        """End it; another thread's `ask` comes back then."""
        ...


class Examination:
    """The test cells of one session.

    Args:
        student: the student's stream.
        open_examiner: starts the examiner, which happens at the first test cell.
    """

    def __init__(self, student: StreamSession, open_examiner: Callable[[], ExaminerSession]) -> None:
        self._student, self._open = student, open_examiner
        self._lock = threading.Lock()
        self._closed = False
        self._examiner: ExaminerSession | None = None
        self._supplied: set[str] = set()  # cells that have run in the examiner

    def run(self, request: dict, *, seconds: float) -> CellResult:
        """Run one test cell.

        Args:
            request: `source`, `names`, `supplied` (pairs of id and source, those that have run included), `hidden`,
                `rebinds`, `seed` and `call_seconds`.
            seconds: limit of the cell.

        Returns:
            The examiner's outputs and verdict, with `checks`, `said` and, where the student's process was lost
            meanwhile, `ended`.

        Raises:
            SandboxError: the examiner could not reach a verdict through no fault of the student's.
            ExaminerCrashedError: it crashed, and nobody knows whose fault that is; the student's session is ended.
        """
        with self._student.lent() as lent:
            if lent is None:
                return CellResult(status="not-run", reason=self._student.lost(""))
            return self._with(lent, request, seconds)

    def close(self) -> Usage:
        """End the examiner, if there is one; another thread's `run` comes back then."""
        with self._lock:
            self._closed = True
            examiner = self._examiner
        return examiner.close() if examiner is not None else Usage()

    def _with(self, lent: socket.socket, request: dict, seconds: float) -> CellResult:
        examiner = self._opened()
        new = [(name, source) for name, source in request["supplied"] if name not in self._supplied]
        request = {**request, "supplied": new, "memory_mb": self._student.limits.memory_mb}
        grace = EXAMINER_GRACE_SECONDS + len(new) * seconds
        result, reply = examiner.ask(request, seconds=seconds, grace=grace, lent=lent)
        if result.status in ("died", "not-run"):
            return self._without_verdict(result)
        if "fault" in reply:
            raise SandboxError(str(reply["fault"])[:_MOST_TEXT])
        self._supplied.update(name for name, _ in new)
        if reply.get("student") in _ENDS:
            result.ended = self._student.lost(reply["student"])
        cpu = reply.get("said_cpu")
        if isinstance(cpu, int | float) and 0 <= cpu < 1e9:
            result.cpu_seconds += cpu
        result.by, result.checks = "examiner", clean_checks(reply.get("checks"))
        result.said = said(reply.get("said"), bool(request.get("hidden")))
        return result

    def _opened(self) -> ExaminerSession:
        with self._lock:
            if self._closed:
                raise SandboxError("the session was closed in the middle of a test cell")
            if self._examiner is None:
                self._examiner = self._open()
            return self._examiner

    def _without_verdict(self, result: CellResult) -> CellResult:
        """The examiner has died. What it was given to read may be too much for it, and that was the student's."""
        if result.reason == "crash" and not self._closed:
            self._student.lost("examiner")
            raise ExaminerCrashedError("the examiner crashed")
        if result.reason not in ("time", "output", "memory") or self._closed:
            raise SandboxError(f"the examiner ended ({result.reason})")
        result.by = "examiner"
        result.reason = self._student.lost(result.reason)
        return result


def clean_checks(checks: object) -> list[dict]:
    """What each check found, with short texts; the errors in it may quote the student."""
    found = []
    for check in checks[:_MOST_CHECKS] if isinstance(checks, list) else ():
        texts = {name: str(check.get(name) or "")[:_MOST_TEXT] for name in ("name", "hint", "error")}
        worth = check.get("points")
        marks = {"points": float(worth) if isinstance(worth, int | float) else 0.0}
        marks |= {"passed": check.get("passed") is True, "hidden": check.get("hidden") is not False}
        found.append(texts | marks)
    return found


def said(outputs: object, some_hidden: bool = False) -> str:
    """What the student's code put out when it was called, as text; pictures and the like are left out.

    Args:
        some_hidden: whether the cell has hidden tests; lines then say what was said in which (see `saying`).
    """
    texts = []
    for output in clean_outputs(outputs):
        stream = output["output_type"] == "stream"
        text = output["text"] if stream else output.get("data", {}).get("text/plain", "")
        text = text if isinstance(text, str) else "".join(text)
        texts.append((output["name"] if stream else "", as_line(text)))
    parts = in_parts(texts, some_hidden)
    text = with_lines(parts) if some_hidden else "".join(part for _, part in parts)
    return text if len(text) <= MOST_SAID else text[: MOST_SAID - 20] + "\n[cut off here]\n"
