"""The pages of a class.

In order: nothing hidden in any page of the demo class (lines, messages, the official answers); what a page says; late;
graded by hand, extra points and comments; several notebooks; a broken result; what is very long; made again only when
something changed; a page that somebody changed or replaced; killed while writing; what nbgrader's own release finds;
the page of formgrader's button.
"""

import json
import os
import re
import signal
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import pytest

from classroom.feedback import feedback
from classroom.feedback.shown import LEFT_OUT, MOST_MARKUP, NO_MORE
from classroom.folder import Folder
from classroom.plan import hidden_lines
from classroom.results import read_record, read_result, write_result
from classroom.writer import Writer

ROOT_CLASS = "_build/demo"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
COMMENT = "**Good**, see $x^2$\n\n<script>no</script>"


def words_of(page: str) -> str:
    """What a page says, without its markup."""
    return unescape(re.sub(r"<[^>]*>", "", page.split("<body>")[1]))


def graded(folder: Folder, record: dict) -> dict:
    student = record["student"]
    place = folder.path("submitted", "tiny", student)
    place.mkdir(parents=True, exist_ok=True)
    (place / "tiny.ipynb").write_text("{}")
    write_result(folder.record("result", "tiny", student), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)
    return record


@pytest.fixture
def folder(tiny) -> Folder:
    return Folder(tiny.root)


def test_the_page_of_formgraders_button_shows_nothing_of_hidden_tests(tiny, make_result):
    """nbgrader's own page, which the command then replaces."""
    tiny.hand_in("ada", "tiny", "def double(x):\n    print('my own words')\n    return 4")
    assert tiny.run("autograde", "tiny").returncode == 0
    command = [str(Path(sys.executable).with_name("nbgrader")), "generate_feedback", "tiny"]
    done = subprocess.run(command, cwd=tiny.root, env=tiny.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = tiny.root / "course/feedback/ada/tiny/tiny.html"
    words = unescape(re.sub(r"<[^>]*>", "", path.read_text()))
    assert "What the tests found is on the page" in words
    assert "double(2) == 4" in words
    assert "double(-1)" not in words
    assert "AssertionError" not in words
    assert tiny.run("feedback", "tiny").returncode == 0
    assert "What the tests found is on the page" not in path.read_text()
    assert "hidden" in words_of(path.read_text())


def page_of(folder: Folder, student: str) -> str:
    report = feedback(folder, "tiny", lambda text: None)
    assert student in report["made"], report
    return (folder.path("feedback", "tiny", student) / "tiny.html").read_text()


@pytest.fixture(scope="module")
def demo_pages(demo_course) -> dict[str, str]:
    found = {
        path.parent.parent.name: path.read_text()
        for path in (demo_course.root / ROOT_CLASS / "feedback").glob("*/checkpoint-01/*.html")
    }
    assert len(found) == 7
    return found


def nothing_hidden(root: Path, project: str) -> int:
    """Look for every line of hidden tests and official answers, and every message of a hidden check, in all pages.

    Returns:
        How many such messages there were to look for.
    """
    source = nbformat.read(root / f"solutions/{project}/{project}.ipynb", as_version=4)
    release = nbformat.read(root / ROOT_CLASS / f"release/{project}/{project}.ipynb", as_version=4)
    given = {line.strip() for cell in release.cells for line in cell.source.split("\n")}
    hidden, answers = set(), set()
    for cell in source.cells:
        lines = cell.source.split("\n")
        for first, last in hidden_lines(cell.source):
            hidden |= {line.strip() for line in lines[first - 1 : last]}
        if cell.metadata.get("nbgrader", {}).get("solution"):
            answers |= {line.strip() for line in lines}
    hidden, answers = hidden - given - {""}, answers - given - {""}
    assert len(hidden) > 30
    assert len(answers) > 20
    messages = 0
    for path in (root / ROOT_CLASS / "feedback").glob(f"*/{project}/*.html"):
        said, student = words_of(path.read_text()), path.parent.parent.name
        record = read_result(root / ROOT_CLASS / f"results/{project}/{student}.result.json")
        cells = record["notebooks"][f"{project}.ipynb"]["cells"]
        kinds = [cell["metadata"].get("nbgrader", {}) for cell in cells]
        theirs = [cell for cell, kind in zip(cells, kinds, strict=True) if not kind or kind.get("solution")]
        # What the same mistake led to in other cells is no secret.
        tests = [kind.get("grade") and not kind.get("solution") for kind in kinds]
        elsewhere = repr([cell.get("outputs") for cell, test in zip(cells, tests, strict=True) if not test])
        wrote = "\n".join(cell["source"] for cell in theirs)
        for line in hidden | answers:
            assert line in wrote or len(line) < 8 or line not in said, (student, line)
        checks = [check for cell in record["cells"][f"{project}.ipynb"] for check in cell.get("checks", [])]
        shown = {check["error"] for check in checks if not check["hidden"]}
        for check in checks:
            known = check["error"] in shown or repr(check["error"])[1:-1] in elsewhere or check["error"] in elsewhere
            if check["hidden"] and check["error"] and not known:
                assert check["error"] not in said, (student, check)
                messages += 1
    return messages


def test_no_page_of_the_demo_class_shows_anything_hidden(demo_course, demo_pages):
    assert nothing_hidden(demo_course.root, "checkpoint-01") >= 4


@pytest.mark.full
def test_nor_one_of_the_mini_project(generative_demo):
    assert nothing_hidden(generative_demo.root, "generative") >= 20


def test_a_page_says_what_passed_what_did_not_and_why(demo_pages):
    page = demo_pages["demo-typical"]
    said = words_of(page)
    assert "5 of 10 points; up to 2 points more when your instructor has read the rest" in said
    assert "did not pass: error (0.5 points)the second number: the deviation of the differences" in said
    assert "got an error of 0.082865, expected 0.019149" in said
    assert "did not pass: paired (0.5 points) a check that only grading makes" in said
    assert "the luck that both learners share must cancel" in said
    assert "# two independent samples, as if the splits were not the same" in said
    assert "Your instructor has still to read this part" in said
    assert "<script" not in page
    assert page.count("<h1") == 1
    assert [int(level) for level in re.findall(r"<h([1-6])", page)][:2] == [1, 2]


def test_an_untouched_notebook_has_a_short_page(demo_pages):
    said = words_of(demo_pages["demo-unanswered"])
    assert said.count("Nothing was answered here") == 5
    assert "NotImplementedError" not in said


def test_how_a_submission_ended_and_when_it_came(demo_pages):
    assert "While it ran: cell pieces stopped at the time limit." in words_of(demo_pages["demo-endless"])
    assert "This cell was stopped at the time limit." in words_of(demo_pages["demo-endless"])
    assert "SyntaxError" in words_of(demo_pages["demo-syntax"])
    late = words_of(demo_pages["demo-late"])
    assert "Handed in 2026-02-08 11:59, 1 day and 12 hours after the due date, 2026-02-06 23:59 (UTC)." in late
    assert "The course takes 10 % of the points for each day begun (up to 15 minutes late cost nothing): 2 days" in late
    assert "so 1.6 points of the 8 are taken off." in late


def test_points_and_words_of_a_person(folder, make_result):
    graded(folder, make_result(folder, "ada", {"why": "So. $x^2$"}, failed=("double-tests",)))
    with folder.gradebook() as gradebook:
        grade = gradebook.find_grade("double-tests", "tiny", "tiny", "ada")
        grade.manual_score, grade.extra_credit = 2, 0.5
        why = gradebook.find_grade("why", "tiny", "tiny", "ada")
        why.manual_score, why.needs_manual_grade = 1, False
        gradebook.find_comment("why", "tiny", "tiny", "ada").manual_comment = COMMENT
        gradebook.find_comment("double", "tiny", "tiny", "ada").manual_comment = "half right"
        gradebook.db.commit()
    page = page_of(folder, "ada")
    said = words_of(page)
    assert "3.5 of 4 points" in said
    assert "2.5 of 3 points (with 0.5 extra)" in said
    assert "Your instructor gave these points (the tests gave 0)." in said
    assert "half right" in said
    assert "<strong>Good</strong>, see <code>$x^2$</code>" in page
    assert "<script>no" not in page
    assert "still to read" not in said


def test_what_is_very_long_is_cut_and_that_is_said(folder, make_result):
    outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * 1_000_000}]
    outputs += [
        {"output_type": "display_data", "data": {"text/plain": f"output {n}"}, "metadata": {}} for n in range(500)
    ]
    answers = {"double": "def double(x):\n    return 2 * x\n" + "# " + "y" * 1_000_000, "why": "z" * 1_000_000}
    graded(folder, make_result(folder, "ada", answers, outputs={"double": outputs}))
    page = page_of(folder, "ada")
    assert len(page) < 1_500_000
    said = words_of(page)
    assert "992000 more characters" in said
    assert "461 more outputs of this cell are not shown." in said
    assert "output 38" in said
    assert "output 400" not in said


def test_progress_bars_colours_and_controls(folder, make_result):
    text = "10%\r 50%\r100%\n\x1b[31mred\x1b[0m \u202eturned\x07\n"
    output = {"output_type": "stream", "name": "stdout", "text": text}
    graded(folder, make_result(folder, "ada", {"double": "print(1)"}, outputs={"double": [output]}))
    page = page_of(folder, "ada")
    assert "100%\nred \\u202eturned\\x07" in page
    assert "10%" not in page
    assert "\u202e" not in page


def test_what_was_put_right_is_told(folder, make_result):
    record = make_result(folder, "ada", {"why": "So."})
    graded(folder, record | {"rebuilt": ["cell x<b> was there twice; both count, in order"] + ["y"] * 30})
    said = words_of(page_of(folder, "ada"))
    assert "Put right before grading: cell x<b> was there twice; both count, in order." in said
    assert "11 remarks more of that kind" in said


def test_an_output_that_repeats_a_hidden_test_is_left_out(folder, make_result):
    output = {"output_type": "stream", "name": "stdout", "text": "In[3]: assert double(-1) == -2\n"}
    html = {"output_type": "display_data", "data": {"text/html": "<b>assert</b> double(-1) == -2"}, "metadata": {}}
    graded(folder, make_result(folder, "ada", {"double": "print(In)"}, outputs={"double": [output, html]}))
    page = page_of(folder, "ada")
    assert "double(-1)" not in words_of(page)
    assert page.count(LEFT_OUT) == 1
    assert page.count(NO_MORE) == 1


def test_guesses_at_a_hidden_test_are_not_told_apart(folder, make_result):
    """Nothing after the right one shows whether it was right; what was written, and pictures, stand as they are."""
    right = "assert double(-1) == -2"
    guesses = [f"assert double(-1) == {n}" for n in range(-5, 5)]
    texts = [{"output_type": "stream", "name": "stdout", "text": f"{guess}\n"} for guess in guesses]
    figure = {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "So"}, "metadata": {}}
    outputs = [one for text in texts for one in (text, figure)]
    why = f"I guess {right}, or assert double(-1) == 8."
    graded(folder, make_result(folder, "ada", {"double": "print(In)", "why": why}, outputs={"double": outputs}))
    page = page_of(folder, "ada")
    said = words_of(page)
    shown = [guess in said.replace(why, "") for guess in guesses]
    assert shown == [True] * guesses.index(right) + [False] * (len(guesses) - guesses.index(right))
    assert said.count(LEFT_OUT) == 1
    assert said.count(NO_MORE) == len(guesses) - guesses.index(right) - 1
    assert why in said
    assert page.count("data:image/png") == len(guesses)
    figure["data"]["text/plain"] = right
    graded(folder, make_result(folder, "bob", {"double": "plot()"}, outputs={"double": [figure]}))
    assert right not in page_of(folder, "bob"), "the words of a figure are an output like others"


def test_a_page_has_an_end(folder, make_result):
    """40 MB that were handed in become no page of 190 MB: what is over is said, and the points stand."""
    answers = {"double": "x = '" + "&" * 900 + "'\n", "why": "So."}
    table = {"output_type": "display_data", "data": {"text/plain": "&" * 8000}, "metadata": {}}
    record = make_result(folder, "ada", answers, outputs={"double": [table] * 30})
    cells = record["notebooks"]["tiny.ipynb"]["cells"]
    code = {"cell_type": "code", "metadata": {}, "source": "'" + "&" * 900 + "'", "outputs": [table] * 30}
    own = [{**code, "id": f"own-{n}", "execution_count": 1} for n in range(400)]
    own += [{"cell_type": "markdown", "id": f"m-{n}", "metadata": {}, "source": "& " * 20_000} for n in range(400)]
    cells[1:1] = own
    graded(folder, record)
    page = page_of(folder, "ada")
    assert len(page) < MOST_MARKUP + 400_000
    said = words_of(page)
    assert "it is too much for one page" in said
    assert "points" in said


def test_a_damaged_result_stops_nobody_else(folder, make_result):
    for student in ("ada", "bob"):
        graded(folder, make_result(folder, student, {"why": "So."}))
    path = folder.record("result", "tiny", "ada")
    path.write_text(path.read_text().replace('"source": ', '"sauce": '))
    said: list[str] = []
    report = feedback(folder, "tiny", said.append)
    assert (report["made"], report["failed"]) == (["bob"], ["ada"])
    assert any(line.startswith("ada: feedback failed: KeyError") for line in said)


def test_it_is_made_again_for_each_thing_that_it_shows(folder, make_result, tiny):
    graded(folder, make_result(folder, "ada", {"why": "So."}))
    page_of(folder, "ada")
    assert feedback(folder, "tiny", lambda text: None)["unchanged"] == ["ada"]
    with folder.gradebook() as gradebook:
        gradebook.find_grade("double-tests", "tiny", "tiny", "ada").extra_credit = 0.25
        gradebook.db.commit()
    assert "0.25" in page_of(folder, "ada")
    config = tiny.root / "course.yml"
    config.write_text(config.read_text().replace("percent_per_day: 10", "percent_per_day: 20"))
    page_of(Folder(tiny.root), "ada")
    graded(folder, make_result(folder, "ada", {"why": "Otherwise."}))
    assert "Otherwise." in page_of(folder, "ada")


def test_a_page_that_is_not_ours_any_more_is_made_again(folder, make_result, tmp_path):
    graded(folder, make_result(folder, "ada", {"why": "So."}))
    page = page_of(folder, "ada")
    place = folder.path("feedback", "tiny", "ada") / "tiny.html"
    place.write_text("<script>")
    assert page_of(folder, "ada") == page
    elsewhere = tmp_path / "copy.html"
    elsewhere.write_text(page)
    place.unlink()
    place.symlink_to(elsewhere)
    assert page_of(folder, "ada") == page
    assert not place.is_symlink()
    assert elsewhere.read_text() == page


def test_killed_at_any_point_there_are_whole_pages_or_none(folder, make_result):
    for student in ("ada", "bob"):
        graded(folder, make_result(folder, student, {"why": f"So says {student}. " + "word " * 20_000}))
    feedback(folder, "tiny", lambda text: None)
    tops = [folder.path("feedback", "tiny", student) for student in ("ada", "bob")]
    whole = {top: (top / "tiny.html").read_bytes() for top in tops}
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom classroom import results\n"
        "from classroom.feedback import feedback\nfrom classroom.folder import Folder\n"
        "left, rename = int(sys.argv[1]), os.replace\n"
        "def count(*names):\n    global left\n    left -= 1\n"
        "    if left == 0:\n        os.kill(os.getpid(), signal.SIGKILL)\n    rename(*names)\n"
        "os.replace = count\nfeedback(Folder(Path(sys.argv[2])), 'tiny', print)\n"
    )
    # A student's page, time and record: before the first page, and between a page and its record.
    for number in (1, 3):
        for top in tops:
            (top / "tiny.html").unlink(missing_ok=True)
            folder.record("feedback", "tiny", top.parent.name).unlink(missing_ok=True)
        command = [sys.executable, "-c", script, str(number), str(folder.root)]
        done = subprocess.run(command, cwd=folder.root, env={**os.environ, "CLASSROOM_DIR": "course"}, timeout=120)
        assert done.returncode == -signal.SIGKILL
        standing = {top: (top / "tiny.html").read_bytes() for top in tops if (top / "tiny.html").exists()}
        assert standing.items() <= whole.items()
        assert len(standing) == number // 2
        report = feedback(folder, "tiny", lambda text: None)
        assert len(report["made"]) + len(report["unchanged"]) == 2
        assert {top: (top / "tiny.html").read_bytes() for top in tops} == whole
        assert sorted(path.name for path in tops[0].iterdir()) == ["timestamp.txt", "tiny.html"]


def test_records_know_every_page(folder, make_result):
    graded(folder, make_result(folder, "ada", {"why": "So."}))
    page_of(folder, "ada")
    record = read_record(folder.record("feedback", "tiny", "ada"))
    assert set(record["pages"]) == {"tiny.html"}
    assert json.dumps(record)
