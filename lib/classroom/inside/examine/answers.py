"""The student's side of an examination: it answers what the examiner asks about the student's names.

All of this runs in the student's process, and nothing that it says is believed: it is there so that an honest notebook
can be examined. The examiner's own frames are trusted.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import time
from contextlib import contextmanager, nullcontext

from classroom.inside.examine import deeds, wire
from classroom.inside.examine.claims import claims
from classroom.inside.examine.rebuilt import Decoder
from classroom.inside.examine.saying import turn
from classroom.inside.examine.values import Encoder, TooMuchError

MOST_MESSAGE = 2000  # characters of an exception's
_LAST_SECONDS = 10.0  # for what is shown at the end: figures that calls left open


class Answers:
    """What the student's process keeps for the examiner: handles, graphs of calls, replaced names.

    Args:
        shell: the `classroom.inside.shell.Shell` in whose session the student's cells ran.
    """

    def __init__(self, shell) -> None:
        self.shell = shell
        self._sock, self._pid = None, os.getpid()
        self._objects: dict[int, list] = {}  # number -> [object, how often it was sent, claims]
        self._numbers: dict[int, int] = {}  # id of an object in there -> its number
        self._next = 0
        self._graphs: dict[int, tuple[list, list]] = {}  # of calls: the inputs' leaves, the outputs
        self._patches: list[dict] = []
        self._depth = 0
        self._talking = self._rang = False
        self._hidden = False  # whether a hidden test asks

    def serve(self, sock: socket.socket) -> None:
        """Answer until the examiner is done, or has gone away."""
        self._sock, self._pid = sock, os.getpid()
        self._cpu = time.process_time()
        self.shell.recorder.start()
        self._hidden = False
        turn(self.shell.recorder, False)
        try:
            while True:
                message, blob = wire.receive(sock)
                if message["op"] == "done":
                    return wire.send(sock, self._done())
                self._answer(message, blob)
        except wire.HungUpError:
            return None  # the shell finds the end of its socket itself
        finally:
            self._sock = None

    def _done(self) -> dict:
        while self._patches:
            self._do_unpatch()
        shell = self.shell
        shell.capture.arm(_LAST_SECONDS)
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            shell.ip.events.trigger("post_execute")
        except BaseException as error:  # the student's own hooks
            shell.recorder.stream("stderr", f"{type(error).__name__}\n")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            shell.capture.disarm()
        shell.capture.flush()
        return {"said": shell.recorder.finish(), "cpu": time.process_time() - self._cpu}

    def _answer(self, message: dict, blob) -> None:
        """Do what one request asks for, and reply."""
        for number, times in message.get("free", ()):
            self._free(number, times)
        for graph in message.get("forget", ()):
            self._graphs.pop(graph, None)
        if bool(message.get("hidden")) is not self._hidden:
            self._hidden = not self._hidden
            self.shell.capture.flush()
            turn(self.shell.recorder, self._hidden)
        encoder = Encoder(self._handle)
        reply: dict
        try:
            with self._limited(message["seconds"]), self._grad_mode(message.get("grad", True)):
                reply = self._reply(message, blob, encoder)
        except BaseException as error:
            encoder = Encoder(self._handle)
            reply = self._error(error)
        with self._uninterrupted():
            wire.send(self._sock, {**reply, "t": encoder.parts}, encoder.pieces)

    def _reply(self, message: dict, blob, encoder: Encoder) -> dict:
        decoder = Decoder(message["t"], blob, self._own)
        leaves = list(decoder.tensors().values())
        for leaf in leaves:
            leaf.requires_grad_()
        operands = decoder.decode(message["v"])
        op = message["op"]
        try:
            if op == "bind":
                names = self.shell.ip.user_ns
                found = {name: encoder.attempt(names[name]) for name in operands[0] if name in names}
                reply = {"names": found}
            elif op in ("build", "train"):
                reply = {"v": self._handle(deeds.DEEDS[op](*operands))}
            elif op == "backward":
                reply = {"v": encoder.encode(self._backward(message["graph"], message["accumulate"], *operands))}
            else:
                deed = deeds.DEEDS.get(op) or getattr(self, f"_do_{op}")
                reply = {"v": encoder.attempt(deed(*operands))}
        except BaseException as error:
            return self._error(error)
        if encoder.tracked and op != "backward":
            self._next += 1
            self._graphs[self._next] = leaves, list(encoder.tracked)
            reply["graph"] = self._next
        return reply

    # What can be asked for

    def _do_has(self, names):
        return [name for name in names if name in self.shell.ip.user_ns]

    def _do_patch(self, replacements):
        names = self.shell.ip.user_ns
        self._patches.append({name: names[name] for name in replacements})
        names.update(replacements)

    def _do_unpatch(self):
        self.shell.ip.user_ns.update(self._patches.pop())

    def _do_rebind(self, values, deleted):
        for name in deleted:
            self.shell.ip.user_ns.pop(name, None)
        self.shell.ip.user_ns.update(values)

    def _backward(self, graph: int, accumulate: bool, gradients: list) -> list:
        """Gradients of the inputs of a call; with `accumulate` those of the student's own leaves are added up, too."""
        import torch

        leaves, outputs = self._graphs[graph]
        used = [(output, grad) for output, grad in zip(outputs, gradients, strict=True) if grad is not None]
        ends, starts = [output for output, _ in used], [grad for _, grad in used]
        if not accumulate:
            wanted = list(leaves)
            found = torch.autograd.grad(ends, wanted, starts, retain_graph=True, allow_unused=True) if wanted else ()
            return list(found)
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(ends, starts, retain_graph=True)
        return [leaf.grad for leaf in leaves]

    # Values that are no plain ones

    def _own(self, tree: dict) -> object:
        """What the examiner means: an object of ours, a function of its own, a public name."""
        if "h" in tree:
            return self._objects[tree["h"]][0]
        if "public" in tree:
            module, _, name = tree["public"].partition(":")
            thing = importlib.import_module(module)
            for part in name.split("."):
                thing = getattr(thing, part)
            return thing
        number = tree["callback"]

        def function(*arguments, **settings):
            return self._callback(number, arguments, settings)

        function.__name__ = function.__qualname__ = tree.get("name", "function")
        return function

    def _callback(self, number: int, arguments: tuple, settings: dict) -> object:
        """Have a function of the examiner's called, there."""
        if os.getpid() != self._pid:
            raise RuntimeError("a function of the test's can be called in the notebook's own process only")
        if self._sock is None:
            raise RuntimeError("the test cell whose function this was is over")
        encoder = Encoder(self._handle)
        try:
            operands = encoder.encode([number, list(arguments), settings])
        except TooMuchError as error:
            raise TypeError(f"arguments of a function of the test's: {error}") from None
        with self._uninterrupted():
            wire.send(self._sock, {"op": "callback", "v": operands, "t": encoder.parts}, encoder.pieces)
            message, blob = wire.receive(self._sock)
        while message["op"] != "result":
            self._answer(message, blob)
            with self._uninterrupted():
                message, blob = wire.receive(self._sock)
        if "error" in message:
            kind = getattr(sys.modules["builtins"], message["error"]["name"], RuntimeError)
            kind = kind if isinstance(kind, type) and issubclass(kind, Exception) else RuntimeError
            try:
                error = kind(message["error"]["text"])
            except TypeError:  # one that wants more arguments, as UnicodeDecodeError
                error = RuntimeError(message["error"]["text"])
            raise error
        return Decoder(message["t"], blob, self._own).decode(message["v"])

    def _handle(self, value: object) -> dict:
        number = self._numbers.get(id(value))
        if number is None:
            self._next += 1
            number = self._numbers[id(value)] = self._next
            self._objects[number] = [value, 0, claims(value)]
        entry = self._objects[number]
        entry[1] += 1
        return {"h": number, **entry[2]}

    def _free(self, number: int, times: int) -> None:
        if number in self._objects:
            entry = self._objects[number]
            entry[1] -= times
            if entry[1] <= 0:
                del self._objects[number], self._numbers[id(entry[0])]

    # Time

    @contextmanager
    def _limited(self, seconds: float):
        """Interrupt what is done in the block at its limit; a request within another's keeps to the outer one's."""
        if self._depth == 0:
            self._rang = False
            signal.signal(signal.SIGINT, self._ring)
            self.shell.capture.arm(seconds)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.shell.capture.disarm()

    def _ring(self, *_) -> None:
        self._rang = True
        if not self._talking:
            raise KeyboardInterrupt

    @contextmanager
    def _uninterrupted(self):
        """Frames are sent and read as a whole; the interrupt comes after."""
        before, self._talking = self._talking, True
        rang = self._rang
        try:
            yield
        finally:
            self._talking = before
        if self._rang and not rang and self._depth:
            raise KeyboardInterrupt

    def _error(self, error: BaseException) -> dict:
        if self._rang and isinstance(error, KeyboardInterrupt):
            return {"error": {"time": True}}
        try:
            text = str(error)[:MOST_MESSAGE]
        except BaseException:  # a student's class: whatever it does, there is no text
            text = ""
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        return {"error": {"name": type(error).__name__[:200], "kinds": kinds[:20], "text": text}}

    def _grad_mode(self, enabled: bool):
        torch = sys.modules.get("torch")
        return nullcontext() if torch is None else torch.set_grad_enabled(enabled)
