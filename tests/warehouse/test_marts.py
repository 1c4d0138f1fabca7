"""Marts against a brute-force oracle: plain Python over the rows, no SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial import HEADER, Trial, trial_project

START = datetime(2024, 3, 30, 22, 0, tzinfo=UTC)  # the night in which Berlin's clocks go forward
ZONE = "Europe/Berlin"
GAP = timedelta(minutes=30)


class Row(NamedTuple):
    time: datetime
    kind: str
    product: int | None
    price: Decimal | None
    customer: int | None
    session: str | None


ROWS = st.lists(
    st.builds(
        Row,
        time=st.integers(0, 40).map(lambda steps: START + timedelta(minutes=10 * steps)),
        kind=st.sampled_from(["view", "view", "cart", "purchase", "remove_from_cart", "sign_in"]),
        product=st.sampled_from([1, 2, 3, None]),
        price=st.sampled_from([Decimal("1.10"), Decimal("2.25"), Decimal("0.00"), None]),
        customer=st.sampled_from([1, 2, 3, None]),
        session=st.sampled_from(["a", "b", None]),
    ),
    min_size=1,
    max_size=25,
)


def to_csv(rows: list[Row], categories: Mapping[int | None, str] = MappingProxyType({})) -> str:
    def text(value: object) -> str:
        return "" if value is None else str(value)

    lines = [
        f"{row.time:%Y-%m-%d %H:%M:%S} UTC,{row.kind},{text(row.product)},,"
        f"{categories.get(row.product, '')},,{text(row.price)},"
        f"{text(row.customer)},{text(row.session)}"
        for row in rows
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def sessions_of(rows: list[Row]) -> list[list[Row]]:
    """Rows by session: (customer, source session); by gap where the source has none."""
    groups: dict[object, list[Row]] = defaultdict(list)
    last: dict[int, tuple[datetime, int]] = {}
    for number, row in enumerate(sorted(rows, key=lambda row: row.time)):
        if row.session is not None:
            groups[row.customer, row.session].append(row)
        elif row.customer is None:
            groups["alone", number].append(row)
        else:
            before = last.get(row.customer)
            run = number if before is None or row.time - before[0] > GAP else before[1]
            last[row.customer] = (row.time, run)
            groups["gap", row.customer, run].append(row)
    return list(groups.values())


def counts(rows: list[Row]) -> dict[str, int]:
    return {
        "events": len(rows),
        "views": sum(row.kind == "view" for row in rows),
        "carts": sum(row.kind == "cart" for row in rows),
        "removals": sum(row.kind == "remove_from_cart" for row in rows),
        "purchases": sum(row.kind == "purchase" for row in rows),
    }


def bought(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "purchase"]


def revenue(rows: list[Row]) -> Decimal:
    return sum((row.price for row in bought(rows) if row.price is not None), Decimal(0))


def known(rows: list[Row]) -> set[int]:
    return {row.customer for row in rows if row.customer is not None}


def local(time: datetime) -> datetime:
    return time.astimezone(ZoneInfo(ZONE))


def naive(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=None)


def as_bag(rows: object) -> list[str]:
    return sorted(map(repr, rows))  # type: ignore[call-overload]


def compare(mart: pl.DataFrame, expected: list[dict[str, object]]) -> None:
    columns = list(expected[0]) if expected else []
    assert len(mart) == len(expected)
    assert as_bag(mart.select(columns).iter_rows() if columns else []) == as_bag(
        tuple(row.values()) for row in expected
    )


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_marts_agree_with_the_oracle(rows: list[Row]) -> None:
    with trial_project() as project:
        project.file("log.csv", to_csv(rows))
        counted = project.build(
            {
                "kind": "clickstream",
                "files": ["log.csv"],
                "event_names": {name: name for name in ("view", "cart", "purchase", "remove_from_cart")},
            },
            report={"time_zone": ZONE},
            basket={"minimum_baskets": 2, "minimum_together": 2},
        )
        kept = list(dict.fromkeys(rows))
        assert counted.total("duplicates_dropped") == len(rows) - len(kept)
        assert counted.unknown_events == ({"sign_in": n} if (n := sum(r.kind == "sign_in" for r in rows)) else {})
        visits = sessions_of(kept)
        check_sessions_and_orders(project, visits)
        check_customers_and_funnel(project, kept, visits)
        check_days_and_hours(project, kept, visits)
        check_products(project, kept, visits)
        check_cohorts(project, visits)
        check_baskets(project, visits)
        check_rhythm_and_months(project, kept, visits)


def check_sessions_and_orders(project: Trial, visits: list[list[Row]]) -> None:
    compare(
        project.mart("sessions"),
        [
            {
                "customer_id": visit[0].customer,
                "started_at": naive(min(row.time for row in visit)),
                "ended_at": naive(max(row.time for row in visit)),
                **counts(visit),
                "revenue": revenue(visit).quantize(Decimal("0.0001")),
            }
            for visit in visits
        ],
    )
    compare(
        project.mart("purchases"),
        [
            {
                "customer_id": visit[0].customer,
                "ordered_at": naive(min(row.time for row in bought(visit))),
                "lines": len(bought(visit)),
                "products": len({row.product for row in bought(visit)} - {None}),
                "units": len(bought(visit)),
                "revenue": revenue(visit).quantize(Decimal("0.0001")),
            }
            for visit in visits
            if bought(visit)
        ],
    )


def check_customers_and_funnel(project: Trial, rows: list[Row], visits: list[list[Row]]) -> None:
    expected, funnel = [], defaultdict(int)
    for customer in known(rows):
        own = [row for row in rows if row.customer == customer]
        times = {kind: [row.time for row in own if row.kind == kind] for kind in ("view", "cart", "purchase")}
        orders = sum(bool(bought(visit)) for visit in visits if visit[0].customer == customer)
        expected.append(
            {
                "customer_id": customer,
                "first_event_at": naive(min(row.time for row in own)),
                "last_event_at": naive(max(row.time for row in own)),
                "sessions": sum(visit[0].customer == customer for visit in visits),
                "active_days": len({local(row.time).date() for row in own}),
                **counts(own),
                "first_view_at": naive(min(times["view"], default=None)),
                "last_cart_at": naive(max(times["cart"], default=None)),
                "first_purchase_at": naive(min(times["purchase"], default=None)),
                "last_purchase_at": naive(max(times["purchase"], default=None)),
                "orders": orders,
                "revenue": revenue(own).quantize(Decimal("0.0001")),
            }
        )
        first_view, first_cart = min(times["view"], default=None), min(times["cart"], default=None)
        funnel["visitors"] += 1
        funnel["viewers"] += bool(times["view"])
        funnel["viewers_to_cart"] += first_view is not None and any(time >= first_view for time in times["cart"])
        funnel["carters"] += bool(times["cart"])
        funnel["carters_to_purchase"] += first_cart is not None and any(t >= first_cart for t in times["purchase"])
        funnel["buyers"] += bool(orders)
        funnel["buyers_without_cart"] += bool(orders) and not times["cart"]
    compare(project.mart("customers"), expected)
    compare(project.mart("funnel"), [dict(funnel)] if funnel else [])


def check_days_and_hours(project: Trial, rows: list[Row], visits: list[list[Row]]) -> None:
    firsts = [min(row.time for row in rows if row.customer == customer) for customer in known(rows)]

    def activity(key: object) -> list[dict[str, object]]:
        return [
            {
                **counts(own),
                "customers": len(known(own)),
                "buyers": len(known([row for row in own if row.kind == "purchase"])),
                "sessions": sum(key(min(row.time for row in visit)) == slot for visit in visits),  # type: ignore[operator]
                "orders": sum(
                    key(min(row.time for row in bought(visit))) == slot  # type: ignore[operator]
                    for visit in visits
                    if bought(visit)
                ),
                "revenue": revenue(own).quantize(Decimal("0.0001")),
                "slot": slot,
            }
            for slot in {key(row.time) for row in rows}  # type: ignore[operator]
            if (own := [row for row in rows if key(row.time) == slot])  # type: ignore[operator]
        ]

    days = activity(lambda time: local(time).date())
    for day in days:
        day["day"] = day.pop("slot")
        day["new_customers"] = sum(local(first).date() == day["day"] for first in firsts)
    compare(project.mart("daily"), days)
    hours = activity(lambda time: (local(time).date(), local(time).hour))
    for hour in hours:
        hour["day"], hour["hour"] = hour.pop("slot")  # type: ignore[misc]
        hour["weekday"] = hour["day"].isoweekday()  # type: ignore[attr-defined]
    compare(project.mart("hourly"), hours)


def check_products(project: Trial, rows: list[Row], visits: list[list[Row]]) -> None:
    compare(
        project.mart("product_stats"),
        [
            {
                "product_id": product,
                **counts(own),
                "viewers": len(known([row for row in own if row.kind == "view"])),
                "buyers": len(known(bought(own))),
                "orders": sum(any(row.product == product for row in bought(visit)) for visit in visits),
                "units": len(bought(own)),
                "revenue": revenue(own).quantize(Decimal("0.0001")),
                "min_price": min((p.quantize(Decimal("0.0001")) for r in own if (p := r.price)), default=None),
                "max_price": max(
                    (r.price.quantize(Decimal("0.0001")) for r in own if r.price is not None), default=None
                ),
            }
            for product in {row.product for row in rows} - {None}
            if (own := [row for row in rows if row.product == product])
        ],
    )


def check_cohorts(project: Trial, visits: list[list[Row]]) -> None:
    expected = []
    for activity in ("visit", "purchase"):
        moments = [(v[0].customer, v if activity == "visit" else bought(v)) for v in visits]
        days: dict[int, set[date]] = defaultdict(set)
        for customer, rows in moments:
            if customer is not None and rows:
                days[customer].add(local(min(row.time for row in rows)).date())
        for unit, length in (("week", 7), ("month", 30)):
            ages = {(min(own), (day - min(own)).days // length, who) for who, own in days.items() for day in own}
            counted = Counter((first, age) for first, age, _ in ages)
            expected += [
                {"activity": activity, "unit": unit, "first_day": first, "age": age, "customers": customers}
                for (first, age), customers in counted.items()
            ]
    mart = project.mart("cohorts")
    assert set(mart["grouping_name"]) <= {"all"}  # the log names neither platform nor category
    compare(mart, expected)


def check_baskets(project: Trial, visits: list[list[Row]]) -> None:
    """Products of the orders, and pairs of those that two orders or more hold."""
    held = [{row.product for row in bought(visit)} - {None} for visit in visits]
    who = [visit[0].customer if visit[0].customer is not None else f"guest {k}" for k, visit in enumerate(visits)]
    mart = project.mart("baskets")
    assert mart.height == sum(map(len, held))
    assert sorted(mart.group_by("basket_id").agg(pl.col("products").first())["products"]) == sorted(
        len(own) for own in held if own
    )
    compare(
        mart.with_columns(pl.col("started_at").min().over("basket_id")),
        [
            {
                "customer_id": visit[0].customer,
                "started_at": naive(min(row.time for row in bought(visit) if row.product is not None)),
                "product_id": product,
                "units": sum(row.product == product for row in bought(visit)),
                "revenue": revenue([row for row in visit if row.product == product]).quantize(Decimal("0.0001")),
            }
            for visit, own in zip(visits, held, strict=True)
            for product in own
        ],
    )

    def together(*products: int) -> list[int]:
        return [k for k, own in enumerate(held) if own.issuperset(products)]

    counts = {product: len(together(product)) for product in set().union(*held)} if held else {}
    compare(project.mart("items"), [{"item": str(p), "baskets": n} for p, n in counts.items()])
    frequent = sorted(product for product, n in counts.items() if n >= 2)
    compare(
        project.mart("pairs"),
        [
            {"item_a": str(a), "item_b": str(b), "baskets": len(both), "customers": len({who[k] for k in both})}
            for a in frequent
            for b in frequent
            if a < b and len(both := together(a, b)) >= 2
        ],
    )


def check_rhythm_and_months(project: Trial, rows: list[Row], visits: list[list[Row]]) -> None:
    """Summed over clusters; what each holds apart from its customers is their own."""
    starts = {id(visit): local(min(row.time for row in visit)) for visit in visits}
    orders = {id(visit): local(min(row.time for row in bought(visit))) for visit in visits if bought(visit)}

    def totals(own: list[list[Row]]) -> dict[str, int]:
        return {
            "customers": len({visit[0].customer for visit in own} - {None}),
            "sessions": len(own),
            "buying_sessions": sum(bool(bought(visit)) for visit in own),
            "buyers": len({visit[0].customer for visit in own if bought(visit)} - {None}),
        }

    def slot(time: datetime) -> tuple[int, int]:
        return time.isoweekday(), time.hour

    rhythm = project.mart("rhythm")
    summed = rhythm.group_by("grouping_name", "group_name", "weekday", "hour").agg(
        pl.col("customers", "sessions", "buying_sessions", "session_buyers", "buyers", "orders").sum(),
        pl.col("revenue").sum().cast(pl.Decimal(38, 4)),
    )
    slots = {slot(local(row.time)) for row in rows}
    everyone = []
    for weekday, hour in slots:
        own = [visit for visit in visits if slot(starts[id(visit)]) == (weekday, hour)]
        ordered = [v for v in visits if id(v) in orders and slot(orders[id(v)]) == (weekday, hour)]
        earned = revenue([row for row in rows if slot(local(row.time)) == (weekday, hour)])
        counted = totals(own)
        if own or ordered or any(slot(local(row.time)) == (weekday, hour) for row in bought(rows)):
            everyone.append(
                {
                    "weekday": weekday,
                    "hour": hour,
                    **{name: counted[name] for name in ("customers", "sessions", "buying_sessions")},
                    "session_buyers": counted["buyers"],
                    "buyers": totals(ordered)["customers"],
                    "orders": len(ordered),
                    "revenue": earned.quantize(Decimal("0.0001")),
                }
            )
    compare(summed.filter(pl.col("grouping_name") == "all"), everyone)

    visits_of = Counter(visit[0].customer for visit in visits)
    firsts = {c: min(row.time for row in rows if row.customer == c) for c in visits_of if c is not None}
    groups: dict[tuple[str, str, int, int], list[list[Row]]] = defaultdict(list)
    for visit in visits:
        who = visit[0].customer
        if who is not None:
            new = min(row.time for row in visit) == firsts[who]
            often = "1 visit" if visits_of[who] == 1 else "2 to 4 visits" if visits_of[who] < 5 else "5 visits or more"
            groups["newness", "first visit" if new else "returning", *slot(starts[id(visit)])].append(visit)
            groups["frequency", often, *slot(starts[id(visit)])].append(visit)
    compare(
        summed.filter(pl.col("grouping_name") != "all"),
        [
            {
                "grouping_name": by,
                "group_name": group,
                "weekday": weekday,
                "hour": hour,
                **{name: totals(own)[name] for name in ("customers", "sessions", "buying_sessions")},
                "session_buyers": totals(own)["buyers"],
                "orders": 0,
            }
            for (by, group, weekday, hour), own in groups.items()
        ],
    )
    months = {start.date().replace(day=1) for start in starts.values()}
    compare(
        project.mart("monthly")
        .group_by("month")
        .agg(pl.col("customers", "sessions", "buying_sessions", "buyers", "explorers").sum()),
        [
            {
                "month": month,
                **totals([visit for visit in visits if starts[id(visit)].date().replace(day=1) == month]),
                "explorers": 0,  # the log names no category
            }
            for month in months
        ],
    )


LOG = (
    "event_time,event_type,product_id,category_code,brand,price,user_id,user_session\n"
    "2024-07-01 21:50:00 UTC,cart,3,toys,lupo,1,1,a\n"
    "2024-07-01 21:55:00 UTC,purchase,1,toys,lupo,1,1,a\n"
    "2024-07-01 22:05:00 UTC,purchase,2,toys,,1,1,a\n"
    "2024-07-02 09:00:00 UTC,purchase,4,books,lupo,1,1,b\n"
    "2024-07-02 09:00:00 UTC,purchase,4,books,lupo,1,,c\n"
    "2024-07-02 09:01:00 UTC,purchase,4,books,lupo,1,,c\n"
)


@pytest.mark.parametrize(
    ("basket", "expected"),
    [
        ({"unit": "order"}, [{1, 2}, {4}, {4}]),
        ({"unit": "session"}, [{1, 2, 3}, {4}, {4}]),
        ({"unit": "customer_day"}, [{1}, {2, 4}, {4}]),  # midnight is that of Berlin
        ({"exclude_products": ["2", "'; DROP"]}, [{1}, {4}, {4}]),
    ],
)
def test_a_basket_is_what_the_parameters_say(
    project: Trial, basket: dict[str, object], expected: list[set[int]]
) -> None:
    project.file("log.csv", LOG)
    project.build({"kind": "clickstream", "files": ["log.csv"]}, report={"time_zone": ZONE}, basket=basket)
    mart = project.mart("baskets")
    held = [set(own) for own in mart.group_by("basket_id").agg("product_id")["product_id"]]
    assert sorted(map(sorted, held)) == sorted(map(sorted, expected))
    assert mart.filter(pl.col("customer_id").is_null())["units"].to_list() == [2]


def test_pairs_of_categories_and_brands_count_each_basket_once(project: Trial) -> None:
    project.file("log.csv", LOG)
    project.build(
        {"kind": "clickstream", "files": ["log.csv"]},
        report={"time_zone": ZONE},
        basket={"unit": "customer_day", "minimum_baskets": 2, "minimum_together": 2},
    )
    items = project.mart("items")
    counted = {(level, item): n for level, item, n in items.select("level", "item", "baskets").iter_rows()}
    assert counted["category", "toys"] == 2
    assert counted["brand", "lupo"] == 3
    assert project.mart("pairs").is_empty()  # one basket alone holds two categories


def test_a_huge_basket_makes_no_pairs(project: Trial) -> None:
    rows = [
        f"2024-07-01 10:00:00 UTC,purchase,{k},,,,1,1,{'huge' if k > 2 else s}\n" for k in range(200) for s in "abc"
    ]
    project.file("log.csv", HEADER + "\n" + "".join(rows))
    limits = {"minimum_baskets": 2, "minimum_together": 2, "largest": 50}
    project.build({"kind": "clickstream", "files": ["log.csv"]}, basket=limits)
    assert project.mart("baskets")["products"].max() == 197
    assert project.mart("pairs").select("item_a", "item_b", "baskets").rows() == [
        ("0", "1", 3), ("0", "2", 3), ("1", "2", 3),
    ]  # fmt: skip


def test_months_count_the_categories_that_each_customer_sees(project: Trial) -> None:
    project.file(
        "log.csv",
        "event_time,event_type,product_id,category_id,category_code,price,user_id,user_session\n"
        "2024-06-30 21:59:00 UTC,view,1,10,toys,1,1,a\n"  # still June in Berlin
        "2024-07-01 10:00:00 UTC,view,1,10,toys,1,1,b\n"
        "2024-07-01 10:01:00 UTC,view,2,11,toys,1,1,b\n"  # another product of the same category
        "2024-07-02 10:01:00 UTC,cart,3,12,,1,1,c\n"  # a category without a code is known by its id
        "2024-07-02 10:01:00 UTC,view,4,,,1,1,c\n"  # none
        "2024-07-02 10:01:00 UTC,view,3,12,,1,2,d\n",
    )
    project.build({"kind": "clickstream", "files": ["log.csv"]}, report={"time_zone": ZONE})
    months = project.mart("monthly").group_by("month").agg(pl.col("explorers", "categories").sum()).sort("month")
    assert months.rows() == [(date(2024, 6, 1), 1, 1), (date(2024, 7, 1), 2, 3)]


def test_cohorts_by_platform_and_first_category(project: Trial) -> None:
    """Ages run from each customer's own first day; the category is that of what was seen first."""
    project.file(
        "log.csv",
        "event_time,event_type,product_id,category_code,price,user_id,user_session,platform\n"
        "2024-07-01 10:00:00 UTC,view,1,toys.bricks,1,1,a,web\n"
        "2024-07-01 10:05:00 UTC,view,2,books,1,1,a,web\n"
        "2024-07-08 10:00:00 UTC,view,2,books,1,1,b,app\n"
        "2024-07-07 10:00:00 UTC,purchase,2,books,1,2,c,app\n"
        "2024-08-06 10:00:00 UTC,purchase,2,books,1,2,d,app\n",
    )
    project.build({"kind": "clickstream", "files": ["log.csv"]})
    mart = project.mart("cohorts").filter(pl.col("activity") == "visit")
    groups = mart.filter(pl.col("grouping_name") != "all").drop("activity", "first_day", "customers")
    assert set(groups.iter_rows()) == {
        (unit, by, group, age)
        for by, group, unit, ages in (
            ("platform", "web", "week", (0, 1)),
            ("platform", "web", "month", (0,)),
            ("platform", "app", "week", (0, 4)),
            ("platform", "app", "month", (0, 1)),
            ("category", "toys", "week", (0, 1)),
            ("category", "toys", "month", (0,)),
            ("category", "books", "week", (0, 4)),
            ("category", "books", "month", (0, 1)),
        )
        for age in ages
    }
    assert mart["customers"].to_list() == [1] * mart.height


def test_the_first_category_is_that_of_the_first_purchase_not_of_a_cancelled_or_returned_line(project: Trial) -> None:
    columns = {"order_id": "order", "product_id": "product", "category_code": "category", "quantity": "quantity"}
    columns |= {"event_time": "time", "price": "price", "customer_id": "customer"}
    project.file(
        "till.csv",
        "order,product,category,quantity,time,price,customer\n"
        "C1,1,art,1,2024-07-01 09:00:00,5,1\n"  # cancelled
        "2,2,books,-2,2024-07-01 10:00:00,5,1\n"  # an order that returns more than it sells
        "2,3,cups,1,2024-07-01 10:00:00,5,1\n"
        "3,4,dolls,-1,2024-07-02 10:00:00,5,1\n"  # a returned line of the first purchase
        "3,5,toys.bricks,3,2024-07-02 10:00:00,5,1\n"
        "4,6,apples,1,2024-07-03 10:00:00,5,1\n",
    )
    project.build(
        {
            "kind": "transactions",
            "files": ["till.csv"],
            "columns": columns,
            "time_format": "%Y-%m-%d %H:%M:%S",
            "cancelled": {"order_id_prefix": "C"},
        }
    )
    mart = project.mart("cohorts").filter(pl.col("activity") == "purchase", pl.col("grouping_name") == "category")
    assert set(mart["group_name"]) == {"toys"}


def test_period_is_days_in_the_shops_local_time(project: Trial) -> None:
    times = ["2024-07-01 21:59:59", "2024-07-01 22:00:00", "2024-07-03 21:59:59", "2024-07-03 22:00:00"]
    project.file("log.csv", HEADER + "\n" + "".join(f"{t} UTC,view,1,,,,1,{i},s\n" for i, t in enumerate(times)))
    project.build(
        {"kind": "clickstream", "files": ["log.csv"]},
        period={"from": "2024-07-02", "to": "2024-07-03"},
        report={"time_zone": ZONE},
    )
    assert project.mart("customers")["customer_id"].to_list() == [1, 2]


def test_filter_selects_events(project: Trial) -> None:
    rows = [f"2024-07-01 10:00:00 UTC,view,{i},,,,{i},1,s\n" for i in range(5)]
    project.file("log.csv", HEADER + "\n" + "".join(rows))
    project.build({"kind": "clickstream", "files": ["log.csv"]}, filter="price >= 3")
    assert project.mart("product_stats")["product_id"].to_list() == [3, 4]


def test_cancelled_orders_are_no_orders_and_revenue_is_net(project: Trial) -> None:
    project.file(
        "till.csv",
        "order_id,event_time,product_id,quantity,price,customer_id\n"
        "1,2024-07-01 10:00,a,2,5.00,x\nC2,2024-07-02 10:00,a,-1,5.00,x\n3,2024-07-03 10:00,b,1,1.00,x\n",
    )
    project.build(
        {
            "kind": "transactions",
            "files": ["till.csv"],
            "columns": {"order_id": "order_id", "event_time": "event_time", "product_id": "product_id"},
            "cancelled": {"order_id_prefix": "C"},
        }
    )
    (customer,) = project.mart("customers").iter_rows(named=True)
    assert customer["orders"] == 2
    assert customer["revenue"] == Decimal("6.00")
    assert str(customer["last_purchase_at"]) == "2024-07-03 10:00:00"
    assert project.mart("order_lines")["cancelled"].to_list().count(True) == 1


def test_marts_are_built_once(project: Trial) -> None:
    project.file("log.csv", f"{HEADER}\n2024-07-01 10:00:00 UTC,view,1,,,,1,1,s\n")
    source = {"kind": "clickstream", "files": ["log.csv"]}
    project.build(source)
    before = project.paths.mart("sessions").stat().st_mtime_ns
    project.build(source)
    assert project.paths.mart("sessions").stat().st_mtime_ns == before
    project.build(source, filter="price > 0")
    assert project.paths.mart("sessions").stat().st_mtime_ns > before
