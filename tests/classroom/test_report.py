"""The table that `status` and `demo` print; feedback, who is told of a refusal, and what goes through the exchange."""

import json

import pytest
from nbgrader.utils import notebook_hash

from classroom.errors import ClassroomError
from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.handout import REASONS
from classroom.report import MOST_NAMED_PARTS, table
from classroom.results import without_run, write_result
from classroom.writer import Writer


def record(parts: int, waiting: int = 0) -> dict:
    points = {f"part-{letter}-tests": 2.0 for letter in "abcdefghijklmnop"[:parts]}
    points |= {name: None for name in list(points)[:waiting]}
    return {
        "student": "ada", "outcome": "graded", "parts": points, "total": 2.0 * (parts - waiting),
        "max": 2.0 * parts, "note": "",
    }  # fmt: skip


def test_few_parts_stand_under_their_names():
    head, line = table([record(MOST_NAMED_PARTS, waiting=1)])
    assert head.split() == [
        "student",
        "outcome",
        *(f"part-{letter}-tests" for letter in "abcdef"),
        "total",
        "of",
        "note",
    ]
    assert line.split() == ["ada", "graded", "waits", *["2"] * 5, "10", "12"]


def test_many_parts_stand_under_numbers_that_a_legend_explains():
    head, line, *legend = table([record(14, waiting=1)])
    assert head.split() == ["student", "outcome", *map(str, range(1, 15)), "total", "of", "note"]
    assert line.split() == ["ada", "graded", "waits", *["2"] * 13, "26", "28"]
    assert " ".join(" ".join(legend).split()).startswith("parts: 1 part-a-tests, 2 part-b-tests,")
    assert "14 part-n-tests" in legend[-1]
    assert all(line.endswith("-tests,") for line in legend[:-1]), "no number without its name"
    assert max(map(len, [head, line, *legend])) <= 110


@pytest.fixture
def folder(tiny) -> Folder:
    return Folder(tiny.root)


def hand_in_and_grade(folder: Folder, record: dict, secret: str | None) -> None:
    """As if the student had submitted through the exchange, and the engine had graded it."""
    place = folder.path("submitted", "tiny", record["student"])
    place.mkdir(parents=True, exist_ok=True)
    (place / "tiny.ipynb").write_text("{}")
    if secret is not None:
        (place / "submission_secret.txt").write_text(secret)
    write_result(folder.record("result", "tiny", record["student"]), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)


def refused(student: str, reason: str) -> dict:
    return without_run("refused", reason, student=student, project="tiny", submission="2", grader="g")


def test_feedback_is_made_once_and_again_when_something_changed(folder, make_result):
    said: list[str] = []
    hand_in_and_grade(folder, make_result(folder, "ada", {"why": "<script>alert(1)</script> $a<b$"}), None)
    assert feedback(folder, "tiny", said.append)["made"] == ["ada"]
    page = folder.path("feedback", "tiny", "ada") / "tiny.html"
    text = page.read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "$a&lt;b$" in text
    assert "double(-1)" not in text  # of a hidden test
    assert feedback(folder, "tiny", said.append)["unchanged"] == ["ada"]
    with folder.gradebook() as gradebook:
        gradebook.find_comment("why", "tiny", "tiny", "ada").manual_comment = "well said"
        gradebook.db.commit()
    assert feedback(folder, "tiny", said.append)["made"] == ["ada"]
    assert "well said" in page.read_text()
    page.unlink()
    assert feedback(folder, "tiny", said.append)["made"] == ["ada"]


def test_who_was_refused_is_told_why(folder, make_result):
    hand_in_and_grade(folder, make_result(folder, "ada", {"why": "So."}), None)
    hand_in_and_grade(folder, refused("ada", "tiny.ipynb: 60 MB, <b>at most 50</b>"), None)
    hand_in_and_grade(folder, refused("bob", "no tiny.ipynb"), None)
    log = folder.home / "intake" / "tiny.jsonl"
    log.parent.mkdir()
    base = {"origin": "x", "attempt": None, "time": None, "when": "2026-02-05 10:00:00 UTC"}
    lines = [
        {"student": "cleo", "file": "", "reason": "a link, not a file"},
        {"student": "../x", "file": "", "reason": "y"},
        {"student": "header.ipynb", "file": "", "reason": "not a student's folder", "stray": True},
    ]
    log.write_text("".join(json.dumps(base | line) + "\n" for line in lines))
    report = feedback(folder, "tiny", lambda text: None)
    assert report["told"] == ["ada", "bob", "cleo"]
    pages = {name: (folder.path("feedback", "tiny", name) / REASONS).read_text() for name in report["told"]}
    assert "&lt;b&gt;at most 50" in pages["ada"]
    assert "What was taken before, or besides, is graded and counts." in pages["ada"]
    assert "no tiny.ipynb" in pages["bob"]
    assert "Nothing is graded so far." in pages["bob"]
    assert "a link, not a file" in pages["cleo"]
    assert not (folder.home / "x").exists()
    assert not folder.path("feedback", "tiny", "header.ipynb").exists()
    # Handed in again and taken: the page goes.
    hand_in_and_grade(folder, make_result(folder, "bob", {"why": "So."}), None)
    assert feedback(folder, "tiny", lambda text: None)["told"] == ["ada", "cleo"]
    assert sorted(path.name for path in folder.path("feedback", "tiny", "bob").glob("*.html")) == ["tiny.html"]


def test_only_our_pages_go_through_the_exchange(tiny, make_result, tmp_path):
    root = tmp_path / "exchange"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    with open(tiny.root / "nbgrader_config.py", "a") as config:
        config.write(f"\nc.Exchange.root = {str(root)!r}\n")
    folder = Folder(tiny.root)
    hand_in_and_grade(folder, make_result(folder, "ada", {"why": "So."}), "a" * 128)
    hand_in_and_grade(folder, make_result(folder, "bob", {"why": "So."}), None)
    hand_in_and_grade(folder, refused("cleo", "no tiny.ipynb, but answer.ipynb"), "c" * 128)
    (folder.path("submitted", "tiny", "cleo") / "tiny.ipynb").rename(
        folder.path("submitted", "tiny", "cleo") / "answer.ipynb"
    )
    feedback(folder, "tiny", lambda text: None)
    place = folder.path("feedback", "tiny", "ada")
    (place / "planted.html").write_text("<script>")
    (place / "linked.html").symlink_to("/etc/passwd")
    said: list[str] = []
    report = feedback(folder, "tiny", said.append, release=True)
    assert (report["released"], report["elsewhere"]) == (["ada", "cleo"], ["bob"])
    assert any("not handed in through the exchange" in line and "bob" in line for line in said)
    outbound = root / "test-course" / "feedback"
    hashes = [notebook_hash(secret="a" * 128, notebook_id="tiny")]
    hashes += [notebook_hash(secret="c" * 128, notebook_id=name) for name in ("tiny", "answer")]
    assert sorted(path.name for path in outbound.iterdir()) == sorted(f"{name}.html" for name in hashes)
    assert (outbound / f"{hashes[0]}.html").read_bytes() == (place / "tiny.html").read_bytes()
    assert "answer.ipynb" in (outbound / f"{hashes[2]}.html").read_text()
    root.rename(tmp_path / "gone")
    with pytest.raises(ClassroomError, match=r"cannot be handed out: no exchange: .* is missing; give the pages in"):
        feedback(folder, "tiny", said.append, release=True)
