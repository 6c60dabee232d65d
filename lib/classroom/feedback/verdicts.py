"""What a student may be told of a test cell: which checks passed, hints, and the words of visible tests only.

A result file holds everything, for the instructor. Of a hidden test a student sees its name, points and hint; never its
text, a value in it, its message, or a traceback through it. Where it can't be told which of the two something belongs
to, it stays away.
"""

import ast
import re
from dataclasses import dataclass, field

from classroom.inside.examine.saying import visible_part
from classroom.plan import HIDDEN, hidden_lines
from classroom.teststep import SAID

_COLOUR = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]")
_ARROW = re.compile(r"^-+> *(\d+) ?(.*)$", re.MULTILINE)
_OUTCOME = re.compile(r"([✓✗]) (.+?)(?: \([\d.e+-]+ points?\))?")
_MOST_LINES = 12  # of a failing statement
_STOPPED = {
    "timeout": "The tests of this part were stopped at the time limit; what was not reached has no points.",
    "died": "The tests of this part ended before their last line; what was not reached has no points.",
    "not-run": "The tests of this part were not reached, so it has no points.",
}


@dataclass(frozen=True)
class Check:
    """One check as the student sees it; `error` is empty for a hidden one."""

    name: str
    points: float
    passed: bool
    hint: str = ""
    error: str = ""
    hidden: bool = False


@dataclass
class Verdict:
    """What is told of one test cell."""

    checks: list[Check] = field(default_factory=list)
    failed_line: str = ""  # the visible statement that failed
    message: str = ""  # what it said
    remarks: list[str] = field(default_factory=list)  # in words
    said: str = ""  # what the student's code printed when visible tests called it
    printed: str = ""  # what the tests themselves printed, if none of them is hidden
    hidden_said: bool = False  # whether something was printed in hidden tests, which is not shown


def verdict(cell: dict, ran: dict, marks: tuple[str, str] = HIDDEN) -> Verdict:
    """What is told of a test cell.

    Args:
        cell: of the result's notebook, with hidden tests and outputs.
        ran: what the result says of it: `status`, and `checks`, `said`, `by` where there are any.
        marks: nbgrader's marks around hidden tests.
    """
    source, status = cell["source"], ran.get("status", "not-run")
    away = _away(source, marks)
    told = Verdict()
    examined = ran.get("by") == "examiner"
    if examined and ran.get("checks"):
        told.checks = [_shown(check) for check in ran["checks"]]
    elif not examined:
        told.checks = _printed_checks(cell, _without(source, away))
    if status in _STOPPED:
        told.remarks.append(_STOPPED[status])
    elif status != "ok":
        _tell_failure(told, cell, source, away)
    elif not told.checks:
        told.remarks += [] if _points_given(cell) else ["All tests of this part passed."]
    if examined:
        told.said, told.hidden_said = visible_part(ran.get("said", ""), bool(away))
    if not away and not told.checks:
        told.printed = _printed(cell)
    return told


def hidden_texts(cell: dict, marks: tuple[str, str] = HIDDEN) -> set[str]:
    """The lines of a cell's hidden tests that are not visible elsewhere in it, without the space around them."""
    away = _away(cell["source"], marks)
    lines = [(n in away, line.strip()) for n, line in enumerate(cell["source"].split("\n"), 1)]
    return {line for hidden, line in lines if hidden and line} - {line for hidden, line in lines if not hidden}


def _shown(check: dict) -> Check:
    hidden = check.get("hidden") is not False
    return Check(
        name=check["name"],
        points=check.get("points", 0.0),
        passed=check["passed"] is True,
        hint=check.get("hint", ""),
        error="" if hidden else check.get("error", ""),
        hidden=hidden,
    )


def _tell_failure(told: Verdict, cell: dict, source: str, away: set[int]) -> None:
    """A test that raised outside a check: its line and message, if it is a visible one."""
    errors = [output for output in cell.get("outputs", []) if output.get("output_type") == "error"]
    if not errors:
        told.remarks.append("A test of this part failed.")
        return
    lines, reached = source.split("\n"), _reached(errors[0], source)
    if away and (reached is None or reached in away or _passes_through(errors[0], lines, away)):
        told.remarks.append("A hidden test failed: one that only grading runs.")
        return
    told.failed_line = _statement(source, reached, away) if reached else ""
    name, value = errors[0].get("ename", ""), errors[0].get("evalue", "")
    told.message = value if name == "AssertionError" else f"{name}: {value}" if value else name
    if not told.failed_line and not told.message:
        told.remarks.append("A test of this part failed.")


def _reached(error: dict, source: str) -> int | None:
    """The cell's line, from 1, that an error's traceback begins in; None if it does not say so plainly."""
    found = _ARROW.search(_plain_trace(error))
    if found is None:
        return None
    lines = source.split("\n")
    skipped = next(
        (n for n, line in enumerate(lines) if line.strip()), 0
    )  # IPython leaves empty lines at the start out
    for number in (int(found[1]), int(found[1]) + skipped):
        if 0 < number <= len(lines) and lines[number - 1].strip() == found[2].strip():
            return None if _is_finally(source, number) else number
    return None


def _is_finally(source: str, line: int) -> bool:
    """Whether a line stands in a `finally`: Python names its last line for what was raised before it."""
    tries = [node for node in ast.walk(_tree(source)) if isinstance(node, ast.Try) and node.finalbody]
    return any(node.finalbody[0].lineno <= line <= node.finalbody[-1].end_lineno for node in tries)


def _tree(source: str) -> ast.Module:
    """A cell's syntax tree; an empty one where it is no plain Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _passes_through(error: dict, lines: list[str], away: set[int]) -> bool:
    """Whether any frame of a traceback stands at a line of a hidden test."""
    hidden = {lines[n - 1].strip() for n in away}
    return any(found[2].strip() in hidden for found in _ARROW.finditer(_plain_trace(error)))


def _plain_trace(error: dict) -> str:
    trace = error.get("traceback") or []
    return _COLOUR.sub("", "\n".join(map(str, trace)))


def _statement(source: str, line: int, away: set[int]) -> str:
    """The statement at a line, as far as it is visible; the line alone where the cell is not plain Python."""
    lines = source.split("\n")
    first = last = line
    tree = ast.walk(_tree(source))
    around = [n for n in tree if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or n.lineno)]
    simple = [node for node in around if not hasattr(node, "body")]
    if simple:
        first, last = simple[-1].lineno, simple[-1].end_lineno
    shown = [lines[n - 1] for n in range(first, last + 1) if n not in away][:_MOST_LINES]
    least = min((len(text) - len(text.lstrip()) for text in shown if text.strip()), default=0)
    return "\n".join(text[least:].rstrip() for text in shown)


def _away(source: str, marks: tuple[str, str]) -> set[int]:
    """The numbers of the lines that students do not have, from 1."""
    return {n for first, last in hidden_lines(source, marks) for n in range(first, last + 1)}


def _without(source: str, away: set[int]) -> str:
    return "\n".join(line for n, line in enumerate(source.split("\n"), 1) if n not in away)


def _printed_checks(cell: dict, visible: str) -> list[Check]:
    """The visible checks of a cell that ran beside the student's code, by what it printed."""
    known: dict[str, tuple[float, str]] = {}
    for call in (node for node in ast.walk(_tree(visible)) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", getattr(call.func, "attr", "")) != "check" or not call.args:
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        name, worth, hint = (
            node.value if isinstance(node, ast.Constant) else None
            for node in (call.args[0], given.get("points"), given.get("hint"))
        )
        if isinstance(name, str):
            known[name] = (
                float(worth) if isinstance(worth, int | float) else 0.0,
                hint if isinstance(hint, str) else "",
            )
    found: dict[str, Check] = {}
    for line in _printed(cell).split("\n"):
        outcome = _OUTCOME.fullmatch(line.rstrip())
        if outcome and outcome[2] in known and outcome[2] not in found:
            points, hint = known[outcome[2]]
            found[outcome[2]] = Check(outcome[2], points, outcome[1] == "✓", hint)
    return list(found.values())


def _printed(cell: dict) -> str:
    """What stands on stdout, without what the student's code said in the examiner."""
    streams = [o for o in cell.get("outputs", []) if o.get("output_type") == "stream" and o.get("name") == "stdout"]
    return "".join(text for o in streams if not (text := str(o["text"])).startswith(SAID))


def _points_given(cell: dict) -> bool:
    """Whether the cell's last value is a number of points: then it is no matter of passing or not."""
    return any(output.get("output_type") == "execute_result" for output in cell.get("outputs", []))
