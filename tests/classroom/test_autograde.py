"""Grading goes on: past submissions that cannot be read, end their kernel or never end, and past an interruption."""

import os
import re
import signal
import subprocess
import time

RIGHT = "def double(x):\n    return 2 * x"
WRONG = "def double(x):\n    return x + 2"  # right for 2, wrong for -1: only the hidden test sees it


STUBBORN = """\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""
SLOW = """\
import os, time
open("started", "w").write(str(os.getpid()))
while True:
    time.sleep(0.1)"""


def test_one_broken_submission_costs_the_others_nothing(tiny):
    tiny.hand_in("a-right", "tiny", RIGHT)
    tiny.hand_in("b-not-json", "tiny", RIGHT).write_text('{"cells": [{"cell_type": "co')
    tiny.hand_in("c-not-a-notebook", "tiny", RIGHT).write_text('{"cells": "none", "nbformat": 4, "nbformat_minor": 5}')
    tiny.hand_in("d-latin", "tiny", RIGHT).write_bytes(b'{"cells": [], "title": "\xe9"}')
    tiny.hand_in("e-missing", "tiny", RIGHT).rename(tiny.root / "course/submitted/e-missing/tiny/answer.ipynb")
    tiny.hand_in("f-exits", "tiny", "import os\nos._exit(0)")
    tiny.hand_in("g-stubborn", "tiny", STUBBORN)
    tiny.hand_in("h-time", "tiny", RIGHT, when="long ago")
    link = tiny.root / "course/submitted/i-link/tiny/solutions"
    tiny.hand_in("i-link", "tiny", RIGHT)
    link.symlink_to(tiny.root / "solutions")
    tiny.hand_in("j-wrong", "tiny", WRONG)

    done = tiny.run("autograde", "tiny", "--timeout", "2", "--json", "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "b-not-json: refused" in done.stdout  # by name
    report = tiny.report("status", "tiny")
    rows = {row["student"]: row for row in report["students"]}
    assert {student: (row["outcome"], (row["parts"] or {}).get("double-tests")) for student, row in rows.items()} == {
        "a-right": ("graded", 3),
        "b-not-json": ("refused", None),
        "c-not-a-notebook": ("refused", None),
        "d-latin": ("refused", None),
        "e-missing": ("refused", None),
        "f-exits": ("student-error", 0),
        "g-stubborn": ("graded", 0),
        "h-time": ("refused", None),
        "i-link": ("refused", None),
        "j-wrong": ("graded", 0),
    }
    assert rows["d-latin"]["note"] == "tiny.ipynb cannot be read: byte 24 is not UTF-8"
    assert rows["e-missing"]["note"] == "no tiny.ipynb, but answer.ipynb"
    assert rows["i-link"]["note"] == "solutions is a link, not a file"
    assert "stopped at the time limit" in rows["g-stubborn"]["note"]
    # Nobody is lost: the export has a line for each, those without a grade at 0.
    lines = (tiny.root / tiny.report("export")["file"]).read_text().splitlines()
    assert {line.split(",")[3] for line in lines[1:]} == rows.keys()

    # What a student handed in before stands when the new version cannot be read.
    (tiny.root / "course/submitted/a-right/tiny/tiny.ipynb").write_text("?")
    tiny.report("autograde", "tiny", "--student", "a-right")
    row = tiny.report("status", "tiny")["students"][0]
    assert (row["student"], row["outcome"], row["total"]) == ("a-right", "refused", 3)
    assert "the grade of the version before stands" in row["note"]
    # A submission that was refused and is mended is graded; the others are not touched.
    tiny.hand_in("b-not-json", "tiny", RIGHT)
    report = tiny.report("autograde", "tiny")
    assert [student for student, record in report["submissions"].items() if record["again"]] == ["b-not-json"]
    assert report["submissions"]["b-not-json"]["outcome"] == "graded"


def test_interrupted_and_started_again(tiny):
    tiny.hand_in("a", "tiny", RIGHT)
    tiny.hand_in("b", "tiny", SLOW)
    tiny.hand_in("c", "tiny", RIGHT)
    process = subprocess.Popen(
        tiny.command("autograde", "tiny", "--timeout", "120"),
        cwd=tiny.root,
        env=tiny.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        started = tiny.root / "course/autograded/b/tiny/started"
        wait_for(lambda: started.exists() and started.read_text())
        kernel = int(started.read_text())
        # Meanwhile a second one is told so, and changes nothing.
        second = tiny.run("autograde", "tiny")
        assert second.returncode == 2
        assert "another classroom command is working in course" in second.stderr
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        output, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 130, output
    assert re.search(r"\[1/3\] a: graded", output)
    assert "the same command goes on from here" in output
    assert "b: " not in output  # it was not the submission's fault, so nothing is recorded of it
    wait_for(lambda: not alive(kernel))

    report = tiny.report("autograde", "tiny", "--timeout", "2")
    outcomes = {student: (record["outcome"], record["again"]) for student, record in report["submissions"].items()}
    assert outcomes == {"a": ("graded", False), "b": ("graded", True), "c": ("graded", True)}
    again = tiny.report("autograde", "tiny", "--student", "c", "--force")["submissions"]
    assert {student: record["again"] for student, record in again.items()} == {"c": True}


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False
