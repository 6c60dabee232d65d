"""benchmarks/README.md: what the last measurements say, as tables, made of the JSON files beside it.

python benchmarks/table.py          after any of the benchmarks; `make bench` ends with it
"""

import json
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """\
# What was measured

Made by `python benchmarks/table.py` of the JSON files in this folder, which `make bench` and `make bench-gpu` write;
a test sees that the two agree. The machines are noisy: read ratios of one run, not seconds across runs.
"""


def main() -> None:
    (HERE / "README.md").write_text(text(), encoding="utf-8")


def text() -> str:
    """The page."""
    parts = [HEAD]
    for path in sorted(HERE.glob("*-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        name, _, device = path.stem.rpartition("-")
        lines = {"grading": _grading, "hub": _hub, "writer": _writer}.get(name, _others)(found)
        parts.append("\n".join([f"## {_title(name)}, {device}", "", f"{found['what']}.", "", *lines, ""]))
    return "\n".join(parts)


def _grading(found: dict) -> Iterator[str]:
    yield f"On {found['device']}, {found['jobs']} jobs; medians of the rounds, start-up and gradebook included."
    heads = ("", "submissions", "wall s each", "CPU s each", "CPU over the cells' own", "peak MB", "throughput", "CPU")
    for name, title in (
        ("light", "Light notebooks that import torch"),
        ("generative", "The solution of `generative`"),
    ):
        part = found[name]
        yield from ("", f"### {title}", "", _row(*heads), _row(*["---"] * len(heads)))
        for side, values in part["median"].items():
            number = part["many"] if side not in ("stock", "ours") else part["submissions"]
            ratio = part["ratios"].get(side)
            yield _row(
                side.split(",")[0],
                str(number),
                f"{values['wall_each']:.3g}",
                f"{values['cpu_each']:.3g}",
                f"{values['cpu_over_cells']:.3g}" if "cpu_over_cells" in values else "",
                f"{values['memory_mb']:.0f}",
                f"{ratio['throughput']:.1f} ×" if ratio else "",
                f"1/{ratio['cpu']:.1f}" if ratio else "",
            )
    parts = found["parts"]
    yield ""
    yield f"From a job's arrival to its first cell run: {parts['first_cell']:.3f} s (median)."
    yield f"The writer: {parts['writer_each']:.4f} s a submission."


def _hub(found: dict) -> Iterator[str]:
    fit, ended = found["users_that_would_fit"], found["ended"]
    fits = f"memory would do for {fit['by memory']}, processors for {fit['by processors, all at once']}"
    yield f"On {found['device']}: {found['users_within_limit']} users within the limit; {fits}. The end: {ended}."
    yield ""
    yield _row("users", "start s", "open s", "95 % below s", "run imports s", "save s", "CPU s to open", "MB each")
    yield _row(*["---"] * 8)
    for one in found["steps"]:
        times = (one[key] for key in ("start_median", "open_median", "open_p95", "run_median", "save_median"))
        processor = one["open_cpu_seconds_each"]
        yield _row(str(one["users"]), *(f"{value:.2f}" for value in (*times, processor)), str(one["memory_mb_each"]))


def _writer(found: dict) -> Iterator[str]:
    seconds, cpu = found["seconds_each"], found["cpu_seconds_each"]
    yield _row("results", "median s each", "99 % below s", "first 1,000", "last 1,000", "CPU s each (median)")
    yield _row(*["---"] * 6)
    wall = (f"{seconds[key]:.3f}" for key in ("median", "p99", "first_1000", "last_1000"))
    yield _row(f"{found['students']:,}", *wall, f"{cpu['median']:.3f}")
    memory = ", ".join(f"{mb:.0f} MB after {int(number):,}" for number, mb in found["memory_mb_after"].items())
    yield ""
    yield f"Memory: {memory}. The machine's load meanwhile: {found['load_average']}."


def _others(found: dict) -> Iterator[str]:
    yield _row("figure", "value")
    yield _row("---", "---")
    for name, value in found.items():
        if isinstance(value, int | float):
            yield _row(name.replace("_", " "), f"{value:g}")
        elif isinstance(value, dict):
            for key, one in value.items():
                value_of_one = one.get("median") if isinstance(one, dict) else one
                if isinstance(value_of_one, int | float):
                    yield _row(f"{name.replace('_', ' ')}: {key}", f"{value_of_one:g}")


def _title(name: str) -> str:
    return name.capitalize().replace("_", ": ")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
