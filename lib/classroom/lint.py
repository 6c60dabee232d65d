"""`classroom lint PROJECT`: where a test cell would behave differently under Validate and in the examiner.

First the text of the test cells is looked at (`classroom.lintrules`). Then the official solution and the unanswered
release are run, each twice: in the examiner, and as `nbgrader validate` runs them, in one process with the tests. What
comes out of a check has to be the same. On wish the bank's answers too, in the examiner (`classroom.lintbank`). Neither
gradebook nor release is touched, and the project need not be released.
"""

from __future__ import annotations

import base64
import copy
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from classroom import lintbank
from classroom.autograde import Wishes, limits
from classroom.lintrules import Finding, allowed, static_findings
from classroom.ownership import TEST, Analysis, kind_of
from classroom.plan import hidden_marks, plan_of, replayed
from classroom.points import plain, points
from classroom.preview import Preview, preview
from classroom.progress import Progress
from classroom.terminal import counted

if TYPE_CHECKING:
    from classroom.engine import Engine
    from classroom.folder import Folder

SEED = 20260  # in place of the class's
SOLUTION, UNANSWERED = "the official solution", "the unanswered release"
EXAMINER, VALIDATE = "the examiner", "Validate"
# Findings of a whole test cell that may be as its author wants it. A solution without full marks, and a bank that
# expects something else, are mended where they stand.
MAY_BE_MEANT = ("borrowed", "differs", "unanswered")
_LINE = re.compile(r"^([✓✗]) (.+?)(?: \([\d.]+ points?\))?$", re.M)


def lint(
    folder: Folder,
    project: str,
    say: Callable[[str], None],
    *,
    engine: Engine | None = None,
    wishes: Wishes | None = None,
    bank: bool = False,
) -> dict:
    """Look at a project's test cells, and run them.

    Args:
        engine: runs the solution and the release; None: only the text is looked at.
        wishes: limits, and how they are started.
        bank: also the answers of the project's bank.

    Returns:
        `findings`, a list of dicts: `notebook`, `cell`, `line`, `rule`, `what`, `instead`. And `ran`, and `bank`, how
        many of its answers ran.

    Raises:
        ClassroomError: no such project, no release can be made of it, its bank can't be read, or there is no sandbox
            to run it in.
    """
    folder.require_source(project)
    forms = preview(folder, project)
    marks = hidden_marks(folder)
    analyses = {name: Analysis(found.master, found.release, found.source) for name, found in forms.items()}
    plans = {name: plan_of(analysis, marks) for name, analysis in analyses.items()}
    source = {name: found.source for name, found in forms.items()}
    findings: list[Finding] = []
    members = []
    if bank:
        names = lintbank.names_in(source)
        tests = {names.of(name, c): most for name, found in forms.items() for c, most in _tests(found).items()}
        members = lintbank.members(folder, project, source, tests)
        findings += lintbank.unlike_their_kind(members, tests, lintbank.bank_path(folder, project).name)
    for name, found in forms.items():
        findings += static_findings(name, analyses[name], _meta(found.master), marks)
        findings += _meant(found, _borrowed(name, plans[name], found))
    ran = engine is not None and any(key[0] != "_" for made in plans.values() for key in made)
    if ran:
        findings += _run(folder, project, forms, plans, engine, wishes or Wishes())
        if members and not any(finding.rule == "not-run" for finding in findings):
            findings += _run_bank(folder, project, forms, plans, engine, wishes or Wishes(), members, say)
    for finding in findings:
        say(str(finding))
    tests = sum(key[0] != "_" for made in plans.values() for key in made)
    how = "looked at, and run with the official solution and unanswered, in the examiner and as Validate runs them"
    how = how if ran else "looked at; nothing was run"
    how += f", {counted(len(members), 'answer')} of the bank in the examiner" if ran and members else ""
    say(f"{project}: {counted(tests, 'test cell')} {how}: {counted(len(findings), 'finding') if findings else 'clean'}")
    return {"findings": [vars(finding) for finding in findings], "ran": ran, "bank": len(members) if ran else 0}


def _meta(notebook) -> dict[str, dict]:
    found = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    return {meta["grade_id"]: meta for meta in found if meta.get("grade_id")}


def _meant(found: Preview, findings: Iterable[Finding]) -> list[Finding]:
    """Findings of whole cells, without those that a cell's author says are meant."""
    sources = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in found.master.cells}
    return [one for one in findings if one.rule not in MAY_BE_MEANT or not allowed(sources[one.cell], 0, one.rule)]


def _borrowed(name: str, plan: dict, found: Preview) -> Iterator[Finding]:
    """Test cells that bind what a later supplied cell or the solution reads."""
    for grade_id in replayed(plan, found.source):
        what = "a cell that is no test reads a name that only this test cell binds"
        instead = "bind it in a supplied cell; now the visible part of this test has to run for each student twice"
        yield Finding(name, grade_id, 0, "borrowed", what, instead)


def _run(
    folder: Folder, project: str, forms: dict[str, Preview], plans: dict, engine: Engine, wishes: Wishes
) -> list[Finding]:
    """Run solution and release in both ways, and hold what came out against each other."""
    if wishes.start != "insecure" and engine.address is None:
        from classroom.sandbox.doctor import quick_check

        quick_check()
    outcomes: dict[tuple[str, str], dict] = {}
    for owner, outcome in engine.outcomes(_jobs(folder, project, forms, plans, wishes)):
        outcomes[owner] = outcome
    findings: list[Finding] = []
    for (who, where), outcome in sorted(outcomes.items()):
        if outcome["state"] != "graded":
            what = f"{who} can't be run in {where}: {outcome['note']}"
            findings.append(
                Finding(next(iter(forms)), "-", 0, "not-run", what, "the note names the cell and the reason")
            )
    if findings:
        return findings
    for name in forms:
        verdicts = {owner: _verdicts(outcome, name) for owner, outcome in outcomes.items()}
        for cell, most in _tests(forms[name]).items():
            told = {owner: made.get(cell, (0.0, {}, "")) for owner, made in verdicts.items()}
            findings += _meant(forms[name], _compared(name, cell, most, told))
    return findings


def _run_bank(
    folder: Folder,
    project: str,
    forms: dict[str, Preview],
    plans: dict,
    engine: Engine,
    wishes: Wishes,
    members: list[dict],
    say: Callable[[str], None],
) -> list[Finding]:
    """Grade the bank's answers; findings in the bank's order."""
    source = {name: found.source for name, found in forms.items()}
    common, names = _common(folder, project, forms, wishes), lintbank.names_in(source)

    def jobs() -> Iterator[tuple[int, dict]]:
        for number, member in enumerate(members):
            notebooks = lintbank.patched(source, member)
            yield number, {"number": number, "notebooks": notebooks, "plan": _planned(plans, notebooks), **common}

    found: dict[int, list[Finding]] = {}
    with Progress(len(members), "bank", say) as progress:
        for number, outcome in engine.outcomes(jobs()):
            found[number] = list(lintbank.compared(members[number], outcome, _verdicts, names))
            progress.step(None)
    return [finding for number in sorted(found) for finding in found[number]]


def _common(folder: Folder, project: str, forms: dict[str, Preview], wishes: Wishes) -> dict:
    """What all jobs of a project have in common."""
    described = folder.project(project)
    return {
        "files": _files(folder, project),
        "limits": limits(folder, project, wishes).as_dict(),
        "start": wishes.start if _is_python(forms) else "cold",
        "kernel": next(iter(forms.values())).master.metadata.get("kernelspec", {}).get("name", "python3"),
        "environment": None,
        "seed": SEED,
        "withheld": list(getattr(described, "withheld", None) or ()),
    }


def _planned(plans: dict, notebooks: dict) -> dict:
    """The plans as these notebooks need them."""
    planned = {}
    for name, notebook in notebooks.items():
        needed = replayed(plans[name], notebook)
        planned[name] = {
            key: value if key[0] == "_" else {**value, "replay": key in needed} for key, value in plans[name].items()
        }
    return planned


def _jobs(folder: Folder, project: str, forms: dict[str, Preview], plans: dict, wishes: Wishes) -> Iterator[tuple]:
    common = _common(folder, project, forms, wishes)
    number = 0
    for who, form in ((SOLUTION, "source"), (UNANSWERED, "master")):
        notebooks = {name: copy.deepcopy(getattr(found, form)) for name, found in forms.items()}
        for where, plan in ((EXAMINER, _planned(plans, notebooks)), (VALIDATE, None)):
            yield (who, where), {"number": number, "notebooks": notebooks, "plan": plan, **common}
            number += 1


def _is_python(forms: dict[str, Preview]) -> bool:
    """Whether the notebooks are Python's, which can be kept warm."""
    specs = [found.master.metadata.get("kernelspec", {}) for found in forms.values()]
    return all(str(spec.get("language", "python")).lower() == "python" for spec in specs)


def _files(folder: Folder, project: str) -> dict[str, str]:
    """The files that nbgrader releases beside the notebooks, by name, in base64."""
    place = folder.path("source", project)
    patterns = list(folder.coursedir.ignore)
    found = {}
    for path in sorted(place.rglob("*")):
        parts = path.relative_to(place).parts
        hidden = any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in patterns)
        if path.is_file() and path.suffix != ".ipynb" and not hidden:
            found["/".join(parts)] = base64.b64encode(path.read_bytes()).decode()
    return found


def _tests(found: Preview) -> dict[str, float]:
    """The points of each test cell."""
    cells = [cell for cell in found.master.cells if cell.cell_type == "code" and kind_of(cell) == TEST]
    return {cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points) for cell in cells}


def _verdicts(outcome: dict, name: str) -> dict[str, tuple[float, dict[str, bool], str]]:
    """By test cell: points, whether each check passed, and what went wrong in one line."""
    notebook, ran = plain(outcome["notebooks"][name]), outcome["cells"][name]
    earned, _ = points(notebook["cells"], ran)
    checks = {cell["grade_id"]: cell.get("checks") for cell in ran}
    made = {}
    for cell in notebook["cells"]:
        grade_id = cell.get("metadata", {}).get("nbgrader", {}).get("grade_id")
        if cell["cell_type"] != "code" or grade_id not in earned:
            continue
        texts = [output["text"] for output in cell["outputs"] if output["output_type"] == "stream"]
        passed = {line: mark == "✓" for mark, line in _LINE.findall("\n".join(texts))}
        passed = {check["name"]: check["passed"] for check in checks.get(grade_id) or ()} or passed
        errors = [
            f"{output['ename']}: {output['evalue']}" for output in cell["outputs"] if output["output_type"] == "error"
        ]
        said = [check["error"] for check in checks.get(grade_id) or () if not check["passed"]]
        made[grade_id] = earned[grade_id]["auto"] or 0.0, passed, " ".join((said + errors + [""])[0].split())[:300]
    return made


def _compared(name: str, cell: str, most: float, told: dict) -> Iterator[Finding]:
    """Findings of one test cell, by who was run and where."""
    for who in (SOLUTION, UNANSWERED):
        (examined, here, error), (validated, there, _) = told[who, EXAMINER], told[who, VALIDATE]
        differ = sorted(check for check in here.keys() | there.keys() if here.get(check) != there.get(check))
        if differ or examined != validated:
            what = f"{who} gets {examined:g} points in the examiner and {validated:g} under Validate"
            what += f"; the difference is in {', '.join(differ)}" if differ else ""
            what += f" ({error})" if error else ""
            yield Finding(name, cell, 0, "differs", what, "the author's guide lists what has to be written otherwise")
    examined, checks, error = told[SOLUTION, EXAMINER]
    if examined != most and told[SOLUTION, VALIDATE][0] == examined:
        lost = (
            ", ".join(check for check, passed in checks.items() if not passed) or error or "it returned another number"
        )
        what = f"{SOLUTION} gets {examined:g} of {most:g} points: {lost}"
        yield Finding(name, cell, 0, "solution", what, "mend the test or the solution")
    if told[UNANSWERED, EXAMINER][0] > 0:
        passed = ", ".join(check for check, passed in told[UNANSWERED, EXAMINER][1].items() if passed)
        what = f"{UNANSWERED} gets {told[UNANSWERED, EXAMINER][0]:g} points" + (f", for {passed}" if passed else "")
        yield Finding(name, cell, 0, "unanswered", what, "a check that passes without an answer has to ask for more")
