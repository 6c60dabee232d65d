"""The clock is set back: by libfaketime, and in the tested process alone, never the machine's.

In order: a batch that is killed and goes on a month earlier; a submission that changes, and a manual grade that is
given, after that; feedback; attempts that are collected before and after; a clock that goes back in mid-batch.
"""

import os
import time
from pathlib import Path

import pytest

from .conftest import PROJECT, Class, difference, wait_for

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs Debian's package libfaketime")

# `classroom` alone: what it starts has the machine's clock again.
ALONE = "import os; del os.environ['LD_PRELOAD']; from classroom.cli import main; exit(main())"
MONTH_BACK = "-30d"
COMMAND = ("autograde", PROJECT)


def faked(offset: str = "", file: Path | None = None) -> dict[str, str]:
    """Variables that shift a process's clock, as that of a machine is set: time that only counts up is left alone."""
    where = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"} if file else {"FAKETIME": offset}
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PATH": os.environ["PATH"], **where}


def run_back(made: Class, *words: str) -> str:
    code, said = made.run(*words, python=("-c", ALONE), **faked(MONTH_BACK))
    assert code == 0, said
    return said


def test_it_goes_on_a_month_earlier(new_class, calm):
    process = new_class.start(*COMMAND)
    wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
    process.kill()
    process.wait()
    stood = new_class.stamps()
    assert len(stood) < 9
    run_back(new_class, *COMMAND)
    assert stood.items() <= new_class.stamps().items()
    assert difference(new_class.state(), calm["state"]) == []
    assert "0 graded now" in run_back(new_class, *COMMAND)
    assert "8 made" in run_back(new_class, "feedback", PROJECT)

    # What changes from then on counts, though it is older than what stands.
    book = new_class.root / "course/submitted/cid/tiny/tiny.ipynb"
    book.write_text(book.read_text().replace("return x", "return 2 * x"))
    os.utime(book, (0, 0))
    new_class.manual("ada", 0.5, "by hand")
    assert "1 graded now" in run_back(new_class, *COMMAND)
    state = new_class.state()
    grades = {row[:2]: row[2:] for row in state["gradebook"]["grades"]}
    assert grades["cid", "double-tests"][0] == 3
    assert grades["ada", "why"][1] == 0.5
    said = run_back(new_class, "feedback", PROJECT)
    assert "2 made, 6 unchanged" in said
    # And forward again.
    code, said = new_class.run(*COMMAND)
    assert (code, "0 graded now" in said) == (0, True), said
    assert new_class.state() == state


def test_attempts_collected_before_and_after(new_class):
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

    back = {"python": ("-c", ALONE), **faked(MONTH_BACK)}
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


def test_in_mid_batch(new_class, calm, tmp_path):
    """Of all processes of it; and a worker that is killed after that comes up again."""
    file = tmp_path / "offset"
    file.write_text("+0")
    process = new_class.start(*COMMAND, **faked(file=file))
    try:
        wait_for(lambda: new_class.stamps() or process.poll() is not None, what="the first result")
        file.write_text("-2d")
        time.sleep(0.05)
        os.kill(new_class.worker(), 9)
        code = process.wait(120)
    finally:
        process.kill()
    assert code == 0, new_class.log()
    assert difference(new_class.state(), calm["state"]) == []
    assert new_class.left_behind() == []
