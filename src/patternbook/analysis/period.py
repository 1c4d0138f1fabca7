"""A span of whole days, and which of the days of a log are whole."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import polars as pl

DAY_STARTS_BY = time(1, 0)  # a first day with an event by then, and a last day with one from
DAY_ENDS_FROM = time(23, 0)  # then on, count as whole; a shop that sleeps at night loses a day at each end at most


class Period(NamedTuple):
    """Days that count, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


class Span(NamedTuple):
    """First and last event, in the shop's local time."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, sessions: pl.DataFrame, time_zone: str) -> Span:
        """That of the mart `sessions`."""
        first, last = (
            pl.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
            for name in ("started_at", "ended_at")
        )
        return cls(*sessions.select(first.min().alias("first"), last.max().alias("last")).row(0))

    @property
    def last_whole_day(self) -> date:
        """The last day that the data cover to its end."""
        return self.last.date() - timedelta(days=self.last.time() < DAY_ENDS_FROM)

    @property
    def whole_days(self) -> tuple[date, date] | None:
        """First and last day that the data cover whole; None where they cover none."""
        first = self.first.date() + timedelta(days=self.first.time() >= DAY_STARTS_BY)
        return (first, self.last_whole_day) if first <= self.last_whole_day else None

    @property
    def days(self) -> int:
        """Calendar days from the first event to the last, both counted."""
        return (self.last.date() - self.first.date()).days + 1
