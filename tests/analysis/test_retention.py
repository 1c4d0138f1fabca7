"""Who comes back: against counting customers one by one, against lifelines, and data that allow nothing."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times
from scipy.stats import binom

from patternbook.analysis import retention
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Span
from patternbook.analysis.retention import ByCohort, Cohorts, Curves, Waiting
from patternbook.charts import retention as charts
from patternbook.formats import Formats

US = Formats("USD", "en_US")
START = date(2024, 1, 1)  # a Monday


def visits(count: int, days: int, rng: np.random.Generator, chance: float = 0.05) -> list[set[int]]:
    """Day numbers on which each customer visits: the first day at random, later days by chance."""
    firsts = rng.integers(0, days, count)
    return [{int(first), *(int(first) + 1 + np.flatnonzero(rng.random(days - 1 - first) < chance))} for first in firsts]


def mart(seen: list[set[int]], groups: list[str] | None = None) -> pl.DataFrame:
    """The mart `cohorts` of visits, counted customer by customer."""
    rows = [
        (unit, by, group, START + timedelta(min(days)), age)
        for number, days in enumerate(seen)
        for by, group in (("all", "all"), ("platform", groups[number] if groups else None))
        if group
        for unit, length in retention.LENGTH.items()
        for age in {(day - min(days)) // length for day in days}
    ]
    names = ["unit", "grouping_name", "group_name", "first_day", "age"]
    schema = dict(zip(names, (pl.String, pl.String, pl.String, pl.Date, pl.Int64), strict=True))
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .group_by(names)
        .agg(pl.len().cast(pl.Int64).alias("customers"))
        .with_columns(pl.lit("visit").alias("activity"))
    )


def cohorts(seen: list[set[int]], days: int, groups: list[str] | None = None) -> Cohorts:
    return retention.cohorts(mart(seen, groups), "clickstream", START + timedelta(days - 1))


@pytest.mark.parametrize(("unit", "age"), [("week", 1), ("week", 3), ("month", 1)])
def test_returning_counts_customers_observed_to_the_end_of_the_age(unit: retention.Unit, age: int) -> None:
    seen, length = visits(400, 80, np.random.default_rng(5)), retention.LENGTH[unit]
    observed = [days for days in seen if min(days) + length * (age + 1) <= 80]
    back = [days for days in observed if any((day - min(days)) // length == age for day in days)]
    found = retention.returning(cohorts(seen, 80), unit, age)
    assert found is not None
    assert (found.n, round(found.value * found.n)) == (len(observed), len(back))


def test_week1_churn_is_exact_at_the_edges() -> None:
    """Day 13 is the last of the second week; a customer of 14 observed days counts, one of 13 does not."""
    seen = [{0, 13}, {0, 14}, {0, 6}, {7}, {7, 14}, {8, 16}]
    churn, month = retention.measures(cohorts(seen, 21))
    assert (churn.n, churn.value) == (5, pytest.approx(3 / 5))
    assert month.value is None
    assert month.reason


def test_interval_of_week1_churn_covers() -> None:
    """400 logs of 60 customers with a known chance to come back in days 7 to 13."""
    rng, truth, covered = np.random.default_rng(8), 0.95**7, 0
    for _ in range(400):
        back = int(rng.binomial(60, 1 - truth))
        low, high = retention.measures(cohorts([{0, 7}] * back + [{0}] * (60 - back), 14))[0].interval or (1, 0)
        covered += low <= truth <= high
    assert covered >= binom.ppf(1e-4, 400, 0.93)


def test_cohort_cells_are_observed_for_the_whole_cohort_and_large_enough() -> None:
    seen = visits(2000, 70, np.random.default_rng(3))
    found = retention.by_cohort(cohorts(seen, 70), "week", most_cohorts=5, minimum_group=10)
    assert isinstance(found, ByCohort)
    assert found.span == "week"
    table = found.table
    assert table["cohort"].n_unique() == 5
    for cohort, age, customers, back in table.select("cohort", "age", "customers", "back").iter_rows():
        own = [days for days in seen if 0 <= min(days) - (cohort - START).days < 7]
        there = sum(any((day - min(days)) // 7 == age for day in days) for days in own)
        assert customers == len(own)
        assert back == (there if there == 0 or there >= 10 else None)
        assert max(map(min, own)) + 7 * (age + 1) <= 70
    whole = [(70 - max(min(days) for days in seen if min(days) // 7 == week)) // 7 - 1 for week in range(10)]
    assert table.group_by("cohort").len().height == 5
    assert table.filter(pl.col("cohort") == table["cohort"].max())["age"].max() == [w for w in whole if w > 0][-1]


def test_curves_follow_the_same_customers_throughout() -> None:
    rng = np.random.default_rng(4)
    seen = visits(1500, 90, rng)
    groups = [("web", "app", "shop")[k] for k in rng.choice(3, len(seen), p=[0.6, 0.395, 0.005])]
    found = retention.curves(cohorts(seen, 90, groups), "platform", 20)
    assert isinstance(found, Curves)
    last = found.table["age"].max()
    assert set(found.table["group"]) == {"web", "app"}  # the shop is too small to publish
    for group, age, customers, back in found.table.select("group", "age", "customers", "back").iter_rows():
        own = [days for days, at in zip(seen, groups, strict=True) if at == group and min(days) + 7 * (last + 1) <= 90]
        there = sum(any((day - min(days)) // 7 == age for day in days) for days in own)
        assert (customers, back) == (len(own), there if there == 0 or there >= 20 else None)
    assert "week" in retention.curves_answer(found, US)


def test_where_weekly_cohorts_are_too_small_months_follow_them_by_week() -> None:
    """Of 42 newcomers a week about three come back in a week: too few to publish; of 180 a month, enough."""
    seen = visits(600, 100, np.random.default_rng(6), chance=0.012)
    found = retention.by_cohort(cohorts(seen, 100), "week", 13, 10)
    assert isinstance(found, ByCohort)
    assert (found.unit, found.span) == ("week", "month")
    for cohort, age, customers, back in found.table.select("cohort", "age", "customers", "back").iter_rows():
        own = [days for days in seen if (START + timedelta(min(days))).replace(day=1) == cohort]
        there = sum(any((day - min(days)) // 7 == age for day in days) for days in own)
        assert (customers, back) == (len(own), there if there == 0 or there >= 10 else None)
        assert max(map(min, own)) + 7 * (age + 1) <= 100


def test_a_week_with_few_comers_hides_its_cell_and_not_the_group() -> None:
    seen = [{0, 7, 14} for _ in range(40)] + [{0, 14} for _ in range(40)] + [{0, 7} for _ in range(9)]
    groups = ["web"] * 40 + ["app"] * 49
    found = retention.curves(cohorts(seen, 28, groups), "platform", 10)
    assert isinstance(found, Curves)
    assert found.table.select("group", "age", "back").rows() == [
        ("app", 1, None), ("app", 2, 40), ("app", 3, 0), ("web", 1, 40), ("web", 2, 40), ("web", 3, 0),
    ]  # fmt: skip
    assert "In week 3" in retention.curves_answer(found, US)
    figure = charts.curves(found, "visit", US)
    assert "gaps: too few to publish" in figure.layout.title.text.replace("<br>", " ")
    assert next(trace for trace in figure.data if trace.mode == "lines+markers").y[0] is None


def test_cohorts_and_curves_of_which_too_few_come_back_are_left_out() -> None:
    seen = visits(600, 90, np.random.default_rng(6), chance=0.005)
    data = cohorts(seen, 90, ["web", "app"] * 300)
    for found in (retention.by_cohort(data, "week", 13, 10), retention.curves(data, "platform", 10)):
        assert isinstance(found, LeftOut)
        assert "oo few" in found.reason or "fewer than 10" in found.reason


@pytest.mark.parametrize(("hour", "observed"), [(23, 2), (12, None)])
def test_a_last_day_that_the_data_cover_in_part_is_not_observed(hour: int, observed: int | None) -> None:
    """Both customers came on the first of fourteen days; whoever returns on the last may do so in its second half."""
    sessions = pl.DataFrame({"started_at": [datetime(2024, 1, 1)], "ended_at": [datetime(2024, 1, 14, hour, 10)]})
    data = Cohorts(mart([{0, 13}, {0}]), "visit", Span.of(sessions, "UTC").last_whole_day)
    assert retention.measures(data)[0].n == observed
    found = retention.second_purchase(purchases([13, None], [0, 0]), data.last_day, "UTC", 1)
    assert isinstance(found, Waiting if observed else LeftOut)


def purchases(waits: list[int | None], firsts: list[int]) -> pl.DataFrame:
    rows = [
        (number, datetime(2024, 1, 1, 12) + timedelta(day), 1)
        for number, (first, wait) in enumerate(zip(firsts, waits, strict=True))
        for day in ([first] if wait is None else [first, first + wait])
    ]
    return pl.DataFrame(rows, schema=["customer_id", "ordered_at", "units"], orient="row")


def test_second_purchase_is_that_of_lifelines() -> None:
    rng = np.random.default_rng(9)
    firsts, truth = rng.integers(0, 120, 300), 1 + rng.geometric(1 / 40, 300)
    waits = [int(wait) if first + wait <= 180 else None for first, wait in zip(firsts, truth, strict=True)]
    bought = purchases(waits, firsts.tolist())
    found = retention.second_purchase(bought, START + timedelta(180), "UTC", 10)
    assert isinstance(found, Waiting)
    seen = [wait is not None for wait in waits]
    durations = [180 - first if wait is None else wait for first, wait in zip(firsts, waits, strict=True)]
    oracle = KaplanMeierFitter().fit(durations, seen)
    at = found.curve["days"].to_list()
    assert found.curve["share"].to_numpy() == pytest.approx(1 - oracle.predict(at).to_numpy())
    band = oracle.confidence_interval_survival_function_.loc[at].to_numpy()
    inner = found.curve["low"].is_not_null().to_numpy() & (found.curve["share"] < 1).to_numpy()
    assert found.curve["high"].to_numpy()[inner] == pytest.approx(1 - band[inner, 0])
    assert found.curve["low"].to_numpy()[inner] == pytest.approx(1 - band[inner, 1])
    assert found.median is not None
    assert found.median.value == oracle.median_survival_time_
    ends = median_survival_times(oracle.confidence_interval_).to_numpy().ravel()
    assert found.median.interval == (min(ends), max(ends))
    assert found.curve["at_risk"].to_list() == [sum(d >= day for d in durations) for day in at]


def test_orders_of_one_day_and_returns_are_no_second_purchase() -> None:
    bought = purchases([0] * 30 + [5] * 30, [0] * 60)
    returned = pl.DataFrame({"customer_id": [0], "ordered_at": [datetime(2024, 1, 3)], "units": [-1]})
    found = retention.second_purchase(pl.concat([bought, returned]), START + timedelta(40), "UTC", 10)
    assert isinstance(found, Waiting)
    assert found.curve.filter(pl.col("days") == 5)["share"].item() == pytest.approx(0.5)
    assert found.buyers == 60


@pytest.mark.parametrize(
    ("seen", "days"),
    [([{0}], 1), ([{0}, {0}], 20), ([{day} for day in range(40)], 40), ([], 30)],
    ids=["one day", "one cohort of two", "cohorts of one", "nobody"],
)
def test_what_the_data_do_not_allow_is_left_out_in_one_sentence(seen: list[set[int]], days: int) -> None:
    data = cohorts(seen, days, ["web"] * len(seen))
    left = [
        retention.by_cohort(data, "week", 13, 10),
        retention.by_cohort(data, "month", 13, 10),
        retention.curves(data, "platform", 10),
        retention.curves(data, "category", 10),
        retention.second_purchase(purchases([None] * 5, [0] * 5), START + timedelta(9), "UTC", 10),
    ]
    assert all(isinstance(part, LeftOut) and part.reason.endswith(".") for part in left)
    assert retention.answer(data, left[-1], US).endswith(".")  # type: ignore[arg-type]


def test_no_purchase_at_all_is_left_out() -> None:
    nobody = purchases([], []).cast({"customer_id": pl.Int64, "ordered_at": pl.Datetime, "units": pl.Int64})
    found = retention.second_purchase(nobody, START, "UTC", 10)
    assert isinstance(found, LeftOut)
    assert all(measure.reason for measure in retention.waiting_measures(found))


def test_order_lines_speak_of_purchases() -> None:
    assert retention.cohorts(mart([{0}]), "transactions", START).activity == "purchase"
    bought = mart([{0, 8}, {0}]).with_columns(pl.lit("purchase").alias("activity"))
    data = retention.cohorts(bought, "transactions", START + timedelta(20))
    assert "buy again" in retention.measures(data)[0].label
