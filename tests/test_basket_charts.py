"""Charts of what is bought together are complete, and are drawn for odd results too."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl
import pytest

from patternbook import theme
from patternbook.analysis.pairs import Pairs
from patternbook.analysis.recommendations import METHODS, Check
from patternbook.charts import basket, drawing
from patternbook.formats import Formats

US, DE = Formats("USD", "en_US"), Formats("EUR", "de_DE")


def pairs(level: str, count: int, kept: int) -> Pairs:
    """Pairs of a chain of items, of which the first are kept."""
    table = pl.DataFrame(
        {
            "item_a": [f"<b>item {k}</b>" for k in range(count)],
            "item_b": [f"<b>item {k + 1 + k % 3}</b>" for k in range(count)],
            "baskets": [20 + 7 * k for k in range(count)],
            "lift": [40.0 / (k + 1) for k in range(count)],
            "low": [30.0 / (k + 1) if k < kept else None for k in range(count)],
            "high": [50.0 / (k + 1) if k < kept else None for k in range(count)],
            "lift_shrunk": [20.0 / (k + 1) + 1 for k in range(count)],
            "kept": [k < kept for k in range(count)],
        },
        schema_overrides={"low": pl.Float64, "high": pl.Float64},
    )
    return Pairs(level, table, 1000, 500)


def recommended(rates: list[float], *, known: bool = True) -> Check:
    rows = [
        {
            "task": "product",
            "method": method,
            "queries": 900,
            "hit_rate": rate,
            "hit_rate_low": rate * 0.9 if known else None,
            "hit_rate_high": rate * 1.1 + 0.01 if known else None,
        }
        for method, rate in zip(METHODS, rates, strict=True)
    ]
    table = pl.DataFrame(rows, schema_overrides={"hit_rate_low": pl.Float64, "hit_rate_high": pl.Float64})
    return Check(table, {}, {}, datetime(2024, 7, 1), 900)


NAMED = pl.DataFrame(
    {"item": [f"<b>item {k}</b>" for k in range(9)], "name": [f"<b>item {'long ' * k}{k}</b>" for k in range(9)]}
)
DRAWN = {
    "pairs of categories": lambda f: basket.heatmap(pairs("category", 12, 8), NAMED, f),
    "one pair": lambda f: basket.heatmap(pairs("product", 1, 1), NAMED, f),
    "network": lambda f: basket.network(pairs("product", 20, 18), NAMED, f),
    "network of one pair": lambda f: basket.network(pairs("product", 1, 1), NAMED, f),
    "lift against support": lambda f: basket.lift_against_support(pairs("product", 5000, 2500), NAMED, f),
    "lift of one pair": lambda f: basket.lift_against_support(pairs("brand", 1, 1), NAMED, f),
    "recommendations": lambda f: basket.recommendations(recommended([0.3, 0.28, 0.05, 0.09]), f),
    "recommendations that never hit": lambda f: basket.recommendations(recommended([0, 0, 0, 0], known=False), f),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("formats", [US, DE], ids=["en_US", "de_DE"])
def test_every_chart_is_complete(name: str, formats: Formats) -> None:
    figure = DRAWN[name](formats)
    layout = json.loads(figure.to_json())["layout"]
    assert layout["meta"]["alt"].endswith(".")
    assert layout["template"]["layout"]["font"]["family"] == theme.SANS_STACK
    assert 140 <= layout["height"] <= 1400
    assert max(map(len, figure.layout.title.text.split("<br>"))) <= 160  # with its markup
    for axis in [*figure.select_xaxes(), *figure.select_yaxes()]:
        assert axis.visible is False or axis.ticktext is not None  # Plotly knows neither locale nor currency


@pytest.mark.parametrize("name", DRAWN)
def test_names_are_text(name: str) -> None:
    """Names of products hold markup here; none of it is markup in the figure."""
    figure = DRAWN[name](US)
    figure.update_layout(meta=None)  # the alt text is plain
    assert "<b>item" not in json.dumps(json.loads(figure.to_json()))


def test_a_network_has_a_place_for_every_item_and_no_two_stand_in_one() -> None:
    markers = next(
        trace for trace in basket.network(pairs("product", 20, 18), NAMED, US).data if trace.mode == "markers"
    )
    places = set(zip(markers.x, markers.y, strict=True))
    assert len(places) == len(markers.x) <= basket.NODES
    assert all(0 <= x <= 1 for x in markers.x)


def test_a_scatter_draws_no_more_than_it_can_show_and_says_so() -> None:
    figure = basket.lift_against_support(pairs("product", 5000, 2500), NAMED, US)
    assert all(len(trace.x) <= basket.MOST_POINTS for trace in figure.data)
    assert "of 5,000" in figure.layout.title.text
    assert figure.layout.title.font.size == drawing.TITLE_SIZE
