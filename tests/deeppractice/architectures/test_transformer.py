"""The transformer, against torch's layers and stacks with their own weights, and against itself without a cache.

In order: a block; stacks; the cache and generation; causality, masks and positions; counts and names; learning;
devices, bf16, one graph; what is refused.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import Block, Embedding, Stack, Transformer, rotary_angles
from deeppractice.architectures.positions import POSITIONS

EXACT = {"rtol": 1e-10, "atol": 1e-12}
# A block of width 64: attention 4 * 64 * 65, network 64 * 256 + 256 + 256 * 64 + 64, two norms of 128. With attention
# to a source, another 4 * 64 * 65 and another norm.
PARAMS_BLOCK_64 = 49_984
PARAMS_BLOCK_64_CROSS = 66_752
# Tokens 10 * 64, two blocks, the last norm, a head of 64 * 10 + 10.
PARAMS_LANGUAGE_MODEL = 101_386
# Source tokens 7 * 64, two blocks and a norm; tokens 10 * 64, two blocks with a source and a norm; the head.
PARAMS_TRANSLATOR = 235_466


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tokens(*shape: int, below: int = 10, seed: int = 1) -> Tensor:
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(seed))


def slopes(out: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((normal(*out.shape, seed=9) * out).sum(), leaves)


def shaken(model: nn.Module) -> nn.Module:
    """Biases and norms, which start as zeros and ones, with values that show where they are missing."""
    for i, value in enumerate(model.parameters()):
        if value.ndim == 1:
            value.data += 0.3 * normal(*value.shape, seed=50 + i)
    return model


def by_name(model: nn.Module, out: Tensor, *more: Tensor) -> dict[str, Tensor]:
    names, values = zip(*model.named_parameters(), strict=True)
    found = slopes(out, [*values, *more])
    return dict(zip([*names, *[f"input {i}" for i in range(len(more))]], found, strict=True))


# A block


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_block_is_torchs_encoder_layer(activation: str, norm_first: bool, masked: bool) -> None:
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True, norm_first=norm_first)
    theirs = shaken(theirs.double())
    ours = Block(8, 2, hidden=12, norm_first=norm_first, activation=activation).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(3, 5, 8).requires_grad_()
    there = torch.ones(3, 5, dtype=torch.bool)
    there[1, 3:] = False
    expected = theirs(x, src_key_padding_mask=~there if masked else None)
    found = ours(x, mask=there[:, None, None] if masked else None)
    torch.testing.assert_close(found, expected, **EXACT)
    torch.testing.assert_close(by_name(ours, found, x), by_name(theirs, expected, x), **EXACT)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_block_with_a_source_is_torchs_decoder_layer(norm_first: bool) -> None:
    theirs = nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=norm_first)
    theirs = shaken(theirs.double())
    ours = Block(8, 2, hidden=12, cross=True, norm_first=norm_first, activation="relu").double()
    ours.load_state_dict(theirs.state_dict())
    x, source = normal(3, 4, 8).requires_grad_(), normal(3, 6, 8, seed=2).requires_grad_()
    there = torch.ones(3, 6, dtype=torch.bool)
    there[2, 4:] = False
    later = ~torch.ones(4, 4, dtype=torch.bool).tril()
    expected = theirs(x, source, tgt_mask=later, memory_key_padding_mask=~there)
    found = ours(x, source, causal=True, source_mask=there[:, None, None])
    torch.testing.assert_close(found, expected, **EXACT)
    torch.testing.assert_close(by_name(ours, found, x, source), by_name(theirs, expected, x, source), **EXACT)


# Stacks


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_is_torchs_encoder_which_ends_in_a_norm_if_norms_come_first(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    last = nn.LayerNorm(8) if norm_first else None
    theirs = shaken(nn.TransformerEncoder(layer, 3, last, enable_nested_tensor=False).double())
    ours = Stack(3, 8, 2, norm_first=norm_first).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(3, 5, 8)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    torch.testing.assert_close(by_name(ours, ours(x)), by_name(theirs, theirs(x)), **EXACT)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # torch's own constructor says it of itself
def test_encoder_and_decoder_with_torchs_weights_are_torchs_transformer() -> None:
    theirs = shaken(nn.Transformer(8, 2, 2, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double())
    ours = Transformer(10, source_vocabulary=7, width=8, heads=2, positions="none").double()
    lacking, extra = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not extra
    assert sorted(lacking) == ["embed.tokens.weight", "embed_source.tokens.weight", "head.bias", "head.weight"]
    source, target = tokens(3, 6, below=7), tokens(3, 4, seed=2)
    there = torch.ones(3, 6, dtype=torch.bool)
    there[1, 2:] = False
    later = ~torch.ones(4, 4, dtype=torch.bool).tril()
    expected = ours.head(
        theirs(
            ours.embed_source.tokens(source),
            ours.embed.tokens(target),
            tgt_mask=later,
            src_key_padding_mask=~there,
            memory_key_padding_mask=~there,
        )
    )
    found = ours(target, source, source_mask=there)
    torch.testing.assert_close(found, expected, **EXACT)
    shared = {name for name, _ in theirs.named_parameters()}
    a = {name: slope for name, slope in by_name(ours, found).items() if name in shared}
    torch.testing.assert_close(a, by_name(theirs, expected), **EXACT)


# The cache, and generation


@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("chunks", [(1,) * 9, (4, 1, 3, 1)])
def test_with_a_cache_the_logits_are_those_without_to_the_last_digits(
    chunks: tuple[int, ...], positions: str, kv_heads: int
) -> None:
    model = shaken(Transformer(10, width=16, heads=4, layers=3, positions=positions, kv_heads=kv_heads).double())
    text = tokens(2, 9)
    caches = [([], []) for _ in range(3)]
    found = torch.cat([model(piece, caches=caches) for piece in text.split(chunks, dim=1)], dim=1)
    torch.testing.assert_close(found, model(text), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal"])
def test_with_a_source_too(positions: str) -> None:
    model = shaken(Transformer(10, source_vocabulary=7, width=16, positions=positions).double())
    source, text = tokens(2, 5, below=7), tokens(2, 6)
    there = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    caches, encoded = [([], []), ([], [])], model.encode(source, source_mask=there)
    pieces = [model(piece, encoded, source_mask=there, caches=caches) for piece in text.split(1, dim=1)]
    expected = model(text, source, source_mask=there)
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=1e-12, atol=1e-13)


def test_generated_tokens_are_the_likeliest_with_and_without_a_cache() -> None:
    model, start = Transformer(10, width=16, layers=2, dropout=0.5), tokens(3, 4)
    assert model.training
    found = model.generate(start, 8)
    assert model.training
    assert found.shape == (3, 12)
    assert torch.equal(found, model.generate(start, 8, cached=False))
    assert torch.equal(found[:, :4], start)
    model.eval()
    assert torch.equal(found[:, 4:], model(found[:, :-1])[:, 3:].argmax(-1))
    model.generate(start, 1)
    assert not model.training
    model.train()
    model.decoder.layers[0].eval()  # frozen
    model.generate(start, 1)
    assert model.training
    assert not any(part.training for part in model.decoder.layers[0].modules())
    model.eval()
    assert torch.equal(model.generate(start, 0), start)


def test_what_has_come_to_its_stop_stays_there_and_all_of_them_end_it() -> None:
    model = Transformer(10, source_vocabulary=7, width=16, positions="learned", length=13)
    model.embed.learned.weight.data *= 3  # so that tokens change from place to place
    start, source = torch.zeros(4, 1, dtype=torch.long), tokens(4, 5, below=7)
    there = torch.tensor([[True] * 5] * 3 + [[True] * 2 + [False] * 3])
    free, held = model.generate(start, 12, source=source, source_mask=there), 0
    for stop in range(10):
        found = model.generate(start, 12, source=source, source_mask=there, stop=stop, cached=stop % 2 == 0)
        ends = []
        for row, other in zip(found, free, strict=True):
            places = (other[1:] == stop).nonzero()
            ends.append(int(places[0]) + 2 if len(places) else 13)  # after the first stop
            assert torch.equal(row[: ends[-1]], other[: ends[-1]])
            assert (row[ends[-1] :] == stop).all()
            held += int((other[ends[-1] : len(row)] != stop).sum())  # it would have gone on otherwise
        assert found.shape[1] == max(ends)
    assert held > 5
    encoded = model.eval().encode(source, source_mask=there)
    assert torch.equal(model.generate(start, 12, source=encoded, source_mask=there), free)


# Causality, masks, positions


def test_what_comes_later_changes_no_logits_before_it() -> None:
    model, text = shaken(Transformer(10, width=16).double()), tokens(2, 8)
    other = torch.cat([text[:, :5], (text[:, 5:] + 1) % 10], dim=1)
    assert torch.equal(model(text)[:, :5], model(other)[:, :5])
    assert not torch.isclose(model(text)[:, 5:], model(other)[:, 5:]).all(-1).any()


def test_what_fills_a_batch_up_changes_nothing() -> None:
    model = shaken(Transformer(10, source_vocabulary=7, width=16).double())
    source, text = tokens(1, 3, below=7), tokens(1, 4)
    filled = torch.cat([source, tokens(1, 2, below=7, seed=3)], dim=1)
    there = torch.tensor([[True] * 3 + [False] * 2])
    torch.testing.assert_close(model(text, filled, source_mask=there), model(text, source), **EXACT)
    assert not torch.allclose(model(text, filled), model(text, source), atol=1e-3)


@pytest.mark.parametrize("positions", POSITIONS)
def test_only_positions_tell_an_order_from_another(positions: str) -> None:
    model = shaken(Transformer(10, source_vocabulary=7, width=16, positions=positions).double())
    source, order = tokens(1, 6, below=7), torch.tensor([2, 5, 0, 1, 4, 3])
    there = torch.ones(1, 6, dtype=torch.bool)
    same = torch.allclose(model.encode(source[:, order]), model.encode(source)[:, order], atol=1e-9)
    assert same == (positions == "none")
    assert torch.equal(model.encode(source, source_mask=there), model.encode(source))


def test_rotary_positions_know_distances_only_and_the_others_places() -> None:
    for positions in ("rotary", "sinusoidal", "learned"):
        embed, stack = Embedding(10, 16, 2, positions=positions, length=64).double(), Stack(2, 16, 2).double()
        early, late = (
            stack(x, causal=True, angles=angles) for x, angles in (embed(tokens(2, 6), start) for start in (0, 40))
        )
        assert torch.allclose(early, late, atol=1e-9) == (positions == "rotary")
    embed = Embedding(10, 16, 2, positions="learned", length=64)
    torch.testing.assert_close(
        embed(tokens(2, 6), 40)[0], embed.tokens(tokens(2, 6)) + embed.learned(torch.arange(40, 46))
    )


def test_a_model_in_bf16_tells_far_positions_apart() -> None:
    _, angles = Embedding(10, 16, 2, positions="rotary", length=1).bfloat16()(tokens(1, 2), 256)
    torch.testing.assert_close(angles, rotary_angles(torch.tensor([256.0, 257.0]), 8), rtol=0, atol=1e-6)


# Counts and names


def test_counts_are_those_derived_by_hand() -> None:
    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    assert count(Block(64, 4)) == PARAMS_BLOCK_64
    assert count(Block(64, 4, cross=True)) == PARAMS_BLOCK_64_CROSS
    assert count(Transformer(10)) == PARAMS_LANGUAGE_MODEL
    assert count(Transformer(10, positions="learned", length=32)) == PARAMS_LANGUAGE_MODEL + 32 * 64
    assert count(Transformer(10, source_vocabulary=7)) == PARAMS_TRANSLATOR
    assert len(list(Transformer(10, layers=1).state_dict())) == 1 + 12 + 2 + 2


def test_dropout_acts_in_training_alone() -> None:
    block, x = Block(16, 2, dropout=0.5), torch.randn(2, 5, 16)
    assert not torch.equal(block(x), block(x))
    block.eval()
    plain = Block(16, 2)
    plain.load_state_dict(block.state_dict())
    assert torch.equal(block(x), plain(x))


# Learning


@pytest.mark.parametrize(("norm_first", "positions"), [(True, "rotary"), (False, "sinusoidal")])
def test_it_learns_to_turn_a_sequence_around(norm_first: bool, positions: str, device: torch.device) -> None:
    settings = {"source_vocabulary": 5, "width": 32, "layers": 1, "positions": positions, "norm_first": norm_first}
    model = Transformer(7, **settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(150):
        source = tokens(64, 4, below=5, seed=step).to(device)
        target = F.pad(F.pad(source.flip(1), (1, 0), value=5), (0, 1), value=6)  # start 5, stop 6
        loss = F.cross_entropy(model(target[:, :-1], source).flatten(0, 1), target[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    source = tokens(50, 4, below=5, seed=1_000).to(device)
    found = model.generate(torch.full((50, 1), 5, device=device), 9, source=source, stop=6)
    assert found.shape == (50, 6)
    assert (found[:, 1:5] == source.flip(1)).all(1).float().mean() > 0.9
    assert (found[:, 5] == 6).float().mean() > 0.9


# Devices, one graph, refusals


@pytest.mark.parametrize("positions", POSITIONS)
def test_every_device_and_bf16_come_close_to_float64_on_the_cpu(positions: str, device: torch.device) -> None:
    settings = {"source_vocabulary": 7, "width": 32, "positions": positions, "kv_heads": 2}
    exact = shaken(Transformer(10, **settings).double())
    source, text = tokens(3, 9, below=7), tokens(3, 8)
    expected = exact(text, source)
    model = copy.deepcopy(exact).float().to(device)
    source, text = source.to(device), text.to(device)
    torch.testing.assert_close(model(text, source).cpu().double(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(model.generate(text, 5, source=source), model.generate(text, 5, source=source, cached=False))
    with runtime.autocast(device, "bf16"):
        torch.testing.assert_close(model(text, source).cpu().double(), expected, rtol=0, atol=0.1)
        model.generate(text, 2, source=source)
    half = model.bfloat16()(text, source)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.cpu().double(), expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned"])
def test_it_compiles_without_a_break(positions: str, device: torch.device) -> None:
    torch.compiler.reset()
    model = Transformer(10, source_vocabulary=7, width=16, layers=1, positions=positions).to(device)
    source, text = tokens(3, 5, below=7).to(device), tokens(3, 4).to(device)
    there = torch.ones(3, 5, dtype=torch.bool, device=device)

    def run() -> Tensor:
        return model(text, source, source_mask=there)

    found = []
    for call in (run, torch.compile(run, fullgraph=True, backend="eager")):
        found.append((call(), torch.autograd.grad(call().square().sum(), list(model.parameters()))))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="expected positions among rotary, sinusoidal, learned, none, got 'alibi'"):
        Transformer(10, positions="alibi")
    with pytest.raises(ValueError, match="expected 4 learned positions at most, got 5"):
        Transformer(10, positions="learned", length=4)(tokens(2, 5))
    with pytest.raises(ValueError, match=r"expected \(batch, time\), got \(5,\)"):
        Transformer(10)(tokens(5))
    with pytest.raises(ValueError, match="relu, tanh, gelu, sigmoid, identity, got 'swish'"):
        Block(8, 2, activation="swish")
    with pytest.raises(ValueError, match="got one without an encoder"):
        Transformer(10).generate(tokens(2, 1), 3, source=tokens(2, 5))
    with pytest.raises(ValueError, match="expected a source where there is attention to it"):
        Transformer(10, source_vocabulary=7)(tokens(2, 5))
    with pytest.raises(ValueError, match="and none where there is not"):
        Block(8, 2)(torch.zeros(2, 3, 8), torch.zeros(2, 3, 8))
