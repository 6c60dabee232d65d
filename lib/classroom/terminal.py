"""Text for a terminal: names and messages may be a student's, and a terminal obeys what it is shown.

An escape sequence in a file's name could write the window's title, colour a line or wipe it away; a carriage return
overwrites what stands before it; marks of direction turn a name around; a line feed makes a line that we never said.
"""

import re
from collections.abc import Iterable

# Controls of ASCII and Latin-1, separators of lines, marks that change the direction of what follows, lone surrogates;
# and what is there without being seen, but not the joiners that some scripts are written with.
_ACTIVE = "\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_ACTIVE += "\u200b\u2060-\u2065\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f"
_IN_TEXT = re.compile(f"[{_ACTIVE}]")
_IN_NAMES = re.compile(f"[{_ACTIVE}\t\n]")


def printable(text: str) -> str:
    r"""A message with what a terminal would act on spelled out, as `\x1b`; lines and tabs stay."""
    return _IN_TEXT.sub(_spelled, text)


def one_line(name: str) -> str:
    r"""A name, or another word of a student's within a line of ours: lines and tabs are spelled out too."""
    return _IN_NAMES.sub(_spelled, name)


def some(texts: Iterable[str], most: int) -> list[str]:
    """Each text once; of more than `most` the first ones and the last few, which tell how it ended."""
    texts = list(dict.fromkeys(texts))
    if len(texts) <= most:
        return texts
    last = min(3, most // 2)
    return [*texts[: most - last], f"… {len(texts) - most} more …", *texts[-last:]]


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 submission`, `2 submissions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _spelled(found: re.Match) -> str:
    return found[0].encode("unicode_escape").decode()
