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
from patternbook.analysis import retention as comeback
from patternbook.analysis.classification import Calibrator, reliability
from patternbook.analysis.clusters import Clusters
from patternbook.analysis.eda import Activity, Coverage, Prices
from patternbook.analysis.funnel import Funnel, Groups, by_group, publish
from patternbook.analysis.holdout import MODEL, Holdout
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.leaving import Backtest, Forecast, Line
from patternbook.analysis.period import Period
from patternbook.analysis.reserved import AWAY, NOT_YET, SMALL, THIN
from patternbook.analysis.retention import ByCohort, Waiting
from patternbook.analysis.risk import LEVELS
from patternbook.analysis.segmentation import Migration
from patternbook.analysis.survival import Curves
from patternbook.charts import churn, drawing, eda, funnel, lifetime, retention, segmentation
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
    weekly = pl.DataFrame({"week": weeks, "actual": range(30)}).with_columns(
        expected=pl.col("actual") + 0.5, low=pl.col("actual") - 3.0, high=pl.col("actual") + 4.0
    )
    weekly = weekly.with_columns(pl.exclude("week").cum_sum().name.suffix("_in_all"))
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


def shares(table: pl.DataFrame, hidden: int = 0) -> pl.DataFrame:
    """`table` with back, share, low and high; null in the first `hidden` rows."""
    known = pl.int_range(pl.len()) >= hidden
    numbers = {"back": 20, "share": 0.2, "low": 0.15, "high": 0.26}
    return table.with_columns(pl.when(known).then(value).alias(name) for name, value in numbers.items())


def cohorts(unit: Any, span: Any, hidden: int = 0) -> ByCohort:
    start = [date(2024, 1, 1) + timedelta(days=(7 if span == "week" else 31) * k) for k in range(6)]
    rows = [(unit, span, cohort, age, 100) for k, cohort in enumerate(start) for age in range(1, 8 - k)]
    table = pl.DataFrame(rows, schema=["unit", "span", "cohort", "age", "customers"], orient="row")
    return ByCohort(unit, span, shares(table, hidden))


def followed(*groups: str, hidden: int = 0) -> comeback.Curves:
    rows = [(group, age, 100) for group in groups for age in range(1, 9)]
    return comeback.Curves(
        "platform", shares(pl.DataFrame(rows, schema=["group", "age", "customers"], orient="row"), hidden)
    )


def waited(days: int) -> Waiting:
    curve = pl.DataFrame({"days": range(1, days), "at_risk": range(days, 1, -1)}).with_columns(
        share=pl.col("days") / (2 * days), low=pl.col("days") / (3 * days), high=pl.col("days") / days
    )
    return Waiting(curve, None, days)


def segments(*sizes: tuple[str, int], pooled: bool = False) -> pl.DataFrame:
    whole = sum(size for _, size in sizes)
    rows = [(name, size, size / whole, 90.0, name == "At risk") for name, size in sizes]
    columns = ["segment", "customers", "share", "median_spend", "at_risk"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    return table.with_columns(segment=pl.lit(SMALL)) if pooled else table


def moves(*flows: tuple[str, str, int], kept: bool = True) -> Migration:
    halves = Period(date(2024, 1, 1), date(2024, 6, 30)), Period(date(2024, 7, 1), date(2024, 12, 29))
    table = pl.DataFrame(flows, schema=["from", "to", "customers"], orient="row")
    return Migration(*halves, table, Estimate(0.4, 0.3, 0.5, 90) if kept else None)


def clusters(p_value: float, silhouette: float, hidden: int = 0) -> Clusters:
    profiles = pl.DataFrame(
        {
            "cluster": [1, 2, 3],
            "customers": [None if k >= 3 - hidden else 100 for k in range(3)],
            "median_recency": [9.0, 90.0, 200.0],
            "mean_frequency": [4.0, 2.0, 1.0],
            "median_order_value": [30.0, 20.0, 10.0],
            "revenue_share": [0.5, 0.3, 0.2],
        },
        schema_overrides={"customers": pl.Int64},
    )
    table = pl.DataFrame({"k": [2, 3, 4], "silhouette": [0.2, silhouette, -1.0]})
    own = pl.DataFrame({"customer_id": range(300), "cluster": [k % 3 + 1 for k in range(300)]})
    found = Estimate(silhouette, silhouette - 0.02, silhouette + 0.02, 300)
    none = Estimate(0.3, 0.28, 0.32, 39)
    return Clusters(own, profiles, table, 3, (3, 3), found, none, p_value, Estimate(0.9, 0.8, 1.0, 300))


NAMES = ("Champions", "At risk", "Needs attention", "Lost")
HUES = theme.segment_colours(NAMES)
GRID = pl.DataFrame(
    [(r, f, 10 * r + f, 12.5 * r * f) for r in range(1, 6) for f in range(1, 6) if r + f != 4],
    schema=["recency_score", "frequency_score", "customers", "median_spend"],
    orient="row",
)
FLOWS = [(start, end, 500 if start == end else 3 + 40 * (end == "Lost")) for start in NAMES for end in (*NAMES, AWAY)]
HELD = pl.DataFrame({"customers": [k / 100 for k in range(101)], "value": [(k / 100) ** 0.5 for k in range(101)]})
WEEK1 = Estimate(0.2, 0.18, 0.22, 600)
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
    "what a forecast goes by": lambda f: churn.importance(FACTORS, 900, 800, f),
    "waits by group": lambda f: churn.curves(waits("web", "<i>app</i> with quite a long name to read $1"), f),
    "risk and value": lambda f: churn.matrix(cells(*(1000.0 * k for k in range(9))), 90, f),
    "risk and value, most hidden": lambda f: churn.matrix(cells(1234.5, 0.0), 90, f),
    "risk and value, all hidden": lambda f: churn.matrix(cells(), 90, f),
    "cohorts by week": lambda f: retention.heatmap(cohorts("week", "week"), WEEK1, "visit", f),
    "weeks of monthly cohorts": lambda f: retention.heatmap(cohorts("week", "month", hidden=3), WEEK1, "purchase", f),
    "cohorts by month": lambda f: retention.heatmap(cohorts("month", "month"), WEEK1, "visit", f),
    "who comes back": lambda f: retention.curves(followed("web", "app", "shop", "kiosk"), "visit", f),
    "who comes back, a week hidden": lambda f: retention.curves(followed("web", "app", hidden=2), "purchase", f),
    "second purchase": lambda f: retention.waiting(waited(1500), f),
    "second purchase within few days": lambda f: retention.waiting(waited(12), f),
    "segments": lambda f: segmentation.segments(segments(*zip(NAMES, (500, 40, 300, 9), strict=True)), HUES, f),
    "segments too small": lambda f: segmentation.segments(segments(("a", 90), pooled=True), HUES, f),
    "scores": lambda f: segmentation.grid(GRID, 10, f),
    "one pair of scores": lambda f: segmentation.grid(GRID.head(1), 10, f),
    "moves": lambda f: segmentation.migration(moves(*FLOWS), HUES, f),
    "one move": lambda f: segmentation.migration(moves((NOT_YET, "Lost", 40), kept=False), HUES, f),
    "clusters": lambda f: segmentation.silhouettes(clusters(0.025, 0.6), f),
    "weak clusters": lambda f: segmentation.silhouettes(clusters(0.025, 0.4), f),
    "no clusters": lambda f: segmentation.silhouettes(clusters(0.5, 0.3), f),
    "profiles": lambda f: segmentation.profiles(clusters(0.025, 0.6), f),
    "profiles, one hidden": lambda f: segmentation.profiles(clusters(0.5, 0.3, hidden=1), f),
    "many groups": lambda f: funnel.funnel_groups(groups(*((f"d{k}", 900, 90 + k) for k in range(12))), REES46, f),
}


def texts(figure: go.Figure) -> str:
    """Everything that is written in the figure's title and notes, without markup."""
    written = [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
    return re.sub(r"<[^>]*>", "", " ".join(written).replace("<br>", " "))


def drawn(trace: Any) -> list[Any]:
    """What a trace draws: positions, or the sizes of tiles and flows."""
    if trace.type == "treemap":
        return list(trace.values)
    return list(trace.link.value) if trace.type == "sankey" else list(trace.x if trace.x is not None else [])


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
    assert any(any(value is not None for value in drawn(trace)) for trace in figure.data)


@pytest.mark.parametrize("name", DRAWN)
def test_no_line_of_a_heading_is_too_long_for_a_telephone(name: str) -> None:
    plain = re.sub(r"<(?!br>)[^>]*>", "", DRAWN[name](US).layout.title.text)
    assert max(len(line) for line in plain.split("<br>")) <= drawing.SUBTITLE_WIDTH


@pytest.mark.parametrize("name", DRAWN)
def test_no_axis_is_written_in_plotlys_own_format(name: str) -> None:
    """Plotly knows neither the run's locale nor its currency."""
    figure = DRAWN[name](DE)
    if figure.data[0].type in ("treemap", "sankey"):
        return  # they have no axes
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


@pytest.mark.parametrize("name", DRAWN)
def test_every_chart_says_of_how_many_it_is(name: str) -> None:
    assert re.search(r"n = \d[\d,]*", texts(DRAWN[name](US)))


def test_a_suppressed_rate_is_named_and_not_drawn() -> None:
    shops = groups(("phone", 900, 90), ("desk", 800, 4), ("tablet", 700, 50))
    figure = funnel.funnel_groups(shops, REES46, US)  # tablet is hidden too: else all buyers gave desk away
    assert "too few" in texts(figure)
    assert list(figure.data[-1].y) == ["phone"]


def test_a_column_that_is_almost_complete_is_not_called_complete() -> None:
    figure = eda.coverage(coverage(0.99999999, 1.0), US)
    assert "1 of 2 columns have gaps" in texts(figure)
    assert "> 99.99%" in texts(figure)


def test_money_is_written_in_the_runs_currency() -> None:
    assert "$5–$10" in eda.prices(prices([5, 10]), US).data[0].y
    assert "€" in " ".join(eda.prices(prices([5, 10]), DE).data[0].y)


def test_flows_too_thin_for_a_telephone_are_one_for_each_origin_and_lose_nobody() -> None:
    (flow,) = segmentation.migration(moves(*FLOWS), HUES, US).data
    names = list(flow.node.label)
    links = {
        (names[a], names[b]): n for a, b, n in zip(*(flow.link[k] for k in ("source", "target", "value")), strict=True)
    }
    assert sum(links.values()) == sum(count for _, _, count in FLOWS)
    assert links["Champions", THIN] == 6  # to At risk and Needs attention
    assert links["Champions", AWAY] == 3  # thin, but another matter
    assert links["Champions", "Lost"] == 43


def test_hidden_days_are_gaps_and_said() -> None:
    figure = eda.activity(activity(60, hidden=12), US)
    assert figure.data[0].y[0] is None
    assert "for too few people: 12" in texts(figure)


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
