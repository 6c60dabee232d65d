"""What a report says of a class, as pure functions on arrays: nothing here knows of students, files or pages.

N submissions, P parts. Points that nobody has given yet are nan. Where a number cannot be had (too few submissions,
nobody differs), it is nan and the caller says why.

Sources:
    item-rest correlation: Henrysson (1963), Correction of item-total correlations in item analysis.
    its interval: Fisher (1921), the z transformation.
    alpha: Cronbach (1951), Coefficient alpha and the internal structure of tests.
"""

from dataclasses import dataclass

import numpy as np

FEWEST = 10  # submissions below which no correlation is shown: its interval would span nearly everything
MOST_OPEN = 0.1  # of a part's points that may be open; of a part with more, nothing is said
_Z95 = 1.959963984540054  # of a normal distribution, 95% lie within so many standard deviations
_SAME = 1e-9  # points that differ by less are the same: sums of floats


@dataclass(frozen=True)
class PartNumbers:
    """One part, over the submissions whose points for it are known."""

    n: int
    mean: float  # of the share of its points, 0 to 1
    zero: float  # share of submissions without a point
    full: float  # share with all points
    correlation: float  # with the rest of the points
    low: float  # its 95% interval
    high: float
    n_correlation: int  # over how many

    @property
    def difficulty(self) -> float:
        """1 - mean share: 0 where everybody has all points, 1 where nobody has one."""
        return 1 - self.mean


def settled(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which submissions and parts can be compared with each other: those without open points.

    A part that is open for more than MOST_OPEN is left out, and then the few submissions in which something is open.

    Args:
        points: (N, P), nan where points are open.

    Returns:
        Masks of (N,) submissions and (P,) parts.
    """
    unknown = np.isnan(points)
    parts = unknown.mean(axis=0) <= MOST_OPEN if len(points) else np.zeros(points.shape[1], bool)
    rows = ~unknown[:, parts].any(axis=1) if parts.any() else np.zeros(len(points), bool)
    return rows, parts


def comparable(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points from which correlations are taken: the settled ones of all who earned something.

    A handful of empty submissions, with nothing in any part, makes every part go with every other.

    Args:
        points: (N, P), nan where points are open.

    Returns:
        (n, p) without nan, and the mask of (P,) parts.
    """
    rows, parts = settled(points)
    kept = points[rows][:, parts]
    return kept[kept.sum(axis=1) > _SAME], parts


def quantiles(values: np.ndarray, at: tuple[float, ...] = (0.25, 0.5, 0.75)) -> tuple[float, ...]:
    """Quantiles, linear between neighbours; nan of no values."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return (float("nan"),) * len(at)
    return tuple(float(value) for value in np.quantile(values, at))


def item_rest(points: np.ndarray) -> np.ndarray:
    """The correlation of each part with the sum of the others.

    With a part of right or wrong this is the point-biserial correlation, corrected: with the whole sum a part would
    correlate because it is in it.

    Args:
        points: (N, P) without nan.

    Returns:
        (P,): nan for a part, or a rest, in which nobody differs, and where there is no rest.
    """
    count, parts = points.shape
    found = np.full(parts, np.nan)
    if count < 2 or parts < 2:
        return found
    rest = points.sum(axis=1, keepdims=True) - points  # (N, P)
    for part in range(parts):
        if np.ptp(points[:, part]) > _SAME and np.ptp(rest[:, part]) > _SAME:
            found[part] = np.clip(np.corrcoef(points[:, part], rest[:, part])[0, 1], -1, 1)
    return found


def interval(correlation: float, count: int) -> tuple[float, float]:
    """The 95% interval of a correlation of `count` pairs; nan for fewer than four."""
    if np.isnan(correlation) or count < 4:
        return float("nan"), float("nan")
    if abs(correlation) == 1:
        return correlation, correlation
    z, width = np.arctanh(correlation), _Z95 / np.sqrt(count - 3)
    return float(np.tanh(z - width)), float(np.tanh(z + width))


def alpha(points: np.ndarray) -> float:
    """Cronbach's alpha: how much the parts measure one thing; 1 if they agree, near 0 if they have nothing in common.

    Args:
        points: (N, P) without nan.

    Returns:
        nan for fewer than two parts or submissions, or where all have the same sum.
    """
    count, parts = points.shape
    if count < 2 or parts < 2 or np.ptp(points.sum(axis=1)) <= _SAME:
        return float("nan")
    of_parts, of_sum = points.var(axis=0, ddof=1).sum(), points.sum(axis=1).var(ddof=1)
    return float(parts / (parts - 1) * (1 - of_parts / of_sum))


def part_numbers(points: np.ndarray, most: np.ndarray) -> list[PartNumbers]:
    """Mean, difficulty and discrimination of each part.

    Args:
        points: (N, P), nan where points are open.
        most: (P,), what each part is worth.
    """
    compared, parts = comparable(points)
    rows_count = len(compared)
    correlations = np.full(points.shape[1], np.nan)
    if rows_count >= FEWEST:
        correlations[parts] = item_rest(compared)
    found = []
    for part, worth in enumerate(most):
        known = points[~np.isnan(points[:, part]), part]
        shares = known / worth if worth > 0 else np.full(len(known), np.nan)
        low, high = interval(correlations[part], rows_count)
        mean, zero, full = (
            (float(shares.mean()), float((shares <= _SAME).mean()), float((shares >= 1 - _SAME).mean()))
            if len(shares) and worth > 0
            else (float("nan"),) * 3
        )
        found.append(PartNumbers(len(known), mean, zero, full, float(correlations[part]), low, high, rows_count))
    return found


def round_up(value: float) -> float:
    """The next number of one of the forms 1, 2, 4 or 8 times a power of ten, for the end of an axis; 1 for 0."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** np.floor(np.log10(value))
    return float(next(factor * unit for factor in (1, 2, 4, 8, 10, 20) if factor * unit >= value))


def histogram(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    """How many values lie in each of `bins` equal steps from `low` to `high`; what lies beyond counts at the end."""
    inside = np.clip(np.asarray(values, float), low, high)
    return np.histogram(inside[~np.isnan(inside)], bins=bins, range=(low, high))[0]
