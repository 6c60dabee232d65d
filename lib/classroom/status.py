"""`classroom status`, who is where in a project, and `classroom show`, all that is known of one submission."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from dateutil import tz

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder
from classroom.job import CRASHED
from classroom.report import overview, table
from classroom.results import FAILED, read_record, read_result
from classroom.terminal import counted, one_line

NOT_YET = "not graded yet"
NOT_TAKEN = "not taken"  # nothing of what was handed in
_MOST_CHECKS, _LONGEST = 8, 120  # failed checks of a test cell, characters of what one says


def status(folder: Folder, project: str, say: Callable[[str], None]) -> dict:
    """Print who handed in, what came out and what waits: for grading, for a person, or for a machine that works.

    Returns:
        `project`, `released`, `source_changed` (since then), `due` (in UTC), `students` (a record each), `counts` by
        outcome, and `refused` by intake.
    """
    from classroom.intake import refusals

    folder.require(project)
    rows = overview(folder, project)
    due = folder.course.due.get(project) if folder.course else None
    released = is_released(folder, project)
    date = f"due {_local(folder, due)}" if due else "no due date"
    say(f"{project}: {date}, {'released' if released else 'not released yet'}")
    source_changed = released and _source_changed(folder, project)
    for line in table(rows) if rows else []:
        say(line)
    refused = refusals(folder, project)
    for record in refused:
        what = f"{record['student']}/{record['file']}" if record["file"] else record["student"]
        say(f"not taken  {what}: {record['reason']}")
    counts = Counter(row["outcome"] for row in rows)
    by_hand = sum(bool(row["waiting"]) for row in rows)
    said = [f"{number} {outcome}" for outcome, number in sorted(counts.items())]
    said += [f"{by_hand} with a written part that waits for you"] if by_hand else []
    crashed = sum(CRASHED in row["note"] for row in rows)
    said += [f"{crashed} to look at, since {CRASHED}"] if crashed else []
    if rows:
        say(f"{counted(len(rows), 'submission')}: {', '.join(said)}")
    elif released:
        say(f"nobody has handed in yet; when they have: {folder.command('collect', project)}")
    else:
        say(f"next: {folder.command('release', project)}")
    if source_changed:
        what = "amend" if any(row["points"] is not None for row in rows) else "release"
        say(f"the source is not what was released; to use it: {folder.command(what, project)}")
    if counts[NOT_YET] or counts[FAILED] or any(row["changed"] for row in rows):
        say(f"next: {folder.command('autograde', project)}")
    return {
        "project": project,
        "released": released,
        "source_changed": source_changed,
        "due": str(due) if due else None,
        "students": rows,
        "counts": dict(counts),
        "refused": refused,
    }


def _local(folder: Folder, time: datetime) -> str:
    """A time as course.yml's readers know it, and in UTC, as all other times are."""
    zone = tz.gettz(folder.course.text["timezone"] or "UTC")
    local = time.replace(tzinfo=UTC).astimezone(zone)
    shown = f"{local:%Y-%m-%d %H:%M} {local.tzname()}"
    return shown if not local.utcoffset() else f"{shown} ({time:%Y-%m-%d %H:%M} UTC)"


def _source_changed(folder: Folder, project: str) -> bool:
    """Whether the source is another than that of the release; of a release that others made, nobody knows."""
    from classroom.release import source_digest

    released = read_record(folder.record("release", project)).get("source")
    return released is not None and released != source_digest(folder, project)


def is_released(folder: Folder, project: str) -> bool:
    """Whether the project was released to this class."""
    try:
        folder.require_released(project)
    except ClassroomError:
        return False
    return True


def show(folder: Folder, student: str, project: str, say: Callable[[str], None]) -> dict:
    """Print one submission in detail: attempts, grade, what was put right, each cell's status, and where its files are.

    Raises:
        ClassroomError: if the student handed in nothing for this project.
    """
    from classroom.intake import attempts, refusals

    folder.require(project)
    refused = [record for record in refusals(folder, project) if not record.get("stray")]
    taken = {*folder.students(project), *attempts.students(folder, project)}
    everybody = sorted(taken | {record["student"] for record in refused})
    if student not in everybody:
        raise ClassroomError(f"no submission of {student!r} for {project}{near_miss(student, everybody)}")
    result = read_result(folder.record("result", project, student), head=True)
    row = next((row for row in overview(folder, project) if row["student"] == student), {})
    chosen, reasons = attempts.chosen(folder, project, student)
    report = {
        "student": student,
        "project": project,
        "outcome": result.get("outcome", NOT_YET if student in taken else NOT_TAKEN),
        "grade": {name: row.get(name) for name in ("parts", "points", "penalty", "total", "max", "waiting")},
        "result": {name: value for name, value in result.items() if name not in ("answers", "code")},
        "attempts": [
            {"name": kept.name, "time": str(kept.time), "counts": kept == chosen, "why_not": reasons.get(kept.name, "")}
            for kept in attempts.kept(folder, project, student)
        ],
        "refused": [record for record in refused if record["student"] == student],
        "files": _places(folder, student, project),
    }
    for line in _lines(report, row):
        say(line)
    return report


def _places(folder: Folder, student: str, project: str) -> dict[str, str]:
    places = {step: folder.path(step, project, student) for step in ("submitted", "autograded", "feedback")}
    places |= {"attempts": folder.home / "attempts" / project / student}
    places |= {"result": folder.record("result", project, student)}
    return {name: folder.shown(place) for name, place in places.items() if place.exists()}


def _lines(report: dict, row: dict) -> list[str]:
    result = report["result"]
    lines = [f"{report['student']}, {report['project']}: {report['outcome']}"]
    if row.get("total") is not None:
        lines.append(f"grade      {row['total']:g} of {row['max']:g}")
    if row.get("note"):
        lines.append(f"note       {row['note']}")
    if result.get("graded_at"):
        usage = result.get("usage") or {}
        used = f"{usage.get('cpu_seconds', 0):.1f} s of processor time, {usage.get('memory_mb', 0):.0f} MB"
        tries = f", tried {result['attempts']} times" if result.get("attempts", 0) > 1 else ""
        lines.append(f"graded     {result['graded_at'][:19]} UTC, {result.get('seconds', 0):.1f} s ({used}){tries}")
    if result.get("timestamp"):
        lines.append(f"handed in  {result['timestamp']} UTC")
    for attempt in report["attempts"]:
        lines.append(f"attempt    {attempt['name']}: {'counts' if attempt['counts'] else attempt['why_not']}")
    lines += [f"not taken  {record['file'] or 'the submission'}: {record['reason']}" for record in report["refused"]]
    lines += [f"rebuilt    {note}" for note in result.get("rebuilt", [])]
    for name, cells in result.get("cells", {}).items():
        points, stem = result.get("points", {}).get(name, {}), name.removesuffix(".ipynb")
        parts = row.get("parts") or {}  # of all notebooks; where two have one id, it is with its notebook
        parts = {cell: parts.get(f"{stem}/{cell}", parts.get(cell)) for cell in points}
        lines += ["", name, *_cells(cells, points, parts)]
    lines += [""] + [f"{name:<10} {place}" for name, place in report["files"].items()]
    return lines


def _cells(cells: list[dict], points: dict, parts: dict) -> list[str]:
    """A line for each code cell that ran or should have, and for each written part, in the release's order."""
    lines = []
    ran = {cell.get("grade_id") for cell in cells}
    waiting = list(points)  # in the order of the notebook; what is written has not run, and stands between what has

    def written(until: str | None) -> None:
        while waiting and (until is None or until in waiting):
            name = waiting.pop(0)
            if name == until:
                return
            if name not in ran:
                lines.append(f"  {name:<28} {'written':<8} {'':>9}{_points(name, points, parts)}")

    for number, cell in enumerate(cells, 1):
        own = "own " if str(cell.get("id", "")).startswith("own-") else ""  # as rebuild calls the student's
        name = cell.get("grade_id") or f"{own}cell {number}"
        written(name)
        lines.append(f"  {name:<28} {cell['status']:<8} {cell.get('seconds', 0):>7.2f} s{_points(name, points, parts)}")
        lines += _failed(cell.get("checks") or [])
    written(None)
    return lines


def _failed(checks: list[dict]) -> list[str]:
    """A line for each check that failed: for the instructor, so with the error of hidden ones too."""
    failed = [check for check in checks if not check["passed"]]
    lines = []
    for check in failed[:_MOST_CHECKS]:
        kind = "hidden check" if check.get("hidden") else "check"
        why = check.get("error") or check.get("hint") or ""
        lines.append(f"      failed: {kind} {one_line(check['name'])[:60]}: {one_line(why)[:_LONGEST]}".rstrip(": "))
    more = len(failed) - _MOST_CHECKS
    return lines + ([f"      and {counted(more, 'check')} more"] if more > 0 else [])


def _points(name: str, points: dict, parts: dict) -> str:
    if name not in points:
        return ""
    earned = parts.get(name)
    most = points[name]["max"]
    return f"   waits for you (at most {most:g})" if earned is None else f"   {earned:g} of {most:g}"
