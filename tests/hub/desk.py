"""Somebody at a browser in front of a hub, and the pictures that are taken of what they see."""

import io
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from .running import COURSE, ROOT, Hub

PICTURES = ROOT / "book" / "hub"
SAID = PICTURES / "pictures.yml"  # what stands in each picture
ALL = ROOT / "_build" / "hub-journeys"
WIDE = {"width": 1240, "height": 640}  # formgrader's tables
PROJECT, LATE, LARGE = "checkpoint-01", "checkpoint-02", "generative"
LONG = 120_000  # milliseconds, for what starts a program
expect.set_options(timeout=LONG)
SHOWN = {"width": 1000, "height": 640}
MOST_BYTES = 150_000  # of a picture
# What is another thing each day, and what depends on how long something took.
_TIMES = re.compile(r"\w{3} \d+ \w{3} \d{4}, \d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( UTC)?")


def make_course(folder: Path) -> None:
    """The demo's course, with one project due in two days, one due two days ago, and one later."""
    (folder / "solutions").mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    text, now = (ROOT / "course.yml").read_text(encoding="utf-8"), datetime.now(UTC)
    for name, days in ((PROJECT, 2), (LATE, -2), (LARGE, 20)):
        shutil.copytree(ROOT / "solutions" / name, folder / "solutions" / name)
        due = f"{now + timedelta(days=days):%Y-%m-%d} 23:59"
        text = re.sub(rf"^  {name}: {{due: [^,]*,", f"  {name}: {{due: {due},", text, flags=re.MULTILINE)
    (folder / "course.yml").write_text(text, encoding="utf-8")


class Desk:
    """One person with a browser of their own."""

    def __init__(self, browser: Browser, hub: Hub, name: str, *, write: bool = False) -> None:
        self.hub, self.name, self.write = hub, name, write
        self.context = browser.new_context(viewport=SHOWN)
        self.context.set_default_timeout(LONG)
        self.page: Page = self.context.new_page()

    def log_in(self, password: str | None = None) -> None:
        """Type a name and a password."""
        self.page.goto(f"{self.hub.url}/hub/login")
        self.page.fill("#username_input", self.name)
        self.page.fill("#password_input", password or self.hub.password)
        self.page.click("#login_submit")

    def arrive(self, said: str = "Welcome") -> None:
        """Wait until JupyterLab shows the welcome page, and what stands there."""
        expect(self.welcome).to_contain_text(said)

    @property
    def welcome(self) -> Locator:
        """The welcome page."""
        return self.page.locator(".jp-MarkdownViewer")

    def come_back(self, said: str) -> None:
        """Look at the welcome page again."""
        self.page.click(".lm-TabBar-tab:has-text('Welcome.md')")
        self.page.evaluate("window.dispatchEvent(new Event('focus'))")  # as when one comes back to the window
        expect(self.welcome).to_contain_text(said)

    @property
    def list(self) -> Locator:
        """nbgrader's list of assignments."""
        return self.page.locator("#assignments")

    def open_list(self) -> None:
        """Open it by the menu, or come back to it and press its button."""
        tab = self.page.locator(".lm-TabBar-tab:has-text('Assignments')")
        if tab.count():
            tab.click()
            self.page.click("#refresh_assignments_list")
        else:
            self.page.click(".lm-MenuBar-item:has-text('Nbgrader')")
            self.page.click(".lm-Menu-itemLabel:has-text('Assignment List')")
        expect(self.page.locator("#course_list_default")).not_to_contain_text("Loading")
        self.page.wait_for_timeout(300)

    def press(self, button: str, assignment: str) -> None:
        """Press a button of an assignment in the list, and wait until it has done."""
        row = self.page.locator("#assignments .list_item", has_text=assignment).filter(has_text=button)
        with self.page.expect_response(
            lambda answer: "/assignments/" in answer.url and answer.request.method == "POST"
        ):
            row.locator("button", has_text=re.compile(f"^{button}$")).first.click()
        self.page.wait_for_timeout(300)

    def open_notebook(self, assignment: str) -> None:
        """Open an assignment's notebook from the list."""
        inner = self.page.locator(f"#fetched_assignments_list .assignment-notebooks a:has-text('{assignment}')").first
        if not inner.is_visible():  # the list stays unfolded from one visit to the next
            self.page.click(f"#fetched_assignments_list .assignment-notebooks-link:has-text('{assignment}')")
        inner.click()
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle").first).to_be_visible()

    def type_into(self, cell: Locator, code: str) -> None:
        """Replace what stands in a cell."""
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def cell(self, text: str) -> Locator:
        """The first code cell with a text."""
        return self.page.locator(".jp-Notebook .jp-CodeCell", has_text=text).first

    def save(self) -> None:
        """Save the notebook that is open, to the end of it."""
        with self.page.expect_response(lambda answer: "/checkpoints" in answer.url and answer.request.method == "POST"):
            self.page.keyboard.press("Control+s")

    def validate(self) -> str:
        """Press Validate; what the person reads, in a dialog that stays open."""
        self.page.click(".dlip-validate")
        return self.page.inner_text(".dlip-validation")

    def close_dialog(self) -> None:
        """Press its first button."""
        self.page.locator(".jp-Dialog button").first.click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def picture(self, name: str, of: Locator | None = None, page: Page | None = None) -> None:
        """Take a picture for whoever reads a run; with `of`, one that the book shows.

        The book's is as it was as long as the same text stands in `of`. If not, the journey fails until
        `--write-screenshots` has taken a new one, so that no guide shows what is not there any more.
        """
        page = page or self.page
        ALL.mkdir(parents=True, exist_ok=True)
        taken = page.screenshot(path=ALL / f"{name}.png")
        if of is None:
            return
        said = words(of)
        known = yaml.safe_load(SAID.read_text(encoding="utf-8")) if SAID.exists() else {}
        if self.write and (known.get(name) != said or not (PICTURES / f"{name}.png").exists()):
            PICTURES.mkdir(exist_ok=True)
            small = Image.open(io.BytesIO(taken)).convert("RGB").quantize(64)
            small.save(PICTURES / f"{name}.png", optimize=True)
            SAID.write_text(yaml.safe_dump(known | {name: said}, width=100, allow_unicode=True), encoding="utf-8")
        elif not self.write:
            message = f"book/hub/{name}.png shows something else; pytest tests/hub/test_journeys.py --write-screenshots"
            assert known.get(name) == said, message


def words(of: Locator) -> str:
    """The text of a part of a page, without times."""
    return " ".join(_TIMES.sub("TIME", of.first.inner_text()).split())


def formgrader(ines: Desk) -> Page:
    """formgrader, in the tab that the welcome page opens."""
    if len(ines.context.pages) < 2:
        with ines.context.expect_page() as opened:
            ines.page.click("text=Open formgrader")
        opened.value.set_default_timeout(LONG)
        opened.value.set_viewport_size(WIDE)
    page = ines.context.pages[1]
    page.goto(f"{ines.hub.url}/services/{COURSE}/formgrader/manage_assignments")
    page.locator("tr", has_text=PROJECT).wait_for()
    return page


def press(page: Page, row: str, column: str) -> str:
    """Press one of formgrader's buttons; what it says then."""
    page.locator("tr", has_text=row).locator(f".{column} a").click()
    page.locator(".modal.in .modal-footer").wait_for()
    page.wait_for_timeout(500)
    return page.inner_text(".modal.in")


def close_modal(page: Page) -> str:
    """Close formgrader's dialog; what it said."""
    said = page.inner_text(".modal.in")
    page.click(".modal.in .modal-footer [data-dismiss=modal]")
    page.locator(".modal").wait_for(state="detached")
    return said


def pages_of_the_book() -> str:
    """All pages of guides, to see which pictures they show."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").rglob("*.md"))
