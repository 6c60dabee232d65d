"""The page that JupyterLab opens on, for those who teach.

Cases: beside a course in which one studies; a course.yml that can't be read; nothing, something and more handed in;
withdrawn; a project that course.yml does not name any more; an exchange that answers nonsense.
"""

from dataclasses import replace

from classroom.hub.facts import Given, Told
from classroom.hub.welcome import page

from .small_exchange import COURSE, NOW, put, row


def test_an_instructor_and_two_courses(exchange, tmp_path):
    address = "http://hub.example.org/services/course-b/formgrader"
    other = Told("course-b", "Another", assignments=(Given("three", "Third"),), formgrader=address)
    text = page([COURSE, other], tmp_path, NOW)
    assert f"[Open formgrader]({address})" in text
    assert "## A course, Spring" in text
    assert "## Another: you teach this course" in text
    broken = Told("course-c", "course-c", formgrader=address, problem="course.yml, line 3: due: expected a date")
    assert "course.yml, line 3: due: expected a date" in page([broken], tmp_path, NOW)


def test_those_who_teach_see_what_comes_in_before_they_collect(exchange, tmp_path):
    teaches = replace(COURSE, formgrader="http://hub.example.org/services/course-a/formgrader")
    assert "| one<br>The first | Fri 6 Mar 2026, 23:59 | not released yet |" in page([teaches], tmp_path, NOW)
    put(exchange, "one")
    exchange["/submissions/course-a/one"] = {"success": True, "submissions": []}
    assert "| by nobody so far |" in row(page([teaches], tmp_path, NOW), "one")
    times = {"ada": ("2026-03-04 10:00:00.5", "2026-03-05 10:00:00"), "ben": ("2026-03-03 10:00:00",)}
    sent = [{"student_id": name, "timestamp": f"{when} UTC"} for name, all_ in times.items() for when in all_]
    exchange["/submissions/course-a/one"]["submissions"] = sent
    text = page([teaches], tmp_path, NOW)
    assert "| by 2 students, last on Thu 5 Mar 2026, 11:00 |" in row(text, "one")
    assert "| not released yet |" in row(text, "two")
    assert "*Collect*, in formgrader, takes in what was handed in." in text
    assert "by 2 students" not in page([teaches], tmp_path, NOW, ask=False)
    put(exchange, "one", released=False)
    exchange["/submissions/course-a/one"]["submissions"] = sent[2:]
    assert "| withdrawn<br>by 1 student, last on" in row(page([teaches], tmp_path, NOW), "one")
    exchange["/assignments/course-a"]["assignments"].append("old")  # which course.yml does not name any more
    exchange["/assignment/course-a/old"] = exchange["/assignment/course-a/one"]
    exchange["/submissions/course-a/old"] = {"success": True, "submissions": []}
    assert "| old | – | withdrawn<br>by nobody so far |" in page([teaches], tmp_path, NOW)
    exchange["/submissions/course-a/one"] = b"no JSON"
    text = page([teaches], tmp_path, NOW)
    assert "**What your students handed in can't be told just now:**" in text
    assert "| one<br>The first | Fri 6 Mar 2026, 23:59 | – |" in text
