"""The shop at a glance, on small logs made for it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import shop

from patternbook.analysis import eda
from patternbook.analysis.eda import Activity, Marts, Prices, TopProducts, Trend
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period, Span
from patternbook.formats import Formats

US = Formats("USD", "en_US")
START = datetime(2024, 7, 1)


def log(days: int, price_later: float = 20.0, seed: int = 1, a_day: int = 60) -> pl.DataFrame:
    """Customers who view at any time of day, every third one of whom buys; prices may change after half the days."""
    rng = np.random.default_rng(seed)
    n = days * a_day
    second = np.sort(np.concatenate([[0, days * 86_400 - 1], rng.integers(0, days * 86_400, n - 2)]))
    buys = np.arange(n) % 3 == 0
    price = np.where(second < days * 43_200, 20.0, price_later) * rng.uniform(0.8, 1.25, n)
    return pl.DataFrame(
        {
            "customer_id": rng.integers(0, n // 4, n),
            "session_id": np.arange(n),
            "event_time": np.datetime64(START, "us") + second * np.timedelta64(1_000_000, "us"),
            "event_type": np.where(buys, "purchase", "view"),
            "product_id": rng.integers(0, 12, n),
            "price": price.round(2),
            "amount": np.where(buys, price.round(2), np.nan),
        }
    ).with_columns(pl.col("amount").fill_nan(None))


def marts_of(events: pl.DataFrame) -> Marts:
    built = shop.marts(events)
    return Marts(**{name: built[name].select(columns) for name, columns in eda.MARTS.items()})


def glance(marts: Marts) -> tuple[Span, eda.Totals, Trend | LeftOut]:
    span = Span.of(marts.sessions, "UTC")
    return span, eda.totals(marts), eda.trend(marts, span, "UTC", 28)


def test_totals_are_what_the_log_holds() -> None:
    events = log(20)
    totals = eda.totals(marts_of(events))
    sold = events.filter(pl.col("event_type") == "purchase")
    assert totals.events == 1200
    assert totals.customers == events["customer_id"].n_unique()
    assert totals.buyers == sold["customer_id"].n_unique()
    assert (totals.orders, totals.sessions, totals.products) == (400, 1200, 12)
    assert totals.revenue == pytest.approx(sold["amount"].sum())
    assert totals.aov is not None
    assert totals.aov.value == pytest.approx(sold["amount"].sum() / 400)
    assert totals.aov.n == totals.buyers


def test_returns_and_cancellations_lower_revenue_and_are_no_orders() -> None:
    events = pl.DataFrame(
        {
            "customer_id": [1, 1, 2, None],
            "session_id": [1, 2, 3, 4],
            "event_time": [START + timedelta(days=day) for day in range(4)],
            "event_type": ["purchase"] * 4,
            "event_name": [None, "cancellation", None, None],
            "product_id": [1] * 4,
            "amount": [100.0, -30.0, 50.0, 20.0],
        }
    )
    totals = eda.totals(marts_of(events))
    assert (totals.orders, totals.revenue, totals.buyers) == (3, 140.0, 2)
    assert totals.aov is not None
    assert totals.aov.value == pytest.approx(140 / 3)
    assert totals.aov.n == 3  # two customers, and one order of somebody unknown
    assert totals.purchases_only


@pytest.mark.parametrize(
    ("first", "last", "longest", "earlier", "later"),
    [
        # 70 whole days: four weeks and four weeks
        (datetime(2024, 7, 1, 0, 5), datetime(2024, 9, 8, 23, 50), 28, (date(2024, 7, 15), date(2024, 8, 11)),
         (date(2024, 8, 12), date(2024, 9, 8))),
        # 40 whole days and a piece at each end: two weeks and two weeks
        (datetime(2024, 7, 1, 9, 0), datetime(2024, 8, 11, 12, 0), 28, (date(2024, 7, 14), date(2024, 7, 27)),
         (date(2024, 7, 28), date(2024, 8, 10))),
        (datetime(2024, 7, 1), datetime(2024, 8, 31, 23, 59), 7, (date(2024, 8, 18), date(2024, 8, 24)),
         (date(2024, 8, 25), date(2024, 8, 31))),
    ],
)  # fmt: skip
def test_only_whole_weeks_are_compared(
    first: datetime,
    last: datetime,
    longest: int,
    earlier: tuple[date, date],
    later: tuple[date, date],
) -> None:
    assert eda.comparable_periods(Span(first, last), longest) == (Period(*earlier), Period(*later))


@pytest.mark.parametrize("last", [datetime(2024, 7, 1, 2, 50), datetime(2024, 7, 14, 22, 0)])
def test_short_data_have_no_trend_and_say_why(last: datetime) -> None:
    periods = eda.comparable_periods(Span(START, last), 28)
    assert isinstance(periods, LeftOut)
    assert "14 whole days" in periods.reason


def test_the_trend_is_the_change_of_the_daily_totals() -> None:
    marts = marts_of(log(60, price_later=30))
    span, _, trend = glance(marts)
    assert isinstance(trend, Trend)
    daily = marts.daily.with_columns(pl.col("revenue").cast(pl.Float64))
    later, earlier = (daily.filter(pl.col("day").is_between(*period)) for period in (trend.later, trend.earlier))
    assert trend.revenue is not None
    assert trend.orders is not None
    assert trend.aov is not None
    assert trend.customers is not None
    assert trend.revenue.value == pytest.approx(later["revenue"].sum() / earlier["revenue"].sum() - 1)
    assert trend.orders.value == pytest.approx(later["orders"].sum() / earlier["orders"].sum() - 1)
    assert 1 + trend.aov.value == pytest.approx((1 + trend.revenue.value) / (1 + trend.orders.value))
    active = [
        marts.sessions.filter(pl.col("started_at").dt.date().is_between(*period))["customer_id"].n_unique()
        for period in (trend.later, trend.earlier)
    ]
    assert trend.customers.value == pytest.approx(active[0] / active[1] - 1)
    assert span.days == 60


@pytest.mark.parametrize(
    ("price_later", "said"),
    [
        (40.0, "the average order value rose by"),
        (10.0, "the average order value fell by"),
        (20.0, "the average order value showed no clear change, at"),
    ],
)
def test_the_answer_says_rose_fell_or_neither(price_later: float, said: str) -> None:
    marts = marts_of(log(56, price_later))
    answer = eda.answer(*glance(marts), US)
    assert said in answer
    assert "on average $" in answer
    assert answer.startswith("From Jul 1, 2024 to Aug 25, 2024, ")


def test_a_fall_is_told_without_a_minus() -> None:
    sentence = eda.trend_sentence(
        Trend(
            Period(START.date(), START.date()),
            Period(START.date(), START.date()),
            *[Estimate(-0.1, -0.15, -0.05, 99)] * 4,
        ),
        US,
    )
    assert "revenue fell by 10% (5%–15%)" in sentence


def test_a_log_without_purchases_leaves_out_what_needs_them() -> None:
    marts = marts_of(log(30).with_columns(event_type=pl.lit("view"), amount=pl.lit(None, pl.Float64)))
    span, totals, trend = glance(marts)
    measures = {measure.name: measure for measure in eda.measures(span, totals, trend, 10)}
    missing = {name for name, measure in measures.items() if measure.value is None}
    assert missing == {"orders", "revenue", "aov", "conversion", "revenue_change", "orders_change", "aov_change"}
    assert all(measures[name].reason == eda.NO_PURCHASE for name in missing)
    assert "no purchase" in eda.answer(span, totals, trend, US)
    activity = eda.activity(marts, span, 7, 10)
    assert isinstance(activity, Activity)


def test_orders_alone_have_no_sessions_and_no_conversion() -> None:
    marts = marts_of(log(30).filter(pl.col("event_type") == "purchase"))
    measures = {measure.name: measure for measure in eda.measures(*glance(marts), 10)}
    assert "orders only" in (measures["sessions"].reason or "")
    assert measures["conversion"].value is None
    assert measures["orders"].value == 600


def test_few_buyers_are_not_published() -> None:
    marts = marts_of(log(30))
    few = marts._replace(customers=marts.customers.with_columns(orders=(pl.int_range(pl.len()) < 9).cast(pl.Int64)))
    measures = {measure.name: measure for measure in eda.measures(*glance(few), 10)}
    assert "Fewer than 10 buyers" in (measures["conversion"].reason or "")


def test_nobody_known() -> None:
    marts = marts_of(log(30).with_columns(customer_id=pl.lit(None, pl.Int64)))
    span, totals, trend = glance(marts)
    measures = {measure.name: measure for measure in eda.measures(span, totals, trend, 10)}
    assert measures["customers"].reason == eda.NO_CUSTOMER
    assert measures["aov"].n == 600
    assert "customers that the log does not name" in eda.answer(span, totals, trend, US)


def test_the_days_are_those_of_the_shop() -> None:
    sessions = marts_of(log(2)).sessions
    assert Span.of(sessions, "Asia/Tokyo").first.isoformat() == "2024-07-01T09:00:00+09:00"


def test_activity_fills_days_without_events_and_averages_over_whole_ones() -> None:
    events = log(30).filter(pl.col("event_time").dt.date() != date(2024, 7, 10))
    marts = marts_of(events)
    activity = eda.activity(marts, Span.of(marts.sessions, "UTC"), 7, 1)
    assert isinstance(activity, Activity)
    table = activity.table
    assert (activity.unit, table.height) == ("day", 30)
    assert table.filter(pl.col("at") == date(2024, 7, 10))["customers"].to_list() == [0]
    assert table["customers_average"].null_count() == 6
    assert table["customers_average"][6] == pytest.approx(table["customers"][:7].mean())


def test_a_short_log_is_shown_by_hour() -> None:
    marts = marts_of(log(1, a_day=600).filter(pl.col("event_time") < START + timedelta(hours=3)))
    activity = eda.activity(marts, Span.of(marts.sessions, "UTC"), 7, 10)
    assert isinstance(activity, Activity)
    assert activity.unit == "hour"
    assert activity.table["at"].to_list() == [START + timedelta(hours=hour) for hour in range(3)]


def test_days_of_few_customers_are_hidden() -> None:
    events = log(20)
    quiet = (pl.col("event_time").dt.date() == date(2024, 7, 10)) & (pl.col("customer_id") > 15)
    marts = marts_of(events.filter(~quiet))
    activity = eda.activity(marts, Span.of(marts.sessions, "UTC"), 7, 10)
    assert isinstance(activity, Activity)
    hidden = activity.table.filter(pl.col("at") == date(2024, 7, 10))
    assert activity.hidden == 1
    assert hidden.select("customers", "orders", "revenue").row(0) == (None, None, None)
    touched = activity.table.filter(pl.col("at").is_between(date(2024, 7, 10), date(2024, 7, 16)))
    assert touched["customers_average"].null_count() == touched["revenue_average"].null_count() == 7


def test_orders_and_revenue_of_few_buyers_are_hidden_where_many_came() -> None:
    day = pl.col("event_time").dt.date() == date(2024, 7, 10)
    bought = pl.col("event_type") == "purchase"
    events = log(20)
    kept = events.filter(day & bought)["customer_id"].unique().sort().head(3).implode()
    marts = marts_of(events.filter(~(day & bought) | pl.col("customer_id").is_in(kept)))
    activity = eda.activity(marts, Span.of(marts.sessions, "UTC"), 7, 10)
    assert isinstance(activity, Activity)
    hidden = activity.table.filter(pl.col("at") == date(2024, 7, 10))
    assert hidden["customers"][0] >= 10
    assert hidden.select("orders", "revenue").row(0) == (None, None)
    assert activity.table["customers_average"].null_count() == 6
    assert activity.table["orders"].null_count() >= 2  # a lone one would be the total less the others


def test_orders_of_few_unknown_people_are_hidden() -> None:
    marts = marts_of(log(20))
    day = pl.col("day") == date(2024, 7, 10)
    guests = marts.daily.with_columns(
        pl.when(day).then(0).otherwise("buyers").alias("buyers"),
        pl.when(day).then(6).otherwise("orders").alias("orders"),
    )
    activity = eda.activity(marts._replace(daily=guests), Span.of(marts.sessions, "UTC"), 7, 10)
    assert isinstance(activity, Activity)
    assert activity.table.filter(pl.col("at") == date(2024, 7, 10))["orders"].to_list() == [None]


def test_a_log_of_few_people_shows_no_activity() -> None:
    marts = marts_of(log(20).filter(pl.col("customer_id") < 9))
    assert isinstance(eda.activity(marts, Span.of(marts.sessions, "UTC"), 7, 10), LeftOut)


def test_the_event_mix_adds_up() -> None:
    marts = marts_of(log(5).with_columns(event_type=pl.Series(["view", "cart", "purchase", "search_", "view"] * 60)))
    mix = eda.event_mix(marts.daily)
    assert isinstance(mix, pl.DataFrame)
    assert dict(mix.select("event_type", "events").iter_rows()) == {
        "view": 120,
        "cart": 60,
        "purchase": 60,
        "other": 60,
    }
    assert mix["share"].sum() == pytest.approx(1)
    assert isinstance(eda.event_mix(marts.daily.with_columns(views="events", carts=0, purchases=0)), LeftOut)


def test_coverage_tells_gaps_from_columns_that_do_not_exist() -> None:
    events = log(5).with_columns(brand=1, price=pl.when(pl.int_range(pl.len()) % 4 > 0).then("price"))
    coverage = eda.coverage(shop.marts(events)["coverage"])
    shares = dict(coverage.table.select("column", "share").iter_rows())
    assert shares["price"] == 0.75
    assert shares["customer_id"] == 1
    assert "platform" in coverage.absent
    assert not {"amount", "event_name"} & {*shares, *coverage.absent}
    assert coverage.events == 300


def test_price_bands_hold_every_priced_product_once() -> None:
    stats = pl.DataFrame(
        {
            "min_price": [0.5, 9.0, 10.0, 99.0, 400.0, None],
            "max_price": [0.5, 9.0, 10.0, 121.0, 400.0, None],
            "revenue": [0.0, 90.0, 10.0, 0.0, 100.0, 5.0],
        },
    )
    prices = eda.prices(stats)
    assert isinstance(prices, Prices)
    assert prices.table["products"].sum() == 5
    assert prices.table["revenue"].sum() == 200
    assert (prices.unpriced, prices.median) == (1, 10)
    bands = {row["low"]: row["products"] for row in prices.table.iter_rows(named=True)}
    assert (bands[5], bands[10], bands[100]) == (1, 1, 1)  # a band holds its lower edge, not its upper


@pytest.mark.parametrize("price", [0.03, 1.0, 7.0, 250_000.0])
def test_one_price_is_a_band_too(price: float) -> None:
    prices = eda.prices(pl.DataFrame({"min_price": [price] * 3, "max_price": [price] * 3, "revenue": [0.0] * 3}))
    assert isinstance(prices, Prices)
    assert prices.table["products"].sum() == 3
    assert not prices.sells


def test_no_prices() -> None:
    stats = pl.DataFrame(
        {"min_price": [None], "max_price": [0.0], "revenue": [0.0]}, schema_overrides={"min_price": pl.Float64}
    )
    assert isinstance(eda.prices(stats), LeftOut)


def described(stats: pl.DataFrame) -> pl.DataFrame:
    return stats.select(
        "product_id",
        pl.format("sku-{}", "product_id").alias("source_id"),
        pl.lit(None, pl.String).alias("name"),
        pl.lit("acme").alias("brand"),
        pl.lit(None, pl.String).alias("category_code"),
    )


def test_top_products_are_ranked_by_revenue_without_those_of_few_buyers() -> None:
    stats = marts_of(log(40)).product_stats.with_columns(
        buyers=pl.when(pl.col("product_id") == 3).then(9).otherwise("buyers")
    )
    top = eda.top_products(stats, described(stats), 5, 10)
    assert isinstance(top, TopProducts)
    revenue = top.table["revenue"].to_list()
    assert (top.by, top.table.height, top.hidden) == ("revenue", 5, 1)
    assert revenue == sorted(revenue, reverse=True)
    assert "sku-3" not in top.table["product"].to_list()
    third = float(stats.filter(pl.col("product_id") == 3)["revenue"][0]) / float(stats["revenue"].sum())
    assert top.hidden_share == pytest.approx(third)


def test_where_too_few_are_sold_products_are_ranked_by_views() -> None:
    stats = marts_of(log(40)).product_stats.with_columns(buyers=pl.lit(2))
    top = eda.top_products(stats, described(stats), 5, 10)
    assert isinstance(top, TopProducts)
    assert top.by == "views"
    assert {"buyers", "revenue"}.isdisjoint(top.table.columns)


def test_no_product_reaches_the_minimum() -> None:
    stats = marts_of(log(2)).product_stats
    assert isinstance(eda.top_products(stats, described(stats), 5, 1000), LeftOut)
