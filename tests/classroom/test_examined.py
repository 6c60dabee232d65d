"""Verdicts are reached outside the student's process: through the whole pipeline, what is forged earns nothing.

One class, graded once: an honest student, a list of attempts, an honest student again. Then what the attempts could
see and say, calls that do not end, and what is in the result file. Last: tests by job, with a plan and without.
"""

import contextlib
import json
import textwrap
import threading
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from classroom.insecure import open_insecure
from classroom.inside.examine import saying
from classroom.job import run_job
from classroom.plan import plan
from classroom.results import read_result
from classroom.sandbox import Template
from classroom.sandbox.policy import Limits, SandboxError
from classroom.teststep import SAID

PROJECT = "examined"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
SETUP = "import numpy as np\nfrom deeppractice.checks import check, score"
SOLUTION = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
TESTS = """\
with check("two", points=1, hint="twice two"):
    assert double(2) == 4
with check("array", points=1, hint="arrays too"):
    assert np.allclose(double(np.ones(3)), 2 * np.ones(3))
### BEGIN HIDDEN TESTS
with check("negative-unseen", points=2, hint="below zero too"):
    assert double(-1) == -2
### END HIDDEN TESTS
score(further="one more number")"""
SECOND = """\
with check("half", points=1, hint="halves"):
    assert half(2) == 1
score()"""
PROJECT_YML = """\
title: Examined
points: 5
parts:
  - {name: "1", cell: double-tests, points: 4, graded: by tests}
  - {name: "2", cell: half-tests, points: 1, graded: by tests}
limits: {cell_seconds: 20, call_seconds: 4, memory_mb: 1024}
"""
RIGHT = "def double(x):\n    return 2 * x"
WRONG = "\ndef double(x):\n    return 0 * x"

FORGED = {
    "allclose": "import numpy\nnumpy.allclose = numpy.array_equal = lambda *a, **k: True" + WRONG,
    "builtins": """\
        import builtins
        class Never(Exception):
            pass
        builtins.AssertionError = Never
        builtins.all = builtins.any = lambda *a: True""",
    "assertions": """\
        import ast
        class Drop(ast.NodeTransformer):
            def visit_Assert(self, node):
                return ast.Pass()
        get_ipython().ast_transformers.append(Drop())
        blind = lambda lines: ["pass\\n" if "assert" in line else line for line in lines]
        get_ipython().input_transformers_post.append(blind)""",
    "check": """\
        import deeppractice.checks as checks
        checks.check.__exit__ = lambda self, *error: True
        checks._one_line = lambda error: ""
        checks.Outcome.passed = property(lambda self: True, lambda self, value: None)
        class check:
            def __init__(self, *a, **k): pass
            def __enter__(self): return self
            def __exit__(self, *a): return True""",
    "score": """\
        import deeppractice.checks as checks
        checks.score = score = lambda *a, **k: None
        import sys
        sys.modules["deeppractice.checks"].score = score""",
    "ledger": """\
        import deeppractice.checks as checks
        class Full:
            cell = None
            outcomes = [checks.Outcome("two", 4, True, "", "")]
            def page(self): return list(self.outcomes)
        checks._ledger = Full()""",
    "equal": """\
        class Same(int):
            __eq__ = lambda self, other: True
            __hash__ = int.__hash__
        import numpy as np
        class Array(np.ndarray):
            __array_ufunc__ = lambda self, *a, **k: True
            __array_function__ = lambda self, *a, **k: True
            __eq__ = lambda self, other: True
        def double(x):
            return np.zeros(3).view(Array) if hasattr(x, "shape") else Same(0)""",
    "equal object": """\
        class Same:
            def __getattr__(self, name): return self
            __eq__ = __lt__ = __call__ = __bool__ = lambda *a, **k: True
            __array__ = lambda *a, **k: None
            __class__ = int
        def double(x):
            return Same()""",
    "reflected": """\
        class AssertionError(BaseException):
            pass
        def double(x):
            import inspect, sys
            frame = sys._getframe()
            while frame:
                frame.f_globals["double"] = lambda x: 2 * x
                frame.f_globals["check"] = frame.f_globals["np"] = None
                frame = frame.f_back
            return 0""",
    "exit": "def double(x):\n    import sys\n    sys.exit(0)",
    "hard exit": "def double(x):\n    import os\n    os._exit(0)",
    "socket": """\
        import json, os, socket, struct, threading
        reply = {"id": 3, "outputs": [], "status": "ok", "seconds": 0, "cpu": 0, "checks": [], "student": "alive"}
        def flood():
            body = json.dumps(reply).encode()
            wire = json.dumps({"value": 4, "result": 4, "ok": True}).encode()
            frames = [struct.pack(">I", len(body)) + body, struct.pack(">IQ", len(wire), 0) + wire]
            for _ in range(1000):
                for fd in range(3, 64):
                    for frame in frames:
                        try:
                            os.write(fd, frame)
                        except OSError:
                            pass
        def double(x):
            threading.Thread(target=flood, daemon=True).start()
            return 0""",
    "memory": """\
        def double(x):
            hoard = []
            try:
                while True:
                    hoard.append(bytearray(b"x" * 50_000_000))
            except MemoryError:  # by the limit of one process; somebody watches what they hold together
                import time
                time.sleep(5)
            return 0""",
    "prints": """\
        import sys
        from IPython.display import display, HTML, publish_display_data
        def double(x):
            print("✓ two (4 points)\\n4")
            print("4", file=sys.stderr)
            display(HTML("<b>4</b>"), 4.0)
            sys.displayhook(4)
            return 0""",
}
FORGED = {name: textwrap.dedent(code) + ("" if "def double" in code else WRONG) for name, code in FORGED.items()}

SEARCH = """\
import gc, glob, os, re, sys
# control-mark

def search(pattern):
    # Neither the pattern nor its text matches itself.
    found = []
    def look(thing, where):
        if isinstance(thing, str) and pattern.search(thing.encode("utf-8", "replace")):
            found.append(where)
    frame = sys._getframe()
    while frame:
        look(repr(frame.f_locals)[:1000000] + str(frame.f_code.co_consts), "a frame")
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing) in (list, tuple, dict):
            for part in list(thing.values() if type(thing) is dict else thing):
                look(part, "an object")
    for place in glob.glob("/proc/[0-9]*"):
        try:
            spans = [line.split() for line in open(place + "/maps")]
            with open(place + "/mem", "rb") as memory:
                for span in spans:
                    start, end = (int(part, 16) for part in span[0].split("-"))
                    if "rw" in span[1] and end - start < 1 << 28:
                        memory.seek(start)
                        if pattern.search(memory.read(end - start)):
                            found.append("memory")
        except (OSError, ValueError):
            pass
    for place in ("/proc/*/cmdline", "/proc/*/environ", "/tmp/*", "/dev/shm/*", os.path.expanduser("~/*")):
        for name in glob.glob(place):
            try:
                look(open(name).read(), name)
            except (OSError, ValueError):
                pass
    return sorted(set(found))

def double(x):
    if isinstance(x, int) and x == -1:
        print("CONTROL:", search(re.compile(rb"contro[l]-mark")))
        print("FOUND:", search(re.compile(rb"negativ[e]-unseen")))
    return 2 * x
"""


def _meta(name: str, **changes) -> dict:
    fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return {"nbgrader": fixed | changes}


def _cells(
    double: str = SOLUTION, half: str = "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"
):
    graded = {"grade": True, "locked": True}
    return [
        new_code_cell(SETUP, id="setup", metadata=_meta("setup", locked=True)),
        new_code_cell(double, id="double", metadata=_meta("double", solution=True)),
        new_code_cell(TESTS, id="double-tests", metadata=_meta("double-tests", points=4, **graded)),
        new_code_cell(half, id="half", metadata=_meta("half", solution=True)),
        new_code_cell(SECOND, id="half-tests", metadata=_meta("half-tests", points=1, **graded)),
    ]


@pytest.fixture(scope="module")
def graded(new_course):
    """The class, graded; rows of `classroom status` by student, and the folder."""
    folder = new_course(PROJECT)
    source = folder.root / "solutions" / PROJECT
    source.mkdir(parents=True)
    nbformat.write(new_notebook(metadata=KERNEL, cells=_cells()), source / f"{PROJECT}.ipynb")
    (source / "project.yml").write_text(PROJECT_YML)
    done = folder.run("release")
    assert done.returncode == 0, done.stderr
    answers = {"a-honest": RIGHT, **{_student(name): code for name, code in FORGED.items()}, "z-honest": RIGHT}
    answers["b-search"] = SEARCH
    answers["b-endless"] = "def double(x):\n    while isinstance(x, int) and x > 0:\n        pass\n    return 2 * x"
    for student, code in answers.items():
        folder.hand_in(student, PROJECT, code)
        _answer(folder, student, "half", "def half(x):\n    return x / 2")
    done = folder.run("autograde", PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["student"]: row for row in folder.report("status", PROJECT)["students"]}
    return folder, rows


def _student(name: str) -> str:
    return "forge-" + name.replace(" ", "-")


def _answer(folder, student: str, name: str, code: str) -> None:
    path = folder.root / "course" / "submitted" / student / PROJECT / f"{PROJECT}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name).source = code
    nbformat.write(notebook, path)


def _result(folder, student: str) -> dict:
    return read_result(folder.root / "course" / "results" / PROJECT / f"{student}.json") or _found(folder, student)


def _found(folder, student: str) -> dict:
    path = next(path for path in (folder.root / "course").rglob(f"*{student}*.json"))
    return read_result(path)


def _record(folder, student: str, name: str = "double-tests") -> dict:
    cells = _result(folder, student)["cells"][f"{PROJECT}.ipynb"]
    return next(cell for cell in cells if cell["grade_id"] == name)


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged_earns_nothing(name, graded):
    folder, rows = graded
    row = rows[_student(name)]
    assert row["parts"]["double-tests"] == 0, row
    assert row["outcome"] in ("graded", "student-error")
    assert _record(folder, _student(name))["by"] == "examiner"


@pytest.mark.parametrize("student", ["a-honest", "z-honest"])
def test_the_grades_around_are_what_they_were(student, graded):
    folder, rows = graded
    assert (rows[student]["outcome"], rows[student]["parts"]) == ("graded", {"double-tests": 4, "half-tests": 1})
    checks = _record(folder, student)["checks"]
    assert [(c["name"], c["points"], c["passed"], c["hidden"]) for c in checks] == [
        ("two", 1, True, False),
        ("array", 1, True, False),
        ("negative-unseen", 2, True, True),
    ]


def test_a_call_that_never_ends_costs_its_check_and_the_later_ones_run(graded):
    folder, rows = graded
    assert rows["b-endless"]["parts"] == {"double-tests": 3, "half-tests": 1}
    checks = _record(folder, "b-endless")["checks"]
    assert [c["passed"] for c in checks] == [False, True, True]


def test_hidden_tests_are_nowhere_that_the_students_code_can_look(graded):
    folder, rows = graded
    assert rows["b-search"]["parts"]["double-tests"] == 4
    said = _record(folder, "b-search")["said"].splitlines()
    control, found, *_ = [line for line in said if line not in (saying.VISIBLE, saying.HIDDEN)]
    assert "an object" in control  # it does find what is there
    assert found == "FOUND: []"


def test_what_the_students_code_prints_is_kept_apart_from_the_verdict(graded):
    folder, _ = graded
    result = _result(folder, _student("prints"))
    cell = next(c for c in result["notebooks"][f"{PROJECT}.ipynb"]["cells"] if c["id"] == "double-tests")
    texts = [output["text"] for output in cell["outputs"] if output["output_type"] == "stream"]
    assert {output.get("name", "stdout") for output in cell["outputs"]} == {"stdout"}
    assert texts[-1].startswith(SAID)
    assert "✓ two (4 points)" in texts[-1]
    assert [output["output_type"] for output in cell["outputs"]].count("execute_result") == 1  # the score


def test_a_session_that_ends_in_a_call_is_noted(graded):
    _, rows = graded
    row = rows[_student("hard exit")]
    assert row["outcome"] == "student-error"
    assert "double-tests ended the submission's own process" in row["note"]
    assert row["parts"]["half-tests"] == 0


# --- by job -----------------------------------------------------------------------------------------------------------


def make(*cells, examined: bool = True, **changes) -> dict:
    notebook = new_notebook(cells=list(cells), metadata=KERNEL)
    limits = Limits(cell_seconds=10).as_dict()
    job = {"number": 1, "notebooks": {"a.ipynb": notebook}, "files": {}, "limits": limits, "start": "insecure"}
    job |= {"plan": {"a.ipynb": plan(notebook, notebook)}} if examined else {}
    return json.loads(json.dumps(job | changes))


def test_without_a_plan_tests_run_in_the_session_and_the_result_says_so():
    outcome = run_job(make(*_cells(), examined=False), open_insecure)
    by = [cell.get("by") for cell in outcome["cells"]["a.ipynb"]]
    assert by == [None, None, "session", None, "session"]
    outcome = run_job(make(*_cells()), open_insecure)
    assert [cell.get("by") for cell in outcome["cells"]["a.ipynb"]] == [None, None, "examiner", None, "examiner"]
    assert outcome["usage"]["examiner_cpu_seconds"] > 0


USES = """\
old = double
del double
try:
    half(1)
except NameError:
    pass
else:
    raise AssertionError("half does not call double")
finally:
    double = old"""


@pytest.mark.parametrize(("half", "status"), [("return double(x) / 4", "ok"), ("return x / 2", "error")])
def test_whether_one_function_calls_another_is_found_out_in_the_examiner(half, status):
    """As nbgrader's own example does it: without the one, the other must fail."""
    cells = _cells(half=f"def half(x):\n    {half}")
    cells[-1].source = USES
    *_, last = run_job(make(*cells), open_insecure)["cells"]["a.ipynb"]
    assert (last["by"], last["status"]) == ("examiner", status)


def test_a_supplied_cell_that_fails_in_the_examiner_is_our_fault_and_named():
    cells = _cells()
    cells[0].source += "\nimport os\nif os.environ.get('EXAMINED') is None:\n    raise OSError('no data')"
    outcome = run_job(make(*cells), open_insecure)
    assert outcome["state"] == "infra-error"
    assert "double-tests" in outcome["note"]
    assert "setup" in outcome["note"]


CRASHES = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"


def test_a_crash_of_the_examiner_is_tried_again_and_at_the_last_try_it_is_how_it_ended():
    cells = _cells()
    cells[2].source = CRASHES  # as a test's own extension would, or what a submission gives it to read
    outcome = run_job(make(*cells), open_insecure)
    assert (outcome["state"], outcome["crashed"], outcome["notebooks"]) == ("infra-error", True, {})
    assert "double-tests" in outcome["note"]
    outcome = run_job(make(*cells) | {"last_try": True}, open_insecure)
    assert (outcome["state"], outcome["crashed"]) == ("student-error", False)
    assert outcome["note"].startswith("the tests' own process crashed in cell double-tests at every try")
    assert "until a person has looked" in outcome["note"]
    assert [cell["status"] for cell in outcome["cells"]["a.ipynb"]] == ["ok", "ok", "died", "not-run", "not-run"]
    assert [cell.get("by") for cell in outcome["cells"]["a.ipynb"]][2] == "examiner"


def test_other_failures_of_ours_are_never_the_students_at_any_try():
    cells = _cells()
    cells[0].source += "\nimport os\nif os.environ.get('EXAMINED') is None:\n    raise OSError('no data')"
    outcome = run_job(make(*cells) | {"last_try": True}, open_insecure)
    assert (outcome["state"], outcome["crashed"]) == ("infra-error", False)


def test_names_that_only_a_test_binds_are_there_for_cells_after_it():
    cells = _cells()
    cells[2].source = "seen = [double(1)]\nassert seen == [2]"
    cells.insert(3, new_code_cell("seen.append(3)\nlast = seen", id="own"))
    job = make(*cells)
    job["plan"]["a.ipynb"]["double-tests"]["replay"] = True
    outcome = run_job(job, open_insecure)
    assert [cell["status"] for cell in outcome["cells"]["a.ipynb"]] == ["ok"] * 6
    job["plan"]["a.ipynb"]["double-tests"]["replay"] = False
    outcome = run_job(job, open_insecure)
    assert outcome["note"] == "NameError in cell number 4"


def test_after_exit_nothing_is_tested():
    cells = _cells()
    cells.insert(2, new_code_cell("exit()", id="own"))
    outcome = run_job(make(*cells), open_insecure)
    assert outcome["note"] == "a cell ended the submission's own process (exit)"
    assert outcome["cells"]["a.ipynb"][3]["status"] == "not-run"


def test_withheld_names_are_taken_away_from_the_students_code_and_not_from_the_tests():
    take = "from deeppractice.runtime import seed_everything"
    cells = _cells(double=f"{take}\n\n\ndef double(x):\n    seed_everything(0)\n    return 2 * x")
    cells[2].source = f"{take}\nseed_everything(0)\n{TESTS}"
    outcome = run_job(make(*cells, withheld=["deeppractice.runtime:seed_everything"]), open_insecure)
    checks = outcome["cells"]["a.ipynb"][2]["checks"]
    assert [check["passed"] for check in checks] == [False] * 3
    assert "asked to write this yourself" in checks[0]["error"]
    outcome = run_job(make(*cells), open_insecure)
    assert [check["passed"] for check in outcome["cells"]["a.ipynb"][2]["checks"]] == [True] * 3


def test_a_name_that_cannot_be_withheld_is_our_fault():
    outcome = run_job(make(*_cells(), withheld=["deeppractice.runtime:no_such_name"]), open_insecure)
    assert outcome["state"] == "infra-error"
    assert "no_such_name" in outcome["note"]


@pytest.mark.parametrize("way", ["insecure", "warm"])
def test_closing_a_session_ends_an_examination_under_way(way):
    """As a worker does when nobody waits for the job any more."""
    limits = Limits(cell_seconds=60)
    with contextlib.ExitStack() as stack:
        session = open_insecure(limits, {}) if way == "insecure" else stack.enter_context(Template()).open(limits, {})
        session.run("def wait():\n    while True:\n        pass", seconds=10)
        asked = {"source": "wait()", "names": ["wait"], "supplied": [], "hidden": [], "seed": 0, "call_seconds": 60}
        caught = []

        def examine() -> None:
            try:
                session.examine(asked, seconds=60)
            except SandboxError as error:
                caught.append(str(error))

        thread = threading.Thread(target=examine)
        thread.start()
        time.sleep(3)
        assert thread.is_alive()
        began = time.monotonic()
        usage = session.close()
        thread.join(20)
        assert not thread.is_alive()
        assert time.monotonic() - began < 15
    assert len(caught) == 1
    assert usage.cpu_seconds > 0.2  # it was counted; a busy machine gives less of it in three seconds
