"""Two calculators for the report on screen: plain forms and scripts that need no network, started with a run's numbers.

They repeat `analysis.experiments` and `analysis.roi`; a test holds the two against each other in a browser.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from patternbook.analysis import roi
from patternbook.analysis.corrections import READINGS
from patternbook.analysis.roi import Case
from patternbook.analysis.trials import Plan
from patternbook.formats import Formats
from patternbook.markup import fenced


class Input(NamedTuple):
    """A field: its name in the script, label, unit (`%` is typed as a percentage), value, limits (None: none)."""

    name: str
    label: str
    unit: str
    value: float
    low: float | None = 0.0
    high: float | None = None
    whole: bool = False


class Output(NamedTuple):
    """A result: its name in the script, label, and the unit that it is written in."""

    name: str
    label: str
    unit: str


def power(planned: Plan, formats: Formats) -> str:
    """Markdown of the power calculator, started with the planned experiment. Only for metrics that are shares."""
    case, design = planned.case, planned.design
    stock, a_day = roi.reachable(case)
    inputs = [
        Input("baseline", "Share that buys without contact", "%", case.audience.buyers.value, 0.001, 99.9),
        Input("effect", "Effect, of that share", "%", case.action.likely, 0.01, 100),
        Input("alpha", "False positives allowed, two-sided", "%", design.alpha, 0.01, 50),
        Input("power", "Power", "%", design.power, 1, 99.9),
        Input("treated", "People who are contacted", "%", design.treated_share, 1, 99),
        Input("arms", "Arms, control included", f"arms, {READINGS[design.correction]}", design.arms, 2, 20, whole=True),
        Input("stock", "People there now", "people", stock, whole=True),
        Input("a_day", "People who come anew", "a day", float(f"{a_day:.6g}")),
        Input("shortest", "Enrolment at least", "days", min(planned.enrolment, 14), 1, whole=True),
        Input("horizon", "Days until an outcome is known", "days", case.audience.horizon, 0, whole=True),
        Input("weeks", "Weeks of enrolment at hand", "weeks", planned.enrolment // 7, 1, whole=True),
    ]
    outputs = [
        Output("control", "People in the control group", "count"),
        Output("people", "People in all groups", "count"),
        Output("days", "Days until the answer", "count"),
        Output("detectable", "Smallest effect found in the weeks at hand", "share"),
    ]
    return _calculator(
        "power", "How many people, how many days?", inputs, outputs, formats, correction=design.correction
    )


def first_year(case: Case, formats: Formats) -> str:
    """Markdown of the ROI calculator, started with an action's numbers."""
    action, money = case.action, formats.currency
    inputs = [
        Input("contacts", "Contacts in the year", "people", round(case.yearly_contacts), 1, whole=True),
        Input("spend", "Spend of a person without contact", money, round(case.audience.spend, formats.decimals)),
        Input("effect", "Effect, of that spend", "%", action.mean_effect, -100, 100),
        Input("margin", "Margin, of revenue", "%", case.terms.margin, 0, 100),
        Input("discount", "Discount, of an order", "%", action.discount, 0, 100),
        Input("redemption", "Orders that use it", "%", action.redemption, 0, 100),
        Input("contact_cost", "Cost of a contact", money, action.contact_cost),
        Input("setup_cost", "Set-up, once", money, action.setup_cost),
    ]
    outputs = [
        Output("revenue", "Revenue in addition", "currency"),
        Output("cost", "Cost, discounts included", "currency"),
        Output("profit", "Net profit", "currency"),
        Output("roi", "ROI", "share"),
        Output("break_even", "Effect at break-even", "share"),
        Output("highest_contact_cost", "A contact may cost at most", "currency"),
    ]
    return _calculator("roi", f"What does it earn? Started with: {action.label}", inputs, outputs, formats)


def _calculator(
    name: str, title: str, inputs: Sequence[Input], outputs: Sequence[Output], formats: Formats, **data: str
) -> str:
    """The form and its script, as a raw block that only HTML takes; `data` is what the script reads of the form."""
    form = f"{name}-calculator"
    fields = "\n".join(_field(form, one) for one in inputs)
    results = "\n".join(
        f'<div><span id="{form}-{one.name}-label">{one.label}</span> <output name="{one.name}" data-unit="{one.unit}" '
        f'aria-labelledby="{form}-{one.name}-label">—</output></div>'
        for one in outputs
    )
    known = {"locale": formats.locale.replace("_", "-"), "currency": formats.currency, **data}
    attributes = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in known.items())
    script = f"(() => {{\n{_script('shared')}{_script(name)}}})();"
    return fenced(
        f'<form class="calculator" id="{form}" {attributes} aria-labelledby="{form}-title" novalidate>\n'
        f'<p class="title" id="{form}-title">{title}</p>\n'
        f'<div class="fields">\n{fields}\n</div>\n<div class="results" aria-live="polite">\n{results}\n</div>\n'
        f'<p class="problem" role="status"></p>\n</form>\n<script>\n{script}\n</script>',
        "{=html}",
    )


def _field(form: str, one: Input) -> str:
    percent = one.unit == "%"
    value = f"{one.value * 100:.6g}" if percent else f"{one.value:.12g}"
    limits = "".join(f' {key}="{end:g}"' for key, end in (("min", one.low), ("max", one.high)) if end is not None)
    marks = f' step="{"1" if one.whole else "any"}" data-label="{one.label}"' + (
        ' data-percent="yes"' if percent else ""
    )
    identity = f"{form}-{one.name}"
    return (
        f'<div><label for="{identity}">{one.label}</label> <span class="entry"><input type="number" '
        f'inputmode="decimal" id="{identity}" name="{one.name}" value="{value}"{limits}{marks} required '
        f'aria-describedby="{identity}-unit"><span class="unit" id="{identity}-unit">{html.escape(one.unit)}</span>'
        "</span></div>"
    )


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.js").read_text("utf-8")
