"""`classroom forget`: a person leaves gradebook, files and reports; nobody else is touched.

What is removed is found by exact names, never by a pattern that another name could match. It may be interrupted and
typed again, and twice is fine. What lies elsewhere is not reached, and is said: extensions in course.yml, backups,
version control, a copy that somebody downloaded.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from nbgrader import api
from nbgrader.utils import notebook_hash

from classroom.course import kept_until
from classroom.errors import ClassroomError, near_miss
from classroom.export import PLACE as EXPORTS
from classroom.folder import Folder
from classroom.gradebook import Connection, merged
from classroom.results import write_atomically, writing

_STEPS = ("submitted", "autograded", "feedback")
_KINDS = ("result", "feedback")
_SECRET = "submission_secret.txt"


@dataclass
class Found:
    """What there is of a person."""

    places: list[Path] = field(default_factory=list)  # folders and files that are theirs alone
    lines: dict[Path, int] = field(default_factory=dict)  # files of everybody's, with how many lines are theirs
    rows: int = 0  # submissions in the gradebook
    known: bool = False  # whether the gradebook has the person

    def __bool__(self) -> bool:
        return bool(self.places or self.lines or self.rows or self.known)


def forget(folder: Folder, student: str, say: Callable[[str], None], dry_run: bool = False) -> dict:
    """Remove a person from gradebook, submissions, attempts, results, feedback, logs, reports and the exchange.

    Args:
        dry_run: only say what would go.

    Returns:
        `student`, `removed`: the paths, `lines`: by file how many, `submissions`: in the gradebook; `dry_run`.

    Raises:
        ClassroomError: that is no name, or something cannot be removed.
    """
    if not student or student.startswith(".") or "/" in student or "\0" in student:
        raise ClassroomError(f"{student!r} is no student's name")
    connection = Connection(folder.coursedir.db_url, say) if folder.has_gradebook() else None
    try:
        found = _find(folder, student, connection)
        if not found:
            similar = near_miss(student, everybody(folder, connection)).partition("; did you mean ")[2]
            say(f"{student}: nothing is known of them here" + (f"; did you mean {similar}" if similar else ""))
        _show(folder, student, found, say, dry_run)
        if not dry_run:
            # The gradebook last: as long as it has the name, a second try is as easy as the first.
            for place in found.places:
                with writing(place):
                    shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
            for path in found.lines:
                _without(path, student)
            for top in (folder.path(step, ".", student) for step in _STEPS):
                if top.is_dir() and not any(top.iterdir()):
                    top.rmdir()
            if connection is not None:
                _remove_rows(connection, student)
    finally:
        if connection is not None:
            connection.close()
    if _in_extensions(folder, student):
        say(f"{student} still stands under extensions in course.yml: remove the line there")
    if found and not dry_run:
        say("not reached: backups, version control, and what people downloaded")
    removed = [folder.shown(place) for place in found.places]
    lines = {folder.shown(path): count for path, count in found.lines.items()}
    return {"student": student, "removed": removed, "lines": lines, "submissions": found.rows, "dry_run": dry_run}


def forget_expired(
    folder: Folder, say: Callable[[str], None], dry_run: bool = False, now: datetime | None = None
) -> dict:
    """Remove everybody, once the days that course.yml keeps data for have passed since the last due date.

    Raises:
        ClassroomError: course.yml has no such rule, or it is too early.
    """
    require_expired(folder, now)
    connection = Connection(folder.coursedir.db_url, say) if folder.has_gradebook() else None
    try:
        students = sorted(everybody(folder, connection))
    finally:
        if connection is not None:
            connection.close()
    return {"students": [forget(folder, student, say, dry_run) for student in students], "dry_run": dry_run}


def require_expired(folder: Folder, now: datetime | None = None) -> None:
    """See that the days have passed for which course.yml keeps data.

    Raises:
        ClassroomError: course.yml has no such rule, or it is too early.
    """
    until = kept_until(folder.course) if folder.course else None
    if until is None:
        raise ClassroomError("course.yml does not say how long data is kept: retention: {days: 365}")
    now = now or datetime.now(UTC).replace(tzinfo=None)
    if now < until:
        raise ClassroomError(f"the class is kept until {until:%Y-%m-%d} (course.yml, retention); nothing was removed")


def everybody(folder: Folder, connection: Connection | None) -> set[str]:
    """Everybody of whom there is something in the class."""
    found: set[str] = set()
    for step in _STEPS:
        found |= {place.name for place in _listed(folder.path(step, ".", "."))}
    for project in _listed(folder.home / "attempts"):
        found |= {place.name for place in _listed(project)}
    for project in _listed(folder.home / "results"):
        for kind in _KINDS:
            found |= {path.name.removesuffix(f".{kind}.json") for path in project.glob(f"*.{kind}.json")}
    if connection is not None:
        with connection.transaction() as db:
            found |= set(db.scalars(sa.select(api.Student.__table__.c.id)))
    return found


def _find(folder: Folder, student: str, connection: Connection | None) -> Found:
    found = Found()
    exchange = list(_in_exchange(folder, student))  # found by what the next places hold
    candidates = [folder.path(step, ".", student) for step in _STEPS]
    candidates += [project / student for project in _listed(folder.home / "attempts")]
    for project in _listed(folder.home / "results"):
        candidates += [project / f"{student}.{kind}.json" for kind in _KINDS]
    candidates += [project / f"{student}.log" for project in _listed(folder.home / "logs")]
    found.places = [path for path in [*exchange, *candidates] if os.path.lexists(path)]
    shared = [folder.home / "grades.csv", folder.home / "log.jsonl", *_listed(folder.home / "intake", "*.jsonl")]
    shared += _listed(folder.home / "results", "*/amend.json")
    for path in shared:
        count = path.is_file() and _lines_of(path, student)
        if count:
            found.lines[path] = count
    if connection is not None:
        submitted, table = api.SubmittedAssignment.__table__, api.Student.__table__
        with connection.transaction() as db:
            mine = submitted.c.student_id == student
            found.rows = db.scalar(sa.select(sa.func.count()).select_from(submitted).where(mine))
            known = db.scalar(sa.select(table.c.id).where(table.c.id == student)) is not None
            found.known = known or _is_merged(db, student)
    if found:  # they hold what is everybody's in forms of other programs, and are made anew by one command
        found.places += [*_listed(folder.home / EXPORTS, "*.csv"), *_listed(folder.home, "similarity-*.html")]
        found.places += _listed(folder.home, "report-*.html")  # each has a line for everybody
    return found


def _is_merged(db: sa.Connection, student: str) -> bool:
    merged.create(db, checkfirst=True)
    return db.scalar(sa.select(sa.func.count()).select_from(merged).where(merged.c.student == student)) > 0


def _listed(place: Path, pattern: str = "[!.]*") -> list[Path]:
    return sorted(place.glob(pattern)) if place.is_dir() else []


def _show(folder: Folder, student: str, found: Found, say: Callable[[str], None], dry_run: bool) -> None:
    would = "would remove" if dry_run else "removing"
    for place in found.places:
        say(f"{would}  {folder.shown(place)}")
    for path, count in found.lines.items():
        say(f"{would}  {count} line{'s' if count > 1 else ''} of {folder.shown(path)}")
    if found.known or found.rows:
        say(f"{would}  {student} and {found.rows} submission{'' if found.rows == 1 else 's'} from the gradebook")


def _remove_rows(connection: Connection, student: str) -> None:
    submitted, notebook = api.SubmittedAssignment.__table__, api.SubmittedNotebook.__table__
    theirs = sa.select(submitted.c.id).where(submitted.c.student_id == student)
    notebooks = sa.select(notebook.c.id).where(notebook.c.assignment_id.in_(theirs))
    with connection.transaction() as db:
        for table in (api.Grade.__table__, api.Comment.__table__):
            db.execute(table.delete().where(table.c.notebook_id.in_(notebooks)))
        db.execute(notebook.delete().where(notebook.c.assignment_id.in_(theirs)))
        db.execute(submitted.delete().where(submitted.c.student_id == student))
        db.execute(api.Student.__table__.delete().where(api.Student.__table__.c.id == student))
        merged.create(db, checkfirst=True)
        db.execute(merged.delete().where(merged.c.student == student))


def _in_exchange(folder: Folder, student: str) -> Iterable[Path]:
    """What the exchange has of a person: submissions by name, feedback by the hash of their secrets."""
    from classroom.intake.exchange import DEFAULT_ROOT

    if not folder.coursedir.course_id:
        return
    top = Path(folder.app.config.Exchange.get("root", DEFAULT_ROOT)) / folder.coursedir.course_id
    for place in _listed(top / "inbound"):
        for project in folder.projects():
            if place.name.startswith(f"{student}+{project}+"):
                yield place
    secrets = {}
    for place in [*_listed(folder.home / "attempts", f"*/{_escaped(student)}/*"), *_own_projects(folder, student)]:
        if (place / _SECRET).is_file():
            secrets[place / _SECRET] = (place / _SECRET).read_text(encoding="utf-8", errors="replace")
    names = {path.stem for project in folder.projects() for path in folder.path("release", project).glob("*.ipynb")}
    names |= {REFUSAL.format(project) for project in folder.projects()}
    # A page of reasons is handed out under the names of the files that came.
    names |= {path.stem for secret in secrets for path in secret.parent.glob("*.ipynb")}
    for secret in sorted(set(secrets.values())):
        for name in sorted(names):
            yield top / "feedback" / f"{notebook_hash(secret=secret, notebook_id=name)}.html"


REFUSAL = "{}-not-graded"  # the notebook_id under which a refusal is handed out


def _own_projects(folder: Folder, student: str) -> list[Path]:
    return [place for step in _STEPS for place in _listed(folder.path(step, ".", student))]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _lines_of(path: Path, student: str) -> int:
    return _split(path, student)[1]


def _without(path: Path, student: str) -> None:
    """Write a file of everybody's again, without one person's lines."""
    write_atomically(path, _split(path, student)[0], mode=path.stat().st_mode & 0o777)


def _split(path: Path, student: str) -> tuple[str, int]:
    """A file's text without a person's lines, and how many there were."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(text)))
        lines = text.splitlines(keepends=True)
        column = rows[0].index("student_id") if rows and "student_id" in rows[0] else None
        if column is None or len(rows) != len(lines):  # not nbgrader's: left alone
            return text, 0
        kept = [line for line, row in zip(lines, rows, strict=True) if len(row) <= column or row[column] != student]
        return "".join(kept), len(lines) - len(kept)
    if path.suffix == ".json":
        record = json.loads(text)
        mine = record.get("before", {}).pop(student, None)
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n", int(mine is not None)
    kept, gone = [], 0
    for line in filter(None, text.split("\n")):  # JSON leaves Unicode's own separators of lines as they are
        entry = json.loads(line)
        if entry.get("student") == student:
            gone += 1
            continue
        if student in entry.get("students", ()):
            entry["students"].remove(student)
            gone += 1
            line = json.dumps(entry, ensure_ascii=False)
        kept.append(line)
    return "".join(f"{line}\n" for line in kept), gone


def _in_extensions(folder: Folder, student: str) -> bool:
    extensions = (folder.course.extensions if folder.course else None) or {}
    return any(student in students for students in extensions.values())
