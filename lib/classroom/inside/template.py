"""The warm template: imports once what submissions import, then forks a child for each.

Run inside bubblewrap as `python -m classroom.inside.template DESCRIPTOR MODULE…`. It is trusted, runs nothing of a
student's, and knows nothing: no names, no tests, no tokens, since its memory is copied into every child. It has one
thread, because a fork takes only the thread that forks.

Requests come over a Unix socket, each with descriptors: the job's socket for the child, a status socket on which the
template tells the host about that child, and the control groups to join. When the host's end closes, the template ends,
and with it (its PID namespace) every child.

Each child is process 1 of a PID namespace that the template makes for it: no process stands between the two, one fork
is all that a job costs, and when that process ends the kernel kills and clears away whatever it had started.
"""

import ctypes
import gc
import importlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass

from classroom.inside import isolate, watch, worker
from classroom.inside.shell import Shell

_MOST_DESCRIPTORS = 16
_HUGE, _MADV_COLLAPSE = 2 << 20, 25


@dataclass
class Child:
    """A job under way."""

    number: int
    status: socket.socket
    limit_mb: float = 0.0  # of memory, where it is for us to watch; else 0
    places: tuple[str, ...] = ()
    memory_mb: float = 0.0  # peak, as far as we watched
    processes: int = 0
    reason: str = ""


class Template:
    """Forks a child for each request, and says when and how it ended."""

    def __init__(self, control: socket.socket, shell: Shell) -> None:
        self.control = control
        self.shell = shell
        self.children: dict[int, Child] = {}  # by pidfd
        self.own_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self.proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with open("/proc/sys/kernel/cap_last_cap") as file:
            self.last_capability = int(file.read())
        self.own_mb, self.inherited_mb = watch.own_memory_mb()

    def serve(self) -> None:
        """Answer requests until the host closes its end."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        watched_at = 0.0
        while True:
            watching = any(child.limit_mb for child in self.children.values())
            for fd, _ in poll.poll(watch.PERIOD * 1000 if watching else None):
                if fd in self.children:
                    poll.unregister(fd)
                    self._ended(fd)
                else:
                    message, fds, _, _ = socket.recv_fds(self.control, 1 << 16, _MOST_DESCRIPTORS)
                    if not message:
                        return
                    started = self._request(json.loads(message), fds)
                    if started is not None:
                        poll.register(started, select.POLLIN)
            if watching and time.monotonic() - watched_at >= watch.PERIOD:
                self._watch()
                watched_at = time.monotonic()

    def _request(self, request: dict, fds: list[int]) -> int | None:
        """Fork a child; returns its pidfd, or None where that failed, which the host is told."""
        job, status, *groups = fds
        told = socket.socket(fileno=status)
        try:
            number = self._fork(job, groups)
        except OSError as error:  # no more processes, no more memory; the next request may find some
            _tell(told, {"failed": f"{type(error).__name__}: {error}"})
            told.close()
            return None
        finally:
            for fd in (job, *groups):
                os.close(fd)
        pidfd = os.pidfd_open(number)
        self.children[pidfd] = Child(number, told, request["watch_mb"], tuple(request["places"]))
        try:
            _tell(told, {"forked": True}, pidfd)
        except OSError as error:  # no descriptor can be sent just now: this job ends, the others go on
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _tell(told, {"failed": f"{type(error).__name__}: {error}"})
        return pidfd

    def _fork(self, job: int, groups: list[int]) -> int:
        """Fork a child as process 1 of a PID namespace of its own.

        Raises:
            OSError: if there can't be another process or namespace now.
        """
        isolate.unshare(isolate.NEWPID)
        try:
            number = os.fork()
            if number == 0:
                worker.run(self.shell, job, groups, self.proc, self.last_capability)
        finally:
            self._come_back()
        return number

    def _come_back(self) -> None:
        """Let the next unshare begin from our own PID namespace; without that we are of no more use."""
        try:
            isolate.enter_pid_namespace(self.own_namespace)
        except OSError as error:
            raise SystemExit(f"the template can't get back to its own PID namespace: {error}") from error

    def _ended(self, pidfd: int) -> None:
        """Tell the host how a child ended. By then everything in its PID namespace is gone: the kernel sees to that."""
        child = self.children.pop(pidfd)
        os.close(pidfd)
        _, code, used = os.wait4(child.number, 0)
        message = {
            "exit": os.waitstatus_to_exitcode(code),
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "memory_mb": max(child.memory_mb, used.ru_maxrss / 1024 - self.inherited_mb),
            "processes": max(1, child.processes),
            "reason": child.reason,
        }
        _tell(child.status, message)
        child.status.close()

    def _watch(self) -> None:
        """Add up the memory of the jobs that no control group counts, and end those that are over their limit."""
        watched = {child.number: (fd, child) for fd, child in self.children.items() if child.limit_mb}
        for root, family in watch.families(watched).items():
            fd, child = watched[root]
            # Pages shared with us count in part; the whole of us is on top of the limit, so they never hurt.
            enough = child.limit_mb + self.own_mb
            held = watch.memory_mb(root, family, child.places, enough)
            grown = sum(max(0.0, resident - self.inherited_mb) for _, _, resident in family)
            child.memory_mb = max(child.memory_mb, min(held, grown))
            child.processes = max(child.processes, sum(threads for _, threads, _ in family))
            if held > enough and not child.reason:
                child.reason = "memory"
                signal.pidfd_send_signal(fd, signal.SIGKILL)


def _tell(status: socket.socket, message: dict, *fds: int) -> None:
    """Send a line to the host; one that has gone away does not want it any more."""
    try:
        socket.send_fds(status, [json.dumps(message).encode()], fds)
    except (BrokenPipeError, ConnectionResetError):
        return


def _warm_up(preload: list[str]) -> Shell:
    """Import, and do once what is slow the first time."""
    shell = Shell()  # before the imports: some modules look, once, whether they are in a notebook
    for name in preload:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Not installed here, or not all that it needs: a notebook that wants it is told the same.
            print(f"not imported ahead: {name} ({error})", file=sys.stderr)
    importlib.import_module("classroom.inside.examine.examiner")  # for examiners, and for what answers them
    shell.warm_up()
    shell.reseed()  # torch imports what it needs for this the first time
    _draw_digits()
    return shell


def _draw_digits() -> None:
    """Draw what `deeppractice.data.load("glyphs")` makes its digits of and keeps: a third of a second a process."""
    glyphs = sys.modules.get("deeppractice.data.glyphs")
    if glyphs is not None:
        for character, font, weight in itertools.product("0123456789", glyphs.FONTS, glyphs.WEIGHTS):
            glyphs.field(character, font, weight)


def _room_for_descriptors() -> None:
    """Take all the descriptors that we may have; what `worker` leaves a child is far less.

    The kernel counts descriptors that are on their way over Unix sockets for all processes of a user together, and
    refuses to send more where they are above the sender's own limit. So a submission that fills its sockets must come
    to its own limit long before the template does, which sends one for each child.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _gather_pages() -> None:
    """Put our memory into huge pages, as far as the kernel can: a fork copies one entry for 512 pages then.

    That takes a fifth off the processor time of an empty job. A page that a child writes to is still copied by itself.
    """
    libc = ctypes.CDLL(None)
    with open("/proc/self/maps") as file:
        maps = [line.split()[:2] for line in file]
    for span, access in maps:
        start, end = (int(part, 16) for part in span.split("-"))
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        if access == "rw-p" and start < end:
            # Refused by kernels before 6.1 and for what is no anonymous memory; nothing is lost then.
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)


def main() -> int:
    """Get warm, say so, serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _room_for_descriptors()
    started = time.monotonic()
    try:
        shell = _warm_up(sys.argv[2:])
        tasks = len(os.listdir("/proc/self/task"))
        if tasks != 1:
            raise RuntimeError(
                f"the template has {tasks} threads, a fork would lose all but one: some module of {sys.argv[2:]}"
            )
        isolate.set_dumpable(False)
        gc.collect()
        gc.freeze()  # the collector would touch, and so copy, every page in each child
        _gather_pages()
        template = Template(control, shell)
    except Exception:
        _tell(control, {"failed": traceback.format_exc()})
        return 1
    _tell(control, {"ready": True, "seconds": time.monotonic() - started, "memory_mb": template.own_mb})
    template.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
