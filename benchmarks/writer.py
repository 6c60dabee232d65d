"""A class of 10,000 result files through the writer: seconds for each, and whether memory stays flat.

    make bench

Prints a table and writes benchmarks/writer-cpu.json. The results are those of one submission of checkpoint-01 with a
plot of 40 kB, under as many names, with different answers; nothing is executed. Measured is what the writer does with a
file that lies there: reading and checking it, sanitising its notebook, one transaction in SQLite, and the folder under
autograded/. The class needs about 3 GB in the temporary folder while it runs.
"""

import argparse
import base64
import copy
import json
import os
import platform
import random
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
import warnings
from pathlib import Path

from classroom.folder import Folder
from classroom.rebuild import master, rebuild
from classroom.release import release
from classroom.results import compose, write_result
from classroom.writer import Writer

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "checkpoint-01"
AT = (1_000, 5_000, 10_000)


def make_class(root: Path) -> Folder:
    """A course folder with the project released."""
    for name in ("nbgrader_config.py", "course.yml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "solutions" / PROJECT, root / "solutions" / PROJECT)
    folder = Folder(root)
    release(folder, [PROJECT], lambda text: None)
    return folder


class Submissions:
    """Results without end, each with answers of its own."""

    def __init__(self, folder: Folder) -> None:
        name, self.master = next(iter(master(folder, PROJECT).items()))
        self.name, self.random = name, random.Random(1)

    def make(self, number: int) -> dict:
        """The result of student `number`, two days early to two days late."""
        submitted = copy.deepcopy(self.master)
        for cell in submitted.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                said = "I think that $a<b$, see <https://example.org>, because **it must be**." * 5
                cell.source = f"# {number}\npass" if cell.cell_type == "code" else f"{said} {number}"
        rebuilt = rebuild(self.master, submitted)
        notebook = json.loads(json.dumps(rebuilt.notebook))
        ran = []
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                ran.append(
                    {"id": cell["id"], "grade_id": cell["metadata"].get("nbgrader", {}).get("grade_id"), "status": "ok"}
                )
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"line {number}\n" * 20}]
        plot = base64.b64encode(self.random.randbytes(40_000)).decode()
        data = {"image/png": plot, "text/html": "<table><tr><td>1</td></tr></table>" * 30, "text/plain": "<Figure>"}
        notebook["cells"][-1].setdefault("outputs", [])
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        code[-1]["outputs"].append({"output_type": "display_data", "metadata": {}, "data": data})
        outcome = {"state": "graded", "note": "", "usage": {"seconds": 1.0}, "notebooks": {self.name: notebook}}
        when = f"2026-02-0{4 + number % 5} 10:00:00 UTC"
        about = {"student": f"student-{number:05}", "project": PROJECT, "submission": str(number), "grader": "g"}
        return compose(outcome | {"cells": {self.name: ran}}, {self.name: rebuilt}, **about, timestamp=when)


def memory_mb() -> float:
    """The resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def summary(values: list[float]) -> dict[str, float]:
    """The median, and whether it grows with the class."""
    found = {"median": statistics.median(values), "mean": statistics.mean(values)}
    found |= {"p99": sorted(values)[int(0.99 * len(values))]}
    found |= {"first_1000": statistics.median(values[:1000]), "last_1000": statistics.median(values[-1000:])}
    return {name: round(value, 5) for name, value in found.items()}


def main() -> None:
    warnings.simplefilter("ignore")  # nbgrader's own
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=AT[-1])
    parser.add_argument("--scratch", type=Path, help="where the class is made; the temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = make_class(Path(scratch))
        submissions = Submissions(folder)
        took, cpu, memory, size = [], [], {}, 0
        with Writer(folder, PROJECT) as writer:
            for number in range(1, arguments.students + 1):
                record = submissions.make(number)
                path = folder.record("result", PROJECT, record["student"])
                write_result(path, record)
                size += path.stat().st_size
                began, used = time.perf_counter(), time.process_time()
                writer.merge_file(record["student"])
                took.append(time.perf_counter() - began)
                cpu.append(time.process_time() - used)
                if number in AT or number == arguments.students:
                    memory[number] = round(memory_mb(), 1)
                    wall, used = statistics.median(took), statistics.median(cpu)
                    print(
                        f"{number:6} results: {wall:.4f} s each, CPU {used:.4f} s, {memory[number]:.0f} MB", flush=True
                    )
            began = time.perf_counter()
            rest = len(list(writer.pending()))
            look = time.perf_counter() - began
        with sqlite3.connect(folder.home / "gradebook.db") as gradebook:
            lines = gradebook.execute("select count(*) from submitted_assignment").fetchone()[0]
        result = {
            "what": "results of checkpoint-01 merged into an SQLite gradebook and autograded/, one transaction each",
            "device": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "students": arguments.students,
            "in_gradebook": lines,
            "bytes_each": round(size / arguments.students),
            "load_average": round(os.getloadavg()[1], 1),  # of the machine while this ran: others' work adds to seconds
            "seconds_each": summary(took),
            "cpu_seconds_each": summary(cpu),
            "memory_mb_after": memory,
            "seconds_to_find_that_nothing_is_left": round(look, 3),
            "left": rest,
        }
        gradebook.close()
    path = Path(__file__).with_name("writer-cpu.json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
