"""A job: a submission's rebuilt notebooks, run cell by cell in a session each. It runs in a worker and keeps nothing.

What goes in and what comes out are dicts that JSON can hold. A job has a number and no name: whose it is, the worker
never learns.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.sandbox.policy import ExaminerCrashedError, Limits, SandboxError
from classroom.session import CellResult, Session, Usage
from classroom.terminal import some
from classroom.teststep import TestStep

MOST_NOTES = 20  # of what happened in a submission, whose cells may be 2000
SETUP_SECONDS = 120  # for imports, which take long on a cold or busy machine and are not the student's
WITHHELD = "you are asked to write this yourself"
GRADED = "graded"  # the tests ran; wrong answers included
CRASHED = "the tests' own process crashed"  # what is said where nobody knows whose fault it was
STUDENT_ERROR = "student-error"  # the submission ended its session: what came after has not run
INFRA_ERROR = "infra-error"  # our fault or the machine's: nothing is known about the submission

# What a cell's outcome may depend on; versions of what is installed of these go into the hash.
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib", "matplotlib-inline", "ipython")
_PACKAGES += ("ipykernel", "nbformat", "nbclient", "nbgrader")


class EnvironmentDiffersError(ClassroomError):
    """The worker's Python environment is not the one that the job was made in."""


def run_job(job: dict, open_session: Callable[[Limits, dict[str, bytes]], Session]) -> dict:
    """Run a job's notebooks.

    Args:
        job: `number`, `notebooks` (by name, nbformat dicts), `files` (by name, base64), `limits` and `environment`. For
            the examiner `plan` (by name, see `classroom.plan`), `seed`, `call_seconds`; `withheld` (names of the
            library); where they are missing, tests run in the student's session. `last_try` where the examiner has
            crashed in all tries so far.
        open_session: makes a session from limits and files, in whatever sandbox.

    Returns:
        The outcome: `number`, `state`, `note`, `usage`, `host`, `crashed` (whether an infra-error is the examiner's
        crash), `notebooks` with outputs, and `cells`: for each
        notebook and code cell `id`, `grade_id`, `status`, `seconds` and `cpu_seconds`, of tests also `by`, `checks` and
        `said`.

    Raises:
        EnvironmentDiffersError: if this environment is not the one that the job names.
    """
    wanted = job.get("environment")
    if wanted and wanted != environment_hash():
        raise EnvironmentDiffersError(
            f"the worker on {socket.gethostname()} has another Python environment than this machine; install the same "
            "requirements.lock and the same version of this course on both, and start the worker again"
        )
    limits = Limits.from_dict(job["limits"])
    files = {name: base64.b64decode(data) for name, data in job.get("files", {}).items()}
    outcome = {"number": job["number"], "state": GRADED, "note": "", "host": socket.gethostname()}
    outcome |= {"notebooks": {}, "cells": {}, "crashed": False}
    notes: list[str] = []
    used = Usage()
    try:
        for name, notebook in job["notebooks"].items():
            run = _Notebook(copy.deepcopy(notebook), limits, used.seconds, _examination(job, name))
            if run.left() > 0:
                session = open_session(dataclasses.replace(limits, seconds=run.left()), files)
                try:
                    withhold(session, job.get("withheld") or (), run.left())
                    run.all_cells(session)
                finally:
                    _add(used, session.close())
            else:
                run.none()
            outcome["notebooks"][name], outcome["cells"][name] = run.notebook, run.cells
            notes += run.notes
            if run.ended:
                outcome["state"] = STUDENT_ERROR
    except SandboxError as fault:
        crashed = isinstance(fault, ExaminerCrashedError)
        outcome |= {"state": INFRA_ERROR, "notebooks": {}, "cells": {}, "crashed": crashed}
        notes = [str(fault)]
    outcome["note"] = "; ".join(some(notes, MOST_NOTES))
    outcome["usage"] = {name: round(value, 3) for name, value in used.as_dict().items()}
    return outcome


def withhold(session: Session, names: Sequence[str], seconds: float) -> None:
    """Replace names of the library, `module:name`, by ones that say why they may not be used here.

    Raises:
        SandboxError: if that fails: nothing of the student's has run so far.
    """
    if not names:
        return
    call = f"__import__('deeppractice.checks').checks.withhold(*{list(names)!r}, why={WITHHELD!r})"
    result = session.run(call, seconds=min(seconds, SETUP_SECONDS))
    if result.status != "ok":
        said = next((output["evalue"] for output in result.outputs if output["output_type"] == "error"), result.reason)
        raise SandboxError(f"the names that project.yml withholds could not be taken away: {said}")


def _examination(job: dict, name: str) -> dict:
    """What a test step of one notebook is told."""
    plan = (job.get("plan") or {}).get(name)
    told = {"seed": job.get("seed", 0), "call_seconds": job.get("call_seconds")}
    return {"plan": plan, **told, "last_try": bool(job.get("last_try"))}


class _Notebook:
    """One notebook on its way through a session."""

    def __init__(self, notebook: dict, limits: Limits, spent: float, examination: dict) -> None:
        self.notebook, self.limits, self.examination = notebook, limits, examination
        self.cells: list[dict] = []
        self.notes: list[str] = []
        self.ended = ""  # why nothing runs any more
        self._until = time.monotonic() + limits.seconds - spent
        self._setup = _cells_before_the_first_answer(notebook)
        self._count = 0

    def left(self) -> float:
        """Seconds until the limit of the whole submission."""
        return self._until - time.monotonic()

    def all_cells(self, session: Session) -> None:
        """Run the code cells in order and put their outputs into them."""
        tests = TestStep(session, **self.examination)

        def run(cell: dict, seconds: float) -> CellResult:
            if _is_test(cell):
                return tests.run(cell, seconds, self.left)
            return session.run(cell["source"], seconds=seconds)

        self._each(run)

    def none(self) -> None:
        """Note for every cell that there was no time left for it."""
        self._each(lambda cell, seconds: CellResult(status="not-run"))

    def _each(self, run: Callable[[dict, float], CellResult]) -> None:
        for number, cell in enumerate(self.notebook["cells"], 1):
            if cell["cell_type"] != "code":
                continue
            cell["outputs"], cell["execution_count"] = [], None
            meta = _meta(cell)
            name = meta.get("grade_id") or f"number {number}"
            result = CellResult()
            if cell["source"].strip() and "skip-execution" not in cell["metadata"].get("tags", []):
                result = self._one(cell, name, run)
            record = {"id": cell.get("id"), "grade_id": meta.get("grade_id"), "status": result.status}
            record |= {"seconds": round(result.seconds, 4), "cpu_seconds": round(result.cpu_seconds, 4)}
            if result.by:
                record |= {"by": result.by, "checks": result.checks, "said": result.said}
            self.cells.append(record)

    def _one(self, cell: dict, name: str, run: Callable[[dict, float], CellResult]) -> CellResult:
        if self.left() <= 0 and not self.ended:
            self._end(f"the whole submission has {self.limits.seconds:g} s, which were over before cell {name}")
        if self.ended:
            result = CellResult(status="not-run")
        else:
            least = SETUP_SECONDS if _meta(cell).get("grade_id") in self._setup else 0
            result = run(cell, min(self.left(), max(self.limits.cell_seconds, least)))
        if result.status != "not-run":
            self._count += 1
            cell["execution_count"] = self._count
        cell["outputs"] = result.outputs
        self._tell(cell, name, result)
        return result

    def _tell(self, cell: dict, name: str, result: CellResult) -> None:
        """Write down what went wrong; in the cell too, since nbgrader gives points to a test cell without an error."""
        errors = [output["ename"] for output in cell["outputs"] if output["output_type"] == "error"]
        if result.status == "timeout":
            self.notes.append(f"cell {name} stopped at the time limit")
        elif result.status == "died":
            self._end(self._how_it_ended(name, result.reason))
        elif result.status == "not-run" and not self.ended:
            self._end("a cell ended the submission's own process (exit)")
        elif errors and not (_meta(cell).get("locked") or _is_test(cell)):
            self.notes.append(f"{re.sub(r'[^A-Za-z0-9_.]', '', errors[0])[:40]} in cell {name}")
        if result.ended and not self.ended:
            self._end(self._how_it_ended(name, result.ended))
        if result.status != "ok" and not errors:
            what = self.ended or "the cell failed"
            error = "CellDied" if result.status == "died" else "CellNotRun" if self.ended else "CellFailed"
            cell["outputs"].append(
                {"output_type": "error", "ename": error, "evalue": what, "traceback": [f"{error}: {what}"]}
            )

    def _end(self, why: str) -> None:
        self.ended = why
        self.notes.append(why)

    def _how_it_ended(self, name: str, reason: str) -> str:
        limits = self.limits
        if reason == "time" and self.left() <= 0:
            return f"the whole submission has {limits.seconds:g} s, which were over in cell {name}"
        return {
            "time": f"cell {name} stopped at the time limit and did not react to the interrupt",
            "memory": f"cell {name} used more than {limits.memory_mb} MB",
            "output": f"cell {name} put out more than the {limits.cell_output_bytes:,} bytes that a cell may",
            "exit": f"cell {name} ended the submission's own process",
            "broken": f"the submission's process sent what is no answer, in cell {name}",
            "examiner": f"{CRASHED} in cell {name} at every try, be it by what the submission handed it or by the test "
            "itself; what it would have judged counts as not passed until a person has looked",
        }.get(reason, f"the submission's process crashed in cell {name}")


def _is_test(cell: dict) -> bool:
    meta = _meta(cell)
    return bool(meta.get("grade") and not meta.get("solution"))


def _meta(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader") or {}


def _cells_before_the_first_answer(notebook: dict) -> set[str]:
    """Imports and parameters: locked cells, whose text comes from the release, before anything that a student wrote."""
    found = set()
    for cell in notebook["cells"]:
        meta = _meta(cell)
        if meta.get("solution"):
            break
        if meta.get("locked"):
            found.add(meta["grade_id"])
    return found


def _add(used: Usage, more: Usage) -> None:
    used.seconds += more.seconds
    used.cpu_seconds += more.cpu_seconds
    used.memory_mb = max(used.memory_mb, more.memory_mb)
    used.processes = max(used.processes, more.processes)
    used.examiner_cpu_seconds += more.examiner_cpu_seconds
    used.examiner_memory_mb = max(used.examiner_memory_mb, more.examiner_memory_mb)


@functools.cache
def environment_hash() -> str:
    """One hash over what a grade depends on beside the submission: Python, packages, and our code that runs cells."""
    hasher = hashlib.sha256()
    for text in (platform.python_implementation(), *map(str, sys.version_info[:3]), *_versions()):
        hasher.update(f"{len(text)}:{text}".encode())
    for package in ("deeppractice", "classroom.inside"):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise SandboxError(f"the package {package} is not installed in {sys.prefix}; run `pip install -e .` there")
        folder = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            for piece in (str(path.relative_to(folder)).encode(), path.read_bytes()):
                hasher.update(f"{len(piece)}:".encode() + piece)
    return hasher.hexdigest()


def _versions() -> list[str]:
    installed = []
    for name in _PACKAGES:
        try:
            installed.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            installed.append(f"{name} none")
    return installed
