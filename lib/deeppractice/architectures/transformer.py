"""The transformer: attention between the items of a sequence, then a small network for each, layer after layer.

Source: Vaswani et al. (2017), Attention is all you need; Xiong et al. (2020), On layer normalization in the transformer
architecture, for where the norm stands. Left out: dropout on attention's weights, and sharing of weights.

Letters: B batch, T time (of the target), S time of a source, D width, V size of the vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from deeppractice.architectures.attention import MultiHeadAttention
from deeppractice.architectures.mlp import ACTIVATIONS
from deeppractice.architectures.positions import Embedding


class Block(nn.Module):
    r"""A layer of a transformer; parameters are named as in torch's TransformerEncoderLayer, TransformerDecoderLayer.

    Each part f (attention within, attention to a source if `cross`, a two-layer network) is added to what it reads,

    $$x + f(\operatorname{norm}(x)) \quad \text{(pre-norm)} \qquad \text{or} \qquad
      \operatorname{norm}(x + f(x)) \quad \text{(post-norm, Vaswani et al.)}$$

    Args:
        width, heads, kv_heads: of `MultiHeadAttention`.
        hidden, activation: of the two-layer network: its width, by default 4 D, and a key of `ACTIVATIONS`.
        cross: whether there is attention to a source, as in a decoder.
        norm_first: pre-norm, which trains without a warm-up of the learning rate (Xiong et al., 2020); else post-norm.
        dropout: probability of dropping what a part adds.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        cross: bool = False,
        norm_first: bool = True,
        activation: str = "gelu",
        dropout: float = 0.0,
        kv_heads: int | None = None,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation among {', '.join(ACTIVATIONS)}, got {activation!r}")
        hidden, self.norm_first = hidden or 4 * width, norm_first
        self.self_attn = MultiHeadAttention(width, heads, kv_heads=kv_heads)
        self.multihead_attn = MultiHeadAttention(width, heads, kv_heads=kv_heads) if cross else None
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width) if cross else None
        self.activation, self.dropout = ACTIVATIONS[activation](), nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        *,
        source_mask: Tensor | None = None,
        caches: tuple[list, list] | tuple[None, None] = (None, None),
        **within,
    ) -> Tensor:
        """(B, T, D), (B, S, D) -> (B, T, D); `within` goes to the attention of x to itself: mask, causal, angles."""
        if (source is None) != (self.multihead_attn is None):
            raise ValueError("expected a source where there is attention to it, and none where there is not")
        x = self._add(x, self.norm1, lambda y: self.self_attn(y, cache=caches[0], **within))
        if self.multihead_attn is not None:
            x = self._add(x, self.norm2, lambda y: self.multihead_attn(y, source, mask=source_mask, cache=caches[1]))
        return self._add(x, self.norm3 or self.norm2, lambda y: self.linear2(self.activation(self.linear1(y))))

    def _add(self, x: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        return x + self.dropout(part(norm(x))) if self.norm_first else norm(x + self.dropout(part(x)))


class Stack(nn.Module):
    """Blocks one after the other, as many as `layers`; with pre-norm a last norm, since their sum has seen none."""

    def __init__(self, layers: int, width: int, heads: int, *, norm_first: bool = True, **settings) -> None:
        super().__init__()
        blocks = (Block(width, heads, norm_first=norm_first, **settings) for _ in range(layers))
        self.layers, self.norm = nn.ModuleList(blocks), nn.LayerNorm(width) if norm_first else nn.Identity()

    def forward(self, x: Tensor, source: Tensor | None = None, *, caches: list | None = None, **settings) -> Tensor:
        """(B, T, D), (B, S, D) -> (B, T, D)."""
        for number, block in enumerate(self.layers):
            x = block(x, source, caches=caches[number] if caches else (None, None), **settings)
        return self.norm(x)


class Transformer(nn.Module):
    """A decoder that says what comes next, as in a language model; or, with a source, encoder and decoder.

    Args:
        vocabulary: V, of what is generated.
        source_vocabulary: of the source, if there is one: then there is an encoder, and the decoder attends to it.
        width, heads, layers: D, the heads of each attention, the blocks of each stack.
        positions: "rotary", "sinusoidal", "learned" (`length` of them) or "none".
        settings: of each `Block`.

    Shapes: tokens (B, T) -> logits of the token after each, (B, T, V). Source: Vaswani et al. (2017), figure 1.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        source_vocabulary: int | None = None,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        positions: str = "rotary",
        length: int = 256,
        **settings,
    ) -> None:
        super().__init__()
        place, both = {"positions": positions, "length": length}, source_vocabulary is not None
        self.embed_source = Embedding(source_vocabulary, width, heads, **place) if both else None
        self.encoder = Stack(layers, width, heads, **settings) if both else None
        self.embed = Embedding(vocabulary, width, heads, **place)
        self.decoder = Stack(layers, width, heads, cross=both, **settings)
        self.head = nn.Linear(width, vocabulary)

    def encode(self, source: Tensor, *, source_mask: Tensor | None = None) -> Tensor:
        """(B, S) -> (B, S, D); the mask is true at tokens, false at what fills up a batch: (B, S)."""
        if self.embed_source is None:
            raise ValueError("expected a model with a source_vocabulary, got one without an encoder")
        x, angles = self.embed_source(source)
        return self.encoder(x, angles=angles, mask=None if source_mask is None else source_mask[:, None, None])

    def forward(
        self,
        tokens: Tensor,
        source: Tensor | None = None,
        *,
        source_mask: Tensor | None = None,
        caches: list[tuple[list, list]] | None = None,
    ) -> Tensor:
        """Logits (B, T, V). `source` are tokens (B, S), or what `encode` made of them (B, S, D).

        With `caches`, a pair of empty lists for each block at first, `tokens` come after those of the calls before.
        """
        if source is not None and not source.is_floating_point():
            source = self.encode(source, source_mask=source_mask)
        x, angles = self.embed(tokens, caches[0][0][0].shape[2] if caches and caches[0][0] else 0)
        source_mask = None if source_mask is None else source_mask[:, None, None]  # (B, S) -> (B, h, T, S)
        how = {"source_mask": source_mask, "caches": caches, "causal": True, "angles": angles}
        return self.head(self.decoder(x, source, **how))

    @torch.no_grad()
    def generate(
        self, tokens: Tensor, steps: int, *, stop: int | None = None, cached: bool = True, **source: Tensor
    ) -> Tensor:
        """The likeliest tokens, one after the other, in evaluation mode: (B, T) -> (B, T + steps).

        What follows a `stop` is `stop`; fewer steps if all have stopped. Cached, a step costs one position, otherwise
        all of them anew; the tokens are the same. `source` and `source_mask` are those of `forward`.
        """
        modes = [(part, part.training) for part in self.modules()]
        new, done = tokens, tokens.new_zeros(len(tokens), 1, dtype=torch.bool)
        caches = [([], []) for _ in self.decoder.layers] if cached else None
        self.eval()
        try:
            if source and not source["source"].is_floating_point():
                source["source"] = self.encode(**source)
            for _ in range(steps):
                logits = self(new if cached else tokens, caches=caches, **source)[:, -1:]  # (B, 1, V)
                new = logits.argmax(-1) if stop is None else logits.argmax(-1).masked_fill(done, stop)
                done = done | (new == stop)
                tokens = torch.cat([tokens, new], dim=1)
                if done.all():
                    break
        finally:
            for part, mode in modes:
                part.training = mode
        return tokens
