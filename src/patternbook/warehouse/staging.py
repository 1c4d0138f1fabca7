"""One source file, read once: typed rows into a staging Parquet file, unreadable rows into rejects.

Staging holds our columns as the source spells them (text), times as seconds, event types as codes. Delimited text
is typed by DuckDB's reader, which hands back each row that does not fit with its line; tables (Parquet, Excel) are
typed by TRY_CAST.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from patternbook.errors import UserError
from patternbook.params import Clickstream, Quality, Transactions
from patternbook.warehouse.duckdb import DuckEngine, parquet
from patternbook.warehouse.engine import identifier, literal
from patternbook.warehouse.sources import (
    SourceFile,
    Survey,
    blank_lines,
    first_line_not_utf8,
    line_ends_before,
    mixed_line_ends,
    open_quote,
    read_xlsx,
    row_lines,
    survey,
    text_of_lines,
)

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
_READER_REASONS = {
    "UNQUOTED VALUE": "a quote that is opened and not closed, or closed too early",
    "LINE SIZE OVER MAXIMUM": "a line longer than the reader takes",
    "INVALID ENCODING": "bytes that are not UTF-8",
}
_SWALLOWING = ("UNQUOTED VALUE", "LINE SIZE OVER MAXIMUM")
_WHOLE = ("BIGINT", "INTEGER")
_WHOLE_NUMBER = r"\s*[+-]?[0-9]+(\.0*)?\s*"
_ID_KEYS = {"customer_id": "customer", "product_id": "product", "session_id": "session", "order_id": "session"}
_WIDE_MONEY = "DECIMAL(38,4)"  # holds any price times any quantity
_TOTAL_TOO_LONG = "price x quantity has more than 14 digits before the decimal point"
_FAULT = "a value that would be changed"
HEADER_AGAIN = "the header again"


@dataclass(frozen=True)
class Numbering:
    """How the rows that the reader took from a text file, numbered from 1, lie on its lines."""

    path: Path
    delimiter: str
    a_row_a_line: bool
    unread: np.ndarray[tuple[int], np.dtype[np.int64]]  # lines of the rows that the reader handed back, climbing

    def lines(self, rows: pl.Series) -> pl.Series:
        """The line on which each of these rows starts."""
        numbers = rows.to_numpy()
        if not self.a_row_a_line:
            taken = np.setdiff1d(row_lines(self.path, self.delimiter)[1:], self.unread)
            return pl.Series(taken[numbers - 1], dtype=pl.Int64)
        read_before = self.unread - 2 - np.arange(len(self.unread))
        return pl.Series(numbers + 1 + np.searchsorted(read_before, numbers, side="left"), dtype=pl.Int64)


@dataclass(frozen=True)
class Staged:
    """What one file gave: the staging file, and the rows that could not be read."""

    source: SourceFile
    file: Path
    rows: int
    rejects: pl.DataFrame
    numbering: Numbering | None = None  # of a text file

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
    session_text: bool = False,
) -> Staged:
    """Read one file into `target`, with the source's own session ids where `session_text` says so.

    The engine's time zone must be the source's.
    """
    types = column_types(source, file.columns)
    numbered = "reject" in quality.model_dump().values()
    try:
        if file.is_text:
            staged = _stage_text(engine, source, file, types, number, target, numbered, session_text)
        else:
            relation = _table_relation(engine, source, file, types, target)
            sound = f"({relation}) WHERE reason IS NULL"
            engine.copy(_typed_rows(source, file, types, number, sound, True, session_text), target)
            staged = Staged(file, target, _count(engine, target), _table_rejects(engine, file, relation))
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if "Invalid unicode" in str(error) and file.is_text and (line := first_line_not_utf8(file.path)):
            raise UserError(f"{file.path}, line {line}: bytes that are not UTF-8; save the file as UTF-8") from error
        raise UserError(f"{file.path}: cannot be read ({str(error).splitlines()[0]})") from error
    if staged.rows_read == 0:
        raise UserError(f"{file.path}: the file has a header and no rows")
    return staged


def _count(engine: DuckEngine, file: Path) -> int:
    return engine.count(f"SELECT count(*) FROM {parquet(file)}")


def _stage_text(
    engine: DuckEngine,
    source: Clickstream | Transactions,
    file: SourceFile,
    types: dict[str, str],
    number: int,
    target: Path,
    numbered: bool,
    session_text: bool,
) -> Staged:
    """Read a text file in one go; only where a value would be changed is it read again, row by numbered row."""
    surveyed = survey(file.path)
    faults = _faults(source, file, types)
    broken = " OR ".join(f"({condition})" for condition, _ in faults)
    relation = _text_relation(source, file, types, numbered)
    guarded = _as_whole(
        file, types, f"SELECT * FROM {relation} WHERE CASE WHEN {broken} THEN error('{_FAULT}') ELSE true END"
    )
    engine.execute("SET preserve_insertion_order = " + ("true" if numbered else "false"))
    try:
        engine.copy(_typed_rows(source, file, types, number, f"({guarded})", numbered, session_text), target)
        faulty = None
    except duckdb.InvalidInputException as error:
        if "state machine" in str(error) and surveyed.other_end:
            raise mixed_line_ends(file.path, surveyed.other_end) from error
        if _FAULT not in str(error):
            raise
        _forget_rejects(engine)
        engine.execute("SET preserve_insertion_order = true")
        faulty = target.with_name(target.stem + ".read.parquet")
        cases = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in faults)
        relation = _text_relation(source, file, types, numbered=True)
        engine.copy(f"SELECT *, CASE {cases} END AS reason FROM {relation}", faulty)
        sound = _as_whole(file, types, f"SELECT * EXCLUDE reason FROM {parquet(faulty)} WHERE reason IS NULL")
        engine.copy(_typed_rows(source, file, types, number, f"({sound})", numbered, session_text), target)
    rejects = _reader_rejects(engine, source, file, types)
    rows = _count(engine, faulty or target)
    _stop_at_lost_rows(source, file, surveyed, rows, rejects)
    a_row_a_line = surveyed.lines == rows + len(rejects) + 1
    numbering = Numbering(file.path, source.delimiter, a_row_a_line, np.sort(rejects["line"].to_numpy()))
    if faulty:
        rejects = pl.concat([rejects, _faulty_rows(engine, source, file, faulty, numbering)]).sort("line")
    return Staged(file, target, _count(engine, target), rejects, numbering)


def _faults(source: Clickstream | Transactions, file: SourceFile, types: dict[str, str]) -> list[tuple[str, str]]:
    """Conditions on rows as the text reader gives them, and why such rows are rejected.

    Whole numbers come as text, since the reader would round 2.5 and take 1e3 and 0x10; it takes times for which no
    calendar has a date.
    """
    faults = []
    for ours, kind in types.items():
        theirs = file.columns[ours]
        column = identifier(theirs)
        if kind in _WHOLE:
            if ours == "event_time":
                faults.append((f"{column} = {literal(theirs)}", HEADER_AGAIN))
            reason = _time_reason(theirs, source.time_format) if ours == "event_time" else _unreadable(theirs, kind)
            whole = f"regexp_full_match({column}, {literal(_WHOLE_NUMBER)})"
            faults.append(
                (f"{column} IS NOT NULL AND NOT ({whole} AND TRY_CAST({column} AS {kind}) IS NOT NULL)", reason)
            )
            if ours in _ID_KEYS:
                faults.append((_leading_zero(column), _loses_a_zero(ours, theirs)))
        if ours == "event_time":
            cast = f"TRY_CAST({column} AS {kind})" if kind in _WHOLE else column
            faults.append(
                (f"NOT ({_has_a_date(cast, kind, source.time_format)})", _time_reason(theirs, source.time_format))
            )
        if kind == "DOUBLE":
            faults.append((f"NOT isfinite({column})", _unreadable(theirs, kind)))
    if {"price", "quantity"} <= set(types):
        names = (identifier(file.columns[ours]) for ours in ("price", "quantity"))
        faults.append((_total_too_long(*names), _TOTAL_TOO_LONG))
    return faults


def _total_too_long(price: str, quantity: str) -> str:
    """Whether price x quantity, each readable, does not fit an amount."""
    wide = f"TRY_CAST({price} AS {MONEY})::{_WIDE_MONEY} * TRY_CAST({quantity} AS INTEGER)"
    return f"{wide} IS NOT NULL AND TRY_CAST({wide} AS {MONEY}) IS NULL"


def _has_a_date(time: str, kind: str, time_format: str) -> str:
    if kind == "BIGINT":
        unit = 1 if time_format == "epoch_s" else 1000
        return f"{time} BETWEEN {-62135596800 * unit} AND {253402300799 * unit}"
    return f"{time} BETWEEN '0001-01-01'::{kind} AND '9999-12-31'::{kind}"


def _unreadable(column: str, kind: str) -> str:
    return f"{column}: {_NOT_READABLE[kind]}"


def _leading_zero(column: str) -> str:
    """Whether a text is a number with a leading zero: as an identifier 007 is another one than 7."""
    digits = f"ltrim({column}, ' +-')"
    return f"({digits} LIKE '0_%' AND {digits} NOT LIKE '0.%')"


def _loses_a_zero(ours: str, theirs: str) -> str:
    return f"{theirs}: a leading zero, which a number would lose; source.ids.{_ID_KEYS[ours]}: text keeps it"


def _as_whole(file: SourceFile, types: dict[str, str], query: str) -> str:
    """The query with its whole numbers as numbers."""
    columns = [(identifier(file.columns[ours]), kind) for ours, kind in types.items() if kind in _WHOLE]
    if not columns:
        return query
    casts = ", ".join(f"TRY_CAST({column} AS {kind}) AS {column}" for column, kind in columns)
    return f"SELECT * REPLACE ({casts}) FROM ({query})"


def _faulty_rows(
    engine: DuckEngine, source: Clickstream | Transactions, file: SourceFile, read: Path, numbering: Numbering
) -> pl.DataFrame:
    rows = engine.frame(f"SELECT source_row, reason FROM {parquet(read)} WHERE reason IS NOT NULL ORDER BY source_row")
    lines = numbering.lines(rows["source_row"])
    personal = _personal(file)
    raw = [
        _masked(line, source.delimiter, len(file.header), personal)
        for line in text_of_lines(file.path, lines.to_list())
    ]
    return pl.DataFrame(
        {"file": [file.label] * len(rows), "line": lines, "reason": rows["reason"], "raw": raw}, schema=REJECTS_SCHEMA
    )


def _personal(file: SourceFile) -> list[int]:
    """Where in a row the columns stand that name a person."""
    return [file.header.index(file.columns[name]) for name in ("customer_id",) if name in file.columns]


def _stop_at_lost_rows(
    source: Clickstream | Transactions, file: SourceFile, surveyed: Survey, rows: int, rejects: pl.DataFrame
) -> None:
    """A quote that is not closed takes the rows after it along, and the reader is silent about them."""
    found, expected = rows + len(rejects), surveyed.lines - 1
    broken_off = rejects["reason"].is_in([_READER_REASONS[error] for error in _SWALLOWING]).any()
    if found == expected and not broken_off:
        return
    if surveyed.quotes:
        line = open_quote(file.path, source.delimiter, len(file.header))
        if line:
            raise UserError(
                f"{file.path}, line {line}: a quote is opened and not closed, so that the rows after it cannot be told "
                "apart; close it, or double it if it is part of the text"
            )
        expected = len(row_lines(file.path, source.delimiter)) - 1
    else:
        expected -= blank_lines(file.path)
    if found == expected:
        return
    if surveyed.other_end:
        raise mixed_line_ends(file.path, surveyed.other_end)
    raise UserError(
        f"{file.path}: {expected:,} rows by its lines, but the reader finds {found:,}; is the file damaged, a line of "
        "it too long, or a quote out of place?"
    )


def _text_relation(source: Clickstream | Transactions, file: SourceFile, types: dict[str, str], numbered: bool) -> str:
    """DuckDB's CSV reader with every type given (whole numbers as text, see `_faults`): nothing is guessed."""
    theirs = {file.columns[ours]: "VARCHAR" if kind in _WHOLE else kind for ours, kind in types.items()}
    columns = ", ".join(f"{literal(name)}: {literal(theirs.get(name, 'VARCHAR'))}" for name in file.header)
    options = [
        literal(str(file.path)),
        "header = true, auto_detect = false, quote = '\"', escape = '\"', null_padding = false",
        f"delim = {literal(source.delimiter)}, skip = {file.blank_lines}",
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
            else f"TRY_CAST({_unrounded(_without_decimals(raw, given[theirs], kind), given[theirs], kind)} AS {kind})"
        )
        casts.append(f"{cast} AS {raw}")
        if ours == "event_time":
            dated = _has_a_date(f"({cast})", kind, source.time_format)
            reasons.append(f"WHEN ({dated}) IS NOT TRUE THEN {literal(_time_reason(theirs, source.time_format))}")
        elif kind != "VARCHAR":
            reason = literal(_unreadable(theirs, kind))
            unreadable = f"{cast} IS NULL" if kind != "DOUBLE" else f"({cast} IS NULL OR NOT isfinite({cast}))"
            reasons.append(f"WHEN {unreadable} AND nullif({raw}::VARCHAR, '') IS NOT NULL THEN {reason}")
            if ours in _ID_KEYS and given[theirs] == "VARCHAR":
                reasons.append(f"WHEN {_leading_zero(raw)} THEN {literal(_loses_a_zero(ours, theirs))}")
    if {"price", "quantity"} <= set(types):
        names = (identifier(file.columns[ours]) for ours in ("price", "quantity"))
        reasons.append(f"WHEN {_total_too_long(*names)} THEN {literal(_TOTAL_TOO_LONG)}")
    return (
        f"SELECT {', '.join(casts)}, CASE {' '.join(reasons)} END AS reason, "
        f"file_row_number + 1 AS source_row, to_json(t)::VARCHAR AS raw FROM {scan} t"
    )


def _without_decimals(raw: str, given: str, kind: str) -> str:
    """Workbooks and frames with gaps hold whole ids as 17850.0; as text that would read '17850.0'."""
    if given in ("DOUBLE", "FLOAT") and kind == "VARCHAR":
        return f"CASE WHEN {raw} = floor({raw}) THEN ({raw}::HUGEINT)::VARCHAR ELSE {raw}::VARCHAR END"
    return raw


def _unrounded(raw: str, given: str, kind: str) -> str:
    """Null for what a cast to a whole number would change."""
    if kind not in _WHOLE:
        return raw
    if given == "VARCHAR":
        return f"CASE WHEN regexp_full_match({raw}, {literal(_WHOLE_NUMBER)}) THEN {raw} END"
    return f"CASE WHEN {raw} = floor({raw}) THEN {raw} END" if given.startswith(("DOUBLE", "FLOAT", "DECIMAL")) else raw


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
    session_text: bool,
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
        if session_text:
            columns.append(f"{key}::VARCHAR AS session_source")
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
    _forget_rejects(engine)
    ours = {name: key for key, name in file.columns.items()}
    personal = _personal(file)
    lines = _lines(errors, file.path)
    texts = _as_they_stand(errors, lines, file.path)
    rows = [
        {
            "file": file.label,
            "line": line,
            "reason": HEADER_AGAIN
            if _fields(raw, source.delimiter) == list(file.header)
            else _reader_reason(error, column, message, len(file.header), ours, types, source.time_format),
            "raw": _masked(raw, source.delimiter, len(file.header), personal),
        }
        for line, raw, (_, error, column, message, _) in zip(lines, texts, errors.iter_rows(), strict=True)
    ]
    return pl.DataFrame(rows, schema=REJECTS_SCHEMA)


def _as_they_stand(errors: pl.DataFrame, lines: list[int], path: Path) -> list[str]:
    """Raw text of rejected rows. With bytes that are not UTF-8 the reader loses those that follow: it is looked up."""
    texts: list[str] = errors["raw"].fill_null("").to_list()
    garbled = [place for place, error in enumerate(errors["error"]) if error == "INVALID ENCODING"]
    wanted = sorted({lines[place] for place in garbled})
    found = dict(zip(wanted, text_of_lines(path, wanted), strict=True)) if wanted else {}
    for place in garbled:
        texts[place] = found[lines[place]]
    return texts


def _forget_rejects(engine: DuckEngine) -> None:
    engine.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")


def _lines(errors: pl.DataFrame, path: Path) -> list[int]:
    """The line of each rejected row, as an editor counts; the reader does not count line breaks within quotes."""
    blank = errors["raw"].fill_null("").str.extract(r"^([\r\n]*)").str.count_matches(r"\r\n|\r|\n")
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
    return _READER_REASONS.get(error, error.lower())


def _masked(raw: str, delimiter: str, width: int, personal: list[int]) -> str:
    """Raw text of a row with the personal columns masked, cut to a readable length.

    Where fields are missing or too many, a personal one may stand at any place between here and there.
    """
    fields = _fields(raw, delimiter)
    shift = len(fields) - width
    hidden = {index + by for index in personal for by in range(min(0, shift), max(0, shift) + 1)}
    masked = ["***" if index in hidden and value else value for index, value in enumerate(fields)]
    return delimiter.join(masked)[:MAX_RAW_TEXT]


def _fields(raw: str, delimiter: str) -> list[str]:
    """Fields of the first row in this text."""
    start = io.StringIO(raw.strip("\r\n")[: 10 * MAX_RAW_TEXT], newline="")
    return next(csv.reader(start, delimiter=delimiter), [])


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
