"""A shell in a process of its own without any sandbox: what `classroom.insecure` starts.

`python -m classroom.inside.plain DESCRIPTOR CELL_BYTES OUTPUT_BYTES`, where the descriptor is a connected socket.
"""

import os
import socket
import sys

from classroom.inside.shell import Shell


def main() -> None:
    """Answer requests until the other end is closed."""
    descriptor, cell_bytes, output_bytes = map(int, sys.argv[1:])
    with socket.socket(fileno=descriptor) as sock:
        sock.set_inheritable(False)
        shell = Shell(cell_bytes, output_bytes)
        shell.start()
        try:
            shell.serve(sock)
        finally:
            os._exit(0)  # whatever threads and exit handlers the cells have left


if __name__ == "__main__":
    main()
