"""Charts and tables of experiments and ROI: complete for losses, single actions and hostile names, in every locale."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest

from patternbook import theme
from patternbook.analysis import multiplicity, trials
from patternbook.analysis import readout as reading
from patternbook.analysis import roi as money
from patternbook.analysis.experiments import Design
from patternbook.charts import drawing, experiments, readout, roi
from patternbook.formats import Formats
from patternbook.tables import experiments as tables
from patternbook.tables import roi as roi_tables

sys.path.insert(0, str(Path(__file__).parent / "analysis"))
import test_readout
import test_roi
import test_trials

US, IN, JP = Formats("USD", "en_US"), Formats("INR", "en_IN"), Formats("JPY", "en_US")
PLANNED = test_trials.PLANNED
RATES = trials.rates(PLANNED, 300)
TRIED = trials.simulate(PLANNED, 300, 0)
PEOPLE = multiplicity.people_of(PLANNED, 0.99)
COMPARED = multiplicity.comparisons(PLANNED, PEOPLE, 300)
SCENARIOS = trials.scenarios(TRIED, RATES)
TESTING = money.PilotTerms(Design(), 14, 182, 0)
SIMULATED = money.simulate({"win_back": test_roi.case(), "bundle": test_roi.case((-0.2, 0.0, 0.1), name="bundle")}, 200)
LOSING = money.simulate({"win_back": test_roi.case((0, 0, 0))}, 200)


def by_action(simulated: money.Simulated) -> pl.DataFrame:
    tests = {name: money.test_first(case, TESTING) for name, case in simulated.cases.items()}
    return money.by_action(simulated, tests)


HOSTILE = "<b>mail</b> $x$"
ONE = test_readout.experiment(400)
RENAMED = replace(
    ONE,
    name=HOSTILE,
    people=ONE.people.with_columns(arm=pl.col("arm").replace("mail", HOSTILE), segment=pl.lit(HOSTILE)),
)
READ = reading.read([ONE, RENAMED], Design(), 10)
assert isinstance(READ, reading.Read)
assert isinstance(READ.segments, pl.DataFrame)
DRAWN = {
    "detectable": lambda f: experiments.detectable(trials.detectable_by_week(PLANNED), PLANNED, f),
    "errors": lambda f: experiments.errors(RATES, 0.05, f),
    "comparisons": lambda f: experiments.comparisons(COMPARED, 0.05, f),
    "profit of plans": lambda f: experiments.money(SCENARIOS, f),
    "actions": lambda f: roi.actions(by_action(SIMULATED), SIMULATED.profit.size, f),
    "an action that loses": lambda f: roi.actions(by_action(LOSING), LOSING.profit.size, f),
    "running": lambda f: roi.running(SIMULATED.running, SIMULATED.profit.size, f),
    "running down": lambda f: roi.running(LOSING.running, LOSING.profit.size, f),
    "tornado": lambda f: roi.tornado(
        money.tornado(SIMULATED, TESTING, 0.25), money.expected_profit(SIMULATED.cases), f
    ),
    "readout": lambda f: readout.effects(READ.effects, "metric", "in all", 0.05, f),
    "many effects": lambda f: readout.effects(pl.concat([READ.effects] * 5), "metric", "in all", 0.05, f),
    "segments": lambda f: readout.effects(READ.segments, "segment", "by segment", 0.05, f),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("formats", [US, IN], ids=["en_US", "en_IN"])
def test_every_chart_is_complete(name: str, formats: Formats) -> None:
    figure = DRAWN[name](formats)
    layout = json.loads(figure.to_json())["layout"]
    assert layout["meta"]["alt"].endswith(".")
    assert layout["template"]["layout"]["font"]["family"] == theme.SANS_STACK
    assert "width" not in layout
    assert 140 <= layout["height"] <= 1400
    assert "nan" not in (layout["title"]["text"] + layout["meta"]["alt"]).lower()
    plain = re.sub(r"<(?!br>)[^>]*>", "", layout["title"]["text"])
    assert max(len(line) for line in plain.split("<br>")) <= drawing.SUBTITLE_WIDTH
    for axis in [*figure.select_xaxes(), *figure.select_yaxes()]:
        assert axis.visible is False or axis.ticktext is not None
    assert ("₹" in layout["meta"]["alt"]) == (formats is IN and name in MONEY)


MONEY = {"profit of plans", "actions", "an action that loses", "running", "running down", "tornado"}


def written(figure: go.Figure) -> str:
    return " ".join([figure.layout.title.text, *(note.text for note in figure.layout.annotations)])


def test_names_are_shown_as_they_are() -> None:
    for name in ("readout", "segments"):
        text = written(DRAWN[name](US))
        assert "&lt;b&gt;mail" in text
        assert "<b>mail" not in text
    assert "<b>mail" not in tables.readout(READ.effects, READ.arms, US).as_raw_html()


def test_a_tiny_p_value_is_not_written_as_zero() -> None:
    sure = READ.effects.with_columns(p_adjusted=pl.lit(1e-12))
    text = re.sub(r"<[^>]*>", " ", tables.readout(sure, READ.arms, US).as_raw_html())
    assert text.count("&lt; 0.001") == sure.height


def test_an_effect_is_coloured_only_where_it_is_clear() -> None:
    sure = READ.effects.head(1).with_columns(p_adjusted=pl.lit(0.001), relative=pl.lit(0.2))
    doubtful = sure.with_columns(p_adjusted=pl.lit(0.3))
    harmful = sure.with_columns(relative=pl.lit(-0.2))
    colours = [
        readout.effects(table, "metric", "in all", 0.05, US).data[0].marker.color[0]
        for table in (sure, doubtful, harmful)
    ]
    assert colours == [theme.GREEN, theme.MUTED, theme.RED]


def test_a_rule_that_errs_too_often_is_red() -> None:
    assert experiments.errors(RATES, 0.05, US).data[0].marker.color[1] == theme.RED


def test_charts_are_written_in_lakh_and_crore_and_in_yen_without_decimals() -> None:
    rich = money.simulate({"win_back": replace(test_roi.case(), audience=test_roi.people(a_day=90_000))}, 200)
    table = by_action(rich)
    assert re.search(r"₹\d\d?,\d\d,\d\d,\d{3}", roi.actions(table, 200, IN).layout.meta["alt"])
    assert any("Cr" in text for text in roi.running(rich.running, 200, IN).layout.yaxis.ticktext)
    yen = DRAWN["actions"](JP).layout.meta["alt"]
    assert "¥" in yen
    assert not re.search(r"¥[\d,]+\.\d", yen)
    assert (
        "¥0.50"
        not in roi_tables.assumptions(
            money.assumptions([test_roi.act((0, 0.1, 0.2))], {}, test_roi.TERMS, ("a", "b"), JP), JP
        ).as_raw_html()
    )


def test_tables_are_written_in_lakh_and_crore() -> None:
    dear = money.assumptions([test_roi.act((0, 0.1, 0.2), setup_cost=1e7)], {}, test_roi.TERMS, ("a", "b"), IN)
    assert "₹1,00,00,000" in roi_tables.assumptions(dear, IN).as_raw_html()


def test_every_table_is_drawn_for_odd_results() -> None:
    table = by_action(LOSING)
    shown = [
        roi_tables.actions(table, 28, US),
        roi_tables.limits(table, test_roi.TERMS, US),
        roi_tables.decisions(table, US),
        roi_tables.information(table, US),
        roi_tables.programme(money.scenarios(LOSING), US),
        tables.sizes(trials.sizes(PLANNED, 0.99), PLANNED, US),
        tables.designs(trials.designs(PLANNED), "holm", US),
        tables.comparisons(multiplicity.shown(COMPARED), PEOPLE, US),
        tables.scenarios(SCENARIOS, TRIED, US),
    ]
    for one in shown:
        assert "nan" not in re.sub(r"<[^>]*>", " ", one.as_raw_html()).lower().split()


def test_actions_stand_in_the_order_of_what_to_do() -> None:
    table = by_action(SIMULATED).with_columns(
        pl.Series("decision", ["no go", "go"]),
        pl.Series("value_now", [0.0, 10.0]),
        pl.Series("action", ["Later", "First"]),
    )
    text = roi_tables.decisions(table, US).as_raw_html()
    assert text.index("First<") < text.index("Later<")
