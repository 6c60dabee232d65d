"""A mixture of equal Gaussians, of which everything is known: how to draw from it, its density, its score.

Source: Metz et al. (2017), Unrolled generative adversarial networks, use such a ring to show mode collapse;
Song et al. (2021), Score-based generative modeling, for the score of noised data.
"""

import math

import torch
from torch import Tensor


class GaussianMixture:
    r"""Mixture of K equally likely isotropic Gaussians in D dimensions.

    $$p(x) = \frac1K \sum_{k=1}^K \mathcal N(x; m_k, \sigma^2 I)$$

    Args:
        means: (K, D).
        std: standard deviation of each component, in the units of x.

    Raises:
        ValueError: for means of another shape, or a std that is not positive.
    """

    def __init__(self, means: Tensor, std: float) -> None:
        if means.ndim != 2 or 0 in means.shape:
            raise ValueError(f"expected means of shape (components, dimensions), got {tuple(means.shape)}")
        if not std > 0:
            raise ValueError(f"expected a standard deviation above 0, got {std}")
        self.means, self.std = means, float(std)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, D), drawn on the device of the means."""
        where = {"generator": generator, "device": self.means.device}
        component = torch.randint(len(self.means), (n,), **where)
        noise = torch.randn(n, self.means.shape[1], dtype=self.means.dtype, **where)
        return self.means[component] + self.std * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats: (B, D) -> (B,)."""
        dimensions = self.means.shape[1]
        constant = math.log(len(self.means)) + dimensions * math.log(self.std * math.sqrt(2 * math.pi))
        return torch.logsumexp(-self._squared_distances(x) / (2 * self.std**2), dim=1) - constant

    def score(self, x: Tensor) -> Tensor:
        r"""Gradient of the log density, $\nabla_x \log p(x)$: (B, D) -> (B, D)."""
        weights = torch.softmax(-self._squared_distances(x) / (2 * self.std**2), dim=1)  # (B, K), posterior of k
        return (weights @ self.means - x) / self.std**2

    def noised(self, *, scale: float, std: float) -> "GaussianMixture":
        """The distribution of `scale * x + std * noise`, which is such a mixture again."""
        return GaussianMixture(scale * self.means, math.hypot(scale * self.std, std))

    def _squared_distances(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ValueError(f"expected (batch, {self.means.shape[1]}), got {tuple(x.shape)}")
        return (x[:, None] - self.means).square().sum(-1)  # (B, 1, D) - (K, D) -> (B, K)

    def __repr__(self) -> str:
        return f"GaussianMixture({len(self.means)} components in {self.means.shape[1]} dimensions, std {self.std:g})"


def gaussian_ring(modes: int = 8, *, radius: float = 1.0, std: float = 0.05) -> GaussianMixture:
    """The ring: `modes` Gaussians in the plane, evenly spaced on a circle.

    At the defaults neighbouring modes are 15 standard deviations apart, so that no sample belongs to two.
    """
    if modes < 1:
        raise ValueError(f"expected 1 mode or more, got {modes}")
    angle = 2 * math.pi * torch.arange(modes) / modes
    return GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], dim=1), std)
