"""What to do with a forecast: whom it pays to contact, in tiers, and whether that held in the test period.

Contacting a customer with probability p to buy is expected to bring p · value · incremental share − cost, where value
is the margin of what a buyer spends within the horizon, and the incremental share that of purchases that would not have
happened anyway. It pays from p = cost ÷ (value · incremental share) on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.analysis.classification import Confusion, Flags, confusion, percentiles, replicated
from patternbook.analysis.intervals import Floats, wilson
from patternbook.analysis.propensity import Forecast, Panel, Panels
from patternbook.analysis.suppression import few
from patternbook.formats import Formats

TIERS = ("high", "medium", "low")


@dataclass(frozen=True)
class Terms:
    """What a contact costs and brings. `value` is the margin of what a buyer spends, from the calibration period."""

    value: float
    incremental_share: float
    contact_cost: float

    @property
    def threshold(self) -> float:
        """The probability from which on a contact pays; above 1 where none does."""
        worth = self.value * self.incremental_share
        return float("inf") if worth <= 0 else self.contact_cost / worth

    def profit(self, probability: Floats) -> Floats:
        """Expected profit of contacting each."""
        profit: Floats = probability * self.value * self.incremental_share - self.contact_cost
        return profit

    def tier(self, probability: Floats) -> npt.NDArray[np.str_]:
        """high: a contact brings twice its cost or more; medium: it pays; low: it does not."""
        return np.where(
            probability >= 2 * self.threshold, "high", np.where(probability >= self.threshold, "medium", "low")
        )


def terms(panels: Panels, horizon: int, margin: float, incremental_share: float, contact_cost: float) -> Terms:
    """The terms, with the value of a buyer of the calibration period."""
    buyers = panels.calibration.customers.filter(pl.Series(panels.calibration.bought(horizon)))
    return Terms(margin * float(buyers["next_revenue"].cast(pl.Float64).mean() or 0.0), incremental_share, contact_cost)  # type: ignore[arg-type]


def tiers(forecast: Forecast, panels: Panels, at: Terms, now: Floats, minimum_group: int) -> pl.DataFrame:
    """One row a tier: customers at the test cutoff, expected and observed conversion with its ends, what they buy when.

    Columns: tier, customers, share, expected, observed, observed_low, observed_high, profit (expected, a customer),
    days_from and days_to (the middle half of the days until buyers of the tier bought, calibration period) and
    customers_now, at the end of the data (`now` are their probabilities). What speaks of fewer people than
    `minimum_group` is null, so is what would tell how few bought, or did not.
    """
    calibrated = forecast.model.probability(panels.calibration.x)
    bought = panels.calibration.bought(forecast.horizon)
    days = panels.calibration.customers["days_to_purchase"]
    group, before, today = (at.tier(values) for values in (forecast.probability, calibrated, now))
    rows = []
    for tier in TIERS:
        inside = group == tier
        n, buyers = int(inside.sum()), int(forecast.labels[inside].sum())
        waits = days.filter(pl.Series((before == tier) & bought))
        counted = n >= minimum_group
        told = counted and not few([buyers, n - buyers], minimum_group).any()
        low, high = (float(end) for end in wilson(buyers, n))
        rows.append(
            {
                "tier": tier,
                "customers": n if counted or n == 0 else None,
                "share": n / len(inside) if counted or n == 0 else None,
                "expected": float(forecast.probability[inside].mean()) if counted else None,
                "observed": buyers / n if told else None,
                "observed_low": low if told else None,
                "observed_high": high if told else None,
                "profit": float(at.profit(forecast.probability[inside]).mean()) if counted else None,
                "days_from": waits.quantile(0.25) if len(waits) >= minimum_group else None,
                "days_to": waits.quantile(0.75) if len(waits) >= minimum_group else None,
                "customers_now": _published(int((today == tier).sum()), minimum_group),
            }
        )
    kinds = {"tier": pl.String, "customers": pl.Int64} | {"customers_now": pl.Int64}
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.col(name).cast(kinds.get(name, pl.Float64)) for name in frame.columns)


def untold(table: pl.DataFrame) -> str | None:
    """Why no tier's conversion can be shown, in one sentence; None where one can."""
    return None if table["observed"].count() else "Too few customers bought to publish how many of each tier did."


def at_test(forecast: Forecast, panel: Panel, at: Terms) -> pl.DataFrame:
    """What the forecast said of each customer at the test: customer_id, cutoff, probability, tier."""
    return panel.customers.select(
        "customer_id",
        pl.lit(panel.cutoff).alias("cutoff"),
        pl.Series("probability", forecast.probability),
        pl.Series("tier", at.tier(forecast.probability)),
    )


def _published(count: int, minimum_group: int) -> int | None:
    return count if count == 0 or count >= minimum_group else None


def contacted(forecast: Forecast, at: Terms) -> Confusion:
    """Whom the threshold of profit would have contacted, against who bought."""
    return confusion(forecast.labels, forecast.probability >= at.threshold)


def policies(forecast: Forecast, panel: Panel, at: Terms, margin: float, minimum_group: int) -> pl.DataFrame:
    """Profit at the test, as its buyers did spend, of contacting by forecast, by best rule, all or none.

    Columns: policy, customers, profit with its ends (bootstrap over customers). The incremental share is assumed. What
    speaks of fewer customers or buyers than `minimum_group` is null.
    """
    spent = panel.customers["next_revenue"].cast(pl.Float64).fill_null(0).to_numpy() * forecast.labels
    worth = spent * margin * at.incremental_share - at.contact_cost
    rule = forecast.probabilities[forecast.evaluation.best]
    chosen: dict[str, Flags] = {
        "by forecast": forecast.probability >= at.threshold,
        f"by {forecast.evaluation.best}": rule >= at.threshold,
        "everybody": np.ones(len(worth), dtype=bool),
        "nobody": np.zeros(len(worth), dtype=bool),
    }
    drawn = replicated(lambda weights: {name: weights @ (worth * who) for name, who in chosen.items()}, len(worth))
    rows = []
    for name, who in chosen.items():
        told = not few([who.sum(), forecast.labels[who].sum()], minimum_group).any()
        profit = percentiles(drawn[name], len(worth))[:3] if told else (None, None, None)
        rows.append((name, _published(int(who.sum()), minimum_group), *profit))
    kinds = {"policy": pl.String, "customers": pl.Int64}
    kinds |= dict.fromkeys(("profit", "profit_low", "profit_high"), pl.Float64)
    return pl.DataFrame(rows, schema=kinds, orient="row")


def answer(table: pl.DataFrame, at: Terms, until: date, formats: Formats) -> str:
    """How many are worth contacting now, in a sentence or two."""
    if at.threshold > 1:
        return (
            f"A contact at {formats.money(at.contact_cost)} does not pay with anybody: even a sure buyer brings "
            f"{formats.money(at.value * at.incremental_share)} more margin on average."
        )
    now = dict(table.select("tier", "customers_now").iter_rows())
    if now["medium"] == now["low"] == 0:
        return (
            f"As of {formats.date(until)} all {formats.count(now['high'])} customers are of high intent: a contact at "
            f"{formats.money(at.contact_cost)} is expected to bring at least twice its cost with the least likely of "
            f"them, since it pays from a probability of {formats.share(at.threshold)} on. Tiers tell these customers "
            f"apart no further; the order of their scores does. That {formats.share(at.incremental_share)} of the "
            "purchases of contacted customers would not have happened otherwise is assumed; an experiment measures it."
        )
    high, medium = (formats.count(now[tier]) for tier in TIERS[:2])
    return (
        f"As of {formats.date(until)}, {high} customers are of high and {medium} of medium intent: a contact at "
        f"{formats.money(at.contact_cost)} is expected to bring twice its cost, or to pay. It pays from a probability "
        f"of {formats.share(at.threshold)} on, if {formats.share(at.incremental_share)} of the purchases of contacted "
        "customers would not have happened otherwise. That share is assumed; an experiment measures it."
    )
