"""A class whose grades are known: ada 4 of 4, bob late, cleo's written part waits, dora handed nothing in."""

import nbformat
import pytest

from classroom.folder import Folder
from classroom.results import write_result
from classroom.writer import Writer

PEOPLE = {
    "ada": {"last_name": "Lovelace", "first_name": "Ada", "email": "ada@example.org", "lms_user_id": "101"},
    "bob": {"last_name": "Núñez", "first_name": "Bob", "email": "bob@example.org", "lms_user_id": "102"},
    "cleo": {"last_name": "Ó Néill", "first_name": "Cleo", "email": "cleo@example.org", "lms_user_id": "103"},
    "dora": {"last_name": "Doe", "first_name": "Dora", "email": "dora@example.org", "lms_user_id": "104"},
}
TOTALS = {"ada": 4.0, "bob": 3.15}  # bob: 3.5, a day late: 10 % off


def hand_in(folder: Folder, record: dict) -> None:
    """As if the student had submitted, and the engine had graded it."""
    place = folder.path("submitted", "tiny", record["student"])
    place.mkdir(parents=True, exist_ok=True)
    (place / "tiny.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook()))
    write_result(folder.record("result", "tiny", record["student"]), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)


def by_hand(folder: Folder, student: str, score: float) -> None:
    with folder.gradebook() as gradebook:
        grade = gradebook.find_grade("why", "tiny", "tiny", student)
        grade.manual_score, grade.needs_manual_grade = score, False
        gradebook.db.commit()


@pytest.fixture
def folder(tiny, make_result) -> Folder:
    folder = Folder(tiny.root)
    with folder.gradebook() as gradebook:
        for student, fields in PEOPLE.items():
            gradebook.update_or_create_student(student, **fields)
    hand_in(folder, make_result(folder, "ada", {"why": "So."}))
    hand_in(folder, make_result(folder, "bob", {"why": "Hm."}, when="2026-02-07 10:00:00 UTC"))
    hand_in(folder, make_result(folder, "cleo", {"why": "Eh."}))
    by_hand(folder, "ada", 1.0)
    by_hand(folder, "bob", 0.5)
    return folder
