"""The demo class of the mini-project `generative`: its exact grades, and submissions with cells of their own."""

from pathlib import Path

import nbformat
import pytest
import yaml

from classroom.demo import submission
from classroom.errors import ClassroomError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "solutions" / "generative" / "generative.ipynb"
RELEASE = ROOT / "assignments" / "generative" / "generative.ipynb"
MEMBERS = {m["student"]: m for m in yaml.safe_load((SOURCE.parent / "demo.yml").read_text())}
PARTS = yaml.safe_load((SOURCE.parent / "project.yml").read_text())["parts"]

# Points of the fourteen parts in their order (None: waits for a person), and the total.
NOTHING = (0,) * 14
BUILD = (10, 8, 4, 9, 9, *NOTHING[5:])
GRADES = {
    "gen-full": (10, 8, 4, 9, 9, 8, 8, None, 6, 6, 5, None, 5, None, 78),
    "gen-unanswered": (*NOTHING, 0),
    "gen-build-only": (*BUILD, 40),
    "gen-diagnose-only": (0, 0, 0, 0, 0, 8, 8, None, 0, 0, 0, 0, 0, 0, 16),
    "gen-mean-not-sum": (4, 8, *NOTHING[2:], 12),
    "gen-typical-build": (0, 3, 0, 6, 2, *NOTHING[5:], 11),
    "gen-wrong-causes": (*NOTHING[:6], 3, *NOTHING[7:], 3),
    "gen-late": (*BUILD, 32),  # a day and a quarter: 2 days begun, 20 % of 40 points
    "gen-syntax": (*NOTHING[:10], 5, 0, 5, 0, 10),
    "gen-endless": (10, *NOTHING[1:], 10),
    "gen-crash": (10, *NOTHING[1:], 10),  # what was tested before the kernel ended counts
    "gen-constant": (*NOTHING, 0),
    "gen-memorised": (0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 5, 0, 5, 0, 19),
    "gen-own-helpers": (10, *NOTHING[1:], 10),
}


@pytest.mark.parametrize("student", GRADES)
def test_the_grade_of(student, generative_demo):
    row = next(r for r in generative_demo.first["projects"]["generative"] if r["student"] == student)
    assert (*(row["parts"][part["cell"]] for part in PARTS), row["total"]) == GRADES[student], row["note"]
    assert row["outcome"] == ("student-error" if student == "gen-crash" else "graded")
    assert row["max"] == 100


def test_every_member_has_a_grade_to_be_held_against():
    assert MEMBERS.keys() == GRADES.keys()
    assert len({member["kind"] for member in MEMBERS.values()}) == len(MEMBERS) >= 12


@pytest.mark.parametrize("student", MEMBERS)
def test_a_submission_is_the_release_with_its_answers_and_own_cells(student):
    member = MEMBERS[student]
    made = nbformat.reads(submission(RELEASE, SOURCE, member["cells"], member.get("helpers")), as_version=4)
    nbformat.validate(made)
    released = nbformat.read(RELEASE, as_version=4).cells
    own = [cell for cell in made.cells if cell.id.startswith("own-")]
    assert [cell.source for cell in own] == [text.rstrip("\n") for text in member.get("helpers", {}).values()]
    rest = [cell for cell in made.cells if cell not in own]
    changed = {a.id for a, b in zip(rest, released, strict=True) if a.source != b.source}
    assert changed == member["cells"].keys()
    for cell in own:
        assert made.cells[made.cells.index(cell) + 1].id == cell.id.removeprefix("own-")


def test_a_helper_for_a_cell_that_is_not_there_is_named():
    with pytest.raises(ClassroomError, match=r"has no answer cell 'vea'; did you mean"):
        submission(RELEASE, SOURCE, {}, {"vea": "x = 1"})


def test_the_committed_release_is_what_nbgrader_makes(generative_demo):
    made = generative_demo.root / "_build/demo/release/generative"
    assert [path.name for path in made.rglob("*") if path.is_file()] == [RELEASE.name]
    assert (made / RELEASE.name).read_bytes() == RELEASE.read_bytes(), "run `make release` and commit"
