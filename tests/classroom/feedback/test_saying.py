"""What code prints in hidden tests is kept apart from the rest, from the student's process to the page.

In order: texts in their places; both streams at once; other outputs between; lines above the parts; without hidden
tests; and through the whole pipeline: a function that prints its argument, on both streams and as a display, a class
whose method prints, and a thread that prints later.
"""

import json

from classroom.inside.examine.saying import HIDDEN, VISIBLE, in_parts, turn, visible_part, with_lines


class Streams:
    """Stands for a recorder: the streams as text."""

    def __init__(self) -> None:
        self.text = {"stdout": "", "stderr": ""}

    def stream(self, name: str, text: str) -> None:
        self.text[name] += text


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


def test_through_the_whole_pipeline(tiny):
    tiny.hand_in("ada", "tiny", ANSWER)
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
