"""What is planted: every number that the simulated market behaves by, and how it grows with the market.

A mechanism that is switched off is nothing but neutral numbers in here; the code that simulates asks no switch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from patternbook.params import Mechanisms

SEGMENTS = ("bargain", "specialist", "explorer", "settled")
"""Bargain hunters look for promotions, specialists stay in their favourite department."""
SEGMENT_SHARES = (0.25, 0.30, 0.25, 0.20)

PLATFORMS = ("web", "mobile", "android", "ios", "market", "social", "store")
PLATFORM_SHARES = (0.36, 0.16, 0.18, 0.14, 0.07, 0.05, 0.04)
DEVICES = ("desktop", "phone", "tablet", "kiosk")
DEVICE_SHARES = (  # a row a platform, a column a device
    (0.97, 0.0, 0.03, 0.0),
    (0.0, 0.85, 0.15, 0.0),
    (0.0, 0.9, 0.1, 0.0),
    (0.0, 0.8, 0.2, 0.0),
    (0.5, 0.4, 0.1, 0.0),
    (0.15, 0.75, 0.1, 0.0),
    (0.0, 0.0, 0.2, 0.8),
)
CHANNELS = ("direct", "search", "email", "social", "ads", "partner")
CHANNEL_SHARES = (0.34, 0.27, 0.12, 0.10, 0.12, 0.05)
REGIONS = ("DE", "FR", "ES", "IT", "PL", "NL")
REGION_SHARES = (0.30, 0.20, 0.15, 0.15, 0.12, 0.08)

SIGNALS = ("search", "sign_in", "delivery_info", "checkout")

VISIT_HOURS = (14, 9, 6, 5, 6, 11, 24, 42, 56, 66, 70, 68, 66, 64, 66, 70, 76, 84, 94, 100, 98, 84, 56, 28)
ORDER_HOURS = (8, 5, 3, 2, 3, 6, 18, 40, 64, 84, 98, 100, 92, 86, 80, 74, 70, 68, 70, 74, 72, 58, 34, 16)
VISIT_WEEKDAYS = (0.97, 0.95, 0.95, 0.97, 1.00, 1.08, 1.08)
ORDER_WEEKDAYS = (1.08, 1.05, 1.03, 1.00, 1.06, 0.92, 0.86)
PAYDAYS = (25, 26, 27, 28, 29, 30, 31, 1, 2)


@dataclass(frozen=True)
class Scale:
    """Size of a market and the shares that change with it.

    Counts follow a power law through two anchors, shares a line in the logarithm of the events between them.
    `customers`, `products` and `sessions` are counts of the whole market; `buyers` the share of customers who would
    ever buy; `cart_given_order`, `cart_given_buyer_visit` and `cart_given_other_visit` the probability of a cart in a
    session with an order, and in one without by somebody who buys at other times or never; `removal` the probability
    that an abandoned cart is emptied; `guests` the share of sessions without a customer id.
    """

    events: float
    customers: float
    products: float
    sessions: float
    buyers: float
    cart_given_order: float
    cart_given_buyer_visit: float
    cart_given_other_visit: float
    removal: float
    guests: float


SAMPLE_SCALE = Scale(
    events=1_000_000,
    customers=40_000,
    products=2_000,
    sessions=180_000,
    buyers=0.28,
    cart_given_order=0.80,
    cart_given_buyer_visit=0.14,
    cart_given_other_visit=0.09,
    removal=0.15,
    guests=0.002,
)
"""Twelve months of a middling shop: about 50,000 purchases in a million events."""

REES46_SCALE = Scale(
    events=109_950_743,
    customers=5_316_649,
    products=206_876,
    sessions=23_016_650,
    buyers=0.161,
    cart_given_order=0.60,
    cart_given_buyer_visit=0.29,
    cart_given_other_visit=0.022,
    removal=0.0,
    guests=0.0,
)
"""REES46 in October and November 2019, with `months: 2`. Published: events, users, products and sessions (given as
they are), 94.9 / 3.6 / 1.5 % view / cart / purchase (met through `buyers` and the cart probabilities), no
removals, no missing customers. That log has neither signals nor platforms: with `mechanisms: {signals: false,
platforms: false}` shares and bytes a row come out like its own."""


def scale_of(events: int) -> Scale:
    """Scale of a market of `events` events."""
    small, large = SAMPLE_SCALE, REES46_SCALE
    position = math.log(events / small.events) / math.log(large.events / small.events)
    share = min(max(position, 0.0), 1.0)

    def count(low: float, high: float) -> float:
        return low * math.exp(position * math.log(high / low))

    def linear(low: float, high: float) -> float:
        return low + (high - low) * share

    return Scale(
        events=events,
        customers=max(100.0, count(small.customers, large.customers)),
        products=max(50.0, count(small.products, large.products)),
        sessions=count(small.sessions, large.sessions),
        buyers=linear(small.buyers, large.buyers),
        cart_given_order=linear(small.cart_given_order, large.cart_given_order),
        cart_given_buyer_visit=linear(small.cart_given_buyer_visit, large.cart_given_buyer_visit),
        cart_given_other_visit=linear(small.cart_given_other_visit, large.cart_given_other_visit),
        removal=linear(small.removal, large.removal),
        guests=linear(small.guests, large.guests),
    )


@dataclass(frozen=True)
class Buying:
    """When customers buy: the first order after an exponential delay, repeats by BG/NBD (Fader, Hardie & Lee 2005).

    From the first order on, a buyer of rate λ ~ Gamma(r, `alpha_weeks`) orders as a Poisson process and after each
    repeat order drops out with probability p ~ Beta(a, b).
    """

    buyers: float
    first_order_delay_weeks: float = 1.5
    repeats: bool = True
    r: float = 0.5
    alpha_weeks: float = 1.5
    a: float = 0.8
    b: float = 1.6


@dataclass(frozen=True)
class Spend:
    """Value of an order's main product: Gamma(p, ν) with ν ~ Gamma(q, v) a customer (Fader & Hardie 2013).

    The product is drawn by popularity among those whose list price is within `price_window` of the value.
    """

    p: float = 6.0
    q: float = 4.0
    v: float = 75.0
    price_window: float = 0.04


@dataclass(frozen=True)
class Funnel:
    """Probability of a cart in a session with an order, in other sessions of buyers and of those who never buy; of
    emptying an abandoned cart."""

    cart_given_order: float
    cart_given_buyer_visit: float
    cart_given_other_visit: float
    removal: float


@dataclass(frozen=True)
class Lines:
    """Order lines beyond the main product: some extra ones, and the complement of a product that has one."""

    extra: float = 0.2
    pair_share: float = 0.05
    attach: tuple[float, float] = (0.15, 0.45)
    same_brand: float = 0.6


@dataclass(frozen=True)
class Signal:
    """Probability that a session with and without an order shows the signal."""

    buying: float
    browsing: float


@dataclass(frozen=True)
class Rhythm:
    """Relative intensity of visits and orders by hour of day (UTC) and weekday (Monday first), and payday factor."""

    visit_hours: tuple[float, ...]
    order_hours: tuple[float, ...]
    visit_weekdays: tuple[float, ...]
    order_weekdays: tuple[float, ...]
    paydays: tuple[int, ...]
    payday_factor: float


@dataclass(frozen=True)
class Campaign:
    """Customers who had arrived are randomised; in the window the contacted order (1 + uplift) times as often.

    `begins` is the share of the period that has passed, `uplift` is by segment.
    """

    name: str
    begins: float
    days: int
    contacted: float
    uplift: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """From `days` before the end (at most a sixth of the period): factors on what holds before."""

    days: int
    orders: float
    views: float
    cart_given_visit: float


@dataclass(frozen=True)
class Promotions:
    """Share of products with a price change in the period, of product-weeks on promotion, and the discounts."""

    price_change: float
    promoted: float
    discounts: tuple[int, ...] = (5, 10, 15, 20, 30)


@dataclass(frozen=True)
class Usage:
    """How many platforms a customer uses (share with one, two, three), and how often it is the first."""

    platform_counts: tuple[float, float, float] = (0.65, 0.25, 0.10)
    home: float = 0.7


@dataclass(frozen=True)
class Dirt:
    """Share of rows written twice, of views at price zero, of events without category code and brand, of sessions
    whose id is another user's too, of sessions without a customer."""

    duplicates: float
    zero_price_views: float
    no_category_code: float
    no_brand: float
    shared_sessions: float
    guests: float


@dataclass(frozen=True)
class Behaviour:
    """All planted numbers of one market."""

    buying: Buying
    spend: Spend | None
    funnel: Funnel
    lines: Lines
    signals: dict[str, Signal]
    rhythm: Rhythm
    campaigns: tuple[Campaign, ...]
    drift: Drift
    promotions: Promotions
    usage: Usage | None
    dirt: Dirt
    research_visits: float = 0.8
    research_days: float = 2.0


def behaviour_of(scale: Scale, mechanisms: Mechanisms) -> Behaviour:
    """Planted numbers of a market of this scale, neutral where a mechanism is off."""
    return Behaviour(
        buying=Buying(buyers=scale.buyers, repeats=mechanisms.repeat_buying),
        spend=Spend() if mechanisms.spend else None,
        funnel=_funnel(scale, mechanisms),
        lines=Lines() if mechanisms.complements else replace(Lines(), pair_share=0.0, extra=0.0),
        signals=_signals() if mechanisms.signals else {},
        rhythm=_rhythm(mechanisms),
        campaigns=_campaigns() if mechanisms.campaigns else (),
        drift=Drift(42, 0.8, 1.3, 1.5) if mechanisms.drift else Drift(0, 1.0, 1.0, 1.0),
        promotions=Promotions(0.3, 0.08) if mechanisms.promotions else Promotions(0.0, 0.0),
        usage=Usage() if mechanisms.platforms else None,
        dirt=_dirt(scale) if mechanisms.dirt else Dirt(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    )


def _funnel(scale: Scale, mechanisms: Mechanisms) -> Funnel:
    if not mechanisms.funnel:
        return Funnel(0.0, 0.0, 0.0, 0.0)
    return Funnel(
        cart_given_order=scale.cart_given_order,
        cart_given_buyer_visit=scale.cart_given_buyer_visit,
        cart_given_other_visit=scale.cart_given_other_visit,
        removal=scale.removal,
    )


def _signals() -> dict[str, Signal]:
    return {
        "search": Signal(buying=0.30, browsing=0.20),
        "sign_in": Signal(buying=0.70, browsing=0.12),
        "delivery_info": Signal(buying=0.40, browsing=0.04),
        "checkout": Signal(buying=0.95, browsing=0.02),
    }


def _rhythm(mechanisms: Mechanisms) -> Rhythm:
    flat_day, flat_week = (1.0,) * 24, (1.0,) * 7
    hours = mechanisms.hours
    return Rhythm(
        visit_hours=VISIT_HOURS if hours else flat_day,
        order_hours=ORDER_HOURS if hours else flat_day,
        visit_weekdays=VISIT_WEEKDAYS if hours else flat_week,
        order_weekdays=ORDER_WEEKDAYS if hours else flat_week,
        paydays=PAYDAYS,
        payday_factor=1.35 if mechanisms.payday else 1.0,
    )


def _campaigns() -> tuple[Campaign, ...]:
    return (
        Campaign("first_contact", begins=0.40, days=28, contacted=0.5, uplift=(0.60, 0.30, 0.15, 0.0)),
        Campaign("win_back", begins=0.65, days=28, contacted=0.5, uplift=(0.80, 0.40, 0.20, 0.0)),
    )


def _dirt(scale: Scale) -> Dirt:
    """Shares of the REES46 log: 130,739 duplicates, 256,761 rows at zero, 940 shared sessions; see REES46_SCALE."""
    rees = REES46_SCALE
    return Dirt(
        duplicates=130_739 / rees.events,
        zero_price_views=256_761 / (0.949 * rees.events),
        no_category_code=0.322,
        no_brand=0.139,
        shared_sessions=940 / rees.sessions,
        guests=scale.guests,
    )
