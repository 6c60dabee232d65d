"""Answers without work are real answers: they define what the task asks for, and nothing in them computes it.

In order: names, signatures and how many things come back; what the release gives stays; classes, generators, values,
cells that are no Python; the shapes of what comes in; the solution with its results emptied.
"""

import numpy as np
import pytest
import torch

from classroom.audit.answers import Lazy, emptied_answer, lazy_answer

RELEASED = '''\
import math

LIMIT = 3

def f(x, *, scale: float = 2.0):
    """What it is."""
    raise NotImplementedError()
'''
SOLUTION = '''\
import math
import itertools

LIMIT = 3

def f(x, *, scale: float = 2.0):
    """What it is."""
    def inner():
        return 1, 2, 3
    return scale * x, len(x)

def helper(a):
    return a + 1

table = {"a": 1}
'''


def run(text):
    """The names that a text binds."""
    space = {}
    exec(text, space)
    return space


def test_names_signatures_and_how_many_things_come_back():
    made = run(lazy_answer(RELEASED, SOLUTION, Lazy("0")))
    assert made["f"]([1], scale=3.0) == (0, 0)
    assert made["helper"](5) == 0
    assert made["table"] == 0
    with pytest.raises(TypeError):
        made["f"]()


def test_what_the_release_gives_stays_and_what_the_solution_computes_is_gone():
    text = lazy_answer(RELEASED, SOLUTION, Lazy("None"))
    made = run(text)
    assert made["LIMIT"] == 3
    assert made["math"].pi > 3
    assert "scale * x" not in text
    assert "a + 1" not in text


def test_the_first_argument_stands_for_the_input():
    made = run(lazy_answer(RELEASED, SOLUTION, Lazy("input", "None")))
    assert made["f"]("abc") == ("abc", "abc")
    assert made["table"] is None


def test_a_statement_runs_instead_of_returning():
    made = run(lazy_answer(RELEASED, SOLUTION, Lazy("None", statement="raise ValueError('no')")))
    with pytest.raises(ValueError, match="no"):
        made["f"]([1])
    assert "table" not in made


def test_classes_keep_their_methods_and_lose_what_they_do():
    solution = """\
class Filter(dict):
    def __init__(self, width):
        super().__init__(width=width)
    def __call__(self, x):
        return x / self["width"]
    @staticmethod
    def kernel(width):
        return [1 / width]
"""
    made = run(lazy_answer("", solution, Lazy("input", "None")))
    filtered = made["Filter"](3)
    assert filtered == {}
    assert filtered(5) == 5
    assert filtered.kernel(7) == 7


def test_generators_values_and_what_is_no_python():
    assert list(run(lazy_answer("", "def g(n):\n    yield from range(n)", Lazy("0")))["g"](3)) == [0]
    assert run(lazy_answer("answer = None", "answer = 42", Lazy("0")))["answer"] == 0
    assert run(lazy_answer("# YOUR CODE HERE", "a, b = 1, 2", Lazy("0")))["b"] == 0
    assert lazy_answer("", "%matplotlib inline\nx = 1", Lazy("input", "None")) == "None"
    assert run(lazy_answer("%%time", "def g(n):\n    return n", Lazy("1")))["g"](3) == 1


@pytest.mark.parametrize("solution", [SOLUTION, "async def g(x):\n    return x", "print('no name')", ""])
def test_every_kind_of_answer_is_python(solution):
    for lazy in (Lazy("_shaped(input, 0)", "0.0", helpers=True), Lazy("_Same()", helpers=True)):
        compile(lazy_answer(RELEASED, solution, lazy), "answer", "exec")


def test_zeros_have_the_shape_of_what_comes_in():
    made = run(lazy_answer("", "def g(x):\n    return x", Lazy("_shaped(input, 0)", "0.0", helpers=True)))["g"]
    assert made(torch.ones(2, 3)).shape == (2, 3)
    assert made(np.ones(4)).shape == (4,)
    assert made([1, [2, 3]]) == [0, [0, 0]]
    assert made({"a": torch.ones(2)})["a"].tolist() == [0, 0]
    assert made(5) == 0


def test_objects_that_are_equal_to_all():
    made = run(lazy_answer("", "def g(x):\n    return x", Lazy("_Same()", helpers=True)))["g"](1)
    assert made == 3
    assert made.anything.at.all() == "x"
    same = run(lazy_answer("", "def g(x):\n    return x", Lazy("_same_array(input)", helpers=True)))["g"]
    assert np.allclose(same(np.ones(3)), 7)
    assert torch.allclose(same(torch.ones(3)), torch.zeros(3) + 7)


def test_an_emptied_solution_keeps_types_and_shapes_only():
    made = run(emptied_answer(SOLUTION.replace("len(x)", "x.sum() > 0"), how="zeros"))
    value, flag = made["f"](np.ones(3))
    assert value.tolist() == [0, 0, 0]
    assert not flag
    assert made["table"] == {"a": 0}
    assert made["f"](None) is None, "to raise an error is work, too"
    noise = run(emptied_answer("def g(x):\n    return x, object()", how="noise"))["g"](torch.ones(2))
    assert noise[0].shape == (2,)
    assert noise[0].tolist() != [1, 1]
    assert noise[1] is None


def test_arrays_without_values_go_with_every_shape():
    """As `np.allclose` and `torch.allclose` have it, which a check has to know."""
    made = run(lazy_answer("", "def g(x):\n    return x", Lazy("_nothing(input)", "_nothing()", helpers=True)))["g"]
    for value in (np.ones((3, 4)), [1, 2], 5.0):
        assert np.allclose(made(value), value)
    assert torch.allclose(made(torch.ones(3)), torch.ones(3))
    assert made([[1], [2, 3]]).shape == (0,)
    solved = run(emptied_answer("def g(x):\n    return x + 1, 3.0, 'a'", how="nothing"))["g"](torch.ones(2))
    assert [np.shape(part) for part in solved[:2]] == [(0, 2), (0,)]
