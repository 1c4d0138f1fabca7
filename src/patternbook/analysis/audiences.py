"""Whom an action addresses: by a rule that holds for any day, so that what such people do by themselves is known.

As of the end of the data the rule says whom to contact. As of one, two and three horizons earlier it says whom one
would have contacted then; what they did in the horizon that followed is the baseline of the action. A person may be in
several of these windows, so errors are by person.

Where a forecast was made of each person on each of these days, the baseline is what the past audience did times the
ratio of what today's and the past audience were forecast to do (a ratio estimator: a forecast that is wrong for all
alike changes nothing). Its error is that of a ratio: today's audience is given, and what the past one bought and was
forecast to buy vary together. Forecasts know what happened up to their day, and nothing of an action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from patternbook.analysis import intervals, segmentation
from patternbook.analysis.bgnbd import fit_bgnbd
from patternbook.analysis.history import history
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.period import Period

WEEK = 7
WINDOWS = 3  # at most; older ones say less of today
FEWEST_BUYERS = 5  # of the past audience; fewer say nothing of how often such people buy

KEEN_DAYS = 2  # days with a visit in a week; who comes back so soon is looking for something
WHO = {
    "win_back": "customers of the segment that roi.segment names",
    "high_intent": f"visited on {KEEN_DAYS} days or more of the last week and ordered on none of it",
    "cross_sell": "ordered in the last week a product of a pair that sells together, and never the other one",
    "onboarding": "visited for the first time in the last week",
    "abandoned_cart": "put something into a cart in the last week and have not ordered since",
    "bundle": "ordered in the last week what a bundle holds but for the product that it adds",
}
SCORED = "of high intent by the forecast of notebook 04"
NO_SCORES = "Notebook 04 has no forecast that was tested over {horizon} days, so its audience is who {who}."
ALL_ALIKE = (
    "By the forecast of notebook 04 a contact pays twice over with nearly every customer, so its tiers tell nobody "
    "apart, and the audience is who {who}."
)
NOT_FOUND = {
    "cross_sell": "Notebook 05 finds no products that are reliably bought together.",
    "bundle": "Notebook 05 finds no bundle to offer.",
}
HIGH = "high"  # the tier of `intent.TIERS` in which a contact brings twice its cost or more
MOST_HIGH = 0.9  # of all customers; a tier that holds more of them than that is no part of them
MOST = 0.99  # of an audience that may be expected to buy; a ratio of forecasts knows no end

# customer_id as of the end of a day and, where each is forecast, the probability to buy within the horizon: `forecast`
Members = Callable[[date], pl.DataFrame | LeftOut]


@dataclass(frozen=True)
class Rule:
    """Whom an action addresses: in words, and as of the end of a day.

    `past` are the days for which it can be told, None where it can for any; `note` says why another rule does not hold.
    """

    who: str
    members: Members
    past: tuple[date, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Offers:
    """What notebook 05 offers: `pairs` (item_a, item_b) and `bundles` (item_1, item_2 or null, added), by product."""

    pairs: pl.DataFrame
    bundles: pl.DataFrame

    @classmethod
    def of(cls, pairs: pl.DataFrame | None, bundles: pl.DataFrame | None) -> Offers:
        """From the tables `basket.pairs` and `basket.bundles`, None where there is none."""
        empty = pl.DataFrame(
            schema=dict.fromkeys(("level", "item_a", "item_b", "item_1", "item_2", "added"), pl.String)
        )
        products = (empty if pairs is None else pairs).filter(pl.col("level") == "product")
        return cls(
            products.select(pl.col("item_a", "item_b").cast(pl.Int64)),
            (empty if bundles is None else bundles).select(pl.col("item_1", "item_2", "added").cast(pl.Int64)),
        )


@dataclass(frozen=True)
class Scores:
    """Notebook 04's scores (customer_id, probability, tier): today's, and those of its test, known before `cutoff`."""

    now: pl.DataFrame
    then: pl.DataFrame
    cutoff: date

    @classmethod
    def of(cls, now: pl.DataFrame | None, then: pl.DataFrame | None) -> Scores | None:
        """From the results by customer `propensity` and `propensity_test`."""
        return None if now is None or then is None or then.is_empty() else cls(now, then, then["cutoff"][0])


@dataclass(frozen=True)
class Log:
    """What customers did by local day: `orders` (customer_id, day, ordered_at, units, revenue), `lines` (customer_id,
    day, order_id, product_id; no returns), `visits` (customer_id, day, carts)."""

    orders: pl.DataFrame
    lines: pl.DataFrame
    visits: pl.DataFrame
    period: Period
    time_zone: str

    @classmethod
    def of(
        cls, orders: pl.DataFrame, lines: pl.DataFrame, sessions: pl.DataFrame, period: Period, time_zone: str
    ) -> Log:
        """From `history.orders` and the marts `order_lines` and `sessions`."""

        def day(column: str) -> pl.Expr:
            return pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt.date().alias("day")

        return cls(
            orders.with_columns(day("ordered_at"), pl.col("revenue").cast(pl.Float64)),
            lines.filter(pl.col("customer_id").is_not_null(), pl.col("quantity") > 0, ~pl.col("cancelled")).select(
                "customer_id", day("ordered_at"), "order_id", "product_id"
            ),
            sessions.filter(pl.col("customer_id").is_not_null()).select("customer_id", "carts", day("started_at")),
            period,
            time_zone,
        )


@dataclass(frozen=True)
class Audience:
    """Whom an action addresses.

    `now` holds the customers to contact, `a_day` says how many come anew. `past` holds, a row a person and window,
    those whom one would have contacted when it began, with what they did in it: customer_id, bought, revenue, and
    `before`, the revenue of as many days before. Both may have `forecast`, the probability to buy as forecast then.
    """

    action: str
    now: pl.DataFrame
    a_day: float
    past: pl.DataFrame
    horizon: int

    @property
    def forecast(self) -> bool:
        """Whether everybody in it was forecast."""
        return "forecast" in self.now.columns and not (
            self.now["forecast"].has_nulls() or self.past["forecast"].has_nulls()
        )

    @property
    def level(self) -> float:
        """What today's are forecast to buy, as a multiple of what the past ones were; 1 where nobody was forecast."""
        if not self.forecast:
            return 1.0
        now, then, share = (
            float(column.mean())  # type: ignore[arg-type]
            for column in (self.now["forecast"], self.past["forecast"], self.past["bought"])
        )
        return min(now / then, MOST / share)

    @property
    def buyers(self) -> Estimate:
        """Share that buys within the horizon without being contacted; Wilson's interval for as many independent people
        as would leave the same error."""
        share = self.level * float(self.past["bought"].mean())  # type: ignore[arg-type]
        error = self.error("bought")
        n = share * (1 - share) / error**2 if error else self.past.height
        low, high = intervals.wilson(share * n, n)
        return Estimate(share, float(low), float(high), self.past.height)

    @property
    def amounts(self) -> Floats:
        """Revenue of each of the past audience within the horizon, at today's level; zero where they bought nothing."""
        return self.level * self.past["revenue"].to_numpy()

    @property
    def spend(self) -> float:
        """Mean revenue a person within the horizon."""
        return float(self.amounts.mean())

    def error(self, column: str) -> float:
        """Standard error of the mean of a column of `past`, at today's level: people are independent, windows not.

        With a forecast f the mean of y is level · ȳ, in proportion to ȳ/f̄, whose error is that of the mean of
        y − (ȳ/f̄) f (Cochran 1977, Sampling Techniques, section 2.11). That the forecast itself was estimated is not
        in it: its error is common to both of its means.
        """
        value = pl.col(column).cast(pl.Float64)
        part = value - value.mean()
        if self.forecast:
            part = value - value.mean() / pl.col("forecast").mean() * pl.col("forecast")
        sums = self.past.select("customer_id", part.alias("part")).group_by("customer_id", maintain_order=True).sum()
        return self.level * float(np.sqrt((sums["part"].to_numpy() ** 2).sum())) / self.past.height


def rules_of(
    log: Log,
    segment: str,
    segments: Sequence[segmentation.Rule],
    minimum_buyers: int,
    horizon: int,
    offers: Offers,
    scores: Scores | None,
) -> dict[str, Rule]:
    """The rule of each action that these data can follow.

    What is offered is what notebook 05 found in all data; to whom one would have offered it earlier goes by what they
    had bought by then.
    """

    def in_segment(day: date) -> pl.DataFrame | LeftOut:
        if segment not in [rule.name for rule in segments]:
            return LeftOut(f"`segmentation.rules` has no segment called {segment!r}; `roi.segment` may name another.")
        until = Period(log.period.first, day)
        bought = segmentation.buyers(log.orders.filter(pl.col("day") <= day), until, log.time_zone)
        found = segmentation.assign(bought, segments, minimum_buyers)
        if isinstance(found, LeftOut):
            return found
        inside = found.filter(pl.col("segment") == segment).select("customer_id")
        return inside.join(_buy_again(log, day, horizon), on="customer_id", how="left", maintain_order="left")

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

    def lacks_the_other(day: date) -> pl.DataFrame:
        """Bought one product of a pair this week, and the other one never."""
        other = pl.concat([offers.pairs, offers.pairs.select(item_a="item_b", item_b="item_a")])
        ever = log.lines.filter(pl.col("day") <= day)
        return _distinct(
            log.lines.filter(_last_week(day))
            .join(other, left_on="product_id", right_on="item_a")
            .join(ever, left_on=["customer_id", "item_b"], right_on=["customer_id", "product_id"], how="anti")
        )

    def holds_the_rest(day: date) -> pl.DataFrame:
        """Has an order of this week with all that a bundle holds but for the product that it adds."""
        held = log.lines.filter(_last_week(day))
        keys = ["order_id", "product_id"]
        begun = held.join(offers.bundles, left_on="product_id", right_on="item_1")
        whole = pl.col("item_2").is_null()
        rest = pl.concat(
            [
                begun.filter(whole),
                begun.filter(~whole).join(held, left_on=["order_id", "item_2"], right_on=keys, how="semi"),
            ]
        )
        return _distinct(rest.join(held, left_on=["order_id", "added"], right_on=keys, how="anti"))

    def keen(day: date) -> pl.DataFrame | LeftOut:
        if log.visits.join(log.orders, on=["customer_id", "day"], how="anti").is_empty():
            return LeftOut("The source holds no visits without an order.")
        days = log.visits.filter(_last_week(day)).group_by("customer_id").agg(pl.col("day").n_unique())
        often = days.filter(pl.col("day") >= KEEN_DAYS).select("customer_id").sort("customer_id")
        return often.join(ordered_this_week(day), on="customer_id", how="anti", maintain_order="left")

    found = {"win_back": in_segment, "high_intent": keen, "onboarding": came_this_week, "abandoned_cart": left_a_cart}
    found |= {} if offers.pairs.is_empty() else {"cross_sell": lacks_the_other}
    found |= {} if offers.bundles.is_empty() else {"bundle": holds_the_rest}
    rules = {name: Rule(WHO[name], members) for name, members in found.items()}
    scored = _by_scores(scores, log, horizon)
    return rules | {"high_intent": replace(rules["high_intent"], note=scored) if isinstance(scored, str) else scored}


def _by_scores(scores: Scores | None, log: Log, horizon: int) -> Rule | str:
    """Who is of high intent today, and was when the forecast was tested; else why another rule stands in.

    That is where the test is no whole horizon ago, and where the tier holds nearly everybody, then or now.
    """
    begins = None if scores is None else scores.cutoff - timedelta(days=1)
    if scores is None or begins is None or (log.period.last - begins).days < horizon:
        return NO_SCORES.format(horizon=horizon, who=WHO["high_intent"])
    by_day = {log.period.last: scores.now, begins: scores.then}
    if any((who["tier"] == HIGH).sum() > MOST_HIGH * who.height for who in by_day.values()):
        return ALL_ALIKE.format(who=WHO["high_intent"])

    def high(day: date) -> pl.DataFrame:
        likely = by_day[day].filter(pl.col("tier") == HIGH)
        return likely.select("customer_id", forecast="probability").sort("customer_id")

    return Rule(SCORED, high, (begins,))


def _buy_again(log: Log, day: date, horizon: int) -> pl.DataFrame:
    """Probability of each buyer to buy within the horizon (BG/NBD), from what was known at the end of a day.

    Empty where the model is not identified. It matters for the silent: in data that begin with the shop's log, those
    of an earlier window had been silent for less long than today's, and bought more.
    """
    buyers = history(log.orders, day, "day", log.time_zone)
    own = [buyers[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x", "T")]
    try:
        buys = 1 - fit_bgnbd(*own).p_silent(horizon, *own)
    except NotIdentified:
        return pl.DataFrame(schema={"customer_id": pl.Int64, "forecast": pl.Float64})
    return buyers.select("customer_id", pl.Series("forecast", buys))


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("customer_id").unique().sort("customer_id")


def _last_week(day: date) -> pl.Expr:
    return pl.col("day").is_between(day - timedelta(days=WEEK), day, closed="right")


def audience(action: str, rule: Rule, log: Log, horizon: int, minimum: int) -> Audience | LeftOut:
    """The audience of an action; left out where fewer than `minimum` people are in it, now or in the past."""
    last = log.period.last
    windows = min(WINDOWS, log.period.days // horizon - 1)
    if windows < 1:
        covered = f"{log.period.days} day{'s' if log.period.days > 1 else ''}"
        return LeftOut(
            f"The data cover {covered}: too few to see who would have been contacted {horizon} days "
            "(`roi.horizon_days`) before their end, and what they did without it."
        )
    now = rule.members(last)
    if isinstance(now, LeftOut):
        return LeftOut(f"{rule.note} {now.reason}".lstrip())
    begins = rule.past or tuple(last - timedelta(days=horizon * (window + 1)) for window in range(windows))
    past = [_outcomes(then, log, day, horizon) for day in begins if isinstance(then := rule.members(day), pl.DataFrame)]
    if not past:
        return LeftOut("Before the end of the data nobody could yet be told to be in its audience.")
    a_day = _newcomers(rule, now, rule.past[0] if rule.past else last - timedelta(days=WEEK), last)
    return _checked(Audience(action, now, a_day, pl.concat(past), horizon), minimum)


def _newcomers(rule: Rule, now: pl.DataFrame, then: date, last: date) -> float:
    """How many come anew a day: as many as have left of those who were there then, the audience being of one size."""
    earlier = rule.members(then)
    left = 1.0
    if isinstance(earlier, pl.DataFrame) and not earlier.is_empty():
        left = earlier.join(now, on="customer_id", how="anti").height / earlier.height
    return now.height * left / (last - then).days


def all_of(
    rules: Mapping[str, Rule], actions: Iterable[str], log: Log, horizon: int, minimum: int
) -> dict[str, Audience | LeftOut]:
    """The audience of each action; left out where these data hold no rule for it."""
    return {
        action: audience(action, rules[action], log, horizon, minimum)
        if action in rules
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
        *(["forecast"] if "forecast" in customers.columns else []),
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
        taken_now = pl.concat([taken_now, now.select("customer_id")])
        taken_then = pl.concat([taken_then, past.select("customer_id", "begins")])
    return result
