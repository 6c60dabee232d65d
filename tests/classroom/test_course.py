"""course.yml and project.yml: what is read, and what is said about each kind of mistake.

In order: due dates; the fields of the first version and their mistakes; attempts, extensions (in the file and in one of
their own), retention, gradebook, limits, each with what is read and what is refused; project.yml; this course's own.
"""

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from classroom.course import COURSE_SCHEMA, LIMITS, due_for, kept_until, limits_for, read_course, read_project
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
            "course.yml, line 7: projects: expected names of lower-case letters, digits and hyphens, got 'Second One'",
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


def lines_of(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ClassroomError) as error:
        read(tmp_path, text)
    return str(error.value).splitlines()


def test_what_is_not_said_has_a_default(tmp_path):
    course = read(tmp_path, GOOD)
    assert (course.attempts.max, course.attempts.note) == (None, "")
    assert course.extensions is None
    assert (course.retention.days, course.gradebook, course.limits) == (None, "", {})
    assert kept_until(course) is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        # Attempts; a text was the form of the first version, and was not enforced.
        ("attempts: three", "attempts: expected fields such as {max: null, note: as often as you like}, got 'three'"),
        ("attempts: {note: often}", "attempts: expected a field 'max', got none"),
        ("attempts: {max: 0}", "attempts.max: expected a whole number, 1 or more, or null, got 0"),
        ("attempts: {max: two}", "attempts.max: expected a whole number, 1 or more, or null, got 'two'"),
        ("attempts: {max: true}", "attempts.max: expected a whole number, 1 or more, or null, got True"),
        ("attempts: {max: 2, notes: x}", "unknown field attempts.notes; did you mean note?"),
        ("attempts: {max: 2, note: 5}", "attempts.note: expected a text, got 5"),
        # Extensions.
        ("extensions: [first]", "extensions: expected projects with students and dates, or the name of a file"),
        ("extensions: none.yml", "extensions: expected the name of a file beside course.yml, got 'none.yml'"),
        ("extensions: {first: s1}", "extensions.first: expected students with dates, got 's1'"),
        ("extensions: {frist: {s1: 2026-03-10}}", "extensions.frist: no such project; did you mean first?"),
        ("extensions: {second: {s1: 2026-03-10}}", "extensions.second: expected a project with a due date, got none"),
        ("extensions: {first: {s1: 3}}", "extensions.first.s1: expected a date such as 2026-03-06 23:59, got 3"),
        ("extensions: {first: {s1: null}}", "extensions.first.s1: expected a date such as 2026-03-06 23:59, got None"),
        ("extensions: {first: {s1: soon}}", "extensions.first.s1: expected a date such as 2026-03-06 23:59, got 'soon"),
        (
            "extensions: {first: {s1: 2026-03-05}}",
            "extensions.first.s1: expected a date after the due date, 2026-03-06 23:59, got '2026-03-05'",
        ),
        (
            "extensions: {first: {s1: 2026-03-06}}",
            "extensions.first.s1: expected a date after the due date",
        ),  # the same
        ("extensions: {first: {s1: 2026-03-10, s1: 2026-03-11}}", "extensions.first.s1 is there twice"),
        ("extensions: {first: {01: 2026-03-10, '01': 2026-03-11}}", "extensions.first.01 is there twice"),
        (
            "extensions: {first: {a/b: 2026-03-10}}",
            "extensions.first: expected students by the names of their folders, got 'a/b'",
        ),
        ("extensions: {first: {s1: 9999-12-31 23:59-23:00}}", "extensions.first.s1: expected a date such as"),
        # Retention.
        ("retention: a year", "retention: expected fields such as {days: 365, note: why so long}, got 'a year'"),
        ("retention: {days: -1}", "retention.days: expected a whole number, 1 or more, or null, got -1"),
        ("retention: {days: 1.5}", "retention.days: expected a whole number, 1 or more, or null, got 1.5"),
        ("retention: {day: 30}", "retention: expected a field 'days', got none"),
        # The gradebook's address; a password would be read by everybody who sees the repository.
        ("gradebook: grades.db", "gradebook: expected postgresql://user@host/name without a password"),
        ("gradebook: 'mysql://host/name'", "gradebook: expected postgresql://user@host/name without a password"),
        ("gradebook: 'postgresql://me:secret@host/name'", "gradebook: expected postgresql://user@host/name without"),
        ("gradebook: 'postgresql:///name?password=secret'", "gradebook: expected postgresql://user@host/name without"),
        # Limits.
        ("limits: 60", "limits: expected fields, got 60"),
        ("limits: {second: 60}", "unknown field limits.second; did you mean seconds or cell_seconds?"),
        ("limits: {seconds: 0}", "limits.seconds: expected a number of seconds, got 0"),
        ("limits: {seconds: .inf}", "limits.seconds: expected a finite number, got '.inf'"),
        ("limits: {memory_mb: 4 GB}", "limits.memory_mb: expected a whole number, 1 or more, got '4 GB'"),
        ("limits: {processes: 0.5}", "limits.processes: expected a whole number, 1 or more, got 0.5"),
        # The policy.
        ("ai_policy: [no]", "ai_policy: expected a text, got [False]"),
        ("ai_policies: none", "unknown field ai_policies; did you mean ai_policy?"),
    ],
)
def test_a_mistake_in_a_later_field_is_named_with_its_line(tmp_path, field, message):
    line = lines_of(tmp_path, GOOD + field + "\n")[0]
    assert line.startswith("course.yml, line 12: "), line
    assert line.removeprefix("course.yml, line 12: ").startswith(message)


def test_every_field_has_words_for_what_is_expected():
    for name, schema in COURSE_SCHEMA["properties"].items():
        assert "description" in schema or schema.get("type") == "object", name


def test_attempts_and_retention_are_read(tmp_path):
    course = read(tmp_path, GOOD + "attempts: {max: 3, note: Thrice.}\nretention: {days: 30, note: A month.}\n")
    assert (course.attempts.max, course.attempts.note) == (3, "Thrice.")
    assert (course.retention.days, course.retention.note) == (30, "A month.")
    assert kept_until(course) == datetime(2026, 4, 5, 23, 59)
    course = read(tmp_path, GOOD + "retention: {days: 30}\nextensions: {first: {s1: 2026-03-16}}\n")
    assert kept_until(course) == datetime(2026, 4, 15, 23, 59)  # the last of all


ZONE = GOOD.replace("timezone: UTC", "timezone: Europe/Paris")
EXTENDED = """\
first:
  s1: 2026-03-10 12:00
  0042: 2026-04-01   # in summer time, and a name of digits stays as it is written
"""


@pytest.mark.parametrize("in_a_file", [False, True])
def test_extensions_are_local_dates_of_one_student(tmp_path, in_a_file):
    if in_a_file:
        (tmp_path / "course").mkdir()
        (tmp_path / "course" / "extensions.yml").write_text(EXTENDED)
        course = read(tmp_path, ZONE + "extensions: course/extensions.yml\n")
    else:
        course = read(tmp_path, ZONE + "extensions:\n" + "".join(f"  {line}\n" for line in EXTENDED.splitlines()))
    assert due_for(course, "first", "s1") == datetime(2026, 3, 10, 11, 0)
    assert due_for(course, "first", "0042") == datetime(2026, 4, 1, 21, 59)
    assert due_for(course, "first", "s2") == course.due["first"] == datetime(2026, 3, 6, 22, 59)
    assert due_for(course, "second", "s1") is None
    assert due_for(course, "third", "s1") is None
    assert due_for(None, "first", "s1") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first:\n  s1: 2026-03-01\n", "extensions.yml, line 2: first.s1: expected a date after the due date"),
        ("# nobody\nfrist: {}\n", "extensions.yml, line 2: frist: no such project; did you mean first?"),
        ("first: [s1]\n", "extensions.yml, line 1: first: expected students with dates, got ['s1']"),
        ("- s1\n", "extensions.yml, line 1: the file: expected projects with students and dates, got ['s1']"),
        ("first: {s1: 2026-03-10\n", "extensions.yml, line 2: "),  # not YAML
    ],
)
def test_a_mistake_in_the_file_of_extensions_names_that_file(tmp_path, text, message):
    (tmp_path / "extensions.yml").write_text(text)
    assert lines_of(tmp_path, GOOD + "extensions: extensions.yml\n")[0].startswith(message)


@pytest.mark.parametrize(
    "address",
    ["postgresql://me@db.example.org:5432/grades", "postgresql+psycopg:///grades?host=/run/postgresql", "''"],
)
def test_the_gradebook_may_be_a_database(tmp_path, address):
    assert read(tmp_path, GOOD + f"gradebook: {address}\n").gradebook == address.strip("'")


def test_limits_of_a_project_go_before_those_of_the_course(tmp_path):
    course = read(tmp_path, GOOD + "limits: {seconds: 600, cell_seconds: 30, memory_mb: 2048}\n")
    path = tmp_path / "project.yml"
    path.write_text(PROJECT.replace("{cell_seconds: 60}", "{cell_seconds: 60, processes: 64}"))
    expected = {"seconds": 600, "cell_seconds": 60, "memory_mb": 2048, "processes": 64}
    assert limits_for(course, read_project(path)) == expected
    assert limits_for(None, read_project(path)) == {"cell_seconds": 60, "processes": 64}
    assert limits_for(course, None)["cell_seconds"] == 30
    assert limits_for(None, None) == {}


def test_the_limits_are_those_of_the_sandbox():
    from classroom.sandbox.policy import Limits

    # That of a call is kept by the examiner, which is told with each test cell.
    assert LIMITS.keys() - {"call_seconds"} == {field.name for field in dataclasses.fields(Limits)}


def test_the_points_of_the_parts_add_up(tmp_path):
    path = tmp_path / "project.yml"
    path.write_text(PROJECT)
    assert [part.by_hand for part in read_project(path).parts] == [False, True]
    path.write_text(PROJECT.replace("points: 6", "points: 10"))
    with pytest.raises(
        ClassroomError, match=r"/project.yml, line 3: points: expected the sum of the parts' points, 6, got 10"
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
