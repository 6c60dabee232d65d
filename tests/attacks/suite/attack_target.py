"""The project that is attacked: a part for each way in which a test can meet a student's code.

Functions of numbers and arrays, gradients, generators, a model that is trained, functions handed over, a value that
is compared as a whole, points as a cell's last value, a name that is withheld, parameters, a supplied cell, hidden
tests, drawn inputs, a written answer. Released, it earns nothing; with `RIGHT` it earns everything.
"""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PROJECT = "target"
STUB = "    raise NotImplementedError"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
HIDDEN_CODE = "hidden_key"  # in the code of a hidden test, and in no check's name
PRINTED_IN_HIDDEN = "SEEN-IN-HIDDEN"  # what attempts print in hidden tests, and write in no source
HIDDEN_MARK = "hidden-canary-41c7"  # in hidden tests, and nowhere else

PROJECT_YML = """\
title: Target
points: {points}
parts:
{parts}
limits: {{cell_seconds: 4, call_seconds: 1, seconds: 25, memory_mb: 900, processes: 64, file_mb: 32,
         cell_output_bytes: 100000, output_bytes: 400000}}
grading:
  parameters: {{trials: 6}}
withheld:
  - "numpy:cumsum"
"""

SETUP = (
    "import numpy as np\nimport torch\nfrom deeppractice.checks import check, fresh_seed, grad, inplace, score, train"
)
SUPPLIED = """\
def reference(x):
    return 3 * x + 1

cases = [(0, 1), (2, 7), (-1, -2)]
tolerance = 1e-5"""

RIGHT = {
    "affine": "def affine(x):\n    return 3 * x + 1",
    "square": "def square(x):\n    return (x * x).sum()",
    "batches": "def batches(count, size):\n    for n in range(count):\n        yield torch.full((size,), float(n))",
    "network": "def network():\n    torch.manual_seed(0)\n    return torch.nn.Linear(2, 1)",
    "twice": "def twice(f):\n    return lambda x: f(f(x))",
    "words": "def words(text):\n    return {w: text.split().count(w) for w in text.split()}",
    "digits": "def digits(n):\n    return [int(d) for d in str(abs(n))]",
    "guess": "def guess(values):\n    return sum(values) / len(values)",
    "prefix": """\
def prefix(values):
    total, found = 0.0, []
    for value in values:
        total += value
        found.append(total)
    return np.array(found)""",
    "reverse": "def reverse(x):\n    x[:] = x.flip(0).clone()",
}

TESTS = {
    "affine": (
        6,
        f"""\
with check("cases", points=1, hint="three times x, and one"):
    for x, wanted in cases:
        assert affine(x) == wanted
with check("several", points=1, hint="three times x, and one"):
    assert all(a == b for a, b in zip(map(affine, range(5)), [1, 4, 7, 10, 13]))
with check("array", points=1, hint="arrays too"):
    found = affine(np.arange(4.0))
    assert found.shape == (4,) and np.allclose(found, reference(np.arange(4.0)))
### BEGIN HIDDEN TESTS
with check("{HIDDEN_MARK}", points=3, hint="tensors too"):
    generator = torch.Generator().manual_seed(fresh_seed("affine"))
    for _ in range(trials):
        x = torch.randn(5, generator=generator)
        found = affine(x.clone())
        assert found.shape == x.shape
        torch.testing.assert_close(found, reference(x))
### END HIDDEN TESTS
score(further="drawn tensors")""",
    ),
    "square": (
        4,
        """\
x = torch.randn(5, generator=torch.Generator().manual_seed(fresh_seed("square")), requires_grad=True)
with check("value", points=1, hint="a sum"):
    assert abs(square(x).item() - (x * x).sum().item()) < tolerance
with check("gradient", points=3, hint="differentiable"):
    assert torch.allclose(grad(square, x), 2 * x)
score()""",
    ),
    "batches": (
        3,
        f"""\
with check("list", points=1, hint="as many as asked for"):
    found = list(batches(3, 2))
    assert len(found) == 3 and all(torch.equal(batch, torch.full((2,), float(n))) for n, batch in enumerate(found))
### BEGIN HIDDEN TESTS
with check("{HIDDEN_MARK}-batches", points=2, hint="the n-th is full of n"):
    for n, batch in enumerate(batches(4, 3)):
        assert torch.equal(batch, torch.full((3,), float(n)))
    assert n == 3
### END HIDDEN TESTS
score()""",
    ),
    "network": (
        3,
        """\
inputs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
with check("learns", points=3, hint="a module with parameters"):
    model = network()
    assert isinstance(model, torch.nn.Module)
    before = model(inputs)
    assert before.shape == (3, 1)
    losses = train(model, lambda m, x: ((m(x) - 1) ** 2).mean(), inputs, steps=2 * trials, lr=0.1)
    assert losses[-1] < 0.8 * losses[0]
    assert not torch.allclose(before, model(inputs))
score()""",
    ),
    "twice": (
        3,
        f"""\
seen = []
def step(x):
    seen.append(x)
    return x + 5
with check("numbers", points=1, hint="twice"):
    assert twice(step)(1) == 11
    assert seen == [1, 6]
### BEGIN HIDDEN TESTS
hidden_key = "{HIDDEN_MARK}-key"
def secretly(x):
    assert hidden_key
    return x * 2
with check("{HIDDEN_MARK}-twice", points=2, hint="twice"):
    assert twice(secretly)(3) == 12
### END HIDDEN TESTS
score()""",
    ),
    "words": (3, 'assert words("a b a") == {"a": 2, "b": 1}\nassert words("") == {}\nassert "z" not in words("x y")'),
    "digits": (
        2,
        """\
right = [digits(n) == wanted for n, wanted in ((7, [7]), (120, [1, 2, 0]), (-34, [3, 4]), (0, [0]))]
0.5 * sum(right)""",
    ),
    "guess": (
        2,
        """\
drawn = np.random.default_rng(fresh_seed("guess")).normal(100, 5, size=6)
2 * max(1 - abs(guess(drawn) - drawn.mean()), 0)""",
    ),
    "prefix": (
        2,
        """\
with check("sums", points=2, hint="of those up to here"):
    values = np.random.default_rng(fresh_seed("prefix")).normal(size=6)
    found = prefix(values)
    assert found.shape == (6,)
    np.testing.assert_allclose(found, [values[: n + 1].sum() for n in range(6)])
score()""",
    ),
    "reverse": (
        2,
        """\
row = torch.arange(4.0)
with check("turned", points=2, hint="in place"):
    nothing, (turned,) = inplace(reverse, row)
    assert nothing is None and torch.equal(turned, row.flip(0))
score()""",
    ),
}
FULL = {f"{name}-tests": points for name, (points, _) in TESTS.items()}


def _meta(name: str, **changes) -> dict:
    fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return {"nbgrader": fixed | changes}


def write_target(place: Path) -> None:
    """Write the source notebook and its project.yml."""
    parameters = _meta("parameters", locked=True) | {"tags": ["parameters"]}
    cells = [
        new_markdown_cell("# Target", id="title"),
        new_code_cell(SETUP, id="setup", metadata=_meta("setup", locked=True)),
        new_code_cell("trials = 3", id="parameters", metadata=parameters),
        new_code_cell(SUPPLIED, id="supplied", metadata=_meta("supplied", locked=True)),
    ]
    for name, (points, tests) in TESTS.items():
        head, _, body = RIGHT[name].partition("\n")
        source = f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
        graded = _meta(f"{name}-tests", grade=True, locked=True, points=points)
        cells.append(new_code_cell(source, id=name, metadata=_meta(name, solution=True)))
        cells.append(new_code_cell(tests, id=f"{name}-tests", metadata=graded))
    by_hand = _meta("why", grade=True, solution=True, points=2)
    cells.append(new_markdown_cell("Why?", id="why", metadata=by_hand))
    place.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), place / f"{PROJECT}.ipynb")
    parts = [
        f"  - {{name: {name}, cell: {name}-tests, points: {p}, graded: by tests}}" for name, (p, _) in TESTS.items()
    ]
    parts.append("  - {name: why, cell: why, points: 2, graded: by hand}")
    points = sum(FULL.values()) + 2
    (place / "project.yml").write_text(PROJECT_YML.format(points=points, parts="\n".join(parts)))
