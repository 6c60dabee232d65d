"""A server of Jupyter's is given its port: one that it had to open itself, another program might open before it.

Every student with a terminal is on 127.0.0.1 too. A port that is known, or soon to be free, is theirs if they are
first; they would answer in the server's place, and whoever comes would take that for it.
"""

import asyncio
import secrets
import socket
import struct
import sys

_RUN = """\
import runpy, socket, sys
import tornado.netutil
given = socket.socket(fileno=int(sys.argv[1]))
given.set_inheritable(False)
given.setblocking(False)
tornado.netutil.bind_sockets = lambda *place, **more: [given.dup()]
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def opened(port: int, host: str = "127.0.0.1") -> socket.socket:
    """The port, open from now on: who asks waits until a server answers; 0 is any that is free."""
    found = socket.create_server((host, port))
    found.setblocking(False)
    return found


def with_port(port: socket.socket, line: list[str]) -> list[str]:
    """A command, of a program in Python, that listens there; it has to inherit the socket."""
    return [sys.executable, "-P", "-c", _RUN, str(port.fileno()), *line]


# In one line, without braces and dollars: systemd and its spawner would each make something of those.
_FETCH = "; ".join(
    """\
import runpy, socket, sys, tornado.netutil
asked = socket.socket(socket.AF_UNIX)
asked.connect(chr(0) + sys.argv[1])
given = socket.socket(fileno=socket.recv_fds(asked, 1, 1)[1][0])
asked.close()
given.set_inheritable(False)
given.setblocking(False)
tornado.netutil.bind_sockets = lambda *place, **more: [given.dup()]
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name='__main__')""".splitlines()
)


class Counter:
    """Where a program fetches its port that can't inherit it, since somebody else starts it."""

    def __init__(self, port: socket.socket, account: int) -> None:
        """Open it.

        Args:
            port: what is given away.
            account: the number of the account, to one of whose processes.
        """
        self._port, self._account, self._name = port, account, f"course-hub-{secrets.token_hex(8)}"
        self._asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._asked.bind(f"\0{self._name}")
        self._asked.listen()
        self._asked.setblocking(False)

    def command(self, line: list[str]) -> list[str]:
        """A command, of a program in Python, that fetches the port and listens there."""
        return [sys.executable, "-P", "-c", _FETCH, self._name, *line]

    async def serve(self) -> None:
        """Wait for the process, and give it the port. Whoever else asks gets nothing: the kernel says who it is."""
        while True:
            other, _ = await asyncio.get_running_loop().sock_accept(self._asked)
            with other:
                _, who, _ = struct.unpack("3i", other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if who == self._account:
                    socket.send_fds(other, [b"x"], [self._port.fileno()])
                    return

    def close(self) -> None:
        """Close it, and the port on this side."""
        self._asked.close()
        self._port.close()
