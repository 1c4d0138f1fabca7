"""The customers' funnel by group: of those who come on a platform or to a category, how many take each step.

A step counts within the group's sessions (in a category or price band: with its products). One customer is in several
groups, so that groups add up to more than all customers; intervals are by customer within a group, and comparisons by
cluster of customers, which know who is in both.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from patternbook.analysis import intervals
from patternbook.analysis.clustered import Floats
from patternbook.analysis.funnel import RATES
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.sessions import (
    GROUPINGS,
    MOST_GROUPS,
    Groups,
    against_the_others,
    pooled,
    sizes,
    told_apart,
    totals,
)
from patternbook.analysis.suppression import few, hidden
from patternbook.formats import Formats

COUNTS = ("visitors", "viewers", "viewers_to_cart", "carters", "carters_to_purchase", "buyers")


def by_group(
    mart: pl.DataFrame, product_stats: pl.DataFrame, minimum_group: int, rate: float, formats: Formats
) -> Groups | LeftOut:
    """The customers' funnel by platform, newness, weekday, category and price, from the mart `session_funnel`.

    `table`: grouping, group, customers, each rate of `funnel.RATES` with its Wilson interval, p, differs (conversion
    against the other groups; all groups of all groupings are tested together at the false discovery rate `rate`).

    Where customers are in several groups, those of fewer than `minimum_group` customers and those beyond the
    `MOST_GROUPS` largest are left out, and a rate that few took is null by itself. Where the groups share customers
    out, small ones stand together, and what the rate of all would give away is null too.
    """
    rows = mart.rename({"customers": "visitors"})
    everyone = rows.filter(pl.col("grouping_name") == "all").select(pl.col(COUNTS).sum()).row(0, named=True)
    found = [
        part for grouping in GROUPINGS if (part := _one_grouping(rows, grouping, everyone, minimum_group)) is not None
    ]
    if not found:
        return LeftOut("There are no two groups of customers with enough of them to compare.")
    table, p = pl.concat([part for part, _ in found]), np.concatenate([values for _, values in found])
    return told_apart(table, p, rate, product_stats, formats)


def _one_grouping(
    rows: pl.DataFrame, grouping: str, everyone: dict[str, int], minimum_group: int
) -> tuple[pl.DataFrame, Floats] | None:
    """Rates of the groups of one grouping, and p-values of their conversion against the other groups."""
    rows = rows.filter(pl.col("grouping_name") == grouping)
    by_size = sizes(rows, "visitors")
    shared_out = sum(by_size.values()) <= everyone["visitors"]  # no customer need be in two groups
    if shared_out:
        rows, names = pooled(rows, by_size, minimum_group)
    else:
        names = [name for name, visitors in by_size.items() if visitors >= minimum_group][:MOST_GROUPS]
        rows = rows.filter(pl.col("group_name").is_in(names))
    if len(names) < 2:
        return None
    if grouping in ("weekday", "price"):
        names = sorted(names)
    by_cluster = {column: totals(rows, names, column) for column in COUNTS}
    counts = {column: values.sum(axis=0) for column, values in by_cluster.items()}
    columns: dict[str, Floats] = {}
    for name, (_, took, could) in RATES.items():
        small_base = counts[could] < minimum_group
        if shared_out or counts[took].sum() == everyone[took]:  # then the rate of all would give a lone one away
            hide = hidden(counts[took], minimum_group, also=small_base)
        else:
            hide = few(counts[took], minimum_group) | small_base
        low, high = intervals.wilson(counts[took], counts[could])
        for end, values in (("", counts[took] / counts[could].clip(1)), ("_low", low), ("_high", high)):
            columns[f"{name}{end}"] = np.where(hide, np.nan, values)
    difference = against_the_others(by_cluster["buyers"], by_cluster["visitors"])
    labels = {"grouping": grouping, "group": names, "customers": counts["visitors"].astype(int)}
    table = pl.DataFrame(labels | columns | {"difference": difference.values})
    return table.with_columns(pl.col(list(columns)).fill_nan(None)), difference.p_values()
