"""What an action earns, against what would have happened anyway.

A contacted person spends s within the horizon anyway (revenue, zero for most) and s·(1 + e) when contacted. Of every
contact that is worth

    π(e) = s·e·m − s·(1 + e)·ρ·d − c

with margin m, a discount of d used by the share ρ of those who order, and c the cost of the contact: margin comes from
what is bought in addition, the discount is given to those too who would have bought anyway. At e = 0 what remains is
minus the cost, s·ρ·d + c. Set-up is paid once on top.

An action that is to be tested first contacts the test's treated people, waits for what they do, and goes on where the
test shows enough; cost and delay of the test count.

What is unknown is drawn. Effects follow the PERT distribution of their low, likely and high value (Malcolm, Roseboom,
Clark & Fazar 1959; mean (low + 4·likely + high)/6), correlated across actions by a Gaussian copula; s is drawn from its
sampling distribution, gamma with the mean and standard error that the data give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import brentq
from scipy.stats import beta, norm

from patternbook.analysis import experiments
from patternbook.analysis.audiences import WEEK, WHO, Audience, Rule, apart
from patternbook.analysis.experiments import Design
from patternbook.analysis.history import DAYS
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
FIRST_YEAR = (np.arange(MONTHS) < 12).astype(float)
GRID = (np.arange(800) + 0.5) / 800  # quantiles at which an effect stands for its distribution

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

    def cash(
        self, effect: Floats | float, spend: Floats | float, weights: Floats, contacts: Floats | None = None
    ) -> Floats | float:
        """Sum of the months' money, each weighted, less set-up. `effect` and `spend` are numbers or broadcast.

        `contacts` has a row a month, and a column a draw where draws differ; by default all are contacted at once.
        """
        people = self.contacts if contacts is None else contacts
        kept, all_of_them = (weights * self.persistence) @ people, weights @ people
        return effect * self.gain(spend) * kept - self.burden(spend) * all_of_them - self.action.setup_cost

    def cost(self, effect: Floats | float, spend: Floats | float, contacts: Floats | None = None) -> Floats | float:
        """All that is paid in the first year: set-up, contacts, discounts; `contacts` as in `cash`."""
        people = self.contacts if contacts is None else contacts
        paid = self.action.contact_cost + spend * (1 + effect) * self.action.given_away
        return self.action.setup_cost + FIRST_YEAR @ people * paid

    def contacts_after(self, treated: Floats | float, days: Floats | float) -> Floats:
        """People contacted in each month by a roll-out that begins after `days` of testing.

        First who is there then and is not among the `treated`, later those who come anew, as in `contacts`. For arrays,
        a row for each entry.
        """
        months, begins = np.arange(MONTHS), np.asarray(days)[..., None] / DAYS["month"]
        untreated = np.maximum(self.contacts[0] - np.asarray(treated), 0)[..., None]
        people: Floats = untreated * (np.floor(begins) == months) + self.contacts[1] * np.clip(months - begins, 0, 1)
        return people

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


def discounts(rate: float) -> Floats:
    """What money in the middle of each month is worth today, `rate` a year."""
    return (1 + rate) ** -((np.arange(MONTHS) + 0.5) / 12)


@dataclass(frozen=True)
class Simulated:
    """Draws of the programme: a row a draw of what the data leave open, a column a draw of effects.

    `profit`, `cost` are of the first year, `npv` of three, `payback` in months, infinite where never. `by_action` holds
    the profit of each, `more` its incremental customers (None for actions that make orders larger). `running` holds the
    money so far by month and scenario. `pilots` are the tests of the actions that are tested first.
    """

    cases: dict[str, Case]
    pilots: dict[str, Pilot]
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
    """All cases together, rolled out at once; left out where there is none."""
    if not cases:
        return LeftOut("No action has an audience in these data whose purchases could be counted.")
    return simulate(cases, draws)


def simulate(
    cases: Mapping[str, Case], draws: int, pilots: Mapping[str, Pilot] = MappingProxyType({}), seed: int = 0
) -> Simulated:
    """The programme of all cases together, `DATA_DRAWS` × `draws` times; those with a pilot are tested first."""
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
        effect = case.action.effect_at(rank)
        spend = spend_draws(case, rng, DATA_DRAWS)[:, None]
        bought = buyer_draws(case, rng, DATA_DRAWS)[:, None]
        pilot = pilots.get(name)
        contacts, once = case.contacts, 0.0
        if pilot is not None:
            shown = effect + pilot.error * rng.standard_normal(draws)
            contacts, once = pilot.contacts(shown > pilot.go_above), pilot.cost
        by_action[name] = np.asarray(case.cash(effect, spend, FIRST_YEAR, contacts)) - once
        more[name] = None if name in ON_ORDERS else (FIRST_YEAR @ contacts) * effect * bought
        totals["profit"] += by_action[name]
        totals["cost"] += case.cost(effect, spend, contacts) + once
        totals["npv"] += case.cash(effect, spend, weights, contacts) - once
        running -= case.action.setup_cost + once
        parts.append((contacts, case.persistence, effect * case.gain(spend), np.asarray(case.burden(spend))))
    payback = np.full(running.shape, np.inf)
    levels = list(SCENARIOS.values())
    path = [np.quantile(running, levels)]
    for month in range(MONTHS):
        for contacts, kept, gain, burden in parts:
            running += contacts[month] * (kept[month] * gain - burden)
        payback[np.isinf(payback) & (running >= 0)] = month + 1
        path.append(np.quantile(running, levels))
    paths = pl.DataFrame(np.array(path), schema=list(SCENARIOS)).with_row_index("month").cast({"month": pl.Int64})
    return Simulated(
        dict(cases), dict(pilots), totals["profit"], totals["cost"], totals["npv"], payback, by_action, more, paths
    )


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


class PilotTerms(NamedTuple):
    """How actions are tested: design, days of enrolment at least and at most, and what running a test costs."""

    design: Design
    shortest: int
    longest: int
    cost: float


class Pilot(NamedTuple):
    """The test of one action before it is rolled out.

    It takes `people`, and `days` until it is read; then the effect is seen with the standard error `error`, and the
    action goes on where that is more than `go_above`. `during` and `after` are the contacts by month: of the test's
    treated people, and of the roll-out that may follow. `cost` is paid beside what the contacts cost.
    """

    people: int
    days: int
    error: float
    go_above: float
    during: Floats
    after: Floats
    cost: float

    def goes_on(self, effect: Floats | float) -> Floats:
        """Probability that the test of a given effect lets the action go on."""
        probability: Floats = np.asarray(norm.sf((self.go_above - np.asarray(effect)) / self.error))
        return probability

    def contacts(self, goes_on: Floats | npt.NDArray[np.bool_]) -> Floats:
        """Contacts, a row a month and a column a draw, where it goes on, or with the probability that it does."""
        people: Floats = (self.during + np.multiply.outer(goes_on, self.after)).T
        return people

    def expected(self, case: Case, effect: Floats | float, spend: Floats | float, weights: Floats) -> Floats | float:
        """Money as of `Case.cash`, expected over what the test may show of an effect."""
        return case.cash(effect, spend, weights, self.contacts(self.goes_on(effect))) - self.cost


def pilot(case: Case, testing: PilotTerms) -> Pilot | None:
    """The test of an action that is expected to earn most, by weeks of enrolment; None where nobody comes.

    All who can be reached are in it. A longer one sees the effect better, and lets the others wait for longer.
    """
    weeks = range(testing.shortest, testing.longest + 1, WEEK)
    tests = [found for days in weeks if (found := _enrolling(case, testing, days)) is not None]
    return max(tests, key=lambda one: _mean_profit(case, one, case.audience.spend), default=None)


def _enrolling(case: Case, testing: PilotTerms, enrolment: int) -> Pilot | None:
    """The test that enrols for so many days; None where that leaves the control group without two people.

    What is believed after it is the mean of the effect by Bayes' rule, the error being normal. That rises with what is
    seen, so that there is one value from which on a contact is expected to earn.
    """
    stock, a_day = reachable(case)
    people, days = stock + a_day * enrolment, enrolment + case.audience.horizon
    control = people / testing.design.groups
    if control < 2:
        return None
    treated, months = people * testing.design.treated_share, enrolment / DAYS["month"]
    during = treated / months * np.clip(months - np.arange(MONTHS), 0, 1)
    error = max(effect_error(case, testing.design, control), 1e-9)
    return Pilot(
        int(people),
        days,
        error,
        _go_above(case, error),
        during,
        case.contacts_after(treated, days),
        testing.cost,
    )


def _go_above(case: Case, error: float) -> float:
    """The effect seen from which on a contact is expected to earn; infinite where none is enough, or any."""
    effects, slope = case.action.effect_at(GRID), float(case.gain(case.audience.spend))
    if slope <= 0:
        return math.inf
    enough = float(case.burden(case.audience.spend)) / slope

    def beyond(seen: float) -> float:
        log_weight = -0.5 * ((seen - effects) / error) ** 2
        weight = np.exp(log_weight - log_weight.max())
        return float(weight @ effects / weight.sum()) - enough

    least, most = effects[0] - 10 * error, effects[-1] + 10 * error
    if beyond(least) > 0:
        return -math.inf
    return math.inf if beyond(most) <= 0 else float(brentq(beyond, least, most))


class Tested(NamedTuple):
    """What testing an action first is worth, in the first year's money.

    `now` is the best that can be done without a test (all or nothing), `test` what testing first earns (None where
    there is no test), `perfect` what knowing the effect would be worth at most.
    """

    decision: Decision
    now: float
    test: float | None
    perfect: float
    pilot: Pilot | None


def test_first(case: Case, testing: PilotTerms) -> Tested:
    """Go, no go or test first, by the expected value of sample information (Raiffa & Schlaifer 1961).

    PilotTerms first is judged by the same months that the programme is simulated with, at the mean of what is spent.
    """
    spend, effects = case.audience.spend, case.action.effect_at(GRID)
    at_once = np.asarray(case.cash(effects, spend, FIRST_YEAR))
    now = max(0.0, float(at_once.mean()))
    perfect = float(np.maximum(at_once, 0).mean()) - now
    planned = pilot(case, testing)
    test = None if planned is None else float(np.mean(planned.expected(case, effects, spend, FIRST_YEAR)))
    decision: Decision = "go" if now > 0 else "no go"
    if test is not None and test > now:
        decision = "test first"
    return Tested(decision, now, test, perfect, planned)


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
        bought, planned = case.audience.buyers, tests[name].pilot
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
                "value_of_test": tests[name].test,
                "perfect_information": tests[name].perfect,
                "test_people": planned and planned.people,
                "test_days": planned and planned.days,
                "go_above": planned.go_above if planned and math.isfinite(planned.go_above) else None,
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
    """The actions that are worth their money, as decided: rolled out at once, or tested first and then perhaps."""
    if not tests:
        return simulated({}, draws)
    worth = {name: case for name, case in cases.items() if isinstance(case, Case) and tests[name].decision != "no go"}
    if not worth:
        return LeftOut("No action is expected to earn what it costs, neither now nor after a test.")
    first = {name: one.pilot for name, one in tests.items() if one.decision == "test first" and one.pilot is not None}
    return simulate(worth, draws, first)


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


def action_measures(each: Simulated | LeftOut, cases: Mapping[str, Case | LeftOut]) -> list[Measure]:
    """The findings `roi.profit_<action>`, of the first year, as if it were rolled out at once."""
    found = []
    for name, one in cases.items():
        label = f"Net profit of the first year: {LABELS[name]}"
        if isinstance(each, LeftOut) or name not in each.by_action:
            reason = one.reason if isinstance(one, LeftOut) else each.reason if isinstance(each, LeftOut) else None
            found.append(Measure(f"profit_{name}", label, "currency", None, reason=reason))
        else:
            profit = each.by_action[name]
            low, high = np.quantile(profit, ENDS)
            found.append(
                Measure(f"profit_{name}", label, "currency", float(np.quantile(profit, 0.5)), (float(low), float(high)))
            )
    return found


def expected_profit(cases: Mapping[str, Case], pilots: Mapping[str, Pilot] = MappingProxyType({})) -> float:
    """First-year profit of all cases at the mean of every effect and amount: the mean of what `simulate` draws."""
    return sum(_mean_profit(case, pilots.get(name), case.audience.spend) for name, case in cases.items())


def _mean_profit(case: Case, planned: Pilot | None, spend: float) -> float:
    """First-year profit over all effects: money is linear in them, but for what a pilot decides."""
    if planned is None:
        return float(case.cash(case.action.mean_effect, spend, FIRST_YEAR))
    return float(np.mean(planned.expected(case, case.action.effect_at(GRID), spend, FIRST_YEAR)))


def tornado(decided: Simulated, testing: PilotTerms, swing: float) -> pl.DataFrame:
    """What the programme's first year hangs on: each assumption at its low and high end, the others at their mean.

    Effects and spend go to their 10th and 90th percentile, what has no range of its own up and down by `swing`. One row
    an assumption, the one that matters most first: assumption, low, high (profit), width.
    """
    cases, pilots = decided.cases, decided.pilots
    middle = expected_profit(cases, pilots)
    rows = []
    for name, case in cases.items():
        planned, spend, z = pilots.get(name), case.audience.spend, float(norm.ppf(0.9))
        usual = _mean_profit(case, planned, spend)
        effects = case.action.effect_at(np.array([0.1, 0.9]))
        money = case.cash(effects, spend, FIRST_YEAR)
        if planned is not None:
            money = planned.expected(case, effects, spend, FIRST_YEAR)
        spends = np.maximum(spend + np.array([-z, z]) * case.spend_error, 0)
        for what, moved in (
            ("effect", np.asarray(money)),
            ("spend without it", np.array([_mean_profit(case, planned, one) for one in spends])),
        ):
            rows.append((f"{case.action.label}: {what}", *(middle - usual + np.sort(moved))))
    for label, vary in _SHARED.items():
        ends = []
        for factor in (1 - swing, 1 + swing):
            varied = {name: vary(case, factor) for name, case in cases.items()}
            again = {name: pilot(varied[name], testing) or planned for name, planned in pilots.items()}
            ends.append(expected_profit(varied, again))
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


def assumptions(
    actions: Sequence[Action], rules: Mapping[str, Rule], terms: Terms, sources: tuple[str, str], formats: Formats
) -> pl.DataFrame:
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
        who = rules[action.name].who if action.name in rules else WHO[action.name]
        rows += [(f"{action.label}: audience", who, "rule of the software")]
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


def left_out(cases: Mapping[str, Case | LeftOut], rules: Mapping[str, Rule]) -> str:
    """Which actions are left out, and why, a sentence a reason, and which do not follow the rule that they should."""
    reasons: dict[str, list[str]] = {}
    for name, one in cases.items():
        if isinstance(one, LeftOut):
            reasons.setdefault(one.reason, []).append(LABELS[name])
    sentences = [f"Left out: {'; '.join(names)}. {reason}" for reason, names in reasons.items()]
    noted = [name for name, one in cases.items() if isinstance(one, Case) and name in rules and rules[name].note]
    return " ".join(sentences + [f"{LABELS[name]}: {rules[name].note}" for name in noted]) or "No action is left out."


def _expected(simulated: Simulated, formats: Formats) -> str:
    rows = {row["scenario"]: row for row in scenarios(simulated).iter_rows(named=True)}
    low, middle, high = (formats.money(rows[name]["net_profit"]) for name in SCENARIOS)
    loss = below_zero(simulated.profit)
    return (
        f"{_counted(simulated.cases)} worth the money, now or after a test{_delayed(simulated)}. Expected is a net "
        f"profit of {middle} in the first year; one time in ten it is less than {low}, one time in ten more than "
        f"{high}. The probability of a loss is {formats.share(loss.value, loss.interval)}."
    )


def _counted(cases: Mapping[str, Case]) -> str:
    return "One action is" if len(cases) == 1 else f"In all, {len(cases)} actions are"


def _delayed(simulated: Simulated) -> str:
    """How an action that is tested first counts; empty where there is none."""
    return ", whose cost and delay are counted" if simulated.pilots else ""
