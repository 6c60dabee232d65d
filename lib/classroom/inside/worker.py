"""The child that runs one submission: isolates itself, takes its files, then hands over to the shell.

Another child, its examiner, runs the test cells; it has the same walls and runs no code of the student's.

Until "ready" goes over the socket only our own code has run here, so what the host reads up to then can be believed;
whatever comes afterwards is the student's word.
"""

import base64
import json
import os
import resource
import socket
import sys
import traceback
from typing import NoReturn

from classroom.inside import isolate
from classroom.inside.shell import Shell

_OOM_SCORE = "500"  # where the machine's memory runs out, the kernel takes a submission before anything else
_SLACK = 128 << 20  # bytes that a process may have above the limit of memory before the kernel refuses more


def run(shell: Shell, job: int, groups: list[int], proc: int, last_capability: int) -> NoReturn:
    """Everything that the child does; never returns.

    Args:
        shell: the warm shell, made before the fork.
        job: descriptor of the job's socket.
        groups: opened cgroup.procs files of the groups to join.
        proc: an open folder, the template's /proc, which can be written.
        last_capability: the kernel's highest capability number.
    """
    code = 1
    try:
        isolate.join_groups(groups)
        isolate.keep_only(job, proc)
        with socket.socket(fileno=job) as sock:
            try:
                loop = _loop(shell, _isolate(shell, sock, proc, last_capability))
                _send(sock, {"ready": True})
            except Exception:
                _send(sock, {"failed": traceback.format_exc()})
            else:
                loop.serve(sock)
                code = 0
    except OSError:
        code = 3  # the host is gone, and with it the one who would read a message
    finally:
        os._exit(code)


def _loop(shell: Shell, examines: bool):
    """What answers the host from now on: the shell, or the examiner, in which no student's code runs."""
    if not examines:
        return shell
    from classroom.inside.examine.examiner import Examiner

    return Examiner(shell)


def _isolate(shell: Shell, sock: socket.socket, proc: int, last_capability: int) -> bool:
    """Put up the walls; whether this child is an examiner."""
    os.setsid()
    isolate.set_dumpable(True)  # else our own /proc/self/uid_map would not be ours to write
    isolate.write_at(proc, "self/oom_score_adj", _OOM_SCORE)

    setup = json.loads(_exactly(sock, int.from_bytes(_exactly(sock, 4), "big")))
    isolate.private_files(setup["places"], setup["place_bytes"], setup["inodes"], setup["masked"])
    isolate.private_namespaces(proc, setup["uid"])
    limits = setup["rlimits"]
    if "RLIMIT_DATA" in limits:
        # What the template has reserved is not the student's. A little more than the limit, so that a process that
        # grows meets the watchdog, and the submission ends for "memory"; one that asks for far too much is refused.
        limits["RLIMIT_DATA"] += _reserved(proc) + limits["RLIMIT_DATA"] // 4 + _SLACK
    os.close(proc)

    os.umask(0o022)
    os.chdir(setup["home"])
    for name, size in setup["files"]:
        os.makedirs(os.path.dirname(os.path.abspath(name)), exist_ok=True)
        with open(name, "xb") as file:
            file.write(_exactly(sock, size))

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits["RLIMIT_NOFILE"] = min(limits["RLIMIT_NOFILE"], most // 4)  # so that the template can always send one more
    isolate.limit(limits)
    isolate.drop_privileges(last_capability)
    isolate.filter_calls(base64.b64decode(setup["seccomp"]))
    shell.set_limits(setup["cell_output_bytes"], setup["output_bytes"])
    shell.start()
    shell.reseed()
    if setup["threads"] > 1 and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(setup["threads"])
    return setup["examines"]


def _reserved(proc: int) -> int:
    """Bytes of private writable memory that we have from the template, used or not."""
    with open(os.open("self/status", os.O_RDONLY, dir_fd=proc)) as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData:"))


def _send(sock: socket.socket, message: dict) -> None:
    text = json.dumps(message).encode()
    sock.sendall(len(text).to_bytes(4, "big") + text)


def _exactly(sock: socket.socket, size: int) -> bytes:
    """The next `size` bytes.

    Raises:
        EOFError: if the host closed the socket before.
    """
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 20))
        if not part:
            raise EOFError(f"the host closed the socket after {len(data)} of {size} bytes")
        data += part
    return bytes(data)
