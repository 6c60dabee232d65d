"""Runs a notebook's cells in this process and says what they put out, as a Jupyter kernel and nbclient together would.

A `Shell` is made once, in the warm template, and holds no thread, no socket and no file until `start`; each child that
is forked from it calls `start`, `reseed` and, last, `serve`. A cell runs in a running asyncio loop, so that `await` can
stand at its top level; a cell over its time gets the interrupt that a Jupyter client would send, and stands in the
outputs as nbgrader's autograder writes it. `classroom.session.StreamSession` is the other side of `serve`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import socket
import struct
import sys
import time
import warnings
from pathlib import Path

from classroom.inside.capture import Capture, Stream
from classroom.inside.examine.answers import Answers
from classroom.inside.interactive import ZMQInteractiveShell, error_output, nobody_types
from classroom.inside.plots import draw_once
from classroom.inside.record import Recorder

INLINE = "module://matplotlib_inline.backend_inline"
# as nbgrader.preprocessors.Execute.error_on_timeout
TIMEOUT = ("CellTimeoutError", "", ["\x1b[0;31mCellTimeoutError\x1b[0m: No reply from kernel before timeout"])
_HEAD = struct.Struct(">I")
_LARGEST_REQUEST = 1 << 28


class Shell:
    """An IPython shell that runs cells; one in a process, since `get_ipython()` can only be one.

    Args:
        cell_output_bytes: most that a cell may put out; the rest is cut, and a line says so.
        output_bytes: the same for all cells together.
    """

    def __init__(self, cell_output_bytes: int = 1_000_000, output_bytes: int = 10_000_000) -> None:
        os.environ.setdefault("MPLBACKEND", INLINE)
        self.recorder = Recorder(cell_output_bytes, output_bytes)
        self.capture = Capture(self.recorder)
        self.ip = ZMQInteractiveShell.instance(recorder=self.recorder)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._task: asyncio.Future | None = None  # of a cell with `await` in it
        self._answers = Answers(self)  # kept from one test cell to the next: their handles stay good

    def set_limits(self, cell_output_bytes: int, output_bytes: int) -> None:
        """Set the limits on output of the job that a child was forked for."""
        self.recorder.cell_bytes, self.recorder.total_bytes = cell_output_bytes, output_bytes

    def warm_up(self) -> None:
        """Do once, before any fork, what is slow the first time: a plot as a cell makes it, and a traceback."""
        streams, names = (sys.stdout, sys.stderr), dict(self.ip.user_ns)
        sys.stdout, sys.stderr = Stream(self.capture, "stdout"), Stream(self.capture, "stderr")
        try:
            for source in (_PLOT, "raise ValueError('warm')", "import asyncio\nawait asyncio.sleep(0)"):
                self.recorder.start()
                self._loop = asyncio.new_event_loop()
                try:
                    self._loop.run_until_complete(self._execute(source))
                finally:
                    self._loop.close()
                self.recorder.finish()
        finally:
            sys.stdout, sys.stderr = streams
            self._loop = None
        draw_once(self.ip)
        self.ip.reset(new_session=True, aggressive=False)
        for name, value in names.items():  # it takes `__spec__` and such away too
            self.ip.user_ns.setdefault(name, value)
        self.ip.execution_count = 1

    def start(self) -> None:
        """Take over this process: its group, its streams, `input`; after the fork, before the first cell."""
        self._pid = os.getpid()
        if os.getpgrp() != self._pid:  # interrupts go to the group, so it must be ours
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.capture.start()
        sys.stdout, sys.stderr = Stream(self.capture, "stdout"), Stream(self.capture, "stderr")
        sys.argv = ["ipykernel_launcher.py", "-f", "kernel.json"]  # what a notebook finds there
        if "" not in sys.path:
            sys.path.insert(0, "")  # modules that were handed in beside the notebook
        self.ip.user_ns["_dh"][:] = [Path.cwd()]
        nobody_types()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def reseed(self) -> None:
        """Give this process the randomness of a fresh one: forks of one template would all draw the same."""
        random.seed()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        if "torch" in sys.modules:
            sys.modules["torch"].seed()
        # a warning that was shown before the fork is shown again: this outdates the lists of what was shown
        warnings.filterwarnings("default", message="(?!)")

    def run(self, source: str, seconds: float) -> dict:
        """Run a cell for at most `seconds`.

        Returns:
            `outputs` (nbformat dicts), `status` ("ok", "error" or "timeout"), `seconds`, `cpu`; `exit` where the cell
            asked for the end of the session.
        """
        if self._loop is None:
            self.start()
        began, cpu = time.monotonic(), _cpu_seconds()
        self.recorder.start()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.capture.arm(seconds)
        error: BaseException | None = None
        try:
            try:
                self._loop.run_until_complete(self._executed(source))
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        except BaseException as raised:  # an interrupt between two steps; SystemExit in a task
            error = raised
        rang = self.capture.disarm()
        if os.getpid() != self._pid:  # a fork that the student made and did not end: it has no session
            os._exit(0)
        status = self._settle(error, rang)
        self.capture.flush()
        reply = {"outputs": self.recorder.finish(), "status": status}
        reply |= {"seconds": time.monotonic() - began, "cpu": _cpu_seconds() - cpu}
        return reply | ({"exit": True} if self.ip.exit_now else {})

    def serve(self, sock: socket.socket) -> None:
        """Answer requests on a socket until its other end is closed or a cell ends the session."""
        while (request := _receive(sock)) is not None:
            if request.get("op") == "answer":  # an examiner has been lent the other end, until it says that it is done
                self._answers.serve(sock)
                continue
            if request.get("op") != "run":
                raise ValueError(f"expected op run or answer, got {request.get('op')!r}")
            reply = self.run(request["source"], request["seconds"])
            _send(sock, reply | {"id": request.get("id")})
            if reply.get("exit"):
                return

    async def _executed(self, source: str) -> None:
        self._error = None
        self._error = await self._execute(source)

    async def _execute(self, source: str) -> BaseException | None:
        """Run a cell as `ipykernel.ipkernel.IPythonKernel.do_execute` does; the error that it ended with."""
        ip = self.ip
        failed = None
        try:
            transformed = ip.transform_cell(source)
        except Exception:  # reported by IPython, as an error of the cell
            transformed, failed = source, sys.exc_info()
        if ip.should_run_async(source, transformed_cell=transformed, preprocessing_exc_tuple=failed):
            ip.last_traceback, ip.failed_in_display = None, False
            run = ip.run_cell_async(
                source, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=failed
            )
            self._task = asyncio.ensure_future(run)
            self.capture.again = True  # in case that the cell has a coroutine that never waits
            signal.signal(signal.SIGINT, self._interrupted)
            result = None
            try:
                result = await self._task
            finally:
                self._task = None
                ip.events.trigger("post_execute")
                ip.events.trigger("post_run_cell", result)
        else:
            result = ip.run_cell(source, store_history=True)
        if result.success and ip.failed_in_display:
            return RuntimeError("while the result was displayed")
        return result.error_before_exec or result.error_in_exec

    def _settle(self, error: BaseException | None, rang: bool) -> str:
        """The cell's status; add the errors that no traceback was shown for, as nbgrader's autograder does."""
        error = error or self._error
        shown = self.recorder.errors()
        failed_in_display = self.ip.failed_in_display and shown
        if rang:
            if error is not None and not shown:
                self.recorder.add(error_output(type(error).__name__, str(error), self.ip.last_traceback or []))
            self.recorder.add(error_output(*TIMEOUT))
            return "timeout"
        if error is None:
            return "ok"
        if not failed_in_display and type(error).__name__ not in shown:
            lines = self.ip.last_traceback or ["ERROR: An error occurred while showtraceback was disabled"]
            self.recorder.add(error_output(type(error).__name__, str(error), lines))
        return "error"

    def _interrupted(self, *_) -> None:
        """SIGINT while a cell with `await` runs: cancel it, as ipykernel does; the next one is raised where it is."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)


def _cpu_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _receive(sock: socket.socket) -> dict | None:
    head = _exactly(sock, _HEAD.size)
    if head is None:
        return None
    (length,) = _HEAD.unpack(head)
    if length > _LARGEST_REQUEST:
        raise ValueError(f"a request of {length} bytes")
    body = _exactly(sock, length)
    return None if body is None else json.loads(body)


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    """So many bytes; None at the end of the stream."""
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 18))
        if not piece:
            return None
        data += piece
    return bytes(data)


def _send(sock: socket.socket, reply: dict) -> None:
    body = json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace")
    sock.sendall(_HEAD.pack(len(body)) + body)


_PLOT = """
import importlib.util
if importlib.util.find_spec("matplotlib") is not None:
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4], label="warm")
    axes.legend()
    axes.set_title("$x^2$")
    plt.show()
"""
