"""The project that the differential test grades, and what its students may hand in.

It has one cell of each kind that nbgrader knows: answers without points, tests with hidden lines, partial credit, a
value that cannot be read as credit, written answers, an answer in code that a person grades, a task, and a file of
data. A student answers each part in one of many `WAYS`: what students do in notebooks, as far as it is honest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import nbformat
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.simulate.mutations import MUTATIONS

PROJECT = "mixed"
BEGIN, END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION"

SOLUTIONS = {
    "mean": """\
def mean(values):
    if len(values) == 0:
        raise ValueError("no values")
    total = 0
    for value in values:
        total = total + value
    return total / len(values)""",
    "digits": """\
def digits(n):
    found = []
    for letter in str(abs(n)):
        found.append(int(letter))
    return found""",
    "table": """\
def table(n):
    rows = np.arange(1, n + 1)
    return rows[:, None] * rows[None, :]""",
    "load": """\
def load(path):
    with open(path) as file:
        lines = file.read().split()
    return [float(line) for line in lines[1:]]""",
}
TESTS = {
    "mean": """\
assert mean([1, 2, 3]) == 2
assert mean([5]) == 5
### BEGIN HIDDEN TESTS
assert mean([0.5, 1.5]) == 1
try:
    mean([])
except ValueError:
    pass
else:
    raise AssertionError("an empty list has no mean")
### END HIDDEN TESTS""",
    # Partial credit: the last value is the number of points.
    "digits": """\
right = [digits(n) == wanted for n, wanted in ((7, [7]), (120, [1, 2, 0]), (-34, [3, 4]), (0, [0]))]
0.5 * sum(right)""",
    # A text is no number: full points, whatever it says. (A number of numpy's, too, to nbgrader; not to the examiner.)
    "table": """\
print("the table of three:", table(3).tolist())
assert table(3).shape == (3, 3)
'the last number: ' + str(table(4)[3, 3])""",
    "load": """\
values = load("numbers.csv")
assert len(values) == 3, f"expected 3 values, got {len(values)}"
### BEGIN HIDDEN TESTS
assert sum(values) == 6.5
### END HIDDEN TESTS""",
}
POINTS = {"mean": 3, "digits": 2, "table": 2, "load": 1}
DATA = "value\n1\n2\n3.5\n"


def _meta(name: str, **changes) -> dict:
    fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return {"nbgrader": fixed | changes}


def write_source(place: Path) -> None:
    """Write the source notebook and its data."""
    cells = [
        new_markdown_cell("# Mixed\n\nOne cell of each kind.", id="title"),
        new_code_cell("import numpy as np", id="setup", metadata=_meta("setup", locked=True)),
    ]
    for name, solution in SOLUTIONS.items():
        head, _, body = solution.partition("\n")
        source = f"{head}\n{BEGIN}{body}\n{END}"
        tests = _meta(f"{name}-tests", grade=True, locked=True, points=POINTS[name])
        cells.append(new_code_cell(source, id=name, metadata=_meta(name, solution=True)))
        cells.append(new_code_cell(TESTS[name], id=f"{name}-tests", metadata=tests))
    by_hand = {"grade": True, "solution": True}
    cells += [
        new_code_cell("# Draw something.", id="picture", metadata=_meta("picture", **by_hand, points=2)),
        new_markdown_cell("Why is it so?", id="why", metadata=_meta("why", **by_hand, points=1)),
        new_markdown_cell("Add cells below.", id="task", metadata=_meta("task", task=True, locked=True, points=2)),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    place.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), place / f"{PROJECT}.ipynb")
    (place / "numbers.csv").write_text(DATA)


# Ways to answer; {solution} is the right answer, {name} the function, {head} its first line.
WAYS = {
    "solution": "{solution}",
    "prints": "print('here')\n{solution}\nprint({name})",
    "prints inside": "{head}\n    print('called', flush=True)\n    return right(ARGUMENT)",
    "stderr outside": "import sys\nprint('a warning of mine', file=sys.stderr)\n{solution}",
    "raises": "{head}\n    raise KeyError('no such thing')",
    "raises at once": "{solution}\nraise RuntimeError('stop here')",
    "exits": "import sys\n{head}\n    sys.exit(0)",
    "exits at once": "import sys\n{solution}\nsys.exit()",
    "interrupts": "{head}\n    raise KeyboardInterrupt",
    "odd error": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError('no words')\n\n\n{head}\n    raise Odd"
    ),
    "recursion": "{head}\n    return {name}(ARGUMENT)",
    "asks": "{head}\n    return input('what? ')",
    "constant": "{head}\n    return 2",
    "none": "{head}\n    pass",
    "string": "{head}\n    return '2'",
    "not a number": "{head}\n    return float('nan')",
    "generator": "{head}\n    yield right(ARGUMENT)",
    "lambda": "{solution}\nkept = {name}\n{name} = lambda *given: kept(*given)",
    "decorated": (
        "from functools import lru_cache, wraps\n{solution}\nkept = {name}\n\n\n@wraps(kept)\n"
        "def {name}(*given):\n    return kept(*given)"
    ),
    "class": (
        "{solution}\nkept = {name}\n\n\nclass Callable:\n    def __call__(self, *given):\n"
        "        return kept(*given)\n\n\n{name} = Callable()"
    ),
    "not called so": "{renamed}",
    "displays": "{solution}\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>'), display_id='one')\n6 * 7",
    "displays inside": "from IPython.display import display\n{head}\n    display({{1: 2}})\n    return right(ARGUMENT)",
    "magics": "%matplotlib inline\n{solution}\n%time 1 + 1\n!echo from a shell\nlist?",
    "cell magic": "%%time\n{solution}",
    "captured": "%%capture said\n{solution}\nprint('unseen')",
    "no such magic": "{solution}\n%no_such_magic",
    "awaits": "import asyncio\nawait asyncio.sleep(0)\n{solution}",
    "main": "{solution}\nif __name__ == '__main__':\n    print(get_ipython().__class__.__mro__[1].__name__)",
    "last value": "{solution}\n_ = None",
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\n{head}\n    with ThreadPoolExecutor(2) as pool:\n"
        "        return pool.submit(right, ARGUMENT).result()"
    ),
    "processes": (
        "import multiprocessing\n{head}\n    with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "        return pool.apply(right, (ARGUMENT,))"
    ),
    "subprocess": "import subprocess, sys\n{solution}\nsubprocess.run([sys.executable, '-c', 'print(1)'], check=True)",
    "files": (
        "import os\n{solution}\nwith open('scratch.txt', 'w') as file:\n    file.write('x' * 1000)\n"
        "assert os.path.getsize('scratch.txt') == 1000"
    ),
    "no such module": "import no_such_module\n{solution}",
    "no such module, caught": "try:\n    import no_such_module\nexcept ImportError:\n    pass\n{solution}",
    "star import": "from math import *\n{solution}",
    "plot": "import matplotlib.pyplot as plt\n{solution}\nplt.plot([1, 2])\nplt.show()",
    "plot inside": "import matplotlib.pyplot as plt\n{head}\n    plt.plot([1, 2])\n    return right(ARGUMENT)",
    "deleted": "{solution}\ndel {name}",
    "progress": "{solution}\nfor i in range(3):\n    print(i, end='\\r')",
    "much output": "{solution}\nfor i in range(2000):\n    print('line', i, 'of some length, so that it adds up')",
    "other letters": "{solution}\nπ = 3.14159  # ∑ 🎲\nprint('naïve', π)",
    "tabs": "if True:\n\tanswer = 1\n{solution}",
    "a mix of indents": "{solution}\nif True:\n\tx = 1\n        y = 2",
    "empty": "",
    "only a comment": "# I ran out of time",
    "unterminated": "{head}\n    return '2",
    "an escape": "{solution}\nx = '\\0'",
}
# Cells that students add, before or after an answer.
OWN = {
    "a look": "print('so far so good')",
    "a value": "6 * 7",
    "the last value": "print(_)",
    "an error": "1 / 0",
    "an import": "import json, os",
    "a plot": "import matplotlib.pyplot as plt\nplt.hist([1, 2, 2])",
    "a seed": "np.random.seed(1)\nnp.random.rand()",
    "a name in use": "right = values = None",
    "stderr": "import sys\nsys.stderr.write('to look at')",
    "raised warnings": "import warnings\nwarnings.simplefilter('error')",
    "a loop": "for i in range(3):\n    i",
    "a shell": "!ls",
    "the parts": "print(sorted(name for name in globals() if name in ('mean', 'digits', 'table', 'load')))",
    "empty": "",
}
PICTURES = [None, "# Draw something.", "import matplotlib.pyplot as plt\nplt.plot([1, 3])", "1 / 0", "x = 2"]
REASONS = [None, "Why is it so?\n", "Because.", "", "*Because* $x^2$\n\n![a](b.png)"]  # None: as released


@dataclass(frozen=True)
class HandedIn:
    """One submission: the text of each answer, extra cells with their place, and hours after the due date."""

    answers: tuple[tuple[str, str], ...]  # grade_id and text
    own: tuple[tuple[str, bool, str, str], ...]  # grade_id, whether after it, cell type, text
    hours: float
    words: str  # what it consists of, for whoever reads a difference

    def write(self, release: Path, place: Path, due: datetime) -> None:
        """Write the notebook, the data and the time."""
        notebook = nbformat.read(release / f"{PROJECT}.ipynb", as_version=4)
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
        for name, text in self.answers:
            cells[name].source = text
        for number, (name, after, cell_type, text) in enumerate(self.own):
            new = new_code_cell if cell_type == "code" else new_markdown_cell
            notebook.cells.insert(notebook.cells.index(cells[name]) + after, new(text, id=f"own-{number}"))
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{PROJECT}.ipynb")
        (place / "numbers.csv").write_text(DATA)
        (place / "timestamp.txt").write_text(f"{due + timedelta(hours=self.hours):%Y-%m-%d %H:%M:%S} UTC\n")


def answer(name: str, way: str, chance: int = 0) -> str:
    """The text of an answer: one of WAYS, or a mutation of the solution."""
    solution = SOLUTIONS[name]
    head, _, _ = solution.partition("\n")
    argument = head.partition("(")[2].removesuffix("):")
    if way in MUTATIONS:
        return MUTATIONS[way](solution, Random(chance)) or solution
    text = WAYS[way].format(
        solution=solution, name=name, head=head, renamed=solution.replace(f"def {name}", f"def my_{name}")
    )
    if "right(" in text or "right," in text:
        text = f"{solution}\n\n\nright = {name}\n\n\n{text.replace('ARGUMENT', argument)}"
        # Each part keeps the right function under a name of its own.
        text = text.replace("right", f"right_{name}")
    return text.replace("ARGUMENT", argument)


# Two that are there in any case: everything right, and three right cases of four in the part with partial credit.
ALL_RIGHT = HandedIn((*SOLUTIONS.items(), ("picture", "x = 1"), ("why", "Because.")), (), -24, "everything right")
PARTLY = HandedIn(
    (("digits", "def digits(n):\n    return [int(letter) for letter in str(n) if letter != '-'] if n else []"),),
    (),
    30,
    "three of four cases",
)


@st.composite
def a_class(draw: st.DrawFn, number: int = 20) -> list[HandedIn]:
    """A class: the ways are dealt like cards, so that each is there in one part or another."""
    known = ["unanswered", *WAYS, *MUTATIONS]
    deck: list[str] = []
    while len(deck) < number * len(SOLUTIONS):
        deck += draw(st.permutations(known))
    deck = deck[: number * len(SOLUTIONS)]
    return [_handed_in(draw, dict(zip(SOLUTIONS, deck[i::number], strict=False))) for i in range(number)]


def _handed_in(draw: st.DrawFn, ways: dict[str, str]) -> HandedIn:
    answers, own, words = [], [], []
    for name, way in ways.items():
        words.append(f"{name}: {way}")
        if way != "unanswered":
            answers.append((name, answer(name, way, draw(st.integers(0, 99)))))
        if draw(st.sampled_from([False, False, False, True])):
            added = draw(st.sampled_from(sorted(OWN)))
            own.append((name, draw(st.booleans()), "code", OWN[added]))
            words.append(f"own: {added}")
    by_hand = {"picture": draw(st.sampled_from(PICTURES)), "why": draw(st.sampled_from(REASONS))}
    answers += [(name, text) for name, text in by_hand.items() if text is not None]
    if draw(st.booleans()):
        own.append(("task", True, "markdown", "What I did for the task."))
    hours = draw(st.sampled_from([-24, 0.1, 0.3, 30, 71, 100]))
    return HandedIn(tuple(answers), tuple(own), hours, "; ".join(words))
