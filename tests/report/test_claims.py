from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fake_run import finding, full_findings

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.report.claims import SUBJECTS, claims
from patternbook.report.variables import LINK

FORMATS = Formats("USD", "en_US")


def said(topic: str, findings: Mapping[str, Finding]) -> str:
    """A claim as it reads: its links are their texts."""
    return LINK.sub(lambda link: link[0][1:].partition("](")[0], claims(findings, FORMATS)[topic]).replace("\\", "")


def revenue(value: float, low: float | None = None, high: float | None = None) -> str:
    change = finding(value, "share", "Revenue, change", "02_eda#tbl-kpis", low=low, high=high)
    return said("eda", {"eda.revenue_change": change})


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        ((0.08, 0.05, 0.11), "Revenue rose by 8.0% on the period before"),
        ((-0.08, -0.11, -0.05), "Revenue fell by 8.0% on the period before"),
        ((0.08, -0.02, 0.18), "Revenue shows no clear change on the period before"),
        ((-0.08, -0.18, 0.02), "Revenue shows no clear change on the period before"),
        ((-0.08,), "Revenue fell by 8.0% on the period before"),
        ((0.0,), "Revenue shows no clear change on the period before"),
    ],
)
def test_a_number_that_fell_makes_a_sentence_that_says_so(bounds: tuple[float, ...], sentence: str) -> None:
    assert revenue(*bounds) == sentence


def test_a_number_of_a_heading_leads_to_its_cell_and_says_what_it_is_there() -> None:
    change = finding(-0.08, "share", "Revenue, change", "02_eda#tbl-kpis", low=-0.11, high=-0.05)
    heading = claims({"eda.revenue_change": change}, FORMATS)["eda"]
    assert '[8\\.0\\%](notebooks/02_eda.html#tbl-kpis "Revenue, change · eda.revenue_change · measured' in heading
    assert "95% interval −11.0% to −5.0%" in heading


def programme(conservative: float, realistic: float) -> str:
    values = {"roi.net_profit_conservative": conservative, "roi.net_profit_realistic": realistic}
    more: dict[str, Any] = {"kind": "modelled", "low": -1e6, "high": 1e6}
    found = {name: finding(value, "currency", name, "07#tbl-roi", **more) for name, value in values.items()}
    return said("roi", found)


def test_a_programme_that_may_lose_is_not_said_to_earn() -> None:
    assert "earns $5,000" in programme(1000, 5000)
    assert "may lose money" in programme(-1000, 5000)
    assert "earn" not in programme(-9000, -5000)
    assert "−$5,000" in programme(-9000, -5000)


def test_the_hurdle_is_named_only_where_the_intervals_part() -> None:
    known = full_findings()
    assert "The cart is the hurdle" in said("funnel", known)
    wide = known["funnel.view_to_cart"].model_copy(update={"high": 0.6})
    assert "alike" in claims(known | {"funnel.view_to_cart": wide}, FORMATS)["funnel"]


def test_without_findings_the_subject_stands() -> None:
    assert claims({}, FORMATS) == SUBJECTS
    absent = full_findings()["funnel.view_to_cart"].model_copy(
        update={"value": None, "low": None, "high": None, "reason": "No carts."}
    )
    assert claims(full_findings() | {"funnel.view_to_cart": absent}, FORMATS)["funnel"] == SUBJECTS["funnel"]


@pytest.mark.parametrize(("clear", "said_of_it"), [(0, "show no clear effect"), (6, "a clear effect in 6 of 8")])
def test_what_experiments_have_shown_is_said_in_the_heading(clear: int, said_of_it: str) -> None:
    counts = {"experiments.comparisons_clear": clear, "experiments.comparisons_read": 8}
    found = {name: finding(count, "count", name, "07_experiments#tbl-readout") for name, count in counts.items()}
    assert said_of_it in said("readout", found)
