"""Diffusion, against the exact network of a mixture of Gaussians, the equations as printed, and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.generative import Denoiser, Diffusion, GaussianMixture, gaussian_ring, mmd_test, mode_count

# Time 12*128+128, 128*128+128; in 2*128+128; three blocks of 128*128+128; out 128*2+2.
PARAMS_DEFAULT = 1_664 + 16_512 + 384 + 3 * 16_512 + 258


def draw(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alpha_bar(t: Tensor) -> Tensor:
    """By numerical integration of the rate of noising, which grows from 0.1 to 20 along a line."""
    grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    return torch.exp(-torch.stack([torch.trapezoid(0.1 + 19.9 * grid * end, grid * end) for end in t.double()]))


class ExactNoise(nn.Module):
    """E[noise | x_t] where the data are a mixture of Gaussians: from Bayes' rule, component by component."""

    def __init__(self, mixture: GaussianMixture) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        signal = torch.exp(-0.1 * t - 19.9 * t**2 / 2)[:, None]  # (B, 1)
        variance = signal * self.mixture.std**2 + 1 - signal
        away = x[:, None] - signal.sqrt()[..., None] * self.mixture.means  # (B, K, D)
        weight = torch.softmax(-away.square().sum(-1) / (2 * variance), dim=1)  # (B, K)
        noise = (1 - signal).sqrt()[..., None] * away / variance[..., None]  # E[noise | x_t, component]
        return (weight[..., None] * noise).sum(1)


def exact(mixture: GaussianMixture) -> Diffusion:
    return Diffusion((mixture.means.shape[1],), network=ExactNoise(mixture))


# The schedule


def test_the_signal_starts_at_1_ends_near_0_and_falls_at_the_rate_of_noising() -> None:
    model = Diffusion()
    t = torch.tensor([0.0, 0.01, 0.3, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(model.signal(t), alpha_bar(t), rtol=1e-7, atol=0)
    assert model.signal(t)[0] == 1.0
    assert model.signal(t)[-1].item() == pytest.approx(math.exp(-10.05), rel=1e-12)
    t.requires_grad_()
    (slope,) = torch.autograd.grad(-model.signal(t).log().sum(), t)
    torch.testing.assert_close(slope, 0.1 + 19.9 * t.detach(), rtol=1e-10, atol=0)
    assert model.signal(torch.rand(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("shape", [(3,), (1, 4, 4)])
def test_noised_data_by_hand_and_by_their_moments(shape: tuple[int, ...]) -> None:
    model = Diffusion(shape, network=nn.Identity())
    x, noise = (torch.randn(4, *shape, generator=draw(s), dtype=torch.float64) for s in (1, 2))
    t = torch.tensor([0.0, 0.2, 0.6, 1.0], dtype=torch.float64)
    noised = model.noised(x, t, noise)
    assert torch.equal(noised[0], x[0])
    for row, share in enumerate(alpha_bar(t)):
        expected = share.sqrt() * x[row] + (1 - share).sqrt() * noise[row]
        torch.testing.assert_close(noised[row], expected, rtol=1e-6, atol=1e-6)
    # Variance-preserving: at any time data of mean 0 and variance 1 keep them; one datum has mean √ᾱ x, variance 1 - ᾱ.
    many = torch.randn(40_000, *shape, generator=draw(3))
    late = torch.full((40_000,), 0.3)
    share = alpha_bar(late[:1]).item()
    for data, mean, variance in ((many, 0.0, 1.0), (torch.full_like(many, 2.0), 2 * math.sqrt(share), 1 - share)):
        out = model.noised(data, late, torch.randn(many.shape, generator=draw(4)))
        assert out.mean().item() == pytest.approx(mean, abs=0.02)
        assert out.var().item() == pytest.approx(variance, rel=0.03)


# The loss


def test_the_loss_is_the_squared_error_of_the_noise() -> None:
    model = Diffusion((3,), width=8).double()
    x = torch.randn(6, 3, generator=draw(), dtype=torch.float64)
    generator = draw(2)
    t = torch.empty(6, dtype=torch.float64).uniform_(1e-3, 1, generator=generator)
    noise = torch.empty(6, 3, dtype=torch.float64).normal_(generator=generator)
    found = model.network(alpha_bar(t).sqrt()[:, None] * x + (1 - alpha_bar(t)).sqrt()[:, None] * noise, t)
    ours = model.loss(x, generator=draw(2))
    assert ours.shape == ()
    assert ours.item() == pytest.approx((found - noise).square().sum().item() / 18, rel=1e-6)
    torch.manual_seed(3)
    first = model.loss(x)
    torch.manual_seed(3)
    assert torch.equal(model.loss(x), first)
    assert not torch.equal(model.loss(x), first)


def test_no_network_is_better_than_the_exact_one_and_its_loss_is_known() -> None:
    """Data from N(0, s² I): what can't be known of the noise has, a dimension, the variance ᾱ s² / (ᾱ s² + 1 - ᾱ)."""
    s, n = 0.5, 200_000
    gaussian = GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), s)
    t = torch.linspace(1e-3, 1, 20_001, dtype=torch.float64)
    share = torch.exp(-0.1 * t - 9.95 * t**2)
    floor = torch.trapezoid(share * s**2 / (share * s**2 + 1 - share), t).item() / 0.999
    x = gaussian.sample(n, generator=draw())
    losses = torch.stack([exact(gaussian).loss(part, generator=draw(i)) for i, part in enumerate(x.split(2000))])
    assert losses.mean().item() == pytest.approx(floor, abs=5 * losses.std().item() / math.sqrt(len(losses)))
    assert losses.std() / math.sqrt(len(losses)) < 0.01 * floor


def test_training_comes_close_to_the_exact_network_and_never_below() -> None:
    ring = gaussian_ring()
    model, best = Diffusion(width=64, depth=2), exact(ring)
    held_out = ring.sample(20_000, generator=draw(9))
    with torch.no_grad():
        before, floor = (one.loss(held_out, generator=draw(8)).item() for one in (model, best))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(400):
        optimizer.zero_grad()
        model.loss(ring.sample(256, generator=draw(100 + step))).backward()
        optimizer.step()
    with torch.no_grad():
        after = model.loss(held_out, generator=draw(8)).item()
    assert before > 0.9
    assert floor < after < floor + 0.1


def test_the_score_is_that_of_the_noised_mixture() -> None:
    mixture = GaussianMixture(torch.randn(4, 3, generator=draw(), dtype=torch.float64), 0.3)
    model = exact(mixture)
    x = torch.randn(50, 3, generator=draw(2), dtype=torch.float64)
    for t in (0.02, 0.3, 1.0):
        at = torch.full((50,), t, dtype=torch.float64)
        share = alpha_bar(at[:1]).item()
        noised = mixture.noised(scale=math.sqrt(share), std=math.sqrt(1 - share))
        torch.testing.assert_close(model.score(x, at), noised.score(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(model(x, at), model.network(x, at), rtol=0, atol=0)
    different = torch.linspace(0.1, 1, 50, dtype=torch.float64)  # another time for each row
    torch.testing.assert_close(model.score(x, different)[7:8], model.score(x[7:8], different[7:8]), rtol=1e-10, atol=0)


# The sampler


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_with_the_exact_network_the_sampler_reproduces_the_ring(eta: float) -> None:
    ring = gaussian_ring()
    sample = exact(ring).sample(1000, eta=eta, generator=draw())
    count, share = mode_count(sample, ring.means, radius=4 * ring.std, share=0.08)  # two thirds of a fair share
    assert count == 8
    assert share > 0.99
    truth = ring.sample(1000, generator=draw(2))
    for bandwidth in (None, 0.3):
        assert mmd_test(sample, truth, permutations=200, bandwidth=bandwidth, generator=draw(3)).p_value > 0.05
    for steps, off in ((50, 0.15), (400, 0.03)):
        sample = exact(ring).sample(4000, steps=steps, eta=eta, generator=draw())
        inside = sample - ring.means[torch.cdist(sample, ring.means).argmin(1)]
        assert inside.std().item() == pytest.approx(ring.std, rel=off)
    # And the test can fail. (Not at the median distance, which is the ring's own size: four modes of eight, evenly
    # spaced, look the same from so far.)
    poor = exact(gaussian_ring(4)).sample(1000, eta=eta, generator=draw())
    assert mmd_test(poor, truth, permutations=200, bandwidth=0.3, generator=draw(3)).p_value < 0.05


def test_each_step_is_that_of_ho_et_al() -> None:
    """Equations 6 and 7: x at the next time is drawn from the posterior given x and the guess of the clean datum."""
    ring = GaussianMixture(gaussian_ring().means.double(), 0.05)
    network = ExactNoise(ring)
    model = Diffusion(network=network)
    model.register_parameter("anchor", nn.Parameter(torch.zeros(1, dtype=torch.float64)))  # of float64
    stages = model.sample(5, steps=10, generator=draw(), path=True)
    assert stages.shape == (11, 5, 2)
    assert stages.dtype == torch.float64
    generator = draw()
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    times = torch.linspace(1, 0, 11, dtype=torch.float64) ** 2
    torch.testing.assert_close(stages[0], x, rtol=0, atol=0)
    for stage, (t, t_next) in enumerate(itertools.pairwise(times), start=1):
        now, later = alpha_bar(t[None]), alpha_bar(t_next[None])
        beta = 1 - now / later
        clean = (x - (1 - now).sqrt() * network(x, t.expand(5))) / now.sqrt()
        mean = later.sqrt() * beta / (1 - now) * clean + (1 - beta).sqrt() * (1 - later) / (1 - now) * x
        spread = ((1 - later) / (1 - now) * beta).sqrt()
        x = mean + spread * torch.randn(5, 2, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(stages[stage], x, rtol=1e-4, atol=1e-6)
        x = stages[stage]
    torch.testing.assert_close(model.sample(5, steps=10, generator=draw()), stages[-1], rtol=0, atol=0)


@pytest.mark.parametrize("eta", [0.0, 0.4])
def test_each_step_is_that_of_song_meng_and_ermon(eta: float) -> None:
    """Equation 12, with the sigma of equation 16."""
    model = Diffusion((3,), width=8).double()
    start = torch.randn(5, 3, generator=draw(5), dtype=torch.float64)
    stages = model.sample(5, steps=7, eta=eta, start=start, generator=draw(), path=True)
    generator, times = draw(), torch.linspace(1, 0, 8, dtype=torch.float64) ** 2
    assert torch.equal(stages[0], start)
    for stage, (t, t_next) in enumerate(itertools.pairwise(times)):
        x, now, later = stages[stage], alpha_bar(t[None]), alpha_bar(t_next[None])
        with torch.no_grad():
            noise = model.network(x, t.expand(5))
        sigma = eta * ((1 - later) / (1 - now)).sqrt() * (1 - now / later).sqrt()
        expected = later.sqrt() * (x - (1 - now).sqrt() * noise) / now.sqrt() + (1 - later - sigma**2).sqrt() * noise
        if eta:
            expected = expected + sigma * torch.randn(5, 3, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(stages[stage + 1], expected, rtol=1e-5, atol=1e-6)


def test_without_fresh_noise_the_path_is_the_flow_of_a_gaussian_in_closed_form() -> None:
    """Data from N(0, s² I): the flow moves each point along with the standard deviation, so x_0 = s x_1 / std_1."""
    gaussian = GaussianMixture(torch.zeros(1, 2), 0.5)
    start = torch.randn(20, 2, generator=draw())
    share = math.exp(-10.05)
    expected = start * 0.5 / math.sqrt(share * 0.25 + 1 - share)
    errors = []
    for steps in (10, 100, 1000):
        out = exact(gaussian).sample(20, steps=steps, eta=0.0, start=start)
        errors.append(((out - expected).norm() / expected.norm()).item())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.005
    assert exact(gaussian).sample(20, steps=5000, start=start).isfinite().all()  # so near to 0 float32 sees no noise


def test_without_fresh_noise_the_result_is_a_function_of_the_start() -> None:
    model, start = Diffusion(width=8), torch.randn(6, 2)
    one = model.sample(6, steps=5, eta=0.0, start=start, generator=draw())
    assert torch.equal(one, model.sample(6, steps=5, eta=0.0, start=start, generator=draw(2)))
    torch.testing.assert_close(model.sample(2, steps=5, eta=0.0, start=start[:2]), one[:2], rtol=1e-5, atol=1e-6)
    noisy = [model.sample(6, steps=5, start=start, generator=draw(seed)) for seed in (1, 1, 2)]
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.allclose(noisy[0], noisy[2], atol=1e-3)
    assert not one.requires_grad
    assert torch.equal(start, model.sample(6, steps=5, start=start, path=True)[0])


# The network


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_limit_keeps_a_network_that_is_wrong_from_throwing_samples_off(eta: float) -> None:
    model = exact(gaussian_ring())
    same = model.sample(200, eta=eta, limit=50.0, generator=draw())
    torch.testing.assert_close(same, model.sample(200, eta=eta, generator=draw()), atol=1e-4, rtol=1e-4)
    model.network.register_forward_hook(lambda module, args, noise: 0.7 * noise)
    free, cut = (model.sample(200, steps=10, eta=eta, limit=limit, generator=draw()) for limit in (None, 1.2))
    assert cut.abs().max() < 1.2001
    assert free.abs().max() > 1.4, "this network would not have needed a limit"


def test_the_denoiser_by_hand() -> None:
    net = Denoiser((3,), width=8, depth=2).double()
    x, t = torch.randn(5, 3, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    angles = torch.stack([math.pi * 2**k * t for k in range(6)], dim=1)
    silu = lambda v: v / (1 + torch.exp(-v))  # noqa: E731
    first, second = net.time[0], net.time[2]
    time = second(silu(first(torch.cat([torch.sin(angles), torch.cos(angles)], dim=1))))
    h = net.first(x)
    for block in net.blocks:
        h = h + silu(h + time) @ block.weight.T + block.bias
    torch.testing.assert_close(net(x, t), net.last(silu(h)), rtol=1e-6, atol=1e-6)
    assert len(net.blocks) == 2


@pytest.mark.parametrize("shape", [(2,), (5,), (1, 4, 6)])
def test_shapes(shape: tuple[int, ...]) -> None:
    model, t = Diffusion(shape, width=8, depth=1), torch.rand(4)
    x = torch.randn(4, *shape)
    assert model.loss(x).shape == ()
    for out in (model(x, t), model.score(x, t), model.noised(x, t, x), model.sample(4, steps=2)):
        assert out.shape == x.shape
    assert model.sample(4, steps=3, path=True).shape == (4, 4, *shape)
    assert f"shape={shape}" in repr(model)


def test_parameter_count_is_the_one_derived_by_hand() -> None:
    assert sum(p.numel() for p in Diffusion().parameters()) == PARAMS_DEFAULT
    empty = nn.Sequential()  # is false, and still a network
    assert Diffusion(network=empty).network is empty


def test_bad_inputs() -> None:
    model = Diffusion(width=8)
    for steps, eta in ((0, 1.0), (5, -0.1), (5, 1.1), (5, float("nan"))):
        with pytest.raises(ValueError, match=f"expected 1 step or more and an eta from 0 to 1, got {steps} and {eta}"):
            model.sample(3, steps=steps, eta=eta)
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"expected a limit above 0, got {limit}"):
            model.sample(3, limit=limit)
    for start in (torch.zeros(2, 2), torch.zeros(3, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"expected a start of shape \(3, 2\), got \("):
            model.sample(3, start=start)


# Any device, precision and batch size


def test_float32_on_any_device_is_float64_on_the_cpu(device: torch.device) -> None:
    model = Diffusion((1, 4, 4), width=16).double()
    x, t = torch.randn(5, 1, 4, 4, generator=draw(), dtype=torch.float64), torch.rand(5, generator=draw()).double()
    there = [model(x, t), model.score(x, t), model.sample(5, steps=5, eta=0.0, start=x)]
    model.float().to(device)
    x, t = x.float().to(device), t.float().to(device)
    here = [model(x, t), model.score(x, t), model.sample(5, steps=5, eta=0.0, start=x)]
    for a, b in zip(here, there, strict=True):
        torch.testing.assert_close(a.cpu(), b.float(), rtol=1e-3, atol=1e-3)
    model.loss(x).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    generator = torch.Generator(device).manual_seed(0)
    assert model.sample(3, steps=2, generator=generator).device.type == device.type
    assert model.loss(x, generator=generator).device.type == device.type


def test_a_row_alone_is_the_row_in_its_batch() -> None:
    model = Diffusion((3,), width=16).double()
    x, t = torch.randn(5, 3, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    for i in range(5):
        only = slice(i, i + 1)
        torch.testing.assert_close(model(x[only], t[only]), model(x, t)[only], rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(model.score(x[only], t[only]), model.score(x, t)[only], rtol=1e-11, atol=1e-12)


def test_bf16_stays_close_to_float32_and_its_loss_keeps_its_digits(device: torch.device) -> None:
    model = Diffusion(width=32).to(device)
    x = gaussian_ring().sample(256, generator=draw()).to(device)
    full = model.loss(x, generator=runtime.generator(0, device))
    with runtime.autocast(device, "bf16"):
        low = model.loss(x, generator=runtime.generator(0, device))
        low.backward()
        sample = model.sample(4, steps=3, generator=runtime.generator(0, device))
    assert low.dtype == sample.dtype == torch.float32
    assert low.item() != full.item()  # it did run in another precision
    assert low.item() == pytest.approx(full.item(), rel=0.02)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_state_makes_a_round_trip() -> None:
    one, other = Diffusion(width=8), Diffusion(width=8)
    x, t = torch.randn(4, 2), torch.rand(4)
    assert not torch.equal(one(x, t), other(x, t))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, t), other(x, t))
