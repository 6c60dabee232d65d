"""`classroom status`, who is where in a project, and `classroom show`, all that is known of one submission."""

from collections import Counter
from collections.abc import Callable

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder
from classroom.report import overview, table
from classroom.results import FAILED, read_result

NOT_YET = "not graded yet"


def status(folder: Folder, project: str, say: Callable[[str], None]) -> dict:
    """Print who handed in, what came out and what waits: for grading, for a person, or for a machine that works.

    Returns:
        `project`, `released`, `due`, `students` (a record each), `counts` by outcome, and `refused` by intake.
    """
    from classroom.intake import refusals

    folder.require(project)
    rows = overview(folder, project)
    due = folder.course.due.get(project) if folder.course else None
    released = is_released(folder, project)
    date = f"due {due:%Y-%m-%d %H:%M} UTC" if due else "no due date"
    say(f"{project}: {date}, {'released' if released else 'not released yet'}")
    for line in table(rows):
        say(line)
    refused = refusals(folder, project)
    for record in refused:
        what = f"{record['student']}/{record['file']}" if record["file"] else record["student"]
        say(f"not taken  {what}: {record['reason']}")
    counts = Counter(row["outcome"] for row in rows)
    by_hand = sum(bool(row["waiting"]) for row in rows)
    said = [f"{number} {outcome}" for outcome, number in sorted(counts.items())]
    said += [f"{by_hand} with a written part that waits for you"] if by_hand else []
    if rows:
        say(f"{len(rows)} submissions: {', '.join(said)}")
    if counts[NOT_YET] or counts[FAILED]:
        say(f"next: classroom autograde {project}")
    return {
        "project": project,
        "released": released,
        "due": str(due) if due else None,
        "students": rows,
        "counts": dict(counts),
        "refused": refused,
    }


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
    everybody = sorted({*folder.students(project), *attempts.students(folder, project)})
    if student not in everybody:
        raise ClassroomError(f"no submission of {student!r} for {project}{near_miss(student, everybody)}")
    result = read_result(folder.record("result", project, student), head=True)
    row = next((row for row in overview(folder, project) if row["student"] == student), {})
    chosen, reasons = attempts.chosen(folder, project, student)
    report = {
        "student": student,
        "project": project,
        "outcome": result.get("outcome", NOT_YET),
        "grade": {name: row.get(name) for name in ("parts", "points", "penalty", "total", "max", "waiting")},
        "result": {name: value for name, value in result.items() if name not in ("answers", "code")},
        "attempts": [
            {"name": kept.name, "time": str(kept.time), "counts": kept == chosen, "why_not": reasons.get(kept.name, "")}
            for kept in attempts.kept(folder, project, student)
        ],
        "refused": refusals(folder, project, student),
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
        lines += ["", name, *_cells(cells, result.get("points", {}).get(name, {}), row.get("parts") or {})]
    lines += [""] + [f"{name:<10} {place}" for name, place in report["files"].items()]
    return lines


def _cells(cells: list[dict], points: dict, parts: dict) -> list[str]:
    """A line for each code cell that ran or should have, and for each written part."""
    lines = []
    for number, cell in enumerate(cells, 1):
        name = cell.get("grade_id") or f"own cell {number}"
        lines.append(f"  {name:<28} {cell['status']:<8} {cell.get('seconds', 0):>7.2f} s{_points(name, points, parts)}")
    ran = {cell.get("grade_id") for cell in cells}
    lines += [
        f"  {name:<28} {'written':<8} {'':>9}{_points(name, points, parts)}" for name in points if name not in ran
    ]
    return lines


def _points(name: str, points: dict, parts: dict) -> str:
    if name not in points:
        return ""
    earned = parts.get(name)
    shown = "waits for you" if earned is None else f"{earned:g}"
    return f"   {shown} of {points[name]['max']:g}"
