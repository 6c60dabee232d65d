"""What each command of `classroom` does: from arguments to one call, an exit code and a report.

Imports stand in the functions: what a command does not need costs it nothing, and a batch's workers begin to start
before the second that nbgrader takes to import.
"""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from classroom.errors import ClassroomError, UnheardError

if TYPE_CHECKING:
    from classroom.engine import Engine
    from classroom.folder import Folder
from classroom.terminal import printable

Result = tuple[int, dict]


def say(text: str) -> None:
    """Print a line at once, with nothing in it that a terminal would obey, or that it has no letter for.

    Raises:
        UnheardError: it cannot be printed.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(printable(text).encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        raise UnheardError(error) from None


def release(arguments: Namespace) -> Result:
    """Make the students' version of projects."""
    from classroom.release import release

    folder = _folder(arguments)
    with folder.lock():
        return 0, release(folder, _projects(folder, arguments.project), say)


def collect(arguments: Namespace) -> Result:
    """Take submissions in."""
    from classroom.intake import collect

    folder = _folder(arguments)
    source = Path(arguments.source) if arguments.source else None
    with folder.lock():
        folder.require(arguments.project)
        options = {"pattern": arguments.pattern, "take_late": arguments.take_late}
        return 0, collect(folder, arguments.project, source, say, **options)


def autograde(arguments: Namespace) -> Result:
    """Run the tests."""
    with _grading(arguments, [arguments.project], arguments.student or ()) as (folder, engine):
        from classroom.autograde import autograde

        wishes = _wishes(arguments, force=arguments.force)
        students = arguments.student
        report = autograde(folder, arguments.project, say, engine=engine, students=students, wishes=wishes)
    return _code(report["submissions"]), report


def regrade(arguments: Namespace) -> Result:
    """Grade one again."""
    with _grading(arguments, [arguments.project], [arguments.student]) as (folder, engine):
        from classroom.regrade import regrade

        wishes = _wishes(arguments, force=True)
        student, project, reason = arguments.student, arguments.project, arguments.reason
        report = regrade(folder, student, project, reason, say, engine=engine, wishes=wishes)
    return _code({arguments.student: report}), report


def amend(arguments: Namespace) -> Result:
    """Mend a release, and grade old submissions against it."""
    with _grading(arguments, [arguments.project]) as (folder, engine):
        from classroom.amend import amend
        from classroom.autograde import autograde

        project = arguments.project

        def grade() -> dict:
            return autograde(folder, project, say, engine=engine, wishes=_wishes(arguments))

        report = amend(folder, project, grade, say)
    return _code(report.get("submissions", {})), report


def demo(arguments: Namespace) -> Result:
    """Take a made-up class through the whole cycle."""
    if arguments.project:
        _require_known(_folder(arguments), arguments.project)
    with _grading(arguments, other="_build/demo") as (folder, engine):
        from classroom.demo import demo

        report = demo(folder, _projects(folder, arguments.project), say, engine=engine, wishes=_wishes(arguments))
    rows = [row for rows in report["projects"].values() for row in rows]
    return _code({row["student"]: row for row in rows}), report


def feedback(arguments: Namespace) -> Result:
    """Make pages of feedback."""
    from classroom.feedback import feedback

    folder = _folder(arguments)
    with folder.lock():
        folder.require(arguments.project)
        report = feedback(folder, arguments.project, say, release=arguments.release, students=arguments.student)
    return int(bool(report["failed"])), report


def status(arguments: Namespace) -> Result:
    """Show who handed in and what came out."""
    from classroom.status import status

    folder = _folder(arguments)
    with folder.lock():  # it brings the late penalties up to date
        return 0, status(folder, arguments.project, say)


def report(arguments: Namespace) -> Result:
    """Write the page of statistics."""
    from classroom.statistics import report

    folder = _class(arguments)
    target = Path(arguments.to) if arguments.to else None
    with folder.lock():
        return 0, report(folder, arguments.project, say, to=target, names=arguments.names)


def show(arguments: Namespace) -> Result:
    """Show one submission in detail."""
    from classroom.status import show

    folder = _folder(arguments)
    with folder.lock():
        return 0, show(folder, arguments.student, arguments.project, say)


def export(arguments: Namespace) -> Result:
    """Write the points, for a spreadsheet or a learning platform."""
    from classroom.export import Choice, export

    folder = _class(arguments)
    pairs = [text.partition("=") for text in arguments.column]
    wrong = next((text for text, (_, _, title) in zip(arguments.column, pairs, strict=True) if not title), None)
    if wrong is not None:
        raise ClassroomError(f"--column {wrong}: expected PROJECT=TITLE, as in checkpoint-01='Checkpoint 1'")
    columns = {project: title for project, _, title in pairs}
    if twice := next((project for project in columns if [one[0] for one in pairs].count(project) > 1), None):
        raise ClassroomError(f"--column {twice}=…: given twice; a project has one column")
    choice = Choice(arguments.before_penalty, arguments.incomplete, arguments.scale, columns)
    source, out = (Path(name) if name else None for name in (arguments.source, arguments.out))
    options = {"to": arguments.to, "projects": arguments.project, "source": source, "out": out, "choice": choice}
    with folder.lock():
        return 0, export(folder, say, **options)


def similarity(arguments: Namespace) -> Result:
    """Show which submissions share code."""
    from classroom.similarity import THRESHOLD, similarity

    folder = _class(arguments)
    options = {"past": [Path(place) for place in arguments.past], "names": arguments.names}
    options |= {"out": Path(arguments.out) if arguments.out else None, "threshold": arguments.threshold or THRESHOLD}
    with folder.lock():
        return 0, similarity(folder, arguments.project, say, **options)


def forget(arguments: Namespace) -> Result:
    """Remove a person, or everybody whose time has come."""
    from classroom.forget import forget, forget_expired, require_expired

    if bool(arguments.student) == arguments.expired:
        raise ClassroomError("classroom forget STUDENT, or classroom forget --expired")
    folder = _folder(arguments)
    with folder.lock():
        if arguments.expired:
            require_expired(folder)
        whom = "everybody" if arguments.expired else arguments.student
        question = f"Remove {whom} from gradebook, files and reports? [y/N] "
        if not arguments.yes and not arguments.dry_run and not _agreed(question):
            raise ClassroomError("nothing was removed")
        if arguments.expired:
            return 0, forget_expired(folder, say, arguments.dry_run)
        return 0, forget(folder, arguments.student, say, arguments.dry_run)


def new(arguments: Namespace) -> Result:
    """Begin a project."""
    from classroom.template import new

    return 0, new(_folder(arguments), arguments.project, say, title=arguments.title)


def lint(arguments: Namespace) -> Result:
    """Look at a project's tests, and run them both ways."""
    from classroom.lint import lint

    folder = _folder(arguments)
    if arguments.no_run:
        report = lint(folder, arguments.project, say)
    else:
        with start_engine(arguments) as engine:
            wishes, bank = _wishes(arguments), arguments.bank
            report = lint(folder, arguments.project, say, engine=engine, wishes=wishes, bank=bank)
    return int(bool(report["findings"])), report


def audit(arguments: Namespace) -> Result:
    """Try attacks on a project, in a class of their own."""
    from classroom.audit import audit

    folder = _folder(arguments)
    # On this machine and in the warm sandbox: that is what is tried.
    for option in ("scheduler", "cold", "insecure", "tls_ca", "tls_cert", "tls_key"):
        setattr(arguments, option, None)
    if not folder.has_beside(arguments.project):
        folder.require_source(arguments.project)  # before workers are started
    with start_engine(arguments) as engine:
        report = audit(folder, arguments.project, say, engine=engine, quick=arguments.quick)
    return int(not report["clean"]), report


def doctor(arguments: Namespace) -> Result:
    """Show which layers of the sandbox hold."""
    from classroom.sandbox.doctor import doctor

    try:
        root = _folder(arguments).root
    except ClassroomError:  # a machine can be looked at before there is a course on it
        root = None
    report = doctor(say, folder=root)
    if arguments.kernelspec and report["holds"]:
        from classroom.sandbox.provisioner import install_kernelspec

        report["kernelspec"] = str(install_kernelspec(arguments.kernelspec))
        say(f"kernel {arguments.kernelspec!r} is in {report['kernelspec']}; a notebook names its kernel itself, so set")
        say(f'  c.ExecutePreprocessor.kernel_name = "{arguments.kernelspec}"\nin nbgrader_config.py for stock nbgrader')
    return 0 if report["holds"] else 2, report


def simulate(arguments: Namespace) -> Result:
    """Make a synthetic class."""
    from classroom.simulate import simulate

    folder = _folder(arguments)
    with folder.lock():
        folder.require(arguments.project)
        options = {"seed": arguments.seed, "to": Path(arguments.to) if arguments.to else None, "groups": arguments.only}
        return 0, simulate(folder, arguments.project, arguments.students, say, **options)


def _folder(arguments: Namespace, other: str | None = None) -> "Folder":
    """The class to work in; `other` where neither the command line says nor it is the usual one."""
    from classroom.folder import Folder

    folder = Folder.find(arguments.course)
    return Folder(folder.root, other) if other and arguments.course is None else folder


def _class(arguments: Namespace) -> "Folder":
    """A class that is there, for what only reads."""
    folder = _folder(arguments)
    folder.require_class()
    return folder


@contextmanager
def _grading(
    arguments: Namespace, projects: Iterable[str] = (), students: Iterable[str] = (), other: str | None = None
) -> Iterator[tuple["Folder", "Engine"]]:
    """The class, held, and an engine for it.

    What is mistyped is said before workers are started. But they start before nbgrader is imported, which takes as
    long: where our own records tell that all is well, it is not asked here.
    """
    folder = _folder(arguments, other)
    with folder.lock():
        for project in projects:
            _require_known(folder, project)
            if not folder.record("release", project).exists():
                folder.require_released(project)
            for student in students:
                if not (folder.home / "submitted" / student / project).is_dir():
                    folder.require_submitted(student, project)
        with start_engine(arguments) as engine:
            yield folder, engine


def _require_known(folder: "Folder", project: str) -> None:
    """See that course.yml, if there is one, names a project; the rest of what it needs is looked at later."""
    if folder.course is not None and project not in folder.course.due:
        folder.require(project)


def _projects(folder: "Folder", project: str | None) -> list[str]:
    return [folder.require(project)] if project else folder.projects()


def _code(submissions: dict[str, dict]) -> int:
    """0 only where every submission has an outcome."""
    return int(any(record["outcome"] not in ("graded", "student-error", "refused") for record in submissions.values()))


@contextmanager
def start_engine(arguments: Namespace) -> Iterator:
    """The engine of a command's options, whose workers start while we import what we need ourselves."""
    from classroom.engine import Engine
    from classroom.scheduler import Certificates

    engine = Engine(
        jobs=arguments.jobs,
        start=_start(arguments),
        scheduler=arguments.scheduler,
        certificates=Certificates(arguments.tls_ca, arguments.tls_cert, arguments.tls_key),
        say=say,
    )
    if arguments.insecure:
        say("WITHOUT sandbox: students' code runs as you, with your files and your network in its reach")
    with engine:
        yield engine


def _start(arguments: Namespace) -> str:
    return "insecure" if arguments.insecure else "cold" if arguments.cold else "warm"


def _wishes(arguments: Namespace, *, force: bool = False):
    from classroom.autograde import Wishes

    return Wishes(arguments.timeout, arguments.cell_timeout, arguments.memory, _start(arguments), force)


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
