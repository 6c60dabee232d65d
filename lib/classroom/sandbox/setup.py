"""What the host tells a freshly forked child before it is the student's: its limits, its filter, its files.

This goes over the job's own socket to the child alone. The template is told nothing, because every later child is a
copy of its memory.
"""

import base64
import json
import socket
import time
from collections.abc import Mapping
from pathlib import PurePosixPath

from classroom.sandbox import policy, seccomp
from classroom.sandbox.policy import Limits, SandboxError

SECONDS = 60  # until a child has isolated itself; under a heavy load this takes a second or two
INODES = 65536  # files in each private folder
_PLACES = {policy.HOME: 0o755, policy.TMP: 0o1777, policy.SHM: 0o1777}


def check(files: Mapping[str, bytes], limits: Limits) -> None:
    """See that a job's files can be put into its home.

    Raises:
        ValueError: for a name that leads elsewhere, which intake does not let through.
        SandboxError: if they do not fit.
    """
    for name in files:
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
            raise ValueError(f"a file of a job needs a relative name without .., got {name!r}")
    size = sum(map(len, files.values()))
    if size > limits.file_mb << 20:
        raise SandboxError(f"the files of a job take {size >> 20} MB, the private home holds {limits.file_mb} MB")


def prepare(
    sock: socket.socket,
    limits: Limits,
    files: Mapping[str, bytes],
    *,
    threads: int,
    counted: bool,
    examines: bool = False,
) -> None:
    """Hand a child what it needs and wait for its word that its walls stand. Nothing of the student's has run so far.

    Args:
        sock: our end of the job's socket.
        limits: of the submission.
        files: content by name.
        threads: that torch may use.
        counted: whether a control group counts memory and processes.
        examines: whether it is to run test cells, instead of a student's.

    Raises:
        SandboxError: with the child's own message, if it could not isolate itself.
    """
    setup = {
        "uid": policy.STUDENT_UID,
        "home": policy.HOME,
        "places": _PLACES,
        "place_bytes": limits.file_mb << 20,
        "inodes": INODES,
        "masked": policy.MASKED,
        "rlimits": limits.rlimits(counted=counted),
        "seccomp": base64.b64encode(seccomp.program(shared_memory=counted)).decode(),
        "cell_output_bytes": limits.cell_output_bytes,
        "output_bytes": limits.output_bytes,
        "threads": threads,
        "examines": examines,
        "files": [(name, len(data)) for name, data in files.items()],
    }
    text = json.dumps(setup).encode()
    sock.settimeout(SECONDS)
    try:
        for part in (len(text).to_bytes(4, "big"), text, *files.values()):
            sock.sendall(part)
    except TimeoutError:
        raise SandboxError(f"a sandbox did not take its files within {SECONDS} s") from None
    except (BrokenPipeError, ConnectionResetError):
        _await_ready(sock)  # it has given up, and may have said why
        raise
    _await_ready(sock)


def _await_ready(sock: socket.socket) -> None:
    """Wait for the child's word that its walls stand. Nothing of the student's has run so far: it can be believed."""
    deadline = time.monotonic() + SECONDS
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            part = sock.recv(1 << 16)
        except TimeoutError:
            raise SandboxError(f"a sandbox was not ready within {SECONDS} s") from None
        except ConnectionResetError:
            part = b""
        if not part:
            raise SandboxError("a sandbox ended before it was ready")
        data += part
    said = json.loads(data[4:])
    if "failed" in said:
        raise SandboxError(f"a sandbox could not isolate itself:\n{said['failed']}")
