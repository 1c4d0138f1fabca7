"""Tables of the forecast of purchases."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.classification import Confusion
from patternbook.analysis.intent import Terms
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


def tiers(found: pl.DataFrame, at: Terms, source: str, formats: Formats) -> GT:
    """Tiers of intent: how they did in the test period, when they buy, and how many there are now."""
    window = [
        None if start is None else f"{formats.value(round(start), 'count')} to {formats.value(round(end), 'days')}"
        for start, end in found.select("days_from", "days_to").iter_rows()
    ]
    shown = found.with_columns(pl.Series("window", window, dtype=pl.String))
    columns = {
        "tier": Column("Intent"),
        "customers": Column("In the test", "count"),
        "expected": Column("Expected to buy", "share"),
        **_with_ends("observed", "Bought", "share"),
        "profit": Column("Expected profit a contact", "currency"),
        "window": Column("Bought within", align="right"),
        "customers_now": Column("Customers now", "count"),
    }
    note = (
        f"Assumed: a contact costs {formats.money(at.contact_cost)}, {formats.share(at.incremental_share)} of the "
        f"purchases of contacted customers would not have happened otherwise ({source}). Margin of what a buyer "
        f"spends, from the calibration period: {formats.money(at.value)}. High: a contact is expected to bring "
        "twice its cost; medium: its cost; low: less. Bought within: the middle half of the tier's buyers, "
        "calibration period."
    )
    return table("propensity-tiers", shown, columns, formats, note)


def contacted(found: Confusion, at: Terms, minimum_group: int, formats: Formats) -> GT:
    """Forecast against outcome at the threshold of profit."""
    counts = [(found.true_positive, found.false_positive), (found.false_negative, found.true_negative)]
    kept = [[n if n == 0 or n >= minimum_group else None for n in row] for row in counts]
    shown = pl.DataFrame(
        {
            "forecast": ["worth a contact", "not worth a contact"],
            "bought": [row[0] for row in kept],
            "others": [row[1] for row in kept],
        },
        schema={"forecast": pl.String, "bought": pl.Int64, "others": pl.Int64},
    )
    columns = {
        "forecast": Column("Forecast"),
        "bought": Column("Bought", "count"),
        "others": Column("Did not buy", "count"),
    }
    note = None
    if found.precision and found.recall:
        note = (
            f"Worth a contact from a probability of {formats.share(at.threshold)} on. Of those, "
            f"{formats.share(found.precision.value, found.precision.interval)} bought; of all buyers, "
            f"{formats.share(found.recall.value, found.recall.interval)} were among them."
        )
    return table("propensity-contacted", shown, columns, formats, note)


def policies(found: pl.DataFrame, formats: Formats) -> GT:
    """Profit in the test period by who is contacted."""
    columns = {
        "policy": Column("Contacted"),
        "customers": Column("Customers", "count"),
        **_with_ends("profit", "Profit", "currency"),
    }
    note = "As the customers of the test period did spend; the share of it that a contact causes is assumed."
    return table("propensity-policies", found, columns, formats, note)


def audit(found: pl.DataFrame, formats: Formats) -> GT:
    """The columns that alone tell most, and why each may be known."""
    columns = {
        "feature": Column("Column"),
        **_with_ends("auc", "ROC-AUC alone", "number"),
        "why": Column("Known at the cutoff because it is"),
    }
    return table("propensity-audit", found, columns, formats)


def next_category(found: pl.DataFrame, formats: Formats) -> GT:
    """How often the next category is foretold."""
    columns = {
        "method": Column("Method"),
        "hit_rate": Column("Right", "share", ("low", "high")),
        "buyers": Column("Buyers", "count"),
    }
    return table("propensity-category", found, columns, formats)


def drift(rates: pl.DataFrame, formats: Formats) -> GT:
    """How customers behaved when the forecast was learned, and how they do now."""
    columns = {
        "rate": Column("Rate"),
        "before": Column("Before", "number"),
        "now": Column("Now", "number"),
        "change": Column("Now ÷ before", "factor", ("low", "high")),
    }
    note = (
        "Customers seen in the last 30 days before the training cutoffs, and before the end of the data. Purchases: "
        "expected and actual buyers of the test period. Intervals hold all rows together (95%, Bonferroni)."
    )
    return table("propensity-drift", rates, columns, formats, note)
