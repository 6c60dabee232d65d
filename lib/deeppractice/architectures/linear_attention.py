"""Linear attention: weights that are products, so that all of the past fits a state of constant size.

Source: Katharopoulos et al. (2020), Transformers are RNNs: fast autoregressive transformers with linear attention.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from deeppractice.architectures.attention import MultiHeadAttention


class LinearAttention(MultiHeadAttention):
    r"""`MultiHeadAttention` with a product of positive features, $\phi(x) = \operatorname{elu}(x) + 1$, for a softmax.

    $$y_t = \frac{\sum_{s \le t} \phi(q_t)^\top \phi(k_s) \, v_s}{\sum_{s \le t} \phi(q_t)^\top \phi(k_s)}
          = \frac{\phi(q_t)^\top S_t}{\phi(q_t)^\top z_t}, \qquad
      S_t = S_{t-1} + \phi(k_t) v_t^\top, \quad z_t = z_{t-1} + \phi(k_t)$$

    Training takes the left form, which is parallel, within chunks of time, and the right one between them: a cost of T
    and not T². Generation takes chunks of one step and a state of h d (d + 1) numbers, not a cache that grows. Without
    `causal`, all of x is one sum. Source: Katharopoulos et al. (2020), section 3.
    """

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        q, k = F.elu(q) + 1, F.elu(k) + 1
        if mask is None and not self.keep_weights:
            if causal:
                return self._in_chunks(q, k, v, None, size=64)[0]
            return q @ (k.transpose(-2, -1) @ v) / (q @ k.sum(-2).unsqueeze(-1))  # (B, h, T, d) / (B, h, T, 1)
        scores = q @ k.transpose(-2, -1) * (True if mask is None else mask)  # as taught: (B, h, T, S), none negative
        total = scores.sum(-1, keepdim=True)
        weights = scores / total.masked_fill(total == 0, 1.0)  # who may look nowhere has no weights
        if self.keep_weights:
            self.weights = weights.detach()
        return weights @ v

    def recurrent(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None, *, size: int = 1
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`forward(x, causal=True)`, `size` steps at a time: (B, T, D) -> (B, T, D), and S and z (B, h, d, d or 1)."""
        q, k, v = self._heads(x, None)
        out, state = self._in_chunks(F.elu(q) + 1, F.elu(k) + 1, v, state, size)
        return self.out_proj(out.transpose(1, 2).flatten(2)), state

    def _in_chunks(self, q: Tensor, k: Tensor, v: Tensor, state: tuple | None, size: int) -> tuple[Tensor, tuple]:
        zeros = q.new_zeros(*q.shape[:2], self.head_width, self.head_width + 1)
        S, z = state or zeros.split([self.head_width, 1], dim=-1)
        outputs = []
        for q_c, k_c, v_c in zip(*(part.split(size, dim=2) for part in (q, k, v)), strict=True):  # (B, h, size, d)
            scores = (q_c @ k_c.transpose(-2, -1)).tril()  # within the chunk
            outputs.append((q_c @ S + scores @ v_c) / (q_c @ z + scores.sum(-1, keepdim=True)))
            S, z = S + k_c.transpose(-2, -1) @ v_c, z + k_c.sum(-2).unsqueeze(-1)
        return torch.cat(outputs, dim=2), (S, z)
