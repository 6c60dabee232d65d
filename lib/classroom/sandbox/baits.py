"""What the self-test lays out on the host for its probes to reach: a listener, a process, files with a secret."""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from classroom.sandbox import owners, policy

_CANARY = ".canary-"


@contextlib.contextmanager
def listeners(name: str) -> Iterator[tuple[list[socket.socket], int]]:
    """Two listeners, on a port of the loopback and under an abstract name; and that port."""
    with socket.socket() as loopback, socket.socket(socket.AF_UNIX) as abstract:
        loopback.bind(("127.0.0.1", 0))
        abstract.bind("\0" + name)
        for listener in (loopback, abstract):
            listener.listen()
            listener.setblocking(False)
        yield [loopback, abstract], loopback.getsockname()[1]


def was_reached(listener: socket.socket) -> bool:
    """Whether somebody has connected."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def process(mark: str) -> Iterator[subprocess.Popen]:
    """A process of the host, with a mark in its command; of the uid that submissions run with, where we can choose.

    It waits for a line that never comes, so that it ends with this process, also where that one is killed.
    """
    drop = {"user": policy.SANDBOX_UID, "group": policy.SANDBOX_UID, "extra_groups": []} if os.geteuid() == 0 else {}
    waiting = ["/bin/sh", "-c", f"read _; : {mark}"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, start_new_session=True, cwd="/", **drop) as victim:
        try:
            yield victim
        finally:
            victim.kill()


@contextlib.contextmanager
def canaries(folder: Path, token: str) -> Iterator[list[str]]:
    """Files with a secret in the course's folder, the caller's home and the temporary folder, readable by everybody."""
    made: list[str] = []
    try:
        for place in dict.fromkeys([folder, Path.home(), Path(tempfile.gettempdir())]):
            path = place / f"{_CANARY}{owners.mark()}-{token}"
            with contextlib.suppress(OSError):  # a folder that can't be read or written: the others will do
                owners.sweep(place, _CANARY)
                with open(path, "x") as file:
                    made.append(str(path))
                    os.fchmod(file.fileno(), 0o644)  # whatever the umask: permissions are not what is tried
                    file.write(token)
        yield [*made, str(Path(__file__).parent / "doctor.py"), "/etc/shadow", "/etc/machine-id"]
    finally:
        for path in made:
            os.unlink(path)


def marked(mark: str) -> list[int]:
    """The processes that have this mark in their command."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                    found.append(int(entry))
    return found
