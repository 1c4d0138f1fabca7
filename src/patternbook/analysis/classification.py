"""Forecasts of yes or no: trees, calibration, and how good a ranking and its probabilities are, with intervals.

Rows are customers, one each, so that the bootstrap over rows is one over customers. Labels are true or false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from patternbook.analysis.intervals import CONFIDENCE, POISSON, Estimate, Floats, share, wilson

if TYPE_CHECKING:
    from lightgbm import Booster

Flags = npt.NDArray[np.bool_]
Starts = npt.NDArray[np.int64]
Score = Callable[[Floats], Floats]

Z = float(norm.ppf((1 + CONFIDENCE) / 2))

BINS = 10  # of a reliability curve, with as many customers in each
MOST_REPLICATES, FEWEST_REPLICATES = 2000, 200
WORK = 20_000_000  # weights to draw in all: fewer replicates where there are many customers, whose intervals are short
CHUNK = 2_000_000  # weights at a time: 16 MB
THREADS = 1  # trees are the same; two threads that wait for a busy core are slower than one
TREES: dict[str, Any] = {  # few and mild; one seed, one order of summation, so the same trees every time
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": THREADS,
    "seed": 0,
    "verbosity": -1,
}
MOST_ROUNDS = 600
PATIENCE = 30  # rounds without a gain in the later period that end the growing


def grow(
    features: Floats,
    labels: Flags,
    names: Sequence[str],
    later: tuple[Floats, Flags] | None = None,
    categorical: Sequence[str] = (),
    rounds: int = MOST_ROUNDS,
    **settings: Any,
) -> Booster:
    """Boosted trees (LightGBM, log loss) on one row a customer; missing values are NaN.

    With `later`, features and labels of a later period, growing stops where that period gains no more; else after
    `rounds`. `categorical` columns hold numbers of names. `settings` replace those of `TREES`.
    """
    import lightgbm  # takes a second to load

    data = lightgbm.Dataset(
        features, np.asarray(labels, dtype=float), feature_name=list(names), categorical_feature=list(categorical)
    )
    if later is None:
        return lightgbm.train(TREES | settings, data, rounds)
    check = lightgbm.Dataset(later[0], np.asarray(later[1], dtype=float), reference=data)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(TREES | settings, data, rounds, valid_sets=[check], callbacks=[stop])


def log_odds(booster: Booster, features: Floats) -> Floats:
    """What the trees say of each row, in log-odds, not calibrated."""
    return np.asarray(booster.predict(features, raw_score=True, num_threads=THREADS), dtype=float)


@dataclass(frozen=True)
class Calibrator:
    """Log-odds of a later period as a line in those of the model; monotone, so that ranks stay."""

    slope: float
    intercept: float

    def probability(self, odds: Floats) -> Floats:
        """Calibrated probabilities of log-odds."""
        probability: Floats = expit(self.slope * odds + self.intercept)
        return probability


def calibrate(odds: Floats, labels: Flags) -> Calibrator:
    """Platt's line by maximum likelihood (Platt 1999) on a period that the model has not been trained on.

    A model that ranks that period the wrong way round says nothing of it: the slope is then zero, and everybody has
    the mean. Raises ValueError where all labels are alike.
    """
    from sklearn.linear_model import LogisticRegression

    rate = float(np.mean(labels))
    if rate in (0.0, 1.0):
        raise ValueError("labels are all alike")
    if np.ptp(odds) < 1e-9:
        return Calibrator(0.0, float(logit(rate)))
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(odds[:, None], labels)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Calibrator(slope, intercept) if slope > 0 else Calibrator(0.0, float(logit(rate)))


class Ranking:
    """Customers from the highest score to the lowest; equal scores stand together and share their places.

    Its scores take `weights` of shape (replicates, customers), in the customers' own order, and give one number a
    replicate.
    """

    def __init__(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        values = np.asarray(scores, dtype=float)
        self._order = np.argsort(-values, kind="stable")
        self._labels = np.asarray(labels, dtype=float)[self._order]
        ranked = values[self._order]
        self._starts = np.flatnonzero(np.diff(ranked, prepend=np.inf) != 0)
        self._tied = len(self._starts) < len(values)

    def _groups(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of those with the label, and of all, by group of equal scores."""
        every = weights[:, self._order]
        positive = every * self._labels
        if not self._tied:
            return positive, every
        return np.add.reduceat(positive, self._starts, axis=1), np.add.reduceat(every, self._starts, axis=1)

    def auc(self, weights: Floats) -> Floats:
        """Area under the ROC curve: how often somebody with the label ranks above somebody without, ties half."""
        positive, every = self._groups(weights)
        return _auc(positive, every, np.cumsum(positive, axis=1))

    def average_precision(self, weights: Floats) -> Floats:
        """Area under the curve of precision by recall, as a sum over its steps."""
        positive, every = self._groups(weights)
        return _average_precision(positive, np.cumsum(positive, axis=1), np.cumsum(every, axis=1))

    def captured(self, weights: Floats, top: float) -> tuple[Floats, Floats, Floats]:
        """Of the highest `top` share: weight of those with the label, of all in it; and of all with the label.

        Those who tie at the edge are in it in part.
        """
        positive, every = self._groups(weights)
        chosen = np.cumsum(every, axis=1)
        return _captured(positive, every, chosen, top), top * chosen[:, -1], positive.sum(axis=1)

    def precision(self, weights: Floats, top: float) -> Floats:
        """Share of the label among the highest `top` share."""
        found, room, _ = self.captured(weights, top)
        return _ratio(found, room)

    def recall(self, weights: Floats, top: float) -> Floats:
        """Share of those with the label who are among the highest `top` share."""
        found, _, all_of_them = self.captured(weights, top)
        return _ratio(found, all_of_them)

    def lift(self, weights: Floats, top: float) -> Floats:
        """Precision of the highest `top` share over that of everybody."""
        return self.recall(weights, top) / top

    def summary(self, weights: Floats, tops: Sequence[float]) -> dict[str, Floats]:
        """The two areas, and precision, recall and lift of each highest share, as `auc`, `recall_0.05` and the like."""
        positive, every = self._groups(weights)
        found, chosen = np.cumsum(positive, axis=1), np.cumsum(every, axis=1)
        areas = {"auc": _auc(positive, every, found), "pr_auc": _average_precision(positive, found, chosen)}
        captured = {top: _captured(positive, every, chosen, top) for top in tops}
        shares = {f"precision_{top:g}": _ratio(got, top * chosen[:, -1]) for top, got in captured.items()}
        shares |= {f"recall_{top:g}": _ratio(got, found[:, -1]) for top, got in captured.items()}
        return areas | shares | {f"lift_{top:g}": shares[f"recall_{top:g}"] / top for top in tops}

    def gains(self, at: npt.ArrayLike) -> Floats:
        """Recall of the highest share, for each share of `at`."""
        ones = np.ones((1, len(self._labels)))
        return np.array([float(self.recall(ones, top)[0]) for top in np.atleast_1d(np.asarray(at, dtype=float))])


def _auc(positive: Floats, every: Floats, found: Floats) -> Floats:
    negative = every - positive
    won = np.einsum("bi,bi->b", negative, found - positive / 2)
    return _ratio(won, found[:, -1] * negative.sum(axis=1))


def _average_precision(positive: Floats, found: Floats, chosen: Floats) -> Floats:
    precision = np.where(chosen > 0, _ratio(found, chosen), 0.0)
    return _ratio(np.einsum("bi,bi->b", positive, precision), found[:, -1])


def _captured(positive: Floats, every: Floats, chosen: Floats, top: float) -> Floats:
    room = (top * chosen[:, -1])[:, None]
    part = np.where(every > 0, np.clip(_ratio(room - (chosen - every), every), 0, 1), 0.0)
    captured: Floats = np.einsum("bi,bi->b", positive, part)
    return captured


def _ratio(over: Floats, under: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = over / under
    return ratio


def brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Score:
    """Mean squared error of probabilities (Brier 1950), as a score of weights."""
    squares = (np.asarray(probabilities, dtype=float) - np.asarray(labels, dtype=float)) ** 2
    return lambda weights: _ratio(weights @ squares, weights.sum(axis=1))


class Bins(NamedTuple):
    """Customers by their probability, in bins of equal size: how many, and sums of what was expected and seen."""

    size: Floats
    expected: Floats
    observed: Floats
    variance: Floats  # of the sum that is seen, if the probabilities are true


def binned(labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = BINS) -> Bins:
    """Customers from the lowest probability to the highest, in bins of equal size."""
    y, p = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    order = np.argsort(p, kind="stable")
    starts = np.unique((np.arange(bins) * len(p)) // bins)
    size = np.diff(np.append(starts, len(p))).astype(float)
    return Bins(size, *(np.add.reduceat(values[order], starts) for values in (p, y, p * (1 - p))))


def calibration_error(labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = BINS) -> Estimate:
    """Expected calibration error: mean distance of expected and observed share over bins of equal size.

    Chance alone makes it larger than the error of the probabilities themselves, which is what the interval is about:
    the distances that were seen are scaled until chance would seldom (2.5 %) lead to as large, or as small, a sum.
    The interval reaches zero where chance explains it all.
    """
    seen = binned(labels, probabilities, bins)
    n = float(seen.size.sum())
    gap = (seen.expected - seen.observed) / n
    value = float(np.abs(gap).sum())
    noise = np.random.default_rng(0).standard_normal((MOST_REPLICATES, len(gap))) * np.sqrt(seen.variance) / n
    scales = np.concatenate([[0.0], np.geomspace(0.01, 100, 200)])
    smaller = np.array([np.mean(np.abs(scale * gap + noise).sum(axis=1) <= value) for scale in scales])
    tail = (1 - CONFIDENCE) / 2
    low = scales[np.flatnonzero(smaller >= 1 - tail)].max(initial=0.0)
    high = scales[np.flatnonzero(smaller >= tail)].max(initial=1.0)
    return Estimate(value, float(low) * value, float(high) * value, int(n))


def reliability(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = BINS, smallest: int = 1
) -> pl.DataFrame:
    """A row a bin: lowest and highest probability, customers, expected (mean), observed share with its ends (Wilson).

    Bins hold alike many expected labels, not customers, since where labels are rare nearly all customers are alike.
    They are as many as leave each with `smallest` customers or more, `bins` at most.
    """
    y, p = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    order = np.argsort(p, kind="stable")
    reached = np.cumsum(p[order])

    def cut(count: int) -> tuple[Starts, Starts]:
        starts = np.unique(np.searchsorted(reached, reached[-1] * np.arange(count) / count, side="right"))
        return starts, np.diff(np.append(starts, len(p)))

    cuts = map(cut, range(bins, 0, -1))
    starts, size = next((found for found in cuts if found[1].min() >= smallest), cut(1))
    expected, observed = (np.add.reduceat(values[order], starts) for values in (p, y))
    low, high = wilson(observed, size)
    ends = {"lowest": p[order][starts], "highest": p[order][starts + size - 1]}
    shares = {"expected": expected / size, "observed": observed / size, "low": low, "high": high}
    return pl.DataFrame({**ends, "customers": size.astype(np.int64), **shares})


def bootstrap(scores: Mapping[str, Score], customers: int, *, seed: int = 0) -> dict[str, Floats]:
    """Each score as it is and on resampled customers, the same ones for all scores: `{name: [value, replicate, …]}`.

    Poisson(1) weights by customer (Hanley & MacGibbon 2006).
    """
    return replicated(lambda weights: {name: score(weights) for name, score in scores.items()}, customers, seed=seed)


def replicated(
    function: Callable[[Floats], Mapping[str, Floats]], customers: int, *, seed: int = 0
) -> dict[str, Floats]:
    """`bootstrap` of scores that are worked out together."""
    drawn = [function(weights) for weights in _weights(customers, seed)]
    return {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}


def _weights(customers: int, seed: int) -> Iterator[Floats]:
    yield np.ones((1, customers))
    rng = np.random.default_rng(seed)
    replicates = int(np.clip(WORK // max(customers, 1), FEWEST_REPLICATES, MOST_REPLICATES))
    step = max(1, CHUNK // max(customers, 1))
    for first in range(0, replicates, step):
        rows = min(step, replicates - first)
        yield POISSON[rng.integers(0, len(POISSON), size=(rows, customers), dtype=np.uint16)]


def percentiles(values: Floats, customers: int) -> Estimate:
    """The first of `values` with the interval between percentiles of the others; none where most are undefined."""
    value, drawn = float(values[0]), values[1:]
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(known) < len(drawn) / 2:
        return Estimate(value, None, None, customers)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), customers)


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Area under the ROC curve with the interval of DeLong, DeLong & Clarke-Pearson (1988), in log-odds.

    NaN where nobody, or everybody, has the label.
    """
    y = np.asarray(labels, dtype=bool)
    area, parts = _placements(y, scores)
    if not np.isfinite(area):
        return Estimate(area, None, None, len(y))
    if area in (0.0, 1.0):
        return Estimate(area, area, area, len(y))
    half = Z * _delong_error(parts) / (area * (1 - area))
    low, high = expit(logit(area) - half), expit(logit(area) + half)
    return Estimate(area, float(low), float(high), len(y))


def auc_difference(labels: npt.ArrayLike, one: npt.ArrayLike, other: npt.ArrayLike) -> Estimate:
    """AUC of `one` less that of `other` on the same customers, with DeLong's interval for a pair."""
    y = np.asarray(labels, dtype=bool)
    (first, parts), (second, others) = _placements(y, one), _placements(y, other)
    difference = first - second
    if not np.isfinite(difference):
        return Estimate(difference, None, None, len(y))
    half = Z * _delong_error((parts[0] - others[0], parts[1] - others[1]))
    return Estimate(difference, difference - half, difference + half, len(y))


def _placements(y: Flags, scores: npt.ArrayLike) -> tuple[float, tuple[Floats, Floats]]:
    """The area, and each customer's part in it: the share of the others' side that they rank rightly against."""
    values = np.asarray(scores, dtype=float)
    m, n = int(y.sum()), int((~y).sum())
    if not m or not n:
        return float("nan"), (np.zeros(0), np.zeros(0))
    rank = rankdata(values)
    positive = (rank[y] - rankdata(values[y])) / n
    negative = 1 - (rank[~y] - rankdata(values[~y])) / m
    return float(positive.mean()), (positive, negative)


def _delong_error(parts: tuple[Floats, Floats]) -> float:
    return float(np.sqrt(sum(np.var(part, ddof=1) / len(part) if len(part) > 1 else 0.0 for part in parts)))


class Confusion(NamedTuple):
    """Customers by forecast and outcome: with the label and chosen, chosen without it, missed, rightly left."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> Estimate | None:
        """Share of the label among the chosen (Wilson)."""
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> Estimate | None:
        """Share of those with the label who are chosen (Wilson)."""
        return share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> Estimate | None:
        """Harmonic mean of the two, with percentiles of a bootstrap over customers."""
        if self.true_positive + self.false_positive + self.false_negative == 0:
            return None
        counts = np.array(self, dtype=float)
        drawn = np.random.default_rng(0).multinomial(int(counts.sum()), counts / counts.sum(), MOST_REPLICATES)
        tp, fp, fn, _ = np.vstack([counts, drawn]).T
        return percentiles(_ratio(2 * tp, 2 * tp + fp + fn), int(counts.sum()))


def confusion(labels: npt.ArrayLike, chosen: npt.ArrayLike) -> Confusion:
    """Forecast against outcome."""
    y, c = np.asarray(labels, dtype=bool), np.asarray(chosen, dtype=bool)
    return Confusion(int((y & c).sum()), int((~y & c).sum()), int((y & ~c).sum()), int((~y & ~c).sum()))
