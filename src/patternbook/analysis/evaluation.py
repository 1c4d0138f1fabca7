"""How good forecasts are on a period that nothing was learned from: one table for the model and what it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from patternbook.analysis import classification
from patternbook.analysis.classification import Flags, Ranking, percentiles
from patternbook.analysis.intervals import Estimate, Floats, wilson
from patternbook.analysis.suppression import parts

TOPS = (0.01, 0.05, 0.1, 0.2)
GAINS = ("auc", "pr_auc", "brier", "lift_0.05")


@dataclass(frozen=True)
class Evaluation:
    """Estimates by method and score (`auc`, `pr_auc`, `brier`, `precision_0.05` …), and the model's gain by score.

    The gain is the model's score less that of `best`, the baseline that was best before the test, on the same
    resampled customers.
    """

    methods: dict[str, dict[str, Estimate]]
    gains: dict[str, Estimate]
    best: str
    model: str

    @property
    def of_model(self) -> dict[str, Estimate]:
        """The model's scores."""
        return self.methods[self.model]


def evaluate(labels: Flags, probabilities: Mapping[str, Floats], model: str, best: str) -> Evaluation:
    """Score each method's probabilities; intervals by one bootstrap over customers."""
    n = len(labels)
    rankings = {name: Ranking(labels, values) for name, values in probabilities.items()}
    squares = {name: (values - labels) ** 2 for name, values in probabilities.items()}

    def scores(weights: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for name, ranking in rankings.items():
            summary = ranking.summary(weights, TOPS) | {"brier": weights @ squares[name] / weights.sum(axis=1)}
            found |= {f"{name}/{score}": values for score, values in summary.items()}
        return found

    drawn = classification.replicated(scores, n)
    methods: dict[str, dict[str, Estimate]] = {name: {} for name in probabilities}
    for key, values in drawn.items():
        name, score = key.rsplit("/", 1)
        found = percentiles(values, n)
        constant = found.low == found.high  # who treats everybody alike has an area of ½ and a lift of 1, by definition
        methods[name][score] = found._replace(low=None, high=None) if constant else found
    for name, values in probabilities.items():
        methods[name]["calibration_error"] = classification.calibration_error(labels, values)
    gains = {score: percentiles(drawn[f"{model}/{score}"] - drawn[f"{best}/{score}"], n) for score in GAINS}
    return Evaluation(methods, gains, best, model)


def table(evaluation: Evaluation) -> pl.DataFrame:
    """One row a method: method, then auc, pr_auc, brier, calibration_error and lift_at_5pct with low and high."""
    scores = {"auc": "auc", "pr_auc": "pr_auc", "brier": "brier", "calibration_error": "calibration_error"}
    scores |= {"lift_0.05": "lift_at_5pct"}
    return pl.DataFrame(
        [
            {"method": name, **{key: value for score, to in scores.items() for key, value in _ends(to, found[score])}}
            for name, found in evaluation.methods.items()
        ]
    )


def tops(evaluation: Evaluation) -> pl.DataFrame:
    """One row a highest share of the model's ranking: top, then precision, recall and lift with low and high."""
    return pl.DataFrame(
        [
            {
                "top": top,
                **{
                    key: value
                    for score in ("precision", "recall", "lift")
                    for key, value in _ends(score, evaluation.of_model[f"{score}_{top:g}"])
                },
            }
            for top in TOPS
        ]
    )


def _ends(name: str, found: Estimate) -> list[tuple[str, float | None]]:
    return [(name, found.value), (f"{name}_low", found.low), (f"{name}_high", found.high)]


def gains(labels: Flags, probabilities: Mapping[str, Floats], minimum_group: int) -> pl.DataFrame:
    """At each percent of customers, highest first: customers, and a column a method, the share of buyers among them.

    Where a percent is fewer customers than `minimum_group`, steps are longer.
    """
    at = np.linspace(0, 1, parts(len(labels), minimum_group) + 1)
    curves = {name: Ranking(labels, values).gains(at) for name, values in probabilities.items()}
    return pl.DataFrame({"customers": at, **curves})


def by_group(
    labels: Flags, probability: Floats, groupings: Mapping[str, pl.Series], minimum_group: int
) -> pl.DataFrame:
    """One row a group: by, group, customers, buyers, auc with its ends, expected and observed share with its ends.

    Left out are groups in which fewer than `minimum_group` buy, or do not: neither a curve nor a share can be had.
    """
    rows = []
    for by, groups in groupings.items():
        for group in groups.drop_nulls().unique().sort():
            inside = (groups == group).fill_null(False).to_numpy()
            rows += _group_row(by, str(group), labels[inside], probability[inside], minimum_group)
    kinds = dict.fromkeys(
        ("auc", "auc_low", "auc_high", "expected", "observed", "observed_low", "observed_high"), pl.Float64
    )
    schema = {"by": pl.String, "group": pl.String, "customers": pl.Int64, "buyers": pl.Int64, **kinds}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _group_row(
    by: str, group: str, labels: Flags, probability: Floats, minimum_group: int
) -> list[tuple[str | int | float | None, ...]]:
    buyers, n = int(labels.sum()), len(labels)
    if min(buyers, n - buyers) < minimum_group:
        return []
    area = classification.auc(labels, probability)
    low, high = (float(end) for end in wilson(buyers, n))
    return [(by, group, n, buyers, *area[:3], float(probability.mean()), buyers / n, low, high)]
