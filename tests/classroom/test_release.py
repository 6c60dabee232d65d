"""Releases: equal to what is committed, the same bytes twice, nothing of the solutions in them."""

import json
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent.name for path in (ROOT / "solutions").glob("*/project.yml"))


def notebook(folder: Path, project: str) -> nbformat.NotebookNode:
    return nbformat.read(folder / project / f"{project}.ipynb", as_version=4)


def grading(cell: nbformat.NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def test_the_committed_release_is_what_nbgrader_makes(demo_course):
    made = demo_course.root / "_build/demo/release/checkpoint-01"
    committed = ROOT / "assignments/checkpoint-01"
    files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert files == sorted(str(path.relative_to(committed)) for path in committed.rglob("*") if path.is_file())
    for name in files:
        assert (made / name).read_bytes() == (committed / name).read_bytes(), f"{name}: run `make release` and commit"


def test_every_project_is_released():
    assert PROJECTS
    assert sorted(path.name for path in (ROOT / "assignments").iterdir() if path.is_dir()) == PROJECTS


@pytest.mark.parametrize("project", PROJECTS)
def test_nothing_of_the_solution_is_in_the_release(project):
    text = (ROOT / "assignments" / project / f"{project}.ipynb").read_text()
    for word in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "Rubric"):
        assert word not in text, word
    source, release = notebook(ROOT / "solutions", project), notebook(ROOT / "assignments", project)
    for before, after in zip(source.cells, release.cells, strict=True):
        if grading(before).get("solution"):
            assert after.source != before.source, grading(before)["grade_id"]


@pytest.mark.parametrize("project", PROJECTS)
def test_cells_are_named_and_carry_the_points_of_project_yml(project):
    source = notebook(ROOT / "solutions", project)
    described = yaml.safe_load((ROOT / "solutions" / project / "project.yml").read_text())
    for cell in source.cells:
        assert cell.id == grading(cell).get("grade_id", cell.id), "the cell's id is its grade_id"
        assert not cell.get("outputs"), f"{cell.id} is committed with outputs"
    points = {cell.id: grading(cell)["points"] for cell in source.cells if grading(cell).get("grade")}
    assert points == {part["cell"]: part["points"] for part in described["parts"]}
    by_hand = {part["cell"] for part in described["parts"] if part["graded"] == "by hand"}
    assert by_hand == {cell.id for cell in source.cells if cell.cell_type == "markdown" and grading(cell).get("grade")}
    text = "\n".join(cell.source for cell in source.cells if cell.cell_type == "markdown" and not grading(cell))
    for part in described["parts"]:
        assert f"({part['points']} points" in text, (
            f"no title says that part {part['name']!r} has {part['points']} points"
        )


@pytest.mark.parametrize("project", PROJECTS)
def test_there_is_one_parameters_cell_and_grading_changes_only_what_it_has(project):
    cells = [c for c in notebook(ROOT / "solutions", project).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    assert grading(cells[0])["locked"]
    names: dict = {}
    exec(cells[0].source, names)
    described = yaml.safe_load((ROOT / "solutions" / project / "project.yml").read_text())
    assert described["grading"]["parameters"].keys() <= names.keys()


def test_an_unchanged_source_is_not_released_again_and_a_damaged_release_is(tiny):
    assert tiny.report("release")["released"]["tiny"]["changed"] is False
    made = tiny.root / "assignments/tiny/tiny.ipynb"
    before = made.read_bytes()
    made.write_bytes(before + b"\n")
    assert tiny.report("release", "tiny")["released"]["tiny"]["changed"] is True
    assert made.read_bytes() == before


def test_project_yml_and_the_notebook_must_agree(tiny):
    (tiny.root / "solutions/tiny/project.yml").write_text(
        "title: Tiny\nminutes: 1\npoints: 4\nlimits: {cell_seconds: 5}\nparts:\n"
        "  - {name: Double, cell: double-tests, points: 2, graded: by tests}\n"
        "  - {name: Why, cell: why, points: 2, graded: by hand}\n"
    )
    done = tiny.run("release")
    assert done.returncode == 2
    assert "tiny, cell double-tests: project.yml says 2 points, the notebook says 3 points" in done.stderr


def test_with_submissions_a_changed_test_grades_again_and_a_renamed_cell_is_refused(tiny):
    tiny.hand_in("somebody", "tiny", "def double(x):\n    return 2 * x if x < 5 else 0")
    tiny.report("autograde", "tiny")
    assert tiny.report("status", "tiny")["students"][0]["total"] == 3
    path = tiny.root / "solutions/tiny/tiny.ipynb"
    source = json.loads(path.read_text())
    source["cells"][1]["source"] = ["assert double(6) == 12"]
    path.write_text(json.dumps(source))
    tiny.report("release")
    assert tiny.report("autograde", "tiny")["submissions"]["somebody"]["again"] is True
    assert tiny.report("status", "tiny")["students"][0]["total"] == 0

    source["cells"][1]["metadata"]["nbgrader"]["grade_id"] = "renamed"
    path.write_text(json.dumps(source))
    done = tiny.run("release")
    assert done.returncode == 2
    assert "somebody has handed in, and cells or notebooks came or went; type: classroom amend tiny" in done.stderr
