"""The measures of a generator, against double loops, scikit-learn, all permutations listed, and cases by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from deeppractice.generative import gaussian_ring, memorisation, mmd, mmd_test, mode_count, precision_recall

NAN, INF = float("nan"), float("inf")


def draw(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(n: int, dimensions: int = 2, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, dimensions, generator=draw(seed), dtype=dtype)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


# Modes


def test_modes_by_hand() -> None:
    modes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    # Five on the first mode, three near the second, one exactly a radius away from the third, one far from all.
    samples = torch.tensor([[0.0, 0.0]] * 5 + [[10.0, 0.5]] * 3 + [[0.0, 9.0]] + [[50.0, 50.0]])
    assert mode_count(samples, modes, radius=1.0) == (3, 0.9)
    assert mode_count(samples, modes, radius=0.99) == (2, 0.8)
    assert mode_count(samples, modes, radius=0.1) == (1, 0.5)
    assert mode_count(samples, modes, radius=1.0, share=0.1) == (3, 0.9)  # one of ten: the share is enough
    assert mode_count(samples, modes, radius=1.0, share=0.11) == (2, 0.9)
    assert mode_count(samples, modes, radius=1.0, share=0.4) == (1, 0.9)
    assert mode_count(samples, modes, radius=1000.0) == (3, 1.0)  # each sample hits the nearest mode only
    assert mode_count(samples[-1:], modes, radius=1.0) == (0, 0.0)


def test_modes_of_a_ring_and_of_a_collapsed_generator() -> None:
    ring = gaussian_ring()
    samples = ring.sample(4000, generator=draw())
    count, share = mode_count(samples, ring.means, radius=3 * ring.std)
    # In the plane a Gaussian lies within three standard deviations with probability 1 - exp(-9/2).
    assert count == 8
    assert share == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert mode_count(samples[samples[:, 0] > 0.9], ring.means, radius=3 * ring.std)[0] == 1


# The two-sample statistic


def by_double_loop(x: Tensor, y: Tensor, h: float) -> float:
    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)) / (2 * h**2))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


@pytest.mark.parametrize(("n", "m", "dimensions"), [(7, 7, 2), (9, 4, 3), (2, 5, 1), (6, 8, 40)])
def test_mmd_is_the_double_loop(n: int, m: int, dimensions: int) -> None:
    x, y = normal(n, dimensions), 0.5 + normal(m, dimensions, seed=2)
    for h in (0.8, 3.0):
        assert mmd(x, y, bandwidth=h).item() == pytest.approx(by_double_loop(x, y, h), rel=1e-11, abs=1e-13)
    rows = torch.cat([x, y])
    middle = np.sort(torch.pdist(rows).numpy())[(len(rows) * (len(rows) - 1) // 2 - 1) // 2]  # the lower of two
    assert mmd(x, y).item() == pytest.approx(by_double_loop(x, y, middle), rel=1e-10)
    assert mmd_test(x, y, permutations=3).bandwidth == pytest.approx(middle, rel=1e-12)


def test_mmd_against_the_kernel_of_scikit_learn() -> None:
    x, y, h = normal(60, 5), normal(45, 5, seed=2) * 1.3, 1.7
    xx, yy, xy = [rbf_kernel(a.numpy(), b.numpy(), gamma=1 / (2 * h**2)) for a, b in ((x, x), (y, y), (x, y))]
    off = [(gram.sum() - np.trace(gram)) / (len(gram) * (len(gram) - 1)) for gram in (xx, yy)]
    assert mmd(x, y, bandwidth=h).item() == pytest.approx(sum(off) - 2 * xy.mean(), rel=1e-11)


@pytest.mark.parametrize("dimensions", [2, 40])
def test_gradients_of_mmd(dimensions: int) -> None:
    x, y = normal(4, dimensions).requires_grad_(), normal(5, dimensions, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: mmd(a, b, bandwidth=1.5), (x, y))


def test_the_statistic_is_unbiased_and_symmetric() -> None:
    values = torch.stack([mmd(normal(8, seed=2 * s), normal(5, seed=2 * s + 1), bandwidth=1.0) for s in range(2000)])
    assert values.mean().abs() < 5 * values.std() / math.sqrt(2000)
    x, y = normal(30), normal(20, seed=2) + 0.3
    torch.testing.assert_close(mmd(x, y), mmd(y, x), rtol=1e-11, atol=1e-14)


def test_a_small_sample_beside_a_large_one_keeps_its_digits_in_float32() -> None:
    x, y = normal(2000), normal(5, seed=2) + 1
    exact = mmd(x, y, bandwidth=1.0).item()
    assert mmd(x.float(), y.float(), bandwidth=1.0).item() == pytest.approx(exact, abs=1e-5)
    assert mmd(y.float(), x.float(), bandwidth=1.0).item() == pytest.approx(exact, abs=1e-5)


def test_data_far_from_the_origin_keep_their_digits_in_float32() -> None:
    for dimensions in (2, 64):
        x, y = normal(60, dimensions), normal(60, dimensions, seed=2) + 0.2
        there = [(z + torch.linspace(-300, 300, dimensions)).float() for z in (x, y)]
        assert mmd(*there).item() == pytest.approx(mmd(*[z.double() for z in there]).item(), abs=2e-5)
        assert precision_recall(*there) == precision_recall(*[z.double() for z in there])


# The permutation test


def test_the_p_value_is_the_share_of_all_permutations() -> None:
    x, y = normal(4), normal(3, seed=2) + 0.8
    rows, given = torch.cat([x, y]), by_double_loop(x, y, 1.0)
    values = []
    for first in itertools.combinations(range(7), 4):
        rest = [i for i in range(7) if i not in first]
        values.append(by_double_loop(rows[list(first)], rows[rest], 1.0))
    exact = sum(value >= given - 1e-12 for value in values) / len(values)
    assert 0.05 < exact < 0.95
    found = mmd_test(x, y, permutations=4000, bandwidth=1.0, generator=draw())
    assert found.statistic == pytest.approx(given, rel=1e-11)
    assert found.p_value == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 4000))


def test_permutations_that_change_nothing_count_as_equal_in_float32_too() -> None:
    # Three zeros and three ones: of the 20 ways to choose three, two give the labelling back.
    for dtype in (torch.float32, torch.float64):
        x, y = torch.zeros(3, 1, dtype=dtype), torch.ones(3, 1, dtype=dtype)
        p = mmd_test(x, y, permutations=4000, generator=draw()).p_value
        assert p == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / 4000))
    # All rows as far from each other as from themselves: whatever the labels, the same statistic.
    corners = torch.eye(8)
    assert mmd_test(corners[:3], corners[3:], permutations=200, generator=draw()).p_value == 1.0


def test_equal_distributions_are_rejected_as_often_as_the_level_says() -> None:
    repetitions, p = 600, []
    for seed in range(repetitions):
        x, y = normal(12, seed=2 * seed + 1), normal(18, seed=2 * seed + 2)
        p.append(mmd_test(x, y, permutations=99, generator=draw(seed)).p_value)
    p = np.array(p)
    for level in (0.05, 0.2):  # with 99 permutations exactly this level; four standard deviations of a binomial
        rejected = (p <= level + 1e-9).sum()
        assert abs(rejected - level * repetitions) < 4 * math.sqrt(repetitions * level * (1 - level))
    assert p.mean() == pytest.approx(0.505, abs=4 / math.sqrt(12 * repetitions))


def test_a_shift_and_another_spread_are_found_and_the_p_value_is_never_0() -> None:
    x = normal(100)
    for other in (normal(100, seed=2) + 1, 2.5 * normal(100, seed=2)):
        assert mmd_test(x, other, permutations=199, generator=draw()).p_value == 1 / 200
    assert mmd_test(x, x + 100, permutations=9, generator=draw()).p_value == 0.1


def test_the_test_repeats_with_its_generator_and_the_samples_may_change_places() -> None:
    x, y = normal(30), normal(20, seed=2) + 0.3
    one = mmd_test(x, y, generator=draw())
    assert one == mmd_test(x, y, generator=draw())
    other = mmd_test(y, x, generator=draw(5))
    assert other.statistic == pytest.approx(one.statistic, rel=1e-10)
    assert other.bandwidth == one.bandwidth
    assert other.p_value == pytest.approx(one.p_value, abs=0.08)
    assert mmd_test(x, y.clone().requires_grad_(), generator=draw()) == one
    assert mmd_test(x, y).p_value == pytest.approx(one.p_value, abs=0.08)  # 500 permutations by default


# Precision, recall, memorisation


def in_scikit_learn(points: Tensor, by: Tensor, k: int) -> float:
    neighbours = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(by.numpy())
    radius = neighbours.kneighbors(by.numpy())[0][:, k]  # the first neighbour is the point itself
    hits = 0
    for point in points.numpy():
        hits += bool((np.sqrt(np.square(by.numpy() - point).sum(1)) <= radius).any())
    return hits / len(points)


@pytest.mark.parametrize("dimensions", [1, 3, 50])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_precision_and_recall_are_those_of_scikit_learn(dimensions: int, k: int) -> None:
    real, fake = normal(60, dimensions), 0.7 * normal(40, dimensions, seed=2) + 0.3
    expected = (in_scikit_learn(fake, real, k), in_scikit_learn(real, fake, k))
    assert precision_recall(real, fake, k=k) == pytest.approx(expected, abs=1e-12)
    assert precision_recall(fake, real, k=k) == pytest.approx(expected[::-1], abs=1e-12)
    if k == 3:
        assert precision_recall(real, fake) == pytest.approx(expected, abs=1e-12)


def test_precision_and_recall_by_hand() -> None:
    real = column(0, 1, 2, 3)  # radius 1 about each
    # 2.5 is in, 4 on the edge of the ball about 3, the others are out. The radii of the fake ones are 1.5, 1.5, 0.1 and
    # 0.1: 1 is on the edge, 2 and 3 are in, 0 is out.
    assert precision_recall(real, column(2.5, 4, 40, 40.1), k=1) == (0.5, 0.75)
    assert precision_recall(real, column(0.5, 0.6, 40, 40.1), k=1) == (0.5, 0.0)
    assert precision_recall(real, real, k=1) == (1.0, 1.0)
    assert precision_recall(real, column(9, 9, 9, 9), k=1) == (0.0, 0.0)  # a collapsed generator has an answer
    assert precision_recall(real, column(1, 1, 1, 1), k=1) == (1.0, 0.25)


def test_memorisation_by_hand() -> None:
    train, held_out = column(0, 10, 20), column(5, 15, 25)
    assert memorisation(train, train, held_out) == 1.0
    assert memorisation(held_out, train, held_out) == 0.0
    assert memorisation(column(2.5, 12.5), train, held_out) == 0.5  # as close to one as to the other
    assert memorisation(column(1, 14, 19, 2.5), train, held_out) == 2.5 / 4
    # 20 and 25 are left out where the other set has two rows.
    assert memorisation(column(19), train, held_out[:2]) == 0.0
    assert memorisation(column(24), train[:2], held_out) == 0.0


def test_memorisation_of_independent_data_is_about_a_half() -> None:
    found = [
        memorisation(normal(200, seed=s), normal(2000, seed=s + 100), normal(200, seed=s + 200)) for s in range(40)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found, ddof=1) / math.sqrt(40))
    assert np.std(found) < 0.1
    copies = normal(200, seed=1)[:50] + 0.01 * normal(50, seed=2)
    assert memorisation(copies, normal(200, seed=1), normal(200, seed=3)) > 0.9


# What they refuse

MEASURES = {
    "modes": lambda x, y: mode_count(x, y, radius=1.0),
    "mmd": mmd,
    "test": mmd_test,
    "precision": lambda x, y: precision_recall(x, y, k=1),
    "memorisation": lambda x, y: memorisation(x, y, y),
    "held out": lambda x, y: memorisation(x, x, y),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_samples_that_are_no_tables(measure: str) -> None:
    good = normal(6)
    for bad, message in (
        (torch.zeros(6), r"of shape \(rows, dimensions\), got \(6,\): flatten images first"),
        (torch.zeros(6, 1, 4, 4), r"got \(6, 1, 4, 4\)"),
        (torch.zeros(0, 2), r"got \(0, 2\)"),
        (torch.tensor([[0.0, NAN]] * 6), "expected finite values, got NaN or infinity in"),
        (torch.tensor([[INF, 0.0]] * 6), "expected finite values, got NaN or infinity in"),
        (normal(6, 3), "expected equally many columns, got {.*3"),
    ):
        for pair in ((bad, good), (good, bad)):
            with pytest.raises(ValueError, match=message):
                MEASURES[measure](*pair)


def test_samples_too_small_or_all_the_same() -> None:
    x = normal(6)
    for pair in ((x[:1], x), (x, x[:1])):
        with pytest.raises(ValueError, match="expected two samples of 2 rows or more, got"):
            mmd(*pair)
    for dimensions in (2, 64):
        for seed in range(50):  # whatever the rounding of their distances
            same = (10 * torch.rand(1, dimensions, generator=draw(seed))).repeat(40, 1)
            for bandwidth in (None, 1.0):
                with pytest.raises(ValueError, match="expected data that vary, but all 80 rows of both samples"):
                    mmd(same, same, bandwidth=bandwidth)
            with pytest.raises(ValueError, match="expected data that vary, but all 40 rows of `real` are the same"):
                precision_recall(same, torch.rand(40, dimensions))
    mostly = torch.zeros(40, 2)
    mostly[0] = 1.0
    with pytest.raises(ValueError, match="expected a bandwidth above 0, got 0"):
        mmd(mostly, mostly)
    assert mmd(mostly, mostly, bandwidth=1.0).isfinite()


def test_settings_out_of_range() -> None:
    x = normal(6)
    for radius in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match=f"expected a radius above 0, got {radius}"):
            mode_count(x, x, radius=radius)
    for bandwidth in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match="expected a bandwidth above 0, got"):
            mmd(x, x, bandwidth=bandwidth)
    with pytest.raises(ValueError, match="expected 1 permutation or more, got 0"):
        mmd_test(x, x, permutations=0)
    for k in (0, 6):
        with pytest.raises(ValueError, match=f"expected k from 1 to 5, one less than the rows of `real`, got {k}"):
            precision_recall(x, normal(9), k=k)
    with pytest.raises(ValueError, match="expected k from 1 to 5, one less than the rows of `fake`, got 6"):
        precision_recall(normal(9), x, k=6)


def test_float32_on_any_device_is_float64_on_the_cpu(device: torch.device) -> None:
    for dimensions in (2, 40):
        x, y = normal(50, dimensions), normal(40, dimensions, seed=2) + 1
        here = [z.float().to(device) for z in (x, y)]
        assert mmd(*here).item() == pytest.approx(mmd(x, y).item(), abs=1e-5)
        found = mmd_test(*here, generator=torch.Generator(device).manual_seed(0))
        assert found.statistic == pytest.approx(mmd(x, y).item(), abs=1e-5)
        assert found.p_value < 0.05
        assert precision_recall(*here) == precision_recall(x, y)
        assert mode_count(*here, radius=1.0) == mode_count(x, y, radius=1.0)
        assert memorisation(here[0], here[1], here[1] + 1) == memorisation(x, y, y + 1)
