"""A course folder and one class in it: where things lie, which projects there are, nbgrader's settings.

The folder is the one that holds nbgrader_config.py. A class is a folder inside it (`course`, or `_build/demo`) with
submissions, autograded notebooks, feedback, result files and a gradebook.
"""

import fcntl
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from classroom.course import Course, Project, read_course, read_project
from classroom.errors import ClassroomError, near_miss
from classroom.terminal import one_line

CONFIG = "nbgrader_config.py"
_LONGEST_NAME = 200  # bytes: names of files are made of it


class Messages(logging.Handler):
    """What nbgrader said since the last `clear`; we print what matters of it ourselves."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))

    def clear(self) -> None:
        self.lines.clear()

    def errors(self) -> str:
        """The messages at level error, one after the other."""
        return "\n".join(text for level, text in self.lines if level >= logging.ERROR)

    def cause(self) -> str:
        """The last line of the first traceback, or else the first error, as the most telling single line."""
        for _, text in self.lines:
            if text.startswith("Traceback"):
                return text.strip().splitlines()[-1]
        return next(iter(self.errors().splitlines()), "nbgrader gave no reason")


class Folder:
    """One class of the course whose folder is `root`.

    Args:
        root: the folder with nbgrader_config.py.
        class_dir: the class, relative to `root`.
    """

    def __init__(self, root: Path, class_dir: str = "course") -> None:
        self.root = root
        self.class_dir = class_dir
        self._option: list[str] = []  # with which the command line named the class
        self.messages = Messages()

    @classmethod
    def find(cls, class_dir: str | None = None, start: Path | None = None) -> "Folder":
        """The course folder that `start` (the current folder) lies in; the class from CLASSROOM_DIR if not given."""
        start = (start or Path.cwd()).resolve()
        root = next((place for place in (start, *start.parents) if (place / CONFIG).is_file()), None)
        if root is None:
            raise ClassroomError(f"no course here: expected {CONFIG} in {start} or in a folder above it")
        if class_dir is None:
            return cls(root, os.environ.get("CLASSROOM_DIR", "course"))
        # A relative path keeps nbgrader's own pattern matching of paths intact.
        made = cls(root, os.path.relpath(Path.cwd() / class_dir, root))
        made._option = ["--course", class_dir]
        return made

    @property
    def home(self) -> Path:
        """The class's folder."""
        return self.root / self.class_dir

    def require_class(self) -> None:
        """See that there is a class: what only reads one makes none of a mistyped name.

        Raises:
            ClassroomError: if there is neither its folder nor a gradebook.
        """
        if not self.home.is_dir() and not self.has_gradebook():
            first = self.command("release")
            raise ClassroomError(f"there is no class in {self.shown(self.home)}; to begin one: {first}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the class while writing to it; a second command that writes is told so instead of mixing in.

        Raises:
            ClassroomError: if somebody holds it, or the folder cannot be written to.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = open(self.home / ".lock", "w")  # noqa: SIM115  (closed below)
        except OSError as error:
            where = self.shown(self.home)
            raise ClassroomError(f"cannot write in {where}: {(error.strerror or str(error)).lower()}") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ClassroomError(
                    f"another classroom command is working in {self.shown(self.home)}; wait until it has ended"
                ) from None
            yield

    @cached_property
    def course(self) -> Course | None:
        """What course.yml says, or None in an nbgrader course without one."""
        path = self.root / "course.yml"
        return read_course(path) if path.exists() else None

    @cached_property
    def app(self):
        """nbgrader's application, configured by this folder's nbgrader_config.py, and quiet (two seconds to import)."""
        # nbgrader starts `alembic` by name when it makes a gradebook.
        here = os.path.dirname(sys.executable)
        if here not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
        os.environ["CLASSROOM_DIR"] = self.class_dir  # nbgrader_config.py reads it
        from nbgrader.apps import NbGrader

        app = NbGrader()
        app.log.handlers[:] = [self.messages]
        app.log.propagate = False
        app.load_cwd_config = False  # this folder's settings, wherever we stand
        absent = [place for place in (self.home, *self.home.parents) if not place.is_dir()]
        app.initialize([], root=str(self.root))
        for place in absent:  # settings may make it; but what only looks at a course begins no class
            with suppress(OSError):
                place.rmdir()
        app.log.handlers[:] = [self.messages]
        app.log.setLevel(logging.INFO)
        return app

    @property
    def coursedir(self):
        """nbgrader's description of the folder: names of the steps, patterns, the gradebook's address."""
        return self.app.coursedir

    def gradebook(self):
        """nbgrader's gradebook; use it in a `with` statement."""
        from classroom.gradebook import open_gradebook

        return open_gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def path(self, step: str, project: str, student: str = ".") -> Path:
        """Where a step keeps a project: `step` is source, release, submitted, autograded or feedback."""
        directory = getattr(self.coursedir, f"{step}_directory")
        return Path(os.path.normpath(self.coursedir.format_path(directory, student, project)))

    def students(self, project: str) -> list[str]:
        """Who has a folder for this project under submitted/, in alphabetical order."""
        return [name for name in self._submitted(project) if _is_possible(name)]

    def misnamed(self, project: str) -> list[str]:
        """What has a folder for this project under submitted/, but a name that nobody can have here."""
        return [one_line(name) for name in self._submitted(project) if not _is_possible(name)]

    def _submitted(self, project: str) -> list[str]:
        top = self.path("submitted", ".", ".")
        if not top.is_dir():
            return []
        places = (place for place in top.iterdir() if not place.name.startswith("."))
        # Links too, though they are not followed: they get an outcome, refused.
        return sorted(place.name for place in places if os.path.lexists(place / project))

    def record(self, kind: str, project: str, student: str | None = None) -> Path:
        """The file of a result (`kind` is result, feedback or release)."""
        name = f"{kind}.json" if student is None else f"{student}.{kind}.json"
        return self.home / "results" / project / name

    def projects(self) -> list[str]:
        """The projects of this class: those of course.yml, else every folder with a source notebook."""
        if self.course is not None:
            return list(self.course.due)
        top = self.path("source", ".")
        return sorted({notebook.parent.name for notebook in top.glob("*/*.ipynb")})

    def require(self, project: str) -> str:
        """The project's name, if it is one of this class.

        Raises:
            ClassroomError: naming the near misses, or what is missing.
        """
        known = self.projects()
        if project not in known:
            # nbgrader, which knows where sources are, takes a second or two to import.
            beside = self.has_beside(project) and self.path("source", project).is_dir()
            hint = "; add it under projects: in course.yml" if beside else near_miss(project, known)
            raise ClassroomError(f"no project {project!r}{hint}")
        if not list(self.path("source", project).glob("*.ipynb")):
            shown = os.path.relpath(self.path("source", project), self.root)
            raise ClassroomError(f"project {project!r} has no notebook: expected {shown}/*.ipynb")
        return project

    def has_beside(self, project: str) -> bool:
        """Whether any folder of the course has one of this name in it: what is quickly seen of a mistyped project."""
        # Not pathlib's, which ends at a folder that we may not enter.
        return any(os.path.isdir(place / project) for place in self.root.iterdir())

    def require_source(self, project: str) -> str:
        """The project's name, if there is a notebook of it, whether or not this class gives it.

        Raises:
            ClassroomError: naming the near misses.
        """
        found = {notebook.parent.name for notebook in self.path("source", ".").glob("*/*.ipynb")}
        if project not in found:
            raise ClassroomError(f"no project {project!r}{near_miss(project, {*found, *self.projects()})}")
        return project

    def require_released(self, project: str) -> str:
        """The project's name, if it was released to this class, by us or by `nbgrader generate_assignment`.

        Raises:
            ClassroomError: if it was not; it says which command is missing.
        """
        self.require(project)
        notebooks = list(self.path("release", project).glob("*.ipynb"))
        if not notebooks or not (self.record("release", project).exists() or self._in_gradebook(project)):
            first = self.command("release", project)
            raise ClassroomError(f"{project} has not been released to this class; first: {first}")
        return project

    def require_submitted(self, student: str, project: str) -> None:
        """See that a student handed in a project.

        Raises:
            ClassroomError: naming the near misses.
        """
        everybody = self.students(project)
        if student not in everybody:
            raise ClassroomError(f"no submission of {student!r} for {project}{near_miss(student, everybody)}")

    def has_gradebook(self) -> bool:
        """Whether there is a gradebook already; asking it would make one."""
        url = self.coursedir.db_url
        return not url.startswith("sqlite:///") or os.path.exists(url.removeprefix("sqlite:///"))

    def _in_gradebook(self, project: str) -> bool:
        if not self.has_gradebook():
            return False
        with self.gradebook() as gradebook:
            known = [assignment for assignment in gradebook.assignments if assignment.name == project]
            return bool(known and known[0].notebooks)

    def project(self, name: str) -> Project | None:
        """What project.yml says, or None where there is none."""
        path = self.path("source", name) / "project.yml"
        return read_project(path) if path.exists() else None

    def command(self, *words: str) -> str:
        """A command for this class as the person at the keyboard would type it."""
        return shlex.join(["classroom", *words, *self._option])

    def shown(self, path: Path) -> str:
        """A path as the person at the keyboard would type it."""
        return os.path.relpath(path)


def _is_possible(student: str) -> bool:
    """Whether a name can stand in files, the gradebook and the table of grades, where a spreadsheet obeys an `=`."""
    return one_line(student) == student and len(os.fsencode(student)) <= _LONGEST_NAME and student[0] not in "=+-@"
