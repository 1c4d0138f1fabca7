"""Charts of what is bought together."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from patternbook import theme
from patternbook.analysis.pairs import PLURAL, Pairs, named
from patternbook.analysis.recommendations import OWN, TOP, Check
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

CELLS = 9  # items of a heatmap; more cannot be read on a telephone
CELL = 34  # pixels high
NAME_WIDTH, NAME_LINES = 17, 2  # characters a line of a name, and lines
PALE = 1.8  # the scale goes on beyond the strongest cell, so that dark text can be read on each
NODES = 16  # items of the network; more leave no room for names
NODE_SIZE, NAME_HEIGHT = 11, 46  # of a node's name: size of its letters, and pixels that its lines take
BESIDE, RING = 4, 44  # linked items that share a row with others, and pixels of a ring's height for two of them
MOST_POINTS = 1500  # of each colour; more make the page heavy, and hide each other


def heatmap(pairs: Pairs, names: pl.DataFrame, formats: Formats) -> go.Figure:
    """Lift of the leading items with each other, coloured where the pair is kept."""
    items = _leading(named(pairs, names), CELLS)
    order = list(items)
    seen = {(row["item_a"], row["item_b"]): row for row in named(pairs, names, kept_only=False).iter_rows(named=True)}
    cells = [
        [
            seen.get((own, other)) or seen.get((other, own)) if column <= row else None
            for column, other in enumerate(order[:-1])
        ]
        for row, own in enumerate(order[1:])
    ]
    strength = [[math.log(cell["lift"]) if cell and cell["kept"] else None for cell in row] for row in cells]
    figure = go.Figure(
        go.Heatmap(
            x=list(range(1, len(order))),
            y=list(range(2, len(order) + 1)),
            z=strength,
            hovertext=[[_told(cell, formats) if cell else "" for cell in row] for row in cells],
            hoverinfo="text",
            colorscale=drawing.SCALE,
            zmin=0,
            zmax=PALE * max(value for row in strength for value in row if value is not None),
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    for row, own in enumerate(cells, start=2):
        for column, cell in enumerate(own, start=1):
            if cell:
                colour = theme.INK if cell["kept"] else theme.MUTED
                drawing.annotate(
                    figure, _times(cell["lift"], formats), x=column, y=row, xanchor="center", colour=colour
                )
    labels = [f"{number}  {_lines(name, NAME_WIDTH)}" for number, name in enumerate(items.values(), start=1)]
    columns, rows = list(range(1, len(order))), list(range(2, len(order) + 1))
    figure.update_xaxes(tickvals=columns, ticktext=list(map(str, columns)), showgrid=False)
    figure.update_xaxes(title=drawing.axis_title("Numbered as at the left"))
    figure.update_yaxes(tickvals=rows, ticktext=labels[1:], autorange="reversed", showgrid=False)
    best = pairs.kept.row(0, named=True)
    many = PLURAL[pairs.level]
    return drawing.finished(
        figure,
        f"The leading two {many} share a basket {formats.value(best['lift'], 'factor')} as often as by chance",
        f"Lift of the {many} of the leading pairs; coloured: reliably above one; blank: seen too seldom. "
        f"Column 1 is {in_chart(items[order[0]])}; n = {formats.count(pairs.baskets)} baskets",
        height=CELL * (len(order) - 1) + 10,
        alt=f"Heatmap of lift between {len(order)} {many}. The leading pair is {items[best['item_a']]} with "
        f"{items[best['item_b']]}, lift {formats.value(best['lift'], 'factor')}.",
    )


def network(pairs: Pairs, names: pl.DataFrame, formats: Formats) -> go.Figure:
    """The leading pairs as lines between items; the wider, the higher the shrunk lift."""
    titles = _leading(named(pairs, names), NODES)
    order = list(titles)
    number = pl.Series(range(len(order)), dtype=pl.Int64)
    table = named(pairs, names).filter(pl.col("item_a").is_in(order) & pl.col("item_b").is_in(order))
    ends = table.select(pl.col("item_a", "item_b").replace_strict(order, number)).to_numpy()
    place, height = _places(len(order), ends)
    strength = np.log(table["lift_shrunk"].to_numpy())
    figure = go.Figure()
    for (a, b), width in zip(ends, 1 + 4 * strength / strength.max(), strict=True):
        figure.add_trace(
            go.Scatter(
                x=place[[a, b], 0],
                y=place[[a, b], 1],
                mode="lines",
                line={"color": theme.BLUE, "width": width},
                opacity=0.4,
                hoverinfo="skip",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=place[:, 0],
            y=place[:, 1],
            mode="markers",
            marker={"size": 10, "color": theme.BLUE, "line": {"color": theme.PAPER, "width": 1.5}},
            hovertext=[in_chart(titles[item]) for item in order],
            hoverinfo="text",
        )
    )
    for item, (x, y, above) in zip(order, place, strict=True):
        figure.add_annotation(
            x=x,
            y=y,
            text=_lines(titles[item], NAME_WIDTH),
            showarrow=False,
            yanchor="bottom" if above else "top",
            yshift=5 if above else -5,
            font={"size": NODE_SIZE, "color": theme.INK},
        )
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(visible=False, range=[height, 0])
    texts = [formats.value(lift, "factor") for lift in table["lift"]]
    pair_names = [f"{a} with {b}" for a, b in table.select("name_a", "name_b").iter_rows()]
    many = PLURAL[pairs.level]
    return drawing.finished(
        figure,
        f"The {len(pair_names)} leading links between {many}" if len(pair_names) > 1 else f"One link between {many}",
        "A line: bought together more often than by chance; the wider, the higher the lift, shrunk for small counts; "
        f"n = {formats.count(pairs.baskets)} baskets",
        height=height,
        gap=4,
        alt=f"Network of {many}. {drawing.listed(pair_names, texts)}",
    )


def _places(nodes: int, ends: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], int]:
    """Place of each node (x from 0 to 1, y in pixels downward, 1 where its name stands above it), and the height.

    Nodes that are linked stand on one ring, a ring of few beside another.
    """
    graph = sparse.csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (nodes, nodes))
    count, component = connected_components(graph, directed=False)
    sizes = np.bincount(component, minlength=count)
    place = np.zeros((nodes, 3))
    top, half_row = 0.0, 0.0  # where the row begins, and how high it is where its left half is taken
    for own in np.argsort(-sizes, kind="stable"):
        size = int(sizes[own])
        small = size <= BESIDE
        reach = RING * (1 if size == 2 else math.ceil(size / 2))
        angle = 2 * np.pi * np.arange(size) / size
        radius = (0.13 if small else 0.34) * (size > 2)
        left = 0.5 if not small else 0.75 if half_row else 0.25
        up = np.cos(angle)
        members = np.flatnonzero(component == own)
        place[members, 0] = left + radius * np.sin(angle)
        place[members, 1] = top + NAME_HEIGHT + reach * (1 - up) / 2
        place[members, 2] = up > -1e-9
        whole = reach + 2 * NAME_HEIGHT
        if small and not half_row:
            half_row = whole
        else:
            top, half_row = top + max(whole, half_row), 0.0
    return place, round(top + half_row)


def lift_against_support(pairs: Pairs, names: pl.DataFrame, formats: Formats) -> go.Figure:
    """Each pair by the baskets that hold both and by its lift."""
    figure = go.Figure()
    table = named(pairs, names, kept_only=False)
    for kept, colour, opacity in ((False, theme.MUTED, 0.35), (True, theme.BLUE, 0.6)):
        own = table.filter(pl.col("kept") == kept)
        own = own.gather_every(math.ceil(own.height / MOST_POINTS)) if own.height else own
        figure.add_trace(
            go.Scatter(
                x=own["baskets"],
                y=own["lift"],
                mode="markers",
                marker={"color": colour, "size": 6, "opacity": opacity},
                hovertext=[_told(row, formats) for row in own.iter_rows(named=True)],
                hoverinfo="text",
            )
        )
    figure.add_hline(y=1, line={"color": theme.INK, "width": 1, "dash": "dot"})
    for update, column in ((figure.update_xaxes, "baskets"), (figure.update_yaxes, "lift")):
        values = _decades(table[column].extend_constant(1.0, 1) if column == "lift" else table[column])
        write = formats.count if column == "baskets" else lambda value: f"{_times(value, formats)}×"
        update(type="log", tickvals=values, ticktext=[write(value) for value in values])
    figure.update_xaxes(title=drawing.axis_title("Baskets with both"))
    figure.update_yaxes(title=drawing.axis_title("Lift"))
    many = PLURAL[pairs.level]
    held_up = pairs.kept.height
    shown = sum(len(trace.x) for trace in figure.data)
    sampled = f"; {formats.count(shown)} of {formats.count(table.height)} drawn" if shown < table.height else ""
    blue = drawing.coloured("blue", theme.BLUE)
    return drawing.finished(
        figure,
        f"{formats.count(held_up)} of {formats.count(pairs.tested)} pairs of {many} hold up",
        f"Each point a pair seen together often enough; {blue}: reliably more than by chance{sampled}; "
        f"n = {formats.count(pairs.baskets)} baskets",
        height=320,
        alt=f"Scatter of {formats.count(shown)} pairs of {many}, lift against baskets with both. "
        f"{formats.count(held_up)} are reliably bought together.",
    )


def recommendations(checked: Check, formats: Formats) -> go.Figure:
    """Hit rate beside a product, ours and by the simpler methods, with intervals."""
    rows = checked.table.filter(pl.col("task") == "product").sort("hit_rate", descending=True, maintain_order=True)
    ends = list(rows.select("hit_rate_low", "hit_rate_high").iter_rows())
    texts = [formats.share(rate, interval) for rate, interval in zip(rows["hit_rate"], ends, strict=True)]
    names = [name.capitalize() for name in rows["method"]]
    figure = go.Figure()
    colours = [theme.BLUE if name == OWN else theme.MUTED for name in rows["method"]]
    known = [None if low is None else (low, high) for low, high in ends]
    drawing.labelled_bars(figure, names, rows["hit_rate"].to_list(), texts, colours, known)
    most = max(drawing.top(rows["hit_rate_high"]), drawing.top(rows["hit_rate"]))
    values, ticks = drawing.ticks(most, "share", formats)
    figure.update_xaxes(tickvals=values, ticktext=ticks, range=[0, 1.05 * most or 1])
    ours = texts[rows["method"].to_list().index(OWN)].split(" ")[0]
    return drawing.finished(
        figure,
        f"In {ours} of later baskets, {TOP} recommendations beside a product hit",
        f"Share of baskets in which one of the {TOP} is bought as well, with 95% intervals by customer; checked on "
        f"n = {formats.count(rows['queries'][0])} products in baskets after {formats.date(checked.cutoff)}",
        height=drawing.LABELLED_ROW * rows.height,
        alt=f"Bars of hit rates by method. {drawing.listed(names, texts)}",
    )


def _decades(values: pl.Series) -> list[float]:
    """Powers of ten, with steps between where they are few, from the smallest value to the largest."""
    low, high = drawing.bottom(values), drawing.top(values)
    steps = (1, 2, 5) if high / low < 50 else (1, 3) if high / low < 1000 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if 0.9 * low <= step * 10.0**power <= 1.1 * high]


def _leading(table: pl.DataFrame, most: int) -> dict[str, str]:
    """Items and names of the leading pairs, at most `most` of them."""
    items: dict[str, str] = {}
    for a, name_a, b, name_b in table.select("item_a", "name_a", "item_b", "name_b").iter_rows():
        if len(items.keys() | {a, b}) > most:
            break
        items |= {a: name_a, b: name_b}
    return items


def _told(row: dict[str, object], formats: Formats) -> str:
    low, high = row["low"], row["high"]
    interval = None if low is None or high is None else (float(str(low)), float(str(high)))
    return (
        f"{in_chart(str(row['name_a']))}<br>{in_chart(str(row['name_b']))}<br>{formats.count(row['baskets'])} baskets, "
        f"lift {formats.value(row['lift'], 'factor', interval)}"
    )


def _times(lift: float, formats: Formats) -> str:
    """A lift in few characters: 0.4, 7.2, 88."""
    tenths = formats.value(lift, "number", (lift - 0.4, lift + 0.4)).split(" ")[0]
    return formats.count(round(lift)) if lift >= 10 or lift % 1 == 0 else tenths


def _lines(name: str, width: int) -> str:
    """A name in at most two short lines, cut where it is longer."""
    return "<br>".join(in_chart(line) for line in textwrap.wrap(name, width, max_lines=NAME_LINES, placeholder=" …"))
