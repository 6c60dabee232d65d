"""The built book, served on this machine, and one browser that visits its pages.

`visit(page, width, theme)` opens a page once and keeps what happened (requests, errors, widths, accessibility), so
that several tests look at the same visit.
"""

import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(Path(__file__).parent)]  # the book's scripts are no package, nor is `tiny`

from book_records import toc_documents  # noqa: E402

HTML = ROOT / "_build" / "html"
PAGES = [*toc_documents(ROOT), "genindex", "search"]
# Accessibility is looked at in both themes and both widths, in two of the four views: it takes half of the time.
AXE_VIEWS = [(1280, "light"), (390, "dark")]
VIEWS = [(width, theme) for theme in ("light", "dark") for width in (1280, 390)]

# Formulas typeset and fonts there: what follows sees the page as a reader does.
SETTLED = "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready }"
# Formulas that need a sideways scroll, those in folds too: what they say.
CUT_OFF = """() => {
  const folds = [...document.querySelectorAll("details:not([open])")];
  folds.forEach((fold) => { fold.open = true; });
  const wide = [...document.querySelectorAll("mjx-container[display=true]")]
    .filter((formula) => formula.scrollWidth > formula.clientWidth + 1)
    .map((formula) => `${formula.scrollWidth} px in ${formula.clientWidth}: ${formula.textContent}`);
  folds.forEach((fold) => { fold.open = false; });
  return wide;
}"""
# What axe need not look at thousands of times: the parts of a picture that has a name, and of the tokens of code all
# but the first of each kind (a kind has one colour). Without this a section takes ten seconds.
SIMPLER = """() => {
  document.querySelectorAll("svg[role=img][aria-label]").forEach((picture) => picture.replaceChildren());
  const seen = new Set();
  for (const token of document.querySelectorAll("pre span[class]")) {
    if (seen.has(token.className)) token.replaceWith(token.textContent);
    seen.add(token.className);
  }
}"""
# A tab reports a font that it has loaded for every later page too; where weights are compared, each page has its own.
WEIGHED = (1280, "light")
AXE = {"resultTypes": ["violations"], "preload": False}


def pytest_generate_tests(metafunc):
    """Tests that take `name` run for every page, those that take `width` and `theme` in every view."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", PAGES)
    if "width" in metafunc.fixturenames:
        axe = "accessible" in metafunc.function.__name__
        metafunc.parametrize(("width", "theme"), AXE_VIEWS if axe else VIEWS)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book."""
    if not (ROOT / "_build" / "book.json").exists():
        pytest.fail("the book is not built, or its last build had warnings: run `make book`")
    return HTML


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def site(html):
    """Address of the built book on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(html)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Visit:
    """What happened when a page was opened."""

    elsewhere: list[str] = field(default_factory=list)  # requests to other hosts
    loaded: list[str] = field(default_factory=list)  # addresses on this one
    errors: list[str] = field(default_factory=list)
    widths: tuple[int, int] = (0, 0)  # of the contents, of the window
    cut_off: list[str] = field(default_factory=list)  # formulas that are wider than their place
    violations: list[dict] = field(default_factory=list)


@pytest.fixture(scope="session")
def contexts(browser):
    """One browser context for each width and theme."""
    opened = {
        (width, theme): browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        for width, theme in VIEWS
    }
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture(scope="session")
def visit(site, contexts):
    from axe_playwright_python.sync_playwright import Axe

    axe, pages, visits = Axe(), {}, {}
    here = (site, "data:", "blob:")

    def open_page(width: int, theme: str):
        """A tab, which goes from address to address; what it notices is added to the visit of the moment."""
        page, seen = contexts[width, theme].new_page(), {"now": Visit()}
        page.on("request", lambda r: None if r.url.startswith(here) else seen["now"].elsewhere.append(r.url))
        page.on("response", lambda r: seen["now"].errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("pageerror", lambda error: seen["now"].errors.append(str(error)))
        page.on("console", lambda m: seen["now"].errors.append(m.text) if m.type in ("error", "warning") else None)
        return page, seen

    def look(name: str, width: int, theme: str) -> Visit:
        if (width, theme) == WEIGHED and (width, theme) in pages:
            pages.pop((width, theme))[0].close()
        if (width, theme) not in pages:
            pages[width, theme] = open_page(width, theme)
        page, seen = pages[width, theme]
        visit = seen["now"] = Visit()
        page.goto(f"{site}/{name}.html", wait_until="load")
        page.evaluate(SETTLED)
        visit.widths = tuple(page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]"))
        visit.cut_off = page.evaluate(CUT_OFF)
        visit.loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        if (width, theme) in AXE_VIEWS:
            page.evaluate(SIMPLER)
            visit.violations = axe.run(page, options=AXE).response["violations"]
        return visit

    def visit(name: str, width: int, theme: str) -> Visit:
        if (name, width, theme) not in visits:
            visits[name, width, theme] = look(name, width, theme)
        return visits[name, width, theme]

    return visit
