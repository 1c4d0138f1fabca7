"""Charts of segments and clusters."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.clusters import Clusters
from patternbook.analysis.reserved import AWAY, NOT_YET, SMALL, THIN
from patternbook.analysis.segmentation import Migration
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

LABELLED_FROM = 0.05  # of all customers; a smaller tile has no room for its name on a telephone
THINNEST = 0.012  # of all customers; on a telephone thinner flows are hairlines that hide one another
NAME_WIDTH = 12  # characters a line in a tile
AXES = {"recency": "days since + 1", "frequency": "order days", "monetary": "money"}
STAYED, MOVED, DEPARTED = 0.6, 0.25, 0.25  # opacity of a flow


def segments(table: pl.DataFrame, colours: Mapping[str, str], formats: Formats) -> go.Figure:
    """Segments as tiles, as large as their customers are many; those at risk are named."""
    names = table["segment"].to_list()
    shares = [formats.tenths(share) for share in table["share"]]
    labels = [
        f"<b>{'<br>'.join(map(in_chart, textwrap.wrap(name, NAME_WIDTH, break_long_words=False)))}</b><br>{text}"
        if share >= LABELLED_FROM
        else ""
        for name, share, text in zip(names, table["share"], shares, strict=True)
    ]
    tiles = [colours.get(name, theme.MUTED) for name in names]
    hover = [
        f"{in_chart(name)}: {formats.count(count)} customers, {text}<br>median spend {formats.money(spend)}"
        for name, count, text, spend in zip(names, table["customers"], shares, table["median_spend"], strict=True)
    ]
    figure = go.Figure(
        go.Treemap(
            ids=[str(number) for number in range(len(names))],
            labels=[in_chart(name) for name in names],
            parents=[""] * len(names),
            values=table["customers"].to_list(),
            text=labels,
            textinfo="text",
            insidetextfont={"size": drawing.SMALL_SIZE, "color": list(map(theme.text_on, tiles))},
            marker={
                "colors": tiles,
                "line": {"color": theme.PAPER, "width": 2},
                "pad": {"t": 0, "l": 0, "r": 0, "b": 0},
            },
            hovertext=hover,
            hoverinfo="text",
            pathbar={"visible": False},
            tiling={"pad": 0},
            root={"color": theme.PAPER},
        )
    )
    unlabelled = [
        f"{in_chart(name)} {text}" for name, text, label in zip(names, shares, labels, strict=True) if not label
    ]
    small = f"; without a name: {', '.join(unlabelled)}" if unlabelled else ""
    at_risk = table.filter(pl.col("at_risk"))
    risky = 0.0 if SMALL in names else float(at_risk["share"].sum())
    named = f"; at risk: {', '.join(map(in_chart, at_risk['segment']))}" if at_risk.height else ""
    return drawing.finished(
        figure,
        f"{formats.tenths(risky)} of buyers are in segments at risk" if risky else "Buyers by segment",
        f"Area: customers; n = {formats.count(table['customers'].sum())} buyers{named}{small}",
        height=320,
        alt=f"Treemap of customers by segment. {drawing.listed(names, shares)}",
    )


def grid(cells: pl.DataFrame, minimum_group: int, formats: Formats) -> go.Figure:
    """Customers by recency and frequency score; the darker, the higher their median spend."""
    known = {(r, f): (count, spend) for r, f, count, spend in cells.iter_rows()}
    scores = range(1, 6)
    rows = [[known.get((r, f)) for r in scores] for f in scores]
    top = drawing.top(cells["median_spend"])
    figure = go.Figure(
        go.Heatmap(
            x=list(scores),
            y=list(scores),
            z=[[cell and cell[1] for cell in row] for row in rows],
            hovertext=[
                [
                    f"recency {r}, frequency {f}: {formats.count(cell[0])} customers, "
                    f"median spend {formats.money(cell[1])}"
                    if cell
                    else ""
                    for r, cell in zip(scores, row, strict=True)
                ]
                for f, row in zip(scores, rows, strict=True)
            ],
            hoverinfo="text",
            colorscale=drawing.SCALE,
            zmin=0,
            zmax=top,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    for f, row in zip(scores, rows, strict=True):
        for r, cell in zip(scores, row, strict=True):
            if cell:
                colour = theme.PAPER if cell[1] > 0.55 * top else theme.INK
                figure.add_annotation(
                    x=r,
                    y=f,
                    text=f"{formats.count(cell[0])}<br>{formats.compact(round(cell[1]), 'currency')}",
                    showarrow=False,
                    font={"size": drawing.SMALL_SIZE, "color": colour},
                )
    ticks = {"tickvals": list(scores), "ticktext": list(map(str, scores)), "showgrid": False}
    figure.update_xaxes(title=drawing.axis_title("Recency score (5: bought last)"), **ticks)
    figure.update_yaxes(title=drawing.axis_title("Frequency score"), **ticks)
    best = cells.sort("median_spend", "customers").row(-1, named=True)
    return drawing.finished(
        figure,
        f"Median spend reaches {formats.money(best['median_spend'])} at recency {best['recency_score']}, "
        f"frequency {best['frequency_score']}",
        f"Customers, and below their median spend (colour); cells of fewer than {minimum_group} customers are blank; "
        f"n = {formats.count(cells['customers'].sum())} customers",
        height=330,
        alt=f"Heatmap of {formats.count(cells['customers'].sum())} customers by recency and frequency score. The "
        f"highest median spend is {formats.money(best['median_spend'])}, at recency {best['recency_score']} and "
        f"frequency {best['frequency_score']}.",
    )


def space(cells: pl.DataFrame, colours: Mapping[str, str], minimum_group: int, formats: Formats) -> go.Figure:
    """Segments in recency, frequency and money, a ball for the customers of a cell. To turn about, so not for paper."""
    figure = go.Figure()
    units = {"recency": "count", "frequency": "count", "monetary": "currency"}
    largest = float(cells["customers"].max())  # type: ignore[arg-type]
    for name, colour in colours.items():
        own = cells.filter(pl.col("segment") == name)
        if own.is_empty():
            continue
        spoken = [
            f"{in_chart(name)}: {formats.count(row['customers'])} customers, about {formats.count(row['recency'] - 1)} "
            f"days since the last order, {formats.value(row['frequency'], 'number')} order days, "
            f"{formats.money(row['monetary'])}"
            for row in own.iter_rows(named=True)
        ]
        figure.add_trace(
            go.Scatter3d(
                x=own["recency"].to_list(),
                y=own["frequency"].to_list(),
                z=own["monetary"].to_list(),
                name=in_chart(name),
                mode="markers",
                marker={
                    "size": own["customers"].to_list(),
                    "sizemode": "area",
                    "sizeref": largest / 20**2,
                    "sizemin": 3,
                    "color": colour,
                    "opacity": 0.85,
                    "line": {"width": 0},
                },
                hovertext=spoken,
                hoverinfo="text",
            )
        )
    axes = {}
    for letter, (name, unit) in zip("xyz", units.items(), strict=True):
        decades = [10.0**k for k in range(7) if cells[name].min() / 10 < 10**k < cells[name].max() * 10]  # type: ignore[operator]
        axes[f"{letter}axis"] = {
            "type": "log",
            "title": {"text": AXES[name], "font": {"size": drawing.SMALL_SIZE, "color": theme.MUTED}},
            "tickvals": decades,
            "ticktext": [formats.compact(value, unit) for value in decades],
            "tickfont": {"size": drawing.SMALL_SIZE, "color": theme.MUTED},
            "gridcolor": theme.RULE,
            "showbackground": False,
        }
    figure.update_layout(scene={**axes, "camera": {"eye": {"x": 1.8, "y": 1.8, "z": 0.8}}})
    drawn = drawing.finished(
        figure,
        "Segments by recency, frequency and money",
        f"Balls: {minimum_group} or more customers of one segment who are close in all three (logarithmic); turn it by "
        f"dragging; n = {formats.count(cells['customers'].sum())} buyers",
        height=470,
        alt=f"Three-dimensional scatter of {cells.height} groups of customers by days since the last order, order days "
        "and money, coloured by segment.",
    )
    legend = {
        "orientation": "h",
        "y": 0,
        "yanchor": "top",
        "itemsizing": "constant",
        "font": {"size": drawing.SMALL_SIZE},
    }
    return drawn.update_layout(showlegend=True, legend=legend, meta={**drawn.layout.meta, "paper": False})


def migration(moves: Migration, colours: Mapping[str, str], formats: Formats) -> go.Figure:
    """Customers flowing from segments of the earlier window to those of the later one; thin flows drawn as one."""
    table = _without_thin_flows(moves.table)
    origins = _ordered(table, "from", NOT_YET)
    goals = _ordered(table, "to", THIN, AWAY)
    source = {name: number for number, name in enumerate(origins)}
    target = {name: len(origins) + number for number, name in enumerate(goals)}
    flows = list(table.iter_rows())
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": [in_chart(name) for name in [*origins, *goals]],
                "color": [colours.get(name, theme.MUTED) for name in [*origins, *goals]],
                "pad": 13,
                "thickness": 10,
                "line": {"width": 0},
                "hovertemplate": "%{label}: %{value:,.0f}<extra></extra>",
            },
            link={
                "source": [source[start] for start, _, _ in flows],
                "target": [target[end] for _, end, _ in flows],
                "value": [count for _, _, count in flows],
                "color": [_flow_colour(start, end, colours) for start, end, _ in flows],
                "hovertemplate": "%{source.label} to %{target.label}: %{value:,.0f}<extra></extra>",
            },
            textfont={"size": drawing.SMALL_SIZE, "color": theme.INK, "shadow": "none"},
        )
    )
    kept = moves.kept
    title = (
        f"{formats.share(kept.value)} of those who bought in both windows keep their segment"
        if kept
        else "How customers move between segments"
    )
    spans = [f"{formats.date(span.first)} to {formats.date(span.last)}" for span in (moves.earlier, moves.later)]
    largest = flows[0]
    return drawing.finished(
        figure,
        title,
        f"Left: {spans[0]}; right: {spans[1]}. Strong: same segment; grey: no purchase in one window. Moves of "
        f"fewer than {formats.share(THINNEST)} of customers: {THIN.lower()}; "
        f"n = {formats.count(table['customers'].sum())} customers",
        height=470,
        alt=f"Sankey diagram of customers by segment in two windows, {spans[0]} and {spans[1]}. The largest flow is "
        f"{formats.count(largest[2])} customers from {largest[0]} to {largest[1]}.",
    )


def _flow_colour(start: str, end: str, colours: Mapping[str, str]) -> str:
    """That of the segment a flow comes from; grey where it comes from none, or leads to no purchase."""
    if end == AWAY:
        return drawing.sheer(theme.MUTED, DEPARTED)
    return drawing.sheer(colours.get(start, theme.MUTED), STAYED if start == end else MOVED)


def _without_thin_flows(table: pl.DataFrame) -> pl.DataFrame:
    """Flows by size; those to other segments that are too thin to be told apart are one for each origin."""
    thin = (pl.col("customers") < THINNEST * pl.col("customers").sum()) & (pl.col("from") != pl.col("to"))
    other = pl.when(thin & (pl.col("to") != AWAY)).then(pl.lit(THIN)).otherwise("to")
    drawn = table.with_columns(other.alias("to")).group_by("from", "to").agg(pl.col("customers").sum())
    return drawn.sort("customers", "from", "to", descending=True)


def _ordered(table: pl.DataFrame, column: str, *last: str) -> list[str]:
    """Names by size, those of `last` at the end."""
    sizes = table.group_by(column).agg(pl.col("customers").sum()).sort("customers", column, descending=True)
    return sorted(sizes[column].to_list(), key=lambda name: last.index(name) if name in last else -1)


def silhouettes(found: Clusters, formats: Formats) -> go.Figure:
    """Silhouette by number of clusters, against what data without clusters reach."""
    table = found.silhouettes.filter(pl.col("silhouette") > -1)
    low, high = found.structureless.interval or (0.0, 0.0)
    top = 1.15 * max(high, drawing.top(table["silhouette"]))
    values, texts = drawing.ticks(top, "number", formats)
    figure = go.Figure(
        go.Scatter(
            x=table["k"].to_list(),
            y=table["silhouette"].to_list(),
            mode="lines+markers",
            line={"color": theme.ORANGE, "width": 1.8},
            marker={"size": [11 if k == found.k else 7 for k in table["k"]], "color": theme.ORANGE},
            hovertext=[f"{k} clusters: {formats.value(value, 'number')}" for k, value in table.iter_rows()],
            hoverinfo="text",
        )
    )
    figure.add_hrect(y0=low, y1=high, line={"width": 0}, fillcolor=theme.MUTED, opacity=0.25, layer="below")
    figure.update_xaxes(
        tickvals=table["k"].to_list(),
        ticktext=list(map(str, table["k"])),
        showgrid=False,
        title=drawing.axis_title("Number of clusters"),
    )
    figure.update_yaxes(range=[0, top], tickvals=values, ticktext=texts, title=drawing.axis_title("Silhouette"))
    stand = "stand out" if found.real else "are there, but weak"
    title = f"{found.k} clusters {stand}" if found.there else "No number of clusters stands out"
    own = formats.value(found.silhouette.value, "number", found.silhouette.interval)
    chance = formats.value(found.structureless.value, "number", found.structureless.interval)
    return drawing.finished(
        figure,
        title,
        f"Silhouette (1: far apart); grey: best of data without clusters; n = {formats.count(found.silhouette.n)}, "
        "a sample of buyers",
        height=220,
        alt=f"Line chart of the silhouette by number of clusters. The best, {found.k}, reaches {own}; data without "
        f"clusters reach {chance}.",
    )


def profiles(found: Clusters, formats: Formats) -> go.Figure:
    """What sets the clusters apart: one row of bars a feature."""
    table = found.profiles.drop_nulls("customers")
    names = [f"Cluster {number}" for number in table["cluster"]][::-1]
    rows = {
        "Customers": ("customers", "count"),
        "Median days since the last order": ("median_recency", "count"),
        "Mean number of order days": ("mean_frequency", "number"),
        "Median spend a day": ("median_order_value", "currency"),
    }
    panel = drawing.ROW * len(names)
    figure = drawing.panels(len(rows), panel)
    spoken = []
    for row, (label, (column, unit)) in enumerate(rows.items(), start=1):
        values = table[column].to_list()[::-1]
        texts = [formats.value(value, unit) for value in values]
        spoken.append(f"{label}: {drawing.listed(names[::-1], texts[::-1])}")
        hover = [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]
        figure.add_trace(drawing.bar(values, names, theme.ORANGE, hover, texts), row=row, col=1)
        figure.update_xaxes(visible=False, range=[0, 1.3 * max(drawing.top(table[column]), 1e-9)], row=row)
        drawing.panel_title(figure, row, label)
    figure.update_yaxes(type="category", tickfont={"color": theme.INK}, showgrid=False)
    title = (
        f"What sets the {found.k} clusters apart" if found.there else f"The best cut into {found.k}, though not natural"
    )
    return drawing.finished(
        figure,
        title,
        f"Buyers with money left after returns; n = {formats.count(found.customers.height)} buyers",
        height=drawing.panels_height(len(rows), panel),
        alt=f"Bar charts of the clusters. {' '.join(spoken)}",
        gap=40,
    )
