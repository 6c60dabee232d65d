"""What a cell writes: Python's streams, and descriptors 1 and 2 for C code and child processes.

The descriptors end in two pipes that a thread reads, as in a Jupyter kernel, since nobody else could while the code of
a cell waits for a child that writes. The same thread keeps a cell's time, so that alarm signals stay the student's.
"""

from __future__ import annotations

import _thread
import codecs
import ctypes
import io
import os
import select
import signal
import sys
import threading
import time

from classroom.inside.record import Recorder

_PIECE = 1 << 16
_MOST_PIECES = 64  # read at a time: a child that never stops writing must not hold the reader for ever
_AGAIN = 1.0  # seconds until a second interrupt, for a coroutine that never gives up the loop


class Capture:
    """The reader of descriptors 1 and 2, and the clock; in force in the process that called `start`.

    Args:
        recorder: where what is read goes.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.pid = 0  # of the process whose output is captured, once it is; a fork of it writes to its descriptors
        self._lock = threading.RLock()
        self._ends: dict[int, str] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._deadline: float | None = None
        self._fired = 0
        self.again = False  # whether a second interrupt is to follow

    def start(self) -> None:
        """Put the pipes in place of descriptors 1 and 2 and start the thread; once in a process."""
        self.pid = os.getpid()
        for number, name in ((1, "stdout"), (2, "stderr")):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            os.dup2(writer, number)
            os.close(writer)
            self._ends[reader] = name
            self._decoders[name] = codecs.getincrementaldecoder("utf-8")("replace")
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        _thread.start_new_thread(self._watch, ())

    def arm(self, seconds: float) -> None:
        """Interrupt this process's group with SIGINT after `seconds`, as a Jupyter client does."""
        self._fired, self.again, self._deadline = 0, False, time.monotonic() + seconds
        os.write(self._waker, b"a")

    def disarm(self) -> bool:
        """Stop the clock; whether it had rung."""
        self._deadline = None
        return self._fired > 0

    def drain(self, name: str = "") -> None:
        """Take in what has been written to a descriptor (or to both) so far."""
        with self._lock:
            for end in [end for end, its_name in self._ends.items() if name in ("", its_name)]:
                self._read(end, _MOST_PIECES)

    def flush(self) -> None:
        """Take in everything, with what C's own buffers hold."""
        if _c_stdout is not None:
            _libc.fflush(_c_stdout)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None and not stream.closed:
                stream.flush()
        self.drain()

    def _read(self, end: int, pieces: int) -> None:
        name = self._ends[end]
        for _ in range(pieces):
            try:
                data = os.read(end, _PIECE)
            except BlockingIOError:
                return
            if not data:  # nobody can write to it any more: the student closed the descriptor
                del self._ends[end]
                os.close(end)
                return
            text = self._decoders[name].decode(data)
            if text:
                self.recorder.stream(name, text)

    def _watch(self) -> None:
        """The thread: read what comes, and ring when it is time."""
        while True:
            poll = select.poll()
            for end in [self._woken, *self._ends]:
                poll.register(end, select.POLLIN)
            deadline = self._deadline
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = [end for end, _ in poll.poll(None if left is None else left * 1000 + 1)]
            if self._woken in ready:
                os.read(self._woken, _PIECE)
            with self._lock:
                for end in ready:
                    if end in self._ends:
                        self._read(end, 1)
            if deadline is not None and deadline == self._deadline and time.monotonic() >= deadline:
                self._fired += 1
                self._deadline = time.monotonic() + _AGAIN if self.again and self._fired == 1 else None
                os.kill(0, signal.SIGINT)  # our group; killpg(1) would mean everybody else


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a notebook: what is written goes to the recorder, in order."""

    encoding = "UTF-8"
    errors = "strict"

    def __init__(self, capture: Capture, name: str) -> None:
        self._capture, self.name = capture, name
        self._number = 1 if name == "stdout" else 2

    def write(self, text: str) -> int:
        """Write text; what C code or a child wrote before stands before it."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        capture = self._capture
        if capture.pid in (0, os.getpid()):
            capture.drain(self.name)
            capture.recorder.stream(self.name, text)
        else:  # a fork made by the student: its descriptors are our pipes
            data = text.encode("utf-8", "replace")
            while data:
                data = data[os.write(self._number, data) :]
        return len(text)

    def flush(self) -> None:
        """Take in what C code or a child wrote before."""
        if self._capture.pid == os.getpid():
            self._capture.drain()

    def fileno(self) -> int:
        """The descriptor, which is captured too: a child may be told to write there."""
        return self._number

    def writable(self) -> bool:
        """It is written to, never read."""
        return True


def _c_library() -> tuple:
    """C's library and its stdout, for flushing; where there is no such thing, C's buffers are not flushed."""
    try:
        library = ctypes.CDLL(None)
        return library, ctypes.c_void_p.in_dll(library, "stdout")
    except (OSError, TypeError, ValueError):
        return None, None


_libc, _c_stdout = _c_library()
