"""How often each kind of interval holds the truth, with the binomial interval of that count.

python tests/benchmarks/coverage.py [SEEDS [PART OF A NAME]]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.stats import norm

from patternbook.analysis import (
    behaviour,
    classification,
    leaving,
    lifetime,
    payday,
    readout,
    retention,
    segmentation,
    temporal,
)
from patternbook.analysis.clustered import shares
from patternbook.analysis.experiments import Design, cuped_correlation
from patternbook.analysis.intervals import Estimate, median, ratio_of_totals, wilson
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.moments import Definition, Log
from patternbook.analysis.silence import left
from patternbook.paths import project_root

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
import repeat_buying
import test_bundles
import test_pairs
import test_payday
import test_readout
import test_recommendations
import test_segmentation
import test_sessions
import test_temporal
import weeks
from test_behaviour import NO_SESSIONS, PRODUCTS
from test_behaviour import drawn as drawn_lines
from test_intervals import TRUE_ORDER_VALUE, customers
from test_segmentation import RULES, YEAR

HOW = (
    "`make coverage`. One row a kind of interval, over draws of a fixed seed each. Of so many rows a few lie outside "
    "by chance. Intervals that hold for many estimates at once, or at any time of looking, hold the truth of one more "
    "often than 95 times in 100."
)
SEEDS = 400  # as DESIGN asks of each kind

# One draw: whether the interval holds the truth, None where none is stated (the data of that draw do not allow one).
Trial = Callable[[np.random.Generator], bool | None]


def share_is_covered(trials: int, probability: float) -> Trial:
    def covered(rng: np.random.Generator) -> bool | None:
        low, high = wilson(rng.binomial(trials, probability), trials)
        return bool(low <= probability <= high)

    return covered


def order_value_is_covered(n: int) -> Trial:
    def covered(rng: np.random.Generator) -> bool | None:
        estimate = ratio_of_totals(customers(n, rng), (1, -1))
        return _estimate_holds(TRUE_ORDER_VALUE, estimate)

    return covered


def order_value_change_is_covered(n: int) -> Trial:
    """Two periods of the same shop: the ratio of their order values is one."""

    def covered(rng: np.random.Generator) -> bool | None:
        estimate = ratio_of_totals(np.hstack([customers(n, rng), customers(n, rng)]), (1, -1, -1, 1))
        return _estimate_holds(1.0, estimate)

    return covered


def buying_parameter_is_covered(n: int, name: str) -> Trial:
    """A parameter of BG/NBD or Gamma-Gamma, of `n` buyers drawn from them."""
    truth = dict(zip(lifetime.LABELS, (*repeat_buying.BUYING, *repeat_buying.SPEND), strict=True))[name]

    def covered(rng: np.random.Generator) -> bool | None:
        models = lifetime.fit(repeat_buying.customers(n, rng).histories, minimum_buyers=50)
        return _estimate_holds(
            truth, lifetime.parameters(models, n).get(name) if isinstance(models, lifetime.Models) else None
        )

    return covered


def value_is_covered(n: int) -> Trial:
    """What `n` buyers together do spend in the next twelve months, discounted."""
    terms = lifetime.Terms(margin=1.0, discount_rate=0.1, unit="week")

    def covered(rng: np.random.Generator) -> bool | None:
        drawn = repeat_buying.customers(n, rng, discount=terms.discount)
        models = lifetime.fit(drawn.histories, minimum_buyers=50)
        if not isinstance(models, lifetime.Models) or isinstance(models.spend, LeftOut):
            return None
        return _estimate_holds(
            float(drawn.future.sum()), lifetime.total(lifetime.per_customer(drawn.histories, models, terms))
        )

    return covered


def auc_is_covered(n: int) -> Trial:
    """Scores N(1, 1) of the three in ten who have the label, N(0, 1) of the others: the area is Φ(1/√2)."""
    truth = float(norm.cdf(1 / np.sqrt(2)))

    def covered(rng: np.random.Generator) -> bool | None:
        label = rng.random(n) < 0.3
        return _estimate_holds(truth, classification.auc(label, rng.normal(label.astype(float), 1.0)))

    return covered


def leaving_is_covered(n: int, horizon: int) -> Trial:
    """How many have left in a year's shop `horizon` days later, as the report states it."""
    start, last = date(2024, 1, 1), date(2024, 12, 30)
    settings = leaving.Settings(Definition("silence", 0.9, 0.5), 0.6, 50, 1)

    def covered(rng: np.random.Generator) -> bool | None:
        log = Log.of(repeat_buying.orders(n, rng, start, 365 + horizon), None, start, last, "UTC")
        found = leaving.study(log, settings, horizon)
        if isinstance(found, LeftOut) or horizon not in found.forecasts:
            return None
        one = found.forecasts[horizon]
        outcome = left(log.days, one.undecided, last + timedelta(days=horizon))
        return _estimate_holds(float(outcome.sum()), one.expected)

    return covered


def session_share_is_covered(n: int) -> Trial:
    """Sessions with a purchase, of `n` customers who differ in how often they come and how readily they buy."""

    def covered(rng: np.random.Generator) -> bool | None:
        rows = test_sessions.visits(rng, n, 0.2)
        found = shares(rows["buying"].to_numpy()[:, None], rows["sessions"].to_numpy()[:, None])
        return bool(found.low[0] <= 0.2 <= found.high[0])

    return covered


APART, BUYERS = 1.0, 0.06  # scores of buyers lie one standard deviation above those of others


def ranking_is_covered(n: int, score: str) -> Trial:
    """Area under the ROC curve, or lift of the highest 5 %, of normal scores."""
    cut = brentq(lambda at: BUYERS * norm.sf(at - APART) + (1 - BUYERS) * norm.sf(at) - 0.05, -5, 8)
    truth = {"auc": norm.cdf(APART / np.sqrt(2)), "lift_0.05": norm.sf(cut - APART) / 0.05}[score]

    def covered(rng: np.random.Generator) -> bool | None:
        labels = rng.random(n) < BUYERS
        ranking = classification.Ranking(labels, rng.normal(APART * labels))
        drawn = classification.replicated(lambda weights: ranking.summary(weights, (0.05,)), n)
        return _estimate_holds(float(truth), classification.percentiles(drawn[score], n))

    return covered


def busy_hours_are_covered(n: int, chosen: bool) -> Trial:
    """Rates of all hours of the week at once, or of the one that happens to be the busiest."""
    visits = test_temporal.FLAT * (1 + 0.5 * np.sin(np.arange(168) / 24 * 2 * np.pi))
    truth = weeks.smooth(visits) / visits.mean()

    def covered(rng: np.random.Generator) -> bool | None:
        found = temporal.windows(weeks.rhythm(weeks.shop(rng, n, visits, test_temporal.FLAT)), "sessions")
        if not isinstance(found, temporal.Windows):
            return None
        holds = (found.low <= truth) & (truth <= found.high)
        return bool(holds[found.peak] if chosen else holds.all())

    return covered


def loss_is_covered(n: int, *, silent: bool) -> Trial:
    """What drop-out is expected to cost in twelve months with `n` buyers, or those of them who are silent."""
    terms = lifetime.Terms(margin=1.0, discount_rate=0.1, unit="week")

    def covered(rng: np.random.Generator) -> bool | None:
        histories = repeat_buying.customers(n, rng).histories
        models = lifetime.fit(histories, minimum_buyers=50)
        if not isinstance(models, lifetime.Models) or isinstance(models.spend, LeftOut):
            return None
        who = (histories["x"] > 1) & (histories["T"] - histories["t_x"] > 12) if silent else histories["x"] >= 0
        truth = repeat_buying.expected_loss(histories.filter(who), terms).sum()
        return _estimate_holds(
            float(truth), lifetime.total(lifetime.per_customer(histories, models, terms).filter(who), "loss_12m")
        )

    return covered


def payday_is_covered(days: int, memory: float) -> Trial:
    """The effect of payday in orders whose noise lasts from day to day by `memory`."""

    def covered(rng: np.random.Generator) -> bool | None:
        at, orders = test_payday.counts(rng, days, memory=memory)
        made = payday.series(test_payday.daily(at, orders), test_payday.whole(at))
        found = payday.payday(made, test_payday.PAYDAYS)
        return _estimate_holds(test_payday.FACTOR, found.effect if isinstance(found, payday.Payday) else None)

    return covered


def kept_is_covered(n: int) -> Trial:
    """Share of buyers of two windows who keep their segment, against that of 100,000 customers."""

    def kept(customers: int, seed: int) -> Estimate | None:
        moves = segmentation.migration(test_segmentation.orders(customers, seed), YEAR, 6, RULES, "UTC", 10)
        return moves.kept if isinstance(moves, segmentation.Migration) else None

    truth = kept(100_000, 0)

    def covered(rng: np.random.Generator) -> bool | None:
        assert truth is not None
        return _estimate_holds(truth.value, kept(n, int(rng.integers(1, 2**31))))

    return covered


def median_is_covered(n: int) -> Trial:
    def covered(rng: np.random.Generator) -> bool | None:
        return _estimate_holds(float(np.log(2)), median(rng.exponential(size=n)))

    return covered


def second_purchase_is_covered(n: int) -> Trial:
    """Share of `n` buyers with a second purchase within 90 days; it takes a geometric time, many are censored."""
    truth, last = 1 - (1 - 1 / 80) ** 90, 240

    def covered(rng: np.random.Generator) -> bool | None:
        first, wait = rng.integers(0, 180, n), rng.geometric(1 / 80, n)
        seen = first + wait <= last
        bought = pl.DataFrame({"customer_id": np.concatenate([np.arange(n), np.arange(n)[seen]])}).with_columns(
            pl.Series("day", np.concatenate([first, (first + wait)[seen]])), units=pl.lit(1)
        )
        at = pl.lit(datetime(2024, 1, 1)) + pl.duration(days="day")
        found = retention.second_purchase(
            bought.with_columns(at.alias("ordered_at")), date(2024, 1, 1) + timedelta(last), "UTC", 10
        )
        return _estimate_holds(truth, retention.within(found, 90) if isinstance(found, retention.Waiting) else None)

    return covered


def effect_is_covered(n: int, metric: int, column: str, truth: float) -> Trial:
    """An arm that adds 1 to a mean spend of 26 and leaves revenue an order at 30."""

    def covered(rng: np.random.Generator) -> bool | None:
        one = test_readout.experiment(n, int(rng.integers(2**31)))
        row = readout.effects(one, Design()).row(metric, named=True)
        return _within(truth, (row[f"{column}_low"], row[f"{column}_high"]))

    return covered


def week1_churn_is_covered(n: int, chance: float) -> Trial:
    """Share of `n` customers who do not come back in the second week, each with `chance` to do so."""

    def covered(rng: np.random.Generator) -> bool | None:
        back = int(rng.binomial(n, chance))
        mart = pl.DataFrame(
            {"age": [0, 1], "customers": [n, back], "first_day": date(2024, 1, 1), "unit": "week", "activity": "visit"}
        ).with_columns(grouping_name=pl.lit("all"))
        churn = retention.measures(retention.cohorts(mart, "clickstream", date(2024, 1, 31)))[0]
        return None if churn.interval is None else _within(1 - chance, churn.interval)

    return covered


def sensitivity_is_covered(n: int) -> Trial:
    """How much more of what odd customers buy is at a discount than of what all buy: half of what they like it more."""

    def covered(rng: np.random.Generator) -> bool | None:
        found = behaviour.behaviour(drawn_lines(n, 0.3, rng), NO_SESSIONS, PRODUCTS, "UTC")
        odd = found.filter(pl.col("customer_id") % 2 == 1).with_columns(segment=pl.lit("odd"))
        row = behaviour.by_segment(found, odd.select("customer_id", "segment"), 10).row(0, named=True)
        return _within(0.15, (row["discount_sensitivity_low"], row["discount_sensitivity_high"]))

    return covered


def correlation_is_covered(n: int) -> Trial:
    def covered(rng: np.random.Generator) -> bool | None:
        before = rng.standard_normal(n)
        return _estimate_holds(0.6, cuped_correlation(0.6 * before + 0.8 * rng.standard_normal(n), before))

    return covered


def gain_is_covered(n: int) -> Trial:
    """Gain in area over a score with noise added, on the same customers."""
    truth = float(norm.cdf(APART / np.sqrt(2)) - norm.cdf(APART / 2))

    def covered(rng: np.random.Generator) -> bool | None:
        labels = rng.random(n) < BUYERS
        scores = rng.normal(APART * labels)
        return _estimate_holds(truth, classification.auc_difference(labels, scores, scores + rng.normal(size=n)))

    return covered


def lift_of_pairs_is_covered(customers: int) -> Trial:
    return lambda rng: test_pairs.lift_is_covered(customers, rng)


def hit_rate_is_covered(customers: int) -> Trial:
    return lambda rng: test_recommendations.hit_rate_is_covered(customers, rng)


def bundle_is_covered(customers: int, which: int) -> Trial:
    """0: the attach rate; 1: the expected margin."""
    return lambda rng: bool(test_bundles.attach_and_margin_are_covered(customers, rng)[which])


def best_bundle_is_covered(customers: int) -> Trial:
    return lambda rng: test_bundles.best_margin_is_covered(customers, rng)


def _estimate_holds(truth: float, estimate: Estimate | None) -> bool | None:
    return None if estimate is None or estimate.interval is None else _within(truth, estimate.interval)


def _within(truth: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= truth <= interval[1]


def kinds() -> Iterator[tuple[str, Trial]]:
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
    for n in (60, 300, 2000):
        yield f"AUC, {n:,} customers", auc_is_covered(n)
    for horizon in (30, 90):
        yield f"customers who leave within {horizon} days, 700 buyers", leaving_is_covered(700, horizon)
    for n in (100, 300, 1000):
        yield f"conversion of sessions by cluster, {n:,} customers", session_share_is_covered(n)
    for chosen, what in ((False, "all hours of the week at once"), (True, "the busiest hour of the week")):
        yield f"{what}, 400 customers", busy_hours_are_covered(400, chosen)
    for days, memory in ((120, 0.0), (365, 0.0), (365, 0.5), (730, 0.5)):
        yield f"payday effect, {days} days, memory {memory:g}", payday_is_covered(days, memory)
    for n in (200, 2000):
        yield f"effect on a mean, {n:,} people", effect_is_covered(n, 0, "difference", 1.0)
        yield f"effect in per cent, {n:,} people", effect_is_covered(n, 0, "relative", 1 / 26)
        yield f"effect with CUPED, {n:,} people", effect_is_covered(n, 0, "cuped", 1.0)
        yield f"effect on a ratio (delta method), {n:,} people", effect_is_covered(n, 1, "difference", 0.0)
        yield f"always-valid interval, read once, {n:,} people", effect_is_covered(n, 0, "always", 1.0)
        yield f"correlation for CUPED, {n:,} people", correlation_is_covered(n)
    for n in (20, 200):
        yield f"median, {n} values", median_is_covered(n)
    for n in (300, 1000):
        yield f"loss to drop-out in twelve months, {n:,} buyers", loss_is_covered(n, silent=False)
        yield f"the same of the silent ones of {n:,} buyers", loss_is_covered(n, silent=True)
    for n in (60, 1000):
        yield f"week-1 churn, {n:,} customers", week1_churn_is_covered(n, 0.2)
        yield f"second purchase within 90 days (Kaplan–Meier), {n:,} buyers", second_purchase_is_covered(n)
    yield "customers who keep their segment, 2,000 customers", kept_is_covered(2000)
    yield "discount sensitivity of a segment, 500 buyers", sensitivity_is_covered(1000)
    for n in (150, 600):
        yield f"lift of a pair, {n:,} customers", lift_of_pairs_is_covered(n)
    for n in (60, 300):
        yield f"hit rate of recommendations, {n:,} customers", hit_rate_is_covered(n)
    yield "attach rate of a bundle, 200 customers", bundle_is_covered(200, 0)
    yield "expected margin of a bundle, 200 customers", bundle_is_covered(200, 1)
    yield "expected margin of the best of 60 bundles, 150 customers", best_bundle_is_covered(150)
    for n in (500, 2000):
        yield f"gain in AUC, {n:,} customers", gain_is_covered(n)
        yield f"AUC by bootstrap, {n:,} customers", ranking_is_covered(n, "auc")
        yield f"lift of the highest 5 %, {n:,} customers", ranking_is_covered(n, "lift_0.05")


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    lines = ["| interval (95 %) | coverage | its own 95 % interval | stated in |", "|---|---:|---:|---:|"]
    print("\n".join(lines))
    for name, covered in kinds():
        if only not in name:
            continue
        stated = [holds for seed in range(seeds) if (holds := covered(np.random.default_rng(seed))) is not None]
        low, high = map(float, wilson(sum(stated), len(stated)))
        share = sum(stated) / len(stated)
        lines.append(f"| {name} | {share:.3f} | {low:.3f} to {high:.3f} | {len(stated)} of {seeds} |")
        print(lines[-1], flush=True)
    if not only:
        text = f"## How often intervals hold the truth\n\n{HOW}\n\n" + "\n".join(lines) + "\n"
        (project_root() / "reports" / "benchmarks" / "coverage.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
