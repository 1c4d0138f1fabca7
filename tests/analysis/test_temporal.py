"""Hours of the week: clock changes, intervals that keep what they promise, what is published, words."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
import weeks
from hypothesis import given
from hypothesis import strategies as st
from test_intervals import accepted

from patternbook.analysis import clustered, suppression, temporal
from patternbook.analysis.clustered import log_ratios
from patternbook.analysis.intervals import ratio_of_totals
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period
from patternbook.analysis.temporal import CLUSTERS, SLOTS, Months, Rhythm, Windows
from patternbook.formats import Formats

US = Formats("USD", "en_US")
FLAT = np.full(SLOTS, 0.02)
SUNDAY_2 = 6 * 24 + 2
SEEDS = 60


def busy_mornings() -> np.ndarray:
    """Conversion of ten per cent, twice that on weekdays from 9 to 12."""
    by_hour = np.full((7, 24), 0.10)
    by_hour[:5, 9:12] = 0.20
    return by_hour.ravel()


# --- the clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("month", "times"), [(3, 3), (10, 5)])
def test_a_clock_change_is_an_hour_less_or_more(month: int, times: int) -> None:
    """Four weeks with the Sunday on which Berlin's clocks change: 2:00 is skipped in March, comes twice in October."""
    first = {3: datetime(2024, 3, 11), 10: datetime(2024, 10, 7)}[month]
    last = {3: datetime(2024, 4, 7, 23), 10: datetime(2024, 11, 3, 23)}[month]
    observed = temporal.observed_hours(weeks.hourly(first, last), "Europe/Berlin")
    assert observed[SUNDAY_2] == times
    assert np.delete(observed, SUNDAY_2).tolist() == [4.0] * 167


def test_hours_are_counted_from_the_first_event_to_the_last() -> None:
    observed = temporal.observed_hours(weeks.hourly(datetime(2024, 7, 1, 10), datetime(2024, 7, 8, 9)), "UTC")
    assert observed.tolist() == [1.0] * SLOTS


def test_a_first_or_last_day_that_is_not_whole_is_left_out() -> None:
    ends = weeks.hourly(datetime(2024, 7, 1, 5), datetime(2024, 7, 20, 22))
    assert temporal.whole_days(ends) == Period(date(2024, 7, 2), date(2024, 7, 19))
    assert temporal.whole_days(weeks.hourly(datetime(2024, 7, 1), datetime(2024, 7, 1, 23))) == Period(
        date(2024, 7, 1), date(2024, 7, 1)
    )
    assert isinstance(temporal.whole_days(weeks.hourly(datetime(2024, 7, 1, 1), datetime(2024, 7, 1, 3))), LeftOut)


# --- intervals ----------------------------------------------------------------------------------------------------


def test_a_ratio_has_the_interval_of_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    sessions = rng.poisson(rng.gamma(1, 3, 400)).astype(float)
    orders = rng.binomial(sessions.astype(int), 0.2).astype(float)
    low, high = log_ratios(orders[:, None], sessions[:, None]).intervals()
    oracle = ratio_of_totals(np.column_stack([orders, sessions]), (1, -1))
    assert oracle is not None and oracle.low is not None and oracle.high is not None
    assert (low[0], high[0]) == pytest.approx((oracle.low, oracle.high), rel=0.01)


def test_one_customer_many_times_is_one_customer() -> None:
    """Each customer's visits all end alike: an interval that counts visits would be a third as wide."""
    sessions = np.full((200, 1), 9.0)
    orders = sessions * (np.arange(200)[:, None] < 40)
    low, high = log_ratios(orders, sessions).intervals()
    by_customer = log_ratios(orders / 9, sessions / 9).intervals()
    assert (low[0], high[0]) == pytest.approx((by_customer[0][0], by_customer[1][0]))


def test_what_cannot_be_divided_has_no_ratio() -> None:
    empty = log_ratios(np.column_stack([np.ones(20), np.zeros(20)]), np.ones((20, 1)))
    assert np.isfinite(empty.values).tolist() == [True, False]
    assert not np.isfinite(log_ratios(np.ones((5, 1)), np.ones((5, 1))).values).any()  # too few clusters


def test_intervals_of_all_hours_hold_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 168 rates at once, and the one that happens to be the highest, 95 times in 100."""
    monkeypatch.setattr(clustered, "DRAWS", 500)
    visits = FLAT * (1 + 0.5 * np.sin(np.arange(SLOTS) / 24 * 2 * np.pi))
    truth = weeks.smooth(visits) / visits.mean()
    every = highest = 0
    for seed in range(SEEDS):
        mart = weeks.shop(np.random.default_rng(seed), 400, visits, FLAT)
        found = temporal.windows(weeks.rhythm(mart), "sessions")
        assert isinstance(found, Windows)
        holds = (found.low <= truth) & (truth <= found.high)
        every += bool(holds.all())
        highest += bool(holds[found.peak])
    assert accepted(every, SEEDS)
    assert highest >= every


def test_hours_without_anything_have_an_upper_end() -> None:
    visits = FLAT.copy()
    visits[:12] = 0
    found = temporal.windows(weeks.rhythm(weeks.shop(np.random.default_rng(2), 300, visits, FLAT)), "sessions")
    assert isinstance(found, Windows)
    assert found.rate[1:11].tolist() == [0.0] * 10
    assert (found.high[1:11] > 0).all() and found.quiet[1:11].all()


def test_a_peak_is_found_where_it_is() -> None:
    visits = FLAT.copy()
    visits[4 * 24 + 18 : 4 * 24 + 21] *= 4
    data = weeks.rhythm(weeks.shop(np.random.default_rng(3), 400, visits, FLAT))
    found = temporal.windows(data, "sessions")
    assert isinstance(found, Windows)
    assert temporal.window_name(found.peak, 3) == "Friday 18:00–21:00"
    assert found.alike == 0
    assert "Sessions start most on Friday 18:00–21:00" in temporal.answer(found, data, US)


# --- when to send -------------------------------------------------------------------------------------------------


def test_hours_that_convert_alike_are_seldom_recommended() -> None:
    """Without any difference, one calendar in twenty may name an hour."""
    named = 0
    for seed in range(60):
        mart = weeks.shop(np.random.default_rng(seed), 300, FLAT, np.full(SLOTS, 0.2), groups={"platform": "web"})
        found = temporal.send_windows(weeks.rhythm(mart), 0.05)
        assert not isinstance(found, LeftOut)
        named += bool(found["hours"].sum())
    assert named <= 10  # of 60 at 5 %: one time in 10,000


def test_hours_that_convert_better_are_found_and_their_lift_is_not_flattered() -> None:
    lifts = []
    for seed in range(20):
        mart = weeks.shop(np.random.default_rng(seed), 2000, FLAT * 2, busy_mornings())
        found = temporal.send_windows(weeks.rhythm(mart), 0.05)
        assert not isinstance(found, LeftOut)
        row = found.row(0, named=True)
        slots = np.array(row["slots"])
        assert np.isin(slots // 24, range(5)).mean() > 0.9
        assert np.isin(slots % 24, range(8, 13)).mean() > 0.9
        lifts.append(row["lift"])
    assert 1.5 < np.mean(lifts) <= 2.0  # an hour beside the best ones converts in part as they do


def test_order_lines_have_no_conversion() -> None:
    data = weeks.rhythm(weeks.shop(np.random.default_rng(1), 100, FLAT, FLAT))._replace(sessions_known=False)
    assert isinstance(temporal.send_windows(data, 0.05), LeftOut)
    found = temporal.windows(data)
    assert isinstance(found, Windows)
    assert "conversion" not in temporal.hour_table(data, found).columns
    assert "conversion" not in temporal.weekday_table(data).columns


def test_too_little_time_or_too_few_people_leave_the_week_out() -> None:
    mart = weeks.shop(np.random.default_rng(1), 100, FLAT, FLAT)
    short = temporal.rhythm(mart, weeks.hourly(datetime(2024, 7, 1), datetime(2024, 7, 8)), "UTC", 3, 10, "clickstream")
    assert isinstance(short, LeftOut) and "14 days" in short.reason
    few = weeks.rhythm(mart.filter(pl.col("cluster") < 5))
    assert isinstance(temporal.windows(few), LeftOut)
    for measure in temporal.measures(temporal.windows(few), few):
        assert measure.value is None and "too few" in (measure.reason or "")


# --- what is published --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 12))
def test_no_hidden_cell_follows_from_the_total(people: list[int], minimum: int) -> None:
    counts = np.array(people)
    hidden = suppression.hidden(counts, minimum)
    assert not ((counts > 0) & (counts < minimum) & ~hidden).any()
    if hidden.any() and hidden.sum() < (counts > 0).sum():
        assert hidden.sum() > 1
        assert counts[hidden].sum() >= minimum
    assert not hidden[counts == 0].any()


def test_hours_of_few_people_are_not_published() -> None:
    visits = FLAT.copy()
    visits[24:30] = 0.0005
    data = weeks.rhythm(weeks.shop(np.random.default_rng(1), 300, visits, FLAT * 10), minimum_group=10)
    found = temporal.windows(data, "sessions")
    assert isinstance(found, Windows)
    table = temporal.hour_table(data, found)
    customers = data.mart.group_by((pl.col("weekday") - 1) * 24 + pl.col("hour")).agg(pl.col("customers").sum())
    few = customers.filter(pl.col("customers") < 10)["weekday"].to_list()
    assert few
    assert table[few]["sessions"].null_count() == len(few)
    assert table[few]["rate"].null_count() == len(few)
    assert table["sessions"].null_count() > 1


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([9, 10, 11], "Mon 09:00–12:00"),
        ([9, 33, 57], "Mon–Wed 09:00–10:00"),
        ([9, 33, 81, 154, 155, 158], "Mon–Tue, Thu 09:00–10:00; Sun 10:00–12:00, 14:00–15:00"),
        ([23, 24], "Mon 23:00–24:00; Tue 00:00–01:00"),
        ([], ""),
    ],
)
def test_hours_in_words(slots: list[int], words: str) -> None:
    flags = np.zeros(SLOTS, bool)
    flags[slots] = True
    assert temporal.in_words(flags) == words


def test_a_window_runs_round_the_week() -> None:
    assert temporal.window_name(0, 3) == "Sunday 23:00–02:00"
    assert temporal.days_in_words((25, 26, 1, 2, 31, 26)) == "1–2, 25–26, 31"


# --- months -------------------------------------------------------------------------------------------------------


def monthly(conversions: list[float], categories: list[float], seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for k, (conversion, mean) in enumerate(zip(conversions, categories, strict=True)):
        sessions = 1 + rng.poisson(2, CLUSTERS)
        buying = rng.binomial(sessions, conversion)
        rows.append(
            pl.DataFrame(
                {
                    "month": date(2024, 1 + k, 1),
                    "cluster": range(CLUSTERS),
                    "customers": 1,
                    "sessions": sessions,
                    "buying_sessions": buying,
                    "buyers": (buying > 0).astype(int),
                    "explorers": 1,
                    "categories": 1 + rng.poisson(mean - 1, CLUSTERS),
                }
            )
        )
    return pl.concat(rows)


YEAR = Period(date(2024, 1, 1), date(2024, 12, 31))


def test_a_shift_of_exploration_is_found() -> None:
    found = temporal.months(monthly([0.2] * 6, [2, 2, 2, 3, 3, 3]), YEAR, 10, "clickstream", 0.05)
    assert isinstance(found, Months)
    assert found.table["categories_shifted"][3]
    assert found.table["categories_change"][3] == pytest.approx(0.5, abs=0.15)
    (level, change) = temporal.month_measures(found)
    assert level.interval is not None and level.interval[0] < 3 < level.interval[1]
    assert change.value is not None and abs(change.value) < 0.15


def test_months_that_are_alike_seldom_shift() -> None:
    shifted = 0
    for seed in range(60):
        found = temporal.months(monthly([0.2] * 4, [2] * 4, seed), YEAR, 10, "clickstream", 0.05)
        assert isinstance(found, Months)
        shifted += bool(sum(found.table[f"{name}_shifted"].sum() for name in ("categories", "conversion")))
    assert shifted <= 10  # of 60 at 5 %: one time in 10,000


def test_months_that_are_not_whole_are_left_out() -> None:
    mart = monthly([0.2] * 3, [2] * 3)
    found = temporal.months(mart, Period(date(2024, 1, 2), date(2024, 3, 31)), 10, "clickstream", 0.05)
    assert isinstance(found, Months)
    assert found.table["month"].to_list() == [date(2024, 2, 1), date(2024, 3, 1)]
    only = temporal.months(mart, Period(date(2024, 1, 2), date(2024, 2, 29)), 10, "clickstream", 0.05)
    assert isinstance(only, LeftOut)


def test_order_lines_have_months_without_browsing() -> None:
    found = temporal.months(monthly([1.0] * 3, [2] * 3), YEAR, 10, "transactions", 0.05)
    assert isinstance(found, Months)
    assert found.measures == ("orders_a_day",)
    assert all(measure.value is None for measure in temporal.month_measures(found))
    assert isinstance(found, Months) and "reliable" in temporal.months_answer(found, US)


def test_the_observed_week_of_a_rhythm() -> None:
    mart = weeks.shop(np.random.default_rng(1), 50, FLAT, FLAT)
    found = temporal.rhythm(
        mart, weeks.hourly(datetime(2024, 7, 1), datetime(2024, 7, 28, 23)), "UTC", 3, 10, "clickstream"
    )
    assert isinstance(found, Rhythm)
    assert found.days == 28
