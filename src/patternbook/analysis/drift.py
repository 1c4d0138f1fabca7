"""Do customers still behave as those that the forecast was learned from? Shifts, and whether to train again.

Compared are customers seen in the last 30 days before a cutoff, at the training cutoffs and at the one to be scored:
what they did in those days does not depend on how long the log is. Totals and tenure do, and are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from patternbook.analysis.classification import Flags
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.propensity import Forecast, Panel, Panels
from patternbook.formats import Formats

WINDOW = 30  # days
BINS = 10
TOLERATED = 0.10  # a rate may change by a tenth before it counts: people come and go, and seasons pass
LARGE = 0.25  # population stability index from which on a shift is called large (Siddiqi 2006, Credit Risk Scorecards)
LEVEL = 0.05  # of all checks together
COLUMNS = (
    "views_7d", "views_30d", "carts_7d", "carts_30d", "removals_30d", "signals_30d", "orders_30d", "revenue_30d",
    "sessions_7d", "sessions_30d", "active_days_30d", "days_since_event", "trend",
)  # fmt: skip
RATES = {"views a visit": "views_30d", "carts a visit": "carts_30d", "signals a visit": "signals_30d"}
PURCHASES = "purchases, against the forecast"


@dataclass(frozen=True)
class Drift:
    """`stability` has a row a column, `rates` a row a rate with its change; `score` is the index of the forecast."""

    stability: pl.DataFrame
    rates: pl.DataFrame
    score: float

    @property
    def purchases(self) -> Estimate:
        """Buyers of the test ÷ buyers expected."""
        value, low, high, expected = self.rates.filter(rate=PURCHASES).select("change", "low", "high", "before").row(0)
        return Estimate(value, low, high, round(expected))

    @property
    def reasons(self) -> list[str]:
        """Why to train again; empty where there is no reason to."""
        changed = [f"{name} changed by more than a tenth" for name in moved(self.rates)]
        return changed + ([f"the forecast itself has shifted (index {self.score:.2f})"] if self.score > LARGE else [])


def moved(rates: pl.DataFrame) -> list[str]:
    """The rates of `Drift.rates` that have changed by more than is tolerated, their intervals say."""
    beyond = (pl.col("low") > 1 + TOLERATED) | (pl.col("high") < 1 / (1 + TOLERATED))
    return rates.filter(beyond)["rate"].to_list()


def psi(before: Floats, after: Floats, bins: int = BINS) -> float:
    """Population stability index over bins of alike many values before; NaN is a bin of its own.

    Σ (a − b) · log(a / b) of the shares a after and b before; half a customer in each bin keeps it finite.
    """
    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)
    counts = []
    for values in (before, after):
        place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
        counts.append(np.bincount(place, minlength=len(edges) + 2) + 0.5)
    b, a = (count / count.sum() for count in counts)
    return float(np.sum((a - b) * np.log(a / b)))


def drift(panels: Panels, forecast: Forecast, now: Panel) -> Drift | LeftOut:
    """Shifts from the training cutoffs to `now`, and the test's purchases against their forecast."""
    before = pl.concat([_recent(one) for one in panels.training])
    after = _recent(now)
    if min(before.height, after.height) < 100:
        return LeftOut("Too few customers were seen in the last 30 days to tell whether behaviour has shifted.")
    stability = pl.DataFrame(
        [(name, psi(_numbers(before, name), _numbers(after, name))) for name in COLUMNS],
        schema=["feature", "psi"],
        orient="row",
    ).sort("psi", descending=True, maintain_order=True)
    learned = np.concatenate([forecast.model.probability(one.x)[_seen(one)] for one in panels.training])
    score = psi(learned, forecast.model.probability(now.x)[_seen(now)])
    z = float(norm.ppf(1 - LEVEL / 2 / (len(RATES) + 1)))
    rates = [
        (name, *_change(_numbers(before, column), before, _numbers(after, column), after, z))
        for name, column in RATES.items()
    ]
    rates.append((PURCHASES, *_against_forecast(panels, forecast, z)))
    table = pl.DataFrame(rates, schema=["rate", "before", "now", "change", "low", "high"], orient="row")
    return Drift(stability, table.filter(pl.col("change").is_finite()), score)


def _recent(panel: Panel) -> pl.DataFrame:
    wanted = [*dict.fromkeys([*COLUMNS, "events_7d", "events_4w_before", "customer_id"])]
    frame = panel.customers.with_columns(
        ((pl.col("events_7d") + 1) / (pl.col("events_4w_before") / 4 + 1)).alias("trend")
    )
    return frame.filter(pl.col("days_since_event") <= WINDOW).select(wanted)


def _seen(panel: Panel) -> Flags:
    flags: Flags = (panel.customers["days_since_event"] <= WINDOW).to_numpy()
    return flags


def _numbers(frame: pl.DataFrame, name: str) -> Floats:
    values: Floats = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values


def _change(
    x: Floats, before: pl.DataFrame, y: Floats, after: pl.DataFrame, z: float
) -> tuple[float, float, float, float, float]:
    """Events a visit before and after, and their ratio with its ends (linearised, by customer)."""
    first, error = _rate(x, _numbers(before, "sessions_30d"))
    second, other = _rate(y, _numbers(after, "sessions_30d"))
    if first <= 0 or second <= 0:
        return first, second, float("nan"), float("nan"), float("nan")
    factor = float(np.exp(z * np.hypot(error, other)))
    change = second / first
    return first, second, change, change / factor, change * factor


def _rate(events: Floats, visits: Floats) -> tuple[float, float]:
    """Ratio of totals and the standard error of its logarithm (Cochran 1977, chapter 6)."""
    total, people = float(events.sum()), float(visits.sum())
    if total <= 0:
        return 0.0, 0.0
    slope = events / total - visits / people
    return total / people, float(np.sqrt(np.sum(slope**2)))


def _against_forecast(panels: Panels, forecast: Forecast, z: float) -> tuple[float, float, float, float, float]:
    """Expected and actual buyers of the test, and their ratio; the calibration it rests on has chance of its own."""
    expected, seen = float(forecast.probability.sum()), float(forecast.labels.sum())
    calibrated = float(panels.calibration.bought(forecast.horizon).sum())
    change = seen / expected
    factor = float(np.exp(z * np.sqrt(1 / seen + 1 / calibrated)))
    return expected, seen, change, change / factor, change * factor


def measures(found: Drift | LeftOut) -> list[Measure]:
    """What 04 records of it: the index of the forecast, and purchases against the forecast."""
    label = "Population stability index of the forecast, training to now"
    against = "Buyers of the test period ÷ buyers expected"
    if isinstance(found, LeftOut):
        return [
            Measure("score_psi", label, "number", None, reason=found.reason),
            measured("observed_to_expected", against, "factor", None, found.reason),
        ]
    return [
        Measure("score_psi", label, "number", found.score),
        measured("observed_to_expected", against, "factor", found.purchases),
    ]


def answer(found: Drift | LeftOut, formats: Formats) -> str:
    """Whether to train again, and why."""
    if isinstance(found, LeftOut):
        return found.reason
    if not found.reasons:
        return "Customers behave as those that the forecast was learned from: there is no reason to train it again."
    changes = dict(found.rates.select("rate", "change").iter_rows())
    told = [
        f"{reason} ({formats.value(changes[name], 'factor')})"
        if (name := reason.split(" changed by")[0]) in changes
        else reason
        for reason in found.reasons
    ]
    return f"Train the forecast again as soon as outcomes allow: {'; '.join(told)}."
