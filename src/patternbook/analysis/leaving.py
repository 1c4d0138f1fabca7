"""Who is about to leave: the probability that a customer who is there now counts as having left in some days.

A customer has left when silent for longer than a limit of their own (`analysis/silence.py`). The forecast over a
horizon asks of those who are there on a day: will their silence be beyond the limit they have now when the horizon
ends? Time only runs forward: trees learn from cutoffs a horizon apart, every score becomes a probability at the next
cutoff, and is tested once at the one after it (Platt 1999 for the calibration: log-odds a line in the score).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from scipy.special import logit
from scipy.stats import norm

from patternbook.analysis import classification, intervals
from patternbook.analysis.classification import Calibrator, Ranking, percentiles
from patternbook.analysis.intervals import CONFIDENCE, Estimate, Floats
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.moments import FEATURES, Definition, Log, Moment, matrix, moment
from patternbook.analysis.silence import left

if TYPE_CHECKING:
    from lightgbm import Booster

HORIZONS = (30, 60, 90, 180)  # days
TREES, MODEL, RECENCY = "LightGBM", "BG/NBD", "recency alone"
MINIMUM_EACH = 10  # who left and who stayed, to calibrate or to test with
MOST_CUTOFFS, BETWEEN = 4, 30  # to learn from, days apart; older behaviour is another shop's
MINIMUM_PAST = 30  # days before the first cutoff that is used
CERTAIN = 1e-9
Z = float(norm.ppf((1 + CONFIDENCE) / 2))
LEAVES = 15  # of a tree: a shop of a few thousand buyers has to do
ROUNDS = 100  # as few, since no later period is left to stop by
ROWS_A_THREAD = 20_000  # fewer, and threads wait for each other longer than they work


class Settings(NamedTuple):
    """What a forecast hangs on: `high_risk` is the probability from which on a customer counts as expected to leave."""

    definition: Definition
    high_risk: float
    minimum_buyers: int
    threads: int


class Line(NamedTuple):
    """A calibration with the covariance of its intercept and slope."""

    calibrator: Calibrator
    covariance: Floats

    @classmethod
    def fitted(cls, score: Floats, left: Floats) -> Line:
        """Log-odds of having left as a line in the score; both outcomes occur."""
        calibrator = classification.calibrate(score, left > 0)
        probability = calibrator.probability(score)
        spread = probability * (1 - probability)
        if calibrator.slope == 0:
            return cls(calibrator, np.diag([1 / spread.sum(), 0.0]))
        design = np.column_stack([np.ones_like(score), score])
        information: Floats = (design * spread[:, None]).T @ design
        return cls(calibrator, np.asarray(np.linalg.pinv(information, hermitian=True), dtype=float))


@dataclass(frozen=True)
class Backtest:
    """What happened to the undecided customers of a cutoff, what each method expected, and how good that was.

    `came_back` is the share of those who had left by the cutoff and bought again within the horizon.
    """

    cutoff: date
    customers: pl.DataFrame
    left: Floats
    came_back: Estimate | None
    probabilities: dict[str, Floats]
    replicates: dict[str, Floats]  # of the AUC by method, the AUC first; the same customers for all

    def auc(self, method: str) -> Estimate:
        """Area under the ROC curve."""
        return percentiles(self.replicates[method], len(self.left))

    @property
    def baseline(self) -> str:
        """The better one of what needs no learning."""
        simple = [name for name in self.probabilities if name != TREES]
        return max(simple, key=lambda name: float(self.replicates[name][0]))

    @property
    def gain(self) -> Estimate | None:
        """AUC of the trees beyond that of the baseline, with a paired interval; None where they could not learn."""
        if TREES not in self.replicates:
            return None
        return percentiles(self.replicates[TREES] - self.replicates[self.baseline], len(self.left))

    def excess(self, method: str) -> float:
        """How far in log-odds the method missed how many left, squared, less what chance explains."""
        probability = self.probabilities[method]
        spread = float((probability * (1 - probability)).sum())
        return (float(self.left.sum() - probability.sum()) / spread) ** 2 - 1 / spread

    @property
    def best(self) -> str:
        """The trees where they beat the baseline beyond chance, else the baseline."""
        beaten = self.gain is not None and self.gain.low is not None and self.gain.low > 0
        return TREES if beaten else self.baseline


@dataclass(frozen=True)
class Forecast:
    """Probabilities to have left in `horizon` days, one of each customer of `undecided` at the end of the data.

    `score` is what `method` says of them, `line` makes it a probability; `between` is the variance, in log-odds of all
    alike, that the tests show from one period to the next, since shops have seasons and a calibration knows one.
    `trees` is the learned model, None where there is too little to learn from; `tested` None where the data are too
    short to test a forecast of this horizon.
    """

    horizon: int
    undecided: pl.DataFrame
    score: Floats
    line: Line
    method: str
    tested: Backtest | None
    trees: Booster | None
    between: float = 0.0

    @property
    def probability(self) -> Floats:
        """The probability of each undecided customer."""
        return self.line.calibrator.probability(self.score)

    @property
    def uncertainty(self) -> Floats:
        """Covariance of intercept and slope: that of the calibration, and what one period misses of the next."""
        shared: Floats = self.line.covariance + np.array([[self.between, 0.0], [0.0, 0.0]])
        return shared

    @property
    def expected(self) -> Estimate:
        """How many will have left: Σp; its variance is each customer's chance, the calibration's errors, `between`."""
        probability = self.probability
        spread, n = probability * (1 - probability), len(probability)
        slope = np.array([spread.sum(), spread @ self.score])
        error = float(np.sqrt(spread.sum() + slope @ self.uncertainty @ slope))
        value = float(probability.sum())
        return Estimate(value, max(0.0, value - Z * error), min(float(n), value + Z * error), n)


@dataclass(frozen=True)
class Leaving:
    """Customers as known at the end of the data, and by horizon the forecasts that can be made, and why others not."""

    log: Log
    now: Moment
    forecasts: dict[int, Forecast]
    missing: dict[int, LeftOut]
    asked: int
    settings: Settings

    @property
    def headline(self) -> Forecast | None:
        """The forecast that the report speaks of: over the horizon asked for, or the longest shorter tested one."""
        tested = [horizon for horizon, found in self.forecasts.items() if found.tested and horizon <= self.asked]
        return self.forecasts[max(tested)] if tested else None


class Moments:
    """Moments of a log by day, each made once."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self.log, self.settings = log, settings
        self._made: dict[tuple[date, bool], Moment | LeftOut] = {}

    def at(self, day: date, *, model: bool = True) -> Moment | LeftOut:
        """The moment at the end of `day`."""
        if (day, model) not in self._made:
            self._made[day, model] = moment(
                self.log, day, self.settings.definition, self.settings.minimum_buyers, model=model
            )
        return self._made[day, model]

    def outcome(self, customers: pl.DataFrame, day: date, horizon: int) -> Floats:
        """Which of the customers known on `day` have left `horizon` days later, 1 or 0."""
        return left(self.log.days, customers, day + timedelta(days=horizon))

    def came_back(self, day: date, horizon: int) -> Estimate | None:
        """Of those who had left on `day`, the share who bought again within `horizon` days (Wilson)."""
        known = self.at(day)
        if isinstance(known, LeftOut):
            return None
        later = self.log.days.filter(pl.col("day").is_between(day, day + timedelta(days=horizon), closed="right"))
        return intervals.share(known.left.join(later, on="customer_id", how="semi").height, known.left.height)


def study(log: Log, settings: Settings, asked: int) -> Leaving | LeftOut:
    """Forecasts of all horizons; the report will speak of the one `asked` for, or of a shorter one."""
    moments = Moments(log, settings)
    now = moments.at(log.last)
    if isinstance(now, LeftOut):
        return now
    forecasts: dict[int, Forecast] = {}
    missing: dict[int, LeftOut] = {}
    for horizon in HORIZONS:
        found = forecast(moments, horizon)
        if isinstance(found, LeftOut):
            missing[horizon] = found
        else:
            forecasts[horizon] = found
    return Leaving(log, now, _with_miss(forecasts), missing, asked, settings)


def _with_miss(forecasts: dict[int, Forecast]) -> dict[int, Forecast]:
    """The forecasts with `between`, what all their tests together show of the miss from one period to the next."""
    excesses = [found.tested.excess(found.method) for found in forecasts.values() if found.tested]
    between = max(0.0, float(np.mean(excesses))) if excesses else 0.0
    return {horizon: replace(found, between=between) for horizon, found in forecasts.items()}


def forecast(moments: Moments, horizon: int) -> Forecast | LeftOut:
    """The forecast at the end of the data, with a test a horizon earlier where the data reach so far back."""
    last = moments.log.last
    made = _predicted(moments, last, horizon)
    if isinstance(made, LeftOut):
        return made
    tested = _tested(moments, last - timedelta(days=horizon), horizon)
    method = _chosen(made, tested)
    return Forecast(horizon, made.customers, made.scores[method], made.lines[method], method, tested, made.trees)


@dataclass(frozen=True)
class _Predicted:
    """Scores of the undecided customers of a day, by method, and the calibration of each."""

    customers: pl.DataFrame
    scores: dict[str, Floats]
    lines: dict[str, Line]
    trees: Booster | None


def _chosen(made: _Predicted, tested: Backtest | None) -> str:
    """The best method of the test; without a test the model that needs no learning."""
    if tested is None:
        return MODEL if MODEL in made.lines else RECENCY
    return tested.best if tested.best in made.lines else RECENCY


def _predicted(moments: Moments, day: date, horizon: int) -> _Predicted | LeftOut:
    """What each method says on `day`, calibrated a horizon before it, learned before that."""
    step = timedelta(days=horizon)
    begin = moments.log.first + timedelta(days=MINIMUM_PAST)
    if day - step < begin:
        return LeftOut(f"The data are too short to see who leaves within {horizon} days.")
    now, before = moments.at(day), moments.at(day - step)
    for known in (now, before):
        if isinstance(known, LeftOut):
            return known
    assert isinstance(now, Moment) and isinstance(before, Moment)
    customers, earlier = now.undecided(horizon), before.undecided(horizon)
    outcome = moments.outcome(earlier, before.day, horizon)
    if min(outcome.sum(), (1 - outcome).sum()) < MINIMUM_EACH:
        return LeftOut(
            f"Of the customers who were there on {before.day} and could have left within {horizon} days, fewer than "
            f"{MINIMUM_EACH} left or fewer than {MINIMUM_EACH} stayed, too few to forecast who does."
        )
    if customers.is_empty():
        return LeftOut(f"Nobody who is there now can have left within {horizon} days.")
    learned = _learned(moments, before.day - step, begin, horizon)
    then, today = (_scores(at, who, horizon, learned) for at, who in ((before, earlier), (now, customers)))
    lines = {name: Line.fitted(then[name], outcome) for name in then if name in today}
    return _Predicted(customers, today, lines, learned if TREES in lines else None)


def _learned(moments: Moments, latest: date, begin: date, horizon: int) -> Booster | None:
    """Trees that have learned from the outcomes at `latest` and earlier cutoffs; None where there are too few."""
    rows, outcomes = [], []
    for cutoff in (latest - timedelta(days=BETWEEN * k) for k in range(MOST_CUTOFFS)):
        known = moments.at(cutoff, model=False) if cutoff >= begin else None
        if isinstance(known, Moment):
            customers = known.undecided(horizon)
            rows.append(matrix(customers))
            outcomes.append(moments.outcome(customers, cutoff, horizon))
    label = np.concatenate(outcomes) if outcomes else np.empty(0)
    if min(label.sum(), (1 - label).sum()) < classification.TREES["min_data_in_leaf"]:
        return None
    threads = min(moments.settings.threads, 1 + len(label) // ROWS_A_THREAD)  # the trees are the same for any number
    return classification.grow(
        np.vstack(rows), label > 0, list(FEATURES), rounds=ROUNDS, num_threads=threads, num_leaves=LEAVES
    )


def _scores(known: Moment, customers: pl.DataFrame, horizon: int, trees: Booster | None) -> dict[str, Floats]:
    """What each method goes by, the higher the likelier to leave; log-odds where it is a probability."""
    found: dict[str, Floats] = {RECENCY: np.log1p(customers["silence"].to_numpy())}
    if known.model is not None:
        x, t_x, T, limit = (customers[name].to_numpy() for name in ("x", "t_x", "T", "limit"))
        silent = known.model.p_silent_between(np.maximum(horizon - limit, 0), horizon, x, t_x, T)
        found[MODEL] = logit(np.clip(silent, CERTAIN, 1 - CERTAIN))
    if trees is not None:
        found[TREES] = classification.log_odds(trees, matrix(customers))
    return found


def _tested(moments: Moments, day: date, horizon: int) -> Backtest | None:
    """The forecast as it would have been made on `day`, against what happened."""
    made = _predicted(moments, day, horizon)
    if isinstance(made, LeftOut):
        return None
    outcome = moments.outcome(made.customers, day, horizon)
    if min(outcome.sum(), (1 - outcome).sum()) < MINIMUM_EACH:
        return None
    probabilities = {
        name: made.lines[name].calibrator.probability(made.scores[name])
        for name in (TREES, MODEL, RECENCY)
        if name in made.lines
    }
    rankings = {name: Ranking(outcome, own).auc for name, own in probabilities.items()}
    replicates = classification.bootstrap(rankings, len(outcome))
    return Backtest(day, made.customers, outcome, moments.came_back(day, horizon), probabilities, replicates)
