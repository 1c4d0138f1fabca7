"""Tables as they are shown: one style for all, values by unit and locale. A module holds those of one notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import polars as pl
from great_tables import GT, loc, style

from patternbook import theme
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


def _natural_side(column: Column) -> str:
    return "left" if column.unit == "text" else "right"


def _cells(frame: pl.DataFrame, key: str, column: Column, formats: Formats) -> list[str]:
    if column.unit == "share" and column.interval is None:
        return [formats.tenths(value) for value in frame[key]]
    intervals = zip(*(frame[end] for end in column.interval), strict=True) if column.interval else [None] * frame.height
    return [formats.value(value, column.unit, interval) for value, interval in zip(frame[key], intervals, strict=True)]
