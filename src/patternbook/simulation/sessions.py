"""Sessions of the simulated market: who comes when, whether there is an order, and which product it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from patternbook.simulation.behaviour import SEGMENTS, Behaviour
from patternbook.simulation.catalogue import Catalogue
from patternbook.simulation.clock import DAY, WEEK, Clock
from patternbook.simulation.customers import Customers, Orders
from patternbook.simulation.draw import in_order

Ints = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FOCUS_BLOCK = 1 << 18
CANDIDATES = 3
TASTE = 0.7

BUYER_VISITS = 3.0
"""Buyers visit this many times as often as others while they are active."""
FAREWELL_DAYS = 5.0
"""Mean time that a customer who dropped out still looks around."""
INTEREST_WEEKS = 10.0
"""Mean time that somebody who is no buyer comes back."""


@dataclass(frozen=True)
class Sessions:
    """Sessions by index, in the order of their start (seconds since the period's start).

    `focus` is the product that the session is about, `order` tells whether that product is bought. `uuid` is the
    index whose session id is written: the session's own, but for those that share the one before. The customer id of
    a `guest` is not written.
    """

    customer: Ints
    start: Ints
    order: Flags
    focus: Ints
    uuid: Ints
    guest: Flags

    def __len__(self) -> int:
        return len(self.start)


def draw_sessions(
    rng: np.random.Generator,
    customers: Customers,
    orders: Orders,
    catalogue: Catalogue,
    behaviour: Behaviour,
    visits: Clock,
    target: int,
) -> Sessions:
    """First visits, visits that prepare an order, orders, and as many more visits as make up about `target`."""
    prepared, prepared_at = _research(rng, customers, orders, behaviour)
    others = target - len(customers) - len(orders.time) - len(prepared)
    visitor, visited_at = _visits(rng, customers, visits, max(others, 0))

    leading = np.concatenate([np.arange(len(orders.time)), prepared])
    customer = np.concatenate(
        [orders.customer, orders.customer[prepared], np.arange(len(customers), dtype=np.int32), visitor]
    )
    start = np.concatenate([orders.time, prepared_at, customers.arrived.astype(np.int32), visited_at])
    focus = _focus(rng, customer, start, customers, catalogue, behaviour)
    focus[: len(leading)] = focus[leading]  # a prepared order is about what was looked at
    order = np.zeros(len(start), dtype=np.bool_)
    order[: len(orders.time)] = True

    by_start = np.sort((start.astype(np.int64) << 32) | np.arange(len(start))) & 0xFFFFFFFF
    customer = customer[by_start]
    guest = rng.random(len(start)) < behaviour.dirt.guests
    return Sessions(
        customer=customer,
        start=start[by_start],
        order=order[by_start],
        focus=focus[by_start],
        uuid=_session_ids(rng, np.where(guest, -1, customer), behaviour.dirt.shared_sessions),
        guest=guest,
    )


def _research(
    rng: np.random.Generator, customers: Customers, orders: Orders, behaviour: Behaviour
) -> tuple[npt.NDArray[np.int64], Ints]:
    """Visits in the days before an order: index of the order and time."""
    order = np.repeat(np.arange(len(orders.time)), rng.poisson(behaviour.research_visits, len(orders.time)))
    time = orders.time[order] - rng.exponential(behaviour.research_days * DAY, len(order))
    known = time > customers.arrived[orders.customer[order]]
    return order[known], time[known].astype(np.int32)


def _visits(rng: np.random.Generator, customers: Customers, clock: Clock, count: int) -> tuple[Ints, Ints]:
    """About `count` visits: Poisson while a customer is active, at a rate that differs between customers."""
    size = len(customers)
    begins = clock.operational(customers.arrived)
    ends = begins + rng.exponential(INTEREST_WEEKS * WEEK, size)
    alive = np.flatnonzero(np.isposinf(customers.alive_until))
    gone = np.flatnonzero(np.isfinite(customers.alive_until))
    if np.isfinite(customers.rate).any():  # without repeats nobody is a regular
        ends[alive] = clock.end
    ends[gone] = clock.operational(customers.alive_until[gone]) + rng.exponential(FAREWELL_DAYS * DAY, len(gone))
    duration = np.minimum(ends, clock.end) - begins
    eagerness = rng.gamma(0.8, size=size) * np.where(customers.buyer, BUYER_VISITS, 1.0) * duration
    visits = rng.poisson(eagerness * (count / eagerness.sum()))
    customer = np.repeat(np.arange(size, dtype=np.int32), visits)
    time = begins[customer] + duration[customer] * rng.random(len(customer))
    return customer, clock.calendar(time).astype(np.int32)


def _focus(
    rng: np.random.Generator,
    customer: Ints,
    start: Ints,
    customers: Customers,
    catalogue: Catalogue,
    behaviour: Behaviour,
) -> Ints:
    """Product that each session is about."""
    starts = range(0, len(customer), FOCUS_BLOCK)
    tasks = zip(starts, rng.spawn(len(starts)), strict=True)

    def choose(task: tuple[int, np.random.Generator]) -> Ints:
        block = slice(task[0], task[0] + FOCUS_BLOCK)
        return _focus_of_block(task[1], customer[block], start[block], customers, catalogue, behaviour)

    return np.concatenate(list(in_order(choose, tasks)))


def _focus_of_block(
    rng: np.random.Generator,
    customer: Ints,
    start: Ints,
    customers: Customers,
    catalogue: Catalogue,
    behaviour: Behaviour,
) -> Ints:
    """A few candidates a session, of which the first that suits the customer is taken."""
    candidate = partial(_candidate, rng, catalogue, *_price_window(rng, customers, customer, catalogue, behaviour))
    chosen = candidate()
    segment = customers.segment[customer]
    bargain, specialist = (segment == SEGMENTS.index(name) for name in ("bargain", "specialist"))
    week = start // WEEK
    choosy = (bargain | specialist) & (rng.random(len(customer)) < TASTE)
    favourite = customers.favourite[customer]

    def suits(product: Ints) -> Flags:
        promoted = catalogue.discount[week, product] > 0
        return np.where(bargain, promoted, catalogue.department[product] == favourite)

    for _ in range(CANDIDATES - 1):
        other = candidate()
        chosen = np.where(choosy & ~suits(chosen) & suits(other), other, chosen)
    return chosen


def _price_window(
    rng: np.random.Generator, customers: Customers, customer: Ints, catalogue: Catalogue, behaviour: Behaviour
) -> tuple[Floats, Floats]:
    """Bounds of the products that cost what the customer would spend, as cumulated popularity in the order of price."""
    size, spend = len(customer), behaviour.spend
    if spend is None:
        return np.zeros(size), np.full(size, catalogue.popularity_below[-1])
    value = rng.standard_gamma(spend.p, size) / customers.spend_rate[customer]
    below = np.searchsorted(catalogue.sorted_price, value * (1 - spend.price_window))
    above = np.searchsorted(catalogue.sorted_price, value * (1 + spend.price_window))
    below = np.minimum(below, len(catalogue) - 1)  # beyond the dearest, the dearest; in a gap, the next dearer
    above = np.maximum(above, below + 1)
    return catalogue.popularity_below[below], catalogue.popularity_below[above]


def _candidate(rng: np.random.Generator, catalogue: Catalogue, low: Floats, high: Floats) -> Ints:
    at = low + rng.random(len(low)) * (high - low)
    place = np.searchsorted(catalogue.popularity_below, at, side="right") - 1
    return catalogue.by_price[np.clip(place, 0, len(catalogue) - 1)]


def _session_ids(rng: np.random.Generator, customer: Ints, share: float) -> Ints:
    """Own index for nearly all; a few sessions have the id of the one that started before them."""
    uuid = np.arange(len(customer), dtype=np.int32)
    if share:
        wanted = max(1, round(share * len(uuid)))
        even = 2 * np.unique(rng.integers(1, len(uuid) // 2, 2 * wanted + 50))  # so that no three share
        possible = even[customer[even] != customer[even - 1]]
        sharing = rng.permutation(possible)[:wanted]
        uuid[sharing] -= 1
    return uuid
