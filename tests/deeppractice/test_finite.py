"""Where numbers stop being finite: each kind of failure is named, and the weights from before it stay."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import MLP
from deeppractice.training import fit, minibatches


class Log(nn.Module):
    """log(relu(x)): of zero, minus infinity."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu().log()


class Block(nn.Module):
    """Two layers with a root between them that no module of its own takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).sqrt())


class Attention(nn.Module):
    """Attention with a mask of minus infinities, before a division by zero."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 1, batch_first=True)
        self.head = Division(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x, mask = x[:, None], torch.full((1, 2), -math.inf).masked_fill(torch.tensor([[True, False]]), 0.0)
        return self.head(self.attend(x, x.repeat(1, 2, 1), x.repeat(1, 2, 1), attn_mask=mask.to(x.device))[0])


class Division(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 0


class Named(nn.Module):
    """Parts that take and give dictionaries and keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, *, given: dict[str, Tensor]) -> dict[str, list[Tensor]]:
        return {"out": [self.inner(given["x"]) / 0]}


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.named = Named()

    def forward(self, x: Tensor) -> Tensor:
        return self.named(given={"x": x})["out"][0]


def mean(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).mean()


def rows(n: int = 6) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1))


def spread(x: Tensor) -> Tensor:
    return (x - x.mean()).square().sum()


@pytest.fixture(params=["looks at each step", "looks once an epoch"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU, and as on an accelerator, where a look costs a wait."""
    if request.param == "looks once an epoch":
        monkeypatch.setattr(runtime, "reads_are_free", lambda on: False)


FAILURES = {
    "a layer": (
        nn.Sequential(nn.Linear(4, 8), Log(), nn.Linear(8, 1)),
        mean,
        r"loss is nan at step 0; the output of 1 \(Log\), input shape \(6, 8\), is not finite while its input is",
    ),
    "a step between layers": (
        nn.Sequential(nn.Linear(4, 4), Block()),
        mean,
        r"the output of 1 \(Block\), input shape \(6, 4\), in a step of its own before 1.second \(Linear\), "
        r"input shape \(6, 4\), is not finite",
    ),
    "a step of the whole model": (Block(), mean, r"of the model itself \(Block\), .* own before second \(Linear\)"),
    "dictionaries": (Around(), mean, r"the output of named \(Named\), input shape \(6, 4\), is not finite while"),
    "a mask on the way": (
        Attention(),
        mean,
        r"the output of head \(Division\), input shape \(6, 1, 4\), is not finite",
    ),
    "the loss": (
        nn.Linear(4, 4),
        lambda model, x: (model(x) * 0).log().mean(),
        "loss is -inf at step 0; every module's output is finite, so it is the loss itself: try a smaller",
    ),
    "a gradient": (
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)),
        lambda model, x: spread(model(x) * 0).sqrt(),
        r"the loss is finite at step 0, but the gradient of 1.bias, shape \(4,\), is not and of 3 parameters before it",
    ),
}


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("failure", list(FAILURES))
def test_the_place_is_named_and_the_weights_stay(failure: str) -> None:
    model, loss, message = FAILURES[failure]
    model = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FloatingPointError, match=message):
        fit(model, [(rows(),)], loss, epochs=2, device="cpu")
    for name, x in model.state_dict().items():
        assert torch.equal(x, before[name]), name
    assert not any(part._forward_hooks for part in model.modules())


@pytest.mark.usefixtures("looking")
def test_a_batch_that_is_not_finite_is_named_with_its_step() -> None:
    x = rows(12)
    x[9, 2], x[9, 3] = math.inf, math.nan
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
    message = r"the loss is nan at step 1; 2 of 24 values of the batch's tensor 0, shape \(6, 4\), are not finite$"
    with pytest.raises(FloatingPointError, match=message):
        fit(model, minibatches(x, size=6, shuffle=False), mean, epochs=2, device="cpu")
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.usefixtures("looking")
def test_a_rate_that_explodes_names_a_layer_or_its_weights() -> None:
    model = MLP([4, 8, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(FloatingPointError, match=r"at step \d, but the gradient of|at step \d; the output of .*Linear"):
        fit(model, [(rows(),)] * 3, lambda m, x: m(x).square().mean(), epochs=2, optimizer=optimizer, device="cpu")
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert optimizer.param_groups[0]["lr"] == 1e30


def test_a_last_step_that_spoils_the_weights_is_found_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "reads_are_free", lambda on: False)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=math.inf)
    with pytest.raises(
        FloatingPointError, match=r"epoch 0 ended in a loss or weights that are not finite, but run again"
    ):
        fit(model, [(rows(),)], mean, epochs=1, optimizer=optimizer, device="cpu")


def test_weights_that_come_spoiled_are_named() -> None:
    model = MLP([4, 8, 1])
    with torch.no_grad():
        model.head.weight[0, 3] = math.nan
    with pytest.raises(
        FloatingPointError, match=r"step 0; head.weight, shape \(1, 8\), is not finite, since an earlier"
    ):
        fit(model, [(rows(),)], mean, device="cpu")


def test_a_failure_that_a_second_pass_does_not_show() -> None:
    def loss(model: nn.Module, x: Tensor) -> Tensor:
        seen.append(1)
        return mean(model, x) * (math.nan if len(seen) == 1 else 1.0)

    seen = []
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0; the second time it is finite"):
        fit(nn.Linear(4, 1), [(rows(),)], loss, device="cpu")


@pytest.mark.usefixtures("looking")
def test_a_validation_batch_that_fails_is_found_among_the_others() -> None:
    x = rows(12)
    x[7] = math.nan
    with pytest.raises(
        FloatingPointError, match=r"validation loss is nan at step 0; 4 of 24 values of the batch's tensor"
    ):
        fit(nn.Linear(4, 1), [(rows(),)], mean, validation=minibatches(x, size=6, shuffle=False), device="cpu")


@pytest.mark.usefixtures("looking")
def test_the_step_is_found_late_in_an_epoch_with_dropout_and_momentum() -> None:
    """A second run of the epoch has to repeat the first exactly, or it would fail at another step or not at all."""

    def run(failing: float) -> list[float]:
        def loss(model: nn.Module, x: Tensor) -> Tensor:
            value = model(x).square().mean()
            values.append(value.item())
            return value / (value.detach() != failing)

        values = []
        torch.manual_seed(4)
        model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(), nn.Linear(64, 1))
        fit(model, minibatches(rows(64), size=4, seed=3), loss, epochs=3, lr=0.01, clip=1.0, device="cpu")
        return values

    values = run(failing=math.nan)  # which none equals
    assert len(set(values)) == len(values) == 48
    with pytest.raises(FloatingPointError, match="the loss is inf at step 27;"):
        run(failing=values[27])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it traces
def test_a_compiled_model_names_its_layers_too() -> None:
    model = nn.Sequential(nn.Linear(4, 8), Log(), nn.Linear(8, 1))
    model.compile(backend="eager")
    with pytest.raises(FloatingPointError, match=r"the output of 1 \(Log\), input shape \(6, 8\), is not finite"):
        fit(model, [(rows(),)], mean, device="cpu")


def test_a_sparse_gradient_is_looked_at() -> None:
    model = nn.Embedding(5, 2, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ids = torch.tensor([1, 3])
    fit(model, [(ids,)], lambda m, i: m(i).square().mean(), epochs=1, optimizer=optimizer, device="cpu")
    with pytest.raises(FloatingPointError, match="the gradient of weight"):
        fit(model, [(ids,)], lambda m, i: spread(m(i) * 0).sqrt(), epochs=1, optimizer=optimizer, device="cpu")


def test_large_gradients_whose_sum_overflows_are_finite() -> None:
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-38)
    history = fit(model, [(torch.full((1, 4), 1e38),)], mean, epochs=1, optimizer=optimizer, device="cpu")
    assert math.isfinite(history.train[0])
    assert not math.isfinite(model.weight.grad.sum())


def test_each_device_names_the_layer(device: torch.device) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), Log(), nn.Linear(8, 1))
    x = rows()
    with pytest.raises(FloatingPointError, match=r"at step 0; the output of 2 \(Log\)"):
        fit(model, [(x,)] * 3, lambda m, x: F.relu(m(x)).mean(), epochs=1, device=device)
    assert all(torch.isfinite(p).all() for p in model.parameters())
