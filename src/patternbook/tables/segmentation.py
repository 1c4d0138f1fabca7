"""Tables of segments and clusters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl
from great_tables import GT

from patternbook.analysis.measure import Measure
from patternbook.analysis.period import Period
from patternbook.formats import Formats
from patternbook.tables import Column, table

MARK = "†"


def segments(summary: pl.DataFrame, minimum_group: int, formats: Formats) -> GT:
    """Segments: how many, what they spent, when and how often they bought."""
    columns = {
        "segment": Column("Segment"),
        "customers": Column("Customers", "count"),
        "share": Column("Share", "share"),
        "mean_spend": Column("Mean spend", "currency"),
        "median_spend": Column("Median spend", "currency"),
        "median_recency": Column("Recency", "count"),
        "mean_frequency": Column("Frequency", "number"),
        "revenue_share": Column("Revenue", "share"),
    }
    note = (
        "Spend is net of returns, revenue a segment's share of it. Recency: median of days since the last order. "
        f"Frequency: mean of days with an order. Segments of fewer than {minimum_group} customers stand together."
    )
    return table("segments", summary, columns, formats, note)


def actions(summary: pl.DataFrame, modelled: Sequence[Measure], formats: Formats) -> GT:
    """Segments: what drop-out may cost with each and with all, where that is known, and what to do."""
    columns = {
        "segment": Column("Segment"),
        "value_at_risk": Column(
            "Margin that drop-out may cost (95% interval)", "currency", ("value_at_risk_low", "value_at_risk_high")
        ),
        "action": Column("What to do"),
    }
    named = pl.format("{}{}", "segment", pl.when("at_risk").then(pl.lit(f" {MARK}")).otherwise(pl.lit("")))
    rows = summary.select(named.alias("segment"), "value_at_risk", "value_at_risk_low", "value_at_risk_high", "action")
    if rows["value_at_risk"].null_count() == rows.height:
        note = f"{MARK} Marked at risk by the rules."
        return table(
            "segment-actions", rows, {"segment": columns["segment"], "action": columns["action"]}, formats, note
        )
    found = {measure.name: measure for measure in modelled}
    sums = [
        (name, measure.value, *(measure.interval or (None, None)), None)
        for name, measure in (("All buyers", found["value_at_risk"]), (f"All marked {MARK}", found["at_risk_value"]))
    ]
    shown = pl.concat(
        [
            rows.sort("value_at_risk", descending=True, nulls_last=True, maintain_order=True),
            pl.DataFrame(sums, schema=rows.schema, orient="row"),
        ]
    )
    note = (
        "Modelled: margin of the next twelve months that is expected to be lost because customers stop buying, largest "
        "first. It is large where much is still to come, and small where customers buy little or are probably gone "
        f"already. {MARK} Marked at risk by the rules."
    )
    return table("segment-actions", shown, columns, formats, note)


def behaviour(summary: pl.DataFrame, minimum_group: int, formats: Formats) -> GT:
    """Segments: how they buy; only what the source allows to say."""
    hours = {hour: formats.clock(datetime(2024, 1, 1, hour)) for hour in range(24)}
    days = {day: formats.date(date(2024, 1, day), "E") for day in range(1, 8)}  # the first was a Monday
    shown = summary.with_columns(
        pl.col(name).replace_strict(words, return_dtype=pl.String)
        for name, words in (("preferred_hour", hours), ("preferred_weekday", days))
    )
    columns = {
        "discount_share": Column("At a discount", "share"),
        "discount_sensitivity": Column(
            "More than others (95% interval)", "share", ("discount_sensitivity_low", "discount_sensitivity_high")
        ),
        "repeat_interval": Column("Days between orders", "number"),
        "preferred_weekday": Column("Weekday"),
        "preferred_hour": Column("Hour"),
        "categories": Column("Categories", "number"),
        "platforms": Column("Platforms", "number"),
    }
    known = {name: column for name, column in columns.items() if shown[name].null_count() < shown.height}
    note = (
        "At a discount: mean share of lines bought so, of products sold with and without; more than others: that less "
        "what all buyers have for the same products. Days between orders: median. Weekday and hour: preferred by most, "
        f"of customers with three orders or more. Categories and platforms: means. A dash: fewer than {minimum_group} "
        "customers say."
    )
    return table("segment-behaviour", shown, {"segment": Column("Segment"), **known}, formats, note)


def windows(compared: pl.DataFrame, data: Period, formats: Formats) -> GT:
    """How far segments hang on the window."""
    shown = compared.with_columns(pl.format("last {} months", "months").alias("window"))
    columns = {
        "window": Column("Period"),
        "customers": Column("Customers", "count"),
        "same": Column("In the same segment (95% interval)", "share", ("same_low", "same_high")),
        "adjusted_rand": Column("Adjusted Rand index", "number"),
    }
    note = (
        f"Against segments by all data, {formats.date(data.first)} to {formats.date(data.last)}; each window scored by "
        "its own fifths. Adjusted Rand index: 1 the same grouping, 0 no more alike than chance."
    )
    return table("segment-windows", shown, columns, formats, note)
