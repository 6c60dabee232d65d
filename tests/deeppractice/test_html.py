"""The inline SVG: well-formed, accessible, in the page's own colours, and the same bytes each time."""

import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from deeppractice import _html, viz

SVG = "{http://www.w3.org/2000/svg}"


def busy(text: str = "loss", seed: int = 0) -> Figure:
    """A figure with what makes matplotlib refer to identifiers: clipped lines, markers, an image, a legend."""
    rng = np.random.default_rng(seed)
    fig, (left, right) = viz.subplots(1, 2)
    left.plot(rng.normal(size=20).cumsum(), "k-", label="black")
    left.scatter(rng.random(5), rng.random(5), marker="*")
    left.set(title=text, xlabel="$x^2$", ylabel="y")
    left.legend(frameon=True)
    right.imshow(rng.random((4, 4)))
    right.bar([0, 1], [1, 2], color="black", hatch="//")
    return fig


def parsed(svg: str) -> ET.Element:
    # HTML needs no namespace; an XML parser does.
    return ET.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def identifiers(svg: str) -> list[str]:
    return [element.get("id") for element in parsed(svg).iter() if element.get("id")]


def references(svg: str) -> set[str]:
    return set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))


def test_the_svg_is_well_formed_and_has_an_accessible_name() -> None:
    root = parsed(_html.svg(busy(), 'A "curve" falls & <stays>'))
    assert root.tag == SVG + "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'A "curve" falls & <stays>'
    x, y, width, height = map(float, root.get("viewBox").split())
    assert (x, y) == (0, 0)
    assert width > height > 100
    assert root.get("width") is None  # the stylesheet makes it as wide as the page, up to
    assert re.fullmatch(r"max-width:\d+px", root.get("style"))
    assert len(list(root.iter())) > 50


def test_black_is_the_pages_own_colour() -> None:
    svg = _html.svg(busy(), "Busy")
    assert parsed(svg).get("fill") == "currentColor"  # of text, which names no colour
    assert "stroke: currentColor" in svg  # of axes and ticks
    assert "#000000" not in svg
    assert not re.search(r"(fill|stroke): ?(black|#000\b|rgb\(0, ?0, ?0\))", svg)


def test_what_would_reach_beyond_the_figure_is_gone() -> None:
    svg = _html.svg(busy(), "Busy")
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert "<?xml" not in svg
    assert "DejaVu" not in svg
    assert "http" not in svg.replace("http://www.w3.org/1999/xlink", "")


def test_text_stays_text() -> None:
    texts = [
        "".join(element.itertext()).strip()
        for element in parsed(_html.svg(busy("the title"), "Busy")).iter(SVG + "text")
    ]
    assert "the title" in texts
    assert "black" in texts


@pytest.mark.parametrize("where", ["axes", "figure"])
def test_nothing_paints_a_background(where: str) -> None:
    fig, ax = plt.subplots()  # matplotlib's own style: white figure, axes and legend
    ax.plot([1, 2], label="line")
    (ax if where == "axes" else fig).legend(frameon=True)
    for path in parsed(_html.svg(fig, "A line")).iter(SVG + "path"):
        style = path.get("style", "")
        if "#ffffff" in style:
            assert re.search(r"(?<!-)opacity: 0(;|$)", style), style


def test_references_hold_and_every_identifier_is_referred_to() -> None:
    svg = _html.svg(busy(), "Busy")
    ids = identifiers(svg)
    assert len(ids) == len(set(ids)) > 2
    assert set(ids) == references(svg)


def test_two_figures_of_one_page_share_no_identifier() -> None:
    same_alt = [_html.svg(busy(seed=seed), "Busy") for seed in (0, 1)]
    same_data = [_html.svg(busy(), alt) for alt in ("One", "Two")]
    for first, second in (same_alt, same_data):
        assert not set(identifiers(first)) & set(identifiers(second))


def test_two_runs_give_equal_bytes() -> None:
    assert _html.svg(busy(), "Busy") == _html.svg(busy(), "Busy")


def test_an_identifier_depends_on_its_parts_and_their_borders() -> None:
    assert _html.identifier("a", "b") == _html.identifier("a", "b")
    assert len({_html.identifier(*parts) for parts in (("a", "b"), ("ab",), ("b", "a"), ("a", "b", ""))}) == 4
    assert re.fullmatch(r"dp[0-9a-f]{10}", _html.identifier("a"))


@pytest.mark.parametrize("alt", ["", "  ", "curve.png", "figures/loss.svg", " loss.JPG".lower(), "a.gif"])
def test_alternative_text_that_says_nothing(alt: str) -> None:
    with pytest.raises(ValueError, match="expected alternative text that says what the figure shows, got"):
        _html.svg(busy(), alt)


def test_alternative_text_may_mention_a_file() -> None:
    assert _html.check_alt("The picture of loss.png falls") == "The picture of loss.png falls"
