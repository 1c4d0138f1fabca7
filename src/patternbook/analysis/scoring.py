"""Scores of customers by a trained forecast: probability, rank, tier, how sure, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from patternbook.analysis import explanation, predictors
from patternbook.analysis.classification import reliability
from patternbook.analysis.intent import Terms
from patternbook.analysis.intervals import Floats
from patternbook.analysis.predictors import COLUMNS, Preparation
from patternbook.analysis.propensity import Forecast, Model, Panels
from patternbook.formats import Formats

QUANTILES = np.linspace(0, 1, 101)
MOST_REASONS = 20_000
PART = 200_000  # customers scored at a time: half a gigabyte
TARGETED = ("high", "medium")


@dataclass(frozen=True)
class Scorer:
    """All that scoring needs. `ranks` are percentiles of the probabilities at the test cutoff, `reference` those of
    each column at the training cutoffs (NaN where nobody has a value); `trusted` the ends of ranges of probability in
    which the forecast agreed with what happened.
    """

    model: Model
    preparation: Preparation
    terms: Terms
    ranks: Floats
    reference: dict[str, Floats]
    trusted: tuple[tuple[float, float], ...]


def scorer(forecast: Forecast, panels: Panels, terms: Terms) -> Scorer:
    """The scorer of a tested forecast."""
    x = np.vstack([one.x for one in panels.training])
    bins = reliability(forecast.labels, forecast.probability)
    held = bins.filter(pl.col("expected").is_between("low", "high"))
    return Scorer(
        forecast.model,
        panels.preparation,
        terms,
        np.quantile(forecast.probability, QUANTILES),
        {name: _quantiles(x[:, number]) for number, name in enumerate(COLUMNS)},
        tuple(held.select("lowest", "highest").iter_rows()),
    )


def _quantiles(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    return np.quantile(known, QUANTILES) if len(known) else np.full(len(QUANTILES), np.nan)


def probabilities(scorer: Scorer, features: pl.DataFrame) -> tuple[Floats, Floats]:
    """Probability of each row of `features` (columns of the mart), and the model's columns."""
    x = predictors.matrix(predictors.columns(features, scorer.preparation))
    return scorer.model.probability(x), x


def score(scorer: Scorer, features: pl.LazyFrame, formats: Formats) -> pl.DataFrame:
    """One row a customer, the likeliest first. `features` are rows of the mart; they are read in parts.

    Columns: customer_id, probability, score (0–100, the percentile among the customers of the test), tier, confidence
    and, for those whom it pays to contact (the 20,000 likeliest of them), reason_1 to reason_3. Confidence is A where
    the forecast held in the test for such probabilities and the customer is like those it was learned from, B where one
    of the two is so, C where none is.
    """
    frame = pl.concat([_judged(scorer, part) for part in _parts(features)]).sort(
        "probability", "customer_id", descending=[True, False]
    )
    told = frame.filter(pl.col("tier").is_in(TARGETED)).head(MOST_REASONS).select("customer_id")
    rows = features.filter(pl.col("customer_id").is_in(told["customer_id"].implode())).collect()
    _, x = probabilities(scorer, rows)
    words = explanation.reasons(scorer.model, x, scorer.preparation.names, formats)
    return frame.join(
        pl.concat([rows.select("customer_id"), words], how="horizontal"),
        on="customer_id",
        how="left",
        maintain_order="left",
    )


def _parts(features: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows by ranges of customers, so that millions of them need no more memory than `PART`."""
    known = features.select("customer_id").collect().to_series().unique().sort()
    for first in range(0, len(known), PART):
        ends = known.slice(first, PART)
        yield features.filter(pl.col("customer_id").is_between(ends.min(), ends.max())).collect()


def _judged(scorer: Scorer, features: pl.DataFrame) -> pl.DataFrame:
    probability, x = probabilities(scorer, features)
    return pl.DataFrame(
        {
            "customer_id": features["customer_id"],
            "probability": probability,
            "score": np.clip(np.searchsorted(scorer.ranks, probability, side="right") - 1, 0, 100),
            "tier": scorer.terms.tier(probability),
            "confidence": _confidence(scorer, probability, x),
        }
    )


def _confidence(scorer: Scorer, probability: Floats, x: Floats) -> pl.Series:
    held = np.zeros(len(probability), dtype=bool)
    for low, high in scorer.trusted:
        held |= (probability >= low) & (probability <= high)
    alike = np.ones(len(probability), dtype=bool)
    for number, name in enumerate(COLUMNS):
        values, known = x[:, number], scorer.reference[name]
        if name in predictors.NAMES or np.isnan(known[0]):
            continue
        margin = (known[-1] - known[0]) / 2  # customers are known for longer every day; that alone is no reason
        alike &= np.isnan(values) | ((values >= known[0] - margin) & (values <= known[-1] + margin))
    return pl.Series(np.array(["C", "B", "A"])[held.astype(int) + alike], dtype=pl.String)
