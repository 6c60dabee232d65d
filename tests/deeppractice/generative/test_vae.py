"""The VAE, against torch's distributions, probabilistic PCA in closed form, and a VAE written out by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence

from deeppractice import runtime
from deeppractice.generative import VAE, active_units, importance_bound, kl_to_standard_normal, reparameterise

# 784*400+400, 400*40+40; 20*400+400, 400*784+784: as in PyTorch's own example of a VAE.
PARAMS_784_400_20 = 652_824
# Encoder 1*32*16+32, 32*64*16+64, 3136*16+16; decoder 8*3136+3136, 64*32*16+32, 32*1*16+1.
PARAMS_CONVOLUTIONAL = 145_105


def draw(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(n: int = 7, size: int = 6) -> Tensor:
    return torch.rand(n, size, generator=draw(), dtype=torch.float64)


# The terms


def test_the_kl_divergence_is_that_of_torch_values_and_gradients() -> None:
    mean = torch.randn(5, 3, generator=draw(), dtype=torch.float64).requires_grad_()
    logvar = torch.randn(5, 3, generator=draw(2), dtype=torch.float64).requires_grad_()
    ours = kl_to_standard_normal(mean, logvar)
    theirs = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean)))
    assert ours.shape == (5, 3)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    weights = torch.randn(5, 3, generator=draw(3), dtype=torch.float64)
    a = torch.autograd.grad((weights * ours).sum(), (mean, logvar))
    b = torch.autograd.grad((weights * theirs).sum(), (mean, logvar))
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    assert not kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)).any()


def test_the_draw_is_mean_plus_sigma_noise_and_gradients_flow_through_it() -> None:
    mean = torch.randn(4, 3, generator=draw(), dtype=torch.float64).requires_grad_()
    logvar = torch.randn(4, 3, generator=draw(2), dtype=torch.float64).requires_grad_()
    z = reparameterise(mean, logvar, generator=draw(3))
    noise = torch.randn(4, 3, generator=draw(3), dtype=torch.float64)
    torch.testing.assert_close(z, mean + noise * logvar.exp().sqrt(), rtol=1e-12, atol=1e-14)
    by_mean, by_logvar = torch.autograd.grad(z.sum(), (mean, logvar))
    assert torch.equal(by_mean, torch.ones_like(mean))
    torch.testing.assert_close(by_logvar, (z - mean).detach() / 2, rtol=1e-12, atol=1e-14)


def test_gradients_of_an_expectation_are_those_of_the_closed_form_and_of_rsample() -> None:
    # E z² = mean² + sigma², whose derivatives by mean and log variance are 2 mean and sigma².
    mean, logvar = torch.tensor([0.7], requires_grad=True), torch.tensor([-1.0], requires_grad=True)
    n = 100_000
    ours = reparameterise(mean.expand(n, 1), logvar.expand(n, 1), generator=draw())
    theirs = Normal(mean, (0.5 * logvar).exp()).rsample((n,))
    for z in (ours, theirs):
        a, b = torch.autograd.grad(z.square().mean(), (mean, logvar))
        sigma = math.exp(-0.5)
        # Standard errors: 2 sigma / sqrt(n), and sqrt(Var((mean + sigma e) sigma e)) / sqrt(n); five of them.
        assert abs(a.item() - 1.4) < 5 * 2 * sigma / math.sqrt(n)
        assert abs(b.item() - sigma**2) < 5 * math.sqrt((0.7 * sigma) ** 2 + 2 * sigma**4) / math.sqrt(n)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_log_likelihood_is_that_of_torch_values_and_gradients(likelihood: str) -> None:
    model = VAE((2, 3), 4, hidden=(5,), likelihood=likelihood, std=0.3).double()
    x = data(7, 6).view(7, 2, 3)
    z = torch.randn(7, 4, generator=draw(), dtype=torch.float64).requires_grad_()
    out = model.decoder(z)
    if likelihood == "bernoulli":
        law, means = Bernoulli(logits=out, validate_args=False), out.sigmoid()  # shares, not only 0 and 1
    else:
        law, means = Normal(out, 0.3), out
    theirs = Independent(law, 2, validate_args=False).log_prob(x)
    ours = model.log_likelihood(x, z)
    assert ours.shape == (7,)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.decode(z), means, rtol=1e-12, atol=1e-14)
    leaves = [z, *model.decoder.parameters()]
    for a, b in zip(torch.autograd.grad(ours.sum(), leaves), torch.autograd.grad(theirs.sum(), leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_loss_is_that_of_a_vae_written_out_by_hand() -> None:
    model = VAE((6,), 2, hidden=(5,)).double()
    x = data()
    encoder, decoder = [
        [part for part in net.modules() if isinstance(part, nn.Linear)] for net in (model.encoder, model.decoder)
    ]
    torch.manual_seed(5)
    ours = model.loss(x)
    torch.manual_seed(5)
    both = encoder[1](F.relu(encoder[0](x)))
    mean, logvar = both[:, :2], both[:, 2:]
    z = mean + torch.randn(7, 2, dtype=torch.float64) * torch.exp(0.5 * logvar)
    recon = torch.sigmoid(decoder[1](F.relu(decoder[0](z))))
    theirs = F.binary_cross_entropy(recon, x, reduction="sum")
    theirs = (theirs - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())) / 7
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    weights = list(model.parameters())
    for a, b in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(theirs, weights), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model(x), torch.sigmoid(decoder[1](F.relu(decoder[0](mean)))), rtol=1e-12, atol=0)


def test_beta_weighs_the_kl_divergence_alone() -> None:
    model, x = VAE((6,), 2).double(), data()
    log_likelihood, kl = model.terms(x, generator=draw())
    assert log_likelihood.shape == (7,)
    assert kl.shape == (7, 2)
    torch.testing.assert_close(kl, kl_to_standard_normal(*model.encode(x)), rtol=0, atol=0)
    for beta in (0.0, 1.0, 4.0):
        elbo = model.elbo(x, beta=beta, generator=draw())
        torch.testing.assert_close(elbo, log_likelihood - beta * kl.sum(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(model.elbo(x, generator=draw()), log_likelihood - kl.sum(1), rtol=1e-12, atol=0)
    torch.manual_seed(3)
    loss = model.loss(x, beta=4.0)
    torch.manual_seed(3)
    torch.testing.assert_close(loss, -model.elbo(x, beta=4.0).mean(), rtol=0, atol=0)


def test_the_encoder_gives_means_first_and_log_variances_second() -> None:
    model, x = VAE((6,), 3).double(), data()
    mean, logvar = model.encode(x)
    torch.testing.assert_close(torch.cat([mean, logvar], dim=1), model.encoder(x), rtol=0, atol=0)
    assert mean.shape == logvar.shape == (7, 3)


# Probabilistic PCA: the one VAE whose likelihood, bound and posterior are known


def spread(n: int = 400, seed: int = 0) -> np.ndarray:
    """Six columns, two strong directions, not axis-aligned, a mean that is not 0."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return rng.normal(size=(n, 6)) * [2.0, 1.2, 0.4, 0.4, 0.4, 0.4] @ turn + rng.normal(size=6)


def at_the_optimum_of_ppca(X: np.ndarray) -> tuple[VAE, PCA]:
    """The linear Gaussian VAE with the maximum-likelihood weights of Tipping and Bishop (1999) and its posterior."""
    pca = PCA(2).fit(X)
    noise = pca.noise_variance_
    model = VAE((6,), 2, hidden=(), likelihood="gaussian", std=math.sqrt(noise)).double()
    W = torch.tensor(pca.components_.T * np.sqrt(pca.explained_variance_ - noise))  # (6, 2)
    mean, strength = torch.tensor(pca.mean_), torch.tensor(pca.explained_variance_)
    encode, decode = model.encoder[1].head, model.decoder[0].head
    with torch.no_grad():
        decode.weight.copy_(W)
        decode.bias.copy_(mean)
        # p(z|x) is N(M⁻¹ Wᵀ (x - mean), noise M⁻¹) with M = Wᵀ W + noise I, here diagonal: the eigenvalues.
        encode.weight.zero_()[:2] = (W / strength).T
        encode.bias[:2] = -(W / strength).T @ mean
        encode.bias[2:] = (noise / strength).log()
    return model, pca


def test_with_the_exact_posterior_each_weight_is_the_likelihood() -> None:
    X = spread()
    model, pca = at_the_optimum_of_ppca(X)
    x, expected = torch.tensor(X), torch.tensor(pca.score_samples(X))
    # p(x, z) / q(z|x) = p(x) for every z, so that one sample is as good as fifty.
    for samples in (1, 5, 50):
        bound = importance_bound(model, x, samples, generator=draw())
        assert bound.shape == (400,)
        torch.testing.assert_close(bound, expected, rtol=1e-10, atol=1e-9)


def test_with_the_exact_posterior_the_elbo_is_the_likelihood_on_average() -> None:
    X = spread(20)
    model, pca = at_the_optimum_of_ppca(X)
    expected = torch.tensor(pca.score_samples(X))
    with torch.no_grad():
        draws = torch.stack([model.elbo(torch.tensor(X), generator=draw(seed)) for seed in range(2000)])
    error = draws.std(dim=0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() < 5 * error).all()
    # And in closed form: E log p(x|z) = log p(x|E z) - tr(W S Wᵀ) / 2 noise, less the divergence.
    mean, logvar = model.encode(torch.tensor(X))
    W = model.decoder[0].head.weight
    spreading = (W.square().sum(0) * logvar.exp()).sum(1) / (2 * model.std**2)
    exact = model.log_likelihood(torch.tensor(X), mean) - spreading - kl_to_standard_normal(mean, logvar).sum(1)
    torch.testing.assert_close(exact, expected, rtol=1e-10, atol=1e-10)


def test_with_a_wrong_posterior_the_bound_rises_with_samples_and_stays_below() -> None:
    X = spread(50)
    model, pca = at_the_optimum_of_ppca(X)
    x, truth = torch.tensor(X), torch.tensor(pca.score_samples(X))
    mean, logvar = model.encode(x)
    exact = [Normal(mean, (0.5 * logvar).exp())]
    with torch.no_grad():  # half a standard deviation off, and too narrow
        model.encoder[1].head.bias[:2] += 0.5 * (0.5 * logvar[0]).exp()
        model.encoder[1].head.bias[2:] -= 0.5
    mean, logvar = model.encode(x)
    gap = kl_divergence(Normal(mean, (0.5 * logvar).exp()), exact[0]).sum(1)
    means, errors = {}, {}
    for samples in (1, 5, 50):
        draws = torch.stack([importance_bound(model, x, samples, generator=draw(seed)) - truth for seed in range(200)])
        by_draw = draws.mean(dim=1)
        means[samples], errors[samples] = by_draw.mean().item(), (by_draw.std() / math.sqrt(len(by_draw))).item()
    assert means[1] == pytest.approx(-gap.mean().item(), abs=5 * errors[1])  # the ELBO: the divergence is what it lacks
    assert means[1] + 5 * errors[1] < means[5] - 5 * errors[5]
    assert means[5] + 5 * errors[5] < means[50] - 5 * errors[50]
    assert means[50] < 5 * errors[50]


def test_training_a_linear_vae_finds_the_subspace_and_the_likelihood_of_pca() -> None:
    X = spread()
    target, pca = at_the_optimum_of_ppca(X)
    model = VAE((6,), 2, hidden=(), likelihood="gaussian", std=target.std).double()
    x = torch.tensor(X)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    for _ in range(1000):
        optimizer.zero_grad()
        model.loss(x).backward()
        optimizer.step()
        schedule.step()
    basis = torch.linalg.qr(model.decoder[0].head.weight.detach()).Q
    cosines = torch.linalg.svdvals(basis.T @ torch.tensor(pca.components_.T))
    assert math.degrees(math.acos(min(1.0, cosines.min().item()))) < 2
    reached = importance_bound(model, x, 50, generator=draw()).mean().item()
    assert reached == pytest.approx(pca.score(X), abs=0.02)


def test_a_linear_autoencoder_reaches_the_error_of_pca_and_no_less() -> None:
    X = spread()
    pca = PCA(2).fit(X)
    floor = np.square(X - pca.inverse_transform(pca.transform(X))).mean()
    model, x = VAE((6,), 2, hidden=(), likelihood="gaussian").double(), torch.tensor(X)
    weights = [p for p in model.parameters()]
    optimizer = torch.optim.LBFGS(weights, max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        error = (model(x) - x).square().mean()
        error.backward()
        return error

    optimizer.step(closure)
    assert closure().item() == pytest.approx(floor, rel=1e-6)
    assert closure().item() > floor * (1 - 1e-9)


def test_the_bound_reaches_the_likelihood_of_any_linear_decoder() -> None:
    """Weights that are not PCA's: p(x) is a Gaussian with covariance W Wᵀ + std² I. Draws from the prior suffice."""
    model = VAE((3,), 2, hidden=(), likelihood="gaussian", std=0.7).double()
    nn.init.zeros_(model.encoder[1].head.weight)
    nn.init.zeros_(model.encoder[1].head.bias)
    W, b = model.decoder[0].head.weight.detach(), model.decoder[0].head.bias.detach()
    x = torch.randn(4, 3, generator=draw(), dtype=torch.float64)
    truth = MultivariateNormal(b, W @ W.T + 0.49 * torch.eye(3, dtype=torch.float64)).log_prob(x)
    bound = importance_bound(model, x, 20_000, generator=draw())
    torch.testing.assert_close(bound, truth, rtol=0, atol=0.05)


# Units, shapes, errors


def test_active_units_by_hand() -> None:
    model = VAE((2,), 3, hidden=(), likelihood="gaussian")
    with torch.no_grad():
        model.encoder[1].head.weight.zero_()[0, 0] = 1.0  # the first mean is the first column,
        model.encoder[1].head.weight[1, 1] = 0.05  # the second one a twentieth of the second column
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])  # variances 4/3, so 1.33, 0.0033, 0
    assert active_units(model, x).tolist() == [True, False, False]
    assert active_units(model, x, threshold=0.003).tolist() == [True, True, False]
    assert active_units(model, x, threshold=0.0034).tolist() == [True, False, False]  # n - 1, not n, below the line
    assert active_units(model, x, threshold=1.33).tolist() == [True, False, False]
    assert active_units(model, x, threshold=1.34).tolist() == [False, False, False]
    with pytest.raises(ValueError, match="expected 2 rows or more to take a variance over, got 1"):
        active_units(model, x[:1])


@pytest.mark.parametrize(("shape", "latent"), [((6,), 2), ((1, 8, 12), 3), ((3, 28, 28), 5)])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_shapes(shape: tuple[int, ...], latent: int, likelihood: str) -> None:
    make = VAE.convolutional if len(shape) == 3 else VAE
    model = make(shape, latent, likelihood=likelihood)
    x = torch.rand(5, *shape)
    assert model(x).shape == (5, *shape)
    assert [part.shape for part in model.encode(x)] == [(5, latent)] * 2
    assert model.decode(torch.randn(5, latent)).shape == (5, *shape)
    assert model.elbo(x).shape == (5,)
    assert model.loss(x).shape == ()
    assert model.sample(4).shape == (4, *shape)
    inside = bool((model.sample(50) > 0).all() and (model.sample(50) < 1).all())
    assert inside == (likelihood == "bernoulli")


def test_parameter_counts_are_the_ones_derived_by_hand() -> None:
    assert sum(p.numel() for p in VAE((784,), 20, hidden=(400,)).parameters()) == PARAMS_784_400_20
    assert sum(p.numel() for p in VAE.convolutional().parameters()) == PARAMS_CONVOLUTIONAL
    # 6*5+5, 5*4+4, 4*(2*2)+4; 2*4+4, 4*5+5, 5*6+6
    assert sum(p.numel() for p in VAE((6,), 2, hidden=(5, 4)).parameters()) == 35 + 24 + 20 + 12 + 25 + 36
    assert repr(VAE((6,), 2)).startswith("VAE(\n  shape=(6,), latent=2, likelihood='bernoulli'")


def test_samples_are_decoded_draws_from_the_prior_and_repeat_with_the_generator() -> None:
    model = VAE((6,), 2).double()
    sample = model.sample(9, generator=draw())
    z = torch.randn(9, 2, generator=draw(), dtype=torch.float64)
    torch.testing.assert_close(sample, model.decode(z), rtol=0, atol=0)
    assert not sample.requires_grad
    assert not torch.equal(sample, model.sample(9, generator=draw(2)))


def test_networks_of_ones_own_even_empty_ones() -> None:
    encoder, decoder = nn.Sequential(), nn.Linear(2, 4)  # an empty Sequential is false, and still a network
    model = VAE((4,), 2, encoder=encoder, decoder=decoder)
    assert model.encoder is encoder
    assert model.decoder is decoder
    x = torch.rand(5, 4)
    assert torch.equal(torch.cat(model.encode(x), dim=1), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"likelihood": "poisson"}, "expected a likelihood among bernoulli, gaussian, got 'poisson'"),
        ({"latent": 0}, r"expected 1 latent dimension or more and a std above 0, got 0 and 1\.0"),
        ({"std": 0.0}, r"got 8 and 0\.0"),
        ({"std": float("nan")}, "got 8 and nan"),
    ],
)
def test_settings_that_make_no_model(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAE(**arguments)


def test_other_bad_inputs() -> None:
    model = VAE((4,), 2)
    with pytest.raises(ValueError, match="multiples of 4, got 28 x 30"):
        VAE.convolutional((1, 28, 30))
    with pytest.raises(ValueError, match="multiples of 4, got 27 x 28"):
        VAE.convolutional((1, 27, 28))
    for bad, got in ((torch.rand(3, 5), r"\(3, 5\)"), (torch.rand(0, 4), r"\(0, 4\)"), (torch.rand(4), r"\(4,\)")):
        with pytest.raises(ValueError, match=rf"expected \(batch, 4\), got {got}"):
            model(bad)
    with pytest.raises(ValueError, match="expected 1 sample or more, got 0"):
        importance_bound(model, torch.rand(3, 4), 0)


# Any device, precision and batch size


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # whose 10 bits of mantissa are not float32
def test_float32_on_any_device_is_float64_on_the_cpu(device: torch.device) -> None:
    for likelihood in ("bernoulli", "gaussian"):
        model = VAE.convolutional((1, 8, 8), 3, width=4, likelihood=likelihood)
        x = data(5, 64).view(5, 1, 8, 8)
        z = torch.randn(5, 3, generator=draw(), dtype=torch.float64)
        exact = model.double().log_likelihood(x, z)
        kl = kl_to_standard_normal(*model.encode(x))
        model.float().to(device)
        here = x.float().to(device)
        torch.testing.assert_close(
            model.log_likelihood(here, z.float().to(device)).cpu(), exact.float(), rtol=1e-4, atol=1e-3
        )
        torch.testing.assert_close(kl_to_standard_normal(*model.encode(here)).cpu(), kl.float(), rtol=1e-4, atol=1e-4)
        loss = model.loss(here)
        loss.backward()
        assert loss.device.type == device.type
        assert all(p.grad.isfinite().all() for p in model.parameters())
        assert model.sample(3, generator=torch.Generator(device).manual_seed(0)).device.type == device.type
        assert importance_bound(model, here, 3).device.type == device.type


def test_a_row_alone_is_the_row_in_its_batch() -> None:
    for model in (VAE((64,), 3).double(), VAE.convolutional((1, 8, 8), 3, width=4).double()):
        x = data(5, 64).view(5, *model.shape)
        z = torch.randn(5, 3, generator=draw(), dtype=torch.float64)
        together = [*model.encode(x), model(x), model.log_likelihood(x, z)]
        for row in range(5):
            only = slice(row, row + 1)
            alone = [*model.encode(x[only]), model(x[only]), model.log_likelihood(x[only], z[only])]
            for a, b in zip(alone, together, strict=True):
                torch.testing.assert_close(a, b[only], rtol=1e-11, atol=1e-12)


def test_bf16_stays_close_to_float32_and_its_loss_keeps_its_digits(device: torch.device) -> None:
    model = VAE((64,), 3).to(device)
    x = data(50, 64).float().to(device)
    full = model.elbo(x, generator=runtime.generator(0, device))
    with runtime.autocast(device, "bf16"):
        low = model.elbo(x, generator=runtime.generator(0, device))
    assert low.dtype == torch.float32
    assert not torch.equal(low, full)  # it did run in another precision
    torch.testing.assert_close(low, full, rtol=1e-2, atol=0.05)


def test_the_state_makes_a_round_trip() -> None:
    for make in (lambda: VAE((64,), 3), lambda: VAE.convolutional((1, 8, 8), 3, width=4)):
        one, other = make(), make()
        z = torch.randn(4, 3)
        assert not torch.equal(one.decode(z), other.decode(z))
        other.load_state_dict(one.state_dict())
        assert torch.equal(one.decode(z), other.decode(z))
