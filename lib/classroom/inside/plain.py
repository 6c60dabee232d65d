"""A shell in a process of its own without any sandbox: what `classroom.insecure` starts.

`python -m classroom.inside.plain DESCRIPTOR CELL_BYTES OUTPUT_BYTES LOOP`, where the descriptor is a connected socket
and the loop "shell" or "examiner".
"""

import os
import socket
import sys

from classroom.inside.shell import Shell


def main() -> None:
    """Answer requests until the other end is closed."""
    descriptor, cell_bytes, output_bytes = map(int, sys.argv[1:4])
    examines = sys.argv[4] == "examiner"
    with socket.socket(fileno=descriptor) as sock:
        sock.set_inheritable(False)
        shell = Shell(cell_bytes, output_bytes)
        shell.start()
        try:
            if examines:
                from classroom.inside.examine.examiner import Examiner

                Examiner(shell).serve(sock)
            else:
                shell.serve(sock)
        finally:
            os._exit(0)  # whatever threads and exit handlers the cells have left


if __name__ == "__main__":
    main()
