"""How a subscription waits on trio: in the caller's task, since trio's tasks have their places."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from sse_adapter import Interrupted, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["TrioWaiter", "runs_on_trio"]

_T = TypeVar("_T")


def runs_on_trio() -> bool:
    """Whether the calling task is one of trio's, and not of asyncio's."""
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


class TrioWaiter(Waiter):
    """Waits on trio. A cancelled opening is begun anew by the next read."""

    def __init__(self) -> None:
        self._scope: anyio.CancelScope | None = None
        # When a sleep is over, on the monotonic clock.
        self._sleeps_until: float | None = None

    async def sleep(self, seconds: float) -> None:
        if self._sleeps_until is None:
            self._sleeps_until = self.monotonic() + seconds
        rest = max(0.0, self._sleeps_until - self.monotonic())
        await self.open(lambda: anyio.sleep(rest))
        self._sleeps_until = None

    async def open(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        with anyio.CancelScope() as self._scope:
            try:
                return await function()
            finally:
                self._scope = None
        raise Interrupted

    def interrupt(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
