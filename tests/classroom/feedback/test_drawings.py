"""SVG in HTML as a picture.

In order: a figure as this library makes them; several, in capitals, cut off; within an attribute; entities, depth, size
and mistakes; addresses that hold an SVG; time for what is made to take long; what a browser would draw for ever;
drawings of matplotlib.
"""

import base64
import io
import time

import pytest

from classroom.drawings import MOST_LEVELS, as_picture, is_drawing, with_pictures
from classroom.sanitise import clean_html, clean_notebook
from classroom.written import MOST_DRAWN

SVG = '<svg role="img" aria-label="a &amp; b" viewBox="0 0 9 9"><path d="M0 0"/></svg>'
FIGURE = f"<figure>{SVG}<figcaption>So.</figcaption></figure>"


def drawn(page: str) -> list[str]:
    return [base64.b64decode(piece.split('"')[0]).decode() for piece in page.split("svg+xml;base64,")[1:]]


def address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def test_a_figure_stays_with_its_words():
    page = clean_html(FIGURE)
    assert "<figcaption>So.</figcaption>" in page
    assert 'alt="a &amp; b"' in page
    assert drawn(page) == [SVG.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')]


def test_several_and_in_capitals():
    page = clean_html("<b>1</b><SVG><g/></SVG>2<svg xmlns='http://www.w3.org/2000/svg'></svg >3<svg>")
    assert len(drawn(page)) == 1
    assert "a drawing is not shown" in page, "capitals at the start and end are no XML of SVG's"
    assert page.endswith("3")


def test_within_an_attribute_it_is_no_way_out():
    page = clean_html("""<a title="<svg aria-label=' onmouseover=alert(1) x='></svg>">t</a>""")
    assert "onmouseover=alert" not in page.replace("&quot;", "").split('alt="')[0]
    assert "<a" not in page or " onmouseover" not in page.split(">")[0]


@pytest.mark.parametrize(
    "svg",
    [
        '<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>',
        "<svg>&nbsp;</svg>",
        "<svg><g></svg>",
        f"<svg>{'<g>' * MOST_LEVELS}{'</g>' * MOST_LEVELS}</svg>",
        f"<svg>{' ' * 2_000_000}</svg>",
    ],
)
def test_what_a_browser_should_not_draw_is_left_out(svg):
    assert drawn(clean_html(svg)) == []
    assert not is_drawing(address(svg))


def test_addresses():
    assert is_drawing(address("<svg/>"))
    assert not is_drawing("data:image/svg+xml,<svg/>")
    assert not is_drawing("data:image/svg+xml;base64,@@")
    assert not is_drawing(address("no xml"))
    assert "src=" not in clean_html('<img src="data:image/svg+xml;utf8,<svg/>">')


@pytest.mark.parametrize("html", ["<svg" * 200_000, "<svg " * 200_000 + "</svg>", "<svg " + "a " * 300_000 + "></svg>"])
def test_it_takes_no_time(html):
    began = time.process_time()
    with_pictures(html)
    assert time.process_time() - began < 2


def uses(levels: int, times: int, show: str) -> str:
    """A drawing each level of which shows the one before several times."""
    pieces = ['<g id="a0"><circle r="4"/></g>']
    for level in range(1, levels):
        inner = "".join(show.replace("@", f"a{level - 1}") for _ in range(times))
        pieces.append(f'<g id="a{level}">{inner}</g>')
    return f"<svg>{''.join(pieces)}{show.replace('@', f'a{levels - 1}')}</svg>"


SHOWN = (
    '<use href="#@"/>',
    '<use xlink:href=" #@ "/>',
    '<rect mask="url(#@)"/>',
    "<rect clip-path=\"url( '#@' )\"/>",
    '<rect style="fill:URL(&quot;#@&quot;)"/>',
    '<rect style="--a:url(#@);mask:var(--a)"/>',
)


@pytest.mark.parametrize("show", SHOWN)
def test_what_shows_itself_over_and_over_is_not_drawn(show):
    spaces = '<svg xmlns:xlink="http://www.w3.org/1999/xlink"'
    assert is_drawing(address(uses(3, 3, show).replace("<svg", spaces)))
    assert not is_drawing(address(uses(12, 10, show).replace("<svg", spaces)))
    assert not is_drawing(address(uses(1, 1, "<g id='b'><use href='#b'/></g>")))


@pytest.mark.parametrize(
    "inner",
    [
        '<use href="#%61"/>',
        '<use href="other.svg#a"/>',
        '<rect mask="u\\72l(#a)"/>',
        '<rect fill="url(data:image/svg+xml,x#a)"/>',
        "<style>rect{mask:url(#a)}</style>",
        "<style>rect{mask:inh<!-- -->erit}</style>",
        '<g style="mask:inherit"/>',
        '<filter id="f"><feTurbulence numOctaves="200"/></filter>',
        '<rect filter="blur(90px)"/>',
        '<rect style="filter:blur(90px)"/>',
        '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
        '<circle r="3"><animate attributeName="r" values="1;300"/></circle>',
        '<use><set attributeName="href" to="#a"/></use>',
        '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>',
        '<image href="data:image/png;base64,AAAA"/>',
        "<?xml-stylesheet href='data:text/css,x'?>",
    ],
)
def test_what_cannot_be_counted_is_not_drawn(inner):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>'
    assert not is_drawing(address(svg))
    assert clean_html(svg) == "<p>[a drawing is not shown]</p>"


def test_an_hour_of_lines_is_not_drawn():
    many = "<path id='p' d='" + "l1 1" * 50_000 + "'/>"
    assert is_drawing(address(f"<svg>{many}</svg>"))
    assert not is_drawing(address(f"<svg>{many}{'<use href=&quot;#p&quot;/>'.replace('&quot;', chr(39)) * 60}</svg>"))
    marker = '<marker id="m">' + "<rect/>" * 100 + "</marker>"
    marked = many.replace("<path", '<path marker-mid="url(#m)"')
    assert not is_drawing(address(f"<svg>{marker}{marked}</svg>"))


def test_drawings_of_matplotlib_are_drawn():
    """With what they have: a document type, the same mark thousands of times, clip paths, hatches, an image."""
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(2, 2).flat
    axes[0].scatter(range(5000), range(5000))
    axes[1].bar(range(50), range(50), hatch="/")
    axes[2].imshow([[0, 1], [2, 3]])
    axes[3].plot(range(20_000))
    axes[3].set_title("$x^2$ and words")
    text = io.StringIO()
    figure.savefig(text, format="svg")
    assert "<!DOCTYPE" in text.getvalue()
    assert as_picture(text.getvalue()).startswith('<img alt="a drawing" src="data:image/svg+xml;base64,')
    data = {"image/svg+xml": text.getvalue()}
    outputs = [{"output_type": "display_data", "metadata": {}, "data": data}]
    made = clean_notebook({"cells": [{"cell_type": "code", "source": "", "outputs": outputs}]})
    assert is_drawing(made["cells"][0]["outputs"][0]["data"]["text/html"].split('src="')[1].rstrip('">'))


def test_the_drawings_of_a_notebook_have_an_end():
    svg = f"<svg><path id='p'/>{'<g><use href=' + chr(39) + '#p' + chr(39) + '/></g>'}</svg>"
    many = svg.replace("<g>", "<g>" + "<circle r='1'/>" * 9000)
    outputs = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": many}}] * 40
    cell = {"cell_type": "code", "source": "", "outputs": outputs}
    made = clean_notebook({"cells": [cell, cell]})["cells"]
    found = [output["data"]["text/html"] for cell in made for output in cell["outputs"]]
    assert sum("<img" in html for html in found) == MOST_DRAWN // 9006
    assert found[-1] == "<p>[a drawing is not shown]</p>"


def test_a_hundred_drawings_are_drawn_of_one_output():
    page = clean_html("<svg></svg>" * 300)
    assert (page.count("<img"), page.count("[a drawing is not shown]")) == (100, 200)
