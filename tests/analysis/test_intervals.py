"""Intervals keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from patternbook.analysis import intervals
from patternbook.analysis.intervals import MAX_GROUPS, MIN_CLUSTERS, Estimate, ratio_of_totals, share, wilson


def accepted(hits: int, trials: int, promised: float = 0.95) -> bool:
    """Whether the count of hits is one that an interval with this coverage gives, but for one time in 10,000."""
    return bool(binom.ppf(5e-5, trials, promised) <= hits <= binom.ppf(1 - 5e-5, trials, promised))


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))).filter(lambda pair: pair[1] > 0))
def test_wilson_is_scipys(pair: tuple[int, int]) -> None:
    successes, trials = pair
    reference = binomtest(successes, trials).proportion_ci(confidence_level=0.95, method="wilson")
    low, high = wilson(successes, trials)
    assert (float(low), float(high)) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_takes_arrays_and_has_nothing_to_say_of_nobody() -> None:
    low, high = wilson([0, 5, 10, 0], [10, 10, 10, 0])
    assert low[0] == 0
    assert high[2] == 1
    assert np.isnan([low[3], high[3]]).all()
    assert share(0, 0) is None


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError, match="between 0 and trials"):
        wilson(11, 10)


@pytest.mark.parametrize(("probability", "trials"), [(0.025, 4504), (0.56, 111), (0.1, 40)])
def test_wilson_covers(probability: float, trials: int) -> None:
    """The coverage of 95 % is an average over p; at a single p it may miss it by a little."""
    drawn = np.random.default_rng(1).binomial(trials, probability, 4000)
    low, high = wilson(drawn, np.full(4000, trials))
    coverage = np.mean((low <= probability) & (probability <= high))
    assert 0.93 <= coverage <= 0.975


def customers(n: int, rng: np.random.Generator) -> np.ndarray:
    """Revenue and orders of customers who differ in how often and how dearly they buy; amounts are skewed."""
    orders = rng.geometric(0.6, n)
    level = rng.normal(4, 0.6, n)
    of_customer = np.repeat(np.arange(n), orders)
    amounts = rng.lognormal(level[of_customer], 0.7)
    return np.column_stack([np.bincount(of_customer, amounts, n), orders])


TRUE_ORDER_VALUE = float(np.exp(4 + 0.6**2 / 2 + 0.7**2 / 2))


def test_the_order_value_is_revenue_by_orders() -> None:
    totals = customers(50, np.random.default_rng(3))
    estimate = ratio_of_totals(totals, (1, -1))
    assert estimate is not None
    assert estimate.value == pytest.approx(totals[:, 0].sum() / totals[:, 1].sum())
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high
    assert estimate.n == 50


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer replicates: their noise is small beside that of the seeds."""
    monkeypatch.setattr(intervals, "REPLICATES", 1000)


@pytest.mark.usefixtures("quick")
def test_the_order_value_is_covered() -> None:
    seeds, hits = 300, 0
    for seed in range(seeds):
        estimate = ratio_of_totals(customers(300, np.random.default_rng(seed)), (1, -1))
        assert estimate is not None
        hits += estimate.low <= TRUE_ORDER_VALUE <= estimate.high  # type: ignore[operator]
    assert accepted(hits, seeds)


def test_orders_of_one_customer_are_not_independent() -> None:
    """Counted order by order, the interval of a shop with loyal customers is far too short."""
    rng = np.random.default_rng(5)
    value, orders = rng.lognormal(4, 1, 200), np.full(200, 20.0)
    by_customer = ratio_of_totals(np.column_stack([value * orders, orders]), (1, -1))
    by_order = ratio_of_totals(np.column_stack([np.repeat(value, 20), np.ones(4000)]), (1, -1))
    assert width(by_customer) > 3 * width(by_order)


@pytest.mark.usefixtures("quick")
def test_no_change_is_seldom_found() -> None:
    seeds, hits = 300, 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        both = np.hstack([customers(200, rng), customers(200, rng)])
        estimate = ratio_of_totals(both, (1, -1, -1, 1))
        assert estimate is not None
        hits += estimate.low <= 1 <= estimate.high  # type: ignore[operator]
    assert accepted(hits, seeds)


def test_pooling_clusters_keeps_the_width() -> None:
    rng = np.random.default_rng(7)
    totals = customers(4 * MAX_GROUPS, rng)
    per_cluster = np.log(totals[:, 0].sum() / totals[:, 1].sum())
    influence = totals[:, 0] / totals[:, 0].sum() - totals[:, 1] / totals[:, 1].sum()
    expected = 2 * 1.96 * np.sqrt(np.sum(influence**2)) * np.exp(per_cluster)
    assert width(ratio_of_totals(totals, (1, -1))) == pytest.approx(expected, rel=0.06)


def test_the_same_customers_give_the_same_digits() -> None:
    totals = customers(100, np.random.default_rng(9))
    assert ratio_of_totals(totals, (1, -1)) == ratio_of_totals(totals, (1, -1))


def test_customers_without_anything_do_not_count() -> None:
    totals = customers(40, np.random.default_rng(11))
    assert ratio_of_totals(np.vstack([totals, np.zeros((60, 2))]), (1, -1)) == ratio_of_totals(totals, (1, -1))


def test_too_few_customers_have_a_value_and_no_interval() -> None:
    estimate = ratio_of_totals(customers(MIN_CLUSTERS - 1, np.random.default_rng(1)), (1, -1))
    assert estimate is not None
    assert estimate.interval is None
    assert estimate.value > 0


def test_equal_orders_leave_nothing_uncertain() -> None:
    assert ratio_of_totals(np.tile([50.0, 1.0], (30, 1)), (1, -1)) == pytest.approx((50, 50, 50, 30))


@pytest.mark.parametrize("totals", [np.zeros((20, 2)), np.tile([-3.0, 1.0], (20, 1))])
def test_a_ratio_needs_positive_totals(totals: np.ndarray) -> None:
    assert ratio_of_totals(totals, (1, -1)) is None


def test_totals_and_powers_have_to_match() -> None:
    with pytest.raises(ValueError, match="powers"):
        ratio_of_totals(np.ones((20, 3)), (1, -1))


def width(estimate: Estimate | None) -> float:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low
