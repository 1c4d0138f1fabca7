"""The files of a market: what they promise to any reader, and that truth.json counts them exactly."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markets import Market, market, source
from pydantic import ValidationError

from patternbook.errors import UserError
from patternbook.params import Mechanisms, Simulated
from patternbook.simulation import COLUMNS, EVENT_NAMES, draw, events, simulate, writer
from patternbook.simulation.behaviour import REES46_SCALE, SAMPLE_SCALE, scale_of
from patternbook.simulation.clock import Period
from patternbook.simulation.writer import uuid_text


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return market(tmp_path_factory.mktemp("raw") / "small", source(60_000))


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_one_file_a_month_with_the_columns_of_rees46_and_five_more(small: Market) -> None:
    assert [file.name for file in small.files] == [f"2024-{month:02d}.csv" for month in range(1, 13)]
    for file in small.files:
        with file.open() as lines:
            assert next(lines).rstrip("\n").split(",") == list(COLUMNS)
            assert all(line.startswith(file.stem) and line.endswith("\n") for line in lines)


def test_rows_are_in_the_order_of_time(small: Market) -> None:
    assert small.rows["event_time"].is_sorted()
    assert small.rows["event_time"][0] >= datetime(2024, 1, 1)
    assert small.rows["event_time"][-1] < datetime(2025, 1, 1)


def test_about_as_many_events_as_asked_for(small: Market) -> None:
    assert len(small.rows) == pytest.approx(60_000, rel=0.03)


def test_truth_counts_the_files_exactly(small: Market) -> None:
    counts, rows = small.truth["counts"], small.rows
    kept = rows.unique(maintain_order=True)
    bought = kept.filter(pl.col("event_type") == "purchase")
    pairs = kept.select("user_id", "user_session").unique()

    assert counts["rows"] == len(rows)
    assert counts["kept"] == len(kept)
    assert counts["duplicates"] == len(rows) - len(kept) > 0
    for name, frame in (("rows_by_type", rows), ("kept_by_type", kept)):
        by_type = dict(frame["event_type"].value_counts().iter_rows())
        assert {key: count for key, count in counts[name].items() if count} == by_type
    by_month = dict(rows.group_by(pl.col("event_time").dt.strftime("%Y-%m")).len().iter_rows())
    assert counts["rows_by_month"] == by_month
    assert counts["rows_without_customer"] == rows["user_id"].null_count() > 0
    assert counts["rows_without_product"] == rows["product_id"].null_count() > 0
    assert counts["rows_without_category_code"] == rows["category_code"].null_count()
    assert counts["rows_without_brand"] == rows["brand"].null_count()
    assert counts["rows_at_price_zero"] == (rows["price"] == 0).sum() > 0
    assert counts["customers"] == rows["user_id"].drop_nulls().n_unique()
    assert counts["products"] == rows["product_id"].drop_nulls().n_unique()
    assert counts["sessions"] == len(pairs)
    assert counts["source_sessions"] == pairs["user_session"].n_unique() < len(pairs)
    assert counts["orders"] == len(bought.select("user_id", "user_session").unique())
    assert round(counts["revenue"] * 100) == int((bought["price"] * 100).round().sum())


def test_truth_counts_the_customer_funnel_exactly(small: Market) -> None:
    counts = small.truth["counts"]
    known = small.rows.filter(pl.col("user_id").is_not_null())

    def times(event: str, name: str, first: bool) -> pl.DataFrame:
        own = known.filter(pl.col("event_type") == event).group_by("user_id")
        return own.agg((pl.col("event_time").min() if first else pl.col("event_time").max()).alias(name))

    cart, purchase = times("cart", "cart", True), times("purchase", "purchase", False)
    both = cart.join(purchase, on="user_id")
    assert counts["viewers"] == len(times("view", "view", True))
    assert counts["carters"] == len(cart)
    assert counts["buyers"] == len(purchase)
    assert counts["carters_to_purchase"] == both.filter(pl.col("purchase") >= pl.col("cart")).height
    assert counts["buyers_without_cart"] == len(purchase) - len(both)
    orders = small.rows.group_by("user_id", "user_session").agg(
        (pl.col("event_type") == "cart").any().alias("cart"), (pl.col("event_type") == "purchase").any().alias("order")
    )
    assert counts["sessions_with_cart"] == orders["cart"].sum()
    assert counts["orders_with_cart"] == (orders["cart"] & orders["order"]).sum()


def test_event_names_are_known_to_the_reader(small: Market) -> None:
    assert set(small.rows["event_type"]) <= set(EVENT_NAMES)
    assert {name for name, kind in EVENT_NAMES.items() if kind == "other"} == {
        "sign_in",
        "checkout",
        "delivery_info",
        "search",
    }


def test_sessions_are_version_4_uuids(small: Market) -> None:
    for text in small.rows["user_session"].unique():
        parsed = uuid.UUID(text)
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
        assert str(parsed) == text


def test_uuids_do_not_repeat_and_use_all_their_bits() -> None:
    text = uuid_text(1, np.arange(20_000, dtype=np.uint64))
    assert text.n_unique() == 20_000
    bits = np.array([[int(digit) for digit in f"{uuid.UUID(one).int:0128b}"] for one in text[:4_000]]).mean(axis=0)
    free = np.delete(np.arange(128), [48, 49, 50, 51, 64, 65])
    assert np.abs(bits[free] - 0.5).max() < 5 * 0.5 / 4_000**0.5
    assert text[0] != uuid_text(2, np.arange(1, dtype=np.uint64))[0]


def test_products_keep_their_category_and_brand(small: Market) -> None:
    about = small.rows.filter(pl.col("product_id").is_not_null())
    per_product = about.group_by("product_id").agg(
        pl.col("category_id", "category_code", "brand").n_unique().name.suffix("_n")
    )
    assert per_product.select(pl.max_horizontal(pl.exclude("product_id"))).max().item() == 1
    written = about.unique("product_id").join(small.table("products"), on="product_id", suffix="_true")
    assert (written["category_id"] == written["category_id_true"]).all()
    assert (written["category_code"] == written["category_code_true"]).drop_nulls().all()
    assert (written["brand"] == written["brand_true"]).drop_nulls().all()


def test_same_seed_same_bytes_whatever_the_threads(
    small: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "THREADS", 1)
    monkeypatch.setattr(draw, "AHEAD", 0)
    simulate(source(60_000), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(small.folder)


def test_another_seed_another_market(small: Market, tmp_path: Path) -> None:
    simulate(source(60_000, seed=7), tmp_path / "other")
    other = digests(tmp_path / "other")
    assert all(other[name] != digest for name, digest in digests(small.folder).items())


def test_many_blocks_are_merged_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that reach into later blocks: still in order, still whole, still counted exactly."""
    for module in (events, writer):
        monkeypatch.setattr(module, "BLOCK", 64)
    blocks = market(tmp_path / "blocks", source(20_000))
    assert blocks.rows["event_time"].is_sorted()
    assert blocks.truth["counts"]["rows"] == len(blocks.rows)
    assert blocks.truth["counts"]["kept"] == len(blocks.rows.unique())
    # a cart follows a view of its product, wherever the borders of blocks lie
    first = blocks.rows.with_row_index().group_by("user_session", "product_id", "event_type").agg(pl.col("index").min())
    steps = first.pivot("event_type", index=["user_session", "product_id"], values="index")
    assert steps.filter(pl.col("cart").is_not_null() & ~(pl.col("view") < pl.col("cart")).fill_null(False)).is_empty()


def test_the_smallest_market_works(tmp_path: Path) -> None:
    tiny = market(tmp_path / "tiny", source(10_000, months=2, products=50, customers=100))
    assert len(tiny.rows) == pytest.approx(10_000, rel=0.1)
    assert tiny.truth["counts"]["customers"] <= 100


def test_a_period_may_start_within_a_month(tmp_path: Path) -> None:
    days = market(tmp_path / "days", source(10_000, start=date(2023, 12, 31), months=2))
    assert [file.name for file in days.files] == ["2023-12.csv", "2024-01.csv", "2024-02.csv"]
    assert days.rows["event_time"][-1] < datetime(2024, 2, 29)


def test_months_of_a_period_end_where_the_next_begin() -> None:
    period = Period.of(date(2024, 1, 31), 2)
    assert period.end == date(2024, 3, 31)
    assert period.months() == [("2024-01", 86_400), ("2024-02", 30 * 86_400), ("2024-03", 60 * 86_400)]


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    files = simulate(source(10_000), folder)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert simulate(source(10_000), folder) == files
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


@pytest.mark.parametrize("damage", ["cut", "gone", "other code", "other parameters"])
def test_what_is_damaged_or_old_is_written_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "raw"
    first = simulate(source(10_000), folder)
    sound = digests(folder)
    if damage == "cut":
        first[3].write_bytes(first[3].read_bytes()[:-7])
    elif damage == "gone":
        (folder / "truth.json").unlink()
    elif damage == "other code":
        marker = json.loads((folder / "simulation.json").read_text("utf-8"))
        (folder / "simulation.json").write_text(json.dumps(marker | {"simulator": "another"}))
        first[0].write_bytes(b"x" * first[0].stat().st_size)
    else:
        simulate(source(10_000, months=3), folder)
        assert len(list(folder.glob("*.csv"))) == 3
    simulate(source(10_000), folder)
    assert digests(folder) == sound


def test_a_run_that_is_killed_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    folder = tmp_path / "raw"

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(source(10_000), folder, stop)
    assert not folder.exists()
    assert not list(tmp_path.rglob("simulation.json"))
    assert simulate(source(10_000), folder)
    assert not list(tmp_path.glob("*.partial"))


def test_files_of_others_are_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "orders.csv").write_text("mine")
    with pytest.raises(UserError, match=r"orders\.csv"):
        simulate(source(10_000), tmp_path / "raw")
    assert (tmp_path / "raw" / "orders.csv").read_text() == "mine"


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(source(30_000), tmp_path / "raw", told.append)
    assert told == sorted(told)
    assert 0.9 < told[-1] <= 1


def test_scale_passes_through_its_two_anchors() -> None:
    for anchor in (SAMPLE_SCALE, REES46_SCALE):
        scale = scale_of(int(anchor.events))
        for name in ("customers", "products", "sessions", "buyers", "cart_given_buyer_visit", "guests"):
            assert getattr(scale, name) == pytest.approx(getattr(anchor, name))


def test_more_customers_than_events_allow_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most a fifth"):
        Simulated(kind="simulated", events=10_000, customers=5_000)


def test_marker_names_parameters_and_sizes(small: Market) -> None:
    marker = json.loads((small.folder / "simulation.json").read_text("utf-8"))
    assert marker["source"] == source(60_000).model_dump(mode="json")
    assert set(marker["files"]) == {file.name for file in small.folder.iterdir()} - {"simulation.json"}
    assert Mechanisms(**marker["source"]["mechanisms"]) == Mechanisms()
