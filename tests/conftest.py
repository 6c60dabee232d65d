"""What every test stands on: one thread, no display, none of the reader's own settings, and `--full`."""

import os
from collections import Counter
from pathlib import Path

import pytest

# Before anything imports torch or matplotlib, in this process or in one that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long form too: tests marked `full`")
    parser.addoption("--write-screenshots", action="store_true", help="take the book's pictures of the hub anew")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="the long form: needs --full"))


@pytest.fixture(scope="session")
def browser():
    """One headless Chromium for all tests: a process can hold no second one."""
    import subprocess

    from playwright.sync_api import sync_playwright

    script = Path(__file__).resolve().parents[1] / ".ci" / "browser"
    found = subprocess.run(["sh", script], capture_output=True, text=True)
    if found.returncode:
        pytest.fail(found.stderr)
    with sync_playwright() as playwright:
        # Without its own sandbox, since tests may run as root: it opens our pages only, and knows no other host.
        only_here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost"
        path = found.stdout.strip()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", only_here])
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that steers the library must not leak in from the shell; a test sets what it needs."""
    for name in [name for name in os.environ if name.startswith("DEEPPRACTICE_")]:
        monkeypatch.delenv(name)


def pytest_terminal_summary(terminalreporter) -> None:
    """How many members the projects' banks have, and how they came out: see tests/assignments/."""
    counted: dict[str, Counter] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()) if report.when == "call" else ():
                if name == "bank":
                    counted.setdefault(value, Counter())[outcome] += 1
    if counted:
        terminalreporter.section("banks of answers")
    for what, outcomes in sorted(counted.items()):
        failed = f", {outcomes['failed']} not" if outcomes["failed"] else ""
        terminalreporter.write_line(f"{what}: {outcomes['passed']} came out as the bank says{failed}")
