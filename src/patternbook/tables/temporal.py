"""Tables of time."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.temporal import WEEKDAYS, Rhythm
from patternbook.formats import Formats
from patternbook.tables import Column, table


def weekdays(found: pl.DataFrame, data: Rhythm, formats: Formats) -> GT:
    """The week by day."""
    shown = found.with_columns(pl.col("weekday").replace_strict(dict(enumerate(WEEKDAYS, start=1))))
    columns = {
        "weekday": Column("Weekday"),
        "a_day": Column(f"{data.activity.capitalize()} a day", "number"),
        "rate": Column("Against the average day", "factor", ("rate_low", "rate_high")),
        "revenue_a_day": Column("Revenue a day", "currency"),
    }
    if "conversion" in found.columns:
        columns["conversion"] = Column("Conversion", "share", ("conversion_low", "conversion_high"))
    note = f"{formats.count(round(data.days))} days. Intervals of the comparison hold for all seven days at once."
    return table("weekdays", shown, columns, formats, note)


def send_windows(calendar: pl.DataFrame, formats: Formats) -> GT:
    """The hours to prefer, by group."""
    shown = calendar.with_columns(
        pl.when(pl.col("windows") == "").then(pl.lit("none")).otherwise("windows").alias("windows")
    )
    columns = {
        "group": Column("Group"),
        "windows": Column("Hours above the rest"),
        "lift": Column("Lift", "factor", ("lift_low", "lift_high")),
    }
    note = (
        "Lift, with its 95% interval: conversion in hours that the other half of customers chose ÷ conversion in all "
        "other hours. All hours of all groups are tested together (Benjamini–Hochberg)."
    )
    return table("send-windows", shown, columns, formats, note)
