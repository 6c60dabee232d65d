"""The engine: jobs go to Dask workers, a few more at a time than there are hands, and outcomes come back as they end.

Without an address it is this machine (`classroom.local`); with one it is whatever workers that scheduler has. Workers
get bytes and return bytes (`classroom.worker`); who a job belongs to is known here only.

A job that ends without an outcome of the submission's own (the worker or the sandbox died) is tried up to three times.
One whose tests' process crashed each time is told so at the last: if it then crashes again, that is its outcome.
"""

import json
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from classroom.errors import ClassroomError
from classroom.local import LocalWorkers
from classroom.scheduler import Certificates, check_address, connect, is_here
from classroom.steady import use_steady_time

INFRA_ERROR = "infra-error"
TRIES = 3
IDLE_SECONDS = 5  # without an outcome: look whether the scheduler and the workers are still there
WORKERS_SECONDS = 300  # to wait for the first worker: a cluster's queue takes its time
LOOK_SECONDS = 10  # between two looks at how many workers a cluster has
ANSWER_SECONDS = 10  # for the scheduler to say how many workers it has
START_SECONDS = 60  # for the local workers
CLOSE_SECONDS = 5
NOTE_CHARACTERS = 300  # of an error, in a result

T = TypeVar("T")


def grader() -> Callable[[bytes], bytes]:
    """What a worker does with a job's bytes.

    A function made in a function is sent as its code, not by name: a worker that has no `classroom` then answers with
    an error, where it would otherwise end without a word.
    """

    def grade(payload: bytes) -> bytes:
        from classroom.worker import grade

        return grade(payload)

    return grade


@dataclass
class _Flight:
    """One job on its way."""

    owner: object  # whatever the caller knows it by; never sent
    number: int
    payload: bytes
    tries: int = 0
    crashes: int = 0  # of the examiner's process


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """Runs jobs. It begins to start at once, in a thread, so that imports and grading's own start overlap.

    Args:
        jobs: how many at a time on this machine; by default one a processor.
        start: `warm`, `cold` or `insecure`: for the warm one, the template is made before the first job comes.
        scheduler: the address of a Dask scheduler instead of this machine.
        certificates: for an address with TLS.
        say: where to say that workers are waited for.
        function: what a worker runs, from bytes to bytes.

    Raises:
        ClassroomError: if the address is not one that may be used.
    """

    def __init__(
        self,
        *,
        jobs: int | None = None,
        start: str = "warm",
        scheduler: str | None = None,
        certificates: Certificates | None = None,
        say: Callable[[str], None] = lambda text: None,
        function: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.jobs = jobs or cores()
        self.address = check_address(scheduler) if scheduler else None
        self._certificates = certificates or Certificates()
        self._say = say
        self._function = function or grader()
        self._ready = start if function is None else "none"  # which kind of sandbox to make ready
        self._client = self._local = None
        self._failure: BaseException | None = None
        self._look_again, self._threads_there = 0.0, 0
        # Here and not in the thread, where it would take turns with the caller's imports: workers wait for this one.
        use_steady_time()
        self._starter = threading.Thread(target=self._start, name="engine", daemon=True)
        self._starter.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Start and end

    def _start(self) -> None:
        try:
            import logging

            import distributed  # sets levels of its own

            for name in (distributed.__name__, "distributed.client"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it, we say ourselves
            if self.address is None:
                self._local = LocalWorkers(self.jobs, self._ready, TRIES)
                self._client = self._local.client
            else:
                self._client = connect(self.address, self._certificates)
        except BaseException as error:  # raised where the engine is first used
            self._failure = error

    def client(self):
        """Dask's client, as soon as there is one.

        Raises:
            ClassroomError: if the workers or the scheduler did not come up.
        """
        self._starter.join()
        if isinstance(self._failure, ClassroomError):
            raise self._failure
        if self._failure is not None:
            reason = str(self._failure).rstrip(".")
            raise ClassroomError(
                f"the workers did not start: {reason}; the same command tries again"
            ) from self._failure
        return self._client

    def close(self) -> None:
        """End the workers of this machine and the jobs that run; jobs on a cluster are called back."""
        with _undisturbed():
            self._starter.join(CLOSE_SECONDS if self.address else START_SECONDS)
            if self._local is not None:
                self._local.close()
            elif self._client is not None:
                with suppress(TimeoutError):  # of a scheduler that does not answer
                    self._client.close(timeout=CLOSE_SECONDS)
            self._client = self._local = None

    # A batch

    def outcomes(self, jobs: Iterable[tuple[T, dict]]) -> Iterator[tuple[T, dict]]:
        """Run jobs, taken one by one as there is room for them; yield each one's owner and outcome, first come first.

        Args:
            jobs: pairs of an owner, which stays here, and a job with a `number`.

        Raises:
            ClassroomError: if the scheduler goes away, no worker comes, or a worker has another environment.
        """
        client = self.client()
        batch, done, flying = uuid.uuid4().hex, queue.Queue(), {}
        window = self._window()
        waiting = iter(jobs)
        more = True

        def send(flight: _Flight) -> None:
            flight.tries += 1
            if flight.tries == TRIES and flight.crashes == TRIES - 1:
                flight.payload = json.dumps({**json.loads(flight.payload), "last_try": True}).encode()
            key = f"{batch}-{flight.number}-{flight.tries}"
            future = client.submit(self._function, flight.payload, key=key, pure=False)
            flying[key] = flight, future
            future.add_done_callback(lambda ended: done.put(ended.key))

        def fill() -> None:
            nonlocal more
            while more and len(flying) < window:
                try:
                    owner, job = next(waiting)
                except StopIteration:
                    more = False
                else:
                    send(_Flight(owner, job["number"], json.dumps(job).encode()))

        try:
            fill()
            while flying:
                key = self._wait(done)
                window = self._window()
                flight, future = flying.pop(key)
                outcome = self._outcome(future, flight)
                future.release()
                if outcome["state"] == INFRA_ERROR and flight.tries < TRIES:
                    flight.crashes += bool(outcome.get("crashed"))
                    send(flight)
                    continue
                fill()  # before the caller takes its time
                yield flight.owner, {**outcome, "tries": flight.tries}
        finally:
            if flying and client.status == "running":
                client.cancel([future for _, future in flying.values()], force=True)

    def _window(self) -> int:
        """How many jobs are under way at a time: those that run and as many that wait at hand."""
        if self.address is None:
            return 2 * self.jobs
        now = time.monotonic()
        if now >= self._look_again:  # workers come and go
            self._look_again = now + LOOK_SECONDS
            self._threads_there = sum(self._threads().values())
        return 2 * max(1, self._threads_there)

    def _threads(self) -> dict[str, int]:
        """The threads of each worker.

        Raises:
            ClassroomError: if the scheduler is gone.
        """
        client = self._client
        gone = f"the scheduler at {self.address} does not answer any more"
        gone += "; what is done is kept, and the same command goes on"
        if client.status != "running":
            raise ClassroomError(gone)
        try:
            return client.sync(client.scheduler.ncores, callback_timeout=ANSWER_SECONDS)
        except (OSError, TimeoutError):
            raise ClassroomError(gone) from None

    def _wait(self, done: queue.Queue) -> str:
        """The key of the next job that ended."""
        began = told = time.monotonic()
        while True:
            try:
                return done.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                now = time.monotonic()
            if self._threads():
                began = now
                continue
            if self._local is not None:
                self._local.revive(now - began)
            if now - began > WORKERS_SECONDS:
                if self.address is None:
                    raise ClassroomError(
                        "the worker on this machine ends whenever it starts; what is done is kept, and the same "
                        "command goes on (`classroom doctor` shows what this machine lacks)"
                    )
                start = f"dask worker {self._where()} --preload classroom.worker --dashboard-address 127.0.0.1:0"
                raise ClassroomError(f"no worker at {self._where()} for {WORKERS_SECONDS:.0f} s; start some: {start} …")
            if now - told >= IDLE_SECONDS:
                told = now + 12 * IDLE_SECONDS
                self._say(f"waiting for a worker at {self._where()} (Ctrl-C ends; the same command goes on)")

    def _where(self) -> str:
        return self.address or "this machine"

    def _outcome(self, future, flight: _Flight) -> dict:
        """What a worker returned, or an outcome that says that it could not.

        Raises:
            ClassroomError: where the next job would fare no better.
        """
        from concurrent.futures import CancelledError

        try:
            return json.loads(future.result())
        except CancelledError as error:
            if getattr(error, "reason", "") == "scheduler-connection-lost":
                message = (
                    f"the scheduler at {self._where()} went away; what is done is kept, and the same command goes on"
                )
                raise ClassroomError(message) from None
            problem = error
        except Exception as error:
            if type(error).__name__ == "EnvironmentDiffersError" and self.address and is_here(self.address):
                raise ClassroomError(
                    f"the worker at {self.address} does not run the code that this command would: it is another "
                    "Python's, or the course's library was changed after it had started; start it again with this "
                    "Python, and type the same command"
                ) from None
            if type(error).__name__ in ("EnvironmentDiffersError", "SandboxError"):  # no job would fare better
                raise ClassroomError(str(error)) from None
            if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "classroom":
                raise ClassroomError(f"a worker at {self._where()} has no classroom installed: {error}") from None
            problem = error
        from distributed.scheduler import KilledWorker

        if isinstance(problem, KilledWorker):
            flight.tries = TRIES  # Dask tried as often already
            note = "the worker process died each time that it ran this job"
        else:
            note = f"{type(problem).__name__}: {problem}".splitlines()[0][:NOTE_CHARACTERS]
        return {"number": flight.number, "state": INFRA_ERROR, "note": note, "notebooks": {}, "cells": {}, "usage": {}}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a second Ctrl-C not interrupt the end that the first one began; it takes seconds at most."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not SIG_IGN, which a worker that the other thread just starts would inherit: then SIGTERM could not end it.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
