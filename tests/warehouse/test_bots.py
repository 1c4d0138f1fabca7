"""A customer who does more than a person can: flagged by the rule, counted, excluded where the parameter says so."""

from __future__ import annotations

import polars as pl
import pytest
from trial import HEADER, Trial

from patternbook.analysis import bots
from patternbook.errors import UserError
from patternbook.formats import Formats

US = Formats("USD", "en_US")
CLICKS = {"kind": "clickstream", "files": ["log.csv"], "duplicates": "keep"}
EVENTS = 100_000


def write(project: Trial, people: int = 20) -> None:
    """One customer with 100,000 views in ten days, and people with three views each."""
    lines = [f"2024-07-{1 + k // 10_000:02d} {k % 24:02d}:00:00 UTC,view,1,,,,5,99,s" for k in range(EVENTS)]
    lines += [f"2024-07-05 1{k}:00:00 UTC,view,1,,,,5,{who},t{who}" for who in range(people) for k in range(3)]
    project.file("log.csv", "\n".join([HEADER, *lines]) + "\n")


def test_a_bot_is_flagged_and_kept_by_default(project: Trial) -> None:
    write(project)
    project.build(CLICKS)
    assert project.mart("bots").rows() == [(99, EVENTS, 10_000, 10)]
    assert project.mart("daily")["events"].sum() == EVENTS + 60
    found = bots.bots(project.mart("bots"), project.mart("daily"), excluded=False)
    assert found.share == EVENTS / (EVENTS + 60)
    told = bots.answer(found, 1000, 50_000, 10, US)
    assert told.startswith("Fewer than 10 customers have more than 1,000 events") and "They are kept" in told
    assert all(measure.value is None and measure.reason for measure in bots.measures(found, 10))
    many = found._replace(customers=10)
    assert bots.answer(many, 1000, 50_000, 10, US).startswith("In all, 10 customers have")
    assert [measure.value for measure in bots.measures(many, 10)] == [10, found.share]
    nobody = found._replace(customers=0, share=0.0)
    assert [measure.value for measure in bots.measures(nobody, 10)] == [0, 0.0]


def test_an_excluded_bot_is_in_no_mart_but_its_own(project: Trial) -> None:
    write(project)
    project.build(CLICKS, quality={"bots": {"action": "exclude"}})
    assert project.mart("bots")["events"].to_list() == [EVENTS]
    assert project.mart("daily")["events"].sum() == 60
    for name in ("customers", "sessions"):
        assert 99 not in project.mart(name)["customer_id"]
    assert project.mart("session_funnel").filter(pl.col("grouping_name") == "all")["sessions"].sum() == 20
    found = bots.bots(project.mart("bots"), project.mart("daily"), excluded=True)
    assert found.share == EVENTS / (EVENTS + 60)
    assert "excluded from every result" in bots.answer(found, 1000, 50_000, 10, US)


def test_limits_move_the_border_without_compacting_again(project: Trial) -> None:
    write(project)
    project.build(CLICKS)
    before = project.paths.compaction.stat().st_mtime_ns
    project.build(CLICKS, quality={"bots": {"events_a_day": 20_000, "events": 200_000}})
    assert project.mart("bots").is_empty()
    assert project.paths.compaction.stat().st_mtime_ns == before
    found = bots.bots(project.mart("bots"), project.mart("daily"), excluded=False)
    assert bots.answer(found, 20_000, 200_000, 10, US).startswith("No customer has more than 20,000 events on one day")


def test_a_log_of_nothing_but_bots_is_one_message(project: Trial) -> None:
    write(project, people=0)
    with pytest.raises(UserError, match=r"quality\.bots.*no event is left"):
        project.build(CLICKS, quality={"bots": {"action": "exclude"}})
