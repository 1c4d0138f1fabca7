"""Customers who do more than a person can: how many, and what share of all events is theirs."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from patternbook.analysis.measure import Measure
from patternbook.analysis.suppression import few
from patternbook.formats import Formats


class Bots(NamedTuple):
    """Flagged customers and their events; `share` of all events, theirs included; whether they were `excluded`."""

    customers: int
    events: int
    share: float
    excluded: bool


def bots(mart: pl.DataFrame, daily: pl.DataFrame, excluded: bool) -> Bots:
    """From the marts `bots` and `daily`; where bots are excluded, their events are in no other mart."""
    events = int(mart["events"].sum())
    every = int(daily["events"].sum()) + (events if excluded else 0)
    return Bots(mart.height, events, events / every, excluded)


def measures(found: Bots, minimum_group: int) -> list[Measure]:
    """What 06 records of bots; nothing of fewer than `minimum_group` of them, whose events would be theirs alone."""
    reason = (
        f"Fewer than {minimum_group} customers, too few to publish." if few(found.customers, minimum_group) else None
    )
    return [
        Measure(
            "bots",
            "Customers who do more than a person can",
            "count",
            None if reason else found.customers,
            reason=reason,
        ),
        Measure("bot_events", "Their share of all events", "share", None if reason else found.share, reason=reason),
    ]


def answer(found: Bots, events_a_day: int, events_in_all: int, minimum_group: int, formats: Formats) -> str:
    """How many customers are flagged and what happened to them, in one or two sentences."""
    rule = f"more than {formats.count(events_a_day)} events on one day or {formats.count(events_in_all)} in all"
    if not found.customers:
        return f"No customer has {rule}, so none is taken for a bot."
    fate = "excluded from every result" if found.excluded else "kept; quality.bots excludes them"
    if few(found.customers, minimum_group):
        return f"Fewer than {minimum_group} customers have {rule}, more than a person can. They are {fate}."
    return (
        f"In all, {formats.count(found.customers)} customers have {rule}, more than a person can: "
        f"{formats.tenths(found.share)} of all events. They are {fate}."
    )
