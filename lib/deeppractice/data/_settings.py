"""What the generators of images share: names to choose among, ranges to draw from, and classes in equal numbers."""

from collections.abc import Iterable, Sequence

import numpy as np

Range = float | tuple[float, float]


def chosen(what: str, names: str | Sequence[str], known: Iterable[str]) -> list[str]:
    """The names as a list; raises ValueError if there is none, one twice, or one that is not known."""
    names, known = [names] if isinstance(names, str) else list(names), list(known)
    unknown = [name for name in names if name not in known]
    if not names or unknown or len(set(names)) < len(names):
        got = repr(unknown[0]) if unknown else names
        raise ValueError(f"{what}: expected one or more, each once, of {', '.join(known)}; got {got}")
    return names


def span(name: str, value: Range, *, above: float = -np.inf, least: float = -np.inf) -> tuple[float, float]:
    """The range (low, high) of a number or range; raises ValueError if it is none, or outside of `above` or `least`."""
    ends = np.asarray(value, dtype=float)
    low, high = ends if ends.shape == (2,) else (ends, ends)
    if np.ndim(low) or not np.isfinite([low, high]).all() or low > high:
        raise ValueError(f"{name}: expected a number, or a range (low, high), got {value!r}")
    if low <= above or low < least:
        limit = f"more than {above}" if above > least else f"{least} or more"
        raise ValueError(f"{name}: expected {limit}, got {value!r}")
    return float(low), float(high)


def in_turn(draws: np.ndarray, classes: int) -> np.ndarray:
    """Class numbers from draws of 0 to 1, both (N,): in each block of `classes` rows every class once, in random order.

    N is a multiple of the number of classes.
    """
    return draws.reshape(-1, classes).argsort(axis=1).reshape(-1)
