"""Sizes and power against published answers and statsmodels, and designs that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep, proportion_effectsize

from patternbook.analysis import experiments
from patternbook.analysis.experiments import Design, Variance
from patternbook.errors import UserError
from patternbook.params import params_from

PLAIN = Design()
shares = st.floats(0.01, 0.6)
designs = st.builds(
    Design,
    alpha=st.floats(0.01, 0.2),
    power=st.floats(0.5, 0.95),
    treated_share=st.floats(0.2, 0.8),
    arms=st.integers(2, 5),
    metrics=st.integers(1, 4),
)


@pytest.mark.parametrize(("variance", "published"), [("baseline", 1030), ("pooled", 1094), ("arcsine", 1092)])
def test_from_20_to_25_per_cent_has_three_published_answers(variance: Variance, published: int) -> None:
    size = experiments.size_for_proportions(0.20, 0.05, PLAIN, variance)
    assert size == pytest.approx(published, abs=0.5)


@given(shares, st.floats(0.005, 0.3), designs)
def test_arcsine_size_is_that_of_statsmodels(baseline: float, effect: float, design: Design) -> None:
    h = proportion_effectsize(baseline + effect, baseline)
    theirs = NormalIndPower().solve_power(
        h, alpha=design.level / 2, power=design.power, ratio=design.ratio, alternative="larger"
    )
    ours = experiments.size_for_proportions(baseline, effect, design, "arcsine")
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("baseline", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("lift", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_power_is_that_of_statsmodels(baseline: float, lift: float, share: float) -> None:
    design = Design(treated_share=share)
    theirs = power_proportions_2indep(
        baseline * lift,
        baseline,
        nobs1=3000 * design.ratio,
        ratio=1 / design.ratio,
        alpha=design.alpha / 2,
        alternative="larger",
        return_results=False,
    )
    assert experiments.power_for_proportions(baseline, baseline * lift, 3000, design) == pytest.approx(theirs)


@given(st.floats(0.5, 500), st.floats(0.01, 100), designs)
def test_size_for_means_is_that_of_statsmodels(deviation: float, effect: float, design: Design) -> None:
    ours = experiments.size_for_means(deviation, effect, design)
    theirs = NormalIndPower().power(
        effect / deviation, ours, design.level / 2, ratio=design.ratio, alternative="larger"
    )
    assert theirs == pytest.approx(design.power, abs=1e-6)


@given(shares, st.floats(0.005, 0.3), designs, st.sampled_from(list(experiments.FORMULAS)))
def test_size_power_and_detectable_effect_are_one_relation(
    baseline: float, effect: float, design: Design, variance: Variance
) -> None:
    size = experiments.size_for_proportions(baseline, effect, design, variance)
    power = experiments.power_for_proportions(baseline, effect, size, design, variance)
    assert power == pytest.approx(design.power, abs=1e-9)
    assert experiments.detectable_in_proportions(baseline, size, design, variance) == pytest.approx(effect, rel=1e-6)


def test_too_few_people_detect_no_possible_effect() -> None:
    assert math.isnan(experiments.detectable_in_proportions(0.5, 5, PLAIN))


def test_detectable_difference_of_means_is_found_with_the_power() -> None:
    effect = experiments.detectable_in_means(70.0, 400, PLAIN)
    assert experiments.power_for_means(70.0, effect, 400, PLAIN) == pytest.approx(0.8)


def test_power_is_what_trials_measure() -> None:
    rng = np.random.default_rng(1)
    size, trials = 1094, 4000
    control, treated = rng.binomial(size, 0.20, trials) / size, rng.binomial(size, 0.25, trials) / size
    pooled = (control + treated) / 2
    found = (treated - control) / np.sqrt(2 * pooled * (1 - pooled) / size) > PLAIN.z_level
    assert abs(found.mean() - 0.8) < 4 * math.sqrt(0.16 / trials)


def test_arms_and_metrics_divide_the_level_and_share_the_treated() -> None:
    design = Design(treated_share=0.75, arms=4, metrics=2)
    assert design.level == pytest.approx(0.05 / 6)
    assert (design.ratio, design.groups) == (pytest.approx(1), pytest.approx(4))


def test_unequal_groups_need_more_people() -> None:
    even, odd = Design(), Design(treated_share=0.1)
    sizes = [experiments.size_for_means(1.0, 0.1, design) * design.groups for design in (even, odd)]
    assert sizes[1] / sizes[0] == pytest.approx(1 / (4 * 0.1 * 0.9))


def test_winsorised_spend_needs_fewer_people() -> None:
    spend = np.random.default_rng(2).lognormal(3, 1.5, 5000)
    cut = experiments.winsorised(spend, 0.99)
    assert cut.max() == np.quantile(spend, 0.99)
    assert np.sum(cut != spend) == 50
    assert experiments.size_for_means(cut.std(), 1, PLAIN) < experiments.size_for_means(spend.std(), 1, PLAIN)


def test_cuped_correlation_holds_the_truth() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        before = rng.standard_normal(300)
        found = experiments.cuped_correlation(0.6 * before + 0.8 * rng.standard_normal(300), before)
        assert found is not None
        held += found.low <= 0.6 <= found.high  # type: ignore[operator]
    assert held >= 180  # 95 % of 200 less 3.2 standard errors


def test_without_variance_there_is_no_correlation() -> None:
    assert experiments.cuped_correlation(np.ones(50), np.arange(50)) is None


@pytest.mark.parametrize(
    ("size", "stock", "a_day", "days"),
    [(100, 500, 0.0, 14), (100, 0, 10.0, 20), (100, 150, 10.0, 14), (100, 0, 0, None)],
)
def test_enrolment_takes_stock_then_arrivals(size: float, stock: int, a_day: float, days: int | None) -> None:
    assert experiments.enrolment_days(size, PLAIN, stock, a_day, 14) == days


@pytest.mark.parametrize(
    ("baseline", "effect", "words"),
    [(0, 0.1, "baseline"), (1, 0.1, "baseline"), (0.5, -0.1, "above zero"), (0.5, 0, "above zero"), (0.5, 0.6, "rise")],
)
def test_impossible_plans_are_refused(baseline: float, effect: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        experiments.size_for_proportions(baseline, effect, PLAIN)


@pytest.mark.parametrize("values", [{"alpha": 0}, {"alpha": 1}, {"power": 0}, {"power": 1.2}, {"treated_share": 1}])
def test_error_rates_outside_0_and_1_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UserError, match="not between 0 and 1"):
        Design(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("alpha", "power"), [(0.3, 0.3), (0.5, 0.2)])
def test_a_test_that_errs_as_often_as_it_finds_is_refused(alpha: float, power: float) -> None:
    with pytest.raises(UserError, match=r"experiments\.alpha.*experiments\.power"):
        Design(alpha, power)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"alpha": 0}, r"experiments\.alpha.*greater than 0"),
        ({"alpha": 1}, r"experiments\.alpha.*less than 1"),
        ({"power": 0}, r"experiments\.power.*greater than 0"),
        ({"power": 1.2}, r"experiments\.power.*less than 1"),
        ({"alpha": 0.4, "power": 0.3}, r"'experiments'.*alpha \(0\.4\) is not below power \(0\.3\)"),
        ({"alpha": math.nan}, r"experiments\.alpha.*finite"),
        ({"cost": -5}, r"experiments\.cost.*greater than or equal to 0"),
        ({"treated_share": 1}, r"experiments\.treated_share.*less than 1"),
        ({"correction": "sidak"}, r"experiments\.correction.*'holm'"),
    ],
)
def test_a_parameter_file_that_plans_nothing_is_refused_in_one_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        params_from({"run": "x", "source": {"kind": "simulated"}, "experiments": values}, "p.yaml")
    assert str(raised.value).startswith("p.yaml: ")
    assert "\n" not in str(raised.value)
