"""Values there and back: exact types, limits, and what a student's classes may try."""

import collections
import enum
import itertools
import math
import pickle
import socket
import struct
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroom.inside.examine import wire
from classroom.inside.examine.rebuilt import Decoder
from classroom.inside.examine.values import Encoder, TooMuchError
from classroom.inside.examine.wire import BrokenWireError


def travelled(value):
    """A value as it arrives; what can't travel arrives as the text "handle"."""
    encoder = Encoder(lambda value: {"h": 1})
    tree = encoder.attempt(value)
    one, other = socket.socketpair()
    with one, other:
        sender = threading.Thread(target=wire.send, args=(one, {"v": tree, "t": encoder.parts}, encoder.pieces))
        sender.start()
        message, blob = wire.receive(other)
        sender.join()
    return Decoder(message["t"], blob, lambda tree: "handle").decode(message["v"])


def same(one, other) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and _bytes(one) == _bytes(other)
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        if math.isnan(one):  # whose sign is lost, as in most arithmetic
            return math.isnan(other)
        return math.copysign(1, one) == math.copysign(1, other) and one == other
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    return one == other


def _bytes(tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


Point = collections.namedtuple("Point", "x y")

PLAIN = [
    None,
    True,
    0,
    -(2**63),
    2**64,
    -(7**400_000),
    1.0,
    -0.0,
    math.nan,
    -math.inf,
    5e-324,
    complex(math.nan, -0.0),
    "",
    "a\ud800\x00é😀" * 3,
    "long " * 1000,
    b"\x00\xff",
    [],
    [1, [2.0, (3, "x")]],
    {1: "a", (2, 3): [4], None: {}, "s": {5}},
    {1, "a", (2,)},
    frozenset({1}),
    range(10**30, 10**30 + 70, 7),
    slice(None, 3),
    slice((1,), "a", None),
    Ellipsis,
]
ARRAYS = [
    np.float32(1.5),
    np.bool_(True),
    np.datetime64("2026-01-02"),
    np.array(["ab", "ü"]),
    np.array([b"ab"]),
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.zeros((0, 10**6)),
    np.array(3 + 4j),
    np.arange(6.0).reshape(2, 3).T,
    np.longdouble(1) / 3,
    np.array([True, False]),
]
TENSORS = [
    torch.tensor(1.5),
    torch.arange(6).reshape(2, 3).T,
    torch.tensor([True, False]),
    torch.randn(3, dtype=torch.bfloat16),
    torch.randn(2, 2, dtype=torch.complex64).conj(),
    torch.zeros(0, 5, dtype=torch.float64),
    torch.ones(1).expand(10),
    torch.Size([2, 3]),
    torch.float16,
    torch.device("cpu"),
    torch.tensor([math.nan, -0.0]),
]


@pytest.mark.parametrize("value", PLAIN + ARRAYS + TENSORS, ids=lambda value: type(value).__name__)
def test_what_travels_arrives_as_it_was(value):
    if value is Ellipsis:
        wanted = "handle"
    elif isinstance(value, torch.Tensor):
        wanted = value.resolve_conj().contiguous()
    else:
        wanted = value
    assert same(travelled(value), wanted)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_plain_value_arrives_as_it_was(value):
    assert same(travelled(value), value)


def test_named_tuples_arrive_with_their_fields():
    found = travelled(Point(1, [2]))
    assert (found.x, found.y, type(found).__name__) == (1, [2], "Point")
    assert type(found) is not Point
    assert travelled(torch.tensor([3.0, 1.0]).max(0)).indices == 0


def test_a_named_tuple_with_names_that_python_made_up_arrives_as_a_tuple():
    odd = collections.namedtuple("Odd", "a class", rename=True)
    assert travelled(odd(1, 2)) == (1, 2)


def test_parts_may_not_lie_on_top_of_each_other():
    part = {"dtype": "float32", "shape": [2], "data_offsets": [0, 8]}
    with pytest.raises(wire.BrokenWireError, match="on top"):
        Decoder([part, part], bytearray(16), lambda tree: None)


def test_keys_that_were_made_to_have_one_hash_do_not_become_a_dict():
    keys = [{"t": list(key)} for key in itertools.product((-1, -2), repeat=12)]  # -1 and -2 have one hash
    for tree in ({"d": [keys, [1] * len(keys)]}, {"s": keys}, {"z": keys}):
        with pytest.raises(wire.BrokenWireError, match="one hash"):
            Decoder([], bytearray(), lambda tree: None).decode(tree)


def test_a_range_that_a_test_could_not_make_a_list_of_does_not_travel():
    assert travelled(range(10**12)) == "handle"
    with pytest.raises(wire.BrokenWireError, match="range"):
        Decoder([], bytearray(), lambda tree: None).decode({"r": [0, 10**12, 1]})


class Equal:
    """What a student may give a class so that every comparison holds."""

    def __eq__(self, other):
        raise AssertionError("code of the student's was run")

    __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __format__ = __bool__ = __len__ = __iter__ = __getitem__ = __eq__
    __reduce__ = __index__ = __float__ = __int__ = __array__ = __contains__ = items = keys = __class_getitem__ = __eq__


def lying(base, *arguments):
    return type("Lying", (Equal, base), {})(*arguments)


class LyingTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        raise AssertionError("code of the student's was run")


class LyingArray(np.ndarray):
    def __array_finalize__(self, other):
        pass

    def __array_ufunc__(self, *inputs, **settings):
        raise AssertionError("code of the student's was run")

    __eq__ = view = __array_ufunc__


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (lying(int, 3), 3),
        (lying(float, 3.5), 3.5),
        (lying(str, "abc"), "abc"),
        (lying(bytes, b"abc"), b"abc"),
        (lying(list, [1, 2]), [1, 2]),
        (lying(tuple, (1, 2)), (1, 2)),
        (lying(dict, {"a": 1}), {"a": 1}),
        (lying(set, {1}), {1}),
        (lying(complex, 1j), 1j),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (Number.ONE, 1),
        (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
        (torch.ones(2).as_subclass(LyingTensor), torch.ones(2)),
        (np.ones(2).view(LyingArray), np.ones(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_arrives_as_its_base(value, wanted):
    assert same(travelled(value), wanted)


def recursive():
    value = []
    value.append(value)
    return value


def doubled():
    value = [1]
    for _ in range(45):
        value = [value, value]
    return value


class Endless(list):
    def __iter__(self):
        while True:
            yield 1

    def __len__(self):
        return 10**9


@pytest.mark.parametrize(
    "value",
    [
        recursive(),
        doubled(),
        [0] * 10**8,
        "x" * (9 << 20),
        1 << (9 << 20),
        iter([1]),
        (n for n in [1]),
        object(),
        print,
        np.array([object()]),
        torch.zeros(1).expand(10**12),
        torch.eye(2).to_sparse(),
        {object(): 1},
        {frozenset({object()})},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_too_much_or_no_value_becomes_a_handle(value):
    assert travelled(value) == "handle"


def test_what_is_in_a_value_and_none_itself_becomes_a_handle():
    assert travelled([1, object(), {"a": print}]) == [1, "handle", {"a": "handle"}]
    assert travelled(Endless([1, 2])) == [1, 2]


def test_too_much_says_what():
    with pytest.raises(TooMuchError, match="parts"):
        Encoder(lambda value: None).encode(doubled())


def test_a_generator_of_random_numbers_travels_by_its_state():
    draw = torch.Generator().manual_seed(5)
    torch.randn(3, generator=draw)
    assert torch.equal(torch.randn(4, generator=travelled(draw)), torch.randn(4, generator=draw))


def test_a_generator_arrives_from_every_state_that_it_can_be_in():
    draw = torch.Generator().manual_seed(5)
    for count in (0, 1, 622, 1, 623, 1, 624, 5):
        torch.randint(0, 9, (count,), generator=draw)
        wanted = torch.Generator()
        wanted.set_state(draw.get_state())
        assert torch.equal(torch.randn(700, generator=travelled(draw)), torch.randn(700, generator=wanted))


@pytest.mark.parametrize(
    ("left", "following"), [(624, 624), (624, 2), (2, 624), (0, 0), (-1, 0), (625, 0), (1, 2**40), (2**31 - 1, 1)]
)
def test_a_generator_that_would_read_beyond_its_numbers_does_not_arrive(left, following):
    """torch's own `set_state` takes most of these, and then draws what lies behind it in memory."""
    state = bytearray(torch.Generator().get_state().numpy().tobytes())
    state[8:12], state[16:24] = struct.pack("<i", left), struct.pack("<Q", following)
    parts = [{"dtype": "uint8", "shape": [len(state)], "data_offsets": [0, len(state)]}]
    with pytest.raises(BrokenWireError, match="generator"):
        Decoder(parts, state, lambda tree: None).decode({"draw": {"T": 0}})
    with pytest.raises(BrokenWireError, match="generator"):
        Decoder(parts, state, lambda tree: None).decode({"draw": 7})


# numpy's own reader of dtypes ends the process for the first two, with a division by nothing.
NO_DTYPES = ["<M8[s/0]", "<m8[D/0]", "<M8[0s]", "<M8[D/25]", "<M8[25s]//7", "<M8[2147483648s]", "<M8[]", "<M8[generic]"]
NO_DTYPES += ["<M8[x]", "<V8", "|O8", "|S", "<i3", "<f8,<f8", "(2,)<f8", "<U\u0663", "i8", "float64", "<c7", "|b2", ""]


@pytest.mark.parametrize("name", NO_DTYPES)
def test_no_dtype_but_the_known_ones_is_handed_to_numpy(name):
    parts = [{"dtype": name, "shape": [1], "data_offsets": [0, 8]}]
    with pytest.raises(BrokenWireError, match="dtype"):
        Decoder(parts, bytearray(8), lambda tree: None).decode({"A": 0})


@pytest.mark.parametrize(
    "name", ["<M8", "<M8[s]", "<M8[25s]", "<m8[ns]", ">m8[as]", "<f2", "<f16", "<c8", "|b1", ">U3", "|S5"]
)
def test_the_dtypes_that_numpy_writes_arrive(name):
    value = np.zeros(2, name)
    assert travelled(value).dtype == value.dtype


def test_arrivals_can_be_written_to_and_pickled():
    for value in (torch.ones(3), np.ones(3)):
        found = travelled(value)
        found += 1
        assert found.tolist() == [2, 2, 2]
        assert pickle.loads(pickle.dumps(found)).tolist() == [2, 2, 2]


def test_fifty_levels_travel():
    value = 1
    for _ in range(50):
        value = (value,)
    assert same(travelled(value), value)
    assert travelled((value,)) == "handle"
