"""The embedded engine."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import polars as pl

from patternbook.disk import aside, no_space, trouble
from patternbook.errors import UserError
from patternbook.params import Engine as EngineParams
from patternbook.warehouse.engine import literal

ROW_GROUP = 262_144
SHARE_OF_MEMORY = 0.85  # of engine.memory_limit; the rest is room for what the process holds beside the engine
OUT_OF_MEMORY = "Out of Memory Error"  # an Arrow reader hands DuckDB's error on as one of its own
SPILL_LIMIT = "max_temp_directory_size"


class DuckEngine:
    """DuckDB within its share of `engine.memory_limit` and `engine.threads`; what does not fit spills to `scratch`."""

    def __init__(self, params: EngineParams, scratch: Path, time_zone: str = "UTC") -> None:
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self.connection = duckdb.connect(
            config={
                "memory_limit": f"{SHARE_OF_MEMORY * params.memory_bytes:.0f}B",
                "threads": params.threads,
                "temp_directory": str(scratch / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            }
        )
        self.connection.execute("SET enable_progress_bar = true")  # else it keeps no count
        self.connection.execute("SET enable_progress_bar_print = false")
        self.connection.execute(f"SET TimeZone = {literal(time_zone)}")
        self._memory_limit = params.memory_limit

    def __enter__(self) -> DuckEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        problem = self._problem(error)
        self.close()
        if problem:
            raise problem from error

    def _problem(self, error: BaseException | None) -> UserError | None:
        """What a user can do about an error that comes of want of memory or disk; None for any other."""
        while error:
            text = str(error)
            if SPILL_LIMIT in text:
                return no_space(self._scratch)
            if isinstance(error, duckdb.OutOfMemoryException) or OUT_OF_MEMORY in text:
                return UserError(
                    f"engine.memory_limit ({self._memory_limit}) is too small for this input, even with spilling: "
                    "raise it (--set engine.memory_limit=…), or lower engine.threads (--set engine.threads=1)"
                )
            if problem := trouble(error, self._scratch):
                return problem
            error = error.__cause__ or error.__context__
        return None

    def view(self, name: str, query: str) -> None:
        """Give a query a name."""
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")

    def execute(self, statement: str) -> None:
        """Run a statement for its effect."""
        self.connection.execute(statement)

    def copy(self, query: str, target: Path) -> None:
        """Write the query's rows to one Parquet file, in the query's order; written aside and renamed."""
        with aside(target) as file:
            self.connection.execute(
                f"COPY ({query}) TO {literal(str(file))} "
                f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP})"
            )

    def concatenate(self, files: Sequence[Path], target: Path) -> None:
        """Put Parquet files together as one, in their order; written aside and renamed."""
        self.connection.execute("SET preserve_insertion_order = true")  # instead of a sort, which would hold all rows
        try:
            self.copy(f"SELECT * FROM {parquet(*files)}", target)
        finally:
            self.connection.execute("SET preserve_insertion_order = false")

    @contextmanager
    def watched(self, report: Callable[[float], None]) -> Iterator[None]:
        """Tell `report` twice a second which share of the query at work is done."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                percent = self.connection.query_progress()
                if percent >= 0:
                    report(percent / 100)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def frame(self, query: str) -> pl.DataFrame:
        """Rows of a small result."""
        return pl.DataFrame(pl.from_arrow(self.connection.sql(query).to_arrow_table()))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a tiny result."""
        return self.connection.sql(query).fetchall()

    def count(self, query: str) -> int:
        """The single number that the query returns."""
        return int(self.rows(query)[0][0])

    def close(self) -> None:
        """Let go of memory and of temporary files."""
        self.connection.close()
        shutil.rmtree(self._scratch / "spill", ignore_errors=True)


def parquet(*files: Path, union_by_name: bool = False) -> str:
    """Table function that reads Parquet files as one table; by name, a column that a file lacks is null there."""
    listed = ", ".join(literal(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = {literal(union_by_name)})"
