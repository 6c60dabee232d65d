"""Collecting: what is taken and refused, which of several attempts counts, and that nothing is lost or done twice."""

import itertools
import json
import os
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.intake import Attempt, attempts, choose, collect, refusals


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


def refused(report: dict) -> dict[tuple[str, str], str]:
    return {(r["student"], r["file"]): r["reason"] for r in report["refused"]}


def standing(tiny, student: str = "somebody") -> str:
    return (tiny.root / "course/submitted" / student / "tiny/timestamp.txt").read_text()


def snapshot(place: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in place.rglob("*") if p.is_file() and p.name != ".lock"
    }


@pytest.fixture
def folder(tiny, monkeypatch) -> Folder:
    """The tiny course for calls of functions; nbgrader's own warnings apart, as in `CourseFolder.run`."""
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    for name, value in tiny.environment().items():
        monkeypatch.setenv(name, value)
    return Folder(tiny.root)


@pytest.fixture
def said() -> list[str]:
    return []


def test_what_is_taken_and_what_is_refused(tiny, inbox, folder):
    put(inbox, "good", tiny)
    put(inbox, "no-time", tiny, when=None)
    put(inbox, "bad-time", tiny, when="yesterday evening")
    put(inbox, "bad name", tiny)
    (put(inbox, "extra", tiny) / "notes.txt").write_text("mine")
    (put(inbox, "broken", tiny) / "tiny.ipynb").write_text('{"cells": [{"cell_type": "co')
    linked = put(inbox, "linked", tiny)
    (linked / "tiny.ipynb").unlink()
    (linked / "tiny.ipynb").symlink_to(tiny.root / "solutions/tiny/tiny.ipynb")
    os.mkfifo(put(inbox, "pipe", tiny) / "pipe")
    piped = put(inbox, "piped", tiny)
    (piped / "tiny.ipynb").unlink()
    os.mkfifo(piped / "tiny.ipynb")  # a reader without care would wait here for ever
    (put(inbox, "folder-link", tiny) / "all").symlink_to(tiny.root)
    (put(inbox, "renamed", tiny) / "tiny.ipynb").rename(inbox / "renamed" / "mine.ipynb")
    two = put(inbox, "two", tiny)
    (two / "tiny.ipynb").rename(two / "a.ipynb")
    shutil.copy(two / "a.ipynb", two / "b.ipynb")
    (put(inbox, "clutter", tiny) / ".ipynb_checkpoints").mkdir()
    (inbox / "clutter/.ipynb_checkpoints/tiny-checkpoint.ipynb").write_text("?")
    (inbox / "shortcut").symlink_to(inbox / "good")
    (inbox / "list.csv").write_text("a,b")

    report = tiny.report("collect", "tiny", "--from", str(inbox))
    assert report["collected"] == ["clutter", "extra", "folder-link", "good", "no-time", "pipe", "renamed"]
    assert refused(report) == {
        ("bad name", ""): "not a student's name: letters, digits and . _ @ + - are possible",
        ("bad-time", ""): "timestamp.txt: expected a time such as 2026-02-06 21:14:00 UTC, got 'yesterday evening'",
        ("broken", ""): "tiny.ipynb is damaged: it ends in the middle",
        ("extra", "notes.txt"): "not part of the project; there is tiny.ipynb",
        ("folder-link", "all"): "not part of the project; there is tiny.ipynb",
        ("linked", "tiny.ipynb"): "a link, not a file",
        ("linked", ""): "nothing taken: no tiny.ipynb, tiny.ipynb is a link, not a file",
        ("list.csv", ""): "not a student's folder",
        ("pipe", "pipe"): "not part of the project; there is tiny.ipynb",
        ("piped", "tiny.ipynb"): "not a regular file",
        ("piped", ""): "nothing taken: no tiny.ipynb, tiny.ipynb is not a regular file",
        ("shortcut", ""): "not a student's folder",
        ("two", "a.ipynb"): "not part of the project; did you mean tiny.ipynb?",
        ("two", "b.ipynb"): "not part of the project; did you mean tiny.ipynb?",
        ("two", ""): "nothing taken: no tiny.ipynb, but a.ipynb, b.ipynb",
    }
    assert {(note["student"], note["note"]) for note in report["notes"]} == {
        ("no-time", "no timestamp.txt: counts as on time"),
        ("renamed", "mine.ipynb was taken as tiny.ipynb"),
    }
    submitted = tiny.root / "course/submitted"
    assert sorted(path.name for path in submitted.iterdir()) == report["collected"]
    assert sorted(path.name for path in (submitted / "extra/tiny").iterdir()) == ["timestamp.txt", "tiny.ipynb"]

    # The same again changes nothing, not even a file's time.
    before = snapshot(tiny.root / "course")
    again = tiny.report("collect", "tiny", "--from", str(inbox))
    assert (again["collected"], again["unchanged"]) == ([], report["collected"])
    assert refused(again) == refused(report)
    assert snapshot(tiny.root / "course") == before

    # What a student is to hear; and the log is for the instructor alone.
    log = tiny.root / "course/intake/tiny.jsonl"
    assert log.stat().st_mode & 0o777 == 0o600
    assert len(log.read_text().splitlines()) == len(report["refused"])
    heard = [(record["file"], record["reason"]) for record in refusals(folder, "tiny", "extra")]
    assert heard == [("notes.txt", "not part of the project; there is tiny.ipynb")]
    assert {record["student"] for record in refusals(folder, "tiny")} == {student for student, _ in refused(report)}


# Which attempt counts.

DUE = datetime(2026, 2, 6, 23, 59)


def attempt(name: str, hours: float | None, number: int = 0, **changes) -> Attempt:
    return Attempt(name, None if hours is None else DUE + timedelta(hours=hours), number=number, **changes)


@pytest.mark.parametrize(
    ("attempts", "options", "counts"),
    [
        ([], {}, None),
        ([attempt("a", -5)], {}, "a"),
        ([attempt("a", 5)], {}, "a"),  # a late one alone
        ([attempt("a", -5), attempt("b", -1)], {}, "b"),
        ([attempt("a", -5), attempt("b", 1)], {}, "a"),
        ([attempt("a", -5), attempt("b", 0.2)], {"grace": timedelta(minutes=15)}, "b"),
        ([attempt("a", -5), attempt("b", 0.3)], {"grace": timedelta(minutes=15)}, "a"),
        ([attempt("a", 1), attempt("b", 2)], {}, "b"),  # both late: the last
        ([attempt("a", -5), attempt("b", 1)], {"due": None}, "b"),  # no date
        ([attempt("a", -5), attempt("b", 1)], {"due": DUE + timedelta(days=2)}, "b"),  # an extension
        ([attempt("a", -5), attempt("b", 1), attempt("c", 2)], {"taken": "b"}, "b"),
        ([attempt("a", -5), attempt("b", 1)], {"taken": "gone"}, "a"),
        ([attempt("a", -5), attempt("b", -3), attempt("c", -1)], {"most": 2}, "b"),
        ([attempt("a", -5), attempt("b", -3), attempt("c", -1)], {"most": 2, "taken": "c"}, "c"),
    ],
)
def test_the_last_before_the_deadline_counts(attempts, options, counts):
    """In whatever order they were collected."""
    due = options.pop("due", DUE)
    for order in itertools.permutations(attempts):
        numbered = [Attempt(**{**one.__dict__, "number": n}) for n, one in enumerate(order)]
        chosen, reasons = choose(numbered, due, **options)
        assert (chosen and chosen.name) == counts
        assert reasons.keys() == {one.name for one in attempts} - {counts}


def test_attempts_without_a_time():
    """They count as on time, and replace what was collected before."""
    dated, undated = attempt("dated", -1, 1), attempt("undated", None, 2)
    assert choose([dated, undated], DUE)[0].name == "undated"
    assert choose([undated, attempt("dated", -1, 3)], DUE)[0].name == "dated"
    assert choose([undated, attempt("dated", 1, 3)], DUE)[0].name == "undated"  # a late one does not
    said_late = attempt("canvas", None, 3, late=True)
    assert choose([undated, said_late], DUE)[0].name == "undated"
    assert choose([said_late], DUE)[0].name == "canvas"


def test_neither_an_older_nor_a_late_submission_replaces_one_on_time(tiny, inbox):
    def hand_in(when: str, extra: bytes) -> dict:
        put(inbox, "somebody", tiny, when=when, extra=extra)
        return tiny.report("collect", "tiny", "--from", str(inbox))

    assert hand_in("2026-02-05 10:00:00 UTC", b"")["collected"] == ["somebody"]
    report = hand_in("2026-02-04 10:00:00 UTC", b"\n")
    assert report["unchanged"] == ["somebody"]
    assert [aside["reason"] for aside in report["set_aside"]] == [
        "of 2026-02-04 10:00:00 UTC, older than the submission of 2026-02-05 10:00:00 UTC that stands"
    ]
    on_time = "the submission of 2026-02-05 10:00:00 UTC was on time and stands"
    late = f"of 2026-02-07 10:00:00 UTC, after the due date; {on_time}"
    for _ in range(2):  # listed each time, until somebody decides
        report = hand_in("2026-02-07 10:00:00 UTC", b"\n\n")
        assert [aside["reason"] for aside in report["set_aside"]] == [late]
    assert standing(tiny) == "2026-02-05 10:00:00 UTC"
    assert hand_in("2026-02-06 10:00:00 UTC", b"\n\n\n")["collected"] == ["somebody"]
    assert standing(tiny) == "2026-02-06 10:00:00 UTC"
    kept = sorted(path.name for path in (tiny.root / "course/attempts/tiny/somebody").iterdir())
    assert kept == ["2026-02-04T10-00-00Z", "2026-02-05T10-00-00Z", "2026-02-06T10-00-00Z", "2026-02-07T10-00-00Z"]


@pytest.mark.filterwarnings("ignore")
def test_a_late_one_can_be_taken_and_an_extension_takes_it_by_itself(tiny, inbox, folder, said):
    for student in ("taken", "extended", "on-time"):
        put(inbox, student, tiny)
    collect(folder, "tiny", inbox, said.append)
    for student in ("taken", "extended"):
        put(inbox, student, tiny, when="2026-02-07 10:00:00 UTC", extra=b"\n")
    report = collect(folder, "tiny", inbox, said.append)
    assert [aside["student"] for aside in report["set_aside"]] == ["extended", "taken"]
    assert "to take it: --take-late taken" in "\n".join(said)
    with pytest.raises(ClassroomError, match="--take-late on-time: nothing of tiny was late"):
        collect(folder, "tiny", inbox, said.append, take_late=["on-time"])

    report = collect(folder, "tiny", inbox, said.append, take_late=["taken"])
    assert report["collected"] == ["taken"]
    record = json.loads((tiny.root / "course/attempts/tiny/taken/taken.json").read_text())
    assert record["attempt"] == "2026-02-07T10-00-00Z"
    assert record["by"]
    assert collect(folder, "tiny", inbox, said.append)["collected"] == []  # it stays
    assert standing(tiny, "taken") == "2026-02-07 10:00:00 UTC"

    course = tiny.root / "course.yml"
    course.write_text(course.read_text() + "extensions:\n  tiny:\n    extended: 2026-02-08 12:00\n")
    report = collect(Folder(tiny.root), "tiny", inbox, said.append)
    assert (report["collected"], report["set_aside"]) == (["extended"], [])
    assert standing(tiny, "extended") == "2026-02-07 10:00:00 UTC"


@pytest.mark.filterwarnings("ignore")
def test_the_number_of_attempts_may_be_limited(tiny, inbox, said):
    course = tiny.root / "course.yml"
    course.write_text(course.read_text() + "attempts: {max: 2}\n")
    for day in (1, 2, 3):
        put(inbox, "somebody", tiny, when=f"2026-02-0{day} 10:00:00 UTC", extra=b"\n" * day)
        report = collect(Folder(tiny.root), "tiny", inbox, said.append)
    assert report["set_aside"][0]["reason"] == "of 2026-02-03 10:00:00 UTC, number 3; 2 attempts are possible"
    assert standing(tiny) == "2026-02-02 10:00:00 UTC"


def test_what_stood_there_before_is_kept_as_an_attempt(tiny, inbox):
    tiny.hand_in("somebody", "tiny", "by hand", when="2026-02-04 10:00:00 UTC")
    put(inbox, "somebody", tiny)
    assert tiny.report("collect", "tiny", "--from", str(inbox))["collected"] == ["somebody"]
    kept = tiny.root / "course/attempts/tiny/somebody/2026-02-04T10-00-00Z/tiny.ipynb"
    assert "by hand" in kept.read_text()
    # An instructor who mends a file under submitted/ is not undone.
    mended = tiny.hand_in("somebody", "tiny", "mended", when="2026-02-05 10:00:00 UTC")
    tiny.report("collect", "tiny", "--from", str(inbox))
    assert "mended" in mended.read_text()


@pytest.mark.filterwarnings("ignore")
def test_a_refused_one_does_not_replace_what_stands_and_the_student_hears_of_it(tiny, inbox, folder, said):
    put(inbox, "somebody", tiny)
    collect(folder, "tiny", inbox, said.append)
    assert refusals(folder, "tiny", "somebody") == []
    (put(inbox, "somebody", tiny, when="2026-02-06 10:00:00 UTC") / "tiny.ipynb").write_text("<html>")
    collect(folder, "tiny", inbox, said.append)
    assert standing(tiny) == "2026-02-05 10:00:00 UTC"
    assert [record["reason"] for record in refusals(folder, "tiny", "somebody")] == [
        "tiny.ipynb is a web page, not a notebook"
    ]
    put(inbox, "somebody", tiny, when="2026-02-06 11:00:00 UTC")
    collect(folder, "tiny", inbox, said.append)
    assert refusals(folder, "tiny", "somebody") == []  # that is past


# Interruptions.


@pytest.mark.filterwarnings("ignore")
def test_interrupted_at_any_write_the_same_command_ends_in_the_same_state(tiny, inbox, said, tmp_path):
    put(inbox, "a", tiny)
    put(inbox, "b", tiny)
    collect(Folder(tiny.root), "tiny", inbox, said.append)
    put(inbox, "a", tiny, when="2026-02-06 10:00:00 UTC", extra=b"\n")
    (put(inbox, "c", tiny) / "notes.txt").write_text("mine")
    start = tmp_path / "start"
    shutil.copytree(tiny.root / "course", start)

    def stop_at(number: int):
        """Raise at the n-th writing call, whichever it is: what is written stays as it is then."""
        count = 0

        def hook(event: str, arguments: tuple) -> None:
            nonlocal count
            if not hook.active:  # it can't be taken away again
                return
            writes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
            writes |= event == "open" and "w" in str(arguments[1] or "")
            if writes and str(tiny.root / "course") in str(arguments[0]):
                count += 1
                if count == number:
                    raise KeyboardInterrupt

        hook.active = True
        return hook

    def state() -> dict[str, bytes]:
        places = [tiny.root / "course" / name for name in ("submitted", "attempts")]
        files = {str(p): p.read_bytes() for place in places for p in place.rglob("*") if p.is_file()}
        return {path: data for path, data in files.items() if ".attempt.json" not in path}  # it says when

    collect(Folder(tiny.root), "tiny", inbox, said.append)
    wanted, log = state(), (tiny.root / "course/intake/tiny.jsonl").read_text().count("\n")
    number, interrupted = 0, True
    while interrupted:
        number += 1
        shutil.rmtree(tiny.root / "course")
        shutil.copytree(start, tiny.root / "course")
        hook, interrupted = stop_at(number), False
        sys.addaudithook(hook)
        try:
            collect(Folder(tiny.root), "tiny", inbox, said.append)
        except KeyboardInterrupt:
            interrupted = True
        hook.active = False
        for student in ("a", "b"):  # what stood stands, whole, or lies beside it
            places = [tiny.root / f"course/submitted/{student}/{name}/tiny.ipynb" for name in ("tiny", ".tiny.old")]
            assert any(place.exists() for place in places)
        collect(Folder(tiny.root), "tiny", inbox, said.append)
        assert state() == wanted, f"interrupted at write {number}"
        assert (tiny.root / "course/intake/tiny.jsonl").read_text().count("\n") == log
    assert number > 10


@pytest.mark.filterwarnings("ignore")
def test_a_full_disk_is_said_and_nothing_is_half_written(tiny, inbox, folder, said, monkeypatch):
    put(inbox, "somebody", tiny)

    def full(path: Path, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ClassroomError, match="No space left on device; nothing was changed"):
            collect(folder, "tiny", inbox, said.append)
    assert attempts.kept(folder, "tiny", "somebody") == []
    assert collect(folder, "tiny", inbox, said.append)["collected"] == ["somebody"]


# Bad input.


def test_bad_input(tiny, inbox):
    inbox.mkdir()
    (inbox / "file.txt").write_text("x")
    for words, message in {
        ("--from", str(inbox / "nowhere")): "there is no such folder or file",
        ("--from", str(inbox / "file.txt")): "expected a folder, a zip or a tar",
    }.items():
        done = tiny.run("collect", "tiny", *words)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    done = tiny.run("collect", "tny", "--from", str(inbox))
    assert (done.returncode, "did you mean tiny?" in done.stderr) == (2, True)
    (tiny.root / "assignments/tiny/tiny.ipynb").unlink()
    done = tiny.run("collect", "tiny", "--from", str(inbox))
    assert (done.returncode, "first: classroom release tiny" in done.stderr) == (2, True)
