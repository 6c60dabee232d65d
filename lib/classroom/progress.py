"""What a batch says while it runs: a bar with rate and remaining time on a terminal, a line a submission elsewhere."""

import sys
from collections.abc import Callable

from classroom.results import GRADED
from classroom.terminal import printable


class Progress:
    """Counts submissions; use it in a `with` statement.

    Args:
        total: how many there are.
        title: stands before the bar.
        say: prints a line where there is no bar.
    """

    def __init__(self, total: int, title: str, say: Callable[[str], None]) -> None:
        self._total, self._say = total, say
        self._count = 0
        self._bar = None
        if total and sys.stderr.isatty() and sys.stdout.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=title, unit=" submissions", dynamic_ncols=True, smoothing=0.1)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, record: dict | None) -> None:
        """One more is done; `record` has its student, outcome, note and seconds, or is None where nothing was to do."""
        self._count += 1
        if record is not None and (self._bar is None or record["outcome"] != GRADED or record["note"]):
            note = f" ({record['note']})" if record["note"] else ""
            line = f"[{self._count}/{self._total}] {record['student']}: {record['outcome']}{note}"
            self._write(f"{line}, {record['seconds'] or 0:.1f} s")
        if self._bar is not None:
            self._bar.update()

    def _write(self, line: str) -> None:
        if self._bar is None:
            self._say(line)
        else:
            self._bar.write(printable(line), file=sys.stdout)
