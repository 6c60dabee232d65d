"""The convolutional stack, against torchvision's VGG, AlexNet, GoogLeNet and DenseNet with their weights."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice.architectures import Conv, ConvNet, DenseBlock, Inception, layer_costs

# As torchvision counts them; VGG-16: 9·64·(3 + 64) + ... + 4096·25088 + ... (published table).
PARAMS = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "googlenet": 6_624_904,
    "densenet121": 7_978_856,
}


# VGG


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vgg_has_the_names_shapes_and_counts_of_torchvisions(depth: int, models: ModuleType) -> None:
    with torch.device("meta"):
        ours, theirs = ConvNet.vgg(depth), getattr(models, f"vgg{depth}")()
    shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert sum(p.numel() for p in ours.parameters()) == PARAMS[f"vgg{depth}"]
    assert [p for m in ours.modules() if isinstance(m, nn.Dropout) for p in [m.p]] == [0.5, 0.5]


def test_vgg_takes_torchvisions_weights(models: ModuleType, assert_twins: Callable) -> None:
    plan = [4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"]  # VGG-11's stages, a sixteenth as wide
    with torch.device("meta"):
        theirs = models.VGG(models.vgg.make_layers(plan), init_weights=False)
    theirs.classifier = nn.Sequential(
        nn.Linear(32 * 49, 12), nn.ReLU(), nn.Dropout(0), nn.Linear(12, 12), nn.ReLU(), nn.Dropout(0), nn.Linear(12, 5)
    )
    theirs.to_empty(device="cpu")
    ours = ConvNet.vgg(11, width=4, classes=5, hidden=(12, 12), dropout=0.0)
    assert_twins(ours, theirs, 64, train=True)


def test_where_vgg_keeps_its_parameters_and_its_compute() -> None:
    with torch.device("meta"):
        rows = layer_costs(ConvNet.vgg(16), (3, 224, 224))
    dense = [row for row in rows if row.kind == "Linear"]
    assert [row.parameters for row in dense] == [102_764_544, 16_781_312, 4_097_000]
    assert sum(row.parameters for row in rows) == PARAMS["vgg16"]
    assert sum(row.macs for row in rows) == 15_470_264_320  # torchvision's card: 15.47 G
    assert sum(row.macs for row in dense) == 123_633_664  # 89 % of the parameters, 0.8 % of the compute


# Three more nets that the settings describe


def alexnet(hidden: int = 4096, classes: int = 1000) -> ConvNet:
    pool = lambda c: nn.MaxPool2d(3, stride=2)  # noqa: E731
    layers = [Conv(64, 11, stride=4, padding=2), pool, Conv(192, 5), pool, 384, 256, 256, pool]
    return ConvNet(layers, channels=3, classes=classes, pool=6, hidden=(hidden, hidden))


def googlenet(classes: int = 1000) -> ConvNet:
    def block(*widths) -> Callable[[int], Inception]:
        return lambda c: Inception(c, *widths, large=3)

    def pool(kernel: int) -> Callable[[int], nn.Module]:
        return lambda c: nn.MaxPool2d(kernel, stride=2, ceil_mode=True)

    layers = [Conv(64, 7, stride=2), pool(3), Conv(64, 1), 192, pool(3)]
    layers += [block(64, (96, 128), (16, 32), 32), block(128, (128, 192), (32, 96), 64), pool(3)]
    layers += [block(192, (96, 208), (16, 48), 64), block(160, (112, 224), (24, 64), 64)]
    layers += [block(128, (128, 256), (24, 64), 64), block(112, (144, 288), (32, 64), 64)]
    layers += [block(256, (160, 320), (32, 128), 128), pool(2)]
    layers += [block(256, (160, 320), (32, 128), 128), block(384, (192, 384), (48, 128), 128)]
    return ConvNet(layers, channels=3, classes=classes, norm="batch")


def densenet(first: int, growth: int, depths: tuple[int, ...], classes: int = 1000) -> ConvNet:
    def transition(c: int) -> nn.Sequential:
        steps = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2))
        steps.out_channels = c // 2
        return steps

    layers = [Conv(first, 7, stride=2), lambda c: nn.MaxPool2d(3, stride=2, padding=1)]
    for depth in depths:
        layers += [lambda c, depth=depth: DenseBlock(c, growth, depth, bottleneck=4), transition]
    layers[-1] = lambda c: nn.Sequential(nn.BatchNorm2d(c), nn.ReLU())
    return ConvNet(layers, channels=3, classes=classes, norm="batch")


@pytest.mark.parametrize(
    ("name", "make", "gmacs"),
    [
        ("alexnet", alexnet, "0.714"),
        ("googlenet", googlenet, "1.498"),
        ("densenet121", lambda: densenet(64, 32, (6, 12, 24, 16)), "2.834"),
    ],
)
def test_parameters_and_compute_are_those_on_torchvisions_cards(
    name: str, make: Callable, gmacs: str, models: ModuleType
) -> None:
    with torch.device("meta"):
        rows = layer_costs(make(), (3, 224, 224))
    card = models.get_model_weights(name).DEFAULT.meta
    assert sum(row.parameters for row in rows) == PARAMS[name] == card["num_params"]
    assert f"{sum(row.macs for row in rows) / 1e9:.3f}" == gmacs == str(card["_ops"])


def test_alexnet_takes_torchvisions_weights(models: ModuleType, assert_twins: Callable) -> None:
    with torch.device("meta"):
        theirs = models.alexnet(num_classes=5)
    theirs.classifier[1], theirs.classifier[4] = nn.Linear(9216, 10), nn.Linear(10, 10)
    theirs.classifier[6] = nn.Linear(10, 5)
    theirs.to_empty(device="cpu")
    assert_twins(alexnet(10, 5), theirs, 80, train=False, rename=True)  # torchvision's dropout comes earlier


@pytest.mark.parametrize("train", [True, False])
def test_inception_is_torchvisions(train: bool, models: ModuleType, assert_twins: Callable) -> None:
    theirs = models.googlenet(aux_logits=False, init_weights=False, num_classes=5)
    theirs.dropout.p = 0.0
    ours = googlenet(classes=5)
    for part in ours.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 0.001
    assert_twins(ours, theirs, 64, train=train, rename=True)


@pytest.mark.parametrize("train", [True, False])
def test_dense_wiring_is_torchvisions(train: bool, models: ModuleType, assert_twins: Callable) -> None:
    theirs = models.DenseNet(growth_rate=6, block_config=(3, 2), num_init_features=8, num_classes=5)
    assert_twins(densenet(8, 6, (3, 2), classes=5), theirs, 64, train=train, rename=True)


def test_the_bottleneck_of_an_inception_block_pays() -> None:
    # 28²·192 -> 32 maps by 5×5: 28²·32·192·25; with 16 maps between: 28²·(16·192 + 32·16·25).
    direct = layer_costs(nn.Sequential(nn.Conv2d(192, 32, 5, padding=2)), (192, 28, 28))
    rows = layer_costs(Inception(192, 64, (96, 128), (16, 32), 32), (192, 28, 28))
    assert direct[0].macs == 120_422_400
    assert sum(row.macs for row in rows if row.name.startswith("branches.2")) == 12_443_648
    assert Inception(192, 64, (96, 128), (16, 32), 32).out_channels == 256


@pytest.mark.parametrize(("growth", "weights"), [(6, 31_752), (12, 106_272), (24, 383_616)])
def test_dense_weights_are_quadratic_in_the_growth(growth: int, weights: int) -> None:
    block = DenseBlock(16, growth, 12, norm="none")  # 9k(16 + k(l - 1)), summed over 12 layers
    assert sum(p.numel() for p in block.parameters()) == weights
    assert block.out_channels == 16 + 12 * growth
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x)[:, :16], x), "what came in is still there"


# Plain stacks


def test_a_plain_stack_by_hand() -> None:
    net = ConvNet([4, "max", Conv(6, 5, stride=2, dilation=2), "avg", Conv(3, 1)], channels=2, hidden=(7,)).double()
    # 2·4·9+4, 4·6·25+6, 6·3+3; 3·7+7, 7·10+10.
    assert sum(p.numel() for p in net.parameters()) == 76 + 606 + 21 + 28 + 80
    x = torch.randn(3, 2, 20, 16, dtype=torch.float64)
    one, two, three = (part for part in net.features if isinstance(part, nn.Conv2d))
    h = F.max_pool2d(F.relu(F.conv2d(x, one.weight, one.bias, padding=1)), 2)
    h = F.avg_pool2d(F.relu(F.conv2d(h, two.weight, two.bias, stride=2, padding=4, dilation=2)), 2)
    h = F.relu(F.conv2d(h, three.weight, three.bias))
    torch.testing.assert_close(net.forward_features(x), h, rtol=1e-12, atol=1e-12)
    assert h.shape == (3, 3, 2, 2)
    first, last = net.classifier[0], net.classifier[3]
    logits = last(F.relu(first(h.mean((2, 3)))))
    torch.testing.assert_close(net.eval()(x), logits, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net.forward_head(h), logits, rtol=1e-12, atol=1e-12)


def test_all_convolutional_and_network_in_network() -> None:
    net = ConvNet([8, Conv(8, stride=2), Conv(10, 1)], classes=None)
    assert not any(isinstance(part, nn.Linear | nn.MaxPool2d) for part in net.modules())
    x = torch.randn(2, 1, 9, 9)
    maps = net.forward_features(x)
    assert maps.shape == (2, 10, 5, 5)
    torch.testing.assert_close(net(x), maps.mean((2, 3)))


def test_settings_reach_every_convolution() -> None:
    net = ConvNet([4, 8], norm="group", activation="gelu", dropout=0.3, hidden=(5,))
    kinds = [type(part).__name__ for part in net.features]
    assert kinds == ["Conv2d", "GroupNorm", "GELU"] * 2
    assert all(part.bias is None for part in net.features if isinstance(part, nn.Conv2d))
    assert [part.p for part in net.classifier if isinstance(part, nn.Dropout)] == [0.3]
    for kind in ("layer", "batch"):
        assert ConvNet([4], norm=kind)(torch.randn(2, 1, 6, 6)).shape == (2, 10)


def test_weights_start_at_hes_variance() -> None:
    weight = ConvNet([64, 128]).features[2].weight
    assert weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)  # 73,728 draws: s.e. 0.3 %
    assert not ConvNet([64]).features[0].bias.any()


def test_bad_inputs() -> None:
    net = ConvNet([4], channels=3)
    for shape in ((2, 1, 8, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected \(batch, 3, height, width\), got \(") as info:
            net(torch.zeros(shape))
        assert str(shape) in str(info.value)
    with pytest.raises(ValueError, match=r"expected a layer among max, avg, a width, .*, got 'maxpool'"):
        ConvNet(["maxpool"])
    with pytest.raises(ValueError, match="expected a depth among 11, 13, 16, 19, got 12"):
        ConvNet.vgg(12)
    with pytest.raises(ValueError, match=r"expected an activation among relu, .*, got 'swish'"):
        ConvNet([4], activation="swish")


# Any device, precision, compiled


NETS = {
    "plain": lambda: ConvNet([4, "max", Conv(6, stride=2)], channels=3),
    "norm": lambda: ConvNet([8, "avg", 8], channels=3, norm="batch", hidden=(5,)),
    "inception": lambda: ConvNet([lambda c: Inception(c, 4, (2, 4), (2, 4), 4)], channels=3),
    "dense": lambda: ConvNet([8, lambda c: DenseBlock(c, 4, 2, bottleneck=2)], channels=3),
}


def images(n: int = 6) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", NETS)
def test_float32_on_any_device_is_float64_on_the_cpu_and_bf16_is_near(
    name: str, device: torch.device, assert_near: Callable
) -> None:
    assert assert_near(NETS[name](), images(), device).dtype == torch.bfloat16


@pytest.mark.parametrize("name", NETS)
def test_one_graph_with_equal_values_and_gradients(name: str, assert_one_graph: Callable) -> None:
    assert_one_graph(NETS[name](), images().float(), rtol=1e-5, atol=1e-6)
