"""Errors that the person at the keyboard can do something about; the command line prints them without a traceback."""

import difflib
from collections.abc import Iterable


class ClassroomError(Exception):
    """Something is missing or wrong; the message says what, and what to do. The exit code is 2."""


class RefusedError(Exception):
    """A file or a submission that is not taken; the message is the reason, for the student too."""


class ServiceError(Exception):
    """The exchange does not do what was asked; the message says why, in words for the person who asked."""


class UnheardError(Exception):
    """Standard output takes nothing more: who read it went away, or the disk that it goes to is full.

    No OSError, so that nobody who tries a file takes it for one about that file.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__((cause.strerror or str(cause)).lower())
        self.reader_left = isinstance(cause, BrokenPipeError)


def near_miss(wanted: str, known: Iterable[str]) -> str:
    """`; did you mean x?` where something known is spelled like it, else the list of what is known, else nothing."""
    known = sorted(known)
    near = difflib.get_close_matches(wanted, known, n=2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else ""
