"""Awaiting a future that one does not own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

__all__ = ["Wait"]


class Wait:
    """Awaitable that is over when a future is done, and leaves the future alone otherwise.

    Cancelling a task that awaits a plain future cancels the future. `asyncio.shield` prevents that,
    for another future and another turn of the event loop, which is 5 % of what httpxr needs for a
    chunk. This is the same without them: the protocol that `asyncio.Task` speaks with what it
    awaits (see `asyncio.isfuture`), handed through to the future, but for ``cancel``.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_context",
        "_error",
        "_future",
        "_wake_up",
        "deadline",
    )

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._asyncio_future_blocking = False
        self._future = future
        self._error: BaseException | None = None
        self._wake_up: Callable[[Wait], object] | None = None
        self._context: Context | None = None
        self.deadline = 0.0
        """For the one who calls `interrupt`: when to, in seconds of the event loop's clock."""

    def __await__(self) -> Generator[Wait, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def interrupt(self, error: BaseException) -> bool:
        """Raise an error in the awaiting task, unless the future is done; return whether so."""
        # The callback is gone once the future is done, and the task about to run.
        if self._wake_up is None or not self._future.remove_done_callback(self._future_is_done):
            return False
        self._error = error
        self._future.get_loop().call_soon(self._wake_up, self, context=self._context)
        return True

    def _future_is_done(self, _future: asyncio.Future[Any]) -> None:
        assert self._wake_up is not None
        self._wake_up(self)

    # What a task asks of what it awaits.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def add_done_callback(
        self, wake_up: Callable[[Wait], object], *, context: Context | None = None
    ) -> None:
        self._wake_up = wake_up
        self._context = context
        self._future.add_done_callback(self._future_is_done, context=context)

    def cancel(self, msg: object = None) -> bool:
        return self.interrupt(asyncio.CancelledError(*([] if msg is None else [msg])))

    def result(self) -> None:
        if self._error is not None:
            raise self._error
