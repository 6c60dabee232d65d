"""Reports of classes of every kind: what they say, what they must not say, that they agree with the table of grades."""

import mmap
import re
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from classroom.folder import Folder
from classroom.pseudonyms import Pseudonyms
from classroom.report import grades
from classroom.statistics.marks import progress, read_marks
from classroom.writer import Writer

from .conftest import Words, abilities, cell, checked, fill, page_of, shown


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_class_of_any_size(new_class, count):
    made = new_class()
    fill(made, count)
    done, page = page_of(made, "second")
    assert done["students"] == count
    assert done["outcomes"] == {"graded": count}
    words, found = shown(page), Words(page)
    assert not re.search(r"\bnan\b", words.lower())  # in a pseudonym the three letters may stand
    assert len(found.alt) >= 4
    assert all(re.search(r"\d", alt) for alt in found.alt), "alternative texts carry the numbers"
    assert page.count("<details>") == page.count("<figure>"), "each figure has its table"
    assert ("too few" in words) == (count < 10)
    assert ("Cronbach's alpha over" in words) == (count >= 10)


def test_nobody_handed_in(new_class):
    made = new_class()
    made.project("first", [1, 2])
    done, page = page_of(made, "first")
    assert done["students"] == 0
    assert "Nobody has handed in." in shown(page)


def test_before_there_is_a_gradebook_or_a_result(new_class):
    made = new_class()
    made.project("first", [1])
    (made.root / "gradebook.db").unlink()
    assert page_of(made, "first")[0]["parts"] == []
    place = made.root / "submitted" / "ada" / "first"
    place.mkdir(parents=True)
    done, page = page_of(made, "first")
    assert done["outcomes"] == {"not graded yet": 1}
    assert "There are no grades yet." in shown(page)


def test_a_course_that_nbgrader_graded_has_no_results_and_says_so(new_class):
    made = new_class()
    made.project("first", [2, 2, 2])
    made.grades("first", abilities(20, 3))
    done, page = page_of(made, "first")
    assert done["outcomes"] == {"graded": 20}
    words = shown(page)
    assert "Not recorded: no result file says which single checks passed." in words
    assert "Not recorded: no result file says how long a submission ran." in words


def test_results_without_single_checks(new_class):
    made = new_class()
    fill(made, 3, checks=False)
    assert "Not recorded: no result file says which single checks passed." in shown(page_of(made, "second")[1])


def test_a_class_in_which_nobody_differs(new_class):
    made = new_class()
    made.project("first", [2, 2])
    made.grades("first", np.full((12, 2), 2.0))
    done, page = page_of(made, "first")
    assert done["alpha"] is None
    assert [part["correlation"] for part in done["parts"]] == [None, None]
    words = shown(page)
    assert "100% have everything" in words
    assert words.count("everybody has the same points") == 2


def test_everything_waits_for_a_person(new_class):
    made = new_class()
    made.project("first", [2, 2])
    made.grades("first", np.zeros((12, 2)), waiting=np.ones((12, 2), bool))
    done, page = page_of(made, "first")
    assert done["waiting"] == 12
    words = shown(page)
    assert "12 submissions wait for a person in “part-1” and “part-2”" in words
    assert "Every graded part waits for a person." in words


def test_words_follow_from_the_numbers(new_class):
    """One part that goes with nothing, one that goes the wrong way, one hard, one easy: each is told so."""
    made = new_class()
    count = 400
    draw = np.random.default_rng(1)
    points = abilities(count, 10, 1)
    points[:, 1] = draw.integers(0, 3, count)  # noise
    points[:, 2] = 2 - points[:, 3]  # the wrong way
    points[:, 4] = draw.random(count) < 0.05
    points[:, 5] = np.where(draw.random(count) < 0.03, 1, 2)
    made.project("first", [2] * 10)
    made.grades("first", points)
    lines = dict(re.findall(r"<li><strong>(part-\d+)</strong>: ([^<]*)</li>", page_of(made, "first")[1]))
    assert "the best miss it as often as the others" in lines["part-2"]
    assert "look for a mistake in its tests" in lines["part-3"]
    assert "hard: " in lines["part-5"]
    assert "easy: " in lines["part-6"]
    assert "separates" in lines["part-8"]


def test_checks_are_counted_and_hidden_ones_marked(new_class):
    made = new_class()
    made.project("first", [2])
    students = made.grades("first", np.ones((12, 1)))
    for number, student in enumerate(students):
        checks = [checked("shape", number > 1), checked("far <b>values</b>", number > 7, hint="", hidden=True)]
        claimed = cell(1, [checked("forged", False)], by="session", grade_id="other")
        made.result(student, "first", cells={"first.ipynb": [cell(1, checks), claimed]})
    done, page = page_of(made, "first")
    assert [(c["name"], c["made"], c["failed"], c["hidden"]) for c in done["checks"]] == [
        ("shape", 12, 2, False),
        ("far <b>values</b>", 12, 8, True),
    ]
    assert "<b>" not in page
    words = shown(page)
    assert "More than half fail “far <b>values</b>”" in words
    assert "1 of the 2 checks that somebody failed have no hint" in words
    assert "failed a hidden one: 6 submissions in part-1" in words
    assert "forged" not in page
    assert page.count('<span class="tag">hidden</span>') == 1


def test_runs_are_summed_up_and_the_slowest_named_by_pseudonym(new_class):
    made = new_class()
    made.project("first", [2])
    students = made.grades("first", np.ones((8, 1)))
    for number, student in enumerate(students):
        usage = {"seconds": 2.0 if number else 90.0, "cpu_seconds": 1.5, "memory_mb": 100 + number}
        status = "ok" if number else "timeout"
        cells = {"first.ipynb": [{"grade_id": "part-1", "status": status}]}
        made.result(student, "first", usage=usage, cells=cells, outcome="graded" if number else "student-error")
    words = shown(page_of(made, "first")[1])
    assert "The slowest 5" in words
    assert "The longest took 45 times as long as the median" in words
    assert "Cells that were stopped: part-1 at the time limit: 1." in words
    name = Pseudonyms(made.folder).of(students[0])
    assert re.search(rf"{name}\s+90\s+1\.5\s+100\s+student-error", words)


def test_a_damaged_result_is_a_state_like_others(new_class):
    made = new_class()
    fill(made, 3)
    path = made.folder.record("result", "second", "student-00001")
    path.write_text(path.read_text()[:200])
    assert page_of(made, "second")[0]["outcomes"] == {"graded": 2, "damaged": 1}


def test_each_student_has_a_line_and_who_fell_stands_first(new_class):
    made = new_class()
    for project in ("first", "second"):
        made.project(project, [10])
    students = ["a", "b", "c", "d"]
    made.grades("first", np.array([[9.0], [5], [5], [9]]), students)
    made.grades("second", np.array([[2.0], [5], [9]]), students[:3])
    page = page_of(made, "second", names=True)[1]
    lines = re.findall(r'<th scope="row">([abcd])</th>.*?</tr>', page[page.index("Each student") :])
    # Medians 7 and 5: a is 3 less than the class where it was 2 more, b 0 where it was 2 less, c 4; d has no second.
    assert lines == ["a", "b", "c", "d"]
    assert "1 student fell by 20 or more" in shown(page)
    assert progress(made.folder, ["first", "second"])["first"] == {"a": 0.9, "b": 0.5, "c": 0.5, "d": 0.9}


def test_who_earned_nothing_is_told_apart_from_how_the_parts_go_together(new_class):
    made = new_class()
    made.project("first", [2] * 3)
    points = np.random.default_rng(0).integers(1, 3, (40, 3)).astype(float)
    points[:10] = 0
    made.grades("first", points)
    done, page = page_of(made, "first")
    assert done["alpha"] < 0.4
    assert done["compared"] == 30
    assert "Left out of all correlations: 10 submissions that earned nothing" in shown(page)


def test_a_hint_may_hold_code_and_no_markup(new_class):
    made = new_class()
    made.project("first", [2])
    (student,) = made.grades("first", np.ones((1, 1)))
    hint = "leave `p<q` as it is <i>here</i>"
    made.result(student, "first", cells={"first.ipynb": [cell(1, [checked("shape", False, hint=hint)])]})
    assert "leave <code>p&lt;q</code> as it is &lt;i&gt;here&lt;/i&gt;" in page_of(made, "first")[1]


def memory(field: str) -> float:
    """MB of this process: `VmRSS` now, `VmHWM` at most since `forget_the_most`."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) / 1024


def forget_the_most() -> None:
    """Begin to look for the most memory anew: what was filled in before may have taken more than what is tried."""
    Path("/proc/self/clear_refs").write_text("5")


def test_the_most_memory_is_seen():
    """Also where more was used before."""
    np.ones(400 << 17).sum()  # 400 MB, and gone again
    forget_the_most()
    before = memory("VmRSS")
    with mmap.mmap(-1, 150 << 20) as new:  # not what the allocator has kept of the 400
        for _ in range(150):
            new.write(b"1" * (1 << 20))
    assert 140 < memory("VmHWM") - before < 250


@pytest.mark.full
def test_ten_thousand(new_class):
    made = new_class()
    fill(made, 10_000)
    forget_the_most()
    before, began = memory("VmRSS"), time.process_time()
    done, page = page_of(made, "second")
    assert time.process_time() - began < 20
    assert memory("VmHWM") - before < 100, "MB more than before"
    assert done["outcomes"] == {"graded": 10_000}
    assert page.count('<svg class="spark"') == 10_000


def test_what_waits_is_no_fall(new_class):
    made = new_class()
    for project in ("first", "second"):
        made.project(project, [2, 2])
    made.grades("first", np.full((3, 2), 2.0), ["a", "b", "c"])
    waiting = np.array([[False, True]] * 2 + [[True, True]])
    made.grades("second", np.full((3, 2), 2.0), ["a", "b", "c"], waiting=waiting)
    assert progress(made.folder, ["second"]) == {"second": {"a": 1.0, "b": 1.0}}


def test_points_are_those_of_the_table_of_grades(tiny, make_result):
    """By hand and by tests, late and not, with extra credit: as nbgrader's own object layer has them."""
    folder = Folder(tiny.root)
    with Writer(folder, "tiny") as writer:
        for student, when, failed in (
            ("ada", "2026-02-05 10:00:00 UTC", ()),
            ("bob", "2026-02-08 10:00:00 UTC", ()),
            ("cleo", "2026-02-05 10:00:00 UTC", ("double-tests",)),
        ):
            writer.merge(make_result(folder, student, {"why": "So."}, when=when, failed=failed))
    with folder.gradebook() as gradebook:
        grade = gradebook.find_grade("why", "tiny", "tiny", "bob")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 0.5, 0.25, False
        gradebook.db.commit()
    found = read_marks(folder, "tiny")
    expected = grades(folder, "tiny")
    assert sorted(found.students) == sorted(expected)
    assert [part.cell for part in found.parts] == list(expected["ada"]["parts"])
    assert found.most == expected["ada"]["max"]
    for at, student in enumerate(found.students):
        wanted = expected[student]
        assert found.total[at] == pytest.approx(wanted["total"])
        assert found.penalty[at] == pytest.approx(wanted["penalty"])
        assert found.seconds_late[at] == wanted["seconds_late"]
        points = [None if np.isnan(value) else value for value in found.points[at]]
        assert points == [None if v is None else pytest.approx(v) for v in wanted["parts"].values()]
    assert found.penalty.max() > 0


def test_the_command(tiny):
    done = tiny.run("report", "tiny")
    assert done.returncode == 0, done.stderr
    assert "tiny: nobody has handed in" in done.stdout
    page = tiny.root / "course" / "report-tiny.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert tiny.report("report", "tiny", "--to", "elsewhere.html")["command"] == "report"
    assert (tiny.root / "elsewhere.html").read_text().startswith("<!DOCTYPE html>")
    for words, message in (
        (("report", "tin"), "no project 'tin'; did you mean tiny?"),
        (("report", "tiny", "--to", "nowhere/x.html"), "there is no folder nowhere"),
        (("report", "tiny", "--to", "course"), "expected a file, got a folder"),
    ):
        done = tiny.run(*words)
        assert done.returncode == 2
        assert message in done.stderr
