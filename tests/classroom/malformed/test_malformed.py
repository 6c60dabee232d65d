"""Whatever is handed in as a notebook ends in a state with a reason; nothing raises, nothing hangs, nobody else is hit.

First each is read and rebuilt by itself, against a clock. Then a class of them, with honest students in between, goes
through the real commands: collect, autograde, feedback, status, export. What comes in through `collect` is looked at
there; what stands under submitted/ without it, as nbgrader's own collect leaves it, by autograde: both say the same.
"""

import re
import sqlite3
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import yaml

from classroom.demo import BANK, submission
from classroom.errors import RefusedError
from classroom.folder import Folder
from classroom.notebooks import read_notebook
from classroom.plan import plans, replayed
from classroom.rebuild import master, rebuild
from classroom.results import GRADED, REFUSED, STUDENT_ERROR, read_result

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(HERE.parent / "differential")]  # not packages

import mixed  # noqa: E402
import specimens  # noqa: E402
from specimens import Specimen  # noqa: E402

TESTS = mixed.TESTS.values()
HONEST = ("a-first", "n-middle", "z-last")
SECONDS = 20  # of one submission: in nothing of this class is there anything to wait for
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OUTPUTS = [
    {"output_type": "stream", "name": "stdout", "text": ["here\n", "\x1b[31mred\x1b[0m\n"]},
    {"output_type": "display_data", "metadata": {}, "data": {"image/png": PICTURE, "text/plain": ["<Figure>"]}},
    {"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": {"text/html": "<b>1</b>"}},
    {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["\x1b[0;31mE\x1b[0m: no"]},
]


class Class(NamedTuple):
    """A course with one project, released, and right submissions to it."""

    folder: object
    project: str
    full: float  # points by tests of the right submissions
    rights: list[bytes]


@pytest.fixture(scope="module")
def mixed_class(new_course) -> Class:
    """One cell of each kind that nbgrader knows; the right notebooks as they come back from a kernel."""
    folder = new_course(mixed.PROJECT)
    mixed.write_source(folder.root / "solutions" / mixed.PROJECT)
    assert folder.run("release").returncode == 0
    place = folder.root / "right"
    mixed.ALL_RIGHT.write(folder.root / "assignments" / mixed.PROJECT, place, mixed.datetime(2026, 2, 6))
    notebook = nbformat.read(place / "mixed.ipynb", as_version=4)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(output) for output in OUTPUTS[: number % 5]]
            cell.execution_count = number
    why = next(cell for cell in notebook.cells if cell.id == "why")
    why.source += f"\n\n![a](attachment:a.png) ![b](data:image/png;base64,{PICTURE})"
    why.attachments = {"a.png": {"image/png": PICTURE}}
    notebook.cells.insert(2, nbformat.v4.new_code_cell("print('here')", id="helper"))
    return Class(folder, mixed.PROJECT, sum(mixed.POINTS.values()), [nbformat.writes(notebook).encode()])


@pytest.fixture(scope="module")
def checkpoint_class(new_course) -> Class:
    """This course's own checkpoint, and the right submissions of its demo class."""
    folder = new_course("checkpoint-01")
    source = ROOT / "solutions" / "checkpoint-01"
    (folder.root / "solutions").mkdir()
    (folder.root / "solutions" / "checkpoint-01").symlink_to(source)
    assert folder.run("release").returncode == 0
    released = folder.root / "assignments" / "checkpoint-01" / "checkpoint-01.ipynb"
    members = {member["kind"]: member for member in yaml.safe_load((source / BANK).read_text())}
    text = submission(released, source / "checkpoint-01.ipynb", members["full marks"]["cells"])
    described = yaml.safe_load((source / "project.yml").read_text())
    full = sum(part["points"] for part in described["parts"] if part["graded"] == "by tests")
    return Class(folder, "checkpoint-01", full, [text.encode()])


def hand_in(one: Class, under: str, members: dict[str, bytes]) -> None:
    for student, data in members.items():
        place = one.folder.root / under / student / (one.project if "submitted" in under else "")
        place.mkdir(parents=True)
        (place / f"{one.project}.ipynb").write_bytes(data)
        if one.project == mixed.PROJECT:
            (place / "numbers.csv").write_text(mixed.DATA)
        (place / "timestamp.txt").write_text("2026-02-05 10:00:00 UTC\n")


def run(one: Class, *words: str) -> str:
    """A command that has to succeed and to say nothing of errors of ours."""
    done = one.folder.run(*words)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "Traceback" not in done.stderr
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    return said


def through_everything(one: Class, found: list[Specimen]) -> dict[str, str]:
    """Grade a class of them, and look at every state; the outcomes by student."""
    members = {f"m{number:04d}": specimen for number, specimen in enumerate(found)}
    honest = dict.fromkeys(HONEST, one.rights[0])
    hand_in(one, "inbound", {student: specimen.data for student, specimen in members.items()} | honest)
    collected = one.folder.report("collect", one.project, "--from", "inbound")
    refused = {entry["student"]: entry["reason"] for entry in collected["refused"] if not entry["file"]}
    assert refused.keys() | {*collected["collected"]} == members.keys() | {*HONEST}
    # Those that `collect` did not take come again on the other way, where only autograde looks.
    again = {f"n{student[1:]}": members[student].data for student in refused}
    hand_in(one, "course/submitted", again)

    began = time.monotonic()
    report = one.folder.report("autograde", one.project, "--timeout", str(SECONDS))["submissions"]
    assert time.monotonic() - began < 60 + 2 * len(found)  # nothing hangs; 0.1 s each when idle
    assert report.keys() == {*collected["collected"]} | again.keys()
    for student in again:
        assert (report[student]["outcome"], report[student]["note"]) == (REFUSED, refused[f"m{student[1:]}"])
    outcomes = {student: report[student]["outcome"] if student in report else REFUSED for student in members}
    points = points_of(one)
    wrong = []
    for student, specimen in members.items():
        outcome = outcomes[student]
        reason = refused.get(student) or report[student]["note"]
        earned = points.get(student, 0)
        right = {
            "refused": outcome == REFUSED,
            "full": outcome == GRADED and earned == one.full,
            "any": outcome in (GRADED, STUDENT_ERROR, REFUSED) and 0 <= earned <= one.full,
        }[specimen.expected]
        if not right or not (reason or outcome == GRADED) or len(reason) > 2_000:
            wrong.append(f"{student} {specimen.level}, {specimen.name}: {outcome}, {earned} points, {reason[:300]!r}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(members)}", *wrong[:20]])
    for student in HONEST:
        assert (report[student]["outcome"], points[student]) == (GRADED, one.full)
    look_at_files(one, {student for student, record in report.items() if record["outcome"] != REFUSED})
    return outcomes


def points_of(one: Class) -> dict[str, float]:
    """Points by tests, from the gradebook."""
    with sqlite3.connect(one.folder.root / "course" / "gradebook.db") as file:
        rows = file.execute(
            "select submission.student_id, sum(grade.auto_score) from grade"
            " join submitted_notebook on submitted_notebook.id = grade.notebook_id"
            " join submitted_assignment submission on submission.id = submitted_notebook.assignment_id"
            " group by submission.student_id"
        ).fetchall()
    return {student: points or 0 for student, points in rows}


def look_at_files(one: Class, ran: set[str]) -> None:
    """Result files are whole, and what formgrader and feedback read is a notebook by the schema."""
    home = one.folder.root / "course"
    results = sorted(Folder(one.folder.root).record("result", one.project).parent.glob("*.result.json"))
    assert {path.name.removesuffix(".result.json") for path in results} >= ran
    for path in results:
        assert read_result(path)["outcome"] in (GRADED, STUDENT_ERROR, REFUSED)
    for student in ran:
        path = home / "autograded" / student / one.project / f"{one.project}.ipynb"
        nbformat.validate(nbformat.read(path, as_version=4))
    run(one, "feedback", one.project)
    for student in ran:
        assert (home / "feedback" / student / one.project / f"{one.project}.html").stat().st_size > 1_000
    for words in (("status", one.project), ("export",)):
        run(one, *words)


def table(found: list[Specimen], outcomes: dict[str, str]) -> str:
    """How many of each level came out how."""
    counts = Counter(zip((specimen.level for specimen in found), outcomes.values(), strict=True))
    lines = [f"{number:5} {level}: {outcome}" for (level, outcome), number in sorted(counts.items())]
    return "\n".join([f"{len(found)} malformed notebooks", *lines])


def said() -> dict[str, int]:
    """How many there are, as SECURITY.md says; and CHANGELOG.md, of all of them."""
    form = r"(\d+) malformed notebooks are handed in, (\d+) to one class and (\d+) to another \((\d+) of them in `make"
    numbers = re.search(form, (ROOT / "SECURITY.md").read_text()).groups()
    found = dict(zip(("all", "one", "another", "make test"), map(int, numbers), strict=True))
    assert f"- {found['all']} malformed notebooks" in (ROOT / "CHANGELOG.md").read_text()
    return found


def specimens_of(one: Class, full: bool) -> list[Specimen]:
    """Every change once, and some that are drawn; with --full twice, and hundreds."""
    return specimens.changed(one.rights, 2 if full else 1, one.project) + specimens.drawn(200 if full else 40)


def test_each_is_read_and_rebuilt_or_refused(mixed_class, request):
    """Before anything is run; in seconds, whatever it is."""
    folder = Folder(mixed_class.folder.root)
    masters = master(folder, mixed_class.project)
    ((name, release),) = masters.items()
    plan = plans(folder, mixed_class.project, masters)[name]
    found = specimens_of(mixed_class, request.config.getoption("--full"))
    refused = 0
    for specimen in found:
        began = time.process_time()
        try:
            notebook, notes = read_notebook(specimen.data, name)
        except RefusedError as error:
            reason = str(error)
            refused += 1
        else:
            reason = ""
            made = rebuild(release, notebook)
            nbformat.validate(made.notebook)
            assert [cell.source for cell in made.notebook.cells if cell.id.endswith("-tests")] == list(TESTS), specimen
            assert all(isinstance(note, str) for note in notes + made.notes)
            replayed(plan, made.notebook)
        assert specimen.expected != ("full" if reason else "refused"), specimen
        assert not reason or reason.startswith(f"{name} "), reason
        assert time.process_time() - began < 5, specimen  # 0.3 s at most when idle
    assert 40 < refused < 0.6 * len(found)


def test_a_class_of_them(mixed_class, request):
    """One in three; with --full all."""
    full = request.config.getoption("--full")
    found = specimens_of(mixed_class, full)[:: 1 if full else 3]
    assert len(found) == said()["one" if full else "make test"]
    print(table(found, through_everything(mixed_class, found)))


@pytest.mark.full
def test_a_class_that_hands_in_broken_checkpoints(checkpoint_class):
    """A real project, every third change."""
    found = specimens.changed(checkpoint_class.rights, 1, "checkpoint")[::3]
    assert len(found) == said()["another"]
    assert said()["all"] == said()["one"] + said()["another"]
    print(table(found, through_everything(checkpoint_class, found)))
