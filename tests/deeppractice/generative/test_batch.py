"""What a training batch must be, for all models: each refusal names what was expected and what came."""

import pytest
import torch
from torch import Tensor, nn

from deeppractice.generative import GAN, VAE, Diffusion
from deeppractice.generative._batch import require_batch

NAN, INF = float("nan"), float("inf")


def rows(n: int = 6, size: int = 4) -> Tensor:
    return torch.rand(n, size)


def spoiled(value: float) -> Tensor:
    x = rows()
    x[3, 1] = value
    return x


REFUSED = {
    "no rows": (lambda: rows(0), r"expected a batch of shape \(batch, 4\), got \(0, 4\)"),
    "other width": (lambda: rows(6, 5), r"expected a batch of shape \(batch, 4\), got \(6, 5\)"),
    "one row without a batch": (lambda: torch.rand(4), r"expected a batch of shape \(batch, 4\), got \(4,\)"),
    "a number": (lambda: torch.tensor(0.5), r"expected a batch of shape \(batch, 4\), got \(\)"),
    "an image": (lambda: torch.rand(6, 2, 2), r"expected a batch of shape \(batch, 4\), got \(6, 2, 2\)"),
    "NaN": (lambda: spoiled(NAN), "expected finite values, got some from nan to nan"),
    "infinity": (lambda: spoiled(INF), "expected finite values, got some from .* to inf"),
    "minus infinity": (lambda: spoiled(-INF), "expected finite values, got some from -inf to "),
    "one row again and again": (lambda: rows(1).repeat(6, 1), "expected data that vary, but all 6 rows of the batch"),
    "one number again and again": (lambda: torch.full((6, 4), 0.5), "expected data that vary, but all 6 rows"),
}
MODELS = {
    "VAE": (lambda: VAE((4,), 2, hidden=()), lambda model, x: model.loss(x)),
    "VAE, gaussian": (lambda: VAE((4,), 2, hidden=(), likelihood="gaussian"), lambda model, x: model.loss(x)),
    "Diffusion": (lambda: Diffusion((4,), width=8), lambda model, x: model.loss(x)),
    "GAN": (lambda: GAN.mlp(4, hidden=(8,)), lambda model, x: model.critic_step_loss(x, model.noise(max(len(x), 1)))),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case", [case for case in REFUSED if case != "a number"])
def test_every_model_refuses_what_is_no_batch(name: str, case: str) -> None:
    make, loss = MODELS[name]
    batch, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        loss(make(), batch())


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_a_batch_of_one_in_either_precision(name: str) -> None:
    make, loss = MODELS[name]
    for dtype in (torch.float32, torch.float64):
        value = loss(make().to(dtype), rows(1).to(dtype))
        assert value.isfinite()
        assert value.dtype == dtype


@pytest.mark.parametrize("case", REFUSED)
def test_the_check_itself(case: str) -> None:
    batch, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        require_batch(nn.Identity(), batch(), (4,))


@pytest.mark.parametrize(
    ("value", "range_"), [(1.01, r"from 0 to 1, got some from .* to 1\.01: scale"), (-0.5, r"got some from -0\.5 to")]
)
def test_a_bernoulli_likelihood_takes_shares_only(value: float, range_: str) -> None:
    with pytest.raises(ValueError, match=range_):
        VAE((4,), 2).loss(spoiled(value))
    assert VAE((4,), 2, likelihood="gaussian").loss(spoiled(value)).isfinite()


def test_both_ends_of_the_range_belong_to_it() -> None:
    x = torch.tensor([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    assert VAE((4,), 2).loss(x).isfinite()


@pytest.mark.parametrize(("value", "end"), [(-1.5, "from -1.5"), (255.0, "to 255")])
def test_a_bounded_generator_refuses_data_outside_its_range(value: float, end: str) -> None:
    gan = GAN.dcgan((1, 4, 4), 2, width=2)
    x = torch.rand(6, 1, 4, 4) * 2 - 1
    assert gan.critic_step_loss(x, gan.noise(6)).isfinite()
    x[2, 0, 1, 1] = value
    with pytest.raises(ValueError, match=rf"expected values from -1 to 1, got some .*{end}"):
        gan.critic_step_loss(x, gan.noise(6))


def test_what_is_no_constant_batch() -> None:
    one = rows(1)
    require_batch(nn.Identity(), one, (4,))  # a single row can't vary
    require_batch(nn.Identity(), torch.full((1, 4), 0.5), (4,))
    two = one.repeat(6, 1)
    two[5, 3] += 0.1
    require_batch(nn.Identity(), two, (4,))


def test_values_are_looked_at_each_time_where_that_is_free_and_else_once(device: torch.device) -> None:
    model = nn.Identity()
    require_batch(model, rows().to(device), (4,))
    with pytest.raises(ValueError, match=r"got \(6, 5\)"):  # the shape costs nothing
        require_batch(model, rows(6, 5).to(device), (4,))
    bad = spoiled(NAN).to(device)
    if device.type == "cpu":
        with pytest.raises(ValueError, match="finite"):
            require_batch(model, bad, (4,))
    else:
        require_batch(model, bad, (4,))
    with pytest.raises(ValueError, match="finite"):
        require_batch(nn.Identity(), bad, (4,))
