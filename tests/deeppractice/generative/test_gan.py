"""The GAN's losses against the formulas as printed and torch's own, the game in closed form, training by hand."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.generative import (
    GAN,
    critic_loss,
    fit_gan,
    gaussian_ring,
    generator_loss,
    gradient_penalty,
    mode_count,
)
from deeppractice.generative.gan import LOSSES
from deeppractice.training import minibatches

# 2*128+128, 128*128+128, and 128*2+2 or 128*1+1.
PARAMS_MLP = (17_154, 17_025)
# Generator 16*3136, BN 2*64, 64*32*16, BN 2*32, 32*1*16+1; critic 1*32*16+32, 32*64*16, BN 2*64, 3136+1.
PARAMS_DCGAN = (83_649, 36_577)


def draw(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(n: int, seed: int = 1) -> Tensor:
    return (3 * torch.randn(n, generator=draw(seed), dtype=torch.float64)).requires_grad_()


# The losses

CRITIC = {
    "non-saturating": lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
    "saturating": lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
    "wgan": lambda real, fake: -real.mean() + fake.mean(),
    "wgan-gp": lambda real, fake: -real.mean() + fake.mean(),
}
GENERATOR = {
    "non-saturating": lambda fake: -fake.sigmoid().log().mean(),
    "saturating": lambda fake: (1 - fake.sigmoid()).log().mean(),
    "wgan": lambda fake: -fake.mean(),
    "wgan-gp": lambda fake: -fake.mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_are_the_formulas_values_and_gradients(name: str) -> None:
    real, fake = logits(9), logits(7, seed=2)
    for ours, theirs, leaves in (
        (critic_loss(name, real, fake), CRITIC[name](real, fake), (real, fake)),
        (generator_loss(name, fake), GENERATOR[name](fake), (fake,)),
    ):
        assert ours.shape == ()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
        a, b = torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves)
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_the_game_of_goodfellow_is_cross_entropy_with_logits() -> None:
    real, fake, entropy = logits(9), logits(7, seed=2), nn.BCEWithLogitsLoss()
    both = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    torch.testing.assert_close(critic_loss("non-saturating", real, fake), both, rtol=1e-13, atol=0)
    torch.testing.assert_close(
        generator_loss("non-saturating", fake), entropy(fake, torch.ones_like(fake)), rtol=1e-13, atol=0
    )
    sure = torch.tensor([200.0, -200.0])  # where the formula as printed is infinite
    assert critic_loss("saturating", -sure, sure).item() == 200.0
    assert generator_loss("saturating", sure).item() == -100.0
    assert generator_loss("non-saturating", sure).item() == 100.0


def test_the_two_gradients_of_the_generator() -> None:
    fake = torch.tensor([-20.0, -1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    (saturating,) = torch.autograd.grad(4 * generator_loss("saturating", fake), fake)
    (other,) = torch.autograd.grad(4 * generator_loss("non-saturating", fake), fake)
    D = fake.detach().sigmoid()
    torch.testing.assert_close(saturating, -D, rtol=1e-12, atol=0)
    torch.testing.assert_close(other, -(1 - D), rtol=1e-12, atol=0)
    torch.testing.assert_close(saturating / other, D / (1 - D), rtol=1e-9, atol=0)
    assert saturating[0].abs() < 1e-8  # D is sure, and the generator learns nothing
    assert other[0].abs() > 0.999


def on_four_points(d: Tensor, p: list[int], q: list[int]) -> Tensor:
    """The critic's loss where it is a table of four logits, and data fall on the points as often as p and q say."""
    real, fake = d.repeat_interleave(torch.tensor(p)), d.repeat_interleave(torch.tensor(q))
    return critic_loss("non-saturating", real, fake)


def test_the_best_discriminator_is_p_over_p_plus_q() -> None:
    p, q = [4, 3, 2, 1], [1, 2, 3, 4]
    d = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [d], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = on_four_points(d, p, q)
        loss.backward()
        return loss

    optimizer.step(closure)
    share = torch.tensor(p) / (torch.tensor(p) + torch.tensor(q)).double()
    torch.testing.assert_close(d.detach().sigmoid(), share, rtol=1e-6, atol=0)
    # There the value of the game is 2 JSD(p, q) - log 4 (Goodfellow et al., 2014, theorem 1).
    P, Q = torch.tensor(p) / 10, torch.tensor(q) / 10
    M = (P + Q) / 2
    jsd = 0.5 * (P * (P / M).log()).sum() + 0.5 * (Q * (Q / M).log()).sum()
    assert -closure().item() == pytest.approx(2 * jsd.item() - math.log(4), rel=1e-6)


def test_where_the_generator_is_right_the_value_is_minus_log_4_and_nothing_moves() -> None:
    d = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    loss = on_four_points(d, [4, 3, 2, 1], [4, 3, 2, 1])
    assert -loss.item() == pytest.approx(-math.log(4), rel=1e-14)
    (slope,) = torch.autograd.grad(loss, d)
    assert slope.abs().max() < 1e-15


# The gradient penalty


def test_the_penalty_of_a_linear_critic_values_and_gradients() -> None:
    critic = nn.Linear(3, 1).double()
    real, fake = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    penalty = gradient_penalty(critic, real, fake)
    length = critic.weight.detach().norm()
    torch.testing.assert_close(penalty.detach(), (length - 1) ** 2, rtol=1e-12, atol=0)
    (slope,) = torch.autograd.grad(penalty, critic.weight)
    torch.testing.assert_close(slope, 2 * (length - 1) * critic.weight.detach() / length, rtol=1e-10, atol=1e-14)


class Quadratic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.flatten(1).square().sum(1, keepdim=True) / 2


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_the_penalty_of_a_quadratic_critic_by_hand(shape: tuple[int, ...]) -> None:
    critic = Quadratic()
    real = torch.randn(6, *shape, generator=draw(), dtype=torch.float64)
    fake = torch.randn(6, *shape, generator=draw(2), dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(critic, real, fake, generator=draw(3))
    share = torch.rand(6, *[1] * len(shape), generator=draw(3), dtype=torch.float64)  # one for each datum
    radius = (share * real + (1 - share) * fake.detach()).flatten(1).norm(dim=1)  # the slope at x is 1.5 x
    torch.testing.assert_close(penalty.detach(), (1.5 * radius - 1).square().mean(), rtol=1e-12, atol=0)
    (by_weight,) = torch.autograd.grad(penalty, critic.weight, retain_graph=True)
    torch.testing.assert_close(by_weight, (2 * (1.5 * radius - 1) * radius).mean(), rtol=1e-12, atol=0)
    assert torch.autograd.grad(penalty, fake, allow_unused=True) == (None,)  # the generator has no part in it


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_of_a_step(name: str) -> None:
    gan = GAN.mlp(3, 2, hidden=(8,), loss=name, penalty=7.0).double()
    x, z = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    critic = gan.critic_step_loss(x, z, generator=draw())
    fake = gan(z)
    expected = CRITIC[name](gan.critic(x).squeeze(1), gan.critic(fake).squeeze(1))
    if name == "wgan-gp":
        expected = expected + 7 * gradient_penalty(gan.critic, x, fake, generator=draw())
    torch.testing.assert_close(critic, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        gan.generator_step_loss(z), GENERATOR[name](gan.critic(fake).squeeze(1)), rtol=1e-12, atol=1e-14
    )
    critic.backward()
    assert all(p.grad is None for p in gan.generator.parameters())  # the critic's step leaves the generator alone
    assert any(p.grad.any() for p in gan.critic.parameters())


# The networks


def test_parameter_counts_are_the_ones_derived_by_hand() -> None:
    for gan, counts in ((GAN.mlp(), PARAMS_MLP), (GAN.dcgan(), PARAMS_DCGAN)):
        assert tuple(sum(p.numel() for p in net.parameters()) for net in (gan.generator, gan.critic)) == counts
    gan = GAN.mlp(3, 4, hidden=(5,), critic_hidden=(6, 7))
    sizes = [[part.weight.shape[::-1] for part in net if isinstance(part, nn.Linear)] for net in gan.children()]
    assert sizes == [[(4, 5), (5, 3)], [(3, 6), (6, 7), (7, 1)]]
    assert repr(gan).startswith("GAN(\n  latent=4, loss='non-saturating'")


def test_a_multilayer_pair_has_leaky_units_between_its_layers() -> None:
    gan = GAN.mlp(3, 4, hidden=(5, 6))
    x = torch.randn(7, 3)
    first, second, third = [part for part in gan.critic if isinstance(part, nn.Linear)]
    by_hand = third(F.leaky_relu(second(F.leaky_relu(first(x), 0.2)), 0.2))
    torch.testing.assert_close(gan.critic(x), by_hand, rtol=0, atol=0)


def kinds(net: nn.Module) -> list[type]:
    return [type(part) for part in net.modules() if not list(part.children())]


def test_the_convolutional_pair_follows_the_guidelines() -> None:
    gan = GAN.dcgan((3, 32, 24), latent=10, width=16)
    generator, critic = kinds(gan.generator), kinds(gan.critic)
    for net in (generator, critic):
        assert not {nn.MaxPool2d, nn.AvgPool2d, nn.Upsample} & set(net)  # strided convolutions do that
    strides = [part.stride for part in gan.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    assert strides == [(2, 2)] * 4
    assert generator.count(nn.ConvTranspose2d) == critic.count(nn.Conv2d) == 2
    # Batch normalisation in both, after all layers but the generator's last and the critic's first (and its output).
    assert generator[-2:] == [nn.ConvTranspose2d, nn.Tanh]
    assert generator.count(nn.BatchNorm2d) == 2
    assert critic[:2] == [nn.Conv2d, nn.LeakyReLU]
    assert critic.count(nn.BatchNorm2d) == 1
    assert set(generator) & {nn.ReLU, nn.LeakyReLU} == {nn.ReLU}
    assert set(critic) & {nn.ReLU, nn.LeakyReLU} == {nn.LeakyReLU}
    assert {part.negative_slope for part in gan.modules() if isinstance(part, nn.LeakyReLU)} == {0.2}
    x = gan.sample(5)
    assert x.shape == (5, 3, 32, 24)
    assert gan.critic(x).shape == (5, 1)
    assert (gan.low, gan.high) == (-1.0, 1.0)
    loud = copy.deepcopy(gan.generator)
    with torch.no_grad():
        loud[-2].bias.fill_(100.0)
    assert loud(torch.randn(5, 10)).max() == 1.0  # tanh


def test_the_weights_start_with_a_standard_deviation_of_a_fiftieth() -> None:
    gan = GAN.dcgan()
    for part in gan.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            n = part.weight.numel()
            assert part.weight.std().item() == pytest.approx(0.02, rel=5 / math.sqrt(2 * n))
            assert abs(part.weight.mean().item()) < 5 * 0.02 / math.sqrt(n)


def test_with_a_gradient_penalty_the_critic_has_no_batch_normalisation() -> None:
    assert nn.BatchNorm2d not in kinds(GAN.dcgan(loss="wgan-gp").critic)
    assert nn.BatchNorm2d in kinds(GAN.dcgan(loss="wgan-gp").generator)
    assert nn.BatchNorm2d in kinds(GAN.dcgan(loss="wgan").critic)


def test_samples_come_in_evaluation_mode_and_the_mode_comes_back() -> None:
    gan = GAN.dcgan((1, 8, 8), 4, width=4)
    gan(torch.randn(64, 4))  # running statistics that are not those of a start
    before = copy.deepcopy(gan.state_dict())
    for mode in (True, False):
        gan.train(mode)
        sample = gan.sample(3, generator=draw())
        assert gan.generator.training == mode
        assert not sample.requires_grad
        gan.eval()
        torch.testing.assert_close(sample, gan(gan.noise(3, generator=draw())), rtol=0, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), gan.state_dict().values(), strict=True))
    torch.testing.assert_close(gan.noise(3, generator=draw()), torch.randn(3, 4, generator=draw()), rtol=0, atol=0)


# Training


def ring_batches(n: int = 512, size: int = 64) -> minibatches:
    return minibatches(gaussian_ring().sample(n, generator=draw()), size=size, seed=0)


def by_hand(gan: GAN, batches: minibatches, *, steps: int, critic_steps: int, seed: int) -> tuple[list, list]:
    """The game with the formulas as printed; what is drawn, in the order in which `fit_gan` draws it."""
    noise = draw(seed)
    adam = [torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.5, 0.9)) for net in (gan.critic, gan.generator)]
    data, critic, generator = iter([x for _ in range(99) for (x,) in batches]), [], []
    for _ in range(steps):
        for _ in range(critic_steps):
            x = next(data)
            fake = gan.generator(torch.randn(len(x), gan.latent, generator=noise, dtype=x.dtype)).detach()
            loss = CRITIC[gan.loss](gan.critic(x), gan.critic(fake))
            if gan.loss == "wgan-gp":
                share = torch.rand(len(x), 1, generator=noise, dtype=x.dtype)
                between = (share * x + (1 - share) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(gan.critic(between).sum(), between, create_graph=True)
                loss = loss + 10 * ((slope.square().sum(1).sqrt() - 1) ** 2).mean()
            adam[0].zero_grad()
            loss.backward()
            adam[0].step()
            if gan.loss == "wgan":
                with torch.no_grad():
                    for weight in gan.critic.parameters():
                        weight.copy_(weight.clip(-0.01, 0.01))
        critic.append(loss.item())
        fake = gan.generator(torch.randn(len(x), gan.latent, generator=noise, dtype=x.dtype))
        loss = GENERATOR[gan.loss](gan.critic(fake))
        adam[1].zero_grad()
        loss.backward()
        adam[1].step()
        generator.append(loss.item())
    return critic, generator


@pytest.mark.parametrize("critic_steps", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_training_is_the_game_by_hand(name: str, critic_steps: int) -> None:
    ours = GAN.mlp(hidden=(16,), loss=name).double()
    theirs = copy.deepcopy(ours)
    x = gaussian_ring().sample(100, generator=draw()).double()
    history = fit_gan(
        ours,
        minibatches(x, size=32, seed=3),  # the last of a pass has four rows
        steps=9,
        critic_steps=critic_steps,
        lr=2e-3,
        seed=4,
        device="cpu",
    )
    losses = by_hand(theirs, minibatches(x, size=32, seed=3), steps=9, critic_steps=critic_steps, seed=4)
    assert history.critic == pytest.approx(losses[0], rel=1e-9, abs=1e-11)
    assert history.generator == pytest.approx(losses[1], rel=1e-9, abs=1e-11)
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)
    assert not ours.training
    assert all(p.requires_grad for p in ours.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_a_seed_repeats_the_training_whatever_is_drawn_elsewhere(name: str, device: torch.device) -> None:
    start = GAN.mlp(hidden=(16,), loss=name)

    def run(seed: int) -> tuple[list[float], Tensor]:
        gan = copy.deepcopy(start)
        history = fit_gan(gan, ring_batches(), steps=5, seed=seed, device=device)
        assert len(history.critic) == len(history.generator) == 5
        assert all(map(math.isfinite, history.critic + history.generator))
        assert {p.device.type for p in gan.parameters()} == {device.type}
        return history.critic + history.generator, nn.utils.parameters_to_vector(gan.parameters())

    losses, weights = run(0)
    torch.rand(7)
    again, same = run(0)
    if device.type == "cpu":  # elsewhere sums may come in another order
        assert again == losses
        assert torch.equal(weights, same)
    else:
        assert again == pytest.approx(losses, rel=1e-3, abs=1e-4)
    assert run(1)[0] != pytest.approx(losses, rel=1e-3, abs=1e-4)


def test_the_clipped_critic_stays_clipped_and_reaches_the_edge() -> None:
    gan = GAN.mlp(hidden=(16,), loss="wgan", clip=0.03)
    fit_gan(gan, ring_batches(), steps=20, device="cpu")
    largest = max(p.abs().max().item() for p in gan.critic.parameters())
    assert largest == pytest.approx(0.03, rel=1e-6)
    assert max(p.abs().max().item() for p in gan.generator.parameters()) > 0.1


def test_a_small_training_finds_all_modes_of_the_ring() -> None:
    """At about every second seed; at others it collapses, and which they are depends on the processor's rounding."""
    ring, found = gaussian_ring(), []
    for seed in range(6):
        torch.manual_seed(seed)
        gan = GAN.mlp()
        batches = minibatches(ring.sample(4000, generator=draw(seed)), size=128, seed=seed)
        fit_gan(gan, batches, steps=1500, device="cpu")
        count, share = mode_count(gan.sample(2000, generator=draw()), ring.means, radius=4 * ring.std)
        found.append((count, round(share, 2)))
        if count == 8 and share > 0.3:
            return
    pytest.fail(f"expected all 8 modes at one of six seeds, found (modes, share of samples near one) {found}")


def test_images_train_too() -> None:
    gan = GAN.dcgan((1, 8, 8), 4, width=4)
    x = torch.randint(2, (64, 1, 8, 8), generator=draw()) * 2.0 - 1
    before = copy.deepcopy(gan.state_dict())
    history = fit_gan(gan, [(x[:32], None), (x[32:], None)], steps=12, device="cpu")  # what follows the data is left
    assert all(map(math.isfinite, history.critic + history.generator))
    assert all(not torch.equal(a, b) for a, b in zip(before.values(), gan.state_dict().values(), strict=True))
    assert history.critic[-1] < history.critic[0]


def test_batches_start_again_and_a_source_that_cannot_is_named() -> None:
    gan, batches = GAN.mlp(hidden=(4,)), list(ring_batches(192))
    assert len(fit_gan(gan, batches, steps=7, device="cpu").critic) == 7
    with pytest.raises(ValueError, match=r"expected at least one batch, got none \(a generator can be read only once"):
        fit_gan(gan, (batch for batch in batches), steps=7, device="cpu")
    assert len(fit_gan(gan, (batch for batch in batches), steps=3, device="cpu").critic) == 3
    with pytest.raises(ValueError, match="expected at least one batch, got none"):
        fit_gan(gan, [], steps=7, device="cpu")


class Breaks(nn.Module):
    """A critic whose n-th answer is NaN; it is asked twice in its own step and once in the generator's."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.net, self.at, self.calls = nn.Linear(2, 1), at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.net(x) * (float("nan") if self.calls == self.at else 1.0)


@pytest.mark.parametrize(("at", "player"), [(7, "critic"), (8, "critic"), (9, "generator")])
def test_a_loss_that_is_not_finite_names_the_step_and_the_player(at: int, player: str, device: torch.device) -> None:
    gan = GAN(nn.Linear(2, 2), Breaks(at), 2)
    with pytest.raises(FloatingPointError, match=f"the {player}'s loss is nan at step 2: try a smaller learning rate"):
        fit_gan(gan, ring_batches(), steps=250, device=device)


def test_the_step_is_named_where_losses_are_looked_at_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "reads_are_free", lambda on: False)
    for at, step in ((9, 2), (3 * 120 + 2, 120), (3 * 249 + 3, 249)):
        gan = GAN(nn.Linear(2, 2), Breaks(at), 2)
        with pytest.raises(FloatingPointError, match=f"loss is nan at step {step}:"):
            fit_gan(gan, ring_batches(), steps=250, device="cpu")


class Watches(nn.Module):
    """A network that notes the dtypes in which it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.seen = nn.Linear(2, 2), []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.net(x).dtype)
        return self.net(x)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_precision_holds_for_both_players_steps(precision: str, dtype: torch.dtype, device: torch.device) -> None:
    gan = GAN(Watches(), nn.Sequential(Watches(), nn.Linear(2, 1)), 2)
    fit_gan(gan, ring_batches(), steps=2, precision=precision, device=device)
    assert gan.generator.seen == [dtype] * 4  # once in each player's step
    assert gan.critic[0].seen == [dtype] * 6  # twice in its own


def test_bf16_stays_close_to_float32_and_its_losses_keep_their_digits(device: torch.device) -> None:
    start, losses = GAN.mlp(), {}
    for precision in ("float32", "bf16"):
        gan = copy.deepcopy(start)
        history = fit_gan(gan, ring_batches(), steps=5, precision=precision, device=device)
        losses[precision] = history.critic + history.generator
        assert all(map(math.isfinite, losses[precision]))
        assert {p.dtype for p in gan.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["float32"]  # it did run in another precision
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.02)
    x, z = gaussian_ring().sample(8).to(device), torch.randn(8, 2, device=device)
    for name in LOSSES:
        gan = GAN.mlp(hidden=(16,), loss=name).to(device)
        with runtime.autocast(device, "bf16"):
            assert gan.critic_step_loss(x, z).dtype == gan.generator_step_loss(z).dtype == torch.float32


def test_a_row_alone_is_the_row_in_its_batch() -> None:
    for gan, x in (
        (GAN.mlp(3, 4), torch.randn(5, 3, dtype=torch.float64)),
        (GAN.dcgan((1, 8, 8), 4, width=4), torch.rand(5, 1, 8, 8, dtype=torch.float64)),
    ):
        gan.double().eval()
        z = gan.noise(5)
        for i in range(5):
            torch.testing.assert_close(gan(z[i : i + 1]), gan(z)[i : i + 1], rtol=1e-11, atol=1e-13)
            torch.testing.assert_close(gan.critic(x[i : i + 1]), gan.critic(x)[i : i + 1], rtol=1e-11, atol=1e-13)


@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # whose 10 bits of mantissa are not float32
def test_float32_on_any_device_is_float64_on_the_cpu(device: torch.device) -> None:
    z = torch.randn(6, 4, generator=draw(), dtype=torch.float64)
    x = torch.rand(6, 1, 8, 8, generator=draw(2), dtype=torch.float64)
    for name in LOSSES:
        gan = GAN.dcgan((1, 8, 8), 4, width=4, loss=name).double()
        exact = [gan(z), gan.generator_step_loss(z)]
        exact += [] if name == "wgan-gp" else [gan.critic_step_loss(x, z)]  # the penalty's points differ by device
        gan.float().to(device)
        here = [gan(z.float().to(device)), gan.generator_step_loss(z.float().to(device))]
        penalised = gan.critic_step_loss(x.float().to(device), z.float().to(device))
        here += [] if name == "wgan-gp" else [penalised]
        for a, b in zip(here, exact, strict=True):
            torch.testing.assert_close(a.cpu(), b.float(), rtol=1e-3, atol=1e-4)
        penalised.backward()
        assert all(p.grad.isfinite().all() for p in gan.critic.parameters())
        assert gan.sample(3, generator=torch.Generator(device).manual_seed(0)).device.type == device.type


def test_the_state_makes_a_round_trip() -> None:
    for make in (GAN.mlp, lambda: GAN.dcgan((1, 8, 8), 4, width=4)):
        one, other = make(), make()
        one(one.noise(9))
        other.load_state_dict(one.state_dict())
        z = one.noise(4)
        assert torch.equal(one.eval()(z), other.eval()(z))
        assert torch.equal(one.critic(one(z)), other.critic(other(z)))


def test_settings_that_make_no_game() -> None:
    with pytest.raises(
        ValueError, match="expected a loss among non-saturating, saturating, wgan, wgan-gp, got 'lsgan'"
    ):
        GAN.mlp(loss="lsgan")
    for shape in ((1, 28, 30), (1, 30, 28)):
        with pytest.raises(ValueError, match=rf"multiples of 4, got {shape[1]} x {shape[2]}"):
            GAN.dcgan(shape)
    for steps, critic_steps in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match=f"expected 1 step or more of each player, got {steps} and {critic_steps}"):
            fit_gan(GAN.mlp(), ring_batches(), steps=steps, critic_steps=critic_steps)
    with pytest.raises(ValueError, match="expected a precision among float32, bf16, got 'fp16'"):
        fit_gan(GAN.mlp(), ring_batches(), steps=1, precision="fp16", device="cpu")


def test_the_bar_goes_to_standard_output_only(capfd: pytest.CaptureFixture) -> None:
    fit_gan(GAN.mlp(hidden=(4,)), ring_batches(), steps=3, device="cpu", progress=True)
    assert capfd.readouterr().err == ""


def test_a_training_that_is_interrupted_leaves_the_critic_trainable():
    gan = GAN.mlp(2, 2, hidden=(8,))
    data = minibatches(torch.randn(32, 2), size=16)

    def interrupt(module, args):
        if not next(gan.critic.parameters()).requires_grad:  # in the generator's step
            raise KeyboardInterrupt

    handle = gan.critic.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit_gan(gan, data, steps=3)
    assert all(p.requires_grad for p in gan.parameters())
    handle.remove()
    assert len(fit_gan(gan, data, steps=3).critic) == 3
