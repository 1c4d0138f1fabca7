"""What an action earns, against what would have happened anyway.

A contacted person spends s within the horizon anyway (revenue, zero for most) and s·(1 + e) when contacted. Of every
contact that is worth

    π(e) = s·e·m − s·(1 + e)·ρ·d − c

with margin m, a discount of d used by the share ρ of those who order, and c the cost of the contact: margin comes from
what is bought in addition, the discount is given to those too who would have bought anyway. At e = 0 what remains is
minus the cost, s·ρ·d + c. Set-up is paid once on top.

What is unknown is drawn. Effects follow the PERT distribution of their low, likely and high value (Malcolm, Roseboom,
Clark & Fazar 1959; mean (low + 4·likely + high)/6), correlated across actions by a Gaussian copula; s is drawn from its
sampling distribution, gamma with the mean and standard error that the data give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import beta, norm

from patternbook.analysis import experiments
from patternbook.analysis.audiences import WHO, Audience, apart
from patternbook.analysis.experiments import Design
from patternbook.analysis.history import DAYS, DAYS_A_YEAR
from patternbook.analysis.intervals import CONFIDENCE, Estimate, Floats
from patternbook.analysis.measure import LeftOut, Measure
from patternbook.formats import Formats

LABELS = {
    "win_back": "Win back those we may lose",
    "high_intent": "Target those about to buy",
    "cross_sell": "Cross-sell after an order",
    "onboarding": "Onboard in the first week",
    "abandoned_cart": "Remind of the cart",
    "bundle": "Bundle the strongest pair",
}
ON_ORDERS = frozenset({"cross_sell", "bundle"})  # these make orders larger, not buyers more
SCENARIOS = {"conservative": 0.1, "realistic": 0.5, "optimistic": 0.9}  # percentiles of what was simulated
MONTHS = 36
DATA_DRAWS = 200  # of what the data leave open; each meets all draws of effects
ENDS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)

Decision = Literal["go", "test first", "no go"]


class Terms(NamedTuple):
    """What holds for all actions; see `params.Roi` and `params.Economics`."""

    margin: float
    discount_rate: float
    reach: float
    fade: float
    correlation: float
    acquisition_cost: float


@dataclass(frozen=True)
class Action:
    """What an action costs and is expected to bring; see `params.RoiAction`."""

    name: str
    low: float
    likely: float
    high: float
    source: str
    contact_cost: float
    discount: float
    redemption: float
    setup_cost: float
    effort: str
    first_step: str

    @property
    def label(self) -> str:
        """The action in words."""
        return LABELS[self.name]

    @property
    def mean_effect(self) -> float:
        """Mean of the PERT distribution of the effect."""
        return (self.low + 4 * self.likely + self.high) / 6

    @property
    def given_away(self) -> float:
        """Share of what is ordered that goes as discount."""
        return self.redemption * self.discount

    def effect_at(self, quantiles: Floats) -> Floats:
        """Quantiles of the effect: PERT, a beta distribution between `low` and `high` with mode `likely`."""
        width = self.high - self.low
        if width == 0:
            return np.full_like(quantiles, self.likely, dtype=np.float64)
        above = 4 * (self.likely - self.low) / width
        effects: Floats = np.asarray(self.low + width * beta.ppf(quantiles, 1 + above, 5 - above))
        return effects


@dataclass(frozen=True)
class Case:
    """An action on its audience: everything that its money follows from."""

    action: Action
    audience: Audience
    terms: Terms

    @property
    def contacts(self) -> Floats:
        """People contacted in each of `MONTHS` months: who is there now, later those who come anew."""
        monthly = self.audience.a_day * DAYS["month"]
        first = max(float(self.audience.now.height), monthly)
        people = np.full(MONTHS, monthly)
        people[0] = first
        return self.terms.reach * people

    @property
    def persistence(self) -> Floats:
        """What is left of the effect in each month."""
        left: Floats = np.power(1 - self.terms.fade, np.floor(np.arange(MONTHS) / 12))
        return left

    def gain(self, spend: Floats | float) -> Floats | float:
        """What a contact earns a unit of effect: margin less the discount on what is bought in addition."""
        return spend * (self.terms.margin - self.action.given_away)

    def burden(self, spend: Floats | float) -> Floats | float:
        """What a contact costs even without an effect: contact, and discount to those who buy anyway."""
        return self.action.contact_cost + spend * self.action.given_away

    def per_contact(self, effect: Floats | float, spend: Floats | float) -> Floats | float:
        """π(e)."""
        return effect * self.gain(spend) - self.burden(spend)

    def cash(self, effect: Floats | float, spend: Floats | float, weights: Floats) -> Floats | float:
        """Sum of the months' money, each weighted, less set-up. `effect` and `spend` are numbers or broadcast."""
        contacts = self.contacts * weights
        kept = float(contacts @ self.persistence)
        return effect * self.gain(spend) * kept - self.burden(spend) * float(contacts.sum()) - self.action.setup_cost

    def cost(self, effect: Floats | float, spend: Floats | float) -> Floats | float:
        """All that is paid in the first year: set-up, contacts, discounts."""
        paid = self.action.contact_cost + spend * (1 + effect) * self.action.given_away
        return self.action.setup_cost + self.yearly_contacts * paid

    @property
    def yearly_contacts(self) -> float:
        """People contacted in the first year."""
        return float(self.contacts[:12].sum())

    @property
    def spend_error(self) -> float:
        """Standard error of the mean spend."""
        return self.audience.error("revenue")

    @property
    def break_even(self) -> float | None:
        """Effect at which the first year earns nothing; None where a discount eats all margin."""
        gain = self.gain(self.audience.spend)
        if gain <= 0:
            return None
        return float((self.burden(self.audience.spend) + self.action.setup_cost / self.yearly_contacts) / gain)

    @property
    def highest_contact_cost(self) -> float:
        """What a contact may cost at most, at the mean effect, before the first year loses money; 0 where it does."""
        earned = self.per_contact(self.action.mean_effect, self.audience.spend) + self.action.contact_cost
        return max(0.0, float(earned) - self.action.setup_cost / self.yearly_contacts)


def action(name: str, effect: Mapping[str, Any], **costs: Any) -> Action:
    """An action from the parameter file's values."""
    return Action(name=name, **effect, **costs)


def alone(
    actions: Mapping[str, Action], audiences: Mapping[str, Audience | LeftOut], terms: Terms, name: str
) -> Case | LeftOut:
    """One action on its whole audience, as if no other action were taken."""
    audience = audiences[name]
    if isinstance(audience, LeftOut):
        return LeftOut(f"{LABELS[name]}: {audience.reason}")
    return Case(actions[name], audience, terms)


def cases(
    actions: Mapping[str, Action], audiences: Mapping[str, Audience | LeftOut], terms: Terms, minimum: int
) -> dict[str, Case | LeftOut]:
    """Each action on an audience of its own: who is in several belongs to the one that earns most a contact.

    Of actions that are not expected to earn, the one with the smaller audience goes first: a wide one would leave it
    none.
    """
    whole = {name: Case(actions[name], one, terms) for name, one in audiences.items() if isinstance(one, Audience)}
    worth = {
        name: float(case.per_contact(case.action.mean_effect, case.audience.spend)) for name, case in whole.items()
    }
    width = {name: case.audience.now.height for name, case in whole.items()}
    order = sorted(worth, key=lambda name: (-worth[name] if worth[name] > 0 else width[name], name))
    order.sort(key=lambda name: worth[name] <= 0)
    separate = apart({name: case.audience for name, case in whole.items()}, order, minimum)
    found = {name: separate.get(name, one) for name, one in audiences.items()}
    return {name: one if isinstance(one, LeftOut) else Case(actions[name], one, terms) for name, one in found.items()}


FIRST_YEAR = (np.arange(MONTHS) < 12).astype(float)


def discounts(rate: float) -> Floats:
    """What money in the middle of each month is worth today, `rate` a year."""
    return (1 + rate) ** -((np.arange(MONTHS) + 0.5) / 12)


@dataclass(frozen=True)
class Simulated:
    """Draws of the programme: a row a draw of what the data leave open, a column a draw of effects.

    `profit`, `cost` are of the first year, `npv` of three, `payback` in months, infinite where never. `by_action` holds
    the profit of each, `more` its incremental customers (None for actions that make orders larger). `running` holds the
    money so far by month and scenario.
    """

    cases: dict[str, Case]
    profit: Floats
    cost: Floats
    npv: Floats
    payback: Floats
    by_action: dict[str, Floats]
    more: dict[str, Floats | None]
    running: pl.DataFrame

    @property
    def roi(self) -> Floats | None:
        """Profit ÷ cost of the first year; None where nothing is paid."""
        return self.profit / self.cost if (self.cost > 0).all() else None


def simulated(cases: Mapping[str, Case], draws: int) -> Simulated | LeftOut:
    """All cases together; left out where there is none."""
    if not cases:
        return LeftOut("No action has an audience in these data whose purchases could be counted.")
    return simulate(cases, draws)


def simulate(cases: Mapping[str, Case], draws: int, seed: int = 0) -> Simulated:
    """The programme of all cases together, `DATA_DRAWS` × `draws` times."""
    rng = np.random.default_rng(seed)
    terms = next(iter(cases.values())).terms
    common = rng.standard_normal(draws)
    weights = discounts(terms.discount_rate)
    totals = {name: np.zeros((DATA_DRAWS, draws)) for name in ("profit", "cost", "npv")}
    running = np.zeros((DATA_DRAWS, draws))
    parts = []
    by_action: dict[str, Floats] = {}
    more: dict[str, Floats | None] = {}
    for name, case in cases.items():
        own = rng.standard_normal(draws)
        rank = norm.cdf(math.sqrt(terms.correlation) * common + math.sqrt(1 - terms.correlation) * own)
        effect = case.action.effect_at(rank)[None, :]
        spend = spend_draws(case, rng, DATA_DRAWS)[:, None]
        by_action[name] = np.asarray(case.cash(effect, spend, FIRST_YEAR))
        more[name] = (
            None if name in ON_ORDERS else case.yearly_contacts * effect * buyer_draws(case, rng, DATA_DRAWS)[:, None]
        )
        totals["profit"] += by_action[name]
        totals["cost"] += case.cost(effect, spend)
        totals["npv"] += case.cash(effect, spend, weights)
        running -= case.action.setup_cost
        parts.append((case.contacts, case.persistence, effect * case.gain(spend), np.asarray(case.burden(spend))))
    payback = np.full(running.shape, np.inf)
    levels = list(SCENARIOS.values())
    path = [np.quantile(running, levels)]
    for month in range(MONTHS):
        for contacts, kept, gain, burden in parts:
            running += contacts[month] * (kept[month] * gain - burden)
        payback[np.isinf(payback) & (running >= 0)] = month + 1
        path.append(np.quantile(running, levels))
    paths = pl.DataFrame(np.array(path), schema=list(SCENARIOS)).with_row_index("month").cast({"month": pl.Int64})
    return Simulated(dict(cases), totals["profit"], totals["cost"], totals["npv"], payback, by_action, more, paths)


def spend_draws(case: Case, rng: np.random.Generator, draws: int) -> Floats:
    """Mean spends from their sampling distribution: gamma with the mean and the standard error of the data."""
    mean, error = case.audience.spend, case.spend_error
    return np.full(draws, mean) if error == 0 else rng.gamma((mean / error) ** 2, error**2 / mean, draws)


def buyer_draws(case: Case, rng: np.random.Generator, draws: int) -> Floats:
    """Shares of the audience that buy anyway: the Jeffreys posterior of as many people as leave the same error."""
    share = case.audience.buyers.value
    n = share * (1 - share) / case.audience.error("bought") ** 2
    return rng.beta(share * n + 0.5, (1 - share) * n + 0.5, draws)


def at_percentile(draws: Floats, percentile: float) -> Estimate:
    """A percentile of all draws; its interval is what the data leave open of it, the assumptions as they are."""
    rows = np.quantile(draws, percentile, axis=1, method="inverted_cdf")
    low, high = np.quantile(rows, ENDS)
    value = float(np.quantile(draws, percentile, method="inverted_cdf"))
    return Estimate(value, float(min(low, value)), float(max(high, value)), draws.size)


def below_zero(draws: Floats) -> Estimate:
    """Probability of a loss; its interval is what the data leave open of it."""
    low, high = np.quantile((draws < 0).mean(axis=1), ENDS)
    value = float((draws < 0).mean())
    return Estimate(value, float(min(low, value)), float(max(high, value)), draws.size)


class Tested(NamedTuple):
    """What testing an action first is worth, in the first year's money.

    `now` is the best that can be done without a test (all or nothing), `test` what testing first earns, `perfect` what
    knowing the effect would be worth at most.
    """

    decision: Decision
    now: float
    test: float
    perfect: float
    days: int | None
    people: int


def test_first(case: Case, design: Design, shortest: int, longest: int, cost: float) -> Tested:
    """Go, no go or test first, by the expected value of sample information (Raiffa & Schlaifer 1961).

    The test takes as many people as the likely effect needs, or as come within `longest` days. It sees the effect
    with a normal error; what is believed after it is the mean of the effect by Bayes' rule, on a grid of the prior's
    quantiles; the action goes on where that earns money. While the test runs only its treated share is contacted.
    """
    spend, action = case.audience.spend, case.action
    effects = action.effect_at((np.arange(800) + 0.5) / 800)
    slope, burden = float(case.gain(spend)), float(case.burden(spend))
    yearly = case.yearly_contacts * (effects * slope - burden)
    kept = yearly - action.setup_cost
    now = max(0.0, float(kept.mean()))
    perfect = float(np.maximum(kept, 0).mean()) - now
    control, enrolment = feasible(case, design, shortest, longest)
    if enrolment is None:
        return Tested("go" if now > 0 else "no go", now, -math.inf, perfect, None, 0)
    days = enrolment + case.audience.horizon
    error = effect_error(case, design, control)
    seen = effects[:, None] + error * norm.ppf((np.arange(200) + 0.5) / 200)[None, :]
    weight = np.exp(-0.5 * ((seen[..., None] - effects[::8]) / error) ** 2)
    believed = (weight * effects[::8]).sum(axis=-1) / weight.sum(axis=-1)
    goes_on = believed * slope > burden
    running = min(1.0, days / DAYS_A_YEAR)
    contacted = min(experiments.people(control * design.groups), case.yearly_contacts) * design.treated_share
    during = contacted * float((effects * slope - burden).mean())
    later = (1 - running) * float((yearly[:, None] * goes_on).mean())
    test = during + later - action.setup_cost - cost
    decision: Decision = "test first" if test > now else "go" if now > 0 else "no go"
    if max(test, now) <= 0:
        decision = "no go"
    return Tested(decision, now, test, perfect, days, experiments.people(control * design.groups))


class Feasible(NamedTuple):
    """A test that the audience allows: size of the control group, and days of enrolment (None: there is no test)."""

    control: float
    enrolment: int | None


def feasible(case: Case, design: Design, shortest: int, longest: int) -> Feasible:
    """The test that finds the likely effect, or the largest that `longest` days of enrolment allow."""
    stock, a_day = reachable(case)
    most = (stock + a_day * longest) / design.groups
    control = min(most, needed(case, design) or math.inf)
    if control < 2:
        return Feasible(control, None)
    days = experiments.enrolment_days(control, design, stock, a_day, shortest)
    return Feasible(control, None if days is None else min(days, longest))


def reachable(case: Case) -> tuple[int, float]:
    """People who can be assigned now, and how many more a day."""
    return int(case.audience.now.height * case.terms.reach), case.audience.a_day * case.terms.reach


def needed(case: Case, design: Design) -> float | None:
    """Size of the control group that finds the likely effect; None where none is likely, or none possible."""
    share, effect = case.audience.buyers.value, case.action.likely
    if effect == 0:
        return None
    if case.action.name in ON_ORDERS:
        return experiments.size_for_means(
            float(case.audience.amounts.std(ddof=1)), case.audience.spend * effect, design
        )
    if share * (1 + effect) > 1:
        return None
    return experiments.size_for_proportions(share, share * effect, design)


def effect_error(case: Case, design: Design, control: float) -> float:
    """Standard error of the relative effect that a test with `control` people in the control group sees."""
    share = case.audience.buyers.value
    if case.action.name in ON_ORDERS:
        variation = float(case.audience.amounts.std(ddof=1)) / case.audience.spend
    else:
        variation = math.sqrt((1 - share) / share)
    return variation * math.sqrt((1 + 1 / design.ratio) / control)


def by_action(simulated: Simulated, tests: Mapping[str, Tested]) -> pl.DataFrame:
    """One row an action, the most profitable first; see `meanings`."""
    rows = []
    for name, case in simulated.cases.items():
        profit, more = simulated.by_action[name], simulated.more[name]
        cost = case.cost(case.action.mean_effect, case.audience.spend)
        earned, lost = at_percentile(profit, 0.5), below_zero(profit)
        low, high = (0.0, 0.0) if more is None else np.quantile(more, ENDS)
        customers = None if more is None else Estimate(float(np.median(more)), float(low), float(high), more.size)
        bought = case.audience.buyers
        rows.append(
            {
                "action": case.action.label,
                "audience": case.audience.now.height,
                "a_month": case.audience.a_day * DAYS["month"],
                "contacts": case.yearly_contacts,
                **_spread("baseline", bought),
                "spend": case.audience.spend,
                **_spread("customers", customers),
                "cost": float(cost),
                "profit": earned.value,
                "profit_low": float(np.quantile(profit, ENDS[0])),
                "profit_high": float(np.quantile(profit, ENDS[1])),
                "roi": earned.value / float(cost) if cost > 0 else None,
                **_spread("loss", lost),
                "break_even": case.break_even,
                "highest_contact_cost": case.highest_contact_cost,
                "cost_per_customer": float(cost) / customers.value if customers and customers.value > 0 else None,
                "value_now": tests[name].now,
                "value_of_test": tests[name].test if math.isfinite(tests[name].test) else None,
                "perfect_information": tests[name].perfect,
                "test_people": tests[name].people or None,
                "test_days": tests[name].days,
                "decision": tests[name].decision,
                "effect_low": case.action.low,
                "effect": case.action.likely,
                "effect_high": case.action.high,
                "effort": case.action.effort,
                "first_step": case.action.first_step,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None).sort("profit", "action", descending=[True, False])


def _spread(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    low, high = (estimate and estimate.interval) or (None, None)
    return {name: estimate and estimate.value, f"{name}_low": low, f"{name}_high": high}


def programme(cases: Mapping[str, Case | LeftOut], tests: Mapping[str, Tested], draws: int) -> Simulated | LeftOut:
    """The actions that are worth their money, now or after a test, simulated as if all were rolled out."""
    if not tests:
        return simulated({}, draws)
    worth = {name: case for name, case in cases.items() if isinstance(case, Case) and tests[name].decision != "no go"}
    if not worth:
        return LeftOut("No action is expected to earn what it costs, neither now nor after a test.")
    return simulate(worth, draws)


def most_profitable(simulated: Simulated) -> Case:
    """The case with the highest median profit."""
    medians = {name: float(np.median(profit)) for name, profit in simulated.by_action.items()}
    return simulated.cases[max(medians, key=lambda name: (medians[name], name))]


def scenarios(simulated: Simulated) -> pl.DataFrame:
    """One row a scenario: percentiles of the programme's first year, of three years and of the payback."""
    rows = []
    for name, percentile in SCENARIOS.items():
        payback = at_percentile(np.minimum(simulated.payback, MONTHS + 1), 1 - percentile)
        rows.append(
            {
                "scenario": name,
                "percentile": percentile,
                **_spread("cost", at_percentile(simulated.cost, 0.5)),
                **_spread("net_profit", at_percentile(simulated.profit, percentile)),
                **_spread("roi", None if simulated.roi is None else at_percentile(simulated.roi, percentile)),
                **_spread("npv_3y", at_percentile(simulated.npv, percentile)),
                **_spread("payback_months", payback if payback.value <= MONTHS else None),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def measures(simulated: Simulated | LeftOut) -> list[Measure]:
    """The findings `roi.*` of the programme; all without a value, with the reason, where there is none."""
    kinds: dict[str, tuple[str, Literal["currency", "share", "months"]]] = {
        "net_profit": ("Net profit of the first year", "currency"),
        "roi": ("Return on what is spent in the first year", "share"),
        "payback_months": ("Months until it has paid back", "months"),
        "npv_3y": ("Net present value of three years", "currency"),
    }
    names = [(kind, scenario) for kind in kinds for scenario in SCENARIOS]
    if isinstance(simulated, LeftOut):
        found = [
            Measure(f"{kind}_{name}", f"{kinds[kind][0]}, {name}", kinds[kind][1], None, reason=simulated.reason)
            for kind, name in names
        ]
        lost = Measure("probability_of_loss", "Probability of a loss", "share", None, reason=simulated.reason)
        return [*found, lost]
    rows = {row["scenario"]: row for row in scenarios(simulated).iter_rows(named=True)}
    absent = {
        "payback_months": f"It does not pay back within {MONTHS} months.",
        "roi": "The programme costs nothing, so there is nothing to set its profit against.",
    }
    found = []
    for kind, name in names:
        label, unit = kinds[kind]
        value, low, high = (rows[name][column] for column in (kind, f"{kind}_low", f"{kind}_high"))
        reason = absent[kind] if value is None else None
        interval = None if value is None else (low, high)
        found.append(Measure(f"{kind}_{name}", f"{label}, {name}", unit, value, interval, reason=reason))
    loss = below_zero(simulated.profit)
    return [*found, Measure("probability_of_loss", "Probability of a loss", "share", loss.value, loss.interval)]


def expected_profit(cases: Mapping[str, Case]) -> float:
    """First-year profit of all cases at the mean of every effect and amount: the mean of what `simulate` draws."""
    return sum(float(case.cash(case.action.mean_effect, case.audience.spend, FIRST_YEAR)) for case in cases.values())


def tornado(cases: Mapping[str, Case], swing: float) -> pl.DataFrame:
    """What the first year's profit hangs on: each assumption at its low and high end, the others at their mean.

    Effects and spend go to their 10th and 90th percentile, what has no range of its own up and down by `swing`. One row
    an assumption, the one that matters most first: assumption, low, high (profit), width.
    """
    middle = expected_profit(cases)
    rows = []
    for case in cases.values():
        mean, spend, z = case.action.mean_effect, case.audience.spend, float(norm.ppf(0.9))
        usual = float(case.cash(mean, spend, FIRST_YEAR))
        effects = case.action.effect_at(np.array([0.1, 0.9]))
        spends = np.maximum(spend + np.array([-z, z]) * case.spend_error, 0)
        for what, moved in (
            ("effect", case.cash(effects, spend, FIRST_YEAR)),
            ("spend without it", case.cash(mean, spends, FIRST_YEAR)),
        ):
            rows.append((f"{case.action.label}: {what}", *(middle - usual + np.sort(np.asarray(moved)))))
    for label, vary in _SHARED.items():
        ends = [
            expected_profit({name: vary(case, factor) for name, case in cases.items()})
            for factor in (1 - swing, 1 + swing)
        ]
        rows.append((label, min(ends), max(ends)))
    table = pl.DataFrame(rows, schema=["assumption", "low", "high"], orient="row")
    return table.with_columns((pl.col("high") - pl.col("low")).alias("width")).sort(
        "width", "assumption", descending=[True, False]
    )


def _with_terms(case: Case, **changed: float) -> Case:
    return replace(case, terms=case.terms._replace(**changed))


def _with_action(case: Case, **changed: Any) -> Case:
    return replace(case, action=replace(case.action, **changed))


_SHARED: dict[str, Callable[[Case, float], Case]] = {
    "Margin": lambda case, factor: _with_terms(case, margin=min(1.0, case.terms.margin * factor)),
    "Reach": lambda case, factor: _with_terms(case, reach=min(1.0, case.terms.reach * factor)),
    "Cost of a contact": lambda case, factor: _with_action(case, contact_cost=case.action.contact_cost * factor),
    "Use of discounts": lambda case, factor: _with_action(case, redemption=min(1.0, case.action.redemption * factor)),
    "Set-up": lambda case, factor: _with_action(case, setup_cost=case.action.setup_cost * factor),
}


def assumptions(actions: Sequence[Action], terms: Terms, sources: tuple[str, str], formats: Formats) -> pl.DataFrame:
    """Every assumption behind the money, as text, with its source; `sources` are those of economics and of roi."""
    economics, roi = sources
    rows = [
        ("Margin", formats.share(terms.margin), economics),
        ("Discount rate a year", formats.share(terms.discount_rate), economics),
        ("Share of an audience that can be contacted", formats.share(terms.reach), roi),
        ("Part of an effect lost a year", formats.share(terms.fade), roi),
        ("Correlation of the actions' effects", formats.value(terms.correlation, "number"), roi),
        ("Cost of winning a new customer", formats.money(terms.acquisition_cost), roi),
    ]
    for action in actions:
        span = f"{formats.change(action.likely)} ({formats.change(action.low)} to {formats.change(action.high)})"
        costs = [f"{formats.money(action.contact_cost)} a contact", f"{formats.money(action.setup_cost)} set-up"]
        if action.given_away:
            offer = f"{formats.share(action.discount)} discount used by {formats.share(action.redemption)}"
            costs.insert(1, offer)
        rows += [(f"{action.label}: audience", WHO[action.name], "rule of the software")]
        rows += [(f"{action.label}: effect", span, action.source), (f"{action.label}: cost", "; ".join(costs), roi)]
    return pl.DataFrame(rows, schema=["assumption", "value", "source"], orient="row")


def answer(simulated: Simulated | LeftOut, actions: pl.DataFrame | None, formats: Formats) -> str:
    """What to bet on, in a few sentences of Markdown."""
    sentences = [simulated.reason] if isinstance(simulated, LeftOut) else [_expected(simulated, formats)]
    if actions is not None:
        for decision, words in (("go", "Go"), ("test first", "Test first"), ("no go", "Not worth it")):
            names = actions.filter(pl.col("decision") == decision)["action"].to_list()
            if names:
                sentences.append(f"**{words}:** {', '.join(names)}.")
    return " ".join(sentences)


def left_out(cases: Mapping[str, Case | LeftOut]) -> str:
    """Which actions are left out, and why, a sentence a reason; empty where none is."""
    reasons: dict[str, list[str]] = {}
    for name, one in cases.items():
        if isinstance(one, LeftOut):
            reasons.setdefault(one.reason, []).append(LABELS[name])
    return " ".join(f"Left out: {'; '.join(names)}. {reason}" for reason, names in reasons.items())


def _expected(simulated: Simulated, formats: Formats) -> str:
    rows = {row["scenario"]: row for row in scenarios(simulated).iter_rows(named=True)}
    low, middle, high = (formats.money(rows[name]["net_profit"]) for name in SCENARIOS)
    loss = below_zero(simulated.profit)
    return (
        f"{_counted(simulated.cases)} worth the money, now or after a test. Expected is a net profit of {middle} in "
        f"the first year; one time in ten it is less than {low}, one time in ten more than {high}. The probability of "
        f"a loss is {formats.share(loss.value, loss.interval)}."
    )


def _counted(cases: Mapping[str, Case]) -> str:
    return "One action is" if len(cases) == 1 else f"{len(cases)} actions are"
