"""How a subscription waits, and how another thread or task ends its wait."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["AsyncioWaiter", "Interrupted", "SyncWaiter", "Waiter"]

_T = TypeVar("_T")


class Interrupted(Exception):
    """`Waiter.interrupt` ended the wait."""


class Waiter(ABC):
    """Waits for a subscription, and tells it the time. Each subscription has its own.

    The methods are coroutines; for a sync subscription they block instead of suspending.
    """

    def time(self) -> float:
        """Return the time in seconds since 1970 (UTC)."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds of a clock that is never set."""
        return time.monotonic()

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait, or raise `Interrupted`. Called again after a cancellation, wait for the rest."""

    @abstractmethod
    async def open(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Await a coroutine function that opens a connection, or raise `Interrupted`.

        Called again after a cancellation, go on with the coroutine already begun, if the event loop
        allows it.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End the wait, or the next one, from any thread or task. May be called again."""

    def reset(self) -> None:  # noqa: B027  # not abstract: some keep nothing of it
        """Wait again, after `interrupt`."""

    async def close(self) -> None:  # noqa: B027  # not abstract: some leave nothing behind
        """End what still runs after a cancelled wait. Waiting again takes a `reset`."""


class SyncWaiter(Waiter):
    """Waits in the calling thread."""

    def __init__(self) -> None:
        self._is_interrupted = threading.Event()

    async def sleep(self, seconds: float) -> None:
        if self._is_interrupted.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Interrupted

    async def open(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        return await function()

    def interrupt(self) -> None:
        self._is_interrupted.set()

    def reset(self) -> None:
        self._is_interrupted.clear()


class AsyncioWaiter(Waiter):
    """Waits on asyncio, in a task of its own that outlives a cancelled caller."""

    def __init__(self) -> None:
        self._task: asyncio.Future[Any] | None = None
        self._is_interrupted = False

    async def sleep(self, seconds: float) -> None:
        await self._go_on_with(lambda: asyncio.sleep(seconds))

    async def open(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        return await self._go_on_with(function)

    async def _go_on_with(self, function: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        if self._is_interrupted:
            raise Interrupted
        task: asyncio.Future[_T]
        task = self._task = self._task or asyncio.ensure_future(function())
        try:
            await asyncio.wait([task])
            self._task = None
            if task.cancelled() and self._is_interrupted:
                raise Interrupted
            return task.result()
        finally:
            del task  # or an error's traceback would keep it, and it the error

    def interrupt(self) -> None:
        if not self._is_interrupted:
            self._is_interrupted = True
            # Once only: a second cancellation would hit a client that is cleaning up after the
            # first, and make it leave a connection behind.
            if self._task is not None:
                self._task.cancel()

    def reset(self) -> None:
        self._is_interrupted = False

    async def close(self) -> None:
        self.interrupt()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():  # as in a client's hook
            await asyncio.wait([task])  # not `gather`, which would cancel it when this is cancelled
