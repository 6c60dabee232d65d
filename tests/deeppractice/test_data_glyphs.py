"""Glyphs: against matplotlib's own rasterised characters, and each factor against what it says it does."""

import re
import string
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from deeppractice.data import CARDS, Images, load
from deeppractice.data.glyphs import BACKGROUNDS, CHARACTERS, FONTS, HEIGHT, SIDE, TALLEST, WEIGHTS, WIDEST, field

NEUTRAL = {"rotation": 0, "scale": 1, "shift_x": 0, "shift_y": 0, "shear": 0, "stroke": 0}
LETTER = {"classes": "I", "fonts": "DejaVu Sans", "weights": "bold"}  # an upright bar


def one(character: str = "I", **settings: object) -> np.ndarray:
    """(H, W): one image, at neutral factors where nothing else is asked for."""
    return load("glyphs", **{"n": 1, **LETTER, "classes": character, **NEUTRAL, **settings}).X[0, 0]


def centre(image: np.ndarray) -> np.ndarray:
    """(x, y) of the ink, in pixels from the middle, y downwards."""
    rows, columns = np.indices(image.shape) - (np.array(image.shape) - 1)[:, None, None] / 2
    return np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()


def moments(image: np.ndarray) -> np.ndarray:
    """(2, 2): the covariance of the ink's positions (x, y), y upwards."""
    x, y = centre(image)
    rows, columns = np.indices(image.shape) - (np.array(image.shape) - 1)[:, None, None] / 2
    points = np.stack([columns.ravel() - x, y - rows.ravel()])
    return (points * image.ravel()) @ points.T / image.sum()


# What comes back


def test_images_are_what_the_contract_says() -> None:
    images = load("glyphs", n=25)
    assert isinstance(images, Images)
    assert images.X.shape == (25, 1, 28, 28)
    assert images.X.dtype == np.float32
    assert images.X.flags.c_contiguous
    assert (images.X.min(), images.X.max()) == (0, 1)
    assert images.y.dtype == np.int64
    assert images.classes == tuple("0123456789")
    assert images.card is CARDS["glyphs"]
    assert list(images.factors) == [
        *(
            "font",
            "weight",
            "background",
            "rotation",
            "scale",
            "shift_x",
            "shift_y",
            "shear",
            "stroke",
            "noise",
            "phase",
        )
    ]
    for values in images.factors.values():
        assert values.shape == (25,)
        assert values.dtype == np.float32 or values.dtype.kind == "U"
    assert len(load("glyphs")) == 2000


@pytest.mark.parametrize("size", [8, 28, 33, 64])
def test_any_size_shows_the_same_characters(size: int) -> None:
    images = load("glyphs", n=20, size=size)
    assert images.X.shape == (20, 1, size, size)
    large = load("glyphs", n=20, size=8 * size).X.reshape(20, size, 8, size, 8).mean(axis=(2, 4))
    for small, averaged in zip(images.X[:, 0], large, strict=True):
        assert np.corrcoef(small.ravel(), averaged.ravel())[0, 1] > (0.99 if size >= 28 else 0.9)


def test_every_class_has_its_share() -> None:
    counts = np.bincount(load("glyphs", n=1003).y)
    assert counts.sum() == 1003
    assert set(counts.tolist()) == {100, 101}
    order = load("glyphs", n=1000).y.reshape(100, 10)
    assert len({tuple(block) for block in order}) > 95  # in random order


def test_the_factors_cover_their_ranges_evenly() -> None:
    factors = load("glyphs", n=4000, size=8, noise=(0.1, 0.3)).factors
    limits = {"rotation": (-15, 15), "scale": (0.8, 1.1), "shear": (-0.2, 0.2), "noise": (0.1, 0.3), "phase": (0, 1)}
    limits |= {"shift_x": (-8 / 14, 8 / 14), "shift_y": (-8 / 14, 8 / 14), "stroke": (-8 / 112, 8 / 28)}
    for name, (low, high) in limits.items():
        counts, _ = np.histogram(factors[name], bins=8, range=(low, high))
        assert counts.sum() == 4000, name
        assert np.abs(counts - 500).max() < 5 * np.sqrt(500), name
    for name, options in {"font": list(FONTS), "weight": list(WEIGHTS)}.items():
        found, counts = np.unique(factors[name], return_counts=True)
        assert sorted(found) == sorted(options)
        expected = 4000 / len(options)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    table = np.corrcoef([factors[name] for name in limits])
    assert np.abs(table - np.eye(len(limits))).max() < 0.08  # independent: 5 / sqrt(4000)


# Seeds


def test_equal_seeds_give_equal_images_whatever_else_draws() -> None:
    first = load("glyphs", n=30, noise=0.1)
    np.random.seed(99)
    again = load("glyphs", n=30, noise=0.1)
    np.testing.assert_array_equal(first.X, again.X)
    for name in first.factors:
        np.testing.assert_array_equal(first.factors[name], again.factors[name])
    assert not np.array_equal(first.X, load("glyphs", n=30, noise=0.1, seed=1).X)


def test_the_first_images_of_a_larger_number_are_the_same() -> None:
    settings = {"noise": (0, 0.2), "backgrounds": BACKGROUNDS, "seed": 5}
    large, small = load("glyphs", n=1100, **settings), load("glyphs", n=613, **settings)
    np.testing.assert_array_equal(large.X[:613], small.X)
    np.testing.assert_array_equal(large.y[:613], small.y)
    for name in small.factors:
        np.testing.assert_array_equal(large.factors[name][:613], small.factors[name])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rotation", {"rotation": 40}),
        ("scale", {"scale": (0.5, 0.6)}),
        ("shift_x", {"shift_x": 0}),
        ("shear", {"shear": 0.5}),
        ("stroke", {"stroke": 2}),
        ("noise", {"noise": 0.2}),
        ("font", {"fonts": "STIX"}),
        ("weight", {"weights": "bold"}),
        ("background", {"backgrounds": "clouds"}),
    ],
)
def test_a_change_of_one_factor_leaves_the_others_as_they_were(name: str, change: dict) -> None:
    before, after = load("glyphs", n=50), load("glyphs", n=50, **change)
    np.testing.assert_array_equal(before.y, after.y)
    assert [key for key in before.factors if not np.array_equal(before.factors[key], after.factors[key])] == [name]
    assert not np.array_equal(before.X, after.X)


# The characters


@pytest.mark.parametrize("font", list(FONTS))
def test_neutral_digits_are_those_that_matplotlib_draws(font: str) -> None:
    fine = 8
    for weight, file in zip(WEIGHTS, FONTS[font], strict=True):
        if file is None:
            continue
        images = load("glyphs", n=10, fonts=font, weights=weight, **NEUTRAL)
        properties = FontProperties(fname=Path(matplotlib.get_data_path(), "fonts", "ttf", file))
        for character, ours in zip(images.y, images.X[:, 0], strict=True):
            drawn = []
            for text in ("0", str(character)):
                figure = Figure(figsize=(4, 4), dpi=100)
                canvas = FigureCanvasAgg(figure)
                figure.text(0.3, 0.3, text, fontproperties=properties, fontsize=150)
                canvas.draw()
                ink = 1 - np.asarray(canvas.buffer_rgba())[..., 0] / 255
                rows, columns = np.flatnonzero(ink.max(axis=1) > 0.5), np.flatnonzero(ink.max(axis=0) > 0.5)
                drawn.append(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
            zero, theirs = drawn
            pitch = min(HEIGHT / len(zero), TALLEST / len(theirs), WIDEST / theirs.shape[1]) * fine
            # What of their pixels' area falls into each of our fine pixels: nearest is enough at eight to one.
            grid = (np.arange(SIDE * fine) - SIDE * fine / 2 + 0.5) / pitch
            i, j = (np.floor(grid + length / 2).astype(int) for length in theirs.shape)
            inside = ((i >= 0) & (i < theirs.shape[0]))[:, None] & ((j >= 0) & (j < theirs.shape[1]))
            fetched = theirs[np.clip(i, 0, theirs.shape[0] - 1)][:, np.clip(j, 0, theirs.shape[1] - 1)] * inside
            expected = fetched.reshape(SIDE, fine, SIDE, fine).mean(axis=(1, 3))
            assert np.corrcoef(expected.ravel(), ours.ravel())[0, 1] > 0.98, (weight, character)
            assert ours.sum() == pytest.approx(expected.sum(), rel=0.1), (weight, character)


def test_every_character_of_every_font_is_there_whole_and_different_from_the_rest() -> None:
    assert string.digits + string.ascii_uppercase + string.ascii_lowercase == CHARACTERS
    for font in FONTS:
        for weight in WEIGHTS:
            images = load("glyphs", n=62, classes=CHARACTERS, fonts=font, weights=weight, **NEUTRAL)
            X = images.X[images.y.argsort(), 0]
            assert X.sum(axis=(1, 2)).min() > 10
            assert max(X[:, [0, -1]].max(), X[:, :, [0, -1]].max()) == 0  # nothing is cut off
            apart = np.abs(X[:, None] - X).sum(axis=(2, 3)) + 99 * np.eye(62)  # in pixels
            alike = {CHARACTERS[i] + CHARACTERS[j] for i, j in np.argwhere(apart < 4) if i < j}
            assert alike <= ({"Il"} if font in ("DejaVu Sans", "Computer Modern Sans") else set()), (font, weight)


@pytest.mark.parametrize("font", list(FONTS))
def test_bold_has_more_ink(font: str) -> None:
    regular, bold = (load("glyphs", n=10, fonts=font, weights=weight, **NEUTRAL) for weight in WEIGHTS)
    ratio = bold.X.sum(axis=(1, 2, 3)) / regular.X.sum(axis=(1, 2, 3))
    assert ratio.min() > 1.1


def test_the_distance_field_is_a_distance() -> None:
    distance = field("I", "DejaVu Sans", "bold")
    assert distance.shape == (112, 112)
    assert distance.dtype == np.float32
    steps = np.hypot(*np.gradient(distance, 1 / 4))  # its slope is 1, but for the ridges
    assert np.mean(np.abs(steps - 1) < 0.05) > 0.9


# The factors


@pytest.mark.parametrize("degrees", [-60, -20, 15, 45])
def test_rotation_turns_the_principal_axis(degrees: float) -> None:
    values, vectors = np.linalg.eigh(moments(one(rotation=degrees)))
    x, y = vectors[:, 1] * np.sign(vectors[1, 1])  # upwards
    assert values[1] > 5 * values[0]
    assert np.rad2deg(np.arctan2(-x, y)) == pytest.approx(degrees, abs=0.5)


@pytest.mark.parametrize(("x", "y"), [(3, 0), (-2.5, 1.25), (0, -3.4)])
@pytest.mark.parametrize("size", [28, 56])
def test_shift_moves_the_centre_by_so_many_pixels(x: float, y: float, size: int) -> None:
    settings = {"size": size, "scale": 0.8, "rotation": 20, "shear": 0.2}  # so that no ink leaves the image
    moved, still = centre(one("5", shift_x=x, shift_y=y, **settings)), centre(one("5", **settings))
    np.testing.assert_allclose(moved - still, [x, y], atol=0.05)


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.2])
def test_scale_scales(scale: float) -> None:
    neutral, scaled = one("8", size=84), one("8", size=84, scale=scale)
    assert np.sqrt(scaled.sum() / neutral.sum()) == pytest.approx(scale, rel=0.01)
    assert np.sqrt(np.trace(moments(scaled)) / np.trace(moments(neutral))) == pytest.approx(scale, rel=0.01)


@pytest.mark.parametrize("shear", [-0.4, 0.1, 0.3])
def test_shear_leans_to_the_right(shear: float) -> None:
    (_, xy), (_, yy) = moments(one(shear=shear))
    assert xy / yy == pytest.approx(shear, abs=0.01)


@pytest.mark.parametrize("stroke", [-1.0, 0.5, 2.0])
def test_stroke_widens_the_strokes_by_so_many_pixels(stroke: float) -> None:
    thin, thick = one(), one(stroke=stroke)
    assert thick[14].sum() - thin[14].sum() == pytest.approx(stroke, abs=0.02)
    assert thick[:, 14].sum() - thin[:, 14].sum() == pytest.approx(stroke, abs=0.02)


def test_noise_has_the_standard_deviation_that_it_says() -> None:
    settings = {"n": 200, "backgrounds": "gradient", "seed": 2}
    clean, noisy = load("glyphs", **settings).X, load("glyphs", **settings, noise=0.05).X
    uncut = (clean > 0.25) & (clean < 0.5)
    difference = (noisy - clean)[uncut]
    assert difference.std() == pytest.approx(0.05, rel=0.02)
    assert abs(difference.mean()) < 0.001
    assert (noisy.min(), noisy.max()) == (0, 1)
    varied = load("glyphs", **settings, noise=(0, 0.1))
    spread = np.array([(a - b)[m].std() for a, b, m in zip(varied.X, clean, uncut, strict=True)])
    np.testing.assert_allclose(spread, varied.factors["noise"], rtol=0.35)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_background_stays_below_the_ink_and_does_not_touch_it(background: str) -> None:
    plain, images = load("glyphs", n=60), load("glyphs", n=60, backgrounds=background)
    assert set(images.factors["background"]) == {background}
    np.testing.assert_array_equal(images.X[plain.X == 1], 1)
    behind = [image[ink == 0] for image, ink in zip(images.X, plain.X, strict=True)]
    if background == "black":
        assert max(pixels.max() for pixels in behind) == 0
    else:
        assert 0 <= min(pixels.min() for pixels in behind) < 0.02
        assert 0.48 < max(pixels.max() for pixels in behind) <= 0.5
        assert np.mean([pixels.mean() for pixels in behind]) == pytest.approx(0.25, abs=0.03)
        assert min(pixels.std() for pixels in behind) > 0.04
        assert np.abs(np.diff(images.X[:, 0, 0, 0])).min() > 0 or background == "checks"  # the phase moves it


def test_a_domain_gap_by_fonts() -> None:
    images = load("glyphs", n=400)
    serif = images.factors["font"] == "STIX"
    train, test = images[~serif], images[serif]
    assert len(train) + len(test) == 400
    assert set(test.factors["font"]) == {"STIX"}
    assert "STIX" not in train.factors["font"]
    np.testing.assert_array_equal(test.X, images.X[serif])
    np.testing.assert_array_equal(test.y, images.y[serif])
    assert test.classes == images.classes


# Images


def test_some_of_the_images() -> None:
    images = load("glyphs", n=30)
    for rows in (slice(3, 9), [2, 5], np.array([7]), np.arange(30) % 2 == 0):
        some = images[rows]
        np.testing.assert_array_equal(some.X, images.X[rows])
        np.testing.assert_array_equal(some.factors["scale"], images.factors["scale"][rows])
        assert len(some) == len(some.y) == len(some.X)
    with pytest.raises(IndexError, match="expected a slice, a mask or a list of numbers, got 3"):
        images[3]


def test_how_images_show_themselves() -> None:
    images = load("glyphs", n=30, size=16)
    assert repr(images).startswith(
        "Images('glyphs': 30 of 1 × 16 × 16, 10 classes, factors font, weight, background, rot"
    )
    shown = images._repr_html_()
    assert "any number × 1 × 28 × 28" in shown
    assert "SIL Open Font" in shown


def test_a_split_keeps_the_classes_shares_and_depends_on_its_seed_alone() -> None:
    images = load("glyphs", n=200, size=8)
    X_train, y_train, X_test, y_test = images.split(0)
    assert X_train.shape == (150, 1, 8, 8)
    assert np.bincount(y_train).tolist() == [15] * 10
    assert np.bincount(y_test).tolist() == [5] * 10
    again = images.split(0)
    np.testing.assert_array_equal(X_test, again[2])
    assert not np.array_equal(X_test, images.split(1)[2])
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        images.split(0, test=2)


# Errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "expected 1 image or more of 8 pixels a side or more, got n=0 and size=28"),
        ({"size": 7}, "got n=2000 and size=7"),
        ({"classes": "01é"}, "classes: expected one or more, each once, of 0, 1, 2"),
        ({"classes": "01é"}, "got 'é'"),
        ({"classes": "011"}, "got ['0', '1', '1']"),
        ({"classes": ""}, "got []"),
        ({"classes": ["0", "10"]}, "got '10'"),
        ({"fonts": "Helvetica"}, "fonts: expected one or more, each once, of DejaVu Sans, DejaVu Sans Mono"),
        ({"fonts": ["STIX", "Helvetica"]}, "got 'Helvetica'"),
        ({"fonts": ()}, "fonts: expected one or more"),
        ({"weights": "thin"}, "weights: expected one or more, each once, of regular, bold; got 'thin'"),
        ({"backgrounds": "red"}, "got 'red'"),
        ({"rotation": (15, -15)}, "rotation: expected a number, or a range (low, high), got (15, -15)"),
        ({"rotation": ()}, "rotation: expected a number, or a range (low, high), got ()"),
        ({"shear": (1, 2, 3)}, "got (1, 2, 3)"),
        ({"shift_x": float("nan")}, "shift_x: expected a number"),
        ({"scale": (0, 1)}, "scale: expected more than 0, got (0, 1)"),
        ({"noise": -0.1}, "noise: expected 0 or more, got -0.1"),
    ],
)
def test_a_wrong_setting(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load("glyphs", **settings)
