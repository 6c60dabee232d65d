"""Grade all attempts in one class by the real commands, with honest students before, between and after them."""

import contextlib
import io
import json
import os
import shutil
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from attack_target import PROJECT, RIGHT, write_target
from attack_tries import NOTEBOOK, Try, hand_in, tries
from attack_world import World

from classroom.cli import main
from classroom.results import read_result

ROOT = Path(__file__).resolve().parents[3]
HONEST = ("a-honest", "m-honest", "z-honest")
COURSE_YML = """\
id: attacked
title: A course
term: Spring 2026
timezone: UTC
projects:
  target: {due: 2026-02-06 23:59, weight: 5}
late: {grace_minutes: 15, percent_per_day: 10, days: 3}
"""


@dataclass
class Graded:
    """What came of the class."""

    world: World
    tries: list[Try]
    rows: dict[str, dict]  # of `classroom status`, by student
    refused: list[dict]  # what intake has not taken, with the reasons
    results: dict[str, dict] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def row(self, attempt: Try) -> dict:
        """What `classroom status` says of an attempt; empty where nothing of it was taken."""
        return self.rows.get(attempt.student, {})

    def outcome(self, attempt: Try) -> str:
        """How it ended; "nothing" where nothing of it was taken."""
        return self.row(attempt).get("outcome", "nothing")

    def points(self, attempt: Try) -> dict[str, float]:
        """Its points by test cell, where there are any."""
        return {cell: points for cell, points in (self.row(attempt).get("parts") or {}).items() if points}

    def leaks(self, attempt: Try) -> list[str]:
        """What it has read."""
        return self.world.leaks(self.results.get(attempt.student, {}))


def run(root: Path, only: list[Try] | None = None) -> Graded:
    """Make the course in `root`, hand everything in, collect, grade, and look at what has happened.

    Raises:
        RuntimeError: a command of the instructor's failed.
    """
    root.mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "course.yml").write_text(COURSE_YML)
    write_target(root / "solutions" / PROJECT)
    world = World(root)
    source = root / "solutions" / PROJECT / NOTEBOOK
    source.write_text(source.read_text().replace("BEGIN SOLUTION", f"BEGIN SOLUTION {world.secrets['solution']}", 1))
    try:
        command(world, "release")
        attempts = only if only is not None else tries()
        _inbound(world, attempts)
        with world.around():
            command(world, "collect", PROJECT, "--from", "inbound")
            began = time.monotonic()
            command(world, "autograde", PROJECT, "--jobs", "2")
            seconds = time.monotonic() - began
            effects = world.effects()
        status = command(world, "status", PROJECT)["json"]
    except BaseException:
        world.close()
        raise
    graded = Graded(world, attempts, {row["student"]: row for row in status["students"]}, status["refused"])
    graded.effects, graded.seconds = effects, seconds
    results = root / "course" / "results" / PROJECT
    graded.results = {path.name.partition(".")[0]: read_result(path) for path in results.glob("*.json")}
    return graded


def command(world: World, *words: str) -> dict:
    """Run a command as an instructor does, in this process; its words, and its report."""
    out, report = io.StringIO(), world.root / "report.json"
    before, environment = Path.cwd(), dict(os.environ)
    os.environ |= {"HOME": str(world.root), "JUPYTER_PLATFORM_DIRS": "1", "CLASSROOM_DIR": "course"}
    os.environ["ATTACKED_TOKEN"] = world.secrets["environment"]
    os.chdir(world.root)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = main([*words, "--json", str(report)])
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ |= environment
    if code:
        raise RuntimeError(f"classroom {' '.join(words)}: exit code {code}\n{out.getvalue()}")
    return {"said": out.getvalue(), "json": json.loads(report.read_text())}


def _inbound(world: World, attempts: list[Try]) -> None:
    released = nbformat.read(world.root / "assignments" / PROJECT / NOTEBOOK, as_version=4)
    inbound = world.root / "inbound"
    for student in HONEST:
        answers = "".join(f"# %% {name}\n{code}\n" for name, code in RIGHT.items())
        answers += f"# {world.secrets['neighbour']}\n"
        hand_in(Try("", student, "", answers, {"suffix": ".py"}), released, inbound, {})
        (inbound / f"-{student}").rename(inbound / student)
    for attempt in attempts:
        hand_in(attempt, released, inbound, world.marks())


if __name__ == "__main__":  # one or a few by hand: python tests/attacks/suite/attack_run.py NAME ...
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        wanted = [attempt for attempt in tries() if attempt.student in sys.argv[1:]]
        graded = run(Path(place) / "course-folder", wanted)
        print(graded.refused, graded.effects, f"{graded.seconds:.1f} s", sep="\n")
        for student, row in graded.rows.items():
            print(student, row["outcome"], row["note"], row["parts"])
        for attempt in [Try("a", "honest", "", ""), *wanted]:
            result = graded.results.get(attempt.student, {})
            print("==", attempt.student, graded.points(attempt), graded.leaks(attempt), result.get("rebuilt"))
            for name, cells in result.get("cells", {}).items():
                for cell in cells:
                    if cell["status"] != "ok" or cell.get("said"):
                        print(
                            "  ",
                            cell.get("grade_id"),
                            cell["status"],
                            cell.get("by"),
                            repr(cell.get("said", ""))[:1500],
                        )
                    for check in cell.get("checks", ()):
                        if "NotImpl" not in check["error"]:
                            print("       ", check["passed"], check["name"], check["error"][:200])
                notebook = result["notebooks"][name]
                for cell in notebook["cells"]:
                    for output in cell.get("outputs", ()):
                        told = f"{output['ename']}: {output['evalue']}" if "ename" in output else json.dumps(output)
                        if not told.startswith("NotImpl"):
                            print("   out", cell["id"], told[:1500])
        graded.world.close()
