"""The marts of the cutoffs against plain Python over the rows, and against a future gone wild."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from trial import HEADER, Trial

from patternbook.cutoffs import cutoffs
from patternbook.errors import UserError
from patternbook.params import Propensity

ZONE = "Europe/Berlin"
START, DAYS = datetime(2024, 2, 26), 48  # UTC; Berlin's clocks go forward on 31 March
SOURCE = {"kind": "clickstream", "files": ["*.csv"]}
SETTINGS = {"horizon_days": 8, "more_horizons": [3], "training_cutoffs": 2}
TYPES = ("view", "view", "view", "cart", "purchase", "remove_from_cart", "sign_in")
CODES = ("toys.bricks", "toys.dolls", "books", "")


def log(events: int = 500, customers: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    who, what = rng.integers(1, customers + 1, events), rng.integers(1, 9, events)
    seconds = np.sort(rng.integers(0, DAYS * 86_400, events))
    return pl.DataFrame(
        {
            "time": [START + timedelta(seconds=int(second)) for second in seconds],
            "kind": rng.choice(TYPES, events),
            "product": what,
            "code": np.array(CODES)[what % len(CODES)],
            "price": rng.integers(1, 50, events) / 4,
            "customer": who,
            "session": [f"{customer}-{second // 7000}" for customer, second in zip(who, seconds, strict=True)],
        }
    )


def as_csv(rows: pl.DataFrame) -> str:
    lines = [
        f"{row['time']:%Y-%m-%d %H:%M:%S} UTC,{row['kind']},{row['product']},,{row['code']},acme,{row['price']},"
        f"{row['customer']},{row['session']}"
        for row in rows.iter_rows(named=True)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def midnight(day: date) -> datetime:
    return (
        datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    )


def built(project: Trial, rows: pl.DataFrame, **settings: object) -> dict[str, pl.DataFrame]:
    project.file("log.csv", as_csv(rows))
    project.build(SOURCE, report={"time_zone": ZONE}, propensity=SETTINGS | settings)
    return {name: project.mart(name) for name in ("features", "labels", "interests")}


def test_features_and_labels_are_what_counting_finds(project: Trial) -> None:
    rows = log()
    marts = built(project, rows)
    features, labels = marts["features"], marts["labels"]
    days = features["cutoff"].unique().sort().to_list()
    assert days == [date(2024, 4, 15) - timedelta(days=8 * k) for k in (4, 3, 2, 1, 0)]  # the last event is on 14 April
    for cutoff in days:
        at = midnight(cutoff)
        for row in features.filter(pl.col("cutoff") == cutoff).iter_rows(named=True):
            own = rows.filter(pl.col("customer") == row["customer_id"], pl.col("time") < at)
            recent = own.filter(pl.col("time") >= at - timedelta(days=7))
            views, bought = own.filter(kind="view"), own.filter(kind="purchase")
            found = {
                "events": own.height,
                "views": views.height,
                "views_7d": recent.filter(kind="view").height,
                "carts": own.filter(kind="cart").height,
                "signals": own.filter(kind="sign_in").height,
                "sessions": own["session"].n_unique(),
                "orders": bought["session"].n_unique(),
                "orders_7d": bought.group_by("session")
                .agg(pl.col("time").min())
                .filter(pl.col("time") >= at - timedelta(days=7))
                .height,
                "units": bought.height,
                "products": own["product"].n_unique(),
                "categories": own.filter(pl.col("code") != "")["code"].str.split(".").list.first().n_unique(),
                "active_days": own["time"].dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE).dt.date().n_unique(),
                "carts_since_purchase": own.filter(
                    pl.col("kind") == "cart", pl.col("time") > (last_order(own) or START - timedelta(days=1))
                ).height,
            }
            assert {name: row[name] for name in found} == found
            assert float(row["revenue"]) == pytest.approx(bought["price"].sum())
            assert row["days_since_event"] == pytest.approx((at - own["time"].max()).total_seconds() / 86_400)  # type: ignore[operator]
            since = None if last_order(own) is None else (at - last_order(own)).total_seconds() / 86_400  # type: ignore[operator]
            assert row["days_since_purchase"] == (since if since is None else pytest.approx(since))
        known = set(rows.filter(pl.col("time") < at)["customer"])
        after = rows.filter(
            pl.col("time").is_between(at, midnight(cutoff + timedelta(days=8)), closed="left"),
            pl.col("kind") == "purchase",
            pl.col("customer").is_in(known),
        )
        seen = labels.filter(pl.col("cutoff") == cutoff)
        assert set(seen["customer_id"]) == set(after["customer"])
        for row in seen.iter_rows(named=True):
            own = after.filter(pl.col("customer") == row["customer_id"])
            assert row["next_purchase_at"] == own["time"].min()
            assert row["orders"] == own["session"].n_unique()
            assert float(row["revenue"]) == pytest.approx(own["price"].sum())


def last_order(own: pl.DataFrame) -> datetime | None:
    """Start of the last order, which is a session's purchases."""
    starts = own.filter(kind="purchase").group_by("session").agg(pl.col("time").min())
    return starts["time"].max()  # type: ignore[return-value]


def test_a_future_gone_wild_moves_no_feature(project: Trial) -> None:
    """Events at and after the cutoff, thousands of them, in sessions that had begun before it too."""
    rows, cutoff = log(), date(2024, 4, 1)
    before = built(project, rows, cutoff=cutoff)
    at, end = midnight(cutoff), rows["time"].max()
    calm = rows.filter(pl.col("time") >= at)
    wild = pl.concat([calm.with_columns(pl.lit(at).alias("time"), pl.lit("purchase").alias("kind"))] * 3)
    straddling = rows.filter(pl.col("time") < at).group_by("customer").last().select(rows.columns)
    wild = pl.concat(
        [wild, *(straddling.with_columns(pl.lit(at + timedelta(minutes=k)).alias("time")) for k in range(200))]
    ).with_columns((pl.col("price") * 1000).alias("price"))
    after = built(project, pl.concat([rows, wild]), cutoff=cutoff)
    assert rows["time"].max() == end
    assert after["labels"].height != before["labels"].height or not after["labels"].equals(before["labels"])
    for name in ("features", "interests"):
        known = [mart[name].filter(pl.col("cutoff") <= cutoff) for mart in (before, after)]
        assert known[0].height > 30
        assert known[0].equals(known[1]), name


def test_data_of_less_than_four_days_have_no_cutoff(project: Trial) -> None:
    marts = built(project, log().filter(pl.col("time") < START + timedelta(days=2)))
    assert [mart.height for mart in marts.values()] == [0, 0, 0]


FIRST, LAST = date(2024, 1, 1), date(2024, 12, 30)  # 365 days


def test_cutoffs_step_back_from_the_end_of_the_data() -> None:
    found = cutoffs(FIRST, LAST, Propensity(), "x.yaml")
    assert found is not None
    assert (found.scoring, found.test, found.calibration) == (date(2024, 12, 31), date(2024, 12, 1), date(2024, 11, 1))
    assert found.training == (date(2024, 8, 3), date(2024, 9, 2), date(2024, 10, 2))
    assert (found.horizon, found.more, found.longest) == (30, (7, 14), 30)


def test_short_data_get_a_shorter_horizon() -> None:
    found = cutoffs(FIRST, date(2024, 1, 31), Propensity(), "x.yaml")
    assert found is not None
    assert (found.horizon, found.more) == (7, ())
    assert found.training == (date(2024, 1, 11),)
    assert found.test == date(2024, 1, 25)


@pytest.mark.parametrize(
    ("cutoff", "message"),
    [
        (date(2023, 12, 31), "lies outside the data, 2024-01-01 to 2024-12-30; choose 2024-03-31 to 2024-12-01"),
        (date(2025, 1, 1), "lies outside the data"),
        (date(2024, 12, 2), "run past the end of the data, 2024-12-30, .* latest possible cutoff is 2024-12-01"),
        (date(2024, 3, 1), "leaves too little before it: .* earliest possible cutoff is 2024-03-31"),
    ],
)
def test_impossible_cutoffs_are_refused_with_what_is_possible(cutoff: date, message: str) -> None:
    with pytest.raises(UserError, match=rf"x\.yaml: key 'propensity.cutoff': {cutoff}.*{message}"):
        cutoffs(FIRST, LAST, Propensity(cutoff=cutoff), "x.yaml")


def test_a_horizon_that_no_cutoff_allows_is_refused() -> None:
    with pytest.raises(UserError, match=r"no cutoff is possible.*horizons of 100 days"):
        cutoffs(FIRST, LAST, Propensity(cutoff=date(2024, 6, 1), horizon_days=100), "x.yaml")
