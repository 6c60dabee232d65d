"""course.yml and project.yml: what is read, and what is said about each kind of mistake."""

from datetime import datetime
from pathlib import Path

import pytest

from classroom.course import read_course, read_project
from classroom.errors import ClassroomError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
id: a-course
title: A course
term: Spring 2026
timezone: UTC
projects:
  first: {due: 2026-03-06 23:59, weight: 5}
  second: {due: null, weight: 0}
late:
  grace_minutes: 15
  percent_per_day: 10
  days: 3
"""
PROJECT = """\
title: A project
minutes: 20
points: 6
parts:
  - {name: One, cell: one-tests, points: 4, graded: by tests}
  - {name: Two, cell: two, points: 2, graded: by hand}
limits: {cell_seconds: 60}
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "course.yml"
    path.write_text(text)
    return read_course(path)


def test_what_is_read(tmp_path):
    course = read(tmp_path, GOOD)
    assert course.id == "a-course"
    assert course.due == {"first": datetime(2026, 3, 6, 23, 59), "second": None}
    assert course.weight == {"first": 5, "second": 0}
    assert (course.late.grace_minutes, course.late.percent_per_day, course.late.days) == (15, 10, 3)
    assert course.text["book_url"] == ""


@pytest.mark.parametrize(
    ("zone", "due", "utc"),
    [
        ("Europe/Paris", "2026-03-06 23:59", datetime(2026, 3, 6, 22, 59)),  # winter
        ("Europe/Paris", "2026-07-06 23:59", datetime(2026, 7, 6, 21, 59)),  # summer
        ("America/New_York", "2026-03-06", datetime(2026, 3, 7, 4, 59)),  # a date is its last minute
        ("Europe/Paris", "2026-03-06 23:59:30+00:00", datetime(2026, 3, 6, 23, 59, 30)),  # says its own zone
    ],
)
def test_due_dates_are_kept_in_utc(tmp_path, zone, due, utc):
    course = read(tmp_path, GOOD.replace("timezone: UTC", f"timezone: {zone}").replace("2026-03-06 23:59", due))
    assert course.due["first"] == utc


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "2026-03-06 23:59",
            "next friday",
            "course.yml, line 6: projects.first.due: expected a date such as 2026-03-06 23:59, or null, got 'next",
        ),
        (
            "weight: 5",
            "weight: five",
            "course.yml, line 6: projects.first.weight: expected a number from 0 to 100, got 'five'",
        ),
        (
            "percent_per_day: 10",
            "percent_per_day: 101",
            "course.yml, line 10: late.percent_per_day: expected a number from 0 to 100, got 101",
        ),
        ("days: 3", "days: 1.5", "course.yml, line 11: late.days: expected a whole number of days, or null, got 1.5"),
        (
            "term:",
            "urls: none\nterm:",
            "course.yml, line 3: unknown field urls; there are ai_policy, attempts, book_url",
        ),
        ("title: A course\n", "", "course.yml, line 1: the file: expected a field 'title', got none"),
        ("  days: 3\n", "", "course.yml, line 8: late: expected a field 'days', got none"),
        ("second:", "first:", "course.yml, line 7: projects.first is there twice"),
        (
            "timezone: UTC",
            "timezone: Europe/Pariss",
            "course.yml, line 4: timezone: expected the name of a time zone, such as Europe/Paris, got 'Europe/Pariss'",
        ),
        (
            "id: a-course",
            "id: A Course",
            "course.yml, line 1: id: expected lower-case letters, digits and hyphens, got 'A Course'",
        ),
        (
            "term:",
            "book_url: our-book\nterm:",
            "course.yml, line 3: book_url: expected an address beginning with https://, or empty, got 'our-book'",
        ),
        (
            "second:",
            "Second One:",
            "course.yml, line 5: projects: expected names of lower-case letters, digits and hyphens",
        ),
        ("title: A course", "title: [A", "course.yml, line 3: "),  # not YAML; the parser's own words follow
        (GOOD, "", "course.yml, line 1: the file: expected a field 'id', got none"),
        (GOOD, "- a list", "course.yml, line 1: the file: expected fields, got ['a list']"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, before, after, message):
    assert before in GOOD
    with pytest.raises(ClassroomError) as error:
        read(tmp_path, GOOD.replace(before, after))
    assert str(error.value).startswith(message)


def test_several_mistakes_are_all_named(tmp_path):
    with pytest.raises(ClassroomError) as error:
        read(tmp_path, GOOD.replace("weight: 5", "weight: -1").replace("days: 3", "days: many"))
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "course.yml, line 6",
        "course.yml, line 11",
    ]


def test_a_misspelt_field_is_both_unknown_and_missing(tmp_path):
    with pytest.raises(ClassroomError) as error:
        read(tmp_path, GOOD.replace("title: A course", "tilte: A course"))
    assert str(error.value).splitlines() == [
        "course.yml, line 1: the file: expected a field 'title', got none",
        "course.yml, line 2: unknown field tilte; did you mean title or late?",
    ]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ClassroomError, match=r"course\.yml is missing"):
        read_course(tmp_path / "course.yml")


def test_the_points_of_the_parts_add_up(tmp_path):
    path = tmp_path / "project.yml"
    path.write_text(PROJECT)
    assert [part.by_hand for part in read_project(path).parts] == [False, True]
    path.write_text(PROJECT.replace("points: 6", "points: 10"))
    with pytest.raises(
        ClassroomError, match=r"project.yml, line 3: points: expected the sum of the parts' points, 6, got 10"
    ):
        read_project(path)


@pytest.mark.parametrize(
    ("line", "minutes"), [("minutes: 20", 20), ("hours: 6.5", 390), ("hours: null", None), ("withheld: []", None)]
)
def test_the_time_that_a_student_needs(tmp_path, line, minutes):
    path = tmp_path / "project.yml"
    path.write_text(PROJECT.replace("minutes: 20", line))
    assert read_project(path).minutes == minutes


def test_withheld_names_are_read_and_checked(tmp_path):
    path = tmp_path / "project.yml"
    path.write_text(PROJECT + "withheld: [deeppractice.generative:fit_gan]\n")
    assert read_project(path).withheld == ("deeppractice.generative:fit_gan",)
    path.write_text(PROJECT + "withheld: [fit_gan]\n")
    with pytest.raises(ClassroomError, match=r"line 8: withheld.0: expected a name such as deep.*, got 'fit_gan'"):
        read_project(path)


def test_this_course_and_its_projects_are_valid():
    course = read_course(ROOT / "course.yml")
    for name in course.due:
        project = read_project(ROOT / "solutions" / name / "project.yml")
        assert project.points > 0, name
