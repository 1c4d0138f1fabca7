"""How values read: numbers, shares, money and times by unit and locale. The one home of number formats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from babel import Locale, UnknownLocaleError, dates, numbers

from patternbook.errors import UserError

Unit = Literal["count", "share", "factor", "number", "currency", "days", "months", "seconds", "bytes", "time", "text"]

MISSING = "—"
MINUS = "−"
MAX_DECIMALS = 6
MOST_OF_SHARES = 2  # decimals of a percentage, and one more where all are below one percent
ROUNDING = 1e-12  # relative; an interval no wider than that is the rounding of floats


@dataclass(frozen=True)
class Formats:
    """Formats of one run: its currency (ISO 4217 code) and its locale (such as en_US or de_DE).

    Raises UserError where the locale is unknown.
    """

    currency: str
    locale: str

    def __post_init__(self) -> None:
        try:
            Locale.parse(self.locale)
        except (UnknownLocaleError, ValueError):
            raise UserError(
                f"key 'currency.locale': {self.locale!r} is not a locale; write one such as en_US or de_DE"
            ) from None

    @property
    def decimals(self) -> int:
        """Decimals of an amount in the run's currency: 2, but none for JPY."""
        return int(numbers.get_currency_precision(self.currency))

    def value(self, value: Any, unit: str, interval: tuple[float | None, float | None] | None = None) -> str:
        """`value` in its unit, such as `60.6% (60.1%–61.1%)` with an interval; `—` where there is no value.

        With an interval, all three numbers have as many decimals as the interval's half-width deserves, and more where
        an end that is not zero would read as zero. A share has two at most, three below one percent; one that would
        still read as nobody or everybody and is not reads `< 0.001%` or `> 99.99%`.
        """
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return MISSING
        write = self._writer(unit)
        low, high = interval or (None, None)
        if low is None or high is None:
            return write(value, None)
        scale = 100 if unit == "share" else 1
        decimals = _decimals_of_interval(low * scale, high * scale)
        if unit == "share":
            decimals = min(decimals, _most_of_shares(max(abs(low), abs(high))))
        return f"{write(value, decimals)} ({_span(write(low, decimals), write(high, decimals))})"

    def count(self, value: Any) -> str:
        """A whole number with the locale's grouping."""
        return self.value(value, "count")

    def share(self, value: Any, interval: tuple[float | None, float | None] | None = None) -> str:
        """A share as a percentage."""
        return self.value(value, "share", interval)

    def tenths(self, value: float | None) -> str:
        """A share to a tenth of a percent, so that the shares of one chart or column read alike: `< 0.1%`."""
        if value is None:
            return MISSING
        return f"< {self._share(0.001, 1)}" if 0 < value < 0.0005 else self._share(value, 1 if abs(value) < 10 else 0)

    def money(self, value: Any, interval: tuple[float | None, float | None] | None = None) -> str:
        """An amount in the run's currency; without minor units from a thousand on."""
        return self.value(value, "currency", interval)

    def change(self, value: Any, interval: tuple[float | None, float | None] | None = None) -> str:
        """A relative change with its sign: `+8.3%`, `−2.0%`."""
        text = self.share(value, interval)
        return f"+{text}" if value is not None and value > 0 else text

    def difference(self, value: float, unit: str) -> str:
        """A difference with its sign; that of two shares in percentage points: `+1.25 pp`."""
        size = f"{self.value(abs(value) * 100, 'number')} pp" if unit == "share" else self.value(abs(value), unit)
        return f"{'+' if value > 0 else MINUS if value < 0 else ''}{size}"

    def p_value(self, value: float) -> str:
        """`p = 0.032`, or `p < 0.001`."""
        return f"p < {self._decimal(0.001, 3)}" if value < 0.001 else f"p = {self._decimal(value, 3)}"

    def compact(self, value: Any, unit: str) -> str:
        """A short form for an axis: `$1.2M`, `40K`, `25%`."""
        number = float(value)
        if unit == "share":
            percent = round(number * 100, MAX_DECIMALS)
            return self._share(number, 0 if percent % 1 == 0 else 1 if percent * 10 % 1 == 0 else 2)
        if unit not in ("count", "currency"):
            return self.value(number, unit)
        short = numbers.format_compact_decimal(number, locale=self.locale, fraction_digits=1)
        if not any(letter.isalpha() for letter in short):  # below a thousand, or a locale with no short form for it
            whole = number % 1 == 0
            return self._currency(number, 0 if whole else None) if unit == "currency" else self._decimal(number, 0)
        if unit == "currency":
            short = numbers.format_compact_currency(number, self.currency, locale=self.locale, fraction_digits=1)
        return _true_minus(short)

    def date(self, value: date, skeleton: str = "yMMMd") -> str:
        """A date by CLDR skeleton: `yMMMd` is Oct 1, 2019, `MMMd` Oct 1, `yMMM` Oct 2019."""
        return str(dates.format_skeleton(skeleton, _at_midnight(value), locale=self.locale))

    def clock(self, value: datetime) -> str:
        """The time of day."""
        return str(dates.format_time(value.replace(tzinfo=None), "short", locale=self.locale))

    def _writer(self, unit: str) -> Callable[[Any, int | None], str]:
        writers: dict[str, Callable[[Any, int | None], str]] = {
            "count": lambda value, _: self._decimal(value, 0),
            "share": self._share,
            "factor": lambda value, decimals: f"{self._number(value, decimals)}×",
            "number": self._number,
            "currency": self._currency,
            "days": lambda value, decimals: self._measure(value, "days", decimals),
            "months": lambda value, decimals: self._measure(value, "months", decimals),
            "seconds": self._duration,
            "bytes": self._bytes,
            "time": lambda value, _: self._time(value),
            "text": lambda value, _: str(value),
        }
        return writers[unit]

    def _decimal(self, value: Any, decimals: int) -> str:
        rounded = _without_negative_zero(value, decimals)
        pattern = _locale(self.locale).decimal_formats[None].pattern.split(";")[0].split(".")[0]
        return _true_minus(
            numbers.format_decimal(
                rounded, format=pattern + _fraction(decimals), locale=self.locale, decimal_quantization=True
            )
        )

    def _number(self, value: Any, decimals: int | None) -> str:
        return self._decimal(value, _decimals_for_digits(value, 3) if decimals is None else _bounded(decimals))

    def _share(self, value: Any, decimals: int | None) -> str:
        if value in (0, 1):
            decimals = 0  # nobody and everybody are exact
        elif decimals is None:
            digits = max(_decimals_for_digits(value * 100, 2), _decimals_for_digits((1 - value) * 100, 1))
            decimals = 0 if abs(value) >= 10 else min(max(1, digits), _most_of_shares(abs(value)))
        least = 10.0 ** -(decimals + 2)
        if decimals >= MOST_OF_SHARES and 0 < value < least / 2:
            return f"< {self._share(least, decimals)}"
        if decimals >= MOST_OF_SHARES and 1 - least / 2 < value < 1:
            return f"> {self._share(1 - least, decimals)}"
        pattern = _locale(self.locale).percent_formats[None].pattern
        rounded = _without_negative_zero(value, _bounded(decimals) + 2)
        return _true_minus(
            numbers.format_percent(
                rounded, format=pattern.replace("0", "0" + _fraction(_bounded(decimals))), locale=self.locale
            )
        )

    def _currency(self, value: Any, decimals: int | None) -> str:
        minor = self.decimals
        if decimals is None:
            decimals = minor if abs(value) < 1000 else 0
        decimals = minor if decimals > 0 else 0  # $12.35 or $12, never $12.3
        pattern = _locale(self.locale).currency_formats["standard"].pattern.split(";")[0]
        rounded = _without_negative_zero(value, decimals)
        text = numbers.format_currency(
            rounded,
            self.currency,
            format=pattern.replace("0.00", "0" + _fraction(decimals)),
            locale=self.locale,
            currency_digits=False,
        )
        return _true_minus(text)

    def _measure(self, value: Any, unit: str, decimals: int | None) -> str:
        """A number and its unit in English, as the report's prose is."""
        if decimals is None:
            decimals = 0 if float(value) % 1 == 0 else min(2, max(1, _decimals_for_digits(value, 3)))
        text = self._decimal(value, _bounded(decimals))
        return f"{text} {unit.removesuffix('s') if text == '1' else unit}"

    def _duration(self, value: Any, decimals: int | None) -> str:
        seconds = float(value)
        if abs(seconds) >= 2 * 86_400:
            return f"{self._decimal(seconds / 86_400, 1)} days"
        for size, unit in ((3600, "h"), (60, "min")):
            if abs(seconds) >= size:
                return f"{self._decimal(seconds / size, 1)} {unit}"
        return f"{self._number(seconds, 1 if decimals is None else decimals)} s"

    def _bytes(self, value: Any, _: int | None) -> str:
        size = float(value)
        for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
            if abs(size) >= 1000**power:
                return f"{self._number(size / 1000**power, None)} {unit}"
        return self._measure(size, "bytes", 0)

    def _time(self, value: Any) -> str:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) > len("2019-10-01") else value
        if isinstance(moment, str):
            moment = date.fromisoformat(moment)
        day = self.date(moment)
        return f"{day}, {self.clock(moment)}" if isinstance(moment, datetime) else day


def format_value(
    value: Any,
    unit: str,
    currency: str,
    locale: str,
    interval: tuple[float | None, float | None] | None = None,
) -> str:
    """`value` of a finding as text; see `Formats.value`. `currency` is an ISO 4217 code."""
    return Formats(currency, locale).value(value, unit, interval)


def _locale(name: str) -> Locale:
    return Locale.parse(name)


def _span(low: str, high: str) -> str:
    if low == high and low[0] in "<>":
        return low
    return f"{low} to {high}" if any(sign in low + high for sign in (MINUS, "<", ">")) else f"{low}–{high}"


def _true_minus(text: str) -> str:
    return text.replace("-", MINUS)


def _fraction(decimals: int) -> str:
    return "." + "0" * decimals if decimals else ""


def _bounded(decimals: int) -> int:
    return min(max(decimals, 0), MAX_DECIMALS)


def _without_negative_zero(value: Any, decimals: int) -> Any:
    return abs(value) if round(float(value), decimals) == 0 else value


def _most_of_shares(size: float) -> int:
    return MOST_OF_SHARES if size >= 0.01 else MOST_OF_SHARES + 1


def _decimals_for_digits(value: Any, digits: int) -> int:
    """Decimals that show `value` with `digits` significant digits."""
    size = abs(float(value))
    return 0 if size == 0 else _bounded(digits - 1 - math.floor(math.log10(size)))


def _decimals_of_interval(low: float, high: float) -> int:
    """Decimals that the half-width deserves; up to two more where an end that is not zero would read as zero."""
    width = high - low if high - low > ROUNDING * max(abs(low), abs(high)) else 0.0
    decimals = _decimals_of_error(width / 2)
    vanishing = [_decimals_for_digits(end, 1) for end in (low, high) if end and round(end, decimals) == 0]
    return max(decimals, min(max(vanishing, default=0), decimals + 2))


def _decimals_of_error(half_width: float) -> int:
    """Decimals that a value with this error deserves.

    Particle Data Group, Review of Particle Physics, Introduction 5.3: two digits of the error where its leading
    three are 100 to 354, one where they are 355 to 949, and two of the error rounded up to 1000 from there.
    """
    if half_width <= 0 or not math.isfinite(half_width):
        return 2
    exponent = math.floor(math.log10(half_width))
    leading = half_width / 10.0**exponent * 100
    return _bounded((1 if leading < 355 else 0) - exponent)


def _at_midnight(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime(value.year, value.month, value.day)
