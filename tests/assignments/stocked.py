"""Batches of a bank through stock nbgrader: its own commands, in a folder of their own, without a sandbox."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from banked import LINE, ROOT, Batch, Verdict, batches, described, filled, meta, source
from nbgrader.utils import determine_grade

COURSE_YML = """\
id: banks
title: Banks
term: Spring 2026
timezone: UTC
projects:
  {}: {{due: 2026-02-06 23:59, weight: 5}}
late: {{grace_minutes: 15, percent_per_day: 10, days: 3}}
"""


def stock(project: str, root: Path, chosen: list[Batch] | None = None) -> dict[str, dict[str, Verdict]]:
    """Grade a bank's batches with `nbgrader autograde`, a student each.

    Args:
        root: a folder that does not exist yet.

    Returns:
        By batch and test cell.
    """
    chosen = batches(project) if chosen is None else chosen
    _write_course(project, root)
    _run(root, "-m", "classroom", "release", project)
    released = nbformat.read(root / "assignments" / project / f"{project}.ipynb", as_version=4)
    for batch in chosen:
        place = root / "course" / "submitted" / str(batch) / project
        place.mkdir(parents=True)
        nbformat.write(filled(released, batch), place / f"{project}.ipynb")
    seconds = described(project)["limits"]["cell_seconds"]
    _run(root, "-m", "nbgrader", "autograde", project, f"--Execute.timeout={seconds}")
    found = {}
    for batch in chosen:
        path = root / "course" / "autograded" / str(batch) / project / f"{project}.ipynb"
        graded = nbformat.read(path, as_version=4)
        tests = [cell for cell in graded.cells if meta(cell).get("grade_id") in batch.tests]
        found[str(batch)] = {meta(cell)["grade_id"]: _verdict(cell) for cell in tests}
    return found


def _write_course(project: str, root: Path) -> None:
    """The project alone, with grading's parameters in the notebook itself, since nbgrader knows no others."""
    place = root / "solutions" / project
    place.mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "course.yml").write_text(COURSE_YML.format(project))
    short = {name: value for name, value in described(project).items() if name != "grading"}
    (place / "project.yml").write_text(yaml.safe_dump(short))
    nbformat.write(source(project), place / f"{project}.ipynb")


def _run(root: Path, *words: str) -> None:
    # A warning in a test costs its points, so kernels must not be told to ignore them.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "CLASSROOM_DIR")}
    home = {"HOME": str(root), "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=root, env=kept | home, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]


def _verdict(cell: nbformat.NotebookNode) -> Verdict:
    earned, _ = determine_grade(cell)
    printed = "".join(out["text"] for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")
    checks = LINE.findall(printed)
    return Verdict(earned, {name for mark, name in checks if mark == "✗"}, made=len(checks), by="stock")
