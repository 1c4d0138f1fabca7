"""Each buyer's history as repeat-buying models see it: how often, when last, how long known, how much a transaction."""

from __future__ import annotations

from datetime import date

import polars as pl

DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12}  # of a unit of time
DAYS_A_YEAR = 365.25


def orders(lines: pl.DataFrame) -> pl.DataFrame:
    """One row an order, cancelled ones included, from the mart `order_lines`: what `history` reads.

    The order that takes an earlier one back has negative units and revenue, so that spend is net of it.
    """
    return (
        lines.filter(pl.col("customer_id").is_not_null())
        .group_by("order_id")
        .agg(
            pl.col("customer_id").min(),
            pl.col("ordered_at").min(),
            pl.col("quantity").cast(pl.Int64).sum().alias("units"),
            pl.col("amount").cast(pl.Float64).fill_null(0).sum().alias("revenue"),
        )
        .sort("order_id")
    )


def purchase_days(purchases: pl.DataFrame, time_zone: str) -> pl.DataFrame:
    """The transactions of known customers: customer_id, day (local); one row each, as `history` counts them."""
    day = pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date()
    bought = purchases.filter(pl.col("units") > 0, pl.col("customer_id").is_not_null())
    return bought.select("customer_id", day.alias("day")).unique()


def history(purchases: pl.DataFrame, end: date, unit: str, time_zone: str) -> pl.DataFrame:
    """One row a buyer as of the end of the local day `end`, by customer; what happens later is not looked at.

    `purchases` has customer_id, ordered_at (UTC), units and revenue, one row an order. All orders of a customer on
    one local day are one transaction; an order of no units or fewer (a return) is none, but its revenue counts.

    Columns: customer_id; `first`, `last` transaction days; `transactions`; x = transactions − 1; t_x and T, from first
    to last transaction and to `end`, in `unit`s; `revenue` net of returns; `mean_spend` a transaction, null where
    nothing is left after returns.
    """
    day = pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date()
    bought = pl.col("day").filter(pl.col("units") > 0)
    return (
        purchases.filter(pl.col("customer_id").is_not_null())
        .select("customer_id", "units", day.alias("day"), pl.col("revenue").cast(pl.Float64))
        .filter(pl.col("day") <= end)
        .group_by("customer_id")
        .agg(
            bought.min().alias("first"),
            bought.max().alias("last"),
            bought.n_unique().alias("transactions"),
            pl.col("revenue").sort().sum(),  # sorted, so that the last digit does not hang on the order of rows
        )
        .filter(pl.col("first").is_not_null())
        .sort("customer_id")
        .select(
            "customer_id",
            "first",
            "last",
            pl.col("transactions").cast(pl.Int64),
            (pl.col("transactions").cast(pl.Int64) - 1).alias("x"),
            ((pl.col("last") - pl.col("first")).dt.total_days() / DAYS[unit]).alias("t_x"),
            ((pl.lit(end) - pl.col("first")).dt.total_days() / DAYS[unit]).alias("T"),
            "revenue",
            pl.when(pl.col("revenue") > 0.005).then(pl.col("revenue") / pl.col("transactions")).alias("mean_spend"),
        )
    )
