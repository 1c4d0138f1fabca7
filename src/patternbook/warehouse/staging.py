"""One source file, read once: typed rows into a staging Parquet file, unreadable rows into rejects.

Staging holds our columns as the source spells them (text), times as seconds, event types as codes. Delimited text
is typed by DuckDB's reader, which hands back each row that does not fit with its line; tables (Parquet, Excel) are
typed by TRY_CAST.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from patternbook.errors import UserError
from patternbook.params import Clickstream, Quality, Transactions
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.engine import identifier, literal
from patternbook.warehouse.sources import SourceFile, line_ends_before, read_xlsx

EVENT_TYPES = ("view", "cart", "remove_from_cart", "purchase", "other")
PURCHASE, OTHER = EVENT_TYPES.index("purchase"), EVENT_TYPES.index("other")
CANCELLATION = "cancellation"

ATTRIBUTES = ("category_id", "category_code", "brand", "name")
DIMENSIONS = ("platform", "device", "channel", "region")
MONEY = "DECIMAL(18,4)"
MAX_RAW_TEXT = 300

REJECTS_SCHEMA = {"file": pl.String, "line": pl.Int64, "reason": pl.String, "raw": pl.String}

_PLAIN = {"quantity": "INTEGER", "price": MONEY, "amount": MONEY, "discount": "DOUBLE"}
_NOT_READABLE = {
    "BIGINT": "not an integer of 64 bits",
    "INTEGER": "not a whole number",
    MONEY: "not an amount",
    "DOUBLE": "not a number",
}


@dataclass(frozen=True)
class Staged:
    """What one file gave: the staging file, and the rows that could not be read."""

    source: SourceFile
    file: Path
    rows: int
    rejects: pl.DataFrame

    @property
    def rows_read(self) -> int:
        """Rows of the source file, readable or not."""
        return self.rows + len(self.rejects)


def column_types(source: Clickstream | Transactions, columns: dict[str, str]) -> dict[str, str]:
    """Engine type that each of our columns is read as."""
    ids = {"customer_id": source.ids.customer, "product_id": source.ids.product}
    ids["session_id" if isinstance(source, Clickstream) else "order_id"] = source.ids.session
    types = dict.fromkeys(columns, "VARCHAR")
    types |= {name: kind for name, kind in _PLAIN.items() if name in columns}
    types |= {name: "BIGINT" for name, kind in ids.items() if name in columns and kind == "integer"}
    types["event_time"] = _time_type(source.time_format)
    return types


def _time_type(time_format: str) -> str:
    if time_format == "iso8601":
        return "TIMESTAMPTZ"  # understands offsets and "UTC"; a naive time is taken in the session's time zone
    return "BIGINT" if time_format.startswith("epoch_") else "TIMESTAMP"


def stage(
    engine: DuckEngine,
    source: Clickstream | Transactions,
    quality: Quality,
    file: SourceFile,
    number: int,
    target: Path,
) -> Staged:
    """Read one file into `target`. The engine's time zone must be the source's."""
    types = column_types(source, file.columns)
    numbered = "reject" in quality.model_dump().values()
    try:
        if file.is_text:
            relation = _text_relation(source, file, types, numbered)
            engine.execute("SET preserve_insertion_order = " + ("true" if numbered else "false"))
            engine.copy(_typed_rows(source, file, types, number, relation, numbered), target)
            rejects = _reader_rejects(engine, source, file, types)
        else:
            relation = _table_relation(engine, source, file, types, target)
            engine.copy(_typed_rows(source, file, types, number, f"({relation}) WHERE reason IS NULL", True), target)
            rejects = _table_rejects(engine, file, relation)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise UserError(f"{file.path}: cannot be read ({str(error).splitlines()[0]})") from error
    rows = engine.count(f"SELECT count(*) FROM {parquet(target)}")
    if rows == 0 and rejects.is_empty():
        raise UserError(f"{file.path}: the file has a header and no rows")
    return Staged(file, target, rows, rejects)


def _text_relation(source: Clickstream | Transactions, file: SourceFile, types: dict[str, str], numbered: bool) -> str:
    """DuckDB's CSV reader with every type given: nothing is guessed."""
    theirs = {file.columns[ours]: kind for ours, kind in types.items()}
    columns = ", ".join(f"{literal(name)}: {literal(theirs.get(name, 'VARCHAR'))}" for name in file.header)
    options = [
        literal(str(file.path)),
        "header = true, auto_detect = false, quote = '\"', escape = '\"', null_padding = false",
        f"delim = {literal(source.delimiter)}",
        f"columns = {{{columns}}}",
        f"force_not_null = [{literal(file.columns['event_time'])}]",  # an empty time is a reject, not a null
        "store_rejects = true, rejects_limit = 0",
    ]
    if types["event_time"] == "TIMESTAMP":
        options.append(f"timestampformat = {literal(source.time_format)}")
    row = ", row_number() OVER () AS source_row" if numbered else ""
    return f"(SELECT *{row} FROM read_csv({', '.join(options)}))"


def _table_relation(
    engine: DuckEngine, source: Clickstream | Transactions, file: SourceFile, types: dict[str, str], target: Path
) -> str:
    """A Parquet file or a workbook, cast column by column; `reason` says why a row cannot be read."""
    path = file.path
    if path.name.lower().endswith(".xlsx"):
        path = target.with_name(target.stem + ".xlsx.parquet")
        read_xlsx(file.path).write_parquet(path)
    scan = f"read_parquet({literal(str(path))}, file_row_number = true)"
    described = engine.rows(f"DESCRIBE SELECT * FROM {scan}")
    given = {str(name): str(kind) for name, kind, *_ in described}
    casts, reasons = [], []
    for ours, kind in types.items():
        theirs = file.columns[ours]
        raw = identifier(theirs)
        cast = (
            _table_time(raw, given[theirs], source.time_format)
            if ours == "event_time"
            else f"TRY_CAST({_without_decimals(raw, given[theirs], kind)} AS {kind})"
        )
        casts.append(f"{cast} AS {raw}")
        if ours == "event_time":
            reasons.append(f"WHEN {cast} IS NULL THEN {literal(_time_reason(theirs, source.time_format))}")
        elif kind != "VARCHAR":
            reason = literal(f"{theirs}: {_NOT_READABLE[kind]}")
            reasons.append(f"WHEN {cast} IS NULL AND nullif({raw}::VARCHAR, '') IS NOT NULL THEN {reason}")
    return (
        f"SELECT {', '.join(casts)}, CASE {' '.join(reasons)} END AS reason, "
        f"file_row_number + 1 AS source_row, to_json(t)::VARCHAR AS raw FROM {scan} t"
    )


def _without_decimals(raw: str, given: str, kind: str) -> str:
    """Workbooks and frames with gaps hold whole ids as 17850.0; as text that would read '17850.0'."""
    if given in ("DOUBLE", "FLOAT") and kind == "VARCHAR":
        return f"CASE WHEN {raw} = floor({raw}) THEN ({raw}::HUGEINT)::VARCHAR ELSE {raw}::VARCHAR END"
    return raw


def _table_time(raw: str, given: str, time_format: str) -> str:
    if given.startswith("TIMESTAMP") or given == "DATE":
        return raw if "TIME ZONE" in given and _time_type(time_format) == "TIMESTAMPTZ" else f"{raw}::TIMESTAMPTZ"
    wanted = _time_type(time_format)
    if wanted == "TIMESTAMP":
        return f"try_strptime({raw}::VARCHAR, {literal(time_format)})"
    return f"TRY_CAST({raw} AS {wanted})"


def _time_reason(column: str, time_format: str) -> str:
    return f"{column}: missing, or not a time ({time_format})"


def _typed_rows(
    source: Clickstream | Transactions,
    file: SourceFile,
    types: dict[str, str],
    number: int,
    relation: str,
    numbered: bool,
) -> str:
    """Our columns of a relation that holds theirs."""
    theirs = {ours: identifier(name) for ours, name in file.columns.items()}
    seconds = _seconds(source, theirs["event_time"], types["event_time"])
    columns = [f"{number}::USMALLINT AS file", f"floor({seconds})::BIGINT AS seconds"]
    if numbered:
        columns.append("source_row::BIGINT AS source_row")
    for ours in ("customer_id", "product_id"):
        if ours in theirs:
            columns.append(f"{_id(theirs[ours], types[ours])} AS {ours}")
            if types[ours] == "VARCHAR":
                columns.append(f"{theirs[ours]} AS {ours.removesuffix('_id')}_source")
    session = "session_id" if isinstance(source, Clickstream) else "order_id"
    if session in theirs:
        key = theirs[session]
        columns.append(f"CASE WHEN {key} IS NOT NULL THEN hash({key}) END AS session_key")
    columns += _event_columns(source, theirs)
    columns += [f"{theirs[name]} AS {name}" for name in ("price", "quantity", "amount", "discount") if name in theirs]
    columns += [f"{theirs[name]} AS {name}" for name in (*DIMENSIONS, *ATTRIBUTES) if name in theirs]
    columns.append(f"hash({', '.join(_content(theirs))}) AS row_hash")
    return f"SELECT {', '.join(columns)} FROM {relation}"


def _content(theirs: dict[str, str]) -> list[str]:
    """What makes two rows exact duplicates, beyond the columns that rows are sorted by."""
    sorted_by = ("event_time", "customer_id", "product_id", "session_id", "order_id")
    return [column for ours, column in theirs.items() if ours not in sorted_by] or ["0"]


def _seconds(source: Clickstream | Transactions, column: str, kind: str) -> str:
    if kind == "BIGINT":
        return column if source.time_format == "epoch_s" else f"{column} / 1000"
    if kind == "TIMESTAMP" and "%z" not in source.time_format:
        return f"epoch(timezone({literal(source.time_zone)}, {column}))"
    return f"epoch({column})"


def _id(column: str, kind: str) -> str:
    """Integers as they are; text as the first 63 bits of its MD5, which every engine computes alike."""
    if kind == "BIGINT":
        return f"({column} + 0)"  # not a bare column: the reader must type it
    return f"(('0x' || substr(md5({column}), 1, 16))::UBIGINT >> 1)::BIGINT"


def _event_columns(source: Clickstream | Transactions, theirs: dict[str, str]) -> list[str]:
    if isinstance(source, Transactions):
        name = "NULL::VARCHAR"
        if source.cancelled:
            prefix = literal(source.cancelled.order_id_prefix)
            name = f"CASE WHEN starts_with({theirs['order_id']}::VARCHAR, {prefix}) THEN '{CANCELLATION}' END"
        return [f"{PURCHASE}::UTINYINT AS event_code", f"{name} AS event_name"]
    event = theirs["event_type"]
    cases = " ".join(
        f"WHEN {literal(word)} THEN {EVENT_TYPES.index(kind)}" for word, kind in source.event_names.items()
    )
    code = f"CASE {event} {cases} ELSE {OTHER} END"
    words = ", ".join(literal(word) for word in source.event_names)
    name = f"CASE WHEN ({code}) = {OTHER} THEN {event} END"
    if "event_name" in theirs:
        name = f"coalesce({theirs['event_name']}, {name})"
    return [
        f"({code})::UTINYINT AS event_code",
        f"{name} AS event_name",
        f"({event} IS NULL OR {event} NOT IN ({words})) AS unknown_event",
    ]


def _reader_rejects(
    engine: DuckEngine, source: Clickstream | Transactions, file: SourceFile, types: dict[str, str]
) -> pl.DataFrame:
    """Rows that the CSV reader handed back, one each (a row can have several errors: the first counts)."""
    errors = engine.frame(
        "SELECT line_byte_position::BIGINT AS start, min_by(error_type::VARCHAR, position) AS error, "
        "min_by(column_name, position) AS column_name, min_by(error_message, position) AS message, "
        "any_value(csv_line) AS raw "
        "FROM (SELECT *, coalesce(column_idx, 0) AS position FROM reject_errors) "
        "GROUP BY line_byte_position ORDER BY start"
    )
    engine.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    ours = {name: key for key, name in file.columns.items()}
    personal = [file.header.index(file.columns[name]) for name in ("customer_id",) if name in file.columns]
    rows = [
        {
            "file": file.label,
            "line": line,
            "reason": _reader_reason(error, column, message, len(file.header), ours, types, source.time_format),
            "raw": _masked(raw or "", source.delimiter, personal),
        }
        for line, (_, error, column, message, raw) in zip(_lines(errors, file.path), errors.iter_rows(), strict=True)
    ]
    return pl.DataFrame(rows, schema=REJECTS_SCHEMA)


def _lines(errors: pl.DataFrame, path: Path) -> list[int]:
    """The line of each rejected row, as an editor counts; the reader does not count line breaks within quotes."""
    blank = errors["raw"].fill_null("").str.extract(r"^([\r\n]*)").str.count_matches("\n")
    before = line_ends_before(path, [start - 1 for start in errors["start"]])
    return [ends + skipped + 1 for ends, skipped in zip(before, blank, strict=True)]


def _reader_reason(
    error: str,
    column: str | None,
    message: str,
    width: int,
    ours: dict[str, str],
    types: dict[str, str],
    time_format: str,
) -> str:
    if error == "CAST" and column in ours:
        if ours[column] == "event_time":
            return _time_reason(column, time_format)
        return f"{column}: {_NOT_READABLE.get(types[ours[column]], 'cannot be read')}"
    if error in ("MISSING COLUMNS", "TOO MANY COLUMNS"):
        found = message.rsplit("Found:", 1)[-1].strip().split()[0] if "Found:" in message else "another number of"
        return f"{found} fields instead of {width}"
    return {
        "UNQUOTED VALUE": "a quote that is opened and not closed, or closed too early",
        "LINE SIZE OVER MAXIMUM": "a line longer than the reader takes",
        "INVALID ENCODING": "bytes that are not UTF-8",
    }.get(error, error.lower())


def _masked(raw: str, delimiter: str, personal: list[int]) -> str:
    """Raw text of a row with the personal columns masked, cut to a readable length."""
    line = raw.strip("\r\n")[: 10 * MAX_RAW_TEXT]
    fields = line.split(delimiter) if '"' not in line else next(csv.reader([line], delimiter=delimiter), [])
    masked = ["***" if index in personal and value else value for index, value in enumerate(fields)]
    return delimiter.join(masked)[:MAX_RAW_TEXT]


def _table_rejects(engine: DuckEngine, file: SourceFile, relation: str) -> pl.DataFrame:
    """Rows of a table that cannot be read; `line` is the row's number, from 1."""
    hidden = [literal(file.columns[name]) for name in ("customer_id",) if name in file.columns]
    mask = "".join(f", {key}: '***'" for key in hidden).removeprefix(", ")
    raw = f"json_merge_patch(raw::JSON, {{{mask}}}::JSON)::VARCHAR" if hidden else "raw"
    frame = engine.frame(
        f"SELECT {literal(file.label)} AS file, source_row::BIGINT AS line, reason, "
        f"substr({raw}, 1, {MAX_RAW_TEXT}) AS raw FROM ({relation}) WHERE reason IS NOT NULL ORDER BY line"
    )
    return frame.cast(REJECTS_SCHEMA)  # type: ignore[arg-type]
