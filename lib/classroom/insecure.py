"""A session without a sandbox, for `--insecure`: the submission runs as you, with your files and your network in reach.

It is the same shell in a plain process. Time, output and memory have their limits, so that a mistake is contained; a
submission that means harm is not.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

from classroom.inside.shell import INLINE
from classroom.sandbox.examination import Examination
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import CellResult, StreamSession, Usage

_END_SECONDS = 0.3  # for a process whose socket is closed to end by itself, before it is killed


class InsecureSession:
    """A process that runs cells; see `classroom.session.Session`.

    Args:
        limits: of the submission.
        files: by name, what stands beside the notebook.
        examines: this is the examiner of another session.

    Raises:
        SandboxError: if a file's name leads out of the folder that the cells run in.
    """

    def __init__(self, limits: Limits, files: dict[str, bytes], *, examines: bool = False) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="classroom-insecure-", ignore_cleanup_errors=True)
        try:
            _write(Path(self._home.name), files)
            ours, its = socket.socketpair()
            with its:
                self._process = _start(its, limits, self._home.name, examines)
        except BaseException:
            self._home.cleanup()
            raise
        self._memory_mb = 0.0
        self._stream = StreamSession(ours, limits, end=self._end, why=self._why)
        # Beside it, and as little apart from the student's code as everything else here.
        self._examination = Examination(self._stream, lambda: InsecureSession(limits, files, examines=True))

    def run(self, source: str, *, seconds: float) -> CellResult:
        """Run a cell; see `Session.run`."""
        result = self._stream.run(source, seconds=seconds)
        self._look()
        return result

    def examine(self, request: dict, *, seconds: float) -> CellResult:
        """Run a test cell in the examiner; see `Examination.run`."""
        result = self._examination.run(request, seconds=seconds)
        self._look()
        return result

    def ask(
        self, request: dict, *, seconds: float, grace: float, lent: socket.socket | None
    ) -> tuple[CellResult, dict]:
        """Of an examiner: run a test cell; see `StreamSession.examine`."""
        answer = self._stream.examine(request, seconds=seconds, grace=grace, lent=lent)
        self._look()
        return answer

    def close(self) -> Usage:
        """End the process and its children; see `Session.close`."""
        examined = self._examination.close()
        return self._stream.close().with_examiner(examined)

    def __enter__(self) -> InsecureSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self) -> None:
        """Note its peak of memory. What the kernel tells after its end begins with ours, which it was forked from."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._memory_mb = max(self._memory_mb, int(line.split()[1]) / 1024)

    def _end(self) -> Usage:
        """Kill the process's group; the process is reaped after that, so that its number can't be anybody else's."""
        number = self._process.pid
        until = time.monotonic() + _END_SECONDS
        while time.monotonic() < until:
            if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            time.sleep(0.005)
        os.killpg(number, signal.SIGKILL)
        _, status, used = os.wait4(number, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._home.cleanup()
        memory_mb = self._memory_mb or used.ru_maxrss / 1024
        return Usage(cpu_seconds=used.ru_utime + used.ru_stime, memory_mb=memory_mb)

    def _why(self) -> str:
        code = self._process.returncode
        if code == -signal.SIGKILL:  # if it was not too slow to end: then the kernel killed it, short of memory
            return "memory"
        return "crash" if code < 0 else "exit"


def open_insecure(limits: Limits, files: dict[str, bytes]) -> InsecureSession:
    """Start a session without a sandbox.

    Args:
        limits: of the submission; `processes` is not kept.
        files: by name, what stands beside the notebook.
    """
    return InsecureSession(limits, files)


def _start(sock: socket.socket, limits: Limits, home: str, examines: bool) -> subprocess.Popen:
    variables = {"HOME": home, "MPLBACKEND": INLINE, "NBGRADER_EXECUTION": "autograde", "IPYTHONDIR": home}
    words = (sock.fileno(), limits.cell_output_bytes, limits.output_bytes, "examiner" if examines else "shell")
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom.inside.plain", *map(str, words)],
        pass_fds=[sock.fileno()],
        cwd=home,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    most = {resource.RLIMIT_DATA: limits.memory_mb << 20, resource.RLIMIT_FSIZE: limits.file_mb << 20}
    for kind, value in most.items():  # of each process; for all together there is only the sandbox
        resource.prlimit(process.pid, kind, (value, value))
    return process


def _write(home: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise SandboxError(f"file name {name!r} leads out of the submission's folder")
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
