"""Findings and their recorder."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from throwaway import Project

from patternbook.analysis.measure import Measure
from patternbook.errors import MissingMart
from patternbook.findings import (
    SIGNIFICANT_DIGITS,
    Artefacts,
    Finding,
    Recorder,
    read_artefacts,
    read_findings,
    rounded,
)
from patternbook.paths import RunPaths

SOUND = {"value": 1, "unit": "count", "kind": "measured", "label": "Events", "notebook": "02_eda", "cell": "tbl-x"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": None}, "needs a reason"),
        ({"kind": "modelled"}, "needs low and high"),
        ({"kind": "assumed"}, "names its source"),
        ({"kind": "guessed"}, "kind"),
        ({"unit": "parsec"}, "unit"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_finding_must_be_honest(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Finding(**(SOUND | change))


def test_a_finding_may_lack_a_value_with_a_reason() -> None:
    assert Finding(**(SOUND | {"value": None, "kind": "modelled", "reason": "no purchases"})).value is None


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Decimal("59442.6300"), 59442.63),
        (math.nan, None),
        (math.inf, None),
        (True, True),
        (10**17 + 1, 10**17 + 1),
        (datetime(2024, 7, 1, tzinfo=UTC), "2024-07-01T00:00:00+00:00"),
    ],
)
def test_values_as_they_are_stored(value: object, stored: object) -> None:
    assert rounded(value) == stored


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_keeps_twelve_digits_and_is_stable(value: float) -> None:
    assert rounded(value) == pytest.approx(value, rel=10 ** (1 - SIGNIFICANT_DIGITS))
    assert rounded(rounded(value)) == rounded(value)


def test_what_is_recorded_reads_back(project: Project) -> None:
    recorder = Recorder("02_eda", project.params())
    recorder.finding("eda.b", 2, unit="count", label="B", cell="tbl-b")
    recorder.finding("eda.a", 1 / 3, unit="share", label="A", cell="fig-a", interval=(0.3, 0.4), n=9)
    recorder.table("eda.daily", pl.DataFrame({"x": [1]}))
    recorder.save()
    paths = RunPaths.of("small")
    findings = read_findings(paths.findings_parts / "02_eda.json")
    assert list(findings) == ["eda.a", "eda.b"]
    assert (findings["eda.a"].value, findings["eda.a"].low, findings["eda.a"].n) == (0.333333333333, 0.3, 9)
    assert findings["eda.b"].notebook == "02_eda"
    assert pl.read_parquet(paths.tables / "eda.daily.parquet").height == 1
    assert not list(project.root.rglob("*.partial"))


def test_what_is_left_out_now_is_removed_and_what_others_wrote_is_not(project: Project) -> None:
    params, paths = project.params(), RunPaths.of("small")
    for notebook, tables in (("02_eda", ["eda.few", "eda.daily"]), ("06_funnel", ["funnel.steps"])):
        recorder = Recorder(notebook, params)
        for table_id in tables:
            recorder.table(table_id, pl.DataFrame({"x": [1]}))
            recorder.figure(table_id, go.Figure())
        recorder.save()
    again = Recorder("02_eda", params)
    again.table("eda.daily", pl.DataFrame({"x": [2]}))
    again.save()
    assert {file.stem for file in paths.tables.iterdir()} == {"eda.daily", "funnel.steps"}
    assert {file.stem for file in paths.figures.iterdir()} == {"funnel.steps"}
    assert read_artefacts(paths, ["02_eda", "08_none"]) == {
        "02_eda": Artefacts(tables=["eda.daily"]),
        "08_none": Artefacts(),
    }


@pytest.mark.parametrize("name", ["eda", "Eda.revenue", "eda.net revenue", "eda.a.b"])
def test_ids_are_topic_and_name(project: Project, name: str) -> None:
    recorder = Recorder("02_eda", project.params())
    with pytest.raises(ValueError, match="is not <topic>"):
        recorder.finding(name, 1, unit="count", label="A", cell="fig-a")
    with pytest.raises(ValueError, match="is not <topic>"):
        recorder.table(name, pl.DataFrame())


def test_a_missing_mart_names_the_command_that_builds_it(project: Project) -> None:
    given = project.params().to_notebook()
    with pytest.raises(MissingMart, match=r"no mart daily yet.*patternbook run .*--until 01"):
        Recorder.open("02_eda", given, needs=["daily"])
    mart = RunPaths.of("small").mart("daily")
    mart.parent.mkdir(parents=True)
    Path(mart).touch()
    assert Recorder.open("02_eda", given, needs=["daily"]).notebook == "02_eda"


def test_results_by_customer_read_back_until_they_are_taken_back(project: Project) -> None:
    recorder = Recorder("08_lifetime_churn", project.params())
    frame = pl.DataFrame({"customer_id": [1, 2], "value_12m": [3.0, 4.0]})
    assert recorder.read_per_customer("lifetime") is None
    recorder.per_customer("lifetime", frame)
    read = recorder.read_per_customer("lifetime")
    assert read is not None and read.equals(frame)
    recorder.no_per_customer("lifetime")
    assert recorder.read_per_customer("lifetime") is None


def test_measures_are_of_the_kind_that_is_said(project: Project) -> None:
    recorder = Recorder("08_lifetime_churn", project.params())
    recorder.measures("lifetime", [Measure("bgnbd_r", "r", "number", 0.2, (0.1, 0.3))], cell="fig-x", kind="modelled")
    recorder.save()
    (found,) = read_findings(RunPaths.of("small").findings_parts / "08_lifetime_churn.json").values()
    assert found.kind == "modelled"
