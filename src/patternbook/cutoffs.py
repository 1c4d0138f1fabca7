"""The days at which forecasts stand: what is known before each, what happens after it, always forward in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from patternbook.errors import UserError
from patternbook.params import Propensity

WINDOWS = 4  # horizons that the data must hold: history, training, calibration, test
PLACES = 2**31 - 1  # over which customers are scattered by their ids, to draw some of them; a prime
SCATTER = 1_327_217_885  # the golden section of it: ids that follow each other come to lie far apart


@dataclass(frozen=True)
class Cutoffs:
    """A cutoff is the first local day that is not looked at; forecasts are about the `horizon` days from it on.

    The model is trained at the `training` cutoffs, earliest first, calibrated at a later one and tested at the last
    whose outcome is known. At `scoring`, the day after the data's end, it forecasts what nobody knows yet. No outcome
    that is learned from lies after the next cutoff. `shorter` are further horizons, `longest` the longest of all.
    """

    training: tuple[date, ...]
    calibration: date
    test: date
    scoring: date
    horizon: int
    more: tuple[int, ...]

    @property
    def longest(self) -> int:
        """Days between two cutoffs."""
        return max(self.horizon, *self.more) if self.more else self.horizon

    @property
    def labelled(self) -> tuple[date, ...]:
        """Those whose outcome the data hold."""
        return (*self.training, self.calibration, self.test)

    @property
    def all(self) -> tuple[date, ...]:
        """All of them, each once, in the order of time."""
        return tuple(dict.fromkeys((*self.labelled, self.scoring)))


def cutoffs(first: date, last: date, settings: Propensity, file: str) -> Cutoffs | None:
    """The cutoffs of data from the local day `first` to `last`; None where they hold fewer than four days.

    Data too short for four of the longest horizon get a shorter one, a fourth of them. Raises UserError, naming `file`,
    for a given cutoff that is impossible.
    """
    days = (last - first).days + 1
    longest = max(settings.horizon_days, *settings.more_horizons, 1)
    end = last + timedelta(days=1)
    if settings.cutoff == "auto":
        longest = min(longest, days // WINDOWS)
        if longest < 1:
            return None
        test = end - timedelta(days=longest)
    else:
        test = settings.cutoff
        _check(test, first, last, longest, file)
    step = timedelta(days=longest)
    training = [test - k * step for k in range(2, 2 + settings.training_cutoffs) if test - k * step >= first + step]
    horizon = min(settings.horizon_days, longest)
    return Cutoffs(
        training=tuple(reversed(training)),
        calibration=test - step,
        test=test,
        scoring=end,
        horizon=horizon,
        more=tuple(sorted(other for other in settings.more_horizons if other <= longest and other != horizon)),
    )


def _check(cutoff: date, first: date, last: date, longest: int, file: str) -> None:
    latest = last + timedelta(days=1 - longest)
    earliest = first + timedelta(days=(WINDOWS - 1) * longest)
    where = f"{file}: key 'propensity.cutoff': {cutoff}"
    if earliest > latest:
        raise UserError(
            f"{where}: no cutoff is possible: the data, {first} to {last}, hold fewer than four horizons of {longest} "
            "days; shorten `propensity.horizon_days` and `more_horizons`, or set the cutoff to auto"
        )
    if not first < cutoff <= last:
        raise UserError(f"{where} lies outside the data, {first} to {last}; choose {earliest} to {latest}, or auto")
    if cutoff > latest:
        raise UserError(
            f"{where}: the {longest} days after it run past the end of the data, {last}, so purchases would be missed; "
            f"the latest possible cutoff is {latest}"
        )
    if cutoff < earliest:
        raise UserError(
            f"{where} leaves too little before it: three horizons of {longest} days (history, training, calibration) "
            f"are needed; the earliest possible cutoff is {earliest}"
        )


def drawn_below(most: int, known: int) -> int:
    """The place below which a customer is drawn, so that about `most` of `known` customers are; all where so few are.

    A customer's place is |customer_id| mod PLACES · SCATTER mod PLACES: the same at all cutoffs and in all runs.
    """
    return PLACES if known <= most else int(most / known * PLACES)
