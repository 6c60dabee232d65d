"""autograded/STUDENT/PROJECT as nbgrader leaves it: sanitised notebooks, the project's own files, time and secret."""

import json
import os
import shutil
from collections.abc import Set
from pathlib import Path

from nbgrader.converters import Autograde
from nbgrader.utils import find_all_files, parse_utc

from classroom.errors import RefusedError
from classroom.folder import Folder
from classroom.intake import SECRET, TIMESTAMP, read_regular
from classroom.results import writing
from classroom.sanitise import clean_notebook

_SECRET_BYTES = 1024
# Formgrader serves what stands here on the instructor's own origin, so a student's file of such a kind stays away.
_ACTIVE = {".htm", ".html", ".js", ".mhtml", ".mjs", ".svg", ".svgz", ".xht", ".xhtml", ".xml", ".xsl", ".xslt"}


class Autograded:
    """Makes one project's folders.

    Args:
        folder: the class.
        project: a released project.
        trusted: texts of the instructor's, as for `clean_notebook`.
    """

    def __init__(self, folder: Folder, project: str, trusted: Set[str]) -> None:
        self.folder, self.project, self.trusted = folder, project, trusted
        self.mode = 0o664 if folder.coursedir.groupshared else 0o444
        self.expected = {path.name for path in folder.path("release", project).glob("*.ipynb")}
        self.students_own = set(Autograde(parent=folder.app).exclude_overwriting.get(project, []))
        source = folder.path("source", project)
        found = find_all_files(str(source), [*folder.coursedir.ignore, "*.ipynb"])
        self.files = sorted(os.path.relpath(path, source) for path in found)

    def target(self, student: str) -> Path:
        """Where a student's autograded notebooks stand."""
        return self.folder.path("autograded", self.project, student)

    def make(self, record: dict) -> Path:
        """Make the folder of a result beside its place; `swap` puts it there.

        Raises:
            ClassroomError: a full disk, a read-only folder; nothing of it is left then.
        """
        target = self.target(record["student"])
        fresh = target.with_name(f".{self.project}.new")
        with writing(target):
            if fresh.exists():  # of an interrupted run
                shutil.rmtree(fresh)
            fresh.mkdir(parents=True)
            try:
                self._fill(fresh, record)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        return fresh

    def swap(self, fresh: Path, student: str) -> None:
        """Put a finished folder in its place; what stood there is removed afterwards."""
        target = self.target(student)
        old = target.with_name(f".{self.project}.old")
        with writing(target):
            if old.exists():  # of an interrupted run
                shutil.rmtree(old)
            if target.exists():
                target.rename(old)
            fresh.rename(target)
            if old.exists():
                shutil.rmtree(old)

    def _fill(self, fresh: Path, record: dict) -> None:
        source = self.folder.path("source", self.project)
        submitted = self.folder.path("submitted", self.project, record["student"])
        contents: dict[str, bytes | Path] = {
            name: source / name for name in self.files if name not in self.students_own
        }
        for name in sorted(self.students_own):
            own = _regular(submitted / name)
            if own is not None and Path(name).suffix.lower() not in _ACTIVE:
                contents[name] = own
        for name, notebook in record["notebooks"].items():
            if name in self.expected:
                text = json.dumps(clean_notebook(notebook, self.trusted), indent=1, sort_keys=True, ensure_ascii=False)
                contents[name] = f"{text}\n".encode()
        if record.get("timestamp"):
            contents[TIMESTAMP] = f"{parse_utc(record['timestamp'])} UTC\n".encode()
        secret = _regular(submitted / SECRET)
        if secret is not None and len(secret) <= _SECRET_BYTES:
            contents[SECRET] = secret
        for name, content in contents.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, place)
            else:
                place.write_bytes(content)
            os.chmod(place, self.mode)


def _regular(path: Path) -> bytes | None:
    """The bytes of a student's file; None if there is none, or something else than a file."""
    try:
        return read_regular(path)
    except RefusedError:
        return None
