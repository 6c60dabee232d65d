"""Grading goes on: past submissions that cannot be read, end their own process or never end, past an interruption by
Ctrl-C (once, twice) and SIGTERM, past a killed engine; nothing is graded twice without a reason. Then what counts as a
reason: the submission, the release, `--force`; limits and where they come from; a project of nbgrader's own quickstart;
a regrade and its log; failures that are nobody's."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import nbgrader
import pytest

from classroom import commands
from classroom.autograde import FAILURES_FIRST, Wishes, limits
from classroom.engine import Engine
from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import read_result

RIGHT = "def double(x):\n    return 2 * x"
WRONG = "def double(x):\n    return x + 2"  # right for 2, wrong for -1: only the hidden test sees it
STUBBORN = """\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""
SLOW = "import time\nwhile True:\n    time.sleep(0.1)"


def test_one_broken_submission_costs_the_others_nothing(tiny):
    tiny.hand_in("a-right", "tiny", RIGHT)
    tiny.hand_in("b-not-json", "tiny", RIGHT).write_text('{"cells": [{"cell_type": "co')
    tiny.hand_in("c-not-a-notebook", "tiny", RIGHT).write_text('{"cells": "none", "nbformat": 4, "nbformat_minor": 5}')
    tiny.hand_in("d-missing", "tiny", RIGHT).rename(tiny.root / "course/submitted/d-missing/tiny/answer.txt")
    tiny.hand_in("e-renamed", "tiny", RIGHT).rename(tiny.root / "course/submitted/e-renamed/tiny/answer.ipynb")
    tiny.hand_in("f-exits", "tiny", "import os\nos._exit(0)")
    tiny.hand_in("g-stubborn", "tiny", STUBBORN)
    tiny.hand_in("h-time", "tiny", RIGHT, when="long ago")
    tiny.hand_in("i-link", "tiny", RIGHT)
    (tiny.root / "course/submitted/i-link/tiny/solutions").symlink_to(tiny.root / "solutions")
    tiny.hand_in("j-wrong", "tiny", WRONG)
    (tiny.root / "course/submitted/k-linked").mkdir()
    (tiny.root / "course/submitted/k-linked/tiny").symlink_to(tiny.root / "course/submitted/a-right/tiny")
    (tiny.root / "course/submitted/l-empty/tiny").mkdir(parents=True)

    done = tiny.run("autograde", "tiny", "--cell-timeout", "2", "--json", "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "b-not-json: refused" in done.stdout  # by name
    report = tiny.report("status", "tiny")
    rows = {row["student"]: row for row in report["students"]}
    assert {student: (row["outcome"], (row["parts"] or {}).get("double-tests")) for student, row in rows.items()} == {
        "a-right": ("graded", 3),
        "b-not-json": ("refused", None),
        "c-not-a-notebook": ("refused", None),
        "d-missing": ("refused", None),
        "e-renamed": ("graded", 3),
        "f-exits": ("student-error", 0),
        "g-stubborn": ("student-error", 0),
        "h-time": ("refused", None),
        "i-link": ("graded", 3),
        "j-wrong": ("graded", 0),
        "k-linked": ("refused", None),
        "l-empty": ("refused", None),
    }
    assert "no tiny.ipynb" in rows["d-missing"]["note"]
    assert "time limit" in rows["g-stubborn"]["note"]
    assert "ended the submission's own process" in rows["f-exits"]["note"]
    shown = tiny.run("show", "i-link", "tiny").stdout
    assert "not taken: solutions: not part of the project" in shown
    # Nobody is lost: the export has a line for each, those without a grade at 0.
    lines = (tiny.root / tiny.report("export")["file"]).read_text().splitlines()
    assert {line.split(",")[3] for line in lines[1:]} == rows.keys()

    # What a student handed in before stands when the new version cannot be read.
    (tiny.root / "course/submitted/a-right/tiny/tiny.ipynb").write_text("?")
    tiny.report("autograde", "tiny", "--student", "a-right")
    row = tiny.report("status", "tiny")["students"][0]
    assert (row["student"], row["outcome"], row["total"]) == ("a-right", "refused", 3)
    assert "the grade of the version before stands" in row["note"]
    # A submission that was refused and is mended is graded; the others are not touched.
    tiny.hand_in("b-not-json", "tiny", RIGHT)
    report = tiny.report("autograde", "tiny")
    assert [student for student, record in report["submissions"].items() if record["again"]] == ["b-not-json"]
    assert report["submissions"]["b-not-json"]["outcome"] == "graded"


@pytest.mark.parametrize(
    "how", ["Ctrl-C twice", "SIGKILL", *(pytest.param(how, marks=pytest.mark.full) for how in ("Ctrl-C", "SIGTERM"))]
)
def test_interrupted_and_started_again(tiny, how):
    """Jobs are stopped, nothing is recorded of them, no process is left, and the same command goes on."""
    tiny.hand_in("a", "tiny", RIGHT)
    tiny.hand_in("b", "tiny", SLOW)
    tiny.hand_in("c", "tiny", RIGHT)
    process = start(tiny, "autograde", "tiny", "--cell-timeout", "120")
    try:
        log = output_until(process, r"c: graded")
        processes = descendants(process.pid)
        assert any("classroom.inside" in line for line in processes.values())  # the template, at least
        if how == "Ctrl-C twice":
            # Meanwhile a second one is told so, and changes nothing.
            second = tiny.run("autograde", "tiny")
            assert second.returncode == 2
            assert "another classroom command is working in course" in second.stderr
        signals = {"SIGTERM": [signal.SIGTERM], "SIGKILL": [signal.SIGKILL]}.get(how, [signal.SIGINT])
        for number in signals * (2 if how == "Ctrl-C twice" else 1):
            os.kill(process.pid, number) if number == signal.SIGKILL else os.killpg(process.pid, number)
            time.sleep(0.1)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    log += rest
    assert process.returncode == (-signal.SIGKILL if how == "SIGKILL" else 130), log
    assert re.search(r"\[\d/3\] a: graded", log)
    assert "Traceback" not in log
    if how != "SIGKILL":
        assert "the same command goes on from here" in log
    assert "b: " not in log  # it was not the submission's fault, so nothing is recorded of it
    wait_for(lambda: not any(alive(pid, line) for pid, line in processes.items()), 20)

    report = tiny.report("autograde", "tiny", "--cell-timeout", "1")
    outcomes = {student: (record["outcome"], record["again"]) for student, record in report["submissions"].items()}
    assert outcomes == {"a": ("graded", False), "b": ("graded", True), "c": ("graded", False)}


def test_what_is_graded_again(tiny):
    for student in ("a", "b"):
        tiny.hand_in(student, "tiny", RIGHT)

    def again(*words: str) -> list[str]:
        return [s for s, record in tiny.report("autograde", "tiny", *words)["submissions"].items() if record["again"]]

    assert again() == ["a", "b"]
    assert again() == []
    assert again("--timeout", "500", "--memory", "2000") == []  # limits are no reason
    assert again("--student", "b", "--force") == ["b"]
    tiny.hand_in("a", "tiny", WRONG)
    assert again() == ["a"]
    # The release: a hidden test that students never see is a reason too.
    source = tiny.root / "solutions/tiny/tiny.ipynb"
    source.write_text(source.read_text().replace("double(-1) == -2", "double(-2) == -4"))
    tiny.report("release", "tiny")
    assert again() == ["a", "b"]
    # What was written is gone: it is put back from the result files, and nothing runs.
    gone = tiny.root / "course/autograded/a/tiny/tiny.ipynb"
    for path in (gone, *gone.parent.glob("*")):
        path.unlink(missing_ok=True)
    gone.parent.rmdir()
    (tiny.root / "course/gradebook.db").unlink()
    tiny.report("release", "tiny")
    assert again() == []
    assert gone.exists()
    assert {row["student"]: row["total"] for row in tiny.report("status", "tiny")["students"]} == {"a": 0, "b": 3}
    # A result file that is damaged is made again.
    (tiny.root / "course/results/tiny/b.result.json").write_text("{")
    assert again() == ["b"]


def test_limits_come_from_the_command_line_then_the_project_then_the_course(tiny, monkeypatch):
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    found = limits(Folder(tiny.root), "tiny", Wishes())
    assert (found.cell_seconds, found.seconds, found.memory_mb) == (60, 1200, 4096)
    with open(tiny.root / "course.yml", "a") as file:
        file.write("limits: {memory_mb: 1000, seconds: 500}\n")
    (tiny.root / "solutions/tiny/project.yml").write_text(
        "title: Tiny\npoints: 4\nlimits: {cell_seconds: 7, seconds: 400}\nparts:\n"
        "  - {name: a, cell: double-tests, points: 3, graded: by tests}\n"
        "  - {name: b, cell: why, points: 1, graded: by hand}\n"
    )
    found = limits(Folder(tiny.root), "tiny", Wishes())
    assert (found.cell_seconds, found.seconds, found.memory_mb) == (7, 400, 1000)
    found = limits(Folder(tiny.root), "tiny", Wishes(seconds=30, cell_seconds=3, memory_mb=500))
    assert (found.cell_seconds, found.seconds, found.memory_mb) == (3, 30, 500)


def test_a_course_of_nbgrader_alone(tiny, tmp_path):
    """As `nbgrader quickstart` and `generate_assignment` make it: no course.yml, no project.yml, its own folders."""
    from nbgrader.converters import GenerateAssignment

    # As quickstart does, which takes half a minute to load all of nbgrader and Jupyter's server.
    course = copy.copy(tiny)
    course.root = root = tmp_path / "c101"
    guide = Path(nbgrader.__file__).parent / "docs/source/user_guide"
    shutil.copytree(guide / "source", root / "source", ignore=shutil.ignore_patterns("*.html", "ps1_autotest"))
    settings = ["c = get_config()", 'c.CourseDirectory.course_id = "c101"']
    settings += ['c.IncludeHeaderFooter.header = "source/header.ipynb"']
    (root / "nbgrader_config.py").write_text("\n".join(settings))
    refused = course.run("autograde", "ps1")
    assert refused.returncode == 2
    assert "ps1 has not been released to this class; first: classroom release ps1" in refused.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("CLASSROOM_DIR", "course")
        folder = Folder(root)
        folder.coursedir.assignment_id = "ps1"
        GenerateAssignment(coursedir=folder.coursedir, parent=folder.app).start()
    # Anna hands in the instructor's own solution; Ben one of two notebooks, as he got it.
    for student, step, file in (
        ("anna", "source", "problem1.ipynb"),
        ("anna", "source", "problem2.ipynb"),
        ("ben", "release", "problem1.ipynb"),
    ):
        target = root / "submitted" / student / "ps1" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((root / step / "ps1" / file).read_text())
    report = course.report("autograde", "ps1")
    assert {s: record["outcome"] for s, record in report["submissions"].items()} == {"anna": "graded", "ben": "graded"}
    rows = {row["student"]: row for row in course.report("status", "ps1")["students"]}
    assert (rows["anna"]["total"], rows["ben"]["total"]) == (3, 0)
    assert rows["anna"]["waiting"]
    assert (root / "autograded/anna/ps1/problem1.ipynb").exists()
    assert "ps1: 2 submissions, 0 graded now" in course.run("autograde", "ps1").stdout
    assert len(course.report("feedback", "ps1")["made"]) == 2


def test_regrade_is_logged(tiny):
    tiny.hand_in("a", "tiny", WRONG)
    tiny.report("autograde", "tiny")
    tiny.hand_in("a", "tiny", RIGHT)
    done = tiny.run("regrade", "a", "tiny", "--reason", "handed in the wrong file")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("a: 0 before, 3 now\n")
    (line,) = (tiny.root / "course/log.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["command"] == "regrade"
    assert entry["reason"] == "handed in the wrong file"
    assert (entry["before"]["total"], entry["after"]["total"]) == (0, 3)
    assert entry["who"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", entry["time"])
    tiny.run("regrade", "a", "tiny", "--reason", "again")
    assert len((tiny.root / "course/log.jsonl").read_text().splitlines()) == 2
    assert tiny.run("regrade", "b", "tiny", "--reason", "x").returncode == 2
    assert "--reason is empty" in tiny.run("regrade", "a", "tiny", "--reason", " ").stderr


def worker(kind: str):
    """Functions of workers that go wrong, sent as their code."""

    def broken(payload: bytes) -> bytes:
        raise OSError("no space left on device")

    def without_sandbox(payload: bytes) -> bytes:
        from classroom.sandbox.policy import SandboxError

        raise SandboxError("node7: bubblewrap is missing; apt install bubblewrap")

    def says_what_it_got(payload: bytes) -> bytes:
        raise OSError(payload.decode())

    return {"broken": broken, "without sandbox": without_sandbox, "says what it got": says_what_it_got}[kind]


def test_a_worker_does_not_learn_whose_job_it_is(tiny, monkeypatch):
    monkeypatch.setattr("classroom.engine.NOTE_CHARACTERS", 10**6)
    tiny.hand_in("adalovelace", "tiny", RIGHT)
    with Engine(jobs=1, function=worker("says what it got")) as engine:
        _, report = graded_with(tiny, engine)
    told = report["adalovelace"]["note"]
    assert "return 2 * x" in told
    assert "adalovelace" not in told
    assert str(tiny.root) not in told


def test_a_failure_of_ours_is_not_scored_and_tried_next_time(tiny):
    tiny.hand_in("a", "tiny", RIGHT)
    with Engine(jobs=1, function=worker("broken")) as engine:
        code, report = graded_with(tiny, engine)
    assert code == 1
    assert report["a"]["outcome"] == "failed"
    assert report["a"]["note"] == "OSError: no space left on device"
    assert tiny.report("status", "tiny")["students"][0]["total"] is None
    assert tiny.report("autograde", "tiny")["submissions"]["a"]["outcome"] == "graded"


def test_when_nothing_can_be_run_the_batch_ends(tiny):
    for number in range(FAILURES_FIRST + 5):
        tiny.hand_in(f"s{number}", "tiny", RIGHT)
    message = "no submission can be run: OSError: no space left on device"
    with Engine(jobs=1, function=worker("broken")) as engine, pytest.raises(ClassroomError, match=message):
        graded_with(tiny, engine)
    message = "node7: bubblewrap is missing"
    with Engine(jobs=1, function=worker("without sandbox")) as engine, pytest.raises(ClassroomError, match=message):
        graded_with(tiny, engine)
    assert not (tiny.root / "course/results/tiny/s9.result.json").exists()


def test_results_say_in_which_environment(tiny):
    tiny.hand_in("a", "tiny", RIGHT)
    tiny.report("autograde", "tiny")
    path = tiny.root / "course/results/tiny/a.result.json"
    record = read_result(path)
    path.write_text(path.read_text().replace(record["environment"], "0" * 64))
    done = tiny.run("autograde", "tiny")
    assert "1 was graded with other versions" in done.stdout


def test_a_project_of_two_kernels_is_refused(tiny):
    path = tiny.root / "assignments/tiny/tiny.ipynb"
    tiny.hand_in("a", "tiny", RIGHT)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(notebook, path)
    done = tiny.run("autograde", "tiny", "--insecure")
    assert done.returncode == 2
    assert "--insecure runs Python only, not the kernel ir" in done.stderr


def graded_with(course, engine: Engine) -> tuple[int, dict]:
    """Grade with an engine of one's own, in the course's folder."""
    from classroom.autograde import autograde

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        patch.setenv("CLASSROOM_DIR", "course")
        said: list[str] = []
        report = autograde(Folder(course.root), "tiny", said.append, engine=engine)
    return commands._code(report["submissions"]), report["submissions"]


def start(course, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        course.command(*words),
        cwd=course.root,
        env=course.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def output_until(process: subprocess.Popen, pattern: str) -> str:
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(said)


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/task/*/children"):
        if path.parts[2] == str(pid):
            for child in path.read_text().split():
                found[int(child)] = command_line(int(child))
                found |= descendants(int(child))
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int, line: str) -> bool:
    """Whether it still runs, and is not another process with its number."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and command_line(pid) == line


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
