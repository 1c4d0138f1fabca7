"""Customers of the simulated market and their orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from patternbook.simulation.behaviour import (
    PLATFORM_SHARES,
    REGION_SHARES,
    SEGMENT_SHARES,
    Behaviour,
    Buying,
    Usage,
)
from patternbook.simulation.catalogue import DEPARTMENTS
from patternbook.simulation.clock import WEEK, Clock, Period, campaign_factor, campaign_window, order_intensity
from patternbook.simulation.draw import pick, spread_ids

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]

ARRIVAL_SHAPE = 1.3
"""Arrivals are the period times a uniform number to this power: somewhat more at the beginning."""


@dataclass(frozen=True)
class Customers:
    """Customers by index, in the order of their arrival. Times are seconds since the period's start.

    `rate` is λ a week, `dropout` p; both NaN for those who never buy, p also where nobody buys again. `alive_until`
    is the order after which the customer dropped out (infinite while alive, NaN for those who never buy).
    `spend_rate` is ν of the Gamma-Gamma model (NaN when spend is off). `platforms` holds up to three platforms a
    customer, -1 where there are fewer; `region` is -1 when platforms are off. `arms` holds a row a campaign: -1 not
    part of it, 0 control, 1 contacted.
    """

    customer_id: npt.NDArray[np.int64]
    arrived: Floats
    segment: Bytes
    region: Bytes
    favourite: Bytes
    platforms: Bytes
    buyer: npt.NDArray[np.bool_]
    rate: Floats
    dropout: Floats
    alive_until: Floats
    spend_rate: Floats
    arms: Bytes

    def __len__(self) -> int:
        return len(self.customer_id)


@dataclass(frozen=True)
class Orders:
    """Orders: customer index and second since the period's start, by customer and time."""

    customer: npt.NDArray[np.int32]
    time: npt.NDArray[np.int32]


def draw_customers(
    rng: np.random.Generator, count: int, period: Period, behaviour: Behaviour, visits: Clock
) -> tuple[Customers, Orders]:
    """`count` customers and all their orders within the period."""
    arrived = np.sort(visits.calendar(visits.end * rng.random(count) ** ARRIVAL_SHAPE))
    segment = pick(rng, SEGMENT_SHARES, count)
    arms = _arms(rng, arrived, period, behaviour)
    buyer = rng.random(count) < behaviour.buying.buyers
    rate, dropout = _rates(rng, buyer, behaviour.buying)
    orders, alive_until = _orders(rng, arrived, segment, arms, buyer, rate, dropout, period, behaviour)
    spend = behaviour.spend
    customers = Customers(
        customer_id=spread_ids(rng, count, 500_000_000, 56_000_000),
        arrived=arrived,
        segment=segment,
        region=pick(rng, REGION_SHARES, count) if behaviour.usage else np.full(count, -1, dtype=np.int8),
        favourite=rng.integers(0, len(DEPARTMENTS), count, dtype=np.int8),
        platforms=_platforms(rng, count, behaviour.usage),
        buyer=buyer,
        rate=rate,
        dropout=dropout,
        alive_until=alive_until,
        spend_rate=rng.gamma(spend.q, 1 / spend.v, count) if spend else np.full(count, np.nan),
        arms=arms,
    )
    return customers, orders


def _arms(rng: np.random.Generator, arrived: Floats, period: Period, behaviour: Behaviour) -> Bytes:
    arms = np.full((len(behaviour.campaigns), len(arrived)), -1, dtype=np.int8)
    for row, campaign in zip(arms, behaviour.campaigns, strict=True):
        begins, _ = campaign_window(period, campaign)
        taking_part = np.searchsorted(arrived, begins)  # arrivals are sorted
        row[:taking_part] = rng.random(taking_part) < campaign.contacted
    return arms


def _rates(rng: np.random.Generator, buyer: npt.NDArray[np.bool_], buying: Buying) -> tuple[Floats, Floats]:
    rate, dropout = np.full(len(buyer), np.nan), np.full(len(buyer), np.nan)
    buyers = int(buyer.sum())
    if buying.repeats:
        rate[buyer] = rng.gamma(buying.r, 1 / buying.alpha_weeks, buyers)
        dropout[buyer] = rng.beta(buying.a, buying.b, buyers)
    return rate, dropout


def _orders(
    rng: np.random.Generator,
    arrived: Floats,
    segment: Bytes,
    arms: Bytes,
    buyer: npt.NDArray[np.bool_],
    rate: Floats,
    dropout: Floats,
    period: Period,
    behaviour: Behaviour,
) -> tuple[Orders, Floats]:
    """Orders of all buyers, drawn in operational time, and when each customer dropped out."""
    clocks = _order_clocks(period, behaviour)
    clock_of = _clock_keys(segment, arms)
    ends = np.array([clock.end for clock in clocks])[clock_of]
    buyers = np.flatnonzero(buyer)
    delay = rng.exponential(behaviour.buying.first_order_delay_weeks * WEEK, len(buyers))
    now = _mapped(Clock.operational, clocks, clock_of[buyers], arrived[buyers]) + delay
    alive_until = np.where(buyer, np.inf, np.nan)

    active = now < ends[buyers]
    who, now = buyers[active], now[active]
    made_by, made_at = [who], [now]
    while len(who) and behaviour.buying.repeats:
        now = now + rng.standard_exponential(len(who)) * WEEK / rate[who]
        within = now < ends[who]
        who, now = who[within], now[within]
        made_by.append(who)
        made_at.append(now)
        leaves = rng.random(len(who)) < dropout[who]
        alive_until[who[leaves]] = now[leaves]
        who, now = who[~leaves], now[~leaves]

    customer, time = np.concatenate(made_by), np.concatenate(made_at)
    time = _mapped(Clock.calendar, clocks, clock_of[customer], time)
    gone = np.flatnonzero(np.isfinite(alive_until))
    alive_until[gone] = _mapped(Clock.calendar, clocks, clock_of[gone], alive_until[gone])
    order = np.lexsort((time, customer))
    return Orders(customer[order].astype(np.int32), time[order].astype(np.int32)), alive_until


def _order_clocks(period: Period, behaviour: Behaviour) -> list[Clock]:
    """One clock for each segment and set of campaigns that a customer is contacted by."""
    base = order_intensity(period, behaviour.rhythm, behaviour.drift)
    clocks = []
    for segment, *contacted in product(range(len(SEGMENT_SHARES)), *[(0, 1)] * len(behaviour.campaigns)):
        intensity = base.copy()
        for campaign, is_contacted in zip(behaviour.campaigns, contacted, strict=True):
            if is_contacted:
                intensity *= campaign_factor(period, campaign, campaign.uplift[segment])
        clocks.append(Clock(intensity))
    return clocks


def _clock_keys(segment: Bytes, arms: Bytes) -> npt.NDArray[np.int64]:
    """Place of each customer's clock in the list of `_order_clocks`."""
    keys = segment.astype(np.int64)
    for row in arms:
        keys = keys * 2 + (row == 1)
    return keys


def _mapped(
    direction: Callable[[Clock, Floats], Floats], clocks: list[Clock], keys: npt.NDArray[np.int64], times: Floats
) -> Floats:
    """Times mapped by each customer's own clock."""
    mapped = np.empty_like(times)
    for key, clock in enumerate(clocks):
        own = keys == key
        mapped[own] = direction(clock, times[own])
    return mapped


def _platforms(rng: np.random.Generator, count: int, usage: Usage | None) -> Bytes:
    """Up to three distinct platforms a customer, -1 where there are fewer."""
    if usage is None:
        return np.full((count, 3), -1, dtype=np.int8)
    home = pick(rng, PLATFORM_SHARES, count).astype(np.int64)
    used = pick(rng, usage.platform_counts, count) + 1
    size = len(PLATFORM_SHARES)
    to_second = rng.integers(1, size, count)
    to_third = rng.integers(1, size - 1, count)
    to_third += to_third >= to_second
    second = np.where(used > 1, (home + to_second) % size, -1)
    third = np.where(used > 2, (home + to_third) % size, -1)
    platforms = np.stack([home, second, third], axis=1)
    return platforms.astype(np.int8)
