"""How long customers wait until they buy again, by group: Kaplan–Meier curves and the log-rank test.

A wait starts on a purchase day and ends with the next one; it is censored where the data end first. Groups are what
is known when the wait starts, so that nothing of what follows decides who is in them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from scipy.stats import CensoredData, ecdf, false_discovery_control, logrank

from patternbook.analysis.intervals import CONFIDENCE
from patternbook.analysis.measure import LeftOut
from patternbook.formats import Formats
from patternbook.markup import escaped

MOST_CURVES = 4  # more lines than these cannot be told apart
ORDERS = (1, 2, 3, 5)  # purchases so far, for the curves by frequency
MINIMUM_EVENTS = 10  # in a group
SIGNIFICANT = 0.05
COMPARED = 90  # days after which the report compares groups, or as many as all are observed for


@dataclass(frozen=True)
class Curves:
    """Share not seen to buy again by days since a purchase, for each group of `by`.

    `table`: group, days, share, low, high, at_risk; `groups`: group, customers, events, median (days, null where fewer
    than half are seen to buy again), p_value (log-rank against all other groups, corrected by Benjamini & Hochberg
    1995; null where the same customer is in several groups).
    """

    by: str
    table: pl.DataFrame
    groups: pl.DataFrame


def waits(days: pl.DataFrame, last: date) -> pl.DataFrame:
    """One row a purchase day: customer_id, number (of purchase days so far), start, days, again.

    `days` is that of `history.purchase_days`; `again` says whether another purchase ended the wait, else it is
    censored after the day `last`.
    """
    following = pl.col("day").shift(-1).over("customer_id", order_by="day")
    return days.sort("customer_id", "day").select(
        "customer_id",
        pl.col("day").cum_count().over("customer_id", order_by="day").cast(pl.Int64).alias("number"),
        pl.col("day").alias("start"),
        (following.fill_null(last) - pl.col("day")).dt.total_days().alias("days"),
        following.is_not_null().alias("again"),
    )


def by_frequency(waits: pl.DataFrame, minimum_group: int) -> Curves | LeftOut:
    """Waits after the first, second, third and fifth purchase; a customer may be in several groups."""
    named = waits.filter(pl.col("number").is_in(ORDERS)).with_columns(
        pl.col("number").replace_strict({1: "1st", 2: "2nd", 3: "3rd", 5: "5th"}, return_dtype=pl.String).alias("group")
    )
    return curves("number of purchases", named.sort("number"), minimum_group, independent=False)


def by_cohort(waits: pl.DataFrame, minimum_group: int) -> Curves | LeftOut:
    """Waits after the first purchase by its calendar quarter, the latest with customers enough."""
    quarter = pl.format("{} Q{}", pl.col("start").dt.year(), pl.col("start").dt.quarter())
    named = waits.filter(pl.col("number") == 1).with_columns(quarter.alias("group")).sort("group", descending=True)
    return curves("quarter of the first purchase", named, minimum_group, independent=True)


def by_first(waits: pl.DataFrame, customers: pl.DataFrame, column: str, minimum_group: int) -> Curves | LeftOut:
    """Waits after the first purchase by what `customers` (customer_id, `column`) say; the largest groups."""
    known = customers.select("customer_id", pl.col(column).alias("group")).drop_nulls()
    named = waits.filter(pl.col("number") == 1).join(known, on="customer_id")
    largest = named.group_by("group").len().sort("len", "group", descending=[True, False])["group"].to_list()
    order = {group: number for number, group in enumerate(largest)}
    named = named.sort(pl.col("group").replace_strict(order, return_dtype=pl.Int64), "customer_id")
    return curves(f"first {column}", named, minimum_group, independent=True)


def curves(by: str, waits: pl.DataFrame, minimum_group: int, *, independent: bool) -> Curves | LeftOut:
    """Kaplan–Meier curves of the groups of `waits` (group, days, again), in their order of first appearance.

    Groups of fewer than `minimum_group` customers, or fewer than `MINIMUM_EVENTS` of whom are seen to buy again, are
    not in it, nor more than `MOST_CURVES` of them. `independent`: nobody is in two groups, so that they can be tested.
    """
    least = max(minimum_group, MINIMUM_EVENTS)
    sizes = waits.group_by("group", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("customers"), pl.col("again").sum().cast(pl.Int64).alias("events")
    )
    sizes = sizes.filter(pl.col("customers") >= minimum_group, pl.col("events") >= least).head(MOST_CURVES)
    if sizes.height < 2:
        return LeftOut(f"Too few customers buy again to compare how long they wait by {by}.")
    waits = waits.join(sizes, on="group", how="semi")
    fitted = {group: kaplan_meier(waits.filter(pl.col("group") == group), minimum_group) for group in sizes["group"]}
    table = pl.concat([one.select(pl.lit(group).alias("group"), pl.all()) for group, one in fitted.items()])
    medians = [_median(one) for one in fitted.values()]
    return Curves(
        by,
        table,
        sizes.with_columns(
            pl.Series("median", medians, dtype=pl.Int64),
            pl.Series("p_value", against_the_rest(waits) if independent else [None] * sizes.height, dtype=pl.Float64),
        ),
    )


def kaplan_meier(waits: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """Share not yet seen to buy again: days, share, low, high, at_risk, from day 0 on.

    Kaplan & Meier (1958), J. Am. Stat. Assoc. 53, 457–481; pointwise interval of log(−log) of the estimate with
    Greenwood's variance. It ends where fewer than `minimum_group` are still waiting.
    """
    days, censored = waits["days"].to_numpy(), (~waits["again"]).to_numpy()
    fitted = ecdf(CensoredData.right_censored(days, censored)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no band where nobody, or everybody, has bought again: null
        band = fitted.confidence_interval(CONFIDENCE, method="log-log")
    at = fitted.quantiles
    curve = pl.DataFrame(
        {
            "days": at.astype(np.int64),
            "share": fitted.probabilities,
            "low": band.low.probabilities,
            "high": band.high.probabilities,
            "at_risk": len(days) - np.searchsorted(np.sort(days), at, side="left"),
        }
    ).fill_nan(None)
    start = pl.DataFrame({"days": [0], "share": [1.0], "low": [1.0], "high": [1.0], "at_risk": [len(days)]})
    return pl.concat([start, curve.filter(pl.col("days") > 0, pl.col("at_risk") >= minimum_group)])


def _median(curve: pl.DataFrame) -> int | None:
    days = curve.filter(pl.col("share") <= 0.5)["days"]
    return int(days[0]) if len(days) else None


def against_the_rest(waits: pl.DataFrame) -> list[float]:
    """p-value of the log-rank test of each group against all others, corrected by Benjamini & Hochberg (1995)."""
    values = []
    for group in waits["group"].unique(maintain_order=True):
        own, rest = (
            CensoredData.right_censored(part["days"].to_numpy(), (~part["again"]).to_numpy())
            for part in (waits.filter(pl.col("group") == group), waits.filter(pl.col("group") != group))
        )
        with np.errstate(invalid="ignore"):
            p_value = float(logrank(own, rest).pvalue)
        values.append(p_value if np.isfinite(p_value) else 1.0)  # all wait alike: nothing tells the groups apart
    found: list[float] = false_discovery_control(values).tolist()
    return found


def stacked(found: Sequence[Curves]) -> pl.DataFrame:
    """The curves of several ways to group, one below the other, with the column `by`."""
    return pl.concat([one.table.select(pl.lit(one.by).alias("by"), pl.all()) for one in found])


def stacked_groups(found: Sequence[Curves]) -> pl.DataFrame:
    """The groups of several ways to group, one below the other, with the column `by`."""
    return pl.concat([one.groups.select(pl.lit(one.by).alias("by"), pl.all()) for one in found])


def answer(found: Curves, formats: Formats) -> str:
    """Which group waits longest and shortest, and whether groups differ beyond chance, in a sentence of Markdown."""
    common = min(COMPARED, *(int(own["days"].max()) for _, own in found.table.group_by("group")))  # type: ignore[arg-type]
    at = found.table.filter(pl.col("days") <= common).group_by("group", maintain_order=True).last().drop_nulls("low")
    if at.height < 2:
        return f"Too few customers are observed long enough to compare them by {found.by}."
    ranked = at.sort("share", "group")
    texts = [
        f"{formats.share(row['share'], (row['low'], row['high']))} ({escaped(row['group'])})"
        for row in (ranked.row(0, named=True), ranked.row(-1, named=True))
    ]
    first = f"After {common} days the share not seen to buy again runs from {texts[0]} to {texts[1]} by {found.by}"
    p_values = found.groups["p_value"].drop_nulls()
    if not len(p_values):
        return f"{first}."
    least = float(p_values.min())  # type: ignore[arg-type]
    differs = "differ beyond chance" if least < SIGNIFICANT else "do not differ beyond chance"
    return f"{first}; groups {differs} (log-rank, smallest corrected {formats.p_value(least)})."
