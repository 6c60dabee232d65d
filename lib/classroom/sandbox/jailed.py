"""A program in the cold sandbox: started with its limits, watched, and ended with everything that it started.

The thread that starts it also watches it, because bubblewrap dies with the thread that started it.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from classroom.inside.watch import families, memory_mb
from classroom.sandbox import bubblewrap, policy, seccomp
from classroom.sandbox.cgroups import Group
from classroom.sandbox.policy import Limits, SandboxError, Staged
from classroom.session import Usage

START_SECONDS = 60.0
PERIOD = 0.05  # seconds between two looks at the program
_LOG_BYTES = 20_000  # kept of what the program says on its own streams, for messages of ours
_FILES = "/opt/files"
_INODE_MB = 1 / 1024  # about what the kernel holds for a file in memory


class Jailed:
    """One program inside, with a private copy of `files` in its home.

    Args:
        argv: the program; paths as they are inside.
        limits: what it may use. Its output is not looked at here.
        variables: its environment; `policy.environment()` by default.
        files: put into the private home, by relative path.
        staged: read-only copies of ours; the caller closes it after this.
        read_only: further places, (outside, inside).
        private: further private folders, (place inside, bytes).
        group: False runs it without a cgroup even where one can be had: rlimits and the watchdog only.

    Raises:
        SandboxError: if it does not start, with what it said.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        limits: Limits,
        staged: Staged,
        variables: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        read_only: Sequence[tuple[Path, str]] = (),
        private: Sequence[tuple[str, int]] = (),
        group: bool = True,
    ) -> None:
        self.limits = limits
        self.reason = ""  # why the watchdog ended it: "time" or "memory"
        self.first = 0  # number of the first process inside (bubblewrap's own, which reaps), outside
        self._first_fd = -1
        self._process: subprocess.Popen | None = None
        self._usage = Usage()
        self._log: deque[bytes] = deque()
        self._log_bytes = 0
        self._began = time.monotonic()
        self._up, self._ended = threading.Event(), threading.Event()
        self._fault: BaseException | None = None
        self._status: int | None = None
        self._group = Group.create(limits) if group else None
        if files:
            _put(files, staged)
            read_only = [*read_only, (staged.root / "files", _FILES)]
            argv = ["/bin/sh", "-c", f'cp -R {_FILES}/. "$HOME" && chmod -R u+w "$HOME" && exec "$@"', "files", *argv]
        try:
            counted = self._group is not None
            self._filter = seccomp.descriptor(seccomp.program(allow_inet=True, shared_memory=counted))
            self._told, self._info = os.pipe()
            self._command = bubblewrap.command(
                argv,
                staged=staged,
                nested=False,
                limits=limits,
                variables=variables,
                seccomp_fd=self._filter,
                read_only=read_only,
                private=private,
                cgroup_procs=self._group.procs if self._group else (),
                counted=counted,
                info_fd=self._info,
            )
            self._keeper = threading.Thread(target=self._keep, name="sandbox", daemon=True)
            self._keeper.start()
            started = self._up.wait(START_SECONDS)
        except BaseException:
            self._drop_group()
            raise
        if not started or self._fault is not None:
            fault = self._fault
            self.close()
            if isinstance(fault, SandboxError) or fault is None:
                raise fault or SandboxError(f"the sandbox did not start in {START_SECONDS:g} s; it said: {self.said()}")
            raise SandboxError(f"the sandbox did not start: {fault}") from fault

    @property
    def running(self) -> bool:
        """Whether the program's first process is still there."""
        return not self._ended.is_set()

    @property
    def status(self) -> int | None:
        """Its exit status once it has ended; 128 + n when it died of signal n, as bubblewrap says it."""
        return self._status

    def said(self) -> str:
        """The last that the program wrote on its own standard output and error."""
        return b"".join(self._log).decode(errors="replace")[-2000:].strip()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; False if that takes longer."""
        return self._ended.wait(seconds)

    def main_pid(self) -> int | None:
        """The number, outside, of the program itself (the child of the first process inside)."""
        try:
            children = Path(f"/proc/{self.first}/task/{self.first}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def signal(self, number: int) -> None:
        """Send a signal to the program itself; nothing happens when it has ended."""
        pid = self.main_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def cpu_seconds(self) -> float:
        """Processor time used so far by the program and by those of its children that have ended."""
        total = 0
        for pid in (self.first, self.main_pid()):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += sum(map(int, fields[11:15]))
        self._usage.cpu_seconds = max(self._usage.cpu_seconds, total / os.sysconf("SC_CLK_TCK"))
        return self._usage.cpu_seconds

    def folder(self, place: str) -> int:
        """A descriptor of a folder inside; the caller closes it."""
        try:
            return os.open(f"/proc/{self.first}/root{place}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            if not self.wait(5):
                raise
            raise SandboxError(f"the program in the sandbox ended; it said: {self.said() or 'nothing'}") from None
        except PermissionError:
            raise SandboxError(
                "may not look into the sandbox's own processes; in a container, root needs the capability SYS_PTRACE "
                "for that (docker run --cap-add SYS_PTRACE)"
            ) from None

    def out_of_memory(self) -> bool:
        """Whether the memory limit was met."""
        return self.reason == "memory" or (self._group is not None and self._group.usage().oom_kills > 0)

    def kill(self) -> None:
        """End all of its processes, now, without waiting."""
        if self._first_fd >= 0:
            with contextlib.suppress(ProcessLookupError):  # the first of a PID namespace takes all others with it
                signal.pidfd_send_signal(self._first_fd, signal.SIGKILL)
        elif self._process is not None:
            self._process.kill()

    def close(self) -> Usage:
        """End everything, wait for the end, and say what was used; a second call says it again."""
        if self.running:
            self.cpu_seconds()
        self.kill()
        while not self._ended.wait(1):
            self.kill()
        self._keeper.join()
        if self._first_fd >= 0:
            os.close(self._first_fd)
            self._first_fd = -1
        self._drop_group()
        return self._usage

    def _drop_group(self) -> None:
        if self._group is not None:
            used = self._group.usage()
            self._usage.memory_mb = round(max(self._usage.memory_mb, used.memory_mb), 1)
            self._usage.processes = max(self._usage.processes, used.processes)
            self._group.close()
            self._group = None
            if used.oom_kills and not self.reason:
                self.reason = "memory"

    def _keep(self) -> None:
        """The thread: start it, say that it is up, look at it until it has ended."""
        try:
            process = self._start()
        except BaseException as fault:
            self._fault = fault
            self._up.set()
            self._ended.set()
            return
        try:
            self._watch(process)
        finally:
            process.kill()
            if process.returncode is None:
                process.wait()
            process.stdout.close()
            self._ended.set()

    def _start(self) -> subprocess.Popen:
        try:
            process = subprocess.Popen(
                self._command,
                pass_fds=[self._filter, self._info],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(self._filter)
            os.close(self._info)
        os.set_blocking(process.stdout.fileno(), False)
        self._process = process
        with open(self._told, "rb") as told:  # ends when bubblewrap has written it or is gone
            info = told.read()
        if not info:
            process.wait()
            self._read(process)
            process.stdout.close()
            raise SandboxError(bubblewrap.diagnosis(self.said()))
        self.first = json.loads(info)["child-pid"]
        self._first_fd = os.pidfd_open(self.first)
        # This stands in the root only after bubblewrap's last step, with all mounts made.
        while not os.path.isdir(f"/proc/{self.first}/root{policy.LIBRARY}/classroom/inside"):
            if process.poll() is not None:
                self._read(process)
                if not self.said() or self.said().startswith("bwrap:"):
                    process.stdout.close()
                    raise SandboxError(bubblewrap.diagnosis(self.said()))
                break  # the program has come to its end already
            time.sleep(0.001)
        self._up.set()
        return process

    def _watch(self, process: subprocess.Popen) -> None:
        """Until it has ended: keep its last words, and end it over its time or, without a cgroup, over its memory."""
        poll = select.poll()
        poll.register(process.stdout.fileno(), select.POLLIN)
        pidfd = os.pidfd_open(process.pid)
        poll.register(pidfd, select.POLLIN)
        try:
            while True:
                ready = [fd for fd, _ in poll.poll(PERIOD * 1000)]
                if process.stdout.fileno() in ready and not self._read(process):
                    poll.unregister(process.stdout.fileno())
                if pidfd in ready:
                    break
                self.cpu_seconds()
                if time.monotonic() - self._began > self.limits.seconds:
                    self.reason = self.reason or "time"
                    self.kill()
                elif self._group is None and not self.reason and self._too_large():
                    self.reason = "memory"
                    self.kill()
        finally:
            os.close(pidfd)
        self._read(process)
        self._status = process.wait()
        self._usage.seconds = round(time.monotonic() - self._began, 3)

    def _too_large(self) -> bool:
        family = families([self.first])[self.first]
        held = memory_mb(self.first, family, policy.WRITABLE, self.limits.memory_mb)
        held += _INODE_MB * sum(map(self._files, policy.WRITABLE))
        self._usage.memory_mb = round(max(self._usage.memory_mb, held), 1)
        self._usage.processes = max(self._usage.processes, sum(threads for _, threads, _ in family))
        return held > self.limits.memory_mb

    def _files(self, place: str) -> int:
        """How many files there are in a private folder, which take memory even when they are empty."""
        try:
            found = os.statvfs(f"/proc/{self.first}/root{place}")
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return found.f_files - found.f_ffree

    def _read(self, process: subprocess.Popen) -> bool:
        """Keep the last of what there is to read; False at its end."""
        for _ in range(64):  # one that never stops writing must not hold the watch
            try:
                data = os.read(process.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log.append(data)
            self._log_bytes += len(data)
            while len(self._log) > 1 and self._log_bytes - len(self._log[0]) > _LOG_BYTES:
                self._log_bytes -= len(self._log.popleft())
        return True


def _put(files: Mapping[str, bytes], staged: Staged) -> None:
    """Write the files into the staged folder, in the sandbox's reach.

    Raises:
        SandboxError: for a name that leads out of it; intake has refused these, so here it would be our own fault.
    """
    top = staged.root / "files"
    top.mkdir()
    for name, data in files.items():
        path = top / name
        if os.path.isabs(name) or ".." in Path(name).parts or path == top:
            raise SandboxError(f"file name {name!r} leads out of the submission's folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for place, _, names in os.walk(top):
        os.chmod(place, 0o755)
        for name in names:
            os.chmod(os.path.join(place, name), 0o644)
