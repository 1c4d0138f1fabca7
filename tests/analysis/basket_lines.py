"""Baskets as the marts hold them, made apart from the warehouse: for tests of what is bought together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from patternbook.analysis.baskets import Baskets, baskets
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.pairs import Pairs, Rules, associate

RULES = Rules(minimum_baskets=2, false_discovery_rate=0.05, prior_baskets=1.0, minimum_group=1)


def lines(held: list[set[int]], customers: list[int | None] | None = None) -> pl.DataFrame:
    """The mart `baskets` of baskets that hold these products, one unit each at the price of its number."""
    rows: list[dict[str, Any]] = [
        {
            "basket_id": number,
            "customer_id": customers[number] if customers else number,
            "started_at": number,
            "product_id": product,
            "units": 1,
            "revenue": float(product),
            "products": len(own),
        }
        for number, own in enumerate(held)
        for product in sorted(own)
    ]
    schema = dict.fromkeys(("basket_id", "customer_id", "started_at", "product_id", "units"), pl.Int64)
    frame = pl.DataFrame(rows, schema | {"revenue": pl.Float64, "products": pl.Int64})
    return frame.with_columns(pl.from_epoch("started_at", "s").cast(pl.Datetime("us")))


def marts(mart: pl.DataFrame, level: str = "product") -> tuple[pl.DataFrame, pl.DataFrame]:
    """The marts `items` and `pairs` of products, made apart from the warehouse."""
    named = mart.select("basket_id", "units", pl.col("product_id").cast(pl.String).alias("item"), pl.col("customer_id"))
    who = pl.col("customer_id").n_unique().cast(pl.Int64).alias("customers")
    items = named.group_by("item").agg(pl.len().cast(pl.Int64).alias("baskets"), who, pl.col("units").sum())
    both = named.join(named, on="basket_id", suffix="_b").filter(pl.col("item") < pl.col("item_b"))
    pairs = both.group_by(pl.col("item").alias("item_a"), "item_b").agg(
        pl.len().cast(pl.Int64).alias("baskets"),
        who,
        pl.col("units").sum().alias("units_a"),
        pl.col("units_b").sum(),
    )
    return tuple(frame.with_columns(pl.lit(level).alias("level")) for frame in (items, pairs))  # type: ignore[return-value]


def found(mart: pl.DataFrame, rules: Rules = RULES) -> tuple[Baskets, Pairs | LeftOut]:
    own = baskets(mart, 100)
    items, pairs = marts(mart)
    return own, associate(pairs, items, own, PRODUCTS, "product", rules)


PRODUCTS = pl.DataFrame(
    {
        "product_id": range(60),
        "source_id": [f"s{k}" for k in range(60)],
        "category_code": [f"shop.kind_{k % 5}" for k in range(60)],
        "brand": [f"brand {k % 7}" for k in range(60)],
        "name": [None] * 60,
    },
    schema_overrides={"name": pl.String},
)


def independent(rng: np.random.Generator, count: int, products: int = 40) -> list[set[int]]:
    """Baskets in which every product comes or stays away on its own."""
    shares = rng.uniform(0.02, 0.25, products)
    held = rng.random((count, products)) < shares
    return [set(np.flatnonzero(row)) or {products} for row in held]
