"""Where the bytes went: the same rows written step by step, from text to what compaction writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

SAMPLE_ROWS = 400_000


class ByteStep(BaseModel):
    """Bytes an event after one more saving."""

    step: str
    bytes_per_event: float


def byte_steps(events: list[Path], text_bytes_per_event: float | None, scratch: Path) -> list[ByteStep]:
    """Bytes an event after each saving, measured on the first rows of the events.

    text -> types -> dictionaries -> order (by customer and time, ids as differences) -> zstd. Text is the source's
    own size, None where it is not plain text; every other step is a Parquet file written for the purpose. Rows
    before "order" stand in order of time, as a log does.
    """
    sample = _sample(events)
    if sample.num_rows == 0:
        return []
    in_time = sample.sort_by([("event_time", "ascending")])
    plain: dict[str, Any] = {"use_dictionary": False, "compression": "none"}
    coded: dict[str, Any] = {"use_dictionary": True, "compression": "none"}
    ordered: dict[str, Any] = {
        "use_dictionary": [name for name in sample.schema.names if name not in _CLIMBING],
        "column_encoding": dict.fromkeys(_CLIMBING, "DELTA_BINARY_PACKED"),
        "compression": "none",
    }
    written = {
        "types": (in_time, plain),
        "dictionaries": (in_time, coded),
        "order": (sample, ordered),
        "zstd": (sample, {**ordered, "compression": "zstd", "compression_level": 3}),
    }
    steps = [ByteStep(step="text", bytes_per_event=text_bytes_per_event)] if text_bytes_per_event else []
    for step, (table, options) in written.items():
        file = scratch / f"bytes-{step}.parquet"
        pq.write_table(table, file, store_schema=False, store_decimal_as_integer=True, **options)
        steps.append(ByteStep(step=step, bytes_per_event=file.stat().st_size / sample.num_rows))
        file.unlink()
    return steps


_CLIMBING = ("customer_id", "session_id", "event_time")


def _sample(events: list[Path]) -> pa.Table:
    """The first rows of the largest file."""
    file = pq.ParquetFile(max(events, key=lambda path: path.stat().st_size))
    groups, rows = [], 0
    for index in range(file.num_row_groups):
        if rows >= SAMPLE_ROWS:
            break
        groups.append(index)
        rows += file.metadata.row_group(index).num_rows
    return file.read_row_groups(groups).slice(0, SAMPLE_ROWS)
