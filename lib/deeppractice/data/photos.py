"""Patches and warped views of the photographs that ship with scikit-image and scikit-learn: no download.

Taken are those whose licence the packages state: public domain, CC0, or CC BY 2.0.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from deeppractice.data._settings import Range, chosen, in_turn, span
from deeppractice.data.cards import CARDS
from deeppractice.data.sets import Images

# Name -> licence. china and flower ship with scikit-learn, the rest with scikit-image; four are grey.
PHOTOS = {
    "astronaut": "public domain (NASA)",
    "brick": "CC0",
    "camera": "CC0 (Lav Varshney)",
    "chelsea": "CC0 (Stefan van der Walt)",
    "china": "CC BY 2.0 (danielbuechele)",
    "coffee": "CC0 (Rachel Michetti)",
    "flower": "CC BY 2.0 (vultilion)",
    "grass": "CC0",
    "gravel": "CC0",
    "hubble_deep_field": "public domain (NASA)",
    "retina": "CC0",
    "rocket": "public domain (SpaceX)",
}


class Views(NamedTuple):
    """Two views of the same place, N times.

    Attributes:
        first, second: float32 of 0 to 1, shape (N, 3, H, W).
        transform: (N, 3, 3); takes the homogeneous pixel position (x, y, 1) of a point in the first view to the second.
        photo: names, shape (N,).
    """

    first: np.ndarray
    second: np.ndarray
    transform: np.ndarray
    photo: np.ndarray


def patches(n: int = 2000, *, size: int = 32, photos: str | Sequence[str] = tuple(PHOTOS), seed: int = 0) -> Images:
    """Random square patches; the class is the photograph.

    Some show little (a piece of sky), and patches of one photograph may overlap: split by `row` or `column` where a
    test must not see what was trained on.

    Args:
        n: number of patches; each photograph has its share of them, give or take one.
        size: pixels a side.
        photos: one or more of `PHOTOS`.

    Returns:
        Images of shape (n, 3, size, size) with the factors `photo`, and `row` and `column` of the upper left pixel.

    Raises:
        ValueError: for n or a size below 1, a size larger than a photograph, or an unknown photograph.
    """
    names, y, draws = _draw(n, size, photos, seed, columns=2)
    X = np.empty((n, 3, size, size), dtype=np.float32)
    corner = np.empty((n, 2), dtype=np.int64)
    for number, name in enumerate(names):
        rows, image = np.flatnonzero(y == number), _photo(name)
        corner[rows] = draws[rows] * (np.array(image.shape[1:]) - size + 1)
        windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))
        X[rows] = windows[:, corner[rows, 0], corner[rows, 1]].transpose(1, 0, 2, 3)
    factors = {"photo": np.array(names)[y], "row": corner[:, 0], "column": corner[:, 1]}
    return Images(X, y, factors, tuple(names), CARDS["photos"])


def warped(
    n: int = 200,
    *,
    size: int = 64,
    photos: str | Sequence[str] = tuple(PHOTOS),
    seed: int = 0,
    rotation: Range = (-30, 30),
    scale: Range = (0.8, 1.25),
    tilt: Range = (-0.15, 0.15),
) -> Views:
    r"""Pairs of views of one place: a square patch, and the same under a known homography about its centre.

    With $p$ the position from the centre in half sides, $p' = s R p / (1 + t \cdot p)$ for the two tilts $t$.

    Args:
        n, size, photos, seed: as for patches.
        rotation: degrees, counter-clockwise.
        scale: above 1, the second view shows less of the photograph.
        tilt: the perspective, drawn once for x and once for y.

    Raises:
        ValueError: as for patches, for a range that is none, or for views that don't fit into a photograph.
    """
    ranges = [span("rotation", rotation), span("scale", scale, above=0), span("tilt", tilt, above=-0.5)]
    if ranges[2][1] >= 0.5:
        raise ValueError(f"tilt: expected less than 0.5, got {tilt!r}")
    low, high = np.array([*ranges, ranges[2]]).T
    names, y, draws = _draw(n, size, photos, seed, columns=6)
    degrees, zoom, tilt_x, tilt_y = (low + (high - low) * draws[:, 2:]).T
    turn = np.deg2rad(degrees)
    zero, one = np.zeros(n), np.ones(n)
    centred = np.array(  # y downwards
        [
            [zoom * np.cos(turn), zoom * np.sin(turn), zero],
            [-zoom * np.sin(turn), zoom * np.cos(turn), zero],
            [tilt_x, tilt_y, one],
        ]
    ).transpose(2, 0, 1)
    middle = (size - 1) / 2
    to_pixels = np.array([[size / 2, 0, middle], [0, size / 2, middle], [0, 0, 1]])
    transform = to_pixels @ centred @ np.linalg.inv(to_pixels)  # (N, 3, 3)
    backward = np.linalg.inv(transform)

    # The first view's pixels, and where they and those of the second view lie from its upper left one on.
    square = np.stack(np.meshgrid(np.arange(size), np.arange(size), [1.0], indexing="xy"), axis=-1)[:, :, 0]
    corners = square[[0, 0, -1, -1], [0, -1, 0, -1]]  # (4, 3)
    seen_from = corners @ backward.transpose(0, 2, 1)  # (N, 4, 3): lines stay lines, so the corners lie outermost
    turned_over = (seen_from[..., 2] <= 0).any(axis=1)
    outermost = np.concatenate([seen_from[..., :2] / seen_from[..., 2:], np.tile(corners[:, :2], (n, 1, 1))], axis=1)
    least, most = np.ceil(-outermost.min(axis=1)), np.ceil(outermost.max(axis=1))  # whole pixels: (N, 2)

    views = np.empty((2, n, 3, size, size), dtype=np.float32)
    for number, name in enumerate(names):
        rows, image = np.flatnonzero(y == number), _photo(name)
        side = np.array(image.shape[:0:-1])  # width, height
        room = side - 1 - most[rows] - least[rows]
        if (room < 0).any() or turned_over[rows].any():
            raise ValueError(f"views of {size} pixels, so warped, do not fit into {name!r} of {side[0]} × {side[1]}")
        start = least[rows] + np.floor(draws[rows, :2] * (room + 1))
        points = np.einsum("nij,hwj->nhwi", backward[rows], square)
        places = np.stack([np.broadcast_to(square[..., :2], points[..., :2].shape), points[..., :2] / points[..., 2:]])
        there = (places + start[:, None, None]) * 2 / (side - 1) - 1  # (2, N, H, W, 2), grid_sample's -1 to 1
        grid = torch.from_numpy(there.reshape(1, -1, size, 2).astype(np.float32))
        seen = F.grid_sample(torch.from_numpy(image)[None], grid, align_corners=True)[0]
        views[:, rows] = seen.reshape(3, 2, len(rows), size, size).permute(1, 2, 0, 3, 4).clamp(0, 1).numpy()
    return Views(views[0], views[1], transform, np.array(names)[y])


def _draw(n: int, size: int, photos: str | Sequence[str], seed: int, columns: int) -> tuple:
    """The photographs' names, which of them each row shows, and as many draws for it as asked for: (N, columns)."""
    names = chosen("photos", photos, PHOTOS)
    smallest = min(names, key=lambda name: min(_photo(name).shape[1:]))
    largest = min(_photo(smallest).shape[1:])
    if n < 1 or not 1 <= size <= largest:
        raise ValueError(f"expected n of 1 or more and a size of 1 to {largest} ({smallest!r}), got {n=} and {size=}")
    draws = np.random.default_rng(seed).random((-(-n // len(names)) * len(names), 1 + columns))
    return names, in_turn(draws[:, 0], len(names))[:n], draws[:n, 1:]


@functools.cache
def _photo(name: str) -> np.ndarray:
    """(3, H, W), float32 of 0 to 1; a grey photograph has the same in all three channels."""
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        image = load_sample_image(f"{name}.jpg")
    else:
        import skimage.data

        image = getattr(skimage.data, name)()
    image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / 255
