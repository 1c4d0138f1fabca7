"""The customer funnel: who saw, put into a cart, bought. Definitions: DESIGN.md, "Words that need one meaning"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
from scipy.stats import chi2_contingency

from patternbook.analysis import intervals
from patternbook.analysis.intervals import Estimate
from patternbook.analysis.measure import LeftOut, Measure, measured
from patternbook.analysis.suppression import hidden
from patternbook.formats import Formats
from patternbook.markup import escaped

COUNTS = (
    "visitors",
    "viewers",
    "viewers_to_cart",
    "carters",
    "carters_to_purchase",
    "buyers",
    "buyers_without_cart",
)
UNKNOWN = "unknown"
BOUGHT_BY_ANY_WAY = "Bought, with or without a cart"
POOLED = "all other"
RATES = {  # rate: (label, customers who took the step, customers who could have)
    "view_to_cart": ("View-to-cart rate", "viewers_to_cart", "viewers"),
    "cart_to_purchase": ("Cart-to-purchase rate", "carters_to_purchase", "carters"),
    "conversion": ("Conversion", "buyers", "visitors"),
}
LABELS = {
    "visitors": "Visitors",
    "viewers": "Viewers",
    "carters": "Customers with a cart",
    "buyers": "Buyers",
    "buyers_without_cart": "Buyers who never had a cart",
}


class Funnel(NamedTuple):
    """Customers by step.

    `viewers_to_cart` have a cart event at or after their first view, `carters_to_purchase` buy at or after their
    first cart event; `buyers_without_cart` never had one.
    """

    visitors: int
    viewers: int
    viewers_to_cart: int
    carters: int
    carters_to_purchase: int
    buyers: int
    buyers_without_cart: int


class Published(NamedTuple):
    """The funnel as it may be shown. `why_not` says of a count or rate that is not shown, in one sentence, why.

    `absent` is the sentence that stands for the whole, where there is no funnel at all.
    """

    funnel: Funnel
    why_not: Mapping[str, str]
    absent: str | None

    def customers(self, name: str) -> int | None:
        """Customers of `LABELS[name]`."""
        return None if name in self.why_not else getattr(self.funnel, name)

    def rate(self, name: str) -> Estimate | None:
        """A rate of `RATES` with its Wilson interval."""
        _, took, could = RATES[name]
        return (
            None if name in self.why_not else intervals.share(getattr(self.funnel, took), getattr(self.funnel, could))
        )


class Step(NamedTuple):
    """One step: `customers` reached it; `took` of those who could have (`rate.n`) took it in that order."""

    label: str
    customers: int
    took: int
    base_label: str
    rate: Estimate

    @property
    def lost(self) -> int:
        """Customers who could have taken the step and did not."""
        return self.rate.n - self.took


class Groups(NamedTuple):
    """The funnel by group; the `pooled` smallest groups stand together as `all other`.

    `table` has a row a group: its name, `COUNTS`, and each rate with `_low` and `_high`. `p_value` tests that
    conversion is the same in all groups (None where it cannot be tested).
    """

    by: str
    table: pl.DataFrame
    p_value: float | None
    pooled: int


def total(mart: pl.DataFrame) -> Funnel:
    """The funnel of all customers, from the mart `funnel`."""
    return Funnel(*(int(mart[column].sum()) for column in COUNTS))


def publish(funnel: Funnel, source_kind: str, minimum_group: int) -> Published:
    """What may be said of the funnel of a source of this kind, by groups of `minimum_group` customers or more."""
    absent = _absence(funnel, source_kind, minimum_group)
    if absent:
        return Published(funnel, dict.fromkeys([*LABELS, *RATES], absent), absent)
    no_cart = None if funnel.carters else "The log holds no cart event."
    no_purchase = None if funnel.buyers else "The log holds no purchase."

    def too_few(what: str, *names: str) -> str | None:
        small = any(0 < getattr(funnel, name) < minimum_group for name in names)
        return f"Fewer than {minimum_group} {what}, too few to publish." if small else None

    with_cart, bought = "customers with a cart", "customers bought"
    reasons = {
        "carters": no_cart or too_few(with_cart, "carters"),
        "buyers": no_purchase or too_few(bought, "buyers"),
        "buyers_without_cart": no_cart or no_purchase or too_few("buyers without a cart", "buyers_without_cart"),
        "view_to_cart": no_cart or too_few("viewers put something into a cart", "viewers_to_cart"),
        "cart_to_purchase": no_cart
        or no_purchase
        or too_few(with_cart, "carters")
        or too_few("customers bought after a cart", "carters_to_purchase"),
        "conversion": no_purchase or too_few(bought, "buyers"),
    }
    return Published(funnel, {name: reason for name, reason in reasons.items() if reason}, None)


def _absence(funnel: Funnel, source_kind: str, minimum_group: int) -> str | None:
    if source_kind == "transactions":
        return "The source records orders only, so there is no funnel from view to purchase."
    if funnel.visitors == 0:
        return "No event names its customer, so there is no funnel by customer."
    if funnel.viewers == 0:
        return "The log holds no view event, so there is no funnel from view to purchase."
    if funnel.carters == 0 and funnel.buyers == 0:
        return "The log holds views only, neither a cart event nor a purchase, so there is no funnel."
    if funnel.viewers < minimum_group:
        return f"Fewer than {minimum_group} customers viewed a product, too few to publish a funnel."
    return None


def measures(result: Published) -> list[Measure]:
    """What 06 records of the funnel: counts, and rates with interval and base."""
    why_not = result.why_not.get
    return [
        *(
            Measure(name, label, "count", result.customers(name), reason=why_not(name))
            for name, label in LABELS.items()
        ),
        *(measured(name, RATES[name][0], "share", result.rate(name), why_not(name)) for name in RATES),
    ]


def steps(result: Published) -> list[Step]:
    """The steps that may be shown, in order; then all buyers, whichever way they took."""
    funnel = result.funnel
    viewed = intervals.share(funnel.viewers, funnel.visitors)
    to_cart = result.rate("view_to_cart") if result.customers("carters") else None
    chain = (
        ("Viewed a product", funnel.viewers, funnel.viewers, "visitors", viewed),
        ("Put something into a cart", funnel.carters, funnel.viewers_to_cart, "viewers", to_cart),
        (
            "Bought after a cart",
            funnel.carters_to_purchase,
            funnel.carters_to_purchase,
            "customers with a cart",
            result.rate("cart_to_purchase"),
        ),
        (BOUGHT_BY_ANY_WAY, funnel.buyers, funnel.buyers, "visitors", result.rate("conversion")),
    )
    return [
        Step(label, customers, took, base_label, rate) for label, customers, took, base_label, rate in chain if rate
    ]


def steps_table(result: Published) -> pl.DataFrame:
    """`steps` as a frame: customers, as a share of visitors, took of base, the rate with low and high, lost."""
    rows = [
        {
            "step": step.label,
            "customers": step.customers,
            "share_of_visitors": step.customers / result.funnel.visitors,
            "took": step.took,
            "base": step.rate.n,
            "of": step.base_label,
            "rate": step.rate.value,
            "low": step.rate.low,
            "high": step.rate.high,
            "lost": step.lost,
        }
        for step in steps(result)
    ]
    return pl.DataFrame(rows)


def by_group(mart: pl.DataFrame, by: str, minimum_group: int) -> Groups | LeftOut:
    """The funnel by a column of the mart `funnel`.

    Groups of fewer than `minimum_group` visitors are put together, with the next larger one where they are still
    too few, so that none can be had by subtraction. A rate is null where its base, or those who took the step, are
    fewer than `minimum_group` (nobody is fine), and where the rate of all would give such a group away.
    """
    if mart[by].null_count() == mart.height:
        return LeftOut(f"The source does not say the customers' {by}, so the funnel is not broken down by it.")
    groups = (
        mart.group_by(pl.col(by).fill_null(UNKNOWN).alias("group"))
        .agg(pl.col(column).sum().cast(pl.Int64) for column in COUNTS)
        .filter(pl.col("visitors") > 0)
        .sort("visitors", "group", descending=[True, False])
    )
    small = smallest_to_pool(groups["visitors"].to_list(), minimum_group)
    if small:
        pooled = groups.tail(small).select(pl.lit(POOLED).alias("group"), *(pl.col(column).sum() for column in COUNTS))
        groups = pl.concat([groups.head(-small), pooled])
    if groups.height < 2:
        return LeftOut(f"There is only one {by} with enough customers to show, so there is nothing to compare.")
    rates = [column for name in RATES for column in _rate_columns(groups, name, minimum_group)]
    return Groups(by, groups.with_columns(rates), _same_conversion(groups), small)


def smallest_to_pool(visitors: list[int], minimum_group: int) -> int:
    """How many of the smallest groups have to stand together (`visitors` is sorted, largest first)."""
    small = sum(count < minimum_group for count in visitors)
    while 0 < small < len(visitors) and sum(visitors[-small:]) < minimum_group:
        small += 1
    return small


def _rate_columns(groups: pl.DataFrame, name: str, minimum_group: int) -> list[pl.Series]:
    _, took, could = RATES[name]
    took_step, base = groups[took].to_numpy(), groups[could].to_numpy()
    low, high = intervals.wilson(took_step, base)
    shown = ~hidden(took_step, minimum_group, also=base < minimum_group)
    values = {name: took_step / base.clip(1), f"{name}_low": low, f"{name}_high": high}
    return [pl.Series(key, value, nan_to_null=True).set(~pl.Series(shown), None) for key, value in values.items()]


def _same_conversion(groups: pl.DataFrame) -> float | None:
    """p-value of Pearson's χ² test that buyers ÷ visitors is the same in all groups."""
    counts = groups.select("buyers", pl.col("visitors") - pl.col("buyers")).to_numpy()
    if (counts.sum(axis=0) == 0).any():
        return None
    return float(chi2_contingency(counts).pvalue)


def answer(result: Published, formats: Formats) -> str:
    """The notebook's answer in two or three sentences, from the results."""
    if result.absent:
        return result.absent
    sentences = (_cart_sentence(result, formats), _largest_loss(result, formats), _buyers_sentence(result, formats))
    return " ".join(sentence for sentence in sentences if sentence)


def _cart_sentence(result: Published, formats: Formats) -> str | None:
    to_cart, to_purchase = result.rate("view_to_cart"), result.rate("cart_to_purchase")
    if to_cart is None:
        return result.why_not.get("view_to_cart")
    share = formats.share(to_cart.value, to_cart.interval)
    sentence = f"Of {formats.count(to_cart.n)} viewers, {share} put something into a cart"
    if to_purchase:
        sentence += (
            f", and of the {formats.count(to_purchase.n)} customers with a cart, "
            f"{formats.share(to_purchase.value, to_purchase.interval)} went on to buy"
        )
    return sentence + "."


def _largest_loss(result: Published, formats: Formats) -> str | None:
    if not (result.rate("view_to_cart") and result.rate("cart_to_purchase")):
        return None
    before_cart = result.funnel.viewers - result.funnel.viewers_to_cart
    after_cart = result.funnel.carters - result.funnel.carters_to_purchase
    if not max(before_cart, after_cart):
        return None
    place = "between view and cart" if before_cart >= after_cart else "between cart and purchase"
    return f"Most customers, {formats.count(max(before_cart, after_cart))}, leave {place}."


def _buyers_sentence(result: Published, formats: Formats) -> str | None:
    conversion = result.rate("conversion")
    if conversion is None:
        return result.why_not.get("conversion")
    sentence = f"In all, {formats.share(conversion.value, conversion.interval)} of visitors bought"
    if result.customers("buyers_without_cart"):
        without, buyers = (
            formats.count(result.customers("buyers_without_cart")),
            formats.count(result.customers("buyers")),
        )
        sentence += f"; of {buyers} buyers, {without} never had a cart"
    return sentence + "."


def groups_table(groups: Groups) -> pl.DataFrame:
    """What may be published of the groups: their names, visitors and rates, not the counts that would undo a null."""
    rates = [f"{name}{end}" for name in RATES for end in ("", "_low", "_high")]
    return groups.table.select("group", "visitors", *rates)


def differ(groups: Groups) -> bool:
    """Whether conversion differs between the groups by more than chance would (5 % level)."""
    return groups.p_value is not None and groups.p_value < 1 - intervals.CONFIDENCE


def groups_answer(groups: Groups, formats: Formats) -> str:
    """Whether conversion differs between the groups, in one sentence of Markdown."""
    known = groups.table.drop_nulls("conversion").sort("conversion", "group")
    if known.height < 2 or groups.p_value is None:
        return f"There are too few buyers by {groups.by} to compare conversion."
    low, high = known.row(0, named=True), known.row(-1, named=True)
    verdict = "more than" if differ(groups) else "no more than"
    return (
        f"Conversion by {groups.by} runs from {formats.share(low['conversion'])} ({escaped(low['group'])}) to "
        f"{formats.share(high['conversion'])} ({escaped(high['group'])}), {verdict} chance alone would set them apart "
        f"(χ² test, {formats.p_value(groups.p_value)})."
    )
