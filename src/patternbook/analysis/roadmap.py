"""Which action when, and what it is measured by: the decisions on actions as dates and as targets.

Preparation begins on the first Monday after the data end and takes as many weeks as the effort of the action asks for.
An action that is tested first is decided on when the last outcome of its test is known, and rolled out on the Monday
after; one that needs no test is rolled out when it is ready, and a random part is held out all the same, for as long as
the flow of its audience takes to fill groups in which the likely effect shows, or for as long as is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from patternbook.analysis import experiments
from patternbook.analysis.experiments import Design, Z
from patternbook.analysis.measure import LeftOut
from patternbook.analysis.roi import LABELS, ON_ORDERS, Case, PilotTerms, effect_error, feasible

NOTHING_TO_PLAN = "No action is worth its money, neither now nor after a test, so there is nothing to plan."
WEEK = timedelta(weeks=1)


def monday_after(day: date) -> date:
    """The first Monday after a day."""
    return day + timedelta(days=7 - day.weekday())


def roadmap(
    actions: pl.DataFrame | None,
    cases: Mapping[str, Case],
    testing: PilotTerms,
    last_day: date,
    weeks: Mapping[str, int],
) -> pl.DataFrame | LeftOut:
    """One row an action that is worth its money, the earliest roll-out first; left out where there is none.

    `actions` is the frame of `roi.by_action`, `last_day` the last of the data, `weeks` those of preparation by effort.
    Columns: action, decision, first_step, starts, begins (contacts: of the test, or of all), people and days (of the
    test or of what is held out; null where the audience allows none), finds (smallest relative effect that this finds
    with the planned power), decides (when its outcome is known; null likewise), rolls_out.
    """
    worth = None if actions is None else actions.filter(pl.col("decision") != "no go")
    if worth is None or worth.is_empty():
        return LeftOut(NOTHING_TO_PLAN)
    starts = monday_after(last_day)
    by_label = {LABELS[name]: case for name, case in cases.items()}
    rows = []
    for row in worth.iter_rows(named=True):
        case = by_label[row["action"]]
        people, days = (row["test_people"], row["test_days"]) if row["decision"] != "go" else _held_out(case, testing)
        begins = starts + WEEK * weeks[row["effort"]]
        decides = None if days is None else begins + timedelta(days=days)
        rows.append(
            {
                **{name: row[name] for name in ("action", "decision", "first_step")},
                "starts": starts,
                "begins": begins,
                "people": people,
                "days": days,
                "finds": None if people is None else _finds(case, testing.design, people),
                "decides": decides,
                "rolls_out": begins if row["decision"] == "go" or decides is None else monday_after(decides),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None).sort("rolls_out", "decides", "action", nulls_last=True)


def _held_out(case: Case, testing: PilotTerms) -> tuple[int | None, int | None]:
    """People of whom a random part gets nothing while all others do, and the days until that shows the effect."""
    control, enrolment = feasible(case, testing.design, testing.shortest, testing.longest)
    if enrolment is None:
        return None, None
    return experiments.people(control * testing.design.groups), enrolment + case.audience.horizon


def _finds(case: Case, design: Design, people: int) -> float:
    """Smallest relative effect that so many people find with the design's power."""
    return (design.z_level + design.z_power) * effect_error(case, design, people / design.groups)


def metrics(planned: pl.DataFrame | LeftOut, cases: Mapping[str, Case]) -> pl.DataFrame | LeftOut:
    """What each planned action is measured by: where it stands, and where its assumed effect would bring it.

    Columns: action, metric (bought or spend), value with value_low and value_high (of such people without the action),
    target (at the likely effect) with target_low and target_high (at the lowest and highest thought possible), decides.
    """
    if isinstance(planned, LeftOut):
        return planned
    by_label = {LABELS[name]: case for name, case in cases.items()}
    rows = []
    for label, decides in planned.select("action", "decides").iter_rows():
        case = by_label[label]
        value, low, high = _standing(case)
        effects = {"target": case.action.likely, "target_low": case.action.low, "target_high": case.action.high}
        rows.append(
            {
                "action": label,
                "metric": "spend" if case.action.name in ON_ORDERS else "bought",
                "value": value,
                "value_low": low,
                "value_high": high,
                **{name: value * (1 + effect) for name, effect in effects.items()},
                "decides": decides,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _standing(case: Case) -> tuple[float, float, float]:
    """What an action changes, as it is without it, with its 95 % interval: the mean spend, or the share that buys."""
    if case.action.name in ON_ORDERS:
        half = Z * case.spend_error
        return case.audience.spend, max(case.audience.spend - half, 0.0), case.audience.spend + half
    bought = case.audience.buyers
    low, high = bought.interval or (bought.value, bought.value)
    return bought.value, low, high
