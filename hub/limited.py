"""People's servers under accounts of the system, where there is no systemd: limits of each process, by setrlimit."""

import os
import pwd
import resource
import shutil
from pathlib import Path

from given import opened, with_port
from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Integer

PROCESSES = 512  # of one account
# A folder for each account's sockets: short, since Linux takes no path of a socket that is longer than 107 letters; and
# in memory, so that a server starts in a home that is full, too.
_RUN = Path("/run/course-hub")


class LimitedSpawner(LocalProcessSpawner):
    """JupyterHub's own, whose servers may use so much memory a process and have so many processes."""

    memory_mb = Integer(2048, help="Memory that a process may write to.").tag(config=True)

    def make_preexec_fn(self, name: str):
        """See LocalProcessSpawner."""
        become = super().make_preexec_fn(name)
        _own_folder(pwd.getpwnam(name))

        def prepare() -> None:
            most_memory(self.memory_mb)
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
            become()

        return prepare

    async def start(self) -> tuple[str, int]:
        """Start the server, with a port that is open already."""
        port = opened(0)
        self.port, self.popen_kwargs = port.getsockname()[1], {"pass_fds": [port.fileno()]}
        plain, self.cmd = self.cmd, with_port(port, self.cmd)
        try:
            return await super().start()
        finally:
            port.close()
            self.cmd = plain


def most_memory(memory_mb: int) -> None:
    """Let each process from here on write to so much memory; who asks for more gets a MemoryError."""
    most = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def sockets_folder(name: str) -> str:
    """Where an account's kernels have their sockets, which no other account can open.

    A kernel's usual ports on 127.0.0.1 tell what it puts out to any account that listens.
    """
    return str(_RUN / name)


def _own_folder(account: pwd.struct_passwd) -> None:
    _RUN.mkdir(exist_ok=True)
    _RUN.chmod(0o755)  # root's: nobody else makes or swaps a folder there
    folder = _RUN / account.pw_name
    if folder.exists() and folder.stat().st_uid != account.pw_uid:  # of an account of that name that is gone
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.pw_uid, account.pw_gid)
