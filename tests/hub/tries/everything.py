"""Everything that somebody with a terminal in a hub might try, as the program that they would type in.

    python everything.py facts.json

A line of JSON for each attempt; without facts, only the words of each.
"""

import json

import machine  # noqa: F401  (registers its attempts)
import web  # noqa: F401
from register import FACTS, KEPT, OPEN, OWN

for kind, attempts in (("own", OWN), ("kept", KEPT), ("open", OPEN)):
    for words, function in attempts.items():
        got, why = None, ""
        try:
            got = function() if FACTS else None
        except Exception as error:  # whatever stands in the way
            why = f"{type(error).__name__}: {error}"
        print(json.dumps({"kind": kind, "tried": words, "got": got and got[:200], "why": why[:200]}), flush=True)
print("tried everything", flush=True)
