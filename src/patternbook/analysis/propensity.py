"""Who will buy next: trees learned at earlier cutoffs, calibrated at a later one, tested once at the last.

At each cutoff a customer is what is known of them before it, and has the label if they buy within the horizon after
it. No outcome that anything was learned from lies after the next cutoff, so time only runs forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from patternbook.analysis import classification, evaluation, predictors
from patternbook.analysis.classification import Calibrator, Flags, Ranking
from patternbook.analysis.evaluation import Evaluation
from patternbook.analysis.intervals import Estimate, Floats, share
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.predictors import Preparation
from patternbook.cutoffs import PLACES, SCATTER, Cutoffs, drawn_below
from patternbook.formats import Formats

if TYPE_CHECKING:
    from lightgbm import Booster

MODEL = "trees (LightGBM)"
RFM = "logistic regression on RFM"
SEEN, ORDERED, BASE = "last visit", "last order", "base rate"
TREES: dict[str, Any] = {
    "num_leaves": 15,
    "learning_rate": 0.08,
}  # as good as twice the leaves, explained twice as fast
LABELS: dict[str, tuple[str, str, Any]] = {  # finding: label, score, unit
    "auc": ("ROC-AUC of the forecast of purchases", "auc", "number"),
    "pr_auc": ("PR-AUC of the forecast of purchases", "pr_auc", "number"),
    "precision_at_5pct": ("Buyers among the 5% ranked highest", "precision_0.05", "share"),
    "recall_at_5pct": ("Buyers found among the 5% ranked highest", "recall_0.05", "share"),
    "lift_at_5pct": ("Lift of the 5% ranked highest", "lift_0.05", "factor"),
    "brier": ("Brier score of the forecast of purchases", "brier", "number"),
    "calibration_error": ("Expected calibration error of the forecast of purchases", "calibration_error", "share"),
}


def drawn(mart: pl.LazyFrame, most: int) -> pl.LazyFrame:
    """Rows of about `most` customers or fewer at each cutoff, drawn by their ids (see `cutoffs.drawn_below`).

    At all cutoffs but that of scoring, which has everybody, the mart holds no others.
    """
    sizes = mart.group_by("cutoff").len().select(pl.col("len").max()).collect()
    place = pl.col("customer_id").abs() % PLACES * SCATTER % PLACES
    return mart.filter(place < drawn_below(most, sizes.item() or 0))


@dataclass(frozen=True)
class Panel:
    """Customers at one cutoff: their row of the mart `features` with what followed, and the model's columns `x`."""

    cutoff: date
    customers: pl.DataFrame
    x: Floats

    def bought(self, horizon: int) -> Flags:
        """Who buys within the horizon."""
        flags: Flags = (self.customers["days_to_purchase"] < horizon).fill_null(False).to_numpy()
        return flags


@dataclass(frozen=True)
class Panels:
    """The panels of training, calibration and test."""

    training: tuple[Panel, ...]
    calibration: Panel
    test: Panel
    preparation: Preparation

    def learned(self, horizon: int) -> tuple[Floats, Flags]:
        """The training panels, one below the other."""
        return np.vstack([one.x for one in self.training]), self.training_labels(horizon)

    def training_labels(self, horizon: int) -> Flags:
        """Who buys, in the order of `learned`."""
        return np.concatenate([one.bought(horizon) for one in self.training])


def panels(features: pl.DataFrame, labels: pl.DataFrame, at: Cutoffs | None, minimum_buyers: int) -> Panels | LeftOut:
    """Panels of all cutoffs with a known outcome, where there are buyers and others enough to learn from."""
    if at is None:
        return LeftOut("The data hold fewer than four days, too few to learn from one time and test at a later one.")
    labels = labels.join(features.select("cutoff", "customer_id"), on=["cutoff", "customer_id"], how="semi")
    for name, days in (("training", at.training), ("calibration", (at.calibration,)), ("test", (at.test,))):
        known = features.filter(pl.col("cutoff").is_in(days)).height
        within = pl.col("days_to_purchase") < at.horizon
        buyers = labels.filter(pl.col("cutoff").is_in(days), within).height
        if min(buyers, known - buyers) < minimum_buyers:
            few = f"{buyers:,} bought" if buyers < minimum_buyers else f"{known - buyers:,} did not buy"
            return LeftOut(
                f"Of {known:,} customers known for {name} ({', '.join(map(str, days))}), {few} "
                f"in the {at.horizon} days after it; a forecast needs {minimum_buyers} of both "
                "(`propensity.minimum_buyers`)."
            )
    preparation = predictors.prepare(features.filter(pl.col("cutoff") == at.training[0]))
    follow = labels.select(
        "cutoff", "customer_id", "days_to_purchase", pl.col("revenue").alias("next_revenue"), "next_category"
    )
    joined = features.join(follow, on=["cutoff", "customer_id"], how="left", maintain_order="left")
    made = {day: panel(joined.filter(pl.col("cutoff") == day), day, preparation) for day in at.labelled}
    return Panels(tuple(made[day] for day in at.training), made[at.calibration], made[at.test], preparation)


def panel(customers: pl.DataFrame, cutoff: date, preparation: Preparation) -> Panel:
    """The panel of one cutoff."""
    return Panel(cutoff, customers, predictors.matrix(predictors.columns(customers, preparation)))


@dataclass(frozen=True)
class Model:
    """Trees and their calibration, for one horizon."""

    horizon: int
    booster: Booster
    calibrator: Calibrator

    def probability(self, x: Floats) -> Floats:
        """Probability to buy within the horizon, of rows of `predictors.matrix`."""
        return self.calibrator.probability(classification.log_odds(self.booster, x))


def grown(
    x: Floats, labels: Flags, later: tuple[Floats, Flags] | None = None, rounds: int = classification.MOST_ROUNDS
) -> Booster:
    """The trees of this forecast; see `classification.grow`."""
    return classification.grow(
        x, labels, predictors.COLUMNS, later, categorical=predictors.NAMES, rounds=rounds, **TREES
    )


def fit(given: Panels, horizon: int) -> Model:
    """Trees from the training panels; how many, and their calibration, from the later one."""
    x, labels = given.learned(horizon)
    later = given.calibration.bought(horizon)
    booster = grown(x, labels, (given.calibration.x, later))
    calibrator = classification.calibrate(classification.log_odds(booster, given.calibration.x), later)
    return Model(horizon, booster, calibrator)


def _column(name: str) -> int:
    return predictors.COLUMNS.index(name)


def _rfm(x: Floats) -> Floats:
    """Recency, frequency and money as logarithms, and whether there was an order at all."""
    recency, frequency, money = (x[:, _column(name)] for name in ("days_since_purchase", "order_days", "revenue"))
    never = np.isnan(recency)
    return np.column_stack(
        [np.log1p(np.where(never, 0, recency)), never, np.log1p(frequency), np.log1p(np.maximum(money, 0))]
    )


def _days(name: str) -> Any:
    """Logarithm of the days since something, very many where it never happened."""
    return lambda x: np.log1p(np.nan_to_num(x[:, [_column(name)]], nan=10_000.0))


BASELINES = {RFM: _rfm, SEEN: _days("days_since_event"), ORDERED: _days("days_since_purchase")}


def baselines(given: Panels, horizon: int) -> tuple[dict[str, Floats], str]:
    """Probabilities at the test of each baseline, learned and calibrated like the model; and which was best before it.

    A rule by recency ranks by one number of days; the best has the highest AUC at the calibration cutoff.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = given.learned(horizon)
    later = given.calibration.bought(horizon)
    found, before = {}, {}
    for name, columns in BASELINES.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, max_iter=1000)).fit(columns(x), labels)
        odds = model.decision_function(columns(given.calibration.x))
        found[name] = classification.calibrate(odds, later).probability(model.decision_function(columns(given.test.x)))
        before[name] = float(Ranking(later, odds).auc(np.ones((1, len(later))))[0])
    found[BASE] = np.full(len(given.test.x), later.mean())
    return found, max(before, key=lambda name: before[name])


@dataclass(frozen=True)
class Forecast:
    """The model of one horizon with its test: probabilities by method, the outcome, and what they are worth."""

    model: Model
    labels: Flags
    probabilities: dict[str, Floats]
    evaluation: Evaluation

    @property
    def horizon(self) -> int:
        """Days."""
        return self.model.horizon

    @property
    def probability(self) -> Floats:
        """The model's."""
        return self.probabilities[MODEL]

    @property
    def base_rate(self) -> Estimate:
        """Share of customers who buy within the horizon after the test cutoff."""
        found = share(int(self.labels.sum()), len(self.labels))
        assert found is not None
        return found


def forecast(given: Panels, horizon: int, *, every: bool = True) -> Forecast:
    """Fit and test one horizon; against the best baseline only unless `every`."""
    model = fit(given, horizon)
    others, best = baselines(given, horizon)
    compared = others if every else {best: others[best]}
    probabilities = {MODEL: model.probability(given.test.x)} | compared
    labels = given.test.bought(horizon)
    return Forecast(model, labels, probabilities, evaluation.evaluate(labels, probabilities, MODEL, best))


def forecasts(given: Panels | LeftOut, at: Cutoffs | None, minimum_buyers: int) -> dict[int, Forecast | LeftOut]:
    """A forecast a horizon, the headline's first; shorter ones with too few buyers are left out."""
    if isinstance(given, LeftOut) or at is None:
        return {}
    found: dict[int, Forecast | LeftOut] = {}
    for horizon in (at.horizon, *at.more):
        buyers = min(
            int(labels.sum())
            for labels in (
                given.training_labels(horizon),
                given.calibration.bought(horizon),
                given.test.bought(horizon),
            )
        )
        found[horizon] = (
            forecast(given, horizon, every=horizon == at.horizon)
            if buyers >= minimum_buyers
            else LeftOut(f"Only {buyers} customers bought within {horizon} days, too few for a forecast.")
        )
    return found


def measures(
    found: Mapping[int, Forecast | LeftOut], asked: Iterable[int], headline: int, reason: str
) -> list[Measure]:
    """What 04 records: the headline's scores by their own name, those of other horizons with `_7d` and the like.

    `asked` are the horizons of the parameters, the headline's first; `headline` is the one that the data allowed.
    """
    rows = []
    first, *others = asked
    for horizon, suffix in [(first, ""), *((other, f"_{other}d") for other in others)]:
        one = found.get(headline if not suffix else horizon)
        why = reason if one is None else one.reason if isinstance(one, LeftOut) else None
        rows += _measures(one if isinstance(one, Forecast) else None, suffix, horizon, why)
    return rows


def _measures(one: Forecast | None, suffix: str, horizon: int, reason: str | None) -> list[Measure]:
    within = f" within {one.horizon if one else horizon} days"
    found = one.evaluation.of_model if one else {}
    rows = [
        measured(f"{name}{suffix}", label + within, unit, found.get(score), reason)
        for name, (label, score, unit) in LABELS.items()
    ]
    best = one.evaluation.methods[one.evaluation.best]["auc"] if one else None
    gain = one.evaluation.gains["auc"] if one else None
    return [
        *rows,
        measured(f"auc_baseline{suffix}", f"ROC-AUC of the best baseline{within}", "number", best, reason),
        measured(f"auc_gain{suffix}", f"ROC-AUC gained over the best baseline{within}", "number", gain, reason),
        measured(f"base_rate{suffix}", f"Customers who buy{within}", "share", one.base_rate if one else None, reason),
    ]


def answer(one: Forecast, at: Cutoffs, asked: int, known: int, formats: Formats) -> str:
    """What the forecast can do, in a few sentences, from the results; `known` customers were there at the test."""
    scores, gain = one.evaluation.of_model, one.evaluation.gains["auc"]
    found, lift = scores["recall_0.05"], scores["lift_0.05"]
    sentences = []
    if one.horizon != asked:
        sentences.append(
            f"The data are too short for a forecast of {asked} days that is tested in time, so it reaches "
            f"{one.horizon} {'day' if one.horizon == 1 else 'days'}."
        )
    sentences.append(
        f"Of the customers known on {formats.date(at.test)}, "
        f"{formats.share(one.base_rate.value, one.base_rate.interval)} bought within {one.horizon} days. The 5% that "
        f"the forecast had ranked highest held {formats.share(found.value, found.interval)} of them, "
        f"{formats.value(lift.value, 'factor', lift.interval)} "
        "as many as chance."
    )
    auc = formats.value(scores["auc"].value, "number", scores["auc"].interval)
    difference = f"(difference {formats.value(gain.value, 'number', gain.interval)})"
    if gain.low is not None and gain.low > 0:
        verdict = f"more than {one.evaluation.best}, the best simple rule {difference}"
    elif gain.high is not None and gain.high < 0:
        verdict = f"less than {one.evaluation.best}, which does better without it {difference}"
    else:
        verdict = f"no more than {one.evaluation.best} can do, within what chance allows {difference}"
    sentences.append(f"It ranks a buyer above somebody else with probability {auc}, {verdict}.")
    if known > len(one.labels):
        sentences.append(
            f"It was learned from and tested with {formats.count(len(one.labels))} of {formats.count(known)} "
            "customers, drawn by their ids (`propensity.most_customers`); all of them are scored."
        )
    return " ".join(sentences)


def groupings(given: Panel) -> dict[str, pl.Series]:
    """Groups of customers as of the cutoff, by what makes them: platform, how long known, how often they ordered."""
    frame = given.customers
    orders, known = pl.col("order_days"), pl.col("days_known")
    made = frame.select(
        pl.when(orders == 0)
        .then(pl.lit("never ordered"))
        .when(orders == 1)
        .then(pl.lit("ordered once"))
        .when(orders < 5)
        .then(pl.lit("ordered 2 to 4 times"))
        .otherwise(pl.lit("ordered 5 times or more"))
        .alias("orders"),
        pl.when(known <= 30)
        .then(pl.lit("new (30 days or less)"))
        .otherwise(pl.lit("known for longer"))
        .alias("known for"),
        "platform",
    )
    return {name: made[name] for name in made.columns}


def named(curves: pl.DataFrame) -> pl.DataFrame:
    """`evaluation.gains` as rows: customers, method, found."""
    return curves.unpivot(index="customers", variable_name="method", value_name="found")


SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


def learning(given: Panels, one: Forecast, minimum_buyers: int) -> pl.DataFrame:
    """AUC at the test by what was learned from: share, customers, auc with ends, and how much less than all learned.

    Parts are drawn by customer row; each is tuned and calibrated like the whole. Columns `gain`, `gain_low` and
    `gain_high`: what the whole has more, on the same resampled customers.
    """
    x, labels = given.learned(one.horizon)
    later = given.calibration.bought(one.horizon)
    order = np.random.default_rng(0).permutation(len(labels))
    rows = []
    for part in SHARES:
        chosen = np.sort(order[: round(part * len(order))])
        if labels[chosen].sum() < minimum_buyers:
            continue
        if part == 1.0:
            probability = one.probability
        else:
            booster = grown(x[chosen], labels[chosen], (given.calibration.x, later))
            probability = classification.log_odds(booster, given.test.x)
        area = classification.auc(one.labels, probability)
        gain = classification.auc_difference(one.labels, one.probability, probability)
        rows.append((part, len(chosen), *area[:3], *gain[:3]))
    names = ["share", "customers", "auc", "auc_low", "auc_high", "gain", "gain_low", "gain_high"]
    return pl.DataFrame(rows, schema=names, orient="row")


def worth_more_data(curve: pl.DataFrame, formats: Formats) -> str:
    """What twice as many customers would bring, going by the last doubling, in one sentence."""
    half = curve.filter(pl.col("share") == 0.5)
    if half.is_empty():
        return "There are too few buyers to tell what more data would bring"
    ((gain, low),) = half.select("gain", "gain_low").iter_rows()
    if low > 0:
        return f"The last doubling of data still brought {formats.difference(gain, 'number')} of ROC-AUC"
    return "The last doubling of data brought no gain beyond chance"
