"""One group of source files as events: sorted, without duplicates, sessions numbered, one Parquet file a source file.

The staged rows are sorted out of core and streamed through in blocks that end with a customer; in a block exact
duplicates stand side by side and sessions are numbered. Nothing grows with the input but the sort, which spills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from patternbook.params import Clickstream, Transactions
from patternbook.warehouse import quality
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.engine import literal
from patternbook.warehouse.quality import Rule
from patternbook.warehouse.sessions import continued_gaps, number_sessions, session_keys
from patternbook.warehouse.staging import DIMENSIONS, EVENT_TYPES, MONEY, PURCHASE

BLOCK = 524_288  # rows
ROW_GROUP = 524_288
DICTIONARY_PAGE = 8 * 2**20  # room for the ids of a large catalogue in one dictionary
ENUM_LIMIT = 10_000  # a dimension of more values stays text
_BELOW_ALL = -(2**63)
SORT_ORDER = ("customer_id", "seconds", "session_key", "product_id", "event_code", "row_hash")
SESSION_STATE = pa.schema(
    [
        pa.field("customer_id", pa.int64()),
        pa.field("session_key", pa.uint64()),  # null for a session by gap
        pa.field("session_id", pa.int64()),
        pa.field("last", pa.int64()),  # second of its last event, of a session by gap
    ]
)


@dataclass
class Tally:
    """Running counts of one source file."""

    kept: int = 0
    duplicates: int = 0
    duplicates_revenue: float = 0.0
    first: int | None = None
    last: int | None = None

    def add(self, block: pl.DataFrame) -> None:
        """Count rows that are kept."""
        self.kept += len(block)
        first, last = block["seconds"].min(), block["seconds"].max()
        self.first = first if self.first is None else min(self.first, first)  # type: ignore[type-var,assignment]
        self.last = last if self.last is None else max(self.last, last)  # type: ignore[type-var,assignment]

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        """First and last event; null for a year that no calendar has."""
        return _instant(self.first), _instant(self.last)


class EventWriter:
    """Writes the events of one group, whose rows are open as the view `staged` with their file's position in `file`.

    `earlier` are the session states of the groups before it, `next_session` is the first number that is free; after
    `write` it is the next free one.
    """

    def __init__(
        self,
        engine: DuckEngine,
        source: Clickstream | Transactions,
        rules: dict[str, Rule],
        columns: set[str],
        *,
        number: int,
        earlier: Sequence[Path],
        next_session: int,
    ) -> None:
        self.engine, self.rules, self.columns, self.number = engine, rules, columns, number
        self.earlier, self.first_session, self.next_session = earlier, next_session, next_session
        self.drop_duplicates = source.duplicates == "drop"
        self.gap = source.session_gap_minutes * 60 if isinstance(source, Clickstream) else 0

    def write(self, files: Sequence[Path], sessions: Path, report: Callable[[int], None]) -> list[Tally]:
        """Write events to `files`, one a source file, and the state of their sessions; `report` is told rows done."""
        tallies = [Tally() for _ in files]
        self._number_given_sessions()
        span = self.engine.rows("SELECT min(seconds), max(seconds) FROM staged")[0]
        self.last_second = span[1]
        self.open_gaps = self._open_gaps(span[0])
        schema = self._schema()
        writers = [pq.ParquetWriter(file, schema, **_writer_options(schema)) for file in files]
        states = pq.ParquetWriter(sessions, SESSION_STATE, **_STATE_OPTIONS)
        self._write_anonymous_states(states)
        pending: Future[None] | None = None
        with ThreadPoolExecutor(max_workers=1) as writing:  # encoding one block while the next is sorted
            try:
                for block in _blocks(self._sorted_rows(len(files) > 1)):
                    finished = self._finished(block, tallies)
                    parts = list(_parts(finished, tallies, schema))
                    state = self._session_states(finished)
                    if pending:
                        pending.result()
                    pending = writing.submit(_write, writers, parts, states, state)
                    report(len(block))
                if pending:
                    pending.result()
            finally:
                for writer in (*writers, states):
                    writer.close()
        return tallies

    # -- sessions that have their number already --------------------------------------------------------------------

    def _number_given_sessions(self) -> None:
        """The table `given`: sessions that go on from an earlier group, and all sessions of unknown customers.

        The latter are numbered beforehand, since nothing bounds how many of them are open at once.
        """
        self.given = False
        if "session_key" not in self.columns:
            return
        customer = "customer_id" if "customer_id" in self.columns else "NULL::BIGINT"
        known = (
            f"SELECT * FROM {parquet(*self.earlier)} WHERE session_key IS NOT NULL"
            if self.earlier
            else "SELECT NULL::BIGINT AS customer_id, NULL::UBIGINT AS session_key, NULL::BIGINT AS session_id "
            "WHERE false"
        )
        self.engine.execute(
            f"""CREATE OR REPLACE TEMP TABLE given AS
            WITH here AS (
              SELECT {customer} AS customer_id, session_key, min(seconds) AS started FROM staged
              WHERE session_key IS NOT NULL AND NOT ({quality.rejected(self.rules)})
                AND ({literal(bool(self.earlier))} OR {customer} IS NULL)
              GROUP BY ALL
            ), matched AS (
              SELECT here.*, known.session_id FROM here LEFT JOIN ({known}) AS known
              ON here.customer_id IS NOT DISTINCT FROM known.customer_id AND here.session_key = known.session_key
            )
            SELECT customer_id AS given_customer, session_key AS given_key, session_id AS number FROM matched
            WHERE session_id IS NOT NULL
            UNION ALL
            SELECT NULL, session_key, {self.next_session - 1} + row_number() OVER (ORDER BY started, session_key)
            FROM matched WHERE session_id IS NULL AND customer_id IS NULL"""
        )
        count, new = self.engine.rows(f"SELECT count(*), count(*) FILTER (number >= {self.first_session}) FROM given")[
            0
        ]
        self.given = count > 0
        self.next_session += new

    def _open_gaps(self, first_second: int | None) -> pl.DataFrame | None:
        """Sessions by gap that this group's events may continue: (customer_id, session_id, last)."""
        if not self.earlier or not self.gap or first_second is None:
            return None
        open_ones = self.engine.frame(
            f"SELECT customer_id, max_by(session_id, last) AS session_id, max(last) AS last "
            f"FROM {parquet(*self.earlier)} WHERE session_key IS NULL AND last >= {first_second - self.gap} "
            "GROUP BY customer_id"
        )
        return None if open_ones.is_empty() else open_ones

    def _write_anonymous_states(self, states: pq.ParquetWriter) -> None:
        if self.given:
            new = self.engine.connection.sql(
                "SELECT given_customer AS customer_id, given_key AS session_key, number AS session_id, "
                f"NULL::BIGINT AS last FROM given WHERE number >= {self.first_session} ORDER BY number"
            )
            for batch in new.to_arrow_reader(BLOCK):
                states.write_batch(batch.cast(SESSION_STATE))

    def _session_states(self, block: pl.DataFrame) -> pa.Table:
        """What a later group must know of the block's sessions: the key, or the last event where a gap ends them."""
        state = [pl.col(name) for name in ("customer_id", "session_key", "session_id")]
        known = block.filter(pl.col("customer_id").is_not_null())
        keyed = known.filter(
            pl.col("session_key").is_not_null()
            & (pl.col("session_id") >= self.first_session)
            & pl.col("session_id").is_first_distinct()
        ).select(*state, pl.lit(None, dtype=pl.Int64).alias("last"))
        by_gap = (
            known.filter(pl.col("session_key").is_null() & (pl.col("seconds") >= (self.last_second or 0) - self.gap))
            .group_by(state, maintain_order=True)
            .agg(pl.col("seconds").max().alias("last"))
        )
        return pl.concat([keyed, by_gap]).to_arrow().cast(SESSION_STATE)

    # -- rows -------------------------------------------------------------------------------------------------------

    def _sorted_rows(self, several_files: bool) -> Iterator[pa.RecordBatch]:
        """Staged rows in the order of the events, as Arrow batches; of equal rows that of the earlier file first."""
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
        if self.given:
            columns.append("number AS given_number")
            customer = "customer_id" if has("customer_id") else "NULL::BIGINT"
            join = f"LEFT JOIN given ON {customer} IS NOT DISTINCT FROM given_customer AND session_key = given_key"
        order = ", ".join(f"{name} NULLS FIRST" for name in (*SORT_ORDER, *(["file"] if several_files else [])))
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
        self.engine.execute(f"CREATE TYPE {name}_values_{self.number} AS ENUM ({listed})")
        return f"{name}::{name}_values_{self.number} AS {name}"

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

    def _finished(self, block: pl.DataFrame, tallies: list[Tally]) -> pl.DataFrame:
        """A block's rows as they are written, with `session_id`."""
        if self.drop_duplicates:
            block = self._without_duplicates(block, tallies)
        keys = session_keys(block, self.gap)
        given = self._given_numbers(block, keys)
        if given is None:
            numbers = number_sessions(keys, self.next_session)
            self.next_session = max(self.next_session, int(numbers.max() or 0) + 1)  # type: ignore[arg-type]
        else:
            numbers = self._number_the_rest(keys, given)
        return _in_session_order(block.with_columns(numbers))

    def _given_numbers(self, block: pl.DataFrame, keys: pl.DataFrame) -> pl.Series | None:
        """Numbers that the block's sessions have already, null where they have none; None where none has."""
        given = block["given_number"] if self.given else None
        if self.open_gaps is not None:
            goes_on = continued_gaps(block, keys, self.open_gaps, self.gap)
            given = goes_on if given is None else pl.select(pl.coalesce(given, goes_on)).to_series()
        return given

    def _number_the_rest(self, keys: pl.DataFrame, given: pl.Series) -> pl.Series:
        rest = number_sessions(keys.filter(given.is_null()), self.next_session)
        if len(rest):
            self.next_session = int(rest.max()) + 1  # type: ignore[arg-type]
        rows = pl.int_range(len(keys), eager=True).filter(given.is_null())
        return given.cast(pl.Int64).scatter(rows, rest).alias("session_id")

    def _without_duplicates(self, block: pl.DataFrame, tallies: list[Tally]) -> pl.DataFrame:
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


def _parts(block: pl.DataFrame, tallies: list[Tally], schema: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """A block's rows by source file, counted."""
    for number in block["file"].unique().sort():
        part = block.filter(pl.col("file") == number) if len(tallies) > 1 else block
        tallies[int(number)].add(part)
        yield int(number), _arrow(part, schema)


def _arrow(part: pl.DataFrame, schema: pa.Schema) -> pa.Table:
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


def _coded_text(column: pa.Array) -> pa.DictionaryArray:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int32()), coded.dictionary.cast(pa.string()))


def _write(
    writers: list[pq.ParquetWriter], parts: list[tuple[int, pa.Table]], states: pq.ParquetWriter, state: pa.Table
) -> None:
    for number, part in parts:
        writers[number].write_table(part, row_group_size=ROW_GROUP)
    if state.num_rows:
        states.write_table(state)


_STATE_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": False,
    "column_encoding": {"customer_id": "DELTA_BINARY_PACKED", "session_id": "DELTA_BINARY_PACKED"},
}


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
