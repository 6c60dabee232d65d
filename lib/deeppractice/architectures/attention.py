"""Attention: each query takes an average of values, weighted by how well their keys fit it.

Source: Bahdanau, Cho and Bengio (2015), Neural machine translation by jointly learning to align and translate;
Vaswani et al. (2017), Attention is all you need; Ainslie et al. (2023), GQA, for heads that share keys and values.

Letters: B batch, T queries, S keys, D width, h heads, d = D / h the width of a head. A mask is true where a query may
look, as in `F.scaled_dot_product_attention` and unlike `nn.MultiheadAttention`, and broadcasts to (B, h, T, S).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures.positions import rotate


def causal_mask(queries: int, keys: int, device: torch.device | str | None = None) -> Tensor:
    """True where a query may look: at keys up to its own position; the last query stands at the last key: (T, S)."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Softmax over the keys that the mask allows; the others weigh nothing: (..., T, S) -> (..., T, S).

    $$w_s = \frac{m_s e^{a_s}}{\sum_r m_r e^{a_r}}$$

    A query that may look nowhere has no weights, as in torch's fused attention, and not NaN.
    """
    if mask is None:
        return scores.softmax(-1)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)


def dot_product_attention(
    *, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Scaled dot-product attention as taught: (..., T, d), 2 of (..., S, d) -> (..., T, d) and weights (..., T, S).

    $$\operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V$$

    Source: Vaswani et al. (2017), equation 1. The fast form, without weights, is `F.scaled_dot_product_attention`.
    """
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (..., T, S)
    weights = masked_softmax(scores, mask)
    return weights @ value, weights


class AdditiveAttention(nn.Module):
    r"""Attention by a small network that looks at query and key together.

    $$a_{ts} = u^\top \tanh(W q_t + b + U k_s), \quad w_t = \operatorname{softmax}(a_t), \quad y_t = \sum_s w_{ts} v_s$$

    Args:
        query, key: their widths, of a decoder's state and of an encoder's, say.
        hidden: width of the small network.

    Shapes: (B, T, query), (B, S, key), and values (B, S, D), the keys where none are given -> (B, T, D) and the weights
    (B, T, S). The mask broadcasts to (B, T, S). Source: Bahdanau et al. (2015), appendix A.1.2.
    """

    def __init__(self, *, query: int, key: int, hidden: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(query, hidden), nn.Linear(key, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(
        self, *, query: Tensor, key: Tensor, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        # (B, T, 1, hidden) + (B, 1, S, hidden) -> (B, T, S)
        scores = self.score(torch.tanh(self.query(query).unsqueeze(2) + self.key(key).unsqueeze(1))).squeeze(-1)
        weights = masked_softmax(scores, mask)
        return weights @ (key if value is None else value), weights


class MultiHeadAttention(nn.Module):
    r"""Several attentions side by side, each in a projection of its own; parameters are named as in torch's layer.

    $$\operatorname{head}_j = \operatorname{attention}(x W_j^Q, y W_j^K, y W_j^V), \qquad
      [\operatorname{head}_1, \dots, \operatorname{head}_h] \, W^O$$

    Args:
        width, heads: D and h.
        kv_heads: heads of keys and values, each shared by h / kv_heads heads of queries; by default h.

    Where `keep_weights` is set to True it computes as taught and `weights` holds the last ones, (B, h, T, S); otherwise
    it takes torch's fused kernel. Raises a ValueError for a width that heads do not divide, heads that kv_heads do not,
    or x that is not (B, T, D). Source: Vaswani et al. (2017), section 3.2.2.
    """

    def __init__(self, width: int, heads: int, *, kv_heads: int | None = None) -> None:
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        if heads < 1 or kv_heads < 1 or width % heads or heads % kv_heads:
            raise ValueError(f"expected width a multiple of heads of kv_heads, got {width}, {heads} and {kv_heads}")
        self.width, self.heads, self.kv_heads, self.head_width = width, heads, kv_heads, width // heads
        self.rows = [width, kv_heads * self.head_width, kv_heads * self.head_width]  # of queries, keys and values
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(sum(self.rows), width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(sum(self.rows)))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)
        self.keep_weights, self.weights = False, None

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        angles: Tensor | None = None,
        cache: list[Tensor] | None = None,
    ) -> Tensor:
        """Each item of x looks at those of another sequence, `source`, or of x: (B, T, D), (B, S, D) -> (B, T, D).

        Args:
            mask: true where an item may look, (T, S) or (B, 1, T, S).
            causal: whether an item may look at itself and those before it only; the last of both stand at one place.
            angles: for rotary positions, those of x, from `rotary_angles`; only where x looks at itself.
            cache: an empty list, which comes to hold keys and values (B, kv_heads, S, d): those of what came before x,
                to which each call adds x's; or those of `source`, projected at the first call only.
        """
        if mask is not None and (mask.dtype != torch.bool or mask.ndim == 3):  # (B, T, S) would run over the heads
            raise ValueError(f"expected booleans (T, S) or (B, 1, T, S), got a mask {mask.dtype} {tuple(mask.shape)}")
        self.weights = None  # of an earlier call
        q, k, v = self._heads(x, source, angles, cache)
        T, S = q.shape[2], k.shape[2]
        if causal and T > 1 and (mask is not None or T != S or self.keep_weights):
            mask, causal = causal_mask(T, S, x.device) & (True if mask is None else mask), False
        out = self._attend(q, k, v, mask, causal and T > 1)  # a single one may look at all
        return self.out_proj(out.transpose(1, 2).flatten(2))  # (B, h, T, d) -> (B, T, h, d) -> (B, T, D)

    def _heads(
        self, x: Tensor, source: Tensor | None, angles: Tensor | None = None, cache: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head: (B, T, D), (B, S, D) -> (B, h, T, d), 2 of (B, h, S, d)."""
        if x.ndim != 3 or x.shape[-1] != self.width:
            raise ValueError(f"expected (batch, time, {self.width}), got {tuple(x.shape)}")
        if source is None:
            q, k, v = self._project(x, self.in_proj_weight, self.in_proj_bias, self.rows)
            if angles is not None:
                q, k = rotate(q, angles), rotate(k, angles)
            if cache:
                k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        else:
            W, b, D = self.in_proj_weight, self.in_proj_bias, self.width
            (q,) = self._project(x, W[:D], b[:D], self.rows[:1])
            k, v = cache or self._project(source, W[D:], b[D:], self.rows[1:])
        if cache is not None:
            cache[:] = k, v
        if self.kv_heads < self.heads:  # (B, kv_heads, S, d) -> (B, h, S, d)
            k, v = (part.repeat_interleave(self.heads // self.kv_heads, dim=1) for part in (k, v))
        return q, k, v

    def _project(self, x: Tensor, W: Tensor, b: Tensor, rows: list[int]) -> list[Tensor]:
        parts = F.linear(x, W, b).split(rows, dim=-1)  # each (B, T, heads d) -> (B, T, heads, d) -> (B, heads, T, d)
        return [part.unflatten(-1, (-1, self.head_width)).transpose(1, 2) for part in parts]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """(B, h, T, d), 2 of (B, h, S, d) -> (B, h, T, d)."""
        if not self.keep_weights:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        out, weights = dot_product_attention(query=q, key=k, value=v, mask=mask)
        self.weights = weights.detach()
        return out

    def extra_repr(self) -> str:
        return f"{self.width}, heads={self.heads}, kv_heads={self.kv_heads}"
