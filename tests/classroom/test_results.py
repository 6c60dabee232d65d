"""Result files: points by nbgrader's rule, a file written once and whole, and a damaged one as a clear state.

In order: what is composed of a graded, a broken, a refused and a failed submission; partial credit and its odd values;
the file and its head; every kind of damage; a full disk is somebody else's test (test_writer).
"""

import json
import stat

import pytest

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import DAMAGED, compose, read_result, without_run, write_atomically, write_result

ABOUT = {"student": "ada", "project": "tiny", "submission": "s", "grader": "g"}


@pytest.fixture
def folder(tiny) -> Folder:
    return Folder(tiny.root)


def cell_of(grade_id: str, *, points: float = 3, outputs=(), cell_type: str = "code", source="x", **meta) -> dict:
    nbgrader = {"grade_id": grade_id, "grade": True, "locked": True, "solution": False, "points": points, **meta}
    cell = {"cell_type": cell_type, "metadata": {"nbgrader": nbgrader}, "source": source}
    return cell | ({"outputs": list(outputs)} if cell_type == "code" else {})


def outcome_of(*cells: dict, statuses=("ok",), state: str = "graded", **more) -> dict:
    named = [cell["metadata"]["nbgrader"]["grade_id"] for cell in cells]
    ran = [{"id": None, "grade_id": name, "status": status} for name, status in zip(named, statuses, strict=False)]
    notebook = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return {"state": state, "notebooks": {"a.ipynb": notebook}, "cells": {"a.ipynb": ran}, "note": "", **more}


def value_of(text: object) -> dict:
    return {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/plain": text}}


@pytest.mark.parametrize(
    ("outputs", "status", "points"),
    [
        ([], "ok", 3.0),
        ([value_of("1.5")], "ok", 1.5),
        ([value_of(["1.", "5"])], "ok", 1.5),  # a list of lines, as in a file
        ([value_of("0")], "ok", 0.0),
        ([value_of("'fine'")], "ok", 3.0),  # as stock: what is no number is full credit
        ([value_of("-1")], "ok", 3.0),
        ([value_of("4")], "ok", None),  # stock gives up on the whole submission
        ([value_of("inf")], "ok", None),
        ([{"output_type": "display_data", "metadata": {}, "data": {}}], "ok", 3.0),
        ([{"output_type": "stream", "name": "stdout", "text": "hello"}], "ok", 3.0),
        ([{"output_type": "stream", "name": "stderr", "text": "hello"}], "ok", 0.0),
        ([{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}], "error", 0.0),
        ([], "error", 0.0),  # whatever its outputs say
        ([], "timeout", 0.0),
        ([], "died", 0.0),
        ([value_of("3")], "not-run", 0.0),
    ],
)
def test_points_of_a_test_cell(outputs, status, points):
    record = compose(outcome_of(cell_of("t", outputs=outputs), statuses=[status]), {}, **ABOUT)
    assert record["points"] == {"a.ipynb": {"t": {"auto": points, "max": 3.0}}}
    assert (points is None) == ("grade it by hand" in record["note"])


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1.5", 1.5),
        ("'fine'", 3.0),
        ("np.float64(1.5)", 1.5),
        ("array([[0.]], dtype=float32)", 0.0),
        ("tensor(2., grad_fn=<MulBackward0>)", 2.0),
        ("array([3., 3.])", None),
        ("tensor([])", None),
        ("nan", None),
        ("np.float64(nan)", None),
        ("-1", None),
        ("inf", None),
    ],
)
def test_a_last_value_may_hang_on_what_the_student_returned(text, points):
    made = outcome_of(cell_of("t", outputs=[value_of(text)]))
    made["cells"]["a.ipynb"][0]["by"] = "examiner"
    record = compose(made, {}, **ABOUT)
    assert record["points"] == {"a.ipynb": {"t": {"auto": points, "max": 3.0}}}
    assert (points is None) == ("grade it by hand" in record["note"])


def test_points_of_other_cells():
    cells = [
        cell_of("answered", solution=True, locked=False, cell_type="markdown", checksum="of the release"),
        cell_of("code-answer", solution=True, locked=False, checksum="of the release"),
        cell_of("task", grade=False, task=True, cell_type="markdown"),
        cell_of("text", cell_type="markdown"),
        {"cell_type": "code", "metadata": {}, "source": "1", "outputs": []},
    ]
    record = compose(outcome_of(*cells[:4]) | {"cells": {}}, {}, **ABOUT)
    assert {name: found["auto"] for name, found in record["points"]["a.ipynb"].items()} == dict.fromkeys(
        ("answered", "code-answer", "task", "text")
    )
    stderr = [{"output_type": "stream", "name": "stderr", "text": "FutureWarning: x"}]
    ignored = compose(outcome_of(cell_of("t", outputs=stderr)), {}, **ABOUT, ignore_stderr="FutureWarning")
    assert ignored["points"]["a.ipynb"]["t"]["auto"] == 3.0


def test_unanswered_is_zero_and_waits_for_nobody(folder, make_result):
    record = make_result(folder, "ada")
    points = record["points"]["tiny.ipynb"]
    assert points == {"double-tests": {"auto": 3.0, "max": 3.0}, "why": {"auto": 0.0, "max": 1.0}}
    assert make_result(folder, "ada", {"why": "So."})["points"]["tiny.ipynb"]["why"]["auto"] is None


def test_a_session_that_ended_keeps_what_was_earned(folder, make_result):
    outcome = outcome_of(cell_of("one"), cell_of("two"), statuses=["ok", "died"], state="student-error", note="memory")
    record = compose(outcome, {}, **ABOUT)
    assert (record["outcome"], record["note"]) == ("student-error", "memory")
    assert [found["auto"] for found in record["points"]["a.ipynb"].values()] == [3.0, 0.0]
    failed = compose({"state": "infra-error", "note": "no sandbox", "notebooks": {}, "cells": {}}, {}, **ABOUT)
    assert failed["outcome"] == "failed"
    assert failed.keys().isdisjoint({"points", "notebooks"})


def test_a_file_is_what_was_written_and_its_head_comes_without_the_notebooks(folder, make_result, tmp_path):
    long = [{"output_type": "stream", "name": "stdout", "text": "notebooks\n\ud800 " * 40_000}]
    record = make_result(folder, "ada", {"why": 'a "notebooks": {'}, outputs={"double": long}, note="x" * 100_000)
    path = tmp_path / "results" / "ada.result.json"
    write_result(path, record)
    assert read_result(path) == record
    head = read_result(path, head=True)
    assert head == {name: value for name, value in record.items() if name != "notebooks"}
    refused = without_run("refused", "no notebook", **ABOUT)
    write_result(path, refused)
    assert read_result(path, head=True) == refused
    assert read_result(path) == refused | {"notebooks": {}}
    assert [file.name for file in path.parent.iterdir()] == ["ada.result.json"]


def test_what_does_not_agree_with_the_schema_is_never_written(folder, make_result, tmp_path):
    record = make_result(folder, "ada")
    for wrong in (
        {"outcome": "perfect"},
        {"schema": 2},
        {"points": {"tiny.ipynb": {"why": {"auto": "1", "max": 1}}}},
        {"cells": {"tiny.ipynb": [{"status": "fine"}]}},
        {"student": ""},
    ):
        with pytest.raises(ValueError, match="not a result"):
            write_result(tmp_path / "x.json", record | wrong)
    assert list(tmp_path.glob("*.json")) == []


def test_a_damaged_file_is_a_state_of_its_own(folder, make_result, tmp_path):
    path = tmp_path / "ada.result.json"
    assert read_result(path) == {}
    record = make_result(folder, "ada")
    write_result(path, record)
    whole = path.read_bytes()
    damaged = [b"", b"{", whole[:100], whole[: len(whole) // 2], whole[:-2], b"\x00" * 100, b"[]", b'"x"', b"{}"]
    damaged += [whole.replace(b'"graded"', b'"perfect"'), whole.replace(b'"schema": 1', b'"schema": 9')]
    damaged += [json.dumps({name: value for name, value in record.items() if name != "points"}).encode()]
    for content in damaged:
        path.write_bytes(content)
        for head in (False, True):
            found = read_result(path, head=head)
            assert found["outcome"] == DAMAGED, content[:60]
            assert "graded again" in found["note"]
            assert "submission" not in found  # so that nothing takes it for a result of this submission
    path.unlink()
    path.mkdir()
    assert read_result(path)["outcome"] == DAMAGED


# Written where others may write, too.


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_that_others_made_before_is_not_written_into(shared, tmp_path):
    """Whoever holds it open would read the grades, and could change them."""
    place = tmp_path / "pub"
    place.mkdir(mode=0o700)
    place.chmod(0o777 if shared else 0o700)
    waiting = place / ".grades.csv.new"
    waiting.write_text("left\n")
    waiting.chmod(0o666)
    with open(waiting) as held:
        write_atomically(place / "grades.csv", "ada,3\n", mode=0o600)
        held.seek(0)
        assert (held.read() == "ada,3\n") is not shared, "in a folder of one's own it is what a killed process left"
    assert (place / "grades.csv").read_text() == "ada,3\n"
    assert stat.S_IMODE((place / "grades.csv").stat().st_mode) == 0o600
    assert {path.name for path in place.iterdir()} == {"grades.csv"} | ({waiting.name} if shared else set())


@pytest.mark.parametrize("shared", [False, True])
def test_a_link_in_its_way_is_not_followed(shared, tmp_path):
    place, mine = tmp_path / "pub", tmp_path / "mine"
    place.mkdir()
    place.chmod(0o777 if shared else 0o700)
    mine.write_text("mine\n")
    mine.chmod(0o600)
    (place / ".page.html.new").symlink_to(mine)
    if shared:
        write_atomically(place / "page.html", "<p>\n")
    else:
        with pytest.raises(ClassroomError, match="cannot write"):
            write_atomically(place / "page.html", "<p>\n")
    assert (mine.read_text(), stat.S_IMODE(mine.stat().st_mode)) == ("mine\n", 0o600)
