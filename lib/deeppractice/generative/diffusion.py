"""A diffusion model: data are drowned in noise step by step, and a network learns to predict the noise.

Source: Ho et al. (2020), Denoising diffusion probabilistic models, for the loss; Song et al. (2021), Score-based
generative modeling through stochastic differential equations, for the schedule and the score; Song, Meng and Ermon
(2021), Denoising diffusion implicit models, for the sampler. Taught in chapter 1, "Diffusion, the third way".
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deeppractice.generative._batch import require_batch

BETA_MIN, BETA_MAX = 0.1, 20.0  # rate of noising at t = 0 and at t = 1 (Song et al., 2021, appendix C)


class Denoiser(nn.Module):
    """A multilayer perceptron that is told the time: (B, *shape), (B,) -> (B, *shape).

    Time enters as sines and cosines of several frequencies, added to each hidden layer; hidden layers are residual.
    """

    def __init__(self, shape: Sequence[int] = (2,), *, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.shape, size = tuple(shape), math.prod(shape)
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(6))
        self.time = nn.Sequential(nn.Linear(12, width), nn.SiLU(), nn.Linear(width, width))
        self.first, self.last = nn.Linear(size, width), nn.Linear(width, size)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies  # (B,) -> (B, 6)
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))  # (B, 12) -> (B, width)
        h = self.first(x.flatten(1))
        for block in self.blocks:
            h = h + block(nn.functional.silu(h + time))
        return self.last(nn.functional.silu(h)).view(x.shape)


class Diffusion(nn.Module):
    r"""Diffusion model with a variance-preserving schedule.

    $$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, \qquad
      \bar\alpha_t = \exp\bigl(-\beta_{\min} t - \tfrac12 (\beta_{\max} - \beta_{\min}) t^2\bigr), \qquad t \in [0, 1]$$

    Args:
        shape: of one datum; the data should have a standard deviation of about 1.
        network: predicts the noise from the noised data and the time, (B, *shape), (B,) -> (B, *shape); by default a
            `Denoiser` with the given width and depth.
    """

    def __init__(
        self, shape: Sequence[int] = (2,), *, network: nn.Module | None = None, width: int = 128, depth: int = 3
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.network = Denoiser(shape, width=width, depth=depth) if network is None else network

    def signal(self, t: Tensor) -> Tensor:
        r"""$\bar\alpha_t$, the share of the variance that is still signal: any shape -> the same."""
        return torch.exp(-BETA_MIN * t - 0.5 * (BETA_MAX - BETA_MIN) * t.square())

    def noised(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The data at time t: (B, *shape), (B,), (B, *shape) -> (B, *shape)."""
        signal = self.signal(t).view(-1, *[1] * len(self.shape))
        return signal.sqrt() * x + (1 - signal).sqrt() * noise

    def loss(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        r"""Mean squared error $(\epsilon_\theta(x_t, t) - \epsilon)^2$ at one random t for each datum: scalar.

        Source: Ho et al. (2020), equation 14.

        Raises:
            ValueError: for a batch that is empty, constant, not finite or of another shape.
        """
        require_batch(self, x, self.shape)
        t = torch.empty(len(x), device=x.device, dtype=x.dtype).uniform_(1e-3, 1, generator=generator)
        noise = torch.empty_like(x).normal_(generator=generator)
        return (self.network(self.noised(x, t, noise), t) - noise).square().mean()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The noise in x, as the network sees it: (B, *shape), (B,) -> (B, *shape)."""
        return self.network(x, t)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        r"""Gradient of the log density at time t, $-\epsilon_\theta(x, t) / \sqrt{1 - \bar\alpha_t}$.

        (B, *shape), (B,) -> (B, *shape).
        """
        return -self(x, t) / (1 - self.signal(t)).sqrt().view(-1, *[1] * len(self.shape))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        steps: int = 50,
        eta: float = 1.0,
        limit: float | None = None,
        start: Tensor | None = None,
        generator: torch.Generator | None = None,
        path: bool = False,
    ) -> Tensor:
        """Draw by removing noise step by step: (n, *shape).

        Args:
            steps: evaluations of the network.
            eta: 1 adds fresh noise at each step as Ho et al. (2020) do, 0 none, so that the result is a function of
                the start (Song, Meng and Ermon, 2021, equations 12 and 16).
            limit: cut each guess of the data to -limit to limit, for data that have such bounds. Near t = 1 the guess
                divides by almost nothing, and a network that is a little wrong there can throw a sample far off.
            start: the noise to start from, (n, *shape), instead of a fresh draw.
            path: return all stages, (steps + 1, n, *shape), the noise first.

        Raises:
            ValueError: for no steps, an eta outside [0, 1], a limit that is not positive, or a start of another shape.
        """
        if steps < 1 or not 0 <= eta <= 1:
            raise ValueError(f"expected 1 step or more and an eta from 0 to 1, got {steps} and {eta}")
        if limit is not None and not limit > 0:
            raise ValueError(f"expected a limit above 0, got {limit}")
        if start is not None and start.shape != (n, *self.shape):
            raise ValueError(f"expected a start of shape {(n, *self.shape)}, got {tuple(start.shape)}")
        weight = next(self.parameters(), torch.empty(()))
        draw = {"generator": generator, "device": weight.device, "dtype": weight.dtype}
        x = torch.randn(n, *self.shape, **draw) if start is None else start
        # Finer steps near the data, where most is decided (Song, Meng and Ermon, 2021, appendix D.2); at even ones the
        # modes of a sharp distribution come out too narrow. In float64, since 1 - signal is nearly 0 there.
        times = torch.linspace(1, 0, steps + 1, dtype=torch.float64).square()
        schedule = zip(times.tolist(), self.signal(times).tolist(), strict=True)
        stages = [x]
        for (t, signal), (_, signal_next) in itertools.pairwise(schedule):
            noise = self(x, x.new_full((n,), t))
            clean = (x - math.sqrt(1 - signal) * noise) / math.sqrt(signal)  # the network's guess of x at t = 0
            if limit is not None:
                clean = clean.clamp(-limit, limit)
                noise = (x - math.sqrt(signal) * clean) / math.sqrt(1 - signal)
            fresh = eta * math.sqrt((1 - signal_next) / (1 - signal) * (1 - signal / signal_next))
            x = math.sqrt(signal_next) * clean + math.sqrt(max(0.0, 1 - signal_next - fresh**2)) * noise
            if eta:
                x = x + fresh * torch.randn(x.shape, **draw)
            stages.append(x)
        return torch.stack(stages) if path else x

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
