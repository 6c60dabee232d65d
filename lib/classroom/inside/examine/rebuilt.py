"""Values put together again from what the other side sent, whatever that is.

What arrives is built from exact types of Python, numpy and torch and from nothing else: no class and no method of the
sender's comes along, and everything that is not as `values` would have it is a `BrokenWireError`.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, namedtuple
from collections.abc import Callable
from functools import lru_cache
from keyword import iskeyword
from math import prod

from classroom.inside.examine.wire import BrokenWireError

MOST_DEPTH = 50
MOST_NODES = 1_000_000
MOST_NAME = 200  # characters
ALIGNED = 64  # bytes
NUMPY_KINDS = "biufcSUmM"
# numpy's own reader of such names ends the process for some that it does not expect: <M8[s/0] divides by nothing.
_NUMPY = re.compile(
    r"[<>|](?:b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[SU]\d{1,9}|[mM]8(?:\[(\d{0,9})([A-Za-z]{1,2})\])?)"
)
_DATES = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
MOST_STEPS = 10_000_000  # of a range: a test may make a list of it
# A state of torch's Mersenne Twister: how many of its words are left, at 8, and which one is next, at 16.
_WORDS, _LEFT, _NEXT = 624, struct.Struct("<i"), struct.Struct("<Q")
_MOST_ALIKE = 100  # keys of one hash
MOST_INTEGER = 1 << 20  # bytes: two and a half million digits; more could hold up a test for hours
_MOST_SIZE = 1 << 40  # of a dimension


class Decoder:
    """Puts values together, from one message.

    Args:
        parts: descriptions of what is in the blob.
        blob: a writable buffer; arrays and tensors keep it and use its memory.
        other: makes what the JSON of the sender's `other` stands for.
    """

    def __init__(self, parts: object, blob, other: Callable[[dict], object]) -> None:
        self._parts, self._blob, self._other = _list_of(parts, dict), memoryview(blob), other
        self._nodes = 0
        end = 0
        for part in self._parts:  # no two may share memory: a test that changes one in place would change the other
            begin, after = _list_of(part.get("data_offsets"), int, 2)
            if not end <= begin <= after <= len(self._blob):
                raise BrokenWireError("a part beyond the data, or on top of another")
            end = after
        self._made: dict[int, object] = {}  # tensors by the number of their part

    def tensors(self) -> dict[int, object]:
        """The tensors that require grad where they came from, by their "grad" number; in the order of these."""
        tracked = {}
        for number, part in enumerate(self._parts):
            if "grad" in part:
                index = part["grad"]
                if type(index) is not int or index in tracked:
                    raise BrokenWireError("two tensors with one number")
                tracked[index] = self._tensor(number)
        return dict(sorted(tracked.items()))

    def replace(self, index: int, tensor) -> None:
        """Let a tensor stand for the one with this "grad" number; it gets the gradient that this one has."""
        number = next(n for n, part in enumerate(self._parts) if part.get("grad") == index)
        gradient = self._parts[number].get("has")
        if gradient is not None:
            gradient = self._tensor(gradient)
            if gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
                raise BrokenWireError("a gradient of another shape")
            tensor.grad = gradient
        self._made[number] = tensor

    def decode(self, tree: object, depth: int = 0) -> object:
        """The value that the JSON stands for.

        Raises:
            BrokenWireError: it stands for none, or for one beyond a limit.
        """
        self._nodes += 1
        if self._nodes > MOST_NODES + 10 or depth > MOST_DEPTH + 2:
            raise BrokenWireError("a value beyond the limits of depth or number")
        kind = type(tree)
        if kind is list:
            return [self.decode(item, depth + 1) for item in tree]
        if kind is not dict:
            return tree
        if len(tree) == 1:
            ((tag, body),) = tree.items()
            if tag in _READ:
                try:
                    return _READ[tag](self, body, depth + 1)
                except (TypeError, ValueError, OverflowError, KeyError, IndexError, RuntimeError, AttributeError) as e:
                    raise BrokenWireError(f"no value of kind {tag!r}: {type(e).__name__}") from None
        return self._other(tree)

    def _part(self, number: object) -> tuple[dict, int, int]:
        if type(number) is not int or not 0 <= number < len(self._parts):
            raise BrokenWireError("a part that is not there")
        part = self._parts[number]
        return part, *part["data_offsets"]

    def _integer(self, number: object, _: int) -> int:
        data = self._raw(number)
        if len(data) > MOST_INTEGER:
            raise BrokenWireError("an integer with too many digits")
        return int.from_bytes(data, "little", signed=True)

    def _raw(self, number: object) -> bytes:
        _, begin, end = self._part(number)
        return bytes(self._blob[begin:end])

    def _tensor(self, number: object, _: int = 0) -> object:
        if number in self._made:
            return self._made[number]
        import torch

        part, begin, end = self._part(number)
        dtype = _dtype(part.get("dtype"))
        shape = _shape(part.get("shape"), dtype.itemsize, end - begin)
        if begin == end:
            made = torch.empty(shape, dtype=dtype)
        else:
            count = (end - begin) // dtype.itemsize
            # Where the sender keeps to the alignment, no copy is made; else torch would read at odd addresses.
            data = self._blob if begin % ALIGNED == 0 else bytearray(self._blob[begin:end])
            made = torch.frombuffer(data, dtype=dtype, count=count, offset=begin if data is self._blob else 0)
            made = made.reshape(shape)
            if dtype is torch.bool:
                made = made.view(torch.uint8) != 0  # a bool that is neither 0 nor 1 is nothing to compute with
        self._made[number] = made
        return made

    def _array(self, number: object, _: int) -> object:
        import numpy

        part, begin, end = self._part(number)
        name = part.get("dtype")
        found = _NUMPY.fullmatch(name) if type(name) is str and name.isascii() else None
        if found is None or (found[2] is not None and (found[2] not in _DATES or found[1].startswith("0"))):
            raise BrokenWireError("an unknown dtype of numpy")
        dtype = numpy.dtype(name)
        if dtype.kind not in NUMPY_KINDS or dtype.hasobject:
            raise BrokenWireError("an unknown dtype of numpy")
        shape = _shape(part.get("shape"), dtype.itemsize, end - begin)
        if begin == end:
            return numpy.empty(shape, dtype)
        data = numpy.frombuffer(self._blob, "u1", end - begin, begin)
        if dtype.kind == "b":
            return (data != 0).reshape(shape)
        if dtype.kind == "U":  # code points beyond Unicode can't be turned into text
            points = data.view(dtype.str[0] + "u4")
            if len(points) and points.max() > 0x10FFFF:
                raise BrokenWireError("text that is none")
        return data.view(dtype).reshape(shape)

    def _scalar(self, number: object, depth: int) -> object:
        array = self._array(number, depth)
        if array.shape != ():
            raise BrokenWireError("a scalar with a shape")
        return array[()]

    def _named_tuple(self, body: object, depth: int) -> object:
        name, fields, items = body
        if not nameable(name, tuple(_list_of(fields))):
            raise BrokenWireError("a named tuple with odd names")
        return _named(name, tuple(fields))(*[self.decode(item, depth) for item in _list_of(items)])

    def _dict(self, body: object, depth: int) -> object:
        keys, values = (_list_of(half) for half in _list_of(body, list, 2))
        if len(keys) != len(values):
            raise BrokenWireError("a dict with more keys than values")
        return dict(zip(self._keys(keys, depth), self._each(values, depth), strict=True))

    def _keys(self, body: object, depth: int) -> list:
        """What goes into a dict or a set; keys that were made to have one hash would hold it up for hours."""
        keys = self._each(body, depth)
        if len(keys) > _MOST_ALIKE and max(Counter(map(hash, keys)).values()) > _MOST_ALIKE:
            raise BrokenWireError("keys that all have one hash")
        return keys

    def _each(self, body: object, depth: int) -> list:
        return [self.decode(item, depth) for item in _list_of(body)]

    def _draw(self, body: object, depth: int) -> object:
        """A generator of torch's, whose `set_state` believes what a state says of itself and reads beyond its end."""
        import torch

        state = self.decode(body, depth)
        made = torch.Generator()
        if type(state) is not torch.Tensor or state.dtype is not torch.uint8 or state.shape != made.get_state().shape:
            raise BrokenWireError("no state of a generator")
        data = state.numpy().tobytes()
        (left,), (following,) = _LEFT.unpack_from(data, 8), _NEXT.unpack_from(data, 16)
        if not (1 <= left <= _WORDS and 0 <= following <= _WORDS and left + following <= _WORDS + 1):
            raise BrokenWireError("a generator that would read beyond its numbers")
        return made.set_state(state)


def too_long(steps: range) -> bool:
    """Whether a range has more steps than may travel; `len` knows no large ones."""
    return bool(steps[MOST_STEPS : MOST_STEPS + 1])


def _range(ends: list[int]) -> range:
    made = range(*ends)
    if too_long(made):
        raise BrokenWireError("a range beyond the limits")
    return made


def _size(body: object):
    import torch

    return torch.Size(_list_of(body, int))


def _device(body: object):
    import torch

    return torch.device(_text(body))


_READ = {
    "T": Decoder._tensor,
    "A": Decoder._array,
    "S": Decoder._scalar,
    "i": Decoder._integer,
    "f": lambda self, body, _: float({"nan": "nan", "inf": "inf", "-inf": "-inf"}[body]),
    "c": lambda self, body, _: complex(*(float(_text(half)) for half in _list_of(body, str, 2))),
    "u": lambda self, body, _: self._raw(body).decode("utf-8", "surrogatepass"),
    "b": lambda self, body, _: self._raw(body),
    "nt": Decoder._named_tuple,
    "t": lambda self, body, depth: tuple(self._each(body, depth)),
    "d": Decoder._dict,
    "s": lambda self, body, depth: set(self._keys(body, depth)),
    "z": lambda self, body, depth: frozenset(self._keys(body, depth)),
    "r": lambda self, body, depth: _range(_list_of(self._each(body, depth), int, 3)),
    "l": lambda self, body, depth: slice(*self._each(body, depth)),
    "draw": Decoder._draw,
    "size": lambda self, body, _: _size(body),
    "dtype": lambda self, body, _: _dtype(body),
    "device": lambda self, body, _: _device(body),
}


def _list_of(value: object, kind: type | None = None, count: int | None = None) -> list:
    if type(value) is not list or count not in (None, len(value)):
        raise BrokenWireError("expected a list")
    if kind is not None and any(type(item) is not kind for item in value):
        raise BrokenWireError(f"expected a list of {kind.__name__}")
    return value


def _text(value: object) -> str:
    if type(value) is not str or len(value) > MOST_NAME:
        raise BrokenWireError("expected a short text")
    return value


def nameable(name: str, fields: tuple) -> bool:
    """Whether a named tuple can be made with this name and these fields."""
    names = [name, *fields]
    fit = all(type(n) is str and len(n) <= MOST_NAME and n.isidentifier() and not iskeyword(n) for n in names)
    return fit and len(set(fields)) == len(fields) <= 200 and not any(field.startswith("_") for field in fields)


def _shape(value: object, itemsize: int, size: int) -> list[int]:
    shape = _list_of(value, int)
    if len(shape) > 32 or any(not 0 <= n <= _MOST_SIZE for n in shape):
        raise BrokenWireError("a shape beyond the limits")
    if prod(shape) * itemsize != size or (itemsize == 0 and prod(shape) > MOST_NODES):
        raise BrokenWireError("a shape that does not fit the data")
    return shape


def _dtype(name: object):
    import torch

    dtype = torch.__dict__.get(_text(name))
    if type(dtype) is not torch.dtype or name.startswith(("q", "bits")):
        raise BrokenWireError("an unknown dtype of torch")
    return dtype


@lru_cache(256)
def _named(name: str, fields: tuple[str, ...]) -> type:
    return namedtuple(name, fields)
