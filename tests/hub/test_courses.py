"""Several courses on one hub: who sees which, and two projects of one name that never meet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .hub_yml import course, place_for_a_hub, rename, running, write
from .person import Person
from .running import COURSE, Hub

SEMINAR, EMPTY, NOBODYS = "seminar", "empty", "nobodys"
PROJECT = "checkpoint-01"  # of both


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """kim teaches the seminar and studies in the other course; ines teaches that one, and one without students."""
    with place_for_a_hub() as hub:
        said = {
            COURSE: course(hub.folder / "one", students=["ada", "kim"]),
            SEMINAR: course(hub.folder / "two", grader="grader2", instructors=["kim"], students=["ada"]),
            EMPTY: course(hub.folder / "three", grader="grader3", students=[]),
            NOBODYS: course(hub.folder / "four", grader="grader4", instructors=[], students=[]),
        }
        for name, title in ((SEMINAR, "A seminar"), (EMPTY, "An empty one"), (NOBODYS, "Of nobody")):
            rename(Path(said[name]["folder"]), name, title)
        write(hub, said, administrators=["chief"])
        hub.folders = {name: Path(one["folder"]) for name, one in said.items()}
        with running(hub):
            yield hub


@pytest.fixture(scope="module")
def people(hub) -> dict[str, Person]:
    """Everybody, at their servers."""
    everybody = {name: hub.log_in(name) for name in ("ines", "kim", "ada")}
    for person in everybody.values():
        person.start()
    return everybody


def formgrader(person: Person, name: str, *button: str):
    """A page of a course's formgrader, or one of its buttons."""
    page = person.web.get(f"{person.url}/services/{name}/formgrader/manage_assignments", timeout=240)
    if not button:
        return page
    path = f"/services/{name}/"
    (mark,) = [one.value for one in person.web.cookies if one.name == "_xsrf" and one.path == path]
    headers = {"X-XSRFToken": mark, "Referer": page.url}
    answer = person.web.post(f"{person.url}{path}formgrader/api/{'/'.join(button)}", headers=headers, timeout=240)
    assert answer.ok, answer.text
    assert answer.json()["success"], answer.text
    return answer


def press(person: Person, action: str, name: str) -> dict:
    """A button of the list of assignments."""
    answer = person.server("POST", f"assignments/{action}", json={"course_id": name, "assignment_id": PROJECT}).json()
    assert answer["success"], answer
    return answer


def test_formgrader_opens_to_the_instructors_of_its_course_alone(hub, people):
    opened = {(who, name): formgrader(people[who], name).status_code for who in people for name in hub.folders}
    teach = {("ines", COURSE), ("ines", EMPTY), ("kim", SEMINAR)}
    assert opened == {one: 200 if one in teach else 403 for one in opened}
    said = formgrader(people["kim"], COURSE).text
    assert "You do not have permission" in said or "Forbidden" in said


def test_the_list_of_courses_has_those_that_one_teaches(hub, people):
    found = {who: people[who].server("GET", "formgraders").json() for who in ("ines", "kim")}
    assert {who: [one["course_id"] for one in said["value"]] for who, said in found.items()} == {
        "ines": [COURSE, EMPTY],
        "kim": [SEMINAR],
    }
    (one,) = found["kim"]["value"]
    assert people["kim"].web.get(one["url"], timeout=240).url.startswith(f"{hub.url}/services/{SEMINAR}/formgrader")
    assert people["ada"].server("GET", "formgraders").status_code == 404, "a student's server has none"


def test_the_welcome_page_has_all_of_ones_courses(people):
    pages = {who: person.server("GET", "api/contents/Welcome.md").json()["content"] for who, person in people.items()}
    assert "## A seminar, Spring 2026: you teach this course" in pages["kim"]
    assert "## Deep Learning in Practice, Spring 2026\n" in pages["kim"]
    assert "## A seminar, Spring 2026\n" in pages["ada"]
    assert "## An empty one, Spring 2026: you teach this course" in pages["ines"]
    assert not any("Of nobody" in page for page in pages.values())


def test_two_projects_of_one_name_do_not_meet(hub, people):
    ada, teachers = people["ada"], {COURSE: people["ines"], SEMINAR: people["kim"]}
    for name, teacher in teachers.items():
        formgrader(teacher, name, "assignment", PROJECT, "assign")
        formgrader(teacher, name, "assignment", PROJECT, "release")
    assert sorted(ada.server("GET", "courses").json()["value"]) == sorted(teachers)
    for name in teachers:
        listed = ada.server("GET", f"assignments?course_id={name}").json()["value"]
        assert [(one["course_id"], one["assignment_id"]) for one in listed] == [(name, PROJECT)]
        press(ada, "fetch", name)
        at = f"{name}/{PROJECT}/{PROJECT}.ipynb"
        model = ada.server("GET", f"api/contents/{at}").json()
        model["content"]["cells"][-1]["source"] = f"Written for {name}."
        keys = {key: model[key] for key in ("type", "format", "content")}
        assert ada.server("PUT", f"api/contents/{at}", json=keys).ok
        press(ada, "submit", name)
    for name, teacher in teachers.items():
        said = formgrader(teacher, name, "assignment", PROJECT, "collect").json()["log"]
        assert "ada" in said, said
        (taken,) = hub.folders[name].glob(f"course/submitted/ada/{PROJECT}/*.ipynb")
        other = next(one for one in teachers if one != name)
        assert f"Written for {name}." in taken.read_text()
        assert f"Written for {other}." not in taken.read_text()


def test_who_takes_part_elsewhere_sees_nothing_of_a_course(hub, people):
    kim = people["kim"]  # who teaches the seminar, and is a student of the other course
    listed = kim.server("GET", f"assignments?course_id={COURSE}").json()
    assert {one["assignment_id"] for one in listed["value"]} == {PROJECT}
    refused = people["ines"].server("GET", f"assignments?course_id={SEMINAR}").json()
    assert not any(one["course_id"] == SEMINAR for one in refused["value"] if isinstance(one, dict)), refused
    assert sorted(people["ines"].server("GET", "courses").json()["value"]) == [COURSE], (
        "one may try out what one teaches"
    )


def test_a_course_without_students(hub, people):
    page = formgrader(people["ines"], EMPTY)
    assert page.status_code == 200
    assert PROJECT in people["ines"].web.get(f"{hub.url}/services/{EMPTY}/formgrader/api/assignments", timeout=60).text
    students = people["ines"].web.get(f"{hub.url}/services/{EMPTY}/formgrader/api/students", timeout=60)
    assert students.json() == []


def test_somebody_who_belongs_to_no_course(hub):
    said = Person(hub.url, "eve", hub.password).answer.text
    assert "Invalid username or password" in said
