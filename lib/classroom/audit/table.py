"""The audit in words: a table of what was tried, then what there is to mend."""

from collections.abc import Iterator

from classroom.audit.attacks import RIGHT
from classroom.audit.verdicts import Earned, Row
from classroom.terminal import counted, some

MOST_NAMED = 6  # attacks that one check gave points to
MEND = "a check that passes without work has to ask for more; or allow it, with a reason, under audit: in project.yml"


def lines(
    project: str, rows: list[Row], earned: list[Earned], effects: list[str], exposed: list[str], allowed: list[dict]
) -> Iterator[str]:
    """What is said to the author, line by line.

    Args:
        rows: one for each submission.
        earned: points without work, by check.
        effects: those that cannot be laid to one submission.
        exposed: test cells whose verdict is reached in the student's process.
        allowed: what project.yml allows.
    """
    wide = max(len(row.attack.name) for row in rows)
    yield ""
    yield f"{'what was handed in':<{wide + 12}}  {'points':>7}  effects"
    group = ""
    for row in rows:
        first = row.attack.group if row.attack.group != group else ""
        group = row.attack.group
        points = f"{sum_of(row):g}" if group != RIGHT else f"{sum_of(row):g}/{row.most:g}"
        yield f"{first:<10}  {row.attack.name:<{wide}}  {points:>7}  {'; '.join(row.effects) or 'none'}"
    yield ""
    for one in earned:
        what = f"{one.name}: {one.points:g} {'point' if one.points == 1 else 'points'}"
        what += f" for {', '.join(some(one.attacks, MOST_NAMED))}"
        yield what if one.reason is None else f"{what}; allowed: {one.reason}"
    unused = [entry for entry in allowed if not any(one.cell == entry["cell"] and fits(one, entry) for one in earned)]
    for entry in unused:
        where = entry["cell"] + (f", check {entry['check']}" if entry.get("check") else "")
        yield f"project.yml, audit: {where} gives nothing without work; the entry can go"
    open_ones = [one for one in earned if one.reason is None]
    if open_ones:
        yield f"    {MEND}"
    if exposed:
        yield f"the verdict is reached where the student's code runs, which can forge it: {', '.join(exposed)}"
    for effect in effects:
        yield f"effect: {effect}"
    number = len(effects) + sum(len(row.effects) for row in rows)
    checks = counted(len(open_ones), "check")
    gives = f"{checks} {'gives' if len(open_ones) == 1 else 'give'} points without work" if open_ones else "no points"
    did = counted(number, "effect") if number else "no effects"
    yield f"{project}: {counted(len(rows), 'submission')}: {gives}, {did}"


def fits(one: Earned, entry: dict) -> bool:
    """Whether an entry of project.yml is about these points."""
    return entry.get("check") in (None, one.check)


def sum_of(row: Row) -> float:
    """A row's points, rounded to what is shown."""
    return round(row.gained, 6)
