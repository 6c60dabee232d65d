"""Frames: read with limits and by a deadline, whatever the other side does."""

import resource
import socket
import subprocess
import sys
import threading
import time

import pytest

from classroom.inside.examine import wire


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_frame_arrives_with_its_blob(ends):
    pieces = [b"abc", bytes(5), memoryview(b"x" * 3_000_000)]
    sender = threading.Thread(target=wire.send, args=(ends[0], {"a": [1, "ü"]}, pieces))
    sender.start()
    message, blob = wire.receive(ends[1], time.monotonic() + 20)
    sender.join()
    assert message == {"a": [1, "ü"]}
    assert bytes(blob) == b"".join(pieces)


@pytest.mark.parametrize("sizes", [(wire.MOST_JSON + 1, 0), (2, wire.MOST_BLOB + 1), (2**32 - 1, 2**64 - 1)])
def test_a_frame_that_is_too_long_is_refused_before_memory_is_taken(ends, sizes):
    ends[0].sendall(wire._HEAD.pack(*sizes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(wire.BrokenWireError):
        wire.receive(ends[1], time.monotonic() + 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000


def test_a_frame_that_never_ends_is_given_up_at_the_deadline(ends):
    stop = threading.Event()

    def drip():
        ends[0].sendall(wire._HEAD.pack(1 << 20, 0))
        while not stop.wait(0.01):
            ends[0].sendall(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.receive(ends[1], began + 0.3)
    assert time.monotonic() - began < 30  # of three hours
    stop.set()
    dripping.join()


def test_one_that_does_not_read_is_given_up_at_the_deadline(ends):
    with pytest.raises(TimeoutError):
        wire.send(ends[0], {}, [bytes(10_000_000)], time.monotonic() + 0.3)


def test_the_end_of_the_connection_is_said(ends):
    ends[0].sendall(b"1234")
    ends[0].close()
    with pytest.raises(wire.HungUpError):
        wire.receive(ends[1])
    with pytest.raises(wire.HungUpError):
        wire.send(ends[1], {}, [bytes(10_000_000)])


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000, b'{"a":NaN}', b'{"a":' + b"9" * 100 + b"}"]
)
def test_what_is_no_object_of_json_is_refused(text):
    with pytest.raises(wire.BrokenWireError):
        wire.parse(text)


def test_text_that_would_be_too_much_in_memory_is_refused():
    with pytest.raises(wire.BrokenWireError, match="commas"):
        wire.parse(b'{"a":[' + b"[]," * 7_000_000 + b"[]]}")


def test_a_course_without_torch_is_examined_without_it():
    code = "import sys, classroom.inside.examine.examiner\nprint([n for n in ('torch', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
