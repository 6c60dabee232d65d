"""A table that a learning platform exported, read and written in its own form: separator, byte order mark, ends."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from classroom.errors import ClassroomError

_MOST_BYTES = 64 << 20
_LONGEST_CELL = 16 << 20  # a worksheet of Moodle holds texts that students wrote; Python's own limit is 131,072
_SEPARATORS = ",;\t"


@dataclass
class Sheet:
    """A table: its head, and its rows, each as long as the head."""

    path: Path
    head: list[str]
    rows: list[list[str]]
    separator: str = ","
    mark: bool = False  # a byte order mark at the beginning
    line_end: str = "\n"
    odd: list[int] = field(default_factory=list)  # lines of the file whose rows have more cells than the head: left out
    lines: list[int] = field(default_factory=list)  # by row, where in the file it begins

    def column(self, *names: str) -> int | None:
        """Where the first of these columns is, or None."""
        heads = [head.strip() for head in self.head]
        return next((heads.index(name) for name in names if name in heads), None)

    def named(self, rows: list[list[str]], names: list[str]) -> list[str]:
        """What to call rows in a message: their names, with the line in the file where several have the same.

        Args:
            rows: of this table, the very ones.
        """
        lines, often = {id(row): line for row, line in zip(self.rows, self.lines, strict=True)}, Counter(names)
        return [
            f"{name}, line {lines[id(row)]}" if often[name] > 1 else name for row, name in zip(rows, names, strict=True)
        ]

    def text(self, rows: list[list[str]]) -> str:
        """Rows, the head among them, in this table's form."""
        file = io.StringIO(newline="")
        csv.writer(file, delimiter=self.separator, lineterminator=self.line_end).writerows(rows)
        return ("\ufeff" if self.mark else "") + file.getvalue()


def read_sheet(path: Path) -> Sheet:
    """Read a table.

    Raises:
        ClassroomError: there is no such file, or it is no table in UTF-8.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ClassroomError(f"--from {path}: more than {_MOST_BYTES >> 20} MB, that is no table of grades")
        content = path.read_bytes()
    except OSError as error:
        raise ClassroomError(f"--from {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ClassroomError(
            f"--from {path}: not UTF-8 (byte {error.start}); give the file as the platform exported it, not as a "
            "spreadsheet saved it"
        ) from None
    mark, text = text.startswith("\ufeff"), text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=lambda letter: _width(first, letter))
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader, rows, begins = csv.reader(io.StringIO(text, newline=""), delimiter=separator), [], [1]
        for row in reader:
            rows.append(row)
            begins.append(reader.line_num + 1)  # of the next one: a cell may have several lines
    except csv.Error as error:
        raise ClassroomError(f"--from {path}: no table of comma-separated values: {error}") from None
    finally:
        csv.field_size_limit(before)
    if not rows or not any(rows[0]):
        raise ClassroomError(f"--from {path}: empty; expected a table with a line of heads")
    head, sheet = rows[0], Sheet(path, rows[0], [], separator, mark, "\r\n" if first.endswith("\r") else "\n")
    for line, row in zip(begins[1:], rows[1:], strict=False):
        if any(row[len(head) :]):
            sheet.odd.append(line)
        elif row:
            sheet.lines.append(line)
            sheet.rows.append((row + [""] * len(head))[: len(head)])
    return sheet


def _width(line: str, separator: str) -> int:
    return len(next(csv.reader([line], delimiter=separator), []))
