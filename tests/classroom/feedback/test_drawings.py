"""SVG in HTML as a picture.

In order: a figure as this library makes them; several, in capitals, cut off; within an attribute; entities, depth, size
and mistakes; addresses that hold an SVG; time for what is made to take long.
"""

import base64
import time

import pytest

from classroom.drawings import MOST_LEVELS, is_drawing, with_pictures
from classroom.sanitise import clean_html

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
    began = time.monotonic()
    with_pictures(html)
    assert time.monotonic() - began < 2
