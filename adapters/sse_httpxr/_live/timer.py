"""The longest silence of a stream, on asyncio."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from .errors import read_timeout

if TYPE_CHECKING:
    import asyncio

    import httpxr

    from .borrowed import BorrowedFuture

__all__ = ["IdleTimer"]


class IdleTimer:
    """Fails a wait that lasts too long.

    One event loop timer serves many waits: it is only armed anew when it has gone off.

    Args:
        wait: What to fail.
        request: For the error, an `httpxr.ReadTimeout`.
    """

    def __init__(self, wait: BorrowedFuture, request: httpxr.Request | None) -> None:
        self._wait = wait
        self._request = request
        self._seconds = 0.0
        self._deadline = 0.0  # in seconds of the event loop's clock
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Fail the wait that begins now if it lasts longer than this."""
        loop = self._wait.get_loop()
        self._seconds = seconds
        self._deadline = loop.time() + seconds
        if self._handle is None:
            self._arm(loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        # A weak reference: the timer must not keep open a stream that nobody reads any more.
        weak_self: weakref.ref[IdleTimer] = weakref.ref(self)
        self._handle = loop.call_at(self._deadline, IdleTimer._go_off, weak_self)

    @staticmethod
    def _go_off(weak_self: weakref.ref[IdleTimer]) -> None:
        self = weak_self()
        if self is None:
            return
        self._handle = None
        if self._wait.future is None:  # nobody waits now
            return
        loop = self._wait.get_loop()
        if loop.time() < self._deadline:
            self._arm(loop)
        else:
            self._wait.fail(read_timeout(self._seconds, self._request))

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
