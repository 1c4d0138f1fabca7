from __future__ import annotations

import fake_run
import pytest

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.params import Params
from patternbook.report.cells import MARKDOWN, data_of, labelled
from patternbook.report.tracing import traced

US = Formats("USD", "en_US")
PARAMS = Params(run="x", source={"kind": "simulated"}, propensity={"horizon_days": 28})
FINDINGS = {
    "funnel.viewers": fake_run.finding(39_950, "count", "Viewers", "06#fig-funnel"),
    "funnel.view_to_cart": fake_run.finding(0.373, "share", "To cart", "06#fig-funnel", low=0.368, high=0.378),
    "eda.aov": fake_run.finding(179.5, "currency", "Order value", "02#tbl-kpis", low=175.9, high=183.1),
    "eda.revenue": fake_run.finding(7_478_744, "currency", "Revenue", "02#tbl-kpis"),
    "funnel.few": fake_run.finding(323, "count", "Few", "06#fig-funnel"),
    "eda.orders": fake_run.finding(12_345, "count", "Orders", "02#tbl-kpis"),
    "eda.lines": fake_run.finding(12_345, "count", "Lines", "02#tbl-kpis"),
}


HOME = " [computed here](notebooks/01_compaction.html#answer-x){.trace}"


def answer(
    text: str,
    findings: dict[str, Finding] = FINDINGS,
    label: str = "answer-x",
    name: str = "01_compaction",
    states: tuple[str, ...] = (),
) -> str:
    notebook = fake_run.notebook("Title", fake_run.cell(label, fake_run.sentence(text)))
    notebook.cells[-1].source = f"#| parameters: [{', '.join(states)}]\n{notebook.cells[-1].source}"
    _, output = labelled(traced(name, notebook, findings, PARAMS, US))[label].outputs
    return str(data_of(output)[MARKDOWN])


def test_a_number_with_its_interval_is_the_finding() -> None:
    found = answer("Of 39,950 viewers, 37.3% (36.8%–37.8%) put something into a cart, worth $180 ($176–$183).")
    assert '[39\\,950](notebooks/06.html#fig-funnel "Viewers · funnel.viewers · measured' in found
    assert '[37\\.3\\%](notebooks/06.html#fig-funnel "To cart · funnel.view_to_cart' in found
    assert '[\\$180](notebooks/02.html#tbl-kpis "Order value · eda.aov' in found
    assert ".finding .measured} (36.8%–37.8%) put" in found


@pytest.mark.parametrize(
    "text",
    [
        "37.3% of them",  # written otherwise
        "139,950 or 39,950.5 or 39,9501 or −39,950",  # part of another number
        "323 of them",  # too short to be sure
        "12,345 of them",  # two findings are written so
        "$7,478,744.50",
        "fell by 37.3% (36.8%–37.9%)",
        "a median of 41,000 (39,950–42,050) or 38,000 (36,050–39,950)",  # ends of an interval
        "a median of 41,000 (39,950 to 42,050) or 38,000 (36,050 to 39,950)",
    ],
)
def test_what_may_be_another_number_is_left_alone(text: str) -> None:
    assert answer(text) == text + HOME


def test_a_short_number_counts_before_its_label_and_a_long_one_without_its_interval() -> None:
    findings = {
        "eda.orders": fake_run.finding(727, "count", "Orders", "02#tbl-kpis"),
        "roi.net_profit": fake_run.finding(258.14, "currency", "Profit", "07#tbl-roi", low=-590.13, high=1863.0),
    }
    found = answer("Of 727 orders, 727 with a profit of $258.14.", findings)
    assert found.count("Orders · eda.orders") == 1
    assert found.index("eda.orders") < found.index("} orders, 727 with")
    assert "Profit · roi.net_profit · measured · 95% interval" in found


def test_of_two_findings_written_alike_the_notebook_s_own_is_meant() -> None:
    twice = {
        "eda.orders": FINDINGS["eda.orders"],
        "funnel.orders": fake_run.finding(12_345, "count", "Orders", "06#tbl-x"),
    }
    assert "· funnel.orders ·" in answer("12,345 orders", twice, name="06")
    assert "· eda.orders ·" in answer("12,345 orders", twice, name="02")


def test_only_answers_are_traced() -> None:
    assert answer("39,950", label="tbl-x") == "39,950"


def test_an_answer_leads_to_its_own_cell_where_it_has_numbers_that_are_no_findings() -> None:
    assert answer("39,950 of them", findings={}) == "39,950 of them" + HOME
    assert answer("Of 39,950 viewers 12 stayed.").endswith(HOME)
    assert HOME not in answer("Of 39,950 viewers, most stayed.")
    assert answer("Nobody came.") == "Nobody came."
    assert answer("First 12 stayed.\n\nThen 13 left.") == f"First 12 stayed.{HOME}\n\nThen 13 left.{HOME}"


@pytest.mark.parametrize(
    ("key", "text", "shown", "origin"),
    [
        ("propensity.horizon_days", "within 28 days", "28", "set in the parameter file"),
        ("quality.bots.events", "more than 50,000 in all", "50\\,000", "default of the software"),
        ("propensity.contact_cost", "a contact at $0.25 pays", "\\$0\\.25", "default of the software"),
        ("propensity.incremental_share", "if 10.0% would not", "10\\.0\\%", "default of the software"),
        ("churn.quantile", "longer than 90% of pauses", "90\\%", "default of the software"),
    ],
)
def test_a_parameter_that_the_cell_says_it_states_leads_to_its_row(
    key: str, text: str, shown: str, origin: str
) -> None:
    title = f"Parameter · {key} · assumed · {origin}"
    link = f'[{shown}](notebooks/00_provenance.html#par-{key} "{title}"){{.finding .assumed}}'
    found = answer(text, states=(key,))
    assert link in found
    assert HOME not in found
    assert answer(text) == text + HOME


@pytest.mark.parametrize(
    "text",
    [
        "128 days or 28.5 days or 28% or Dec 28, 2024",  # part of another number, a share, a date
        "30 (28–32) days and 29 (27–28 days)",  # ends of an interval
    ],
)
def test_what_is_no_parameter_stays(text: str) -> None:
    assert answer(text, states=("propensity.horizon_days",)) == text + HOME


def test_a_finding_stays_one_where_a_parameter_is_written_alike() -> None:
    findings = {"eda.orders": fake_run.finding(28, "count", "Orders", "02#tbl-kpis")}
    found = answer("28 orders within 28 days", findings, states=("propensity.horizon_days",))
    assert found.count("eda.orders") == found.count("par-propensity.horizon_days") == 1
    assert found.index("eda.orders") < found.index("par-propensity")
