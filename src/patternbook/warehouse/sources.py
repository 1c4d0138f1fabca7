"""How each kind of source maps onto the event schema: which files, which of their columns, and how they are read."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from patternbook.errors import UserError
from patternbook.params import RESERVED_RUNS, Clickstream, Params, Simulated, Transactions
from patternbook.paths import RunPaths

TEXT_SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".tsv", ".txt", ".tsv.gz", ".txt.gz")
TABLE_SUFFIXES = (".parquet", ".xlsx")
CHUNK = 2**23  # bytes
LONGEST_ROW = 2_000_000  # characters: what DuckDB's reader takes
DELIMITERS = (",", ";", "\t", "|")
LIKELY_NAMES: dict[str, tuple[str, ...]] = {
    "event_time": (
        "event_time",
        "timestamp",
        "time",
        "datetime",
        "date",
        "invoicedate",
        "event_timestamp",
        "ts",
        "order_date",
        "created_at",
        "event_date",
        "order_time",
        "occurred_at",
    ),
    "event_type": ("event_type", "event", "action", "type", "behavior_type", "event_name", "behaviour"),
    "customer_id": (
        "user_id",
        "customer_id",
        "customerid",
        "visitorid",
        "visitor_id",
        "client_id",
        "userid",
        "customer",
        "user",
        "customer id",
        "buyer_id",
        "household_id",
        "member_id",
    ),
    "product_id": ("product_id", "itemid", "item_id", "stockcode", "sku", "product", "productid", "article_id", "item"),
    "session_id": ("user_session", "session_id", "sessionid", "session", "visit_id"),
    "order_id": (
        "order_id",
        "invoiceno",
        "invoice",
        "transaction_id",
        "basket_id",
        "orderid",
        "transactionid",
        "receipt",
        "order",
        "bon",
    ),
    "price": ("price", "unitprice", "unit_price", "amount_per_unit", "preis"),
    "quantity": ("quantity", "qty", "units", "count", "menge"),
    "amount": ("amount", "sales_value", "line_total", "revenue", "total", "sales", "umsatz"),
    "category_id": ("category_id", "categoryid", "category"),
    "category_code": ("category_code", "category_path", "category_name"),
    "brand": ("brand", "brand_name"),
    "name": ("description", "product_name", "name", "title", "item_name"),
    "platform": ("platform",),
    "device": ("device", "device_type"),
    "channel": ("channel", "utm_source", "traffic_source"),
    "region": ("region", "country", "state", "city"),
    "discount": ("discount", "discount_share"),
}


csv.field_size_limit(2**24)  # of the module's own 131,072 a long description would make an error


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its place, its name in this run, its columns, and which of them are ours (ours: theirs)."""

    path: Path
    label: str
    header: tuple[str, ...]
    columns: dict[str, str]
    blank_lines: int = 0  # before the header

    @property
    def is_text(self) -> bool:
        """Whether the file holds delimited text."""
        return self.path.name.lower().endswith(TEXT_SUFFIXES)

    @property
    def is_plain_text(self) -> bool:
        """Whether the file holds delimited text, uncompressed."""
        return self.is_text and not self.path.name.lower().endswith((".gz", ".zst"))


@dataclass(frozen=True)
class Survey:
    """What the bytes of a text file say: how many lines it has, whether there are quotes in it, and the first line
    that ends otherwise than those before it (such line ends are at home in quotes alone)."""

    lines: int
    quotes: bool
    other_end: int | None


@dataclass(frozen=True)
class Preview:
    """The first rows of one input, for `patternbook check`."""

    file: str
    bytes: int
    columns: dict[str, str]
    missing: list[str]
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def readable_source(params: Params, paths: RunPaths) -> Clickstream | Transactions:
    """The source as files: the simulated market is read back through the same door as a real log."""
    source = params.source
    if isinstance(source, Simulated):
        from patternbook.simulation import EVENT_NAMES  # heavy, and only a simulated run needs it

        return Clickstream(kind="clickstream", files=[str(paths.raw / "*.csv")], event_names=EVENT_NAMES)
    return source


def source_files(source: Clickstream | Transactions) -> list[SourceFile]:
    """The source's files in the order of the parameter file, globs sorted by name; their headers are read.

    A file that is there under two names (spelled twice, or through a link) is one file.

    Raises UserError naming the file, and line or key.
    """
    paths = list({(path.stat().st_dev, path.stat().st_ino): path for path in reversed(source.matches())}.values())[::-1]
    names = Counter(path.name for path in paths)
    return [_source_file(path, path.name if names[path.name] == 1 else str(path), source) for path in paths]


def _source_file(path: Path, label: str, source: Clickstream | Transactions) -> SourceFile:
    if not path.name.lower().endswith((*TEXT_SUFFIXES, *TABLE_SUFFIXES)):
        raise UserError(f"{path}: files of this kind cannot be read; give csv, csv.gz, csv.zst, parquet or xlsx")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty")
    try:
        header, blank_lines = _header(path, source.delimiter)
    except OSError as error:
        raise UserError(f"{path}: the file cannot be opened ({error.strerror or error})") from None
    return SourceFile(path, label, tuple(header), _mapping(path, header, source), blank_lines)


def _header(path: Path, delimiter: str) -> tuple[list[str], int]:
    """Names of the columns, each once, and the number of blank lines before them."""
    header, blank_lines = _given_header(path, delimiter)
    header = [name or f"column {number}" for number, name in enumerate(header, start=1)]
    folded = [name.casefold() for name in header]
    twice = next((name for name in header if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise UserError(f"{path}, line {blank_lines + 1}: column {twice!r} stands twice in the header; rename one")
    return header, blank_lines


def _given_header(path: Path, delimiter: str) -> tuple[list[str], int]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        try:
            return list(pl.read_parquet_schema(path)), 0
        except Exception:
            raise UserError(f"{path}: not a Parquet file, or a damaged one") from None
    if name.endswith(".xlsx"):
        return read_xlsx(path, rows=1).columns, 0
    head = _head_of_text(path)
    lines = _lines_with_text(head)
    if not lines:
        raise UserError(f"{path}: the file is empty")
    if "\x00" in lines[0] or "\ufffd" in lines[0]:
        raise UserError(f"{path}, line 1: not UTF-8 text (binary, or UTF-16?); save the file as UTF-8")
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    header = [column.strip() for column in next(row for row in reader if row)]
    if len(header) == 1:
        other = max((d for d in DELIMITERS if d != delimiter), key=lines[0].count)
        if lines[0].count(other):
            shown = "\\t" if other == "\t" else other
            raise UserError(
                f"{path}, line 1: only one column with the delimiter {delimiter!r}; the fields look separated by "
                f'{shown!r}: set source.delimiter: "{shown}"'
            )
    if len(lines) < 2:
        raise UserError(f"{path}: the file has a header and no rows")
    return header, _blank_at_start(head)


def _blank_at_start(text: str) -> int:
    start = re.match(r"[\r\n]*", text)
    return len(re.findall(r"\r\n|\r|\n", start.group())) if start else 0


def first_lines(path: Path, count: int, limit: int = 1_000_000) -> list[str]:
    """The first non-empty lines of a text file (csv, csv.gz, csv.zst), without line ends."""
    return _lines_with_text(_head_of_text(path, limit))[:count]


def _head_of_text(path: Path, limit: int = 1_000_000) -> str:
    with open_text(path) as text:
        return text.read(limit)


def _lines_with_text(text: str) -> list[str]:
    return [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]


def survey(path: Path) -> Survey:
    """Count the lines of a text file, byte by byte: the reader's own count of rows is held against it.

    Raises UserError where a compressed file is damaged, a line is out of all proportion, or lines end in two ways.
    """
    lines, quotes, kinds, last = 0, False, set[bytes](), b"\n"
    other_end = None
    with _open_binary(path) as binary:
        for chunk in _chunks(binary):
            quotes = quotes or b'"' in chunk
            ends = _line_ends(chunk)
            here = kinds | {kind for kind, count in ends.items() if count}
            if len(here) > 1 and other_end is None:
                other_end = lines + _first_other_end(chunk, kinds)
            if other_end and not quotes:
                raise mixed_line_ends(path, other_end)
            if not any(ends.values()) and len(chunk) >= CHUNK:
                raise UserError(f"{path}, line {lines + 1}: the line is longer than {CHUNK:,} bytes; is this a log?")
            lines, kinds, last = lines + sum(ends.values()), here, chunk[-1:]
    return Survey(lines + (last not in b"\r\n"), quotes, other_end)


def _chunks(binary: Any) -> Iterator[bytes]:
    """The bytes in large pieces that never part a \\r from its \\n."""
    while chunk := binary.read(CHUNK):
        while chunk.endswith(b"\r") and (following := binary.read(1)):
            chunk += following
        yield chunk


def _line_ends(chunk: bytes) -> dict[bytes, int]:
    feeds = int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")))
    if b"\r" not in chunk:
        return {b"\n": feeds}
    both = chunk.count(b"\r\n")
    return {b"\n": feeds - both, b"\r\n": both, b"\r": chunk.count(b"\r") - both}


def _first_other_end(chunk: bytes, kinds: set[bytes]) -> int:
    """Which line of the chunk, from 1, is the first that ends otherwise than those before it."""
    ends = re.findall(rb"\r\n|\r|\n", chunk)
    usual = next(iter(kinds), ends[0])
    return next(number for number, end in enumerate(ends, start=1) if end != usual)


def mixed_line_ends(path: Path, line: int) -> UserError:
    """The reader knows one end of a line only."""
    return UserError(
        f"{path}, line {line}: the line ends otherwise than those before it (\\n, \\r\\n or \\r); make them all one"
    )


def blank_lines(path: Path) -> int:
    """How many lines of a text file are empty; the reader passes over them."""
    blank, before = 0, b"\n"
    with _open_binary(path) as binary:
        for chunk in _chunks(binary):
            text = (before + chunk.removeprefix(codecs.BOM_UTF8)).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            codes = np.frombuffer(text, np.uint8) == ord("\n")
            blank += int(np.count_nonzero(codes[1:] & codes[:-1]))
            before = text[-1:]
    return blank


def row_lines(path: Path, delimiter: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The line on which each row of a text file starts, the header first, as the csv module tells rows apart."""
    with open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        ends = [(reader.line_num, bool(row)) for row in reader]
    lines = np.array([1, *(end + 1 for end, _ in ends[:-1])], dtype=np.int64)
    return lines[[filled for _, filled in ends]]


def text_of_lines(path: Path, numbers: list[int]) -> list[str]:
    """These lines of a text file, numbered from 1; `numbers` climb."""
    wanted = set(numbers)
    with open_text(path) as text:
        return [line for number, line in enumerate(text, start=1) if number in wanted]


def first_line_not_utf8(path: Path) -> int | None:
    """The first line of a text file with bytes that are not UTF-8."""
    with open_text(path) as text:
        return next((number for number, line in enumerate(text, start=1) if "\ufffd" in line), None)


def open_quote(path: Path, delimiter: str, width: int) -> int | None:
    """The line of the first quote that runs on over the rows after it: unclosed, or closed by the quote of another row.

    What stands in quotes over several lines, and ends with the quote, is a field like any other.
    """
    with open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
        while True:
            start = reader.line_num + 1
            try:
                row = next(reader)
                runs_on = sum(map(len, row)) > LONGEST_ROW or _holds_rows(row, delimiter, width)
            except StopIteration:
                return None
            except csv.Error:
                runs_on = True
            if runs_on and reader.line_num > start:
                return start


def _holds_rows(row: list[str], delimiter: str, width: int) -> bool:
    """Whether a field holds the end of its row, whole rows, and the beginning of another up to the same column."""
    for index, field_text in enumerate(row):
        if "\n" in field_text or "\r" in field_text:
            delimiters = [line.count(delimiter) for line in re.split(r"\r\n|\r|\n", field_text)]
            if delimiters == [width - 1 - index, *[width - 1] * (len(delimiters) - 2), index]:
                return True
    return False


def line_ends_before(path: Path, offsets: list[int]) -> list[int]:
    """How many lines end before each byte offset of a text file (uncompressed); `offsets` climb."""
    end = "\n" if "\n" in _head_of_text(path, LONGEST_ROW) else "\r"
    ends, counted, position = [], 0, 0
    with _open_binary(path) as binary:
        for offset in offsets:
            while position < offset and (chunk := binary.read(min(CHUNK, offset - position))):
                counted += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord(end)))
                position += len(chunk)
            ends.append(counted)
    return ends


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOBase]:
    """A text file, unpacked; bytes that are not UTF-8 come as replacement characters, line ends as they are."""
    with _open_binary(path) as binary:
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline="")


@contextmanager
def _open_binary(path: Path) -> Iterator[Any]:
    """Bytes of a text file, unpacked. Raises UserError where the packing is damaged."""
    if not path.name.lower().endswith((".gz", ".zst")):
        with path.open("rb") as raw:
            yield raw
        return
    try:
        with pa.input_stream(path, compression="gzip" if path.name.lower().endswith(".gz") else "zstd") as unpacked:
            yield unpacked
    except OSError as error:
        raise UserError(f"{path}: the compressed file is damaged ({error})") from None


def read_xlsx(path: Path, rows: int | None = None) -> pl.DataFrame:
    """First sheet of a workbook; a column that mixes numbers and text comes as text."""
    try:
        return pl.read_excel(path, infer_schema_length=None, read_options={"n_rows": rows} if rows else {})
    except Exception as error:
        raise UserError(f"{path}: cannot be read as an Excel workbook ({str(error).splitlines()[0]})") from None


def _mapping(path: Path, header: list[str], source: Clickstream | Transactions) -> dict[str, str]:
    """Our columns that the file has. A column that was asked for by name, or is required, must be there."""
    required = (
        ("event_time", "event_type", "customer_id")
        if isinstance(source, Clickstream)
        else ("event_time", "order_id", "product_id")
    )
    asked = source.columns.model_fields_set
    mapping: dict[str, str] = {}
    for ours, theirs in source.columns.model_dump().items():
        if theirs is None:
            continue
        if theirs in header:
            mapping[ours] = theirs
        elif ours in required or ours in asked:
            raise UserError(
                f"{path}, line 1: there is no column {theirs!r} (source.columns.{ours}); the file has "
                f"{', '.join(header[:20])}{' …' if len(header) > 20 else ''}. Set source.columns.{ours} to the right "
                "name" + ("" if ours in required else " or to null")
            )
    if isinstance(source, Transactions) and not {"price", "amount"} & set(mapping):
        raise UserError(
            f"{path}, line 1: there is neither a price nor an amount column; set source.columns.price "
            "or source.columns.amount"
        )
    return mapping


def preview(params: Params, rows: int = 5) -> list[Preview]:
    """First rows of each input, without reading the whole. Empty for a simulated source.

    Raises UserError as a run would.
    """
    if isinstance(params.source, Simulated):
        return []
    return [_preview(file, params.source, rows) for file in source_files(params.source)]


def _preview(file: SourceFile, source: Clickstream | Transactions, rows: int) -> Preview:
    known = [name for name in type(source.columns).model_fields if name in file.columns]
    missing = [name for name in type(source.columns).model_fields if name not in file.columns]
    unused = [name for name in file.header if name not in file.columns.values()]
    frame = _head(file, source.delimiter, rows)
    notes = [f"not used: {', '.join(unused)}"] if unused else []
    if isinstance(source, Clickstream):
        seen = {str(value) for value in frame.get_column(file.columns["event_type"]).to_list()}
        notes += [
            f"event name {name!r} is not in source.event_names: kept as other"
            for name in sorted(seen - set(source.event_names))
        ]
    return Preview(
        file=str(file.path),
        bytes=file.path.stat().st_size,
        columns={name: file.columns[name] for name in known},
        missing=missing,
        rows=frame.head(rows).to_dicts(),
        notes=notes,
    )


def _head(file: SourceFile, delimiter: str, rows: int) -> pl.DataFrame:
    name = file.path.name.lower()
    if name.endswith(".parquet"):
        return pl.scan_parquet(file.path).head(rows).collect()
    if name.endswith(".xlsx"):
        return read_xlsx(file.path, rows=rows)
    lines = first_lines(file.path, rows + 1)
    parsed = [row for row in csv.reader(lines[1:], delimiter=delimiter) if len(row) == len(file.header)]
    return pl.DataFrame(parsed, schema=dict.fromkeys(file.header, pl.String), orient="row")


def propose(file: Path) -> str:
    """A parameter file (YAML text) for a data file, with the mapping that its column names suggest."""
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    delimiter = ","
    if file.name.lower().endswith(TEXT_SUFFIXES):
        lines = first_lines(file, 1)
        if not lines:
            raise UserError(f"{file}: the file is empty")
        delimiter = max(DELIMITERS, key=lines[0].count)
    header, _ = _header(file, delimiter)
    found = _guess(header)
    kind = "clickstream" if "event_type" in found else "transactions"
    required = ("event_time", "customer_id") if kind == "clickstream" else ("event_time", "order_id", "product_id")
    missing = [name for name in required if name not in found]
    frame = _head(SourceFile(file, file.name, tuple(header), found), delimiter, 1000)
    return _proposal(file, kind, delimiter, found, missing, frame)


def _guess(header: list[str]) -> dict[str, str]:
    lower = {column.strip().lower(): column for column in reversed(header)}
    found: dict[str, str] = {}
    for ours, names in LIKELY_NAMES.items():
        match = next((lower[name] for name in names if name in lower and lower[name] not in found.values()), None)
        if match is not None:
            found[ours] = match
    return found


def _proposal(
    file: Path, kind: str, delimiter: str, found: dict[str, str], missing: list[str], frame: pl.DataFrame
) -> str:
    wanted = set(found) - ({"order_id"} if kind == "clickstream" else {"session_id", "event_type"})
    lines = [
        f"# Proposed by `patternbook init` from the columns of {file.name}. Check it with `patternbook check`.",
        f"run: {_yaml(_run_name(file))}",
        "source:",
        f"  kind: {kind}",
        f"  folder: {_yaml(str(file.parent))}",
        f"  files: [{_yaml(file.name)}]",
    ]
    if delimiter != ",":
        lines.append(f"  delimiter: {_yaml(delimiter)}")
    lines.append("  columns:")
    lines += [f"    {ours}: {_yaml(theirs)}" for ours, theirs in found.items() if ours in wanted]
    lines += [f"    {name}: ???   # no column looks like it: name it" for name in missing]
    if "event_time" in found:
        lines.append(f"  time_format: {_yaml(_time_format(frame.get_column(found['event_time'])))}")
    lines.append("  time_zone: UTC   # of times without an offset")
    if kind == "clickstream":
        names = sorted({str(v) for v in frame.get_column(found["event_type"]).drop_nulls().to_list()})[:30]
        lines.append("  event_names:   # their word: view, cart, remove_from_cart, purchase or other")
        lines += [f"    {_yaml(name)}: {_likely_event(name)}" for name in names]
    ids = {
        ours: "integer" if _is_integer(frame.get_column(found[key])) else "text"
        for ours, key in (("customer", "customer_id"), ("product", "product_id"))
        if key in found
    }
    lines.append(f"  ids: {{{', '.join(f'{key}: {value}' for key, value in ids.items())}}}")
    return "\n".join(lines) + "\n"


def _run_name(file: Path) -> str:
    """A run's name after the file: what of it a run may be called."""
    stem = re.sub("[^a-z0-9]+", "_", file.name.split(".")[0].lower()).strip("_")[:60] or "run"
    return f"{stem}_run" if stem in RESERVED_RUNS else stem


def _yaml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'


def _likely_event(name: str) -> str:
    word = name.lower().replace("-", "_").replace(" ", "_")
    if "remove" in word:
        return "remove_from_cart"
    if any(part in word for part in ("purchase", "transaction", "order", "buy")):
        return "purchase"
    if any(part in word for part in ("cart", "basket")):
        return "cart"
    return "view" if any(part in word for part in ("view", "pv", "detail", "impression")) else "other"


def _is_integer(values: pl.Series) -> bool:
    text = values.drop_nulls().cast(pl.String)
    return len(text) > 0 and bool(text.str.contains(r"^-?\d{1,18}$").all())


def _time_format(values: pl.Series) -> str:
    if values.dtype.is_temporal():
        return "iso8601"
    text = values.drop_nulls().cast(pl.String)
    if len(text) and text.str.contains(r"^\d{10}$").all():
        return "epoch_s"
    if len(text) and text.str.contains(r"^\d{13}$").all():
        return "epoch_ms"
    if len(text) and text.str.contains(r"^\d{4}-\d\d-\d\d").all():
        return "iso8601"
    patterns = (
        "%d.%m.%Y %H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%d.%m.%Y",
        "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
        "%m/%d/%Y",
        "%d/%m/%Y %H:%M:%S",
        "%d/%m/%Y %H:%M",
        "%d/%m/%Y",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y%m%d",
    )
    for pattern in patterns:
        if len(text) and text.str.to_datetime(pattern, strict=False).is_not_null().all():
            return pattern
    return "iso8601"
