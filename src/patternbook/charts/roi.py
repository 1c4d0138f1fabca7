"""Charts of what actions earn."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.roi import SCENARIOS
from patternbook.charts import drawing
from patternbook.formats import Formats

PLOT = 260  # pixels high
MOST_BARS = 10
COLOURS = {"go": theme.GREEN, "test first": theme.ORANGE, "no go": theme.MUTED}


def actions(table: pl.DataFrame, draws: int, formats: Formats) -> go.Figure:
    """First-year profit by action, with what is unknown of it; coloured by the decision."""
    labels = table["action"].to_list()
    rows = list(table.select("profit", "profit_low", "profit_high", "decision").iter_rows())
    texts = [f"{formats.money(value, (low, high))} · {what}" for value, low, high, what in rows]
    figure = go.Figure()
    bounds = [(low, high) for _, low, high, _ in rows]
    drawing.labelled_bars(figure, labels, table["profit"].to_list(), texts, [COLOURS[row[3]] for row in rows], bounds)
    ends = [0.0, *(end for bound in bounds for end in bound)]
    width = (max(ends) - min(ends)) or 1.0
    figure.update_xaxes(visible=False, range=[min(ends) - 0.05 * width, max(ends) + 0.05 * width])
    figure.add_vline(x=0, line={"color": theme.RULE})
    drawing.labels_at_left(figure)
    marks = ", ".join(drawing.coloured(name, colour) for name, colour in COLOURS.items())
    best = table.row(0, named=True)
    return drawing.finished(
        figure,
        f"{best['action']}: {formats.money(best['profit'])} in the first year",
        f"Median net profit of the first year if rolled out at once, with 95% of what was simulated; {marks}; "
        f"n = {formats.count(draws)} draws",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of net profit by action. {drawing.listed(labels, texts)}",
    )


def tornado(table: pl.DataFrame, middle: float, formats: Formats) -> go.Figure:
    """What the programme's profit hangs on, the widest first."""
    shown = table.filter(pl.col("width") > 0).head(MOST_BARS)
    if shown.is_empty():
        shown = table.head(1)
    labels = shown["assumption"].to_list()
    texts = [f"{formats.money(low)} to {formats.money(high)}" for low, high in shown.select("low", "high").iter_rows()]
    figure = go.Figure()
    drawing.labelled_bars(
        figure, labels, shown["width"].to_list(), texts, [theme.PURPLE] * len(labels), base=shown["low"].to_list()
    )
    low, high = drawing.bottom(shown["low"]), drawing.top(shown["high"])
    room = 0.05 * ((high - low) or 1.0)
    figure.update_xaxes(visible=False, range=[low - room, high + room])
    figure.add_vline(x=middle, line={"color": theme.INK, "width": 1})
    drawing.labels_at_left(figure)
    return drawing.finished(
        figure,
        f"The result hangs most on: {labels[0]}",
        f"Net profit of the first year when one assumption goes from its low to its high end; line: as assumed, "
        f"{formats.money(middle)}",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Tornado chart of net profit by assumption. {drawing.listed(labels, texts)}",
    )


def running(paths: pl.DataFrame, draws: int, formats: Formats) -> go.Figure:
    """Money so far by month: half of the draws are above the line, eight of ten inside the band."""
    low, middle, high = (paths[name].to_list() for name in SCENARIOS)
    months = paths["month"].to_list()
    figure = go.Figure(
        [
            go.Scatter(x=months, y=high, mode="lines", line={"width": 0}, hoverinfo="skip"),
            go.Scatter(
                x=months,
                y=low,
                mode="lines",
                line={"width": 0},
                fill="tonexty",
                fillcolor=drawing.sheer(theme.ORANGE, 0.2),
                hoverinfo="skip",
            ),
            go.Scatter(
                x=months,
                y=middle,
                mode="lines",
                line={"color": theme.ORANGE, "width": 2},
                hovertext=[
                    f"month {month}: {formats.money(value)} ({formats.money(worse)} to {formats.money(better)})"
                    for month, value, worse, better in zip(months, middle, low, high, strict=True)
                ],
                hoverinfo="text",
            ),
        ]
    )
    bottom, top = min(*low, 0.0), max(*high, 0.0)
    values, texts = drawing.ticks(top, "currency", formats, bottom)
    room = 0.05 * (top - bottom)
    figure.update_yaxes(range=[bottom - room, top + room], tickvals=values, ticktext=texts)
    figure.update_xaxes(
        title=drawing.axis_title("Months from the start"),
        tickvals=months[::6],
        ticktext=[formats.count(month) for month in months[::6]],
        showgrid=False,
    )
    figure.add_hline(y=0, line={"color": theme.INK, "width": 1})
    return drawing.finished(
        figure,
        f"After a year {formats.money(middle[12])}, after three {formats.money(middle[-1])}",
        "Money so far, undiscounted: median of what was simulated, and a band that holds eight of ten draws; "
        f"n = {formats.count(draws)} draws",
        height=PLOT,
        alt=f"Line chart of the programme's money so far by month. The median is {formats.money(middle[12])} after "
        f"twelve months and {formats.money(middle[-1])} after {months[-1]}; eight of ten draws end between "
        f"{formats.money(low[-1])} and {formats.money(high[-1])}.",
    )
