"""Networks on sets: one function for every item, and a maximum that forgets their order.

Source: Qi et al. (2017), PointNet: deep learning on point sets for 3D classification and segmentation, equation 1.
Letters: B batch, N points, D coordinates, K features or classes of a set.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PointNet(nn.Module):
    r"""A network on sets of points, the same for every order of them: (B, N, D) -> (B, K).

    $$f(\{x_1, \dots, x_N\}) = \gamma\bigl(\max_{i} h(x_i)\bigr)$$

    Args:
        local: widths of h; each layer is linear, norm, ReLU.
        head: widths of the hidden layers of $\gamma$.
        align: begin with a `TNet`, which may turn the points; the second transform, of features, is left out.
        norm: batch normalisation in each hidden layer, for h over all points of the batch.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        local: Sequence[int] = (64, 64, 64, 128, 1024),
        head: Sequence[int] = (512, 256),
        align: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.align = TNet(inputs, local=local[-3:], head=head, norm=norm) if align else None
        self.local = _stack([inputs, *local], norm)
        sizes = [local[-1], *head]
        self.head = nn.Sequential(*_stack(sizes, norm), nn.Linear(sizes[-1], outputs))

    def forward_points(self, x: Tensor) -> Tensor:
        """h of each point: (B, N, D) -> (B, N, K)."""
        if x.ndim != 3 or x.shape[-1] != self.inputs:
            raise ValueError(f"expected (batch, points, {self.inputs}), got {tuple(x.shape)}")
        if self.align is not None:
            x = x @ self.align(x)  # (B, N, D) (B, D, D)
        return self.local(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # all points of all sets in one product

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_points(x).amax(1))  # (B, N, K) -> (B, K): no order is left

    def critical(self, x: Tensor) -> Tensor:
        """For each feature, the point that has the largest value: (B, N, D) -> (B, K). A `TNet` listens to others."""
        return self.forward_points(x).argmax(1)


class TNet(PointNet):
    """A small PointNet that answers with a matrix, the identity at first: (B, N, D) -> (B, D, D)."""

    def __init__(self, inputs: int, **widths) -> None:
        super().__init__(inputs, inputs * inputs, **widths)
        nn.init.zeros_(self.head[-1].weight)
        self.head[-1].bias.data = torch.eye(inputs).flatten()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(-1, (self.inputs, self.inputs))


def _stack(sizes: Sequence[int], norm: bool) -> nn.Sequential:
    """Linear, norm, ReLU for each width after the first: (rows, sizes[0]) -> (rows, sizes[-1])."""
    layers = ([nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()] for a, b in itertools.pairwise(sizes))
    return nn.Sequential(*(part for layer in layers for part in layer if norm or not isinstance(part, nn.BatchNorm1d)))
