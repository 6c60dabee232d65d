"""Our recurrent networks, attention and transformer beside torch's: forward, and forward with backward, in turn.

    make bench                          on this machine's best device
    python benchmarks/architectures_sequences.py --device cuda

Both sides have the same weights; forward is in evaluation mode without gradients, as in use, where torch's encoder
layer has a fast path of its own. Each round runs each side once, in an order that turns; the ratio is theirs over ours,
above 1 where ours is the faster. What is written as taught stands beside torch's own: how much the fast path is worth.
So do generation with and without a cache, and linear attention beside the softmax's, which is another function. Writes
benchmarks/architectures_sequences-<device>.json.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import GRU, LSTM, RNN, Block, LinearAttention, MultiHeadAttention, Stack, Transformer

Side = tuple[nn.Module, Callable[[Tensor], Tensor]]  # a module, and how it is called


def recurrent(ours: type[nn.Module], theirs: type[nn.Module], *, taught: bool = False) -> tuple[Side, Side]:
    a, b = ours(64, 64), theirs(64, 64, batch_first=True)
    a.load_state_dict(b.state_dict())
    return (a, lambda x: (a.unrolled if taught else a)(x)[0]), (b, lambda x: b(x)[0])


def heads(*, taught: bool = False) -> tuple[Side, Side]:
    a, b = MultiHeadAttention(128, 8), nn.MultiheadAttention(128, 8, batch_first=True)
    a.load_state_dict(b.state_dict())
    a.keep_weights = taught
    return (a, a), (b, lambda x: b(x, x, x, need_weights=taught, average_attn_weights=False)[0])


def encoder(*, norm_first: bool) -> tuple[Side, Side]:
    b = nn.TransformerEncoderLayer(128, 8, 512, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    a = Block(128, 8, norm_first=norm_first)
    a.load_state_dict(b.state_dict())
    return (a, a), (b, b)


def decoder() -> tuple[Side, Side]:
    b = nn.TransformerDecoderLayer(128, 8, 512, 0.0, "gelu", batch_first=True, norm_first=True)
    a = Block(128, 8, cross=True)
    a.load_state_dict(b.state_dict())

    def theirs(x: Tensor) -> Tensor:
        later = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return b(x, x, tgt_mask=later, tgt_is_causal=True)

    return (a, lambda x: a(x, x, causal=True)), (b, theirs)


def stack() -> tuple[Side, Side]:
    layer = nn.TransformerEncoderLayer(128, 8, 512, 0.0, "gelu", batch_first=True, norm_first=True)
    b = nn.TransformerEncoder(layer, 4, nn.LayerNorm(128), enable_nested_tensor=False)
    a = Stack(4, 128, 8)
    a.load_state_dict(b.state_dict())
    return (a, a), (b, b)


def generation() -> tuple[Side, Side]:
    a = Transformer(50, width=128, heads=8, layers=4)

    def run(x: Tensor, cached: bool) -> Tensor:
        return a.generate(torch.zeros(8, 1, dtype=torch.long, device=x.device), 64, cached=cached)

    return (a, lambda x: run(x, True)), (a, lambda x: run(x, False))


def linear(*, causal: bool) -> tuple[Side, Side]:
    a, b = LinearAttention(128, 8), MultiHeadAttention(128, 8)
    return (a, lambda x: a(x, causal=causal)), (b, lambda x: b(x, causal=causal))


# name: the two sides, shape of the input, calls in a round on a CPU
PAIRS = {
    "RNN, nn.RNN": (lambda: recurrent(RNN, nn.RNN), (32, 50, 64), 8),
    "GRU, nn.GRU": (lambda: recurrent(GRU, nn.GRU), (32, 50, 64), 8),
    "LSTM, nn.LSTM": (lambda: recurrent(LSTM, nn.LSTM), (32, 50, 64), 8),
    "attention, nn.MultiheadAttention": (heads, (16, 64, 128), 8),
    "block, TransformerEncoderLayer": (lambda: encoder(norm_first=True), (16, 64, 128), 4),
    "post-norm block, TransformerEncoderLayer": (lambda: encoder(norm_first=False), (16, 64, 128), 4),
    "causal block with a source, TransformerDecoderLayer": (decoder, (16, 64, 128), 4),
    "4 blocks, TransformerEncoder": (stack, (16, 64, 128), 2),
    "as taught: RNN, nn.RNN": (lambda: recurrent(RNN, nn.RNN, taught=True), (32, 50, 64), 8),
    "as taught: GRU, nn.GRU": (lambda: recurrent(GRU, nn.GRU, taught=True), (32, 50, 64), 8),
    "as taught: LSTM, nn.LSTM": (lambda: recurrent(LSTM, nn.LSTM, taught=True), (32, 50, 64), 8),
    "as taught: attention with weights, nn.MultiheadAttention": (lambda: heads(taught=True), (16, 64, 128), 8),
    "64 tokens with a cache, without": (generation, (1,), 1),
    "linear attention over 1,024 items, softmax": (lambda: linear(causal=False), (1, 1024, 128), 4),
    "causal linear attention over 1,024 items, softmax": (lambda: linear(causal=True), (1, 1024, 128), 4),
}


def seconds(side: Side, x: Tensor, calls: int, *, backward: bool) -> float:
    """Of one call: the processor's time on a CPU, which other processes disturb less, else on the wall."""
    module, call = side
    module.train(backward)
    clock = time.process_time if x.device.type == "cpu" else time.perf_counter
    with torch.set_grad_enabled(backward):
        call(x)  # warm up
        _wait(x.device)
        start = clock()
        for _ in range(calls):
            out = call(x)
            if backward:
                out.sum().backward()
        _wait(x.device)
    return (clock() - start) / calls


def _wait(device: torch.device) -> None:
    torch.zeros(1, device=device).item()  # comes behind all that was asked of the device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    device = runtime.device(arguments.device)
    torch.set_num_threads(1)
    figures: dict[str, dict] = {}
    for name, (make, shape, calls) in PAIRS.items():
        runtime.seed_everything(0)
        sides = [(module.to(device), call) for module, call in make()]
        x = torch.randn(shape, device=device).requires_grad_()
        calls = calls if device.type == "cpu" or "cache" in name else 20 * calls
        for what, backward in (("forward", False), ("forward and backward", True)):
            if backward and "cache" in name:
                continue
            ratios = []
            for number in range(arguments.rounds):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                taken = {i: seconds(sides[i], x, calls, backward=backward) for i in order}
                ratios.append(taken[1] / taken[0])
            middle = statistics.median(ratios)
            figures[f"{name}, {what}"] = {"median": round(middle, 4), "rounds": [round(r, 4) for r in ratios]}
            print(f"{name}, {what}: {middle:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}", flush=True)
    clock = "processor" if device.type == "cpu" else "wall"
    result = {
        "what": f"how many times as fast as the peer, by the {clock}'s time: layers with the same weights, forward in "
        "evaluation mode; what is written as taught beside torch's own; and forms of ours beside each other",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
        "times as fast": figures,
    }
    path = Path(__file__).with_name(f"architectures_sequences-{device.type}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
