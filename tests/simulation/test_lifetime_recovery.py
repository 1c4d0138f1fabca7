"""A market that does little but buy again and spend: the models find what was planted."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from markets import market, source

from patternbook.analysis import holdout
from patternbook.analysis.gammagamma import GammaGamma
from patternbook.analysis.lifetime import Models, fit
from patternbook.analysis.measure import LeftOut

Z = 4.0  # so that no seed had to be picked
YEAR = date(2024, 12, 31)
WEEK = 7 * 86_400


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, dict[str, dict[str, float]]]:
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
    return orders, made.truth["planted"]


def test_planted_buying_and_spend_lie_within_their_intervals(
    bought: tuple[pl.DataFrame, dict[str, dict[str, float]]],
) -> None:
    """By the second, as planted; a history by the day takes two orders of one day for one, which moves α."""
    orders, planted = bought
    at = pl.col("ordered_at")
    exact = orders.group_by("customer_id").agg(
        (pl.len() - 1).cast(pl.Int64).alias("x"),
        ((at.max() - at.min()).dt.total_seconds() / WEEK).alias("t_x"),
        ((pl.lit(datetime(2025, 1, 1)) - at.min()).dt.total_seconds() / WEEK).alias("T"),
        pl.len().alias("transactions"),
        pl.col("revenue").mean().alias("mean_spend"),
    )
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


def test_what_follows_is_forecast(bought: tuple[pl.DataFrame, dict[str, dict[str, float]]]) -> None:
    """With nothing but the mechanism at work the total is right to within chance."""
    checked = holdout.check(bought[0], date(2024, 1, 1), YEAR, "auto", "week", "UTC", 50)
    assert not isinstance(checked, LeftOut)
    off = holdout.error(checked)
    assert off.low is not None and off.high is not None
    width = (off.high - off.low) / 2 / 1.96
    assert abs(off.value) < Z * max(width, 0.02), off
