"""Corrections against published values and libraries; measured errors and power against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import dunnett, multivariate_normal, norm
from statsmodels.stats.multitest import multipletests
from test_roi import TERMS, act
from test_roi import people as audience
from test_trials import PLANNED

from patternbook.analysis import corrections, experiments, multiplicity, trials
from patternbook.analysis.corrections import READINGS, Reading
from patternbook.analysis.experiments import Design
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.roi import Case
from patternbook.formats import Formats

US = Formats("USD", "en_US")
COUNT = 4000
PEOPLE = multiplicity.people_of(PLANNED, 0.99)


def four_errors(rate: float) -> float:
    return 4 * math.sqrt(rate * (1 - rate) / COUNT)


@pytest.mark.parametrize(("arms", "published"), [(1, 1.96), (2, 2.21), (3, 2.35), (4, 2.44), (5, 2.51)])
def test_critical_values_of_dunnett_are_the_published_ones(arms: int, published: float) -> None:
    assert corrections.dunnett_critical(arms, 0.05, 1.0) == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_critical_values_of_dunnett_are_those_of_scipy(ratio: float) -> None:
    """Three arms, of which the first is as far from the control as the critical value; large groups."""
    rng = np.random.default_rng(0)
    control, treated = 4000, round(4000 * ratio)
    critical = corrections.dunnett_critical(3, 0.05, ratio)
    samples = [rng.standard_normal(size) for size in (control, treated, treated, treated)]
    level, *arms = [(one - one.mean()) / one.std(ddof=1) for one in samples]
    arms[0] = arms[0] + critical * math.sqrt(1 / control + 1 / treated)
    theirs = dunnett(*arms, control=level, rng=np.random.default_rng(1)).pvalue[0]
    assert theirs == pytest.approx(0.05, abs=0.002)


@given(
    st.lists(st.floats(-4, 4), min_size=6, max_size=6), st.floats(0.01, 0.3), st.sampled_from(["bonferroni", "holm"])
)
def test_corrections_are_those_of_statsmodels(scores: list[float], alpha: float, correction: Reading) -> None:
    given_scores = np.array(scores).reshape(1, 3, 2)
    theirs = multipletests(2 * norm.sf(np.abs(given_scores.ravel())), alpha, method=correction)[0]
    assert corrections.significant(given_scores, correction, alpha, 1.0).ravel().tolist() == theirs.tolist()


def test_holm_finds_all_that_bonferroni_finds_and_dunnett_more_than_it() -> None:
    scores = np.random.default_rng(0).standard_normal((2000, 4, 1)) + 2
    found = {name: corrections.significant(scores, name, 0.05, 1.0) for name in READINGS}
    for more in ("holm", "dunnett", "none"):
        assert not (found["bonferroni"] & ~found[more]).any()
    assert found["holm"].sum() > found["bonferroni"].sum()


def nothing_works(arms: int, treated_share: float, metrics: int = 1) -> np.ndarray:
    design = Design(treated_share=treated_share, arms=arms + 1, metrics=metrics)
    control = round(4000 / design.ratio) if design.ratio < 1 else 4000
    rng = np.random.default_rng(arms)
    return multiplicity.scores(PEOPLE, design, control, np.zeros(arms), False, COUNT, rng)


@pytest.mark.parametrize("arms", [1, 3, 5])
def test_arms_against_a_huge_control_err_independently(arms: int) -> None:
    scores = nothing_works(arms, 0.005)
    any_found = corrections.significant(scores, "none", 0.05, 0.001).any(axis=(1, 2)).mean()
    closed = 1 - 0.95**arms
    assert abs(any_found - closed) < four_errors(closed)


def test_arms_that_share_a_control_err_together_as_the_normal_distribution_says() -> None:
    """P(any of four) from the multivariate normal with all correlations ½."""
    scores = nothing_works(4, 0.8)
    box = multivariate_normal(np.zeros(4), np.full((4, 4), 0.5) + 0.5 * np.eye(4))
    closed = 1 - float(box.cdf(np.full(4, 1.959964), lower_limit=np.full(4, -1.959964)))
    for reading, expected in (("none", closed), ("dunnett", 0.05)):
        found = corrections.significant(scores, reading, 0.05, 1.0).any(axis=(1, 2)).mean()  # type: ignore[arg-type]
        assert abs(found - expected) < four_errors(expected)


def test_metrics_go_together_as_in_the_data() -> None:
    past = PLANNED.case.audience.past
    cut = experiments.winsorised(past["revenue"], 0.99)
    data = np.corrcoef([past["bought"].to_numpy().astype(float), past["revenue"].to_numpy(), cut])
    assert PEOPLE.correlation == pytest.approx(data, abs=1e-9)
    drawn = np.corrcoef(nothing_works(1, 0.5, metrics=3)[:, 0, :].T)
    assert drawn == pytest.approx(data, abs=0.05)


TABLE = multiplicity.comparisons(PLANNED, PEOPLE, COUNT)


def test_corrections_keep_the_level_whatever_works() -> None:
    kept = TABLE.filter(TABLE["correction"] != READINGS["none"])
    assert kept["familywise"].max() < 0.05 + four_errors(0.05)  # type: ignore[operator]
    assert kept["partly"].max() < 0.05 + four_errors(0.05)  # type: ignore[operator]
    plain = TABLE.filter(TABLE["correction"] == READINGS["none"], TABLE["comparisons"] > 2)
    assert plain["familywise_low"].min() > 0.05  # type: ignore[operator]


def test_each_comparison_has_the_planned_power_at_the_size_of_its_design() -> None:
    one = TABLE.filter(TABLE["comparisons"] == 1)
    assert all(abs(rate - 0.8) < four_errors(0.8) for rate in one["any"])
    design = replace(PLANNED.design, correction="dunnett").with_arms(4)
    control = experiments.people(experiments.size_for_proportions(PEOPLE.share, PEOPLE.share * 0.15, design))
    rng = np.random.default_rng(3)
    scores = multiplicity.scores(PEOPLE, design, control, np.full(3, 0.15), False, COUNT, rng)
    found = corrections.significant(scores, "dunnett", design.alpha, design.ratio).mean(axis=0)
    assert np.all(np.abs(found - 0.8) < four_errors(0.8))


def test_dunnett_plans_fewer_people_than_bonferroni_and_as_many_for_one_arm() -> None:
    plain, shared = Design(arms=4), Design(arms=4, correction="dunnett")
    assert experiments.size_for_means(1, 0.1, shared) < experiments.size_for_means(1, 0.1, plain)
    assert Design(correction="dunnett").level == pytest.approx(Design(correction="holm").level)
    assert plain.level == pytest.approx(0.05 / 3)


def test_an_effect_on_orders_leaves_the_share_that_buys_as_it_is() -> None:
    case = Case(act((0.0, 0.1, 0.3), name="cross_sell"), audience(4000, 400, share=0.3), TERMS)
    planned = trials.plan(case, Design(), 14, 364)
    assert isinstance(planned, trials.Plan)
    people = multiplicity.people_of(planned, 0.99)
    assert people.names[-1] == multiplicity.BUYS
    one_arm = multiplicity.comparisons(planned, people, 1000).filter(arms=1, metrics=3, correction=READINGS["holm"])
    assert one_arm["partly"][0] < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1000)
    assert one_arm["all"][0] > 0.6


def test_findings_and_answer_are_of_the_rows_shown() -> None:
    found = {one.name: one for one in multiplicity.measures(TABLE, PLANNED.design)}
    assert found["familywise_error_uncorrected"].value > 0.15
    assert found["familywise_error"].value < 0.05
    assert "9 comparisons" in multiplicity.answer(TABLE, PEOPLE, PLANNED.design, US)
    left_out = LeftOut("Nobody to test with.")
    assert {one.reason for one in multiplicity.measures(left_out, Design())} == {left_out.reason}
    assert multiplicity.answer(left_out, None, Design(), US) == left_out.reason
