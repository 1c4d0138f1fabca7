"""The parameter file: one pydantic model a section. Unknown keys are errors that name file, line and key."""

from __future__ import annotations

import ast
import difflib
import glob
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from patternbook.analysis.reserved import SEGMENT_NAMES
from patternbook.errors import UserError
from patternbook.paths import project_root

DEFAULT_FILE = Path("params/sample.yaml")
RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
BYTES = {"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30}
RESERVED_RUNS = ("latest", "benchmarks", "theme", "filters", "fonts")


class Section(BaseModel):
    """A part of the parameter file. Unknown keys are errors, numbers are finite, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write a name such as Europe/Berlin or UTC") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Share = Annotated[float, Field(ge=0, le=1)]
Action = Literal["keep", "reject"]
EventType = Literal["view", "cart", "remove_from_cart", "purchase", "other"]
IdType = Literal["integer", "text"]


class Mechanisms(Section):
    """What the simulated market does; each can be switched off. Off means:

    funnel: no carts, orders follow a view; repeat_buying: a buyer orders once; spend: products are chosen by
    popularity, whatever they cost and whoever chooses; complements: an order has one line; signals: no sign_in,
    checkout, delivery_info and search events; hours: every hour and weekday alike; payday: every day of the month
    alike; platforms: platform, device, channel and region are empty, no contacts; campaigns: nobody is contacted;
    promotions: list prices, which never change; drift: the last weeks are like those before; dirt: no duplicates, no
    prices at zero, no empty category codes and brands, no session of several customers, no missing customer.
    """

    funnel: bool = True
    repeat_buying: bool = True
    spend: bool = True
    complements: bool = True
    signals: bool = True
    hours: bool = True
    payday: bool = True
    platforms: bool = True
    campaigns: bool = True
    promotions: bool = True
    drift: bool = True
    dirt: bool = True


class Simulated(Section):
    """A market simulated from a fixed seed, written to raw CSV and read back like a real file.

    `events` is met to about one per cent. Where `customers` and `products` are not given they grow with the events:
    40,000 and 2,000 at a million, 5,316,649 and 206,876 at 110 million.
    """

    kind: Literal["simulated"]
    seed: int = Field(20191001, ge=0)
    events: int = Field(1_000_000, ge=10_000, le=200_000_000)
    customers: int | None = Field(None, ge=100)
    products: int | None = Field(None, ge=50, le=1_000_000)
    start: date = Field(date(2024, 7, 1), ge=date(2000, 1, 1), lt=date(2100, 1, 1))
    months: int = Field(12, ge=1, le=60)
    mechanisms: Mechanisms = Mechanisms()

    @model_validator(mode="after")
    def _events_suffice(self) -> Simulated:
        if self.customers and self.customers * 5 > self.events:
            raise ValueError(f"customers: at most a fifth of the events, {self.events // 5:,}")
        return self


class Ids(Section):
    """Whether an id column holds integers or text; text ids become the first 63 bits of their MD5."""

    customer: IdType
    product: IdType
    session: IdType


class _Optional(Section):
    """Columns that a source may or may not have. A default name that the file lacks is left out."""

    category_id: str | None = "category_id"
    category_code: str | None = "category_code"
    brand: str | None = "brand"
    name: str | None = "name"
    price: str | None = "price"
    quantity: str | None = "quantity"
    amount: str | None = "amount"
    event_name: str | None = "event_name"
    platform: str | None = "platform"
    device: str | None = "device"
    channel: str | None = "channel"
    region: str | None = "region"
    discount: str | None = "discount"


class ClickstreamColumns(_Optional):
    """Our column: theirs. The default is the layout of the REES46 logs."""

    event_time: str = "event_time"
    event_type: str = "event_type"
    customer_id: str = "user_id"
    product_id: str | None = "product_id"
    session_id: str | None = "user_session"


class TransactionColumns(_Optional):
    """Our column: theirs, one row an order line."""

    event_time: str
    order_id: str
    product_id: str
    customer_id: str | None = "customer_id"


class _Files(Section):
    """Files of one layout. Relative paths start at the project's root, `~` is expanded."""

    folder: str = "."
    files: list[str] = Field(min_length=1)
    delimiter: str = Field(",", min_length=1, max_length=1)
    time_format: str = "iso8601"
    time_zone: TimeZone = "UTC"

    def patterns(self) -> list[Path]:
        """The files and globs as absolute paths."""
        base = project_root() / Path(self.folder).expanduser()
        return [base / Path(entry).expanduser() for entry in self.files]

    def matches(self) -> list[Path]:
        """The files that there are, in the order of `files`, those of a glob by name.

        Raises UserError where one of `files` matches nothing.
        """
        found: dict[Path, None] = {}
        for pattern in self.patterns():
            matches = sorted(Path(os.path.normpath(match)) for match in glob.glob(str(pattern)))  # noqa: PTH207
            matches = [match for match in matches if match.is_file()]
            if not matches:
                missing = os.path.normpath(pattern)
                raise UserError(f"{missing}: no such file; set source.folder and source.files to where the data lie")
            found.update(dict.fromkeys(matches))
        return list(found)

    @model_validator(mode="after")
    def _time_format_is_known(self) -> _Files:
        if self.time_format not in ("iso8601", "epoch_s", "epoch_ms") and "%" not in self.time_format:
            raise ValueError("time_format: iso8601, epoch_s, epoch_ms or a strptime pattern like %d.%m.%Y %H:%M")
        return self


class Clickstream(_Files):
    """A log of views, carts and purchases, one row an event."""

    kind: Literal["clickstream"]
    columns: ClickstreamColumns = ClickstreamColumns()
    event_names: dict[str, EventType] = {
        "view": "view",
        "cart": "cart",
        "remove_from_cart": "remove_from_cart",
        "purchase": "purchase",
    }
    ids: Ids = Ids(customer="integer", product="integer", session="text")
    session_gap_minutes: int = Field(30, ge=1)
    duplicates: Literal["drop", "keep"] = "drop"

    @model_validator(mode="before")
    @classmethod
    def _codes_are_text(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = {**data}
            names = data.get("event_names")
            if isinstance(names, dict):
                data["event_names"] = {str(key): value for key, value in names.items()}
            data["ids"] = _with_default(data.get("ids"), customer="integer", product="integer", session="text")
        return data


class Cancelled(Section):
    """How a cancelled order is told apart."""

    order_id_prefix: str = Field(min_length=1)


class Transactions(_Files):
    """Order lines of a shop system or till, one row a line. A negative quantity is a return."""

    kind: Literal["transactions"]
    columns: TransactionColumns
    cancelled: Cancelled | None = None
    ids: Ids = Ids(customer="text", product="text", session="text")
    duplicates: Literal["drop", "keep"] = "keep"

    @model_validator(mode="before")
    @classmethod
    def _default_ids(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = {
                **data,
                "ids": _with_default(data.get("ids"), customer="text", product="text", session="text"),
            }
        return data

    @model_validator(mode="after")
    def _has_money(self) -> Transactions:
        if self.columns.price is None and self.columns.amount is None:
            raise ValueError("columns needs price or amount: without one there is no revenue")
        return self


def _with_default(given: Any, **default: str) -> Any:
    return {**default, **given} if isinstance(given, dict) else (given if given is not None else default)


Source = Annotated[Simulated | Clickstream | Transactions, Field(discriminator="kind")]


class Period(Section):
    """Days that count, both included, in the shop's local time."""

    from_: date | None = Field(None, alias="from")
    to: date | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Period:
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError(f"from ({self.from_}) is after to ({self.to})")
        return self


class Engine(Section):
    """The engine that turns events into marts."""

    kind: Literal["duckdb"] = "duckdb"
    memory_limit: str = Field("4GB", pattern=rf"^\d+(\.\d+)?\s?({'|'.join(BYTES)})$")
    threads: int = Field(2, ge=1, le=256)

    @property
    def memory_bytes(self) -> float:
        """`memory_limit` in bytes."""
        number, unit = re.fullmatch(r"([\d.]+)\s?(\w+)", self.memory_limit).groups()  # type: ignore[union-attr]
        return float(number) * BYTES[unit]


class Execution(Section):
    """How the notebooks are run: one that takes longer than `minutes_per_notebook` is stopped."""

    minutes_per_notebook: float = Field(120, gt=0, le=10_080)


class Currency(Section):
    """Currency and locale of every amount and number in the report."""

    code: str = Field("USD", pattern=r"^[A-Z]{3}$")
    locale: str = "en_US"


class Bots(Section):
    """Customers who do more than a person can, and what happens to them: `exclude` leaves them out of every result."""

    action: Literal["keep", "exclude"] = "keep"
    events_a_day: int = Field(1_000, ge=10)  # a click every half minute for eight hours
    events: int = Field(50_000, ge=10)  # in all


class Quality(Section):
    """What happens to odd rows. Rows that cannot be parsed are always rejected."""

    unknown_event: Action = "keep"
    bad_price: Action = "keep"
    bad_amount: Action = "keep"
    missing_customer: Action = "keep"
    implausible_time: Action = "keep"
    earliest_time: date = date(2000, 1, 1)
    max_rejected_share: Share = 0.01
    bots: Bots = Bots()


class Compaction(Section):
    """What the compacted log keeps beyond what the report reads.

    Sessions are numbered, since the source's own session ids (in the REES46 logs a UUID of 36 characters) would take
    more room than all else in an event; `keep_session_ids` writes them to a file of their own, one row a session, so
    that each event can be traced back to the source.
    """

    keep_session_ids: bool = False


class Report(Section):
    """How the report presents itself."""

    title: str = "Patterns in customer behaviour"
    organisation: str = ""
    confidentiality: str = "Confidential — for internal use"
    time_zone: TimeZone = "UTC"
    compare_with: str | None = Field(None, pattern=f"^{RUN_NAME.pattern}$")  # a run; default: this run's last findings


class Privacy(Section):
    """Cells of fewer people than `minimum_group` are not published."""

    minimum_group: int = Field(10, ge=1)


class Eda(Section):
    """02_eda: how many rows its tables show, how long its moving averages and its trend are."""

    top_products: int = Field(10, ge=3, le=50)
    trend_days: int = Field(7, ge=2, le=60)  # of the moving averages; a week evens the weekdays out
    comparison_days: int = Field(28, ge=7, le=364, multiple_of=7)  # the trend's periods; shorter where the data are


class Typical(Section):
    """What is typical of other shops, with its `source`: an assumption to compare with, not a target."""

    measure: Literal["session_conversion", "session_view_to_cart", "session_cart_to_purchase", "abandonment"]
    low: Share
    high: Share
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _runs_upward(self) -> Typical:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        return self


TYPICAL = (
    Typical(
        measure="session_conversion",
        low=0.015,
        high=0.03,
        source="Hostinger, E-commerce conversion rate, 2026: most stores",
    ),
    Typical(
        measure="abandonment",
        low=0.55,
        high=0.83,
        source="Baymard Institute, Cart abandonment statistics: lowest and highest of 14 sources",
    ),
)


class Funnel(Section):
    """06_funnel_temporal: the column by which customers are broken down, and what is typical of other shops."""

    by: Literal["platform", "device", "channel", "region"] = "platform"
    typical: tuple[Typical, ...] = TYPICAL

    @model_validator(mode="after")
    def _each_measure_once(self) -> Funnel:
        names = [one.measure for one in self.typical]
        if len(set(names)) < len(names):
            raise ValueError(f"typical: {max(names, key=names.count)} stands twice; keep one")
        return self


class Economics(Section):
    """What an order earns and what later money is worth; assumptions, with their `source`.

    `margin` is the share of revenue left after the cost of goods. `discount_rate` is a year's, effective: money t
    years from now is worth (1 + discount_rate)^−t.
    """

    margin: float = Field(0.30, gt=0, le=1)
    discount_rate: float = Field(0.10, ge=0, le=1)
    source: str = "default of the software; set economics.margin and economics.discount_rate to the shop's own"


class Retention(Section):
    """08_lifetime_churn: how many cohorts a heatmap and its table hold."""

    most_cohorts: int = Field(13, ge=3, le=53)  # the latest; a quarter of weeks


class Lifetime(Section):
    """08_lifetime_churn: the unit of time of the repeat-buying model, and the last day that it is checked on."""

    time_unit: Literal["day", "week", "month"] = "week"
    calibration_end: date | Literal["auto"] = "auto"  # last day included; auto: two thirds of the data
    minimum_buyers: int = Field(50, ge=10)  # fewer identify no model of four parameters


class ByValue(Section):
    """A measure for customers of high, medium and low value."""

    high: str = ""
    medium: str = ""
    low: str = ""


class Prevention(Section):
    """What to do about customers of high, medium and low risk to leave, by their value."""

    high: ByValue = ByValue(
        high="Call in person, ask what went wrong",
        medium="Offer a reason to return, with an end date",
        low="One reminder by mail, no discount",
    )
    medium: ByValue = ByValue(
        high="Write personally, offer early access",
        medium="Remind of what they buy, before their usual day",
        low="Newsletter only",
    )
    low: ByValue = ByValue(
        high="Thank them, spend no discount",
        medium="Show more of what they buy",
        low="Do nothing",
    )


class Churn(Section):
    """08_lifetime_churn: what counts as having left, over which horizon, and what to do about it.

    With `silence` a customer has left who has not bought for longer than the `quantile` of their own days between
    purchases, drawn towards everybody's the fewer of them there are; with `p_alive` one whose P(alive) by BG/NBD is
    below `alive_below`.
    """

    definition: Literal["silence", "p_alive"] = "silence"
    quantile: float = Field(0.9, ge=0.5, le=0.99)  # one pause in ten of a customer who stays is taken for leaving
    alive_below: float = Field(0.5, gt=0, lt=1)  # likelier gone than not
    horizon_days: Literal[30, 60, 90, 180] = 90  # a quarter; shorter where the data cannot test it
    medium_risk: float = Field(0.3, gt=0, lt=1)  # probability to have left within the horizon
    high_risk: float = Field(0.6, gt=0, lt=1)  # from here on counted as expected to leave, in precision and recall
    high_value: float = Field(0.2, gt=0, lt=1)  # share of customers, most valuable first
    medium_value: float = Field(0.5, gt=0, lt=1)
    prevention: Prevention = Prevention()

    @model_validator(mode="after")
    def _levels_run_upward(self) -> Churn:
        if self.medium_risk >= self.high_risk:
            raise ValueError(f"medium_risk ({self.medium_risk}) must be below high_risk ({self.high_risk})")
        if self.high_value >= self.medium_value:
            raise ValueError(f"high_value ({self.high_value}) must be below medium_value ({self.medium_value})")
        return self


Score = Annotated[int, Field(ge=1, le=5)]
Scores = tuple[Score, Score]


class SegmentRule(Section):
    """A segment: lowest and highest score of each kind, both included (5 is best), and what to do about it."""

    name: str = Field(min_length=1, max_length=40)
    recency: Scores = (1, 5)
    frequency: Scores = (1, 5)
    monetary: Scores = (1, 5)
    action: str = ""
    at_risk: bool = False

    @field_validator("name")
    @classmethod
    def _is_not_taken(cls, name: str) -> str:
        if name.strip().casefold() in map(str.casefold, SEGMENT_NAMES):
            raise ValueError(f"{name!r} is what tables and charts call a group of their own; choose another name")
        return name

    @model_validator(mode="after")
    def _limits_run_upward(self) -> SegmentRule:
        for kind in ("recency", "frequency", "monetary"):
            low, high = getattr(self, kind)
            if low > high:
                raise ValueError(f"{kind}: [{low}, {high}] holds no score; write the lower one first")
        return self


SEGMENT_RULES = (
    SegmentRule(
        name="Champions", recency=(4, 5), frequency=(4, 5), monetary=(4, 5), action="Reward, ask for referrals"
    ),
    SegmentRule(name="Loyal", recency=(3, 5), frequency=(4, 5), action="Offer more of what they buy"),
    SegmentRule(
        name="Can't lose them",
        recency=(1, 2),
        frequency=(4, 5),
        monetary=(4, 5),
        action="Contact in person",
        at_risk=True,
    ),
    SegmentRule(
        name="At risk", recency=(1, 2), frequency=(3, 5), action="Win back with a reason to return", at_risk=True
    ),
    SegmentRule(name="New", recency=(5, 5), frequency=(1, 1), action="Welcome, lead to a second order"),
    SegmentRule(name="Promising", recency=(4, 5), frequency=(1, 3), action="Lead to the next order"),
    SegmentRule(name="Needs attention", recency=(3, 3), frequency=(1, 3), action="Remind before they go quiet"),
    SegmentRule(name="Hibernating", recency=(2, 2), frequency=(1, 2), action="Remind, at low cost"),
    SegmentRule(name="Lost", recency=(1, 1), frequency=(1, 2), action="Spend nothing"),
)


class Segmentation(Section):
    """03_segmentation: the rules that make segments of scores (the first that matches counts), windows, clusters."""

    rules: tuple[SegmentRule, ...] = Field(SEGMENT_RULES, min_length=1)
    minimum_buyers: int = Field(50, ge=10)  # fewer cannot be told apart in fifths
    migration_months: int = Field(6, ge=1, le=36)  # each of the two windows; half of the data where they are shorter
    windows_months: tuple[Annotated[int, Field(ge=1, le=60)], ...] = (3, 6, 12)
    most_clusters: int = Field(8, ge=2, le=12)

    @model_validator(mode="after")
    def _every_score_has_a_segment(self) -> Segmentation:
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError(f"rules: two are called {max(names, key=names.count)!r}; names are unique")
        for scores in itertools.product(range(1, 6), repeat=3):
            if not any(_matches(rule, scores) for rule in self.rules):
                raise ValueError(
                    "rules: no rule matches recency {}, frequency {}, monetary {}; add one that does".format(*scores)
                )
        return self


def _matches(rule: SegmentRule, scores: tuple[int, ...]) -> bool:
    limits = (rule.recency, rule.frequency, rule.monetary)
    return all(low <= score <= high for (low, high), score in zip(limits, scores, strict=True))


class Propensity(Section):
    """04_propensity: when forecasts stand, how far they reach, and what contacting a customer costs and brings.

    `cutoff` is the first day that the model, when it is tested, has not seen. `incremental_share` is the share of the
    purchases of contacted customers that would not have happened otherwise; with `contact_cost` (in the run's
    currency) it says which customers are worth contacting. Both are assumptions, with their `source`.
    """

    cutoff: date | Literal["auto"] = "auto"  # auto: the latest whose longest horizon lies within the data
    horizon_days: int = Field(30, ge=1, le=365)
    more_horizons: tuple[Annotated[int, Field(ge=1, le=365)], ...] = (7, 14)
    training_cutoffs: int = Field(3, ge=1, le=12)  # one horizon apart; fewer where the data are short
    minimum_buyers: int = Field(30, ge=10)  # at each cutoff, and as many others; fewer teach nothing
    most_customers: int = Field(200_000, ge=1000)  # at each cutoff; more, drawn by id, change the third digit
    contact_cost: float = Field(0.25, gt=0)  # a message and its share of the work
    incremental_share: float = Field(0.10, gt=0, le=1)  # only an experiment tells; 07 plans one
    source: str = "default of the software; set propensity.contact_cost and incremental_share from an experiment"


class Basket(Section):
    """05_basket: what a basket is, which pairs count, what a bundle is assumed to bring.

    `unit`: an order; a session with what it bought or put into the cart; or all that a known customer bought on one
    local day. `exclude_products` are ids, as the source writes them, of what is no product, such as postage.
    `uptake` is the share of those who take the rest of a bundle, and would not add the missing product, who do so
    because it is offered; `discount` is taken off that product, also for those who would have bought it anyway. Both
    are assumptions, with their `source`.
    """

    unit: Literal["order", "session", "customer_day"] = "order"
    exclude_products: tuple[str, ...] = ()
    largest: int = Field(100, ge=2, le=1000)  # products; larger baskets (resale, restocking) are counted, not paired
    minimum_baskets: int = Field(10, ge=2)  # of each item of a pair; chosen before looking at pairs, so no test is bent
    minimum_together: int = Field(5, ge=2)  # fewer baskets with both say nothing; such pairs count as tested, not kept
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    prior_baskets: float = Field(1.0, gt=0, le=1000)  # a pair starts as if seen in that many baskets, as many expected
    uptake: Share = 0.03
    discount: Share = 0.0
    source: str = "default of the software; an experiment measures the shop's own uptake"
    test_share: float = Field(0.3, gt=0, lt=1)  # of the baskets, the latest: recommendations are checked on them


class Temporal(Section):
    """06_funnel_temporal: when customers are active and buy.

    `payday_days` are the days of the month around which salaries arrive, an assumption with its `payday_source`.
    """

    window_hours: int = Field(3, ge=1, le=11)  # of the windows that rates are smoothed over; an odd number
    payday_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = (25, 26, 27, 28, 29, 30, 31, 1, 2)
    payday_source: str = "default of the software: salaries at the end of the month; set temporal.payday_days"
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)  # of send windows and of odd days

    @model_validator(mode="after")
    def _windows_have_a_middle(self) -> Temporal:
        if self.window_hours % 2 == 0:
            raise ValueError(f"window_hours: {self.window_hours} is even; write an odd number, so that a middle is one")
        if len(set(self.payday_days)) > 20:
            raise ValueError("payday_days: more than twenty days leave none to compare with; name fewer")
        return self


ActionName = Literal["win_back", "high_intent", "cross_sell", "onboarding", "abandoned_cart", "bundle"]
NO_STUDY = "assumption of the software, no study behind it; replace it by what the shop's own experiment shows"


class Readout(Section):
    """A finished experiment: a file with one row a person, and what its columns are.

    `before` names, by metric, the column of the same before the experiment; `ratios` numerator and denominator;
    `shares` the planned part of each arm (equal where none are given).
    """

    name: str = Field(min_length=1, max_length=60)
    file: str
    arm: str
    control: str
    metrics: tuple[str, ...] = Field(min_length=1)
    before: dict[str, str] = {}
    ratios: dict[str, tuple[str, str]] = {}
    segment: str | None = None
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}

    @model_validator(mode="after")
    def _before_is_of_a_metric(self) -> Readout:
        unknown = sorted(self.before.keys() - set(self.metrics))
        if unknown:
            raise ValueError(f"before: {unknown[0]!r} is none of the metrics {', '.join(self.metrics)}")
        return self

    @property
    def path(self) -> Path:
        """The file; a relative one starts at the project's root."""
        return project_root() / Path(self.file).expanduser()


class Experiments(Section):
    """07_experiments: what an experiment must be able to see, how it is stopped, how often it is simulated."""

    headline: ActionName = "win_back"  # the action that is planned and simulated in detail
    alpha: float = Field(0.05, gt=0, lt=1)  # two-sided, for all comparisons together; convention
    power: float = Field(0.80, gt=0, lt=1)  # convention (Cohen 1988): missing an effect is four times less grave
    treated_share: float = Field(0.5, gt=0, lt=1)  # of the people; even groups need the fewest
    # of several arms or metrics; Holm (1979) finds no less than Bonferroni, and holds whatever goes with what
    correction: Literal["bonferroni", "holm", "dunnett"] = "holm"
    winsorise: float = Field(0.99, ge=0.5, le=1)  # quantile at which spend is cut; 1 leaves it as it is
    shortest_days: int = Field(14, ge=7, le=364)  # of enrolment; whole weeks, so that every weekday counts
    longest_days: int = Field(182, ge=14, le=728)  # of enrolment; a longer test answers too late
    cost: float = Field(0, ge=0)  # of running a test, in the currency, beside what the contacts cost
    simulations: int = Field(4000, ge=200, le=100_000)  # a rate of 5 % is then known to 0.7 points
    readouts: tuple[Readout, ...] = ()  # finished experiments to read

    @model_validator(mode="after")
    def _enrolment_has_room(self) -> Experiments:
        if self.shortest_days > self.longest_days:
            raise ValueError(f"shortest_days ({self.shortest_days}) is more than longest_days ({self.longest_days})")
        return self

    @model_validator(mode="after")
    def _finds_more_than_it_errs(self) -> Experiments:
        if self.alpha >= self.power:
            raise ValueError(
                f"alpha ({self.alpha}) is not below power ({self.power}), so an effect would be found no more often "
                "than where there is none; write for example alpha 0.05 and power 0.8"
            )
        return self


class Effect(Section):
    """How much more the audience buys when contacted, as a share of what it buys anyway: 0.1 is a tenth more.

    `low` and `high` are the ends of what is thought possible (low may be below zero: contact can do harm), `likely`
    the most likely value. That is zero or more: what is thought to do harm is no action to plan for. No effect is
    more than one, twice what is bought anyway; a larger one is a new offer, not more of what people do.
    """

    low: float = Field(ge=-1, le=1)
    likely: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _runs_upward(self) -> Effect:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low ({self.low}), likely ({self.likely}) and high ({self.high}) must not fall")
        return self


class RoiAction(Section):
    """What an action costs and is expected to bring. Amounts are in the run's currency.

    `contact_cost` is a contacted customer's; `discount` the share of an order's value given away, used by
    `redemption` of those who order; `setup_cost` is paid once.
    """

    effect: Effect
    contact_cost: float = Field(ge=0)
    discount: Share
    redemption: Share
    setup_cost: float = Field(ge=0)
    effort: Literal["low", "medium", "high"]
    first_step: str


def _action(
    effect: tuple[float, float, float],
    source: str,
    contact_cost: float,
    offer: tuple[float, float],
    setup_cost: float,
    effort: Literal["low", "medium", "high"],
    first_step: str,
) -> RoiAction:
    low, likely, high = effect
    return RoiAction(
        effect=Effect(low=low, likely=likely, high=high, source=source),
        contact_cost=contact_cost,
        discount=offer[0],
        redemption=offer[1],
        setup_cost=setup_cost,
        effort=effort,
        first_step=first_step,
    )


ROI_ACTIONS: dict[ActionName, RoiAction] = {
    "win_back": _action(
        (0.0, 0.15, 0.50),
        "MineThatData e-mail experiment (Hillstrom 2008): buyers of the last year ordered 54 % and 119 % more often in "
        "two weeks after one of two e-mails; taken at a fraction, since these customers have long been silent",
        *(0.50, (0.10, 0.6), 1500, "low"),
        "CRM: draw the list, hold out a random half, write to the rest",
    ),
    "high_intent": _action(
        (0.0, 0.05, 0.15),
        "Blake, Nosko & Tadelis (2015) find no effect of search ads on frequent buyers, who come anyway: so little, "
        "and perhaps none",
        *(0.10, (0.05, 0.5), 2500, "medium"),
        "Marketing: export the highest tier, hold out a random half",
    ),
    "cross_sell": _action(
        (0.0, 0.03, 0.08),
        NO_STUDY,
        *(0.05, (0.0, 0.0), 2000, "medium"),
        "Shop: show the best pair in the e-mail after an order",
    ),
    "onboarding": _action(
        (0.0, 0.08, 0.25),
        NO_STUDY,
        *(0.10, (0.05, 0.3), 3000, "medium"),
        "CRM: three messages in the first week, a random half gets none",
    ),
    "abandoned_cart": _action(
        (0.0, 0.06, 0.20),
        NO_STUDY,
        *(0.05, (0.0, 0.0), 1000, "low"),
        "Shop: remind a random half a day after the cart was left",
    ),
    "bundle": _action(
        (-0.02, 0.02, 0.06),
        NO_STUDY,
        *(0.0, (0.10, 0.1), 2000, "high"),
        "Merchandising: price one bundle of the strongest pair, on random days",
    ),
}


class PreparationWeeks(Section):
    """Weeks from the start to the first contact, by the effort of an action; assumptions of the software."""

    low: int = Field(2, ge=0, le=52)  # a message and a list
    medium: int = Field(4, ge=0, le=52)  # a few messages, or a change to a page
    high: int = Field(8, ge=0, le=52)  # several departments


class Roi(Section):
    """07_experiments: what each action costs and is expected to bring; assumptions, with their source.

    `actions` changes single keys of the defaults, such as `{win_back: {contact_cost: 2}}`.
    """

    segment: str = "Can't lose them"  # whom win_back addresses; a segment of segmentation.rules
    horizon_days: int = Field(28, ge=7, le=182)  # how long after a contact its effect counts; whole weeks
    reach: float = Field(0.8, gt=0, le=1)  # share of an audience that may and can be contacted; assumption
    fade: Share = 0.2  # of an effect that is lost a year, since novelty wears off; assumption
    correlation: Share = 0.3  # of the actions' effects: one team guessed them all, and errs for all alike; assumption
    acquisition_cost: float = Field(30, ge=0)  # what winning a new customer costs, to compare with; assumption
    preparation_weeks: PreparationWeeks = PreparationWeeks()
    swing: float = Field(0.25, gt=0, lt=1)  # of the tornado, up and down, for what has no range of its own
    simulations: int = Field(2000, ge=200, le=100_000)  # of effects, for each draw of what the data leave open
    source: str = "default of the software; set roi to the shop's own"
    actions: dict[ActionName, RoiAction] = ROI_ACTIONS

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_actions(cls, data: Any) -> Any:
        given = data.get("actions") if isinstance(data, dict) else None
        if not isinstance(given, dict):
            return data
        defaults = {name: action.model_dump() for name, action in ROI_ACTIONS.items()}
        changed = {
            name: {**defaults.get(name, {}), **values} if isinstance(values, dict) else values
            for name, values in given.items()
        }
        return {**data, "actions": {**defaults, **changed}}


class Bound(Section):
    """What a finding must be. A run that breaks one ends with exit code 1."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Bound:
        if self.min is None and self.max is None:
            raise ValueError("needs min or max")
        return self


class Params(Section):
    """A run, described whole."""

    run: str = Field(pattern=f"^{RUN_NAME.pattern}$")
    source: Source
    period: Period = Period()
    filter: str | None = None
    engine: Engine = Engine()
    execution: Execution = Execution()
    currency: Currency = Currency()
    quality: Quality = Quality()
    compaction: Compaction = Compaction()
    report: Report = Report()
    privacy: Privacy = Privacy()
    eda: Eda = Eda()
    funnel: Funnel = Funnel()
    economics: Economics = Economics()
    segmentation: Segmentation = Segmentation()
    retention: Retention = Retention()
    lifetime: Lifetime = Lifetime()
    churn: Churn = Churn()
    propensity: Propensity = Propensity()
    basket: Basket = Basket()
    temporal: Temporal = Temporal()
    experiments: Experiments = Experiments()
    roi: Roi = Roi()
    expect: dict[str, Bound] = {}

    _file: str = PrivateAttr(default=str(DEFAULT_FILE))

    @model_validator(mode="after")
    def _run_is_free(self) -> Params:
        if self.run in RESERVED_RUNS:
            raise ValueError(f"run may not be called {self.run!r}: that folder of reports/ is taken")
        return self

    @field_validator("roi")
    @classmethod
    def _segment_exists(cls, roi: Roi, info: ValidationInfo) -> Roi:
        rules = info.data["segmentation"].rules if "segmentation" in info.data else ()
        names = [rule.name for rule in rules]
        if names and "segment" in roi.model_fields_set and roi.segment not in names:
            raise ValueError(f"segment: {roi.segment!r} is none of segmentation.rules: {', '.join(names)}")
        return roi

    @property
    def file(self) -> str:
        """The file that these parameters came from, for messages."""
        return self._file

    def to_notebook(self) -> dict[str, Any]:
        """What was given, by top-level key, as JSON values: Papermill hands it to a notebook.

        Defaults are left out, since a column that is asked for by name must be there and a default need not.
        """
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def section(self, *names: str) -> dict[str, Any]:
        """The named sections as JSON values: what a step depends on."""
        return self.model_dump(mode="json", by_alias=True, include=set(names))


def load_params(file: Path | str, overrides: Iterable[str] = ()) -> Params:
    """Read a parameter file; `overrides` are `key=value` strings with dotted keys.

    Raises UserError naming file, line and key.
    """
    path = Path(file).expanduser()
    if not path.is_absolute() and not path.exists():
        path = project_root() / path
    if not path.is_file():
        raise UserError(f"{file}: no such parameter file; `patternbook init DATAFILE` writes one")
    text = _read_text(path)
    data, lines = _parse_yaml(text, str(file))
    for override in overrides:
        _apply_override(data, override)
    return _validate(data, str(file), lines)


def overrides_of(params: Params) -> list[str]:
    """The `key=value` strings with which `load_params` makes these parameters of their file; none without the file."""
    try:
        plain = load_params(params.file).to_notebook()
    except UserError:  # parameters that no file holds
        return []
    return [f"{key}={_as_yaml(value)}" for key, value in _changed(plain, params.to_notebook())]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values that `new` has otherwise than `old`; as a whole where single keys would not do."""
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if (
            isinstance(value, dict)
            and isinstance(before, dict)
            and before.keys() <= value.keys()
            and not any("." in name for name in value)
        ):
            yield from _changed(before, value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _as_yaml(value: Any) -> str:
    """A value as one line of YAML, a text without quotes where it stays a text."""
    if isinstance(value, str):
        try:
            if yaml.safe_load(value) == value:
                return value
        except (yaml.YAMLError, ValueError):
            pass
    return json.dumps(value, ensure_ascii=False)


def params_from(values: Mapping[str, Any], file: str) -> Params:
    """Parameters from values as `to_notebook` gives them; `file` names their origin in messages.

    Raises UserError naming file and key.
    """
    return _validate(dict(values), file, {})


def notebook_params(names: Mapping[str, Any]) -> Params:
    """Parameters of a notebook, from its `globals()`.

    Papermill has filled the sections in; where it has not (JupyterLab, nbmake) the file named by
    `PATTERNBOOK_PARAMS`, else params/sample.yaml, is read.
    """
    unknown = sorted(_injected_names(names.get("In", [])) - set(Params.model_fields))
    if unknown:
        raise UserError(f"notebook parameters: unknown key {unknown[0]!r}{_suggest(unknown[0], Params.model_fields)}")
    given = {key: names[key] for key in Params.model_fields if names.get(key) is not None}
    if not given:
        return load_params(os.environ.get("PATTERNBOOK_PARAMS", str(DEFAULT_FILE)))
    return _validate(given, "notebook parameters", {})


def _injected_names(cells: Iterable[str]) -> set[str]:
    """Names that Papermill assigned: it writes them into a cell that starts with `# Parameters`."""
    assigned: set[str] = set()
    for source in cells:
        if source.startswith("# Parameters"):
            targets = (t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets)
            assigned |= {target.id for target in targets if isinstance(target, ast.Name)}
    return assigned


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save the parameter file as UTF-8") from None


def _parse_yaml(text: str, file: str) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{file}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except ValueError as error:  # an impossible date such as 2019-02-30
        raise UserError(f"{file}: {_first_bad_date(text) or ''}{error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{file}: empty, or not a mapping; it needs at least `run` and `source`")
    lines: dict[str, int] = {}
    _collect_lines(node, "", lines, file)
    return data, lines


def _first_bad_date(text: str) -> str | None:
    for number, line in enumerate(text.splitlines(), start=1):
        for match in re.finditer(r"\b(\d{4})-(\d\d?)-(\d\d?)\b", line):
            try:
                date(*map(int, match.groups()))
            except ValueError:
                return f"line {number}: key '{line.split(':')[0].strip(' -{')}': {match.group()} is not a date: "
    return None


def _collect_lines(node: Any, prefix: str, lines: dict[str, int], file: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if path in lines:
            raise UserError(f"{file}, line {key.start_mark.line + 1}: key '{path}' stands twice; keep one")
        lines[path] = key.start_mark.line + 1
        _collect_lines(value, f"{path}.", lines, file)


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, equals, raw = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override!r}: write key=value, for example --set engine.threads=4")
    try:
        value = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError):
        raise UserError(f"--set {override!r}: the value is not valid YAML") from None
    *parents, last = key.strip().split(".")
    place = data
    for parent in parents:
        child = place.get(parent)
        if child is None:
            child = place[parent] = {}
        if not isinstance(child, dict):
            raise UserError(f"--set {override!r}: '{parent}' is a value, not a section")
        place = child
    place[last] = value


def _validate(data: dict[str, Any], file: str, lines: Mapping[str, int]) -> Params:
    try:
        params = Params(**{str(key): value for key, value in data.items()})
    except ValidationError as error:
        raise UserError("\n".join(_describe(problem, file, lines) for problem in error.errors()[:5])) from None
    params._file = file
    return params


def _describe(problem: Any, file: str, lines: Mapping[str, int]) -> str:
    tags = ("simulated", "clickstream", "transactions", "function-after")
    location = [str(part) for part in problem["loc"]]
    if len(location) > 1 and location[0] == "source" and location[1] in tags:
        del location[1]
    key = ".".join(location)
    line = next(
        (lines[".".join(location[:n])] for n in range(len(location), 0, -1) if ".".join(location[:n]) in lines),
        None,
    )
    where = f"{file}, line {line}" if line else file
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'{_suggest(location[-1], _siblings(location[:-1], problem['loc']))}"
    if problem["type"] == "missing":
        return f"{where}: key '{key}' is missing"
    if problem["type"] == "union_tag_not_found":
        return f"{where}: key 'source.kind' is missing; it is simulated, clickstream or transactions"
    if problem["type"] == "union_tag_invalid":
        return f"{where}: key 'source.kind': {problem['ctx']['tag']!r} is none of simulated, clickstream, transactions"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
    return f"{where}: key '{key}': {message}{given}" if key else f"{where}: {message}"


def _siblings(location: list[str], raw: tuple[Any, ...]) -> Iterable[str]:
    """Names of the keys that may stand beside the unknown one."""
    models = {"simulated": Simulated, "clickstream": Clickstream, "transactions": Transactions}
    model: Any = Params
    if len(raw) > 1 and raw[0] == "source" and raw[1] in models:
        model, location = models[raw[1]], location[1:]
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            field = next((f for f in model.model_fields.values() if f.alias == part), None)
        model = getattr(field, "annotation", None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _suggest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if known else ""
