"""The finished report in a real browser: nothing from outside, nothing to complain of, readable on any screen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import real_run
from axe_playwright_python.sync_playwright import Axe
from fake_run import Report
from playwright.sync_api import Browser, Page

PHONE, LAPTOP, WALL = 360, 1280, 1920


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with real_run.browser() as browser:
        yield browser


def opened(browser: Browser, report: Report, said: list[str] | None = None, **options: Any) -> Page:
    """The report in a browser without a network; what the console says goes into `said`."""
    page = browser.new_context(offline=True, **options).new_page()
    if said is not None:
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    page.goto(report.rendered.html.as_uri())
    page.wait_for_selector(".plot .main-svg", state="attached")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_breaks_no_rule_of_accessibility(chrome: Browser, report: Report, scheme: Any) -> None:
    found = Axe().run(opened(chrome, report, color_scheme=scheme, viewport={"width": LAPTOP, "height": 900}))
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found.response["violations"]] == []


def test_it_asks_for_nothing_and_the_console_stays_empty(chrome: Browser, report: Report) -> None:
    said: list[str] = []
    page = opened(chrome, report, said)
    page.mouse.wheel(0, 20_000)
    assert said == []


@pytest.mark.parametrize("width", [PHONE, LAPTOP, WALL])
def test_no_screen_has_to_be_scrolled_sideways(chrome: Browser, report: Report, width: int) -> None:
    page = opened(chrome, report, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_text_is_read_on_dark_ground_where_the_reader_wants_that(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report, color_scheme="dark")
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert luminance(ground) < 0.1 < 0.6 < luminance(ink)


def luminance(colour: str) -> float:
    """About how light an `rgb(…)` is, from 0 to 1."""
    return sum(int(part) for part in colour[4:-1].split(",")) / (3 * 255)


def test_each_chart_hands_out_its_data(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report)
    links = page.locator(".chart-data a")
    assert links.count() == page.locator(".plot").count() > 0
    for link in links.all():
        header, *rows = csv.reader(io.StringIO(unquote((link.get_attribute("href") or "").partition(",")[2])))
        assert header[0] == "series"
        assert rows
        assert {len(row) for row in rows} == {len(header)}
