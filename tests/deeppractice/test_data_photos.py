"""Patches and warped views, against the photographs themselves."""

import re

import numpy as np
import pytest

from deeppractice.data import CARDS, Images, Views, load, warped
from deeppractice.data.photos import PHOTOS, _photo


def test_patches_are_what_stands_at_their_row_and_column() -> None:
    images = load("photos", n=50, size=20)
    assert isinstance(images, Images)
    assert images.X.shape == (50, 3, 20, 20)
    assert images.X.dtype == np.float32
    assert images.X.min() >= 0
    assert images.X.max() <= 1
    assert images.y.dtype == np.int64
    assert images.classes == tuple(PHOTOS)
    assert images.card is CARDS["photos"]
    assert list(images.factors) == ["photo", "row", "column"]
    for patch, number, photo, row, column in zip(images.X, images.y, *images.factors.values(), strict=True):
        assert photo == images.classes[number]
        np.testing.assert_array_equal(patch, _photo(photo)[:, row : row + 20, column : column + 20])


def test_every_photograph_is_real_ships_with_its_package_and_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    for name in PHOTOS:
        image = _photo.__wrapped__(name)
        assert image.shape[0] == 3
        assert min(image.shape[1:]) >= 300
        assert image.std() > 0.05
        grey = (image == image[:1]).all()
        assert grey == (name in ("brick", "camera", "grass", "gravel"))
        assert name in CARDS["photos"].source
    counts = np.bincount(load("photos", n=125).y, minlength=12)
    assert counts.sum() == 125
    assert set(counts.tolist()) == {10, 11}


def test_corners_reach_from_edge_to_edge() -> None:
    factors = load("photos", n=40, size=299, photos="chelsea").factors  # 300 × 451
    assert set(factors["row"].tolist()) == {0, 1}
    assert 0 <= factors["column"].min() < 20
    assert 132 < factors["column"].max() <= 152


@pytest.mark.parametrize("photos", [tuple(PHOTOS), ("coffee", "grass")])
def test_equal_seeds_and_prefixes(photos: tuple[str, ...]) -> None:
    large, small = load("photos", n=70, photos=photos, seed=3), load("photos", n=33, photos=photos, seed=3)
    np.testing.assert_array_equal(large.X[:33], small.X)
    np.testing.assert_array_equal(large.factors["row"][:33], small.factors["row"])
    assert not np.array_equal(small.X, load("photos", n=33, photos=photos, seed=4).X)
    first, second = warped(9, photos=photos, seed=3), warped(4, photos=photos, seed=3)
    for long, short in zip(first, second, strict=True):
        np.testing.assert_array_equal(long[:4], short)


def test_without_a_warp_both_views_are_one_patch() -> None:
    views = warped(12, size=24, rotation=0, scale=1, tilt=0)
    assert isinstance(views, Views)
    assert views.first.shape == views.second.shape == (12, 3, 24, 24)
    np.testing.assert_allclose(views.first, views.second, atol=1e-3)
    np.testing.assert_allclose(views.transform, np.broadcast_to(np.eye(3), (12, 3, 3)), atol=1e-12)
    for view, photo in zip(views.first, views.photo, strict=True):
        # The patch stands in the photograph as it is: its first row is somewhere in it.
        windows = np.lib.stride_tricks.sliding_window_view(_photo(photo)[0], 24, axis=1)
        assert np.abs(windows - view[0, 0]).max(axis=-1).min() < 1e-3


def test_the_transform_takes_the_first_view_to_the_second() -> None:
    """Against scikit-image's own warp, where the first view shows what the second one does."""
    from skimage.transform import ProjectiveTransform, warp

    views = warped(40, size=64, seed=1)
    shares = []
    for first, second, transform in zip(views.first, views.second, views.transform, strict=True):
        backward = ProjectiveTransform(np.linalg.inv(transform))
        rebuilt = warp(first.transpose(1, 2, 0), backward, order=1)
        seen = warp(np.ones((64, 64)), backward, order=1) > 0.999
        shares.append(seen.mean())
        difference = np.abs(rebuilt - second.transpose(1, 2, 0))[seen]
        assert np.median(difference) < 0.002
        assert difference.mean() < 0.01
    assert np.mean(shares) > 0.6
    spread = np.abs(views.first - views.second).mean(axis=(1, 2, 3))
    assert np.median(spread) > 0.02  # and they are not the same


@pytest.mark.parametrize("degrees", [-30, 20])
def test_rotation_and_scale_are_those_asked_for(degrees: float) -> None:
    transform = warped(3, size=32, rotation=degrees, scale=1.2, tilt=0).transform
    turn = np.deg2rad(degrees)
    expected = 1.2 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # y downwards
    np.testing.assert_allclose(transform[:, :2, :2], np.broadcast_to(expected, (3, 2, 2)))
    middle = np.array([15.5, 15.5, 1])
    np.testing.assert_allclose(transform @ middle, np.broadcast_to(middle, (3, 3)))


@pytest.mark.parametrize("make", [lambda **settings: load("photos", **settings), warped])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "expected n of 1 or more and a size of 1 to 300 ('chelsea'), got n=0 and"),
        ({"size": 301}, "a size of 1 to 300 ('chelsea'), got n="),
        ({"photos": "lena"}, "photos: expected one or more, each once, of astronaut, brick"),
        ({"photos": ["coffee", "coffee"]}, "got ['coffee', 'coffee']"),
    ],
)
def test_a_wrong_setting(make, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tilt": 0.5}, "tilt: expected less than 0.5, got 0.5"),
        ({"tilt": (-0.7, 0)}, "tilt: expected more than -0.5, got (-0.7, 0)"),
        ({"scale": 0}, "scale: expected more than 0, got 0"),
        ({"tilt": 0.49, "scale": 0.5}, "so warped, do not fit into"),
        ({"rotation": (9, 1)}, "rotation: expected a number, or a range (low, high), got (9, 1)"),
        ({"n": 3, "size": 290, "photos": "chelsea", "rotation": 45}, "do not fit into 'chelsea' of 451 × 300"),
    ],
)
def test_a_warp_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        warped(**settings)
