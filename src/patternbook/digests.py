"""SHA-256 of files, kept so that a file whose size and time are unchanged is never read again; and of tables."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import polars as pl

from patternbook.findings import SIGNIFICANT_DIGITS, write_aside


class Digests:
    """SHA-256 by file, remembered in `cache` with the size and modification time (ns) that it belongs to."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known = _read(cache)
        self._saved = dict(self._known)
        self._saving = threading.Lock()

    def of(self, file: Path) -> str | None:
        """Hex digest of `file`, null where there is no such file."""
        try:
            stat = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        known = self._known.get(str(file))
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return str(known[2])
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._known[str(file)] = [stat.st_size, stat.st_mtime_ns, digest]
        return digest

    def save(self) -> None:
        """Write what was learnt; files that are gone are forgotten. Steps may call it from several threads."""
        with self._saving:
            known = dict(self._known)
            if known != self._saved:
                write_aside(self._cache, json.dumps({name: known[name] for name in known if Path(name).exists()}))
                self._saved = known


def content_digest(table: pl.DataFrame) -> str:
    """SHA-256 of what a table says: its columns with their types, then its rows in order.

    Not of its Parquet file, whose bytes change with the writer's version, its compression and its row groups while
    the table stays the same. Floats count to 12 significant digits, as in findings; NaN and infinity count as null.
    """
    digest = hashlib.sha256(repr([(name, str(kind)) for name, kind in table.schema.items()]).encode())
    digest.update(as_told(table).write_ndjson().encode())
    return digest.hexdigest()


def as_told(table: pl.DataFrame) -> pl.DataFrame:
    """A table with its floats to 12 significant digits: further digits depend on the order of a sum."""
    return table.with_columns(pl.selectors.float().round_sig_figs(SIGNIFICANT_DIGITS))


def _read(cache: Path) -> dict[str, list[int | str]]:
    try:
        known: dict[str, list[int | str]] = json.loads(cache.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return known
