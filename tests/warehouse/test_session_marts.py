"""The funnel by session, carts, first orders and signals against plain Python over the rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import example, given, settings
from test_marts import ROWS, START, Row, bought, compare, local, naive, sessions_of, to_csv
from trial import Trial, trial_project

NAMES = {name: name for name in ("view", "cart", "purchase", "remove_from_cart")} | {"sign_in": "other"}
CATEGORIES = {1: "garden.hose", 2: "kitchen.pan", 3: "garden"}

STEPS_OVER_SESSIONS = [  # each step is in order over two sessions, and not within the first
    Row(START + timedelta(minutes=10 * at), kind, 1, Decimal("1.10"), 1, session)
    for at, (kind, session) in enumerate(
        [("purchase", "a"), ("cart", "a"), ("view", "a"), ("cart", "b"), ("purchase", "b")]
    )
]


@settings(max_examples=15, deadline=None)
@given(ROWS)
@example(STEPS_OVER_SESSIONS)
def test_session_marts_agree_with_the_oracle(rows: list[Row]) -> None:
    with trial_project() as project:
        project.file("log.csv", to_csv(rows, CATEGORIES))
        project.build(
            {"kind": "clickstream", "files": ["log.csv"], "event_names": NAMES},
            report={"time_zone": "Europe/Berlin"},
            basket={"minimum_baskets": 2, "minimum_together": 2},
        )
        visits = sessions_of(list(dict.fromkeys(rows)))
        check_funnel(project, visits)
        check_carts(project, visits)
        check_first_orders(project, visits)
        check_signals(project, visits)


def times(visit: list[Row], kind: str) -> list[datetime]:
    return sorted(row.time for row in visit if row.kind == kind)


def steps(visit: list[Row]) -> dict[str, bool]:
    """The steps of one session (or of what one session did with some products)."""
    views, carts, purchases = (times(visit, kind) for kind in ("view", "cart", "purchase"))
    return {
        "sessions": True,
        "viewing": bool(views),
        "viewing_to_cart": bool(views and carts) and carts[-1] >= views[0],
        "carting": bool(carts),
        "carting_to_purchase": bool(carts and purchases) and purchases[-1] >= carts[0],
        "buying": bool(purchases),
        "buying_without_view": bool(purchases) and not views,
        "carting_without_view": bool(carts) and not (views and carts[-1] >= views[0]),
    }


def customer_steps(visits: list[list[Row]]) -> dict[str, int]:
    """How many known customers take each step anywhere in these sessions (or parts of sessions), in that order."""
    by_customer: dict[int, list[Row]] = defaultdict(list)
    for visit in visits:
        if visit[0].customer is not None:
            by_customer[visit[0].customer] += visit
    told = [steps(rows) for rows in by_customer.values()]
    names = {
        "customers": "sessions",
        "viewers": "viewing",
        "viewers_to_cart": "viewing_to_cart",
        "carters": "carting",
        "carters_to_purchase": "carting_to_purchase",
        "buyers": "buying",
    }
    return {name: sum(one[step] for one in told) for name, step in names.items()}


def check_funnel(project: Trial, visits: list[list[Row]]) -> None:
    firsts: dict[int | None, datetime] = {}
    for visit in visits:
        for row in visit:
            firsts[row.customer] = min(row.time, firsts.get(row.customer, row.time))
    groups: dict[tuple[str, str], list[list[Row]]] = defaultdict(list)
    tops = {product: code.split(".")[0] for product, code in CATEGORIES.items()}
    quarters = dict(project.mart("product_stats").select("product_id", "price_quarter").iter_rows())
    for visit in visits:
        start = min(row.time for row in visit)
        groups["all", "all"].append(visit)
        groups["weekday", str(local(start).isoweekday())].append(visit)
        if visit[0].customer is not None:
            newness = "first visit" if start == firsts[visit[0].customer] else "returning"
            groups["newness", newness].append(visit)
        for by, belongs in (("price", quarters), ("category", tops)):
            for group in {belongs.get(row.product) for row in visit} - {None}:
                groups[by, str(group)].append([row for row in visit if belongs.get(row.product) == group])
    expected = []
    for (by, group), own in groups.items():
        told = [steps(visit) for visit in own]
        expected.append(
            {
                "grouping_name": by,
                "group_name": group,
                **customer_steps(own),
                **{name: sum(one[name] for one in told) for name in told[0]},
            }
        )
    mart = project.mart("session_funnel").group_by("grouping_name", "group_name").agg(pl.exclude("cluster").sum())
    compare(mart, expected)


def check_carts(project: Trial, visits: list[list[Row]]) -> None:
    expected = []
    for visit in visits:
        carts = times(visit, "cart")
        if not carts:
            continue
        who = visit[0].customer
        elsewhere = [
            row
            for other in visits
            if other is not visit and who is not None
            for row in bought(other)
            if row.customer == who
        ]
        fates, left, later = Counter(), Decimal(0), Decimal(0)
        for product in {row.product for row in visit if row.kind == "cart"}:
            own = [row for row in visit if row.product == product]
            put, taken, got = (times(own, kind) for kind in ("cart", "remove_from_cart", "purchase"))
            price = max((row.price for row in own if row.kind == "cart" and row.price is not None), default=Decimal(0))
            if got and got[-1] >= put[0]:
                fates["products_bought"] += 1
            elif taken and taken[-1] >= put[-1]:
                fates["products_removed"] += 1
            else:
                fates["products_left"] += 1
                left += price
                if product is not None and any(r.product == product and r.time > put[0] for r in elsewhere):
                    fates["products_bought_later"] += 1
                    later += price
        orders = [
            min(times(other, "purchase"))
            for other in visits
            if other is not visit and who is not None and other[0].customer == who and bought(other)
        ]
        expected.append(
            {
                "customer_id": who,
                "carted_at": naive(carts[0]),
                "ordered": any(time >= carts[0] for time in times(visit, "purchase")),
                "next_order_at": naive(min((time for time in orders if time > carts[0]), default=None)),
                **{
                    name: fates[name]
                    for name in ("products_bought", "products_removed", "products_left", "products_bought_later")
                },
                "value_left": left.quantize(Decimal("0.0001")),
                "value_bought_later": later.quantize(Decimal("0.0001")),
            }
        )
    compare(project.mart("carts"), expected)


def check_first_orders(project: Trial, visits: list[list[Row]]) -> None:
    expected = []
    for who in {visit[0].customer for visit in visits if bought(visit)} - {None}:
        own = [visit for visit in visits if visit[0].customer == who]
        at = min(time for visit in own for time in times(visit, "purchase"))
        ties = [visit for visit in own if at in times(visit, "purchase")]
        before = [[row for row in visit if row.time <= at] for visit in own]
        row = {
            "customer_id": who,
            "first_event_at": naive(min(row.time for visit in own for row in visit)),
            "ordered_at": naive(at),
            "sessions": sum(bool(rows) for rows in before),
            "views": sum(len(times(rows, "view")) for rows in before),
        }
        if len(ties) == 1:  # which of two simultaneous orders is the first, the mart decides by its number
            visit = [row for row in ties[0] if row.time <= at]
            carts = sum(len(times(rows, "cart")) for rows in before)
            row |= {
                "views_in_session": len(times(visit, "view")),
                "carts_in_session": len(times(visit, "cart")),
                "carts_before": carts - len(times(visit, "cart")),
            }
        expected.append(row)
    mart = project.mart("first_orders")
    for row in expected:
        compare(mart.filter(pl.col("customer_id") == row["customer_id"]), [row])
    assert mart.height == len(expected)


def check_signals(project: Trial, visits: list[list[Row]]) -> None:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for visit in visits:
        purchases, views = times(visit, "purchase"), times(visit, "view")
        for action in ("cart", "remove_from_cart", "sign_in"):
            happened = times(visit, action)
            if not happened or (purchases and happened[0] > purchases[0]):
                continue
            counted[action]["sessions"] += 1
            if purchases:
                looked = [time for time in views if time <= purchases[0]]
                counted[action]["buying"] += 1
                counted[action]["at_purchase"] += not looked or looked[-1] <= happened[0]
    mart = project.mart("signals").group_by("action").agg(pl.col("sessions", "buying", "at_purchase").sum())
    compare(
        mart,
        [
            {"action": action, **{name: counts[name] for name in ("sessions", "buying", "at_purchase")}}
            for action, counts in counted.items()
        ],
    )
