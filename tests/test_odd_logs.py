"""06 on logs that lack what it speaks of: it runs to its end, and each part that is left out says why in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from throwaway import Project

from patternbook.imports import notebook_code
from patternbook.paths import RunPaths, project_root
from patternbook.warehouse.compaction import compact
from patternbook.warehouse.marts import build_marts

CODE = notebook_code(project_root() / "notebooks" / "06_funnel_temporal.ipynb")
HEADER = "event_time,event_type,product_id,category_code,price,user_id,user_session"
START = datetime(2024, 3, 1, 22, 50)  # Berlin's clocks change within the log; sessions cross its midnight
DAYS, CUSTOMERS = 65, 25


def log(kinds: Sequence[str], products: int = 7, known: bool = True) -> str:
    """Customers with a session a day: an event of each kind, four minutes apart."""

    def lines() -> Iterator[str]:
        for day in range(DAYS):
            for who in range(CUSTOMERS):
                for place, kind in enumerate(kinds):
                    at = START + timedelta(days=day, minutes=who % 9 + 4 * place)
                    product = 1 + (who + day) % products
                    customer = who if known else ""
                    yield f"{at} UTC,{kind},{product},toys.bricks,{product}.50,{customer},s{who}-{day}"

    return "\n".join([HEADER, *lines()]) + "\n"


def findings(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What 06 finds in a log."""
    project.write("raw/log.csv", text)
    params = project.params(report={"time_zone": "Europe/Berlin"})
    monkeypatch.setenv("PATTERNBOOK_PARAMS", str(project.params_file))
    compact(params)
    build_marts(params)
    exec(compile(CODE, "06_funnel_temporal", "exec"), {})
    file = RunPaths.of("small").findings_parts / "06_funnel_temporal.json"
    found: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    assert all(finding["reason"] for finding in found.values() if finding["value"] is None)
    return found


@pytest.mark.parametrize(
    ("kinds", "absent", "present"),
    [
        (("view",), {"session_conversion", "abandonment", "time_to_purchase"}, set()),
        (("view", "purchase"), {"session_view_to_cart", "abandonment"}, {"session_conversion", "time_to_purchase"}),
        (("cart", "purchase"), {"session_view_to_cart", "view_to_cart"}, {"session_conversion"}),
        (("view", "cart"), {"session_conversion", "conversion"}, {"abandonment", "session_view_to_cart"}),
        (("purchase",), {"session_view_to_cart", "abandonment"}, {"session_conversion"}),
    ],
    ids=["views only", "no carts", "no views", "no purchase", "one event a session"],
)
def test_what_a_log_lacks_is_left_out(
    project: Project, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], absent: set[str], present: set[str]
) -> None:
    found = findings(project, log(kinds), monkeypatch)
    assert {name for name in absent if found[f"funnel.{name}"]["value"] is not None} == set()
    assert {name for name in present if found[f"funnel.{name}"]["value"] is None} == set()
    hours = found["temporal.peak_window"]["value"].split()[1]
    assert hours in ("22:00–01:00", "23:00–02:00")  # in winter sessions start before midnight, in summer after it


def test_one_product_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(project, log(("view", "cart", "purchase"), products=1), monkeypatch)
    assert found["funnel.session_conversion"]["value"] == 1
    assert found["funnel.abandonment"]["value"] is None


def test_nobody_known(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(project, log(("view", "cart", "purchase"), known=False), monkeypatch)
    assert found["funnel.session_conversion"]["value"] is None
    assert found["funnel.visitors"]["value"] is None
