"""Bundles against brute force and an independent library; what an offer brings is incremental."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from basket_lines import PRODUCTS, found, lines
from scipy.stats import binom

from patternbook.analysis import bundles
from patternbook.analysis.bundles import Offer
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.pairs import Pairs, item_names
from patternbook.formats import Formats

US = Formats("USD", "en_US")
OFFER = Offer(uptake=0.1, discount=0.02, margin=0.3, source="a test")


def trios(rng: np.random.Generator, count: int = 600) -> list[set[int]]:
    """Baskets of which some hold two or three of 30, 20 and 10, whose prices are their numbers."""
    held = [{int(k)} for k in rng.integers(40, 60, count)]
    for basket in held:
        if rng.random() < 0.2:
            basket |= {product for product in (30, 20, 10) if rng.random() < 0.7}
    return held


def offered(held: list[set[int]], offer: Offer = OFFER, customers: list[int | None] | None = None) -> pl.DataFrame:
    own, pairs = found(lines(held, customers))
    assert isinstance(pairs, Pairs)
    result = bundles.bundles(pairs, own, PRODUCTS, offer, minimum_group=1)
    assert isinstance(result, pl.DataFrame)
    return result


def test_bundles_are_those_of_mlxtend_and_their_margin_is_written_out() -> None:
    from mlxtend.frequent_patterns import fpgrowth

    held = trios(np.random.default_rng(0))
    hot = pl.DataFrame({str(k): [k in basket for basket in held] for k in (10, 20, 30)}).to_pandas()
    frequent = fpgrowth(hot, min_support=1e-9, use_colnames=True)
    count = {
        items: round(support * len(held))
        for items, support in zip(frequent["itemsets"], frequent["support"], strict=True)
    }
    table = offered(held)
    seen = set()
    for row in table.iter_rows(named=True):
        rest = frozenset(item for item in (row["item_1"], row["item_2"]) if item)
        whole = rest | {row["added"]}
        seen.add(whole)
        assert float(row["added"]) == min(map(float, whole))  # the cheapest is what is offered
        n_rest, n_all, value = count[rest], count[whole], float(row["added"])
        assert (row["baskets_rest"], row["baskets_all"], row["size"]) == (n_rest, n_all, len(whole))
        assert row["attach"] == pytest.approx(n_all / n_rest)
        assert row["value"] == pytest.approx(value)
        margin = 0.1 * (n_rest - n_all) * value * (0.3 - 0.02) - n_all * value * 0.02
        assert row["margin"] == pytest.approx(margin)
    assert seen == {items for items in count if len(items) > 1}
    assert table["margin"].is_sorted(descending=True)


def test_with_no_uptake_an_offer_costs_its_discount_exactly() -> None:
    table = offered(trios(np.random.default_rng(1)), OFFER._replace(uptake=0.0))
    expected = -(table["baskets_all"] * table["value"] * OFFER.discount)
    assert table["margin"].to_list() == pytest.approx(expected.to_list())
    assert table["bearable"].to_list() == [0.0] * table.height


def test_at_the_bearable_discount_nothing_is_left() -> None:
    held = trios(np.random.default_rng(2))
    for row in offered(held).iter_rows(named=True):
        again = offered(held, OFFER._replace(discount=row["bearable"]))
        twin = again.filter(
            pl.col("added") == row["added"], pl.col("item_1") == row["item_1"], pl.col("size") == row["size"]
        )
        assert 0 < row["bearable"] < OFFER.margin
        assert twin["margin"].to_list() == pytest.approx([0.0] * twin.height, abs=1e-9)


def attach_and_margin_are_covered(customers: int, rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether the intervals hold the truth of customers of whom each buys often or seldom, and has one habit."""
    orders = rng.geometric(0.5, customers)
    who = np.repeat(np.arange(customers), orders)
    habit = rng.beta(2, 2, customers)[who]  # of adding 10 to 30
    takes = rng.random(len(who)) < 0.5
    adds = takes & (rng.random(len(who)) < habit)
    held = [{50} | ({30} if a else set()) | ({10} if b else set()) for a, b in zip(takes, adds, strict=True)]
    (row,) = (
        offered(held, customers=who.tolist())
        .filter(pl.col("item_1") == "30", pl.col("added") == "10", pl.col("size") == 2)
        .to_dicts()
    )
    truth = 0.5 * customers * 2 * (0.1 * 0.5 * 10 * 0.28 - 0.5 * 10 * 0.02)
    return (
        row["attach_low"] <= 0.5 <= row["attach_high"],
        row["margin_low"] <= truth <= row["margin_high"],
    )


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    seeds = 60
    covered = np.sum([attach_and_margin_are_covered(200, np.random.default_rng(seed)) for seed in range(seeds)], axis=0)
    assert (covered >= binom.ppf(0.001, seeds, 0.95)).all()


def best_margin_is_covered(customers: int, rng: np.random.Generator) -> bool:
    """Whether the interval of the offer that seems best holds its truth: ten of like prices go with 300."""
    who = np.repeat(np.arange(customers), rng.geometric(0.5, customers))
    main = rng.random(len(who)) < 0.5
    adds = main[:, None] & (rng.random((len(who), 10)) < 0.3)
    held = [
        {50} | ({300} if has_main else set()) | {201 + k for k in np.flatnonzero(added)}
        for has_main, added in zip(main, adds, strict=True)
    ]
    best = offered(held, customers=who.tolist()).row(0, named=True)
    others = sum(item not in (None, "300") for item in (best["item_1"], best["item_2"]))
    rest = 0.5 * 0.3**others
    truth = 2 * customers * rest * float(best["added"]) * (0.1 * 0.7 * 0.28 - 0.3 * 0.02)
    return bool(best["margin_low"] <= truth <= best["margin_high"])


def test_the_interval_of_the_best_offer_holds_its_truth() -> None:
    """Although it was chosen for its margin among some sixty."""
    seeds = 40
    covered = sum(best_margin_is_covered(150, np.random.default_rng(seed)) for seed in range(seeds))
    assert covered >= binom.ppf(0.001, seeds, 0.95)


def test_without_pairs_there_is_no_bundle() -> None:
    own, pairs = found(lines([{k % 3} for k in range(60)] + [{0, 1}, {1, 2}]))
    assert isinstance(pairs, Pairs)
    result = bundles.bundles(pairs, own, PRODUCTS, OFFER, minimum_group=1)
    assert isinstance(result, LeftOut)
    (measure,) = bundles.measures(result)
    assert (measure.value, measure.reason) == (None, result.reason)


def test_the_answer_names_what_is_offered_with_what_and_escapes_it() -> None:
    table = offered(trios(np.random.default_rng(3)))
    products = PRODUCTS.with_columns(pl.lit("<b>*Tea*</b>").alias("name"))
    text = bundles.answer(table, OFFER, item_names(products, "product"), US)
    assert r"\<b\>\*Tea\*\<\/b\>" in text
    assert "at 2.0% off" in text
