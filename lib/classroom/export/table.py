"""nbgrader's table of grades as CSV, one line a student and project, with names that stay within their cells.

nbgrader writes names as they are: a comma would move the points to another column. The columns, their order and the
numbers are those of `nbgrader.plugins.CsvExportPlugin`; so is that who handed nothing in has 0.
"""

import csv
import io
from collections.abc import Sequence

from classroom.export.cells import harmless
from classroom.folder import Folder
from classroom.report import grades

COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)


def table(folder: Folder, projects: Sequence[str]) -> tuple[str, int, list[str]]:
    """The text of the table, how many lines it has, and whose written parts wait.

    Args:
        projects: only these; of none, all that the gradebook knows.
    """
    waiting: set[str] = set()
    for project in projects or folder.projects():
        waiting.update(student for student, one in grades(folder, project).items() if one["waiting"])
    lines = []
    with folder.gradebook() as gradebook:
        people = sorted(gradebook.students, key=lambda person: person.id)
        for assignment in gradebook.assignments:
            if projects and assignment.name not in projects:
                continue
            handed_in = {submission.student_id: submission for submission in assignment.submissions}
            for person in people:
                submission = handed_in.get(person.id)
                raw, penalty = (submission.score, submission.late_submission_penalty) if submission else (0.0, 0.0)
                texts = [assignment.name, assignment.duedate, submission.timestamp if submission else ""]
                texts += [person.id, person.last_name, person.first_name, person.email]
                numbers = [raw, penalty, max(0.0, raw - (penalty or 0.0)), assignment.max_score]
                line = [harmless("" if text is None else str(text)) for text in texts]
                lines.append(line + ["" if value is None else str(value) for value in numbers])
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    return file.getvalue(), len(lines), sorted(waiting)
