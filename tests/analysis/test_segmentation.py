"""Scores against a brute force, segments as a partition, movements, and data that allow little."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from html import unescape

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patternbook import theme
from patternbook.analysis import segmentation
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period
from patternbook.analysis.reserved import AWAY, NOT_YET, SMALL
from patternbook.analysis.segmentation import Migration, Rule
from patternbook.charts import segmentation as charts
from patternbook.errors import UserError
from patternbook.formats import Formats
from patternbook.params import SEGMENT_RULES, params_from
from patternbook.tables import segmentation as tables

RULES = [Rule(**rule.model_dump()) for rule in SEGMENT_RULES]
YEAR = Period(date(2024, 1, 1), date(2024, 12, 31))
US = Formats("USD", "en_US")


def orders(n: int, seed: int = 0, window: Period = YEAR) -> pl.DataFrame:
    """Orders of about `n` customers, one a row, some of them returns."""
    rng = np.random.default_rng(seed)
    count = rng.geometric(0.4, n)
    who = np.repeat(np.arange(n), count)
    day = rng.integers(0, window.days, len(who))
    units = np.where(rng.random(len(who)) < 0.05, -1, 1)
    return pl.DataFrame(
        {
            "customer_id": who,
            "ordered_at": [datetime(2024, 1, 1, 12) + timedelta(days=int(d)) for d in day],
            "units": units,
            "revenue": units * rng.lognormal(3, 1, len(who)),
        },
        schema_overrides={"ordered_at": pl.Datetime("us")},
    )


def customers(recency: list[int], frequency: list[int], monetary: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {"customer_id": range(len(recency)), "recency": recency, "frequency": frequency, "monetary": monetary}
    )


def values(ids: pl.Series, loss: float = 2.0, low: float = 1.0) -> pl.DataFrame:
    """The frame `lifetime`: each customer may cost `loss`, known up to a common parameter."""
    each = {"loss_12m": loss, "loss_12m_low": low, "loss_12m_high": 3 * loss, "loss_12m_loadings": [0.1] * 7}
    return pl.DataFrame(
        {"customer_id": ids, **{name: [value] * len(ids) for name, value in each.items()}},
        schema_overrides={"loss_12m_loadings": pl.Array(pl.Float32, 7)},
    )


def segments_of(n: int, seed: int = 0) -> pl.DataFrame:
    found = segmentation.assign(segmentation.buyers(orders(n, seed), YEAR, "UTC"), RULES, 50)
    assert isinstance(found, pl.DataFrame)
    return found


numbers = st.lists(st.integers(-50, 50), min_size=5, max_size=60)


@given(numbers)
def test_a_score_counts_the_fifths_that_are_strictly_worse(money: list[int]) -> None:
    frame = customers([1] * len(money), [1] * len(money), [float(one) for one in money])
    scores = segmentation.scored(frame, segmentation.cuts(frame))["monetary_score"].to_list()
    n = len(money)
    expected = [1 + sum(5 * sum(other < one for other in money) >= k * n for k in range(1, 5)) for one in money]
    assert scores == expected


def test_recent_buyers_score_high_and_scores_of_distinct_values_are_fifths() -> None:
    frame = customers(list(range(100)), [1] * 100, [float(one) for one in range(100)])
    scored = segmentation.scored(frame, segmentation.cuts(frame))
    assert scored["recency_score"].to_list() == [5] * 20 + [4] * 20 + [3] * 20 + [2] * 20 + [1] * 20
    assert scored["monetary_score"].to_list() == scored["recency_score"].to_list()[::-1]
    assert set(scored["frequency_score"]) == {1}  # tied values share a score


@given(st.integers(70, 140), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_each_buyer_is_in_one_segment_whose_rule_holds_and_no_earlier_one(n: int, seed: int) -> None:
    found = segments_of(n, seed)
    assert found["customer_id"].is_unique().all()
    for row in found.iter_rows(named=True):
        matching = [
            rule.name
            for rule in RULES
            if rule.recency[0] <= row["recency_score"] <= rule.recency[1]
            and rule.frequency[0] <= row["frequency_score"] <= rule.frequency[1]
            and rule.monetary[0] <= row["monetary_score"] <= rule.monetary[1]
        ]
        assert row["segment"] == matching[0]


def test_segments_do_not_hang_on_the_order_of_rows() -> None:
    bought = orders(200)
    one = segmentation.segmented(segmentation.buyers(bought, YEAR, "UTC"), RULES)
    other = segmentation.segmented(
        segmentation.buyers(bought.sample(fraction=1, shuffle=True, seed=3), YEAR, "UTC"), RULES
    )
    assert one.equals(other)


def test_same_day_orders_are_one_money_is_net_and_days_are_local() -> None:
    bought = pl.DataFrame(
        {
            "customer_id": [1, 1, 1, 2],
            "ordered_at": [
                datetime(2024, 12, 1, 8),
                datetime(2024, 12, 1, 20),
                datetime(2024, 12, 5),
                datetime(2024, 12, 30, 23, 30),
            ],
            "units": [1, 1, -1, 1],
            "revenue": [10.0, 20.0, -5.0, 7.0],
        }
    )
    found = segmentation.buyers(bought, YEAR, "Europe/Berlin")
    assert found.rows() == [(1, 30, 1, 25.0), (2, 0, 1, 7.0)]


def test_the_summary_adds_up_and_holds_the_value_at_risk() -> None:
    found = segments_of(400)
    table = segmentation.summary(found, values(found["customer_id"]), RULES, 1)
    assert table["customers"].sum() == found.height
    assert table["share"].sum() == pytest.approx(1)
    assert table["revenue_share"].sum() == pytest.approx(1)
    assert table["value_at_risk"].to_list() == pytest.approx([2.0 * count for count in table["customers"]])
    assert (table["value_at_risk_low"] < table["value_at_risk"]).all()
    assert table.filter("at_risk")["segment"].to_list() == ["Can't lose them", "At risk"]


def test_small_segments_stand_together_and_cannot_be_had_by_subtraction() -> None:
    found = segments_of(400)
    for minimum in (5, 20, 60, 150):
        table = segmentation.summary(found, None, RULES, minimum)
        assert (table["customers"] >= minimum).all()
        assert table["customers"].sum() == found.height
    assert SMALL in table["segment"]


def test_measures_are_those_of_the_segments_at_risk() -> None:
    found = segments_of(400)
    counted, modelled = segmentation.measures(found, found.height, values(found["customer_id"]), RULES, 1)
    people = found.filter(pl.col("segment").is_in(["Can't lose them", "At risk"])).height
    assert [measure.value for measure in counted] == [found.height, people]
    assert [measure.value for measure in modelled] == pytest.approx([2.0 * people, 2.0 * found.height])
    assert modelled[0].interval is not None
    few = found.filter(pl.col("segment") == "At risk").height
    alone, _ = segmentation.measures(found, found.height, None, RULES, few + 1)
    assert alone[1].value is None  # the table holds the other segment at risk: the rest would be these few
    hidden, without = segmentation.measures(found, found.height, None, RULES, people + 1)
    assert hidden[1].value is None
    assert without[0].reason


def test_no_modelled_value_is_said_not_invented() -> None:
    found = segments_of(400)
    table = segmentation.summary(found, None, RULES, 1)
    assert table["value_at_risk"].null_count() == table.height
    counted, modelled = segmentation.measures(found, found.height, None, RULES, 1)
    assert modelled[0].value is None
    assert "could not be modelled" in segmentation.answer(found, table, [*counted, *modelled], US)


def test_the_answer_says_what_drop_out_costs_in_all_and_with_those_at_risk() -> None:
    found = segments_of(400)
    for low, said in ((1.0, False), (0.0, True)):
        frame = values(found["customer_id"], low=low)
        counted, modelled = segmentation.measures(found, found.height, frame, RULES, 1)
        table = segmentation.summary(found, frame, RULES, 1)
        text = segmentation.answer(found, table, [*counted, *modelled], US)
        assert f"{US.money(2.0 * found.height, modelled[1].interval)} of margin in twelve months" in text
        assert "Of that, " in text and "marked at risk" in text
        assert ("begins at nothing" in text) == said


def test_the_table_of_actions_is_in_the_order_of_what_may_be_lost_and_ends_with_the_sums() -> None:
    found = segments_of(400)
    frame = values(found["customer_id"])
    _, modelled = segmentation.measures(found, found.height, frame, RULES, 1)
    summary = segmentation.summary(found, frame, RULES, 1)
    html = tables.actions(summary, modelled, US).as_raw_html()
    *segments, whole, marked = re.findall(r"<tr>\s*<td[^>]*>(.*?)</td>", html)
    by_loss = summary.sort("value_at_risk", descending=True, maintain_order=True)
    risky = dict(summary.select("segment", "at_risk").iter_rows())
    expected = [f"{name} {tables.MARK}" if risky[name] else name for name in by_loss["segment"]]
    assert [unescape(name) for name in segments] == expected
    assert (whole, marked) == ("All buyers", f"All marked {tables.MARK}")
    assert US.money(2.0 * found.height, modelled[1].interval) in html
    assert "may cost" not in tables.actions(segmentation.summary(found, None, RULES, 1), modelled, US).as_raw_html()


def test_cells_in_space_hold_enough_customers_of_one_segment_and_lie_among_them() -> None:
    found = segments_of(3000)
    cells = segmentation.space(found, 10)
    assert 0 < cells.height <= 300
    assert cells["customers"].min() >= 10
    assert cells["customers"].sum() <= found.filter(pl.col("monetary") > 0).height
    for row in cells.head(5).rows(named=True):
        width = 10**0.25
        near = found.filter(
            pl.col("segment") == row["segment"],
            *(
                pl.col(name).is_between(row[name] / width - shift, row[name] * width - shift)
                for name, shift in (("recency", 1), ("frequency", 0), ("monetary", 0))
            ),
        )
        assert near.height >= row["customers"]
    figure = charts.space(cells, theme.segment_colours([rule.name for rule in RULES]), 10, US)
    assert sum(len(trace.x) for trace in figure.data) == cells.height
    assert figure.layout.meta["paper"] is False


def test_who_does_not_change_keeps_the_segment() -> None:
    """The second half of the year repeats the first."""
    half = YEAR.days // 2
    first = orders(300, window=Period(date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=half - 1)))
    second = first.with_columns(pl.col("ordered_at") + timedelta(days=half))
    data = Period(date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=2 * half - 1))
    moves = segmentation.migration(pl.concat([first, second]), data, 12, RULES, "UTC", 1)
    assert isinstance(moves, Migration)
    assert moves.kept is not None
    assert moves.kept.value == 1
    assert moves.earlier.days == moves.later.days == half
    assert (moves.table["from"] == moves.table["to"]).all()


def test_newcomers_and_those_who_stay_away_are_counted() -> None:
    bought = orders(300)
    moves = segmentation.migration(bought, YEAR, 6, RULES, "UTC", 1)
    assert isinstance(moves, Migration)
    before, after = (set(segmentation.buyers(bought, span, "UTC")["customer_id"]) for span in moves[:2])
    counts = {
        "new": moves.table.filter(pl.col("from") == NOT_YET)["customers"].sum(),
        "away": moves.table.filter(pl.col("to") == AWAY)["customers"].sum(),
        "all": moves.table["customers"].sum(),
    }
    assert counts == {"new": len(after - before), "away": len(before - after), "all": len(before | after)}


def test_no_published_move_is_of_few_customers() -> None:
    moves = segmentation.migration(orders(300), YEAR, 6, RULES, "UTC", 10)
    assert isinstance(moves, Migration)
    assert moves.table["customers"].min() >= 10


def test_a_window_almost_as_long_as_the_data_gives_almost_the_same_segments() -> None:
    bought = orders(400)
    compared = segmentation.by_window(bought, segments_of(400), YEAR, (3, 11, 12), RULES, "UTC", 10)
    assert isinstance(compared, pl.DataFrame)
    short, long = compared.filter(pl.col("months") == 3), compared.filter(pl.col("months") == 11)
    assert long["same"][0] > short["same"][0]
    assert long["adjusted_rand"][0] > short["adjusted_rand"][0]
    assert (compared["same_low"] < compared["same"]).all()


@pytest.mark.parametrize(
    "bought",
    [
        orders(300).clear(),
        orders(49),
        orders(300).with_columns(pl.lit(-1).alias("units"), pl.lit(-5.0).alias("revenue")),
        orders(300)
        .unique("customer_id", keep="first", maintain_order=True)
        .with_columns(pl.lit(datetime(2024, 5, 1)).alias("ordered_at"), units=1, revenue=5.0),
        orders(300).with_columns(pl.lit(datetime(2024, 5, 1)).alias("ordered_at"), units=1),
    ],
    ids=["nothing", "49 buyers", "returns only", "all alike", "one day"],
)
def test_data_that_allow_no_segments_are_left_out_in_one_sentence(bought: pl.DataFrame) -> None:
    found = segmentation.assign(segmentation.buyers(bought, YEAR, "UTC"), RULES, 50)
    assert isinstance(found, LeftOut)
    assert isinstance(segmentation.migration(bought, YEAR, 6, RULES, "UTC", 10), LeftOut | Migration)
    counted, modelled = segmentation.measures(found, 49, None, RULES, 10)
    assert all(measure.reason for measure in [counted[1], *modelled])
    assert segmentation.answer(found, None, counted, US) == found.reason


@pytest.mark.parametrize(
    "bought",
    [
        orders(300).with_columns(revenue=0.0),
        orders(300).with_columns(pl.col("revenue") - 50),
        orders(300).unique("customer_id", keep="first", maintain_order=True).with_columns(units=1),
        pl.concat([orders(100), orders(1).select(pl.all().repeat_by(10_000).list.explode())]),
    ],
    ids=["no money", "mostly negative", "one order each", "10,000 orders of one"],
)
def test_odd_data_give_segments_that_add_up(bought: pl.DataFrame) -> None:
    found = segmentation.assign(segmentation.buyers(bought, YEAR, "UTC"), RULES, 50)
    assert isinstance(found, pl.DataFrame)
    table = segmentation.summary(found, None, RULES, 10)
    assert table["customers"].sum() == found.height
    assert segmentation.answer(
        found, table, [m for part in segmentation.measures(found, found.height, None, RULES, 10) for m in part], US
    )
    assert segmentation.grid(found, 10).height > 0


def test_one_day_has_no_movements() -> None:
    day = Period(date(2024, 5, 1), date(2024, 5, 1))
    left_out = segmentation.migration(orders(300), day, 6, RULES, "UTC", 10)
    assert isinstance(left_out, LeftOut)
    assert "1 days" in left_out.reason


def rules_of(*rules: dict[str, object]) -> dict[str, object]:
    source = {"kind": "simulated"}
    return {"run": "x", "source": source, "segmentation": {"rules": list(rules)}}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"name": "a", "recency": [2, 5]}], "no rule matches recency 1, frequency 1, monetary 1"),
        ([{"name": "a"}, {"name": "a"}], "two are called 'a'"),
        ([{"name": "a", "recency": [5, 1]}], "holds no score"),
        *(([{"name": name}], "segmentation.rules.0.name.*choose another") for name in (SMALL, AWAY, NOT_YET.upper())),
        ([{"name": "a", "recency": [0, 5]}], "segmentation.rules.0.recency"),
        ([{"name": "a", "recncy": [1, 5]}], "did you mean|unknown key"),
    ],
)
def test_rules_that_leave_someone_out_are_an_error_that_says_whom(rules: list[dict[str, object]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        params_from(rules_of(*rules), "x.yaml")
