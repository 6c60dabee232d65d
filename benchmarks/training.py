"""What `fit` costs over a training loop written by hand with AdamW's defaults: same model and batches, taken in turn.

    make bench                          on this machine's best device
    python benchmarks/training.py --device cuda

Prints a table and writes benchmarks/training-<device>.json. One row is one pair of runs in one process; their ratio is
what to read, since the machines that this runs on are noisy.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from deeppractice import runtime
from deeppractice.architectures import MLP
from deeppractice.data import load
from deeppractice.training import fit, minibatches


def cross_entropy(model, x, y):
    return F.cross_entropy(model(x), y)


def by_hand(model, batches, epochs, device):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for _ in range(epochs):
        model.train()
        losses = []
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(model, x.to(device), y.to(device))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    device = runtime.device(arguments.device)
    table = load("digits")
    batches = minibatches(table.X / 16, table.y, size=64, seed=0)
    steps = arguments.epochs * len(batches)

    def model():
        runtime.seed_everything(0)
        return MLP([64, 256, 256, 10]).to(device)

    by_hand(model(), batches, 2, device)  # warm up
    rows = []
    for pair in range(arguments.pairs):
        sides = {
            "by hand": lambda m: by_hand(m, batches, arguments.epochs, device),
            "fit": lambda m: fit(m, batches, cross_entropy, epochs=arguments.epochs, device=device, progress=False),
        }
        order = list(sides) if pair % 2 == 0 else list(sides)[::-1]  # neither side always goes first
        row = {}
        for name in order:
            fresh = model()
            row[name] = steps / seconds(lambda run=sides[name], m=fresh: run(m))
        row["ratio"] = row["fit"] / row["by hand"]
        rows.append(row)
        print(
            f"pair {pair + 1}: by hand {row['by hand']:7.0f} steps/s   fit {row['fit']:7.0f}   ratio {row['ratio']:.3f}"
        )
    ratios = [row["ratio"] for row in rows]
    middle = statistics.median(ratios)
    print(f"fit against by hand: median {middle:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")
    name = torch.cuda.get_device_name(device) if device.type != "cpu" else platform.processor() or platform.machine()
    result = {
        "what": "training steps per second: fit against a loop by hand with AdamW as torch sets it up; "
        "MLP 64-256-256-10, digits, batch 64",
        "device": name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "median_ratio": round(middle, 4),
        "pairs": [{key: round(value, 4) for key, value in row.items()} for row in rows],
    }
    path = Path(__file__).with_name(f"training-{device.type}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
