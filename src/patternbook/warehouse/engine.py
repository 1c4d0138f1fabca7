"""What the warehouse asks of an engine. The marts' SQL is written for this protocol alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl


class Engine(Protocol):
    """Runs SQL over Parquet files that may be larger than memory."""

    def view(self, name: str, query: str) -> None:
        """Give a query a name."""

    def copy(self, query: str, target: Path) -> None:
        """Write the query's rows to one Parquet file, in the query's order; written aside and renamed."""

    def concatenate(self, files: Sequence[Path], target: Path) -> None:
        """Put Parquet files together as one, in their order; written aside and renamed."""

    def frame(self, query: str) -> pl.DataFrame:
        """Rows of a small result."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a tiny result."""

    def count(self, query: str) -> int:
        """The single number that the query returns."""


def literal(value: object) -> str:
    """A value as an SQL literal: text quoted, numbers as they are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
