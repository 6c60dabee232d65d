"""The workers of this machine: one Dask worker process, whose threads share one warm template, under a nanny.

The scheduler speaks TLS with a certificate made for this batch, so that no other user of the machine can join it. All
temporary files lie in one private folder, and nothing outlives the engine: killed too, it takes its workers along.
"""

import atexit
import gc
import logging
import multiprocessing.util  # so that its own end comes after ours
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from classroom.sandbox import owners
from classroom.scheduler import for_one_batch
from classroom.worker import LOCAL

CLOSE_SECONDS = 5
REVIVE_SECONDS = 15  # between two tries to start a worker anew
STUCK_SECONDS = 60  # a worker is up two seconds after its start; under a heavy load, after twenty
_WORKER = "Dask Worker process (from Nanny)"  # what Dask calls them
_SCRATCH = "classroom-batch-"


class LocalWorkers:
    """A cluster on this machine; `client` is Dask's client of it.

    Args:
        jobs: threads, each of which runs one job at a time.
        start: which kind of sandbox to make ready; `warm` makes the template at once.
        tries: how often a job is started whose worker dies.
    """

    def __init__(self, jobs: int, start: str, tries: int) -> None:
        import dask.config
        from distributed import Client, LocalCluster

        # All temporary files of the workers, so that they go with us; what an engine left that was killed goes now.
        owners.sweep(Path(tempfile.gettempdir()), _SCRATCH)
        self._scratch = tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{owners.mark()}-", ignore_cleanup_errors=True)
        place = self._scratch.name
        os.chmod(place, 0o711)  # the sandbox's user has to pass through
        workers = os.path.join(place, "workers")
        os.mkdir(workers, 0o700)
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": tries - 1,
                "distributed.scheduler.http.routes": [],  # no pages about the batch
                "distributed.worker.http.routes": [],
                "distributed.worker.daemon": True,  # workers end with this process
                "temporary-directory": place,
            }
        )
        # Dask's watch of garbage collection reports an error where a collection runs while it starts.
        gc.disable()
        try:
            self._cluster = LocalCluster(
                n_workers=1,
                threads_per_worker=jobs,
                processes=True,
                security=for_one_batch(),
                dashboard_address="127.0.0.1:0",  # Dask opens a port for its pages in any case; they are empty
                memory_limit=0,  # nothing is spilled to disk; submissions have limits of their own
                local_directory=workers,
                env={"TMPDIR": place, LOCAL: start},
                preload=["classroom.worker"],
                silence_logs=logging.CRITICAL,
            )
        except BaseException:
            self._scratch.cleanup()
            raise
        finally:
            gc.enable()
        self._revived = time.monotonic() - REVIVE_SECONDS
        try:
            self.client = Client(self._cluster, set_as_default=False, name="classroom")
        except BaseException:
            self.client = None
            self.close()
            raise

    def revive(self, seconds: float) -> None:
        """Start a worker if none runs any more: Dask's nanny gives up on one that is killed while it starts.

        Args:
            seconds: for how long there has been none that takes jobs.
        """
        if time.monotonic() < self._revived + REVIVE_SECONDS:
            return
        starting = [nanny.pid for nanny in self._cluster.workers.values() if nanny.pid is not None]
        if starting and seconds < STUCK_SECONDS:
            return
        self._revived = time.monotonic()
        for pid in starting:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not starting:
            self._cluster.scale(len(self._cluster.worker_spec) + 1)  # one more; to take the other away may hang

    def close(self) -> None:
        """Kill the workers, and their sandboxes with them: they have nothing to say goodbye for."""
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # only says that it shall not start another one
            if nanny.pid is not None:
                os.kill(nanny.pid, signal.SIGKILL)
        # What is left has no process of its own: where it does not end in time, it ends with this one.
        with suppress(TimeoutError):
            if self.client is not None:
                self.client.close(timeout=CLOSE_SECONDS)
            self._cluster.close(timeout=CLOSE_SECONDS)
        self._scratch.cleanup()


@atexit.register
def _end_workers() -> None:
    """Kill what is left of workers whose start failed or never ended: Python would wait for them, maybe for ever."""
    for process in multiprocessing.active_children():
        if process.name == _WORKER:
            process.kill()
