"""The form of a test cell: its checks, their points and hints, and `score` as its last line."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from classroom.cellnames import Names


@dataclass(frozen=True)
class CheckCall:
    """One `with check(...)` in a cell's text; None for what is not written as a plain value."""

    line: int
    name: str | None
    points: float | None
    hint: bool
    times: int | None  # how often it runs: in a loop over a written list, its length


def check_calls(names: Names) -> list[CheckCall]:
    """The checks of a cell in order."""
    return list(_in(names.tree.body, 1, names.shift)) if names.tree else []


def check_rules(names: Names, hidden: list[list[int]], points: float | None) -> Iterator[tuple[int, str, str, str]]:
    """Line, rule, what is wrong and what to write instead.

    Args:
        hidden: the lines of hidden tests, as [first, last].
        points: what the cell is worth.
    """
    checks = check_calls(names)
    if names.tree is None:
        return
    scores = [n for n in ast.walk(names.tree) if isinstance(n, ast.Call) and _called(n) == "score"]
    last = names.tree.body[-1] if names.tree.body else None
    closing = last.value if isinstance(last, ast.Expr) and last.value in scores else None
    if checks and not scores:
        yield (
            0,
            "score",
            "there are checks, and no score(): every failed one would count as passed",
            "score() as last line",
        )
    elif scores and not checks:
        yield scores[0].lineno + names.shift, "score", "score() without a check raises", "with check(...): around tests"
    elif scores and closing is None:
        line = scores[0].lineno + names.shift
        yield line, "score", "score() is not the last line, so nbgrader does not see the points", "move it to the end"
    unseen = [check for check in checks if any(first <= check.line <= end for first, end in hidden)]
    if unseen and closing is not None and not closing.args and "further" not in [k.arg for k in closing.keywords]:
        what = f"grading makes {len(unseen)} further checks, and students are not told what about"
        yield closing.lineno + names.shift, "further", what, 'score(further="two more, on …")'
    for check in unseen:
        if not check.hint:
            what = f"the hidden check {check.name or ''} has no hint: nobody learns from losing its points"
            yield check.line, "hint", what.replace("  ", " "), 'check(…, hint="…")'
    for name, count in Counter(check.name for check in checks if check.name).items():
        if count > 1:
            line = [check.line for check in checks if check.name == name][1]
            yield line, "twice", f"{count} checks are called {name!r}: the second one raises", "give each its own name"
    if points is not None and checks and all(None not in (check.points, check.times) for check in checks):
        total = sum(check.points * check.times for check in checks)
        if abs(total - points) > 1e-9:
            what = f"its checks are worth {total:g} points, the cell {points:g}"
            yield (
                0,
                "points",
                what,
                "make the two equal: a failed check takes its points off, all passed gives the cell's",
            )


def _in(body: list[ast.stmt], times: int | None, shift: int) -> Iterator[CheckCall]:
    for node in body:
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and _called(call) == "check":
                    yield _read(call, times, node.lineno + shift)
        inner = times
        if isinstance(node, (ast.For, ast.AsyncFor)):
            count = _length(node.iter)
            inner = None if count is None or times is None else times * count
        elif isinstance(node, (ast.While, ast.FunctionDef, ast.If)):
            inner = None
        for part in ("body", "orelse", "finalbody"):
            yield from _in(getattr(node, part, []) if isinstance(getattr(node, part, []), list) else [], inner, shift)
        for handler in getattr(node, "handlers", []):
            yield from _in(handler.body, None, shift)


def _read(call: ast.Call, times: int | None, line: int) -> CheckCall:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    points = given.get("points", ast.Constant(0))
    worth = points.value if isinstance(points, ast.Constant) and isinstance(points.value, (int, float)) else None
    hint = given.get("hint")
    empty = hint is None or (isinstance(hint, ast.Constant) and not hint.value)
    return CheckCall(line, name if isinstance(name, str) else None, worth, not empty, times)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _length(node: ast.expr) -> int | None:
    if isinstance(node, (ast.Tuple, ast.List)) and not any(isinstance(item, ast.Starred) for item in node.elts):
        return len(node.elts)
    return None
