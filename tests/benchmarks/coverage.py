"""How often each kind of interval holds the truth, with the binomial interval of that count.

python tests/benchmarks/coverage.py [SEEDS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from patternbook.analysis import lifetime
from patternbook.analysis.intervals import Estimate, ratio_of_totals, wilson

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
import repeat_buying
from test_intervals import TRUE_ORDER_VALUE, customers

SEEDS = 400  # as DESIGN asks of each kind


def share_is_covered(trials: int, probability: float) -> Callable[[np.random.Generator], bool]:
    def covered(rng: np.random.Generator) -> bool:
        low, high = wilson(rng.binomial(trials, probability), trials)
        return bool(low <= probability <= high)

    return covered


def order_value_is_covered(n: int) -> Callable[[np.random.Generator], bool]:
    def covered(rng: np.random.Generator) -> bool:
        estimate = ratio_of_totals(customers(n, rng), (1, -1))
        return estimate is not None and estimate.interval is not None and _within(TRUE_ORDER_VALUE, estimate.interval)

    return covered


def order_value_change_is_covered(n: int) -> Callable[[np.random.Generator], bool]:
    """Two periods of the same shop: the ratio of their order values is one."""

    def covered(rng: np.random.Generator) -> bool:
        estimate = ratio_of_totals(np.hstack([customers(n, rng), customers(n, rng)]), (1, -1, -1, 1))
        return estimate is not None and estimate.interval is not None and _within(1.0, estimate.interval)

    return covered


def buying_parameter_is_covered(n: int, name: str) -> Callable[[np.random.Generator], bool]:
    """A parameter of BG/NBD or Gamma-Gamma, of `n` buyers drawn from them."""
    truth = dict(zip(lifetime.LABELS, (*repeat_buying.BUYING, *repeat_buying.SPEND), strict=True))[name]

    def covered(rng: np.random.Generator) -> bool:
        models = lifetime.fit(repeat_buying.customers(n, rng).histories, minimum_buyers=50)
        return isinstance(models, lifetime.Models) and _estimate_holds(truth, lifetime.parameters(models, n).get(name))

    return covered


def value_is_covered(n: int) -> Callable[[np.random.Generator], bool]:
    """What `n` buyers together do spend in the next twelve months, discounted."""
    terms = lifetime.Terms(margin=1.0, discount_rate=0.1, unit="week")

    def covered(rng: np.random.Generator) -> bool:
        drawn = repeat_buying.customers(n, rng, discount=terms.discount)
        models = lifetime.fit(drawn.histories, minimum_buyers=50)
        if not isinstance(models, lifetime.Models):
            return False
        return _estimate_holds(
            float(drawn.future.sum()), lifetime.total(lifetime.per_customer(drawn.histories, models, terms))
        )

    return covered


def _estimate_holds(truth: float, estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.interval is not None and _within(truth, estimate.interval)


def _within(truth: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= truth <= interval[1]


def kinds() -> Iterator[tuple[str, Callable[[np.random.Generator], bool]]]:
    for trials, probability in ((40, 0.03), (40, 0.3), (400, 0.03), (4000, 0.3)):
        yield f"Wilson, p = {probability:g}, n = {trials:,}", share_is_covered(trials, probability)
    for n in (30, 100, 300, 1000):
        yield f"order value, {n:,} customers", order_value_is_covered(n)
    for n in (100, 1000):
        yield f"change of order value, {n:,} customers", order_value_change_is_covered(n)
    for name in lifetime.LABELS:
        yield f"{name}, 1,000 buyers", buying_parameter_is_covered(1000, name)
    for n in (300, 1000):
        yield f"value in twelve months, {n:,} buyers", value_is_covered(n)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    print(f"| interval (95 %) | coverage over {seeds} seeds | its own 95 % interval |\n|---|---:|---:|")
    for name, covered in kinds():
        hits = sum(covered(np.random.default_rng(seed)) for seed in range(seeds))
        low, high = map(float, wilson(hits, seeds))
        print(f"| {name} | {hits / seeds:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
