"""torchvision's models as oracles. Machines with a GPU may have torch alone: there, what needs them is skipped."""

import importlib.util
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """`torchvision.models`."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    from deeppractice.data._torchvision import torchvision

    return torchvision.models


@pytest.fixture(scope="session")
def assert_twins() -> Callable:
    """The function of that name below."""
    return _assert_twins


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
