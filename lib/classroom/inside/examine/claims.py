"""What the student's side says of an object that does not travel by value."""

from __future__ import annotations

import inspect

_SIMPLE = (type(None), bool, int, float, str)
_ABILITIES = {
    "call": "__call__",
    "iter": "__iter__",
    "next": "__next__",
    "len": "__len__",
    "item": "__getitem__",
    "put": "__setitem__",
    "in": "__contains__",
    "with": "__enter__",
}


def claims(value: object) -> dict:
    """What a handle says of itself: its type's name and bases, what it can do, how it is called."""
    kind = type(value)
    can = [ability for ability, method in _ABILITIES.items() if any(method in base.__dict__ for base in kind.__mro__)]
    told = {"type": kind.__qualname__[:200], "can": can}
    told["mro"] = [f"{base.__module__}:{base.__qualname__}"[:300] for base in kind.__mro__[:30]]
    try:
        told["name"] = str(value.__name__)[:200]
    except Exception:  # most have none; a student's `__getattr__` may do anything
        told["name"] = ""
    if "call" in can:
        try:
            told["params"] = [_parameter(p) for p in list(inspect.signature(value).parameters.values())[:100]]
        except Exception:  # builtins have none, and `__signature__` may be anything
            told["params"] = None
    return told


def _parameter(parameter: inspect.Parameter) -> list:
    """Name, kind, and the default where it is a simple one: a list without it where there is none."""
    told = [parameter.name[:200], int(parameter.kind)]
    if parameter.default is inspect.Parameter.empty:
        return told
    default = parameter.default
    plain = type(default) in _SIMPLE and len(repr(default)) < 200 and repr(default) not in ("nan", "inf", "-inf")
    return [*told, [default] if plain else []]
