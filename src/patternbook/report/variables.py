"""Every number and every verdict word of the report, as the values behind `{{< var … >}}`.

Values are Markdown: Quarto parses `_variables.yml` so, and the Pandoc fallback puts them into the text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from patternbook import __version__
from patternbook.findings import Finding
from patternbook.formats import Formats
from patternbook.markup import attribute, code, escaped, sentence
from patternbook.params import Params, overrides_of
from patternbook.paths import project_root
from patternbook.report.parameters import HOME, parameter_variables

CONFIDENCE = 0.95  # of every interval; see findings.Finding
NOT_COMPUTED = "This run did not compute it."
LINK = re.compile(r'\[(?:\\.|[^\]\\])*\]\([^\s()]*(?: "[^"]*")?\)(?:\{[^}]*\})?')  # in Markdown

Variables = dict[str, str]


def variables(params: Params, findings: Mapping[str, Finding], parts: Iterable[str] = ()) -> Variables:
    """Values by dotted name; `parts` names what the template's parts hang on, so that each absence has a reason.

    For a finding `<id>` with a value there are `<id>` (the number, linked to the cell that computed it),
    `interval.<id>`, `n.<id>` and `kpi.<id>` (a card); for every finding `label.<id>`, for every absent one
    `reason.<id>`. Beside them stand `params.<section>.<key>`, linked to its row in the table of parameters, and
    `run.<fact>`.
    """
    formats = Formats(params.currency.code, params.currency.locale)
    values: Variables = {}
    for finding_id, finding in findings.items():
        values[f"label.{finding_id}"] = escaped(finding.label)
        if finding.value is not None:
            values |= _finding_values(finding_id, finding, findings, formats)
    for part in parts:
        if part not in values:
            absent = findings.get(part)
            reason = sentence((absent and absent.reason) or NOT_COMPUTED)
            values[f"reason.{part}"] = at_home(reason, anchor(absent)) if absent else reason
    values |= parameter_variables(params, formats)
    values |= {f"run.{key}": text for key, text in _run_facts(params, findings, formats).items()}
    return values


def nested(values: Variables) -> dict[str, Any]:
    """The values as the nested mapping that `_variables.yml` holds."""
    tree: dict[str, Any] = {}
    for name, text in sorted(values.items()):
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = text
    return tree


def number(finding: Finding, formats: Formats) -> tuple[str, str]:
    """A finding's value and its interval as text, both with the digits that the interval deserves."""
    text = formats.value(finding.value, finding.unit, _bounds(finding))
    if finding.low is None or finding.high is None:
        return text, ""
    value, _, interval = text.rpartition(" (")
    return value, interval.removesuffix(")")


def anchor(finding: Finding) -> str:
    """Where the notebook's page shows the cell that computed a finding."""
    return f"notebooks/{finding.notebook}.html#{finding.cell}"


def at_home(text: str, home: str) -> str:
    """Markdown with a link to the cell `home` behind each paragraph that has numbers which are no links themselves."""
    return "\n\n".join(
        f"{paragraph.rstrip()} [computed here]({home}){{.trace}}"
        if re.search(r"\d", LINK.sub("", paragraph))
        else paragraph
        for paragraph in text.split("\n\n")
    )


def _bounds(finding: Finding) -> tuple[float | None, float | None]:
    return finding.low, finding.high


def _finding_values(
    finding_id: str, finding: Finding, findings: Mapping[str, Finding], formats: Formats
) -> dict[str, str]:
    value, interval = number(finding, formats)
    link = linked(finding_id, finding, value, interval, formats)
    values = {finding_id: link, f"kpi.{finding_id}": _card(finding_id, finding, link, findings, formats)}
    if interval:
        values[f"interval.{finding_id}"] = escaped(interval)
    if finding.n is not None:
        values[f"n.{finding_id}"] = escaped(formats.count(finding.n))
    return values


def linked(finding_id: str, finding: Finding, value: str, interval: str, formats: Formats) -> str:
    """A finding's number as a link to its cell.

    Its title is the card that `report.js` shows to who points at it: label, id, kind, and what the number rests on.
    """
    parts = (finding.label, finding_id, finding.kind, *_bases(finding, interval, formats))
    title = HOME.join(part.replace(HOME, ", ") for part in parts)
    return f'[{escaped(value)}]({anchor(finding)} "{attribute(title)}"){{.finding .{finding.kind}}}'


def _bases(finding: Finding, interval: str, formats: Formats) -> list[str]:
    """What a number rests on, as far as it is known: its interval, its source, the count behind it."""
    bases = [f"{formats.compact(CONFIDENCE, 'share')} interval {interval}"] if interval else []
    bases += [finding.source] if finding.source else []
    return bases + ([f"n = {formats.count(finding.n)}"] if finding.n is not None else [])


def _card(finding_id: str, finding: Finding, link: str, findings: Mapping[str, Finding], formats: Formats) -> str:
    _, interval = number(finding, formats)
    lines = [f"[{escaped(finding.label)}]{{.label}}", f"[{link}]{{.value}}"]
    lines += [f"[{escaped(basis)}]{{.basis}}" for basis in _bases(finding, interval, formats)[:1]]
    change_id = f"{finding_id}_change"
    change = findings.get(change_id)
    if change is not None and change.value is not None:
        lines.append(_change(change_id, change, formats))
    return " ".join(lines)


def _change(finding_id: str, change: Finding, formats: Formats) -> str:
    """What a card says of the period before: a change whose interval holds zero is none that one could name."""
    value, interval = number(change, formats)
    size = float(change.value or 0)
    shown = linked(finding_id, change, f"+{value}" if size > 0 else value, interval, formats)
    shown += f" {escaped(f'({interval})')}" if interval else ""
    if interval and min(change.low or 0, change.high or 0) <= 0 <= max(change.low or 0, change.high or 0):
        return f"[no clear change on the period before: {shown}]{{.change .level}}"
    direction = "up" if size > 0 else "down" if size < 0 else "level"
    return f"[{shown} on the period before]{{.change .{direction}}}"


def _from_root(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(project_root())) if path.is_relative_to(project_root()) else file


def command(params: Params) -> str:
    """What to type to repeat the run."""
    changed = [word for override in overrides_of(params) for word in ("--set", override)]
    return shlex.join(["patternbook", "run", _from_root(params.file), *changed])


def _run_facts(params: Params, findings: Mapping[str, Finding], formats: Formats) -> dict[str, str]:
    facts = {
        "name": escaped(params.run),
        "confidence": escaped(formats.compact(CONFIDENCE, "share")),
        "command": code(command(params)),
        "version": escaped(__version__),
    }
    if params.source.kind == "simulated":
        facts["simulated"] = "simulated"
    for fact, finding_id in (("data_from", "eda.first_event"), ("data_as_of", "eda.last_event")):
        finding = findings.get(finding_id)
        if finding is not None and finding.value is not None:
            facts[fact] = escaped(formats.date(datetime.fromisoformat(str(finding.value))))
    return facts
