"""Values taken apart to travel between the examiner and the student's side: JSON, and a blob for numbers in bulk.

A value that can't travel is given to a function of the caller's, `other`, which makes a handle of it. Torch and numpy
are used only where they have been imported: a value of theirs can't exist before. `rebuilt` puts values together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import isfinite

from classroom.inside.examine.rebuilt import (
    ALIGNED,
    MOST_DEPTH,
    MOST_INTEGER,
    MOST_NODES,
    MOST_STEPS,
    NUMPY_KINDS,
    nameable,
    too_long,
)
from classroom.inside.examine.wire import MOST_BLOB

_LONG = 1000  # a text or an integer beyond it travels in the blob
_MOST_TEXT = 8 << 20  # characters in all; one outside the basic plane is twelve bytes of JSON


class TooMuchError(Exception):
    """A value is too deep, too large or has too many parts to travel; the argument says which."""


class Encoder:
    """Takes values apart, for one message.

    Args:
        other: gives the JSON for what can't travel by value.

    Attributes:
        parts: descriptions of what is in the blob.
        pieces: the blob, in pieces of bytes.
        tracked: the torch tensors that require grad, in the order of "grad" in `parts`.
    """

    def __init__(self, other: Callable[[object], object]) -> None:
        self.parts: list[dict] = []
        self.pieces: list = []
        self.tracked: list = []
        self._other, self._nodes, self._bytes, self._text = other, 0, 0, 0
        self._torch, self._numpy = sys.modules.get("torch"), sys.modules.get("numpy")

    def encode(self, value: object, depth: int = 0) -> object:
        """The value as JSON.

        Raises:
            TooMuchError: it is beyond a limit.
        """
        kind = type(value)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise TooMuchError(f"it has more than {MOST_NODES:,} parts")
        if depth > MOST_DEPTH:
            raise TooMuchError(f"it is nested more than {MOST_DEPTH} deep")
        if value is None or kind is bool:
            return value
        if self._torch is not None and (found := self._of_torch(value, kind)) is not None:
            return found
        if self._numpy is not None and (found := self._of_numpy(value, kind)) is not None:
            return found
        for base in kind.__mro__:  # never `__class__`, which an object may lie about
            if base in _PLAIN:
                return _PLAIN[base](self, value, depth + 1)
        return self._other(value)

    def attempt(self, value: object) -> object:
        """The value as JSON, or what `other` makes of it where it is too much."""
        before = len(self.parts), len(self.pieces), len(self.tracked), self._nodes, self._bytes
        try:
            return self.encode(value)
        except TooMuchError:
            parts, pieces, tracked, self._nodes, self._bytes = before
            del self.parts[parts:], self.pieces[pieces:], self.tracked[tracked:]
            return self._other(value)

    def blob(self, data, **told) -> int:
        """Put bytes into the blob; the number of the part."""
        begin = -(-self._bytes // ALIGNED) * ALIGNED
        size = len(data)
        if begin + size > MOST_BLOB:
            raise TooMuchError(f"it has more than {MOST_BLOB >> 20} MB")
        if begin > self._bytes:
            self.pieces.append(bytes(begin - self._bytes))
        self.pieces.append(data)
        self._bytes = begin + size
        self.parts.append({**told, "data_offsets": [begin, self._bytes]})
        return len(self.parts) - 1

    def each(self, values, count: int, depth: int) -> list:
        """Several values; they are counted before they are looked at."""
        if self._nodes + count > MOST_NODES:
            raise TooMuchError(f"it has more than {MOST_NODES:,} parts")
        return [self.encode(value, depth) for value in values]

    def _of_torch(self, value: object, kind: type) -> object:
        torch = self._torch
        if issubclass(kind, torch.Tensor):
            with torch._C.DisableTorchFunctionSubclass():
                return self._tensor(value)
        if kind is torch.Size:
            return {"size": [int(n) for n in value]}
        if kind is torch.dtype:
            return {"dtype": str(value).removeprefix("torch.")}
        if kind is torch.device:
            return {"device": str(value)}
        if kind is torch.Generator and value.device.type == "cpu":
            return {"draw": self._tensor(value.get_state())}
        return None

    def _tensor(self, tensor) -> object:
        torch = self._torch
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
            return self._other(tensor)
        if tensor.numel() * tensor.element_size() > MOST_BLOB:
            raise TooMuchError(f"it has more than {MOST_BLOB >> 20} MB")
        plain = tensor.detach().as_subclass(torch.Tensor).cpu().resolve_conj().resolve_neg().contiguous()
        data = plain.reshape(-1).view(torch.uint8) if plain.numel() else torch.empty(0, dtype=torch.uint8)
        told = {"dtype": str(plain.dtype).removeprefix("torch."), "shape": list(plain.shape)}
        if tensor.requires_grad:
            told["grad"] = len(self.tracked)
            self.tracked.append(tensor)
            if tensor.is_leaf and tensor.grad is not None and not tensor.grad.requires_grad:
                told["has"] = self._tensor(tensor.grad).get("T")
        return {"T": self.blob(memoryview(data.numpy()), **told)}

    def _of_numpy(self, value: object, kind: type) -> object:
        numpy = self._numpy
        if not issubclass(kind, (numpy.ndarray, numpy.generic)):
            return None
        tag = "A" if issubclass(kind, numpy.ndarray) else "S"
        array = numpy.ndarray.view(value, numpy.ndarray) if tag == "A" else numpy.asarray(value)
        if array.dtype.kind not in NUMPY_KINDS or array.dtype.hasobject:
            return self._other(value)
        if array.nbytes > MOST_BLOB:
            raise TooMuchError(f"it has more than {MOST_BLOB >> 20} MB")
        shape = list(array.shape)
        data = numpy.ascontiguousarray(array).reshape(-1).view("u1") if array.nbytes else b""
        return {tag: self.blob(memoryview(data), dtype=array.dtype.str, shape=shape)}

    def _int(self, value: int, _: int) -> object:
        value = int.__index__(value)
        if value.bit_length() < 64:
            return value
        if value.bit_length() >= 8 * MOST_INTEGER:
            raise TooMuchError(f"it has an integer of more than {MOST_INTEGER >> 20} MB")
        return {"i": self.blob(value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))}

    def _float(self, value: float, _: int) -> object:
        value = float.__float__(value)
        return value if isfinite(value) else {"f": repr(value)}

    def _complex(self, value: complex, _: int) -> object:
        return {"c": [repr(complex.real.__get__(value)), repr(complex.imag.__get__(value))]}

    def _str(self, value: str, _: int) -> object:
        value = str.__str__(value)
        self._text += len(value)
        if self._text > _MOST_TEXT:
            raise TooMuchError(f"it has more than {_MOST_TEXT >> 20} MB of text")
        return value if len(value) <= _LONG else {"u": self.blob(value.encode("utf-8", "surrogatepass"))}

    def _bytes_(self, value: bytes, _: int) -> object:
        return {"b": self.blob(bytes(memoryview(value)))}

    def _list(self, value: list, depth: int) -> object:
        return self.each(list.__iter__(value), list.__len__(value), depth)

    def _tuple(self, value: tuple, depth: int) -> object:
        items = self.each(tuple.__iter__(value), tuple.__len__(value), depth)
        names = type(value).__dict__.get("_fields", type(value).__dict__.get("__match_args__"))
        if type(names) is tuple and len(names) == len(items) and nameable(type(value).__name__, names):
            return {"nt": [type(value).__name__, list(names), items]}
        return {"t": items}

    def _dict(self, value: dict, depth: int) -> object:
        keys = self._keys(dict.keys(value), dict.__len__(value), depth)
        if keys is None:
            return self._other(value)
        return {"d": [keys, self.each(dict.values(value), len(keys), depth)]}

    def _set(self, value: set, depth: int) -> object:
        keys = self._keys(set.__iter__(value), set.__len__(value), depth)
        return self._other(value) if keys is None else {"s": keys}

    def _frozenset(self, value: frozenset, depth: int) -> object:
        keys = self._keys(frozenset.__iter__(value), frozenset.__len__(value), depth)
        return self._other(value) if keys is None else {"z": keys}

    def _keys(self, values, count: int, depth: int) -> list | None:
        """What is looked up by its hash; None if some of it would be a handle, which has none."""
        other, self._other = self._other, _no_key
        try:
            return self.each(values, count, depth)
        except _NoKeyError:
            return None
        finally:
            self._other = other

    def _range(self, value: range, depth: int) -> object:
        if too_long(value):
            raise TooMuchError(f"it is a range of more than {MOST_STEPS:,}")
        return {"r": self.each((value.start, value.stop, value.step), 3, depth)}

    def _slice(self, value: slice, depth: int) -> object:
        return {"l": self.each((value.start, value.stop, value.step), 3, depth)}


class _NoKeyError(Exception):
    """A key that can't travel by value."""


def _no_key(value: object) -> object:
    raise _NoKeyError


_PLAIN = {
    int: Encoder._int,
    float: Encoder._float,
    complex: Encoder._complex,
    str: Encoder._str,
    bytes: Encoder._bytes_,
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    set: Encoder._set,
    frozenset: Encoder._frozenset,
    range: Encoder._range,
    slice: Encoder._slice,
}
