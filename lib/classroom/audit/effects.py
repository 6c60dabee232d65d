"""What an audit lays out to be read, reached or written over, and how it sees afterwards whether that happened.

The effect is what counts: a secret in an output, a connection that arrived, a file that is there, a process that runs,
a gradebook that says something else than the results.
"""

import contextlib
import os
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from classroom.folder import Folder
from classroom.plan import hidden_lines, hidden_marks
from classroom.sandbox import baits

MOST_LINES = 8  # of hidden tests, that are looked for
_SHORTEST = 16  # characters of such a line
# Characters of a line that are told apart from its rest. Where Python keeps the rest, the eight bytes before it are its
# hash: one character alone stands there by chance in one of 256 runs, and an audit reported that as a line found.
_APART = 6
_GRACE_SECONDS = 30.0  # above a submission's limit: its start, its end, and a busy machine
_CONTROL = "control-of-the-search-"


@dataclass
class Bait:
    """What the attacks are told: where to look, and what to leave behind."""

    root: Path  # of the course folder
    home: Path  # of the audit's own class
    canaries: list[str]  # files with the secret
    port: int
    needles: list[tuple[bytes, bytes]] = field(default_factory=list)  # lines of hidden tests: first bytes, rest
    passed: list[str] = field(default_factory=list)  # what the test cells print where all has passed
    points: list[float] = field(default_factory=list)
    secret: str = ""  # stands in the canaries and in their names, and in no text of an attack
    mark: str = ""  # stands in what an attack writes, and in the commands of its processes

    @property
    def witness(self) -> str:
        """The name of the files that attacks try to write."""
        return f"a-submission-was-here-{self.mark}"

    @property
    def found(self) -> str:
        """The word with which an attack says that it found something."""
        return f"found-{self.mark[:8]}"

    def fill(self, code: str) -> str:
        """The text of an attack with what it has to know."""
        backwards = self.mark[::-1]
        words = {
            "ROOT": repr(str(self.root)),
            "HOME": repr(str(self.home)),
            "CANARIES": repr([str(Path(path).with_name(".canary-*")) for path in self.canaries]),
            "PORT": str(self.port),
            "ABSTRACT": repr(self.mark),
            "NEEDLES": repr([_apart(f"{_CONTROL}{backwards}"), *self.needles]),
            "PASSED": repr(self.passed),
            "POINTS": repr(self.points),
            "WITNESS": repr(self.witness),
            "CONTROL": repr(backwards),
            "MARK": self.mark,
            "FOUND": self.found,
        }
        return re.sub("@([A-Z]+)@", lambda word: words.get(word[1], word[0]), code)


@contextlib.contextmanager
def laid(folder: Folder, masters: dict, released: dict, home: Path) -> Iterator[tuple[Bait, "Watch"]]:
    """Lay out the bait, and watch it.

    Args:
        folder: the audit's class.
        masters: the notebooks with hidden tests.
        released: as students have them.
        home: of the real class.
    """
    secret, mark = secrets.token_hex(16), secrets.token_hex(16)
    with (
        baits.listeners(mark) as (listeners, port),
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        baits.canaries(folder.root, secret) as readable,
    ):
        # UDP may have the same number as TCP; where somebody has it already, TCP alone is watched.
        with contextlib.suppress(OSError):
            datagrams.bind(("127.0.0.1", port))
        datagrams.setblocking(False)
        canaries = [path for path in readable if secret in path]
        bait = Bait(folder.root, folder.home, canaries, port, secret=secret, mark=mark)
        bait.needles = _needles(folder, masters, released)
        for notebook in masters.values():
            for cell in notebook.cells:
                meta = cell.metadata.get("nbgrader", {})
                if meta.get("grade") and not meta.get("solution"):
                    bait.points.append(float(meta["points"]))
                    bait.passed += [f"✓ {name}" for name in re.findall(r"check\(\s*[\"']([\w -]+)", cell.source)]
        yield bait, Watch(bait, [*listeners, datagrams], home)


def _needles(folder: Folder, masters: dict, released: dict) -> list[tuple[bytes, bytes]]:
    """Lines that stand in hidden tests only, in two parts that stand nowhere side by side."""
    marks = hidden_marks(folder)
    known = "\n".join(cell.source for notebook in released.values() for cell in notebook.cells)
    found: list[str] = []
    for notebook in masters.values():
        for cell in notebook.cells:
            lines = cell.source.split("\n")
            for first, last in hidden_lines(cell.source, marks):
                inner = [line.strip() for line in lines[first : last - 1]]
                fits = [x for x in inner if len(x) >= _SHORTEST and x[0].isalnum() and x not in known and x.isascii()]
                found += fits[:2]
    return [_apart(line) for line in found[:MOST_LINES]]


def _apart(line: str) -> tuple[bytes, bytes]:
    """A line in two parts, so that what looks for it does not find itself."""
    return line[:_APART].encode(), line[_APART:].encode()


class Watch:
    """Looks at the bait, and at what was not to change."""

    def __init__(self, bait: Bait, listeners: list[socket.socket], home: Path) -> None:
        self.bait, self.listeners = bait, listeners
        self._places = [bait.root, home, bait.home, Path.home(), Path("/"), Path("/etc"), Path("/root"), Path("/run")]
        self._places += [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
        self._places += [place / "submitted" for place in (home, bait.home)]

    def said(self, record: dict) -> list[str]:
        """What one submission's outputs show that it should not have: a list of effects in words."""
        found = []
        ran = {cell["id"]: cell for cells in record.get("cells", {}).values() for cell in cells if cell.get("id")}
        texts = []
        for notebook in record.get("notebooks", {}).values():
            for cell in notebook["cells"]:
                # The examiner's own outputs may show a hidden line: it is where they are.
                if cell["cell_type"] == "code" and ran.get(cell.get("id"), {}).get("by") != "examiner":
                    texts.append(str(cell["outputs"]))
        texts += [cell.get("said", "") for cell in ran.values()]
        text = "\n".join(texts)
        if self.bait.secret in text:
            found.append("it read a file with a secret")
        for what in sorted(set(re.findall(rf"{self.bait.found} (line \d+ in [\w/.-]+|/[^ '\"\\]+)", text))):
            number = re.match(r"line (\d+)", what)
            if number is None:
                found.append(f"it read {what}")
            elif int(number[1]):
                first, rest = self.bait.needles[int(number[1]) - 1]
                found.append(f"it found a line of the hidden tests: {(first + rest).decode()}")
        return list(dict.fromkeys(found))

    def searched(self, record: dict) -> bool:
        """Whether the search through memory found what it should have found, its own mark."""
        return f"{self.bait.found} line 0 in" in str(record.get("notebooks"))

    def outside(self) -> list[str]:
        """What was reached, written or left running outside: a list of effects in words. Once is enough."""
        names = ("TCP on this machine", "an abstract socket of this machine", "UDP on this machine")
        found = [f"{name} was reached" for name, end in zip(names, self.listeners, strict=True) if _reached(end)]
        for place in dict.fromkeys(self._places):
            for name in (self.bait.witness, f"{self.bait.mark}.pth", "usercustomize.py"):
                path = place / name
                if os.path.lexists(path) and self._ours(path):
                    found.append(f"it wrote {path}")
        if baits.marked(self.bait.mark):
            time.sleep(1)  # what is being killed
            if left := baits.marked(self.bait.mark):
                found.append(f"{len(left)} of its processes are still running: {', '.join(map(str, left))}")
        return found

    def _ours(self, path: Path) -> bool:
        if self.bait.mark in path.name:
            return True
        try:
            return self.bait.mark in path.read_text(errors="replace")
        except OSError:
            return False


def overdue(record: dict, limit: float) -> list[str]:
    """Whether a submission ran longer than its limit allows."""
    seconds = record.get("seconds") or 0
    return [f"it ran {seconds:.0f} s where {limit:.0f} s are allowed"] if seconds > limit + _GRACE_SECONDS else []


def _reached(listener: socket.socket) -> bool:
    if listener.type == socket.SOCK_DGRAM:
        try:
            return bool(listener.recv(100))
        except BlockingIOError:
            return False
    return baits.was_reached(listener)
