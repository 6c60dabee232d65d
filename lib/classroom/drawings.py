"""SVG in HTML as a picture: in an `<img>` a browser runs nothing of it and fetches nothing for it.

Figures of this course's library are SVG inside HTML. An allow-list of SVG's hundreds of elements and attributes would
be long and wrong one day; as a picture, whatever stands in it is only drawn. What drawing it would take is counted:
ten lines, each of which shows the one before ten times over, hold up a browser for ever.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from html import escape, unescape
from xml.parsers import expat

from classroom.images import is_picture

MOST_BYTES, MOST_LEVELS = 2_000_000, 200
MOST_DRAWN = 100_000  # elements and pieces of lines, each as often as it is shown: seconds in a browser
MOST_DRAWINGS = 100  # of one output
_PIECE, _VERTEX = 40, 4  # characters of a line that count as one element; where markers stand at each of its points
NOT_SHOWN = "<p>[a drawing is not shown]</p>"
_LONGEST_HEAD = 5_000  # characters of the first tag in which a label is looked for
_LABEL = re.compile(r"""\saria-label=(?:"([^"<>]*)"|'([^'<>]*)')""", re.IGNORECASE)
_NAMESPACE = re.compile(r"""\sxmlns\s*=""", re.IGNORECASE)
_REFERENCE = re.compile(r"""url\(\s*["']?([^"')]*)""", re.IGNORECASE)
# What takes long however little there is of it, or shows what is not counted here. A backslash can write any of them.
_COSTLY_ELEMENTS = ("filter", "foreignobject", "set", "animate", "animatetransform", "animatemotion", "animatecolor")
_COSTLY = re.compile(r"\\|filter|\b(?:src|image|image-set|element)\(", re.IGNORECASE)
_COSTLY_STYLES = re.compile(r"[\\@(]|inherit", re.IGNORECASE)  # of a stylesheet, which paints any number of elements
_LINES = ("d", "points")
_WORDS = re.compile(r"id|class|title|alt|role|(?:aria|data)-.*")  # attributes that are nothing to draw with
_NAMED = re.compile(r"#([\w.:-]+)")  # written otherwise, a browser may still find it
_BASE64 = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=\s]*)")


def with_pictures(html: str) -> str:
    """HTML in which each SVG is an image; one that a browser would not draw as such is left out, in words.

    What comes out is to be sanitised as a whole: nothing here looks at where in the HTML the SVG stands.
    """
    lower, pieces, at, count = html.lower(), [], 0, 0
    if len(lower) != len(html):  # a letter whose small form has another length; places would not agree
        lower = html
    # No regular expression: one that looks for the end anew at each of 100,000 beginnings takes minutes.
    while (start := lower.find("<svg", at)) >= 0 and (end := lower.find("</svg", start)) >= 0:
        stop = html.find(">", end) + 1
        if not stop:
            break
        count += 1
        pieces += [html[at:start], _picture(html[start:stop]) if count <= MOST_DRAWINGS else NOT_SHOWN]
        at = stop
    return "".join([*pieces, html[at:]])


def as_picture(svg: str) -> str:
    """A whole SVG file as an image, without what stands before its root: matplotlib writes a document type there."""
    return _picture(svg[max(0, svg.find("<svg")) :])


def drawn_by(html: str) -> int:
    """How many elements the drawings in clean HTML take."""
    return sum(_drawn(base64.b64decode("".join(data.split()))) or 0 for data in _BASE64.findall(html))


def is_drawing(address: str) -> bool:
    """Whether an address holds an SVG that is drawn in no time: well-formed, of few levels and with little to draw."""
    found = _BASE64.fullmatch(address)
    if found is None:
        return False
    try:
        return _drawn(base64.b64decode(re.sub(r"\s", "", found[1]), validate=True)) is not None
    except (binascii.Error, ValueError):
        return False


def _picture(svg: str) -> str:
    head = svg[: min(svg.find(">") + 1, _LONGEST_HEAD)]
    if not _NAMESPACE.search(head):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg"{svg[len("<svg") :]}'
    data = svg.encode("utf-8", "replace")
    if _drawn(data) is None:
        return NOT_SHOWN
    label = _LABEL.search(head)
    words = unescape((label[1] or label[2] or "") if label else "")[:500] or "a drawing"
    return f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{base64.b64encode(data).decode()}">'


@dataclass
class _Element:
    """Of a drawing: the length of its line, what is in it, and what it shows of what stands elsewhere."""

    line: int = 0
    children: list[int] = field(default_factory=list)
    shows: list[str] = field(default_factory=list)  # identifiers of what is drawn in its place, or cuts it
    painted: list[str] = field(default_factory=list)  # and of what each element in it may be painted with


class _Reader:
    """What a parser calls; ValueError for what a browser should not draw."""

    def __init__(self) -> None:
        self.elements: list[_Element] = []
        self.numbers: dict[str, int] = {}  # by identifier
        self._open: list[tuple[int, str]] = []
        self._style, self._piece = "", _PIECE

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()
        if len(self._open) >= MOST_LEVELS or name in _COSTLY_ELEMENTS:
            raise ValueError(f"<{name}>")
        number, element = len(self.elements), _Element()
        self.elements.append(element)
        if self._open:
            self.elements[self._open[-1][0]].children.append(number)
        self._open.append((number, name))
        for key, value in attributes.items():
            self._attribute(element, key.rpartition(":")[2].lower(), value.strip(), name)
        if "id" in attributes:
            self.numbers.setdefault(attributes["id"], number)

    def _attribute(self, element: _Element, key: str, value: str, name: str) -> None:
        if key in _LINES:
            element.line += len(value)
        elif key == "href" and value.startswith("#"):
            element.shows.append(_named(value))
        elif key == "href" and name != "a" and not is_picture(value):  # another drawing, which nobody has counted
            raise ValueError("an address")
        elif key == "filter" or (not _WORDS.fullmatch(key) and key != "href" and _COSTLY.search(value)):
            raise ValueError(key)
        elif key != "href" and (found := _REFERENCE.findall(value)):
            cut = key in ("clip-path", "mask")
            (element.shows if cut else element.painted).extend(map(_named, found))
            self._piece = _VERTEX if "marker" in key or "marker" in value.lower() else self._piece
        elif key in ("clip-path", "mask", "style") and "inherit" in value.lower():
            raise ValueError(key)

    def end(self, name: str) -> None:
        self._open.pop()
        if not self._open and _COSTLY_STYLES.search(self._style):
            raise ValueError("a stylesheet")

    def text(self, text: str) -> None:
        if self._open and self._open[-1][1] == "style":
            self._style += text

    def refused(self, *_: object) -> None:
        raise ValueError("a document type or an instruction")

    def drawn(self) -> int:
        """How many elements are drawn, each as often as it is shown; ValueError where one shows itself."""
        drawn: dict[int, int] = {}
        begun: set[int] = set()
        waiting = [0] if self.elements else []
        while waiting:
            number = waiting[-1]
            element = self.elements[number]
            if number in drawn:
                waiting.pop()
                continue
            shows = [self.numbers[name] for name in element.shows if name in self.numbers]
            painted = [self.numbers[name] for name in element.painted if name in self.numbers]
            if number not in begun:
                begun.add(number)
                needed = [one for one in (*element.children, *shows, *painted) if one not in drawn]
                if not begun.isdisjoint(needed):
                    raise ValueError("it shows itself")
                waiting += needed
                continue
            inner = 1 + element.line // self._piece + sum(drawn[one] for one in (*element.children, *shows))
            drawn[number] = min(MOST_DRAWN + 1, inner * (1 + sum(drawn[one] for one in painted)))
            waiting.pop()
        return drawn.get(0, 0)


def _named(address: str) -> str:
    found = _NAMED.fullmatch(address.strip())
    if found is None:
        raise ValueError("an address")
    return found[1]


def _drawn(data: bytes) -> int | None:
    """How many elements are drawn of well-formed XML of few levels; None of other, and of one with a document type."""
    if len(data) > MOST_BYTES:
        return None
    reader, parser = _Reader(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.buffer_text = reader.text, True
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = reader.refused
    try:
        parser.Parse(data, True)
        found = reader.drawn()
    except (expat.ExpatError, ValueError):
        return None
    return found if found <= MOST_DRAWN else None
