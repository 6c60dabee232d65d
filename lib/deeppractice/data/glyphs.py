"""Glyphs: as many images of characters as one asks for, with every factor that made them known.

The characters come from the fonts that ship with matplotlib. Each is drawn once, large, and kept as a signed distance
field; an image is that field under an affine map, cut at its edge. So strokes can be made thinner or wider, and images
of any size cost no more than a look-up for each pixel.

Source: Green (2007), Improved alpha-tested magnification for vector textures and special effects; the distances after
Gustavson and Strand (2011), Anti-aliased Euclidean distance transform.
"""

import functools
import string
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from scipy.ndimage import distance_transform_edt

from deeppractice.data._settings import Range, chosen, in_turn, span
from deeppractice.data.cards import CARDS
from deeppractice.data.sets import Images

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase

# Font -> its files, regular and bold. Where there is no bold file, the regular strokes are widened by BOLDER.
FONTS = {
    "DejaVu Sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "DejaVu Sans Mono": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    "DejaVu Serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    "DejaVu Serif Italic": ("DejaVuSerif-Italic.ttf", "DejaVuSerif-BoldItalic.ttf"),
    "STIX": ("STIXGeneral.ttf", "STIXGeneralBol.ttf"),
    "STIX Italic": ("STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf"),
    "Computer Modern": ("cmr10.ttf", "cmb10.ttf"),
    "Computer Modern Italic": ("cmti10.ttf", None),
    "Computer Modern Sans": ("cmss10.ttf", None),
    "Computer Modern Mono": ("cmtt10.ttf", None),
}
WEIGHTS = ("regular", "bold")
BACKGROUNDS = ("black", "gradient", "stripes", "checks", "clouds")

# Lengths are in units of a 28th of the image's side, which are pixels at the default size.
SIDE, HEIGHT, WIDEST, TALLEST = 28, 20, 22, 24  # the image; a digit at scale 1; no character is wider or taller
SAMPLES = 4  # of the distance field, a unit
BOLDER = 1.0
CHUNK = 512  # images at a time: what fits in a processor's cache is fastest


def glyphs(
    n: int = 2000,
    *,
    size: int = SIDE,
    classes: str | Sequence[str] = string.digits,
    seed: int = 0,
    fonts: str | Sequence[str] = tuple(FONTS),
    weights: str | Sequence[str] = WEIGHTS,
    rotation: Range = (-15, 15),
    scale: Range = (0.8, 1.1),
    shift_x: Range | None = None,
    shift_y: Range | None = None,
    shear: Range = (-0.2, 0.2),
    stroke: Range | None = None,
    noise: Range = 0,
    backgrounds: str | Sequence[str] = "black",
) -> Images:
    """Draw images of characters: each factor uniformly and independently; a number in place of a range fixes it.

    Equal seeds give equal images, the first n of a larger n are the same, and a changed range or choice leaves the
    draws of all other factors as they were. So two calls can differ in one factor only.

    Args:
        n: number of images; each class has its share of them, give or take one.
        size: pixels a side.
        classes: the characters, among 0-9, A-Z and a-z. I and l are one bar in the fonts without serifs.
        fonts, weights, backgrounds: one or more of `FONTS`, `WEIGHTS`, `BACKGROUNDS`.
        rotation: degrees, counter-clockwise.
        scale: 1 makes a digit 20/28 of the image high.
        shift_x, shift_y: pixels to the right and downwards; by default a fourteenth of the size either way.
        shear: pixels to the right for each pixel upwards.
        stroke: pixels by which strokes are wider (below 0, thinner); by default from -1/112 to 1/28 of the size.
        noise: standard deviation of the Gaussian noise that is added before values are cut to 0 to 1.

    Returns:
        Images of shape (n, 1, size, size). Its factors are the arguments above, `font`, `weight` and `background` as
        names, and `phase` (0 to 1), which sets where a background's pattern starts and how it is turned.

    Raises:
        ValueError: for n or a size too small, an unknown name, a range that is none, or a factor outside its domain.
    """
    if n < 1 or size < 8:
        raise ValueError(f"expected 1 image or more of 8 pixels a side or more, got n={n} and size={size}")
    classes = chosen("classes", list(classes) if isinstance(classes, str) else classes, CHARACTERS)
    choices = {
        "font": chosen("fonts", fonts, FONTS),
        "weight": chosen("weights", weights, WEIGHTS),
        "background": chosen("backgrounds", backgrounds, BACKGROUNDS),
    }
    ranges = {
        "rotation": span("rotation", rotation),
        "scale": span("scale", scale, above=0),
        "shift_x": span("shift_x", (-size / 14, size / 14) if shift_x is None else shift_x),
        "shift_y": span("shift_y", (-size / 14, size / 14) if shift_y is None else shift_y),
        "shear": span("shear", shear),
        "stroke": span("stroke", (-size / 112, size / 28) if stroke is None else stroke),
        "noise": span("noise", noise, least=0),
        "phase": (0.0, 1.0),
    }
    # One row an image and one column a factor, so that neither n nor a range moves another factor's draw.
    blocks = -(-n // len(classes))
    draws = np.random.default_rng([seed, 0]).random((blocks * len(classes), 1 + len(choices) + len(ranges)))
    y = in_turn(draws[:, 0], len(classes))[:n]
    numbers, columns = {}, iter(draws[:n, 1:].T)
    for name, options in choices.items():
        numbers[name] = (next(columns) * len(options)).astype(np.int64)
    factors = {name: np.array(options)[numbers[name]] for name, options in choices.items()}
    for name, (low, high) in ranges.items():
        factors[name] = (low + (high - low) * next(columns)).astype(np.float32)

    # The distance fields of the (class, font, weight) that were drawn, and for each image which one is its own.
    which = np.stack([y, numbers["font"], numbers["weight"]], axis=1)
    used, own = np.unique(which, axis=0, return_inverse=True)
    fields = [field(classes[c], choices["font"][f], choices["weight"][w]) for c, f, w in used]
    fields = torch.from_numpy(np.stack(fields))[:, None]  # (G, 1, 112, 112)
    own = torch.from_numpy(own.reshape(-1))

    X = np.empty((n, 1, size, size), dtype=np.float32)
    grain = np.random.default_rng([seed, 1])
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        part = {name: values[rows] for name, values in factors.items()}
        ink = _ink(fields[own[rows]], part, size)
        image = ink + (1 - ink) * _background(part["background"], part["phase"], size)
        if ranges["noise"][1] > 0:
            grains = grain.standard_normal(image.shape, dtype=np.float32)
            image = np.clip(image + part["noise"][:, None, None, None] * grains, 0, 1)
        X[rows] = image
    return Images(X, y, factors, tuple(classes), CARDS["glyphs"])


def _ink(fields: torch.Tensor, factors: dict[str, np.ndarray], size: int) -> np.ndarray:
    """(B, 1, 112, 112) -> (B, 1, H, W): the share of each pixel that is covered, 0 to 1."""
    turn, scale, lean = np.deg2rad(factors["rotation"]), factors["scale"], factors["shear"]
    cos, sin = np.cos(turn), np.sin(turn)
    # A pixel p (y downwards) shows the field at q, where p = R S q scale + t. With q = M (p - t):
    #   R = [[cos, sin], [-sin, cos]],   S = [[1, -shear], [0, 1]],   M = S^-1 R^-1 / scale
    inverse = np.array([[cos + lean * sin, -sin + lean * cos], [sin, cos]], dtype=np.float32)
    inverse = (inverse / scale).transpose(2, 0, 1)  # (B, 2, 2)
    shift = np.stack([factors["shift_x"], factors["shift_y"]], axis=1)[:, :, None] * 2 / size  # grid_sample's -1 to 1
    theta = torch.from_numpy(np.concatenate([inverse, -inverse @ shift], axis=2).astype(np.float32))
    grid = F.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)
    distance = F.grid_sample(fields, grid, mode="bilinear", padding_mode="border", align_corners=False).numpy()
    pixels = distance * (scale * size / SIDE)[:, None, None, None] + factors["stroke"][:, None, None, None] / 2
    return np.clip(pixels + 0.5, 0, 1)  # an edge is one pixel wide


@functools.cache
def field(character: str, font: str, weight: str) -> np.ndarray:
    """The signed distance to the character's outline: (112, 112) float32, in units, above 0 inside."""
    outline, low, high = _outline(character, font, weight)
    _, bottom, top = _outline("0", font, weight)
    (width, height), (_, digit) = high - low, top - bottom
    place = Affine2D().translate(*-(low + high) / 2)
    scale = min(HEIGHT / digit, WIDEST / width, TALLEST / height)
    place.scale(scale * SAMPLES).translate(SIDE * SAMPLES / 2, SIDE * SAMPLES / 2)
    renderer = RendererAgg(SIDE * SAMPLES, SIDE * SAMPLES, 72)
    pen = renderer.new_gc()
    pen.set_linewidth(0)
    renderer.draw_path(pen, outline, place, rgbFace=(0, 0, 0, 1))
    cover = np.asarray(renderer.buffer_rgba())[..., 3] / 255
    # A pixel that the outline crosses lies about cover - 1/2 from it; any other, as far and the way to the nearest.
    into, near = distance_transform_edt(cover == 1, return_indices=True)
    out, far = distance_transform_edt(cover == 0, return_indices=True)
    distance = np.where(cover == 1, into + cover[tuple(near)], cover[tuple(far)] - out) - 0.5
    bolder = BOLDER if weight == "bold" and FONTS[font][1] is None else 0.0
    return (distance / SAMPLES + bolder / 2).astype(np.float32)


@functools.cache
def _outline(character: str, font: str, weight: str) -> tuple[TextPath, np.ndarray, np.ndarray]:
    """The character's outline, and the corners (x, y) of the box around it."""
    regular, bold = FONTS[font]
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", regular if weight == "regular" else bold or regular)
    outline = TextPath((0, 0), character, size=100, prop=FontProperties(fname=file))
    points = np.concatenate(outline.to_polygons())
    return outline, points.min(axis=0), points.max(axis=0)


def _background(names: np.ndarray, phase: np.ndarray, size: int) -> np.ndarray:
    """(B,) -> (B, 1, H, W): a pattern of 0 to 0.5, turned and moved by the phase."""
    image = np.zeros((len(names), 1, size, size), dtype=np.float32)
    v, u = np.meshgrid(*[(np.arange(size, dtype=np.float32) + 0.5) / size - 0.5] * 2, indexing="ij")
    for name in set(names.tolist()) - {"black"}:
        rows = names == name
        p = phase[rows, None, None]
        angle = 2 * np.pi * p
        along, across = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
        if name == "gradient":
            pattern = 0.25 + along / np.sqrt(8)  # 0 and 0.5 in two corners at most
        elif name == "stripes":
            pattern = 0.25 + 0.25 * np.sin(10 * np.pi * along)
        elif name == "checks":
            pattern = 0.25 + 0.25 * np.sign(np.sin(8 * np.pi * along) * np.sin(8 * np.pi * across))
        else:  # clouds: a few waves that don't fit together
            waves = [((1, 2), 3), ((2, -1), 5), ((3, 1), 7), ((-1, 3), 11), ((2, 3), 13)]
            waves = [np.sin(2 * np.pi * (a * u + b * v + k * p)) for (a, b), k in waves]
            pattern = np.clip(0.25 + 0.08 * sum(waves), 0, 0.5)
        image[rows, 0] = pattern
    return image
