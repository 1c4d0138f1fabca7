"""Chart of which action when."""

from __future__ import annotations

from datetime import date, timedelta

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

COLOURS = {"preparation": theme.MUTED, "test": theme.ORANGE, "roll-out": theme.GREEN, "held out": theme.INK}
WORDS = {
    "preparation": "preparation",
    "test": "test",
    "roll-out": "roll-out",
    "held out": "a random part held out until the effect is known",
}
TAIL = timedelta(weeks=6)  # of the roll-out, beyond the last date
MOST_MONTHS = 5  # named below
THICK, THIN = 13, 3  # pixels of a bar


def timeline(planned: pl.DataFrame, formats: Formats) -> go.Figure:
    """A row an action: preparation, test, roll-out, and when it is decided."""
    dates = [day for column in ("starts", "decides", "rolls_out") for day in planned[column].drop_nulls()]
    first, last = min(dates), max(dates) + TAIL
    figure = go.Figure()
    texts = []
    for row, plan in enumerate(planned.iter_rows(named=True)):
        for phase, begins, ends in _phases(plan, last):
            figure.add_trace(
                go.Scatter(
                    x=[begins, ends],
                    y=[row, row],
                    mode="lines",
                    line={"color": COLOURS[phase], "width": THIN if phase == "held out" else THICK},
                    hovertext=f"{in_chart(plan['action'])}: {phase}, {formats.date(begins)} to {formats.date(ends)}",
                    hoverinfo="text",
                )
            )
        texts.append(_text(plan, formats))
        drawing.annotate(
            figure,
            f"<b>{in_chart(plan['action'])}</b><br>{in_chart(texts[-1])}",
            x=0,
            y=row - 0.46,
            xref="x domain",
            xanchor="left",
            colour=theme.INK,
        )
    labels = planned["action"].to_list()
    figure.update_yaxes(visible=False, range=[len(labels) - 0.6, -0.85])
    months = pl.date_range(first, last, "1mo", eager=True).dt.month_start()[1:].to_list()
    shown_months = months[:: -(-len(months) // MOST_MONTHS) or 1]
    ticks = [formats.date(month, "yMMM") for month in shown_months]
    figure.update_xaxes(range=[first, last], tickvals=shown_months, ticktext=ticks, showgrid=True)
    shown = {phase for plan in planned.iter_rows(named=True) for phase, *_ in _phases(plan, last)}
    earliest = planned["rolls_out"].min()
    assert isinstance(earliest, date)
    return drawing.finished(
        figure,
        f"The first roll-out is on {formats.date(earliest)}",
        ", ".join(drawing.coloured(WORDS[name], colour) for name, colour in COLOURS.items() if name in shown),
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Timeline by action. {drawing.listed(labels, texts)}",
    )


def _phases(plan: dict[str, date], last: date) -> list[tuple[str, date, date]]:
    phases = [("preparation", plan["starts"], plan["begins"]), ("roll-out", plan["rolls_out"], last)]
    if plan["decides"] is not None:
        phases.append(("test" if plan["rolls_out"] > plan["begins"] else "held out", plan["begins"], plan["decides"]))
    return phases


def _text(plan: dict[str, date], formats: Formats) -> str:
    begins, rolls_out = (formats.date(plan[name]) for name in ("begins", "rolls_out"))
    decides = None if plan["decides"] is None else formats.date(plan["decides"])
    if rolls_out == begins:
        return f"rolled out on {begins}" + (f", effect known on {decides}" if decides else "")
    return f"tested from {begins}, decided on {decides}, rolled out on {rolls_out}"
