"""What every generative model asks of a batch, with errors that name what was expected and what came."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def require_batch(
    model: nn.Module, x: Tensor, shape: Sequence[int], *, low: float | None = None, high: float | None = None
) -> None:
    """Check a training batch: (B, *shape), B ≥ 1, values from low to high, rows that are not all the same.

    Shapes are checked at each call. Values cost a wait for the device, so that elsewhere than on the CPU only the
    model's first batch is looked at, and none in a compiled graph.

    Raises:
        ValueError: for a batch that is not so.
    """
    if x.ndim == 0 or x.shape[1:] != tuple(shape) or len(x) == 0:
        raise ValueError(f"expected a batch of shape (batch, {', '.join(map(str, shape))}), got {tuple(x.shape)}")
    if torch.compiler.is_compiling() or (x.device.type != "cpu" and getattr(model, "_saw_a_batch", False)):
        return
    model._saw_a_batch = True
    smallest, largest = map(float, x.aminmax())
    if not (float("-inf") < smallest and largest < float("inf")):  # false for NaN, too
        raise ValueError(f"expected finite values, got some from {smallest:g} to {largest:g}")
    if (low is not None and smallest < low) or (high is not None and largest > high):
        raise ValueError(
            f"expected values from {low:g} to {high:g}, got some from {smallest:g} to {largest:g}: "
            "scale the data, or choose a model for their range"
        )
    if len(x) > 1 and smallest != largest and not (x == x[0]).all():
        return
    if len(x) > 1:
        raise ValueError(f"expected data that vary, but all {len(x)} rows of the batch are the same")
