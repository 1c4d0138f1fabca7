"""Orders by day: the regression is statsmodels', payday is found with the interval it promises, odd days are odd."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
import weeks
from statsmodels.stats.sandwich_covariance import S_hac_simple
from test_intervals import accepted

from patternbook.analysis import dailymodel, payday
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.payday import OddDays, Payday, Series
from patternbook.analysis.period import Period
from patternbook.formats import Formats

US = Formats("USD", "en_US")
PAYDAYS = (25, 26, 27, 28, 29, 30, 31, 1, 2)
WEEKDAYS = np.array([1.08, 1.05, 1.03, 1.00, 1.06, 0.92, 0.86])
FACTOR = 1.35
START = date(2024, 1, 1)


def counts(rng: np.random.Generator, days: int, *, factor: float = FACTOR, mean: float = 100, memory: float = 0.5):
    """Orders by day with weekday, a slow trend, payday, and noise that lasts for days (none without memory)."""
    at = weeks.days(START, days)
    shocks, noise = rng.normal(size=days) * 0.15 * (1 - memory**2) ** 0.5, np.zeros(days)
    for k in range(1, days):
        noise[k] = memory * noise[k - 1] + shocks[k]
    rate = mean * WEEKDAYS[[day.weekday() for day in at]] * np.exp(0.3 * np.sin(np.arange(days) / 60))
    rate *= np.where([day.day in PAYDAYS for day in at], factor, 1.0)
    return at, rng.poisson(rate * np.exp(noise * (memory > 0))).astype(float)


def daily(at: list[date], orders: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"day": at, "orders": orders.astype(int), "sessions": 500, "customers": 400, "buyers": 90})


def whole(at: list[date]) -> Period:
    return Period(at[0], at[-1])


def test_the_regression_is_statsmodels() -> None:
    at, y = counts(np.random.default_rng(1), 365)
    x = dailymodel.design(at, PAYDAYS)
    fitted = dailymodel.fit(x, y)
    oracle = sm.GLM(y, x, family=sm.families.Poisson()).fit()
    assert fitted.beta == pytest.approx(oracle.params, abs=1e-8)
    leverage = oracle.get_hat_matrix_diag()
    scores = x * (oracle.resid_response / (1 - leverage))[:, None]
    meat = S_hac_simple(scores, dailymodel.LAGS)
    bread = oracle.normalized_cov_params
    assert fitted.covariance == pytest.approx(bread @ meat @ bread, rel=1e-6, abs=1e-12)


def test_the_trend_is_a_natural_spline() -> None:
    """Straight beyond the ends of the data: no curvature there, whatever the coefficients."""
    at = weeks.days(START, 200)
    trend = dailymodel.design(at)[:, -4:]
    assert np.linalg.matrix_rank(np.column_stack([np.ones(200), trend])) == 5
    assert np.abs(np.diff(trend, n=2, axis=0))[[0, -1]].max() < 0.05 * np.abs(np.diff(trend, n=2, axis=0)).max()


@pytest.mark.parametrize("factor", [1.0, FACTOR])
def test_payday_is_covered(factor: float) -> None:
    hits = 0
    for seed in range(100):
        at, y = counts(np.random.default_rng(seed), 365, factor=factor)
        found = payday.payday(payday.series(daily(at, y), whole(at)), PAYDAYS)
        assert isinstance(found, Payday) and found.effect.interval is not None
        hits += found.effect.interval[0] <= factor <= found.effect.interval[1]
    assert accepted(hits, 100)


def test_days_of_the_month_stand_at_what_was_planted() -> None:
    at, y = counts(np.random.default_rng(2), 730, memory=0.0, mean=400)
    found = payday.payday(payday.series(daily(at, y), whole(at)), PAYDAYS)
    assert isinstance(found, Payday)
    by_day = found.by_day
    assert by_day.filter("payday")["day"].to_list() == sorted(PAYDAYS)
    assert by_day.filter("payday")["factor"].to_list() == pytest.approx([FACTOR] * 9, rel=0.1)
    assert by_day.filter(~pl.col("payday"))["factor"].to_list() == pytest.approx([1.0] * 22, rel=0.1)
    assert "more than on other days" in payday.answer(found, US)


def test_odd_days_are_found_and_do_not_hide_themselves() -> None:
    at, y = counts(np.random.default_rng(3), 365, memory=0.0)
    planted = [at[100], at[101], at[200]]
    y[[100, 101]] *= 3
    y[200] = 2
    found = payday.odd_days(payday.series(daily(at, y), whole(at)), PAYDAYS, 0.05, 10)
    assert isinstance(found, OddDays)
    assert set(planted) <= set(found.odd["day"])
    assert found.odd.height <= 4
    assert found.table["expected"][200] == pytest.approx(100, rel=0.35)
    assert "stand out" in payday.odd_answer(found, US)


def test_ordinary_days_are_seldom_odd() -> None:
    some = 0
    for seed in range(60):
        at, y = counts(np.random.default_rng(seed), 180, memory=0.0)
        found = payday.odd_days(payday.series(daily(at, y), whole(at)), PAYDAYS, 0.05, 10)
        assert isinstance(found, OddDays)
        some += found.odd.height > 0
    assert some <= 10  # of 60 at 5 %: one time in 10,000


def test_a_shop_that_is_shut_on_saturdays_is_not_odd_then() -> None:
    at, y = counts(np.random.default_rng(4), 365, memory=0.0)
    y[[day.weekday() == 5 for day in at]] = 0
    holiday = np.array([day in (date(2024, 8, 1), date(2024, 8, 2)) for day in at])
    made = payday.series(daily(at, y).filter(~holiday), whole(at))
    assert isinstance(made, Series)
    assert made.closed == 2
    assert 6 not in made.table["day"].dt.weekday()
    effect = payday.payday(made, PAYDAYS)
    assert isinstance(effect, Payday) and effect.effect.interval is not None
    assert effect.effect.interval[0] < FACTOR < effect.effect.interval[1]


def test_days_of_few_buyers_hide_their_counts_and_no_total_gives_them_away() -> None:
    at, y = counts(np.random.default_rng(5), 120, memory=0.0)
    few = daily(at, y).with_columns(
        pl.when(pl.col("day") == at[60])
        .then(3)
        .when(pl.col("day") == at[90])
        .then(40)
        .otherwise("buyers")
        .alias("buyers")
    )
    found = payday.odd_days(payday.series(few, whole(at)), PAYDAYS, 0.05, 10)
    assert isinstance(found, OddDays)
    assert found.table.filter(pl.col("count").is_null())["day"].to_list() == [at[60], at[90]]
    assert found.table["factor"].null_count() == found.table["p"].null_count() == 2


@pytest.mark.parametrize(
    ("first", "last", "mean", "paydays", "said"),
    [
        (0, 40, 100, PAYDAYS, "60 whole days"),
        (0, 90, 0.5, PAYDAYS, "100 orders"),
        (31, 95, 100, (31,), "fewer than two paydays"),
    ],
)
def test_what_the_data_do_not_allow_is_left_out(
    first: int, last: int, mean: float, paydays: tuple[int, ...], said: str
) -> None:
    at, y = counts(np.random.default_rng(6), last, mean=mean)
    at, y = at[first:], y[first:]
    (measure,) = payday.measures(payday.payday(payday.series(daily(at, y), whole(at)), paydays))
    assert measure.value is None and said in (measure.reason or "")


def test_a_log_without_a_whole_day() -> None:
    reason = LeftOut("The data cover no day whole.")
    assert payday.series(daily([], np.array([])), reason) == reason
    assert payday.odd_days(reason, PAYDAYS, 0.05, 10) == reason
