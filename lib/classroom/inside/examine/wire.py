"""Frames between the examiner and the student's side: length of the JSON, length of the blob, JSON, blob.

What comes from the student's process is read with its limits checked before memory is taken for it, and by a deadline,
so that a frame that is too long or never ends is an error at once or in time.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import re
import socket
import struct
import time
from collections.abc import Callable

MOST_BLOB = 256 << 20  # bytes
MOST_JSON = 64 << 20
MOST_MARKS = 6_000_000  # commas and brackets: what a text of JSON becomes in memory goes by their number
_HEAD = struct.Struct(">IQ")
_SMALL = 1 << 16
_LARGE = 1 << 22
_PIECE = 1 << 20
_GROWN = 8  # times as large as its JSON is a list of numbers in memory
_INTEGER = re.compile(r"-?\d{1,20}")


class BrokenWireError(Exception):
    """The other side sent what no side of ours sends; the argument says what."""


class NoRoomError(Exception):
    """The other side sends more than there is room for; the argument says how much."""


class HungUpError(Exception):
    """The other side has closed the connection."""


def send(sock: socket.socket, message: dict, pieces: list = (), deadline: float | None = None) -> None:
    """Send one frame.

    Args:
        pieces: what the blob consists of, one after the other: bytes-like objects of single bytes.
        deadline: in `time.monotonic()` seconds; None to wait for ever.

    Raises:
        TimeoutError, HungUpError.
    """
    text = json.dumps(message, separators=(",", ":")).encode()
    length = sum(len(piece) for piece in pieces)
    head = _HEAD.pack(len(text), length)
    try:
        if length < _SMALL:
            _all(sock, b"".join([head, text, *pieces]), deadline)
        else:
            _all(sock, head + text, deadline)
            for piece in pieces:
                _all(sock, piece, deadline)
    except TimeoutError:
        raise
    except OSError as error:
        raise HungUpError(str(error)) from None


def receive(
    sock: socket.socket, deadline: float | None = None, room: Callable[[int], bool] | None = None
) -> tuple[dict, object]:
    """Receive one frame: the JSON object, and a writable buffer with the blob.

    Args:
        room: asked about the bytes of a large frame, before memory is taken for it.

    Raises:
        BrokenWireError: it is too long, or not JSON, or not an object.
        NoRoomError: `room` said no.
        TimeoutError, HungUpError.
    """
    head = bytearray(_HEAD.size)
    _fill(sock, memoryview(head), deadline)
    length, blob_length = _HEAD.unpack(head)
    if length > MOST_JSON:
        raise BrokenWireError(f"a frame with {length} bytes of JSON, expected at most {MOST_JSON}")
    if blob_length > MOST_BLOB:
        raise BrokenWireError(f"a frame with {blob_length} bytes of data, expected at most {MOST_BLOB}")
    size = _GROWN * length + blob_length
    if room is not None and size > _LARGE and not room(size):
        raise NoRoomError(f"a value that takes {size >> 20} MB")
    text = _room(length)
    _fill(sock, memoryview(text), deadline)
    blob = _room(blob_length)
    _fill(sock, memoryview(blob), deadline)
    return parse(bytes(text)), blob


def parse(text: bytes) -> dict:
    """A frame's JSON; BrokenWireError where it is none, or has more in it than any honest one."""
    marks = text.count(b",") + text.count(b"[") + text.count(b"{")
    if marks > MOST_MARKS:
        raise BrokenWireError(f"a frame with {marks} commas and brackets, expected at most {MOST_MARKS}")
    try:
        message = json.loads(text, parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BrokenWireError(f"no JSON: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise BrokenWireError(f"expected a JSON object, got {type(message).__name__}")
    return message


def _room(length: int) -> bytearray | mmap.mmap:
    if length < _SMALL:
        return bytearray(length)
    # Mapped memory is taken page by page as data arrive; and a tensor's data begin at a page.
    room = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if length >= _LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages: it takes a little longer
            room.madvise(mmap.MADV_HUGEPAGE)
    return room


def _fill(sock: socket.socket, view: memoryview, deadline: float | None) -> None:
    while view:
        _patience(sock, deadline)
        try:
            count = sock.recv_into(view, min(len(view), _PIECE))
        except TimeoutError:
            raise
        except OSError as error:
            raise HungUpError(str(error)) from None
        if not count:
            raise HungUpError("end of file")
        view = view[count:]


def _all(sock: socket.socket, data, deadline: float | None) -> None:
    view = memoryview(data)
    while view:
        _patience(sock, deadline)
        view = view[sock.send(view[:_PIECE]) :]


def _patience(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        if sock.gettimeout() is not None:
            sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the other side took too long")
    sock.settimeout(left)


def _integer(digits: str) -> int:
    if _INTEGER.fullmatch(digits) is None:
        raise ValueError("an integer with too many digits")
    return int(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
