"""Convolution as taught, what a unit sees and what a layer costs, against `F.conv2d` and against counts by hand."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.architectures import MLP, conv2d_im2col, conv2d_naive, layer_costs, receptive_field

TAUGHT = [conv2d_naive, conv2d_im2col]
GEOMETRIES = [
    {},
    {"padding": 2},
    {"stride": 2},
    {"dilation": 2},
    {"groups": 2},
    {"groups": 4},  # depthwise, with two filters a channel
    {"stride": 3, "padding": 1, "dilation": 2, "groups": 2},
]


def tensors(geometry: dict, dtype: torch.dtype = torch.float64, kernel: tuple[int, int] = (3, 2)) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    shapes = [(2, 4, 7, 6), (8, 4 // geometry.get("groups", 1), *kernel), (8,)]
    return [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("taught", TAUGHT)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_values_and_gradients_are_those_of_torch(taught: Callable, geometry: dict) -> None:
    leaves = tensors(geometry)
    ours, theirs = taught(*leaves, **geometry), F.conv2d(*leaves, **geometry)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    probe = torch.randn(ours.shape, dtype=torch.float64)
    a, b = (torch.autograd.grad((out * probe).sum(), leaves) for out in (ours, theirs))
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(taught(*leaves[:2], **geometry), F.conv2d(*leaves[:2], **geometry), rtol=0, atol=1e-12)


@pytest.mark.parametrize("taught", TAUGHT)
def test_one_number_by_hand(taught: Callable) -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    edge = torch.tensor([[1.0, -1.0]]).view(1, 1, 1, 2)
    assert torch.equal(taught(image, edge, torch.tensor([10.0])), torch.full((1, 1, 3, 2), 9.0))
    whole = torch.ones(1, 1, 3, 3)
    assert taught(image, whole).item() == 36  # a filter as large as the image leaves one number


@pytest.mark.parametrize("taught", TAUGHT)
def test_bad_inputs(taught: Callable) -> None:
    weight = torch.zeros(4, 3, 3, 3)
    for shape in ((2, 4, 8, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected \(batch, 3, height, width\), got \(") as info:
            taught(torch.zeros(shape), weight)
        assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match=r"expected \(batch, 9, height, width\), got \(2, 3, 8, 8\)"):
        taught(torch.zeros(2, 3, 8, 8), weight, groups=3)
    with pytest.raises(ValueError, match="expected filters in 3 equal groups, got 4"):
        taught(torch.zeros(2, 9, 8, 8), weight, groups=3)
    with pytest.raises(ValueError, match=r"expected an image as large as the filter \(3, 3\), got \(2, 3, 8, 2\)"):
        taught(torch.zeros(2, 3, 8, 2), weight)


@pytest.mark.parametrize("taught", TAUGHT)
def test_any_device_bf16_and_one_graph(taught: Callable, device: torch.device) -> None:
    geometry = GEOMETRIES[-1]
    exact = taught(*tensors(geometry), **geometry)
    here = taught(*(t.to(device) for t in tensors(geometry, torch.float32)), **geometry)
    torch.testing.assert_close(here.cpu(), exact.float(), rtol=1e-4, atol=1e-5)
    low = taught(*(t.to(device) for t in tensors(geometry, torch.bfloat16)), **geometry)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.cpu().double(), exact, rtol=0.05, atol=0.1)
    with runtime.autocast(device, "bf16"):
        low = taught(*(t.to(device) for t in tensors(geometry, torch.float32)), **geometry)
    torch.testing.assert_close(low.cpu().double(), exact, rtol=0.05, atol=0.1)
    torch.compiler.reset()
    compiled = torch.compile(taught, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*(t.to(device) for t in tensors(geometry, torch.float32)), **geometry), here)


# What a unit sees


def seen(layers: list[nn.Module], side: int = 60) -> tuple[int, int]:
    """Measured: with weights of one sign, which pixels move a unit in the middle, and where its neighbour's begin."""
    for layer in layers:
        if isinstance(layer, nn.Conv1d):
            nn.init.ones_(layer.weight)
    x = torch.ones(1, 1, side, requires_grad=True)
    out = nn.Sequential(*layers)(x).flatten()
    middle = len(out) // 2
    starts = []
    for unit in (middle, middle + 1):
        (slope,) = torch.autograd.grad(out[unit], x, retain_graph=True)
        pixels = slope.flatten().nonzero().flatten()
        starts.append(pixels[0].item())
    return pixels[-1].item() - pixels[0].item() + 1, starts[1] - starts[0]


def conv(kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv1d:
    return nn.Conv1d(1, 1, kernel, stride=stride, dilation=dilation, bias=False)


CHAINS = {
    "one": ([conv(3)], (3, 1)),
    "two 3s see what a 5 sees": ([conv(3), conv(3)], (5, 1)),
    "three see 7": ([conv(3), conv(3), conv(3)], (7, 1)),
    "stride": ([conv(3, 2), conv(3), conv(2, 3)], (9, 6)),  # 3, then + 2 · 2, then + 1 · 2
    "dilation doubled: 2^4": ([conv(2, 1, 2**i) for i in range(4)], (16, 1)),
    "pooling": ([conv(3), nn.AvgPool1d(2), nn.ReLU(), conv(3), nn.AvgPool1d(3, stride=1)], (12, 2)),
    "nested": ([nn.Sequential(conv(3, 2), conv(3)), nn.Sequential(nn.AvgPool1d(2), conv(3))], (17, 4)),
    "nothing": ([nn.Identity()], (1, 1)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_receptive_field_is_what_a_gradient_sees(name: str) -> None:
    layers, expected = CHAINS[name]
    flat = [part for layer in layers for part in layer.modules() if not isinstance(part, nn.Sequential)]
    assert receptive_field(layers) == receptive_field(nn.Sequential(*layers)) == expected
    assert seen(flat) == expected


def test_the_receptive_field_of_triples_and_of_blocks() -> None:
    assert receptive_field([(3, 1, 1), (3, 1, 1)]) == (5, 1)
    assert receptive_field([(2, 1, 2**i) for i in range(10)]) == (1024, 1)  # a cycle of WaveNet
    assert receptive_field([(2, 1, 2 ** (i % 10)) for i in range(30)]) == (3070, 1)  # three: linear in cycles
    assert receptive_field([]) == (1, 1)
    assert receptive_field([nn.Conv2d(1, 1, 5, stride=2), nn.BatchNorm2d(1), nn.MaxPool2d(3)]) == (9, 6)
    others = (nn.Linear(2, 3), nn.AdaptiveAvgPool2d(1), nn.Upsample(4), nn.Conv2d(1, 1, (7, 1)), nn.MaxPool2d((2, 1)))
    for wrong in (MLP([2, 3]), nn.ConvTranspose2d(1, 1, 2), *others):
        with pytest.raises(ValueError, match=f"convolutions and poolings in a row, got {type(wrong).__name__}"):
            receptive_field([nn.Conv2d(1, 1, 3), wrong])


# Where parameters and compute sit


def test_the_costs_of_one_convolution_by_hand() -> None:
    # 3·3·3·6 = 162 weights (not the 48 of some slides), each used at 32·32 positions: 165,888.
    (row,) = layer_costs(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False)), (3, 32, 32))
    assert row == ("0", "Conv2d", (6, 32, 32), 162, 165_888)


def test_the_costs_of_every_kind_of_layer() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4, 1))
            self.lstm = nn.LSTM(5, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.lstm(self.scale * x)[0]

    shared = nn.Linear(6, 6)
    model = nn.Sequential(
        nn.Conv1d(4, 6, 3, groups=2),  # 2·3·6 = 36 weights, 6 biases; 8 positions of 10
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.ConvTranspose1d(6, 4, 2, stride=2),  # 6·4·2 = 48 weights, 4 biases; from each of 8 positions
        nn.Linear(16, 6),  # 16·6, and 6 biases; for each of 4 rows
        shared,
        shared,
        nn.Linear(6, 5, bias=False),
        Both(),  # LSTM: 4·2·(5 + 2) weights and 2·4·2 biases
    )
    rows = layer_costs(model, (4, 10))
    assert [(row.name, row.kind, row.output, row.parameters, row.macs) for row in rows] == [
        ("0", "Conv1d", (6, 8), 42, 36 * 8),
        ("1", "BatchNorm1d", (6, 8), 12, 0),
        ("3", "ConvTranspose1d", (4, 16), 52, 48 * 8),
        ("4", "Linear", (4, 6), 102, 4 * 96),
        ("5", "Linear", (4, 6), 42, 4 * 36),
        ("5", "Linear", (4, 6), 0, 4 * 36),
        ("7", "Linear", (4, 5), 30, 4 * 30),
        ("8.lstm", "LSTM", (4, 2), 72, 0),
        ("8", "Both", (4, 2), 4, 0),
    ]
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert [row.parameters for row in layer_costs(tied, (4,))] == [16, 4]


def test_looking_at_the_costs_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3)).double()
    model.eval().requires_grad_(False)
    model[1].train()
    modes = [part.training for part in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_costs(model, (1, 8, 8))
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    with pytest.raises(RuntimeError):
        layer_costs(model, (1, 5, 5))
    assert [part.training for part in model.modules()] == modes
    assert not any(layer._forward_hooks for layer in model.modules())
