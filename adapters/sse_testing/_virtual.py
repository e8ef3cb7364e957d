"""Virtual time for subscriptions: an hour of reconnecting in no time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, final

__all__ = ["VirtualClock", "virtual_time"]

_Sleep: TypeAlias = Callable[[Any, float], Coroutine[Any, Any, None]]


@final
class VirtualClock:
    """The time of all subscriptions within a `virtual_time` block. It moves when they wait."""

    def __init__(self, wall_time: float) -> None:
        self._lock: Final = threading.Lock()
        self._began: Final = wall_time
        self.now = 0.0
        """Seconds since the block began."""
        self.waits: Final[list[float]] = []
        """Each wait between two connections, in seconds, oldest first; none is 0."""

    @property
    def wall_time(self) -> float:
        """Seconds since 1970 (UTC): for ``Retry-After`` with a date."""
        return self._began + self.now

    def advance(self, seconds: float) -> None:
        """Let time pass, by hand: while a connection is open, for example."""
        with self._lock:
            self.now += seconds


@contextmanager
def virtual_time(*, wall_time: float = 1_767_225_600.0) -> Generator[VirtualClock, None, None]:
    """Keep subscriptions from waiting: all those of this process, in all threads, in the block.

    ```python
    with virtual_time() as clock, subscribe(client, "GET", url) as events:
        ...
    assert sum(clock.waits) < 3600
    ```
    Their waits between two connections take no time, and move the clock instead; backoff, budgets
    (``max_time``) and ``Retry-After`` go by it. Waits for the network, such as read timeouts, still
    take real time.

    Args:
        wall_time: What the clock shows first, in seconds since 1970 (UTC).
    """
    # Here, since nothing else in this package needs an adapter. All that waits derives from this.
    from sse_adapter import Waiter

    clock = VirtualClock(wall_time)

    def wrapped(sleep: _Sleep) -> _Sleep:
        async def sleep_virtually(self: Waiter, seconds: float) -> None:
            # First, so that what interrupts a wait interrupts this one too.
            await sleep(self, 0.0)
            if seconds > 0:
                clock.advance(seconds)
                clock.waits.append(seconds)

        return sleep_virtually

    replaced: list[tuple[type, str, Any]] = []

    def replace(owner: type, name: str, value: Any) -> None:
        replaced.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def replace_sleep(waiter: type) -> None:
        if "sleep" in vars(waiter):
            replace(waiter, "sleep", wrapped(vars(waiter)["sleep"]))

    def monotonic(_: Waiter) -> float:
        return clock.now

    def wall_time_now(_: Waiter) -> float:
        return clock.wall_time

    replace(Waiter, "monotonic", monotonic)
    replace(Waiter, "time", wall_time_now)
    for waiter in _subclasses(Waiter):
        replace_sleep(waiter)
    # Some are only imported when needed, such as trio's.
    Waiter.__init_subclass__ = classmethod(replace_sleep)  # type: ignore[assignment]
    try:
        yield clock
    finally:
        del Waiter.__init_subclass__
        for owner, name, value in reversed(replaced):
            setattr(owner, name, value)


def _subclasses(base: type) -> Iterator[type]:
    each: type
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)
