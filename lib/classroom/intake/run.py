"""`classroom collect`: take submissions into the course folder, and say what was not taken and why.

They come from nbgrader's exchange, or with --from out of a folder, a zip or a tar. Only regular files on the project's
list are read, nothing is executed, and the same command a second time changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from classroom.errors import ClassroomError, RefusedError
from classroom.folder import Folder
from classroom.intake import attempts, exchange, service
from classroom.intake.archives import open_archive
from classroom.intake.attempts import Attempt
from classroom.intake.files import FolderTree
from classroom.intake.log import Log
from classroom.intake.names import EXTRAS, STUDENT, TIMESTAMP, expected_files, is_notebook
from classroom.intake.patterns import Arrival, arrange, parse_time
from classroom.intake.submission import Submission, Tree, check, pick, read_submission
from classroom.notebooks import read_notebook
from classroom.terminal import counted

MOST_STRAYS = 20  # of one account, that are named: anybody may leave any number of folders


def collect(
    folder: Folder,
    project: str,
    source: Path | None,
    say: Callable[[str], None],
    *,
    pattern: str | None = None,
    take_late: Iterable[str] = (),
) -> dict:
    """Take the submissions of a project in.

    Args:
        source: a folder, a zip or a tar; None: nbgrader's exchange.
        pattern: how names in `source` are read: a built-in one (nbgrader, exchange, moodle, canvas) or a regular
            expression with the groups student, time and file; by default the built-in one that fits.
        take_late: students whose last late submission counts although an earlier one was on time.

    Returns:
        Lists of students, `collected` and `unchanged`; `refused` with student, file and reason; `set_aside` with
        student, attempt and reason; `notes` with student and note; `names`, the students' ids by what stood there.

    Raises:
        ClassroomError: if there is no such source, or nobody can say whose the files are.
    """
    folder.require_released(project)
    if source is None and pattern is not None:
        raise ClassroomError("--pattern is for --from; the exchange has its own names")
    attempts.recover(folder, project)
    run = _Run(folder, project, say)
    if source is not None:
        run.from_path(source, pattern)
    elif service.is_configured(folder):
        run.from_service()
    else:
        run.from_exchange()
    for student in take_late:
        late = attempts.take_late(folder, project, student)
        run.note(student, f"the late submission of {late.time} UTC counts: taken by hand")
    return run.settle()


class _Run:
    """One run of `collect`."""

    def __init__(self, folder: Folder, project: str, say: Callable[[str], None]) -> None:
        self.folder, self.project, self.say = folder, project, say
        self.expected = expected_files(folder, project)
        self.log = Log(folder, project)
        self.seen: dict[str, None] = {}  # students of whom something was taken or is there already, in order
        self.fresh: set[tuple[str, str]] = set()
        self.report: dict = {"collected": [], "unchanged": [], "refused": [], "set_aside": [], "notes": [], "names": {}}
        for student in folder.students(project):
            self._adopt(student)

    def note(self, student: str, text: str) -> None:
        self.report["notes"].append({"student": student, "note": text})
        self.say(f"note       {student}: {text}")

    def _refuse(self, arrival: Arrival, file: str, reason: object, attempt: str | None = None) -> None:
        student = arrival.student
        self.log.add(arrival, file, str(reason), attempt)
        self.report["refused"].append({"student": student, "file": file, "reason": str(reason)})
        self.say(f"refused    {student}/{file}: {reason}" if file else f"refused    {student}: {reason}")

    # Where things come from.

    def from_exchange(self) -> None:
        if not exchange.checks_owner(self.folder):
            self.say("note       nbgrader's check_owner is off: whose a submission is, is only what it says")
        strays: Counter[str] = Counter()
        for name in exchange.handed_in(self.folder, self.project):
            with exchange.opened(self.folder, self.project, name) as (arrival, tree):
                strays[arrival.owner] += arrival.stray
                if strays[arrival.owner] <= MOST_STRAYS or not arrival.stray:
                    self._exchanged(arrival, tree)
        for owner, count in strays.items():
            if count > MOST_STRAYS:
                self.say(f"refused    {counted(count - MOST_STRAYS, 'folder')} more that belong to {owner}")

    def _exchanged(self, arrival: Arrival, tree: FolderTree | None) -> None:
        if tree is None:
            self._refuse(arrival, "", arrival.reason)
            return
        try:
            listed = {entry.path: entry for entry in tree.entries()}
        except RefusedError as reason:
            self._refuse(arrival, "", reason)
            return
        newest = max([tree.changed, *(entry.changed for entry in listed.values())])
        for attempt in attempts.kept(self.folder, self.project, arrival.student):
            if attempt.origin == arrival.origin and attempt.changed >= newest:
                self.seen[arrival.student] = None
                return
        owner = tree.owner if exchange.checks_owner(self.folder) else None
        reader = exchange.Checked(tree, owner, newest)
        found = pick(reader, listed, self.expected)
        stamp = found.files.pop(TIMESTAMP, None)
        exchange.settle_time(arrival, self.project, reader.newest, stamp)
        self._take(arrival, found, reader.newest)

    def from_service(self) -> None:
        for arrival, sent, when in service.handed_in(self.folder, self.project):
            if sent is not None:
                found = pick(sent, sent.listed, self.expected)
                found.files[TIMESTAMP] = service.stamp(when).encode()
                self._take(arrival, found, service.changed(when))
            elif arrival.reason:
                self._refuse(arrival, "", arrival.reason)
            else:
                self.seen[arrival.student] = None

    def from_path(self, source: Path, pattern: str | None) -> None:
        if not source.exists():
            raise ClassroomError(f"--from {source}: there is no such folder or file")
        try:
            opened = FolderTree(source, followed=True) if source.is_dir() else open_archive(source)
        except RefusedError as reason:
            raise ClassroomError(f"--from {source}: {reason}") from None
        if opened is None:
            raise ClassroomError(f"--from {source}: expected a folder, a zip or a tar with one folder a student")
        with opened as tree:
            try:
                entries = list(tree.entries())
            except RefusedError as reason:
                raise ClassroomError(f"--from {source}: {reason}") from None
            arrivals, self.report["names"] = arrange(self.folder, self.project, entries, pattern)
            for said, student in self.report["names"].items():
                self.say(f"name       {said} is {student}")
            for arrival in arrivals:
                self._downloaded(arrival, tree)

    def _downloaded(self, arrival: Arrival, tree: Tree) -> None:
        if arrival.reason:
            self._refuse(arrival, "", arrival.reason)
            return
        found = pick(tree, arrival.files, self.expected)
        found.refusals[:0] = arrival.refused
        stamp = found.files.get(TIMESTAMP)
        if arrival.time is not None:
            found.files.pop(TIMESTAMP, None)
        elif stamp is not None:
            try:
                arrival.time = parse_time(stamp.decode("utf-8", "replace"))
            except RefusedError as reason:
                self._refuse(arrival, "", reason)
                return
        elif arrival.late:
            arrival.notes.append("late, without a time: how much is taken off can't be said")
        else:
            arrival.notes.append(f"no {TIMESTAMP}: counts as on time")
        self._take(arrival, found, 0.0)

    # What becomes of it.

    def _take(self, arrival: Arrival, found: Submission, changed: float) -> None:
        """Keep one submission as an attempt, or refuse it."""
        student = arrival.student
        try:
            check(found, self.expected)
            for name, data in found.files.items():
                if is_notebook(name):
                    read_notebook(data, name)
            made, known = self._attempt(arrival, found, changed), attempts.kept(self.folder, self.project, student)
            same = next((old for old in known if _same(made, old)), None)
            if same is None and len(known) >= attempts.MOST_KEPT:
                raise RefusedError(f"more than {attempts.MOST_KEPT} submissions")
        except RefusedError as reason:
            for file, why in found.refusals:
                self._refuse(arrival, file, why)
            self._refuse(arrival, "", reason)
            return
        self.seen[student] = None
        if same is None:
            files = dict(found.files)
            if made.time is not None and TIMESTAMP not in files:
                files[TIMESTAMP] = f"{made.time:%Y-%m-%d %H:%M:%S} UTC".encode()
            made = attempts.keep(self.folder, self.project, student, made, files)
            self.fresh.add((student, made.name))
            for note in made.notes:
                self.note(student, note)
        for file, why in found.refusals:
            self._refuse(arrival, file, why, (same or made).name)

    def _attempt(self, arrival: Arrival, found: Submission, changed: float) -> Attempt:
        notes = tuple(dict.fromkeys(arrival.notes + found.notes))
        what = _digest(found.files)
        return Attempt("", arrival.time, arrival.late, 0, arrival.origin, what, changed, "", notes)

    def _adopt(self, student: str) -> None:
        """Count what stands under submitted/ without us as an attempt, so that nothing is lost."""
        target = self.folder.path("submitted", self.project, student)
        if not STUDENT.fullmatch(student):
            return
        try:
            found = read_submission(target, self.expected)
        except RefusedError:
            return  # grading says so; what arrives replaces it
        stamp = found.files.get(TIMESTAMP)
        time = parse_time(stamp.decode("utf-8", "replace")) if stamp is not None else None
        made = Attempt("", time, origin="submitted", digest=_digest(found.files))
        if not any(_same(made, old) for old in attempts.kept(self.folder, self.project, student)):
            attempts.keep(self.folder, self.project, student, made, found.files)

    def settle(self) -> dict:
        """Let of each student the attempt stand that counts; the report."""
        for student in attempts.students(self.folder, self.project):
            chosen, reasons = attempts.chosen(self.folder, self.project, student)
            if chosen is None:
                continue
            changed = attempts.place(self.folder, self.project, student, chosen)
            if changed:
                self.report["collected"].append(student)
                self.say(f"collected  {student}")
            elif student in self.seen:
                self.report["unchanged"].append(student)
            for name, reason in reasons.items():
                if (student, name) in self.fresh or "after the due date" in reason:
                    self.report["set_aside"].append({"student": student, "attempt": name, "reason": reason})
                    hint = f"; to take it: --take-late {student}" if "after the due date" in reason else ""
                    self.say(f"set aside  {student}: {reason}{hint}")
        self.log.save()
        counts = [f"{len(self.report[what])} {what}" for what in ("collected", "unchanged", "refused")]
        counts += [f"{len(self.report['set_aside'])} set aside"] if self.report["set_aside"] else []
        self.say(f"{self.project}: {', '.join(counts)}")
        return self.report


def _same(new: Attempt, old: Attempt) -> bool:
    """Whether an attempt is kept already; in an exchange the folder's name tells attempts apart."""
    if new.digest != old.digest:
        return False
    exchanged = new.origin.startswith("exchange:") and new.changed > 0
    return new.time == old.time if not exchanged else new.origin == old.origin


def _digest(files: dict[str, bytes]) -> str:
    """One hash over the names and bytes of the project's files."""
    hasher = hashlib.sha256()
    for name, data in sorted(files.items()):
        if name not in EXTRAS:
            for piece in (name.encode(), data):
                hasher.update(f"{len(piece)}:".encode() + piece)
    return hasher.hexdigest()
