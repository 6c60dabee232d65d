"""Handles, exceptions, gradients and the helpers of `deeppractice.checks`, through a student's process."""

from classroom.sandbox.examination import said

MODEL = """
import torch
from torch import nn
torch.manual_seed(3)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    def forward(self, x):
        return self.layers(x)
model = Net()
"""


def test_a_function_is_called_with_values_and_returns_values(verdict):
    reply = verdict(
        "def add(a, b=2):\n    print('adding')\n    return [a + b, {'x': (a, b)}]",
        "import inspect\nassert add(1) == [3, {'x': (1, 2)}] and add(1, b=5)[0] == 6\n"
        "assert str(inspect.signature(add)) == '(a, b=2)' and add.__name__ == 'add' and callable(add)",
        "add",
    )
    assert reply["student"] == "alive"
    assert said(reply["said"]) == "adding\nadding\n"


def test_after_an_examination_the_session_goes_on(pair, verdict):
    verdict("x = 3\ndef f(): return x", "assert x == 3 and f() == 3", "x", "f")
    verdict("x = 4", "assert x == 4 and f() == 4", "x", "f")
    assert pair.run("print(x)")["outputs"][0]["text"] == "4\n"


def test_a_handle_has_no_truth_value_no_order_no_equality_and_no_hash(verdict):
    verdict(
        "class Thing:\n    __eq__ = __lt__ = lambda s, o: True\n    __hash__ = None\nthing = Thing()",
        "for wrong in (bool, hash, lambda t: t == 1, lambda t: t != 1, lambda t: t < 1, lambda t: 1 == t, float):\n"
        "    try:\n        wrong(thing)\n    except TypeError as error:\n        continue\n"
        '    raise AssertionError(wrong)\nassert thing is thing and repr(thing) == "<the student\'s Thing>"',
        "thing",
    )


def test_methods_attributes_items_iteration_and_contexts(verdict):
    verdict(
        "class Box:\n"
        "    def __init__(self): self.items, self.log = [1, 2, 3], []\n"
        "    def __getitem__(self, n): return self.items[n]\n"
        "    def __setitem__(self, n, v): self.items[n] = v\n"
        "    def __len__(self): return len(self.items)\n"
        "    def __iter__(self):\n        for item in self.items: yield item\n"
        "    def __enter__(self): self.log.append('in'); return self\n"
        "    def __exit__(self, kind, error, trace): self.log.append(str(error)); return True\n"
        "    def more(self, by): return Box, [i + by for i in self.items]\n"
        "box = Box()",
        "assert box[0] == 1 and len(box) == 3 and list(box) == [1, 2, 3] and box.more(1)[1] == [2, 3, 4]\n"
        "box[0] = 7\nbox.name = 'b'\nassert box[0] == 7 and box.name == 'b' and not hasattr(box, 'nothing')\n"
        "with box as same:\n    assert same is box\n    raise ValueError('x')\n"
        "assert box.log == ['in', 'ValueError: x'], box.log\n"
        "other = box.more(0)[0]()\nassert list(other) == [1, 2, 3]\n"
        "try:\n    box[9]\nexcept IndexError as error:\n    assert 'range' in str(error)\n"
        "else:\n    raise AssertionError",
        "box",
    )


def test_exceptions_keep_their_builtin_kind_and_a_short_text(verdict):
    verdict(
        "class Mine(ValueError):\n    def __str__(self): raise RuntimeError\n"
        "def a(): raise Mine\ndef b(): raise KeyError('k')\ndef c(): raise SystemExit(3)\n"
        "def d(): raise OSError('x' * 10**6)\ndef e(): return b''.fromhex('zz')\ndef f(): raise BaseException('no')",
        "for call, kind in ((a, ValueError), (b, KeyError), (b, LookupError), (d, OSError), (e, ValueError)):\n"
        "    try:\n        call()\n    except kind as error:\n        assert len(str(error)) <= 2000\n"
        "    else:\n        raise AssertionError\n"
        "for call in (c, f):\n    try:\n        call()\n    except Exception as error:\n"
        "        assert type(error).__name__ in ('SystemExit', 'BaseException')\n"
        "    else:\n        raise AssertionError",
        *"abcdef",
    )


def test_a_stop_iteration_of_the_students_ends_no_loop_of_the_tests(verdict):
    verdict(
        "def f(x): raise StopIteration\nclass End(StopIteration, ValueError): pass\ndef g(x): raise End",
        "for call, kind in ((f, Exception), (g, ValueError)):\n"
        "    try:\n        assert all(a == b for a, b in zip(map(call, [1, 2]), [3, 4]))\n"
        "    except kind as error:\n        assert not isinstance(error, StopIteration)\n"
        "    else:\n        raise AssertionError('nothing was compared')",
        *"fg",
    )


def test_claims_of_a_class_are_those_of_public_modules(verdict):
    verdict(
        MODEL + "class Liar:\n    __class__ = float\nliar = Liar()",
        "from torch import nn\nassert isinstance(model, nn.Module) and not isinstance(model, nn.Linear)\n"
        "assert not isinstance(liar, (int, float, str)), liar.__class__",
        "model",
        "liar",
    )


def test_gradients_go_through_a_call_as_through_a_local_function(verdict):
    function = (
        "def f(a, b, c):\n    return (a.sin() * b).sum(0) + b.square().sum(0), (a * 2).detach()\n"
        "def identity(x): return x\n"
    )
    verdict(
        "import torch\n" + function,
        "import torch\nfrom deeppractice.checks import grad, jacobian\ntheirs, same = f, identity\n"
        + function
        + "ours = f\n"
        "draw = torch.Generator().manual_seed(0)\n"
        "a, b, c = (torch.randn(3, 2, generator=draw, dtype=torch.float64) for _ in range(3))\n"
        "scalar = lambda g: lambda a, b, c: g(a, b, c)[0].pow(2).sum()\n"
        "for x, y in zip(grad(scalar(theirs), a, b, c), grad(scalar(ours), a, b, c), strict=True):\n"
        "    assert torch.equal(x, y), (x, y)\n"
        "one = lambda g: lambda a, b: g(a, b, c)[0]\n"
        "for x, y in zip(jacobian(one(theirs), a, b), jacobian(one(ours), a, b), strict=True):\n"
        "    assert torch.equal(x, y), (x, y)\n"
        "a.requires_grad_()\nb.requires_grad_()\n"
        "assert torch.autograd.gradcheck(lambda a, b: theirs(a, b, c)[0], (a, b))\n"
        "assert not theirs(a, b, c)[1].requires_grad and torch.equal(same(a), a)\n"
        "assert torch.equal(grad(lambda x: same(x).sum(), a.detach()), torch.ones_like(a))\n"
        "with torch.no_grad():\n    assert not theirs(a, b, c)[0].requires_grad",
        "f",
        "identity",
    )


def test_a_gradient_reaches_the_students_own_parameters(verdict):
    verdict(
        MODEL,
        MODEL.replace("model =", "ours =") + "from deeppractice.checks import grad, parameters\n"
        "x = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))\n"
        "for each in (ours, model):\n    each(x).square().mean().backward()\n"
        "for there, here in zip(model.parameters(), ours.parameters(), strict=True):\n"
        "    assert torch.equal(there, here) and torch.equal(there.grad, here.grad)\n"
        "grad(lambda x: model(x).sum(), x)\n"
        "for there, here in zip(model.parameters(), ours.parameters(), strict=True):\n"
        "    assert torch.equal(there.grad, here.grad), 'autograd.grad accumulates nothing'\n"
        "assert set(parameters(model)) == set(parameters(ours))",
        "model",
    )


def test_training_is_the_same_to_the_last_bit(verdict):
    verdict(
        MODEL,
        MODEL.replace("model =", "ours =") + "from deeppractice.checks import parameters, train\n"
        "x = torch.randn(16, 2, generator=torch.Generator().manual_seed(1))\n"
        "loss = lambda model, x: (model(x) - x.sum(1, keepdim=True)).square().mean()\n"
        "assert train(model, loss, x, steps=30) == train(ours, loss, x, steps=30)\n"
        "a, b = parameters(model), parameters(ours)\nassert all(torch.equal(a[n], b[n]) for n in b)",
        "model",
    )


def test_seed_inplace_build_and_fresh_seed(verdict):
    source = (
        "import torch\nfrom deeppractice.checks import build, fresh_seed, inplace, seed\n"
        "seed(4)\nfirst = draw()\nseed(4)\nassert torch.equal(first, draw())\n"
        "x = torch.zeros(3)\nfound, (left,) = inplace(double, x, by=1)\n"
        "assert found is None and left.tolist() == [1, 1, 1] and x.tolist() == [0, 0, 0]\n"
        "made = build('deeppractice.architectures:MLP', sizes=[2, 8, 1])\nassert count(made) == 4, count(made)\n"
        "assert tuple(made(torch.zeros(5, 2)).shape) == (5, 1)\nprint(fresh_seed('a'), fresh_seed('b'))\n"
    )
    student = (
        "import torch\ndef draw(): return torch.randn(3)\ndef double(x, *, by): x += by\n"
        "def count(model): return len(list(model.parameters()))"
    )
    first = verdict(student, source, "draw", "double", "count")
    again = verdict(student, source, "draw", "double", "count")
    other = verdict(student, source, "draw", "double", "count", seed=6)
    assert first["outputs"] == again["outputs"] != other["outputs"]


def test_patch_replaces_on_both_sides_and_restores_after_an_error(pair, verdict):
    verdict(
        "def kl(x): return x\ndef twice(x): return 2 * kl(x)\ndef other(x): return 100 * x",
        "from deeppractice.checks import patch\n"
        "def reference(x):\n    return x + 10\n"
        "with patch(kl=reference):\n    assert twice(1) == 22 and kl(1) == 11\n"
        "assert twice(1) == 2 and kl(1) == 1\n"
        "try:\n    with patch(kl=other):\n        assert twice(1) == 200\n        raise ValueError\n"
        "except ValueError:\n"
        "    assert twice(1) == 2\nelse:\n    raise AssertionError\n"
        "try:\n    with patch(nothing=1):\n        pass\n"
        "except NameError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    raise AssertionError",
        "kl",
        "twice",
        "other",
    )
    assert pair.run("assert twice(1) == 2")["status"] == "ok"


def test_callbacks_their_errors_and_public_functions(verdict):
    verdict(
        "def apply(f, x):\n    try:\n        return f(x)\n"
        "    except ValueError as error:\n        return 'caught ' + str(error)\n",
        "import math\ndef bad(x):\n    raise ValueError('no ' + str(x))\n"
        "assert apply(lambda x: x + 1, 1) == 2 and apply(bad, 3) == 'caught no 3' and apply(math.sqrt, 4.0) == 2.0\n"
        "assert apply(lambda x: apply(lambda y: y * 2, x) + 1, 5) == 11",
        "apply",
    )


def test_a_handle_lives_on_in_later_test_cells(pair, verdict):
    verdict("class M:\n    n = 5\ndef make(): return M()", "model = make()\nassert model.n == 5", "make")
    assert pair.examine("assert model.n == 5 and make().n == 5")["status"] == "ok"


def test_a_reference_is_out_of_reach_after_its_patch(pair, verdict):
    pair.run("kept = []\ndef kl(x): return 0\ndef elbo(x):\n    kept.append(kl)\n    return kl(x)")
    pair.run("def sneaky(x): return kept[0](x)")
    verdict(
        "pass",
        "from deeppractice.checks import patch\nwith patch(kl=lambda x: 2 * x):\n    assert elbo(4) == 8\n"
        "try:\n    sneaky(4)\nexcept RuntimeError as error:\n    assert 'is over' in str(error)\n"
        "else:\n    raise AssertionError",
        "elbo",
        "sneaky",
    )


def test_a_name_that_the_test_deletes_or_binds_anew_is_so_for_the_students_code(pair, verdict):
    student = "def square(x): return x * x\nn = 2\ndef total(): return square(n)"
    verdict(student, "", "total")
    source = (
        "kept = square\ndel square\n"
        "try:\n    total()\nexcept NameError as error:\n    assert 'square' in str(error)\n"
        "else:\n    raise AssertionError('it squares by itself')\n"
        "n = 3\nsquare = lambda x: -x\nassert total() == -3\n"
        "with patch(square=abs):\n    assert total() == 3\nassert total() == -3\n"
        "square = kept\nassert total() == 9\nn = object()\n"
        "try:\n    total()\nexcept NameError:\n    n = 5\nassert total() == 25\n"
    )
    reply = pair.examine(
        "from deeppractice.checks import patch\n" + source, ["square", "total"], rebinds=["n", "square"]
    )
    assert reply["status"] == "ok", reply["outputs"]
    assert pair.run("print(square is total.__globals__['square'], n, square(n))")["outputs"][0]["text"] == "True 5 25\n"


def test_what_a_test_binds_to_a_students_name_is_there_for_the_next_test(pair, verdict):
    verdict("def f(): return thing\nthing = 1", "", "f")
    assert pair.examine("thing = object()", ["f"], rebinds=["thing"])["status"] == "ok"
    assert pair.examine("assert type(thing) is object", ["f", "thing"])["status"] == "ok"
    assert pair.run("f()")["outputs"][0]["ename"] == "NameError"
    pair.run("thing = 4")
    assert pair.examine("assert thing == f() == 4", ["f", "thing"])["status"] == "ok"
    assert pair.examine("del thing", ["f", "thing"], rebinds=["thing"])["status"] == "ok"
    assert pair.examine("thing", ["f", "thing"])["outputs"][0]["ename"] == "NameError"


def test_a_function_of_a_test_that_is_over_says_so(pair, verdict):
    verdict("def keep(f):\n    global kept\n    kept = f", "keep(lambda: 1)", "keep")
    (output,) = pair.run("kept()")["outputs"]
    assert output["evalue"] == "the test cell whose function this was is over"
    assert pair.run("1 + 1")["status"] == "ok"
