"""The command line: what is mistyped is named with its near miss, and the exit codes hold."""

import re
import signal
import subprocess
import sys

import pytest

from classroom import commands
from classroom.cli import main
from classroom.errors import ClassroomError

COMMANDS = ["release", "collect", "autograde", "regrade", "feedback", "status", "report", "show"]
COMMANDS += ["export"]
COMMANDS += ["similarity", "amend", "forget"]
COMMANDS += ["new", "lint", "audit", "doctor", "simulate", "demo"]
ENGINE = ["autograde", "regrade", "amend", "lint", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert re.search(rf"examples?:\n  classroom {command}", text)
    assert "--json FILE" in text
    if command in ENGINE:
        for option in ("--jobs", "--scheduler", "--timeout", "--cell-timeout", "--memory", "--cold", "--insecure"):
            assert option in text


def test_there_are_no_others(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert re.findall(r"^    (\w+)\s", text, re.MULTILINE) == COMMANDS
    assert "Exit codes: 0 every" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["autogade", "tiny"], "classroom: no command 'autogade'; did you mean autograde?"),
        (["autograde", "tinny"], "classroom: no project 'tinny'; did you mean tiny?"),
        (["status", "tinny"], "classroom: no project 'tinny'; did you mean tiny?"),
        (["show", "nobody", "tiny"], "classroom: no submission of 'nobody' for tiny"),
        (["release", "checkpoint"], "classroom: no project 'checkpoint'; there is tiny"),
        (["collect", "tiny", "--from", "nowhere"], "there is no such folder or file"),
        (["export", "--out", "nowhere/grades.csv"], "there is no folder nowhere"),
        (["export", "--to", "grades.csv"], "the name of a file goes after --out"),
        (["export", "--to", "canvas"], "needs the gradebook that Canvas exported"),
        (["demo"], "classroom: no demo class for tiny: expected demo.yml beside the source notebook"),
        (["simulate", "tiny", "--students", "3", "--only", "rigth"], "no group 'rigth'"),
        (["autograde", "tiny", "--scheduler", "tcp://10.0.0.1:8786"], "outside this machine only with TLS"),
        (["autograde", "tiny", "--scheduler", "somewhere"], "expected an address such as tls://"),
        (["autograde", "tiny", "--scheduler", "tls://10.0.0.1:8786"], "needs certificates"),
        (["autograde", "tiny", "--scheduler", "tls://10.0.0.1:8786", "--tls-ca", "no.pem"], "there is no file no.pem"),
        (["status", "tiny", "--json", "nowhere/report.json"], "--json nowhere/report.json: no such file or directory"),
    ],
)
def test_mistakes_are_named(tiny, words, message):
    done = tiny.run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["autograde"],
        ["autograde", "tiny", "--timeout", "0"],
        ["autograde", "tiny", "--timeout", "nan"],
        ["autograde", "tiny", "--jobs", "-1"],
        ["autograde", "tiny", "--cold", "--insecure"],
        ["regrade", "somebody", "tiny"],
        ["simulate", "tiny"],
    ],
)
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


def test_insecure_is_said_in_so_many_words(tiny):
    tiny.hand_in("somebody", "tiny", "def double(x):\n    return 2 * x")
    done = tiny.run("autograde", "tiny", "--insecure")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("WITHOUT sandbox: students' code runs as you")
    assert "somebody: graded" in done.stdout


def test_without_bubblewrap_nothing_is_run(tiny):
    """A machine without bubblewrap: a path on which there is none."""
    tiny.hand_in("somebody", "tiny", "def double(x):\n    return 2 * x")
    environment = {**tiny.environment(), "PATH": str(tiny.root / "bin")}
    (tiny.root / "bin").mkdir()
    done = subprocess.run(
        tiny.command("autograde", "tiny"),
        cwd=tiny.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "bubblewrap" in done.stderr
    assert "--insecure" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tiny.root / "course/results/tiny/somebody.result.json").exists()


def test_forget_asks_first(tiny, monkeypatch):
    tiny.hand_in("somebody", "tiny", "def double(x):\n    return 2 * x")
    monkeypatch.setattr("builtins.input", lambda question: "n")
    done = tiny.run("forget", "somebody")
    assert done.returncode == 2
    assert "nothing was removed" in done.stderr
    assert (tiny.root / "course/submitted/somebody").exists()


def test_forget_says_that_it_is_too_early_before_it_asks(tiny, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail("asked"))
    done = tiny.run("forget", "--expired")
    assert done.returncode == 2
    assert "course.yml does not say how long data is kept" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["autograde", "tiny"], "what is done is kept, and the same command goes on from here"),
        (
            ["autograde", "tiny", "--force"],
            "kept, and the command without --force goes on from here (with it",
        ),
    ],
)
def test_interrupted_it_says_what_to_type(monkeypatch, capsys, words, said):
    def interrupted(arguments):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(commands, "autograde", interrupted)
    try:
        assert main(words) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["autograde", "tiny"], "the scheduler went away; the same command goes on"),
        (["autograde", "tiny", "--force"], "the scheduler went away; the command without --force goes on"),
    ],
)
def test_stopped_it_says_what_to_type(monkeypatch, capsys, words, said):
    def stopped(arguments):
        raise ClassroomError("the scheduler went away; the same command goes on")

    monkeypatch.setattr(commands, "autograde", stopped)
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["autograde", "tinny"],
        ["autograde", "tiny", "--student", "nobody"],
        ["regrade", "nobody", "tiny", "--reason", "x"],
        ["amend", "tiny", "--course", "other"],
        ["demo", "tinny"],
    ],
)
def test_what_is_mistyped_is_said_before_workers_are_started(tiny, monkeypatch, words):
    started = []
    monkeypatch.setattr("classroom.engine.Engine.__init__", lambda *_, **__: started.append(1))
    assert tiny.run(*words, "--jobs", "1").returncode == 2  # --jobs: not the engine that tests share
    assert started == []


def test_nothing_that_a_command_does_not_need_is_imported():
    """The start of a batch hangs on it: torch, nbgrader and Dask come when they are needed."""
    code = (
        "import sys, classroom.cli; print(sorted({'torch', 'nbgrader', 'nbformat', 'distributed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
