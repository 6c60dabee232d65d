"""A server of Jupyter's is given its port: one that it had to open itself, another program might open before it.

Every student with a terminal is on 127.0.0.1 too. A port that is known, or soon to be free, is theirs if they are
first; they would answer in the server's place, and whoever comes would take that for it.
"""

import socket
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
