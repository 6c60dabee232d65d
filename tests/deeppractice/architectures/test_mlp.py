"""The multilayer perceptron, against torch's own layers and against a forward and backward pass by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deeppractice.architectures import MLP
from deeppractice.architectures.mlp import ACTIVATIONS

# 64 * 128 weights + 128 biases, then 128 * 10 weights + 10 biases.
PARAMS_64_128_10 = 9_610

REFERENCES = {"relu": F.relu, "tanh": torch.tanh, "gelu": F.gelu, "sigmoid": torch.sigmoid, "identity": lambda x: x}


def twin(model: MLP, activation: type[nn.Module]) -> nn.Sequential:
    """The same network from torch's own parts, with copies of the weights, in the order of the layers."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    parts: list[nn.Module] = []
    for i, layer in enumerate(layers):
        copy = nn.Linear(layer.in_features, layer.out_features)
        copy.load_state_dict(layer.state_dict())
        parts += [copy, activation()] if i < len(layers) - 1 else [copy]
    return nn.Sequential(*parts)


@pytest.mark.parametrize("sizes", [[5, 3], [5, 7, 3], [5, 7, 6, 4, 3]])
def test_values_and_gradients_are_those_of_a_sequential(sizes: list[int], device: torch.device) -> None:
    model = MLP(sizes, activation="gelu").to(device)
    reference = twin(model, nn.GELU).to(device)
    x = torch.randn(11, 5, device=device)
    y = torch.randint(3, (11,), device=device)

    torch.testing.assert_close(model(x), reference(x), rtol=0, atol=0)
    F.cross_entropy(model(x), y).backward()
    F.cross_entropy(reference(x), y).backward()
    ours, theirs = list(model.parameters()), list(reference.parameters())
    assert len(ours) == len(theirs) == 2 * (len(sizes) - 1)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)


def test_forward_and_backward_by_hand_in_float64() -> None:
    model = MLP([4, 6, 5, 2], activation="tanh").double()
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    W = [layer.weight.detach().numpy() for layer in linears]
    b = [layer.bias.detach().numpy() for layer in linears]

    h = [x]
    for w, c in zip(W[:-1], b[:-1], strict=True):
        h.append(np.tanh(h[-1] @ w.T + c))  # (N, D) -> (N, H)
    out = h[-1] @ W[-1].T + b[-1]
    delta = 2 * (out - target) / out.size  # of the mean squared error
    expected = []
    for layer in reversed(range(3)):
        expected = [delta.T @ h[layer], delta.sum(0), *expected]
        delta = (delta @ W[layer]) * (1 - h[layer] ** 2)

    found = model(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach().numpy(), out, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        model.forward_features(torch.from_numpy(x)).detach().numpy(), h[-1], rtol=1e-12, atol=1e-14
    )
    F.mse_loss(found, torch.from_numpy(target)).backward()
    for value, hand in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(value.grad.numpy(), hand, rtol=1e-10, atol=1e-14)


def test_parameter_count_is_the_one_derived_by_hand() -> None:
    model = MLP([64, 128, 10])
    assert sum(p.numel() for p in model.parameters()) == PARAMS_64_128_10
    assert "9,610 parameters" in repr(model)
    assert "64 -> 128 -> 10" in repr(model)


def test_names_of_the_parameters_stay_for_saved_weights() -> None:
    assert list(MLP([3, 4, 2]).state_dict()) == ["features.0.weight", "features.0.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_each_activation_is_the_function_of_its_name(activation: str) -> None:
    model = MLP([3, 9, 1], activation=activation)
    x = 3 * torch.randn(20, 3)
    by_hand = REFERENCES[activation](x @ model.features[0].weight.T + model.features[0].bias)
    torch.testing.assert_close(model.forward_features(x), by_hand)


def test_two_sizes_make_a_linear_model() -> None:
    model, x = MLP([4, 2]), torch.randn(6, 4)
    torch.testing.assert_close(model(x), F.linear(x, model.head.weight, model.head.bias), rtol=0, atol=0)
    assert torch.equal(model.forward_features(x), x)


def test_leading_dimensions_may_be_none_or_several() -> None:
    model, x = MLP([4, 8, 2]), torch.randn(3, 5, 4)
    assert model(x).shape == (3, 5, 2)
    torch.testing.assert_close(model(x)[1, 2], model(x[1, 2]))


def test_any_device_and_bf16(assert_near: Callable, device: torch.device) -> None:
    torch.manual_seed(0)
    out = assert_near(MLP([5, 7, 3], activation="gelu"), torch.randn(6, 5, dtype=torch.float64), device)
    assert out.dtype == torch.bfloat16


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_it_compiles_into_one_graph(assert_one_graph: Callable, activation: str) -> None:
    assert_one_graph(MLP([5, 7, 3], activation=activation), torch.randn(6, 5))


def test_dropout_acts_in_training_alone_and_keeps_the_expectation() -> None:
    model = MLP([4, 20_000, 1], dropout=0.25)
    x = torch.randn(1, 4)
    model.eval()
    full = model.forward_features(x)
    torch.testing.assert_close(full, F.relu(F.linear(x, model.features[0].weight, model.features[0].bias)))
    model.train()
    dropped = model.forward_features(x)
    active = full > 0
    share = ((dropped == 0) & active).sum() / active.sum()
    # About 10,000 active units, each dropped with probability 1/4: four standard deviations are 0.018.
    assert abs(share.item() - 0.25) < 0.018
    kept = active & (dropped != 0)
    torch.testing.assert_close(dropped[kept], full[kept] / 0.75)
    assert not any(isinstance(m, nn.Dropout) for m in MLP([4, 8, 1]).modules())


def test_a_wrong_width_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, 4\), got \(7, 5\)"):
        MLP([4, 2])(torch.zeros(7, 5))


@pytest.mark.parametrize("sizes", [[], [4], [4, 0, 2], [4, -1]])
def test_sizes_that_make_no_network_are_named(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="expected at least an input and an output size, each 1 or more, got") as info:
        MLP(sizes)
    assert str(sizes) in str(info.value)


def test_an_unknown_activation_names_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"relu, tanh, gelu, sigmoid, identity, got 'swish'"):
        MLP([4, 2], activation="swish")
