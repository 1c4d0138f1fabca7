"""How recommendations rank on markets that nobody looked at, beside simpler ways and beside themselves with α = 0.

    python tests/benchmarks/recommendations.py [MARKETS [EVENTS [PARAMS ...]]]

Simulated markets of fresh seeds, then the baskets of runs that have their marts, by their parameter files. The form of
the ranking was fixed before; κ and α are chosen on the earlier baskets of each. The discount α earns its place where
NDCG at 10, by which it is chosen, is reliably higher with it than without: beside a product it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from compaction import machine
from scipy.stats import t as student

from patternbook.analysis import recommendations
from patternbook.analysis.baskets import baskets
from patternbook.analysis.intervals import CONFIDENCE, Floats, mean_by_cluster
from patternbook.analysis.recommendations import METHODS, OWN, TASKS, Queries, Ranking, also_bought
from patternbook.params import Params, load_params
from patternbook.paths import RunPaths, project_root

sys.path.insert(0, str(Path(__file__).parents[1] / "warehouse"))
from trial import trial_project

MARKETS, EVENTS = 10, 1_000_000  # as many events as the sample
FIRST_SEED = 20_261_126  # no market of a test or a parameter file begins with it
TRIED = dict.fromkeys(TASKS, recommendations.DISCOUNTS["product"])  # for a customer too, where α is 0 otherwise
PLAIN = "α = 0"
OTHERS = (PLAIN, *(name for name in METHODS if name != OWN))
LABELS = ("hit rate", "MRR", "NDCG")


class Scored(NamedTuple):
    """Scores of one task on one log, one row a query and one column a score, by way of ranking; and what was chosen."""

    queries: Queries
    scores: dict[str, Floats]
    ranking: Ranking

    def mean(self, name: str) -> Floats:
        """Mean scores of a way of ranking."""
        mean: Floats = np.average(self.scores[name], axis=0, weights=self.queries.weight)
        return mean

    def above(self, other: str, score: int) -> str:
        """How far ours lies above another way, with the interval by customer."""
        difference = (self.scores[OWN] - self.scores[other])[:, score]
        found = mean_by_cluster(recommendations._by_customer(self.queries, difference))
        assert found is not None and found.low is not None and found.high is not None
        return _points(found.value, found.low, found.high)


def scored(params: Params, paths: RunPaths) -> dict[str, Scored]:
    """By task, ours, ours without discount and the simpler ways, on the later baskets of a run."""
    found = baskets(pl.read_parquet(paths.mart("baskets")), params.basket.largest)
    products, share = pl.read_parquet(paths.products), params.basket.test_share
    earlier, later = recommendations._split(np.arange(len(found)), share)
    sales = recommendations.learn(found, earlier, products)
    chosen, plain = (
        recommendations.chosen_ranking(found, earlier, products, share, discounts)
        for discounts in (TRIED, dict.fromkeys(TASKS, (0.0,)))
    )
    results = {}
    for task, queries in recommendations._tasks(found, sales, earlier, later).items():
        methods = recommendations._methods(sales, chosen[task]) | {PLAIN: partial(also_bought, ranking=plain[task])}
        scores = {name: recommendations._learned(sales, queries, method).scores for name, method in methods.items()}
        results[task] = Scored(queries, scores, chosen[task])
    return results


def simulated(markets: int, events: int) -> Iterator[dict[str, Scored]]:
    """Markets of successive seeds with all mechanisms at work, like the sample."""
    for seed in range(FIRST_SEED, FIRST_SEED + markets):
        with trial_project() as project:
            source = {"kind": "simulated", "events": events, "seed": seed, "months": 12}
            project.build(source)
            found = scored(project.params(source), project.paths)
        print(f"seed {seed}: {_chosen(found)}", file=sys.stderr, flush=True)
        yield found


def over_markets(found: list[dict[str, Scored]]) -> str:
    """Our mean over the markets, and how far it lies above each other way, with the interval over the markets."""
    rows = []
    for task, label in TASKS.items():
        means = {name: np.array([market[task].mean(name) for market in found]) for name in (OWN, *OTHERS)}
        for score, of in enumerate(LABELS):
            above = [_over_markets((means[OWN] - means[name])[:, score]) for name in OTHERS]
            rows.append([f"{label}: {of}", f"{100 * means[OWN][:, score].mean():.2f}", *above])
    return _table(rows)


def of_one(found: dict[str, Scored]) -> str:
    """Our scores on one log, and how far they lie above each other way's, with intervals by customer."""
    rows = []
    for task, one in found.items():
        for score, of in enumerate(LABELS):
            above = [one.above(name, score) if name in one.scores else "" for name in OTHERS]
            rows.append([f"{TASKS[task]}: {of}", f"{100 * one.mean(OWN)[score]:.2f}", *above])
    return _table(rows)


def _over_markets(differences: Floats) -> str:
    n = len(differences)
    half = student.ppf((1 + CONFIDENCE) / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return _points(differences.mean(), differences.mean() - half, differences.mean() + half)


def _points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _table(rows: list[list[str]]) -> str:
    heads = ["first 10", "ours", *(f"above {name}" for name in OTHERS)]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _chosen(found: dict[str, Scored]) -> str:
    return ", ".join(f"{task} κ = {one.ranking.strength:g} α = {one.ranking.discount:g}" for task, one in found.items())


def report(markets: int, events: int, files: list[str]) -> str:
    found = list(simulated(markets, events))
    parts = [
        "## Recommendations on markets that nobody looked at",
        f"`tests/benchmarks/recommendations.py`, {datetime.now(UTC):%Y-%m-%d}, {machine()}. Scores in percent, "
        "differences in percentage points, with 95 % intervals.",
        f"### {markets} simulated markets of about {events:,} events, seeds from {FIRST_SEED}; intervals over markets",
        over_markets(found),
        "Chosen on the earlier baskets:\n\n" + "\n".join(f"- {_chosen(market)}" for market in found),
    ]
    for file in files:
        params = load_params(file)
        one = scored(params, RunPaths.of(params.run))
        queries = ", ".join(f"{task} {len(of.queries.owner):,}" for task, of in one.items())
        parts += [f"### Run {params.run}; queries: {queries}; intervals by customer", of_one(one), _chosen(one)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    numbers, files = [int(one) for one in sys.argv[1:3]], sys.argv[3:]
    markets, events = [*numbers, *(MARKETS, EVENTS)[len(numbers) :]]
    text = report(markets, events, files)
    (project_root() / "reports" / "benchmarks" / "recommendations.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
