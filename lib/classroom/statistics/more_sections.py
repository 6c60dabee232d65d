"""The rest of a report's sections: what runs used, what was not taken, who handed in when, and each student's way."""

import math
from collections.abc import Callable

import numpy as np

from classroom.statistics import plots
from classroom.statistics.collect import Data
from classroom.statistics.numbers import histogram, quantiles, round_up
from classroom.statistics.page import Html, figure, pair, paragraph, paragraphs, table
from classroom.statistics.sections import AT, QUARTERS
from classroom.statistics.words import percent, submissions

Name = Callable[[str], str]  # a student's name for the page
_STRETCHED = 5  # the slowest is so many times slower than the median: worth a look
_FALL = 0.2  # of all points, below a student's own mean before: worth asking


def running(data: Data, name: Name) -> list[Html]:
    """Time and memory."""
    runs = data.runs
    if not runs.seconds:
        return [paragraph("Not recorded: no result file says how long a submission ran.")]
    seconds = np.array(runs.seconds)
    low, middle, high = quantiles(seconds)
    top = float(seconds.max())
    end = round_up(top)
    counts = histogram(seconds, 0, end, 10)
    step = end / len(counts)
    alt = (
        f"Histogram of the seconds that {submissions(len(seconds))} ran. Quartiles {low:.2g}, {middle:.2g} and "
        f"{high:.2g} s; the longest {top:.3g} s. Counts in steps of {step:.2g} s: {', '.join(map(str, counts))}."
    )
    picture = plots.histogram(
        counts.tolist(),
        0,
        end,
        alt=alt,
        axis="number of submissions by seconds",
        marks=[plots.Mark(middle, f"median {middle:.2g} s")],
    )
    columns = [seconds, np.array(runs.cpu_seconds), np.array(runs.memory_mb)]
    spread = [quantiles(column, AT) for column in columns]
    rows = [[label, *(_number(column[at]) for column in spread)] for at, label in enumerate(QUARTERS)]
    heads = ["quantile", "seconds", "processor seconds", "MB"]
    steps = [[f"{n * step:.3g} to {(n + 1) * step:.3g}", int(count)] for n, count in enumerate(counts)]
    numbers = Html(
        table("Time and memory of a submission", heads, rows, [1, 2, 3])
        + table("Submissions by seconds", ["seconds", "submissions"], steps, [1])
    )
    slowest = [
        [name(run.student), _number(run.seconds), _number(run.cpu_seconds), _number(run.memory_mb), run.outcome]
        for run in runs.slowest
    ]
    said = [
        f"Half of the runs took {_number(low)} to {_number(high)} s; all together they took "
        f"{seconds.sum() / 60:.1f} minutes."
    ]
    if len(seconds) >= 5 and middle > 0 and top > _STRETCHED * middle:
        said.append(
            f"The longest took {top / middle:.0f} times as long as the median: the limit of a cell, or work that the "
            "project does not ask for. `classroom show` has a submission's cells."
        )
    if runs.stopped:
        what = {"timeout": "at the time limit", "died": "because the session ended"}
        stopped = [f"{cell} {what[status]}: {number}" for (cell, status), number in runs.stopped.most_common(6)]
        said.append(f"Cells that were stopped: {'; '.join(stopped)}.")
    if runs.tried_again:
        said.append(f"{submissions(runs.tried_again)} had to be given to a worker more than once: look at the machine.")
    return [
        pair(figure("How long submissions ran", picture, numbers), paragraphs(said)),
        table(
            f"The slowest {len(slowest)}",
            ["student", "seconds", "processor seconds", "MB", "outcome"],
            slowest,
            [1, 2, 3],
        ),
    ]


def arrivals(data: Data) -> list[Html]:
    """What was not taken and why; attempts; who was late."""
    found = []
    refused = data.refused + data.runs.refused
    if refused:
        whole = data.runs.outcomes["refused"]
        said = []
        if whole:
            said.append(f"{submissions(whole)} could not be graded at all.")
        if data.refused_students:
            people = f"{data.refused_students} student{'' if data.refused_students == 1 else 's'}"
            said.append(f"Of {people} something was not taken; each is told why in the feedback.")
        most, number = refused.most_common(1)[0]
        if number >= 3 and 2 * number > refused.total():
            said.append(f"Most often: {most}. One sentence to the class about it may save you all of these.")
        found.append(paragraphs(said))
        found.append(table("What was not taken", ["reason", "how often"], refused.most_common(), [1]))
    else:
        found.append(paragraph("Everything that came was taken."))
    late = data.marks.seconds_late
    if len(late):
        days = late[late > 0] / 86400
        cost = data.marks.penalty
        if len(days):
            middle = float(np.median(days))
            said = f"{submissions(len(days))} of {len(late):,} came late, by {middle:.2g} days in the median"
            lost = int((cost > 0).sum())
            said += (
                f"; {lost} lost points by it, {cost[cost > 0].mean():.2g} on average."
                if lost
                else "; nobody lost points."
            )
        else:
            said = "Nobody was late."
        found.append(paragraph(said))
    if set(data.attempts) == {1}:
        found.append(paragraph("Everybody handed in once."))
    elif data.attempts:
        rows = [[number, count] for number, count in sorted(data.attempts.items())]
        found.append(table("How often students handed in", ["attempts", "students"], rows, [1]))
    return found


def progress(data: Data, name: Name) -> list[Html]:
    """Each student across the projects of the term, one line each."""
    by_project = data.progress
    if not by_project:
        return [paragraph("There are no grades yet.")]
    projects = list(by_project)
    students = sorted({student for marks in by_project.values() for student in marks})
    shares = np.array([[by_project[project].get(student, math.nan) for project in projects] for student in students])
    spread = [(project, *(100 * value for value in quantiles(shares[:, n]))) for n, project in enumerate(projects)]
    spoken = "; ".join(f"{project} {low:.0f}, {middle:.0f}, {high:.0f}" for project, low, middle, high in spread)
    picture = plots.boxes(
        spread, alt=f"Quartiles of the marks by project, in percent: {spoken}.", axis="percent of the points"
    )
    counts = [int((~np.isnan(shares[:, n])).sum()) for n in range(len(projects))]
    numbers = table(
        "Quartiles of the marks",
        ["project", "a quarter below", "median", "three quarters below", "students"],
        [
            [p, f"{low:.0f}", f"{mid:.0f}", f"{high:.0f}", n]
            for (p, low, mid, high), n in zip(spread, counts, strict=True)
        ],
        [1, 2, 3, 4],
    )
    change = (
        _change(shares, projects.index(data.project)) if data.project in projects else np.full(len(students), np.nan)
    )
    said = _on_change(change, data.project, len(projects))
    said.append("Here late penalties are taken off, and what waits for a person is left out.")
    # The biggest fall first, then the lowest mark. Never by student: the order of names would tell who is who.
    shown = [name(student) for student in students]
    known = shares[:, projects.index(data.project)] if data.project in projects else np.nanmean(shares, axis=1)
    order = sorted(range(len(students)), key=lambda at: (_last(change[at]), _last(known[at]), shown[at]))
    changed = not np.isnan(change).all()  # else a column of dashes
    several = len(projects) > 1
    rows = [
        [
            shown[at],
            *([Html(plots.spark(shares[at]))] if several else []),
            *(percent(value) for value in shares[at]),
            *(["–" if math.isnan(change[at]) else f"{100 * change[at]:+.0f}"] if changed else []),
        ]
        for at in order
    ]
    heads = ["student", *(["trend"] if several else []), *projects, *(["change"] if changed else [])]
    listed = table("Each student's marks by project", heads, rows, range(2 if several else 1, len(heads)))
    overall = figure("Marks by project: median and middle half", picture, numbers)
    return [pair(overall, paragraphs(said)), listed]


def _change(shares: np.ndarray, at: int) -> np.ndarray:
    """This project's share less the student's mean of the projects before it, both against the class's: (N,)."""
    if at == 0:
        return np.full(len(shares), np.nan)
    # A project that is hard for all is nobody's fall.
    centred = shares - np.array([np.nanmedian(shares[:, n]) for n in range(shares.shape[1])])
    before = centred[:, :at]
    known = ~np.isnan(before)
    mean = np.where(known.any(axis=1), np.nansum(before, axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
    return centred[:, at] - mean


def _on_change(change: np.ndarray, project: str, projects: int) -> list[str]:
    known = change[~np.isnan(change)]
    if not len(known):
        more = "One project so far" if projects == 1 else f"Nobody has a project before {project}"
        return [f"{more}: there is no change to be seen yet; the lowest mark stands first."]
    fell = int((known <= -_FALL).sum())
    said = [
        f"The last column is {project} less the student's mean of the projects before, in points of 100, each project "
        "counted from its median: one that is hard for all is nobody's fall."
    ]
    if fell:
        said.append(
            f"{submissions(fell).replace('submission', 'student')} fell by {100 * _FALL:.0f} or more and stand first. "
            "The number says when to ask, not why."
        )
    return said


def _last(value: float) -> tuple[bool, float]:
    """A key that sorts what is not known to the end."""
    return math.isnan(value), 0.0 if math.isnan(value) else round(float(value), 9)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
