"""SHA-256 of files, kept so that a file whose size and time are unchanged is never read again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from patternbook.findings import write_aside


class Digests:
    """SHA-256 by file, remembered in `cache` with the size and modification time (ns) that it belongs to."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known = _read(cache)
        self._saved = dict(self._known)

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
        """Write what was learnt; files that are gone are forgotten."""
        if self._known != self._saved:
            kept = {name: entry for name, entry in self._known.items() if Path(name).exists()}
            write_aside(self._cache, json.dumps(kept))
            self._saved = dict(self._known)


def _read(cache: Path) -> dict[str, list[int | str]]:
    try:
        known: dict[str, list[int | str]] = json.loads(cache.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return known
