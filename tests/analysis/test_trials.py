"""Measured error rates against what theory promises, money against closed forms, plans that are none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from test_roi import TERMS, act, people

from patternbook.analysis import experiments, roi, trials
from patternbook.analysis.audiences import Audience
from patternbook.analysis.experiments import Design
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.roi import Case
from patternbook.analysis.trials import Plan
from patternbook.formats import Formats

US = Formats("USD", "en_US")
TRIALS = 3000


def plan_of(likely: float = 0.15, a_day: float = 120, **changed: object) -> Plan:
    audience = replace(people(4000, a_day, share=0.3), **changed)  # type: ignore[arg-type]
    found = trials.plan(Case(act((0.0, likely, 0.5)), audience, TERMS), Design(), 14, 182)
    assert isinstance(found, Plan)
    return found


PLANNED = plan_of()


@pytest.fixture(scope="module")
def rates() -> dict[str, trials.Rates]:
    return trials.rates(PLANNED, TRIALS)


def four_errors(rate: float) -> float:
    return 4 * math.sqrt(rate * (1 - rate) / TRIALS)


def test_fixed_and_always_valid_keep_the_level_and_peeking_does_not(rates: dict[str, trials.Rates]) -> None:
    alpha = PLANNED.design.alpha
    assert abs(rates["fixed"].type1.value - alpha) < four_errors(alpha)
    assert rates["sequential"].type1.value < alpha
    assert rates["peeking"].type1.value > 2 * alpha


def test_power_of_the_fixed_test_is_the_planned_one(rates: dict[str, trials.Rates]) -> None:
    assert PLANNED.suffices
    assert abs(rates["fixed"].power.value - 0.8) < four_errors(0.8)
    assert rates["sequential"].days_likely < PLANNED.duration


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_always_valid_test_keeps_the_level_for_rare_and_unequal_groups(share: float) -> None:
    rare = plan_of(0.2, 400, past=people(4000, share=share).past)
    uneven = replace(rare, design=Design(treated_share=0.2), control=1500.0, enrolment=60)
    found = trials.rates(uneven, TRIALS)["sequential"].type1
    assert found.value < 0.05 + four_errors(0.05)


def test_mixture_is_the_integral_over_effects() -> None:
    difference, variance, tau = 0.013, 0.006**2, 0.01

    def part(effect: float) -> float:
        ratio = math.exp((effect * difference - effect**2 / 2) / variance)
        return ratio * float(norm.pdf(effect, scale=tau))

    integral, _ = quad(part, -0.1, 0.1, points=[0.0, difference])
    ours = trials.log_mixture(np.array(difference), np.array(variance), tau**2)
    assert float(np.exp(ours)) == pytest.approx(integral, rel=1e-6)


def test_actions_on_orders_are_tested_by_their_spend() -> None:
    audience = people(4000, 400, share=0.3)
    case = Case(act((0.0, 0.1, 0.3), name="cross_sell"), audience, TERMS)
    planned = trials.plan(case, Design(), 14, 364)
    assert isinstance(planned, Plan)
    assert planned.on_orders
    found = trials.rates(planned, 1000)
    assert abs(found["fixed"].power.value - 0.8) < 4 * math.sqrt(0.16 / 1000)
    assert found["fixed"].type1.value < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1000)


@pytest.fixture(scope="module")
def tried() -> trials.Trials:
    return trials.simulate(PLANNED, TRIALS, 0)


def test_rolling_out_earns_the_closed_form_on_average(tried: trials.Trials) -> None:
    mean = tried.mean("roll out")
    closed = roi.expected_profit({"win_back": PLANNED.case})
    assert abs(mean.value - closed) < 4 / 1.96 * (mean.high - mean.value)  # type: ignore[operator]
    assert tried.mean("nothing") == (0, None, None, TRIALS)


def test_waiting_to_the_end_and_then_stopping_costs_the_test(tried: trials.Trials) -> None:
    never = replace(PLANNED.case, action=replace(PLANNED.case.action, low=0.0, likely=1e-9, high=2e-9))
    idle = trials.simulate(replace(PLANNED, case=never), 400, cost=77)
    stopped = idle.profit["by money"][~idle.wrong["by money"]]
    treated = experiments.people(PLANNED.control)
    burden = never.burden(never.audience.spend)
    assert stopped.mean() == pytest.approx(-1000 - 77 - treated * burden, rel=0.02)
    assert np.all(tried.days["peeking"] <= tried.days["fixed"])


def test_knowing_the_effect_beats_every_plan(tried: trials.Trials) -> None:
    known = np.maximum(tried.profit["roll out"], 0).mean()
    assert all(tried.profit[name].mean() <= known for name in trials.PLANS)


def test_scenarios_and_findings_hold_all_plans(tried: trials.Trials, rates: dict[str, trials.Rates]) -> None:
    table = trials.scenarios(tried, rates)
    assert table["plan"].to_list() == list(trials.LABELS.values())
    assert (table["tenth"] <= table["ninth"]).all()
    found = {one.name: one for one in trials.measures(PLANNED, tried, rates)}
    assert found["sample_size_per_group"].value == experiments.people(PLANNED.needed)
    assert found["duration_days"].value == PLANNED.enrolment + 28
    assert all(one.value is not None and one.interval is not None for one in found.values())
    assert "people in the control group" in trials.answer(PLANNED, tried, rates, US)


def test_sizes_shrink_with_cuped_by_the_correlation() -> None:
    rng = np.random.default_rng(5)
    past = PLANNED.case.audience.past
    steady = past.with_columns(before=past["revenue"] * rng.lognormal(0, 0.3, past.height))
    planned = plan_of(past=steady)
    table = trials.sizes(planned, 0.99)
    plain, cuped = (
        table.filter(pl.col("metric") == name).row(0, named=True) for name in ("Spend", "Spend, with CUPED")
    )
    assert cuped["per_group"] == pytest.approx(plain["per_group"] * (1 - cuped["correlation"] ** 2), abs=1)
    assert cuped["days"] < plain["days"]
    weekly = trials.detectable_by_week(planned)
    assert weekly["plain"].is_sorted(descending=True)
    assert (weekly["cuped"] <= weekly["plain"]).all()


def test_designs_with_more_to_compare_take_more_people() -> None:
    table = dict(trials.designs(PLANNED).select("design", "people").iter_rows())
    assert all(count > table["As planned"] for name, count in table.items() if name != "As planned")


def test_an_audience_too_small_is_said_so() -> None:
    small = plan_of(0.02, 1.0)
    assert not small.suffices
    assert small.enrolment == 182
    found = trials.rates(small, 300)
    text = trials.answer(small, trials.simulate(small, 300, 0), found, US)
    assert "only" in text


def test_nobody_to_test_with_leaves_the_plan_out() -> None:
    nobody: Audience = replace(people(), now=pl.DataFrame({"customer_id": [1]}), a_day=0.0)
    assert isinstance(trials.plan(Case(act((0, 0.1, 0.2)), nobody, TERMS), Design(), 14, 182), LeftOut)
    none = trials.plan(Case(act((0, 0, 0.2)), people(), TERMS), Design(), 14, 182)
    assert isinstance(none, LeftOut)
    assert "is none" in none.reason
    beyond = trials.plan(Case(act((0, 0.9, 1)), people(share=0.6), TERMS), Design(), 14, 182)
    assert isinstance(beyond, LeftOut)
    assert "more than everybody" in beyond.reason
    assert all(one.reason == none.reason for one in trials.measures(none, None, {}))
