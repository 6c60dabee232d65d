"""Every page in a browser: nothing is loaded from elsewhere, no errors, it fits a phone and works by keyboard."""

from collections import Counter
from urllib.parse import unquote, urlsplit

import pytest

from book_records import outcome, read_json
from book_weights import resources, transferred

pytestmark = pytest.mark.browser

SECTION = "chapters/01-gap/01-when-deep-learning-loses"

# What axe reports and we accept: rule, a part of the markup that it concerns, and why.
ALLOWED: list[tuple[str, str, str]] = []


def accepted(rule: str, markup: str) -> bool:
    return any(rule == known and part in markup for known, part, _ in ALLOWED)


def test_page_is_self_contained_and_fits(visit, name, width, theme):
    seen = visit(name, width, theme)
    assert not seen.elsewhere, "requests left the machine"
    assert not seen.errors, "errors or warnings in the browser's console"
    contents, window = seen.widths
    assert contents <= window, f"scrolls sideways: {contents} px in a window of {window} px"
    assert not seen.cut_off, "break these formulas, with aligned or gathered"


def test_page_is_accessible(visit, name, width, theme):
    found = [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in visit(name, width, theme).violations
        for node in violation["nodes"]
        if not accepted(violation["id"], node["html"])
    ]
    assert not found, "\n".join(found)


def test_weight_on_record_counts_what_the_browser_loads(visit, html, name):
    page = html / f"{name}.html"
    loaded = {html / unquote(urlsplit(address).path).lstrip("/") for address in visit(name, 1280, "light").loaded}
    real = sum(transferred(path) for path in loaded if path.is_file())
    counted = transferred(page) + sum(transferred(path) for path in resources(page))
    assert real <= counted * 1.05, Counter({p.name: transferred(p) for p in loaded - resources(page) - {page}})


@pytest.fixture(params=["http", "file"])
def section(request, contexts, site, html):
    """The section's page, served and opened as a file."""
    page = contexts[390, "light"].new_page()
    page.goto(f"{site}/{SECTION}.html" if request.param == "http" else (html / f"{SECTION}.html").as_uri())
    yield page
    page.close()


def test_section_opens_without_errors_from_a_file(contexts, html):
    page, errors = contexts[1280, "dark"].new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto((html / f"{SECTION}.html").as_uri(), wait_until="networkidle")
    assert page.locator("mjx-container").count(), "formulas are typeset from a file too"
    page.close()
    assert not errors


def test_slider_moves_by_keyboard(section):
    sliders = section.locator(".dp-frames")
    assert sliders.count(), "the section has a slider"
    for number in range(sliders.count()):
        figure = sliders.nth(number)
        slider, frames = figure.locator("input[type=range]"), figure.locator(".dp-frame")

        def shown(frames=frames):
            return [i for i in range(frames.count()) if frames.nth(i).is_visible()]

        for key, expected in (("Home", 0), ("ArrowRight", 1), ("End", frames.count() - 1), ("ArrowLeft", -2)):
            slider.press(key)
            assert shown() == [expected % frames.count()], f"slider {number} after {key}"
        value = figure.locator("output").inner_text()
        assert value
        assert slider.get_attribute("aria-valuetext") == value


def test_quiz_grades_an_answer(section):
    quiz = section.locator(".dp-quiz").first
    question = quiz.locator("fieldset").first
    answer, reason = int(question.get_attribute("data-answer")), question.locator(".dp-why")
    assert not reason.is_visible()
    question.locator("input").nth(0 if answer else 1).check()
    assert question.get_attribute("data-right") == "false"
    assert reason.is_visible()
    question.locator("input").nth(answer).check()
    assert question.get_attribute("data-right") == "true"
    assert quiz.locator("output").inner_text().startswith("1 right of ")


def test_section_prints_first_middle_and_last_picture(section):
    section.emulate_media(media="print")
    frames = section.locator(".dp-frames").first.locator(".dp-frame")
    count = frames.count()
    assert [i for i in range(count) if frames.nth(i).is_visible()] == sorted({0, count // 2, count - 1})


def test_search_finds_a_term_without_a_server(contexts, html):
    page = contexts[1280, "light"].new_page()
    page.goto((html / "search.html").as_uri() + "?q=baseline")
    page.locator("#search-results ul.search li a").first.wait_for()
    assert page.locator("#search-results ul.search li").count()
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_landing_page_shows_the_figure_of_the_section(contexts, site, theme):
    page = contexts[1280, theme].new_page()
    page.goto(site)
    figure = page.locator(".dp-output-of figure").first
    assert figure.is_visible()
    assert figure.locator("[role=img]").first.get_attribute("aria-label")
    page.close()


# The filter of ledger and coverage


def visible_rows(page) -> int:
    return page.locator("tr.dp-row:visible").count()


@pytest.mark.parametrize("pixels", [1280, 390])
def test_ledger_is_filtered_by_outcome_and_the_address_keeps_it(contexts, site, root, pixels):
    claims = read_json(root / "_build" / "claims.json", [])
    wanted = sum(outcome(claim) == "fails as expected" for claim in claims)
    assert 0 < wanted < len(claims)
    page = contexts[pixels, "light"].new_page()
    page.goto(f"{site}/book/ledger.html")
    assert visible_rows(page) == len(claims)
    page.get_by_label("Outcome").select_option(label=f"fails as expected ({wanted})")
    assert visible_rows(page) == wanted
    assert page.locator(".dp-filter output").inner_text() == f"{wanted} of {len(claims)} claims"
    assert page.url.endswith("/book/ledger.html#outcome=fails-as-expected")
    address, other = page.url, contexts[1280, "dark"].new_page()
    other.goto(address)
    assert visible_rows(other) == wanted, "a filtered view can be linked"
    other.goto(f"{site}/book/ledger.html#outcome=unheard-of&chapter=01-gap")
    assert other.get_by_label("Outcome").input_value() == ""
    assert other.get_by_label("Chapter").input_value() == "01-gap"
    page.get_by_label("Outcome").select_option(value="")
    assert visible_rows(page) == len(claims)
    assert "#" not in page.url
    page.close()
    other.close()


def test_coverage_is_filtered_by_form_and_chapter(contexts, site, root):
    rows = read_json(root / "_build" / "coverage.json", {})["rows"]
    wanted = sum(any(by["form"] == "exercise" for by in row["covered_by"]) for row in rows)
    page = contexts[390, "dark"].new_page()
    page.goto(f"{site}/book/coverage.html#form=exercise")
    assert visible_rows(page) == wanted > 0
    page.get_by_label("Chapter").select_option(value="01-gap")
    here = [row for row in rows if row["chapter"] == "01-gap"]
    assert visible_rows(page) == sum(any(by["form"] == "exercise" for by in row["covered_by"]) for row in here)
    assert page.url.endswith("#chapter=01-gap&form=exercise")
    page.close()


def test_without_scripts_every_row_is_there_and_no_filter(browser, site, root):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name, rows in (("ledger", "claims"), ("coverage", "coverage")):
        page.goto(f"{site}/book/{name}.html")
        stored = read_json(root / "_build" / f"{rows}.json", {})
        assert page.locator("tr.dp-row:visible").count() == len(stored if name == "ledger" else stored["rows"])
        assert not page.locator(".dp-filter").is_visible()
    context.close()


def test_a_group_without_a_row_left_disappears(browser, root):
    row = '<div class="dp-group"><p>Group {0}</p><table><tr class="dp-row chapter-{0}"><td>{0}</td></tr></table></div>'
    form = '<form class="dp-filter" data-what="rows" hidden><select name="chapter"><option value="">all</option>'
    form += '<option value="a">a</option><option value="b">b</option></select><output></output></form>'
    static = root / "book" / "static"
    page = browser.new_page()
    page.set_content(
        f"<style>{(static / 'book.css').read_text()}</style><script>{(static / 'book.js').read_text()}</script>"
        + form + row.format("a") + row.format("b")
    )  # fmt: skip
    assert page.get_by_text("Group").count() == 2
    page.locator("select").select_option("b")
    assert not page.get_by_text("Group a").is_visible()
    assert page.get_by_text("Group b").is_visible()
    assert page.locator("output").inner_text() == "1 of 2 rows"
    page.close()


def test_a_ledger_line_leads_to_the_figure(contexts, site, root):
    claim = next(c for c in read_json(root / "_build" / "claims.json", []) if c["figure"])
    page = contexts[1280, "light"].new_page()
    page.goto(f"{site}/book/ledger.html")
    page.get_by_role("link", name=f"figure of {claim['id']}", exact=True).click()
    page.wait_for_url(f"**/{claim['figure']}")
    target = page.locator(":target")
    assert target.locator("svg[role=img]").count() >= 1
    order = target.evaluate("(f, id) => f.compareDocumentPosition(document.getElementById(id))", f"claim-{claim['id']}")
    assert order & 4, "the claim's card follows it"
    page.close()
