"""What runs in a Dask worker: take a job's bytes, run it in the sandbox, return the outcome's bytes. Nothing is kept.

A worker process has one warm template, shared by its threads, so that torch is imported once a machine. On a cluster,
start workers with `--preload classroom.worker`, and the template is made while the worker still introduces itself:

    dask worker tls://scheduler:8786 --nworkers 1 --preload classroom.worker --dashboard-address 127.0.0.1:0 …

The last option keeps Dask's web page, which has no TLS, to the machine itself; `--no-dashboard` would not.
"""

import functools
import json
import os
import socket
import threading
from collections.abc import Callable

from classroom.steady import use_steady_time

POLL_SECONDS = 0.5  # how long a job that nobody waits for any more goes on, at most

LOCAL = "CLASSROOM_LOCAL_WORKER"  # set in the workers that the engine starts itself

_template = None
_template_lock = threading.Lock()
_checked: set[str] = set()
_check_lock = threading.Lock()


def dask_setup(worker) -> None:
    """Begin to make the template: Dask calls this in a worker that preloads the module."""
    use_steady_time()
    if os.environ.get(LOCAL):
        os.setsid()  # Ctrl-C at the keyboard is for the engine, which ends its workers in order
    if os.environ.get(LOCAL, "warm") == "warm":
        _open_template(worker.state.nthreads)


def dask_teardown(_worker) -> None:
    """End the template: Dask calls this when the worker ends."""
    global _template
    with _template_lock:
        ended, _template = _template, None
    if ended is not None:
        ended.close()


def _open_template(at_a_time: int):
    """The template of this process; it starts itself again if it dies."""
    global _template
    from classroom.sandbox import open_template

    with _template_lock:
        if _template is None:
            _template = open_template(threads=_threads(at_a_time))
        return _template


def _threads(at_a_time: int) -> int:
    """Each job's share of the processors, for BLAS and OpenMP."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // at_a_time)


def _opener(start: str, kernel: str) -> Callable:
    from distributed import get_worker

    at_a_time = get_worker().state.nthreads
    if start == "insecure":
        from classroom.insecure import open_insecure

        return open_insecure
    if start == "cold":
        from classroom.sandbox.cold import open_cold

        return functools.partial(open_cold, kernel_name=kernel, threads=_threads(at_a_time))
    return _open_template(at_a_time).open


def grade(payload: bytes) -> bytes:
    """Run one job; both sides are JSON.

    Raises:
        EnvironmentDiffersError: if this worker's Python environment is not the one that the job names.
        SandboxError: if this machine lacks a layer of the sandbox.
    """
    from classroom.job import run_job

    job = json.loads(payload)
    opener = _opener(job["start"], job.get("kernel", "python3"))
    _check_once(job["start"], opener)
    with Stoppable(opener) as stoppable:
        return json.dumps(run_job(job, stoppable)).encode()


def _check_once(start: str, opener: Callable) -> None:
    """Try the layers of the sandbox before the first job of this process."""
    from classroom.sandbox.doctor import quick_check
    from classroom.sandbox.policy import SandboxError

    with _check_lock:
        if start != "insecure" and start not in _checked:
            try:
                quick_check(opener)
            except SandboxError as error:
                raise SandboxError(f"{socket.gethostname()}: {error}") from None
            _checked.add(start)


class Stoppable:
    """Opens sessions, and closes the open one when nobody waits for this task's result any more.

    Dask cannot interrupt a thread: without this, the job of an engine that was ended by Ctrl-C or killed would run on
    to its time limit and hold the worker.
    """

    def __init__(self, opener: Callable) -> None:
        self._opener = opener
        self._open: list = []
        self._ended = threading.Event()

    def __enter__(self) -> Callable:
        threading.Thread(target=self._watch, args=(_still_wanted(),), name="watch", daemon=True).start()
        return self._open_session

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _open_session(self, limits, files):
        session = self._opener(limits, files)
        self._open[:] = [session]
        return session

    def _watch(self, wanted: Callable[[], bool]) -> None:
        while not self._ended.wait(POLL_SECONDS):
            if not wanted():
                self._ended.set()
                for session in self._open:
                    session.close()


def _still_wanted() -> Callable[[], bool]:
    """A function that says whether the scheduler still wants the task of this thread."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    return wanted
