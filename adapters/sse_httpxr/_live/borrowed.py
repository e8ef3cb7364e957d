"""Awaiting a future that one does not own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context

__all__ = ["BorrowedFuture"]


class BorrowedFuture:
    """Awaitable that is over when a future is done, and leaves the future alone otherwise.

    Cancelling a task that awaits a plain future cancels the future. `asyncio.shield` prevents that,
    for another future and another turn of the event loop, which is 5 % of what httpxr needs for a
    chunk. This is the same without them: the protocol that `asyncio.Task` speaks with what it
    awaits (see `asyncio.isfuture`), handed through to the future, but for ``cancel``.

    Awaiting raises what the future does, or what `interrupt` is given. It may be awaited again.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_wake_up", "deadline", "future")

    def __init__(self) -> None:
        self._asyncio_future_blocking = False
        self._wake_up: Callable[[asyncio.Future[Any]], object] | None = None
        self._context: Context | None = None
        self.future: asyncio.Future[Any] | None = None
        """What to await; to be set before."""
        self.deadline = 0.0
        """For the one who calls `interrupt`: when to, in seconds of the event loop's clock."""

    def __await__(self) -> Generator[BorrowedFuture, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def interrupt(self, error: BaseException) -> bool:
        """Raise an error in the awaiting task, unless the future is done; return whether so."""
        # The callback is gone once the future is done, and the task about to run.
        wake_up, future = self._wake_up, self.future
        if wake_up is None or future is None or not future.remove_done_callback(wake_up):
            return False
        failed = future.get_loop().create_future()
        failed.set_exception(error)
        failed.add_done_callback(wake_up, context=self._context)
        return True

    def forget(self) -> None:
        """Let go of the future, and of the task that has waited for it."""
        self.future = self._wake_up = self._context = None

    def forget_and_cancel(self) -> None:
        """Cancel the future, and leave the awaiting task waiting for ever."""
        if self.future is not None:
            if self._wake_up is not None:
                self.future.remove_done_callback(self._wake_up)
            self.future.cancel()

    # What a task asks of what it awaits.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        assert self.future is not None
        return self.future.get_loop()

    def add_done_callback(
        self, wake_up: Callable[[asyncio.Future[Any]], object], *, context: Context | None = None
    ) -> None:
        assert self.future is not None
        self._wake_up = wake_up
        self._context = context
        self.future.add_done_callback(wake_up, context=context)

    def cancel(self, msg: object = None) -> bool:
        return self.interrupt(asyncio.CancelledError(*([] if msg is None else [msg])))
