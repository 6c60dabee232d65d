"""Course folders for the tests: this course's projects with fixed dates, and a tiny one whose kernel starts fast."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.cli import main

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
