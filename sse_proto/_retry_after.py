"""The ``Retry-After`` header of a response. See RFC 9110, 10.2.3 and 5.6.7."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final

__all__ = ["retry_after"]

_SECONDS: Final = re.compile(r"[0-9]+")
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

    A number too large for a `float` becomes infinity, which a cap takes care of.

    Args:
        value: The header's value: seconds, or one of the three forms of an HTTP date.
        now: The time to compare a date with, in seconds since 1970 (UTC).
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
        # The latest year with these last digits that is at most 50 years ahead.
        latest = int(1970 + now / 31_556_952) + 50  # seconds of a mean year
        year = latest - (latest - year) % 100
    try:
        date = datetime(
            year,
            _MONTHS.index(match["month"]) // 4 + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if match["second"] == "60" else int(match["second"]),  # 60: a leap second
            tzinfo=timezone.utc,
        )
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now)
