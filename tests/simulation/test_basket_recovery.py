"""Planted complements, read through the warehouse: found where they are, nothing found where there are none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from markets import source
from scipy.stats import binom

from patternbook.analysis.baskets import Baskets, baskets
from patternbook.analysis.brands import same_brand
from patternbook.analysis.pairs import Pairs, Rules, associate
from patternbook.analysis.recommendations import Check, check
from patternbook.simulation import simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "warehouse"))
from trial import Trial, trial_project

RULES = Rules(minimum_baskets=10, false_discovery_rate=0.05, prior_baskets=1.0, minimum_group=10)
ON, OFF = ("funnel", "repeat_buying", "spend", "complements"), ("funnel", "repeat_buying", "spend")


@contextmanager
def shop(only: tuple[str, ...]) -> Iterator[tuple[Trial, Path]]:
    """A market of about 9,000 orders, compacted and made into marts."""
    with trial_project() as project:
        made = source(150_000, only=only, customers=15_000, products=150)
        simulate(made, project.root / "raw")
        project.build({"kind": "clickstream", "files": ["raw/*.csv"]})
        yield project, project.root / "raw"


def products(project: Trial) -> pl.DataFrame:
    return pl.read_parquet(project.paths.products)


def paired(project: Trial, rules: Rules = RULES) -> tuple[Baskets, Pairs]:
    own = baskets(project.mart("baskets"), 100)
    result = associate(project.mart("pairs"), project.mart("items"), own, products(project), "product", rules)
    assert isinstance(result, Pairs)
    return own, result


@pytest.fixture(scope="module")
def with_complements() -> Iterator[tuple[Trial, Path]]:
    with shop(ON) as made:
        yield made


def planted(raw: Path) -> pl.DataFrame:
    truth = pl.read_parquet(raw / "truth_complements.parquet").with_columns(
        pl.col("product_a", "product_b").cast(pl.String)
    )
    return truth.with_columns(
        pl.min_horizontal("product_a", "product_b").alias("item_a"),
        pl.max_horizontal("product_a", "product_b").alias("item_b"),
    )


def test_planted_complements_are_found_and_few_false_ones(with_complements: tuple[Trial, Path]) -> None:
    project, raw = with_complements
    _, pairs = paired(project)
    truth = planted(raw)
    orders = dict(project.mart("items").filter(pl.col("level") == "product").select("item", "baskets").iter_rows())
    plenty = truth.filter(pl.col("product_a").replace_strict(orders, default=0) * pl.col("attach") >= 20)
    assert plenty.height >= 4
    assert plenty.join(pairs.kept, on=["item_a", "item_b"], how="anti").is_empty()
    false = pairs.kept.join(truth, on=["item_a", "item_b"], how="anti").height
    assert false <= binom.ppf(0.999, pairs.kept.height, RULES.false_discovery_rate)


def test_planted_attach_rates_lie_within_chance(with_complements: tuple[Trial, Path]) -> None:
    """Orders of the main product that also hold its complement: a binomial count of the planted probability."""
    project, raw = with_complements
    _, pairs = paired(project)
    kept = pairs.kept.join(planted(raw), on=["item_a", "item_b"])
    for row in kept.iter_rows(named=True):
        main = row["baskets_a"] if row["item_a"] == row["product_a"] else row["baskets_b"]
        low, high = binom.ppf([1e-5, 1 - 1e-5], main, row["attach"])
        assert low <= row["baskets"] <= high


def test_planted_complements_make_recommendations_hit_and_brands_stick(with_complements: tuple[Trial, Path]) -> None:
    project, _ = with_complements
    own, _ = paired(project)
    result = check(own, products(project), 0.3)
    assert isinstance(result, Check)
    gain = result.gains["product"]["popularity"]
    assert gain is not None and gain.low is not None and gain.low > 0
    followed = same_brand(own, products(project), minimum_group=10)
    assert isinstance(followed, pl.DataFrame)
    assert followed.row(by_predicate=pl.col("scope") == "same", named=True)["lift_low"] > 1


def test_without_complements_nothing_is_bought_together() -> None:
    """Orders then have one line each; customer-days put several together, by chance alone."""
    with shop(OFF) as (project, _):
        own = baskets(project.mart("baskets"), 100)
        assert not own.of_several.any()
        project.build(
            {"kind": "clickstream", "files": ["raw/*.csv"]}, basket={"unit": "customer_day", "minimum_together": 2}
        )
        _, pairs = paired(project, RULES._replace(minimum_group=1))
        assert not pairs.table.is_empty()
        assert pairs.kept.height <= binom.ppf(0.999, max(pairs.table.height, 1), RULES.false_discovery_rate)
