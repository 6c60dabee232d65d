"""Our convolutional networks beside torchvision's, or the same layers of torch's in a row.

    make bench                          on this machine's best device
    python benchmarks/architectures_convolutional.py --device cuda

The convolution as taught stands beside `F.conv2d`, and the norms as taught beside torch's: how much the fast path is
worth. How it is measured: see paired.py. Writes benchmarks/architectures_convolutional-<device>.json.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from paired import Pair, main, twins
from torch import Tensor, nn

from deeppractice.architectures import (
    BatchNorm,
    Conv,
    ConvNet,
    ConvNeXtBlock,
    DenseBlock,
    Inception,
    UNet,
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

Twins = tuple[nn.Module, nn.Module]  # ours, theirs


def all_convolutional() -> Twins:
    steps: list[nn.Module] = []
    for a, b, stride in [(3, 32, 1), (32, 32, 2), (32, 64, 1), (64, 64, 2)]:
        steps += [nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.ReLU()]
    theirs = nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return twins(ConvNet([32, Conv(32, stride=2), 64, Conv(64, stride=2)], channels=3), theirs)


def vgg() -> Twins:
    ours, theirs = ConvNet.vgg(11, hidden=(64,)), torchvision.models.vgg11(init_weights=False)
    theirs.classifier = nn.Sequential(nn.Linear(25_088, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 1000))
    return twins(ours, theirs)


def inception() -> Twins:
    ours = Inception(192, 64, (96, 128), (16, 32), 32, large=3)  # torchvision's GoogLeNet has no 5×5
    for part in ours.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 0.001
    googlenet = importlib.import_module("torchvision.models.googlenet")  # `models.googlenet` is a function
    return twins(ours, googlenet.Inception(192, 64, 96, 128, 16, 32, 32))


class Joined(nn.Module):
    """A dense block of torchvision's, which takes a list of maps."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.block = torchvision.models.densenet._DenseBlock(layers, channels, 4, growth, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def convnext() -> Twins:
    return twins(ConvNeXtBlock(64), torchvision.models.convnext.CNBlock(64, 1e-6, 0.0))


class Function(nn.Module):
    """A function of x, weight and bias as a layer."""

    def __init__(self, function: Callable, weight: Tensor, **settings) -> None:
        super().__init__()
        self.function, self.settings = function, settings
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(len(weight)))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, weight=self.weight, bias=self.bias, **self.settings)


def functions(taught: Callable, peer: Callable, *shape: int, ours: dict, theirs: dict) -> Twins:
    return Function(taught, torch.ones(shape), **ours), Function(peer, torch.ones(shape), **theirs)


def convolution(taught: Callable) -> Twins:
    return functions(taught, F.conv2d, 32, 16, 3, 3, ours={"padding": 1}, theirs={"padding": 1})


def layer() -> Twins:
    return functions(layer_norm, F.layer_norm, 64, ours={}, theirs={"normalized_shape": (64,)})


def group() -> Twins:
    return functions(group_norm, F.group_norm, 64, ours={"groups": 32}, theirs={"num_groups": 32})


class Windows(nn.Module):
    """A classifier on each window of 28 × 28, four pixels on: (B, C, H, W) -> (B, K, H', W')."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        windows = x.unfold(2, 28, 4).unfold(3, 28, 4)  # (B, C, H', W', 28, 28)
        grid = windows.shape[2:4]
        answers = self.net(windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))  # (B H' W', K)
        return answers.unflatten(0, (len(x), *grid)).permute(0, 3, 1, 2)


def windows() -> Twins:
    net = ConvNet([Conv(12, 5, padding=0), "max", Conv(24, 5, padding=0), "max"], pool=4, hidden=(64,))
    return fully_convolutional(net, 28), Windows(net)


class PlainUNet(nn.Module):
    """The U-Net as it is mostly published: two convolutions a level, written out."""

    def __init__(self, widths: Sequence[int], channels: int, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(self.twice(a, b) for a, b in pairwise([channels, *widths]))
        steps = list(pairwise(widths[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in steps)
        self.merge = nn.ModuleList(self.twice(2 * b, b) for _, b in steps)
        self.classifier = nn.Conv2d(widths[0], classes, 1)

    @staticmethod
    def twice(a: int, b: int) -> nn.Sequential:
        first = [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        return nn.Sequential(
            *first, nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        across = [self.down[0](x)]
        for down in self.down[1:]:
            across.append(down(F.max_pool2d(across[-1], 2)))
        x = across.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([across.pop(), up(x)], dim=1))
        return self.classifier(x)


PAIRS = {
    "all-convolutional, torch's layers in a row": Pair(all_convolutional, (8, 3, 32, 32), 8),
    "VGG-11, torchvision's": Pair(vgg, (4, 3, 64, 64), 3),
    "Inception block, torchvision's": Pair(inception, (4, 192, 14, 14), 6),
    "dense block, torchvision's": Pair(
        lambda: twins(DenseBlock(64, 32, 6, bottleneck=4), Joined(64, 32, 6)), (4, 64, 14, 14), 6
    ),
    "ResNet-18, torchvision's": Pair(lambda: twins(resnet18(), torchvision.models.resnet18()), (4, 3, 64, 64), 4),
    "ResNet-50, torchvision's": Pair(lambda: twins(resnet50(), torchvision.models.resnet50()), (4, 3, 64, 64), 2),
    "ConvNeXt block, torchvision's": Pair(convnext, (8, 64, 28, 28), 4),
    "fully convolutional, window by window": Pair(windows, (1, 1, 112, 140), 2),
    "U-Net, written out": Pair(lambda: twins(UNet((16, 32, 64)), PlainUNet((16, 32, 64), 1, 2)), (4, 1, 64, 64), 4),
    "as taught: im2col, F.conv2d": Pair(lambda: convolution(conv2d_im2col), (8, 16, 28, 28), 10),
    "as taught: loops, F.conv2d": Pair(lambda: convolution(conv2d_naive), (1, 16, 6, 6), 1, steady=True),
    "as taught: batch norm, nn.BatchNorm2d": Pair(
        lambda: twins(BatchNorm(64), nn.BatchNorm2d(64)), (8, 64, 28, 28), 10
    ),
    "as taught: layer norm, F.layer_norm": Pair(layer, (64, 100, 64), 10),
    "as taught: group norm, F.group_norm": Pair(group, (8, 64, 28, 28), 10),
}

if __name__ == "__main__":
    there = {name: pair for name, pair in PAIRS.items() if torchvision is not None or "torchvision" not in name}
    main(__file__, there, "models with the same weights, and what is written as taught beside torch's own", rounds=7)
