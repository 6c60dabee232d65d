"""Fully convolutional networks against the sliding window, the U-Net against its formula by hand."""

import copy
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures import (
    BasicBlock,
    Conv,
    ConvNet,
    ResNet,
    UNet,
    fully_convolutional,
    layer_costs,
    receptive_field,
)


def data(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def window_by_window(net: nn.Module, x: Tensor, size: tuple[int, int], step: int) -> Tensor:
    """The classifier's answer for one window after the other: (B, C, H, W) -> (B, K, H', W')."""
    answers = [
        torch.stack([net(x[:, :, i : i + size[0], j : j + size[1]]) for j in range(0, x.shape[3] - size[1] + 1, step)])
        for i in range(0, x.shape[2] - size[0] + 1, step)
    ]
    return torch.stack(answers).permute(2, 3, 0, 1)


# The conversion

VALID = [Conv(5, padding=0), "max", Conv(6, padding=0)]  # step 2; windows of 14 × 14 end in maps of 4 × 4
CLASSIFIERS = {
    "dense on all maps": lambda: ConvNet(VALID, channels=2, classes=3, pool=4, hidden=(8,), dropout=0.5),
    "in blocks of 2 × 2": lambda: ConvNet(VALID, channels=2, classes=3, pool=2, hidden=(8, 7)),
    "one dense layer": lambda: ConvNet(VALID, channels=2, classes=3, pool=2),
    "average of all": lambda: ConvNet(VALID, channels=2, classes=3, norm="batch"),
    "network in network": lambda: ConvNet(VALID, channels=2, classes=None),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_is_the_sliding_window_values_and_gradients(name: str) -> None:
    net = CLASSIFIERS[name]().double().eval()
    wide, x = fully_convolutional(net, 14), data(2, 2, 20, 25).requires_grad_()
    assert receptive_field(net.features)[1] == 2
    ours, theirs = wide(x), window_by_window(net, x, (14, 14), 2)
    assert ours.shape == (2, 6 if name == "network in network" else 3, 4, 6)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
    weights = [
        torch.autograd.grad(out.square().sum(), [x, *m.parameters()]) for out, m in ((ours, wide), (theirs, net))
    ]
    for a, b in zip(*weights, strict=True):
        torch.testing.assert_close(a.reshape(-1), b.reshape(-1), rtol=1e-10, atol=1e-10)


def test_on_an_image_of_its_size_it_is_the_classifier() -> None:
    net = ConvNet([4, "max", 6, "max"], pool=2, hidden=(8,)).double().eval()  # padded
    x = data(3, 1, 16, 16)
    torch.testing.assert_close(fully_convolutional(net, 16)(x)[:, :, 0, 0], net(x), rtol=1e-11, atol=1e-11)
    resnet = ResNet(BasicBlock, (1, 1), channels=2, width=4, classes=3, small=True).double().eval()
    x = data(3, 2, 12, 16)
    torch.testing.assert_close(fully_convolutional(resnet, (12, 16))(x)[:, :, 0, 0], resnet(x), rtol=1e-11, atol=1e-11)
    assert fully_convolutional(resnet, (12, 16))(data(1, 2, 16, 24)).shape == (1, 3, 3, 5)


def test_sides_need_not_be_equal() -> None:
    net = ConvNet(VALID, channels=2, classes=3, pool=2).double().eval()  # maps of 4 × 6, in blocks of 2 × 3
    x = data(2, 2, 20, 25)
    torch.testing.assert_close(
        fully_convolutional(net, (14, 18))(x), window_by_window(net, x, (14, 18), 2), rtol=1e-11, atol=1e-11
    )


def test_padding_breaks_the_equality_off_the_image_s_border() -> None:
    net = ConvNet([4, "max", 6], pool=2).double().eval()
    x = data(1, 1, 32, 32)
    assert (fully_convolutional(net, 16)(x) - window_by_window(net, x, (16, 16), 2)).abs().max() > 1e-3


def test_vgg_as_a_map_with_torchvision_s_layers(models: ModuleType) -> None:
    """The conversion of the paper, by hand: a dense layer on 7×7 maps as a filter of 7×7."""
    theirs = models.vgg.make_layers([4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"])  # VGG-11, narrow
    ours = ConvNet.vgg(11, width=4, hidden=(16,), classes=5).eval()
    ours.features.load_state_dict(theirs.state_dict())
    first, last = ours.classifier[0], ours.classifier[-1]
    x = torch.randn(1, 3, 256, 224)
    with torch.no_grad():
        h = F.conv2d(theirs(x), first.weight.view(16, 32, 7, 7), first.bias)
        wanted = F.conv2d(F.relu(h), last.weight[:, :, None, None], last.bias)
        assert wanted.shape == (1, 5, 2, 1)
        torch.testing.assert_close(fully_convolutional(ours, 224)(x), wanted, rtol=1e-4, atol=1e-4)


def test_parameters_are_as_many_and_the_classifier_stays_as_it_was() -> None:
    net = CLASSIFIERS["dense on all maps"]()
    before = copy.deepcopy(net.state_dict())
    wide = fully_convolutional(net, 14)
    assert wide.training
    assert wide.net.features.training
    net.eval().features[0].train()  # a part may be in another mode
    calm = fully_convolutional(net, 14)
    assert not any(part.training for part in (calm, calm.net, *calm.head, calm.net.features))
    assert calm.net.features[0].training
    calm.train()
    assert not any(part.training for part in net.classifier)
    # 2·5·9 + 5, 5·6·9 + 6, 6·16·8 + 8, 8·3 + 3
    assert count(wide) == count(net) == 95 + 276 + 776 + 27
    with torch.no_grad():
        for p in wide.parameters():
            p.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    # One pass costs less than the windows: 6 × 4 of them at 4 · 6.
    one = sum(row.macs for row in layer_costs(net, (2, 14, 14)))
    assert sum(row.macs for row in layer_costs(wide, (2, 20, 24))) < 24 * one / 4


def test_running_averages_are_not_touched_by_making_it() -> None:
    net = CLASSIFIERS["average of all"]()  # in training
    before = copy.deepcopy(net.state_dict())
    state = fully_convolutional(net, 14).net.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in state.items() if "features" in key)


def test_what_can_t_be_converted() -> None:
    with pytest.raises(TypeError, match="expected a ConvNet or a ResNet, got Linear"):
        fully_convolutional(nn.Linear(2, 2), 4)
    with pytest.raises(ValueError, match="expected maps whose sides are multiples of 3, got 4 × 4 for \\(14, 14\\)"):
        fully_convolutional(ConvNet(VALID, channels=2, pool=3), 14)
    with pytest.raises(ValueError, match="multiples of 4, got 4 × 6 for \\(14, 18\\)"):
        fully_convolutional(ConvNet(VALID, channels=2, pool=4), (14, 18))
    with pytest.raises(ValueError, match=r"expected \(batch, 2, height, width\)"):
        fully_convolutional(CLASSIFIERS["one dense layer"](), 14)(torch.zeros(1, 1, 20, 20))


# U-Net


def restated(state: dict[str, Tensor], x: Tensor, *, levels: int, norm: bool, skips: bool, twice: bool) -> Tensor:
    """The formula, with nothing but functions, from the weights in their order."""
    values = iter(state.values())

    def f(h: Tensor) -> Tensor:
        for _ in range(2 if twice else 1):
            if norm:
                h = F.conv2d(h, next(values), padding=1)
                weight, bias, _, _, _ = (next(values) for _ in range(5))
                mean = h.mean((0, 2, 3), keepdim=True)
                var = h.sub(mean).square().mean((0, 2, 3), keepdim=True)
                h = (h - mean) / (var + 1e-5).sqrt() * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)
            else:
                h = F.conv2d(h, next(values), next(values), padding=1)
            h = h.clamp(min=0)
        return h

    e = [f(x)]
    for _ in range(levels - 1):
        e.append(f(F.max_pool2d(e[-1], 2)))
    ups = [(next(values), next(values)) for _ in range(levels - 1)]
    d = e.pop()
    for weight, bias in ups:
        # (B, C, h, w), (C, D, 2, 2) -> (B, D, h, 2, w, 2): each number becomes a block of 2 × 2
        u = torch.einsum("bchw,cdij->bdhiwj", d, weight).flatten(4).flatten(2, 3) + bias.view(-1, 1, 1)
        d = f(torch.cat([e.pop(), u], dim=1) if skips else u)
    return F.conv2d(d, next(values), next(values))


@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_u_net_by_its_formula_values_and_gradients(norm: str, skips: bool, twice: bool) -> None:
    settings = {"channels": 2, "classes": 3, "skips": skips, "norm": norm, "convolutions": 2 if twice else 1}
    net = UNet((4, 6, 10), **settings).double()
    for seed, value in enumerate(net.parameters()):
        value.data.copy_(data(*value.shape, seed=seed) / (value[0].numel() if value.ndim > 1 else 2) ** 0.5)
    x = data(2, 2, 8, 12).requires_grad_()
    state = {key: p for key, p in [*net.named_parameters(), *net.named_buffers()]}
    state = {key: state[key] for key in net.state_dict()}
    ours = net(x)
    theirs = restated(state, x, levels=3, norm=norm == "batch", skips=skips, twice=twice)
    assert ours.shape == (2, 3, 8, 12)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    grads = [torch.autograd.grad(out.square().sum(), [x, *net.parameters()]) for out in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)


def test_parameters_by_hand() -> None:
    # The paper's: each level two convolutions with biases, twice on the way up but at the lowest level.
    widths, pairs = (64, 128, 256, 512, 1024), 0
    for a, b in zip((1, *widths), widths, strict=False):
        pairs += 9 * a * b + b + 9 * b * b + b
    for a, b in zip(widths[1:], widths, strict=False):
        pairs += 4 * a * b + b + 9 * 2 * b * b + b + 9 * b * b + b
    with torch.device("meta"):
        net = UNet(norm="none")
    assert count(net) == pairs + 64 * 2 + 2 == 31_030_658
    # Small: 1·4·9, norm 8; 4·6·9, 12; up 6·4·4 + 4; 8·4·9, 8; 4 + 1. Without skips 4·4·9 in place of 8·4·9.
    assert count(UNet((4, 6), classes=1, convolutions=1)) == 36 + 8 + 216 + 12 + 100 + 288 + 8 + 5
    assert count(UNet((4, 6), classes=1, convolutions=1, skips=False)) == 36 + 8 + 216 + 12 + 100 + 144 + 8 + 5
    # Multiply-accumulates at 8 × 8: 36·64, 216·16, 96·16 (each number is spread over a block of four), 288·64, 4·64.
    rows = layer_costs(UNet((4, 6), classes=1, convolutions=1), (1, 8, 8))
    assert sum(row.macs for row in rows) == 2304 + 3456 + 1536 + 18_432 + 256


def test_one_level_is_a_stack_of_convolutions() -> None:
    net = UNet((5,), classes=1, norm="none")
    x = torch.randn(2, 1, 7, 9)  # any side
    torch.testing.assert_close(net(x), net.classifier(net.down[0](x)))
    assert receptive_field(net.down[0]) == (5, 1)


def seen_pixels(net: UNet, side: int) -> int:
    """Width of the part of the input that the middle pixel's answer depends on, through maxima anywhere."""
    net = copy.deepcopy(net).double()
    net.pool = nn.AvgPool2d(2)  # through which every gradient goes
    for p in net.parameters():
        nn.init.constant_(p, 0.01)
    x = torch.ones(1, net.channels, side, side, dtype=torch.float64, requires_grad=True)
    grad = torch.autograd.grad(net(x)[0, 0, side // 2, side // 2], x)[0]
    return int((grad[0, 0].abs().sum(0) > 0).sum())


def test_depth_is_what_lets_a_pixel_see_far() -> None:
    seen = [seen_pixels(UNet((4,) * depth, classes=1, norm="none"), 64) for depth in (1, 2, 3)]
    assert seen[0] == 5
    assert seen[0] < seen[1] < seen[2]


def test_the_levels_and_what_goes_across() -> None:
    net = UNet((4, 6, 10), classes=1).eval()
    x = torch.randn(1, 1, 16, 12)
    encoded, decoded = net.forward_levels(x)
    assert [tuple(e.shape[1:]) for e in encoded] == [(4, 16, 12), (6, 8, 6), (10, 4, 3)]
    assert [tuple(d.shape[1:]) for d in decoded] == [(10, 4, 3), (6, 8, 6), (4, 16, 12)]
    assert decoded[0] is encoded[-1]
    torch.testing.assert_close(net(x), net.classifier(decoded[-1]))
    without = UNet((4, 6, 10), classes=1, skips=False).eval()
    encoded, decoded = without.forward_levels(x)
    grads = torch.autograd.grad(decoded[-1].sum(), [encoded[0], encoded[-1]], retain_graph=True)
    # The first level reaches the last only through the lowest.
    cut = torch.autograd.grad(encoded[-1], encoded[0], grads[1])[0]
    torch.testing.assert_close(grads[0], cut)


def test_weights_at_the_start_keep_the_signal_s_size() -> None:
    torch.manual_seed(0)
    up = UNet((32, 64)).up[0]
    out = up(torch.randn(4, 64, 16, 16))
    assert 0.9 < out.std() < 1.1
    assert not up.bias.any()
    net = UNet((32, 64), norm="none")
    convs = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert not any(conv.bias.any() for conv in convs)
    for conv in convs[1:-1]:  # the ReLU's factor of 2, over the 9 positions of each filter's output
        assert 0.9 < conv.weight.std() / (2 / (9 * conv.out_channels)) ** 0.5 < 1.1


def test_bad_inputs() -> None:
    net = UNet((4, 6, 8), channels=3)
    for shape in ((1, 1, 8, 8), (1, 3, 10, 8), (1, 3, 8, 6), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected \(batch, 3, height, width\) with sides that are mult") as info:
            net(torch.zeros(shape))
        assert "multiples of 4" in str(info.value)
        assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match="expected a norm among"):
        UNet((4, 6), norm="bn")
    for settings in ({"widths": ()}, {"convolutions": 0}):
        with pytest.raises(ValueError, match="expected 1 width and 1 convolution or more"):
            UNet(**settings)


# Any device, precision, compiled

NETS: dict[str, Callable[[], nn.Module]] = {
    "U-Net": lambda: UNet((4, 6, 8), channels=2),
    "U-Net without skips": lambda: UNet((4, 6), channels=2, skips=False, norm="group", convolutions=1),
    "fully convolutional": lambda: fully_convolutional(ConvNet(VALID, channels=2, pool=2, hidden=(8,)), 14),
}


@pytest.mark.parametrize("name", NETS)
def test_float32_on_any_device_is_float64_on_the_cpu_and_bf16_is_near(
    name: str, device: torch.device, assert_near: Callable
) -> None:
    torch.manual_seed(0)
    assert_near(NETS[name](), data(8, 2, 16, 16), device)


@pytest.mark.parametrize("name", NETS)
def test_one_graph_with_equal_values_and_gradients(name: str, assert_one_graph: Callable) -> None:
    assert_one_graph(NETS[name](), data(4, 2, 16, 16).float(), rtol=1e-4, atol=1e-5)


def test_converted_on_the_device_where_it_is(device: torch.device) -> None:
    net = ConvNet(VALID, channels=2, pool=2).to(device, torch.bfloat16)
    out = fully_convolutional(net, 14)(torch.zeros(1, 2, 16, 16, device=device, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert out.device.type == device.type
