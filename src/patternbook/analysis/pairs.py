"""Items that baskets hold together more often than by chance.

Two items are tested on all baskets that count: Fisher's exact test, one-sided, Benjamini-Hochberg over all pairs of
items that are in enough baskets, also those that no basket holds both of. A pair is kept where the test says so and
the interval on its lift, which allows for customers who buy the same again and again, is above one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.stats import hypergeom, t

from patternbook.analysis.baskets import Baskets, Level
from patternbook.analysis.intervals import CONFIDENCE, ratio_of_totals
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats
from patternbook.markup import escaped

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_ROWS = 1000  # of a level in the published table; a wholesaler has more pairs than anybody reads
_FIRST = ("item_a", "name_a", "item_b", "name_b")
CHUNK = 2000  # pairs whose intervals are computed at a time
PLURAL: dict[Level, str] = {"product": "products", "category": "categories", "brand": "brands"}


class Rules(NamedTuple):
    """What makes a pair: the parameters of the section `basket` that this module reads."""

    minimum_baskets: int
    false_discovery_rate: float
    prior_baskets: float
    minimum_group: int


@dataclass(frozen=True)
class Pairs:
    """All pairs of one level that were seen often enough, the best first, and how many were tested.

    `table`: item_a, item_b; baskets, baskets_a, baskets_b; customers; support, confidence_ab, confidence_ba, lift
    with low and high, lift_shrunk, leverage, conviction_ab, conviction_ba, p_value, q_value, stock_ab, stock_ba, kept.
    """

    level: Level
    table: pl.DataFrame
    tested: int
    baskets: int

    @property
    def kept(self) -> pl.DataFrame:
        """The pairs that count as bought together, the highest shrunk lift first."""
        return self.table.filter("kept")


def associate(
    pairs: pl.DataFrame, items: pl.DataFrame, found: Baskets, products: pl.DataFrame, level: Level, rules: Rules
) -> Pairs | LeftOut:
    """The pairs of `level`, from the marts `pairs` and `items`, with test, intervals and measures of interest.

    Pairs of fewer than `rules.minimum_group` customers are tested, but not handed over: they are not to be published.
    """
    many = PLURAL[level]
    if not len(found):
        return LeftOut("There are no orders, so nothing is bought together.")
    frequent = items.filter(pl.col("level") == level, pl.col("baskets") >= rules.minimum_baskets)
    n = frequent.height
    if n < 2:
        if items.filter(pl.col("level") == level).is_empty():
            return LeftOut(f"The source does not say the {level} of what is bought, so {many} are not paired.")
        return LeftOut(f"Fewer than two {many} are in {rules.minimum_baskets} baskets or more, so there is no pair.")
    if not found.of_several.any():
        return LeftOut("Every basket holds one product only, so nothing is bought together.")
    tested = n * (n - 1) // 2
    seen = _measures(pairs.filter(pl.col("level") == level), frequent, len(found), rules.prior_baskets)
    q_value = adjusted(seen["p_value"].to_numpy(), tested)
    seen = seen.with_columns(pl.Series("q_value", q_value))
    low, high = _lift_intervals(seen, found, products, level, q_value <= rules.false_discovery_rate)
    table = seen.with_columns(
        pl.Series("low", low).fill_nan(None), pl.Series("high", high).fill_nan(None)
    ).with_columns(
        ((pl.col("q_value") <= rules.false_discovery_rate) & (pl.col("low") > 1).fill_null(False)).alias("kept")
    )
    table = table.filter(pl.col("customers") >= rules.minimum_group)
    best = ["kept", "lift_shrunk", "baskets", "item_a", "item_b"]
    return Pairs(level, table.sort(best, descending=[True, True, True, False, False]), tested, len(found))


def _measures(pairs: pl.DataFrame, items: pl.DataFrame, baskets: int, prior: float) -> pl.DataFrame:
    """Measures of interest of each pair (Tan, Kumar & Srivastava 2004, Information Systems 29, 293-313).

    `lift_shrunk` is (n + k) / (E + k), with E the baskets expected by chance: the posterior mean of a Poisson rate
    over its expectation under a Gamma(k, k) prior of mean one (DuMouchel 1999, Am. Statistician 53, 177-190, with one
    component). `stock_ab` is the units of B in baskets with both for each unit of A sold.
    """
    a, b = (
        items.select(
            pl.col("item").alias(f"item_{side}"),
            pl.col("baskets").alias(f"baskets_{side}"),
            pl.col("units").alias(f"sold_{side}"),
        )
        for side in "ab"
    )
    n, total = pl.col("baskets"), pl.lit(baskets)
    n_a, n_b = pl.col("baskets_a"), pl.col("baskets_b")
    expected = n_a * n_b / total
    joined = (
        pairs.drop("level")
        .join(a, on="item_a")
        .join(b, on="item_b")
        .sort("item_a", "item_b")
        .with_columns(
            (n / total).alias("support"),
            (n / n_a).alias("confidence_ab"),
            (n / n_b).alias("confidence_ba"),
            (n / expected).alias("lift"),
            ((n + prior) / (expected + prior)).alias("lift_shrunk"),
            (n / total - expected / total).alias("leverage"),
            _conviction(n, n_a, n_b / total).alias("conviction_ab"),
            _conviction(n, n_b, n_a / total).alias("conviction_ba"),
            (pl.col("units_b") / pl.col("sold_a")).alias("stock_ab"),
            (pl.col("units_a") / pl.col("sold_b")).alias("stock_ba"),
        )
        .drop("units_a", "units_b", "sold_a", "sold_b")
    )
    both, of_a, of_b = (joined[name].to_numpy() for name in ("baskets", "baskets_a", "baskets_b"))
    p_value = hypergeom.sf(both - 1, baskets, of_a, of_b)
    return joined.with_columns(pl.Series("p_value", np.clip(p_value, 0, 1), pl.Float64))


def _conviction(both: pl.Expr, antecedent: pl.Expr, share: pl.Expr) -> pl.Expr:
    """(1 - share) / (1 - confidence); null where every basket with the one holds the other: it has no bound."""
    return pl.when(both < antecedent).then((1 - share) / (1 - both / antecedent))


def adjusted(p_values: Floats, tested: int) -> Floats:
    """Benjamini & Hochberg's (1995) adjusted p-values among `tested` hypotheses.

    Those of which no p-value is given count with p = 1. J. R. Stat. Soc. B 57, 289-300.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * tested / np.arange(1, len(p_values) + 1)
    smallest = np.minimum.accumulate(scaled[::-1])[::-1]
    values = np.empty_like(smallest)
    values[order] = np.minimum(smallest, 1.0)
    return values


def _lift_intervals(
    table: pl.DataFrame, found: Baskets, products: pl.DataFrame, level: Level, wanted: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Intervals on lift of the wanted pairs, NaN for the others."""
    low, high = np.full(table.height, np.nan), np.full(table.height, np.nan)
    chosen = np.flatnonzero(wanted)
    if not len(chosen):
        return low, high
    sides = table.select("item_a", "item_b")[chosen]
    items = pl.concat([sides["item_a"], sides["item_b"].alias("item_a")]).unique().sort().to_list()
    place = pl.DataFrame({"item": items}).with_row_index("place")
    a, b = (
        sides.select(pl.col(side).alias("item")).join(place, on="item", how="left", maintain_order="left")["place"]
        for side in sides.columns
    )
    held = found.matrix(items, products, level)
    for first in range(0, len(chosen), CHUNK):
        part = slice(first, first + CHUNK)
        low[chosen[part]], high[chosen[part]] = lift_interval(held, found, a[part].to_numpy(), b[part].to_numpy())
    return low, high


def lift_interval(held: sparse.csc_array, found: Baskets, a: Ints, b: Ints) -> tuple[Floats, Floats]:
    """95 % interval on the lift of columns `a` with columns `b` of `held`, baskets clustered by customer.

    The logarithm of N n_ab / (n_a n_b) is linearised (Cochran 1977, chapter 6): a customer moves it by
    n_ab,c / n_ab + N_c / N - n_a,c / n_a - n_b,c / n_b. The quantile is that of Student's t with one degree of freedom
    fewer than there are customers with both.
    """
    both = held[:, a].multiply(held[:, b]).tocsc()
    own = found.by_customer(held).tocsc()
    own_both = found.by_customer(both).tocsc()
    size = found.by_customer(np.ones(len(found)))
    n_ab, n_item, n = _sums(both), _sums(held), float(len(found))
    n_a, n_b = n_item[a], n_item[b]
    with_size = sparse.csr_array(size[None, :]) @ own
    squares, sized = _sums(own.multiply(own)), with_size.toarray().ravel()
    own_a, own_b = own[:, a], own[:, b]
    both_sized = (sparse.csr_array(size[None, :]) @ own_both).toarray().ravel()
    variance = (
        _sums(own_both.multiply(own_both)) / n_ab**2
        + (size @ size) / n**2
        + squares[a] / n_a**2
        + squares[b] / n_b**2
        + 2 * both_sized / (n_ab * n)
        - 2 * _sums(own_both.multiply(own_a)) / (n_ab * n_a)
        - 2 * _sums(own_both.multiply(own_b)) / (n_ab * n_b)
        - 2 * sized[a] / (n * n_a)
        - 2 * sized[b] / (n * n_b)
        + 2 * _sums(own_a.multiply(own_b)) / (n_a * n_b)
    )
    people = np.diff(own_both.indptr)
    with np.errstate(invalid="ignore"):
        reach = t.ppf((1 + CONFIDENCE) / 2, people - 1) * np.sqrt(np.maximum(variance, 0))
    lift = n_ab * n / (n_a * n_b)
    return lift * np.exp(-reach), lift * np.exp(reach)


def _sums(matrix: sparse.sparray) -> Floats:
    sums: Floats = np.asarray(matrix.sum(axis=0), dtype=float).ravel()
    return sums


def named(pairs: Pairs, names: pl.DataFrame, *, kept_only: bool = True) -> pl.DataFrame:
    """The kept pairs, or all, with name_a and name_b of `names` (item, name)."""
    table = pairs.kept if kept_only else pairs.table
    for side in "ab":
        own = names.select(pl.col("item").alias(f"item_{side}"), pl.col("name").alias(f"name_{side}"))
        table = table.join(own, on=f"item_{side}", how="left", maintain_order="left")
    return table.with_columns(pl.coalesce(f"name_{side}", f"item_{side}").alias(f"name_{side}") for side in "ab")


def published(found: Iterable[Pairs], names: Mapping[Level, pl.DataFrame]) -> pl.DataFrame:
    """The kept pairs of all levels in one table with names, at most `MOST_ROWS` a level."""
    tables = [
        named(pairs, names[pairs.level])
        .head(MOST_ROWS)
        .select(pl.lit(pairs.level).alias("level"), *_FIRST, pl.exclude(*_FIRST, "kept"))
        for pairs in found
    ]
    return pl.concat(tables).rename({"low": "lift_low", "high": "lift_high"})


def item_names(products: pl.DataFrame, level: Level) -> pl.DataFrame:
    """A name of each item, one row an item of the mart `items`. Columns: item, name.

    A product has the source's name; else brand, last part of the category, and the source's id. A category is its last
    part, with the one before where another category ends alike.
    """
    if level == "brand":
        return products.select(pl.col("brand").alias("item"), pl.col("brand").alias("name")).drop_nulls().unique()
    parts = pl.col("category_code").str.split(".").list.eval(pl.element().str.replace_all("_", " "))
    last, before = parts.list.last(), parts.list.get(-2, null_on_oob=True)
    if level == "category":
        return (
            products.select("category_code")
            .drop_nulls()
            .unique()
            .select(
                pl.col("category_code").alias("item"),
                pl.when(last.is_duplicated() & before.is_not_null())
                .then(pl.format("{} ({})", last, before))
                .otherwise(last)
                .alias("name"),
            )
        )
    described = pl.concat_str(pl.col("brand"), last, pl.col("source_id"), separator=" ", ignore_nulls=True)
    return products.select(
        pl.col("product_id").cast(pl.String).alias("item"), pl.coalesce("name", described).alias("name")
    )


def why_not(pairs: Pairs | LeftOut) -> str:
    """The sentence that stands where there are no pairs to show; empty where there are some."""
    if isinstance(pairs, LeftOut):
        return pairs.reason
    many = PLURAL[pairs.level]
    return "" if not pairs.kept.is_empty() else f"No two {many} are reliably bought together more often than by chance."


def measures(found: Baskets, products: Pairs | LeftOut) -> list[Measure]:
    """What 05 records of baskets and pairs of products, as counted."""
    reason = products.reason if isinstance(products, LeftOut) else None
    tested, kept = (None, None) if isinstance(products, LeftOut) else (products.tested, products.kept.height)
    several = None
    if len(found):
        totals = np.column_stack([found.by_customer(found.of_several * 1.0), found.by_customer(np.ones(len(found)))])
        several = ratio_of_totals(totals, (1, -1))
    none = "No basket holds two products or more." if len(found) else "There are no baskets."
    return [
        Measure("baskets", "Baskets that count", "count", len(found)),
        Measure("oversized", "Baskets with more products than basket.largest, left out", "count", found.oversized),
        measured(
            "of_several",
            "Share of baskets with two or more products",
            "share",
            several,
            None if several else none,
        ),
        Measure("pairs_tested", "Pairs of products tested", "count", tested, reason=reason),
        Measure(
            "pairs_kept", "Pairs of products bought together more often than by chance", "count", kept, reason=reason
        ),
    ]


def answer(found: Baskets, products: Pairs | LeftOut, names: pl.DataFrame, rules: Rules, formats: Formats) -> str:
    """What is bought together, in a few sentences of Markdown."""
    by_name = {measure.name: measure for measure in measures(found, products)}
    several = by_name["of_several"]
    share = formats.share(several.value, several.interval)
    first = f"Of {formats.count(len(found))} baskets, {share} hold two or more products."
    if found.oversized:
        first += (
            f" Left out are {formats.count(found.oversized)} of more than {formats.count(found.largest)} products: in "
            "them, almost everything goes with everything."
        )
    if isinstance(products, LeftOut):
        return products.reason if several.value is None else f"{first} {products.reason}"
    tested, kept = formats.count(products.tested), products.kept.height
    pairs = (
        f"Of {tested} pairs of products" if products.tested > 1 else "Of the one pair of products that could be tested"
    )
    if not kept:
        return f"{first} {pairs}, none is reliably bought together more often than by chance."
    count = (
        f"{first} {pairs}, {formats.count(kept)} {'is' if kept == 1 else 'are'} bought together more often than by "
        f"chance; at most {formats.tenths(rules.false_discovery_rate)} of them are expected to be false."
    )
    best = named(products, names).row(0, named=True)
    return (
        f"{count} The strongest link is between {escaped(best['name_a'])} and {escaped(best['name_b'])}: together in "
        f"{formats.count(best['baskets'])} baskets, "
        f"{formats.value(best['lift'], 'factor', (best['low'], best['high']))} as often as by chance."
    )
