"""Tables of 01_compaction."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.formats import Formats
from patternbook.tables import Column, table


def source_files(files: pl.DataFrame, session_ids_bytes: int | None, formats: Formats) -> GT:
    """What each source file gave; the rows add up. Session ids kept beside the events are bytes of their own."""
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
    if session_ids_bytes is not None:
        note += f" The source's own session ids take another {formats.value(session_ids_bytes, 'bytes')}."
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
