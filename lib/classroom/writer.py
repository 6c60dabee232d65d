"""The writer: result files into the gradebook and autograded/. No other process of ours grades into either.

A merge is one transaction, with about ten short statements, around one swap of folders:

    make autograded/STUDENT/.PROJECT.new  →  begin  →  grades  →  swap the folders  →  commit

Killed before the commit, the gradebook stands as it was and the result still counts as not merged; killed after it,
everything is done. So the same command ends in the same state, however often it was interrupted.

What a person did stays. A grade given by hand, its comment, the extra credit and the status stay as they are while the
text that they were given for is the same: for an answer its own text; for a test cell all code that the student wrote
in that notebook; for a task every answer and all code. When that has changed, the points stay too and the cell is
marked for review, as stock nbgrader marks every cell that was ever graded by hand.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from nbgrader.api import Student

from classroom import merging
from classroom.autograded import Autograded
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.gradebook import WAIT_SECONDS, Connection, merged, open_gradebook
from classroom.results import FAILED, GRADED, STUDENT_ERROR, read_result


class _Merged(NamedTuple):
    """What was merged last for a student."""

    stamp: str = ""
    outcome: str = ""
    graded_at: str = ""


class Writer:
    """Merges results of one project; use it in a `with` statement, and in one process at a time.

    Args:
        folder: the class; its lock is held by the caller.
        project: a released project.
        say: told when somebody else holds the gradebook.
        wait: seconds to wait for them.
    """

    def __init__(
        self, folder: Folder, project: str, say: Callable[[str], None] = print, *, wait: float = WAIT_SECONDS
    ) -> None:
        self.folder, self.project, self.say, self.wait = folder, project, say, wait

    def __enter__(self) -> "Writer":
        """Open the gradebook and read what stays the same for all submissions.

        Raises:
            ClassroomError: the gradebook cannot be used, or does not know the project.
        """
        coursedir = self.folder.coursedir
        self.connection = Connection(coursedir.db_url, self.say, self.wait)
        try:
            with self.connection.transaction():
                pass  # waits and says so, where nbgrader's own way in would fail after five seconds
            open_gradebook(coursedir.db_url, coursedir.course_id).close()
            with self.connection.transaction() as db:
                merged.create(db, checkfirst=True)
                self.master = merging.read_master(db, self.folder, self.project)
                self.places = Autograded(self.folder, self.project, self.master.texts)
                self._merged = self._read_merged(db)
                self._students = set(db.scalars(sa.select(Student.__table__.c.id)))
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.connection.close()

    def pending(self) -> Iterator[str]:
        """The students whose result file has not been merged as it stands, or whose autograded notebooks are gone."""
        place = self.folder.record("result", self.project).parent
        ending = ".result.json"
        if not place.is_dir():
            return
        for path in sorted(place.glob(f"*{ending}")):
            student = path.name.removesuffix(ending)
            known = self._merged.get(student, _Merged())
            gone = known.outcome in (GRADED, STUDENT_ERROR) and not self.places.target(student).is_dir()
            if gone or known.stamp != stamp_of(path):
                yield student

    def catch_up(self) -> list[dict]:
        """Merge what is pending, for instance after an interruption; returns what `merge` did for each."""
        return [done for student in self.pending() if (done := self.merge_file(student)) is not None]

    def merge_file(self, student: str) -> dict | None:
        """Merge a student's result file; None if it is damaged, so that the submission has to be graded again."""
        record = read_result(self.folder.record("result", self.project, student))
        return self.merge(record) if record.get("student") else None

    def merge(self, record: dict) -> dict:
        """Merge one result; twice is the same as once.

        Args:
            record: as `results.compose` makes it; its file has been written.

        Returns:
            `student`; `changed`: whether anything was written; `review`: for each notebook the cells whose points were
            given by hand for an earlier text and now wait for a person; `kept`: how many grades by hand stay.

        Raises:
            ClassroomError: the gradebook is locked, a disk is full, a folder read-only; the same result can be merged
                again.
        """
        student = record["student"]
        if record["project"] != self.project:
            raise ClassroomError(f"a result of {record['project']} is no result of {self.project}")
        runs = record["outcome"] in (GRADED, STUDENT_ERROR)
        stamp = stamp_of(self.folder.record("result", self.project, student))
        report = {"student": student, "changed": False, "review": {}, "kept": 0}
        target = self.places.target(student)
        known = self._merged.get(student, _Merged())
        same = stamp and (known.stamp, known.graded_at) == (stamp, record["graded_at"])
        if same and (target.is_dir() or not runs):
            return report
        fresh = self.places.make(record) if runs else None
        try:
            with self.connection.transaction() as db:
                if record["outcome"] != FAILED:
                    self._add_student(db, student)
                if runs:
                    report |= merging.merge(db, self.folder, self.master, record)
                merging.remember(db, self.project, record, stamp)
                if fresh is not None:
                    self.places.swap(fresh, student)
        except BaseException:
            if fresh is not None and fresh.exists():
                shutil.rmtree(fresh, ignore_errors=True)
            self._students.discard(student)
            raise
        self._merged[student] = _Merged(stamp, record["outcome"], record["graded_at"])
        for notebook, cells in report["review"].items():
            self.say(
                f"{student}: graded by hand, and the text has changed since; look again: {notebook}, {', '.join(cells)}"
            )
        return report | {"changed": True}

    def _add_student(self, db: sa.Connection, student: str) -> None:
        """So that the export has a line for everybody who handed in, the refused too."""
        if student in self._students:
            return
        table = Student.__table__
        if db.scalar(sa.select(table.c.id).where(table.c.id == student)) is None:
            db.execute(table.insert().values(id=student))
        self._students.add(student)

    def _read_merged(self, db: sa.Connection) -> dict[str, _Merged]:
        columns = (merged.c.student, merged.c.stamp, merged.c.outcome, merged.c.graded_at)
        rows = db.execute(sa.select(*columns).where(merged.c.project == self.project))
        return {student: _Merged(*rest) for student, *rest in rows}


def stamp_of(path: Path) -> str:
    """What changes whenever a result file is written anew; empty if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"
