"""Scores against scikit-learn and brute force, calibration against a planted line, intervals against the truth."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from scipy.special import expit
from scipy.stats import binom, norm

from patternbook.analysis import classification
from patternbook.analysis.classification import Calibrator, Confusion, Ranking

RNG = np.random.default_rng(5)
LABELS = RNG.random(300) < 0.2
SCORES = {"distinct": RNG.normal(LABELS.astype(float)), "tied": RNG.integers(0, 6, 300) + LABELS}
ONES = np.ones((1, 300))


@pytest.mark.parametrize("kind", SCORES)
def test_areas_are_those_of_scikit_learn_also_weighted(kind: str) -> None:
    ranking, weights = Ranking(LABELS, SCORES[kind]), RNG.poisson(1.0, (5, 300)).astype(float)
    for name, ours in {"roc_auc_score": ranking.auc, "average_precision_score": ranking.average_precision}.items():
        theirs = [getattr(sklearn.metrics, name)(LABELS, SCORES[kind], sample_weight=row) for row in weights]
        np.testing.assert_allclose(ours(weights), theirs, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", SCORES)
def test_the_interval_of_an_area_is_about_that_of_the_bootstrap(kind: str) -> None:
    found = classification.auc(LABELS, SCORES[kind])
    drawn = classification.bootstrap({"auc": Ranking(LABELS, SCORES[kind]).auc}, 300)["auc"]
    assert found.value == pytest.approx(drawn[0])
    assert found.interval == pytest.approx(classification.percentiles(drawn, 300).interval, abs=0.015)


def test_the_interval_of_a_difference_of_areas_is_about_that_of_the_bootstrap() -> None:
    one, other = (Ranking(LABELS, values).auc for values in SCORES.values())
    drawn = classification.bootstrap({"gain": lambda weights: one(weights) - other(weights)}, 300)["gain"]
    found = classification.auc_difference(LABELS, *SCORES.values())
    assert found.value == pytest.approx(drawn[0])
    assert found.interval == pytest.approx(classification.percentiles(drawn, 300).interval, abs=0.015)


@pytest.mark.parametrize("top", [0.01, 0.05, 0.1, 0.5, 1.0])
def test_the_top_is_what_sorting_finds(top: float) -> None:
    ranking = Ranking(LABELS, SCORES["distinct"])
    best = LABELS[np.argsort(-SCORES["distinct"])][: round(top * 300)]
    assert ranking.precision(ONES, top)[0] == pytest.approx(best.mean())
    assert ranking.recall(ONES, top)[0] == pytest.approx(best.sum() / LABELS.sum())
    assert ranking.lift(ONES, top)[0] == pytest.approx(best.mean() / LABELS.mean())


def test_the_summary_is_what_each_score_says() -> None:
    ranking, weights = Ranking(LABELS, SCORES["tied"]), RNG.poisson(1.0, (3, 300)).astype(float)
    found = ranking.summary(weights, (0.05, 0.2))
    np.testing.assert_allclose(found["auc"], ranking.auc(weights))
    np.testing.assert_allclose(found["pr_auc"], ranking.average_precision(weights))
    for name in ("precision", "recall", "lift"):
        for top in (0.05, 0.2):
            np.testing.assert_allclose(found[f"{name}_{top:g}"], getattr(ranking, name)(weights, top))


def test_those_who_tie_at_the_edge_count_in_part() -> None:
    ranking = Ranking([True, False, False, False], [1, 1, 0, 0])
    assert ranking.precision(np.ones((1, 4)), 0.25)[0] == pytest.approx(0.5)
    assert ranking.gains([0.25, 0.5, 1]).tolist() == [0.5, 1, 1]


def test_errors_of_probabilities() -> None:
    p = expit(SCORES["distinct"])
    assert classification.brier(LABELS, p)(ONES)[0] == pytest.approx(sklearn.metrics.brier_score_loss(LABELS, p))
    order = np.argsort(p)
    off = sum(abs((p - LABELS)[bin].sum()) for bin in np.array_split(order, 10)) / 300
    assert classification.calibration_error(LABELS, p).value == pytest.approx(off)


def test_bins_of_a_reliability_curve_hold_alike_many_expected_labels() -> None:
    p = expit(SCORES["distinct"] - 3)
    bins = classification.reliability(LABELS, p, bins=5)
    assert bins["customers"].sum() == 300
    assert bins["customers"].to_list() == sorted(bins["customers"], reverse=True)
    held = bins["customers"] * bins["expected"]
    assert held.sum() == pytest.approx(p.sum())
    assert held.to_list() == pytest.approx([p.sum() / 5] * 5, abs=float(p.max()))
    assert (bins["customers"] * bins["observed"]).sum() == pytest.approx(LABELS.sum())


def test_bins_are_fewer_where_more_would_hold_few_customers() -> None:
    p = expit(SCORES["distinct"] - 3)
    assert classification.reliability(LABELS, p, bins=10)["customers"].min() < 20  # type: ignore[operator]
    bins = classification.reliability(LABELS, p, bins=10, smallest=20)
    assert 1 < bins.height < 10
    assert bins["customers"].min() >= 20  # type: ignore[operator]
    assert classification.reliability(LABELS, p, smallest=1000)["customers"].to_list() == [300]


def test_calibration_finds_the_planted_line() -> None:
    odds = RNG.normal(0, 1.5, 100_000)
    found = classification.calibrate(odds, RNG.random(100_000) < expit(0.6 * odds - 1.2))
    assert found.slope == pytest.approx(0.6, abs=0.03)
    assert found.intercept == pytest.approx(-1.2, abs=0.03)


def test_calibration_of_a_model_that_says_nothing_is_the_mean() -> None:
    backwards = classification.calibrate(-SCORES["distinct"], LABELS)
    constant = classification.calibrate(np.zeros(300), LABELS)
    for found in (backwards, constant):
        assert found.probability(np.array([-3.0, 3.0])) == pytest.approx([LABELS.mean()] * 2)
    with pytest.raises(ValueError, match="all alike"):
        classification.calibrate(SCORES["distinct"], np.zeros(300, dtype=bool))


def test_replicates_are_paired() -> None:
    same = {"one": Ranking(LABELS, SCORES["tied"]).auc, "other": Ranking(LABELS, SCORES["tied"] * 2 + 7).auc}
    drawn = classification.bootstrap(same, 300)
    np.testing.assert_array_equal(drawn["one"], drawn["other"])
    assert len(drawn["one"]) == classification.MOST_REPLICATES + 1


def test_confusion_counts_and_rates() -> None:
    chosen = SCORES["distinct"] > 0.8
    found = classification.confusion(LABELS, chosen)
    theirs = sklearn.metrics.confusion_matrix(LABELS, chosen)
    assert (found.true_negative, found.false_positive, found.false_negative, found.true_positive) == tuple(
        theirs.ravel()
    )
    assert found.f1 is not None
    assert found.f1.value == pytest.approx(sklearn.metrics.f1_score(LABELS, chosen))
    assert found.f1.low is not None and found.f1.high is not None and found.f1.low < found.f1.value < found.f1.high
    assert Confusion(0, 0, 0, 9).f1 is None and Confusion(0, 0, 3, 9).precision is None


def test_trees_are_the_same_every_time_and_stop_by_the_later_period() -> None:
    features = RNG.normal(size=(3000, 4))
    labels = RNG.random(3000) < expit(features[:, 0] - 1)
    early, late = slice(0, 2000), slice(2000, 3000)
    grown = [
        classification.grow(features[early], labels[early], list("abcd"), (features[late], labels[late]))
        for _ in range(2)
    ]
    assert grown[0].model_to_string() == grown[1].model_to_string()
    assert 0 < grown[0].best_iteration < classification.MOST_ROUNDS
    odds = classification.log_odds(grown[0], features[late])
    assert Ranking(labels[late], odds).auc(np.ones((1, 1000)))[0] > 0.65
    assert Calibrator(1, 0).probability(odds) == pytest.approx(grown[0].predict(features[late]))


def test_interval_of_the_auc_holds_the_truth() -> None:
    """Scores of two normal groups one standard deviation apart: the area is Φ(1/√2)."""
    truth, hits = float(norm.cdf(1 / np.sqrt(2))), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = rng.random(400) < 0.15
        found = classification.auc(labels, rng.normal(labels.astype(float)))
        assert found.interval is not None
        hits += found.interval[0] <= truth <= found.interval[1]
    assert hits >= binom.ppf(0.001, 60, 0.95)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_interval_of_the_calibration_error_holds_the_truth(shift: float) -> None:
    """Probabilities as they are, and with their log-odds shifted: the error is then the mean difference."""
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        odds = rng.normal(-2, 1, 800)
        p, truth = expit(odds), float(np.mean(expit(odds + shift) - expit(odds)))
        found = classification.calibration_error(rng.random(800) < expit(odds + shift), p)
        assert found.interval is not None
        hits += found.interval[0] <= truth <= found.interval[1]
    assert hits >= binom.ppf(0.001, 60, 0.95)


def test_one_class_has_no_area() -> None:
    found = classification.auc(np.zeros(50, dtype=bool), np.arange(50))
    assert np.isnan(found.value)
    assert found.interval is None
