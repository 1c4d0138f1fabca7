"""BG/NBD: how often customers buy again, and when they stop. Fader, Hardie & Lee (2005), Marketing Science 24, 275–284.

While alive a customer buys at rate λ ~ Gamma(r, α); after each repeat purchase they drop out with probability
p ~ Beta(a, b). Of a customer are known x repeat transactions, the last one t_x after the first, and the age T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, expit, gammaln, hyp2f1

from patternbook.analysis.intervals import Floats
from patternbook.analysis.likelihood import FARTHEST, maximise, profile_ends

NAMES = ("r", "alpha", "a", "b")
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
PANELS = 3  # of eight nodes: an integral over time is then right to eight digits
ALIKE = np.log(1000.0)  # customers of larger a and b all drop out at one rate: more of both changes nothing
ADVICE = (
    "set `lifetime.time_unit` or `period` so that more repeat purchases, and customers who stopped, lie within the data"
)


@dataclass(frozen=True)
class BgNbd:
    """A fitted model; times in the unit of its data. `covariance` is of the logarithms of (r, alpha, a, b).

    Methods take arrays that broadcast: x repeat transactions, t_x and T.
    """

    r: float
    alpha: float
    a: float
    b: float
    covariance: Floats
    log_likelihood: float

    @property
    def parameters(self) -> Floats:
        """(r, alpha, a, b)."""
        return np.array([self.r, self.alpha, self.a, self.b])

    def p_alive(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """Probability not to have dropped out; 1 for x = 0, where the model knows no way to leave.

        Fader, Hardie & Lee (2008), "Computing P(alive) using the BG/NBD model", equation (7).
        """
        return p_alive(self.parameters, x, t_x, T)

    def expected(self, t: npt.ArrayLike, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """Expected transactions within the next t: equation (10), as the integral of the rate, which knows no a = 1."""
        return self.p_alive(x, t_x, T) * expected_if_alive(self.parameters, t, x, T)

    def p_silent(self, t: npt.ArrayLike, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """Probability of no transaction within the next t: dropped out, or alive with λ ~ Gamma(r+x, α+T) and quiet."""
        x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
        quiet = np.exp(-(self.r + x) * np.log1p(np.asarray(t, dtype=float) / (self.alpha + T)))
        silent: Floats = 1 - self.p_alive(x, t_x, T) * (1 - quiet)
        return silent

    def p_silent_between(
        self, start: npt.ArrayLike, end: npt.ArrayLike, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike
    ) -> Floats:
        """Probability of no transaction from `start` to `end` from now; `p_silent(end)` where start is 0.

        Who is alive now with λ ~ Gamma(r+x, α+T) and p ~ Beta(a, b+x) buys between the two with probability
        E[exp(−λp·start) (1 − exp(−λ(end − start)))], a difference of two ₂F₁.
        """
        start, x, T = (np.asarray(values, dtype=float) for values in (start, x, T))
        scale, width = self.alpha + T, np.asarray(end, dtype=float) - start
        later = np.exp(-(self.r + x) * np.log1p(width / scale))
        buys = self._not_dropped(start / scale, x) - later * self._not_dropped(start / (scale + width), x)
        silent: Floats = 1 - self.p_alive(x, t_x, T) * buys
        return silent

    def _not_dropped(self, z: Floats, x: Floats) -> Floats:
        """E[(1 + p z)^−(r+x)] over p ~ Beta(a, b+x), by Pfaff's transformation as in `still_buying`."""
        share: Floats = np.exp(-self.a * np.log1p(z)) * hyp2f1(
            self.a + self.b - self.r, self.a, self.a + self.b + x, z / (1 + z)
        )
        return share


def p_alive(parameters: Floats, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
    """`BgNbd.p_alive` for parameters (r, alpha, a, b)."""
    alive: Floats = expit(-_log_odds_gone(parameters, x, t_x, T))
    return alive


def _log_odds_gone(parameters: Floats, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
    r, alpha, a, b = parameters
    x, t_x, T = (np.asarray(values, dtype=float) for values in (x, t_x, T))
    odds = np.log(a / (b + np.maximum(x, 1) - 1)) + (r + x) * (np.log(alpha + T) - np.log(alpha + t_x))
    return np.where(x > 0, odds, -np.inf)


def p_alive_slope(parameters: Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """Derivatives of log P(alive) by the logarithms of the parameters; one row a customer, four columns."""
    r, alpha, _, b = parameters
    gone = 1 - p_alive(parameters, x, t_x, T)
    by_r = r * (np.log(alpha + T) - np.log(alpha + t_x))
    by_alpha = alpha * (r + x) * (1 / (alpha + T) - 1 / (alpha + t_x))
    by_b = -b / (b + np.maximum(x, 1) - 1)
    slope: Floats = -gone[:, None] * np.column_stack([by_r, by_alpha, np.ones_like(x), by_b])
    return slope


def expected_if_alive(
    parameters: Floats, t: npt.ArrayLike, x: npt.ArrayLike, T: npt.ArrayLike, discount: float = 0.0
) -> Floats:
    """Expected transactions within the next t of customers alive now, each discounted by exp(−discount · time)."""
    t, x, T = np.broadcast_arrays(*(np.asarray(values, dtype=float) for values in (t, x, T)))
    rate = (parameters[0] + x) / (parameters[1] + T)
    expected: Floats = rate * _integral(lambda s: np.exp(-discount * s) * still_buying(parameters, s, x, T), t)
    return expected


def pairs_if_alive(parameters: Floats, t: npt.ArrayLike, x: npt.ArrayLike, T: npt.ArrayLike, discount: float) -> Floats:
    """Expected ordered pairs of different transactions within the next t, discounted, of customers alive now.

    Given λ and p two transactions fall at s < u with density λ² (1−p) exp(−λpu), whatever s is; so the sum over pairs
    is 2 ∫ E[λ² (1−p) exp(−λpu)] exp(−δu) (1 − exp(−δu))/δ du. It is what a variance needs beyond the mean.
    """
    t, x, T = np.broadcast_arrays(*(np.asarray(values, dtype=float) for values in (t, x, T)))
    r, alpha, a, b = parameters

    def density(u: Floats) -> Floats:
        earlier = -np.expm1(-discount * u) / discount if discount else u
        return np.exp(-discount * u) * earlier * still_buying(parameters, u, x, T, pairs=1)

    survives = (b + x) / (a + b + x)
    pairs: Floats = 2 * (r + x) * (r + x + 1) / (alpha + T) ** 2 * survives * _integral(density, t)
    return pairs


def count_moments(parameters: Floats, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of a new customer's repeat transactions between two ages.

    E[N²] = E[N] + E[ordered pairs], and by the density of `pairs_if_alive` the pairs between the ages are
    2 ∫ E[λ² (1−p) exp(−λpu)] (u − start) du from start to end.
    """
    r, alpha, a, b = parameters
    nobody = np.zeros_like(end)

    def between(function: Callable[[Floats], Floats]) -> Floats:
        return _integral(lambda s: function(start + s), end - start)

    mean = r / alpha * between(lambda u: still_buying(parameters, u, nobody, nobody))
    density = between(lambda u: (u - start) * still_buying(parameters, u, nobody, nobody, pairs=1))
    pairs = 2 * r * (r + 1) / alpha**2 * b / (a + b) * density
    return mean, mean + pairs - mean**2


def still_buying(parameters: Floats, s: Floats, x: Floats, T: Floats, pairs: int = 0) -> Floats:
    """The rate at s from now as a share of the rate now, of customers alive now.

    E[(1 + p s/(α+T))^−(r+x+1)] over p ~ Beta(a, b+x) = ₂F₁(r+x+1, a; a+b+x; −z), z = s/(α+T); by Pfaff's
    transformation (1+z)^−a ₂F₁(a+b−r−1, a; a+b+x; z/(1+z)), in which only the last parameter grows with x.
    With `pairs` = 1 the exponent is −(r+x+2) and the Beta has b+x+1. Where a is so large that the factors overflow,
    p is as good as its mean.
    """
    r, alpha, a, b = parameters
    z = s / (alpha + T)
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.exp(-a * np.log1p(z)) * hyp2f1(a + b - r - 1, a, a + b + x + pairs, z / (1 + z))
    alike: Floats = np.exp(-(r + x + 1 + pairs) * np.log1p(z * a / (a + b + x + pairs)))
    return np.where(np.isfinite(share), share, alike)


def _integral(function: Callable[[Floats], Floats], t: Floats) -> Floats:
    """∫₀ᵗ by Gauss–Legendre, element by element, in panels that grow with time."""
    edges = np.linspace(0, 1, PANELS + 1) ** 2
    total = np.zeros_like(t)
    for low, high in pairwise(edges):
        at = np.multiply.outer(low + (high - low) * (1 + NODES) / 2, t)
        total += np.tensordot(WEIGHTS, function(at), axes=1) * t * (high - low) / 2
    return total


def fit_bgnbd(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> BgNbd:
    """Maximum likelihood (equation 6), one entry a customer, or `weights` customers of that kind.

    Identical customers count once, with a weight. Raises NotIdentified where the data do not tell the parameters, and
    ValueError for histories that cannot be.
    """
    x, t_x, T = (np.asarray(values, dtype=float) for values in (x, t_x, T))
    if np.any(x < 0) or np.any(t_x < 0) or np.any(t_x > T) or np.any((x == 0) != (t_x == 0)):
        raise ValueError("histories need x >= 0, 0 <= t_x <= T, and t_x = 0 exactly where x = 0")
    objective = _Likelihood.of(x, t_x, T, weights)
    scale = float(np.average(objective.T, weights=objective.count)) or 1.0
    starts = [
        np.log([r, alpha * scale, a, b]) for r, alpha, a, b in ((1, 1, 1, 1), (0.3, 0.2, 0.8, 2.5), (1, 1, 0.1, 3))
    ]
    found = maximise(objective, starts, NAMES, ADVICE)
    r, alpha, a, b = map(float, np.exp(found.logs))
    return BgNbd(r, alpha, a, b, found.covariance, found.log_likelihood)


def ends(
    buying: BgNbd, x: Floats, t_x: Floats, T: Floats, quantity: Callable[[Floats], float]
) -> tuple[Floats, Floats] | None:
    """Parameters at the low and high end of the profile-likelihood interval of `quantity`, a function of them.

    x, t_x and T are those of the fit. None where no end is found.
    """
    found = profile_ends(
        _Likelihood.of(x, t_x, T),
        np.log(buying.parameters),
        lambda logs: quantity(np.exp(logs)),
        np.array([FARTHEST, FARTHEST, ALIKE, ALIKE]),
    )
    return None if found is None else (np.exp(found[0]), np.exp(found[1]))


class _Likelihood:
    """Equation (6) in logarithms with its gradient; what depends on x alone is computed once for each x."""

    @classmethod
    def of(cls, x: Floats, t_x: Floats, T: Floats, weights: npt.ArrayLike | None = None) -> _Likelihood:
        """That of customers, identical ones taken together."""
        rows, place = np.unique(np.column_stack([x, t_x, T]), axis=0, return_inverse=True)
        count = np.bincount(place.ravel(), weights=None if weights is None else np.asarray(weights, dtype=float))
        return cls(rows[:, 0], rows[:, 1], rows[:, 2], count.astype(float))

    def __init__(self, x: Floats, t_x: Floats, T: Floats, count: Floats) -> None:
        self.x, self.t_x, self.T, self.count = x, t_x, T, count
        self.distinct, self.place = np.unique(x, return_inverse=True)
        self.per_x = np.bincount(self.place, weights=count)

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        r, alpha, a, b = parameters
        x = self.distinct
        at_age, at_last = np.log(alpha + self.T), np.log(alpha + self.t_x)
        log_odds = _log_odds_gone(parameters, self.x, self.t_x, self.T)
        gone = expit(log_odds)
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
        value = self.per_x @ common + self.count @ (np.logaddexp(0, log_odds) - (r + self.x) * at_age)

        gone_by_x = np.bincount(self.place, weights=self.count * gone)
        by_r = self.per_x @ (digamma(r + x) - digamma(r) + np.log(alpha)) - self.count @ (
            (1 - gone) * at_age + gone * at_last
        )
        slope = (1 - gone) / (alpha + self.T) + gone / (alpha + self.t_x)
        by_alpha = self.count.sum() * r / alpha - self.count @ ((r + self.x) * slope)
        both = digamma(a + b) - digamma(a + b + x)
        by_a = self.per_x @ both + gone_by_x.sum() / a
        by_b = self.per_x @ (digamma(b + x) - digamma(b) + both) - gone_by_x @ (1 / (b + np.maximum(x, 1) - 1))
        return float(value), np.array([by_r, by_alpha, by_a, by_b]) * parameters
