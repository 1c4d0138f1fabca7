"""Planning an experiment: how many people it needs, what it can see, how long it takes.

All tests are two-sided z tests of the difference between one treated group and the control. With several treated arms
or several metrics each comparison is planned at the level that the correction grants it whatever the others show: a
part of α for Bonferroni and Holm, somewhat more for Dunnett; see `corrections`.

Sizes are those of the control group, as real numbers; `people` rounds them up. `ratio` is the size of a treated group
as a multiple of the control group's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm

from patternbook.analysis.corrections import Correction, critical
from patternbook.analysis.intervals import CONFIDENCE, Estimate
from patternbook.errors import UserError

Variance = Literal["pooled", "baseline", "arcsine"]
FORMULAS: dict[Variance, str] = {
    "pooled": "z test with the pooled variance under no effect (Fleiss, Levin & Paik 2003, chapter 4)",
    "baseline": "z test with the baseline's variance in both groups under no effect (Evan Miller's calculator)",
    "arcsine": "z test of Cohen's h, the difference of 2·arcsin√p (Cohen 1988, chapter 6)",
}
Z = float(norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Design:
    """Error rates and groups of an experiment.

    `alpha` holds for all comparisons together, `power` for each. `treated_share` is the part of all people in the
    treated arms, shared evenly among them; `arms` counts the control too. Raises UserError for what is no design.
    """

    alpha: float = 0.05
    power: float = 0.8
    treated_share: float = 0.5
    arms: int = 2
    metrics: int = 1
    correction: Correction = "holm"

    def __post_init__(self) -> None:
        for name in ("alpha", "power", "treated_share"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(
                    f"key 'experiments.{name}': {getattr(self, name)!r} is not between 0 and 1; write for example "
                    f"{getattr(Design, name)}"
                )
        if self.alpha >= self.power:
            raise UserError(
                f"key 'experiments.alpha': {self.alpha!r} is not below experiments.power ({self.power!r}); a test that "
                "finds an effect no more often than it errs tells nothing"
            )
        if self.arms < 2 or self.metrics < 1:
            raise UserError("key 'experiments': an experiment has two arms or more, and a metric")

    @property
    def level(self) -> float:
        """Two-sided level of each comparison of a treated arm with the control, on each metric."""
        return float(2 * norm.sf(self.z_level))

    @property
    def ratio(self) -> float:
        """Size of a treated group as a multiple of the control group's."""
        return self.treated_share / (self.arms - 1) / (1 - self.treated_share)

    @property
    def groups(self) -> float:
        """Size of all groups together as a multiple of the control group's."""
        return 1 + (self.arms - 1) * self.ratio

    @property
    def z_level(self) -> float:
        """Critical value of a comparison."""
        return critical(self.correction, self.arms - 1, self.metrics, self.alpha, self.ratio)

    def with_arms(self, arms: int) -> Design:
        """The same with so many arms, the control included, each treated one as large as a treated one now."""
        treated = (arms - 1) * self.ratio
        return replace(self, arms=arms, treated_share=treated / (1 + treated))

    @property
    def z_power(self) -> float:
        """Quantile of the power."""
        return float(norm.ppf(self.power))


def people(size: float) -> int:
    """A size as whole people; 1,000.0000001 is a thousand."""
    return math.ceil(size - 1e-6)


def size_for_proportions(baseline: float, effect: float, design: Design, variance: Variance = "pooled") -> float:
    """Size of the control group that finds an absolute difference of `effect` with the design's power.

    n = (z_α √V₀ + z_β √V₁)² ÷ effect², V₀ and V₁ the variances of one control person's part in the difference
    without and with the effect; `variance` names the formula, see `FORMULAS`. Raises UserError where the baseline
    or the effect is none.
    """
    _check(baseline, effect)
    if variance == "arcsine":
        return (design.z_level + design.z_power) ** 2 * (1 + 1 / design.ratio) / _cohens_h(baseline, effect) ** 2
    none, some = _variances(baseline, effect, design.ratio, variance)
    return (design.z_level * math.sqrt(none) + design.z_power * math.sqrt(some)) ** 2 / effect**2


def power_for_proportions(
    baseline: float, effect: float, size: float, design: Design, variance: Variance = "pooled"
) -> float:
    """Probability that a control group of `size` people finds an absolute difference of `effect`.

    That it finds the opposite is not counted.
    """
    _check(baseline, effect)
    if variance == "arcsine":
        shift = _cohens_h(baseline, effect) * math.sqrt(size / (1 + 1 / design.ratio))
        return float(norm.cdf(shift - design.z_level))
    none, some = _variances(baseline, effect, design.ratio, variance)
    return float(norm.cdf((effect * math.sqrt(size) - design.z_level * math.sqrt(none)) / math.sqrt(some)))


def detectable_in_proportions(baseline: float, size: float, design: Design, variance: Variance = "pooled") -> float:
    """Smallest absolute increase that a control group of `size` people finds with the design's power; NaN if none."""
    tiny, most = 1e-9, 1 - baseline - 1e-9
    _check(baseline, tiny)

    def missing(effect: float) -> float:
        return size_for_proportions(baseline, effect, design, variance) - size

    return float(brentq(missing, tiny, most, xtol=1e-12)) if missing(most) <= 0 else math.nan


def size_for_means(deviation: float, effect: float, design: Design) -> float:
    """Size of the control group that finds a difference of two means: (z_α + z_β)² σ² (1 + 1/ratio) ÷ effect².

    `deviation` is the standard deviation σ of a person's value, `effect` in the same unit. Raises UserError where
    either is not positive.
    """
    if not (deviation > 0 and effect > 0):
        raise UserError(f"a sample size needs a positive effect and deviation (given: {effect!r}, {deviation!r})")
    return (design.z_level + design.z_power) ** 2 * deviation**2 * (1 + 1 / design.ratio) / effect**2


def power_for_means(deviation: float, effect: float, size: float, design: Design) -> float:
    """Probability that a control group of `size` people finds a difference of `effect` between two means."""
    error = deviation * math.sqrt((1 + 1 / design.ratio) / size)
    return float(norm.cdf(effect / error - design.z_level))


def detectable_in_means(deviation: float, size: float, design: Design) -> float:
    """Smallest difference of two means that a control group of `size` people finds with the design's power."""
    return (design.z_level + design.z_power) * deviation * math.sqrt((1 + 1 / design.ratio) / size)


def winsorised(values: npt.ArrayLike, quantile: float) -> npt.NDArray[np.float64]:
    """Values, those above the quantile set to it: the tail of spend then no longer decides the variance."""
    amounts = np.asarray(values, dtype=float)
    return np.minimum(amounts, np.quantile(amounts, quantile)) if len(amounts) else amounts


def cuped_correlation(values: npt.ArrayLike, before: npt.ArrayLike) -> Estimate | None:
    """Correlation ρ of a metric with itself before the experiment; CUPED leaves 1 − ρ² of the variance.

    Deng, Xu, Kohavi & Walker (2013). The interval is Fisher's z with a standard error from the influence function
    (Devlin, Gnanadesikan & Kettenring 1975), which holds for skewed spend too. None where either does not vary.
    """
    pair = np.column_stack([np.asarray(values, dtype=float), np.asarray(before, dtype=float)])
    spread = pair.std(axis=0)
    if len(pair) < 10 or np.any(spread == 0):
        return None
    u, v = ((pair - pair.mean(axis=0)) / spread).T
    rho = float(np.clip(np.mean(u * v), -1 + 1e-12, 1 - 1e-12))
    error = float(np.std(u * v - rho * (u**2 + v**2) / 2)) / ((1 - rho**2) * math.sqrt(len(u)))
    low, high = np.tanh(np.arctanh(rho) + np.array([-Z, Z]) * error)
    return Estimate(rho, float(low), float(high), len(u))


def enrolment_days(size: float, design: Design, stock: int, a_day: float, shortest: int) -> int | None:
    """Days until control and treated groups are full; None where nobody comes and the stock does not suffice.

    `stock` people can be assigned at once and `a_day` more come every day. `shortest` days are taken in any case, so
    that every weekday counts alike.
    """
    missing = people(size * design.groups) - stock
    if missing <= 0:
        return shortest
    return max(shortest, math.ceil(missing / a_day)) if a_day > 0 else None


def _check(baseline: float, effect: float) -> None:
    if not 0 < baseline < 1:
        raise UserError(f"a sample size needs a baseline between 0 and 1, both excluded (given: {baseline!r})")
    if not effect > 0:
        raise UserError(f"a sample size needs an effect above zero (given: {effect!r})")
    if baseline + effect > 1:
        raise UserError(f"a baseline of {baseline:.4g} cannot rise by {effect:.4g}: that is more than everybody")


def _variances(baseline: float, effect: float, ratio: float, variance: Variance) -> tuple[float, float]:
    treated = baseline + effect
    common = baseline if variance == "baseline" else (baseline + ratio * treated) / (1 + ratio)
    some = baseline * (1 - baseline) + treated * (1 - treated) / ratio
    return common * (1 - common) * (1 + 1 / ratio), some


def _cohens_h(baseline: float, effect: float) -> float:
    return 2 * (math.asin(math.sqrt(baseline + effect)) - math.asin(math.sqrt(baseline)))
