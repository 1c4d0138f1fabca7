"""What is known of each customer on a day: the past of churn, for training, calibration, test and today alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from patternbook.analysis import silence
from patternbook.analysis.bgnbd import BgNbd, fit_bgnbd
from patternbook.analysis.history import history, purchase_days
from patternbook.analysis.intervals import Floats
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut

RECENT = 30  # days that count as recent in features
FEATURES = {  # name: what it is, in words that a value can follow
    "silence": "days since the last purchase",
    "lateness": "silence as a share of the own limit",
    "limit": "days of silence that the own rhythm allows",
    "age": "days since the first purchase",
    "transactions": "days with a purchase",
    "gap": "mean days between purchases",
    "slowing": "last gap as a multiple of the mean gap",
    "spend": "mean spend a purchase",
    "returned": "orders taken back",
    "unseen": "days since the last visit",
    "visits": "visits in the last 30 days",
    "carts": "cart events in the last 30 days",
}


class Definition(NamedTuple):
    """Who counts as having left: silent beyond a quantile of the own rhythm, or P(alive) below a threshold."""

    kind: str
    quantile: float
    alive_below: float


@dataclass(frozen=True)
class Log:
    """Purchases (`history.orders`), visits (customer_id, day, carts; None where the source has none), and the span."""

    purchases: pl.DataFrame
    days: pl.DataFrame
    visits: pl.DataFrame | None
    first: date
    last: date
    time_zone: str

    @classmethod
    def of(cls, purchases: pl.DataFrame, sessions: pl.DataFrame | None, first: date, last: date, time_zone: str) -> Log:
        """The log of a run; `sessions` has customer_id, ended_at and carts. A visit is known when it has ended."""
        days = purchase_days(purchases, time_zone)
        visits = None
        if sessions is not None:
            day = pl.col("ended_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date()
            buyers = sessions.join(days.select("customer_id").unique(), on="customer_id", how="semi")
            visits = buyers.select("customer_id", day.alias("day"), "carts")
        return cls(purchases, days, visits, first, last, time_zone)


@dataclass(frozen=True)
class Moment:
    """Customers as known at the end of a day: those present, how many have left, the repeat-buying model up to it.

    `present` has customer_id, x, t_x, T (days), limit (days of silence, may be infinite) and the `FEATURES`.
    """

    day: date
    present: pl.DataFrame
    left: pl.DataFrame
    model: BgNbd | None

    def undecided(self, horizon: int) -> pl.DataFrame:
        """Those present whose limit ends within `horizon` days, so that they may have left by then."""
        return self.present.filter(pl.col("silence") + horizon > pl.col("limit"))


def moment(log: Log, day: date, definition: Definition, minimum_buyers: int, *, model: bool = True) -> Moment | LeftOut:
    """What is known at the end of `day`, from what happened up to it. Without `model` no BG/NBD model is fitted.

    The model is None where it is not fitted or not identified; the definition `p_alive` needs one.
    """
    buyers = history(log.purchases, day, "day", log.time_zone)
    if buyers.height < minimum_buyers:
        return LeftOut(
            f"{buyers.height:,} customers had bought by {day}, fewer than the {minimum_buyers} "
            "(`lifetime.minimum_buyers`) that a forecast of who leaves needs."
        )
    fitted = _model(buyers) if model or definition.kind == "p_alive" else None
    known = silence.gaps(log.days.filter(pl.col("day") <= day))
    buyers = buyers.join(known, on="customer_id", how="left", maintain_order="left")
    limit = _limits(buyers, known, fitted, definition)
    if isinstance(limit, LeftOut):
        return limit
    quiet = pl.col("T") - pl.col("t_x")
    customers = _with_behaviour(
        buyers.select(
            "customer_id",
            pl.col("x", "t_x", "T").cast(pl.Float64),
            quiet.alias("silence"),
            pl.Series("limit", limit),
            (quiet / pl.Series("limit", limit)).alias("lateness"),
            pl.col("T").alias("age"),
            pl.col("transactions").cast(pl.Float64),
            (pl.col("t_x") / pl.col("x")).fill_nan(None).alias("gap"),
            (pl.col("last_gap") * pl.col("x") / pl.col("t_x")).alias("slowing"),
            pl.col("mean_spend").alias("spend"),
        ),
        log,
        day,
    )
    gone = pl.col("silence") > pl.col("limit")
    return Moment(day, customers.filter(~gone), customers.filter(gone), fitted)


def _model(buyers: pl.DataFrame) -> BgNbd | None:
    try:
        return fit_bgnbd(buyers["x"], buyers["t_x"], buyers["T"])
    except NotIdentified:
        return None


def _limits(buyers: pl.DataFrame, known: pl.DataFrame, model: BgNbd | None, definition: Definition) -> Floats | LeftOut:
    if definition.kind == "p_alive":
        if model is None:
            return LeftOut(
                "`churn.definition: p_alive` needs a model of repeat purchases, which these data do not identify; "
                "`silence` needs none."
            )
        x, t_x = (buyers[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x"))
        return silence.limits_of_life(model, x, t_x, definition.alive_below)
    rhythm = silence.rhythm(known)
    if isinstance(rhythm, LeftOut):
        return rhythm
    number, mean_log = (buyers[name].fill_null(0).cast(pl.Float64).to_numpy() for name in ("gaps", "mean_log"))
    return silence.limits(rhythm, number, mean_log, definition.quantile)


def _with_behaviour(customers: pl.DataFrame, log: Log, day: date) -> pl.DataFrame:
    """`customers` with what they did beside buying, up to `day`: columns returned, unseen, visits, carts."""
    local = pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(log.time_zone).dt.date()
    back = (
        log.purchases.filter(local <= day, pl.col("units") < 0)
        .group_by("customer_id")
        .agg(pl.len().cast(pl.Float64).alias("returned"))
    )
    joined = customers.join(back, on="customer_id", how="left", maintain_order="left").with_columns(
        pl.col("returned").fill_null(0)
    )
    if log.visits is None:
        return joined.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("unseen", "visits", "carts"))
    recent = pl.col("day") > day - timedelta(days=RECENT)
    seen = (
        log.visits.filter(pl.col("day") <= day)
        .group_by("customer_id")
        .agg(
            (pl.lit(day) - pl.col("day").max()).dt.total_days().cast(pl.Float64).alias("unseen"),
            recent.sum().cast(pl.Float64).alias("visits"),
            pl.col("carts").filter(recent).sum().cast(pl.Float64).alias("carts"),
        )
    )
    return joined.join(seen, on="customer_id", how="left", maintain_order="left").with_columns(
        pl.col("visits", "carts").fill_null(0)
    )


def matrix(customers: pl.DataFrame) -> Floats:
    """The features, one row a customer in the order of `FEATURES`, NaN where there is none."""
    values: Floats = customers.select(pl.col(list(FEATURES)).cast(pl.Float64)).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)
