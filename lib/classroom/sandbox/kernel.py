"""A Jupyter kernel in the cold sandbox, and how to talk to it from outside.

There is no network inside, so the kernel listens on sockets in a small private folder of its own. Before it runs any
code of a student's we hold each of them as a descriptor, and clients connect through these: whatever is put in a
socket's place later, a link to a socket of the host's for example, a client that connects again does not follow.
"""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from classroom.sandbox import policy
from classroom.sandbox.jailed import Jailed
from classroom.sandbox.policy import Limits, SandboxError, Staged

PROVISIONER = "classroom-sandbox"  # as in the entry points of pyproject.toml
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}  # numbers of the sockets
_PLACE = "/opt/kernel"  # read-only: the connection file, the kernelspec's resources
_SOCKETS = "/run/kernel"
_SOCKETS_BYTES = 1 << 20


@dataclass
class Kernel:
    """A kernel that runs: `jailed` is its process, `ip` what a client has to use with transport "ipc"."""

    jailed: Jailed
    ip: str
    folder: int  # a descriptor of a folder with links to the sockets; closed with the kernel
    inside: int  # the same of the folder that they are in
    sockets: dict[str, int] = field(default_factory=dict)  # by file name

    def listens(self) -> bool:
        """Whether all its sockets are there; takes hold of those that are."""
        for number in PORTS.values():
            name = f"k-{number}"
            if name not in self.sockets:
                try:
                    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.inside)
                except FileNotFoundError:
                    return False
                self.sockets[name] = held
                os.symlink(f"/proc/{os.getpid()}/fd/{held}", name, dir_fd=self.folder)
        return True

    def wait(self, seconds: float) -> None:
        """Wait until it listens.

        Raises:
            SandboxError: if it does not, with what it said.
        """
        deadline = time.monotonic() + seconds
        while not self.listens():
            if not self.jailed.running or time.monotonic() > deadline:
                happened = "ended" if not self.jailed.running else f"did not listen within {seconds:g} s"
                raise SandboxError(f"the kernel in the sandbox {happened}; it said: {self.jailed.said() or 'nothing'}")
            time.sleep(0.005)

    def close(self):
        """End it with everything that it started; what it used."""
        usage = self.jailed.close()
        sockets, folder, inside = self.sockets, self.folder, self.inside
        self.sockets, self.folder, self.inside = {}, -1, -1
        for name in sockets:  # before a descriptor's number may stand for something else
            with contextlib.suppress(FileNotFoundError):  # the folder is gone already
                os.unlink(name, dir_fd=folder)
        for held in (*sockets.values(), inside, folder):
            if held >= 0:
                os.close(held)
        return usage


def start_kernel(
    spec: KernelSpec,
    connection: Mapping[str, object],
    *,
    limits: Limits,
    staged: Staged,
    files: Mapping[str, bytes] | None = None,
    threads: int | None = None,
    arguments: Sequence[str] = (),
) -> Kernel:
    """Start a kernel; it is up when `Kernel.wait` returns.

    Args:
        spec: which kernel. Its program is looked up in this environment; a kernel of another environment has that one
            mounted too.
        connection: the content of a connection file: key and signature_scheme are used as they are, the sockets'
            numbers where it has them; transport and ip are replaced.
        limits: what it may use.
        staged: private to this kernel; closed by the caller, after the kernel.
        files: put into its home, which is its working directory.
        threads: for BLAS and OpenMP.
        arguments: further arguments of the kernel.

    Raises:
        SandboxError: if it can't be started.
    """
    links = staged.root / "sockets"
    links.mkdir(mode=0o700)
    place = staged.root / "kernel"
    shutil.copytree(spec.resource_dir, place / "resources", copy_function=shutil.copyfile)
    told = PORTS | dict(connection) | {"transport": "ipc", "ip": f"{_SOCKETS}/k"}
    (place / "connection.json").write_text(json.dumps(told))
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

    argv, mounts = _program(spec)
    names = {"connection_file": f"{_PLACE}/connection.json", "resource_dir": f"{_PLACE}/resources"}
    for name, value in names.items():
        argv = [part.replace(f"{{{name}}}", value) for part in argv]
    variables = policy.environment(threads)
    # A value with a $ is made from the caller's own variables, which stay outside.
    variables |= {name: value for name, value in spec.env.items() if "$" not in value}
    jailed = Jailed(
        [*argv, *arguments],
        limits=limits,
        staged=staged,
        variables=variables,
        files=files,
        read_only=[(place, _PLACE), *mounts],
        private=[(_SOCKETS, _SOCKETS_BYTES)],
    )
    try:
        inside = jailed.folder(_SOCKETS)
        folder = os.open(links, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except BaseException:
        jailed.close()
        raise
    return Kernel(jailed, f"/proc/{os.getpid()}/fd/{folder}/k", folder, inside)


def find_spec(name: str) -> KernelSpec:
    """The kernel of this name.

    Raises:
        SandboxError: naming those that there are.
    """
    manager = KernelSpecManager()
    try:
        return manager.get_kernel_spec(name)
    except NoSuchKernel:
        known = ", ".join(sorted(manager.find_kernel_specs())) or "none"
        raise SandboxError(f"there is no Jupyter kernel {name!r} on this machine; there are: {known}") from None


def _program(spec: KernelSpec) -> tuple[list[str], list[tuple[Path, str]]]:
    """The kernel's command as it is inside, and what has to be mounted for it beside this environment."""
    program, *rest = spec.argv
    if not os.path.isabs(program):
        if program.startswith("python"):  # as jupyter_client does: the Python that runs us
            program = policy.python()
        return [program, *rest], []
    if Path(program).is_relative_to(sys.prefix):
        return [policy.inside_path(program), *rest], []
    if policy.in_system(Path(program)):
        return [program, *rest], []
    # Another environment: only what is known to be one is mounted, not whatever is two steps above a program.
    top = Path(program).parent.parent
    settings = top / "pyvenv.cfg"
    if not settings.exists() and not (top / "conda-meta").is_dir():
        raise SandboxError(
            f"the kernel {spec.display_name!r} starts {program}, which is not in a Python environment (neither "
            f"pyvenv.cfg nor conda-meta in {top}); the sandbox shows the system's folders and environments only"
        )
    policy.require_harmless(top)
    mounts = [(top, str(top))]
    if settings.exists():  # the environment's own Python may be anywhere
        lines = dict(line.split("=", 1) for line in settings.read_text().splitlines() if "=" in line)
        home = Path(next((value.strip() for key, value in lines.items() if key.strip() == "home"), "/usr/bin"))
        if not policy.in_system(home):
            mounts.append((_installation(home, settings), str(home.parent)))
    return [program, *rest], mounts


def _installation(home: Path, settings: Path) -> Path:
    """The folder of the Python whose programs are in `home`; not just any folder that has a `bin`.

    Raises:
        SandboxError: there is no Python's library beside its programs, or more than a Python is there.
    """
    top = home.parent
    if not any(top.glob("lib*/p*3*/os.py")):  # what Python itself goes by; python3.x, pypy3.x
        raise SandboxError(
            f"{settings} says that its Python is in {home}, but there is none of which the library is in {top}; make "
            f"the environment anew with the Python itself, which may be {(home / 'python3').resolve()}"
        )
    policy.require_harmless(top)
    return top
