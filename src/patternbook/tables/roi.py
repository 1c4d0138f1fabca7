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
        "audience": Column("Audience", "count"),
        "baseline": Column("Buy anyway", "share", ("baseline_low", "baseline_high")),
        "cost": Column("Cost", "currency"),
        "profit": Column("Profit", "currency"),
        "roi": Column("ROI", "share"),
        "loss": Column("Loss", "share"),
    }
    note = (
        f"Audiences do not overlap. Buy anyway: of such people, within {horizon} days and without being contacted, "
        "with 95% interval. Amounts are those of the first year if rolled out at once, set-up and discounts to those "
        "who buy anyway included; medians of what was simulated. Loss: its probability. A dash: costs nothing."
    )
    return table("roi-actions", frame, columns, formats, note)


def limits(frame: pl.DataFrame, terms: Terms, formats: Formats) -> GT:
    """What must hold for each action to pay."""
    columns = {
        "action": Column("Action"),
        "break_even": Column("Break-even", "share"),
        "highest_contact_cost": Column("Highest cost", "currency"),
        "customers": Column("Buyers won", "number", ("customers_low", "customers_high")),
        "cost_per_customer": Column("Cost of one", "currency"),
    }
    note = (
        "Break-even: effect at which the first year earns nothing. Highest cost: what a contact may cost. Buyers won: "
        "in the first year, with 95% of what was simulated; to win a new customer otherwise is assumed to cost "
        f"{formats.money(terms.acquisition_cost)}. A dash: the action makes orders larger, not buyers more."
    )
    return table("roi-limits", frame, columns, formats, note)


def decisions(frame: pl.DataFrame, formats: Formats) -> GT:
    """What to do, in order."""
    columns = {
        "priority": Column("#", "count"),
        "action": Column("Action"),
        "audience": Column("Audience", "count"),
        "decision": Column("Decision"),
        "profit": Column("Profit, first year", "currency", ("profit_low", "profit_high")),
        "effort": Column("Effort"),
        "first_step": Column("First step"),
    }
    note = "Profit: median of what was simulated under the assumed effects, if rolled out at once, and 95% of it."
    return table("roi-decisions", _by_priority(frame), columns, formats, note)


def information(frame: pl.DataFrame, formats: Formats) -> GT:
    """What testing each action first is worth."""
    columns = {
        "action": Column("Action"),
        "value_now": Column("Without test", "currency"),
        "value_of_test": Column("With test", "currency"),
        "perfect_information": Column("To know", "currency"),
        "test_people": Column("People", "count"),
        "test_days": Column("Days", "count"),
        "go_above": Column("Go from", "share"),
    }
    note = (
        "Expected net profit of the first year. Without test: the better of all and nothing. With test: only those "
        "treated in it are contacted until it is read, then all if it shows the effect under 'go from' or more "
        "(expected value of sample information). To know: what knowing the effect would add at most. People, days: "
        "those of the test that is expected to earn most, the wait for its outcomes included."
    )
    return table("roi-information", _by_priority(frame), columns, formats, note)


def _by_priority(frame: pl.DataFrame) -> pl.DataFrame:
    """Go before test first before no go, each by what it is worth."""
    return frame.sort(
        pl.col("decision").replace_strict({"go": 0, "test first": 1, "no go": 2}, return_dtype=pl.Int64),
        pl.max_horizontal("value_now", pl.col("value_of_test").fill_null(float("-inf"))),
        descending=[False, True],
        maintain_order=True,
    ).with_row_index("priority", 1)


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
        "The tenth, fiftieth and ninetieth of a hundred simulated outcomes. What is tested first counts with the "
        "cost and delay of its test, and on only where the test allows. In brackets: what the data leave open (95%), "
        f"the assumptions as they are. A dash: not within {MONTHS} months."
    )
    return table("roi-programme", shown, columns, formats, note)


def assumptions(frame: pl.DataFrame, formats: Formats) -> GT:
    """What was assumed, and where it comes from."""
    columns = {"assumption": Column("Assumption"), "value": Column("Value"), "source": Column("Source")}
    return table("roi-assumptions", frame, columns, formats)
