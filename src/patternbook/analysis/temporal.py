"""When customers come and buy: hours of the week, the windows that stand out, months; each with an interval by cluster.

An hour of the week is a slot, 0 (Monday 00:00) to 167 (Sunday 23:00), in the shop's local time. Rates of a slot are
those of the window of `width` hours around it; the week is a ring.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

from patternbook.analysis.clustered import CLUSTERS, Floats, LogRatios, log_ratios
from patternbook.analysis.intervals import CONFIDENCE
from patternbook.analysis.measure import LeftOut, Measure
from patternbook.analysis.period import Period
from patternbook.analysis.suppression import Flags, behind, hidden
from patternbook.formats import Formats
from patternbook.markup import escaped

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SLOTS = 168
ORDERS_ONLY = "transactions"  # a kind of source without sessions
QUIET = 0.5  # of the average hour
SHORTEST = 14  # days: each weekday at least twice
MOST_GROUPS = 6  # of one grouping, the largest
GROUPINGS = {"all": "All", "newness": "First visit or not", "platform": "Platform", "frequency": "Visits in all"}


class Rhythm(NamedTuple):
    """The mart `rhythm`, and how many hours of each slot the data cover.

    Order lines know no sessions: there is no conversion then.
    """

    mart: pl.DataFrame
    observed: Floats
    width: int
    minimum_group: int
    sessions_known: bool

    @property
    def activity(self) -> str:
        """What the rhythm of the shop is measured by: orders where there are any, else sessions."""
        return "orders" if int(self.mart["orders"].sum()) else "sessions"

    @property
    def days(self) -> float:
        """Days that the data cover."""
        return float(self.observed.sum()) / 24


class Windows(NamedTuple):
    """Rate of each slot's window ÷ that of the average hour, with intervals that hold for all windows at once.

    `shown` tells the windows that may be published.
    """

    what: str
    rate: Floats
    low: Floats
    high: Floats
    shown: Flags

    @property
    def peak(self) -> int:
        """The slot with the highest rate."""
        return int(np.nanargmax(np.where(self.shown, self.rate, np.nan)))

    @property
    def busy(self) -> Flags:
        """Slots reliably above the average hour."""
        return self.shown & (self.low > 1)

    @property
    def quiet(self) -> Flags:
        """Slots reliably below half of the average hour; that there are few says nothing of anybody."""
        below: Flags = self.high < QUIET
        return below

    @property
    def alike(self) -> int:
        """How many other windows may be as busy as the peak: their intervals meet its own."""
        return int((self.shown & (self.high >= self.low[self.peak])).sum()) - 1


def whole_days(hourly: pl.DataFrame) -> Period | LeftOut:
    """The days that the data cover whole, to the hour: a shop that sleeps at night loses one at each end at most."""
    first, last = hourly.sort("day", "hour").row(0, named=True), hourly.sort("day", "hour").row(-1, named=True)
    begins = first["day"] + timedelta(days=first["hour"] > 0)
    ends = last["day"] - timedelta(days=last["hour"] < 23)
    return Period(begins, ends) if begins <= ends else LeftOut("The data cover no day whole.")


def observed_hours(hourly: pl.DataFrame, zone: str) -> Floats:
    """How often each slot occurs between the first hour with an event and the last, clock changes included."""
    ends = hourly.sort("day", "hour").select(
        (pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("hour"))).dt.replace_time_zone(
            zone, ambiguous="earliest", non_existent="null"
        )
    )
    first, last = ends.item(0, 0), ends.item(-1, 0)
    hours = pl.datetime_range(first, last, "1h", time_zone=zone, eager=True)
    slots = (hours.dt.weekday().cast(pl.Int64) - 1) * 24 + hours.dt.hour()
    return np.bincount(slots.to_numpy(), minlength=SLOTS).astype(float)


def rhythm(
    mart: pl.DataFrame, hourly: pl.DataFrame, zone: str, width: int, minimum_group: int, source_kind: str
) -> Rhythm | LeftOut:
    """The rhythm of the week; order lines know no sessions but orders."""
    observed = observed_hours(hourly, zone)
    if observed.min() < SHORTEST // 7:
        return LeftOut(
            f"A rhythm of the week needs {SHORTEST} days, so that each hour of it comes twice; the data hold "
            f"{observed.sum():.0f} hours."
        )
    return Rhythm(mart, observed, width, minimum_group, source_kind != ORDERS_ONLY)


def _matrix(frame: pl.DataFrame, column: str) -> Floats:
    """Totals of a column, clusters × slots."""
    totals = np.zeros((CLUSTERS, SLOTS))
    slot = ((frame["weekday"].cast(pl.Int64) - 1) * 24 + frame["hour"]).to_numpy()
    np.add.at(totals, (frame["cluster"].to_numpy(), slot), frame[column].cast(pl.Float64).to_numpy())
    return totals


def _around(values: Floats, width: int) -> Floats:
    """Sums over the window around each slot, along the last axis."""
    reach = width // 2
    summed: Floats = sum(
        (np.roll(values, shift, axis=-1) for shift in range(-reach, reach + 1)), start=np.zeros(values.shape)
    )
    return summed


def windows(data: Rhythm, what: str | None = None) -> Windows | LeftOut:
    """How much busier than the average hour each window of the week is, by `what` (default: `activity`)."""
    what = what or data.activity
    everyone = data.mart.filter(pl.col("grouping_name") == "all")
    totals = _matrix(everyone, what)
    counted = {name: _matrix(everyone, name).sum(axis=0) for name in ("customers", "buyers", "orders")}
    people = counted["customers"] if what == "sessions" else behind(counted["orders"], counted["buyers"])
    small = hidden(people, data.minimum_group)
    hours, window_hours = data.observed.sum(), _around(data.observed, data.width)
    summed = _around(totals, data.width)
    ratios = log_ratios(summed / window_hours, totals.sum(axis=1, keepdims=True) / hours)
    if not np.isfinite(ratios.values).any():
        return LeftOut(f"There are too few {what} for a rhythm of the week.")
    low, high = ratios.simultaneous()
    none = summed.sum(axis=0) == 0
    expected = totals.sum() / hours * window_hours
    least = -np.log((1 - CONFIDENCE) / 2 / SLOTS) / expected  # of a Poisson count, for all windows at once
    return Windows(
        what,
        np.where(none, 0.0, np.exp(ratios.values)),
        np.where(none, 0.0, low),
        np.where(none, least, high),
        ~(_around(small.astype(float), data.width) > 0),
    )


def conversion(data: Rhythm, grouping: str = "all", group: str = "all") -> LogRatios:
    """Logarithms of conversion (buying sessions ÷ sessions) of each window."""
    own = data.mart.filter(pl.col("grouping_name") == grouping, pl.col("group_name") == group)
    buying, sessions = (_around(_matrix(own, column), data.width) for column in ("buying_sessions", "sessions"))
    return log_ratios(buying, sessions)


def hour_table(data: Rhythm, activity: Windows) -> pl.DataFrame:
    """One row an hour of the week: what happened in it, and rates of the window around it with 95 % intervals.

    Counts and rates of few people are null, and where a total would give one away, a second.
    """
    everyone = data.mart.filter(pl.col("grouping_name") == "all")
    totals = {
        name: _matrix(everyone, name).sum(axis=0)
        for name in ("customers", "sessions", "buyers", "orders", "revenue", "session_buyers")
    }
    few_customers = hidden(totals["customers"], data.minimum_group)
    few_buyers = hidden(behind(totals["orders"], totals["buyers"]), data.minimum_group)
    few_converted = few_customers | hidden(totals["session_buyers"], data.minimum_group)
    blurred = _around(few_converted.astype(float), data.width) > 0
    rates = conversion(data)
    low, high = rates.intervals()
    slots = np.arange(SLOTS)
    columns: dict[str, tuple[Floats, Flags]] = {
        "customers": (totals["customers"], few_customers),
        "sessions": (totals["sessions"], few_customers),
        "orders": (totals["orders"], few_buyers),
        "revenue": (totals["revenue"], few_buyers),
        "rate": (activity.rate, ~activity.shown),
        "rate_low": (activity.low, ~activity.shown),
        "rate_high": (activity.high, ~activity.shown),
        "conversion": (np.exp(rates.values), blurred),
        "conversion_low": (low, blurred),
        "conversion_high": (high, blurred),
    }
    if not data.sessions_known:
        for name in ("sessions", "conversion", "conversion_low", "conversion_high"):
            del columns[name]
    table = pl.DataFrame(
        {"weekday": slots // 24 + 1, "hour": slots % 24, "hours": data.observed.astype(int)}
        | {name: np.where(few, np.nan, values) for name, (values, few) in columns.items()}
    ).fill_nan(None)
    whole = [name for name in ("customers", "sessions", "orders") if name in table.columns]
    return table.with_columns(pl.col(whole).cast(pl.Int64))


def weekday_table(data: Rhythm) -> pl.DataFrame:
    """One row a weekday: orders (or sessions) a day and how they compare with the average day, conversion.

    Intervals of the comparison hold for all seven at once, those of conversion one by one.
    """
    everyone = data.mart.filter(pl.col("grouping_name") == "all")
    what = data.activity

    def by_day(column: str) -> Floats:
        summed: Floats = _matrix(everyone, column).reshape(CLUSTERS, 7, 24).sum(axis=2)
        return summed

    def people(column: str) -> Floats:
        """At least as many as this were there on the weekday: in its busiest hour, and in different clusters."""
        by_hour = _matrix(everyone, column).reshape(CLUSTERS, 7, 24)
        least: Floats = np.maximum(by_hour.sum(axis=0).max(axis=1), by_hour.any(axis=2).sum(axis=0))
        return least

    days = data.observed.reshape(7, 24).sum(axis=1) / 24
    counts = by_day(what)
    few = hidden(people("customers" if what == "sessions" else "buyers"), data.minimum_group)
    ratios = log_ratios(counts / days, counts.sum(axis=1, keepdims=True) / days.sum())
    low, high = ratios.simultaneous()
    columns = {
        "a_day": counts.sum(axis=0) / days,
        "rate": np.exp(ratios.values),
        "rate_low": low,
        "rate_high": high,
        "revenue_a_day": by_day("revenue").sum(axis=0) / days,
    }
    if data.sessions_known:
        rates = log_ratios(by_day("buying_sessions"), by_day("sessions"))
        few = few | hidden(people("session_buyers"), data.minimum_group)
        ends = rates.intervals()
        columns |= {"conversion": np.exp(rates.values), "conversion_low": ends[0], "conversion_high": ends[1]}
    return pl.DataFrame(
        {"weekday": np.arange(1, 8), "days": days}
        | {name: np.where(few, np.nan, values) for name, values in columns.items()}
    ).fill_nan(None)


# -- when to send -------------------------------------------------------------------------------------------------


def send_windows(data: Rhythm, false_discovery_rate: float) -> pl.DataFrame | LeftOut:
    """By group of customers, the hours whose conversion is reliably above that of the rest of the week.

    Columns: grouping, group, sessions, conversion, windows (words), hours, slots (list), lift with lift_low and
    lift_high. All windows of all groups are tested together (Benjamini–Hochberg, two-sided by cluster). The hours are
    chosen with all customers; their lift is measured with hours that were chosen by the other half of customers, since
    what is chosen for being large looks larger than it is.
    """
    if not data.sessions_known:
        return LeftOut("The source records orders only, so conversion by hour is not known.")
    groups = _groups(data)
    if not groups:
        return LeftOut("There are too few buying sessions to compare the conversion of hours.")
    every, odd = np.ones(CLUSTERS, bool), np.arange(CLUSTERS) % 2 == 1
    matrices = [(_matrix(own, "buying_sessions"), _matrix(own, "sessions")) for _, _, own in groups]
    shown = [
        ~(_around(hidden(_matrix(own, "session_buyers").sum(axis=0), data.minimum_group).astype(float), data.width) > 0)
        for _, _, own in groups
    ]
    chosen, by_odd, by_even = (
        _above_the_rest(matrices, shown, half, data.width, false_discovery_rate) for half in (every, odd, ~odd)
    )
    if chosen is None:
        return LeftOut("There are too few buying sessions to compare the conversion of hours.")
    rows = []
    for k, (grouping, group, _) in enumerate(groups):
        buying, sessions = matrices[k]
        lift = _lift(buying, sessions, odd, by_odd, by_even, k)
        rows.append(
            {
                "grouping": GROUPINGS[grouping],
                "group": group,
                "sessions": int(sessions.sum()),
                "conversion": buying.sum() / sessions.sum(),
                "windows": in_words(chosen[k]) if chosen[k].any() else "",
                "hours": int(chosen[k].sum()),
                "slots": np.flatnonzero(chosen[k]).tolist(),
                **dict(zip(("lift", "lift_low", "lift_high"), lift if chosen[k].any() else (None,) * 3, strict=True)),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"slots": pl.List(pl.Int64), **dict.fromkeys(LIFT, pl.Float64)})


LIFT = ("lift", "lift_low", "lift_high")


def _groups(data: Rhythm) -> list[tuple[str, str, pl.DataFrame]]:
    """Grouping, group and rows of the largest groups of each grouping that has two or more to publish."""
    buyers = pl.col("cluster").filter(pl.col("session_buyers") > 0).n_unique()  # at least as many as clusters
    sizes = (
        data.mart.group_by("grouping_name", "group_name")
        .agg(pl.col("sessions").sum(), buyers.alias("buyers"))
        .sort("sessions", "group_name", descending=[True, False])
    )
    found = []
    for grouping in GROUPINGS:
        own = sizes.filter(pl.col("grouping_name") == grouping)
        shown = ~hidden(own["buyers"].to_numpy(), data.minimum_group) & (own["buyers"] > 0).to_numpy()
        names = own.filter(pl.Series(shown))["group_name"].to_list()[:MOST_GROUPS]
        if grouping == "all" or len(names) > 1:
            rows = data.mart.filter(pl.col("grouping_name") == grouping)
            found += [(grouping, name, rows.filter(pl.col("group_name") == name)) for name in names]
    return found


def _above_the_rest(
    matrices: list[tuple[Floats, Floats]], shown: list[Flags], half: Flags, width: int, rate: float
) -> Flags | None:
    """Flags (groups × slots) of windows with a conversion reliably above that of the rest; None without any test."""
    p, above = [], []
    for (buying, sessions), tested in zip(matrices, shown, strict=True):
        inside = [_around(totals[half], width) for totals in (buying, sessions)]
        outside = [totals[half].sum(axis=1, keepdims=True) - part for totals, part in zip(
            (buying, sessions), inside, strict=True
        )]  # fmt: skip
        difference = log_ratios(inside[0], inside[1]).minus(log_ratios(outside[0], outside[1]))
        p.append(np.where(tested, difference.p_values(), np.nan))
        above.append(difference.values > 0)
    tests = np.array(p)
    known = np.isfinite(tests)
    if not known.any():
        return None
    found = np.zeros(tests.shape, bool)
    found[known] = false_discovery_control(tests[known]) < rate
    reliable: Flags = found & np.array(above)
    return reliable


def _lift(
    buying: Floats, sessions: Floats, odd: Flags, by_odd: Flags | None, by_even: Flags | None, group: int
) -> tuple[float | None, float | None, float | None]:
    """Conversion in chosen hours ÷ that in all others, each half of the clusters in the hours of the other half."""
    if by_odd is None or by_even is None:
        return None, None, None
    inside = np.where(odd[:, None], by_even[group], by_odd[group]).astype(float)
    within, without = (
        log_ratios(*((totals * part).sum(axis=1, keepdims=True) for totals in (buying, sessions)))
        for part in (inside, 1 - inside)
    )
    difference = within.minus(without)
    if not np.isfinite(difference.values[0]):
        return None, None, None
    low, high = difference.intervals()
    return float(np.exp(difference.values[0])), float(low[0]), float(high[0])


# -- words --------------------------------------------------------------------------------------------------------


def window_name(slot: int, width: int) -> str:
    """`Monday 10:00–13:00`, the window around a slot."""
    start = (slot - width // 2) % SLOTS
    return f"{WEEKDAYS[start // 24]} {start % 24:02d}:00–{(start + width) % 24:02d}:00"


def in_words(flags: Flags) -> str:
    """Flagged slots as `Mon–Fri 09:00–12:00; Sat 10:00–11:00`; weekdays with the same hours stand together."""
    by_day = [_ranges(np.flatnonzero(day)) for day in np.asarray(flags, dtype=bool).reshape(7, 24)]
    told = []
    for hours in dict.fromkeys(filter(None, by_day)):
        told.append(f"{_day_names([day for day in range(7) if by_day[day] == hours])} {hours}")
    return "; ".join(told)


def _ranges(hours: Iterable[int]) -> str:
    return ", ".join(f"{first:02d}:00–{last + 1:02d}:00" for first, last in _runs(hours))


def _day_names(days: list[int]) -> str:
    names = [name[:3] for name in WEEKDAYS]
    return ", ".join(names[a] if a == b else f"{names[a]}–{names[b]}" for a, b in _runs(days))


def days_in_words(days: Iterable[int]) -> str:
    """Days of the month as `1–2, 25–31`."""
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in _runs(sorted(set(days))))


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of whole numbers in a row."""
    runs = [[int(n) for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return [(run[0], run[-1]) for run in runs]


def measures(found: Windows | LeftOut, data: Rhythm | LeftOut) -> list[Measure]:
    """What 06 records of the rhythm of the week."""
    if isinstance(found, LeftOut) or isinstance(data, LeftOut):
        reason = next(part.reason for part in (data, found) if isinstance(part, LeftOut))
        return [
            Measure("peak_window", "Busiest hours of the week", "text", None, reason=reason),
            Measure("peak_rate", "Busiest hours against the average hour", "factor", None, reason=reason),
            Measure("quiet_hours", "Quiet hours of the week", "text", None, reason=reason),
        ]
    peak = found.peak
    quiet = in_words(found.quiet)
    return [
        Measure("peak_window", "Busiest hours of the week", "text", window_name(peak, data.width)),
        Measure(
            "peak_rate",
            "Busiest hours against the average hour",
            "factor",
            float(found.rate[peak]),
            (float(found.low[peak]), float(found.high[peak])),
        ),
        Measure(
            "quiet_hours",
            "Quiet hours of the week",
            "text",
            quiet or None,
            reason=None if quiet else "No hour is reliably at half of the average or below.",
        ),
    ]


def answer(found: Windows | LeftOut, data: Rhythm | LeftOut, formats: Formats) -> str:
    """When customers are busiest and when they are not, in two or three sentences."""
    if isinstance(data, LeftOut):
        return data.reason
    if isinstance(found, LeftOut):
        return found.reason
    peak = found.peak
    rate = formats.value(float(found.rate[peak]), "factor", (float(found.low[peak]), float(found.high[peak])))
    verb = "Orders are placed" if found.what == "orders" else "Sessions start"
    sentences = [f"{verb} most on {window_name(peak, data.width)}, at {rate} the rate of the average hour."]
    if found.alike:
        others = formats.count(found.alike)
        noun = "window" if found.alike == 1 else "windows"
        sentences.append(f"By chance alone {others} other {noun} of the week may be as busy.")
    quiet = in_words(found.quiet)
    if quiet:
        sentences.append(f"Reliably below half of the average: {quiet}.")
    return " ".join(sentences)


def send_answer(calendar: pl.DataFrame | LeftOut, formats: Formats) -> str:
    """Which groups have hours that convert above the rest, in a sentence or two of Markdown."""
    if isinstance(calendar, LeftOut):
        return calendar.reason
    found = calendar.filter(pl.col("hours") > 0)
    if found.is_empty():
        return (
            f"In none of {formats.count(calendar.height)} groups of customers does any hour convert reliably above the "
            "rest, so there is no hour to prefer."
        )
    overall = found.filter(pl.col("grouping") == GROUPINGS["all"])
    sentences = []
    if overall.height:
        row = overall.row(0, named=True)
        sentences.append(
            f"Sessions that start {row['windows']} convert above the rest of the week{_lifted(row, formats)}."
        )
    others = found.filter(pl.col("grouping") != GROUPINGS["all"]).sort("lift", descending=True, nulls_last=True)
    if others.height:
        row = others.row(0, named=True)
        sentences.append(
            f"{_how_many(others.height, calendar.height - 1, formats)} such hours; they matter most for "
            f"{escaped(row['group'])}{_lifted(row, formats)}."
        )
    return " ".join(sentences)


def _how_many(some: int, groups: int, formats: Formats) -> str:
    if some == groups > 1:
        return f"All {formats.count(groups)} groups of customers have"
    return f"Of {formats.count(groups)} groups of customers, {formats.count(some)} {'has' if some == 1 else 'have'}"


def _lifted(row: dict[str, float], formats: Formats) -> str:
    if row["lift"] is None:
        return ""
    lift = formats.value(row["lift"], "factor", (row["lift_low"], row["lift_high"]))
    return f", at {lift} the conversion of their other hours"


# -- months -------------------------------------------------------------------------------------------------------


class Months(NamedTuple):
    """What customers did by whole calendar month, and how it changed.

    `table`: month, customers, then orders_a_day, categories (a customer) and conversion, each with `_low` and `_high`,
    its relative change on the month before as `_change` with ends, and whether it `_shifted` reliably
    (Benjamini–Hochberg over all months and measures). A measure that the source does not have is not in it.
    """

    table: pl.DataFrame
    measures: tuple[str, ...]


def months(
    mart: pl.DataFrame, data: Period | LeftOut, minimum_group: int, source_kind: str, rate: float
) -> Months | LeftOut:
    """Orders a day, exploration (categories a customer) and directed buying (conversion) by whole month."""
    if isinstance(data, LeftOut):
        return data
    sessions_known = source_kind != ORDERS_ONLY
    whole = [
        month for month in sorted(mart["month"].unique()) if data.first <= month and _month_end(month) <= data.last
    ]
    if len(whole) < 2:
        return LeftOut(f"Months are compared where two or more are whole; the data hold {len(whole)}.")

    def matrix(column: str) -> Floats:
        totals = np.zeros((CLUSTERS, len(whole)))
        own = mart.filter(pl.col("month").is_in(whole))
        place = {month: k for k, month in enumerate(whole)}
        at = own["month"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
        np.add.at(totals, (own["cluster"].to_numpy(), at), own[column].to_numpy())
        return totals

    customers = matrix("customers").sum(axis=0)
    if customers.min() < minimum_group:
        return LeftOut(f"In some month fewer than {minimum_group} customers came, too few to publish months.")
    days = np.array([(_month_end(month) - month).days + 1 for month in whole], dtype=float)
    ratios: dict[str, LogRatios] = {}
    if matrix("buyers").sum(axis=0).min() >= minimum_group:
        orders = matrix("buying_sessions")
        ratios["orders_a_day"] = log_ratios(orders / days, np.full((CLUSTERS, 1), 1 / CLUSTERS))
        if sessions_known:
            ratios["conversion"] = log_ratios(orders, matrix("sessions"))
    if sessions_known and matrix("explorers").sum(axis=0).min() >= minimum_group:
        ratios["categories"] = log_ratios(matrix("categories"), matrix("explorers"))
    if not ratios:
        return LeftOut("In some month too few customers bought to publish months, and the source names no category.")
    columns: dict[str, Floats] = {}
    tests = []
    for name, logs in ratios.items():
        low, high = logs.intervals()
        columns |= {name: np.exp(logs.values), f"{name}_low": low, f"{name}_high": high}
        change = LogRatios(np.diff(logs.values), np.diff(logs.moves, axis=1), logs.clusters)
        ends = change.intervals()
        for key, values in (("change", np.exp(change.values)), ("change_low", ends[0]), ("change_high", ends[1])):
            columns[f"{name}_{key}"] = np.concatenate([[np.nan], values - 1])
        tests.append(change.p_values())
    shifted = false_discovery_control(np.nan_to_num(np.concatenate(tests), nan=1.0)) < rate
    table = pl.DataFrame({"month": whole, "customers": customers.astype(int), **columns}).fill_nan(None)
    flags = [
        pl.Series(f"{name}_shifted", [None, *part.tolist()], pl.Boolean)
        for name, part in zip(ratios, np.split(shifted, len(ratios)), strict=True)
    ]
    return Months(table.with_columns(flags), tuple(ratios))


def _month_end(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def month_measures(found: Months | LeftOut) -> list[Measure]:
    """Exploration in the last whole month, and its change on the month before."""
    labels = {"categories": "Categories a customer, last month", "categories_change": "Change of categories a customer"}
    if isinstance(found, LeftOut) or "categories" not in found.measures:
        reason = found.reason if isinstance(found, LeftOut) else "The source does not record what customers look at."
        return [
            Measure(name, label, "share" if name.endswith("change") else "number", None, reason=reason)
            for name, label in labels.items()
        ]
    last = found.table.row(-1, named=True)
    return [
        Measure(
            name,
            label,
            "share" if name.endswith("change") else "number",
            last[name],
            (last[f"{name}_low"], last[f"{name}_high"]),
            last["customers"],
        )
        for name, label in labels.items()
    ]


def months_answer(found: Months | LeftOut, formats: Formats) -> str:
    """How exploration and directed buying moved from the first month to the last, in a sentence or two."""
    if isinstance(found, LeftOut):
        return found.reason
    first, last = found.table.row(0, named=True), found.table.row(-1, named=True)
    told = []
    for name, what, unit in (("categories", "categories a customer", "number"), ("conversion", "conversion", "share")):
        if name in found.measures:
            before, after = (
                formats.value(row[name], unit, (row[f"{name}_low"], row[f"{name}_high"])) for row in (first, last)
            )
            told.append(f"{what} went from {before} to {after}")
    begins, ends = (formats.date(row["month"], "yMMM") for row in (first, last))
    changes = sum(int(found.table[f"{name}_shifted"].sum()) for name in found.measures)
    sentence = f"From {begins} to {ends}, {' and '.join(told)}. " if told else ""
    reliable = f"{formats.count(changes) if changes else 'none'} {'is' if changes <= 1 else 'are'} reliable"
    return f"{sentence}Of the changes from one month to the next, {reliable}."
