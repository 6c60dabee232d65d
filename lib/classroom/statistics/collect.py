"""All that a report is made of, read once: the gradebook, and each result file one at a time.

Of a result file only its head is read, and only numbers are kept of it, so that memory does not grow with notebooks.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from classroom.folder import Folder
from classroom.intake import attempts, refusals
from classroom.partnames import PartNames
from classroom.report import _order
from classroom.results import DAMAGED, FAILED, GRADED, REFUSED, STUDENT_ERROR, read_result
from classroom.statistics.marks import Marks, progress, read_marks
from classroom.statistics.reasons import kind_of

SLOWEST = 5
NOT_YET = "not graded yet"
OUTCOMES = (GRADED, STUDENT_ERROR, REFUSED, FAILED, DAMAGED, NOT_YET)


@dataclass
class Check:
    """One check of a test cell, over all submissions."""

    cell: str
    name: str
    hint: str = ""
    hidden: bool = False
    made: int = 0
    failed: int = 0


@dataclass(frozen=True, order=True)
class Run:
    """What one submission used."""

    seconds: float
    cpu_seconds: float
    memory_mb: float
    student: str
    outcome: str


@dataclass
class Runs:
    """What the result files say."""

    outcomes: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    slowest: list[Run] = field(default_factory=list)  # the slowest first
    seen: set[tuple[str, str]] = field(default_factory=set)  # notebook and grade_id of what ran
    stopped: Counter = field(default_factory=Counter)  # by (cell, status) how many cells did not end by themselves
    tried_again: int = 0  # submissions that more than one worker was given
    checks: dict[tuple[str, str], Check] = field(default_factory=dict)
    with_checks: int = 0  # submissions of which single checks are on record
    surprised: Counter = field(default_factory=Counter)  # by test cell: all visible checks passed, a hidden one failed
    refused: Counter = field(default_factory=Counter)  # by reason

    def add(self, student: str, result: dict, *, names: bool) -> None:
        """Count one result file."""
        outcome = result.get("outcome", NOT_YET)
        self.outcomes[outcome] += 1
        if outcome == REFUSED:
            self.refused[_reason(result["note"], names)] += 1
        if outcome not in (GRADED, STUDENT_ERROR):
            return
        usage = result.get("usage") or {}
        seconds, cpu, memory = (_number(usage.get(name)) for name in ("seconds", "cpu_seconds", "memory_mb"))
        if not math.isnan(seconds):
            self.seconds.append(seconds)
            run = Run(seconds, cpu, memory, student, outcome)
            (heapq.heappush if len(self.slowest) < SLOWEST else heapq.heappushpop)(self.slowest, run)
        self.cpu_seconds += [] if math.isnan(cpu) else [cpu]
        self.memory_mb += [] if math.isnan(memory) else [memory]
        self.tried_again += result.get("attempts", 1) > 1
        ran = [(notebook, cell) for notebook, cells in result.get("cells", {}).items() for cell in cells]
        on_record = [self._add_cell(notebook, cell) for notebook, cell in ran]
        self.with_checks += any(on_record)

    def _add_cell(self, notebook: str, cell: dict) -> bool:
        """Count one cell; whether its checks are on record."""
        name, checks = cell.get("grade_id"), cell.get("checks")
        if name:
            self.seen.add((notebook, name))
            name = f"{notebook}/{name}"  # until `call` is told what there is
        if name and cell["status"] in ("timeout", "died"):
            self.stopped[name, cell["status"]] += 1
        # What ran beside the student's code may have been written by it: such checks are a claim.
        if not name or not isinstance(checks, list) or not checks or cell.get("by", "examiner") != "examiner":
            return False
        for found in checks:
            check = self.checks.setdefault((name, str(found.get("name"))), Check(name, str(found.get("name"))))
            check.hint, check.hidden = str(found.get("hint") or check.hint), bool(found.get("hidden"))
            check.made += 1
            check.failed += not found.get("passed")
        hidden = [bool(found.get("passed")) for found in checks if found.get("hidden")]
        visible = [bool(found.get("passed")) for found in checks if not found.get("hidden")]
        self.surprised[name] += bool(visible) and all(visible) and not all(hidden)
        return True

    def call(self, known: Iterable[tuple[str, str | None]]) -> None:
        """Call the cells as they are called in tables, once all are counted.

        Args:
            known: notebook and grade_id of the project's cells, besides those that ran.
        """
        names = PartNames([*known, *self.seen])
        called = {f"{notebook}/{cell}": names.of(notebook, cell) for notebook, cell in self.seen}
        self.stopped = Counter({(called[cell], what): many for (cell, what), many in self.stopped.items()})
        self.surprised = Counter({called[cell]: many for cell, many in self.surprised.items()})
        for check in self.checks.values():
            check.cell = called[check.cell]
        self.checks = {(check.cell, check.name): check for check in self.checks.values()}


@dataclass
class Data:
    """One project of one class."""

    project: str
    title: str
    names: bool  # whether students may be named
    when: datetime
    marks: Marks
    runs: Runs
    students: int  # of whom there is anything: a submission, a result, a grade
    refused: Counter  # by intake, by reason
    refused_students: int
    attempts: Counter  # of how many students so many attempts are kept
    progress: dict[str, dict[str, float]]  # by project, in the order of the term, and student


def collect(folder: Folder, project: str, when: datetime, *, names: bool = False) -> Data:
    """Read all that is known of a project.

    Args:
        when: the time that the page shall say.
        names: keep reasons as they were given, with the names of files in them.

    Raises:
        ClassroomError: the gradebook or the record of an attempt cannot be read.
    """
    marks, runs = read_marks(folder, project), Runs()
    everybody = {*marks.students, *folder.students(project), *_with_result(folder, project)}
    for student in sorted(everybody):
        result = read_result(folder.record("result", project, student), head=True)
        if not result and student in marks.students_set:
            result = {"outcome": GRADED}  # by nbgrader's own command
        runs.add(student, result, names=names)
    runs.call(_order(folder, project))
    runs.slowest.sort(reverse=True)
    refused, refused_students = Counter(), set()
    for record in refusals(folder, project):
        reason = f"{record['file']}: {record['reason']}" if names and record["file"] else record["reason"]
        refused[_reason(reason, names)] += 1
        refused_students |= set() if record.get("stray") else {record["student"]}
    kept = Counter(len(attempts.kept(folder, project, student)) for student in attempts.students(folder, project))
    about = folder.project(project)
    return Data(
        project=project,
        title=about.title if about else "",
        names=names,
        when=when,
        marks=marks,
        runs=runs,
        students=len(everybody | refused_students),
        refused=refused,
        refused_students=len(refused_students),
        attempts=kept,
        progress=progress(folder, _in_order(folder)),
    )


def _with_result(folder: Folder, project: str) -> list[str]:
    ending = ".result.json"
    place = folder.record("result", project).parent
    return [path.name.removesuffix(ending) for path in place.glob(f"[!.]*{ending}")]


def _in_order(folder: Folder) -> list[str]:
    """The class's projects by due date, those without one last."""
    due = folder.course.due if folder.course else {}
    return sorted(folder.projects(), key=lambda name: (due.get(name) is None, due.get(name) or datetime.max))


def _reason(reason: str, names: bool) -> str:
    return reason if names else kind_of(reason)


def _number(value: object) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if usable else math.nan
