"""The table of the library's models: parameters, what each is held against, how closely and how fast.

`book/api/models.yml` lists them. Counts are computed from the library, speeds read from the benchmarks' JSON files;
nothing in the table is typed but names, formulas and tolerances, which tests/project/test_models.py holds.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import yaml

from book_written import Written, detail

KINDS = ("forward", "forward and backward")


def read_models(root: Path) -> list[dict]:
    return yaml.safe_load((root / "book" / "api" / "models.yml").read_text(encoding="utf-8"))


def built(entry: dict):
    """The model, without memory for its weights."""
    import torch

    from deeppractice import architectures

    with torch.device("meta"):
        return eval(entry["make"], dict(vars(architectures)))


def count(entry: dict) -> int:
    return sum(weight.numel() for weight in built(entry).parameters())


def by_hand(entry: dict) -> int:
    """What the formula gives."""
    return eval(entry["count"], {"pairwise": pairwise, "sum": sum, "range": range, **entry["letters"]})


def formula(entry: dict) -> str:
    return entry.get("formula") or entry["count"].replace(" * ", " · ").replace("**2", "²")


def speeds(root: Path, entry: dict, device: str = "cpu") -> list[float]:
    """How many times as fast as the peer, forward and with backward; empty where nothing was measured yet."""
    ((script, name),) = entry["pair"].items()
    found = measured(root, script, device).get("times as fast", {})
    return [found[f"{name}, {kind}"]["median"] for kind in KINDS if f"{name}, {kind}" in found]


def measured(root: Path, script: str, device: str = "cpu") -> dict:
    path = root / "benchmarks" / f"{script}-{device}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class ModelsTable(Written):
    """A row a model."""

    def markdown(self) -> str:
        entries = read_models(self.root)
        for entry in entries:
            ((script, _),) = entry["pair"].items()
            for path in ("book/api/models.yml", f"benchmarks/{script}-cpu.json"):
                self.env.note_dependency(str(self.root / path))
        head = ["Model", "Parameters", "Compared with", "Tolerance", "Times as fast: forward; with backward"]
        table = self.table(head, [self.row(entry) for entry in entries], "dp-models", "27 27 22 9 15")
        return f"{table}\n\n{self.machines(entries)}"

    def row(self, entry: dict) -> list[str]:
        fast = "; ".join(f"{value:.2f}" for value in speeds(self.root, entry)) or "not measured yet"
        where = f"<br>{detail(entry['measured'])}" if "measured" in entry else ""
        numbers = f"{count(entry):,}<br>{detail(formula(entry))}"
        return [entry["model"], numbers, entry["peer"], f"{entry['tolerance']:.0e}".replace("e-", "e−"), fast + where]

    def machines(self, entries: list[dict]) -> str:
        """Where the speeds were measured."""
        scripts = dict.fromkeys(script for entry in entries for script in entry["pair"])
        said: dict[str, list[str]] = {}
        for script in scripts:
            found = measured(self.root, script)
            if found:
                threads = f"{found['threads']} {'thread' if found['threads'] == 1 else 'threads'}"
                said.setdefault(f"{found['device']}, {threads}, torch {found['torch']}", []).append(f"`{script}.py`")
        return "Measured on " + "; ".join(f"{where} ({', '.join(names)})" for where, names in said.items()) + "."
