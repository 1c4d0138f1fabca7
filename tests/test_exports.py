from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patternbook.exports import FINDINGS, LONGEST_NAME, LONGEST_TEXT, TABLES, sheet_names, write_exports
from patternbook.findings import Finding

FORMULAS = ['=HYPERLINK("http://x.example","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "{=A1}"]
ABOUT = [["run", "small"], ["report.title", '=cmd|" /C calc"!A0']]
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.sampled_from(FORMULAS)


def finding(label: str = "Orders", **more: object) -> Finding:
    given = {"value": 12, "unit": "count", "kind": "measured", "notebook": "02_eda", "cell": "tbl-kpis", **more}
    return Finding(label=label, **given)


def sheet(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_excel(folder / TABLES, sheet_name=name, infer_schema_length=None)


def formulas(folder: Path) -> list[str]:
    with zipfile.ZipFile(folder / TABLES) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    return [found for text in sheets for found in re.findall(r"<f[ >].*?</f>|<hyperlink ", text)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
def test_every_text_comes_back_whole_and_none_is_a_formula(tmp_path: Path, texts: list[str]) -> None:
    findings = {f"eda.n{k}": finding(label=text) for k, text in enumerate(texts)}
    write_exports(findings, {"eda.names": pl.DataFrame({"name": texts})}, ABOUT, tmp_path)
    assert formulas(tmp_path) == []
    assert sheet(tmp_path, "eda.names")["name"].to_list() == texts
    assert sheet(tmp_path, "Findings")["label"].to_list() == texts
    labels = pl.read_csv(tmp_path / FINDINGS)["label"].cast(pl.String).to_list()
    assert [label for label in labels if label.startswith(tuple("=+-@\t\r\n"))] == []
    assert [read.removeprefix("'") for read in labels] == [text.removeprefix("'") for text in texts]


@pytest.mark.parametrize("text", FORMULAS[:-1])
def test_an_apostrophe_stands_before_what_a_spreadsheet_would_evaluate(tmp_path: Path, text: str) -> None:
    write_exports({"eda.a": finding(label=text)}, {}, ABOUT, tmp_path)
    assert pl.read_csv(tmp_path / FINDINGS)["label"][0] == "'" + text


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    change = finding(value=-0.031, low=-0.08, high=0.0123456789012, unit="share", n=200)
    write_exports({"eda.change": change, "eda.first": finding(value="2024-07-01", unit="time")}, {}, ABOUT, tmp_path)
    for read in (pl.read_csv(tmp_path / FINDINGS), sheet(tmp_path, "Findings")):
        assert read["value"].to_list() == [-0.031, None]
        assert read["text"].to_list() == [None, "2024-07-01"]
        assert read.select("low", "high", "unit", "kind", "n").row(0) == (
            -0.08,
            0.0123456789012,
            "share",
            "measured",
            200,
        )


def test_a_sheet_holds_each_kind_of_column(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "money": [Decimal("12.3400"), None],
            "third": [1 / 3, float("nan")],
            "id": [2**62 + 1, -1],
            "at": [datetime(2024, 7, 1, 10, 30, tzinfo=UTC), None],
            "whole": [True, False],
        }
    )
    write_exports({}, {"eda.kinds": frame.with_columns(pl.col("third").fill_nan(None))}, ABOUT, tmp_path)
    read = sheet(tmp_path, "eda.kinds")
    assert read["money"].to_list() == [12.34, None]
    assert read["third"].to_list() == [0.333333333333, None]
    assert read["id"].to_list() == ["4611686018427387905", "-1"], "a float would lose digits"
    assert read["at"].to_list() == [datetime(2024, 7, 1, 10, 30), None]
    assert read["whole"].to_list() == [True, False]


def test_sheets_findings_first_then_the_run_then_the_tables(tmp_path: Path) -> None:
    tables = {"eda.small": pl.DataFrame({"a": [1]}), "eda.empty": pl.DataFrame({"a": []}, {"a": pl.Int64})}
    write_exports({"eda.a": finding()}, tables, ABOUT, tmp_path)
    names = list(pl.read_excel(tmp_path / TABLES, sheet_id=0, raise_if_empty=False))
    assert names == ["Findings", "Run", "eda.small", "eda.empty"]
    assert sheet(tmp_path, "Run").rows() == [tuple(row) for row in ABOUT]


def test_a_table_with_a_row_a_customer_is_not_exported(tmp_path: Path) -> None:
    write_exports({}, {"churn.scores": pl.DataFrame({"customer_id": [1], "risk": [0.5]})}, ABOUT, tmp_path)
    assert "churn.scores" not in pl.read_excel(tmp_path / TABLES, sheet_id=0, raise_if_empty=False)


def test_a_text_longer_than_a_cell_is_cut(tmp_path: Path) -> None:
    write_exports({}, {"eda.long": pl.DataFrame({"a": ["x" * (LONGEST_TEXT + 9)]})}, ABOUT, tmp_path)
    assert sheet(tmp_path, "eda.long")["a"][0] == "x" * LONGEST_TEXT


def test_the_same_numbers_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_exports({"eda.a": finding()}, {"eda.t": pl.DataFrame({"a": [1.5]})}, ABOUT, tmp_path / folder)
    assert (tmp_path / "one" / TABLES).read_bytes() == (tmp_path / "two" / TABLES).read_bytes()


def test_sheet_names_fit_and_differ() -> None:
    names = sheet_names(["eda.daily", "experiments." + "x" * 40, "experiments." + "x" * 40 + "y"])
    assert names[0] == "eda.daily"
    assert len(set(names)) == 3
    assert max(map(len, names)) <= LONGEST_NAME
