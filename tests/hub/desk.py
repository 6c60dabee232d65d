"""Somebody at a browser in front of a hub: JupyterLab as a student uses it."""

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, expect

from .person import free_port
from .pictures import take
from .running import MAY_MAKE_ACCOUNTS, ROOT, Hub, system_hub

PROJECT, CHECKPOINT, LATE = "generative", "checkpoint-01", "checkpoint-02"
LONG = 180_000  # milliseconds, for what starts a program
expect.set_options(timeout=LONG)
SHOWN = {"width": 880, "height": 640}


def make_course(folder: Path) -> None:
    """The demo's course, with the mini-project due in two days, a checkpoint later, and one that was due before."""
    folder.mkdir(mode=0o700)
    (folder / "solutions").mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    text, now = (ROOT / "course.yml").read_text(encoding="utf-8"), datetime.now(UTC)
    for name, days in ((PROJECT, 2), (LATE, -2), (CHECKPOINT, 20)):
        shutil.copytree(ROOT / "solutions" / name, folder / "solutions" / name)
        due = f"{now + timedelta(days=days):%Y-%m-%d} 23:59"
        text = re.sub(rf"^  {name}: {{due: [^,]*,", f"  {name}: {{due: {due},", text, flags=re.MULTILINE)
    (folder / "course.yml").write_text(text, encoding="utf-8")


def solution(project: str, cell: str) -> str:
    """The answer of the course's own to one cell."""
    notebook = nbformat.read(ROOT / "solutions" / project / f"{project}.ipynb", as_version=4)
    (source,) = [one.source for one in notebook.cells if one.metadata.get("nbgrader", {}).get("grade_id") == cell]
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", source, flags=re.MULTILINE)


@contextlib.contextmanager
def class_hub(*, demo: bool = True) -> Iterator[Hub]:
    """A hub with this course: the demo's, or with accounts of the system if one may make them here."""
    if MAY_MAKE_ACCOUNTS and not demo:
        with system_hub(("ada", "ben", "carol"), make_course) as hub:
            yield hub
        return
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        folder, port = Path(name), free_port()
        make_course(folder / "course")
        line = [sys.executable, str(ROOT / "hub" / "demo.py"), "--port", str(port), "--state", name]
        hub = Hub(folder, port, line, folder / "state")
        try:
            hub.start()
            hub.password = (folder / "password").read_text()
            hub.homes, hub.course = folder / "state/homes", folder / "course"
            yield hub
        finally:
            hub.stop()


@contextlib.contextmanager
def desks(browser: Browser, hub: Hub, *, write: bool = False) -> Iterator[Callable[[str], "Desk"]]:
    """The places where people sit, by their names."""
    found: dict[str, Desk] = {}

    def find(name: str) -> Desk:
        if name not in found:
            found[name] = Desk(browser, hub, name, write=write)
        return found[name]

    yield find
    for one in found.values():
        one.context.close()


class Desk:
    """One person with a browser of their own."""

    def __init__(self, browser: Browser, hub: Hub, name: str, *, write: bool = False) -> None:
        self.hub, self.name, self.write = hub, hub.account(name), write
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
        """Wait until JupyterLab is there, with what was open before, and for what stands on the welcome page."""
        self.page.locator("#jp-MainMenu").wait_for()
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        self.come_back(said)

    @property
    def welcome(self) -> Locator:
        """The welcome page."""
        return self.page.locator(".jp-MarkdownViewer:visible")

    @property
    def main(self) -> Locator:
        """The part of JupyterLab right of the list of files."""
        return self.page.locator("#jp-main-dock-panel")

    def come_back(self, said: str) -> None:
        """Look at the welcome page again, and again until it says so: JupyterLab may still be opening another tab."""
        self.page.bring_to_front()
        for _ in range(LONG // 5000):
            self.page.click(".lm-TabBar-tab:has-text('Welcome.md')")
            self.page.evaluate("window.dispatchEvent(new Event('focus'))")  # as when one comes back to the window
            with contextlib.suppress(AssertionError):
                return expect(self.welcome).to_contain_text(said, timeout=5000)
        return expect(self.welcome).to_contain_text(said, timeout=1000)

    @property
    def list(self) -> Locator:
        """nbgrader's list of assignments."""
        return self.page.locator("#assignments")

    @property
    def sent(self) -> Locator:
        """What the list says of each time that something was handed in."""
        return self.page.locator("#submitted_assignments_list .nested_list_item")

    def open_menu(self) -> Locator:
        """Open nbgrader's menu; its entry for the list."""
        self.page.click(".lm-MenuBar-item:has-text('Nbgrader')")
        entry = self.page.locator(".lm-Menu-itemLabel:has-text('Assignment List')")
        entry.wait_for()
        return entry

    def open_list(self) -> None:
        """Open it by the menu, or come back to it and press its button."""
        tab = self.page.locator(".lm-TabBar-tab:has-text('Assignments')")
        if tab.count():
            tab.click()
            self.page.click("#refresh_assignments_list")
        else:
            entry = self.page.locator(".lm-Menu-itemLabel:has-text('Assignment List')")
            (entry if entry.is_visible() else self.open_menu()).click()
        expect(self.page.locator("#course_list_default")).not_to_contain_text("Loading")
        expect(self.list).to_be_visible()
        self.page.wait_for_timeout(300)

    def press(self, button: str, assignment: str) -> None:
        """Press a button of an assignment in the list, and wait until it has done."""
        if not self.list.is_visible():  # JupyterLab has opened another tab meanwhile
            self.page.click(".lm-TabBar-tab:has-text('Assignments')")
        row = self.page.locator("#assignments .list_item", has_text=assignment).filter(has_text=button)
        with self.page.expect_response(
            lambda answer: "/assignments/" in answer.url and answer.request.method == "POST"
        ):
            row.locator("button", has_text=re.compile(f"^{button}$")).first.click()
        self.page.wait_for_timeout(300)

    def open_notebook(self, assignment: str) -> None:
        """Open an assignment's notebook from the list, and wait for its kernel."""
        inner = self.page.locator(f"#fetched_assignments_list .assignment-notebooks a:has-text('{assignment}')").first
        if not inner.is_visible():  # the list stays unfolded from one visit to the next
            self.page.click(f"#fetched_assignments_list .assignment-notebooks-link:has-text('{assignment}')")
        inner.click()
        self.wait_for_notebook()

    def wait_for_notebook(self) -> None:
        """Until a notebook is shown and its kernel waits for something to do."""
        self.notebook.locator(".jp-CodeCell").first.wait_for()
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle").first).to_be_visible()

    @property
    def notebook(self) -> Locator:
        """The notebook that is shown, of those that are open."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, text: str, kind: str = "Code") -> Locator:
        """The first cell with a text, in sight."""
        found = self.notebook.locator(f".jp-{kind}Cell", has_text=text).first
        found.scroll_into_view_if_needed()
        return found

    def type_into(self, cell: Locator, code: str) -> None:
        """Replace what stands in a cell."""
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def save(self) -> None:
        """Save the notebook that is open, to the end of it."""
        with self.page.expect_response(lambda answer: "/checkpoints" in answer.url and answer.request.method == "POST"):
            self.page.keyboard.press("Control+s")

    def validate(self) -> str:
        """Press Validate; what the person reads, in a dialog that stays open."""
        self.notebook.locator(".dlip-validate").click()
        return self.page.inner_text(".dlip-validation")

    @property
    def dialog(self) -> Locator:
        """JupyterLab's dialog."""
        return self.page.locator(".jp-Dialog-content").first

    def close_dialog(self) -> None:
        """Press its first button."""
        self.dialog.locator("button").first.click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def dismiss_dialogs(self) -> None:
        """Press the last button of one after the other."""
        while self.page.locator(".jp-Dialog").count():
            self.dialog.locator(".jp-Dialog-button").last.click()
            self.page.wait_for_timeout(500)

    def picture(
        self, name: str, of: Locator | None = None, page: Page | None = None, shown: Locator | None = None
    ) -> None:
        """Take a picture; with `of`, the book's (see pictures.py)."""
        take(page or self.page, name, of, shown, prefix=self.hub.prefix, write=self.write)
