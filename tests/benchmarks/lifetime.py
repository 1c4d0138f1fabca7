"""Seconds that histories, both models and values by customer take, and the ratio to the package `lifetimes`.

python tests/benchmarks/lifetime.py [BUYERS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from patternbook.analysis.history import history
from patternbook.analysis.lifetime import Models, Terms, fit, per_customer, total

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
from repeat_buying import BUYING, SPEND

BUYERS = 700_000
DAYS = 365


def purchases(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Orders of `n` buyers within a year, drawn from the models, as the marts hold them."""
    r, alpha, a, b = BUYING
    born = rng.uniform(0, DAYS, n)
    rate, leave = rng.gamma(r, 1 / alpha, n) / 7, rng.beta(a, b, n)
    own = SPEND[0] / rng.gamma(SPEND[1], 1 / SPEND[2], n)
    who, at = [np.arange(n)], [born]
    buying, now, lives, order = np.arange(n), born, rng.geometric(leave), 0
    while len(buying):
        now = now + rng.exponential(1, len(buying)) / rate[buying]
        order += 1
        goes_on = (now < DAYS) & (order <= lives[buying])
        buying, now = buying[goes_on], now[goes_on]
        who.append(buying)
        at.append(now)
    customer, day = np.concatenate(who), np.concatenate(at)
    frame = pl.DataFrame(
        {"customer_id": customer, "revenue": own[customer] * rng.gamma(SPEND[0], 1 / SPEND[0], len(day))}
    )
    moment = pl.Series("ordered_at", (day * 86_400_000_000).astype(np.int64)).cast(pl.Duration("us")) + pl.Series(
        [date(2024, 1, 1)]
    ).cast(pl.Datetime("us"))
    return frame.with_columns(moment.alias("ordered_at"), pl.lit(1).alias("units"))


def timed(name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    print(f"| {name} | {time.perf_counter() - started:.1f} |", flush=True)
    return result


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else BUYERS
    orders = purchases(n, np.random.default_rng(0))
    print(f"{n:,} buyers, {orders.height:,} orders\n\n| step | seconds |\n|---|---:|")
    buyers = timed("histories", lambda: history(orders, date(2024, 12, 30), "week", "Europe/Berlin"))
    models = timed("BG/NBD and Gamma-Gamma", lambda: fit(buyers, 50))
    assert isinstance(models, Models)
    values = timed("values by customer", lambda: per_customer(buyers, models, Terms(0.3, 0.1, "week")))
    timed("a total", lambda: total(values))
    x, t_x, T = (buyers[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x", "T"))
    few = slice(0, 50_000)
    from patternbook.analysis.bgnbd import fit_bgnbd

    timed("BG/NBD, 50,000 buyers", lambda: fit_bgnbd(x[few], t_x[few], T[few]))
    from lifetimes import BetaGeoFitter

    timed("the same by lifetimes", lambda: BetaGeoFitter().fit(x[few], t_x[few], T[few]))


if __name__ == "__main__":
    main()
