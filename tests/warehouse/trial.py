"""A throw-away project in which small event logs are compacted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from patternbook.params import Params
from patternbook.paths import RunPaths
from patternbook.warehouse.compaction import Compaction, compact
from patternbook.warehouse.marts import build_marts, event_files

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"


class Trial:
    """A throw-away project root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = RunPaths("trial", root)

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def params(self, source: Mapping[str, Any], **sections: Any) -> Params:
        return Params(run="trial", source=dict(source), **sections)

    def compact(self, source: Mapping[str, Any], **sections: Any) -> Compaction:
        return compact(self.params(source, **sections))

    def build(self, source: Mapping[str, Any], **sections: Any) -> Compaction:
        params = self.params(source, **sections)
        counted = compact(params)
        build_marts(params)
        return counted

    def events(self) -> pl.DataFrame:
        return pl.concat([pl.read_parquet(file) for file in event_files(self.paths)])

    def mart(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.paths.mart(name))


@contextmanager
def trial_project() -> Iterator[Trial]:
    before = os.environ.get("PATTERNBOOK_ROOT")
    with TemporaryDirectory() as folder:
        os.environ["PATTERNBOOK_ROOT"] = folder
        try:
            yield Trial(Path(folder).resolve())
        finally:
            if before is None:
                del os.environ["PATTERNBOOK_ROOT"]
            else:
                os.environ["PATTERNBOOK_ROOT"] = before
