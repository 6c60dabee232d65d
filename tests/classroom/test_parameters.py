"""Grading parameters: what project.yml sets has to be there to be set, and a change of it grades again."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.rebuild import master, parameters, rebuild

RIGHT = "def double(x):\n    return 2 * x"
PROJECT_YML = """\
title: Tiny
points: 4
parts:
  - {{name: Double, cell: double-tests, points: 3, graded: by tests}}
  - {{name: Why, cell: why, points: 1, graded: by hand}}
limits: {{cell_seconds: 30}}
grading:
  parameters: {parameters}
"""


def describe(folder, parameters: str) -> None:
    (folder.root / "solutions" / "tiny" / "project.yml").write_text(PROJECT_YML.format(parameters=parameters))


@pytest.fixture
def with_cell(tiny):
    """The tiny course with a locked cell of parameters, released."""
    path = tiny.root / "solutions" / "tiny" / "tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = new_code_cell("repeats = 20  # of the experiment", id="parameters")
    cell.metadata = {"tags": ["parameters"], "nbgrader": {**notebook.cells[0].metadata["nbgrader"]}}
    cell.metadata["nbgrader"] |= {"grade_id": "parameters", "solution": False, "locked": True}
    notebook.cells.insert(0, cell)
    nbformat.write(notebook, path)
    describe(tiny, "{repeats: 5}")
    done = tiny.run("release", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    tiny.hand_in("ada", "tiny", RIGHT)
    return tiny


def graded_cell(folder) -> str:
    path = folder.root / "course" / "autograded" / "ada" / "tiny" / "tiny.ipynb"
    return next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.id == "parameters")


def test_other_parameters_grade_again_and_equal_ones_do_not(with_cell):
    assert with_cell.report("autograde", "tiny")["submissions"]["ada"]["again"]
    assert graded_cell(with_cell).splitlines()[-1] == "repeats = 5"
    assert not with_cell.report("autograde", "tiny")["submissions"]["ada"]["again"]
    describe(with_cell, "{repeats: 6}")
    assert with_cell.report("autograde", "tiny")["submissions"]["ada"]["again"]
    assert graded_cell(with_cell).splitlines()[-1] == "repeats = 6"


def test_a_name_that_the_cell_does_not_set_is_named_before_anything_is_graded(with_cell):
    describe(with_cell, "{repeat: 5}")
    done = with_cell.run("autograde", "tiny")
    assert done.returncode != 0
    assert "project.yml grades with 'repeat', which the cell does not set; did you mean repeats?" in done.stderr
    assert not (with_cell.root / "course" / "autograded").exists()


def test_parameters_without_a_cell_for_them(tiny):
    describe(tiny, "{repeats: 5}")
    done = tiny.run("autograde", "tiny")
    assert done.returncode != 0
    assert "the release needs one locked cell with the tag `parameters`; found none" in done.stderr


@pytest.mark.filterwarnings("ignore")  # nbgrader's own
def test_the_values_stand_at_the_end_of_the_locked_cell_whatever_the_submission_says(with_cell, monkeypatch):
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    for name, value in with_cell.environment().items():
        monkeypatch.setenv(name, value)
    folder = Folder(with_cell.root)
    assert parameters(folder, "tiny") == {"repeats": 5}
    full = master(folder, "tiny")["tiny.ipynb"]
    submitted = nbformat.read(with_cell.root / "assignments/tiny/tiny.ipynb", as_version=4)
    submitted.cells[0].source = "repeats = 10_000_000"
    made = rebuild(full, submitted)
    assert made.notebook.cells[0].source == "repeats = 20  # of the experiment\n# For grading:\nrepeats = 5"
    assert made.notes == ["supplied cells were changed; the released text counts: parameters"]
    describe(with_cell, "{}")
    assert parameters(folder, "tiny") == {}
    assert master(folder, "tiny")["tiny.ipynb"].cells[0].source == "repeats = 20  # of the experiment"


@pytest.mark.parametrize(
    ("source", "outcome"), [("%matplotlib inline\nrepeats = 1", None), ("repeats = (", "is not Python: ")]
)
@pytest.mark.filterwarnings("ignore")
def test_cells_with_magics_and_cells_that_are_no_python(with_cell, monkeypatch, source, outcome):
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    for name, value in with_cell.environment().items():
        monkeypatch.setenv(name, value)
    path = with_cell.root / "assignments/tiny/tiny.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = source
    nbformat.write(notebook, path)
    folder = Folder(with_cell.root)
    if outcome is None:
        assert parameters(folder, "tiny") == {"repeats": 5}
    else:
        with pytest.raises(ClassroomError, match=outcome):
            parameters(folder, "tiny")
