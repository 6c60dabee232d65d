"""On honest submissions our grades are stock nbgrader's, cell by cell, with comments, penalties and totals.

In order: drawn submissions of a small project with a cell of each kind (20; another 200 with --full); nbgrader's
quickstart course with two notebooks; the demo classes of this course's projects (--full).

Both sides start from the same released class. One is graded by `nbgrader autograde` in a folder of its own, without a
sandbox, the other by `classroom autograde`. They differ on purpose in what is not honest or not readable, which is
therefore not among these submissions:

| submission | stock nbgrader | classroom |
| --- | --- | --- |
| a deleted test cell | its points wait for a person, unless `add_missing_cells` | the release's test runs |
| a copied or split answer cell | the notebook is refused, or a half is lost | all parts run, in order |
| a renamed notebook | 0 points | taken, where only one notebook is expected |
| nbformat before 4, byte-order mark, Latin-1, CRLF | refused | read |
| tags and metadata that skip cells | obeyed | dropped |
| a value above the points of its cell | the whole submission fails | the submission has an outcome, and a note |
| a cell that ends its process, or replaces what a kernel stands on | nothing is recorded | student-error, with a note |
| an answer that warns or logs when a test calls it | the test earns 0 | it is shown and costs nothing |
| a name that the student hid (`sum = None`, `np = None`) | tests that use it fail | tests have their own |
| a call that ends the process, or never ends | the whole submission fails | the checks before and after it count |
| a cell that does not stop at the time limit | the whole submission fails | as above |
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
import yaml
from hypothesis import Phase, given, settings

from classroom.demo import write_inbound
from classroom.folder import Folder
from classroom.simulate import read_key, simulate

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent / "differential"))  # not a package

import mixed  # noqa: E402

DUE = datetime(2026, 2, 6, 23, 59)
QUICKSTART = """\
c = get_config()  # as `nbgrader quickstart course101` writes it
c.CourseDirectory.course_id = "course101"
c.IncludeHeaderFooter.header = "source/header.ipynb"
"""


def drawn(classes: int) -> list[list[mixed.HandedIn]]:
    """So many classes of twenty that hypothesis draws, the same each time."""
    found: list[list[mixed.HandedIn]] = []

    @settings(max_examples=classes + 1, database=None, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(mixed.a_class())
    def collect(members: list[mixed.HandedIn]) -> None:
        found.append(members)

    collect()
    assert len(found) > classes
    return found[1:]  # the first is the simplest, not dealt


def cells(gradebook: Path) -> dict[tuple, dict]:
    """What a gradebook says of each cell and comment, by student, notebook and cell."""
    with sqlite3.connect(gradebook) as file:
        file.row_factory = sqlite3.Row
        grades = file.execute("""
            select submission.student_id, notebook.name as notebook, base_cell.name as cell, base_cell.type,
                   grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade, max_score
            from grade join submitted_notebook on submitted_notebook.id = grade.notebook_id
            join submitted_assignment submission on submission.id = submitted_notebook.assignment_id
            join base_cell on base_cell.id = grade.cell_id
            join notebook on notebook.id = submitted_notebook.notebook_id
            left join (select id, max_score from grade_cells union select id, max_score from task_cells) points
              on points.id = base_cell.id""").fetchall()
        comments = file.execute("""
            select submission.student_id, notebook.name as notebook, base_cell.name as cell,
                   comment.auto_comment, comment.manual_comment
            from comment join submitted_notebook on submitted_notebook.id = comment.notebook_id
            join submitted_assignment submission on submission.id = submitted_notebook.assignment_id
            join base_cell on base_cell.id = comment.cell_id
            join notebook on notebook.id = submitted_notebook.notebook_id""").fetchall()
        late = file.execute("""
            select submission.student_id, notebook.name as notebook, 'late' as cell, submission.timestamp,
                   submission.extension, submitted_notebook.late_submission_penalty
            from submitted_notebook join submitted_assignment submission
              on submission.id = submitted_notebook.assignment_id
            join notebook on notebook.id = submitted_notebook.notebook_id""").fetchall()
    found: dict[tuple, dict] = {}
    for row in (*grades, *comments, *late):
        values = dict(row)
        key = tuple(values.pop(name) for name in ("student_id", "notebook", "cell"))
        found.setdefault(key, {}).update(values)
    return found


def stock(folder, project: str, place: Path) -> Path:
    """Grade a copy of a class with nbgrader's own command; its gradebook."""
    shutil.copytree(folder.root, place, symlinks=True)
    # A warning in a test costs its points, so kernels must not be told to ignore them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", project, "--Execute.timeout=120"],
        cwd=place,
        env={**environment, "HOME": str(place), "JUPYTER_PLATFORM_DIRS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return next(place.rglob("gradebook.db"))


def differences(ours: dict, theirs: dict, words: dict[str, str] | None = None) -> list[str]:
    """Each cell on which two gradebooks differ, with what its student handed in."""
    return [
        f"{key}: classroom {ours.get(key)}, nbgrader {theirs.get(key)}  [{(words or {}).get(key[0], '')}]"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def assert_equal_grades(folder, project: str, place: Path, words: dict[str, str] | None = None) -> dict[tuple, dict]:
    """Grade a class by both, and hold their gradebooks against each other; what they agree on."""
    theirs = cells(stock(folder, project, place))
    done = folder.run("autograde", project)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = cells(next(path for path in folder.root.rglob("gradebook.db")))
    found = differences(ours, theirs, words)
    assert not found, "\n".join([f"{len(found)} of {len(theirs)} differ", *found[:20]])
    return ours


def hand_in_classes(folder, classes: list[list[mixed.HandedIn]]) -> dict[str, str]:
    """Put drawn submissions under submitted/; what each consists of, by student."""
    members = [submission for members in classes for submission in members]
    for number, submission in enumerate(members, 1):
        place = folder.root / "course" / "submitted" / f"s{number:03d}" / mixed.PROJECT
        submission.write(folder.root / "assignments" / mixed.PROJECT, place, DUE)
    return {f"s{number:03d}": submission.words for number, submission in enumerate(members, 1)}


@pytest.fixture(scope="module")
def mixed_course(new_course):
    """The project `mixed`, released, without submissions."""
    folder = new_course(mixed.PROJECT)
    mixed.write_source(folder.root / "solutions" / mixed.PROJECT)
    done = folder.run("release")
    assert done.returncode == 0, done.stderr
    return folder


def test_every_way_to_answer_is_among_the_twenty():
    (members,) = drawn(1)
    assert len(members) == len(set(members)) == 20
    dealt = {part.partition(": ")[2] for member in members for part in member.words.split("; ")}
    assert dealt >= {"unanswered", *mixed.WAYS, *mixed.MUTATIONS}


def test_twenty_drawn_submissions(mixed_course, tmp_path):
    words = hand_in_classes(mixed_course, [[mixed.ALL_RIGHT, mixed.PARTLY], *drawn(1)])
    agreed = assert_equal_grades(mixed_course, mixed.PROJECT, tmp_path / "stock", words)
    # They agree on something: every outcome of a cell that nbgrader has is there.
    scores = {(key[2], found["auto_score"]) for key, found in agreed.items() if "auto_score" in found}
    assert scores >= {("mean-tests", 0), ("mean-tests", 3), ("digits-tests", 1.5), ("why", 0), ("why", None)}
    assert {found.get("auto_comment") for found in agreed.values()} == {None, "No response."}
    assert any(found.get("late_submission_penalty") for found in agreed.values())


@pytest.mark.full
def test_two_hundred_drawn_submissions(new_course, tmp_path):
    folder = new_course(mixed.PROJECT)
    mixed.write_source(folder.root / "solutions" / mixed.PROJECT)
    assert folder.run("release").returncode == 0
    words = hand_in_classes(folder, drawn(11)[1:])
    assert len(words) == 200
    assert_equal_grades(folder, mixed.PROJECT, tmp_path / "stock", words)


def test_the_quickstart_course_of_nbgrader(new_course, tmp_path):
    """Two notebooks, a picture beside them, written and drawn answers; right, partial and wrong submissions."""
    import nbgrader

    folder = new_course("ps1")
    (folder.root / "course.yml").unlink()
    (folder.root / "nbgrader_config.py").write_text(QUICKSTART)
    example = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide" / "source"
    shutil.copytree(example, folder.root / "source", ignore=shutil.ignore_patterns("*.html", "autotests.yml", "ps1_*"))
    done = folder.run("release", "ps1")
    assert done.returncode == 0, done.stderr
    made = simulate(Folder(folder.root), "ps1", 4, lambda text: None, groups=["right", "partial", "wrong"])
    done = folder.run("collect", "ps1", "--from", made["folder"])
    assert done.returncode == 0, done.stderr
    words = {student: row["kind"] for student, row in read_key(Path(made["key"])).items()}
    agreed = assert_equal_grades(folder, "ps1", tmp_path / "stock", words)
    assert {key[1] for key in agreed} == {"problem1", "problem2"}
    assert len({key[0] for key in agreed}) == 4


def short_parameters(source: Path) -> None:
    """Write the parameters of grading into the notebook itself: stock nbgrader knows no others."""
    described = yaml.safe_load((source / "project.yml").read_text())
    values = described.pop("grading")["parameters"]
    (source / "project.yml").write_text(yaml.safe_dump(described))
    path = source / f"{source.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    nbformat.write(notebook, path)


@pytest.mark.full
@pytest.mark.parametrize("project", ["checkpoint-01", "checkpoint-02", "generative"])
def test_the_demo_class_of(project, new_course, tmp_path):
    """Those whose kernel lives to the end: of the others stock nbgrader records nothing (see the table)."""
    folder = new_course(project)
    shutil.copytree(ROOT / "solutions" / project, folder.root / "solutions" / project)
    short_parameters(folder.root / "solutions" / project)
    assert folder.run("release").returncode == 0
    write_inbound(Folder(folder.root), project)
    assert folder.run("collect", project, "--from", str(folder.root / "course" / "inbound" / project)).returncode == 0
    for student in (folder.root / "course" / "submitted").iterdir():
        if student.name.endswith(("-endless", "-crash")):
            shutil.rmtree(student)
    assert_equal_grades(folder, project, tmp_path / "stock")
