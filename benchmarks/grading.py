"""What grading costs over stock nbgrader: the same submissions, both sides in turn, start-up and gradebook included.

    make bench                          three rounds, some twenty minutes
    python benchmarks/grading.py --quick

(a) a class of light notebooks: they import torch, draw a plot and have five tests. (b) the mini-project `generative`,
its own solution. Ours is `classroom autograde`, sandboxed, with as many jobs as there are processors; stock is
`nbgrader autograde` on a copy of the same class. Then two parts of ours alone: from a job's arrival to its first cell
run; the writer, from result files to gradebook and sanitised notebooks.
Prints tables and writes benchmarks/grading-cpu.json. One row is one round; read the ratios, the machines are noisy.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from process_cost import Cost, counted_by, run

ROOT = Path(__file__).resolve().parents[1]
ANSWER = "def relu(x):\n    ### BEGIN SOLUTION\n    return torch.clamp(x, min=0)\n    ### END SOLUTION"
PLOT = "x = torch.linspace(-2, 2, 100)\nplt.plot(x, torch.relu(x))\nplt.title('a ramp')\nplt.show()"
TESTS = (
    "assert relu(torch.tensor(-1.0)) == 0",
    "assert relu(torch.tensor(2.0)) == 2",
    "assert relu(torch.zeros(3)).shape == (3,)",
    "assert torch.equal(relu(torch.tensor([[-1.0, 1.0]])), torch.tensor([[0.0, 1.0]]))",
    "x = torch.randn(10)\nassert torch.equal(relu(x), torch.relu(x))",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with a few submissions: does it run at all?")
    parser.add_argument(
        "--only", choices=["light", "generative", "parts"], help="one of the three; the others' figures stay"
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    few, many, solutions = (4, 8, (1, 2)) if arguments.quick else (40, 200, (4, 20))
    rounds = 1 if arguments.quick else arguments.rounds
    path = Path(__file__).with_name("grading-cpu.json")
    # One of the three alone takes the place of its own figures.
    kept = json.loads(path.read_text()) if arguments.only and path.exists() else {}
    result: dict = kept | {
        "what": "grading by `classroom autograde` (sandboxed, warm) against `nbgrader autograde`, same submissions",
        "device": f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        "jobs": arguments.jobs,
        "processor_time": counted_by(),
    }
    with tempfile.TemporaryDirectory(prefix="bench-grading-") as scratch:
        place = Path(scratch)
        if arguments.only in (None, "light"):
            result["light"] = compare(light_class(place / "light"), few, many, rounds, arguments.jobs)
        if arguments.only in (None, "generative"):
            generative = generative_class(place / "generative")
            result["generative"] = compare(generative, *solutions, min(rounds, 2), arguments.jobs)
        if arguments.only in (None, "parts"):
            result["parts"] = parts(light_class(place / "parts"), few, arguments.jobs)
    if not arguments.quick:
        path.write_text(json.dumps(result, indent=1) + "\n")


# The classes


def light_class(root: Path) -> tuple[Path, str]:
    """A course folder with the project `light`, released; the folder and the project's name."""
    cells = [_cell("import matplotlib.pyplot as plt\nimport torch", "setup", locked=True)]
    cells += [_cell(ANSWER, "relu", solution=True), new_code_cell(PLOT, id="plot")]
    cells += [_cell(text, f"test-{n}", grade=True, locked=True, points=1) for n, text in enumerate(TESTS, 1)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    source = root / "solutions" / "light"
    source.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), source / "light.ipynb")
    return _released(root, "light"), "light"


def generative_class(root: Path) -> tuple[Path, str]:
    """A course folder with `generative`, its grading parameters in the notebook: stock nbgrader knows no others."""
    source = root / "solutions" / "generative"
    shutil.copytree(ROOT / "solutions" / "generative", source)
    described = yaml.safe_load((source / "project.yml").read_text())
    values = described.pop("grading")["parameters"]
    (source / "project.yml").write_text(yaml.safe_dump(described))
    notebook = nbformat.read(source / "generative.ipynb", as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    nbformat.write(notebook, source / "generative.ipynb")
    return _released(root, "generative"), "generative"


def _cell(source: str, name: str, **changes) -> nbformat.NotebookNode:
    meta = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return new_code_cell(source, id=name, metadata={"nbgrader": meta | changes})


def _released(root: Path, project: str) -> Path:
    shutil.copy(ROOT / "nbgrader_config.py", root)
    course = {"id": "bench", "title": "Bench", "term": "none", "projects": {project: {"due": None, "weight": 1}}}
    course["late"] = {"grace_minutes": 0, "percent_per_day": 0, "days": None}
    (root / "course.yml").write_text(yaml.safe_dump(course))
    subprocess.run(_ours("release"), cwd=root, env=_environment(root), check=True, stdout=subprocess.DEVNULL)
    return root


def with_students(root: Path, project: str, students: int, place: Path) -> Path:
    """A copy of a course folder in which so many students have handed in the solution."""
    from classroom.folder import Folder
    from classroom.simulate.material import read_material, right_work

    shutil.copytree(root, place)
    work = right_work(read_material(Folder(place), project))
    for number in range(students):
        target = place / "course" / "submitted" / f"s{number:05d}" / project
        target.mkdir(parents=True)
        for name, data in work.every_file().items():
            (target / name).write_bytes(data)
    return place


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(root), "JUPYTER_PLATFORM_DIRS": "1", "CLASSROOM_DIR": "course"}


def _ours(*words: str) -> list[str]:
    return [sys.executable, "-m", "classroom", *words]


# Both sides


def compare(released: tuple[Path, str], few: int, many: int, rounds: int, jobs: int) -> dict:
    """Grade `few` submissions by both sides in turn, and `many` by ours."""
    root, project = released
    ours = _ours("autograde", project, "--jobs", str(jobs))
    sides = {
        "stock": (few, [sys.executable, "-m", "nbgrader", "autograde", project, "--Execute.timeout=600"]),
        "ours": (few, ours),
        f"ours, {many}": (many, ours),
    }
    rows: list[dict[str, dict]] = []
    print(f"\n{project}: {few} submissions, ours also {many}")
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]  # no side always goes first
        row = {side: one_run(root, project, *sides[side]) for side in order}
        rows.append({side: row[side] for side in sides})
        for side, values in rows[-1].items():
            print(f"round {number + 1}  {side:10}", "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
    middle = {side: {key: _median(row[side].get(key) for row in rows) for key in rows[0][side]} for side in sides}
    ratios = {}
    for side in [side for side in sides if side != "stock"]:
        ratios[side] = {
            "throughput": _median(row["stock"]["wall_each"] / row[side]["wall_each"] for row in rows),
            "cpu": _median(row["stock"]["cpu_each"] / row[side]["cpu_each"] for row in rows),
        }
    for side, values in ratios.items():
        print(f"{side}: {values['throughput']:.1f} times stock's throughput, 1/{values['cpu']:.1f} of its CPU")
    return {"submissions": few, "many": many, "median": middle, "ratios": ratios, "rounds": rows}


def one_run(root: Path, project: str, students: int, command: list[str]) -> dict[str, float]:
    """Grade a fresh class by one command."""
    with tempfile.TemporaryDirectory(prefix="class-", dir=root.parent) as scratch:
        place = with_students(root, project, students, Path(scratch) / "class")
        began = time.time()
        cost: Cost = run(command, cwd=place, env=_environment(place))
        _check_points(place, project, students)
        values = {"wall": cost.wall, "cpu": cost.cpu, "memory_mb": cost.memory_mb}
        values |= {"wall_each": cost.wall / students, "cpu_each": cost.cpu / students}
        if "classroom" in command:
            values |= _inside(place, project, began, cost)
    return {key: round(value, 4) for key, value in values.items()}


def _inside(place: Path, project: str, began: float, cost: Cost) -> dict[str, float]:
    """Where our time goes, from the result files: start-up, and the sandbox's processor time over the cells' own."""
    files = sorted(
        (place / "course" / "results" / project).glob("*.result.json"), key=lambda path: path.stat().st_mtime
    )
    first = files[0].stat().st_mtime - began
    records = [json.loads(path.read_text()) for path in files]
    cells = [sum(c["cpu_seconds"] for cells in r["cells"].values() for c in cells) for r in records]
    return {
        "first_result": first,
        "cells_cpu_each": statistics.mean(cells),
        "session_cpu_over_cells": statistics.mean(r["usage"]["cpu_seconds"] for r in records) / statistics.mean(cells),
        "cpu_over_cells": cost.cpu / sum(cells),
    }


def _check_points(place: Path, project: str, students: int) -> None:
    """A benchmark of something that does not grade says nothing."""
    import sqlite3

    with sqlite3.connect(place / "course" / "gradebook.db") as gradebook:
        text = "select count(*), sum(auto_score > 0) from grade where auto_score is not null"
        known, earned = gradebook.execute(text).fetchone()
    if known < students or earned != known:
        raise RuntimeError(f"{project}: of {known} cells of {students} students, {earned} earned points, expected all")


# Parts of ours


def parts(released: tuple[Path, str], few: int, jobs: int) -> dict:
    """From a job's arrival to its first cell, and what a merge costs (writer.py has a class of 10,000)."""
    root, project = released
    first_cell = _first_cell(20)
    with tempfile.TemporaryDirectory(prefix="class-", dir=root.parent) as scratch:
        place = with_students(root, project, few, Path(scratch) / "class")
        run(_ours("autograde", project, "--jobs", str(jobs)), cwd=place, env=_environment(place))
        for part in ("autograded", "gradebook.db"):
            path = place / "course" / part
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copy(root / "course" / "gradebook.db", place / "course")
        writer = _merge(place, project)
    print(f"\nfirst cell {first_cell:.3f} s after a job arrives (median of 20)")
    print(f"writer {writer:.4f} s a submission")
    return {"first_cell": round(first_cell, 4), "writer_each": round(writer, 4)}


def _first_cell(times: int) -> float:
    from classroom.sandbox import open_template
    from classroom.sandbox.policy import Limits

    seconds = []
    with open_template() as template:
        template.wait()
        for _ in range(times):
            began = time.perf_counter()
            session = template.open(Limits(), {})
            result = session.run("1 + 1", seconds=60)
            seconds.append(time.perf_counter() - began)
            session.close()
            if result.status != "ok":
                raise RuntimeError(f"the first cell ended with {result.status}")
    return statistics.median(seconds)


def _merge(place: Path, project: str) -> float:
    """Seconds for each result file that the writer merges."""
    from classroom.folder import Folder
    from classroom.writer import Writer

    with Writer(Folder(place), project) as writer:
        began = time.perf_counter()
        done = writer.catch_up()
        return (time.perf_counter() - began) / len(done)


def _median(values) -> float:
    return round(statistics.median(values), 4)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # nbgrader's own
    main()
