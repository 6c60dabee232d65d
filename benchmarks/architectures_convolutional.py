"""Our convolutional networks beside torchvision's: forward, and forward with backward, in turn on one machine.

    make bench                          on this machine's best device
    python benchmarks/architectures_convolutional.py --device cuda

Both sides have the same weights. Each round runs each side once, in an order that turns, so that what else the machine
does meets both; the ratio is theirs over ours, above 1 where ours is the faster. The convolution as taught stands
beside `F.conv2d`, and the norms as taught beside torch's: how much the fast path is worth. Writes
benchmarks/architectures_convolutional-<device>.json.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import (
    BatchNorm,
    Conv,
    ConvNet,
    ConvNeXtBlock,
    conv2d_im2col,
    conv2d_naive,
    fully_convolutional,
    group_norm,
    layer_norm,
    resnet18,
    resnet50,
)

torchvision = None
if importlib.util.find_spec("torchvision") is not None:
    from deeppractice.data._torchvision import torchvision

Pair = tuple[nn.Module, nn.Module]  # ours, theirs


def twins(ours: nn.Module, theirs: nn.Module) -> Pair:
    """With equal weights; the same tensors stand in the same order."""
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    return ours, theirs


def vgg() -> Pair:
    ours, theirs = ConvNet.vgg(11, hidden=(64,)), torchvision.models.vgg11(init_weights=False)
    theirs.classifier = nn.Sequential(nn.Linear(25_088, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 1000))
    return twins(ours, theirs)


def convnext() -> Pair:
    return twins(ConvNeXtBlock(64), torchvision.models.convnext.CNBlock(64, 1e-6, 0.0))


class Function(nn.Module):
    """A function of x, weight and bias as a layer."""

    def __init__(self, function: Callable, weight: Tensor, **settings) -> None:
        super().__init__()
        self.function, self.settings = function, settings
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(len(weight)))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, weight=self.weight, bias=self.bias, **self.settings)


def functions(taught: Callable, peer: Callable, *shape: int, ours: dict, theirs: dict) -> Pair:
    return Function(taught, torch.ones(shape), **ours), Function(peer, torch.ones(shape), **theirs)


def convolution(taught: Callable) -> Pair:
    return functions(taught, F.conv2d, 32, 16, 3, 3, ours={"padding": 1}, theirs={"padding": 1})


def layer() -> Pair:
    return functions(layer_norm, F.layer_norm, 64, ours={}, theirs={"normalized_shape": (64,)})


def group() -> Pair:
    return functions(group_norm, F.group_norm, 64, ours={"groups": 32}, theirs={"num_groups": 32})


class Windows(nn.Module):
    """A classifier on each window of 28 × 28, four pixels on: (B, C, H, W) -> (B · windows, K)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        windows = x.unfold(2, 28, 4).unfold(3, 28, 4)  # (B, C, H', W', 28, 28)
        return self.net(windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))


def windows() -> Pair:
    net = ConvNet([Conv(12, 5, padding=0), "max", Conv(24, 5, padding=0), "max"], pool=4, hidden=(64,))
    return fully_convolutional(net, 28), Windows(net)


# name: the two sides, shape of the input, calls in a round on a CPU
PAIRS = {
    "VGG-11, torchvision's": (vgg, (4, 3, 64, 64), 3),
    "ResNet-18, torchvision's": (lambda: twins(resnet18(), torchvision.models.resnet18()), (4, 3, 64, 64), 4),
    "ResNet-50, torchvision's": (lambda: twins(resnet50(), torchvision.models.resnet50()), (4, 3, 64, 64), 2),
    "ConvNeXt block, torchvision's": (convnext, (8, 64, 28, 28), 4),
    "fully convolutional, window by window": (windows, (1, 1, 112, 140), 2),
    "as taught: im2col, F.conv2d": (lambda: convolution(conv2d_im2col), (8, 16, 28, 28), 10),
    "as taught: loops, F.conv2d": (lambda: convolution(conv2d_naive), (1, 16, 6, 6), 1),
    "as taught: batch norm, nn.BatchNorm2d": (lambda: twins(BatchNorm(64), nn.BatchNorm2d(64)), (8, 64, 28, 28), 10),
    "as taught: layer norm, F.layer_norm": (layer, (64, 100, 64), 10),
    "as taught: group norm, F.group_norm": (group, (8, 64, 28, 28), 10),
}


def seconds(side: nn.Module, x: Tensor, calls: int, *, backward: bool) -> float:
    """Of one call: the processor's time on a CPU, which other processes disturb less, else on the wall."""
    on_cpu = x.device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    side(x)  # warm up
    _wait(x.device)
    start = clock()
    for _ in range(calls):
        with torch.set_grad_enabled(backward):
            out = side(x)
        if backward:
            out.sum().backward()
    _wait(x.device)
    return (clock() - start) / calls


def _wait(device: torch.device) -> None:
    torch.zeros(1, device=device).item()  # comes behind all that was asked of the device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    device = runtime.device(arguments.device)
    torch.set_num_threads(1)
    figures: dict[str, dict] = {}
    for name, (make, shape, calls) in PAIRS.items():
        if torchvision is None and "torchvision" in name:
            print(f"{name}: left out, torchvision is not there")
            continue
        runtime.seed_everything(0)
        sides = [side.to(device) for side in make()]
        x = torch.randn(shape, device=device).requires_grad_()
        calls = calls if device.type == "cpu" or calls == 1 else 20 * calls
        for what, backward in (("forward", False), ("forward and backward", True)):
            ratios = []
            for number in range(arguments.rounds):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                taken = {i: seconds(sides[i], x, calls, backward=backward) for i in order}
                ratios.append(taken[1] / taken[0])
            middle = statistics.median(ratios)
            figures[f"{name}, {what}"] = {"median": round(middle, 4), "rounds": [round(r, 4) for r in ratios]}
            print(f"{name}, {what}: {middle:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}", flush=True)
    clock = "processor" if device.type == "cpu" else "wall"
    result = {
        "what": f"how many times as fast as the peer, by the {clock}'s time: models with the same weights, and what is "
        "written as taught beside torch's own",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
        "times as fast": figures,
    }
    path = Path(__file__).with_name(f"architectures_convolutional-{device.type}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
