"""The body of a live response, chunk by chunk: one read in flight, no byte lost, closed at once.

A read that was given to httpxr is not cancelled but to close the stream, as httpxr would drop the
chunk that it has already taken from the network. A timeout or a cancelled task leaves the read
where it is, and the next one to ask gets its bytes.

httpxr closes a connection when the last reference to its stream goes. So there is one, in
``_source``, and it is in no local variable of a frame that an exception could keep alive. A
finished read can hold another one for a while, on a thread of httpxr's; a cancelled one does not.
So closing cancels a read, and starts one to cancel if none is under way.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, NoReturn, cast

import httpxr

from . import process
from .borrowed import BorrowedFuture
from .compat import is_httpxr_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .compat import LiveSource
    from .loop import PrivateLoop

__all__ = ["AsyncChunks", "SyncChunks", "is_being_cancelled", "stream_closed"]


class SyncChunks(httpxr.SyncByteStream):
    """Iterator of a live body's chunks, for sync code.

    Args:
        source: What httpxr's async transport gave as the body. Owned: keep no reference.
        request: For the exceptions.
        loop: The loop that the response was opened on.
        idle_timeout: Seconds of silence after which a read raises; ``None``: never.
    """

    _source: LiveSource | None = None

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
        self._source = source
        self._pending: asyncio.Future[bytes] | None = None
        self._ended = False
        self._request = request
        self._loop = loop
        self.idle_timeout = idle_timeout
        """May be set between reads."""
        process.register(self)

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
        if self._source is None:
            if self._ended:
                raise StopIteration
            while self._loop.ends_with_process:  # as `PrivateLoop.run`
                time.sleep(1)  # pragma: no cover, the process ends in it
            raise stream_closed()
        if not self._loop.run(self._read, self.idle_timeout).done():
            raise _read_timeout(self.idle_timeout, self._request)
        future, self._pending = self._pending, None
        if future is None:
            raise stream_closed()  # by another thread, while this one waited
        try:
            return future.result()
        except StopAsyncIteration:
            self._ended = True
            self._source = None
            raise StopIteration from None
        except BaseException as error:
            self._source = None
            _raise_read_error(error, self._request)
        finally:
            del future  # or an error's traceback would keep it, and with it the connection

    def _read(self) -> asyncio.Future[bytes]:
        if self._pending is None:
            assert self._source is not None
            self._pending = self._source.__anext__()
        return self._pending

    def close(self) -> None:
        """Close the connection, at once. May be called again, also while another thread reads."""
        if self._source is None:
            return
        if self._loop.is_in_use and self._pending is not None:
            self._loop.call_soon_threadsafe(self._pending.cancel)
        else:
            self._loop.run_and_cancel(self._read)
        process.note_cancellation()
        self._pending = None
        self._source = None

    def close_at_exit(self) -> None:
        self._loop.ends_with_process = True
        self.close()

    def forget_after_fork(self) -> object:
        kept = (self._source, self._pending)
        self._source = self._pending = None
        return kept

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()


class AsyncChunks(httpxr.AsyncByteStream):
    """Asynchronous iterator of a live body's chunks, on asyncio.

    Args:
        source: What httpxr's async transport gave as the body, owned: keep no reference. Or any
            other asynchronous iterator of bytes.
        request: For the exceptions.
        idle_timeout: Seconds of silence after which a read raises; ``None``: never.
    """

    _source: LiveSource | _TaskSource | None = None

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
        self._source = (
            source
            if is_httpxr_source(source)
            else _TaskSource(cast("AsyncIterator[bytes]", source))
        )
        self._pending: asyncio.Future[bytes] | None = None
        self._ended = False
        self._request = request
        self.idle_timeout = idle_timeout
        """May be set between reads."""
        self._wait = BorrowedFuture()
        # One timer for many reads: it is armed again only when it has gone off.
        self._timer: asyncio.TimerHandle | None = None
        # Where it was first read, and whether that has ended for good.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends_with_process = False
        process.register(self)

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next chunk.

        Raises:
            StopAsyncIteration: The body has ended.
            RuntimeError: Another task is waiting for it.
            httpxr.ReadTimeout, httpxr.ReadError, httpxr.StreamClosed: As in `SyncChunks`.
        """
        if self._source is None:
            if self._ended:
                raise StopAsyncIteration
            await self._raise_closed()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._pending is None:
            self._pending = self._source.__anext__()
        if not self._pending.done():
            wait = self._wait
            if wait.future is not None:
                raise RuntimeError("another task is reading this event stream")
            wait.future = self._pending
            try:
                if self.idle_timeout is not None:
                    self._watch(self.idle_timeout)
                await wait
            except _Idle:
                raise _read_timeout(self.idle_timeout, self._request) from None
            except asyncio.CancelledError:
                if self._is_open() or is_being_cancelled():
                    raise
            except Exception:
                pass  # the future's, which has it below
            finally:
                wait.forget()
        future = self._take_pending()
        if future is None:
            await self._raise_closed()  # by another task, while this one waited
        try:
            return future.result()
        except StopAsyncIteration:
            self._ended = True
            self._forget()
            raise
        except BaseException as error:
            self._forget()
            _raise_read_error(error, self._request)
        finally:
            del future  # or an error's traceback would keep it, and with it the connection

    def _take_pending(self) -> asyncio.Future[bytes] | None:
        future, self._pending = self._pending, None
        return future

    async def _raise_closed(self) -> NoReturn:
        if self._ends_with_process:
            await asyncio.Event().wait()  # for ever, as `PrivateLoop.run`
        raise stream_closed()

    def _watch(self, idle_timeout: float) -> None:
        loop = self._wait.get_loop()
        self._wait.deadline = loop.time() + idle_timeout
        if self._timer is None:
            # A weak reference: a stream that nobody reads any more must not be kept open by it.
            weak_self: weakref.ref[AsyncChunks] = weakref.ref(self)
            self._timer = loop.call_at(
                self._wait.deadline, AsyncChunks._interrupt_if_idle, weak_self
            )

    @staticmethod
    def _interrupt_if_idle(weak_self: weakref.ref[AsyncChunks]) -> None:
        self = weak_self()
        if self is not None:
            self._timer = None
        if self is None or self._wait.future is None:
            return
        wait = self._wait
        loop = wait.get_loop()
        if loop.time() < wait.deadline:
            self._timer = loop.call_at(wait.deadline, AsyncChunks._interrupt_if_idle, weak_self)
        else:
            wait.interrupt(_Idle())

    def _is_open(self) -> bool:
        return self._source is not None

    def _forget(self) -> None:
        """Drop what keeps the connection, and this object, alive."""
        self._source = None
        self._pending = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def aclose(self) -> None:
        """Close the connection, at once. May be called again, also while another task reads."""
        source = self._source if isinstance(self._source, _TaskSource) else None
        if self._close():
            await asyncio.sleep(0)  # for a cancelled read to reach httpxr, should the loop end now
        if source is not None:
            await source.aclose()

    def _close(self) -> bool:
        """Cancel the read under way, or one started for it; return whether there is such a one."""
        pending = self._pending
        if pending is None and is_httpxr_source(self._source):
            try:
                pending = self._source.__anext__()
            except RuntimeError:  # no event loop is running any more
                pass
        self._forget()
        if pending is None:
            return False
        process.note_cancellation()
        loop = pending.get_loop()
        try:
            if asyncio._get_running_loop() is loop:
                pending.cancel()
                # What a thread of httpxr's releases, it frees in the next call from Python only.
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
            self._wait.forget_and_cancel()
            self._close()

        process.note_cancellation()
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(close_at_exit)
        except RuntimeError:  # it is closed
            pass

    def forget_after_fork(self) -> object:
        kept = (self._source, self._pending)
        self._source = self._pending = None
        return kept

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._close()


class _TaskSource:
    """Any asynchronous iterator, in the way that httpxr's source is one."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __anext__(self) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._chunks.__anext__())

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


class _Idle(Exception):
    """Ends the wait for a silent server."""


def is_being_cancelled() -> bool:
    """Whether somebody cancels the current task, and not only the read that it waits for."""
    task: Any = asyncio.current_task()
    return task is not None and hasattr(task, "cancelling") and task.cancelling() > 0  # 3.11


def stream_closed() -> Exception:
    process.check_fork()
    return httpxr.StreamClosed("the event stream was closed before its end")


def _read_timeout(seconds: float | None, request: httpxr.Request | None) -> httpxr.ReadTimeout:
    return httpxr.ReadTimeout(f"no byte from the server for {seconds} s", request=request)


def _raise_read_error(error: BaseException, request: httpxr.Request | None) -> NoReturn:
    """Raise what the failed read of a body is in terms of httpxr."""
    if isinstance(error, asyncio.CancelledError):
        raise stream_closed() from None
    if isinstance(error, OSError):  # httpxr's for whatever happens within a body
        message = f"event stream broke off: {error}"
        raise httpxr.ReadError(message, request=request) from error
    raise error
