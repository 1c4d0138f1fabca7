"""Forecast probabilities against what happened: one picture for every forecast."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.charts import drawing
from patternbook.formats import Formats


def reliability(table: pl.DataFrame, hover: Sequence[str], formats: Formats) -> go.Figure:
    """Dots with intervals, one a row of `table` (expected, observed, low, high); on the diagonal they agree."""
    top = 1.06 * max(drawing.top(table[name]) for name in ("expected", "high"))
    figure = go.Figure(
        [
            go.Scatter(
                x=[0, top], y=[0, top], mode="lines", line={"color": theme.MUTED, "dash": "dot"}, hoverinfo="skip"
            ),
            go.Scatter(
                x=table["expected"].to_list(),
                y=table["observed"].to_list(),
                mode="markers",
                marker={"color": theme.BLUE, "size": 9},
                error_y={
                    "array": (table["high"] - table["observed"]).to_list(),
                    "arrayminus": (table["observed"] - table["low"]).to_list(),
                    "color": theme.BLUE,
                    "thickness": 1.5,
                    "width": 0,
                },
                hovertext=list(hover),
                hoverinfo="text",
            ),
        ]
    )
    values, texts = drawing.ticks(top, "share", formats)
    figure.update_xaxes(range=[0, top], tickvals=values, ticktext=texts, showgrid=False)
    figure.update_xaxes(title=drawing.axis_title("forecast probability"))
    figure.update_yaxes(range=[0, top], tickvals=values, ticktext=texts)
    return figure


def title(table: pl.DataFrame) -> str:
    """In how many groups the forecast is borne out."""
    within = table.filter(pl.col("expected").is_between("low", "high")).height
    return f"In {within} of {table.height} groups the forecast lies within the interval of what happened"
