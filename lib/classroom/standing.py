"""What a grade stands on: the hash of what was handed in, and of what it is graded with.

As long as neither changes, the grade stands. `autograde` asks this of each submission, and `status` too.
"""

import base64
import hashlib
import importlib.util
import json
import os
from functools import cached_property
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import GRADED, REFUSED, STUDENT_ERROR, digest


def submission_digest(place: Path) -> str:
    """The hash of what was handed in; links count by where they point, since they are not followed."""
    from classroom.intake.files import MAX_FILE

    if place.is_symlink() or place.parent.is_symlink():
        return digest([], place, f"link {place.resolve()}")
    try:
        return _contents_digest(place, MAX_FILE)
    except OSError as error:  # a folder that may not be entered, a file that went: intake's checks find words for it
        return digest([], place, f"unreadable {error.strerror}")


def _contents_digest(place: Path, most: int) -> str:
    paths = sorted(place.rglob("*"))
    others = [f"{path.relative_to(place)} -> {os.readlink(path)}" for path in paths if path.is_symlink()]
    regular = [path for path in paths if path.is_file() and not path.is_symlink()]
    readable = [path for path in regular if os.access(path, os.R_OK)]
    others += [f"unreadable {path.relative_to(place)}" for path in regular if path not in readable]
    # What is too large to be taken is not read either: a file with a hole in it may be of any size.
    large = {path: found for path in readable if (found := path.stat()).st_size > most}
    others += [f"large {path.relative_to(place)} {found.st_size} {found.st_mtime_ns}" for path, found in large.items()]
    return digest([path for path in readable if path not in large], place, *others)


def examination(folder: Folder, project: str, masters: dict, *, make: bool = False) -> dict:
    """What a job is told of the tests: `plan` by notebook, `seed`, `call_seconds`, and the names that are `withheld`.

    Args:
        masters: of `classroom.rebuild.master`.
        make: the class's secret, where there is none yet.
    """
    from classroom.classseed import class_seed
    from classroom.course import limits_for
    from classroom.plan import plans

    described = folder.project(project)
    made = plans(folder, project, masters)
    python = any(any(known.values()) for known in made.values())  # the plan of another language is empty
    return {
        "plan": made,
        "seed": class_seed(folder, project, make=make),
        "call_seconds": limits_for(folder.course, described).get("call_seconds"),
        "withheld": list(described.withheld) if described and python else [],
    }


def grader_digest(masters: dict, files: dict[str, str], examined: dict) -> str:
    """The hash of what submissions are graded with; `examined` is what `examination` says."""
    hasher = hashlib.sha256()
    told = {name: examined[name] for name in ("plan", "seed", "withheld")}  # limits touch no grade that stands
    hasher.update(json.dumps(told, sort_keys=True).encode())
    for name, notebook in sorted(masters.items()):
        for cell in notebook.cells:
            meta = cell.metadata.get("nbgrader", {})
            told = [cell.cell_type, cell.source, *(f"{key}={meta[key]}" for key in sorted(meta) if key != "checksum")]
            for text in (name, *told):
                hasher.update(f"{len(text)}:{text}".encode())
    for name, content in sorted(files.items()):
        hasher.update(f"{len(name)}:{name}{len(content)}:{content}".encode())
    package = importlib.util.find_spec("deeppractice")
    if package is not None:
        hasher.update(Path(package.origin).with_name("checks.py").read_bytes())
    return hasher.hexdigest()


def files_along(folder: Folder, project: str, expected: list[str]) -> dict[str, str]:
    """What goes along with each job beside the notebooks: the instructor's own files, as in nbgrader."""
    place = folder.path("release", project)
    names = [name for name in expected if not name.endswith(".ipynb")]
    return {name: base64.b64encode((place / name).read_bytes()).decode() for name in names}


class Since:
    """What changed after grading, for many submissions of a project; what they share is looked at once."""

    def __init__(self, folder: Folder, project: str) -> None:
        self.folder, self.project = folder, project

    @cached_property
    def grader(self) -> str | None:
        """The hash of what a submission would be graded with now; None where that can't be said before it is tried."""
        from classroom.intake import expected_files
        from classroom.rebuild import master

        try:
            masters = master(self.folder, self.project)
        except ClassroomError:  # release and gradebook do not belong together: `autograde` says so
            return None
        files = files_along(self.folder, self.project, expected_files(self.folder, self.project))
        return grader_digest(masters, files, examination(self.folder, self.project, masters))

    def changed(self, student: str, result: dict) -> str:
        """In words what is not as it was when a result came to be; empty: nothing, or nothing was graded."""
        if result.get("outcome") not in (GRADED, REFUSED, STUDENT_ERROR):
            return ""
        if submission_digest(self.folder.path("submitted", self.project, student)) != result["submission"]:
            return "changed since it was graded"
        return "" if self.grader in (result["grader"], None) else "the release has changed since it was graded"
