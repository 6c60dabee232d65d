"""Cells of CSV that a spreadsheet does not obey, and numbers as learning platforms read them.

Names come from a learning platform, where people may change their own. What begins with `=` is a formula to a
spreadsheet; so is what follows a `;` where that is its separator, whatever stands around it.

Source: OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection (which characters, the apostrophe);
ASVS 5.0, requirement 1.2.10.
"""

import re

from classroom.terminal import one_line

# `= + - @`, and what becomes one of them where a program folds widths and forms (NFKC); the minus sign besides.
FORMULA = "=+-@\uff1d\ufe66\u207c\u208c\u2a75\u2a76\uff0b\ufe62\u207a\u208a\ufb29\uff0d\ufe63\u2212\uff20\ufe6b"
_BEGINS = re.compile(rf"(^|[,;|])([\s\u200b-\u200d\u2060\u00ad]*)(?=[{re.escape(FORMULA)}])")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*%?")


def harmless(text: str | None) -> str:
    r"""A text in one line, with an apostrophe before each beginning of a formula; controls spelled out, as `\t`."""
    return _BEGINS.sub(r"\1\2'", one_line(text or ""))


def kept(cell: str) -> str:
    """A cell of somebody else's table as it was, if it is a number or a dash that stands for none; else `harmless`."""
    return cell if cell.strip() == "-" or _NUMBER.fullmatch(cell.strip()) else harmless(cell)


def number(value: float, decimal: str = ".") -> str:
    """Points with at most six decimals and no zeros at the end: `7.5`, `8`."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace(".", decimal)


def read_number(cell: str) -> float | None:
    """A number with a point or a comma before its decimals, or None."""
    cell = cell.strip()
    if not _NUMBER.fullmatch(cell) or cell.endswith("%"):
        return None
    whole, mark, decimals = cell.replace(",", ".").rpartition(".")
    return float(whole.replace(".", "") + mark + decimals)


def decimal_mark(cells: list[str]) -> str:
    """The mark before the decimals in these cells: a comma if all that have one have that, else a point."""
    marks = {match[1] for cell in cells if (match := re.fullmatch(r"[-+]?\d+([.,])\d+", cell.strip()))}
    return "," if marks == {","} else "."
