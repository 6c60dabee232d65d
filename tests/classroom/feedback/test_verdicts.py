"""What is told of a test cell.

In order: checks with errors of visible ones only; a plain assert that is visible, hidden, over several lines, in a
helper function that is hidden, before a `finally`, after empty lines, in a cell that is no Python; errors without a
traceback; tests that were stopped; a result reached beside the student's code; what code printed; points by the cell's
last value.
"""

import json
import subprocess
import sys

import pytest

from classroom.feedback.verdicts import hidden_texts, verdict
from classroom.inside.examine.saying import HIDDEN, VISIBLE

PLAIN = "assert double(2) == 4\n### BEGIN HIDDEN TESTS\nassert double(-1) == -2, 'minus one'\n### END HIDDEN TESTS"


def cell(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}}


def ran(status: str = "ok", checks: list | None = None, said: str = "", by: str = "examiner") -> dict:
    return {"status": status, "checks": checks or [], "said": said, "by": by}


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


SOURCES = {
    "visible": "assert double(2) == 5, 'two'\n" + PLAIN.split("\n", 1)[1],
    "hidden": PLAIN,
    "long": "for n in (1, 2):\n    assert (\n        double(n)\n        == 3\n    ), f'for {n}'\n",
    "helper": "pass\n### BEGIN HIDDEN TESTS\ndef inspect(f):\n    assert f(7) == 8, 'seven'\n### END HIDDEN TESTS\n"
    "inspect(double)",
    "finally": "try:\n    pass\n    ### BEGIN HIDDEN TESTS\n    assert double(8) == 9, 'eight'\n"
    "    ### END HIDDEN TESTS\nfinally:\n    double = double",
    "empty": "\n\nassert double('x') == 4",
    "magic": "%time 1\nassert double(2) == 5\n### BEGIN HIDDEN TESTS\nassert False\n### END HIDDEN TESTS",
}
SCRIPT = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns["double"] = lambda x: 2 * abs(x)
left = {}
for name, source in json.load(sys.stdin).items():
    shell._showtraceback = lambda kind, value, trace: left.update({name: [kind.__name__, str(value), trace]})
    shell.run_cell(source, store_history=True)
print("@@" + json.dumps(left))
"""


@pytest.fixture(scope="module")
def failing():
    """By name the cells of SOURCES with the errors that IPython leaves in them."""
    python = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(python, input=json.dumps(SOURCES), capture_output=True, text=True, check=True, timeout=120)
    found = {}
    for name, (kind, value, trace) in json.loads(done.stdout.split("@@")[-1]).items():
        error = {"output_type": "error", "ename": kind, "evalue": value, "traceback": trace}
        found[name] = cell(SOURCES[name], error)
    return found


def test_errors_of_hidden_checks_stay_away():
    checks = [
        {"name": "value", "points": 1, "passed": False, "hint": "add", "error": "got 3", "hidden": False},
        {"name": "deep", "points": 2, "passed": False, "hint": "subtract", "error": "got 3 for 17", "hidden": True},
        {"name": "odd", "points": 1, "passed": False, "hint": "", "error": "from before there was such a field"},
        {"name": "fine", "points": 1, "passed": True, "hint": "h", "error": "", "hidden": True},
    ]
    told = verdict(cell(PLAIN, stream("✗ deep\n    got 3 for 17\n")), ran(checks=checks))
    assert [(check.name, check.error, check.hint) for check in told.checks] == [
        ("value", "got 3", "add"),
        ("deep", "", "subtract"),
        ("odd", "", ""),
        ("fine", "", "h"),
    ]
    assert "17" not in repr(told)


def test_a_visible_assert_that_failed_is_shown(failing):
    told = verdict(failing["visible"], ran("error"))
    assert (told.failed_line, told.message, told.remarks) == ("assert double(2) == 5, 'two'", "two", [])


def test_a_hidden_assert_that_failed_is_not(failing):
    told = verdict(failing["hidden"], ran("error"))
    assert told.remarks == ["A hidden test failed: one that only grading runs."]
    assert (told.failed_line, told.message) == ("", "")


def test_a_statement_of_several_lines(failing):
    told = verdict(failing["long"], ran("error"))
    assert told.failed_line == "assert (\n    double(n)\n    == 3\n), f'for {n}'"
    assert told.message == "for 1"


def test_a_visible_line_that_fails_in_a_hidden_function(failing):
    told = verdict(failing["helper"], ran("error"))
    assert told.remarks == ["A hidden test failed: one that only grading runs."]
    assert "seven" not in repr(told)


def test_what_a_finally_passes_on_is_not_taken_for_its_own(failing):
    told = verdict(failing["finally"], ran("error"))
    assert told.remarks == ["A hidden test failed: one that only grading runs."]
    assert "eight" not in repr(told)


def test_an_error_of_another_kind_has_its_name(failing):
    told = verdict(failing["empty"], ran("error"))
    assert told.failed_line == "assert double('x') == 4"
    assert told.message.startswith("TypeError: bad operand type")


def test_a_cell_that_is_no_python(failing):
    told = verdict(failing["magic"], ran("error"))
    assert told.failed_line == "assert double(2) == 5"


@pytest.mark.parametrize("trace", [[], ["nothing of use"], ["----> 99 assert x"], ["----> 1 something else"]])
def test_where_the_line_is_unknown_it_counts_as_hidden(trace):
    error = {"output_type": "error", "ename": "AssertionError", "evalue": "secret 42", "traceback": trace}
    told = verdict(cell(PLAIN, error), ran("error"))
    assert "secret" not in repr(told)
    assert told.remarks
    # Without hidden tests there is nothing to keep.
    assert verdict(cell("assert double(2) == 5", error), ran("error")).message == "secret 42"


@pytest.mark.parametrize(
    ("status", "words"), [("timeout", "time limit"), ("died", "ended"), ("not-run", "not reached")]
)
def test_tests_that_were_stopped(status, words):
    error = {"output_type": "error", "ename": "CellDied", "evalue": "x", "traceback": ["x"]}
    told = verdict(cell(PLAIN, error), ran(status, [{"name": "a", "points": 1, "passed": True, "hidden": False}]))
    assert words in told.remarks[0]
    assert [check.name for check in told.checks] == ["a"]


def test_a_verdict_beside_the_students_code_shows_visible_checks_by_what_it_printed():
    source = (
        'with check("one", points=1, hint="add"):\n    pass\n### BEGIN HIDDEN TESTS\n'
        'with check("two", points=1, hint="more"):\n    pass\n### END HIDDEN TESTS\nscore()'
    )
    printed = "✗ one (1 point)\n    got 3\n    add\n✗ two (1 point)\n    got 7 for 17\n    more\n✓ forged (9 points)\n"
    told = verdict(cell(source, stream(printed)), ran(by="session"))
    assert [(check.name, check.passed, check.hint, check.error) for check in told.checks] == [("one", False, "add", "")]
    assert "17" not in repr(told)


def test_what_the_code_printed():
    text = f"{VISIBLE}\nwith 2\n{HIDDEN}\nwith -1\n{VISIBLE}\nand 3\n"
    told = verdict(cell(PLAIN), ran(said=text))
    assert (told.said, told.hidden_said) == ("with 2\nand 3\n", True)
    assert verdict(cell(PLAIN), ran(said="of a result without the lines")).said == ""
    assert verdict(cell("assert True"), ran(said="all of it")).said == "all of it"


def test_what_the_tests_printed_is_shown_where_none_is_hidden():
    assert verdict(cell(PLAIN, stream("for -1: 2\n")), ran()).printed == ""
    shown = verdict(cell("print(1)", stream("1\n"), stream("Your code printed this while it was tested:\n2\n")), ran())
    assert shown.printed == "1\n"


def test_points_by_a_last_value_are_not_called_passed():
    value = {"output_type": "execute_result", "data": {"text/plain": "1"}, "metadata": {}, "execution_count": 1}
    assert verdict(cell("1", value), ran()).remarks == []
    assert verdict(cell("assert True"), ran()).remarks == ["All tests of this part passed."]


def test_hidden_lines_that_are_visible_elsewhere_are_no_secrets():
    source = "x = f(1)\n### BEGIN HIDDEN TESTS\nx = f(1)\nassert x == 12\n### END HIDDEN TESTS"
    assert hidden_texts(cell(source)) == {"### BEGIN HIDDEN TESTS", "assert x == 12", "### END HIDDEN TESTS"}
