"""Where an item stands in its sequence: attention by itself can't tell, since it averages over a set.

Source: Vaswani et al. (2017), Attention is all you need, section 3.5; Su et al. (2021), RoFormer.
"""

import torch
from torch import Tensor, nn

POSITIONS = ("rotary", "sinusoidal", "learned", "none")


def rotary_angles(positions: Tensor, width: int, *, base: float = 10_000.0) -> Tensor:
    r"""Angles at each position, one for a pair of features, as cosines and sines: (T,) -> (2, T, d/2), d = width.

    $$\theta_{t, i} = t \cdot \text{base}^{-2i/d}, \qquad i = 0, \dots, d/2 - 1$$

    Whole numbers are taken in float32: bf16 can't tell position 257 from 256. Raises a ValueError for an odd width.
    Source: Su et al. (2021), section 3.2.2.
    """
    if width % 2:
        raise ValueError(f"expected an even width, a pair of features for each angle, got {width}")
    t = positions if positions.is_floating_point() else positions.float()
    angles = t.unsqueeze(-1) * base ** (-torch.arange(0, width, 2, device=t.device, dtype=t.dtype) / width)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    r"""Turn each pair of neighbouring features by its position's angle: (..., T, d), (2, T, d/2) -> (..., T, d).

    $$x_{2i} \mapsto x_{2i} \cos\theta_{t,i} - x_{2i+1} \sin\theta_{t,i}, \qquad
      x_{2i+1} \mapsto x_{2i} \sin\theta_{t,i} + x_{2i+1} \cos\theta_{t,i}$$

    The product of a turned query and a turned key depends on their distance alone (Su et al., 2021, equation 34).
    """
    cos, sin = angles
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).to(x.dtype)


def sinusoidal_positions(positions: Tensor, width: int) -> Tensor:
    r"""What is added to the items where positions are absolute and not learned: (T,) -> (T, D).

    $$p_{t, 2i} = \sin\theta_{t, i}, \qquad p_{t, 2i+1} = \cos\theta_{t, i}$$

    with the angles of `rotary_angles`. Source: Vaswani et al. (2017), section 3.5.
    """
    cos, sin = rotary_angles(positions, width)
    return torch.stack([sin, cos], dim=-1).flatten(-2)


class Embedding(nn.Module):
    """Tokens as vectors, with the positions `start`, `start` + 1, ...: (B, T) -> (B, T, D), and angles if rotary."""

    def __init__(self, vocabulary: int, width: int, heads: int, *, positions: str, length: int) -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise ValueError(f"expected positions among {', '.join(POSITIONS)}, got {positions!r}")
        self.tokens, self.positions, self.head_width = nn.Embedding(vocabulary, width), positions, width // heads
        self.learned = nn.Embedding(length, width) if positions == "learned" else None

    def forward(self, tokens: Tensor, start: int = 0) -> tuple[Tensor, Tensor | None]:
        if tokens.ndim != 2:
            raise ValueError(f"expected (batch, time), got {tuple(tokens.shape)}")
        x, stop = self.tokens(tokens), start + tokens.shape[1]
        if self.learned is not None:
            if stop > self.learned.num_embeddings:
                raise ValueError(f"expected {self.learned.num_embeddings} learned positions at most, got {stop}")
            return x + self.learned.weight[start:stop], None
        places = torch.arange(start, stop, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32))
        if self.positions == "sinusoidal":
            return x + sinusoidal_positions(places, x.shape[-1]).to(x.dtype), None
        return x, rotary_angles(places, self.head_width) if self.positions == "rotary" else None
