"""Charts of sessions: their funnel, groups, what becomes of carts, signals."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis import intervals
from patternbook.analysis.abandonment import ORDERED, OTHER, SAME, Carts
from patternbook.analysis.funnel import Published
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.sessions import GROUPINGS, Groups, Sessions
from patternbook.analysis.signals import Signals, most_telling, named
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

SANKEY = 300  # pixels
GROUP_ROW = 24
MARK = {1: theme.GREEN, 0: theme.BLUE, -1: theme.RED, None: theme.BLUE}
FATE_COLOURS = {ORDERED: theme.GREEN, SAME: theme.GREEN, OTHER: theme.SKY}


def funnel(found: Sessions, formats: Formats) -> go.Figure:
    """How many sessions reach each step, with the rate from the step before."""
    counts = found.counts
    steps: list[tuple[str, str, str | None, str]] = [
        ("Sessions", "sessions", None, ""),
        ("With a view", "viewing", None, ""),
        ("With a view, then a cart", "viewing_to_cart", "view_to_cart", "of those with a view"),
        ("With a cart, then a purchase", "carting_to_purchase", "cart_to_purchase", "of those with a cart"),
        ("With a purchase, cart or not", "buying", "conversion", "of all"),
    ]
    shown = [step for step in steps if step[2] is None or step[2] in found.rates]
    labels = [label for label, *_ in shown]
    texts = []
    for _, column, rate, base in shown:
        estimate = found.rates.get(rate) if rate else None
        more = f" · {formats.share(estimate.value, estimate.interval)} {base}" if estimate else ""
        texts.append(f"{formats.count(counts[column])}{more}")
    whole = counts["sessions"]
    bounds = [intervals.share(counts[column], whole) if rate else None for _, column, rate, _ in shown]
    figure = go.Figure()
    drawing.labelled_bars(
        figure,
        labels,
        [counts[column] / whole for _, column, _, _ in shown],
        texts,
        [theme.GREEN if rate == "conversion" else theme.BLUE for _, _, rate, _ in shown],
        [bound.interval if bound else None for bound in bounds],
    )
    figure.update_xaxes(visible=False, range=[0, 1.02])
    conversion = found.rates.get("conversion")
    return drawing.finished(
        figure,
        f"{formats.share(conversion.value)} of sessions end with a purchase" if conversion else "Sessions by step",
        "Sessions by step, as a share of all; intervals of the rates by cluster of customers; "
        f"n = {formats.count(whole)} sessions",
        height=drawing.LABELLED_ROW * len(labels),
        alt=f"Funnel by session as a bar chart. {drawing.listed(labels, texts)}",
    )


def groups(found: Groups, overall: Sessions, formats: Formats) -> go.Figure:
    """Conversion of sessions by group; see `_groups`."""
    n = f"n = {formats.count(overall.counts['sessions'])} sessions"
    return _groups(found, overall.rates.get("conversion"), "sessions", "Sessions with a purchase", n, formats)


def customer_groups(found: Groups, overall: Published, formats: Formats) -> go.Figure:
    """Conversion of customers by group; see `_groups`."""
    n = f"n = {formats.count(overall.funnel.visitors)} customers, who may be in several groups"
    return _groups(found, overall.rate("conversion"), "customers", "Customers who buy in the group", n, formats)


def _groups(found: Groups, everyone: Estimate | None, of: str, what: str, n: str, formats: Formats) -> go.Figure:
    """Conversion by group, under the name of each grouping; groups that reliably differ from the others are coloured.

    The dotted line is the conversion of all; products of one category or price are but a part of what they do.
    """
    shown = found.table.drop_nulls("conversion")
    figure = go.Figure()
    ticked: list[tuple[int, str]] = []
    at = 0
    for (grouping,), own in shown.group_by("grouping", maintain_order=True):
        drawing.annotate(figure, f"<b>{grouping}</b>", x=0, y=at, xref="paper", xanchor="left", colour=theme.INK)
        rows = list(range(at + 1, at + 1 + own.height))
        _dots(figure, rows, own, formats)
        if everyone and grouping not in (GROUPINGS["category"], GROUPINGS["price"]):
            figure.add_shape(
                type="line",
                x0=everyone.value,
                x1=everyone.value,
                y0=at + 0.6,
                y1=at + own.height + 0.4,
                line={"color": theme.MUTED, "width": 1, "dash": "dot"},
            )
        ticked += list(zip(rows, map(drawing.short, own["group"]), strict=True))
        at += own.height + 1
    low, high = drawing.bottom(shown["conversion_low"]), drawing.top(shown["conversion_high"])
    values, texts = drawing.ticks(high, "share", formats, low)
    figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], tickvals=values, ticktext=texts)
    figure.update_yaxes(
        range=[at - 0.4, -0.6],
        tickvals=[row for row, _ in ticked],
        ticktext=[name for _, name in ticked],
        tickfont={"color": theme.INK},
        showgrid=False,
    )
    differing = int((shown["differs"].fill_null(0) != 0).sum())
    noun = f"group of {of} differs" if differing == 1 else f"groups of {of} differ"
    return drawing.finished(
        figure,
        f"{formats.count(differing)} {noun} reliably in conversion"
        if differing
        else f"No group of {of} differs reliably in conversion",
        f"{what}, with 95% intervals; reliably "
        f"{drawing.coloured('above', theme.GREEN)} or "
        f"{drawing.coloured('below', theme.RED)} the other groups; dotted: all {of}; {n}",
        height=GROUP_ROW * at,
        alt=f"Dot chart of conversion by group of {of}. "
        + drawing.listed(shown["group"].to_list(), [formats.share(value) for value in shown["conversion"]]),
        right=56,
    )


def carts(found: Carts, formats: Formats) -> go.Figure:
    """What becomes of carts, as flows."""
    flows = found.flows
    fates = flows["fate"].to_list()
    ordered = int(flows.filter(pl.col("fate") == ORDERED)["carts"].sum())
    later = [fate for fate in fates if fate != ORDERED]
    gone = found.carts - ordered
    names = ["Carts", *([ORDERED.capitalize()] if ordered else []), "Abandoned", *(fate.capitalize() for fate in later)]
    abandoned = names.index("Abandoned")
    counts = dict(flows.select("fate", "carts").iter_rows())
    links = [(0, 1, ordered, FATE_COLOURS[ORDERED])] if ordered else []
    links += [(0, abandoned, gone, theme.RED)]
    links += [
        (abandoned, abandoned + k, counts[fate], FATE_COLOURS.get(fate, theme.MUTED))
        for k, fate in enumerate(later, start=1)
    ]
    sizes = [found.carts, *([ordered] if ordered else []), gone, *(counts[fate] for fate in later)]
    breaks = ["<br>" if k == abandoned else " " for k in range(len(names))]  # in the middle a telephone has little room
    labels = [
        f"{name}<br>{formats.count(size)}{space}({formats.tenths(size / found.carts)})"
        for name, size, space in zip(names, sizes, breaks, strict=True)
    ]
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            node={
                "label": labels,
                "color": [theme.INK, *([theme.GREEN] if ordered else []), theme.RED]
                + [FATE_COLOURS.get(fate, theme.MUTED) for fate in later],
                "pad": 26,
                "thickness": 10,
                "line": {"width": 0},
                "hovertemplate": "%{label}<extra></extra>",
            },
            link={
                "source": [source for source, *_ in links],
                "target": [target for _, target, *_ in links],
                "value": [value for _, _, value, _ in links],
                "color": [drawing.sheer(colour, 0.25) for *_, colour in links],
                "hovertemplate": "%{value:,.0f} carts<extra></extra>",
            },
            textfont={"size": drawing.SMALL_SIZE, "color": theme.INK},
        )
    )
    share = formats.share(found.abandonment.value, found.abandonment.interval) if found.abandonment else ""
    return drawing.finished(
        figure,
        f"{share} of carts are abandoned",
        "What becomes of a session with a cart, within the data; bought later: a product of the cart, by the same "
        f"customer; other order: of something else; n = {formats.count(found.carts)} carts",
        height=SANKEY,
        alt="Sankey diagram of what becomes of carts. "
        + drawing.listed(fates, [formats.count(counts[fate]) for fate in fates]),
    )


def signals(found: Signals, formats: Formats) -> go.Figure:
    """Odds ratios of the signals on a logarithmic axis; those that are part of the purchase are marked."""
    table = found.table.drop_nulls("odds_ratio").reverse()
    colours = [
        theme.ORANGE if leak else theme.BLUE if told else theme.MUTED
        for leak, told in table.select("leak", "told").iter_rows()
    ]
    names = named(table)
    value, low, high = (table[name].to_list() for name in ("odds_ratio", "odds_ratio_low", "odds_ratio_high"))
    rows = list(range(len(names)))
    figure = go.Figure(
        go.Scatter(
            x=value,
            y=rows,
            mode="markers",
            marker={"size": 9, "color": colours},
            hovertext=[
                f"{in_chart(name)}: {formats.value(odds, 'factor', ends)}"
                for name, odds, ends in zip(names, value, zip(low, high, strict=True), strict=True)
            ],
            hoverinfo="text",
        )
    )
    for row, ends in enumerate(zip(low, high, strict=True)):
        figure.add_shape(
            type="line", x0=ends[0], x1=ends[1], y0=row, y1=row, line={"color": colours[row], "width": 1.6}
        )
    for row, odds in enumerate(value):
        text = formats.value(odds, "factor")
        drawing.annotate(figure, text, x=1, y=row, xref="paper", xanchor="left", xshift=6, colour=theme.INK)
    figure.add_vline(1, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
    first, last = math.floor(math.log10(min(low))), math.ceil(math.log10(max(high)))
    ticked = [10.0**power for power in range(first, last + 1)]
    figure.update_xaxes(
        type="log",
        range=[math.log10(min(low)) - 0.1, math.log10(max(high)) + 0.1],
        tickvals=ticked,
        ticktext=[f"{tick:g}×" for tick in ticked],
    )
    figure.update_yaxes(
        tickvals=rows,
        ticktext=list(map(drawing.short, names)),
        tickfont={"color": theme.INK},
        showgrid=False,
        range=[-0.6, len(names) - 0.4],
    )
    best = most_telling(found)
    title = f"{best['signal']} tells a buyer most" if best else "Nothing early tells a buyer reliably"
    return drawing.finished(
        figure,
        title,
        "Odds of an order with the signal against those without, with 95% intervals by cluster of customers; "
        f"{drawing.coloured('part of the purchase itself', theme.ORANGE)}; "
        f"{drawing.coloured('no reliable difference', theme.MUTED)}; n = {formats.count(found.sessions)} sessions",
        height=drawing.ROW * len(names),
        alt="Dot chart of odds ratios of signals. "
        + drawing.listed(names[::-1], [formats.value(odds, "factor") for odds in value[::-1]]),
        right=64,
    )


def _dots(figure: go.Figure, rows: list[int], table: pl.DataFrame, formats: Formats) -> None:
    """Conversion with intervals, coloured by `differs`, and written at the right."""
    colours = [MARK[sign] for sign in table["differs"]]
    told = table.select("group", "conversion", "conversion_low", "conversion_high").iter_rows()
    for row, colour, (group, value, low, high) in zip(rows, colours, told, strict=True):
        figure.add_trace(
            go.Scatter(
                x=[low, value, high],
                y=[row] * 3,
                mode="lines+markers",
                line={"color": colour, "width": 1.6},
                marker={"size": [0, 8, 0], "color": colour, "opacity": [0, 1, 0]},
                hovertext=f"{in_chart(group)}: {formats.share(value, (low, high))}",
                hoverinfo="text",
            )
        )
        drawing.annotate(
            figure, formats.share(value), x=1, y=row, xref="paper", xanchor="left", xshift=6, colour=theme.INK
        )
