"""Recurrent networks: one cell, applied at every step to the input there and to the state that it left before.

Source: Elman (1990), Finding structure in time; Hochreiter and Schmidhuber (1997), Long short-term memory; Gers et al.
(2000) for its forget gate; Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, for the GRU.

Letters: B batch, T time, D features of an input, H of the state. Weights stand as in torch: W (gates H, D) and U
(gates H, H) with a bias each, the gates on top of each other in the order of the formula.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]


def rnn_cell(x: Tensor, state: Tensor, W: Tensor, U: Tensor, b: Tensor, c: Tensor) -> Tensor:
    r"""One step of a plain recurrent network: (B, D), (B, H) -> (B, H).

    $$h_t = \tanh(W x_t + b + U h_{t-1} + c)$$
    """
    return torch.tanh(F.linear(x, W, b) + F.linear(state, U, c))


def gru_cell(x: Tensor, state: Tensor, W: Tensor, U: Tensor, b: Tensor, c: Tensor) -> Tensor:
    r"""One step of a gated recurrent unit: (B, D), (B, H) -> (B, H).

    $$r = \sigma(W_r x + b_r + U_r h + c_r), \qquad z = \sigma(W_z x + b_z + U_z h + c_z), \qquad
      n = \tanh(W_n x + b_n + r \odot (U_n h + c_n))$$
    $$h_t = (1 - z) \odot n + z \odot h_{t-1}$$

    With z = 1 the state is kept, with z = 0 written anew. As in torch, the reset gate r acts after the product with
    $U_n$; Cho et al. (2014, equation 8) have it before.
    """
    r_x, z_x, n_x = F.linear(x, W, b).chunk(3, dim=-1)  # (B, 3H) -> 3 of (B, H)
    r_h, z_h, n_h = F.linear(state, U, c).chunk(3, dim=-1)
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    n = torch.tanh(n_x + r * n_h)
    return (1 - z) * n + z * state


def lstm_cell(
    x: Tensor, state: tuple[Tensor, Tensor], W: Tensor, U: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    r"""One step of a long short-term memory; the state is output h and cell s: (B, D), 2 of (B, H) -> 2 of (B, H).

    $$i, f, o = \sigma(W_\cdot x + b_\cdot + U_\cdot h + c_\cdot), \qquad g = \tanh(W_g x + b_g + U_g h + c_g)$$
    $$s_t = f \odot s_{t-1} + i \odot g, \qquad h_t = o \odot \tanh(s_t)$$

    With f = 1 and i = 0 the cell is copied, and its gradient too: nothing vanishes. Rows of the weights: i, f, g, o.
    """
    h, s = state
    i, f, g, o = (F.linear(x, W, b) + F.linear(h, U, c)).chunk(4, dim=-1)  # (B, 4H) -> 4 of (B, H)
    s = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(s), s


class Recurrent(nn.RNNBase):
    """Layers of a cell in time, what `RNN`, `GRU` and `LSTM` have in common; parameters are named as in torch's layers.

    Args:
        inputs: D.
        hidden: H.
        layers: each reads the outputs of the one below.
        bidirectional: a second cell in each layer reads from the end; outputs are those of both, (B, T, 2H).

    `forward` takes torch's fused kernel; `unrolled` is the same as a loop over time, as taught. Both map (B, T, D) and
    a state to the outputs (B, T, H) and the last state. A state is (layers, B, H), twice the layers if bidirectional,
    and for an LSTM a pair of them; without one it starts as zeros. Another shape of either raises a ValueError.
    """

    states = 1  # tensors in a state; `kind`, `cell` and `kernel` come with the subclass

    def __init__(self, inputs: int, hidden: int, *, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__(self.kind, inputs, hidden, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self._start(x, state)
        settings = (True, self.num_layers, 0.0, self.training, self.bidirectional, True)  # biases, ..., batch first
        outputs, *last = self.kernel(x, state, list(self.parameters()), *settings)
        return outputs, last[0] if self.states == 1 else tuple(last)

    def unrolled(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """`forward` step by step: (B, T, D) -> (B, T, H), state."""
        state = self._start(x, state)
        last: list[State] = []
        for _ in range(self.num_layers):
            directions = []
            for backwards in range(1 + self.bidirectional):
                number = len(last)  # of the cell: directions lie side by side in a layer, layers one after the other
                weights = self.all_weights[number]  # W, U, b, c
                now = state[number] if self.states == 1 else (state[0][number], state[1][number])
                outputs = []
                for x_t in x.flip(1).unbind(1) if backwards else x.unbind(1):  # T of (B, D)
                    now = self.cell(x_t, now, *weights)
                    outputs.append(now if self.states == 1 else now[0])
                out = torch.stack(outputs, dim=1)  # (B, T, H)
                directions.append(out.flip(1) if backwards else out)
                last.append(now)
            x = torch.cat(directions, dim=-1)
        return x, torch.stack(last) if self.states == 1 else tuple(map(torch.stack, zip(*last, strict=True)))

    def _start(self, x: Tensor, state: State | None) -> State:
        if x.ndim != 3 or x.shape[-1] != self.input_size or 0 in x.shape:
            raise ValueError(f"expected (batch, time, {self.input_size}), got {tuple(x.shape)}")
        shape = (self.num_layers * (1 + self.bidirectional), len(x), self.hidden_size)
        if state is None:
            state = x.new_zeros(shape)
            return state if self.states == 1 else (state, state)
        found = [tuple(getattr(part, "shape", ())) for part in ([state] if self.states == 1 else state)]
        if found != [shape] * self.states:  # the fused kernel doesn't look, and reads past the end
            raise ValueError(f"expected {self.states} of {shape} for the state, got {found}")
        return state


class RNN(Recurrent):
    """Plain recurrent network, layers of `rnn_cell`. Arguments and shapes are those of `Recurrent`."""

    kind, cell, kernel = "RNN_TANH", staticmethod(rnn_cell), staticmethod(torch.rnn_tanh)


class GRU(Recurrent):
    """Gated recurrent units, layers of `gru_cell`. Arguments and shapes are those of `Recurrent`."""

    kind, cell, kernel = "GRU", staticmethod(gru_cell), staticmethod(torch.gru)


class LSTM(Recurrent):
    """Long short-term memory, layers of `lstm_cell`. Arguments and shapes are those of `Recurrent`."""

    kind, states, cell, kernel = "LSTM", 2, staticmethod(lstm_cell), staticmethod(torch.lstm)


def gradient_through_time(model: Callable, x: Tensor, *, step: int = -1) -> Tensor:
    r"""How much the output at `step` depends on each input: $\lVert \partial y_{step} / \partial x_t \rVert_F$.

    `model` maps (B, T, D) to outputs (B, T, H), or to a tuple that starts with them, each datum by itself (no batch
    normalisation): a `Recurrent`, or anything else with time. It takes H backward passes. (B, T, D) -> (B, T).
    """
    x = x.detach().requires_grad_()
    y = model(x)
    y = y[0] if isinstance(y, tuple) else y
    total = x.new_zeros(x.shape[:2])
    for out in y[:, step].sum(0):  # H numbers, in each the sum over the batch
        (slope,) = torch.autograd.grad(out, x, retain_graph=True)  # (B, T, D)
        total = total + slope.square().sum(-1)
    return total.sqrt()
