"""What may go wrong with what the report recommends, as far as this run shows it, and what to do about it.

A risk is named only where a finding of the run gives reason to; each leads to the finding that it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.markup import escaped
from patternbook.params import NO_STUDY, Params
from patternbook.report.cells import Notebook, new_notebook, new_text
from patternbook.report.provenance import table_cell
from patternbook.report.variables import linked, number

NAME = "00_risks"
DRIFT = "propensity.drift"  # the table that says which rates have moved
MUCH_LOSS = 0.1  # probability of a loss that is worth naming
FEW_YEARS = 2 * 365  # days; with fewer a season cannot be told from a trend
SHIFTED = 0.1  # population stability index from which on scores have moved (Siddiqi 2006: little below, some above)
WIDE = 0.5  # half-width of an interval, as a share of its value


class Risk(NamedTuple):
    """A risk: what may go wrong, the finding it rests on, what that shows (`{}` is its number), what to do about it."""

    what: str
    finding: str
    shows: str
    mitigation: str


def risks(params: Params, findings: Mapping[str, Finding], drift: pl.DataFrame | None) -> list[Risk]:
    """The risks that the run's findings give reason to name, those to the money first; `drift` is propensity.drift."""
    known = {name: finding for name, finding in findings.items() if finding.value is not None}
    found = [*_of_money(params, known), *_of_models(known, drift), *_of_data(params, known)]
    return [risk for risk in found if risk.finding in known]


def risk_notebook(
    params: Params, findings: Mapping[str, Finding], drift: pl.DataFrame | None, formats: Formats
) -> Notebook | None:
    """A notebook with the table `tbl-risks`; None where the run gives no reason to name any."""
    rows = [
        [escaped(risk.what), _shown(risk, findings[risk.finding], formats), escaped(risk.mitigation)]
        for risk in risks(params, findings, drift)
    ]
    if not rows:
        return None
    header = ["Risk", "What this run shows", "What to do about it"]
    caption = "Risks that this run gives reason to name"
    table = table_cell("tbl-risks", caption, header, rows, "lll", markup=True, widths=[24, 40, 36])
    return new_notebook([new_text("# Risks\n\nWhat may go wrong, and the finding that each risk rests on."), table])


def _shown(risk: Risk, finding: Finding, formats: Formats) -> str:
    value, interval = number(finding, formats)
    link = linked(risk.finding, finding, value, interval, formats)
    before, _, after = risk.shows.partition("{}")
    bounds = " " + escaped(f"({interval})") if interval else ""
    return f"{escaped(before)} {link}{bounds}{_after(after)}".strip()


def _after(text: str) -> str:
    return f" {escaped(text)}" if text.startswith(" ") else escaped(text)


def _of_money(params: Params, known: Mapping[str, Finding]) -> Iterator[Risk]:
    actions = params.roi.actions.values()
    guessed = sum(action.effect.source == NO_STUDY for action in actions)
    if guessed:
        yield Risk(
            "Effects are smaller than assumed",
            "roi.net_profit_conservative",
            f"Of {len(actions)} actions, {guessed} rest on an assumption with no study behind it. If less comes of "
            "them, the first year brings {}.",
            "Hold out a random part of every roll-out, and go by what it shows.",
        )
    loss = known.get("roi.probability_of_loss")
    if loss is not None and loss.ends[1] > MUCH_LOSS:
        yield Risk(
            "The programme loses money",
            "roi.probability_of_loss",
            "In {} of what was simulated it does.",
            "Begin with the first action of the roadmap, and with the next when that has paid.",
        )
    power, wanted = known.get("experiments.power"), params.experiments.power
    if power is not None and power.ends[1] < wanted:
        yield Risk(
            "A test misses an effect that is there",
            "experiments.power",
            "Within the days allowed, the test of the headline action finds the likely effect in {} of cases.",
            "Test a bolder offer, or for longer; do not take silence for no effect.",
        )
    peeking = known.get("experiments.type1_error_peeking")
    if peeking is not None and peeking.ends[0] > 2 * params.experiments.alpha:
        yield Risk(
            "A test is stopped too early",
            "experiments.type1_error_peeking",
            "Looking every day finds an effect where there is none in {} of experiments.",
            "Read on the date of the roadmap, or with the always-valid test.",
        )


def _of_models(known: Mapping[str, Finding], drift: pl.DataFrame | None) -> Iterator[Risk]:
    from patternbook.analysis.drift import moved  # loads SciPy

    psi = known.get("propensity.score_psi")
    rates = [] if drift is None else moved(drift)
    if psi is not None and (rates or float(psi.value or 0) > SHIFTED):
        yield Risk(
            "Customers no longer behave as the forecast learned",
            "propensity.score_psi",
            _of_shift(rates, float(psi.value or 0) > SHIFTED),
            "Train the forecast again as soon as outcomes allow, and until then check what it foretells.",
        )
    gain = known.get("propensity.auc_gain")
    if gain is not None and gain.ends[0] <= 0:
        yield Risk(
            "The forecast is no better than a rule",
            "propensity.auc_gain",
            "Its gain over the best rule is {}.",
            "Rank by the rule until there are more data.",
        )
    error = known.get("lifetime.holdout_error")
    if error is not None and not error.ends[0] <= 0 <= error.ends[1]:
        way = "more" if float(error.value or 0) > 0 else "less"
        yield Risk(
            "Customers are worth something else",
            "lifetime.holdout_error",
            f"In the period held out the model expected {way} purchases than came, an error of {{}}.",
            "Use values to rank customers; plan no budget on their sum before the next check.",
        )
    back = known.get("churn.came_back")
    if back is not None and back.ends[0] > 0:
        yield Risk(
            "Customers are written off, or paid for, who come back anyway",
            "churn.came_back",
            "Of those who counted as having left, {} bought again.",
            "Offer win-back to a random half, and pay for the difference only.",
        )


def _of_shift(rates: list[str], scores: bool) -> str:
    """What has moved: rates, scores, or both. `{}` is the population stability index of the scores."""
    told = f"Beyond a tenth moved: {', '.join(rates)}. " if rates else ""
    if scores:
        return (
            f"{told}Scores have moved as a whole: their population stability index, below a tenth where little does, "
            "is {}."
        )
    return f"{told}Scores as a whole have hardly moved: their population stability index, {{}}, is below a tenth."


def _of_data(params: Params, known: Mapping[str, Finding]) -> Iterator[Risk]:
    change = known.get("eda.revenue_change")
    if change is not None and change.ends[1] < 0:
        yield Risk(
            "The market moves while actions run",
            "eda.revenue_change",
            "Revenue changed by {} on the period before.",
            "Judge actions by people held out, never by before and after.",
        )
    first, last = known.get("eda.first_event"), known.get("eda.last_event")
    if first is not None and last is not None:
        days = (datetime.fromisoformat(str(last.value)) - datetime.fromisoformat(str(first.value))).days + 1
        if days < FEW_YEARS:
            yield Risk(
                "A season is taken for a trend",
                "eda.first_event",
                "The log begins on {}: less than two years, so that no season is seen twice.",
                "Compare with the same weeks of last year as soon as there are any.",
            )
    bots = known.get("funnel.bots")
    if bots is not None and float(bots.value or 0) > 0:
        yield Risk(
            "Machines are counted as customers",
            "funnel.bots",
            "In the log {} customers do more than a person can; "
            + (
                "they are left out of every result." if params.quality.bots.action == "exclude" else "they are counted."
            ),
            "Leave them out of every audience, and out of every result with quality.bots.action: exclude.",
        )
    rejected = known.get("compaction.rows_rejected")
    if rejected is not None and float(rejected.value or 0) > 0:
        yield Risk(
            "Rows are missing",
            "compaction.rows_rejected",
            "Of the rows, {} could not be read.",
            "Have the source mended; the reasons are in the chapter on the data.",
        )
    value = known.get("funnel.cart_to_purchase")
    if value is not None and value.value and (value.ends[1] - value.ends[0]) / 2 > WIDE * float(value.value):
        yield Risk(
            "Too few customers to go by",
            "funnel.cart_to_purchase",
            "From cart to purchase go {}: the interval is wider than half its value.",
            "Wait for more data before the funnel is changed.",
        )
