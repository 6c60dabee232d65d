"""`classroom autograde`: nbgrader's autograder, one submission at a time, each in a process of its own.

This is stock grading with a time limit: **the students' code runs as you**, with your files and your network within its
reach. Grade in this way what you would also run by hand; a sandbox comes with a later version of the course.

A submission that ends its process, hangs, or is no notebook at all costs the others nothing: each gets a result file
with its outcome, and the batch goes on.
"""

import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from classroom.collect import TIMESTAMP, RefusedError, parse_time, read_regular
from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder
from classroom.results import FAILED, GRADED, REFUSED, STUDENT_ERROR, digest, read_record, write_record

SETUP_SECONDS = 120  # for imports, which take long on a cold or busy machine and are not the student's
_KERNEL_ENDED = ("DeadKernelError", "UnresponsiveKernelError")


def autograde(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    students: list[str] | None = None,
    timeout: int | None = None,
    force: bool = False,
) -> dict:
    """Grade every submission that changed since it was last graded, or whose release did.

    Args:
        students: only these; all by default.
        timeout: seconds a cell; by default that of project.yml, else nbgrader_config.py's.
        force: grade again what has not changed.

    Returns:
        For each student the record of the outcome, under `submissions`.
    """
    from classroom.parameters import set_parameters

    folder.require_released(project)
    everybody = folder.students(project)
    for student in students or []:
        if student not in everybody:
            raise ClassroomError(f"no submission of {student!r} for {project}{near_miss(student, everybody)}")
    chosen = [student for student in everybody if not students or student in students]
    set_timeout(folder, project, timeout)
    parameters = set_parameters(folder, project)
    release = _grader_digest(folder, project, parameters)
    outcomes = {}
    for number, student in enumerate(chosen, 1):
        where = folder.record("result", project, student)
        place = folder.path("submitted", project, student)
        submission = _submission_digest(place)
        record = read_record(where)
        same = record.get("submission") == submission and record.get("release") == release
        if same and not force and _final(folder, project, student, record):
            outcomes[student] = {**record, "again": False}
            continue
        began = time.monotonic()
        outcome, note = _grade(folder, project, student)
        seconds = round(time.monotonic() - began, 1)
        record = {"student": student, "project": project, "submission": submission, "release": release}
        record |= {"outcome": outcome, "note": note, "seconds": seconds}
        write_record(where, record)
        outcomes[student] = {**record, "again": True}
        say(f"[{number}/{len(chosen)}] {student}: {outcome}{f' ({note})' if note else ''}, {seconds:.1f} s")
    again = sum(record["again"] for record in outcomes.values())
    kinds = [record["outcome"] for record in outcomes.values()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    say(f"{project}: {len(chosen)} submissions, {again} graded now" + (f"; in all {counts}" if counts else ""))
    return {"submissions": outcomes}


def _final(folder: Folder, project: str, student: str, record: dict) -> bool:
    """Whether the outcome stands: not a failure of ours, and what it wrote is still there."""
    if record["outcome"] == GRADED:
        return folder.path("autograded", project, student).is_dir() and _in_gradebook(folder, project, student)
    return record["outcome"] in (REFUSED, STUDENT_ERROR)


def _grader_digest(folder: Folder, project: str, parameters: dict) -> str:
    """What a submission is graded with: the release, its parameters, and the file that the test cells stand on."""
    package = importlib.util.find_spec("deeppractice")
    checks = [] if package is None else [Path(package.origin).with_name("checks.py")]
    released = read_record(folder.record("release", project))["source"]
    released += f" {parameters}" if parameters else ""
    return digest(checks, checks[0].parent, released) if checks else released


def _in_gradebook(folder: Folder, project: str, student: str) -> bool:
    from nbgrader.api import MissingEntry

    with folder.gradebook() as gradebook:
        try:
            gradebook.find_submission(project, student)
        except MissingEntry:
            return False
        return True


def set_timeout(folder: Folder, project: str, timeout: int | None) -> None:
    """Set the seconds that each cell may take; the cells before the first answer have at least SETUP_SECONDS."""
    described = folder.project(project)
    if timeout is None and described is not None:
        timeout = described.cell_seconds
    if timeout is None:
        timeout = folder.app.config.Execute.get("timeout", 30)  # nbgrader's own default
    before = _cells_before_the_first_answer(folder, project)

    def seconds(cell) -> int:
        first = cell.metadata.get("nbgrader", {}).get("grade_id") in before
        return max(timeout, SETUP_SECONDS) if first else timeout

    folder.app.config.Execute.timeout_func = seconds


def _cells_before_the_first_answer(folder: Folder, project: str) -> set[str]:
    """Imports and parameters: locked cells, whose text grading restores, before anything that a student wrote."""
    import nbformat

    found = set()
    for path in folder.path("release", project).glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            meta = cell.metadata.get("nbgrader", {})
            if meta.get("solution"):
                break
            if meta.get("locked"):
                found.add(meta["grade_id"])
    return found


def _submission_digest(place: Path) -> str:
    """The hash of what was handed in; links count by where they point, since they are not followed."""
    paths = sorted(place.rglob("*"))
    links = [f"{path.relative_to(place)} -> {os.readlink(path)}" for path in paths if path.is_symlink()]
    return digest((path for path in paths if path.is_file() and not path.is_symlink()), place, *links)


def _grade(folder: Folder, project: str, student: str) -> tuple[str, str]:
    """Grade one submission; what came out, and a note in words."""
    try:
        _inspect(folder, project, student)
    except RefusedError as reason:
        with folder.gradebook() as gradebook:  # so that the export has a line for this student
            gradebook.update_or_create_student(student)
        return REFUSED, str(reason)
    ended = _in_a_process_of_its_own(folder, project, student)
    if ended is None:
        return FAILED, f"the grading process died; its log: {folder.shown(_log_path(folder, project, student))}"
    if ended["ok"]:
        return GRADED, _what_happened(folder.path("autograded", project, student))
    if any(name in ended["errors"] for name in _KERNEL_ENDED):
        _no_points(folder, project, student)
        return STUDENT_ERROR, "the submission ended its own kernel (memory, or an exit); no points, have a look"
    return FAILED, ended["cause"]


def _inspect(folder: Folder, project: str, student: str) -> None:
    """Refuse what nbgrader could not open, before anything of it runs."""
    import nbformat

    place = folder.path("submitted", project, student)
    expected = [path.name for path in sorted(folder.path("release", project).glob("*.ipynb"))]
    for path in sorted(place.rglob("*")):
        if path.is_symlink():  # nbgrader would follow it
            raise RefusedError(f"{path.relative_to(place)} is a link, not a file")
    for name in expected:
        if not os.path.lexists(place / name):
            found = [path.name for path in place.glob("*.ipynb")]
            raise RefusedError(f"no {name}" + (f", but {', '.join(sorted(found))}" if found else ""))
        try:
            text = read_regular(place / name).decode("utf-8")
            nbformat.validate(nbformat.reads(text, as_version=4))
        except UnicodeDecodeError as error:
            raise RefusedError(f"{name} cannot be read: byte {error.start} is not UTF-8") from None
        except RefusedError as reason:
            raise RefusedError(f"{name}: {reason}") from None
        except Exception as error:  # nbformat raises KeyError and AttributeError too, on JSON that is no notebook
            line = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
            raise RefusedError(f"{name} is not a notebook that can be read: {line}") from None
    if (place / TIMESTAMP).exists():
        parse_time(read_regular(place / TIMESTAMP).decode("utf-8", "replace"))


def _in_a_process_of_its_own(folder: Folder, project: str, student: str) -> dict | None:
    """Fork, let the child run nbgrader's autograder, and read how it ended; None if it died on the way.

    The child is out of reach of the keyboard's Ctrl-C, on which nbclient would end the kernel and call that an error of
    the submission; we get the Ctrl-C, end the child, and nothing is recorded.
    """
    from nbgrader.converters import Autograde  # noqa: F401  (imported before the fork, once for all)

    log = _log_path(folder, project, student)
    log.parent.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            os.close(reader)
            _child(folder, project, student, writer, log)
        finally:  # nothing of the parent's clean-up is the child's to do
            os._exit(1)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
    except BaseException:
        _end(child)
        raise
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def _child(folder: Folder, project: str, student: str, writer: int, log: Path) -> None:
    from nbgrader.converters import Autograde, NbGraderException

    from classroom.parameters import SetParameters

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    folder.messages.clear()
    folder.coursedir.assignment_id, folder.coursedir.student_id = project, student
    converter = Autograde(coursedir=folder.coursedir, parent=folder.app)
    converter.force = True
    converter.autograde_preprocessors = [SetParameters, *converter.autograde_preprocessors]
    try:
        converter.start()
        ok = True
    except (NbGraderException, SystemExit):
        ok = False
    for _, text in folder.messages.lines:
        print(text)
    sys.stdout.flush()
    ended = {"ok": ok, "errors": folder.messages.errors(), "cause": "" if ok else folder.messages.cause()}
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(ended).encode())
    os._exit(0)


def _end(child: int) -> None:
    """End the child: on SIGTERM nbclient takes its kernel down first; then by force."""
    os.kill(child, signal.SIGTERM)
    for _ in range(50):
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _log_path(folder: Folder, project: str, student: str) -> Path:
    return folder.home / "logs" / project / f"{student}.log"


def _what_happened(place: Path) -> str:
    """The errors outside test cells, in the words of somebody who will open the notebook."""
    import nbformat

    notes = []
    for path in sorted(place.glob("*.ipynb")):
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells, 1):
            meta = cell.metadata.get("nbgrader", {})
            name = meta.get("grade_id") or f"number {number}"
            errors = [output.ename for output in cell.get("outputs", []) if output.output_type == "error"]
            if "CellTimeoutError" in errors:
                notes.append(f"cell {name} stopped at the time limit")
            elif errors and not meta.get("locked"):
                notes.append(f"{re.sub(r'[^A-Za-z0-9_.]', '', errors[0])[:40]} in cell {name}")
    return "; ".join(dict.fromkeys(notes))


def _no_points(folder: Folder, project: str, student: str) -> None:
    """A submission that ended its kernel has no automatic points, not even those of an earlier version."""
    with folder.gradebook() as gradebook:
        for notebook in gradebook.find_submission(project, student).notebooks:
            for grade in notebook.grades:
                grade.auto_score, grade.needs_manual_grade = 0, False
        gradebook.db.commit()
