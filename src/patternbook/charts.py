"""Charts: one template, one function a chart, result in, Figure out. They read well from 360 to 1,000 pixels wide."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
from plotly.subplots import make_subplots

from patternbook import theme
from patternbook.analysis import intervals
from patternbook.analysis.eda import Activity, Coverage, Prices
from patternbook.analysis.funnel import BOUGHT_BY_ANY_WAY, RATES, Groups, Published, Step, differ, steps
from patternbook.formats import Formats

pio.renderers.default = "plotly_mimetype"  # notebooks keep the figure itself; the report decides how to draw it

CONFIG = {"displayModeBar": False, "responsive": True}  # for plotly.io.to_html
TITLE_SIZE, SUBTITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 17, 13, 13, 12
TITLE_WIDTH, SUBTITLE_WIDTH = 42, 62  # characters a line, so that a figure 360 pixels wide holds them
ROW, LABELLED_ROW = 28, 76  # pixels of a row with its label beside it, above it
PANEL, PANEL_GAP = 150, 72  # pixels of a panel, and of the room for ticks and title between two
HEAD_LINE = 22  # Plotly spaces all lines of a title alike
MOST_TICKS = 5
MOST_LABELLED_BARS = 12
TAG_SPACE = "\0"
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

_AXIS = {
    "automargin": True,
    "gridcolor": theme.RULE,
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "tickfont": {"size": SMALL_SIZE, "color": theme.MUTED},
    "ticklabelstandoff": 5,
    "fixedrange": True,
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": theme.SANS_STACK, "size": TEXT_SIZE, "color": theme.INK},
        "paper_bgcolor": theme.PAPER,
        "plot_bgcolor": theme.PAPER,
        "colorway": theme.SERIES,
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": theme.PAPER, "bordercolor": theme.RULE, "font": {"color": theme.INK}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "bargap": 0.3,
        "barcornerradius": 2,
        "modebar": {"remove": ["toImage", "zoom", "pan", "select", "lasso", "zoomIn", "zoomOut", "autoScale", "reset"]},
    }
)


def activity(result: Activity, formats: Formats) -> go.Figure:
    """Active customers and revenue over time, one above the other: each day thin, the moving average bold."""
    panels = {name: label for name, label in ACTIVITY_LABELS.items() if _top(result.table[name]) > 0}
    table = result.table.filter("whole")
    draw = _lines if table.height > 2 * result.window else _bars
    figure = _panels(len(panels))
    for row, (name, label) in enumerate(panels.items(), start=1):
        unit = ACTIVITY_UNITS[name]
        draw(figure, row, table, name, formats)
        top, bottom = _top(table[name]), min(0.0, _bottom(table[name]))  # returns can outweigh a day's sales
        room = 0.12 * (top - bottom)
        values, texts = _ticks(top, unit, formats)
        figure.update_yaxes(range=[bottom - room * (bottom < 0), top + room], row=row)
        figure.update_yaxes(tickvals=values, ticktext=texts, row=row)
        _panel_title(figure, row, f"{label} by {result.unit}")
    moments, texts = _time_ticks(table["at"].to_list(), result.unit, formats)
    figure.update_xaxes(tickvals=moments, ticktext=texts, showgrid=False, matches="x")
    subtitle = _activity_subtitle(result, table, draw is _lines, formats)
    return _finished(
        figure,
        " and ".join(panels.values()).capitalize(),
        subtitle,
        height=_panels_height(len(panels)),
        alt=_activity_alt(table, panels, result.unit, formats),
        right=52 if draw is _lines else 12,
        gap=40,
    )


def event_mix(frame: pl.DataFrame, formats: Formats) -> go.Figure:
    """Events by type as bars, with count and share."""
    labels = [EVENT_LABELS[kind] for kind in frame["event_type"]]
    texts = [f"{formats.count(n)} · {formats.share(share)}" for n, share in frame.select("events", "share").iter_rows()]
    figure = go.Figure()
    _labelled_bars(
        figure, labels, frame["share"].to_list(), texts, [theme.EVENT_COLOURS[k] for k in frame["event_type"]]
    )
    figure.update_xaxes(visible=False, range=[0, 1])
    return _finished(
        figure,
        f"{labels[0]} events are {formats.share(frame['share'][0])} of the log",
        f"Share of all events by type; n = {formats.count(frame['events'].sum())} events",
        height=LABELLED_ROW * len(labels),
        alt=f"Bar chart of events by type. {_listed(labels, texts)}",
    )


def coverage(result: Coverage, formats: Formats) -> go.Figure:
    """Which share of events has a value, by column; what is missing is pale."""
    table = result.table.reverse()
    names, shares = table["column"].to_list(), table["share"].to_list()
    texts = [_almost(share, formats) for share in shares]
    hover = [
        f"{name}: {text} of {formats.count(result.events)} events" for name, text in zip(names, texts, strict=True)
    ]
    figure = go.Figure(
        [
            _bar(shares, names, theme.BLUE, hover),
            _bar([1 - share for share in shares], names, theme.RULE, hover),
        ]
    )
    for name, text in zip(names, texts, strict=True):
        _annotate(figure, text, x=1, y=name, xref="paper", xanchor="left", xshift=6, colour=theme.INK)
    figure.update_layout(barmode="stack", barcornerradius=0)
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(tickfont={"color": theme.INK}, type="category")
    gaps = table.filter(pl.col("share") < 1).height
    title = f"{gaps} of {len(names)} columns have gaps" if gaps else f"All {len(names)} columns are complete"
    absent = f" Not in the source: {', '.join(result.absent)}." if result.absent else ""
    return _finished(
        figure,
        title,
        f"Share of events with a value, by column; n = {formats.count(result.events)} events.{absent}",
        height=ROW * len(names),
        alt=f"Bar chart of how complete each column is. {_listed(names[::-1], texts[::-1])}{absent}",
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
        figure.add_trace(_bar(shares, labels, colour, hover, texts))
    figure.update_layout(barmode="group", bargap=0.22, bargroupgap=0.05)
    figure.update_xaxes(visible=False, range=[0, 1.25 * max(_top(table[column]) for column in series)])
    figure.update_yaxes(tickfont={"color": theme.INK}, type="category")
    shown = " and ".join(f"<b>{_coloured(name, colour)}</b>" for name, colour in list(series.values())[::-1])
    unpriced = f", {formats.count(result.unpriced)} more without a price" if result.unpriced else ""
    dearest = table.sort("revenue_share" if result.sells else "products_share", descending=True).row(0, named=True)
    what = "of revenue comes from" if result.sells else "of products are"
    share = formats.share(dearest["revenue_share"] if result.sells else dearest["products_share"])
    band = _band_label(dearest["low"], dearest["high"], formats)
    title = f"{share} {what} {'products at ' if result.sells else 'at '}{band}"
    return _finished(
        figure,
        title,
        f"Share of {shown} by price band (logarithmic), in {formats.currency}; half of the products cost "
        f"{formats.money(result.median)} or less; n = {formats.count(result.products)} products{unpriced}",
        height=(14 + 15 * len(series)) * len(labels),
        alt=f"Bar chart of products and revenue by price band. {title}; the median product costs "
        f"{formats.money(result.median)}.",
    )


def funnel(result: Published, formats: Formats) -> go.Figure:
    """How many visitors reach each step, with the rate from the step before and its interval."""
    reached, visitors = steps(result), result.funnel.visitors
    labels = ["Visited", *(step.label for step in reached)]
    shares = [1.0, *(step.customers / visitors for step in reached)]
    texts = [formats.count(visitors), *(_step_text(step, formats) for step in reached)]
    colours = [theme.GREEN if label == BOUGHT_BY_ANY_WAY else theme.BLUE for label in labels]
    bounds = [None, *(_bounds(step.customers, visitors) for step in reached)]
    figure = go.Figure()
    _labelled_bars(figure, labels, shares, texts, colours, bounds)
    figure.update_xaxes(visible=False, range=[0, 1.02])
    conversion = result.rate("conversion")
    return _finished(
        figure,
        f"{formats.share(conversion.value)} of visitors bought" if conversion else "From visit to cart",
        f"Customers by step; bars and 95% intervals as a share of visitors; n = {formats.count(visitors)} visitors",
        height=LABELLED_ROW * len(labels),
        alt=f"Funnel as a bar chart. {_listed(labels, texts)}",
    )


def _step_text(step: Step, formats: Formats) -> str:
    """`111 · 2.5% (2.1%–3.0%) of viewers`; where others reached the step in another order, how many did in this."""
    order = "" if step.took == step.customers else f", {formats.count(step.took)} in this order"
    rate = formats.share(step.rate.value, step.rate.interval)
    return f"{formats.count(step.customers)}{order} · {rate} of {step.base_label}"


def funnel_groups(groups: Groups, overall: Published, formats: Formats) -> go.Figure:
    """Each rate by group with its 95 % interval; the dashed line is the rate of all customers."""
    table = groups.table.reverse()
    names = table["group"].to_list()
    held = {name: label for name, (label, _, _) in RATES.items() if table[name].null_count() < table.height}
    panel = ROW * len(names)
    figure = _panels(len(held), panel)
    for row, (name, label) in enumerate(held.items(), start=1):
        _dots_with_intervals(figure, row, table, name, formats)
        everyone = overall.rate(name)
        low, high = _bottom(table[f"{name}_low"]), _top(table[f"{name}_high"])
        values, texts = _ticks(high, "share", formats, low)
        figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], row=row)
        figure.update_xaxes(tickvals=values, ticktext=texts, row=row)
        if everyone:
            figure.add_vline(everyone.value, row=row, col=1, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
        all_customers = f", all customers {formats.share(everyone.value)}" if everyone else ""
        _panel_title(figure, row, f"{label}{all_customers}")
    figure.update_yaxes(tickfont={"color": theme.INK}, type="category", showgrid=False, range=[-0.6, len(names) - 0.4])
    best = table.drop_nulls("conversion").sort("conversion", "group")
    title = f"No clear difference in conversion by {groups.by}"
    if best.height > 1 and differ(groups):
        title = f"Conversion is highest for {best['group'][-1]}, lowest for {best['group'][0]}"
    listed = _listed(names[::-1], [formats.share(value) for value in table["conversion"].to_list()[::-1]])
    return _finished(
        figure,
        title,
        f"Rates by {groups.by} with 95% intervals; dotted: all customers; "
        f"n = {formats.count(table['visitors'].sum())} visitors",
        height=_panels_height(len(held), panel),
        alt=f"Dot chart of the funnel's rates by {groups.by}. Conversion: {listed}",
        right=56,
        gap=40,
    )


def bytes_by_step(steps: pl.DataFrame, sampled: int, formats: Formats) -> go.Figure:
    """Bytes an event after each step of compaction, with what it saved. Columns: label, bytes_per_event, saved."""
    labels, sizes = steps["label"].to_list(), steps["bytes_per_event"].to_list()
    texts = [
        f"{formats.value(size, 'number')} bytes"
        + (f" · {formats.share(abs(saved))} {'less' if saved >= 0 else 'more'}" if saved is not None else "")
        for size, saved in zip(sizes, steps["saved"], strict=True)
    ]
    figure = go.Figure()
    colours = [theme.SKY] * (len(labels) - 1) + [theme.BLUE]
    _labelled_bars(figure, labels, [size / max(sizes) for size in sizes], texts, colours)
    figure.update_xaxes(visible=False, range=[0, 1])
    title = f"An event takes {formats.value(sizes[-1], 'number')} bytes instead of {formats.value(sizes[0], 'number')}"
    return _finished(
        figure,
        title,
        f"Bytes an event after each step, measured on n = {formats.count(sampled)} events",
        height=LABELLED_ROW * len(labels),
        alt=f"Bar chart of bytes an event. {_listed(labels, texts)}",
    )


def _panels(count: int, height: int = PANEL) -> go.Figure:
    """Panels one above the other, each `height` pixels high."""
    whole = _panels_height(count, height)
    return make_subplots(rows=count, cols=1, vertical_spacing=PANEL_GAP / whole if count > 1 else 0)


def _panels_height(count: int, height: int = PANEL) -> int:
    return count * height + (count - 1) * PANEL_GAP


def _finished(
    figure: go.Figure, title: str, subtitle: str, *, height: int, alt: str, right: int = 12, gap: int = 14
) -> go.Figure:
    """The figure with template, title, size and alt text.

    `height` is that of the plot without its heading, `gap` the room between the two, `right` the margin, in pixels.
    """
    head = textwrap.wrap(title, TITLE_WIDTH)
    below = _wrapped_markup(subtitle, SUBTITLE_WIDTH)
    heading = "<br>".join(f"<b>{line}</b>" for line in head) + "".join(
        f'<br><span style="font-size:{SUBTITLE_SIZE}px;color:{theme.MUTED}">{line}</span>' for line in below
    )
    top = HEAD_LINE * (len(head) + len(below)) + 6 + gap
    bottom = 36
    figure.update_layout(
        template=TEMPLATE,
        title={
            "text": heading,
            "font": {"size": TITLE_SIZE},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": HEAD_LINE, "l": 8},
        },
        height=height + top + bottom,
        margin={"l": 8, "r": right, "t": top, "b": bottom},
        meta={"alt": alt},
    )
    return figure


def _wrapped_markup(text: str, width: int) -> list[str]:
    """Lines of about `width` visible characters; tags take no room and are never broken."""
    lines, length = [""], 0
    for word in re.sub(r" (?=[^<>]*>)", TAG_SPACE, text).split(" "):
        visible = len(re.sub(r"<[^>]*>", "", word))
        if lines[-1] and length + 1 + visible > width:
            lines, length = [*lines, ""], 0
        lines[-1] += (" " if lines[-1] else "") + word
        length += visible + 1
    return [line.replace(TAG_SPACE, " ") for line in lines]


def _labelled_bars(
    figure: go.Figure,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    colours: Sequence[str],
    bounds: Sequence[tuple[float, float] | None] = (),
) -> None:
    """Horizontal bars from top to bottom, each with its label and text above it: room enough on a telephone."""
    rows = list(range(len(labels)))
    figure.add_trace(
        go.Bar(
            x=list(values),
            y=rows,
            orientation="h",
            width=0.32,
            marker_color=list(colours),
            hovertext=[f"{label}: {text}" for label, text in zip(labels, texts, strict=True)],
            hoverinfo="text",
        )
    )
    for row, bound in enumerate(bounds):
        if bound:
            _whisker(figure, row, bound)
    for row, label, text in zip(rows, labels, texts, strict=True):
        _annotate(figure, f"<b>{label}</b><br>{text}", x=0, y=row - 0.46, xanchor="left", colour=theme.INK)
    figure.update_yaxes(visible=False, range=[len(labels) - 0.75, -0.75])


def _whisker(figure: go.Figure, row: int, bound: tuple[float, float]) -> None:
    figure.add_trace(
        go.Scatter(
            x=list(bound),
            y=[row, row],
            mode="lines+markers",
            line={"color": theme.INK, "width": 1.2},
            marker={"symbol": "line-ns", "size": 8, "line": {"width": 1.2, "color": theme.INK}},
            hoverinfo="skip",
        )
    )


def _bounds(customers: int, visitors: int) -> tuple[float, float] | None:
    estimate = intervals.share(customers, visitors)
    return estimate.interval if estimate else None


def _bar(
    values: Sequence[float], names: Sequence[str], colour: str, hover: Sequence[str], texts: Sequence[str] | None = None
) -> go.Bar:
    return go.Bar(
        x=list(values),
        y=list(names),
        orientation="h",
        marker_color=colour,
        hovertext=list(hover),
        hoverinfo="text",
        text=texts,
        textposition="outside" if texts else None,
        textfont={"size": SMALL_SIZE, "color": theme.INK},
        cliponaxis=False,
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
    _annotate(
        figure,
        f"<b>{formats.compact(_readable(average[-1]), unit)}</b>",
        x=at[-1],
        y=average[-1],
        xref=_axis("x", row),
        yref=_axis("y", row),
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
            text=texts if len(texts) <= MOST_LABELLED_BARS else None,
            textposition="outside",
            textfont={"size": SMALL_SIZE, "color": theme.INK},
            cliponaxis=False,
            hovertext=[f"{_moment(at, formats)}: {text}" for at, text in zip(table["at"], texts, strict=True)],
            hoverinfo="text",
        ),
        row=row,
        col=1,
    )


def _dots_with_intervals(figure: go.Figure, row: int, table: pl.DataFrame, name: str, formats: Formats) -> None:
    shown = table.drop_nulls(name)
    value, low, high = (shown[column].to_list() for column in (name, f"{name}_low", f"{name}_high"))
    figure.add_trace(
        go.Scatter(
            x=value,
            y=shown["group"].to_list(),
            mode="markers",
            marker={"size": 8, "color": theme.BLUE},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [end - rate for end, rate in zip(high, value, strict=True)],
                "arrayminus": [rate - end for rate, end in zip(value, low, strict=True)],
                "color": theme.BLUE,
                "thickness": 1.5,
                "width": 0,
            },
            hovertext=[
                f"{group}: {formats.share(rate, (ends[0], ends[1]))}"
                for group, rate, *ends in zip(shown["group"], value, low, high, strict=True)
            ],
            hoverinfo="text",
        ),
        row=row,
        col=1,
    )
    for group, rate in table.select("group", name).iter_rows():
        text = formats.share(rate) if rate is not None else "too few"
        _annotate(
            figure, text, x=1, y=group, xref="paper", yref=_axis("y", row), xanchor="left", xshift=6, colour=theme.INK
        )


def _annotate(
    figure: go.Figure,
    text: str,
    *,
    x: Any,
    y: Any,
    xanchor: str,
    colour: str,
    xref: str = "x",
    yref: str = "y",
    xshift: int = 0,
) -> None:
    figure.add_annotation(
        text=text,
        x=x,
        y=y,
        xref=xref,
        yref=yref,
        xanchor=xanchor,
        yanchor="middle",
        xshift=xshift,
        align="left",
        showarrow=False,
        font={"size": TEXT_SIZE, "color": colour},
    )


def _panel_title(figure: go.Figure, row: int, text: str) -> None:
    figure.add_annotation(
        text=f"<b>{text}</b>",
        x=0,
        y=1,
        xref=f"{_axis('x', row)} domain",
        yref=f"{_axis('y', row)} domain",
        xanchor="left",
        yanchor="bottom",
        yshift=4,
        showarrow=False,
        font={"size": TEXT_SIZE, "color": theme.INK},
    )


def _axis(letter: str, row: int) -> str:
    return letter if row == 1 else f"{letter}{row}"


def _top(values: pl.Series) -> float:
    return float(values.drop_nulls().cast(pl.Float64).to_numpy().max(initial=0))


def _bottom(values: pl.Series) -> float:
    return float(values.drop_nulls().cast(pl.Float64).to_numpy().min())


def _ticks(top: float, unit: str, formats: Formats, bottom: float = 0.0) -> tuple[list[float], list[str]]:
    """Round values from `bottom` to `top`, five at most, and how they are written."""
    if top <= bottom:
        return [bottom], [formats.compact(bottom, unit)]
    power = 10.0 ** math.floor(math.log10((top - bottom) / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if (top - bottom) / (power * factor) <= 4)
    first, last = math.ceil(bottom / step), math.floor(top / step)
    values = [float(f"{step * k:.10g}") for k in range(first, last + 1)]
    return values, [formats.compact(value, unit) for value in values]


def _time_ticks(at: Sequence[date], unit: str, formats: Formats) -> tuple[list[date], list[str]]:
    """At most six points of time to write on an axis: hours, days, or months with their year where it turns."""
    if unit == "hour":
        shown = at[:: math.ceil(len(at) / MOST_TICKS)]
        return list(shown), [formats.clock(moment) for moment in shown if isinstance(moment, datetime)]
    months = [day for day in at if day.day == 1]
    if len(months) < 3:
        shown = at[:: math.ceil(len(at) / MOST_TICKS)]
        return list(shown), [formats.date(day, "MMMd") for day in shown]
    shown = months[:: math.ceil(len(months) / MOST_TICKS)]
    years = [None, *(day.year for day in shown)]
    return list(shown), [
        formats.date(day, "MMM") + ("" if day.year == year else f"<br>{day.year}")
        for day, year in zip(shown, years, strict=False)
    ]


def _activity_subtitle(result: Activity, table: pl.DataFrame, averaged: bool, formats: Formats) -> str:
    first, last = table["at"][0], table["at"][-1]
    if result.unit == "day":
        parts = [f"{formats.count(table.height)} whole days, {formats.date(first)} to {formats.date(last)}"]
    else:
        parts = [f"{formats.count(table.height)} hours from {formats.value(first, 'time')}, the last one incomplete"]
    if averaged:
        parts.append(f"thin: each day; bold: average of the {result.window} days up to it")
    if result.hidden:
        parts.append(f"not shown for too few customers: {formats.count(result.hidden)}")
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


def _moment(at: date, formats: Formats) -> str:
    return formats.value(at, "time")


def _almost(share: float, formats: Formats) -> str:
    """A share that is not all never reads as 100 %."""
    text = formats.share(share)
    return f"< {text}" if share < 1 and text == formats.share(0.9999999) else text


def _band_label(low: float | None, high: float | None, formats: Formats) -> str:
    if low is None:
        return f"under {formats.compact(high, 'currency')}"
    if high is None:
        return f"{formats.compact(low, 'currency')} or more"
    return f"{formats.compact(low, 'currency')}–{formats.compact(high, 'currency')}"


def _coloured(text: str, colour: str) -> str:
    return f'<span style="color:{colour}">{text}</span>'


def _listed(names: Sequence[str], texts: Sequence[str]) -> str:
    return "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True)) + "."
