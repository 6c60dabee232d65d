"""A control group for each submission: memory and processes of all that it starts, counted together by the kernel.

Where the processor can be shared out too, each submission has one share, however many processes it starts: otherwise
one with 256 busy ones would leave its neighbours so little that their cells meet the time limit.

Works with version 1 (memory and pids controllers) and version 2 (where both are delegated to us, or we are root), as
far as the hierarchy is writable; where it is not, `Group.create` returns None and rlimits with a watchdog stand in.

Source: Linux, Documentation/admin-guide/cgroup-v1/{cgroups,memory,pids}.rst and cgroup-v2.rst.
"""

import contextlib
import itertools
import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from classroom.sandbox import owners
from classroom.sandbox.policy import Limits

_PREFIX = "classroom"
_WANTED = frozenset({"memory", "pids"})
_SHARED = "cpu"  # where it can be had; a new group has the same weight as any other
_HOST = f"{_PREFIX}.host"
_numbers = itertools.count()
_lock = threading.Lock()
_places: "list[tuple[str, Path]] | None" = None  # (controller, or "v2"; folder to make groups in), found once a process


@dataclass(frozen=True)
class Used:
    """What a group has used so far."""

    memory_mb: float  # at its highest
    oom_kills: int  # processes killed for going over the memory limit
    processes: int  # at its highest where the kernel says, else now
    refused: int  # forks refused for going over the limit of processes


@dataclass
class Group:
    """A group of one submission; close it when the submission has ended.

    Attributes:
        places: the group's folders, by controller ("memory" and "pids", or "v2" for both).
        procs_fds: its opened cgroup.procs files. A child that writes "0" to each has entered, whatever its uid is,
            because the kernel asks who opened the file; it does so before it unshares anything.
    """

    places: dict[str, Path]
    procs_fds: list[int] = field(default_factory=list)
    _closed: bool = False

    @classmethod
    def create(cls, limits: Limits) -> "Group | None":
        """A new group with these limits, or None where no cgroup with memory and pids can be made."""
        name = f"{_PREFIX}.{owners.mark()}.{next(_numbers)}"
        places: dict[str, Path] = {}
        for controller, base in _bases():
            place = base / name
            try:
                place.mkdir()
                places[controller] = place
                _limit(controller, place, limits)
            except OSError:
                if controller == _SHARED:  # nice to have
                    continue
                for made in places.values():
                    made.rmdir()
                return None
        if not places:
            return None
        group = cls(places)
        try:
            group.procs_fds = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in group.procs]
        except OSError:
            group.close()
            return None
        return group

    @property
    def procs(self) -> list[Path]:
        """The cgroup.procs files, for a wrapper that enters before it becomes the program."""
        return [place / "cgroup.procs" for place in self.places.values()]

    def usage(self) -> Used:
        """What has been used so far, by all processes together."""
        if "v2" in self.places:
            place = self.places["v2"]
            peak = _number(place / "memory.peak") or _number(place / "memory.current")  # peak: since Linux 5.19
            ooms, pids = _keyed(place / "memory.events", "oom_kill"), place
        else:
            place, pids = self.places["memory"], self.places["pids"]
            peak = _number(place / "memory.max_usage_in_bytes")
            ooms = _keyed(place / "memory.oom_control", "oom_kill")
        processes = _number(pids / "pids.peak") or _number(pids / "pids.current")
        return Used(peak / 2**20, ooms, processes, _keyed(pids / "pids.events", "max"))

    def members(self) -> list[int]:
        """The processes in it now, by their numbers in our PID namespace."""
        found: set[int] = set()
        for path in self.procs:
            try:
                found.update(int(line) for line in path.read_text().split())
            except FileNotFoundError:  # closed meanwhile
                continue
        return sorted(found - {0})

    def kill(self, seconds: float = 10) -> None:
        """Kill all that is in it and wait until it is empty, at most so long."""
        deadline = time.monotonic() + seconds
        pause = 0.001
        while True:
            for place in self.places.values():
                killer = place / "cgroup.kill"  # version 2 since Linux 5.14: all at once, forks included
                if killer.exists():
                    killer.write_text("1")
            members = self.members()
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if not members or time.monotonic() > deadline:
                return
            time.sleep(pause)
            pause = min(pause * 2, 0.1)

    def close(self) -> None:
        """Kill what is in it and remove it; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for fd in self.procs_fds:
            os.close(fd)
        self.procs_fds = []
        self.kill()
        for place in self.places.values():
            _remove(place)

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def kind() -> str:
    """What limits memory on this machine, in words: cgroup v1, cgroup v2 or none."""
    places = _bases()
    if not places:
        return "none"
    return "cgroup v2" if places[0][0] == "v2" else "cgroup v1"


def _limit(controller: str, place: Path, limits: Limits) -> None:
    memory, processes = str(limits.memory_mb << 20), str(limits.processes)
    if controller == "v2":
        (place / "memory.max").write_text(memory)
        _write_if_there(place / "memory.swap.max", "0")
        _write_if_there(place / "memory.oom.group", "1")  # a submission without some of its processes is of no use
    if controller == "memory":
        (place / "memory.limit_in_bytes").write_text(memory)
        _write_if_there(place / "memory.memsw.limit_in_bytes", memory)  # memory and swap together
    if controller in ("pids", "v2"):
        (place / "pids.max").write_text(processes)


def _write_if_there(path: Path, text: str) -> None:
    if path.exists():
        path.write_text(text)


def _bases() -> list[tuple[str, Path]]:
    """Where groups can be made; found, and cleared of what dead owners left, once in a process."""
    global _places
    with _lock:
        if _places is None:
            _places = find(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
            for _, base in _places:
                _sweep(base)
        return _places


def find(cgroup: str, mountinfo: str) -> list[tuple[str, Path]]:
    """Where groups can be made, from the text of /proc/self/cgroup and /proc/self/mountinfo; empty where nowhere."""
    own: dict[str, str] = {}  # controller -> our own group's path; "" for version 2
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    mounts: dict[str, tuple[Path, str]] = {}  # controller -> (mount point, which group is mounted there)
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        root, point = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            mounts.setdefault("", (Path(_unescape(point)), _unescape(root)))
        elif kind == "cgroup":
            for option in options.split(","):
                mounts.setdefault(option, (Path(_unescape(point)), _unescape(root)))

    def here(controller: str) -> list[Path]:
        """Our own group first, the top of what is mounted second."""
        if controller not in own or controller not in mounts:
            return []
        point, root = mounts[controller]
        inner = os.path.relpath(own[controller], root)
        return list(dict.fromkeys([point if inner.startswith("..") else point / inner, point]))

    version_1: list[tuple[str, Path]] = []
    for controller in ("memory", "pids"):
        version_1 += [(controller, place) for place in here(controller) if os.access(place, os.W_OK)][:1]
    if len(version_1) == 2:
        shared = [(_SHARED, place) for place in here(_SHARED) if os.access(place, os.W_OK)][:1]
        return [*version_1, *shared]
    for place in here(""):
        if place.name == _HOST:  # a process of ours moved us here already
            place = place.parent
        if os.access(place, os.W_OK) and _delegate(place):
            _delegate(place, frozenset({_SHARED}))
            return [("v2", place)]
    return []


def _delegate(place: Path, wanted: frozenset[str] = _WANTED) -> bool:
    """Version 2: hand memory and pids on to the groups made below; one that does may hold no processes itself."""
    control = place / "cgroup.subtree_control"
    try:
        if not wanted <= set((place / "cgroup.controllers").read_text().split()):
            return False
        if wanted <= set(control.read_text().split()):
            return True
        try:
            control.write_text(" ".join(f"+{name}" for name in sorted(wanted)))
        except OSError:
            # EBUSY: we and others stand in it ourselves. It is ours, so all move into a leaf beside the submissions.
            leaf = place / _HOST
            leaf.mkdir(exist_ok=True)
            for pid in (place / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    (leaf / "cgroup.procs").write_text(pid)
            control.write_text(" ".join(f"+{name}" for name in sorted(wanted)))
        return wanted <= set(control.read_text().split())
    except OSError:
        return False


def _sweep(base: Path) -> None:
    """Remove the groups of owners that are gone."""
    for place in base.glob(f"{_PREFIX}.*.*"):
        if owners.gone(place.name):
            Group({"v2" if (place / "cgroup.controllers").exists() else "v1": place}).close()


def _remove(place: Path, seconds: float = 5) -> None:
    """rmdir, which is refused until the kernel has done with the last process."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            place.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # the next start sweeps it away
            time.sleep(0.01)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):  # not in this kernel
        return 0


def _keyed(path: Path, key: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:  # not in this kernel
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [key]), 0)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
