"""Tables of what actions earn."""

from __future__ import annotations

import polars as pl
from great_tables import GT

from patternbook.analysis.roi import MONTHS, Terms
from patternbook.formats import Formats
from patternbook.tables import Column, table


def actions(frame: pl.DataFrame, horizon: int, formats: Formats) -> GT:
    """What each action costs and earns."""
    columns = {
        "action": Column("Action"),
        "audience": Column("Audience now", "count"),
        "baseline": Column("Buy anyway (95% interval)", "share", ("baseline_low", "baseline_high")),
        "customers": Column("More buyers a year", "count"),
        "cost": Column("Cost", "currency"),
        "profit": Column("Net profit", "currency"),
        "roi": Column("ROI", "share"),
        "loss": Column("Loses money", "share"),
    }
    note = (
        f"Audiences do not overlap. Buy anyway: of such people, within {horizon} days and without being contacted. "
        "Amounts are those of the first year, set-up and discounts to those who buy anyway included; medians of what "
        "was simulated. A dash: the action makes orders larger, not buyers more, or costs nothing."
    )
    return table("roi-actions", frame, columns, formats, note)


def limits(frame: pl.DataFrame, terms: Terms, formats: Formats) -> GT:
    """What must hold for each action to pay."""
    columns = {
        "action": Column("Action"),
        "effect": Column("Likely effect (low to high)", "share", ("effect_low", "effect_high")),
        "break_even": Column("Break-even effect", "share"),
        "highest_contact_cost": Column("A contact may cost", "currency"),
        "cost_per_customer": Column("Cost of a buyer won", "currency"),
    }
    note = (
        "Effect: of what the audience spends anyway. Break-even: effect at which the first year earns nothing. To win "
        f"a new customer is assumed to cost {formats.money(terms.acquisition_cost)}."
    )
    return table("roi-limits", frame, columns, formats, note)


def decisions(frame: pl.DataFrame, formats: Formats) -> GT:
    """What to do, in order."""
    numbered = frame.sort(
        pl.col("decision").replace_strict({"go": 0, "test first": 1, "no go": 2}, return_dtype=pl.Int64),
        pl.max_horizontal("value_now", pl.col("value_of_test").fill_null(float("-inf"))),
        descending=[False, True],
        maintain_order=True,
    ).with_row_index("priority", 1)
    columns = {
        "priority": Column("Priority", "count"),
        "action": Column("Action"),
        "decision": Column("Decision"),
        "value_now": Column("Worth without a test", "currency"),
        "value_of_test": Column("Worth with a test", "currency"),
        "perfect_information": Column("Knowing is worth at most", "currency"),
        "test_days": Column("Test, days", "count"),
        "effort": Column("Effort"),
        "first_step": Column("First step"),
    }
    note = (
        "Worth: expected net profit of the first year, the better of all and nothing. With a test: what is decided "
        "after it by what it shows, less what testing costs (expected value of sample information)."
    )
    return table("roi-decisions", numbered, columns, formats, note)


def programme(frame: pl.DataFrame, formats: Formats) -> GT:
    """The programme by scenario."""
    shown = frame.with_columns(pl.col("scenario").str.to_titlecase())
    columns = {
        "scenario": Column("Scenario"),
        "net_profit": Column("Net profit, first year", "currency", ("net_profit_low", "net_profit_high")),
        "roi": Column("ROI", "share", ("roi_low", "roi_high")),
        "npv_3y": Column("Net present value, three years", "currency", ("npv_3y_low", "npv_3y_high")),
        "payback_months": Column("Pays back after", "months"),
    }
    note = (
        "The tenth, fiftieth and ninetieth of a hundred simulated outcomes. In brackets: what the data leave open of "
        f"it (95%), the assumptions as they are. A dash: not within {MONTHS} months."
    )
    return table("roi-programme", shown, columns, formats, note)


def assumptions(frame: pl.DataFrame, formats: Formats) -> GT:
    """What was assumed, and where it comes from."""
    columns = {"assumption": Column("Assumption"), "value": Column("Value"), "source": Column("Source")}
    return table("roi-assumptions", frame, columns, formats)
