"""Session numbers: dense, in the order of customer and first event, so that they compress to almost nothing."""

from __future__ import annotations

import polars as pl


def session_keys(events: pl.DataFrame, gap_seconds: int) -> pl.DataFrame:
    """Key of each event's session: (customer_id, by_gap, key).

    `events` is sorted by customer_id and seconds; `session_key` is the source's session, null where it has none.
    There a known customer's events belong together until `gap_seconds` pass without one (events with a source
    session in between do not count); an event with neither customer nor session stands alone.
    """
    by_gap = pl.col("session_key").is_null()
    gaps = (
        events.select("customer_id", "seconds", "session_key")
        .with_row_index("row")
        .filter(by_gap)
        .with_columns(
            (
                pl.col("customer_id").is_null()
                | pl.col("customer_id").ne_missing(pl.col("customer_id").shift())
                | (pl.col("seconds") - pl.col("seconds").shift() > gap_seconds)
            )
            .fill_null(value=True)
            .cum_sum()
            .cast(pl.UInt64)
            .alias("gap_key")
        )
        .select("row", "gap_key")
    )
    if gaps.is_empty():
        return events.select("customer_id", pl.lit(value=False).alias("by_gap"), pl.col("session_key").alias("key"))
    return (
        events.select("customer_id", "session_key")
        .with_row_index("row")
        .join(gaps, on="row", how="left", maintain_order="left")
        .select("customer_id", by_gap.alias("by_gap"), pl.coalesce("session_key", "gap_key").alias("key"))
    )


def number_sessions(keys: pl.DataFrame, first: int) -> pl.Series:
    """Numbers from `first` on, one a distinct key, in the order of first appearance."""
    columns = ["customer_id", "by_gap", "key"]
    mixed = keys["by_gap"].any()
    compared = columns if mixed else ["customer_id", "key"]
    starts = pl.any_horizontal([pl.col(name).ne_missing(pl.col(name).shift()) for name in compared])
    flagged = keys.with_columns((starts | (pl.int_range(pl.len()) == 0)).alias("start")).with_columns(
        pl.col("start").cum_sum().alias("run")
    )
    # A session's events need not stand together (a customer with two tabs open), but runs of them are few.
    runs = flagged.filter("start").with_row_index("index")
    runs = runs.with_columns(pl.col("index").first().over(columns).alias("first_run"))
    numbers = (runs["first_run"] == runs["index"]).cum_sum().cast(pl.Int64) - 1 + first
    by_run = numbers.gather(runs["first_run"])
    return by_run.gather(flagged["run"] - 1).alias("session_id")


def continued_gaps(events: pl.DataFrame, keys: pl.DataFrame, open_gaps: pl.DataFrame, gap_seconds: int) -> pl.Series:
    """Number of each event's session where that session, by gap, goes on from before; else null.

    `events` and `keys` are those of `session_keys`; `open_gaps` has one row a customer: (customer_id,
    session_id, last).
    """
    first = (
        keys.with_columns(events["seconds"])
        .filter(pl.col("by_gap") & pl.col("customer_id").is_not_null())
        .group_by("customer_id", maintain_order=True)
        .first()
        .join(open_gaps, on="customer_id")
        .filter(pl.col("seconds") - pl.col("last") <= gap_seconds)
        .select("customer_id", "by_gap", "key", "session_id")
    )
    return keys.join(first, on=["customer_id", "by_gap", "key"], how="left", maintain_order="left")["session_id"]
