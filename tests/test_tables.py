"""Tables: values by unit, one look."""

from __future__ import annotations

import polars as pl

from patternbook import tables
from patternbook.analysis.eda import TopProducts
from patternbook.analysis.funnel import Funnel, Groups, by_group, publish
from patternbook.analysis.measure import Measure
from patternbook.formats import MISSING, Formats
from patternbook.tables import Column, eda, funnel

US, DE = Formats("USD", "en_US"), Formats("EUR", "de_DE")
FRAME = pl.DataFrame(
    {"step": ["a", "b"], "people": [1234, None], "rate": [0.5, None], "low": [0.4, None], "high": [0.6, None]}
)
COLUMNS = {
    "step": Column("Step"),
    "people": Column("People", "count"),
    "rate": Column("Rate", "share", ("low", "high")),
}


def html(table: tables.GT) -> str:
    return str(table.as_raw_html())


def test_values_are_written_by_unit_and_locale() -> None:
    text = html(tables.table("x", FRAME, COLUMNS, US))
    assert "1,234" in text
    assert "50% (40%–60%)" in text
    assert MISSING in text
    assert "1.234" in html(tables.table("x", FRAME, COLUMNS, DE))
    assert "low" not in [column.var for column in tables.table("x", FRAME, COLUMNS, US)._boxhead]


def test_words_stand_left_and_values_right() -> None:
    aligned = {column.var: column.column_align for column in tables.table("x", FRAME, COLUMNS, US)._boxhead}
    assert aligned == {"step": "left", "people": "right", "rate": "right"}


def test_a_table_is_the_same_in_every_run() -> None:
    assert html(tables.table("x", FRAME, COLUMNS, US)) == html(tables.table("x", FRAME, COLUMNS, US))


def test_an_empty_table_is_a_table() -> None:
    assert "Step" in html(tables.table("x", FRAME.clear(), COLUMNS, US))


def test_key_figures_stand_beside_their_change_and_without_those_left_out() -> None:
    measures = [
        Measure("revenue", "Revenue", "currency", 59442.63),
        Measure("revenue_change", "Change of revenue", "share", 0.08, (0.03, 0.13)),
        Measure("sessions", "Sessions", "count", None, reason="none"),
    ]
    text = html(eda.kpis(measures, US, "Change: this against that."))
    assert "$59,443" in text
    assert "+8% (3%–13%)" in text
    assert "this against that" in text
    assert "Sessions" not in text
    assert "Change of revenue" not in text


def test_without_a_trend_there_is_no_column_for_it() -> None:
    measures = [
        Measure("orders", "Orders", "count", 200),
        Measure("orders_change", "Change of orders", "share", None, reason="too short"),
    ]
    text = html(eda.kpis(measures, US, "too short"))
    assert "Change (95% interval)" not in text
    assert "too short" in text


def test_top_products_drop_columns_that_the_source_does_not_fill() -> None:
    frame = pl.DataFrame(
        {
            "product": ["cake stand"],
            "brand": [None],
            "category": [None],
            "buyers": [881],
            "units": [12980],
            "revenue": [164762.19],
            "share": [0.0164],
        },
        schema_overrides={"brand": pl.String, "category": pl.String},
    )
    text = html(eda.top_products(TopProducts(frame, "revenue", 1120, 0.034), US, 10))
    assert "Brand" not in text
    assert "$164,762" in text
    assert "1,120 products with fewer than 10 buyers, 3.4% of revenue" in text


def test_the_funnel_table() -> None:
    text = html(funnel.funnel(publish(Funnel(4504, 4504, 111, 111, 62, 193, 131), "clickstream", 10), US))
    assert "56% (47%–65%)" in text
    assert "customers with a cart" in text
    assert "Buyers who never had a cart: 131." in text


def test_groups_publish_no_small_rate() -> None:
    columns = ("visitors", "viewers", "viewers_to_cart", "carters", "carters_to_purchase", "buyers")
    rows = [("web", 900, 900, 300, 300, 90, 90), ("app", 800, 800, 200, 200, 4, 4)]
    mart = pl.DataFrame(rows, schema=["channel", *columns], orient="row").with_columns(buyers_without_cart=pl.lit(0))
    groups = by_group(mart, "channel", 10)
    assert isinstance(groups, Groups)
    text = html(funnel.funnel_groups(groups, US))
    assert "Channel" in text
    assert "0.5%" not in text
