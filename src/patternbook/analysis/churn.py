"""What the report says of who is about to leave: findings, tables and sentences from the forecasts of `leaving`."""

from __future__ import annotations

import numpy as np
import polars as pl

from patternbook.analysis.classification import auc, calibration_error, confusion
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.leaving import HORIZONS, TREES, Backtest, Forecast, Leaving
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.moments import FEATURES, matrix
from patternbook.formats import Formats, Unit

FACTORS = 3  # a customer
TOO_GOOD = 0.95  # lower bound of a single feature's AUC from which on it is taken for a leak
LABELS = {
    "auc": "Who leaves: AUC of the forecast",
    "f1": "Who leaves: F1 of those at high risk",
    "precision": "Share of those at high risk who left",
    "recall": "Share of those who left who were at high risk",
    "calibration_error": "Expected calibration error, over ten groups by forecast",
}


def importance(found: Leaving | LeftOut) -> pl.DataFrame | LeftOut:
    """What the trees of the headline forecast go by: feature, meaning, share of contributions, auc with low and high.

    Contributions are SHAP values of the trees in log-odds (Lundberg et al. 2020, Nature Machine Intelligence 2, 56–67);
    the AUC is the feature's own at the tested cutoff, whichever way it points.
    """
    forecast = _headline(found)
    if isinstance(forecast, LeftOut):
        return forecast
    if forecast.trees is None or forecast.tested is None:
        return LeftOut("There is too little to learn from, so no factors are named.")
    size = np.abs(contributions(forecast)).mean(axis=0)
    tested = forecast.tested
    alone = matrix(tested.customers)
    own = {
        name: _own_auc(tested.left, column) for name, column in zip(FEATURES, alone.T, strict=True) if _varies(column)
    }
    rows = [
        (
            name,
            meaning,
            float(part),
            *(own[name][:3] if name in own else (None,) * 3),
        )
        for (name, meaning), part in zip(FEATURES.items(), size / (size.sum() or 1), strict=True)
    ]
    schema = ["feature", "meaning", "share", "auc", "auc_low", "auc_high"]
    table = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
    return table.sort("share", "feature", descending=[True, False])


def _varies(column: Floats) -> bool:
    known = column[np.isfinite(column)]
    return len(known) > 0 and bool(known.min() < known.max())


def _own_auc(left: Floats, column: Floats) -> Estimate:
    """AUC of one feature; who has none counts as having its median."""
    value = np.where(np.isfinite(column), column, np.nanmedian(column))
    found = auc(left, value)
    return found if found.value >= 0.5 else auc(left, -value)


def believed(found: Leaving | LeftOut, features: pl.DataFrame | LeftOut) -> Leaving | LeftOut:
    """The forecasts, unless one feature of `importance` alone tells who leaves: a leak until shown otherwise."""
    suspect = pl.DataFrame() if isinstance(features, LeftOut) else features.filter(pl.col("auc_low") > TOO_GOOD)
    if suspect.is_empty():
        return found
    return LeftOut(
        f"One feature alone ({suspect['meaning'][0]}) tells who leaves almost without error; that is too good to be a "
        "forecast, so none is given."
    )


def contributions(forecast: Forecast) -> Floats:
    """SHAP values of the undecided customers in log-odds of the trees: one row a customer, a column a feature."""
    whole = forecast.trees.predict(matrix(forecast.undecided), pred_contrib=True)  # type: ignore[union-attr]
    parts: Floats = np.asarray(whole, dtype=float)[:, :-1]  # the last column is the base value
    return parts


def customers(found: Leaving) -> pl.DataFrame:
    """One row a buyer, by customer_id: what is known and expected of them.

    Columns: customer_id, left (by the definition), silence and limit (days; limit null where there is none), for each
    horizon with a forecast `p_left_<h>d` (as on its last day, so that who left may be back; null for who has left),
    and factor_1 to factor_3, what speaks most for leaving in the headline forecast, in words (null where nothing does,
    or where no trees have learned).
    """
    shown = ("customer_id", "silence", "limit")
    everyone = pl.concat(
        [
            found.now.present.select(*shown, pl.lit(False).alias("left")),
            found.now.left.select(*shown, pl.lit(True).alias("left")),
        ]
    ).with_columns(pl.when(pl.col("limit").is_finite()).then(pl.col("limit")).alias("limit"))
    for horizon, forecast in found.forecasts.items():
        name = f"p_left_{horizon}d"
        own = forecast.undecided.select("customer_id", pl.Series(name, forecast.probability))
        everyone = everyone.join(own, on="customer_id", how="left").with_columns(
            pl.when(~pl.col("left")).then(pl.col(name).fill_null(0.0)).alias(name)
        )
    names = [f"factor_{k}" for k in range(1, FACTORS + 1)]
    headline = found.headline
    if headline is None or headline.trees is None:
        return everyone.with_columns(pl.lit(None, pl.String).alias(name) for name in names).sort("customer_id")
    return everyone.join(factors(headline), on="customer_id", how="left").sort("customer_id")


def factors(forecast: Forecast) -> pl.DataFrame:
    """What speaks most for leaving, in words, of each undecided customer: customer_id, factor_1 to factor_3."""
    parts = contributions(forecast)
    order = np.argsort(-parts, axis=1, kind="stable")[:, :FACTORS]
    speaks = np.take_along_axis(parts, order, axis=1) > 0
    chosen = {f"factor_{k + 1}": pl.Series(np.where(speaks[:, k], order[:, k], -1)) for k in range(FACTORS)}
    return forecast.undecided.select(
        "customer_id",
        *(
            pl.coalesce(pl.when(at == number).then(_words(*feature)) for number, feature in enumerate(FEATURES.items()))
            .cast(pl.String)
            .alias(name)
            for name, at in chosen.items()
        ),
    )


def _words(name: str, meaning: str) -> pl.Expr:
    """A feature and its value, whole or to one decimal, as text."""
    value = pl.col(name).cast(pl.Float64)
    whole = value.round(0).cast(pl.Int64, strict=False).cast(pl.String)
    text = pl.when((value - value.round(0)).abs() < 1e-9).then(whole).otherwise(value.round(1).cast(pl.String))
    known = pl.format("{}: {}", pl.lit(meaning), text)
    return pl.when(value.is_finite()).then(known).otherwise(pl.lit(f"{meaning}: none"))


def _headline(found: Leaving | LeftOut) -> Forecast | LeftOut:
    """The forecast that the report speaks of, or why there is none."""
    if isinstance(found, LeftOut):
        return found
    if found.headline is None:
        reasons = [missing.reason for missing in found.missing.values()]
        return LeftOut(reasons[0] if reasons else "The data are too short to test a forecast of who leaves.")
    return found.headline


def counts(found: Leaving | LeftOut) -> list[Measure]:
    """What 08 records of who has left, as counted by the definition."""
    reason = found.reason if isinstance(found, LeftOut) else None
    headline = _headline(found)
    tested = None if isinstance(headline, LeftOut) else headline.tested
    back = tested.came_back if tested else None
    why = headline.reason if isinstance(headline, LeftOut) else "Nobody had left by the definition before the test."
    return [
        Measure("present", "Buyers who are still there", "count", _count(found, "present"), reason=reason),
        Measure("left", "Buyers who have left by the definition", "count", _count(found, "left"), reason=reason),
        Measure(
            "horizon_days",
            "Horizon that the forecast of who leaves is tested on",
            "days",
            None if isinstance(headline, LeftOut) else headline.horizon,
            reason=headline.reason if isinstance(headline, LeftOut) else None,
        ),
        measured(
            "came_back",
            "Share of those who had left at the test's cutoff who bought again within the horizon",
            "share",
            back,
            None if back else why,
        ),
    ]


def _count(found: Leaving | LeftOut, who: str) -> int | None:
    return None if isinstance(found, LeftOut) else getattr(found.now, who).height


def measures(found: Leaving | LeftOut) -> list[Measure]:
    """What 08 records of the forecasts: all modelled."""
    rows = []
    for horizon in HORIZONS:
        label = f"Customers who are there now and expected to have left in {horizon} days"
        if isinstance(found, LeftOut) or horizon not in found.forecasts:
            reason = found.reason if isinstance(found, LeftOut) else found.missing[horizon].reason
            rows.append(measured(f"at_risk_{horizon}d", label, "count", None, reason))
        else:
            rows.append(measured(f"at_risk_{horizon}d", label, "count", found.forecasts[horizon].expected))
    headline = _headline(found)
    if isinstance(headline, LeftOut):
        names = {**LABELS, "gain": "AUC of LightGBM beyond the best baseline"}
        return [*rows, *(measured(name, label, "number", None, headline.reason) for name, label in names.items())]
    assert headline.tested is not None
    assert not isinstance(found, LeftOut)
    for name, estimate in quality(headline.tested, headline.method, found.settings.high_risk).items():
        known = estimate if estimate and estimate.interval else None
        unit: Unit = "share" if name in ("precision", "recall") else "number"
        why = None if known else "Too few customers were at high risk when tested to say."
        rows.append(measured(name, f"{LABELS[name]}, {headline.method}", unit, known, why))
    gain = headline.tested.gain
    label = f"AUC of {TREES} beyond that of {headline.tested.baseline}"
    rows.append(measured("gain", label, "number", gain, None if gain else "Trees had too little to learn from."))
    return rows


def horizons(found: Leaving) -> pl.DataFrame:
    """One row a horizon with a forecast.

    Columns: days, expected (customers who will have left) with low and high, share of those present, method, auc with
    auc_low and auc_high (null where the horizon could not be tested).
    """
    rows = []
    for days, forecast in found.forecasts.items():
        tested = forecast.tested
        area = tested.auc(forecast.method) if tested else None
        expected = forecast.expected
        rows.append(
            (
                days,
                expected.value,
                expected.low,
                expected.high,
                expected.value / found.now.present.height,
                forecast.method,
                *(area[:3] if area else (None,) * 3),
            )
        )
    names = ["days", "expected", "low", "high", "share", "method", "auc", "auc_low", "auc_high"]
    kinds = dict.fromkeys(("auc", "auc_low", "auc_high"), pl.Float64)
    return pl.DataFrame(rows, schema=names, schema_overrides=kinds, orient="row")


def methods(tested: Backtest, high_risk: float) -> pl.DataFrame:
    """One row a method, the best AUC first: its scores at the tested cutoff, each with low and high."""
    rows = []
    for method in tested.probabilities:
        row: dict[str, object] = {"method": method}
        for name, estimate in quality(tested, method, high_risk).items():
            value, low, high = estimate[:3] if estimate else (None,) * 3
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None).sort("auc", descending=True, maintain_order=True)


def quality(tested: Backtest, method: str, high_risk: float) -> dict[str, Estimate | None]:
    """How good a method was, by the names of `LABELS`; None where nobody was at high risk."""
    probability = tested.probabilities[method]
    table = confusion(tested.left, probability >= high_risk)
    return {
        "auc": tested.auc(method),
        "f1": table.f1,
        "precision": table.precision,
        "recall": table.recall,
        "calibration_error": calibration_error(tested.left, probability),
    }


def definition(found: Leaving, formats: Formats) -> str:
    """Who counts as having left, in one sentence."""
    kind, quantile, alive_below = found.settings.definition
    if kind == "p_alive":
        return (
            "A customer counts as having left once the probability that they are still a customer (BG/NBD) is below "
            f"{formats.compact(alive_below, 'share')}."
        )
    middle = float(found.now.present["limit"].median())  # type: ignore[arg-type]
    share = formats.compact(quantile, "share")
    return (
        f"A customer counts as having left once they have been silent for longer than {share} of their own pauses "
        f"between purchases, drawn towards everybody's the fewer there are; for half of those still there that is "
        f"{formats.count(middle)} days or less."
    )


def answer(found: Leaving | LeftOut, formats: Formats) -> str:
    """The notebook's answer in a few sentences, from the results."""
    headline = _headline(found)
    if isinstance(found, LeftOut) or isinstance(headline, LeftOut):
        return headline.reason if isinstance(headline, LeftOut) else ""
    tested = headline.tested
    assert tested is not None
    present, left = found.now.present.height, found.now.left.height
    expected = headline.expected
    sentences = [
        f"Of {formats.count(present + left)} buyers, {formats.count(present)} are still there; within "
        f"{headline.horizon} days {formats.value(expected.value, 'count', expected.interval)} of them are expected to "
        "have left.",
        definition(found, formats),
    ]
    if headline.horizon < found.asked:
        sentences.append(f"The data are too short to test a forecast over {found.asked} days.")
    return " ".join([*sentences, _verdict(headline, tested, formats)])


def _verdict(headline: Forecast, tested: Backtest, formats: Formats) -> str:
    """Which method is used, how good it was, and against what."""
    area = tested.auc(headline.method)
    was = f"{headline.method} had an AUC of {formats.value(area.value, 'number', area.interval)}"
    gain = tested.gain
    if gain is None:
        return f"Tested on what followed {formats.date(tested.cutoff)}, {was}; {TREES} had too little to learn from."
    text = formats.value(gain.value, "number", gain.interval)
    if headline.method == TREES:
        return f"Tested on what followed {formats.date(tested.cutoff)}, {was}, {text} more than {tested.baseline}."
    return (
        f"Tested on what followed {formats.date(tested.cutoff)}, {was}; {TREES} does not beat it "
        f"(difference {text}), so {headline.method} is used."
    )
