"""The build's own record: claims and coverage are in order, and time, memory and weight stay within their budgets."""

import subprocess
import sys

import pytest

from book_records import bibliography_keys, gather, read_executions, read_json, toc_documents
from book_weights import has_slider

# Budgets of the chapter standard. Time and memory depend on the machine, so they fail at twice the budget. Time is the
# processor's (a notebook runs on one thread): on a machine with other work to do, the clock measures that work too. It
# is divided by how slow the machine was then, from a fixed piece of work before and after; by three at most, so that no
# measurement of the machine excuses a notebook that is too long anywhere.
SECONDS_AVERAGE, SECONDS_MOST, CHAPTER_SECONDS, MEMORY_MB = 20, 60, 150, 2048
PAGE_BYTES, SLIDER_PAGE_BYTES = 1_500_000, 3_000_000


@pytest.fixture(scope="module")
def executions(root, html):
    return read_executions(root)


def reference_seconds(run: dict) -> float:
    """Processor seconds of a notebook on the machine that the budgets are stated for."""
    assert run["slowness"] >= 1
    return run["cpu_seconds"] / min(run["slowness"], 3)


def sections(executions) -> dict[str, dict]:
    return {name: run for name, run in executions.items() if not name.endswith("/index")}


def test_every_notebook_of_the_book_has_run(root, executions):
    assert set(executions) == {name for name in toc_documents(root) if (root / f"{name}.ipynb").exists()}


def test_notebooks_stay_within_their_time(executions):
    seconds = {name: reference_seconds(run) for name, run in sections(executions).items()}
    assert {name: value for name, value in seconds.items() if value > 2 * SECONDS_MOST} == {}
    # One or two sections have no average to speak of: for them the limit on each is the one that counts.
    assert sum(seconds.values()) / max(len(seconds), 3) <= 2 * SECONDS_AVERAGE


def test_chapters_stay_within_their_time(executions):
    chapters = {}
    for name, run in executions.items():
        chapter = name.rsplit("/", 1)[0]
        chapters[chapter] = chapters.get(chapter, 0) + reference_seconds(run) / 2  # two at a time
    assert {name: value for name, value in chapters.items() if value > 2 * CHAPTER_SECONDS} == {}


def test_notebooks_stay_within_their_memory(executions):
    assert {name: run["memory_mb"] for name, run in executions.items() if run["memory_mb"] > 2 * MEMORY_MB} == {}


def test_time_and_memory_were_measured(executions):
    assert all(run["memory_mb"] > 20 for run in executions.values()), "a kernel alone takes more than 20 MB"
    assert all(0 < run["cpu_seconds"] < run["seconds"] * 1.2 for run in executions.values()), "one thread each"


def test_pages_stay_within_their_weight(root, html):
    status = read_json(root / "_build" / "status.json", {})
    assert set(status) == set(toc_documents(root))
    heavy = {
        name: page["weight_bytes"]
        for name, page in status.items()
        if page["weight_bytes"] > (SLIDER_PAGE_BYTES if has_slider(html / f"{name}.html") else PAGE_BYTES)
    }
    assert heavy == {}


def test_claims_are_registered_run_and_as_expected(root, html):
    gathered = gather(root)
    assert not gathered.problems
    assert gathered.claims == read_json(root / "_build" / "claims.json", [])
    assert all(claim["as_expected"] for claim in gathered.claims)


def test_ledger_shows_every_claim_with_a_link_to_its_card(root, html):
    ledger = (html / "book" / "ledger.html").read_text(encoding="utf-8")
    for claim in read_json(root / "_build" / "claims.json", []):
        assert f'href="../{claim["anchor"]}"' in ledger
        page, anchor = claim["anchor"].split("#")
        text = (html / page).read_text(encoding="utf-8")
        assert f'id="{anchor}"' in text or f"id='{anchor}'" in text


def test_coverage_command_lists_every_row(root, html):
    done = subprocess.run([sys.executable, root / "book" / "coverage.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for row in read_json(root / "_build" / "coverage.json", {})["rows"]:
        assert row["id"] in done.stdout
        assert all(by["anchor"] in done.stdout for by in row["covered_by"])


def test_every_entry_of_the_bibliography_can_be_formatted(root):
    """A page that cites an entry for the first time must not stop the build: try them all now."""
    from pybtex.backends.plaintext import Backend
    from pybtex.database import parse_file
    from pybtex.plugin import find_plugin

    entries = parse_file(root / "references.bib").entries
    assert set(entries) == bibliography_keys(root)
    style = find_plugin("pybtex.style.formatting", "alpha")()
    for entry in style.format_entries(entries.values()):
        assert entry.text.render(Backend()).strip(), entry.key
    undated = [key for key, entry in entries.items() if not entry.fields.get("year")]
    assert all(key.startswith(("cs231n", "pytorch")) for key in undated), "only living pages go without a year"
