"""Tables of what is bought together."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis import bundles as offers
from patternbook.analysis.brands import SCOPES
from patternbook.analysis.bundles import Offer
from patternbook.analysis.pairs import PLURAL, Pairs, named
from patternbook.analysis.recommendations import TASKS, TOP, Check
from patternbook.formats import Formats
from patternbook.tables import Column, table

ROWS, OFFERS = 10, 7  # rows of pairs, of bundles


def pairs(found: Pairs, names: pl.DataFrame, formats: Formats) -> GT:
    """The leading pairs, the item that is in more baskets first: how often it comes with the other."""
    shown = named(found, names).head(ROWS)
    turned = pl.col("baskets_b") > pl.col("baskets_a")
    swapped = {"name_a": "name_b", "name_b": "name_a", "confidence_ab": "confidence_ba", "stock_ab": "stock_ba"}
    shown = shown.with_columns(
        pl.when(turned).then(other).otherwise(name).alias(name) for name, other in swapped.items()
    )
    columns = {
        "name_a": Column(f"{found.level.capitalize()} A"),
        "name_b": Column(f"{found.level.capitalize()} B"),
        "baskets": Column("Baskets with both", "count"),
        "confidence_ab": Column("B where A is", "share"),
        "stock_ab": Column("Units of B for one of A", "number"),
        "lift": Column("Lift (95% interval)", "factor", ("low", "high")),
    }
    count, many = formats.count(found.kept.height), PLURAL[found.level]
    note = (
        "Lift: baskets with both, as a multiple of those expected if the two were bought independently. The order is "
        f"that of lift shrunk towards one where few are expected. {count} pairs of {many} in all. Units of B for one "
        "of A: those bought with A, for each unit of A sold at all."
    )
    return table("basket-pairs", shown, columns, formats, note)


def bundles(found: pl.DataFrame, names: pl.DataFrame, offer: Offer, formats: Formats) -> GT:
    """The bundles whose offer is expected to bring most."""
    columns = {
        "rest": Column("Whoever takes"),
        "offered": Column("is offered"),
        "baskets_rest": Column("Baskets", "count"),
        "attach": Column("Add it today (95% interval)", "share", ("attach_low", "attach_high")),
        "margin": Column("Expected margin (95% interval)", "currency", ("margin_low", "margin_high")),
        "bearable": Column("Bears a discount of", "share"),
    }
    note = (
        f"Margin is incremental, over the baskets of the data, and assumes that {formats.tenths(offer.uptake)} of "
        f"those who would not add the product do, at a discount of {formats.tenths(offer.discount)} that all who take "
        f"the bundle get, and a margin of {formats.tenths(offer.margin)} ({offer.source}). Intervals take the "
        "assumptions as they are; those of margins hold for all bundles at once, the best included. Bears: the "
        "discount at which nothing is left."
    )
    return table("basket-bundles", offers.named(found.head(OFFERS), names), columns, formats, note)


def brands(found: pl.DataFrame, formats: Formats) -> GT:
    """Whether accessories are of the main product's brand."""
    shown = found.with_columns(pl.col("scope").replace_strict(SCOPES))
    columns = {
        "scope": Column("Bought"),
        "accessories": Column("Products of other categories", "count"),
        "same": Column("Of the main brand", "share"),
        "expected": Column("By chance", "share"),
        "lift": Column("Lift (95% interval)", "factor", ("lift_low", "lift_high")),
    }
    note = (
        "The main product is the dearest of a basket; later baskets are compared with the customer's first. By chance: "
        "the brand's share of what is bought in the accessory's category."
    )
    return table("basket-brands", shown, columns, formats, note)


def recommendations(checked: Check, task: str, formats: Formats) -> GT:
    """Each method of one task on later baskets."""
    method = pl.col("method")
    shown = checked.table.filter(pl.col("task") == task).with_columns(
        method.str.head(1).str.to_uppercase() + method.str.slice(1)
    )
    columns = {
        "method": Column(TASKS[task]),
        "hit_rate": Column("Hit rate", "share", ("hit_rate_low", "hit_rate_high")),
        "mrr": Column("MRR", "number", ("mrr_low", "mrr_high")),
        "ndcg": Column("NDCG", "number", ("ndcg_low", "ndcg_high")),
        "coverage": Column("Products shown", "share"),
    }
    note = (
        f"All of the first {TOP}, with 95% intervals by customer, on baskets after {formats.date(checked.cutoff)}. "
        "Hit rate: something wanted is among them. MRR: mean of 1 ÷ rank of the first that is. NDCG: how near the top "
        "all of it stands, 1 at best. Products shown: share of all products that some list holds."
    )
    return table(f"basket-recommendations-{task}", shown, columns, formats, note)
