"""What a command costs with everything that it starts: wall, processor time and peak memory of the whole tree.

A sandboxed process is reparented, killed and reaped elsewhere, so that its time never reaches the command's own usage.
Where a control group can be made, the command runs in one, which counts all of them; else what was waited for counts.
Memory is the sum of each process's share (PSS) every half second, so that forks of one template are not counted twice.
"""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

V1 = Path("/sys/fs/cgroup/cpuacct")
V2 = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
EVERY = 0.5  # seconds between two looks at the memory


@dataclass
class Cost:
    """Seconds of wall and processor time, and megabytes at the peak."""

    wall: float
    cpu: float
    memory_mb: float


def run(command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: if it fails, with the end of what it said.
    """
    with _group() as group, open(cwd / "benchmark.log", "w+") as log:

        def enter() -> None:
            if group is not None:
                (group / "cgroup.procs").write_text("0")

        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log, preexec_fn=enter)
        peak = _Peak(process.pid, group)
        code = process.wait()
        wall = time.perf_counter() - began
        peak.stop()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        waited_for = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        cpu = _seconds(group) if group is not None else waited_for
        if code:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{log.read()[-3000:]}")
    return Cost(wall, cpu, peak.megabytes)


def counted_by() -> str:
    """How processor time is counted on this machine."""
    with _group() as group:
        return "processes waited for" if group is None else "control group"


class _Peak:
    """Looks at the memory of a process and what it started, in a thread, until it is stopped."""

    def __init__(self, pid: int, group: Path | None) -> None:
        self.megabytes = 0.0
        self._pid, self._group = pid, group
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY):
            self.megabytes = max(self.megabytes, sum(map(_share, self._pids())) / 1024)

    def _pids(self) -> list[int]:
        if self._group is not None:
            return [int(pid) for pid in (self._group / "cgroup.procs").read_text().split()]
        try:
            process = psutil.Process(self._pid)
            return [process.pid, *(child.pid for child in process.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []


def _share(pid: int) -> int:
    """A process's proportional share of memory in kB; nothing of one that has ended or is not ours to look at."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


@contextlib.contextmanager
def _group() -> Iterator[Path | None]:
    """A new control group that counts processor time, or None where none can be made."""
    name = f"benchmark-{os.getpid()}"
    places = [V1 / name] if (V1 / "cpuacct.usage").exists() else []
    places += [place / name for place in V2 if (place / "cgroup.controllers").exists()]
    for place in places:
        try:
            place.mkdir()
            (place / "cgroup.procs").open("w").close()
        except OSError:
            continue
        try:
            yield place
        finally:
            _remove(place)
        return
    yield None


def _remove(place: Path) -> None:
    """Remove a group once what was killed in it is gone."""
    for _ in range(100):
        try:
            place.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def _seconds(group: Path) -> float:
    usage = group / "cpuacct.usage"
    if usage.exists():
        return int(usage.read_text()) / 1e9
    lines = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(lines["usage_usec"]) / 1e6
