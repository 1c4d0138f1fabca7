"""An experiment from the first person assigned to the money earned, simulated many times.

Each trial draws what is unknown (how often such people buy anyway, what they spend, the effect), assigns people evenly
over the days of enrolment, waits until each day's outcomes are known, tests as the plan says, decides, and earns or
loses for the rest of the year. The plans differ in when they look:

fixed        once, at the end, by a z test; what the sample size was made for
peeking      every day by the same z test, stopping as soon as it is significant: what not to do
sequential   every day by a mixture sequential probability ratio test, which stays valid however often one looks
by money     once, at the end; goes on where the estimated effect earns more than it costs, significant or not

The mixture test (Robbins 1970; Johari, Koomen, Pekelis & Walsh 2022, Operations Research 70) stops when

    Λ = √(s²/(s² + τ²)) · exp(δ²τ² / (2s²(s² + τ²))) ≥ 1/α

for an estimated difference δ with variance s²; effects to look out for are normal with deviation τ, here what the
planned people find with the planned power. Under no effect Λ is a martingale of mean 1, so it ever reaches 1/α with
probability α at most (Ville 1939).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import norm

from patternbook.analysis import experiments, intervals, roi
from patternbook.analysis.corrections import Flags
from patternbook.analysis.experiments import Design
from patternbook.analysis.intervals import CONFIDENCE, Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.roi import ON_ORDERS, Case
from patternbook.formats import Formats

Z = float(norm.ppf((1 + CONFIDENCE) / 2))
FIRST_LOOK = 10  # events in both groups together; with fewer no normal approximation holds
PLANS = ("fixed", "peeking", "sequential", "by money")
LABELS = {
    "fixed": "Test to the end",
    "peeking": "Look every day, naively",
    "sequential": "Look every day, always valid",
    "by money": "Test, decide by money",
    "roll out": "Roll out now",
    "nothing": "Do nothing",
}

Days = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """The experiment on one action: what it needs, and what the audience allows.

    `needed` is the control group that finds the likely effect, `control` the one that is planned (the same, or what
    `longest` days of enrolment allow), `enrolment` its days.
    """

    case: Case
    design: Design
    needed: float
    control: float
    enrolment: int
    longest: int

    @property
    def duration(self) -> int:
        """Days from the first person assigned to the last outcome."""
        return self.enrolment + self.case.audience.horizon

    @property
    def suffices(self) -> bool:
        """Whether the audience is large enough for what is needed."""
        return self.control >= self.needed

    @property
    def effect(self) -> float:
        """Absolute difference that the experiment is to find: of the share that buys, or of what is spent."""
        audience = self.case.audience
        return self.case.action.likely * (audience.spend if self.on_orders else audience.buyers.value)

    @property
    def detectable(self) -> float:
        """Absolute difference that the planned people find with the planned power."""
        audience = self.case.audience
        if self.on_orders:
            return experiments.detectable_in_means(self.deviation, self.control, self.design)
        return experiments.detectable_in_proportions(audience.buyers.value, self.control, self.design)

    @property
    def deviation(self) -> float:
        """Standard deviation of a person's spend."""
        return float(self.case.audience.amounts.std(ddof=1))

    @property
    def on_orders(self) -> bool:
        """Whether the metric is spend, else whether a person buys."""
        return self.case.action.name in ON_ORDERS


def plan(case: Case | LeftOut, design: Design, shortest: int, longest: int) -> Plan | LeftOut:
    """The experiment on an action; left out where there is no effect to look for, or nobody to test with."""
    if isinstance(case, LeftOut):
        return case
    needed = roi.needed(case, design)
    if needed is None:
        return LeftOut(_nothing_to_find(case))
    control, enrolment = roi.feasible(case, design, shortest, longest)
    if enrolment is None:
        return LeftOut(f"Nobody comes into the audience of {case.action.label!r}, so there is no experiment.")
    return Plan(case, design, needed, control, enrolment, longest)


def _nothing_to_find(case: Case) -> str:
    """Why there is no effect to look for."""
    action = case.action
    if action.likely == 0:
        return f"The likely effect of {action.label!r} is none (`roi.actions`): there is nothing to find."
    return (
        f"The likely effect of {action.label!r} (`roi.actions`) is more than its audience allows: with it more than "
        "everybody would buy, so there is nothing to plan for."
    )


class Stop(NamedTuple):
    """How trials ended under one plan: day of enrolment whose outcomes decided, whether the test found a difference,
    whether it goes on."""

    day: Days
    found: Flags
    goes_on: Flags


def looks(planned: Plan, baseline: Floats, spend: Floats, effect: Floats, rng: np.random.Generator) -> dict[str, Stop]:
    """How one trial for each entry of `baseline`, `spend` and `effect` (relative) ends under each plan."""
    design, case = planned.design, planned.case
    days = planned.enrolment
    control = _cumulative(experiments.people(planned.control), days)
    treated = _cumulative(experiments.people(planned.control * design.ratio), days)
    if planned.on_orders:
        mean_c = _normal_means(spend, planned.deviation, control, rng)
        mean_t = _normal_means(spend * (1 + effect), planned.deviation, treated, rng)
        variance = np.broadcast_to(planned.deviation**2 * (1 / control + 1 / treated), mean_c.shape)
        ready = np.ones(mean_c.shape, dtype=bool)
    else:
        events_c = _events(baseline, control, rng)
        events_t = _events(np.minimum(baseline * (1 + effect), 1.0), treated, rng)
        mean_c, mean_t = events_c / control, events_t / treated
        pooled = (events_c + events_t) / (control + treated)
        variance = pooled * (1 - pooled) * (1 / control + 1 / treated)
        ready = (events_c + events_t >= FIRST_LOOK) & (variance > 0)
    difference = mean_t - mean_c
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(ready, np.abs(difference) / np.sqrt(variance), 0.0)
        evidence = np.where(
            ready, log_mixture(difference, variance, np.nan_to_num(planned.detectable, nan=1.0) ** 2), 0.0
        )
        seen = difference[:, -1] / mean_c[:, -1]
    significant = score > design.z_level
    valid = evidence >= -math.log(design.level)
    ends = np.zeros_like(significant)
    ends[:, -1] = significant[:, -1]
    stops = {
        name: _stop(hits, difference)
        for name, hits in (("fixed", ends), ("peeking", significant), ("sequential", valid))
    }
    earns = np.nan_to_num(seen) * np.asarray(case.gain(case.audience.spend)) > case.burden(case.audience.spend)
    return {**stops, "by money": stops["fixed"]._replace(goes_on=earns)}


def log_mixture(difference: Floats, variance: Floats, tau_squared: float) -> Floats:
    """log Λ of the mixture sequential probability ratio test."""
    both = variance + tau_squared
    evidence: Floats = 0.5 * np.log(variance / both) + difference**2 * tau_squared / (2 * variance * both)
    return evidence


def _cumulative(people: int, days: int) -> Floats:
    """People whose outcomes are known by the end of each day, assigned evenly; at least one."""
    return np.maximum(np.floor(people * np.arange(1, days + 1) / days), 1.0)


def _events(share: Floats, people: Floats, rng: np.random.Generator) -> Floats:
    """Buyers by the end of each day, one row a trial."""
    batches = np.diff(people, prepend=0.0).astype(np.int64)
    drawn: Floats = rng.binomial(batches[None, :], share[:, None]).cumsum(axis=1).astype(float)
    return drawn


def _normal_means(mean: Floats, deviation: float, people: Floats, rng: np.random.Generator) -> Floats:
    """Mean spend by the end of each day, one row a trial: sums of batches are normal."""
    batches = np.diff(people, prepend=0.0)
    noise = rng.standard_normal((len(mean), len(people))) * deviation * np.sqrt(batches)
    return mean[:, None] + noise.cumsum(axis=1) / people


def _stop(hits: Flags, difference: Floats) -> Stop:
    """The first hit, else the last day."""
    found = np.asarray(hits.any(axis=1))
    day = np.where(found, hits.argmax(axis=1), hits.shape[1] - 1)
    upward = np.asarray(difference[np.arange(len(day)), day] > 0)
    return Stop(day + 1, found, np.logical_and(found, upward))


class Rates(NamedTuple):
    """What a plan's test does, measured: type I error (A/A), power (A/B with the likely effect), mean days of each."""

    type1: Estimate
    power: Estimate
    days_none: float
    days_likely: float


def rates(planned: Plan, trials: int, seed: int = 0) -> dict[str, Rates]:
    """Type I error and power of the three tests by simulation, with Wilson intervals for the number of trials."""
    rng = np.random.default_rng(seed)
    audience = planned.case.audience
    baseline, spend = np.full(trials, audience.buyers.value), np.full(trials, audience.spend)
    none = looks(planned, baseline, spend, np.zeros(trials), rng)
    likely = looks(planned, baseline, spend, np.full(trials, planned.case.action.likely), rng)
    return {
        name: Rates(
            _share(none[name].found),
            _share(likely[name].goes_on),
            float(none[name].day.mean()) + audience.horizon,
            float(likely[name].day.mean()) + audience.horizon,
        )
        for name in ("fixed", "peeking", "sequential")
    }


def _share(flags: Flags) -> Estimate:
    low, high = intervals.wilson(int(flags.sum()), len(flags))
    return Estimate(float(flags.mean()), float(low), float(high), len(flags))


@dataclass(frozen=True)
class Trials:
    """Money of the first year in each trial, by plan; `wrong` says where the decision was not the one that earns more,
    `days` how long it took."""

    planned: Plan
    profit: dict[str, Floats]
    wrong: dict[str, Flags]
    days: dict[str, Floats]

    def mean(self, name: str) -> Estimate:
        """Mean profit with its Monte Carlo interval."""
        return _mean(self.profit[name])

    def better(self, name: str, other: str) -> Estimate:
        """How much more `name` earns than `other` in the same trials, with its Monte Carlo interval."""
        return _mean(self.profit[name] - self.profit[other])

    @property
    def best_without(self) -> str:
        """What earns most without a test."""
        return "roll out" if self.profit["roll out"].mean() > 0 else "nothing"


def _mean(values: Floats) -> Estimate:
    if np.ptp(values) == 0:
        return Estimate(float(values[0]), None, None, len(values))
    value, half = float(values.mean()), Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value, value - half, value + half, len(values))


def simulate(planned: Plan, trials: int, cost: float, seed: int = 0) -> Trials:
    """The whole experiment `trials` times; running it costs `cost` beside its contacts."""
    rng = np.random.default_rng(seed)
    case, horizon = planned.case, planned.case.audience.horizon
    effect = case.action.effect_at(rng.random(trials))
    baseline, spend = roi.buyer_draws(case, rng, trials), roi.spend_draws(case, rng, trials)
    a_contact = np.asarray(case.per_contact(effect, spend))
    at_once = case.yearly_contacts * a_contact - case.action.setup_cost
    treated = experiments.people(planned.control * planned.design.ratio)
    profit, wrong, days = {}, {}, {}
    for name, stop in looks(planned, baseline, spend, effect, rng).items():
        took = stop.day + horizon
        assigned = treated * np.minimum(took, planned.enrolment) / planned.enrolment
        later = case.contacts_after(assigned, took.astype(float)) @ roi.FIRST_YEAR
        profit[name] = (assigned + stop.goes_on * later) * a_contact - case.action.setup_cost - cost
        wrong[name], days[name] = stop.goes_on != (a_contact > 0), took.astype(float)
    profit |= {"roll out": at_once, "nothing": np.zeros(trials)}
    wrong |= {"roll out": at_once < 0, "nothing": at_once > 0}
    days |= {"roll out": np.zeros(trials), "nothing": np.zeros(trials)}
    return Trials(planned, profit, wrong, days)


def scenarios(trials: Trials, measured_rates: dict[str, Rates]) -> pl.DataFrame:
    """One row a plan: what it earns and how often it is wrong; see `meanings`."""
    rows = []
    for name, label in LABELS.items():
        profit, mean = trials.profit[name], trials.mean(name)
        tenth, half, ninth = np.quantile(profit, [0.1, 0.5, 0.9])
        loss, wrong = _share(profit < 0), _share(trials.wrong[name])
        better = trials.better(name, trials.best_without)
        rate = measured_rates.get(name)
        rows.append(
            {
                "plan": label,
                "profit": mean.value,
                "profit_low": mean.low,
                "profit_high": mean.high,
                "tenth": float(tenth),
                "median": float(half),
                "ninth": float(ninth),
                "loss": loss.value,
                "loss_low": loss.low,
                "loss_high": loss.high,
                "wrong": wrong.value,
                "wrong_low": wrong.low,
                "wrong_high": wrong.high,
                "better": better.value,
                "better_low": better.low,
                "better_high": better.high,
                "days": float(trials.days[name].mean()),
                **_rate_columns("type1", rate and rate.type1),
                **_rate_columns("power", rate and rate.power),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _rate_columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    low, high = (estimate and estimate.interval) or (None, None)
    return {name: estimate and estimate.value, f"{name}_low": low, f"{name}_high": high}


def measures(planned: Plan | LeftOut, trials: Trials | None, found: dict[str, Rates]) -> list[Measure]:
    """The findings `experiments.*` of the headline experiment; all without a value where it is left out."""
    labels = {
        "type1_error": "Type I error, tested once at the end",
        "type1_error_peeking": "Type I error, naively looking every day",
        "type1_error_sequential": "Type I error, always-valid test every day",
        "power": "Power, tested once at the end",
        "power_sequential": "Power, always-valid test every day",
        "probability_of_loss": "Probability that the experiment loses money",
    }
    money = {
        "expected_net_profit": "Expected net profit of testing to the end, first year",
        "value_of_testing": "What testing to the end earns more than the best without a test",
        "cost_of_peeking": "What naive looking every day earns less than testing to the end",
    }
    if isinstance(planned, LeftOut) or trials is None:
        reason = planned.reason if isinstance(planned, LeftOut) else "It was not simulated."
        return [
            Measure("sample_size_per_group", "People in the control group", "count", None, reason=reason),
            Measure("duration_days", "Days until the answer", "days", None, reason=reason),
            *(measured(name, label, "share", None, reason) for name, label in labels.items()),
            *(measured(name, label, "currency", None, reason) for name, label in money.items()),
        ]
    shares = {
        "type1_error": found["fixed"].type1,
        "type1_error_peeking": found["peeking"].type1,
        "type1_error_sequential": found["sequential"].type1,
        "power": found["fixed"].power,
        "power_sequential": found["sequential"].power,
        "probability_of_loss": _share(trials.profit["fixed"] < 0),
    }
    amounts = {
        "expected_net_profit": trials.mean("fixed"),
        "value_of_testing": trials.better("fixed", trials.best_without),
        "cost_of_peeking": trials.better("fixed", "peeking"),
    }
    return [
        *_plan_measures(planned),
        *(measured(name, labels[name], "share", one) for name, one in shares.items()),
        *(measured(name, money[name], "currency", one) for name, one in amounts.items()),
    ]


def _plan_measures(planned: Plan) -> list[Measure]:
    """Size and duration with what they would be at the ends of the baseline's interval."""
    sizes = [planned.needed, *_at_ends(planned)]
    n = planned.case.audience.past.height
    size = Measure(
        "sample_size_per_group",
        "People in the control group",
        "count",
        experiments.people(planned.needed),
        (experiments.people(min(sizes)), experiments.people(max(sizes))),
        n,
    )
    label, horizon = "Days until the answer", planned.case.audience.horizon
    lasting = [days_for(planned, one) for one in sizes]
    if lasting[0] is None:
        reason = "The audience is too small for the experiment, and nobody comes anew."
        return [size, Measure("duration_days", label, "days", None, reason=reason)]
    known = [days + horizon for days in lasting if days is not None]
    return [size, Measure("duration_days", label, "days", known[0], (min(known), max(known)), n)]


def _at_ends(planned: Plan) -> list[float]:
    """Sizes needed at the ends of the baseline's interval."""
    audience, lift, design = planned.case.audience, planned.case.action.likely, planned.design
    if planned.on_orders:
        half = Z * audience.error("revenue")
        ends = [max(audience.spend - half, audience.spend / 10), audience.spend + half]
        return [experiments.size_for_means(planned.deviation, end * lift, design) for end in ends]
    return [
        experiments.size_for_proportions(end, end * lift, design)
        for end in (audience.buyers.interval or ())
        if end > 0 and end * (1 + lift) < 1
    ]


def days_for(planned: Plan, control: float) -> int | None:
    """Days of enrolment that a control group of this size takes."""
    stock, a_day = roi.reachable(planned.case)
    return experiments.enrolment_days(control, planned.design, stock, a_day, 7)


def sizes(planned: Plan, quantile: float) -> pl.DataFrame:
    """What the likely effect takes by metric, spend as it is and winsorised, each without and with CUPED.

    Columns: metric, correlation with the same before (with interval; none without CUPED), per_group (control), people,
    days (to the answer; null where they never come), detectable (relative effect that the planned people find).
    """
    audience, design = planned.case.audience, planned.design
    spent, before = audience.amounts, audience.past["before"].to_numpy()
    share = audience.buyers.value
    metrics = {
        "Buys": (audience.past["bought"].to_numpy().astype(float), (before > 0).astype(float)),
        "Spend": (spent, before),
        f"Spend, cut at the {quantile:.0%} quantile": tuple(
            experiments.winsorised(values, quantile) for values in (spent, before)
        ),
    }
    rows = []
    for metric, (values, past) in metrics.items():
        rho = experiments.cuped_correlation(values, past)
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
        if metric == "Buys":
            plain = experiments.size_for_proportions(share, share * planned.case.action.likely, design)
            least = experiments.detectable_in_proportions(share, planned.control, design) / share
        elif deviation > 0:
            plain = experiments.size_for_means(deviation, mean * planned.case.action.likely, design)
            least = experiments.detectable_in_means(deviation, planned.control, design) / mean
        else:
            continue
        rows.append(_size_row(planned, metric, None, plain, least))
        if rho is not None:
            kept = 1 - rho.value**2
            rows.append(_size_row(planned, f"{metric}, with CUPED", rho, plain * kept, least * math.sqrt(kept)))
    return pl.DataFrame(rows, infer_schema_length=None)


def _size_row(planned: Plan, metric: str, rho: Estimate | None, control: float, least: float) -> dict[str, object]:
    days = days_for(planned, control)
    return {
        "metric": metric,
        **_rate_columns("correlation", rho),
        "per_group": experiments.people(control),
        "people": experiments.people(control * planned.design.groups),
        "days": None if days is None else days + planned.case.audience.horizon,
        "detectable": least if math.isfinite(least) else None,
    }


def designs(planned: Plan) -> pl.DataFrame:
    """The same experiment with other groups, arms and metrics: design, level, per_group, people, days."""
    own = planned.design
    others = {
        "As planned": own,
        "A tenth treated": replace(own, treated_share=0.1),
        "Two treated arms": own.with_arms(3),
        "Three treated arms": own.with_arms(4),
        "Three metrics": replace(own, metrics=3),
        "Power of 90 %": replace(own, power=0.9),
    }
    rows = []
    for name, design in others.items():
        changed = replace(planned, design=design)
        control = roi.needed(planned.case, design) or math.nan
        days = days_for(changed, control)
        rows.append(
            {
                "design": name,
                "level": design.level,
                "per_group": experiments.people(control),
                "people": experiments.people(control * design.groups),
                "days": None if days is None else days + planned.case.audience.horizon,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def detectable_by_week(planned: Plan) -> pl.DataFrame:
    """Smallest relative effect found with the planned power, by weeks of enrolment, without and with CUPED.

    Columns: weeks, people, plain, cuped (null where the metric does not correlate with itself before).
    """
    audience, design = planned.case.audience, planned.design
    stock, a_day = roi.reachable(planned.case)
    before = audience.past["before"].to_numpy()
    if planned.on_orders:
        usual, rho = audience.spend, experiments.cuped_correlation(audience.amounts, before)
    else:
        usual = audience.buyers.value
        rho = experiments.cuped_correlation(audience.past["bought"].to_numpy().astype(float), before > 0)
    rows = []
    for weeks in range(1, planned.longest // 7 + 1):
        people = stock + a_day * weeks * 7
        control = people / design.groups
        if control < 2:
            continue
        least = replace(planned, control=control).detectable / usual
        if math.isfinite(least) and least <= 1:
            rows.append((weeks, people, least, None if rho is None else least * math.sqrt(1 - rho.value**2)))
    schema = {"weeks": pl.Int64, "people": pl.Float64, "plain": pl.Float64, "cuped": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def answer(planned: Plan | LeftOut, trials: Trials | None, found: dict[str, Rates], formats: Formats) -> str:
    """What the experiment takes, whether it can be trusted and whether it is worth it."""
    if isinstance(planned, LeftOut) or trials is None:
        return planned.reason if isinstance(planned, LeftOut) else ""
    case, design = planned.case, planned.design
    metric = "spend" if planned.on_orders else "the share that buys"
    takes = (
        f"To find that '{case.action.label}' raises {metric} by {formats.share(case.action.likely)} takes "
        f"{formats.count(experiments.people(planned.needed))} people in the control group"
    )
    takes += (
        f" and {formats.count(planned.duration)} days."
        if planned.suffices
        else f"; within {planned.longest} days of enrolment only {formats.count(int(planned.control))} come, and with "
        f"them the power is {formats.share(found['fixed'].power.value, found['fixed'].power.interval)}."
    )
    peeking, valid = found["peeking"].type1, found["sequential"].type1
    value = trials.better("fixed", trials.best_without)
    best = LABELS[trials.best_without].lower()
    low, high = value.interval or (0.0, 0.0)
    worth = "earns more than" if low > 0 else "earns less than" if high < 0 else "earns about what it costs against"
    return (
        f"{takes} Who looks every day and stops at the first significant result is wrong in "
        f"{formats.share(peeking.value, peeking.interval)} of experiments without an effect, not in "
        f"{formats.share(design.alpha)}; an always-valid test in {formats.share(valid.value, valid.interval)}. Testing "
        f"to the end {worth} the best without a test, which is to {best}: a difference of "
        f"{formats.money(value.value, value.interval)} in the first year."
    )
