"""Raw files to events: typed, counted, deduplicated, sorted by customer and time, as small as Parquet makes them.

Each file is read once into a staging file (see staging.py). All staged rows are sorted out of core and streamed
through in blocks that end with a customer; in a block exact duplicates stand side by side and sessions are numbered.
Nothing grows with the input but the sort, which spills.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from patternbook import __version__
from patternbook.disk import writing
from patternbook.errors import UserError
from patternbook.findings import write_aside
from patternbook.locks import alone_in_warehouse
from patternbook.params import Clickstream, Params, Quality, Simulated, Transactions
from patternbook.paths import RunPaths
from patternbook.progress import Progress
from patternbook.warehouse import quality
from patternbook.warehouse.bytes import ByteStep, byte_steps
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.engine import literal
from patternbook.warehouse.quality import Check
from patternbook.warehouse.sessions import number_sessions, session_keys
from patternbook.warehouse.sources import SourceFile, readable_source, source_files
from patternbook.warehouse.staging import (
    ATTRIBUTES,
    DIMENSIONS,
    EVENT_TYPES,
    MONEY,
    PURCHASE,
    Staged,
    stage,
)

BLOCK = 524_288  # rows
ROW_GROUP = 524_288
DICTIONARY_PAGE = 8 * 2**20  # room for the ids of a large catalogue in one dictionary
LONGEST_STEM = 50  # characters of a source file's name in that of its events, of four bytes each at most
ENUM_LIMIT = 10_000  # a dimension of more values stays text
_BELOW_ALL = -(2**63)
SORT_ORDER = ("customer_id", "seconds", "session_key", "product_id", "event_code", "row_hash")


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


class Compaction(BaseModel):
    """What compaction counted."""

    files: list[FileCount]
    checks: list[Check]
    unknown_events: dict[str, int]
    products_bytes: int
    byte_steps: list[ByteStep]
    seconds: float
    key: str

    def files_frame(self) -> pl.DataFrame:
        """One row a source file."""
        return pl.DataFrame([file.model_dump() for file in self.files])

    def checks_frame(self) -> pl.DataFrame:
        """One row a kind of odd row."""
        return pl.DataFrame([check.model_dump() for check in self.checks])

    def steps_frame(self) -> pl.DataFrame:
        """Bytes an event by step of compaction."""
        return pl.DataFrame([step.model_dump() for step in self.byte_steps])

    def total(self, column: str) -> int:
        """Sum of a count over the files."""
        return sum(getattr(file, column) for file in self.files)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the source files."""
        return self.total("bytes")

    @property
    def parquet_bytes(self) -> int:
        """Bytes of events and products."""
        return self.total("parquet_bytes") + self.products_bytes


def read_compaction(paths: RunPaths) -> Compaction:
    """What the run's compaction counted; UserError where it has not run."""
    if not paths.compaction.exists():
        raise UserError(f"run {paths.run!r} has no events yet: `patternbook run` builds them")
    return Compaction.model_validate_json(paths.compaction.read_text("utf-8"))


def compact(params: Params, progress: Progress = lambda step, share: None) -> Compaction:
    """Compact the run's source files; returns at once when the events are current.

    Raises UserError naming file and line or key, or where another process is at it; then nothing of an earlier log
    is touched.
    """
    paths = RunPaths.of(params.run)
    with alone_in_warehouse(paths), writing(paths.home):
        if isinstance(params.source, Simulated):
            from patternbook.simulation import simulate

            simulate(params.source, paths.raw, lambda share: progress("simulate", share))
        source = readable_source(params, paths)
        files = source_files(source)
        key = _key(source, params.quality, files)
        current = _current(paths, key)
        return current if current else _Run(params, paths, source, files, key, progress).compact()


def _current(paths: RunPaths, key: str) -> Compaction | None:
    if not paths.compaction.exists():
        return None
    try:
        done = read_compaction(paths)
    except ValueError:  # written by another version
        return None
    complete = all((paths.events / _events_name(number, file.file)).exists() for number, file in enumerate(done.files))
    return done if done.key == key and complete and paths.products.exists() else None


def _key(source: Clickstream | Transactions, odd_rows: Quality, files: list[SourceFile]) -> str:
    """Changes whenever the events would."""
    state = [(str(file.path), file.path.stat().st_size, file.path.stat().st_mtime_ns) for file in files]
    versions = (__version__, duckdb.__version__, _code_hash())
    payload = json.dumps([source.model_dump(mode="json"), odd_rows.model_dump(mode="json"), state, versions])
    return hashlib.sha256(payload.encode()).hexdigest()


@cache
def _code_hash() -> str:
    here = Path(__file__).parent
    names = ("compaction.py", "staging.py", "sessions.py", "sources.py", "quality.py", "bytes.py", "duckdb.py")
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in names)).hexdigest()


def _events_name(number: int, label: str) -> str:
    """Name of the Parquet file with the events of a source file."""
    bare = Path(label).name.split(".", maxsplit=1)[0]
    stem = "".join(char if char.isalnum() or char in "-_" else "_" for char in bare)
    return f"{number:04d}-{stem[:LONGEST_STEM]}.parquet"


@dataclass
class _Tally:
    """Running counts of one source file."""

    kept: int = 0
    duplicates: int = 0
    duplicates_revenue: float = 0.0
    first: int | None = None
    last: int | None = None

    def add(self, block: pl.DataFrame) -> None:
        self.kept += len(block)
        first, last = block["seconds"].min(), block["seconds"].max()
        self.first = first if self.first is None else min(self.first, first)  # type: ignore[type-var,assignment]
        self.last = last if self.last is None else max(self.last, last)  # type: ignore[type-var,assignment]


class _Run:
    """One compaction."""

    def __init__(
        self,
        params: Params,
        paths: RunPaths,
        source: Clickstream | Transactions,
        files: list[SourceFile],
        key: str,
        progress: Progress,
    ) -> None:
        self.params, self.paths, self.source, self.files, self.key = params, paths, source, files, key
        self.progress = progress
        self.started = time.monotonic()
        self.scratch = paths.scratch / "compaction"
        self.events = self.scratch / "events"
        self.drop_duplicates = source.duplicates == "drop"
        self.next_session = 1

    def compact(self) -> Compaction:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        try:
            with DuckEngine(self.params.engine, self.scratch, self.source.time_zone) as engine:
                self.engine = engine
                staged = self._stage()
                self._stop_at_too_many_rejects(staged)
                table = parquet(*(one.file for one in staged), union_by_name=True)
                engine.view("staged", f"SELECT * FROM {table}")
                self.columns = {str(row[0]) for row in engine.rows("DESCRIBE staged")}
                self.rules = quality.rules(self.params.quality, self.columns)
                checks = quality.count_checks(engine, self.rules, self.columns)
                unknown = quality.unknown_events(engine, self.columns)
                rejects = quality.rejects(engine, self.rules, staged)
                self._write_products()
                self._write_customers()
                tallies = self._write_events(staged)
            counted = self._counted(staged, rejects, tallies, checks, unknown)
            self._publish(rejects)
            write_aside(self.paths.compaction, counted.model_dump_json(indent=1) + "\n")
            return counted
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _stage(self) -> list[Staged]:
        total = sum(file.path.stat().st_size for file in self.files) or 1
        done, staged = 0, []
        for number, file in enumerate(self.files):
            size = file.path.stat().st_size
            target = self.scratch / f"{number:04d}.parquet"
            with self.engine.watched(partial(self._report_reading, done, size, total)):
                staged.append(stage(self.engine, self.source, self.params.quality, file, number, target))
            done += size
        self.progress("read", 1.0)
        return staged

    def _report_reading(self, done: int, size: int, total: int, share: float) -> None:
        self.progress("read", (done + share * size) / total)

    def _stop_at_too_many_rejects(self, staged: list[Staged]) -> None:
        read, rejected = sum(one.rows_read for one in staged), sum(len(one.rejects) for one in staged)
        limit = self.params.quality.max_rejected_share
        if rejected <= limit * read:
            return
        rejects = pl.concat([one.rejects for one in staged])
        leading = rejects.group_by("reason").agg(pl.len(), pl.col("file").first(), pl.col("line").min())
        shown = "; ".join(
            f"{reason} ({count} of them, first {file} line {line})"
            for reason, count, file, line in leading.sort("len", "reason", descending=[True, False]).head(3).iter_rows()
        )
        raise UserError(
            f"{staged[0].source.path if len(staged) == 1 else 'the source files'}: {rejected:,} of {read:,} rows "
            f"cannot be read, more than quality.max_rejected_share ({limit:g}): {shown}. "
            "Mend the files or the mapping, or raise the limit"
        )

    # -- the tables ---------------------------------------------------------------------------------------------

    def _write_products(self) -> None:
        """One row a product: the description that the source gives most often, the latest where two are level."""
        attributes = [name for name in ATTRIBUTES if name in self.columns]
        source_id = "product_source" if "product_source" in self.columns else "product_id::VARCHAR"
        known = ", ".join(["product_id", f"{source_id} AS source_id", *attributes])
        described = [name if name in attributes else f"NULL::VARCHAR AS {name}" for name in ATTRIBUTES]
        ordered = "".join(f", {name}" for name in attributes)
        where = "WHERE product_id IS NOT NULL" if "product_id" in self.columns else "WHERE false"
        if "product_id" not in self.columns:
            known = "NULL::BIGINT AS product_id, NULL::VARCHAR AS source_id"
        self.engine.copy(
            f"""
            WITH variants AS (
              SELECT {known}, count(*) AS events, max(seconds) AS last_seen
              FROM staged {where} GROUP BY ALL
            ), ranked AS (
              SELECT *, row_number() OVER (
                PARTITION BY product_id ORDER BY events DESC, last_seen DESC, source_id{ordered}) AS rank
              FROM variants
            )
            SELECT {", ".join(["product_id", "source_id", *described])}
            FROM ranked WHERE rank = 1 ORDER BY product_id
            """,
            self.scratch / "products.parquet",
        )

    def _write_customers(self) -> None:
        """One row a customer, with the source's own id."""
        if "customer_id" not in self.columns:
            query = "SELECT NULL::BIGINT AS customer_id, NULL::VARCHAR AS source_id WHERE false"
        else:
            source_id = "min(customer_source)" if "customer_source" in self.columns else "customer_id::VARCHAR"
            query = (
                f"SELECT customer_id, {source_id} AS source_id FROM staged "
                "WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY customer_id"
            )
        self.engine.copy(query, self.scratch / "customers.parquet")

    def _write_events(self, staged: list[Staged]) -> list[_Tally]:
        tallies = [_Tally() for _ in staged]
        total, done = sum(one.rows for one in staged) or 1, 0
        self._number_anonymous_sessions()
        self.events.mkdir()
        files = [self.events / _events_name(number, one.source.label) for number, one in enumerate(staged)]
        writers = [pq.ParquetWriter(file, self._schema(), **_writer_options(self._schema())) for file in files]
        pending: Future[None] | None = None
        with ThreadPoolExecutor(max_workers=1) as writing:  # encoding one block while the next is sorted
            try:
                for block in _blocks(self._sorted_rows()):
                    parts = list(self._finished(block, tallies))
                    if pending:
                        pending.result()
                    pending = writing.submit(_write, writers, parts)
                    done += len(block)
                    self.progress("sort and write", done / total)
                if pending:
                    pending.result()
            finally:
                for writer in writers:
                    writer.close()
        return tallies

    def _number_anonymous_sessions(self) -> None:
        """Sessions of unknown customers are numbered beforehand: nothing bounds how many are open at once."""
        self.anonymous = False
        if "session_key" not in self.columns:
            return
        unknown = "customer_id IS NULL AND" if "customer_id" in self.columns else ""
        self.engine.execute(
            f"""CREATE OR REPLACE TEMP TABLE anonymous AS
            SELECT session_key AS anonymous_key, row_number() OVER (ORDER BY min(seconds), session_key) AS number
            FROM staged WHERE {unknown} session_key IS NOT NULL AND NOT ({quality.rejected(self.rules)})
            GROUP BY session_key"""
        )
        count = self.engine.count("SELECT count(*) FROM anonymous")
        self.anonymous = count > 0
        self.next_session = count + 1

    def _sorted_rows(self) -> Iterator[pa.RecordBatch]:
        """Staged rows in the order of the events, as Arrow batches."""
        has = self.columns.__contains__
        columns = [
            "file",
            "customer_id" if has("customer_id") else "NULL::BIGINT AS customer_id",
            "seconds",
            "session_key" if has("session_key") else "NULL::UBIGINT AS session_key",
            "product_id" if has("product_id") else "NULL::BIGINT AS product_id",
            "event_code",
            self._coded("event_name"),
            "price" if has("price") else f"NULL::{MONEY} AS price",
            "coalesce(quantity, 1) AS quantity" if has("quantity") else "1::INTEGER AS quantity",
            f"CASE WHEN event_code = {PURCHASE} THEN {quality.line_total(self.columns)} END AS amount",
            *[self._coded(name) for name in DIMENSIONS if has(name)],
            *(["discount"] if has("discount") else []),
            "row_hash",
        ]
        join = ""
        if self.anonymous:
            columns.append("number AS anonymous_number")
            unknown = "customer_id IS NULL AND" if has("customer_id") else ""
            join = f"LEFT JOIN anonymous ON {unknown} session_key = anonymous_key"
        order = ", ".join(f"{name} NULLS FIRST" for name in SORT_ORDER)
        kept = f"NOT ({quality.rejected(self.rules)})"
        query = f"SELECT {', '.join(columns)} FROM staged {join} WHERE {kept} ORDER BY {order}"
        return iter(self.engine.connection.sql(query).to_arrow_reader(BLOCK))

    def _coded(self, name: str) -> str:
        """A text column as it travels through the sort: as codes where it has few values."""
        values = [
            row[0]
            for row in self.engine.rows(
                f"SELECT DISTINCT {name} FROM staged WHERE {name} IS NOT NULL ORDER BY 1 LIMIT {ENUM_LIMIT + 1}"
            )
        ]
        if len(values) > ENUM_LIMIT:
            return name
        listed = ", ".join(literal(value) for value in values) or "''"
        self.engine.execute(f"CREATE TYPE {name}_values AS ENUM ({listed})")
        return f"{name}::{name}_values AS {name}"

    def _schema(self) -> pa.Schema:
        text = pa.dictionary(pa.int32(), pa.string())
        money = pa.decimal128(18, 4)
        fields = [
            pa.field("customer_id", pa.int64()),
            pa.field("session_id", pa.int64(), nullable=False),
            pa.field("event_time", pa.timestamp("ms"), nullable=False),
            pa.field("event_type", text, nullable=False),
            pa.field("event_name", text),
            pa.field("product_id", pa.int64()),
            pa.field("price", money),
            pa.field("quantity", pa.int32(), nullable=False),
            pa.field("amount", money),
            *[pa.field(name, text) for name in DIMENSIONS if name in self.columns],
            *([pa.field("discount", pa.float64())] if "discount" in self.columns else []),
        ]
        return pa.schema(fields)

    def _finished(self, block: pl.DataFrame, tallies: list[_Tally]) -> Iterator[tuple[int, pa.Table]]:
        """A block's rows as they are written, by source file."""
        if self.drop_duplicates:
            block = self._without_duplicates(block, tallies)
        gap = self.source.session_gap_minutes * 60 if isinstance(self.source, Clickstream) else 0
        keys = session_keys(block, gap)
        if self.anonymous:
            numbers = self._number_mixed(block, keys)
        else:
            numbers = number_sessions(keys, self.next_session)
            self.next_session = max(self.next_session, int(numbers.max() or 0) + 1)  # type: ignore[arg-type]
        block = _in_session_order(block.with_columns(numbers))
        for number in block["file"].unique().sort():
            part = block.filter(pl.col("file") == number) if len(tallies) > 1 else block
            tallies[int(number)].add(part)
            yield int(number), self._arrow(part)

    def _number_mixed(self, block: pl.DataFrame, keys: pl.DataFrame) -> pl.Series:
        """Numbers where some sessions have theirs already."""
        given = block["anonymous_number"]
        rest = number_sessions(keys.filter(given.is_null()), self.next_session)
        if len(rest):
            self.next_session = int(rest.max()) + 1  # type: ignore[arg-type]
        rows = pl.int_range(len(block), eager=True).filter(given.is_null())
        return given.cast(pl.Int64).scatter(rows, rest).alias("session_id")

    def _without_duplicates(self, block: pl.DataFrame, tallies: list[_Tally]) -> pl.DataFrame:
        same = block["row_hash"] == block["row_hash"].shift()  # one comparison tells almost all rows apart
        if same.any():
            same &= block.select(
                pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift()) for name in SORT_ORDER])
            ).to_series()
        if not same.any():
            return block
        same = same.fill_null(value=False)
        dropped = block.filter(same).group_by("file").agg(pl.len(), pl.col("amount").sum())
        for number, rows, revenue in dropped.iter_rows():
            tallies[number].duplicates += rows
            tallies[number].duplicates_revenue += float(revenue)
        return block.filter(~same)

    def _arrow(self, part: pl.DataFrame) -> pa.Table:
        schema = self._schema()
        codes = part["event_code"].cast(pl.Int32).to_arrow()
        columns: dict[str, Any] = {
            "event_time": (part["seconds"] * 1000).cast(pl.Datetime("ms")).to_arrow(),
            "event_type": pa.DictionaryArray.from_arrays(codes, pa.array(EVENT_TYPES)),
        }
        for field in schema:
            if field.name not in columns:
                column = part[field.name].to_arrow(compat_level=pl.CompatLevel.oldest())
                columns[field.name] = _coded_text(column) if pa.types.is_dictionary(field.type) else column
        return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)

    # -- the end ------------------------------------------------------------------------------------------------

    def _counted(
        self,
        staged: list[Staged],
        rejects: pl.DataFrame,
        tallies: list[_Tally],
        checks: list[Check],
        unknown: dict[str, int],
    ) -> Compaction:
        by_file = dict(rejects.group_by("file").len().iter_rows())
        files = []
        for number, (one, tally) in enumerate(zip(staged, tallies, strict=True)):
            count = FileCount(
                file=one.source.label,
                bytes=one.source.path.stat().st_size,
                rows_read=one.rows_read,
                rows_kept=tally.kept,
                rows_rejected=by_file.get(one.source.label, 0),
                duplicates_dropped=tally.duplicates,
                duplicates_revenue=tally.duplicates_revenue,
                first_event=_instant(tally.first),
                last_event=_instant(tally.last),
                parquet_bytes=(self.events / _events_name(number, one.source.label)).stat().st_size,
            )
            if count.rows_read != count.rows_kept + count.rows_rejected + count.duplicates_dropped:
                raise AssertionError(f"rows do not add up: {count}")
            files.append(count)
        total_bytes = sum(file.bytes for file in files)
        plain_text = all(one.source.is_plain_text for one in staged)
        kept = sum(file.rows_kept for file in files)
        events = sorted(self.events.glob("*.parquet"))
        return Compaction(
            files=files,
            checks=checks,
            unknown_events=unknown,
            products_bytes=(self.scratch / "products.parquet").stat().st_size,
            byte_steps=byte_steps(events, total_bytes / kept if plain_text and kept else None, self.scratch),
            seconds=time.monotonic() - self.started,
            key=self.key,
        )

    def _publish(self, rejects: pl.DataFrame) -> None:
        """Swap the finished tables in; compaction.json, which says that they are whole, goes first and comes last."""
        self.paths.compaction.unlink(missing_ok=True)
        shutil.rmtree(self.paths.events, ignore_errors=True)
        self.events.rename(self.paths.events)
        (self.scratch / "products.parquet").rename(self.paths.products)
        (self.scratch / "customers.parquet").rename(self.paths.customers)
        aside = self.scratch / "rejects.parquet"
        rejects.write_parquet(aside, compression="zstd")
        aside.rename(self.paths.rejects)


def _coded_text(column: pa.Array) -> pa.DictionaryArray:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), coded.dictionary.cast(pa.string()))


def _write(writers: list[pq.ParquetWriter], parts: list[tuple[int, pa.Table]]) -> None:
    for number, part in parts:
        writers[number].write_table(part, row_group_size=ROW_GROUP)


def _instant(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return None


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    """Ids and times that climb go as differences, the rest by dictionary."""
    climbing = ("customer_id", "session_id", "event_time")
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [field.name for field in schema if field.name not in climbing],
        "column_encoding": dict.fromkeys(climbing, "DELTA_BINARY_PACKED"),
        "dictionary_pagesize_limit": DICTIONARY_PAGE,
        "store_decimal_as_integer": True,
        "store_schema": False,
        "data_page_version": "2.0",
        "version": "2.6",
    }


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Batches of sorted rows as large blocks; no known customer, and no second of unknown ones, is cut in two."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < BLOCK:
            continue
        frame = _frame(held)
        cut = len(frame) - _open_rows(frame)
        if cut:
            yield frame.head(cut)
        rest = frame.tail(len(frame) - cut)
        held, rows = rest.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(), len(rest)
    if rows:
        yield _frame(held)


def _frame(batches: list[pa.RecordBatch]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches], how="vertical_relaxed", rechunk=True)


def _open_rows(frame: pl.DataFrame) -> int:
    """Rows at the end whose customer (or, of unknown customers, second) may go on in the next batch."""
    customer, second = frame["customer_id"][-1], frame["seconds"][-1]
    if customer is None:
        return int(frame.select((pl.col("customer_id").is_null() & (pl.col("seconds") == second)).sum()).item())
    return len(frame) - int(frame["customer_id"].fill_null(_BELOW_ALL).search_sorted(customer, side="left"))


def _in_session_order(block: pl.DataFrame) -> pl.DataFrame:
    """Rows of one customer and second in the order of the session's number; the sort had its key."""
    back = block["session_id"] < block["session_id"].shift()  # where a session ends before its neighbour began
    if back.any():
        same = [pl.col(name).eq_missing(pl.col(name).shift()) for name in ("customer_id", "seconds")]
        back &= block.select(pl.all_horizontal(same)).to_series()
    if not back.any():
        return block
    return block.sort("customer_id", "seconds", "session_id", "product_id", nulls_last=False, maintain_order=True)
