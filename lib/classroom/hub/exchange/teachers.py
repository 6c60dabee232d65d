"""What instructors do: release an assignment, hand out feedback. Submissions come in by `classroom collect` alone."""

import os
from pathlib import Path

from nbgrader.exchange import default

from classroom.folder import Folder
from classroom.handout import made_pages
from classroom.hub.exchange.students import Remote, stamp


class ReleaseAssignment(Remote, default.ExchangeReleaseAssignment):
    """Put the students' version into the exchange; with --force in the place of the one that is there."""

    def copy_files(self) -> None:
        """Send it whole; what was handed in stays."""
        known = self.server.get("assignments", self.course)["assignments"]
        if self.assignment in known and self.files_of(self.course, self.assignment) and not self.force:
            self.fail(f"{self.assignment} is released already; --force puts this version in its place")
        folder = Path(self.coursedir.format_path(self.coursedir.release_directory, ".", self.assignment))
        files = self.read(folder) if folder.is_dir() else {}
        if not files:
            self.fail(f"nothing in {folder}: `classroom release {self.assignment}` writes it")
        self.server.post("assignment", self.course, self.assignment, files=files, replace="true")


class Collect(Remote, default.ExchangeCollect):
    """nbgrader's own step puts what students sent beside the grades unseen; here it says what does it instead."""

    def copy_files(self) -> None:
        """Refuse."""
        self.fail(f"not collected: `classroom collect {self.assignment}` takes submissions in, and looks at each file")


class ReleaseFeedback(Remote, default.ExchangeReleaseFeedback):
    """Hand out the pages that `classroom feedback` made, each with the submission that it is about.

    `students` are the only ones to look at; afterwards `released` are those who have a page now, `elsewhere` those who
    handed in by other ways.
    """

    students: list[str] = []  # noqa: RUF012  (everybody)

    def copy_files(self) -> None:
        """One student after the other."""
        self.released, self.elsewhere = [], []
        folder = Folder(Path(self.coursedir.root), os.environ.get("CLASSROOM_DIR", "course"))
        times: dict[str, list[str]] = {}
        for sent in self.server.get("submissions", self.course, self.assignment)["submissions"]:
            times.setdefault(sent["student_id"], []).append(sent["timestamp"])
        only = self.students or ([] if self.coursedir.student_id in ("", "*") else [self.coursedir.student_id])
        for student, pages in made_pages(folder, self.assignment, self.log.warning).items():
            if (only and student not in only) or student in self.coursedir.student_id_exclude.split(","):
                continue
            sent: dict[str, dict[str, bytes]] = {}
            mine = {stamp(when): when for when in sorted(times.get(student, ()))}
            for name, data, said in pages:
                when = mine.get(stamp(said)) if said else next(reversed(mine.values()), None)
                if when is not None:
                    sent.setdefault(when, {})[name] = data
            for when, files in sent.items():
                self.server.post("feedback", self.course, self.assignment, student, files=files, timestamp=when)
            (self.released if sent else self.elsewhere).append(student)
