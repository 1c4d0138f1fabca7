"""Orders by day: weekday, smooth trend and paydays, fitted together; and the days that none of them explains.

Counts are Poisson in the mean, log μ = weekday + trend(day) + payday; errors are robust to overdispersion and to days
that resemble their neighbours (quasi-likelihood, McCullagh & Nelder 1989, chapter 9; Newey & West 1987).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from patternbook.analysis.intervals import Estimate

Floats = npt.NDArray[np.float64]

STEPS = 100
TOLERANCE = 1e-9  # of log μ
LONGEST_STEP = 2.0  # of log μ
KNOT_DAYS = 60  # between knots of the trend: two months, so that it cannot follow what comes back each month
LAGS = 30  # days; a month, so that one payday's luck counts once
CLIP = 3.0  # standard errors beyond which a day no longer pulls the expectation
MAD_TO_SD = 1.4826  # of a normal distribution


class Fit(NamedTuple):
    """A Poisson regression: coefficients, their robust covariance, expected counts."""

    beta: Floats
    covariance: Floats
    mu: Floats


def design(days: list[date], paydays: Collection[int] = ()) -> Floats:
    """Columns of the model: one, payday where there are any, weekdays but the first that occurs, trend."""
    at = np.array([day.toordinal() for day in days], dtype=float)
    weekday = np.array([day.weekday() for day in days])
    columns = [np.ones(len(days))]
    if paydays:
        columns.append(np.array([day.day in paydays for day in days], dtype=float))
    columns += [(weekday == present).astype(float) for present in np.unique(weekday)[1:]]
    return np.column_stack([*columns, _trend(at)])


def _trend(at: Floats) -> Floats:
    """Natural cubic spline (Hastie, Tibshirani & Friedman 2009, equations 5.4 and 5.5) without its constant."""
    span = at[-1] - at[0]
    scaled = (at - at[0]) / max(span, 1)
    knots = np.linspace(0, 1, 2 + math.floor(span / KNOT_DAYS))

    def bent(k: int) -> Floats:
        last = knots[-1]
        bend: Floats = (np.maximum(scaled - knots[k], 0) ** 3 - np.maximum(scaled - last, 0) ** 3) / (last - knots[k])
        return bend

    return np.column_stack([scaled, *(bent(k) - bent(len(knots) - 2) for k in range(len(knots) - 2))])


def fit(x: Floats, y: Floats) -> Fit:
    """Poisson regression of counts `y` on the columns `x`, with Newey–West covariance over `LAGS` neighbours.

    Raises ValueError where it does not converge.
    """
    beta = np.linalg.lstsq(x, np.log(y + 0.5), rcond=None)[0]
    for _ in range(STEPS):
        mu = np.exp(np.clip(x @ beta, -30, 30))
        step = np.linalg.solve(x.T @ (x * mu[:, None]), x.T @ (y - mu))
        moved = np.abs(x @ step).max()
        beta = beta + step * min(1.0, LONGEST_STEP / max(moved, 1e-300))
        if moved < TOLERANCE:
            return Fit(beta, _covariance(x, y, mu), mu)
    raise ValueError("the regression of counts by day does not converge")


def _covariance(x: Floats, y: Floats, mu: Floats) -> Floats:
    """Sandwich with Bartlett weights, of residuals as they are when a day is left out of its own fit.

    Plain residuals are too small where few days tell (MacKinnon & White 1985, Journal of Econometrics 29, 305–325).
    """
    bread = np.linalg.inv(x.T @ (x * mu[:, None]))
    leverage = mu * np.einsum("ij,jk,ik->i", x, bread, x)
    scores = x * ((y - mu) / np.maximum(1 - leverage, 1e-6))[:, None]
    meat = scores.T @ scores
    for lag in range(1, LAGS + 1):
        neighbours = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (LAGS + 1)) * (neighbours + neighbours.T)
    covariance: Floats = bread @ meat @ bread
    return covariance


def factor(fitted: Fit, column: int) -> Estimate:
    """exp of a coefficient with its 95 % interval.

    The critical value is that of Kiefer & Vogelsang (2005, Econometric Theory 21, 1130–1164, table 1) for Bartlett
    weights over a share b of the days: a Newey–West error is too small by what the lags cost.
    """
    share = LAGS / len(fitted.mu)
    critical = 1.9600 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
    value, error = float(fitted.beta[column]), math.sqrt(float(fitted.covariance[column, column]))
    low, high = np.exp(value - critical * error), np.exp(value + critical * error)
    return Estimate(math.exp(value), float(low), float(high), len(fitted.mu))


class Surprise(NamedTuple):
    """Each day's expected count, and how surprising its count is: robust z-scores and two-sided p-values."""

    expected: Floats
    z: Floats
    p: Floats


def surprise(x: Floats, y: Floats) -> Surprise:
    """How far each day is from what weekday, trend and payday expect.

    The fit is Huber's with pseudo-observations (Huber 1981, section 7.8): days beyond `CLIP` errors are drawn in, so
    that an odd day does not hide itself. Residuals are Anscombe's (McCullagh & Nelder 1989, section 2.4.2), scaled by
    their median absolute deviation.
    """
    pulled = y.copy()
    for _ in range(20):
        mu = fit(x, pulled).mu
        scale = _scale(_anscombe(y, mu))
        reach = CLIP * scale * np.sqrt(mu)
        drawn_in = np.clip(y, np.maximum(mu - reach, 0), mu + reach)
        if np.allclose(drawn_in, pulled, rtol=1e-6, atol=1e-6):
            break
        pulled = drawn_in
    z = _anscombe(y, mu) / scale
    return Surprise(mu, z, 2 * student.sf(np.abs(z), len(y) - x.shape[1]))


def _anscombe(y: Floats, mu: Floats) -> Floats:
    """Nearly normal residuals of Poisson counts."""
    residual: Floats = 1.5 * (y ** (2 / 3) - mu ** (2 / 3)) / mu ** (1 / 6)
    return residual


def _scale(residuals: Floats) -> float:
    """Robust standard deviation; at least that of a Poisson count."""
    return max(1.0, MAD_TO_SD * float(np.median(np.abs(residuals - np.median(residuals)))))
