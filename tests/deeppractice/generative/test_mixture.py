"""The mixture of Gaussians, against torch's `MixtureSameFamily`, automatic differentiation and its moments."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from deeppractice.generative import GaussianMixture, gaussian_ring


def draw(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(components: int = 5, dimensions: int = 3, std: float = 0.7) -> GaussianMixture:
    return GaussianMixture(torch.randn(components, dimensions, generator=draw(), dtype=torch.float64), std)


def in_torch(ours: GaussianMixture) -> MixtureSameFamily:
    parts = Independent(Normal(ours.means, torch.full_like(ours.means, ours.std)), 1)
    return MixtureSameFamily(Categorical(logits=torch.zeros(len(ours.means), dtype=ours.means.dtype)), parts)


@pytest.mark.parametrize(("components", "dimensions", "std"), [(5, 3, 0.7), (1, 4, 2.0), (8, 2, 0.05), (3, 1, 0.3)])
def test_density_and_score_are_those_of_torch(components: int, dimensions: int, std: float) -> None:
    ours = mixture(components, dimensions, std)
    theirs = in_torch(ours)
    x = (3 * torch.randn(50, dimensions, generator=draw(2), dtype=torch.float64)).requires_grad_()
    expected = theirs.log_prob(x)
    assert ours.log_prob(x).shape == (50,)
    torch.testing.assert_close(ours.log_prob(x), expected, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(ours.score(x), slope, rtol=1e-10, atol=1e-10)
    (own,) = torch.autograd.grad(ours.log_prob(x).sum(), x)
    torch.testing.assert_close(own, slope, rtol=1e-10, atol=1e-10)


def test_the_moments_of_a_sample() -> None:
    ours, n = mixture(), 200_000
    x = ours.sample(n, generator=draw(3))
    assert x.shape == (n, 3)
    theirs = in_torch(ours)
    torch.testing.assert_close(x.mean(0), theirs.mean, rtol=0, atol=5 * theirs.variance.max().sqrt().item() / n**0.5)
    torch.testing.assert_close(x.var(0), theirs.variance, rtol=0.03, atol=0)
    # Each component as often as the others: five standard deviations of a binomial.
    nearest = torch.cdist(gaussian_ring().sample(80_000, generator=draw()), gaussian_ring().means).argmin(1)
    counts = nearest.bincount(minlength=8)
    assert (counts - 10_000).abs().max() < 5 * math.sqrt(80_000 * 7 / 64)
    # The mean negative log density of a sample is the entropy; far apart, log K and that of one Gaussian.
    ring = gaussian_ring()
    entropy = math.log(8) + 1 + math.log(2 * math.pi * 0.05**2)
    drawn = -ring.log_prob(ring.sample(100_000, generator=draw()))
    assert drawn.mean().item() == pytest.approx(entropy, abs=5 * drawn.std().item() / math.sqrt(100_000))


def test_a_sample_repeats_with_its_generator() -> None:
    ours = mixture()
    assert torch.equal(ours.sample(9, generator=draw()), ours.sample(9, generator=draw()))
    assert not torch.equal(ours.sample(9, generator=draw()), ours.sample(9, generator=draw(2)))


def test_the_noised_mixture_is_the_law_of_the_noised_sample() -> None:
    ours = mixture(4, 2, 0.3)
    noised = ours.noised(scale=0.6, std=0.8)
    torch.testing.assert_close(noised.means, 0.6 * ours.means, rtol=0, atol=0)
    assert noised.std == pytest.approx(math.sqrt((0.6 * 0.3) ** 2 + 0.8**2), rel=1e-14)
    n = 200_000
    x = 0.6 * ours.sample(n, generator=draw()) + 0.8 * torch.randn(n, 2, generator=draw(2), dtype=torch.float64)
    torch.testing.assert_close(x.var(0), in_torch(noised).variance, rtol=0.03, atol=0)


def test_the_ring_by_hand() -> None:
    ring = gaussian_ring(8, radius=2.0, std=0.1)
    assert ring.means.shape == (8, 2)
    torch.testing.assert_close(ring.means.norm(dim=1), torch.full((8,), 2.0))
    torch.testing.assert_close(ring.means[[0, 2, 4, 6]], torch.tensor([[2.0, 0], [0, 2], [-2, 0], [0, -2]]))
    gaps = (ring.means - ring.means.roll(1, dims=0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((8,), 4 * math.sin(math.pi / 8)))
    default = gaussian_ring()
    apart = (default.means[0] - default.means[1]).norm().item() / default.std
    assert 15 < apart < 16  # as the docstring says
    assert repr(default) == "GaussianMixture(8 components in 2 dimensions, std 0.05)"


def test_any_device(device: torch.device) -> None:
    here, there = gaussian_ring(), GaussianMixture(gaussian_ring().means.to(device), 0.05)
    sample = there.sample(20, generator=torch.Generator(device).manual_seed(0))
    assert sample.device.type == device.type
    x = here.sample(20, generator=draw())
    torch.testing.assert_close(there.log_prob(x.to(device)).cpu(), here.log_prob(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there.score(x.to(device)).cpu(), here.score(x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("means", "std", "message"),
    [
        (torch.zeros(3), 1.0, r"expected means of shape \(components, dimensions\), got \(3,\)"),
        (torch.zeros(0, 2), 1.0, r"got \(0, 2\)"),
        (torch.zeros(2, 0), 1.0, r"got \(2, 0\)"),
        (torch.zeros(3, 2), 0.0, r"expected a standard deviation above 0, got 0\.0"),
        (torch.zeros(3, 2), -1.0, r"got -1\.0"),
        (torch.zeros(3, 2), float("nan"), "got nan"),
    ],
)
def test_what_makes_no_mixture(means: Tensor, std: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture(means, std)


def test_other_bad_inputs() -> None:
    for x, got in ((torch.zeros(4, 3), r"\(4, 3\)"), (torch.zeros(2), r"\(2,\)")):
        for method in (gaussian_ring().log_prob, gaussian_ring().score):
            with pytest.raises(ValueError, match=rf"expected \(batch, 2\), got {got}"):
                method(x)
    with pytest.raises(ValueError, match="expected 1 mode or more, got 0"):
        gaussian_ring(0)
