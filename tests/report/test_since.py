"""The section on what moved since the last run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fake_run
import pytest
from fake_run import SIMULATED, Report, finding

from patternbook.findings import Finding
from patternbook.params import Params
from patternbook.report.cells import MARKDOWN, data_of, labelled
from patternbook.report.since import MOST_ROWS, Since, since
from patternbook.report.template import headlines
from patternbook.runs import State

PLACE = "02_eda#tbl-kpis"
NOW = {
    "eda.revenue": finding(1200, "currency", "Revenue", PLACE),
    "eda.orders": finding(20, "count", "Orders", PLACE),
    "funnel.conversion": finding(0.15, "share", "Conversion", PLACE, low=0.14, high=0.16),
    "eda.aov": finding(60, "currency", "Order | value", PLACE, low=50, high=70),
}
BEFORE = NOW | {
    "eda.revenue": finding(1000, "currency", "Revenue", PLACE),
    "funnel.conversion": finding(0.10, "share", "Conversion", PLACE, low=0.09, high=0.11),
    "eda.aov": finding(None, "currency", "Order | value", PLACE, reason="no orders"),
}


def manifest(params: Params, digest: str = "1") -> dict[str, Any]:
    """As `runs.description`, and when the run finished."""
    return {
        "run": params.run, "finished_at": "2026-11-23T23:30:00+00:00", "patternbook": "0.1", "python": "3.11",
        "platform": "p", "processor": "x86_64", "packages": {}, "code": {"a.py": "1"}, "git": {"commit": None},
        "parameters": params.model_dump(mode="json", by_alias=True), "inputs": {"raw/<b>.csv": {"sha256": digest}},
    }  # fmt: skip


def section(
    before: dict[str, Finding] | None = None, params: Params = SIMULATED, then: Params = SIMULATED, digest: str = "1"
) -> Since | None:
    baseline = State(manifest(then, digest), BEFORE if before is None else before)
    return since(params, State(manifest(params), NOW), baseline, ["funnel.conversion"])


def rows(found: Since | None, label: str = "tbl-moved") -> list[list[str]]:
    assert found
    (output,) = labelled(found.notebook)[label].outputs
    lines = data_of(output)[MARKDOWN].splitlines()[2:]
    return [[cell.strip().replace("\\", "") for cell in line.strip("| ").split(" | ")] for line in lines]


def text(found: Since | None) -> str:
    assert found
    return " ".join(found.values[f"since.{name}"] for name in ("text", "circumstances")).replace("\\", "")


def test_nothing_is_said_where_nothing_moved_or_nothing_is_known() -> None:
    assert section(before=dict(NOW)) is None
    assert since(SIMULATED, State(manifest(SIMULATED), NOW), None, []) is None


def test_both_values_change_and_verdict_are_told_headlines_first() -> None:
    found = rows(section(), "tbl-moved-all")
    assert [row[0] for row in found] == ["Conversion", "Revenue", "Order | value"]
    assert found[0] == [
        "Conversion",
        "10.0% (9.0%–11.0%)",
        "15.0% (14.0%–16.0%)",
        "+5.00 pp (+50.0%)",
        "beyond the intervals",
    ]
    assert found[1] == ["Revenue", "$1,000", "$1,200", "+$200.00 (+20.0%)", "changed"]


def test_when_it_was_and_what_else_differs_is_told() -> None:
    later = SIMULATED.model_copy(update={"eda": SIMULATED.eda.model_copy(update={"top_products": 7})})
    said = text(section(params=later, digest="2"))
    assert "Nov 23, 2026 at 11:30 PM (UTC) says something else in 3 of 4 findings; 1 of them moved beyond" in said
    assert "`eda.top_products` (10, now 7); input (`<b>.csv`)." in said
    assert "They read different files" in said
    assert "Both read the same data" in text(section())
    assert "What else differs" not in text(section())


def test_the_time_is_local() -> None:
    local = Params(**{**SIMULATED.to_notebook(), "report": {"time_zone": "Europe/Berlin"}})
    assert "Nov 24, 2026 at 12:30 AM (Europe/Berlin)" in text(section(params=local, then=local))


def test_a_run_that_it_is_compared_with_is_named() -> None:
    other = Params(**{**SIMULATED.to_notebook(), "report": {"compare_with": "last-month"}})
    found = section(params=other)
    assert found
    assert found.values["since.title"] == "Compared with run last\\-month"


def test_the_first_page_has_key_figures_and_profits_beyond_their_intervals_alone() -> None:
    profit, other, within = "roi.profit_win_back", "roi.margin", "funnel.conversion"
    before = (
        NOW
        | {name: finding(1.0, "currency", name, PLACE, low=0.9, high=1.1) for name in (profit, other)}
        | {within: finding(0.149, "share", "Conversion", PLACE, low=0.139, high=0.159)}
    )
    found = section(before=before)
    assert [row[0] for row in rows(found)] == [profit]
    assert [row[0] for row in rows(found, "tbl-moved-all")] == ["Conversion", other, profit]
    assert found and "tbl-moved" not in labelled(section(before=BEFORE | {within: NOW[within]}).notebook)  # type: ignore[union-attr]


def test_a_long_table_is_cut_and_says_so() -> None:
    many = {f"a.n{n}": finding(n, "count", f"N{n}", PLACE) for n in range(MOST_ROWS + 5)}
    found = section(before=BEFORE | many)
    assert found
    assert rows(found) == rows(found, "tbl-moved-all")[:1]
    assert len(rows(found, "tbl-moved-all")) == MOST_ROWS
    assert "What moved most" in labelled(found.notebook)["tbl-moved-all"].caption
    assert "What moved," in labelled(section().notebook)["tbl-moved-all"].caption  # type: ignore[union-attr]
    assert "#sec-moved" in found.values["since.text"]


def test_headlines_are_the_template_s_key_figures() -> None:
    template = (fake_run.PROJECT / "reports" / "executive.qmd").read_text("utf-8")
    assert headlines(template)[:2] == ["eda.revenue", "eda.orders"]


def test_html_and_pdf_have_the_section(report: Report) -> None:
    assert ">Since the last run</h2>" in report.html
    assert "2026 at" in report.html
    paper = " ".join(os.popen(f"pdftotext -layout '{report.rendered.pdf}' -").read().split())
    assert "Since the last run" in paper
    assert "Revenue $50,000 $59,443 +$9,443 (+18.9%) changed" in paper


def test_without_earlier_findings_there_is_no_section(sparse_report: Report) -> None:
    assert "Since the last run" not in sparse_report.html
    assert not Path(sparse_report.paths.report / "notebooks" / "00_changes.html").exists()


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATTERNBOOK_ROOT", str(tmp_path))
