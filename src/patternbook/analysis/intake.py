"""What went into the run and what came out: rows, odd rows and bytes of a compaction."""

from __future__ import annotations

import polars as pl

from patternbook.analysis.measure import Measure
from patternbook.formats import Formats

STEP_LABELS = {
    "text": "Text, as delivered",
    "types": "Typed columns",
    "dictionaries": "Dictionaries",
    "order": "Sorted, ids as differences",
    "zstd": "zstd",
}


def measures(files: pl.DataFrame, products_bytes: int) -> list[Measure]:
    """Counts over all source files. `files` has a row a file (see warehouse FileCount)."""
    rows_read = int(files["rows_read"].sum())
    raw_bytes = int(files["bytes"].sum())
    parquet_bytes = int(files["parquet_bytes"].sum()) + products_bytes
    return [
        Measure("rows_read", "Rows read", "count", rows_read, n=rows_read),
        Measure("rows_kept", "Rows kept", "count", int(files["rows_kept"].sum()), n=rows_read),
        Measure("rows_rejected", "Rows rejected", "count", int(files["rows_rejected"].sum()), n=rows_read),
        Measure("duplicates_dropped", "Exact duplicates dropped", "count", int(files["duplicates_dropped"].sum()),
                n=rows_read),
        Measure("raw_bytes", "Size of the source files", "bytes", raw_bytes),
        Measure("parquet_bytes", "Size of events and products", "bytes", parquet_bytes),
        Measure("reduction", "Source files are this many times as large", "factor", raw_bytes / parquet_bytes),
    ]  # fmt: skip


def answer(files: pl.DataFrame, products_bytes: int, formats: Formats) -> str:
    """One sentence: what was read, what was kept, what it takes on disk."""
    found = {measure.name: measure for measure in measures(files, products_bytes)}

    def shown(name: str) -> str:
        return formats.value(found[name].value, found[name].unit)

    lost = [
        f"{shown(name)} {what}"
        for name, what in (("rows_rejected", "rejected"), ("duplicates_dropped", "dropped as exact duplicates"))
        if found[name].value
    ]
    fate = f"{shown('rows_kept')} were kept, {' and '.join(lost)}" if lost else "all were kept"
    size = f"{shown('parquet_bytes')} on disk instead of {shown('raw_bytes')}"
    many = files.height > 1
    return (
        f"Of {shown('rows_read')} rows in {files.height if many else 'one'} file{'s' * many}, {fate}; they take {size}."
    )


def rejects_by_reason(rejects: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows by reason: how many, and the first of them (file, line, masked text)."""
    return (
        rejects.sort("file", "line")
        .group_by("reason")
        .agg(pl.len().alias("rows"), pl.col("file", "line", "raw").first())
        .sort("rows", "reason", descending=[True, False])
    )


def bytes_by_step(steps: pl.DataFrame) -> pl.DataFrame:
    """Bytes an event after each step, and what the step saved; `steps` has step and bytes_per_event, in order."""
    return steps.with_columns(
        pl.col("step").replace_strict(STEP_LABELS).alias("label"),
        (1 - pl.col("bytes_per_event") / pl.col("bytes_per_event").shift()).alias("saved"),
    )


def speed(rows: int, raw_bytes: int, seconds: float, formats: Formats) -> str:
    """One sentence: how long compaction took when it last ran."""
    rate = formats.count(round(rows / seconds))
    took = formats.value(seconds, "seconds")
    return f"Compaction read {formats.value(raw_bytes, 'bytes')} in {took}: {rate} rows a second."
