"""`classroom audit`: what weak checks give away is found, and so is a verdict that is not reached in the examiner.

In order: a course of nbgrader alone with weak checks, what is said of them, and that its author can allow it; that
nothing of the real class is touched; mistyped names; an interruption; that the attacks have teeth: with the tests in
the student's process they gain points, in the examiner none; then this course's own projects, which have to be clean.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom import commands
from classroom.audit import OwnClass
from classroom.audit.attacks import FORGERIES, attacks
from classroom.audit.effects import Bait
from classroom.autograde import _Batch
from classroom.cli import main
from classroom.engine import Engine
from classroom.folder import Folder
from classroom.release import release

ROOT = Path(__file__).resolve().parents[3]
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
SOLVED = "def {}:\n    ### BEGIN SOLUTION\n    return {}\n    ### END SOLUTION"
CHECKS = """\
with check("shape", points=1, hint="as many as came in"):
    assert scale(np.ones(3)).shape == (3,)
with check("value", points=2, hint="twice"):
    assert np.allclose(scale(np.ones(3)), 2)
### BEGIN HIDDEN TESTS
with check("negative-values", points=1, hint="below zero too"):
    assert np.allclose(scale(-np.arange(1.0, 4.0)), [-2, -4, -6])
### END HIDDEN TESTS
score(further="one more")"""
PROJECT_YML = """\
title: Weak
points: 9
parts:
  - {name: "1", cell: scale-tests, points: 4, graded: by tests}
  - {name: "2", cell: sign-tests, points: 1, graded: by tests}
  - {name: "2b", cell: sign-values, points: 1, graded: by tests}
  - {name: "3", cell: label-tests, points: 1, graded: by tests}
  - {name: "4", cell: why, points: 2, graded: by hand}
limits: {cell_seconds: 20}
audit:
  - {cell: scale-tests, check: shape, reason: the shape is half of the task}
"""


def code(grade_id, source, points=None):
    """A code cell as nbgrader marks it; with points it is a test, without an answer."""
    meta = {"grade_id": grade_id, "solution": points is None, "grade": points is not None, "locked": points is not None}
    meta |= {"schema_version": 3, "task": False} | ({} if points is None else {"points": points})
    return new_code_cell(source, id=grade_id, metadata={"nbgrader": meta})


def weak_notebook():
    """A project whose checks give points to answers without work."""
    why = {"grade_id": "why", "solution": True, "grade": True, "locked": False, "points": 2, "schema_version": 3}
    cells = [
        new_code_cell("import numpy as np\nfrom deeppractice.checks import check, score", id="setup"),
        code("scale", SOLVED.format("scale(x)", "2 * x")),
        code("scale-tests", CHECKS, 4),
        code("sign", SOLVED.format("sign(x)", "(x > 0) - (x < 0)")),
        code("sign-tests", "assert sign(0) == 0", 1),
        code("sign-values", "assert sign(-3) == -1", 1),
        code("label", SOLVED.format("label()", "'cat'")),
        code("label-tests", "assert label() is not None", 1),
        new_markdown_cell("Because.", id="why", metadata={"nbgrader": why | {"task": False}}),
    ]
    return new_notebook(cells=cells, metadata=KERNEL)


@pytest.fixture(scope="module")
def engine():
    """One engine for all that is run here."""
    with Engine(jobs=2) as made:
        yield made


@pytest.fixture
def course(tmp_path, monkeypatch, engine):
    """A plain nbgrader course with the weak project, which we stand in."""
    monkeypatch.setattr(commands, "start_engine", lambda arguments: contextlib.nullcontext(engine))
    settings = "c = get_config()\nc.CourseDirectory.course_id = 'plain'\nc.CourseDirectory.ignore = ['project.yml']\n"
    (tmp_path / "nbgrader_config.py").write_text(settings)
    place = tmp_path / "source" / "ps1"
    place.mkdir(parents=True)
    nbformat.write(weak_notebook(), place / "ps1.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    return place


def everything(root):
    """Every file of a folder with its bytes."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_points_without_work_are_named_and_can_be_allowed(course, tmp_path, capsys):
    (course / "project.yml").write_text(PROJECT_YML)
    before = everything(tmp_path)
    assert main(["audit", "ps1", "--quick", "--json", "report.json"]) == 1
    report = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").unlink()
    assert everything(tmp_path) == before, "something of the course was written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nbgrader_config.py", "source"]
    assert os.environ["CLASSROOM_DIR"] == "course"
    earned = {(one["cell"], one["check"]): one for one in report["earned"]}
    assert {key: (one["points"], one["reason"]) for key, one in earned.items()} == {
        ("scale-tests", "shape"): (1, "the shape is half of the task"),
        ("sign-tests", ""): (1, None),
        ("label-tests", ""): (1, None),
        ("scale-tests", "value"): (2, None),
        ("scale-tests", "negative-values"): (1, None),
    }
    for check in ("value", "negative-values"):  # `np.allclose` is true of no values
        assert earned["scale-tests", check]["attacks"] == ["right shapes of nothing"]
    zeros, same = "right shapes of zeros", "object that is equal to all"
    assert zeros in earned["scale-tests", "shape"]["attacks"]
    assert "0" in earned["sign-tests", ""]["attacks"]
    assert same not in earned["sign-tests", ""]["attacks"]
    gained = {attack["name"]: attack["gained"] for attack in report["attacks"]}
    assert gained["the official solution"] == 7
    # what is allowed does not count: the shape
    assert (gained["untouched release"], gained["ValueError"], gained["0"], gained[zeros]) == (0, 0, 2, 2)
    # what the answers of a forgery earn without it is theirs
    assert gained["checks replaced"] == gained["hooks of the shell"] == gained["edited tests"] == 0
    assert [attack for attack in report["attacks"] if attack["effects"]] == report["effects"] == []
    assert not report["clean"]
    said = capsys.readouterr().out
    assert "sign-tests, the whole cell: 1 point for 0, right shapes of zeros\n" in said
    assert said.count("; allowed: the shape is half of the task\n") == 1
    assert said.endswith("ps1: 16 submissions: 4 checks give points without work, no effects\n")


def test_an_entry_for_a_cell_that_is_not_there(course, capsys):
    (course / "project.yml").write_text(PROJECT_YML.replace("cell: scale-tests, check", "cell: scale-test, check"))
    assert main(["audit", "ps1"]) == 2
    assert "no test cell 'scale-test'; did you mean scale-tests" in capsys.readouterr().err
    (course / "project.yml").write_text(PROJECT_YML.replace("reason", "why"))
    assert main(["audit", "ps1"]) == 2
    assert "audit" in capsys.readouterr().err
    assert not Path("course").exists()


def test_what_is_mistyped_is_said_in_one_line(course, capsys):
    for words, message in (
        (["audit", "ps2"], "no project 'ps2'; did you mean ps1?"),
        (["audit", "../ps1"], "no project '../ps1'"),
        (["audit", "source"], "no project 'source'"),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not Path("course").exists()
    (course / "ps1.ipynb").write_text("no notebook")
    assert main(["audit", "ps1"]) == 2
    assert "ps1" in capsys.readouterr().err
    assert not Path("course").exists()


def test_an_interrupted_audit_leaves_nothing(course, tmp_path):
    before = everything(tmp_path)
    program = [sys.executable, "-m", "classroom", "audit", "ps1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "course").rglob("*.result.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.strip() == "classroom: interrupted; nothing of the audit is kept"
    assert everything(tmp_path) == before
    assert not (tmp_path / "course").exists()


def test_the_attacks_have_teeth(course, tmp_path, engine):
    """Without the examiner, in the student's process, each kind of forgery gains points that its answers do not."""
    from classroom.audit import _hand_in
    from classroom.audit.verdicts import given
    from classroom.autograde import Wishes
    from classroom.partnames import PartNames
    from classroom.results import compose
    from classroom.simulate.material import read_material

    own = OwnClass(Folder(tmp_path), "ps1")
    own.home.mkdir(parents=True)
    release(own, ["ps1"], lambda text: None)
    material = read_material(own, "ps1")
    bait = Bait(tmp_path, own.home, [], 9, passed=["✓ value"], points=[4.0], secret="s" * 32, mark="m" * 32)
    bases = {attack.base for attack in attacks() if attack.group == FORGERIES}
    chosen = [attack for attack in attacks() if attack.group == FORGERIES or attack.name in bases]
    for attack in chosen:
        _hand_in(own, material, attack, bait)
    batch = _Batch(own, "ps1", Wishes(60, 10), None, None, elsewhere=False)
    names = {attack.student: attack for attack in chosen}
    earned, parts = {}, PartNames([])
    without = ((work, {**job, "plan": None}) for work, job in batch.jobs([attack.student for attack in chosen]))
    for work, outcome in engine.outcomes(without):
        record = compose(outcome, work.rebuilt, student=work.student, project="ps1", submission="s", grader="g")
        earned[names[work.student].name] = given(record, parts)
    gaining = set()
    for attack in chosen:
        if attack.group == FORGERIES and sum(earned[attack.name].values()) > sum(earned[attack.base].values()):
            gaining.add(attack.name)
    assert gaining >= {
        "object that is equal to all",
        "number that is equal to all",
        "array that is equal to all",
        "transformers",
        "library replaced",
        "checks replaced",
        "hooks of the shell",
    }


@pytest.mark.parametrize("project", ["checkpoint-01", "checkpoint-02", "generative"])
@pytest.mark.parametrize("form", ["quick", pytest.param("whole", marks=pytest.mark.full)])
def test_the_projects_of_this_course_are_clean(project, form, tmp_path, monkeypatch, engine):
    monkeypatch.setattr(commands, "start_engine", lambda arguments: contextlib.nullcontext(engine))
    for name in ("nbgrader_config.py", "course.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    began = time.monotonic()
    code = main(["audit", project, "--json", "report.json", *(["--quick"] if form == "quick" else [])])
    report = json.loads((tmp_path / "report.json").read_text())
    print(f"{project}: {len(report['attacks'])} submissions in {time.monotonic() - began:.0f} s")
    assert [one for one in report["earned"] if not one["reason"]] == []
    assert [attack for attack in report["attacks"] if attack["effects"]] == []
    assert (code, report["clean"], report["effects"], report["in_session"]) == (0, True, [], [])
    assert not (tmp_path / "course" / "audit").exists()
    assert os.environ["CLASSROOM_DIR"] == "course"
