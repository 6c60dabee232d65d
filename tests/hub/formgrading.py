"""An instructor in front of formgrader."""

import json
import re

from playwright.sync_api import Locator, Page, WebSocket

from .desk import LONG, Desk
from .running import COURSE

WIDE = {"width": 1240, "height": 640}  # formgrader's tables


def formgrader(ines: Desk) -> Page:
    """formgrader's table of assignments, in the tab that the welcome page opens."""
    if len(ines.context.pages) < 2:
        with ines.context.expect_page() as opened:
            ines.page.click("text=Open formgrader")
        opened.value.set_default_timeout(LONG)
        opened.value.set_viewport_size(WIDE)
    page = ines.context.pages[1]
    page.goto(f"{ines.hub.url}/services/{COURSE}/formgrader/manage_assignments")
    page.locator("tr .name a").first.wait_for()
    return page


def row(page: Page, name: str) -> Locator:
    """The row of an assignment or of a student."""
    return page.locator("tr", has_text=name)


def press(page: Page, name: str, column: str) -> str:
    """Press one of formgrader's buttons in a row, close the dialog, and say what stood there."""
    said = ask(page, name, column)
    close(page)
    return said


def ask(page: Page, name: str, column: str) -> str:
    """The same, with the dialog left open."""
    row(page, name).locator(f".{column} a").click()
    page.locator(".modal.in .modal-footer").wait_for()
    page.wait_for_timeout(500)  # it fades in
    return page.inner_text(".modal.in")


def close(page: Page) -> None:
    """Close the dialog."""
    page.click(".modal.in .modal-footer [data-dismiss=modal]")
    page.locator(".modal").wait_for(state="detached")


def source(page: Page, name: str) -> Page:
    """An assignment's folder in the JupyterLab of the course's grader, in a tab of its own."""
    with page.context.expect_page() as opened:
        row(page, name).locator(".name a").click()
    lab = opened.value
    lab.set_default_timeout(LONG)
    lab.locator(".jp-DirListing-itemText", has_text=f"{name}.ipynb").wait_for()
    lab.locator("#jupyterlab-splash").wait_for(state="detached")
    return lab


def in_a_terminal(lab: Page, line: str) -> str:
    """Type a line into a new terminal of a JupyterLab, as the guide says; what stands there when it has ended well."""
    said: list[list] = []

    def listen(socket: WebSocket) -> None:
        if "/terminals/websocket/" in socket.url:
            socket.on("framereceived", lambda one: said.append(json.loads(one)))

    lab.on("websocket", listen)
    lab.click(".lm-MenuBar-item:has-text('File')")
    lab.click(".lm-Menu-item[data-type='submenu'] .lm-Menu-itemLabel:text-is('New')")
    lab.locator(".lm-Menu-item[data-command='terminal:create-new']").click()
    lab.locator(".jp-Terminal .xterm-screen").wait_for()

    def wait_for(text: str) -> str:
        for _ in range(LONG // 200):
            shown = "".join(words for kind, *rest in said for words in rest if kind == "stdout")
            if re.search(text, shown):
                return shown
            lab.wait_for_timeout(200)
        raise AssertionError(f"no {text} in: {shown}")

    wait_for(r"\S")  # the prompt
    lab.locator(".jp-Terminal .xterm-screen").click()
    lab.keyboard.type(f"{line}; echo ended: $?")
    lab.keyboard.press("Enter")
    shown = wait_for(r"ended: \d")
    assert "ended: 0" in shown, shown
    return shown


def release(page: Page, *names: str) -> None:
    """Make the students' versions and let students fetch them."""
    for name in names:
        assert f"released to assignments/{name}" in press(page, name, "assign")
        assert f"Successfully released '{name}'" in press(page, name, "release")
