"""Our recurrent networks, attention and transformer beside torch's.

    make bench                          on this machine's best device
    python benchmarks/architectures_sequences.py --device cuda

torch's encoder layer has a fast path of its own in evaluation mode. What is written as taught stands beside torch's
own: how much the fast path is worth. So do generation with and without a cache, and linear attention beside the
softmax's, which is another function. How it is measured: see paired.py. Writes
benchmarks/architectures_sequences-<device>.json.
"""

import torch
from paired import Pair, Side, main
from torch import Tensor, nn

from deeppractice.architectures import GRU, LSTM, RNN, Block, LinearAttention, MultiHeadAttention, Stack, Transformer


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


PAIRS = {
    "RNN, nn.RNN": Pair(lambda: recurrent(RNN, nn.RNN), (32, 50, 64), 8),
    "GRU, nn.GRU": Pair(lambda: recurrent(GRU, nn.GRU), (32, 50, 64), 8),
    "LSTM, nn.LSTM": Pair(lambda: recurrent(LSTM, nn.LSTM), (32, 50, 64), 8),
    "attention, nn.MultiheadAttention": Pair(heads, (16, 64, 128), 8),
    "block, TransformerEncoderLayer": Pair(lambda: encoder(norm_first=True), (16, 64, 128), 4),
    "post-norm block, TransformerEncoderLayer": Pair(lambda: encoder(norm_first=False), (16, 64, 128), 4),
    "causal block with a source, TransformerDecoderLayer": Pair(decoder, (16, 64, 128), 4),
    "4 blocks, TransformerEncoder": Pair(stack, (16, 64, 128), 2),
    "as taught: RNN, nn.RNN": Pair(lambda: recurrent(RNN, nn.RNN, taught=True), (32, 50, 64), 8),
    "as taught: GRU, nn.GRU": Pair(lambda: recurrent(GRU, nn.GRU, taught=True), (32, 50, 64), 8),
    "as taught: LSTM, nn.LSTM": Pair(lambda: recurrent(LSTM, nn.LSTM, taught=True), (32, 50, 64), 8),
    "as taught: attention with weights, nn.MultiheadAttention": Pair(lambda: heads(taught=True), (16, 64, 128), 8),
    "64 tokens with a cache, without": Pair(generation, (1,), 1, kinds=("forward",), steady=True),
    "linear attention over 1,024 items, softmax": Pair(lambda: linear(causal=False), (1, 1024, 128), 4),
    "causal linear attention over 1,024 items, softmax": Pair(lambda: linear(causal=True), (1, 1024, 128), 4),
}

if __name__ == "__main__":
    what = "layers with the same weights; what is written as taught beside torch's own; forms of ours beside each other"
    main(__file__, PAIRS, what)
