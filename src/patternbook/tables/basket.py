"""Tables of what is bought together."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.pairs import PLURAL, Pairs, named
from patternbook.formats import Formats
from patternbook.tables import Column, table

ROWS = 10


def pairs(found: Pairs, names: pl.DataFrame, formats: Formats) -> GT:
    """The leading pairs: how many baskets hold both, and what one says of the other."""
    columns = {
        "name_a": Column(f"{found.level.capitalize()} A"),
        "name_b": Column(f"{found.level.capitalize()} B"),
        "baskets": Column("Baskets with both", "count"),
        "confidence_ab": Column("B where A is", "share"),
        "confidence_ba": Column("A where B is", "share"),
        "lift": Column("Lift (95% interval)", "factor", ("low", "high")),
        "lift_shrunk": Column("Lift, shrunk", "factor"),
        "stock_ab": Column("Units of B for each of A", "number"),
    }
    count, many = formats.count(found.kept.height), PLURAL[found.level]
    note = (
        "Lift: baskets with both, as a multiple of those expected if the two were bought independently; shrunk towards "
        f"one where few are expected, which orders the table. {count} pairs of {many} in all. "
        "Units of B for each of A: those bought with A, for each unit of A sold at all."
    )
    return table("basket-pairs", named(found, names).head(ROWS), columns, formats, note)
