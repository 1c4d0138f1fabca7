"""What actions earn: against brute force, at zero effect and break-even; overlapping audiences; worth of a test."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.stats import norm

from patternbook.analysis import audiences, roi, segmentation, trials
from patternbook.analysis.audiences import Audience, Log, Offers, Rule, Scores
from patternbook.analysis.experiments import Design
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period
from patternbook.analysis.roi import Action, Case, Pilot, PilotTerms, Terms
from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.params import ROI_ACTIONS, SEGMENT_RULES, params_from

TERMS = Terms(margin=0.3, discount_rate=0.1, reach=0.8, fade=0.2, correlation=0.3, acquisition_cost=30)
TESTING = PilotTerms(Design(), shortest=14, longest=182, cost=0.0)
US = Formats("USD", "en_US")
YEAR = Period(date(2024, 1, 1), date(2024, 12, 31))
RULES = [segmentation.Rule(**rule.model_dump()) for rule in SEGMENT_RULES]


def act(effect: tuple[float, float, float], **changed: object) -> Action:
    low, likely, high = effect
    plain = Action("win_back", low, likely, high, "test", 0.5, 0.1, 0.6, 1000.0, "low", "start")
    return replace(plain, **changed)  # type: ignore[arg-type]


def people(n: int = 2000, a_day: float = 20, seed: int = 0, share: float = 0.2) -> Audience:
    rng = np.random.default_rng(seed)
    bought = rng.random(n) < share
    past = pl.DataFrame(
        {
            "customer_id": np.arange(n),
            "begins": [date(2024, 12, 3)] * n,
            "bought": bought,
            "revenue": np.where(bought, rng.lognormal(4, 0.8, n), 0.0),
            "before": np.where(rng.random(n) < share, 50.0, 0.0),
        }
    )
    return Audience("win_back", pl.DataFrame({"customer_id": np.arange(500)}), a_day, past, 28)


def case(effect: tuple[float, float, float] = (0.0, 0.1, 0.4), **changed: object) -> Case:
    return Case(act(effect, **changed), people(), TERMS)


amounts = st.floats(0, 50)
shares = st.floats(0, 1)


@given(amounts, shares, shares, st.floats(0, 5000))
def test_without_an_effect_the_profit_is_minus_the_cost(
    contact_cost: float, discount: float, redemption: float, setup: float
) -> None:
    one = case((0, 0, 0), contact_cost=contact_cost, discount=discount, redemption=redemption, setup_cost=setup)
    spend = one.audience.spend
    to_those_who_buy_anyway = one.yearly_contacts * spend * redemption * discount
    paid = setup + one.yearly_contacts * contact_cost + to_those_who_buy_anyway
    assert one.cash(0.0, spend, roi.FIRST_YEAR) == pytest.approx(-paid)
    assert one.cost(0.0, spend) == pytest.approx(paid)


def test_without_an_effect_every_draw_loses_exactly_its_cost() -> None:
    found = roi.simulate({"win_back": case((0, 0, 0))}, 200)
    np.testing.assert_allclose(found.profit, -found.cost, rtol=1e-12)
    assert roi.below_zero(found.profit).value == 1


def test_money_is_that_of_a_count_month_by_month() -> None:
    one, effect = case(), 0.3
    spend, cash, worth, paid_back = one.audience.spend, -1000.0, -1000.0, math.inf
    first_year = None
    for month in range(36):
        contacts = 0.8 * (max(500, 20 * 365.25 / 12) if month == 0 else 20 * 365.25 / 12)
        now = effect * 0.8 ** (month // 12)
        bought_more, bought = contacts * spend * now, contacts * spend * (1 + now)
        earned = 0.3 * bought_more - 0.1 * 0.6 * bought - 0.5 * contacts
        cash, worth = cash + earned, worth + earned / 1.1 ** ((month + 0.5) / 12)
        paid_back = min(paid_back, month + 1 if cash >= 0 else math.inf)
        first_year = cash if month == 11 else first_year
    certain = replace(one, action=replace(one.action, low=effect, likely=effect, high=effect))
    drawn = roi.simulate({"win_back": certain}, 200)
    assert certain.cash(effect, spend, roi.FIRST_YEAR) == pytest.approx(first_year)
    assert certain.cash(effect, spend, roi.discounts(0.1)) == pytest.approx(worth)
    assert float(np.median(drawn.payback)) == paid_back
    assert drawn.running["realistic"][36] == pytest.approx(cash, rel=0.05)


def test_mean_of_the_simulation_is_the_closed_form() -> None:
    both = {"win_back": case(), "onboarding": case((-0.1, 0.05, 0.2), name="onboarding")}
    drawn = roi.simulate(both, 1000)
    rows, columns = drawn.profit.mean(axis=1), drawn.profit.mean(axis=0)  # draws of data and of effects, crossed
    error = math.sqrt(rows.var() / len(rows) + columns.var() / len(columns))
    assert abs(drawn.profit.mean() - roi.expected_profit(both)) < 4 * error


@given(st.floats(-0.5, 0.2), st.floats(0, 0.3), st.floats(0, 0.5))
def test_effects_follow_the_pert_distribution(low: float, up: float, further: float) -> None:
    likely = max(low, 0) + up
    action = act((low, likely, likely + further))
    drawn = action.effect_at((np.arange(4000) + 0.5) / 4000)
    assert drawn.min() >= low - 1e-12
    assert drawn.max() <= likely + further + 1e-12
    assert drawn.mean() == pytest.approx((low + 4 * likely + likely + further) / 6, abs=1e-3)


def test_correlated_effects_spread_the_programme() -> None:
    names = list(roi.LABELS)[:4]
    widths = []
    for correlation in (0.0, 0.9):
        cases = {
            name: replace(case(), action=act((0, 0.1, 0.4), name=name), terms=TERMS._replace(correlation=correlation))
            for name in names
        }
        widths.append(float(roi.simulate(cases, 500).profit.std()))
    assert widths[1] > 1.4 * widths[0]


def test_break_even_and_highest_contact_cost_earn_nothing() -> None:
    one = case((0.2, 0.5, 0.8))
    assert one.break_even is not None
    assert one.cash(one.break_even, one.audience.spend, roi.FIRST_YEAR) == pytest.approx(0, abs=1e-6)
    dearer = replace(one, action=replace(one.action, contact_cost=one.highest_contact_cost))
    assert roi.expected_profit({"win_back": dearer}) == pytest.approx(0, abs=1e-6)


def test_a_discount_above_the_margin_never_breaks_even() -> None:
    assert case(discount=0.6, redemption=0.5).break_even is None


def test_percentiles_are_ordered_and_lie_in_their_intervals() -> None:
    table = roi.scenarios(roi.simulate({"win_back": case((0, 0.3, 0.9))}, 500))
    for name in ("net_profit", "roi", "npv_3y"):
        assert table[name].is_sorted()
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()


def test_what_never_pays_back_says_so() -> None:
    found = {one.name: one for one in roi.measures(roi.simulate({"win_back": case((0, 0, 0))}, 200))}
    for scenario in roi.SCENARIOS:
        payback = found[f"payback_months_{scenario}"]
        assert (payback.value, payback.interval) == (None, None)
        assert payback.reason


def test_an_action_that_costs_nothing_has_no_return_on_cost() -> None:
    free = roi.simulate({"win_back": case(contact_cost=0.0, discount=0.0, setup_cost=0.0)}, 200)
    found = {one.name: one for one in roi.measures(free)}
    assert found["roi_realistic"].value is None
    assert "costs nothing" in str(found["roi_realistic"].reason)
    assert found["payback_months_realistic"].value == 1


def test_without_an_action_every_finding_has_a_reason() -> None:
    found = roi.measures(LeftOut("No."))
    assert all(one.value is None and one.reason == "No." for one in found)
    assert {
        f"{kind}_{name}" for kind in ("net_profit", "roi", "payback_months", "npv_3y") for name in roi.SCENARIOS
    } < {one.name for one in found}


def test_the_programme_holds_what_is_worth_its_money() -> None:
    cases = {"win_back": case((0, 0, 0.01)), "onboarding": case((0.3, 0.5, 0.8), name="onboarding")}
    tests = {name: roi.test_first(one, TESTING) for name, one in cases.items()}
    assert {name: one.decision for name, one in tests.items()} == {"win_back": "no go", "onboarding": "go"}
    found = roi.programme(cases, tests, 200)
    assert isinstance(found, roi.Simulated)
    assert list(found.cases) == ["onboarding"]
    assert isinstance(roi.programme({"win_back": cases["win_back"]}, tests, 200), LeftOut)


def test_information_is_worth_what_brute_force_says() -> None:
    one = case((0.0, 0.3, 1.0), setup_cost=0.0, contact_cost=0.8)
    design, found = Design(), roi.test_first(one, TESTING)
    assert found.pilot is not None
    assert found.test is not None
    days, monthly = found.pilot.days, 20 * 0.8 * 365.25 / 12
    control = 0.8 * (500 + 20 * (days - 28)) / 2
    rng, n = np.random.default_rng(4), 4000
    effect, seen_of = one.action.effect_at(rng.random(n)), roi.effect_error(one, design, control)
    seen = effect + seen_of * rng.standard_normal(n)
    prior = one.action.effect_at((np.arange(2000) + 0.5) / 2000)
    likelihood = np.exp(-0.5 * ((seen[:, None] - prior) / seen_of) ** 2)
    believed = (likelihood * prior).sum(axis=1) / likelihood.sum(axis=1)
    money = np.asarray(one.per_contact(effect, one.audience.spend))
    first = max(500 * 0.8, monthly) - control  # as many are treated as not
    later = (first + monthly * (11 - days / (365.25 / 12))) * money
    goes_on = np.asarray(one.per_contact(believed, one.audience.spend)) > 0
    trial = control * money.mean() + (later * goes_on)
    assert abs(found.test - trial.mean()) < 4 * (later * goes_on).std() / math.sqrt(n) + 5
    assert 0.2 < goes_on.mean() < 0.9
    assert found.perfect >= 0


def test_a_test_that_costs_more_than_it_tells_is_not_made() -> None:
    one, dear = case((0.0, 0.45, 1.0)), TESTING._replace(cost=1e6)
    free = roi.test_first(one, TESTING).test
    assert free is not None
    assert free - 1e6 == pytest.approx(roi.test_first(one, dear).test)
    assert roi.test_first(one, dear).decision != "test first"


def in_doubt(**changed: object) -> Case:
    """An action that may earn or lose, so that a test is worth its wait."""
    return case((0.0, 0.3, 1.0), **{"setup_cost": 0.0, "contact_cost": 0.8} | changed)


def piloted(one: Case) -> Pilot:
    found = roi.pilot(one, TESTING)
    assert found is not None
    return found


def test_a_roll_out_without_a_test_before_it_is_the_one_at_once() -> None:
    one = case()
    np.testing.assert_allclose(one.contacts_after(0.0, 0.0), one.contacts)
    both = one.contacts_after(np.array([0.0, 100.0]), np.array([0.0, 70.0]))
    assert both.shape == (2, roi.MONTHS)
    np.testing.assert_allclose(both[1], one.contacts_after(100.0, 70.0))


def test_waiting_costs_the_contacts_of_the_months_waited() -> None:
    one = case()
    month = 365.25 / 12
    later = one.contacts_after(100.0, 2.5 * month)
    first, monthly = one.contacts[0], one.contacts[1]
    assert first > 100
    assert later[:2].sum() == 0
    assert later[2] == pytest.approx(first - 100)
    assert later[3] == pytest.approx(monthly / 2)
    np.testing.assert_allclose(later[4:], monthly)


def test_it_goes_on_where_what_is_believed_just_earns() -> None:
    one = in_doubt()
    found = piloted(one)
    prior = one.action.effect_at((np.arange(4000) + 0.5) / 4000)
    weight = norm.pdf(found.go_above, prior, found.error)
    believed = float((weight * prior).sum() / weight.sum())
    assert one.per_contact(believed, one.audience.spend) == pytest.approx(0, abs=0.01)
    assert found.during.sum() == pytest.approx(found.people / 2, abs=0.5)


def test_the_test_is_as_long_as_pays() -> None:
    one = in_doubt()
    best = roi.test_first(one, TESTING)
    assert best.pilot is not None
    by_week = {}
    for days in range(14, 183, 7):
        found = roi.test_first(one, TESTING._replace(shortest=days, longest=days))
        assert found.test is not None
        by_week[days + 28] = found.test
    assert best.test == pytest.approx(max(by_week.values()))
    assert by_week[best.pilot.days] == best.test
    assert best.test > by_week[210]


def test_no_test_makes_an_action_go_on_whose_discount_eats_its_margin() -> None:
    assert piloted(in_doubt(discount=0.6, redemption=0.5)).go_above == math.inf
    assert piloted(case((0.5, 0.6, 0.7), contact_cost=0.0, discount=0.0)).go_above == -math.inf


def test_mean_of_a_programme_that_tests_first_is_its_expectation() -> None:
    both = {"win_back": in_doubt(), "onboarding": case((0.1, 0.3, 0.5), name="onboarding")}
    first = {"win_back": piloted(both["win_back"])}
    drawn = roi.simulate(both, 2000, first)
    rows, columns = drawn.profit.mean(axis=1), drawn.profit.mean(axis=0)
    error = math.sqrt(rows.var() / len(rows) + columns.var() / len(columns))
    assert abs(drawn.profit.mean() - roi.expected_profit(both, first)) < 4 * error
    goes_on = first["win_back"].goes_on(both["win_back"].action.effect_at((np.arange(800) + 0.5) / 800)).mean()
    assert 0.2 < goes_on < 0.9


def test_a_test_of_what_has_no_effect_costs_the_test_and_the_errors_of_it() -> None:
    """Without an effect every draw loses what it paid; where the test stops it, that is the test alone."""
    one = case((0, 0, 0))
    first = piloted(one)._replace(cost=250.0, go_above=0.01)
    drawn = roi.simulate({"win_back": one}, 400, {"win_back": first})
    np.testing.assert_allclose(drawn.profit, -drawn.cost, rtol=1e-12)
    spend, given = drawn.cost.min(axis=1), 0.1 * 0.6
    stopped = 1000 + 250 + first.during.sum() * 0.5
    assert np.all(spend > stopped)
    mean_spend = one.audience.spend * first.during.sum() * given
    assert spend.mean() == pytest.approx(stopped + mean_spend, rel=0.02)
    assert drawn.cost.max() > 1.5 * spend.mean()  # a false alarm rolls it out


def test_the_programme_follows_what_was_decided() -> None:
    cases = {"win_back": in_doubt(), "onboarding": case((0.3, 0.5, 0.8), name="onboarding")}
    tests = {name: roi.test_first(one, TESTING) for name, one in cases.items()}
    assert {name: one.decision for name, one in tests.items()} == {"win_back": "test first", "onboarding": "go"}
    decided = roi.programme(cases, tests, 500)
    assert isinstance(decided, roi.Simulated)
    assert list(decided.pilots) == ["win_back"]
    at_once = roi.simulate(cases, 500)
    assert decided.profit.mean() > at_once.profit.mean()
    worst = [float(np.quantile(one.by_action["win_back"], 0.1)) for one in (decided, at_once)]
    assert worst[1] < worst[0] < 0
    assert "cost and delay" in roi.answer(decided, None, US)
    table = roi.tornado(decided, TESTING, 0.25)
    dearer = roi.tornado(decided, TESTING, 0.5)
    reach = [one.filter(pl.col("assumption") == "Reach")["width"].item() for one in (table, dearer)]
    assert 0 < reach[0] < reach[1]


def test_the_tornado_is_widest_for_what_matters_most() -> None:
    table = roi.tornado(roi.simulate({"win_back": case((0.0, 0.3, 1.0))}, 200), TESTING, 0.25)
    assert table["width"].is_sorted(descending=True)
    assert table["assumption"][0] == "Win back those we may lose: effect"
    margin = table.filter(pl.col("assumption") == "Margin").row(0, named=True)
    cases = {"win_back": replace(case((0.0, 0.3, 1.0)), terms=TERMS._replace(margin=0.3 * 1.25))}
    assert margin["high"] == pytest.approx(roi.expected_profit(cases))


def test_amounts_in_lakh_and_crore() -> None:
    table = roi.assumptions([act((0, 0.1, 0.2), setup_cost=1234567.0)], {}, TERMS, ("a", "b"), Formats("INR", "en_IN"))
    assert "₹12,34,567 set-up" in table["value"][-1]


# Audiences ---------------------------------------------------------------------------------------------------------


def log(seed: int = 0, customers: int = 400) -> Log:
    """A shop of a year: visits, some with a cart, some with an order on the same day."""
    rng = np.random.default_rng(seed)
    n = customers * 12
    day = rng.integers(0, 366, n)
    who = rng.integers(0, customers, n)
    at = [datetime(2024, 1, 1, 12) + timedelta(days=int(one)) for one in day]
    carts = (rng.random(n) < 0.4).astype(int)
    sessions = pl.DataFrame({"customer_id": who, "started_at": at, "carts": carts})
    bought = rng.random(n) < 0.15
    orders = pl.DataFrame({"customer_id": who, "ordered_at": at, "units": 1, "revenue": rng.lognormal(3, 1, n)})
    orders = orders.filter(bought).with_row_index("order_id")
    return Log.of(orders, _lines(orders, rng), sessions, YEAR, "UTC")


def _lines(orders: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """One to three of ten products an order."""
    count = rng.integers(1, 4, orders.height)
    return orders.select("order_id", "customer_id", "ordered_at", count=count).select(
        pl.all().exclude("count").repeat_by("count").explode(),
        product_id=pl.Series(rng.integers(0, 10, count.sum())),
        quantity=1,
        cancelled=False,
    )


OFFERS = Offers(
    pl.DataFrame({"item_a": [1, 4], "item_b": [2, 7]}),
    pl.DataFrame({"item_1": [1, 3], "item_2": [None, 5], "added": [2, 6]}),
)


def rules(of: Log, offers: Offers = OFFERS, scores: Scores | None = None, horizon: int = 28) -> dict[str, Rule]:
    return audiences.rules_of(of, "Can't lose them", RULES, 50, horizon, offers, scores)


def members(of: Log) -> dict[str, audiences.Members]:
    return {name: rule.members for name, rule in rules(of).items()}


def test_open_carts_are_those_of_a_brute_force() -> None:
    shop = log()
    for day in (date(2024, 3, 1), date(2024, 12, 31)):
        expected = set()
        for customer in range(400):
            carts = [
                visited
                for who, visited in shop.visits.filter(pl.col("carts") > 0).select("customer_id", "day").iter_rows()
                if who == customer and timedelta(0) <= day - visited < timedelta(days=7)
            ]
            orders = [
                ordered
                for who, ordered in shop.orders.select("customer_id", "day").iter_rows()
                if who == customer and ordered <= day
            ]
            if carts and all(ordered < max(carts) for ordered in orders):
                expected.add(customer)
        found = members(shop)["abandoned_cart"](day)
        assert isinstance(found, pl.DataFrame)
        assert set(found["customer_id"]) == expected


def test_the_keen_are_those_of_a_brute_force() -> None:
    shop, day = log(customers=1200), date(2024, 6, 30)
    week = [day - timedelta(days=back) for back in range(7)]
    visits = {(who, at) for who, at in shop.visits.select("customer_id", "day").iter_rows() if at in week}
    orders = {who for who, at in shop.orders.select("customer_id", "day").iter_rows() if at in week}
    often = {who for who, _ in visits if sum(other == who for other, _ in visits) >= 2}
    found = members(shop)["high_intent"](day)
    assert isinstance(found, pl.DataFrame)
    assert found["customer_id"].to_list() == sorted(often - orders)
    assert 5 < found.height < 200


def held(shop: Log, since: date, until: date) -> list[tuple[int, set[int]]]:
    """Customer and products of each order of these days."""
    within = shop.lines.filter(pl.col("day").is_between(since, until)).group_by("order_id", "customer_id")
    return [(who, set(products)) for _, who, products in within.agg("product_id").iter_rows()]


def test_cross_sell_goes_to_who_bought_one_product_of_a_pair_and_never_the_other() -> None:
    shop, day = log(customers=1200), date(2024, 6, 30)
    week, ever = held(shop, date(2024, 6, 24), day), held(shop, YEAR.first, day)
    owned = {who: set().union(*(items for other, items in ever if other == who)) for who, _ in week}
    pairs = [(1, 2), (2, 1), (4, 7), (7, 4)]
    expected = {who for who, items in week if any(a in items and b not in owned[who] for a, b in pairs)}
    found = members(shop)["cross_sell"](day)
    assert isinstance(found, pl.DataFrame)
    assert set(found["customer_id"]) == expected
    assert 0 < len(expected) < len(owned)


def test_a_bundle_goes_to_whose_basket_holds_the_rest_of_it() -> None:
    shop, day = log(customers=1200), date(2024, 6, 30)
    week = held(shop, date(2024, 6, 24), day)
    expected = {who for who, items in week if (1 in items and 2 not in items) or ({3, 5} <= items and 6 not in items)}
    found = members(shop)["bundle"](day)
    assert isinstance(found, pl.DataFrame)
    assert set(found["customer_id"]) == expected
    assert 0 < len(expected) < len({who for who, _ in week})


def test_cross_sell_and_bundles_need_something_to_offer() -> None:
    shop = log()
    without = rules(shop, Offers.of(None, None))
    assert rules(shop).keys() - without.keys() == {"cross_sell", "bundle"}
    left = audiences.all_of(without, ["cross_sell", "bundle"], shop, 28, 10)
    assert all(isinstance(one, LeftOut) and "Notebook 05" in one.reason for one in left.values())


def test_offers_are_those_of_products() -> None:
    pairs = pl.DataFrame({"level": ["product", "category"], "item_a": ["12", "tea"], "item_b": ["7", "cup"]})
    bundles = pl.DataFrame({"item_1": ["12"], "item_2": [None], "added": ["7"]}, schema_overrides={"item_2": pl.String})
    found = Offers.of(pairs, bundles)
    assert found.pairs.rows() == [(12, 7)]
    assert found.bundles.rows() == [(12, None, 7)]


def scores(shop: Log, cutoff: date, seed: int = 0) -> Scores:
    """Everybody's true rate of buying twice over at the test, and today half of that: high from 0.2 on."""
    rng = np.random.default_rng(seed)
    who = shop.visits["customer_id"].unique().sort()
    likely = rng.uniform(0, 0.8, len(who))
    tier = pl.when(pl.col("probability") >= 0.2).then(pl.lit("high")).otherwise(pl.lit("low"))
    then = pl.DataFrame({"customer_id": who, "cutoff": cutoff, "probability": likely}).with_columns(tier=tier)
    now = then.select("customer_id", pl.col("probability") / 2, "tier")
    return Scores(now, then, cutoff)


def test_high_intent_is_what_the_forecast_says_at_its_test_and_today() -> None:
    shop = log()
    given = scores(shop, date(2024, 12, 2))
    rule = rules(shop, scores=given)["high_intent"]
    found = audiences.audience("high_intent", rule, shop, 28, 10)
    assert isinstance(found, Audience)
    assert rule.who == audiences.SCORED
    assert found.past["begins"].unique().to_list() == [date(2024, 12, 1)]
    assert set(found.past["customer_id"]) == set(given.then.filter(pl.col("tier") == "high")["customer_id"])
    assert found.a_day == 0  # nobody has come anew


def test_a_forecast_carries_the_baseline_to_today() -> None:
    """Half as likely to buy today: half the buyers, spend and error, whatever the forecast's own level."""
    shop = log()
    given = scores(shop, date(2024, 12, 2))
    found = audiences.audience("high_intent", rules(shop, scores=given)["high_intent"], shop, 28, 10)
    assert isinstance(found, Audience)
    plain = replace(found, now=found.now.drop("forecast"))
    assert found.level == pytest.approx(0.5)
    assert plain.level == 1
    assert found.buyers.value == pytest.approx(plain.buyers.value / 2)
    assert found.spend == pytest.approx(plain.spend / 2)
    certain = replace(
        found, now=found.now.with_columns(forecast=pl.lit(1.0)), past=found.past.with_columns(forecast=0.01)
    )
    assert certain.buyers.value == audiences.MOST


def test_the_error_of_a_carried_baseline_is_what_it_varies_by() -> None:
    """Over many draws of the past audience, people in two windows each; the forecast tells much of who buys."""
    rng = np.random.default_rng(7)
    now = pl.DataFrame({"customer_id": range(300), "forecast": 0.2})
    shares, spends, errors, naive = [], [], [], []
    for _ in range(400):
        forecast = np.tile(rng.beta(1, 3, 300), 2)
        bought = rng.random(600) < forecast * 0.8
        past = pl.DataFrame(
            {
                "customer_id": np.tile(np.arange(300), 2),
                "begins": date(2024, 12, 3),
                "bought": bought,
                "revenue": bought * rng.lognormal(3, 0.5, 600),
                "before": 0.0,
                "forecast": forecast,
            }
        )
        found = Audience("win_back", now, 1.0, past, 28)
        shares.append(found.buyers.value)
        spends.append(found.spend)
        errors.append((found.error("bought"), found.error("revenue")))
        naive.append(found.level * replace(found, now=now.drop("forecast")).error("bought"))
    mean_errors = np.mean(errors, axis=0)
    assert mean_errors[0] == pytest.approx(np.std(shares), rel=4 / math.sqrt(2 * 400))
    assert mean_errors[1] == pytest.approx(np.std(spends), rel=4 / math.sqrt(2 * 400))
    assert np.mean(naive) > 1.1 * mean_errors[0]
    assert np.mean(shares) == pytest.approx(0.16, rel=0.03)


def test_a_tier_that_holds_nearly_everybody_is_no_audience() -> None:
    """Where every contact pays, who visits often stands in; where the source has no visits, the action is left out."""
    shop = log()
    likely = scores(shop, date(2024, 12, 2))
    everybody = replace(likely, now=likely.now.with_columns(tier=pl.lit("high")))
    rule = rules(shop, scores=everybody)["high_intent"]
    assert rule.past is None
    assert "its tiers tell nobody apart" in rule.note
    orders_only = replace(shop, visits=shop.orders.select("customer_id", pl.lit(0).alias("carts"), "day"))
    silent = rules(orders_only, scores=everybody)["high_intent"]
    found = audiences.audience("high_intent", silent, orders_only, 28, 10)
    assert found == LeftOut(f"{silent.note} The source holds no visits without an order.")


@pytest.mark.parametrize("given", [None, scores(log(), date(2024, 12, 20))], ids=["none", "too late"])
def test_without_a_tested_forecast_the_keen_stand_for_high_intent(given: Scores | None) -> None:
    shop = log()
    rule = rules(shop, scores=given)["high_intent"]
    assert rule.past is None
    assert "Notebook 04 has no forecast" in rule.note
    sentence = roi.left_out({"high_intent": case()}, {"high_intent": rule})
    assert sentence == f"{roi.LABELS['high_intent']}: {rule.note}"


def test_a_forecast_of_the_silent_is_closer_than_the_past_alone() -> None:
    """Of customers who drop out, those of an earlier window bought more than those of the next one will."""
    errors = []
    for seed in range(4):
        shop = fading(seed)
        then = shop.period.last - timedelta(days=56)
        known = replace(shop, period=Period(YEAR.first, then))
        found = audiences.audience("win_back", rules(known, horizon=56)["win_back"], known, 56, 10)
        assert isinstance(found, Audience)
        truth = audiences._outcomes(found.now, shop, then, 56)["bought"].mean()
        plain = float(found.past["bought"].mean())  # type: ignore[arg-type]
        errors.append((abs(found.buyers.value - float(truth)), abs(plain - float(truth))))  # type: ignore[arg-type]
    with_forecast, alone = np.mean(errors, axis=0)
    assert with_forecast < alone


def fading(seed: int, customers: int = 3000) -> Log:
    """A year of customers who all begin in its first quarter, buy at their own rate, and leave for good."""
    rng = np.random.default_rng(seed)
    rate, stay = rng.gamma(2, 0.02, customers), rng.exponential(120, customers)
    begins = rng.integers(0, 90, customers)
    lives = np.minimum(366, begins + stay)
    count = rng.poisson(rate * (lives - begins)) + 1
    who = np.repeat(np.arange(customers), count)
    day = (begins[who] + rng.random(len(who)) * (lives - begins)[who]).astype(int)
    at = [datetime(2024, 1, 1, 12) + timedelta(days=int(one)) for one in day]
    orders = pl.DataFrame(
        {"order_id": range(len(who)), "customer_id": who, "ordered_at": at, "units": 1, "revenue": 20.0}
    )
    sessions = orders.select("customer_id", started_at="ordered_at", carts=0)
    return Log.of(orders, _lines(orders, rng), sessions, YEAR, "UTC")


def test_newcomers_are_seen_for_the_first_time_in_the_week() -> None:
    shop = log()
    found = members(shop)["onboarding"](date(2024, 1, 7))
    assert isinstance(found, pl.DataFrame)
    assert set(found["customer_id"]) == set(shop.visits.filter(pl.col("day") <= date(2024, 1, 7))["customer_id"])


def test_the_past_is_what_would_have_been_done_then() -> None:
    """Nothing that happened after a window may change who is in its audience."""
    shop = log()
    until = date(2024, 11, 5)
    earlier = replace(
        shop,
        orders=shop.orders.filter(pl.col("day") <= until),
        lines=shop.lines.filter(pl.col("day") <= until),
        visits=shop.visits.filter(pl.col("day") <= until),
    )
    for name, rule in members(shop).items():
        now, then = rule(until), members(earlier)[name](until)
        assert isinstance(now, pl.DataFrame)
        assert isinstance(then, pl.DataFrame)
        assert_frame_equal(now.sort("customer_id"), then.sort("customer_id"))


def test_outcomes_are_counted_in_the_window_alone() -> None:
    shop = log()
    found = audiences.audience("abandoned_cart", rules(shop)["abandoned_cart"], shop, 28, 10)
    assert isinstance(found, Audience)
    assert found.past["begins"].unique().sort().to_list() == [date(2024, 10, 8), date(2024, 11, 5), date(2024, 12, 3)]
    for customer, begins, bought, revenue, before in found.past.head(60).iter_rows():
        own = shop.orders.filter(pl.col("customer_id") == customer)
        within = own.filter((pl.col("day") > begins) & (pl.col("day") <= begins + timedelta(days=28)))
        past = own.filter((pl.col("day") <= begins) & (pl.col("day") > begins - timedelta(days=28)))
        assert (bought, revenue) == (within.height > 0, pytest.approx(within["revenue"].sum()))
        assert before == pytest.approx(past["revenue"].sum())


def test_errors_count_people_not_windows() -> None:
    once = people(400)
    thrice = replace(once, past=pl.concat([once.past] * 3))
    assert thrice.error("revenue") == pytest.approx(once.error("revenue"))
    assert thrice.buyers.interval == pytest.approx(once.buyers.interval)


def test_nobody_is_in_two_audiences() -> None:
    shop = log(customers=1200)
    whole = audiences.all_of(rules(shop), ["abandoned_cart", "onboarding"], shop, 28, 10)
    cart = whole["abandoned_cart"]
    assert isinstance(cart, Audience)
    third = cart.now.height // 3
    copy = replace(cart, action="win_back", now=cart.now.head(third), past=cart.past.head(100))
    found = audiences.apart({"a": copy, "b": cart}, ["a", "b"], 5)
    assert isinstance(found["b"], Audience)
    assert set(found["b"].now["customer_id"]).isdisjoint(copy.now["customer_id"])
    assert found["b"].now.height == cart.now.height - third
    assert found["b"].past.height == cart.past.height - 100
    assert found["b"].a_day == pytest.approx(cart.a_day * found["b"].now.height / cart.now.height)


def test_a_wide_action_that_loses_leaves_a_narrow_one_its_customers() -> None:
    narrow, wide = people(), people(4000)
    wide = replace(wide, now=pl.DataFrame({"customer_id": range(3000)}))
    dear = {name: act((0, 0, 0), name=name) for name in ("high_intent", "bundle")}
    found = roi.cases(dear, {"bundle": wide, "high_intent": narrow}, TERMS, 10)
    assert isinstance(found["high_intent"], Case)
    assert isinstance(found["bundle"], Case)
    assert (found["high_intent"].audience.now.height, found["bundle"].audience.now.height) == (500, 2500)
    earning = {**dear, "bundle": act((0.5, 0.6, 0.7), name="bundle")}
    swallowed = roi.cases(earning, {"bundle": wide, "high_intent": narrow}, TERMS, 10)["high_intent"]
    assert isinstance(swallowed, LeftOut)
    assert "earns more" in swallowed.reason


def test_parts_that_the_data_do_not_allow_say_why() -> None:
    shop = log()
    short = replace(shop, period=Period(date(2024, 12, 1), date(2024, 12, 31)))
    no_carts = replace(shop, visits=shop.visits.with_columns(carts=0))
    empty = Rule("nobody", lambda _: pl.DataFrame(schema={"customer_id": pl.Int64}))
    none = audiences.audience("win_back", empty, shop, 28, 10)
    reasons = [
        audiences.audience("onboarding", rules(short)["onboarding"], short, 28, 10),
        audiences.audience("abandoned_cart", rules(no_carts)["abandoned_cart"], no_carts, 28, 10),
        none,
    ]
    assert all(isinstance(one, LeftOut) and one.reason.endswith(".") for one in reasons)


def test_an_action_left_out_leaves_its_finding_with_the_reason() -> None:
    """From there the report's list of what was left out takes it; the sentence stands in the chapter on money."""
    cases = {"win_back": case(), "bundle": LeftOut("Nobody buys two.")}
    each = roi.simulate({"win_back": case()}, 200)
    found = {one.name: one for one in roi.action_measures(each, cases)}
    assert found["profit_bundle"].value is None
    assert found["profit_bundle"].reason == "Nobody buys two."
    assert found["profit_win_back"].reason is None
    assert roi.left_out(cases, {}) == f"Left out: {roi.LABELS['bundle']}. Nobody buys two."
    assert roi.left_out({"win_back": case()}, {}) == "No action is left out."


def test_actions_left_out_for_one_reason_are_named_together() -> None:
    cases = {"win_back": LeftOut("Why."), "bundle": LeftOut("Why."), "onboarding": case(), "cross_sell": LeftOut("No.")}
    labels = roi.LABELS
    assert roi.left_out(cases, {}) == (
        f"Left out: {labels['win_back']}; {labels['bundle']}. Why. Left out: {labels['cross_sell']}. No."
    )


def test_an_unknown_segment_is_named() -> None:
    with pytest.raises(UserError, match=r"'roi': segment: 'Nobody' is none of.*Champions"):
        given_roi(segment="Nobody")
    shop = log()
    rule = audiences.rules_of(shop, "Nobody", RULES, 50, 28, OFFERS, None)["win_back"]
    left_out = audiences.audience("win_back", rule, shop, 28, 10)
    assert isinstance(left_out, LeftOut)
    assert "'Nobody'" in left_out.reason


def test_a_segment_without_customers_has_no_audience() -> None:
    shop = log()
    empty = [*RULES, RULES[-1]._replace(name="Ghosts")]  # all customers are in an earlier one
    rule = audiences.rules_of(shop, "Ghosts", empty, 50, 28, OFFERS, None)["win_back"]
    assert isinstance(now := rule.members(shop.period.last), pl.DataFrame)
    assert now.is_empty()
    left_out = audiences.audience("win_back", rule, shop, 28, 10)
    assert left_out == LeftOut("Fewer than 10 customers are in its audience.")
    assert isinstance(trials.plan(LeftOut("x"), Design(), 14, 182), LeftOut)


@pytest.mark.parametrize(
    ("bought", "words"), [(False, "fewer than 5 bought within 28 days"), (True, "All of those")], ids=["0", "1"]
)
def test_a_baseline_of_nobody_or_everybody_is_left_out(bought: bool, words: str) -> None:
    shop = log()
    who = shop.visits.select("customer_id").unique().sort("customer_id")
    days = [shop.period.last - timedelta(days=number) for number in range(200)]
    buying = who.join(pl.DataFrame({"day": days if bought else days[150:]}), how="cross").with_columns(
        ordered_at=pl.col("day").cast(pl.Datetime), units=1, revenue=10.0
    )
    everybody = Rule("all", lambda day: who)
    found = audiences.audience("onboarding", everybody, replace(shop, orders=buying), 28, 10)
    assert isinstance(found, LeftOut)
    assert words in found.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"contact_cost": -1}, r"roi\.actions\.win_back\.contact_cost.*greater than or equal to 0"),
        ({"setup_cost": -0.01}, r"roi\.actions\.win_back\.setup_cost.*greater than or equal to 0"),
        ({"contact_cost": math.inf}, r"contact_cost.*finite"),
        ({"discount": 1.2}, r"roi\.actions\.win_back\.discount.*less than or equal to 1"),
        ({"effect": {"low": -1.1, "likely": 0, "high": 0, "source": "x"}}, r"effect\.low.*equal to -1"),
    ],
)
def test_costs_that_are_none_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        given_roi(actions={"win_back": changed})


def test_an_action_that_costs_nothing_has_no_roi_in_its_row() -> None:
    free = case(contact_cost=0.0, discount=0.0, setup_cost=0.0)
    each = roi.simulate({"win_back": free}, 200)
    row = roi.by_action(each, {"win_back": roi.test_first(free, TESTING)}).row(0, named=True)
    assert (row["cost"], row["roi"], row["break_even"]) == (0, None, 0)


def given_roi(**values: object) -> object:
    return params_from({"run": "x", "source": {"kind": "simulated"}, "roi": values}, "p.yaml").roi


def test_one_key_of_an_action_may_be_given() -> None:
    found = given_roi(actions={"win_back": {"contact_cost": 2}})
    assert found.actions["win_back"].contact_cost == 2  # type: ignore[attr-defined]
    assert found.actions["win_back"].effect == ROI_ACTIONS["win_back"].effect  # type: ignore[attr-defined]
    assert found.actions["bundle"] == ROI_ACTIONS["bundle"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"low": 0, "likely": -0.1, "high": 0.2, "source": "x"}, "likely"),
        ({"low": 0, "likely": 0.1, "high": 1.5, "source": "x"}, "high"),
        ({"low": 0.2, "likely": 0.1, "high": 0.3, "source": "x"}, "must not fall"),
        ({"low": 0, "likely": 0.1, "high": 0.3}, "source"),
    ],
)
def test_effects_that_are_none_are_refused(effect: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        given_roi(actions={"win_back": {"effect": effect}})


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(UserError, match="win_back"):
        given_roi(actions={"win_bak": {"contact_cost": 2}})
