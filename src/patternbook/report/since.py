"""What has moved since the run was executed last, or on another run: a paragraph and a table of the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from patternbook.circumstances import ABSENT, Change, named
from patternbook.comparison import Comparison, Move, Verdict, compare_states
from patternbook.findings import Finding
from patternbook.formats import MISSING, Formats
from patternbook.markup import code, escaped
from patternbook.params import Params
from patternbook.report.cells import Notebook, new_notebook, new_text
from patternbook.report.provenance import table_cell
from patternbook.report.variables import Variables, at_home
from patternbook.runs import State

NAME = "00_changes"
MOST_ROWS = 12
MOST_PARAMETERS = 6  # spelled out in the paragraph
LONGEST_VALUE = 40  # characters; a whole table of rules is not spelled out
WORDS: dict[Verdict, str] = {
    "beyond": "beyond the intervals",
    "within": "within the intervals",
    "changed": "changed",
    "left out": "left out now",
    "found": "left out before",
    "gone": "no longer there",
    "new": "new",
    "reason": "left out, for another reason",
}


class Since(NamedTuple):
    """The section: `since.title` and `since.text` for the template, and the notebook that holds `tbl-moved`."""

    values: Variables
    notebook: Notebook


def since(params: Params, now: State, baseline: State | None, headlines: Sequence[str]) -> Since | None:
    """What moved from `baseline` to `now`, the `headlines` first; None where nothing did, or nothing is known.

    The manifest of `now` is the run's `description`: its own is written after the report.
    """
    if baseline is None:
        return None
    comparison = compare_states(baseline, now, first=headlines)
    if not comparison.moves:
        return None
    other = params.report.compare_with
    formats = Formats(params.currency.code, params.currency.locale)
    text = _text(comparison, formats, ZoneInfo(params.report.time_zone))
    title = escaped(f"Compared with run {other}" if other else "Since the last run")
    return Since(
        {"since.title": title, "since.text": at_home(text, f"notebooks/{NAME}.html#tbl-moved")},
        new_notebook([new_text(f"# {title}"), _table(comparison, formats)]),
    )


def _text(comparison: Comparison, formats: Formats, zone: ZoneInfo) -> str:
    """As Markdown: which run it was, how much moved, what else is different, whether chance can be behind it."""
    moment = datetime.fromisoformat(comparison.before.manifest["finished_at"]).astimezone(zone)
    beyond = sum(move.verdict == "beyond" for move in comparison.moves)
    found = (
        f"The run that finished on {formats.date(moment)} at {formats.clock(moment)} ({zone.key}) says something else "
        f"in {formats.count(len(comparison.moves))} of {formats.count(comparison.known)} findings; "
        f"{formats.count(beyond) if beyond else 'none'} of them moved beyond their intervals."
    )
    differs = comparison.circumstances
    files = [change._replace(what=PurePosixPath(change.what).name) for change in differs.inputs]
    changes = [
        *_parameters(differs.parameters),
        *([f"input ({escaped(named(files))})"] if files else []),
        *([f"code ({formats.count(len(differs.code))} files)"] if differs.code else []),
        *([f"versions ({escaped(named(differs.versions))})"] if differs.versions else []),
    ]
    different = f"What else differs: {'; '.join(changes)}." if changes else ""
    return " ".join(part for part in (escaped(found), different, escaped(differs.shared)) if part)


def _parameters(changes: list[Change]) -> list[str]:
    """The first few of the parameters that changed; what a newer version has added takes no room from them."""
    ordered = sorted(changes, key=lambda change: ABSENT in (change.before, change.after))
    shown = [f"{code(change.what)} {escaped(_change_of(change))}" for change in ordered[:MOST_PARAMETERS]]
    more = len(changes) - len(shown)
    return [*shown, *([f"{more} more parameters"] if more > 0 else [])]


def _change_of(change: Change) -> str:
    if max(len(change.before), len(change.after)) > LONGEST_VALUE:
        return "(changed)" if ABSENT not in (change.before, change.after) else "(new)"
    return f"({change.before}, now {change.after})"


def _table(comparison: Comparison, formats: Formats) -> Any:
    moves = comparison.moves
    then = Formats(comparison.before.manifest["parameters"]["currency"]["code"], formats.locale)
    rows = [
        [move.label, _value(move.before, then), _value(move.after, formats), _size(move, formats), WORDS[move.verdict]]
        for move in moves[:MOST_ROWS]
    ]
    more = len(moves) - len(rows)
    caption = "What moved, with 95% intervals" + (f"; {formats.count(more)} more moved" if more else "")
    return table_cell("tbl-moved", caption, ["Finding", "Before", "Now", "Change", "Verdict"], rows, "lrrrl")


def _value(finding: Finding | None, formats: Formats) -> str:
    return MISSING if finding is None else formats.value(finding.value, finding.unit, (finding.low, finding.high))


def _size(move: Move, formats: Formats) -> str:
    """The change in the finding's unit, and relative to the value before where that says more."""
    if move.difference is None or move.after is None:
        return ""
    size = formats.difference(move.difference, move.after.unit)
    return size if move.relative is None else f"{size} ({formats.change(move.relative)})"
