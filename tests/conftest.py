"""What every test stands on: one thread, no display, none of the reader's own settings, and `--full`."""

import os

import pytest

# Before anything imports torch or matplotlib, in this process or in one that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long form too: tests marked `full`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="the long form: needs --full"))


@pytest.fixture(autouse=True)
def no_settings_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that steers the library must not leak in from the shell; a test sets what it needs."""
    for name in [name for name in os.environ if name.startswith("DEEPPRACTICE_")]:
        monkeypatch.delenv(name)
