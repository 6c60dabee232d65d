"""A student's hub on a phone, in JupyterLab's dark theme, and by keys: what is ours fits, and is legible.

Cases: the list of files, which a phone has no room for and the next laptop has; the welcome page; a project that is
handed in without its notebook; Validate with an endless word, read and closed by keys; a server that ends in the middle
of Validate; the two pages that stand in the place of a server. axe judges contrast and names. One hub for all but the
last, which alone is not in the long form.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from .desk import CHECKPOINT, Desk, class_hub, desks
from .formgrading import formgrader, release
from .running import COURSE, ROOT, Hub

PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
DARK = {"raw": '{"theme": "JupyterLab Dark"}'}
THEMES = "lab/api/settings/@jupyterlab/apputils-extension:themes"
FILES = "#jp-left-stack"
ENDLESS = f"def compare(a, b):\n    return '{'x' * 3000}', '{'word ' * 300}'"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with class_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def desk(hub, browser) -> Iterator[Callable[[str], Desk]]:
    """The place where somebody sits; a project is released."""
    with desks(browser, hub) as desk:
        ines = desk("ines")
        ines.log_in()
        ines.arrive("you teach this course")
        release(formgrader(ines), CHECKPOINT)
        yield desk


@pytest.fixture(scope="module")
def ada(hub, desk) -> Desk:
    """A student with a phone, who likes it dark."""
    person, ada = hub.log_in("ada"), desk("ada")
    person.start()
    assert person.server("PUT", THEMES, json=DARK).ok
    ada.page.set_viewport_size(PHONE)
    ada.log_in()
    ada.arrive(f"fetch {CHECKPOINT}")
    assert ada.page.evaluate("document.body.dataset.jpThemeLight") == "false"
    return ada


def violations(page: Page, part: str) -> list[str]:
    """What axe has against a part of a page."""
    found = Axe().run(page, context=part).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def fits(part: Locator) -> bool:
    """Whether a part lies in the window, with all that it holds."""
    box, window = part.bounding_box(), part.page.viewport_size
    inside = box["x"] >= 0 and box["x"] + box["width"] <= window["width"]
    inside = inside and box["y"] >= 0 and box["y"] + box["height"] <= window["height"]
    return inside and part.evaluate("part => part.scrollWidth <= part.clientWidth + 1")


@pytest.mark.full
@pytest.mark.browser
def test_a_phone_shows_the_welcome_page_and_the_next_laptop_its_files_too(ada):
    expect(ada.page.locator(FILES)).to_be_hidden()
    ada.picture("phone-welcome")
    assert fits(ada.page.locator(".dlip-welcome .jp-RenderedMarkdown"))
    assert violations(ada.page, ".dlip-welcome") == []
    row = ada.welcome.locator("tr", has_text=CHECKPOINT).locator("td").nth(1)
    assert "due: " in row.evaluate("cell => getComputedStyle(cell, '::before').content")
    ada.page.wait_for_timeout(2000)  # JupyterLab has kept this layout
    for size, files in ((LAPTOP, 250), (PHONE, 0), (LAPTOP, 250), (PHONE, 0)):
        ada.page.set_viewport_size(size)
        if size is LAPTOP:
            ada.page.reload()
            ada.arrive(CHECKPOINT)
            ada.page.wait_for_timeout(2000)  # it shows its address's page once more, over what somebody opens before
        expect(ada.page.locator(FILES)).to_be_visible(visible=bool(files))
        ada.page.wait_for_function(
            "([part, width]) => Math.abs(document.querySelector(part).getBoundingClientRect().width - width) < 60",
            arg=[FILES, files],
        )


@pytest.mark.full
@pytest.mark.browser
def test_what_is_not_handed_in_is_told_within_a_phone(ada, hub):
    ada.open_list()
    ada.press("Fetch", CHECKPOINT)
    work = hub.homes / "ada" / COURSE / CHECKPOINT / f"{CHECKPOINT}.ipynb"
    work.rename(work.with_name("my-work.ipynb"))
    ada.press("Submit", CHECKPOINT)
    expect(ada.dialog).to_contain_text(f"without {CHECKPOINT}.ipynb")
    ada.picture("phone-renamed")
    assert fits(ada.dialog)
    assert violations(ada.page, ".jp-Dialog") == []
    ada.close_dialog()
    work.with_name("my-work.ipynb").rename(work)


@pytest.mark.full
@pytest.mark.browser
def test_validate_on_a_phone_is_read_and_closed_by_keys(ada):
    ada.open_notebook(CHECKPOINT)
    ada.type_into(ada.cell("def compare"), ENDLESS)
    assert "not yet" in ada.validate()
    text = ada.page.locator(".dlip-validation")
    ada.picture("phone-validate")
    assert fits(ada.dialog)
    assert fits(text)
    assert violations(ada.page, ".jp-Dialog") == []
    expect(text).to_be_focused()
    ada.page.keyboard.press("End")
    ada.page.wait_for_function("part => part.scrollTop > 0", arg=text.element_handle())
    ada.page.keyboard.press("Escape")
    ada.page.locator(".jp-Dialog").wait_for(state="detached")
    expect(ada.notebook.locator(":focus")).to_have_count(1)  # one goes on typing where one was


@pytest.mark.full
@pytest.mark.browser
def test_a_server_that_ends_while_validate_runs_is_told_in_words(ada, hub):
    ada.type_into(ada.cell("def compare"), "while True:\n    pass")
    with ada.page.expect_request(lambda asked: "assignments/validate" in asked.url):
        ada.notebook.locator(".dlip-validate").click()
    server = hub.server_of("ada")
    server.kill()
    server.wait(30)
    told = ada.page.locator(".jp-Dialog-content", has_text="Not validated")
    while not told.count():  # JupyterLab's own dialog may come first
        ada.page.locator(".jp-Dialog-content").first.wait_for()
        if not told.count():
            ada.dialog.locator(".jp-Dialog-button", has_text=re.compile("Dismiss|Close|Ok")).last.click()
    expect(told).to_contain_text("Your server does not answer")
    expect(told).to_contain_text("leave it open")
    ada.picture("phone-server-gone")
    assert fits(told)
    told.locator(".dlip-validation").press("Enter")
    told.wait_for(state="detached")
    ada.dismiss_dialogs()
    with ada.page.expect_response(lambda answer: "classroom/welcome" in answer.url) as asked:
        ada.page.click(".lm-TabBar-tab:has-text('Welcome.md')")
    assert not asked.value.ok
    ada.page.wait_for_timeout(1000)
    expect(ada.page.get_by_text("File Load Error")).to_have_count(0)  # the page stays as it was, without a dialog


@pytest.mark.browser
def test_the_pages_in_a_servers_place_fit_a_phone_and_follow_its_theme(browser):
    broken = re.search(r'_PAGE = """\\\n(.*?)"""', (ROOT / "hub/formgrading.py").read_text(), re.DOTALL)[1]
    said = dict.fromkeys(("course", "pause"), "one") | {"why": "SyntaxError: " + "x" * 300, "lines": "y" * 300}
    broken = broken.format(**said, folder="/srv/" + "long-" * 40, log="/var/log/" + "long-" * 40)
    for html in ((ROOT / "hub/servers/away/503.html").read_text(encoding="utf-8"), broken):
        for theme, light in (("light", True), ("dark", False)):
            with browser.new_context(viewport=PHONE, color_scheme=theme) as context:
                page = context.new_page()
                page.set_content(html)
                assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
                assert violations(page, "body") == []
                colour = page.evaluate("getComputedStyle(document.body).color")
                assert (colour == "rgb(0, 0, 0)") is light
