"""Charts of retention."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis import retention as analysis
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.retention import BACK, LENGTH, WHO, Activity, ByCohort, Curves, Waiting
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

ROW = 26  # pixels high
PLOT = 260
MOST_AGES = 8  # columns that can be read on a telephone
PALE = 1.8  # the scale goes on beyond the largest share, so that dark text can be read on every cell


def heatmap(found: ByCohort, first: Estimate, activity: Activity, formats: Formats) -> go.Figure:
    """Share of each cohort that is there again, by age; the darker, the more. `first` is that of all at age 1."""
    unit = found.unit
    shown = found.table.filter(pl.col("age") <= MOST_AGES)
    cohorts = shown["cohort"].unique().sort().to_list()
    ages = list(range(1, int(shown["age"].max()) + 1))  # type: ignore[arg-type]
    labels = [formats.date(cohort, "MMMd" if found.span == "week" else "yMMM") for cohort in cohorts]
    known = {(row["cohort"], row["age"]): row for row in shown.iter_rows(named=True)}
    top = drawing.top(shown["share"])
    customers = shown.group_by("cohort").agg(pl.col("customers").max())["customers"].sum()
    cells = [[known.get((cohort, age)) for age in ages] for cohort in cohorts]
    figure = go.Figure(
        go.Heatmap(
            x=[str(age) for age in ages],
            y=labels,
            z=[[cell and cell["share"] for cell in row] for row in cells],
            text=[
                [
                    formats.compact(round(cell["share"], 2), "share") if cell and cell["share"] is not None else ""
                    for cell in row
                ]
                for row in cells
            ],
            texttemplate="%{text}",
            textfont={"size": drawing.SMALL_SIZE, "color": theme.INK},
            hovertext=[
                [
                    f"{label}, {unit} {cell['age']}: {formats.share(cell['share'], (cell['low'], cell['high']))} of "
                    f"{formats.count(cell['customers'])}"
                    if cell and cell["share"] is not None
                    else ""
                    for cell in row
                ]
                for label, row in zip(labels, cells, strict=True)
            ],
            hoverinfo="text",
            colorscale=drawing.SCALE,
            zmin=0,
            zmax=PALE * top or 1,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    figure.update_xaxes(
        type="category", showgrid=False, title=drawing.axis_title(f"{unit.capitalize()}s since the first day")
    )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return drawing.finished(
        figure,
        f"In {unit} 1, {formats.share(first.value, first.interval)} of the {WHO[activity]} {BACK[activity]}",
        f"Share of each {found.span}ly cohort by {unit}s of {LENGTH[unit]} days since each customer's first day; blank "
        "where not the whole cohort is observed, or too few to publish; "
        f"n = {formats.count(customers)} {WHO[activity]}",
        height=ROW * len(cohorts) + 16,
        alt=f"Heatmap of {len(cohorts)} {found.span}ly cohorts by {unit}s since the first day. Shares run from "
        f"{formats.share(drawing.bottom(shown['share']))} to {formats.share(top)}.",
    )


def curves(found: Curves, activity: Activity, formats: Formats) -> go.Figure:
    """Retention by week since the first day, a line with its band for each group."""
    figure = go.Figure()
    names: list[str] = []
    ends: list[tuple[str, float]] = []
    for (group,), own in found.table.group_by("group", maintain_order=True):
        colour = theme.SERIES[len(names)]
        names.append(drawing.coloured(drawing.short(str(group)), colour))
        ends.append((str(group), own["share"].drop_nulls()[-1]))
        drawing.band(figure, own, "age", colour)
        figure.add_trace(
            go.Scatter(
                x=own["age"].to_list(),
                y=own["share"].to_list(),
                name=in_chart(str(group)),
                mode="lines+markers",
                marker={"size": 5},
                line={"color": colour, "width": 1.8},
                hovertext=[
                    "" if share is None else f"{in_chart(str(group))}, week {age}: {formats.share(share, (low, high))}"
                    for age, share, low, high in own.select("age", "share", "low", "high").iter_rows()
                ],
                hoverinfo="text",
            )
        )
    _share_axis(figure, found.table, formats)
    last = int(found.table["age"].max())  # type: ignore[arg-type]
    figure.update_xaxes(
        showgrid=False,
        title=drawing.axis_title("Weeks since the first day"),
        tickvals=list(range(1, last + 1)),
        ticktext=list(map(str, range(1, last + 1))),
        range=[0.7, last + 0.3],
    )
    n = found.table.filter(pl.col("age") == 1)["customers"].sum()
    gaps = "; gaps: too few to publish" if found.table["share"].null_count() else ""
    return drawing.finished(
        figure,
        f"Who comes back, by first {found.by}" if activity == "visit" else f"Who buys again, by first {found.by}",
        f"{', '.join(names)}: share that {BACK[activity]} in a week, with 95% interval; the largest groups, "
        f"n = {formats.count(n)} {WHO[activity]} observed for {last + 1} weeks{gaps}",
        height=PLOT,
        alt=f"Line chart of retention by week and first {found.by}. At the end: "
        f"{drawing.listed([name for name, _ in ends], [formats.share(share) for _, share in ends])}",
    )


def waiting(found: Waiting, formats: Formats) -> go.Figure:
    """Share of buyers who have bought a second time, by days since the first purchase."""
    rows = found.curve.drop_nulls("low")
    figure = go.Figure()
    drawing.band(figure, rows, "days", theme.ORANGE, shape="hv")
    figure.add_trace(
        go.Scatter(
            x=rows["days"].to_list(),
            y=rows["share"].to_list(),
            mode="lines",
            line={"color": theme.ORANGE, "width": 2, "shape": "hv"},
            hovertext=[
                f"within {formats.value(days, 'days')}: {formats.share(share, (low, high))}"
                for days, share, low, high in rows.select("days", "share", "low", "high").iter_rows()
            ],
            hoverinfo="text",
        )
    )
    _share_axis(figure, rows, formats)
    last = rows.row(-1, named=True)
    days, texts = drawing.ticks(last["days"], "count", formats)
    figure.update_xaxes(
        showgrid=False,
        title=drawing.axis_title("Days since the first purchase"),
        tickvals=days,
        ticktext=texts,
        range=[0, last["days"]],
    )
    soon = analysis.within(found, analysis.HORIZON)
    title = (
        f"Within {analysis.HORIZON} days, {formats.share(soon.value)} of buyers buy a second time"
        if soon
        else f"Within {last['days']} days, {formats.share(last['share'])} of buyers buy a second time"
    )
    return drawing.finished(
        figure,
        title,
        "Share of buyers with a second purchase (Kaplan–Meier: buyers count as long as they are observed), with 95% "
        f"interval; n = {formats.count(found.buyers)} buyers",
        height=PLOT,
        alt=f"Rising curve of the share of buyers with a second purchase by days since the first. It reaches "
        f"{formats.share(last['share'], (last['low'], last['high']))} after {last['days']} days.",
        right=24,
    )


def _share_axis(figure: go.Figure, rows: pl.DataFrame, formats: Formats) -> None:
    top = drawing.top(rows["high"])
    values, texts = drawing.ticks(top, "share", formats)
    figure.update_yaxes(tickvals=values, ticktext=texts, range=[0, 1.05 * top])
