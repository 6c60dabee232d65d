"""Classes whose numbers are known: written straight into a gradebook and result files, with nothing run."""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader import api

from classroom.folder import Folder
from classroom.results import without_run, write_result
from classroom.statistics import report

CONFIG = """\
from pathlib import Path
c = get_config()
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.course_id = "plain"
"""
DUE = datetime(2026, 2, 6, 23, 59)


class Class:
    """A plain nbgrader course: no course.yml, a gradebook, and result files where a test wants them."""

    def __init__(self, root: Path, gradebook: Path | None = None) -> None:
        self.root = root
        root.mkdir(parents=True)
        (root / "nbgrader_config.py").write_text(CONFIG)
        self.folder = Folder(root)
        self.folder.home.mkdir(mode=0o700)
        if gradebook is not None:  # nbgrader takes two seconds to make one
            shutil.copy(gradebook, root / "gradebook.db")

    def project(self, name: str, worth: Sequence[float]) -> None:
        """A project with a source notebook, a part for each number of points."""
        place = self.root / "source" / name
        place.mkdir(parents=True)
        cells = []
        for number, points in enumerate(worth, 1):
            meta = {"grade": True, "solution": False, "locked": True, "task": False, "schema_version": 3}
            meta |= {"grade_id": f"part-{number}", "points": points}
            cells.append(new_code_cell("assert True", metadata={"nbgrader": meta}, id=f"part-{number}"))
        nbformat.write(new_notebook(cells=cells), place / f"{name}.ipynb")
        with self.folder.gradebook() as gradebook:
            gradebook.add_assignment(name, duedate=DUE)
            gradebook.add_notebook(name, name)
            for number, points in enumerate(worth, 1):
                gradebook.add_grade_cell(f"part-{number}", name, name, max_score=points, cell_type="code")

    def grades(
        self,
        project: str,
        points: np.ndarray,
        students: Sequence[str] | None = None,
        *,
        waiting: np.ndarray | None = None,
        late: Sequence[float] = (),
    ) -> list[str]:
        """Grades of everybody: `points` of shape (N, P), `late` in days; who they are."""
        students = students or [f"student-{number:05}" for number in range(len(points))]
        with self.folder.gradebook() as gradebook:
            db, assignment = gradebook.db, gradebook.find_assignment(project)
            notebook = assignment.notebooks[0]
            cells = {cell.name: cell.id for cell in notebook.grade_cells}
            known = set(db.scalars(api.Student.__table__.select().with_only_columns(api.Student.__table__.c.id)))
            people, handed, books, rows = [], [], [], []
            for at, student in enumerate(students):
                if student not in known:
                    people.append({"id": student})
                one, two = uuid4().hex, uuid4().hex
                when = DUE + timedelta(days=late[at] if len(late) else -1)
                handed.append({"id": one, "assignment_id": assignment.id, "student_id": student, "timestamp": when})
                books.append({"id": two, "assignment_id": one, "notebook_id": notebook.id, "flagged": False})
                for part in range(points.shape[1]):
                    wait = bool(waiting is not None and waiting[at, part])
                    rows.append(
                        {
                            "id": uuid4().hex,
                            "notebook_id": two,
                            "cell_id": cells[f"part-{part + 1}"],
                            "auto_score": None if wait else float(points[at, part]),
                            "needs_manual_grade": wait,
                        }
                    )
            for model, found in (
                (api.Student, people), (api.SubmittedAssignment, handed), (api.SubmittedNotebook, books),
                (api.Grade, rows),
            ):  # fmt: skip
                if found:
                    db.execute(model.__table__.insert(), found)
            db.commit()
        return list(students)

    def result(self, student: str, project: str, *, outcome: str = "graded", note: str = "", **fields) -> Path:
        """A result file; `fields` as in the schema, such as `usage` and `cells`."""
        record = without_run(outcome, note, student=student, project=project, submission="s", grader="g", attempts=1)
        if outcome in ("graded", "student-error"):
            record |= {"answers": {}, "points": {}, "cells": {}, "notebooks": {}} | fields
        path = self.folder.record("result", project, student)
        write_result(path, record)
        return path

    def refused(self, project: str, records: Sequence[dict]) -> None:
        """Lines of intake's log."""
        base = {"origin": "x", "attempt": None, "time": None, "when": "2026-02-05 10:00:00 UTC"}
        path = self.folder.home / "intake" / f"{project}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(base | record) + "\n" for record in records))


def checked(name: str, passed: bool, *, hint: str = "Sum over the rows.", hidden: bool = False) -> dict:
    """One check of a test cell, as the examiner reports it."""
    return {
        "name": name,
        "points": 1,
        "passed": passed,
        "hint": hint,
        "error": "" if passed else "no",
        "hidden": hidden,
    }


def cell(part: int, checks: list[dict], **fields) -> dict:
    """One test cell of a result file."""
    return {
        "id": f"part-{part}",
        "grade_id": f"part-{part}",
        "status": "ok",
        "checks": checks,
        "by": "examiner",
    } | fields


def abilities(count: int, parts: int, seed: int = 0) -> np.ndarray:
    """Points of 0, 1 or 2 of a class that differs in ability: (count, parts)."""
    draw = np.random.default_rng(seed)
    able, hard = draw.normal(size=(count, 1)), np.linspace(-1, 1, parts)
    return np.clip(np.round(1 + able - hard + 0.7 * draw.normal(size=(count, parts))), 0, 2)


def fill(made: Class, count: int, *, seed: int = 0, checks: bool = True) -> list[str]:
    """Two projects of a class of `count`, with results, refusals, attempts and late ones."""
    draw = np.random.default_rng(seed)
    students = []
    for number, project in enumerate(("first", "second")):
        made.project(project, [2, 2, 2, 2])
        points = abilities(count, 4, seed + number)
        waiting = np.zeros(points.shape, bool)
        waiting[:, 3] = (draw.random(count) < 0.7) & (number == 1)
        late = np.where(draw.random(count) < 0.1, 1.5, -1.0)
        students = made.grades(project, points, waiting=waiting, late=late)
        for student, row in zip(students, points, strict=True):
            cells = [
                cell(
                    part + 1,
                    [
                        checked(f"shape {part}", bool(row[part] > 0)),
                        checked("far values", bool(row[part] > 1), hidden=True),
                    ],
                )
                for part in range(3)
            ]
            if not checks:
                cells = [{name: value for name, value in one.items() if name != "checks"} for one in cells]
            seconds = float(np.round(draw.lognormal(1, 0.6), 2))
            usage = {"seconds": seconds, "cpu_seconds": seconds * 0.8, "memory_mb": 300 + 10 * seconds}
            made.result(student, project, usage=usage, cells={f"{project}.ipynb": cells})
    return students


class Words(HTMLParser):
    """The text of a page, its alternative texts, and whether each element is closed."""

    VOID = ("meta", "rect", "path", "circle", "polyline")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.alt, self._open = [], [], []
        self.feed(page)
        assert not self._open, self._open

    def handle_starttag(self, tag, attributes):
        self.alt += [value for name, value in attributes if name == "aria-label" and tag == "svg"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def page_of(made, project: str, **options) -> tuple[dict, str]:
    said: list[str] = []
    done = report(made.folder, project, said.append, **options)
    page = (made.folder.home / f"report-{project}.html").read_text(encoding="utf-8")
    return done, page


def shown(page: str) -> str:
    return " ".join(" ".join(Words(page).words).split())


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gradebook that knows nothing."""
    made = Class(tmp_path_factory.mktemp("empty") / "class")
    made.folder.gradebook().close()
    return made.root / "gradebook.db"


@pytest.fixture
def new_class(tmp_path: Path, empty_gradebook: Path) -> Callable[[], Class]:
    """Makes a class in a folder of its own."""
    return lambda name="class": Class(tmp_path / name, empty_gradebook)
