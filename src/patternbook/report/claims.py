"""Headings of the report: what each chapter has found, said as a sentence that follows its numbers, and leads to them.

A number that fell makes a sentence that says so, and one whose interval leaves open whether anything changed makes one
that says that. Where a run has nothing to say, the chapter's subject stands instead of a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.report.variables import linked, number

SUBJECTS = {
    "roi": "What to bet on",
    "experiments": "What to test",
    "readout": "What experiments have shown",
    "propensity": "Who will buy next",
    "churn": "Who is about to leave",
    "lifetime": "What customers are worth",
    "segmentation": "Who the customers are",
    "funnel": "From visit to purchase",
    "basket": "What is bought together",
    "temporal": "When customers buy",
    "retention": "Who comes back",
    "eda": "What was measured",
    "compaction": "Can the data be trusted?",
}  # in the order of the report

Known = Mapping[str, Finding]  # findings that have a value


def claims(findings: Mapping[str, Finding], formats: Formats) -> dict[str, str]:
    """The heading of each chapter, by its topic, as Markdown whose numbers are links."""
    known = {name: finding for name, finding in findings.items() if finding.value is not None}
    return {topic: _claim(topic, known, formats) or subject for topic, subject in SUBJECTS.items()}


def _claim(topic: str, known: Known, formats: Formats) -> str | None:
    if topic not in CLAIMS:
        return None
    needed, sentence = CLAIMS[topic]
    return sentence(known, formats) if all(name in known for name in needed) else None


def _text(name: str, known: Known, formats: Formats) -> str:
    """A finding's number, as it stands everywhere else."""
    value, interval = number(known[name], formats)
    return linked(name, known[name], value, interval, formats)


def _sign(finding: Finding) -> int:
    """1 or −1 where the whole interval is on that side of zero, 0 where it is not; without an interval, the value's."""
    low, high = finding.ends
    return 1 if low > 0 else -1 if high < 0 else 0


def _size(name: str, known: Known, formats: Formats) -> str:
    """A difference without its sign."""
    finding = known[name]
    _, interval = number(finding, formats)
    turned = finding
    if float(finding.value or 0) < 0:
        ends = {"low": finding.high, "high": finding.low, "value": finding.value}
        turned = finding.model_copy(update={end: None if at is None else -float(at) for end, at in ends.items()})
    return linked(name, finding, number(turned, formats)[0], interval, formats)


def _roi(known: Known, formats: Formats) -> str:
    middle, worse = known["roi.net_profit_realistic"], known["roi.net_profit_conservative"]
    expected, cautious = (_text(f"roi.net_profit_{case}", known, formats) for case in ("realistic", "conservative"))
    if float(worse.value or 0) > 0:
        return f"The programme earns {expected} in its first year, and {cautious} if less comes of it than assumed"
    if float(middle.value or 0) > 0:
        return f"The programme is expected to earn {expected} in its first year, but may lose money"
    return f"The programme is expected to end its first year at {expected}"


def _experiments(known: Known, formats: Formats) -> str:
    sign, size = _sign(known["experiments.value_of_testing"]), _size("experiments.value_of_testing", known, formats)
    if sign == 0:
        return "Testing the headline action first makes no clear difference in money"
    return f"Testing the headline action first earns {size} {'more' if sign > 0 else 'less'} than deciding at once"


def _readout(known: Known, formats: Formats) -> str:
    if not known["experiments.comparisons_clear"].value:
        return "Finished experiments show no clear effect"
    clear, read = (_text(f"experiments.comparisons_{which}", known, formats) for which in ("clear", "read"))
    return f"Finished experiments show a clear effect in {clear} of {read} comparisons"


def _propensity(known: Known, formats: Formats) -> str:
    if _sign(known["propensity.auc_gain"]) <= 0:
        return "The forecast of who buys next does not clearly beat the simplest rule"
    lift = _text("propensity.lift_at_5pct", known, formats)
    return f"Those whom the forecast ranks highest are {lift} as likely to buy as the average customer"


def _churn(known: Known, formats: Formats) -> str:
    days = _text("churn.horizon_days", known, formats)
    leaving, there = (_text(name, known, formats) for name in ("churn.at_risk_90d", "churn.present"))
    if float(known["churn.horizon_days"].value or 0) != 90:
        return f"{there} buyers are still there; who of them leaves within {days} can be told in advance"
    return f"Of {there} buyers who are still there, {leaving} are expected to have left within {days}"


def _lifetime(known: Known, formats: Formats) -> str:
    return f"A buyer is worth {_text('lifetime.clv_12m', known, formats)} of margin over the next twelve months"


def _segmentation(known: Known, formats: Formats) -> str:
    if not known["segmentation.at_risk_customers"].value:
        return "No buyers are in segments at risk"
    buyers, risky = (_text(f"segmentation.{name}", known, formats) for name in ("buyers", "at_risk_customers"))
    return f"Of {buyers} buyers, {risky} used to buy and have gone quiet"


def _funnel(known: Known, formats: Formats) -> str:
    cart, purchase = known["funnel.view_to_cart"], known["funnel.cart_to_purchase"]
    filled, bought = (_text(f"funnel.{step}", known, formats) for step in ("view_to_cart", "cart_to_purchase"))
    shares = f"{filled} of viewers fill one, {bought} of those buy"
    if cart.high is not None and purchase.low is not None and cart.high < purchase.low:
        return f"The cart is the hurdle: {shares}"
    if purchase.high is not None and cart.low is not None and purchase.high < cart.low:
        return f"The way from cart to purchase is the hurdle: {shares}"
    return f"Before the cart and after it alike, customers are lost: {shares}"


def _basket(known: Known, formats: Formats) -> str:
    pairs, tested = known["basket.pairs_kept"], _text("basket.pairs_tested", known, formats)
    if not pairs.value:
        return "No two products are bought together more often than by chance"
    found = _text("basket.pairs_kept", known, formats)
    return f"Of {tested} pairs of products, {found} {'is' if pairs.value == 1 else 'are'} bought together beyond chance"


def _temporal(known: Known, formats: Formats) -> str:
    rate = _text("temporal.peak_rate", known, formats)
    return f"Orders peak on {_text('temporal.peak_window', known, formats)}, at {rate} the average hour"


def _retention(known: Known, formats: Formats) -> str:
    return f"Of new customers, {_text('retention.week1_churn', known, formats)} do not come back in their second week"


def _eda(known: Known, formats: Formats) -> str:
    change = known["eda.revenue_change"]
    if _sign(change) == 0:
        return "Revenue shows no clear change on the period before"
    size = _size("eda.revenue_change", known, formats)
    return f"Revenue {'rose' if _sign(change) > 0 else 'fell'} by {size} on the period before"


def _compaction(known: Known, formats: Formats) -> str:
    read, rejected = (_text(f"compaction.{name}", known, formats) for name in ("rows_read", "rows_rejected"))
    if not known["compaction.rows_rejected"].value:
        return f"All {read} rows could be read"
    return f"Of {read} rows, {rejected} could not be read"


CLAIMS: dict[str, tuple[tuple[str, ...], Callable[[Known, Formats], str]]] = {
    "roi": (("roi.net_profit_realistic", "roi.net_profit_conservative"), _roi),
    "experiments": (("experiments.value_of_testing",), _experiments),
    "readout": (("experiments.comparisons_clear", "experiments.comparisons_read"), _readout),
    "propensity": (("propensity.auc_gain", "propensity.lift_at_5pct"), _propensity),
    "churn": (("churn.auc", "churn.at_risk_90d", "churn.present", "churn.horizon_days"), _churn),
    "lifetime": (("lifetime.clv_12m",), _lifetime),
    "segmentation": (("segmentation.at_risk_customers", "segmentation.buyers"), _segmentation),
    "funnel": (("funnel.view_to_cart", "funnel.cart_to_purchase"), _funnel),
    "basket": (("basket.pairs_kept", "basket.pairs_tested"), _basket),
    "temporal": (("temporal.peak_window", "temporal.peak_rate"), _temporal),
    "retention": (("retention.week1_churn",), _retention),
    "eda": (("eda.revenue_change",), _eda),
    "compaction": (("compaction.rows_read", "compaction.rows_rejected"), _compaction),
}  # by topic: the findings that a claim needs, and its sentence
