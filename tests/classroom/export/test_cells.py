"""Cells: no text begins a formula, whatever it is made of; numbers as other programs write them."""

import csv
import io
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classroom.export.cells import FORMULA, decimal_mark, harmless, kept, number, read_number

TEXT = st.text(st.one_of(st.sampled_from("=+-@＝;,\t\r\n\"'| \u200b\u202eא\x00"), st.characters()), max_size=40)


def test_all_that_folds_to_a_formulas_beginning_is_known():
    folds = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.normalize("NFKC", c)[:1] in tuple("=+-@")}
    assert folds - set(FORMULA) == set()
    assert "\N{MINUS SIGN}" in FORMULA


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("=1+1", "'=1+1"),
        ("\t=1+1", "\\t=1+1"),  # a text from its first letter on
        ("\r=1", "\\r=1"),
        ("  ＝cmd", "  '＝cmd"),
        ("a;=1;@b", "a;'=1;'@b"),
        ("a\n=1", "a\\n=1"),
        ("Lovelace, -Ada", "Lovelace, '-Ada"),
        ("Ana-María O'Neill", "Ana-María O'Neill"),
        ("ada@example.org", "ada@example.org"),
        ("2026-02-06 23:59:00", "2026-02-06 23:59:00"),
        ("שלום \u202edlrow", "שלום \\u202edlrow"),
        (None, ""),
    ],
)
def test_what_becomes_of_a_text(text, made):
    assert harmless(text) == made


@given(TEXT)
def test_no_cell_begins_a_formula_under_any_separator(text):
    file = io.StringIO(newline="")
    made = harmless(text)
    csv.writer(file).writerow(["x", made, "1"])
    assert next(csv.reader(io.StringIO(file.getvalue(), newline=""))) == ["x", made, "1"]
    assert harmless(made) == made
    for separator in ",;\t|":
        for cell in next(csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=separator)):
            assert not re.match(rf"\s*[{re.escape(FORMULA)}]", cell)


@given(st.floats(-1000, 1000), st.sampled_from(".,"))
def test_numbers_come_back(value, mark):
    assert abs(read_number(number(value, mark)) - value) < 1e-6
    assert kept(number(value, mark)) == number(value, mark)


@pytest.mark.parametrize(("cell", "value"), [("10", 10), ("7,5", 7.5), (" 1,234.50 ", 1234.5), ("1.234,50", 1234.5)])
def test_numbers_of_others(cell, value):
    assert read_number(cell) == value


def test_what_is_no_number():
    assert [read_number(cell) for cell in ("", "EX", "-", "80%", "(read only)")] == [None] * 5
    assert [kept(cell) for cell in ("-5", "-5+3", "EX", "=2")] == ["-5", "'-5+3", "EX", "'=2"]
    assert number(-0.0) == "0"
    assert [decimal_mark(cells) for cells in (["10,00"], ["10,00", "1.5"], ["10"], [])] == [",", ".", ".", "."]
