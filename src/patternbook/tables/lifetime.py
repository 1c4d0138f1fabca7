"""Tables of customer lifetime value."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.holdout import MODEL, Holdout, scores
from patternbook.formats import Formats
from patternbook.tables import Column, table


def values(horizons: pl.DataFrame, buyers: int, note: str, formats: Formats) -> GT:
    """Mean value a customer by horizon."""
    shown = horizons.with_columns(
        pl.format("{} months", "months").alias("horizon"),
        pl.when("extrapolated").then(pl.lit("beyond the data")).otherwise(pl.lit("within the data")).alias("basis"),
        (pl.col("value") * buyers).alias("total"),
    )
    columns = {
        "horizon": Column("Horizon"),
        "value": Column("Value a buyer (95% interval)", "currency", ("low", "high")),
        "total": Column("All buyers", "currency"),
        "basis": Column("Horizon lies"),
    }
    return table("lifetime-values", shown, columns, formats, note)


def holdout(checked: Holdout, formats: Formats) -> GT:
    """The model against its baselines in the hold-out period."""
    shares = {"error": "Error of the total", "captured": "Best tenth found"}
    numbers = {"r2": "R²", "spearman": "Rank correlation"}
    columns = {
        "method": Column("Method"),
        **{name: Column(label, "share", (f"{name}_low", f"{name}_high")) for name, label in shares.items()},
        **{name: Column(label, "number", (f"{name}_low", f"{name}_high")) for name, label in numbers.items()},
        "gain": Column(f"{MODEL} explains more by", "number", ("gain_low", "gain_high")),
    }
    note = (
        f"{formats.count(checked.customers.height)} buyers known on {formats.date(checked.calibration_end)}, the "
        f"{checked.days} days after it; 95% intervals by bootstrap over customers. {MODEL} is the model of this "
        "chapter. Best tenth found: transactions of the tenth that a method ranks first, as a share of those of "
        "the true best tenth. "
        f"Explains more by: R² of {MODEL} less that of the method, with the same customers drawn for both."
    )
    return table("lifetime-holdout", scores(checked), columns, formats, note)
