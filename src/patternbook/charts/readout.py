"""Charts of finished experiments."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart


def effects(table: pl.DataFrame, by: str, subject: str, alpha: float, formats: Formats) -> go.Figure:
    """Relative effects with their intervals, a row an arm and `by` (metric or segment); clear ones in colour.

    Of experiment and arm only what differs is named.
    """
    known = table.drop_nulls("relative")
    shown = known.head(drawing.MOST_LABELLED_BARS)
    named = ["experiment", "arm", by]
    told = [name for name in named if name == by or shown[name].n_unique() > 1]
    labels = [" · ".join(parts) for parts in shown.select(told).iter_rows()]
    rows = list(shown.select("relative", "relative_low", "relative_high", "p_adjusted").iter_rows())
    texts = [f"{formats.change(value, (low, high))}; {formats.p_value(p)}" for value, low, high, p in rows]
    clear = [p < alpha for *_, p in rows]
    colours = [
        theme.MUTED if not sure else theme.GREEN if value > 0 else theme.RED
        for sure, (value, *_) in zip(clear, rows, strict=True)
    ]
    rest = f"; the first {shown.height} of {known.height}" if known.height > shown.height else ""
    metrics = shown["metric"].unique().to_list()
    on = f"on {in_chart(metrics[0])}; " if by != "metric" and len(metrics) == 1 else ""
    figure = go.Figure()
    bounds = [(low, high) for _, low, high, _ in rows]
    drawing.labelled_bars(figure, labels, shown["relative"].to_list(), texts, colours, bounds)
    ends = [0.0, *(float(end) for bound in bounds for end in bound)]
    room = 0.05 * ((max(ends) - min(ends)) or 1.0)
    figure.update_xaxes(visible=False, range=[min(ends) - room, max(ends) + room])
    figure.add_vline(x=0, line={"color": theme.RULE})
    drawing.labels_at_left(figure)
    return drawing.finished(
        figure,
        f"{sum(clear)} of {len(rows)} effects {subject} are clear" if rows else f"No effect {subject} can be told",
        f"Change against the control; {on}with 95% interval; coloured: clear after correction for several "
        f"comparisons{rest}",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of relative effects {subject}. {drawing.listed(labels, texts)}",
    )
