"""Attention, against torch's fused kernel and layer with its own weights, and against loops and matrices by hand.

In order: the softmax and the mask; dot products; additive attention; positions; several heads, across sequences, shared
keys, the cache; linear attention; counts and names; devices, bf16, one graph; what is refused.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import (
    AdditiveAttention,
    LinearAttention,
    MultiHeadAttention,
    causal_mask,
    dot_product_attention,
    masked_softmax,
    rotary_angles,
    rotate,
    sinusoidal_positions,
)

EXACT = {"rtol": 1e-11, "atol": 1e-13}
# Four projections of 64 * 64 weights and 64 biases; with 1 of 4 heads for keys and values, two of them are 64 -> 16.
PARAMS_64 = 16_640
PARAMS_64_ONE_KEY_HEAD = 10_400
# 10 * 8 + 8 for the query, 12 * 8 for the key, 8 for the score.
PARAMS_ADDITIVE_10_12_8 = 192


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slopes(out: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((normal(*out.shape, seed=9) * out).sum(), leaves)


def pair(width: int = 8, heads: int = 2) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Ours and torch's with the same weights, biases among them."""
    theirs = nn.MultiheadAttention(width, heads, batch_first=True).double()
    for i, bias in enumerate((theirs.in_proj_bias, theirs.out_proj.bias)):
        bias.data = normal(*bias.shape, seed=20 + i)
    ours = MultiHeadAttention(width, heads).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


# The softmax and the mask


def test_the_masked_softmax_is_the_formula_and_its_gradient_is_finite() -> None:
    scores = normal(2, 3, 5).requires_grad_()
    mask = normal(2, 3, 5, seed=2) > 0
    mask[0, 1] = False  # one that may look nowhere
    found = masked_softmax(scores, mask)
    for b in range(2):
        for t in range(3):
            e = [math.exp(scores[b, t, s].item()) if mask[b, t, s] else 0.0 for s in range(5)]
            expected = [value / (sum(e) or 1.0) for value in e]
            torch.testing.assert_close(found[b, t], torch.tensor(expected, dtype=torch.float64), **EXACT)
    (slope,) = slopes(found, [scores])
    assert slope.isfinite().all()
    assert not slope[~mask].any()
    torch.testing.assert_close(masked_softmax(scores), scores.softmax(-1), **EXACT)


def test_the_causal_mask_ends_at_the_last_key() -> None:
    assert causal_mask(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]
    assert causal_mask(1, 3).all()


# Dot products


@pytest.mark.parametrize("masked", ["no", "random", "causal"])
def test_attention_as_taught_is_torchs_fused_one_values_and_gradients(masked: str) -> None:
    q, k, v = (normal(2, 3, n, d, seed=n).requires_grad_() for n, d in ((4, 6), (5, 6), (5, 7)))
    mask = {"no": None, "random": normal(2, 3, 4, 5, seed=3) > -0.5, "causal": causal_mask(4, 5)}[masked]
    if masked == "random":
        mask[0, 1, 2] = False  # one that may look nowhere
    ours, weights = dot_product_attention(query=q, key=k, value=v, mask=mask)
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(ours, theirs, **EXACT)
    torch.testing.assert_close(slopes(ours, [q, k, v]), slopes(theirs, [q, k, v]), **EXACT)
    total = torch.ones(2, 3, 4, dtype=torch.float64)
    total[0, 1, 2] = 0.0 if masked == "random" else 1.0
    torch.testing.assert_close(weights.sum(-1), total, **EXACT)
    assert mask is None or not weights[~mask.expand_as(weights)].any()


# Additive attention


def test_additive_attention_is_the_formula_in_loops_values_and_gradients() -> None:
    model = AdditiveAttention(query=4, key=3, hidden=6).double()
    q, k, v = normal(2, 3, 4).requires_grad_(), normal(2, 5, 3).requires_grad_(), normal(2, 5, 7).requires_grad_()
    mask = torch.ones(2, 1, 5, dtype=torch.bool)
    mask[1, :, 3:] = False
    W, b, U, u = model.query.weight, model.query.bias, model.key.weight, model.score.weight[0]
    rows = []
    for n in range(2):
        for t in range(3):
            scores = torch.stack([u @ torch.tanh(W @ q[n, t] + b + U @ k[n, s]) for s in range(5 - 2 * n)])
            rows.append(scores.softmax(0) @ v[n, : 5 - 2 * n])
    expected = torch.stack(rows).view(2, 3, 7)
    found, weights = model(query=q, key=k, value=v, mask=mask)
    torch.testing.assert_close(found, expected, **EXACT)
    leaves = [q, k, v, *model.parameters()]
    torch.testing.assert_close(slopes(found, leaves), slopes(expected, leaves), **EXACT)
    assert weights.shape == (2, 3, 5)
    assert not weights[1, :, 3:].any()
    torch.testing.assert_close(model(query=q, key=k, mask=mask)[0], weights @ k, **EXACT)


# Positions


def test_rotary_positions_are_the_matrix_of_the_paper() -> None:
    x, places = normal(2, 3, 4, 6), torch.tensor([0.0, 1.0, 7.0, 200.0], dtype=torch.float64)
    expected = torch.empty_like(x)
    for t, place in enumerate(places.tolist()):
        R = torch.zeros(6, 6, dtype=torch.float64)
        for i in range(3):
            angle = place * 10_000 ** (-2 * i / 6)
            R[2 * i, 2 * i], R[2 * i, 2 * i + 1] = math.cos(angle), -math.sin(angle)
            R[2 * i + 1, 2 * i], R[2 * i + 1, 2 * i + 1] = math.sin(angle), math.cos(angle)
        expected[:, :, t] = x[:, :, t] @ R.T
    torch.testing.assert_close(rotate(x, rotary_angles(places, 6)), expected, **EXACT)


def test_products_of_rotated_vectors_depend_on_the_distance_alone() -> None:
    q, k = normal(6), normal(6, seed=2)
    places = torch.arange(12, dtype=torch.float64)
    turned = [rotate(x.expand(12, 6), rotary_angles(places, 6)) for x in (q, k)]
    products = turned[0] @ turned[1].T  # (T, T)
    for distance in range(-5, 6):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), **EXACT)
    assert products[0].std() > 0.1
    torch.testing.assert_close(turned[0].norm(dim=-1), q.norm().expand(12), **EXACT)


def test_angles_of_far_positions_keep_their_digits_in_bf16() -> None:
    far = rotary_angles(torch.tensor([256, 257]), 8)
    assert (far[0, 0] - far[0, 1]).abs()[0] > 0.1  # in bf16, 257 is 256
    x = torch.ones(2, 8, dtype=torch.bfloat16)
    assert rotate(x, far).dtype == torch.bfloat16
    torch.testing.assert_close(rotate(x, far).float(), rotate(x.float(), far), rtol=0.01, atol=0.01)


def test_sinusoidal_positions_are_the_formula() -> None:
    found = sinusoidal_positions(torch.arange(20, dtype=torch.float64), 6)
    for t in range(20):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert found[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-13)
            assert found[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-13)


# Several heads


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("masked", ["no", "padding", "causal", "both"])
def test_several_heads_with_torchs_weights_are_torchs_layer(masked: str, keep: bool) -> None:
    ours, theirs = pair()
    ours.keep_weights = keep
    x = normal(3, 5, 8).requires_grad_()
    there = torch.ones(3, 5, dtype=torch.bool)
    there[1, 4:], there[2, 2:] = False, False
    padding, causal = masked in ("padding", "both"), masked in ("causal", "both")
    expected, weights = theirs(
        x,
        x,
        x,
        key_padding_mask=~there if padding else None,
        attn_mask=~causal_mask(5, 5) if causal else None,
        average_attn_weights=False,
    )
    found = ours(x, mask=there[:, None, None] if padding else None, causal=causal)
    torch.testing.assert_close(found, expected, **EXACT)
    a, b = slopes(found, [x, *ours.parameters()]), slopes(expected, [x, *theirs.parameters()])
    torch.testing.assert_close(a, b, **EXACT)
    if keep:
        torch.testing.assert_close(ours.weights, weights.detach(), **EXACT)


@pytest.mark.parametrize("keep", [False, True])
def test_across_two_sequences_they_are_torchs_layer(keep: bool) -> None:
    ours, theirs = pair()
    ours.keep_weights = keep
    x, source = normal(3, 4, 8).requires_grad_(), normal(3, 6, 8, seed=2).requires_grad_()
    expected = theirs(x, source, source)[0]
    found = ours(x, source)
    torch.testing.assert_close(found, expected, **EXACT)
    a = slopes(found, [x, source, *ours.parameters()])
    torch.testing.assert_close(a, slopes(expected, [x, source, *theirs.parameters()]), **EXACT)


@pytest.mark.parametrize("kv_heads", [1, 2])
@pytest.mark.parametrize("across", [False, True])
def test_shared_keys_and_values_are_equal_ones(kv_heads: int, across: bool) -> None:
    few = MultiHeadAttention(8, 4, kv_heads=kv_heads).double()
    all_of_them = MultiHeadAttention(8, 4).double()
    parts = few.in_proj_weight.split([8, 2 * kv_heads, 2 * kv_heads])
    repeated = [p.unflatten(0, (kv_heads, 2)).repeat_interleave(4 // kv_heads, 0).flatten(0, 1) for p in parts[1:]]
    all_of_them.load_state_dict(
        few.state_dict() | {"in_proj_weight": torch.cat([parts[0], *repeated]), "in_proj_bias": torch.zeros(24)}
    )
    x, source = normal(3, 5, 8), normal(3, 6, 8, seed=2) if across else None
    torch.testing.assert_close(few(x, source), all_of_them(x, source), **EXACT)


@pytest.mark.parametrize("kind", [MultiHeadAttention, LinearAttention])
def test_what_comes_later_changes_nothing_before_it(kind: type[MultiHeadAttention]) -> None:
    model, x = kind(8, 2).double(), normal(2, 6, 8)
    other = torch.cat([x[:, :4], normal(2, 2, 8, seed=5)], dim=1)
    assert torch.equal(model(x, causal=True)[:, :4], model(other, causal=True)[:, :4])
    assert not torch.isclose(model(x, causal=True)[:, 4:], model(other, causal=True)[:, 4:]).any()
    assert not torch.isclose(model(x)[:, :4], model(other)[:, :4]).any()


@pytest.mark.parametrize("kind", [MultiHeadAttention, LinearAttention])
def test_without_positions_a_permutation_of_the_items_permutes_the_outputs(kind: type[MultiHeadAttention]) -> None:
    model, x = kind(8, 2).double(), normal(2, 6, 8)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order], **EXACT)
    angles = rotary_angles(torch.arange(6), 4)
    assert not torch.allclose(model(x[:, order], angles=angles), model(x, angles=angles)[:, order], atol=1e-3)


@pytest.mark.parametrize("kv_heads", [1, 4])
@pytest.mark.parametrize("chunks", [(1, 1, 1, 1, 1, 1), (3, 1, 2), (6,), (2, 4)])
def test_with_a_cache_pieces_are_the_whole(chunks: tuple[int, ...], kv_heads: int) -> None:
    model, x, cache = MultiHeadAttention(8, 4, kv_heads=kv_heads).double(), normal(2, 6, 8), []
    angles = rotary_angles(torch.arange(6, dtype=torch.float64), 2)
    found, start = [], 0
    for size in chunks:
        here = slice(start, start + size)
        found.append(model(x[:, here], causal=True, angles=angles[:, here], cache=cache))
        start += size
    torch.testing.assert_close(torch.cat(found, dim=1), model(x, causal=True, angles=angles), rtol=1e-12, atol=1e-15)
    assert [part.shape for part in cache] == [(2, kv_heads, 6, 2)] * 2


def test_a_source_is_projected_at_the_first_call_only() -> None:
    model, x, source, cache = MultiHeadAttention(8, 2).double(), normal(2, 3, 8), normal(2, 5, 8, seed=2), []
    first = model(x, source, cache=cache)
    torch.testing.assert_close(first, model(x, source), rtol=0, atol=0)
    torch.testing.assert_close(model(x, torch.full_like(source, torch.nan), cache=cache), first, rtol=0, atol=0)
    assert cache[0].shape == (2, 2, 5, 4)


# Linear attention


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_linear_attention_step_by_step_is_the_parallel_form_values_and_gradients(kv_heads: int) -> None:
    model, x = LinearAttention(8, 2, kv_heads=kv_heads).double(), normal(3, 7, 8).requires_grad_()
    parallel, (serial, _) = model(x, causal=True), model.recurrent(x)
    torch.testing.assert_close(serial, parallel, **EXACT)
    leaves = [x, *model.parameters()]
    torch.testing.assert_close(slopes(serial, leaves), slopes(parallel, leaves), **EXACT)
    for size in (1, 2, 3, 7):
        first, state = model.recurrent(x[:, :3], size=size)
        second, (S, z) = model.recurrent(x[:, 3:], state, size=size)
        torch.testing.assert_close(torch.cat([first, second], dim=1), parallel, **EXACT)
        assert (S.shape, z.shape) == ((3, 2, 4, 4), (3, 2, 4, 1))  # of constant size
    model.keep_weights = True  # as taught
    torch.testing.assert_close(model(x, causal=True), parallel, **EXACT)


def test_linear_attention_is_the_same_over_more_than_a_chunk_of_time() -> None:
    model, x = LinearAttention(4, 2).double(), normal(1, 150, 4)
    fast = model(x, causal=True)
    model.keep_weights = True
    torch.testing.assert_close(fast, model(x, causal=True), **EXACT)
    torch.testing.assert_close(fast, model.recurrent(x)[0], **EXACT)


@pytest.mark.parametrize("masked", ["no", "random", "causal"])
def test_linear_attention_is_the_formula_in_loops(masked: str) -> None:
    model, x = LinearAttention(8, 2).double(), normal(2, 5, 8)
    mask = {"no": torch.ones(5, 5), "random": normal(5, 5, seed=4) > -0.5, "causal": causal_mask(5, 5)}[masked].bool()
    q, k, v = F.linear(x, model.in_proj_weight, model.in_proj_bias).unflatten(-1, (3, 2, 4)).unbind(2)  # (B, T, h, d)
    q, k = (torch.where(part > 0, part + 1, part.exp()) for part in (q, k))
    out = torch.zeros(2, 5, 2, 4, dtype=torch.float64)
    for t in range(5):
        for h in range(2):
            weights = [(q[:, t, h] * k[:, s, h]).sum(-1, keepdim=True) * mask[t, s] for s in range(5)]
            out[:, t, h] = sum(w * v[:, s, h] for s, w in enumerate(weights)) / sum(weights)
    expected = model.out_proj(out.flatten(2))
    settings = {"no": {}, "random": {"mask": mask}, "causal": {"causal": True}}[masked]
    for keep in (False, True):
        model.keep_weights = keep
        torch.testing.assert_close(model(x, **settings), expected, **EXACT)
    torch.testing.assert_close(model.weights.sum(-1), torch.ones(2, 2, 5, dtype=torch.float64), **EXACT)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", [MultiHeadAttention, LinearAttention])
def test_an_item_that_may_look_nowhere_gets_the_bias_and_no_nan(kind: type[MultiHeadAttention], keep: bool) -> None:
    model, x = kind(8, 2).double(), normal(2, 5, 8).requires_grad_()
    model.keep_weights, mask = keep, causal_mask(5, 5)
    mask[2] = False
    out = model(x, mask=mask)
    torch.testing.assert_close(out[:, 2], model.out_proj.bias.expand(2, 8), **EXACT)
    out.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    late = model(normal(2, 7, 8), x, causal=True)  # the first two stand before the source
    torch.testing.assert_close(late[:, :2], model.out_proj.bias.expand(2, 2, 8), **EXACT)
    model.keep_weights = False
    model(x)
    assert model.weights is None


# Counts, devices, refusals


def test_counts_and_names_are_those_derived_by_hand() -> None:
    model = MultiHeadAttention(64, 4)
    assert sum(p.numel() for p in model.parameters()) == PARAMS_64
    assert list(model.state_dict()) == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    assert sum(p.numel() for p in MultiHeadAttention(64, 4, kv_heads=1).parameters()) == PARAMS_64_ONE_KEY_HEAD
    assert sum(p.numel() for p in AdditiveAttention(query=10, key=12, hidden=8).parameters()) == PARAMS_ADDITIVE_10_12_8
    assert "64, heads=4, kv_heads=4" in repr(model)


@pytest.mark.parametrize("kind", [MultiHeadAttention, LinearAttention])
def test_every_device_and_bf16_come_close_to_float64_on_the_cpu(
    kind: type[MultiHeadAttention], device: torch.device
) -> None:
    exact, x = kind(16, 4, kv_heads=2).double(), normal(3, 9, 16)
    expected = exact(x, causal=True, angles=rotary_angles(torch.arange(9, dtype=torch.float64), 4))
    model, y = copy.deepcopy(exact).float().to(device), x.float().to(device)
    angles = rotary_angles(torch.arange(9, device=device), 4)
    for keep in (False, True):
        model.keep_weights = keep
        found = model(y, causal=True, angles=angles)
        torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-4, atol=1e-5)
        with runtime.autocast(device, "bf16"):
            found = model(y, causal=True, angles=angles)
        torch.testing.assert_close(found.cpu().double(), expected, rtol=0, atol=0.03)
    half = model.bfloat16()(y.bfloat16(), causal=True, angles=angles)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.cpu().double(), expected, rtol=0, atol=0.04)


def test_they_compile_without_a_break(device: torch.device) -> None:
    torch.compiler.reset()
    whole, linear = MultiHeadAttention(8, 2).to(device), LinearAttention(8, 2).to(device)
    additive, x = AdditiveAttention(query=8, key=8, hidden=4).to(device), torch.randn(2, 5, 8).to(device)

    def run(x: Tensor) -> Tensor:
        angles = rotary_angles(torch.arange(5, device=x.device), 4)
        cache: list[Tensor] = []
        pieces = [whole(x[:, i : i + 1], causal=True, angles=angles[:, i : i + 1], cache=cache) for i in range(2)]
        y = whole(x, causal=True, angles=angles) + whole(x, x) + linear(x) + linear(x, causal=True)
        return y + linear.recurrent(x)[0] + additive(query=x, key=x)[0] + torch.cat(pieces, dim=1).sum(1, keepdim=True)

    compiled = torch.compile(run, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), run(x), rtol=1e-5, atol=1e-6)


def test_what_fits_no_head_or_shape_is_named() -> None:
    for width, heads, kv_heads in ((10, 4, 4), (8, 4, 3), (8, 0, 1), (8, 4, 0)):
        with pytest.raises(ValueError, match=f"got {width}, {heads} and {kv_heads}"):
            MultiHeadAttention(width, heads, kv_heads=kv_heads)
    with pytest.raises(ValueError, match=r"expected \(batch, time, 8\), got \(5, 8\)"):
        MultiHeadAttention(8, 2)(torch.zeros(5, 8))
    for wrong in (torch.ones(5, 5), torch.ones(2, 5, 5, dtype=torch.bool)):  # added to the scores; over the heads
        for kind in (MultiHeadAttention, LinearAttention):
            with pytest.raises(
                ValueError, match=rf"expected booleans .* got a mask {wrong.dtype} \({wrong.shape[0]}, "
            ):
                kind(8, 2)(torch.zeros(2, 5, 8), mask=wrong)
    with pytest.raises(ValueError, match="expected an even width, a pair of features for each angle, got 3"):
        rotary_angles(torch.arange(4), 3)
