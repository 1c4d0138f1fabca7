"""With compaction.keep_session_ids nothing is lost: the source's rows are rebuilt from what the run keeps.

What cannot be rebuilt are category_id, category_code, brand and name of a row where the source does not always say the
same of a product: `products` keeps what it says most often. Times, prices and numbers are compared as values, not by
their spelling.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from trial import Trial

from patternbook.report.dictionary import dictionary
from patternbook.simulation import EVENT_NAMES
from patternbook.warehouse import groups
from patternbook.warehouse.compaction import Compaction
from patternbook.warehouse.contracts import SESSIONS_SOURCE

KEPT = {"keep_session_ids": True}
DESCRIPTION = ("category_id", "category_code", "brand")
VALUES: dict[str, Callable[[str], Any]] = {
    "event_time": lambda text: datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC"),
    "price": Decimal,
    "discount": float,
}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """Source rows: what they say of a product apart from the rest."""

    bare: list[Row]
    descriptions: list[Row]  # product, then DESCRIPTION

    @property
    def whole(self) -> list[Row]:
        return list(zip(self.bare, self.descriptions, strict=True))


def as_rows(rows: Iterable[dict[str, Any]]) -> Rows:
    found = list(rows)
    names = [name for name in found[0] if name not in DESCRIPTION]
    return Rows(
        [tuple(row[name] for name in names) for row in found],
        [tuple(row[name] for name in ("product_id", *DESCRIPTION)) for row in found],
    )


def source_rows(files: Iterable[Path]) -> dict[tuple[str, int], list[str]]:
    """Fields by file and line, the header's line included; no row of these files runs over several lines."""
    found: dict[tuple[str, int], list[str]] = {}
    for file in files:
        with file.open(newline="") as text:
            found |= {(file.name, line): fields for line, fields in enumerate(csv.reader(text), start=1)}
    return found


def typed(header: list[str], fields: list[str]) -> dict[str, Any]:
    return {name: VALUES.get(name, str)(field) if field else None for name, field in zip(header, fields, strict=True)}


def rebuilt(project: Trial, header: list[str]) -> Rows:
    """Rows in the source's layout from events, products, customers and sessions_source."""
    paths = project.paths
    customers = pl.read_parquet(paths.customers).rename({"source_id": "user_id"})
    sessions = pl.read_parquet(paths.sessions_source).rename({"source_id": "user_session"})
    products = pl.read_parquet(paths.products).rename({"source_id": "product"})
    events = (
        project.events()
        .join(customers, on="customer_id", how="left")
        .join(sessions, on="session_id", how="left")
        .join(products, on="product_id", how="left")
        .with_columns(
            pl.coalesce(pl.col("event_name", "event_type").cast(pl.String)).alias("event_type"),
            pl.col("product").alias("product_id"),
        )
    )
    return as_rows(events.select(header).iter_rows(named=True))


def check_nothing_is_lost(project: Trial, counted: Compaction, files: list[Path]) -> int:
    """Hold what the run keeps against the source's rows; returns how many rows another description has replaced."""
    fields = source_rows(files)
    header = fields[files[0].name, 1]
    for file in files:
        assert fields.pop((file.name, 1)) == header
    rejected: dict[tuple[str, int], list[str] | None] = {}
    for file, line, _, raw in pl.read_parquet(project.paths.rejects).iter_rows():
        assert (file, line) not in rejected
        rejected[file, line] = next(csv.reader([raw])) if raw else None
    for place, masked in rejected.items():
        if masked is not None:
            given = fields[place]
            assert len(given) == len(masked)
            assert all(theirs in (ours, "***") for ours, theirs in zip(given, masked, strict=True))
            assert masked.count("***") <= 1 + abs(len(header) - len(given))

    source = as_rows(typed(header, given) for place, given in fields.items() if place not in rejected)
    once = Counter(source.whole)
    assert sum(once.values()) - len(once) == counted.total("duplicates_dropped")
    events = rebuilt(project, header)
    assert Counter(bare for bare, _ in once) == Counter(events.bare)

    unreadable = {place for place, masked in rejected.items() if masked is not None}
    said = as_rows(typed(header, given) for place, given in fields.items() if place not in unreadable).descriptions
    by_product: dict[Any, Counter[Row]] = defaultdict(Counter)
    for product, *description in said:
        by_product[product][tuple(description)] += 1
    kept = {product: tuple(description) for product, *description in events.descriptions}
    assert all(
        by_product[product][description] == max(by_product[product].values()) for product, description in kept.items()
    )
    replaced = [(product, description) for _, (product, *description) in once if kept[product] != tuple(description)]
    assert (Counter(once.keys()) - Counter(events.whole)).total() == len(replaced)
    return len(replaced)


def test_simulated_market_is_rebuilt(project: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """All mechanisms on, more dirt than those plant, rejects by reader and by rule, the second month added later."""
    monkeypatch.setattr(groups, "SMALL_GROUP", 1)
    project.compact({"kind": "simulated", "events": 12_000, "months": 2, "seed": 7})
    files, rebranded = [], 0
    for raw in sorted(project.paths.raw.glob("*.csv")):
        header, *lines = raw.read_text("utf-8").splitlines()
        names = header.split(",")
        for number in range(10, len(lines), 50):
            row = lines[number].split(",")
            row[names.index("user_session")] = ""
            lines[number - 1] = ",".join(row)
            row = lines[number + 5].split(",")
            if row[names.index("brand")] and lines.count(lines[number + 5]) == 1:
                row[names.index("brand")] = f"other {number}"
                lines[number + 5] = ",".join(row)
                rebranded += 1
        lines[20:20] = ["2024-07-01 10:00:00 UTC,view,1", lines[30].replace(" UTC", " never"), lines[40] + ",,more"]
        lines[60:60] = ["1999" + lines[60][4:]]
        files.append(project.file(f"logs/{raw.name}", "\n".join([header, *lines]) + "\n"))
    second = files[-1]
    shutil.move(second, project.root)
    source = {"kind": "clickstream", "files": ["logs/*.csv"], "event_names": EVENT_NAMES}
    rules = {"implausible_time": "reject", "bad_price": "reject"}
    project.compact(source, quality=rules, compaction=KEPT)
    shutil.move(project.root / second.name, second)
    counted = project.compact(source, quality=rules, compaction=KEPT)

    assert counted.total("duplicates_dropped") > 0
    assert counted.total("rows_rejected") > 8
    replaced = check_nothing_is_lost(project, counted, files)
    assert 0.8 * rebranded < replaced <= rebranded

    described = duckdb.execute(f"DESCRIBE FROM '{project.paths.sessions_source}'").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(one.name, one.type) for one in SESSIONS_SOURCE.columns]
    assert pl.read_parquet(project.paths.sessions_source)["session_id"].is_unique().all()
    page = dictionary(project.params(source, compaction=KEPT), {}, {}, project.paths)
    assert any("sessions_source.parquet" in cell.source for cell in page.cells)


def test_rees46_head_is_rebuilt(project: Trial, shared_file: Callable[[str], Path]) -> None:
    file = shared_file("rees46_2019-Oct_head.csv")
    counted = project.compact({"kind": "clickstream", "files": [str(file)]}, compaction=KEPT)
    assert check_nothing_is_lost(project, counted, [file]) == 0
