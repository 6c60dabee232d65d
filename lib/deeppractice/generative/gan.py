"""Generative adversarial networks: a generator that is trained on what a second network, its critic, thinks of it.

Source: Goodfellow et al. (2014), Generative adversarial nets; Arjovsky et al. (2017), Wasserstein GAN; Gulrajani et al.
(2017) for the gradient penalty; Radford et al. (2015) for the convolutional networks. Taught in chapter 1, "What a GAN
plays for".
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.generative._batch import require_batch
from deeppractice.training import progress_bar

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


@dataclass
class GANHistory:
    """Losses of both players, one value for each step of the generator."""

    critic: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)


def fit_gan(
    gan: GAN,
    batches: Iterable[tuple[Tensor, ...]],
    *,
    steps: int = 1000,
    critic_steps: int = 1,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.5, 0.9),
    seed: int = 0,
    precision: str = "float32",
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> GANHistory:
    """Train both players in turn with Adam, in place; the GAN stays on the device, in evaluation mode.

    Args:
        batches: of tuples whose first item is the data; started again when they end: `minibatches(...)`, a DataLoader.
        steps: of the generator.
        critic_steps: of the critic before each of them.
        betas: of Adam; a momentum of 0.5 rather than 0.9, because the loss of each player moves with the other.
        seed: of the noise, and of the points at which a gradient penalty looks.

    Raises:
        ValueError: for no steps, or no batches.
        FloatingPointError: if a loss stops being finite; names the step and the player.
    """
    if steps < 1 or critic_steps < 1:
        raise ValueError(f"expected 1 step or more of each player, got {steps} and {critic_steps}")
    device = runtime.device(None if device is None else str(device))
    gan.to(device).train()
    fused = runtime.has_fused_optimizer(device)
    optimizers = {
        player: torch.optim.Adam(getattr(gan, player).parameters(), lr=lr, betas=betas, fused=fused)
        for player in ("critic", "generator")
    }
    noise, data = runtime.generator(seed, device), _forever(batches)
    history, looked = GANHistory(), 0
    with progress_bar(steps, progress) as advance:
        for step in range(steps):
            for _ in range(critic_steps):
                x = next(data).to(device, non_blocking=True)
                with runtime.autocast(device, precision):
                    critic = gan.critic_step_loss(x, gan.noise(len(x), generator=noise), generator=noise)
                _descend(critic, optimizers["critic"])
                if gan.loss == "wgan":
                    for weight in gan.critic.parameters():
                        weight.data.clamp_(-gan.clip, gan.clip)
            with _frozen(gan.critic):  # its gradients would be computed and thrown away
                with runtime.autocast(device, precision):
                    generator = gan.generator_step_loss(gan.noise(len(x), generator=noise))
                _descend(generator, optimizers["generator"])
            history.critic.append(critic.detach())
            history.generator.append(generator.detach())
            # Elsewhere than on the CPU each look waits for the device.
            if runtime.reads_are_free(device) or step == steps - 1 or step % 100 == 99:
                _assert_finite(history, first=looked)
                looked = step + 1
            advance()
    history.critic, history.generator = (torch.stack(v).tolist() for v in (history.critic, history.generator))
    gan.eval()
    return history


def _forever(batches: Iterable[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """The data of one batch after the other, pass after pass."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch[0]
        if empty:
            raise ValueError("expected at least one batch, got none (a generator can be read only once; give a list)")


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Parameters without gradients for the length of a block, an interrupted one included."""
    trained = [p for p in module.parameters() if p.requires_grad]
    try:
        module.requires_grad_(False)
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _assert_finite(history: GANHistory, first: int) -> None:
    """Raise for the first loss that is not finite, from the step `first` on."""
    rounds = torch.stack([torch.stack(history.critic[first:]), torch.stack(history.generator[first:])], dim=1)
    for step, values in enumerate(rounds.tolist(), start=first):
        for player, value in zip(("critic", "generator"), values, strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the {player}'s loss is {value} at step {step}: try a smaller learning rate, or another loss"
                )
