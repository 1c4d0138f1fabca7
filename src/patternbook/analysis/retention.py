"""Who comes back: by cohort, by week since the first day, by first platform and category, and with a second order.

Ages are counted from each customer's own first day: week 1 is days 7 to 13 after it, month 1 days 30 to 59. A share
speaks only of customers for whom the data cover the whole of that age.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import CensoredData, ecdf

from patternbook.analysis import intervals
from patternbook.analysis.intervals import CONFIDENCE, Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats
from patternbook.markup import escaped

Activity = Literal["visit", "purchase"]
Unit = Literal["week", "month"]

LENGTH: dict[Unit, int] = {"week": 7, "month": 30}  # days
CALENDAR: dict[Unit, str] = {"week": "1w", "month": "1mo"}  # spans of time whose newcomers are a cohort
LONGEST_CURVE = 12  # weeks
MOST_CURVES = 4  # more lines than these cannot be told apart
HORIZON = 90  # days to a second purchase that the report names
BACK = {"visit": "come back", "purchase": "buy again"}
WHO = {"visit": "customers", "purchase": "buyers"}


class Cohorts(NamedTuple):
    """The part of the mart `cohorts` that the notebook speaks of, and the last local day that the data cover whole."""

    mart: pl.DataFrame
    activity: Activity
    last_day: date


class ByCohort(NamedTuple):
    """Retention of cohorts, each the newcomers of a calendar `span`, by age in `unit`s.

    `table`: unit, span, cohort (its first day), age, customers, back, share, low, high; back and what is made of it
    are null where fewer than `minimum_group` come back.
    """

    unit: Unit
    span: Unit
    table: pl.DataFrame


@dataclass(frozen=True)
class Curves:
    """Retention by week since the first day. `table`: group, age, customers, back, share, low, high.

    Each group holds only customers observed up to the last age; `by` is platform or category. back and what is made
    of it are null where fewer than `minimum_group` come back.
    """

    by: str
    table: pl.DataFrame


@dataclass(frozen=True)
class Waiting:
    """Time from first to second purchase (Kaplan–Meier). `curve`: days, share, low, high, at_risk.

    `share` of buyers have bought a second time within `days`; `median` is None where fewer than half ever are seen to.
    """

    curve: pl.DataFrame
    median: Estimate | None
    buyers: int


def cohorts(mart: pl.DataFrame, source_kind: str, last_day: date) -> Cohorts:
    """Visits where the source records them; order lines know purchases only."""
    activity: Activity = "purchase" if source_kind == "transactions" else "visit"
    return Cohorts(mart.filter(pl.col("activity") == activity), activity, last_day)


def returning(data: Cohorts, unit: Unit, age: int) -> Estimate | None:
    """Share of the customers observed through `age` who are there in it (Wilson); None where nobody is observed."""
    rows = data.mart.filter(
        pl.col("unit") == unit, pl.col("grouping_name") == "all", _whole(unit, pl.lit(age), data.last_day)
    )
    members, back = (int(rows.filter(pl.col("age") == a)["customers"].sum()) for a in (0, age))
    return intervals.share(back, members)


def _whole(unit: Unit, age: pl.Expr, last_day: date) -> pl.Expr:
    """Whether the data cover the whole of an age of the customers of `first_day`."""
    return (pl.lit(last_day) - pl.col("first_day")).dt.total_days() + 1 >= LENGTH[unit] * (age + 1)


def by_cohort(data: Cohorts, unit: Unit, most_cohorts: int, minimum_group: int) -> ByCohort | LeftOut:
    """Retention of the latest `most_cohorts` cohorts by age, only ages that the whole cohort is observed for.

    Cohorts are the newcomers of a calendar `unit`, or, where in most cells of those too few come back to publish, of a
    month. Cohorts of fewer than `minimum_group` customers are not in it; nobody back is fine to publish.
    """
    spans: tuple[Unit, ...] = ("week", "month") if unit == "week" else ("month",)
    tables = {span: _cells(data, unit, span, most_cohorts, minimum_group) for span in spans}
    for span, table in tables.items():
        if table is not None and 2 * table["share"].null_count() <= table.height:
            return ByCohort(unit, span, table)
    if all(table is None for table in tables.values()):
        return LeftOut(
            f"Fewer than two {unit}ly cohorts of {minimum_group} {WHO[data.activity]} or more are observed for a whole "
            f"{unit} after their first, so there are no cohorts to compare."
        )
    return LeftOut(
        f"In most cohorts fewer than {minimum_group} {WHO[data.activity]} {BACK[data.activity]} in a {unit}, too few "
        "to publish them by cohort."
    )


def _cells(data: Cohorts, unit: Unit, span: Unit, most_cohorts: int, minimum_group: int) -> pl.DataFrame | None:
    """The table of `ByCohort`; None where fewer than two cohorts are observed and large enough."""
    rows = data.mart.filter(pl.col("unit") == unit, pl.col("grouping_name") == "all").with_columns(
        pl.col("first_day").dt.truncate(CALENDAR[span]).alias("cohort")
    )
    sizes = (
        rows.filter(pl.col("age") == 0)
        .group_by("cohort")
        .agg(pl.col("customers").sum(), pl.col("first_day").max())
        .filter(pl.col("customers") >= minimum_group)
        .with_columns(
            ((pl.lit(data.last_day) - pl.col("first_day")).dt.total_days() + 1).floordiv(LENGTH[unit]).alias("whole")
        )
        .filter(pl.col("whole") > 1)
        .sort("cohort")
        .tail(most_cohorts)
    )
    if sizes.height < 2:
        return None
    back = rows.group_by("cohort", "age").agg(pl.col("customers").sum().alias("back"))
    table = (
        sizes.with_columns(pl.int_ranges(1, pl.col("whole")).alias("age"))
        .explode("age")
        .join(back, on=["cohort", "age"], how="left")
        .with_columns(pl.col("back").fill_null(0), pl.lit(unit).alias("unit"), pl.lit(span).alias("span"))
        .sort("cohort", "age")
    )
    columns = ["unit", "span", "cohort", "age", "customers", "back", "share", "low", "high"]
    return _with_shares(table, minimum_group).select(columns)


def _with_shares(table: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """`share`, `low`, `high` of `back` in `customers`; null, as `back`, where fewer than `minimum_group` are back."""
    back, customers = table["back"].to_numpy(), table["customers"].to_numpy()
    low, high = intervals.wilson(back, customers)
    shown = pl.col("back").eq(0) | pl.col("back").ge(minimum_group)
    return table.with_columns(
        (pl.col("back") / pl.col("customers")).alias("share"), pl.Series("low", low), pl.Series("high", high)
    ).with_columns(pl.when(shown).then(pl.col(name)).alias(name) for name in ("back", "share", "low", "high"))


def curves(data: Cohorts, by: str, minimum_group: int) -> Curves | LeftOut:
    """Retention by week of the largest groups of the mart's grouping `by`.

    Groups of fewer than `minimum_group` customers, or of which fewer come back in most weeks, are not in it.
    The curve is as long as at least half of the customers are observed for, `LONGEST_CURVE` weeks at most, and speaks
    of those customers alone.
    """
    rows = data.mart.filter(pl.col("unit") == "week", pl.col("grouping_name") == by)
    if rows.is_empty():
        return LeftOut(f"The source does not say the customers' {by}, so retention is not broken down by it.")
    last_age = _observed_weeks(rows.filter(pl.col("age") == 0), data.last_day)
    if last_age < 2:
        return LeftOut(f"The data are too short to follow customers by {by} for two whole weeks after their first.")
    rows = rows.filter(_whole("week", pl.lit(last_age), data.last_day), pl.col("age") <= last_age)
    groups = (
        rows.filter(pl.col("age") == 0)
        .group_by(pl.col("group_name").alias("group"))
        .agg(pl.col("customers").sum())
        .filter(pl.col("customers") >= minimum_group)
        .sort("customers", "group", descending=[True, False])
        .head(MOST_CURVES)
    )
    if groups.height < 2:
        return LeftOut(f"There is only one {by} with enough customers to follow, so there is nothing to compare.")
    back = rows.group_by(pl.col("group_name").alias("group"), "age").agg(pl.col("customers").sum().alias("back"))
    table = (
        groups.join(pl.DataFrame({"age": range(1, last_age + 1)}), how="cross")
        .join(back, on=["group", "age"], how="left", maintain_order="left")
        .with_columns(pl.col("back").fill_null(0))
    )
    shown = _with_shares(table, minimum_group).select("group", "age", "customers", "back", "share", "low", "high")
    known = shown.filter(2 * pl.col("share").null_count().over("group") <= last_age)
    if known["group"].n_unique() < 2:
        return LeftOut(f"Too few {WHO[data.activity]} {BACK[data.activity]} in a week to compare them by {by}.")
    return Curves(by, known)


def _observed_weeks(firsts: pl.DataFrame, last_day: date) -> int:
    """The last whole week that at least half of the customers are observed for, `LONGEST_CURVE` at most."""
    whole = ((pl.lit(last_day) - pl.col("first_day")).dt.total_days() + 1).floordiv(LENGTH["week"]) - 1
    weeks = firsts.select(whole.alias("weeks"), "customers").sort("weeks", descending=True)
    reached = weeks.filter(pl.col("customers").cum_sum() * 2 >= pl.col("customers").sum())
    return min(LONGEST_CURVE, int(reached["weeks"][0]))


def second_purchase(purchases: pl.DataFrame, last_day: date, time_zone: str, minimum_group: int) -> Waiting | LeftOut:
    """Days from a buyer's first purchase to the next on another day; buyers not seen again by `last_day` are censored.

    `purchases` is that of `history.orders`. Kaplan & Meier (1958), J. Am. Stat. Assoc. 53, 457–481; pointwise
    interval of log(−log) of the estimate with Greenwood's variance. The curve ends where fewer than `minimum_group`
    are still at risk.
    """
    day = pl.col("ordered_at").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date()
    days = (
        purchases.filter(pl.col("units") > 0)
        .select("customer_id", day.alias("day"))
        .filter(pl.col("day") <= last_day)
        .unique()
        .group_by("customer_id")
        .agg(pl.col("day").sort().head(2).alias("days"))
        .select(pl.col("days").list.get(0).alias("first"), pl.col("days").list.get(1, null_on_oob=True).alias("second"))
    )
    waited = days.select(
        (pl.col("second").fill_null(last_day) - pl.col("first")).dt.total_days().alias("days"),
        pl.col("second").is_null().alias("censored"),
    )
    if waited.filter(~pl.col("censored")).height < minimum_group:
        return LeftOut(
            f"Fewer than {minimum_group} buyers bought on a second day, too few to say how long a second purchase "
            "takes."
        )
    fitted = ecdf(CensoredData.right_censored(waited["days"].to_numpy(), waited["censored"].to_numpy()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no band where nobody, or everybody, has bought again: null
        band = fitted.sf.confidence_interval(CONFIDENCE, method="log-log")
    at = fitted.sf.quantiles
    curve = pl.DataFrame(
        {
            "days": at.astype(np.int64),
            "share": 1 - fitted.sf.probabilities,
            "low": 1 - band.high.probabilities,
            "high": 1 - band.low.probabilities,
            "at_risk": waited.height - np.searchsorted(np.sort(waited["days"].to_numpy()), at, side="left"),
        }
    ).fill_nan(None)
    shown = curve.filter(pl.col("at_risk") >= minimum_group)
    if shown["low"].null_count() == shown.height:
        return LeftOut("Second purchases all came after as many days, so how long one takes has no curve with a band.")
    return Waiting(shown, _median(shown, waited.height), waited.height)


def _median(curve: pl.DataFrame, buyers: int) -> Estimate | None:
    """The day by which half have bought again; its interval by inverting the band (Brookmeyer & Crowley 1982)."""

    def reached(column: str) -> float | None:
        days = curve.filter(pl.col(column) >= 0.5)["days"]
        return float(days[0]) if len(days) else None

    value = reached("share")
    return None if value is None else Estimate(value, reached("high"), reached("low"), buyers)


def within(waiting: Waiting, days: int) -> Estimate | None:
    """Share who have bought a second time within `days`; None where the curve does not reach so far."""
    if int(waiting.curve["days"].max()) < days:  # type: ignore[arg-type]
        return None
    row = waiting.curve.filter(pl.col("days") <= days).tail(1)
    if row.is_empty() or row["low"][0] is None:
        return None
    return Estimate(row["share"][0], row["low"][0], row["high"][0], waiting.buyers)


def measures(data: Cohorts) -> list[Measure]:
    """What 08 records of coming back, as counted."""
    back, who = BACK[data.activity], WHO[data.activity]
    week, month = returning(data, "week", 1), returning(data, "month", 1)
    churn = None if week is None else intervals.share(round((1 - week.value) * week.n), week.n)
    return [
        measured(
            "week1_churn",
            f"Share of {who} who do not {back} on days 7 to 13 after their first",
            "share",
            churn,
            f"No {who[:-1]} is observed for the whole of a second week." if churn is None else None,
        ),
        measured(
            "month1_retention",
            f"Share of {who} who {back} on days 30 to 59 after their first",
            "share",
            month,
            f"No {who[:-1]} is observed for the 60 days that this takes." if month is None else None,
        ),
    ]


def waiting_measures(waiting: Waiting | LeftOut) -> list[Measure]:
    """What 08 records of second purchases: modelled, since buyers who are not seen again yet are censored."""
    reason = waiting.reason if isinstance(waiting, LeftOut) else None
    soon = None if isinstance(waiting, LeftOut) else within(waiting, HORIZON)
    median = None if isinstance(waiting, LeftOut) else waiting.median
    if median is not None and median.interval is None:
        median = None
    short = f"Too few buyers are observed for {HORIZON} days after their first purchase."
    never = "Too few buyers are seen to buy again for a median with its interval."
    return [
        measured(
            f"second_purchase_{HORIZON}d",
            f"Share of buyers with a second purchase within {HORIZON} days (Kaplan–Meier)",
            "share",
            soon,
            None if soon else reason or short,
        ),
        measured(
            "second_purchase_median",
            "Days by which half of all buyers have bought a second time (Kaplan–Meier)",
            "days",
            median,
            None if median else reason or never,
        ),
    ]


def answer(data: Cohorts, waiting: Waiting | LeftOut, formats: Formats) -> str:
    """The answer in two or three sentences, from the results."""
    churn, month = measures(data)
    if churn.value is None:
        return f"{churn.reason}"
    who, back = WHO[data.activity], BACK[data.activity]
    sentences = [
        f"Of {formats.count(churn.n)} {who} observed for two weeks, {formats.share(churn.value, churn.interval)} did "
        f"not {back} in the second."
    ]
    if month.value is not None:
        sentences.append(
            f"In their second month (days 30 to 59), {formats.share(month.value, month.interval)} of "
            f"{formats.count(month.n)} {back}."
        )
    soon = waiting_measures(waiting)[0]
    if soon.value is not None:
        sentences.append(
            f"Within {HORIZON} days of a first purchase, {formats.share(soon.value, soon.interval)} of "
            f"{formats.count(soon.n)} buyers are expected to buy a second time."
        )
    return " ".join(sentences)


def curves_answer(found: Curves, formats: Formats) -> str:
    """Where retention is highest and lowest in the last week that all groups have a share of, in one sentence."""
    known = found.table.filter(pl.col("share").is_not_null().all().over("age"))
    if known.is_empty():
        return f"In no week do enough customers come back to compare all groups by first {found.by}."
    last = known.filter(pl.col("age") == pl.col("age").max()).sort("share", "group")
    low, high = last.row(0, named=True), last.row(-1, named=True)
    apart = "do not overlap" if low["high"] < high["low"] else "overlap"
    return (
        f"In week {low['age']}, retention by first {found.by} runs from "
        f"{formats.share(low['share'], (low['low'], low['high']))} ({escaped(low['group'])}) to "
        f"{formats.share(high['share'], (high['low'], high['high']))} ({escaped(high['group'])}); "
        f"the two intervals {apart}."
    )
