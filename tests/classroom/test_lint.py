"""`classroom lint`: one small cell a rule, the table of what it names, and real runs of a small project both ways."""

import contextlib
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from classroom import commands
from classroom.engine import Engine
from classroom.lintrules import static_findings
from classroom.ownership import Analysis

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "def f(x):\n    return x\n\n\nclass Wrong(Exception):\n    pass"
SETUP = "import math\nimport numpy as np\nimport inspect\nfrom deeppractice.checks import check, inplace, patch, score"


def code(grade_id, source, *, answer=False, points=None, locked=True):
    """A code cell as nbgrader marks it; with points it is a test."""
    meta = {"grade_id": grade_id, "solution": answer, "grade": points is not None, "locked": locked and not answer}
    meta |= {"schema_version": 3, "task": False} | ({} if points is None else {"points": points})
    return new_code_cell(source, id=grade_id, metadata={"nbgrader": meta})


def findings(test, *between, points=2):
    """What lint finds in the text of one test cell, as (rule, line)."""
    cells = [code("setup", SETUP), code("answer", ANSWER, answer=True)]
    cells += [code(f"between-{n}", source) for n, source in enumerate(between)]
    notebook = new_notebook(cells=[*cells, code("test", test, points=points)])
    meta = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader for cell in notebook.cells}
    found = static_findings("p.ipynb", Analysis(notebook, notebook, notebook), meta)
    assert all(one.what and one.instead and one.cell == "test" for one in found)
    return [(one.rule, one.line) for one in found]


RULES = {
    "a new value for the student's name": ("f = abs\nassert f(1)", [("rebinds", 1)]),
    "a function of its name": ("def f(x): pass\nassert f(1)", [("rebinds", 1)]),
    "their name deleted": ("old = f\ndel f\nassert old(1)", [("rebinds", 2)]),
    "an attribute of theirs": ("f.calls = 0\nassert f(1)", [("rebinds", 1)]),
    "a magic": ("%time assert f(1)\n!ls", [("magic", 1), ("magic", 2)]),
    "a cell magic": ("%%time\nassert f(1)", [("magic", 1)]),
    "their exception": ("try:\n    f(1)\nexcept Wrong:\n    pass", [("class", 3)]),
    "their class": ("assert isinstance(f(1), Wrong)", [("class", 1)]),
    "their text": ("assert 'for' in inspect.getsource(f)", [("source", 1)]),
    "their code object": ("assert f.__code__.co_argcount == 1", [("source", 1)]),
    "is between results": ("x = []\nassert f(x) is x", [("identity", 2)]),
    "a module changed": ("np.sort = None\nassert f(1)", [("module", 1)]),
    "a module changed by setattr": ("setattr(np, 'sort', None)\nassert f(1)", [("module", 1)]),
    "a seed for all": ("np.random.seed(1)\nassert f(1)", [("seed", 1)]),
    "what is printed": (
        "import contextlib, io\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f(1)\nassert f(2)",
        [("printed", 3)],
    ),
    "names by text": ("assert 'f' in globals()\nassert f(1)", [("unmoved", 1), ("listing", 1)]),
    "an argument looked at after the call": ("x = [1]\nf(x)\nassert x == [1]", [("unmoved", 3)]),
    "no Python": ("assert = f(1)", [("syntax", 1)]),
    "no score": ("with check('a', points=2, hint='h'):\n    assert f(1)", [("score", 0)]),
    "score too early": ("with check('a', points=2, hint='h'):\n    assert f(1)\nscore()\nprint(1)", [("score", 3)]),
    "score without a check": ("assert f(1)\nscore()", [("score", 2)]),
    "points that do not add up": ("with check('a', points=1, hint='h'):\n    assert f(1)\nscore()", [("points", 0)]),
    "a name twice": (
        "with check('a', points=1):\n    assert f(1)\nwith check('a', points=1):\n    assert f(1)\nscore()",
        [("twice", 3)],
    ),
    "hidden checks that nobody hears of": (
        "### BEGIN HIDDEN TESTS\nwith check('a', points=2, hint='h'):\n    assert f(1)\n### END HIDDEN TESTS\nscore()",
        [("further", 5)],
    ),
    "a hidden check without a hint": (
        "### BEGIN HIDDEN TESTS\nwith check('a', points=2):\n    assert f(1)\n### END HIDDEN TESTS\nscore(further='b')",
        [("hint", 2)],
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_each_rule_names_its_line(case):
    test, wanted = RULES[case]
    assert findings(test) == wanted


CLEAN = {
    "patch": "with patch(f=abs):\n    assert f(-1) == 1",
    "in place": "found, (after,) = inplace(f, [1])\nassert after == [1]",
    "None, types and builtin exceptions": (
        "try:\n    found = f(1)\nexcept ValueError as error:\n    assert error\n"
        "assert f(1) is not None\nassert type(f(1)) is int\nassert isinstance(f(1), (int, np.ndarray))"
    ),
    "a generator of the test's own": "draw = np.random.default_rng(3)\nassert f(draw.normal(size=3)) is not None",
    "checks in a loop": (
        "for part in (1, 2):\n    with check(f'a-{part}', points=1, hint='h'):\n        assert f(part) == part\nscore()"
    ),
    "checks whose number is not written": (
        "for part in range(f(3)):\n    with check(f'a-{part}', points=1, hint='h'):\n        assert f(1)\nscore()"
    ),
    "an assert in a helper": "def near(a, b):\n    assert abs(a - b) < 1\nnear(f(1), 1)",
    "through other names": "for value in [f(1)]:\n    rows = []\n    rows.append(value)\nassert rows",
}


@pytest.mark.parametrize("case", CLEAN)
def test_what_is_the_same_in_both_places_is_let_pass(case):
    assert findings(CLEAN[case]) == []


def test_a_name_computed_from_the_students_is_named_with_its_line():
    assert findings("assert f(1)\nassert table[0] == 1", "table = [f(1)]") == [("word", 2)]
    assert findings("assert table[0] + f(1)", "table = [1]") == []


def test_an_author_can_say_that_it_is_meant():
    assert findings("assert f(1) == table[0]  # lint: ok word", "table = [f(1)]") == []
    assert findings("# lint: ok word - it is their own table\n\nassert f(1) == table[0]", "table = [f(1)]") == []
    assert findings("# lint: ok seed\nassert f(1) == table[0]", "table = [f(1)]") == [("word", 2)]


@pytest.fixture(scope="module")
def engine():
    """One engine for all that is run here."""
    with Engine(jobs=2) as made:
        yield made


@pytest.fixture
def plain_course(tmp_path, monkeypatch, engine):
    """A plain nbgrader course with one project of plain asserts; a function that writes its notebook."""
    monkeypatch.setattr(commands, "start_engine", lambda arguments: contextlib.nullcontext(engine))
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'plain'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLASSROOM_DIR", "course")

    def write(*cells):
        place = tmp_path / "source" / "ps1"
        place.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=list(cells)), place / "ps1.ipynb")
        return place

    return write


SOLVED = "def total(xs):\n    ### BEGIN SOLUTION\n    xs.append(0)\n    return sum(xs)\n    ### END SOLUTION"


def run(course, *words):
    """A command's exit code and its report."""
    from classroom.cli import main

    file = course.parents[1] / "report.json"
    return main([*words, "--json", str(file)]), json.loads(file.read_text())


def test_both_ways_of_running_are_held_against_each_other(plain_course, capsys):
    course = plain_course(
        code("answer", SOLVED, answer=True),
        code("same", "assert total([1, 2]) == 3", points=1),
        code("moved", "xs = [1, 2]\ntotal(xs)\nassert len(xs) == 3  # lint: ok unmoved", points=2),
        code("given", "assert True", points=1),
        code("wrong", "assert total([1]) == 2", points=1),
        code("meant", "# lint: ok unanswered\nassert True", points=1),
        code("so", "# lint: ok differs\nxs = [1]\ntotal(xs)\nassert len(xs) == 2  # lint: ok unmoved", points=1),
        code("never", "# lint: ok solution\nassert total([1]) == 2", points=1),
    )
    exit_code, report = run(course, "lint", "ps1")
    assert exit_code == 1
    assert report["ran"]
    by_cell = {(finding["cell"], finding["rule"]) for finding in report["findings"]}
    # the list is changed in a kernel, and never written back in the examiner
    assert by_cell == {("moved", "differs"), ("given", "unanswered"), ("wrong", "solution"), ("never", "solution")}
    said = capsys.readouterr().out
    assert "gets 0 points in the examiner and 2 under Validate" in said
    assert not (course.parents[1] / "gradebook.db").exists()
    assert not (course.parents[1] / "release").exists()


def test_a_test_that_later_cells_build_on_is_named(plain_course):
    course = plain_course(
        code("answer", SOLVED, answer=True),
        code("test", "expected = 3\nassert total([1, 2]) == expected", points=1),
        code("after", "print(expected)"),
    )
    exit_code, report = run(course, "lint", "ps1", "--no-run")
    assert exit_code == 1
    assert [(finding["cell"], finding["rule"]) for finding in report["findings"]] == [("test", "borrowed")]
    assert not report["ran"]
    answer, after = code("answer", SOLVED, answer=True), code("after", "print(expected)")
    test = "{}\nassert total([1, 2]) == expected"
    for bound, found in (("expected = 3  # lint: ok borrowed", 1), ("# lint: ok borrowed\nexpected = 3", 0)):
        plain_course(answer, code("test", test.format(bound), points=1), after)
        assert run(course, "lint", "ps1", "--no-run")[0] == found, "of a whole cell, so on a line of its own"


def test_a_clean_project_and_its_files(plain_course):
    answer = SOLVED.replace("xs.append(0)", "xs = [len(open('a.txt').read())]")
    test = "assert total([]) == 5 == len(open('a.txt').read())"
    course = plain_course(code("answer", answer, answer=True), code("test", test, points=1))
    (course / "a.txt").write_text("hello")
    exit_code, report = run(course, "lint", "ps1")
    assert (exit_code, report["findings"]) == (0, [])


def test_bad_input_is_said_in_one_line(plain_course, capsys):
    from classroom.cli import main

    plain_course(code("answer", "### BEGIN SOLUTION\nx = 1", answer=True))
    assert main(["lint", "ps2", "--no-run"]) == 2
    assert main(["lint", "ps1", "--no-run"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2
    assert "ps2" in said[0]
    assert "no release can be made" in said[1]


@pytest.mark.parametrize("project", ["checkpoint-01", "checkpoint-02", "generative"])
def test_in_the_projects_nothing_is_found(project, tmp_path, monkeypatch):
    from classroom.cli import main

    for name in ("nbgrader_config.py", "course.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    assert main(["lint", project, "--no-run", "--json", "report.json"]) == 0
    assert json.loads((tmp_path / "report.json").read_text())["findings"] == []
