"""What has come of a stream so far, for the status line."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

__all__ = ["Progress"]

_WINDOW: Final = 20  # lines; the rate is for the time in which they were drawn

_UNITS: Final = ("kB", "MB", "GB")


class Progress:
    """Counts events and bytes; an observer of the stream."""

    def __init__(self) -> None:
        self._events = 0
        self._bytes = 0
        self._last_event = time.monotonic()
        self._past = deque([(self._last_event, 0)], maxlen=_WINDOW)  # times, and events until then

    def connected(self) -> None:
        """Nothing to count."""

    def ended(self) -> None:
        """Nothing to count."""

    def received(self, chunk: bytes) -> None:
        self._bytes += len(chunk)

    def count_event(self) -> None:
        """Count an event that has come."""
        self._events += 1
        self._last_event = time.monotonic()

    def text(self) -> str:
        """Return the line: events, bytes, rate, and how long there has been no event."""
        now = time.monotonic()
        then, events = self._past[0]
        rate = (self._events - events) / max(now - then, 0.001)
        self._past.append((now, self._events))
        return (
            f"sse-tail: {self._events} event{'s' * (self._events != 1)}, {_size(self._bytes)},"
            f" {rate:.1f} events/s; none for {now - self._last_event:.1f} s"
        )


def _size(count: int) -> str:
    """Return a number of bytes in readable form."""
    if count < 1000:
        return f"{count} B"
    power = min(len(_UNITS), (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {_UNITS[power - 1]}"
