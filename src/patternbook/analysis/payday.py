"""Orders by day: how many more around payday, and the days that stand out of weekday, trend and payday."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control, norm

from patternbook.analysis import dailymodel
from patternbook.analysis.dailymodel import Floats
from patternbook.analysis.intervals import CONFIDENCE, Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.period import Period
from patternbook.analysis.suppression import behind, hidden
from patternbook.formats import Formats

SHORTEST = 60  # whole days: two paydays, and what lies between
FEWEST = 100  # orders (or sessions)
COLUMN = 1  # of the design: payday


class Series(NamedTuple):
    """Whole days on which anything happened, and how many `what` (orders, else sessions) there were.

    `table` has day, count, people (who placed the orders, or came). `closed` whole days without any event are not in
    it: the shop was shut, or the log has a hole. Nor are weekdays that never had any `what`.
    """

    table: pl.DataFrame
    what: str
    closed: int


class Payday(NamedTuple):
    """`effect` of payday: orders then ÷ orders on other days of the same weekday and time.

    `by_day` has a row a day of the month: day, factor (against days off payday) with low and high, days, payday.
    """

    effect: Estimate
    by_day: pl.DataFrame
    what: str
    days: int


class OddDays(NamedTuple):
    """Whole days with what was to be expected of them. `table`: day, count, expected, factor, p, odd.

    Counts of days with few people, and what would give them away, are null. `rate` is the share of false alarms among
    the odd ones.
    """

    table: pl.DataFrame
    what: str
    rate: float

    @property
    def odd(self) -> pl.DataFrame:
        """The days that stand out, the oddest first."""
        return self.table.filter("odd").sort("p", "day", nulls_last=True)


def series(daily: pl.DataFrame, data: Period | LeftOut) -> Series | LeftOut:
    """Orders by whole day; sessions where there is no order."""
    if isinstance(data, LeftOut):
        return data
    what = "orders" if int(daily["orders"].sum()) else "sessions"
    whole = daily.filter(pl.col("day").is_between(data.first, data.last)).sort("day")
    never = (pl.col(what).sum() == 0).over(pl.col("day").dt.weekday())
    people = behind(whole["orders"], whole["buyers"]) if what == "orders" else whole["customers"]
    counted = (
        whole.with_columns(pl.Series("people", people))
        .filter(~never)
        .select("day", pl.col(what).cast(pl.Float64).alias("count"), "people")
    )
    if counted.height < SHORTEST or counted["count"].sum() < FEWEST:
        return LeftOut(
            f"Orders by day are modelled where there are {SHORTEST} whole days and {FEWEST} orders; the data hold "
            f"{counted.height} such days with {int(counted['count'].sum())} {what}."
        )
    return Series(counted, what, data.days - whole.height)


def payday(data: Series | LeftOut, paydays: Collection[int]) -> Payday | LeftOut:
    """The effect of payday, with weekday and trend held fixed."""
    if isinstance(data, LeftOut):
        return data
    days = data.table["day"].to_list()
    on = np.array([day.day in paydays for day in days])
    if int((np.diff(on.astype(int), prepend=0) == 1).sum()) < 2 or on.all():
        return LeftOut("The data hold fewer than two paydays, so their effect is not told apart from the trend.")
    y = data.table["count"].to_numpy()
    x = dailymodel.design(days, paydays)
    try:
        fitted = dailymodel.fit(x, y)
    except (ValueError, np.linalg.LinAlgError):
        return LeftOut(f"The {data.what} by day are too few or too uneven for the model of payday.")
    effect = dailymodel.factor(fitted, COLUMN)
    return Payday(effect, _by_day_of_month(data, fitted.mu / effect.value**on, on), data.what, len(days))


def _by_day_of_month(data: Series, usual: Floats, on: Floats) -> pl.DataFrame:
    """Counts ÷ what is usual off payday, by day of the month, with an interval for overdispersed counts."""
    y = data.table["count"].to_numpy()
    mu = usual * np.where(on, y[on].sum() / usual[on].sum(), 1.0)
    dispersion = max(1.0, float(((y - mu) ** 2 / mu).sum() / max(len(y) - 1, 1)))
    half = norm.ppf((1 + CONFIDENCE) / 2) * dispersion**0.5
    return (
        pl.DataFrame({"day": data.table["day"].dt.day(), "count": y, "usual": usual, "expected": mu, "payday": on})
        .group_by("day")
        .agg(pl.col("count", "usual", "expected").sum(), pl.len().alias("days"), pl.col("payday").first())
        .with_columns(
            (pl.col("count") / pl.col("usual")).alias("factor"), (half / pl.col("expected").sqrt()).alias("se")
        )
        .with_columns(
            (pl.col("factor") * (-pl.col("se")).exp()).alias("low"),
            (pl.col("factor") * pl.col("se").exp()).alias("high"),
        )
        .select("day", "factor", "low", "high", "days", "payday")
        .sort("day")
    )


def odd_days(data: Series | LeftOut, paydays: Collection[int], rate: float, minimum_group: int) -> OddDays | LeftOut:
    """The days that weekday, trend and payday do not explain (Benjamini–Hochberg at `rate`)."""
    if isinstance(data, LeftOut):
        return data
    days = data.table["day"].to_list()
    known = {day.day for day in days}
    paydays = () if known <= set(paydays) or not known & set(paydays) else paydays
    try:
        found = dailymodel.surprise(dailymodel.design(days, paydays), data.table["count"].to_numpy())
    except (ValueError, np.linalg.LinAlgError):
        return LeftOut(f"The {data.what} by day are too few or too uneven to tell odd days.")
    hide = hidden(data.table["people"], minimum_group)
    table = data.table.with_columns(
        pl.Series("expected", found.expected),
        pl.Series("p", found.p),
        pl.Series("odd", false_discovery_control(found.p) < rate),
    ).with_columns(pl.col("count").cast(pl.Int64))
    # With what was expected, a p-value gives its count away.
    table = table.with_columns(pl.when(pl.Series(~hide)).then(pl.col(name)).alias(name) for name in ("count", "p"))
    factor = (pl.col("count") / pl.col("expected")).alias("factor")
    return OddDays(table.select("day", "count", "expected", factor, "p", "odd"), data.what, rate)


def measures(effect: Payday | LeftOut) -> list[Measure]:
    """The finding payday_effect."""
    found, reason = (None, effect.reason) if isinstance(effect, LeftOut) else (effect.effect, None)
    return [measured("payday_effect", "Orders around payday against other days", "factor", found, reason)]


def odd_measures(found: OddDays | LeftOut) -> list[Measure]:
    """How many days stand out."""
    if isinstance(found, LeftOut):
        return [Measure("odd_days", "Days that stand out", "count", None, reason=found.reason)]
    return [Measure("odd_days", "Days that stand out", "count", found.odd.height, n=found.table.height)]


def answer(effect: Payday | LeftOut, formats: Formats) -> str:
    """Whether payday matters, in one sentence."""
    if isinstance(effect, LeftOut):
        return effect.reason
    interval = effect.effect.interval or (0.0, float("inf"))
    size = formats.value(effect.effect.value, "factor", interval)
    verdict = (
        "more than on other days"
        if interval[0] > 1
        else "fewer than on other days"
        if interval[1] < 1
        else "which may be chance"
    )
    return (
        f"Around payday there are {size} as many {effect.what} as otherwise, weekday and trend held fixed: {verdict}."
    )


def odd_answer(found: OddDays | LeftOut, formats: Formats) -> str:
    """How many days stand out, and the oddest, in a sentence or two."""
    if isinstance(found, LeftOut):
        return found.reason
    odd = found.odd
    if odd.is_empty():
        return f"None of {formats.count(found.table.height)} days stands out of weekday, trend and payday."
    told = [
        f"{formats.date(day)} ({formats.count(count)} {found.what}, {formats.count(expected)} expected)"
        for day, count, expected in odd.drop_nulls("count").head(3).select("day", "count", "expected").iter_rows()
    ]
    stand = "stands" if odd.height == 1 else "stand"
    listed = f"; most of all {', '.join(told)}" if told else ""
    return (
        f"Of {formats.count(found.table.height)} days, {formats.count(odd.height)} {stand} out of weekday, trend and "
        f"payday{listed}."
    )
