"""`classroom audit PROJECT`: what a project gives to submissions without work, and what they can do while it grades.

The project is released to a class of its own, which lies in the folder `audit` of the real one while it runs; in it
hand in some fifty students that do harm or nothing, and two that are right (`classroom.audit.attacks`). They are
graded by the same code as any class. Nothing of the real class is read or written, but the bait for the attacks lies in
the course's folder meanwhile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from classroom.audit.attacks import ANSWERS, FORGERIES, LIMITS, REACH, RIGHT, Attack, attacks, search
from classroom.audit.effects import Bait, Watch, laid, overdue
from classroom.audit.table import lines
from classroom.audit.verdicts import Row, as_dicts, count, given, in_session, lost, names_in, require_cells
from classroom.autograde import Wishes, autograde, limits
from classroom.folder import Folder
from classroom.partnames import PartNames
from classroom.rebuild import master
from classroom.release import release, source_digest
from classroom.results import GRADED, REFUSED, STUDENT_ERROR, read_result, writing
from classroom.simulate import write_links
from classroom.simulate.material import Material, read_material, right_work
from classroom.terminal import counted

if TYPE_CHECKING:
    from classroom.engine import Engine

# What an answer without work may use, and one that is meant to run into a limit: waiting for it is all that it costs.
LAZY_SECONDS, LAZY_CELL_SECONDS = 120, 15
SHORT_SECONDS, SHORT_CELL_SECONDS, SHORT_MEMORY_MB = 20, 2, 1024


class OwnClass(Folder):
    """A class of the audit's own: settings and sources of a course, and everything else apart.

    Args:
        folder: the real class.
        project: the only one of this class.
    """

    def __init__(self, folder: Folder, project: str) -> None:
        self._place = folder.home / "audit" / project
        super().__init__(folder.root, os.path.relpath(self._place, folder.root))
        self._project = project
        self._option = folder._option

    def projects(self) -> list[str]:
        """The project, whether or not course.yml gives it to the real class."""
        return [self._project]

    @cached_property
    def app(self):
        """nbgrader's application, whose every folder but the sources', and whose gradebook, are this class's."""
        app = super().app
        place = self._place.resolve()
        for step in ("release", "submitted", "autograded", "feedback"):
            # Relative to the course's folder, which keeps nbgrader's own pattern matching of paths intact.
            setattr(app.coursedir, f"{step}_directory", os.path.join(self.class_dir, step))
        app.coursedir.db_url = f"sqlite:///{place / 'gradebook.db'}"
        return app


def audit(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    engine: Engine,
    quick: bool = False,
) -> dict:
    """Try the attacks on a project.

    Args:
        folder: the real class; it is neither read nor written, but for the folder `audit` in it. Canaries lie at the
            top of the course meanwhile.
        engine: runs the submissions, in the sandbox of this machine.
        quick: only the most telling attacks.

    Returns:
        `clean`; `attacks`, a list of dicts with `group`, `name`, `tries`, `outcome`, `note`, `seconds`, `gained`,
        `parts` and `effects`; `earned`, a list with `cell`, `check`, `points`, `attacks` and `reason`; `effects`, those
        that cannot be laid to one attack; `in_session`, test cells whose verdict a submission can reach.

    Raises:
        ClassroomError: no such project, no release can be made of it, it is not in Python, or there is no sandbox.
    """
    from classroom.sandbox.doctor import quick_check

    quick_check()
    with _own_class(folder, project) as own:
        before = source_digest(own, project)
        release(own, [project], lambda text: None)
        material, masters = read_material(own, project), master(own, project)
        described = own.project(project)
        allowed = list(described.audit) if described else []
        require_cells(allowed, masters)
        names = names_in(masters)
        chosen = attacks(quick=quick)
        rows = {attack.student: Row(attack) for attack in chosen}
        with laid(own, masters, material.released, folder.home) as (bait, watch):
            for attack in chosen:
                _hand_in(own, material, attack, bait)
            say(f"{project}: {counted(len(chosen), 'submission')}, made of the release and of your solution")
            _grade(own, project, rows, say, engine)
            effects = watch.outside()
            records = {s: read_result(own.record("result", project, s)) for s in rows}
            for student, row in rows.items():
                _judge(row, records[student], watch, names, hidden=bool(bait.needles))
        effects += _gradebook(own, project, records)
        earned = count(list(rows.values()), {r.attack.name: given(records[s], names) for s, r in rows.items()}, allowed)
        if source_digest(own, project) != before:
            effects.append("the source of the project was changed")
    exposed = in_session(list(records.values()), names)
    gained = any(one.reason is None for one in earned)
    clean = not (gained or effects or exposed or any(row.effects for row in rows.values()))
    for line in lines(project, list(rows.values()), earned, effects, exposed, [] if quick else allowed):
        say(line)
    return {
        "clean": clean,
        "attacks": [row.as_dict() for row in rows.values()],
        "earned": as_dicts(earned),
        "effects": effects,
        "in_session": exposed,
    }


@contextmanager
def _own_class(folder: Folder, project: str) -> Iterator[OwnClass]:
    """The audit's class, held while it runs and removed after it, also after an interruption."""
    own, named = OwnClass(folder, project), os.environ.get("CLASSROOM_DIR")
    made = [own.home.parent, *([] if folder.home.exists() else [folder.home])]
    with writing(own.home):
        own.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with own.lock():
        for place in own.home.iterdir():  # of an audit that was killed
            if place.name != ".lock":
                shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        try:
            folder.require_source(project)
            yield own
        finally:
            if named is None:  # `Folder.app` has set it
                os.environ.pop("CLASSROOM_DIR", None)
            else:
                os.environ["CLASSROOM_DIR"] = named
            shutil.rmtree(own.home, ignore_errors=True)
            for place in made:
                with suppress(OSError):  # something else is in it
                    place.rmdir()


def _hand_in(own: OwnClass, material: Material, attack: Attack, bait: Bait) -> None:
    """Put one submission under submitted/."""
    work = right_work(material)
    attack.make(work, bait)
    place = own.path("submitted", material.project, attack.student)
    with writing(place):
        for name, data in work.every_file().items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        place.mkdir(parents=True, exist_ok=True)
        write_links(work.links, place)


def _grade(own: OwnClass, project: str, rows: dict[str, Row], say: Callable[[str], None], engine: Engine) -> None:
    """Grade all of them, as `classroom autograde` does; the right ones after all that meant harm."""
    usual = limits(own, project, Wishes())
    lazy = Wishes(min(LAZY_SECONDS, usual.seconds), min(LAZY_CELL_SECONDS, usual.cell_seconds))
    short = Wishes(SHORT_SECONDS, SHORT_CELL_SECONDS, SHORT_MEMORY_MB)
    for title, groups, wishes in (
        ("loops, floods, forks, memory", (LIMITS,), short),
        ("forged verdicts, reading, writing, network", (FORGERIES, REACH), lazy),
        ("answers without work", (ANSWERS,), lazy),
        ("right answers, after all that", (RIGHT,), Wishes()),
    ):
        students = [student for student, row in rows.items() if row.attack.group in groups]
        if students:
            say(f"  {title}: {counted(len(students), 'submission')}")
            autograde(own, project, lambda text: None, engine=engine, students=students, wishes=wishes)
            for student in students:
                rows[student].limit = wishes.seconds or usual.seconds


def _judge(row: Row, record: dict, watch: Watch, names: PartNames, *, hidden: bool) -> None:
    """Put what came of one submission into its row."""
    row.outcome, row.note = record.get("outcome", "none"), record.get("note") or ""
    row.seconds = record.get("seconds") or 0.0
    cells = [cell for name in record.get("points", {}).values() for cell in name.values() if cell["auto"] is not None]
    row.most = sum(cell["max"] for cell in cells)
    row.effects += watch.said(record) + overdue(record, row.limit)
    if row.outcome not in (GRADED, STUDENT_ERROR, REFUSED):
        row.effects.append(f"it has no outcome: {row.note or row.outcome}")
    if row.attack.make is search and hidden and not watch.searched(record):
        row.effects.append(f"its search did not get to its end, so that nothing is known: {row.note or row.outcome}")
    if row.attack.group == RIGHT:
        row.parts = {
            names.of(notebook, name): cell["auto"]
            for notebook, cells in record.get("points", {}).items()
            for name, cell in cells.items()
            if cell["auto"]
        }
        row.effects += [f"the solution lost points: {what}" for what in lost(record, names)]


def _gradebook(own: OwnClass, project: str, records: dict[str, dict]) -> list[str]:
    """Where the gradebook says something else than the results: a list of effects in words."""
    found = []
    with own.gradebook() as gradebook:
        assignments = [assignment.name for assignment in gradebook.assignments]
        if assignments != [project]:
            found.append(f"the gradebook has other projects: {', '.join(assignments)}")
        known = {submission.student_id: submission for submission in gradebook.assignment_submissions(project)}
        for student in sorted(known.keys() - records.keys()):
            found.append(f"the gradebook has a student who has handed in nothing: {student}")
        for student, record in records.items():
            points = [cell["auto"] or 0.0 for name in record.get("points", {}).values() for cell in name.values()]
            there = known[student].score if student in known else 0.0
            if abs(there - sum(points)) > 1e-6:
                found.append(f"the gradebook has {there:g} points for {student}, its result {sum(points):g}")
    return found
