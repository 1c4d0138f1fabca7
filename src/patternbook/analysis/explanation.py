"""Why the forecast says what it says: each column's contribution to each customer's log-odds, and what follows.

Contributions are LightGBM's own, the exact Shapley values of its trees (TreeSHAP, Lundberg et al. 2020, Nature Machine
Intelligence 2, 56–67): they add up, with a constant, to the log-odds. They say what the model leans on, not what moves
customers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from patternbook.analysis import predictors
from patternbook.analysis.classification import MOST_REPLICATES, THREADS, percentiles
from patternbook.analysis.intervals import Estimate, Floats
from patternbook.analysis.measure import Measure, measured
from patternbook.analysis.predictors import FAMILIES, PREDICTORS
from patternbook.analysis.propensity import Model, Panel, Panels
from patternbook.formats import Formats

MOST_EXPLAINED = 5000  # customers; importance then moves in its third digit
BINS = 12
LEADING = 4  # columns whose dependence is shown
REASONS = 3
RECENT_DAYS = 7


def contributions(model: Model, x: Floats) -> tuple[Floats, float]:
    """Contributions to the calibrated log-odds, one row a customer, one column a column, and what everybody has."""
    found = np.asarray(model.booster.predict(x, pred_contrib=True, num_threads=THREADS), dtype=float)
    slope = model.calibrator.slope
    return found[:, :-1] * slope, float(found[0, -1]) * slope + model.calibrator.intercept


def sample(panel: Panel, most: int = MOST_EXPLAINED) -> Floats:
    """Rows of the panel to explain, drawn where they are many."""
    if len(panel.x) <= most:
        return panel.x
    chosen: Floats = panel.x[np.sort(np.random.default_rng(0).permutation(len(panel.x))[:most])]
    return chosen


def importance(found: Floats) -> pl.DataFrame:
    """One row a column of the model, the most important first: feature, family, mean size of its contribution, share.

    `family_share` is the share of the whole family, whose columns say much the same; their contributions are added
    before their size is taken, so that those which cancel out do not count.
    """
    size = np.abs(found).mean(axis=0)
    grouped = np.abs(by_family(found)).mean(axis=0)
    share = dict(zip(FAMILIES, grouped / max(grouped.sum(), 1e-12), strict=True))
    return pl.DataFrame(
        {
            "feature": [one.name for one in PREDICTORS],
            "family": [one.family for one in PREDICTORS],
            "contribution": size,
            "share": size / max(size.sum(), 1e-12),
            "family_share": [share[one.family] for one in PREDICTORS],
        }
    ).sort("contribution", descending=True, maintain_order=True)


def by_family(found: Floats) -> Floats:
    """Contributions added up by family, a column each in the order of `predictors.FAMILIES`."""
    place = np.array([FAMILIES.index(one.family) for one in PREDICTORS])
    return np.column_stack([found[:, place == number].sum(axis=1) for number in range(len(FAMILIES))])


def dependence(found: Floats, x: Floats, minimum_group: int) -> pl.DataFrame:
    """How the contribution of the leading columns changes with their value: feature, value, customers, odds.

    `odds` is the factor on the odds to buy, the exponential of the mean contribution, of customers whose value lies in
    a bin; bins hold alike many customers, and at least `minimum_group`. One leading column a family, names left out.
    """
    ranked = importance(found).filter(~pl.col("feature").is_in(predictors.NAMES))
    leading = ranked.unique("family", keep="first", maintain_order=True)["feature"].head(LEADING)
    parts = []
    for name in leading:
        column = predictors.COLUMNS.index(name)
        frame = pl.DataFrame({"value": x[:, column], "contribution": found[:, column]})
        frame = frame.filter(pl.col("value").is_not_nan())
        steps = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.unique(np.quantile(frame["value"], steps)) if frame.height else np.zeros(0)
        parts.append(
            frame.with_columns(pl.Series("bin", np.searchsorted(edges, frame["value"].to_numpy())))
            .group_by("bin")
            .agg(
                pl.col("value").median(),
                pl.len().cast(pl.Int64).alias("customers"),
                pl.col("contribution").mean().exp().alias("odds"),
            )
            .filter(pl.col("customers") >= minimum_group)
            .sort("value")
            .select(pl.lit(name).alias("feature"), "value", "customers", "odds")
        )
    return pl.concat(parts)


# -- active lately --------------------------------------------------------------------------------------------------


def times_as_likely(panel: Panel, horizon: int) -> Estimate:
    """How many times as likely to buy are customers active in the last seven days as the others; as counted."""
    return _standardised(panel, horizon, np.zeros(len(panel.x), dtype=np.int64))


def times_as_likely_alike(panels: Panels, panel: Panel, horizon: int) -> Estimate:
    """The same with the rest held fixed: among customers alike in orders, time since the last one and time known.

    Strata are order days (0, 1, 2–4, 5 and more), days since the last order and days known (fifths of the training
    panels). Those without one of the two groups are left out, and their customers not counted in `n`.
    """
    return _standardised(panel, horizon, _strata(panels, panel))


def _standardised(panel: Panel, horizon: int, stratum: npt.NDArray[np.int64]) -> Estimate:
    """Ratio of the two rates, both weighted by the people of each stratum.

    Direct standardisation (Rothman, Greenland & Lash 2008, Modern Epidemiology, chapter 4); percentiles of a Poisson
    bootstrap of the customers, which need be known by their cell alone.
    """
    active = (panel.customers["days_since_event"] <= RECENT_DAYS).to_numpy()
    cell = (stratum * 2 + active) * 2 + panel.bought(horizon)
    counts = np.bincount(cell, minlength=4 * (int(stratum.max()) + 1)).reshape(-1, 2, 2)
    counts = counts[(counts.sum(axis=2) > 0).all(axis=1)].astype(float)
    drawn = np.random.default_rng(0).poisson(counts, (MOST_REPLICATES, *counts.shape))
    cells = np.concatenate([counts[None], drawn])
    people = cells.sum(axis=3)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(people > 0, cells[..., 1] / people, 0.0)
        expected = np.einsum("rsg,rs->rg", rates, people.sum(axis=2))
        return percentiles(expected[:, 1] / expected[:, 0], int(counts.sum()))


def _strata(panels: Panels, panel: Panel) -> npt.NDArray[np.int64]:
    learned = pl.concat([one.customers.select("days_since_purchase", "days_known") for one in panels.training])
    stratum = np.searchsorted([1, 2, 5], panel.customers["order_days"].to_numpy(), side="right")
    for name in ("days_since_purchase", "days_known"):
        edges = np.quantile(learned[name].drop_nulls(), [0.2, 0.4, 0.6, 0.8]) if learned[name].count() else np.zeros(0)
        values = panel.customers[name].fill_null(float("inf")).to_numpy()
        stratum = stratum * (len(edges) + 1) + np.searchsorted(edges, values)
    return np.asarray(np.unique(stratum, return_inverse=True)[1])


# -- reasons --------------------------------------------------------------------------------------------------------


def reasons(model: Model, x: Floats, names: dict[str, tuple[str, ...]], formats: Formats) -> pl.DataFrame:
    """The three families that move each customer's forecast most, in words: reason_1, reason_2, reason_3.

    A family speaks through the column that contributes most in its direction; `+` stands before what makes a purchase
    likelier, `−` before what makes it less likely.
    """
    found, _ = contributions(model, x)
    whole = by_family(found)
    leading = np.argsort(-np.abs(whole), axis=1, kind="stable")[:, :REASONS]
    rows = np.arange(len(x))
    speakers = _speakers(found, whole)
    words = {}
    for place in range(REASONS):
        family = leading[:, place]
        column = speakers[rows, family]
        sign = np.where(whole[rows, family] >= 0, "+ ", "− ")
        words[f"reason_{place + 1}"] = _said(column, x[rows, column], sign, names, formats)
    return pl.DataFrame(words)


def _speakers(found: Floats, whole: Floats) -> npt.NDArray[np.int64]:
    """Number of the column that contributes most to each family in the family's direction."""
    chosen = np.empty(whole.shape, dtype=np.int64)
    for number, family in enumerate(FAMILIES):
        inside = np.flatnonzero([one.family == family for one in PREDICTORS])
        towards = found[:, inside] * np.where(whole[:, [number]] >= 0, 1, -1)
        chosen[:, number] = inside[np.argmax(towards, axis=1)]
    return chosen


def _said(
    column: npt.NDArray[np.int64],
    value: Floats,
    sign: npt.NDArray[np.str_],
    names: dict[str, tuple[str, ...]],
    formats: Formats,
) -> pl.Series:
    """Phrases, each different value written once."""
    frame = pl.DataFrame({"column": column, "value": np.round(value, 3), "sign": sign})
    kinds = frame.unique(maintain_order=True)
    said = [s + phrase(PREDICTORS[c], v, names, formats) for c, v, s in kinds.iter_rows()]
    joined = frame.join(
        kinds.with_columns(pl.Series("said", said)), on=["column", "value", "sign"], how="left", maintain_order="left"
    )
    return joined["said"]


def phrase(predictor: predictors.Predictor, value: float, names: dict[str, tuple[str, ...]], formats: Formats) -> str:
    """A value in words, such as `last ordered 3 days ago`."""
    if np.isnan(value):
        return predictor.never or predictor.name.replace("_", " ") + " unknown"
    if predictor.name in names:
        return predictor.phrase.format(names[predictor.name][int(value)])
    return predictor.phrase.format(_value(value, predictor.unit, formats))


def _value(value: float, unit: str, formats: Formats) -> str:
    if unit == "days":
        return "less than a day" if value < 1 else formats.value(float(int(value)), "days")
    return formats.value(value, unit)


def measures(raw: Estimate | None, alike: Estimate | None, reason: str | None) -> list[Measure]:
    """What 04 records of having been active lately."""
    label = "Times as likely to buy if active in the last 7 days"
    return [
        measured("active_7d", label, "factor", raw, reason),
        measured("active_7d_alike", f"{label}, among customers with alike orders and tenure", "factor", alike, reason),
    ]


def answer(ranked: pl.DataFrame, raw: Estimate, alike: Estimate, formats: Formats) -> str:
    """What the forecast leans on, and what being active lately says, in a few sentences."""
    families = ranked.unique("family", keep="first", maintain_order=True).sort("family_share", descending=True)
    leading = [
        f"{name} ({formats.share(share)})" for name, share in families.select("family", "family_share").iter_rows()
    ]
    return (
        f"The forecast leans most on {leading[0]}, {leading[1]} and {leading[2]}. Customers active in the last "
        f"{RECENT_DAYS} days were {formats.value(raw.value, 'factor', raw.interval)} as likely to buy as the others; "
        f"among customers alike in orders, time since the last one and time known, "
        f"{formats.value(alike.value, 'factor', alike.interval)}."
    )
