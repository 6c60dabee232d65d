"""`classroom simulate`: a made-up class, as a folder that `classroom collect --from` takes, for trying out.

Half of the students are right; the others are partial, wrong, odd or hostile, in PROPORTIONS. Within a group its kinds
take turns, so that a class of 200 has each at least once. Which student is of which kind, and what grading
should make of it, stands in a table beside the folder. The same seed makes the same class, byte for byte.
"""

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from classroom.course import due_for
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import write_atomically, writing
from classroom.simulate.honest import ODD, PARTIAL, RIGHT, WRONG, Kind, from_bank
from classroom.simulate.hostile import HOSTILE, write_links
from classroom.simulate.material import Material, read_material, right_work
from classroom.terminal import counted

PROPORTIONS = {"right": 48, "partial": 14, "wrong": 14, "odd": 12, "hostile": 12}  # percent
LATE = 0.08  # of the right, partial and wrong ones; an hour to four days
MOST = 100_000
COLUMNS = ("student", "group", "kind", "late", "outcome", "points")


def simulate(
    folder: Folder,
    project: str,
    students: int,
    say: Callable[[str], None],
    *,
    seed: int = 0,
    to: Path | None = None,
    groups: Iterable[str] | None = None,
) -> dict:
    """Write a simulated class of a released project.

    Args:
        students: how many.
        seed: another number makes another class.
        to: where to; by default inbound-simulated/PROJECT in the class's folder. An earlier simulation is replaced.
        groups: only these of PROPORTIONS, in their proportions to each other.

    Returns:
        `folder`, `key` (the table) and `kinds`, a count for each kind.

    Raises:
        ClassroomError: for a class that was not released, a number out of range, an unknown group, or a folder that
            holds something else or cannot be written to.
    """
    folder.require_released(project)
    if not 1 <= students <= MOST:
        raise ClassroomError(f"--students: expected a number from 1 to {MOST}, got {students}")
    unknown = set(groups or ()) - PROPORTIONS.keys()
    if unknown:
        raise ClassroomError(f"no group {min(unknown)!r}; there are {', '.join(PROPORTIONS)}")
    target = to or folder.home / "inbound-simulated" / project
    key = target.with_name(f"{target.name}.kinds.csv")
    if target.exists() and not key.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ClassroomError(
            f"{folder.shown(target)} is there and is no simulated class; name another folder with --to"
        )
    material = read_material(folder, project)
    kinds = plan(material, students, seed, groups)
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    rows = []
    with writing(target):
        for number, kind in enumerate(kinds, 1):
            student = f"s{number:04d}"
            chance = Random(f"{seed} {student}")
            late = kind.group in ("right", "partial", "wrong") and chance.random() < LATE
            due = due_for(folder.course, project, student) or datetime(2026, 1, 1, 12)
            when = due + timedelta(minutes=chance.randrange(60, 96 * 60) if late else -chance.randrange(150 * 60))
            _write(material, kind, chance, f"{when:%Y-%m-%d %H:%M:%S} UTC", fresh / student)
            rows.append([student, kind.group, kind.name, "late" if late else "", kind.outcome, kind.points])
        shutil.rmtree(target, ignore_errors=True)
        os.replace(fresh, target)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    write_atomically(key, table.getvalue())
    counts = {group: sum(row[1] == group for row in rows) for group in PROPORTIONS}
    said = ", ".join(f"{number} {group}" for group, number in counts.items() if number)
    say(f"{counted(students, 'student')} in {folder.shown(target)}: {said}")
    say(f"who is what, and what should come out: {folder.shown(key)}")
    say(f"next: {folder.command('collect', project, '--from', folder.shown(target))}")
    names = sorted({f"{row[1]}: {row[2]}" for row in rows})
    return {
        "folder": str(target),
        "key": str(key),
        "kinds": {name: sum(f"{row[1]}: {row[2]}" == name for row in rows) for name in names},
    }


def plan(material: Material, students: int, seed: int, groups: Iterable[str] | None = None) -> list[Kind]:
    """The kind of each student: groups by their proportions (the largest remainders first), kinds in turn, shuffled."""
    single = len(material.released) == 1
    bank = [from_bank(member) for member in material.bank]
    known = {"right": RIGHT, "partial": PARTIAL, "wrong": WRONG + bank, "odd": ODD, "hostile": HOSTILE}
    chosen = {group: share for group, share in PROPORTIONS.items() if not groups or group in groups}
    exact = {group: students * share / sum(chosen.values()) for group, share in chosen.items()}
    counts = {group: int(number) for group, number in exact.items()}
    for group in sorted(exact, key=lambda group: counts[group] - exact[group])[: students - sum(counts.values())]:
        counts[group] += 1
    chance = Random(f"{seed} plan")
    found = []
    for group, number in counts.items():
        kinds = [kind for kind in known[group] if single or not kind.one_notebook]
        chance.shuffle(kinds)
        found += [kinds[i % len(kinds)] for i in range(number)]
    chance.shuffle(found)
    return found


def read_key(path: Path) -> dict[str, dict[str, str]]:
    """The table that `simulate` wrote, by student."""
    with open(path, newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def compare(key: dict[str, dict[str, str]], rows: Iterable[dict]) -> list[str]:
    """Hold what came out against what was expected; a sentence for each student with whom they differ.

    Args:
        key: the table that `simulate` wrote.
        rows: the students of `classroom status --json`; `points` are those before a late penalty.
    """
    found = {row["student"]: row for row in rows}
    points = {student: (found.get(student) or {}).get("points") for student in key}
    full = max((points[s] or 0 for s in key if key[s]["group"] == "right"), default=None)
    differences = []
    for student, expected in key.items():
        kind, got = f"{expected['group']}: {expected['kind']}", points[student]
        outcome = found[student]["outcome"] if student in found else "refused"  # at intake: it never was submitted
        if outcome not in expected["outcome"].split("|"):
            differences.append(f"{student} ({kind}): expected {expected['outcome']}, got {outcome}")
        elif expected["points"] == "none":
            if got:
                differences.append(f"{student} ({kind}): expected no points, got {got:g}")
        elif full is not None:
            right = {"full": got == full, "less": (got or 0) < full, "any": (got or 0) <= full}[expected["points"]]
            if not right:
                differences.append(f"{student} ({kind}): expected {expected['points']} of {full:g} points, got {got}")
    return differences


def _write(material: Material, kind: Kind, chance: Random, when: str, place: Path) -> None:
    work = right_work(material)
    work.when = when
    kind.make(work, chance)
    for name, data in work.every_file().items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    write_links(work.links, place)
