"""The ``Retry-After`` header of a response. See RFC 9110, 10.2.3 and 5.6.7."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final

__all__ = ["retry_after"]

_SECONDS: Final = re.compile(r"[0-9]{1,18}")
_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MONTH: Final = rf"(?P<month>{_MONTHS})"
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES: Final = [
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"[A-Za-z]{{3}}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"[A-Za-z]{{6,9}}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",  # RFC 850
        rf"[A-Za-z]{{3}} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # asctime
    )
]


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks to wait; ``None`` if it is malformed.

    Args:
        value: The header's value: seconds, or one of the three forms of an HTTP date.
        now: The time that a date is compared with, in seconds since 1970 (UTC).
    """
    value = value.strip(" \t")
    if _SECONDS.fullmatch(value):
        return float(value)
    for pattern in _DATES:
        if (match := pattern.fullmatch(value)) is not None:
            break
    else:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        # The nearest year that ends so, unless that is more than 50 years ahead.
        current = int(1970 + now / 31_556_952)  # seconds of a mean year
        year += current // 100 * 100
        if year > current + 50:
            year -= 100
    try:
        date = datetime(
            year,
            _MONTHS.index(match["month"]) // 4 + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(59, int(match["second"])),  # 60 is a leap second
            tzinfo=timezone.utc,
        )
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now)
