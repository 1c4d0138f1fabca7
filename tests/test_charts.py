"""Charts say what they show, and are drawn for odd results too."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
import pytest

from patternbook import theme
from patternbook.analysis.classification import Calibrator, reliability
from patternbook.analysis.eda import Activity, Coverage, Prices
from patternbook.analysis.funnel import Funnel, Groups, by_group, publish
from patternbook.analysis.holdout import MODEL, Holdout
from patternbook.analysis.leaving import Backtest, Forecast, Line
from patternbook.analysis.risk import LEVELS
from patternbook.analysis.survival import Curves
from patternbook.charts import churn, drawing, eda, funnel, lifetime
from patternbook.formats import Formats

US, DE = Formats("USD", "en_US"), Formats("EUR", "de_DE")
REES46 = publish(Funnel(4504, 4504, 111, 111, 62, 193, 131), "clickstream", 10)
NO_PURCHASE = publish(Funnel(120, 120, 20, 20, 0, 0, 0), "clickstream", 10)
NO_CART = publish(Funnel(120, 120, 0, 0, 0, 20, 20), "clickstream", 10)


def activity(points: int, unit: str = "day", *, sells: bool = True, hidden: int = 0, returns: bool = False) -> Activity:
    step = timedelta(days=1) if unit == "day" else timedelta(hours=1)
    start: Any = date(2024, 7, 1) if unit == "day" else datetime(2024, 7, 1)
    customers = [None if k < hidden else 100 + k % 7 for k in range(points)]
    frame = pl.DataFrame(
        {
            "at": [start + k * step for k in range(points)],
            "whole": [True] * points,
            "customers": customers,
            "orders": [1] * points,
            "revenue": [(-50.0 if returns and k == 3 else 900.0 + k) * sells for k in range(points)],
        },
        schema_overrides={"customers": pl.Int64},
    )
    averages = [
        pl.col(name).rolling_mean(7, min_samples=7).alias(f"{name}_average") for name in ("customers", "revenue")
    ]
    return Activity(unit, frame.with_columns(averages), 7, hidden)


def coverage(*shares: float) -> Coverage:
    names = [f"column_{k}" for k in range(len(shares))]
    table = pl.DataFrame({"column": names, "events": 100_000, "filled": 1, "share": list(shares)})
    return Coverage(table, ["device"], 100_000)


def prices(edges: list[float], *, sells: bool = True) -> Prices:
    n = len(edges) + 1
    table = pl.DataFrame(
        {
            "low": [None, *edges],
            "high": [*edges, None],
            "products": [4] * n,
            "revenue": [10.0 * sells] * n,
            "products_share": [1 / n] * n,
            "revenue_share": [1 / n if sells else None] * n,
        },
        schema_overrides={"revenue_share": pl.Float64},
    )
    return Prices(table, 12.5, 4 * n, 3, sells)


def groups(*rows: tuple[str, int, int], minimum: int = 10) -> Groups:
    mart = pl.DataFrame(
        [
            {
                "device": name,
                "visitors": visitors,
                "viewers": visitors,
                "viewers_to_cart": visitors // 2,
                "carters": visitors // 2,
                "carters_to_purchase": min(buyers, visitors // 2),
                "buyers": buyers,
                "buyers_without_cart": 0,
            }
            for name, visitors, buyers in rows
        ]
    )
    result = by_group(mart, "device", minimum)
    assert isinstance(result, Groups)
    return result


def horizons(*, extrapolated: bool) -> pl.DataFrame:
    months = [3, 6, 12, 24, 60]
    return pl.DataFrame(
        {
            "months": months,
            "value": [10.0 * k for k in months],
            "low": [9.0 * k for k in months],
            "high": [11.0 * k for k in months],
            "extrapolated": [extrapolated and k > 6 for k in months],
        }
    )


def holdout(buyers: int) -> Holdout:
    x = [k % 12 for k in range(buyers)]
    customers = pl.DataFrame(
        {"customer_id": range(buyers), "x": x, "actual": [k // 2 + 1 for k in x], MODEL: [k / 2 + 1 for k in x]}
    )
    weeks = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(30)]
    weekly = pl.DataFrame({"week": weeks, "actual": range(30), "expected": [k + 0.5 for k in range(30)]})
    return Holdout(date(2024, 5, 1), 90, customers, weekly)


def left_by(*aucs: float | None) -> pl.DataFrame:
    n = len(aucs)
    rows = {"days": [30 * (k + 1) for k in range(n)], "expected": [40.4 * (k + 1) for k in range(n)], "auc": list(aucs)}
    return pl.DataFrame(rows, schema_overrides={"auc": pl.Float64}).with_columns(
        low=pl.col("expected") * 0.8, high=pl.col("expected") * 1.3, share=pl.col("expected") / 900
    )


def waits(*groups: str) -> Curves:
    days = list(range(0, 200, 20))
    share = [0.99**day for day in days]
    rows = pl.DataFrame({"days": days, "share": share, "low": [1.0, *(s - 0.02 for s in share[1:-1]), None]})
    rows = rows.with_columns(high=pl.col("low") + 0.04, at_risk=pl.lit(100))
    table = pl.concat([rows.select(pl.lit(group).alias("group"), pl.all()) for group in groups])
    return Curves("first platform", table, pl.DataFrame({"group": groups, "customers": [100] * len(groups)}))


def cells(*at_stake: float | None) -> pl.DataFrame:
    levels = [(risk, value) for risk in LEVELS for value in LEVELS]
    numbers = [*at_stake, *[None] * (9 - len(at_stake))]
    return pl.DataFrame(
        [
            {
                "risk": risk,
                "value": value,
                "customers": number and 12,
                "at_stake": number,
                "low": number,
                "high": number,
            }
            for (risk, value), number in zip(levels, numbers, strict=True)
        ],
        schema_overrides={"customers": pl.Int64, **dict.fromkeys(("at_stake", "low", "high"), pl.Float64)},
    )


def leaving(groups: int) -> go.Figure:
    gone = np.arange(40.0) % 2
    tested = Backtest(date(2024, 5, 1), pl.DataFrame(), gone, None, {}, {})
    line = Line(Calibrator(1.0, 0.0), np.eye(2))
    forecast = Forecast(90, pl.DataFrame(), gone, line, "BG/NBD", tested, None)
    return churn.reliability(reliability(gone, np.linspace(0.1, 0.9, 40), groups), forecast, US)


FACTORS = pl.DataFrame(
    {
        "feature": list("abc"),
        "meaning": ["days", "<visits>", "spend"],
        "share": [0.9, 0.1, 0.0],
        "auc": [0.7, None, 0.5],
    }
)
HELD = pl.DataFrame({"customers": [k / 100 for k in range(101)], "value": [(k / 100) ** 0.5 for k in range(101)]})
MIX = pl.DataFrame({"event_type": ["view", "cart", "purchase"], "events": [950, 40, 10], "share": [0.95, 0.04, 0.01]})
DRAWN = {
    "a year by day": lambda f: eda.activity(activity(366), f),
    "two weeks by day": lambda f: eda.activity(activity(14), f),
    "four days": lambda f: eda.activity(activity(4), f),
    "one hour": lambda f: eda.activity(activity(1, "hour"), f),
    "three days by hour": lambda f: eda.activity(activity(72, "hour"), f),
    "nothing sold": lambda f: eda.activity(activity(60, sells=False), f),
    "days hidden": lambda f: eda.activity(activity(60, hidden=12), f),
    "a day of returns": lambda f: eda.activity(activity(60, returns=True), f),
    "events": lambda f: eda.event_mix(MIX, f),
    "events of one type": lambda f: eda.event_mix(MIX.head(1), f),
    "columns with gaps": lambda f: eda.coverage(coverage(0.67, 0.99999, 1.0), f),
    "complete columns": lambda f: eda.coverage(coverage(1.0), f),
    "prices": lambda f: eda.prices(prices([5, 10, 20]), f),
    "prices without sales": lambda f: eda.prices(prices([5], sells=False), f),
    "funnel": lambda f: funnel.funnel(REES46, f),
    "funnel without purchases": lambda f: funnel.funnel(NO_PURCHASE, f),
    "funnel without carts": lambda f: funnel.funnel(NO_CART, f),
    "two groups": lambda f: funnel.funnel_groups(groups(("phone", 900, 90), ("desk", 800, 160)), REES46, f),
    "groups of few buyers": lambda f: funnel.funnel_groups(groups(("phone", 900, 9), ("desk", 800, 0)), REES46, f),
    "groups without a common rate": lambda f: funnel.funnel_groups(groups(("a", 90, 0), ("b", 90, 0)), NO_PURCHASE, f),
    "value by horizon": lambda f: lifetime.horizons(horizons(extrapolated=True), 900, f),
    "value within the data": lambda f: lifetime.horizons(horizons(extrapolated=False), 900, f),
    "who holds the value": lambda f: lifetime.concentration(HELD, 900, f),
    "forecast by week": lambda f: lifetime.tracking(holdout(600), f),
    "forecast by frequency": lambda f: lifetime.by_frequency(holdout(600), 10, f),
    "forecast of few buyers": lambda f: lifetime.by_frequency(holdout(60), 10, f),
    "who leaves by horizon": lambda f: churn.horizons(left_by(0.8, 0.7, None), 900, 60, f),
    "who leaves by one horizon": lambda f: churn.horizons(left_by(0.8), 900, 30, f),
    "forecast and outcome of leaving": lambda f: leaving(10),
    "forecast and outcome in one group": lambda f: leaving(1),
    "what a forecast goes by": lambda f: churn.importance(FACTORS, f),
    "waits by group": lambda f: churn.curves(waits("web", "<i>app</i> with quite a long name to read $1"), f),
    "risk and value": lambda f: churn.matrix(cells(*(1000.0 * k for k in range(9))), 90, f),
    "risk and value, most hidden": lambda f: churn.matrix(cells(1234.5, 0.0), 90, f),
    "risk and value, all hidden": lambda f: churn.matrix(cells(), 90, f),
    "many groups": lambda f: funnel.funnel_groups(groups(*((f"d{k}", 900, 90 + k) for k in range(12))), REES46, f),
}


def texts(figure: go.Figure) -> str:
    """Everything that is written in the figure's title and notes, without markup."""
    written = [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
    return re.sub(r"<[^>]*>", "", " ".join(written).replace("<br>", " "))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("formats", [US, DE], ids=["en_US", "de_DE"])
def test_every_chart_is_complete(name: str, formats: Formats) -> None:
    figure = DRAWN[name](formats)
    layout = json.loads(figure.to_json())["layout"]
    assert layout["meta"]["alt"].endswith(".")
    assert layout["template"]["layout"]["font"]["family"] == theme.SANS_STACK
    assert "width" not in layout  # the page decides
    assert 140 <= layout["height"] <= 1400
    assert layout["margin"]["t"] >= drawing.HEAD_LINE * (1 + layout["title"]["text"].count("<br>"))
    assert "nan" not in (texts(figure) + layout["meta"]["alt"]).lower().split()
    assert any(any(value is not None for value in (trace.x if trace.x is not None else [])) for trace in figure.data)


@pytest.mark.parametrize("name", DRAWN)
def test_no_line_of_a_heading_is_too_long_for_a_telephone(name: str) -> None:
    plain = re.sub(r"<(?!br>)[^>]*>", "", DRAWN[name](US).layout.title.text)
    assert max(len(line) for line in plain.split("<br>")) <= drawing.SUBTITLE_WIDTH


@pytest.mark.parametrize("name", DRAWN)
def test_no_axis_is_written_in_plotlys_own_format(name: str) -> None:
    """Plotly knows neither the run's locale nor its currency."""
    figure = DRAWN[name](DE)
    for axis in [*figure.select_xaxes(), *figure.select_yaxes()]:
        assert axis.visible is False or axis.type == "category" or axis.ticktext is not None


def test_the_funnel_shows_counts_rates_and_intervals() -> None:
    figure = funnel.funnel(REES46, US)
    assert "4.3% of visitors bought" in texts(figure)
    assert "111 · 2.5% (2.1%–3.0%) of viewers" in texts(figure)
    assert "62 · 56% (47%–65%) of customers with a cart" in texts(figure)
    assert "n = 4,504 visitors" in texts(figure)
    assert list(figure.data[0].x) == pytest.approx([1, 1, 111 / 4504, 62 / 4504, 193 / 4504])
    assert len([trace for trace in figure.data if trace.type == "scatter"]) == 4


def test_a_step_reached_in_another_order_is_told_apart() -> None:
    figure = funnel.funnel(publish(Funnel(500, 480, 40, 60, 30, 30, 0), "clickstream", 10), US)
    assert "60, 40 in this order · 8.3%" in texts(figure)


def test_groups_show_their_intervals_and_name_the_best_only_where_they_differ() -> None:
    figure = funnel.funnel_groups(groups(("phone", 900, 90), ("desk", 800, 160)), REES46, US)
    assert "highest for desk, lowest for phone" in texts(figure)
    conversion = figure.data[-1]
    assert list(conversion.x) == pytest.approx([0.2, 0.1])
    assert all(end > 0 for end in [*conversion.error_x.array, *conversion.error_x.arrayminus])
    alike = funnel.funnel_groups(groups(("phone", 900, 90), ("desk", 800, 81)), REES46, US)
    assert "No clear difference" in texts(alike)


def test_a_suppressed_rate_is_named_and_not_drawn() -> None:
    figure = funnel.funnel_groups(groups(("phone", 900, 90), ("desk", 800, 4)), REES46, US)
    assert "too few" in texts(figure)
    assert list(figure.data[-1].y) == ["phone"]


def test_a_column_that_is_almost_complete_is_not_called_complete() -> None:
    figure = eda.coverage(coverage(0.99999999, 1.0), US)
    assert "1 of 2 columns have gaps" in texts(figure)
    assert "< 100" in texts(figure)


def test_money_is_written_in_the_runs_currency() -> None:
    assert "$5–$10" in eda.prices(prices([5, 10]), US).data[0].y
    assert "€" in " ".join(eda.prices(prices([5, 10]), DE).data[0].y)


def test_hidden_days_are_gaps_and_said() -> None:
    figure = eda.activity(activity(60, hidden=12), US)
    assert figure.data[0].y[0] is None
    assert "not shown for too few customers: 12" in texts(figure)


@pytest.mark.parametrize(
    ("top", "bottom", "ticks"),
    [
        (4040, 0, [0, 2000, 4000]),
        (0.73, 0.59, [0.6, 0.65, 0.7]),
        (0, 0, [0]),
        (1, 0, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_ticks_are_round_and_few(top: float, bottom: float, ticks: list[float]) -> None:
    assert drawing.ticks(top, "share", US, bottom)[0] == ticks


def test_notebooks_keep_the_figure_itself() -> None:
    assert pio.renderers.default == "plotly_mimetype"
