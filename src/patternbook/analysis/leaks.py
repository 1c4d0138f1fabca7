"""Is the forecast too good? Each column alone, labels that are shuffled, and why each column may be known."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import t

from patternbook.analysis import classification, predictors
from patternbook.analysis.classification import Flags
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.predictors import PREDICTORS
from patternbook.analysis.propensity import Forecast, Panels, grown
from patternbook.errors import UserError
from patternbook.formats import Formats

TOO_GOOD = 0.95  # AUC of one column alone, its lower bound: then it has seen what it should foretell
SHUFFLES = 12
SURE = 0.99
GUESSING = 0.5  # the ROC-AUC of chance
MOST_SHUFFLED = 20_000  # customers to learn from; chance needs no more


def alone(labels: Flags, x: Floats) -> pl.DataFrame:
    """One row a column of the model, the strongest first: feature, auc with ends, why it may be known.

    A column ranks upward or downward, with those who have no value at one end or the other, whichever is best. Of a
    name (platform and the like), the share of buyers within it ranks.
    """
    rows = []
    for number, predictor in enumerate(PREDICTORS):
        best = max(
            (classification.auc(labels, scores) for scores in _ways(predictor.name, x[:, number], labels)),
            key=lambda found: found.value,
        )
        rows.append((predictor.name, predictor.family, *best[:3], predictor.why))
    names = ["feature", "family", "auc", "auc_low", "auc_high", "why"]
    return pl.DataFrame(rows, schema=names, orient="row").sort("auc", descending=True, maintain_order=True)


def _ways(name: str, values: Floats, labels: Flags) -> list[Floats]:
    if name in predictors.NAMES:
        code = np.nan_to_num(values, nan=-1).astype(np.int64) + 1
        size = np.bincount(code)
        rate = np.bincount(code, weights=labels.astype(float)) / np.maximum(size, 1)
        return [rate[code]]
    edge = float(np.nanmax(np.abs(values), initial=0.0)) + 1
    return [sign * np.nan_to_num(values, nan=missing) for sign in (1, -1) for missing in (edge, -edge)]


def stop_at_a_leak(found: pl.DataFrame) -> None:
    """Raise UserError, naming the column, where one alone tells nearly all."""
    leaking = found.filter(pl.col("auc_low") > TOO_GOOD)
    if leaking.height:
        name, area = leaking.select("feature", "auc").row(0)
        raise UserError(
            f"propensity: the column {name!r} alone tells who will buy with a ROC-AUC of {area:.3f}, which is too "
            "good: it has seen the purchases that it should foretell. Look for events that are stamped too early, such "
            "as purchases written back to the day of the visit, or leave them out with `filter`"
        )


def shuffled(panels: Panels, forecast: Forecast) -> Estimate:
    """Mean AUC at the test of the same trees learned from labels shuffled among customers and training cutoffs.

    One shuffle ranks at random, but all customers of a kind together, so several are averaged; the interval (99 %, so
    that a sound run seldom raises doubts) is Student's over the shuffles.
    """
    x, known = panels.learned(forecast.horizon)
    chosen = np.sort(np.random.default_rng(0).permutation(len(x))[:MOST_SHUFFLED])
    rounds = max(forecast.model.booster.best_iteration, 1)
    areas = []
    for seed in range(SHUFFLES):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(known)
        booster = grown(x[chosen], labels[chosen], rounds=min(rounds, 50))
        areas.append(classification.auc(forecast.labels, classification.log_odds(booster, panels.test.x)).value)
    mean, error = float(np.mean(areas)), float(np.std(areas, ddof=1) / np.sqrt(SHUFFLES))
    half = float(t.ppf((1 + SURE) / 2, SHUFFLES - 1)) * error
    return Estimate(mean, mean - half, mean + half, len(forecast.labels))


def answer(found: pl.DataFrame, chance: Estimate, formats: Formats) -> str:
    """What the audit found, in two sentences.

    Trees of shuffled labels may rank below chance: few buyers make a few high scores among those who differ most, and
    many slightly low ones. Only what ranks above it has a link to the labels.
    """
    name, value, *ends = found.select("feature", "auc", "auc_low", "auc_high").row(0)
    area = formats.value(value, "number", (ends[0], ends[1]))
    low, high = chance.interval or (chance.value, chance.value)
    if high < GUESSING:
        verdict = "falls below chance, where a leak would keep it above"
    elif low > GUESSING:
        verdict = "does not fall to chance, so something links customers and labels"
    else:
        verdict = "falls to chance"
    return (
        f"No column alone is too good: the strongest, {name}, has a ROC-AUC of "
        f"{area}, short of the limit at which a run stops. "
        f"Learned from shuffled labels the forecast {verdict}: its ROC-AUC is then "
        f"{formats.value(chance.value, 'number', chance.interval)}."
    )
