"""How buyers buy: at what prices, when, how often, how broadly. By customer for later use, by segment to publish."""

from __future__ import annotations

import polars as pl
from scipy.stats import norm

from patternbook.analysis.intervals import CONFIDENCE
from patternbook.analysis.segmentation import together

CHEAP = 0.05  # a line is discounted where its price lies by this share or more below the product's usual one
ENOUGH = 3  # orders from which on an hour or weekday can be called preferred
Z = float(norm.ppf((1 + CONFIDENCE) / 2))


def behaviour(lines: pl.DataFrame, sessions: pl.DataFrame, products: pl.DataFrame, time_zone: str) -> pl.DataFrame:
    """One row a buyer, by customer, from `order_lines`, `sessions` and what the source says of products.

    Lines of cancelled orders and returns do not count. Columns, null where nothing can be said:

    - `discount_share`: share of their lines bought at a discount, of products that are sold with and without one;
      `discount_sensitivity`: that less what the same products have in the hands of all buyers, so that who buys what
      is always on sale is not called sensitive. A line is discounted where the source says so, or where its price is
      `CHEAP` or more below the median price of its product.
    - `preferred_hour` and `preferred_weekday` (1 Monday), local time, the earliest of equals: of orders, from `ENOUGH`.
    - `repeat_interval`: mean days between days with an order.
    - `categories` (top level) bought from, `platforms` visited.
    """
    bought = lines.filter(~pl.col("cancelled"), pl.col("quantity") > 0).with_columns(
        pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).alias("at")
    )
    own = bought.filter(pl.col("customer_id").is_not_null())
    category = products.select("product_id", pl.col("category_code").str.split(".").list.first().alias("category"))
    parts = (
        _discounts(bought),
        _times(own),
        own.join(category.drop_nulls(), on="product_id")
        .group_by("customer_id")
        .agg(pl.col("category").n_unique().cast(pl.Int64).alias("categories")),
        sessions.drop_nulls(["customer_id", "platform"])
        .group_by("customer_id")
        .agg(pl.col("platform").n_unique().cast(pl.Int64).alias("platforms")),
    )
    found = own.select("customer_id").unique()
    for part in parts:
        found = found.join(part, on="customer_id", how="left")
    return found.sort("customer_id")


def _discounts(bought: pl.DataFrame) -> pl.DataFrame:
    price = pl.col("price").cast(pl.Float64)
    usual = price.filter(price > 0).median().over("product_id")
    cheap = (pl.col("discount").fill_null(0) > 0) | (price < (1 - CHEAP) * usual).fill_null(False)
    return (
        bought.filter(pl.col("product_id").is_not_null())
        .with_columns(cheap.alias("cheap"))
        .filter(pl.col("customer_id").is_not_null())
        .with_columns(pl.col("cheap").mean().over("product_id").alias("usually"))
        .filter(pl.col("usually").is_between(0, 1, closed="none"))
        .group_by("customer_id")
        .agg(
            pl.col("cheap").mean().alias("discount_share"),
            (pl.col("cheap").sum() - pl.col("usually").sort().sum()).truediv(pl.len()).alias("discount_sensitivity"),
        )
    )


def _times(own: pl.DataFrame) -> pl.DataFrame:
    orders = own.group_by("customer_id", "order_id").agg(pl.col("at").min())
    days = pl.col("at").dt.date()
    return orders.group_by("customer_id").agg(
        pl.len().cast(pl.Int64).alias("orders"),
        *(
            pl.when(pl.len() >= ENOUGH).then(clock.mode().min()).cast(pl.Int64).alias(name)
            for name, clock in (
                ("preferred_hour", pl.col("at").dt.hour()),
                ("preferred_weekday", pl.col("at").dt.weekday()),
            )
        ),
        pl.when(days.n_unique() > 1)
        .then((days.max() - days.min()).dt.total_days() / (days.n_unique() - 1))
        .alias("repeat_interval"),
    )


def by_segment(found: pl.DataFrame, segments: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """`behaviour` of each segment, largest first; small ones stand together.

    Columns: segment, customers, discount_share (mean), discount_sensitivity (mean, with _low and _high, ± 1.96
    standard errors), preferred_hour and preferred_weekday (the most common one), repeat_interval (median), categories
    and platforms (means). A value is null where fewer than `minimum_group` customers have one.
    """
    named = segments.select("customer_id", together(segments["segment"], minimum_group).alias("segment"))
    both = named.join(found, on="customer_id", how="left")
    sensitivity = pl.col("discount_sensitivity")
    half = Z * sensitivity.std() / sensitivity.count().sqrt()
    values = {
        "discount_share": pl.col("discount_share").mean(),
        "discount_sensitivity": sensitivity.mean(),
        "discount_sensitivity_low": sensitivity.mean() - half,
        "discount_sensitivity_high": sensitivity.mean() + half,
        "preferred_hour": pl.col("preferred_hour").drop_nulls().mode().min(),
        "preferred_weekday": pl.col("preferred_weekday").drop_nulls().mode().min(),
        "repeat_interval": pl.col("repeat_interval").median(),
        "categories": pl.col("categories").mean(),
        "platforms": pl.col("platforms").mean(),
    }
    return (
        both.group_by("segment")
        .agg(
            pl.len().cast(pl.Int64).alias("customers"),
            *(
                pl.when(pl.col(name.removesuffix("_low").removesuffix("_high")).count() >= minimum_group)
                .then(value)
                .alias(name)
                for name, value in values.items()
            ),
        )
        .sort("customers", "segment", descending=[True, False])
    )
