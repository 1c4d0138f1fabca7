"""Compaction and marts of a simulated market against the market's own counts, to the last row and cent."""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl
from trial import Trial


def test_marts_count_what_was_planted(project: Trial) -> None:
    counted = project.build({"kind": "simulated", "events": 40_000, "months": 3, "seed": 7})
    truth = json.loads((project.paths.raw / "truth.json").read_text("utf-8"))["counts"]

    assert counted.total("rows_read") == truth["rows"]
    assert counted.total("rows_rejected") == 0
    assert counted.total("duplicates_dropped") == truth["duplicates"]
    flagged = {check.check: check.rows for check in counted.checks}
    assert flagged["bad_price"] == truth["rows_at_price_zero"]
    assert flagged["missing_customer"] == truth["rows_without_customer"]
    assert flagged["unknown_event"] == 0

    names = pl.coalesce(pl.col("event_name").cast(pl.String), pl.col("event_type").cast(pl.String)).alias("name")
    assert dict(project.events().group_by(names).len().iter_rows()) == truth["kept_by_type"]
    assert len(project.mart("sessions")) == truth["sessions"]
    assert len(project.mart("customers")) == truth["customers"]
    assert len(project.mart("product_stats")) == truth["products"]
    orders = project.mart("purchases")
    assert len(orders) == truth["orders"]
    assert orders["revenue"].sum() == Decimal(str(truth["revenue"])).quantize(Decimal("0.0001"))
    funnel = project.mart("funnel")
    for step in ("viewers", "carters", "carters_to_purchase", "buyers", "buyers_without_cart"):
        assert funnel[step].sum() == truth[step], step
