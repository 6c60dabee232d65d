"""What the student's code prints while a test calls it, apart for visible and for hidden tests.

An honest `print(x)` in a function shows the inputs of hidden tests, and students read what their code printed. So the
student's side notes in its streams where calls of hidden tests begin and end, and in what is kept each part has a line
above it that says which tests it belongs to. Where a note is missing, it was hidden tests. This guards against
oversight only: code that means to keep its arguments can put them anywhere.
"""

from __future__ import annotations

import re

VISIBLE, HIDDEN = "[in visible tests:]", "[in hidden tests:]"
_TURN = {False: "\x1e[visible]\x1e", True: "\x1e[hidden]\x1e"}
_STATES = {mark: state for state, mark in _TURN.items()}
_TURNS = re.compile("(\x1e\\[(?:visible|hidden)\\]\x1e)")


def turn(recorder, hidden: bool) -> None:
    """Note in both streams that what follows belongs to hidden tests, or to visible ones."""
    recorder.mark(_TURN[hidden])


def in_parts(outputs: list[tuple[str, str]], some_hidden: bool = False) -> list[tuple[bool, str]]:
    """The texts in order, each with whether it was said in hidden tests.

    Args:
        outputs: stream's name (empty for another kind of output) and text. The streams between two other outputs run
            side by side, so each begins in the state that held before them.
        some_hidden: whether the cell has hidden tests, to which belongs what stands before the first note.
    """
    parts: list[tuple[bool, str]] = []
    hidden = before = some_hidden
    last = ""
    for stream, text in outputs:
        if not (stream and last):
            before = hidden
        now = before if stream else hidden
        for piece in _TURNS.split(text):
            if piece in _STATES:
                now = _STATES[piece]
            elif piece:
                parts.append((now, piece))
        hidden, last = now, stream
    return parts


def as_line(text: str) -> str:
    """A text of an output with the line feed that it may lack; of notes alone there is no line."""
    return text if not text or text.endswith(("\n", *_STATES)) else f"{text}\n"


def with_lines(parts: list[tuple[bool, str]]) -> str:
    """The parts as one text, with a line above each that says which tests it belongs to."""
    text, before = "", None
    for hidden, piece in parts:
        if not piece.strip():
            continue
        if hidden is not before:
            text += ("\n" if text and not text.endswith("\n") else "") + f"{HIDDEN if hidden else VISIBLE}\n"
        text, before = text + piece, hidden
    return text


def visible_part(text: str, some_hidden: bool) -> tuple[str, bool]:
    """Of a text from `with_lines` what was said in visible tests, and whether there is more.

    Args:
        some_hidden: whether the cell has hidden tests; without any, everything is visible and no line says so.
    """
    if not some_hidden:
        return text, False
    kept, shown, more = [], False, False
    for line in text.splitlines(keepends=True):
        if line.strip() in (VISIBLE, HIDDEN):
            shown = line.strip() == VISIBLE
        elif shown:
            kept.append(line)
        else:
            more = more or bool(line.strip())
    return "".join(kept), more
