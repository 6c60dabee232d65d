"""`classroom demo`: a made-up class goes through release, collect, autograde, feedback and export.

Its submissions stand in solutions/PROJECT/demo.yml as patches to answer cells. The class lives in _build/demo with a
gradebook of its own, and nothing there is anybody's data.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import yaml

from classroom.autograde import Wishes, autograde
from classroom.classseed import make_secret
from classroom.engine import Engine
from classroom.errors import ClassroomError, near_miss
from classroom.export import export
from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.intake import TIMESTAMP, collect
from classroom.release import release
from classroom.report import overview, table
from classroom.results import write_atomically

BANK = "demo.yml"
CELL_SECONDS = 20  # one submission a project never ends; a real class has the limit of project.yml
SOLUTION = "solution"  # in a bank: the answer of the source notebook


def demo(
    folder: Folder,
    projects: list[str],
    say: Callable[[str], None],
    *,
    engine: Engine,
    wishes: Wishes | None = None,
) -> dict:
    """Take the demo class of each project through the whole cycle; what is done already is not done again.

    Args:
        engine: runs the submissions.
        wishes: limits, and how they are started.

    Raises:
        ClassroomError: if no project has a demo class.
    """
    wishes = wishes or Wishes()
    wishes = replace(wishes, cell_seconds=wishes.cell_seconds or CELL_SECONDS)
    with_bank = [name for name in projects if (folder.path("source", name) / BANK).exists()]
    if not with_bank:
        names = ", ".join(projects)
        raise ClassroomError(f"no demo class for {names}: expected {BANK} beside the source notebook")
    report = {}
    release(folder, with_bank, say)
    make_secret(folder, hashlib.sha256(b"the demo class").digest())  # the same grades everywhere
    for project in with_bank:
        members = write_inbound(folder, project)
        collect(folder, project, inbound(folder, project), say)
        autograde(folder, project, say, engine=engine, wishes=wishes)
        feedback(folder, project, say)
        rows = overview(folder, project)
        for row in rows:
            row["kind"] = members[row["student"]]["kind"]
        report[project] = sorted(rows, key=lambda row: list(members).index(row["student"]))  # as the bank lists them
    written = export(folder, say)
    for project, rows in report.items():
        say(f"\n{project}")
        for line in table(rows, extra="kind"):
            say(line)
        pages = folder.path("feedback", project, "STUDENT") / "*.html"
        say(f"\nfeedback   {folder.shown(pages)}")
    say(f"grades     {folder.shown(Path(written['file']))}")
    say(f"gradebook  {folder.shown(folder.home / 'gradebook.db')}")
    return {"projects": report, "grades": written["file"]}


def inbound(folder: Folder, project: str) -> Path:
    """Where the demo class hands in."""
    return folder.home / "inbound" / project


def write_inbound(folder: Folder, project: str) -> dict[str, dict]:
    """Write the submissions of the bank, as far as they are not there yet; the members by student."""
    path = folder.path("source", project) / BANK
    members = {member["student"]: member for member in yaml.safe_load(path.read_text(encoding="utf-8"))}
    due = (folder.course.due.get(project) if folder.course else None) or datetime(2026, 1, 1)
    for student, member in members.items():
        when = due + timedelta(hours=member.get("hours", -24))
        place = inbound(folder, project) / student
        for notebook in sorted(folder.path("release", project).glob("*.ipynb")):
            source = folder.path("source", project) / notebook.name
            text = submission(notebook, source, member.get("cells", {}), member.get("helpers", {}))
            _write_if_new(place / notebook.name, text)
        _write_if_new(place / TIMESTAMP, f"{when:%Y-%m-%d %H:%M:%S} UTC\n")
    return members


def submission(
    release_path: Path, source_path: Path, cells: dict[str, str], helpers: dict[str, str] | None = None
) -> str:
    """The released notebook with some answer cells replaced, as text.

    Args:
        cells: source text by grade_id; `solution` stands for the source notebook's own answer.
        helpers: source text of code cells of the student's own, by the grade_id of the answer cell that they precede.

    Raises:
        ClassroomError: for a grade_id that is not an answer cell of the notebook.
    """
    notebook = nbformat.read(release_path, as_version=4)
    source = nbformat.read(source_path, as_version=4)
    solutions = {_grade_id(cell): _without_marks(cell.source) for cell in source.cells}
    answers = {_grade_id(cell): cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")}
    for grade_id in (*cells, *(helpers or {})):
        if grade_id not in answers:
            hint = near_miss(grade_id, answers)
            raise ClassroomError(f"{BANK}: {release_path.name} has no answer cell {grade_id!r}{hint}")
    for grade_id, text in (helpers or {}).items():
        own = nbformat.v4.new_code_cell(text.rstrip("\n"), id=f"own-{grade_id}")  # the same bytes each time
        notebook.cells.insert(notebook.cells.index(answers[grade_id]), own)
    for grade_id, text in cells.items():
        answers[grade_id].source = solutions[grade_id] if text.strip() == SOLUTION else text.rstrip("\n")
    return nbformat.writes(notebook) + "\n"


def _grade_id(cell: nbformat.NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _without_marks(source: str) -> str:
    marks = ("### BEGIN SOLUTION", "### END SOLUTION")
    return "\n".join(line for line in source.splitlines() if line.strip() not in marks)


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)
