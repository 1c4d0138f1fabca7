"""What else to show: products ranked for a product and for a customer, and checked on later baskets.

Product j ranks beside product i by (n_ij + κ p_j) / (n_i + κ) / p_j^α. The first part is the probability that a basket
with i holds j, shrunk towards j's share p_j of all baskets: the posterior mean under a Dirichlet prior (MacKay & Peto
1995, Natural Language Engineering 1, 289-307), so that what is seen seldom leaves the word to what is popular. The
second discounts what is bought with everything (Deshpande & Karypis 2004, ACM TOIS 22, 143-177); for a customer it
brings nothing on markets that were not looked at before (reports/benchmarks/recommendations.md), so α is 0 there. κ
and α are chosen on the latest baskets of the training period; the baskets after it are looked at once, for the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from patternbook.analysis.baskets import Baskets
from patternbook.analysis.intervals import Estimate, mean_by_cluster, ratio_of_totals, share
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOP = 10  # products that are shown, and looked at
STRENGTHS = (1.0, 10.0, 30.0, 100.0, 1000.0, 10_000.0)  # κ, to choose from: baskets that the prior is worth
DISCOUNTS = {  # α, to choose from by task: 0 leaves popularity as it is, 1 takes all of it away
    "product": (0.0, 0.2, 0.5),
    "customer": (0.0,),
}
MOST_QUERIES = 20_000  # of a task; more narrow the interval by less than a tenth of its width
BLOCK = 4_000_000  # scores at a time: some 300 MB with all that sorting them needs
LEAST_BASKETS = 2  # with a product, for it to be ranked: one basket shows no habit
LEAST_QUERIES = 30  # fewer later baskets, or customers, say nothing
METHODS = ("also bought", "co-occurrence", "popularity in the category", "popularity")
OWN, BASELINE = METHODS[0], METHODS[-1]
SCORES = ("hit_rate", "mrr", "ndcg")
NO_LISTS = "Too few known customers buy something new to them in the later baskets to check lists for them."
TASKS = {"product": "Beside a product", "customer": "For a customer"}


@dataclass(frozen=True)
class Sales:
    """What is known of products: `items` (product_id, the most popular first), baskets with each, and with each two.

    `together` is items x items with an empty diagonal; `category` numbers the items' categories, -1 where unknown.
    """

    items: Ints
    baskets: Floats
    together: sparse.csr_array
    category: Ints
    total: int

    @property
    def popularity(self) -> Floats:
        """Share of the baskets that hold each item."""
        return self.baskets / self.total


class Queries(NamedTuple):
    """What is asked: query k knows the items of row `asks[k]` of `given`.

    A query belongs to an `owner` (a basket or a customer), who wants `wanted` (owner and item, one row each) and
    `wants` products in all, with those that are no items. `cluster` is the query's customer, `weight` its weight.
    """

    given: sparse.csr_array
    asks: Ints
    owner: Ints
    wanted: npt.NDArray[np.int64]
    wants: Ints
    cluster: Ints
    weight: Floats


class Ranking(NamedTuple):
    """How products are ranked: κ and α."""

    strength: float
    discount: float


MIDDLE = Ranking(100.0, 0.0)  # where too few baskets say which is best


class Learned(NamedTuple):
    """A method's first items for each row of what is given, `TOP` a row, and how each query scores with them."""

    best: Ints
    scores: Floats


@dataclass(frozen=True)
class Check:
    """Scores on later baskets. `table`: task, method, queries, customers, each score with low and high, coverage.

    `gains` holds, by task, the difference of hit rates between ours and each other method; `ranking` what was chosen.
    """

    table: pl.DataFrame
    gains: dict[str, dict[str, Estimate | None]]
    ranking: dict[str, Ranking]
    cutoff: datetime
    baskets: int


def learn(found: Baskets, rows: Ints, products: pl.DataFrame) -> Sales:
    """Sales in the baskets `rows`. Items are the products in `LEAST_BASKETS` of them or more."""
    chosen = pl.DataFrame({"basket": rows}).with_columns(pl.col("basket").cast(found.lines.schema["basket"]))
    lines = found.lines.join(chosen.with_row_index("row"), on="basket").select("row", "product_id")
    items = (
        lines.group_by("product_id")
        .agg(pl.len().alias("baskets"))
        .filter(pl.col("baskets") >= LEAST_BASKETS)
        .sort("baskets", "product_id", descending=[True, False])
        .with_row_index("item")
    )
    held = lines.join(items, on="product_id")
    shape = (len(rows), items.height)
    matrix = sparse.csr_array((np.ones(held.height), (held["row"].to_numpy(), held["item"].to_numpy())), shape)
    together = sparse.csr_array(matrix.T @ matrix)
    together.setdiag(0)
    together.eliminate_zeros()
    codes = items.join(products, on="product_id", how="left", maintain_order="left")["category_code"]
    category = codes.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    counts = items["baskets"].cast(pl.Float64).to_numpy()
    return Sales(items["product_id"].to_numpy(), counts, together, category, len(rows))


# -- methods ------------------------------------------------------------------------------------------------------


class Scores(NamedTuple):
    """Scores of items (columns) for what is given (rows): (`extra` + `prior` p_j) / p_j^`discount`, p_j the popularity.

    `extra` has entries for few items of a row; of all others, the more popular scores higher (discount below 1).
    """

    extra: sparse.csr_array
    prior: Floats
    discount: float = 0.0

    def of(self, sales: Sales, row: Ints, item: Ints, extra: Floats) -> Floats:
        """Scores of items for rows, whose entries of `extra` are given."""
        popular = sales.popularity[item]
        scores: Floats = (extra + self.prior[row] * popular) / popular**self.discount
        return scores


def also_bought(sales: Sales, given: sparse.csr_array, ranking: Ranking) -> Scores:
    """Sum over the given items i of (n_ij + κ p_j) / (n_i + κ) / p_j^α; popularity where none is given."""
    weighted = given @ sparse.diags_array(1 / (sales.baskets + ranking.strength))
    known = np.asarray(weighted.sum(axis=1)).ravel()
    prior = np.where(known > 0, ranking.strength * known, 1.0)
    return Scores(sparse.csr_array(weighted @ sales.together), prior, ranking.discount)


def co_occurrence(sales: Sales, given: sparse.csr_array) -> Scores:
    """Baskets with the given items and the other, summed; ties go to what is popular."""
    return Scores(sparse.csr_array(given @ sales.together), np.full(given.shape[0], 0.5))


def in_category(sales: Sales, given: sparse.csr_array) -> Scores:
    """Popularity, products of the given items' categories first. Of a category, as many as can be shown count."""
    coded = np.flatnonzero(sales.category >= 0)
    order = coded[np.argsort(sales.category[coded], kind="stable")]  # items are in the order of popularity already
    category = sales.category[order]
    place = np.arange(len(order)) - np.searchsorted(category, category)
    leading = place < TOP + np.diff(given.indptr).max(initial=0)
    shape = (len(sales.items), int(sales.category.max(initial=-1)) + 1)
    belongs, leads = (
        sparse.csr_array((np.ones(len(items)), (items, sales.category[items])), shape)
        for items in (coded, order[leading])
    )
    alike = sparse.csr_array(given @ belongs @ leads.T)
    alike.data[:] = 1
    return Scores(alike, np.ones(given.shape[0]))


def popularity(sales: Sales, given: sparse.csr_array) -> Scores:
    """Share of all baskets that hold the item, whatever is given."""
    return Scores(sparse.csr_array((given.shape[0], len(sales.items))), np.ones(given.shape[0]))


Method = Callable[[Sales, sparse.csr_array], Scores]


def _methods(sales: Sales, ranking: Ranking) -> dict[str, Method]:
    """Ours and the simpler ones; that by category only where a category is known."""
    own = partial(also_bought, ranking=ranking)
    methods: dict[str, Method] = dict(zip(METHODS, (own, co_occurrence, in_category, popularity), strict=True))
    return {
        name: method for name, method in methods.items() if method is not in_category or (sales.category >= 0).any()
    }


def ranked(sales: Sales, given: sparse.csr_array, method: Method) -> Iterator[tuple[Ints, Floats]]:
    """For blocks of rows of `given`: the `TOP` best items that are not given (-1 where there are fewer), scores.

    Equal scores go to the item that is more popular.
    """
    companions = given @ np.diff(sales.together.indptr) + TOP
    block = np.cumsum(companions) // BLOCK
    edges = [*np.flatnonzero(np.diff(block, prepend=-1)), given.shape[0]]
    for first, last in pairwise(edges):
        rows = given[first:last]
        yield _best(sales, rows, method(sales, rows))


def _best(sales: Sales, given: sparse.csr_array, scores: Scores) -> tuple[Ints, Floats]:
    """The best items of each row, among those with an entry of `extra` and as many popular ones as could be shown."""
    rows, items = given.shape
    popular = np.minimum(TOP + np.diff(given.indptr), items)  # those that are given fall out
    row = np.repeat(np.arange(rows), popular)
    item = np.arange(len(row)) - np.repeat(np.cumsum(popular) - popular, popular)
    extra = scores.extra.tocoo()
    key = np.concatenate([extra.row.astype(np.int64) * items + extra.col, row * items + item])
    value = np.concatenate([extra.data, np.zeros(len(row))])
    key, at = np.unique(key, return_index=True)  # of two alike, the first, which has the extra
    new = np.isin(key, _keys(given), assume_unique=True, invert=True)
    (row, item), value = np.divmod(key[new], items), value[at[new]]
    score = scores.of(sales, row, item, value)
    order = np.lexsort((-score, row))  # stable, so the more popular of equals comes first
    row, item, score = row[order], item[order], score[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shown = place < TOP
    best = np.full((rows, min(TOP, items)), -1, dtype=np.int64)
    values = np.full(best.shape, -np.inf)
    best[row[shown], place[shown]], values[row[shown], place[shown]] = item[shown], score[shown]
    return best, values


def _keys(given: sparse.csr_array) -> Ints:
    held = given.tocoo()
    keys: Ints = held.row.astype(np.int64) * given.shape[1] + held.col
    return keys


# -- check --------------------------------------------------------------------------------------------------------


def check(found: Baskets, products: pl.DataFrame, test_share: float) -> Check | LeftOut:
    """Each method, taught by the earlier baskets, on the latest `test_share` of them."""
    earlier, later = _split(np.arange(len(found)), test_share)
    sales = learn(found, earlier, products)
    asked = _tasks(found, sales, earlier, later)
    if "product" not in asked or not sales.together.nnz:
        return LeftOut(
            f"Fewer than {LEAST_QUERIES} later baskets hold two products or more that were sold before, too few to "
            "check recommendations on."
        )
    ranking = chosen_ranking(found, earlier, products, test_share)
    rows, gains = [], {}
    for task, queries in asked.items():
        methods = _methods(sales, ranking[task])
        learned = {name: _learned(sales, queries, method) for name, method in methods.items()}
        rows += [{"task": task, "method": name, **_summary(sales, queries, own)} for name, own in learned.items()]
        ours = learned[OWN].scores[:, 0]
        gains[task] = {
            name: mean_by_cluster(_by_customer(queries, ours - own.scores[:, 0]))
            for name, own in learned.items()
            if name != OWN
        }
    return Check(pl.DataFrame(rows), gains, ranking, found.frame["started_at"][len(earlier)], len(later))


def _split(rows: Ints, test_share: float) -> tuple[Ints, Ints]:
    """Baskets before and after the cutoff; those of its very moment are after it."""
    at = int(len(rows) * (1 - test_share))
    return rows[:at], rows[at:]


def chosen_ranking(
    found: Baskets,
    rows: Ints,
    products: pl.DataFrame,
    test_share: float,
    discounts: Mapping[str, Sequence[float]] = DISCOUNTS,
) -> dict[str, Ranking]:
    """By task, what ranks best (NDCG) on the latest part of the baskets `rows`, taught by those before it."""
    before, after = _split(rows, test_share)
    sales = learn(found, before, products)
    chosen = dict.fromkeys(TASKS, MIDDLE)
    for task, queries in _tasks(found, sales, before, after).items():
        choices = [Ranking(strength, discount) for discount in discounts[task] for strength in STRENGTHS]
        methods = [partial(also_bought, ranking=choice) for choice in choices]
        scored = [_learned(sales, queries, method).scores[:, SCORES.index("ndcg")] for method in methods]
        chosen[task] = choices[int(np.argmax([np.average(own, weights=queries.weight) for own in scored]))]
    return chosen


def _tasks(found: Baskets, sales: Sales, earlier: Ints, later: Ints) -> dict[str, Queries]:
    """The queries of each task; a task of too few is left out."""
    asked = {
        "product": _beside_a_product(found, sales, later),
        "customer": _for_a_customer(found, sales, earlier, later),
    }
    return {task: queries for task, queries in asked.items() if queries is not None}


def _beside_a_product(found: Baskets, sales: Sales, rows: Ints) -> Queries | None:
    """Each item of a basket asks for the basket's other products; a basket weighs one, whatever it holds."""
    several = rows[found.of_several[rows]]
    numbers = pl.DataFrame({"item": np.arange(len(sales.items)), "product_id": sales.items})
    owners = pl.DataFrame({"basket": several, "owner": np.arange(len(several))})
    lines = (
        found.lines.select(pl.col("basket").cast(pl.Int64), "product_id")
        .join(owners, on="basket")
        .join(numbers, on="product_id", how="left")
        .sort("owner", "item")
    )
    wants = lines.group_by("owner").len().sort("owner")["len"].cast(pl.Int64).to_numpy() - 1
    wanted = lines.drop_nulls("item").select("owner", "item")
    asked = wanted.sample(MOST_QUERIES, seed=0).sort("owner", "item") if wanted.height > MOST_QUERIES else wanted
    if asked["owner"].n_unique() < LEAST_QUERIES:
        return None
    weight = asked.select(1 / pl.len().over("owner").cast(pl.Float64)).to_series().to_numpy()
    items, asks = np.unique(asked["item"].to_numpy(), return_inverse=True)
    given = sparse.csr_array((np.ones(len(items)), (np.arange(len(items)), items)), (len(items), len(sales.items)))
    owner = asked["owner"].to_numpy()
    return Queries(given, asks, owner, wanted.to_numpy(), wants, found.cluster[several][owner], weight)


def _for_a_customer(found: Baskets, sales: Sales, earlier: Ints, later: Ints) -> Queries | None:
    """What a customer bought before asks for what is new to them in the next basket that holds something new."""
    known = found.frame["customer_id"].is_not_null().to_numpy()
    numbers = pl.DataFrame({"item": range(len(sales.items)), "product_id": sales.items})
    owner = pl.DataFrame({"basket": np.arange(len(found)), "customer": found.cluster}).filter(pl.Series(known))
    lines = (
        found.lines.select(pl.col("basket").cast(pl.Int64), "product_id")
        .join(owner, on="basket")
        .join(numbers, on="product_id", how="left")
    )
    before = lines.filter(pl.col("basket") < len(earlier)).unique(["customer", "product_id"])
    after = lines.filter(pl.col("basket") >= len(earlier)).join(before, on=["customer", "product_id"], how="anti")
    after = after.join(before.drop_nulls("item").select("customer").unique(), on="customer")
    after = after.filter(pl.col("basket") == pl.col("basket").min().over("customer"))
    who = after.select("customer").unique().sort("customer")
    if who.height > MOST_QUERIES:
        who = who.sample(MOST_QUERIES, seed=0).sort("customer")
    if who.height < LEAST_QUERIES:
        return None
    who = who.with_row_index("owner").with_columns(pl.col("owner").cast(pl.Int64))
    before = before.drop_nulls("item").join(who, on="customer").sort("owner", "item")
    after = after.join(who, on="customer").sort("owner", "item")
    shape = (who.height, len(sales.items))
    held = (before["owner"].to_numpy(), before["item"].to_numpy())
    given = sparse.csr_array((np.ones(before.height), held), shape)
    size = after.group_by("owner").len().sort("owner")["len"].to_numpy().astype(np.int64)
    wanted = after.drop_nulls("item").select("owner", "item").to_numpy()
    each = np.arange(who.height)
    return Queries(given, each, each, wanted, size, who["customer"].to_numpy(), np.ones(who.height))


def _learned(sales: Sales, queries: Queries, method: Method) -> Learned:
    """Hit, reciprocal rank and NDCG within the first `TOP`, one row a query.

    NDCG with binary gains and logarithmic discount (Järvelin & Kekäläinen 2002, ACM TOIS 20, 422-446).
    """
    n = len(sales.items)
    best = np.concatenate([items for items, _ in ranked(sales, queries.given, method)])
    shown = best[queries.asks]
    wanted = np.sort(queries.wanted[:, 0] * n + queries.wanted[:, 1])
    key = np.where(shown >= 0, queries.owner[:, None] * n + shown, -1)
    at = np.minimum(np.searchsorted(wanted, key), len(wanted) - 1)
    found: npt.NDArray[np.bool_] = wanted[at] == key if len(wanted) else np.zeros(key.shape, dtype=np.bool_)
    hit = found.any(axis=1)
    discount = 1 / np.log2(np.arange(2, TOP + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(queries.wants[queries.owner], TOP)]
    gain = found @ discount[: best.shape[1]] / ideal
    return Learned(best, np.column_stack([hit, hit / (np.argmax(found, axis=1) + 1), gain]))


def _summary(sales: Sales, queries: Queries, learned: Learned) -> dict[str, object]:
    row: dict[str, object] = {"queries": len(queries.owner), "customers": len(np.unique(queries.cluster))}
    for name, values in zip(SCORES, learned.scores.T, strict=True):
        estimate = _rate(queries, values)
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row | {"coverage": len(np.unique(learned.best[learned.best >= 0])) / len(sales.items)}


def _rate(queries: Queries, values: Floats) -> Estimate:
    """Mean of scores between 0 and 1, with an interval by customer; Wilson's where nobody scores."""
    totals = _by_customer(queries, values)
    estimate = ratio_of_totals(totals, (1, -1)) or share(0, len(totals))
    assert estimate is not None  # there are queries
    return estimate if estimate.high is None else estimate._replace(high=min(estimate.high, 1.0))


def _by_customer(queries: Queries, values: Floats) -> Floats:
    """Weighted sum of values and of weights, one row a customer."""
    _, cluster = np.unique(queries.cluster, return_inverse=True)
    weight = queries.weight
    return np.column_stack([np.bincount(cluster, weight * values), np.bincount(cluster, weight)])


# -- lists --------------------------------------------------------------------------------------------------------


def beside_products(
    found: Baskets, products: pl.DataFrame, pairs: pl.DataFrame, ranking: Ranking, minimum_group: int
) -> pl.DataFrame:
    """What to show beside each product, best first: product_id, rank, other_id, score, baskets.

    Learned from all baskets. Only companions that `minimum_group` customers or more bought with it, as the mart
    `pairs` counts them: others are not to be published.
    """
    sales = learn(found, np.arange(len(found)), products)
    number = pl.DataFrame({"id": sales.items, "baskets_of": sales.baskets})
    shown = pairs.filter(pl.col("level") == "product", pl.col("customers") >= minimum_group).select(
        pl.col("item_a", "item_b").cast(pl.Int64), "baskets"
    )
    both_ways = pl.concat(
        [shown, shown.select(pl.col("item_b").alias("item_a"), pl.col("item_a").alias("item_b"), "baskets")]
    )
    n_i, p_j = pl.col("baskets_of"), pl.col("baskets_of_right") / sales.total
    return (
        both_ways.rename({"item_a": "product_id", "item_b": "other_id"})
        .join(number.rename({"id": "product_id"}), on="product_id")
        .join(number.rename({"id": "other_id"}), on="other_id")
        .with_columns(
            ((pl.col("baskets") + ranking.strength * p_j) / (n_i + ranking.strength) / p_j**ranking.discount).alias(
                "score"
            )
        )
        .sort("product_id", "score", "other_id", descending=[False, True, False])
        .with_columns(pl.int_range(1, pl.len() + 1).over("product_id").alias("rank"))
        .filter(pl.col("rank") <= TOP)
        .select("product_id", "rank", "other_id", "score", "baskets")
    )


def named(lists: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Lists beside products with `name` and `other_name`, of `names` (item, name)."""
    known = names.select(pl.col("item").cast(pl.Int64), "name")
    return (
        lists.join(known.rename({"item": "product_id"}), on="product_id", how="left", maintain_order="left")
        .join(
            known.rename({"item": "other_id", "name": "other_name"}), on="other_id", how="left", maintain_order="left"
        )
        .select("product_id", "name", "rank", "other_id", "other_name", "score", "baskets")
    )


def for_customers(found: Baskets, products: pl.DataFrame, ranking: Ranking) -> pl.DataFrame:
    """What to show each known customer that they have not bought: customer_id, rank, product_id, score.

    Learned from all baskets; a score is the mean over what the customer bought.
    """
    sales = learn(found, np.arange(len(found)), products)
    numbers = pl.DataFrame({"item": np.arange(len(sales.items)), "product_id": sales.items})
    owner = found.frame.select("customer_id").with_row_index("basket")
    bought = (
        found.lines.join(owner, on="basket")
        .join(numbers, on="product_id")
        .select("customer_id", "item")
        .drop_nulls()
        .unique()
        .sort("customer_id", "item")
        .with_columns((pl.col("customer_id").rank("dense") - 1).alias("row"))
    )
    people = bought["customer_id"].unique().sort()
    held = (bought["row"].to_numpy(), bought["item"].to_numpy())
    given = sparse.csr_array((np.ones(bought.height), held), (len(people), len(sales.items)))
    count = np.asarray(given.sum(axis=1)).ravel()
    lists = []
    at = 0
    for best, scores in ranked(sales, given, partial(also_bought, ranking=ranking)):
        rows, width = best.shape
        lists.append(
            pl.DataFrame(
                {
                    "customer_id": np.repeat(people[at : at + rows].to_numpy(), width),
                    "rank": np.tile(np.arange(1, width + 1), rows),
                    "item": best.ravel(),
                    "score": (scores / count[at : at + rows, None]).ravel(),
                }
            )
        )
        at += rows
    listed = (
        pl.concat(lists)
        if lists
        else pl.DataFrame(schema={"customer_id": pl.Int64, "rank": pl.Int64, "item": pl.Int64, "score": pl.Float64})
    )
    return (
        listed.filter(pl.col("item") >= 0)
        .join(numbers, on="item")
        .select("customer_id", "rank", "product_id", "score")
        .sort("customer_id", "rank")
    )


def measures(checked: Check | LeftOut) -> list[Measure]:
    """What 05 records of recommendations, as counted on later baskets."""
    labels = {
        "hit_rate_at_10": f"Share of later baskets of which {TOP} recommendations beside a product hold another",
        "hit_rate_popularity": f"The same with the {TOP} most popular products",
        "hit_rate_gain": "Difference of the two, recommendations above popularity",
        "hit_rate_gain_customer": "The same difference for lists for a customer, of what is new to them",
    }
    later = "Later baskets that recommendations are checked on"
    if isinstance(checked, LeftOut):
        absent = [measured(name, label, "share", None, checked.reason) for name, label in labels.items()]
        return [*absent, Measure("test_baskets", later, "count", None, reason=checked.reason)]
    ours, theirs = (
        checked.table.row(by_predicate=(pl.col("task") == "product") & (pl.col("method") == method), named=True)
        for method in (OWN, BASELINE)
    )
    rates = (
        Estimate(row["hit_rate"], row["hit_rate_low"], row["hit_rate_high"], row["customers"]) for row in (ours, theirs)
    )
    for_customers = checked.gains.get("customer", {}).get(BASELINE)
    estimates = (*rates, checked.gains["product"][BASELINE], for_customers)
    rates_and_gain = zip(labels.items(), estimates, strict=True)
    return [
        *(measured(name, label, "share", own, None if own else NO_LISTS) for (name, label), own in rates_and_gain),
        Measure("test_baskets", later, "count", checked.baskets),
    ]


def with_gains(checked: Check) -> pl.DataFrame:
    """The scores with `gain`, `gain_low`, `gain_high`: our hit rate less that of each other method."""
    rows = [
        (task, method, gain.value, gain.low, gain.high)
        for task, gains in checked.gains.items()
        for method, gain in gains.items()
        if gain is not None
    ]
    columns = {
        "task": pl.String,
        "method": pl.String,
        "gain": pl.Float64,
        "gain_low": pl.Float64,
        "gain_high": pl.Float64,
    }
    return checked.table.join(pl.DataFrame(rows, columns, orient="row"), on=["task", "method"], how="left")


def _ends(row: dict[str, Any], name: str) -> tuple[float, float] | None:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return None if low is None or high is None else (low, high)


def _verdict(gain: Estimate | None, formats: Formats) -> str:
    """A difference of two shares with its interval, and what it says."""
    if gain is None or gain.low is None or gain.high is None:
        return "unknown size"
    if gain.low == gain.high == 0:
        return "none: both hit alike, everywhere"
    points = formats.value(100 * gain.value, "number", (100 * gain.low, 100 * gain.high))
    sure = "reliably more" if gain.low > 0 else "reliably less" if gain.high < 0 else "not told apart from none"
    return f"{points} percentage points, {sure}"


def beats_popularity(checked: Check, task: str) -> bool:
    """Whether our hit rate is reliably above that of popularity: the interval of the difference lies above 0."""
    gain = checked.gains[task].get(BASELINE)
    return gain is not None and gain.low is not None and gain.low > 0


def answer(checked: Check, formats: Formats) -> str:
    """How well each task is done on later baskets, and whether better than by simpler methods."""
    sentences = [
        f"Rankings were learned from the baskets before {formats.date(checked.cutoff)} and checked on the "
        f"{formats.count(checked.baskets)} after it."
    ]
    for task, gains in checked.gains.items():
        rows = {row["method"]: row for row in checked.table.filter(pl.col("task") == task).iter_rows(named=True)}
        ours = rows[OWN]
        best = max((name for name in rows if name != OWN), key=lambda name: rows[name]["hit_rate"])
        where = "Beside a product" if task == "product" else "For a customer, of what is new to them,"
        own, theirs = (formats.share(row["hit_rate"], _ends(row, "hit_rate")) for row in (ours, rows[best]))
        sentences.append(
            f"{where} the first {TOP} recommendations hold something that is then bought in {own} of cases; those by "
            f"{best}, the best simpler method, in {theirs}. The difference is {_verdict(gains[best], formats)}."
        )
        if task == "customer" and not beats_popularity(checked, task):
            gain = _verdict(gains.get(BASELINE), formats)
            sentences.append(
                f"So the list for a customer is not shown to beat {BASELINE} (difference: {gain}); the most popular "
                "products that they have not bought serve as well."
            )
    return " ".join(sentences)
