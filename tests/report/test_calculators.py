"""The calculators in a browser against the Python functions, over a grid; by keyboard; with impossible input."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import real_run
from playwright.sync_api import Page

from patternbook import calculators
from patternbook.analysis import experiments, roi, trials
from patternbook.analysis.audiences import Audience
from patternbook.analysis.corrections import Correction
from patternbook.analysis.experiments import Design
from patternbook.analysis.roi import Action, Case, Terms
from patternbook.formats import Formats

US = Formats("USD", "en_US")
ACTION = Action("onboarding", 0.0, 0.1, 0.3, "test", 0.2, 0.05, 0.4, 1500.0, "low", "start")
TERMS = Terms(0.3, 0.1, 1.0, 0.2, 0.0, 30.0)


def audience(spend: float, people: int = 2000, a_day: float = 40.0) -> Audience:
    """Of whom every fifth buys, and who spend `spend` each on average, all alike."""
    bought = np.arange(1000) % 5 == 0
    past = pl.DataFrame(
        {
            "customer_id": range(1000),
            "begins": date(2024, 1, 1),
            "bought": bought,
            "revenue": spend,
            "before": 0.0,
        }
    )
    return Audience("onboarding", pl.DataFrame({"customer_id": range(people)}), a_day, past, 28)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with nothing but the two calculators, without a network."""
    case = Case(ACTION, audience(40.0), TERMS)
    planned = trials.plan(case, Design(), 14, 182)
    assert isinstance(planned, trials.Plan)
    blocks = [calculators.power(planned, US), calculators.first_year(case, Formats("INR", "en_IN"))]
    body = "\n".join(line for block in blocks for line in block.splitlines() if not line.startswith("```"))
    file: Path = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8"><html lang="en"><body>{body}</body></html>', "utf-8")
    with real_run.browser() as chrome:
        shown = chrome.new_page(offline=True)
        shown.goto(file.as_uri())
        yield shown


def results(page: Page, name: str, values: dict[str, float]) -> dict[str, float]:
    """What the calculator makes of the values."""
    found: dict[str, float] = page.evaluate(
        """([name, values]) => {
            const form = document.getElementById(name + "-calculator");
            for (const [key, value] of Object.entries(values)) form.elements[key].value = value;
            form.dispatchEvent(new Event("input"));
            return Object.fromEntries([...form.querySelectorAll("output")].map((one) =>
                [one.getAttribute("name"), one.dataset.value === "" ? NaN : Number(one.dataset.value)]));
        }""",
        [name, values],
    )
    return found


@pytest.mark.parametrize("correction", ["holm", "dunnett"])
def test_power_agrees_over_a_grid(page: Page, correction: Correction) -> None:
    page.evaluate("one => { document.getElementById('power-calculator').dataset.correction = one; }", correction)
    grid = itertools.product(
        [0.5, 5, 20, 60], [2, 10, 50], [1, 5], [50, 80, 95], [50, 20], [2, 4, 7], [0, 3000], [0, 12.5], [4]
    )
    for values in random.Random(0).sample(list(grid), 150):
        baseline, effect, alpha, power, treated, arms, stock, a_day, weeks = values
        names = ("baseline", "effect", "alpha", "power", "treated", "arms", "stock", "a_day", "weeks")
        found = results(page, "power", {**dict(zip(names, values, strict=True)), "shortest": 14, "horizon": 28})
        design = Design(alpha / 100, power / 100, treated / 100, arms, correction=correction)
        share, lift = baseline / 100, effect / 100
        control = experiments.size_for_proportions(share, share * lift, design)
        days = experiments.enrolment_days(control, design, stock, a_day, 14)
        least = math.nan
        if stock + a_day:
            have = (stock + 7 * weeks * a_day) / design.groups
            least = experiments.detectable_in_proportions(share, have, design) / share
        expected = {
            "control": experiments.people(control),
            "people": experiments.people(control * design.groups),
            "days": math.nan if days is None else days + 28,
            "detectable": least,
        }
        assert found == pytest.approx(expected, rel=1e-4, nan_ok=True), values


def test_roi_agrees_over_a_grid(page: Page) -> None:
    grid = itertools.product([500, 20_000], [0.5, 80], [-20, 0, 15], [10, 45], [0, 20], [0, 50], [0, 1.5], [0, 2500])
    for values in random.Random(1).sample(list(grid), 150):
        contacts, spend, effect, margin, discount, redemption, contact_cost, setup = values
        names = ("contacts", "spend", "effect", "margin", "discount", "redemption", "contact_cost", "setup_cost")
        found = results(page, "roi", dict(zip(names, values, strict=True)))
        lift = effect / 100
        action = replace(
            ACTION,
            low=lift,
            likely=lift,
            high=lift,
            discount=discount / 100,
            redemption=redemption / 100,
            contact_cost=float(contact_cost),
            setup_cost=float(setup),
        )
        case = Case(action, audience(spend, contacts, 0.0), TERMS._replace(margin=margin / 100))
        profit, cost = case.cash(lift, spend, roi.FIRST_YEAR), case.cost(lift, spend)
        expected = {
            "revenue": contacts * spend * lift,
            "cost": cost,
            "profit": profit,
            "roi": profit / cost if cost > 0 else math.nan,
            "break_even": math.nan if case.break_even is None else case.break_even,
            "highest_contact_cost": _highest(case, lift),
        }
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-9, nan_ok=True), values


def _highest(case: Case, effect: float) -> float:
    assert case.action.mean_effect == pytest.approx(effect)
    return case.highest_contact_cost


def test_calculators_start_from_the_numbers_of_the_run(page: Page) -> None:
    page.reload()
    assert page.input_value("#power-calculator-baseline") == "20"
    assert page.input_value("#power-calculator-effect") == "10"
    assert page.input_value("#roi-calculator-spend") == "40"
    shown = page.inner_text("#power-calculator output[name=control]")
    assert shown == f"{experiments.people(experiments.size_for_proportions(0.2, 0.02, Design())):,}"


def test_few_who_come_anew_are_not_rounded_away() -> None:
    planned = trials.plan(Case(ACTION, audience(40.0, a_day=1.6871), TERMS), Design(), 14, 182)
    assert isinstance(planned, trials.Plan)
    assert 'name="a_day" value="1.6871"' in calculators.power(planned, US)


def test_amounts_are_written_by_locale(page: Page) -> None:
    results(page, "roi", {"contacts": 1_000_000, "spend": 40, "effect": 50})
    assert page.inner_text("#roi-calculator output[name=revenue]") == "₹2,00,00,000.00"


def test_every_field_has_a_label_and_a_unit_and_takes_the_keyboard(page: Page) -> None:
    page.reload()
    inputs = page.locator("input")
    for number in range(inputs.count()):
        field = inputs.nth(number)
        assert page.locator(f"label[for={field.get_attribute('id')}]").inner_text()
        assert page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "power-calculator-baseline"
    before = page.inner_text("#power-calculator output[name=control]")
    page.keyboard.press("Tab")
    page.keyboard.type("5")
    assert page.inner_text("#power-calculator output[name=control]") != before


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("power", {"baseline": 0}, "Share that buys"),
        ("power", {"baseline": 100}, "Share that buys"),
        ("power", {"baseline": 60, "effect": 90}, "more than everybody"),
        ("power", {"effect": -5}, "Effect"),
        ("power", {"alpha": 0}, "False positives"),
        ("power", {"power": 100}, "Power"),
        ("power", {"alpha": 30, "power": 20}, "False positives"),
        ("power", {"effect": 101}, "Effect"),
        ("power", {"alpha": 100}, "False positives"),
        ("power", {"treated": 0}, "People who are contacted"),
        ("power", {"arms": 1}, "Arms"),
        ("power", {"baseline": "e"}, "Share that buys"),
        ("roi", {"contact_cost": -1}, "Cost of a contact"),
        ("roi", {"setup_cost": -1}, "Set-up"),
        ("roi", {"effect": -101}, "Effect"),
        ("roi", {"effect": 101}, "Effect"),
        ("roi", {"contacts": 0}, "Contacts"),
        ("roi", {"margin": 120}, "Margin"),
        ("roi", {"spend": ""}, "Spend"),
    ],
)
def test_impossible_input_is_named_and_nothing_is_shown(
    page: Page, name: str, values: dict[str, float], words: str
) -> None:
    page.reload()
    found = results(page, name, values)
    assert all(math.isnan(value) for value in found.values())
    assert words in page.inner_text(f"#{name}-calculator [role=status]")
    assert page.inner_text(f"#{name}-calculator output >> nth=0") == "—"


def test_what_has_no_number_is_said_and_the_rest_is_shown(page: Page) -> None:
    page.reload()
    status = "[role=status]"
    found = results(page, "roi", {"contact_cost": 0, "setup_cost": 0, "discount": 0})
    assert math.isnan(found["roi"])
    assert found["profit"] > 0
    assert page.inner_text(f"#roi-calculator {status}") == "It costs nothing, so there is no ROI."
    found = results(page, "roi", {"contact_cost": 1, "discount": 80, "redemption": 100})
    assert math.isnan(found["break_even"])
    assert page.inner_text("#roi-calculator output[name=profit]").startswith("−₹")
    assert "no effect breaks even" in page.inner_text(f"#roi-calculator {status}")
    found = results(page, "power", {"stock": 2, "a_day": 0})
    assert math.isnan(found["days"])
    assert math.isnan(found["detectable"])
    assert "never come" in page.inner_text(f"#power-calculator {status}")
    results(page, "power", {"stock": 100_000})
    assert page.inner_text(f"#power-calculator {status}") == ""


@pytest.mark.parametrize(
    ("formats", "spend", "revenue"),
    [
        (Formats("INR", "hi_IN"), "1234567.89", "₹6,17,28,394.50"),
        (Formats("JPY", "ja_JP"), "1234568", "￥61,728,400"),
    ],
    ids=["INR in lakh and crore", "JPY without decimals"],
)
def test_amounts_have_the_grouping_and_decimals_of_their_currency(
    page: Page, tmp_path: Path, formats: Formats, spend: str, revenue: str
) -> None:
    block = calculators.first_year(Case(ACTION, audience(1234567.89), TERMS), formats)
    shown = "\n".join(line for line in block.splitlines() if not line.startswith("```"))
    file = tmp_path / "page.html"
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body>{shown}</body>', "utf-8")
    browser = page.context.browser
    assert browser is not None
    money = browser.new_page(offline=True)
    money.goto(file.as_uri())
    assert money.input_value("#roi-calculator-spend") == spend
    results(money, "roi", {"contacts": 1000, "effect": 5})
    assert money.inner_text("#roi-calculator output[name=revenue]") == revenue
    money.close()
