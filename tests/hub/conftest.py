"""The tests of the hub need its proxy, which npm brings: without it they are skipped, and say so."""

import sys
from pathlib import Path

import pytest

PROXY = Path(sys.executable).with_name("configurable-http-proxy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies beside this file where there is no proxy."""
    if PROXY.exists():
        return
    why = f"{PROXY} is missing: type `make install-hub` where npm reaches registry.npmjs.org"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=why))
