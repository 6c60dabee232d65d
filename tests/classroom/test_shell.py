"""The shell that runs cells.

In order: a bank of cells with the same outputs as from a Jupyter kernel through nbgrader (those stopped at a limit with
--full); forks of a warm shell; interrupts, also of what nbgrader cannot interrupt; output that is too much, from
Python, children, in pieces; what a grade depends on and is kept; text that is no UTF-8; closed descriptors; forks
of the student's own; `exit`.
"""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from classroom.insecure import open_insecure
from classroom.sandbox.policy import Limits

sys.path.insert(0, str(Path(__file__).parent / "cells"))  # not a package

from cell_bank import CELLS, SLOW
from running import WarmForks, comparable, stock

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def notebook(cells: list[tuple[str, str]]) -> dict:
    return new_notebook(metadata=KERNEL, cells=[new_code_cell(source) for _, source in cells])


@pytest.fixture(scope="module")
def by_nbgrader(tmp_path_factory) -> dict[str, list[dict]]:
    done = stock(notebook(CELLS), tmp_path_factory.mktemp("stock"))
    return {name: cell["outputs"] for (name, _), cell in zip(CELLS, done["cells"], strict=True)}


@pytest.fixture(scope="module")
def forks(tmp_path_factory) -> WarmForks:
    forks = WarmForks(tmp_path_factory.mktemp("warm"), 3)
    yield forks
    forks.close()


@pytest.fixture(scope="module")
def by_us(forks) -> dict[str, list[dict]]:
    return {name: forks.sessions[0].run(source, seconds=30).outputs for name, source in CELLS}


@pytest.fixture
def session():
    with open_insecure(Limits(cell_output_bytes=20_000, output_bytes=60_000), {}) as session:
        yield session


# --- the same outputs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, _ in CELLS])
def test_a_cell_gives_the_same_outputs_as_in_a_jupyter_kernel(name, by_nbgrader, by_us):
    ours, theirs = comparable(by_us[name]), comparable(by_nbgrader[name])
    if name == "an error in drawing":  # a kernel draws twice, and fails twice
        theirs = [output for output in theirs if "_draw_all_if_interactive" not in json.dumps(output)]
    assert ours == theirs


def test_outputs_are_a_notebooks(by_us):
    cells = [new_code_cell("", outputs=nbformat.from_dict(outputs)) for outputs in by_us.values()]
    nbformat.validate(new_notebook(cells=cells))


@pytest.mark.full
def test_a_cell_that_is_stopped_gives_the_same_outputs_as_by_nbgrader(tmp_path):
    done = stock(notebook(SLOW), tmp_path, seconds=1)
    with open_insecure(Limits(), {}) as session:
        for (name, source), cell in zip(SLOW, done["cells"], strict=True):
            assert comparable(session.run(source, seconds=1).outputs) == comparable(cell["outputs"]), name


# --- forks of a warm shell --------------------------------------------------------------------------------------------


def test_the_warm_process_has_one_thread_to_fork(forks):
    assert forks.threads_before_the_fork == 1


def test_forks_know_nothing_of_each_other_and_draw_different_numbers(forks):
    draw = "import random, numpy, torch\nrandom.random(), numpy.random.rand(), torch.rand(1).item()"
    one, other = (session.run(draw, seconds=10).outputs[0]["data"]["text/plain"] for session in forks.sessions[1:])
    assert not set(one.strip("()").split(", ")) & set(other.strip("()").split(", "))
    forks.sessions[1].run("secret = 1", seconds=10)
    assert forks.sessions[2].run("secret", seconds=10).outputs[0]["ename"] == "NameError"


def test_a_light_cell_and_a_plot_are_quick_in_a_fork(forks):
    run = forks.sessions[1].run
    light = min(run("1 + 1", seconds=10).seconds for _ in range(5))
    plot = min(run("import matplotlib.pyplot as plt\nplt.plot([1])", seconds=10).seconds for _ in range(3))
    assert light < 0.05, light  # some 2 ms
    assert plot < 1, plot  # some 80 ms


# --- time -------------------------------------------------------------------------------------------------------------


def test_an_interrupted_cell_costs_its_seconds_and_the_next_goes_on(session):
    stopped = session.run("n = 0\nwhile True:\n    n += 1", seconds=0.3)
    assert stopped.status == "timeout"
    assert 0.3 <= stopped.seconds < 20
    assert [output["ename"] for output in stopped.outputs] == ["KeyboardInterrupt", "CellTimeoutError"]
    assert session.run("n > 0", seconds=5).outputs[0]["data"]["text/plain"] == "True"


def test_what_nbgrader_could_not_interrupt(session):
    for source in (
        "import asyncio\nawait asyncio.sleep(30)",
        "async def busy():\n    while True:\n        pass\nawait busy()",
        "!sleep 30",
        "!trap '' INT; sleep 30",
    ):
        stopped = session.run(source, seconds=0.3)
        assert stopped.status == "timeout", source
        assert stopped.outputs[-1]["ename"] == "CellTimeoutError"
        assert stopped.seconds < 20  # of 30


def test_alarms_are_the_students(session):
    limited = "import signal, time\ndef late(*_):\n    raise OSError('late')\nsignal.signal(signal.SIGALRM, late)\n"
    result = session.run(limited + "signal.setitimer(signal.ITIMER_REAL, 0.1)\ntime.sleep(20)", seconds=10)
    assert [output["ename"] for output in result.outputs] == ["OSError"]


def test_a_cells_processor_time_counts_its_children(session):
    result = session.run("import os\nos.system('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done')", seconds=20)
    assert result.cpu_seconds > 0.05


# --- output -----------------------------------------------------------------------------------------------------------


def test_text_past_the_limit_is_cut_and_a_line_says_so(session):
    outputs = session.run("print('x' * 100_000)", seconds=10).outputs
    assert [output["name"] for output in outputs] == ["stdout", "stdout"]
    assert len(outputs[0]["text"]) == 20_000
    assert outputs[1]["text"] == "\n[output cut here: this cell wrote more than 20,000 bytes]\n"


def test_what_a_grade_depends_on_is_never_cut(session):
    flood = "import sys\nprint('x' * 100_000)\n"
    result = session.run(flood + "print('warned', file=sys.stderr)\n0.5", seconds=10)
    kinds = [(output["output_type"], output.get("name")) for output in result.outputs]
    assert ("stream", "stderr") in kinds
    assert next(o for o in result.outputs if o["output_type"] == "execute_result")["data"] == {"text/plain": "0.5"}
    failed = session.run(flood + "assert False, 'y' * 100_000", seconds=10)
    error = next(output for output in failed.outputs if output["output_type"] == "error")
    assert error["ename"] == "AssertionError"
    assert len(json.dumps(failed.outputs)) < 400_000


def test_all_cells_together_have_a_limit(session):
    for _ in range(3):
        session.run("print('x' * 19_990)", seconds=10)
    outputs = session.run("print('x' * 1000)", seconds=10).outputs
    assert outputs[-1]["text"] == "\n[output cut here: this notebook wrote more than 60,000 bytes]\n"


def test_what_was_cleared_does_not_count(session):
    loop = "from IPython.display import clear_output\nfor i in range(50):\n    clear_output()\n    print('x' * 1000, i)"
    outputs = session.run(loop, seconds=10).outputs
    assert len(outputs) == 1
    assert outputs[0]["text"].endswith(" 49\n")


def test_a_flood_from_a_child_takes_no_memory(session):
    peak = "import resource\nresource.getrusage(resource.RUSAGE_SELF).ru_maxrss"
    before = int(session.run(peak, seconds=10).outputs[0]["data"]["text/plain"])  # a fork starts with its parent's peak
    flood = (
        "import subprocess\ntry:\n    subprocess.run(['yes'], timeout=1)\nexcept subprocess.TimeoutExpired:\n    pass"
    )
    assert session.run(flood, seconds=20).status == "ok"
    assert session.run("!timeout 1 yes", seconds=20).status == "ok"
    assert int(session.run(peak, seconds=10).outputs[0]["data"]["text/plain"]) < before + 100_000  # kB


def test_many_tiny_outputs_are_too_many(session):
    result = session.run("for i in range(10_000):\n    display(i)", seconds=60)
    assert len(result.outputs) < 200
    assert "output cut here" in result.outputs[-1]["text"]


def test_strange_text_survives(session):
    strange = "import os\nprint('\\ud800 \\0 \\x1b[31m é', flush=True)\nos.write(1, b'\\xff\\n'); None"
    text = session.run(strange, seconds=10).outputs[0]["text"]
    assert text == "? \0 \x1b[31m é\n\ufffd\n"


def test_closed_descriptors_are_only_the_students_loss(session):
    session.run("import os\nos.close(1)\nos.close(2)", seconds=10)
    assert session.run("print('still')", seconds=10).outputs[0]["text"] == "still\n"
    used = session.run("import time\ntime.sleep(0.5)", seconds=10)
    assert used.cpu_seconds < 0.3  # nobody spins on a pipe that has ended


def test_a_fork_that_goes_on_does_not_answer_for_its_parent(session):
    forked = "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nprint('child' if pid == 0 else 'parent')"
    outputs = session.run(forked, seconds=10).outputs
    assert sorted(outputs[0]["text"].split()) == ["child", "parent"]
    assert session.run("1 + 1", seconds=10).outputs[0]["data"]["text/plain"] == "2"


def test_exit_ends_the_session_after_its_cell(session):
    assert session.run("print('bye')\nexit()", seconds=10).status == "ok"
    after = session.run("1", seconds=10)
    assert (after.status, after.reason) == ("not-run", "exit")
