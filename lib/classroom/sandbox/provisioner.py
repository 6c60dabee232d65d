"""The cold sandbox for Jupyter's own tools: a kernel provisioner, chosen by a kernelspec.

`jupyter nbconvert --execute`, nbclient and stock `nbgrader autograde` then run a notebook in the sandbox:

    classroom doctor --kernelspec sandboxed
    jupyter nbconvert --execute --ExecutePreprocessor.kernel_name=sandboxed notebook.ipynb --to notebook

A notebook names its kernel itself, so a submission could ask for another: for nbgrader set the kernel in
nbgrader_config.py (`c.ExecutePreprocessor.kernel_name = "sandboxed"`), which then holds for all. What a cell prints is
limited by the tool that reads it, not here; `classroom autograde` limits that too.

Source: jupyter_client, "Kernel provisioning in Jupyter Client".
"""

import asyncio
import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerBase
from traitlets import Bool, Dict, Integer

from classroom.errors import ClassroomError
from classroom.sandbox import kernel, policy
from classroom.sandbox.policy import Limits, SandboxError, Staged

READY_SECONDS = 60.0
MOST_FILES, MOST_BYTES = 500, 64 << 20  # copied from beside the notebook


class SandboxProvisioner(KernelProvisionerBase):
    """Starts the kernel in the cold sandbox; settings: the kernelspec's `metadata.kernel_provisioner.config`."""

    limits = Dict(help="Limits that differ from the defaults, by the names of classroom.sandbox.Limits.").tag(
        config=True
    )
    files = Bool(True, help="Whether to copy the files beside the notebook (no notebooks) into the home.").tag(
        config=True
    )
    threads = Integer(None, allow_none=True, help="Threads of BLAS and OpenMP; all cores if not given.").tag(
        config=True
    )

    _kernel: kernel.Kernel | None = None
    _staged: Staged | None = None
    _slot: int = -1  # a descriptor number that outlives restarts, so that clients stay connected

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel."""
        return self._kernel is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Hand on the arguments; the command is made in `launch_kernel`."""
        return await super().pre_launch(cmd=[*kwargs.pop("extra_arguments", [])], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Start the kernel, wait until it listens, and say where.

        Args:
            cmd: further arguments of the kernel.
            kwargs: as for subprocess.Popen; of these only the working directory is used, whose files are copied.

        Raises:
            SandboxError: if it does not start.
        """
        limits = Limits.from_dict(dict(self.limits))
        files = beside(Path(kwargs.get("cwd") or os.getcwd())) if self.files else {}
        manager = self.parent
        connection = {
            "key": manager.session.key.decode(),
            "signature_scheme": manager.session.signature_scheme,
            "kernel_name": manager.kernel_name,
        }
        await asyncio.to_thread(self._start, cmd, connection, limits, files)
        return {
            **kernel.PORTS,
            "transport": "ipc",
            "ip": f"/proc/{os.getpid()}/fd/{self._slot}/k",
            "signature_scheme": manager.session.signature_scheme,
            "key": manager.session.key,
        }

    def _start(self, more: list[str], connection: dict[str, Any], limits: Limits, files: dict[str, bytes]) -> None:
        self._staged = policy.stage()
        try:
            spec = self.kernel_spec
            started = kernel.start_kernel(
                spec, connection, limits=limits, staged=self._staged, files=files, threads=self.threads, arguments=more
            )
            try:
                started.wait(READY_SECONDS)
                if self._slot < 0:
                    self._slot = os.dup(started.folder)
                else:
                    os.dup2(started.folder, self._slot)
            except BaseException:
                started.close()
                raise
        except BaseException:
            self._staged.close()
            raise
        self._kernel = started

    async def poll(self) -> int | None:
        """None while it runs, else its exit status."""
        if self._kernel is None:
            return 0
        if self._kernel.jailed.running:
            return None
        return self._kernel.jailed.status or 0

    async def wait(self) -> int | None:
        """Wait until it has ended, and take down what is left of it."""
        status: int | None = 0
        if self._kernel is not None:
            await asyncio.to_thread(self._kernel.jailed.wait)
            status = self._kernel.jailed.status
            self._close()
        return status

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel itself, not to bubblewrap."""
        if self._kernel is not None:
            if signum == signal.SIGKILL:
                self._kernel.jailed.kill()
            elif signum:
                self._kernel.jailed.signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and everything that it started."""
        if self._kernel is not None:
            self._kernel.jailed.kill()

    async def terminate(self, restart: bool = False) -> None:
        """As `kill`: what a student's code would still do on a polite signal is of no use to anybody."""
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Take down what is left."""
        self._close()
        if not restart and self._slot >= 0:
            os.close(self._slot)
            self._slot = -1

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Seconds for the kernel to end by itself: nothing inside is worth a longer wait."""
        return min(recommended, 2.0)

    def _close(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        if self._staged is not None:
            self._staged.close()
            self._staged = None


def beside(folder: Path) -> dict[str, bytes]:
    """The regular files of a notebook's folder, by relative path: what the notebook may read. No notebooks, no links.

    A folder that is no submission's (the home, the top of a course) gives none.

    Raises:
        SandboxError: if there is too much of it.
    """
    if folder in (Path("/"), Path.home()) or any((folder / name).exists() for name in policy.COURSE_FILES):
        return {}
    found: dict[str, bytes] = {}
    size = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.startswith(".") or name.endswith(".ipynb") or not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            size += os.path.getsize(path)
            if size > MOST_BYTES or len(found) >= MOST_FILES:
                raise SandboxError(
                    f"{folder} has more than {MOST_FILES} files or {MOST_BYTES >> 20} MB beside the notebook, too "
                    "much to copy into the sandbox; put the notebook into a folder of its own, or set "
                    '"files": false in the kernelspec'
                )
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def install_kernelspec(
    name: str, *, prefix: Path | None = None, kernel_name: str = "python3", limits: dict[str, float] | None = None
) -> Path:
    """Write a kernelspec that runs another kernel in the sandbox, replacing one of this name.

    Args:
        name: how tools will call it.
        prefix: the environment to put it into, this one by default.
        kernel_name: the kernel that runs in the sandbox.
        limits: those that differ from the defaults.

    Returns:
        The kernelspec's folder.

    Raises:
        ClassroomError: for a name that Jupyter would not take, or that belongs to a kernel without the sandbox.
    """
    if not name or not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name):
        raise ClassroomError(f"kernel name {name!r}: expected letters, digits, `.`, `-` or `_`")
    Limits.from_dict(limits or {})
    spec = kernel.find_spec(kernel_name)
    place = (prefix or Path(sys.prefix)) / "share" / "jupyter" / "kernels" / name
    settings = place / "kernel.json"
    if settings.exists():
        metadata = json.loads(settings.read_text()).get("metadata", {})
        if metadata.get("kernel_provisioner", {}).get("provisioner_name") != kernel.PROVISIONER:
            raise ClassroomError(f"{place} is a kernel without the sandbox; choose another name than {name}")
    shutil.copytree(spec.resource_dir, place, dirs_exist_ok=True)
    written = spec.to_dict() | {
        "display_name": f"{spec.display_name}, sandboxed",
        "metadata": {
            "kernel_provisioner": {
                "provisioner_name": kernel.PROVISIONER,
                "config": {"limits": limits} if limits else {},
            }
        },
    }
    settings.write_text(json.dumps(written, indent=1) + "\n")
    return place
