"""Values as they read, by unit and locale."""

from __future__ import annotations

import re
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patternbook.errors import UserError
from patternbook.formats import MISSING, Formats, format_value

US, DE = Formats("USD", "en_US"), Formats("EUR", "de_DE")
INDIA, JAPAN = Formats("INR", "en_IN"), Formats("JPY", "ja_JP")


@pytest.mark.parametrize(
    ("formats", "value", "unit", "text"),
    [
        (US, 12345678, "count", "12,345,678"),
        (DE, 12345678, "count", "12.345.678"),
        (INDIA, 12345678, "count", "1,23,45,678"),
        (US, 0.60612, "share", "60.6%"),
        (DE, 0.60612, "share", "60,6\xa0%"),
        (US, 0.0123, "share", "1.2%"),
        (US, 0.000431, "share", "0.043%"),
        (US, 0, "share", "0%"),
        (US, 1, "share", "100%"),
        (US, 13.2348, "share", "1,323%"),
        (US, 0.0000025, "share", "< 0.001%"),
        (US, 0.99999, "share", "> 99.99%"),
        (DE, 0.99999, "share", "> 99,99\xa0%"),
        (US, -0.02, "share", "−2.0%"),
        (US, 59442.63, "currency", "$59,443"),
        (US, 297.213, "currency", "$297.21"),
        (DE, 297.213, "currency", "297,21\xa0€"),
        (INDIA, 1234567.5, "currency", "₹12,34,568"),
        (JAPAN, 297.213, "currency", "¥297"),
        (US, -12.5, "currency", "−$12.50"),
        (US, -0.001, "currency", "$0.00"),
        (US, 0.7523, "number", "0.752"),
        (US, 1.8, "factor", "1.80×"),
        (US, 28, "days", "28 days"),
        (US, 1, "months", "1 month"),
        (DE, 2.5, "months", "2,50 months"),
        (US, 2.34, "seconds", "2.3 s"),
        (US, 92.3, "seconds", "1.5 min"),
        (US, 7300, "seconds", "2.0 h"),
        (US, 1234567890, "bytes", "1.23 GB"),
        (US, 812, "bytes", "812 bytes"),
        (US, "2019-10-01", "time", "Oct 1, 2019"),
        (US, "2019-10-01T14:05:00+02:00", "time", "Oct 1, 2019, 2:05\u202fPM"),
        (DE, datetime(2019, 10, 1, 14, 5), "time", "1. Okt. 2019, 14:05"),
        (US, "win_back", "text", "win_back"),
        (US, None, "currency", MISSING),
        (US, float("nan"), "number", MISSING),
    ],
)
def test_values(formats: Formats, value: object, unit: str, text: str) -> None:
    assert formats.value(value, unit).replace("￥", "¥") == text


@pytest.mark.parametrize(
    ("value", "unit", "interval", "text"),
    [
        (0.606, "share", (0.601, 0.611), "60.6% (60.1%–61.1%)"),
        (1.0, "factor", (1.0 - 1e-15, 1.0 + 1e-15), "1.00× (1.00×–1.00×)"),
        (111 / 4504, "share", (0.020506, 0.029594), "2.5% (2.1%–3.0%)"),
        (0.5586, "share", (0.4658, 0.6474), "56% (47%–65%)"),
        (
            0.56,
            "share",
            (0.53, 0.59),
            "56.0% (53.0%–59.0%)",
        ),  # a half-width of 3.00 keeps two digits, one of 4 does not
        (0.56, "share", (0.52, 0.60), "56% (52%–60%)"),
        (-0.02, "share", (-0.11, 0.07), "−2% (−11% to 7%)"),
        (0.235, "share", (0.002, 0.468), "23.5% (0.2%–46.8%)"),
        (0.7523, "number", (0.7401, 0.7631), "0.752 (0.740–0.763)"),
        (297.2, "currency", (251.4, 360.9), "$297 ($251–$361)"),
        (49.75, "currency", (49.05, 50.53), "$49.75 ($49.05–$50.53)"),
        (5.0, "number", (5.0, 5.0), "5.00 (5.00–5.00)"),
        (1.0, "share", (0.9991, 1.0), "100% (99.91%–100%)"),
        (0.203031, "share", (0.202689, 0.203372), "20.30% (20.27%–20.34%)"),
        (0.00323, "share", (0.00319, 0.00327), "0.323% (0.319%–0.327%)"),
        (0.0000025, "share", (0.0, 0.0000143), "< 0.001% (0%–0.001%)"),
        (0.0000005, "share", (0.0, 0.0000025), "< 0.001% (0% to < 0.001%)"),
        (0.9999998, "share", (0.9999989, 0.99999997), "> 99.99% (> 99.99%)"),
        (0.99994, "share", (0.99991, 0.99997), "99.99% (99.99% to > 99.99%)"),
        (0.3, "share", (None, None), "30.0%"),
    ],
)
def test_an_interval_decides_the_digits(
    value: float, unit: str, interval: tuple[float | None, float | None], text: str
) -> None:
    assert US.value(value, unit, interval) == text
    assert format_value(value, unit, "USD", "en_US", interval) == text


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_an_interval_still_holds_its_value_when_written(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    written = US.value(value, "share", (low, high)).replace("%", "")
    point, ends = written.rstrip(")").split(" (")
    first, *_, last = [float(end.strip("<> ")) for end in re.split("–| to ", ends)] * 2
    assert first <= float(point.strip("<> ")) <= last


@pytest.mark.parametrize(
    ("formats", "value", "unit", "text"),
    [
        (US, 1_234_567, "currency", "$1.2M"),
        (US, 40_000, "count", "40K"),
        (DE, 40_000, "currency", "40.000\xa0€"),
        (INDIA, 1_234_567, "currency", "₹12.3L"),
        (US, 0.25, "share", "25%"),
        (US, 0.005, "share", "0.5%"),
        (US, 0.5, "currency", "$0.50"),
        (US, 0, "currency", "$0"),
    ],
)
def test_short_forms(formats: Formats, value: float, unit: str, text: str) -> None:
    assert formats.compact(value, unit) == text


def test_changes_carry_their_sign() -> None:
    assert US.change(0.083) == "+8.3%"
    assert US.change(-0.083) == "−8.3%"
    assert US.change(0) == "0%"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.0002, "< 0.1%"), (0.05, "5.0%"), (13.2348, "1,323%"), (1, "100%"), (None, MISSING)],
)
def test_shares_of_one_column_read_alike(share: float | None, text: str) -> None:
    assert US.tenths(share) == text


def test_p_values() -> None:
    assert US.p_value(0.0317) == "p = 0.032"
    assert DE.p_value(0.0001) == "p < 0,001"


def test_dates_by_skeleton() -> None:
    assert US.date(date(2024, 7, 1), "yMMM") == "Jul 2024"
    assert Formats("GBP", "en_GB").date(date(2024, 7, 1)) == "1 Jul 2024"


@pytest.mark.parametrize("locale", ["xx_YY", "", "english"])
def test_an_unknown_locale_names_the_key(locale: str) -> None:
    with pytest.raises(UserError, match=r"currency\.locale"):
        Formats("USD", locale)
