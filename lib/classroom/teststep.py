"""How a test cell is run: in the examiner, a process that the student's code cannot reach, as far as there is a plan.

Where there is none (a kernel of another language, a job that was made without) it runs in the student's own process,
as nbgrader runs it; the result then says so, by: "session".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from classroom.sandbox.policy import ExaminerCrashedError, SandboxError
from classroom.session import CellResult, Session

SAID = "Your code printed this while it was tested:"


class TestStep:
    """Runs the test cells of one notebook.

    Args:
        session: the student's session, in which the cells before have run.
        plan: of this notebook, as `classroom.plan.plan` makes it, with `replay` as this submission needs it.
        seed: of the class and project, for `deeppractice.checks.fresh_seed`.
        call_seconds: limit of one call of the student's code; half the cell's by default.
        last_try: the examiner has crashed in every try before this one. If it does so again, with the same submission
            on a machine that goes on working, that is how the submission ends, or it could never be graded.
    """

    __test__ = False  # not a class of tests, for pytest

    def __init__(
        self,
        session: Session,
        plan: dict | None = None,
        *,
        seed: int = 0,
        call_seconds: float | None = None,
        last_try: bool = False,
    ) -> None:
        self._session, self._plan, self._seed, self._call_seconds = session, plan or {}, seed, call_seconds
        self._last_try = last_try

    def run(self, cell: dict, seconds: float, left: Callable[[], float] | None = None) -> CellResult:
        """Run one test cell, hidden tests included.

        Args:
            cell: an nbformat code cell.
            seconds: its limit.
            left: says how many seconds the submission still has.

        Raises:
            SandboxError: no verdict could be reached, through no fault of the student's; it names the cell.
            ExaminerCrashedError: it was the examiner that crashed, and this is not the last try.
        """
        name = cell["metadata"]["nbgrader"]["grade_id"]
        known = self._plan.get(name)
        if known is None or not hasattr(self._session, "examine"):
            return replace(self._session.run(cell["source"], seconds=seconds), by="session")
        request = {
            "source": cell["source"],
            "names": known["names"],
            "supplied": [[cell_id, self._plan["_supplied"][cell_id]] for cell_id in known["supplied"]],
            "hidden": known["hidden"],
            "rebinds": known["rebinds"],
            "seed": self._seed,
            "call_seconds": min(seconds, self._call_seconds or seconds / 2),
        }
        try:
            result = self._session.examine(request, seconds=seconds)
        except ExaminerCrashedError as fault:
            if not self._last_try:
                raise ExaminerCrashedError(f"cell {name}: {fault}") from None
            return CellResult(status="died", reason="examiner", by="examiner")
        except SandboxError as fault:
            raise SandboxError(f"cell {name}: {fault}") from None
        if result.said.strip():
            # At the end and on stdout: nbgrader reads points from results and from stderr, and this is neither.
            result.outputs.append({"output_type": "stream", "name": "stdout", "text": f"{SAID}\n{result.said}"})
        if known["replay"] and not result.ended and result.status != "died":
            self._replay(self._plan["_visible"][name], min(seconds, left() if left else seconds))
        return result

    def _replay(self, source: str, seconds: float) -> None:
        """Run the visible text where the student's code runs, for names that later cells read; its outputs are dropped.

        If the session ends in it, the cells after it are told so.
        """
        if seconds > 0:
            self._session.run(source, seconds=seconds)
