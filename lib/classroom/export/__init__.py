"""`classroom export`: points for a spreadsheet, for Canvas and for Moodle, as each of them takes them in."""

from collections.abc import Callable, Sequence
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.export.points import Choice
from classroom.folder import Folder
from classroom.results import require_target, write_atomically, writing
from classroom.terminal import counted

FORMATS = ("csv", "canvas", "moodle")
PLACE = "exports"  # below the class's folder: what goes to a learning platform, all of it made anew each time
NOTHING = "nothing has been released to this class yet, so there are no points"
_MOST_NAMED = 12


def export(
    folder: Folder,
    say: Callable[[str], None],
    *,
    to: str = "csv",
    projects: Sequence[str] = (),
    source: Path | None = None,
    out: Path | None = None,
    choice: Choice | None = None,
) -> dict:
    """Write everybody's points.

    Args:
        to: one of FORMATS.
        projects: only these.
        source: what the platform exported: Canvas's gradebook (needed), or Moodle's grading worksheet.
        out: where to; by default into the class's folder.
        choice: which points.

    Returns:
        `format`, `file`, `lines` (how many students' rows), `waiting`: who lacks points that a person has to give.
        For a platform also `projects`: by name its `column`, how many were `filled`, who was left as they were and why
        (`waiting`, `excused`, `locked`, `empty`), and who has `too_many` points. With `source` also `matched`: by
        student, the column that told; `unknown`: rows of people whom the gradebook does not know; `refused`: rows
        whose columns contradict each other, with what they say; `missing`: whose grade found no row; `odd_lines`:
        numbers of lines with too many cells; `without_column`: projects that Canvas's file has no column for.

    Raises:
        ClassroomError: options or tables do not fit together, or the file cannot be written.
    """
    choice = choice or Choice()
    _require_fitting(to, source, choice)
    for project in (*projects, *choice.columns):
        folder.require_released(project)
    name = f"{to}.csv"
    if to == "csv":
        from classroom.export.table import table

        if not folder.has_gradebook():
            raise ClassroomError(NOTHING)
        text, lines, waiting = table(folder, projects)
        report = {"waiting": waiting}
    else:
        text, lines, report, name = _for_platform(folder, to, projects, source, choice)
        report["waiting"] = sorted({student for one in report["projects"].values() for student in one["waiting"]})
    target = out or (folder.home / "grades.csv" if to == "csv" else folder.home / PLACE / name)
    _require_writable(target, source, ours=out is None)
    write_atomically(target, text, mode=0o600)
    _tell(report, to, choice, say)
    say(f"{counted(lines, 'line')} in {folder.shown(target)}")
    return {"format": to, "file": str(target), "lines": lines, **report}


def _for_platform(
    folder: Folder, to: str, projects: Sequence[str], source: Path | None, choice: Choice
) -> tuple[str, int, dict, str]:
    from classroom.export.canvas import canvas
    from classroom.export.moodle import moodle, worksheet
    from classroom.export.sheet import read_sheet

    named, projects = bool(projects), projects or _released(folder)
    if source is None:
        return *moodle(folder, projects, choice), "moodle.csv"
    sheet = read_sheet(source)
    if to == "canvas":
        return *canvas(folder, sheet, projects, choice, named=named), "canvas.csv"
    if len(projects) != 1:
        raise ClassroomError(f"a grading worksheet is one assignment's; say whose: {', '.join(projects)}")
    return *worksheet(folder, sheet, projects[0], choice), f"moodle-{projects[0]}.csv"


def _released(folder: Folder) -> list[str]:
    if folder.has_gradebook():
        with folder.gradebook() as gradebook:
            known = {assignment.name for assignment in gradebook.assignments if assignment.notebooks}
        if found := [project for project in folder.projects() if project in known]:
            return found
    raise ClassroomError(NOTHING)


def _require_fitting(to: str, source: Path | None, choice: Choice) -> None:
    if to not in FORMATS:
        raise ClassroomError(
            f"--to {to}: expected {', '.join(FORMATS)}; the name of a file goes after --out, as in: "
            "classroom export --out grades.csv"
        )
    if to == "canvas" and source is None:
        raise ClassroomError(
            "--to canvas needs the gradebook that Canvas exported (Grades, Export): --from 'Grades-Course.csv'"
        )
    if to == "csv" and (source or choice != Choice()):
        raise ClassroomError("--to csv has points, penalties and what remains for everybody; only --out goes with it")
    if choice.columns and to != "canvas":
        raise ClassroomError("--column is for --to canvas; Moodle asks itself which column is which")
    if choice.scale and source is None:
        raise ClassroomError("--scale needs the platform's file, which says out of how many points: --from FILE")


def _require_writable(target: Path, source: Path | None, *, ours: bool) -> None:
    if ours:
        with writing(target.parent):
            target.parent.mkdir(mode=0o700, exist_ok=True)
    require_target("--out", target)
    if source and target.exists() and target.samefile(source):
        raise ClassroomError(f"--out {target}: that is the platform's own file, which stays as it is")


def _tell(report: dict, to: str, choice: Choice, say: Callable[[str], None]) -> None:
    """What was not written, and why, in lines that name people."""
    platform = to.capitalize()
    for project, one in report.get("projects", {}).items():
        say(f"{project}: {counted(one['filled'], 'grade')} in column {one['column']}")
        left = {
            "excused": f"excused or not assigned in {platform}, left so",
            "locked": f"cannot be changed in {platform}, left so",
            "empty": "no grade, the cell is empty: an import takes away what Moodle has there",
            "too_many": "more than the maximum: Moodle will not take these",
        }
        for field, words in left.items():
            if one.get(field):
                say(f"{project}: {words}: {_named(one[field])}")
    for project in report.get("without_column", []):
        say(f"{project}: left out, no column has its name or title; to fill one in: --column '{project}=TITLE'")
    if report["waiting"]:
        left = "left as they were" if "matched" in report else "left out"
        how = "written without these points" if to == "csv" or choice.incomplete else f"{left} (--incomplete)"
        say(f"written parts wait for you, {how}: {_named(report['waiting'])}")
    for column, why in report.get("left_out_columns", {}).items():
        say(f"no column {column}: {why}")
    if "matched" in report:
        by = list(report["matched"].values())
        say("found by " + (", ".join(f"{column} {by.count(column)}" for column in dict.fromkeys(by)) or "nothing"))
        only = sorted(student for student, column in report["matched"].items() if column == "name")
        if only:
            say(f"by name alone, have a look: {_named(only)}")
        for name, why in report["refused"].items():
            say(f"left as it was: {name}: {why}")
        if report["unknown"]:
            say(f"not in this class's gradebook, left as they were: {_named(report['unknown'])}")
        if report["missing"]:
            say(f"GRADED HERE, BUT NOT FOUND in {platform}'s file: {_named(report['missing'])}")
        if report["odd_lines"]:
            say(f"too many cells, left out: lines {', '.join(map(str, report['odd_lines']))}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
