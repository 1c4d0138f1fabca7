"""Several arms and metrics in one experiment, simulated: how often it finds what is not there, and what is.

Every experiment has arms on which nothing changes, or some or all with the likely effect, on people who buy and spend
as the audience did, so that metrics go together as they do in the data. Buyers are drawn by the binomial distribution,
what they spend by its mean and variance (sums of many people are normal). Each experiment is read without a correction
and with each; all see the same draws.

familywise  of experiments without any effect, those that find one: at most α where the correction holds
partly      of experiments whose first arm alone has the effect, those that find one where there is none
any, all    of experiments in which all arms have the effect, those that find it somewhere, or everywhere
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.analysis import experiments, intervals, roi
from patternbook.analysis.corrections import READINGS, Flags, Reading, significant
from patternbook.analysis.experiments import Design
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.trials import Plan
from patternbook.formats import Formats

MOST_ARMS = 5  # treated
SHOWN_ARMS = 3  # treated, in the table and in the findings
BUYS = "Buys"


@dataclass(frozen=True)
class People:
    """What people do by themselves, on several metrics.

    `names` are the metrics, the plan's own first. `share` buys; `means` and `covariances` are those of the amounts
    (all metrics but `BUYS`, in their order) of who buys not, and of who buys.
    """

    names: tuple[str, ...]
    share: float
    means: Floats
    covariances: Floats

    @property
    def covariance(self) -> Floats:
        """Covariance of the metrics in one person, in the order of `names`."""
        weights = np.array([1 - self.share, self.share])
        moments = self.covariances + self.means[:, :, None] * self.means[:, None, :]
        mean = weights @ self.means
        spread = np.tensordot(weights, moments, 1) - np.outer(mean, mean)
        joint = self.share * (self.means[1] - mean)
        whole = np.block([[np.array([[self.share * (1 - self.share)]]), joint[None, :]], [joint[:, None], spread]])
        return whole[np.ix_(self._order, self._order)]

    @property
    def correlation(self) -> Floats:
        """Correlation of the metrics in one person, in the order of `names`."""
        covariance = self.covariance
        deviations = np.sqrt(np.diag(covariance))
        found: Floats = covariance / np.outer(deviations, deviations)
        return found

    @property
    def _order(self) -> list[int]:
        """Where each metric is among `BUYS` and then the amounts."""
        amounts = [name for name in self.names if name != BUYS]
        return [[BUYS, *amounts].index(name) for name in self.names]

    def group_means(self, size: int, effect: float, on_orders: bool, count: int, rng: np.random.Generator) -> Floats:
        """Means of the metrics in `count` groups of `size` people, a row a group.

        The relative effect is on who buys, or with `on_orders` on what buyers spend.
        """
        share, larger = (self.share, 1 + effect) if on_orders else (min(self.share * (1 + effect), 1.0), 1.0)
        buyers = rng.binomial(size, share, count)
        amounts = np.zeros((count, self.means.shape[1]))
        for people, mean, covariance, factor in (
            (size - buyers, self.means[0], self.covariances[0], 1.0),
            (buyers, self.means[1], self.covariances[1], larger),
        ):
            noise = rng.multivariate_normal(np.zeros(len(mean)), covariance, count, method="eigh")
            amounts += factor * (people[:, None] * mean + np.sqrt(people)[:, None] * noise)
        return np.column_stack([buyers, amounts])[:, self._order] / size


def people_of(planned: Plan, quantile: float) -> People:
    """The plan's audience on the metrics of `trials.sizes`: buys, spend, and spend cut at the quantile."""
    audience = planned.case.audience
    bought, spent = audience.past["bought"].to_numpy(), audience.past["revenue"].to_numpy()
    cut = experiments.winsorised(spent, quantile)
    amounts = {"Spend": spent}
    if cut.std() > 0 and quantile < 1:
        amounts[f"Spend, cut at the {quantile:.0%} quantile"] = cut
    values = np.column_stack(list(amounts.values()))
    parts = [values[~bought], values[bought]]
    return People(
        (*amounts, BUYS) if planned.on_orders else (BUYS, *amounts),
        audience.buyers.value,
        np.array([part.mean(axis=0) for part in parts]),
        np.array([np.atleast_2d(np.cov(part, rowvar=False, bias=True)) for part in parts]),
    )


def scores(
    people: People,
    design: Design,
    control: int,
    effects: Floats,
    on_orders: bool,
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """z scores of `count` experiments: a row an experiment, then arms, then the first `design.metrics` metrics.

    `control` is the size of the control group, `effects` the relative effect of each treated arm. Shares are tested
    with the pooled variance, amounts with the audience's own.
    """
    treated = experiments.people(control * design.ratio)
    usual = people.group_means(control, 0.0, on_orders, count, rng)[:, None, :]
    changed = np.stack([people.group_means(treated, effect, on_orders, count, rng) for effect in effects], axis=1)
    variance = np.broadcast_to(np.diag(people.covariance) * (1 / control + 1 / treated), changed.shape).copy()
    buys = people.names.index(BUYS)
    pooled = (usual * control + changed * treated)[:, :, buys] / (control + treated)
    variance[:, :, buys] = pooled * (1 - pooled) * (1 / control + 1 / treated)
    difference = changed - usual
    found: Floats = np.where(variance > 0, difference / np.sqrt(np.where(variance > 0, variance, 1)), 0.0)
    return found[:, :, : design.metrics]


def comparisons(planned: Plan, people: People, count: int, seed: int = 0) -> pl.DataFrame:
    """`count` simulated experiments for each number of treated arms, of metrics (one, or all) and way to read them.

    See `meanings` for the columns. The groups are as large as each design needs to find the likely effect, or as the
    audience allows.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for metrics in (1, len(people.names)):
        for arms in range(1, MOST_ARMS + 1):
            design = replace(planned.design.with_arms(arms + 1), metrics=metrics)
            control = roi.feasible(planned.case, design, 7, planned.longest).control
            if control < 2:
                continue
            size = experiments.people(control)
            drawn = _drawn(planned, people, design, size, count, rng)
            for reading, label in READINGS.items():
                rows.append(
                    {
                        "arms": arms,
                        "metrics": metrics,
                        "comparisons": arms * metrics,
                        "correction": label,
                        "per_group": size,
                        "experiments": count,
                        **_read(drawn, reading, design),
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


class Drawn(NamedTuple):
    """Scores of experiments in some of whose arms there is an effect; `real` says on which arms and metrics."""

    scores: Floats
    real: Flags


def _drawn(
    planned: Plan, people: People, design: Design, control: int, count: int, rng: np.random.Generator
) -> dict[str, Drawn]:
    """Experiments with the likely effect in no arm, in the first alone, in all."""
    likely, on_orders, arms = planned.case.action.likely, planned.on_orders, design.arms - 1
    changes = np.array([name != BUYS or not on_orders for name in people.names[: design.metrics]])
    works = {"none": np.zeros(arms, bool), "first": np.arange(arms) == 0, "all": np.ones(arms, bool)}
    return {
        name: Drawn(
            scores(people, design, control, likely * where, on_orders, count, rng),
            np.outer(where, changes),
        )
        for name, where in works.items()
    }


def _read(drawn: dict[str, Drawn], reading: Reading, design: Design) -> dict[str, float | None]:
    """The four rates of the module's docstring, with intervals."""
    found = {name: significant(one.scores, reading, design.alpha, design.ratio) for name, one in drawn.items()}
    elsewhere = ~drawn["first"].real
    upward = (found["all"] & (drawn["all"].scores > 0))[:, drawn["all"].real]
    return {
        **_rate("familywise", np.any(found["none"], axis=(1, 2))),
        **_rate("partly", np.any(found["first"][:, elsewhere], axis=1) if elsewhere.any() else None),
        **_rate("any", np.any(upward, axis=1)),
        **_rate("all", np.all(upward, axis=1)),
    }


def _rate(name: str, hits: npt.ArrayLike | None) -> dict[str, float | None]:
    if hits is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    flags = np.asarray(hits)
    low, high = intervals.wilson(int(flags.sum()), flags.size)
    return {name: float(flags.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}


def shown(table: pl.DataFrame) -> pl.DataFrame:
    """The rows that a table shows: several arms, several metrics, and both."""
    most = int(table["metrics"].max())  # type: ignore[arg-type]
    arms, metrics = pl.col("arms"), pl.col("metrics")
    several = (arms == SHOWN_ARMS) | ((arms == 1) & (metrics == most))
    return table.filter(several)


def measures(table: pl.DataFrame | LeftOut, design: Design) -> list[Measure]:
    """The findings `experiments.familywise_error*`: of `SHOWN_ARMS` treated arms on all metrics, without an effect."""
    readings: dict[str, Reading] = {"familywise_error_uncorrected": "none", "familywise_error": design.correction}
    labels = {name: f"Any false positive, {READINGS[one].lower()}" for name, one in readings.items()}
    if isinstance(table, LeftOut):
        return [measured(name, label, "share", None, table.reason) for name, label in labels.items()]
    rows = table.filter(pl.col("arms") == SHOWN_ARMS, pl.col("metrics") == pl.col("metrics").max())
    if rows.is_empty():
        reason = "The audience is too small for several arms."
        return [measured(name, label, "share", None, reason) for name, label in labels.items()]
    columns = ("familywise", "familywise_low", "familywise_high", "experiments")
    found = {row["correction"]: Estimate(*(row[column] for column in columns)) for row in rows.iter_rows(named=True)}
    return [measured(name, labels[name], "share", found[READINGS[one]]) for name, one in readings.items()]


def answer(table: pl.DataFrame | LeftOut, people: People | None, design: Design, formats: Formats) -> str:
    """What reading several arms and metrics does, and what the correction keeps and costs."""
    if isinstance(table, LeftOut) or people is None:
        return table.reason if isinstance(table, LeftOut) else ""
    rows = table.filter(pl.col("arms") == SHOWN_ARMS, pl.col("metrics") == len(people.names))
    if rows.is_empty():
        return "The audience is too small for several arms."
    by_reading = {row["correction"]: row for row in rows.iter_rows(named=True)}
    plain, chosen = by_reading[READINGS["none"]], by_reading[READINGS[design.correction]]

    def told(row: dict[str, float], name: str) -> str:
        return formats.share(row[name], (row[f"{name}_low"], row[f"{name}_high"]))

    return (
        f"With {SHOWN_ARMS} treated arms, {len(people.names)} metrics make {plain['comparisons']} comparisons. Read "
        f"without a correction, {told(plain, 'familywise')} of experiments without an effect find one; by "
        f"{READINGS[design.correction]}, {told(chosen, 'familywise')}. Its price is power: where every arm works, it "
        f"finds that somewhere in {told(chosen, 'any')} of experiments, not in {told(plain, 'any')}."
    )
