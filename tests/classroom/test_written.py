"""No notebook takes minutes to show: what its texts and its outputs' HTML may cost, cell by cell and in all.

In order: openings that nbconvert searches the ends of; many cells that are each short enough; the same page each time;
HTML of ampersands, of great length, of cells over a thousand columns; pictures that browsers know and we do not.
"""

import base64
import io
import time

import pytest
from PIL import Image, features

from classroom.sanitise import MOST_HTML, clean_html, clean_notebook
from classroom.written import A_LINE, MOST_AS_SOURCE, MOST_LAID_OUT, Budget, clean_markdown


def notebook_of(*sources: str) -> dict:
    return {"cells": [{"cell_type": "markdown", "metadata": {}, "source": source} for source in sources]}


def shown(*sources: str) -> list[str]:
    return [cell["source"] for cell in clean_notebook(notebook_of(*sources))["cells"]]


def output_of(data: dict) -> dict:
    output = {"output_type": "display_data", "metadata": {}, "data": data}
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [output]}
    return clean_notebook({"cells": [cell]})["cells"][0]["outputs"][0]["data"]


@pytest.mark.parametrize("piece", ["\\\\(", "\\\\[", "\\begin{", "["])
def test_a_text_of_openings_is_shown_as_its_source(piece):
    began = time.process_time()
    cleaned = clean_markdown(piece * (48_000 // len(piece)) + "<")
    assert cleaned.startswith("```\n")
    assert time.process_time() - began < 1
    few = f"{piece} " * 100 + "and words"
    assert clean_markdown(few) == few


def test_what_is_laid_out_of_a_notebook_has_an_end():
    long = "# a\n" * 1000  # well below what one cell may have
    began = time.process_time()
    found = shown(*[long] * 800)
    assert time.process_time() - began < 5
    laid_out = [text for text in found if text == long]
    assert len(laid_out) == MOST_LAID_OUT // (len(long) + A_LINE * 1000)
    as_source = [text for text in found if text.startswith("[there is more text in this notebook than can be laid out")]
    assert len(as_source) == MOST_AS_SOURCE // len(long)
    assert found[-1].startswith("[there is more text in this notebook than can be shown; 4000 characters")
    assert len(found) == 800


def test_a_long_text_leaves_room_for_the_short_ones_after_it():
    assert shown("x" * 60_000, "*So.*")[1] == "*So.*"
    assert shown("a b\n" * 12_000, *["*So.* <b>it</b> is"] * 3)[1:] == ["*So.* <b>it</b> is"] * 3


def test_a_notebook_becomes_the_same_twice():
    texts = ["# a\n" * 200 + "<i>", "word " * 9000] * 4
    assert shown(*texts) == shown(*texts)


def test_cells_of_ones_own_and_outputs_share_the_budget():
    budget = Budget()
    texts = ["word " * 9000] * 2
    raw = {"cell_type": "raw", "metadata": {}, "source": "x"}
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/markdown": texts[0]}}
    code = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [output]}
    cells = clean_notebook(notebook_of(*texts) | {"cells": [*notebook_of(*texts)["cells"], raw, code]}, budget=budget)
    assert cells["cells"][0]["source"] == texts[0]
    assert cells["cells"][3]["outputs"][0]["data"]["text/markdown"].startswith("[there is more text")


@pytest.mark.parametrize("piece", ["&", "&a", "&x;", "x&amp;"])
def test_html_of_ampersands_takes_no_time(piece):
    began = time.process_time()
    cleaned = output_of({"text/html": piece * (990_000 // len(piece)), "text/plain": "so"})
    assert cleaned == {"text/plain": "so"}
    assert "<p>" not in output_of({"text/html": piece * ((MOST_HTML - 9) // len(piece))})["text/html"]
    assert time.process_time() - began < 2


def test_long_html_is_left_out_where_there_is_text_and_named_elsewhere():
    table = "<table>" + "<tr><td>1</td></tr>" * (MOST_HTML // 15) + "</table>"
    assert output_of({"text/html": table, "text/plain": "1\n1"}) == {"text/plain": "1\n1"}
    assert output_of({"text/html": table}) == {"text/html": f"<p>[HTML of {len(table)} characters is not shown]</p>"}
    buffer = io.BytesIO()
    Image.effect_noise((500, 500), 100).save(buffer, "PNG")
    picture = f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
    assert len(picture) > MOST_HTML
    assert output_of({"text/html": picture}) == {"text/html": picture}, "a picture's data does not count"
    drawing = "<svg>" + "<path d='M0 0L1 1'/>" * 20_000 + "</svg>"
    assert len(drawing) > MOST_HTML
    assert "<img" in output_of({"text/html": drawing})["text/html"], "nor does a drawing"


def test_the_html_of_all_outputs_has_an_end():
    table = "<table>" + "<tr><td>1</td></tr>" * 10_000 + "</table>"
    outputs = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": table}}] * 20
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": outputs}
    found = [output["data"]["text/html"] for output in clean_notebook({"cells": [cell]})["cells"][0]["outputs"]]
    assert sum("<td>" in html for html in found) == 10
    assert found[-1] == f"<p>[HTML of {len(table)} characters is not shown]</p>"


def test_a_table_has_no_more_columns_and_rows_than_can_be_drawn():
    wide = "<table><tr>" + '<td colspan="100" rowspan="100">x</td>' * 200 + "</tr></table>"
    assert clean_html(wide).count("span=") == 50
    assert "span" not in clean_html('<table><tr><td colspan="1000" rowspan="9999">x</td></tr></table>')
    several = '<table><tbody><tr><th rowspan="3" colspan="2">x</th></tr></tbody></table>'
    assert clean_html(several) == several


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes none")
def test_a_picture_of_a_kind_that_we_cannot_measure_is_not_shown():
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "AVIF")
    data = base64.b64encode(buffer.getvalue()).decode()
    assert output_of({"image/png": data, "text/plain": "a figure"}) == {"text/plain": "a figure"}
    address = f"data:image/png;base64,{data}"
    assert clean_html(f'<img src="{address}">') == "<img>"
    assert "base64" not in clean_markdown(f"![x]({address})")
    cell = notebook_of("![x](attachment:a.png)")["cells"][0] | {"attachments": {"a.png": {"image/png": data}}}
    assert "attachments" not in clean_notebook({"cells": [cell]})["cells"][0]


def test_sizes_are_those_of_a_page():
    sizes = {"image/png": {"width": 10**9, "height": 300}}
    data = base64.b64encode(_png(3, 3)).decode()
    output = {"output_type": "display_data", "metadata": sizes, "data": {"image/png": data}}
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [output]}
    assert clean_notebook({"cells": [cell]})["cells"][0]["outputs"][0]["metadata"] == {"image/png": {"height": 300}}


def _png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()
