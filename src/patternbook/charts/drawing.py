"""What all charts share: the template, the heading, bars, panels, ticks. They read from 360 to 1,000 pixels wide."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import polars as pl
from plotly.subplots import make_subplots

from patternbook import theme
from patternbook.formats import Formats
from patternbook.markup import in_chart

pio.renderers.default = "plotly_mimetype"  # notebooks keep the figure itself; the report decides how to draw it

CONFIG = {"displayModeBar": False, "responsive": True}  # for plotly.io.to_html
TITLE_SIZE, SUBTITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 17, 13, 13, 12
LABEL_WIDTH = 32  # characters of a name beside its row; longer ones are cut, and whole in the hover text
TITLE_WIDTH, SUBTITLE_WIDTH = 42, 62  # characters a line, so that a figure 360 pixels wide holds them
ROW, LABELLED_ROW = 28, 76  # pixels of a row with its label beside it, above it
PANEL, PANEL_GAP = 150, 72  # pixels of a panel, and of the room for ticks and title between two
HEAD_LINE = 22  # Plotly spaces all lines of a title alike
MOST_TICKS = 5
MOST_LABELLED_BARS = 12
KEPT_SPACE = "\0"
PALE_ORANGE = "#f0c9a3"  # modelled, beyond what was observed
TINT = 0.12  # opacity of a band
SCALE = [[0, "#eef4f9"], [1, theme.BLUE]]  # from little to much

_AXIS = {
    "automargin": True,
    "gridcolor": theme.RULE,
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "tickfont": {"size": SMALL_SIZE, "color": theme.MUTED},
    "ticklabelstandoff": 5,
    "fixedrange": True,
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": theme.SANS_STACK, "size": TEXT_SIZE, "color": theme.INK},
        "paper_bgcolor": theme.PAPER,
        "plot_bgcolor": theme.PAPER,
        "colorway": theme.SERIES,
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": theme.PAPER, "bordercolor": theme.RULE, "font": {"color": theme.INK}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "bargap": 0.3,
        "barcornerradius": 2,
        "modebar": {"remove": ["toImage", "zoom", "pan", "select", "lasso", "zoomIn", "zoomOut", "autoScale", "reset"]},
    }
)


def panels(count: int, height: int = PANEL) -> go.Figure:
    """Panels one above the other, each `height` pixels high."""
    whole = panels_height(count, height)
    return make_subplots(rows=count, cols=1, vertical_spacing=PANEL_GAP / whole if count > 1 else 0)


def panels_height(count: int, height: int = PANEL) -> int:
    """Height of `panels(count, height)`, in pixels."""
    return count * height + (count - 1) * PANEL_GAP


def finished(
    figure: go.Figure, title: str, subtitle: str, *, height: int, alt: str, right: int = 12, gap: int = 14
) -> go.Figure:
    """The figure with template, title, size and alt text.

    `title` and `alt` are plain text; `subtitle` may hold the markup that Plotly reads.
    `height` is that of the plot without its heading, `gap` the room between the two, `right` the margin, in pixels.
    """
    head = textwrap.wrap(title, TITLE_WIDTH)
    below = _wrapped_markup(subtitle, SUBTITLE_WIDTH)
    heading = "<br>".join(f"<b>{in_chart(line)}</b>" for line in head) + "".join(
        f'<br><span style="font-size:{SUBTITLE_SIZE}px;color:{theme.MUTED}">{line}</span>' for line in below
    )
    top = HEAD_LINE * (len(head) + len(below)) + 6 + gap
    bottom = 36
    figure.update_layout(
        template=TEMPLATE,
        title={
            "text": heading,
            "font": {"size": TITLE_SIZE},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": HEAD_LINE, "l": 8},
        },
        height=height + top + bottom,
        margin={"l": 8, "r": right, "t": top, "b": bottom},
        meta={"alt": alt},
    )
    return figure


def _wrapped_markup(text: str, width: int) -> list[str]:
    """Lines of about `width` visible characters; tags take no room and are never broken."""
    lines, length = [""], 0
    whole = re.sub(r"\bn = ", f"n{KEPT_SPACE}={KEPT_SPACE}", text)  # a number of cases stays on one line
    for word in re.sub(r" (?=[^<>]*>)", KEPT_SPACE, whole).split(" "):
        visible = len(re.sub(r"<[^>]*>", "", word))
        if lines[-1] and length + 1 + visible > width:
            lines, length = [*lines, ""], 0
        lines[-1] += (" " if lines[-1] else "") + word
        length += visible + 1
    return [line.replace(KEPT_SPACE, " ") for line in lines]


def labelled_bars(
    figure: go.Figure,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    colours: Sequence[str],
    bounds: Sequence[tuple[float, float] | None] = (),
    base: Sequence[float] | None = None,
) -> None:
    """Horizontal bars from top to bottom, each with its label and text above it: room enough on a telephone.

    Labels and texts are plain. Bars start at zero, or at `base`.
    """
    labels, texts = [list(map(in_chart, entries)) for entries in (labels, texts)]
    rows = list(range(len(labels)))
    figure.add_trace(
        go.Bar(
            x=list(values),
            y=rows,
            base=base,
            orientation="h",
            width=0.32,
            marker_color=list(colours),
            hovertext=[f"{label}: {text}" for label, text in zip(labels, texts, strict=True)],
            hoverinfo="text",
        )
    )
    for row, bound in enumerate(bounds):
        if bound:
            _whisker(figure, row, bound)
    for row, label, text in zip(rows, labels, texts, strict=True):
        annotate(figure, f"<b>{label}</b><br>{text}", x=0, y=row - 0.46, xanchor="left", colour=theme.INK)
    figure.update_yaxes(visible=False, range=[len(labels) - 0.75, -0.75])


def labels_at_left(figure: go.Figure) -> None:
    """Put the labels of `labelled_bars` at the left edge of the plot, where bars may run to both sides of zero."""
    figure.update_annotations(x=0, xref="x domain", bgcolor=theme.PAPER)


def _whisker(figure: go.Figure, row: int, bound: tuple[float, float]) -> None:
    figure.add_trace(
        go.Scatter(
            x=list(bound),
            y=[row, row],
            mode="lines+markers",
            line={"color": theme.INK, "width": 1.2},
            marker={"symbol": "line-ns", "size": 8, "line": {"width": 1.2, "color": theme.INK}},
            hoverinfo="skip",
        )
    )


def bar(
    values: Sequence[float], names: Sequence[str], colour: str, hover: Sequence[str], texts: Sequence[str] | None = None
) -> go.Bar:
    """Horizontal bars from zero in one colour, with hover texts, and texts beside them where given."""
    return go.Bar(
        x=list(values),
        y=list(names),
        orientation="h",
        marker_color=colour,
        hovertext=list(hover),
        hoverinfo="text",
        text=texts,
        textposition="outside" if texts else None,
        textfont={"size": SMALL_SIZE, "color": theme.INK},
        cliponaxis=False,
    )


def band(figure: go.Figure, rows: pl.DataFrame, x: str, colour: str, *, shape: str = "linear", **place: int) -> None:
    """The interval `low` to `high` of `rows` as a tinted band, one for each run of rows that have one.

    `place` is the row and column of a panel.
    """
    fill = {"fill": "tonexty", "fillcolor": sheer(colour, TINT)}
    runs = rows.with_columns(pl.col("low").is_null().cum_sum().alias("run")).drop_nulls("low")
    for run in runs.partition_by("run", maintain_order=True):
        common = {"x": run[x].to_list(), "mode": "lines", "hoverinfo": "skip", "line": {"width": 0, "shape": shape}}
        figure.add_trace(go.Scatter(y=run["high"].to_list(), **common), **place)
        figure.add_trace(go.Scatter(y=run["low"].to_list(), **fill, **common), **place)


def annotate(
    figure: go.Figure,
    text: str,
    *,
    x: Any,
    y: Any,
    xanchor: str,
    colour: str,
    xref: str = "x",
    yref: str = "y",
    xshift: int = 0,
) -> None:
    """Write text at a point, in data coordinates unless `xref` and `yref` say otherwise."""
    figure.add_annotation(
        text=text,
        x=x,
        y=y,
        xref=xref,
        yref=yref,
        xanchor=xanchor,
        yanchor="middle",
        xshift=xshift,
        align="left",
        showarrow=False,
        font={"size": TEXT_SIZE, "color": colour},
    )


def panel_title(figure: go.Figure, row: int, text: str) -> None:
    """Write a title above a panel."""
    figure.add_annotation(
        text=f"<b>{text}</b>",
        x=0,
        y=1,
        xref=f"{axis('x', row)} domain",
        yref=f"{axis('y', row)} domain",
        xanchor="left",
        yanchor="bottom",
        yshift=4,
        showarrow=False,
        font={"size": TEXT_SIZE, "color": theme.INK},
    )


def short(name: str) -> str:
    """A name of unknown origin for an axis: plain, and no longer than `LABEL_WIDTH`."""
    return in_chart(name if len(name) <= LABEL_WIDTH else f"{name[: LABEL_WIDTH - 1]}…")


def sheer(colour: str, opacity: float) -> str:
    """A colour that lets through what lies below, as Plotly reads it."""
    red, green, blue = theme.rgb(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def coloured(text: str, colour: str) -> str:
    """A word of a subtitle in the colour that it stands for; `text` may hold the markup that Plotly reads."""
    return f'<span style="color:{colour}"><b>{text}</b></span>'


def axis_title(text: str) -> dict[str, Any]:
    """A title of an axis, small and pale, as `update_xaxes(title=…)` takes it."""
    return {"text": text, "standoff": 6, "font": {"size": SMALL_SIZE, "color": theme.MUTED}}


def axis(letter: str, row: int) -> str:
    """Plotly's name of a panel's axis."""
    return letter if row == 1 else f"{letter}{row}"


def top(values: pl.Series) -> float:
    """The largest value, at least zero."""
    return float(values.drop_nulls().cast(pl.Float64).to_numpy().max(initial=0))


def bottom(values: pl.Series) -> float:
    """The smallest value."""
    return float(values.drop_nulls().cast(pl.Float64).to_numpy().min())


def ticks(top: float, unit: str, formats: Formats, bottom: float = 0.0) -> tuple[list[float], list[str]]:
    """Round values from `bottom` to `top`, five at most, and how they are written."""
    if top <= bottom:
        return [bottom], [formats.compact(bottom, unit)]
    power = 10.0 ** math.floor(math.log10((top - bottom) / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if (top - bottom) / (power * factor) <= 4)
    first, last = math.ceil(bottom / step), math.floor(top / step)
    values = [float(f"{step * k:.10g}") for k in range(first, last + 1)]
    return values, [formats.compact(value, unit) for value in values]


def time_ticks(at: Sequence[date], unit: str, formats: Formats) -> tuple[list[date], list[str]]:
    """At most six points of time to write on an axis: hours, days, or months with their year where it turns."""
    if unit == "hour":
        shown = at[:: math.ceil(len(at) / MOST_TICKS)]
        return list(shown), [formats.clock(moment) for moment in shown if isinstance(moment, datetime)]
    months = [day for day in at if day.day == 1]
    if len(months) < 3:
        shown = at[:: math.ceil(len(at) / MOST_TICKS)]
        return list(shown), [formats.date(day, "MMMd") for day in shown]
    shown = months[:: math.ceil(len(months) / MOST_TICKS)]
    years = [None, *(day.year for day in shown)]
    return list(shown), [
        formats.date(day, "MMM") + ("" if day.year == year else f"<br>{day.year}")
        for day, year in zip(shown, years, strict=False)
    ]


def share_time_axis(figure: go.Figure, at: Sequence[date], texts: Sequence[str]) -> None:
    """Write the same points of time below every panel, all on the axis of the first."""
    figure.update_xaxes(tickvals=at, ticktext=texts, showgrid=False, matches="x")
    figure.layout.xaxis.matches = None  # an axis that matches itself is a warning in the browser


def moment(at: date, formats: Formats) -> str:
    """A point of time as text."""
    return formats.value(at, "time")


def listed(names: Sequence[str], texts: Sequence[str]) -> str:
    """`name text; name text.`, for alt texts."""
    return "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True)) + "."
