"""What code prints in hidden tests is kept apart from the rest, from the student's process to the page.

In order: texts in their places; both streams at once; other outputs between; outputs that are taken back, cut or
changed in hidden tests; lines above the parts; without hidden tests; and through the whole pipeline: a function that
prints its argument, on both streams and as a display, a class whose method prints, and one that clears what is there.
"""

import json

import pytest

from classroom.inside.examine.saying import HIDDEN, VISIBLE, in_parts, turn, visible_part, with_lines
from classroom.inside.record import Recorder
from classroom.sandbox.examination import said


class Streams:
    """Stands for a recorder: the streams as text."""

    def __init__(self) -> None:
        self.text = {"stdout": "", "stderr": ""}

    def stream(self, name: str, text: str) -> None:
        self.text[name] += text

    def mark(self, text: str) -> None:
        self.text = {name: before + text for name, before in self.text.items()}


def test_parts_in_both_streams():
    made = Streams()
    made.stream("stdout", "a\n")
    turn(made, True)
    made.stream("stdout", "hidden\n")
    made.stream("stderr", "hidden too\n")
    turn(made, False)
    made.stream("stderr", "b\n")
    outputs = [("stdout", made.text["stdout"]), ("stderr", made.text["stderr"])]
    assert in_parts(outputs) == [(False, "a\n"), (True, "hidden\n"), (True, "hidden too\n"), (False, "b\n")]


def test_other_outputs_have_the_state_that_holds():
    made = Streams()
    turn(made, True)
    outputs = [("stdout", made.text["stdout"]), ("stderr", made.text["stderr"]), ("", "a picture\n"), ("stdout", "x\n")]
    assert in_parts(outputs) == [(True, "a picture\n"), (True, "x\n")]
    assert in_parts([("", "a picture\n")]) == [(False, "a picture\n")]
    assert in_parts([("", "a picture\n")], some_hidden=True) == [(True, "a picture\n")], "no note: it may be anything"


STEPS = {
    "turn": turn,
    "print": lambda recorder, text: recorder.stream("stdout", f"{text}\n"),
    "show": lambda recorder, text, kind: recorder.add(
        {"output_type": kind, "data": {"text/plain": text}, "metadata": {}}, "a"
    ),
    "update": lambda recorder, text: recorder.update("a", {"text/plain": text}, {}),
    "clear": lambda recorder, wait: recorder.clear(wait),
}


def said_by(*steps) -> str:
    """What a recorder has kept of what was printed, cleared and displayed in visible and in hidden tests."""
    recorder = Recorder(2000, 10_000)
    turn(recorder, False)
    for what, *words in steps:
        STEPS[what](recorder, *words)
    return said(recorder.finish(), some_hidden=True)


@pytest.mark.parametrize("wait", [False, True])
def test_what_clears_the_output_takes_no_note_away(wait):
    text = said_by(("print", "a"), ("turn", True), ("clear", wait), ("print", "b"), ("turn", False), ("print", "c"))
    assert text == f"{HIDDEN}\nb\n{VISIBLE}\nc\n"
    text = said_by(("turn", True), ("print", "b"), ("turn", False), ("clear", wait), ("print", "c"))
    assert text == f"{VISIBLE}\nc\n"
    assert said_by(("turn", True), ("clear", wait), ("show", "b", "display_data")) == f"{HIDDEN}\nb\n"


def test_where_there_is_no_room_the_note_is_still_there():
    text = said_by(("print", "x" * 5000), ("turn", True), ("print", "b"), ("show", "3", "execute_result"))
    assert visible_part(text, True)[0].strip("x\n") == ""
    assert visible_part(text, True)[1]


def test_a_display_is_not_changed_by_hidden_tests():
    shown = ("show", "x = 1", "display_data")
    text = said_by(shown, ("turn", True), ("update", "x = 2"), ("update", "x = 3"), ("turn", False), ("print", "c"))
    assert text == f"{VISIBLE}\nx = 1\n{HIDDEN}\nx = 3\n{VISIBLE}\nc\n"


def test_without_hidden_tests_nothing_is_added():
    recorder = Recorder(2000, 10_000)
    turn(recorder, False)
    assert said(recorder.finish()) == ""
    recorder.start()
    turn(recorder, False)
    recorder.stream("stdout", "a")
    assert said(recorder.finish()) == "a\n"


def test_lines_above_the_parts():
    text = with_lines([(False, "a"), (True, " \n"), (True, "b\n"), (True, "c\n"), (False, "d\n")])
    assert text == f"{VISIBLE}\na\n{HIDDEN}\nb\nc\n{VISIBLE}\nd\n"
    assert visible_part(text, True) == ("a\nd\n", True)
    assert visible_part(with_lines([(False, "a\n")]), True) == ("a\n", False)
    assert visible_part("a\n", False) == ("a\n", False)
    assert visible_part("from before there were lines\n", True) == ("", True)
    assert with_lines([(True, "\n")]) == ""


ANSWER = """\
import sys, threading
class Double:
    def __call__(self, x):
        print("called with", x)
        print("on stderr", x, file=sys.stderr)
        return Number(2 * x)
class Number(int):
    pass
def double(x):
    from IPython.display import display
    display(f"shown {x}")
    return int(Double()(x))
"""


CLEARS = """\
def double(x):
    from IPython.display import clear_output
    clear_output()
    print("called with", x)
    return 2 * x
"""


def test_through_the_whole_pipeline(tiny):
    tiny.hand_in("ada", "tiny", ANSWER)
    tiny.hand_in("bob", "tiny", CLEARS)
    done = tiny.run("autograde", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tiny.root / "course/results/tiny/ada.result.json").read_text())
    (found,) = [cell for cell in record["cells"]["tiny.ipynb"] if cell["grade_id"] == "double-tests"]
    assert found["by"] == "examiner"
    visible, more = visible_part(found["said"], True)
    assert more
    assert {"called with 2", "on stderr 2", "'shown 2'"} <= set(visible.splitlines())
    assert "-1" not in visible
    assert "called with -1" in found["said"], "the instructor has it all"
    done = tiny.run("feedback", "tiny")
    assert done.returncode == 0, done.stdout
    page = (tiny.root / "course/feedback/ada/tiny/tiny.html").read_text()
    assert "called with 2" in page
    assert "-1" not in page.split("<main")[1].replace("part-1", "")
    assert "Your code printed something in hidden tests" in page
    record = json.loads((tiny.root / "course/results/tiny/bob.result.json").read_text())
    (found,) = [cell for cell in record["cells"]["tiny.ipynb"] if cell["grade_id"] == "double-tests"]
    assert "called with -1" in found["said"]
    assert "called with -1" not in visible_part(found["said"], True)[0]
    page = (tiny.root / "course/feedback/bob/tiny/tiny.html").read_text()
    assert "called with -1" not in page
