"""Who the customers are: recency, frequency and money scored in fifths, segments by a rule table, and how they move.

A score is one more than the fifths of all buyers who are strictly worse, so equal values always share a score and the
worst value always scores 1, however many share it (frequency is heavily tied at one order). In numbers: value v scores
1 + the cuts below v, where the k-th cut is the ⌈kn/5⌉-th smallest of n values.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import adjusted_rand_score

from patternbook.analysis import intervals, lifetime
from patternbook.analysis.history import DAYS, history
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.period import Period
from patternbook.analysis.reserved import AWAY, NOT_YET, SMALL
from patternbook.formats import Formats

FIFTHS = 5
SCORES = ("recency_score", "frequency_score", "monetary_score")
SHORTEST_WINDOW = 28  # days; in less a shop's customers hardly come back

Indices = npt.NDArray[np.int64]


class Rule(NamedTuple):
    """A segment: lowest and highest score of each kind, both included, what to do, and whether it is at risk."""

    name: str
    recency: tuple[int, int]
    frequency: tuple[int, int]
    monetary: tuple[int, int]
    action: str
    at_risk: bool


class Cuts(NamedTuple):
    """Four cut points a kind: of minus the days since the last transaction, of transactions, and of money."""

    recency: Floats
    frequency: Floats
    monetary: Floats


class Migration(NamedTuple):
    """Customers by segment in two windows next to each other, both scored with the cuts of the earlier one.

    `table` has from, to and customers; those of fewer than `minimum_group` stand together. `kept` is the share of
    customers with a purchase in both windows who are in the same segment.
    """

    earlier: Period
    later: Period
    table: pl.DataFrame
    kept: Estimate | None


def buyers(orders: pl.DataFrame, window: Period, time_zone: str) -> pl.DataFrame:
    """One row a buyer as of the end of the window, from `history.orders` within it.

    Columns: customer_id, `recency` (whole local days since the last transaction), `frequency` (transactions; one a
    day) and `monetary` (money net of returns).
    """
    day = pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date()
    found = history(orders.filter(day >= window.first), window.last, "day", time_zone)
    return found.select(
        "customer_id",
        (pl.lit(window.last) - pl.col("last")).dt.total_days().alias("recency"),
        pl.col("transactions").alias("frequency"),
        pl.col("revenue").round(4).alias("monetary"),
    )


def cuts(customers: pl.DataFrame) -> Cuts:
    """Cut points between the fifths of `buyers`."""
    at = [-(-k * customers.height // FIFTHS) - 1 for k in range(1, FIFTHS)]
    return Cuts(*(np.sort(values)[at] for values in _values(customers)))


def scored(customers: pl.DataFrame, at: Cuts) -> pl.DataFrame:
    """`buyers` with `SCORES`, 1 (worst) to 5, by the given cut points."""
    return customers.with_columns(
        pl.Series(name, 1 + np.searchsorted(points, values), dtype=pl.Int8)
        for name, points, values in zip(SCORES, at, _values(customers), strict=True)
    )


def _values(customers: pl.DataFrame) -> list[Floats]:
    """Recency (larger is better), frequency and money as numbers."""
    columns = (-pl.col("recency"), pl.col("frequency"), pl.col("monetary"))
    return [customers.select(column.cast(pl.Float64)).to_series().to_numpy() for column in columns]


def segmented(customers: pl.DataFrame, rules: Sequence[Rule], at: Cuts | None = None) -> pl.DataFrame:
    """`buyers` with scores and `segment`, the first rule that matches; cut points are their own unless given."""
    result = scored(customers, at or cuts(customers))
    names = np.array([rule.name for rule in rules])
    place = tuple(result[name].to_numpy().astype(np.int64) - 1 for name in SCORES)
    return result.with_columns(pl.Series("segment", names[_table(rules)[place]], dtype=pl.String))


def _table(rules: Sequence[Rule]) -> Indices:
    """Number of the first rule that matches, by the three scores less one."""
    table = np.full((FIFTHS,) * 3, -1)
    for number, rule in reversed(list(enumerate(rules))):
        table[tuple(slice(low - 1, high) for low, high in (rule.recency, rule.frequency, rule.monetary))] = number
    if (table < 0).any():
        raise ValueError("the rules leave a combination of scores without a segment")
    return table


def assign(customers: pl.DataFrame, rules: Sequence[Rule], minimum_buyers: int) -> pl.DataFrame | LeftOut:
    """`segmented`, where there are customers enough to speak of fifths."""
    if customers.height < minimum_buyers:
        return LeftOut(
            f"{customers.height:,} customers bought, fewer than the {minimum_buyers} (`segmentation.minimum_buyers`) "
            "that segments need."
        )
    if all(customers[name].n_unique() == 1 for name in ("recency", "frequency")):
        return LeftOut(
            "All buyers are alike in when they bought and how often, so there are no segments to tell apart."
        )
    return segmented(customers, rules)


def summary(
    segments: pl.DataFrame, values: pl.DataFrame | None, rules: Sequence[Rule], minimum_group: int
) -> pl.DataFrame:
    """One row a segment in the order of the rules; those of fewer than `minimum_group` customers stand together.

    `values` is the frame `lifetime` by customer. Columns: segment, customers, share, mean_spend, median_spend,
    median_recency (days), mean_frequency, revenue_share, value_at_risk with _low and _high (null where values could
    not be modelled), at_risk, action.
    """
    order = {rule.name: number for number, rule in enumerate(rules)}
    risky = {rule.name: rule.at_risk for rule in rules}
    action = {rule.name: rule.action for rule in rules}
    shown = segments.with_columns(together(segments["segment"], minimum_group))
    table = (
        shown.group_by("segment")
        .agg(
            pl.len().cast(pl.Int64).alias("customers"),
            (pl.len() / shown.height).alias("share"),
            pl.col("monetary").sort().mean().alias("mean_spend"),
            pl.col("monetary").median().alias("median_spend"),
            pl.col("recency").median().alias("median_recency"),
            pl.col("frequency").mean().alias("mean_frequency"),
            pl.col("monetary").sort().sum().alias("revenue_share"),
        )
        .sort(pl.col("segment").replace_strict(order, default=len(order), return_dtype=pl.Int64))
    )
    total = float(table["revenue_share"].sum())
    lost = [value_at_risk(shown.filter(pl.col("segment") == name), values) for name in table["segment"]]
    return table.with_columns(
        pl.col("revenue_share") / total if total > 0 else pl.lit(None, pl.Float64).alias("revenue_share"),
        pl.Series("value_at_risk", [one and one.value for one in lost], dtype=pl.Float64),
        pl.Series("value_at_risk_low", [one and one.low for one in lost], dtype=pl.Float64),
        pl.Series("value_at_risk_high", [one and one.high for one in lost], dtype=pl.Float64),
        pl.col("segment").replace_strict(risky, default=False, return_dtype=pl.Boolean).alias("at_risk"),
        pl.col("segment").replace_strict(action, default=None, return_dtype=pl.String).alias("action"),
    )


def together(names: pl.Series, minimum_group: int) -> pl.Series:
    """`names` of groups, one of each member, in which those too small to publish have one name."""
    return names.replace(_to_pool(names, minimum_group))


def _to_pool(names: pl.Series, minimum_group: int) -> dict[str, str]:
    """The small groups, and the next larger ones as long as they together are still too few, all under one name."""
    sizes = names.value_counts(name="size").sort("size", names.name)
    counts = sizes["size"].to_numpy()
    small = int((counts < minimum_group).sum())
    while 0 < small < len(counts) and counts[:small].sum() < minimum_group:
        small += 1
    return dict.fromkeys(sizes[names.name][:small], SMALL)


def value_at_risk(customers: pl.DataFrame, values: pl.DataFrame | None) -> Estimate | None:
    """Margin of the next twelve months that drop-out is expected to cost, in all; None where it was not modelled."""
    if values is None or "loss_12m" not in values.columns or customers.is_empty():
        return None
    return lifetime.total(values.join(customers, on="customer_id", how="semi"), "loss_12m")


def measures(
    segments: pl.DataFrame | LeftOut,
    count: int,
    values: pl.DataFrame | None,
    rules: Sequence[Rule],
    minimum_group: int,
) -> tuple[list[Measure], list[Measure]]:
    """What 03 records of the segments: measured, and modelled. `count` is the number of buyers."""
    few = f"Fewer than {minimum_group} customers, too few to publish."
    hidden = 0 < count < minimum_group
    people = Measure("buyers", "Buyers", "count", None if hidden else count, reason=few if hidden else None)
    number = "Customers in segments marked at risk"
    labels = {
        "at_risk_value": "Margin of twelve months that drop-out may cost in segments marked at risk",
        "value_at_risk": "Margin of twelve months that drop-out may cost, all buyers",
    }
    if isinstance(segments, LeftOut):
        reason = segments.reason
        return [people, Measure("at_risk_customers", number, "count", None, reason=reason)], [
            Measure(name, label, "currency", None, reason=reason) for name, label in labels.items()
        ]
    risky = segments.filter(pl.col("segment").is_in([rule.name for rule in rules if rule.at_risk]))
    pooled = risky.filter(pl.col("segment").is_in(list(_to_pool(segments["segment"], minimum_group)))).height
    hidden = 0 < risky.height < minimum_group or 0 < pooled < minimum_group  # else the table gives the few away
    at_risk = Measure("at_risk_customers", number, "count", risky.height, n=count)
    if hidden:
        at_risk = Measure("at_risk_customers", number, "count", None, reason=few)
    unknown = "What customers will spend could not be modelled, so the value at risk is not known."
    modelled = []
    for name, who in (("at_risk_value", risky), ("value_at_risk", segments)):
        lost = value_at_risk(who, values)
        if hidden and who is risky:
            lost, reason = None, few
        elif lost is not None and lost.interval is None:
            lost, reason = None, "The value at risk has no finite interval, so none is stated."
        else:
            reason = unknown
        modelled.append(measured(name, labels[name], "currency", lost, None if lost else reason))
    return [people, at_risk], modelled


def migration(
    orders: pl.DataFrame, data: Period, months: int, rules: Sequence[Rule], time_zone: str, minimum_group: int
) -> Migration | LeftOut:
    """How customers move between two windows of `months` months, or two halves of the data where they are shorter.

    The cuts of the earlier window hold for both: who moves has changed, not the yardstick.
    """
    days = min(round(months * DAYS["month"]), data.days // 2)
    if days < SHORTEST_WINDOW:
        return LeftOut(
            f"The data span {data.days} days; two windows of {SHORTEST_WINDOW} days or more, as movements need, do not "
            "fit into them."
        )
    later = Period(data.last - timedelta(days=days - 1), data.last)
    earlier = Period(later.first - timedelta(days=days), later.first - timedelta(days=1))
    before, after = buyers(orders, earlier, time_zone), buyers(orders, later, time_zone)
    if min(before.height, after.height) < max(minimum_group, FIFTHS):
        return LeftOut("Too few customers bought in one of the two windows to follow how they move.")
    yardstick = cuts(before)
    moved = (
        segmented(before, rules, yardstick)
        .select("customer_id", pl.col("segment").alias("from"))
        .join(
            segmented(after, rules, yardstick).select("customer_id", pl.col("segment").alias("to")),
            on="customer_id",
            how="full",
            coalesce=True,
        )
    )
    both = moved.drop_nulls()
    kept = intervals.share(both.filter(pl.col("from") == pl.col("to")).height, both.height)
    known = moved.with_columns(pl.col("from").fill_null(NOT_YET), pl.col("to").fill_null(AWAY))
    return Migration(earlier, later, _flows(known, minimum_group), kept if both.height >= minimum_group else None)


def _flows(moved: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """Customers by from and to; small origins stand together, and small destinations of each origin."""
    moved = moved.with_columns(pl.col("from").replace(_to_pool(moved["from"], minimum_group)))
    parts = [
        part.with_columns(pl.col("to").replace(_to_pool(part["to"], minimum_group)))
        for part in moved.partition_by("from", maintain_order=False)
    ]
    counted = pl.concat(parts).group_by("from", "to").agg(pl.len().cast(pl.Int64).alias("customers"))
    return counted.filter(pl.col("customers") >= minimum_group).sort("customers", "from", "to", descending=True)


def by_window(
    orders: pl.DataFrame,
    segments: pl.DataFrame,
    data: Period,
    months: Sequence[int],
    rules: Sequence[Rule],
    time_zone: str,
    minimum_group: int,
) -> pl.DataFrame | LeftOut:
    """How far segments hang on the window: those by the last `months` months against those by all data.

    Each window has its own cuts. Columns: months, customers (with a purchase in the window), same (share of them in
    the same segment) with _low and _high (Wilson), adjusted_rand (1: the same grouping, 0: no more than chance).
    """
    rows = []
    for length in months:
        window = Period(data.last - timedelta(days=round(length * DAYS["month"]) - 1), data.last)
        customers = buyers(orders, window, time_zone) if window.first > data.first else None
        if customers is None or customers.height < max(minimum_group, FIFTHS):
            continue
        pair = segmented(customers, rules).join(segments.select("customer_id", whole="segment"), on="customer_id")
        same = intervals.share(pair.filter(pl.col("segment") == pl.col("whole")).height, pair.height)
        if same:
            agreement = adjusted_rand_score(pair["segment"].to_numpy(), pair["whole"].to_numpy())
            rows.append((length, same.n, same.value, same.low, same.high, float(agreement)))
    if not rows:
        return LeftOut("The data are no longer than the shortest window, so there is nothing to compare.")
    columns = ["months", "customers", "same", "same_low", "same_high", "adjusted_rand"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def grid(segments: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """Customers and median money by recency and frequency score, of cells with `minimum_group` customers or more."""
    return (
        segments.group_by("recency_score", "frequency_score")
        .agg(pl.len().cast(pl.Int64).alias("customers"), pl.col("monetary").median().alias("median_spend"))
        .filter(pl.col("customers") >= minimum_group)
        .sort("recency_score", "frequency_score")
    )


def space(segments: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """Buyers of one segment in one cell of recency × frequency × money, where they are `minimum_group` or more.

    Cells are as wide as a factor of 10^¼ (recency as days + 1); who has nothing left after returns is in none. Columns:
    segment, customers, and recency, frequency and monetary, the geometric mean of the customers of the cell.
    """
    logs = {
        "recency": (pl.col("recency") + 1).log10(),
        "frequency": pl.col("frequency").log10(),
        "monetary": pl.col("monetary").log10(),
    }
    placed = segments.filter(pl.col("monetary") > 0).select("segment", *(log.alias(name) for name, log in logs.items()))
    return (
        placed.group_by("segment", *((pl.col(name) * 4).floor().alias(f"{name}_cell") for name in logs))
        .agg(
            pl.len().cast(pl.Int64).alias("customers"),
            *(pl.lit(10.0).pow(pl.col(name).sort().mean()).alias(name) for name in logs),
        )
        .filter(pl.col("customers") >= minimum_group)
        .sort("customers", "segment", *logs, descending=True)
        .select("segment", "customers", *logs)
    )


def answer(
    segments: pl.DataFrame | LeftOut, table: pl.DataFrame | None, recorded: Sequence[Measure], formats: Formats
) -> str:
    """The notebook's answer in two or three sentences, from the results."""
    if isinstance(segments, LeftOut) or table is None:
        return segments.reason if isinstance(segments, LeftOut) else ""
    found = {measure.name: measure for measure in recorded}
    first = table.sort("customers", "segment", descending=True).row(0, named=True)
    richest = table.sort("revenue_share", "segment", descending=True, nulls_last=True).row(0, named=True)
    sentences = [
        f"The largest segment of {formats.count(segments.height)} buyers is {first['segment']}, "
        f"{formats.tenths(first['share'])} of them."
    ]
    if richest["revenue_share"] is not None and richest["segment"] == first["segment"]:
        sentences.append(f"It brought {formats.tenths(richest['revenue_share'])} of revenue.")
    elif richest["revenue_share"] is not None:
        sentences.append(
            f"{richest['segment']}, {formats.tenths(richest['share'])} of buyers, brought "
            f"{formats.tenths(richest['revenue_share'])} of revenue."
        )
    people, theirs, whole = (found[name] for name in ("at_risk_customers", "at_risk_value", "value_at_risk"))
    if whole.value is None:
        sentences.append(f"{whole.reason}")
    else:
        sentences.append(
            f"Drop-out is expected to cost {formats.money(whole.value, whole.interval)} of margin in twelve months, "
            "whichever segment loses it."
        )
    if people.value and theirs.value is not None:
        sentences.append(
            f"Of that, {formats.money(theirs.value, theirs.interval)} falls on the {formats.count(people.value)} "
            "customers in segments marked at risk."
        )
    elif people.value:
        sentences.append(f"In segments marked at risk are {formats.count(people.value)} customers.")
    if whole.interval and whole.interval[0] == 0:
        sentences.append("The data can hardly tell drop-out from none, so that range begins at nothing.")
    return " ".join(sentences)
