"""What the numbers mean, in words: each sentence is chosen by the numbers, and none is said that they do not bear.

The thresholds stand here, with a reason each. A sentence says what to look at; it never says what is the case.
"""

import math
from collections.abc import Sequence

import numpy as np

from classroom.statistics.collect import Data
from classroom.statistics.marks import Part
from classroom.statistics.numbers import FEWEST, MOST_OPEN, PartNumbers

FEW = 30  # below it, one quartile is a handful of people, and an interval spans half of what is possible
EASY, HARD = 0.9, 0.3  # mean shares: little is left to tell people apart by
USEFUL = 0.2  # a part whose interval lies above separates well enough to keep as it is (Ebel and Frisbie's rule: 0.2)
LITTLE = 0.15  # a correlation that would leave the part with 2% of what the others say
CROWDED = 0.25  # share of a class with exactly the same result at an end of the scale
EMPTY = 0.1  # share of submissions without a point that asks for a look at what happened to them


def percent(share: float) -> str:
    """A share as a percentage; a dash where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.0f}%"


def signed(value: float) -> str:
    """A correlation."""
    return "–" if math.isnan(value) else f"{value:+.2f}"


def submissions(number: int) -> str:
    """A number of submissions, in words."""
    return f"{number:,} submission{'' if number == 1 else 's'}"


def joined(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def on_marks(shares: np.ndarray, quartiles: Sequence[float], whole: bool) -> list[str]:
    """What the distribution says.

    Args:
        shares: (N,) of all points that can be compared, 0 to 1.
        quartiles: of them, in percent.
        whole: whether they are of all points, so that they are marks.
    """
    count = len(shares)
    if not count:
        return []
    what = "marks" if whole else "shares"
    said = []
    if count < FEWEST:
        said.append(f"With {submissions(count)} each quartile is one or two people: read the table, not the curve.")
    full, zero = float((shares >= 1 - 1e-9).mean()), float((shares <= 1e-9).mean())
    if full >= CROWDED:
        said.append(
            f"{percent(full)} have everything, and the points don't tell them apart. That is right for a checkpoint; "
            "a project that is meant to rank was too easy."
        )
    if zero >= EMPTY:
        said.append(
            f"{percent(zero)} have nothing: see below whether they were stopped, and in `classroom status` whether "
            "they answered at all. They lower every mean; the correlations below leave them out."
        )
    width = quartiles[2] - quartiles[0]
    if count >= FEWEST and width <= 10:
        said.append(
            f"The middle half lies within {width:.0f} of 100 points: there, a rank is an accident of a check or two."
        )
    if count >= FEWEST and not said:
        said.append(
            f"The {what} spread over {width:.0f} of 100 points in the middle half, with nothing heaped at an end."
        )
    return said


def on_part(part: Part, numbers: PartNumbers, waiting: int, total: int) -> str:
    """What to look at in one part."""
    if not numbers.n:
        return f"all {waiting} wait for a person" if waiting else "nobody has a result for it"
    said = []
    if waiting:
        said.append(f"{waiting} of {total} wait for a person")
    if waiting > MOST_OPEN * total:
        return f"{said[0]}: too many open to compare it with the other parts"
    if numbers.n_correlation < FEWEST:
        said.append(f"{submissions(numbers.n_correlation)}: too few for a correlation, expected at least {FEWEST}")
    elif math.isnan(numbers.correlation):
        same = max(numbers.zero, numbers.full) > 1 - 1e-9
        said.append(
            "everybody has the same points: it tells nobody apart"
            if same
            else f"of the {numbers.n_correlation} that are compared nobody differs in it, or in all the rest: there is "
            "nothing to correlate"
        )
    elif numbers.high < 0:
        said.append("who does well elsewhere does worse here: look for a mistake in its tests before anything else")
    elif numbers.low <= 0 and numbers.correlation < LITTLE:
        said.append(
            "the best miss it as often as the others, as far as this class shows: it tells little; read its text again"
        )
    elif numbers.low <= 0:
        said.append(
            f"may go with the rest, but {submissions(numbers.n_correlation)} do not show it: the interval holds 0"
        )
    elif numbers.low >= USEFUL:
        said.append("separates who can do the rest from who cannot")
    else:
        said.append(
            "goes with the rest"
            + (
                f"; how closely, {submissions(numbers.n_correlation)} do not show"
                if numbers.high >= 0.4
                else ", weakly"
            )
        )
    if numbers.mean >= EASY and not numbers.full > 1 - 1e-9:
        said.append(f"easy: {percent(numbers.full)} have all of it")
    elif numbers.mean <= HARD:
        said.append(f"hard: {percent(numbers.zero)} have nothing of it")
    return "; ".join(said)


def on_alpha(value: float, count: int, parts: int) -> str:
    """What Cronbach's alpha says of the whole."""
    if parts < 2:
        return "With fewer than two parts that can be compared there is no correlation between parts."
    if count < FEWEST:
        return f"{submissions(count)} can be compared: too few for correlations, expected at least {FEWEST}."
    if math.isnan(value):
        return "Everybody has the same sum: nothing can be said about how the parts go together."
    said = f"Cronbach's alpha over {parts} parts and {submissions(count)} is {value:.2f}: "
    if value >= 0.9:
        return (
            said + "the parts measure nearly the same; some might be spared, or those who stop early lose all of them."
        )
    if value >= 0.7:
        return said + "the parts measure one thing well enough for the sum to rank a class."
    if value >= 0.4:
        return said + "the sum is a rough measure; two people a part's worth of points apart may be equally good."
    return said + "the parts have little in common; the sum hides more than it shows, so look at the parts."


def on_checks(data: Data) -> list[str]:
    """What the commonest failures say."""
    failed = sorted((check for check in data.runs.checks.values() if check.failed), key=lambda c: -c.failed / c.made)
    said = []
    half = [check for check in failed if 2 * check.failed > check.made >= FEWEST]
    if half:
        shown = joined([f"“{check.name}” ({check.cell})" for check in half[:3]])
        more = f" and {len(half) - 3} more" if len(half) > 3 else ""
        said.append(
            f"More than half fail {shown}{more}: either the class needs another hour on what is asked there, or the "
            "text does not say what is expected."
        )
    unhinted = [check for check in failed if not check.hint]
    if unhinted:
        said.append(f"{len(unhinted)} of the {len(failed)} checks that somebody failed have no hint.")
    odd = [f"{submissions(number)} in {name}" for name, number in data.runs.surprised.most_common(4) if number]
    if odd:
        said.append(
            f"Passed every check that students can see, and failed a hidden one: {joined(odd)}. Where these are many, "
            "the visible checks promise too much."
        )
    if not failed and data.runs.with_checks:
        said.append("Nobody failed a check.")
    return said
