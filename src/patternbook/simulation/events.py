"""From sessions to events: the clicks of each session, in blocks that are expanded one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.params import EventType
from patternbook.simulation.behaviour import (
    CHANNEL_SHARES,
    DEVICE_SHARES,
    SIGNALS,
    Behaviour,
    Drift,
)
from patternbook.simulation.catalogue import Catalogue
from patternbook.simulation.clock import WEEK, Period, drift_start
from patternbook.simulation.customers import Customers
from patternbook.simulation.draw import pick
from patternbook.simulation.sessions import Sessions

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

BLOCK = 1 << 16
"""Sessions that share one random stream. Part of the simulator: another size is another market."""

EVENTS = ("view", "cart", "remove_from_cart", "purchase", *SIGNALS)
"""Event names by code, as the event_type column spells them."""
VIEW, CART, REMOVE, PURCHASE = range(4)
EVENT_NAMES: dict[str, EventType] = {
    "view": "view",
    "cart": "cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
    **dict.fromkeys(SIGNALS, "other"),
}
"""How a reader takes the names: signals are `other` events that keep their name."""

PAUSE_SECONDS = 40.0
SAME_PRODUCT, SAME_SHELF = 0.45, 0.90
"""A view is of the session's product, else of one beside it (up to these cumulated shares), else of any product."""
SHELF_REACH = 10


@dataclass(frozen=True)
class World:
    """All that a block of sessions needs to know.

    `views` is the mean number of free views of a plain visit; `without_code` and `without_brand` tell the products
    whose category code and brand the file leaves empty.
    """

    period: Period
    behaviour: Behaviour
    catalogue: Catalogue
    customers: Customers
    sessions: Sessions
    views: float
    without_code: Flags
    without_brand: Flags


@dataclass(frozen=True)
class _Plan:
    """What happens in each session of a block: flags, and the lines (products carted or bought) by session."""

    order: Flags
    cart: Flags
    removed: Flags
    free_views: Longs
    signals: dict[str, Flags]
    line_session: Longs
    line_product: Ints
    lines: Longs


def free_views(
    sessions: Sessions, buyer: Flags, catalogue: Catalogue, behaviour: Behaviour, period: Period, rows: int
) -> float:
    """Mean number of free views with which the market has about `rows` rows in all.

    Free views are those beyond the one view of each line; a session without lines has at least one. `buyer` tells
    whether each session is by somebody who ever buys.
    """
    funnel = behaviour.funnel
    drifted = _drifted(sessions.start, period, behaviour.drift)
    orders = float(sessions.order.sum())
    order_lines = orders * (1 + behaviour.lines.extra) + catalogue.attach[sessions.focus[sessions.order]].sum()
    abandoned = float((_cart_given_visit(buyer, drifted, behaviour) * ~sessions.order).sum())
    carts = order_lines * funnel.cart_given_order + abandoned
    signals = sum(
        signal.buying * orders + signal.browsing * (len(sessions) - orders) for signal in behaviour.signals.values()
    )
    fixed = order_lines + abandoned + carts + abandoned * funnel.removal + order_lines + signals
    left = rows / (1 + behaviour.dirt.duplicates) - fixed
    effort = np.where(drifted, behaviour.drift.views, 1.0).sum()
    return max(1.05, float((left + orders + abandoned) / effort))


def block_events(world: World, first: int, rng: np.random.Generator) -> pl.DataFrame:
    """Events of the sessions [first, first + BLOCK), by session and then time, without those after the period's end.

    Columns are codes: `time` (seconds since the start), `event`, `product`, `customer`, `session`, `uuid` (indices,
    product and customer -1 where there is none), `cents`, `percent` (discount), `platform`, `device`, `channel`,
    `copy` (the row repeats the one before).
    """
    block = slice(first, first + BLOCK)
    customer, start = world.sessions.customer[block], world.sessions.start[block]
    plan = _plan(world, block, rng)
    session, event, product = _lay_out(world, block, plan, rng)
    time = _times(start, session, rng)
    visible = np.where(world.sessions.guest[block], np.int32(-1), customer)
    platform, device, channel = _circumstances(world, customer, rng)
    cents, percent = _prices(world, time, event, product, rng)
    frame = pl.DataFrame(
        {
            "time": time,
            "event": event,
            "product": product,
            "customer": visible[session],
            "session": (session + first).astype(np.int32),
            "uuid": world.sessions.uuid[block][session],
            "cents": cents,
            "percent": percent,
            "platform": platform[session],
            "device": device[session],
            "channel": channel[session],
        }
    )
    return _with_copies(frame, world.behaviour.dirt.duplicates, rng).filter(pl.col("time") < world.period.seconds)


def _drifted(start: Ints, period: Period, drift: Drift) -> Flags:
    return start >= drift_start(period, drift)


def _cart_given_visit(buyer: Flags, drifted: Flags, behaviour: Behaviour) -> Floats:
    funnel = behaviour.funnel
    usual = np.where(buyer, funnel.cart_given_buyer_visit, funnel.cart_given_other_visit)
    return usual * np.where(drifted, behaviour.drift.cart_given_visit, 1.0)


def _plan(world: World, block: slice, rng: np.random.Generator) -> _Plan:
    behaviour, catalogue = world.behaviour, world.catalogue
    order, focus = world.sessions.order[block], world.sessions.focus[block]
    drifted = _drifted(world.sessions.start[block], world.period, behaviour.drift)
    size = len(order)
    given_visit = _cart_given_visit(world.customers.buyer[world.sessions.customer[block]], drifted, behaviour)
    cart = rng.random(size) < np.where(order, behaviour.funnel.cart_given_order, given_visit)
    removed = cart & ~order & (rng.random(size) < behaviour.funnel.removal)
    views = world.views * np.where(drifted, behaviour.drift.views, 1.0)
    line_session, line_product = _lines(order, cart, focus, catalogue, behaviour, rng)
    return _Plan(
        order=order,
        cart=cart,
        removed=removed,
        free_views=_geometric(rng, views) - (order | cart),
        signals={
            name: rng.random(size) < np.where(order, signal.buying, signal.browsing)
            for name, signal in behaviour.signals.items()
        },
        line_session=line_session,
        line_product=line_product,
        lines=np.bincount(line_session, minlength=size),
    )


def _geometric(rng: np.random.Generator, mean: Floats) -> Longs:
    """Geometric numbers from 1 on, by inversion of the exponential distribution."""
    return 1 + np.floor(rng.standard_exponential(len(mean)) / -np.log1p(-1 / mean)).astype(np.int64)


def _lines(
    order: Flags, cart: Flags, focus: Ints, catalogue: Catalogue, behaviour: Behaviour, rng: np.random.Generator
) -> tuple[Longs, Ints]:
    """Session and product of each line: the main product, extra ones, the complement; in the order of sessions."""
    main = np.flatnonzero(order | cart)
    buying = np.flatnonzero(order)
    extra = np.repeat(buying, rng.poisson(behaviour.lines.extra, len(buying)))
    extra_product = catalogue.pool[rng.integers(0, len(catalogue.pool), len(extra))]
    # no second main product, and none with a complement: so that `attach` is what the orders show
    fits = (extra_product != focus[extra]) & (catalogue.complement[extra_product] < 0)
    fits &= extra_product != catalogue.complement[focus[extra]]
    attached = buying[rng.random(len(buying)) < catalogue.attach[focus[buying]]]
    session = np.concatenate([main, extra[fits], attached])
    product = np.concatenate([focus[main], extra_product[fits], catalogue.complement[focus[attached]]])
    by_session = np.argsort(session, kind="stable")
    return session[by_session], product[by_session]


def _lay_out(
    world: World, block: slice, plan: _Plan, rng: np.random.Generator
) -> tuple[Longs, npt.NDArray[np.int8], Ints]:
    """Session (within the block), event code and product of every event, by session and place within it."""
    steps = _steps(plan)
    counts = np.stack([count for _, count, _ in steps])
    first_of_step = np.concatenate([np.zeros((1, counts.shape[1]), dtype=np.int64), np.cumsum(counts, axis=0)])
    length = first_of_step[-1]
    offset = np.concatenate([[0], np.cumsum(length)])
    session = np.repeat(np.arange(len(length)), length)
    event = np.empty(len(session), dtype=np.int8)
    product = np.full(len(session), -1, dtype=np.int32)
    for (code, count, products), step_start in zip(steps, first_of_step, strict=False):
        place = _places(offset[:-1] + step_start, count)
        event[place] = code
        if products is not None:
            product[place] = products
    free = (event == VIEW) & (product < 0)
    product[free] = _browsed(world.catalogue, world.sessions.focus[block][session[free]], rng)
    return session, event, product


def _steps(plan: _Plan) -> list[tuple[int, Longs, Ints | None]]:
    """The steps of a session in their order: event code, how often in each session, products of lines."""
    none = np.zeros(len(plan.lines), dtype=np.int64)

    def signal(name: str) -> tuple[int, Longs, None]:
        flags = plan.signals.get(name)
        return EVENTS.index(name), none if flags is None else flags.astype(np.int64), None

    def line(code: int, happens: Flags) -> tuple[int, Longs, Ints]:
        return code, plan.lines * happens, plan.line_product[happens[plan.line_session]]

    return [
        signal("search"),
        (VIEW, plan.free_views, None),
        signal("sign_in"),
        line(VIEW, plan.lines > 0),
        line(CART, plan.cart),
        line(REMOVE, plan.removed),
        signal("delivery_info"),
        signal("checkout"),
        line(PURCHASE, plan.order),
    ]


def _places(start: Longs, count: Longs) -> Longs:
    """start, start + 1, … (count of them) for each pair, one after the other."""
    total = np.cumsum(count)
    return np.repeat(start - (total - count), count) + np.arange(total[-1])


def _browsed(catalogue: Catalogue, focus: Ints, rng: np.random.Generator) -> Ints:
    """A product looked at in a session about `focus`."""
    where = rng.random(len(focus))
    beside = catalogue.shelf[focus] + rng.integers(-SHELF_REACH, SHELF_REACH + 1, len(focus), dtype=np.int32)
    beside = np.clip(beside, catalogue.shelf_start[focus], catalogue.shelf_end[focus] - 1)
    popular = catalogue.pool[rng.integers(0, len(catalogue.pool), len(focus))]
    return np.where(where < SAME_PRODUCT, focus, np.where(where < SAME_SHELF, catalogue.by_category[beside], popular))


def _times(start: Ints, session: Longs, rng: np.random.Generator) -> Ints:
    """Second of each event: the first at the session's start, then a pause of at least one second before each."""
    pause = 1 + (PAUSE_SECONDS * rng.standard_exponential(len(session), dtype=np.float32)).astype(np.int64)
    opens = np.flatnonzero(np.diff(session, prepend=-1))
    elapsed = np.cumsum(pause)
    return (start[session] + elapsed - elapsed[opens][session]).astype(np.int32)


def _circumstances(
    world: World, customer: Ints, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Platform, device and channel of each session; -1 when platforms are off."""
    size, usage = len(customer), world.behaviour.usage
    if usage is None:
        unknown = np.full(size, -1, dtype=np.int8)
        return unknown, unknown, unknown
    platforms = world.customers.platforms[customer]
    used = (platforms >= 0).sum(axis=1)
    away = (rng.random(size) >= usage.home) & (used > 1)
    which = np.where(away, 1 + np.floor(rng.random(size) * (used - 1)).astype(np.int64), 0)
    platform = platforms[np.arange(size), which]
    edges = np.cumsum(DEVICE_SHARES, axis=1)[:, :-1]
    device = (rng.random(size)[:, None] >= edges[platform]).sum(axis=1).astype(np.int8)
    return platform, device, pick(rng, CHANNEL_SHARES, size)


def _prices(
    world: World, time: Ints, event: npt.NDArray[np.int8], product: Ints, rng: np.random.Generator
) -> tuple[Ints, npt.NDArray[np.int8]]:
    """Unit price in cents and discount in percent; some views show no price but zero. 0 where there is no product."""
    catalogue = world.catalogue
    week = np.minimum(time // WEEK, len(catalogue.price) - 1)
    known = product >= 0
    cents = np.where(known, catalogue.price[week, product], 0)
    percent = np.where(known, catalogue.discount[week, product], 0)
    unpriced = (event == VIEW) & (rng.random(len(event)) < world.behaviour.dirt.zero_price_views)
    cents[unpriced] = 0
    return cents.astype(np.int32), percent.astype(np.int8)


def _with_copies(frame: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """Some rows twice, the copy right behind and marked."""
    times = 1 + (rng.random(len(frame)) < share)
    row = np.repeat(np.arange(len(frame)), times)
    copy = np.diff(row, prepend=-1) == 0
    return frame[row].with_columns(pl.Series("copy", copy))
