"""The repeat-buying model checked on a period that it has not seen, against baselines and a learned regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import nbinom, norm, rankdata

from patternbook.analysis.bgnbd import BgNbd, count_moments, fit_bgnbd
from patternbook.analysis.history import DAYS, history, purchase_days
from patternbook.analysis.intervals import CONFIDENCE, MAX_GROUPS, POISSON, Estimate, Floats
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.suppression import hidden
from patternbook.formats import Formats

REPLICATES = 2000
TOP = 0.1
Z = float(norm.ppf((1 + CONFIDENCE) / 2))
MOST_FREQUENT = 7  # and more
STEP = 1e-3  # of logarithms of parameters, for differences
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

    `customers` has x, `actual` transactions and a column a method; `weekly` has week and the repeat transactions in it,
    actual, expected and the low and high end of what is expected, of those who became buyers in the calibration
    period; the same from the first day on as `…_in_all`.
    """

    calibration_end: date
    days: int
    customers: pl.DataFrame
    weekly: pl.DataFrame


def calibration_end(first: date, last: date, given: date | str) -> date:
    """The last day of calibration: the one given, or two thirds into the data."""
    return given if isinstance(given, date) else first + timedelta(days=(last - first).days * 2 // 3)


def check(
    purchases: pl.DataFrame,
    first: date,
    last: date,
    end: date | str,
    unit: str,
    time_zone: str,
    minimum_buyers: int,
    minimum_group: int,
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
    return Holdout(split, days, customers, _weekly(purchases, known, model, last, unit, time_zone, minimum_group))


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
    purchases: pl.DataFrame,
    known: pl.DataFrame,
    model: BgNbd,
    last: date,
    unit: str,
    time_zone: str,
    minimum_group: int,
) -> pl.DataFrame:
    """Repeat transactions a week and in all until its end, as they were and as the model expected a cohort's.

    Whole weeks from the first day. The ends of the 95 % range are those of negative binomials with the mean and
    variance of the sum over customers, each with a rate and a drop-out of their own, and of the parameters. What
    few people bought in a week is null, and so is what they had bought in all until the last such week.
    """
    first: date = known["first"].min()  # type: ignore[assignment]
    births = known.select(((pl.col("first") - pl.lit(first)).dt.total_days()).alias("birth")).to_series()
    weeks = ((last - first).days + 1) // 7
    day, new = np.unique(births.to_numpy(), return_counts=True)
    repeats = (
        purchase_days(purchases, time_zone)
        .join(known.select("customer_id", "first"), on="customer_id")
        .filter(pl.col("day") > pl.col("first"))
        .select("customer_id", ((pl.col("day") - pl.lit(first)).dt.total_days() // 7).alias("week"))
    )
    actual, people = (
        np.bincount(some["week"].to_numpy(), minlength=weeks)[:weeks] for some in (repeats, repeats.unique())
    )
    few = hidden(people, minimum_group)
    early = np.arange(weeks) < np.flatnonzero(few).max(initial=0)
    ends = np.maximum(np.arange(1, weeks + 1)[:, None] * 7 - day[None, :] - 1, 0)  # age in days as a week ends
    columns: dict[str, npt.NDArray[Any]] = {"actual": actual, "actual_in_all": np.cumsum(actual)}
    for suffix, length in (("", 7), ("_in_all", 7 * weeks)):
        mean, variance = _cohort_moments(model, ends, new, length, DAYS[unit])
        low, high = _counts_between(mean, variance)
        columns |= {f"expected{suffix}": mean, f"low{suffix}": low, f"high{suffix}": high}
    start = pl.date_range(first, first + timedelta(days=7 * (weeks - 1)), "7d", eager=True)
    return pl.DataFrame({"week": start, **columns}).with_columns(
        pl.when(pl.Series(~hide)).then(pl.col(name)).alias(name)
        for name, hide in (("actual", few), ("actual_in_all", early))
    )


def _cohort_moments(
    model: BgNbd, ends: npt.NDArray[np.int64], new: npt.NDArray[np.int64], length: int, days: float
) -> tuple[Floats, Floats]:
    """Mean and variance of a cohort's repeat transactions in the `length` days until ages `ends` of `new` customers.

    A row of `ends` for each sum, a column for each group of customers; `days` of a unit of time.
    """
    age = np.arange(int(ends.max(initial=0)) + 1, dtype=float)
    start = np.maximum(age - length, 0)

    def means(parameters: Floats) -> tuple[Floats, Floats]:
        mean, variance = count_moments(parameters, start / days, age / days)
        return mean[ends] @ new, variance[ends] @ new

    mean, variance = means(model.parameters)
    slopes = np.column_stack(
        [
            (means(model.parameters * np.exp(step))[0] - means(model.parameters * np.exp(-step))[0]) / (2 * STEP)
            for step in np.eye(4) * STEP
        ]
    )
    return mean, variance + np.einsum("wi,ij,wj->w", slopes, model.covariance, slopes)


def _counts_between(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Ends of 95 % of counts with these moments (negative binomial; Poisson where they vary no more than that)."""
    size = mean**2 / np.maximum(variance - mean, 1e-9 * mean + 1e-12)
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    low, high = (nbinom.ppf(tail, np.maximum(size, 1e-9), size / (size + np.maximum(mean, 1e-12))) for tail in tails)
    return np.where(mean > 0, low, 0.0), np.where(mean > 0, high, 0.0)


def methods(holdout: Holdout) -> list[str]:
    """The methods compared, the model first."""
    return [name for name in holdout.customers.columns if name not in ("customer_id", "x", "actual")]


def scores(holdout: Holdout) -> pl.DataFrame:
    """A row a method: error of the total, R², Spearman, share of the best tenth's transactions, each with low and high.

    `gain` is the model's R² less that of the method, null for the model itself: what it explains of the differences
    between customers beyond it. Intervals are percentiles of a bootstrap by customer, for the gain with the same
    customers drawn for both. Ranks, and who is in the best tenth, stay as they are.
    """
    actual = holdout.customers["actual"].cast(pl.Float64).to_numpy()
    sums = {name: _sums(actual, holdout.customers[name].cast(pl.Float64).to_numpy()) for name in methods(holdout)}
    explained, drawn = _drawn(sums[MODEL], _r2)
    rows = []
    for name, own in sums.items():
        found = {score: _bootstrapped(own, function) for score, function in SCORES.items()}
        value, replicates = _drawn(own, _r2)
        found["gain"] = _percentiles(explained - value, drawn - replicates, len(own))
        row: dict[str, object] = {"method": name}
        for score, one in found.items():
            row |= {score: one.value, f"{score}_low": one.low, f"{score}_high": one.high}
        rows.append(row)
    gains = [
        pl.when(pl.col("method") != MODEL).then(pl.col(name)).alias(name) for name in ("gain", "gain_low", "gain_high")
    ]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(gains)


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
    return _percentiles(*_drawn(sums, score), len(sums))


def _drawn(sums: Floats, score: Callable[[Floats], Floats]) -> tuple[float, Floats]:
    """The score and its replicates; the same customers are drawn in every call with as many of them."""
    rng = np.random.default_rng(0)
    n, groups = len(sums), sums
    if n > MAX_GROUPS:
        group = rng.permutation(n) % MAX_GROUPS
        groups = np.column_stack([np.bincount(group, weights=column, minlength=MAX_GROUPS) for column in sums.T])
    weights = POISSON[rng.integers(0, len(POISSON), size=(REPLICATES, len(groups)), dtype=np.uint16)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(score(sums.sum(axis=0))), score((weights @ groups).T)


def _percentiles(value: float, drawn: Floats, n: int) -> Estimate:
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
    """How well the model forecast the later period, and who did reliably better or worse, in two sentences."""
    table, off = scores(checked), error(checked)
    first = (
        f"For the {checked.days} days after {formats.date(checked.calibration_end)} the model {_missed(off, formats)}."
    )
    compared = [
        f"{_verdict(row)} {row['method']} (difference {_shown(row, 'gain', formats)})"
        for row in table.iter_rows(named=True)
        if row["method"] != MODEL
    ]
    own = _shown(table.row(0, named=True), "r2", formats)
    return f"{first} Customer by customer its R² is {own}: {'; '.join(compared)}."


def _missed(off: Estimate, formats: Formats) -> str:
    """By how much more, or less, than came was expected."""
    low, high = off.interval or (off.value, off.value)
    if low <= 0 <= high:
        return (
            f"expected as many purchases as came, within what chance allows ({formats.change(off.value, off.interval)})"
        )
    ends = (low, high) if off.value > 0 else (-high, -low)
    return f"expected {formats.share(abs(off.value), ends)} {'more' if off.value > 0 else 'fewer'} purchases than came"


def _verdict(row: dict[str, Any]) -> str:
    if row["gain_low"] is None or row["gain_low"] <= 0 <= row["gain_high"]:
        return "not reliably other than that of"
    return "more than that of" if row["gain"] > 0 else "less than that of"


def _shown(row: dict[str, Any], score: str, formats: Formats) -> str:
    return formats.value(row[score], "number", (row[f"{score}_low"], row[f"{score}_high"]))
