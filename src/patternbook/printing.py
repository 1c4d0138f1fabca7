"""How the command line shows what it has found out about runs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from patternbook.circumstances import Circumstances, named
from patternbook.cleaning import Cleaning
from patternbook.comparison import RULE, VERDICTS, Comparison, Move
from patternbook.findings import Finding
from patternbook.formats import MISSING, Formats
from patternbook.paths import from_root
from patternbook.runs import State
from patternbook.verification import Verification

LONGEST_VALUE = 48  # characters of a parameter


def bytes_text(count: int) -> str:
    """A size: `1.5 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def show_comparison(out: Console, comparison: Comparison) -> None:
    """What differs around the findings, how to read the verdicts, and the findings that moved."""
    before, after = comparison.before, comparison.after
    out.print(f"{_name(before)}  →  {_name(after)}", markup=False)
    show_circumstances(out, comparison.circumstances)
    if not comparison.moves:
        out.print(f"\nall {comparison.known:,} findings are the same")
        return
    out.print(f"\n{comparison.circumstances.shared}\n{RULE}\n", style="dim", soft_wrap=False)
    out.print(_moves(comparison))
    counts = ", ".join(
        f"{count:,} {words}"
        for verdict, words in VERDICTS.items()
        if (count := sum(move.verdict == verdict for move in comparison.moves))
    )
    same = comparison.known - len(comparison.moves)
    out.print(f"\nOf {comparison.known:,} findings: {counts}; {same:,} the same.", markup=False, soft_wrap=False)


def show_circumstances(out: Console, circumstances: Circumstances) -> None:
    """What of parameters, input, code and versions is not the same; nothing where all is."""
    for kind, changes in circumstances.changes.items():
        out.print(kind, style="bold")
        if kind in ("input", "code"):
            out.print(f"  {named(changes)}", markup=False)
        else:
            for change in changes:
                out.print(f"  {change.what}: {_short(change.before)} → {_short(change.after)}", markup=False)


def show_verification(out: Console, verification: Verification, run: str) -> None:
    """Why it may differ first, then whether it does, and where."""
    show_circumstances(out, verification.circumstances)
    for file in verification.tampered:
        out.print(f"{file}: changed since the run was made", markup=False)
    for failure in verification.failures:
        out.print(f"could not be repeated: {failure}", markup=False)
    if verification.differences:
        table = _table("", "recorded", "now")
        for difference in verification.differences:
            table.add_row(*map(escape, (difference.name, difference.recorded, difference.again)))
        out.print(table)
    what = f"{_count(verification.findings, 'finding')} and {_count(verification.tables, 'table')}"
    if verification.same:
        out.print(f"run {run!r} reproduces: all {what} are the same")
    elif verification.differences:
        differ = [sum(one.kind == kind for one in verification.differences) for kind in ("finding", "table")]
        out.print(f"run {run!r} does not reproduce: of {what}, {differ[0]:,} and {differ[1]:,} differ")
    elif not verification.failures:
        out.print(f"all {what} are the same, but what they rest on is not: see above")
    if verification.kept:
        out.print(f"the repetition is in {from_root(verification.kept)}", markup=False)


def show_cleaning(out: Console, cleaning: Cleaning) -> None:
    """What would be deleted, with sizes."""
    table = _table("", "files", "size", right=(1, 2))
    for doomed in cleaning.folders:
        table.add_row(escape(from_root(doomed.folder)), f"{doomed.files:,}", bytes_text(doomed.bytes))
    out.print(table)
    for note in cleaning.notes:
        out.print(note, markup=False, style="yellow")


def _moves(comparison: Comparison) -> Table:
    then, now = (_formats(state) for state in (comparison.before, comparison.after))
    table = _table("finding", "before", "after", "change", "", "verdict", right=(1, 2, 3, 4))
    for move in comparison.moves:
        size = "" if move.difference is None or move.after is None else now.difference(move.difference, move.after.unit)
        relative = "" if move.relative is None else now.change(move.relative)
        values = (_value(move.before, then), _value(move.after, now), size, relative)
        table.add_row(move.id, *map(escape, values), _verdict(move))
    return table


def _verdict(move: Move) -> str:
    return f"[bold]{move.verdict}[/]" if move.verdict == "beyond" else move.verdict


def _value(finding: Finding | None, formats: Formats) -> str:
    if finding is None:
        return MISSING
    if finding.unit == "time" and finding.value is not None:
        return str(finding.value)[:16].replace("T", " ")  # narrower than the locale's
    return formats.value(finding.value, finding.unit)


def _formats(state: State) -> Formats:
    currency = state.manifest["parameters"]["currency"]
    return Formats(currency["code"], currency["locale"])


def _name(state: State) -> str:
    return f"{state.manifest['run']} ({state.manifest['finished_at'][:16].replace('T', ' ')} UTC)"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _table(*headings: str, right: Iterable[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        side: JustifyMethod = "right" if place in right else "left"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=place == 0)
    return table
