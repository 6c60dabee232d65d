"""A job: notebooks run cell by cell, what is said of them, and the same grades as stock nbgrader.

In order: outputs and records; errors, time limits (setup, cell, submission), ends of the session in words; several
notebooks; skipped and empty cells; faults of ours; another environment; nbgrader's rules for test cells; this course's
projects.
"""

import base64
import json
import pickle
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom import job as job_module
from classroom import session as session_module
from classroom.insecure import open_insecure
from classroom.job import EnvironmentDiffersError, environment_hash, run_job
from classroom.points import points
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import CellResult, Usage

sys.path.insert(0, str(Path(__file__).parent / "cells"))  # not a package

from running import comparable, stock

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
ANSWER, TEST, LOCKED = {"solution": True}, {"grade": True, "locked": True, "points": 2}, {"locked": True}


def cell(source: str, name: str = "", kind: dict | None = None, **metadata) -> dict:
    made = new_code_cell(source, metadata=metadata)
    if name:
        fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
        made.metadata["nbgrader"] = fixed | {"grade_id": name} | (kind or {})
        made["id"] = name
    return made


def make(*cells: dict, **changes) -> dict:
    """A job of one notebook, as it comes over the wire."""
    notebook = new_notebook(cells=list(cells), metadata=KERNEL)
    limits = Limits(**{"cell_seconds": 10} | changes.pop("limits", {})).as_dict()
    job = {"number": 7, "notebooks": {"a.ipynb": notebook}, "files": {}, "limits": limits, "start": "insecure"}
    return json.loads(json.dumps(job | {"environment": environment_hash()} | changes))


def run(*cells: dict, **changes) -> dict:
    return run_job(make(*cells, **changes), open_insecure)


def statuses(outcome: dict, name: str = "a.ipynb") -> list[str]:
    return [record["status"] for record in outcome["cells"][name]]


class Scripted:
    """A session that answers from a list, and remembers what it was asked."""

    def __init__(self, *results: CellResult) -> None:
        self.results, self.asked = list(results), []

    def __call__(self, limits, files) -> "Scripted":
        self.limits = limits
        return self

    def run(self, source, *, seconds) -> CellResult:
        self.asked.append((source, seconds))
        return self.results.pop(0) if self.results else CellResult()

    def close(self) -> Usage:
        return Usage(seconds=1.0, cpu_seconds=0.5, memory_mb=10.0, processes=2)


# --- outputs and records ----------------------------------------------------------------------------------------------


def test_a_job_comes_back_with_outputs_and_records():
    files = {"data/numbers.txt": base64.b64encode(b"1 2 3").decode()}
    text = new_markdown_cell("# A text")
    outcome = run(
        cell("data = open('data/numbers.txt').read().split()", "load", LOCKED),
        text,
        cell("total = sum(map(int, data))\ntotal", "total", ANSWER),
        cell("assert total == 6", "total-tests", TEST),
        files=files,
    )
    assert json.loads(json.dumps(outcome)) == outcome
    assert (outcome["number"], outcome["state"], outcome["note"]) == (7, "graded", "")
    notebook = nbformat.from_dict(outcome["notebooks"]["a.ipynb"])
    nbformat.validate(notebook)
    assert notebook.cells[2].outputs[0].data == {"text/plain": "6"}
    assert [c.get("execution_count") for c in notebook.cells] == [1, None, 2, 3]
    names = [(record["id"], record["grade_id"], record["status"]) for record in outcome["cells"]["a.ipynb"]]
    assert names == [("load",) * 2 + ("ok",), ("total",) * 2 + ("ok",), ("total-tests",) * 2 + ("ok",)]
    assert set(outcome["usage"]) == set(Usage().as_dict())
    assert outcome["usage"]["cpu_seconds"] > 0


def test_a_job_is_not_changed_and_outputs_it_brought_are_dropped():
    job = make(cell("1"))
    job["notebooks"]["a.ipynb"]["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    before = json.dumps(job)
    outcome = run_job(job, Scripted())
    assert json.dumps(job) == before
    assert outcome["notebooks"]["a.ipynb"]["cells"][0]["outputs"] == []


# --- errors and limits ------------------------------------------------------------------------------------------------


def test_errors_outside_test_cells_are_noted_and_the_rest_runs():
    outcome = run(
        cell("undefined", "answer", ANSWER), cell("assert False", "tests", TEST), cell("also_undefined"), cell("1")
    )
    assert outcome["state"] == "graded"
    assert outcome["note"] == "NameError in cell answer; NameError in cell number 3"
    assert statuses(outcome) == ["error", "error", "error", "ok"]


def test_a_name_of_an_error_is_a_name():
    outcome = run(cell("raise type('<b>E; x', (Exception,), {})"))
    assert outcome["note"] == "bEx in cell number 1"


def test_a_cell_over_its_time_is_noted_and_the_rest_runs():
    cells = cell("while True: pass", "slow", ANSWER), cell("1", "tests", TEST)
    outcome = run(*cells, limits={"cell_seconds": 0.5})
    assert outcome["state"] == "graded"
    assert outcome["note"] == "cell slow stopped at the time limit"
    assert statuses(outcome) == ["timeout", "ok"]


def test_locked_cells_before_the_first_answer_have_time_for_imports():
    session = Scripted()
    run_job(make(cell("a", "imports", LOCKED), cell("own"), cell("b", "x", ANSWER), cell("c", "more", LOCKED)), session)
    assert [round(seconds) for _, seconds in session.asked] == [120, 10, 10, 10]


def test_the_time_of_the_submission_is_shared_by_its_cells():
    cells = cell("import time"), cell("while True: pass", "slow", ANSWER), cell("1", "tests", TEST)
    began = time.monotonic()
    outcome = run(*cells, limits={"seconds": 1.5})
    assert time.monotonic() - began < 9  # a cell may take 10 s
    assert outcome["state"] == "student-error"
    assert statuses(outcome) == ["ok", "timeout", "not-run"]
    assert outcome["note"] == (
        "cell slow stopped at the time limit; the whole submission has 1.5 s, which were over before cell tests"
    )


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("import os\nos._exit(0)", "cell bad ended the submission's own process"),
        ("import ctypes\nctypes.string_at(0)", "the submission's process crashed in cell bad"),
        ("import os\nos.kill(os.getpid(), 9)", "cell bad used more than 4096 MB"),
        (
            "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
            "cell bad stopped at the time limit and did not react to the interrupt",
        ),
    ],
)
def test_how_a_session_ended_is_noted_and_test_cells_after_it_earn_nothing(source, note, monkeypatch):
    monkeypatch.setattr(session_module, "GRACE_SECONDS", 0.5)
    cells = cell("1", "ok", ANSWER), cell(source, "bad", ANSWER), cell("pass", "tests", TEST)
    outcome = run(*cells, limits={"cell_seconds": 1})
    assert (outcome["state"], outcome["note"]) == ("student-error", note)
    assert statuses(outcome) == ["ok", "died", "not-run"]
    executed = outcome["notebooks"]["a.ipynb"]["cells"]
    assert executed[2]["outputs"][0]["traceback"] == [f"CellNotRun: {note}"]
    assert executed[2]["execution_count"] is None
    assert points(executed, outcome["cells"]["a.ipynb"])[0]["tests"]["auto"] == 0


def test_exit_in_the_last_cell_loses_nothing():
    assert run(cell("x = 1", "x", ANSWER), cell("exit()"))["state"] == "graded"
    outcome = run(cell("exit()"), cell("pass", "tests", TEST))
    assert outcome["state"] == "student-error"
    assert outcome["note"] == "a cell ended the submission's own process (exit)"


@pytest.mark.parametrize(("reason", "words"), [("output", "put out more than the 1,000,000"), ("", "crashed")])
def test_other_ends_have_words_too(reason, words):
    session = Scripted(CellResult(status="died", reason=reason))
    assert words in run_job(make(cell("1")), session)["note"]


# --- several notebooks, cells that do not run -------------------------------------------------------------------------


def test_each_notebook_has_a_session_of_its_own_and_the_time_is_shared():
    job = make(cell("x = 1"))
    job["notebooks"]["b.ipynb"] = json.loads(json.dumps(new_notebook(cells=[cell("x")])))
    outcome = run_job(job, open_insecure)
    assert outcome["note"] == "NameError in cell number 1"
    assert statuses(outcome, "b.ipynb") == ["error"]
    job["limits"]["seconds"] = 0.9  # the scripted session says that it took a second
    outcome = run_job(job, Scripted())
    assert (statuses(outcome), statuses(outcome, "b.ipynb")) == (["ok"], ["not-run"])
    assert outcome["state"] == "student-error"
    known = {"seconds": 1.0, "cpu_seconds": 0.5, "memory_mb": 10.0, "processes": 2}
    assert outcome["usage"] == Usage().as_dict() | known


def test_empty_and_skipped_cells_do_not_run_and_are_no_error():
    session = Scripted()
    outcome = run_job(make(cell(" \n"), cell("1", tags=["skip-execution"]), cell("2", tags=["other"])), session)
    assert [source for source, _ in session.asked] == ["2"]
    assert statuses(outcome) == ["ok", "ok", "ok"]
    counts = [c["execution_count"] for c in outcome["notebooks"]["a.ipynb"]["cells"]]
    assert counts == [None, None, 1]


# --- faults of ours ---------------------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_no_grade():
    def broken(limits, files):
        raise SandboxError("no bubblewrap here")

    outcome = run_job(make(cell("1")), broken)
    assert (outcome["state"], outcome["note"]) == ("infra-error", "no bubblewrap here")
    assert (outcome["notebooks"], outcome["cells"]) == ({}, {})


def test_another_environment_is_refused_and_the_error_travels():
    with pytest.raises(EnvironmentDiffersError, match="another Python environment") as caught:
        run_job(make(cell("1"), environment="0" * 64), Scripted())
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_environments_hash_depends_on_versions_and_on_our_code(monkeypatch):
    before = environment_hash()
    assert len(before) == 64
    environment_hash.cache_clear()
    assert environment_hash() == before
    monkeypatch.setattr(job_module, "_PACKAGES", (*job_module._PACKAGES, "no-such-package"))
    environment_hash.cache_clear()
    assert environment_hash() != before
    environment_hash.cache_clear()


# --- nbgrader's rules, and this course's projects --------------------------------------------------------------------

TESTS = [
    "assert True",
    "assert False",
    "import sys\nprint('x', file=sys.stderr)",
    "import warnings\nwarnings.warn('x')",
    "import os\nos.system('echo x >&2')",
    "print('x')",
    "1.5",
    "-1",
    "'all'",
    "display(0)",
    "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()",
    "import sys\nsys.exit()",
    "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)):\n    pass",
    "%nosuchmagic",
    "!echo x >&2",
    "import time\ntime.sleep(0.3)",
]


def grades(notebook: dict) -> dict:
    from nbgrader.utils import determine_grade, is_grade

    notebook = nbformat.from_dict(notebook)
    return {c.metadata.nbgrader.grade_id: determine_grade(c) for c in notebook.cells if is_grade(c)}


@pytest.fixture(scope="module", autouse=True)
def nbgrader_warns():
    """nbgrader's own imports warn."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbgrader.utils  # noqa: F401


def test_a_test_cell_earns_what_it_earns_in_stock_nbgrader(tmp_path):
    cells = [cell(source, f"t{number}", TEST) for number, source in enumerate(TESTS)]
    job = make(*cells)
    ours = run_job(job, open_insecure)["notebooks"]["a.ipynb"]
    theirs = stock(job["notebooks"]["a.ipynb"], tmp_path)
    assert grades(ours) == grades(theirs)
    assert [grades(ours)[f"t{number}"][0] for number in range(7)] == [2, 0, 0, 0, 0, 2, 1.5]


def solution(project: str) -> dict:
    """A project's solution with the parameters of grading, as autograding makes it."""
    folder = ROOT / "solutions" / project
    notebook = nbformat.read(folder / f"{project}.ipynb", as_version=4)
    grading = yaml.safe_load((folder / "project.yml").read_text())["grading"]
    for each in notebook.cells:
        if "parameters" in each.metadata.get("tags", []):
            each.source += "".join(f"\n{name} = {value!r}" for name, value in grading["parameters"].items())
    return notebook


@pytest.mark.parametrize(
    "project",
    ["checkpoint-01", *(pytest.param(name, marks=pytest.mark.full) for name in ("checkpoint-02", "generative"))],
)
def test_a_solution_of_this_course_earns_what_it_earns_in_stock_nbgrader(project, tmp_path):
    notebook = solution(project)
    job = make(limits={"cell_seconds": 120}, notebooks={project: notebook})
    outcome = run_job(job, open_insecure)
    assert (outcome["state"], outcome["note"]) == ("graded", "")
    ours, theirs = outcome["notebooks"][project], stock(notebook, tmp_path, seconds=120)
    assert grades(ours) == grades(theirs)
    assert all(earned in (None, most) for earned, most in grades(ours).values())
    assert [_kinds(each) for each in ours["cells"]] == [_kinds(each) for each in theirs["cells"]]


def _kinds(cell: dict) -> list[str]:
    """What a cell shows, without progress bars: they come only where a step takes more than two seconds."""
    bar = "application/vnd.jupyter.widget-view+json"
    shown = [output for output in cell.get("outputs", []) if bar not in output.get("data", {})]
    return [output["output_type"] for output in comparable(shown)]
