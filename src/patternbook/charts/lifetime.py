"""Charts of customer lifetime value."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis import holdout as analysis
from patternbook.analysis.holdout import Holdout
from patternbook.analysis.suppression import leading
from patternbook.charts import drawing
from patternbook.formats import Formats

PLOT = 240  # pixels high


def horizons(table: pl.DataFrame, buyers: int, formats: Formats) -> go.Figure:
    """Mean value a customer by horizon with intervals; horizons longer than the data are pale."""
    labels = [
        f"{months} months" + (" · beyond the data" if far else "")
        for months, far in table.select("months", "extrapolated").iter_rows()
    ]
    rows = list(table.select("value", "low", "high").iter_rows())
    texts = [formats.money(value, (low, high)) for value, low, high in rows]
    colours = [drawing.PALE_ORANGE if far else theme.ORANGE for far in table["extrapolated"]]
    figure = go.Figure()
    bounds = [(low, high) if low is not None else None for _, low, high in rows]
    drawing.labelled_bars(figure, labels, table["value"].to_list(), texts, colours, bounds)
    figure.update_xaxes(visible=False, range=[0, 1.05 * max(drawing.top(table[name]) for name in ("value", "high"))])
    year = texts[labels.index(next(label for label in labels if label.startswith("12 ")))]
    far = " Pale: longer than the data, so extrapolated." if table["extrapolated"].any() else ""
    return drawing.finished(
        figure,
        f"A buyer brings {year} of margin in twelve months",
        f"Discounted margin of orders to come, mean a buyer, with 95% interval; "
        f"n = {formats.count(buyers)} buyers.{far}",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of customer lifetime value by horizon. {drawing.listed(labels, texts)}",
    )


def tracking(holdout: Holdout, formats: Formats) -> go.Figure:
    """Repeat transactions a week, and in all, as they were and as the model expected them."""
    weekly = holdout.weekly
    names = ("actual", "expected", "low", "high")
    panels = {
        "in all": weekly.select("week", *(pl.col(f"{name}_in_all").alias(name) for name in names)),
        "a week": weekly.select("week", *names),
    }
    figure = drawing.panels(len(panels))
    for row, (name, table) in enumerate(panels.items(), start=1):
        drawing.band(figure, table, "week", theme.ORANGE, row=row, col=1)
        for series, colour in (("actual", theme.BLUE), ("expected", theme.ORANGE)):
            figure.add_trace(
                go.Scatter(
                    x=table["week"].to_list(),
                    y=table[series].to_list(),
                    name=series,
                    mode="lines",
                    line={"color": colour, "width": 1.8},
                    hovertext=[
                        f"{formats.date(week)}: {formats.count(count)} {series}"
                        for week, count in table.select("week", series).iter_rows()
                    ],
                    hoverinfo="text",
                ),
                row=row,
                col=1,
            )
        top = max(drawing.top(table[series]) for series in names)
        values, texts = drawing.ticks(top, "count", formats)
        figure.update_yaxes(tickvals=values, ticktext=texts, range=[0, 1.12 * top], row=row)
        figure.add_vline(x=holdout.calibration_end.isoformat(), line={"color": theme.MUTED, "dash": "dot"}, row=row)
        drawing.panel_title(figure, row, f"Repeat transactions {name}")
    moments, texts = drawing.time_ticks(weekly["week"].to_list(), "day", formats)
    drawing.share_time_axis(figure, moments, texts)
    off = analysis.error(holdout)
    later = weekly.filter(pl.col("week") > holdout.calibration_end).drop_nulls("actual")
    untold = "; weeks of too few people are not shown" if weekly["actual"].null_count() else ""
    within = later.filter(pl.col("actual").is_between("low", "high")).height
    blue, orange = (
        drawing.coloured(name, colour) for name, colour in (("Actual", theme.BLUE), ("expected", theme.ORANGE))
    )
    return drawing.finished(
        figure,
        f"In the period it had not seen, the model's total is {formats.change(off.value)} off",
        f"{blue} and {orange} with the range of 95% of what chance and the parameters leave open (negative binomial); "
        f"fitted up to the dotted line, {formats.date(holdout.calibration_end)}. Of the {later.height} weeks after it, "
        f"{within} lie within the range{untold}; n = {formats.count(holdout.customers.height)} buyers",
        height=drawing.panels_height(len(panels)),
        alt=f"Line chart of repeat transactions by week, actual and expected; the model was fitted up to "
        f"{formats.date(holdout.calibration_end)}. In the period after it the error of the total is "
        f"{formats.change(off.value, off.interval)}; {within} of {later.height} later weeks lie within the range.",
        gap=40,
    )


def by_frequency(holdout: Holdout, minimum_group: int, formats: Formats) -> go.Figure:
    """Transactions in the hold-out period by past frequency: actual with intervals, and expected."""
    table = analysis.by_frequency(holdout, minimum_group)
    labels = [str(x) for x in table["x"][:-1]] + [f"{table['x'][-1]}+"]
    spoken = [
        f"{formats.value(actual, 'number')} actual, {formats.value(expected, 'number')} expected"
        for actual, expected in table.select("actual", "expected").iter_rows()
    ]
    figure = go.Figure(
        [
            go.Scatter(
                x=labels,
                y=table["actual"].to_list(),
                name="actual",
                mode="markers",
                marker={"color": theme.BLUE, "size": 9},
                error_y={
                    "array": (table["high"] - table["actual"]).to_list(),
                    "arrayminus": (table["actual"] - table["low"]).to_list(),
                    "color": theme.BLUE,
                    "thickness": 1.5,
                    "width": 0,
                },
                hovertext=[f"{label}: {text}" for label, text in zip(labels, spoken, strict=True)],
                hoverinfo="text",
            ),
            go.Scatter(
                x=labels,
                y=table["expected"].to_list(),
                name="expected",
                mode="markers",
                marker={
                    "color": theme.ORANGE,
                    "size": 11,
                    "symbol": "line-ew",
                    "line": {"width": 3, "color": theme.ORANGE},
                },
                hoverinfo="skip",
            ),
        ]
    )
    top = max(drawing.top(table[name]) for name in ("high", "expected"))
    values, texts = drawing.ticks(top, "count" if top >= 4 else "number", formats)
    figure.update_yaxes(tickvals=values, ticktext=texts, range=[0, 1.08 * top])
    figure.update_yaxes(title=drawing.axis_title("Transactions a customer"))
    figure.update_xaxes(type="category", showgrid=False, title=drawing.axis_title("Repeat transactions before"))
    blue, orange = (
        drawing.coloured(name, colour) for name, colour in (("Actual", theme.BLUE), ("expected", theme.ORANGE))
    )
    within = table.filter(pl.col("expected").is_between("low", "high")).height
    return drawing.finished(
        figure,
        f"The forecast lies within the interval in {within} of {table.height} groups",
        f"{blue} (with 95% interval) and {orange} transactions a customer in the {holdout.days} days after "
        f"{formats.date(holdout.calibration_end)}, by repeat transactions before; n = "
        f"{formats.count(table['customers'].sum())} buyers",
        height=PLOT,
        alt=f"Dot chart of transactions after the calibration period by repeat transactions in it. "
        f"{drawing.listed(labels, spoken)}",
        gap=24,
    )


def concentration(table: pl.DataFrame, buyers: int, formats: Formats) -> go.Figure:
    """The share of the value that the most valuable share of buyers holds."""
    most = leading(table)
    share, held = formats.compact(most["customers"], "share"), formats.share(most["value"])
    figure = go.Figure(
        [
            go.Scatter(
                x=table["customers"].to_list(),
                y=table["value"].to_list(),
                mode="lines",
                fill="tozeroy",
                fillcolor=drawing.sheer(theme.ORANGE, drawing.TINT),
                line={"color": theme.ORANGE, "width": 2},
                hovertext=[
                    f"top {formats.share(customers)} of buyers: {formats.share(value)} of the value"
                    for customers, value in table.select("customers", "value").iter_rows()
                ],
                hoverinfo="text",
            ),
            go.Scatter(
                x=[most["customers"]],
                y=[most["value"]],
                mode="markers",
                marker={"color": theme.INK, "size": 8},
                hoverinfo="skip",
            ),
        ]
    )
    drawing.annotate(
        figure,
        f"<b>{held}</b> with the top {share}",
        x=most["customers"],
        y=most["value"] - 0.06,
        xanchor="left",
        xshift=10,
        colour=theme.INK,
    )
    at = [0, 0.25, 0.5, 0.75, 1]
    texts = [formats.compact(value, "share") for value in at]
    figure.update_xaxes(range=[0, 1.02], tickvals=at, ticktext=texts, showgrid=False)
    figure.update_yaxes(range=[0, 1.02], tickvals=at, ticktext=texts)
    return drawing.finished(
        figure,
        f"The top {share} of buyers hold {held} of the value to come",
        f"Share of the margin expected in twelve months, by share of buyers, most valuable first; "
        f"n = {formats.count(buyers)} buyers",
        height=PLOT,
        alt=f"Curve of how value is spread over buyers. The most valuable {share} hold {held}.",
        right=24,
    )
