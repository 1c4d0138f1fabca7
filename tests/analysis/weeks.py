"""Shops by hour of the week, drawn from known rates: marts `rhythm` and `hourly` as the analysis reads them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from patternbook.analysis.temporal import CLUSTERS, SLOTS, Rhythm


def hourly(first: datetime, last: datetime) -> pl.DataFrame:
    """The two ends of a mart `hourly`, in local time."""
    return pl.DataFrame({"day": [first.date(), last.date()], "hour": [first.hour, last.hour]})


def shop(
    rng: np.random.Generator,
    customers: int,
    visits: np.ndarray,
    conversion: np.ndarray,
    weeks: int = 20,
    groups: dict[str, str] | None = None,
) -> pl.DataFrame:
    """The mart of customers who differ: each visits about gamma(0.8) × `visits` times an hour of the week.

    A visitor of a slot buys with the slot's `conversion`, times the customer's own eagerness (mean one).
    """
    cluster = np.arange(customers) % CLUSTERS
    eager = rng.gamma(0.8, 1 / 0.8, customers)
    sessions = rng.poisson(np.outer(eager, visits * weeks))
    own = rng.beta(4, 4, customers) * 2
    buying = rng.binomial(sessions, np.clip(np.outer(own, conversion), 0, 1))
    who, slot = np.nonzero(sessions)
    frame = pl.DataFrame(
        {
            "cluster": cluster[who],
            "slot": slot,
            "customers": 1,
            "sessions": sessions[who, slot],
            "buying_sessions": buying[who, slot],
            "session_buyers": (buying[who, slot] > 0).astype(int),
            "buyers": (buying[who, slot] > 0).astype(int),
            "orders": buying[who, slot],
            "revenue": 10.0 * buying[who, slot],
        }
    )
    summed = frame.group_by("cluster", "slot").agg(pl.exclude("cluster", "slot").sum())
    week = summed.with_columns(
        (pl.col("slot") // 24 + 1).cast(pl.Int32).alias("weekday"), (pl.col("slot") % 24).cast(pl.Int32).alias("hour")
    ).drop("slot")
    named = {"all": "all", **(groups or {})}
    return pl.concat(
        [
            week.with_columns(pl.lit(grouping).alias("grouping_name"), pl.lit(group).alias("group_name"))
            for grouping, group in named.items()
        ]
    )


def rhythm(mart: pl.DataFrame, weeks: int = 20, width: int = 3, minimum_group: int = 1) -> Rhythm:
    return Rhythm(mart, np.full(SLOTS, float(weeks)), width, minimum_group, sessions_known=True)


def smooth(values: np.ndarray, width: int = 3) -> np.ndarray:
    """Means over the hours around each."""
    reach = width // 2
    return sum(np.roll(values, shift) for shift in range(-reach, reach + 1)) / width


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=k) for k in range(count)]
