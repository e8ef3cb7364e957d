"""How long a stream may be silent: without a byte, and without an event.

Only time spent waiting for a chunk counts. A slow or absent reader is not the server's fault; and a
read that is cancelled and begun again goes on waiting where it left off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from ._feed import BytesLike

__all__ = ["Silence", "TimeLimit"]

# Seconds. At the limit, what has already arrived must still be read; and 0 means other things to
# some clients, such as "do not block" to a socket.
_LEAST: Final = 0.001


@dataclass(frozen=True)
class TimeLimit:
    """How long to wait for the next chunk."""

    seconds: float
    """At least 1 ms."""
    reason: str
    """What is wrong if none comes: which kind of silence, and how long it lasted."""


@final
class Silence:
    """The silence of one body so far, and how much more of it is allowed.

    For each read: wait for as long as `limit` says, then report the wait with `waited`, and the
    chunk with `heard`.

    Args:
        idle_timeout: The longest silence between bytes, in seconds; ``None``: any.
        event_timeout: The longest silence between events, in seconds; ``None``: any.

    Raises:
        ValueError: One of them is not positive.
    """

    __slots__ = (
        "_event_timeout",
        "_idle_timeout",
        "_unbroken",
        "_without_bytes",
        "_without_events",
    )

    def __init__(self, idle_timeout: float | None, event_timeout: float | None) -> None:
        for name, value in (("idle_timeout", idle_timeout), ("event_timeout", event_timeout)):
            if value is not None and not value > 0:  # NaN as well
                raise ValueError(f"{name} must be more than 0 s, not {value}")
        self._idle_timeout = idle_timeout
        self._event_timeout = event_timeout
        # Seconds waited since the last of each.
        self._without_bytes = 0.0
        self._without_events = 0.0
        # The limit while both are 0, as they mostly are: made once, which saves 1 us.
        self._unbroken = self._left()

    @property
    def limit(self) -> TimeLimit | None:
        """How long to wait for the next chunk; ``None``: for ever."""
        if self._without_bytes or self._without_events:
            return self._left()
        return self._unbroken

    def _left(self) -> TimeLimit | None:
        idle = event = math.inf
        if self._idle_timeout is not None:
            idle = self._idle_timeout - self._without_bytes
        if self._event_timeout is not None:
            event = self._event_timeout - self._without_events
        if idle <= event:
            if self._idle_timeout is None:
                return None
            reason = f"no byte from the server for {self._idle_timeout} s"
            return TimeLimit(max(_LEAST, idle), reason)
        reason = f"no event from the server for {self._event_timeout} s"
        return TimeLimit(max(_LEAST, event), reason)

    def waited(self, seconds: float) -> None:
        """Report a wait for a chunk, even if it timed out or was cancelled."""
        self._without_bytes += seconds
        self._without_events += seconds

    def heard(self, chunk: BytesLike, *, event: bool) -> None:
        """Report a chunk, and whether it completed an event. An empty one breaks no silence."""
        if memoryview(chunk).nbytes:
            self._without_bytes = 0.0
        if event:
            self._without_events = 0.0
