"""Charts of the forecast of purchases."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.propensity import MODEL, Forecast
from patternbook.charts import drawing
from patternbook.formats import Formats

PLOT = 280  # pixels high
QUARTERS = [0, 0.25, 0.5, 0.75, 1]


def gains(table: pl.DataFrame, forecast: Forecast, formats: Formats) -> go.Figure:
    """Share of the buyers found by share of customers contacted, the model against the best rule and chance."""
    best = forecast.evaluation.best
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": theme.MUTED, "dash": "dot"}))
    figure.update_traces(hoverinfo="skip")
    for name, colour in ((best, theme.BLUE), (MODEL, theme.ORANGE)):
        figure.add_trace(
            go.Scatter(
                x=table["customers"].to_list(),
                y=table[name].to_list(),
                mode="lines",
                line={"color": colour, "width": 2},
                hovertext=[
                    f"top {formats.share(customers)} by {name}: {formats.share(found)} of buyers"
                    for customers, found in table.select("customers", name).iter_rows()
                ],
                hoverinfo="text",
            )
        )
    texts = [formats.compact(value, "share") for value in QUARTERS]
    figure.update_xaxes(range=[0, 1.02], tickvals=QUARTERS, ticktext=texts, showgrid=False)
    figure.update_xaxes(title=drawing.axis_title("customers contacted, highest probability first"))
    figure.update_yaxes(range=[0, 1.02], tickvals=QUARTERS, ticktext=texts)
    tenth = {name: formats.share(float(table[name][10])) for name in (MODEL, best)}
    orange, blue = (
        f'<span style="color:{colour}"><b>{name}</b></span>'
        for name, colour in (("The forecast", theme.ORANGE), (best, theme.BLUE))
    )
    return drawing.finished(
        figure,
        f"The top tenth by forecast holds {tenth[MODEL]} of the buyers",
        f"{orange}, {blue} (the best simple rule) and chance (dotted): share of those who buy within "
        f"{forecast.horizon} days; n = {formats.count(len(forecast.labels))} customers",
        height=PLOT,
        alt=f"Curve of the share of buyers found by share of customers contacted. The top 10% by forecast hold "
        f"{tenth[MODEL]} of the buyers, those by {best} {tenth[best]}.",
        right=24,
    )


def reliability(table: pl.DataFrame, forecast: Forecast, formats: Formats) -> go.Figure:
    """Forecast against what happened, with intervals; on the diagonal they agree."""
    top = 1.06 * max(drawing.top(table[name]) for name in ("expected", "high"))
    spoken = [
        f"forecast {formats.share(expected)}, bought {formats.share(observed, (low, high))}"
        for expected, observed, low, high in table.select("expected", "observed", "low", "high").iter_rows()
    ]
    figure = go.Figure(
        [
            go.Scatter(
                x=[0, top],
                y=[0, top],
                mode="lines",
                line={"color": theme.MUTED, "dash": "dot"},
                hoverinfo="skip",
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
                hovertext=[
                    f"{formats.count(customers)} customers: {text}"
                    for customers, text in zip(table["customers"], spoken, strict=True)
                ],
                hoverinfo="text",
            ),
        ]
    )
    values, texts = drawing.ticks(top, "share", formats)
    figure.update_xaxes(range=[0, top], tickvals=values, ticktext=texts, showgrid=False)
    figure.update_xaxes(title=drawing.axis_title("forecast probability"))
    figure.update_yaxes(range=[0, top], tickvals=values, ticktext=texts)
    within = table.filter(pl.col("expected").is_between("low", "high")).height
    off = forecast.evaluation.of_model["calibration_error"]
    return drawing.finished(
        figure,
        f"In {within} of {table.height} groups the forecast lies within the interval of what happened",
        f"Share who bought within {forecast.horizon} days, with 95% interval, by forecast probability; groups of alike "
        f"many expected buyers. Calibration error {formats.share(off.value, off.interval)}",
        height=PLOT,
        alt=f"Dot chart of the share who bought by forecast probability. {drawing.listed(spoken, [''] * len(spoken))}",
        right=24,
    )


def learning(table: pl.DataFrame, verdict: str, formats: Formats) -> go.Figure:
    """AUC by the number of customers that the model learned from, with intervals."""
    figure = go.Figure(
        go.Scatter(
            x=table["customers"].to_list(),
            y=table["auc"].to_list(),
            mode="lines+markers",
            line={"color": theme.ORANGE, "width": 1.5},
            marker={"color": theme.ORANGE, "size": 8},
            error_y={
                "array": (table["auc_high"] - table["auc"]).to_list(),
                "arrayminus": (table["auc"] - table["auc_low"]).to_list(),
                "color": theme.ORANGE,
                "thickness": 1.2,
                "width": 0,
            },
            hovertext=[
                f"{formats.count(customers)} customers: {formats.value(auc, 'number', (low, high))}"
                for customers, auc, low, high in table.select("customers", "auc", "auc_low", "auc_high").iter_rows()
            ],
            hoverinfo="text",
        )
    )
    low, high = drawing.bottom(table["auc_low"]), drawing.top(table["auc_high"])
    values, texts = drawing.ticks(high, "number", formats, low)
    figure.update_yaxes(tickvals=values, ticktext=texts, range=[low - 0.1 * (high - low), high + 0.1 * (high - low)])
    counts = table["customers"].to_list()
    figure.update_xaxes(type="log", tickvals=counts, ticktext=[formats.compact(n, "count") for n in counts])
    figure.update_xaxes(showgrid=False, title=drawing.axis_title("customers learned from"))
    return drawing.finished(
        figure,
        verdict,
        "ROC-AUC at the test cutoff, with 95% interval, of the same model learned from a part of the customers",
        height=PLOT,
        alt="Line chart of ROC-AUC by customers learned from. "
        + drawing.listed([formats.count(n) for n in counts], [formats.value(auc, "number") for auc in table["auc"]]),
        right=24,
    )
