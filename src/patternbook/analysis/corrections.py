"""Corrections for several comparisons of one experiment: what keeps the probability of any false positive at a level.

A comparison is a treated arm against the control on one metric. All tests are two-sided, on normal scores.

bonferroni  each at α divided by the number of comparisons; whatever goes with what
holm        the same for the smallest p-value, then α ÷ (one less), as long as all before are significant (Holm 1979)
dunnett     for arms, which share one control: each at the value that the largest of their scores exceeds with
            probability α (Dunnett 1955); several metrics divide the level as with Bonferroni
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm

from patternbook.analysis.intervals import Floats

Correction = Literal["bonferroni", "holm", "dunnett"]
Reading = Literal["none", "bonferroni", "holm", "dunnett"]
READINGS: dict[Reading, str] = {
    "none": "No correction",
    "bonferroni": "Bonferroni",
    "holm": "Holm",
    "dunnett": "Dunnett",
}
FARTHEST, STEPS = 8.5, 800  # of the integral over the control's error, in standard deviations

Flags = npt.NDArray[np.bool_]


@lru_cache(maxsize=256)
def dunnett_critical(treated_arms: int, alpha: float, ratio: float) -> float:
    """What the largest score of so many arms against one control exceeds with probability `alpha`, without an effect.

    Two-sided, for large groups. `ratio` is the size of a treated arm as a multiple of the control's: two scores
    correlate by ρ = ratio ÷ (1 + ratio), the control's error being common. Solves
    1 − α = ∫ φ(x) [Φ((c + √ρ x)/√(1 − ρ)) − Φ((−c + √ρ x)/√(1 − ρ))]^arms dx.
    """
    correlation = ratio / (1 + ratio)
    control = np.linspace(-FARTHEST, FARTHEST, STEPS + 1)
    weight = norm.pdf(control) * (2 * FARTHEST / STEPS)
    shift, own = math.sqrt(correlation) * control, math.sqrt(1 - correlation)

    def exceeded(critical: float) -> float:
        inside = norm.cdf((critical + shift) / own) - norm.cdf((shift - critical) / own)
        return 1 - float(weight @ inside**treated_arms) - alpha

    one, all_apart = norm.isf(alpha / 2), norm.isf(alpha / treated_arms / 2)
    return float(one) if treated_arms == 1 else float(brentq(exceeded, one - 1e-6, all_apart + 1e-6, xtol=1e-12))


def critical(correction: Reading, treated_arms: int, metrics: int, alpha: float, ratio: float) -> float:
    """The score from which on a comparison is sure to be significant, whatever the others show."""
    if correction == "dunnett":
        return dunnett_critical(treated_arms, alpha / metrics, ratio)
    return float(norm.isf(alpha / (1 if correction == "none" else treated_arms * metrics) / 2))


def significant(scores: Floats, correction: Reading, alpha: float, ratio: float) -> Flags:
    """Which comparisons are significant: `scores` and the result have a row an experiment, then arms, then metrics."""
    _, treated_arms, metrics = scores.shape
    if correction == "holm":
        return _holm(scores.reshape(len(scores), -1), alpha).reshape(scores.shape)
    beyond: Flags = np.abs(scores) > critical(correction, treated_arms, metrics, alpha, ratio)
    return beyond


def _holm(scores: Floats, alpha: float) -> Flags:
    order = np.argsort(-np.abs(scores), axis=1)
    count = scores.shape[1]
    needed = norm.isf(alpha / np.arange(count, 0, -1) / 2)
    passed = np.logical_and.accumulate(np.take_along_axis(np.abs(scores), order, axis=1) > needed, axis=1)
    found = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(found, order, passed, axis=1)
    return found
