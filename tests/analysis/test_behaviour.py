"""How buyers buy: against counting line by line, and a planted liking for discounts."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from patternbook.analysis.behaviour import behaviour, by_segment

ZONE = "Europe/Berlin"
PRODUCTS = pl.DataFrame(
    {"product_id": [1, 2, 3, 4], "category_code": ["toys.bricks", "toys.dolls", "books", None]},
    schema={"product_id": pl.Int64, "category_code": pl.String},
)
NO_SESSIONS = pl.DataFrame(schema={"customer_id": pl.Int64, "platform": pl.String})


def lines(*rows: tuple[int | None, int, str, int, float, float | None, int, bool]) -> pl.DataFrame:
    """Order lines: customer, order, moment, product, price, discount, quantity, cancelled."""
    names = ["customer_id", "order_id", "ordered_at", "product_id", "price", "discount", "quantity", "cancelled"]
    kinds = [pl.Int64, pl.Int64, pl.String, pl.Int64, pl.Float64, pl.Float64, pl.Int32, pl.Boolean]
    frame = pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")
    return frame.with_columns(pl.col("ordered_at").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us"))


def drawn(n: int, liking: float, rng: np.random.Generator) -> pl.DataFrame:
    """Six lines each of `n` buyers; odd ones take a discounted line with more probability by `liking`."""
    who = np.repeat(np.arange(n), 6)
    cheap = rng.random(len(who)) < 0.3 + liking * (who % 2)
    start = datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "customer_id": who,
            "order_id": np.arange(len(who)),
            "ordered_at": [start + timedelta(hours=int(h)) for h in rng.integers(0, 8000, len(who))],
            "product_id": rng.integers(1, 5, len(who)),
            "price": np.where(cheap, 8.0, 10.0),
            "discount": [None] * len(who),
            "quantity": 1,
            "cancelled": False,
        },
        schema_overrides={"ordered_at": pl.Datetime("us"), "discount": pl.Float64},
    )


def test_hours_weekdays_intervals_categories_and_platforms_by_hand() -> None:
    bought = lines(
        (7, 1, "2024-01-01 22:30", 1, 5.0, None, 1, False),  # 23:30 on Monday in Berlin
        (7, 2, "2024-01-01 23:30", 2, 5.0, None, 1, False),  # 00:30 on Tuesday
        (7, 3, "2024-01-11 23:10", 3, 5.0, None, 1, False),  # 00:10 on Friday
        (7, 4, "2024-01-12 23:10", 4, 5.0, None, 1, False),  # 00:10 on Saturday
        (7, 5, "2024-02-01 10:00", 3, 5.0, None, -1, False),  # a return
        (7, 6, "2024-03-01 10:00", 3, 5.0, None, 1, True),  # cancelled
        (8, 9, "2024-01-05 12:00", 4, 5.0, None, 1, False),
    )
    sessions = pl.DataFrame({"customer_id": [7, 7, 7, None], "platform": ["web", "app", None, "shop"]})
    seven, eight = behaviour(bought, sessions, PRODUCTS, ZONE).rows(named=True)
    assert (seven["orders"], seven["preferred_hour"], seven["preferred_weekday"]) == (4, 0, 1)
    assert seven["repeat_interval"] == pytest.approx(12 / 3)  # from the 1st to the 13th
    assert (seven["categories"], seven["platforms"]) == (2, 2)
    assert eight["preferred_hour"] is eight["repeat_interval"] is eight["categories"] is eight["platforms"] is None
    assert eight["discount_share"] is None  # no price varies


def test_a_discount_is_what_the_source_calls_one_or_a_price_below_the_usual() -> None:
    bought = lines(
        *((9, k, "2024-01-01 10:00", 1, 10.0, None, 1, False) for k in range(7)),
        (None, 8, "2024-01-01 10:00", 1, 2.0, None, 1, False),  # cheap, but nobody's
        (7, 10, "2024-01-01 10:00", 1, 8.0, None, 1, False),  # cheaper than usual
        (7, 11, "2024-01-01 10:00", 1, 9.8, None, 1, False),  # by less than a twentieth
        (7, 12, "2024-01-01 10:00", 1, 10.0, 0.2, 1, False),  # the source says so
        (7, 13, "2024-01-01 10:00", 2, 1.0, None, 1, False),  # always at this price
    )
    seven, nine = behaviour(bought, NO_SESSIONS, PRODUCTS, ZONE).rows(named=True)
    assert nine["discount_sensitivity"] == pytest.approx(-2 / 10)
    assert seven["discount_share"] == pytest.approx(2 / 3)
    assert seven["discount_sensitivity"] == pytest.approx(2 / 3 - 2 / 10)


@pytest.mark.parametrize("liking", [0.0, 0.4])
def test_a_planted_liking_for_discounts_is_found_and_none_where_there_is_none(liking: float) -> None:
    found = behaviour(drawn(2000, liking, np.random.default_rng(1)), NO_SESSIONS, PRODUCTS, ZONE)
    groups = found.select(
        "customer_id",
        pl.when(pl.col("customer_id") % 2 == 1).then(pl.lit("odd")).otherwise(pl.lit("even")).alias("segment"),
    )
    table = {row["segment"]: row for row in by_segment(found, groups, 10).rows(named=True)}
    gap = table["odd"]["discount_sensitivity"] - table["even"]["discount_sensitivity"]
    width = table["odd"]["discount_sensitivity_high"] - table["odd"]["discount_sensitivity_low"]
    assert gap == pytest.approx(liking, abs=2 * width)
    assert (table["odd"]["discount_sensitivity_low"] > 0) == (liking > 0)


def test_modes_agree_with_counting() -> None:
    bought = drawn(200, 0.0, np.random.default_rng(3))
    found = behaviour(bought, NO_SESSIONS, PRODUCTS, "UTC")
    for row in found.head(40).rows(named=True):
        hours = Counter(at.hour for at in bought.filter(pl.col("customer_id") == row["customer_id"])["ordered_at"])
        most = max(hours.values())
        assert row["preferred_hour"] == min(hour for hour, count in hours.items() if count == most)


def test_values_of_few_customers_are_hidden_and_small_segments_stand_together() -> None:
    found = behaviour(drawn(60, 0.0, np.random.default_rng(2)), NO_SESSIONS, PRODUCTS, ZONE)
    segments = found.select("customer_id", pl.Series("segment", ["a"] * 40 + ["b"] * 15 + ["c"] * 5))
    table = by_segment(found.with_columns(repeat_interval=pl.when(pl.col("customer_id") < 8).then(1.0)), segments, 10)
    assert table["customers"].min() >= 10 and table["customers"].sum() == 60
    assert table["repeat_interval"].null_count() == table.height
    assert table["platforms"].null_count() == table.height
    assert table["discount_share"].null_count() == 0


def test_no_purchase_gives_no_rows() -> None:
    assert behaviour(lines(), NO_SESSIONS, PRODUCTS, ZONE).height == 0
