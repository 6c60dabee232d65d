"""Networks on graphs against the formulas in loops, and against PyG: values and gradients.

In order: graphs as matrices and edges; aggregates; the graph convolution; attention; message passing; PyG;
equivariance; counts, devices, bf16, one graph; what is refused.
"""

import copy
import math
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import (
    GCN,
    MLP,
    GATLayer,
    GCNLayer,
    MessagePassing,
    adjacency,
    aggregate,
    gcn_edges,
    gcn_matrix,
    propagate,
    with_self_loops,
)

EXACT = {"rtol": 1e-11, "atol": 1e-13}
N = 6
# 0 - 1 - 2 - 0 is a triangle, 2 - 3 a path from it, 4 sends to 3 and hears nobody, 5 is alone; 1 has a loop already.
EDGES = torch.tensor([[0, 1, 1, 2, 2, 0, 2, 3, 4, 1], [1, 0, 2, 1, 0, 2, 3, 2, 3, 1]])
HEARS = {0: [1, 2], 1: [0, 2], 2: [1, 0, 3], 3: [2, 4], 4: [], 5: []}  # without loops
PARAMS_GCN = 34 * 16 + 16 + 16 * 2 + 2
PARAMS_GAT_8_HEADS = 34 * 8 * 4 + 2 * 8 * 4 + 8 * 4  # W; u and v; b
PARAMS_GAT_MEAN = 34 * 8 * 4 + 2 * 8 * 4 + 4


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomise(model: nn.Module) -> nn.Module:
    """Biases too, which start as zeros."""
    for i, p in enumerate(model.double().parameters()):
        p.data = normal(*p.shape, seed=20 + i)
    return model


def slopes(out: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((normal(*out.shape, seed=9) * out).sum(), leaves)


def assert_same(found: Tensor, expected: Tensor, leaves: list[Tensor], others: list[Tensor] | None = None) -> None:
    torch.testing.assert_close(found, expected, **EXACT)
    torch.testing.assert_close(slopes(found, leaves), slopes(expected, others or leaves), **EXACT)


# Graphs as matrices and edges


def test_a_matrix_has_targets_as_rows() -> None:
    expected = [[float(j in HEARS[i] or i == j == 1) for j in range(N)] for i in range(N)]
    assert adjacency(EDGES, N).tolist() == expected


def test_self_loops_are_there_once() -> None:
    found = with_self_loops(EDGES, N)
    assert sorted(map(tuple, found.T.tolist())) == sorted((j, i) for i in range(N) for j in [*HEARS[i], i])


def test_the_normalised_matrix_is_the_formula_and_its_edges_are_its_entries() -> None:
    degree = [len(HEARS[i]) + 1 for i in range(N)]
    expected = torch.zeros(N, N, dtype=torch.float64)
    for i in range(N):
        for j in [*HEARS[i], i]:
            expected[i, j] = 1 / math.sqrt(degree[i] * degree[j])
    A = adjacency(EDGES, N).double()
    torch.testing.assert_close(gcn_matrix(A), expected, **EXACT)
    assert torch.equal(A, adjacency(EDGES, N).double()), "its argument stays as it was"
    edges, weights = gcn_edges(EDGES, N, torch.float64)
    assert edges.shape == (2, 9 + N)
    torch.testing.assert_close(torch.zeros(N, N).double().index_put((edges[1], edges[0]), weights), expected, **EXACT)
    assert gcn_edges(EDGES, N)[1].dtype == torch.float32


# Aggregates


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_aggregates_are_loops_values_and_gradients(how: str, shape: tuple[int, ...]) -> None:
    messages = (normal(EDGES.shape[1], *shape) - 3).requires_grad_()  # no maximum is above 0
    rows = []
    for i in range(N):
        arrived = [messages[k] for k in range(EDGES.shape[1]) if EDGES[1, k] == i]
        several = torch.stack(arrived) if arrived else messages.new_zeros(1, *shape)
        rows.append(several.amax(0) if how == "max" else getattr(several, how)(0))
    assert_same(aggregate(messages, EDGES[1], N, how), torch.stack(rows), [messages])


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_sum_of_many_messages_keeps_its_digits_in_bf16(shape: tuple[int, ...], device: torch.device) -> None:
    ones = torch.ones(1000, *shape, dtype=torch.bfloat16, device=device)
    found = aggregate(ones, torch.zeros(1000, dtype=torch.long, device=device), 1)
    assert found.dtype == torch.bfloat16
    assert (found == 1000).all()  # summed in bf16 it stops at 256


def test_matrix_sparse_matrix_and_edges_send_the_same() -> None:
    x, S = normal(N, 4), gcn_matrix(adjacency(EDGES, N).double())
    for graph in (S.to_sparse(), gcn_edges(EDGES, N, torch.float64)):
        torch.testing.assert_close(propagate(graph, x), S @ x, **EXACT)


# The graph convolution


def gcn_in_loops(model: GCN, x: Tensor) -> Tensor:
    degree = [len(HEARS[i]) + 1 for i in range(N)]
    for depth, layer in enumerate(model.layers):
        rows = []
        for i in range(N):
            row = layer.bias
            for j in [*HEARS[i], i]:
                row = row + layer.lin.weight @ x[j] / math.sqrt(degree[i] * degree[j])
            rows.append(row.clamp(min=0) if depth + 1 < len(model.layers) else row)
        x = torch.stack(rows)
    return x


@pytest.mark.parametrize("form", ["matrix", "edges"])
def test_the_network_is_the_formula_in_loops_values_and_gradients(form: str) -> None:
    model, x = randomise(GCN([4, 5, 3, 2], dropout=0.5)).eval(), normal(N, 4).requires_grad_()
    graph = gcn_matrix(adjacency(EDGES, N)) if form == "matrix" else gcn_edges(EDGES, N)
    exact = {"matrix": gcn_matrix(adjacency(EDGES, N).double()), "edges": gcn_edges(EDGES, N, torch.float64)}[form]
    assert_same(model(x, exact), gcn_in_loops(model, x), [x, *model.parameters()])
    torch.testing.assert_close(model(x, graph), model(x, exact), rtol=1e-5, atol=1e-5)  # float32 weights serve float64


def test_dropout_acts_in_training_only() -> None:
    model, x, graph = GCN([4, 5, 2], dropout=0.5), normal(N, 4).float(), gcn_edges(EDGES, N)
    assert not torch.equal(model(x, graph), model(x, graph))
    model.eval()
    assert torch.equal(model(x, graph), model(x, graph))
    seen: list[int] = []
    model.dropout.register_forward_hook(lambda part, args, out: seen.append(args[0].shape[1]))
    model(x, graph)
    assert seen == [4, 5], "once in front of each layer"
    half = GCN([4, 2], dropout=1.0)  # nothing but the bias is left
    assert torch.equal(half(x, graph), half.layers[0].bias.expand(N, 2))


def test_after_l_layers_a_node_has_heard_from_l_edges_away() -> None:
    path = torch.stack([torch.arange(7), torch.arange(1, 8)])
    graph = gcn_edges(torch.cat([path, path.flip(0)], dim=1), 8)
    for layers in (1, 2, 3):
        x = torch.ones(8, 2, requires_grad=True)
        model = GCN([2, *[8] * (layers - 1), 1])
        for p in model.parameters():
            nn.init.ones_(p)
        (slope,) = torch.autograd.grad(model(x, graph)[0].sum(), x)
        assert (slope != 0).any(1).nonzero().flatten().tolist() == list(range(layers + 1))


# Attention


def gat_in_loops(layer: GATLayer, x: Tensor) -> Tensor:
    rows = []
    for i in range(N):
        heads = []
        for h in range(layer.heads):
            W = layer.lin.weight.unflatten(0, (layer.heads, -1))[h]
            u, v = layer.att_src[0, h], layer.att_dst[0, h]
            senders = [*HEARS[i], i]
            a = torch.stack([u @ (W @ x[j]) + v @ (W @ x[i]) for j in senders])
            w = torch.where(a > 0, a, 0.2 * a).exp()
            heads.append(sum(w[k] / w.sum() * (W @ x[j]) for k, j in enumerate(senders)))
        rows.append(torch.cat(heads) if layer.concat else torch.stack(heads).mean(0))
    return torch.stack(rows) + layer.bias


@pytest.mark.parametrize("form", ["matrix", "edges"])
@pytest.mark.parametrize(("heads", "concat"), [(1, True), (3, True), (3, False)])
def test_graph_attention_is_the_formula_in_loops_values_and_gradients(form: str, heads: int, concat: bool) -> None:
    layer, x = randomise(GATLayer(4, 5, heads=heads, concat=concat)), normal(N, 4).requires_grad_()
    edges = with_self_loops(EDGES, N)
    graph = adjacency(edges, N).bool() if form == "matrix" else edges
    assert_same(layer(x, graph), gat_in_loops(layer, x), [x, *layer.parameters()])


def test_weights_of_each_node_sum_to_one_and_large_scores_do_not_overflow() -> None:
    layer, edges = GATLayer(4, 5, heads=2), with_self_loops(EDGES, N)
    z = 1e4 * torch.randn(N, 2, 5, generator=torch.Generator().manual_seed(1))
    for graph, total in (
        (edges, lambda w: aggregate(w, edges[1], N)),
        (adjacency(edges, N).bool(), lambda w: w.sum(-1).T),
    ):
        torch.testing.assert_close(total(layer.attention(z, graph)), torch.ones(N, 2))


# Message passing


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
@pytest.mark.parametrize("carried", [0, 2])
def test_message_passing_is_the_formula_in_loops_values_and_gradients(how: str, carried: int) -> None:
    model = randomise(MessagePassing(MLP([8 + carried, 7, 3]), MLP([7, 2]), how=how))
    x, e = normal(N, 4).requires_grad_(), normal(EDGES.shape[1], 2, seed=3).requires_grad_()
    rows = []
    for i in range(N):
        arrived = [
            model.message(torch.cat([x[i], x[EDGES[0, k]], *([e[k]] if carried else [])]))
            for k in range(EDGES.shape[1])
            if EDGES[1, k] == i
        ]
        several = torch.stack(arrived) if arrived else x.new_zeros(1, 3)
        m = several.amax(0) if how == "max" else getattr(several, how)(0)
        rows.append(model.update(torch.cat([x[i], m])))
    found = model(x, EDGES, e) if carried else model(x, EDGES)
    assert_same(found, torch.stack(rows), [x, *([e] if carried else []), *model.parameters()])


# PyG


@pytest.mark.parametrize("form", ["matrix", "edges"])
def test_a_graph_convolution_with_pygs_weights_is_pygs(pyg: ModuleType, form: str) -> None:
    theirs, ours = randomise(pyg.nn.GCNConv(4, 5)), GCNLayer(4, 5).double()
    ours.load_state_dict(theirs.state_dict())
    x = normal(N, 4).requires_grad_()
    graph = gcn_matrix(adjacency(EDGES, N).double()) if form == "matrix" else gcn_edges(EDGES, N, torch.float64)
    a, b = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert_same(ours(x, graph), theirs(x, EDGES), [x, *a.values()], [x, *(b[name] for name in a)])


@pytest.mark.parametrize("form", ["matrix", "edges"])
@pytest.mark.parametrize(("heads", "concat"), [(1, True), (3, True), (3, False)])
def test_graph_attention_with_pygs_weights_is_pygs(pyg: ModuleType, form: str, heads: int, concat: bool) -> None:
    theirs = randomise(pyg.nn.GATConv(4, 5, heads=heads, concat=concat))
    ours = GATLayer(4, 5, heads=heads, concat=concat).double()
    ours.load_state_dict(theirs.state_dict())
    x, edges = normal(N, 4).requires_grad_(), with_self_loops(EDGES, N)
    a, b = dict(ours.named_parameters()), dict(theirs.named_parameters())
    graph = adjacency(edges, N).bool() if form == "matrix" else edges
    assert_same(ours(x, graph), theirs(x, EDGES), [x, *a.values()], [x, *(b[name] for name in a)])


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_aggregates_are_pygs(pyg: ModuleType, how: str) -> None:
    messages = normal(EDGES.shape[1], 3).requires_grad_()
    expected = pyg.utils.scatter(messages, EDGES[1], dim=0, dim_size=N, reduce=how)
    assert_same(aggregate(messages, EDGES[1], N, how), expected, [messages])


# Equivariance


def models() -> dict:
    """Each as a function of features and edges, all in float64."""
    gcn, gat = randomise(GCN([4, 5, 2])), randomise(GATLayer(4, 5, heads=2))
    passing = randomise(MessagePassing(MLP([8, 7, 3]), MLP([7, 2]), how="mean"))
    return {
        "gcn": lambda x, edges: gcn(x, gcn_edges(edges, len(x), torch.float64)),
        "gat": lambda x, edges: gat(x, with_self_loops(edges, len(x))),
        "message passing": passing,
    }


@pytest.mark.parametrize("name", ["gcn", "gat", "message passing"])
def test_new_names_for_the_nodes_and_another_order_of_the_edges_change_nothing_else(name: str) -> None:
    model, x = models()[name], normal(N, 4)
    new = torch.tensor([3, 5, 0, 2, 1, 4])  # the new name of each node
    renamed = torch.empty_like(x)
    renamed[new] = x
    shuffled = new[EDGES][:, torch.randperm(EDGES.shape[1], generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(model(renamed, shuffled)[new], model(x, EDGES), **EXACT)
    assert not torch.allclose(model(renamed, shuffled), model(x, EDGES), atol=1e-3)


@pytest.mark.parametrize("name", ["gcn", "gat", "message passing"])
def test_two_graphs_without_an_edge_between_them_do_not_meet(name: str) -> None:
    model, x, y = models()[name], normal(N, 4), normal(N, 4, seed=2)
    both = model(torch.cat([x, y]), torch.cat([EDGES, EDGES + N], dim=1))
    torch.testing.assert_close(both, torch.cat([model(x, EDGES), model(y, EDGES)]), **EXACT)


# Counts, devices, bf16, one graph


def test_parameters_are_counted_by_hand_and_start_as_pygs() -> None:
    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    assert count(GCN([34, 16, 2])) == PARAMS_GCN == 594
    assert count(GATLayer(34, 4, heads=8)) == PARAMS_GAT_8_HEADS == 1184
    assert count(GATLayer(34, 4, heads=8, concat=False)) == PARAMS_GAT_MEAN == 1156
    assert [name for name, _ in GCNLayer(3, 2).named_parameters()] == ["bias", "lin.weight"]
    gat = dict(GATLayer(34, 4, heads=8).named_parameters())
    assert {name: tuple(p.shape) for name, p in gat.items()} == {
        "att_src": (1, 8, 4),
        "att_dst": (1, 8, 4),
        "bias": (32,),
        "lin.weight": (32, 34),
    }
    assert gat["lin.weight"].abs().max() <= math.sqrt(6 / (32 + 34))  # Glorot
    assert gat["lin.weight"].abs().max() > 0.95 * math.sqrt(6 / (32 + 34))
    assert 0.95 < GCNLayer(34, 32).lin.weight.abs().max() / math.sqrt(6 / (32 + 34)) <= 1
    assert not gat["bias"].any()


@pytest.mark.parametrize("form", ["matrix", "edges"])
def test_any_device_and_bf16(form: str, device: torch.device) -> None:
    gcn, gat, x = randomise(GCN([4, 5, 2])), randomise(GATLayer(4, 5, heads=2)), normal(N, 4) / 2
    passing = randomise(MessagePassing(MLP([8, 7, 3]), MLP([7, 2])))
    loops = with_self_loops(EDGES, N)
    graph = gcn_matrix(adjacency(EDGES, N)) if form == "matrix" else gcn_edges(EDGES, N)
    mask = adjacency(loops, N).bool() if form == "matrix" else loops
    to = {"matrix": lambda g: g.to(device), "edges": lambda g: tuple(part.to(device) for part in g)}[form]
    for model, there in ((gcn, graph), (gat, mask), (passing, EDGES)):
        expected = model(x, there)
        here = to(there) if model is gcn else there.to(device)
        single, y = copy.deepcopy(model).float().to(device), x.float().to(device)
        torch.testing.assert_close(single(y, here).cpu().double(), expected, rtol=1e-4, atol=1e-4)
        scale = expected.abs().max().item()
        with runtime.autocast(device, "bf16"):
            torch.testing.assert_close(single(y, here).cpu().double(), expected, rtol=0, atol=0.05 * scale)
        half = single.bfloat16()(y.bfloat16(), here)
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.cpu().double(), expected, rtol=0, atol=0.05 * scale)


def test_they_compile_without_a_break() -> None:
    torch.compiler.reset()
    gcn, gat, x = GCN([4, 5, 2]), GATLayer(4, 2, heads=2), normal(N, 4).float()
    passing = [MessagePassing(MLP([8, 3]), MLP([7, 4]), how=how) for how in ("sum", "mean", "max")]
    loops, S, weighted = with_self_loops(EDGES, N), gcn_matrix(adjacency(EDGES, N)), gcn_edges(EDGES, N)
    mask = adjacency(loops, N).bool()

    def run(x: Tensor) -> Tensor:
        both = gcn(x, S) + gcn(x, weighted)
        return torch.cat([both, gat(x, mask) + gat(x, loops) + sum(model(x, EDGES) for model in passing)], dim=1)

    compiled = torch.compile(run, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), run(x), rtol=1e-5, atol=1e-6)


def test_what_fits_no_shape_is_named() -> None:
    graph, mask = gcn_edges(EDGES, N), with_self_loops(EDGES, N)
    for call in (lambda x: GCN([4, 2])(x, graph), lambda x: GATLayer(4, 2)(x, mask)):
        for shape in ((N, 3), (4,), (2, N, 4)):
            with pytest.raises(ValueError, match=r"expected \(nodes, 4\), got \(") as info:
                call(torch.zeros(shape))
            assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match="expected an aggregate among sum, mean, max, got 'median'"):
        aggregate(torch.zeros(3), torch.zeros(3, dtype=torch.long), 2, "median")
