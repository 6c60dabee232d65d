"""A simulated class of 200, graded while it is killed again and again, whole and in parts, until it is through.

What comes out is held against the table of who is what, and against an undisturbed run of the same class.
"""

import json
import random
import shutil
import time
from pathlib import Path

import pytest

from classroom.simulate import compare, read_key

from ..conftest import ROOT, CourseFolder
from .conftest import Class, difference, shared_secret, temporary_folder

STUDENTS, KILLS = 200, 24
COMMAND = ("autograde", "checkpoint-01", "--cell-timeout", "20")


def until_done(made: Class, *words: str) -> None:
    code, said = made.run(*words, seconds=3000)
    assert code == 0, said


@pytest.mark.full
def test_graded_while_it_is_killed(tmp_path: Path, capsys):
    root = CourseFolder(tmp_path / "class", "checkpoint-01").root
    shutil.copytree(ROOT / "solutions" / "checkpoint-01", root / "solutions" / "checkpoint-01")
    chance = random.Random(200)
    with temporary_folder() as tmp, temporary_folder() as other:
        made = Class(root, tmp, quick=False)
        until_done(made, "release", "checkpoint-01")
        shared_secret(root)
        until_done(made, "simulate", "checkpoint-01", "--students", str(STUDENTS))
        collect = ("collect", "checkpoint-01", "--from", "course/inbound-simulated/checkpoint-01")
        calm = Class(Path(shutil.copytree(root, tmp_path / "calm" / "class", symlinks=True)), other, quick=False)
        until_done(calm, *collect)
        for _ in range(4):
            process = made.start(*collect)
            time.sleep(chance.uniform(1, 4))
            process.kill()
            process.wait()
        until_done(made, *collect)
        assert tree(made.root / "course/submitted") == tree(calm.root / "course/submitted")
        assert names(made.root / "course/attempts") == names(calm.root / "course/attempts")

        began = time.monotonic()
        until_done(calm, *COMMAND)
        alone = time.monotonic() - began
        began = time.monotonic()
        counts, runs = kill_until_done(made, chance, alone)
        seconds = time.monotonic() - began
        with capsys.disabled():
            print(f"\n{STUDENTS} students: {alone:.0f} s alone; {seconds:.0f} s in {runs} runs with {counts}")
        key = read_key(root / "course/inbound-simulated/checkpoint-01.kinds.csv")
        # Of some hostile ones it is a matter of speed which of two limits they meet first.
        either = {student for student, row in key.items() if "|" in row["outcome"]}
        assert difference(state(made, either), state(calm, either)) == []
        assert made.left_behind() == calm.left_behind() == []
        until_done(made, "status", "checkpoint-01", "--json", "status.json")
        rows = json.loads((root / "status.json").read_text())["students"]
        assert len(rows) == len({row["student"] for row in rows}) == len(names(root / "course/submitted", "*"))
        assert compare(key, rows) == []


def kill_until_done(made: Class, chance: random.Random, alone: float) -> tuple[dict[str, int], int]:
    """Type the command until it ends with 0, and kill it meanwhile; how often which part, and how many runs it took."""
    counts = {"whole": 0, "worker": 0, "template": 0}
    stood: dict = {}
    runs = 0
    while True:
        runs += 1
        process = made.start(*COMMAND)
        while process.poll() is None:
            if sum(counts.values()) >= KILLS:
                process.wait(3000)
                continue
            time.sleep(chance.uniform(0.5, max(5, 2 * alone / KILLS)))
            part = chance.choice(("whole", "worker", "template"))
            pid = {"whole": process.pid, "worker": made.worker(), "template": made.template()}[part]
            if pid is not None and process.poll() is None and made.kill(pid):
                counts[part] += 1
        now = made.stamps()
        assert stood.items() <= now.items(), "a result that stood was made again"
        stood = {name: stamp for name, stamp in now.items() if made.outcome(name) != "failed"}
        assert process.returncode in (0, 1, 2, -9), made.log()[-3000:]
        assert "Traceback" not in made.log(), made.log()[-6000:]
        if process.returncode == 0:
            return counts, runs
        assert runs < 3 * KILLS, made.log()[-3000:]


def state(made: Class, without: set[str]) -> dict:
    """As `Class.state`, by what of it is the same in any two runs: outcomes and points, not what a cell printed."""
    found = made.state()
    results = {
        student: {field: record[field] for field in ("submission", "grader", "outcome", "answers", "points")}
        for student, record in found["results"].items()
        if student not in without
    }
    book = {name: [row for row in rows if not without & set(row)] for name, rows in found["gradebook"].items()}
    return {"results": results, "gradebook": book, "autograded": dict.fromkeys(found["autograded"])}


def tree(top: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def names(top: Path, pattern: str = "**/*") -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.glob(pattern))
