"""The numbers of a report against implementations that others wrote, a second formula, and a case done by hand."""

import math
import statistics

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from classroom.statistics.numbers import (
    alpha,
    histogram,
    interval,
    item_rest,
    part_numbers,
    quantiles,
    round_up,
    settled,
)

POINTS = arrays(
    float, st.tuples(st.integers(4, 30), st.integers(2, 6)), elements=st.integers(0, 8).map(lambda n: n / 2)
)

# Five students, three parts. Item-rest by hand: for the first part x = 1 1 0 0 1 and rest = 3 2 1 0 4 (mean 2):
# covariance sum = 0.4*1 + 0.4*0 - 0.6*(-1) - 0.6*(-2) + 0.4*2 = 3; sums of squares 1.2 and 10: r = 3 / sqrt(12).
HAND = np.array([[1, 1, 2], [1, 1, 1], [0, 0, 1], [0, 0, 0], [1, 2, 2]], float)


def test_by_hand():
    assert item_rest(HAND)[0] == pytest.approx(3 / math.sqrt(12))
    # Sums 4 3 1 0 5: mean 2.6, variance 17.2 / 4. Variances of the parts: 1.2, 2.8 and 2.8, over 4.
    assert alpha(HAND) == pytest.approx(1.5 * (1 - 6.8 / 17.2))
    # Fisher: arctanh(0.5) = 0.549306, 1.959964 / sqrt(25) = 0.391993.
    low, high = interval(0.5, 28)
    assert (low, high) == (pytest.approx(math.tanh(0.157313), abs=1e-6), pytest.approx(math.tanh(0.941299), abs=1e-6))


@settings(deadline=None, max_examples=150)
@given(POINTS)
def test_item_rest_is_pearsons_with_the_sum_of_the_others(points):
    found = item_rest(points)
    for part in range(points.shape[1]):
        rest = np.delete(points, part, axis=1).sum(axis=1)
        if np.ptp(points[:, part]) == 0 or np.ptp(rest) == 0:
            assert math.isnan(found[part])
        else:
            assert found[part] == pytest.approx(scipy.stats.pearsonr(points[:, part], rest).statistic, abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(arrays(bool, st.tuples(st.integers(5, 40), st.integers(2, 5))))
def test_of_right_and_wrong_it_is_the_point_biserial_correlation(right):
    points = right.astype(float)
    rest = points[:, 1:].sum(axis=1)
    assume(0 < right[:, 0].sum() < len(right) and np.ptp(rest) > 0)
    expected = scipy.stats.pointbiserialr(right[:, 0], rest).statistic
    assert item_rest(points)[0] == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=150)
@given(POINTS)
def test_alpha_agrees_with_the_formula_of_mean_covariances(points):
    assume(np.ptp(points.sum(axis=1)) > 0)
    covariance = np.cov(points, rowvar=False)
    parts = len(covariance)
    mean_variance = np.trace(covariance) / parts
    mean_covariance = (covariance.sum() - np.trace(covariance)) / (parts * (parts - 1))
    expected = parts * mean_covariance / (mean_variance + (parts - 1) * mean_covariance)
    assert alpha(points) == pytest.approx(expected, abs=1e-7)


@settings(deadline=None, max_examples=100)
@given(st.floats(-0.95, 0.95), st.integers(4, 500))
def test_the_interval_is_scipys(correlation, count):
    # A sample of exactly this correlation, for scipy to look at.
    x = np.linspace(-1, 1, count)
    y = np.where(np.arange(count) % 2, 1.0, -1.0)
    x, y = x - x.mean(), y - y.mean()
    y = y - x * (x @ y) / (x @ x)
    y = correlation * x / np.linalg.norm(x) + math.sqrt(1 - correlation**2) * y / np.linalg.norm(y)
    expected = scipy.stats.pearsonr(x, y).confidence_interval(0.95)
    assert interval(correlation, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=60))
def test_quantiles_agree_with_numpy_and_the_standard_library(values):
    found = quantiles(np.array(values))
    assert found == pytest.approx(statistics.quantiles(values, n=4, method="inclusive"), rel=1e-9, abs=1e-9)
    assert found == pytest.approx(np.percentile(values, [25, 50, 75]), rel=1e-9, abs=1e-9)


def test_edges_are_nan_and_not_an_error():
    nothing = np.zeros((0, 3))
    assert all(math.isnan(value) for value in quantiles(np.zeros(0)))
    assert np.isnan(item_rest(nothing)).all()
    assert np.isnan(item_rest(np.ones((5, 3)))).all(), "nobody differs"
    assert np.isnan(item_rest(HAND[:, :1])).all(), "no rest"
    assert np.isnan(item_rest(HAND[:1])).all(), "one student"
    assert math.isnan(alpha(np.ones((5, 3))))
    assert math.isnan(alpha(HAND[:, :1]))
    assert interval(1.0, 30) == (1.0, 1.0)
    assert all(math.isnan(end) for end in interval(0.5, 3))
    assert all(math.isnan(end) for end in interval(math.nan, 30))
    assert [of.n for of in part_numbers(nothing, np.ones(3))] == [0, 0, 0]
    missing = part_numbers(np.full((12, 2), np.nan), np.ones(2))
    assert [(of.n, math.isnan(of.mean), math.isnan(of.correlation)) for of in missing] == [(0, True, True)] * 2
    assert math.isnan(part_numbers(np.zeros((12, 1)), np.zeros(1))[0].mean), "a part without points"


def test_a_sum_of_floats_that_differs_in_its_last_bit_does_not_differ():
    points = np.array([[0.1, 0.2, 0.3, 1], [0.3, 0.2, 0.1, 0]] * 6)
    assert not np.isnan(item_rest(points)[:3:2]).any()
    same = np.column_stack([[0.1 + 0.2, 0.3] * 6, [1, 0] * 6])
    assert np.isnan(item_rest(same)).all()


def test_what_is_open_for_many_leaves_the_part_and_for_few_the_submission():
    points = np.zeros((20, 3))
    points[0, 0] = np.nan  # one of twenty
    points[:12, 2] = np.nan
    rows, parts = settled(points)
    assert parts.tolist() == [True, True, False]
    assert rows.tolist() == [False] + [True] * 19
    rows, parts = settled(np.full((5, 2), np.nan))
    assert not rows.any()
    assert not parts.any()


def test_parts_are_compared_from_ten_submissions_on():
    draw = np.random.default_rng(0)
    points = draw.integers(0, 3, (10, 3)).astype(float)
    points[:, 2] = np.maximum(points[:, 2], 1)  # nobody is empty
    worth = np.array([2.0, 2.0, 2.0])
    assert all(math.isnan(of.correlation) for of in part_numbers(points[:9], worth))
    of = part_numbers(points, worth)[0]
    assert of.low < of.correlation < of.high
    assert of.difficulty == pytest.approx(1 - points[:, 0].mean() / 2)
    assert of.zero == (points[:, 0] == 0).mean()
    assert of.full == (points[:, 0] == 2).mean()


def test_empty_submissions_do_not_make_parts_agree():
    draw = np.random.default_rng(0)
    points = draw.integers(1, 3, (40, 3)).astype(float)
    worth = np.full(3, 2.0)
    with_empty = np.vstack([points, np.zeros((10, 3))])
    assert alpha(with_empty) > 0.7
    assert [of.correlation for of in part_numbers(with_empty, worth)] == pytest.approx(item_rest(points))
    assert part_numbers(with_empty, worth)[0].mean == pytest.approx(points[:, 0].sum() / 100)


def test_a_histogram_loses_nobody():
    assert histogram(np.array([-5, 0, 49.9, 50, 100, 120, np.nan]), 0, 100, 2).tolist() == [3, 3]
    assert [round_up(value) for value in (0, 0.03, 1, 1.2, 7, 9, 95)] == [1, 0.04, 1, 2, 8, 10, 100]
