"""Logs that are large in one respect: marts stay within memory, and come out as if all were looked at at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from trial import Trial

from patternbook.analysis import propensity
from patternbook.warehouse import marts
from patternbook.warehouse.contracts import CUTOFF_ORDER, MARTS

Column = np.ndarray[Any, np.dtype[Any]]
SOURCE = {"kind": "clickstream", "files": ["*.csv"]}
START = int(datetime(2024, 3, 1).timestamp())


def write(project: Trial, customers: Column, products: Column, kinds: Column, seconds: Column) -> None:
    """One event a row, in the columns of a clickstream; a customer of 0 is unknown. Sessions are an hour's events."""
    rows = pl.DataFrame({"customer": customers, "product": products, "kind": kinds, "second": seconds}).select(
        (pl.from_epoch(pl.col("second") + START).dt.to_string("%Y-%m-%d %H:%M:%S") + " UTC").alias("event_time"),
        pl.col("kind").alias("event_type"),
        pl.col("product").alias("product_id"),
        (pl.col("product") % 7).alias("category_id"),
        pl.format("group{}.sort{}", pl.col("product") % 3, pl.col("product") % 7).alias("category_code"),
        pl.format("brand{}", pl.col("product") % 5).alias("brand"),
        (pl.col("product") % 11 + 1).alias("price"),
        pl.when(pl.col("customer") > 0).then("customer").alias("user_id"),
        pl.format("{}-{}", "customer", pl.col("second") // 3600).alias("user_session"),
    )
    rows.write_csv(project.root / "log.csv")


def test_customers_that_are_looked_at_a_few_at_a_time_are_the_same(
    project: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, rows = np.random.default_rng(5), 4000
    kinds = rng.choice(["view", "view", "cart", "purchase", "remove_from_cart", "sign_in"], rows)
    write(
        project, rng.integers(0, 40, rows), rng.integers(1, 30, rows), kinds, np.sort(rng.integers(0, 4_000_000, rows))
    )
    project.build(SOURCE)
    at_once = {name: project.mart(name) for name in MARTS}
    assert at_once["sessions"]["customer_id"].null_count()
    monkeypatch.setattr(marts, "AT_ONCE", 2000)  # of 4000 events and 40 customers that weigh 20 each
    (project.paths.marts / "marts.json").unlink()
    project.build(SOURCE)
    for name, mart in at_once.items():
        again, key = project.mart(name), list(MARTS[name].key) or mart.columns
        assert again.sort(key).equals(mart.sort(key)), name
        assert again.equals(mart) or name in marts.BY_CUSTOMERS or name == "actions", name  # these have no order


def test_a_customer_of_a_million_events(project: Trial) -> None:
    rows = 1_000_000
    rng = np.random.default_rng(6)
    customers = np.where(rng.random(rows) < 0.001, rng.integers(2, 50, rows), 1)
    kinds = rng.choice(["view", "cart", "purchase"], rows, p=[0.95, 0.035, 0.015])
    write(project, customers, rng.integers(1, 5000, rows), kinds, np.arange(rows) * 5)
    project.build(SOURCE, engine={"memory_limit": "500MB"}, quality={"bots": {"action": "keep"}})
    largest = project.mart("customers").sort("events")[-1]
    assert largest["events"].item() == (customers == 1).sum()
    assert largest["purchases"].item() == ((customers == 1) & (kinds == "purchase")).sum()
    assert project.mart("bots")["customer_id"].to_list() == [1]
    assert project.mart("features").filter(customer_id=1).sort("cutoff")["events"][-1] > 900_000


def test_a_product_in_half_of_all_baskets_makes_no_more_pairs_than_the_baskets_have(project: Trial) -> None:
    rng, baskets = np.random.default_rng(7), 4000
    size = rng.integers(1, 6, baskets)
    customers = np.repeat(np.arange(1, baskets + 1), size + 1)
    products = rng.integers(2, 400, len(customers))
    firsts = np.cumsum(size + 1) - size - 1
    products[firsts[::2]] = 1  # in every second basket
    write(project, customers, products, np.full(len(customers), "purchase"), np.arange(len(customers)) * 3)
    project.build(SOURCE, basket={"minimum_baskets": 2, "minimum_together": 2})
    held = project.mart("baskets").select("basket_id", "product_id")
    assert held.filter(product_id=1)["basket_id"].n_unique() >= baskets // 2
    both = held.join(held, on="basket_id").filter(
        pl.col("product_id").cast(pl.String) < pl.col("product_id_right").cast(pl.String)
    )
    expected = both.group_by(
        pl.col("product_id").cast(pl.String).alias("item_a"), pl.col("product_id_right").cast(pl.String).alias("item_b")
    ).agg(pl.len().cast(pl.Int64).alias("baskets"))
    expected = expected.filter(pl.col("baskets") >= 2)  # so each item is in two or more as well
    pairs = project.mart("pairs").filter(level="product").select("item_a", "item_b", "baskets")
    assert pairs.sort("item_a", "item_b").equals(expected.sort("item_a", "item_b"))
    assert pairs.filter(pl.any_horizontal(pl.col("item_a", "item_b") == "1")).height > 300


def test_what_is_learned_from_is_kept_of_some_customers_and_what_is_scored_of_all(
    project: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, rows = np.random.default_rng(8), 30_000
    kinds = rng.choice(["view", "view", "cart", "purchase"], rows)
    seconds = np.sort(rng.integers(0, 10_000_000, rows))
    write(project, rng.integers(0, 3000, rows), rng.integers(1, 30, rows), kinds, seconds)
    project.build(SOURCE)
    whole = {name: project.mart(name) for name in CUTOFF_ORDER}
    monkeypatch.setattr(marts, "AT_ONCE", 20_000)  # two parts of the drawn, four of all
    project.build(SOURCE, propensity={"most_customers": 1000})
    scoring = whole["features"]["cutoff"].max()
    drawn = propensity.drawn(whole["features"].lazy(), 1000).select("cutoff", "customer_id").collect()
    assert 900 < drawn.filter(pl.col("cutoff") == scoring).height < 1100
    for name, mart in whole.items():
        learned = mart.join(drawn, on=["cutoff", "customer_id"], how="semi").filter(pl.col("cutoff") < scoring)
        expected = pl.concat([learned, mart.filter(pl.col("cutoff") == scoring)])
        assert learned.height
        key = list(MARTS[name].key)
        assert project.mart(name).sort(key).equals(expected.sort(key)), name
