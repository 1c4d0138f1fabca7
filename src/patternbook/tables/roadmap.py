"""Tables of which action when, and of what it is measured by."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from great_tables import GT

from patternbook.formats import Formats
from patternbook.tables import Column, table


def roadmap(planned: pl.DataFrame, weeks: Mapping[str, int], formats: Formats) -> GT:
    """Who does what first, and the dates that follow."""
    columns = {
        "action": Column("Action"),
        "decision": Column("Decision"),
        "first_step": Column("First step"),
        "begins": Column("First contact"),
        "people": Column("People", "count"),
        "days": Column("Days", "count"),
        "finds": Column("Finds", "share"),
        "rolls_out": Column("Roll-out"),
    }
    dated = planned.with_columns(_dated(planned[name], formats) for name in ("begins", "rolls_out"))
    took = ", ".join(f"{effort} {formats.count(count)}" for effort, count in weeks.items())
    start = formats.date(planned["starts"][0])
    note = (
        f"All start on {start}, the Monday after the data end; weeks of preparation, assumed by effort: {took}. "
        "People, days: of the test, or of a roll-out that is held back from a random part of them; days hold those "
        "that an outcome takes. Finds: smallest effect, on what they buy anyway, that shows with the planned power."
    )
    return table("roadmap", dated, columns, formats, note)


def metrics(frame: pl.DataFrame, horizon: int, formats: Formats) -> GT:
    """Where each action's metric stands, and where it should be."""
    rows = frame.with_columns(
        _with_range(frame, "value", formats),
        _with_range(frame, "target", formats),
        _dated(frame["decides"], formats),
        pl.col("metric").replace_strict({"bought": "share that buys", "spend": "spend a person"}),
    )
    columns = {
        "action": Column("Action"),
        "metric": Column("Measured by"),
        "value": Column("Without it (95% interval)", align="right"),
        "target": Column("Target, assumed (range)", align="right"),
        "decides": Column("Known on"),
    }
    note = (
        f"Of its audience, within {horizon} days. The target is where the action's likely effect would bring it; the "
        "range is that of its lowest and highest effect. It is met or missed against the people held out, not "
        "against this table."
    )
    return table("metrics", rows, columns, formats, note)


def _dated(days: pl.Series, formats: Formats) -> pl.Series:
    """Days as they are written; null stays."""
    return pl.Series(days.name, [None if day is None else formats.date(day) for day in days], dtype=pl.String)


def _with_range(frame: pl.DataFrame, column: str, formats: Formats) -> pl.Series:
    """A column of metrics in their units, with its ends."""
    units = {"bought": "share", "spend": "currency"}
    rows = frame.select("metric", column, f"{column}_low", f"{column}_high").iter_rows()
    texts = [formats.value(value, units[metric], (low, high)) for metric, value, low, high in rows]
    return pl.Series(column, texts, dtype=pl.String)
