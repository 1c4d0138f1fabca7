"""A small simulated market with its marts, built once, for the tests of the forecast of purchases."""

from __future__ import annotations

import sys
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from patternbook.analysis import propensity
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.propensity import Panel, Panels
from patternbook.cutoffs import Cutoffs, cutoffs
from patternbook.params import Params, Simulated
from patternbook.simulation import simulate

sys.path.insert(0, str(Path(__file__).parent / "warehouse"))
from trial import trial_project

from patternbook.warehouse.compaction import compact
from patternbook.warehouse.marts import build_marts

ALL = ("features", "labels", "interests", "daily")


class Market(NamedTuple):
    """Marts, cutoffs, panels, and the customers at the end of the data."""

    marts: dict[str, pl.DataFrame]
    at: Cutoffs
    panels: Panels
    now: Panel
    truth: pl.DataFrame


@cache
def market(
    events: int = 60_000,
    seed: int = 1,
    months: int = 8,
    off: tuple[str, ...] = ("drift", "dirt", "campaigns"),
    kept_months: int | None = None,
) -> Market:
    """A market without the mechanisms `off`, of which the log holds but the last `kept_months`."""
    source: dict[str, Any] = {
        "kind": "simulated",
        "events": events,
        "seed": seed,
        "months": months,
        "start": date(2024, 1, 1),
        "mechanisms": dict.fromkeys(off, False),
    }
    with trial_project() as project:
        params = Params(run="trial", source=source)
        assert isinstance(params.source, Simulated)
        simulate(params.source, project.paths.raw)
        if kept_months:
            files = sorted(map(str, project.paths.raw.glob("*.csv")))[-kept_months:]
            params = Params(run="trial", source={"kind": "clickstream", "files": files})
        compact(params)
        build_marts(params)
        marts = {name: project.mart(name) for name in ALL}
        truth = pl.read_parquet(project.paths.raw / "truth_customers.parquet")
    at = cutoffs(marts["daily"]["day"].min(), marts["daily"]["day"].max(), params.propensity, "x")  # type: ignore[arg-type]
    assert at is not None
    panels = propensity.panels(marts["features"], marts["labels"], at, 30)
    assert not isinstance(panels, LeftOut), panels
    now = marts["features"].filter(pl.col("cutoff") == at.scoring)
    return Market(marts, at, panels, propensity.panel(now, at.scoring, panels.preparation), truth)
