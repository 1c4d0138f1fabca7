"""Charts of 02_eda."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.eda import Activity, Coverage, Prices
from patternbook.charts import drawing
from patternbook.formats import Formats

EVENT_LABELS = {
    "view": "View",
    "cart": "Cart",
    "remove_from_cart": "Removed from cart",
    "purchase": "Purchase",
    "other": "Other",
}
ACTIVITY_LABELS = {"customers": "Active customers", "revenue": "Revenue"}
ACTIVITY_UNITS = {"customers": "count", "revenue": "currency"}
ACTIVITY_COLOURS = {"customers": theme.BLUE, "revenue": theme.GREEN}


def activity(result: Activity, formats: Formats) -> go.Figure:
    """Active customers and revenue over time, one above the other: each day thin, the moving average bold."""
    panels = {name: label for name, label in ACTIVITY_LABELS.items() if drawing.top(result.table[name]) > 0}
    table = result.table.filter("whole")
    draw = _lines if table.height > 2 * result.window else _bars
    figure = drawing.panels(len(panels))
    for row, (name, label) in enumerate(panels.items(), start=1):
        unit = ACTIVITY_UNITS[name]
        draw(figure, row, table, name, formats)
        top, bottom = (
            drawing.top(table[name]),
            min(0.0, drawing.bottom(table[name])),
        )  # returns can outweigh a day's sales
        room = 0.12 * (top - bottom)
        values, texts = drawing.ticks(top, unit, formats)
        figure.update_yaxes(range=[bottom - room * (bottom < 0), top + room], row=row)
        figure.update_yaxes(tickvals=values, ticktext=texts, row=row)
        drawing.panel_title(figure, row, f"{label} by {result.unit}")
    moments, texts = drawing.time_ticks(table["at"].to_list(), result.unit, formats)
    drawing.share_time_axis(figure, moments, texts)
    subtitle = _activity_subtitle(result, table, draw is _lines, formats)
    return drawing.finished(
        figure,
        " and ".join(panels.values()).capitalize(),
        subtitle,
        height=drawing.panels_height(len(panels)),
        alt=_activity_alt(table, panels, result.unit, formats),
        right=52 if draw is _lines else 12,
        gap=40,
    )


def event_mix(frame: pl.DataFrame, formats: Formats) -> go.Figure:
    """Events by type as bars, with count and share."""
    labels = [EVENT_LABELS[kind] for kind in frame["event_type"]]
    texts = [f"{formats.count(n)} · {formats.share(share)}" for n, share in frame.select("events", "share").iter_rows()]
    figure = go.Figure()
    drawing.labelled_bars(
        figure, labels, frame["share"].to_list(), texts, [theme.EVENT_COLOURS[k] for k in frame["event_type"]]
    )
    figure.update_xaxes(visible=False, range=[0, 1])
    return drawing.finished(
        figure,
        f"{labels[0]} events are {formats.share(frame['share'][0])} of the log",
        f"Share of all events by type; n = {formats.count(frame['events'].sum())} events",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of events by type. {drawing.listed(labels, texts)}",
    )


def coverage(result: Coverage, formats: Formats) -> go.Figure:
    """Which share of events has a value, by column; what is missing is pale."""
    table = result.table.reverse()
    names, shares = table["column"].to_list(), table["share"].to_list()
    texts = [formats.share(share) for share in shares]
    hover = [
        f"{name}: {text} of {formats.count(result.events)} events" for name, text in zip(names, texts, strict=True)
    ]
    figure = go.Figure(
        [
            drawing.bar(shares, names, theme.BLUE, hover),
            drawing.bar([1 - share for share in shares], names, theme.RULE, hover),
        ]
    )
    for name, text in zip(names, texts, strict=True):
        drawing.annotate(figure, text, x=1, y=name, xref="paper", xanchor="left", xshift=6, colour=theme.INK)
    figure.update_layout(barmode="stack", barcornerradius=0)
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(tickfont={"color": theme.INK}, type="category")
    gaps = table.filter(pl.col("share") < 1).height
    title = f"{gaps} of {len(names)} columns have gaps" if gaps else f"All {len(names)} columns are complete"
    absent = f" Not in the source: {', '.join(result.absent)}." if result.absent else ""
    return drawing.finished(
        figure,
        title,
        f"Share of events with a value, by column; n = {formats.count(result.events)} events.{absent}",
        height=drawing.ROW * len(names),
        alt=f"Bar chart of how complete each column is. {drawing.listed(names[::-1], texts[::-1])}{absent}",
        right=64,
    )


def prices(result: Prices, formats: Formats) -> go.Figure:
    """Products and revenue by price band, in bands that grow as a logarithm does."""
    table = result.table.reverse()
    labels = [_band_label(low, high, formats) for low, high in table.select("low", "high").iter_rows()]
    series = {"products_share": ("products", theme.SKY)}
    if result.sells:
        series = {"revenue_share": ("revenue", theme.BLUE), **series}  # drawn from below, so read first from above
    figure = go.Figure()
    for column, (name, colour) in series.items():
        shares = [max(share, 0.0) for share in table[column]]
        texts = [formats.tenths(share) for share in table[column]]
        hover = [f"{label}: {text} of {name}" for label, text in zip(labels, texts, strict=True)]
        figure.add_trace(drawing.bar(shares, labels, colour, hover, texts))
    figure.update_layout(barmode="group", bargap=0.22, bargroupgap=0.05)
    figure.update_xaxes(visible=False, range=[0, 1.25 * max(drawing.top(table[column]) for column in series)])
    figure.update_yaxes(tickfont={"color": theme.INK}, type="category")
    shown = " and ".join(drawing.coloured(name, colour) for name, colour in list(series.values())[::-1])
    unpriced = f", {formats.count(result.unpriced)} more without a price" if result.unpriced else ""
    dearest = table.sort("revenue_share" if result.sells else "products_share", descending=True).row(0, named=True)
    what = "of revenue comes from" if result.sells else "of products are"
    share = formats.share(dearest["revenue_share"] if result.sells else dearest["products_share"])
    band = _band_label(dearest["low"], dearest["high"], formats)
    title = f"{share} {what} {'products at ' if result.sells else 'at '}{band}"
    return drawing.finished(
        figure,
        title,
        f"Share of {shown} by price band (logarithmic), in {formats.currency}; half of the products cost "
        f"{formats.money(result.median)} or less; n = {formats.count(result.products)} products{unpriced}",
        height=(14 + 15 * len(series)) * len(labels),
        alt=f"Bar chart of products and revenue by price band. {title}; the median product costs "
        f"{formats.money(result.median)}.",
    )


def _lines(figure: go.Figure, row: int, table: pl.DataFrame, name: str, formats: Formats) -> None:
    colour, unit = ACTIVITY_COLOURS[name], ACTIVITY_UNITS[name]
    at = table["at"].to_list()
    thin = {"color": colour, "width": 1}
    hover = [f"{formats.date(day)}: {formats.value(value, unit)}" for day, value in zip(at, table[name], strict=True)]
    figure.add_trace(
        go.Scatter(
            x=at, y=table[name].to_list(), mode="lines", line=thin, opacity=0.4, hovertext=hover, hoverinfo="text"
        ),
        row=row,
        col=1,
    )
    average = table[f"{name}_average"].to_list()
    bold = {"color": colour, "width": 2.6}
    figure.add_trace(go.Scatter(x=at, y=average, mode="lines", line=bold, hoverinfo="skip"), row=row, col=1)
    drawing.annotate(
        figure,
        f"<b>{formats.compact(_readable(average[-1]), unit)}</b>",
        x=at[-1],
        y=average[-1],
        xref=drawing.axis("x", row),
        yref=drawing.axis("y", row),
        xanchor="left",
        xshift=5,
        colour=colour,
    )


def _bars(figure: go.Figure, row: int, table: pl.DataFrame, name: str, formats: Formats) -> None:
    unit = ACTIVITY_UNITS[name]
    texts = [formats.compact(value, unit) if value is not None else "" for value in table[name]]
    figure.add_trace(
        go.Bar(
            x=table["at"].to_list(),
            y=table[name].to_list(),
            marker_color=ACTIVITY_COLOURS[name],
            text=texts if len(texts) <= drawing.MOST_LABELLED_BARS else None,
            textposition="outside",
            textfont={"size": drawing.SMALL_SIZE, "color": theme.INK},
            cliponaxis=False,
            hovertext=[f"{drawing.moment(at, formats)}: {text}" for at, text in zip(table["at"], texts, strict=True)],
            hoverinfo="text",
        ),
        row=row,
        col=1,
    )


def _activity_subtitle(result: Activity, table: pl.DataFrame, averaged: bool, formats: Formats) -> str:
    first, last = table["at"][0], table["at"][-1]
    if result.unit == "day":
        parts = [f"n = {formats.count(table.height)} whole days, {formats.date(first)} to {formats.date(last)}"]
    else:
        parts = [
            f"n = {formats.count(table.height)} hours from {formats.value(first, 'time')}, the last one incomplete"
        ]
    if averaged:
        parts.append(f"thin: each day; bold: average of the {result.window} days up to it")
    if result.hidden:
        parts.append(f"not shown, or not whole, for too few people: {formats.count(result.hidden)}")
    return "; ".join(parts)


def _activity_alt(table: pl.DataFrame, panels: dict[str, str], unit: str, formats: Formats) -> str:
    sentences = []
    for name, label in panels.items():
        shown = table.drop_nulls(name)
        low, high = (formats.value(_readable(v), ACTIVITY_UNITS[name]) for v in (shown[name].min(), shown[name].max()))
        sentences.append(f"{label} by {unit}: from {low} to {high}.")
    return f"{'Line' if unit == 'day' else 'Bar'} chart over time. {' '.join(sentences)}"


def _readable(value: Any) -> float:
    """Three significant digits: an average has no more to say."""
    return float(f"{float(value):.3g}") if value is not None else 0.0


def _band_label(low: float | None, high: float | None, formats: Formats) -> str:
    if low is None:
        return f"under {formats.compact(high, 'currency')}"
    if high is None:
        return f"{formats.compact(low, 'currency')} or more"
    return f"{formats.compact(low, 'currency')}–{formats.compact(high, 'currency')}"
