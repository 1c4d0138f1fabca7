"""What a forecast of purchases knows of each customer: the columns of the model, in words, and why each may be known.

Everything is worked out from one row of the mart `features`. What is estimated for it (BG/NBD for P(alive), the cut
points of the scores, the known names of platforms) comes from the earliest training cutoff and stays as it is, so no
later forecast sees more, and a saved model needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from patternbook.analysis import bgnbd, segmentation
from patternbook.analysis.intervals import Floats
from patternbook.analysis.likelihood import NotIdentified

DAYS = (1, 3, 7, 14, 30)
NAMES = ("platform", "device", "channel", "region")
EVENTS_WHY = "counted from events before the cutoff"
CLOCK_WHY = "time between an event before the cutoff and the cutoff"
CATALOGUE_WHY = (
    "counted from events before the cutoff; which one a product belongs to is what the log, later days included, says "
    "of the product most often"
)
LEARNED_WHY = "from the customer's own events before the cutoff, with numbers learned at the earliest training cutoff"


class Predictor(NamedTuple):
    """A column of the model: `phrase` says its value in words, `never` that there is none; `why` it may be known."""

    name: str
    family: str
    phrase: str
    never: str = ""
    unit: str = "count"
    why: str = EVENTS_WHY


def _windows(name: str, family: str, phrase: str, days: Sequence[int] = DAYS, unit: str = "count") -> list[Predictor]:
    within = [
        Predictor(f"{name}_{n}d", family, f"{phrase} in the last {'day' if n == 1 else f'{n} days'}", unit=unit)
        for n in days
    ]
    return [Predictor(name, family, f"{phrase} in all", unit=unit), *within]


def _since(name: str, family: str, phrase: str, never: str) -> Predictor:
    return Predictor(name, family, f"{phrase} {{}} ago", never, "days", CLOCK_WHY)


PREDICTORS: tuple[Predictor, ...] = (
    _since("days_since_event", "last visit", "last seen", ""),
    _since("days_since_view", "last visit", "last looked at a product", "has never looked at a product"),
    _since("days_since_purchase", "last order", "last ordered", "has never ordered"),
    _since("days_since_first_purchase", "last order", "first ordered", "has never ordered"),
    Predictor("recency_score", "last order", "recency score {} of 5", "has never ordered", why=LEARNED_WHY),
    *_windows("orders", "orders", "{} orders"),
    Predictor("order_days", "orders", "orders on {} days"),
    Predictor("units", "orders", "{} units bought"),
    Predictor("conversion", "orders", "{} orders a visit", unit="number"),
    Predictor("frequency_score", "orders", "frequency score {} of 5", "has never ordered", why=LEARNED_WHY),
    Predictor("p_alive", "still a customer", "{} likely still a customer", "has never ordered", "share", LEARNED_WHY),
    *_windows("revenue", "spend", "spent {}", unit="currency"),
    Predictor("order_value", "spend", "{} an order", "has never ordered", "currency"),
    Predictor("monetary_score", "spend", "money score {} of 5", "has never ordered", why=LEARNED_WHY),
    _since("days_since_cart", "cart", "last cart", "has never had a cart"),
    *_windows("carts", "cart", "{} products put into a cart"),
    Predictor("carts_since_purchase", "cart", "{} products put into a cart since the last order"),
    Predictor("cart_rate", "cart", "a cart in {} of visits", unit="share"),
    _since("days_since_removal", "cart", "last removed from a cart", "has never removed from a cart"),
    *_windows("removals", "cart", "{} removals from a cart", (30,)),
    *_windows("views", "views", "{} products looked at"),
    Predictor("products", "views", "{} different products seen"),
    Predictor("categories", "views", "products of {} categories seen", why=CATALOGUE_WHY),
    Predictor("brands", "views", "products of {} brands seen", why=CATALOGUE_WHY),
    *_windows("sessions", "visits", "{} visits"),
    Predictor("active_days", "visits", "active on {} days in all"),
    Predictor("active_days_7d", "visits", "active on {} of the last 7 days"),
    Predictor("active_days_30d", "visits", "active on {} of the last 30 days"),
    Predictor("events", "visits", "{} events in all"),
    Predictor("events_7d", "visits", "{} events in the last 7 days"),
    Predictor("trend", "visits", "activity of the last week {} that of the four weeks before", unit="factor"),
    _since("days_since_signal", "signals", "last sign-in, search or the like", "no sign-in, search or the like"),
    *_windows("signals", "signals", "{} sign-ins, searches and the like", (7, 30)),
    _since("days_known", "time known", "first seen", ""),
    Predictor("mean_viewed_price", "prices", "looks at products of {} on average", "no price seen", "currency"),
    Predictor("highest_viewed_price", "prices", "looked at products up to {}", "no price seen", "currency"),
    Predictor("discount_seen", "prices", "{} of views at a discount", "no view", "share"),
    Predictor("discount_bought", "prices", "{} of purchases at a discount", "has never ordered", "share"),
    Predictor("night_share", "times of day", "{} of activity at night", unit="share"),
    Predictor("morning_share", "times of day", "{} of activity in the morning", unit="share"),
    Predictor("evening_share", "times of day", "{} of activity in the evening", unit="share"),
    Predictor("weekend_share", "times of day", "{} of activity at the weekend", unit="share"),
    Predictor("platforms", "platform", "uses {} platforms"),
    *(Predictor(name, "platform", f"last {name}: {{}}", f"no {name} known", "text") for name in NAMES),
)  # fmt: skip
COLUMNS = tuple(predictor.name for predictor in PREDICTORS)
FAMILIES = tuple(dict.fromkeys(predictor.family for predictor in PREDICTORS))


@dataclass(frozen=True)
class Preparation:
    """What is learned before the model: BG/NBD (None where it cannot be fitted), cut points, known names."""

    buying: tuple[float, float, float, float] | None
    cuts: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None
    names: dict[str, tuple[str, ...]]

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"buying": self.buying, "cuts": self.cuts, "names": self.names}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Preparation:
        """The preparation of a saved model."""
        return cls(
            None if kept["buying"] is None else tuple(kept["buying"]),
            None if kept["cuts"] is None else _three(kept["cuts"]),
            {name: tuple(values) for name, values in kept["names"].items()},
        )


def _three(points: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    recency, frequency, monetary = (tuple(map(float, kind)) for kind in points)
    return recency, frequency, monetary


def prepare(features: pl.DataFrame) -> Preparation:
    """Learn from the features of one cutoff."""
    history = _history(features.drop_nulls("last_order_day"))
    try:
        fitted = bgnbd.fit_bgnbd(history["x"], history["t_x"], history["T"]) if history.height else None
    except NotIdentified:
        fitted = None
    enough = history.height >= segmentation.FIFTHS
    points = segmentation.cuts(history) if enough else None
    return Preparation(
        buying=None if fitted is None else (fitted.r, fitted.alpha, fitted.a, fitted.b),
        cuts=None if points is None else _three(points),
        names={name: tuple(sorted(features[name].drop_nulls().unique())) for name in NAMES},
    )


def _history(features: pl.DataFrame) -> pl.DataFrame:
    """What BG/NBD and the scores know of each buyer, in weeks and days as of the cutoff's eve."""
    eve = pl.col("cutoff") - pl.duration(days=1)
    first, last = pl.col("first_order_day"), pl.col("last_order_day")
    return features.select(
        (pl.col("order_days") - 1).alias("x"),
        ((last - first).dt.total_days() / 7).alias("t_x"),
        ((eve.cast(pl.Date) - first).dt.total_days() / 7).alias("T"),
        (eve.cast(pl.Date) - last).dt.total_days().alias("recency"),
        pl.col("order_days").alias("frequency"),
        pl.col("revenue").cast(pl.Float64).round(4).alias("monetary"),
    )


def columns(features: pl.DataFrame, preparation: Preparation) -> pl.DataFrame:
    """The model's columns of each row of the mart `features`, as numbers; what is not known is null.

    A platform and the like is the number of its name; one that was never seen before is null.
    """
    given = [
        pl.col(predictor.name).cast(pl.Float64)
        for predictor in PREDICTORS
        if predictor.name in features.columns and predictor.name not in NAMES
    ]
    coded = [
        pl.col(name).replace_strict(
            {value: float(number) for number, value in enumerate(preparation.names[name])},
            default=None,
            return_dtype=pl.Float64,
        )
        for name in NAMES
    ]
    frame = features.select(*given, *coded, *_derived()).with_columns(_learned(features, preparation))
    return frame.select(COLUMNS)


def _derived() -> list[pl.Expr]:
    def ratio(over: str, under: str) -> pl.Expr:
        return pl.when(pl.col(under) > 0).then(pl.col(over).cast(pl.Float64) / pl.col(under))

    return [
        ratio("orders", "sessions").alias("conversion"),
        ratio("revenue", "orders").alias("order_value"),
        ratio("sessions_with_cart", "sessions").alias("cart_rate"),
        ((pl.col("events_7d") + 1) / (pl.col("events_4w_before") / 4 + 1)).alias("trend"),
        ratio("viewed_price", "priced_views").alias("mean_viewed_price"),
        ratio("discounted_views", "views").alias("discount_seen"),
        ratio("discounted_purchases", "units").alias("discount_bought"),
        *(
            ratio(f"{part}_events", "events").alias(f"{part}_share")
            for part in ("night", "morning", "evening", "weekend")
        ),
    ]


def _learned(features: pl.DataFrame, preparation: Preparation) -> list[pl.Series]:
    """P(alive) and the three scores, null for those who never ordered."""
    bought = features["last_order_day"].is_not_null().to_numpy()
    history = _history(features.filter(pl.Series(bought)))
    learned = dict.fromkeys(("p_alive", *segmentation.SCORES), np.full(features.height, np.nan))
    if preparation.buying is not None:
        alive = bgnbd.p_alive(np.array(preparation.buying), history["x"], history["t_x"], history["T"])
        learned["p_alive"] = _placed(alive, bought)
    if preparation.cuts is not None:
        at = segmentation.Cuts(*(np.array(points) for points in preparation.cuts))
        scores = segmentation.scored(history, at)
        learned |= {name: _placed(scores[name].cast(pl.Float64).to_numpy(), bought) for name in segmentation.SCORES}
    return [pl.Series(name, values).fill_nan(None) for name, values in learned.items()]


def _placed(values: Floats, where: Any) -> Floats:
    whole = np.full(len(where), np.nan)
    whole[where] = values
    return whole


def matrix(frame: pl.DataFrame) -> Floats:
    """`columns` as the trees take them: null is NaN."""
    values: Floats = frame.select(pl.col(COLUMNS).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    return values
