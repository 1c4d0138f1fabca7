"""Findings and result tables for spreadsheets, written so that no text of the data is taken for a formula."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import polars.selectors as cs
from xlsxwriter import Workbook

from patternbook import __version__
from patternbook.findings import SIGNIFICANT_DIGITS, Finding

FINDINGS = "findings.csv"
TABLES = "tables.xlsx"
FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"  # a text that starts so: OWASP, CSV injection; a line break hides what follows it
LONGEST_TEXT = 32_767  # characters, of a cell
MOST_ROWS = 100_000  # of a table; a sheet holds ten times as many, and no one reads them
LONGEST_NAME = 31  # characters, of a sheet
LARGEST_INTEGER = 2**53  # a spreadsheet's numbers are floats: larger integers, such as ids, stay text
PERSONAL = {"customer_id"}  # a table with a row a person is no result to hand around
WORKBOOK = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
COLUMNS = ("id", "label", "value", "text", "low", "high", "unit", "kind", "n", "notebook", "cell", "source", "reason")


def write_exports(
    findings: Mapping[str, Finding], tables: Mapping[str, pl.DataFrame], about: list[list[str]], folder: Path
) -> None:
    """Write `findings.csv` and `tables.xlsx` into `folder`.

    The workbook has a sheet with all findings, one with `about` (pairs of key and value), and one a table. Tables
    with a row a customer are left out, since the report does not publish them either.

    In the CSV an apostrophe stands before each text that a spreadsheet would take for a formula; the workbook says
    itself that a cell is text."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = findings_frame(findings)
    neutralised(listed).write_csv(folder / FINDINGS, include_bom=True)  # without a BOM Excel guesses the encoding
    sheets = {"Findings": listed, "Run": pl.DataFrame(about, {"key": pl.String, "value": pl.String}, orient="row")}
    public = {name: frame for name, frame in tables.items() if not PERSONAL & set(frame.columns)}
    sheets |= dict(zip(sheet_names(list(public)), public.values(), strict=True))
    with Workbook(folder / TABLES, WORKBOOK) as workbook:
        workbook.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC), "comments": f"patternbook {__version__}"})
        for name, frame in sheets.items():
            in_cells(frame).write_excel(workbook, name, dtype_formats={pl.Float64(): "General"}, autofit=True)


def findings_frame(findings: Mapping[str, Finding]) -> pl.DataFrame:
    """Findings, one row each; `value` holds numbers, `text` what is none."""
    rows = [
        {
            "id": finding_id,
            "label": finding.label,
            "value": None if isinstance(finding.value, str) else finding.value,
            "text": finding.value if isinstance(finding.value, str) else None,
            **finding.model_dump(exclude={"value", "label"}),
        }
        for finding_id, finding in sorted(findings.items())
    ]
    types = dict.fromkeys(COLUMNS, pl.String) | dict.fromkeys(("value", "low", "high"), pl.Float64) | {"n": pl.Int64}
    return pl.DataFrame(rows, types)


def neutralised(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before each text that starts like a formula."""
    text = cs.string()
    return frame.with_columns(pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text).name.keep())


def in_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as a sheet can hold it: `MOST_ROWS` rows, texts cut to what a cell takes, floats as in findings."""
    return frame.head(MOST_ROWS).with_columns(
        cs.string().str.head(LONGEST_TEXT),
        cs.float().cast(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS),
        cs.decimal().cast(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS),
        cs.datetime(time_zone="*").dt.replace_time_zone(None),
        *(pl.col(name).cast(pl.String) for name in frame.columns if _is_too_large(frame[name])),
    )


def sheet_names(tables: list[str]) -> list[str]:
    """A sheet's name for each table id: the id, or its start and a number where it is too long."""
    return [
        name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 4]}~{number}"
        for number, name in enumerate(tables, start=1)
    ]


def _is_too_large(column: pl.Series) -> bool:
    return column.dtype.is_integer() and (column.cast(pl.Float64).abs() >= LARGEST_INTEGER).any()
