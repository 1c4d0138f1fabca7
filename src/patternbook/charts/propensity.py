"""Charts of the forecast of purchases."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.predictors import PREDICTORS
from patternbook.analysis.propensity import MODEL, Forecast
from patternbook.analysis.suppression import leading
from patternbook.charts import calibration, drawing
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
    most = leading(table)
    share, found = formats.compact(most["customers"], "share"), {k: formats.share(most[k]) for k in (MODEL, best)}
    orange, blue = (
        drawing.coloured(name, colour) for name, colour in (("The forecast", theme.ORANGE), (best, theme.BLUE))
    )
    return drawing.finished(
        figure,
        f"The top {share} by forecast hold {found[MODEL]} of the buyers",
        f"{orange}, {blue} (the best simple rule) and chance (dotted): share of those who buy within "
        f"{forecast.horizon} days; n = {formats.count(len(forecast.labels))} customers",
        height=PLOT,
        alt=f"Curve of the share of buyers found by share of customers contacted. The top {share} by forecast hold "
        f"{found[MODEL]} of the buyers, those by {best} {found[best]}.",
        right=24,
    )


def reliability(table: pl.DataFrame, forecast: Forecast, formats: Formats) -> go.Figure:
    """Forecast against what happened, with intervals; on the diagonal they agree."""
    spoken = [
        f"forecast {formats.share(expected)}, bought {formats.share(observed, (low, high))}"
        for expected, observed, low, high in table.select("expected", "observed", "low", "high").iter_rows()
    ]
    hover = [
        f"{formats.count(customers)} customers: {text}"
        for customers, text in zip(table["customers"], spoken, strict=True)
    ]
    off = forecast.evaluation.of_model["calibration_error"]
    return drawing.finished(
        calibration.reliability(table, hover, formats),
        calibration.title(table),
        f"Share who bought within {forecast.horizon} days, with 95% interval, by forecast probability; groups of alike "
        f"many expected buyers. Calibration error {formats.share(off.value, off.interval)}; "
        f"n = {formats.count(len(forecast.labels))} customers",
        height=PLOT,
        alt=f"Dot chart of the share who bought by forecast probability. {drawing.listed(spoken, [''] * len(spoken))}",
        right=24,
    )


def learning(table: pl.DataFrame, verdict: str, tested: int, formats: Formats) -> go.Figure:
    """AUC among the `tested` customers by the number of those that the model learned from, with intervals."""
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
    figure.update_yaxes(title=drawing.axis_title("ROC-AUC"))
    counts = table["customers"].to_list()
    figure.update_xaxes(type="log", tickvals=counts, ticktext=[formats.compact(n, "count") for n in counts])
    figure.update_xaxes(showgrid=False, title=drawing.axis_title("customers learned from"))
    return drawing.finished(
        figure,
        verdict,
        "ROC-AUC at the test cutoff, with 95% interval, of the same model learned from a part of the customers; "
        f"n = {formats.count(tested)} customers tested",
        height=PLOT,
        alt="Line chart of ROC-AUC by customers learned from. "
        + drawing.listed([formats.count(n) for n in counts], [formats.value(auc, "number") for auc in table["auc"]]),
        right=24,
    )


def importance(ranked: pl.DataFrame, explained: int, formats: Formats) -> go.Figure:
    """What the forecasts of the `explained` customers lean on, by family of columns."""
    families = ranked.select("family", "family_share").unique().sort("family_share", descending=True)
    names, shares = families["family"].to_list(), families["family_share"].to_list()
    texts = [formats.tenths(share) for share in shares]
    figure = go.Figure(drawing.bar(shares[::-1], names[::-1], theme.ORANGE, _pairs(names, texts)[::-1], texts[::-1]))
    figure.update_xaxes(visible=False, range=[0, 1.18 * max(shares)])
    return drawing.finished(
        figure,
        f"The forecast leans most on {names[0]} and {names[1]}",
        "Share of the size of all contributions to a customer's log-odds (Shapley values of the trees), by kind of "
        f"knowledge; n = {formats.count(explained)} customers",
        height=drawing.ROW * len(names),
        alt=f"Bar chart of what the forecast leans on. {drawing.listed(names, texts)}",
    )


def dependence(table: pl.DataFrame, explained: int, formats: Formats) -> go.Figure:
    """Factor on the odds of the `explained` customers by the value of each leading column."""
    names = table["feature"].unique(maintain_order=True).to_list()
    units = {one.name: one.unit for one in PREDICTORS}
    figure = drawing.panels(len(names))
    spread = max(abs(math.log(odds)) for odds in table["odds"])
    marks = [odds for odds in (0.1, 0.2, 0.5, 1, 2, 5, 10) if abs(math.log(odds)) <= spread + 0.2]
    for row, name in enumerate(names, start=1):
        part = table.filter(pl.col("feature") == name)
        figure.add_trace(
            go.Scatter(
                x=part["value"].to_list(),
                y=part["odds"].to_list(),
                mode="lines+markers",
                line={"color": theme.ORANGE, "width": 1.5},
                marker={"size": 6},
                hovertext=[
                    f"{formats.value(value, units[name])}: odds {formats.value(odds, 'factor')}"
                    for value, odds in part.select("value", "odds").iter_rows()
                ],
                hoverinfo="text",
            ),
            row=row,
            col=1,
        )
        values, texts = drawing.ticks(drawing.top(part["value"]), units[name], formats, drawing.bottom(part["value"]))
        figure.update_xaxes(tickvals=values, ticktext=texts, showgrid=False, row=row)
        limits = [-spread / math.log(10) - 0.08, spread / math.log(10) + 0.08]
        figure.update_yaxes(type="log", range=limits, row=row)
        figure.update_yaxes(tickvals=marks, ticktext=[f"{odds:g}×" for odds in marks], row=row)
        drawing.panel_title(figure, row, _title(name))
    return drawing.finished(
        figure,
        f"{_title(names[0])} moves the odds most",
        "Mean factor on a customer's odds to buy by the value of a column, the rest as it is; one column a kind of "
        f"knowledge; n = {formats.count(explained)} customers",
        height=drawing.panels_height(len(names)),
        alt="Line charts of the factor on the odds to buy. "
        + " ".join(
            f"{name}: from {formats.value(part['odds'][0], 'factor')} to {formats.value(part['odds'][-1], 'factor')}."
            for name in names
            if (part := table.filter(pl.col("feature") == name)).height
        ),
        gap=40,
    )


def _title(column: str) -> str:
    return "P(alive)" if column == "p_alive" else column.replace("_", " ").capitalize()


def tiers(table: pl.DataFrame, formats: Formats) -> go.Figure:
    """Conversion by tier in the test period, with what was expected."""
    shown = table.drop_nulls("observed")
    labels = [f"{tier} intent" for tier in shown["tier"]]
    rows = list(shown.select("expected", "observed", "observed_low", "observed_high").iter_rows())
    texts = [
        f"{formats.share(observed, (low, high))} bought, {formats.share(expected)} expected"
        for expected, observed, low, high in rows
    ]
    figure = go.Figure()
    bounds = [(low, high) for _, _, low, high in rows]
    drawing.labelled_bars(figure, labels, shown["observed"].to_list(), texts, [theme.BLUE] * len(labels), bounds)
    figure.update_xaxes(visible=False, range=[0, 1.05 * drawing.top(shown["observed_high"])])
    return drawing.finished(
        figure,
        _tiers_claim(table),
        "Share of each tier that bought in the test period, with 95% interval; tiers were set before it; "
        f"n = {formats.count(shown['customers'].sum())} customers",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of the share who bought, by tier. {drawing.listed(labels, texts)}",
    )


def _tiers_claim(table: pl.DataFrame) -> str:
    """What the intervals of the tiers, the highest first, allow to say."""
    shown = table.drop_nulls("observed")
    if (table["customers"] > 0).fill_null(True).sum() == 1:
        return f"All customers are of {shown['tier'][0]} intent: the tiers tell nobody apart"
    if shown.height < 2:
        return "One tier alone has enough buyers to be shown"
    if (shown["observed_high"] < shown["observed_low"].shift(-1)).any():
        return "Tiers did not hold in the test"
    if shown["observed_low"][0] > shown["observed_high"][-1]:
        return "Those of high intent did buy more often"
    return "The test cannot tell the tiers apart"


def _pairs(names: list[str], texts: list[str]) -> list[str]:
    return [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]
