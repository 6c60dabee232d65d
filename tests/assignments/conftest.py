"""Run patched answer cells against a project's tests, without nbgrader and without a kernel: milliseconds each.

A bank (tests/assignments/PROJECT/bank.yml) lists answers by grade_id; only the parts that an answer touches run.
"""

import ast
import contextlib
import io
from pathlib import Path

import nbformat
import pytest

from deeppractice.checks import score

ROOT = Path(__file__).resolve().parents[2]


class Grader:
    """A project's cells, and how nbgrader would score the test cells that belong to an answer."""

    def __init__(self, project: str) -> None:
        self.cells = nbformat.read(ROOT / "solutions" / project / f"{project}.ipynb", as_version=4).cells

    def points(self, answers: dict[str, str]) -> dict[str, float]:
        """Points by test cell, of the test cells between each answered cell and the next answer cell."""
        names: dict = {"__name__": "__main__"}
        found, current = {}, None
        for cell in self.cells:
            meta = cell.metadata.get("nbgrader", {})
            if cell.cell_type != "code" or not meta:
                continue
            if meta.get("solution"):
                current = meta["grade_id"]
                if current in answers:
                    self._execute(answers[current], names)
            elif meta.get("grade"):
                if current in answers:
                    found[meta["grade_id"]] = self._score(cell.source, names, meta["points"])
            elif current is None:  # imports and parameters, before the first answer
                self._execute(cell.source, names)
        return found

    def solution(self, grade_id: str) -> str:
        """The source notebook's own answer."""
        return next(cell.source for cell in self.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)

    def _score(self, source: str, names: dict, points: float) -> float:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            value, failed = self._execute(source, names)
            if failed:
                with contextlib.suppress(RuntimeError):
                    score()  # close the page of the cell that ended early
        if failed or err.getvalue():
            return 0
        return points if value is None else value

    def _execute(self, source: str, names: dict) -> tuple[object, bool]:
        """Run a cell as IPython does: the value of a last expression, and whether it raised."""
        try:
            tree = ast.parse(source)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "<cell>", "exec"), names)
            value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        except Exception:
            return None, True
        return value, False


@pytest.fixture(scope="session")
def grader():
    """`grader("checkpoint-01")`: a project's cells, read once."""
    made: dict[str, Grader] = {}

    def get(project: str) -> Grader:
        return made.setdefault(project, Grader(project))

    return get
