"""Time: the period of a market, and clocks that run faster when more happens.

A process that is simple in operational time (Poisson visits, BG/NBD orders) gets its hours, weekdays, paydays,
campaigns and drift by mapping operational time to the calendar; its planted parameters stay what they are.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from patternbook.simulation.behaviour import Campaign, Drift, Rhythm

HOUR, DAY, WEEK = 3600, 86_400, 604_800

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Period:
    """Days from `start` to before `end`. Times inside the simulation are seconds since `start`."""

    start: date
    end: date

    @classmethod
    def of(cls, start: date, months: int) -> Period:
        """`months` months from `start`."""
        return cls(start, _months_later(start, months))

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return self.days * DAY

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days

    @property
    def weeks(self) -> int:
        """Weeks that the period touches, counted from its start."""
        return -(-self.days // 7)

    @property
    def epoch(self) -> int:
        """Unix time of the start."""
        return int(datetime.combine(self.start, datetime.min.time(), UTC).timestamp())

    def dates(self) -> list[date]:
        """Every day of the period."""
        return [self.start + timedelta(days=i) for i in range(self.days)]

    def months(self) -> list[tuple[str, int]]:
        """Calendar months that the period touches: name such as 2024-07, and the second at which the next begins."""
        months: list[tuple[str, int]] = []
        day = self.start
        while day < self.end:
            following = min(_months_later(day.replace(day=1), 1), self.end)
            months.append((f"{day:%Y-%m}", (following - self.start).days * DAY))
            day = following
        return months


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


class Clock:
    """Piecewise linear map between calendar and operational seconds; `intensity` holds a positive factor an hour."""

    def __init__(self, intensity: Floats) -> None:
        self._calendar = np.arange(len(intensity) + 1, dtype=np.float64) * HOUR
        self._operational = np.concatenate(([0.0], np.cumsum(intensity))) * HOUR

    @property
    def end(self) -> float:
        """Operational time of the period's end."""
        return float(self._operational[-1])

    def operational(self, calendar_time: Floats) -> Floats:
        """Operational time of calendar times."""
        mapped: Floats = np.interp(calendar_time, self._calendar, self._operational)
        return mapped

    def calendar(self, operational_time: Floats) -> Floats:
        """Calendar time of operational times."""
        mapped: Floats = np.interp(operational_time, self._operational, self._calendar)
        return mapped


def visit_intensity(period: Period, rhythm: Rhythm) -> Floats:
    """Intensity of visits by hour of the period; its mean is 1."""
    return _intensity(period, rhythm.visit_hours, rhythm.visit_weekdays, rhythm.paydays, 1.0)


def order_intensity(period: Period, rhythm: Rhythm, drift: Drift) -> Floats:
    """Intensity of orders by hour of the period; its mean is 1 but for the drift."""
    intensity = _intensity(period, rhythm.order_hours, rhythm.order_weekdays, rhythm.paydays, rhythm.payday_factor)
    intensity[drift_start(period, drift) // HOUR :] *= drift.orders
    return intensity


def campaign_factor(period: Period, campaign: Campaign, uplift: float) -> Floats:
    """Factor on the intensity of orders of those who were contacted."""
    begins, ends = campaign_window(period, campaign)
    factor = np.ones(period.seconds // HOUR)
    factor[begins // HOUR : ends // HOUR] += uplift
    return factor


def campaign_window(period: Period, campaign: Campaign) -> tuple[int, int]:
    """First second of a campaign and the second after its last; at most an eighth of the period."""
    begins = int(campaign.begins * period.days)
    return begins * DAY, (begins + max(1, min(campaign.days, period.days // 8))) * DAY


def drift_start(period: Period, drift: Drift) -> int:
    """Second at which the drift sets in; the period's end where there is none."""
    return (period.days - min(drift.days, period.days // 6)) * DAY


def _intensity(
    period: Period,
    hours: tuple[float, ...],
    weekdays: tuple[float, ...],
    paydays: tuple[int, ...],
    payday_factor: float,
) -> Floats:
    days = period.dates()
    by_day = np.array([weekdays[day.weekday()] * (payday_factor if day.day in paydays else 1.0) for day in days])
    intensity: Floats = np.outer(by_day, np.asarray(hours, dtype=np.float64)).ravel()
    intensity /= intensity.mean()
    return intensity
