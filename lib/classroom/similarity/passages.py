"""Which code shares passages with which other, whatever its names, comments and order of functions are.

Source: Schleimer, Wilkerson and Aiken, *Winnowing: Local Algorithms for Document Fingerprinting*, SIGMOD 2003, in
copydetect's form: names become V, functions F, strings S, comments and blanks nothing; a passage is K signs of what is
left. All passages are compared (a window of one), so that the same files give the same numbers each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from classroom.similarity.answers import Work

K = 30  # signs of a passage, after names became single letters: some two lines of a program
LEAST = 120  # signs of one's own: below this two honest answers may well be the same
_COMMON_FROM = 10  # what more authors than this, and more than half of the class, wrote is nobody's


@dataclass
class Prints:
    """The passages of one author's code.

    Attributes:
        places: (P,) where in the filtered code the author's own passages begin.
        hashes: (P,) their hashes.
        unique: the different hashes, sorted.
        offsets: (M, 2) how many signs were removed before a place of the filtered code.
        own: how many signs of the filtered code lie in own passages.
    """

    work: Work
    places: np.ndarray
    hashes: np.ndarray
    unique: np.ndarray
    offsets: np.ndarray
    own: int

    @property
    def enough(self) -> bool:
        """Whether there is enough to compare."""
        return self.own >= LEAST


@dataclass(frozen=True)
class Pair:
    """Two works with code in common; `share` is how much of the smaller one it is, from 0 to 1."""

    first: Prints
    second: Prints
    share: float
    signs: int  # in common, in the smaller one


def fingerprint(work: Work, without: np.ndarray) -> Prints:
    """The passages of a work, but for those whose hashes are in `without`."""
    from copydetect.utils import filter_code, hashed_kgrams

    code, offsets = filter_code(work.code, "answers.py", language="python")
    hashes = hashed_kgrams(code, K).astype(np.int64) if len(code) >= K else np.zeros(0, np.int64)
    return less(Prints(work, np.arange(len(hashes)), hashes, hashes, offsets, 0), without)


def less(prints: Prints, without: np.ndarray) -> Prints:
    """The same work without passages whose hashes are in `without`."""
    keep = ~np.isin(prints.hashes, without)
    places, hashes = prints.places[keep], prints.hashes[keep]
    return Prints(prints.work, places, hashes, np.unique(hashes), prints.offsets, _covered(places))


def given_hashes(code: str) -> np.ndarray:
    """The hashes of the release's passages."""
    return fingerprint(Work("", "", code), np.zeros(0, np.int64)).unique


def common(prints: Sequence[Prints]) -> np.ndarray:
    """Hashes of what more than half of a class wrote: the way everybody writes it."""
    if not prints:
        return np.zeros(0, np.int64)
    hashes, counts = np.unique(np.concatenate([one.unique for one in prints]), return_counts=True)
    return hashes[counts > max(_COMMON_FROM, len(prints) / 2)]


def compare(one: Prints, others: Iterable[Prints], threshold: float) -> list[Pair]:
    """The pairs of one with others that share at least this much of the smaller one."""
    found = []
    for other in others:
        small, large = sorted((one, other), key=lambda prints: prints.own)
        shared = np.intersect1d(small.unique, large.unique, assume_unique=True)
        if len(shared) == 0:
            continue
        signs = _covered(small.places[np.isin(small.hashes, shared)])
        if signs >= max(LEAST, threshold * small.own):
            found.append(Pair(one, other, signs / small.own, signs))
    return found


def shared_lines(of: Prints, other: Prints) -> set[int]:
    """The numbers of the lines, from 0, in which passages begin or end that the other has too."""
    places = of.places[np.isin(of.hashes, other.unique)]
    starts = np.concatenate([[0], np.cumsum([len(line) for line in of.work.code.splitlines(keepends=True)])])
    lines: set[int] = set()
    if len(places) == 0:
        return lines
    for first, last in _runs(places):
        # copydetect counts a class's name anew; what was removed before a place only grows.
        removed = np.maximum.accumulate(of.offsets[:, 1])
        at = np.searchsorted(of.offsets[:, 0], [first, last - 1]).clip(0, len(removed) - 1)
        begin, end = np.array([first, last - 1]) + removed[at]
        top, bottom = np.searchsorted(starts, [begin, end], side="right") - 1
        lines.update(range(int(top), int(bottom) + 1))
    return lines


def _runs(places: np.ndarray) -> list[tuple[int, int]]:
    """Passages that overlap or touch, joined: [begin, end)."""
    gaps = np.flatnonzero(np.diff(places) > K)
    begins = places[np.concatenate([[0], gaps + 1])]
    ends = places[np.concatenate([gaps, [len(places) - 1]])] + K
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _covered(places: np.ndarray) -> int:
    return sum(end - begin for begin, end in _runs(places)) if len(places) else 0
