"""Two runs, or two states of one: which findings moved, by how much, beyond their intervals or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from patternbook.circumstances import Circumstances, compare_circumstances
from patternbook.findings import Finding, rounded
from patternbook.runs import State

Verdict = Literal["beyond", "changed", "left out", "found", "gone", "new", "reason", "within"]

VERDICTS: dict[Verdict, str] = {
    "beyond": "moved beyond the intervals",
    "changed": "changed without an interval to judge by",
    "left out": "left out now",
    "found": "left out before",
    "gone": "no longer there",
    "new": "not there before",
    "reason": "left out for another reason",
    "within": "moved within the intervals",
}
"""What a verdict means, in the order in which it matters."""

RULE = (
    "Beyond the intervals: the 95% interval of the difference, made of both findings' intervals as if they were "
    "independent, leaves out zero."
)


class Move(NamedTuple):
    """A finding that is not the same before and after.

    `difference` (after − before) is null where the two cannot be subtracted, `low` and `high` (its 95 % interval)
    where one of them has no interval, `relative` (difference ÷ value before) where that was not positive.
    """

    id: str
    verdict: Verdict
    before: Finding | None
    after: Finding | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    relative: float | None = None

    @property
    def label(self) -> str:
        """The finding's label, as it is now."""
        return (self.after or self.before).label  # type: ignore[union-attr]


class Comparison(NamedTuple):
    """What moved between two states, of how many findings known to either, and what else differs."""

    before: State
    after: State
    moves: list[Move]
    known: int
    circumstances: Circumstances

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON values; findings whole, `low` and `high` those of the difference."""
        states = {"before": self.before, "after": self.after}
        return {
            **{name: {key: state.manifest[key] for key in ("run", "finished_at")} for name, state in states.items()},
            "rule": RULE,
            "dependence": self.circumstances.shared,
            "findings": self.known,
            "moved": [
                move._asdict() | {name: _dump(getattr(move, name)) for name in ("before", "after")}
                for move in self.moves
            ],
            "differs": {
                kind: [change._asdict() for change in changes] for kind, changes in self.circumstances.changes.items()
            },
        }


def compare_states(before: State, after: State, first: Sequence[str] = ()) -> Comparison:
    """Compare two runs, or two states of one; the findings in `first` come first."""
    codes = {state.manifest["parameters"]["currency"]["code"] for state in (before, after)}
    return Comparison(
        before,
        after,
        compare(before.findings, after.findings, one_currency=len(codes) == 1, first=first),
        len(before.findings.keys() | after.findings.keys()),
        compare_circumstances(before.manifest, after.manifest),
    )


def compare(
    before: Mapping[str, Finding],
    after: Mapping[str, Finding],
    *,
    one_currency: bool = True,
    first: Sequence[str] = (),
) -> list[Move]:
    """The findings that moved, what matters most first: those named in `first`, then by verdict, then by relative size.

    A finding has moved when its value or an end of its interval differs. With intervals on both sides it moved
    *beyond* them when the interval of the difference leaves out zero (see `interval_of_difference`), else *within*;
    without, it merely *changed*. Amounts are not subtracted where `one_currency` is false.
    """
    moves = [
        move
        for finding_id in sorted(before.keys() | after.keys())
        if (move := _move(finding_id, before.get(finding_id), after.get(finding_id), one_currency))
    ]
    places = {finding_id: place for place, finding_id in enumerate(first)}
    order = list(VERDICTS)

    def rank(move: Move) -> tuple[float, int, float, str]:
        size = -1.0 if move.difference is None else math.inf if move.relative is None else abs(move.relative)
        return places.get(move.id, math.inf), order.index(move.verdict), -size, move.id

    return sorted(moves, key=rank)


def interval_of_difference(before: Finding, after: Finding) -> tuple[float, float] | None:
    """95 % interval of after − before for independent estimates; None where one has no interval.

    With values a, b and intervals (l, u) it is d − √((b − l_b)² + (u_a − a)²) to d + √((u_b − b)² + (a − l_a)²),
    d = b − a: each end takes the arms that face it, so skewed intervals keep their promise (MOVER: Zou & Donner 2008,
    Stat. Med. 27, 1693–1702; for shares with Wilson's intervals it is method 10 of Newcombe 1998, Stat. Med. 17,
    873–890). With symmetric arms it is the difference ± 1.96 standard errors.

    Two runs over the same people are not independent: they vary together, so the interval is too wide and *beyond*
    is said too seldom, not too often.
    """
    a, b = before.value, after.value
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return None
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return None
    difference = b - a
    down = math.hypot(b - after.low, before.high - a)
    up = math.hypot(after.high - b, a - before.low)
    return difference - down, difference + up


def _move(finding_id: str, before: Finding | None, after: Finding | None, one_currency: bool) -> Move | None:
    if before is None or after is None:
        return Move(finding_id, "new" if before is None else "gone", before, after)
    if before.value is None and after.value is None:
        return Move(finding_id, "reason", before, after) if before.reason != after.reason else None
    if before.value is None or after.value is None:
        return Move(finding_id, "found" if before.value is None else "left out", before, after)
    if _told(before) == _told(after):
        return None
    if before.unit != after.unit or (before.unit == "currency" and not one_currency):
        return Move(finding_id, "changed", before, after)
    return _moved(finding_id, before, after)


def _moved(finding_id: str, before: Finding, after: Finding) -> Move:
    a, b = before.value, after.value
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return Move(finding_id, "changed", before, after)
    difference = b - a
    relative = difference / a if a > 0 else None
    bounds = interval_of_difference(before, after)
    if bounds is None:
        return Move(finding_id, "changed", before, after, rounded(difference), relative=rounded(relative))
    verdict: Verdict = "within" if bounds[0] <= 0 <= bounds[1] else "beyond"
    return Move(finding_id, verdict, before, after, *map(rounded, (difference, *bounds, relative)))


def _dump(finding: Finding | None) -> dict[str, Any] | None:
    return None if finding is None else finding.model_dump()


def _told(finding: Finding) -> tuple[object, ...]:
    return finding.value, finding.low, finding.high, finding.unit
