"""Risk to leave against value: how many customers are in each cell, what is at stake, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from patternbook.analysis.intervals import Estimate
from patternbook.analysis.leaving import Forecast, Leaving, Z
from patternbook.analysis.measure import LeftOut
from patternbook.formats import Formats

NUMBERS = ("worth", "at_stake", "low", "high")
LEVELS = ("high", "medium", "low")
WORTH = ("value_12m", "loss_12m")  # what a customer brings, and what more it would be if they never left


class Levels(NamedTuple):
    """Where levels begin: of risk by probability, of value by share of customers, the most valuable first."""

    medium_risk: float
    high_risk: float
    high_value: float
    medium_value: float


def graded(found: Leaving, customers: pl.DataFrame, levels: Levels) -> pl.DataFrame:
    """The customers who are still there, with `p`, their probability in the headline forecast, and its `risk` level.

    `customers` is that of `churn.customers`; without a headline forecast nobody is graded.
    """
    if found.headline is None:
        return customers.clear().with_columns(p=pl.lit(None, pl.Float64), risk=pl.lit(None, pl.String))
    p = pl.col(f"p_left_{found.headline.horizon}d")
    risk = _level(p >= levels.high_risk, p >= levels.medium_risk)
    return customers.filter(~pl.col("left")).with_columns(p.alias("p"), risk.alias("risk"))


def _level(high: pl.Expr, medium: pl.Expr) -> pl.Expr:
    return pl.when(high).then(pl.lit("high")).when(medium).then(pl.lit("medium")).otherwise(pl.lit("low"))


def matrix(
    forecast: Forecast | None,
    customers: pl.DataFrame,
    values: pl.DataFrame,
    levels: Levels,
    prevention: Mapping[str, Mapping[str, str]],
    minimum_group: int,
) -> pl.DataFrame | LeftOut:
    """One row a cell, high risk and high value first.

    `customers` is that of `graded` by the same forecast, `values` the frame `lifetime` by customer. Columns: risk,
    value, customers, worth (margin of twelve months expected of them if nobody left who has not), at_stake (what of it
    is expected to go with those who leave) with low and high, measure. Numbers are null where a cell has fewer than
    `minimum_group` customers, but for cells with nobody.
    """
    if forecast is None or "value_12m" not in values.columns:
        return LeftOut("Without values of customers there is nothing to set against the risk that they leave.")
    score = forecast.undecided.select("customer_id", pl.Series("score", forecast.score))
    known = (
        customers.join(values.select("customer_id", cs.starts_with("value_12m", "loss_12m")), on="customer_id")
        .join(score, on="customer_id", how="left")
        .sort("value_12m", "customer_id", descending=[True, False])
    )
    place = (pl.int_range(pl.len()) + 1) / known.height
    level = _level(place <= levels.high_value, place <= levels.medium_value)
    known = known.with_columns(level.alias("value"), pl.col("score").fill_null(0), worth=pl.sum_horizontal(*WORTH))
    rows = []
    for risk in LEVELS:
        for value in LEVELS:
            cell = known.filter(pl.col("risk") == risk, pl.col("value") == value)
            stake = at_stake(cell, forecast)
            numbers = (cell.height, float(cell["worth"].sum()), stake.value, stake.low, stake.high)
            rows.append((risk, value, *numbers, prevention[risk][value]))
    names = ["risk", "value", "customers", *NUMBERS, "measure"]
    cells = pl.DataFrame(rows, schema=names, schema_overrides=dict.fromkeys(NUMBERS, pl.Float64), orient="row")
    hidden = pl.Series(_too_small(cells["customers"].to_list(), minimum_group), dtype=pl.Boolean)
    return cells.with_columns(pl.when(~hidden).then(pl.col(name)).alias(name) for name in ("customers", *NUMBERS))


def _too_small(sizes: list[int], minimum_group: int) -> list[bool]:
    """Which cells are not published; where it is one alone, the next larger too, since their sum is known."""
    hidden = [0 < size < minimum_group for size in sizes]
    others = [size for size, small in zip(sizes, hidden, strict=True) if size and not small]
    if sum(hidden) == 1 and others:
        hidden[sizes.index(min(others))] = True
    return hidden


def at_stake(customers: pl.DataFrame, forecast: Forecast) -> Estimate:
    """Σ p · worth of `customers` (p, score, worth and the loadings of both its parts), with a 95 % interval.

    Variances add up: what the parameters of value leave open (its loadings), what the calibration leaves open, and
    whether each customer leaves. Symmetric in the logarithm; no interval where nothing is at stake.
    """
    p, score, worth = (customers[name].to_numpy() for name in ("p", "score", "worth"))
    value = float(p @ worth)
    if value <= 0:
        return Estimate(0.0, None, None, customers.height)
    loading = sum(p @ customers[f"{name}_loadings"].to_numpy().reshape(len(p), -1).astype(float) for name in WORTH)
    spread = p * (1 - p) * worth
    slope = np.array([spread.sum(), spread @ score])
    variance = float(loading @ loading + slope @ forecast.uncertainty @ slope + (p * (1 - p)) @ worth**2)
    factor = float(np.exp(Z * np.sqrt(variance) / value))
    return Estimate(value, value / factor, value * factor, customers.height)


def answer(cells: pl.DataFrame | LeftOut, formats: Formats) -> str:
    """Where most is at stake, in one sentence."""
    if isinstance(cells, LeftOut):
        return cells.reason
    known = cells.drop_nulls("low").sort("at_stake", descending=True)
    if known.is_empty():
        return "No group of customers is large enough to say what is at stake with it."
    most = known.row(0, named=True)
    return (
        f"Most is at stake with the {formats.count(most['customers'])} customers of {most['risk']} risk and "
        f"{most['value']} value: {formats.money(most['at_stake'], (most['low'], most['high']))} of the margin of "
        "twelve months is expected to go with those of them who leave."
    )
