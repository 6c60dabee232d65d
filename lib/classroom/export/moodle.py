"""Points for Moodle: a table for its grade import, or its grading worksheet of one assignment filled in.

**The table** has columns by which Moodle finds people (`Username`, `ID number`, `Email address`) and one for each
project; which is which is said to Moodle when it previews the file. Moodle reads a line whose cell in the chosen column
is empty as more points for the person of the line before, and stops at the first person that it does not know. So such
a column is written only if everybody in the file has something in it, and each something else. An empty cell takes a
grade away: whoever has no points at all has no line. Comments are left out, for an import of them overwrites grades.

**The worksheet** is the file of "Download grading worksheet". Moodle reads `Identifier`, `Grade`, `Last modified
(grade)` and the comments, and passes over an empty grade. All its columns stay, the comments untouched; only `Grade` is
filled in.

Sources: `grade/import/csv/classes/load_data.php`, `lib/csvlib.class.php` and
`mod/assign/feedback/offline/{importgradeslib,locallib}.php` in https://github.com/moodle/moodle;
https://docs.moodle.org/405/en/Grade_import
"""

import csv
import io
import re
from collections.abc import Sequence

from classroom.errors import ClassroomError
from classroom.export.cells import decimal_mark, harmless, kept, number, read_number
from classroom.export.people import EMAIL, FILE, ID, NAME, NUMBER, Found, People, shown
from classroom.export.points import Choice, factor, points
from classroom.export.sheet import Sheet
from classroom.folder import Folder

_KEYS = {"Username": "id", "ID number": "lms_user_id", "Email address": "email"}
_NAMES = {"First name": "first_name", "Last name": "last_name"}
WORKSHEET = ("Identifier", "Grade", "Last modified (grade)")  # without these Moodle refuses a worksheet
_COMMENTS = "Feedback comments"
_MOST = 100.0  # above it Moodle refuses the whole table, unless its administrator allows more


def moodle(folder: Folder, projects: Sequence[str], choice: Choice) -> tuple[str, int, dict]:
    """The table for Moodle's grade import.

    Returns:
        Its text, how many lines it has, and a report (see `classroom.export.export`).

    Raises:
        ClassroomError: nothing is ready, or there is no column by which Moodle could find people.
    """
    ours = {project: points(folder, project, choice) for project in projects}
    ours = {project: one for project, one in ours.items() if one.ready or one.waiting}
    everybody = {student for one in ours.values() for student in one.ready}
    with folder.gradebook() as gradebook:
        people = sorted((person for person in gradebook.students if person.id in everybody), key=lambda one: one.id)
        fields = (*_KEYS.values(), *_NAMES.values())
        rows = [{field: str(getattr(person, field) or "").strip() for field in fields} for person in people]
    if not rows:
        raise ClassroomError("nobody's points are ready for Moodle")
    keys, without = [], {}
    for column, field in _KEYS.items():
        values = [row[field] for row in rows]
        if not all(values):
            without[column] = f"{values.count('')} of {len(values)} have none"
        elif len({value.casefold() for value in values}) < len(values):
            without[column] = "two people have the same"
        elif any(_plain(value) != value for value in values):
            without[column] = "one begins like a formula, or has signs that Moodle reads as others"
        else:
            keys.append(column)
    if not keys:
        raise ClassroomError(f"no column tells all people apart: {'; '.join(f'{k}: {v}' for k, v in without.items())}")
    table = [[*keys, *_NAMES, *ours]]
    for row in rows:
        grades = [number(one.ready[row["id"]]) if row["id"] in one.ready else "" for one in ours.values()]
        table.append([_plain(row[(_KEYS | _NAMES)[column]]) for column in (*keys, *_NAMES)] + grades)
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\r\n").writerows(table)
    report = {
        project: {
            "column": project,
            "filled": len(one.ready),
            "waiting": one.waiting,
            "empty": sorted(everybody - one.ready.keys()),
            "too_many": sorted(student for student, value in one.ready.items() if value > _MOST),
        }
        for project, one in ours.items()
    }
    return file.getvalue(), len(rows), {"projects": report, "left_out_columns": without}


def worksheet(folder: Folder, sheet: Sheet, project: str, choice: Choice) -> tuple[str, int, dict]:
    """Fill points into a grading worksheet.

    Returns:
        Its text, how many students' rows it has, and a report (see `classroom.export.export`).

    Raises:
        ClassroomError: that is no worksheet, or it has other maximum points.
    """
    missing = [name for name in WORKSHEET if sheet.column(name) is None]
    if missing:
        raise ClassroomError(
            f"--from {sheet.path}: expected a grading worksheet of Moodle, with columns {', '.join(WORKSHEET)} (set "
            f"your language in Moodle to English, and download it again); got {', '.join(map(shown, sheet.head[:6]))}"
        )

    def cell(row: list[str], name: str) -> str:
        place = sheet.column(name)
        return "" if place is None else row[place].strip()

    def claims(row: list[str]) -> list[tuple[str, tuple[str, ...], str]]:
        participant = re.search(r"(\d+)$", cell(row, "Identifier"))
        return [
            ("Identifier", (FILE,), participant[1] if participant else ""),
            ("Username", (ID,), cell(row, "Username")),
            ("ID number", (ID, NUMBER), cell(row, "ID number")),
            ("Email address", (EMAIL, ID), cell(row, "Email address")),
            ("name", (NAME,), cell(row, "Full name")),
        ]

    found = People(folder, "moodle", [project]).match(map(claims, sheet.rows))
    ours = points(folder, project, choice)
    mark = decimal_mark([cell(row, name) for row in sheet.rows for name in ("Maximum Grade", "Grade")])
    place = sheet.column("Grade")
    report = {"column": "Grade", "filled": 0, "waiting": ours.waiting, "locked": [], "too_many": []}
    out, refused = [[harmless(head) for head in sheet.head]], {}
    names = sheet.named(sheet.rows, [shown(cell(row, "Full name") or cell(row, "Identifier")) for row in sheet.rows])
    for row, name, one in zip(sheet.rows, names, found, strict=True):
        if _misread(cell(row, _COMMENTS)):
            one = Found(
                problem="its comment has a backslash that Moodle reads as another sign: enter the points by hand"
            )
        if one.problem:
            refused[name] = one.problem
            if _misread(cell(row, _COMMENTS)):
                continue  # Moodle would read the next lines as part of this one
        line = [
            text if head == _COMMENTS else kept(text).replace("\\", "/")
            for head, text in zip(sheet.head, row, strict=True)
        ]
        if one.student in ours.ready:
            most = cell(row, "Maximum Grade")
            value = ours.ready[one.student] * factor(project, ours.most, most, "Moodle", choice)
            if cell(row, "Grade can be changed") == "No":
                report["locked"].append(one.student)
            else:
                line[place] = number(value, mark)
                report["filled"] += 1
                if value > (read_number(most) or value):
                    report["too_many"].append(one.student)
        out.append(line)
    graded = {*ours.ready, *ours.waiting}
    return sheet.text(out), len(out) - 1, {
        "projects": {project: report},
        "matched": {one.student: one.by for one in found if one.student},
        "unknown": [name for name, one in zip(names, found, strict=True) if not one.student and not one.problem],
        "refused": refused,
        "missing": sorted(graded - {one.student for one in found}),
        "odd_lines": sheet.odd,
    }  # fmt: skip


def _plain(text: str) -> str:
    r"""A harmless cell for PHP's reader of tables, which takes a backslash as one that changes the next sign."""
    return harmless(text).replace("\\", "/")


def _misread(comment: str) -> bool:
    return comment.endswith("\\") or '\\"' in comment
