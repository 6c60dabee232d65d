"""A batch of a bank through the sandbox and the examiner, as grading runs a submission."""

from contextlib import ExitStack
from functools import cache

import nbformat
from banked import ROOT, Batch, Verdict, described, filled, meta, only_what_is_needed, source
from nbformat import NotebookNode

from classroom.job import GRADED, run_job
from classroom.plan import plan, replayed
from classroom.points import plain, points
from classroom.sandbox.policy import Limits
from classroom.sandbox.template import Template

SEED = 20260  # in the place of what a class's secret gives


@cache
def planned(project: str) -> dict:
    """What each test cell needs; the solution's own notebook is the master."""
    released = nbformat.read(ROOT / "assignments" / project / f"{project}.ipynb", as_version=4)
    return plan(source(project), released, source(project))


class Examined:
    """Runs batches, each once, in one warm template."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._template: Template | None = None
        self._found: dict[str, dict[str, Verdict]] = {}
        self.cpu_seconds = 0.0

    def __enter__(self) -> "Examined":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def verdicts(self, batch: Batch) -> dict[str, Verdict]:
        """By test cell."""
        if str(batch) not in self._found:
            self._found[str(batch)] = self._run(batch)
        return self._found[str(batch)]

    def _run(self, batch: Batch) -> dict[str, Verdict]:
        return self.run(batch.project, filled(source(batch.project), batch), batch.tests)

    def run(self, project: str, notebook: NotebookNode, tests: set[str], seed: int = SEED) -> dict[str, Verdict]:
        """Run a notebook as far as some of its test cells want it; what became of these.

        Args:
            notebook: the short source with answers in it.
            seed: what a class's secret gives.
        """
        if self._template is None:
            self._template = self._stack.enter_context(Template())
        notebook = plain(only_what_is_needed(notebook, tests))
        known = planned(project)
        again = replayed(known, nbformat.from_dict(notebook))
        known = {name: what if name[0] == "_" else {**what, "replay": name in again} for name, what in known.items()}
        name = f"{project}.ipynb"
        job = {"number": 1, "notebooks": {name: notebook}, "plan": {name: known}, "seed": seed}
        limits = Limits(cell_seconds=described(project)["limits"]["cell_seconds"])
        job |= {"limits": limits.as_dict(), "withheld": described(project).get("withheld", [])}
        outcome = run_job(job, self._template.open)
        assert outcome["state"] == GRADED, outcome["note"]
        self.cpu_seconds += outcome["usage"]["cpu_seconds"]
        ran = outcome["cells"][name]
        earned, remarks = points(outcome["notebooks"][name]["cells"], ran)
        assert not remarks, remarks
        found = {}
        for record in ran:
            if record["grade_id"] in tests:
                checks = record.get("checks", [])
                failed = [check for check in checks if not check["passed"]]
                silent = {check["name"] for check in failed if not (check["hint"] or check["error"])}
                found[record["grade_id"]] = Verdict(
                    earned[record["grade_id"]]["auto"],
                    {check["name"] for check in failed},
                    silent,
                    len(checks),
                    record.get("by", ""),
                )
        return found


def full(project: str) -> dict[str, float]:
    """What each test cell is worth."""
    return {meta(cell)["grade_id"]: meta(cell)["points"] for cell in source(project).cells if meta(cell).get("grade")}
