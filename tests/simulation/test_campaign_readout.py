"""The readout finds what the market's randomised campaigns did, by segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from markets import market, source

from patternbook.analysis import readout
from patternbook.analysis.experiments import Design
from patternbook.simulation import truth

DESIGN = Design()


def test_planted_uplift_by_segment_lies_in_the_intervals(tmp_path: Path) -> None:
    one = market(tmp_path / "raw", source(150_000, only=("campaigns", "repeat_buying"), customers=30_000))
    orders = one.orders().select(
        pl.col("user_id").alias("customer_id"),
        pl.col("start").dt.date().alias("day"),
        pl.lit(1).alias("units"),
        pl.lit(10.0).alias("revenue"),
    )
    planted = {entry["name"]: entry["uplift"] for entry in one.truth["planted"]["campaigns"]}
    deviations = []
    for name, begins, ends, assigned in truth.campaigns(one.folder):
        finished = readout.campaign(assigned, orders, begins, ends, name)
        assert readout.arms(finished)["p"][0] > readout.MISMATCH
        found = readout.by_segment(finished, "orders", DESIGN, 10)
        assert isinstance(found, pl.DataFrame)
        for row in found.iter_rows(named=True):
            error = (np.log1p(row["relative_high"]) - np.log1p(row["relative"])) / 1.959964
            deviations.append((np.log1p(row["relative"]) - np.log1p(planted[name][row["segment"]])) / error)
        whole = readout.effects(finished, DESIGN).filter(pl.col("metric") == "orders").row(0, named=True)
        assert whole["difference_low"] > 0
    assert len(deviations) == 8
    assert np.sum(np.square(deviations)) < 26.1  # chi-square of 8 at 0.001
