"""Bundles grown from pairs that are bought together, and what offering one is expected to bring.

A bundle offers its missing product to whoever takes the rest. The margin it brings is incremental: of those who would
not have added the product, the assumed `uptake` does; the discount goes to all who take the whole bundle, those who
would have done so anyway among them. With no uptake, what is left is minus that discount, exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.stats import norm

from patternbook.analysis.baskets import Baskets
from patternbook.analysis.intervals import CONFIDENCE
from patternbook.analysis.measure import LeftOut, Measure
from patternbook.analysis.pairs import Pairs
from patternbook.formats import Formats
from patternbook.markup import escaped

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_PAIRS = 300  # the leading ones that bundles are grown from
MOST_BUNDLES = 1000  # in the table; those that bring most


class Offer(NamedTuple):
    """Assumptions: the share of those without the product who add it, its discount, margin as a share of revenue."""

    uptake: float
    discount: float
    margin: float
    source: str


def bundles(
    pairs: Pairs, found: Baskets, products: pl.DataFrame, offer: Offer, minimum_group: int
) -> pl.DataFrame | LeftOut:
    """Pairs and triples whose cheapest product is offered to whoever takes the rest; what brings most comes first.

    Triples are those of which every two products are among the leading kept pairs. Columns: size, item_1, item_2 (null
    in a pair), added (items); baskets_rest, baskets_all; customers; attach (baskets with all ÷ with the rest) and
    margin, each with low and high; value (revenue of the added product in a basket); bearable (the discount at which
    the offer brings nothing). Intervals are by customer and take the assumptions as they are; those of margins hold for
    all offers at once (Bonferroni), the best one too. Bundles that fewer than `minimum_group` customers bought whole
    are not in it.
    """
    leading = pairs.kept.head(MOST_PAIRS)
    if leading.is_empty():
        return LeftOut("No products are reliably bought together, so there is no bundle to offer.")
    items = pl.concat([leading["item_a"], leading["item_b"].alias("item_a")]).unique().sort().to_list()
    place = pl.Series(range(len(items)), dtype=pl.Int64)
    ends = leading.select(pl.col("item_a", "item_b").replace_strict(items, place)).to_numpy()
    worth = _value(found, items)
    held = found.matrix(items, products, "product")
    groups = [_cheapest_last(members, worth) for members in (ends, _triangles(ends, len(items))) if len(members)]
    considered = sum(len(members) for members in groups)
    return (
        pl.concat([_offers(held, found, members, worth, offer, considered) for members in groups])
        .filter(pl.col("customers") >= minimum_group)
        .with_columns(
            pl.col("item_1", "item_2", "added").replace_strict(place, items, default=None, return_dtype=pl.String)
        )
        .sort("margin", "item_1", "added", "item_2", descending=[True, False, False, False])
        .head(MOST_BUNDLES)
    )


def _triangles(ends: Ints, items: int) -> Ints:
    """The three items of every triangle of pairs, one triangle a row."""
    low, high = ends.min(axis=1), ends.max(axis=1)
    linked = sparse.csr_array((np.ones(len(ends)), (low, high)), (items, items))
    third = linked[low].multiply(linked[high]).tocoo()  # above both, and linked with both
    return np.column_stack([low[third.row], high[third.row], third.col]).astype(np.int64)


def _cheapest_last(members: Ints, worth: Floats) -> Ints:
    order = np.argsort(-worth[members], axis=1, kind="stable")
    return np.take_along_axis(members, order, axis=1)


def _value(found: Baskets, items: list[str]) -> Floats:
    """Mean revenue of each item in the baskets that hold it."""
    means = found.lines.group_by("product_id").agg(pl.col("revenue").mean())
    by_item = dict(means.select(pl.col("product_id").cast(pl.String), "revenue").iter_rows())
    return np.array([by_item[item] for item in items])


def _offers(
    held: sparse.csc_array, found: Baskets, members: Ints, worth: Floats, offer: Offer, considered: int
) -> pl.DataFrame:
    """What each offer is expected to bring over the baskets of the data: the last member, to takers of the others.

    Of n_rest baskets with the rest, n_all hold all: v (u (m - d) (n_rest - n_all) - d n_all). Sums by customer give
    the intervals, as if customers were drawn anew. The best of the `considered` offers is taken for its margin, so
    margins have intervals that hold for all of them.
    """
    added, second = members[:, -1], members[:, 1] if members.shape[1] == 3 else None
    rest = held[:, members[:, 0]]
    if second is not None:
        rest = rest.multiply(held[:, second]).tocsc()
    by_rest = found.by_customer(rest).tocsc()
    by_all = found.by_customer(rest.multiply(held[:, added])).tocsc()
    n_rest, n_all = _sums(by_rest), _sums(by_all)
    rest_rest, rest_all, all_all = (
        _sums(one.multiply(other)) for one, other in ((by_rest, by_rest), (by_rest, by_all), (by_all, by_all))
    )
    z, z_of_all = norm.isf((1 - CONFIDENCE) / 2), norm.isf((1 - CONFIDENCE) / 2 / considered)
    attach = n_all / n_rest
    error = np.sqrt(np.maximum(all_all - 2 * attach * rest_all + attach**2 * rest_rest, 0)) / n_rest
    value = worth[added]
    gain = value * offer.uptake * (offer.margin - offer.discount)  # of a basket with the rest alone
    loss = gain + value * offer.discount  # less, of a basket with all
    margin = gain * n_rest - loss * n_all
    spread = z_of_all * np.sqrt(np.maximum(gain**2 * rest_rest - 2 * gain * loss * rest_all + loss**2 * all_all, 0))
    persuaded = offer.uptake * (n_rest - n_all)
    return pl.DataFrame(
        {
            "size": np.full(len(added), members.shape[1]),
            "item_1": members[:, 0],
            "item_2": second,
            "added": added,
            "baskets_rest": n_rest.astype(np.int64),
            "baskets_all": n_all.astype(np.int64),
            "customers": np.diff(by_all.indptr).astype(np.int64),
            "attach": attach,
            "attach_low": np.maximum(attach - z * error, 0),
            "attach_high": np.minimum(attach + z * error, 1),
            "value": value,
            "margin": margin,
            "margin_low": margin - spread,
            "margin_high": margin + spread,
            "bearable": offer.margin * persuaded / (persuaded + n_all),
        },
        schema_overrides={"item_2": pl.Int64},
    )


def _sums(matrix: sparse.sparray) -> Floats:
    sums: Floats = np.asarray(matrix.sum(axis=0), dtype=float).ravel()
    return sums


def named(table: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Offers with `rest` and `offered`, the names of what is taken and of what is offered with it."""
    known = dict(names.iter_rows())
    first, second, added = (
        pl.col(name).replace_strict(known, default=pl.col(name), return_dtype=pl.String)
        for name in ("item_1", "item_2", "added")
    )
    return table.with_columns(
        pl.concat_str(first, second, separator=" + ", ignore_nulls=True).alias("rest"), added.alias("offered")
    )


def measures(table: pl.DataFrame | LeftOut) -> list[Measure]:
    """What 05 records of bundles, modelled: the offer that is expected to bring most."""
    label = "Expected incremental margin of the best bundle offer, over the baskets of the data"
    if isinstance(table, LeftOut):
        return [Measure("bundle_margin", label, "currency", None, reason=table.reason)]
    best = table.row(0, named=True)
    interval = (best["margin_low"], best["margin_high"])
    return [Measure("bundle_margin", label, "currency", best["margin"], interval, best["baskets_rest"])]


def answer(table: pl.DataFrame, offer: Offer, names: pl.DataFrame, formats: Formats) -> str:
    """Which offer is expected to bring most, what discount it bears, and how many lose, in Markdown."""
    best = named(table.head(1), names).row(0, named=True)
    money = formats.money(best["margin"], (best["margin_low"], best["margin_high"]))
    limit = formats.tenths(best["bearable"])
    attach = formats.share(best["attach"], (best["attach_low"], best["attach_high"]))
    losing = table.filter(pl.col("margin") < 0).height
    lost = (
        f" {formats.count(losing)} of {formats.count(table.height)} bundles are expected to lose: the discount goes to "
        "customers who take the whole anyway, too."
    )
    return (
        f"If {formats.tenths(offer.uptake)} of those who would not add the product do so when it is offered"
        f"{f' at {formats.tenths(offer.discount)} off' if offer.discount else ''}, offering "
        f"{escaped(best['offered'])} to whoever takes {escaped(best['rest'])} brings most: {money} of margin over the "
        f"baskets of the data. Today {attach} add it, so a discount above {limit} would cost more than it brings."
        f"{lost if losing else ''}"
    )
