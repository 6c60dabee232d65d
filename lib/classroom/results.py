"""Result files: what came of each submission, one JSON file each, written once and whole.

A file holds everything that the gradebook and autograded/ are made of, the executed notebooks included; so the writer
can be killed at any point and merge it again. It also says what was graded with what (two hashes), so that the same
command twice does nothing twice and an interrupted one goes on. `result.schema.json` describes it; a file that does not
agree with it counts as DAMAGED, which is a state like the others: the submission is graded again.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.terminal import some

GRADED = "graded"  # the tests ran; wrong answers included
STUDENT_ERROR = "student-error"  # the submission ended its own session; what ran counts, somebody should look
REFUSED = "refused"  # not a notebook that can be graded; nothing was run
FAILED = "failed"  # our fault or the machine's: tried again next time, never scored
DAMAGED = "damaged"  # of a result file that cannot be read; never written, and graded again

MOST_SAID = 100  # remarks on how a submission was put right: a notebook made for it has hundreds of thousands
# A result file's last field stands on a line of its own, so that its head can be read alone: no JSON text holds a
# line feed of its own, so this is found nowhere else.
_NOTEBOOKS = b'\n"notebooks":'
_HEAD_BYTES = 1 << 16


def digest(paths: Iterable[Path], base: Path, *extra: str) -> str:
    """One hash over the names and bytes of files, in a fixed order, and over `extra`."""
    hasher = hashlib.sha256()
    for path in sorted(paths):
        name = os.fsencode(path.relative_to(base))  # of any bytes, not only those of UTF-8
        hasher.update(f"{len(name)}:".encode() + name)
        with open(path, "rb") as file:
            hasher.update(f"{os.fstat(file.fileno()).st_size}:".encode())
            while part := file.read(1 << 20):
                hasher.update(part)
    for text in extra:
        hasher.update(f"{len(text)}:{text}".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around whatever writes to `path`: a full disk or a read-only folder is said in one line.

    Raises:
        ClassroomError: for any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        where = os.path.relpath(error.filename or path)
        raise ClassroomError(
            f"cannot write {where}: {(error.strerror or str(error)).lower()}; nothing is half-written, and the same "
            "command goes on once that is mended"
        ) from error


def require_target(option: str, target: Path) -> Path:
    """A place where somebody wants a file to be: a new one, or one that is written over.

    Args:
        option: of the command line, that named it.

    Raises:
        ClassroomError: it lies in no folder, or something else is there: a folder, a device, a pipe.
    """
    if not target.parent.is_dir():
        raise ClassroomError(f"{option} {target}: there is no folder {target.parent}")
    if target.is_dir():
        raise ClassroomError(f"{option} {target}: expected a file, got a folder")
    if target.exists() and not target.is_file():
        raise ClassroomError(f"{option} {target}: that is no file, and stays as it is")
    return target


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all: whoever reads it sees the old one or the new one.

    Args:
        mode: who may read it; until it is whole, nobody but its owner. 0o600 for names and grades, wherever they are.

    Raises:
        ClassroomError: the disk is full, the folder is read-only.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, flags = path.with_name(f".{path.name}.new"), os.O_TRUNC
        if _others_write(path.parent):  # whoever made that file before us could read what we write, and change it
            temporary, flags = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new"), os.O_EXCL
        # Else one name for all tries: what a process that was killed has left is written over by the next.
        handle = os.open(temporary, flags | os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                os.fchmod(handle, 0o600)  # of one that was left
                file.write(text)
                file.flush()
                os.fchmod(handle, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _others_write(place: Path) -> bool:
    """Whether somebody else may make files in a folder."""
    found = os.stat(place)
    return found.st_uid != os.geteuid() or bool(found.st_mode & 0o022)


def write_record(path: Path, record: dict) -> None:
    """Write a small record (of a release, of feedback) as JSON, atomically."""
    write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict:
    """A small record, or an empty one where there is none or it is damaged (the work is then done again)."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_result(path: Path, record: dict) -> None:
    """Check a result and write it, atomically.

    Raises:
        ClassroomError: the disk is full, the folder is read-only.
        ValueError: the record does not agree with the schema, which is a mistake of the caller's.
    """
    wrong = _wrong(record)
    if wrong:
        raise ValueError(f"not a result: {wrong}")
    head = {name: value for name, value in record.items() if name != "notebooks"}
    # Lone surrogates, which a student's output may hold, stay escaped: they are no UTF-8.
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    lines.append(f'"notebooks": {json.dumps(record.get("notebooks", {}))}')
    write_atomically(path, "{" + ",\n".join(lines) + "}\n")


def read_result(path: Path, *, head: bool = False) -> dict:
    """A result; empty where there is none, and of outcome DAMAGED, with the reason as `note`, where it is unreadable.

    Args:
        head: leave out the notebooks and do not read them, which is what makes `status` of a large class quick.
    """
    try:
        with open(path, "rb") as file:
            content = _head(file) if head else file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        return {"outcome": DAMAGED, "note": f"the result file cannot be read: {(error.strerror or '').lower()}"}
    try:
        record = json.loads(content)
    except ValueError:
        return {"outcome": DAMAGED, "note": "the result file is cut off or no JSON; it is graded again"}
    wrong = _wrong(record)
    if wrong:
        return {"outcome": DAMAGED, "note": f"the result file is damaged ({wrong}); it is graded again"}
    return record


def compose(
    outcome: dict,
    rebuilt: dict,
    *,
    student: str,
    project: str,
    submission: str,
    grader: str,
    timestamp: str | None = None,
    attempts: int = 1,
    notes: Iterable[str] = (),
    seconds: float | None = None,
    ignore_stderr: str = "",
) -> dict:
    """The result of a submission that was run: what the worker returned, and the points that it earned.

    Args:
        outcome: of `job.run_job`.
        rebuilt: by file name, what `rebuild.rebuild` returned (its `notes` and `answers` are used).
        submission: hash of what was handed in.
        grader: hash of what it was graded with.
        timestamp: when it was handed in, as in timestamp.txt.
        attempts: how often it was given to a worker.
        notes: what intake has to say besides.
        seconds: from the job's leaving to its return; by default those of the sandbox.
        ignore_stderr: nbgrader's IgnorePattern.pattern: output on stderr that matches does not count as a failure.
    """
    from classroom.points import code_hash, plain, points

    usage = outcome.get("usage") or {}
    record = without_run(
        FAILED if outcome["state"] == "infra-error" else outcome["state"],
        outcome.get("note") or "",
        student=student,
        project=project,
        submission=submission,
        grader=grader,
        timestamp=timestamp,
        attempts=attempts,
        seconds=usage.get("seconds", 0.0) if seconds is None else seconds,
    )
    if record["outcome"] == FAILED:
        return record
    notebooks = {name: plain(notebook) for name, notebook in sorted(outcome["notebooks"].items())}
    said = [*notes, *(note for name in notebooks if name in rebuilt for note in rebuilt[name].notes)]
    remarks: list[str] = []
    earned = {}
    for name, notebook in notebooks.items():
        earned[name], odd = points(notebook["cells"], outcome["cells"].get(name, []), ignore_stderr)
        remarks += odd
    return record | {
        "note": "; ".join(dict.fromkeys([*filter(None, [record["note"]]), *remarks])),
        "rebuilt": some(said, MOST_SAID),
        "usage": usage,
        "host": str(outcome.get("host") or ""),
        "cells": outcome["cells"],
        "answers": {name: dict(rebuilt[name].answers) for name in notebooks if name in rebuilt},
        "code": {name: code_hash(notebook["cells"]) for name, notebook in notebooks.items()},
        "points": earned,
        "notebooks": notebooks,
    }


def without_run(
    outcome: str,
    note: str,
    *,
    student: str,
    project: str,
    submission: str,
    grader: str,
    timestamp: str | None = None,
    attempts: int = 0,
    seconds: float = 0.0,
) -> dict:
    """The result of a submission that was not run: REFUSED, or FAILED through no fault of its own."""
    return {
        "schema": 1,
        "student": student,
        "project": project,
        "submission": submission,
        "grader": grader,
        "outcome": outcome,
        "note": note,
        "seconds": round(seconds, 3),
        "attempts": attempts,
        "graded_at": datetime.now(UTC).isoformat(),
        "timestamp": timestamp,
    }


def _head(file) -> bytes:
    """The fields before the notebooks, as JSON; the whole file where they cannot be told apart."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - 2))
    whole = file.read() == b"}\n"
    file.seek(0)
    found = b""
    while whole and len(found) < size:
        found += file.read(_HEAD_BYTES)
        head, mark, _ = found.partition(_NOTEBOOKS)
        if mark:
            return head.rstrip(b",") + b"}"
    file.seek(0)
    return file.read()


@cache
def _validator():
    import jsonschema

    schema = json.loads(files("classroom").joinpath("result.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _wrong(record: object) -> str:
    """What disagrees with the schema, in a few words; empty if nothing does."""
    for error in _validator().iter_errors(record):
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        return f"{where}: {error.message[:120]}"
    return ""
