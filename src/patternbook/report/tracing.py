"""Numbers in the sentences that notebooks write: each that is a finding is shown as one, linked to its cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.report.cells import MARKDOWN, Notebook, code_cell, copy_of, data_of, markdown_output
from patternbook.report.variables import linked, number

ANSWER = "answer-"  # start of the label of a cell that answers in a sentence
FEWEST_DIGITS = 4  # of a number without an interval: shorter ones may well be another one


def traced(name: str, notebook: Notebook, findings: Mapping[str, Finding], formats: Formats) -> Notebook:
    """A copy of the executed notebook `name` whose answers show each finding as a link to the cell that computed it.

    A number counts as a finding where it is written just as that one is, with its interval where it has one, and as no
    other finding of the notebook (and where the notebook has none that is written so, as no other of the run).
    """
    own = {finding_id: finding for finding_id, finding in findings.items() if finding.notebook == name}
    links = _links(findings, formats) | _links(own, formats)
    result = copy_of(notebook)
    for cell in result.cells:
        if cell.cell_type == "code" and (code_cell(cell).label or "").startswith(ANSWER):
            cell.outputs = [
                markdown_output(_traced(data_of(output)[MARKDOWN], links)) if MARKDOWN in data_of(output) else output
                for output in cell.outputs
            ]
    return result


def _links(findings: Mapping[str, Finding], formats: Formats) -> dict[str, str]:
    """What stands in for each number that one finding alone is written as, by the way it is written."""
    written = {
        finding_id: number(finding, formats)
        for finding_id, finding in findings.items()
        if isinstance(finding.value, int | float)
    }
    count = Counter(_whole(*entry) for entry in written.values())
    links = {}
    for finding_id, (value, interval) in written.items():
        text = _whole(value, interval)
        if count[text] == 1 and (interval or len(re.sub(r"\D", "", value)) >= FEWEST_DIGITS):
            link = linked(finding_id, findings[finding_id], value, interval, formats)
            links[text] = f"{link} ({interval})" if interval else link
    return links


def _whole(value: str, interval: str) -> str:
    return f"{value} ({interval})" if interval else value


def _traced(text: str, links: Mapping[str, str]) -> str:
    if not links:
        return text
    longest_first = "|".join(re.escape(written) for written in sorted(links, key=len, reverse=True))
    return re.sub(rf"(?<![\w.,$€£−-])(?:{longest_first})(?![\w%]|[.,]\d)", lambda match: links[match[0]], text)
