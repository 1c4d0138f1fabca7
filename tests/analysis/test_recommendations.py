"""Recommendations: scores as an independent library has them, time only forward, and no gain where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from basket_lines import PRODUCTS, found, independent, lines
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import binom
from sklearn.metrics import ndcg_score

from patternbook.analysis import recommendations
from patternbook.analysis.baskets import Baskets, baskets
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.recommendations import METHODS, TOP, Check, Queries, Ranking, Sales, Scores, check, learn
from patternbook.formats import Formats

US = Formats("USD", "en_US")


def companions(rng: np.random.Generator, count: int = 1500) -> list[set[int]]:
    """Baskets in which most buyers of an even product below 20 take the odd one after it."""
    held = independent(rng, count)
    for basket in held:
        for main in range(0, 20, 2):
            if main in basket and rng.random() < 0.7:
                basket.add(main + 1)
    return held


def checked(held: list[set[int]], customers: list[int | None] | None = None) -> Check:
    result = check(baskets(lines(held, customers), 100), PRODUCTS, 0.3)
    assert isinstance(result, Check)
    return result


def test_own_companions_beat_what_is_popular() -> None:
    result = checked(companions(np.random.default_rng(0)))
    gain = result.gains["product"]["popularity"]
    assert gain is not None and gain.low is not None
    assert gain.low > 0


def test_without_companions_nothing_is_gained_over_popularity() -> None:
    """The prior is then worth many baskets, and the lists are those of popularity, or nearly so."""
    surprises = 0
    for seed in range(8):
        gain = checked(independent(np.random.default_rng(seed), 800)).gains["product"]["popularity"]
        assert gain is not None
        surprises += gain.low is not None and gain.low > 0
    assert surprises <= 2


def test_what_is_learned_hangs_on_earlier_baskets_alone() -> None:
    rng = np.random.default_rng(1)
    held = companions(rng)
    first_test = int(len(held) * 0.7)
    other = held[:first_test] + [{40, 41, 42, 43} | basket for basket in independent(rng, len(held) - first_test)]
    one, two = (baskets(lines(own), 100) for own in (held, other))
    earlier = np.arange(first_test)
    a, b = learn(one, earlier, PRODUCTS), learn(two, earlier, PRODUCTS)
    assert a.items.tolist() == b.items.tolist()
    assert (a.together != b.together).nnz == 0
    chosen = [recommendations.chosen_ranking(own, earlier, PRODUCTS, 0.3) for own in (one, two)]
    assert chosen[0] == chosen[1]
    assert checked(held).cutoff == checked(other).cutoff == one.frame["started_at"][first_test]


def test_a_pair_of_the_later_baskets_alone_is_not_known() -> None:
    rng = np.random.default_rng(2)
    held = independent(rng, 1000)
    late = [basket | ({50, 51} if rng.random() < 0.5 else set()) for basket in held[700:]]
    own = baskets(lines(held[:700] + late), 100)
    assert not set(learn(own, np.arange(700), PRODUCTS).items) & {50, 51}


def test_scores_are_those_of_sklearn() -> None:
    rng = np.random.default_rng(3)
    n, queries = 25, 40
    sales = Sales(np.arange(n), np.linspace(90, 10, n), sparse.csr_array((n, n)), np.full(n, -1), 100)
    given = sparse.csr_array((np.ones(queries), (np.arange(queries), rng.integers(0, n, queries))), (queries, n))
    wanted = (rng.random((queries, n)) < 0.15) & (given.toarray() == 0)
    wanted[:, 24] |= ~wanted.any(axis=1)
    each = np.arange(queries)
    asked = Queries(given, each, each, np.argwhere(wanted), wanted.sum(axis=1), each, np.ones(queries))
    values = rng.random((queries, n))
    rows = iter(values)

    def method(sales: Sales, block: sparse.csr_array) -> Scores:
        drawn = np.array([next(rows) for _ in range(block.shape[0])])
        return Scores(sparse.csr_array(drawn), np.zeros(len(drawn)))

    learned = recommendations._learned(sales, asked, method)
    values[given.nonzero()] = -1
    for k in range(queries):
        best = np.argsort(-values[k])[:TOP]
        ranks = [rank for rank, item in enumerate(best, start=1) if wanted[k, item]]
        hit, reciprocal, ndcg = learned.scores[k]
        assert hit == bool(ranks)
        assert reciprocal == pytest.approx(1 / ranks[0] if ranks else 0)
        assert ndcg == pytest.approx(ndcg_score(wanted[k : k + 1], values[k : k + 1], k=TOP))


def test_a_product_is_never_recommended_beside_itself_nor_what_a_customer_has() -> None:
    held = companions(np.random.default_rng(4), 600)
    own = baskets(lines(held, [k % 90 for k in range(600)]), 100)
    lists = recommendations.for_customers(own, PRODUCTS, Ranking(10.0, 0.2))
    bought = own.lines.with_columns(pl.Series("customer_id", own.frame["customer_id"]).gather(own.lines["basket"]))
    assert lists.join(bought, on=["customer_id", "product_id"]).is_empty()
    assert lists["customer_id"].n_unique() == 90
    assert lists.group_by("customer_id").len()["len"].max() <= TOP


def test_lists_beside_products_are_in_order_and_hold_only_what_enough_customers_bought() -> None:
    held = companions(np.random.default_rng(5))
    own, _ = found(lines(held))
    from basket_lines import marts

    pairs = marts(lines(held))[1]
    lists = recommendations.beside_products(own, PRODUCTS, pairs, Ranking(10.0, 0.2), minimum_group=12)
    assert lists["baskets"].min() >= 12  # each customer has one basket
    assert lists.filter(pl.col("product_id") == pl.col("other_id")).is_empty()
    first = {row["product_id"]: row["other_id"] for row in lists.filter(pl.col("rank") == 1).iter_rows(named=True)}
    assert sum(first.get(main) == main + 1 for main in range(0, 20, 2)) >= 8
    p = len([basket for basket in held if 1 in basket]) / len(held)
    n = len([basket for basket in held if 0 in basket])
    both = len([basket for basket in held if {0, 1} <= basket])
    (score,) = lists.filter(pl.col("product_id") == 0, pl.col("other_id") == 1)["score"]
    assert score == pytest.approx((both + 10 * p) / (n + 10) / p**0.2)


def dense(sales: Sales, scores: Scores) -> np.ndarray:
    """The scores of all items, written out."""
    row, item = np.indices(scores.extra.shape)
    return scores.of(sales, row, item, scores.extra.toarray())


@given(
    st.integers(0, 2**31), st.sampled_from(METHODS), st.sampled_from([1.0, 30.0, 1e4]), st.sampled_from([0, 0.2, 0.5])
)
@settings(max_examples=60, deadline=None)
def test_the_best_are_those_of_all_scores_written_out(seed: int, method: str, strength: float, discount: float) -> None:
    """Also where everything is given, where nothing is, and where little was bought together."""
    rng = np.random.default_rng(seed)
    held = [set(map(int, rng.integers(0, rng.integers(2, 40), rng.integers(1, 6)))) for _ in range(60)]
    own = baskets(lines(held), 100)
    sales = learn(own, np.arange(len(own)), PRODUCTS)
    if not len(sales.items):
        return
    matrix = rng.random((12, len(sales.items))) < rng.choice([0.0, 0.1, 0.5, 1.0], 12)[:, None]
    asked = sparse.csr_array(matrix.astype(float))
    score = recommendations._methods(sales, Ranking(strength, discount)).get(method)
    if score is None:
        return
    scores = dense(sales, score(sales, asked))
    if method == "popularity in the category":  # all of the category, not only those that could be shown
        alike = [np.isin(sales.category, sales.category[row & (sales.category >= 0)]) for row in matrix]
        scores = np.array(alike) + sales.popularity
    every = np.where(matrix, -np.inf, scores)
    wanted = np.argsort(-every, axis=1, kind="stable")[:, :TOP]
    wanted = np.where(np.isfinite(np.take_along_axis(every, wanted, axis=1)), wanted, -1)
    found = np.concatenate([best for best, _ in recommendations.ranked(sales, asked, score)])
    assert found.tolist() == wanted.tolist()


def test_a_discount_of_one_takes_all_popularity_away() -> None:
    own = baskets(lines(companions(np.random.default_rng(9), 400)), 100)
    sales = learn(own, np.arange(400), PRODUCTS)
    one = sparse.csr_array(sparse.eye_array(len(sales.items)))
    assert dense(sales, recommendations.also_bought(sales, one, Ranking(1e12, 1))) == pytest.approx(1, rel=1e-6)


def test_without_categories_none_is_compared() -> None:
    bare = PRODUCTS.with_columns(pl.lit(None, pl.String).alias("category_code"))
    result = check(baskets(lines(companions(np.random.default_rng(10), 600)), 100), bare, 0.3)
    assert isinstance(result, Check)
    assert set(result.table["method"]) == set(METHODS) - {"popularity in the category"}


def test_a_strong_prior_is_popularity_and_a_weak_one_co_occurrence() -> None:
    own = baskets(lines(companions(np.random.default_rng(6), 500)), 100)
    sales = learn(own, np.arange(500), PRODUCTS)
    one = sparse.csr_array(sparse.eye_array(len(sales.items)))

    def firsts(scores: np.ndarray) -> list[list[int]]:
        np.fill_diagonal(scores, -1)
        return np.argsort(-scores, axis=1, kind="stable")[:, :5].tolist()

    popular = [
        firsts(scores)
        for scores in (
            dense(sales, recommendations.also_bought(sales, one, Ranking(1e9, 0))),
            dense(sales, recommendations.popularity(sales, one)),
        )
    ]
    assert np.array_equal(*(sales.popularity[np.array(own)] for own in popular))  # of equals, either may come first
    assert firsts(dense(sales, recommendations.also_bought(sales, one, Ranking(1e-9, 0)))) == firsts(
        dense(sales, recommendations.co_occurrence(sales, one))
    )


def test_methods_compare_on_the_same_queries_and_name_every_method() -> None:
    result = checked(companions(np.random.default_rng(7)), [k % 300 for k in range(1500)])
    assert set(result.table["task"]) == {"product", "customer"}
    for (_,), rows in result.table.group_by("task"):
        assert set(rows["method"]) == set(METHODS)
        assert rows["queries"].n_unique() == 1
    text = recommendations.answer(result, US)
    assert "popularity" in text or "co-occurrence" in text
    assert {measure.name for measure in recommendations.measures(result)} == {
        "hit_rate_at_10",
        "hit_rate_popularity",
        "hit_rate_gain",
        "hit_rate_gain_customer",
        "test_baskets",
    }


@pytest.mark.parametrize(
    ("gain", "plain"),
    [((0.02, 0.01, 0.03), False), ((0.01, -0.01, 0.03), True), ((-0.02, -0.03, -0.01), True), ((0.0, 0.0, 0.0), True)],
)
def test_lists_for_a_customer_that_do_not_beat_popularity_are_said_not_to(
    gain: tuple[float, float, float], plain: bool
) -> None:
    result = checked(companions(np.random.default_rng(7)), [k % 300 for k in range(1500)])
    result.gains["customer"]["popularity"] = Estimate(*gain, 300)
    assert ("is not shown to beat popularity" in recommendations.answer(result, US)) is plain


@pytest.mark.parametrize("held", [[], [{1}] * 200, [{1, 2}] * 20, [{k} for k in range(50)]])
def test_too_little_to_check_is_left_out(held: list[set[int]]) -> None:
    result = check(baskets(lines(held), 100), PRODUCTS, 0.3)
    assert isinstance(result, LeftOut)
    assert all(measure.reason == result.reason for measure in recommendations.measures(result))


def hit_rate_is_covered(customers: int, rng: np.random.Generator) -> bool:
    """Whether the interval holds the hit rate of customers who differ in how often they ask and are served."""
    asks = rng.geometric(0.4, customers)
    cluster = np.repeat(np.arange(customers), asks)
    hits = rng.random(len(cluster)) < rng.beta(1, 5, customers)[cluster]
    each = np.arange(len(cluster))
    nothing = sparse.csr_array((len(cluster), 1))
    queries = Queries(nothing, each, each, np.zeros((0, 2), dtype=np.int64), np.ones(len(each), np.int64), cluster,
                      np.ones(len(each)))  # fmt: skip
    found = recommendations._rate(queries, hits.astype(float))
    return found.low is not None and found.high is not None and found.low <= 1 / 6 <= found.high


@pytest.mark.parametrize("customers", [60, 300])
def test_the_interval_on_the_hit_rate_holds_the_truth_as_often_as_it_says(customers: int) -> None:
    seeds = 60
    covered = sum(hit_rate_is_covered(customers, np.random.default_rng(seed)) for seed in range(seeds))
    assert binom.ppf(0.001, seeds, 0.95) <= covered


def test_no_hit_has_an_upper_bound() -> None:
    each = np.arange(50)
    queries = Queries(sparse.csr_array((50, 1)), each, each, np.zeros((0, 2), np.int64), each, each, np.ones(50))
    found = recommendations._rate(queries, np.zeros(50))
    assert found.value == 0
    assert found.high == pytest.approx(0.0714, abs=1e-3)  # Wilson's for none of fifty


def test_guests_take_part_beside_products_and_have_no_list_of_their_own() -> None:
    held = companions(np.random.default_rng(8), 800)
    guests: list[int | None] = [None] * 800
    result = checked(held, guests)
    assert set(result.table["task"]) == {"product"}
    own: Baskets = baskets(lines(held, guests), 100)
    assert recommendations.for_customers(own, PRODUCTS, Ranking(10.0, 0.2)).is_empty()
    assert replace(result, gains={}).gains == {}
