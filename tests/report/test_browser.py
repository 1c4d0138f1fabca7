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
from playwright.sync_api import Browser, Locator, Page

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
    real_run.draw_charts(page)
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


def test_pointing_at_a_number_says_where_it_comes_from(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report, viewport={"width": LAPTOP, "height": 900})
    card, number = page.locator("#number-card"), conversion(page)
    assert card.is_hidden()
    number.hover()
    assert card.locator("p").all_inner_texts() == CARD
    card.hover()  # the pointer may go there
    page.wait_for_timeout(300)
    assert card.is_visible()
    page.mouse.move(5, 5)
    card.wait_for(state="hidden")


def test_so_does_the_keyboard(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report)
    card, number = page.locator("#number-card"), conversion(page)
    number.focus()
    assert card.locator("p").all_inner_texts() == CARD
    assert number.get_attribute("aria-describedby") == "number-card"
    page.keyboard.press("Escape")
    assert card.is_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url("**/06_funnel_temporal.html#fig-funnel")


def test_a_finger_gets_the_card_first_and_then_the_cell(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report, has_touch=True, viewport={"width": PHONE, "height": 740})
    card, number = page.locator("#number-card"), conversion(page)
    number.tap()
    assert card.locator("p").all_inner_texts() == CARD
    box = card.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE
    assert page.url.endswith("executive.html")
    number.tap()
    page.wait_for_url("**/06_funnel_temporal.html#fig-funnel")


CARD = [
    "Conversion",
    "measured",
    "95% interval 3.7%–4.9%",
    "n = 4,504",
    "funnel.conversion",
    "Computed in 06_funnel_temporal, fig-funnel",
]


def conversion(page: Page) -> Locator:
    """The key figure on conversion."""
    return page.locator(".kpis a.finding", has_text="4.3%")


def test_charts_are_drawn_when_they_come_near(chrome: Browser, report: Report) -> None:
    page = chrome.new_page(viewport={"width": LAPTOP, "height": 100})
    page.goto(report.rendered.html.as_uri())
    last = page.locator(".plot").last
    page.wait_for_timeout(500)
    assert last.locator(".poster").is_visible()
    assert last.locator(".main-svg").count() == 0
    last.scroll_into_view_if_needed()
    last.locator(".main-svg").first.wait_for()
    assert last.locator(".poster").is_hidden()


def test_without_scripts_and_on_paper_each_chart_is_an_image(chrome: Browser, report: Report) -> None:
    plain = chrome.new_context(java_script_enabled=False).new_page()
    plain.goto(report.rendered.html.as_uri())
    paper = opened(chrome, report)
    paper.emulate_media(media="print")
    for page in (plain, paper):
        posters = page.locator(".plot .poster")
        assert posters.count() == 2
        assert all(poster.is_visible() for poster in posters.all())
    assert plain.locator(".chart").first.is_hidden()
    assert paper.locator(".chart").first.is_hidden()


def test_a_heading_takes_the_lines_that_its_width_asks_for(chrome: Browser, report: Report) -> None:
    heights = {}
    for width in (PHONE, LAPTOP):
        page = opened(chrome, report, viewport={"width": width, "height": 900})
        plot = page.locator(".plot:has(.gtitle)").first
        plot.scroll_into_view_if_needed()
        ends = plot.evaluate(
            "plot => [...plot.querySelectorAll('.gtitle tspan.line')].map(line => line.getBoundingClientRect().right)"
        )
        assert len(ends) > 1
        assert max(ends) <= plot.evaluate("plot => plot.getBoundingClientRect().right")
        heights[width] = plot.locator(".chart").evaluate("chart => chart.offsetHeight")
    assert heights[PHONE] > heights[LAPTOP]


def test_a_table_wider_than_the_screen_is_scrolled_by_key(chrome: Browser, report: Report) -> None:
    page = opened(chrome, report, viewport={"width": PHONE, "height": 740})
    conversion(page).focus()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = Axe().run(page)
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found.response["violations"]] == []
