"""Reading notebooks as students hand them in: any format from 1 to 4.5, any common encoding, of any program.

Only what grading needs is read (type, source, nbgrader's name, id and pasted images of each cell). The file is walked
once, as bytes, and the rest, outputs above all, is stepped over without being built: 50 MB of outputs cost a few tenths
of a second and no memory, a file made to blow up a JSON parser two seconds. Whatever is wrong ends in a RefusedError.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode, from_dict

from classroom.errors import RefusedError
from classroom.terminal import one_line

MAX_BYTES = 100_000_000  # of a notebook; outputs of 50 MB happen
MAX_CELLS = 2_000
MAX_SOURCE = 40_000_000  # bytes of the text of all cells: Colab puts images into it
MAX_CODE = 2_000_000  # characters of all code cells
MAX_ATTACHMENTS = 30_000_000  # bytes of all pasted images
MAX_BRACKETS = 6_000_000  # stepped over in all: a second or two
MAX_SMALL = 100_000  # bytes of one cell's metadata, id or type

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_FLAT = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)  # up to the next bracket outside a string
_SCALAR = re.compile(rb"[^\s,\]}\[{:\"]++")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # no file, database or compiler takes them
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TYPES = {"code": "code", "markdown": "markdown", "raw": "raw"}
_TYPES |= {"heading": "markdown", "html": "markdown", "text": "markdown", "plaintext": "raw"}  # of formats 1 to 3
_SOURCES = ("source", "input", "code", "text")  # what the formats 4 to 1 call a cell's text
_NOT_NOTEBOOKS = {b"<": "a web page", b"PK\x03\x04": "an archive", b"%PDF": "a PDF", b"\x1f\x8b": "an archive"}


def read_notebook(data: bytes, name: str) -> tuple[NotebookNode, list[str]]:
    """A student's notebook in format 4.5, without outputs, and what was odd about it in words.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.

    Returns:
        The notebook: of each cell its type, source, id (unique), attachments, and as metadata `nbgrader` with the
        `grade_id` where there is one. And the notes, for instructor and student.

    Raises:
        RefusedError: with the reason, for whatever can't be read.
    """
    try:
        return _Reader(data).notebook()
    except RefusedError as reason:
        raise RefusedError(f"{name} {reason}") from None


class _Reader:
    """One walk over the bytes of a notebook."""

    def __init__(self, data: bytes) -> None:
        self.notes: list[str] = []
        if len(data) > MAX_BYTES:
            raise RefusedError(f"has {len(data) / 1e6:.0f} MB, expected at most {MAX_BYTES / 1e6:.0f}")
        self.data = self._as_utf8(data)
        self.end = self.brackets = self.source_bytes = self.attachment_bytes = self.code = 0

    def notebook(self) -> tuple[NotebookNode, list[str]]:
        start = _SPACE.match(self.data).end()
        if start == len(self.data):
            raise RefusedError("is empty")
        for mark, what in _NOT_NOTEBOOKS.items():
            if self.data.startswith(mark, start):
                raise RefusedError(f"is {what}, not a notebook")
        if self.data[start : start + 1] != b"{":
            raise RefusedError("is no notebook: expected a text that begins with {")
        version, cells = None, None
        for key, begin in self._members(start):
            if key == "nbformat":
                version = self._load(begin, "nbformat")
            elif key == "cells":
                cells = self._cells(begin, [])
            elif key == "worksheets":  # formats 2 and 3
                cells = []
                for sheet in self._items(begin, "worksheets"):
                    for name, at in self._members(sheet):
                        if name == "cells":
                            self._cells(at, cells)
        rest = _SPACE.match(self.data, self.end).end()
        if rest != len(self.data):
            raise RefusedError(f"is damaged: there is more after its end, from byte {rest}")
        if cells is None:
            raise RefusedError("has no cells: it is not a notebook")
        if version is not None and version not in (1, 2, 3, 4):
            raise RefusedError(f"is of notebook format {one_line(str(version)[:20])}, expected 1 to 4")
        self._number(cells)
        made = from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
        return made, list(dict.fromkeys(self.notes))

    def _as_utf8(self, data: bytes) -> bytes:
        """The text as UTF-8, whatever it was written as; what is not UTF-8 is said."""
        for mark, encoding in ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")):
            if data.startswith(mark):
                return self._transcode(data, encoding, "UTF-32")
        for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            if data.startswith(mark):
                return self._transcode(data, "utf-16", "UTF-16")
        for begin, encoding in ((b"{\0", "utf-16-le"), (b"\0{", "utf-16-be")):  # without a mark
            if data.startswith(begin):
                return self._transcode(data, encoding, "UTF-16")
        if data.startswith(codecs.BOM_UTF8):
            data = data[len(codecs.BOM_UTF8) :]
        check = codecs.getincrementaldecoder("utf-8")()  # in pieces: one emoji makes a string of four bytes a character
        try:
            for begin in range(0, len(data), 1 << 20):
                check.decode(data[begin : begin + (1 << 20)])
            check.decode(b"", final=True)
        except UnicodeDecodeError:
            pass
        else:
            return data
        self.notes.append("the file is not UTF-8; it was read as Latin-1, so look whether its accents are right")
        try:
            return data.decode("cp1252").encode()
        except UnicodeDecodeError:
            return data.decode("latin-1").encode()

    def _transcode(self, data: bytes, encoding: str, shown: str) -> bytes:
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise RefusedError(f"is damaged: it begins as {shown}, and byte {error.start} is none") from None
        self.notes.append(f"the file is {shown}, not UTF-8; it was read as such")
        return text.encode("utf-8", "replace")

    # Walking. Whoever is given the beginning of a value either reads it, and then self.end is where it ended, or does
    # not, and then it is stepped over.

    def _step_over(self, begin: int) -> None:
        """Find where the value that begins here ends."""
        first = self.data[begin : begin + 1]
        if first not in (b"{", b"["):
            found = (_STRING if first == b'"' else _SCALAR).match(self.data, begin)
            if found is None:
                raise self._damaged(len(self.data) if first == b'"' else begin)  # a string without an end
            self.end = found.end()
            return
        depth, at = 0, begin
        while True:
            at = _FLAT.match(self.data, at).end()
            here = self.data[at : at + 1]
            if here not in (b"[", b"]", b"{", b"}"):
                raise self._damaged(len(self.data))
            self._count()
            depth += 1 if here in (b"[", b"{") else -1
            at += 1
            if depth == 0:
                self.end = at
                return

    def _count(self) -> None:
        self.brackets += 1
        if self.brackets > MAX_BRACKETS:
            raise RefusedError(f"has more than {MAX_BRACKETS:,} brackets: that is no notebook")

    def _parts(self, begin: int, closing: bytes) -> Iterator[int]:
        """Where the parts of an object or a list begin; after each, self.end has to be where it ended."""
        self._count()
        at = _SPACE.match(self.data, begin + 1).end()
        if self.data[at : at + 1] != closing:
            while True:
                yield at
                at = _SPACE.match(self.data, self.end).end()
                if self.data[at : at + 1] != b",":
                    break
                at = _SPACE.match(self.data, at + 1).end()
        if self.data[at : at + 1] != closing:
            raise self._damaged(at)
        self.end = at + 1

    def _members(self, begin: int) -> Iterator[tuple[str, int]]:
        """The keys of an object, and where their values begin."""
        for at in self._parts(begin, b"}"):
            key = _STRING.match(self.data, at)
            if key is None:
                raise self._damaged(len(self.data) if self.data[at : at + 1] == b'"' else at)
            colon = _SPACE.match(self.data, key.end()).end()
            if self.data[colon : colon + 1] != b":":
                raise self._damaged(colon)
            value = _SPACE.match(self.data, colon + 1).end()
            self.end = -1
            yield key.group()[1:-1].decode("utf-8", "replace") if key.end() - at < 100 else "", value
            if self.end < 0:
                self._step_over(value)

    def _items(self, begin: int, what: str) -> Iterator[int]:
        """Where the objects of a list begin."""
        if self.data[begin : begin + 1] != b"[":
            raise RefusedError(f"is no notebook: expected a list of {what}")
        for number, at in enumerate(self._parts(begin, b"]"), 1):
            if self.data[at : at + 1] != b"{":
                raise RefusedError(f"is no notebook: number {number} of its {what} is no object")
            self.end = -1
            yield at
            if self.end < 0:
                self._step_over(at)

    def _load(self, begin: int, what: str, most: int = MAX_SOURCE) -> Any:
        """The value that begins here, built."""
        self._step_over(begin)
        if self.end - begin > most:
            raise RefusedError(f"has {(self.end - begin) / 1e6:.1f} MB in its {what}, expected at most {most / 1e6:g}")
        try:
            return json.loads(self.data[begin : self.end].decode(), strict=False)
        except (ValueError, RecursionError):
            raise RefusedError(f"is damaged: its {what} can't be read") from None

    def _damaged(self, at: int) -> RefusedError:
        if at >= len(self.data):
            return RefusedError("is damaged: it ends in the middle")
        line = self.data.count(b"\n", 0, at) + 1
        return RefusedError(f"is damaged in line {line}: it is not JSON, the text that a notebook consists of")

    # Cells.

    def _cells(self, begin: int, cells: list[dict]) -> list[dict]:
        for at in self._items(begin, "cells"):
            cells.append(self._cell(at, len(cells) + 1))
            if len(cells) > MAX_CELLS:
                raise RefusedError(f"has more than {MAX_CELLS} cells")
        return cells

    def _cell(self, begin: int, number: int) -> dict:
        what = f"cell {number}"
        found: dict[str, Any] = {}
        for key, at in self._members(begin):
            if key in ("cell_type", "id", "level"):
                found[key] = self._load(at, what, MAX_SMALL)
            elif key in _SOURCES:
                found[key] = self._load(at, what)
                self.source_bytes += self.end - at
            elif key == "metadata":
                found[key] = self._optional(at, f"{what}'s metadata", MAX_SMALL)
            elif key == "attachments":
                found[key] = self._optional(at, f"{what}'s images", MAX_ATTACHMENTS - self.attachment_bytes)
                self.attachment_bytes += self.end - at
            elif key in ("outputs", "execution_count"):
                found[key] = None  # only that it is there
        if self.source_bytes > MAX_SOURCE:
            raise RefusedError(f"has more than {MAX_SOURCE / 1e6:.0f} MB of text in its cells, without outputs")
        kind = self._type(found, number)
        cell = {"cell_type": kind, "metadata": {}, "source": self._source(found, number)}
        if "level" in found and kind == "markdown":  # a heading of format 3
            level = found["level"]
            hashes = "#" * level if isinstance(level, int) and 1 <= level <= 6 else "#"
            cell["source"] = f"{hashes} {' '.join(cell['source'].split())}"
        if kind == "code":
            self.code += len(cell["source"])
            if self.code > MAX_CODE:
                raise RefusedError(f"has more than {MAX_CODE:,} characters of code")
            cell |= {"outputs": [], "execution_count": None}
        elif attachments := self._attachments(found, number):
            cell["attachments"] = attachments
        metadata = found.get("metadata", {})
        given = found.get("id") or metadata.get("id")  # Colab keeps it there
        cell["id"] = given if isinstance(given, str) and _ID.fullmatch(given) else ""
        nbgrader = metadata.get("nbgrader")
        grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
        if isinstance(grade_id, str) and 0 < len(grade_id) <= 200:
            cell["metadata"] = {"nbgrader": {"grade_id": _writable(grade_id)}}
        return cell

    def _optional(self, begin: int, what: str, most: int) -> dict:
        """An object that a cell can do without; if it can't be read that is said."""
        try:
            found = self._load(begin, what, most)
        except RefusedError:
            if self.end < 0:  # not even where it ends
                raise
            found = None
        if isinstance(found, dict):
            return found
        self.notes.append(f"{what} could not be read or took too much room, and were left out")
        return {}

    def _type(self, found: dict, number: int) -> str:
        given = found.get("cell_type")
        if not isinstance(given, str):
            code = any(key in found for key in ("outputs", "execution_count", "input"))
            self.notes.append(f"cell {number} has no type: read as {'code' if code else 'text'}")
            return "code" if code else "markdown"
        if given not in _TYPES:
            self.notes.append(f"cell {number} has the unknown type {_writable(given[:30])!r}: kept as plain text")
        return _TYPES.get(given, "raw")

    def _source(self, found: dict, number: int) -> str:
        key = next((key for key in _SOURCES if key in found), None)
        if key is None:
            self.notes.append(f"cell {number} has no text: read as empty")
            return ""
        text = _text(found[key])
        if text is None:
            raise RefusedError(f"is no notebook: the source of cell {number} is neither text nor a list of lines")
        clean = _writable(text)
        if clean != text:
            self.notes.append(f"cell {number} had characters that no file can hold; they are replaced")
        return clean.replace("\r\n", "\n").replace("\r", "\n")

    def _attachments(self, found: dict, number: int) -> dict[str, dict[str, str]]:
        made: dict[str, dict[str, str]] = {}
        for name, bundle in found.get("attachments", {}).items():
            texts = {mime: _text(data) for mime, data in bundle.items()} if isinstance(bundle, dict) else {}
            kept = {_writable(mime): _writable(text) for mime, text in texts.items() if text}
            if kept:
                made[_writable(name)] = kept
            else:
                self.notes.append(f"cell {number}: an image that can't be read was left out")
        return made

    def _number(self, cells: list[dict]) -> None:
        """Give a cell without an id, or with one that was there before, a new one: the same each time."""
        used = {cell["id"] for cell in cells}
        seen: set[str] = set()
        for number, cell in enumerate(cells, 1):
            if cell["id"] in seen:
                self.notes.append("several cells had the same id; they have new ones")
            if not cell["id"] or cell["id"] in seen:
                fresh = f"cell-{number}"
                while fresh in used:
                    fresh += "-"
                    if len(fresh) > 64:
                        fresh = f"n{len(used)}"
                cell["id"] = fresh
                used.add(fresh)
            seen.add(cell["id"])


def _text(value: Any) -> str | None:
    """A text, or a list of lines as one text; None if it is neither. Nothing counts as empty."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else None


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
