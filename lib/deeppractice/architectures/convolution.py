"""Convolution as taught, in loops and as one matrix product, both equal to torch's; what a unit sees, a layer costs.

Source: LeCun et al. (1998), section II, for shared weights; Chellapilla et al. (2006) for the matrix product; Araujo
et al. (2019), equation 2, for the receptive field. Taught in chapter 2, in the sections on convolution.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv2d_naive(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride=1, padding=0, dilation=1, groups=1
) -> Tensor:
    r"""Convolution as its formula says, a number at a time: (B, C, H, W), (K, C / groups, U, V) -> (B, K, H', W').

    $$y_{kij} = b_k + \sum_c \sum_u \sum_v w_{kcuv}\, x_{c,\; si + du - p,\; sj + dv - p}$$

    with stride s, dilation d and padding p, and x = 0 outside of the image. (Without the flip of a mathematician's
    convolution; in signal processing this is the cross-correlation.)
    """
    rows, columns = _output_size(x, weight, stride, padding, dilation, groups)
    filters, channels, U, V = weight.shape
    x = F.pad(x, [padding] * 4)
    numbers = []
    for image in x:
        for k in range(filters):
            first = k // (filters // groups) * channels  # the group's channels, which this filter sees
            for i in range(0, rows * stride, stride):
                for j in range(0, columns * stride, stride):
                    patch = image[first : first + channels, i:, j:][:, ::dilation, ::dilation][:, :U, :V]
                    numbers.append((weight[k] * patch).sum())
    y = torch.stack(numbers).view(len(x), filters, rows, columns)
    return y if bias is None else y + bias.view(-1, 1, 1)


def conv2d_im2col(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride=1, padding=0, dilation=1, groups=1
) -> Tensor:
    """The same as one matrix product: each patch becomes a column, each filter a row (Chellapilla et al., 2006)."""
    rows, columns = _output_size(x, weight, stride, padding, dilation, groups)
    patches = F.unfold(x, weight.shape[2:], dilation, padding, stride)  # (B, C U V, N), with N = H' W'
    patches = patches.view(len(x), groups, -1, rows * columns)  # (B, G, C U V / G, N)
    filters = weight.view(groups, len(weight) // groups, -1)  # (G, K / G, C U V / G)
    y = (filters @ patches).view(len(x), len(weight), rows, columns)  # (B, G, K / G, N) -> (B, K, H', W')
    return y if bias is None else y + bias.view(-1, 1, 1)


def _output_size(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int, groups: int) -> tuple[int, int]:
    channels = weight.shape[1] * groups
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"expected (batch, {channels}, height, width), got {tuple(x.shape)}")
    if len(weight) % groups:
        raise ValueError(f"expected filters in {groups} equal groups, got {len(weight)}")
    rows, columns = (
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel in zip(x.shape[2:], weight.shape[2:], strict=True)
    )
    if min(rows, columns) < 1:
        raise ValueError(f"expected an image as large as the filter {tuple(weight.shape[2:])}, got {tuple(x.shape)}")
    return rows, columns


def receptive_field(layers: Iterable[nn.Module | tuple[int, int, int]]) -> tuple[int, int]:
    r"""Side of the window of the input that one unit of the last layer sees, and the step between two such windows.

    $$r_l = r_{l-1} + d_l (k_l - 1)\, j_{l-1}, \qquad j_l = s_l\, j_{l-1}, \qquad r_0 = j_0 = 1$$

    Both are in pixels. `layers`, from the input on, are (kernel, stride, dilation), or modules in a row, such as a
    part of `net.features`. Convolutions and poolings count, in one dimension or with square kernels; what acts on each
    unit alone does not. Of a block with branches, pass the branch. Raises a ValueError for any other layer.
    """
    size, step = 1, 1
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            layer = (*receptive_field(layer), 1)
        elif isinstance(layer, nn.Module):
            layer = _geometry(layer)
        kernel, stride, dilation = layer
        size, step = size + dilation * (kernel - 1) * step, step * stride
    return size, step


def _geometry(layer: nn.Module) -> list[int]:
    """Kernel, stride and dilation of a convolution or pooling; three times 1 for what acts on each unit alone."""
    sides = [getattr(layer, name, 1) for name in ("kernel_size", "stride", "dilation")]
    sides = [{side} if isinstance(side, int) else set(side) for side in sides]
    other = isinstance(layer, (nn.Linear, nn.Upsample)) or hasattr(layer, "output_size")  # which adaptive pools have
    if other or getattr(layer, "transposed", False) or any(True for _ in layer.children()) or max(map(len, sides)) > 1:
        raise ValueError(f"expected square convolutions and poolings in a row, got {type(layer).__name__}")
    return [side.pop() for side in sides]


class LayerCost(NamedTuple):
    """A row of `layer_costs`."""

    name: str
    kind: str
    output: tuple[int, ...]  # shape for one datum
    parameters: int
    macs: int  # multiply-accumulates for one datum


@torch.no_grad()
def layer_costs(model: nn.Module, shape: Sequence[int]) -> list[LayerCost]:
    r"""Where parameters and compute sit: a row for each layer with parameters, in the order in which they run.

    A convolution costs $K C U V / g \cdot H' W'$ multiply-accumulates and $K C U V / g$ weights; a linear map the same
    number of both. No others are counted: not attention's products, nor a recurrent layer's. Parameters used twice
    are in the first of their rows. A model made under `torch.device("meta")` takes no memory. `shape` is of one datum.
    """
    rows: list[LayerCost] = []
    counted: set[int] = set()  # ids of parameters, which layers may share

    def note(name: str, layer: nn.Module, x: Tensor, output: Tensor) -> None:
        output, macs = output[0] if isinstance(output, tuple) else output, 0
        if isinstance(layer, nn.Linear) or hasattr(layer, "transposed"):  # which convolutions have
            numbers = x if getattr(layer, "transposed", False) else output
            macs = numbers[0].numel() * layer.weight[0].numel()  # each number takes part in one filter, or is its sum
        own = [p for p in layer.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        size = sum(p.numel() for p in own)
        rows.append(LayerCost(name, type(layer).__name__, tuple(output.shape[1:]), size, macs))

    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: note(name, layer, inputs[0], output))
        for name, layer in model.named_modules()
        if any(True for _ in layer.parameters(recurse=False))
    ]
    first = next(model.parameters())
    modes = [(part, part.training) for part in model.modules()]
    try:
        model.eval()(torch.zeros(1, *shape, device=first.device, dtype=first.dtype))
    finally:
        for part, mode in modes:
            part.training = mode
        for hook in hooks:
            hook.remove()
    return rows
