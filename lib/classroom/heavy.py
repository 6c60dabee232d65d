"""What would take the programs that render a notebook for ever, found before they get it, and made lighter.

A page is made in the process that grades a class and in the one that serves formgrader, so one cell whose rendering
takes a quarter of an hour stops everybody. Measured: HTML of 100 kB in 50,000 levels takes nh3 ten seconds, and time
grows with the square; so it does for codes of colour in nbconvert (1 MB: minutes; some end it with an error), for
`a.a.a.` and blank lines in Pygments' Python, and for most other languages, of which Pygments has hundreds.
"""

import re
from functools import lru_cache
from html import escape

from nbconvert.filters.ansi import ansi2html

MOST_LEVELS = 300
MOST_COLOURS = 2000  # of an output; after them it has none
LANGUAGES = ("", "text", "python", "python3", "py", "ipython", "ipython3", "pycon")  # however long
_LONGEST_LINE, _MOST_CODE, _MOST_MAGIC, _MOST_PARTS, _MOST_SHOWN = 1000, 100_000, 2000, 3000, 20_000
_BLANKS = re.compile(r"\s{200}")
ATTRIBUTES = (
    "href",
    "title",
    "span",
    "src",
    "alt",
    "width",
    "height",
    "start",
    "border",
    "colspan",
    "rowspan",
    "scope",
)
_TOO_DEEP = "<pre>[a table or text of too many levels, as its source]\n{}</pre>"
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)(?=[\s/>])([^<>]*)>")
_START = re.compile(r"<[A-Za-z]")
_ATTRIBUTE = re.compile(rf"""\s(?:{"|".join(ATTRIBUTES)})=(?:"[^"<>]*"|'[^'<>]*'|[^\s"'=<>`]+(?=\s|$))""", re.I)
_HIDDEN = re.compile(r"<!--|<(script|style)\b", re.IGNORECASE)
# These end one another, or have no end: however many there are, they are in no more levels than others make.
_FLAT = {"br", "hr", "img", "col", "p", "td", "th", "tr", "thead", "tbody", "tfoot"}
_ESCAPE = re.compile(r"\x1b\[([^@-~\n]*)([@-~])|\x1b")
_COLOUR = re.compile(r"[0-9;]{0,40}")


def shallow_html(html: str, tags: frozenset[str]) -> str:
    """HTML in no more than MOST_LEVELS levels; where it has more, its source as text.

    Args:
        html: to be cleaned by a parser afterwards.
        tags: names of those that are kept then; others count for nothing.
    """
    parts = len(html.split()) + html.count("/")  # no tag has more attributes than that, which take their time too
    if parts <= _MOST_PARTS and sum(1 for _ in _START.finditer(html)) <= MOST_LEVELS:
        return html
    # What is counted must be what is parsed: nothing but tags that are kept, written anew, and text reaches the parser.
    pieces, at = [], 0
    level = highest = 0
    opened: dict[str, int] = {}
    plain = _visible(html)
    for found in _TAG.finditer(plain):
        closing, name = found[1], found[2].lower()
        pieces.append(plain[at : found.start()].replace("<", "&lt;"))
        at = found.end()
        if name not in tags:
            continue
        attributes = "".join(_ATTRIBUTE.findall(found[3]))
        pieces.append(f"</{name}>" if closing else f"<{name}{attributes}>")
        if name in _FLAT:
            continue
        if not closing:
            opened[name] = opened.get(name, 0) + 1
            level += 1
            highest = max(highest, level)
        elif opened.get(name):
            opened[name] -= 1
            level -= 1
    pieces.append(plain[at:].replace("<", "&lt;"))
    return "".join(pieces) if highest <= MOST_LEVELS else _TOO_DEEP.format(escape(html[:_MOST_SHOWN]))


def _visible(html: str) -> str:
    """Without comments, scripts and styles."""
    pieces, at = [], 0
    while found := _HIDDEN.search(html, at):
        pieces.append(html[at : found.start()])
        end = re.compile(f"</{found[1]}\\s*>" if found[1] else "-->", re.IGNORECASE).search(html, found.end())
        if end is None:
            return "".join(pieces)
        at = end.end()
    return "".join([*pieces, html[at:]])


def few_colours(text: str) -> str:
    """A program's output without codes that nbconvert can't read, nor more of colour than MOST_COLOURS."""
    left = MOST_COLOURS

    def kept(found: re.Match) -> str:
        nonlocal left
        left -= 1
        return found[0] if left >= 0 and found[2] == "m" and _readable(found[1]) else ""

    return _ESCAPE.sub(kept, text) if "\x1b" in text else text


@lru_cache
def _readable(colour: str) -> bool:
    if not _COLOUR.fullmatch(colour):
        return False
    try:
        ansi2html(f"\x1b[{colour}mx")
    except (IndexError, ValueError):
        return False
    return True


def is_quick(code: str, language: str = "") -> bool:
    """Whether Pygments takes seconds at most for it, as it does for what people write; of other languages, if short."""
    if language not in LANGUAGES and len(code) > _MOST_MAGIC:
        return False
    if len(code) > _MOST_CODE or _BLANKS.search(code):
        return False
    return all(len(line) <= _LONGEST_LINE for line in code.split("\n"))


def quick_code(code: str) -> tuple[str, dict]:
    """A code cell's text and metadata, so that it is shown in no time: without colours where those take long."""
    magic = "%%" in code and len(code) > _MOST_MAGIC  # `%%perl` and others: each has a language of its own
    if magic and code.lstrip().startswith("%%"):  # which nbconvert would set
        code = f"# without colours:\n{code}"
    return code, {} if is_quick(code) and not magic else {"magics_language": "text"}
