"""Feedback in a browser: what a student wrote does nothing; axe finds nothing; phone, keyboard and print.

The hostile page has in order: scripts in markdown, comments, HTML, SVG (as output, in HTML, as a data address) and
outputs of scripts; addresses that run; handlers; styles that fetch; names with markup; escape codes; marks of
direction; a line of a megabyte; 500 outputs; an attribute with an SVG in it. The same notebook is opened as formgrader
shows it.
"""

import base64
import json
import shutil

import pytest
from nbconvert import HTMLExporter
from nbformat import from_dict

from classroom.feedback import feedback
from classroom.feedback.page import Head, make_page
from classroom.feedback.shown import Shown
from classroom.folder import Folder
from classroom.results import write_result
from classroom.writer import Writer

pytestmark = pytest.mark.browser

VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
CANARY = "document.documentElement.dataset.canary='sang'"
SVG = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="{CANARY}"><script>{CANARY}</script>'
    '<image href="http://127.0.0.1:9/svg.png" width="9" height="9"/>'
    "<style>@import url(http://127.0.0.1:9/s.css);</style>"
    f'<a href="javascript:{CANARY}"><text y="20">a</text></a><foreignObject><b onclick="{CANARY}">b</b></foreignObject>'
    '<circle r="9" cx="20" cy="20"/></svg>'
)
# What fetches, or holds HTML, is not shown at all; of the rest everything is drawn and nothing runs.
DRAWN = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="{CANARY}"><script>{CANARY}</script>'
    f'<a href="javascript:{CANARY}"><text y="20">a</text></a><circle r="9" cx="20" cy="20" onclick="{CANARY}"/></svg>'
)
AS_ADDRESS = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()
HTML = (
    f"<script>{CANARY}</script><img src=x onerror={CANARY}><img src=http://127.0.0.1:9/a.png>"
    f"<a href=\"javascript:{CANARY}\">press</a><iframe srcdoc='<script>parent.{CANARY}</script>'></iframe>"
    f'<b style="background:url(http://127.0.0.1:9/b.png)" onmouseover="{CANARY}">b</b>'
    "<style>body{background:url(http://127.0.0.1:9/c.png)}</style><link rel=stylesheet href=http://127.0.0.1:9/d.css>"
    f"<form action=http://127.0.0.1:9/e><button formaction='javascript:{CANARY}'>go</button></form>"
    f"<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/f'><base href=http://127.0.0.1:9/>"
    f"<math><mtext></p><img src=x onerror={CANARY}></math><details open ontoggle={CANARY}>d</details>"
    f"<a title='{SVG}'>t</a><b title=\"<svg aria-label=' onmouseover={CANARY} x='></svg>\">u</b>"
    f'<img src="{AS_ADDRESS}">{SVG}<table><tr><th></th><td>cell</td></tr></table><input autofocus onfocus={CANARY}>'
)
MARKDOWN = (
    f"# Heading\n\n<script>{CANARY}</script>\n\n[press](javascript:{CANARY}) ![x](http://127.0.0.1:9/g.png)\n\n"
    f"{HTML}\n\n$<img src=x onerror={CANARY}>$\n\n<!-- <script>{CANARY}</script> -->\n\n"
    f"[ref]: javascript:{CANARY}\n[press][ref]\n\n```mermaid\n</pre><script>{CANARY}</script>\n```\n\n"
    f"$$\\href{{javascript:{CANARY}}}{{x}}$$ \u202ereversed\u202c &lt;script&gt;\n\n![d]({AS_ADDRESS})\n"
)


def output(**data: str) -> dict:
    named = {"html": "text/html", "svg": "image/svg+xml", "js": "application/javascript", "md": "text/markdown"}
    shown = {named.get(key, f"text/{key}"): value for key, value in data.items()}
    return {"output_type": "display_data", "data": shown, "metadata": {}}


OUTPUTS = [
    output(html=HTML),
    output(svg=SVG),
    output(svg=DRAWN),
    output(html=f"<p>{DRAWN}</p>"),
    output(js=CANARY),
    output(md=MARKDOWN),
    output(latex=f"$<script>{CANARY}</script>$"),
    {"output_type": "stream", "name": "stdout", "text": f"\x1b[31m<script>{CANARY}</script>\x1b]0;title\x07\u202e" * 3},
    {"output_type": "stream", "name": "stderr", "text": "x" * 1_000_000},
    {"output_type": "error", "ename": "<b>E", "evalue": HTML, "traceback": [HTML, "\x1b[31mred"]},
]


@pytest.fixture(scope="module")
def hostile_record(tiny_template, tmp_path_factory, make_result) -> tuple[Folder, dict]:
    """A result in which all of the student's is hostile, merged into a class."""
    root = tmp_path_factory.mktemp("hostile") / "class"
    shutil.copytree(tiny_template, root)
    folder = Folder(root)
    answers = {"double": f"# {HTML}\n'''</code></pre><script>{CANARY}</script>'''", "why": MARKDOWN}
    record = make_result(folder, "ada", answers, outputs={"double": OUTPUTS + [output(plain="n")] * 500}, own=HTML)
    record["note"], record["rebuilt"] = HTML, [HTML, "cell \u202ex"]
    check = {"name": HTML, "points": 1, "passed": False, "hint": HTML, "error": HTML, "hidden": False}
    for cell in record["cells"]["tiny.ipynb"]:
        if cell["grade_id"] == "double-tests":
            cell |= {"by": "examiner", "checks": [check], "said": HTML}
    place = folder.path("submitted", "tiny", "ada")
    place.mkdir(parents=True)
    (place / "tiny.ipynb").write_text("{}")
    write_result(folder.record("result", "tiny", "ada"), record)
    with Writer(folder, "tiny") as writer:
        writer.merge(record)
    with folder.gradebook() as gradebook:
        gradebook.find_comment("why", "tiny", "tiny", "ada").manual_comment = HTML
        gradebook.db.commit()
    return folder, record


def visit(browser, address: str, width: int = 1280, theme: str = "light"):
    """The page, after everything in it was hovered over and pressed; its context, requests and dialogs."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    requests, dialogs = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.wait_for_timeout(300)
    return context, page, requests, dialogs


def looked_at(page) -> list[str]:
    """What in the page could run or fetch."""
    return page.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(one => [
          ...(['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'FORM', 'BASE', 'LINK', 'INPUT', 'BUTTON'].includes(one.tagName)
              ? [one.outerHTML.slice(0, 100)] : []),
          ...[...one.attributes].filter(a => a.name.startsWith('on') || a.name === 'style' ||
              (['href', 'src', 'action'].includes(a.name) && /^\\s*(javascript|data:text)/i.test(a.value)))
              .map(a => one.tagName + ' ' + a.name + '=' + a.value.slice(0, 60))])"""
    )


def test_nothing_of_a_students_does_anything(browser, hostile_record):
    folder, _ = hostile_record
    assert feedback(folder, "tiny", lambda text: None)["failed"] == []
    place = folder.path("feedback", "tiny", "ada") / "tiny.html"
    context, page, requests, dialogs = visit(browser, f"file://{place}")
    try:
        links = page.locator("main a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert [link for link in links if link and not link.startswith(("#", "http://"))] == []
        page.evaluate("document.querySelectorAll('main a:not([href^=http]), b').forEach(one => one.click())")
        for line in page.locator("b").all()[:5]:
            line.dispatch_event("mouseover")
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.dataset.canary") is None
        assert looked_at(page) == []
        assert dialogs == []
        others = [url for url in requests if not url.startswith(("data:", f"file://{place}"))]
        assert others == []
        assert page.title() == "tiny"
        assert page.locator("h1").count() == 1
        assert "\u202e" not in page.inner_text("body")
        pictures = page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
        assert len(pictures) >= 2
        assert max(pictures) > 0, "an SVG is drawn, as a picture"
        wide, window = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        assert wide <= window
        # Without its policy the page would still do nothing.
        bare = place.read_text().replace('http-equiv="Content-Security-Policy"', "")
        page.set_content(bare)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.dataset.canary") is None
        assert [url for url in requests if ":9" in url] == []
    finally:
        context.close()


def test_the_same_in_formgrader(browser, hostile_record, tmp_path):
    """What the writer puts under autograded/, as nbconvert makes a page of it on the instructor's side."""
    folder, _ = hostile_record
    (place,) = folder.path("autograded", "tiny", "ada").glob("*.ipynb")
    notebook = from_dict(json.loads(place.read_text()))
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    file = tmp_path / "formgrader.html"
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{body}</body>")
    context, page, requests, dialogs = visit(browser, f"file://{file}")
    try:
        assert page.evaluate("document.documentElement.dataset.canary") is None
        assert dialogs == []
        assert [url for url in requests if ":9" in url or url.startswith("http")] == []
        assert page.locator("script, iframe, form, object, embed, base, link").count() == 0
        assert page.locator("img").count() >= 2
    finally:
        context.close()


def test_the_canary_would_sing(browser, tmp_path):
    """The same markup, unsanitised: the test above could fail."""
    file = tmp_path / "raw.html"
    file.write_text(f"<!DOCTYPE html><body>{HTML.replace('refresh', 'x')}</body>")
    context, page, requests, _ = visit(browser, f"file://{file}")
    try:
        assert page.evaluate("document.documentElement.dataset.canary") == "sang"
        assert any(":9" in url for url in requests)
    finally:
        context.close()


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_axe_finds_nothing_and_it_fits(browser, demo_course, width, theme):
    from axe_playwright_python.sync_playwright import Axe

    for student in ("demo-typical", "demo-late"):
        place = demo_course.root / f"_build/demo/feedback/{student}/checkpoint-01/checkpoint-01.html"
        context, page, requests, _ = visit(browser, f"file://{place}", width, theme)
        try:
            wide, window = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
            assert wide <= window
            found = [
                f"{violation['id']}: {node['html'][:200]}"
                for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
                for node in violation["nodes"]
            ]
            assert not found, "\n".join(found)
            assert {url for url in requests if not url.startswith("data:")} == {f"file://{place}"}
        finally:
            context.close()


def test_keyboard_and_print(browser, demo_course):
    place = demo_course.root / "_build/demo/feedback/demo-typical/checkpoint-01/checkpoint-01.html"
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    try:
        page = context.new_page()
        page.goto(f"file://{place}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#part-1")
        closed = page.locator("details:not([open])").first
        closed.locator("summary").focus()
        page.keyboard.press("Enter")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        code = page.locator("details pre.code")
        assert min(code.nth(n).bounding_box()["height"] for n in range(code.count())) > 10, "closed ones are printed"
        assert len(page.pdf()) > 10_000
    finally:
        context.close()


def test_a_name_is_only_text(browser, tmp_path):
    head = Head(f"<script>{CANARY}</script>", [HTML, "a\u202eb"], 1, 2, 0, [HTML])
    file = tmp_path / "names.html"
    file.write_text(make_page(head, [], Shown()))
    context, page, requests, _ = visit(browser, f"file://{file}")
    try:
        assert page.evaluate("document.documentElement.dataset.canary") is None
        assert looked_at(page) == []
        assert requests == [f"file://{file}"]
    finally:
        context.close()
