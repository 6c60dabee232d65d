"""Residual networks, against torchvision's with their weights, and against the formulas by hand."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures import (
    BasicBlock,
    Bottleneck,
    ConvNeXtBlock,
    PreActBlock,
    ResNet,
    layer_costs,
    resnet18,
    resnet50,
)

# Published counts (torchvision's cards).
PARAMS = {"resnet18": 11_689_512, "resnet50": 25_557_032}
# He et al.'s net of 20 layers for CIFAR-10: stem 432 + 32; stages of three blocks, with 3×3 weights and norms
# 13,824 + 192, then 50,688 + 384 + 576, then 202,752 + 768 + 2,176 (shortcuts by projection); classifier 650.
PARAMS_20 = 272_474
MAKERS = {"resnet18": resnet18, "resnet50": resnet50}


def data(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# torchvision's


@pytest.mark.parametrize("name", MAKERS)
def test_names_counts_and_outputs_are_torchvisions_and_even_the_first_weights(name: str, models: ModuleType) -> None:
    torch.manual_seed(0)
    theirs = getattr(models, name)()
    torch.manual_seed(0)
    ours, state = MAKERS[name](), theirs.state_dict()
    assert count(ours) == PARAMS[name] == models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert list(ours.state_dict()) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in ours.state_dict().items())
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_values_and_gradients_are_torchvisions(
    block: type[BasicBlock], train: bool, models: ModuleType, assert_twins: Callable
) -> None:
    theirs = models.ResNet(getattr(models.resnet, block.__name__), [2, 1, 1, 1], num_classes=5)
    assert_twins(ResNet(block, (2, 1, 1, 1), classes=5), theirs, 40, train=train)


def test_the_compute_of_resnet_50() -> None:
    with torch.device("meta"):
        rows = layer_costs(resnet50(), (3, 224, 224))
    assert sum(row.macs for row in rows) == 4_089_184_256  # torchvision's card: 4.089 G
    assert sum(row.parameters for row in rows) == PARAMS["resnet50"]


def test_the_convnext_block_is_torchvisions(models: ModuleType) -> None:
    theirs = models.convnext.CNBlock(6, layer_scale=1e-6, stochastic_depth_prob=0.0).double()
    ours = ConvNeXtBlock(6).double()
    assert torch.equal(ours.layer_scale, theirs.layer_scale)
    for value, seed in zip(theirs.parameters(), range(20), strict=False):
        value.data.copy_(data(*value.shape, seed=seed))
    # 7·7·6 + 6, 2·6, 6·24 + 24, 24·6 + 6, and 6 scales.
    assert count(ours) == count(theirs) == 300 + 12 + 168 + 150 + 6
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = data(2, 6, 9, 8).requires_grad_()
    a, b = ours(x), theirs(x)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(out.square().sum(), [x, *m.parameters()]) for out, m in ((a, ours), (b, theirs))]
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-10)


# By hand


def norm(x: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    return F.batch_norm(x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)


@pytest.mark.parametrize(("channels", "stride"), [(6, 1), (6, 2), (4, 1)])
def test_a_pre_activation_block_by_hand(channels: int, stride: int) -> None:
    block = PreActBlock(channels, 6, stride=stride).double()
    for layer in (block.bn1, block.bn2):
        layer.weight.data, layer.bias.data = data(len(layer.weight), seed=5), data(len(layer.bias), seed=6)
    x = data(3, channels, 8, 6)
    active = F.relu(norm(x, block.bn1))
    h = F.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    h = F.conv2d(F.relu(norm(h, block.bn2)), block.conv2.weight, padding=1)
    changed = channels != 6 or stride > 1
    around = F.conv2d(active, block.downsample[0].weight, stride=stride) if changed else x
    torch.testing.assert_close(block(x), around + h, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(block.residual(x), h, rtol=1e-11, atol=1e-11)
    projection = channels * 6 if changed else 0
    assert count(block) == 9 * 6 * (channels + 6) + 2 * (channels + 6) + projection


def test_an_input_goes_through_pre_activation_blocks_as_it_is() -> None:
    blocks = nn.Sequential(*(PreActBlock(4, 4) for _ in range(5)))
    for block in blocks:
        nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(blocks(x), x)


def test_the_pre_activation_net_ends_in_a_norm_and_a_relu() -> None:
    net = ResNet(PreActBlock, (1, 1), channels=1, width=4, classes=3, small=True).eval()
    x = torch.randn(2, 1, 8, 8)
    h = F.relu(net.bn1(net.conv1(x)))
    h = net.layer2(net.layer1(h))
    assert (h < 0).any()
    features = net.forward_features(x)
    torch.testing.assert_close(features, F.relu(net.last[0](h)))
    torch.testing.assert_close(net(x), net.fc(features.mean((2, 3))))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PreActBlock])
def test_without_shortcuts_a_net_is_plain(block: type[BasicBlock]) -> None:
    width = 4 * block.expansion
    plain, other = (block(width, 4, shortcut=shortcut).double() for shortcut in (False, True))
    other.load_state_dict(plain.state_dict())
    x = data(2, width, 6, 6)
    without, added = plain(x), other(x)
    if block is PreActBlock:
        torch.testing.assert_close(added, x + without, rtol=1e-12, atol=1e-12)
    else:
        torch.testing.assert_close(without, F.relu(plain.residual(x)), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(added, F.relu(x + plain.residual(x)), rtol=1e-12, atol=1e-12)
    nets = [ResNet(block, (1, 2), channels=1, width=4, small=True, shortcut=shortcut) for shortcut in (False, True)]
    assert not any("downsample" in name for name in nets[0].state_dict())
    projections = [value.numel() for name, value in nets[1].named_parameters() if "downsample" in name]
    assert count(nets[1]) - count(nets[0]) == sum(projections) > 0


def test_small_images_and_any_number_of_stages() -> None:
    net = ResNet(BasicBlock, (3, 3, 3), classes=10, width=16, small=True)
    assert count(net) == PARAMS_20
    x = torch.randn(2, 3, 32, 32)
    assert net.forward_features(x).shape == (2, 64, 8, 8)
    torch.testing.assert_close(net.eval()(x), net.forward_head(net.forward_features(x)))
    wide = ResNet(BasicBlock, (3, 3, 3), classes=10, width=32, small=True)
    assert 3.9 < count(wide) / count(net) < 4  # twice as wide, four times the weights


@pytest.mark.parametrize("name", ["group", "layer", "none"])
def test_with_a_norm_of_each_datum_or_none_a_datum_is_alone(name: str) -> None:
    for block in (BasicBlock, Bottleneck, PreActBlock):
        net = ResNet(block, (1, 1), channels=1, width=4, classes=3, small=True, norm=name).double()
        assert not any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
        convs = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
        assert all((conv.bias is None) == (name != "none") for conv in convs)
        x = data(3, 1, 8, 8)
        torch.testing.assert_close(net(x[1:2]), net(x)[1:2], rtol=1e-10, atol=1e-10)


def test_bad_inputs() -> None:
    net = resnet18(width=4)
    for shape in ((2, 1, 8, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected \(batch, 3, height, width\), got \(") as info:
            net(torch.zeros(shape))
        assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match="expected a norm among batch, layer, group, none, got 'bn'"):
        resnet18(norm="bn")


# Any device, precision, compiled


SMALL = {"channels": 3, "width": 4, "classes": 3, "small": True}
NETS = {
    "basic": lambda: ResNet(BasicBlock, (1, 1), **SMALL),
    "bottleneck": lambda: ResNet(Bottleneck, (1, 1), **SMALL | {"small": False}),
    "pre-activation": lambda: ResNet(PreActBlock, (1, 1), **SMALL),
    "group": lambda: ResNet(BasicBlock, (1, 1), norm="group", **SMALL),
    "convnext": lambda: nn.Sequential(ConvNeXtBlock(3, layer_scale=0.5), ConvNeXtBlock(3, layer_scale=0.5)),
}


@pytest.mark.parametrize("name", NETS)
def test_float32_on_any_device_is_float64_on_the_cpu_and_bf16_is_near(
    name: str, device: torch.device, assert_near: Callable
) -> None:
    assert_near(NETS[name](), data(8, 3, 16, 16), device)


@pytest.mark.parametrize("name", NETS)
def test_one_graph_with_equal_values_and_gradients(name: str, assert_one_graph: Callable) -> None:
    assert_one_graph(NETS[name](), data(4, 3, 16, 16).float(), rtol=1e-4, atol=1e-5)
