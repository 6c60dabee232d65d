"""Segmentation: a classifier that answers everywhere at once, and the U-Net, which answers for each pixel.

Source: Long, Shelhamer and Darrell (2015), section 3.1; Ronneberger, Fischer and Brox (2015), figure 1. Taught in
chapter 2, in the section on resolution.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deeppractice.architectures.convolutional import Conv, ConvNet, he_initialise
from deeppractice.architectures.residual import ResNet


class FullyConvolutional(nn.Module):
    r"""A classifier's answer at every window of a larger image: (B, C, H, W) -> (B, K, H', W').

    A dense layer on p×p maps of C channels is a convolution with filters of p×p:
    $$y_k = b_k + \sum_{c,u,v} w_{k,\,(c,u,v)}\, h_{cuv} \quad\Rightarrow\quad
      y_{kij} = b_k + \sum_{c,u,v} w_{k,\,(c,u,v)}\, h_{c,\; i + q u,\; j + q v}$$
    Where the classifier averages its maps in blocks of q×q first, so does this one, at every position: the step of the
    pooling becomes the dilation q of the filter. Later dense layers are 1×1 convolutions.

    The answer at (i, j) is that of the classifier for the window from pixel (s i, s j) on, s being the step of
    `receptive_field(net.features)`. It is equal where no layer pads: padding puts zeros around each window, and around
    the whole image only once. Make with `fully_convolutional`.
    """

    def __init__(self, net: ConvNet | ResNet, size: tuple[int, int]) -> None:
        super().__init__()
        layers, grid = (net.classifier, net.avgpool.output_size) if isinstance(net, ConvNet) else ([net.fc], 1)
        first = next(net.parameters())
        x = torch.zeros(1, net.channels, *size, device=first.device, dtype=first.dtype)
        with torch.no_grad():
            h, w = copy.deepcopy(net).eval().forward_features(x).shape[2:]  # the sides of one window's maps
        if h % grid or w % grid:
            raise ValueError(f"expected maps whose sides are multiples of {grid}, got {h} × {w} for {size}")
        blocks = (h // grid, w // grid)
        self.net = copy.deepcopy(net)  # the classifier stays as it was
        setattr(self.net, "classifier" if isinstance(net, ConvNet) else "fc", nn.Identity())
        self.head = nn.Sequential(nn.AvgPool2d(blocks, stride=1))
        for layer in layers:
            if isinstance(layer, nn.Linear):
                self.head.append(_dense_as_convolution(layer, grid, blocks))
                grid = 1
            else:
                self.head.append(copy.deepcopy(layer))
        self.head.train(net.training)
        self.training = net.training

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net.forward_features(x))


def _dense_as_convolution(layer: nn.Linear, side: int, dilation: tuple[int, int]) -> nn.Conv2d:
    """(K, C · side²) weights as K filters of (C, side, side)."""
    out, bias = layer.out_features, layer.bias is not None
    conv = nn.Conv2d(layer.in_features // side**2, out, side, dilation=dilation, bias=bias).to(layer.weight)
    with torch.no_grad():
        conv.weight.copy_(layer.weight.view(out, -1, side, side))
        if bias:
            conv.bias.copy_(layer.bias)
    return conv


def fully_convolutional(net: ConvNet | ResNet, size: int | tuple[int, int]) -> FullyConvolutional:
    """A copy of a classifier of images of `size` that takes larger ones; see `FullyConvolutional`.

    Raises a TypeError for another kind of model, and a ValueError where the classifier's pooling grid does not divide
    its maps, so that its blocks differ in size.
    """
    if not isinstance(net, ConvNet | ResNet):
        raise TypeError(f"expected a ConvNet or a ResNet, got {type(net).__name__}")
    return FullyConvolutional(net, (size, size) if isinstance(size, int) else tuple(size))


class UNet(nn.Module):
    r"""Down to few positions with many channels, up again, and a way across: (B, C, H, W) -> (B, K, H, W), logits.

    $$e_1 = F(x), \quad e_{l+1} = F(\text{maxpool}(e_l)), \qquad d_L = e_L, \quad
      d_l = F([e_l,\, \text{up}(d_{l+1})]), \qquad y = W d_1$$

    F is `convolutions` times a 3×3 convolution, norm and ReLU; up a transposed 2×2 convolution with stride 2, which
    halves the channels. Level l has H / 2^(l-1) rows. Convolutions are padded, so that no map has to be cut to fit; the
    paper's are not, and its output is smaller than its input.

    Args:
        widths: channels of the levels, from the image down; their number is the depth L.
        channels, classes: C and K.
        skips: whether $d_l$ sees $e_l$; without, all goes through the lowest level, $d_l = F(\text{up}(d_{l+1}))$.
        norm: one of `NORMS`.
        convolutions: in each F; the paper has two.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        *,
        channels: int = 1,
        classes: int = 2,
        skips: bool = True,
        norm: str = "batch",
        convolutions: int = 2,
    ) -> None:
        super().__init__()
        if not widths or convolutions < 1:
            raise ValueError(f"expected 1 width and 1 convolution or more, got {widths} and {convolutions}")
        self.channels, self.skips, self.step = channels, skips, 2 ** (len(widths) - 1)
        self.pool = nn.MaxPool2d(2)

        def convs(now: int, width: int) -> nn.Sequential:
            layers = nn.Sequential()
            for i in range(convolutions):
                layers.extend(Conv(width).build(now if i == 0 else width, norm, "relu"))
            return layers

        self.down = nn.ModuleList(convs(a, b) for a, b in zip((channels, *widths), widths, strict=False))
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.merge.append(convs(2 * width if skips else width, width))
        self.classifier = nn.Conv2d(widths[0], classes, 1)
        he_initialise(self)
        for layer in self.up:  # each number is a sum over the channels that come in, and no ReLU follows
            nn.init.normal_(layer.weight, std=layer.in_channels**-0.5)
            nn.init.zeros_(layer.bias)

    def forward_levels(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The encoder's maps, from the image down, and the decoder's, from the lowest level up."""
        if x.ndim != 4 or x.shape[1] != self.channels or x.shape[2] % self.step or x.shape[3] % self.step:
            raise ValueError(
                f"expected (batch, {self.channels}, height, width) with sides that are multiples of {self.step}, "
                f"got {tuple(x.shape)}"
            )
        encoded = [self.down[0](x)]
        for down in self.down[1:]:
            encoded.append(down(self.pool(encoded[-1])))  # (B, C_l, H_l, W_l) -> (B, C_{l+1}, H_l / 2, W_l / 2)
        decoded = [encoded[-1]]
        for up, merge, e in zip(self.up, self.merge, encoded[-2::-1], strict=True):
            d = up(decoded[-1])  # (B, C_{l+1}, H_l / 2, W_l / 2) -> (B, C_l, H_l, W_l)
            decoded.append(merge(torch.cat([e, d], dim=1) if self.skips else d))
        return encoded, decoded

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.forward_levels(x)[1][-1])
