"""Somebody else holds something: the gradebook, for a moment, as a reader, and for too long; and the class itself.

In each case the person is told who waits for what, nothing is lost, and the same command goes on.
"""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from .conftest import PROJECT, Class, difference, wait_for

COMMAND = ("autograde", PROJECT)

# A program of its own that holds the gradebook: its path, how, and for how many seconds.
HOLDER = """\
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
db.execute(sys.argv[2])
if sys.argv[2] == "BEGIN":
    db.execute("select count(*) from student").fetchall()  # a reader: it holds nothing before it has read
print("held", flush=True)
time.sleep(float(sys.argv[3]))
"""

# `classroom`, which waits for a lock for two seconds instead of a minute.
IMPATIENT = "from classroom import gradebook; gradebook.WAIT_SECONDS = 2; from classroom.cli import main; exit(main())"


@contextlib.contextmanager
def held(made: Class, how: str, seconds: float = 600):
    """Hold the gradebook in another process."""
    place = made.root / "course/gradebook.db"
    command = [sys.executable, "-c", HOLDER, str(place), how, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.kill()


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN"])
def test_for_a_moment_in_mid_batch(how, new_class, calm):
    """A writer, then a reader, who keeps a change from being written down at its end."""
    process = new_class.start(*COMMAND)
    try:
        wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
        with held(new_class, how):
            time.sleep(3)
            assert process.poll() is None, new_class.log()
        assert process.wait(60) == 0, new_class.log()
    finally:
        process.kill()
    assert "gradebook.db is held by another program; waiting for at most 60 s" in new_class.log()
    assert difference(new_class.state(), calm["state"]) == []


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", pytest.param("BEGIN EXCLUSIVE", marks=pytest.mark.full)])
def test_for_too_long(how, new_class, calm):
    with held(new_class, how):
        code, said = new_class.run(*COMMAND, python=("-c", IMPATIENT))
        assert code == 2, said
        assert "another program has held it for too long" in said
        assert "nothing is lost, and the same command goes on from here" in said
        assert "Traceback" not in said
    code, said = new_class.run(*COMMAND)
    assert code == 0, said
    assert difference(new_class.state(), calm["state"]) == []
    assert new_class.left_behind() == []


@pytest.mark.full
@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN"])
def test_for_a_minute_and_more_in_mid_batch(how, new_class, calm):
    process = new_class.start(*COMMAND)
    wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
    with held(new_class, how):
        began = time.monotonic()
        assert process.wait(120) == 2, new_class.log()
        assert 55 < time.monotonic() - began < 90
    assert "Traceback" not in new_class.log()
    stood = new_class.stamps()
    code, said = new_class.run(*COMMAND)
    assert code == 0, said
    assert stood.items() <= new_class.stamps().items(), "what was graded before the lock was graded again"
    assert difference(new_class.state(), calm["state"]) == []


def test_two_at_once(new_class, calm):
    """Of several that are started together one grades, and the others say so and change nothing."""
    processes = [new_class.start(*COMMAND) for _ in range(3)]
    codes = sorted(process.wait(120) for process in processes)
    assert codes == [0, 2, 2], new_class.log()
    assert new_class.log().count("another classroom command is working in course; wait until it has ended") == 2
    assert difference(new_class.state(), calm["state"]) == []
    assert new_class.left_behind() == []


def test_many_who_look_while_it_grades(new_class, calm):
    """Readers as formgrader is one, each with a quick transaction: they cost time only."""
    stop, looks = threading.Event(), []

    def look() -> None:
        with contextlib.closing(sqlite3.connect(new_class.root / "course/gradebook.db", timeout=30)) as db:
            while not stop.is_set():
                looks.append(db.execute("select count(*) from grade").fetchone())
                time.sleep(0.005)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        code, said = new_class.run(*COMMAND)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert code == 0, said
    assert len(looks) > 100
    assert difference(new_class.state(), calm["state"]) == []
