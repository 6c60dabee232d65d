"""Claims: the interval against scipy's, the verdicts as a table, the register's errors, and what a notebook keeps."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deeppractice import claims
from deeppractice.claims import MIME, Claim, ClaimError, Result, Test, claim, glue, read_register

ENTRY = """\
- id: linear-wins
  claim: "A linear model wins or ties."
  source: own
  rows: ["1.01"]
  notebook: 01-when
  test: {relation: ">=", threshold: 0.0, margin: 0.01, seeds: 3, unit: accuracy}
"""


def a_test(relation: str, threshold: float | list[float], margin: float = 0.0, seeds: int = 3, range=None) -> Test:
    return Test(relation, threshold, margin, seeds, "accuracy", range)


def claim_of(test: Test, **fields) -> Claim:
    settled = {"id": "c", "claim": "C.", "source": "own", "rows": ["1.01"], "notebook": "n"}
    return Claim(test=test, **{**settled, **fields})


# The interval


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_the_interval_is_students_t(n: int) -> None:
    values = np.random.default_rng(n).normal(3, 2, size=n)
    mean, low, high = a_test(">=", 0).interval(values.tolist())
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected, rel=1e-12)


def test_the_interval_of_three_values_by_hand() -> None:
    # Mean 2, standard deviation 1, and the 97.5 % point of Student's t with 2 degrees of freedom, 4.30265.
    assert a_test(">=", 0).interval([1, 2, 3]) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_equal_values_have_an_interval_without_width() -> None:
    assert a_test(">=", 0).interval([0.5] * 4) == (0.5, 0.5, 0.5)


def test_one_value_has_the_margin_as_its_interval() -> None:
    assert a_test(">=", 0, margin=0.25).interval([1.0]) == (1.0, 0.75, 1.25)


# What is shown of the interval: nothing beyond what the quantity can be


@pytest.mark.parametrize(
    ("range", "measured", "low", "high"),  # None: where the whole interval ends
    [
        ([0, 1], [0.99, 1.0, 1.0], None, 1),  # the interval itself ends at 1.011
        ([0, 1], [0, 0, 0.03], 0, None),
        ([0, 1], [0.1, 0.9], 0, 1),
        ([0, 1], [0.5, 0.6, 0.7], None, None),  # all of it is possible
        ([-1, 1], [-0.917, -0.9, -0.771], -1, None),
        ([0, None], [1, 2, 6], 0, None),
        ([None, 0], [-1, -2, -6], None, 0),
        ([0, 1], [1 + 1e-7, 1 + 1e-7], None, 1 + 1e-7),  # the mean is always in it
        (None, [1, 2, 6], None, None),
    ],
)
def test_an_interval_is_shown_within_the_range(range, measured: list[float], low, high) -> None:
    bounded, whole = a_test(">=", 0.5, range=range), a_test(">=", 0.5).interval(measured)
    assert bounded.shown(measured) == (whole[0], whole[1] if low is None else low, whole[2] if high is None else high)
    assert bounded.interval(measured) == whole


def test_the_verdict_is_that_of_the_whole_interval() -> None:
    measured = [0.0, 0.1, 0.2]  # [-0.148, 0.348]; cut at 0 it would lie between 0 and 0.4
    inside, open_below = a_test("between", [0, 0.4], range=[0, 1]), a_test("<=", 0.4, range=[0, 1])
    assert inside.shown(measured)[1] == 0
    assert inside.verdict(measured) == a_test("between", [0, 0.4]).verdict(measured) == "inconclusive"
    assert open_below.verdict(measured) == "holds"


# The verdict: sharp values first (an interval without width), then intervals, then single values


@pytest.mark.parametrize(
    ("relation", "threshold", "margin", "measured", "verdict"),
    [
        (">=", 1, 0.5, [1, 1], "holds"),  # at the threshold
        (">=", 1, 0.5, [2, 2], "holds"),
        (">=", 1, 0.5, [0.75, 0.75], "inconclusive"),  # missed, but not by more than the margin
        (">=", 1, 0.5, [0.5, 0.5], "inconclusive"),  # missed by exactly the margin
        (">=", 1, 0.5, [0.25, 0.25], "fails"),
        ("<=", 1, 0.5, [1, 1], "holds"),
        ("<=", 1, 0.5, [0, 0], "holds"),
        ("<=", 1, 0.5, [1.25, 1.25], "inconclusive"),
        ("<=", 1, 0.5, [1.5, 1.5], "inconclusive"),
        ("<=", 1, 0.5, [1.75, 1.75], "fails"),
        ("between", [1, 2], 0.5, [1, 1], "holds"),
        ("between", [1, 2], 0.5, [2, 2], "holds"),
        ("between", [1, 2], 0.5, [0.75, 0.75], "inconclusive"),
        ("between", [1, 2], 0.5, [2.25, 2.25], "inconclusive"),
        ("between", [1, 2], 0.5, [0.25, 0.25], "fails"),
        ("between", [1, 2], 0.5, [2.75, 2.75], "fails"),
        # The 95 % interval of [a, b] reaches 6.353 |b - a| to both sides of the mean.
        (">=", 0, 0, [1, 1.1], "holds"),
        (">=", 0, 0, [1, 1.5], "inconclusive"),  # mean 1.25, but the interval reaches below 0
        (">=", 0, 0, [-1, -1.5], "inconclusive"),
        (">=", 0, 0, [-1, -1.1], "fails"),
        (">=", 0, 1, [-1, -1.1], "inconclusive"),
        ("<=", 0, 0, [-1, -1.1], "holds"),
        ("<=", 0, 0, [1, 1.1], "fails"),
        ("between", [-1, 1], 0, [-0.01, 0.01], "holds"),
        ("between", [-1, 1], 0, [-1, 1], "inconclusive"),  # wider than the band on both sides
        ("between", [-1, 1], 0, [2, 2.1], "fails"),
        (">=", 0, 0.1, [0.2], "holds"),
        (">=", 0, 0.1, [0.05], "inconclusive"),  # one value: the margin is its interval
        (">=", 0, 0.1, [-0.15], "inconclusive"),
        (">=", 0, 0.1, [-0.25], "fails"),
        ("between", [0, 1], 0.1, [0.5], "holds"),
        ("between", [0, 1], 0.1, [1.3], "fails"),
    ],
)
def test_verdicts(relation: str, threshold, margin: float, measured: list[float], verdict: str) -> None:
    assert a_test(relation, threshold, margin).verdict(measured) == verdict


@pytest.mark.parametrize("measured", [[1, 1.1, 0.9], [5, 5, 5], [0.2, 0.21, 0.19]])
def test_flipping_the_values_flips_the_verdict(measured: list[float]) -> None:
    test, mirrored = a_test(">=", 0), a_test("<=", 0)
    flipped = [-value for value in measured]
    assert (test.verdict(measured), test.verdict(flipped)) == ("holds", "fails")
    assert (mirrored.verdict(measured), mirrored.verdict(flipped)) == ("fails", "holds")


@pytest.mark.parametrize(
    ("expect", "measured", "verdict", "as_expected"),
    [
        ("holds", [1, 1], "holds", True),
        ("holds", [-1, -1], "fails", False),
        ("fails", [-1, -1], "fails", True),
        ("fails", [1, 1], "holds", False),
        ("holds", [-1, 1], "inconclusive", True),
        ("fails", [-1, 1], "inconclusive", True),
    ],
)
def test_what_contradicts_the_register(expect: str, measured: list, verdict: str, as_expected: bool) -> None:
    result = Result(claim_of(a_test(">=", 0), expect=expect), measured)
    assert (result.verdict, result.as_expected) == (verdict, as_expected)
    assert (result.record()["verdict"], result.record()["as_expected"]) == (verdict, as_expected)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (a_test(">=", 0.5), "at least 0.5"),
        (a_test("<=", 12), "at most 12"),
        (a_test("between", [1, 2]), "between 1 and 2"),
    ],
)
def test_a_test_in_words(test: Test, words: str) -> None:
    assert str(test) == words


# The register


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / claims.REGISTER
    path.write_text(ENTRY, encoding="utf-8")
    return path


def test_a_register_is_read_whole(register: Path) -> None:
    second = ENTRY.replace("linear-wins", "trees-win").replace('">=", threshold: 0.0', '"between", threshold: [1, 2]')
    register.write_text(ENTRY + second + '  published: "0.87"\n  expect: fails\n', encoding="utf-8")
    found = read_register(register)
    assert list(found) == ["linear-wins", "trees-win"]
    assert found["linear-wins"] == Claim(
        "linear-wins", "A linear model wins or ties.", "own", ["1.01"], "01-when", Test(">=", 0.0, 0.01, 3, "accuracy")
    )
    assert found["linear-wins"].expect == "holds"
    other = found["trees-win"]
    assert (other.test.threshold, other.published, other.expect) == ([1, 2], "0.87", "fails")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n"])
def test_an_empty_register_has_no_claims(register: Path, text: str) -> None:
    register.write_text(text, encoding="utf-8")
    assert read_register(register) == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  source: own\n", "  sources: own\n", r"sources.*expected the keys of the register"),
        ("  source: own\n", "", r"'source'.*expected the keys of the register"),
        ("- id: linear-wins\n ", "-", r"claim '\(without id\)'.*'id'"),
        ("  test: {", "  tests: {", r"'test'; expected the keys"),
        ("unit: accuracy", "units: accuracy", r"units.*expected the keys"),
        (", unit: accuracy", "", r"'unit'.*expected the keys"),
        ('relation: ">="', 'relation: ">"', "expected a relation among >=, <=, between, got '>'"),
        ("threshold: 0.0", "threshold: [0, 1]", r"'>=' does not go with threshold \[0, 1\]"),
        ("threshold: 0.0", "threshold: high", "'>=' does not go with threshold 'high'"),
        ("threshold: 0.0", "threshold: true", "'>=' does not go with threshold True"),
        ("threshold: 0.0", "threshold: .nan", "'>=' does not go with threshold nan"),
        ('">=", threshold: 0.0', "between, threshold: 0.0", "'between' does not go with threshold 0.0"),
        ('">=", threshold: 0.0', "between, threshold: [2, 1]", r"does not go with threshold \[2, 1\]"),
        ('">=", threshold: 0.0', "between, threshold: [1]", r"does not go with threshold \[1\]"),
        ('">=", threshold: 0.0', "between, threshold: [a, 1]", r"does not go with threshold \['a', 1\]"),
        ("unit: accuracy", "unit: accuracy, range: 1", r"expected a range \[low, high\], null for .* got 1$"),
        ("unit: accuracy", "unit: accuracy, range: [0]", r"expected a range .* got \[0\]"),
        ("unit: accuracy", "unit: accuracy, range: [1, 0]", r"expected a range .* got \[1, 0\]"),
        ("unit: accuracy", "unit: accuracy, range: [null, 1, 2]", r"expected a range .* got \[None, 1, 2\]"),
        ("unit: accuracy", "unit: accuracy, range: [0, .inf]", r"expected a range .* got \[0, inf\]"),
        ("unit: accuracy", "unit: accuracy, range: [0.5, 1]", r"threshold 0.0 lies outside the range \[0.5, 1\]"),
        ("margin: 0.01", "margin: -1", "expected margin >= 0 and seeds >= 1, got -1 and 3"),
        ("margin: 0.01", "margin: 1e-3", "expected margin >= 0 and seeds >= 1, got '1e-3' and 3"),
        ("seeds: 3", "seeds: 0", "expected margin >= 0 and seeds >= 1, got 0.01 and 0"),
        ("seeds: 3", "seeds: 2.5", "expected margin >= 0 and seeds >= 1, got 0.01 and 2.5"),
        ('["1.01"]', '["1.01", "1.02", "1.03", "2.01"]', "expected 1 to 3 coverage rows, got 4"),
        ('["1.01"]', "[]", "expected 1 to 3 coverage rows, got 0"),
        ('["1.01"]', "[1.10]", r"coverage rows in quotes, such as \[\"1.10\"\], got \[1.1\]"),
        ('["1.01"]', '"1.01"', "coverage rows in quotes.*got '1.01'"),
        (
            "  source: own\n",
            "  source: own\n  expect: works\n",
            "expected 'holds' or 'fails' under expect, got 'works'",
        ),
    ],
)
def test_a_wrong_entry_names_the_file_the_claim_and_the_key(register: Path, old: str, new: str, message: str) -> None:
    assert ENTRY.count(old) == 1
    register.write_text(ENTRY.replace(old, new), encoding="utf-8")
    with pytest.raises(ClaimError, match=message) as info:
        read_register(register)
    assert str(info.value).startswith(f"{register}: claim '")
    assert "linear-wins" in str(info.value) or "(without id)" in str(info.value)


@pytest.mark.parametrize("wrong", ["Linear wins", "linear_wins", "-a", "12-", "'é'"])
def test_an_id_that_is_no_anchor(register: Path, wrong: str) -> None:
    register.write_text(ENTRY.replace("id: linear-wins", f"id: {wrong}"), encoding="utf-8")
    with pytest.raises(ClaimError, match="expected an id of small letters, digits and hyphens"):
        read_register(register)


def test_an_id_registered_twice(register: Path) -> None:
    register.write_text(ENTRY + ENTRY, encoding="utf-8")
    with pytest.raises(ClaimError, match="claim 'linear-wins' is registered twice"):
        read_register(register)


@pytest.mark.parametrize("text", ["id: a\nclaim: b\n", "- only words\n", "just words\n"])
def test_a_register_that_is_no_list_of_claims(register: Path, text: str) -> None:
    register.write_text(text, encoding="utf-8")
    with pytest.raises(ClaimError, match="expected a list of claims, each with its keys"):
        read_register(register)


# The card and the record


def test_the_record_has_the_register_the_values_and_the_verdict() -> None:
    entry = claim_of(a_test(">=", 0.5, margin=0.01), published="0.9", source="grinsztajn2022trees")
    record = json.loads(json.dumps(Result(entry, [0.75, 0.75, 0.75]).record()))
    assert record == {
        "id": "c",
        "claim": "C.",
        "source": "grinsztajn2022trees",
        "published": "0.9",
        "rows": ["1.01"],
        "notebook": "n",
        "expect": "holds",
        "test": {"relation": ">=", "threshold": 0.5, "margin": 0.01, "seeds": 3, "unit": "accuracy", "range": None},
        "measured": [0.75, 0.75, 0.75],
        "mean": 0.75,
        "low": 0.75,
        "high": 0.75,
        "verdict": "holds",
        "as_expected": True,
    }


def card_of(entry: Claim, measured: list[float]) -> str:
    return Result(entry, measured).card()


def test_the_card_has_a_minus_sign_and_no_hyphen_before_a_number() -> None:
    card = card_of(claim_of(a_test("<=", 0, margin=0.1)), [-0.5, -0.4, -0.6])
    assert "<b>−0.5</b> (95 % interval −0.748 to −0.252, 3 seeds)" in card


def test_card_record_and_text_show_the_interval_within_the_range() -> None:
    result = Result(claim_of(a_test(">=", 0.5, range=[0, 1])), [0.99, 1.0, 1.0])
    assert "<b>0.997</b> (95 % interval 0.982 to 1, 3 seeds)" in result.card()
    assert str(result) == "C. Measured 0.997 [0.982, 1] accuracy: holds."
    record = json.loads(json.dumps(result.record()))
    assert (record["high"], record["test"]["range"]) == (1, [0, 1])
    open_above = Result(claim_of(a_test(">=", 0.5, range=[0, None])), [1, 2, 6])
    assert json.loads(json.dumps(open_above.record(), allow_nan=False))["test"]["range"] == [0, None]


def test_one_value_has_no_interval_on_the_page() -> None:
    assert str(Result(claim_of(a_test(">=", 0.5)), [0.75])) == "C. Measured 0.75 accuracy: holds."


def test_the_card_says_what_was_expected_measured_and_published() -> None:
    card = card_of(claim_of(a_test(">=", 0.5), published="0.9 on 45 tables"), [0.75, 0.75, 0.75])
    assert "<aside class='dp-claim' id='claim-c' data-verdict='holds' aria-label='Claim c'>" in card
    assert "<dt>expected</dt><dd>at least 0.5, accuracy</dd>" in card
    assert "<dt>measured</dt><dd><b>0.75</b> (95 % interval 0.75 to 0.75, 3 seeds)</dd>" in card
    assert "<dt>published</dt><dd>0.9 on 45 tables</dd>" in card
    assert "published" not in card_of(claim_of(a_test(">=", 0.5)), [0.75])
    assert "(one run)" in card_of(claim_of(a_test(">=", 0.5)), [0.75])


@pytest.mark.parametrize(
    ("expect", "measured", "words"),
    [
        ("holds", [1, 1], ">holds<"),
        ("holds", [-1, -1], ">does not hold<"),
        ("fails", [-1, -1], ">does not hold here, as the register expects<"),
        ("fails", [1, 1], ">holds<"),
        ("holds", [-1, 1], ">inconclusive<"),
    ],
)
def test_the_card_says_its_verdict_in_words(expect: str, measured: list[float], words: str) -> None:
    assert words in card_of(claim_of(a_test(">=", 0), expect=expect), measured)


def test_the_card_escapes_what_the_register_says() -> None:
    test = Test(">=", 0, 0, 1, "<i>unit</i>")
    card = card_of(claim_of(test, claim="a < b & <script>alert(1)</script>", published="<b>1</b>"), [1.0])
    for raw in ("<script>", "<i>unit", "a < b"):
        assert raw not in card
    for escaped in ("a &lt; b &amp; &lt;script&gt;", "&lt;i&gt;unit&lt;/i&gt;", "<dd>&lt;b&gt;1&lt;/b&gt;</dd>"):
        assert escaped in card


def test_the_fallback_is_one_line_of_text() -> None:
    assert str(Result(claim_of(a_test(">=", 0)), [1, 1, 1])) == "C. Measured 1 [1, 1] accuracy: holds."


# claim(), in this process


@pytest.mark.usefixtures("register")
def test_claim_displays_card_and_record_together(displayed: list[dict]) -> None:
    claim("linear-wins", np.array([0.5, 0.5, 0.5], dtype=np.float32))
    (shown,) = displayed
    expected = Result(read_register(Path("claims.yml"))["linear-wins"], [0.5, 0.5, 0.5])
    assert shown["raw"] is True
    assert shown["data"] == {"text/plain": str(expected), "text/html": expected.card(), MIME: expected.record()}
    assert all(type(value) is float for value in shown["data"][MIME]["measured"])


@pytest.mark.usefixtures("register")
@pytest.mark.parametrize("measured", [[], [1, math.nan, 2], [math.inf] * 3])
def test_values_that_are_no_measurement(measured: list[float], displayed: list[dict]) -> None:
    with pytest.raises(ClaimError, match=r"claim 'linear-wins': expected finite numbers, one a seed, got \["):
        claim("linear-wins", measured)
    assert displayed == []


@pytest.mark.parametrize("range", ["[0, 1]", "[null, 1]", "[0, null]"])
def test_values_that_the_quantity_can_not_have(register: Path, range: str, displayed: list[dict]) -> None:
    register.write_text(ENTRY.replace("unit: accuracy", f"unit: accuracy, range: {range}"), encoding="utf-8")
    wrong = 1.5 if range == "[null, 1]" else -0.25
    with pytest.raises(ClaimError, match=rf"claim 'linear-wins': measured \[{wrong}\], which its range \[.*does not"):
        claim("linear-wins", [0.5, wrong, 1.0])
    assert displayed == []
    claim("linear-wins", [0.0, 0.5, 1.0 + 1e-7])  # float32 rounds
    assert len(displayed) == 1


@pytest.mark.usefixtures("register")
@pytest.mark.parametrize("n", [1, 2, 4])
def test_another_number_of_values_than_seeds(n: int, displayed: list[dict], monkeypatch: pytest.MonkeyPatch) -> None:
    claim("linear-wins", [1.0] * n)  # a reader may run fewer seeds
    assert len(displayed) == 1
    monkeypatch.setenv("DEEPPRACTICE_BUILD", "1")
    with pytest.raises(ClaimError, match=f"claim 'linear-wins': expected 3 values, one a seed, got {n}"):
        claim("linear-wins", [1.0] * n)
    assert len(displayed) == 1
    claim("linear-wins", [1.0] * 3)
    assert len(displayed) == 2


@pytest.mark.usefixtures("register")
def test_a_contradiction_is_recorded_and_raises_nothing(displayed: list[dict], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPPRACTICE_BUILD", "1")
    claim("linear-wins", [-1, -1, -1])
    assert displayed[0]["data"][MIME]["as_expected"] is False


@pytest.mark.parametrize("building", ["", "1"])
def test_an_id_that_is_not_registered_names_those_that_are(
    register: Path, building: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register.write_text(ENTRY + ENTRY.replace("linear-wins", "trees-win"), encoding="utf-8")
    monkeypatch.setenv("DEEPPRACTICE_BUILD", building)
    with pytest.raises(ClaimError, match=r"'linear-win' is not registered in .*claims.yml; .*: linear-wins, trees-win"):
        claim("linear-win", [1.0])


def test_without_a_register_a_reader_sees_the_value_and_a_build_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, displayed: list[dict]
) -> None:
    monkeypatch.chdir(tmp_path)
    claim("linear-wins", [1, 2])
    assert capsys.readouterr().out == (
        "Claim linear-wins: measured 1.5; no claims.yml beside this notebook, so no verdict.\n"
    )
    assert displayed == []
    monkeypatch.setenv("DEEPPRACTICE_BUILD", "1")
    with pytest.raises(ClaimError, match=r"'linear-wins' is not registered: there is no .*claims.yml"):
        claim("linear-wins", [1, 2])


# In a real kernel

CELLS = [
    "from deeppractice.claims import claim, glue\nimport os",
    "claim('linear-wins', [0.5, 0.25, 0.75])",
    "os.environ['DEEPPRACTICE_BUILD'] = '1'\nclaim('linear-wins', [-1, -1, -1])",
    "claim('linear-wins', [1])",
    "claim('tree-wins', [1, 1, 1])",
    "del os.environ['DEEPPRACTICE_BUILD']\nos.chdir('elsewhere')\nclaim('linear-wins', [1, 1, 1])",
    "glue('share', 0.5)\nglue('text', 'a \"b\"')\nglue('list', [1, 2])",
    "from myst_nb import glue as theirs\n"
    "theirs('share', 0.5, display=False)\ntheirs('text', 'a \"b\"', display=False)\n"
    "theirs('list', [1, 2], display=False)",
]


@pytest.fixture(scope="module")
def executed(run_notebook, tmp_path_factory: pytest.TempPathFactory) -> list:
    folder = tmp_path_factory.mktemp("chapter")
    (folder / "claims.yml").write_text(ENTRY, encoding="utf-8")
    (folder / "elsewhere").mkdir()
    return run_notebook(CELLS, folder)


def test_a_notebook_keeps_card_and_record(executed: list) -> None:
    (output,) = executed[1].outputs
    test = Test(">=", 0.0, 0.01, 3, "accuracy")
    entry = Claim("linear-wins", "A linear model wins or ties.", "own", ["1.01"], "01-when", test)
    expected = Result(entry, [0.5, 0.25, 0.75])
    assert output.output_type == "display_data"
    assert output.data[MIME] == expected.record()
    assert output.data["text/html"] == expected.card()
    assert output.data["text/plain"] == str(expected)


def test_a_build_keeps_a_contradiction_and_stops_at_what_is_not_registered(executed: list) -> None:
    assert executed[2].outputs[0].data[MIME]["verdict"] == "fails"
    assert executed[2].outputs[0].data[MIME]["as_expected"] is False
    assert executed[3].outputs[0].ename == "ClaimError"
    assert "expected 3 values, one a seed, got 1" in executed[3].outputs[0].evalue
    assert executed[4].outputs[0].ename == "ClaimError"
    assert "there are: linear-wins" in executed[4].outputs[0].evalue


def test_a_notebook_without_a_register_prints(executed: list) -> None:
    (output,) = executed[5].outputs
    assert (output.output_type, output.name) == ("stream", "stdout")
    assert "no verdict" in output.text


def test_glue_emits_what_myst_nb_does(executed: list) -> None:
    ours, theirs = executed[6].outputs, executed[7].outputs
    assert len(ours) == len(theirs) == 3
    assert ours == theirs
    assert ours[0].data == {"application/papermill.record/text/plain": "0.5"}
    assert ours[0].metadata == {"scrapbook": {"name": "share", "mime_prefix": "application/papermill.record/"}}


def test_glue_in_this_process(displayed: list[dict]) -> None:
    glue("n", 3)
    assert displayed == [
        {
            "data": {"application/papermill.record/text/plain": "3"},
            "metadata": {"scrapbook": {"name": "n", "mime_prefix": "application/papermill.record/"}},
            "raw": True,
        }
    ]


def test_a_count_is_shown_with_all_its_digits() -> None:
    card = card_of(claim_of(a_test("between", [42504.0, 42504.0], seeds=1)), [42504])
    assert "<b>42504</b>" in card
    assert "between 42504 and 42504" in card
    assert "<b>0.333</b>" in card_of(claim_of(a_test(">=", 0.1)), [1 / 3])
