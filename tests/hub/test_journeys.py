"""A term with the mini-project, in browsers: a student's way from the first log-in to the points, and an instructor's.

One hub serves all tests of this file, which go on from each other in their order: the instructor releases; a student
takes the course by its link, works and hands in twice; the instructor sees that arrive, grades and gives feedback; the
student reads it. Their accounts are the system's where tests may make some (root, CI=true); otherwise the demo's, as
always for --write-screenshots. Each step leaves a picture in _build/hub-journeys; those with `of=` are the book's (see
pictures.py). What goes wrong on the way is in test_journeys_trouble.py.
"""

import re
from collections.abc import Callable, Iterator

import pytest
import yaml
from playwright.sync_api import expect

from .desk import LATE, PROJECT, Desk, class_hub, desks, solution
from .formgrading import ask, close, formgrader, in_a_terminal, press, release, row, source
from .pictures import MOST_BYTES, PICTURES, SAID, shown_in_the_book
from .repository import served
from .running import COURSE, Hub

# Trainings that take moments, as a student has them who is still at the first parts.
SMALL = "seeds = 2\nring_steps = 12\nscan_steps = 6\nshow_steps = 12"
WRONG = solution(PROJECT, "likelihood").replace("return terms.flatten(1).sum(1)", "return terms.flatten(1).mean(1)")
WRITTEN = """\
GAN: the generator makes eight steps before the critic answers, so all of its samples run to the one place that this
critic likes best. Modes at seed 0: none before, 8 with one step each. VAE: the weight of the KL grows too large."""
PART = "A likelihood that knows its own noise"


@pytest.fixture(scope="module")
def hub(request) -> Iterator[Hub]:
    with class_hub(demo=request.config.getoption("--write-screenshots")) as hub:
        yield hub


@pytest.fixture(scope="module")
def desk(hub, browser, request) -> Iterator[Callable[[str], Desk]]:
    with desks(browser, hub, write=request.config.getoption("--write-screenshots")) as desk:
        yield desk


@pytest.mark.browser
def test_an_instructor_releases(desk):
    ines = desk("ines")
    ines.log_in()
    ines.arrive("you teach this course")
    expect(ines.welcome.locator("tr", has_text=PROJECT)).to_contain_text("not released yet")
    ines.picture("instructor-first")
    page = formgrader(ines)
    release(page, PROJECT, LATE)
    expect(row(page, PROJECT).locator(".status")).to_have_text("released")
    source(page, PROJECT).close()
    ines.picture("formgrader-released", of=row(page, PROJECT), page=page, shown=page.locator("table").first)
    ines.come_back("by nobody so far")


@pytest.mark.browser
def test_a_student_takes_the_course_by_its_link(desk, hub, tmp_path):
    ada = desk("ada")
    ada.log_in("not-the-password")
    expect(ada.page.locator("body")).to_contain_text("Invalid username or password")
    ada.picture("wrong-password")
    ada.log_in()
    ada.arrive(f"fetch {PROJECT}, due")
    ada.picture("welcome", of=ada.welcome, shown=ada.main)
    page = {"index.md": "# The course\n\nIts first page.\n", "chapters/01.md": "# Chapter 1\n"}
    with served(tmp_path, page) as (_, repository):
        where = f"repo={repository}&branch=student&urlpath=lab/tree/course/index.md"
        ada.page.goto(f"{hub.url}/hub/user-redirect/git-pull?{where}")
        expect(ada.welcome).to_contain_text("Its first page.")
    expect(ada.page.locator(".jp-DirListing-itemText", has_text="chapters")).to_be_visible()
    assert (hub.homes / ada.name / "course/chapters/01.md").is_file()
    ada.picture("course-by-link")
    ada.page.click(".jp-BreadCrumbs-home")  # as the guide says: Welcome.md in the list of files
    ada.page.locator(".jp-DirListing-itemText", has_text="Welcome.md").dblclick()
    ada.come_back(f"fetch {PROJECT}, due")


@pytest.mark.browser
def test_a_student_works_and_hands_in_twice(desk):
    ada = desk("ada")
    ada.open_menu()
    ada.picture("menu", of=ada.page.locator("#jp-MainMenu"), shown=ada.page.locator("#jp-MainMenu, .lm-Menu"))
    ada.open_list()
    ada.picture("assignment-list", of=ada.list, shown=ada.main)
    ada.press("Fetch", PROJECT)
    ada.open_notebook(PROJECT)
    ada.type_into(ada.cell("ring_steps ="), SMALL)
    ada.type_into(ada.cell("def gaussian_nll"), WRONG)
    said = ada.validate()
    assert f"✗ Part 1. {PART} (10 points): not yet." in said
    assert "✗ nll-value (2 points)" in said
    assert re.search(r"with sigma = 1: got \[2\.16.*, expected \[4\.33", said), said
    assert "Part 2. Free bits (8 points): no answer yet." in said
    ada.picture("validate-wrong", of=ada.page.locator(".dlip-validation"), shown=ada.dialog)
    ada.close_dialog()
    ada.type_into(ada.cell("def gaussian_nll"), solution(PROJECT, "likelihood"))
    said = ada.validate()
    assert "1 of 11 tested parts pass the checks that you can see" in said
    assert "Grading makes further checks: three, on other sigmas and on images" in said
    ada.picture("validate-right", of=ada.page.locator(".dlip-validation"), shown=ada.dialog)
    ada.close_dialog()
    ada.come_back(f"work on {PROJECT}")
    ada.open_list()
    ada.press("Submit", PROJECT)
    expect(ada.sent).to_have_count(1)

    ada.page.click(f".lm-TabBar-tab:has-text('{PROJECT}.ipynb')")
    for name, first in (("free-bits", "def free_bits"), ("hinge", "def hinge_critic_loss")):
        ada.type_into(ada.cell(first), solution(PROJECT, name))
    written = ada.cell("Replace this line with your answer", "Markdown")
    written.dblclick()
    ada.type_into(written, WRITTEN)
    ada.save()
    ada.open_list()
    ada.press("Submit", PROJECT)
    expect(ada.sent).to_have_count(2)
    ada.picture("submitted", of=ada.list, shown=ada.main)
    ada.come_back("handed in twice, last on")
    ada.picture("welcome-handed-in", of=ada.welcome, shown=ada.main)


@pytest.mark.browser
def test_an_instructor_sees_it_arrive_and_grades(desk, hub):
    ines, ada = desk("ines"), hub.account("ada")
    ines.come_back("by 1 student, last on")
    ines.picture("instructor-welcome", of=ines.welcome, shown=ines.main)
    page = formgrader(ines)
    assert ada in press(page, PROJECT, "collect")
    expect(row(page, PROJECT).locator(".num-submissions")).to_have_text("1")
    ines.picture("formgrader-collected", of=row(page, PROJECT), page=page, shown=page.locator("table").first)
    page.goto(f"{hub.url}/services/{COURSE}/formgrader/manage_submissions/{PROJECT}")
    said = ask(page, ada, "autograde")
    assert "Success" in said, said
    dialog = page.locator(".modal.in .modal-content")
    ines.picture("formgrader-autograded", of=dialog.locator(".modal-title"), page=page, shown=dialog)
    close(page)
    expect(row(page, ada).locator(".status")).to_have_text("needs manual grading")

    page.goto(f"{hub.url}/services/{COURSE}/formgrader/gradebook/{PROJECT}/{PROJECT}")
    page.click("text=Submission #1")
    score = page.locator("input#causes.needs_manual_grade")  # the page has asked for the points that are there
    score.scroll_into_view_if_needed()
    expect(page.locator("body")).to_contain_text("this critic likes best. Modes at seed 0")
    with page.expect_response(lambda answer: "/api/grade/" in answer.url):
        score.fill("2.5")
        page.keyboard.press("Tab")
    with page.expect_response(lambda answer: "/api/comment/" in answer.url):
        page.fill("textarea#causes-comment", "GAN: complete. VAE: give your two numbers, and say what 30 times does.")
        page.keyboard.press("Tab")
    panel = page.locator(".panel", has=page.locator("input#causes")).last
    panel.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    ines.picture("formgrader-by-hand", of=panel, page=page)


@pytest.mark.browser
def test_an_instructor_gives_feedback_and_exports(desk, hub):
    page = formgrader(desk("ines"))
    for column in ("generate-feedback", "release-feedback"):
        assert "Success" in press(page, PROJECT, column)
    lab = source(formgrader(desk("ines")), PROJECT)
    assert "grades.csv" in in_a_terminal(lab, "classroom export --out grades.csv")
    lab.close()
    grades = hub.course / "grades.csv"
    assert re.search(rf"^{PROJECT},.*,{hub.account('ada')},.*,24\.5,", grades.read_text(), re.MULTILINE)
    assert grades.owner() == hub.course.owner()  # the grader


@pytest.mark.browser
def test_a_student_reads_feedback_and_points(desk):
    ada = desk("ada")
    ada.come_back(f"read the feedback on {PROJECT}")
    ada.open_list()
    expect(ada.list).to_contain_text("feedback available to fetch")
    ada.press("Fetch Feedback", PROJECT)
    ada.picture("feedback-fetched")
    ada.come_back("Points so far: 24.5 of 100")
    ada.picture("welcome-points", of=ada.welcome, shown=ada.main)
    ada.welcome.locator("a", has_text="feedback").click()
    frame = ada.page.frame_locator(".jp-HTMLViewer iframe, iframe.jp-HTMLViewer")
    expect(frame.locator("body")).to_contain_text("GAN: complete. VAE: give your two numbers")
    ada.page.wait_for_timeout(500)
    ada.picture("feedback-page", of=frame.locator("p.total"), shown=ada.main)


@pytest.mark.browser
@pytest.mark.full
def test_validate_runs_the_mini_project_with_all_of_its_trainings(desk):
    ben = desk("ben")
    ben.log_in()
    ben.arrive(f"fetch {PROJECT}")
    ben.open_list()
    ben.press("Fetch", PROJECT)
    ben.open_notebook(PROJECT)
    ben.page.set_default_timeout(900_000)
    said = ben.validate()
    assert "0 of 11 tested parts pass the checks that you can see." in said
    assert said.count("no answer yet.") == 11, said


def test_the_books_pictures_are_those_of_the_journeys():
    known = yaml.safe_load(SAID.read_text(encoding="utf-8"))
    pictures = {path.stem: path.stat().st_size for path in PICTURES.glob("*.png")}
    assert sorted(pictures) == sorted(known), "--write-screenshots takes all of them"
    assert {name: size for name, size in pictures.items() if size > MOST_BYTES} == {}
    assert shown_in_the_book() == set(pictures)
