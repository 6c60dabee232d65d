"""The clock is set back: in the tested process alone, never the machine's.

In order: a batch that is killed and goes on a month earlier; a submission that changes, and a manual grade that is
given, after that; feedback; attempts that are collected before and after; a clock that goes back in mid-batch.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import PROJECT, Class, difference, wait_for

# The wall clock of a process, shifted by the seconds that stand in a file; time that only counts up is left alone.
# (libfaketime shifts the waits of threads too, wrongly: a program with Dask's threads then spins or ends.)
SHIFTED = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *seconds;
__attribute__((constructor)) static void start(void) {
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    seconds = mmap(0, sizeof *seconds, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
}
int clock_gettime(clockid_t which, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, which, now);
    if (!result && seconds && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *seconds;
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    return now ? *now = found.tv_sec : found.tv_sec;
}
"""
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

# `classroom` alone: what it starts has the machine's clock again.
ALONE = "import os; del os.environ['LD_PRELOAD']; from classroom.cli import main; exit(main())"
COMMAND = ("autograde", PROJECT)
DAY = 24 * 60 * 60


class Clock:
    """A process's own clock; `variables` are for its environment."""

    def __init__(self, place: Path) -> None:
        self.file = place / "shift"
        self.set(0)
        source, library = place / "shifted.c", place / "shifted.so"
        source.write_text(SHIFTED)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
        self.variables = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self.file)}

    def set(self, seconds: int) -> None:
        """Shift it, of processes that run too."""
        mode = "r+b" if self.file.exists() else "wb"
        with open(self.file, mode) as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def run(self, made: Class, *words: str) -> str:
        """Type a command with this clock; it must end with 0."""
        code, said = made.run(*words, python=("-c", ALONE), **self.variables)
        assert code == 0, said
        return said


@pytest.fixture
def clock(tmp_path) -> Clock:
    """The machine's, until it is set."""
    made = Clock(tmp_path)
    made.set(-30 * DAY)
    words = [sys.executable, "-c", "import time, datetime; print(time.time(), datetime.datetime.now().timestamp())"]
    done = subprocess.run(words, env={**os.environ, **made.variables}, capture_output=True, text=True, timeout=60)
    assert all(29 * DAY < time.time() - float(seen) < 31 * DAY for seen in done.stdout.split())
    return made


def test_it_goes_on_a_month_earlier(new_class, calm, clock):
    process = new_class.start(*COMMAND)
    wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
    process.kill()
    process.wait()
    stood = new_class.stamps()
    assert len(stood) < 9
    clock.run(new_class, *COMMAND)
    assert stood.items() <= new_class.stamps().items()
    assert difference(new_class.state(), calm["state"]) == []
    assert "0 graded now" in clock.run(new_class, *COMMAND)
    assert "8 made" in clock.run(new_class, "feedback", PROJECT)

    # What changes from then on counts, though it is older than what stands.
    book = new_class.root / "course/submitted/cid/tiny/tiny.ipynb"
    book.write_text(book.read_text().replace("return x", "return 2 * x"))
    os.utime(book, (0, 0))
    new_class.manual("ada", 0.5, "by hand")
    assert "1 graded now" in clock.run(new_class, *COMMAND)
    state = new_class.state()
    grades = {row[:2]: row[2:] for row in state["gradebook"]["grades"]}
    assert grades["cid", "double-tests"][0] == 3
    assert grades["ada", "why"][1] == 0.5
    said = clock.run(new_class, "feedback", PROJECT)
    assert "2 made, 6 unchanged" in said
    # And forward again.
    code, said = new_class.run(*COMMAND)
    assert (code, "0 graded now" in said) == (0, True), said
    assert new_class.state() == state


def test_attempts_collected_before_and_after(new_class, clock):
    """The times of submissions decide; without any, the order in which they were collected."""

    def collect(name: str, answer: str, when: str | None, **options: object) -> None:
        place = new_class.root / name / "joy"
        place.mkdir(parents=True)
        text = (new_class.root / "course/submitted/ada/tiny/tiny.ipynb").read_text()
        (place / "tiny.ipynb").write_text(text.replace("return 2 * x", answer))
        if when:
            (place / "timestamp.txt").write_text(when)
        code, said = new_class.run("collect", PROJECT, "--from", name, **options)
        assert code == 0, said

    back = {"python": ("-c", ALONE), **clock.variables}
    stands = new_class.root / "course/submitted/joy/tiny/tiny.ipynb"
    collect("one", "return 1", "2026-02-04 10:00:00 UTC")
    collect("two", "return 22", "2026-02-05 10:00:00 UTC", **back)
    assert "return 22" in stands.read_text()
    collect("three", "return 333", "2026-02-03 10:00:00 UTC", **back)  # of an earlier time
    assert "return 22" in stands.read_text()
    collect("four", "return 4444", None)
    assert "return 4444" in stands.read_text()
    collect("five", "return 55555", None, **back)
    assert "return 55555" in stands.read_text()


def test_in_mid_batch(new_class, calm, clock):
    """And a worker that is killed after that comes up again."""
    clock.set(0)
    process = new_class.start(*COMMAND, "--jobs", "1", python=("-c", ALONE), **clock.variables)
    try:
        wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
        clock.set(-2 * DAY)
        assert new_class.kill(new_class.worker()), new_class.log()
        code = process.wait(120)
    finally:
        process.kill()
    assert code == 0, new_class.log()
    assert difference(new_class.state(), calm["state"]) == []
    assert new_class.left_behind() == []


BACK = """
import os, sys
from pathlib import Path
from classroom.engine import Engine

def same(payload):
    return payload

if __name__ == "__main__":
    shift = Path(os.environ["CLOCK_SHIFT"])
    with Engine(jobs=1, function=same) as engine:
        for number, _ in enumerate(engine.outcomes((None, {"number": n, "state": "ok"}) for n in range(100))):
            with open(shift, "r+b") as file:
                file.write((-3600 * number).to_bytes(8, sys.byteorder, signed=True))
    print("all", number + 1)
"""


def test_messages_do_not_wait_for_the_old_time(tmp_path, clock):
    """An hour back a hundred times: Dask's own timers, by the wall clock, would then hold a message for hours."""
    clock.set(0)
    (tmp_path / "back.py").write_text(BACK)
    variables = {**os.environ, **clock.variables}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "back.py")], env=variables, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "all 100\n"), done.stderr
