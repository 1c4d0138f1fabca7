"""Clusters of buyers, as a second opinion on the segments: how many, how stable, and whether there are any at all.

Any data can be cut into pieces. Whether the pieces are real is asked of data without any: a Gaussian copula with the
same values in each column and the same rank correlations. What it lacks is structure beyond them; clusters that show
in a single column (those who bought once) are no news beside scores and are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import norm, rankdata
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, pairwise_distances, silhouette_samples, silhouette_score
from threadpoolctl import threadpool_limits

from patternbook.analysis import intervals
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats

FEATURES = ("recency", "frequency", "order_value")
SAMPLE = 1500  # buyers: silhouettes take time with the square of it
STARTS = 2  # of k-means; the best counts
RESAMPLES = 20
STRUCTURELESS = 39  # draws: the smallest p-value is then 1/40, and a verdict at 5 % takes one draw at most above
REASONABLE = 0.5  # Kaufman & Rousseeuw (1990), table 4: at or below it a structure is weak and could be artificial
LEVEL = 1 - intervals.CONFIDENCE
Labels = npt.NDArray[np.int64]


class Clusters(NamedTuple):
    """The best division of buyers into `k` groups.

    `customers` has customer_id and `cluster`, 1 for the largest; `profiles` a row a cluster. `silhouettes` has k and
    silhouette; `silhouette` is that of the best k, `structureless` what data without clusters reach, with the range
    of 95 % of draws; `p_value` says how often they reach as much. `stability` is the adjusted Rand index between the
    division and those of resampled buyers, `ks` the best k of resamples.
    """

    customers: pl.DataFrame
    profiles: pl.DataFrame
    silhouettes: pl.DataFrame
    k: int
    ks: tuple[int, int]
    silhouette: Estimate
    structureless: Estimate
    p_value: float
    stability: Estimate

    @property
    def there(self) -> bool:
        """Whether the clusters are clearer than chance alone makes them."""
        return self.p_value <= LEVEL

    @property
    def real(self) -> bool:
        """Whether they lie apart besides."""
        return self.there and self.silhouette.value > REASONABLE


class _Divisions(NamedTuple):
    """k-means for each number of clusters, and the silhouettes of the divisions."""

    models: dict[int, KMeans]
    silhouettes: dict[int, float]

    @property
    def best(self) -> int:
        """The number of clusters with the highest silhouette, the smallest of equals."""
        return max(self.silhouettes, key=lambda k: (self.silhouettes[k], -k))


def features(customers: pl.DataFrame) -> pl.DataFrame:
    """Buyers with money left after returns: customer_id and the logarithms of `FEATURES`, each with variance one."""
    logs = customers.filter(pl.col("monetary") > 0).select(
        "customer_id",
        pl.col("recency").log1p().alias("recency"),
        pl.col("frequency").log().alias("frequency"),
        (pl.col("monetary") / pl.col("frequency")).log().alias("order_value"),
    )
    varied = [name for name in FEATURES if logs[name].n_unique() > 1]
    return logs.select("customer_id", *((pl.col(name) - pl.col(name).mean()) / pl.col(name).std() for name in varied))


def find(customers: pl.DataFrame, most_clusters: int, minimum_buyers: int, minimum_group: int) -> Clusters | LeftOut:
    """Clusters of `segmentation.buyers`; the number of them, and all tests, on a sample of at most `SAMPLE`."""
    scaled = features(customers)
    names = scaled.columns[1:]
    if len(names) < 2 or scaled.height < minimum_buyers or scaled.select(names).n_unique() <= most_clusters:
        return LeftOut("Too few buyers differ in recency, frequency and order value to look for clusters.")
    with threadpool_limits(1):  # sums in one order: the same result in every run
        return _find(customers, scaled, most_clusters, minimum_group)


def _find(customers: pl.DataFrame, scaled: pl.DataFrame, most_clusters: int, minimum_group: int) -> Clusters:
    rng = np.random.default_rng(0)
    points = scaled.drop("customer_id").to_numpy()
    sample = points if len(points) <= SAMPLE else points[np.sort(rng.choice(len(points), SAMPLE, replace=False))]
    found = _divide(sample, most_clusters)
    k = found.best
    labels = found.models[k].predict(sample)
    resamples = [_divide(sample[rng.integers(0, len(sample), len(sample))], most_clusters) for _ in range(RESAMPLES)]
    agreements = [adjusted_rand_score(labels, resample.models[k].predict(sample)) for resample in resamples]
    none = [_divide(structureless(sample, rng), most_clusters) for _ in range(STRUCTURELESS)]
    chance = np.array([max(draw.silhouettes.values()) for draw in none])
    ks = np.quantile([resample.best for resample in resamples], [LEVEL / 2, 1 - LEVEL / 2], method="nearest")
    own = scaled.select("customer_id").with_columns(
        pl.Series("cluster", _by_size(found.models[k].predict(points)), dtype=pl.Int64)
    )
    return Clusters(
        own,
        _profiles(customers.join(own, on="customer_id"), minimum_group),
        pl.DataFrame({"k": list(found.silhouettes), "silhouette": list(found.silhouettes.values())}),
        k,
        (min(int(ks[0]), k), max(int(ks[1]), k)),
        _mean_silhouette(sample, labels),
        Estimate(float(chance.mean()), *_spread(chance), len(chance)),
        (1 + int((chance >= found.silhouettes[k]).sum())) / (1 + len(chance)),
        Estimate(float(np.mean(agreements)), *_spread(np.array(agreements)), len(sample)),
    )


def _divide(points: Floats, most_clusters: int) -> _Divisions:
    distances = pairwise_distances(points)
    models: dict[int, KMeans] = {}
    silhouettes: dict[int, float] = {}
    for k in range(2, most_clusters + 1):
        models[k] = KMeans(k, n_init=STARTS, random_state=0).fit(points)
        if len(np.unique(models[k].labels_)) == k:
            silhouettes[k] = float(silhouette_score(distances, models[k].labels_, metric="precomputed"))
        else:
            silhouettes[k] = -1.0  # fewer distinct points than clusters
    return _Divisions(models, silhouettes)


def structureless(points: Floats, rng: np.random.Generator) -> Floats:
    """As many draws of a Gaussian copula with the normal-scores correlation of `points` and their values by column."""
    n, columns = points.shape
    scores = norm.ppf((rankdata(points, axis=0) - 0.5) / n)
    correlation = np.atleast_2d(np.corrcoef(scores, rowvar=False))
    drawn = rng.multivariate_normal(np.zeros(columns), correlation, size=n, method="eigh")
    ranks = drawn.argsort(axis=0).argsort(axis=0)
    return np.take_along_axis(np.sort(points, axis=0), ranks, axis=0)


def _mean_silhouette(points: Floats, labels: Labels) -> Estimate:
    """Mean silhouette with a normal interval, given the division."""
    each = silhouette_samples(points, labels)
    half = float(norm.ppf(1 - LEVEL / 2) * each.std() / np.sqrt(len(each)))
    value = float(each.mean())
    return Estimate(value, value - half, min(value + half, 1.0), len(each))


def _spread(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _by_size(labels: npt.ArrayLike) -> Labels:
    """Labels numbered from 1 for the largest group."""
    given = np.asarray(labels)
    order = np.argsort(-np.bincount(given), kind="stable")
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(1, len(order) + 1)
    numbered: Labels = numbers[given]
    return numbered


def _profiles(clustered: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """One row a cluster; all but the share are null where it has fewer than `minimum_group` customers."""
    profiles = (
        clustered.group_by("cluster")
        .agg(
            pl.len().cast(pl.Int64).alias("customers"),
            pl.col("recency").median().alias("median_recency"),
            pl.col("frequency").mean().alias("mean_frequency"),
            (pl.col("monetary") / pl.col("frequency")).median().alias("median_order_value"),
            pl.col("monetary").sort().sum().alias("revenue_share"),
        )
        .sort("cluster")
        .with_columns(pl.col("revenue_share") / pl.col("revenue_share").sum())
    )
    hidden = profiles["customers"] < minimum_group
    return profiles.with_columns(
        pl.when(~hidden).then(pl.col(name)).alias(name) for name in profiles.columns if name != "cluster"
    )


def measures(found: Clusters | LeftOut) -> list[Measure]:
    """What 03 records of the clusters: all modelled."""
    labels = {
        "silhouette": "Silhouette of the best division into clusters (1: far apart, 0: none)",
        "silhouette_structureless": "Silhouette that data without clusters reach",
        "stability": "Stability of the clusters (adjusted Rand index over resamples)",
    }
    by_chance = "How often data without clusters reach the silhouette (p-value)"
    if isinstance(found, LeftOut):
        names = {**labels, "k": "Number of clusters", "silhouette_p": by_chance}
        return [Measure(name, label, "number", None, reason=found.reason) for name, label in names.items()]
    values = (found.silhouette, found.structureless, found.stability)
    return [
        *(measured(name, label, "number", one) for (name, label), one in zip(labels.items(), values, strict=True)),
        Measure("k", "Number of clusters", "count", found.k, (found.ks[0], found.ks[1]), found.silhouette.n),
        Measure("silhouette_p", by_chance, "number", found.p_value, _of_draws(found.p_value), STRUCTURELESS),
    ]


def _of_draws(p_value: float) -> tuple[float, float]:
    """What few draws leave open of a p-value of (reached + 1) / (draws + 1): Wilson, the data counted as a draw."""
    low, high = intervals.wilson(p_value * (STRUCTURELESS + 1), STRUCTURELESS + 1)
    return float(low), float(high)


def answer(found: Clusters | LeftOut, formats: Formats) -> str:
    """Whether there are clusters, in two sentences."""
    if isinstance(found, LeftOut):
        return found.reason
    own = formats.value(found.silhouette.value, "number", found.silhouette.interval)
    chance = formats.value(found.structureless.value, "number", found.structureless.interval)
    stable = formats.value(found.stability.value, "number", found.stability.interval)
    if found.real:
        verdict = f"Buyers fall into {found.k} clusters that are clearer than chance makes them"
    elif found.there:
        verdict = (
            f"Groups are there but weak: {found.k} clusters are clearer than chance makes them, yet run into one "
            "another, so that many buyers lie between two"
        )
    else:
        verdict = "Buyers form no real clusters: they differ by degrees, and any border between groups is a choice"
    return (
        f"{verdict}. The best division has a silhouette of {own}; data of the same spread and correlation without "
        f"clusters reach {chance} ({formats.p_value(found.p_value)}). Divisions of resampled buyers agree with it at "
        f"{stable} (adjusted Rand index)."
    )
