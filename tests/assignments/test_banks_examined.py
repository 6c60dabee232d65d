"""Both banks through the real sandbox and examiner, and with --full through stock nbgrader too.

Several members that answer different parts share a notebook (see banked.py), which is graded once for all of them.
Where stock nbgrader comes to another verdict the member says so in the bank, with the reason: stock.md lists these.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # not a package

from banked import BANKS, Batch, Verdict, batches, source
from differences import table
from examined import Examined, full

from classroom.sandbox import bubblewrap
from classroom.sandbox.policy import SandboxError

MEMBERS = [
    pytest.param(batch, member, id=f"{project}-{member['kind']}-{member['id']}")
    for project in BANKS
    for batch in batches(project)
    for member in batch.members
]


@pytest.fixture(scope="module")
def examined():
    try:
        bubblewrap.check()
    except SandboxError as error:
        pytest.skip(str(error))
    with Examined() as runs:
        yield runs


def found_wrong(member: dict, points: dict, fails: set[str] | None, verdicts: dict[str, Verdict]) -> list[str]:
    """What a member's verdicts are not as they have to be."""
    wrong = []
    for cell, wanted in points.items():
        low, high = wanted if isinstance(wanted, list) else (wanted, wanted)
        got = verdicts[cell].points
        if not low <= got <= high:
            wrong.append(f"{cell}: expected {wanted} points, got {got:g} (failed: {sorted(verdicts[cell].failed)})")
    failed = set().union(*(verdicts[cell].failed for cell in points))
    ranged = any(isinstance(wanted, list) for wanted in points.values())
    if fails is not None and not (fails <= failed if ranged else fails == failed):
        wrong.append(f"expected {sorted(fails)} to fail, got {sorted(failed)}")
    return wrong


@pytest.mark.parametrize(("batch", "member"), MEMBERS)
def test_member(examined, batch: Batch, member: dict, record_property):
    verdicts = {cell: verdict for cell, verdict in examined.verdicts(batch).items() if cell in member["points"]}
    record_property("bank", f"{batch.project}, {member['kind']}, through the examiner")
    assert verdicts.keys() == member["points"].keys()
    fails = {"right": set(), "mistake": set(member.get("fails", ())), "shortcut": None}[member["kind"]]
    assert not found_wrong(member, member["points"], fails, verdicts)
    worth = full(batch.project)
    for cell, verdict in verdicts.items():
        assert verdict.by == "examiner"
        assert verdict.made > 0
        assert not verdict.silent, "a check that failed says nothing"
        if member["kind"] == "right":
            assert verdict.points == worth[cell]
        else:
            assert verdict.points < worth[cell] if member["kind"] == "mistake" else verdict.points == 0


@pytest.mark.full
@pytest.mark.parametrize("project", BANKS)
def test_stock_nbgrader_differs_only_where_the_bank_says_so(project, tmp_path, record_property):
    from stocked import stock

    found = stock(project, tmp_path / "course")
    wrong, count = [], 0
    for batch in batches(project):
        for member in batch.members:
            said = member.get("stock", {})
            fails = {"right": set(), "mistake": set(member.get("fails", ())), "shortcut": None}[member["kind"]]
            fails = set(said["fails"]) if "fails" in said else fails
            these = found_wrong(member, said.get("points", member["points"]), fails, found[str(batch)])
            wrong += [f"{member['id']}: {what}" for what in these]
            count += not these
    record_property("stock", f"{project}: {count} of {len(BANKS[project])} as the bank says")
    assert not wrong, "\n".join(wrong)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 25))
def test_the_solution_passes_the_gates_at_the_seed_of_any_class(examined, seed):
    """Parts 9 and 10 draw the ring's rows anew for each class."""
    cells = {"vae-tests", "gan-sampler-tests"}
    verdicts = examined.run("generative", source("generative"), cells, seed=7919 * seed)
    assert {cell: verdict.points for cell, verdict in verdicts.items()} == {cell: 6 for cell in cells}, verdicts


def test_the_table_of_differences_is_what_the_banks_say():
    text = (Path(__file__).parent / "stock.md").read_text()
    assert table() == text, "make it anew: python tests/assignments/differences.py"


def test_a_batch_is_a_whole_bank_in_few_notebooks():
    for project, bank in BANKS.items():
        assert sorted(m["id"] for batch in batches(project) for m in batch.members) == sorted(m["id"] for m in bank)
        for batch in batches(project):
            answered = [cell for member in batch.members for cell in member["cells"]]
            assert len(answered) == len(set(answered))
            assert len(batch.members) == 1 or not any(member.get("alone") for member in batch.members)
