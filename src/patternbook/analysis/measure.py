"""What an analysis hands over: measures that become findings, and parts that leave themselves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from patternbook.formats import Unit

if TYPE_CHECKING:  # intervals load SciPy, which who only records a finding does not need
    from patternbook.analysis.intervals import Estimate


class LeftOut(NamedTuple):
    """A part that the data do not allow, with one sentence for the report that says why."""

    reason: str


class Measure(NamedTuple):
    """A result called `name` within its topic. `value` is None where `reason` says, in one sentence, why."""

    name: str
    label: str
    unit: Unit
    value: Any
    interval: tuple[float, float] | None = None
    n: int | None = None
    reason: str | None = None


def measured(name: str, label: str, unit: Unit, estimate: Estimate | None, reason: str | None = None) -> Measure:
    """The measure of an estimate; without an estimate, the reason stands in for it."""
    if estimate is None:
        return Measure(name, label, unit, None, reason=reason)
    return Measure(name, label, unit, estimate.value, estimate.interval, estimate.n)
