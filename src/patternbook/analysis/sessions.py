"""The funnel by session: how many take each step within one visit, overall and by group, with intervals by cluster.

A step counts within the session: a cart event at or after the first view, a purchase at or after the first cart event.
A cart that is bought in a later session is no purchase of the session it was filled in (see `abandonment`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

from patternbook.analysis.clustered import CLUSTERS, Floats, LogRatios, log_ratios, shares
from patternbook.analysis.funnel import POOLED, smallest_to_pool
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.suppression import few, hidden
from patternbook.formats import Formats
from patternbook.markup import escaped

ORDERS_ONLY = "transactions"  # a kind of source without sessions
MOST_GROUPS = 8  # of one grouping, the largest; the rest stand together
RATES = {  # rate: (label, sessions that took the step, sessions that could have, people who took it)
    "view_to_cart": ("View to cart within a session", "viewing_to_cart", "viewing", "carters"),
    "cart_to_purchase": ("Cart to purchase within a session", "carting_to_purchase", "carting", "buyers"),
    "conversion": ("Sessions with a purchase", "buying", "sessions", "buyers"),
}
GROUPINGS = {
    "platform": "Platform",
    "newness": "First visit or not",
    "weekday": "Weekday",
    "category": "Category",
    "price": "Price of products",
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLUMNS = (
    "customers",
    "carters",
    "buyers",
    "sessions",
    "viewing",
    "viewing_to_cart",
    "carting",
    "carting_to_purchase",
    "buying",
    "buying_without_view",
    "carting_without_view",
)


class Sessions(NamedTuple):
    """Sessions in all: `counts` by the mart's columns, `rates` by `RATES`; why a rate is not shown, in `why_not`."""

    counts: dict[str, int]
    rates: dict[str, Estimate]
    why_not: dict[str, str]


def total(mart: pl.DataFrame, source_kind: str, minimum_group: int) -> Sessions | LeftOut:
    """The funnel of all sessions, from the mart `session_funnel`."""
    if source_kind == ORDERS_ONLY:
        return LeftOut("The source records orders only, so there is no funnel by session.")
    everyone = mart.filter(pl.col("grouping_name") == "all")
    counts = {name: int(everyone[name].sum()) for name in COLUMNS}
    if counts["customers"] < minimum_group:
        return LeftOut(f"Fewer than {minimum_group} known customers came, too few to publish a funnel by session.")
    rates, why_not = {}, {}
    for name, (_, took, could, people) in RATES.items():
        reason = _why_not(counts, took, could, people, minimum_group)
        if reason:
            why_not[name] = reason
        else:
            found = shares(*(totals(everyone, ["all"], column) for column in (took, could)))
            value, low, high = (float(part[0]) for part in found)
            known = np.isfinite(low)
            rates[name] = Estimate(value, low if known else None, high if known else None, counts[could])
    return Sessions(counts, rates, why_not)


def _why_not(counts: dict[str, int], took: str, could: str, people: str, minimum_group: int) -> str | None:
    absent = {"viewing": "view event", "carting": "cart event"}
    if could in absent and counts[could] == 0:
        return f"The log holds no {absent[could]}."
    if counts[took] == 0:
        return "The log holds no purchase." if people == "buyers" else "The log holds no cart event."
    if few(counts[people], minimum_group):
        return f"Fewer than {minimum_group} customers took the step, too few to publish."
    return None


def totals(rows: pl.DataFrame, groups: list[str], column: str) -> Floats:
    """Totals of one grouping, clusters × groups."""
    matrix = np.zeros((CLUSTERS, len(groups)))
    place = rows["group_name"].replace_strict({group: k for k, group in enumerate(groups)}, return_dtype=pl.Int64)
    np.add.at(matrix, (rows["cluster"].to_numpy(), place.to_numpy()), rows[column].to_numpy())
    return matrix


def measures(found: Sessions | LeftOut) -> list[Measure]:
    """What 06 records of the funnel by session."""
    if isinstance(found, LeftOut):
        return [
            Measure(f"session_{name}", label, "share", None, reason=found.reason) for name, (label, *_) in RATES.items()
        ]
    return [
        measured(f"session_{name}", label, "share", found.rates.get(name), found.why_not.get(name))
        for name, (label, *_) in RATES.items()
    ]


class Groups(NamedTuple):
    """Rates by group. `table`: grouping, group, customers, sessions, each rate with `_low` and `_high`, p, differs.

    `differs` is 1 where conversion is reliably above that of the other groups of the grouping, −1 below, else 0, all
    groups of all groupings tested together (Benjamini–Hochberg); null where it cannot be tested.
    """

    table: pl.DataFrame


def by_group(
    mart: pl.DataFrame, product_stats: pl.DataFrame, minimum_group: int, rate: float, formats: Formats
) -> Groups | LeftOut:
    """The funnel by platform, newness, weekday, category and price, where there are two groups or more.

    Groups of fewer than `minimum_group` customers, and those beyond the `MOST_GROUPS` largest, stand together. Rates
    that few people took are null, and where the rate of all would give one away, a second.
    """
    parts = [_one_grouping(mart, grouping, minimum_group) for grouping in GROUPINGS]
    found = [part for part in parts if part is not None]
    if not found:
        return LeftOut("There are no two groups of sessions with enough customers to compare.")
    table, p = pl.concat([part for part, _ in found]), np.concatenate([values for _, values in found])
    return told_apart(table, p, rate, product_stats, formats)


def told_apart(
    table: pl.DataFrame, p: Floats, rate: float, product_stats: pl.DataFrame, formats: Formats
) -> Groups | LeftOut:
    """Groups of all groupings, tested together and named; `difference` in the table becomes `differs`."""
    if table["conversion"].null_count() == table.height:
        return LeftOut("Too few customers bought in each group to compare conversion.")
    known = np.isfinite(p) & table["conversion"].is_not_null().to_numpy()
    reliable = np.zeros(len(p), bool)
    if known.any():
        reliable[known] = false_discovery_control(p[known]) < rate
    direction = np.sign(table["difference"].to_numpy())
    names = _group_names(product_stats, formats)
    labels = [names.get((grouping, group), group) for grouping, group in table.select("grouping", "group").iter_rows()]
    return Groups(
        table.drop("difference").with_columns(
            pl.Series("grouping", [GROUPINGS[name] for name in table["grouping"]]),
            pl.Series("group", labels),
            pl.Series("p", np.where(known, p, np.nan), nan_to_null=True),
            pl.Series("differs", np.where(reliable, direction, 0).astype(int)).set(pl.Series(~known), None),
        )
    )


def _one_grouping(mart: pl.DataFrame, grouping: str, minimum_group: int) -> tuple[pl.DataFrame, Floats] | None:
    """Rates of the groups of one grouping, and p-values of their conversion against the other groups."""
    rows = mart.filter(pl.col("grouping_name") == grouping)
    rows, names = pooled(rows, sizes(rows, "customers"), minimum_group)
    if len(names) < 2:
        return None
    if grouping in ("weekday", "price"):
        names = sorted(names)
    counts = {column: totals(rows, names, column) for column in COLUMNS}
    columns: dict[str, Floats] = {}
    for name, (_, took, could, people) in RATES.items():
        small = counts[could].sum(axis=0) < minimum_group
        hide = hidden(counts[people].sum(axis=0), minimum_group, also=small)
        for end, values in zip(("", "_low", "_high"), shares(counts[took], counts[could]), strict=True):
            columns[f"{name}{end}"] = np.where(hide, np.nan, values)
    difference = against_the_others(counts["buying"], counts["sessions"])
    table = pl.DataFrame(
        {
            "grouping": grouping,
            "group": names,
            "customers": counts["customers"].sum(axis=0).astype(int),
            "sessions": counts["sessions"].sum(axis=0).astype(int),
        }
        | columns
        | {"difference": difference.values}
    )
    rates = [f"{name}{end}" for name in RATES for end in ("", "_low", "_high")]
    return table.with_columns(pl.col(rates).fill_nan(None)), difference.p_values()


def sizes(rows: pl.DataFrame, people: str) -> dict[str, int]:
    """Totals of the column `people` by group, the largest first."""
    found = rows.group_by("group_name").agg(pl.col(people).sum())
    return dict(found.sort(people, "group_name", descending=[True, False]).iter_rows())


def pooled(rows: pl.DataFrame, by_size: dict[str, int], minimum_group: int) -> tuple[pl.DataFrame, list[str]]:
    """Rows and names of groups; those too small, and those beyond the `MOST_GROUPS` largest, stand together."""
    names = list(by_size)
    small = max(smallest_to_pool(list(by_size.values()), minimum_group), len(names) - MOST_GROUPS)
    small = 2 if small == 1 else small  # `all other` of one group would be that group
    if small <= 0:
        return rows, names
    rest = pl.col("group_name").is_in(names[-small:])
    together = rows.with_columns(pl.when(rest).then(pl.lit(POOLED)).otherwise("group_name").alias("group_name"))
    return together, [*names[:-small], POOLED]


def against_the_others(took: Floats, could: Floats) -> LogRatios:
    """Odds of each group (a column) against those of all other groups together; rows are clusters."""
    others = [part.sum(axis=1, keepdims=True) - part for part in (took, could)]
    return _log_odds(took, could).minus(_log_odds(*others))


def _log_odds(took: Floats, could: Floats) -> LogRatios:
    return log_ratios(took, could - took)


def _group_names(product_stats: pl.DataFrame, formats: Formats) -> dict[tuple[str, str], str]:
    """Names of groups that the mart keeps as numbers: weekdays, and price quarters by their limits."""
    names = {("weekday", str(day)): name for day, name in enumerate(WEEKDAYS, start=1)}
    middle = (pl.col("min_price").cast(pl.Float64) * pl.col("max_price").cast(pl.Float64)).sqrt()
    limits = (
        product_stats.drop_nulls("price_quarter")
        .group_by("price_quarter")
        .agg(middle.min().alias("low"), middle.max().alias("high"))
    )
    for quarter, low, high in limits.iter_rows():
        names["price", str(quarter)] = f"{formats.money(low)} to {formats.money(high)}"
    return names


def answer(found: Sessions | LeftOut, formats: Formats) -> str:
    """How far sessions go, in one or two sentences."""
    if isinstance(found, LeftOut):
        return found.reason
    counts = found.counts
    sentences = []
    if conversion := found.rates.get("conversion"):
        share = formats.share(conversion.value, conversion.interval)
        sentences.append(f"Of {formats.count(counts['sessions'])} sessions, {share} end with a purchase.")
    to_cart, to_purchase = found.rates.get("view_to_cart"), found.rates.get("cart_to_purchase")
    if to_cart:
        told = f"Of those with a view, {formats.share(to_cart.value, to_cart.interval)} go on to a cart"
        if to_purchase:
            told += (
                f"; of those with a cart, {formats.share(to_purchase.value, to_purchase.interval)} buy in the session"
            )
        sentences.append(f"{told}.")
    return " ".join(sentences) or next(iter(found.why_not.values()))


def groups_answer(found: Groups | LeftOut, formats: Formats, of: str = "sessions") -> str:
    """Which groups convert reliably above and below the others, in a sentence or two of Markdown."""
    if isinstance(found, LeftOut):
        return found.reason
    tested = found.table.drop_nulls("differs")
    told = []
    for sign, words, descending in ((1, "above the others (highest", True), (-1, "below (lowest", False)):
        own = tested.filter(pl.col("differs") == sign).sort("conversion", "group", descending=[descending, False])
        if own.height:
            row = own.row(0, named=True)
            rate = formats.share(row["conversion"], (row["conversion_low"], row["conversion_high"]))
            told.append(f"{formats.count(own.height)} {words}: {escaped(row['group'])}, {rate})")
    if not told:
        return f"None of {formats.count(tested.height)} groups of {of} converts reliably unlike the others."
    groups = formats.count(tested.height)
    return f"Of {groups} groups of {of}, these convert reliably unlike the others: {'; '.join(told)}."
