"""The variational autoencoder: a decoder that turns noise into data, and an encoder that guesses which noise it was.

Source: Kingma and Welling (2014), Auto-encoding variational Bayes; Higgins et al. (2017) for beta; Burda et al. (2016)
for the importance-weighted bound and active units. Taught in chapter 1, "What a VAE maximises".
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures import MLP
from deeppractice.generative._batch import require_batch

LIKELIHOODS = ("bernoulli", "gaussian")


class VAE(nn.Module):
    r"""Variational autoencoder with a standard normal prior.

    $$z \sim \mathcal N(0, I), \qquad x \sim p_\theta(x \mid z), \qquad
      q_\phi(z \mid x) = \mathcal N(\mu_\phi(x), \operatorname{diag} \sigma_\phi^2(x))$$

    Args:
        shape: of one datum: `(64,)`, or `(1, 28, 28)` for images.
        latent: dimensions L of z.
        hidden: widths of the hidden layers of the encoder; the decoder has them in reverse. Empty: both are linear.
        likelihood: "bernoulli" for values from 0 to 1 (the network gives logits), "gaussian" for any (it gives means).
        std: standard deviation of the Gaussian likelihood, in the units of x.
        encoder, decoder: other networks, (B, *shape) -> (B, 2L) and (B, L) -> (B, *shape), instead of `hidden`.

    Raises:
        ValueError: for an unknown likelihood, a latent size below 1, or a std that is not positive; from `loss`, for a
            batch that is empty, of another shape, constant, or with values that the likelihood excludes.
    """

    def __init__(
        self,
        shape: Sequence[int] = (64,),
        latent: int = 8,
        *,
        hidden: Sequence[int] = (128,),
        likelihood: str = "bernoulli",
        std: float = 1.0,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"expected a likelihood among {', '.join(LIKELIHOODS)}, got {likelihood!r}")
        if latent < 1 or not std > 0:
            raise ValueError(f"expected 1 latent dimension or more and a std above 0, got {latent} and {std}")
        self.shape, self.latent, self.likelihood, self.std = tuple(shape), latent, likelihood, float(std)
        size = math.prod(self.shape)
        if encoder is None:
            encoder = nn.Sequential(nn.Flatten(), MLP([size, *hidden, 2 * latent]))
        if decoder is None:
            decoder = nn.Sequential(MLP([latent, *reversed(hidden), size]), nn.Unflatten(1, self.shape))
        self.encoder, self.decoder = encoder, decoder

    @classmethod
    def convolutional(
        cls, shape: Sequence[int] = (1, 28, 28), latent: int = 8, *, width: int = 32, **settings
    ) -> "VAE":
        """With two strided convolutions each way; image sides must be multiples of 4."""
        channels, height, breadth = shape
        if height % 4 or breadth % 4:
            raise ValueError(f"expected image sides that are multiples of 4, got {height} x {breadth}")
        small = (2 * width, height // 4, breadth // 4)
        encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(small), 2 * latent),
        )
        decoder = nn.Sequential(
            nn.Linear(latent, math.prod(small)),
            nn.ReLU(),
            nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        )
        return cls(shape, latent, encoder=encoder, decoder=decoder, **settings)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x): (B, *shape) -> (B, L), (B, L)."""
        if x.shape[1:] != self.shape or len(x) == 0:
            raise ValueError(f"expected (batch, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}")
        return self.encoder(x).to(x.dtype).chunk(2, dim=1)  # in bf16, sums and variances would lose digits

    def decode(self, z: Tensor) -> Tensor:
        """Means of p(x|z), for Bernoulli probabilities: (B, L) -> (B, *shape)."""
        out = self.decoder(z)
        return out.sigmoid() if self.likelihood == "bernoulli" else out

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction from the mean of q(z|x): (B, *shape) -> (B, *shape)."""
        return self.decode(self.encode(x)[0])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        r"""$\log p_\theta(x \mid z)$ in nats, summed over the dimensions of x: (B, *shape), (B, L) -> (B,)."""
        out = self.decoder(z).to(x.dtype)
        if self.likelihood == "bernoulli":
            terms = -F.binary_cross_entropy_with_logits(out, x, reduction="none")
        else:
            terms = -0.5 * ((x - out) / self.std).square() - math.log(self.std * math.sqrt(2 * math.pi))
        return terms.flatten(1).sum(1)

    def terms(self, x: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The two terms of the ELBO, with one z for each x: log p(x|z) of shape (B,), and the KL a unit, (B, L)."""
        mean, logvar = self.encode(x)
        z = reparameterise(mean, logvar, generator=generator)
        return self.log_likelihood(x, z), kl_to_standard_normal(mean, logvar)

    def elbo(self, x: Tensor, *, beta: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        r"""Evidence lower bound of each datum in nats, estimated with one z: (B, *shape) -> (B,).

        $$\mathbb E_{q_\phi(z \mid x)} \log p_\theta(x \mid z) - \beta \, \mathrm{KL}(q_\phi(z \mid x) \,\|\, p(z))$$
        """
        log_likelihood, kl = self.terms(x, generator=generator)
        return log_likelihood - beta * kl.sum(1)

    def loss(self, x: Tensor, beta: float = 1.0) -> Tensor:
        """What `fit` minimises: the mean negative ELBO of a batch, whose shape and values are checked."""
        bounds = {"low": 0.0, "high": 1.0} if self.likelihood == "bernoulli" else {}
        require_batch(self, x, self.shape, **bounds)
        return -self.elbo(x, beta=beta).mean()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Means of p(x|z) for n draws of z from the prior: (n, *shape)."""
        weight = next(self.parameters())
        return self.decode(torch.randn(n, self.latent, generator=generator, device=weight.device, dtype=weight.dtype))

    def extra_repr(self) -> str:
        return f"shape={self.shape}, latent={self.latent}, likelihood={self.likelihood!r}"


def reparameterise(mean: Tensor, logvar: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    r"""A draw from q(z|x) through which gradients flow: (..., L), (..., L) -> (..., L).

    $$z = \mu + \sigma \odot \epsilon, \qquad \epsilon \sim \mathcal N(0, I)$$
    """
    noise = torch.empty_like(mean).normal_(generator=generator)
    return mean + (0.5 * logvar).exp() * noise


def kl_to_standard_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    r"""KL divergence of $\mathcal N(\mu, \sigma^2)$ from $\mathcal N(0, 1)$ in nats, a unit: (B, L), (B, L) -> (B, L).

    $$\tfrac12 (\mu^2 + \sigma^2 - \log \sigma^2 - 1)$$

    Source: Kingma and Welling (2014), appendix B.
    """
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1)


@torch.no_grad()
def importance_bound(model: VAE, x: Tensor, samples: int, *, generator: torch.Generator | None = None) -> Tensor:
    r"""The importance-weighted bound $\mathcal L_K$ on $\log p(x)$ in nats: (B, *shape) -> (B,).

    $$\mathcal L_K = \mathbb E \log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}, \qquad z_k \sim q(z \mid x)$$

    `samples` is K; with K = 1 it is the ELBO. Source: Burda et al. (2016), equation 8.
    """
    if samples < 1:
        raise ValueError(f"expected 1 sample or more, got {samples}")
    mean, logvar = (term.repeat_interleave(samples, dim=0) for term in model.encode(x))  # (B K, L)
    z = reparameterise(mean, logvar, generator=generator)
    log_prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    log_posterior = -0.5 * ((z - mean).square() / logvar.exp() + logvar + math.log(2 * math.pi)).sum(1)
    log_weight = model.log_likelihood(x.repeat_interleave(samples, dim=0), z) + log_prior - log_posterior
    return torch.logsumexp(log_weight.view(len(x), samples), dim=1) - math.log(samples)


@torch.no_grad()
def active_units(model: VAE, x: Tensor, *, threshold: float = 0.01) -> Tensor:
    r"""Which latent units carry information about x: bool of shape (L,).

    A unit is active if the variance over the data of its posterior mean, $\operatorname{Var}_x \mu_l(x)$, exceeds the
    threshold (Burda et al., 2016, section 5.2).
    """
    if len(x) < 2:
        raise ValueError(f"expected 2 rows or more to take a variance over, got {len(x)}")
    return model.encode(x)[0].var(dim=0) > threshold
