"""SVG in HTML as a picture: in an `<img>` a browser runs nothing of it and fetches nothing for it.

Figures of this course's library are SVG inside HTML. An allow-list of SVG's hundreds of elements and attributes would
be long and wrong one day; as a picture, whatever stands in it is only drawn.
"""

import base64
import binascii
import re
from html import escape, unescape
from xml.parsers import expat

MOST_BYTES, MOST_LEVELS = 2_000_000, 200
_LONGEST_HEAD = 5_000  # characters of the first tag in which a label is looked for
_LABEL = re.compile(r"""\saria-label=(?:"([^"<>]*)"|'([^'<>]*)')""", re.IGNORECASE)
_NAMESPACE = re.compile(r"""\sxmlns\s*=""", re.IGNORECASE)
_BASE64 = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=\s]*)")


def with_pictures(html: str) -> str:
    """HTML in which each SVG is an image; one that a browser would not draw as such is left out, in words.

    What comes out is to be sanitised as a whole: nothing here looks at where in the HTML the SVG stands.
    """
    lower, pieces, at = html.lower(), [], 0
    if len(lower) != len(html):  # a letter whose small form has another length; places would not agree
        lower = html
    # No regular expression: one that looks for the end anew at each of 100,000 beginnings takes minutes.
    while (start := lower.find("<svg", at)) >= 0 and (end := lower.find("</svg", start)) >= 0:
        stop = html.find(">", end) + 1
        if not stop:
            break
        pieces += [html[at:start], _picture(html[start:stop])]
        at = stop
    return "".join([*pieces, html[at:]])


def is_drawing(address: str) -> bool:
    """Whether an address holds an SVG that is drawn in no time: well-formed, without entities, not very deep."""
    found = _BASE64.fullmatch(address)
    if found is None:
        return False
    try:
        return _is_plain(base64.b64decode(re.sub(r"\s", "", found[1]), validate=True))
    except (binascii.Error, ValueError):
        return False


def _picture(svg: str) -> str:
    head = svg[: min(svg.find(">") + 1, _LONGEST_HEAD)]
    if not _NAMESPACE.search(head):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg"{svg[len("<svg") :]}'
    data = svg.encode("utf-8", "replace")
    if not _is_plain(data):
        return "<p>[a drawing is not shown]</p>"
    label = _LABEL.search(head)
    words = unescape((label[1] or label[2] or "") if label else "")[:500] or "a drawing"
    return f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{base64.b64encode(data).decode()}">'


def _is_plain(data: bytes) -> bool:
    """Whether it is well-formed XML of few levels, without a document type, which could hold entities."""
    if len(data) > MOST_BYTES:
        return False
    level = 0

    def start(name: str, attributes: dict) -> None:
        nonlocal level
        level += 1
        if level > MOST_LEVELS:
            raise ValueError("too deep")

    def end(name: str) -> None:
        nonlocal level
        level -= 1

    def doctype(*_: object) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError):
        return False
    return True
