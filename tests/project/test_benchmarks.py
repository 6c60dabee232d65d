"""The page of measurements says what the files beside it say."""

import json
import runpy
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_tables_are_those_of_the_files():
    made = runpy.run_path(str(BENCHMARKS / "table.py"))["text"]()
    assert (BENCHMARKS / "README.md").read_text(encoding="utf-8") == made, "run: python benchmarks/table.py"
    for path in BENCHMARKS.glob("*-*.json"):
        name = path.stem.rpartition("-")[0].capitalize().replace("_", ": ")
        assert f"## {name}, " in made
    grading = json.loads((BENCHMARKS / "grading-cpu.json").read_text())
    assert f"{grading['light']['ratios']['ours']['throughput']:.1f} ×" in made
