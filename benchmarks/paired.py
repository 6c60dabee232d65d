"""Two sides of a comparison, ours and a peer's, run in turn on one machine: what the benchmarks of architectures share.

Both sides have the same weights. Forward is in evaluation mode without gradients, as in use; forward with backward as
in training. Each round runs each side once, in an order that turns, so that what else the machine does meets both; the
ratio is theirs over ours, above 1 where ours is the faster.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deeppractice import runtime

Side = nn.Module | tuple[nn.Module, Callable[[Tensor], Tensor]]  # a module, and how it is called if not by itself
KINDS = {"forward": False, "forward and backward": True}  # whether with gradients


class Pair(NamedTuple):
    """Two sides and what they are given."""

    make: Callable[[], tuple[Side, Side]]  # ours, theirs
    shape: tuple[int, ...]  # of the input
    calls: int  # in a round on a CPU
    kinds: tuple[str, ...] = tuple(KINDS)
    steady: bool = False  # as many calls on a GPU, which makes twenty times as many otherwise


def twins(ours: nn.Module, theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    """With equal weights; the same tensors stand in the same order, some in another shape."""
    state, values = ours.state_dict(), theirs.state_dict().values()
    ours.load_state_dict({name: b.reshape(a.shape) for (name, a), b in zip(state.items(), values, strict=True)})
    return ours, theirs


def called(side: Side) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    return (side, side) if isinstance(side, nn.Module) else side


def seconds(side: Side, x: Tensor, calls: int, *, backward: bool) -> float:
    """Of one call: the processor's time on a CPU, which other processes disturb less, else on the wall."""
    module, call = called(side)
    module.train(backward)
    clock = time.process_time if x.device.type == "cpu" else time.perf_counter
    with torch.set_grad_enabled(backward):
        call(x)  # warm up
        _wait(x.device)
        start = clock()
        for _ in range(calls):
            out = call(x)
            if backward:
                out.sum().backward()
        _wait(x.device)
    return (clock() - start) / calls


def _wait(device: torch.device) -> None:
    torch.zeros(1, device=device).item()  # comes behind all that was asked of the device


def measure(pair: Pair, device: torch.device, rounds: int) -> dict[str, list[float]]:
    """The ratios of all rounds, for each kind."""
    runtime.seed_everything(0)
    sides = [(module.to(device), call) for module, call in map(called, pair.make())]
    x = torch.randn(pair.shape, device=device).requires_grad_()
    calls = pair.calls if device.type == "cpu" or pair.steady else 20 * pair.calls
    found: dict[str, list[float]] = {}
    for kind in pair.kinds:
        found[kind] = []
        for number in range(rounds):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            taken = {i: seconds(sides[i], x, calls, backward=KINDS[kind]) for i in order}
            found[kind].append(taken[1] / taken[0])
    return found


def processor() -> str:
    """What the machine's processor calls itself, and how many there are."""
    cards = Path("/proc/cpuinfo")
    lines = cards.read_text().splitlines() if cards.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors"


def main(script: str, pairs: dict[str, Pair], what: str, *, rounds: int = 9) -> None:
    """Measure them all and write NAME-DEVICE.json beside the script, NAME.py.

    Args:
        what: is compared, behind "how many times as fast as the peer".
    """
    description = f"How many times as fast as the peer: {what}."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", default="", metavar="TEXT", help="pairs with this in their name; writes nothing")
    arguments = parser.parse_args()
    device = runtime.device(arguments.device)
    torch.set_num_threads(1)
    figures: dict[str, dict] = {}
    for name, pair in pairs.items():
        if arguments.only not in name:
            continue
        for kind, ratios in measure(pair, device, arguments.rounds).items():
            middle = statistics.median(ratios)
            figures[f"{name}, {kind}"] = {"median": round(middle, 4), "rounds": [round(r, 4) for r in ratios]}
            print(f"{name}, {kind}: {middle:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}", flush=True)
    if arguments.only:
        return
    clock = "processor" if device.type == "cpu" else "wall"
    result = {
        "what": f"how many times as fast as the peer, by the {clock}'s time, forward in evaluation mode: {what}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
        "times as fast": figures,
    }
    path = Path(script).with_name(f"{Path(script).stem}-{device.type}.json")
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
