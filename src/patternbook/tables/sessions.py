"""Tables of sessions, carts and signals."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.abandonment import Paths
from patternbook.analysis.signals import Signals, named
from patternbook.formats import Formats
from patternbook.tables import Column, table

MEASURES = {
    "session_conversion": "Sessions with a purchase",
    "session_view_to_cart": "View to cart within a session",
    "session_cart_to_purchase": "Cart to purchase within a session",
    "abandonment": "Abandoned carts",
}


def groups(found: pl.DataFrame, formats: Formats) -> GT:
    """The funnel by group of sessions."""
    note = "Within a session; all groups are tested together (Benjamini–Hochberg, by cluster of customers)."
    return _groups("session-groups", found, Column("Sessions", "count"), "sessions", note, formats)


def customer_groups(found: pl.DataFrame, formats: Formats) -> GT:
    """The funnel by group of customers."""
    note = (
        "Steps within the group; a customer may be in several. Intervals by customer (Wilson); all groups are tested "
        "together (Benjamini–Hochberg, by cluster of customers)."
    )
    return _groups("customer-groups", found, Column("Customers", "count"), "customers", note, formats)


def _groups(name: str, found: pl.DataFrame, size: Column, counted: str, note: str, formats: Formats) -> GT:
    words = {1: "above", 0: "no clear difference", -1: "below"}
    shown = found.with_columns(pl.col("differs").replace_strict(words, default=None))
    rates = {"view_to_cart": "View to cart", "cart_to_purchase": "Cart to purchase", "conversion": "Conversion"}
    columns = {
        "group": Column("Group"),
        "grouping": Column("By"),
        counted: size,
        **{rate: Column(label, "share", (f"{rate}_low", f"{rate}_high")) for rate, label in rates.items()},
        "differs": Column("Conversion against the others"),
    }
    return table(name, shown, columns, formats, note)


def typical(found: pl.DataFrame, formats: Formats) -> GT:
    """This shop beside what is typical of others."""
    shown = found.with_columns(
        pl.col("measure").replace_strict(MEASURES),
        pl.Series(
            "typical",
            [
                f"{formats.share(low)}–{formats.share(high)}"
                for low, high in found.select("typical_low", "typical_high").iter_rows()
            ],
            pl.String,
        ),
    )
    columns = {
        "measure": Column("Measure"),
        "value": Column("This shop (95% interval)", "share", ("low", "high")),
        "typical": Column("Typical (assumed)", align="right"),
        "verdict": Column("This shop is"),
    }
    sources = "; ".join(f"{measure}: {source}" for measure, source in shown.select("measure", "source").iter_rows())
    note = f"What is typical is assumed, and other shops count carts and sessions in other ways. {sources}."
    return table("typical", shown, columns, formats, note)


def paths(found: Paths, formats: Formats) -> GT:
    """How orders come about."""
    columns = {
        "path": Column("Orders"),
        "orders": Column("Orders", "count"),
        "share": Column("Share (95% interval)", "share", ("low", "high")),
    }
    return table("order-paths", found.table, columns, formats, f"n = {formats.count(found.orders)} orders.")


def signals(found: Signals, formats: Formats) -> GT:
    """Signals with odds ratio and lift."""
    shown = found.table.with_columns(
        pl.Series("name", named(found.table), pl.String),
        pl.when("leak")
        .then(pl.lit("part of the purchase"))
        .when("told")
        .then(pl.lit("reliable"))
        .otherwise(pl.lit("no clear difference"))
        .alias("verdict"),
    )
    columns = {
        "name": Column("Signal"),
        "conversion": Column("Conversion", "share", ("conversion_low", "conversion_high")),
        "odds_ratio": Column("Odds ratio", "factor", ("odds_ratio_low", "odds_ratio_high")),
        "lift": Column("Lift", "factor", ("lift_low", "lift_high")),
        "at_purchase": Column("At the purchase", "share"),
        "verdict": Column("Verdict"),
    }
    note = (
        "Odds ratio: against sessions without the signal; lift: conversion with it ÷ conversion of all sessions. At "
        "the purchase: share of its sessions with an order in which nothing is looked at after it."
    )
    return table("signals", shown, columns, formats, note)
