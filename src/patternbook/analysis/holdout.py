"""The repeat-buying model checked on a period that it has not seen, against baselines and a learned regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import norm, rankdata

from patternbook.analysis.bgnbd import BgNbd, expected_if_alive, fit_bgnbd
from patternbook.analysis.history import DAYS, history, purchase_days
from patternbook.analysis.intervals import CONFIDENCE, MAX_GROUPS, POISSON, Estimate, Floats
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.formats import Formats

REPLICATES = 2000
TOP = 0.1
Z = float(norm.ppf((1 + CONFIDENCE) / 2))
MOST_FREQUENT = 7  # and more
MODEL = "BG/NBD"
FEATURES = ("x", "t_x", "T", "quiet", "gap", "spend")
TREES = {  # few and shallow, since a shop of a few thousand buyers has to do
    "objective": "poisson",
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "learning_rate": 0.05,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "seed": 0,
    "verbosity": -1,
}
ROUNDS = 150


@dataclass(frozen=True)
class Holdout:
    """What was expected of each buyer of the calibration period in the hold-out period, and what they did.

    `customers` has x, `actual` transactions and a column a method; `weekly` has week, actual, expected repeat
    transactions, of those who became buyers in the calibration period.
    """

    calibration_end: date
    days: int
    customers: pl.DataFrame
    weekly: pl.DataFrame


def calibration_end(first: date, last: date, given: date | str) -> date:
    """The last day of calibration: the one given, or two thirds into the data."""
    return given if isinstance(given, date) else first + timedelta(days=(last - first).days * 2 // 3)


def check(
    purchases: pl.DataFrame, first: date, last: date, end: date | str, unit: str, time_zone: str, minimum_buyers: int
) -> Holdout | LeftOut:
    """Fit up to the calibration's end, forecast from there to `last`, compare."""
    split = calibration_end(first, last, end)
    days = (last - split).days
    if not first < split < last:
        return LeftOut(f"`lifetime.calibration_end` ({split}) does not lie within the data, {first} to {last}.")
    if days < 14:
        return LeftOut(f"The data leave {days} days to check the model on, fewer than two weeks.")
    known = history(purchases, split, unit, time_zone)
    if known.height < minimum_buyers:
        return LeftOut(f"{known.height:,} customers had bought by {split}, too few to check a model on.")
    try:
        model = fit_bgnbd(known["x"], known["t_x"], known["T"])
    except NotIdentified as error:
        return LeftOut(f"Up to {split} the model cannot be fitted, so it cannot be checked on what follows. {error}")
    later = _transactions(purchases, split, last, time_zone)
    actual = known.join(later, on="customer_id", how="left", maintain_order="left")["actual"].fill_null(0)
    if not (actual > 0).any():
        return LeftOut(f"None of the buyers known on {split} bought in the {days} days after it.")
    forecasts = {MODEL: model.expected(days / DAYS[unit], known["x"], known["t_x"], known["T"])}
    forecasts["same as the last period"] = _last_period(purchases, known, split, days, time_zone)
    before = split - timedelta(days=days)
    if before > first:
        forecasts |= _learned(purchases, known, before, split, unit, time_zone)
    customers = known.select(
        "customer_id", "x", actual.alias("actual"), *(pl.Series(*one) for one in forecasts.items())
    )
    return Holdout(split, days, customers, _weekly(purchases, known, model, last, unit, time_zone))


def _transactions(purchases: pl.DataFrame, after: date, until: date, time_zone: str) -> pl.DataFrame:
    """Transactions of each customer after one day, until another: customer_id, actual."""
    return (
        purchase_days(purchases, time_zone)
        .filter(pl.col("day").is_between(after, until, closed="right"))
        .group_by("customer_id")
        .agg(pl.len().alias("actual"))
    )


def _last_period(purchases: pl.DataFrame, known: pl.DataFrame, split: date, days: int, time_zone: str) -> Floats:
    recent = _transactions(purchases, split - timedelta(days=days), split, time_zone)
    joined = known.join(recent, on="customer_id", how="left", maintain_order="left")
    same: Floats = joined["actual"].fill_null(0).cast(pl.Float64).to_numpy()
    return same


def _learned(
    purchases: pl.DataFrame, known: pl.DataFrame, before: date, split: date, unit: str, time_zone: str
) -> dict[str, Floats]:
    """Forecasts of what learns from one period earlier: mean of the frequency and recency group, LightGBM."""
    earlier = history(purchases, before, unit, time_zone)
    outcome = earlier.join(
        _transactions(purchases, before, split, time_zone), on="customer_id", how="left", maintain_order="left"
    )["actual"].fill_null(0)
    if earlier.height < 2 * TREES["min_data_in_leaf"] or not (outcome > 0).any():  # type: ignore[operator]
        return {}
    import lightgbm  # takes a second to load, and short logs do without

    data = lightgbm.Dataset(_features(earlier), outcome.to_numpy())
    trees = lightgbm.train(TREES, data, ROUNDS)
    return {
        "mean of the group": _group_means(earlier, outcome, known),
        "LightGBM": np.asarray(trees.predict(_features(known)), dtype=float),
    }


def _features(histories: pl.DataFrame) -> Floats:
    quiet = pl.col("T") - pl.col("t_x")
    gap = pl.when(pl.col("x") > 0).then(pl.col("t_x") / pl.col("x"))
    frame = histories.with_columns(quiet.alias("quiet"), gap.alias("gap"), pl.col("mean_spend").alias("spend"))
    return frame.select(pl.col(FEATURES).cast(pl.Float64)).to_numpy()


def _group_means(earlier: pl.DataFrame, outcome: pl.Series, known: pl.DataFrame) -> Floats:
    """Mean outcome by frequency (0, 1, 2–3, 4–6, 7+) and thirds of the time since the last transaction."""
    quiet = (earlier["T"] - earlier["t_x"]).to_numpy()
    thirds = np.quantile(quiet, [1 / 3, 2 / 3])

    def groups(histories: pl.DataFrame) -> npt.NDArray[np.int64]:
        by_frequency = np.searchsorted([1, 2, 4, 7], histories["x"].to_numpy(), side="right")
        by_recency = np.searchsorted(thirds, (histories["T"] - histories["t_x"]).to_numpy())
        return np.asarray(by_frequency * 3 + by_recency)

    seen = groups(earlier)
    size = np.bincount(seen, minlength=15)
    sums = np.bincount(seen, weights=outcome.to_numpy().astype(float), minlength=15)
    means: Floats = np.where(size > 0, sums / np.maximum(size, 1), outcome.to_numpy().mean())
    forecast: Floats = means[groups(known)]
    return forecast


def _weekly(
    purchases: pl.DataFrame, known: pl.DataFrame, model: BgNbd, last: date, unit: str, time_zone: str
) -> pl.DataFrame:
    """Repeat transactions a week, as they were and as the model expects a cohort's: whole weeks from the first day."""
    first: date = known["first"].min()  # type: ignore[assignment]
    births = known.select(((pl.col("first") - pl.lit(first)).dt.total_days()).alias("birth")).to_series()
    age = np.arange(0, ((last - first).days + 1) // 7 + 1) * 7
    day, new = np.unique(births.to_numpy(), return_counts=True)
    t = np.maximum(age[:, None] - day[None, :] - 1, 0) / DAYS[unit]
    cumulative = expected_if_alive(model.parameters, t, 0.0, 0.0) @ new
    repeats = (
        purchase_days(purchases, time_zone)
        .join(known.select("customer_id", "first"), on="customer_id")
        .filter(pl.col("day") > pl.col("first"))
        .select(((pl.col("day") - pl.lit(first)).dt.total_days() // 7).alias("week"))
        .to_series()
    )
    weeks = len(age) - 1
    actual = np.bincount(repeats.to_numpy(), minlength=weeks)[:weeks]
    start = pl.date_range(first, first + timedelta(days=7 * (weeks - 1)), "7d", eager=True)
    return pl.DataFrame({"week": start, "actual": actual, "expected": np.diff(cumulative)})


def methods(holdout: Holdout) -> list[str]:
    """The methods compared, the model first."""
    return [name for name in holdout.customers.columns if name not in ("customer_id", "x", "actual")]


def scores(holdout: Holdout) -> pl.DataFrame:
    """A row a method: error of the total, R², Spearman, share of the best tenth's transactions, each with low and high.

    Intervals are percentiles of a bootstrap by customer. Ranks, and who is in the best tenth, stay as they are.
    """
    actual = holdout.customers["actual"].cast(pl.Float64).to_numpy()
    rows = []
    for name in methods(holdout):
        sums = _sums(actual, holdout.customers[name].cast(pl.Float64).to_numpy())
        row: dict[str, object] = {"method": name}
        for score, function in SCORES.items():
            found = _bootstrapped(sums, function)
            row |= {score: found.value, f"{score}_low": found.low, f"{score}_high": found.high}
        rows.append(row)
    return pl.DataFrame(rows)


def error(holdout: Holdout) -> Estimate:
    """Error of the model's total in the hold-out period, as a share of what happened."""
    actual, forecast = (holdout.customers[name].cast(pl.Float64).to_numpy() for name in ("actual", MODEL))
    return _bootstrapped(_sums(actual, forecast), SCORES["error"])


def _sums(actual: Floats, forecast: Floats) -> Floats:
    """What every score is made of, one row a customer: the columns that `SCORES` name by number."""
    u, v = (rankdata(values) / len(values) for values in (actual, forecast))
    best, chosen = _in_top(actual), _in_top(forecast)
    squares = (actual - forecast) ** 2
    return np.column_stack(
        [
            np.ones_like(actual), actual, forecast, actual**2, squares,
            u, v, u * u, v * v, u * v, actual * best, actual * chosen,
        ]
    )  # fmt: skip


def _in_top(values: Floats) -> Floats:
    """Membership of the top tenth, which those at its edge share."""
    edge = np.quantile(values, 1 - TOP, method="higher")
    above, at = values > edge, values == edge
    room = max(TOP * len(values) - above.sum(), 0) / max(at.sum(), 1)
    share: Floats = above + at * min(room, 1.0)
    return share


def _error(s: Floats) -> Floats:
    error: Floats = s[2] / s[1] - 1
    return error


def _r2(s: Floats) -> Floats:
    explained: Floats = 1 - s[4] / (s[3] - s[1] ** 2 / s[0])
    return explained


def _spearman(s: Floats) -> Floats:
    both = s[9] - s[5] * s[6] / s[0]
    rho: Floats = both / np.sqrt((s[7] - s[5] ** 2 / s[0]) * (s[8] - s[6] ** 2 / s[0]))
    return rho


def _captured(s: Floats) -> Floats:
    captured: Floats = s[11] / s[10]
    return captured


SCORES: dict[str, Callable[[Floats], Floats]] = {
    "error": _error,
    "r2": _r2,
    "spearman": _spearman,
    "captured": _captured,
}


def _bootstrapped(sums: Floats, score: Callable[[Floats], Floats]) -> Estimate:
    rng = np.random.default_rng(0)
    n, groups = len(sums), sums
    if n > MAX_GROUPS:
        group = rng.permutation(n) % MAX_GROUPS
        groups = np.column_stack([np.bincount(group, weights=column, minlength=MAX_GROUPS) for column in sums.T])
    weights = POISSON[rng.integers(0, len(POISSON), size=(REPLICATES, len(groups)), dtype=np.uint16)]
    with np.errstate(divide="ignore", invalid="ignore"):
        value, drawn = float(score(sums.sum(axis=0))), score((weights @ groups).T)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(drawn) < REPLICATES / 2:
        return Estimate(value, None, None, n)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), n)


def by_frequency(holdout: Holdout, minimum_group: int) -> pl.DataFrame:
    """Mean transactions in the hold-out period by repeat transactions before it: actual with interval, and expected.

    The interval is the mean's, ± 1.96 standard errors. The last row holds its x and more: seven, or fewer where so
    many customers are not `minimum_group`; other groups too small are left out.
    """
    often = holdout.customers["x"]
    most = max((x for x in range(1, MOST_FREQUENT + 1) if (often >= x).sum() >= minimum_group), default=0)
    return (
        holdout.customers.with_columns(pl.col("x").clip(upper_bound=most))
        .group_by("x")
        .agg(
            pl.len().alias("customers"),
            pl.col("actual").mean().alias("actual"),
            (pl.col("actual").std() / pl.len().sqrt()).fill_null(0).alias("error"),
            pl.col(MODEL).mean().alias("expected"),
        )
        .filter(pl.col("customers") >= minimum_group)
        .sort("x")
        .with_columns(
            (pl.col("actual") - Z * pl.col("error")).clip(lower_bound=0).alias("low"),
            (pl.col("actual") + Z * pl.col("error")).alias("high"),
        )
        .drop("error")
    )


def measure(checked: Holdout | LeftOut) -> Measure:
    """What 08 records of the check."""
    label = "Error of the forecast of transactions in the hold-out period"
    if isinstance(checked, LeftOut):
        return measured("holdout_error", label, "share", None, checked.reason)
    return measured("holdout_error", label, "share", error(checked))


def answer(checked: Holdout, formats: Formats) -> str:
    """How well the model forecast the later period, and who did better, in two sentences."""
    table, off = scores(checked), error(checked)
    first = (
        f"In the {checked.days} days after {formats.date(checked.calibration_end)} the model's total was "
        f"{formats.change(off.value, off.interval)} off."
    )
    ranked = table.sort("r2", descending=True, nulls_last=True)
    best = str(ranked["method"][0])
    texts = {name: formats.value(*_shown(table, name)) for name in table["method"]}
    if best == MODEL:
        rest = "; ".join(f"{name} {text}" for name, text in texts.items() if name != MODEL)
        return f"{first} Customer by customer it explains most (R² {texts[MODEL]}), ahead of {rest}."
    return f"{first} Customer by customer {best} explains more (R² {texts[best]}) than the model (R² {texts[MODEL]})."


def _shown(table: pl.DataFrame, name: str) -> tuple[float, str, tuple[float, float]]:
    row = table.row(by_predicate=pl.col("method") == name, named=True)
    return row["r2"], "number", (row["r2_low"], row["r2_high"])
