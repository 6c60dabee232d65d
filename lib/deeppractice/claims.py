"""A claim: what the literature says, what this run measured, and whether it holds.

A chapter's `claims.yml` registers each claim with its test; a notebook hands over what it measured, and the verdict is
computed here, not written by the author of the cell. The output is a card on the page and a record that the book's
build gathers into the ledger.
"""

import html
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import stats

MIME = "application/vnd.deeppractice.claim+json"
REGISTER = "claims.yml"  # beside the notebook
RELATIONS = (">=", "<=", "between")
ROUNDING = 1e-6  # by which a share may exceed 1: a mean of float32 does
VERDICTS = {"holds": "holds", "fails": "does not hold", "inconclusive": "inconclusive"}


class ClaimError(ValueError):
    """A register or a measurement that a verdict can't be computed from."""


@dataclass(frozen=True)
class Test:
    """When a claim holds.

    Attributes:
        relation: ">=", "<=" or "between".
        threshold: a number, or [low, high] for "between".
        margin: a contradiction has to exceed this, in `unit`.
        seeds: how many values are measured, one a seed.
        unit: of the measured values.
        range: what the quantity can be, [low, high], None for an end that it does not have: [0, 1] for a share, [-1, 1]
            for a difference of two, [0, None] for a ratio. No value may lie outside, no interval is shown beyond it.
    """

    __test__ = False  # pytest would collect a class of this name

    relation: str
    threshold: float | list[float]
    margin: float
    seeds: int
    unit: str
    range: list[float | None] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Of the range, infinite where it has none."""
        low, high = self.range or (None, None)
        return -math.inf if low is None else low, math.inf if high is None else high

    def interval(self, measured: Sequence[float]) -> tuple[float, float, float]:
        """Mean and 95 % interval (Student's t over the seeds; with one value, the margin on either side)."""
        values = np.asarray(measured, dtype=float)
        mean = float(values.mean())
        if len(values) == 1:
            return mean, mean - self.margin, mean + self.margin
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
        return mean, mean - half, mean + half

    def shown(self, measured: Sequence[float]) -> tuple[float, float, float]:
        """Mean and interval as a page shows them: Student's t knows no range, so the interval is cut where it ends.

        The verdict is computed from the whole interval.
        """
        mean, low, high = self.interval(measured)
        floor, ceiling = self.ends
        return mean, max(low, min(floor, mean)), min(high, max(ceiling, mean))

    def verdict(self, measured: Sequence[float]) -> str:
        """Whether the whole interval satisfies the relation, misses it by more than the margin, or neither."""
        _, low, high = self.interval(measured)
        floor, ceiling = {
            ">=": (self.threshold, math.inf),
            "<=": (-math.inf, self.threshold),
            "between": self.threshold if self.relation == "between" else (0, 0),
        }[self.relation]
        if floor <= low and high <= ceiling:
            return "holds"
        if high < floor - self.margin or low > ceiling + self.margin:
            return "fails"
        return "inconclusive"

    def __str__(self) -> str:
        if self.relation == "between":
            return f"between {self.threshold[0]:.9g} and {self.threshold[1]:.9g}"
        return f"{'at least' if self.relation == '>=' else 'at most'} {self.threshold:.9g}"


@dataclass(frozen=True)
class Claim:
    """An entry of the register."""

    id: str
    claim: str
    source: str
    rows: list[str]
    notebook: str
    test: Test
    published: str = ""
    expect: str = "holds"


def read_register(path: Path) -> dict[str, Claim]:
    """Read a chapter's claims.

    Raises:
        ClaimError: names the file, the claim and the key that is wrong, what was expected and what came.
    """
    import yaml  # here, so that the library imports on a machine without it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # each claim reads the register: ten times as fast
    entries = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ClaimError(f"{path}: expected a list of claims, each with its keys")
    claims: dict[str, Claim] = {}
    for entry in entries:
        where = f"{path}: claim {entry.get('id', '(without id)')!r}"
        try:
            claim = Claim(**{**entry, "test": Test(**entry["test"])})
        except (KeyError, TypeError) as error:
            raise ClaimError(f"{where}: {error}; expected the keys of the register, see CONTRIBUTING.md") from error
        _assert_sound(claim, where)
        if claim.id in claims:
            raise ClaimError(f"{where} is registered twice")
        claims[claim.id] = claim
    return claims


def _assert_sound(claim: Claim, where: str) -> None:
    test = claim.test
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(claim.id)):
        raise ClaimError(f"{where}: expected an id of small letters, digits and hyphens, it is an anchor on the page")
    if test.relation not in RELATIONS:
        raise ClaimError(f"{where}: expected a relation among {', '.join(RELATIONS)}, got {test.relation!r}")
    pair = isinstance(test.threshold, list) and len(test.threshold) == 2 and all(map(_is_number, test.threshold))
    pair = pair and test.threshold[0] <= test.threshold[1]
    if pair != (test.relation == "between") or not (pair or _is_number(test.threshold)):
        raise ClaimError(f"{where}: {test.relation!r} does not go with threshold {test.threshold!r}")
    if test.range is not None:
        ends = test.range if isinstance(test.range, list) else []
        if len(ends) != 2 or not all(end is None or _is_number(end) for end in ends) or not test.ends[0] < test.ends[1]:
            raise ClaimError(f"{where}: expected a range [low, high], null for an end it lacks, got {test.range!r}")
        if not all(test.ends[0] <= value <= test.ends[1] for value in (test.threshold if pair else [test.threshold])):
            raise ClaimError(f"{where}: threshold {test.threshold!r} lies outside the range {test.range!r}")
    # YAML reads 1e-3 as a string: it wants 0.001 or 1.0e-3.
    if not _is_number(test.margin) or test.margin < 0 or not isinstance(test.seeds, int) or test.seeds < 1:
        raise ClaimError(f"{where}: expected margin >= 0 and seeds >= 1, got {test.margin!r} and {test.seeds!r}")
    if claim.expect not in ("holds", "fails"):
        raise ClaimError(f"{where}: expected 'holds' or 'fails' under expect, got {claim.expect!r}")
    # Without quotes, YAML reads row 1.10 as the number 1.1, which is another row.
    if not isinstance(claim.rows, list) or not all(isinstance(row, str) for row in claim.rows):
        raise ClaimError(f'{where}: expected coverage rows in quotes, such as ["1.10"], got {claim.rows!r}')
    if not 1 <= len(claim.rows) <= 3:
        raise ClaimError(f"{where}: expected 1 to 3 coverage rows, got {len(claim.rows)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: float) -> str:
    """Three significant figures; a count with all of its digits."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.3g}"


@dataclass(frozen=True)
class Result:
    """A claim with what was measured; shown as a card in a notebook."""

    claim: Claim
    measured: list[float]

    @property
    def verdict(self) -> str:
        return self.claim.test.verdict(self.measured)

    @property
    def as_expected(self) -> bool:
        """False only where the verdict contradicts the register; "inconclusive" contradicts nothing."""
        return self.verdict in (self.claim.expect, "inconclusive")

    def record(self) -> dict:
        """What the build keeps: the register's entry, the values, the interval that is shown and the verdict."""
        mean, low, high = self.claim.test.shown(self.measured)
        found = {"measured": self.measured, "mean": mean, "low": low, "high": high}
        return {**asdict(self.claim), **found, "verdict": self.verdict, "as_expected": self.as_expected}

    def __str__(self) -> str:
        mean, low, high = self.claim.test.shown(self.measured)
        spread = f" [{_short(low)}, {_short(high)}]" if len(self.measured) > 1 else ""
        return f"{self.claim.claim} Measured {_short(mean)}{spread} {self.claim.test.unit}: {self.verdict}."

    def card(self) -> str:
        """The card on the page."""
        from deeppractice._html import STYLESHEET

        claim, test = self.claim, self.claim.test
        mean, low, high = (_short(value).replace("-", "−") for value in test.shown(self.measured))
        n = len(self.measured)
        spread = f"95 % interval {low} to {high}, {n} seeds" if n > 1 else "one run"
        rows = [
            ("expected", f"{test}, {html.escape(test.unit)}"),
            ("measured", f"<b>{mean}</b> ({spread})"),
            ("published", html.escape(claim.published)),
        ]
        lines = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows if value)
        known = "" if claim.expect == "holds" or self.verdict != "fails" else " here, as the register expects"
        return (
            f"{STYLESHEET}<aside class='dp-claim' id='claim-{claim.id}' data-verdict='{self.verdict}' "
            f"aria-label='Claim {claim.id}'><p><strong class='dp-verdict'>{VERDICTS[self.verdict]}{known}</strong> "
            f"{html.escape(claim.claim)}</p><dl>{lines}</dl></aside>"
        )


def claim(id: str, measured: Sequence[float]) -> None:
    """Check a registered claim against what was measured, and show its card.

    Args:
        id: as registered in `claims.yml` beside the notebook.
        measured: one value a seed, in the unit that the register names.

    Raises:
        ClaimError: for an id that is not registered, a value that is not finite or outside the registered range, or,
            while the book is built, another number of values than the register's seeds.
    """
    from IPython.display import display

    building = bool(os.environ.get("DEEPPRACTICE_BUILD"))
    measured = [float(value) for value in measured]
    if not measured or not all(map(math.isfinite, measured)):
        raise ClaimError(f"claim {id!r}: expected finite numbers, one a seed, got {measured}")
    register = Path(REGISTER)
    if not register.exists():
        if building:
            raise ClaimError(f"claim {id!r} is not registered: there is no {register.resolve()}")
        # A notebook opened on its own (on Colab, say) has no register beside it: show the values, judge nothing.
        print(f"Claim {id}: measured {_short(np.mean(measured))}; no {REGISTER} beside this notebook, so no verdict.")
        return
    claims = read_register(register)
    if id not in claims:
        raise ClaimError(f"claim {id!r} is not registered in {register.resolve()}; there are: {', '.join(claims)}")
    seeds = claims[id].test.seeds
    if building and len(measured) != seeds:
        raise ClaimError(f"claim {id!r}: expected {seeds} values, one a seed, got {len(measured)}")
    low, high = claims[id].test.ends
    outside = [value for value in measured if not low - ROUNDING <= value <= high + ROUNDING]
    if outside:
        raise ClaimError(f"claim {id!r}: measured {outside}, which its range {claims[id].test.range} does not allow")
    result = Result(claims[id], measured)
    display({"text/plain": str(result), "text/html": result.card(), MIME: result.record()}, raw=True)


def glue(name: str, value: object) -> None:
    """Keep a value under a name, for `{glue:text}` on a page of the book; shows nothing in a live notebook.

    Emits the records that myst-nb reads, without needing it: a reader's own machine has only the library.
    """
    from IPython.display import display

    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({prefix + "text/plain": repr(value)}, raw=True, metadata=metadata)
