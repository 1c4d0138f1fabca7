"""What has moved since the run was executed last, or on another run.

A sentence stands on the first page, with the key figures and profits that moved by more than chance allows; all moves
and what else differs stand at the end.
"""

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
MOST_LEADING = 5  # rows on the first page
DECIDES = ("roi.net_profit_", "roi.profit_")  # findings that decisions hang on begin so
MOST_ROWS = 60
MOST_PARAMETERS = 6  # spelled out in the paragraph
LONGEST_VALUE = 40  # characters; a whole table of rules is not spelled out
ALL = "[All that moved](#sec-moved), and what else differs, stands at the end."
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
    """`since.title`, `since.text` and `since.circumstances` for the template, and the notebook with the tables."""

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
    told = {
        "since.text": f"{_text(comparison, formats, ZoneInfo(params.report.time_zone))} {ALL}",
        "since.circumstances": _circumstances(comparison),
    }
    title = escaped(f"Compared with run {other}" if other else "Since the last run")
    home = f"notebooks/{NAME}.html#tbl-moved-all"
    leading = _leading(comparison, headlines)
    caption = "Key figures and profits that moved, with 95% intervals"
    tables = [_table("tbl-moved", caption, leading, comparison, formats)] if leading else []
    return Since(
        {"since.title": title} | {name: at_home(text, home) for name, text in told.items()},
        new_notebook([new_text(f"# {title}"), *tables, _all(comparison, formats)]),
    )


def _text(comparison: Comparison, formats: Formats, zone: ZoneInfo) -> str:
    """As Markdown: which run it was, and how much moved."""
    moment = datetime.fromisoformat(comparison.before.manifest["finished_at"]).astimezone(zone)
    beyond = sum(move.verdict == "beyond" for move in comparison.moves)
    return escaped(
        f"The run that finished on {formats.date(moment)} at {formats.clock(moment)} ({zone.key}) says something else "
        f"in {formats.count(len(comparison.moves))} of {formats.count(comparison.known)} findings; "
        f"{formats.count(beyond) if beyond else 'none'} of them moved beyond their intervals."
    )


def _circumstances(comparison: Comparison) -> str:
    """As Markdown: what else is different, and whether chance can be behind what moved."""
    differs = comparison.circumstances
    files = [change._replace(what=PurePosixPath(change.what).name) for change in differs.inputs]
    changes = [
        *_parameters(differs.parameters),
        *([f"input ({named(files, code)})"] if files else []),
        *(["code"] if differs.code else []),
        *([f"versions ({named(differs.versions, code)})"] if differs.versions else []),
    ]
    different = f"What else differs: {'; '.join(changes)}." if changes else ""
    return " ".join(part for part in (different, escaped(differs.shared)) if part)


def _parameters(changes: list[Change]) -> list[str]:
    """The first few of the parameters that changed; what a newer version has added takes no room from them."""
    ordered = sorted(changes, key=lambda change: ABSENT in (change.before, change.after))
    shown = [f"{code(change.what)} {escaped(_change_of(change))}" for change in ordered[:MOST_PARAMETERS]]
    return [*shown, *(["other parameters"] if len(changes) > len(shown) else [])]


def _change_of(change: Change) -> str:
    if max(len(change.before), len(change.after)) > LONGEST_VALUE:
        return "(changed)" if ABSENT not in (change.before, change.after) else "(new)"
    return f"({change.before}, now {change.after})"


def _leading(comparison: Comparison, headlines: Sequence[str]) -> list[Move]:
    """Moves of key figures and of what decisions hang on, but for those within the intervals: for the first page."""
    matter = [move for move in comparison.moves if move.id in headlines or move.id.startswith(DECIDES)]
    return [move for move in matter if move.verdict != "within"][:MOST_LEADING]


def _all(comparison: Comparison, formats: Formats) -> Any:
    caption = f"What moved{' most' if len(comparison.moves) > MOST_ROWS else ''}, with 95% intervals"
    return _table("tbl-moved-all", caption, comparison.moves[:MOST_ROWS], comparison, formats)


def _table(label: str, caption: str, moves: Sequence[Move], comparison: Comparison, formats: Formats) -> Any:
    then = Formats(comparison.before.manifest["parameters"]["currency"]["code"], formats.locale)
    rows = [
        [move.label, _value(move.before, then), _value(move.after, formats), _size(move, formats), WORDS[move.verdict]]
        for move in moves
    ]
    return table_cell(label, caption, ["Finding", "Before", "Now", "Change", "Verdict"], rows, "lrrrl")


def _value(finding: Finding | None, formats: Formats) -> str:
    return MISSING if finding is None else formats.value(finding.value, finding.unit, (finding.low, finding.high))


def _size(move: Move, formats: Formats) -> str:
    """The change in the finding's unit, and relative to the value before where that says more."""
    if move.difference is None or move.after is None:
        return ""
    size = formats.difference(move.difference, move.after.unit)
    return size if move.relative is None else f"{size} ({formats.change(move.relative)})"
