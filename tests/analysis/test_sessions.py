"""The funnel by session: intervals by cluster, groups compared, what is suppressed; carts, paths, signals."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from test_intervals import accepted

from patternbook.analysis import abandonment, customergroups, funnel, intervals, sessions, signals
from patternbook.analysis.clustered import CLUSTERS, shares
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.sessions import COLUMNS, Groups, Sessions
from patternbook.charts import sessions as charts
from patternbook.formats import Formats
from patternbook.params import TYPICAL

US = Formats("USD", "en_US")
PRODUCTS = pl.DataFrame(schema={"price_quarter": pl.Int32, "min_price": pl.Float64, "max_price": pl.Float64})


def visits(rng: np.random.Generator, customers: int, conversion: float) -> pl.DataFrame:
    """Sessions of customers who differ in how often they come and how readily they buy (their mean: `conversion`)."""
    came = 1 + rng.poisson(rng.gamma(0.7, 4, customers))
    bought = rng.binomial(came, rng.beta(2 * conversion, 2 * (1 - conversion), customers))
    carted = bought + rng.binomial(came - bought, 0.1)
    frame = pl.DataFrame(
        {"cluster": np.arange(customers) % CLUSTERS, "sessions": came, "buying": bought, "carting": carted}
    )
    return frame.group_by("cluster").agg(
        pl.len().alias("customers"),
        (pl.col("carting") > 0).sum().alias("carters"),
        (pl.col("buying") > 0).sum().alias("buyers"),
        pl.col("sessions").sum(),
        pl.col("sessions").sum().alias("viewing"),
        pl.col("carting").sum().alias("viewing_to_cart"),
        pl.col("carting").sum(),
        pl.col("buying").sum().alias("carting_to_purchase"),
        pl.col("buying").sum(),
        pl.lit(0).alias("buying_without_view"),
        pl.lit(0).alias("carting_without_view"),
    )


def mart(**groups: pl.DataFrame) -> pl.DataFrame:
    """Groups called `grouping__name`."""
    return pl.concat(
        [
            rows.select(
                pl.lit(key.split("__")[0]).alias("grouping_name"),
                pl.lit(key.split("__")[1]).alias("group_name"),
                "cluster",
                pl.col(COLUMNS).cast(pl.Int64),
            )
            for key, rows in groups.items()
        ]
    )


def test_shares_of_sessions_are_covered() -> None:
    """Of the conversion that many customers like these have: sessions weigh by how often somebody comes."""
    hits = 0
    for seed in range(200):
        rows = visits(np.random.default_rng(seed), 300, 0.2)
        found = shares(rows["buying"].to_numpy()[:, None], rows["sessions"].to_numpy()[:, None])
        hits += bool(found.low[0] <= 0.2 <= found.high[0])
    assert accepted(hits, 200)


def test_nobody_and_everybody_have_an_interval_too() -> None:
    none = shares(np.zeros((40, 1)), np.full((40, 1), 5.0))
    every = shares(np.full((40, 1), 5.0), np.full((40, 1), 5.0))
    low, high = intervals.wilson([0, 40], [40, 40])
    assert (none.value[0], none.low[0], none.high[0]) == pytest.approx((0.0, low[0], high[0]))
    assert (every.value[0], every.low[0], every.high[0]) == pytest.approx((1.0, low[1], high[1]))
    assert np.isnan(shares(np.zeros((40, 1)), np.zeros((40, 1))).value[0])


def test_a_median_has_the_interval_of_order_statistics() -> None:
    """Ranks 40 and 61 of 100: the shortest pair that holds the median in 95 of 100 samples."""
    found = intervals.median(np.arange(1, 101))
    assert found is not None
    assert (found.value, found.low, found.high) == (50, 40, 61)
    hits = 0
    for seed in range(300):
        drawn = intervals.median(np.random.default_rng(seed).exponential(size=60))
        assert drawn is not None and drawn.interval is not None
        hits += drawn.interval[0] <= np.log(2) <= drawn.interval[1]
    assert hits > 270
    assert intervals.median([1.0, 2.0]) == intervals.Estimate(1.0, None, None, 2)
    assert intervals.median([]) is None


def test_groups_that_differ_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(1)
    everyone = mart(
        all__all=visits(rng, 2000, 0.2),
        platform__web=visits(rng, 900, 0.2),
        platform__app=visits(rng, 900, 0.2),
        platform__shop=visits(rng, 900, 0.35),
        weekday__1=visits(rng, 900, 0.2),
        weekday__2=visits(rng, 900, 0.2),
    )
    found = sessions.by_group(everyone, PRODUCTS, 10, 0.05, US)
    assert isinstance(found, Groups)
    differs = dict(found.table.select("group", "differs").iter_rows())
    assert differs["shop"] == 1
    assert differs["Monday"] == differs["Tuesday"] == 0
    assert "1 above the others (highest: shop" in sessions.groups_answer(found, US)
    overall = sessions.total(everyone, "clickstream", 10)
    assert isinstance(overall, Sessions)
    assert "shop" in charts.groups(found, overall, US).to_json()
    assert charts.funnel(overall, US).layout.title.text


def test_small_groups_stand_together_and_few_buyers_are_hidden() -> None:
    rng = np.random.default_rng(2)
    few = visits(rng, 60, 0.2).with_columns(
        pl.lit(0).alias("buyers"), pl.lit(0).alias("buying"), pl.lit(0).alias("carting_to_purchase")
    )
    three = (
        few.with_row_index()
        .with_columns(
            pl.when(pl.col("index") < 3).then(1).otherwise(0).alias(name)
            for name in ("buyers", "buying", "carting_to_purchase")
        )
        .drop("index")
    )
    everyone = mart(
        all__all=visits(rng, 2000, 0.2),
        platform__web=visits(rng, 900, 0.2),
        platform__tv=visits(rng, 400, 0.2),
        platform__kiosk=three,
        platform__fax=visits(rng, 4, 0.2),
        platform__telex=visits(rng, 3, 0.2),
        platform__post=visits(rng, 6, 0.2),
    )
    found = sessions.by_group(everyone, PRODUCTS, 10, 0.05, US)
    assert isinstance(found, Groups)
    assert set(found.table["group"]) == {"web", "tv", "kiosk", sessions.POOLED}
    rates = dict(found.table.select("group", "conversion").iter_rows())
    assert rates["kiosk"] is None and rates["web"] is not None
    assert sum(rate is None for rate in rates.values()) >= 2
    assert (
        found.table.filter(pl.col("conversion").is_null())["p"].null_count() == found.table["conversion"].null_count()
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"viewing": 0, "viewing_to_cart": 0}, "no view event"),
        ({"carting": 0, "viewing_to_cart": 0, "carting_to_purchase": 0}, "no cart event"),
        ({"buying": 0, "carting_to_purchase": 0, "buyers": 0}, "no purchase"),
    ],
)
def test_what_a_log_does_not_hold_is_left_out_with_a_sentence(change: dict[str, int], said: str) -> None:
    rows = visits(np.random.default_rng(3), 500, 0.2).with_columns(
        pl.lit(value).alias(name) for name, value in change.items()
    )
    measures = sessions.measures(sessions.total(mart(all__all=rows), "clickstream", 10))
    reasons = [measure.reason for measure in measures if measure.value is None]
    assert any(said in (reason or "") for reason in reasons)
    assert len(measures) == 3


def test_order_lines_have_no_sessions() -> None:
    rows = mart(all__all=visits(np.random.default_rng(3), 500, 0.2))
    left_out = sessions.total(rows, "transactions", 10)
    assert isinstance(left_out, LeftOut)
    assert all(measure.value is None for measure in sessions.measures(left_out))


# --- customers by group -------------------------------------------------------------------------------------------


def people(size: int, buyers: int, carters: int | None = None) -> pl.DataFrame:
    """Customers of whom the first buy, after a cart; all look."""
    carted = buyers if carters is None else carters
    frame = pl.DataFrame({"id": range(size)}).with_columns(cluster=pl.col("id") % CLUSTERS)
    carts, buys = (pl.col("id") < carted).sum(), (pl.col("id") < buyers).sum()
    everyone = [pl.len().alias(name) for name in ("customers", "viewers", "sessions")]
    return frame.group_by("cluster").agg(
        *everyone,
        *(carts.alias(name) for name in ("viewers_to_cart", "carters")),
        *(buys.alias(name) for name in ("carters_to_purchase", "buyers")),
        *(pl.lit(0).alias(name) for name in COLUMNS if name not in ("customers", "carters", "buyers", "sessions")),
    )


def customers_mart(**groups: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        rows.with_columns(
            pl.lit(key.split("__")[0]).alias("grouping_name"), pl.lit(key.split("__")[1]).alias("group_name")
        ).cast({pl.Int32: pl.Int64, pl.UInt32: pl.Int64})
        for key, rows in groups.items()
    )


def customers_by_group(**groups: pl.DataFrame) -> pl.DataFrame:
    found = customergroups.by_group(customers_mart(**groups), PRODUCTS, 10, 0.05, US)
    assert isinstance(found, Groups)
    assert charts.customer_groups(found, OVERALL, US).layout.title.text
    return found.table


def test_a_rate_of_customers_is_wilsons_and_groups_that_differ_are_told_apart() -> None:
    table = customers_by_group(all__all=people(1500, 300), category__a=people(1000, 300), category__b=people(800, 80))
    a, b = table.sort("group").iter_rows(named=True)
    assert (a["conversion"], a["differs"], b["differs"]) == (0.3, 1, -1)
    assert [a["conversion_low"], a["conversion_high"]] == pytest.approx(
        [float(end) for end in intervals.wilson(300, 1000)]
    )


@pytest.mark.parametrize("buyers", [100, 110])  # fewer than those of both groups; more, as some take steps across them
def test_groups_that_overlap_are_suppressed_each_for_itself(buyers: int) -> None:
    table = customers_by_group(
        all__all=people(1000, buyers), newness__first=people(1000, 3), newness__returning=people(400, 99)
    )
    assert dict(table.select("group", "conversion").iter_rows()) == {"first": None, "returning": 99 / 400}


def test_groups_that_share_customers_out_give_none_away_by_subtraction() -> None:
    table = customers_by_group(
        all__all=people(1000, 103),
        platform__web=people(500, 60),
        platform__app=people(300, 40),
        platform__tv=people(200, 3),
    )
    rates = dict(table.select("group", "conversion").iter_rows())
    assert rates == {"web": 0.12, "app": None, "tv": None}


def test_a_step_that_groups_share_out_is_not_had_by_subtraction_though_they_overlap() -> None:
    groups = {"all__all": people(1000, 102), "newness__first": people(1000, 3), "newness__returning": people(400, 99)}
    found = customergroups.by_group(customers_mart(**groups), PRODUCTS, 10, 0.05, US)
    assert isinstance(found, LeftOut)  # the one is of three customers, the other is all but these


def test_few_customers_stand_together_only_where_they_are_shared_out() -> None:
    groups = {"a": people(500, 60), "b": people(400, 40), "c": people(3, 0), "d": people(2, 0)}
    by = {f"platform__{name}": rows for name, rows in groups.items()}
    assert customers_by_group(all__all=people(905, 100), **by)["group"].to_list() == ["a", sessions.POOLED]
    assert customers_by_group(all__all=people(800, 95), **by)["group"].to_list() == ["a", "b"]


OVERALL = funnel.publish(funnel.Funnel(1000, 1000, 100, 100, 100, 100, 0), "clickstream", 10)


# --- carts --------------------------------------------------------------------------------------------------------

START = datetime(2024, 7, 1)


def carts(fates: list[tuple[bool, int, bool, int]], copies: int = 20) -> pl.DataFrame:
    """Carts by whether they are ordered from, products left, whether there is a later order, products bought later."""
    rows = [fate for fate in fates for _ in range(copies)]
    return pl.DataFrame(
        {
            "session_id": range(len(rows)),
            "customer_id": range(len(rows)),
            "carted_at": START,
            "ordered": [ordered for ordered, *_ in rows],
            "next_order_at": [START + timedelta(days=1) if later else None for _, _, later, _ in rows],
            "products": 2,
            "products_removed": [2 - left if not ordered else 0 for ordered, left, *_ in rows],
            "products_left": [left for _, left, *_ in rows],
            "products_bought_later": [again for *_, again in rows],
            "value_left": [10.0 * left for _, left, *_ in rows],
            "value_bought_later": [10.0 * again for *_, again in rows],
        },
        schema_overrides={"next_order_at": pl.Datetime("us")},
    )


def test_each_cart_has_one_fate() -> None:
    found = abandonment.carts(
        carts(
            [(True, 0, False, 0), (False, 2, True, 1), (False, 2, True, 0), (False, 0, False, 0), (False, 1, False, 0)]
        ),
        "clickstream",
        10,
    )
    assert not isinstance(found, LeftOut)
    assert dict(found.flows.select("fate", "carts").iter_rows()) == dict.fromkeys(abandonment.FATES, 20)
    assert found.abandonment is not None and found.abandonment.value == 0.8
    assert found.recovered is not None and found.recovered.value == 0.25
    assert found.value is not None and found.value.value == pytest.approx(12.5)
    assert found.total is not None and found.total.value == pytest.approx(1000)
    assert "80%" in abandonment.answer(found, US) and "$12.50" in abandonment.answer(found, US)
    assert "Abandoned" in charts.carts(found, US).to_json()


def test_a_fate_of_few_customers_stands_with_those_left() -> None:
    rows = pl.concat([carts([(True, 0, False, 0), (False, 1, False, 0)]), carts([(False, 1, True, 1)], copies=3)])
    rows = rows.with_columns(pl.int_range(pl.len()).alias("session_id"), pl.int_range(pl.len()).alias("customer_id"))
    found = abandonment.carts(rows, "clickstream", 10)
    assert not isinstance(found, LeftOut)
    assert dict(found.flows.select("fate", "carts").iter_rows()) == {abandonment.ORDERED: 20, abandonment.LEFT: 23}
    assert found.recovered is None
    (recovered,) = [measure for measure in abandonment.measures(found) if measure.name == "recovered"]
    assert recovered.reason


@pytest.mark.parametrize(
    ("rows", "kind", "said"),
    [
        (carts([(True, 0, False, 0)]), "clickstream", "abandoned a cart"),
        (carts([]), "clickstream", "no cart event"),
        (carts([]), "transactions", "orders only"),
    ],
)
def test_a_log_without_abandoned_carts_says_so(rows: pl.DataFrame, kind: str, said: str) -> None:
    found = abandonment.carts(rows, kind, 10)
    assert isinstance(found, LeftOut) and said in found.reason
    assert len(abandonment.measures(found)) == 5


def test_this_shop_beside_others() -> None:
    found = abandonment.carts(
        carts([(True, 0, False, 0), (False, 1, False, 0), (False, 1, True, 0)], 200), "clickstream", 10
    )
    overall = sessions.total(mart(all__all=visits(np.random.default_rng(3), 900, 0.2)), "clickstream", 10)
    table = abandonment.beside_others(overall, found, TYPICAL)
    assert isinstance(table, pl.DataFrame)
    assert dict(table.select("measure", "verdict").iter_rows()) == {
        "session_conversion": "above",
        "abandonment": "within",
    }
    assert isinstance(abandonment.beside_others(LeftOut("no"), LeftOut("no"), TYPICAL), LeftOut)


# --- signals ------------------------------------------------------------------------------------------------------


def test_a_device_that_few_buy_with_is_hidden_and_so_is_the_next() -> None:
    devices = {"phone": (300, 120), "desktop": (200, 60), "tablet": (100, 20), "watch": (40, 3)}
    frames, start = [], 0
    for device, (n, bought) in devices.items():
        ids = list(range(start, start + n))
        start += n
        frames.append(
            pl.DataFrame(
                {"session_id": ids, "customer_id": ids, "device": device, "order": [k < bought for k in range(n)]}
            )
        )
    made = pl.concat(frames).with_columns(pl.lit(None, pl.String).alias("channel"))
    everyone = made.group_by((pl.col("customer_id") % CLUSTERS).alias("cluster")).agg(
        *(pl.len().alias(name) for name in ("customers", "sessions", "viewing")),
        *(
            pl.col("order").sum().alias(name)
            for name in ("carters", "buyers", "viewing_to_cart", "carting", "carting_to_purchase", "buying")
        ),
        *(pl.lit(0).alias(name) for name in ("buying_without_view", "carting_without_view")),
    )
    nothing = pl.DataFrame(
        schema={"action": pl.String}
        | dict.fromkeys(("cluster", "customers", "buyers", "sessions", "buying", "at_purchase"), pl.Int64)
    )
    found = signals.signals(
        nothing, made.lazy(), made.filter("order")["session_id"], mart(all__all=everyone), "clickstream", 10, 0.05
    )
    assert not isinstance(found, LeftOut)
    assert set(found.table["signal"]) == {"phone", "desktop"}
    phone = found.table.filter(pl.col("signal") == "phone").row(0, named=True)
    assert phone["odds_ratio"] == pytest.approx((120 / 180) / (83 / 257))
    assert phone["lift"] == pytest.approx((120 / 300) / (203 / 640))
    assert charts.signals(found, US).layout.title.text
