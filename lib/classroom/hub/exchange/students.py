"""What students do: see what there is, fetch it, hand it in, fetch feedback. What is handed in is kept by the service.

Files are read without following links and written without going through them. The service knows who asks, by the
token: no name that is set here makes anybody somebody else.
"""

import hashlib
import os
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from nbgrader.exchange import ExchangeError, ExchangeFactory, default

from classroom.errors import RefusedError
from classroom.hub.exchange.server import MOST_BYTES, Server, ServiceError, check, unpack
from classroom.intake.files import FolderTree, read_regular


class Remote(default.Exchange):
    """What all steps have in common: no folder of an exchange, and the service's words as nbgrader's error."""

    def ensure_root(self) -> None:
        """There is none."""

    def init_src(self) -> None:
        """Know whom to ask, and for what; nbgrader calls this first."""
        self.server = Server()
        self.course, self.assignment = self.coursedir.course_id, self.coursedir.assignment_id
        if not self.course and not isinstance(self, default.ExchangeList):
            self.fail("which course? Set CourseDirectory.course_id in nbgrader_config.py, or --course")

    def init_dest(self) -> None:
        """Each step knows itself."""

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

    def read(self, folder: Path) -> dict[str, bytes]:
        """A folder's files by path, without what the settings say to leave out; a link is named and left out."""
        files: dict[str, bytes] = {}
        with FolderTree(folder) as tree:
            for entry in tree.entries():
                if any(fnmatch(name, pattern) for name in entry.path.split("/") for pattern in self.coursedir.ignore):
                    continue
                if entry.reason:
                    self.log.warning("not sent: %s: %s", entry.path, entry.reason)
                elif self.is_wanted(entry.path):
                    try:
                        room = MOST_BYTES - sum(map(len, files.values()))
                        files[check(entry.path)] = tree.read(entry, room)
                    except RefusedError as reason:
                        raise RefusedError(f"{entry.path}: {reason}; nothing was sent") from None
        return files

    def is_wanted(self, path: str) -> bool:
        """Whether a file is sent."""
        return True


class FetchAssignment(Remote, default.ExchangeFetchAssignment):
    """Bring a released assignment; with --replace only what is missing of it."""

    def copy_files(self) -> None:
        """All of it, or nothing."""
        target = self.place(self.course, self.assignment)
        if os.path.lexists(target) and not self.replace_missing_files:
            self.fail(f"you have {self.assignment} already: {target}; to start again rename that folder first")
        files, refused = unpack(self.server.get("assignment", self.course, self.assignment))
        if refused or not files:
            why = "; ".join(f"{path}: {why}" for path, why in refused.items())
            self.fail(f"not fetched: {why or 'it was withdrawn by the instructor'}")
        for name, data in files.items():
            write(target, name, data, replace=False)


class Submit(Remote, default.ExchangeSubmit):
    """Hand in what the assignment asks for, and every other notebook beside it."""

    def copy_files(self) -> None:
        """Send it whole; it is handed in when the service has said when."""
        source, self.asked = self.place(self.course, self.assignment), self.files_of(self.course, self.assignment)
        if not source.is_dir():
            self.fail(f"there is no folder {source}: fetch {self.assignment} first")
        files = self.read(source)
        missing = [path for path in self.asked if path.endswith(".ipynb") and path not in files]
        if not files or (missing and self.strict):
            self.fail(f"not handed in: {source} is without {', '.join(missing) or 'a notebook'}")
        for path in missing:
            self.log.warning("handed in without %s", path)
        when = self.server.post("submission", self.course, self.assignment, files=files)["timestamp"]
        self.log.info("Submitted as: %s %s %s", self.course, self.assignment, stamp(when))

    def is_wanted(self, path: str) -> bool:
        """A data set that lies beside it is not."""
        return path in self.asked or path.lower().endswith(".ipynb")


class FetchFeedback(Remote, default.ExchangeFetchFeedback):
    """Bring the pages on what this user handed in, each into a folder called by its time."""

    def copy_files(self) -> None:
        """One submission after the other."""
        me, target = (self.course, self.assignment, self.server.user), self.place(self.course, self.assignment)
        for sent in self.server.get("submissions", *me)["submissions"]:
            pages, _ = unpack(self.server.get("feedback", *me, timestamp=sent["timestamp"]))
            for name, data in pages.items():
                write(target, check(f"feedback/{stamp(sent['timestamp'])}/{name}"), data, replace=True)


class List(Remote, default.ExchangeList):
    """What is released; with `cached` what this user handed in, with `inbound` what everybody did (instructors)."""

    def start(self) -> object:
        """The list; in the students' page an error's own words, where nbgrader would say that a folder is missing."""
        try:
            return super().start()
        except ExchangeError as error:
            if isinstance(self.parent, ExchangeFactory):  # so does its assignment list ask, and no other
                raise RuntimeError(str(error)) from None
            raise

    def parse_assignments(self) -> list[dict]:
        """In nbgrader's form, which its pages read."""
        kind, found = self._sent if self.inbound or self.cached else self._released, []
        for course in [self.course] if self.course else self.server.get("courses")["courses"]:
            for name in self.server.get("assignments", course)["assignments"]:
                if self.assignment in ("", "*", name):
                    found += kind({"course_id": course, "assignment_id": name}, course, name)
        return found

    def _released(self, info: dict, *names: str) -> list[dict]:
        place, books = self.place(*names), [path for path in self.files_of(*names) if path.endswith(".ipynb")]
        paths = sorted(place.glob("*.ipynb")) if place.is_dir() else [place / path for path in books]
        status = "removed" if self.remove else "fetched" if place.is_dir() else "released"
        notebooks = [{"notebook_id": path.stem, "path": str(path)} for path in paths]
        return [info | {"status": status, "path": str(place), "notebooks": notebooks}] if books else []

    def _sent(self, info: dict, *names: str) -> list[dict]:
        student = self.coursedir.student_id if self.inbound else self.server.user
        one = () if student in ("", "*") else (student,)
        found: dict[str, list[dict]] = {}
        for sent in sorted(self.server.get("submissions", *names, *one)["submissions"], key=lambda s: s["timestamp"]):
            found.setdefault(sent["student_id"], []).append(self._submission(info, *names, *sent.values()))
        info = info | {"status": "submitted"}
        return [info | {"student_id": who, "submissions": those} for who, those in found.items()]

    def _submission(self, info: dict, course: str, name: str, who: str, when: str) -> dict:
        answer = self.server.get("feedback", course, name, who, timestamp=when, list_only="true")
        there = {page["path"]: page["checksum"] for page in answer["files"]}
        local, notebooks = self.place(course, name) / "feedback" / stamp(when), []
        for page in sorted(unpack(answer)[0]) or [f"{name}.html"]:
            path = str(local / page) if (local / page).is_file() else None
            changed = path and hashlib.md5(read_regular(path), usedforsecurity=False).hexdigest() != there.get(page)
            flags = {"has_local_feedback": bool(path), "has_exchange_feedback": page in there}
            flags |= {"local_feedback_path": path, "feedback_updated": bool(changed and there)}
            notebooks.append({"notebook_id": page.removesuffix(".html"), "path": "", **flags})
        got = all(book["has_local_feedback"] for book in notebooks)
        updated = any(book["feedback_updated"] for book in notebooks)
        info = info | {"student_id": who, "timestamp": stamp(when), "status": "submitted", "path": ""}
        info |= {"local_feedback_path": str(local) if got else None, "has_local_feedback": got}
        return info | {"notebooks": notebooks, "has_exchange_feedback": bool(there), "feedback_updated": updated}

    def remove_files(self) -> list[dict]:
        """Withdraw an assignment (instructors): nobody fetches it any more, and what was handed in stays."""
        if self.inbound or self.cached:
            self.fail("what was handed in stays in the exchange")
        found = self.parse_assignments()
        for info in found:
            self.server.post("assignment", info["course_id"], info["assignment_id"], files={}, replace="true")
        return found


def stamp(when: str) -> str:
    """A time as the service gives it, in nbgrader's form."""
    return f"{when.removesuffix(' UTC')} UTC"


def write(folder: Path, name: str, data: bytes, *, replace: bool) -> None:
    """Write a file within a folder, whole or not at all and through no link; what is there stays, unless `replace`."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent.resolve() != target.parent:
        raise RefusedError(f"{target.parent} is a link: not written")
    if replace or not os.path.lexists(target):
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
            file.write(data)
        os.chmod(file.name, 0o644)
        os.replace(file.name, target)
