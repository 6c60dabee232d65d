"""Batch, layer and group norm as taught, against torch's: values, gradients, running averages."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import BatchNorm, group_norm, layer_norm, norm_layer, standardise

TWINS = {(): nn.BatchNorm1d, (7,): nn.BatchNorm1d, (4, 5): nn.BatchNorm2d, (2, 3, 4): nn.BatchNorm3d}


def data(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 + 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def weights(n: int) -> tuple[Tensor, Tensor]:
    return data(n, seed=2).requires_grad_(), data(n, seed=3).requires_grad_()


def assert_same(ours: Tensor, theirs: Tensor, leaves: list[Tensor]) -> None:
    """Values to 1e-12, gradients of a random sum of them to 1e-10."""
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    probe = data(*ours.shape, seed=9)
    a, b = (torch.autograd.grad((out * probe).sum(), leaves, retain_graph=True) for out in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("positions", TWINS)
def test_batch_norm_trains_and_evaluates_as_torch_does(positions: tuple[int, ...]) -> None:
    ours = BatchNorm(3, momentum=0.3, eps=0.01).double()
    theirs = TWINS[positions](3, momentum=0.3, eps=0.01).double()
    with torch.no_grad():
        ours.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        ours.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
    theirs.load_state_dict(ours.state_dict())
    for step in range(3):
        x = data(6, 3, *positions, seed=step).requires_grad_()
        assert_same(ours(x), theirs(x), [x])
        a, b = (torch.autograd.grad(norm(x).square().sum(), list(norm.parameters())) for norm in (ours, theirs))
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-12, atol=1e-12)
    assert ours.num_batches_tracked == 6
    ours.eval(), theirs.eval()
    x = data(1, 3, *positions, seed=8).requires_grad_()  # one datum is enough now
    assert_same(ours(x), theirs(x), [x])
    assert ours.num_batches_tracked == 6, "evaluation learns nothing"


def test_running_averages_by_hand() -> None:
    norm = BatchNorm(1).double()
    norm(torch.tensor([[0.0], [2.0], [4.0]], dtype=torch.float64))  # mean 2, variance 8/3, unbiased 4
    assert norm.running_mean.item() == pytest.approx(0.9 * 0 + 0.1 * 2)
    assert norm.running_var.item() == pytest.approx(0.9 * 1 + 0.1 * 4)
    assert sum(p.numel() for p in BatchNorm(16).parameters()) == 32  # a scale and a shift a channel


def test_a_datum_depends_on_its_batch_in_training_alone() -> None:
    norm, x = BatchNorm(3).double(), data(5, 3, 2)
    other = torch.cat([x[:1], data(4, 3, 2, seed=7)])
    assert not torch.allclose(norm(x)[0], norm(other)[0], atol=0.01)
    norm.eval()
    assert torch.equal(norm(x)[0], norm(other)[0])


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 4, 3, 5)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm_is_torchs(shape: tuple[int, ...], eps: float) -> None:
    x = data(*shape).requires_grad_()
    weight, bias = weights(5)
    assert_same(layer_norm(x, weight, bias, eps=eps), F.layer_norm(x, (5,), weight, bias, eps), [x, weight, bias])
    if len(shape) == 4:
        square = data(3, 5, seed=2), data(3, 5, seed=3)
        assert_same(layer_norm(x, *square, eps=eps), F.layer_norm(x, (3, 5), *square, eps), [x])


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("positions", [(7,), (4, 5)])
def test_group_norm_is_torchs(groups: int, positions: tuple[int, ...]) -> None:
    x = data(3, 6, *positions).requires_grad_()
    weight, bias = weights(6)
    for eps in (1e-5, 0.5):
        theirs = F.group_norm(x, groups, weight, bias, eps)
        assert_same(group_norm(x, groups, weight, bias, eps=eps), theirs, [x, weight, bias])


def test_what_is_standardised_has_mean_0_and_variance_1() -> None:
    x = standardise(data(50, 6, 8), [0, 2], eps=0.0)
    torch.testing.assert_close(x.mean((0, 2)), torch.zeros(6).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(x.square().mean((0, 2)), torch.ones(6).double(), rtol=1e-12, atol=0)


def test_the_layers_that_models_take() -> None:
    assert isinstance(norm_layer("batch", 12), nn.BatchNorm2d)
    assert isinstance(norm_layer("none", 12), nn.Identity)
    assert [norm_layer("group", n).num_groups for n in (64, 48, 12, 7)] == [32, 16, 4, 1]
    assert norm_layer("layer", 12).num_groups == 1
    assert all(norm_layer(name, 12).weight.shape == (12,) for name in ("batch", "layer", "group"))


def test_bad_inputs() -> None:
    for shape in ((4, 5), (4, 5, 2, 2), (3,)):
        with pytest.raises(ValueError, match=r"expected \(batch, 3, \.\.\.\), got \(") as info:
            BatchNorm(3)(torch.zeros(shape))
        assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match=r"expected 2 values a channel or more to train on, got \(1, 3\)"):
        BatchNorm(3)(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 3\), got \(2, 4\)"):
        layer_norm(torch.zeros(2, 4), torch.ones(3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"expected channels in 4 equal groups, got \(2, 6, 3\)"):
        group_norm(torch.zeros(2, 6, 3), 4, torch.ones(6), torch.zeros(6))
    with pytest.raises(ValueError, match="expected a norm among batch, layer, group, none, got 'batchnorm'"):
        norm_layer("batchnorm", 3)


CASES = {
    "batch, training": lambda x, norm: norm(x),
    "batch, evaluation": lambda x, norm: norm.eval()(x),
    "layer": lambda x, norm: layer_norm(x, x.new_tensor([2.0, -1.0, 0.5, 1.0]), x.new_zeros(4)),
    "group": lambda x, norm: group_norm(x, 3, x.new_tensor([2.0, -1.0, 0.5, 1.0, 3.0, 0.1]), x.new_ones(6)),
}


@pytest.mark.parametrize("case", CASES)
def test_any_device_and_bf16(case: str, device: torch.device) -> None:
    x = data(8, 6, 3, 4)
    exact = CASES[case](x, BatchNorm(6).double())
    here = CASES[case](x.float().to(device), BatchNorm(6).to(device))
    torch.testing.assert_close(here.cpu(), exact.float(), rtol=1e-5, atol=1e-5)
    low = CASES[case](x.to(device, torch.bfloat16), BatchNorm(6).to(device, torch.bfloat16))
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.cpu().double(), exact, rtol=0.05, atol=0.05)
    with runtime.autocast(device, "bf16"):
        torch.testing.assert_close(CASES[case](x.float().to(device), BatchNorm(6).to(device)), here)


def test_the_mean_of_many_bf16_values_keeps_its_digits() -> None:
    x = (100 + torch.randn(64, 1, 32, generator=torch.Generator().manual_seed(1))).bfloat16()
    torch.testing.assert_close(BatchNorm(1)(x).float(), nn.BatchNorm1d(1)(x.float()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("case", CASES)
def test_one_graph_with_equal_values(case: str) -> None:
    torch.compiler.reset()
    x, norm = torch.randn(8, 6, 3, 4), BatchNorm(6)
    expected = CASES[case](x, norm)
    norm.train()
    compiled = torch.compile(lambda x: CASES[case](x, norm), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected if "evaluation" not in case else CASES[case](x, norm))
