"""Published files against numbers that others have counted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
from trial import Trial

from patternbook.params import load_params

ROOT = Path(__file__).resolve().parents[2]


def _source(name: str, file: Path) -> dict[str, object]:
    source = load_params(ROOT / "params" / f"{name}.yaml").source
    return source.model_dump(by_alias=True, exclude_unset=True) | {"folder": str(file.parent), "files": [file.name]}


def test_rees46_head(project: Trial, shared_file: Callable[[str], Path]) -> None:
    counted = project.build(_source("rees46", shared_file("rees46_2019-Oct_head.csv")))

    (file,) = counted.files
    assert (file.rows_read, file.rows_rejected, file.duplicates_dropped, file.rows_kept) == (17435, 1, 5, 17429)
    rejects = pl.read_parquet(project.paths.rejects)
    assert rejects["line"].to_list() == [17436]
    assert rejects["reason"].to_list() == ["8 fields instead of 9"]
    assert "52040330" not in rejects["raw"][0]
    types = dict(project.events().group_by("event_type").len().iter_rows())
    assert types == {"view": 17051, "cart": 164, "purchase": 214}
    assert len(project.mart("customers")) == 4504
    assert len(project.mart("sessions")) == 5067
    assert len(pl.read_parquet(project.paths.products)) == 6493
    orders = project.mart("purchases")
    assert len(orders) == 200
    assert orders["revenue"].sum() == Decimal("59442.63")
    funnel = (
        project.mart("funnel").select(pl.exclude("platform", "device", "channel", "region").sum()).row(0, named=True)
    )
    assert funnel["viewers"] == 4504
    assert funnel["viewers_to_cart"] == funnel["carters"] == 111
    assert funnel["carters_to_purchase"] == 62
    assert funnel["buyers"] == 193


def test_online_retail(project: Trial, shared_file: Callable[[str], Path]) -> None:
    counted = project.build(_source("online_retail", shared_file("online_retail.parquet")))

    assert counted.total("rows_read") == counted.total("rows_kept") == 541_909
    missing = next(check for check in counted.checks if check.check == "missing_customer")
    assert missing.rows == 135_080
    assert len(project.mart("customers")) == 4372
    assert len(project.mart("purchases")) == 22_064
    lines = project.mart("order_lines")
    assert lines["amount"].sum() == Decimal("9747747.934")
    assert lines["order_id"].n_unique() == 25_900
    assert len(lines.filter("cancelled")) == 9_288


def test_electronics_store_without_sessions(project: Trial, shared_file: Callable[[str], Path]) -> None:
    file = shared_file("rees46_electronics_null_sessions.csv")
    counted = project.build({"kind": "clickstream", "files": [str(file)]})

    assert counted.total("rows_read") == 162
    assert project.mart("purchases").is_empty()
    raw = pl.read_csv(file).with_columns(pl.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S%z"))
    gaps = (
        raw.sort("user_id", "event_time")
        .unique(maintain_order=True)
        .select(
            (pl.col("user_id") != pl.col("user_id").shift()).fill_null(value=True)
            | (pl.col("event_time").diff() > pl.duration(minutes=30)).fill_null(value=True)
        )
    )
    assert len(project.mart("sessions")) == gaps.to_series().sum()
