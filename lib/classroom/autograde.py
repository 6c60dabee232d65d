"""`classroom autograde`: what stands under submitted/ is checked, rebuilt, run in the sandbox, and written down.

    submitted/ → intake's checks → rebuilt from the release → job → worker → outcome → result file → gradebook

This process is the only one that writes. It hands a few jobs out at a time and merges outcomes as they come back, so
memory does not grow with the class, and whatever interrupts it, the same command goes on.

A submission is graded again when it has changed, or what it is graded with: the release's cells with their hidden
tests, grading's parameters, the files that come along, withheld names, the class's secret, and `deeppractice.checks`.
New limits and new versions of Python's packages do not touch grades that stand; `--force` does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from classroom.engine import Engine
from classroom.errors import ClassroomError, RefusedError
from classroom.folder import Folder
from classroom.progress import Progress
from classroom.results import (
    FAILED,
    GRADED,
    REFUSED,
    STUDENT_ERROR,
    compose,
    read_result,
    without_run,
    write_result,
)
from classroom.standing import examination, files_along, grader_digest, submission_digest
from classroom.terminal import counted

FAILURES_FIRST = 5  # without a single outcome: then it is not the submissions


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None: as project.yml, course.yml or the defaults have it."""

    seconds: float | None = None  # of a submission in all
    cell_seconds: float | None = None
    memory_mb: int | None = None
    start: str = "warm"  # or cold, insecure
    force: bool = False  # grade again what has not changed


def autograde(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    engine: Engine,
    students: list[str] | None = None,
    wishes: Wishes | None = None,
) -> dict:
    """Grade every submission that changed since it was last graded, or whose release did.

    Args:
        engine: runs the jobs; it may still be starting.
        students: only these; all by default.

    Returns:
        `submissions`: for each student `outcome`, `note`, `seconds` and `again`, whether it was graded now. `limits`.

    Raises:
        ClassroomError: an unknown student, a project that was not released, a sandbox or a scheduler that is missing.
    """
    wishes = wishes or Wishes()
    folder.require_released(project)
    everybody = folder.students(project)
    for name in folder.misnamed(project):
        say(f"left out: submitted/{name[:100]} is no student's name; give the folder another one")
    for student in students or []:
        folder.require_submitted(student, project)
    chosen = [student for student in everybody if not students or student in students]
    if wishes.start != "insecure" and engine.address is None:
        from classroom.sandbox.doctor import quick_check

        quick_check()  # whether there is a sandbox at all; each worker tries its layers before its first job
    from classroom.writer import Writer

    with Writer(folder, project, say) as writer, Progress(len(chosen), project, say) as progress:
        writer.catch_up()
        batch = _Batch(folder, project, wishes, writer, progress, elsewhere=engine.address is not None)
        for work, outcome in engine.outcomes(batch.jobs(chosen)):
            batch.take(work, outcome)
    done = {student: batch.done[student] for student in chosen}
    kinds = [record["outcome"] for record in done.values()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    again = sum(record["again"] for record in done.values())
    stand = f", {len(chosen) - again} stand as they were" if again < len(chosen) else ""
    in_all = f"; in all {counts}" if counts else ""
    say(f"{project}: {counted(len(chosen), 'submission')}, {again} graded now{stand}{in_all}")
    if batch.other_environment:
        one = batch.other_environment == 1
        graded, stand = ("1 was", "stands") if one else (f"{batch.other_environment} were", "stand")
        text = "graded with other versions of Python's packages or of the course's own code (deeppractice, classroom)"
        say(f"{graded} {text}, and {stand}; --force grades {'it' if one else 'them'} again")
    return {"submissions": done, "limits": batch.limits.as_dict()}


def limits(folder: Folder, project: str, wishes: Wishes):
    """The limits of a submission: the command line's over project.yml's over course.yml's over nbgrader's settings."""
    from classroom.course import limits_for
    from classroom.sandbox.policy import Limits

    known = {field.name for field in fields(Limits)}
    values = {"cell_seconds": folder.app.config.Execute.get("timeout")}
    values |= {
        name: value for name, value in limits_for(folder.course, folder.project(project)).items() if name in known
    }
    values |= {name: value for name in known if (value := getattr(wishes, name, None)) is not None}
    return Limits(**{name: value for name, value in values.items() if value is not None})


@dataclass
class _Work:
    """What stays here of a job that is under way."""

    student: str
    submission: str
    rebuilt: dict
    notes: list[str]
    timestamp: str | None


class _Batch:
    """Makes jobs of submissions, and result files of outcomes."""

    def __init__(
        self, folder: Folder, project: str, wishes: Wishes, writer, progress: Progress, *, elsewhere: bool
    ) -> None:
        from classroom.intake import expected_files
        from classroom.job import environment_hash
        from classroom.rebuild import master

        self.folder, self.project, self.wishes = folder, project, wishes
        self.writer, self.progress = writer, progress
        self.elsewhere = elsewhere  # on other machines, whose environment may be another
        self.limits = limits(folder, project, wishes)
        self.masters = master(folder, project)
        self.expected = expected_files(folder, project)
        self.files = files_along(folder, project, self.expected)
        self.environment = environment_hash()
        self.examination = examination(folder, project, self.masters, make=True)
        self.grader = grader_digest(self.masters, self.files, self.examination)
        self.start, self.kernel = _start(self.masters, wishes.start)
        self.done: dict[str, dict] = {}
        self.other_environment = 0  # graded in another environment, and standing
        self._failures, self._any_ran = 0, False

    def jobs(self, students: list[str]) -> Iterator[tuple[_Work, dict]]:
        """The jobs of those whose grade does not stand; the others are settled on the way."""
        for number, student in enumerate(students):
            place = self.folder.path("submitted", self.project, student)
            submission = submission_digest(place)
            if not self.wishes.force and self._stands(student, submission):
                continue
            work = _Work(student, submission, {}, [], None)
            try:
                notebooks = self._rebuild(place, work)
            except RefusedError as reason:
                self._write(without_run(REFUSED, str(reason), **self._who(work)))
                continue
            yield work, self._job(number, notebooks)

    def _job(self, number: int, notebooks: dict) -> dict:
        return {
            "number": number,
            "notebooks": notebooks,
            "files": self.files,
            "limits": self.limits.as_dict(),
            "start": self.start,
            "kernel": self.kernel,
            "environment": self.environment if self.elsewhere else None,
            **self._examination(notebooks),
        }

    def _examination(self, notebooks: dict) -> dict:
        plans = self.examination["plan"]
        return {**self.examination, "plan": {name: _for_this(plans[name], made) for name, made in notebooks.items()}}

    def take(self, work: _Work, outcome: dict) -> None:
        """Write down what came of a job.

        Raises:
            ClassroomError: when one submission after the other fails through no fault of its own.
        """
        record = compose(
            outcome,
            work.rebuilt,
            **self._who(work),
            attempts=outcome.get("tries", 1),
            notes=work.notes,
            ignore_stderr=self.folder.app.config.IgnorePattern.get("pattern", ""),
        )
        self._write(record)
        self._failures += record["outcome"] == FAILED
        self._any_ran = self._any_ran or record["outcome"] != FAILED
        if self._failures >= FAILURES_FIRST and not self._any_ran:
            raise ClassroomError(
                f"no submission can be run: {record['note']}; nothing was scored, and the same command tries again "
                "(`classroom doctor` shows what this machine lacks)"
            )

    def _who(self, work: _Work) -> dict:
        return {
            "student": work.student,
            "project": self.project,
            "submission": work.submission,
            "grader": self.grader,
            "timestamp": work.timestamp,
        }

    def _stands(self, student: str, submission: str) -> bool:
        """Whether there is an outcome of just this; then it is the student's line in the report."""
        head = read_result(self.folder.record("result", self.project, student), head=True)
        if head.get("outcome") not in (GRADED, REFUSED, STUDENT_ERROR):
            return False
        if (head["submission"], head["grader"]) != (submission, self.grader):
            return False
        self.other_environment += head["outcome"] == GRADED and head.get("environment") != self.environment
        self._report(head, again=False)
        return True

    def _rebuild(self, place: Path, work: _Work) -> dict:
        """The notebooks to be run.

        Raises:
            RefusedError: if the submission is not one that can be graded.
        """
        from classroom.intake import TIMESTAMP, parse_time, read_submission
        from classroom.notebooks import read_notebook
        from classroom.rebuild import rebuild

        try:
            files, notes, refusals = read_submission(place, self.expected)
        except OSError as error:  # a link instead of a folder, or one that only others may read
            raise RefusedError(f"the submission's folder cannot be read: {(error.strerror or '').lower()}") from None
        work.notes += notes + [f"not taken: {name}: {reason}" if name else reason for name, reason in refusals]
        if TIMESTAMP in files:
            work.timestamp = str(parse_time(files[TIMESTAMP].decode("utf-8", "replace")))
        made = {}
        for name, master in self.masters.items():
            if name not in files:
                continue  # the others count
            notebook, notes = read_notebook(files[name], name)
            work.notes += notes
            found = rebuild(master, notebook)
            made[name] = found.notebook
            work.rebuilt[name] = replace(found, notebook=None)
        return made

    def _write(self, record: dict) -> None:
        record = {"environment": self.environment, **record}
        write_result(self.folder.record("result", self.project, record["student"]), record)
        self.writer.merge(record)
        self._report(record, again=True)

    def _report(self, record: dict, *, again: bool) -> None:
        kept = {name: record.get(name) for name in ("student", "outcome", "note", "seconds")}
        self.done[record["student"]] = {**kept, "again": again}
        self.progress.step(kept if again else None)


def _for_this(plan: dict, notebook: dict) -> dict:
    """A notebook's plan as one submission needs it: which tests' visible texts its own cells build on."""
    from classroom.plan import replayed

    needed = replayed(plan, notebook)
    return {name: known if name[0] == "_" else {**known, "replay": name in needed} for name, known in plan.items()}


def _start(masters: dict, wish: str) -> tuple[str, str]:
    """How to start, and the kernel's name: only Python can be kept warm."""
    specs = [notebook.metadata.get("kernelspec", {}) for notebook in masters.values()]
    names = {spec.get("name", "python3") for spec in specs}
    if len(names) != 1:
        raise ClassroomError(f"notebooks of one project with different kernels: {', '.join(sorted(names))}")
    languages = {str(spec.get("language", "python")).lower() for spec in specs}
    name = names.pop()
    if languages == {"python"}:
        return wish, name
    if wish == "insecure":
        raise ClassroomError(f"--insecure runs Python only, not the kernel {name}")
    return "cold", name
