"""A student's and an instructor's way through a hub, in a browser: from the first log-in to the points.

One hub serves all tests of this file, which go on from each other in their order: the instructor releases, a student
works and hands in twice, another one too late, a server is killed, the instructor grades and gives feedback, the
student reads it, and the hub is started again. Each step leaves a picture in _build/hub-journeys; those with `of=` are
the book's (see desk.py).
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from playwright.sync_api import expect

from .desk import (
    LARGE,
    LATE,
    MOST_BYTES,
    PICTURES,
    PROJECT,
    SAID,
    Desk,
    close_modal,
    formgrader,
    make_course,
    pages_of_the_book,
    press,
)
from .person import free_port
from .running import COURSE, ROOT, Hub

WRONG = "def compare(a, b):\n    d = np.asarray(a) - np.asarray(b)\n    return d.mean(), d.std() / np.sqrt(len(d))"
RIGHT = """\
def compare(a, b):
    if len(a) != len(b) or len(a) < 2:
        raise ValueError("expected as many accuracies of B as of A, and two or more")
    d = np.asarray(a) - np.asarray(b)
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))"""
WRITTEN = "Scans of one patient lie in both parts, so about 98 of the 100 are known already: split by patient."


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """The demo's hub."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        folder, port = Path(name), free_port()
        make_course(folder / "course")
        line = [sys.executable, str(ROOT / "hub" / "demo.py"), "--port", str(port), "--state", name]
        hub = Hub(folder, port, line, folder / "state")
        try:
            hub.start()
            hub.password, hub.homes, hub.course = (
                (folder / "password").read_text(),
                folder / "state/homes",
                folder / "course",
            )
            yield hub
        finally:
            hub.stop()


@pytest.fixture(scope="module")
def desk(hub, browser, request) -> Iterator[Callable[[str], Desk]]:
    """The place where somebody sits, by their name."""
    desks: dict[str, Desk] = {}

    def find(name: str) -> Desk:
        if name not in desks:
            desks[name] = Desk(browser, hub, name, write=request.config.getoption("--write-screenshots"))
        return desks[name]

    yield find
    for one in desks.values():
        one.context.close()


@pytest.mark.browser
def test_an_instructor_releases(desk):
    ines = desk("ines")
    ines.log_in()
    ines.arrive("you teach this course")
    ines.picture("instructor-welcome", of=ines.welcome)
    page = formgrader(ines)
    for name in (PROJECT, LATE):
        assert "released to assignments" in press(page, name, "assign")
        close_modal(page)
        assert f"Successfully released '{name}'" in press(page, name, "release")
        close_modal(page)
    expect(page.locator("tr", has_text=PROJECT).locator(".status")).to_have_text("released")
    with ines.context.expect_page() as opened:
        page.locator("tr", has_text=PROJECT).locator(".name a").click()
    opened.value.locator(".jp-DirListing-itemText", has_text=f"{PROJECT}.ipynb").wait_for()
    opened.value.close()
    ines.picture("formgrader-released", of=page.locator("tr", has_text=PROJECT), page=page)


@pytest.mark.browser
def test_a_student_works_and_hands_in(desk, hub):
    ada = desk("ada")
    ada.log_in("not-the-password")
    expect(ada.page.locator("body")).to_contain_text("Invalid username or password")
    ada.picture("wrong-password")
    ada.log_in()
    ada.arrive(f"fetch {PROJECT}, due")
    ada.picture("welcome", of=ada.welcome)
    ada.open_list()
    ada.picture("assignment-list", of=ada.list)
    ada.press("Fetch", PROJECT)
    ada.open_notebook(PROJECT)
    ada.type_into(ada.cell("def compare"), WRONG)
    said = ada.validate()
    assert "✗ Part 1. Compare on the same splits (2 points): not yet." in said
    assert "got an error of 0.016583, expected 0.019149" in said
    assert "Part 2. Count what a network can bend (2 points): no answer yet." in said
    ada.picture("validate-wrong", of=ada.page.locator(".dlip-validation"))
    ada.close_dialog()
    ada.type_into(ada.cell("def compare"), RIGHT)
    said = ada.validate()
    assert "1 of 4 tested parts pass the checks that you can see" in said
    assert "Grading makes further checks: two, on splits of very different difficulty" in said
    ada.picture("validate-right", of=ada.page.locator(".dlip-validation"))
    ada.close_dialog()
    ada.come_back(f"work on {PROJECT}")
    ada.open_list()
    ada.press("Submit", PROJECT)
    expect(ada.page.locator("#submitted_assignments_list .nested_list_item")).to_have_count(1)

    ada.page.click(f".lm-TabBar-tab:has-text('{PROJECT}.ipynb')")
    ada.page.hover(".jp-Notebook")
    ada.page.mouse.wheel(0, 100_000)
    last = ada.page.locator(".jp-Notebook .jp-MarkdownCell", has_text="Replace this line with your answer").last
    last.dblclick()
    ada.type_into(last, WRITTEN)
    ada.save()
    ada.open_list()
    ada.press("Submit", PROJECT)
    expect(ada.page.locator("#submitted_assignments_list .nested_list_item")).to_have_count(2)
    ada.picture("submitted", of=ada.list)
    ada.come_back("handed in twice, last on")
    ada.picture("welcome-handed-in", of=ada.welcome)


@pytest.mark.browser
def test_what_is_late_withdrawn_or_of_another_kernel_is_said(desk, hub):
    carol, ines = desk("carol"), desk("ines")
    carol.log_in()
    carol.arrive("checkpoint-01")
    carol.open_list()
    carol.press("Fetch", LATE)
    carol.press("Submit", LATE)
    sent = carol.page.locator("#submitted_assignments_list .nested_list_item")
    expect(sent).to_contain_text(re.compile(r"late, day \d after the due date: \d+ % of its points are lost"))
    carol.picture("late")
    carol.come_back("% of its points are lost")

    carol.open_list()
    page = formgrader(ines)
    assert "nreleased" in press(page, PROJECT, "release")  # while carol looks at it
    close_modal(page)
    expect(page.locator("tr", has_text=PROJECT).locator(".status")).to_have_text("draft")
    carol.press("Fetch", PROJECT)
    expect(carol.list).to_contain_text("not fetched: it was withdrawn by the instructor")
    expect(carol.list).to_contain_text("press the button with the arrows")
    carol.picture("withdrawn")
    said = press(page, PROJECT, "release")
    assert "Successfully released" in said, said
    close_modal(page)

    path = hub.homes / "carol" / COURSE / LATE / f"{LATE}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec = {"name": "julia-1.9", "display_name": "Julia 1.9", "language": "julia"}
    nbformat.write(notebook, path)
    carol.open_list()
    carol.page.click(f"#fetched_assignments_list .assignment-notebooks-link:has-text('{LATE}')")
    carol.page.click(f"#fetched_assignments_list .assignment-notebooks a:has-text('{LATE}')")
    carol.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    said = carol.validate()
    # JupyterLab takes the kernel that is there, and writes it into the notebook when it has it.
    assert "0 of 4 tested parts pass" in said or "its kernel is 'julia-1.9', which is not here" in said, said
    carol.picture("wrong-kernel")
    carol.close_dialog()


@pytest.mark.browser
def test_a_killed_server_loses_nothing_that_was_saved(desk, hub):
    ben = desk("ben")
    ben.log_in()
    ben.arrive(f"fetch {PROJECT}")
    ben.open_list()
    ben.press("Fetch", PROJECT)
    ben.open_notebook(PROJECT)
    ben.type_into(ben.cell("def compare"), RIGHT)
    ben.save()
    server = hub.server_of("ben")
    server.kill()
    server.wait(30)
    dialog = ben.page.locator(".jp-Dialog").first  # which of the two comes first depends on what JupyterLab was doing
    expect(dialog).to_contain_text(re.compile("server at /user/ben/ is not running|503 Service Unavailable"))
    ben.picture("killed")
    ben.page.goto(f"{hub.url}/hub/logout")
    ben.log_in()
    ben.page.wait_for_timeout(1000)
    ben.picture("killed-and-back")
    ben.arrive(f"work on {PROJECT}")
    ben.page.goto(f"{hub.url}/user/ben/lab/tree/{COURSE}/{PROJECT}/{PROJECT}.ipynb")
    expect(ben.cell("def compare")).to_contain_text("expected as many accuracies of B as of A")


@pytest.mark.browser
def test_an_instructor_grades_and_gives_feedback(desk, hub):
    ines = desk("ines")
    page = formgrader(ines)
    said = press(page, PROJECT, "collect")
    assert "ada" in said
    close_modal(page)
    expect(page.locator("tr", has_text=PROJECT).locator(".num-submissions")).to_have_text("1")
    ines.picture("formgrader-collected", of=page.locator("tr", has_text=PROJECT), page=page)
    page.goto(f"{hub.url}/services/{COURSE}/formgrader/manage_submissions/{PROJECT}")
    said = press(page, "ada", "autograde")
    assert "Success" in said, said
    ines.picture("formgrader-autograded", of=page.locator(".modal.in .modal-title"), page=page)
    close_modal(page)
    expect(page.locator("tr", has_text="ada").locator(".status")).to_have_text("needs manual grading")

    page.goto(f"{hub.url}/services/{COURSE}/formgrader/gradebook/{PROJECT}/{PROJECT}")
    page.click("text=Submission #1")
    score = page.locator("input#report.needs_manual_grade")  # the page has asked for the points that are there
    score.scroll_into_view_if_needed()
    expect(page.locator("body")).to_contain_text(WRITTEN)
    with page.expect_response(lambda answer: "/api/grade/" in answer.url):
        score.fill("1.5")
        page.keyboard.press("Tab")
    with page.expect_response(lambda answer: "/api/comment/" in answer.url):
        page.fill("textarea#report-comment", "The estimate is missing.")
        page.keyboard.press("Tab")
    panel = page.locator(".panel", has=page.locator("input#report")).last
    panel.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    ines.picture("formgrader-by-hand", of=panel, page=page)

    page = formgrader(ines)
    for column in ("generate-feedback", "release-feedback"):
        assert "Success" in press(page, PROJECT, column)
        close_modal(page)
    line = [sys.executable, "-m", "classroom", "export", "--out", "grades.csv"]
    environment = {key: value for key, value in os.environ.items() if key != "CLASSROOM_DIR"}
    environment |= {"PYTHONPATH": str(ROOT / "lib"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(line, cwd=hub.course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ada.*3\.5", (hub.course / "grades.csv").read_text())


@pytest.mark.browser
def test_a_student_reads_feedback_and_points(desk):
    ada = desk("ada")
    ada.come_back(f"read the feedback on {PROJECT}")
    ada.open_list()
    expect(ada.list).to_contain_text("feedback available to fetch")
    ada.press("Fetch Feedback", PROJECT)
    ada.picture("feedback-fetched")
    ada.come_back("Points so far: 3.5 of 10")
    ada.picture("welcome-points", of=ada.welcome)
    ada.welcome.locator("a", has_text="feedback").click()
    frame = ada.page.frame_locator(".jp-HTMLViewer iframe, iframe.jp-HTMLViewer")
    expect(frame.locator("body")).to_contain_text("The estimate is missing.")
    ada.page.wait_for_timeout(500)
    ada.picture("feedback", of=frame.locator("p.total"))


@pytest.mark.browser
@pytest.mark.full
def test_the_mini_project(desk, hub):
    ada, page = desk("ada"), formgrader(desk("ines"))
    for column in ("assign", "release"):
        assert "Success" in press(page, LARGE, column)
        close_modal(page)
    ada.open_list()
    ada.press("Fetch", LARGE)
    ada.open_notebook(LARGE)
    assert "tested parts pass the checks that you can see" in ada.validate()
    ada.close_dialog()
    ada.open_list()
    ada.press("Submit", LARGE)
    assert "ada" in press(page, LARGE, "collect")
    close_modal(page)
    page.goto(f"{hub.url}/services/{COURSE}/formgrader/manage_submissions/{LARGE}")
    assert "Success" in press(page, "ada", "autograde")
    close_modal(page)


@pytest.mark.browser
def test_a_hub_that_is_started_again(desk, hub):
    ada = desk("ada")
    hub.stop()
    ada.page.wait_for_timeout(3000)
    ada.picture("hub-away")
    hub.start()
    ada.page.goto(hub.url)
    ada.page.wait_for_timeout(1000)
    ada.picture("hub-back")
    ada.arrive("Points so far: 3.5 of 10")


def test_the_books_pictures_are_those_of_the_journeys():
    known = yaml.safe_load(SAID.read_text(encoding="utf-8"))
    pictures = {path.stem: path.stat().st_size for path in PICTURES.glob("*.png")}
    assert sorted(pictures) == sorted(known), "--write-screenshots takes all of them"
    assert {name: size for name, size in pictures.items() if size > MOST_BYTES} == {}
    shown = set(re.findall(r"\{image\} (?:\.\./hub/)?([a-z-]+)\.png", pages_of_the_book()))
    assert shown == set(pictures)
