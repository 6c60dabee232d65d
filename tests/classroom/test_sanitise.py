"""Nothing of a student's is active on the instructor's origin, and what is harmless stands as it was written.

In order: text that must not be touched; text with markup, links and pictures; outputs by type; metadata and
attachments; and nbconvert's own page of a notebook full of attempts, read back by a parser.
"""

import json
import time
from functools import partial
from html.parser import HTMLParser

import nbformat
import pytest
from nbconvert import HTMLExporter

from classroom.sanitise import clean_html, clean_markdown, clean_notebook


def cell_of(kind: str, source: str = "", **more) -> dict:
    """A cell as it may come: nothing is checked."""
    return {"cell_type": kind, "id": "a", "metadata": {}, "source": source, **more}


code, markdown, raw_cell = partial(cell_of, "code"), partial(cell_of, "markdown"), partial(cell_of, "raw")


def notebook_of(*cells: dict, **metadata) -> dict:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><circle r="3" onload="alert(2)"/></svg>'


@pytest.mark.parametrize(
    "text",
    [
        "for all $a<b$ and $b>c$: $$x<y \\\\ y<z$$",
        "if a < b and b > c, or a<2 and <3",
        "\\begin{align}a&<b\\\\b&<c\\end{align}",
        "`<script>` is a tag, and so is\n\n```html\n<script>alert(1)</script>\n```",
        "    <b onclick=x> in an indented block",
        "see <https://example.org/a?b=1&c=2> and [this](https://example.org) and [that][1]\n\n[1]: http://example.org",
        "H<sub>2</sub>O, <b>bold</b><br/>next",
        "| a | b |\n|---|---|\n| 1<2 | $x<y$ |",
        "an entity &lt;script&gt; and an [x] in brackets: fine",
        "",
    ],
)
def test_harmless_text_is_not_touched(text):
    assert clean_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "before <img src=x onerror=alert(1)> after",
        "<b onmouseover=alert(1)>hover</b>",
        "[click](javascript:alert(1))",
        "[click](JaVaScRiPt:alert(1))",
        "[click](&#106;avascript:alert(1))",
        "[click](java%73cript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        "[click][1]\n\n[1]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "![x](https://tracker.example/pixel.png)",
        "![x](attachment:missing.png)",
        "![x](javascript:alert(1))",
        "<svg onload=alert(1)>",
        "<iframe src=https://evil.example></iframe>",
        "<style>body{display:none}</style>",
        "<!-- <script>alert(1)</script> -->",
        "<!DOCTYPE html><html><body onload=alert(1)>",
        "$a$ <script>alert(1)</script> $b$",
        "`code` <details open ontoggle=alert(1)>x</details>",
        "```mermaid\n<img src=x onerror=alert(1)>\n```",
        "</div></div><form action=https://evil.example><input name=password>",
        "<b>never closed",
        "</b> closed twice </b>",
        "<b><i>crossed</b></i>",
        "<a href='javascript:alert(1)'>x</a>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "# heading <img src=x onerror=alert(1)>",
        "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
        "- [ ] <script>alert(1)</script>\n- term\n: <svg/onload=alert(1)>",
        "\\<script>alert(1)\\</script>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<script\n>alert(1)</script\n>",
        "````\n```\n<script>alert(1)</script>",
    ],
)
def test_markup_in_text_is_shown_and_not_obeyed(text):
    cleaned = clean_markdown(text)
    harmless(page_of(markdown(cleaned)))
    assert clean_markdown(cleaned) == cleaned


def test_what_is_to_blame_is_escaped_and_the_rest_stays():
    cleaned = clean_markdown("**So** $a<b$, <script>alert(1)</script>, and `x<y`.")
    assert cleaned == "**So** $a<b$, &lt;script>alert(1)&lt;/script>, and `x<y`."
    assert clean_markdown("**x** [a](javascript:alert(1))") == "**x** [a](#)"
    assert clean_markdown("<script>x</script> [a](javascript:b) **c**") == "&lt;script>x&lt;/script> [a](#) **c**"
    assert clean_markdown("**a** <b>never closed") == "**a** &lt;b>never closed"
    assert "[a picture is not shown]" in clean_markdown("see ![it](https://a.example/b.png) **here**")


@pytest.mark.parametrize("piece", ["\\\\[", "\\begin{a}", "[a](", "<!--", "<?", "*a", "`", "a word "])
def test_a_text_made_to_take_long_does_not(piece):
    began = time.process_time()
    cleaned = clean_markdown(piece * (200_000 // len(piece)))
    page_of(markdown(cleaned))
    assert time.process_time() - began < 5


def test_html_outputs_keep_tables_and_pictures():
    frame = '<table border="1"><thead><tr><th>a</th></tr></thead></table>'
    as_pandas = "<style scoped>.d{color:red}</style>" + frame.replace('"1"', '"1" class="dataframe"')
    assert clean_html(as_pandas) == frame
    picture = f'<img src="data:image/png;base64,{PNG}" width="20">'
    assert clean_html(picture) == picture
    assert clean_html('<img src="https://tracker.example/x.png">') == "<img>"
    assert clean_html('<img src="data:image/svg+xml;base64,AAAA">') == "<img>"
    assert clean_html('<a href="javascript:alert(1)">x</a>') == '<a rel="noopener noreferrer">x</a>'
    assert clean_html("<div id=comment onclick=x style='position:fixed' data-toggle=y>z</div>") == "<div>z</div>"


def test_outputs_by_type():
    def data(bundle: dict) -> dict:
        cell = code(outputs=[{"output_type": "display_data", "metadata": {}, "data": bundle}])
        return clean_notebook(notebook_of(cell))["cells"][0]["outputs"][0]["data"]

    assert data({"text/plain": "<b>"}) == {"text/plain": "<b>"}  # nbconvert escapes it
    assert data({"image/png": PNG}) == {"image/png": PNG}
    assert data({"image/png": PNG[:20] + "\n" + PNG[20:]}) == {"image/png": PNG}
    assert data({"image/png": '"><script>alert(1)</script>', "text/plain": "Figure"}) == {"text/plain": "Figure"}
    assert "<script" not in data({"image/svg+xml": SVG})["text/html"]
    assert data({"image/svg+xml": SVG})["text/html"].startswith('<img alt="a drawing" src="data:image/svg+xml;base64,')
    shown = data({"application/javascript": "alert(1)"})
    assert shown == {"text/plain": "[an output of the type application/javascript is not shown]"}
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "IntSlider()"}
    assert data(widget) == {"text/plain": "IntSlider()"}
    assert data({"text/markdown": "$a<b$ <script>x</script>"}) == {"text/markdown": "$a<b$ &lt;script>x&lt;/script>"}
    assert data({"text/plain": "lone \ud800"}) == {"text/plain": "lone ?"}
    assert data({}) == {"text/plain": ""}
    assert clean_notebook(notebook_of(code(outputs=[{"output_type": "odd"}])))["cells"][0]["outputs"] == []


def test_metadata_tags_ids_and_attachments():
    meta = {
        "tags": ["fine", '"><script>', 3],
        "nbgrader": {"grade_id": "a"},
        "magics_language": "<script>",
        "raw_mimetype": "text/html",
    }
    cell = markdown("![a](attachment:a.png)", metadata=meta)
    cell["id"] = 'x"><script>'
    cell["attachments"] = {"a.png": {"image/png": PNG, "text/html": "<script>"}, "b": {"image/png": "no base64!"}}
    notebook = notebook_of(cell, widgets={}, title="<script>", kernelspec={"name": "python3"})
    cleaned = clean_notebook(notebook)
    only = cleaned["cells"][0]
    assert only["metadata"] == {"nbgrader": {"grade_id": "a"}, "tags": ["fine"]}
    assert "id" not in only
    assert only["attachments"] == {"a.png": {"image/png": PNG}}
    assert only["source"] == cell["source"]
    assert cleaned["metadata"] == {"kernelspec": {"name": "python3"}, "classroom_sanitised": True}


def test_the_instructors_own_cells_keep_their_markup_but_not_a_students_pictures():
    ours = "<details><summary>Hint</summary>\n\n![p](attachment:p.png)\n\n</details>"
    cell = markdown(ours, attachments={"p.png": {"image/png": PNG}})
    assert clean_notebook(notebook_of(cell), {ours})["cells"][0]["source"] == ours
    cell["attachments"] = {}  # somebody took it away, and nbconvert would end with an error
    cleaned = clean_notebook(notebook_of(cell), {ours})["cells"][0]
    harmless(page_of(cleaned))
    raw = raw_cell("<script>alert(1)</script>", metadata={"raw_mimetype": "text/html"})
    assert clean_notebook(notebook_of(raw))["cells"][0]["cell_type"] == "markdown"
    assert clean_notebook(notebook_of(raw), {raw["source"]})["cells"][0]["cell_type"] == "raw"


def test_a_page_of_everything_at_once():
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "\x1b[31m<script>alert(1)</script>"},
        {
            "output_type": "error",
            "ename": "<script>",
            "evalue": "<img onerror=x>",
            "traceback": ["<script>alert(1)</script>"],
        },
        {"output_type": "execute_result", "execution_count": "<script>alert(1)</script>", "metadata": {}, "data": {}},
        {
            "output_type": "display_data",
            "data": {"image/png": PNG},
            "metadata": {
                "image/png": {"width": "1 onload=alert(1)", "height": 3},
                "filenames": {"image/png": "javascript:x"},
            },
        },
        {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": SVG}},
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>alert(1)</script><p>shown</p>"}},
        {"output_type": "display_data", "metadata": {}, "data": {"text/latex": "$x$<script>alert(1)</script>"}},
        {"output_type": "display_data", "metadata": {}, "data": {"application/javascript": "alert(1)"}},
    ]
    cells = [
        code("print('<script>alert(1)</script>')", outputs=outputs),
        markdown("<script>alert(1)</script>"),
        raw_cell("<script>alert(1)</script>"),
    ]
    page = page_of(*clean_notebook(notebook_of(*cells))["cells"])
    harmless(page)
    assert "<p>shown</p>" in page
    assert json.dumps(clean_notebook(notebook_of(*cells)))


def page_of(*cells: dict) -> str:
    """The body that nbconvert makes of cells, as formgrader and feedback do: nothing sanitised on the way."""
    notebook = nbformat.from_dict(clean_notebook(notebook_of(*cells)) | {"cells": list(cells)})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return page


ACTIVE = ("script", "style", "iframe", "object", "embed", "form", "input", "svg", "math", "base", "link", "meta")


class Inspector(HTMLParser):
    """Collects whatever could be active."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        ticked = tag == "input" and dict(attributes).get("type") == "checkbox"  # of a list of tasks
        if tag in ACTIVE and not ticked:
            self.found.append(tag)
        for name, value in attributes:
            address = (value or "").strip().lower()
            if name.startswith("on") or (name in ("href", "src") and not harmless_address(address)):
                self.found.append(f"{tag} {name}={value}")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment {data}")


def harmless_address(address: str) -> bool:
    return address.startswith(("http://", "https://", "mailto:", "#", "data:image/")) or address == ""


def harmless(page: str) -> None:
    inspector = Inspector()
    inspector.feed(page)
    assert inspector.found == [], page[-2000:]
    parsed = page.replace("data:image/", "").lower()
    assert "tracker.example/pixel" not in parsed or "src=" not in parsed
