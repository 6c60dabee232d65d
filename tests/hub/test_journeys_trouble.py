"""What goes wrong on a student's way through a hub, in a browser: each reads what happened and what to do.

Cases: nobody has handed in; a project that is late, withdrawn, of another kernel; an answer that can't be read, a cell
without end; a renamed notebook; a server that is killed in mid-work; a hub that goes away and comes back. One hub for
all of these, with accounts of the system where tests may make some (root, CI=true), otherwise the demo's; pictures in
_build/hub-journeys.
"""

import re
from collections.abc import Callable, Iterator

import nbformat
import pytest
from playwright.sync_api import expect

from .desk import CHECKPOINT, LATE, Desk, class_hub, desks, solution
from .formgrading import formgrader, press, release, row
from .running import COURSE, Hub

ANSWER = solution(CHECKPOINT, "compare")


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with class_hub(demo=False) as hub:
        yield hub


@pytest.fixture(scope="module")
def desk(hub, browser) -> Iterator[Callable[[str], Desk]]:
    """The place where somebody sits; two projects are released."""
    with desks(browser, hub) as desk:
        ines = desk("ines")
        ines.log_in()
        ines.arrive("you teach this course")
        release(formgrader(ines), CHECKPOINT, LATE)
        yield desk


@pytest.mark.browser
def test_what_is_late_or_withdrawn_is_said(desk):
    carol, ines = desk("carol"), desk("ines")
    page = formgrader(ines)
    said = press(page, LATE, "collect")
    assert f"{LATE}: 0 collected, 0 unchanged, 0 refused" in said  # nobody has handed in
    carol.log_in()
    carol.arrive(CHECKPOINT)
    carol.open_list()
    carol.press("Fetch", LATE)
    carol.press("Submit", LATE)
    expect(carol.sent).to_contain_text(re.compile(r"late, day \d after the due date: \d+ % of its points are lost"))
    carol.picture("late")
    carol.come_back("% of its points are lost")

    carol.open_list()
    assert "nreleased" in press(page, CHECKPOINT, "release")  # while carol looks at it
    expect(row(page, CHECKPOINT).locator(".status")).to_have_text("draft")
    carol.press("Fetch", CHECKPOINT)
    expect(carol.list).to_contain_text("not fetched: it was withdrawn by the instructor")
    expect(carol.list).to_contain_text("press the button with the arrows")
    carol.picture("withdrawn")
    said = press(page, CHECKPOINT, "release")
    assert "Successfully released" in said, said


@pytest.mark.browser
def test_a_notebook_of_another_kernel_gets_the_one_that_is_here(desk, hub):
    carol = desk("carol")
    path = hub.homes / carol.name / COURSE / LATE / f"{LATE}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec = {"name": "julia-1.9", "display_name": "Julia 1.9", "language": "julia"}
    nbformat.write(notebook, path)
    carol.open_list()
    carol.open_notebook(LATE)
    assert "0 of 4 tested parts pass" in carol.validate()
    carol.picture("wrong-kernel")
    carol.close_dialog()
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3", "and it is saved so"


@pytest.mark.browser
def test_an_answer_that_python_cannot_read_or_that_does_not_end(desk):
    carol = desk("carol")
    carol.open_list()
    carol.press("Fetch", CHECKPOINT)
    carol.open_notebook(CHECKPOINT)
    carol.type_into(carol.cell("def compare"), "def compare(a, b:\n    return 1, 2")
    said = carol.validate()
    assert "the cell with the answer ended with SyntaxError: '(' was never closed (line 1)" in said
    carol.picture("syntax-error")
    carol.close_dialog()
    carol.type_into(carol.cell("def compare"), "while True:\n    pass")
    carol.notebook.locator(".dlip-validate").click()
    carol.page.click(".Toastify button:has-text('Stop')")
    expect(carol.dialog).to_contain_text("It was stopped.")
    carol.picture("stopped")
    carol.close_dialog()
    carol.type_into(carol.cell("while True"), ANSWER)
    assert "1 of 4 tested parts pass" in carol.validate()
    carol.close_dialog()


@pytest.mark.browser
def test_a_renamed_notebook_is_not_handed_in(desk, hub):
    carol = desk("carol")
    folder = hub.homes / carol.name / COURSE / CHECKPOINT
    (folder / f"{CHECKPOINT}.ipynb").rename(folder / "my-work.ipynb")
    carol.open_list()
    carol.press("Submit", CHECKPOINT)
    expect(carol.page.locator(".jp-Dialog, .modal").first).to_contain_text(f"without {CHECKPOINT}.ipynb")
    carol.picture("renamed")


def not_running(person: Desk) -> str:
    return f"server at /user/{person.name}/ is not running"


@pytest.mark.browser
def test_a_killed_server_loses_nothing_that_was_saved(desk, hub):
    ben = desk("ben")
    ben.log_in()
    ben.arrive(f"fetch {CHECKPOINT}")
    ben.open_list()
    ben.press("Fetch", CHECKPOINT)
    ben.open_notebook(CHECKPOINT)
    ben.type_into(ben.cell("def compare"), f"# what ben saved\n{ANSWER}")
    ben.save()
    server = hub.server_of(ben.name)
    server.kill()
    server.wait(30)
    # Which of the two comes first depends on what JupyterLab was doing.
    expect(ben.dialog).to_contain_text(re.compile(f"{not_running(ben)}|503 Service Unavailable"))
    ben.picture("killed")
    ben.page.goto(f"{hub.url}/hub/logout")
    ben.log_in()
    ben.page.wait_for_timeout(1000)
    ben.picture("killed-and-back")
    ben.arrive(f"work on {CHECKPOINT}")
    ben.page.goto(f"{hub.url}/user/{ben.name}/lab/tree/{COURSE}/{CHECKPOINT}/{CHECKPOINT}.ipynb")
    expect(ben.cell("def compare")).to_contain_text("# what ben saved")


@pytest.mark.browser
def test_a_hub_that_goes_away_and_comes_back_loses_nothing(desk, hub):
    """Not even what nobody saved, as long as the tab is open.

    The demo ends as a whole. People with accounts of the system work on: their servers live on, and the proxy does.
    """
    ben, carol = desk("ben"), desk("carol")
    path = hub.homes / ben.name / COURSE / CHECKPOINT / f"{CHECKPOINT}.ipynb"
    ben.wait_for_notebook()
    ben.type_into(ben.cell("def pieces"), "# saved before")
    ben.save()
    ben.type_into(ben.cell("# saved before"), "# saved before, and typed on")
    server, again = hub.server_of(ben.name), ben.context.new_page()  # the hub's address, in another tab
    hub.leave()
    if hub.of_the_system:
        again.goto(hub.url)
        expect(again.locator("main")).to_contain_text("The hub is being started again")
        ben.page.bring_to_front()
        ben.save()
        assert "# saved before, and typed on" in path.read_text()
        ben.type_into(ben.cell("# saved before"), "# saved before, and while the hub was away")
    else:
        # Which of the two comes first depends on what JupyterLab was doing.
        away = re.compile(f"{not_running(ben)}|connection to the Jupyter server could not be established")
        expect(ben.dialog).to_contain_text(away)
    ben.picture("hub-away")
    assert "# saved before" in path.read_text()
    hub.start()
    again.goto(hub.url)
    expect(again.locator(".jp-MarkdownViewer")).to_contain_text(f"work on {CHECKPOINT}")
    ben.picture("hub-back", page=again)
    again.close()
    assert server.is_running() == hub.of_the_system
    ben.page.bring_to_front()
    ben.dismiss_dialogs()
    ben.save()
    typed = "while the hub was away" if hub.of_the_system else "typed on"
    assert f"# saved before, and {typed}" in path.read_text()
    carol.page.goto(hub.url)
    carol.arrive("handed in once")
