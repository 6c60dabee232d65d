"""The writer: stock nbgrader's grades, people's work kept, and the same state however it was interrupted.

In order: equal to stock, row by row, late and with partial credit; what a person did, with the text unchanged and
changed; refused, failed, broken and missing notebooks; what stands under autograded/; killed at random points; a held
lock; a damaged gradebook, and one made anew from the result files; a full disk; a read-only folder.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades

from classroom.errors import ClassroomError
from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.release import release
from classroom.report import grades
from classroom.results import without_run, write_result
from classroom.writer import Writer

RIGHT = "def double(x):\n    return 2 * x"
LATE = "2026-02-07 10:00:00 UTC"


@pytest.fixture
def folder(tiny) -> Folder:
    return Folder(tiny.root)


@pytest.fixture(scope="module")
def mixed_template(tmp_path_factory, tiny_template) -> Path:
    """A project of two notebooks with every kind of cell."""
    root = tmp_path_factory.mktemp("mixed") / "course-folder"
    shutil.copytree(tiny_template, root, ignore=shutil.ignore_patterns("course", "assignments", "solutions"))
    (root / "course.yml").write_text((root / "course.yml").read_text().replace("tiny:", "mixed:"))
    place = root / "solutions" / "mixed"
    place.mkdir(parents=True)

    def cell(new, name: str, source: str, **changes):
        base = {
            "grade": False,
            "solution": False,
            "locked": False,
            "task": False,
            "schema_version": 3,
            "grade_id": name,
        }
        made = new(source, metadata={"nbgrader": base | changes})
        made["id"] = name
        return made

    test = {"grade": True, "locked": True}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    one = [
        new_markdown_cell("<details><summary>What to do</summary>Everything.</details>", id="intro"),
        cell(new_code_cell, "setup", "import math", locked=True),
        cell(new_code_cell, "f", "### BEGIN SOLUTION\nf = 1\n### END SOLUTION", solution=True),
        cell(new_code_cell, "f-tests", "f / 2", points=2, **test),
        cell(new_code_cell, "f-more", "assert f == 1", points=1, **test),
        cell(
            new_code_cell, "by-hand", "### BEGIN SOLUTION\ng = 1\n### END SOLUTION", solution=True, grade=True, points=3
        ),
        cell(new_markdown_cell, "why", "Because.", solution=True, grade=True, points=4),
        cell(new_markdown_cell, "draw", "Draw it.", task=True, locked=False, points=5),
    ]
    two = [
        cell(new_code_cell, "h", "### BEGIN SOLUTION\nh = 1\n### END SOLUTION", solution=True),
        cell(new_code_cell, "h-tests", "assert h", points=6, **test),
    ]
    nbformat.write(new_notebook(cells=one, metadata=kernel), place / "one.ipynb")
    nbformat.write(new_notebook(cells=two, metadata=kernel), place / "two.ipynb")
    (place / "data").mkdir()
    (place / "data" / "table.csv").write_text("a,b\n1,2\n")
    with warnings.catch_warnings():  # nbgrader's own
        warnings.simplefilter("ignore")
        release(Folder(root), ["mixed"], lambda text: None)
    return root


@pytest.fixture
def mixed(mixed_template, tmp_path) -> Folder:
    return Folder(Path(shutil.copytree(mixed_template, tmp_path / "course-folder")))


def dump(root: Path) -> dict[str, list[tuple]]:
    """The gradebook's contents without its made-up ids."""
    cells = "select c.name from base_cell c where c.id = x.cell_id"
    whose = "join submitted_notebook n on n.id = x.notebook_id join submitted_assignment s on s.id = n.assignment_id"
    of = f"select s.student_id, (select m.name from notebook m where m.id = n.notebook_id), ({cells})"
    queries = {
        "students": "select id from student",
        "submissions": "select student_id, timestamp, extension from submitted_assignment",
        "notebooks": "select s.student_id, (select m.name from notebook m where m.id = n.notebook_id), "
        "n.flagged, n.late_submission_penalty "
        "from submitted_notebook n join submitted_assignment s on s.id = n.assignment_id",
        "grades": f"{of}, x.auto_score, x.manual_score, x.extra_credit, x.needs_manual_grade from grade x {whose}",
        "comments": f"{of}, x.auto_comment, x.manual_comment from comment x {whose}",
    }
    with contextlib.closing(sqlite3.connect(root / "course" / "gradebook.db")) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        return {name: sorted(db.execute(query).fetchall(), key=repr) for name, query in queries.items()}


def files(root: Path) -> dict[str, bytes]:
    top = root / "course" / "autograded"
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def stock(folder: Folder, record: dict) -> None:
    """Write a result into the gradebook as stock nbgrader does, step for step, with its own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _stock(folder, record)


def _stock(folder: Folder, record: dict) -> None:
    url, project, student = folder.coursedir.db_url, record["project"], record["student"]
    with Gradebook(url, folder.coursedir.course_id) as gradebook:
        gradebook.update_or_create_student(student)
        time_of = {"timestamp": record["timestamp"]} if record["timestamp"] else {}
        gradebook.update_or_create_submission(project, student, **time_of)
        for notebook in gradebook.find_assignment(project).notebooks:
            if f"{notebook.name}.ipynb" not in record["notebooks"]:
                for grade in gradebook.find_submission_notebook(notebook.name, project, student).grades:
                    grade.auto_score, grade.needs_manual_grade = 0, False
        gradebook.db.commit()
    for name, notebook in sorted(record["notebooks"].items()):
        about = {"notebook": Path(name).stem, "assignment": project, "student": student, "db_url": url}
        node = nbformat.from_dict(notebook)
        for step in (SaveAutoGrades, AssignLatePenalties):
            node, _ = step(parent=folder.app).preprocess(node, {"nbgrader": about})


def value(text: str) -> list[dict]:
    return [{"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/plain": text}}]


STDERR = [{"output_type": "stream", "name": "stderr", "text": "warned"}]
SUBMISSIONS = {
    "unanswered": {},
    "all": {"answers": {"f": "f = 1", "by-hand": "g = 2", "why": "So.", "h": "h = 1"}},
    "partial": {"answers": {"f": "f = 1"}, "outputs": {"f-tests": value("0.75"), "f-more": STDERR}},
    "wrong": {"answers": {"f": "f = 2", "h": "h = 0"}, "failed": ("f-tests", "f-more", "h-tests")},
    "late": {"answers": {"f": "f = 1", "h": "h = 1"}, "when": LATE},
    "in-grace": {"answers": {"f": "f = 1"}, "when": "2026-02-07 00:13:00 UTC"},
    "too-late": {"answers": {"f": "f = 1", "why": "So."}, "when": "2026-02-27 10:00:00 UTC"},
    "one-only": {"answers": {"f": "f = 1", "by-hand": "g = 2"}, "leave_out": ("two.ipynb",)},
    "no-time": {"answers": {"why": "So."}, "when": None},
}


def test_the_rows_are_stock_nbgraders(mixed, make_result, tmp_path):
    records = [make_result(mixed, who, project="mixed", **what) for who, what in SUBMISSIONS.items()]
    other = Folder(Path(shutil.copytree(mixed.root, tmp_path / "stock")))
    for _ in range(2):  # the second time a person has graded; stock would flag all of it
        with Writer(mixed, "mixed") as writer:
            done = [writer.merge(record) for record in records]
        assert all(report["changed"] and not report["review"] for report in done)
        for record in records:
            stock(other, record)
        assert dump(mixed.root) == dump(other.root)
    assert len(dump(mixed.root)["grades"]) == 6 * len(SUBMISSIONS)
    rows = {row[:3]: row[3:] for row in dump(mixed.root)["grades"]}
    assert rows["partial", "one", "f-tests"] == (0.75, None, None, 0)
    assert rows["one-only", "two", "h-tests"] == (0.0, None, None, 0)
    penalties = {row[:2]: row[3] for row in dump(mixed.root)["notebooks"]}
    assert penalties["late", "two"] == 0.6
    assert penalties["too-late", "one"] == 3.0
    assert penalties["in-grace", "one"] is None


def test_what_a_person_did_stays_while_the_text_is_the_same(mixed, make_result):
    answers = {"f": "f = 1", "by-hand": "g = 2", "why": "So.", "h": "h = 1"}

    def merged(**changes) -> dict:
        record = make_result(mixed, "ada", project="mixed", **{"answers": answers, **changes})
        with Writer(mixed, "mixed") as writer:
            return writer.merge(record)

    def rows() -> dict[str, tuple]:
        return {row[2]: row[3:] for row in dump(mixed.root)["grades"]}

    merged()
    assert rows()["why"] == (None, None, None, 1)
    with mixed.gradebook() as gradebook:  # as formgrader does it
        for name, notebook, points in (
            ("why", "one", 3.5),
            ("f-tests", "one", 1.0),
            ("draw", "one", 0.0),
            ("h-tests", "two", 2),
        ):
            grade = gradebook.find_grade(name, notebook, "mixed", "ada")
            grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_grade("why", "one", "mixed", "ada").extra_credit = 0.5
        gradebook.find_comment("why", "one", "mixed", "ada").manual_comment = "nearly"
        gradebook.find_submission_notebook("one", "mixed", "ada").flagged = True
        gradebook.db.commit()
    before = dump(mixed.root)

    assert merged() == {"student": "ada", "changed": True, "review": {}, "kept": 4}
    assert dump(mixed.root) == before
    # Graded anew with another outcome of a test: the automatic points change, what was given by hand does not.
    assert merged(failed=("f-tests", "h-tests"))["review"] == {}
    assert rows()["f-tests"] == (0.0, 1.0, None, 0)
    assert rows()["why"] == (None, 3.5, 0.5, 0)

    # One answer changes: its grade is marked for review, and that of the task, which is about everything.
    report = merged(answers=answers | {"why": "So it is."})
    assert {name: sorted(cells) for name, cells in report["review"].items()} == {"one": ["draw", "why"]}
    assert rows()["why"] == (None, 3.5, 0.5, 1)
    assert rows()["f-tests"] == (2.0, 1.0, None, 0)
    # The mark stays until a person has looked, also through a regrade.
    merged(answers=answers | {"why": "So it is."})
    assert rows()["why"] == (None, 3.5, 0.5, 1)
    comments = {row[2]: row[3:] for row in dump(mixed.root)["comments"]}
    assert comments["why"] == (None, "nearly")
    # The code changes, here by a cell of the student's own: the tests of that notebook, and of no other.
    report = merged(answers=answers | {"f": "f = 3"})
    assert set(report["review"]["one"]) >= {"f-tests"}
    assert "two" not in report["review"]
    assert rows()["f-tests"] == (2.0, 1.0, None, 1)
    assert rows()["h-tests"] == (6.0, 2.0, None, 0)
    assert merged(answers=answers | {"f": "f = 3"}, own="h = 2")["review"]["two"] == ["h-tests"]
    # Flags are people's.
    assert {row[1]: row[2] for row in dump(mixed.root)["notebooks"]} == {"one": 1, "two": 0}


def test_a_class_that_stock_nbgrader_graded_keeps_its_grades_by_hand(mixed, make_result):
    answers = {"f": "f = 1", "by-hand": "g = 2", "why": "So.", "h": "h = 1"}
    record = make_result(mixed, "ada", {**answers}, project="mixed")
    stock(mixed, record)
    place = mixed.path("autograded", "mixed", "ada")
    place.mkdir(parents=True)
    for name, notebook in record["notebooks"].items():
        nbformat.write(nbformat.from_dict(notebook), place / name)
    with mixed.gradebook() as gradebook:
        for name in ("why", "f-tests", "draw"):
            grade = gradebook.find_grade(name, "one", "mixed", "ada")
            grade.manual_score, grade.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    before = dump(mixed.root)
    other = make_result(mixed, "ada", {**answers, "why": "No."}, project="mixed")
    with Writer(mixed, "mixed") as writer:
        assert writer.merge(record) == {"student": "ada", "changed": True, "review": {}, "kept": 3}
        assert dump(mixed.root) == before
        assert writer.merge(other)["review"]["one"] == ["draw", "why"]


def test_a_session_that_ended_is_flagged_until_a_person_looked_or_it_is_mended(folder, make_result):
    def flag() -> int:
        return dump(folder.root)["notebooks"][0][2]

    with Writer(folder, "tiny") as writer:
        dead = make_result(
            folder, "ada", {"double": "exit()"}, not_run=("double-tests",), state="student-error", note="x"
        )
        writer.merge(dead)
        assert flag() == 1
        grades = {row[2]: row[3:] for row in dump(folder.root)["grades"]}
        assert grades["double-tests"] == (0.0, None, None, 0)
        with folder.gradebook() as gradebook:
            gradebook.find_submission_notebook("tiny", "tiny", "ada").flagged = False
            gradebook.db.commit()
        again = make_result(
            folder, "ada", {"double": "exit()"}, not_run=("double-tests",), state="student-error", note="x"
        )
        writer.merge(again)
        assert flag() == 0  # somebody looked
        writer.merge(make_result(folder, "ada", {"double": "exit(1)"}, state="student-error", note="x"))
        assert flag() == 1
        writer.merge(make_result(folder, "ada", {"double": RIGHT}))
        assert flag() == 0


def test_refused_and_failed_leave_the_grade_before(folder, make_result):
    about = {"project": "tiny", "submission": "s", "grader": "g"}
    with Writer(folder, "tiny") as writer:
        writer.merge(make_result(folder, "ada", {"double": RIGHT, "why": "So."}))
        before, standing = dump(folder.root), files(folder.root)
        for outcome in ("refused", "failed"):
            assert writer.merge(without_run(outcome, "why", student="ada", **about) | {"notebooks": {}})["changed"]
            assert (dump(folder.root), files(folder.root)) == (before, standing)
        writer.merge(without_run("refused", "no notebook", student="bob", **about))
        writer.merge(without_run("failed", "no sandbox", student="cleo", **about))
        assert dump(folder.root)["students"] == [("ada",), ("bob",)]  # a line in the export for the refused one
        assert len(dump(folder.root)["submissions"]) == 1
        with pytest.raises(ClassroomError, match="is no result of tiny"):
            writer.merge(without_run("refused", "x", student="dan", **about | {"project": "other"}))
        # Graded by hand before it was refused, and handed in again unchanged: what a person did still stands.
        with folder.gradebook() as gradebook:
            grade = gradebook.find_grade("why", "tiny", "tiny", "ada")
            grade.manual_score, grade.needs_manual_grade = 1.0, False
            gradebook.db.commit()
        report = writer.merge(make_result(folder, "ada", {"double": RIGHT, "why": "So."}))
        assert (report["review"], report["kept"]) == ({}, 1)


def test_what_stands_under_autograded(mixed, make_result):
    place = mixed.path("submitted", "mixed", "ada")
    place.mkdir(parents=True)
    (place / "submission_secret.txt").write_text("s3cret")
    (place / "data").mkdir()
    (place / "data" / "table.csv").write_text("forged")
    page = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>alert(1)</script>fine"}}]
    record = make_result(
        mixed, "ada", {"why": "<img src=x onerror=alert(1)> $a<b$"}, project="mixed", outputs={"f": page}
    )
    with Writer(mixed, "mixed") as writer:
        writer.merge(record)
    target = mixed.path("autograded", "mixed", "ada")
    assert sorted(files(mixed.root)) == [
        f"ada/mixed/{name}"
        for name in ("data/table.csv", "one.ipynb", "submission_secret.txt", "timestamp.txt", "two.ipynb")
    ]
    assert (target / "data" / "table.csv").read_text() == "a,b\n1,2\n"
    assert (target / "timestamp.txt").read_text() == "2026-02-05 10:00:00 UTC\n"
    assert oct((target / "one.ipynb").stat().st_mode)[-3:] == "444"  # as stock: it is nobody's to edit
    notebook = nbformat.read(target / "one.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = {cell.id: cell for cell in notebook.cells}
    assert cells["why"].source == "&lt;img src=x onerror=alert(1)> $a<b$"
    assert cells["intro"].source.startswith("<details>")  # the instructor's
    assert cells["f"].outputs[0].data == {"text/html": "fine"}
    assert cells["f-tests"].metadata.nbgrader.points == 2
    # The hash is of what was handed in, not of what is shown.
    with Writer(mixed, "mixed") as writer:
        assert writer.merge(record)["review"] == {}
    # A file too many from an earlier version is gone.
    with Writer(mixed, "mixed") as writer:
        writer.merge(make_result(mixed, "ada", project="mixed", leave_out=("two.ipynb",)))
    assert "ada/mixed/two.ipynb" not in files(mixed.root)
    assert sorted(path.name for path in target.parent.iterdir()) == ["mixed"]


def write_class(folder: Folder, make_result, count: int) -> None:
    for number in range(count):
        record = make_result(
            folder, f"student-{number:02}", {"why": f"So {number}."}, failed=("double-tests",) * (number % 2)
        )
        write_result(folder.record("result", "tiny", record["student"]), record)


def catch_up_in_a_child(folder: Folder) -> tuple[int, int]:
    """Fork a process that merges what is pending; its id, and a pipe on which a byte comes when it begins."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with Writer(folder, "tiny", lambda text: None) as merging:
                os.write(writer, b"!")
                merging.catch_up()
        finally:
            os._exit(0)
    os.close(writer)
    return child, reader


@pytest.mark.parametrize("kills", [12, pytest.param(60, marks=pytest.mark.full)])
def test_killed_at_random_points_it_ends_in_the_same_state(kills, folder, make_result, tmp_path):
    write_class(folder, make_result, 40)
    calm = Folder(Path(shutil.copytree(folder.root, tmp_path / "calm")))
    with Writer(calm, "tiny") as writer:
        assert len(list(writer.pending())) == len(writer.catch_up()) == 40
        assert writer.catch_up() == []
    seed = random.Random(4)
    hit = 0
    for _ in range(kills):
        child, pipe = catch_up_in_a_child(folder)
        with os.fdopen(pipe, "rb") as said:
            assert said.read(1) == b"!"
            # Long enough now and then to end a submission, short enough never to end the class.
            time.sleep(seed.uniform(0, 0.04))
            os.kill(child, signal.SIGKILL)
            hit += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        dump(folder.root)  # whole at every point
    assert hit >= kills // 2, "it was through before we came"
    with Writer(folder, "tiny") as writer:
        writer.catch_up()
        assert list(writer.pending()) == []
    assert dump(folder.root) == dump(calm.root)
    assert files(folder.root) == files(calm.root)
    assert list((folder.root / "course" / "autograded").glob("*/.*")) == []


def test_what_was_taken_away_is_made_again(folder, make_result):
    write_class(folder, make_result, 3)
    with Writer(folder, "tiny") as writer:
        writer.catch_up()
        before = files(folder.root)
        shutil.rmtree(folder.path("autograded", "tiny", "student-01"))
        path = folder.record("result", "tiny", "student-02")
        path.write_bytes(path.read_bytes())  # copied back from a backup
        assert list(writer.pending()) == ["student-01", "student-02"]
        path.write_text("{")  # and a damaged one: not merged, and graded again by who grades
        folder.record("result", "tiny", "student-00").unlink()
        assert [done["student"] for done in writer.catch_up()] == ["student-01"]
    assert files(folder.root) == before


def test_a_lock_that_somebody_holds_is_waited_for_and_costs_nothing(folder, make_result):
    record = make_result(folder, "ada", {"why": "So."})
    write_result(folder.record("result", "tiny", "ada"), record)
    said: list[str] = []
    place = folder.root / "course" / "gradebook.db"
    holder = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
    too_long = r"another program has held it for too long.*nothing is lost"
    with contextlib.closing(holder):
        with Writer(folder, "tiny", said.append, wait=0.3) as writer:
            for how in ("IMMEDIATE", "EXCLUSIVE"):
                holder.execute(f"BEGIN {how}")
                with pytest.raises(ClassroomError, match=too_long):
                    writer.merge(record)
                with pytest.raises(ClassroomError, match=too_long):
                    Writer(folder, "tiny", said.append, wait=0.3).__enter__()
                holder.execute("ROLLBACK")
            assert "held by another program; waiting for at most 0.3 s" in said[0]
            assert files(folder.root) == {}
            assert list(writer.pending()) == ["ada"]
        with Writer(folder, "tiny", said.append, wait=30) as writer:
            holder.execute("BEGIN EXCLUSIVE")
            later = threading.Timer(1.2, holder.execute, ("ROLLBACK",))
            later.start()
            assert writer.merge(record)["changed"]
            later.join()
    assert len(dump(folder.root)["grades"]) == 2


def test_a_damaged_gradebook_is_one_message_and_can_be_made_anew(tiny, make_result):
    folder = Folder(tiny.root)
    write_class(folder, make_result, 3)
    with Writer(folder, "tiny") as writer:
        writer.catch_up()
    before, place = dump(tiny.root), tiny.root / "course" / "gradebook.db"
    good = place.read_bytes()
    for damage in (b"no database at all" * 100, good[:1000], good[:8192] + b"\xff" * (len(good) - 8192)):
        place.write_bytes(damage)
        with pytest.raises(ClassroomError, match=r"gradebook\.db is damaged .*classroom release"):
            merge_all_anew(folder)
        for reads in (grades, feedback):
            with pytest.raises(ClassroomError, match=r"gradebook\.db is damaged"):
                reads(folder, "tiny", *([print] if reads is feedback else []))
    place.unlink()
    tiny.report("release")
    with Writer(folder, "tiny") as writer:
        assert len(writer.catch_up()) == 3
    assert dump(tiny.root) == before


def merge_all_anew(folder: Folder) -> None:
    with Writer(folder, "tiny") as writer:
        for path in sorted(folder.record("result", "tiny").parent.glob("*.result.json")):
            writer.merge(json.loads(path.read_text()) | {"graded_at": "now"})


NO_ROOM = """\
import json, os, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import read_result, write_result
from classroom.writer import Writer
root = Path(sys.argv[1])
folder, filler = Folder(root), root / "course" / "filler"
source = sorted((root / "kept").glob("*.result.json"))
errors = []
for room in [int(word) for word in sys.argv[2:]]:
    filler.unlink(missing_ok=True)
    free = os.statvfs(root / "course")
    filler.write_bytes(b"0" * max(0, free.f_bavail * free.f_frsize - room * 1024))
    try:
        for path in source:
            write_result(root / "course/results/tiny" / path.name, read_result(path))
        with Writer(folder, "tiny", lambda text: None) as writer:
            writer.catch_up()
    except ClassroomError as error:
        errors.append(str(error))
    halves = [str(path) for path in (root / "course").rglob(".*") if path.name != ".lock" and path.suffix != ".old"]
    if halves:
        sys.exit(f"left behind: {halves}")
filler.unlink()
with Writer(folder, "tiny", lambda text: None) as writer:
    writer.catch_up()
    rest = list(writer.pending())
print(json.dumps({"errors": errors, "pending": rest}))
"""


def in_a_small_world(command: list[str], place: Path, mount: str, keep: Path) -> subprocess.CompletedProcess:
    """Run a command where `place` is on a mount of its own, seen by nobody else; afterwards copy it to `keep`."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    script = textwrap.dedent(f"""\
        set -e
        mkdir "$1.before" && cp -a "$1/." "$1.before/"
        {mount}
        cp -a "$1.before/." "$1/" 2>/dev/null || true
        shift 2
        code=0; "$@" || code=$?
        cp -a "$OLDPLACE/." "$KEEP/"
        exit $code
        """)
    environment = {**os.environ, "OLDPLACE": str(place), "KEEP": str(keep)}
    keep.mkdir(parents=True)
    words = [*unshare, "sh", "-c", script, "sh", str(place), "x", *command]
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)


def test_a_full_disk_leaves_nothing_half_written(folder, make_result, tmp_path):
    write_class(folder, make_result, 12)
    calm = Folder(Path(shutil.copytree(folder.root, tmp_path / "calm")))
    with Writer(calm, "tiny") as writer:
        writer.catch_up()
    (folder.root / "course/results/tiny").rename(folder.root / "kept")
    (folder.root / "course/results/tiny").mkdir()
    shutil.move(folder.root / "kept/release.json", folder.root / "course/results/tiny")
    rooms = [str(number) for number in (0, 4, 12, 24, 40, 60, 84, 112, 140, 170)]
    command = [sys.executable, "-c", NO_ROOM, str(folder.root), *rooms]
    done = in_a_small_world(
        command, folder.root / "course", 'mount -t tmpfs -o size=3m none "$1"', tmp_path / "seen" / "course"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert len(report["errors"]) >= 5
    assert all("no space left" in error or "full" in error for error in report["errors"]), report["errors"]
    assert len({error.split(":")[0] for error in report["errors"]}) > 1, "only one place was tried"
    seen = dump(tmp_path / "seen")
    merged = {row[0] for row in seen["submissions"]}
    whole = dump(calm.root)
    assert seen["grades"] == [row for row in whole["grades"] if row[0] in merged]
    assert report["pending"] == []


CATCH_UP = """\
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from classroom.folder import Folder
from classroom.writer import Writer
with Writer(Folder(Path(sys.argv[1])), "tiny", lambda text: None) as writer:
    print("ready", flush=True)
    print(len(writer.catch_up()), flush=True)
"""


def test_a_read_only_course_folder_is_one_message(folder, make_result, tmp_path):
    write_class(folder, make_result, 1)
    command = [sys.executable, "-c", CATCH_UP, str(folder.root)]
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    done = in_a_small_world(command, folder.root / "course", mount, tmp_path / "seen")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "ClassroomError" in last
    assert "readonly database" in last or "read-only" in last
    assert files(folder.root) == {}
