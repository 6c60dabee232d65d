"""Notebooks that are JSON, and not the JSON of a notebook: other values, elsewhere, too many, too deep."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

Change = Callable[[Any, Random], Any]

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a negative number": -1,
    "an infinite number": float("inf"),
    "not a number": float("nan"),
    "a number of 400 digits": 10**400,
    "an empty text": "",
    "a long text": "x" * 150_000,
    "an empty list": [],
    "an empty object": {},
    "a list of lists": [[["a"], [1]], [], None],
    "a text that is JSON": '{"cells": []}',
    "half a letter": "\ud83d",
    "a zero byte": "a\0b",
}


def places(value: Any, above: tuple = ()) -> list[tuple]:
    """The paths to all values inside."""
    found = [above] if above else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += places(item, (*above, key))
    return found


def at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


def somewhere(change: Callable[[Any, Any, Random], None], of: type | tuple = object, times: int = 1) -> Change:
    """Change a value, drawn among those of a type: `change(holder, key, chance)`."""

    def make(notebook: Any, chance: Random) -> Any:
        for _ in range(times):
            known = [path for path in places(notebook) if isinstance(at(notebook, path), of)]
            if known:
                # A notebook has hundreds of outputs' values and few others: the upper ones are drawn as often.
                depth = chance.choice(sorted({len(path) for path in known}))
                path = chance.choice([path for path in known if len(path) == depth])
                change(at(notebook, path[:-1]), path[-1], chance)
        return notebook

    return make


def put(value: Any) -> Callable:
    def change(holder: Any, key: Any, chance: Random) -> None:
        holder[key] = copy.deepcopy(value)

    return change


def remove(holder: Any, key: Any, chance: Random) -> None:
    del holder[key]


def rename(holder: Any, key: Any, chance: Random) -> None:
    if isinstance(holder, dict):
        holder[chance.choice([str(key).upper(), f" {key}", f"{key}\0", "", "__proto__", "x" * 10_000])] = holder.pop(
            key
        )


def change_kind(holder: Any, key: Any, chance: Random) -> None:
    value = holder[key]
    if isinstance(value, dict):
        holder[key] = list(value.items())
    elif isinstance(value, list):
        holder[key] = {str(number): item for number, item in enumerate(value)}
    elif isinstance(value, str):
        holder[key] = [*value[:2000]]
    else:
        holder[key] = [value]


def swap(notebook: Any, chance: Random) -> Any:
    known = [path for path in places(notebook) if not isinstance(at(notebook, path), (dict, list))]
    first, second = chance.sample(known, 2)
    one, other = at(notebook, first), at(notebook, second)
    at(notebook, first[:-1])[first[-1]], at(notebook, second[:-1])[second[-1]] = other, one
    return notebook


def nest(holder: Any, key: Any, chance: Random) -> None:
    for _ in range(200):
        holder[key] = [holder[key]]


class Twice(dict):
    """An object that is written with each of its names twice, the second time with another value."""

    def items(self) -> list:
        return [*super().items(), *((key, None) for key in self)]


def twice(notebook: Any, chance: Random) -> Any:
    """The names of one object come twice; the last counts in most readers."""
    if chance.random() < 0.3:
        return Twice(notebook)
    number = chance.randrange(len(notebook["cells"]))
    notebook["cells"][number] = Twice(notebook["cells"][number])
    return notebook


def deep(notebook: Any, chance: Random) -> str:
    """So many levels that a reader which calls itself runs out of stack; as text, for `json` does too."""
    levels = chance.choice([1_000, 5_000, 100_000])
    begin, end = chance.choice([("[", "]"), ('{"a":', "}")])
    filling = begin * levels + ("1" if begin != "[" else "") + end * levels
    key = chance.choice(["metadata", "source", "outputs", "attachments", "id", "cell_type", "more"])
    number = chance.randrange(len(notebook["cells"]))
    notebook["cells"][number][key] = "@deep@"
    return json.dumps(notebook).replace('"@deep@"', filling)


JSON: dict[str, tuple[str, Change]] = {
    **{f"{name}, somewhere": ("any", somewhere(put(value))) for name, value in VALUES.items()},
    **{f"{name}, at ten places": ("any", somewhere(put(value), times=10)) for name, value in VALUES.items()},
    "a value gone": ("any", somewhere(remove)),
    "ten values gone": ("any", somewhere(remove, times=10)),
    "a name changed": ("any", somewhere(rename)),
    "ten names changed": ("any", somewhere(rename, times=10)),
    "lists for objects": ("any", somewhere(change_kind, dict)),
    "objects for lists": ("any", somewhere(change_kind, list)),
    "letters for texts": ("any", somewhere(change_kind, str, times=5)),
    "values exchanged": ("any", swap),
    "two hundred lists around a value": ("any", somewhere(nest)),
    "names twice": ("any", twice),
    "many levels": ("any", deep),
    "3,000 more names": ("full", lambda nb, chance: nb | {f"more-{n}": n for n in range(3_000)}),
    "no object": ("refused", lambda nb, chance: chance.choice([1, None, "x", [], [nb], True, -0.0])),
}
