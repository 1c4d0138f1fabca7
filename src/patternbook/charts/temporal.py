"""Charts of time: hours of the week, send windows, payday, days, months."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import plotly.graph_objects as go
import polars as pl

from patternbook import theme
from patternbook.analysis.payday import OddDays, Payday
from patternbook.analysis.temporal import GROUPINGS, WEEKDAYS, Months, Rhythm, Windows, window_name
from patternbook.charts import drawing
from patternbook.formats import Formats
from patternbook.markup import in_chart

WEEK_PANEL = 7 * 19  # pixels: a row a weekday
STRIP = 26  # pixels a group
PLOT = 240
MONTH_PANEL = 130
MONDAY = date(2024, 1, 1)  # any
HOUR_TICKS = (0, 6, 12, 18)
MEASURES = {
    "orders_a_day": ("Orders a day", "count"),
    "conversion": ("Directed buying: sessions with an order", "share"),
    "categories": ("Exploration: categories a customer", "number"),
}


def hours(table: pl.DataFrame, activity: Windows, data: Rhythm, formats: Formats) -> go.Figure:
    """Maps of the week: activity, conversion and revenue by hour and weekday; the darker, the more."""
    revenue = table["revenue"].cast(pl.Float64) / table["hours"]
    panels: list[tuple[str, pl.Series, str]] = [
        (f"{activity.what.capitalize()} against the average hour", table["rate"].round(2), "share")
    ]
    if "conversion" in table.columns and table["conversion"].null_count() < table.height:
        panels.append(("Conversion of sessions begun then", table["conversion"], "share"))
    if float(revenue.fill_null(0).sum()):
        panels.append(("Revenue an hour", revenue, "currency"))
    figure = drawing.panels(len(panels), WEEK_PANEL)
    names = _weekdays(formats)
    for row, (label, values, unit) in enumerate(panels, start=1):
        figure.add_trace(_week(values, unit, names, formats), row=row, col=1)
        drawing.panel_title(figure, row, f"{label}, {_span(values, unit, formats)}")
    for slot in range(activity.peak - data.width // 2, activity.peak + data.width // 2 + 1):
        _outline(figure, slot % 168, activity.peak, data.width)
    figure.update_yaxes(autorange="reversed", showgrid=False, tickvals=list(range(7)), ticktext=names)
    figure.update_xaxes(showgrid=False, tickvals=list(HOUR_TICKS), ticktext=[f"{hour:02d}:00" for hour in HOUR_TICKS])
    peak = window_name(activity.peak, data.width)
    rate = formats.value(float(activity.rate[activity.peak]), "factor")
    return drawing.finished(
        figure,
        f"{'Orders' if activity.what == 'orders' else 'Visits'} peak on {peak}",
        f"By hour of the week in the shop's local time; rates are those of the {data.width} hours around each; "
        "outlined: the peak; blank: too few to publish; "
        f"n = {formats.count(data.mart[activity.what].sum())} {activity.what}",
        height=drawing.panels_height(len(panels), WEEK_PANEL),
        alt=f"Heatmaps of the week by weekday and hour. {activity.what.capitalize()} peak on {peak} at {rate} the "
        f"average hour. " + " ".join(f"{label}: {_span(values, unit, formats)}." for label, values, unit in panels),
        gap=34,
    )


def _span(values: pl.Series, unit: str, formats: Formats) -> str:
    """The least and the most."""
    return " to ".join(formats.value(end, unit) for end in (drawing.bottom(values), drawing.top(values)))


def _week(values: pl.Series, unit: str, names: Sequence[str], formats: Formats) -> go.Heatmap:
    cells = values.cast(pl.Float64).to_list()
    return go.Heatmap(
        x=list(range(24)),
        y=list(range(7)),
        z=[cells[day * 24 : day * 24 + 24] for day in range(7)],
        hovertext=[
            [
                f"{names[day]} {hour:02d}:00: {formats.value(cells[day * 24 + hour], unit)}"
                if cells[day * 24 + hour] is not None
                else f"{names[day]} {hour:02d}:00: too few to publish"
                for hour in range(24)
            ]
            for day in range(7)
        ],
        hoverinfo="text",
        colorscale=drawing.SCALE,
        xgap=1,
        ygap=1,
        showscale=False,
    )


def _outline(figure: go.Figure, slot: int, peak: int, width: int) -> None:
    """A hair line around an hour of the peak, open towards the hours beside it."""
    day, hour = divmod(slot, 24)
    first, last = (peak - width // 2) % 168, (peak + width // 2) % 168
    sides = [((hour - 0.5, day + edge), (hour + 0.5, day + edge)) for edge in (-0.5, 0.5)]
    sides += [((hour - 0.5, day - 0.5), (hour - 0.5, day + 0.5))] if slot == first else []
    sides += [((hour + 0.5, day - 0.5), (hour + 0.5, day + 0.5))] if slot == last else []
    for (x0, y0), (x1, y1) in sides:
        figure.add_shape(
            type="line", x0=x0, y0=y0, x1=x1, y1=y1, line={"color": theme.ORANGE, "width": 2}, row=1, col=1
        )


def send_windows(calendar: pl.DataFrame, width: int, formats: Formats) -> go.Figure:
    """The hours of the week that convert above the rest, a strip a group."""
    names = [
        "All customers" if grouping == GROUPINGS["all"] else group
        for grouping, group in calendar.select("grouping", "group").iter_rows()
    ]
    days = _weekdays(formats)
    flags = np.zeros((calendar.height, 168))
    for row, slots in enumerate(calendar["slots"]):
        flags[row, slots.to_numpy() if isinstance(slots, pl.Series) else list(slots)] = 1
    figure = go.Figure(
        go.Heatmap(
            x=list(range(168)),
            y=list(range(len(names))),
            z=flags.tolist(),
            zmin=0,
            zmax=1,
            colorscale=[[0, theme.WASH], [1, theme.GREEN]],
            hovertext=[
                [f"{in_chart(name)}, {days[slot // 24]} {slot % 24:02d}:00" for slot in range(168)] for name in names
            ],
            hoverinfo="text",
            ygap=4,
            showscale=False,
        )
    )
    for day in range(1, 7):
        figure.add_vline(day * 24 - 0.5, line={"color": theme.PAPER, "width": 3})
    figure.update_xaxes(showgrid=False, tickvals=[24 * day + 11.5 for day in range(7)], ticktext=days, tickangle=0)
    figure.update_yaxes(
        autorange="reversed",
        showgrid=False,
        tickvals=list(range(len(names))),
        ticktext=list(map(drawing.short, names)),
        tickfont={"color": theme.INK},
    )
    every = calendar.filter(pl.col("grouping") == GROUPINGS["all"])
    found = calendar.filter(pl.col("hours") > 0).height
    return drawing.finished(
        figure,
        "Hours that convert above the rest of the week" if found else "No hour converts reliably above the rest",
        f"{drawing.coloured('Green', theme.GREEN)}: hours around which ({width} hours) conversion is "
        "reliably above that of the rest of the group's week; "
        f"n = {formats.count(every['sessions'].sum())} sessions",
        height=STRIP * len(names) + 10,
        alt="Calendar of the week by group of customers. "
        + drawing.listed(names, [windows or "none" for windows in calendar["windows"]]),
    )


def payday(found: Payday, formats: Formats) -> go.Figure:
    """Counts by day of the month against those off payday, weekday and trend held fixed."""
    figure = go.Figure()
    for on, colour in ((False, theme.BLUE), (True, theme.ORANGE)):
        own = found.by_day.filter(pl.col("payday") == on)
        value, low, high = (own[name].to_list() for name in ("factor", "low", "high"))
        figure.add_trace(
            go.Scatter(
                x=own["day"].to_list(),
                y=value,
                mode="markers",
                marker={"size": 7, "color": colour},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [end - middle for end, middle in zip(high, value, strict=True)],
                    "arrayminus": [middle - end for end, middle in zip(low, value, strict=True)],
                    "color": colour,
                    "thickness": 1.5,
                    "width": 0,
                },
                hovertext=[
                    f"day {day}: {formats.value(middle, 'factor', ends)}"
                    for day, middle, ends in zip(own["day"], value, zip(low, high, strict=True), strict=True)
                ],
                hoverinfo="text",
            )
        )
    bottom, top = drawing.bottom(found.by_day["low"]), drawing.top(found.by_day["high"])
    values, texts = drawing.ticks(top, "factor", formats, bottom)
    figure.add_hline(1, line={"color": theme.MUTED, "width": 1, "dash": "dot"})
    figure.update_yaxes(tickvals=values, ticktext=texts)
    figure.update_xaxes(
        showgrid=False, tickvals=[1, 5, 10, 15, 20, 25, 31], title=drawing.axis_title("Day of the month")
    )
    effect = formats.value(found.effect.value, "factor", found.effect.interval)
    return drawing.finished(
        figure,
        f"Around payday, {effect} as many {found.what}",
        f"{found.what.capitalize()} by day of the month against those off payday, weekday and trend held fixed, with "
        f"95% intervals; {drawing.coloured('payday', theme.ORANGE)}; n = {formats.count(found.days)} days",
        height=PLOT,
        alt=f"Dot chart of {found.what} by day of the month against those off payday. Payday effect {effect}.",
    )


def days(found: OddDays, formats: Formats) -> go.Figure:
    """Counts by day, what weekday, trend and payday expect, and the days that stand out."""
    table, odd = found.table, found.odd.drop_nulls("count")
    at = table["day"].to_list()
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=at,
            y=table["count"].to_list(),
            mode="lines",
            line={"color": theme.SKY, "width": 1},
            hovertext=[
                f"{drawing.moment(day, formats)}: {formats.count(count)}"
                for day, count in table.select("day", "count").iter_rows()
            ],
            hoverinfo="text",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=at,
            y=table["expected"].to_list(),
            mode="lines",
            line={"color": theme.MUTED, "width": 1.2},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=odd["day"].to_list(),
            y=odd["count"].to_list(),
            mode="markers",
            marker={"size": 9, "color": theme.RED},
            hovertext=[
                f"{drawing.moment(day, formats)}: {formats.count(count)}, {formats.count(expected)} expected"
                for day, count, expected in odd.select("day", "count", "expected").iter_rows()
            ],
            hoverinfo="text",
        )
    )
    top = max(drawing.top(table["count"]), drawing.top(table["expected"]))
    values, texts = drawing.ticks(top, "count", formats)
    figure.update_yaxes(tickvals=values, ticktext=texts, range=[0, 1.06 * top])
    figure.update_yaxes(title=drawing.axis_title(f"{found.what.capitalize()} a day"))
    whole = [at[0] + timedelta(days=k) for k in range((at[-1] - at[0]).days + 1)]
    ticked, labels = drawing.time_ticks(whole, "day", formats)
    figure.update_xaxes(showgrid=False, tickvals=ticked, ticktext=labels)
    count = found.odd.height
    noun = "day stands" if count == 1 else "days stand"
    return drawing.finished(
        figure,
        f"{formats.count(count)} {noun} out of weekday, trend and payday" if count else "No day stands out",
        f"{drawing.coloured(found.what.capitalize() + ' by day', theme.SKY)} and what weekday, trend and "
        f"payday lead to expect; {drawing.coloured('odd days', theme.RED)} (at most "
        f"{formats.share(found.rate)} of them by chance); n = {formats.count(table.height)} days",
        height=PLOT,
        alt=f"Line chart of {found.what} by day with the expected course; {formats.count(count)} are marked as odd.",
    )


def months(found: Months, formats: Formats) -> go.Figure:
    """Orders a day, directed buying and exploration by month; months that differ from the one before are filled."""
    table = found.table
    figure = drawing.panels(len(found.measures), MONTH_PANEL)
    at = table["month"].to_list()
    for row, name in enumerate(found.measures, start=1):
        label, unit = MEASURES[name]
        value, low, high = (table[f"{name}{end}"].to_list() for end in ("", "_low", "_high"))
        shifted = table[f"{name}_shifted"].fill_null(False).to_list()
        figure.add_trace(
            go.Scatter(
                x=at,
                y=value,
                mode="lines+markers",
                line={"color": theme.BLUE, "width": 1.2},
                marker={
                    "size": 8,
                    "color": [theme.ORANGE if flag else theme.PAPER for flag in shifted],
                    "line": {"width": 1.6, "color": [theme.ORANGE if flag else theme.BLUE for flag in shifted]},
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [end - middle for end, middle in zip(high, value, strict=True)],
                    "arrayminus": [middle - end for end, middle in zip(low, value, strict=True)],
                    "color": theme.BLUE,
                    "thickness": 1.2,
                    "width": 0,
                },
                hovertext=[
                    f"{formats.date(month, 'yMMM')}: {formats.value(middle, unit, ends)}"
                    for month, middle, ends in zip(at, value, zip(low, high, strict=True), strict=True)
                ],
                hoverinfo="text",
            ),
            row=row,
            col=1,
        )
        bottom, top = drawing.bottom(table[f"{name}_low"]), drawing.top(table[f"{name}_high"])
        values, texts = drawing.ticks(top, unit, formats, bottom)
        figure.update_yaxes(tickvals=values, ticktext=texts, row=row)
        drawing.panel_title(figure, row, label)
    ticked, labels = drawing.time_ticks(at, "day", formats)
    figure.update_xaxes(showgrid=False, tickvals=ticked, ticktext=labels)
    changed = sum(int(table[f"{name}_shifted"].sum()) for name in found.measures)
    return drawing.finished(
        figure,
        f"{formats.count(changed)} reliable {'change' if changed == 1 else 'changes'} from month to month"
        if changed
        else "No reliable change from month to month",
        f"Whole months with 95% intervals; {drawing.coloured('filled', theme.ORANGE)}: differs reliably "
        f"from the month before; n = {formats.count(table.height)} months",
        height=drawing.panels_height(len(found.measures), MONTH_PANEL),
        alt=f"Line charts by month of {', '.join(MEASURES[name][0].lower() for name in found.measures)}; "
        f"{formats.count(changed)} changes on the month before are marked.",
        gap=34,
    )


def _weekdays(formats: Formats) -> list[str]:
    """Short names of the weekdays from Monday on, in the run's locale."""
    return [formats.date(MONDAY + timedelta(days=day), "E") for day in range(len(WEEKDAYS))]
