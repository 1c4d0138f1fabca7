"""Many ratios of totals at once, with errors by cluster: what one customer does is not independent.

A ratio such as buying sessions ÷ sessions is linearised: cluster c moves its logarithm by Σₖ pₖ·tₖ(c)/Tₖ, and the
variance is the sum of squares of that over the clusters (Cochran 1977, chapter 6; as the linearisation of
`intervals.ratio_of_totals`, without its bootstrap: counts are not as skewed as amounts).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from patternbook.analysis.intervals import CONFIDENCE, MIN_CLUSTERS, wilson

CLUSTERS = 499  # of the marts that hold totals by cluster; see warehouse/sql/rhythm.sql
Floats = npt.NDArray[np.float64]

DRAWS = 4000  # of the largest deviation; its 95 % quantile then moves by about 1 %
CHUNK = 500  # draws at a time


class LogRatios(NamedTuple):
    """Logarithms of k ratios, over `clusters` that hold anything.

    `moves` (rows × k) is what each row of the totals moves them by; a column sums to zero. NaN where a total is not
    positive.
    """

    values: Floats
    moves: Floats
    clusters: int

    @property
    def errors(self) -> Floats:
        """Standard errors, shape (k,)."""
        spread: Floats = np.sqrt((self.moves**2).sum(axis=0) * self.clusters / max(self.clusters - 1, 1))
        return spread

    def minus(self, other: LogRatios) -> LogRatios:
        """Logarithms of the ratios of these to others of the same rows of totals."""
        return LogRatios(self.values - other.values, self.moves - other.moves, min(self.clusters, other.clusters))

    def intervals(self) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval of each ratio by itself (Student's t by clusters)."""
        return self._around(_student(self.clusters))

    def simultaneous(self, seed: int = 0) -> tuple[Floats, Floats]:
        """Ends of intervals that hold for all ratios at once, 95 times in 100.

        A ratio that was chosen because it is the largest is in its interval as often as promised. The width is the
        95 % quantile of the largest deviation, by multiplier bootstrap over clusters (Chernozhukov, Chetverikov &
        Kato 2013, Annals of Statistics 41, 2786–2819).
        """
        known = np.isfinite(self.values) & (self.errors > 0)
        if not known.any():
            return self._around(np.nan)
        scaled = self.moves[:, known] / self.errors[known]
        rng = np.random.default_rng(seed)
        largest = np.concatenate(
            [np.abs(rng.standard_normal((CHUNK, len(scaled))) @ scaled).max(axis=1) for _ in range(DRAWS // CHUNK)]
        )
        return self._around(max(float(np.quantile(largest, CONFIDENCE)), _student(self.clusters)))

    def p_values(self) -> Floats:
        """Two-sided p-values of each ratio being one; NaN where it cannot be tested."""
        with np.errstate(divide="ignore", invalid="ignore"):
            p: Floats = 2 * student.sf(np.abs(self.values) / self.errors, self.clusters - 1)
        return p

    def _around(self, width: float) -> tuple[Floats, Floats]:
        return np.exp(self.values - width * self.errors), np.exp(self.values + width * self.errors)


def log_ratios(above: npt.ArrayLike, below: npt.ArrayLike) -> LogRatios:
    """Logarithm of Σ above ÷ Σ below for each column; both are clusters × k (`below` may have one column).

    Rows without anything in any column count as no cluster.
    """
    over, under = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    clusters = int((np.any(over != 0, axis=1) | np.any(under != 0, axis=1)).sum())
    tops, bottoms = over.sum(axis=0), under.sum(axis=0)
    positive = (tops > 0) & (bottoms > 0) & (clusters >= MIN_CLUSTERS)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(positive, np.log(tops / bottoms), np.nan)
        moves = np.where(positive, over / tops - under / bottoms, np.nan)
    return LogRatios(values, moves, clusters)


class Shares(NamedTuple):
    """k shares of sessions (or orders) with the ends of their 95 % intervals by cluster; NaN where there is none."""

    value: Floats
    low: Floats
    high: Floats


def shares(took: npt.ArrayLike, could: npt.ArrayLike) -> Shares:
    """Σ took ÷ Σ could of each column, clusters × k.

    The interval is symmetric in the logarithm of the odds, so that it stays within 0 and 1. Where nobody or everybody
    took the step, clusters say nothing of how they differ: then it is Wilson's, with a cluster as one trial.
    """
    over, under = np.asarray(took, dtype=float), np.asarray(could, dtype=float)
    odds = log_ratios(over, under - over)
    low, high = (end / (1 + end) for end in odds.intervals())
    tops, bottoms = over.sum(axis=0), under.sum(axis=0)
    clusters = (under > 0).sum(axis=0)
    plain = wilson(np.where(tops > 0, clusters, 0), clusters)
    flat = (bottoms > 0) & ((tops == 0) | (tops == bottoms)) & (clusters >= MIN_CLUSTERS)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(bottoms > 0, tops / bottoms, np.nan)
    return Shares(value, np.where(flat, plain[0], low), np.where(flat, plain[1], high))


def _student(clusters: int) -> float:
    return float(student.ppf((1 + CONFIDENCE) / 2, max(clusters - 1, 1)))
