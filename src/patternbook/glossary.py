"""The one home of what the report's terms mean, in plain words."""

from __future__ import annotations

import re
from typing import NamedTuple


class Term(NamedTuple):
    """A term, what it means, and the regular expression that finds it in a text (else the term itself does)."""

    name: str
    meaning: str
    pattern: str | None = None

    def stands_in(self, text: str) -> bool:
        """Whether a text uses the term."""
        return re.search(self.pattern or rf"\b{re.escape(self.name)}\b", text, re.IGNORECASE) is not None


TERMS = (
    Term(
        "Adjusted Rand index",
        "How alike two divisions of the same people are: one if the same, near zero by chance.",
    ),
    Term(
        "Always-valid test",
        "A test that may be looked at every day: its error rate holds whenever one stops. The price is "
        "that it finds a true effect later.",
        r"always[- ]valid",
    ),
    Term(
        "AOV",
        "Average order value: revenue divided by orders.",
        r"\bAOV\b|average order value",
    ),
    Term(
        "AUC",
        "Probability that a forecast ranks somebody who did it above somebody who did not: one half is "
        "guessing, one is perfect.",
        r"\bAUC\b",
    ),
    Term(
        "Baseline",
        "What a result has to beat: a simple rule for a forecast, what people do without being contacted "
        "for an action.",
    ),
    Term(
        "Benjamini–Hochberg",
        "A correction for many comparisons at once that bounds the share of false ones among those called clear.",
    ),
    Term(
        "BG/NBD",
        "A model of how often customers buy and when they stop, from three numbers of each.",
        r"BG/NBD",
    ),
    Term(
        "Bootstrap",
        "An interval from drawing the customers again, with replacement, many times, and looking how much "
        "the result moves.",
        r"bootstrap",
    ),
    Term(
        "Break-even",
        "The effect at which an action earns just what it costs.",
        r"break-even",
    ),
    Term(
        "Calibration",
        "Whether probabilities can be taken at their word: of those given one in ten, one in ten does it. "
        "The calibration error is how far off they are on average.",
        r"calibrat",
    ),
    Term(
        "Cohort",
        "Customers who came for the first time in the same week or month.",
        r"cohort",
    ),
    Term(
        "Control group",
        "People chosen by chance who are not contacted, to compare with.",
        r"control",
    ),
    Term(
        "Conversion",
        "Share of visitors, or of sessions, with a purchase.",
        r"conversion|convert",
    ),
    Term(
        "CUPED",
        "Taking out of an experiment's result what each person did before it began, which makes intervals narrower.",
        r"\bCUPED\b",
    ),
    Term(
        "Cutoff",
        "The day up to which a forecast knows the past; it is judged by what came after.",
        r"cutoff",
    ),
    Term(
        "Customer lifetime value",
        "Margin of the orders that a customer is expected to place within a horizon, discounted to today.",
        r"lifetime value|\bCLV\b|\bis worth\b",
    ),
    Term(
        "Discount rate",
        "By how much money a year later counts less than money today.",
        r"discount(ed|s)? (rate )?.{0,12}a year",
    ),
    Term(
        "Drop-out",
        "The point from which on a customer does not buy any more, which nobody sees.",
        r"drop-out|dropped out",
    ),
    Term(
        "False discovery rate",
        "Share of what is called clear that is not, on average.",
        r"false discover",
    ),
    Term(
        "Gamma-Gamma",
        "A model of how much customers spend on an order, and how much they differ in that.",
    ),
    Term(
        "Interval",
        "The range that holds the true value in as many of a hundred repeated samples as it says. It "
        "speaks of chance alone.",
    ),
    Term(
        "Kaplan–Meier",
        "A way to tell how long something takes when for some it has not happened yet.",
    ),
    Term(
        "Lift",
        "How many times as often as by chance, or as on average.",
    ),
    Term(
        "LightGBM",
        "A method that learns from many small decision trees, each correcting those before it.",
        r"LightGBM|\btrees\b",
    ),
    Term(
        "Log-rank test",
        "A test of whether two groups take equally long.",
        r"log-rank",
    ),
    Term(
        "Margin",
        "What is left of revenue after the cost of what was sold; an assumption here.",
    ),
    Term(
        "Median",
        "The value that half are below and half above.",
        r"\bmedians?\b",
    ),
    Term(
        "Net present value",
        "All money to come less all to be paid, each counted at what it is worth today.",
    ),
    Term(
        "Odds ratio",
        "How many times as likely an event is against its not happening, in one group and in another.",
        r"odds of|odds ratio",
    ),
    Term(
        "p",
        "How often chance alone would show as much as was seen, were there nothing to see.",
        r"\bp [=<] ",
    ),
    Term(
        "Payback",
        "Months until what an action has earned exceeds what it has cost.",
        r"pays? back|payback|paid back",
    ),
    Term(
        "Percentile",
        "The tenth percentile is the value that a tenth of all outcomes lie below.",
        r"percentile|ninetieth",
    ),
    Term(
        "Population stability index",
        "How far the distribution of scores has moved: little below a tenth.",
    ),
    Term(
        "Power",
        "Probability that a test finds an effect of the planned size that is there.",
    ),
    Term(
        "PR-AUC",
        "Mean share of true cases among those ranked highest; chance is the share of true cases in all.",
    ),
    Term(
        "Precision",
        "Share of those picked who were rightly picked.",
        r"\bprecision\b",
    ),
    Term(
        "Recall",
        "Share of those one wanted who were picked.",
        r"\brecall\b",
    ),
    Term(
        "Return on investment",
        "Profit divided by cost.",
        r"\bROI\b",
    ),
    Term(
        "RFM",
        "Recency, frequency and money: how long since the last order, how many orders, how much spent.",
        r"\bRFM\b",
    ),
    Term(
        "Session",
        "What one visitor does without a pause longer than the source, or the parameter file, allows.",
        r"\bsessions?\b",
    ),
    Term(
        "Silhouette",
        "How clearly clusters are apart: near one if they are, near zero if they are not.",
    ),
    Term(
        "Test first",
        "The verdict where what an experiment would tell is worth more than what it costs.",
    ),
    Term(
        "Type I error",
        "Finding an effect where there is none.",
        r"type I error|false (alarm|positive)|effect where there is none",
    ),
)


def used_in(text: str) -> list[Term]:
    """The terms that a text uses, in alphabetical order."""
    return sorted((term for term in TERMS if term.stands_in(text)), key=lambda term: term.name.casefold())
