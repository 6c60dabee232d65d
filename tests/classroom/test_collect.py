"""Collecting: what is taken, what is refused and why, and that nothing replaces what should stand."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def inbox(tiny, tmp_path) -> Path:
    return tmp_path / "inbox"


def put(inbox: Path, student: str, tiny, when: str | None = "2026-02-05 10:00:00 UTC", extra: bytes = b"") -> Path:
    place = inbox / student
    place.mkdir(parents=True, exist_ok=True)
    (place / "tiny.ipynb").write_bytes((tiny.root / "assignments/tiny/tiny.ipynb").read_bytes() + extra)
    if when is not None:
        (place / "timestamp.txt").write_text(when)
    return place


def refusals(report: dict) -> dict[tuple[str, str], str]:
    return {(r["student"], r["file"]): r["reason"] for r in report["refused"]}


def test_what_is_taken_and_what_is_refused(tiny, inbox):
    put(inbox, "good", tiny)
    put(inbox, "no-time", tiny, when=None)
    put(inbox, "bad-time", tiny, when="yesterday evening")
    put(inbox, "bad name", tiny)
    (put(inbox, "extra", tiny) / "notes.txt").write_text("mine")
    linked = put(inbox, "linked", tiny)
    (linked / "tiny.ipynb").unlink()
    (linked / "tiny.ipynb").symlink_to(tiny.root / "solutions/tiny/tiny.ipynb")
    os.mkfifo(put(inbox, "pipe", tiny) / "pipe")
    piped = put(inbox, "piped", tiny)
    (piped / "tiny.ipynb").unlink()
    os.mkfifo(piped / "tiny.ipynb")  # a reader without care would wait here for ever
    (put(inbox, "folder-link", tiny) / "all").symlink_to(tiny.root)
    (put(inbox, "renamed", tiny) / "tiny.ipynb").rename(inbox / "renamed" / "tinny.ipynb")
    (inbox / "shortcut").symlink_to(inbox / "good")
    (inbox / "list.csv").write_text("a,b")

    report = tiny.report("collect", "tiny", "--from", str(inbox))
    assert report["collected"] == ["extra", "folder-link", "good", "no-time", "pipe"]
    assert refusals(report) == {
        ("bad name", ""): "not a student's name: letters, digits and . _ @ - are possible",
        ("bad-time", ""): "timestamp.txt: expected a time such as 2026-02-06 21:14:00 UTC, got 'yesterday evening'",
        ("extra", "notes.txt"): "not part of the project; there is tiny.ipynb",
        ("folder-link", "all"): "not part of the project; there is tiny.ipynb",
        ("linked", "tiny.ipynb"): "a link, not a file",
        ("linked", ""): "nothing taken: no tiny.ipynb",
        ("list.csv", ""): "not a student's folder",
        ("pipe", "pipe"): "not part of the project; there is tiny.ipynb",
        ("piped", "tiny.ipynb"): "not a regular file",
        ("piped", ""): "nothing taken: no tiny.ipynb",
        ("renamed", "tinny.ipynb"): "not part of the project; did you mean tiny.ipynb?",
        ("renamed", ""): "nothing taken: no tiny.ipynb",
        ("shortcut", ""): "not a student's folder",
    }
    submitted = tiny.root / "course/submitted"
    assert sorted(path.name for path in submitted.iterdir() if any(path.iterdir())) == report["collected"]
    assert sorted(path.name for path in (submitted / "extra/tiny").iterdir()) == ["timestamp.txt", "tiny.ipynb"]

    again = tiny.report("collect", "tiny", "--from", str(inbox))
    assert again["collected"] == []
    assert again["unchanged"] == report["collected"]


def test_neither_an_older_nor_a_late_submission_replaces_one_on_time(tiny, inbox):
    def standing() -> str:
        return (tiny.root / "course/submitted/somebody/tiny/timestamp.txt").read_text()

    put(inbox, "somebody", tiny, when="2026-02-05 10:00:00 UTC")
    assert tiny.report("collect", "tiny", "--from", str(inbox))["collected"] == ["somebody"]

    put(inbox, "somebody", tiny, when="2026-02-04 10:00:00 UTC", extra=b"\n")
    reason = refusals(tiny.report("collect", "tiny", "--from", str(inbox)))["somebody", ""]
    assert reason == ("of 2026-02-04 10:00:00 UTC, older than the submission of 2026-02-05 10:00:00 UTC that stands")
    put(inbox, "somebody", tiny, when="2026-02-07 10:00:00 UTC", extra=b"\n")
    reason = refusals(tiny.report("collect", "tiny", "--from", str(inbox)))["somebody", ""]
    assert reason.startswith(
        "of 2026-02-07 10:00:00 UTC, after the due date; the submission of 2026-02-05 10:00:00 UTC"
    )
    assert standing() == "2026-02-05 10:00:00 UTC"

    put(inbox, "somebody", tiny, when="2026-02-06 10:00:00 UTC", extra=b"\n")
    assert tiny.report("collect", "tiny", "--from", str(inbox))["collected"] == ["somebody"]
    assert standing() == "2026-02-06 10:00:00 UTC"
