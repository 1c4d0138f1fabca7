"""Clusters are found where there are some, and not where there are none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom, spearmanr

from patternbook.analysis import clusters
from patternbook.analysis.clusters import Clusters
from patternbook.analysis.intervals import Floats
from patternbook.analysis.measure import LeftOut
from patternbook.charts import segmentation as charts
from patternbook.formats import Formats

US = Formats("USD", "en_US")
CENTRES = [(5, 2, 4), (60, 30, 5), (300, 2, 400)]  # recency, frequency, order value


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller samples and fewer resamples, for time; the level of the verdict needs all draws."""
    monkeypatch.setattr(clusters, "SAMPLE", 300)
    monkeypatch.setattr(clusters, "RESAMPLES", 5)


def buyers(logs: Floats) -> pl.DataFrame:
    recency, frequency, value = np.exp(logs).T
    frequency = np.maximum(1, np.round(frequency))
    return pl.DataFrame(
        {
            "customer_id": np.arange(len(logs)),
            "recency": np.round(recency).astype(int),
            "frequency": frequency.astype(int),
            "monetary": frequency * value,
        }
    )


def with_clusters(n: int, seed: int = 0, spread: float = 0.25) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return buyers(np.log(CENTRES)[np.arange(n) % 3] + rng.normal(0, spread, (n, 3)))


def without(n: int, seed: int) -> pl.DataFrame:
    """One cloud: those who bought often bought lately; frequency is a count, most of it one."""
    rng = np.random.default_rng(seed)
    covariance = [[1.0, -0.5, 0.0], [-0.5, 1.0, 0.2], [0.0, 0.2, 0.7]]
    return buyers(rng.multivariate_normal([4, 0.3, 3.5], covariance, n))


def found(frame: pl.DataFrame, most: int = 5) -> Clusters:
    result = clusters.find(frame, most, 50, 10)
    assert isinstance(result, Clusters)
    return result


def test_clusters_that_are_there_are_found() -> None:
    result = found(with_clusters(600))
    assert result.k == 3
    assert result.ks == (3, 3)
    assert result.silhouette.value > 0.55
    assert result.silhouette.low is not None
    assert result.silhouette.low < result.silhouette.value
    assert result.real
    assert result.stability.value > 0.95
    assert "fall into 3 clusters" in clusters.answer(result, US)
    members = result.customers.with_columns((pl.col("customer_id") % 3).alias("truth"))
    assert members.group_by("truth").agg(pl.col("cluster").n_unique())["cluster"].to_list() == [1, 1, 1]


def test_data_without_clusters_are_seldom_said_to_have_some() -> None:
    """By the comparison with structureless data alone, at a level of 5 %."""
    seeds = 20
    wrong = sum(found(without(300, seed), most=3).p_value <= clusters.LEVEL for seed in range(seeds))
    assert wrong <= binom.ppf(0.999, seeds, clusters.LEVEL)


def test_without_clusters_the_answer_says_so() -> None:
    result = found(without(600, 1))
    assert not result.real
    assert "no real clusters" in clusters.answer(result, US)


def test_clusters_that_run_into_one_another_are_called_weak() -> None:
    result = found(with_clusters(600, spread=1.4))
    assert result.there and not result.real
    assert result.p_value <= clusters.LEVEL
    assert result.silhouette.value < clusters.REASONABLE
    assert "there but weak" in clusters.answer(result, US)
    assert "weak" in charts.silhouettes(result, US).layout.title.text


def test_structureless_data_keep_columns_and_correlations() -> None:
    points = clusters.features(without(2000, 3)).drop("customer_id").to_numpy()
    drawn = clusters.structureless(points, np.random.default_rng(1))
    assert np.array_equal(np.sort(drawn, axis=0), np.sort(points, axis=0))
    assert spearmanr(drawn).statistic == pytest.approx(spearmanr(points).statistic, abs=0.08)


def test_the_same_data_give_the_same_clusters() -> None:
    one, other = found(with_clusters(200)), found(with_clusters(200))
    assert one.customers.equals(other.customers)
    assert one.silhouette == other.silhouette
    assert one.stability == other.stability


def test_profiles_are_by_size_add_up_and_hide_the_few() -> None:
    frame = pl.concat([with_clusters(300), with_clusters(30, 1).filter(pl.col("customer_id") % 3 == 0)])
    result = found(frame.with_columns(customer_id=pl.int_range(pl.len())))
    assert result.profiles["customers"].is_sorted(descending=True)
    assert result.profiles["customers"].sum() == result.customers.height
    assert result.profiles["revenue_share"].sum() == pytest.approx(1)
    hidden = clusters.find(frame.with_columns(customer_id=pl.int_range(pl.len())), 5, 50, 105)
    assert isinstance(hidden, Clusters)
    assert hidden.profiles["customers"].null_count() > 0


@pytest.mark.parametrize(
    "frame",
    [
        with_clusters(60).clear(),
        with_clusters(49),
        with_clusters(300).with_columns(recency=3, frequency=1, monetary=9.0),
        with_clusters(300).with_columns(monetary=-1.0),
        with_clusters(300).with_columns(recency=pl.col("customer_id") % 2, frequency=1, monetary=9.0),
        with_clusters(300).with_columns(recency=0, frequency=1),
    ],
    ids=["nobody", "49 buyers", "all alike", "no money", "two kinds", "one day"],
)
def test_data_that_allow_no_clusters_are_left_out_in_one_sentence(frame: pl.DataFrame) -> None:
    result = clusters.find(frame, 5, 50, 10)
    assert isinstance(result, LeftOut)
    assert clusters.answer(result, US) == result.reason
    assert all(measure.reason == result.reason for measure in clusters.measures(result))


def test_one_purchase_each_leaves_frequency_out() -> None:
    frame = without(200, 2).with_columns(frequency=1)
    assert clusters.features(frame).columns == ["customer_id", "recency", "order_value"]
    assert found(frame, most=3).customers.height == 200


def test_measures_name_what_was_asked_for() -> None:
    names = {measure.name: measure for measure in clusters.measures(found(with_clusters(200)))}
    assert {"silhouette", "k", "stability"} <= names.keys()
    assert all(measure.interval is not None for measure in names.values())
