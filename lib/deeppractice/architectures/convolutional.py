"""Convolutional networks: one stack whose settings are the plain, VGG, all-convolutional, Inception and dense nets.

Source: Simonyan and Zisserman (2015), table 1, for VGG; Springenberg et al. (2015) for strides in place of pooling;
Szegedy et al. (2015), figure 2b; Huang et al. (2017), equation 2. Taught in chapter 2, in the sections on convolution.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deeppractice.architectures.mlp import ACTIVATIONS
from deeppractice.architectures.normalisation import norm_layer

Pair = tuple[int, int]
VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions a stage


class Conv(NamedTuple):
    """One convolution of a `ConvNet`, with norm and activation; by default an odd kernel is padded to keep the size."""

    width: int  # channels that come out
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    padding: int | None = None

    def build(self, channels: int, norm: str, activation: str) -> list[nn.Module]:
        padding = self.dilation * (self.kernel - 1) // 2 if self.padding is None else self.padding
        bias, norms = (True, []) if norm == "none" else (False, [norm_layer(norm, self.width)])  # a norm has its own
        conv = nn.Conv2d(channels, self.width, self.kernel, self.stride, padding, self.dilation, bias=bias)
        return [conv, *norms, ACTIVATIONS[activation]()]


class Inception(nn.Module):
    """Four branches side by side, their maps concatenated: (B, C, H, W) -> (B, sum of the widths, H, W).

    1×1; 1×1 then 3×3; 1×1 then 5×5; pooling then 1×1. The 1×1 in front is the bottleneck that makes the rest cheap.
    `one`, `three`, `five` and `pool` are the branches' widths, of `three` and `five` as (bottleneck, width); `large` is
    the side of the largest filter (torchvision's GoogLeNet has 3).
    """

    def __init__(
        self, channels: int, one: int, three: Pair, five: Pair, pool: int, *, large: int = 5, norm: str = "batch"
    ) -> None:
        super().__init__()
        plans: list[list] = [[Conv(one, 1)], [Conv(three[0], 1), three[1]], [Conv(five[0], 1), Conv(five[1], large)]]
        plans.append([lambda _: nn.MaxPool2d(3, stride=1, padding=1), Conv(pool, 1)])
        self.branches = nn.ModuleList(_stack(plan, channels, norm, "relu")[0] for plan in plans)
        self.out_channels = one + three[1] + five[1] + pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class DenseBlock(nn.Module):
    r"""Each layer sees all maps before it: (B, C, H, W) -> (B, C + layers · growth, H, W).

    $$x_l = H_l([x_0, x_1, \dots, x_{l-1}]), \qquad H_l = \text{conv}_{3 \times 3} \circ \text{ReLU} \circ \text{norm}$$

    Channels are linear in the growth k, parameters quadratic: $\sum_l 9 k (C + k (l - 1))$ weights. `bottleneck` puts a
    1×1 convolution to `bottleneck` · k maps in front of each 3×3; DenseNet-121 has 4.
    """

    def __init__(self, channels: int, growth: int, layers: int, *, bottleneck: int = 0, norm: str = "batch") -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for width in range(channels, channels + layers * growth, growth):
            steps: list[nn.Module] = []
            if bottleneck:
                steps = [norm_layer(norm, width), nn.ReLU(), nn.Conv2d(width, bottleneck * growth, 1, bias=False)]
                width = bottleneck * growth
            steps += [norm_layer(norm, width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1, bias=False)]
            self.layers.append(nn.Sequential(*steps))
        self.out_channels = channels + layers * growth

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class ConvNet(nn.Module):
    r"""A stack of convolutions, then a classifier: $h_l = \phi(\text{norm}(W_l * h_{l-1} + b_l))$.

    `ConvNet([32, 32, "max", 64, "max"])` is plain; `Conv(32, stride=2)` in place of "max" makes it all-convolutional;
    `lambda c: Inception(c, 64, (96, 128), (16, 32), 32)` and `lambda c: DenseBlock(c, 12, 4)` are layers too.

    Args:
        layers: in order: a width, for a 3×3 convolution; a `Conv`; "max" or "avg", halving height and width; or a
            function that makes a module from the number of channels (its `out_channels`, if it has them, go on).
            All convolutions, these too, begin as `he_initialise` has them: load weights afterwards.
        channels: C, of the image.
        classes: K; None for no classifier: the last maps, averaged, are the output (network in network).
        norm, activation: of every convolution; names of `NORMS` and `ACTIVATIONS`.
        pool: side of the grid to which the maps are averaged; 1 is global average pooling.
        hidden, dropout: widths of the classifier's hidden layers, and the probability behind each.

    Shapes: (B, C, H, W) -> (B, K).
    """

    def __init__(
        self,
        layers: Sequence[int | str | Conv | Callable[[int], nn.Module]],
        *,
        channels: int = 1,
        classes: int | None = 10,
        norm: str = "none",
        activation: str = "relu",
        pool: int = 1,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation among {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.channels = channels
        self.features, width = _stack(layers, channels, norm, activation)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        steps: list[nn.Module] = []
        width *= pool * pool
        for units in hidden:
            steps += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.classifier = nn.Sequential(*steps, *([] if classes is None else [nn.Linear(width, classes)]))
        he_initialise(self)

    @classmethod
    def vgg(cls, depth: int = 16, *, width: int = 64, channels: int = 3, classes: int = 1000, **settings) -> "ConvNet":
        """VGG-11, 13, 16 or 19: 3×3 convolutions only; torchvision's weights load. `width` is that of stage one."""
        if depth not in VGG:
            raise ValueError(f"expected a depth among {', '.join(map(str, VGG))}, got {depth}")
        layers: list[int | str] = []
        for stage, times in enumerate(VGG[depth]):
            layers += [min(2**stage, 8) * width] * times + ["max"]
        settings = {"pool": 7, "hidden": (4096, 4096), "dropout": 0.5} | settings
        return cls(layers, channels=channels, classes=classes, **settings)

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W'): the last maps."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"expected (batch, {self.channels}, height, width), got {tuple(x.shape)}")
        return self.features(x)

    def forward_head(self, h: Tensor) -> Tensor:
        return self.classifier(self.avgpool(h).flatten(1))  # (B, C, H, W) -> (B, C · pool²) -> (B, K)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def he_initialise(model: nn.Module) -> None:
    r"""Convolutions' weights from $\mathcal N(0, 2 / (K U V))$, their biases 0 (He et al., 2015, equation 14)."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _stack(layers: Sequence, channels: int, norm: str, activation: str) -> tuple[nn.Sequential, int]:
    """The layers in a row, and the channels that come out."""
    pools = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
    steps: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, int):
            layer = Conv(layer)
        if isinstance(layer, Conv):
            steps += layer.build(channels, norm, activation)
            channels = layer.width
        elif layer in pools:
            steps.append(pools[layer](2))
        elif not callable(layer):
            raise ValueError(f"expected a layer among max, avg, a width, a Conv or a function, got {layer!r}")
        else:
            steps.append(layer(channels))
            channels = getattr(steps[-1], "out_channels", channels)
    return nn.Sequential(*steps), channels
