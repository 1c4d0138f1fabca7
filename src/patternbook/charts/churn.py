"""Charts of who is about to leave."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.leaving import Forecast
from patternbook.analysis.risk import LEVELS
from patternbook.analysis.survival import Curves
from patternbook.charts import calibration, drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

PLOT = 260  # pixels high
SQUARE = 300
CELL = 74
PALE = 1.8  # the scale goes on beyond the largest value, so that dark text can be read on every cell
LONGEST = 180  # days of a waiting curve that are drawn


def horizons(table: pl.DataFrame, present: int, headline: int, formats: Formats) -> go.Figure:
    """Customers expected to have left, by horizon, with intervals; pale where the horizon could not be tested."""
    tested = table["auc"].is_not_null()
    labels = [
        f"{days} days{'' if known else ' · not tested'}" for days, known in zip(table["days"], tested, strict=True)
    ]
    rows = list(table.select("expected", "low", "high").iter_rows())
    texts = [
        f"{formats.value(value, 'count', (low, high))}, {formats.share(share)}"
        for (value, low, high), share in zip(rows, table["share"], strict=True)
    ]
    colours = [theme.ORANGE if known else drawing.PALE_ORANGE for known in tested]
    figure = go.Figure()
    bounds = [(low, high) for _, low, high in rows]
    drawing.labelled_bars(figure, labels, table["expected"].to_list(), texts, colours, bounds)
    figure.update_xaxes(visible=False, range=[0, 1.05 * drawing.top(table["high"])])
    told = table.row(by_predicate=pl.col("days") == headline, named=True)
    return drawing.finished(
        figure,
        f"Within {headline} days, {formats.share(told['share'])} of those still there are expected to have left",
        f"Customers expected to have left by then, with 95% interval, and their share; n = {formats.count(present)} "
        "buyers who are still there",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of customers expected to have left, by horizon. {drawing.listed(labels, texts)}",
    )


def reliability(table: pl.DataFrame, forecast: Forecast, formats: Formats) -> go.Figure:
    """Outcome against forecast in groups of equal size: on the line, a forecast is to be taken at its word."""
    tested = forecast.tested
    assert tested is not None
    hover = [
        f"forecast {formats.share(row['expected'])}, left "
        f"{formats.share(row['observed'], (row['low'], row['high']))} of {formats.count(row['customers'])}"
        for row in table.iter_rows(named=True)
    ]
    spoken = [
        f"forecast {formats.share(row['expected'])}, outcome {formats.share(row['observed'])}"
        for row in table.iter_rows(named=True)
    ]
    return drawing.finished(
        calibration.reliability(table, hover, formats),
        calibration.title(table),
        f"Share that had left {forecast.horizon} days after {formats.date(tested.cutoff)}, with 95% interval, by the "
        f"forecast made on that day; n = {formats.count(len(tested.left))} customers",
        height=SQUARE,
        alt=f"Dot chart of outcome against forecast in {table.height} groups of customers. "
        f"{drawing.listed([f'Group {k + 1}' for k in range(table.height)], spoken)}",
        right=24,
    )


def curves(found: Curves, formats: Formats) -> go.Figure:
    """Share not seen to buy again by days since the purchase, a line with its band for each group."""
    shown = found.table.filter(pl.col("days") <= LONGEST)
    figure = go.Figure()
    names: list[str] = []
    ends: list[tuple[str, str]] = []
    for (group,), own in shown.group_by("group", maintain_order=True):
        colour = theme.SERIES[len(names)]
        name = str(group)
        names.append(drawing.coloured(drawing.short(name), colour))
        last = own.row(-1, named=True)
        ends.append((name, f"{formats.share(last['share'])} after {last['days']} days"))
        drawing.band(figure, own, "days", colour, shape="hv")
        figure.add_trace(
            go.Scatter(
                x=own["days"].to_list(),
                y=own["share"].to_list(),
                name=in_chart(name),
                mode="lines",
                line={"color": colour, "width": 1.8, "shape": "hv"},
                hovertext=[
                    f"{in_chart(name)}, {formats.value(days, 'days')}: {formats.share(share, (low, high))}"
                    for days, share, low, high in own.select("days", "share", "low", "high").iter_rows()
                ],
                hoverinfo="text",
            )
        )
    at = [0, 0.25, 0.5, 0.75, 1]
    figure.update_yaxes(range=[0, 1.03], tickvals=at, ticktext=[formats.compact(value, "share") for value in at])
    longest = drawing.top(shown["days"])
    days, texts = drawing.ticks(longest, "count", formats)
    figure.update_xaxes(
        showgrid=False,
        range=[0, longest],
        tickvals=days,
        ticktext=texts,
        title=drawing.axis_title("Days since the purchase"),
    )
    return drawing.finished(
        figure,
        f"How long customers wait to buy again, by {found.by}",
        f"{', '.join(names)}: share not yet seen to buy again (Kaplan–Meier), with 95% interval; n = "
        f"{formats.count(found.groups['customers'].sum())} waits",
        height=PLOT,
        alt=f"Falling curves of the share of customers who have not bought again, by {found.by}. At the end: "
        f"{drawing.listed([name for name, _ in ends], [text for _, text in ends])}",
        right=24,
    )


def matrix(cells: pl.DataFrame, horizon: int, formats: Formats) -> go.Figure:
    """Risk against value: what is at stake in each cell, the darker, the more, and how many customers."""
    rows = {(row["risk"], row["value"]): row for row in cells.iter_rows(named=True)}
    grid = [[rows[risk, value] for value in LEVELS] for risk in LEVELS]
    texts = [
        [
            f"<b>{in_chart(formats.compact(cell['at_stake'], 'currency'))}</b><br>{formats.count(cell['customers'])} "
            "customers"
            if cell["customers"] is not None
            else "too few"
            for cell in row
        ]
        for row in grid
    ]
    spoken = [
        f"{formats.value(cell['at_stake'], 'currency', (cell['low'], cell['high']))}, "
        f"{formats.count(cell['customers'])} customers"
        if cell["customers"] is not None
        else "too few customers to publish"
        for row in grid
        for cell in row
    ]
    labels = [f"{cell['risk']} risk, {cell['value']} value" for row in grid for cell in row]
    figure = go.Figure(
        go.Heatmap(
            x=[f"{value} value" for value in LEVELS],
            y=[f"{risk}<br>risk" for risk in LEVELS],
            z=[[cell["at_stake"] for cell in row] for row in grid],
            text=texts,
            texttemplate="%{text}",
            textfont={"size": drawing.SMALL_SIZE, "color": theme.INK},
            hovertext=[[f"{labels[3 * k + j]}: {in_chart(spoken[3 * k + j])}" for j in range(3)] for k in range(3)],
            hoverinfo="text",
            colorscale=drawing.SCALE,
            zmin=0,
            zmax=PALE * drawing.top(cells["at_stake"]) or 1,
            xgap=3,
            ygap=3,
            showscale=False,
        )
    )
    figure.update_xaxes(type="category", showgrid=False, side="bottom")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    most = cells.drop_nulls("at_stake").sort("at_stake", descending=True).to_dicts()
    title = f"Most is at stake at {most[0]['risk']} risk and {most[0]['value']} value" if most else "Too few to publish"
    return drawing.finished(
        figure,
        title,
        f"Margin of twelve months expected to go with those who leave within {horizon} days, and how many customers, "
        f"by risk and value; n = {formats.count(cells['customers'].sum())} customers in the cells shown",
        height=CELL * len(LEVELS),
        alt=f"Matrix of risk to leave and value. {drawing.listed(labels, spoken)}",
    )


def importance(table: pl.DataFrame, explained: int, tested: int, formats: Formats) -> go.Figure:
    """What the trees go by: features by share in forecasts of `explained` customers, their AUC for `tested` ones."""
    shown = table.filter(pl.col("share") > 0).head(drawing.MOST_LABELLED_BARS // 2)
    labels = shown["meaning"].to_list()
    texts = [
        f"{formats.tenths(share)} · alone AUC {formats.value(auc, 'number')}"
        for share, auc in shown.select("share", "auc").iter_rows()
    ]
    figure = go.Figure()
    drawing.labelled_bars(figure, labels, shown["share"].to_list(), texts, [theme.ORANGE] * shown.height)
    figure.update_xaxes(visible=False, range=[0, 1.05 * drawing.top(shown["share"])])
    return drawing.finished(
        figure,
        f"The trees go most by {shown['meaning'][0]}",
        "Share of all contributions to the forecast (SHAP values, in size), n = "
        f"{formats.count(explained)} customers; how well each tells alone, n = {formats.count(tested)} tested",
        height=56 * shown.height,
        alt=f"Bar chart of what the forecast goes by. {drawing.listed(labels, texts)}",
    )
