"""The forecast beside the simulated market's own truth, and how often drift is raised where nothing shifts.

python tests/benchmarks/propensity.py ceiling [EVENTS …]
python tests/benchmarks/propensity.py history [MONTHS …]
python tests/benchmarks/propensity.py alarms [SEEDS]
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from forecast_market import Market, market

from patternbook.analysis import classification, propensity
from patternbook.analysis.drift import Drift, drift
from patternbook.analysis.intervals import Estimate, Floats, wilson

EVENTS = (60_000, 300_000, 1_000_000)
MONTHS = (4, 6, 12, 24)
SEEDS = 20


def planted(shop: Market) -> Floats:
    """Each customer's own rate of buying at the test cutoff, zero of those who have dropped out or never buy."""
    cutoff = datetime.combine(shop.at.test, datetime.min.time())
    there = pl.col("dropped_out_at").is_null() | (pl.col("dropped_out_at") > cutoff)
    known = shop.panels.test.customers.select("customer_id").join(
        shop.truth, on="customer_id", how="left", maintain_order="left"
    )
    rate: Floats = known.select(pl.when(there).then("purchases_per_week").fill_null(0)).to_series().to_numpy()
    return rate


def ceiling(events: list[int]) -> None:
    """AUC of the truth, of the forecast and of the best baseline, by size of the market."""
    print("| events | customers | planted truth | forecast | best baseline |\n|---:|---:|---:|---:|---:|")
    for size in events:
        shop = market(events=size, months=12)
        found = propensity.forecast(shop.panels, shop.at.horizon)
        rows = [
            classification.auc(found.labels, planted(shop)),
            found.evaluation.of_model["auc"],
            found.evaluation.methods[found.evaluation.best]["auc"],
        ]
        print(f"| {size:,} | {len(found.labels):,} | {' | '.join(map(_text, rows))} |", flush=True)


def history(months: list[int], size: int = EVENTS[-1]) -> None:
    """AUC by how many months the log of one and the same market holds, of the customers whom the shortest log knows."""
    shops = {kept: market(events=size, months=max(months), kept_months=kept) for kept in sorted(months)}
    known = shops[min(months)].panels.test.customers["customer_id"]
    print("| months | customers | planted truth | forecast | gap |\n|---:|---:|---:|---:|---:|")
    for kept, shop in shops.items():
        found = propensity.forecast(shop.panels, shop.at.horizon)
        same = shop.panels.test.customers["customer_id"].is_in(known.implode()).to_numpy()
        labels, truth, forecast = (values[same] for values in (found.labels, planted(shop), found.probability))
        rows = [
            classification.auc(labels, truth),
            classification.auc(labels, forecast),
            classification.auc_difference(labels, truth, forecast),
        ]
        print(f"| {kept} | {same.sum():,} | {' | '.join(map(_text, rows))} |", flush=True)


def _text(one: Estimate) -> str:
    return f"{one.value:.4f} ({one.low:.4f}–{one.high:.4f})"


def alarms(seeds: int) -> None:
    """Share of markets with an alarm, without and with the planted shift."""
    for name, off in (("nothing shifts", ("drift", "dirt", "campaigns")), ("planted shift", ("dirt", "campaigns"))):
        raised = 0
        for seed in range(1, seeds + 1):
            raised += _raised(market(seed=seed, off=off))
            market.cache_clear()  # a hundred markets do not fit into memory
        low, high = map(float, wilson(raised, seeds))
        print(f"{name}: {raised} of {seeds} markets raise it ({low:.3f} to {high:.3f})", flush=True)


def _raised(shop: Market) -> bool:
    found = drift(shop.panels, propensity.forecast(shop.panels, shop.at.horizon, every=False), shop.now)
    return isinstance(found, Drift) and bool(found.reasons)


def main() -> None:
    task, *numbers = sys.argv[1:] or ["ceiling"]
    if task == "alarms":
        alarms(int(numbers[0]) if numbers else SEEDS)
    elif task == "history":
        history([int(number) for number in numbers] or list(MONTHS))
    else:
        ceiling([int(number) for number in numbers] or list(EVENTS))


if __name__ == "__main__":
    main()
