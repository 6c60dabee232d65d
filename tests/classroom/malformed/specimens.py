"""The malformed notebooks: right submissions to which one thing was done, and what hypothesis draws from the start.

Three levels: bytes, JSON, the notebook's own form. Each change comes in turn, to one right submission after another,
so the first hundred and a half have each of them once; every further round draws anew where and how much.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from bytes_level import BYTES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from json_level import JSON
from nbformat_level import NBFORMAT


class Specimen(NamedTuple):
    """A file, what was done to it, and what has to become of it: refused, full (all points by tests), any."""

    name: str
    level: str
    data: bytes
    expected: str


def changed(rights: Sequence[bytes], rounds: int, seed: str) -> list[Specimen]:
    """Every change once a round."""
    return [specimen for number in range(rounds) for specimen in _round(rights, number, seed)]


def _round(rights: Sequence[bytes], number: int, seed: str) -> Iterator[Specimen]:
    chance = Random(f"{seed} {number}")
    for name, (expected, damage) in BYTES.items():
        yield Specimen(name, "bytes", damage(chance.choice(rights), chance), expected)
    for level, changes in (("JSON", JSON), ("nbformat", NBFORMAT)):
        for name, (expected, change) in changes.items():
            value = change(json.loads(chance.choice(rights)), chance)
            text = value if isinstance(value, str) and name == "many levels" else json.dumps(value, indent=1)
            yield Specimen(name, level, text.encode(), expected)


# Drawn from the start: what no change of a right notebook leads to.

_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["mean", "x = 1", "def mean(values):\n    return 2", "%%bash\nls", "\ud800"]
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=8,
)
_SOURCES = _TEXTS | st.lists(_TEXTS, max_size=4) | _ANYTHING
_NAMES = st.sampled_from(["mean", "digits", "mean-tests", "why", "task", "setup", "picture"]) | _ANYTHING
_METADATA = _ANYTHING | st.fixed_dictionaries(
    {"nbgrader": _ANYTHING | st.fixed_dictionaries({"grade_id": _NAMES}, optional={"points": _ANYTHING})},
    optional={"tags": _ANYTHING, "id": _ANYTHING},
)
_CELLS = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "code", "markdown", "raw", "heading"]) | _ANYTHING,
        "source": _SOURCES,
        "input": _SOURCES,
        "metadata": _METADATA,
        "attachments": _ANYTHING | st.dictionaries(_TEXTS, st.dictionaries(_TEXTS, _SOURCES, max_size=2), max_size=2),
        "outputs": _ANYTHING,
        "id": _ANYTHING,
        "level": _ANYTHING,
    },
)
_LISTS = st.lists(_CELLS, max_size=6)
_NOTEBOOKS = st.fixed_dictionaries(
    {"nbformat": st.sampled_from([4, 4, 4, 3, 2, 1]) | _ANYTHING},
    optional={
        "cells": _LISTS | _ANYTHING,
        "worksheets": st.lists(st.fixed_dictionaries({"cells": _LISTS}), max_size=2) | _ANYTHING,
        "metadata": _ANYTHING,
    },
)
_BYTES = st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b'{"cells": [' + data)


def drawn(number: int) -> list[Specimen]:
    """So many that hypothesis draws, the same each time: a fifth are bytes, the others have the keys of notebooks."""
    found: list[Specimen] = []

    def draw(strategy: st.SearchStrategy, level: str, count: int) -> None:
        values: list[Any] = []

        @settings(
            max_examples=2 * count,
            database=None,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def collect(value: Any) -> None:
            values.append(copy.deepcopy(value))

        collect()
        values = values[-count:]  # the first are the smallest
        assert len(values) == count
        texts = (value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)
        found.extend(Specimen(f"drawn {n}", level, text, "any") for n, text in enumerate(texts, 1))

    draw(_BYTES, "bytes", number // 5)
    draw(_NOTEBOOKS, "nbformat", number - number // 5)
    return found
