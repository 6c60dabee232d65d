"""A mended release in mid-term: old submissions against new tests, and nothing of people's work lost.

In order: points, texts and tests change; a new cell and a new notebook; a lost, renamed or changed cell is refused, and
not where nothing was handed in; a source that nbgrader refuses leaves all as it was; interrupted and started again;
nothing to amend.
"""

import json
import sqlite3
import warnings
from contextlib import closing

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from classroom.amend import amend
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.release import release
from classroom.results import write_result
from classroom.writer import Writer

RIGHT, WRONG = "def double(x):\n    return 2 * x", "def double(x):\n    return x + 2"


@pytest.fixture
def folder(tiny) -> Folder:
    with warnings.catch_warnings():  # nbgrader's own, while it makes releases
        warnings.simplefilter("ignore")
        yield Folder(tiny.root)


class Class:
    """Three who handed in, graded by running nothing: whose tests fail is given."""

    def __init__(self, folder: Folder, make_result) -> None:
        self.folder, self.make_result, self.said = folder, make_result, []
        self.failing = {"ada": (), "bob": ("double-tests",), "cleo": ("double-tests",)}
        self.without = ()

    def grade(self) -> dict:
        with Writer(self.folder, "tiny") as writer:
            for student, failed in self.failing.items():
                answers = {"double": RIGHT if student == "ada" else WRONG, "why": f"I am {student}."}
                record = self.make_result(self.folder, student, answers, failed=failed, without=self.without)
                write_result(self.folder.record("result", "tiny", student), record)
                writer.merge(record)
        return {"submissions": {student: {"outcome": "graded"} for student in self.failing}}

    def amend(self) -> dict:
        self.folder = Folder(self.folder.root)  # as a new command
        return amend(self.folder, "tiny", self.grade, self.said.append)


@pytest.fixture
def graded(folder, make_result) -> Class:
    people = Class(folder, make_result)
    people.grade()
    with folder.gradebook() as gradebook:
        for student, name, points in (("ada", "why", 0.5), ("bob", "double-tests", 1.0)):
            grade = gradebook.find_grade(name, "tiny", "tiny", student)
            grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_comment("why", "tiny", "tiny", "ada").manual_comment = "short"
        gradebook.db.commit()
    return people


def change(folder: Folder, edit, notebook: str = "tiny") -> None:
    path = folder.path("source", "tiny") / f"{notebook}.ipynb"
    found = nbformat.read(path, as_version=4)
    edit({cell.id: cell for cell in found.cells}, found)
    nbformat.write(found, path)


def nbgrader_of(name: str, **changes) -> dict:
    base = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return {"nbgrader": base | changes}


def rows_of(folder: Folder) -> dict[tuple, tuple]:
    query = """select s.student_id, (select c.name from base_cell c where c.id = g.cell_id),
        g.auto_score, g.manual_score, g.needs_manual_grade from grade g
        join submitted_notebook n on n.id = g.notebook_id join submitted_assignment s on s.id = n.assignment_id"""
    with closing(sqlite3.connect(folder.home / "gradebook.db")) as db:
        return {row[:2]: row[2:] for row in db.execute(query)}


def snapshot(folder: Folder) -> tuple:
    with closing(sqlite3.connect(folder.home / "gradebook.db")) as db:
        tables = [row[0] for row in db.execute("select name from sqlite_master where type = 'table' order by name")]
        gradebook = {table: sorted(db.execute(f"select * from {table}").fetchall(), key=repr) for table in tables}
    places = (folder.path("release", "tiny"), folder.home / "autograded", folder.home / "results")
    files = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    return gradebook, files


def test_points_tests_and_text_change(graded):
    def edit(cells, notebook) -> None:
        cells["double-tests"].metadata.nbgrader.points = 6
        cells["double-tests"].source = cells["double-tests"].source.replace("-2", "-2  # mended")
        notebook.cells.insert(0, new_markdown_cell("Read this first.", id="note"))

    change(graded.folder, edit)
    graded.failing["cleo"] = ()  # the mended test passes
    report = graded.amend()
    assert report["cells"] == {"new": [], "gone": [], "points": ["double-tests (3 to 6)"], "changed": ["double-tests"]}
    assert report["by_hand"] == {"double-tests": ["bob"]}
    assert report["points"].keys() == {"ada", "cleo"}
    assert report["points"]["cleo"] == {
        "before": {"double-tests": 0.0, "why": None},
        "after": {"double-tests": 6.0, "why": None},
    }
    assert report["submissions"].keys() == {"ada", "bob", "cleo"}
    rows = rows_of(graded.folder)
    assert rows["ada", "why"] == (None, 0.5, 0)  # what people did
    assert rows["bob", "double-tests"] == (0.0, 1.0, 0)
    said = "\n".join(graded.said)
    assert "double-tests: graded by hand for 1, which stays: bob" in said
    assert "cleo  0 to 6  (double-tests 0 to 6)" in said
    assert "2 of 3 submissions have other points than before" in said
    log = [json.loads(line) for line in (graded.folder.home / "log.jsonl").read_text().splitlines()]
    assert (log[-1]["command"], log[-1]["students"]) == ("amend", ["ada", "cleo"])
    # Typed again: nothing is left to do.
    again = graded.amend()
    assert (again["points"], again["cells"]["changed"]) == ({}, [])
    assert "tiny: the release is as it was; nothing to amend" in graded.said


def test_a_new_cell_and_a_new_notebook(graded):
    def edit(cells, notebook) -> None:
        answer = new_code_cell(
            "### BEGIN SOLUTION\nx = 1\n### END SOLUTION", id="x", metadata=nbgrader_of("x", solution=True)
        )
        test = nbgrader_of("x-tests", grade=True, locked=True, points=2)
        notebook.cells += [answer, new_code_cell("assert x", id="x-tests", metadata=test)]
        notebook.cells.append(new_code_cell("import math", id="locked", metadata=nbgrader_of("locked", locked=True)))
        task = nbgrader_of("task", task=True, points=4)
        notebook.cells.append(new_markdown_cell("Draw.", id="task", metadata=task))
        cells["double"].metadata.nbgrader |= {"grade": True, "points": 1}  # an answer that now has points too

    change(graded.folder, edit)
    other = nbformat.v4.new_notebook(
        metadata=nbformat.read(graded.folder.path("source", "tiny") / "tiny.ipynb", 4).metadata
    )
    other.cells = [
        new_code_cell("### BEGIN SOLUTION\ny = 1\n### END SOLUTION", id="y", metadata=nbgrader_of("y", solution=True))
    ]
    test = nbgrader_of("y-tests", grade=True, locked=True, points=5)
    other.cells.append(new_code_cell("assert y", id="y-tests", metadata=test))
    nbformat.write(other, graded.folder.path("source", "tiny") / "more.ipynb")
    graded.failing = {student: (*failed, "x-tests", "y-tests") for student, failed in graded.failing.items()}
    graded.without = ("x", "x-tests", "locked", "task")  # nobody has them in what they handed in
    report = graded.amend()
    assert report["cells"]["new"] == ["more/y", "more/y-tests", "tiny/locked", "tiny/task", "tiny/x", "tiny/x-tests"]
    rows = rows_of(graded.folder)
    assert len(rows) == 3 * 6
    assert rows["ada", "x-tests"] == rows["ada", "y-tests"] == (0.0, None, 0)
    assert rows["ada", "task"] == (None, None, 1)
    assert rows["ada", "double"] == (None, None, 1)
    assert rows["ada", "why"] == (None, 0.5, 0)
    assert rows["bob", "double-tests"] == (
        0.0,
        1.0,
        0,
    )  # for the same code: an answer that is not there changes nothing
    with graded.folder.gradebook() as gradebook:  # formgrader finds a line for everything
        for notebook in gradebook.find_submission("tiny", "cleo").notebooks:
            assert len(notebook.grades) == len(notebook.notebook.grade_cells) + len(notebook.notebook.task_cells)
            assert len(notebook.comments) == len(notebook.notebook.solution_cells) + len(notebook.notebook.task_cells)
        assert gradebook.find_submission("tiny", "cleo").max_score == 3 + 1 + 2 + 4 + 5 + 1
    # Locked text, on which nothing hangs, may go again.
    change(graded.folder, lambda cells, notebook: notebook.cells.remove(cells["locked"]))
    assert graded.amend()["cells"]["gone"] == ["tiny/locked"]


def rename(cells, notebook) -> None:
    cells["double-tests"].metadata.nbgrader.grade_id = "double-test"


def drop(cells, notebook) -> None:
    notebook.cells.remove(cells["why"])


def without_points(cells, notebook) -> None:
    cells["why"].metadata.nbgrader |= {"grade": False}
    del cells["why"].metadata.nbgrader["points"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (rename, r"cell double-tests of tiny is gone; did you mean double-test\?"),
        (drop, "cell why of tiny is gone"),
        (without_points, "cell why of tiny is no longer a graded cell"),
    ],
)
def test_a_cell_that_grades_hang_on_may_not_go(graded, edit, message):
    change(graded.folder, edit)
    before = snapshot(graded.folder)
    with pytest.raises(ClassroomError, match=rf"tiny cannot be amended: {message}.*3 submissions hang on"):
        graded.amend()
    assert snapshot(graded.folder) == before
    path = graded.folder.path("source", "tiny") / "tiny.ipynb"
    path.rename(path.with_name("other.ipynb"))
    with pytest.raises(ClassroomError, match=r"the notebook tiny\.ipynb is gone"):
        graded.amend()
    assert snapshot(graded.folder) == before


def test_where_nothing_was_handed_in_anything_goes(folder, make_result):
    people = Class(folder, make_result)
    people.failing = {}
    change(folder, lambda cells, notebook: (rename(cells, notebook), drop(cells, notebook)))
    report = people.amend()
    assert report["cells"]["gone"] == ["double-tests", "why"]
    assert report["cells"]["new"] == ["double-test"]


def test_a_source_that_nbgrader_refuses_leaves_all_as_it_was(graded):
    def edit(cells, notebook) -> None:
        test = nbgrader_of("x-tests", grade=True, locked=True, points=2)
        notebook.cells.append(new_code_cell("### BEGIN HIDDEN TESTS\nassert 1", id="x-tests", metadata=test))

    change(graded.folder, edit)
    before = snapshot(graded.folder)
    with pytest.raises(ClassroomError, match="nbgrader could not make the release"):
        graded.amend()
    assert snapshot(graded.folder) == before


def test_interrupted_and_started_again_it_still_knows_the_points_from_before(graded):
    def edit(cells, notebook) -> None:
        cells["double-tests"].metadata.nbgrader.points = 6
        test = nbgrader_of("x-tests", grade=True, locked=True, points=2)
        notebook.cells.append(new_code_cell("assert 1", id="x-tests", metadata=test))

    change(graded.folder, edit)

    def interrupted() -> dict:
        graded.grade()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        amend(Folder(graded.folder.root), "tiny", interrupted, lambda text: None)
    report = graded.amend()
    assert report["cells"]["new"] == ["x-tests"]
    assert report["cells"]["points"] == ["double-tests (3 to 6)"]
    assert report["points"]["ada"]["before"] == {"double-tests": 3.0, "why": 0.5}
    assert report["points"]["ada"]["after"] == {"double-tests": 6.0, "why": 0.5, "x-tests": 2.0}
    assert not graded.folder.record("amend", "tiny").exists()


def test_a_release_says_that_it_is_an_amendment(graded):
    def edit(cells, notebook) -> None:
        test = nbgrader_of("x-tests", grade=True, locked=True, points=2)
        notebook.cells.append(new_code_cell("assert 1", id="x-tests", metadata=test))

    change(graded.folder, edit)
    before = snapshot(graded.folder)
    with pytest.raises(ClassroomError, match="classroom amend tiny"):
        release(graded.folder, ["tiny"], lambda text: None)
    assert snapshot(graded.folder) == before
