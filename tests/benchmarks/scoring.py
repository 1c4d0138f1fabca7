"""Customers scored a second with a saved forecast: probability alone, and reasons in words of those worth a contact.

python tests/benchmarks/scoring.py [CUSTOMERS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from forecast_market import market

from patternbook.analysis import explanation, intent, propensity, scoring
from patternbook.formats import Formats

CUSTOMERS = 200_000
EXPLAINED = 10_000
WANTED = {"probability": 100_000, "reasons": 2_000}  # customers a second, two cores


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS
    shop = market(events=300_000)
    forecast = propensity.forecast(shop.panels, shop.at.horizon, every=False)
    scorer = scoring.scorer(forecast, shop.panels, intent.terms(shop.panels, shop.at.horizon, 0.3, 0.1, 0.25))
    known = shop.now.customers
    features = pl.concat([known] * (customers // known.height + 1)).head(customers)
    likely = shop.now.x[scorer.model.probability(shop.now.x).argsort()[::-1]]
    likely = likely.repeat(EXPLAINED // len(likely) + 1, axis=0)[:EXPLAINED]
    formats = Formats("USD", "en_US")
    speeds = {
        "probability": customers / _seconds(lambda: scoring.probabilities(scorer, features)),
        "reasons": EXPLAINED
        / _seconds(lambda: explanation.reasons(scorer.model, likely, scorer.preparation.names, formats)),
    }
    print(f"| {scorer.model.booster.num_trees()} trees | customers a second of one core | wanted |\n|---|---:|---:|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} | {WANTED[name]:,} |")


def _seconds(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of one core, which other work on the machine does not change much; the best of three."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


if __name__ == "__main__":
    main()
