"""People's servers on a hub whose accounts are not accounts of the system: each in a view of the machine of its own.

bubblewrap shows a server the system's programs, the course's environment and one home; no other home, no course folder,
no process of anybody else. It is for trying the course out (`make hub`), and for a hub on which people sign up. Where
people have accounts of the system, the system keeps them apart.
"""

import os
import sys
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from limited import most_memory
from traitlets import Integer, Unicode

from classroom.sandbox.bubblewrap import find_bwrap, system_places

INSIDE = "/srv/home"
_NUMBER = "1000"  # everybody's, inside
_KERNELS = [f"/proc/{name}" for name in ("sys", "irq", "bus", "acpi", "scsi", "fs", "driver", "tty", "dynamic_debug")]
_KERNELS += [f"/proc/{name}" for name in ("sysrq-trigger", "mtrr", "kcore", "kmsg", "keys", "slabinfo", "timer_list")]
_KERNELS += [f"/proc/{name}" for name in ("kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo", "sched_debug")]


class JailSpawner(SimpleLocalProcessSpawner):
    """A server as its own view of the machine."""

    homes = Unicode(help="The folder with a home for each account.").tag(config=True)
    library = Unicode(help="A folder with modules that the environment lacks, or nothing.").tag(config=True)
    memory_mb = Integer(2048, help="Memory that a process may write to.").tag(config=True)
    shown = Unicode(help="The folder with the settings of servers (hub/servers).").tag(config=True)

    def _home_dir_template_default(self) -> str:
        return str(Path(self.homes) / "{username}")

    @property
    def home(self) -> Path:
        """Where this account's files lie outside."""
        return Path(self.homes) / self.user.name

    def make_preexec_fn(self, name: str):
        """See LocalProcessSpawner: the process stays ours, and its home is made."""
        home = self.home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)

        def prepare() -> None:
            most_memory(self.memory_mb)
            os.chdir(home)

        return prepare

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """See LocalProcessSpawner."""
        return env | {"USER": "jovyan", "HOME": INSIDE, "SHELL": "/bin/bash"}

    async def start(self) -> tuple[str, int]:
        """Start the server in its jail."""
        plain, self.cmd = self.cmd, [*self._jail(), *self.cmd]
        try:
            return await super().start()
        finally:
            self.cmd = plain  # the next start makes a jail of its own

    def _jail(self) -> list[str]:
        line = [find_bwrap(), "--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"]
        line += ["--uid", _NUMBER, "--gid", _NUMBER, "--cap-drop", "ALL", *system_places()]
        for name in ("resolv.conf", "hosts", "ssl", "fonts", "localtime"):
            line += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        accounts = Path(self.homes) / ".passwd"  # a shell's prompt, and nbgrader, ask who number 1000 is
        accounts.write_text(f"jovyan:x:{_NUMBER}:{_NUMBER}::{INSIDE}:/bin/bash\n", encoding="utf-8")
        line += ["--ro-bind", str(accounts), "/etc/passwd", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for place in _KERNELS:  # root's by their number, and so of a server that a hub of root's starts
            if os.path.isdir(place):
                line += ["--ro-bind", place, place]
            elif os.path.exists(place):
                line += ["--ro-bind", "/dev/null", place]
        line += ["--bind", str(self.home), INSIDE]
        for place in dict.fromkeys(filter(None, (sys.prefix, sys.base_prefix, self.library, self.shown))):
            if not place.startswith("/usr"):
                line += ["--ro-bind", os.path.realpath(place), place]
        return [*line, "--chdir", INSIDE, "--"]
