"""A graded notebook taken apart.

In order: which cells belong to which part; titles from project.yml and from headings; answers, own cells, changed plain
cells and supplied cells with outputs; unanswered ones; cells that did not run to their end; comments; secrets.
"""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from classroom.course import Part, Project
from classroom.feedback.marks import Mark, NotebookMarks
from classroom.feedback.parts import ANSWER, OUTPUT, parts_of, secrets_of


def meta(name: str, **changes: object) -> dict:
    return {"nbgrader": {"grade_id": name, "grade": False, "solution": False, "locked": False, "task": False} | changes}


def text(name: str, source: str, **changes: object) -> dict:
    return new_markdown_cell(source, id=name, metadata=meta(name, **changes) if changes else {})


def code(name: str, source: str, *printed: str, **changes: object) -> dict:
    made = new_code_cell(source, id=name, metadata=meta(name, **changes) if changes else {})
    made.outputs = [new_output("stream", text=words) for words in printed]
    return made


TESTS = "assert one() == 1\n### BEGIN HIDDEN TESTS\nassert one() == one() + 0 * 12345\nx = 1\n### END HIDDEN TESTS"
CELLS = [
    text("intro", "# The whole thing\n\nText."),
    text("head-1", "## Part *one*\n\n```\n# no heading\n```"),
    code("one", "def one():\n    return 1", solution=True),
    code("own-1", "one()", "a line of mine"),
    code("one-tests", TESTS, "not shown", grade=True, locked=True),
    text("after", "### What it gives"),
    code("figure", "show(one())", "the figure", locked=True),
    text("more", "## Second half"),
    text("head-2", "### Part two"),
    code("quiet", "setup()", locked=True),
    text("scratch", "My prediction: it rains."),
    text("two", "*Your answer*", solution=True, grade=True),
    code("own-2", "1 / 0"),
]
RELEASED = {cell.id: cell.source for cell in CELLS if not cell.id.startswith("own-")}
RELEASED |= {"one": "def one():\n    raise NotImplementedError", "scratch": "Your prediction:"}
RELEASED["one-tests"] = "assert one() == 1"


def taken(**changes: object):
    settings: dict = {
        "ran": [{"id": "one-tests", "grade_id": "one-tests", "status": "ok", "by": "examiner", "checks": []}],
        "marks": NotebookMarks({"one-tests": Mark(3, None, 0, 3, False)}, {"one": "well done", "two": "No response."}),
        "project": None,
    }
    settings |= changes
    notebook = {"cells": CELLS, "metadata": {}}
    return parts_of(notebook, settings["ran"], settings["marks"], RELEASED, settings["project"])


def test_each_cell_belongs_to_one_part():
    one, two = taken()
    assert [(work.kind, work.name or work.cell["id"]) for work in one.work] == [
        (ANSWER, "one"),
        (ANSWER, "own-1"),
        (OUTPUT, "figure"),
    ]
    assert [(work.kind, work.name or work.cell["id"]) for work in two.work] == [
        (ANSWER, "scratch"),
        (ANSWER, "two"),
        (ANSWER, "own-2"),
    ]
    assert (one.verdict.remarks, two.verdict) == (["All tests of this part passed."], None)
    assert (one.mark.points, two.mark) == (3, None)


def test_titles():
    assert [part.title for part in taken()] == ["Part one", "Second half"]
    described = Project("t", None, 3, (Part("1. One", "one-tests", 3, False),), 60, {})
    assert [part.title for part in taken(project=described)] == ["1. One", "Second half"]
    again = code("one-more", "assert True", grade=True, locked=True)
    points = text("head-1", "## Part *one* (2.5 points, by tests)")
    cells = [points, *CELLS[2:5], again]
    found = parts_of({"cells": cells}, [], NotebookMarks(), RELEASED | {"head-1": points.source})
    assert [part.title for part in found] == ["Part one", "Part one: one-more"]


def test_what_stands_as_released_is_unanswered():
    one, two = taken()
    assert [work.unanswered for work in one.answers] == [False, False]
    assert [work.unanswered for work in two.answers] == [False, True, False]
    assert not two.unanswered


def test_cells_that_did_not_run_to_their_end():
    ran = [{"id": "one", "status": "timeout"}, {"id": "own-1", "status": "not-run"}, {"id": "own-2", "status": "died"}]
    one, two = taken(ran=ran)
    assert "time limit" in one.work[0].stopped
    assert "not reached" in one.work[1].stopped
    assert "process ended" in two.work[2].stopped
    assert one.verdict.remarks == ["The tests of this part were not reached, so it has no points."]


def test_comments_stand_with_their_part():
    one, two = taken()
    assert (one.comments, two.comments) == (["well done"], ["No response."])


def test_secrets_are_lines_that_nobody_else_has():
    notebook = {"cells": CELLS, "metadata": {}}
    secrets = secrets_of(notebook, RELEASED)
    assert secrets == {"### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS", "assert one() == one() + 0 * 12345"}
    guessed = [*CELLS, code("own-3", "assert one() == one() + 0 * 12345")]
    assert "assert one() == one() + 0 * 12345" not in secrets_of({"cells": guessed}, RELEASED)
