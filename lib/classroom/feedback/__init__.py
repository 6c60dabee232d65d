"""`classroom feedback`: a page for each student, in nbgrader's layout, feedback/STUDENT/PROJECT/NOTEBOOK.html.

A page is made of the result file and the gradebook, and again only when one of the two, the project's description or
the page's own form has changed. It is written whole or not at all; a record keeps the hash of every page that was made
here, and only such pages are handed out.
"""

import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from dateutil import tz

from classroom.errors import RefusedError
from classroom.feedback.form import form_digest
from classroom.feedback.marks import Marks, read_marks
from classroom.feedback.page import Head, make_page
from classroom.feedback.parts import parts_of, released_texts, secrets_of
from classroom.feedback.shown import Shown
from classroom.feedback.words import lateness
from classroom.folder import Folder
from classroom.intake import SECRET, TIMESTAMP, read_regular
from classroom.plan import hidden_marks
from classroom.results import GRADED, STUDENT_ERROR, digest, read_record, read_result, write_atomically, write_record
from classroom.terminal import counted

_LANGUAGES = {"python": "python", "python3": "python", "ir": "r", "julia": "julia"}
_MOST_NOTES = 20  # of what was put right


def feedback(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    release: bool = False,
    students: list[str] | None = None,
) -> dict:
    """Make the pages where the grading, a comment or a manual score has changed since the last time.

    Args:
        release: also hand the pages out through nbgrader's exchange.
        students: only these; all by default.

    Returns:
        Lists of students: `made`, `unchanged`, `without` and `failed`; `told`: who has a page that says what was not
        taken and why; with `release`, who was `released` to, and who `elsewhere` handed in.

    Raises:
        ClassroomError: an unknown student, a project that was not released, or no exchange to hand feedback out
            through.
    """
    from classroom.handout import hand_out, reasons, write_reasons

    folder.require_released(project)
    if students:
        told = reasons(folder, project)
        for student in set(students) - set(told):
            folder.require_submitted(student, project)
    marks = read_marks(folder, project)
    maker = _Maker(folder, project)
    report: dict[str, list] = {"made": [], "unchanged": [], "without": [], "failed": []}
    for student in folder.students(project):
        if students and student not in students:
            continue
        outcome = read_result(folder.record("result", project, student), head=True).get("outcome")
        if outcome not in (GRADED, STUDENT_ERROR) or student not in marks:
            report["without"].append(student)
            say(f"{student}: no feedback, {outcome or 'not graded yet'}")
            continue
        record = folder.record("feedback", project, student)
        before, made_of = read_record(record), maker.made_of(student, marks[student])
        if before.get("made_of") == made_of and maker.stands(student, before):
            report["unchanged"].append(student)
            continue
        try:
            pages = maker.pages(student, marks[student])
        except (KeyError, TypeError, ValueError, RecursionError) as error:  # of one student; the others get theirs
            report["failed"].append(student)
            why = f"{type(error).__name__}: {error}"
            say(f"{student}: feedback failed: {why}; `classroom regrade` makes its result anew")
            continue
        target = folder.path("feedback", project, student)
        for name, page in (pages | maker.beside(student)).items():
            write_atomically(target / name, page)
        write_record(record, before | {"made_of": made_of, "pages": {n: hash_of(page) for n, page in pages.items()}})
        report["made"].append(student)
        say(f"{student}: {folder.shown(target / next(iter(sorted(pages))))}")
    say(f"{project}: feedback {', '.join(f'{len(names)} {what}' for what, names in report.items())}")
    report["told"] = write_reasons(folder, project, set(marks))
    if report["told"]:
        say(f"{project}: a page with what was not taken, and why, for {', '.join(report['told'])}")
    if release:
        report |= hand_out(folder, project, say, students=students)
        say(f"{project}: handed out through nbgrader's exchange to {len(report['released'])}")
    return report


def hash_of(page: str) -> str:
    """The hash by which a page is known as one that was made here."""
    return hashlib.sha256(page.encode()).hexdigest()


class _Maker:
    """Makes the pages of one project."""

    def __init__(self, folder: Folder, project: str) -> None:
        from classroom.merging import late_plugin

        self.folder, self.name = folder, project
        self.project, self.course = folder.project(project), folder.course
        self.released = released_texts(folder, project)
        self.hidden, self.rule = hidden_marks(folder), late_plugin(folder)

    def made_of(self, student: str, marks: Marks) -> str:
        """One hash over all that a student's pages are made of."""
        result = self.folder.record("result", self.name, student)
        settings = {name: getattr(self.rule, name) for name in sorted(self.rule.trait_names(config=True))}
        texts = [repr(marks), repr(self.project), repr(self.released), repr(self.hidden), form_digest(), student]
        texts += [repr(self.course and self.course.text), repr(settings)]
        return digest([result], result.parent, *texts)

    def stands(self, student: str, record: dict) -> bool:
        """Whether all pages of a record are there, as they were made."""
        target, pages = self.folder.path("feedback", self.name, student), record.get("pages", {})
        try:
            made = {name: hashlib.sha256(read_regular(target / name)).hexdigest() for name in pages}
        except RefusedError:  # it is not there, or is a link
            return False
        return bool(pages) and made == pages

    def beside(self, student: str) -> dict[str, str]:
        """The time and secret of a submission, which `nbgrader release_feedback` looks for beside the pages."""
        found = {}
        for name in (TIMESTAMP, SECRET):
            with contextlib.suppress(RefusedError):  # there is none
                place = self.folder.path("autograded", self.name, student) / name
                found[name] = read_regular(place).decode("utf-8", "replace")
        return found

    def pages(self, student: str, marks: Marks) -> dict[str, str]:
        """The pages by file name."""
        record = read_result(self.folder.record("result", self.name, student))
        missing = [name for name in sorted(self.released) if name not in record["notebooks"]]
        found = {}
        for name, notebook in record["notebooks"].items():
            if name not in self.released:
                continue
            stem = name.removesuffix(".ipynb")
            released = self.released[name]
            parts = parts_of(
                notebook, record["cells"].get(name, []), marks.of(stem), released, self.project, self.hidden, stem
            )
            shown = Shown(secrets_of(notebook, released, self.hidden), _language(notebook))
            head = self._head(student, record, marks, name, missing)
            found[f"{stem}.html"] = make_page(head, parts, shown)
        return found

    def _head(self, student: str, record: dict, marks: Marks, name: str, missing: list[str]) -> Head:
        title = self.project.title if self.project else self.name
        several = len(self.released) > 1
        zone = tz.gettz((self.course.text.get("timezone") if self.course else "") or "UTC") or UTC
        when = datetime.fromisoformat(record["graded_at"]).astimezone(zone)
        lines = [f"For {student}. Graded {when:%Y-%m-%d}."]
        notes = []
        if several:
            lines.append(f"This page is about {name}; the points are those of all {len(self.released)} notebooks.")
            notes += [f"{other} was not handed in." for other in missing]
        notes += lateness(marks, self.course, self.rule)
        if record["outcome"] == STUDENT_ERROR:
            notes.append(f"It did not run to its end: {record['note']}.")
        elif record.get("note"):
            notes.append(f"While it ran: {record['note']}.")
        rebuilt = [note for note in record.get("rebuilt", []) if note not in [f"without {other}" for other in missing]]
        notes += [f"Put right before grading: {note}." for note in rebuilt[:_MOST_NOTES]]
        if len(rebuilt) > _MOST_NOTES:
            notes.append(f"And {counted(len(rebuilt) - _MOST_NOTES, 'remark')} more of that kind.")
        waiting = sum(mark.most for mark in marks.cells.values() if mark.waits and mark.manual is None)
        return Head(title, lines, marks.total, marks.most, waiting, notes)


def _language(notebook: dict) -> str:
    meta = notebook.get("metadata", {})
    name = (meta.get("language_info") or {}).get("name") or (meta.get("kernelspec") or {}).get("language") or "python"
    return _LANGUAGES.get(str(name).lower(), str(name).lower())
