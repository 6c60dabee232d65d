"""Measure what the gates of the mini-project `generative` stand on; its figures are copied into notes.md.

    OMP_NUM_THREADS=1 python tests/assignments/generative/measure_gates.py [seeds] [processes]

Runs the solution's own answers from the notebook, at seeds for data and training that no test uses; but two seeds of
part 6's checks are among the 24. About 25 minutes of CPU.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import cache
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ["setup", "likelihood", "free-bits", "hinge", "spectral", "coverage", "collapsed-gan", "gan-fix"]
NEEDED += ["dead-vae", "beta", "vae", "critic", "gan", "comparison", "choose"]
CHANGES = [  # of one setting of part 6
    {},
    {"generator_steps": 1},
    {"generator_steps": 2},
    {"generator_steps": 4},
    {"critic_steps": 2},
    {"critic_steps": 4},
    {"critic_steps": 8},
    {"generator_lr": 1e-3},
    {"generator_lr": 1e-4},
    {"latent": 8},
]
TRAINED = 4  # seeds in a student's own comparison


def solution() -> dict:
    """The names of the solved notebook, without the cells that only test or show."""
    names: dict = {"__name__": "__main__"}
    path = ROOT / "solutions" / "generative" / "generative.ipynb"
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
    for cell in NEEDED:
        exec(compile(cells[cell], cell, "exec"), names)
    return names


def coverage(names: dict, sampler: Callable, seed: int, **settings) -> dict[str, float]:
    """What a gate measures: coverage of the ring, and the two conditions for its counting."""
    draw = torch.Generator().manual_seed(10_000 + seed)
    known, held_back, fresh = names["ring"].sample(3000, generator=draw).split(1000)
    drawn = sampler(known, 1000, seed=100 + seed, **settings)
    untrained = sampler(known, 300, seed=100 + seed, **{**settings, "steps": 1})
    return {
        "coverage": names["density_coverage"](fresh, drawn)[1],
        "memorisation": names["memorisation"](drawn, known, held_back),
        "untrained": names["mode_count"](untrained, names["ring"].means, radius=0.15)[1],
    }


def as_checked(names: dict, seed: int) -> dict[str, float]:
    """The gates as the tests have them: rows of a class's seed, the training at seed 1; and the spread on a blob."""
    found = {}
    draw = torch.Generator().manual_seed(3_000_000 + 7919 * seed)
    known, _, fresh = names["ring"].sample(3000, generator=draw).split(1000)
    for name, sampler in (("VAE", names["vae_sampler"]), ("GAN", names["gan_sampler"])):
        drawn = sampler(known, 1000, steps=400, seed=1)
        found[f"{name}, as checked: coverage"] = names["density_coverage"](fresh, drawn)[1]
    blob = torch.tensor([1.0, -1.0]) + 0.1 * torch.randn(200, 2, generator=torch.Generator().manual_seed(9 + seed))
    spread = names["vae_sampler"](blob, 200, steps=80, seed=seed).std(0)
    return found | {"blob: smallest spread": float(spread.min()), "blob: largest spread": float(spread.max())}


def one_gaussian(train: torch.Tensor, n: int, *, steps: int, seed: int) -> torch.Tensor:
    """The naive baseline: a single Gaussian, fitted to the training rows."""
    draw = torch.Generator().manual_seed(seed)
    factor = torch.linalg.cholesky(torch.cov(train.T))
    return train.mean(0) + torch.randn(n, train.shape[1], generator=draw) @ factor.T


def parts_7_to_10(names: dict, seed: int) -> dict[str, float]:
    """The gates of the two samplers, and the schedules of part 7."""
    found = as_checked(names, seed)
    for name, sampler, steps in (
        ("VAE", names["vae_sampler"], 400),
        ("GAN", names["gan_sampler"], 400),
        ("one Gaussian", one_gaussian, 1),
    ):
        for measure, value in coverage(names, sampler, seed, steps=steps).items():
            found[f"{name}: {measure}"] = value
    schedules = {
        "as delivered": names["delivered_beta"],
        "corrected": names["beta"],
        "weight 1": lambda step, steps: 1.0,
    }
    for name, schedule in schedules.items():
        run = names["train_scan_vae"](200 + seed, schedule)
        found |= {f"part 7, {name}: active units": run["active"], f"part 7, {name}: ELBO (nats)": run["elbo"]}
    return found


def part_6(names: dict, change: dict, seed: int) -> dict[str, float]:
    """Modes hit with one setting changed."""
    run = names["train_ring_gan"](seed, {**names["delivered"], **change})
    return {f"part 6, {change}: modes": names["modes_of"](run)}


def part_11(names: dict, seed: int) -> dict[str, float]:
    """The scans' table at one seed, 1,200 steps."""
    scans = names["scans"]
    axes = torch.linalg.svd(scans - scans.mean(0), full_matrices=False)[2][:10].T
    data = scans, names["scans_held_out"], names["scans_test"], axes
    table = names["comparison"](*data, seeds=[300 + seed], steps=1200)
    return {f"part 11, scans, {m}: {measure}": values[0] for m, row in table.items() for measure, values in row.items()}


@cache
def in_this_process() -> dict:
    """The solution's names, made once in each process."""
    torch.set_num_threads(1)
    return solution()


def job(task: tuple[str, dict, int]) -> dict[str, float]:
    """One of the measurements."""
    kind, change, seed = task
    if kind == "part 6":
        return part_6(in_this_process(), change, seed)
    return (part_11 if kind == "part 11" else parts_7_to_10)(in_this_process(), seed)


def line(name: str, values: list[float]) -> str:
    x = np.array(values)
    low = x.mean() - 2 * x.std(ddof=1)
    return (
        f"{name:66} mean {x.mean():6.3f}  sd {x.std(ddof=1):5.3f}  mean - 2 sd {low:6.3f}  "
        f"lowest {x.min():6.3f}  highest {x.max():6.3f}"
    )


def verdicts(found: dict[str, list[float]], limit: float) -> str:
    """How often the rule of part 13 names which model, over the tables of four that can be made of the seeds."""
    choose, counts = solution()["choose"], {}
    names = ("coverage", "memorisation", "density")
    for picked in combinations(range(len(found["part 11, scans, vae: density"])), TRAINED):
        table = {m: {n: [found[f"part 11, scans, {m}: {n}"][i] for i in picked] for n in names} for m in ("vae", "gan")}
        taken = choose(table, {"coverage": (0.6, 1.0), "memorisation": (0.0, limit)}, "density")
        counts[taken] = counts.get(taken, 0) + 1
    return f"part 13, memorisation at most {limit}: " + ", ".join(f"{k} {v}" for k, v in counts.items())


def main(seeds: int, processes: int) -> None:
    tasks = [("part 11", {}, seed) for seed in range(seeds)] + [("parts 7 to 10", {}, seed) for seed in range(seeds)]
    tasks += [("part 6", change, 200 + seed) for change in CHANGES for seed in range(seeds)]
    found: dict[str, list[float]] = {}
    with get_context("spawn").Pool(processes) as pool:
        for answer in pool.imap(job, tasks):
            for name, value in answer.items():
                found.setdefault(name, []).append(value)
    print(f"{seeds} seeds")
    for name in sorted(found):
        print(line(name, found[name]))
    for limit in (0.6, 0.62, 0.64, 0.65, 0.66, 0.68):
        print(verdicts(found, limit))
    print(json.dumps({name: values for name, values in found.items() if "modes" in name or "active" in name}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 24, given[1] if len(given) > 1 else 2)
