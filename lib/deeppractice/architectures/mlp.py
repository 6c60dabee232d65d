"""The multilayer perceptron: linear maps with a non-linearity between them.

Source: Rumelhart, Hinton, Williams (1986), Learning representations by back-propagating errors.
"""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


class MLP(nn.Module):
    r"""Multilayer perceptron.

    $$h_0 = x, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad f(x) = W_L h_{L-1} + b_L$$

    Args:
        sizes: widths of input, hidden layers and output: `[64, 128, 10]` has one hidden layer, two make a linear model.
        activation: the non-linearity, a key of `ACTIVATIONS`.
        dropout: probability of dropping each hidden unit in training mode (Srivastava et al., 2014).

    Shapes: (B, D) -> (B, K), with D = sizes[0] and K = sizes[-1]; leading dimensions may be more than one.
    Raises a ValueError for fewer than two sizes, a size below 1, or an unknown activation.
    """

    def __init__(self, sizes: Sequence[int], *, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"expected at least an input and an output size, each 1 or more, got {list(sizes)}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation among {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.sizes = tuple(sizes)
        hidden: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(sizes[:-1]):
            hidden += [nn.Linear(width_in, width_out), ACTIVATIONS[activation]()]
            if dropout:
                hidden.append(nn.Dropout(dropout))
        self.features = nn.Sequential(*hidden)
        self.head = nn.Linear(sizes[-2], sizes[-1])

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, H): the last hidden layer, what a chapter looks at."""
        if x.shape[-1] != self.sizes[0]:
            raise ValueError(f"expected (batch, {self.sizes[0]}), got {tuple(x.shape)}")
        return self.features(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x))  # (B, D) -> (B, H) -> (B, K)

    def extra_repr(self) -> str:
        return f"{' -> '.join(map(str, self.sizes))}, {sum(p.numel() for p in self.parameters()):,} parameters"
