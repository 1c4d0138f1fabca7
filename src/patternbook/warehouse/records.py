"""What compaction counts, as it is kept."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class FileCount(BaseModel):
    """What one source file gave. rows_read = rows_kept + rows_rejected + duplicates_dropped."""

    file: str
    bytes: int
    rows_read: int
    rows_kept: int
    rows_rejected: int
    duplicates_dropped: int
    duplicates_revenue: float
    first_event: datetime | None
    last_event: datetime | None
    parquet_bytes: int
