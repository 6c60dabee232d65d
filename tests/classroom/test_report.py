"""The table that `status` and `demo` print."""

from classroom.report import MOST_NAMED_PARTS, table


def record(parts: int, waiting: int = 0) -> dict:
    points = {f"part-{letter}-tests": 2.0 for letter in "abcdefghijklmnop"[:parts]}
    points |= {name: None for name in list(points)[:waiting]}
    return {
        "student": "ada", "outcome": "graded", "parts": points, "total": 2.0 * (parts - waiting),
        "max": 2.0 * parts, "note": "",
    }  # fmt: skip


def test_few_parts_stand_under_their_names():
    head, line = table([record(MOST_NAMED_PARTS, waiting=1)])
    assert head.split() == [
        "student",
        "outcome",
        *(f"part-{letter}-tests" for letter in "abcdef"),
        "total",
        "of",
        "note",
    ]
    assert line.split() == ["ada", "graded", "waits", *["2"] * 5, "10", "12"]


def test_many_parts_stand_under_numbers_that_a_legend_explains():
    head, line, *legend = table([record(14, waiting=1)])
    assert head.split() == ["student", "outcome", *map(str, range(1, 15)), "total", "of", "note"]
    assert line.split() == ["ada", "graded", "waits", *["2"] * 13, "26", "28"]
    assert " ".join(" ".join(legend).split()).startswith("parts: 1 part-a-tests, 2 part-b-tests,")
    assert "14 part-n-tests" in legend[-1]
    assert all(line.endswith("-tests,") for line in legend[:-1]), "no number without its name"
    assert max(map(len, [head, line, *legend])) <= 110
