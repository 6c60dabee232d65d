"""Networks on graphs: each node is updated from what its neighbours send, by one function for all of them.

Source: Kipf and Welling (2017), Semi-supervised classification with graph convolutional networks; Gilmer et al. (2017),
Neural message passing for quantum chemistry; Velickovic et al. (2018), Graph attention networks. Taught in chapter 2.

Letters: N nodes, E edges, D features, h heads, d features of a head. Edges are (2, E), sources above targets; one that
goes both ways stands there twice. Rows of a matrix (N, N) are targets: `A @ x` sums over the neighbours.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures.attention import masked_softmax

AGGREGATES = ("sum", "mean", "max")


def with_self_loops(edges: Tensor, nodes: int) -> Tensor:
    """The edges, and one from each node to itself: (2, E) -> (2, E + N); loops that were there are not doubled."""
    loops = torch.arange(nodes, device=edges.device).expand(2, -1)
    return torch.cat([edges[:, edges[0] != edges[1]], loops], dim=1)


def adjacency(edges: Tensor, nodes: int) -> Tensor:
    """A matrix with 1 where an edge is, in the row of its target: (2, E) -> (N, N)."""
    A = torch.zeros(nodes, nodes, device=edges.device)
    A[edges[1], edges[0]] = 1.0
    return A


def gcn_matrix(A: Tensor) -> Tensor:
    r"""$D^{-1/2} (A + I) D^{-1/2}$, $D_{ii} = \sum_j (A + I)_{ij}$ (Kipf and Welling, equation 2): (N, N) -> (N, N)."""
    A = A.clone().fill_diagonal_(1.0)
    d = A.sum(1).rsqrt()  # (N,)
    return d[:, None] * A * d


def gcn_edges(edges: Tensor, nodes: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """The entries of S that are not 0, as edges and weights: (2, E) -> (2, E + N) and (E + N,)."""
    edges = with_self_loops(edges, nodes)
    d = torch.bincount(edges[1], minlength=nodes).to(dtype).rsqrt()
    return edges, d[edges[0]] * d[edges[1]]


def aggregate(messages: Tensor, targets: Tensor, nodes: int, how: str = "sum") -> Tensor:
    """Sum, mean or max of the messages that arrive at each node, 0 where none do: (E, ...), (E,) -> (N, ...)."""
    if how not in AGGREGATES:
        raise ValueError(f"expected an aggregate among {', '.join(AGGREGATES)}, got {how!r}")
    wide = messages.float() if messages.dtype in (torch.bfloat16, torch.float16) else messages  # sums need the digits
    column = (-1, *[1] * (messages.ndim - 1))
    index, out = targets.view(column).expand_as(wide), wide.new_zeros(nodes, *messages.shape[1:])
    if how == "max":
        return out.scatter_reduce(0, index, wide, "amax", include_self=False).to(messages.dtype)
    out = out.scatter_add(0, index, wide)
    if how == "mean":
        arrived = wide.new_zeros(nodes).scatter_add(0, targets, wide.new_ones(len(targets)))
        out = out / arrived.clamp(min=1).view(column)
    return out.to(messages.dtype)


def propagate(graph: Tensor | tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    r"""$\sum_j S_{ij} x_j$, for a matrix as taught, for edges and weights in time and memory of E: (N, D) -> (N, D)."""
    if isinstance(graph, Tensor):  # dense, or one of torch's sparse forms
        return graph.to(x.dtype) @ x
    (sources, targets), weights = graph
    return aggregate(weights.to(x.dtype)[:, None] * x.index_select(0, sources), targets, len(x))


class GCNLayer(nn.Module):
    r"""A graph convolution, $S X W + b$; parameters are named as in PyG's `GCNConv`: (N, inputs) -> (N, outputs).

    The graph is S: a matrix, from `gcn_matrix`, or edges and weights, from `gcn_edges`; made once for a training.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, outputs, bias=False)
        nn.init.xavier_uniform_(self.lin.weight)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, graph: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        _check_features(x, self.lin.in_features)
        return propagate(graph, self.lin(x)) + self.bias


class GCN(nn.Module):
    r"""Graph convolutions with a ReLU between them: (N, sizes[0]) -> (N, sizes[-1]).

    $$H_0 = X, \qquad H_l = \max(0, S H_{l-1} W_l + b_l), \qquad f(X) = S H_{L-1} W_L + b_L$$

    Dropout is in front of each layer. After L layers a node has heard from all that are L edges away.
    """

    def __init__(self, sizes: Sequence[int], *, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GCNLayer(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, graph: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(self.dropout(x), graph))
        return last(self.dropout(x), graph)


class GATLayer(nn.Module):
    r"""Graph attention: each node weighs its neighbours by what they and it look like; named as in PyG's `GATConv`.

    $$a_{ij} = \operatorname{leaky}(u^\top W x_j + v^\top W x_i), \quad
      w_{i} = \operatorname{softmax}_{j \in \mathcal N(i)}(a_{ij}), \quad y_i = \sum_j w_{ij} W x_j + b$$

    Each of the heads has a W, u and v of its own; put one after another they give (N, h d), else their mean (N, d). The
    graph is a matrix of true and false (N, N), as taught, or edges (2, E): `with_self_loops`, so that a node hears
    itself. Source: Velickovic et al. (2018), equations 1 to 6; the slope of the leaky ReLU is 0.2, as there.
    """

    def __init__(self, inputs: int, outputs: int, *, heads: int = 1, concat: bool = True) -> None:
        super().__init__()
        self.heads, self.concat = heads, concat
        self.lin = nn.Linear(inputs, heads * outputs, bias=False)
        self.att_src, self.att_dst = (nn.Parameter(torch.empty(1, heads, outputs)) for _ in range(2))
        for weight in (self.lin.weight, self.att_src, self.att_dst):
            nn.init.xavier_uniform_(weight)
        self.bias = nn.Parameter(torch.zeros(heads * outputs if concat else outputs))

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        _check_features(x, self.lin.in_features)
        z = self.lin(x).unflatten(-1, (self.heads, -1))  # (N, h d) -> (N, h, d)
        weights = self.attention(z, graph)
        if graph.dtype == torch.bool:
            y = torch.einsum("hij,jhd->ihd", weights, z)
        else:  # (E, h, d) -> (N, h, d)
            y = aggregate(weights[..., None] * z.index_select(0, graph[0]), graph[1], len(x))
        return (y.flatten(1) if self.concat else y.mean(1)) + self.bias

    def attention(self, z: Tensor, graph: Tensor) -> Tensor:
        """Weights from the features W x: (N, h, d) -> (h, N, N) for a matrix, (E, h) for edges."""
        u, v = (z * self.att_src).sum(-1), (z * self.att_dst).sum(-1)  # (N, h), (N, h)
        if graph.dtype == torch.bool:
            return masked_softmax(F.leaky_relu(u.T[:, None, :] + v.T[:, :, None], 0.2), graph)
        sources, targets = graph
        scores = F.leaky_relu(u.index_select(0, sources) + v.index_select(0, targets), 0.2)  # (E, h)
        largest = aggregate(scores.detach(), targets, len(z), "max")
        e = (scores - largest.index_select(0, targets)).exp()
        return e / aggregate(e, targets, len(z)).index_select(0, targets)


class MessagePassing(nn.Module):
    r"""$y_i = U(x_i, m_i)$ with $m_i$ an aggregate over $j \to i$ of $M(x_i, x_j, e_{ij})$: (N, D) -> (N, K).

    The networks M and U get what stands in their brackets as one vector. Source: Gilmer et al. (2017), equations 1, 2.
    """

    def __init__(self, message: nn.Module, update: nn.Module, *, how: str = "sum") -> None:
        super().__init__()
        self.message, self.update, self.how = message, update, how

    def forward(self, x: Tensor, edges: Tensor, features: Tensor | None = None) -> Tensor:
        """(N, D), edges (2, E) and perhaps what each of them carries (E, C) -> (N, K)."""
        sources, targets = edges
        ends = [x.index_select(0, targets), x.index_select(0, sources)]  # faster than x[...]
        messages = self.message(torch.cat(ends if features is None else [*ends, features], dim=-1))  # (E, M)
        return self.update(torch.cat([x, aggregate(messages, targets, len(x), self.how)], dim=-1))


def _check_features(x: Tensor, inputs: int) -> None:
    if x.ndim != 2 or x.shape[1] != inputs:
        raise ValueError(f"expected (nodes, {inputs}), got {tuple(x.shape)}")
