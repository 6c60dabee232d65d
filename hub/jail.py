"""People's servers on a hub whose accounts are not accounts of the system: each in a view of the machine of its own.

bubblewrap shows a server the system's programs, the course's environment and one home; no other home, no course folder,
no process of anybody else. On a hub of root's each server has a number of its own on the machine, too (people.py).
It is for trying the course out (`make hub`), and for a hub on which people sign up. Where people have accounts of the
system, the system keeps them apart.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from given import opened, with_port
from jupyterhub.spawner import SimpleLocalProcessSpawner
from limited import PROCESSES, most_memory
from people import Numbers, give, readable
from traitlets import Dict, Integer, Unicode

from classroom.errors import ClassroomError
from classroom.sandbox import rootless
from classroom.sandbox.bubblewrap import diagnosis, find_bwrap, system_places
from classroom.terminal import one_line

INSIDE = "/srv/home"
_NUMBER = "1000"  # everybody's, inside
_ETC = "/etc/hub"  # inside
_LONGEST_LINE, _A_SECOND = 500, 50_000  # bytes of what a server says that are handed on


def set_up(c: object, state: Path, library: Path | None, servers: Path) -> None:
    """Configure the hub for it, and see that such a server can start here.

    Args:
        c: the configuration that is being made.
        state: the hub's own folder.
        library: a folder with modules that the environment lacks, or None.
        servers: the folder with the settings of servers (hub/servers).

    Raises:
        ClassroomError: it can't, with the reason and what to do.
    """
    homes, etc = state / "homes", state / "shown" / "etc"
    numbers = Numbers(state / "numbers.json") if os.geteuid() == 0 else None
    for folder in (homes, etc):
        folder.mkdir(parents=True, exist_ok=True)
    # A shell's prompt, and nbgrader, ask who number 1000 is.
    (etc / "passwd").write_text(f"jovyan:x:{_NUMBER}:{_NUMBER}::{INSIDE}:/bin/bash\n", encoding="utf-8")
    etc.chmod(0o755)
    (etc / "passwd").chmod(0o644)
    shown = {str(place): Path(os.path.realpath(place)) for place in (library, servers) if place}
    if numbers:
        shown = {one: readable(place, etc.with_name(str(at))) for at, (one, place) in enumerate(shown.items())}
    shown[_ETC] = etc
    for place in (sys.prefix, sys.base_prefix):
        # Programs of an environment name it as it was made, and make's may be a link to a place of all users.
        shown |= {inside: Path(os.path.realpath(place)) for inside in (place, os.path.realpath(place))}
    c.JupyterHub.spawner_class = JailSpawner
    c.JailSpawner.homes, c.JailSpawner.shown = str(homes), {one: str(place) for one, place in shown.items()}
    c.JailSpawner.numbers = str(numbers.file) if numbers else ""
    with tempfile.TemporaryDirectory(dir=state, prefix="tried-") as home:
        number = numbers.range[0] if numbers else None
        if number is not None:
            give(Path(home), number)
        _try(view(Path(home), number, shown), str(library or ""))


def _try(line: list[str], library: str) -> None:
    line = [*line, sys.executable, "-c", "import jupyterhub, classroom"]
    variables = {"PATH": "/usr/bin:/bin", "HOME": INSIDE, "PYTHONPATH": library}
    done = subprocess.run(line, env=variables, cwd="/", capture_output=True, text=True, timeout=120)
    if done.returncode and done.stderr.startswith("bwrap: "):
        raise ClassroomError(diagnosis(done.stderr.strip()))
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ClassroomError(f"people's servers can't run: {why} (other users have to be able to read {sys.prefix})")


def view(home: Path, number: int | None, shown: Mapping[str, Path], memory_mb: int = 2048) -> list[str]:
    """The beginning of a command that runs in a view of its own.

    Args:
        home: the folder that it may write to, outside.
        number: what root becomes before, or None.
        shown: what else it sees: outside, by where that is inside.
        memory_mb: what lies in memory without being a process's, /tmp and /dev/shm, is together no more.
    """
    outside = {inside: place for inside, place in shown.items() if not inside.startswith("/usr/")}
    enter: list[str] = []
    if number is not None:
        enter, moved = rootless.bridge([home, *dict.fromkeys(outside.values())])
        enter += rootless.become(number)
        home, outside = moved[home], {inside: moved[place] for inside, place in outside.items()}
    line = [*enter, find_bwrap(), "--unshare-user", "--unshare-pid", "--unshare-ipc", "--disable-userns"]
    line += ["--die-with-parent", "--new-session", "--uid", _NUMBER, "--gid", _NUMBER, "--cap-drop", "ALL"]
    line += system_places()
    for name in ("resolv.conf", "hosts", "ssl", "fonts", "localtime"):
        line += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    # /proc/sys: not even what belongs to namespaces of its own.
    line += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):
        line += ["--size", str(memory_mb * 1024 * 1024 // 2), "--tmpfs", place]
    line += ["--bind", str(home), INSIDE]
    line += ["--symlink", f"{_ETC}/passwd", "/etc/passwd"]
    for inside, place in outside.items():
        line += ["--ro-bind", str(place), inside]
    # What bubblewrap makes for / and /dev lies in memory, too, and has no size.
    line += ["--remount-ro", "/", "--remount-ro", "/dev"]
    # Counted in the new user namespace, and so for this server; where root's own number would never be.
    return [*line, "--chdir", INSIDE, "--", rootless.util("prlimit"), f"--nproc={PROCESSES}", "--"]


class JailSpawner(SimpleLocalProcessSpawner):
    """A server as its own view of the machine."""

    homes = Unicode(help="The folder with a home for each account.").tag(config=True)
    memory_mb = Integer(2048, help="Memory that a process may write to.").tag(config=True)
    shown = Dict(help="What a server sees beside the system and its home: outside, by where that is inside.").tag(
        config=True
    )
    numbers = Unicode(help="The file with people's numbers, on a hub of root's.").tag(config=True)

    def _home_dir_template_default(self) -> str:
        return str(Path(self.homes) / "{username}")

    @property
    def home(self) -> Path:
        """Where this account's files lie outside."""
        return Path(self.homes) / self.user.name

    def make_preexec_fn(self, name: str):
        """See LocalProcessSpawner: the process becomes another one's only further on."""

        def prepare() -> None:
            most_memory(self.memory_mb)
            os.chdir("/")

        return prepare

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """See LocalProcessSpawner."""
        # Kernels' sockets and the like lie in memory, the view's own: a server starts in a home that is full, too.
        return env | {"USER": "jovyan", "HOME": INSIDE, "SHELL": "/bin/bash", "JUPYTER_RUNTIME_DIR": "/tmp/.jupyter"}

    async def start(self) -> tuple[str, int]:
        """Start the server in its view."""
        number, shown = None, {inside: Path(place) for inside, place in self.shown.items()}
        if self.numbers:
            number = Numbers(Path(self.numbers)).of(self.user.name, Path(self.homes))
            await asyncio.to_thread(give, self.home, number)
        else:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        port = opened(0)
        self.port = port.getsockname()[1]
        seen = view(self.home, number, shown, self.memory_mb)
        plain, self.cmd = self.cmd, [*seen, *with_port(port, self.cmd)]
        # With the hub's own log for its output, anybody could empty that, or write in it as if they were the hub.
        read, write = os.pipe()
        self.popen_kwargs = {"stdin": subprocess.DEVNULL, "stdout": write, "stderr": write}
        self.popen_kwargs["pass_fds"] = [port.fileno()]
        self.handing_on = asyncio.create_task(hand_on(read, self.user.name))
        try:
            return await super().start()
        finally:
            port.close()
            os.close(write)
            self.cmd = plain  # the next start makes a view of its own


async def hand_on(pipe: int, name: str) -> None:
    """Write what a server says into the hub's log, as its words, until it ends; one that says too much has to wait."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(pipe, "rb", 0))
    rest = b""
    while said := await reader.read(_A_SECOND // 4):
        *lines, rest = (rest + said).split(b"\n")
        for line in lines:
            shown = one_line(line[:_LONGEST_LINE].decode(errors="replace"))
            print(f"[server of {name}] {shown}", file=sys.stderr, flush=True)
        rest = rest[:_LONGEST_LINE]
        await asyncio.sleep(len(said) / _A_SECOND)
    transport.close()
