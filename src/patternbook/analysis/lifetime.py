"""What customers are worth: discounted margin of the orders still to come, by BG/NBD and Gamma-Gamma.

Money s units of time from now counts exp(−δs), δ = log(1 + discount rate) a year: continuous discounting at the
effective yearly rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import norm

from patternbook.analysis import bgnbd
from patternbook.analysis.bgnbd import BgNbd, fit_bgnbd
from patternbook.analysis.gammagamma import GammaGamma, fit_gammagamma
from patternbook.analysis.history import DAYS, DAYS_A_YEAR
from patternbook.analysis.intervals import CONFIDENCE, Estimate, Floats
from patternbook.analysis.likelihood import NotIdentified
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.suppression import leading, parts
from patternbook.formats import Formats

HORIZONS = (3, 6, 12, 24, 60)  # months
YEAR = HORIZONS.index(12)
VAGUE = 1.0  # standard error of log a: from there on drop-out may be a third or three times what is estimated
Z = float(norm.ppf((1 + CONFIDENCE) / 2))
STEP = 1e-3  # of logarithms of parameters, for differences
SAMPLE = 100  # customers
NOTHING = 1e-3  # of an estimate: an end below it is nil
LABELS = {
    "bgnbd_r": "BG/NBD r: shape of the buying rates",
    "bgnbd_alpha": "BG/NBD α: scale of the buying rates",
    "bgnbd_a": "BG/NBD a: drop-out",
    "bgnbd_b": "BG/NBD b: staying",
    "gg_p": "Gamma-Gamma p: evenness of a customer's orders",
    "gg_q": "Gamma-Gamma q: evenness of customers",
    "gg_v": "Gamma-Gamma v: scale of spend",
}


class Terms(NamedTuple):
    """What an order earns and what waiting costs: `margin` a share of revenue, `discount_rate` a year's, effective."""

    margin: float
    discount_rate: float
    unit: str

    @property
    def discount(self) -> float:
        """δ in the unit of time."""
        return float(np.log1p(self.discount_rate)) * DAYS[self.unit] / DAYS_A_YEAR

    def months(self, count: float) -> float:
        """Months in the unit of time."""
        return count * DAYS["month"] / DAYS[self.unit]


@dataclass(frozen=True)
class Models:
    """The two fitted models. `spend` is left out where amounts allow none; `independence` tests what it assumes."""

    buying: BgNbd
    spend: GammaGamma | LeftOut
    independence: Estimate | None


def fit(histories: pl.DataFrame, minimum_buyers: int) -> Models | LeftOut:
    """Both models from `history.history`."""
    if histories.height < minimum_buyers:
        return LeftOut(
            f"{histories.height:,} customers bought, fewer than the {minimum_buyers} (`lifetime.minimum_buyers`) "
            "that a model of repeat purchases needs."
        )
    if not (histories["x"] > 0).any():
        return LeftOut("No customer bought on a second day, so nothing can be said of repeat purchases.")
    try:
        buying = fit_bgnbd(histories["x"], histories["t_x"], histories["T"])
    except NotIdentified as error:
        return LeftOut(f"Repeat purchases follow no BG/NBD model here. {error}")
    return Models(buying, _spend(histories, minimum_buyers), independence(histories))


def _spend(histories: pl.DataFrame, minimum_buyers: int) -> GammaGamma | LeftOut:
    known = histories.drop_nulls("mean_spend")
    if known.height < minimum_buyers:
        return LeftOut("Too few customers have spent anything after returns to model what they spend.")
    try:
        return fit_gammagamma(known["transactions"], known["mean_spend"])
    except NotIdentified as error:
        return LeftOut(f"Spend follows no Gamma-Gamma model here. {error}")


def independence(histories: pl.DataFrame) -> Estimate | None:
    """Correlation of log transactions and log mean spend over repeat buyers, which Gamma-Gamma takes to be zero.

    The interval is Fisher's z with a standard error from the influence function, u·v − ρ(u² + v²)/2 of the
    standardised pair, which holds without normality (Devlin, Gnanadesikan & Kettenring 1975). None without repeat
    buyers whose spend and frequency differ.
    """
    pair = histories.drop_nulls("mean_spend").filter(pl.col("x") > 0)
    if pair.height < 10 or pair["x"].n_unique() < 2 or pair["mean_spend"].n_unique() < 2:
        return None
    logs = np.log(pair.select("transactions", "mean_spend").to_numpy().astype(float))
    u, v = ((logs - logs.mean(axis=0)) / logs.std(axis=0)).T
    rho = float(np.mean(u * v))
    error = float(np.std(u * v - rho * (u**2 + v**2) / 2)) / ((1 - rho**2) * np.sqrt(len(u)))
    low, high = np.tanh(np.arctanh(rho) + np.array([-Z, Z]) * error)
    return Estimate(rho, float(low), float(high), len(u))


def per_customer(histories: pl.DataFrame, models: Models, terms: Terms) -> pl.DataFrame:
    """One row a buyer: what is expected of them.

    Columns: those of the history, p_alive, expected_orders_12m and, where spend is modelled, for each horizon
    `value_<h>m` (discounted margin), `value_<h>m_loadings` (its gradient by the logarithms of the seven parameters
    times the Cholesky factor of their covariance) and `value_<h>m_variance` (of the customer's own future given the
    parameters); `loss_12m`, the margin of twelve months lost to drop-out (what a customer who is there now and never
    left would bring, less value_12m), an expectation with loadings and no variance of its own.
    """
    x, t_x, T = (histories[name].cast(pl.Float64).to_numpy() for name in ("x", "t_x", "T"))
    alive = models.buying.p_alive(x, t_x, T)
    kinds, place = np.unique(np.column_stack([x, T]), axis=0, return_inverse=True)
    x_of, age_of, place = kinds[:, 0], kinds[:, 1], place.ravel()
    year = bgnbd.expected_if_alive(models.buying.parameters, terms.months(12), x_of, age_of)
    frame = histories.with_columns(pl.Series("p_alive", alive), pl.Series("expected_orders_12m", alive * year[place]))
    if isinstance(models.spend, LeftOut):
        return frame
    return frame.with_columns(_values(histories, models.buying, models.spend, terms, (x, t_x, T, x_of, age_of, place)))


def _values(
    histories: pl.DataFrame,
    buying: BgNbd,
    spend: GammaGamma,
    terms: Terms,
    arrays: tuple[Floats, Floats, Floats, Floats, Floats, npt.NDArray[np.int64]],
) -> list[pl.Series]:
    x, t_x, T, x_of, age_of, place = arrays
    theta = buying.parameters
    n = pl.when(pl.col("mean_spend").is_null()).then(0).otherwise(pl.col("transactions"))
    transactions = histories.select(n.cast(pl.Float64)).to_series().to_numpy()
    mean = histories["mean_spend"].fill_null(0).to_numpy()
    alive, order = buying.p_alive(x, t_x, T), terms.margin * spend.mean(transactions, mean)
    square = terms.margin**2 * spend.mean_square(transactions, mean)
    alive_slope, spend_slope = bgnbd.p_alive_slope(theta, x, t_x, T), spend.mean_slope(transactions, mean)
    root_buying, root_spend = np.linalg.cholesky(buying.covariance), np.linalg.cholesky(spend.covariance)

    def loadings(by_buying: Floats, by_spend: Floats) -> Floats:
        return np.hstack([by_buying @ root_buying, by_spend @ root_spend])

    columns: list[pl.Series] = []
    for months in HORIZONS:
        t = terms.months(months)
        count, count_slope = _with_slope(theta, t, x_of, age_of, terms.discount)
        twice = bgnbd.expected_if_alive(theta, t, x_of, age_of, 2 * terms.discount)
        pairs = bgnbd.pairs_if_alive(theta, t, x_of, age_of, terms.discount)
        value = alive * order * count[place]
        slope = value[:, None] * (alive_slope + count_slope[place])
        second = alive * square * ((1 + 1 / spend.p) * twice[place] + pairs[place])
        columns += _columns(f"value_{months}m", value, loadings(slope, value[:, None] * spend_slope))
        columns.append(pl.Series(f"value_{months}m_variance", second - value**2))
        if months == 12:
            rate_slope = np.zeros((len(x), 4))
            rate_slope[:, 0], rate_slope[:, 1] = buying.r / (buying.r + x), -buying.alpha / (buying.alpha + T)
            loss = lost(theta, terms, x, t_x, T, order)
            loss_slope = (loss + value)[:, None] * (alive_slope + rate_slope) - slope
            columns += _loss_columns(
                buying, terms, (x, t_x, T, order), loss, loadings(loss_slope, loss[:, None] * spend_slope)
            )
    return columns


def lost(theta: Floats, terms: Terms, x: Floats, t_x: Floats, T: Floats, order: Floats) -> Floats:
    """Margin of twelve months that drop-out is expected to cost, a customer; `order` is an order's margin."""
    t = terms.months(12)
    kinds, place = np.unique(np.column_stack([x, T]), axis=0, return_inverse=True)
    count = bgnbd.expected_if_alive(theta, t, kinds[:, 0], kinds[:, 1], terms.discount)[place.ravel()]
    staying = -np.expm1(-terms.discount * t) / terms.discount if terms.discount else t
    lost: Floats = bgnbd.p_alive(theta, x, t_x, T) * order * (staying * (theta[0] + x) / (theta[1] + T) - count)
    return lost


def _loss_columns(
    buying: BgNbd, terms: Terms, customers: tuple[Floats, Floats, Floats, Floats], loss: Floats, loadings: Floats
) -> list[pl.Series]:
    """`loss_12m` with its ends, and loadings without the direction in which the ends lie.

    That direction is the one in which the loss of all together moves. A sample of customers, drawn in proportion to
    their loss, says where it goes, since finding the ends asks for the loss several hundred times.
    """
    drawn = np.searchsorted(np.cumsum(loss), (np.arange(SAMPLE) + 0.5) / SAMPLE * loss.sum())
    few = [values[drawn] for values in customers]
    found = bgnbd.ends(
        buying, *customers[:3], lambda theta: float(np.log(np.mean(lost(theta, terms, *few) / loss[drawn])))
    )
    total = loadings[:, :4].sum(axis=0)
    direction = total / np.linalg.norm(total)
    rest = loadings.copy()
    rest[:, :4] -= (loadings[:, :4] @ direction)[:, None] * direction
    unknown = np.full(len(loss), np.nan)
    low, high = (lost(theta, terms, *customers) for theta in found) if found else (unknown, unknown)
    ends = [pl.Series("loss_12m_low", low).fill_nan(None), pl.Series("loss_12m_high", high).fill_nan(None)]
    return [*_columns("loss_12m", loss, rest), *ends]


def _with_slope(theta: Floats, t: float, x: Floats, T: Floats, discount: float) -> tuple[Floats, Floats]:
    """`expected_if_alive` and the derivatives of its logarithm by those of the parameters."""
    counts = bgnbd.expected_if_alive(theta, t, x, T, discount)
    ends = [
        [np.log(bgnbd.expected_if_alive(theta * np.exp(sign * step), t, x, T, discount)) for sign in (1, -1)]
        for step in np.eye(4) * STEP
    ]
    return counts, np.column_stack([(up - down) / (2 * STEP) for up, down in ends])


def _columns(name: str, values: Floats, loadings: Floats) -> list[pl.Series]:
    kind = pl.Array(pl.Float32, loadings.shape[1])
    return [pl.Series(name, values), pl.Series(f"{name}_loadings", loadings.astype(np.float32), dtype=kind)]


def total(frame: pl.DataFrame, column: str = "value_12m") -> Estimate:
    """Total of a column of `per_customer` over the rows of `frame`, with a 95 % interval.

    Variance = |Σ loadings|² (the parameters are estimates, alike for all) + Σ variances (each customer's own future,
    where the column has one). The interval is symmetric in the logarithm, since totals are positive. A column with
    ends of its own spreads to them, and by its variance beyond. None where a variance is infinite, no end is known or
    the total is zero.
    """
    value = float(frame[column].sum())
    loading = frame[f"{column}_loadings"].to_numpy().reshape(frame.height, -1).sum(axis=0, dtype=float)
    own = float(frame[f"{column}_variance"].sum()) if f"{column}_variance" in frame.columns else 0.0
    variance = float(loading @ loading) + own
    ends = [value]
    if f"{column}_low" in frame.columns:
        both = [frame[f"{column}_{end}"] for end in ("low", "high")]
        ends += [float("nan") if end.null_count() else float(end.sum()) for end in both]
    if value <= 0 or not np.isfinite([variance, *ends]).all():
        return Estimate(value, None, None, frame.height)
    spread = Z * np.sqrt(variance) / value
    low, high = min(ends), max(ends)
    if low < value * NOTHING:
        return Estimate(value, 0.0, value * float(np.exp(np.hypot(np.log(high / value), spread))), frame.height)
    low, high = (
        value * float(np.exp(sign * np.hypot(np.log(end / value), spread))) for sign, end in ((-1, low), (1, high))
    )
    return Estimate(value, low, high, frame.height)


def mean(frame: pl.DataFrame, column: str) -> Estimate:
    """`total` a customer."""
    whole = total(frame, column)
    low, high = ((end / whole.n if end is not None else None) for end in (whole.low, whole.high))
    return Estimate(whole.value / whole.n, low, high, whole.n)


def parameters(models: Models, buyers: int) -> dict[str, Estimate]:
    """The parameters with Wald intervals of their logarithms, by finding's name."""
    found = _estimates("bgnbd", bgnbd.NAMES, models.buying.parameters, models.buying.covariance, buyers)
    if isinstance(models.spend, GammaGamma):
        spend = models.spend
        found |= _estimates("gg", ("p", "q", "v"), np.array([spend.p, spend.q, spend.v]), spend.covariance, buyers)
    return found


def _estimates(prefix: str, names: tuple[str, ...], values: Floats, covariance: Floats, n: int) -> dict[str, Estimate]:
    factors = np.exp(Z * np.sqrt(np.diag(covariance)))
    return {
        f"{prefix}_{name}": Estimate(float(value), float(value / factor), float(value * factor), n)
        for name, value, factor in zip(names, values, factors, strict=True)
    }


def measures(models: Models | LeftOut, frame: pl.DataFrame, unit: str) -> list[Measure]:
    """What 08 records of the models and of values: all modelled."""
    found: Mapping[str, Estimate] = {} if isinstance(models, LeftOut) else parameters(models, frame.height)
    reason = why_not(models, frame)
    rows = [
        measured(
            name,
            f"{label}, in {unit}s" if name == "bgnbd_alpha" else label,
            "currency" if name == "gg_v" else "number",
            found.get(name),
            None if name in found else reason,
        )
        for name, label in LABELS.items()
    ]
    reason = why_not(models, frame)
    for months in HORIZONS:
        value = None if reason else mean(frame, f"value_{months}m")
        label = f"Customer lifetime value, {months} months (mean a customer)"
        rows.append(measured(f"clv_{months}m", label, "currency", value, reason))
    return rows


def why_not(models: Models | LeftOut, frame: pl.DataFrame) -> str | None:
    """Why there are no values, in one sentence; None where there are."""
    if isinstance(models, LeftOut):
        return models.reason
    if isinstance(models.spend, LeftOut):
        return models.spend.reason
    if total(frame, f"value_{HORIZONS[-1]}m").interval is None:
        return "Spend is so uneven that what customers will spend has no finite variance, so no value is stated."
    return None


def note(terms: Terms, source: str, formats: Formats) -> str:
    """What values rest on, for the foot of a table."""
    return (
        f"Assumed: margin {formats.share(terms.margin)}, discount rate {formats.share(terms.discount_rate)} a year, "
        f"continuous ({source}). Intervals: parameters and each customer's own future."
    )


def horizons(frame: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Mean value a customer by horizon: months, value, low, high, extrapolated (longer than the data)."""
    observed = round(((last - first).days + 1) / DAYS["month"], 1)  # a year of 365 days is one
    means = {months: mean(frame, f"value_{months}m") for months in HORIZONS}
    rows = [(months, one.value, one.low, one.high, months > observed) for months, one in means.items()]
    return pl.DataFrame(rows, schema=["months", "value", "low", "high", "extrapolated"], orient="row")


def concentration(frame: pl.DataFrame, minimum_group: int, column: str = "value_12m") -> pl.DataFrame:
    """Share of the value that the most valuable share of customers holds, at each percent: customers, value.

    Where a percent is fewer customers than `minimum_group`, steps are longer.
    """
    value = np.sort(frame[column].to_numpy())[::-1]
    held = np.concatenate([[0.0], np.cumsum(value) / value.sum()])
    at = np.linspace(0, 1, parts(len(value), minimum_group) + 1)
    return pl.DataFrame({"customers": at, "value": np.interp(at, np.linspace(0, 1, len(held)), held)})


def answer(models: Models | LeftOut, frame: pl.DataFrame, minimum_group: int, formats: Formats) -> str:
    """The notebook's answer in a few sentences, from the results."""
    if isinstance(models, LeftOut):
        return models.reason
    alive = float(frame["p_alive"].mean())  # type: ignore[arg-type]
    sentences = [f"Of {formats.count(frame.height)} buyers the model counts {formats.share(alive)} as still customers."]
    if models.buying.covariance[2, 2] > VAGUE**2:
        sentences.append(
            "The data hardly tell of drop-out, so take that share, and values far ahead, as an upper bound."
        )
    if reason := why_not(models, frame):
        return " ".join([*sentences, reason])
    year, most = mean(frame, "value_12m"), leading(concentration(frame, minimum_group))
    sentences.append(
        f"Over the next twelve months a buyer is worth {formats.money(year.value, year.interval)} of margin on "
        f"average; the most valuable {formats.compact(most['customers'], 'share')} of buyers hold "
        f"{formats.share(most['value'])} of it."
    )
    if models.independence:
        sentences.append(_independence_sentence(models.independence, formats))
    return " ".join(sentences)


def _independence_sentence(found: Estimate, formats: Formats) -> str:
    text = f"correlate at {formats.value(found.value, 'number', found.interval)}"
    if abs(found.value) < 0.1:
        return f"Spend an order and number of orders {text}, close enough to the zero that the model of spend assumes."
    too = "low" if found.value > 0 else "high"
    return (
        f"Spend an order and number of orders {text}, where the model of spend assumes zero: values of frequent buyers "
        f"are somewhat too {too}."
    )
