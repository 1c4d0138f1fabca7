"""Charts of planned and simulated experiments."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.corrections import READINGS
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
                    f"{weeks} {'week' if weeks == 1 else 'weeks'}, {formats.count(people)} people: "
                    f"{formats.change(effect)} {name}"
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
        f"Within {last['weeks']} weeks, an effect of {formats.change(last['plain'])} or more is found",
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


# Bonferroni and Holm err in the same experiments as long as no arm has an effect: both begin with the same test
_READ_WITH = {
    READINGS["none"]: (READINGS["none"], theme.RED),
    READINGS["holm"]: ("Bonferroni and Holm", theme.BLUE),
    READINGS["dunnett"]: (READINGS["dunnett"], theme.GREEN),
}


def comparisons(table: pl.DataFrame, alpha: float, formats: Formats) -> go.Figure:
    """Experiments without an effect that find one, by number of comparisons and way to read them; a panel a family."""
    families = table.partition_by("metrics", maintain_order=True)
    figure = drawing.panels(len(families))
    highest = 1.1 * max(drawing.top(table["familywise_high"]), alpha)
    values, texts = drawing.ticks(highest, "share", formats)
    for row, family in enumerate(families, start=1):
        counts = family["comparisons"].unique(maintain_order=True).to_list()
        for aside, (reading, (name, colour)) in zip((-0.1, 0.0, 0.1), _READ_WITH.items(), strict=True):
            _rates(figure, row, family.filter(pl.col("correction") == reading), name, colour, aside, formats)
        figure.add_hline(y=alpha, line={"color": theme.MUTED, "dash": "dot"}, row=row, col=1)
        figure.update_xaxes(
            tickvals=list(range(len(counts))),
            ticktext=[formats.count(count) for count in counts],
            range=[-0.5, len(counts) - 0.5],
            showgrid=False,
            row=row,
            col=1,
        )
        metrics = family["metrics"][0]
        drawing.panel_title(figure, row, "One metric" if metrics == 1 else f"{metrics} metrics")
    figure.update_yaxes(range=[0, highest], tickvals=values, ticktext=texts)
    figure.update_xaxes(title=drawing.axis_title("Comparisons: treated arms × metrics"), row=len(families), col=1)
    most = table.filter(pl.col("comparisons") == pl.col("comparisons").max())
    ends = {
        name: formats.share(most.filter(pl.col("correction") == reading)["familywise"][0])
        for reading, (name, _) in _READ_WITH.items()
    }
    return drawing.finished(
        figure,
        f"Uncorrected, {most['comparisons'][0]} comparisons err in {ends[READINGS['none']]} of experiments",
        f"Experiments without an effect that find one, with 95% interval: "
        f"{', '.join(drawing.coloured(*one) for one in _READ_WITH.values())}; dotted: the {formats.share(alpha)} asked "
        f"for; n = {formats.count(table['experiments'][0])} experiments a point",
        height=drawing.panels_height(len(families)),
        gap=34,
        alt="Line chart of the probability of any false positive by number of comparisons. With "
        f"{most['comparisons'][0]}: {drawing.listed(list(ends), list(ends.values()))}",
    )


def _rates(
    figure: go.Figure, row: int, rates: pl.DataFrame, name: str, colour: str, aside: float, formats: Formats
) -> None:
    """One line of a panel, moved aside a little so that its intervals stand beside those of the others."""
    share, low, high = (rates[name].to_numpy() for name in ("familywise", "familywise_low", "familywise_high"))
    told = [
        f"{name}, {count} comparisons: {formats.share(value, (start, end))}"
        for count, value, start, end in rates.select(
            "comparisons", "familywise", "familywise_low", "familywise_high"
        ).iter_rows()
    ]
    figure.add_trace(
        go.Scatter(
            x=[place + aside for place in range(rates.height)],
            y=share.tolist(),
            error_y={
                "array": (high - share).tolist(),
                "arrayminus": (share - low).tolist(),
                "thickness": 1.2,
                "width": 3,
            },
            mode="lines+markers",
            line={"color": colour, "width": 1.5},
            marker={"size": 5},
            hovertext=told,
            hoverinfo="text",
        ),
        row=row,
        col=1,
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
