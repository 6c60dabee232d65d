"""Our multilayer perceptron, PointNet and networks on graphs beside the forms in which they are mostly published.

    make bench                          on this machine's best device
    python benchmarks/architectures_others.py --device cuda

The peers are written here, after the public code: layers of torch in a row; PointNet as convolutions with a kernel of
one; a graph convolution by torch's sparse product; graph attention with a matrix of all pairs, whose time and memory
grow with the square of the nodes where ours go by the edges. Both graph networks stand beside PyG's layers too, on a
machine that has PyG, with a graph that was made once. How it is measured: see paired.py.
Writes benchmarks/architectures_others-<device>.json.
"""

import importlib.util
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from paired import Pair, main, twins
from torch import Tensor, nn

from deeppractice.architectures import GCN, MLP, GATLayer, PointNet, adjacency, gcn_edges, gcn_matrix, with_self_loops


def perceptron() -> tuple[nn.Module, nn.Module]:
    return twins(MLP([64, 128, 10]), nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))


class PlainPointNet(nn.Module):
    """With the points as the last axis and convolutions of one: (B, N, D) -> (B, K)."""

    def __init__(self, local: Sequence[int], head: Sequence[int], outputs: int) -> None:
        super().__init__()
        shared = ([nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), nn.ReLU(inplace=True)] for a, b in pairwise(local))
        dense = ([nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(inplace=True)] for a, b in pairwise([local[-1], *head]))
        self.shared = nn.Sequential(*(part for layer in shared for part in layer))
        self.dense = nn.Sequential(*(part for layer in dense for part in layer), nn.Linear(head[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.shared(x.transpose(1, 2)).amax(2))


def points() -> tuple[nn.Module, nn.Module]:
    return twins(PointNet(3, 40), PlainPointNet([3, 64, 64, 64, 128, 1024], [512, 256], 40))


def friends(nodes: int, pairs: int) -> Tensor:
    """Edges of a graph drawn at random, both ways, none twice: (2, 2 · pairs)."""
    numbers = torch.randperm(nodes * (nodes - 1) // 2, generator=torch.Generator().manual_seed(0))[:pairs]
    edges = torch.triu_indices(nodes, nodes, 1)[:, numbers]
    return torch.cat([edges, edges.flip(0)], dim=1)


class OnGraph(nn.Module):
    """A network with the graph that it runs on, as tensors that go with it to a device."""

    def __init__(self, net: nn.Module, *graph: Tensor) -> None:
        super().__init__()
        self.net, self.parts = net, len(graph)
        for number, tensor in enumerate(graph):
            self.register_buffer(f"graph{number}", tensor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        graph = [getattr(self, f"graph{number}") for number in range(self.parts)]
        return self.net(x, graph[0] if self.parts == 1 else tuple(graph))


class SparseGCN(nn.Module):
    """A graph convolution as torch's sparse matrix times a dense one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bias, self.lin = nn.Parameter(torch.zeros(outputs)), nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, S: Tensor) -> Tensor:
        return torch.sparse.mm(S, self.lin(x)) + self.bias


class TwoLayers(nn.Module):
    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SparseGCN(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, S: Tensor) -> Tensor:
        return self.layers[1](self.layers[0](x, S).relu(), S)


def convolution() -> tuple[nn.Module, nn.Module]:
    sizes, edges = [1433, 16, 7], friends(2708, 5278)  # as many as Cora has
    S = gcn_matrix(adjacency(edges, 2708)).to_sparse_coo().coalesce()
    pairs, weights = gcn_edges(edges, 2708)
    return twins(OnGraph(GCN(sizes), pairs, weights), OnGraph(TwoLayers(sizes), S))


class DenseGAT(nn.Module):
    """Graph attention as a matrix of all pairs of nodes, where no edge is a very small number."""

    def __init__(self, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.heads, self.lin = heads, nn.Linear(inputs, heads * outputs, bias=False)
        self.src, self.dst = (nn.Parameter(torch.randn(1, heads, outputs) / outputs**0.5) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads * outputs))

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        z = self.lin(x).unflatten(-1, (self.heads, -1))  # (N, h, d)
        scores = (z * self.dst).sum(-1).T[:, :, None] + (z * self.src).sum(-1).T[:, None, :]  # (h, N, N)
        scores = torch.where(A, F.leaky_relu(scores, 0.2), torch.full_like(scores, -9e15))
        return torch.einsum("hij,jhd->ihd", scores.softmax(2), z).flatten(1) + self.bias


def attention() -> tuple[nn.Module, nn.Module]:
    edges = with_self_loops(friends(1000, 2500), 1000)
    theirs = OnGraph(DenseGAT(64, 8, 8), adjacency(edges, 1000).bool())
    return twins(OnGraph(GATLayer(64, 8, heads=8), edges), theirs)


def convolution_pyg() -> tuple[nn.Module, nn.Module]:
    from torch_geometric.nn import GCNConv

    class Layers(nn.Module):
        """Two of PyG's layers, with S made once, as ours take it."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(GCNConv(a, b, normalize=False) for a, b in pairwise(sizes))

        def forward(self, x: Tensor, graph: tuple[Tensor, Tensor]) -> Tensor:
            return self.layers[1](self.layers[0](x, *graph).relu(), *graph)

    sizes, graph = [1433, 16, 7], gcn_edges(friends(2708, 5278), 2708)
    return twins(OnGraph(GCN(sizes), *graph), OnGraph(Layers(), *graph))


def attention_pyg() -> tuple[nn.Module, nn.Module]:
    from torch_geometric.nn import GATConv

    ours, theirs = GATLayer(64, 8, heads=8), GATConv(64, 8, heads=8, add_self_loops=False)  # the edges have them
    ours.load_state_dict(theirs.state_dict())
    edges = with_self_loops(friends(1000, 2500), 1000)
    return OnGraph(ours, edges), OnGraph(theirs, edges)


PAIRS = {
    "MLP, torch's layers in a row": Pair(perceptron, (256, 64), 40),
    "PointNet, convolutions of one": Pair(points, (8, 256, 3), 3),
    "GCN by edges, torch's sparse product": Pair(convolution, (2708, 1433), 4),
    "GAT by edges, a matrix of all pairs": Pair(attention, (1000, 64), 3),
    "GCN by edges, PyG's GCNConv": Pair(convolution_pyg, (2708, 1433), 4),
    "GAT by edges, PyG's GATConv": Pair(attention_pyg, (1000, 64), 20),
}

if __name__ == "__main__":
    if importlib.util.find_spec("torch_geometric") is None:
        print("PyG is not installed: left out", *(gone := [name for name in PAIRS if "PyG" in name]), sep="\n  ")
        PAIRS = {name: pair for name, pair in PAIRS.items() if name not in gone}
    main(__file__, PAIRS, "networks with the same weights, the peer written after its public form")
