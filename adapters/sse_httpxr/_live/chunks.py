"""The body of a live response as an httpxr stream: chunk by chunk, sync and async.

Both wait for the one pending read (`reads`), no longer than ``idle_timeout``, and raise what went
wrong as httpxr's errors (`errors`). A timeout leaves the read as it is, for the next call to go on
with. A sync wait runs the private loop (`loop`); an asynchronous one is on asyncio, with a borrowed
future (`borrowed`) and a `timer`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpxr

from .errors import raise_read_error, read_timeout
from .reads import AsyncReads, SyncReads
from .timer import IdleTimer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .compat import LiveSource
    from .loop import PrivateLoop

__all__ = ["AsyncChunks", "SyncChunks", "is_being_cancelled"]


class SyncChunks(httpxr.SyncByteStream):
    """Iterator of a live body's chunks, for sync code.

    Args:
        source: What httpxr's async transport gave as the body. Owned: keep no reference.
        request: For the exceptions.
        loop: The loop that the response was opened on.
        idle_timeout: Seconds of silence after which a read raises; ``None``: never.
    """

    if not TYPE_CHECKING:

        def __new__(cls, *_args, **_kwargs):
            return super().__new__(cls)  # httpxr's own takes no arguments

    def __init__(
        self,
        source: LiveSource,
        *,
        request: httpxr.Request | None,
        loop: PrivateLoop,
        idle_timeout: float | None,
    ) -> None:
        self.reads = SyncReads(source, loop)
        self._ended = False
        self._request = request
        self._loop = loop
        self.idle_timeout = idle_timeout
        """May be set between reads."""

    def __iter__(self) -> SyncChunks:
        return self

    def __next__(self) -> bytes:
        """Wait for the next chunk.

        Raises:
            StopIteration: The body has ended.
            httpxr.ReadTimeout: ``idle_timeout`` seconds of silence. Reading may go on.
            httpxr.ReadError: The connection broke, or the body is malformed.
            httpxr.StreamClosed: The stream was closed before its end.
        """
        if not self.reads.is_open():
            if self._ended:
                raise StopIteration
            self.reads.raise_closed()
        if not self._loop.run(self.reads.start, self.idle_timeout).done():
            raise read_timeout(self.idle_timeout, self._request)
        future = self.reads.take()
        if future is None:
            self.reads.raise_closed()  # by another thread, while this one waited
        try:
            return future.result()
        except StopAsyncIteration:
            self._ended = True
            self.reads.forget()
            raise StopIteration from None
        except BaseException as error:
            self.reads.forget()
            raise_read_error(error, self._request)
        finally:
            del future  # or an error's traceback would keep it, and with it the connection

    def close(self) -> None:
        """Close the connection, at once. May be called again, also while another thread reads."""
        self.reads.close()


class AsyncChunks(httpxr.AsyncByteStream):
    """Asynchronous iterator of a live body's chunks, on asyncio.

    Args:
        source: What httpxr's async transport gave as the body, owned: keep no reference. Or any
            other asynchronous iterator of bytes.
        request: For the exceptions.
        idle_timeout: Seconds of silence after which a read raises; ``None``: never.
    """

    if not TYPE_CHECKING:

        def __new__(cls, *_args, **_kwargs):
            return super().__new__(cls)  # httpxr's own takes no arguments

    def __init__(
        self,
        source: LiveSource | AsyncIterator[bytes],
        *,
        request: httpxr.Request | None,
        idle_timeout: float | None,
    ) -> None:
        self.reads = AsyncReads(source)
        self._ended = False
        self._request = request
        self.idle_timeout = idle_timeout
        """May be set between reads."""
        self._timer = IdleTimer(self.reads.wait, request)

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next chunk.

        Raises:
            StopAsyncIteration: The body has ended.
            RuntimeError: Another task is waiting for it.
            httpxr.ReadTimeout, httpxr.ReadError, httpxr.StreamClosed: As in `SyncChunks`.
        """
        reads = self.reads
        if not reads.is_open():
            if self._ended:
                raise StopAsyncIteration
            await reads.raise_closed()
        if not reads.start().done():
            wait = reads.wait
            if wait.future is not None:
                raise RuntimeError("another task is reading this event stream")
            wait.future = reads.start()
            try:
                if self.idle_timeout is not None:
                    self._timer.start(self.idle_timeout)
                await wait
            except asyncio.CancelledError:
                if reads.is_open() or is_being_cancelled():
                    raise
            except Exception:  # the timer's; or the read's, which raises it again below
                if not wait.future.done():
                    raise
            finally:
                wait.forget()
        future = reads.take()
        if future is None:
            await reads.raise_closed()  # by another task, while this one waited
        try:
            return future.result()
        except StopAsyncIteration:
            self._ended = True
            self._forget()
            raise
        except BaseException as error:
            self._forget()
            raise_read_error(error, self._request)
        finally:
            del future  # or an error's traceback would keep it, and with it the connection

    def _forget(self) -> None:
        self.reads.forget()
        self._timer.cancel()

    async def aclose(self) -> None:
        """Close the connection, at once. May be called again, also while another task reads."""
        self._timer.cancel()
        await self.reads.aclose()


def is_being_cancelled() -> bool:
    """Whether the current task is being cancelled, and not just the read that it waits for."""
    task: Any = asyncio.current_task()
    return task is not None and hasattr(task, "cancelling") and task.cancelling() > 0  # 3.11
