"""How many answers, attacks and the like there are: what the pages say is what there is."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BANKS = Counter(
    member["kind"]
    for path in sorted((ROOT / "tests" / "assignments").glob("*/bank.yml"))
    for member in yaml.safe_load(path.read_text(encoding="utf-8"))
)
ATTACKS = len(list((ROOT / "tests" / "attacks" / "tries").glob("*/*.*")))
SAID = {
    "CHANGELOG.md": (
        r"(\d+) right answers and (\d+) typical mistakes.* and (\d+) shortcuts",
        [BANKS["right"], BANKS["mistake"], BANKS["shortcut"]],
    ),
    "tests/assignments/stock.md": (
        r"Of (\d+) members \((\d+) right, (\d+) mistake, (\d+) shortcut\)",
        [BANKS.total(), BANKS["right"], BANKS["mistake"], BANKS["shortcut"]],
    ),
    "CHANGELOG.md, attacks": (r"- (\d+) attacks on the grader", [ATTACKS]),
    "SECURITY.md": (r"(\d+) submissions under `tests/attacks/tries/`", [ATTACKS]),
    "book/teach/attacks.md": (r"This page lists (\d+) attempts", [ATTACKS]),
}


@pytest.mark.parametrize("where", SAID)
def test_what_a_page_counts(where):
    words, there = SAID[where]
    text = (ROOT / where.partition(",")[0]).read_text(encoding="utf-8")
    (said,) = re.findall(words, text)
    assert [int(number) for number in ([said] if isinstance(said, str) else said)] == there


def test_the_classes_of_attacks_add_up():
    rows = re.findall(
        r"^\| [^|]+ \| (\d+) \| (?:0 |none|by )", (ROOT / "SECURITY.md").read_text(encoding="utf-8"), re.M
    )
    assert sum(map(int, rows)) == ATTACKS
