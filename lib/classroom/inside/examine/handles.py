"""What stands for a student's object in the examiner, and for an exception of the student's."""

from __future__ import annotations

import builtins
import inspect
import sys
from functools import lru_cache

from classroom.inside.examine.wire import BrokenWireError

MOST_MESSAGE = 2000  # characters of an exception's
_VALUES = (
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    list,
    tuple,
    dict,
    set,
    frozenset,
)
_ENDS_LOOPS = ("StopIteration", "StopAsyncIteration")
_TOLD_APART = (
    "it has no value here: what this object says of itself is the student's claim. Compare numbers, texts, arrays or "
    "tensors that its calls return"
)


class StudentGone(BaseException):
    """The student's process can't be asked any more; no `except Exception` in a test takes that for an answer."""


class StudentError(Exception):
    """An exception that the student's code raised; its class is made here, and it holds a text and nothing else."""

    def __init__(self, text: str) -> None:
        self.args = (text,)

    def __str__(self) -> str:
        return self.args[0]


@lru_cache(256)
def _error_class(name: str, kind: str) -> type:
    base = getattr(builtins, kind, None)
    fits = isinstance(base, type) and issubclass(base, Exception) and not issubclass(base, BaseExceptionGroup)
    made = type(name, (StudentError, base) if fits and base is not Exception else (StudentError,), {})
    made.__module__ = "builtins" if name == kind else "student"
    return made


def student_error(told: object, seconds: float) -> StudentError:
    """The exception for what the student's side says was raised."""
    if type(told) is not dict:
        raise BrokenWireError("an error that is none")
    if told.get("time") is True:
        return _error_class("TimeoutError", "TimeoutError")(f"it did not end within its time (at most {seconds:g} s)")
    name, kinds, text = told.get("name"), told.get("kinds"), told.get("text")
    if type(name) is not str or type(text) is not str or type(kinds) is not list:
        raise BrokenWireError("an error that is none")
    name = name[:200] if name[:200].isidentifier() else "StudentError"
    for kind in kinds[:20]:
        # A StopIteration would end a `zip`, a `map` or a `for` of the test's before it has compared anything.
        base = getattr(builtins, kind, None) if type(kind) is str and kind not in _ENDS_LOOPS else None
        if isinstance(base, type) and issubclass(base, Exception):
            return _error_class(name, kind)(text[:MOST_MESSAGE])
    return _error_class(name, "")(text[:MOST_MESSAGE])


class Handle:
    """A student's object that does not travel by value. Tests meet its subclasses, which can what the object can."""

    __slots__ = ("__weakref__", "claims", "number", "remote")

    def __init__(self, remote, number: int, claims: dict) -> None:
        put = object.__setattr__
        put(self, "remote", remote)
        put(self, "number", number)
        put(self, "claims", claims)

    def __getattribute__(self, name):
        if name.startswith("__") and name.endswith("__"):
            return _special(self, name)
        return _parts(self)[0].request("getattr", self, name)

    def __setattr__(self, name, value):
        _parts(self)[0].request("setattr", self, name, value)

    def __remote__(self, helper, *arguments, **settings):
        """Do what a function of `deeppractice.checks` does, where the object is."""
        remote = _parts(self)[0]
        if helper == "train":
            return _train(remote, self, *arguments, **settings)
        if helper == "inplace":
            return remote.request("inplace", self, list(arguments), settings)
        return remote.request(helper, self, *arguments, **settings)

    def __repr__(self):
        return f"<{_described(self)}>"

    def __str__(self):
        return f"<{_described(self)}>"

    def __format__(self, _):
        return f"<{_described(self)}>"

    def __bool__(self):
        raise _no(self, "truth value")

    def __eq__(self, _):
        raise _no(self, "equality")

    __ne__ = __eq__

    def __lt__(self, _):
        raise _no(self, "order")

    __le__ = __gt__ = __ge__ = __lt__

    def __hash__(self):
        raise _no(self, "hash")

    def __reduce_ex__(self, _):
        raise TypeError(f"{_described(self)} can't be copied or pickled here")


def _parts(handle: Handle) -> tuple:
    return Handle.remote.__get__(handle), Handle.number.__get__(handle), Handle.claims.__get__(handle)


def _described(handle: Handle) -> str:
    claims = _parts(handle)[2]
    return " ".join(filter(None, ["the student's", claims["type"], claims["name"]]))


def _no(handle: Handle, what: str) -> TypeError:
    return TypeError(f"{_described(handle)} has no {what} in a test: {_TOLD_APART}")


def _special(handle: Handle, name: str) -> object:
    """A name with two underscores at both ends: claims, or what Python itself needs; never asked of the student."""
    claims = _parts(handle)[2]
    if name == "__class__":
        return _claimed_class(claims["mro"]) or type(handle)
    if name in ("__name__", "__qualname__") and claims["name"]:
        return claims["name"]
    if name == "__signature__" and claims["params"] is not None:
        return claims["params"]
    if name in ("__doc__", "__dict__", "__module__"):
        raise AttributeError(f"{_described(handle)} does not say its {name} in a test")
    return object.__getattribute__(handle, name)


def _claimed_class(mro: list[str]) -> type | None:
    """The first class in the list that a public module, imported already, has; no class of plain values."""
    for place in mro:
        module, _, name = place.partition(":")
        if module.startswith(("__", "classroom")) or module == "builtins":
            continue
        thing = sys.modules.get(module)
        for part in name.split("."):
            thing = vars(thing).get(part) if hasattr(thing, "__dict__") else None
        if isinstance(thing, type) and not issubclass(thing, (*_VALUES, BaseException, *_tensor_classes())):
            return thing
    return None


def _tensor_classes() -> list[type]:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    return [*([torch.Tensor] if torch else []), *([numpy.ndarray, numpy.generic] if numpy else [])]


def _ask(op: str):
    def method(self, *operands):
        return _parts(self)[0].request(op, self, *operands)

    return method


def _call(self, /, *arguments, **settings):
    return _parts(self)[0].request("call", self, list(arguments), settings)


def _iter(self):
    return _parts(self)[0].request("iter", self)


def _next(self):
    found = _parts(self)[0].request("next", self)
    if type(found) is not tuple or len(found) > 1:
        raise TypeError("the student's iterator gave no item")
    if not found:
        raise StopIteration
    return found[0]


def _plain(op: str, kind: type):
    def method(self, *operands):
        found = _parts(self)[0].request(op, self, *operands)
        if type(found) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(found).__name__}")
        return found

    return method


def _exit(self, kind, error, traceback):
    found = _parts(self)[0].request("exit", self, None if error is None else f"{kind.__name__}: {error}"[:MOST_MESSAGE])
    return found is True


_METHODS = {
    "call": {"__call__": _call},
    "iter": {"__iter__": _iter},
    "next": {"__iter__": lambda self: self, "__next__": _next},
    "len": {"__len__": _plain("len", int)},
    "item": {"__getitem__": _ask("getitem")},
    "put": {"__setitem__": _ask("setitem")},
    "in": {"__contains__": _plain("contains", bool)},
    "with": {"__enter__": _ask("enter"), "__exit__": _exit},
}


@lru_cache(256)
def _handle_class(abilities: frozenset[str]) -> type:
    methods = {name: method for ability in sorted(abilities) for name, method in _METHODS[ability].items()}
    return type("Handle", (Handle,), {"__slots__": (), "__module__": __name__, **methods})


def made_handle(remote, number: int, told: dict) -> Handle:
    """A handle for what the student's side describes."""
    kind, can, mro, name = told.get("type"), told.get("can"), told.get("mro"), told.get("name")
    texts = [kind, name, *_texts(can, 20), *_texts(mro, 30)]
    if any(type(text) is not str or len(text) > 500 for text in texts):
        raise BrokenWireError("a handle with odd claims")
    params = _signature(told["params"]) if told.get("params") is not None else None
    kind, name = ("".join(c for c in text[:200] if c.isprintable()) for text in (kind, name))
    claims = {"type": kind, "name": name, "mro": mro, "params": params}
    return _handle_class(frozenset(can).intersection(_METHODS))(remote, number, claims)


def _texts(value: object, most: int) -> list:
    if type(value) is not list or len(value) > most:
        raise BrokenWireError("a handle with odd claims")
    return value


def _signature(told: object) -> inspect.Signature | None:
    parameters = []
    try:
        for name, kind, *default in _texts(told, 100):
            value = default[0][0] if default and default[0] else inspect.Parameter.empty if not default else ...
            parameters.append(inspect.Parameter(name, inspect._ParameterKind(kind), default=value))
        return inspect.Signature(parameters)
    except (TypeError, ValueError, IndexError, KeyError):  # a claim that makes no sense is no claim
        return None


def _train(remote, model, *, lr: float, optimizer: str) -> Handle:
    """The optimizer of a student's model, for `deeppractice.checks.train`: parameters and steps are there."""
    return remote.request("train", model, optimizer, lr)
