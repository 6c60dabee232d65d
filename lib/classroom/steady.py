"""Dask's waits by a clock that only counts up.

Dask gathers messages and sends them at a time of the wall clock, and so does Tornado below it with every timer: while a
batch runs, a clock that is set back by an hour would hold its messages for an hour.
"""

import time

_BEHIND = time.time() - time.monotonic()


def steady_time() -> float:
    """Seconds since 1970 by the clock as it stood when this was imported; never set back, never forward."""
    return _BEHIND + time.monotonic()


def use_steady_time() -> None:
    """Let Dask and Tornado wait by `steady_time` in this process; timers that run go on, since it begins at now."""
    import distributed.batched
    from tornado.ioloop import IOLoop

    distributed.batched.time = steady_time
    IOLoop.time = lambda _loop: steady_time()
