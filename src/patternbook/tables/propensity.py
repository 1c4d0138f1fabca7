"""Tables of the forecast of purchases."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.propensity import Forecast
from patternbook.cutoffs import Cutoffs
from patternbook.formats import Formats
from patternbook.tables import Column, table


def _with_ends(name: str, label: str, unit: str) -> dict[str, Column]:
    return {name: Column(label, unit, (f"{name}_low", f"{name}_high"))}


def methods(scores: pl.DataFrame, forecast: Forecast, at: Cutoffs, formats: Formats) -> GT:
    """The model against what it must beat."""
    columns = {
        "method": Column("Method"),
        **_with_ends("auc", "ROC-AUC", "number"),
        **_with_ends("pr_auc", "PR-AUC", "number"),
        **_with_ends("lift_at_5pct", "Lift of the top 5%", "factor"),
        **_with_ends("calibration_error", "Calibration error", "share"),
    }
    gain = forecast.evaluation.gains["auc"]
    note = (
        f"{formats.count(len(forecast.labels))} customers known on {formats.date(at.test)}, the "
        f"{forecast.horizon} days after it; all learned up to {formats.date(at.calibration)}, calibrated on the days "
        f"after that. 95% intervals by bootstrap over customers. Gain of the model's ROC-AUC over "
        f"{forecast.evaluation.best}, the best before the test: {formats.value(gain.value, 'number', gain.interval)}."
    )
    return table("propensity-methods", scores, columns, formats, note)


def tops(found: pl.DataFrame, formats: Formats) -> GT:
    """Precision, recall and lift of the customers ranked highest."""
    shown = found.with_columns(pl.Series("top", [f"top {formats.share(top)}" for top in found["top"]]))
    columns = {
        "top": Column("Customers"),
        **_with_ends("precision", "Buyers among them", "share"),
        **_with_ends("recall", "Share of all buyers", "share"),
        **_with_ends("lift", "Lift", "factor"),
    }
    return table("propensity-tops", shown, columns, formats)


def groups(found: pl.DataFrame, formats: Formats) -> GT:
    """How the forecast holds by group."""
    shown = found.with_columns(pl.format("{}: {}", "by", "group").alias("name"))
    columns = {
        "name": Column("Group"),
        "customers": Column("Customers", "count"),
        **_with_ends("auc", "ROC-AUC", "number"),
        "expected": Column("Expected to buy", "share"),
        **_with_ends("observed", "Bought", "share"),
    }
    note = "Groups as of the cutoff. A group in which too few buy for the smallest group that is published is left out."
    return table("propensity-groups", shown, columns, formats, note)
