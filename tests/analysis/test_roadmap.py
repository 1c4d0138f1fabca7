"""Dates of a roadmap against the calendar and the flow of the audience; targets against the assumed effect."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from test_roi import TESTING, case

from patternbook.analysis import roadmap
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.roi import LABELS

WEEKS = {"low": 2, "medium": 4, "high": 8}
LAST = date(2024, 12, 31)  # a Tuesday
ONE = case((0.05, 0.1, 0.4))


def decided(decision: str, effort: str = "low", people: int | None = 800, days: int | None = 58) -> pl.DataFrame:
    row = {"action": LABELS["win_back"], "decision": decision, "first_step": "start", "effort": effort}
    return pl.DataFrame([{**row, "test_people": people, "test_days": days}])


def planned(actions: pl.DataFrame) -> dict[str, object]:
    found = roadmap.roadmap(actions, {"win_back": ONE}, TESTING, LAST, WEEKS)
    assert isinstance(found, pl.DataFrame)
    return found.row(0, named=True)


@pytest.mark.parametrize("ahead", range(7))
def test_work_starts_on_the_next_monday(ahead: int) -> None:
    day = LAST + timedelta(days=ahead)
    monday = roadmap.monday_after(day)
    assert monday.isoweekday() == 1
    assert 1 <= (monday - day).days <= 7


def test_what_is_tested_is_rolled_out_after_its_test() -> None:
    plan = planned(decided("test first", effort="medium"))
    assert plan["starts"] == date(2025, 1, 6)
    assert plan["begins"] == date(2025, 2, 3)
    assert plan["decides"] == date(2025, 4, 2)
    assert plan["rolls_out"] == date(2025, 4, 7)
    assert (plan["people"], plan["days"]) == (800, 58)


def test_what_needs_no_test_is_rolled_out_when_ready_and_holds_some_out() -> None:
    plan = planned(decided("go", people=None, days=None))
    assert plan["begins"] == plan["rolls_out"] == date(2025, 1, 20)
    assert isinstance(plan["days"], int)
    assert TESTING.shortest + 28 <= plan["days"] <= TESTING.longest + 28  # enrolment, then the last outcome
    assert plan["decides"] == date(2025, 1, 20) + timedelta(days=plan["days"])


def test_more_people_find_smaller_effects() -> None:
    few, many = (planned(decided("test first", people=people))["finds"] for people in (500, 2000))
    assert isinstance(few, float)
    assert many == pytest.approx(few / 2)


def test_nothing_worth_its_money_leaves_no_plan_and_no_metrics() -> None:
    for actions in (None, decided("no go")):
        found = roadmap.roadmap(actions, {"win_back": ONE}, TESTING, LAST, WEEKS)
        assert isinstance(found, LeftOut)
        assert roadmap.metrics(found, {"win_back": ONE}) is found


def test_the_target_is_the_assumed_effect_on_what_is_now() -> None:
    found = roadmap.roadmap(decided("go"), {"win_back": ONE}, TESTING, LAST, WEEKS)
    metrics = roadmap.metrics(found, {"win_back": ONE})
    assert isinstance(metrics, pl.DataFrame)
    row = metrics.row(0, named=True)
    share = ONE.audience.past["bought"].mean()
    assert row["metric"] == "bought"
    assert row["value"] == pytest.approx(share)
    assert row["value_low"] < share < row["value_high"]
    assert [row[name] / share for name in ("target_low", "target", "target_high")] == pytest.approx([1.05, 1.1, 1.4])
