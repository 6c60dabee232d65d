"""`classroom new`: the project that it makes is released, is clean, and is graded as its bank says."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from classroom.demo import submission

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def course(new_course):
    """A course folder whose course.yml names the project `heat`, which is not there yet."""
    folder = new_course("heat")
    (folder.root / "solutions").mkdir()
    return folder


def test_what_it_makes_can_be_released_linted_and_graded(course):
    done = course.run("new", "heat", "--title", "Heat in spring")
    assert done.returncode == 0, done.stderr
    assert "classroom lint heat" in done.stdout
    place = course.root / "solutions" / "heat"
    assert "# Heat in spring\n" in nbformat.read(place / "heat.ipynb", as_version=4).cells[0].source
    assert yaml.safe_load((place / "project.yml").read_text())["title"] == "Heat in spring"

    report = course.report("lint", "heat")
    assert report["findings"] == []
    assert report["ran"]
    course.report("release", "heat")
    released = course.root / "assignments" / "heat"
    assert [path.name for path in released.iterdir()] == ["heat.ipynb"]

    bank = yaml.safe_load((course.root / "banks" / "heat.yml").read_text())
    assert {member["kind"] for member in bank} == {"right", "mistake", "shortcut"}
    answers = {member["id"]: member["cells"] for member in bank}
    code = [
        cell.metadata.nbgrader
        for cell in nbformat.read(place / "heat.ipynb", as_version=4).cells[1:]
        if cell.cell_type == "code"
    ]
    answers["solved"] = {meta.grade_id: "solution" for meta in code if meta.solution}
    answers["untouched"] = {}
    for student, cells in answers.items():
        target = course.root / "course" / "submitted" / student / "heat"
        target.mkdir(parents=True)
        text = submission(released / "heat.ipynb", place / "heat.ipynb", cells)
        (target / "heat.ipynb").write_text(text, encoding="utf-8")
    course.report("autograde", "heat")

    points = {}
    for student in answers:
        file = course.root / "course" / "results" / "heat" / f"{student}.result.json"
        scores = json.loads(file.read_text())["points"]
        points[student] = {cell: part["auto"] for notebook in scores.values() for cell, part in notebook.items()}
    for member in bank:
        for cell, wanted in member["points"].items():
            assert points[member["id"]][cell] == wanted, (member["id"], cell)
    code_answers = {meta.grade_id for meta in code if meta.solution}
    assert {cell for member in bank for cell in member["cells"]} == code_answers
    by_tests = {"smooth-tests": 40, "alarm-tests": 20, "sweep-tests": 20, "choose-tests": 7}
    assert {cell: points["solved"][cell] for cell in by_tests} == by_tests
    assert not any(points["untouched"].values())


def test_its_bank_is_graded(course):
    assert course.run("new", "heat").returncode == 0
    report = course.report("lint", "heat", "--bank")
    assert (report["findings"], report["bank"]) == ([], 5)
    bank = course.root / "banks" / "heat.yml"
    good = bank.read_text()
    bank.write_text(good.replace("smooth-tests: 30", "smooth-tests: [0, 20]").replace("[drawn]", "[drawn, in-a-row]"))
    done = course.run("lint", "heat", "--bank")
    assert done.returncode == 1
    assert "smooth-tests: mistake zeros-at-the-ends gets 30 points, expected 0 to 20" in done.stdout
    assert "alarm-tests: mistake at-the-limit fails drawn, expected drawn, in-a-row" in done.stdout
    assert done.stdout.count("[bank]") == 2
    for mistake, message in (
        ("smoth-tests: 30", "heat.yml, line 25: no test cell 'smoth-tests'; did you mean smooth-tests"),
        ("setup: 30", "no test cell 'setup'"),
        ("smooth-tests: many", "expected a number of points, or [lowest, highest], got 'many'"),
    ):
        bank.write_text(good.replace("smooth-tests: 30", mistake))
        done = course.run("lint", "heat", "--bank")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    for mistake, message in (
        ("[]", "expected a list of answers, one at least"),
        ("# nothing yet", "expected a list of answers, one at least"),
    ):
        bank.write_text(mistake)
        done = course.run("lint", "heat", "--bank")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    bank.unlink()
    assert "no bank of answers: expected banks/heat.yml" in course.run("lint", "heat", "--bank").stderr


def test_what_the_guide_shows_of_a_bank_is_so(course):
    assert course.run("new", "heat").returncode == 0
    guide = (ROOT / "book/teach/write.md").read_text()
    (entry,) = re.findall(r"```yaml\n(- id: .*?)```", guide, re.DOTALL)
    (said,) = re.findall(r"```none\n(heat\.ipynb, cell .*?)```", guide, re.DOTALL)
    (other,) = re.findall(r"Had it said `(.*?)` above", guide)
    bank = course.root / "banks" / "heat.yml"
    bank.write_text(entry)
    assert course.report("lint", "heat", "--bank")["findings"] == []
    bank.write_text(re.sub(r"points: \{.*?\}", other, entry))
    done = course.run("lint", "heat", "--bank")
    assert done.returncode == 1
    assert said in done.stdout


def test_what_only_looks_begins_no_class(course):
    assert course.run("new", "heat").returncode == 0
    assert course.run("lint", "heat", "--no-run").returncode == 0
    assert course.run("lint", "haet").returncode == 2
    assert not (course.root / "course").exists()


@pytest.mark.parametrize("command", ["audit", "lint"])
def test_a_mistyped_project_is_near_one_that_no_class_gives(course, command):
    assert course.run("new", "wave").returncode == 0  # course.yml gives `heat`
    done = course.run(command, "wvae")
    assert done.returncode == 2
    assert done.stderr == "classroom: no project 'wvae'; did you mean wave?\n"


def test_the_rule_for_assistants_is_read_before_the_first_answer(course):
    with open(course.root / "course.yml", "a") as file:
        file.write("ai_policy: >\n  You may ask an assistant\n  to explain.\n")
    assert course.run("new", "heat").returncode == 0
    first = nbformat.read(course.root / "solutions" / "heat" / "heat.ipynb", as_version=4).cells[0]
    assert first.source.endswith("\n\n**Assistants.** You may ask an assistant to explain.")


def test_what_nbgrader_would_hand_out_is_said(course):
    config = course.root / "nbgrader_config.py"
    text = config.read_text()
    config.write_text(text.replace('"project.yml", ', ""))
    said = course.run("new", "heat").stdout
    (line,) = [line.strip() for line in said.splitlines() if "c.CourseDirectory.ignore = " in line]
    config.write_text(f"{config.read_text()}\n{line}\n")
    done = course.run("new", "wave")
    assert "students need no project.yml" not in done.stdout
    assert done.returncode == 0


def test_nothing_is_overwritten(course):
    assert course.run("new", "heat").returncode == 0
    notebook = course.root / "solutions" / "heat" / "heat.ipynb"
    notebook.write_text("mine")
    again = course.run("new", "heat")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert notebook.read_text() == "mine"


@pytest.mark.parametrize("name", ["Heat", "../heat", "heat wave", "-heat", "h" * 100, ""])
def test_a_name_that_cannot_be_is_refused(course, name):
    done = course.run("new", "--", name)
    assert done.returncode == 2
    assert "lower-case letters" in done.stderr
    assert list((course.root / "solutions").iterdir()) == []


def test_a_title_that_would_break_the_files_is_refused(course):
    assert course.run("new", "heat", "--title", 'a "title"').returncode == 2
    assert course.run("new", "heat", "--title", "a\x07b").returncode == 2
    for nothing in ("", "   ", "\t\n"):
        done = course.run("new", "heat", "--title", nothing)
        assert (done.returncode, "expected some plain text" in done.stderr) == (2, True)
    assert list((course.root / "solutions").iterdir()) == []


def test_what_cannot_be_written_as_a_whole_is_not_there_at_all(course):
    """A file where the bank's folder should be: the source is ready by then."""
    (course.root / "banks").write_text("a file")
    done = course.run("new", "heat")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "cannot write" in done.stderr
    assert list((course.root / "solutions").iterdir()) == []
    (course.root / "banks").unlink()
    (course.root / "solutions" / ".heat.new").mkdir()  # of one that was killed
    (course.root / "solutions" / ".heat.new" / "heat.ipynb").write_text("half")
    assert course.run("new", "heat").returncode == 0
    assert [path.name for path in (course.root / "solutions").iterdir()] == ["heat"]
    assert sorted(path.name for path in (course.root / "solutions" / "heat").iterdir()) == ["heat.ipynb", "project.yml"]


def test_a_class_that_does_not_give_the_project_is_told_how(course):
    done = course.run("new", "cold")
    assert done.returncode == 0
    assert "under projects: in course.yml:  cold: {due: null, weight: 0}" in done.stdout


def test_in_a_plain_course(tmp_path, monkeypatch, capsys):
    from classroom.cli import main

    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    assert main(["new", "heat"]) == 0
    assert (tmp_path / "source" / "heat" / "heat.ipynb").is_file()
    assert "c.CourseDirectory.ignore" in capsys.readouterr().out
    assert main(["lint", "heat", "--no-run"]) == 0
