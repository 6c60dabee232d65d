"""Which cell of a submission is which of the release, and where the student's own cells stand between them.

Cells are found by nbgrader's `grade_id`; where a program lost it, by cell id, then by equal text. What is not found is
the student's own, and belongs between the neighbours that it has.
"""

import bisect
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field

from nbformat import NotebookNode

ANSWER, FIXED, PLAIN = "answer", "fixed", "plain"
_ALIKE = 0.6  # an edited cell of the release is still that cell
_MOST_COMPARED = 30  # cells between two neighbours


@dataclass(frozen=True)
class Part:
    """A cell of the release: `answer`, `fixed` (tests, supplied code) or `plain` (any other: students may edit it)."""

    kind: str
    grade_id: str | None
    id: str
    cell_type: str
    text: str  # as released
    graded: bool = False


@dataclass
class Alignment:
    """Positions in the submission by positions in the release."""

    pieces: dict[int, list[int]]  # of each cell of the release those that claim to be it, in document order
    own: dict[int, list[int]] = field(default_factory=dict)  # the student's own, after which cell; -1: at the start
    moved: list[int] = field(default_factory=list)  # cells of the release that stand elsewhere


def align(parts: list[Part], submitted: list[NotebookNode]) -> Alignment:
    """Find the cells of the release in a submission."""
    found = _by_name(parts, submitted)
    _by_text(parts, submitted, found)
    anchors = sorted(found.items())
    in_order = _longest_rise([part for _, part in anchors])
    for place, part in _edited(parts, submitted, [anchors[n] for n in in_order]).items():
        found[place] = part
    anchors = sorted(found.items())
    in_order = set(_longest_rise([part for _, part in anchors]))

    aligned = Alignment({n: [] for n in range(len(parts))})
    for place, part in anchors:
        aligned.pieces[part].append(place)
    aligned.moved = sorted({part for n, (_, part) in enumerate(anchors) if n not in in_order})
    missing = {part for part, places in aligned.pieces.items() if not places}
    before, number = -1, -1  # the anchor passed last: its cell of the release, its number
    for place in range(len(submitted)):
        if place in found:
            before, number = found[place], number + 1
            continue
        after = anchors[number + 1][1] if number + 1 < len(anchors) else None
        slot = before
        moved_here = after is not None and number + 1 not in in_order and (number < 0 or number in in_order)
        if moved_here and parts[after].kind == ANSWER:  # an answer that was moved took its helpers along
            slot = after - 1
        # Supplied code that was deleted here comes back before the student's own, which may need it.
        while slot + 1 in missing and parts[slot + 1].kind == FIXED and not parts[slot + 1].graded:
            slot += 1
        aligned.own.setdefault(slot, []).append(place)
    return aligned


def _by_name(parts: list[Part], submitted: list[NotebookNode]) -> dict[int, int]:
    """By grade_id; by cell id where the submission has nowhere the grade_id."""
    names = {part.grade_id: n for n, part in enumerate(parts) if part.grade_id}
    claimed = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in submitted]
    found = {place: names[name] for place, name in enumerate(claimed) if name in names}
    taken = set(found.values())
    ids = {part.id: n for n, part in enumerate(parts) if n not in taken}
    for place, cell in enumerate(submitted):
        part = ids.get(cell.id)
        if place in found or part is None:
            continue
        if parts[part].kind != PLAIN or parts[part].cell_type == cell.cell_type:
            found[place] = part
    return found


def _by_text(parts: list[Part], submitted: list[NotebookNode], found: dict[int, int]) -> None:
    """Cells without any name, by their text, where exactly one has it on either side."""
    taken = set(found.values())
    texts = {n: _bare(part.text) for n, part in enumerate(parts) if n not in taken}
    others = {place: _bare(cell.source) for place, cell in enumerate(submitted) if place not in found}
    here, there = Counter(texts.values()), Counter(others.values())
    only = {text: n for n, text in texts.items() if text and here[text] == 1}
    for place, text in others.items():
        if text in only and there[text] == 1:
            found[place] = only[text]


def _edited(parts: list[Part], submitted: list[NotebookNode], anchors: list[tuple[int, int]]) -> dict[int, int]:
    """Plain cells that were edited and lost their id: the most similar of the same type between the same neighbours."""
    found: dict[int, int] = {}
    ends = [(-1, -1), *anchors, (len(submitted), len(parts))]
    taken = {place for place, _ in anchors}
    for (place, part), (next_place, next_part) in itertools.pairwise(ends):
        there = [n for n in range(part + 1, next_part) if parts[n].kind == PLAIN]
        here = [n for n in range(place + 1, next_place) if n not in taken]
        if not there or not here or max(len(there), len(here)) > _MOST_COMPARED:
            continue
        for n in there:
            scores = {
                place: _alike(parts[n].text, submitted[place].source)
                for place in here
                if submitted[place].cell_type == parts[n].cell_type and place not in found
            }
            best = max(scores, key=scores.get, default=None)
            if best is not None and scores[best] >= _ALIKE:
                found[best] = n
                here = [place for place in here if place > best]  # the order stays
    return found


def _alike(first: str, second: str) -> float:
    """The share of words that two texts have in common, in any order: from 0 to 1."""
    words = [Counter(re.findall(r"\w+|[^\w\s]", text)) for text in (first, second)]
    return 2 * (words[0] & words[1]).total() / max(1, words[0].total() + words[1].total())


def _bare(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _longest_rise(values: list[int]) -> list[int]:
    """The positions of a longest subsequence that never falls."""
    tails: list[int] = []  # the last value of the best subsequence of each length
    ends: list[int] = []
    previous: list[int | None] = []
    for position, value in enumerate(values):
        length = bisect.bisect_right(tails, value)
        previous.append(ends[length - 1] if length else None)
        if length == len(tails):
            tails.append(value)
            ends.append(position)
        else:
            tails[length], ends[length] = value, position
    chain, at = [], ends[-1] if ends else None
    while at is not None:
        chain.append(at)
        at = previous[at]
    return chain[::-1]
