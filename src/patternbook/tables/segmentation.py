"""Tables of segments and clusters."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.period import Period
from patternbook.formats import Formats
from patternbook.tables import Column, table


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


def actions(summary: pl.DataFrame, formats: Formats) -> GT:
    """Segments: what may be lost with them, where that is known, and what to do."""
    columns = {
        "segment": Column("Segment"),
        "value_at_risk": Column(
            "Value at risk (95% interval)", "currency", ("value_at_risk_low", "value_at_risk_high")
        ),
        "action": Column("What to do"),
    }
    shown = {name: column for name, column in columns.items() if summary[name].null_count() < summary.height}
    note = (
        "Value at risk is modelled: margin of the next twelve months that drop-out is expected to cost. It is small "
        "where customers are probably gone already."
    )
    return table("segment-actions", summary, shown, formats, note if "value_at_risk" in shown else None)


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
