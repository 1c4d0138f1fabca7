"""Tables of the funnel."""

from __future__ import annotations

from great_tables import GT

from patternbook.analysis.funnel import Groups, Published, steps_table
from patternbook.formats import Formats
from patternbook.tables import Column, table


def funnel(result: Published, formats: Formats) -> GT:
    """The funnel's steps with their rates and what is lost at each."""
    columns = {
        "step": Column("Step"),
        "customers": Column("Customers", "count"),
        "share_of_visitors": Column("Share of visitors", "share"),
        "took": Column("In this order", "count"),
        "rate": Column("Rate (95% interval)", "share", ("low", "high")),
        "of": Column("of"),
        "lost": Column("Drop-off", "count"),
    }
    note = f"n = {formats.count(result.funnel.visitors)} visitors."
    without = result.customers("buyers_without_cart")
    if without is not None:
        note += f" Buyers who never had a cart: {formats.count(without)}."
    return table("funnel", steps_table(result), columns, formats, note)


def funnel_groups(groups: Groups, formats: Formats) -> GT:
    """The rates by group."""
    rates = {
        "view_to_cart": "View to cart",
        "cart_to_purchase": "Cart to purchase",
        "conversion": "Conversion",
    }
    columns = {
        "group": Column(groups.by.capitalize()),
        "visitors": Column("Visitors", "count"),
        **{name: Column(label, "share", (f"{name}_low", f"{name}_high")) for name, label in rates.items()},
    }
    return table("funnel-groups", groups.table, columns, formats)
