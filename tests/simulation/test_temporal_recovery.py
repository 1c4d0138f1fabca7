"""A market with nothing but hours, weekdays and payday: each is found again within the stated intervals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markets import Market, market, source

from patternbook.analysis import payday, temporal
from patternbook.analysis.clustered import log_ratios
from patternbook.analysis.payday import Payday
from patternbook.analysis.period import Period
from patternbook.analysis.temporal import CLUSTERS, Rhythm, Windows
from patternbook.simulation.behaviour import ORDER_HOURS, ORDER_WEEKDAYS, PAYDAYS, VISIT_HOURS, VISIT_WEEKDAYS

WIDER = 1.7  # of a 95 % interval for 168 at once: a chance of about one in 10,000, so that no seed had to be picked
START, END = datetime(2024, 1, 1), datetime(2024, 12, 31, 23)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return market(
        tmp_path_factory.mktemp("raw") / "rhythm",
        source(150_000, only=("hours", "payday", "repeat_buying"), customers=24_000),
    )


@pytest.fixture(scope="module")
def week(made: Market) -> Rhythm:
    """The mart, made apart from the warehouse."""
    sessions = made.sessions().with_columns(
        (pl.col("user_id") % CLUSTERS).alias("cluster"),
        pl.col("start").dt.weekday().alias("weekday"),
        pl.col("start").dt.hour().alias("hour"),
    )
    order = pl.col("order").cast(pl.Int64)
    buyers = pl.col("user_id").filter("order").n_unique()
    mart = sessions.group_by("cluster", "weekday", "hour").agg(
        pl.col("user_id").n_unique().alias("customers"),
        pl.len().alias("sessions"),
        order.sum().alias("buying_sessions"),
        buyers.alias("session_buyers"),
        buyers.alias("buyers"),
        order.sum().alias("orders"),
        pl.lit(0.0).alias("revenue"),
    )
    named = mart.with_columns(pl.lit("all").alias("grouping_name"), pl.lit("all").alias("group_name"))
    ends = pl.DataFrame({"day": [START.date(), END.date()], "hour": [0, 23]})
    found = temporal.rhythm(named, ends, "UTC", 3, 10, "simulated")
    assert isinstance(found, Rhythm)
    return found


def planted(hours: tuple[float, ...], weekdays: tuple[float, ...], factor: float) -> np.ndarray:
    """Intensity of each slot against the average hour of the year."""
    days = pl.date_range(START.date(), END.date(), eager=True)
    weight = np.array(weekdays)[days.dt.weekday().to_numpy() - 1]
    weight = weight * np.where(days.dt.day().is_in(PAYDAYS).to_numpy(), factor, 1.0)
    by_weekday = np.array([weight[days.dt.weekday().to_numpy() == day].mean() for day in range(1, 8)])
    intensity = np.outer(by_weekday, hours).ravel()
    return intensity / (weight.mean() * np.mean(hours))


def smooth(values: np.ndarray) -> np.ndarray:
    return sum(np.roll(values, shift) for shift in (-1, 0, 1)) / 3


def assert_within(found: Windows, truth: np.ndarray) -> None:
    shown = found.shown & (found.rate > 0)
    off = np.abs(np.log(found.rate / truth))[shown]
    half = np.log(found.high / found.low)[shown] / 2
    assert (off < WIDER * half).all(), (off / half).max()


def test_planted_hours_and_weekdays_of_orders(made: Market, week: Rhythm) -> None:
    factor = made.truth["planted"]["rhythm"]["payday_factor"]
    found = temporal.windows(week, "orders")
    assert isinstance(found, Windows)
    truth = smooth(planted(ORDER_HOURS, ORDER_WEEKDAYS, factor))
    assert_within(found, truth)
    assert truth[found.peak] > 0.9 * truth.max()
    assert found.high[np.argmax(truth)] > found.low[found.peak]  # the true peak is among those that may be as busy


def test_planted_weekdays(made: Market, week: Rhythm) -> None:
    factor = made.truth["planted"]["rhythm"]["payday_factor"]
    truth = planted(ORDER_HOURS, ORDER_WEEKDAYS, factor).reshape(7, 24).mean(axis=1)
    found = temporal.weekday_table(week)
    off = (found["rate"].log() - np.log(truth)).abs()
    half = (found["rate_high"] / found["rate_low"]).log() / 2
    assert (off < WIDER * half).all()


def test_planted_conversion_is_recommended_in_the_morning(week: Rhythm) -> None:
    """Orders come earlier in the day than visits: the hours named are those where the planted ratio is high."""
    calendar = temporal.send_windows(week, 0.05)
    assert isinstance(calendar, pl.DataFrame)
    slots = np.array(calendar["slots"][0])
    ratio = smooth(planted(ORDER_HOURS, ORDER_WEEKDAYS, 1.0)) / smooth(planted(VISIT_HOURS, VISIT_WEEKDAYS, 1.0))
    assert len(slots) > 20
    assert (ratio[slots] > 1).mean() > 0.9


def test_planted_payday(made: Market) -> None:
    orders = made.orders()
    daily = orders.group_by(pl.col("start").dt.date().alias("day")).agg(
        pl.len().alias("orders"), pl.lit(1).alias("sessions"), pl.col("user_id").n_unique().alias("buyers")
    )
    whole = Period(START.date(), END.date())
    found = payday.payday(payday.series(daily, whole), PAYDAYS)
    assert isinstance(found, Payday) and found.effect.interval is not None
    low, high = np.log(found.effect.interval)
    truth = np.log(made.truth["planted"]["rhythm"]["payday_factor"])
    assert abs(np.log(found.effect.value) - truth) < 2 * (high - low) / 2


def test_conversion_by_hour_is_flat_where_nothing_is_planted(tmp_path: Path) -> None:
    flat = market(tmp_path / "raw", source(60_000, only=("repeat_buying",), customers=9_000)).sessions()
    slot = (flat["start"].dt.weekday().cast(pl.Int64) - 1) * 24 + flat["start"].dt.hour()
    totals = np.zeros((2, CLUSTERS, 168))
    at = ((flat["user_id"] % CLUSTERS).to_numpy(), slot.to_numpy())
    np.add.at(totals[0], at, flat["order"].cast(pl.Float64).to_numpy())
    np.add.at(totals[1], at, 1.0)
    by_day = totals.reshape(2, CLUSTERS, 7, 24).sum(axis=3)
    rates = log_ratios(by_day[0], by_day[1])
    whole = log_ratios(by_day[0].sum(axis=1, keepdims=True), by_day[1].sum(axis=1, keepdims=True))
    assert (rates.minus(whole).p_values() > 1e-5).all()
