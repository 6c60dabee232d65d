"""Executed notebooks made safe to look at: formgrader shows them on the instructor's own origin.

What a student wrote or printed may hold markup of any kind. Afterwards nothing of it is active in nbconvert's pages:

- outputs: text, pictures and tables stay; HTML goes through nh3's allow-list; SVG becomes a picture, in HTML too, and
  nothing runs in it; JavaScript, widgets and whatever else nbconvert does not know are left out, and the page says so;
- text: markdown is kept where nbconvert renders it without anything active, and in no long time (`written`);
- attachments: pictures; metadata: nbgrader's and tags.

The instructor's own cells, recognised by their text, keep their markup. A grade's text hash is that of the original.
"""

import base64
import binascii
import re
from collections.abc import Set

import nh3

from classroom.drawings import NOT_SHOWN, as_picture, drawn_by, is_drawing, with_pictures
from classroom.heavy import few_colours, quick_code, shallow_html
from classroom.images import is_picture, is_readable
from classroom.written import WEB, Budget, clean_markdown

OURS = "classroom_sanitised"  # in a notebook's metadata: its texts may not be those that were handed in
# Of one output, without its pictures: nh3 takes time with the square of the ampersands, twelve seconds for a million.
MOST_HTML = 200_000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MOST_SPAN, _MOST_SPANS = 100, 5000  # columns or rows of one cell, of all cells of an output together
_MOST_SIZE = 10_000  # pixels
_LEFT_OUT = "[an output of the type {} is not shown]"
_TOO_LONG = "<p>[HTML of {} characters is not shown]</p>"
_DATA = re.compile(r"data:image/[^\s\"'<>]*")
_TAG = re.compile(r"[\w-]+")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ATTACHED = re.compile(r"attachment:([^)\s\"'<>]+)")
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


def clean_notebook(notebook: dict, trusted: Set[str] = frozenset(), budget: Budget | None = None) -> dict:
    """A copy of an executed notebook in which nothing of the student's is active.

    Args:
        notebook: in nbformat 4, as a dict.
        trusted: texts of the instructor's; a cell with just such a text keeps its markup.
        budget: of the page that it is part of; by default this notebook has one for itself.
    """
    meta, budget = notebook.get("metadata", {}), budget or Budget()
    cells = [_cell(cell, trusted, budget) for cell in notebook["cells"]]
    kept = {name: meta[name] for name in ("kernelspec", "language_info") if isinstance(meta.get(name), dict)}
    return {"cells": cells, "metadata": kept | {OURS: True}, "nbformat": 4, "nbformat_minor": 5}


def clean_html(html: str) -> str:
    """HTML by the allow-list: tables, lists, simple text, links to the web, and pictures that are there in full."""
    return by_the_list(shallow_html(with_pictures(html), _TAGS))


def by_the_list(html: str) -> str:
    """What was clean and has been changed by us, cleaned again: no change is the last word on what a browser gets."""
    left = _MOST_SPANS

    def attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal left
        if name not in ("colspan", "rowspan", "span"):
            return _attribute(name, value)
        if not _is_number(value, _MOST_SPAN) or int(value) > left:
            return None
        left -= int(value) if int(value) > 1 else 0
        return value

    schemes = {"http", "https", "mailto", "data"}
    return nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, attribute_filter=attribute, url_schemes=schemes)


def _cell(cell: dict, trusted: Set[str], budget: Budget) -> dict:
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
        outputs = [_output(output, budget) for output in cell.get("outputs", [])]
        clean["outputs"] = [output for output in outputs if output is not None]
        return clean
    ours = source in trusted
    if kind != "markdown":
        mimetype = {"raw_mimetype": meta["raw_mimetype"]} if "raw_mimetype" in meta else {}
        if ours:
            return clean | {"metadata": clean["metadata"] | mimetype}
        return clean | {"cell_type": "markdown", "source": budget.source(source)}
    attachments = _attachments(cell.get("attachments"), budget)
    missing = set(_ATTACHED.findall(source)) - attachments.keys()  # nbconvert ends with an error where one is
    if not ours or missing:
        clean["source"] = clean_markdown(source, attachments, budget)
    return clean | ({"attachments": attachments} if attachments else {})


def _output(output: dict, budget: Budget) -> dict | None:
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
    clean = {"output_type": kind, "metadata": _size(output), "data": _data(output.get("data") or {}, budget)}
    return clean | ({"execution_count": _number(output.get("execution_count"))} if kind == "execute_result" else {})


def _data(bundle: dict, budget: Budget) -> dict[str, str]:
    clean = {}
    for mime, value in bundle.items():
        if mime in ("text/plain", "text/latex"):  # nbconvert escapes both
            clean[mime] = few_colours(_text(value))
        elif mime == "text/html":
            html = with_pictures(_text(value))
            length = len(_DATA.sub("", html))
            if length <= MOST_HTML and budget.takes_html(length):
                clean[mime] = clean_html(html)
            elif "text/plain" not in bundle:  # a long table has it
                clean[mime] = _TOO_LONG.format(length)
        elif mime == "text/markdown":
            clean[mime] = clean_markdown(_text(value), None, budget)
        elif mime in _PICTURES:
            picture = _base64(value)
            if is_readable(base64.b64decode(picture)):
                clean[mime] = picture
    svg = bundle.get("image/svg+xml")
    if svg is not None and "text/html" not in clean:  # as a picture
        clean["text/html"] = as_picture(_text(svg))
    if not budget.draws(drawn_by(clean.get("text/html", ""))):
        clean["text/html"] = NOT_SHOWN
    if not clean:  # nbconvert warns of an output with nothing in it
        shown = ", ".join(str(mime)[:60] for mime in bundle)
        clean["text/plain"] = _LEFT_OUT.format(shown) if shown else ""
    return clean


def _size(output: dict) -> dict:
    """The width and height of a picture, which are numbers or nothing."""
    clean = {}
    for mime, values in (output.get("metadata") or {}).items():
        if mime in _PICTURES and isinstance(values, dict):
            sizes = {name: values[name] for name in ("width", "height") if _is_size(values.get(name))}
            if sizes:
                clean[mime] = sizes
    return clean


def _attachments(found: object, budget: Budget) -> dict[str, dict[str, str]]:
    clean = {}
    for name, bundle in (found if isinstance(found, dict) else {}).items():
        pictures = {mime: _base64(value) for mime, value in bundle.items() if mime in (*_PICTURES, "image/svg+xml")}
        # A drawing is shown in an <img>, too, where it runs and loads nothing.
        pictures = {mime: data for mime, data in pictures.items() if _is_shown(f"data:{mime};base64,{data}")}
        if pictures and budget.draws(sum(drawn_by(f"data:{mime};base64,{data}") for mime, data in pictures.items())):
            clean[name] = pictures
    return clean


def _attribute(name: str, value: str) -> str | None:
    if name == "src":
        return value if _is_shown(value) else None
    if name == "href":
        return value if WEB.match(value) else None
    if name in ("width", "height", "border", "start"):
        return value if _is_number(value, _MOST_SIZE) else None
    return value


def _is_shown(address: str) -> bool:
    return is_picture(address) or is_drawing(address)


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= most


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_SIZE


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
