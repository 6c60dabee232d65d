"""`python -m classroom` is the command `classroom`."""

import sys

if __name__ == "__main__":  # a worker's process imports this file too, under another name
    from classroom.cli import main

    sys.exit(main())
