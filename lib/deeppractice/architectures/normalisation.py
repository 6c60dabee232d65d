"""Normalisation as taught: batch, layer and group norm from their formulas, beside torch's own, which models use.

All three standardise; they differ in what they average over. Batch norm takes each channel over the batch, so that a
datum's output depends on its neighbours; layer and group norm take each datum alone, in training and evaluation alike.

Source: Ioffe and Szegedy (2015), algorithms 1 and 2; Ba, Kiros and Hinton (2016), equation 3; Wu and He (2018),
equations 1 to 4 and 7. Taught in chapter 2, in the sections on depth.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

NORMS = ("batch", "layer", "group", "none")


def norm_layer(name: str, channels: int) -> nn.Module:
    """The layer of torch that the models here put behind a convolution: (B, C, H, W) -> the same.

    `name` is one of `NORMS`. "group" has 32 groups, or as many as 32 and the channels have as a common divisor; "layer"
    is one group, over channels and positions together.
    """
    if name not in NORMS:
        raise ValueError(f"expected a norm among {', '.join(NORMS)}, got {name!r}")
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "none":
        return nn.Identity()
    return nn.GroupNorm(1 if name == "layer" else math.gcd(32, channels), channels)


def standardise(x: Tensor, dims: Sequence[int], *, eps: float = 1e-5) -> Tensor:
    r"""Mean 0 and variance 1 over `dims`: any shape -> the same.

    $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2$$
    """
    wide = _wide(x)
    var, mean = torch.var_mean(wide, list(dims), correction=0, keepdim=True)
    return ((wide - mean) / (var + eps).sqrt()).to(x.dtype)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, *, eps: float = 1e-5) -> Tensor:
    r"""$\gamma \odot \hat x + \beta$ over the last dimensions, the weight's: (..., D), (D,), (D,) -> (..., D)."""
    if x.shape[x.ndim - weight.ndim :] != weight.shape:
        raise ValueError(f"expected (..., {', '.join(map(str, weight.shape))}), got {tuple(x.shape)}")
    return standardise(x, range(-weight.ndim, 0), eps=eps) * weight + bias


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, *, eps: float = 1e-5) -> Tensor:
    r"""$\gamma_c \hat x + \beta_c$ over a group's channels and positions: (B, C, ...), (C,), (C,) -> (B, C, ...)."""
    if x.shape[1] % groups:
        raise ValueError(f"expected channels in {groups} equal groups, got {tuple(x.shape)}")
    grouped = x.reshape(len(x), groups, -1)  # (B, C, ...) -> (B, G, N)
    return standardise(grouped, [2], eps=eps).view(x.shape) * _channels(weight, x) + _channels(bias, x)


class BatchNorm(nn.Module):
    r"""Batch normalisation, over the batch and all positions: (B, C, ...) -> the same, for any number of positions.

    $$y = \gamma_c \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c$$

    In training $\mu_c, \sigma_c^2$ are the batch's; in evaluation they are running averages, which training updates:

    $$m_c \leftarrow (1 - \alpha)\, m_c + \alpha\, \mu_c, \qquad
      v_c \leftarrow (1 - \alpha)\, v_c + \alpha\, \tfrac{n}{n - 1} \sigma_c^2$$

    with `momentum` $\alpha$ and n values a channel: the output uses the biased variance, the average the unbiased one,
    as in torch. The state has the names of `nn.BatchNorm2d`.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.momentum, self.eps = channels, momentum, eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.channels:
            raise ValueError(f"expected (batch, {self.channels}, ...), got {tuple(x.shape)}")
        wide = _wide(x)
        if self.training:
            n = x.numel() // self.channels
            if n < 2:
                raise ValueError(f"expected 2 values a channel or more to train on, got {tuple(x.shape)}")
            var, mean = torch.var_mean(wide, [d for d in range(x.ndim) if d != 1], correction=0)  # (C,), (C,)
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_((var * n / (n - 1)).to(self.running_var.dtype), self.momentum)
                self.num_batches_tracked += 1
        else:
            mean, var = self.running_mean, self.running_var
        hat = (wide - _channels(mean, x)) / (_channels(var, x) + self.eps).sqrt()
        return (_channels(self.weight, x) * hat + _channels(self.bias, x)).to(x.dtype)


def _channels(value: Tensor, x: Tensor) -> Tensor:
    """(C,) -> (C, 1, ...), so that it meets the channels of x."""
    return value.view(-1, *[1] * (x.ndim - 2))


def _wide(x: Tensor) -> Tensor:
    """Sums over many values need more digits than bf16 has."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
