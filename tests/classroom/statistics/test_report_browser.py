"""The report in a browser: nothing is loaded or run, axe finds nothing, it fits a phone, keyboard and print work."""

import pytest

from .conftest import Class, cell, checked, fill

pytestmark = pytest.mark.browser

VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def report_page(tmp_path_factory):
    """Address of the report of a class of thirty, with a name and a hint that try to be more than text."""
    from classroom.statistics import report

    made = Class(tmp_path_factory.mktemp("browser") / "class")
    students = fill(made, 30)
    evil = "<img src=x onerror=alert(1)><script>document.title='run'</script>"
    made.result(
        students[0],
        "second",
        usage={"seconds": 3.0},
        cells={"second.ipynb": [cell(1, [checked(evil, False, hint=evil)])]},
    )
    made.refused("second", [{"student": evil, "file": evil, "reason": evil}])
    return f"file://{report(made.folder, 'second', lambda text: None, names=True)['file']}"


@pytest.fixture
def opened(browser, report_page):
    """Opens the page in a window; errors and requests are asserted on closing."""
    contexts, errors, requests = [], [], []

    def open_page(width: int, theme: str):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report_page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
    assert set(requests) <= {report_page}


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_axe_finds_nothing_and_it_fits(opened, width, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width, theme)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    contents, window = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert contents <= window
    assert page.title().startswith("Report"), "a script in a hint did not run"
    found = [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        for node in violation["nodes"]
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_are_drawn_in_the_schemes_colours(opened, theme):
    page = opened(390, theme)
    look = """() => {
      const rgb = text => text.match(/\\d+/g).slice(0, 3).map(Number);
      const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                           return .2126 * r + .7152 * g + .0722 * b };
      const back = light(rgb(getComputedStyle(document.body).backgroundColor));
      return [...document.querySelectorAll("svg.plot text, svg.plot .bar, svg.plot .line")].map(element => {
        const style = getComputedStyle(element);
        const front = light(rgb(element.matches(".line") ? style.stroke : style.fill));
        return (Math.max(front, back) + .05) / (Math.min(front, back) + .05)
      })
    }"""
    contrasts = page.evaluate(look)
    assert len(contrasts) > 50
    assert min(contrasts) >= 3
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg.plot')].map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    assert min(sizes) * 11 >= 10.5, "letters of a picture on a phone, in px"


def test_tables_open_by_keyboard(opened):
    page = opened(1280, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.evaluate("one => one.open")
    region = page.locator(".wide:visible").last
    region.focus()
    assert region.evaluate("one => one === document.activeElement"), "a table that scrolls is reached by keyboard"


def test_print_shows_the_tables(opened):
    page = opened(1280, "dark")
    page.emulate_media(media="print")
    tables = page.locator("details table")
    assert tables.count() >= 4
    for number in range(tables.count()):
        assert tables.nth(number).bounding_box()["height"] > 20
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 20_000
