"""Tables of 02_eda."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from great_tables import GT

from patternbook.analysis.eda import TopProducts
from patternbook.analysis.measure import Measure
from patternbook.formats import Formats
from patternbook.tables import Column, table


def kpis(measures: Iterable[Measure], formats: Formats, compared: str) -> GT:
    """Key figures, each with its change where there is one. `compared` says in a note what the change compares."""
    by_name = {measure.name: measure for measure in measures}
    changes = {name.removesuffix("_change"): by_name[name] for name in by_name if name.endswith("_change")}
    rows = [
        {
            "figure": measure.label,
            "value": formats.value(measure.value, measure.unit, measure.interval),
            "change": _change(changes.get(name), formats),
        }
        for name, measure in by_name.items()
        if measure.value is not None and not name.endswith("_change")
    ]
    columns = {"figure": Column("Figure"), "value": Column("Value (95% interval)", align="right")}
    if any(change.value is not None for change in changes.values()):
        columns["change"] = Column("Change (95% interval)", align="right")
    return table("kpis", pl.DataFrame(rows), columns, formats, compared)


def top_products(products: TopProducts, formats: Formats, minimum_group: int) -> GT:
    """Best sellers, or the products viewed most; columns that the source does not fill are left out."""
    columns = {
        "product": Column("Product"),
        "brand": Column("Brand"),
        "category": Column("Category"),
        "buyers": Column("Buyers", "count"),
        "viewers": Column("Viewers", "count"),
        "units": Column("Units", "count"),
        "views": Column("Views", "count"),
        "revenue": Column("Revenue", "currency"),
        "share": Column(f"Share of {products.by}", "share"),
    }
    frame = products.table
    held = {
        key: column
        for key, column in columns.items()
        if key in frame.columns and frame[key].null_count() < frame.height
    }
    people = "buyers" if products.by == "revenue" else "viewers"
    note = (
        f"Not listed: {formats.count(products.hidden)} products with fewer than {minimum_group} {people}, "
        f"{formats.share(products.hidden_share)} of {products.by}."
    )
    return table("top-products", frame, held, formats, note if products.hidden else None)


def _change(measure: Measure | None, formats: Formats) -> str | None:
    return formats.change(measure.value, measure.interval) if measure and measure.value is not None else None
