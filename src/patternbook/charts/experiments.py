"""Charts of planned and simulated experiments."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.trials import LABELS, Plan, Rates
from patternbook.charts import drawing
from patternbook.formats import Formats

PLOT = 240  # pixels high


def detectable(table: pl.DataFrame, planned: Plan, formats: Formats) -> go.Figure:
    """The smallest effect that is found, by weeks of enrolment."""
    figure = go.Figure()
    likely = planned.case.action.likely
    for column, name, colour in (("plain", "as it is", theme.BLUE), ("cuped", "with CUPED", theme.ORANGE)):
        if table[column].null_count() == table.height:
            continue
        figure.add_trace(
            go.Scatter(
                x=table["weeks"].to_list(),
                y=table[column].to_list(),
                name=name,
                mode="lines",
                line={"color": colour, "width": 2},
                hovertext=[
                    f"{weeks} weeks, {formats.count(people)} people: {formats.change(effect)} {name}"
                    for weeks, people, effect in table.select("weeks", "people", column).iter_rows()
                ],
                hoverinfo="text",
            )
        )
    figure.add_hline(y=likely, line={"color": theme.MUTED, "dash": "dot"})
    top = 1.1 * max(drawing.top(table["plain"]), likely)
    values, texts = drawing.ticks(top, "share", formats)
    figure.update_yaxes(range=[0, top], tickvals=values, ticktext=texts)
    last = table.row(-1, named=True)
    weeks, named_weeks = drawing.ticks(last["weeks"], "count", formats)
    figure.update_xaxes(
        title=drawing.axis_title("Weeks of enrolment"),
        tickvals=weeks,
        ticktext=named_weeks,
        range=[0, 1.02 * last["weeks"]],
        showgrid=False,
    )
    blue = drawing.coloured("As it is", theme.BLUE)
    orange = drawing.coloured("with CUPED", theme.ORANGE)
    named = blue if last["cuped"] is None else f"{blue} and {orange}"
    return drawing.finished(
        figure,
        f"{last['weeks']} weeks find an effect of {formats.change(last['plain'])} or more",
        f"{named}; smallest effect found with a power of {formats.share(planned.design.power)}; dotted: the likely "
        f"effect, {formats.change(likely)}",
        height=PLOT,
        alt=f"Line chart of the smallest detectable effect by weeks of enrolment. After {last['weeks']} weeks it is "
        f"{formats.change(last['plain'])}; the likely effect is {formats.change(likely)}.",
    )


def errors(found: dict[str, Rates], alpha: float, formats: Formats) -> go.Figure:
    """Type I error measured, by stopping rule, against the level that was asked for."""
    names = list(found)
    rates = [found[name].type1 for name in names]
    texts = [formats.share(rate.value, rate.interval) for rate in rates]
    bounds = [rate.interval for rate in rates]
    colours = [theme.RED if (rate.low or 0) > alpha else theme.BLUE for rate in rates]
    figure = go.Figure()
    labels = [LABELS[name] for name in names]
    drawing.labelled_bars(figure, labels, [rate.value for rate in rates], texts, colours, bounds)
    figure.add_vline(x=alpha, line={"color": theme.MUTED, "dash": "dot"})
    drawing.labels_at_left(figure)
    figure.update_xaxes(visible=False, range=[0, 1.1 * max(alpha, *(rate.high or 0 for rate in rates))])
    return drawing.finished(
        figure,
        f"Looking every day finds an effect where there is none in {formats.share(found['peeking'].type1.value)} of "
        "experiments",
        f"False positives among simulated experiments without an effect, with 95% "
        f"interval; dotted: the {formats.share(alpha)} asked for; n = {formats.count(rates[0].n)} experiments a rule",
        height=drawing.LABELLED_ROW * len(names),
        alt=f"Bar chart of false-positive rates. {drawing.listed(labels, texts)}",
    )


def money(scenarios: pl.DataFrame, formats: Formats) -> go.Figure:
    """First-year profit by plan: mean, and where eight of ten trials lie."""
    labels = scenarios["plan"].to_list()
    texts = [
        f"{formats.money(mean)}; eight of ten {formats.money(low)} to {formats.money(high)}"
        for mean, low, high in scenarios.select("profit", "tenth", "ninth").iter_rows()
    ]
    values = scenarios["profit"].to_list()
    colours = [theme.GREEN if value > 0 else theme.RED for value in values]
    bounds = list(scenarios.select("tenth", "ninth").iter_rows())
    figure = go.Figure()
    drawing.labelled_bars(figure, labels, values, texts, colours, bounds)
    ends = [*values, *(end for bound in bounds for end in bound), 0.0]
    width = (max(ends) - min(ends)) or 1.0
    figure.update_xaxes(visible=False, range=[min(ends) - 0.05 * width, max(ends) + 0.05 * width])
    figure.add_vline(x=0, line={"color": theme.RULE})
    drawing.labels_at_left(figure)
    best = scenarios.sort("profit", "plan", descending=[True, False]).row(0, named=True)
    return drawing.finished(
        figure,
        f"{best['plan']} is expected to earn most: {formats.money(best['profit'])}",
        "Mean net profit of the first year by plan; whiskers hold eight of ten trials",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of expected net profit by plan. {drawing.listed(labels, texts)}",
    )
