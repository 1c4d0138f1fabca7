"""Seconds that segments, cohorts, both models and values by customer take together, and the ratio to `lifetimes`.

python tests/benchmarks/lifetime.py [BUYERS]
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from lifetimes import BetaGeoFitter, GammaGammaFitter

import patternbook
from patternbook.analysis.bgnbd import fit_bgnbd
from patternbook.analysis.gammagamma import fit_gammagamma
from patternbook.analysis.history import history
from patternbook.analysis.lifetime import Models, Terms, fit, per_customer, total
from patternbook.analysis.period import Period
from patternbook.analysis.segmentation import Rule, assign, buyers
from patternbook.params import SEGMENT_RULES
from patternbook.paths import project_root

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
from repeat_buying import BUYING, SPEND

BUYERS = 700_000
COMPARED = 50_000  # buyers that both packages are given
START = date(2024, 1, 1)
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
        [START]
    ).cast(pl.Datetime("us"))
    return frame.with_columns(moment.alias("ordered_at"), pl.lit(1).alias("units"))


def marts(orders: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    """What `cohorts.sql` reads, each order being a visit and one line of one of 50 products in ten categories."""
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "4GB"})
    named = orders.select(
        pl.int_range(pl.len()).alias("order_id"),
        "customer_id",
        "ordered_at",
        "units",
        product_id=pl.int_range(pl.len()) % 50,
    )
    first = pl.col("ordered_at").min()
    tables = {
        "purchases": named,
        "sessions": named.select("customer_id", started_at="ordered_at"),
        "events": named.select("customer_id", "product_id", event_time="ordered_at"),
        "order_lines": named.with_columns(quantity=pl.lit(1), cancelled=pl.lit(False)),
        "customers": named.group_by("customer_id").agg(first.alias("first_event_at"), platform=pl.lit("web")),
        "products": pl.DataFrame({"product_id": range(50), "category_code": [f"c{k % 10}.x" for k in range(50)]}),
        "calendar": pl.DataFrame({"day": pl.date_range(START, START + timedelta(DAYS), eager=True)})
        .select("day", slot=pl.int_ranges(pl.col("day").dt.epoch("s") // 900, pl.col("day").dt.epoch("s") // 900 + 96))
        .explode("slot"),
    }
    for name, frame in tables.items():
        connection.register(name, frame.to_arrow())
    return connection


class Clock:
    """Seconds by step: as they pass, and at work on a core, which on a busy machine is less."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        started, worked = time.perf_counter(), time.process_time()
        result = work()
        self.seconds[name] = time.perf_counter() - started, time.process_time() - worked
        return result


def benchmark(n: int) -> str:
    orders = purchases(n, np.random.default_rng(0))
    rules = [Rule(**rule.model_dump()) for rule in SEGMENT_RULES]
    last = START + timedelta(DAYS - 1)
    connection, clock = marts(orders), Clock()
    cohorts = Path(patternbook.__file__).parent / "warehouse" / "sql" / "cohorts.sql"
    clock("cohorts (SQL)", lambda: connection.sql(cohorts.read_text("utf-8")).pl())
    scored = clock("recency, frequency, money", lambda: buyers(orders, Period(START, last), "Europe/Berlin"))
    clock("segments", lambda: assign(scored, rules, 50))
    histories = clock("histories", lambda: history(orders, last, "week", "Europe/Berlin"))
    models = clock("BG/NBD and Gamma-Gamma", lambda: fit(histories, 50))
    assert isinstance(models, Models)
    values = clock("values by customer", lambda: per_customer(histories, models, Terms(0.3, 0.1, "week")))
    clock("a total with its interval", lambda: (total(values), total(values, "loss_12m")))
    lines = [f"### {n:,} buyers, {orders.height:,} orders", "", "| step | seconds | core seconds |", "|---|---:|---:|"]
    lines += [f"| {name} | {seconds:.1f} | {worked:.1f} |" for name, (seconds, worked) in clock.seconds.items()]
    seconds, worked = map(sum, zip(*clock.seconds.values(), strict=True))
    lines += [f"| together | {seconds:.1f} | {worked:.1f} |", "", against_lifetimes(histories.head(COMPARED))]
    return "\n".join(lines) + "\n"


def against_lifetimes(histories: pl.DataFrame) -> str:
    """Both models on the same buyers by both packages."""
    x, t_x, T, n, m = (
        histories[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x", "T", "transactions", "mean_spend")
    )
    clock = Clock()
    clock("ours", lambda: (fit_bgnbd(x, t_x, T), fit_gammagamma(n, m)))
    clock("theirs", lambda: (BetaGeoFitter().fit(x, t_x, T), GammaGammaFitter().fit(n, m)))
    ours, theirs = (clock.seconds[who][1] for who in ("ours", "theirs"))
    return (
        f"Both models fitted to the first {histories.height:,} buyers: {ours:.2f} core seconds, with standard "
        f"errors; the package lifetimes {theirs:.2f}, {theirs / ours:.1f} times as many."
    )


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else BUYERS
    text = (
        f"## Segments, cohorts, lifetime value, {datetime.now(UTC):%Y-%m-%d}\n\n{platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; Python "
        f"{platform.python_version()}, patternbook {patternbook.__version__}. Command: `make bench`.\n\n"
    ) + benchmark(n)
    target = project_root() / "reports" / "benchmarks" / "lifetime.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
