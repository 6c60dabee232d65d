"""Course folders for the tests: this course's projects with fixed dates, and a tiny one whose kernel starts fast."""

import contextlib
import copy
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom import commands
from classroom.cli import main
from classroom.commands import start_engine
from classroom.engine import Engine
from classroom.folder import Folder

ROOT = Path(__file__).resolve().parents[2]

# A teacher may change course.yml at any time; the exact grades below must not depend on it.
COURSE_YML = """\
id: test-course
title: A course
term: Spring 2026
timezone: UTC
projects:
  {project}: {{due: 2026-02-06 23:59, weight: 5}}
late: {{grace_minutes: 15, percent_per_day: 10, days: 3}}
"""


_engines: list[Engine] = []


@contextlib.contextmanager
def one_engine(arguments):
    """One engine, with its warm template, for all commands that tests run in this process; others for other wishes."""
    if arguments.scheduler or arguments.jobs or arguments.cold or arguments.insecure:
        with start_engine(arguments) as engine:
            yield engine
        return
    if not _engines:
        _engines.append(Engine(jobs=2))
    yield _engines[0]


def pytest_sessionfinish() -> None:
    """End the engine that the tests shared."""
    while _engines:
        _engines.pop().close()


class CourseFolder:
    """A course folder in which `classroom` can be run as an instructor runs it, and what it said."""

    def __init__(self, root: Path, project: str) -> None:
        self.root = root
        root.mkdir(parents=True)
        shutil.copy(ROOT / "nbgrader_config.py", root)
        (root / "course.yml").write_text(COURSE_YML.format(project=project))

    def environment(self) -> dict[str, str]:
        # A home of its own: nothing of the user's Jupyter settings may take part.
        return {**os.environ, "HOME": str(self.root), "JUPYTER_PLATFORM_DIRS": "1", "PYTHONWARNINGS": "ignore"}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "classroom", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Run a command in this process, which has imported nbgrader already: two seconds less each."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.chdir(self.root)
            patch.setenv("CLASSROOM_DIR", "course")  # commands set it; this puts it back
            patch.setattr(commands, "start_engine", one_engine)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            with warnings.catch_warnings():  # nbgrader's own, which its users do not see either
                warnings.simplefilter("ignore")
                code = main(list(words))
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def report(self, *words: str) -> dict:
        """Run a command that must succeed; its JSON report."""
        file = self.root / "report.json"
        done = self.run(*words, "--json", str(file))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(file.read_text())

    def hand_in(self, student: str, project: str, answer: str, when: str = "2026-02-05 10:00:00 UTC") -> Path:
        """Put a submission under submitted/: the released notebook with the first answer cell replaced."""
        notebook = nbformat.read(self.root / "assignments" / project / f"{project}.ipynb", as_version=4)
        next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")).source = answer
        place = self.root / "course" / "submitted" / student / project
        place.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, place / f"{project}.ipynb")
        (place / "timestamp.txt").write_text(when + "\n")
        return place / f"{project}.ipynb"


def graded_demo(root: Path, project: str) -> CourseFolder:
    """This course's projects in a folder of their own, with the demo class of one of them graded."""
    folder = CourseFolder(root, project)
    shutil.copytree(ROOT / "solutions", folder.root / "solutions")
    done = subprocess.run(
        folder.command("demo", "--json", "report.json"),
        cwd=folder.root,
        env=folder.environment(),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder.first = json.loads((folder.root / "report.json").read_text())
    return folder


@pytest.fixture(scope="session")
def new_course(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], CourseFolder]:
    """Makes a course folder of its own for one project, without its source."""
    return lambda project: CourseFolder(tmp_path_factory.mktemp(project) / "course-folder", project)


@pytest.fixture(scope="session")
def demo_course(tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """The demo class of checkpoint-01, graded once for all tests."""
    return graded_demo(tmp_path_factory.mktemp("demo") / "course-folder", "checkpoint-01")


@pytest.fixture(scope="session")
def generative_demo(tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """The demo class of the mini-project `generative`, graded once for all tests: some three minutes."""
    return graded_demo(tmp_path_factory.mktemp("demo") / "course-folder", "generative")


@pytest.fixture(scope="session")
def tiny_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released course with one small project, `tiny`: three points by tests and one by hand."""
    folder = CourseFolder(tmp_path_factory.mktemp("tiny") / "template", "tiny")
    (folder.root / "solutions" / "tiny").mkdir(parents=True)

    def meta(name: str, **changes) -> dict:
        fixed = {
            "grade": False,
            "solution": False,
            "locked": False,
            "task": False,
            "schema_version": 3,
            "grade_id": name,
        }
        return {"nbgrader": fixed | changes}

    notebook = new_notebook(
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        cells=[
            new_code_cell(
                "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION", id="double"
            ),
            new_code_cell(
                "assert double(2) == 4\n### BEGIN HIDDEN TESTS\nassert double(-1) == -2\n### END HIDDEN TESTS"
            ),
            new_markdown_cell("Because it is.", id="why"),
        ],
    )
    notebook.cells[0].metadata = meta("double", solution=True)
    notebook.cells[1].metadata = meta("double-tests", grade=True, locked=True, points=3)
    notebook.cells[1]["id"] = "double-tests"
    notebook.cells[2].metadata = meta("why", grade=True, solution=True, points=1)
    nbformat.write(notebook, folder.root / "solutions" / "tiny" / "tiny.ipynb")
    done = folder.run("release")
    assert done.returncode == 0, done.stderr
    return folder.root


@pytest.fixture
def tiny(tiny_template: Path, tmp_path: Path) -> CourseFolder:
    """A fresh copy of the tiny course, released, without submissions."""
    folder = CourseFolder(tmp_path / "copy", "tiny")
    shutil.copytree(tiny_template, folder.root, dirs_exist_ok=True)
    return folder


def make_result(
    folder: Folder,
    student: str,
    answers: dict[str, str] | None = None,
    *,
    project: str = "tiny",
    outputs: dict[str, list[dict]] | None = None,
    failed: tuple[str, ...] = (),
    not_run: tuple[str, ...] = (),
    own: str = "",
    leave_out: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    when: str | None = "2026-02-05 10:00:00 UTC",
    state: str = "graded",
    note: str = "",
) -> dict:
    """A result as the engine composes it, without running anything: what the cells printed is given.

    Args:
        answers: texts by grade_id; the others stand as released.
        outputs: by grade_id, what the cell left.
        failed: tests that ended with an error.
        not_run: tests that were not reached.
        own: a code cell of the student's own at the end.
        leave_out: names of notebooks that were not handed in.
        without: grade_ids of cells that the notebooks do not have, for instance those of an older release.
    """
    from classroom.rebuild import master, rebuild
    from classroom.results import compose

    rebuilt, notebooks, ran = {}, {}, {}
    for name, release in master(folder, project).items():
        if name in leave_out:
            continue
        submitted = copy.deepcopy(release)
        submitted.cells = [c for c in submitted.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in without]
        for cell in submitted.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = (answers or {}).get(grade_id, cell.source)
        if own:
            submitted.cells.append(new_code_cell(own))
        rebuilt[name] = rebuild(release, submitted)
        notebook = rebuilt[name].notebook
        ran[name] = []
        for cell in notebook.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if cell.cell_type != "code":
                continue
            cell.outputs = [nbformat.from_dict(output) for output in (outputs or {}).get(grade_id, [])]
            if grade_id in failed:
                error = {"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": ["no"]}
                cell.outputs.append(nbformat.from_dict(error))
            status = "error" if grade_id in failed else "not-run" if grade_id in not_run else "ok"
            ran[name].append({"id": cell.id, "grade_id": grade_id, "status": status})
        notebooks[name] = json.loads(json.dumps(notebook))
    outcome = {"number": 1, "state": state, "note": note, "usage": {"seconds": 1.0}, "host": "here"}
    outcome |= {"notebooks": notebooks, "cells": ran}
    wrote = hashlib.sha256(json.dumps([answers, own]).encode()).hexdigest()
    about = {"student": student, "project": project, "submission": wrote, "grader": "g"}
    return compose(outcome, rebuilt, **about, timestamp=when)


@pytest.fixture(scope="session", name="make_result")
def make_result_fixture():
    """The function `make_result`."""
    return make_result
