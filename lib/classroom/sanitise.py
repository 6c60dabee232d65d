"""Executed notebooks made safe to look at: formgrader shows them on the instructor's own origin.

What a student wrote or printed may hold markup of any kind. Afterwards nothing of it is active in nbconvert's pages:

- outputs: text, pictures and tables stay; HTML goes through nh3's allow-list; SVG becomes a picture, in HTML too, and
  nothing runs in it; JavaScript, widgets and whatever else nbconvert does not know are left out, and the page says so;
- text: markdown is kept as it stands if nbconvert renders it without raw HTML and without addresses other than web and
  mail. That is found out by rendering it twice, once with all of that escaped: equal pages mean that nothing of it is
  there, and so `$a<b$` or `a < b` are never touched. Where they differ, what is to blame is escaped in the source;
- attachments: pictures; metadata: nbgrader's and tags.

The instructor's own cells, recognised by their text, keep their markup. A grade's text hash is that of the original.
"""

import base64
import binascii
import re
from collections.abc import Set
from html import escape

import nh3
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from classroom.drawings import is_drawing, with_pictures
from classroom.heavy import few_colours, is_quick, quick_code, shallow_html
from classroom.images import is_too_large

OURS = "classroom_sanitised"  # in a notebook's metadata: its texts may not be those that were handed in
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
# nbconvert takes time with the square of these: 50 kB of nothing but openings are ten seconds for whoever looks.
_LONG, _LINE = 50_000, 400
_MOST = {"\\\\[": 200, "\\begin{": 200, "[": 1000}
_LEFT_OUT = "[an output of the type {} is not shown]"
_NO_PICTURE = "[a picture is not shown]"
_TAG = re.compile(r"[\w-]+")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PICTURE_URL = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_ATTACHED = re.compile(r"attachment:([^)\s\"'<>]+)")
_WEB = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
# Small marks within a line, which may stay in a student's text where each is opened and closed.
_MARK = re.compile(r"<(/?)(b|i|u|s|em|strong|sub|sup|code|kbd|mark|small)>", re.IGNORECASE)
_OPENING = re.compile(r"<(?=[A-Za-z/!?])")
_TAG_NOT_IN_MATH = re.compile(rf"\$[^$\n]+\$|{_OPENING.pattern}")
_LANGUAGE = re.compile(r"^([ \t>*+\-0-9.)]*(?:`{3,}|~{3,}))[ \t]*[^\s`~][^\n`]*$", re.MULTILINE)
_BREAK = re.compile(r"<(br|hr)\s*/?>", re.IGNORECASE)
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "div", "dl", "dt", "em"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s"),
    *("samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt"),
    *("u", "ul", "var", "figcaption", "figure"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "col": {"span"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "table": {"border"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}


def clean_notebook(notebook: dict, trusted: Set[str] = frozenset()) -> dict:
    """A copy of an executed notebook in which nothing of the student's is active.

    Args:
        notebook: in nbformat 4, as a dict.
        trusted: texts of the instructor's; a cell with just such a text keeps its markup.
    """
    meta = notebook.get("metadata", {})
    cells = [_cell(cell, trusted) for cell in notebook["cells"]]
    kept = {name: meta[name] for name in ("kernelspec", "language_info") if isinstance(meta.get(name), dict)}
    return {"cells": cells, "metadata": kept | {OURS: True}, "nbformat": 4, "nbformat_minor": 5}


def clean_html(html: str) -> str:
    """HTML by the allow-list: tables, lists, simple text, links to the web, and pictures that are there in full."""
    return nh3.clean(
        shallow_html(with_pictures(html), _TAGS),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
    )


def clean_markdown(source: str, attachments: dict | None = None) -> str:
    """Markdown that nbconvert renders without anything active; the source itself where it is so already."""
    attachments = attachments or {}
    if len(source) > _LONG or any(source.count(text) > most for text, most in _MOST.items()):
        return _fenced(source)
    if not any(mark in source for mark in ("<", "](", "]:", "mermaid", "```", "~~~")):
        return source  # neither a tag nor a link nor code
    for candidate in _candidates(source, attachments):
        if _is_plain(candidate, attachments):
            return candidate
    return "[this text cannot be shown here; it stands in the submitted file]"


def _cell(cell: dict, trusted: Set[str]) -> dict:
    kind, source = cell["cell_type"], _text(cell["source"])
    meta = cell.get("metadata") or {}
    kept = {name: meta[name] for name in ("nbgrader", "deletable", "editable") if name in meta}
    tags = [tag for tag in meta.get("tags") or [] if isinstance(tag, str) and _TAG.fullmatch(tag)]
    clean = {"cell_type": kind, "metadata": kept | ({"tags": tags} if tags else {}), "source": source}
    if isinstance(cell.get("id"), str) and _ID.fullmatch(cell["id"]):
        clean["id"] = cell["id"]
    if kind == "code":
        if source not in trusted:
            clean["source"], more = quick_code(source)
            clean["metadata"] |= more
        clean["execution_count"] = _number(cell.get("execution_count"))
        clean["outputs"] = [out for output in cell.get("outputs", []) if (out := _output(output)) is not None]
        return clean
    ours = source in trusted
    if kind != "markdown":
        mimetype = {"raw_mimetype": meta["raw_mimetype"]} if "raw_mimetype" in meta else {}
        if ours:
            return clean | {"metadata": clean["metadata"] | mimetype}
        return clean | {"cell_type": "markdown", "source": _fenced(source)}
    attachments = _attachments(cell.get("attachments"))
    missing = set(_ATTACHED.findall(source)) - attachments.keys()  # nbconvert ends with an error where one is
    if not ours or missing:
        clean["source"] = clean_markdown(source, attachments)
    return clean | ({"attachments": attachments} if attachments else {})


def _output(output: dict) -> dict | None:
    """An output of a kind that nbformat knows, with clean contents; None for others."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": few_colours(_text(output.get("text", "")))}
    if kind == "error":
        lines = few_colours("\n".join(map(_text, output.get("traceback") or []))).split("\n")
        name, value = _text(output.get("ename", "")), _text(output.get("evalue", ""))
        return {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}
    if kind not in ("display_data", "execute_result"):
        return None
    clean = {"output_type": kind, "metadata": _size(output), "data": _data(output.get("data") or {})}
    return clean | ({"execution_count": _number(output.get("execution_count"))} if kind == "execute_result" else {})


def _data(bundle: dict) -> dict[str, str]:
    clean = {}
    for mime, value in bundle.items():
        if mime in ("text/plain", "text/latex"):  # nbconvert escapes both
            clean[mime] = few_colours(_text(value))
        elif mime == "text/html":
            clean[mime] = clean_html(_text(value))
        elif mime == "text/markdown":
            clean[mime] = clean_markdown(_text(value))
        elif mime in _PICTURES:
            picture = _base64(value)
            if picture and not is_too_large(base64.b64decode(picture)):
                clean[mime] = picture
    svg = bundle.get("image/svg+xml")
    if svg is not None and "text/html" not in clean:  # as a picture
        encoded = base64.b64encode(_text(svg).encode()).decode()
        clean["text/html"] = f'<img alt="a drawing" src="data:image/svg+xml;base64,{encoded}">'
    if not clean:  # nbconvert warns of an output with nothing in it
        shown = ", ".join(str(mime)[:60] for mime in bundle)
        clean["text/plain"] = _LEFT_OUT.format(shown) if shown else ""
    return clean


def _size(output: dict) -> dict:
    """The width and height of a picture, which are numbers or nothing."""
    clean = {}
    for mime, values in (output.get("metadata") or {}).items():
        if mime in _PICTURES and isinstance(values, dict):
            sizes = {name: values[name] for name in ("width", "height") if isinstance(values.get(name), int)}
            if sizes:
                clean[mime] = sizes
    return clean


def _attachments(found: object) -> dict[str, dict[str, str]]:
    clean = {}
    for name, bundle in (found if isinstance(found, dict) else {}).items():
        known = (*_PICTURES, "image/svg+xml")  # in an <img>, where a drawing runs and loads nothing
        pictures = {mime: _base64(value) for mime, value in bundle.items() if mime in known and _base64(value)}
        if pictures:
            clean[name] = pictures
    return clean


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if _PICTURE_URL.fullmatch(value) or is_drawing(value) else None
    if name == "href":
        return value if _WEB.match(value) else None
    if name in ("width", "height", "border", "colspan", "rowspan", "span", "start"):
        return value if value.isascii() and value.isdigit() and len(value) < 5 else None
    return value


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
        if not _WEB.match(url):
            self.urls.append(url)
            url = "#"
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        shown = url.removeprefix("attachment:") in self.attachments if url.startswith("attachment:") else False
        if not shown and not _PICTURE_URL.fullmatch(url):  # one that is not there would end nbconvert
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
    yield _fenced(source)


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


def _fenced(source: str) -> str:
    """The source as a block of code, with a fence longer than any in it, and no line too long for nbconvert."""
    lines = [line[at : at + _LINE] for line in source.split("\n") for at in range(0, len(line) or 1, _LINE)]
    source = "\n".join(lines)
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{source}\n{fence}"


def _base64(value: object) -> str:
    """The same bytes encoded anew; empty if it is no base64."""
    try:
        return base64.b64encode(base64.b64decode(re.sub(r"\s", "", _text(value)), validate=True)).decode()
    except (binascii.Error, ValueError):
        return ""


def _text(value: object) -> str:
    """nbformat's text, a string or a list of lines, as one string that can be written as UTF-8."""
    joined = "".join(map(str, value)) if isinstance(value, list) else str(value)
    return joined.encode("utf-8", "replace").decode()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
