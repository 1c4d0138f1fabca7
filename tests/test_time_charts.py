"""Charts and tables of time and of sessions say what they show, in every locale and for order lines too."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from patternbook.analysis import payday, temporal
from patternbook.analysis.period import Period
from patternbook.analysis.temporal import Months, Rhythm, Windows
from patternbook.charts import temporal as charts
from patternbook.formats import Formats
from patternbook.tables import temporal as tables

sys.path.insert(0, str(Path(__file__).parent / "analysis"))
import test_payday
import test_temporal
import weeks

US, DE = Formats("USD", "en_US"), Formats("EUR", "de_DE")


@pytest.fixture(scope="module")
def week() -> tuple[Rhythm, Windows]:
    named = {"platform": "<b>web</b> & $x$"}
    mart = weeks.shop(np.random.default_rng(1), 1500, weeks_visits(), test_temporal.busy_mornings(), groups=named)
    other = weeks.shop(np.random.default_rng(2), 300, weeks_visits(), test_temporal.busy_mornings())
    app = other.with_columns(pl.lit("platform").alias("grouping_name"), pl.lit("app").alias("group_name"))
    data = weeks.rhythm(pl.concat([mart, app]), minimum_group=10)
    found = temporal.windows(data)
    assert isinstance(found, Windows)
    return data, found


def weeks_visits() -> np.ndarray:
    visits = np.full((7, 24), 0.02)
    visits[:, 0:5] = 0.0005
    visits[6, 22:] = 0.08  # a peak that runs into the next week
    return visits.ravel()


@pytest.mark.parametrize("formats", [US, DE])
def test_hours_are_three_maps_with_the_peak_outlined(week: tuple[Rhythm, Windows], formats: Formats) -> None:
    data, found = week
    figure = charts.hours(temporal.hour_table(data, found), found, data, formats)
    assert len(figure.data) == 3
    assert all(len(trace.z) == 7 and len(trace.z[0]) == 24 for trace in figure.data)
    assert temporal.window_name(found.peak, 3) in figure.layout.title.text
    assert len(figure.layout.shapes) >= 6
    assert figure.layout.yaxis.ticktext[0] == {"en_US": "Mon", "de_DE": "Mo"}[formats.locale]
    assert "too few to publish" in str(figure.to_json())


def test_order_lines_have_no_map_of_conversion(week: tuple[Rhythm, Windows]) -> None:
    data, found = week
    orders = data._replace(sessions_known=False)
    figure = charts.hours(temporal.hour_table(orders, found), found, orders, US)
    assert len(figure.data) == 2
    assert "Conversion" not in tables.weekdays(temporal.weekday_table(orders), orders, US).as_raw_html()


def test_names_of_groups_are_shown_as_they_are(week: tuple[Rhythm, Windows]) -> None:
    calendar = temporal.send_windows(week[0], 0.05)
    assert isinstance(calendar, pl.DataFrame)
    figure = charts.send_windows(calendar, 3, US)
    assert "&lt;b&gt;web" in " ".join(figure.layout.yaxis.ticktext)
    assert "<b>web" not in " ".join(figure.layout.yaxis.ticktext)
    assert "<b>web" not in tables.send_windows(calendar, US).as_raw_html()


def test_payday_and_days() -> None:
    at, y = test_payday.counts(np.random.default_rng(3), 365)
    y[100] *= 4
    made = payday.series(test_payday.daily(at, y), test_payday.whole(at))
    effect = payday.payday(made, test_payday.PAYDAYS)
    odd = payday.odd_days(made, test_payday.PAYDAYS, 0.05, 10)
    assert isinstance(effect, payday.Payday) and isinstance(odd, payday.OddDays)
    shown = charts.payday(effect, US)
    assert sorted(len(trace.x) for trace in shown.data) == [9, 22]
    figure = charts.days(odd, US)
    assert at[100] in list(figure.data[2].x)
    assert f"{odd.odd.height} day" in figure.layout.title.text


def test_months_that_shift_are_filled() -> None:
    mart = test_temporal.monthly([0.2] * 6, [2, 2, 2, 3, 3, 3])
    found = temporal.months(mart, Period(date(2024, 1, 1), date(2024, 12, 31)), 10, "clickstream", 0.05)
    assert isinstance(found, Months)
    figure = charts.months(found, US)
    assert len(figure.data) == 3
    exploration = figure.data[found.measures.index("categories")]
    assert exploration.marker.color[3] == "#c8650b"
