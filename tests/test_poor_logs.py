"""Logs that allow little, through compaction, marts and notebooks 08 and 03: a sentence or an interval, no crash."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pytest
from throwaway import Project

from patternbook.findings import Finding, read_findings
from patternbook.imports import notebook_code
from patternbook.paths import RunPaths, project_root
from patternbook.warehouse.compaction import compact
from patternbook.warehouse.marts import build_marts

CODE = {
    name: notebook_code(project_root() / "notebooks" / f"{name}.ipynb")
    for name in ("08_lifetime_churn", "03_segmentation")
}
COLUMNS = {"order_id": "order", "product_id": "product", "quantity": "quantity", "event_time": "time"}
COLUMNS |= {"price": "price", "customer_id": "customer"}
START = date(2024, 1, 1)


class Line(NamedTuple):
    customer: int
    day: int
    quantity: int = 1
    price: float = 20.0


def lines(customers: int, orders: int, days: int, quantity: int = 1, price: float | None = None) -> list[Line]:
    """As many orders of each customer on random days, at `price` or random ones."""
    rng = np.random.default_rng(0)
    return [
        Line(who, int(day), quantity, round(float(rng.lognormal(3, 0.7)), 2) if price is None else price)
        for who in range(customers)
        for day in rng.integers(0, days, orders)
    ]


def csv(rows: Iterable[Line]) -> str:
    written = [
        f"{number},p{row.customer % 5},{row.quantity},{START + timedelta(row.day)} 12:{number % 60:02}:00,"
        f"{row.price},{row.customer}"
        for number, row in enumerate(rows)
    ]
    return "\n".join(["order,product,quantity,time,price,customer", *written]) + "\n"


def found_in(project: Project, rows: list[Line]) -> dict[str, Finding]:
    """Findings of both notebooks on a till roll of `rows`."""
    project.write("raw/till.csv", csv(rows))
    source = {"kind": "transactions", "files": ["raw/till.csv"], "columns": COLUMNS, "time_format": "%Y-%m-%d %H:%M:%S"}
    params = project.params(source=source)
    compact(params)
    build_marts(params)
    findings: dict[str, Finding] = {}
    for name, code in CODE.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATTERNBOOK_PARAMS", str(project.params_file))
            exec(compile(code, name, "exec"), {})
        findings |= read_findings(RunPaths.of(params.run).findings_parts / f"{name}.json")
    return findings


LOGS = {
    "49 buyers": lines(49, 3, 200),
    "one purchase each": lines(150, 1, 300),
    "one calendar day": lines(90, 2, 1),
    "no money": lines(120, 3, 250, price=0.0),
    "money paid out": lines(120, 3, 250, price=-5.0),
    "returns only": lines(120, 2, 250, quantity=-1, price=20.0),
    "a customer with 10,000 orders": [*lines(150, 3, 300), *(Line(999, k % 300) for k in range(10_000))],
    "cohorts of one": [Line(who, 3 * who + step) for who in range(100) for step in (0, 11, 24)],
}
SAID = {
    "49 buyers": {"lifetime.clv_12m": "fewer than the 50", "segmentation.at_risk_customers": "fewer than the 50"},
    "one purchase each": {"lifetime.bgnbd_r": "second day", "retention.second_purchase_90d": "second day"},
    "one calendar day": {"lifetime.clv_12m": "second day", "retention.week1_churn": "second week"},
    "no money": {"lifetime.clv_12m": "", "segmentation.silhouette": "Too few buyers differ"},
    "money paid out": {"lifetime.clv_12m": "", "segmentation.silhouette": "Too few buyers differ"},
    "returns only": {"lifetime.clv_12m": "0 customers", "retention.week1_churn": "No buyer"},
    "cohorts of one": {"retention.second_purchase_90d": "as many days"},
    "a customer with 10,000 orders": {},
}


@pytest.mark.parametrize("log", LOGS)
def test_a_poor_log_is_reported_in_sentences_and_intervals(project: Project, log: str) -> None:
    findings = found_in(project, LOGS[log])
    assert {"lifetime.clv_12m", "retention.week1_churn", "segmentation.value_at_risk"} <= findings.keys()
    for name, finding in findings.items():
        if finding.value is None:
            assert finding.reason and finding.reason.endswith("."), name
        elif finding.kind == "modelled":
            assert finding.low <= finding.value <= finding.high, name  # type: ignore[operator]
    for name, said in SAID[log].items():
        assert findings[name].value is None
        assert said in str(findings[name].reason)


def test_few_buyers_have_a_wide_interval_of_their_return(project: Project) -> None:
    rows = [Line(who, day) for who in range(12) for day in (0, 8 if who < 6 else 30)]
    churn = found_in(project, rows)["retention.week1_churn"]
    assert (churn.value, churn.n) == (0.5, 12)
    assert churn.high - churn.low > 0.4  # type: ignore[operator]
