"""Tables of who is about to leave."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.leaving import Forecast
from patternbook.formats import Formats
from patternbook.tables import Column, table


def horizons(found: pl.DataFrame, formats: Formats) -> GT:
    """How many are expected to have left, by horizon, and how good the forecast was."""
    columns = {
        "horizon": Column("Within"),
        "expected": Column("Expected to have left (95% interval)", "count", ("low", "high")),
        "share": Column("Of those still there", "share"),
        "method": Column("Method"),
        "auc": Column("AUC when tested", "number", ("auc_low", "auc_high")),
    }
    shown = found.with_columns(pl.format("{} days", "days").alias("horizon"))
    note = (
        "Intervals hold each customer's chance, the calibration and what one period missed of the next when tested; a "
        "dash: the data are too short to test so long a horizon."
    )
    return table("churn-horizons", shown, columns, formats, note)


def methods(compared: pl.DataFrame, forecast: Forecast, formats: Formats) -> GT:
    """The ways of telling who leaves, by how well they did (`churn.methods`)."""
    tested = forecast.tested
    assert tested is not None
    columns = {
        "method": Column("Method"),
        **{
            name: Column(label, "number", (f"{name}_low", f"{name}_high"))
            for name, label in {"auc": "AUC", "f1": "F1"}.items()
        },
        **{
            name: Column(label, "share", (f"{name}_low", f"{name}_high"))
            for name, label in {"precision": "Precision", "recall": "Recall"}.items()
        },
        "calibration_error": Column("Calibration error", "number", ("calibration_error_low", "calibration_error_high")),
    }
    note = (
        f"{formats.count(len(tested.left))} customers who were there on {formats.date(tested.cutoff)} and could have "
        f"left within {forecast.horizon} days; {formats.share(float(tested.left.mean()))} did. Learned and calibrated "
        "before that day. Intervals: bootstrap over customers, Wilson for shares."
    )
    return table("churn-methods", compared, columns, formats, note)


def matrix(cells: pl.DataFrame, minimum_group: int, formats: Formats) -> GT:
    """Risk and value: what is at stake, and what to do."""
    columns = {
        "cell": Column("Risk · value"),
        "customers": Column("Customers", "count"),
        "at_stake": Column("At stake (95% interval)", "currency", ("low", "high")),
        "measure": Column("What to do"),
    }
    shown = cells.with_columns(pl.format("{} · {}", "risk", "value").alias("cell"))
    note = (
        "At stake: probability to leave × margin of twelve months if they stayed. A dash: fewer than "
        f"{minimum_group} customers, or nothing at stake. What to do is a rule of the parameter file, not a result."
    )
    return table("churn-matrix", shown, columns, formats, note)
