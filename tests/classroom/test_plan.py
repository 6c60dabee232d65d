"""What each test cell needs of the student and of the instructor, read off small notebooks and real ones."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.cellnames import MOST, names_of
from classroom.ownership import Analysis
from classroom.plan import hidden_lines, plan, replayed

ROOT = Path(__file__).resolve().parents[2]


def cell(name, source):
    """A code cell; its name says what it is: answer…, test…, supplied… (locked), anything else is plain."""
    made = new_code_cell(source, id=name)
    if name.startswith(("answer", "test", "supplied")):
        made.metadata["nbgrader"] = {
            "grade_id": name,
            "solution": name.startswith("answer"),
            "grade": name.startswith("test"),
            "locked": not name.startswith("answer"),
            "schema_version": 3,
            "task": False,
        }
    return made


def notebook(*cells):
    return new_notebook(cells=[cell(name, source) for name, source in cells])


def planned(*cells, solutions=()):
    """The plan of a notebook; `solutions` are the sources of answer cells, where the release has something else."""
    release = notebook(*cells)
    source = notebook(*[(name, dict(solutions).get(name, text)) for name, text in cells])
    return plan(release, release, source)


# The cells, and for the last test: the student's names that it needs, the supplied cells that have run before it.
CASES = {
    "an answer's function": ([("answer", "def f(x): pass"), ("test", "assert f(1) == 1")], ["f"], []),
    "an answer's value and loop": (
        [("answer", "for i in [1]:\n    with open('a') as file: total = i"), ("test", "total, i, file")],
        ["file", "i", "total"],
        [],
    ),
    "walrus, except as, import as, class, async def": (
        [
            ("answer", "if (n := 1):\n  class C: pass\nasync def g(): pass\n[(m := k) for k in [1]]"),
            ("test", "n, C, g, m"),
        ],
        ["C", "g", "m", "n"],
        [],
    ),
    "a global statement in a function": (
        [("answer", "def f():\n    global seen\n    seen = 1"), ("test", "f(); assert seen")],
        ["f", "seen"],
        [],
    ),
    "what is local stays local": (
        [("answer", "def f(): inner = 1\nx = [i for i in []]"), ("test", "inner = 1\ni = 2\nassert inner, i")],
        [],
        [],
    ),
    "a supplied import": (
        [("setup", "import math"), ("answer", "def f(): pass"), ("test", "assert f() == math.pi")],
        ["f"],
        ["setup"],
    ),
    "what nobody needs is not run": (
        [("setup", "import math"), ("other", "y = 2"), ("test", "math.pi")],
        [],
        ["setup"],
    ),
    "a supplied cell needs another": (
        [("one", "a = 1"), ("two", "b = a + 1"), ("three", "c = 3"), ("test", "assert b == 2")],
        [],
        ["one", "two"],
    ),
    "all that bind a name": ([("one", "a = 1"), ("two", "if a > 5: a = 3"), ("test", "assert a")], [], ["one", "two"]),
    "what changes an object": (
        [("one", "a = []"), ("two", "a.append(1)"), ("three", "print(a)"), ("test", "assert a")],
        [],
        ["one", "two"],
    ),
    "a seed": (
        [("one", "import numpy as np"), ("two", "np.random.seed(0)"), ("test", "np.random.rand()")],
        [],
        ["one", "two"],
    ),
    "after the test is too late": ([("one", "a = 1"), ("test", "assert a"), ("two", "a = 2")], [], ["one"]),
    "computed from the student's": (
        [("answer", "def f(): pass"), ("supplied", "y = f()"), ("test", "assert y == 1")],
        ["y"],
        [],
    ),
    "computed from what was computed": (
        [("answer", "def f(): pass"), ("supplied", "y = f()"), ("two", "z = y + 1"), ("test", "assert z == 1")],
        ["z"],
        [],
    ),
    "filled with the student's": (
        [("one", "table = {}"), ("answer", "def f(): pass"), ("two", "table['f'] = f()"), ("test", "assert table")],
        ["table"],
        [],
    ),
    "drawn beside the student's": (
        [("one", "import math"), ("answer", "f = 1"), ("two", "math.show(f)"), ("test", "assert math.pi")],
        [],
        ["one"],
    ),
    "a supplied function that calls the student's": (
        [("answer", "def f(): pass"), ("helper", "def twice(): return f() * 2"), ("test", "assert twice() == 2")],
        ["f"],
        ["helper"],
    ),
    "its result, computed in a supplied cell": (
        [("answer", "def f(): pass"), ("helper", "def g(): return f()"), ("call", "y = g()"), ("test", "assert y")],
        ["y"],
        [],
    ),
    "a supplied class that uses the student's": (
        [
            ("answer", "def f(): pass"),
            ("critic", "class Critic:\n    def go(self): return f()"),
            ("test", "Critic().go()"),
        ],
        ["f"],
        ["critic"],
    ),
    "class bodies, decorators and defaults run at once": (
        [
            ("answer", "def f(): pass"),
            ("one", "class A:\n    x = f()"),
            ("two", "@f\ndef b(): pass"),
            ("three", "def c(x=f()): pass"),
            ("test", "A, b, c"),
        ],
        ["A", "b", "c"],
        [],
    ),
    "a comprehension runs at once, a lambda later": (
        [
            ("answer", "def f(): pass"),
            ("one", "xs = [f() for _ in [1]]"),
            ("two", "g = lambda: f()"),
            ("test", "xs, g"),
        ],
        ["f", "xs"],
        ["two"],
    ),
    "a stub does not hide the answer": (
        [
            ("setup", "def f(): raise NotImplementedError\nfor name in ['f']: globals()[name] = 1"),
            ("answer", "def f(): pass"),
            ("test", "assert f() == 1"),
        ],
        ["f"],
        [],
    ),
    "a test's own name": ([("answer", "def f(): pass"), ("test", "x = f()\nassert x")], ["f"], []),
    "bound in one block, read in the next": (
        [("test", "with open('a') as file:\n    found = 1\n    assert found\nassert found")],
        [],
        [],
    ),
    "an earlier test's name": (
        [("answer", "def f(): pass"), ("test-1", "expected = 3"), ("test-2", "assert f() == expected")],
        ["f"],
        [],
    ),
    "an earlier test's helper": (
        [("answer", "def f(): pass"), ("test-1", "def twice(): return 2 * f()"), ("test-2", "assert twice()")],
        ["f"],
        [],
    ),
    "an earlier test's result is there already": (
        [("answer", "def f(): pass"), ("test-1", "y = f()"), ("test-2", "assert y")],
        [],
        [],
    ),
    "supplied from an earlier test": (
        [("test-1", "y = 1"), ("supplied", "z = y + 1"), ("test-2", "assert z")],
        ["z"],
        [],
    ),
    "nobody is seen to bind it": ([("answer", "..."), ("test", "assert solution(1)")], ["solution"], []),
    "read before it is bound": (
        [("answer", "def f(): pass"), ("test", "old = f\ndel f\nf = old")],
        ["f"],
        [],
    ),
    "a builtin, and an answer of its name": (
        [("answer", "def sum(xs): pass"), ("test", "assert sum([1]) == len([1])")],
        ["sum"],
        [],
    ),
    "an import shown in an answer": (
        [("answer", "import numpy as np\ndef f(): pass"), ("test", "assert np.isclose(f(), 1)")],
        ["f"],
        ["imports of answer"],
    ),
    "a star import": ([("setup", "from math import *"), ("test", "assert sqrt(4) == 2")], [], ["setup"]),
    "magics and shell lines": (
        [
            ("one", "%matplotlib inline\nfiles = !ls\n%time x = 1\nimport math  # done?"),
            ("two", "%%bash\ny = 1"),
            ("three", "%%capture said\nz = 1"),
            ("test", "files, x, math, y, z, said"),
        ],
        ["y"],
        ["one", "three"],
    ),
    "no Python": ([("one", "x = = 1"), ("test", "assert x")], ["x"], []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_test_gets_the_names_and_cells_that_it_needs(case):
    cells, names, supplied = CASES[case]
    made = planned(*cells)
    last = made[[name for name, _ in cells if name.startswith("test")][-1]]
    assert (last["names"], last["supplied"]) == (names, supplied)
    assert set(supplied) <= set(made["_supplied"])


def test_a_name_that_only_the_solution_binds_is_the_students():
    cells = [("setup", "from math import *"), ("answer", "..."), ("test", "assert area(2) == pi")]
    made = planned(*cells, solutions=[("answer", "area = lambda r: r")])
    assert made["test"]["names"] == ["area"]
    assert made["test"]["supplied"] == ["setup"]


def test_an_import_that_only_the_solution_makes_is_an_answer():
    cells = [("answer", "..."), ("test", "assert np.pi")]
    assert planned(*cells, solutions=[("answer", "import numpy as np")])["test"]["names"] == ["np"]


def test_names_of_the_students_that_a_test_binds_or_deletes():
    cells = [("answer", "def f(): pass\nn = 1"), ("test-1", "f()\nn = 2\nx = 3"), ("test-2", "del f\nx = 4")]
    made = planned(*cells, ("test-3", "n"))
    assert [made[name]["rebinds"] for name in ("test-1", "test-2", "test-3")] == [["n"], ["f"], []]


def test_an_import_of_an_answer_that_fails_leaves_the_name_unbound():
    made = planned(("answer", "import no_such_module\nimport math"), ("test", "assert no_such_module, math"))
    names = {}
    exec(made["_supplied"]["imports of answer"], names)
    assert "math" in names
    assert "no_such_module" not in names


def test_a_supplied_cell_runs_at_its_own_place_though_only_a_later_test_needs_it():
    # run only before test-2, it would take `x` back to 1
    made = planned(("setup", "x = 1\ny = 2"), ("test-1", "x = 5"), ("test-2", "assert x == 5 and y == 2"))
    assert made["test-1"]["supplied"] == ["setup"]


def test_a_cell_that_is_meant_to_fail_is_not_run_in_the_examiner():
    release = notebook(("one", "x = 1\n1 / 0"), ("test", "assert x"))
    release.cells[0].metadata["tags"] = ["raises-exception"]
    assert plan(release, release)["test"]["names"] == ["x"]


def test_another_language_has_an_empty_plan():
    release = notebook(("answer", "f <- 1"), ("test", "stopifnot(f == 1)"))
    release.metadata["kernelspec"] = {"name": "ir", "language": "R", "display_name": "R"}
    assert plan(release, release) == {"_supplied": {}, "_visible": {}}
    assert replayed(plan(release, release), release) == []


def test_hidden_lines_are_counted_in_the_masters_text():
    text = "a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc\n# BEGIN HIDDEN TESTS\nd"
    assert hidden_lines(text) == [[2, 4], [6, 7]]
    assert hidden_lines("a") == []
    assert hidden_lines("a\n# SECRET\nb\n# OPEN\nc", ("SECRET", "OPEN")) == [[2, 4]]


def test_the_visible_text_is_the_release_s():
    master = notebook(("test", "a = 1\n### BEGIN HIDDEN TESTS\nb = 2\n### END HIDDEN TESTS\n"))
    release = notebook(("test", "a = 1\n"))
    made = plan(master, release)
    assert made["_visible"]["test"] == "a = 1\n"
    assert made["test"]["hidden"] == [[2, 4]]


REPLAYS = {
    "nothing of a test's is used": ([("answer", "f = 1"), ("test", "x = f"), ("after", "y = f")], []),
    "a later cell uses it": ([("test", "x = 1"), ("after", "print(x)")], ["test"]),
    "an earlier cell does not": ([("before", "print(x)"), ("test", "x = 1")], []),
    "an answer's function may be called later": ([("answer", "def f(): return x"), ("test", "x = 1")], ["test"]),
    "another cell binds it": ([("one", "x = 2"), ("test", "x = 1"), ("after", "print(x)")], []),
    "the cell binds it itself": ([("test", "x = 1"), ("after", "x = 2\nprint(x)")], []),
    "a test uses another's": (
        [("test-1", "x = 1"), ("test-2", "y = x"), ("after", "print(y)")],
        ["test-1", "test-2"],
    ),
    "the last one that binds it": ([("test-1", "x = 1"), ("test-2", "x = 2"), ("after", "print(x)")], ["test-2"]),
    "a name of its own in a function": ([("answer", "def f(x): return x"), ("test", "x = 1")], []),
}


@pytest.mark.parametrize("case", REPLAYS)
def test_tests_whose_names_the_notebook_uses_run_for_the_student_too(case):
    cells, wanted = REPLAYS[case]
    made = notebook(*cells)
    assert replayed(plan(made, made), made) == wanted


def test_hidden_names_are_not_replayed():
    release = notebook(("test", "x = 1"), ("after", "print(secret)"))
    master = notebook(("test", "x = 1\n### BEGIN HIDDEN TESTS\nsecret = 2\n### END HIDDEN TESTS"), ("after", ""))
    assert replayed(plan(master, release), release) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 5000 + ")" * 5000,
        "x = " + "-" * 5000 + "1",
        "x" + ".y" * 10_000,
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 90)) + " " * 90 + "x",
        "\0",
        "x = '\ud800'",
        "%" * 5000,
        "!\n" * 5000,
        "a?\n" * 5000,
        "\f\n  \\",
        "x = 1\n" * MOST,
    ],
)
def test_whatever_a_student_writes_is_read_or_left(text):
    names_of(text)


def test_the_projects_of_this_course():
    for project in ("checkpoint-01", "checkpoint-02", "generative"):
        source = nbformat.read(ROOT / "solutions" / project / f"{project}.ipynb", as_version=4)
        release = nbformat.read(ROOT / "assignments" / project / f"{project}.ipynb", as_version=4)
        made = plan(source, release, source)
        answers = Analysis(source, release, source).answers
        for name, needs in made.items():
            if not name.startswith("_"):
                assert needs["names"], name
                assert set(needs["names"]) <= set(answers) | {"results"}, name
                assert "setup" in needs["supplied"]
                assert needs["hidden"]
        assert replayed(made, release) == []
        assert plan(source, release).keys() == made.keys()  # without the solutions
    # `results` is computed by the student's own samplers; everything else is either an answer or the examiner's
    assert made["choose-tests"]["names"] == ["choose", "decision", "results"]
    assert made["comparison-tests"]["names"] == ["comparison"]
    assert list(made["_supplied"]) == ["setup", "collapsed-gan", "dead-vae"]


def test_nbgraders_own_course():
    import nbgrader

    place = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide" / "source" / "ps1"
    first, second = (nbformat.read(place / f"problem{number}.ipynb", as_version=4) for number in (1, 2))
    made = plan(first, first, first)
    assert {name: needs["names"] for name, needs in made.items() if not name.startswith("_")} == {
        "correct_squares": ["squares"],
        "squares_invalid_input": ["squares"],
        "correct_sum_of_squares": ["sum_of_squares"],
        "sum_of_squares_uses_squares": ["squares", "sum_of_squares"],
    }
    assert plan(second, second) == {"_supplied": {}, "_visible": {}}
    assert replayed(made, first) == []


def test_text_cells_do_not_matter():
    made = notebook(("answer", "f = 1"), ("test", "assert f"))
    with_text = notebook(("answer", "f = 1"), ("test", "assert f"))
    with_text.cells.insert(1, new_markdown_cell("f = 2"))
    assert plan(made, made) == plan(with_text, with_text)
