"""Attempts by the words that tell what was tried, and what they are told of the hub.

Each gives back what it got hold of, or raises. It knows more than a student would: where everything lies, and which
ports and processes are whose (facts.json, from the test).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

FACTS: dict = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else {}
OWN: dict[str, Callable[[], str]] = {}  # have to succeed: they show that the ways that the others take exist
KEPT: dict[str, Callable[[], str]] = {}  # nobody may succeed
OPEN: dict[str, Callable[[], str]] = {}  # succeed on some hubs, and the guide says so


def attempt(words: str, into: dict = KEPT) -> Callable:
    """Register an attempt."""

    def add(function: Callable[[], str]) -> Callable[[], str]:
        into[words] = function
        return function

    return add
