"""The reads of one httpxr stream: one pending at a time, and closing.

- A read that httpxr was asked for is cancelled only to close the stream, as httpxr would drop a
  chunk that it has already taken from the network. So a read outlives a timeout, or the task that
  waited for it, and whoever asks next gets its bytes (`start`, `take`).
- httpxr closes a connection when the last reference to its stream goes. So there is one, here, and
  it is in no local variable of a frame that an exception could keep alive (`forget`).
- A finished read can hold another reference for a while, on an httpxr thread; a cancelled one does
  not. So closing cancels a read, and starts one to cancel if none is pending (`close`).
- The process may fork, or end, while a stream is open (`forget_after_fork`, `close_at_exit`).
"""

from __future__ import annotations

import asyncio
import sys
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NoReturn, cast

import httpxr

from . import process
from .borrowed import BorrowedFuture
from .compat import is_httpxr_source
from .errors import stream_closed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .compat import LiveSource
    from .loop import PrivateLoop

__all__ = ["AsyncReads", "SyncReads"]


class _Reads(ABC):
    """What both kinds have in common.

    Args:
        source: What httpxr's async transport gave as the body. Owned: keep no reference.
    """

    def __init__(self, source: LiveSource) -> None:
        self._source: LiveSource | None = source
        self._pending: asyncio.Future[bytes] | None = None
        process.register(self)

    def is_open(self) -> bool:
        return self._source is not None

    def start(self) -> asyncio.Future[bytes]:
        """Return the pending read; if there is none, start one."""
        if self._pending is None:
            assert self._source is not None
            self._pending = self._source.__anext__()
        return self._pending

    def take(self) -> asyncio.Future[bytes] | None:
        """Return the pending read, for its result; ``None`` if the stream has been closed since."""
        future, self._pending = self._pending, None
        return future

    def forget(self) -> None:
        """Drop what keeps the connection alive."""
        self._source = self._pending = None

    @abstractmethod
    def close_at_exit(self) -> None: ...

    def forget_after_fork(self) -> object:
        kept = (self._source, self._pending)
        self._source = self._pending = None
        return kept


class SyncReads(_Reads):
    """The reads of sync code, each driven by the thread that waits for it.

    Args:
        source: As above.
        loop: The loop that the response was opened on.
    """

    def __init__(self, source: LiveSource, loop: PrivateLoop) -> None:
        super().__init__(source)
        self._loop = loop

    def close(self) -> None:
        """Close the connection, at once. May be called again, also while another thread reads."""
        if not self.is_open():
            return
        if self._loop.is_in_use and self._pending is not None:
            self._loop.call_soon_threadsafe(self._pending.cancel)
        else:
            self._loop.run_and_cancel(self.start)
        process.note_cancellation()
        self.forget()

    def close_at_exit(self) -> None:
        self._loop.ends_with_process = True
        self.close()

    def raise_closed(self) -> NoReturn:
        """Say that the stream was closed, but not to a thread that ends with the interpreter."""
        while self._loop.ends_with_process:  # as `PrivateLoop.run`
            time.sleep(1)  # pragma: no cover, the process ends in it
        raise stream_closed()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


class AsyncReads(_Reads):
    """The reads of a stream on asyncio.

    Args:
        source: As above; or any other asynchronous iterator of bytes.
    """

    def __init__(self, source: LiveSource | AsyncIterator[bytes]) -> None:
        if not is_httpxr_source(source):
            source = _TaskSource(cast("AsyncIterator[bytes]", source))
        super().__init__(source)
        self.wait = BorrowedFuture()
        """For the one task that waits for the pending read."""
        # Where it was first read, and whether that has ended for good.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends_with_process = False

    def start(self) -> asyncio.Future[bytes]:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return super().start()

    async def aclose(self) -> None:
        """Close the connection, at once. May be called again, also while another task reads."""
        foreign = self._source if isinstance(self._source, _TaskSource) else None
        if self.close():
            await asyncio.sleep(0)  # for a cancelled read to reach httpxr, should the loop end now
        if foreign is not None:
            await foreign.aclose()

    def close(self) -> bool:
        """Cancel the pending read, or one started for that; return whether there is one."""
        pending = self._pending
        if pending is None and is_httpxr_source(self._source):
            try:
                pending = self._source.__anext__()
            except RuntimeError:  # no event loop is running any more
                pass
        self.forget()
        if pending is None:
            return False
        process.note_cancellation()
        loop = pending.get_loop()
        try:
            if asyncio._get_running_loop() is loop:
                pending.cancel()
                # What an httpxr thread releases is only freed in the next call from Python.
                for delay in (0.005, 0.05):
                    loop.call_later(delay, httpxr.Timeout, None)
            else:
                loop.call_soon_threadsafe(pending.cancel)
        except RuntimeError:  # the event loop is closed
            pass
        return True

    def close_at_exit(self) -> None:
        def close_at_exit() -> None:
            self._ends_with_process = True
            self.wait.forget_and_cancel()
            self.close()

        process.note_cancellation()
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(close_at_exit)
        except RuntimeError:  # it is closed
            pass

    async def raise_closed(self) -> NoReturn:
        """Say that the stream was closed, but not to a task that ends with the interpreter."""
        if self._ends_with_process:
            await asyncio.Event().wait()  # for ever, as `PrivateLoop.run`
        raise stream_closed()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


class _TaskSource:
    """Any asynchronous iterator, read like an httpxr stream."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __anext__(self) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._chunks.__anext__())

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
