"""When to connect again: how long to wait, and when to give up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ["ReconnectPolicy"]

# Seconds. Backing off doubles something, also where the server asks for no delay at all.
_LEAST_STEP: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class ReconnectPolicy:
    """When to connect again. Immutable; all times are in seconds.

    The wait before a connection has two parts. One is what was asked for: the stream's ``retry``,
    or the answer's ``Retry-After`` if that is longer. The other is random, and grows with each
    attempt that brought no event: clients that one outage has cut off do not come back as one.

    Raises:
        ValueError: A number is out of its range.
    """

    initial_delay: float = 3.0
    """What stands for ``retry`` until the stream sets it."""

    max_server_delay: float = 300.0
    """The most that a server may ask for, with ``retry`` or ``Retry-After``."""

    factor: float = 2.0
    """What the random part is multiplied with for each further attempt; at least 1."""

    max_backoff: float = 60.0
    """The most that the random part may be. So a wait is at most this and `max_server_delay`."""

    jitter: bool = True
    """Whether the random part is random: uniform between 0 and its most ("full jitter"). With
    ``False`` it is always its most, and a thousand clients come back at the same moment."""

    max_attempts: int | None = None
    """Attempts without an event after which to give up; ``None``: never."""

    max_time: float | None = None
    """The longest outage: no attempt begins later than this after the loss, not counting time in
    which a connection was open. ``None``: no limit."""

    reconnect_on_end: bool = True
    """Whether a stream that the server ended properly is opened again, as the standard has it."""

    backoff: Callable[[float, int, Random], float] | None = None
    """The random part, in place of the one above: a function of the delay that the server asks for,
    of the number of attempts without an event before, and of the source of randomness. For more
    than that, override `delay`."""

    def __post_init__(self) -> None:
        for name, least in (
            ("initial_delay", 0),
            ("max_server_delay", 0),
            ("factor", 1),
            ("max_backoff", 0),
            ("max_attempts", 1),
            ("max_time", 0),
        ):
            value: float | None = getattr(self, name)
            if value is None and name in ("max_attempts", "max_time"):
                continue
            if value is None or not least <= value < math.inf:  # NaN as well
                raise ValueError(f"{name} must be at least {least} and finite, not {value}")

    def delay(self, asked: float, failures: int, random: Random) -> float:
        """Return how long to wait before the next attempt, in seconds.

        Args:
            asked: What the server asks for, in seconds, at most `max_server_delay`.
            failures: Attempts without an event so far; 0 right after a connection that had some.
            random: The source of randomness.
        """
        if self.backoff is not None:
            return asked + self.backoff(asked, failures, random)
        step = asked if failures == 0 else max(asked, _LEAST_STEP)
        try:
            most = min(self.max_backoff, step * self.factor**failures)
        except OverflowError:
            most = self.max_backoff
        return asked + (random.uniform(0.0, most) if self.jitter else most)
