"""Risks, advice and glossary say what the run shows, and nothing where it shows nothing."""

from __future__ import annotations

import polars as pl
import pytest
from fake_run import finding

from patternbook.analysis.roi import LABELS
from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.glossary import TERMS, used_in
from patternbook.params import Bots, Params, params_from
from patternbook.report.advice import advice
from patternbook.report.risks import risk_notebook, risks
from patternbook.report.terms import NOT_READ

FORMATS = Formats("USD", "en_US")
PARAMS: Params = params_from({"run": "x", "source": {"kind": "simulated"}}, "p.yaml")


def found(name: str, value: float, low: float, high: float, unit: str = "share") -> dict[str, Finding]:
    return {name: finding(value, unit, name, "07_experiments#cell", kind="modelled", low=low, high=high)}


@pytest.mark.parametrize(
    ("name", "calm", "alarming"),
    [
        ("roi.probability_of_loss", (0.02, 0.0, 0.05), (0.3, 0.2, 0.4)),
        ("experiments.power", (0.9, 0.85, 0.95), (0.4, 0.3, 0.5)),
        ("experiments.type1_error_peeking", (0.05, 0.04, 0.06), (0.3, 0.28, 0.32)),
        ("propensity.auc_gain", (0.05, 0.03, 0.07), (0.01, -0.01, 0.03)),
        ("propensity.score_psi", (0.02, 0.01, 0.03), (0.3, 0.2, 0.4)),
        ("lifetime.holdout_error", (0.01, -0.05, 0.07), (0.2, 0.1, 0.3)),
        ("eda.revenue_change", (0.1, 0.05, 0.15), (-0.1, -0.15, -0.05)),
        ("funnel.cart_to_purchase", (0.6, 0.59, 0.61), (0.1, 0.01, 0.4)),
    ],
)
def test_a_risk_is_named_where_a_finding_gives_reason_to(
    name: str, calm: tuple[float, float, float], alarming: tuple[float, float, float]
) -> None:
    assert risks(PARAMS, found(name, *calm), None) == []
    assert [risk.finding for risk in risks(PARAMS, found(name, *alarming), None)] == [name]


def test_rates_that_moved_are_named_and_others_are_not() -> None:
    drift = pl.DataFrame({"rate": ["carts", "orders"], "low": [1.2, 0.95], "high": [1.3, 1.05]})
    (risk,) = risks(PARAMS, found("propensity.score_psi", 0.02, 0.01, 0.03), drift)
    assert "carts" in risk.shows
    assert "orders" not in risk.shows
    assert "Scores as a whole have hardly moved" in risk.shows


def test_scores_that_moved_are_told_from_rates_that_did() -> None:
    still = pl.DataFrame({"rate": ["carts"], "low": [0.95], "high": [1.05]})
    (risk,) = risks(PARAMS, found("propensity.score_psi", 0.3, 0.2, 0.4), still)
    assert risk.shows.startswith("Scores have moved as a whole")


@pytest.mark.parametrize(("action", "said"), [("keep", "are counted"), ("exclude", "are left out")])
def test_what_became_of_machines_follows_the_parameter(action: str, said: str) -> None:
    params = PARAMS.model_copy(update={"quality": PARAMS.quality.model_copy(update={"bots": Bots(action=action)})})
    (risk,) = risks(params, found("funnel.bots", 12, 12, 12, "count"), None)
    assert said in risk.shows


def test_a_run_without_findings_names_no_risk() -> None:
    assert risk_notebook(PARAMS, {}, None, FORMATS) is None


@pytest.mark.parametrize(
    ("decision", "said"), [("go", "go. First step"), ("test first", "test first"), ("no go", "not as things stand")]
)
def test_advice_follows_the_decision(decision: str, said: str) -> None:
    actions = pl.DataFrame({"action": [LABELS["win_back"]], "decision": [decision]})
    told = advice(PARAMS, actions, found("roi.profit_win_back", 1000, 500, 2000, "currency"), FORMATS)
    assert list(told) == ["advice.win_back"]
    assert said in told["advice.win_back"]
    assert "roi.profit_win_back" in told["advice.win_back"]


def test_no_advice_without_a_decision_or_a_profit() -> None:
    actions = pl.DataFrame({"action": [LABELS["win_back"]], "decision": ["go"]})
    assert advice(PARAMS, None, {}, FORMATS) == {}
    assert advice(PARAMS, actions, {}, FORMATS) == {}


def test_the_glossary_holds_what_the_text_says_in_words_alone() -> None:
    text = 'The AUC is high. <span title="RFM">x</span> [here](silhouette.html) <script>BG/NBD</script>'
    assert [term.name for term in used_in(NOT_READ.sub(" ", text))] == ["AUC"]


def test_every_term_is_explained_once_and_in_a_sentence() -> None:
    names = [term.name for term in TERMS]
    assert len(set(names)) == len(names)
    assert [term.name for term in TERMS if not term.meaning.endswith(".")] == []
