"""The truth of a simulated market: what was planted and what was written, in files beside the CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.simulation.behaviour import PLATFORMS, REGIONS, SEGMENTS
from patternbook.simulation.catalogue import DEPARTMENTS, Catalogue
from patternbook.simulation.clock import DAY, Period, campaign_window, drift_start
from patternbook.simulation.events import CART, EVENTS, PURCHASE, VIEW, World
from patternbook.simulation.writer import names_at

ARMS = ("control", "contacted")
NEVER = np.iinfo(np.int32).max


class Tally:
    """Counts what is written, frame by frame in the order of time."""

    def __init__(self, world: World) -> None:
        customers = len(world.customers)
        self._world = world
        self._rows = np.zeros(len(EVENTS), dtype=np.int64)
        self._kept = np.zeros(len(EVENTS), dtype=np.int64)
        self._months = np.zeros(len(world.period.months()), dtype=np.int64)
        self._customers = np.zeros(customers, dtype=np.bool_)
        self._viewers = np.zeros(customers, dtype=np.bool_)
        self._products = np.zeros(len(world.catalogue), dtype=np.bool_)
        self._sessions = np.zeros(len(world.sessions), dtype=np.bool_)
        self._carted_sessions = np.zeros(len(world.sessions), dtype=np.bool_)
        self._ordered_sessions = np.zeros(len(world.sessions), dtype=np.bool_)
        self._first_cart = np.full(customers, NEVER, dtype=np.int32)
        self._last_purchase = np.full(customers, -1, dtype=np.int32)
        self._odd = {
            "rows_without_customer": 0,
            "rows_without_product": 0,
            "rows_at_price_zero": 0,
            "rows_without_category_code": 0,
            "rows_without_brand": 0,
        }
        self._cents = 0

    def add(self, events: pl.DataFrame) -> None:
        """Count the events of one frame."""
        event, time, product, customer, session, cents, copy = (
            events[name].to_numpy() for name in ("event", "time", "product", "customer", "session", "cents", "copy")
        )
        self._rows += np.bincount(event, minlength=len(EVENTS))
        self._kept += np.bincount(event[~copy], minlength=len(EVENTS))
        ends = [end for _, end in self._world.period.months()]
        self._months += np.diff(np.searchsorted(time, ends), prepend=0)
        named, about = customer >= 0, product >= 0
        self._customers[customer[named]] = True
        self._viewers[customer[named & (event == VIEW)]] = True
        self._products[product[about]] = True
        self._sessions[session] = True
        bought, carted = event == PURCHASE, event == CART
        self._ordered_sessions[session[bought]] = True
        self._carted_sessions[session[carted]] = True
        self._last_purchase[customer[bought & named]] = time[bought & named]  # of several, the last is assigned
        carts = np.flatnonzero(carted & named)[::-1]
        who = customer[carts]
        self._first_cart[who] = np.minimum(self._first_cart[who], time[carts])
        self._cents += int(cents[bought & ~copy].sum(dtype=np.int64))
        self._odd["rows_without_customer"] += int((~named).sum())
        self._odd["rows_without_product"] += int((~about).sum())
        self._odd["rows_at_price_zero"] += int((about & (cents == 0)).sum())
        self._odd["rows_without_category_code"] += int((~about | self._world.without_code[product]).sum())
        self._odd["rows_without_brand"] += int((~about | self._world.without_brand[product]).sum())

    def counts(self) -> dict[str, Any]:
        """What the files hold. `kept` counts are those after exact duplicates are dropped."""
        uuid = self._world.sessions.uuid[self._sessions]
        carted, bought = self._first_cart < NEVER, self._last_purchase >= 0
        with_cart, with_order = self._carted_sessions, self._ordered_sessions
        return {
            "rows": int(self._rows.sum()),
            "duplicates": int(self._rows.sum() - self._kept.sum()),
            "kept": int(self._kept.sum()),
            "rows_by_type": _by_name(self._rows),
            "kept_by_type": _by_name(self._kept),
            "rows_by_month": {
                name: int(rows) for (name, _), rows in zip(self._world.period.months(), self._months, strict=True)
            },
            **self._odd,
            "customers": int(self._customers.sum()),
            "products": int(self._products.sum()),
            "sessions": int(self._sessions.sum()),
            "source_sessions": len(np.unique(uuid)),
            "sessions_with_cart": int(with_cart.sum()),
            "orders": int(with_order.sum()),
            "orders_with_cart": int((with_cart & with_order).sum()),
            "revenue": self._cents / 100,
            "viewers": int(self._viewers.sum()),
            "carters": int(carted.sum()),
            "carters_to_purchase": int((carted & (self._last_purchase >= self._first_cart)).sum()),
            "buyers": int(bought.sum()),
            "buyers_without_cart": int((bought & ~carted).sum()),
        }


def planted(world: World) -> dict[str, Any]:
    """Every planted number, and what follows from them for this market (dates, expected funnel of a session)."""
    behaviour, period = world.behaviour, world.period
    numbers = asdict(behaviour)
    for entry, campaign in zip(numbers["campaigns"], behaviour.campaigns, strict=True):
        begins, ends = campaign_window(period, campaign)
        entry["from"], entry["to"] = _day(period, begins), _day(period, ends - DAY)
        entry["uplift"] = dict(zip(SEGMENTS, campaign.uplift, strict=True))
    starts = drift_start(period, behaviour.drift)
    numbers["drift"]["from"] = _day(period, starts) if starts < period.seconds else None
    return {**numbers, "free_views": world.views, "segments": list(SEGMENTS)}


def customers_table(world: World) -> pl.DataFrame:
    """One row a customer: arrival, rates, drop-out, spend, segment, platforms, arm in each campaign."""
    customers, period, spend = world.customers, world.period, world.behaviour.spend
    table = pl.DataFrame(
        {
            "customer_id": customers.customer_id,
            "arrived_at": _moments(period, customers.arrived),
            "segment": names_at(SEGMENTS, customers.segment),
            "region": names_at(REGIONS, customers.region),
            "favourite_department": names_at(DEPARTMENTS, customers.favourite),
            "platform": names_at(PLATFORMS, customers.platforms[:, 0]),
            "platform_2": names_at(PLATFORMS, customers.platforms[:, 1]),
            "platform_3": names_at(PLATFORMS, customers.platforms[:, 2]),
            "buyer": customers.buyer,
            "purchases_per_week": _or_null(customers.rate),
            "dropout": _or_null(customers.dropout),
            "dropped_out_at": _moments(period, customers.alive_until),
            "spend_mean": _or_null((spend.p if spend else np.nan) / customers.spend_rate),
        }
    )
    return table.with_columns(
        names_at(ARMS, row).alias(f"arm_{campaign.name}")
        for row, campaign in zip(customers.arms, world.behaviour.campaigns, strict=True)
    )


def campaigns(folder: Path) -> Iterator[tuple[str, date, date, pl.DataFrame]]:
    """The randomised campaigns of a market that was written to `folder`: name, first and last day, who was assigned.

    The frame has customer_id, arm (null: not part of it) and segment, as the shop's own list of the campaign would.
    """
    planted = json.loads((folder / "truth.json").read_text("utf-8"))["planted"]
    customers = pl.read_parquet(folder / "truth_customers.parquet")
    for one in planted["campaigns"]:
        name, begins, ends = one["name"], date.fromisoformat(one["from"]), date.fromisoformat(one["to"])
        yield name, begins, ends, customers.select("customer_id", pl.col(f"arm_{name}").alias("arm"), "segment")


def products_table(world: World) -> pl.DataFrame:
    """One row a product: what it is, its list price, its popularity, and what the files leave empty."""
    catalogue = world.catalogue
    return pl.DataFrame(
        {
            "product_id": catalogue.product_id,
            "category_id": catalogue.category_ids[catalogue.category],
            "category_code": pl.Series(catalogue.category_codes).gather(catalogue.category),
            "brand": pl.Series(catalogue.brands).gather(catalogue.brand),
            "list_price": catalogue.list_price,
            "popularity": catalogue.weight / catalogue.weight.sum(),
            "code_left_empty": world.without_code,
            "brand_left_empty": world.without_brand,
        }
    )


def complements_table(catalogue: Catalogue) -> pl.DataFrame:
    """One row a planted pair: orders with product_a also hold product_b with probability `attach`."""
    leading = np.flatnonzero(catalogue.complement >= 0)
    partner = catalogue.complement[leading]
    return pl.DataFrame(
        {
            "product_a": catalogue.product_id[leading],
            "product_b": catalogue.product_id[partner],
            "attach": catalogue.attach[leading],
            "same_brand": catalogue.brand[leading] == catalogue.brand[partner],
        }
    )


def _by_name(counts: npt.NDArray[np.int64]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(EVENTS, counts, strict=True)}


def _day(period: Period, second: int) -> str:
    day: date = period.start + timedelta(seconds=second)
    return day.isoformat()


def _or_null(values: npt.NDArray[np.float64]) -> pl.Series:
    return pl.Series(values).fill_nan(None)


def _moments(period: Period, seconds: npt.NDArray[np.float64]) -> pl.Series:
    """Times (whole seconds, UTC) from seconds since the period's start, null where they are not finite."""
    known = np.isfinite(seconds)
    moments = pl.Series(period.epoch + np.where(known, seconds, 0).astype(np.int64)) * 1000
    return moments.cast(pl.Datetime("ms")).set(pl.Series(~known), None)
