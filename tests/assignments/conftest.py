"""Run patched answer cells against a project's tests, without nbgrader and without a kernel: milliseconds each.

A bank (tests/assignments/PROJECT/bank.yml) lists answers by grade_id; only the parts that an answer touches are scored.
"""

import ast
import contextlib
import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml

from deeppractice.checks import score, withhold

ROOT = Path(__file__).resolve().parents[2]
POINTS = re.compile(r"^[✓✗] .* \(([\d.]+) points?\)$", re.M)
# The name of a check that failed, then what went wrong and the hint.
FAILED = re.compile(r"^✗ (\S+) \([\d.]+ points?\)\n((?:    .*\n)*)", re.M)


class Grader:
    """A project's cells, and how nbgrader would score the test cells that belong to an answer.

    Cells that an answer does not replace run as they stand in the source notebook: the parameters with the values of
    grading, what is supplied, the solutions of other parts. Cells tagged `figure` only show something and are left out.

    Attributes:
        announced: for each test cell that was scored last, the sum of the points that its checks said they are worth.
        failed: for each of them the checks that failed, by name, with what they printed for the student.
    """

    def __init__(self, project: str) -> None:
        place = ROOT / "solutions" / project
        self.cells = nbformat.read(place / f"{project}.ipynb", as_version=4).cells
        described = yaml.safe_load((place / "project.yml").read_text())
        self.parameters, self.withheld = described["grading"]["parameters"], described.get("withheld", [])
        self.announced: dict[str, float] = {}
        self.failed: dict[str, dict[str, str]] = {}
        self._first: dict | None = None

    def points(self, answers: dict[str, str]) -> dict[str, float]:
        """Points by test cell, of the test cells that follow an answered cell, before which no other was tested."""
        code = [cell for cell in self.cells if cell.cell_type == "code" and cell.metadata.get("nbgrader")]
        ids = [cell.metadata.nbgrader.grade_id for cell in code]
        last = max(ids.index(answer) for answer in answers)
        begin = next(number for number, cell in enumerate(code) if cell.metadata.nbgrader.solution)
        names = dict(self._before_the_first_answer(code[:begin]))
        self.announced, self.failed = {}, {}
        with self._withholding():
            return self._run(code, begin, last, answers, names)

    def _run(self, code: list, begin: int, last: int, answers: dict[str, str], names: dict) -> dict[str, float]:
        found, touched = {}, False
        for number, cell in enumerate(code[begin:], begin):
            meta = cell.metadata.nbgrader
            if meta.solution:
                touched = touched or meta.grade_id in answers
                self._quietly(answers.get(meta.grade_id, cell.source), names)
            elif meta.grade:
                if touched:
                    found[meta.grade_id] = self._score(meta.grade_id, cell.source, names, meta.points)
                if number > last:
                    break
                touched = False
            elif "figure" not in cell.metadata.get("tags", []):
                self._quietly(cell.source, names)
        return found

    @contextlib.contextmanager
    def _withholding(self) -> Iterator[None]:
        """Take the names away that grading takes away, and bring them back: other tests want them."""
        split = [path.split(":") for path in self.withheld]
        places = [(importlib.import_module(module), name) for module, name in split]
        before = [getattr(*place) for place in places]
        withhold(*self.withheld, why="the project asks for it")
        try:
            yield
        finally:
            for place, value in zip(places, before, strict=True):
                setattr(*place, value)

    def solution(self, grade_id: str) -> str:
        """The source notebook's own answer."""
        return next(cell.source for cell in self.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)

    def _before_the_first_answer(self, cells: list) -> dict:
        """Imports, parameters and data, once for all answers."""
        if self._first is None:
            self._first = {"__name__": "__main__"}
            for cell in cells:
                self._execute(cell.source, self._first)
                if "parameters" in cell.metadata.get("tags", []):
                    self._first |= self.parameters
        return self._first

    def _score(self, grade_id: str, source: str, names: dict, points: float) -> float:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            value, failed = self._execute(source, names)
            if failed:
                with contextlib.suppress(RuntimeError):
                    score()  # close the page of the cell that ended early
        self.announced[grade_id] = sum(map(float, POINTS.findall(out.getvalue())))
        self.failed[grade_id] = dict(FAILED.findall(out.getvalue()))
        if failed or err.getvalue():
            return 0
        return points if value is None else value

    def _quietly(self, source: str, names: dict) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._execute(source, names)

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
