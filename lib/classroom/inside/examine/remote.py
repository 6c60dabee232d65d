"""The examiner's side of a student's names: handles, the student's exceptions, gradients through a call.

Nothing that comes from the student's process is run here or believed: a handle's abilities, class, name and signature
are what that process says of it, and a handle has no truth value, no order and no equality.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import contextmanager

from classroom.inside.examine import wire
from classroom.inside.examine.handles import Handle, StudentError, StudentGone, made_handle, student_error
from classroom.inside.examine.rebuilt import Decoder
from classroom.inside.examine.values import Encoder, TooMuchError

GRACE_SECONDS = 10.0  # after a call's limit
_DEEPEST = 20  # requests within callbacks within requests
_SHARE = 0.75  # of its memory that the examiner may hold when it takes in another large value
_PAGE = resource.getpagesize()
_SHORTEST = 0.05  # seconds that a call has, however late it is in its cell


class Remote:
    """The connection to one student's side; handles stay good from one test cell to the next.

    Attributes:
        state: "alive", or why the student can't be asked any more: "time", "crash", "broken", "memory", or what the
            host said.
    """

    def __init__(self) -> None:
        self.state, self._why = "closed", "no session was lent"
        self.call_seconds = 60.0
        self.cell_deadline: float | None = None  # monotonic; None between cells
        self.is_hidden: Callable[[], bool] | None = None  # whether a hidden test asks; None: there is none in the cell
        self._sock: socket.socket | None = None
        self._lock = threading.RLock()
        self._handles: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
        self._free: list = []  # [number, how often it came] of handles that nobody holds any more
        self._forget: list[int] = []  # graphs
        self._callbacks: dict[int, object] = {}  # functions of ours by number
        self._numbers: dict[int, int] = {}  # by id of such a function: a place in memory is nobody else's business
        self._last_number = 0
        self._pages, self._most_pages = _pages(), None  # what the template has made is nobody's
        self._depth = 0
        self._deadline = 0.0
        self.before: Callable[[], None] | None = None  # called before each request, outside of which it makes none

    def connect(
        self, sock: socket.socket, call_seconds: float, cell_seconds: float, memory_mb: float | None = None
    ) -> None:
        """Use this socket for one cell; `memory_mb` is what this process may have, if there is a limit."""
        self._most_pages = None if memory_mb is None else _SHARE * memory_mb * 2**20 / _PAGE
        self._sock, self.state = sock, "alive"
        self.call_seconds, self.cell_deadline = call_seconds, time.monotonic() + cell_seconds

    def absent(self, why: str) -> None:
        """There is no session any more: every use of a student's name says so."""
        self._sock, self.state, self._why = None, "gone", why

    def disconnect(self) -> tuple[list, float]:
        """Tell the other side that the cell is over; its outputs, and the processor time that it says it took."""
        said, cpu = [], 0.0
        if self.state == "alive":
            try:
                self.cell_deadline = None
                reply, _ = self._exchange({"op": "done"}, [], GRACE_SECONDS)
                said, cpu = reply.get("said"), reply.get("cpu")
                if type(said) is not list or type(cpu) not in (int, float) or not 0 <= cpu < 1e9:
                    self._end("broken", "it ended the examination in a way of its own")
            except StudentGone:
                said, cpu = [], 0.0
        self._callbacks.clear()
        self._numbers.clear()
        self.is_hidden = None
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        return said, cpu

    def bind(self, names: list[str]) -> dict[str, object]:
        """The student's values for these names; those that there are none for are left out."""
        try:
            values = self.request("bind", names)
        except StudentError as error:  # no code of the student's is asked for anything here
            self._end("broken", f"its names could not be had: {error}")
        if type(values) is not dict:
            self._end("broken", "it gave no names")
        return {name: values[name] for name in names if name in values}

    def request(self, op: str, *operands, **extra) -> object:
        """Have something done, and what came of it as a value.

        Raises:
            StudentError: the student's code raised.
            StudentGone: there is no student's side any more.
            TypeError: an operand can't travel.
        """
        with self._lock:
            if self.before is not None:
                self.before()
            encoder = Encoder(self._other)
            try:
                tree = encoder.encode(list(operands))
            except TooMuchError as error:
                raise TypeError(f"this can't be handed to the student's code: {error}") from None
            free, forget = _taken(self._free), _taken(self._forget)
            torch = sys.modules.get("torch")
            grad = torch is None or torch.is_grad_enabled()
            message = {"op": op, "v": tree, "t": encoder.parts, "free": free, "forget": forget, "grad": grad, **extra}
            if self.is_hidden is not None and self.is_hidden():
                message["hidden"] = True
            reply, blob = self._exchange(message, encoder.pieces, self._seconds())
            try:
                return self._value(reply, blob, encoder.tracked if grad else [])
            except (StudentError, StudentGone, KeyboardInterrupt):
                raise
            except wire.BrokenWireError as error:
                self._end("broken", str(error))
            except Exception as error:  # whatever the garbage led to
                self._end("broken", f"its answer led to {type(error).__name__}: {error}"[:500])

    def _seconds(self) -> float:
        left = self.call_seconds
        if self.cell_deadline is not None:
            left = min(left, self.cell_deadline - time.monotonic())
        if self._depth:
            left = min(left, self._deadline - GRACE_SECONDS - time.monotonic())
        return max(left, _SHORTEST)

    def _exchange(self, message: dict, pieces: list, seconds: float) -> tuple[dict, object]:
        """Send a request and wait for its reply; meanwhile call what the student's side wants called."""
        if self.state != "alive":
            raise StudentGone(self._why)
        if self._depth >= _DEEPEST:
            self._end("broken", f"calls within calls, {_DEEPEST} deep")
        outer = self._deadline
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        self._deadline = min(deadline, outer) if self._depth else deadline
        self._depth += 1
        try:
            with self._interrupt_later() as now:
                wire.send(self._sock, {**message, "seconds": seconds}, pieces, self._deadline)
                while True:
                    reply, blob = wire.receive(self._sock, self._deadline, self._room)
                    if reply.get("op") != "callback":
                        return reply, blob
                    with now():
                        answer, data = self._called_back(reply, blob)
                    wire.send(self._sock, answer, data, self._deadline)
        except TimeoutError:
            self._end("time", f"a call had not ended {GRACE_SECONDS:g} s after its limit")
        except wire.HungUpError:
            self._end("crash", "its process is gone")
        except wire.NoRoomError as error:
            self._end("memory", f"it sent {error}, and what it had sent before is still in use")
        except wire.BrokenWireError as error:
            self._end("broken", str(error))
        finally:
            self._depth -= 1
            self._deadline = outer

    def _room(self, count: int) -> bool:
        """Whether this many bytes more leave the tests room: a student's values must not end the examiner."""
        return self._most_pages is None or _pages() - self._pages + count / _PAGE < self._most_pages

    def _end(self, state: str, why: str) -> None:
        self.state, self._why = state, why
        raise StudentGone(why)

    def _value(self, reply: dict, blob, inputs: list) -> object:
        error = reply.get("error")
        if error is not None:
            raise student_error(error, self.call_seconds)
        decoder = Decoder(reply.get("t"), blob, self._handle)
        outputs = decoder.tensors()
        graph = reply.get("graph")
        if outputs and type(graph) is int and sys.modules["torch"].is_grad_enabled():
            from classroom.inside.examine.gradients import tracked

            for index, tensor in zip(outputs, tracked(self, graph, list(outputs.values()), inputs), strict=True):
                decoder.replace(index, tensor)
        elif type(graph) is int:
            self._forget.append(graph)
        if type(reply.get("names")) is dict:
            return {name: decoder.decode(tree) for name, tree in reply["names"].items()}
        return decoder.decode(reply.get("v"))

    def travels(self, value: object) -> bool:
        """Whether a value can be sent."""
        try:
            Encoder(self._other).encode(value)
        except (TooMuchError, TypeError):
            return False
        return True

    def withdraw(self, functions: list) -> None:
        """The student's side may call these functions of ours no longer."""
        for function in functions:
            self._callbacks.pop(self._numbers.pop(id(function), 0), None)

    def forget(self, graph: int) -> None:
        """The graph of a call is not needed any more."""
        self._forget.append(graph)

    def _handle(self, tree: dict) -> Handle:
        number = tree.get("h")
        if type(number) is not int:
            raise wire.BrokenWireError("a value of no known kind")
        handle = self._handles.get(number)
        if handle is None:
            handle = self._handles[number] = made_handle(self, number, tree)
            weakref.finalize(handle, self._free.append, [number, 1]).atexit = False
        else:
            self._free.append([number, 1])  # it holds the object by the first time that it came
        return handle

    def _other(self, value: object) -> dict:
        """What of ours can't travel by value: a handle goes back, a function of ours can be called from there."""
        if isinstance(type(value), type) and issubclass(type(value), Handle):
            return {"h": Handle.number.__get__(value)}
        if (public := _public(value)) is not None:
            return {"public": public}
        if callable(value) and not isinstance(value, type) and not hasattr(value, "state_dict"):
            if id(value) not in self._numbers:
                self._last_number += 1
                self._numbers[id(value)], self._callbacks[self._last_number] = self._last_number, value
            # A function of a hidden test may have a name that says what is tested.
            name = "function" if self.is_hidden is not None else getattr(value, "__name__", "function")
            return {"callback": self._numbers[id(value)], "name": str(name)[:200]}
        raise TypeError(
            f"a {type(value).__name__} can't be handed to the student's code: expected numbers, texts, collections, "
            "arrays, tensors, functions, or what `deeppractice.checks.build` makes"
        )

    def _called_back(self, message: dict, blob) -> tuple[dict, list]:
        """Call a function of ours for the student's side."""
        decoder = Decoder(message.get("t"), blob, self._handle)
        operands = decoder.decode(message.get("v"))
        if type(operands) is not list or list(map(type, operands)) != [int, list, dict]:
            raise wire.BrokenWireError("a callback that is none")
        number, arguments, settings = operands
        encoder = Encoder(self._other)
        try:
            if number not in self._callbacks:
                raise RuntimeError("the test cell whose function this was is over")
            value = encoder.encode(self._callbacks[number](*arguments, **settings))
            return {"op": "result", "v": value, "t": encoder.parts}, encoder.pieces
        except StudentGone:
            raise
        except BaseException as error:
            # The name of a builtin that the student's side may catch; our own text: it is the test's code that spoke.
            kind = next((k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins"), "Exception")
            return {"op": "result", "error": {"name": kind, "text": str(error)[:2000]}}, []

    @contextmanager
    def _interrupt_later(self):
        """Keep SIGINT (the cell's limit, in this process) for the end, so that frames are read as a whole.

        Yields a context in which it is let through, for callbacks.
        """
        if threading.current_thread() is not threading.main_thread():
            yield _nothing
            return
        kept: list = []
        before = signal.signal(signal.SIGINT, lambda *caught: kept.append(caught))

        @contextmanager
        def let_through():
            signal.signal(signal.SIGINT, before)
            try:
                yield
            finally:
                signal.signal(signal.SIGINT, lambda *caught: kept.append(caught))

        try:
            yield let_through
        finally:
            signal.signal(signal.SIGINT, before)
        if kept and callable(before):
            before(*kept[0])


def _pages() -> int:
    """Pages of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])


def _taken(waiting: list) -> list:
    """What is in a list that grows by itself, taken out of it."""
    taken = waiting[:]
    del waiting[: len(taken)]
    return taken


@contextmanager
def _nothing():
    yield


def _public(value: object) -> str | None:
    """Where an importable function or class is found, as "package.module:name"."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not callable(value) or type(name) is not str or "<" in name:
        return None
    for module in (getattr(value, "__module__", None), "builtins", "torch", "torch.nn.functional", "numpy", "math"):
        if type(module) is not str or module.startswith("__") or module.split(".")[0] == "classroom":
            continue
        thing = sys.modules.get(module)
        for part in name.split("."):
            thing = getattr(thing, part, None)
        if thing is value:
            return f"{module}:{name}"
    return None
