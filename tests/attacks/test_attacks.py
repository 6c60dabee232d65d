"""Attempts to gain points, to read, to write, to get out: all in one class, graded by the real commands.

`tries/` has a file for each, with a line on what it tries. What is looked at is the effect: points in the gradebook,
secrets in what a submission put out, listeners on the host, files, a process, and the grades of honest students before,
between and after them. In order: the attempts, the neighbours, the host, the next submission; then pages in a browser,
exported tables, and the table in the guide.
"""

import contextlib
import csv
import re
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "suite"))  # not a package

from attack_pages import pages
from attack_run import HONEST, command
from attack_table import BEGIN, END, table
from attack_target import FULL, HIDDEN_CODE, PRINTED_IN_HIDDEN, PROJECT
from attack_tries import CLASSES, tries

ROOT = Path(__file__).resolve().parents[2]
GUIDE, SECURITY = ROOT / "book" / "teach" / "attacks.md", ROOT / "SECURITY.md"
TRIES = tries()


def test_there_are_attempts_of_every_class():
    assert len(TRIES) >= 60
    assert set(CLASSES) == {attempt.kind for attempt in TRIES}
    told = Counter(attempt.what for attempt in TRIES)
    assert [what for what, times in told.items() if times > 1 or len(what) < 10 or what.endswith(".")] == []


@pytest.mark.parametrize("attempt", TRIES, ids=lambda attempt: attempt.student)
def test_nothing_is_gained_and_nothing_read(attempt, graded):
    row = graded.row(attempt)
    assert graded.outcome(attempt) in attempt.outcomes, row
    assert graded.points(attempt) == attempt.gains, row
    assert graded.leaks(attempt) == []


def test_what_is_not_taken_has_a_reason(graded):
    nothing = [attempt for attempt in graded.tries if graded.outcome(attempt) == "nothing"]
    reasons = {one["student"]: one["reason"] for one in graded.refused if one["reason"]}
    assert {attempt.student for attempt in nothing if "\nstudent: " not in attempt.text} <= set(reasons)
    assert len(reasons) >= len(nothing)


@pytest.mark.parametrize("student", HONEST)
def test_the_grades_around_them_are_what_they_would_be(student, graded):
    row = graded.rows[student]
    assert (row["outcome"], row["note"]) == ("graded", "")
    assert row["parts"] == {**FULL, "why": 0}


def test_nobody_else_is_in_the_class(graded):
    assert set(graded.rows) <= {*HONEST, *(attempt.student for attempt in graded.tries)}


def test_the_gradebook_has_the_cells_and_points_of_the_release(graded):
    with contextlib.closing(sqlite3.connect(graded.world.root / "course" / "gradebook.db")) as file:
        cells = file.execute("select name, max_score from grade_cells join base_cell on base_cell.id = grade_cells.id")
        assert dict(cells.fetchall()) == {**FULL, "why": 2}
        assert {name for (name,) in file.execute("select id from student")} == set(graded.rows)


def test_nothing_has_happened_on_the_host(graded):
    assert graded.effects == []


def test_nothing_is_there_for_the_next_submission(graded):
    cells = graded.results["writing-for_the_next_2"]["notebooks"][f"{PROJECT}.ipynb"]["cells"]
    texts = "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))
    assert "LEFT: [] END" in texts


@pytest.fixture(scope="module")
def feedback(graded):
    """The folder with everybody's feedback."""
    command(graded.world, "feedback", PROJECT)
    return graded.world.root / "course" / "feedback"


def test_no_feedback_shows_a_secret_or_a_hidden_test(graded, feedback):
    shown = sorted(feedback.rglob("*.html"))
    assert len(shown) > 100
    for path in shown:
        text = path.read_text(encoding="utf-8")
        student = path.relative_to(feedback).parts[0]
        secrets = {
            kind: secret
            for kind, secret in graded.world.secrets.items()
            if kind != "neighbour" or student not in HONEST
        }
        assert [kind for kind, secret in secrets.items() if secret in text] == [], path
        assert HIDDEN_CODE not in text, path
        assert PRINTED_IN_HIDDEN not in text, path


# Of a student's, and laid over the page: what a person sees instead of the grade.
OVERLAID = """[...document.querySelectorAll("*")].filter(
    one => getComputedStyle(one).position === "fixed" && one.textContent.trim() === "Full points").length"""


def opened(browser, path: Path) -> list[str]:
    """What is active on a page that is opened as a file."""
    page = browser.new_page()
    found = []
    page.on("dialog", lambda dialog: (found.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_timeout(150)
    found += ["title"] if "owned" in page.title() else []
    found += ["elsewhere"] if page.url != path.as_uri() else []
    found += ["overlay"] if page.evaluate(OVERLAID) else []
    page.close()
    return found


@pytest.mark.browser
def test_nothing_is_active_in_a_browser(graded, feedback, browser, tmp_path):
    """Formgrader's page and the feedback of every attempt with markup, where a listener can be called."""
    calls = graded.world.listeners.calls
    before = len(calls)
    shown = pages(graded, [attempt for attempt in graded.tries if attempt.kind == "markup"], tmp_path)
    assert len(shown) >= 10
    assert {str(path): found for path in shown if (found := opened(browser, path))} == {}
    assert calls[before:] == []

    raw = tmp_path / "raw.html"  # the same without anything taken out: it would be seen
    reach = f"http://127.0.0.1:{graded.world.listeners.tcp}/"
    script = f"<script>fetch('{reach}', {{mode: 'no-cors'}}); document.title = 'owned'</script>"
    raw.write_text(f"<p>x</p>{script}<div style='position: fixed'>Full points</div>")
    assert opened(browser, raw) == ["title", "overlay"]
    assert len(calls) > before


def test_no_cell_of_an_exported_table_is_a_formula(graded):
    command(graded.world, "export", "--to", "csv", "--out", "table.csv")
    with open(graded.world.root / "table.csv", newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert len(cells) > len(graded.rows)
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


def test_the_guide_has_the_table(graded, request):
    made, text = table(graded), GUIDE.read_text(encoding="utf-8")
    if request.config.getoption("--write-table", default=False):
        text = text[: text.index(BEGIN)] + made + text[text.index(END) + len(END) :]
        GUIDE.write_text(text, encoding="utf-8")
    begin, end = text.index(BEGIN), text.index(END) + len(END)
    assert text[begin:end] == made, "pytest tests/attacks --write-table writes it"
    assert f"{len(TRIES)} attempts" in text


def test_security_md_says_how_many(graded):
    text = SECURITY.read_text(encoding="utf-8")
    assert f"{len(TRIES)} submissions" in text
    rows = re.findall(r"^\| .* \| (\d+) \| (.+) \| none \|$", text, re.M)
    assert sum(int(count) for count, _ in rows) == len(TRIES)
    assert f"by {sum(bool(graded.points(attempt)) for attempt in TRIES)} of them" in text
