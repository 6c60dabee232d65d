"""Generative adversarial networks: a generator that is trained on what a second network, its critic, thinks of it.

Source: Goodfellow et al. (2014), Generative adversarial nets; Arjovsky et al. (2017), Wasserstein GAN; Gulrajani et al.
(2017) for the gradient penalty; Radford et al. (2015) for the convolutional networks. Taught in chapter 1, "What a GAN
plays for".
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.generative._batch import require_batch

LOSSES = ("non-saturating", "saturating", "wgan", "wgan-gp")


def critic_loss(name: str, real: Tensor, fake: Tensor) -> Tensor:
    r"""What the discriminator, or critic, minimises, from its outputs on real and generated data: (B,), (B,) -> scalar.

    With $D = \operatorname{sigmoid}(d)$ for the logits d: $-\mathbb E \log D(x) - \mathbb E \log(1 - D(G(z)))$
    (Goodfellow et al., 2014, equation 1), the same for the saturating and the non-saturating game. For the Wasserstein
    losses $-\mathbb E d(x) + \mathbb E d(G(z))$ (Arjovsky et al., 2017, equation 2).
    """
    if name.startswith("wgan"):
        return fake.mean() - real.mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()  # -log D(x) and -log(1 - D(G(z)))


def generator_loss(name: str, fake: Tensor) -> Tensor:
    r"""What the generator minimises, from the critic's outputs on its data: (B,) -> scalar.

    Non-saturating $-\mathbb E \log D(G(z))$; saturating $\mathbb E \log(1 - D(G(z)))$, whose gradient vanishes where D
    is sure (Goodfellow et al., 2014, section 3); Wasserstein $-\mathbb E d(G(z))$.
    """
    if name == "non-saturating":
        return F.softplus(-fake).mean()
    if name == "saturating":
        return -F.softplus(fake).mean()
    return -fake.mean()


def gradient_penalty(
    critic: nn.Module, real: Tensor, fake: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Mean of $(\lVert \nabla_{\hat x} d(\hat x) \rVert_2 - 1)^2$ on random points between real and generated data.

    (B, *shape), (B, *shape) -> scalar. Source: Gulrajani et al. (2017), equation 3.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator, device=real.device, dtype=real.dtype)
    between = (share * real + (1 - share) * fake.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


class GAN(nn.Module):
    """A generator, its critic, and the game that they play.

    Args:
        generator: (B, latent) -> (B, *shape).
        critic: (B, *shape) -> (B, 1) or (B,): logits, or for the Wasserstein losses any number. `mlp` and `dcgan` make
            pairs.
        latent: dimensions of the noise z, standard normal.
        loss: one of `LOSSES`. "wgan" clips the critic's weights to [-clip, clip]; "wgan-gp" adds
            `penalty` times the gradient penalty.
        low, high: the range of the generator's data, if it is bounded; real data outside are refused.

    Raises:
        ValueError: for an unknown loss.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        latent: int,
        *,
        loss: str = "non-saturating",
        clip: float = 0.01,
        penalty: float = 10.0,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"expected a loss among {', '.join(LOSSES)}, got {loss!r}")
        self.generator, self.critic, self.latent = generator, critic, latent
        self.loss, self.clip, self.penalty, self.low, self.high = loss, clip, penalty, low, high

    @classmethod
    def mlp(
        cls, features: int = 2, latent: int = 2, *, hidden: Sequence[int] = (128, 128), critic_hidden=None, **settings
    ) -> "GAN":
        """Two multilayer perceptrons; `critic_hidden` where the critic's hidden widths are others than `hidden`."""
        critic_hidden = hidden if critic_hidden is None else critic_hidden
        generator = _leaky([latent, *hidden, features])
        return cls(generator, _leaky([features, *critic_hidden, 1]), latent, **settings)

    @classmethod
    def dcgan(cls, shape: Sequence[int] = (1, 28, 28), latent: int = 16, *, width: int = 32, **settings) -> "GAN":
        """Two strided convolutions each way, after the guidelines of Radford et al. (2015); values from -1 to 1.

        Strided convolutions instead of pooling; batch normalisation in both networks, except at the generator's output
        and the critic's input; ReLU and tanh in the generator, leaky ReLU in the critic; weights from N(0, 0.02²).
        Image sides must be multiples of 4. A gradient penalty looks at one datum at a time, so with "wgan-gp" the
        critic has no batch normalisation.
        """
        channels, height, breadth = shape
        if height % 4 or breadth % 4:
            raise ValueError(f"expected image sides that are multiples of 4, got {height} x {breadth}")
        small = (2 * width, height // 4, breadth // 4)
        generator = nn.Sequential(
            nn.Linear(latent, math.prod(small), bias=False),
            nn.Unflatten(1, small),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        critic = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.Identity() if settings.get("loss") == "wgan-gp" else nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(math.prod(small), 1),
        )
        for part in (*generator, *critic):
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(part.weight, std=0.02)
        return cls(generator, critic, latent, low=-1.0, high=1.0, **settings)

    def noise(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """z from the prior, on the generator's device: (n, latent)."""
        weight = next(self.generator.parameters())
        return torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype)

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> (B, *shape)."""
        return self.generator(z)

    def critic_step_loss(self, x: Tensor, z: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """The critic's loss on real data x and the data made of z, with the penalty if there is one: scalar.

        `generator` draws the points at which the penalty looks.

        Raises:
            ValueError: for a batch that is empty, constant, not finite, or of another shape or range than the
                generator's data.
        """
        fake = self.generator(z).detach()
        require_batch(self, x, fake.shape[1:], low=self.low, high=self.high)
        loss = critic_loss(self.loss, self._judge(x, x.dtype), self._judge(fake, x.dtype))
        if self.loss == "wgan-gp":
            loss = loss + self.penalty * gradient_penalty(self.critic, x, fake, generator=generator)
        return loss

    def generator_step_loss(self, z: Tensor) -> Tensor:
        """The generator's loss on the data made of z."""
        return generator_loss(self.loss, self._judge(self.generator(z), z.dtype))

    def _judge(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The critic's outputs, in a dtype in which a loss keeps its digits: (B, *shape) -> (B,)."""
        return self.critic(x).flatten().to(dtype)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape), in evaluation mode; the mode is restored."""
        mode = self.generator.training
        try:
            return self.generator.eval()(self.noise(n, generator=generator))
        finally:
            self.generator.train(mode)

    def extra_repr(self) -> str:
        return f"latent={self.latent}, loss={self.loss!r}"


def _leaky(sizes: Sequence[int]) -> nn.Sequential:
    """A multilayer perceptron with leaky ReLUs: where a ReLU is dead, the critic could tell the generator nothing."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])
