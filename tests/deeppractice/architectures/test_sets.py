"""Networks on sets, against the formula point by point, and against PyG."""

import copy
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import PointNet, TNet

EXACT = {"rtol": 1e-11, "atol": 1e-13}
SMALL = {"local": [5, 6, 7], "head": [4]}
# 3 -> 64 -> 64 -> 64 -> 128 -> 1024 -> 512 -> 256 -> 40, each with weights, biases, and scale and shift of its norm.
PARAMS_LOCAL = (3 * 64 + 2 * 64 * 64 + 64 * 128 + 128 * 1024) + 3 * (64 + 64 + 64 + 128 + 1024)
PARAMS_HEAD = (1024 * 512 + 512 * 256) + 3 * (512 + 256) + 256 * 40 + 40
PARAMS_TNET = (
    (3 * 64 + 64 * 128 + 128 * 1024 + 1024 * 512 + 512 * 256) + 3 * (64 + 128 + 1024 + 512 + 256) + 256 * 9 + 9
)


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomise(model: nn.Module) -> nn.Module:
    """Weights and running averages, so that no two tensors can be mistaken for each other."""
    for i, (name, value) in enumerate(model.double().state_dict().items()):
        if value.is_floating_point():
            value.copy_(normal(*value.shape, seed=20 + i) * (0.5 if name.startswith("align.head") else 1.0))
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return model


def dense(layers: nn.Sequential, rows: list[Tensor], train: bool) -> list[Tensor]:
    """A chain of linear, norm and ReLU, for one vector after another; a norm in training sees all of them."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            rows = [layer.weight @ row + layer.bias for row in rows]
        elif isinstance(layer, nn.ReLU):
            rows = [row.clamp(min=0) for row in rows]
        else:
            mean, var = layer.running_mean, layer.running_var
            if train:
                mean = sum(rows) / len(rows)
                var = sum((row - mean) ** 2 for row in rows) / len(rows)
            rows = [(row - mean) / (var + 1e-5).sqrt() * layer.weight + layer.bias for row in rows]
    return rows


def by_points(model: PointNet, x: Tensor, train: bool) -> Tensor:
    """The formula, a point at a time: (B, N, D) -> (B, K)."""
    if model.align is not None:
        turns = by_points(model.align, x, train).view(len(x), 3, 3)
        x = torch.stack(
            [torch.stack([turn.T @ point for point in cloud]) for cloud, turn in zip(x, turns, strict=True)]
        )
    h = dense(model.local, [point for cloud in x for point in cloud], train)
    n = x.shape[1]
    largest = [torch.stack(h[b * n : (b + 1) * n]).max(0).values for b in range(len(x))]
    return torch.stack(dense(model.head, largest, train))


def slopes(out: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((normal(*out.shape, seed=9) * out).sum(), leaves)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("align", [False, True])
def test_it_is_the_formula_point_by_point_values_and_gradients(align: bool, norm: bool, train: bool) -> None:
    model = randomise(PointNet(3, 2, **SMALL, align=align, norm=norm)).train(train)
    x = normal(3, 8, 3).requires_grad_()
    found, expected = model(x), by_points(model, x, train)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    leaves = [x, *model.parameters()]
    torch.testing.assert_close(slopes(found, leaves), slopes(expected, leaves), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("align", [False, True])
def test_no_order_of_the_points_matters_and_no_copy_of_one(align: bool) -> None:
    model, x = randomise(PointNet(3, 2, **SMALL, align=align)).eval(), normal(3, 8, 3)
    order = torch.tensor([3, 0, 7, 5, 1, 4, 2, 6])
    torch.testing.assert_close(model(x[:, order]), model(x), **EXACT)
    torch.testing.assert_close(model(torch.cat([x, x[:, :3]], dim=1)), model(x), **EXACT)
    assert not torch.allclose(model(x[:, :4]), model(x), atol=1e-3)


def test_critical_points_are_all_that_counts() -> None:
    model, x = randomise(PointNet(3, 2, **SMALL)).eval(), normal(3, 40, 3)
    critical = model.critical(x)
    assert critical.shape == (3, 7)
    h = model.forward_points(x)
    for b in range(3):
        for k in range(7):
            assert h[b, critical[b, k], k] == max(h[b, :, k])
        alone = x[b : b + 1, critical[b].unique()]
        assert alone.shape[1] <= 7
        torch.testing.assert_close(model(alone), model(x[b : b + 1]), **EXACT)


def test_a_transform_starts_as_the_identity_and_turns_points_from_the_right() -> None:
    net, x = TNet(3, **SMALL).double().eval(), normal(2, 8, 3)
    assert torch.equal(net(x), torch.eye(3).double().expand(2, 3, 3))
    aligned = PointNet(3, 2, **SMALL, align=True).double().eval()
    plain = PointNet(3, 2, **SMALL).double().eval()
    plain.load_state_dict({k: v for k, v in aligned.state_dict().items() if not k.startswith("align")})
    torch.testing.assert_close(aligned(x), plain(x), **EXACT)
    turn = normal(3, 3)
    aligned.align.head[-1].bias.data = turn.flatten()
    torch.testing.assert_close(aligned(x), plain(x @ turn), **EXACT)


def test_it_is_pygs_parts_put_together(pyg: ModuleType) -> None:
    model, x = randomise(PointNet(3, 2, **SMALL)), normal(3, 8, 3).requires_grad_()
    points = pyg.nn.MLP([3, 5, 6, 7], plain_last=False).double()
    head = pyg.nn.MLP([7, 4, 2]).double()
    for theirs, ours in ((points, model.local), (head, model.head)):
        linear = [part for part in ours if isinstance(part, nn.Linear)]
        norms = [part for part in ours if isinstance(part, nn.BatchNorm1d)]
        for a, b in zip(
            [*theirs.lins, *(n.module for n in theirs.norms if hasattr(n, "module"))], [*linear, *norms], strict=True
        ):
            a.load_state_dict(b.state_dict())
    model.eval(), points.eval(), head.eval()
    batch = torch.arange(3).repeat_interleave(8)
    expected = head(pyg.nn.global_max_pool(points(x.flatten(0, 1)), batch))
    torch.testing.assert_close(model(x), expected, **EXACT)
    torch.testing.assert_close(slopes(model(x), [x]), slopes(expected, [x]), **EXACT)


def test_parameters_are_counted_by_hand() -> None:
    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    assert count(PointNet(3, 40)) == PARAMS_LOCAL + PARAMS_HEAD == 819_624
    assert count(PointNet(3, 40, align=True)) - count(PointNet(3, 40)) == PARAMS_TNET
    order = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(part) for part in PointNet(3, 2, **SMALL).local] == 3 * order
    assert [type(part) for part in PointNet(3, 2, **SMALL).head] == [*order, nn.Linear]
    assert count(PointNet(3, 5, local=[8], head=[], norm=False)) == 3 * 8 + 8 + 8 * 5 + 5


def test_any_device_and_bf16(device: torch.device) -> None:
    model, x = PointNet(3, 2, **SMALL, align=True).double().eval(), normal(3, 8, 3)
    expected = model(x)
    single, y = copy.deepcopy(model).float().to(device), x.float().to(device)
    torch.testing.assert_close(single(y).cpu().double(), expected, rtol=1e-4, atol=1e-4)
    with runtime.autocast(device, "bf16"):
        torch.testing.assert_close(single(y).cpu().double(), expected, rtol=0, atol=0.05)
    half = single.bfloat16()(y.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.cpu().double(), expected, rtol=0, atol=0.05)


def test_they_compile_without_a_break() -> None:
    torch.compiler.reset()
    model, x = PointNet(3, 2, **SMALL, align=True), normal(3, 8, 3).float()
    compiled = torch.compile(lambda x: (model(x), model.align(x)), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), (model(x), model.align(x)), rtol=1e-5, atol=1e-6)


def test_what_fits_no_shape_is_named() -> None:
    for shape in ((8, 3), (2, 8, 2)):
        with pytest.raises(ValueError, match=r"expected \(batch, points, 3\), got \(") as info:
            PointNet(3, 2, **SMALL)(torch.zeros(shape))
        assert str(shape) in str(info.value)
