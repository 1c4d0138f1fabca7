"""Numbers in the sentences that notebooks write: each that is a finding is shown as one, linked to its cell.

The others (rows of a result table, parameters) lead to the cell that wrote the sentence, by one link at its end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.params import Params
from patternbook.report.cells import MARKDOWN, Notebook, code_cell, copy_of, data_of, markdown_output
from patternbook.report.parameters import flat, linked_parameter, spellings
from patternbook.report.variables import LINK, at_home, linked, number

ANSWER = "answer-"  # start of the label of a cell that answers in a sentence
PARAMETERS = "parameters"  # option of such a cell: the parameters that its sentence states
BEFORE_A_WORD = r"(?= [a-z])"
NO_END_BEFORE = r"(?<![\w.,$€£–−-])(?<!\d to )(?<!% to )"  # not within a number, not the high end of an interval
NO_END_AFTER = r"(?![\w%–]|[.,]\d| to [$€£−\d])"  # nor the low end of one
FEWEST_DIGITS = 4  # of a number that stands alone: shorter ones may well be another one


def traced(
    name: str, notebook: Notebook, findings: Mapping[str, Finding], params: Params, formats: Formats
) -> Notebook:
    """A copy of the executed notebook `name` whose answers show each finding as a link to the cell that computed it.

    A number counts as a finding where it is written just as that one is: with its interval; or alone with digits
    enough; or before the finding's label, as in `727 orders`. No other finding of the notebook may be written so (and
    where the notebook has none that is, no other of the run). A number that is a parameter leads to that one's row,
    where the cell says under `parameters` which of them its sentence states.
    """
    own = {finding_id: finding for finding_id, finding in findings.items() if finding.notebook == name}
    links = _links(findings, formats) | _links(own, formats)
    values = dict(flat(params))
    result = copy_of(notebook)
    for cell in result.cells:
        if cell.cell_type == "code" and (code_cell(cell).label or "").startswith(ANSWER):
            answer = code_cell(cell)
            stated = {
                text: linked_parameter(params, key, text)
                for key in answer.options.get(PARAMETERS, ())
                for text in spellings(values.get(key), formats)
            }
            home = f"notebooks/{name}.html#{answer.label}"
            cell.outputs = [
                markdown_output(at_home(_stated(_traced(data_of(output)[MARKDOWN], links), stated), home))
                if MARKDOWN in data_of(output)
                else output
                for output in cell.outputs
            ]
    return result


def _links(findings: Mapping[str, Finding], formats: Formats) -> dict[str, str]:
    """What stands in for each number that one finding alone is written as, by the way it is written."""
    spelled = [
        (text, link)
        for finding_id, finding in findings.items()
        if isinstance(finding.value, int | float)
        for text, link in _spellings(finding_id, finding, formats).items()
    ]
    count = Counter(text for text, _ in spelled)
    return {text: link for text, link in spelled if count[text] == 1}


def _spellings(finding_id: str, finding: Finding, formats: Formats) -> dict[str, str]:
    """The ways in which a sentence may write a finding, and what stands in for each."""
    value, interval = number(finding, formats)
    alone = formats.value(finding.value, finding.unit)
    link = linked(finding_id, finding, alone, interval, formats)
    spellings = {f"{alone} {finding.label.lower()}": f"{link} {finding.label.lower()}"}
    if len(re.sub(r"\D", "", alone)) >= FEWEST_DIGITS:
        spellings[alone] = link
    if interval:
        spellings[f"{value} ({interval})"] = f"{linked(finding_id, finding, value, interval, formats)} ({interval})"
    return spellings


def _traced(text: str, links: Mapping[str, str]) -> str:
    if not links:
        return text
    longest_first = "|".join(re.escape(written) for written in sorted(links, key=len, reverse=True))
    return re.sub(rf"{NO_END_BEFORE}(?:{longest_first}){NO_END_AFTER}", lambda match: links[match[0]], text)


def _stated(text: str, links: Mapping[str, str]) -> str:
    """The text with links for parameters; a whole number counts where a word follows, and none inside another link."""
    if not links:
        return text
    longest_first = "|".join(
        re.escape(written) + (BEFORE_A_WORD if written[-1].isdigit() else "")
        for written in sorted(links, key=len, reverse=True)
    )
    alone = rf"(?<![\w.,$€£–−(-])(?:{longest_first})(?![\w%–]|[.,]\d)"
    return re.sub(rf"{LINK.pattern}|{alone}", lambda match: links.get(match[0], match[0]), text)
