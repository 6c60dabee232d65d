"""The steps of nbgrader's exchange: what students do, and at the end what instructors do.

Files are read without following links and written without going through them. The service knows who asks, by the
token: no name that is set here makes anybody somebody else. What is handed in is kept by the service.
"""

import hashlib
import os
from fnmatch import fnmatch
from pathlib import Path

from nbgrader.exchange import default

from classroom.errors import RefusedError, ServiceError
from classroom.hub.exchange.server import MOST_BYTES, Server, unpack
from classroom.intake.files import FolderTree, check, read_regular, write
from classroom.intake.names import is_notebook
from classroom.intake.service import stamp


class Remote(default.Exchange):
    """What all steps have in common: no folder of an exchange, and the service's words as nbgrader's error."""

    ensure_root = init_dest = lambda self: None  # nbgrader's look for that folder

    def init_src(self) -> None:
        """Know whom to ask, and for what; nbgrader calls this first."""
        self.server = Server()
        self.course, self.assignment = self.coursedir.course_id, self.coursedir.assignment_id
        if not self.course and not isinstance(self, default.ExchangeList):
            self.fail("which course? Set CourseDirectory.course_id in nbgrader_config.py, or --course")

    def start(self) -> object:
        """Do it; ExchangeError with the reason if it can't be done."""
        try:
            return super().start()
        except (ServiceError, RefusedError, OSError) as error:  # the last of a home that is full
            self.fail(f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error))

    def place(self, course: str, assignment: str) -> Path:
        """Where an assignment's files are, or go."""
        path = check(f"{course}/{assignment}" if self.path_includes_course else assignment)
        return Path(self.assignment_dir).resolve() / path

    def files_of(self, course: str, assignment: str) -> list[str]:
        """The names of an assignment's files; none if it is withdrawn."""
        return sorted(unpack(self.server.get("assignment", course, assignment, list_only="true"))[0])

    def read(self, folder: Path, wanted: list[str] | None = None) -> dict[str, bytes]:
        """A folder's files by path, or those that are `wanted` and all notebooks; what the settings ignore is not."""
        files, room = {}, MOST_BYTES
        with FolderTree(folder) as tree:
            for entry in tree.entries():
                path = entry.path
                if any(fnmatch(name, pattern) for name in path.split("/") for pattern in self.coursedir.ignore):
                    continue
                if entry.reason:
                    self.log.warning("not sent: %s: %s", path, entry.reason)
                elif wanted is None or path in wanted or is_notebook(path):
                    try:
                        files[check(path)] = tree.read(entry, room)
                    except RefusedError as reason:
                        raise RefusedError(f"{path}: {reason}; nothing was sent") from None
                    room -= len(files[path])
        return files


class FetchAssignment(Remote, default.ExchangeFetchAssignment):
    """Bring a released assignment, all of it or nothing; with --replace only what is missing of it."""

    def copy_files(self) -> None:
        target = self.place(self.course, self.assignment)
        if os.path.lexists(target) and not self.replace_missing_files:
            self.fail(f"you have {self.assignment} already: {target}; to start again rename that folder first")
        files, refused = unpack(self.server.get("assignment", self.course, self.assignment))
        if refused or not files:
            why = "; ".join(f"{path}: {why}" for path, why in refused.items())
            self.fail(f"not fetched: {why or 'it was withdrawn by the instructor; ask them if you still need it'}")
        for name, data in files.items():
            write(target, name, data, replace=False)


class Submit(Remote, default.ExchangeSubmit):
    """Hand in what the assignment asks for, and every other notebook beside it; not a data set that lies there."""

    def copy_files(self) -> None:
        source, asked = self.place(self.course, self.assignment), self.files_of(self.course, self.assignment)
        if not source.is_dir():
            self.fail(f"there is no folder {source}: fetch {self.assignment} first")
        files = self.read(source, asked)
        missing = [path for path in asked if is_notebook(path) and path not in files]
        if not files or (missing and self.strict):
            self.fail(f"not handed in: {source} is without {', '.join(missing) or 'a notebook'}")
        for path in missing:
            self.log.warning("handed in without %s", path)
        when = self.server.post("submission", self.course, self.assignment, files=files)["timestamp"]
        self.log.info("Submitted as: %s %s %s", self.course, self.assignment, stamp(when))


class FetchFeedback(Remote, default.ExchangeFetchFeedback):
    """Bring the pages on what this user handed in, each into a folder called by its time."""

    def copy_files(self) -> None:
        me, target = (self.course, self.assignment, self.server.user), self.place(self.course, self.assignment)
        for sent in self.server.get("submissions", *me)["submissions"]:
            pages, _ = unpack(self.server.get("feedback", *me, timestamp=sent["timestamp"]))
            for name, data in pages.items():
                write(target, check(f"feedback/{stamp(sent['timestamp'])}/{name}"), data, replace=True)


class List(Remote, default.ExchangeList):
    """What is released; with `cached` what this user handed in, with `inbound` what everybody did (instructors)."""

    def parse_assignments(self) -> list[dict]:
        """In nbgrader's form, which its pages read."""
        kind, found = self._sent if self.inbound or self.cached else self._released, []
        for course in [self.course] if self.course else self.server.get("courses")["courses"]:
            for name in self.server.get("assignments", course)["assignments"]:
                if self.assignment in ("", "*", name):
                    found += kind({"course_id": course, "assignment_id": name}, course, name)
        return found

    def _released(self, info: dict, *names: str) -> list[dict]:
        place = self.place(*names)
        status = "removed" if self.remove else "fetched" if place.is_dir() else "released"
        notebooks = [{"notebook_id": path.stem, "path": str(path)} for path in sorted(place.glob("*.ipynb"))]
        return [info | {"status": status, "path": str(place), "notebooks": notebooks}] if self.files_of(*names) else []

    def _sent(self, info: dict, *names: str) -> list[dict]:
        student = self.coursedir.student_id if self.inbound else self.server.user
        one, found = () if student in ("", "*") else (student,), {}
        for sent in sorted(self.server.get("submissions", *names, *one)["submissions"], key=lambda s: s["timestamp"]):
            found.setdefault(sent["student_id"], []).append(self._submission(info, *names, *sent.values()))
        info |= {"status": "submitted"}
        return [info | {"student_id": who, "submissions": those} for who, those in found.items()]

    def _submission(self, info: dict, course: str, name: str, who: str, when: str) -> dict:
        pages = self.server.get("feedback", course, name, who, timestamp=when, list_only="true")["files"]
        place = self.place(course, name) / "feedback" / stamp(when)
        here = {hashlib.md5(read_regular(page), usedforsecurity=False).hexdigest() for page in place.glob("*.html")}
        info = info | {"student_id": who, "timestamp": stamp(when), "status": "submitted", "path": "", "notebooks": []}
        info |= {"local_feedback_path": str(place) if here else None, "has_local_feedback": bool(here)}
        changed = bool(here) and not here.issuperset(page["checksum"] for page in pages)
        return info | {"has_exchange_feedback": bool(pages), "feedback_updated": changed}

    def remove_files(self) -> list[dict]:
        """Withdraw an assignment (instructors): nobody fetches it any more, and what was handed in stays."""
        if self.inbound or self.cached:
            self.fail("what was handed in stays in the exchange")
        found = self.parse_assignments()
        for info in found:
            self.server.post("assignment", info["course_id"], info["assignment_id"], files={}, replace="true")
        return found


class ReleaseAssignment(Remote, default.ExchangeReleaseAssignment):
    """Put the students' version there, with --force in the place of another one; what was handed in stays."""

    def copy_files(self) -> None:
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
        self.fail(f"not collected: `classroom collect {self.assignment}` takes submissions in, and looks at each file")


class ReleaseFeedback(Remote, default.ExchangeReleaseFeedback):
    """Hand out the pages that `classroom feedback` made, each with the submission that it is about."""

    students: list[str] = []  # noqa: RUF012  (the only ones to look at; none: everybody)

    def copy_files(self) -> None:
        self.released, self.elsewhere = [], []  # who has a page now, and who handed in by other ways
        from classroom.folder import Folder
        from classroom.handout import made_pages

        folder = Folder(Path(self.coursedir.root), os.environ.get("CLASSROOM_DIR", "course"))
        times: dict[str, dict[str, str]] = {}  # by student, as the service has them, by the form in which pages do
        for one in self.server.get("submissions", self.course, self.assignment)["submissions"]:
            times.setdefault(one["student_id"], {})[stamp(one["timestamp"])] = one["timestamp"]
        only = self.students or ([] if self.coursedir.student_id in ("", "*") else [self.coursedir.student_id])
        for student, pages in made_pages(folder, self.assignment, self.log.warning).items():
            if (only and student not in only) or student in self.coursedir.student_id_exclude.split(","):
                continue
            mine, sent = times.get(student, {}), {}
            for name, data, said in pages:
                when = mine.get(stamp(said) if said else max(mine, default=""))
                if when is not None:
                    sent.setdefault(when, {})[name] = data
            for when, files in sent.items():
                self.server.post("feedback", self.course, self.assignment, student, files=files, timestamp=when)
            (self.released if sent else self.elsewhere).append(student)
