"""The customer funnel against a count by hand, its suppression and its words."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from patternbook.analysis import funnel
from patternbook.analysis.funnel import Funnel, Groups, Published
from patternbook.analysis.measure import LeftOut
from patternbook.formats import Formats

US = Formats("USD", "en_US")
START = datetime(2024, 7, 1)


def published(*counts: int, kind: str = "clickstream", minimum_group: int = 10) -> Published:
    return funnel.publish(Funnel(*counts), kind, minimum_group)


REES46 = published(4504, 4504, 111, 111, 62, 193, 131)  # the head of the published log

events = st.lists(
    st.tuples(
        st.integers(1, 5),  # customer
        st.integers(0, 6),  # second: ties are common
        st.sampled_from(["view", "cart", "remove_from_cart", "purchase", "other"]),
    ),
    min_size=1,
    max_size=30,
)


def log(rows: list[tuple[int, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "session_id": [customer for customer, _, _ in rows],
            "event_time": [START + timedelta(seconds=second) for _, second, _ in rows],
            "event_type": [kind for _, _, kind in rows],
            "platform": ["web" if customer % 2 else "app" for customer, _, _ in rows],
        }
    )


def counted_by_hand(rows: list[tuple[int, int, str]]) -> Funnel:
    """Each customer's events looked at one by one."""
    people = [[(at, kind) for who, at, kind in rows if who == customer] for customer in {row[0] for row in rows}]

    def has(person: list[tuple[int, str]], kind: str) -> bool:
        return any(what == kind for _, what in person)

    def follows(person: list[tuple[int, str]], before: str, after: str) -> bool:
        starts = [at for at, what in person if what == before]
        return bool(starts) and any(what == after and at >= min(starts) for at, what in person)

    return Funnel(
        visitors=len(people),
        viewers=sum(has(person, "view") for person in people),
        viewers_to_cart=sum(follows(person, "view", "cart") for person in people),
        carters=sum(has(person, "cart") for person in people),
        carters_to_purchase=sum(follows(person, "cart", "purchase") for person in people),
        buyers=sum(has(person, "purchase") for person in people),
        buyers_without_cart=sum(has(person, "purchase") and not has(person, "cart") for person in people),
    )


@settings(max_examples=60, deadline=None)
@given(events)
def test_the_funnel_is_what_one_counts_by_hand(rows: list[tuple[int, int, str]]) -> None:
    result = funnel.total(shop.marts(log(rows), only=("customers", "funnel"))["funnel"])
    assert result == counted_by_hand(rows)
    shown = funnel.publish(result, "clickstream", minimum_group=1)
    for name, took, could in (
        ("view_to_cart", result.viewers_to_cart, result.viewers),
        ("cart_to_purchase", result.carters_to_purchase, result.carters),
        ("conversion", result.buyers, result.visitors),
    ):
        rate = shown.rate(name)
        assert rate is None or (rate.value, rate.n) == (took / could, could)


def test_the_published_log() -> None:
    measures = {measure.name: measure for measure in funnel.measures(REES46)}
    assert measures["view_to_cart"].value == 111 / 4504
    assert measures["cart_to_purchase"].value == 62 / 111
    assert measures["cart_to_purchase"].n == 111
    low, high = measures["cart_to_purchase"].interval or (0, 0)
    assert (low, high) == pytest.approx((0.4658, 0.6474), abs=1e-4)
    assert measures["buyers_without_cart"].value == 131
    assert [step.lost for step in funnel.steps(REES46)] == [0, 4393, 49, 4311]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (published(4372, 0, 0, 0, 0, 4339, 4339, kind="transactions"), "orders only"),
        (published(0, 0, 0, 0, 0, 0, 0), "names its customer"),
        (published(90, 0, 0, 30, 20, 20, 0), "no view event"),
        (published(90, 90, 0, 0, 0, 0, 0), "views only"),
        (published(9, 9, 5, 5, 2, 2, 0), "Fewer than 10 customers"),
    ],
)
def test_a_source_without_a_funnel_says_why(result: Published, said: str) -> None:
    assert said in funnel.answer(result, US)
    for measure in funnel.measures(result):
        assert measure.value is None
        assert said in (measure.reason or "")


def missing(result: Published) -> set[str]:
    return {measure.name for measure in funnel.measures(result) if measure.value is None}


def test_a_log_without_purchases_leaves_out_what_needs_them() -> None:
    result = published(120, 120, 20, 20, 0, 0, 0)
    assert missing(result) == {"buyers", "buyers_without_cart", "cart_to_purchase", "conversion"}
    assert "no purchase" in funnel.answer(result, US)
    assert [step.label for step in funnel.steps(result)] == ["Viewed a product", "Put something into a cart"]


def test_a_log_without_carts_leaves_out_what_needs_them() -> None:
    result = published(120, 120, 0, 0, 0, 20, 20)
    assert missing(result) == {"carters", "buyers_without_cart", "view_to_cart", "cart_to_purchase"}
    assert "In all, 17% (11%–24%) of visitors" in funnel.answer(result, US)
    assert "no cart event" in funnel.answer(result, US)


def test_counts_of_few_people_are_not_published() -> None:
    result = published(140, 135, 1, 6, 0, 0, 0)  # the electronics log without sessions
    assert {"carters", "view_to_cart"} <= missing(result)
    assert [step.label for step in funnel.steps(result)] == ["Viewed a product"]
    assert "Fewer than 10 viewers put something into a cart" in funnel.answer(result, US)


def test_nobody_is_no_small_group() -> None:
    rate = published(120, 120, 20, 20, 0, 20, 20).rate("cart_to_purchase")
    assert rate is not None
    assert rate.value == 0


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (REES46, "Most customers, 4,393, leave between view and cart."),
        (published(100, 100, 80, 80, 10, 10, 0), "Most customers, 70, leave between cart and purchase."),
    ],
)
def test_the_answer_names_where_most_leave(result: Published, said: str) -> None:
    assert said in funnel.answer(result, US)


def test_where_nobody_leaves_the_answer_names_no_place() -> None:
    assert "leave" not in funnel.answer(published(100, 100, 100, 100, 100, 100, 0), US)


def mart(*rows: tuple[str | None, int, int]) -> pl.DataFrame:
    """Groups with visitors and buyers; everybody views, a third of them has a cart."""
    return pl.DataFrame(
        [
            {
                "platform": name,
                "visitors": visitors,
                "viewers": visitors,
                "viewers_to_cart": visitors // 3,
                "carters": visitors // 3,
                "carters_to_purchase": min(buyers, visitors // 3),
                "buyers": buyers,
                "buyers_without_cart": max(0, buyers - visitors // 3),
            }
            for name, visitors, buyers in rows
        ],
        schema_overrides={"platform": pl.String},
    )


def test_small_groups_stand_together() -> None:
    groups = funnel.by_group(mart(("web", 500, 50), ("app", 300, 60), ("kiosk", 7, 1), ("fax", 6, 2)), "platform", 10)
    assert isinstance(groups, Groups)
    assert groups.table["group"].to_list() == ["web", "app", funnel.POOLED]
    assert groups.table["visitors"].to_list() == [500, 300, 13]
    assert groups.pooled == 2


def test_a_lone_small_group_hides_behind_the_next() -> None:
    """With the total known, `all other` of one group would be that group."""
    groups = funnel.by_group(mart(("web", 500, 50), ("app", 300, 60), ("kiosk", 7, 1)), "platform", 10)
    assert isinstance(groups, Groups)
    assert groups.table["group"].to_list() == ["web", funnel.POOLED]
    assert groups.table["visitors"].to_list() == [500, 307]


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8), st.integers(1, 12))
def test_no_published_group_or_remainder_is_small(visitors: list[int], minimum: int) -> None:
    groups = funnel.by_group(mart(*((f"p{i}", n, n // 4) for i, n in enumerate(visitors))), "platform", minimum)
    if isinstance(groups, Groups):
        assert min(groups.table["visitors"]) >= minimum
        assert sum(groups.table["visitors"]) == sum(visitors)
        assert groups.pooled != 1


def test_rates_of_few_people_are_not_published() -> None:
    shops = mart(("web", 500, 50), ("tv", 400, 30), ("app", 60, 4), ("kiosk", 60, 0))
    groups = funnel.by_group(shops, "platform", 10)
    assert isinstance(groups, Groups)
    by_name = {row["group"]: row for row in funnel.groups_table(groups).iter_rows(named=True)}
    assert by_name["app"]["conversion"] is None
    assert by_name["app"]["conversion_high"] is None
    assert by_name["tv"]["conversion"] is None  # else all buyers, less those of the others, were those of app
    assert by_name["kiosk"]["conversion"] == 0
    assert by_name["web"]["conversion"] == 0.1
    assert not {"buyers", "carters"} & set(funnel.groups_table(groups).columns)


def test_an_unknown_platform_is_a_group() -> None:
    groups = funnel.by_group(mart(("web", 500, 50), (None, 60, 20)), "platform", 10)
    assert isinstance(groups, Groups)
    assert groups.table["group"].to_list() == ["web", funnel.UNKNOWN]


@pytest.mark.parametrize(
    ("rows", "said"),
    [([(None, 50, 5)], "does not say"), ([("web", 50, 5)], "only one"), ([("web", 5, 1), ("app", 4, 1)], "only one")],
)
def test_nothing_to_compare(rows: list[tuple[str | None, int, int]], said: str) -> None:
    groups = funnel.by_group(mart(*rows), "platform", 10)
    assert isinstance(groups, LeftOut)
    assert said in groups.reason


@pytest.mark.parametrize(
    ("buyers", "said"), [((50, 150), ", more than chance"), ((50, 53), "no more than chance alone")]
)
def test_the_groups_differ_or_not(buyers: tuple[int, int], said: str) -> None:
    groups = funnel.by_group(mart(("web", 500, buyers[0]), ("app", 500, buyers[1])), "platform", 10)
    assert isinstance(groups, Groups)
    answer = funnel.groups_answer(groups, US)
    assert said in answer
    assert "from 10.0% (web) to" in answer


def test_groups_without_buyers_are_not_compared() -> None:
    groups = funnel.by_group(mart(("web", 500, 0), ("app", 500, 0)), "platform", 10)
    assert isinstance(groups, Groups)
    assert groups.p_value is None
    assert "too few buyers" in funnel.groups_answer(groups, US)


def test_steps_never_grow_along_the_chain() -> None:
    reached = [step.customers for step in funnel.steps(REES46)[:-1]]
    assert all(later <= earlier for earlier, later in pairwise(reached))
