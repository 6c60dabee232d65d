"""What a training step of our VAE costs over PyTorch's own example of one: same sizes, batches and noise, in turn.

    make bench                          on this machine's best device
    python benchmarks/generative.py --device cuda

The example (pytorch/examples, vae/main.py) is restated here: 784-400-20, Bernoulli, cross entropies of probabilities,
summed, a plain Adam, and a look at the loss at each step. A step is forward, backward and the optimizer's. Each side
runs twice: with the optimizer that it would use by itself (ours: `fit`'s fused AdamW), and both with the same plain
Adam and no look at the loss, which leaves the models. Prints a table and writes benchmarks/generative-<device>.json.
One row is one round in one process; the ratios in it are what to read, since the machines that this runs on are noisy.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.generative import VAE

BATCH, PIXELS, HIDDEN, LATENT = 128, 784, 400, 20


class Example(nn.Module):
    """The VAE of PyTorch's examples: two heads, a decoder that ends in a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, HIDDEN)
        self.mean, self.logvar = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
        self.back, self.out = nn.Linear(LATENT, HIDDEN), nn.Linear(HIDDEN, PIXELS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.hidden(x.view(-1, PIXELS)))
        mean, logvar = self.mean(h), self.logvar(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.out(F.relu(self.back(z)))), mean, logvar

    def loss(self, x: Tensor) -> Tensor:
        recon, mean, logvar = self(x)
        error = F.binary_cross_entropy(recon, x.view(-1, PIXELS), reduction="sum")
        return error - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())


def plain(model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def as_fit(model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    fused = runtime.has_fused_optimizer(device)
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=fused)


# name: model, its shape of an image, optimizer, whether each step looks at its loss
SIDES = {
    "example": (Example, (1, 28, 28), plain, True),
    "ours": (lambda: VAE((PIXELS,), LATENT, hidden=(HIDDEN,)), (PIXELS,), as_fit, False),
    "example, same optimizer": (Example, (1, 28, 28), plain, False),
    "ours, same optimizer": (lambda: VAE((PIXELS,), LATENT, hidden=(HIDDEN,)), (PIXELS,), plain, False),
}


def steps_per_second(side: str, batches: list[Tensor], steps: int, device: torch.device) -> dict[str, float]:
    """Measured on the wall; on a CPU also by the processor's time, which other processes disturb less."""
    make, shape, optimizer_of, look = SIDES[side]
    runtime.seed_everything(0)
    model = make().to(device)
    optimizer = optimizer_of(model, device)
    batches = [batch.view(-1, *shape) for batch in batches]
    value = 0.0

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    for x in batches[:5]:  # warm up
        loss = step(x)
    loss.item()
    wall, processor = time.perf_counter(), time.process_time()
    for i in range(steps):
        loss = step(batches[i % len(batches)])
        if look:
            value += loss.item()
    loss.item()  # waits for the device
    return {"wall": steps / (time.perf_counter() - wall), "processor": steps / (time.process_time() - processor)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=None, help="in a round; by default 100 on a CPU, else 1000")
    arguments = parser.parse_args()
    device = runtime.device(arguments.device)
    clock = "processor" if device.type == "cpu" else "wall"
    steps = arguments.steps or (100 if device.type == "cpu" else 1000)
    images = torch.rand(20 * BATCH, PIXELS, generator=runtime.generator(0)).to(device)
    batches = list(images.split(BATCH))

    rows = []
    for number in range(arguments.rounds):
        order = list(SIDES) if number % 2 == 0 else list(SIDES)[::-1]  # no side always goes first
        row = {side: steps_per_second(side, batches, steps, device)[clock] for side in order}
        row = {side: row[side] for side in SIDES}
        row["ratio"] = row["ours"] / row["example"]
        row["ratio, same optimizer"] = row["ours, same optimizer"] / row["example, same optimizer"]
        rows.append(row)
        print(f"round {number + 1}: " + "   ".join(f"{name} {value:.4g}" for name, value in row.items()))
    medians = {name: statistics.median(row[name] for row in rows) for name in ("ratio", "ratio, same optimizer")}
    for name, middle in medians.items():
        values = [row[name] for row in rows]
        print(f"ours against the example, {name}: median {middle:.3f}, from {min(values):.3f} to {max(values):.3f}")
    name = torch.cuda.get_device_name(device) if device.type != "cpu" else platform.processor() or platform.machine()
    result = {
        "what": f"training steps per second by the {clock}'s time: our VAE 784-400-20 (Bernoulli) against the one of "
        f"pytorch/examples, batch {BATCH}; each with its own optimizer, and both with the same plain Adam",
        "device": name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "median_ratio": round(medians["ratio"], 4),
        "median_ratio_same_optimizer": round(medians["ratio, same optimizer"], 4),
        "rounds": [{key: round(value, 4) for key, value in row.items()} for row in rows],
    }
    path = Path(__file__).with_name(f"generative-{device.type}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
