"""What a call costs when the student's function is in another process: a test cell's, through the examiner.

    python benchmarks/examiner.py
    python benchmarks/examiner.py --quick       a few repetitions: does it run at all?

Two processes and a socket between them, as in grading, without the sandbox's walls (which cost a call nothing that we
could measure). Each line: the median and the slowest tenth of so many calls. Prints a table and writes
benchmarks/examiner-cpu.json.
"""

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import time
from pathlib import Path

import torch

from classroom.inside.examine.remote import Remote
from classroom.inside.shell import Shell

STUDENT = """
import torch
from torch import nn
def same(x): return x
def square(x): return x * x
def numbers():
    n = 0
    while True:
        yield n
        n += 1
model = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 1))
"""
NAMES = ["same", "square", "numbers", "model"]
SMALL_TARGET_MS, TENSOR_TARGET = 1.0, 500  # milliseconds a small call, MB a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    remote, end = student()
    names = remote.bind(NAMES)
    small, few = (50, 2) if quick else (2000, 10)
    result: dict = {
        "what": "calls of a student's function through the examiner's connection, two processes on one machine",
        "device": f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "target": {"milliseconds of a small call": SMALL_TARGET_MS, "MB a second of a tensor": TENSOR_TARGET},
        "milliseconds": {},
        "megabytes_a_second": {},
    }
    rows, batch = torch.randn(3, 2), torch.randn(16, 32)
    steps, model = iter(names["numbers"]()), names["model"]
    cases = {
        "a function, an integer": lambda: names["square"](3),
        "a function, a tensor of 6 numbers": lambda: names["square"](rows),
        "a module's forward, 16 rows": lambda: model(batch),
        "forward and backward": lambda: model(batch).sum().backward(),
        "next of a generator": lambda: next(steps),
    }
    print(f"{'':40}{'median':>10}{'slow tenth':>12}   ms")
    for name, call in cases.items():
        median, slow = timed(call, small)
        result["milliseconds"][name] = {"median": round(median * 1e3, 3), "slow_tenth": round(slow * 1e3, 3)}
        print(f"{name:40}{median * 1e3:10.3f}{slow * 1e3:12.3f}")
    print(f"\n{'a tensor there and back':40}{'ms':>10}{'MB/s':>12}   (bytes both ways)")
    for megabytes in (1, 16, 128):
        tensor = torch.rand(megabytes << 18)
        median, _ = timed(lambda: names["same"](tensor), few)  # noqa: B023  (called before the next round)
        rate = 2 * megabytes / median
        result["megabytes_a_second"][f"{megabytes} MB there and back"] = round(rate)
        print(f"{f'{megabytes} MB':40}{median * 1e3:10.1f}{rate:12.0f}")
    end()
    if not quick:
        Path(__file__).with_name("examiner-cpu.json").write_text(json.dumps(result, indent=1) + "\n")


def timed(call, count: int) -> tuple[float, float]:
    """Median and slowest tenth, in seconds."""
    call()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), sorted(taken)[int(0.9 * (count - 1))]


def student() -> tuple[Remote, object]:
    """A process with the student's notebook in it, and our connection to it."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        shell = Shell()
        shell.start()
        shell.run(STUDENT, 60)
        shell._answers.serve(theirs)
        os._exit(0)
    theirs.close()
    remote = Remote()
    remote.connect(ours, 600, 6000)

    def end() -> None:
        remote.disconnect()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    return remote, end


if __name__ == "__main__":
    main()
