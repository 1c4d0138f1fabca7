"""Whom an action addresses: by a rule that holds for any day, so that what such people do by themselves is known.

As of the end of the data the rule says whom to contact. As of one, two and three horizons earlier it says whom one
would have contacted then; what they did in the horizon that followed is the baseline of the action. A person may be in
several of these windows, so errors are by person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from patternbook.analysis import intervals, segmentation
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period
from patternbook.errors import UserError

WEEK = 7
WINDOWS = 3  # at most; older ones say less of today
FEWEST_BUYERS = 5  # of the past audience; fewer say nothing of how often such people buy

KEEN_DAYS = 2  # days with a visit in a week; who comes back so soon is looking for something
WHO = {
    "win_back": "customers of the segment that roi.segment names",
    "high_intent": f"visited on {KEEN_DAYS} days or more of the last week and ordered on none of it",
    "cross_sell": "ordered in the last week",
    "onboarding": "visited for the first time in the last week",
    "abandoned_cart": "put something into a cart in the last week and have not ordered since",
    "bundle": "visited in the last week",
}
NOT_FOUND = {
    "cross_sell": "Notebook 05 recommends nothing for these customers.",
    "bundle": "Notebook 05 finds no bundle to offer.",
}

Members = Callable[[date], pl.DataFrame | LeftOut]  # customers (one column) as of the end of a day


@dataclass(frozen=True)
class Log:
    """What customers did by local day: `orders` (customer_id, day, ordered_at, units, revenue), `visits` (customer_id,
    day, carts)."""

    orders: pl.DataFrame
    visits: pl.DataFrame
    period: Period
    time_zone: str

    @classmethod
    def of(cls, orders: pl.DataFrame, sessions: pl.DataFrame, period: Period, time_zone: str) -> Log:
        """From `history.orders` and the mart `sessions`."""

        def day(column: str) -> pl.Expr:
            return pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date().alias("day")

        return cls(
            orders.with_columns(day("ordered_at"), pl.col("revenue").cast(pl.Float64)),
            sessions.filter(pl.col("customer_id").is_not_null()).select("customer_id", "carts", day("started_at")),
            period,
            time_zone,
        )


@dataclass(frozen=True)
class Audience:
    """Whom an action addresses.

    `now` holds the customers to contact, `a_day` says how many come anew. `past` holds, a row a person and window,
    those whom one would have contacted when it began, with what they did in it: customer_id, bought, revenue, and
    `before`, the revenue of as many days before.
    """

    action: str
    now: pl.DataFrame
    a_day: float
    past: pl.DataFrame
    horizon: int

    @property
    def buyers(self) -> Estimate:
        """Share that buys within the horizon without being contacted; Wilson's interval for as many independent people
        as would leave the same error."""
        share = float(self.past["bought"].mean())  # type: ignore[arg-type]
        error = self.error("bought")
        n = share * (1 - share) / error**2 if error else self.past.height
        low, high = intervals.wilson(share * n, n)
        return Estimate(share, float(low), float(high), self.past.height)

    @property
    def amounts(self) -> Floats:
        """Revenue of each of the past audience within the horizon, zero for those who bought nothing."""
        return self.past["revenue"].to_numpy()

    @property
    def spend(self) -> float:
        """Mean revenue a person within the horizon."""
        return float(self.amounts.mean())

    def error(self, column: str) -> float:
        """Standard error of the mean of a column of `past`, people being independent and their windows not."""
        values = self.past.select("customer_id", pl.col(column).cast(pl.Float64))
        sums = values.group_by("customer_id", maintain_order=True).agg((pl.col(column) - values[column].mean()).sum())
        return float(np.sqrt((sums[column].to_numpy() ** 2).sum())) / self.past.height


def members_of(
    log: Log,
    segment: str,
    rules: Sequence[segmentation.Rule],
    minimum_buyers: int,
    *,
    recommends: bool = False,
    bundles: bool = False,
) -> dict[str, Members]:
    """The rule of each action that these data can follow: customers as of the end of a day.

    Whether there is something to recommend, and a bundle to offer, is what notebook 05 has found. Raises UserError
    where no segment has the name that is asked for.
    """
    if segment not in [rule.name for rule in rules]:
        raise UserError(
            f"key 'roi.segment': no segment is called {segment!r}; segmentation.rules has "
            f"{', '.join(rule.name for rule in rules)}"
        )

    def in_segment(day: date) -> pl.DataFrame | LeftOut:
        until = Period(log.period.first, day)
        bought = segmentation.buyers(log.orders.filter(pl.col("day") <= day), until, log.time_zone)
        found = segmentation.assign(bought, rules, minimum_buyers)
        return found if isinstance(found, LeftOut) else found.filter(pl.col("segment") == segment).select("customer_id")

    def came_this_week(day: date) -> pl.DataFrame:
        first = log.visits.filter(pl.col("day") <= day).group_by("customer_id").agg(pl.col("day").min())
        return first.filter(_last_week(day)).select("customer_id").sort("customer_id")

    def left_a_cart(day: date) -> pl.DataFrame | LeftOut:
        if not (log.visits["carts"] > 0).any():
            return LeftOut("The source holds no carts.")
        carts = (
            log.visits.filter(_last_week(day) & (pl.col("carts") > 0))
            .group_by("customer_id")
            .agg(pl.col("day").max().alias("cart_day"))
        )
        ordered = log.orders.filter((pl.col("day") <= day) & (pl.col("units") > 0)).group_by("customer_id")
        last = ordered.agg(pl.col("day").max().alias("order_day"))
        open_carts = carts.join(last, on="customer_id", how="left").filter(
            (pl.col("order_day") < pl.col("cart_day")).fill_null(True)
        )
        return open_carts.select("customer_id").sort("customer_id")

    def ordered_this_week(day: date) -> pl.DataFrame:
        return _distinct(log.orders.filter(_last_week(day) & (pl.col("units") > 0)))

    def visited_this_week(day: date) -> pl.DataFrame:
        return _distinct(log.visits.filter(_last_week(day)))

    def keen(day: date) -> pl.DataFrame:
        days = log.visits.filter(_last_week(day)).group_by("customer_id").agg(pl.col("day").n_unique())
        often = days.filter(pl.col("day") >= KEEN_DAYS).select("customer_id").sort("customer_id")
        return often.join(ordered_this_week(day), on="customer_id", how="anti", maintain_order="left")

    found: dict[str, Members] = {
        "win_back": in_segment,
        "high_intent": keen,
        "onboarding": came_this_week,
        "abandoned_cart": left_a_cart,
    }
    found |= {"cross_sell": ordered_this_week} if recommends else {}
    found |= {"bundle": visited_this_week} if bundles else {}
    return found


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("customer_id").unique().sort("customer_id")


def _last_week(day: date) -> pl.Expr:
    return pl.col("day").is_between(day - timedelta(days=WEEK), day, closed="right")


def audience(action: str, members: Members, log: Log, horizon: int, minimum: int) -> Audience | LeftOut:
    """The audience of an action; left out where fewer than `minimum` people are in it, now or in the past."""
    last = log.period.last
    windows = min(WINDOWS, log.period.days // horizon - 1)
    if windows < 1:
        covered = f"{log.period.days} day{'s' if log.period.days > 1 else ''}"
        return LeftOut(
            f"The data cover {covered}: too few to see who would have been contacted {horizon} days "
            "(`roi.horizon_days`) before their end, and what they did without it."
        )
    now, earlier = members(last), members(last - timedelta(days=WEEK))
    if isinstance(now, LeftOut):
        return now
    stayed = 0 if isinstance(earlier, LeftOut) else now.join(earlier, on="customer_id", how="semi").height
    begins = [last - timedelta(days=horizon * (window + 1)) for window in range(windows)]
    past = [_outcomes(then, log, day, horizon) for day in begins if isinstance(then := members(day), pl.DataFrame)]
    if not past:
        return LeftOut("Before the end of the data nobody could yet be told to be in its audience.")
    return _checked(Audience(action, now, (now.height - stayed) / WEEK, pl.concat(past), horizon), minimum)


def all_of(
    members: Mapping[str, Members], actions: Iterable[str], log: Log, horizon: int, minimum: int
) -> dict[str, Audience | LeftOut]:
    """The audience of each action; left out where these data hold no rule for it."""
    return {
        action: audience(action, members[action], log, horizon, minimum)
        if action in members
        else LeftOut(NOT_FOUND[action])
        for action in actions
    }


def _outcomes(customers: pl.DataFrame, log: Log, day: date, horizon: int) -> pl.DataFrame:
    """What customers did in the horizon after a day, and what they spent in the one before."""
    first, last = day - timedelta(days=horizon), day + timedelta(days=horizon)
    after = pl.col("day") > day
    sums = (
        log.orders.filter(pl.col("day").is_between(first, last, closed="right"))
        .group_by("customer_id")
        .agg(
            (after & (pl.col("units") > 0)).any().alias("bought"),
            pl.col("revenue").filter(after).sort().sum(),
            pl.col("revenue").filter(~after).sort().sum().alias("before"),
        )
    )
    return customers.join(sums, on="customer_id", how="left", maintain_order="left").select(
        "customer_id",
        pl.lit(day).alias("begins"),
        pl.col("bought").fill_null(False),
        pl.col("revenue", "before").fill_null(0.0),
    )


def _checked(found: Audience, minimum: int) -> Audience | LeftOut:
    if found.now.height < minimum:
        return LeftOut(f"Fewer than {minimum} customers are in its audience.")
    if found.past.height < minimum or int(found.past["bought"].sum()) < FEWEST_BUYERS:
        return LeftOut(
            f"Of those who would have been in its audience earlier, fewer than {FEWEST_BUYERS} bought within "
            f"{found.horizon} days: too few to say what they do without it."
        )
    if found.past["bought"].all() or found.amounts.sum() <= 0:
        return LeftOut("All of those who would have been in its audience earlier bought, or returned what they bought.")
    return found


def apart(audiences: Mapping[str, Audience], order: Sequence[str], minimum: int) -> dict[str, Audience | LeftOut]:
    """Audiences that do not overlap: who is in several belongs to the first in `order`, now and in the past."""
    result: dict[str, Audience | LeftOut] = {}
    taken_now = pl.DataFrame(schema={"customer_id": pl.Int64})
    taken_then = pl.DataFrame(schema={"customer_id": pl.Int64, "begins": pl.Date})
    for action in order:
        whole = audiences[action]
        now = whole.now.join(taken_now, on="customer_id", how="anti", maintain_order="left")
        past = whole.past.join(taken_then, on=["customer_id", "begins"], how="anti", maintain_order="left")
        alone = replace(whole, now=now, past=past, a_day=whole.a_day * now.height / whole.now.height)
        if isinstance(_checked(alone, minimum), LeftOut):
            result[action] = LeftOut(
                "Most of its customers are in the audience of an action that earns more a contact."
            )
            continue
        result[action] = alone
        taken_now = pl.concat([taken_now, now])
        taken_then = pl.concat([taken_then, past.select("customer_id", "begins")])
    return result
