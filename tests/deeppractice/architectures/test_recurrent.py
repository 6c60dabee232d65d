"""Recurrent networks, against torch's cells and layers with their own weights, and against the automatic Jacobian.

In order: cells; layers, stacked and in both directions; the state; exact identities of the gates; the gradient through
time; counts and names; devices, bf16, one graph; what is refused.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import GRU, LSTM, RNN, gradient_through_time, gru_cell, lstm_cell, rnn_cell

KINDS = {"RNN": (RNN, nn.RNN), "GRU": (GRU, nn.GRU), "LSTM": (LSTM, nn.LSTM)}
CELLS = {"RNN": (rnn_cell, nn.RNNCell), "GRU": (gru_cell, nn.GRUCell), "LSTM": (lstm_cell, nn.LSTMCell)}
EXACT = {"rtol": 1e-11, "atol": 1e-13}
# A gate has 20 * 10 weights of the input, 20 * 20 of the state and two biases of 20: 640. They have 1, 3 and 4.
PARAMS_10_20 = {"RNN": 640, "GRU": 1_920, "LSTM": 2_560}
# Two layers in both directions: 2 * 2,560, and 2 * 4 * (20 * 40 + 20 * 20 + 40) on the 40 outputs of the first.
PARAMS_LSTM_2_LAYERS_BOTH_WAYS = 15_040


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parts(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_is_that_of_torch_values_and_gradients(kind: str) -> None:
    ours, theirs = CELLS[kind]
    cell = theirs(5, 4).double()
    x = normal(3, 5).requires_grad_()
    state = (normal(3, 4, seed=2).requires_grad_(), normal(3, 4, seed=3).requires_grad_())
    state = state if kind == "LSTM" else state[0]
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    leaves = [x, *parts(state), *weights]
    slopes = []
    for now in (ours(x, state, *weights), cell(x, state)):
        total = sum((normal(3, 4, seed=7 + i) * part).sum() for i, part in enumerate(parts(now)))
        slopes.append((parts(now), torch.autograd.grad(total, leaves)))
    torch.testing.assert_close(*slopes, **EXACT)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_with_torchs_weights_is_torchs_fused_and_unrolled(kind: str, layers: int, bidirectional: bool) -> None:
    ours, theirs = KINDS[kind]
    reference = theirs(5, 4, layers, batch_first=True, bidirectional=bidirectional).double()
    model = ours(5, 4, layers=layers, bidirectional=bidirectional).double()
    model.load_state_dict(reference.state_dict())
    x = normal(3, 6, 5).requires_grad_()
    cells = layers * (1 + bidirectional)
    start = (normal(cells, 3, 4, seed=2).requires_grad_(), normal(cells, 3, 4, seed=3).requires_grad_())
    start = start if kind == "LSTM" else start[0]
    for state in (None, start):
        found = []
        for run, owner in ((reference, reference), (model, model), (model.unrolled, model)):
            outputs, last = run(x, state)
            assert outputs.shape == (3, 6, 4 * (1 + bidirectional))
            everything = [outputs, *parts(last)]
            total = sum((normal(*part.shape, seed=7 + i) * part).sum() for i, part in enumerate(everything))
            leaves = [x, *owner.parameters(), *(parts(state) if state is not None else [])]
            found.append((everything, torch.autograd.grad(total, leaves)))
        torch.testing.assert_close(found[1], found[0], **EXACT)
        torch.testing.assert_close(found[2], found[0], **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_carries_a_sequence_on(kind: str) -> None:
    model, x = KINDS[kind][0](5, 4, layers=2).double(), normal(3, 7, 5)
    for run in (model, model.unrolled):
        whole, last = run(x)
        first, state = run(x[:, :3])
        second, end = run(x[:, 3:], state)
        torch.testing.assert_close(torch.cat([first, second], dim=1), whole, **EXACT)
        torch.testing.assert_close(parts(end), parts(last), **EXACT)
        hidden = parts(last)[0]
        torch.testing.assert_close(whole[:, -1], hidden[-1], **EXACT)  # the upper layer's


def gated(H: int, **gates: float) -> tuple[Tensor, ...]:
    """Weights of an LSTM cell whose gates i, f, o stand where the biases hold them, whatever comes in."""
    W, U = normal(4 * H, 5), normal(4 * H, H, seed=2)
    bias = torch.zeros(4 * H, dtype=torch.float64)
    for name, value in gates.items():
        rows = slice("ifgo".index(name) * H, ("ifgo".index(name) + 1) * H)
        W[rows], U[rows] = 0.0, 0.0
        bias[rows] = value
    return W, U, bias, torch.zeros_like(bias)


def test_an_open_forget_gate_and_a_shut_input_gate_copy_the_cell_and_its_gradient() -> None:
    x, h, s = normal(3, 5), normal(3, 4, seed=3), normal(3, 4, seed=4).requires_grad_()
    _, kept = lstm_cell(x, (h, s), *gated(4, i=-800.0, f=800.0))
    assert torch.equal(kept, s)
    (slope,) = torch.autograd.grad(kept.sum(), s)
    assert torch.equal(slope, torch.ones_like(s))


def test_the_other_gates_write_forget_and_silence() -> None:
    x, h, s = normal(3, 5), normal(3, 4, seed=3), normal(3, 4, seed=4)
    weights = gated(4, i=800.0, f=-800.0)
    candidate = torch.tanh(x @ weights[0][8:12].T + h @ weights[1][8:12].T)
    torch.testing.assert_close(lstm_cell(x, (h, s), *weights)[1], candidate, **EXACT)
    assert not lstm_cell(x, (h, s), *gated(4, i=-800.0, f=-800.0))[1].any()
    assert not lstm_cell(x, (h, s), *gated(4, o=-800.0))[0].any()


def test_a_gru_whose_update_gate_is_one_keeps_its_state() -> None:
    x, h = normal(3, 5), normal(3, 4, seed=2)
    bias = torch.zeros(12, dtype=torch.float64)
    bias[4:8] = 1e3
    assert torch.equal(gru_cell(x, h, normal(12, 5), normal(12, 4), bias, torch.zeros_like(bias)), h)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [-1, 2])
def test_the_gradient_through_time_is_the_norm_of_the_jacobian(kind: str, step: int) -> None:
    model, x = KINDS[kind][0](5, 4).double(), normal(2, 6, 5)
    found = gradient_through_time(model, x, step=step)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.unrolled(x)[0][:, step], x)  # (B, H, B, T, D)
    expected = torch.stack([jacobian[b, :, b].square().sum((0, 2)).sqrt() for b in range(2)])
    torch.testing.assert_close(found, expected, **EXACT)
    assert found.shape == (2, 6)
    assert not found[:, 3:].any() or step == -1  # what comes later has no say


def test_the_gradient_through_time_of_a_linear_recurrence_is_a_power() -> None:
    def decay(x: Tensor) -> Tensor:  # y_t = 0.5 y_(t-1) + x_t, each of 3 features by itself
        y = [x[:, 0]]
        for t in range(1, x.shape[1]):
            y.append(0.5 * y[-1] + x[:, t])
        return torch.stack(y, dim=1)

    expected = 3**0.5 * 0.5 ** torch.arange(7, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(gradient_through_time(decay, normal(2, 8, 3)), expected.expand(2, 8), **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_and_names_are_those_derived_by_hand(kind: str) -> None:
    model = KINDS[kind][0](10, 20)
    assert sum(p.numel() for p in model.parameters()) == PARAMS_10_20[kind]
    assert list(model.state_dict()) == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]


def test_the_count_of_two_layers_in_both_directions() -> None:
    model = LSTM(10, 20, layers=2, bidirectional=True)
    assert sum(p.numel() for p in model.parameters()) == PARAMS_LSTM_2_LAYERS_BOTH_WAYS


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_say_what_came_first(kind: str, device: torch.device) -> None:
    model, head = KINDS[kind][0](2, 16).to(device), nn.Linear(16, 1).to(device)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=0.02)
    x = torch.randn(64, 4, 2).to(device)
    losses = []
    for _ in range(60):
        loss = (head(model(x)[0][:, -1]).squeeze(1) - x[:, 0, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_device_and_bf16_come_close_to_float64_on_the_cpu(kind: str, device: torch.device) -> None:
    exact = KINDS[kind][0](5, 16, layers=2, bidirectional=True).double()
    x = normal(3, 9, 5)
    expected = exact(x)[0]
    model = copy.deepcopy(exact).float().to(device)
    for run in (model, model.unrolled):
        torch.testing.assert_close(run(x.float().to(device))[0].cpu().double(), expected, rtol=1e-4, atol=1e-5)
        with runtime.autocast(device, "bf16"):
            torch.testing.assert_close(run(x.float().to(device))[0].cpu().double(), expected, rtol=0, atol=0.02)
    half = copy.deepcopy(exact).bfloat16().to(device)
    out, state = half.unrolled(x.bfloat16().to(device))
    assert out.dtype == parts(state)[0].dtype == torch.bfloat16
    torch.testing.assert_close(out.cpu().double(), expected, rtol=0, atol=0.03)
    torch.testing.assert_close(half(x.bfloat16().to(device))[0].cpu().double(), expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_both_paths_compile_without_a_break(kind: str, device: torch.device) -> None:
    torch.compiler.reset()
    model, x = KINDS[kind][0](5, 4, layers=2).to(device), torch.randn(3, 4, 5).to(device)
    for run in (lambda x: model(x)[0], lambda x: model.unrolled(x)[0]):
        compiled = torch.compile(run, fullgraph=True, backend="eager")
        slopes = [torch.autograd.grad(f(x).square().sum(), list(model.parameters())) for f in (run, compiled)]
        torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 4), (2, 0, 5), (1, 2, 7, 5)])
def test_a_wrong_shape_says_what_was_expected_and_what_came(shape: tuple[int, ...]) -> None:
    model = GRU(5, 4)
    for run in (model, model.unrolled):
        with pytest.raises(ValueError, match=r"expected \(batch, time, 5\), got") as info:
            run(torch.zeros(shape))
        assert str(shape) in str(info.value)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 2, 5), (2, 2, 4), (1, 1, 4)])
def test_a_state_of_another_shape_is_refused_before_the_kernel_reads_past_it(kind: str, shape: tuple[int, ...]) -> None:
    model = {"rnn": RNN, "gru": GRU, "lstm": LSTM}[kind](5, 4)
    good, wrong = torch.zeros(1, 2, 4), torch.zeros(shape)
    for run in (model, model.unrolled):
        for state in ((good, wrong), (wrong, good), wrong) if kind == "lstm" else (wrong, (good, good)):
            with pytest.raises(ValueError, match=r"of \(1, 2, 4\) for the state, got") as info:
                run(torch.zeros(2, 7, 5), state)
            assert state is not wrong or kind == "lstm" or str(shape) in str(info.value)
