"""When a silence is longer than a customer's own rhythm allows: the limit after which a customer counts as having left.

Logarithms of the days between two purchases vary around each customer's own mean, and those means around the
population's: log gap ~ N(μᵢ, within), μᵢ ~ N(mean, between), a random-effects model of one way. What is known of a
customer without gaps is the population's rhythm; the more gaps, the more their own counts (Efron & Morris 1975,
J. Am. Stat. Assoc. 70, 311–319).
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.special import logit
from scipy.stats import norm

from patternbook.analysis.bgnbd import BgNbd
from patternbook.analysis.intervals import Floats
from patternbook.analysis.measure import LeftOut

MINIMUM_GAPS = 30  # between purchases; fewer know no quantile of nine tenths


class Rhythm(NamedTuple):
    """Days between purchases in logarithms: mean over customers, variance of their means, variance around these."""

    mean: float
    between: float
    within: float


def gaps(days: pl.DataFrame) -> pl.DataFrame:
    """What is known of each customer's gaps, from one row a customer and purchase day (`history.purchase_days`).

    Columns: customer_id, gaps (their number), mean_log, squares (sum of squares of the logarithms around it),
    last_gap in days. Customers with one purchase day are not in it.
    """
    gap = pl.col("day").diff().dt.total_days().over("customer_id", order_by="day")
    log = pl.col("gap").log()
    return (
        days.sort("customer_id", "day")
        .with_columns(gap.alias("gap"))
        .drop_nulls("gap")
        .group_by("customer_id", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("gaps"),
            log.mean().alias("mean_log"),
            ((log - log.mean()) ** 2).sum().alias("squares"),
            pl.col("gap").last().alias("last_gap"),
        )
    )


def rhythm(known: pl.DataFrame) -> Rhythm | LeftOut:
    """Moments of the random-effects model from `gaps` (Searle, Casella & McCulloch 1992, chapter 3)."""
    n, mean, squares = (known[name].cast(pl.Float64).to_numpy() for name in ("gaps", "mean_log", "squares"))
    total, customers = float(n.sum()), len(n)
    if total < MINIMUM_GAPS:
        seen = f"only {total:.0f} times did a customer buy again" if total else "no customer bought again"
        return LeftOut(f"On a later day {seen}, too rarely to say what a long silence is.")
    if total == customers:  # nobody has two gaps, so nothing tells customers from chance
        return Rhythm(float(mean.mean()), 0.0, float(mean.var(ddof=1)))
    within = float(squares.sum() / (total - customers))
    between = 0.0
    if customers > 1:
        spread = float(n @ (mean - n @ mean / total) ** 2) / (customers - 1)
        size = (total - n @ n / total) / (customers - 1)
        between = max(0.0, (spread - within) / size)
    weight = 1 / (between + within / n) if between + within > 0 else n
    return Rhythm(float(weight @ mean / weight.sum()), between, within)


def limits(found: Rhythm, number: Floats, mean_log: Floats, quantile: float) -> Floats:
    """Days of silence that a customer of this rhythm exceeds with probability 1 − `quantile`, one entry a customer.

    The quantile of the next gap given `number` gaps with mean logarithm `mean_log` (any number where there are none).
    """
    mean, between, within = found
    pull = between * number / (between * number + within) if within > 0 else (number > 0).astype(float)
    centre = mean + pull * (np.where(number > 0, mean_log, mean) - mean)
    spread = np.sqrt(between * (1 - pull) + within)
    days: Floats = np.exp(centre + norm.ppf(quantile) * spread)
    return days


def limits_of_life(model: BgNbd, x: Floats, t_x: Floats, threshold: float) -> Floats:
    """The silence after which P(alive) of a BG/NBD model falls below `threshold`, in the model's unit of time.

    The inverse of `bgnbd.p_alive` in T − t_x; infinite for x = 0, where the model knows no way to leave.
    """
    odds = -logit(threshold) - np.log(model.a / (model.b + np.maximum(x, 1) - 1))
    silence = (model.alpha + t_x) * np.expm1(np.maximum(odds, 0) / (model.r + x))
    return np.where(x > 0, silence, np.inf)


def left(days: pl.DataFrame, customers: pl.DataFrame, at: date) -> Floats:
    """Which of `customers` (customer_id, limit) have been silent for longer than their limit at the end of day `at`.

    One entry a customer, 1 or 0. `days` may go on after `at`; what comes later is not looked at.
    """
    last = days.filter(pl.col("day") <= at).group_by("customer_id").agg(pl.col("day").max().alias("latest"))
    silence = customers.join(last, on="customer_id", how="left", maintain_order="left").select(
        (pl.lit(at) - pl.col("latest")).dt.total_days() > pl.col("limit")
    )
    gone: Floats = silence.to_series().cast(pl.Float64).to_numpy()
    return gone
