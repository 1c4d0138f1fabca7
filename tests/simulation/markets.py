"""Markets for the tests: small ones, and ones with few mechanisms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from patternbook.params import Mechanisms, Simulated
from patternbook.simulation import simulate


def source(events: int = 30_000, only: tuple[str, ...] | None = None, **keys: Any) -> Simulated:
    """A simulated source; `only` names the mechanisms that are on."""
    mechanisms = (
        Mechanisms() if only is None else Mechanisms(**{name: name in only for name in Mechanisms.model_fields})
    )
    return Simulated(kind="simulated", events=events, **{"start": date(2024, 1, 1), "mechanisms": mechanisms} | keys)


@dataclass(frozen=True)
class Market:
    """A market that has been written: its rows as text says them, its truth."""

    folder: Path
    files: list[Path]
    rows: pl.DataFrame
    truth: dict[str, Any]

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"truth_{name}.parquet")

    def sessions(self) -> pl.DataFrame:
        """One row a session: customer, start, has a cart, has an order."""
        return (
            self.rows.group_by("user_session")
            .agg(
                pl.col("user_id").first(),
                pl.col("event_time").min().alias("start"),
                (pl.col("event_type") == "cart").any().alias("cart"),
                (pl.col("event_type") == "purchase").any().alias("order"),
            )
            .sort("start", "user_session")
        )

    def orders(self) -> pl.DataFrame:
        return self.sessions().filter("order")


def market(folder: Path, simulated: Simulated) -> Market:
    files = simulate(simulated, folder)
    rows = pl.concat([pl.read_csv(file, schema_overrides={"discount": pl.Float64}) for file in files])
    rows = rows.with_columns(pl.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S UTC"))
    return Market(folder, files, rows, json.loads((folder / "truth.json").read_text("utf-8")))
