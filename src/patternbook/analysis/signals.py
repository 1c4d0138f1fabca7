"""Signals: what, early in a session, tells that it will end with an order, and what is merely part of ordering."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

from patternbook.analysis.clustered import CLUSTERS, Floats, log_ratios, shares
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.suppression import few, hidden
from patternbook.formats import Formats
from patternbook.markup import escaped

PART_OF_PURCHASE = 0.9  # of its buying sessions an action comes after the last view: it is the purchase
MOST = 12  # signals, those in most sessions
KINDS = {"action": "Action", "device": "Device", "channel": "Channel", "newness": "Visit"}


class Signals(NamedTuple):
    """Signals, those that tell most first.

    `table`: kind, signal, sessions, share (of all sessions), conversion with ends, odds_ratio with ends (against
    sessions without it), lift (conversion with it ÷ conversion of all) with ends, at_purchase (share of its buying
    sessions in which no view follows it; null but for actions), p, told (reliable, Benjamini–Hochberg), leak.
    `sessions` is the number of all of them.
    """

    table: pl.DataFrame
    sessions: int


def signals(
    actions: pl.DataFrame, sessions: pl.LazyFrame, buying: pl.Series, session_funnel: pl.DataFrame, source_kind: str,
    minimum_group: int, rate: float,
) -> Signals | LeftOut:  # fmt: skip
    """Odds ratio and lift of each signal.

    `actions` is the mart `signals`, `sessions` the mart `sessions` (session_id, customer_id, device, channel),
    `buying` the ids of sessions with an order, `session_funnel` its mart.
    """
    if source_kind == "transactions":
        return LeftOut("The source records orders only, so there are no sessions to tell buyers by.")
    everyone = session_funnel.filter(pl.col("grouping_name") == "all")
    every = _matrix(everyone.with_columns(pl.lit(0).alias("place")), 1)
    if not every[1].sum():
        return LeftOut("The log holds no purchase.")
    rows = pl.concat(
        [
            actions.select(
                pl.lit("action").alias("kind"), pl.col("action").alias("signal"), "cluster", "customers", "buyers",
                "sessions", "buying", "at_purchase",
            ),
            session_funnel.filter(pl.col("grouping_name") == "newness").select(
                pl.lit("newness").alias("kind"), pl.col("group_name").alias("signal"), "cluster", "customers", "buyers",
                "sessions", "buying", pl.lit(None, pl.Int64).alias("at_purchase"),
            ),
            *(_circumstance(sessions, buying, kind) for kind in ("device", "channel")),
        ]
    )  # fmt: skip
    counted = rows.group_by("kind", "signal").agg(
        pl.col("customers", "buyers", "sessions", "at_purchase", "buying").sum()
    )
    listed = (
        pl.concat([_publishable(own, minimum_group) for _, own in counted.group_by("kind", maintain_order=True)])
        .filter(pl.col("sessions") < every[0].sum())
        .sort("sessions", "kind", "signal", descending=[True, False, False])
        .head(MOST)
    )
    if listed.is_empty():
        return LeftOut("The source names no action, device or channel that enough customers have in common.")
    place = listed.select("kind", "signal").with_row_index("place")
    with_signal = _matrix(rows.join(place, on=["kind", "signal"]), listed.height)
    without = tuple(whole - part for whole, part in zip(every, with_signal, strict=True))
    found = _estimates(with_signal, without, every)
    if not np.isfinite(found["odds_ratio"]).any():
        return LeftOut("No action, device or channel divides the sessions into some with and some without an order.")
    p = found.pop("p")
    known = np.isfinite(p)
    told = np.zeros(len(p), bool)
    if known.any():
        told[known] = false_discovery_control(p[known]) < rate
    direct = pl.when(pl.col("kind") == "action", pl.col("buying") > 0).then(pl.col("at_purchase") / pl.col("buying"))
    table = listed.select(
        pl.col("kind").replace_strict(KINDS),
        "signal",
        "sessions",
        (pl.col("sessions") / every[0].sum()).alias("share"),
        *(pl.Series(name, values, nan_to_null=True) for name, values in found.items()),
        direct.alias("at_purchase"),
        pl.Series("p", p, nan_to_null=True),
        pl.Series("told", told),
    ).with_columns((pl.col("at_purchase") >= PART_OF_PURCHASE).fill_null(value=False).alias("leak"))
    return Signals(table.sort("leak", "odds_ratio", descending=[False, True], nulls_last=True), int(every[0].sum()))


def _publishable(own: pl.DataFrame, minimum_group: int) -> pl.DataFrame:
    """Signals of one kind with enough customers and buyers.

    Devices, channels and visits divide all sessions, so that a hidden one may follow from the others: with it the next
    larger is hidden.
    """
    small = own["customers"].to_numpy() < minimum_group
    buyers = own["buyers"].to_numpy()
    alone = own["kind"][0] == "action"
    hide = small | few(buyers, minimum_group) if alone else hidden(buyers, minimum_group, also=small)
    return own.filter(~pl.Series(hide))


def _matrix(rows: pl.DataFrame, columns: int) -> tuple[Floats, Floats]:
    """Sessions and buying sessions, clusters × signals."""
    totals = np.zeros((2, CLUSTERS, columns))
    at = (rows["cluster"].to_numpy(), rows["place"].to_numpy())
    for k, name in enumerate(("sessions", "buying")):
        np.add.at(totals[k], at, rows[name].to_numpy())
    return totals[0], totals[1]


def _circumstance(sessions: pl.LazyFrame, buying: pl.Series, kind: str) -> pl.DataFrame:
    """Sessions by device or channel, in the columns of the actions."""
    bought = pl.col("bought")
    return (
        sessions.drop_nulls(kind)
        .with_columns(
            (pl.coalesce("customer_id", "session_id").abs() % CLUSTERS).alias("cluster"),
            pl.col("session_id").is_in(buying.implode()).alias("bought"),
        )
        .group_by(pl.col(kind).alias("signal"), "cluster")
        .agg(
            pl.col("customer_id").n_unique().cast(pl.Int64).alias("customers"),
            pl.col("customer_id").filter(bought).n_unique().cast(pl.Int64).alias("buyers"),
            pl.len().cast(pl.Int64).alias("sessions"),
            bought.sum().cast(pl.Int64).alias("buying"),
        )
        .select(
            pl.lit(kind).alias("kind"), "signal", "cluster", "customers", "buyers", "sessions", "buying",
            pl.lit(None, pl.Int64).alias("at_purchase"),
        )
        .sort("signal", "cluster")
        .collect(engine="streaming")
    )  # fmt: skip


def _estimates(
    with_signal: tuple[Floats, Floats], without: tuple[Floats, ...], every: tuple[Floats, Floats]
) -> dict[str, Floats]:
    """Conversion, odds ratio and lift with their intervals, and the p-value of no difference."""
    conversion = shares(with_signal[1], with_signal[0])
    odds = log_ratios(with_signal[1], with_signal[0] - with_signal[1]).minus(
        log_ratios(without[1], without[0] - without[1])
    )
    lift = log_ratios(with_signal[1], with_signal[0]).minus(log_ratios(every[1], every[0]))
    found = {"conversion": conversion.value, "conversion_low": conversion.low, "conversion_high": conversion.high}
    for name, ratios in (("odds_ratio", odds), ("lift", lift)):
        low, high = ratios.intervals()
        found |= {name: np.exp(ratios.values), f"{name}_low": low, f"{name}_high": high}
    return found | {"p": odds.p_values()}


def most_telling(found: Signals) -> dict[str, Any] | None:
    """The row of the early action with the largest reliable odds ratio, else of the circumstance; None without any."""
    early = found.table.filter("told", ~pl.col("leak"), pl.col("odds_ratio") > 1)
    actions = early.filter(pl.col("kind") == KINDS["action"])
    best = actions if actions.height else early
    return best.row(0, named=True) if best.height else None


def named(table: pl.DataFrame) -> list[str]:
    """Names of the signals; a circumstance with its kind, since a channel may be called like an action."""
    return [
        signal if kind == KINDS["action"] else f"{kind}: {signal}"
        for kind, signal in table.select("kind", "signal").iter_rows()
    ]


def answer(found: Signals | LeftOut, formats: Formats) -> str:
    """The early action that tells a buyer most, and the ones that are part of the purchase, in Markdown."""
    if isinstance(found, LeftOut):
        return found.reason
    sentences = []
    row = most_telling(found)
    if row is None:
        sentences.append("No early action or circumstance reliably tells a session that ends with an order.")
    else:
        odds = formats.value(row["odds_ratio"], "factor", (row["odds_ratio_low"], row["odds_ratio_high"]))
        lift = formats.value(row["lift"], "factor", (row["lift_low"], row["lift_high"]))
        sentences.append(
            f"What tells a buyer most is {escaped(row['signal'])}: {odds} the odds of an order, a conversion of {lift} "
            "the average."
        )
    leaks = found.table.filter("leak")["signal"].to_list()
    if leaks:
        verb = "is" if len(leaks) == 1 else "are"
        sentences.append(
            f"{', '.join(map(escaped, leaks))} {verb} part of the purchase itself: once it happens nothing more is "
            "looked at, so it tells nothing early, and a model that sees it would be taught the answer."
        )
    return " ".join(sentences)
