"""Gamma-Gamma: what customers spend a transaction. Fader & Hardie (2013), "The Gamma-Gamma model of monetary value".

A transaction's amount is Gamma(p, ν) around the customer's own mean p/ν, and ν ~ Gamma(q, v) over customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from patternbook.analysis.intervals import Floats
from patternbook.analysis.likelihood import NotIdentified, maximise

NAMES = ("p", "q", "v")
ADVICE = "take a longer `period`, or check that amounts differ between orders and between customers"


@dataclass(frozen=True)
class GammaGamma:
    """A fitted model; v in currency. `covariance` is of the logarithms of (p, q, v).

    Methods take n transactions of mean amount m (n = 0 where nothing is known).
    """

    p: float
    q: float
    v: float
    covariance: Floats
    log_likelihood: float

    def mean(self, n: npt.ArrayLike, m: npt.ArrayLike) -> Floats:
        """Expected amount of a later transaction, equation (5)."""
        n, m = np.asarray(n, dtype=float), np.asarray(m, dtype=float)
        expected: Floats = self.p * (self.v + n * m) / (self.p * n + self.q - 1)
        return expected

    def mean_square(self, n: npt.ArrayLike, m: npt.ArrayLike) -> Floats:
        """Expected square of the customer's own mean, p²/ν², ν ~ Gamma(q + pn, v + nm); infinite up to q + pn = 2."""
        n, m = np.asarray(n, dtype=float), np.asarray(m, dtype=float)
        shape = self.p * n + self.q
        with np.errstate(divide="ignore"):
            square = (self.p * (self.v + n * m)) ** 2 / ((shape - 1) * (shape - 2))
        return np.where(shape > 2, square, np.inf)

    def mean_slope(self, n: Floats, m: Floats) -> Floats:
        """Derivatives of log `mean` by the logarithms of (p, q, v); one row a customer."""
        below = self.p * n + self.q - 1
        return np.column_stack([1 - self.p * n / below, -self.q / below, self.v / (self.v + n * m)])


def fit_gammagamma(n: npt.ArrayLike, m: npt.ArrayLike) -> GammaGamma:
    """Maximum likelihood (equation 1a); one entry a customer: n > 0 transactions of mean amount m > 0.

    Raises NotIdentified where the data do not tell the parameters, or tell of a spend without a mean.
    """
    n, m = np.asarray(n, dtype=float), np.asarray(m, dtype=float)
    if np.any(n <= 0) or np.any(m <= 0):
        raise ValueError("spend needs n > 0 and m > 0")
    scale = float(m.mean())
    starts = [np.log(start) for start in ([2.0, 4.0, 2.0], [6.0, 2.0, 0.5], [1.0, 10.0, 10.0])]
    found = maximise(_Likelihood(n, m / scale), starts, NAMES, ADVICE)
    p, q, v = map(float, np.exp(found.logs))
    if q <= 1:
        raise NotIdentified(f"Spend differs so much between customers (q = {q:.2f}) that it has no mean; {ADVICE}.")
    return GammaGamma(p, q, v * scale, found.covariance, found.log_likelihood - len(n) * float(np.log(scale)))


class _Likelihood:
    """Equation (1a) in logarithms with its gradient; what depends on n alone is computed once for each n."""

    def __init__(self, n: Floats, m: Floats) -> None:
        self.n, self.spent = n, n * m
        self.distinct, place = np.unique(n, return_inverse=True)
        self.per_n = np.bincount(place)
        self.sum_log_spent = np.bincount(place, weights=np.log(self.spent))
        self.constant = -float(np.log(m).sum())

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(logs)
        n, customers = self.distinct, len(self.n)
        log_both = np.log(v + self.spent)
        shape, inverse = p * self.n + q, 1 / (v + self.spent)
        value = (
            self.per_n @ (gammaln(p * n + q) - gammaln(p * n) - gammaln(q))
            + customers * q * np.log(v)
            + p * n @ self.sum_log_spent
            - shape @ log_both
            + self.constant
        )
        both = digamma(p * n + q)
        by_p = (self.per_n * n) @ (both - digamma(p * n)) + n @ self.sum_log_spent - self.n @ log_both
        by_q = self.per_n @ both + customers * (np.log(v) - digamma(q)) - log_both.sum()
        by_v = customers * q / v - shape @ inverse
        return float(value), np.array([by_p * p, by_q * q, by_v * v])
