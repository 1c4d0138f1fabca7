"""Carts: how many are abandoned, what is in them, what becomes of it; and the way that orders come about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl

from patternbook.analysis import intervals
from patternbook.analysis.clustered import CLUSTERS, Floats, shares
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.sessions import Sessions
from patternbook.analysis.suppression import few
from patternbook.formats import Formats

ORDERED = "ordered"
SAME = "bought later"
OTHER = "other order"
EMPTIED = "emptied"
LEFT = "left"
FATES = (ORDERED, SAME, OTHER, EMPTIED, LEFT)
PATHS = {
    "cart": "after a cart in the same session",
    "earlier": "after a cart in an earlier session only",
    "none": "without any cart before",
}


class Carts(NamedTuple):
    """Sessions with a cart, and what becomes of them.

    `flows` has a row a fate of `FATES`: carts, share with low and high. Ordered: in the session; bought later: a
    product of it, by the same customer in another session; other order: of something else; emptied or left: no later
    order.
    `abandonment`, `removal` (a product taken out) and `recovered` (an abandoned cart of which a product is bought
    later, within the data) are shares of carts; `value` is what an abandoned cart holds on average, `total` in all.
    """

    carts: int
    flows: pl.DataFrame
    abandonment: Estimate | None
    removal: Estimate | None
    recovered: Estimate | None
    value: Estimate | None
    total: Estimate | None


def carts(mart: pl.DataFrame, source_kind: str, minimum_group: int) -> Carts | LeftOut:
    """What becomes of carts, from the mart `carts`. A cart is abandoned if its session ends without a purchase."""
    if source_kind == "transactions":
        return LeftOut("The source records orders only, so there are no carts.")
    if mart.is_empty():
        return LeftOut("The log holds no cart event.")
    fate = (
        pl.when("ordered")
        .then(pl.lit(ORDERED))
        .when(pl.col("products_bought_later") > 0)
        .then(pl.lit(SAME))
        .when(pl.col("next_order_at").is_not_null())
        .then(pl.lit(OTHER))
        .when(pl.col("products_left") == 0)
        .then(pl.lit(EMPTIED))
        .otherwise(pl.lit(LEFT))
    )
    told = mart.with_columns(
        fate.alias("fate"),
        (pl.coalesce("customer_id", "session_id").abs() % CLUSTERS).alias("cluster"),
        pl.coalesce("customer_id", "session_id").alias("who"),
    )
    people = {name: told.filter(pl.col("fate") == name)["who"].n_unique() for name in FATES}
    gone = told.filter(~pl.col("ordered"))
    if gone["who"].n_unique() < minimum_group:
        return LeftOut(f"Fewer than {minimum_group} customers abandoned a cart, too few to publish.")
    ordered = people[ORDERED]
    if 0 < ordered < minimum_group:
        return LeftOut(f"Fewer than {minimum_group} customers bought what was in a cart, too few to publish.")
    flows = _flows(told, people, minimum_group)
    removing = told.filter(pl.col("products_removed") > 0)["who"].n_unique()
    return Carts(
        carts=told.height,
        flows=flows,
        abandonment=_share(told, ~pl.col("ordered"), pl.lit(value=True)),
        removal=None
        if 0 < removing < minimum_group
        else _share(told, pl.col("products_removed") > 0, pl.lit(value=True)),
        recovered=None
        if 0 < people[SAME] < minimum_group
        else _share(told, pl.col("fate") == SAME, ~pl.col("ordered")),
        value=_value(gone, (1, -1)),
        total=_value(gone, (1,)),
    )


def _flows(told: pl.DataFrame, people: dict[str, int], minimum_group: int) -> pl.DataFrame:
    """Carts by fate; those of few customers stand with the ones that were left without a later order."""
    others = sorted((SAME, OTHER, EMPTIED), key=lambda name: people[name])
    small = [name for name in others if 0 < people[name] < minimum_group]
    for name in others:  # what is left over is no small group either
        left = sum(people[one] for one in (LEFT, *small))
        if 0 < left < minimum_group and name not in small:
            small.append(name)
    merged = told.with_columns(pl.when(pl.col("fate").is_in(small)).then(pl.lit(LEFT)).otherwise("fate").alias("fate"))
    names = [name for name in FATES if name not in small and (merged["fate"] == name).any()]
    counts = np.column_stack([_by_cluster(merged, pl.col("fate") == name) for name in names])
    found = shares(counts, counts.sum(axis=1, keepdims=True) * np.ones((1, len(names))))
    return pl.DataFrame(
        {
            "fate": names,
            "carts": counts.sum(axis=0).astype(int),
            "share": found.value,
            "low": found.low,
            "high": found.high,
        }
    ).fill_nan(None)


def _by_cluster(rows: pl.DataFrame, condition: pl.Expr) -> Floats:
    """How many rows meet a condition, by cluster."""
    own = rows.filter(condition)["cluster"].to_numpy()
    return np.bincount(own, minlength=CLUSTERS).astype(float)


def _share(rows: pl.DataFrame, took: pl.Expr, could: pl.Expr) -> Estimate | None:
    over, under = _by_cluster(rows, took & could), _by_cluster(rows, could)
    value, low, high = (float(part[0]) for part in shares(over[:, None], under[:, None]))
    if not np.isfinite(value):
        return None
    known = np.isfinite(low)
    return Estimate(value, low if known else None, high if known else None, int(under.sum()))


def _value(gone: pl.DataFrame, powers: tuple[int, ...]) -> Estimate | None:
    """Value of abandoned carts, in all or a cart: amounts are skewed, so the interval is that of `ratio_of_totals`."""
    by_customer = gone.group_by("who").agg(pl.col("value_left").cast(pl.Float64).sum(), pl.len().cast(pl.Float64))
    ordered = by_customer.sort("who").select("value_left", "len").to_numpy()
    return intervals.ratio_of_totals(ordered[:, : len(powers)], powers)


def measures(found: Carts | LeftOut) -> list[Measure]:
    """What 06 records of carts."""
    labels = {
        "abandonment": ("Abandoned carts", "share"),
        "removal": ("Carts that something is taken out of", "share"),
        "recovered": ("Abandoned carts bought from later", "share"),
        "abandoned_value": ("Value of an abandoned cart", "currency"),
        "abandoned_total": ("Value of all abandoned carts", "currency"),
    }
    if isinstance(found, LeftOut):
        return [Measure(name, label, unit, None, reason=found.reason) for name, (label, unit) in labels.items()]  # type: ignore[arg-type]
    values = {
        "abandonment": found.abandonment,
        "removal": found.removal,
        "recovered": found.recovered,
        "abandoned_value": found.value,
        "abandoned_total": found.total,
    }
    few, nothing = "Too few customers to publish.", "The abandoned carts have no price."
    return [
        measured(name, label, unit, values[name], nothing if unit == "currency" else few)  # type: ignore[arg-type]
        for name, (label, unit) in labels.items()
    ]


class Paths(NamedTuple):
    """How orders come about. `table`: path, orders, share, low, high (null where few customers); `orders` in all."""

    table: pl.DataFrame
    orders: int


def paths(
    purchases: pl.DataFrame, customers: pl.DataFrame, mart: pl.DataFrame, source_kind: str, minimum_group: int
) -> Paths | LeftOut:
    """Orders by whether there was a cart before them, in the same session or in an earlier one."""
    if source_kind == "transactions":
        return LeftOut("The source records orders only, so what comes before an order is not known.")
    if purchases.is_empty():
        return LeftOut("The log holds no purchase.")
    carted = mart.filter("ordered").select(pl.col("session_id").alias("order_id"), pl.lit(value=True).alias("here"))
    told = (
        purchases.select("order_id", "customer_id", "ordered_at")
        .join(carted, on="order_id", how="left")
        .join(customers.select("customer_id", "first_cart_at"), on="customer_id", how="left")
        .with_columns(
            pl.when(pl.col("here").fill_null(value=False))
            .then(pl.lit("cart"))
            .when((pl.col("first_cart_at") < pl.col("ordered_at")).fill_null(value=False))
            .then(pl.lit("earlier"))
            .otherwise(pl.lit("none"))
            .alias("path"),
            (pl.coalesce("customer_id", "order_id").abs() % CLUSTERS).alias("cluster"),
            pl.coalesce("customer_id", "order_id").alias("who"),
        )
    )
    people = {name: told.filter(pl.col("path") == name)["who"].n_unique() for name in PATHS}
    if told["who"].n_unique() < minimum_group or any(0 < n < minimum_group for n in people.values()):
        return LeftOut("Too few customers bought in one of the ways to publish how orders come about.")
    counts = np.column_stack([_by_cluster(told, pl.col("path") == name) for name in PATHS])
    found = shares(counts, counts.sum(axis=1, keepdims=True) * np.ones((1, len(PATHS))))
    table = pl.DataFrame(
        {
            "path": list(PATHS.values()),
            "orders": counts.sum(axis=0).astype(int),
            "share": found.value,
            "low": found.low,
            "high": found.high,
        }
    )
    return Paths(table.fill_nan(None).filter(pl.col("orders") > 0), told.height)


class FirstOrders(NamedTuple):
    """The way to the first order, medians over buyers: seconds since the first event, views, sessions.

    `in_session` are seconds in the session of the order, `views_in_session` the views in it.
    """

    seconds: Estimate
    in_session: Estimate
    views: Estimate
    views_in_session: Estimate
    sessions: Estimate
    at_first_visit: Estimate | None = None


def first_orders(mart: pl.DataFrame, source_kind: str, minimum_group: int) -> FirstOrders | LeftOut:
    """How long it takes buyers to their first order in the data, and what they look at before."""
    if source_kind == "transactions":
        return LeftOut("The source records orders only, so what comes before an order is not known.")
    if mart.height < minimum_group:
        return LeftOut(f"Fewer than {minimum_group} customers bought, too few to publish.")

    def seconds(since: str) -> pl.Series:
        return mart.select((pl.col("ordered_at") - pl.col(since)).dt.total_seconds()).to_series()

    columns = (
        seconds("first_event_at"),
        seconds("started_at"),
        mart["views"],
        mart["views_in_session"],
        mart["sessions"],
    )
    found = [intervals.median(column.to_numpy()) for column in columns]
    at_once = int((mart["sessions"] == 1).sum())
    first = None if few([at_once], minimum_group)[0] else intervals.share(at_once, mart.height)
    return FirstOrders(*(one for one in found if one is not None))._replace(at_first_visit=first)


def first_order_measures(found: FirstOrders | LeftOut) -> list[Measure]:
    """What 06 records of the way to the first order."""
    labels = {
        "seconds": ("time_to_purchase", "From first visit to first order, median", "seconds"),
        "in_session": ("time_in_session", "From start of session to first order, median", "seconds"),
        "views": ("views_before_purchase", "Views before the first order, median", "count"),
        "views_in_session": ("views_in_session", "Views in its session before the first order, median", "count"),
        "sessions": ("sessions_to_purchase", "Sessions up to the first order, median", "count"),
        "at_first_visit": ("bought_at_first_visit", "Buyers who order at their first visit", "share"),
    }
    if isinstance(found, LeftOut):
        return [Measure(name, label, unit, None, reason=found.reason) for name, label, unit in labels.values()]  # type: ignore[arg-type]
    few_buyers = "Too few buyers to publish."
    return [measured(name, label, unit, getattr(found, key), few_buyers) for key, (name, label, unit) in labels.items()]  # type: ignore[arg-type]


def answer(found: Carts | LeftOut, formats: Formats) -> str:
    """What becomes of carts, in two or three sentences."""
    if isinstance(found, LeftOut):
        return found.reason
    sentences = []
    if found.abandonment:
        share = formats.share(found.abandonment.value, found.abandonment.interval)
        sentences.append(
            f"Of {formats.count(found.carts)} carts, {share} are abandoned: their session ends without a purchase."
        )
    if found.value and found.total:
        each, every = (formats.money(one.value, one.interval) for one in (found.value, found.total))
        sentences.append(f"An abandoned cart holds {each} on average, all of them {every}.")
    if found.recovered:
        share = formats.share(found.recovered.value, found.recovered.interval)
        sentences.append(f"From {share} of abandoned carts the customer buys a product later.")
    return " ".join(sentences)


def paths_answer(found: Paths | LeftOut, first: FirstOrders | LeftOut, formats: Formats) -> str:
    """How orders come about and how long it takes, in a few sentences."""
    sentences = []
    if isinstance(found, LeftOut):
        sentences.append(found.reason)
    else:
        told = [
            f"{formats.share(row['share'], (row['low'], row['high']))} came {row['path']}"
            for row in found.table.iter_rows(named=True)
        ]
        sentences.append(f"Of {formats.count(found.orders)} orders, {', '.join(told)}.")
    if isinstance(first, LeftOut):
        sentences.append(first.reason)
    else:
        time = formats.value(first.seconds.value, "seconds", first.seconds.interval)
        sentences.append(
            f"Half of the buyers order within {time} of their first visit, after at most "
            f"{_so_many(first.views, 'view', formats)} in at most {_so_many(first.sessions, 'session', formats)}."
        )
    return " ".join(dict.fromkeys(sentences))


def _so_many(found: Estimate, noun: str, formats: Formats) -> str:
    """A count and its noun, and its interval where that is wider than the count."""
    low, high = found.interval or (found.value, found.value)
    number = formats.value(found.value, "count", None if low == high else (low, high))
    return f"{number} {noun if found.value == 1 == high else noun + 's'}"


class Range(Protocol):
    """What is typical of other shops."""

    @property
    def measure(self) -> str:
        """Name of the measure."""

    @property
    def low(self) -> float:
        """Low end."""

    @property
    def high(self) -> float:
        """High end."""

    @property
    def source(self) -> str:
        """Who says so."""


def beside_others(
    sessions: Sessions | LeftOut, carts: Carts | LeftOut, typical: Sequence[Range]
) -> pl.DataFrame | LeftOut:
    """What is found beside what is typical of other shops, one row a measure that has an interval.

    Columns: measure, value, low, high, typical_low, typical_high, verdict, source. The verdict is `within`, `below` or
    `above` where the whole interval is, else `not told apart`.
    """
    found = {} if isinstance(sessions, LeftOut) else {f"session_{name}": own for name, own in sessions.rates.items()}
    if not isinstance(carts, LeftOut) and carts.abandonment:
        found["abandonment"] = carts.abandonment
    rows = [
        (one.measure, own.value, *own.interval, one.low, one.high, _verdict(own.interval, one), one.source)
        for one in typical
        if (own := found.get(one.measure)) and own.interval
    ]
    if not rows:
        return LeftOut("The source records nothing that could be compared with other shops.")
    names = ("measure", "value", "low", "high", "typical_low", "typical_high", "verdict", "source")
    return pl.DataFrame(rows, schema=names, orient="row")


def _verdict(own: tuple[float, float], typical: Range) -> str:
    if own[1] < typical.low:
        return "below"
    if own[0] > typical.high:
        return "above"
    return "within" if typical.low <= own[0] and own[1] <= typical.high else "not told apart"
