"""A person leaves and nobody else is touched, also where one name begins another.

In order: everything of one of two, with a dry run before; twice; after an interruption; a name that is none; after the
days of course.yml.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from nbgrader.utils import notebook_hash

from classroom import forget as module
from classroom.errors import ClassroomError
from classroom.export import Choice, export
from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.forget import everybody, forget, forget_expired
from classroom.results import write_record, write_result
from classroom.writer import Writer

STUDENTS = ("ada", "ada.result", "ada-b", "bob")


@pytest.fixture
def folder(tiny, make_result, tmp_path) -> Folder:
    """A class in which everything is there of everybody."""
    exchange = tmp_path / "exchange"
    with open(tiny.root / "nbgrader_config.py", "a") as config:
        config.write(f"\nc.Exchange.root = {str(exchange)!r}\n")
    text = (tiny.root / "course.yml").read_text()
    (tiny.root / "course.yml").write_text(text + "retention: {days: 30}\nextensions: {tiny: {ada: 2026-02-10}}\n")
    folder = Folder(tiny.root)
    for student in STUDENTS:
        record = make_result(folder, student, {"why": f"I am {student}."})
        write_result(folder.record("result", "tiny", student), record)
        for place in (folder.path("submitted", "tiny", student), folder.home / "attempts" / "tiny" / student / "1"):
            place.mkdir(parents=True)
            (place / "tiny.ipynb").write_text(f"{student}'s")
            (place / "submission_secret.txt").write_text(secret_of(student))
        log = folder.home / "logs" / "tiny" / f"{student}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{student}\n")
        inbound = exchange / "test-course" / "inbound" / f"{student}+tiny+2026-02-05 10:00:00 UTC+x"
        inbound.mkdir(parents=True)
        (inbound / "tiny.ipynb").write_text(f"{student}'s")
        page = (
            exchange
            / "test-course"
            / "feedback"
            / f"{notebook_hash(secret=secret_of(student), notebook_id='tiny')}.html"
        )
        page.parent.mkdir(exist_ok=True)
        page.write_text(student)
    with Writer(folder, "tiny") as writer:
        writer.catch_up()
    (folder.home / "intake").mkdir()
    refusal = {"origin": "x", "file": "a.txt", "reason": "y", "attempt": None, "time": None, "when": "2026"}
    lines = "".join(json.dumps({"student": student, **refusal}) + "\n" for student in STUDENTS)
    (folder.home / "intake" / "tiny.jsonl").write_text(lines)
    logged = [{"command": "regrade", "student": student} for student in STUDENTS]
    logged.append({"command": "amend", "students": ["ada", "bob"]})
    (folder.home / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in logged))
    write_record(folder.record("amend", "tiny"), {"before": {student: {"why": 1} for student in STUDENTS}})
    feedback(folder, "tiny", lambda text: None)
    export(folder, lambda text: None)
    folder.exchange = exchange
    return folder


def secret_of(student: str) -> str:
    return hashlib.sha512(student.encode()).hexdigest()


def everything(folder: Folder) -> dict[str, bytes]:
    """All files of the class and the exchange but the gradebook."""
    tops = (folder.home, folder.exchange)
    paths = [path for top in tops for path in top.rglob("*") if path.is_file() and "gradebook" not in path.name]
    return {str(path): path.read_bytes() for path in paths if path.name != ".lock"}


def rows_of(folder: Folder, student: str) -> list[list]:
    with closing(sqlite3.connect(folder.home / "gradebook.db")) as db:
        whose = "(select id from submitted_assignment where student_id = ?)"
        notebooks = f"(select id from submitted_notebook where assignment_id in {whose})"
        queries = [f"select * from {table} where notebook_id in {notebooks}" for table in ("grade", "comment")]
        queries += ["select * from submitted_assignment where student_id = ?", "select * from student where id = ?"]
        queries += ["select * from classroom_merged where student = ?"]
        return [sorted(db.execute(query, [student]).fetchall()) for query in queries]


def test_everything_of_one_and_nothing_of_the_others(folder):
    before = everything(folder)
    others = {student: rows_of(folder, student) for student in STUDENTS[1:]}
    said: list[str] = []
    report = forget(folder, "ada", said.append, dry_run=True)
    assert everything(folder) == before
    assert all(rows_of(folder, "ada"))
    assert report["submissions"] == 1
    assert all(line.startswith("would remove") for line in said[:-1])

    assert forget(folder, "ada", said.append) == report | {"dry_run": False}
    assert rows_of(folder, "ada") == [[], [], [], [], []]
    assert {student: rows_of(folder, student) for student in STUDENTS[1:]} == others
    after = everything(folder)
    shared = {"grades.csv", "log.jsonl", "tiny.jsonl", "amend.json"}
    gone = before.keys() - after.keys()
    assert len(gone) == len(before.keys()) - len(after.keys())
    theirs = [Path(path) for path in gone]
    assert {path.name for path in theirs} >= {"ada.result.json", "ada.feedback.json", "ada.log", "tiny.html"}
    # Submitted and attempts, autograded, feedback with reasons, result files, log, the exchange both ways.
    assert len(theirs) == 2 + 2 + 3 + 4 + 2 + 1 + 2, sorted(gone)
    changed = {Path(path).name for path in after if after[path] != before[path]}
    assert changed == shared
    for path, content in after.items():
        for line in content.decode("utf-8", "replace").splitlines():
            words = line.replace('"', " ").replace(",", " ").replace("'", " ").split()
            assert "ada" not in words, (path, line[:200])
    for name in shared:
        text = next(content for path, content in after.items() if path.endswith(f"/{name}")).decode()
        assert all(student in text for student in STUDENTS[1:]), name
    assert any("still stands under extensions in course.yml" in line for line in said)
    assert everybody(folder, None) == set(STUDENTS[1:])

    again: list[str] = []
    assert forget(folder, "ada", again.append)["removed"] == []
    assert again[0] == "ada: nothing is known of them here; did you mean ada-b?"
    assert everything(folder) == after
    with Writer(folder, "tiny") as writer:
        assert list(writer.pending()) == []


def test_interrupted_and_started_again(folder, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_remove_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            forget(folder, "bob", lambda text: None)
    assert forget(folder, "bob", lambda text: None)["submissions"] == 1
    assert rows_of(folder, "bob") == [[], [], [], [], []]


def test_a_name_that_is_none(folder):
    before = everything(folder)
    for name in ("", ".", "..", "../submitted", "/", ".lock"):
        with pytest.raises(ClassroomError, match="is no student's name"):
            forget(folder, name, print)
    said: list[str] = []
    assert forget(folder, "bobb", said.append)["removed"] == []
    assert said == ["bobb: nothing is known of them here; did you mean bob?"]
    for name in ("*", "ada*", "[a]da", "????", "%"):
        assert forget(folder, name, lambda text: None)["removed"] == []
    assert everything(folder) == before
    assert all(all(rows_of(folder, student)) for student in STUDENTS)


def test_everybody_once_the_days_of_course_yml_have_passed(folder):
    with pytest.raises(ClassroomError, match="kept until 2026-03-12"):
        forget_expired(folder, print, now=datetime(2026, 3, 1))
    report = forget_expired(folder, lambda text: None, dry_run=True, now=datetime(2026, 3, 13))
    assert [one["student"] for one in report["students"]] == sorted(STUDENTS)
    assert len(everybody(folder, None)) == 4
    forget_expired(folder, lambda text: None, now=datetime(2026, 3, 13))
    assert everybody(folder, None) == set()
    assert [path.name for path in folder.path("submitted", ".", ".").iterdir()] == []
    assert (folder.home / "grades.csv").read_text().count("\n") == 1
    folder.root.joinpath("course.yml").write_text(
        folder.root.joinpath("course.yml").read_text().replace("retention: {days: 30}\n", "")
    )
    with pytest.raises(ClassroomError, match="does not say how long"):
        forget_expired(Folder(folder.root), print)


def test_what_went_to_a_learning_platform_goes_with_the_first(folder):
    """It names everybody, in columns of other programs; the next export makes it anew."""
    report = export(folder, lambda text: None, to="moodle", choice=Choice(incomplete=True))
    page = folder.home / "similarity-tiny.html"
    page.write_text("what ada wrote")
    assert forget(folder, "nobody", lambda text: None)["removed"] == []
    assert "exports/moodle.csv" in "".join(forget(folder, "ada", lambda text: None)["removed"])
    assert not (folder.home / "exports" / "moodle.csv").exists()
    assert not page.exists()
    again = export(folder, lambda text: None, to="moodle", choice=Choice(incomplete=True))
    assert again["lines"] == report["lines"] - 1
