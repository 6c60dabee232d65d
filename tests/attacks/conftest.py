"""One class of attempts, graded once for all tests here. `--write-table` writes what was observed into the guide."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "suite"))  # not a package

from attack_run import Graded, run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write the table of attempts into the guide")


@pytest.fixture(scope="session")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graded]:
    """The class, and what came of it."""
    found = run(tmp_path_factory.mktemp("attacked") / "course-folder")
    yield found
    found.world.close()
