"""Pairs against an independent library, planted complements, and markets in which nothing belongs together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from basket_lines import PRODUCTS, RULES, found, independent, lines
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control

from patternbook.analysis.baskets import baskets
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.pairs import Pairs, adjusted, answer, item_names, lift_interval, measures
from patternbook.formats import Formats

US = Formats("USD", "en_US")
HELD = st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=6), min_size=12, max_size=40)


@settings(max_examples=40, deadline=None)
@given(HELD)
def test_measures_agree_with_mlxtend(held: list[set[int]]) -> None:
    from mlxtend.frequent_patterns import association_rules, fpgrowth

    own, result = found(lines(held), RULES._replace(minimum_baskets=1))
    if isinstance(result, LeftOut):
        assert max(map(len, held)) == 1 or len(set().union(*held)) == 1
        return
    hot = pl.DataFrame({str(k): [k in basket for basket in held] for k in range(8)}).to_pandas()
    frequent = fpgrowth(hot, min_support=1e-9, use_colnames=True, max_len=2)
    assert result.table.height == (frequent["itemsets"].map(len) == 2).sum()
    if result.table.is_empty():
        return
    rules = association_rules(frequent, metric="support", min_threshold=0)
    theirs = {(next(iter(row["antecedents"])), next(iter(row["consequents"]))): row for row in rules.to_dict("records")}
    for row in result.table.iter_rows(named=True):
        there, back = theirs[row["item_a"], row["item_b"]], theirs[row["item_b"], row["item_a"]]
        for ours, name in (("support", "support"), ("confidence_ab", "confidence"), ("lift", "lift"),
                           ("leverage", "leverage"), ("conviction_ab", "conviction")):  # fmt: skip
            value = np.inf if row[ours] is None else row[ours]
            assert value == pytest.approx(there[name]), ours
        assert row["confidence_ba"] == pytest.approx(back["confidence"])
        assert row["baskets"] == round(there["support"] * len(own))


@settings(max_examples=40, deadline=None)
@given(HELD, st.permutations(range(8)))
def test_no_measure_hangs_on_which_product_comes_first(held: list[set[int]], names: list[int]) -> None:
    """Other names for the same products: what is symmetric stays, what has a direction turns round with the pair."""
    one, other = (found(lines(own))[1] for own in (held, [{names[k] for k in basket} for basket in held]))
    if isinstance(one, LeftOut) or isinstance(other, LeftOut):
        assert isinstance(one, LeftOut) and isinstance(other, LeftOut)
        return
    theirs = {frozenset((row["item_a"], row["item_b"])): row for row in other.table.iter_rows(named=True)}
    assert len(theirs) == one.table.height
    for row in one.table.iter_rows(named=True):
        a, b = (str(names[int(row[side])]) for side in ("item_a", "item_b"))
        twin = theirs[frozenset((a, b))]
        turned = twin["item_a"] == b
        for name in ("support", "lift", "lift_shrunk", "leverage", "p_value", "low", "high"):
            assert row[name] == pytest.approx(twin[name]), name
        assert row["confidence_ab"] == pytest.approx(twin["confidence_ba" if turned else "confidence_ab"])
        assert row["stock_ba"] == pytest.approx(twin["stock_ab" if turned else "stock_ba"])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 100))
def test_adjusted_is_benjamini_hochberg_with_ones_for_what_is_not_given(p_values: list[float], more: int) -> None:
    theirs = false_discovery_control([*p_values, *[1.0] * more])[: len(p_values)]
    assert adjusted(np.array(p_values), len(p_values) + more) == pytest.approx(theirs)


def test_independent_products_are_kept_at_most_at_the_stated_rate() -> None:
    """With nothing to find, any pair that is kept is false: runs with one are as rare as the rate says."""
    runs = 60
    false = 0
    for seed in range(runs):
        result = found(lines(independent(np.random.default_rng(seed), 400)))[1]
        assert isinstance(result, Pairs)
        false += not result.kept.is_empty()
    assert false <= binom.ppf(0.999, runs, RULES.false_discovery_rate)


def test_planted_pairs_are_found_and_few_false_ones_with_them() -> None:
    rng = np.random.default_rng(0)
    held = independent(rng, 3000)
    planted = {(k, k + 1) for k in range(0, 40, 4)}
    for basket in held:
        for a, b in planted:
            if a in basket and rng.random() < 0.3:
                basket.add(b)
    result = found(lines(held))[1]
    assert isinstance(result, Pairs)
    kept = {tuple(sorted((int(a), int(b)))) for a, b in result.kept.select("item_a", "item_b").iter_rows()}
    assert planted <= kept
    assert len(kept - planted) <= binom.ppf(0.999, len(kept), RULES.false_discovery_rate)


def test_shrinking_keeps_rarities_from_leading() -> None:
    held = [{1, 2}] * 3 + [{3, 4}] * 60 + [{3}] * 20 + [{4}] * 20 + [{5}] * 900
    result = found(lines(held))[1]
    assert isinstance(result, Pairs)
    by_lift = result.table.sort("lift", descending=True)
    assert by_lift.row(0, named=True)["item_a"] == "1"
    best = result.kept.row(0, named=True)
    assert (best["item_a"], best["item_b"]) == ("3", "4")
    assert best["lift_shrunk"] == pytest.approx((60 + 1) / (80 * 80 / len(held) + 1))


def test_one_customer_who_buys_the_same_again_and_again_makes_no_pair() -> None:
    """Forty orders of one customer hold both; the test by basket is impressed, the interval by customer is not."""
    held = [{1, 2}] * 40 + [{1}] * 60 + [{2}] * 60 + [{3}] * 300
    alone = found(lines(held))[1]
    again = found(lines(held, [0] * 40 + list(range(1, 421))))[1]
    assert isinstance(alone, Pairs) and isinstance(again, Pairs)
    assert again.table.row(0, named=True)["q_value"] < 0.001
    assert alone.kept.height == 1
    assert again.kept.is_empty()


def lift_is_covered(customers: int, rng: np.random.Generator) -> bool:
    """Whether the interval holds the lift of two products that customers like more or less than others do.

    A customer buys geometrically often, each time with their own probability of the first; a fifth of the baskets with
    it hold the second, of which others hold a twentieth.
    """
    orders = rng.geometric(0.4, customers)
    customer = np.repeat(np.arange(customers), orders)
    first = rng.random(len(customer)) < rng.beta(1, 4, customers)[customer]
    second = rng.random(len(customer)) < np.where(first, 0.2, 0.05)
    held = [{0} | ({1} if a else set()) | ({2} if b else set()) for a, b in zip(first, second, strict=True)]
    own = baskets(lines(held, customer.tolist()), 100)
    low, high = lift_interval(own.matrix(["1", "2"], PRODUCTS, "product"), own, np.array([0]), np.array([1]))
    truth = 0.2 / (0.2 * 0.2 + 0.8 * 0.05)
    return bool(low[0] <= truth <= high[0])


@pytest.mark.parametrize("customers", [150, 600])
def test_the_interval_on_lift_holds_the_truth_as_often_as_it_says(customers: int) -> None:
    seeds = 100
    covered = sum(lift_is_covered(customers, np.random.default_rng(seed)) for seed in range(seeds))
    assert binom.ppf(0.001, seeds, 0.95) <= covered


def test_the_interval_is_the_delta_methods_written_out() -> None:
    rng = np.random.default_rng(1)
    held = independent(rng, 200, 6)
    customers = rng.integers(0, 60, 200).tolist()
    own = baskets(lines(held, customers), 100)
    (low,), (high,) = lift_interval(own.matrix(["0", "1"], PRODUCTS, "product"), own, np.array([0]), np.array([1]))
    n, a, b = len(held), [0 in basket for basket in held], [1 in basket for basket in held]
    both = [x and y for x, y in zip(a, b, strict=True)]
    moves = [
        sum(both[k] / sum(both) + 1 / n - a[k] / sum(a) - b[k] / sum(b) for k in range(n) if customers[k] == customer)
        for customer in set(customers)
    ]
    people = len({customers[k] for k in range(n) if both[k]})
    from scipy.stats import t

    reach = t.ppf(0.975, people - 1) * sum(move**2 for move in moves) ** 0.5
    lift = sum(both) * n / (sum(a) * sum(b))
    assert (low, high) == pytest.approx((lift * np.exp(-reach), lift * np.exp(reach)))


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([], "There are no orders"),
        ([{1}] * 30, "Fewer than two products"),
        ([{1}] * 30 + [{2}] * 30, "Every basket holds one product only"),
    ],
)
def test_what_cannot_be_paired_is_left_out_with_a_reason(held: list[set[int]], words: str) -> None:
    own, result = found(lines(held))
    assert isinstance(result, LeftOut)
    assert words in result.reason
    by_name = {measure.name: measure for measure in measures(own, result)}
    assert by_name["pairs_kept"].value is None
    assert by_name["pairs_kept"].reason == result.reason
    assert answer(own, result, item_names(PRODUCTS, "product"), RULES, US).endswith(".")


def test_pairs_of_few_customers_are_not_handed_over() -> None:
    held = [{1, 2}] * 9 + [{3, 4}] * 12 + [{5}] * 100
    result = found(lines(held), RULES._replace(minimum_group=10))[1]
    assert isinstance(result, Pairs)
    assert result.table.select("item_a", "item_b").rows() == [("3", "4")]


def test_oversized_baskets_are_counted_and_left_out() -> None:
    own = baskets(lines([set(range(50)), {1, 2}, {1}]), largest=10)
    assert (len(own), own.oversized, own.lines.height) == (2, 1, 3)


def test_a_product_without_a_name_is_known_by_brand_category_and_id() -> None:
    names = dict(item_names(PRODUCTS.with_columns(pl.when(pl.col("product_id") > 1).then(pl.lit("Tea")).alias("name")),
                            "product").iter_rows())  # fmt: skip
    assert names["1"] == "brand 1 kind 1 s1"
    assert names["2"] == "Tea"


def test_categories_that_end_alike_are_told_apart() -> None:
    codes = pl.DataFrame({"category_code": ["auto.player", "audio.player", "audio.head_phone", None]})
    products = pl.concat([PRODUCTS.head(4).drop("category_code"), codes], how="horizontal")
    names = dict(item_names(products, "category").iter_rows())
    assert names == {
        "auto.player": "player (auto)",
        "audio.player": "player (audio)",
        "audio.head_phone": "head phone",
    }
