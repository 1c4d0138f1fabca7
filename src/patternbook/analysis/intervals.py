"""Intervals: Wilson's for shares of people, a bootstrap by cluster for ratios of totals and for means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, norm, poisson

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
REPLICATES = 8000  # the ends then move by 4 % of a standard error from seed to seed
MIN_CLUSTERS = 10  # below it no interval of this kind keeps its promise
MAX_GROUPS = 2000  # clusters beyond it are pooled at random, which keeps the variance and bounds the work
CHUNK = 250  # replicates at a time: 250 x 2000 weights are 4 MB

# Poisson(1) by its quantiles at 2¹⁶ points: mean and variance right to 1e-4, and drawn ten times as fast.
POISSON: Floats = poisson.ppf((np.arange(2**16) + 0.5) / 2**16, 1.0)


class Estimate(NamedTuple):
    """A value with its 95 % interval, counted or summed over `n` people (or other independent units).

    `low` and `high` are None where no interval can be had.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """`(low, high)`, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Wilson score interval of a share; arrays of one shape in, `(low, high)` of that shape out, NaN for no trials.

    Wilson (1927), J. Am. Stat. Assoc. 22, 209–212; equation (4) of Brown, Cai & DasGupta (2001), Statistical
    Science 16, 101–133.
    """
    x, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    if np.any(x < 0) or np.any(x > n):
        raise ValueError("successes lie between 0 and trials")
    z = norm.ppf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = x / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = np.where(x == 0, 0.0, centre - half)  # exact at the ends, where rounding would leave -1e-17
    high = np.where(x == n, 1.0, centre + half)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def share(successes: int, trials: int) -> Estimate | None:
    """A share of people with its Wilson interval; None where there are no trials."""
    if trials == 0:
        return None
    low, high = wilson(successes, trials)
    return Estimate(successes / trials, float(low), float(high), trials)


def median(values: npt.ArrayLike) -> Estimate | None:
    """Median (of two middle values the lower) of independent values with its 95 % interval; None without values.

    The interval assumes no distribution; its ends are values themselves: order statistics by the binomial distribution
    (David & Nagaraja 2003, section 7.1).
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    if n == 0:
        return None
    middle = float(ordered[(n - 1) // 2])
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))
    if rank < 1:
        return Estimate(middle, None, None, n)
    return Estimate(middle, float(ordered[rank - 1]), float(ordered[n - rank]), n)


def ratio_of_totals(totals: npt.ArrayLike, powers: Sequence[int], *, seed: int = 0) -> Estimate | None:
    """Product of powers of totals, such as revenue ÷ orders, with a 95 % interval by cluster.

    `totals` has one row a cluster (a customer: their orders are not independent) and one column a total;
    revenue per order is `powers=(1, -1)` of (revenue, orders), its change between two periods
    `(1, -1, -1, 1)` of (revenue, orders, earlier revenue, earlier orders). None where a total is not positive;
    no interval below `MIN_CLUSTERS` clusters.

    The interval is a studentised bootstrap of the logarithm (Davison & Hinkley 1997, chapter 5)
    with Poisson(1) weights by cluster (Hanley & MacGibbon 2006) and a standard error by linearisation
    (Cochran 1977, chapter 6). It keeps its promise for skewed amounts, where plain percentiles are too short.
    """
    clusters = np.asarray(totals, dtype=float)
    power = np.asarray(powers, dtype=float)
    if clusters.ndim != 2 or clusters.shape[1] != len(power):
        raise ValueError(f"totals has shape {clusters.shape}, powers {len(power)} entries")
    clusters = clusters[np.any(clusters != 0, axis=1)]
    sums = clusters.sum(axis=0)
    if np.any(sums <= 0):
        return None
    value = float(np.exp(power @ np.log(sums)))
    n = len(clusters)
    if n < MIN_CLUSTERS:
        return Estimate(value, None, None, n)
    rng = np.random.default_rng(seed)
    groups = _pooled(clusters, rng)
    error = float(_standard_error(sums[None, :], _moments(groups).sum(axis=0)[None, :], power)[0])
    if error < 1e-12:  # every cluster has the same ratio
        return Estimate(value, value, value, n)
    quantiles = np.quantile(_studentised(groups, power, rng), [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])
    low, high = value * np.exp(-quantiles * error)
    return Estimate(value, float(low), float(high), n)


def mean_by_cluster(totals: npt.ArrayLike, *, seed: int = 0) -> Estimate | None:
    """Mean of what may be negative, such as a paired difference, with a 95 % interval by cluster.

    `totals` has one row a cluster: the sum of its values, and how many they are (or their weight). None where nothing
    is counted; no interval below `MIN_CLUSTERS` clusters. The interval is a studentised bootstrap with Poisson(1)
    weights by cluster and the standard error of a ratio, as in `ratio_of_totals`, but of the mean itself.
    """
    clusters = np.asarray(totals, dtype=float)
    clusters = clusters[clusters[:, 1] > 0]
    n = len(clusters)
    if not n:
        return None
    total, count = clusters.sum(axis=0)
    value = float(total / count)
    if n < MIN_CLUSTERS:
        return Estimate(value, None, None, n)
    rng = np.random.default_rng(seed)
    groups = _pooled(clusters, rng)
    moments = np.column_stack([groups, groups[:, 0] ** 2, groups[:, 0] * groups[:, 1], groups[:, 1] ** 2])
    error = float(_error_of_mean(moments.sum(axis=0)[None, :])[0])
    if error < 1e-12:  # every cluster has the same mean
        return Estimate(value, value, value, n)
    drawn = np.concatenate(
        [
            _studentised_mean(POISSON[rng.integers(0, len(POISSON), (CHUNK, len(groups)), np.uint16)] @ moments, value)
            for _ in range(REPLICATES // CHUNK)
        ]
    )
    upper, lower = np.quantile(drawn[np.isfinite(drawn)], [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])
    return Estimate(value, float(value - upper * error), float(value - lower * error), n)


def _error_of_mean(moments: Floats) -> Floats:
    """Standard errors of s/n, one a row of the sums of s, n, s², s·n and n² over clusters (Cochran 1977, chapter 6)."""
    s, n, s_s, s_n, n_n = moments.T
    mean = s / n
    error: Floats = np.sqrt(np.maximum(s_s - 2 * mean * s_n + mean**2 * n_n, 0)) / n
    return error


def _studentised_mean(moments: Floats, value: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        replicates: Floats = (moments[:, 0] / moments[:, 1] - value) / _error_of_mean(moments)
    return replicates


def _pooled(clusters: Floats, rng: np.random.Generator) -> Floats:
    """At most `MAX_GROUPS` sums of clusters put together at random."""
    if len(clusters) <= MAX_GROUPS:
        return clusters
    group = rng.permutation(len(clusters)) % MAX_GROUPS
    return np.column_stack([np.bincount(group, weights=column, minlength=MAX_GROUPS) for column in clusters.T])


def _moments(groups: Floats) -> Floats:
    """Products of every two columns, one flattened matrix a row."""
    products: Floats = np.einsum("ij,ik->ijk", groups, groups)
    return products.reshape(len(groups), -1)


def _standard_error(sums: Floats, moments: Floats, power: Floats) -> Floats:
    """Standard errors of the logarithm of the product of powers, one a row of sums (which may be replicates).

    Linearised: a cluster moves the logarithm by Σₖ pₖ·tₖ/Tₖ, which sums to Σₖ pₖ over the clusters.
    """
    k = len(power)
    slope = power / sums
    variance: Floats = np.einsum("bj,bjk,bk->b", slope, moments.reshape(-1, k, k), slope)
    return np.sqrt(variance)


def _studentised(groups: Floats, power: Floats, rng: np.random.Generator) -> Floats:
    """Replicates of (log R* − log R) ÷ se*."""
    moments = _moments(groups)
    centre = power @ np.log(groups.sum(axis=0))
    replicates = []
    for _ in range(REPLICATES // CHUNK):
        weights = POISSON[rng.integers(0, len(POISSON), size=(CHUNK, len(groups)), dtype=np.uint16)]
        sums = weights @ groups
        sums = np.where(sums > 0, sums, np.nan)  # a replicate with nothing in it says nothing
        error = _standard_error(sums, weights @ moments, power)
        with np.errstate(divide="ignore", invalid="ignore"):
            replicates.append((np.log(sums) @ power - centre) / error)
    drawn: Floats = np.concatenate(replicates)
    return drawn[np.isfinite(drawn)]
