"""What students get: a page for what was refused, and the way of all pages through nbgrader's exchange.

nbgrader's own command copies every HTML file that lies in a feedback folder. Here only pages that we made go out, known
by their hashes: for each notebook of the release the page of that name, and for a refused submission the page of
reasons, under the names of the notebooks that were handed in, since a student fetches by those. Who did not make a page
or hand the work in can neither list the pages nor guess a name: it is a hash over the submission's own secret.
"""

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from classroom.errors import ClassroomError, RefusedError
from classroom.feedback import hash_of
from classroom.feedback.page import frame
from classroom.folder import Folder
from classroom.intake import SECRET, TIMESTAMP, read_regular, refusals
from classroom.intake.exchange import DEFAULT_ROOT
from classroom.results import REFUSED, read_record, read_result, write_atomically, write_record, writing
from classroom.statistics.page import text

REASONS = "not-graded.html"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


def reasons(folder: Folder, project: str) -> dict[str, list[str]]:
    """By student why something that was handed in does not count: refused by intake, or by grading."""
    found: dict[str, list[str]] = {}
    for record in refusals(folder, project):
        if not record.get("stray") and _NAME.fullmatch(record["student"]):
            what = f"{record['file']}: {record['reason']}" if record["file"] else record["reason"]
            found.setdefault(record["student"], []).append(what)
    for student in folder.students(project):
        result = read_result(folder.record("result", project, student), head=True)
        if result.get("outcome") == REFUSED:
            found.setdefault(student, []).append(result["note"])
    return {student: list(dict.fromkeys(texts)) for student, texts in sorted(found.items())}


def write_reasons(folder: Folder, project: str, graded: set[str]) -> list[str]:
    """Write a page of reasons for each who needs one, and take away those that are settled; who has one now.

    Args:
        graded: who has a grade all the same, of another version or without the file.
    """
    found = reasons(folder, project)
    for student, texts in found.items():
        target = folder.path("feedback", project, student) / REASONS
        record = folder.record("feedback", project, student)
        page, before = _page_of_reasons(project, texts, student in graded), read_record(record)
        known = before.get("pages", {}) | {REASONS: hash_of(page)}
        if target.is_symlink() or not target.is_file() or target.read_text(encoding="utf-8", errors="replace") != page:
            write_atomically(target, page)
        if known != before.get("pages"):
            write_record(record, before | {"pages": known})
    for old in folder.path("feedback", ".", ".").glob(f"*/{project}/{REASONS}"):
        if old.parent.parent.name not in found:
            record = folder.record("feedback", project, old.parent.parent.name)
            before = read_record(record)
            with writing(old):
                old.unlink()
            if REASONS in before.get("pages", {}):
                kept = {name: known for name, known in before["pages"].items() if name != REASONS}
                write_record(record, before | {"pages": kept})
    return list(found)


def _page_of_reasons(project: str, texts: list[str], graded: bool) -> str:
    """The page that says what was not taken and why."""
    title = f"{project}: {'not everything could be taken' if graded else 'not graded'}"
    last = (
        "What was taken before, or besides, is graded and counts."
        if graded
        else "Nothing is graded so far. Hand in again; if you don't know how, ask your instructor."
    )
    shown = "\n".join(f"<li>{text(reason)}</li>" for reason in texts)
    main = f"<p>Of what you handed in, this was not taken:</p>\n<ul>\n{shown}\n</ul>\n<p>{text(last)}</p>"
    return frame(title, f"<h1>{text(title)}</h1>", main)


def hand_out(
    folder: Folder, project: str, say: Callable[[str], None], *, students: list[str] | None = None
) -> dict[str, list[str]]:
    """Copy the pages into nbgrader's exchange, where students fetch them; of these students, or of all.

    Returns:
        Students: `released`, and those `elsewhere`, who did not hand in through the exchange and so have no way to it.

    Raises:
        ClassroomError: there is no exchange, or it cannot be written.
    """
    from nbgrader.auth import Authenticator
    from nbgrader.exchange import ExchangeError, ExchangeFactory
    from nbgrader.exchange.default import ExchangeReleaseFeedback

    report: dict[str, list[str]] = {"released": [], "elsewhere": []}

    class Release(ExchangeReleaseFeedback):
        """nbgrader's, with a list of pages instead of whatever lies there."""

        def init_src(self) -> None:
            """Each page says itself where it lies."""

        def copy_files(self) -> None:
            """Copy the pages under the names that only their students can compute."""
            for student, pages in sorted(_pages(folder, project).items()):
                if students and student not in students:
                    continue
                if not all(secret for _, secret, _ in pages):
                    report["elsewhere"].append(student)
                    continue
                known = read_record(folder.record("feedback", project, student)).get("pages", {})
                copied = []
                for page, secret, notebook in pages:
                    copied.append(_copy(page, known.get(page.name), Path(self.dest_path), secret, notebook))
                    if not copied[-1]:
                        say(f"{student}: {folder.shown(page)} is not the page that was made here: not handed out")
                if any(copied):
                    report["released"].append(student)

    folder.coursedir.assignment_id, folder.coursedir.student_id = project, "*"
    folder.messages.clear()
    configured = ExchangeFactory(config=folder.app.config).release_feedback
    kind = configured
    if configured is ExchangeReleaseFeedback:
        _require_exchange(folder)
        kind = Release
    try:
        step = kind(coursedir=folder.coursedir, authenticator=Authenticator(parent=folder.app), parent=folder.app)
        step.students = students or []  # what classroom.hub.exchange reads, and the two lists that it leaves
        step.start()
        for who in report:
            report[who] += getattr(step, who, [])
        for level, line in folder.messages.lines:
            if level >= logging.WARNING and kind is not Release:
                say(line)
    except (ExchangeError, SystemExit):
        raise ClassroomError(f"feedback was made, but cannot be handed out: {folder.messages.cause()}") from None
    if report["elsewhere"]:
        say(f"not handed in through the exchange, so not to be fetched there: {', '.join(report['elsewhere'])}")
    return report


def made_pages(folder: Folder, project: str, say: Callable[[str], None]) -> dict[str, list[tuple[str, bytes, str]]]:
    """By student the pages that were made here, for an exchange that knows submissions by their time.

    Args:
        say: is told of a page that somebody changed since.

    Returns:
        Name, content and the time of the submission that a page is about; of a page of reasons it is empty: the last.
    """
    found: dict[str, list[tuple[str, bytes, str]]] = {}
    for place in sorted(folder.path("feedback", ".", ".").glob(f"*/{project}")):
        known = read_record(folder.record("feedback", project, place.parent.name)).get("pages", {})
        said = ""
        with suppress(RefusedError):  # nothing of it is graded
            said = read_regular(place / TIMESTAMP).decode("utf-8", "replace").strip()
        for name, wanted in sorted(known.items()):
            try:
                data = read_regular(place / name)
            except RefusedError:
                continue  # it is gone
            if hashlib.sha256(data).hexdigest() != wanted:
                say(f"{folder.shown(place / name)} is not the page that was made here: not handed out")
            elif said or name == REASONS:
                found.setdefault(place.parent.name, []).append((name, data, "" if name == REASONS else said))
    return found


def _require_exchange(folder: Folder) -> None:
    """See that there is an exchange: nbgrader's own message is for students.

    Raises:
        ClassroomError: if there is none, or it cannot be written.
    """
    course = folder.coursedir.course_id
    root = Path(folder.app.config.Exchange.get("root", DEFAULT_ROOT))
    if not course or not root.is_dir():
        missing = f"{root} is missing" if course else "nbgrader's configuration has no CourseDirectory.course_id"
        what = f"no exchange: {missing}"
    elif not os.access(root, os.W_OK | os.X_OK):
        what = f"you may not write to the exchange {root}"
    else:
        return
    pages = folder.shown(folder.path("feedback", ".", "."))
    raise ClassroomError(
        f"feedback was made, but cannot be handed out: {what}; give the pages in {pages}/STUDENT out by other means, "
        "or set Exchange.root in nbgrader_config.py to where the exchange is"
    )


def _pages(folder: Folder, project: str) -> dict[str, list[tuple[Path, str, str]]]:
    """By student the pages, each with the secret of the submission and the notebook's name that it is fetched by."""
    expected = sorted(path.stem for path in folder.path("release", project).glob("*.ipynb"))
    found: dict[str, list[tuple[Path, str, str]]] = {}
    for place in sorted(folder.path("feedback", ".", ".").glob(f"*/{project}")):
        student = place.parent.name
        submitted = folder.path("submitted", project, student)
        graded, standing = _secret(folder.path("autograded", project, student)), _secret(submitted)
        pages = [(place / f"{name}.html", graded, name) for name in expected]
        if (place / REASONS).is_file() and read_result(folder.record("result", project, student), head=True).get(
            "outcome"
        ) in (REFUSED, None):
            names = {path.stem for path in submitted.glob("*.ipynb")} | set(expected)
            if standing == graded:
                pages = []
            pages += [(place / REASONS, standing, name) for name in sorted(names)]
        pages = [page for page in pages if page[0].is_file() and not page[0].is_symlink()]
        if pages:
            found[student] = pages
    return found


def _secret(place: Path) -> str:
    try:
        return read_regular(place / SECRET).decode("utf-8", "replace")
    except RefusedError:
        return ""


def _copy(page: Path, known: str | None, target: Path, secret: str, notebook: str) -> bool:
    """Copy a page whole, under its name in the exchange; False if its bytes are not those that were made here."""
    from nbgrader.utils import notebook_hash

    try:
        content = read_regular(page)
    except RefusedError:
        return False
    if hashlib.sha256(content).hexdigest() != known:
        return False
    name = f"{notebook_hash(secret=secret, notebook_id=notebook)}.html"
    with writing(target / name):
        handle, half = tempfile.mkstemp(dir=target, prefix=".", suffix=".html")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(half, 0o644)
            os.replace(half, target / name)
        except BaseException:
            os.unlink(half)
            raise
    return True
