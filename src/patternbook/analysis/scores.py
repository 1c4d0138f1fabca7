"""How good probabilities of an event are: AUC, precision, recall, F1, calibration, with a bootstrap by customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from patternbook.analysis.intervals import CONFIDENCE, POISSON, Estimate, Floats, wilson

REPLICATES = 1000
CHUNK = 2_000_000  # weights at a time: 16 MB
BINS = 10
NAMES = ("auc", "precision", "recall", "f1", "calibration_error")


@dataclass(frozen=True)
class Replicates:
    """Statistics by name: the value in the data first, then `REPLICATES` of it by Poisson weights a customer."""

    drawn: Mapping[str, Floats]
    customers: int

    def estimate(self, name: str) -> Estimate:
        """Value and percentile interval."""
        return _estimate(self.drawn[name], self.customers)

    def gain(self, over: Replicates, name: str) -> Estimate:
        """The difference to what other probabilities of the same customers reach, with paired replicates."""
        return _estimate(self.drawn[name] - over.drawn[name], self.customers)


def _estimate(drawn: Floats, customers: int) -> Estimate:
    value, replicates = float(drawn[0]), drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(value) or len(replicates) < REPLICATES / 2:
        return Estimate(value, None, None, customers)
    low, high = np.quantile(replicates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), customers)


def bootstrapped(event: Floats, probabilities: Mapping[str, Floats], threshold: float) -> dict[str, Replicates]:
    """Replicates of `NAMES` for each of several `probabilities` of the same customers, with the same weights for all.

    `event` is 1 where it happened, else 0; whoever is at `threshold` or above counts as expected to have it. One row a
    customer, so that weights are by customer. Poisson(1) weights: Hanley & MacGibbon (2006).
    """
    rng = np.random.default_rng(0)
    n = len(event)
    statistics = {name: _statistics(event, own, threshold) for name, own in probabilities.items()}
    parts = {name: [statistic(np.ones((1, n)))] for name, statistic in statistics.items()}
    size = max(1, CHUNK // n)
    for start in range(0, REPLICATES, size):
        rows = min(size, REPLICATES - start)
        weights = POISSON[rng.integers(0, len(POISSON), size=(rows, n), dtype=np.uint16)]
        for name, statistic in statistics.items():
            parts[name].append(statistic(weights))
    return {
        name: Replicates(dict(zip(NAMES, np.concatenate(rows, axis=1), strict=True)), n) for name, rows in parts.items()
    }


def _statistics(event: Floats, probability: Floats, threshold: float) -> Callable[[Floats], Floats]:
    """The statistics of one set of probabilities as a function of weights (replicates, customers)."""
    order = np.argsort(probability, kind="stable")
    ordered, label = probability[order], event[order]
    starts = np.flatnonzero(np.append(True, np.diff(ordered) > 0))
    bins = np.unique(starts[np.searchsorted(starts, np.arange(BINS) * len(event) // BINS, side="right") - 1])
    chosen = (ordered >= threshold).astype(float)
    columns = np.column_stack([chosen * label, chosen, label])

    def statistics(weights: Floats) -> Floats:
        own = weights[:, order]
        with np.errstate(divide="ignore", invalid="ignore"):
            hits, flagged, happened = (own @ columns).T
            error = np.abs(np.add.reduceat(own * (label - ordered), bins, axis=1)).sum(axis=1) / own.sum(axis=1)
            area = _auc(own, label, starts)
            return np.stack([area, hits / flagged, hits / happened, 2 * hits / (flagged + happened), error])

    return statistics


def _auc(weights: Floats, label: Floats, starts: np.ndarray) -> Floats:
    """Weighted area under the ROC curve, ties counting a half; columns ordered by score, ties from `starts` on."""
    positive = np.add.reduceat(weights * label, starts, axis=1)
    negative = np.add.reduceat(weights * (1 - label), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    area: Floats = (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def auc(event: Floats, score: Floats) -> float:
    """Area under the ROC curve; NaN where nobody has the event or everybody."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(score[order]) > 0))
    with np.errstate(invalid="ignore"):
        return float(_auc(np.ones((1, len(event))), event[order], starts)[0])


def reliability(event: Floats, probability: Floats, minimum_group: int) -> pl.DataFrame:
    """Forecast and outcome in at most `BINS` groups of equal size, by forecast.

    Columns: customers, forecast (mean), happened (share), low, high (Wilson). Groups have `minimum_group` customers or
    more; equal forecasts are in one group.
    """
    groups = max(1, min(BINS, len(event) // max(minimum_group, 1)))
    frame = pl.DataFrame({"forecast": probability, "happened": event}).sort("forecast")
    group = pl.col("forecast").rank("min").sub(1).floordiv(-(-frame.height // groups))
    table = (
        frame.group_by(group.alias("group"))
        .agg(pl.len().cast(pl.Int64).alias("customers"), pl.col("forecast").mean(), pl.col("happened").sum())
        .filter(pl.col("customers") >= minimum_group)
        .sort("group")
    )
    low, high = wilson(table["happened"].to_numpy(), table["customers"].to_numpy())
    return table.select(
        "customers",
        "forecast",
        (pl.col("happened") / pl.col("customers")).alias("happened"),
        pl.Series("low", low),
        pl.Series("high", high),
    )
