"""A market that does little but buy again and spend: the models find what was planted."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from markets import market, source
from scipy.stats import binom

from patternbook.analysis import holdout, leaving
from patternbook.analysis.classification import auc, percentiles
from patternbook.analysis.gammagamma import GammaGamma
from patternbook.analysis.lifetime import LABELS, Models, fit, parameters
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.moments import Definition, Log

Z = 4.0  # so that no seed had to be picked
GROUPS = 20
YEAR = date(2024, 12, 31)
WEEK = 7 * 86_400


class Bought(NamedTuple):
    """Orders of the market, what was planted in it, and its customers."""

    orders: pl.DataFrame
    planted: dict[str, dict[str, float]]
    customers: pl.DataFrame


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> Bought:
    made = market(
        tmp_path_factory.mktemp("raw") / "buyers", source(100_000, only=("repeat_buying", "spend"), customers=16_000)
    )
    orders = (
        made.rows.filter(pl.col("event_type") == "purchase")
        .group_by("user_session")
        .agg(
            pl.col("user_id").first().alias("customer_id"),
            pl.col("event_time").min().alias("ordered_at"),
            pl.len().alias("units"),
            pl.col("price").sum().alias("revenue"),
        )
    )
    return Bought(orders, made.truth["planted"], made.table("customers"))


def histories(orders: pl.DataFrame) -> pl.DataFrame:
    """By the second, as planted; a history by the day takes two orders of one day for one, which moves α."""
    at = pl.col("ordered_at")
    return orders.group_by("customer_id").agg(
        (pl.len() - 1).cast(pl.Int64).alias("x"),
        ((at.max() - at.min()).dt.total_seconds() / WEEK).alias("t_x"),
        ((pl.lit(datetime(2025, 1, 1)) - at.min()).dt.total_seconds() / WEEK).alias("T"),
        pl.len().alias("transactions"),
        pl.col("revenue").mean().alias("mean_spend"),
    )


def test_planted_buying_and_spend_lie_within_their_intervals(bought: Bought) -> None:
    """All buyers at once, where errors are smallest; and of 20 groups of them, as often as the intervals say."""
    orders, planted, _ = bought
    exact = histories(orders)
    models = fit(exact, 50)
    assert isinstance(models, Models) and isinstance(models.spend, GammaGamma)
    buying, spend = models.buying, models.spend
    for found, covariance, names, topic in (
        (buying.parameters, buying.covariance, ("r", "alpha_weeks", "a", "b"), "buying"),
        (np.array([spend.p, spend.q, spend.v]), spend.covariance, ("p", "q", "v"), "spend"),
    ):
        truth = np.array([planted[topic][name] for name in names])
        away = np.log(found / truth) / np.sqrt(np.diag(covariance))
        assert (np.abs(away) < Z).all(), (found, truth, away)
    truths = [planted["buying"][name] for name in ("r", "alpha_weeks", "a", "b")]
    truths += [planted["spend"][name] for name in ("p", "q", "v")]
    held = dict.fromkeys(LABELS, 0)
    for (_,), part in exact.group_by(pl.col("customer_id").hash() % GROUPS):
        of_part = fit(part, 50)
        assert isinstance(of_part, Models)
        estimates = parameters(of_part, part.height)
        for name, value in zip(LABELS, truths, strict=True):
            held[name] += estimates[name].low <= value <= estimates[name].high
    assert min(held.values()) >= binom.ppf(1e-4, GROUPS, 0.95), held


def test_what_follows_is_forecast(bought: Bought) -> None:
    """With nothing but the mechanism at work the total is right to within chance."""
    checked = holdout.check(bought.orders, date(2024, 1, 1), YEAR, "auto", "week", "UTC", 50, 10)
    assert not isinstance(checked, LeftOut)
    off = holdout.error(checked)
    assert off.low is not None and off.high is not None
    width = (off.high - off.low) / 2 / 1.96
    assert abs(off.value) < Z * max(width, 0.02), off
    later = checked.weekly.filter(pl.col("week") > checked.calibration_end)
    within = later.filter(pl.col("actual").is_between("low", "high")).height
    assert within >= binom.ppf(1e-4, later.height, 0.95)


def test_who_has_dropped_out_is_told_by_the_forecast_of_leaving(bought: Bought) -> None:
    """It knows more than recency of who leaves, and of who has been planted to have dropped out already."""
    log = Log.of(bought.orders, None, date(2024, 1, 1), YEAR, "UTC")
    settings = leaving.Settings(Definition("silence", 0.9, 0.5), 0.6, 50, 2)
    found = leaving.forecast(leaving.Moments(log, settings), 90)
    assert isinstance(found, leaving.Forecast) and found.tested is not None
    tested = found.tested
    ahead = percentiles(tested.replicates[leaving.MODEL] - tested.replicates[leaving.RECENCY], len(tested.left))
    assert ahead.low is not None and ahead.low > 0
    assert abs(tested.excess(leaving.MODEL)) < 0.25**2  # of log-odds: about five in a hundred customers
    known = found.undecided.join(bought.customers, on="customer_id", how="left", maintain_order="left")
    gone = (known["dropped_out_at"] <= datetime(2025, 1, 1)).fill_null(value=False).to_numpy()
    by_forecast, by_recency = auc(gone, found.probability), auc(gone, known["silence"].to_numpy())
    assert by_forecast.low is not None and by_recency.high is not None
    assert by_forecast.value > by_recency.value
    assert by_forecast.low > 0.6
