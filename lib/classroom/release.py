"""`classroom release`: the student's version of a project, made by nbgrader from the one in solutions/."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.folder import CONFIG, Folder
from classroom.partnames import PartNames
from classroom.results import digest, read_record, write_record, writing


def release(folder: Folder, projects: list[str], say: Callable[[str], None]) -> dict:
    """Make the releases whose source has changed, and set the due dates.

    Raises:
        ClassroomError: if a source notebook and its project.yml disagree, or nbgrader cannot make the release.
    """
    done = {}
    for project in projects:
        folder.require(project)
        target = folder.path("release", project)
        source_hash = source_digest(folder, project)
        record = read_record(folder.record("release", project))
        unchanged = (
            record.get("source") == source_hash
            and target.is_dir()
            and record.get("release") == _release_digest(target)
            and _known(folder, project)
        )
        if unchanged:
            _set_due_dates(folder)
            say(f"{project}: unchanged")
        else:
            check_points(folder, project)
            _generate(folder, project)
            _set_due_dates(folder)
            write_record(folder.record("release", project), {"source": source_hash, "release": _release_digest(target)})
            say(f"{project}: released to {folder.shown(target)}")
        done[project] = {"changed": not unchanged, "path": str(target)}
    return {"released": done}


def source_digest(folder: Folder, project: str) -> str:
    """One hash over everything that a release is made of."""
    source = folder.path("source", project)
    files = [path for path in source.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts]
    files = [path for path in files if path.name != "demo.yml" and path.suffix != ".pyc"]
    settings = (folder.root / CONFIG).read_text(encoding="utf-8")
    return digest(files, source, settings, version("nbgrader"))


def check_points(folder: Folder, project: str) -> None:
    """Hold project.yml against the notebook: the same graded cells with the same points.

    Raises:
        ClassroomError: naming the first cell on which they disagree.
    """
    described = folder.project(project)
    if described is None:
        return
    import nbformat

    points, cells = {}, []
    for path in sorted(folder.path("source", project).glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            meta = cell.metadata.get("nbgrader", {})
            cells.append((path.stem, meta.get("grade_id")))
            if meta.get("grade"):
                points[path.stem, meta["grade_id"]] = float(meta["points"])
    names = PartNames(cells)
    found = {names.of(*cell): number for cell, number in points.items()}
    written = {part.cell: float(part.points) for part in described.parts}
    for cell in sorted(found.keys() | written.keys()):
        if found.get(cell) != written.get(cell):
            in_yml, in_notebook = (
                "no such cell" if points is None else f"{points:g} points"
                for points in (written.get(cell), found.get(cell))
            )
            raise ClassroomError(f"{project}, cell {cell}: project.yml says {in_yml}, the notebook says {in_notebook}")


def _generate(folder: Folder, project: str) -> None:
    from nbgrader.converters import GenerateAssignment, NbGraderException

    folder.coursedir.assignment_id = project
    folder.messages.clear()
    folder.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # the gradebook is made in it
    converter = GenerateAssignment(coursedir=folder.coursedir, parent=folder.app)
    converter.force = True
    try:
        with _kept(folder, folder.path("release", project)):
            converter.start()
    except (NbGraderException, SystemExit):
        cause = folder.messages.cause()
        if "submissions associated" in cause:
            amend = folder.command("amend", project)
            cause = f"somebody has handed in, and cells or notebooks came or went; type: {amend}"
        raise ClassroomError(f"{project}: nbgrader could not make the release: {cause}") from None


@contextmanager
def _kept(folder: Folder, target: Path) -> Iterator[None]:
    """Put the release that stood there back if a new one cannot be made: nbgrader removes it first."""
    kept = folder.home / f".{target.name}.release"
    with writing(kept):
        if kept.exists():  # of an interrupted run
            shutil.rmtree(kept)
        if target.is_dir():
            shutil.copytree(target, kept)
    try:
        yield
    except BaseException:
        if kept.exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(kept, target)
        raise
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def _release_digest(target: Path) -> str:
    return digest([path for path in target.rglob("*") if path.is_file()], target) if target.is_dir() else ""


def _known(folder: Folder, project: str) -> bool:
    """Whether the gradebook holds this project: somebody may have removed the file."""
    url = folder.coursedir.db_url
    if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        return False
    with folder.gradebook() as gradebook:
        return any(assignment.name == project for assignment in gradebook.assignments)


def _set_due_dates(folder: Folder) -> None:
    if folder.course is not None:
        from classroom.late import set_due_dates

        with folder.gradebook() as gradebook:
            set_due_dates(gradebook, folder.course)
