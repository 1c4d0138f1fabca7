"""Staying with a brand: found where planted, chance where not, and never by one's own purchase."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from basket_lines import lines
from scipy.stats import binom

from patternbook.analysis.baskets import baskets
from patternbook.analysis.brands import answer, measures, same_brand
from patternbook.analysis.measure import LeftOut
from patternbook.formats import Formats

US = Formats("USD", "en_US")
BRANDS = ("ada", "bix", "cor")
PRODUCTS = pl.DataFrame(
    {
        "product_id": range(1, 31),
        "category_code": [("phone", "case", "cable")[k // 10] for k in range(29, -1, -1)],
        "brand": [BRANDS[k % 3] for k in range(30)],
    }
)  # the price of a product is its number: phones are the dearest


def market(rng: np.random.Generator, customers: int, loyal: float) -> list[set[int]]:
    """A phone each, and a case that `loyal` of the customers choose by the phone's brand, all others by chance."""
    by_brand = {
        (category, brand): PRODUCTS.filter(pl.col("category_code") == category, pl.col("brand") == brand)["product_id"]
        for category in ("phone", "case")
        for brand in BRANDS
    }
    held = []
    for _ in range(customers):
        brand = str(rng.choice(BRANDS, p=[0.6, 0.3, 0.1]))
        own = brand if rng.random() < loyal else str(rng.choice(BRANDS))
        held.append({int(rng.choice(by_brand["phone", brand])), int(rng.choice(by_brand["case", own]))})
    return held


def lift(held: list[set[int]], scope: str = "same", customers: list[int | None] | None = None) -> dict[str, float]:
    table = same_brand(baskets(lines(held, customers), 100), PRODUCTS, minimum_group=5)
    assert isinstance(table, pl.DataFrame)
    return table.row(by_predicate=pl.col("scope") == scope, named=True)


def test_planted_loyalty_is_found() -> None:
    row = lift(market(np.random.default_rng(0), 500, loyal=0.5))
    assert row["lift_low"] > 1
    assert row["accessories"] == row["customers"] == 500


def test_without_loyalty_the_interval_holds_one_as_often_as_it_says() -> None:
    seeds = 40
    covered = 0
    for seed in range(seeds):
        row = lift(market(np.random.default_rng(seed), 200, loyal=0.0))
        covered += row["lift_low"] <= 1 <= row["lift_high"]
    assert covered >= binom.ppf(0.001, seeds, 0.95)


def test_share_and_chance_are_written_out() -> None:
    held = market(np.random.default_rng(1), 60, loyal=0.3)
    row = lift(held)
    of = {k: (c, b) for k, c, b in PRODUCTS.iter_rows()}
    cases = [of[min(basket)][1] for basket in held]
    mains = [of[max(basket)][1] for basket in held]
    same = sum(a == b for a, b in zip(cases, mains, strict=True))
    chance = sum((cases.count(b) - (a == b)) / (len(cases) - 1) for a, b in zip(cases, mains, strict=True))
    assert row["same"] == pytest.approx(same / 60)
    assert row["expected"] == pytest.approx(chance / 60)
    assert row["lift"] == pytest.approx(same / chance)


def test_later_baskets_follow_the_first_and_guests_have_none() -> None:
    first = market(np.random.default_rng(2), 80, loyal=1.0)
    phones, cases = [{max(basket)} for basket in first], [{min(basket)} for basket in first]
    each: list[int | None] = list(range(80))
    row = lift(phones + cases, "later", each + each)
    assert row["same"] == 1
    guests = same_brand(baskets(lines(phones + cases, [None] * 160), 100), PRODUCTS, minimum_group=5)
    assert isinstance(guests, LeftOut)


def test_a_source_without_brands_is_left_out() -> None:
    bare = PRODUCTS.with_columns(pl.lit(None, pl.String).alias("brand"))
    result = same_brand(baskets(lines([{1, 20}] * 30), 100), bare, minimum_group=5)
    assert isinstance(result, LeftOut)
    assert measures(result)[0].reason == result.reason


def test_the_answer_says_how_many_and_how_much_more() -> None:
    table = same_brand(baskets(lines(market(np.random.default_rng(3), 300, 0.5)), 100), PRODUCTS, minimum_group=5)
    assert isinstance(table, pl.DataFrame)
    assert "as many as by chance" in answer(table, US)
