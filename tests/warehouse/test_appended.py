"""A file that is added later: only its group is compacted, and all is as if the files had come at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from trial import HEADER, Trial, trial_project

from patternbook.warehouse import eventlog, groups
from patternbook.warehouse.contracts import MARTS

START = datetime(2024, 7, 1, 23, 0, tzinfo=UTC)
SOURCE: dict[str, Any] = {"kind": "clickstream", "files": ["part-*.csv"], "session_gap_minutes": 30}
KEPT = {"keep_session_ids": True}


@pytest.fixture(autouse=True)
def small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "SMALL_GROUP", 1)
        patch.setattr(eventlog, "BLOCK", 9)
        yield


def row(seconds: int, customer: int | str, session: str, product: int, brand: str, kind: str = "view") -> str:
    moment = START + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC,{kind},{product},1,a.b,{brand},1.50,{customer},{session}"


ROWS = st.lists(
    st.builds(
        row,
        seconds=st.integers(0, 2 * 3600),
        customer=st.sampled_from([1, 2, 3, ""]),
        session=st.sampled_from(["a", "b", ""]),
        product=st.integers(1, 2),
        brand=st.sampled_from(["x", "y"]),
        kind=st.sampled_from(["view", "cart", "purchase", "wish"]),
    ),
    min_size=3,
    max_size=60,
)


def write(project: Trial, number: int, rows: list[str]) -> None:
    project.file(f"part-{number}.csv", HEADER + "\n" + "\n".join(rows) + "\n")


def everything(project: Trial) -> dict[str, pl.DataFrame]:
    kept = ("products", "customers", "sessions_source", "rejects")
    tables = {name: pl.read_parquet(getattr(project.paths, name)) for name in kept}
    return tables | {"events": project.events()} | {name: project.mart(name) for name in MARTS}


def sessions_as_sets(events: pl.DataFrame) -> list[list[tuple[Any, ...]]]:
    rows = events.select("session_id", "customer_id", "event_time", "event_type", "product_id").rows()
    found: dict[int, list[tuple[Any, ...]]] = {}
    for session, *event in rows:
        found.setdefault(session, []).append(tuple(event))
    return sorted((sorted(events, key=repr) for events in found.values()), key=repr)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(1, 59), min_size=1, max_size=3), whole=st.integers(0, 3))
def test_files_that_come_one_by_one_are_those_that_come_at_once(rows: list[str], cuts: list[int], whole: int) -> None:
    """In any number of files, cut anywhere: duplicates and sessions across the border, and products, included."""
    rows = sorted(rows)
    bounds = [0, *sorted({min(cut, len(rows)) for cut in cuts}), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(bounds) if b > a]
    with trial_project() as one_by_one:
        for number, part in enumerate(parts):
            write(one_by_one, number, part)
            if number >= whole:
                one_by_one.build(SOURCE, compaction=KEPT)
        counted = one_by_one.build(SOURCE, compaction=KEPT)
        appended = everything(one_by_one)
    with trial_project() as at_once:
        for number, part in enumerate(parts):
            write(at_once, number, part)
        fresh_count = at_once.build(SOURCE, compaction=KEPT)
        fresh = everything(at_once)
    with trial_project() as single:
        write(single, 0, rows)
        single_count = single.build(SOURCE, compaction=KEPT)
        in_one_file = everything(single)
    for name, frame in fresh.items():
        assert_frame_equal(appended[name], frame)
    ignored = {"seconds", "byte_steps", "key", "files"}
    assert counted.model_dump(exclude=ignored) == fresh_count.model_dump(exclude=ignored)
    assert counted.unknown_events == single_count.unknown_events
    assert counted.checks == single_count.checks
    for column in ("rows_read", "rows_kept", "duplicates_dropped", "rows_rejected"):
        assert counted.total(column) == single_count.total(column)
    assert sessions_as_sets(appended["events"]) == sessions_as_sets(in_one_file["events"])
    assert sorted(appended["sessions_source"]["source_id"]) == sorted(in_one_file["sessions_source"]["source_id"])
    for name in ("products", "customers", "daily", "hourly", "funnel", "product_stats", "coverage"):
        assert_frame_equal(appended[name], in_one_file[name])
    assert_frame_equal(appended["customers"], in_one_file["customers"])


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.parquet"))}


def test_only_the_new_file_is_compacted(project: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for month in range(3):
        write(project, month, [row(month * 100_000 + k, 1 + k % 5, f"s{k % 7}", 1, "x") for k in range(40)])
    project.build(SOURCE)
    before, groups_before = state(project.paths.events), state(project.paths.groups)
    write(project, 3, [row(300_000 + k, 1 + k % 5, f"s{k % 7}", 1, "x") for k in range(40)])
    staged: list[str] = []
    from patternbook.warehouse import compaction

    stage = compaction.stage

    def noted(*arguments: Any) -> Any:
        staged.append(arguments[3].label)
        return stage(*arguments)

    monkeypatch.setattr(compaction, "stage", noted)
    counted = project.build(SOURCE)
    assert staged == ["part-3.csv"]
    assert before.items() <= state(project.paths.events).items()
    assert groups_before.items() <= state(project.paths.groups).items()
    assert counted.total("rows_kept") == 160


def test_session_ids_are_added_to_events_that_stay_as_they_are(project: Trial) -> None:
    """The session that goes on in the second file begins in the first; those by gap have no id in the source."""
    write(project, 0, [row(0, 1, "a", 1, "x"), row(9, 2, "b", 1, "x"), row(9, 3, "", 1, "x")])
    write(project, 1, [row(100_000, 1, "a", 1, "x"), row(100_001, 1, "c", 1, "x")])
    without = project.build(SOURCE)
    before = [state(folder) for folder in (project.paths.events, project.paths.marts)]
    assert without.session_ids_bytes is None
    assert not project.paths.sessions_source.exists()

    kept = project.build(SOURCE, compaction=KEPT)
    assert [state(folder) for folder in (project.paths.events, project.paths.marts)] == before
    named = dict(pl.read_parquet(project.paths.sessions_source).iter_rows())
    sessions = project.events().select("customer_id", "event_time", "session_id").sort("event_time", "customer_id")
    assert [named.get(number) for number in sessions["session_id"]] == ["a", "b", None, "a", "c"]
    assert len(named) == 3
    assert kept.session_ids_bytes == project.paths.sessions_source.stat().st_size
    assert kept.parquet_bytes == without.parquet_bytes

    project.build(SOURCE)
    assert [state(folder) for folder in (project.paths.events, project.paths.marts)] == before
    assert not project.paths.sessions_source.exists()
    project.build(SOURCE, compaction=KEPT)
    write(project, 1, [row(100_000, 1, "d", 1, "x")])
    project.build(SOURCE)
    project.build(SOURCE, compaction=KEPT)
    assert pl.read_parquet(project.paths.sessions_source)["source_id"].to_list() == ["a", "b", "d"]


def test_a_file_that_overlaps_takes_its_neighbours_along(project: Trial) -> None:
    """Its rows may be duplicates of theirs."""
    rows = [row(k, 1, "s", 1, "x") for k in range(20)]
    write(project, 0, rows)
    project.build(SOURCE)
    write(project, 1, [*rows[15:], row(30, 1, "s", 1, "x")])
    counted = project.build(SOURCE)
    assert [file.duplicates_dropped for file in counted.files] == [0, 5]
    assert [file.rows_kept for file in counted.files] == [20, 1]


def test_a_file_that_is_taken_away_or_changed_is_noticed(project: Trial) -> None:
    for month in range(3):
        write(project, month, [row(month * 100_000 + k, 1, "s", 1, "x") for k in range(10)])
    project.build(SOURCE)
    (project.root / "part-1.csv").unlink()
    assert project.build(SOURCE).total("rows_kept") == 20
    assert len(project.events()) == 20
    write(project, 0, [row(5, 2, "s", 1, "x")])
    assert project.build(SOURCE).total("rows_kept") == 11
    assert set(project.events()["customer_id"]) == {1, 2}


def test_a_new_column_in_a_later_file_reaches_the_marts(project: Trial) -> None:
    project.file("part-0.csv", f"{HEADER}\n{row(0, 1, 's', 1, 'x')}\n")
    project.build(SOURCE)
    project.file("part-1.csv", f"{HEADER},platform\n{row(90_000, 1, 's', 1, 'x')},app\n")
    project.build(SOURCE)
    assert project.mart("sessions")["platform"].to_list() == ["app"]
    assert project.mart("sessions")["events"].to_list() == [2]


def test_a_changed_setting_reads_every_file_again(project: Trial) -> None:
    dice = random.Random(1)
    for month in range(2):
        write(project, month, [row(month * 100_000 + dice.randint(0, 9000), 1, "", 1, "x") for _ in range(30)])
    few = project.build({**SOURCE, "session_gap_minutes": 600}).total("rows_kept"), len(project.mart("sessions"))
    many = project.build({**SOURCE, "session_gap_minutes": 1}).total("rows_kept"), len(project.mart("sessions"))
    assert few[0] == many[0]
    assert few[1] < many[1]


def test_a_time_zone_rebuilds_the_marts_that_know_days(project: Trial) -> None:
    write(project, 0, [row(k * 60, 1, "s", 1, "x", "purchase") for k in range(90)])
    project.build(SOURCE)
    before = state(project.paths.marts)
    project.build(SOURCE, report={"time_zone": "Asia/Tokyo"})
    after = state(project.paths.marts)
    changed = {name.removesuffix(".parquet") for name in before if before[name] != after[name]}
    assert {"daily", "hourly", "customers"} <= changed
    assert not changed & {"sessions", "order_lines", "purchases", "product_stats", "coverage"}
