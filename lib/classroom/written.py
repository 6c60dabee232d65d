"""Markdown of a student's that nbconvert renders without anything active, and in no long time.

It is kept as it stands if its page has no raw HTML and no addresses other than web and mail. That is found out by
rendering it twice, once with all of that escaped: equal pages mean that nothing of it is there, and so `$a<b$` or
`a < b` are never touched. Where they differ, what is to blame is escaped in the source.

Whoever opens formgrader or the feedback pays for the rendering, and the command that grades a class for finding out.
So a text that would take long is shown as its source, and a notebook has a budget for all of its texts together.
"""

import re
from html import escape

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from classroom.heavy import is_quick
from classroom.images import is_picture

MOST_LAID_OUT = 100_000  # characters of a notebook's Markdown, to each line of which A_LINE are added
A_LINE = 40  # twelve thousand headings of one letter take as long as a book
MOST_AS_SOURCE = 2_000_000  # characters of a notebook's Markdown that are shown as they were written
MOST_HTML = 2_000_000  # characters of HTML of a notebook's outputs, without the pictures in it
MOST_DRAWN = 300_000  # elements of all drawings of a notebook
# nbconvert takes time with the square of these: 50 kB of nothing but openings are minutes for whoever looks.
_LONG, _LINE = 50_000, 400
_MOST = {"\\\\[": 200, "\\\\(": 200, "\\begin{": 200, "[": 1000}
_TOO_MUCH = "[there is more text in this notebook than can be laid out; this is its source]"
_FAR_TOO_MUCH = "[there is more text in this notebook than can be shown; {} characters stand in the submitted file]"
_NO_PICTURE = "[a picture is not shown]"
WEB = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
# Small marks within a line, which may stay in a student's text where each is opened and closed.
_MARK = re.compile(r"<(/?)(b|i|u|s|em|strong|sub|sup|code|kbd|mark|small)>", re.IGNORECASE)
_OPENING = re.compile(r"<(?=[A-Za-z/!?])")
_TAG_NOT_IN_MATH = re.compile(rf"\$[^$\n]+\$|{_OPENING.pattern}")
_LANGUAGE = re.compile(r"^([ \t>*+\-0-9.)]*(?:`{3,}|~{3,}))[ \t]*[^\s`~][^\n`]*$", re.MULTILINE)
_BREAK = re.compile(r"<(br|hr)\s*/?>", re.IGNORECASE)


class Budget:
    """What of one notebook or page is laid out: 800 cells may cost no more than a few long ones.

    Counted are characters and not seconds: the same notebook has to become the same page each time.
    """

    def __init__(self) -> None:
        self._laid_out, self._as_source, self._html = MOST_LAID_OUT, MOST_AS_SOURCE, MOST_HTML
        self._drawn = MOST_DRAWN

    def lays_out(self, source: str) -> bool:
        """Whether this text may be rendered; then it is counted."""
        weight = len(source) + A_LINE * source.count("\n")
        fits = weight <= self._laid_out
        self._laid_out -= weight if fits else 0
        return fits

    def source(self, source: str, remark: str = "") -> str:
        """The text as a block of code, under a remark; the remark alone where too much is shown already."""
        if len(source) > self._as_source:
            return _FAR_TOO_MUCH.format(len(source))
        self._as_source -= len(source)
        return f"{remark}\n\n{fenced(source)}" if remark else fenced(source)

    def takes_html(self, length: int) -> bool:
        """Whether HTML of this length may be parsed; then it is counted."""
        fits = length <= self._html
        self._html -= length if fits else 0
        return fits

    def draws(self, elements: int) -> bool:
        """Whether drawings of so many elements may be shown; then they are counted."""
        fits = elements <= self._drawn
        self._drawn -= elements if fits else 0
        return fits


def clean_markdown(source: str, attachments: dict | None = None, budget: Budget | None = None) -> str:
    """Markdown that nbconvert renders without anything active; the source itself where it is so already.

    Args:
        attachments: the cell's.
        budget: of the notebook; by default one for this text alone.
    """
    attachments, budget = attachments or {}, budget or Budget()
    if len(source) > _LONG or any(source.count(text) > most for text, most in _MOST.items()):
        return budget.source(source)
    if not budget.lays_out(source):  # what is passed as it stands costs, too: whoever opens formgrader
        return budget.source(source, _TOO_MUCH)
    if not any(mark in source for mark in ("<", "](", "]:", "mermaid", "```", "~~~")):
        return source  # neither a tag nor a link nor code
    for candidate in _candidates(source, attachments):
        if _is_plain(candidate, attachments):
            return candidate
    return "[this text cannot be shown here; it stands in the submitted file]"


class _Strict(IPythonRenderer):
    """nbconvert's renderer with everything that may be active escaped, and a list of what that was."""

    def __init__(self, attachments: dict) -> None:
        super().__init__(escape=False, attachments=attachments)
        self.html: list[str] = []
        self.urls: list[str] = []
        self.languages: list[str] = []  # of blocks of code that would take too long

    def inline_html(self, html: str) -> str:
        self.html.append(html)
        return html if _MARK.fullmatch(html) or _BREAK.fullmatch(html) else escape(html)

    def block_html(self, html: str) -> str:
        self.html.append(html)
        return f"<p>{escape(html)}</p>\n"

    def block_code(self, code: str, info: str | None = None) -> str:
        if info and not is_quick(code, (info.split() or [""])[0]):
            self.languages.append(info)
            info = None
        return super().block_code(code, info)

    def block_mermaidjs(self, code: str) -> str:
        return super().block_mermaidjs(escape(code))

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not WEB.match(url):
            self.urls.append(url)
            url = "#"
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        shown = url.removeprefix("attachment:") in self.attachments if url.startswith("attachment:") else False
        if not shown and not is_picture(url):  # one that is not there would end nbconvert
            self.urls.append(url)
            url = "#"
        return super().image(text, url, title)


def _rendered(source: str, renderer: IPythonRenderer) -> str:
    return MarkdownWithMath(renderer=renderer).render(source)


def _is_plain(source: str, attachments: dict) -> bool:
    """Whether nbconvert's page of it has nothing active, and can be made at all."""
    strict = _Strict(attachments)
    try:
        page = _rendered(source, strict)
        if strict.languages:
            return False
        same = page == _rendered(source, IPythonRenderer(escape=False, attachments=attachments))
    except Exception:  # whatever a renderer trips over, an instructor's page would trip over too
        return False
    return same and _balanced(strict.html)


def _balanced(snippets: list[str]) -> bool:
    """Whether each small mark is closed, innermost first, so that none runs on into the rest of the page."""
    opened: list[str] = []
    for snippet in snippets:
        mark = _MARK.fullmatch(snippet)
        if mark is None:
            continue
        if not mark[1]:
            opened.append(mark[2].lower())
        elif not opened or opened.pop() != mark[2].lower():
            return False
    return not opened


def _candidates(source: str, attachments: dict):
    """The source, and then with less and less of it: the first one that is plain is taken."""
    yield source
    for pattern in (_TAG_NOT_IN_MATH, _OPENING):
        once = _mended(source, attachments, pattern)
        yield once
        yield _mended(once, attachments, pattern)  # links that only now are links
    yield fenced(source)


def _mended(source: str, attachments: dict, pattern: re.Pattern) -> str:
    """The source with harmful tags escaped and addresses replaced, as far as they are found in it letter for letter."""
    strict = _Strict(attachments)
    try:
        _rendered(source, strict)
    except Exception:  # then nothing is to blame in particular
        return pattern.sub(_escaped, source)
    if strict.languages:
        source = _LANGUAGE.sub(r"\1", source)
    for html in sorted(set(strict.html), key=len, reverse=True):
        if not (_MARK.fullmatch(html) and _balanced(strict.html)) and not _BREAK.fullmatch(html):
            source = source.replace(html.strip("\n"), pattern.sub(_escaped, html.strip("\n")))
    for url in sorted(set(strict.urls), key=len, reverse=True):
        source = source.replace(url, "attachment:" if url.startswith("attachment:") else "#")
        source = re.sub(r"!\[[^\]]*\]\((#|attachment:)[^)]*\)", _NO_PICTURE, source)
    return source


def _escaped(found: re.Match) -> str:
    return "&lt;" if found[0] == "<" else found[0]


def fenced(source: str) -> str:
    """The source as a block of code, with a fence longer than any in it, and no line too long for nbconvert."""
    lines = [line[at : at + _LINE] for line in source.split("\n") for at in range(0, len(line) or 1, _LINE)]
    source = "\n".join(lines)
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{source}\n{fence}"
