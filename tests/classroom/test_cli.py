"""The command line: what is mistyped is named with its near miss, and the exit codes hold."""

import subprocess
import sys

import pytest

from classroom.cli import main

COMMANDS = ["release", "collect", "autograde", "feedback", "export", "status", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"example:\n  classroom {command}" in text
    assert "--json FILE" in text


def test_help_says_that_grading_is_not_safe(capsys):
    for words in (["--help"], ["autograde", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        assert "runs the students' code as you" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["autogade", "tiny"], "classroom: no command 'autogade'; did you mean autograde?"),
        (["autograde", "tinny"], "classroom: no project 'tinny'; did you mean tiny?"),
        (["release", "checkpoint"], "classroom: no project 'checkpoint'; there is tiny"),
        (["collect", "tiny", "--from", "nowhere"], "expected a folder with one folder a student"),
        (["export", "--to", "nowhere/grades.csv"], "there is no folder nowhere"),
        (["demo"], "classroom: no demo class for tiny: expected demo.yml beside the source notebook"),
    ],
)
def test_mistakes_are_named(tiny, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tiny.root)
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["collect", "tiny"], ["autograde"], ["autograde", "tiny", "--timeout", "0"]])
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: classroom" in capsys.readouterr().err


def test_a_student_who_handed_in_nothing(tiny):
    tiny.hand_in("somebody", "tiny", "def double(x):\n    return 2 * x")
    done = tiny.run("autograde", "tiny", "--student", "somebdy")
    assert done.returncode == 2
    assert "no submission of 'somebdy' for tiny; did you mean somebody?" in done.stderr


def test_a_project_that_was_never_released(tiny):
    done = tiny.run("autograde", "tiny", "--course", "other")
    assert done.returncode == 2
    assert "tiny has not been released to this class; first: classroom release tiny" in done.stderr


def test_outside_a_course(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "classroom", "status", "tiny"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "no course here: expected nbgrader_config.py in" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_in_course_yml_is_a_message(tiny):
    path = tiny.root / "course.yml"
    path.write_text(path.read_text().replace("2026-02-06 23:59", "soon"))
    done = tiny.run("release")
    assert done.returncode == 2
    assert done.stderr.startswith("classroom: course.yml, line 6: projects.tiny.due: expected a date such as")


def test_the_class_is_private(tiny_template):
    assert (tiny_template / "course").stat().st_mode & 0o777 == 0o700
