"""Charts of 01_compaction."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.charts import drawing
from patternbook.formats import Formats


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
    drawing.labelled_bars(figure, labels, [size / max(sizes) for size in sizes], texts, colours)
    figure.update_xaxes(visible=False, range=[0, 1])
    title = f"An event takes {formats.value(sizes[-1], 'number')} bytes instead of {formats.value(sizes[0], 'number')}"
    return drawing.finished(
        figure,
        title,
        f"Bytes an event after each step, measured on n = {formats.count(sampled)} events",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Bar chart of bytes an event. {drawing.listed(labels, texts)}",
    )
