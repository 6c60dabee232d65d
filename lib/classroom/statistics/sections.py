"""The sections of a report: for each the figure, its table, and what the numbers say."""

import math

import numpy as np

from classroom.statistics import plots, words
from classroom.statistics.collect import OUTCOMES, STUDENT_ERROR, Data
from classroom.statistics.numbers import alpha, comparable, histogram, part_numbers, quantiles, settled
from classroom.statistics.page import Html, figure, pair, paragraph, paragraphs, table, text
from classroom.statistics.words import joined, percent, signed, submissions

_MOST_CHECKS = 40
_TOP_CHECKS = 10
QUARTERS = ("lowest", "a quarter below", "half below (median)", "three quarters below", "95% below", "highest")
AT = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


def beginning(data: Data) -> list[Html]:
    """Who handed in, what came out, and who waits."""
    who = "students are named" if data.names else "students have pseudonyms, the same in every report of this class"
    said = [paragraph(f"{data.project}, {data.when:%Y-%m-%d %H:%M} UTC; {who}.", "soft")]
    if not data.students:
        return [*said, paragraph("Nobody has handed in. There is nothing to say yet.")]
    called = {STUDENT_ERROR: "ended by their own code, with the points earned until then (student-error)"}
    found = data.runs.outcomes
    counted = [f"{found[name]} {called.get(name, name)}" for name in OUTCOMES if found[name]]
    nothing = data.students - data.runs.outcomes.total()
    counted += [f"{nothing} of whom nothing could be taken"] if nothing else []
    people = f"{data.students:,} student{'' if data.students == 1 else 's'}"
    said.append(paragraph(f"{people}: {', '.join(counted)}."))
    waiting = data.marks.waiting
    if waiting.any():
        names = [f"“{part.name}”" for part, some in zip(data.marks.parts, waiting.any(axis=0), strict=True) if some]
        people = int(waiting.any(axis=1).sum())
        verb = "waits" if people == 1 else "wait"
        said.append(
            paragraph(
                f"{submissions(people)} {verb} for a person in {joined(names)}. "
                "Nothing below counts those points, as earned or as missed."
            )
        )
    return said


def marks(data: Data) -> list[Html]:
    """The distribution of marks, or of what can be compared of them."""
    points, parts = data.marks.points, data.marks.parts
    rows, columns = settled(points)
    worth = np.array([part.most for part in parts])
    if not rows.any() or worth[columns].sum() <= 0:
        why = "Every graded part waits for a person." if len(points) else "There are no grades yet."
        return [paragraph(why)]
    whole = bool(columns.all())
    most = worth[columns].sum()
    earned = data.marks.total[rows] if whole else points[rows][:, columns].sum(axis=1)
    shares = earned / most
    quartiles = quantiles(100 * shares)
    bins = 20 if len(shares) >= 100 else 10
    counts = histogram(100 * shares, 0, 100, bins)
    what = "marks, late penalties taken off" if whole else "points without the parts that wait"
    said = []
    if not whole:
        left = joined([f"“{part.name}”" for part, here in zip(parts, columns, strict=True) if not here])
        said.append(
            f"Not counted, because too much of it is open: {left}. Shown is the share of the other {most:g} points, "
            "before late penalties."
        )
    if not rows.all():
        left = int((~rows).sum())
        said.append(f"Left out: {submissions(left)} in which something is open.")
    said.append(
        f"Half of the {submissions(len(shares))} lie between {quartiles[0]:.0f} and {quartiles[2]:.0f} of 100; the "
        f"median is {quartiles[1]:.0f}, the mean {100 * shares.mean():.0f}."
    )
    said += words.on_marks(shares, quartiles, whole)
    alt = (
        f"Histogram of {what}, in percent of {most:g} points, of {submissions(len(shares))}. Quartiles "
        f"{quartiles[0]:.0f}, {quartiles[1]:.0f} and {quartiles[2]:.0f}. Counts from 0 to 100 in steps of "
        f"{100 // bins}: {', '.join(map(str, counts))}."
    )
    picture = plots.histogram(
        counts.tolist(),
        0,
        100,
        alt=alt,
        axis=f"number of submissions by percent of {most:g} points",
        marks=[plots.Mark(quartiles[1], f"median {quartiles[1]:.0f}")],
        band=(quartiles[0], quartiles[2]),
    )
    step = 100 // bins
    lines = [[f"{number * step} to {(number + 1) * step}", int(count)] for number, count in enumerate(counts)]
    numbers = table(f"Submissions by percent of {most:g} points", ["percent", "submissions"], lines, [1])
    spread = quantiles(100 * shares, AT)
    numbers = Html(
        numbers
        + table(
            "Quantiles", ["quantile", "percent"], [[a, f"{b:.1f}"] for a, b in zip(QUARTERS, spread, strict=True)], [1]
        )
    )
    return [pair(figure(f"Distribution of {what}", picture, numbers), paragraphs(said))]


def parts(data: Data) -> list[Html]:
    """Difficulty and discrimination of each part."""
    found, points = data.marks.parts, data.marks.points
    if not found:
        return [paragraph("The gradebook knows no graded part of this project.")]
    if not len(points):
        return [paragraph("There are no grades yet.")]
    numbers = part_numbers(points, np.array([part.most for part in found]))
    waiting = data.marks.waiting.sum(axis=0)
    rows, columns = settled(points)
    compared, _ = comparable(points)
    shares = [
        (part.name, of.mean, percent(of.mean)) if closed else (part.name, math.nan, "open")
        for part, of, closed in zip(found, numbers, columns, strict=True)
    ]
    related = [(part.name, of.correlation, of.low, of.high) for part, of in zip(found, numbers, strict=True)]
    spoken = "; ".join(f"{name} {share}" for name, _, share in shares)
    easy = figure(
        "Mean share of the points, by part",
        plots.bars(shares, alt=f"Mean share of the points of each part: {spoken}."),
        table(
            "Mean share of the points",
            ["part", "points", "mean", "difficulty", "nothing", "everything", "known of"],
            [
                [
                    part.name,
                    f"{part.most:g}",
                    percent(of.mean),
                    _two(of.difficulty),
                    percent(of.zero),
                    percent(of.full),
                    of.n,
                ]
                for part, of in zip(found, numbers, strict=True)
            ],
            range(1, 7),
        ),
    )
    figures = [easy]
    if any(not math.isnan(of.correlation) for of in numbers):
        spoken = "; ".join(
            f"{name} {signed(value)}, from {signed(low)} to {signed(high)}"
            if not math.isnan(value)
            else f"{name} not to be had"
            for name, value, low, high in related
        )
        figures.append(
            figure(
                "How a part goes with the rest",
                plots.intervals(
                    related,
                    alt=f"Correlation of each part with the sum of the others, and its 95% interval: {spoken}.",
                    axis="item-rest correlation, 95% interval",
                ),
                table(
                    "Item-rest correlation",
                    ["part", "correlation", "95% from", "to", "submissions"],
                    [[name, signed(v), signed(low), signed(high), len(compared)] for name, v, low, high in related],
                    range(1, 5),
                ),
            )
        )
    count = int(rows.sum())
    said = words.on_alpha(alpha(compared), len(compared), int(columns.sum()))
    if len(compared) < count:
        them = submissions(count - len(compared))
        said += f" Left out of all correlations: {them} that earned nothing; with them each part goes with all others."
    remarks = [
        Html(f"<strong>{text(part.name)}</strong>: {text(words.on_part(part, of, int(wait), len(points)))}.")
        for part, of, wait in zip(found, numbers, waiting, strict=True)
    ]
    return [pair(*figures), paragraphs(remarks), paragraph(said)]


def checks(data: Data) -> list[Html]:
    """Which checks fail most."""
    runs = data.runs
    if not runs.with_checks:
        return [paragraph("Not recorded: no result file says which single checks passed.")]
    graded = runs.outcomes["graded"] + runs.outcomes["student-error"]
    failed = sorted(runs.checks.values(), key=lambda check: (-check.failed / check.made, check.cell, check.name))
    failed = [check for check in failed if check.failed]
    said = words.on_checks(data)
    if runs.with_checks < graded:
        said.insert(0, f"Known of {runs.with_checks:,} of {submissions(graded)}.")
    if not failed:
        return [paragraphs(said)]
    top = [
        (f"{check.name} ({check.cell})", check.failed / check.made, percent(check.failed / check.made))
        for check in failed
    ]
    top = top[:_TOP_CHECKS]
    spoken = "; ".join(f"{name} {share}" for name, _, share in top)
    rows = []
    for check in failed[:_MOST_CHECKS]:
        hidden = Html('<span class="tag">hidden</span>') if check.hidden else "visible"
        rows.append(
            [
                check.name,
                check.cell,
                hidden,
                check.failed,
                f"{percent(check.failed / check.made)}",
                check.hint or "none",
            ]
        )
    shown = f", the first {_MOST_CHECKS} of {len(failed)}" if len(failed) > _MOST_CHECKS else ""
    listed = table(
        f"Checks that failed most{shown}",
        ["check", "test cell", "seen by students", "failed", "of those made", "hint"],
        rows,
        [3, 4],
    )
    picture = plots.bars(top, alt=f"Share of submissions that failed each check: {spoken}.")
    brief = [[name, share] for name, _, share in top]
    return [
        pair(
            figure(
                "Checks that failed most, in percent of those made",
                picture,
                table("Share that failed", ["check", "failed"], brief, [1]),
            ),
            paragraphs(said),
        ),
        listed,
    ]


def _two(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
