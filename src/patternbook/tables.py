"""Tables as they are shown: one style for all, values by unit and locale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import polars as pl
from great_tables import GT, loc, style

from patternbook import theme
from patternbook.analysis.eda import TopProducts
from patternbook.analysis.funnel import Groups, Published, steps_table
from patternbook.analysis.measure import Measure
from patternbook.formats import Formats


class Column(NamedTuple):
    """How one column of a frame is shown. `interval` names the columns that hold its low and high end."""

    label: str
    unit: str = "text"
    interval: tuple[str, str] | None = None
    align: Literal["left", "right"] | None = None  # None: text to the left, values to the right


def table(
    name: str, frame: pl.DataFrame, columns: Mapping[str, Column], formats: Formats, note: str | None = None
) -> GT:
    """`columns` of `frame` in the house style; a missing value is a dash. `name` is the table's id in HTML."""
    shown = pl.DataFrame(
        {key: _cells(frame, key, column, formats) for key, column in columns.items()},
        schema=dict.fromkeys(columns, pl.String),
    )
    left = [key for key, column in columns.items() if (column.align or _natural_side(column)) == "left"]
    styled = (
        GT(shown, id=name)
        .cols_label({key: column.label for key, column in columns.items()})
        .cols_align("right")
        .cols_align("left", left)
        .tab_style(style.text(color=theme.INK, weight="bold"), loc.body(columns=list(columns)[:1]))
        .tab_options(
            table_font_names=[theme.SANS, "Helvetica Neue", "Arial", "sans-serif"],
            table_font_size="14px",
            table_font_color=theme.INK,
            table_background_color=theme.PAPER,
            table_width="100%",
            table_border_top_style="none",
            table_border_bottom_color=theme.INK,
            table_border_bottom_width="1px",
            column_labels_font_weight="bold",
            column_labels_font_size="12px",
            column_labels_border_top_style="none",
            column_labels_border_bottom_color=theme.INK,
            column_labels_border_bottom_width="1px",
            table_body_hlines_color=theme.RULE,
            table_body_border_bottom_color=theme.INK,
            table_body_border_bottom_width="1px",
            data_row_padding="6px",
            source_notes_font_size="12px",
        )
        .tab_style(style.text(color=theme.MUTED), loc.column_labels())
    )
    return styled.tab_source_note(note) if note else styled


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


def source_files(files: pl.DataFrame, formats: Formats) -> GT:
    """What each source file gave; the rows add up."""
    columns = {
        "file": Column("File"),
        "bytes": Column("Size", "bytes"),
        "rows_read": Column("Rows read", "count"),
        "rows_rejected": Column("Rejected", "count"),
        "duplicates_dropped": Column("Duplicates dropped", "count"),
        "rows_kept": Column("Kept", "count"),
        "parquet_bytes": Column("Size as events", "bytes"),
    }
    worth = files["duplicates_revenue"].sum()
    note = "Rows read = kept + rejected + exact duplicates dropped."
    if worth:
        note += f" The duplicates would have added {formats.money(worth)} of revenue."
    return table("source-files", files, columns, formats, note)


def rejects(reasons: pl.DataFrame, formats: Formats) -> GT:
    """Rejected rows by reason, with the first of each."""
    columns = {
        "reason": Column("Reason"),
        "rows": Column("Rows", "count"),
        "file": Column("First in file"),
        "line": Column("Line", "count"),
        "raw": Column("Its text, customers masked"),
    }
    return table("rejects", reasons, columns, formats)


def odd_rows(checks: pl.DataFrame, rows_read: int, formats: Formats) -> GT:
    """Odd rows by kind: how many, what they are worth, what happened to them."""
    columns = {
        "meaning": Column("What was seen"),
        "rows": Column("Rows", "count"),
        "share": Column("Share of rows", "share"),
        "revenue": Column("Revenue in them", "currency"),
        "action": Column("What happened"),
    }
    actions = {"keep": "kept, flagged", "reject": "rejected"}
    shown = checks.with_columns(
        pl.col("meaning").str.slice(0, 1).str.to_uppercase() + pl.col("meaning").str.slice(1),
        (pl.col("rows") / max(rows_read, 1)).alias("share"),
        pl.when(pl.col("rows") > 0).then(pl.col("action").replace(actions)).otherwise(None).alias("action"),
    )
    return table("odd-rows", shown, columns, formats, "Each is a key under quality in the parameter file.")


def _natural_side(column: Column) -> str:
    return "left" if column.unit == "text" else "right"


def _cells(frame: pl.DataFrame, key: str, column: Column, formats: Formats) -> list[str]:
    if column.unit == "share" and column.interval is None:
        return [formats.tenths(value) for value in frame[key]]
    intervals = zip(*(frame[end] for end in column.interval), strict=True) if column.interval else [None] * frame.height
    return [formats.value(value, column.unit, interval) for value, interval in zip(frame[key], intervals, strict=True)]


def _change(measure: Measure | None, formats: Formats) -> str | None:
    return formats.change(measure.value, measure.interval) if measure and measure.value is not None else None
