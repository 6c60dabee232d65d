"""The warm template of this machine, from the host's side: starts it, asks it for children, and ends it.

One template serves all worker threads of a process. It runs in bubblewrap (`classroom.inside.template` is what runs
there) and imports torch and the rest once; each submission gets a fork of it, which isolates itself first.
"""

import atexit
import json
import logging
import os
import resource
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence

from classroom.sandbox import bubblewrap, policy, setup
from classroom.sandbox.cgroups import Group
from classroom.sandbox.policy import Limits, SandboxError, Staged
from classroom.sandbox.warm import Child, WarmSession

# What course notebooks import, and examiners once more. `deeppractice.data` brings scikit-learn. The first optimizer
# that is made imports torch._dynamo, 0.9 s of CPU: here once, instead of in each student's process and its examiner.
PRELOAD = (
    "numpy",
    "matplotlib.pyplot",
    "torch",
    "torch.utils.data",
    "torch._dynamo",
    "deeppractice.data",
    "deeppractice.generative",
    "sklearn.neighbors",
    "deeppractice.training",
    "deeppractice.viz",
    "deeppractice.checks",
    "tqdm.auto",
)

_START_SECONDS = 120
_STARTS = 3  # of a template that ends by itself, until we give up
_ANSWER_SECONDS = 60  # until it has forked

_logger = logging.getLogger(__name__)


class _GoneError(Exception):
    """The template has ended, not because we asked it to."""


class Template:
    """The warm interpreter, shared by all threads of this process.

    Starting takes about three seconds; the constructor does not wait for it, so that the caller's own imports overlap.

    Args:
        preload: modules to import ahead; those that are not installed are left out.
        staged: the folder with our own code for the sandbox; made, and removed in the end, if None.
        threads: that torch may use in each child.
        group: False does without control groups even where there are any: resource limits and the watchdog stand in.

    Raises:
        SandboxError: if bubblewrap is missing.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] | None = None,
        staged: Staged | None = None,
        threads: int = 1,
        group: bool = True,
    ) -> None:
        # The kernel counts descriptors that are on their way over sockets for all processes of a user, submissions too,
        # and lets nobody send one while they are above the sender's limit; `classroom.inside.template` does the same.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._own_stage = staged is None
        self._staged = policy.stage() if staged is None else staged
        self._preload = tuple(PRELOAD if preload is None else preload)
        self._threads, self._group = threads, group
        self._lock = threading.Lock()
        self._closed = False
        self._maker = os.getpid()
        try:
            self._process = _Process(self._staged, self._preload)
        except BaseException:
            if self._own_stage:
                self._staged.close()
            raise
        atexit.register(self.close)

    def wait(self, seconds: float = _START_SECONDS) -> None:
        """Wait until it is warm.

        Raises:
            SandboxError: with the end of its log, if it did not come up.
        """
        process = self._current()
        try:
            process.wait(seconds)
        except _GoneError:
            raise SandboxError(f"the warm template did not come up: it ended\n{process.log()}") from None

    def open(self, limits: Limits, files: Mapping[str, bytes], *, examines: bool = False) -> WarmSession:
        """A new session in a child of its own, isolated, with `files` in its home; its examiner will be another child.

        A template that has died, warm or not yet, is started again, twice at most.

        Args:
            limits: of the submission.
            files: content by name, which may have folders in it.
            examines: this is the examiner of another session.

        Raises:
            SandboxError: if a child can't be made or isolated on this machine.
        """
        examiner = None if examines else lambda: self.open(limits, files, examines=True)
        setup.check(files, limits)
        for _ in range(_STARTS):
            process = self._current()
            try:
                process.wait(_START_SECONDS)
                return process.open(limits, files, threads=self._threads, group=self._group, examiner=examiner)
            except _GoneError:
                log = process.log()
                self._replace(process)
        raise SandboxError(f"the warm template did not come up: it ended, {_STARTS} times in a row\n{log}")

    def close(self) -> None:
        """End the template and all its children; a second call does nothing."""
        with self._lock:
            if self._closed or os.getpid() != self._maker:  # a fork of our process must not end what is its parent's
                return
            self._closed = True
        atexit.unregister(self.close)
        self._process.close()
        if self._own_stage:
            self._staged.close()

    def __enter__(self) -> "Template":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise SandboxError("the warm template is closed")
            if os.getpid() != self._maker:
                raise SandboxError(
                    "the warm template belongs to the process that this one was forked from; make one here"
                )
            return self._process

    def _replace(self, gone: "_Process") -> None:
        """Start a new template instead of one that has gone, unless another thread has done so already."""
        with self._lock:
            if self._process is gone and not self._closed:
                _logger.warning("the warm template ended and is started again\n%s", gone.log())
                gone.close()
                self._process = _Process(self._staged, self._preload)


class _Process:
    """One run of the template: bubblewrap, the control socket and what it has said."""

    def __init__(self, staged: Staged, preload: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._ready: dict | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (for as long as it runs)
        self._running: subprocess.Popen | None = None
        self._started = threading.Event()
        self._failure: Exception | None = None
        fd = theirs.fileno()
        try:
            line = bubblewrap.command(
                [policy.python(), "-m", "classroom.inside.template", str(fd), *preload],
                staged=staged,
                nested=True,
                variables=policy.environment(threads=1),  # a pool of threads made before a fork is lost by it
            )
        except BaseException:
            for thing in (self._control, theirs, self._log):
                thing.close()
            raise
        # bubblewrap dies with the thread that started it: that has to be one that lives as long as this process.
        self._keeper = threading.Thread(target=self._keep, args=(line, fd), name="warm-template", daemon=True)
        self._keeper.start()
        self._started.wait()
        theirs.close()
        if self._failure is not None:
            self._control.close()
            self._log.close()
            raise SandboxError(f"bubblewrap did not start: {self._failure}")

    def _keep(self, line: list[str], fd: int) -> None:
        try:
            # A session of its own: Ctrl-C at the keyboard is for us, and we end it in order.
            self._running = subprocess.Popen(
                line,
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._running.wait()

    def wait(self, seconds: float) -> None:
        """Wait until it says that it is warm.

        Raises:
            _GoneError: if it has ended without a word.
            SandboxError: if it says that it failed, or says nothing for so long.
        """
        with self._lock:
            if self._ready is None:
                self._control.settimeout(seconds)
                try:
                    said = self._control.recv(1 << 16)
                except TimeoutError:
                    raise SandboxError(f"the warm template did not come up within {seconds} s\n{self.log()}") from None
                except OSError:
                    said = b""
                if not said:
                    bubblewrap.check()  # if there is something wrong with this machine, it says what
                    raise _GoneError
                self._ready = json.loads(said)
                self._control.settimeout(_ANSWER_SECONDS)
            if "failed" in self._ready:
                raise SandboxError(f"the warm template did not come up: {self._ready['failed']}")

    def open(
        self, limits: Limits, files: Mapping[str, bytes], *, threads: int, group: bool, examiner: Callable | None
    ) -> WarmSession:
        """Ask for a child, and wait until it has isolated itself; `examiner` opens its own, None makes it one.

        Raises:
            _GoneError: if the template has ended.
            SandboxError: if the child could not be made or isolated.
        """
        counting = Group.create(limits) if group else None
        child = None
        ours, theirs = socket.socketpair()
        try:
            child = self._fork(theirs.fileno(), limits, counting)
            counted, examines = counting is not None, examiner is None
            setup.prepare(ours, limits, files, threads=threads, counted=counted, examines=examines)
            return WarmSession(ours, child, limits, examiner)
        except BaseException as error:
            ours.close()
            if child is None and counting is not None:
                counting.close()
            if child is not None and not child.end() and isinstance(error, OSError | SandboxError):
                raise _GoneError from error
            raise
        finally:
            theirs.close()

    def _fork(self, job: int, limits: Limits, group: Group | None) -> Child:
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"watch_mb": 0 if group else limits.memory_mb, "places": list(policy.WRITABLE)}
        fds = [job, theirs.fileno(), *(group.procs_fds if group else [])]
        status.settimeout(_ANSWER_SECONDS)
        received: list[int] = []
        try:
            with theirs, self._lock:
                socket.send_fds(self._control, [json.dumps(request).encode()], fds)
            said, received, _, _ = socket.recv_fds(status, 1 << 16, 1)
        except TimeoutError:
            status.close()
            raise SandboxError(f"the warm template did not answer within {_ANSWER_SECONDS} s\n{self.log()}") from None
        except OSError as error:
            status.close()
            raise _GoneError from error
        told = json.loads(said) if said else {}
        if told.get("forked") and received:
            return Child(received[0], status, group)
        status.close()
        if "failed" in told:
            raise SandboxError(f"no sandbox could be forked: {told['failed']}")
        raise _GoneError

    def close(self) -> None:
        """Let it end, and wait until bubblewrap and all in it has gone."""
        # The template ends when its socket does; its PID namespace, and with it every child, ends with it.
        self._control.close()
        self._keeper.join(10)
        if self._keeper.is_alive() and self._running is not None:
            self._running.kill()
            self._keeper.join()
        self._log.close()

    def log(self) -> str:
        """The end of what it wrote."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), 4000, max(0, size - 4000)).decode(errors="replace").strip()
