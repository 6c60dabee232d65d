"""An instructor in front of formgrader."""

from playwright.sync_api import Locator, Page

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


def release(page: Page, *names: str) -> None:
    """Make the students' versions and let students fetch them."""
    for name in names:
        assert f"released to assignments/{name}" in press(page, name, "assign")
        assert f"Successfully released '{name}'" in press(page, name, "release")
