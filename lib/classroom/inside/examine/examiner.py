"""The process in which test cells run: no code of the student's runs here.

`Examiner(shell).serve(sock)` answers the host on the examiner's job socket, in the frames of `classroom.inside.shell`:
four bytes of length (big endian) and JSON. What the host does for a test cell:

1. `{"op": "lend"}`, the whole frame in one `socket.send_fds(sock, [frame], [fd])`, where `fd` is the host's own end of
   the student's job socket (the kernel makes the duplicate). There is no reply. The student's shell must be idle, that
   is, waiting for a request; until the reply to 2. has come the host neither reads nor writes that socket.
2. `{"op": "examine", "id": n, "source": str, "seconds": float, "call_seconds": float, "names": [...],
   "supplied": [[id, source], ...], "hidden": [[first, last], ...], "rebinds": [...], "memory_mb": int, "seed": int}`.
   `rebinds` are names of the student's that the cell itself deletes or gives another value; `memory_mb`, which may be
   missing, is the limit of this process. The examiner itself sends the student's shell the frame `{"op": "answer"}`
   and, at the end, "done", after which that shell waits for the host's next request as before. The examiner closes its
   duplicate before it replies; so each "examine" wants a "lend" of its own. One without it is for a session that is
   over: every use of a student's name raises StudentGone then; `"gone": reason` is an optional word for why.
3. The reply: `{"id", "outputs", "status", "seconds", "cpu"}` as of op "run", and
   "checks": [{"name", "points", "passed", "hint", "error", "hidden"}, ...],
   "said": the student's outputs during calls (nbformat dicts as they came: the host cleans and caps them),
   "said_cpu": seconds of processor time that the student's side says it used,
   "student": "alive", or why it can't be used any more: "time" (a call did not end 10 s after its limit), "crash" (it
   hung up), "broken" (it sent what no shell of ours sends), "memory" (more than there is room for). Where it is not
   "alive" the host ends the student's session: its socket is out of step.
   Or `{"id", "fault": text}`: a supplied cell failed (the text names it), or we did. No verdict then; the job is an
   infra-error.

The host waits at most `seconds` + 30 s for the reply, and rather more for the first one, in which supplied cells run:
each of these has `seconds` too. Op "run" works here as in a shell.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import struct
import sys
import traceback

from classroom.inside.examine.answers import Answers  # noqa: F401  (the student's side is another fork: imported once)
from classroom.inside.examine.handles import StudentGone
from classroom.inside.examine.remote import Remote

_HEAD = struct.Struct(">I")
_LARGEST_REQUEST = 1 << 28
_NOTHING = object()  # where a name is unbound


class SuppliedCellError(Exception):
    """A cell of the instructor's own did not run here: an error of ours, never a verdict."""


class Examiner:
    """The loop, and what `deeppractice.checks` asks while a test cell runs (see `checks._examiner`).

    Args:
        shell: the `classroom.inside.shell.Shell` of this process.
    """

    def __init__(self, shell) -> None:
        self.shell, self.remote = shell, Remote()
        self._bound: dict[str, object] = {}
        self._watched: dict[str, object] = {}
        self._kept: dict[str, object] = {}  # what tests bound to a student's name and the student's side can't have
        self._lent: socket.socket | None = None
        self._begin("", [], 0)

    def serve(self, sock: socket.socket) -> None:
        """Answer the host until it hangs up."""
        while (request := self._receive(sock)) is not None:
            op = request.get("op")
            if op == "lend":
                continue  # `_receive` has kept the descriptor
            if op == "run":
                reply = self.shell.run(request["source"], request["seconds"])
            elif op == "examine":
                reply = self._examine(request)
            else:
                reply = {"fault": f"expected op lend, examine or run, got {op!r}"}
            body = json.dumps(reply | {"id": request.get("id")}, ensure_ascii=False).encode("utf-8", "replace")
            sock.sendall(_HEAD.pack(len(body)) + body)

    def _examine(self, request: dict) -> dict:
        lent, self._lent = self._lent, None
        try:
            return self.examine(request, lent)
        except SuppliedCellError as error:
            return {"fault": str(error)}
        except Exception:
            return {"fault": "the examiner failed: " + traceback.format_exc()}
        finally:
            if lent is not None:
                lent.close()

    def examine(self, request: dict, lent: socket.socket | None) -> dict:
        """Run one test cell; `lent` is an end of the student's job socket, if there is still a session."""
        for name, source in request.get("supplied", []):
            self._supply(name, source, request["seconds"])
        remote, names = self.remote, self.shell.ip.user_ns
        self._begin(request["source"], request.get("hidden", []), request.get("seed", 0))
        if lent is None:
            remote.absent(request.get("gone") or "the session of the student's code is over")
        else:
            body = json.dumps({"op": "answer"}).encode()
            with contextlib.suppress(OSError):  # the first request finds that it has hung up
                lent.sendall(_HEAD.pack(len(body)) + body)
            remote.connect(lent, request["call_seconds"], request["seconds"], request.get("memory_mb"))
        self._bind(request.get("names", []), names)
        self._watch(request.get("rebinds", []))
        if self._hidden:
            remote.is_hidden = lambda: self._are_hidden(self.lines(sys._getframe(2)))
        self._seed_locally(request["source"])
        checks = sys.modules.get("deeppractice.checks")
        if checks is None and "deeppractice" in request["source"]:
            with contextlib.suppress(ImportError):  # then the cell's own import says so
                import deeppractice.checks as checks  # the hook has to be there before that
        if checks is not None:
            checks._examiner = self
        try:
            reply = self.shell.run(request["source"], request["seconds"])
        finally:
            if checks is not None:
                checks._examiner = None
            with contextlib.suppress(StudentGone):  # the reply says so
                self._mirror()
            remote.before = None
        said, cpu = remote.disconnect()
        return reply | {"checks": self._checks, "said": said, "said_cpu": cpu, "student": remote.state}

    def _begin(self, source: str, hidden: list, seed: int) -> None:
        self._checks: list[dict] = []
        self._hidden, self._seed = hidden, seed
        lines = source.splitlines()
        # IPython takes empty lines at the beginning away; under a cell magic it counts the lines of the rest.
        self._skipped = next((n for n, line in enumerate(lines) if line.strip()), 0)
        self._magic = source.lstrip().startswith("%%")

    def _supply(self, name: str, source: str, seconds: float) -> None:
        """Run a cell of the instructor's; what it puts out was seen where the student's notebook ran."""
        reply = self.shell.run(source, seconds)
        if reply["status"] != "ok":
            errors = [output for output in reply["outputs"] if output["output_type"] == "error"]
            told = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else reply["status"]
            raise SuppliedCellError(f"the supplied cell {name!r} failed where the tests run: {told}")
        self.shell.ip.user_ns.update(self._bound)  # a stub of the cell's must not hide a student's function

    def _bind(self, names: list[str], namespace: dict) -> None:
        """Put the student's names into the namespace; what the student's session lacks is unbound here, too."""
        if not names:
            return
        try:
            found = self.remote.bind(names)
        except StudentGone:
            # Handles that were bound before raise by themselves; for names that were not, there is nothing.
            found = {name: self._bound[name] if name in self._bound else _Gone(self.remote) for name in names}
        for name in names:
            if name in found or namespace.get(name) is not self._kept.get(name, _NOTHING):
                namespace.pop(name, None)
            self._bound.pop(name, None)
        namespace.update(found)
        self._bound.update(found)

    def _watch(self, names: list[str]) -> None:
        """From now on let the student's side have what the cell does to these names, as in one process."""
        self._watched = {name: self.shell.ip.user_ns.get(name, _NOTHING) for name in names}
        self.remote.before = self._mirror if names else None

    def _mirror(self) -> None:
        """Tell the student's side which of the watched names are bound otherwise than when it was last told."""
        before, namespace = self._watched, self.shell.ip.user_ns
        now = {name: namespace.get(name, _NOTHING) for name in before}
        changed = {name: value for name, value in now.items() if value is not before[name]}
        if not changed or self.remote.state != "alive":
            return
        sent = {name: value for name, value in changed.items() if value is not _NOTHING and self.remote.travels(value)}
        # An object that can't travel stays here, for the tests; there its name is unbound, rather than what it was.
        self._kept |= {name: value for name, value in changed.items() if value is not _NOTHING and name not in sent}
        self.remote.before, self._watched = None, now
        try:
            self.remote.request("rebind", sent, [name for name in changed if name not in sent])
        finally:
            self.remote.before = self._mirror

    def _seed_locally(self, *texts: object) -> None:
        """Fix the randomness of this process for the cell, so that a regrade repeats the grade."""
        number = self.fresh_seed("/".join(map(str, texts)))
        random.seed(number)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(number)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(number)

    # What `deeppractice.checks` asks

    def outcome(self, outcome, lines: list[int]) -> None:
        """Take in what a check found; `lines` are those of the cell that lead to it."""
        told = {name: getattr(outcome, name) for name in ("name", "points", "passed", "hint", "error")}
        self._checks.append(told | {"hidden": self._are_hidden(lines)})

    def _are_hidden(self, lines: list[int]) -> bool:
        """Whether the lines that led somewhere are a hidden test's; where it can't be told, they are."""
        if not self._hidden:
            return False
        lines = [line + self._skipped for line in lines]
        hidden = any(first <= line <= last for line in lines for first, last in self._hidden)
        return hidden or self._magic or not lines

    def lines(self, frame) -> list[int]:
        """The lines of the test cell's own code that a frame and its callers are at."""
        found, namespace = [], self.shell.ip.user_ns
        while frame is not None:
            if frame.f_globals is namespace:
                found.append((frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno))
            frame = frame.f_back
        cell = next((file for file, name, _ in reversed(found) if name == "<module>"), None)
        return [line for file, _, line in found if file == cell]

    def seed(self, number: int) -> None:
        """Seed where the student's code runs."""
        self.remote.request("seed", number)

    def build(self, path: str, settings: dict) -> object:
        """Make an object of public code where the student's code runs."""
        return self.remote.request("build", path, settings)

    def fresh_seed(self, name: str) -> int:
        """A number for the class and this name."""
        return int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest()[:4], "big")

    @contextlib.contextmanager
    def patch(self, namespace: dict, replacements: dict):
        """Replace names on both sides."""
        theirs = self.remote.request("has", list(replacements)) if replacements else []
        missing = [name for name in replacements if name not in theirs and name not in namespace]
        if missing:
            raise NameError(f"patch: the notebook does not define {', '.join(missing)}")
        before = {name: namespace[name] for name in replacements if name in namespace}
        self.remote.request("patch", {name: value for name, value in replacements.items() if name in theirs})
        namespace.update(replacements)
        try:
            yield
        finally:
            for name in replacements:
                namespace.pop(name, None)
            namespace.update(before)
            if self.remote.state == "alive":  # else there is nothing to restore
                self.remote.request("unpatch")
            # A reference must not stay within reach of the part that it stands for, which is tested elsewhere.
            self.remote.withdraw(list(replacements.values()))

    def _receive(self, sock: socket.socket) -> dict | None:
        """A frame from the host; the descriptor that one brings is kept."""
        head = b""
        while len(head) < _HEAD.size:
            piece, fds, _, _ = socket.recv_fds(sock, _HEAD.size - len(head), 1)
            for fd in fds:
                if self._lent is not None:
                    self._lent.close()
                self._lent = socket.socket(fileno=fd)
            if not piece:
                return None
            head += piece
        (length,) = _HEAD.unpack(head)
        if length > _LARGEST_REQUEST:
            raise ValueError(f"a request of {length} bytes")
        body = bytearray()
        while len(body) < length:
            piece = sock.recv(min(length - len(body), 1 << 18))
            if not piece:
                return None
            body += piece
        return json.loads(body)


class _Gone:
    """Stands for a student's name where there is no session: every use says so."""

    def __init__(self, remote: Remote) -> None:
        object.__setattr__(self, "_remote", remote)

    def __getattr__(self, name: str):
        raise StudentGone(object.__getattribute__(self, "_remote")._why)

    def _use(self, *_, **__):
        raise StudentGone(object.__getattribute__(self, "_remote")._why)

    __call__ = __iter__ = __len__ = __getitem__ = __bool__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = _use
    __float__ = __int__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __enter__ = __exit__ = _use
    __repr__ = __str__ = __format__ = __hash__ = _use
