"""People's servers under accounts of the system, where there is no systemd: limits of each process, by setrlimit."""

import pwd
import resource

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Integer

_PROCESSES = 512  # of one account
_LONGEST_FOLDER = 107 - 49


class LimitedSpawner(LocalProcessSpawner):
    """JupyterHub's own, whose servers may use so much memory a process and have so many processes."""

    memory_mb = Integer(2048, help="Memory that a process may write to.").tag(config=True)

    def make_preexec_fn(self, name: str):
        """See LocalProcessSpawner."""
        become = super().make_preexec_fn(name)

        def prepare() -> None:
            most_memory(self.memory_mb)
            resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
            become()

        return prepare


def most_memory(memory_mb: int) -> None:
    """Let each process from here on write to so much memory; who asks for more gets a MemoryError."""
    most = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def sockets_folder(name: str) -> str:
    """Where an account's kernels have their sockets, which no other account can open: in the home, with a short path.

    A kernel's usual ports on 127.0.0.1 tell what it puts out to any account that listens. Linux takes no socket whose
    path is longer than 107 letters, 49 of which are the socket's own name.
    """
    folder = f"{pwd.getpwnam(name).pw_dir}/.jupyter-run"
    if len(folder) > _LONGEST_FOLDER:
        longest = _LONGEST_FOLDER - len("/.jupyter-run")
        raise ValueError(f"{name}: expected a home whose path has at most {longest} letters, for its kernels' sockets")
    return folder
