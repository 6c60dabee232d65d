"""Pictures as inline SVG, drawn here: the style sheet colours them, so one picture serves both schemes and print.

Each is as wide as a phone and may grow by a third; its text is 11 px or more. None shows more than the table beneath.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 360  # in units of the picture: at least as many pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 26, 40
_LETTERS = 44  # of a label above a bar


@dataclass(frozen=True)
class Mark:
    """A vertical line in a histogram, with a word at its top."""

    at: float
    word: str


def histogram(
    counts: Sequence[int],
    low: float,
    high: float,
    *,
    alt: str,
    axis: str,
    marks: Sequence[Mark] = (),
    band: tuple[float, float] | None = None,
) -> str:
    """Bars of how many, over equal steps from `low` to `high`.

    Args:
        alt: the picture in words, with its numbers.
        axis: what the horizontal axis shows.
        band: from where to where the middle half lies.
    """
    height = 220
    span = WIDTH - _LEFT - _RIGHT
    top, bottom = _TOP, height - _BOTTOM
    most = _round_up(max([*counts, 1]))

    def x(value: float) -> float:
        return _LEFT + span * (value - low) / (high - low)

    def y(count: float) -> float:
        return bottom - (bottom - top) * count / most

    parts = []
    if band:
        left, right = (x(min(max(value, low), high)) for value in band)
        parts.append(
            f'<rect class="band" x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{bottom - top}"/>'
        )
    for tick in _ticks(most):
        parts.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y(tick) + 4:.1f}">{tick}</text>')
    step = span / len(counts)
    for number, count in enumerate(counts):
        if count:
            left = _LEFT + number * step + 1
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{y(count):.1f}" width="{max(step - 2, 1):.1f}" '
                f'height="{bottom - y(count):.1f}"/>'
            )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{WIDTH - _RIGHT}"/>')
    for number in range(5):
        value = low + (high - low) * number / 4
        parts.append(f'<text class="mid" x="{x(value):.1f}" y="{bottom + 16}">{_short(value)}</text>')
    parts.append(f'<text class="mid" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{height - 6}">{escape(axis)}</text>')
    for mark in marks:
        at = x(min(max(mark.at, low), high))
        place = "start" if at < WIDTH / 4 else "end" if at > WIDTH * 3 / 4 else "mid"
        parts.append(f'<path class="line" d="M{at:.1f} {top - 6}V{bottom}"/>')
        parts.append(f'<text class="{place}" x="{at:.1f}" y="{top - 11}">{escape(mark.word)}</text>')
    return _picture(parts, height, alt)


def bars(rows: Sequence[tuple[str, float, str]], *, alt: str, high: float = 1.0, full: bool = True) -> str:
    """A horizontal bar a row, its label above it: (label, value, what stands at its end).

    Args:
        high: the value of a bar of full length.
        full: draw the rest of the length too.
    """
    each, end = 38, 62
    span = WIDTH - end
    parts = []
    for number, (label, value, word) in enumerate(rows):
        top = number * each + 4
        length = 0.0 if math.isnan(value) else span * min(max(value / high, 0), 1)
        parts.append(f'<text x="0" y="{top + 12}">{escape(_cut(label))}</text>')
        if full:
            parts.append(f'<rect class="rest" x="0" y="{top + 18}" width="{span}" height="10"/>')
        if length:
            parts.append(f'<rect class="bar" x="0" y="{top + 18}" width="{length:.1f}" height="10"/>')
        parts.append(f'<text class="end" x="{WIDTH}" y="{top + 27}">{escape(word)}</text>')
    return _picture(parts, len(rows) * each + 4, alt)


def intervals(rows: Sequence[tuple[str, float, float, float]], *, alt: str, axis: str) -> str:
    """A point with its interval a row, on an axis from -1 to 1: (label, value, low, high)."""
    each = 38
    inner = 8

    def x(value: float) -> float:
        return inner + (WIDTH - 2 * inner) * (value + 1) / 2

    bottom = len(rows) * each + 8
    parts = []
    for tick in (-1, -0.5, 0, 0.5, 1):
        parts.append(f'<path class="{"axis" if tick == 0 else "grid"}" d="M{x(tick):.1f} 4V{bottom}"/>')
        parts.append(f'<text class="mid" x="{x(tick):.1f}" y="{bottom + 15}">{_short(tick)}</text>')
    for number, (label, value, low, high) in enumerate(rows):
        top = number * each + 4
        shown = escape(_cut(label))
        parts.append(f'<text class="over" x="0" y="{top + 12}">{shown}</text>')
        if math.isnan(value):
            parts.append(f'<text class="over" x="0" y="{top + 27}">–</text>')
            continue
        if not math.isnan(low):
            ends = f"M{x(low):.1f} {top + 19}v8M{x(high):.1f} {top + 19}v8M{x(low):.1f} {top + 23}H{x(high):.1f}"
            parts.append(f'<path class="line" d="{ends}"/>')
        parts.append(f'<circle class="bar" cx="{x(value):.1f}" cy="{top + 23}" r="5"/>')
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{bottom + 33}">{escape(axis)}</text>')
    return _picture(parts, bottom + 40, alt)


def boxes(rows: Sequence[tuple[str, float, float, float]], *, alt: str, axis: str) -> str:
    """The middle half and the median a row, on an axis from 0 to 100: (label, quartile, median, quartile)."""
    each, inner = 38, 14

    def x(value: float) -> float:
        return inner + (WIDTH - 2 * inner) * min(max(value, 0), 100) / 100

    bottom = len(rows) * each + 8
    parts = []
    for tick in (0, 25, 50, 75, 100):
        parts.append(f'<path class="grid" d="M{x(tick):.1f} 4V{bottom}"/>')
        parts.append(f'<text class="mid" x="{x(tick):.1f}" y="{bottom + 15}">{tick}</text>')
    for number, (label, low, middle, high) in enumerate(rows):
        top = number * each + 4
        parts.append(f'<text class="over" x="0" y="{top + 12}">{escape(_cut(label))}</text>')
        width = max(x(high) - x(low), 1)
        parts.append(f'<rect class="bar soft" x="{x(low):.1f}" y="{top + 18}" width="{width:.1f}" height="10"/>')
        parts.append(f'<path class="line" d="M{x(middle):.1f} {top + 15}v16"/>')
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{bottom + 33}">{escape(axis)}</text>')
    return _picture(parts, bottom + 40, alt)


def spark(values: Sequence[float]) -> str:
    """One student's way through the projects, each from 0 to 1; a gap where nan. The cells beside it say the same."""
    step = 14
    points = [
        (6 + number * step, 22 - 18 * min(max(value, 0), 1)) for number, value in enumerate(values) if value == value
    ]
    line = " ".join(f"{x:g},{y:.0f}" for x, y in points)
    x, y = points[-1]
    width = 12 + step * (len(values) - 1)
    return (
        f'<svg class="spark" viewBox="0 0 {width} 26" width="{width}" height="26" aria-hidden="true">'
        f'<polyline class="line" points="{line}"/><circle class="bar" cx="{x:g}" cy="{y:.0f}" r="3"/></svg>'
    )


def _picture(parts: Sequence[str], height: int, alt: str) -> str:
    label = escape(alt, quote=True)
    inner = "\n".join(parts)
    return f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{label}">\n{inner}\n</svg>'


def _ticks(most: int) -> list[int]:
    """About four whole numbers up to `most`."""
    step = max(1, most // 4)
    return list(range(0, most + 1, step))


def _round_up(most: int) -> int:
    """The next number that has four whole parts, or a small one."""
    if most <= 4:
        return most
    unit = 10 ** max(0, int(math.log10(most / 4)))
    while True:
        for factor in (1, 2, 3, 5):
            if 4 * factor * unit >= most:
                return 4 * factor * unit
        unit *= 10


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _cut(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"
