"""What to do about each chapter's finding: the decision on the action that answers it, in two sentences."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.markup import escaped
from patternbook.params import Params
from patternbook.report.variables import Variables, linked, number

TABLE = "roi.actions"


def advice(
    params: Params, actions: pl.DataFrame | None, findings: Mapping[str, Finding], formats: Formats
) -> Variables:
    """`advice.<action>` as Markdown, for each action that has a decision."""
    from patternbook.analysis.roi import LABELS  # loads SciPy

    if actions is None:
        return {}
    decisions = dict(actions.select("action", "decision").iter_rows())
    return {
        f"advice.{name}": _sentences(LABELS[name], decisions[LABELS[name]], action.first_step, profit, formats)
        for name, action in params.roi.actions.items()
        if LABELS[name] in decisions and (profit := _known(findings, f"roi.profit_{name}")) is not None
    }


def _known(findings: Mapping[str, Finding], name: str) -> tuple[str, Finding] | None:
    finding = findings.get(name)
    return None if finding is None or finding.value is None else (name, finding)


def _sentences(label: str, decision: str, first_step: str, profit: tuple[str, Finding], formats: Formats) -> str:
    value, interval = number(profit[1], formats)
    amount = f"{linked(*profit, value, interval, formats)} {escaped(f'({interval})')}"
    told = {
        "go": f"{escaped(label)}: go. First step: {escaped(first_step)}. Rolled out at once, its first year is put at "
        f"{amount}.",
        "test first": f"{escaped(label)}: test first; the [roadmap](#sec-roadmap) says with how many and until when. "
        f"First step: {escaped(first_step)}. Rolled out at once, its first year is put at {amount}.",
        "no go": f"{escaped(label)}: not as things stand. Rolled out, its first year is put at {amount}.",
    }
    return f"**What to do.** {told[decision]}"
