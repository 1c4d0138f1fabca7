"""Customers drawn from BG/NBD and Gamma-Gamma, and the public CDNOW sample."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from patternbook.analysis.lifetime import Terms, lost

BUYING = (0.8, 4.0, 0.9, 2.5)  # r, alpha (weeks), a, b
SPEND = (4.0, 4.5, 150.0)  # p, q, v
END = date(2024, 12, 29)


@dataclass(frozen=True)
class Drawn:
    """Histories as `history.history` gives them, and what each customer spends in the year after, discounted."""

    histories: pl.DataFrame
    future: np.ndarray


def customers(
    n: int,
    rng: np.random.Generator,
    ages: tuple[int, ...] = (26, 39, 52),
    discount: float = 0.0,
    buying: tuple[float, float, float, float] = BUYING,
) -> Drawn:
    """`n` customers with their first transaction `ages` weeks ago, and their spend within the next 52 weeks."""
    r, alpha, a, b = buying
    age = rng.choice(np.array(ages, dtype=float), n)
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    own = SPEND[0] / rng.gamma(SPEND[1], 1 / SPEND[2], n)
    lives = rng.geometric(leave)  # the repeat transaction after which a customer is gone
    gaps = rng.exponential(1.0, (n, 400)) / rate[:, None]
    times = np.cumsum(gaps, axis=1)
    real = np.arange(400)[None, :] < lives[:, None]
    before = real & (times <= age[:, None])
    after = real & ~before & (times <= age[:, None] + 52)
    x = before.sum(axis=1)
    t_x = np.where(before, times, 0).max(axis=1)
    amounts = rng.gamma(SPEND[0], 1 / SPEND[0], (n, 400)) * own[:, None]
    first = own * rng.gamma(SPEND[0], 1 / SPEND[0], n)
    weight = np.exp(-discount * (times - age[:, None]))
    mean = (first + (amounts * before).sum(axis=1)) / (x + 1)
    frame = pl.DataFrame(
        {
            "customer_id": np.arange(n),
            "first": [END - timedelta(weeks=int(weeks)) for weeks in age],
            "transactions": x + 1,
            "x": x,
            "t_x": t_x,
            "T": age,
            "mean_spend": mean,
        }
    )
    return Drawn(frame, (amounts * after * weight).sum(axis=1))


def expected_loss(
    histories: pl.DataFrame, terms: Terms, buying: tuple[float, float, float, float] = BUYING
) -> np.ndarray:
    """Margin of twelve months that drop-out is expected to cost by the true parameters, a customer."""
    p, q, v = SPEND
    n, m = (histories[name].to_numpy().astype(float) for name in ("transactions", "mean_spend"))
    x, t_x, T = (histories[name].to_numpy().astype(float) for name in ("x", "t_x", "T"))
    return lost(np.array(buying), terms, x, t_x, T, terms.margin * p * (v + n * m) / (p * n + q - 1))


def orders(n: int, rng: np.random.Generator, start: date, days: int) -> pl.DataFrame:
    """Orders within `days` from `start` of `n` buyers drawn from BG/NBD, their first ones over four fifths of them."""
    r, alpha, a, b = BUYING
    born = rng.uniform(0, 0.8 * days, n)
    rate, lives = rng.gamma(r, 1 / alpha, n) / 7, rng.geometric(rng.beta(a, b, n))
    times = born[:, None] + np.cumsum(rng.exponential(1, (n, 200)) / rate[:, None], axis=1)
    real = (np.arange(200) < lives[:, None]) & (times < days)
    seconds = (np.concatenate([born, times[real]]) * 86_400).astype(np.int64)
    frame = pl.DataFrame({"customer_id": np.concatenate([np.arange(n), np.nonzero(real)[0]]), "seconds": seconds})
    at = pl.lit(datetime(start.year, start.month, start.day)) + pl.duration(seconds="seconds")
    spend = 20.0 + pl.col("customer_id") % 7
    return frame.select("customer_id", at.alias("ordered_at"), pl.lit(1).alias("units"), spend.alias("revenue"))


def cdnow() -> pl.DataFrame:
    """The 2,357 customers of the CDNOW sample, one row an order, as `history.history` reads them."""
    (folder,) = find_spec("lifetimes").submodule_search_locations  # type: ignore[union-attr,misc]
    rows = [line.split() for line in (Path(folder) / "datasets" / "CDNOW_sample.txt").read_text().splitlines()]
    return pl.DataFrame(
        {
            "customer_id": [int(row[1]) for row in rows],
            "ordered_at": [row[2] for row in rows],
            "units": [int(row[3]) for row in rows],
            "revenue": [float(row[4]) for row in rows],
        }
    ).with_columns(pl.col("ordered_at").str.to_datetime("%Y%m%d"))
