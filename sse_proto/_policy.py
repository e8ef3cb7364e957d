"""When to connect again: how long to wait, and when to give up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from random import Random

__all__ = ["ReconnectPolicy"]

# Seconds. Backing off needs something to double, even where the server asks for no delay at all.
_LEAST_STEP: Final = 0.1

# RFC 9110, 9.2.1; REPORT: RFC 3253, 3.6; QUERY: draft-ietf-httpbis-safe-method-w-body.
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "QUERY", "REPORT", "TRACE"})


@dataclass(frozen=True, kw_only=True)
class ReconnectPolicy:
    """When to connect again. Immutable; all times are in seconds.

    The wait before a connection has two parts. One is what was asked for: the stream's ``retry``,
    or the response's ``Retry-After`` if that is longer. The other is the backoff: random, with a
    bound that grows with each failure, so that clients cut off by one outage do not come back all
    at once.

    Raises:
        ValueError: A value is out of its range.
    """

    initial_delay: float = 3.0
    """What to use for ``retry`` until the stream sets it."""

    min_server_delay: float = 0.5
    """The least that ``retry`` may ask for, from the second connection in a row that was lost
    within a second of being opened; `initial_delay` or `max_backoff` if one of those is less. (So
    ``max_backoff=0.0`` keeps to ``retry`` exactly, as does ``jitter="none"``.)"""

    max_server_delay: float = 300.0
    """The most that a server may ask for, with ``retry`` or ``Retry-After``."""

    factor: float = 2.0
    """What each further failure multiplies the backoff's bound by; at least 1."""

    max_backoff: float = 60.0
    """The most that the bound may be. A wait is thus at most this plus `max_server_delay`."""

    jitter: bool | Literal["full", "none"] = True
    """Whether to draw the backoff uniformly from 0 to its bound (full jitter: ``True`` or
    ``"full"``). ``False``: the backoff is the bound, and a thousand clients come back at the same
    moment. ``"none"``: the first wait is exactly what was asked for, and each further failure
    multiplies it by `factor`."""

    max_attempts: int | None = None
    """Attempts without an event after which to give up; ``None``: never."""

    max_time: float | None = None
    """The longest outage: no attempt begins later than this after the loss, not counting time while
    a connection was open. ``None``: no limit."""

    healthy_after: float = 0.0
    """How long a connection must have lived for its events to reset the backoff. The counts for
    `max_attempts` and `max_time` are reset by any event."""

    retry_first: bool = True
    """Whether to try the very first connection again too. ``False``: if it cannot be opened, that
    is an error at once."""

    retry_statuses: Collection[int] = frozenset()
    """Statuses to try again after, beside 408, 425, 429 and 5xx: 404 or 403, for example, while a
    deploy rolls. Kept as a frozenset."""

    retry_wrong_content_type: bool = False
    """Whether to try again after a 200 that is not an event stream, such as a proxy's page."""

    reconnect_on_end: bool | None = None
    """Whether to reopen a stream that the server has ended properly, as the standard does.
    ``None``: only if the request's method is safe (GET, HEAD, OPTIONS, QUERY, REPORT, TRACE); after
    a POST, a chat API would begin, and charge for, another answer."""

    backoff: Callable[[float, int, Random], float] | None = None
    """A backoff to replace the one above: a function of what was asked for, the number of failures,
    and the source of randomness, as `delay` gets them. For more than that, override `delay`."""

    def __post_init__(self) -> None:
        for name, least in (
            ("initial_delay", 0),
            ("min_server_delay", 0),
            ("max_server_delay", 0),
            ("factor", 1),
            ("max_backoff", 0),
            ("max_attempts", 1),
            ("max_time", 0),
            ("healthy_after", 0),
        ):
            value: float | None = getattr(self, name)
            if value is None and name in ("max_attempts", "max_time"):
                continue
            if value is None or not least <= value < math.inf:  # NaN as well
                raise ValueError(f"{name} must be at least {least} and finite, not {value}")
        if self.jitter not in (True, False, "full", "none"):
            raise ValueError(f"jitter must be True, False, 'full' or 'none', not {self.jitter!r}")
        # The one way to set a field of a frozen dataclass.
        object.__setattr__(self, "retry_statuses", frozenset(self.retry_statuses))
        for status_code in self.retry_statuses:
            if not 100 <= status_code <= 599 or status_code in (200, 204):
                raise ValueError(
                    f"retry_statuses must be from 100 to 599, except 200 and 204, not {status_code}"
                )

    def delay(self, asked: float, failures: int, random: Random) -> float:
        """Return how long to wait before the next attempt, in seconds.

        Args:
            asked: What the server asks for, in seconds, at most `max_server_delay`.
            failures: Attempts since the last connection that brought an event (and lived for
                `healthy_after`); 0 right after that one.
            random: The source of randomness.
        """
        if self.backoff is not None:
            return asked + self.backoff(asked, failures, random)
        step = asked if failures == 0 else max(asked, _LEAST_STEP)
        try:
            if self.jitter == "none":
                bound = step * (self.factor ** max(0, failures - 1) - 1)
            else:
                bound = step * self.factor**failures
        except OverflowError:
            bound = math.inf
        bound = min(self.max_backoff, bound)
        return asked + (random.uniform(0.0, bound) if self.jitter in (True, "full") else bound)

    def reconnects_after_end(self, method: str) -> bool:
        """Return whether to reopen a stream that the server has ended properly.

        Args:
            method: The request's, such as ``"GET"``.
        """
        if self.reconnect_on_end is None:
            return method.upper() in _SAFE_METHODS
        return self.reconnect_on_end
