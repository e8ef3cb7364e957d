"""``Retry-After``: seconds and dates, and what is neither."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_proto._retry_after import retry_after

# Sunday, 6 November 1994, 08:49:37 GMT: RFC 9110's own example.
EXAMPLE: Final = 784_111_777.0
NAMES: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"


def at(year: int, month: int = 1, day: int = 1) -> float:
    return datetime(year, month, day, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("007", 7.0),
        (" 5\t", 5.0),
        ("9" * 18, 1e18),
        ("9" * 19, 1e19),  # no less than one digit fewer
        ("9" * 400, math.inf),
        ("9" * 10_000, math.inf),  # too many digits for int()
    ],
)
def test_seconds(value: str, seconds: float) -> None:
    assert retry_after(value, EXAMPLE) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x1",
        "1_0",
        "5 s",
        "5,6",
        "5\n",
        "\x0b5",
        "nan",
        "\u0665",
        "x",
    ],
)
def test_neither_seconds_nor_a_date(value: str) -> None:
    assert retry_after(value, EXAMPLE) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", id="asctime"),
        pytest.param("Sun Nov 06 08:49:37 1994", id="asctime, two digits"),
        pytest.param("  Sun, 06 Nov 1994 08:49:37 GMT\t", id="whitespace around"),
        pytest.param("Mon, 06 Nov 1994 08:49:37 GMT", id="wrong day of the week"),
        pytest.param("Wednesday, 06-Nov-94 08:49:37 GMT", id="longest day of the week"),
    ],
)
def test_each_form_of_a_date(value: str) -> None:
    assert retry_after(value, EXAMPLE - 90.5) == 90.5
    assert retry_after(value, EXAMPLE) == 0.0


@pytest.mark.parametrize("month", range(1, 13))
def test_each_month(month: int) -> None:
    value = f"Sun, 17 {NAMES.split('|')[month - 1]} 2024 00:00:00 GMT"
    assert retry_after(value, at(2024, month, 16)) == 86_400


def test_a_past_date_asks_for_no_wait() -> None:
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1e9) == 0.0
    assert retry_after("Mon, 01 Jan 0001 00:00:00 GMT", EXAMPLE) == 0.0


def test_a_far_date() -> None:
    assert retry_after("Fri, 31 Dec 9999 23:59:59 GMT", EXAMPLE) == at(9999, 12, 31) + 86_399 - (
        EXAMPLE
    )


def test_a_leap_second_counts_as_the_second_before_it() -> None:
    now = at(2016, 12, 31)
    assert retry_after("Sat, 31 Dec 2016 23:59:60 GMT", now) == 86_399
    assert retry_after("Sat, 31 Dec 2016 23:59:59 GMT", now) == 86_399


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994  08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:99 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov \u0661\u0669\u0669\u0664 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov    08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "784111777 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, 5",
    ],
)
def test_malformed_dates(value: str) -> None:
    assert retry_after(value, EXAMPLE) is None


@pytest.mark.parametrize(
    ("now", "digits", "year"),
    [
        (2024, "24", 2024),
        (2024, "23", 2023),
        (2024, "25", 2025),
        (2024, "74", 2074),  # 50 years ahead
        (2024, "75", 1975),  # more than 50: the last past year that ends so
        (2024, "99", 1999),
        (2024, "00", 2000),
        (1994, "01", 2001),  # over the turn of the century
        (2099, "00", 2100),
        (2060, "05", 2105),
    ],
)
def test_years_of_two_digits(now: int, digits: str, year: int) -> None:
    value = f"Sunday, 01-Jul-{digits} 00:00:00 GMT"
    middle = at(now, 7, 1)
    assert retry_after(value, middle) == max(0.0, at(year, 7, 1) - middle)


@given(date=st.integers(0, 4_000_000_000), now=st.floats(0, 4e9))
def test_dates_as_they_are_sent(date: int, now: float) -> None:
    assert retry_after(formatdate(date, usegmt=True), now) == max(0.0, date - now)


@given(value=st.text(max_size=40), now=st.floats(0, 1e10))
def test_no_value_raises(value: str, now: float) -> None:
    seconds = retry_after(value, now)
    assert seconds is None or seconds >= 0
