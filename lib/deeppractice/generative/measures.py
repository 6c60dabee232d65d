"""How good is a generator? Modes hit, a two-sample test, precision and recall, and a test for memorised data.

Source: Gretton et al. (2012), A kernel two-sample test; Kynkäänniemi et al. (2019), Improved precision and recall
metric for assessing generative models. Taught in chapter 1, "How to tell a good generator".
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def mode_count(samples: Tensor, modes: Tensor, *, radius: float, share: float = 0.01) -> tuple[int, float]:
    """How many modes are hit, and the share of samples that hit one: (N, D), (K, D) -> (count, share).

    A sample hits the nearest mode if it is at most `radius` away; a mode counts if `share` of all samples, at least,
    hit it (with K modes of equal weight, 1 / K would be its fair share).

    Raises:
        ValueError: for other shapes, no samples, or a radius that is not positive.
    """
    _require_rows(samples=samples, modes=modes)
    if not radius > 0:
        raise ValueError(f"expected a radius above 0, got {radius}")
    distance, nearest = _distances(samples, modes).min(dim=1)
    hits = torch.bincount(nearest[distance <= radius], minlength=len(modes))
    return int((hits >= share * len(samples)).sum()), int(hits.sum()) / len(samples)


@dataclass(frozen=True)
class TwoSampleTest:
    """Outcome of a permutation test that two samples come from one distribution.

    Attributes:
        statistic: unbiased estimate of the squared maximum mean discrepancy; about 0 for equal distributions.
        p_value: share of permutations, the given labels among them, whose statistic is at least as large.
        bandwidth: of the Gaussian kernel, in the units of the data.
    """

    statistic: float
    p_value: float
    bandwidth: float


def mmd(x: Tensor, y: Tensor, *, bandwidth: float | None = None) -> Tensor:
    r"""Unbiased estimate of the squared maximum mean discrepancy with a Gaussian kernel: (N, D), (M, D) -> scalar.

    $$\mathbb E\, k(x, x') - 2\, \mathbb E\, k(x, y) + \mathbb E\, k(y, y'), \qquad
      k(x, y) = \exp\bigl(-\lVert x - y \rVert^2 / 2h^2\bigr)$$

    Differentiable in x and y. Source: Gretton et al. (2012), equation 3.

    Args:
        bandwidth: h; by default the median of all pairwise distances.

    Raises:
        ValueError: for samples of other shapes, with fewer than two rows, or all of whose rows are the same.
    """
    kernel, n, _ = _gram(x, y, bandwidth)
    first = torch.arange(len(kernel), device=kernel.device) < n
    return _statistic(kernel, first[None].to(kernel.dtype))[0]


def mmd_test(
    x: Tensor,
    y: Tensor,
    *,
    permutations: int = 500,
    bandwidth: float | None = None,
    generator: torch.Generator | None = None,
) -> TwoSampleTest:
    """Do x and y come from the same distribution? A permutation test on `mmd`, exact at any sample size.

    Source: Gretton et al. (2012), section 5, for the statistic; Phipson and Smyth (2010) for counting the given labels
    as one of the permutations, without which the p-value could be 0.
    """
    if permutations < 1:
        raise ValueError(f"expected 1 permutation or more, got {permutations}")
    kernel, n, bandwidth = _gram(x.detach(), y.detach(), bandwidth)
    total = len(kernel)
    # The n rows with the smallest of `total` random numbers are a random choice of n: all permutations at once.
    keys = torch.rand(permutations, total, generator=generator, device=kernel.device)
    first = torch.zeros(permutations + 1, total, device=kernel.device, dtype=kernel.dtype)
    first[1:].scatter_(1, keys.argsort(dim=1)[:, :n], 1.0)
    first[0, :n] = 1.0  # the given labels
    statistics = _statistic(kernel, first)
    # Sums in another order differ in the last digits; a permutation that changes nothing has to count as equal.
    rounding = 32 * torch.finfo(kernel.dtype).eps * kernel.mean()
    at_least = statistics >= statistics[0] - rounding
    return TwoSampleTest(float(statistics[0]), int(at_least.sum()) / len(at_least), bandwidth)


def _gram(x: Tensor, y: Tensor, bandwidth: float | None) -> tuple[Tensor, int, float]:
    """The kernel matrix of all rows, with zeros on its diagonal, (N + M, N + M); how many are first; the bandwidth.

    The smaller sample comes first: its sums, as a difference of larger ones, would lose their digits in float32.
    """
    _require_rows(x=x, y=y)
    if len(x) < 2 or len(y) < 2:
        raise ValueError(f"expected two samples of 2 rows or more, got {tuple(x.shape)} and {tuple(y.shape)}")
    rows = torch.cat(sorted([x, y], key=len))
    if (rows == rows[0]).all():
        raise ValueError(f"expected data that vary, but all {len(rows)} rows of both samples are the same")
    distances = _distances(rows, rows)
    if bandwidth is None:
        i, j = torch.triu_indices(len(rows), len(rows), offset=1, device=rows.device)
        bandwidth = float(distances.detach()[i, j].median())
    if not bandwidth > 0:
        raise ValueError(f"expected a bandwidth above 0, got {bandwidth:g}")
    kernel = torch.exp(-distances.square() / (2 * bandwidth**2))
    return kernel - torch.diag(torch.diagonal(kernel)), min(len(x), len(y)), bandwidth


def _statistic(kernel: Tensor, first: Tensor) -> Tensor:
    """Unbiased MMD² for each labelling: (N, N), (P, N) of zeros and ones -> (P,)."""
    n = first[0].sum()
    m = first.shape[1] - n
    with_first = first @ kernel  # (P, N): sum of the kernel over the rows of the first sample
    xx = (with_first * first).sum(1)
    xy = with_first.sum(1) - xx
    yy = kernel.sum() - xx - 2 * xy
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3) -> tuple[float, float]:
    """Share of generated data that look real, and share of real data that the generator covers: (N, D), (M, D).

    Around each point of a sample lies a ball that reaches to its k-th neighbour in that sample; the balls together
    stand for the sample's support. Precision is the share of `fake` in the balls of `real`, recall the share of `real`
    in the balls of `fake`. Source: Kynkäänniemi et al. (2019), equations 1 and 2.

    Raises:
        ValueError: for samples of other shapes, with k rows or fewer, or all of whose rows are the same.
    """
    _require_rows(real=real, fake=fake)
    return _covered(fake, by=real, k=k, name="real"), _covered(real, by=fake, k=k, name="fake")


def _covered(points: Tensor, *, by: Tensor, k: int, name: str) -> float:
    if not 1 <= k < len(by):
        raise ValueError(f"expected k from 1 to {len(by) - 1}, one less than the rows of `{name}`, got {k}")
    if name == "real" and (by == by[0]).all():
        raise ValueError(f"expected data that vary, but all {len(by)} rows of `real` are the same")
    # The nearest of all is the point itself. (Not kthvalue, which has no deterministic form on a GPU.)
    radius = _distances(by, by).topk(k + 1, dim=1, largest=False).values[:, -1]
    return int((_distances(points, by) <= radius).any(dim=1).sum()) / len(points)


def memorisation(fake: Tensor, train: Tensor, held_out: Tensor) -> float:
    """Share of generated data that lie closer to the training data than to as many held-out data: about 0.5 if none
    were memorised, 1 if all were copied. (N, D), (M, D), (M, D) -> share.

    Only distances to equally many data compare, so both sets are cut to the smaller one.

    Source: the plainest form of the test with nearest neighbours of Meehan et al. (2020), section 4.1.
    """
    _require_rows(fake=fake, train=train, held_out=held_out)
    rows = min(len(train), len(held_out))
    seen, unseen = (_distances(fake, data[:rows]).min(dim=1).values for data in (train, held_out))
    return (int((seen < unseen).sum()) + 0.5 * int((seen == unseen).sum())) / len(fake)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean: (N, D), (M, D) -> (N, M).

    By differences, exact near 0; above 32 columns by a matrix product, which is 30 times as fast at 784 columns, about
    a common centre, without which it would lose digits where data lie far from the origin.
    """
    if x.shape[1] <= 32:
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    centre = y.detach().mean(dim=0)
    return torch.cdist(x - centre, y - centre)


def _require_rows(**tables: Tensor) -> None:
    for name, x in tables.items():
        if x.ndim != 2 or len(x) == 0:
            raise ValueError(f"expected {name} of shape (rows, dimensions), got {tuple(x.shape)}: flatten images first")
        if not x.isfinite().all():
            raise ValueError(f"expected finite values, got NaN or infinity in {name}")
    columns = {name: x.shape[1] for name, x in tables.items()}
    if len(set(columns.values())) > 1:
        raise ValueError(f"expected equally many columns, got {columns}")
