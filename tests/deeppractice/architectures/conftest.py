"""torchvision's models and PyG's layers as oracles, and what is asked of every family.

Machines with a GPU may have torch alone: there, what needs torchvision or PyG is skipped.
"""

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """`torchvision.models`."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    from deeppractice.data._torchvision import torchvision

    return torchvision.models


@pytest.fixture(scope="session")
def pyg() -> ModuleType:
    """`torch_geometric`: imported here, so that only its tests wait for it; the warnings of that are its own."""
    pytest.importorskip("torch_geometric.nn", reason="needs torch_geometric")
    return sys.modules["torch_geometric"]


@pytest.fixture(scope="session")
def assert_near() -> Callable:
    """The function of that name below."""
    return _assert_near


@pytest.fixture(scope="session")
def assert_one_graph() -> Callable:
    """The function of that name below."""
    return _assert_one_graph


@pytest.fixture(scope="session")
def assert_twins() -> Callable:
    """The function of that name below."""
    return _assert_twins


def _assert_near(net: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    """float32 on the device is float64 on the CPU, and bf16 is near it, with gradients; what bf16 gave."""
    exact = net.double()(x)
    net.float().to(device)
    x = x.float().to(device)
    torch.testing.assert_close(net(x).cpu(), exact.float(), rtol=1e-3, atol=1e-3)
    with runtime.autocast(device, "bf16"):
        low = net(x)
    low.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert 0 < (low.cpu().double() - exact).norm() / exact.norm() < 0.05
    return low


def _assert_one_graph(net: nn.Module, x: Tensor, **near: float) -> None:
    """Compiled without a break, with equal values and gradients."""
    torch.compiler.reset()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    values = [(out, torch.autograd.grad(out.square().sum(), list(net.parameters()))) for out in (net(x), compiled(x))]
    torch.testing.assert_close(*values, **near)


def _randomise(model: nn.Module) -> nn.Module:
    """Weights, norms' running averages and all, so that no two tensors can be mistaken for each other."""
    draw = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            scale = 1.0 if value.ndim < 2 else (2 / value[0].numel()) ** 0.5
            value.copy_(scale * torch.randn(value.shape, generator=draw, dtype=value.dtype))
            if name.endswith("running_var") or (value.ndim < 2 and name.endswith("weight")):
                value.abs_().add_(0.5)
    return model.double()


def _assert_twins(ours: nn.Module, theirs: nn.Module, side: int, *, train: bool, rename: bool = False) -> None:
    """Their state loads into ours, and then values, gradients and running averages are the same."""
    state = _randomise(theirs).state_dict()
    if rename:  # same tensors in the same order
        assert [value.shape for value in ours.state_dict().values()] == [value.shape for value in state.values()]
        state = dict(zip(ours.state_dict(), state.values(), strict=True))
    ours.double().load_state_dict(state)
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    results = []
    for model in (ours, theirs):
        leaf = x.clone().requires_grad_()
        out = model.train(train)(leaf)
        grads = torch.autograd.grad(F.cross_entropy(out, torch.tensor([1, 0])), [leaf, *model.parameters()])
        results.append((out, *grads, *(b for name, b in model.named_buffers())))
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
