"""`!command` in a cell: a shell on a terminal of its own, as IPython runs it; its output is not kept here."""

from __future__ import annotations

import codecs
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios

_LINES, _COLUMNS = 24, 80


def run(command: str) -> int:
    """Run a command and print what it writes while it does.

    An interrupt is passed on to the command and ends here, as in IPython.

    Args:
        command: for the shell.

    Returns:
        The exit status, or the number of the signal that ended it, negative.
    """
    ours, its = _terminal()
    shell = [shutil.which(os.environ.get("SHELL", "sh")) or "/bin/sh", "-c", command]
    process = subprocess.Popen(shell, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    try:
        _print_all(ours)
    except KeyboardInterrupt:
        _interrupt(process)
    finally:
        os.close(ours)
        if process.poll() is None:
            _interrupt(process)
    code = process.wait()
    return 128 - code if code > 128 else code


def _terminal() -> tuple[int, int]:
    """Two ends of a pseudo-terminal; of a pair of sockets where there are no terminals."""
    try:
        ours, its = os.openpty()
    except OSError:
        import socket

        one, other = socket.socketpair()
        return one.detach(), other.detach()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    return ours, its


def _print_all(end: int) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            data = os.read(end, 1 << 16)
        except OSError:  # a terminal's way to say that nobody is on its other side any more
            data = b""
        sys.stdout.write(decoder.decode(data, final=not data))
        if not data:
            return


def _interrupt(process: subprocess.Popen) -> None:
    """As from a keyboard; then by force."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(0.1)
            return
        except subprocess.TimeoutExpired:
            continue
