"""Every test cell of the projects, in one process and through an examiner: the same checks pass and fail."""

import ast
import contextlib
import copy
import io
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from classroom.plan import plan

ROOT = Path(__file__).resolve().parents[3]
PROJECTS = ("checkpoint-01", "checkpoint-02", "generative")
LINE = re.compile(r"^([✓✗]) (\S+)(?: \(|$)", re.M)
# Members of a bank that cost little time, with right answers, mistakes and shortcuts among them.
FEW = {"checkpoint-01": 12, "checkpoint-02": 8, "generative": 16}
LONG = {"gan_fix", "gan-fix", "mended-gan", "beta", "vae", "gan-sampler", "vae-sampler", "samplers", "comparison"}


class Notebook:
    """A project's cells, with grading's parameters."""

    def __init__(self, project: str) -> None:
        place = ROOT / "solutions" / project
        self.notebook = nbformat.read(place / f"{project}.ipynb", as_version=4)
        parameters = yaml.safe_load((place / "project.yml").read_text())["grading"]["parameters"]
        for cell in self.notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        self.plan = plan(self.notebook, copy.deepcopy(self.notebook), self.notebook)
        self.code = [
            cell
            for cell in self.notebook.cells
            if cell.cell_type == "code"
            and cell.metadata.get("nbgrader")
            and "figure" not in cell.metadata.get("tags", [])
        ]

    def cells(self, answers: dict[str, str], tests: set[str] | None):
        """(kind, grade_id, source) of each cell, up to the last test cell that is asked for."""
        wanted = (
            {c.metadata.nbgrader.grade_id for c in self.code if c.metadata.nbgrader.grade} if tests is None else tests
        )
        left = set(wanted)
        for cell in self.code:
            meta = cell.metadata.nbgrader
            if meta.grade and not meta.solution:
                if meta.grade_id in wanted:
                    left.discard(meta.grade_id)
                    yield True, meta.grade_id, cell.source
            else:
                yield False, meta.grade_id, answers.get(meta.grade_id, cell.source)
            if not left:
                return


def in_one_process(book: Notebook, answers: dict, tests: set[str] | None) -> dict:
    names, found = {"__name__": "__main__"}, {}
    for is_test, grade_id, source in book.cells(answers, tests):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(Exception):
            exec(compile(ast.parse(source), "<cell>", "exec"), names)
        if is_test:
            found[grade_id] = [(name, mark == "✓") for mark, name in LINE.findall(out.getvalue())]
    return found


def through_an_examiner(book: Notebook, answers: dict, tests: set[str] | None, pair) -> dict:
    found, supplied = {}, set()
    for is_test, grade_id, source in book.cells(answers, tests):
        if not is_test:
            pair.run(source)
            continue
        planned = book.plan[grade_id]
        new = [(name, book.plan["_supplied"][name]) for name in planned["supplied"] if name not in supplied]
        supplied.update(name for name, _ in new)
        reply = pair.examine(
            source, planned["names"], supplied=new, hidden=planned["hidden"], seconds=300, call_seconds=120
        )
        assert "fault" not in reply, reply["fault"]
        assert reply["student"] == "alive", reply
        found[grade_id] = [(check["name"], check["passed"]) for check in reply["checks"]]
        # The hidden checks are those that stand behind the mark.
        mark = source.find("### BEGIN HIDDEN TESTS")
        for check in reply["checks"]:
            place = source.find(f'"{check["name"]}"')
            assert place < 0 or check["hidden"] == (0 <= mark < place), (grade_id, check)
    return found


@pytest.fixture(scope="module", params=PROJECTS)
def book(request):
    made = Notebook(request.param)
    made.project = request.param
    return made


def members(project: str) -> list[dict]:
    bank = yaml.safe_load((ROOT / "tests/assignments" / project / "bank.yml").read_text())
    light = [member for member in bank if not LONG & set(member["cells"])]
    step = max(1, len(light) // FEW[project])
    return light[::step]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_solution_passes_all_checks_both_ways(book, pair):
    found = through_an_examiner(book, {}, None, pair)
    failed = [(cell, name) for cell, checks in found.items() for name, passed in checks if not passed]
    assert not failed
    assert found == in_one_process(book, {}, None)


MEMBERS = [(project, member) for project in PROJECTS for member in members(project)]


@pytest.mark.parametrize(("project", "member"), MEMBERS, ids=[f"{p}-{m['id']}" for p, m in MEMBERS])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_answer_has_the_same_outcomes_both_ways(project, member, pair, books):
    tests = set(member["points"])
    found = through_an_examiner(books(project), member["cells"], tests, pair)
    assert found == in_one_process(books(project), member["cells"], tests)


@pytest.fixture(scope="module")
def books():
    made = {}
    return lambda project: made.setdefault(project, Notebook(project))
