"""Points filled into the gradebook that Canvas exported, for Canvas to import again.

Which rows and columns there are, and what Canvas does with them, is read from Canvas's own program: the first columns
are `Student` (or `LastName`, `FirstName`), `ID`, `SIS User ID`, `SIS Login ID`, perhaps `Integration ID` and
`Root Account`, and `Section`; a title followed by a number in brackets is an assignment's column; rows of `Manual
Posting` or `Muted` and `    Points Possible` come before the students. A student is found by `ID` first. Three things
follow for us: other assignments' columns are left out, for an import would set them back to what they were; where we
have no points to give, what Canvas had stays in the cell, for an empty one would take its grade away; and names may be
made harmless, for nobody is found by one.

Sources: `lib/gradebook_exporter.rb` and `lib/gradebook_importer.rb` in https://github.com/instructure/canvas-lms;
Ohio State University, Import CSV File for Carmen Grades (its advice to upload only columns that change),
https://teaching.resources.osu.edu/toolsets/carmencanvas/guides/calculating-final-grades/import-csv-file-carmen-grades
"""

import re
from collections.abc import Sequence

from classroom.errors import ClassroomError, near_miss
from classroom.export.cells import decimal_mark, harmless, kept, number
from classroom.export.people import EMAIL, FILE, ID, NAME, NUMBER, Found, People, bare, shown
from classroom.export.points import Choice, Points, factor, points
from classroom.export.sheet import Sheet
from classroom.folder import Folder

_ASSIGNMENT = re.compile(r"(?P<title>.*) \((?P<number>\d+)\)", re.DOTALL)
_HIDDEN = re.compile(r"\s*(Muted|Manual Posting.*)?\s*", re.IGNORECASE | re.DOTALL)
_UNTOUCHED = ("EX", "N/A")  # excused, and not assigned: a person decided that in Canvas


def canvas(
    folder: Folder, sheet: Sheet, projects: Sequence[str], choice: Choice, *, named: bool
) -> tuple[str, int, dict]:
    """Fill in points.

    Args:
        sheet: what Canvas exported.
        projects: those to fill in.
        named: whether somebody named them, so that each has to have a column.

    Returns:
        The text to import, how many students' rows it has, and a report (see `classroom.export.export`).

    Raises:
        ClassroomError: that is no gradebook of Canvas, a project has no column or several, or other maximum points.
    """
    section = sheet.column("Section")
    if section is None or sheet.column("ID") is None or sheet.column("Student", "LastName") is None:
        raise ClassroomError(
            f"--from {sheet.path}: expected a gradebook that Canvas exported, with columns Student, ID and Section; "
            f"got {', '.join(shown(head) for head in sheet.head[:6])}"
        )
    columns = _columns(folder, sheet, section, projects, choice, named)
    above, students = _parted(sheet, section)
    found = _matched(folder, sheet, students, columns)
    possible = next((row for row in above if "Points Possible" in row[0]), None)
    mark = decimal_mark([row[place] for row in sheet.rows for place in columns.values()])
    report, given = {}, {}
    for project, place in columns.items():
        theirs = possible[place] if possible else ""
        if "read only" in theirs:
            raise ClassroomError(f"{shown(sheet.head[place])}: Canvas takes no grades for this column, it is read only")
        ours = points(folder, project, choice)
        given[project] = ours, factor(project, ours.most, theirs, f"Canvas, column {sheet.head[place].strip()}", choice)
        report[project] = {"column": sheet.head[place], "filled": 0, "waiting": ours.waiting, "excused": []}
    places = [*range(section + 1), *sorted(columns.values())]
    out = [[harmless(sheet.head[place]) for place in places]]
    out += [[kept(row[place]) for place in places] for row in above]
    for row, one in zip(students, found, strict=True):
        row = [kept(cell) for cell in row]
        for project, place in columns.items():
            ours, times = given[project]
            if one.student in ours.ready and row[place].strip() in _UNTOUCHED:
                report[project]["excused"].append(one.student)
            elif one.student in ours.ready:
                row[place] = number(ours.ready[one.student] * times, mark)
                report[project]["filled"] += 1
        out.append([row[place] for place in places])
    without = [project for project in projects if project not in columns]
    said = {"projects": report, "without_column": without, **_who(sheet, students, found, given)}
    return sheet.text(out), len(students), said


def _columns(
    folder: Folder, sheet: Sheet, section: int, projects: Sequence[str], choice: Choice, named: bool
) -> dict[str, int]:
    """By project, its column."""
    titles = {}
    for place, head in enumerate(sheet.head):
        match = _ASSIGNMENT.fullmatch(head.strip())
        if match and place > section:
            titles[place] = match
    columns = {}
    for project in projects:
        wanted = choice.columns.get(project)
        if wanted:
            alike = [place for place, match in titles.items() if wanted.strip() in (match[0], *match.groups())]
        else:
            described = folder.project(project)
            names = {bare(project), bare(described.title if described else project)}
            alike = [place for place, match in titles.items() if bare(match["title"]) in names]
        if len(alike) > 1:
            both = " and ".join(titles[place][0] for place in alike)
            raise ClassroomError(f"{project} could be {both}: say which with --column {project}=NUMBER")
        if not alike and (named or wanted):
            known = [match["title"] for match in titles.values()]
            raise ClassroomError(
                f"--from {sheet.path}: no column for {project}{near_miss(wanted or project, known)}; say which with "
                f"--column '{project}=TITLE'"
            )
        if alike:
            columns[project] = alike[0]
    if not columns:
        known = ", ".join(match[0] for match in titles.values()) or "no assignment at all"
        raise ClassroomError(
            f"--from {sheet.path}: no column has a project's name; it has {known}; say which with --column"
        )
    if len(set(columns.values())) < len(columns):
        raise ClassroomError(f"one column for several projects: {', '.join(columns)}")
    return columns


def _parted(sheet: Sheet, section: int) -> tuple[list[list[str]], list[list[str]]]:
    """The rows that Canvas does not read as students, and the others."""
    above, students = [], []
    for row in sheet.rows:
        hidden = all(_HIDDEN.fullmatch(cell) for cell in row)
        (above if hidden or "Points Possible" in row[0] else students).append(row)
    return above, students


def _matched(folder: Folder, sheet: Sheet, students: list[list[str]], columns: dict[str, int]) -> list[Found]:
    def cell(row: list[str], name: str) -> str:
        place = sheet.column(name)
        return "" if place is None else row[place]

    def claims(row: list[str]) -> list[tuple[str, tuple[str, ...], str]]:
        name = cell(row, "Student") or cell(row, "LastName") + cell(row, "FirstName")
        return [
            ("SIS User ID", (ID,), cell(row, "SIS User ID")),
            ("SIS Login ID", (ID, EMAIL), cell(row, "SIS Login ID")),
            ("ID", (NUMBER, FILE), cell(row, "ID")),
            ("name", (NAME,), name),
        ]

    found = People(folder, "canvas", columns).match(map(claims, students))
    # Canvas would look for a row without a number by its name, which may be somebody else's.
    return [
        one if cell(row, "ID").strip().isdecimal() or not one.student else Found(problem="no number in column ID")
        for row, one in zip(students, found, strict=True)
    ]


def _who(sheet: Sheet, students: list[list[str]], found: list[Found], given: dict[str, tuple[Points, float]]) -> dict:
    graded = {student for ours, _ in given.values() for student in (*ours.ready, *ours.waiting)}
    names = sheet.named(students, [shown(row[0]) for row in students])
    named = list(zip(names, found, strict=True))
    return {
        "matched": {one.student: one.by for _, one in named if one.student},
        "unknown": [name for name, one in named if not one.student and not one.problem],
        "refused": {name: one.problem for name, one in named if one.problem},
        "missing": sorted(graded - {one.student for one in found}),
        "odd_lines": sheet.odd,
    }
