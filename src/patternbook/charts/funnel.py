"""Charts of the funnel."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis import intervals
from patternbook.analysis.funnel import BOUGHT_BY_ANY_WAY, RATES, Groups, Published, Step, differ, steps
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart


def funnel(result: Published, formats: Formats) -> go.Figure:
    """How many visitors reach each step, with the rate from the step before and its interval."""
    reached, visitors = steps(result), result.funnel.visitors
    labels = ["Visited", *(step.label for step in reached)]
    shares = [1.0, *(step.customers / visitors for step in reached)]
    texts = [formats.count(visitors), *(_step_text(step, formats) for step in reached)]
    colours = [theme.GREEN if label == BOUGHT_BY_ANY_WAY else theme.BLUE for label in labels]
    bounds = [None, *(_bounds(step.customers, visitors) for step in reached)]
    figure = go.Figure()
    drawing.labelled_bars(figure, labels, shares, texts, colours, bounds)
    figure.update_xaxes(visible=False, range=[0, 1.02])
    conversion = result.rate("conversion")
    return drawing.finished(
        figure,
        f"{formats.share(conversion.value)} of visitors bought" if conversion else "From visit to cart",
        f"Customers by step; bars and 95% intervals as a share of visitors; n = {formats.count(visitors)} visitors",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Funnel as a bar chart. {drawing.listed(labels, texts)}",
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
    panel = drawing.ROW * len(names)
    figure = drawing.panels(len(held), panel)
    for row, (name, label) in enumerate(held.items(), start=1):
        _dots_with_intervals(figure, row, table, name, formats)
        everyone = overall.rate(name)
        low, high = drawing.bottom(table[f"{name}_low"]), drawing.top(table[f"{name}_high"])
        values, texts = drawing.ticks(high, "share", formats, low)
        figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], row=row)
        figure.update_xaxes(tickvals=values, ticktext=texts, row=row)
        if everyone:
            figure.add_vline(everyone.value, row=row, col=1, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
        all_customers = f", all customers {formats.share(everyone.value)}" if everyone else ""
        drawing.panel_title(figure, row, f"{label}{all_customers}")
    categories = list(map(in_chart, names))
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=categories)
    figure.update_yaxes(tickvals=categories, ticktext=list(map(drawing.short, names)), tickfont={"color": theme.INK})
    figure.update_yaxes(showgrid=False, range=[-0.6, len(names) - 0.4])
    best = table.drop_nulls("conversion").sort("conversion", "group")
    title = f"No clear difference in conversion by {groups.by}"
    if best.height > 1 and differ(groups):
        title = f"Conversion is highest for {best['group'][-1]}, lowest for {best['group'][0]}"
    listed = drawing.listed(names[::-1], [formats.share(value) for value in table["conversion"].to_list()[::-1]])
    return drawing.finished(
        figure,
        title,
        f"Rates by {groups.by} with 95% intervals; dotted: all customers; "
        f"n = {formats.count(table['visitors'].sum())} visitors",
        height=drawing.panels_height(len(held), panel),
        alt=f"Dot chart of the funnel's rates by {groups.by}. Conversion: {listed}",
        right=56,
        gap=40,
    )


def _bounds(customers: int, visitors: int) -> tuple[float, float] | None:
    estimate = intervals.share(customers, visitors)
    return estimate.interval if estimate else None


def _dots_with_intervals(figure: go.Figure, row: int, table: pl.DataFrame, name: str, formats: Formats) -> None:
    shown = table.drop_nulls(name)
    value, low, high = (shown[column].to_list() for column in (name, f"{name}_low", f"{name}_high"))
    figure.add_trace(
        go.Scatter(
            x=value,
            y=list(map(in_chart, shown["group"])),
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
                f"{in_chart(group)}: {formats.share(rate, (ends[0], ends[1]))}"
                for group, rate, *ends in zip(shown["group"], value, low, high, strict=True)
            ],
            hoverinfo="text",
        ),
        row=row,
        col=1,
    )
    for group, rate in table.select("group", name).iter_rows():
        text = formats.share(rate) if rate is not None else "too few"
        drawing.annotate(
            figure,
            text,
            x=1,
            y=in_chart(group),
            xref="paper",
            yref=drawing.axis("y", row),
            xanchor="left",
            xshift=6,
            colour=theme.INK,
        )
